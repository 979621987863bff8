"""What reading Workiva costs, where its tokens come from, and what a walk and a name take."""

import time
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from adapters import errors, walk
from adapters.http1 import Client
from adapters.imitation import Knobs
from adapters.model import Connection, RunStatus
from adapters.port import LIST_FIELDS, Filter, List
from adapters.workiva import PROVIDER
from adapters.workiva.client import API_VERSION
from adapters.workiva.demo import WorkivaImitation
from tests.adapters.contracted import (
    NOW,
    Rewritten,
    built,
    calls,
    host_called,
    listed,
    native_ids,
    over,
    paged,
    settings_of,
    walked,
)

NAMES = frozenset({"source.name"})


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Noting:
    """An app, and what it was asked."""

    def __init__(self, server: WorkivaImitation) -> None:
        self._app, server.app = server.app, self
        self.asked: list[tuple[str, list[tuple[str, str]], dict[str, str]]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            self.asked.append((scope["path"], request.query_params.multi_items(), dict(request.headers)))
        await self._app(scope, receive, send)


def workiva(**options: Any) -> WorkivaImitation:
    return WorkivaImitation(clock=lambda: NOW, **options)


# Tokens


async def test_tokens_come_from_their_own_host():
    data, tokens = workiva(), workiva()
    data.tokens = tokens.tokens
    async with data.serve() as data_url, tokens.serve() as token_url, Client() as client:
        raw = data.settings(data_url) | {"token_url": token_url}
        page = await built(PROVIDER, client, raw).read(List())
    assert len(page.connections) == 60
    assert tokens.journal.calls == ["POST /oauth2/token"]
    assert data.journal.calls == ["GET /api/v1/connections"]


@pytest.mark.parametrize(("region", "host"), [("us", "app"), ("eu", "eu"), ("apac", "apac")])
async def test_a_region_has_a_host_for_data_and_another_for_tokens(region: str, host: str):
    raw = {"provider": "workiva", "region": region}
    grant = {"client_id": "a", "client_secret": "b"}
    assert await host_called(PROVIDER, {**raw, "auth": {"token": "t"}}) == f"h.{host}.wdesk.com:443"
    assert await host_called(PROVIDER, {**raw, "auth": grant}) == f"api.{host}.wdesk.com:443"


async def test_a_token_is_kept_its_ten_minutes_and_then_renewed():
    clock = Hand()
    async with over(PROVIDER, WorkivaImitation(clock=clock), retries=0) as contracted:
        for _ in range(3):
            await listed(contracted.adapter)
        assert calls(contracted) == {"POST /oauth2/token": 1, "GET /api/v1/connections": 3}
        clock.now += 600
        await listed(contracted.adapter)
        assert calls(contracted) == {"POST /oauth2/token": 1, "GET /api/v1/connections": 2}


async def test_a_token_without_a_term_is_used_all_the_same():
    for said in ({"expires_in": None}, {"expires_in": "599"}, {"expires_in": "soon"}, {}):
        server = workiva()
        server.app = Rewritten(
            server.app, "/oauth2/token", lambda body, said=said: {"access_token": body["access_token"], **said}
        )
        async with over(PROVIDER, server) as contracted:
            await listed(contracted.adapter)
            assert calls(contracted)["POST /oauth2/token"] == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_no_token_to_be_had_is_unauthorized_for_a_page_and_for_each_id(status: int):
    server = workiva()
    server.knobs = Knobs(status=status, only="/oauth2/token")
    id = server.rows()[0]["connectionId"]
    async with over(PROVIDER, server, retries=0) as contracted:
        with pytest.raises(errors.Unauthorized) as raised:
            await listed(contracted.adapter)
        assert raised.value.operation == "get_token"
        assert isinstance((await contracted.adapter.get_many({id: LIST_FIELDS})).by_id[id], errors.Unauthorized)


@pytest.mark.parametrize("region", ["uk", "", "US"])
def test_a_region_that_does_not_exist_is_refused(region: str):
    with pytest.raises(ValueError, match="region"):
        settings_of(PROVIDER, {"provider": "workiva", "region": region})


async def test_a_user_name_and_a_password_are_no_way_to_log_in():
    async with Client() as client:
        raw = {"provider": "workiva", "auth": {"username": "a", "password": "hunter2"}}
        with pytest.raises(errors.ConfigurationError) as raised:
            built(PROVIDER, client, raw)
    assert "hunter2" not in str(raised.value)


# Lists


async def test_a_walk_goes_from_page_to_page_of_the_upstream_and_meets_each_row_once():
    server = workiva(size=2300)
    async with over(PROVIDER, server) as contracted:
        met = native_ids(await listed(contracted.adapter))
        assert calls(contracted) == {"POST /oauth2/token": 1, "GET /api/v1/connections": 3}
    assert met == [row["connectionId"] for row in server.rows()]


async def test_an_upstream_that_gives_a_row_at_a_time_is_walked_to_its_end():
    server = workiva(size=150)
    numbers = {row["connectionId"]: number for number, row in enumerate(server.rows(), 1)}

    def single(body: Any) -> Any:
        (row, *rest) = body["body"]
        return {**body, "body": [row], "cursor": f"{numbers[row['connectionId']]}.2" if rest else None}

    server.app = Rewritten(server.app, "/api/v1/connections", single)
    async with over(PROVIDER, server) as contracted:
        assert len(set(native_ids(await listed(contracted.adapter)))) == 150


async def test_a_narrowed_list_is_walked_to_its_end_by_cursors_that_hold_what_was_asked():
    server = workiva(page_cap=1)
    end = server.row(0)
    where = Filter(source_id=(end["sourceId"],), source_type=(end["sourceType"],))
    async with over(PROVIDER, server) as contracted:
        narrowing = contracted.adapter.narrow(where)
        assert narrowing.conditions == {"source_id", "source_type"}
        walked = await walk.whole(contracted.adapter, List("", narrowing.asked))
        assert calls(contracted)["GET /api/v1/connections"] == 3
    expected = [row["connectionId"] for row in server.rows() if row["sourceId"] == end["sourceId"]]
    assert native_ids(walked.rows) == expected
    assert len(expected) == 3


async def test_every_call_names_the_version_and_pages_by_cursor_alone_or_a_limit_within_bounds():
    server = workiva(size=1500)
    noting = Noting(server)
    async with over(PROVIDER, server) as contracted:
        assert len(await listed(contracted.adapter)) == 1500
    lists = [(dict(query), headers) for path, query, headers in noting.asked if path.endswith("/connections")]
    assert [query for query, _ in lists] == [{"limit": "1000"}, {"cursor": "1000.1000"}]
    assert all(headers["x-version"] == API_VERSION for _, headers in lists)


async def test_any_number_of_ids_costs_one_list():
    async with over(PROVIDER, workiva(size=900)) as contracted:
        ids = native_ids(await listed(contracted.adapter))
        calls(contracted)
        assert len((await contracted.adapter.get_many(dict.fromkeys(ids, LIST_FIELDS))).by_id) == 900
        assert calls(contracted) == {"GET /api/v1/connections": 1}


async def test_ids_behind_the_first_thousand_are_asked_for_one_by_one():
    server = workiva(size=1010)
    async with over(PROVIDER, server) as contracted:
        ids = [row["connectionId"] for row in server.rows()][995:1003]
        found = (await contracted.adapter.get_many(dict.fromkeys(ids, LIST_FIELDS))).by_id
        assert set(found) == set(ids)
        counted = calls(contracted)
        assert counted["GET /api/v1/connections"] == 1
        assert sum(n for path, n in counted.items() if path.startswith("GET /api/v1/connections/")) == 3


KIND, END = ("wdata_query",), ("id",)


@pytest.mark.parametrize(
    ("where", "used"),
    [
        (Filter(source_type=KIND, source_id=END), {"source_type", "source_id"}),
        (Filter(destination_type=KIND, destination_id=END), {"destination_type", "destination_id"}),
        (Filter(source_type=KIND), set[str]()),
        (Filter(source_id=END), set[str]()),
        (Filter(source_type=KIND, destination_id=END), set[str]()),
        (Filter(source_type=KIND, source_id=("id", "another")), set[str]()),
        (Filter(source_type=(*KIND, "report"), source_id=END), set[str]()),
        (Filter(source_type=("esg_program",), source_id=END), set[str]()),  # rows can have it, a list cannot be asked
        (Filter(source_type=(), source_id=END), set[str]()),
    ],
)
async def test_a_list_is_narrowed_to_one_end_by_both_its_type_and_its_id(where: Filter, used: set[str]):
    async with over(PROVIDER, workiva()) as contracted:
        narrowing = contracted.adapter.narrow(where)
    assert narrowing.conditions == used
    assert bool(narrowing.asked) == bool(used)


@pytest.mark.parametrize("workspace_id", [None, WorkivaImitation().row(0)["workspaceId"]])
async def test_a_read_by_id_is_narrowed_to_a_workspace_only_where_one_is_configured(workspace_id: str | None):
    server = workiva()
    noting = Noting(server)
    id = server.rows()[0]["connectionId"]
    async with over(PROVIDER, server, workspace_id=workspace_id) as contracted:
        assert isinstance((await contracted.adapter.get_many({id: LIST_FIELDS})).by_id[id], Connection)
    assert noting.asked[-1][1] == ([("workspaceId", workspace_id)] if workspace_id else [])


# Names


async def test_without_names_asked_for_no_names_are_looked_up():
    async with over(PROVIDER, workiva()) as contracted:
        connections = await walked(contracted.adapter, frozenset({"source.id", "source.type", "name"}))
        assert {path for path in calls(contracted) if "query" in path or "table" in path} == set()
        assert all(connection.source is None or connection.source.name is None for connection in connections)


async def test_names_of_queries_and_tables_are_looked_up_once_for_all_pages():
    async with over(PROVIDER, workiva()) as contracted:
        connections = await walked(contracted.adapter, NAMES)
        assert calls(contracted) == {
            "POST /oauth2/token": 1,
            "GET /api/v1/connections": 1,
            "GET /api/v1/query": 1,
            "GET /api/v1/table": 1,
        }
        for connection in connections:
            assert connection.source is not None
            named = (connection.source.type or "").startswith("wdata_")
            assert (connection.source.name is not None) == named
        await walked(contracted.adapter, NAMES)
        assert set(calls(contracted)) == {"GET /api/v1/connections"}


async def test_queries_without_an_answer_are_not_asked_for_again():
    server = workiva()
    server.knobs = Knobs(body='{"body": [], "code": 200}', only="/api/v1/query")
    async with over(PROVIDER, server) as contracted:
        for _ in range(3):
            await paged(contracted.adapter, limit=50, fields=NAMES)
        assert calls(contracted)["GET /api/v1/query"] == 1


async def test_the_names_asked_for_are_those_of_the_rows_and_never_none():
    server = workiva()
    noting = Noting(server)
    async with over(PROVIDER, server) as contracted:
        page = await paged(contracted.adapter, limit=4, fields=NAMES)
    wanted = {
        c.source.id for c in page.connections if c.source and c.source.type in ("wdata_query", "wdata_shared_query")
    }
    (query,) = [query for path, query, _ in noting.asked if path.endswith("/query")]
    assert {value for name, value in query if name == "ids"} == wanted
    assert wanted


async def test_a_lookup_that_fails_leaves_the_rows_and_says_so():
    server = workiva()
    server.knobs = Knobs(status=500, only="/api/v1/query")
    async with over(PROVIDER, server, retries=0) as contracted:
        page = await paged(contracted.adapter, limit=50, fields=NAMES)
        assert len(page.connections) == 50
        assert [type(failure) for failure in page.failures] == [errors.UpstreamFault]
        assert any(c.source and c.source.name for c in page.connections), "the tables have theirs"


async def test_names_of_queries_that_cannot_be_had_are_not_asked_for_at_each_page():
    server = workiva()
    async with over(PROVIDER, server, retries=0) as contracted:
        rows = await listed(contracted.adapter)
        queries = [
            row for row in rows if row.source is not None and row.source.type in ("wdata_query", "wdata_shared_query")
        ]
        ids = {row.source.id for row in queries if row.source is not None}
        known, others = queries[:1], [row for row in queries[1:] if row.source != queries[0].source]
        assert len(ids) > 2
        (named,) = (await contracted.adapter.complete(known, NAMES)).connections
        calls(contracted)
        server.knobs = Knobs(status=503, only="/api/v1/query")
        for page in (others[:1], others[1:], [*known, *others]):
            completed = await contracted.adapter.complete(page, NAMES)
            assert [type(failure) for failure in completed.failures] == [errors.UpstreamFault]
            assert completed.good_until == 0.0
        assert completed.connections[0] == named, "what is known stays"
        completed = await contracted.adapter.complete(known, NAMES)
        assert (completed.connections, completed.failures) == ((named,), ())
        assert calls(contracted) == {"GET /api/v1/query": 1}


async def test_a_list_of_tables_whose_cursor_leads_nowhere_ends():
    server = workiva()
    server.app = Rewritten(server.app, "/api/v1/table", lambda body: body | {"cursor": "0.1"})
    async with over(PROVIDER, server) as contracted:
        page = await paged(contracted.adapter, limit=50, fields=NAMES)
        assert page.failures == ()
        assert calls(contracted)["GET /api/v1/table"] <= 3


# Runs


async def test_the_only_run_is_the_last_one_and_costs_nothing():
    async with over(PROVIDER, workiva()) as contracted:
        connections = await listed(contracted.adapter)
        calls(contracted)
        for connection in connections:
            page = await contracted.adapter.runs(connection, after=None, limit=10)
            assert page.runs == (() if connection.last_run is None else (connection.last_run,))
            assert (page.more, page.total) == (False, len(page.runs))
            assert (await contracted.adapter.runs(connection, after="1", limit=10)).runs == ()
        assert calls(contracted) == {}


# Runs


def _bare(body: Any) -> Any:
    """A list whose rows name their last run and do not hold it."""
    return {**body, "body": [{key: value for key, value in row.items() if key != "lastRun"} for row in body["body"]]}


async def test_a_run_that_the_row_holds_costs_nothing_more():
    async with over(PROVIDER, workiva()) as contracted:
        first = (await paged(contracted.adapter, limit=1)).connections[0]
        contracted.imitation.journal.clear()
        page = await contracted.adapter.runs(first, after=None, limit=10)
        assert page.runs == (first.last_run,)
        assert contracted.imitation.journal.calls == []


async def test_a_run_that_the_row_only_names_is_asked_for_by_its_id():
    server = workiva()
    whole = server.row(0)["lastRun"]
    server.app = Rewritten(server.app, "/api/v1/connections", _bare)
    async with over(PROVIDER, server) as contracted:
        first = (await paged(contracted.adapter, limit=1)).connections[0]
        assert first.last_run is not None
        assert (first.last_run.id, first.last_run.status) == (whole["jobId"], RunStatus.UNKNOWN)
        contracted.imitation.journal.clear()
        (run,) = (await contracted.adapter.runs(first, after=None, limit=10)).runs
        assert (run.id, run.status, run.by) == (whole["jobId"], RunStatus.SUCCEEDED, whole["createdBy"])
        assert contracted.imitation.journal.calls == [f"GET /api/v1/connections/{first.native_id}/status"]


async def test_a_run_that_is_gone_is_what_the_row_says_of_it():
    server = workiva()
    server.app = Rewritten(server.app, "/api/v1/connections", _bare)
    async with over(PROVIDER, server) as contracted:
        first = (await paged(contracted.adapter, limit=1)).connections[0]
        server.knobs = Knobs(status=404, only="/status")
        assert (await contracted.adapter.runs(first, after=None, limit=10)).runs == (first.last_run,)
        server.knobs = Knobs(status=500, only="/status")
        with pytest.raises(errors.UpstreamFault):
            await contracted.adapter.runs(first, after=None, limit=10)
