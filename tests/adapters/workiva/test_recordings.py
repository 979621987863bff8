"""Recorded answers of Wdata, and exactly what becomes of them."""

import datetime as dt
import pathlib

import msgspec
import pytest
from starlette.responses import Response

from adapters import errors
from adapters.imitation import Knobs
from adapters.model import Connection, Endpoint, Run, RunStatus
from adapters.port import LIST_FIELDS
from adapters.workiva import PROVIDER
from adapters.workiva.demo import WorkivaImitation
from adapters.workiva.details import WorkivaConnection, WorkivaRun
from tests.adapters.contracted import Rewritten, listed, native_ids, over, paged

RECORDINGS = pathlib.Path(__file__).parent / "recordings"
BALANCE = "9d1f0a6f7d2a4c6f8a3b5e7c1d2e3f40"
WORKSPACE = "QWNjb3VudB8xMjM0NTY3ODk"
USER = "V0ZVc2VyHzUxMjM0NTY3OA"
RAN = dt.datetime(2026, 3, 2, 17, 39, 21, 4000, tzinfo=dt.UTC)
ENDED = dt.datetime(2026, 3, 2, 17, 40, 3, 551_000, tzinfo=dt.UTC)


class Saying(WorkivaImitation):
    """An imitation whose errors say a recorded text."""

    said = ""

    def error_response(self, status: int) -> Response:
        return Response(self.said, status)


def recorded(name: str) -> str:
    return (RECORDINGS / name).read_text()


def imitation(name: str, only: str = "/connections") -> WorkivaImitation:
    server = WorkivaImitation()
    server.knobs = Knobs(body=recorded(name), only=only)
    return server


async def test_the_recorded_list_is_three_connections():
    async with over(PROVIDER, imitation("list.json")) as contracted:
        page = await paged(contracted.adapter, limit=25)
    assert page.dropped == 0
    balance, headcount, bare = page.connections
    assert balance.native_id == BALANCE
    assert balance.name == "Q1 trial balance -> 10-Q workbook"
    assert balance.description == "Feeds the consolidated trial balance sheet"
    assert (balance.status, balance.enabled, balance.running) == ("HEALTHY", True, False)
    assert balance.source == Endpoint(id="0f8e7d6c5b4a39281706f5e4d3c2b1a0", type="wdata_query", workspace_id=WORKSPACE)
    assert balance.destination == Endpoint(
        id="a5f2c9e84b1d4f5e9c7a3b2d1e0f6a78_sheet_2c4f", type="spreadsheet_section", workspace_id=WORKSPACE
    )
    job = "5e4d3c2b1a09f8e7d6c5b4a392817060"
    assert balance.last_run == Run(id=job, status=RunStatus.SUCCEEDED, started_at=RAN, ended_at=ENDED, by=USER)
    assert balance.created_at == dt.datetime(2026, 1, 14, 9, 12, 44, 120_000, tzinfo=dt.UTC)
    assert (balance.updated_at, balance.created_by, balance.workspace_id) == (ENDED, USER, WORKSPACE)
    assert (balance.schedule, balance.environment, balance.schema_change) == (None, None, None)
    assert balance.details == WorkivaConnection(
        source_type="wdata_query",
        source_workspace_id=WORKSPACE,
        destination_type="spreadsheet_section",
        destination_workspace_id=WORKSPACE,
        last_run=WorkivaRun(
            job_id=job,
            connection_id=BALANCE,
            workspace_id=WORKSPACE,
            source_workspace_id=WORKSPACE,
            destination_workspace_id=WORKSPACE,
            source_status="complete",
            destination_status="complete",
            created=RAN,
            created_by=USER,
            updated=ENDED,
            source_parameters={"period": "2026-Q1"},
            destination_parameters={"sheetId": "sheet_2c4f"},
            source_metadata={},
            destination_metadata={},
        ),
        last_run_job_id=job,
        last_run_date=RAN,
        last_run_by=USER,
        last_run_source_parameters={"period": "2026-Q1", "entity": ["US01", "DE02"]},
        last_run_destination_parameters={"sheetId": "sheet_2c4f", "startCell": "A1"},
        metadata={"incoming": True},
    )

    assert headcount.status == "FAILING"
    assert headcount.last_run is not None
    assert headcount.last_run.error == "Destination is not writable"
    assert headcount.status_reason.raw_value == "complete, error"

    assert (bare.name, bare.status, bare.last_run, bare.updated_at) == (None, "NEVER_RAN", None, None)
    assert bare.source == Endpoint(id="deadbeefdeadbeefdeadbeefdeadbeef", type="unknown_record_type")


async def test_the_recorded_record_is_the_first_of_the_list():
    async with over(PROVIDER, imitation("list.json")) as contracted:
        listed = (await paged(contracted.adapter, limit=25)).connections[0]
    async with over(PROVIDER, imitation("read.json")) as contracted:
        found = (await contracted.adapter.get_many({BALANCE: LIST_FIELDS})).by_id
    assert found == {BALANCE: listed}


async def test_a_cursor_that_never_ends_ends_the_walk():
    async with over(PROVIDER, imitation("list.json")) as contracted:
        met = native_ids(await listed(contracted.adapter))
    assert len(met) == len(set(met)) == 3


async def test_a_cursor_at_the_end_that_leads_to_an_empty_page_ends_the_walk():
    server = WorkivaImitation()
    server.app = Rewritten(server.app, "/api/v1/connections", lambda body: {"cursor": "60.1", **body})
    async with over(PROVIDER, server) as contracted:
        assert len(await listed(contracted.adapter)) == 60
        assert server.journal.count("/connections") == 2


@pytest.mark.parametrize("said", ["error.json", "many"])
async def test_recorded_errors_become_ours_without_their_texts(said: str):
    body = recorded("error.json") if said == "error.json" else '{"code": 404, "body": ["one thing", "and another"]}'
    server = Saying()
    server.said = body
    server.knobs = Knobs(status=404, only="/connections")
    async with over(PROVIDER, server) as contracted:
        with pytest.raises(errors.NotFound) as raised:
            await paged(contracted.adapter, limit=5)
        assert (await contracted.adapter.get_many({BALANCE: LIST_FIELDS})).by_id == {}
    assert "not found" not in str(raised.value)
    assert "another" not in str(raised.value)


async def test_every_recorded_row_survives_encoding():
    async with over(PROVIDER, imitation("list.json")) as contracted:
        page = await paged(contracted.adapter, limit=25)
    assert all(isinstance(row, Connection) for row in page.connections)
    assert len(msgspec.json.decode(msgspec.json.encode(page.connections))) == 3
