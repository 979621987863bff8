"""Work that an upstream takes minutes for: what is told of it when the gateway ends."""

import asyncio
import io
import json
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

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


L = TypeVar("L", bound=Ledger)


class Doing(Generic[L]):
    def __init__(self, ledger: L) -> None:
        self.adapter, self.ledger = Checking(), ledger
        self.done = Done(checked=Checked(succeeded=True))
        self.instance: Instance = instance_of(self.adapter)
        self.tasks = Tasks(self.ledger)

    async def begin(self) -> str:
        wish = cast("Any", type("Wish", (), {"action": Capability.CHECK_ENDPOINT}))
        draft = Draft(Request("check", "POST", "/check", safe=False), lambda _: self.done)
        return await self.tasks.begin(self.instance, wish, draft, "somebody")

    async def status(self, id: str) -> RunStatus:
        found = await self.tasks.get(id, "somebody")
        assert found is not None
        return found.status

    async def ended(self, id: str) -> RunStatus:
        """Its status when it runs no more, or after seconds."""
        for _ in range(1000):
            if await self.status(id) is not RunStatus.RUNNING:
                break
            await asyncio.sleep(0.005)
        return await self.status(id)


async def test_a_task_that_runs_when_the_gateway_ends_is_told_to_be_unknown():
    doing = Doing(Slow())
    id = await doing.begin()
    assert await doing.status(id) is RunStatus.RUNNING
    await doing.tasks.close()
    assert await doing.status(id) is RunStatus.UNKNOWN
    doing.ledger.close()


@pytest.mark.parametrize("is_being_written", [False, True])
async def test_an_outcome_that_came_before_the_gateway_ends_is_not_lost(is_being_written: bool):
    doing = Doing(Slow())
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


class Losing(Slow):
    """On a disk that takes no more."""

    is_full = False

    async def note(self, id: str, caller: str, record: bytes) -> None:
        if self.is_full:
            raise sqlite3.OperationalError("database or disk is full")
        await super().note(id, caller, record)


@pytest.mark.parametrize("is_closing", [False, True])
async def test_an_outcome_that_cannot_be_written_down_is_logged_and_told_here_all_the_same(
    is_closing: bool, log: io.BytesIO
):
    doing = Doing(Losing())
    id = await doing.begin()
    doing.ledger.is_full = True
    if is_closing:
        await doing.tasks.close()
    else:
        doing.adapter.sending.may.set()
    assert await doing.ended(id) is (RunStatus.UNKNOWN if is_closing else RunStatus.SUCCEEDED)
    assert await doing.tasks.get(id, "somebody else") is None
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (told,) = [line for line in lines if line["logger"] == "gateway.tasks"]
    assert (told["level"], told["exception"]) == ("ERROR", "OperationalError")
    doing.ledger.close()


async def test_an_answer_that_cannot_be_told_leaves_no_task_running():
    doing = Doing(Slow())
    doing.done = Done(catalog=object())
    id = await doing.begin()
    doing.adapter.sending.may.set()
    assert await doing.ended(id) is RunStatus.UNKNOWN
    doing.ledger.close()
