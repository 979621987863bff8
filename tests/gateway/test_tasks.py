"""Work that an upstream takes minutes for: what is told of it when the gateway ends."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from adapters.capabilities import Capability
from adapters.model import RunStatus
from adapters.requests import Request
from adapters.writing import Checked, Done, Draft
from gateway.instances import Instance
from gateway.ledger import Ledger
from gateway.tasks import Tasks
from tests.gateway.listed import Listed, instance_of


class Sending:
    """A transport that answers when it may."""

    write_timeout_s = 60.0

    def __init__(self) -> None:
        self.may = asyncio.Event()

    async def send(self, request: Request) -> bytes:
        await self.may.wait()
        return b"{}"


class Checking(Listed):
    def __init__(self) -> None:
        super().__init__("a", {"": []})
        self.sending = Sending()

    @property
    def transport(self) -> Any:
        return self.sending


class Slow(Ledger):
    """On a disk that writes when it may."""

    def __init__(self) -> None:
        super().__init__(None, 1000)
        self.may, self.asked = threading.Event(), asyncio.Event()
        self.may.set()

    async def _do(self, work: Callable[[], Any]) -> Any:
        def done() -> Any:
            assert self.may.wait(10)
            return work()

        self.asked.set()
        return await super()._do(done)


class Doing:
    def __init__(self) -> None:
        self.adapter, self.ledger = Checking(), Slow()
        self.instance: Instance = instance_of(self.adapter)
        self.tasks = Tasks(self.ledger)

    async def begin(self) -> str:
        wish = cast("Any", type("Wish", (), {"action": Capability.CHECK_ENDPOINT}))
        checked = Done(checked=Checked(succeeded=True))
        draft = Draft(Request("check", "POST", "/check", safe=False), lambda _: checked)
        return await self.tasks.begin(self.instance, wish, draft, "somebody")

    async def status(self, id: str) -> RunStatus:
        found = await self.tasks.get(id, "somebody")
        assert found is not None
        return found.status


async def test_a_task_that_runs_when_the_gateway_ends_is_told_to_be_unknown():
    doing = Doing()
    id = await doing.begin()
    assert await doing.status(id) is RunStatus.RUNNING
    await doing.tasks.close()
    assert await doing.status(id) is RunStatus.UNKNOWN
    doing.ledger.close()


@pytest.mark.parametrize("is_being_written", [False, True])
async def test_an_outcome_that_came_before_the_gateway_ends_is_not_lost(is_being_written: bool):
    doing = Doing()
    id = await doing.begin()
    if is_being_written:
        doing.ledger.may.clear()
    doing.ledger.asked.clear()
    doing.adapter.sending.may.set()
    async with asyncio.timeout(5):
        await doing.ledger.asked.wait()
    closing = asyncio.ensure_future(doing.tasks.close())
    await asyncio.sleep(0.01)
    doing.ledger.may.set()
    await closing
    assert await doing.status(id) is RunStatus.SUCCEEDED
    doing.ledger.close()
