"""Airbyte's jobs as runs: ids and counts beyond 32 bits, seconds, the last attempt's numbers, no stack traces."""

import datetime as dt
from typing import Any

import httpx
import msgspec
import pytest

from adapters import errors
from adapters.airbyte import PROVIDER, convert, wire
from adapters.airbyte.demo import PLANTED, AirbyteImitation, connection_id
from adapters.decode import rows
from adapters.imitation import Knobs
from adapters.model import Connection, Run, RunStatus
from adapters.port import LIST_FIELDS
from adapters.writing import Cancel, ProblemCode, Reset, Start
from tests.adapters.contracted import NOW, Contracted, Rewritten, listed, over, paged
from tests.adapters.sending import fulfilled, problems
from tests.conftest import Clock

JOB = {
    "id": 9_007_199_254_740_993,
    "configType": "sync",
    "configId": "c",
    "createdAt": 1678440000,
    "startedAt": 1678440005,
    "updatedAt": 1678440100,
    "status": "succeeded",
}
FAILURE = {
    "failureOrigin": "source",
    "externalMessage": "Refused: password=hunter2 for https://user:hunter2@db.example",
    "internalMessage": f"with {PLANTED}",
    "stacktrace": f"java.lang.X {PLANTED}",
    "timestamp": 1678440100000,
}


def run(attempts: Any = None, **job: Any) -> Run:
    body = msgspec.json.encode([{"job": JOB | job, "attempts": attempts}])
    (row,) = rows(body, wire.JobWithAttempts).rows
    return convert.run(row)


def at(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def test_a_job_is_a_run_with_the_numbers_of_its_last_attempt():
    attempts = [
        {"recordsSynced": 1, "bytesSynced": 2, "endedAt": 1678440050, "failureSummary": {"failures": [FAILURE]}},
        {"recordsSynced": 2**40, "bytesSynced": 2**62, "endedAt": 1678440090},
    ]
    assert run(attempts) == Run(
        id="9007199254740993",
        status=RunStatus.SUCCEEDED,
        started_at=at(1678440005),
        ended_at=at(1678440090),
        records_synced=2**40,
        bytes_synced=2**62,
    )


def test_an_attempt_that_failed_without_an_end_ended_when_it_failed_which_is_in_milliseconds():
    failed = [{"failureSummary": {"failures": [{"externalMessage": "x"}, FAILURE | {"timestamp": 1678440077123}]}}]
    assert run(failed, status="failed").ended_at == at(1678440077) + dt.timedelta(milliseconds=123)
    assert run([{"endedAt": 1678440090, **failed[0]}], status="failed").ended_at == at(1678440090)
    assert run(failed, status="running").ended_at is None


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled", "incomplete"])
def test_a_finished_job_without_attempts_ended_when_it_last_changed(status: str):
    assert run([], status=status).ended_at == at(1678440100)


@pytest.mark.parametrize("status", ["pending", "queued", "running", "a_new_word", None])
def test_a_job_that_goes_on_has_no_end(status: str | None):
    got = run([{"endedAt": 1678440090}], status=status)
    assert got.ended_at is None
    assert got.started_at == at(1678440005)


def test_a_job_that_did_not_start_has_the_time_it_was_made():
    assert run(None, status="pending", startedAt=None).started_at == at(1678440000)


def test_counts_come_from_the_statistics_where_the_attempt_has_none():
    stats = {"recordsCommitted": 7, "recordsEmitted": 9, "bytesEmitted": 11}
    got = run([{"totalStats": stats}])
    assert (got.records_synced, got.bytes_synced) == (7, 11)
    assert run([{"recordsSynced": 0, "totalStats": stats}]).records_synced == 0


def test_what_went_wrong_is_what_is_meant_for_people_with_credentials_masked():
    got = run([{"failureSummary": {"failures": [{"externalMessage": None}, FAILURE]}}], status="failed")
    assert got.error == "Refused: password=********** for https://**********@db.example"
    assert PLANTED not in repr(got)


NOTHING: dict[str, Any] = {}
NO_WORDS: tuple[Any, ...] = (None, NOTHING, {"failures": None}, {"failures": []}, {"failures": [NOTHING]}, "x", [])


@pytest.mark.parametrize("summary", NO_WORDS)
def test_a_failure_without_words_has_none(summary: Any):
    assert run([{"failureSummary": summary}], status="failed").error is None


def test_odd_values_cost_themselves_only():
    odd = run([{"recordsSynced": "many", "bytesSynced": {}, "endedAt": "soon"}], status=5, createdAt="x", startedAt=[])
    assert odd == Run(id="9007199254740993", status=RunStatus.UNKNOWN)
    latest = 2**63 - 1
    extremes = run([{"recordsSynced": -(2**63), "endedAt": latest}], id=-(2**63), startedAt=-(2**63), updatedAt=latest)
    assert (extremes.id, extremes.records_synced, extremes.ended_at) == (str(-(2**63)), -(2**63), None)


async def jobs(contracted: Contracted, body: Any, limit: int = 10, after: str | None = None) -> Any:
    contracted.imitation.knobs = Knobs(body=msgspec.json.encode(body).decode(), only="/jobs/list")
    page = await paged(contracted.adapter, limit=1)
    return await contracted.adapter.runs(page.connections[0], after=after, limit=limit)


async def test_a_job_nobody_can_read_costs_that_job_and_its_place_is_kept():
    async with over(PROVIDER, AirbyteImitation(clock=lambda: NOW)) as contracted:
        listed = [{"job": JOB | {"id": 1}}, {"job": {"id": None}}, {"job": JOB | {"id": 3}}]
        page = await jobs(contracted, {"jobs": listed, "totalJobCount": 9}, limit=3)
        assert ([run.id for run in page.runs], page.more, page.total) == (["1", "3"], True, 9)
        assert page.tokens[-1].startswith("[3,"), "as many jobs were behind it"
        last = await jobs(contracted, {"jobs": listed, "totalJobCount": 9}, limit=3, after="[6]")
        assert not last.more


async def test_without_a_total_a_short_page_is_the_last():
    async with over(PROVIDER, AirbyteImitation(clock=lambda: NOW)) as contracted:
        assert (await jobs(contracted, {"jobs": [{"job": JOB}]}, limit=1)).more
        assert not (await jobs(contracted, {"jobs": [{"job": JOB}]}, limit=2)).more
        assert not (await jobs(contracted, {"jobs": [], "totalJobCount": 5}, limit=2)).more


# The types of jobs that later versions add


EARLIER, ALL = ["sync", "reset_connection"], ["sync", "reset_connection", "refresh", "clear"]
ACTIVE = connection_id(4)
"""A connection that syncs by the hour, and not now."""


def quiet() -> Clock:
    """A clock at half past an hour, when no connection syncs that does so by the hour."""
    clock = Clock()
    clock.now = clock.now // 3600 * 3600 + 1800
    return clock


def asked_types(contracted: Contracted) -> list[list[str]]:
    return [asked.json()["configTypes"] for asked in contracted.imitation.journal.asked if "/jobs/list" in asked.path]


async def found(contracted: Contracted) -> Connection:
    connection = (await contracted.adapter.get_many({ACTIVE: LIST_FIELDS})).by_id[ACTIVE]
    assert isinstance(connection, Connection)
    return connection


async def begun(contracted: Contracted, what: str) -> None:
    """A job begun by somebody else, at the upstream itself."""
    async with httpx.AsyncClient(auth=("airbyte", "password")) as client:
        url = f"{contracted.url}/api/v1/connections/{what}"
        assert (await client.post(url, json={"connectionId": ACTIVE})).status_code == 200


@pytest.mark.parametrize("what", ["refresh", "clear"])
@pytest.mark.parametrize("by_list", [True, False])
async def test_refreshes_and_clearings_of_later_versions_are_runs(what: str, by_list: bool):
    clock = quiet()
    async with over(PROVIDER, AirbyteImitation(clock=clock, generation="cursor", login="basic")) as contracted:
        await begun(contracted, what)
        clock.now += 10
        rows = {row.native_id: row for row in await listed(contracted.adapter)} if by_list else {}
        connection = rows.get(ACTIVE) or await found(contracted)
        assert connection.running
        before = await contracted.adapter.runs(connection, after=None, limit=2)
        assert [run.status for run in before.runs][:1] == [RunStatus.RUNNING]
        assert asked_types(contracted) == [ALL]
        cancelled = await fulfilled(contracted.adapter, Cancel(connection))
        assert cancelled.run is not None
        assert (cancelled.run.id, cancelled.run.status) == (before.runs[0].id, RunStatus.CANCELLED)


@pytest.mark.parametrize(("what", "own", "other"), [("refresh", Start, Reset), ("clear", Reset, Start)])
async def test_what_goes_on_already_is_attached_to_by_what_it_does(what: str, own: type[Any], other: type[Any]):
    async with over(PROVIDER, AirbyteImitation(clock=quiet(), generation="cursor", login="basic")) as contracted:
        await begun(contracted, what)
        connection = await found(contracted)
        done = await fulfilled(contracted.adapter, own(connection))
        assert done.is_attached
        assert await problems(contracted.adapter, other(connection)) == [((), ProblemCode.RUNNING_ALREADY)]
        assert [effect.kind for effect in contracted.imitation.effects] == [what]


async def test_a_version_that_does_not_page_its_lists_shows_by_its_rows_that_it_is_a_later_one():
    imitation = AirbyteImitation(clock=lambda: NOW)

    def dated(body: Any) -> Any:
        return {"connections": [{**row, "sourceActorDefinitionVersion": {}} for row in body["connections"]]}

    imitation.app = Rewritten(imitation.app, "/connections/list", dated)
    async with over(PROVIDER, imitation, retries=0) as contracted:
        (row, *_) = await listed(contracted.adapter)
        assert (await contracted.adapter.runs(row, after=None, limit=1)).runs
        assert asked_types(contracted) == [ALL, EARLIER], "this one refuses them all the same"
        await listed(contracted.adapter)
        await contracted.adapter.runs(row, after=None, limit=1)
        assert asked_types(contracted) == [ALL, EARLIER, EARLIER]


async def test_the_earlier_generation_is_asked_for_what_it_knows_and_a_change_tries_the_rest_once():
    imitation = AirbyteImitation(clock=quiet())
    async with over(PROVIDER, imitation, retries=0) as contracted:
        await listed(contracted.adapter)
        connection = await found(contracted)
        await contracted.adapter.runs(connection, after=None, limit=1)
        assert asked_types(contracted) == [EARLIER]
        for _ in range(2):
            await contracted.adapter.draft(Start(connection))
        assert asked_types(contracted) == [EARLIER, ALL, EARLIER, EARLIER]
        imitation.generation = "cursor"
        await listed(contracted.adapter)
        await contracted.adapter.runs(connection, after=None, limit=1)
        assert asked_types(contracted)[-1] == ALL, "it was updated meanwhile"


async def test_pages_of_runs_count_the_types_that_the_first_of_them_did():
    imitation = AirbyteImitation(clock=quiet(), generation="cursor", login="basic")
    imitation.app = Rewritten(imitation.app, "/connections/get", _undated)
    async with over(PROVIDER, imitation) as contracted:
        await begun(contracted, "refresh")
        connection = await found(contracted)
        first = await contracted.adapter.runs(connection, after=None, limit=2)
        await listed(contracted.adapter)  # which shows that it is of a later version
        second = await contracted.adapter.runs(connection, after=first.tokens[-1], limit=2)
        assert asked_types(contracted) == [EARLIER, EARLIER]
        whole = await contracted.adapter.runs(connection, after=None, limit=5)
        assert asked_types(contracted)[-1] == ALL
    met = [run.id for run in (*first.runs, *second.runs)]
    assert met == [run.id for run in whole.runs[1:]]


def _undated(body: Any) -> Any:
    return {name: value for name, value in body.items() if name != "createdAt"}


async def test_a_connection_that_is_refused_itself_says_nothing_of_types():
    imitation = AirbyteImitation(clock=lambda: NOW, generation="cursor")
    async with over(PROVIDER, imitation, retries=0) as contracted:
        connection = await found(contracted)
        imitation.knobs = Knobs(status=400, only="/jobs/list")
        with pytest.raises(errors.Rejected):
            await contracted.adapter.runs(connection, after=None, limit=1)
        imitation.knobs = Knobs()
        await contracted.adapter.runs(connection, after=None, limit=1)
        assert asked_types(contracted) == [ALL, EARLIER, ALL]
