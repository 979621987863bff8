"""Runs started at a Workiva that keeps what is written to it: they are there afterwards, and started once."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters import errors
from adapters.imitation import Knobs
from adapters.model import Connection, Run, RunStatus
from adapters.port import LIST_FIELDS
from adapters.workiva import PROVIDER
from adapters.workiva.demo import WorkivaImitation
from adapters.workiva.demo_data import WORKSPACE, connection_id
from adapters.workiva.details import WorkivaConnection
from adapters.workiva.inputs import WorkivaRunInput
from adapters.writing import Start, StartMany
from tests.adapters.contracted import Contracted, listed, over
from tests.adapters.sending import fulfilled

AT = 1_790_000_000.5
"""A moment at which no run of the connection `IDLE` goes on, and none of `WORKBOOK`."""
IDLE, NEVER, WORKBOOK = connection_id(8), connection_id(9), [connection_id(number) for number in (30, 40, 50)]


@contextlib.asynccontextmanager
async def keeping(**settings: Any) -> AsyncGenerator[Contracted]:
    size = settings.pop("size", 60)
    async with over(PROVIDER, WorkivaImitation(clock=lambda: AT, size=size), **settings) as contracted:
        yield contracted


async def one(contracted: Contracted, id: str) -> Connection:
    """The connection as it is now."""
    found = (await contracted.adapter.get_many({id: LIST_FIELDS})).by_id[id]
    assert isinstance(found, Connection)
    return found


def effects(contracted: Contracted) -> list[tuple[str, str]]:
    return [(effect.kind, effect.id) for effect in contracted.imitation.effects]


@pytest.mark.parametrize("id", [IDLE, NEVER])
async def test_a_run_is_started_and_is_then_the_last(id: str):
    async with keeping() as contracted:
        before = await one(contracted, id)
        given = WorkivaRunInput(source_parameters={"period": "2026-Q4"}, destination_parameters={"cell": "B2"})
        done = await fulfilled(contracted.adapter, Start(before, given))
        after = await one(contracted, id)
        assert done.run == after.last_run != before.last_run
        assert isinstance(after.details, WorkivaConnection)
        assert after.details.last_run_source_parameters == {"period": "2026-Q4"}
        assert after.details.last_run_destination_parameters == {"cell": "B2"}
        assert effects(contracted) == [("refresh", id)]
        again = await fulfilled(contracted.adapter, Start(after))
        assert (again.run, again.is_attached) == (done.run, True)
        assert effects(contracted) == [("refresh", id)], "nothing was sent"


async def test_the_parameters_of_the_run_before_are_used_where_that_is_wished():
    async with keeping() as contracted:
        row = await one(contracted, IDLE)
        given = WorkivaRunInput(use_previous_source_parameters=True, destination_parameters={"cell": "B2"})
        await fulfilled(contracted.adapter, Start(row, given))
        details = (await one(contracted, IDLE)).details
        assert isinstance(details, WorkivaConnection)
        assert details.last_run_source_parameters == {"period": "2026-Q3", "entity": ["US01", "DE02"]}
        assert details.last_run_destination_parameters == {"cell": "B2"}


async def test_a_run_that_somebody_else_started_meanwhile_is_attached():
    async with keeping() as contracted:
        row = await one(contracted, IDLE)
        theirs = await fulfilled(contracted.adapter, Start(row, WorkivaRunInput(source_parameters={"period": "Q4"})))
        ours = await fulfilled(contracted.adapter, Start(row))
        assert (ours.run, ours.is_attached, ours.was_read_back) == (theirs.run, True, True)
        same = await fulfilled(contracted.adapter, Start(row, WorkivaRunInput(source_parameters={"period": "Q4"})))
        assert same.is_attached
        with pytest.raises(errors.Conflict):
            await fulfilled(contracted.adapter, Start(row, WorkivaRunInput(source_parameters={"period": "Q3"})))
        assert effects(contracted) == [("refresh", IDLE)]


@pytest.mark.parametrize("status", [409, 423])
async def test_a_conflict_with_nothing_that_runs_stays_one(status: int):
    async with keeping() as contracted:
        row = await one(contracted, IDLE)
        contracted.imitation.knobs = Knobs(status=status, only="/refresh")
        with pytest.raises(errors.Conflict):
            await fulfilled(contracted.adapter, Start(row))


async def test_runs_of_one_spreadsheet_are_started_by_one_call():
    async with keeping() as contracted:
        starts = [Start(await one(contracted, id)) for id in WORKBOOK]
        (group,) = contracted.adapter.grouped(starts)
        done = await fulfilled(contracted.adapter, StartMany(group))
        assert done.runs == {id: (await one(contracted, id)).last_run for id in WORKBOOK}
        assert [kind for kind, _ in effects(contracted)] == ["batch", "refresh", "refresh", "refresh"]
        assert contracted.imitation.journal.count("/refresh") == 1


async def test_a_run_that_is_in_the_way_of_a_group_has_failed_and_the_others_go_on():
    async with keeping() as contracted:
        starts = [Start(await one(contracted, id)) for id in WORKBOOK]
        await fulfilled(contracted.adapter, starts[1])
        runs = (await fulfilled(contracted.adapter, StartMany(starts))).runs
        statuses = [run.status for run in runs.values() if isinstance(run, Run)]
        assert statuses == [RunStatus.QUEUED, RunStatus.FAILED, RunStatus.QUEUED]


@pytest.mark.parametrize("cancel", [True, False])
async def test_what_cannot_be_written_is_cancelled_where_that_is_wished(cancel: bool):
    async with keeping() as contracted:
        contracted.imitation.unwritable.add(WORKBOOK[0])
        given = WorkivaRunInput(cancel_unwritables=cancel)
        starts = [Start(await one(contracted, id), given) for id in WORKBOOK]
        run = (await fulfilled(contracted.adapter, StartMany(starts))).runs[WORKBOOK[0]]
        assert isinstance(run, Run)
        assert (run.status is RunStatus.CANCELLED) == cancel
        assert [kind for kind, _ in effects(contracted)].count("refresh") == (2 if cancel else 3)


async def test_what_cannot_go_together_is_refused_as_a_whole():
    async with keeping() as contracted:
        starts = [Start(await one(contracted, id)) for id in (WORKBOOK[0], IDLE)]
        with pytest.raises(errors.Rejected) as raised:
            await fulfilled(contracted.adapter, StartMany(starts))
        assert not raised.value.may_have_happened
        assert effects(contracted) == []


async def test_a_run_is_of_the_configured_workspace():
    async with keeping(workspace_id=WORKSPACE) as contracted:
        await fulfilled(contracted.adapter, Start(await one(contracted, IDLE)))
        (call,) = (call for call in contracted.imitation.journal.asked if call.path.endswith("/refresh"))
        assert call.json() == {"workspaceId": WORKSPACE}


class Counting:
    """An app, and how many calls it answers at once at the most."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.now = self.most = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        await self._app(scope, receive, send)
        self.now -= 1


async def test_many_that_were_started_by_a_call_whose_answer_is_lost_are_read_back_a_few_at_a_time():
    async with keeping(size=1980) as contracted:
        (group,) = [
            group
            for group in contracted.adapter.grouped(list(map(Start, await listed(contracted.adapter))))
            if len(group) > 1
        ]
        assert len(group) > 90
        contracted.imitation.knobs = Knobs(reset=True, late=True, only="/batch/refresh")
        counting = contracted.imitation.app = Counting(contracted.imitation.app)
        done = await fulfilled(contracted.adapter, StartMany(group))
        assert done.was_read_back
        assert done.runs.keys() == {start.connection.native_id for start in group}
        assert 1 < counting.most <= 8
