"""What calls begin at the imitation of Wdata goes on: over real HTTP, by a clock that is turned by hand."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from adapters.imitation import Effect, Knobs, iso
from adapters.workiva.demo import WorkivaImitation
from adapters.workiva.demo_data import OTHER_WORKSPACE, WORKSPACE, connection_id, ends, workbooks_of

PATH = "/api/v1/connections"
NOW = 1_790_000_000.5
IDLE = 8
"""A connection that runs nothing at `NOW`, nor within the next minutes."""
BUSY = 1
"""One that runs by itself each minute and a half."""
NEVER = 9
WORKBOOK = (30, 40, 50)
"""Three that write to one spreadsheet."""
PARAMETERS = {"sourceParameters": {"period": "2026-Q4"}, "destinationParameters": {"startCell": "B2"}}


class Upstream:
    """An imitation being served, whose clock is turned by hand."""

    def __init__(self, **options: Any) -> None:
        self.now = NOW
        self.imitation = WorkivaImitation(clock=lambda: self.now, **options)
        self.client = httpx.AsyncClient()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator["Upstream"]:
        self.imitation.tokens["token"] = NOW * 2
        async with self.imitation.serve() as url:
            headers = {"authorization": "Bearer token"}
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as self.client:
                yield self

    @property
    def effects(self) -> list[tuple[str, str]]:
        return [tuple(effect) for effect in self.imitation.effects]

    async def post(self, path: str, body: Any) -> Any:
        return body_of(await self.client.post(PATH + path, json=body))

    async def get(self, path: str, **query: Any) -> Any:
        return body_of(await self.client.get(PATH + path, params=query))

    async def refresh(self, number: int, **body: Any) -> Any:
        return await self.post(f"/{connection_id(number)}/refresh", body)

    async def batch(self, *numbers: int, **more: Any) -> Any:
        return await self.post(
            "/batch/refresh", [{"connectionId": connection_id(number), **more} for number in numbers]
        )

    async def shown(self, number: int) -> Any:
        """The connection by its id, which agrees with the list and its own status."""
        row = await self.get(f"/{connection_id(number)}")
        assert row in await self.get("")
        if "lastRun" in row:
            run = row["lastRun"]
            assert run == await self.get(f"/{connection_id(number)}/status")
            assert run == await self.get(f"/{connection_id(number)}/status", jobId=run["jobId"])
            assert (row["lastRunJobId"], row["lastRunDate"]) == (run["jobId"], run["created"])
        return row

    async def refused(self, status: int, path: str, body: Any, **query: Any) -> dict[str, Any]:
        """The body of a refusal, which began nothing."""
        before = self.effects
        answer = await self.client.post(PATH + path, json=body, params=query)
        assert answer.status_code == status, answer.text
        assert self.effects == before
        refusal = answer.json()
        assert refusal["code"] == status
        assert isinstance(refusal["body"], list if status == 400 else str)
        return refusal


def body_of(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    assert answer.json()["code"] == 200
    return answer.json()["body"]


def statuses(run: dict[str, Any]) -> tuple[str, str]:
    return run["sourceStatus"], run["destinationStatus"]


@pytest.fixture
async def upstream() -> AsyncGenerator[Upstream]:
    async with Upstream().serving() as upstream:
        yield upstream


# One connection


async def test_a_run_waits_then_runs_then_is_complete(upstream: Upstream):
    before = await upstream.shown(IDLE)
    run = await upstream.refresh(IDLE, **PARAMETERS)
    assert run.items() >= PARAMETERS.items()
    assert (run["connectionId"], run["created"], run["workspaceId"]) == (connection_id(IDLE), iso(NOW), WORKSPACE)
    assert run["jobId"] != before["lastRunJobId"]
    for past_s, expected in (
        (0, ("not_started", "not_started")),
        (5, ("running", "not_started")),
        (15, ("complete", "running")),
        (20, ("complete", "complete")),
        (60, ("complete", "complete")),
    ):
        upstream.now = NOW + past_s
        row = await upstream.shown(IDLE)
        assert statuses(row["lastRun"]) == expected
        assert row["lastRun"]["jobId"] == run["jobId"]
        assert row["lastRun"]["updated"] == iso(NOW + min(past_s, 20))
        assert row["lastRunSourceParameters"] == PARAMETERS["sourceParameters"]
        assert row["lastRunDestinationParameters"] == PARAMETERS["destinationParameters"]
    assert upstream.effects == [("refresh", connection_id(IDLE))]
    old = await upstream.get(f"/{connection_id(IDLE)}/status", jobId=before["lastRunJobId"])
    assert old["jobId"] == before["lastRunJobId"]


async def test_how_long_a_run_takes_is_a_knob_for_the_next(upstream: Upstream):
    first = await upstream.refresh(IDLE)
    upstream.imitation.run_lasts_s = 0.0
    second = await upstream.refresh(NEVER)
    assert (statuses(first)[0], statuses(second)) == ("not_started", ("complete", "complete"))
    assert first["jobId"] != second["jobId"]
    assert (first["sourceParameters"], first["destinationParameters"]) == ({}, {})


async def test_one_that_never_ran_has_its_first_run(upstream: Upstream):
    assert "lastRun" not in await upstream.shown(NEVER)
    answer = await upstream.client.get(f"{PATH}/{connection_id(NEVER)}/status")
    assert answer.status_code == 404
    previous = {"usePreviousSourceParameters": True, "usePreviousDestinationParameters": True}
    run = await upstream.refresh(NEVER, **PARAMETERS, **previous)
    assert (run["sourceParameters"], run["destinationParameters"]) == ({}, {}), "there are no previous ones"
    assert (await upstream.shown(NEVER))["lastRunJobId"] == run["jobId"]


async def test_parameters_of_the_last_run_go_before_those_given(upstream: Upstream):
    before = await upstream.shown(IDLE)
    upstream.imitation.run_lasts_s = 0.0
    run = await upstream.refresh(IDLE, **PARAMETERS, usePreviousSourceParameters=True)
    assert run["sourceParameters"] == before["lastRunSourceParameters"]
    assert run["destinationParameters"] == PARAMETERS["destinationParameters"]
    run = await upstream.refresh(IDLE, sourceParameters={"period": "x"}, usePreviousDestinationParameters=True)
    assert run["sourceParameters"] == {"period": "x"}
    assert run["destinationParameters"] == PARAMETERS["destinationParameters"]


async def test_what_runs_cannot_be_refreshed(upstream: Upstream):
    await upstream.refresh(IDLE)
    refusal = await upstream.refused(409, f"/{connection_id(IDLE)}/refresh", {})
    assert refusal["details"][0]["code"] == "CONFLICT"
    upstream.now += 20
    await upstream.refresh(IDLE)
    while "running" not in statuses((await upstream.shown(BUSY))["lastRun"]):
        upstream.now += 5
    await upstream.refused(409, f"/{connection_id(BUSY)}/refresh", {})


@pytest.mark.parametrize(
    "body",
    [[], "x", None, {"sourceParameters": []}, {"usePreviousSourceParameters": 1}, {"workspaceId": OTHER_WORKSPACE}],
)
async def test_a_body_that_cannot_be_used_is_refused(upstream: Upstream, body: Any):
    await upstream.refused(400, f"/{connection_id(IDLE)}/refresh", body)


async def test_an_unknown_connection_or_run_is_not_found(upstream: Upstream):
    await upstream.refused(404, "/nope/refresh", {})
    for path, query in (
        ("/nope/status", {}),
        (f"/{connection_id(IDLE)}/status", {"jobId": "nope"}),
        (f"/{connection_id(NEVER)}/status", {"jobId": "nope"}),
        (f"/{connection_id(IDLE)}/status", {"jobId": (await upstream.shown(5))["lastRunJobId"]}),
        ("/batch/refresh/nope", {}),
    ):
        answer = await upstream.client.get(PATH + path, params=query)
        assert (answer.status_code, answer.json()["code"]) == (404, 404)
        assert isinstance(answer.json()["body"], str)


async def test_the_workspace_may_be_named_if_it_is_the_right_one(upstream: Upstream):
    run = await upstream.refresh(IDLE, workspaceId=WORKSPACE)
    path = f"/{connection_id(IDLE)}/status"
    assert (await upstream.get(path, workspaceId=WORKSPACE))["jobId"] == run["jobId"]
    assert (await upstream.client.get(PATH + path, params={"workspaceId": OTHER_WORKSPACE})).status_code == 400


async def test_a_destination_that_is_not_writable_ends_in_an_error(upstream: Upstream):
    upstream.imitation.unwritable.add(connection_id(IDLE))
    await upstream.refresh(IDLE)
    upstream.now += 20
    run = (await upstream.shown(IDLE))["lastRun"]
    assert (statuses(run), bool(run["error"])) == (("complete", "error"), True)


# Several of one workbook


def test_some_connections_share_a_workbook():
    shared = {connection_id(number): workbooks_of(ends(number)) for number in WORKBOOK}
    assert len(set(shared.values())) == 1
    assert len({ends(number)["destinationId"] for number in WORKBOOK}) == 1
    assert {ends(number)["destinationType"] for number in WORKBOOK} == {"spreadsheet_section"}
    assert workbooks_of(ends(3)) == workbooks_of(ends(27)) != frozenset(), "they read from one"
    assert workbooks_of(ends(IDLE)) == frozenset()
    assert sum(not workbooks_of(ends(number)).isdisjoint(shared[connection_id(30)]) for number in range(4000)) <= 100


async def test_a_batch_is_as_far_as_its_children(upstream: Upstream):
    batch = await upstream.batch(*WORKBOOK, **PARAMETERS)
    id = batch["batchRefreshId"]
    assert [child["connectionId"] for child in batch["childRefreshes"]] == [connection_id(n) for n in WORKBOOK]
    assert batch["created"] == iso(NOW)
    for past_s, expected in (
        (0, ("not_started", "not_started")),
        (5, ("running", "not_started")),
        (15, ("complete", "running")),
        (20, ("complete", "complete")),
    ):
        upstream.now = NOW + past_s
        batch = await upstream.get(f"/batch/refresh/{id}", workspaceId=WORKSPACE)
        assert statuses(batch) == expected
        for number, child in zip(WORKBOOK, batch["childRefreshes"], strict=True):
            assert child == (await upstream.shown(number))["lastRun"]
            assert child.items() >= PARAMETERS.items()
    assert upstream.effects == [("batch", id), *(("refresh", connection_id(number)) for number in WORKBOOK)]
    answer = await upstream.client.get(f"{PATH}/batch/refresh/{id}", params={"workspaceId": OTHER_WORKSPACE})
    assert answer.status_code == 400


async def test_a_child_that_runs_already_has_an_error_of_its_own(upstream: Upstream):
    await upstream.refresh(40)
    batch = await upstream.batch(*WORKBOOK, 30)
    assert [bool(child.get("error")) for child in batch["childRefreshes"]] == [False, True, False, True]
    assert [kind for kind, _ in upstream.effects] == ["refresh", "batch", "refresh", "refresh"]
    upstream.now += 20
    batch = await upstream.get(f"/batch/refresh/{batch['batchRefreshId']}")
    assert statuses(batch) == ("error", "error")
    again = await upstream.batch(*WORKBOOK)
    assert again["batchRefreshId"] != batch["batchRefreshId"]


@pytest.mark.parametrize("cancels", [True, False])
async def test_a_child_that_is_not_writable_is_called_off_where_that_is_asked_for(upstream: Upstream, cancels: bool):
    upstream.imitation.unwritable.add(connection_id(40))
    asked = [{"connectionId": connection_id(number)} for number in WORKBOOK]
    answer = await upstream.client.post(f"{PATH}/batch/refresh", json=asked, params={"cancelUnwritables": cancels})
    id = body_of(answer)["batchRefreshId"]
    upstream.now += 20
    batch = await upstream.get(f"/batch/refresh/{id}")
    first, second, third = batch["childRefreshes"]
    assert statuses(first) == statuses(third) == ("complete", "complete")
    assert statuses(second) == (("complete", "cancelled") if cancels else ("complete", "error"))
    assert second["error"]
    assert batch["destinationStatus"] == ("complete" if cancels else "error")
    assert len(upstream.effects) == (3 if cancels else 4)


def asking(*numbers: int, **more: Any) -> list[dict[str, Any]]:
    return [{"connectionId": connection_id(number), **more} for number in numbers]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        [{}],
        [5],
        asking(IDLE),
        asking(30, IDLE),
        asking(30, 3),
        asking(30, 99),
        asking(*[30] * 101),
        asking(30, workspaceId=OTHER_WORKSPACE),
        asking(30, sourceParameters="x"),
    ],
)
async def test_a_batch_that_cannot_be_is_refused_whole(upstream: Upstream, body: Any):
    await upstream.refused(400, "/batch/refresh", body)


async def test_a_hundred_can_be_refreshed_at_once():
    async with Upstream(size=3000).serving() as upstream:
        shared = [number for number in range(3000) if ends(number)["destinationId"] == ends(30)["destinationId"]]
        assert len(shared) == 99
        batch = await upstream.batch(*shared, 30)
        assert len(batch["childRefreshes"]) == 100


# Nothing twice

TROUBLE: dict[str, dict[str, Any]] = {
    "hang": {"hang": True},
    "reset": {"reset": True},
    "status": {"status": 503},
    "cut": {"cut": True},
}


@pytest.mark.parametrize("path", ["refresh", "batch"])
@pytest.mark.parametrize("late", [False, True], ids=["before", "late"])
@pytest.mark.parametrize("trouble", TROUBLE)
async def test_effects_tell_whether_a_lost_call_was_carried_out(
    upstream: Upstream, trouble: str, late: bool, path: str
):
    upstream.imitation.knobs = Knobs(**TROUBLE[trouble], late=late)
    where, body = (f"/{connection_id(30)}/refresh", {}) if path == "refresh" else ("/batch/refresh", asking(30))
    with contextlib.suppress(httpx.TransportError):
        await upstream.client.post(PATH + where, json=body, timeout=0.2)
    done = late or trouble == "cut"
    for _ in range(1000 if done else 0):
        if upstream.effects:
            break
        await asyncio.sleep(0.005)
    expected = [Effect("refresh", connection_id(30))] if done else []
    assert [effect for effect in upstream.imitation.effects if effect.kind == "refresh"] == expected
    assert upstream.imitation.journal.count("refresh") == 1
