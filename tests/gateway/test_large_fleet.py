"""A hundred thousand connections: the first pages cost what the first pages of a small fleet do, and once the lists
were read, whatever is asked of them is answered from memory, and right.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import httpx
import pytest

from adapters import ids
from adapters.airbyte.adapter import LIST_PAGE
from adapters.airbyte.demo import AirbyteImitation
from adapters.imitation import Knobs, ListImitation, collated
from adapters.unified_to.client import PAGE_LIMIT
from adapters.unified_to.demo import ENVIRONMENTS, INTEGRATIONS, UnifiedToImitation
from adapters.walk import ABREAST
from adapters.workiva.demo import WorkivaImitation
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Clock, Fleet, gateway_over
from tests.gateway.conftest import spellings

WORKSPACES = {"Europe": 1, "America": 1, "Asia": 1}
SIZES = {AIRBYTE: 39_000, WORKIVA: 1_000, UNIFIED_TO: 60_000}
LISTS = {
    AIRBYTE: "/web_backend/connections/list",
    WORKIVA: "GET /api/v1/connections",
    UNIFIED_TO: "/unified/connection",
}
FRESH_S = 3600
STATUSES: Sequence[str] = (
    "HEALTHY",
    "RUNNING",
    "QUEUED",
    "NEVER_RAN",
    "PAUSED",
    "DELETED",
    "UNKNOWN",
    "DEGRADED",
    "FAILING",
)
"""By severity."""
JOBS = {
    "pending": "QUEUED",
    "running": "RUNNING",
    "failed": "FAILING",
    "incomplete": "DEGRADED",
    "cancelled": "DEGRADED",
    "succeeded": "HEALTHY",
    "": "NEVER_RAN",
}


class Row(NamedTuple):
    """What is expected of a connection, read from what its upstream sends by rules of our own."""

    instance: str
    native_id: str
    part: str
    name: str | None
    status: str
    source_type: str
    texts: str
    created_at: str | None = None
    healthy_at: str | None = None
    workspace_id: str | None = None
    environment: str | None = None
    categories: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return ids.encode(self.instance, self.native_id)


def folded(*texts: str | None) -> str:
    return "\n".join(collated(text or "", "folded")[0] for text in texts)


def airbyte(server: AirbyteImitation, number: int) -> Row:
    sent = server.row(number)
    workspace, source, target = server.workspace_of(number), sent["source"], sent["destination"]
    status = JOBS[sent.get("latestSyncJobStatus", "")]
    if sent["schemaChange"] == "breaking" and status in ("HEALTHY", "NEVER_RAN"):
        status = "DEGRADED"
    if sent["status"] != "active":
        status = "PAUSED" if sent["status"] in ("inactive", "locked") else "UNKNOWN"
    texts = folded(sent["name"], source["name"], source["sourceName"], target["name"], target["destinationName"])
    return Row(
        AIRBYTE,
        sent["connectionId"],
        workspace,
        sent["name"],
        status,
        source["sourceName"],
        texts,
        workspace_id=workspace,
    )


def workiva(server: WorkivaImitation, number: int) -> Row:
    sent = server.row(number)
    run = sent.get("lastRun", {})
    match run.get("sourceStatus"), run.get("destinationStatus"):
        case None, None:
            status = "NEVER_RAN"
        case sides if "error" in sides:
            status = "FAILING"
        case sides if "cancelled" in sides:
            status = "DEGRADED"
        case "complete", "complete":
            status = "HEALTHY"
        case "not_started", "not_started":
            status = "QUEUED"
        case _:
            status = "RUNNING"
    texts = folded(sent["name"], sent["description"], sent["sourceType"], sent["destinationType"])
    return Row(
        WORKIVA,
        sent["connectionId"],
        "",
        sent["name"],
        status,
        sent["sourceType"],
        texts,
        created_at=sent["created"],
        workspace_id=sent["workspaceId"],
    )


def unified(server: UnifiedToImitation, number: int) -> Row:
    sent = server.row(number)
    kind = sent["integration_type"]
    name = {type: name for type, name, _, _ in INTEGRATIONS}[kind] or kind
    good, bad = sent.get("last_healthy_at") or "", sent.get("last_unhealthy_at") or ""
    status = "FAILING" if bad > good else "HEALTHY" if good else "NEVER_RAN"
    return Row(
        UNIFIED_TO,
        sent["id"],
        sent["environment"] or "Production",
        name,
        "PAUSED" if sent.get("is_paused") else status,
        kind,
        folded(name, kind, sent.get("external_xref")),
        created_at=sent["created_at"],
        healthy_at=good or None,
        workspace_id=sent.get("workspace_id") or None,
        environment=sent["environment"],
        categories=tuple(sent["categories"]),
    )


Read = Callable[[Row], Any]


def by_name(row: Row) -> Any:
    return None if row.name is None else collated(row.name, "folded")


def by_severity(row: Row) -> Any:
    return STATUSES.index(row.status)


def by_creation(row: Row) -> Any:
    return row.created_at


def in_order(rows: Sequence[Row], *keys: tuple[Read, bool]) -> list[Row]:
    """The rows by these keys, descending where it says so; those without one last; then by instance and id."""
    found = sorted(rows, key=lambda row: (row.instance, row.native_id))
    for read, is_descending in reversed(keys):
        having = sorted((row for row in found if read(row) is not None), key=read, reverse=is_descending)
        found = having + [row for row in found if read(row) is None]
    return found


class Large(NamedTuple):
    """The fleet, and its rows in the default order."""

    servers: Mapping[str, ListImitation]
    urls: Mapping[str, str]
    rows: list[Row]


@pytest.fixture(scope="module")
async def large() -> AsyncGenerator[Large]:
    clock = Clock()
    servers = (
        AirbyteImitation(
            size=SIZES[AIRBYTE],
            clock=clock,
            generation="cursor",
            workspaces=WORKSPACES,
            token_lasts_s=86_400,
        ),
        WorkivaImitation(size=SIZES[WORKIVA], clock=clock, token_lasts_s=86_400),
        UnifiedToImitation(size=SIZES[UNIFIED_TO], clock=clock),
    )
    rows = [
        row
        for server, read in zip(servers, (airbyte, workiva, unified), strict=True)
        for row in (read(server, number) for number in range(server.size))  # type: ignore[operator]
    ]
    async with contextlib.AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(server.serve()) for server in servers]
        names = AIRBYTE, WORKIVA, UNIFIED_TO
        yield Large(
            dict(zip(names, servers, strict=True)),
            dict(zip(names, urls, strict=True)),
            in_order(rows, (by_name, False)),
        )


@contextlib.asynccontextmanager
async def gateway(large: Large, **limits: Any) -> AsyncGenerator[Fleet]:
    """A fresh gateway over the fleet, which keeps what it read."""
    instances = {name: {**server.settings(large.urls[name]), "timeout": 60.0} for name, server in large.servers.items()}
    sections = {"inventory": {"max_age": FRESH_S, "walk_timeout": 300}, "limits": {"request_timeout": 300, **limits}}
    async with gateway_over(instances, **sections) as url, httpx.AsyncClient(timeout=300) as client:
        fleet = Fleet(url, large.servers, client)
        fleet.forget()
        yield fleet


@pytest.fixture(scope="module")
async def read_whole(large: Large) -> AsyncGenerator[Fleet]:
    """A gateway that has read every list to its end, and looked up what lists lack."""
    async with gateway(large) as fleet:
        await fleet.data(
            '{ connections(first: 1, filter: { text: "a" }) { totalCount } connectionFacets { totalCount } }'
        )
        assert walked(fleet) == WHOLE
        yield fleet


def abreast(pages: int) -> int:
    """The calls that so many pages take where they are read abreast: half as many at once as were read, up to the
    most, so that few are read behind the end."""
    read = 1
    while read < pages:
        read += min(ABREAST, max(1, read // 2))
    return read


def until_short(rows: int, page: int) -> int:
    """The pages of a list whose end is told by a page that is not full."""
    return rows // page + 1


IN_ENVIRONMENT = {name: SIZES[UNIFIED_TO] * ENVIRONMENTS.count(name) // len(ENVIRONMENTS) for name in ENVIRONMENTS}
WHOLE = {
    AIRBYTE: len(WORKSPACES) * until_short(SIZES[AIRBYTE] // len(WORKSPACES), LIST_PAGE),
    WORKIVA: 1,
    UNIFIED_TO: sum(abreast(until_short(rows, PAGE_LIMIT)) for rows in IN_ENVIRONMENT.values()),
}
"""The calls of lists that reading all of them takes."""


def walked(fleet: Fleet) -> dict[str, int]:
    """The calls of lists that were made."""
    return {name: fleet.calls(name, path) for name, path in LISTS.items()}


def shown(data: Mapping[str, Any]) -> list[str]:
    return [node["id"] for node in data["connections"]["nodes"]]


def expected(rows: Sequence[Row]) -> list[str]:
    return [row.id for row in rows]


async def test_the_first_page_costs_one_call_for_each_list_and_the_names_it_shows(large: Large):
    async with gateway(large) as fleet:
        data = await fleet.data(
            """{ connections(first: 25) {
                nodes { id name status } pageInfo { hasNextPage hasPreviousPage } sources { state rowCount } } }"""
        )
    page = large.rows[:25]
    assert data["connections"]["nodes"] == [{"id": row.id, "name": row.name, "status": row.status} for row in page]
    assert data["connections"]["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": False}
    assert [source["state"] for source in data["connections"]["sources"]] == ["OK"] * 3
    assert fleet.servers[AIRBYTE].journal.by_path() == {
        "POST /api/v1/applications/token": 1,
        "POST /api/v1/workspaces/list": 1,
        "POST /api/v1/web_backend/connections/list": len(WORKSPACES),
    }
    assert fleet.servers[WORKIVA].journal.by_path() == {"POST /oauth2/token": 1, "GET /api/v1/connections": 1}
    assert fleet.servers[UNIFIED_TO].journal.by_path() == {
        "GET /unified/connection": len(IN_ENVIRONMENT),
        "GET /unified/integration": 1,
    }


async def test_the_pages_after_it_cost_the_upstream_pages_that_they_take(large: Large):
    query = """query ($after: String) { connections(first: 100, after: $after) {
        nodes { id } pageInfo { endCursor } } }"""
    met: list[str] = []
    async with gateway(large) as fleet:
        after = None
        for _ in range(30):
            data = await fleet.data(query, {"after": after})
            met += shown(data)
            after = data["connections"]["pageInfo"]["endCursor"]
        calls = walked(fleet)
    rows = large.rows[: len(met)]
    assert met == expected(rows)
    taken = Counter((row.instance, row.part) for row in rows)
    assert calls == {
        AIRBYTE: sum(until_short(taken[AIRBYTE, part], LIST_PAGE) for part in {row.part for row in of(large, AIRBYTE)}),
        WORKIVA: 1,
        UNIFIED_TO: sum(until_short(taken[UNIFIED_TO, part], PAGE_LIMIT) for part in IN_ENVIRONMENT),
    }


def of(large: Large, instance: str) -> list[Row]:
    return [row for row in large.rows if row.instance == instance]


QUERY = """query ($first: Int, $after: String, $last: Int, $before: String, $filter: ConnectionFilter,
        $by: [ConnectionOrder!]) {
    connections(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $by) {
        totalCount nodes { id } edges { cursor } pageInfo { hasNextPage hasPreviousPage } } }"""


async def at_no_cost(fleet: Fleet, query: str = QUERY, **variables: Any) -> dict[str, Any]:
    """The data of a query that makes no call at all."""
    fleet.forget()
    data = await fleet.data(query, variables)
    assert [server.journal.calls for server in fleet.servers.values()] == [[]] * 3
    return data


async def test_a_page_in_the_middle_of_the_list_and_those_around_it_cost_nothing(large: Large, read_whole: Fleet):
    middle = len(large.rows) // 2
    row = large.rows[middle]
    only = {"ids": [row.id]}
    found = await at_no_cost(read_whole, first=1, filter=only)
    cursor = found["connections"]["edges"][0]["cursor"]
    after = await at_no_cost(read_whole, first=100, after=cursor)
    before = await at_no_cost(read_whole, last=100, before=cursor)
    assert shown(after) == expected(large.rows[middle + 1 : middle + 101])
    assert shown(before) == expected(large.rows[middle - 100 : middle])
    for data in (after, before):
        assert data["connections"]["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": True}
        assert data["connections"]["totalCount"] == len(large.rows)


async def test_the_list_backward_from_its_end_costs_nothing(large: Large, read_whole: Fleet):
    page = await at_no_cost(read_whole, last=60)
    assert shown(page) == expected(large.rows[-60:])
    assert page["connections"]["pageInfo"] == {"hasNextPage": False, "hasPreviousPage": True}
    before = page["connections"]["edges"][0]["cursor"]
    assert shown(await at_no_cost(read_whole, last=60, before=before)) == expected(large.rows[-120:-60])


SEVERAL = [{"field": "STATUS", "direction": "DESC"}, {"field": "CREATED_AT"}, {"field": "NAME", "direction": "DESC"}]


async def test_a_list_sorted_by_several_keys_costs_nothing(large: Large, read_whole: Fleet):
    page = await at_no_cost(read_whole, first=100, by=SEVERAL)
    after = page["connections"]["edges"][-1]["cursor"]
    following = await at_no_cost(read_whole, first=100, after=after, by=SEVERAL)
    backward = await at_no_cost(read_whole, last=100, by=SEVERAL)
    # Only now: it may hold the loop for longer than a socket is kept.
    rows = in_order(large.rows, (by_severity, True), (by_creation, False), (by_name, True))
    assert shown(page) + shown(following) == expected(rows[:200])
    assert shown(backward) == expected(rows[-100:])


def since(moment: str) -> Read:
    return lambda row: row.healthy_at is not None and row.healthy_at >= moment


async def test_filters_of_every_kind_cost_nothing(large: Large, read_whole: Fleet):
    moments = sorted(row.healthy_at for row in large.rows if row.healthy_at is not None)
    moment = moments[len(moments) // 2]
    filters: list[tuple[dict[str, Any], Read]] = [
        ({"status": ["FAILING", "QUEUED"]}, lambda row: row.status in ("FAILING", "QUEUED")),
        ({"text": "KOLN"}, lambda row: "koln" in row.texts),
        ({"text": "crm", "not": {"status": ["HEALTHY"]}}, lambda row: "crm" in row.texts and row.status != "HEALTHY"),
        ({"lastHealthyAt": {"since": moment}}, since(moment)),
        (
            {"environment": ["Staging"], "category": ["ats"]},
            lambda row: "ats" in row.categories and row.environment == "Staging",
        ),
        ({"text": "nothing is called like this"}, lambda _: False),
    ]
    for where, meets in filters:
        rows = [row for row in large.rows if meets(row)]
        page = await at_no_cost(read_whole, first=100, filter=where)
        assert page["connections"]["totalCount"] == len(rows)
        assert shown(page) == expected(rows[:100])
        assert shown(await at_no_cost(read_whole, last=10, filter=where)) == expected(rows[-10:])
    assert len(moments) > SIZES[UNIFIED_TO] // 2


KINDS = " ".join(
    f"{name} {{ value count }}"
    for name in ("status", "provider", "instance", "workspace", "environment", "sourceType", "category")
)
FACETS = f"query ($filter: ConnectionFilter) {{ connectionFacets(filter: $filter) {{ totalCount {KINDS} }} }}"


def counted(values: Counter[Any]) -> dict[str, int]:
    return {value: count for value, count in values.items() if value is not None}


def spelled(values: Counter[Any]) -> dict[str, int]:
    return {alike[0]: sum(values[text] for text in alike) for alike in spellings(values)}


async def test_facets_cost_nothing(large: Large, read_whole: Fleet):
    failing = [row for row in large.rows if row.status == "FAILING"]
    for where, rows in ((None, large.rows), ({"status": ["FAILING"]}, failing)):
        for _ in range(2):  # what is counted once is kept
            found = (await at_no_cost(read_whole, FACETS, filter=where))["connectionFacets"]
            total = found.pop("totalCount")
            facets = {name: {facet["value"]: facet["count"] for facet in of_one} for name, of_one in found.items()}
            assert total == len(rows)
            assert facets == {
                "status": counted(Counter(row.status for row in large.rows)),
                "provider": counted(Counter(PROVIDER[row.instance] for row in rows)),
                "instance": counted(Counter(row.instance for row in rows)),
                "workspace": counted(Counter(row.workspace_id for row in rows)),
                "environment": counted(Counter(row.environment for row in rows)),
                "sourceType": spelled(Counter(row.source_type for row in rows)),
                "category": counted(Counter(category for row in rows for category in row.categories)),
            }


PROVIDER = {AIRBYTE: "AIRBYTE", WORKIVA: "WORKIVA", UNIFIED_TO: "UNIFIED_TO"}


async def test_a_walk_goes_on_when_its_request_has_run_out_of_time_and_the_next_one_has_its_rows(large: Large):
    query = "{ connections(first: 1, orderBy: { field: STATUS }) { totalCount sources { instance { name } state } } }"
    server = large.servers[UNIFIED_TO]
    async with gateway(large, request_timeout=1.0) as fleet:
        # Rounds of eight pages that wait this long take longer than any request may.
        server.knobs = Knobs(delay_s=0.1)
        try:
            first = await fleet.ask(query)
            # The others may have been in time or not: imitations, gateway and test share one loop.
            assert {error["extensions"]["code"] for error in first["errors"]} == {"UPSTREAM_TIMEOUT"}
            assert states(first)[UNIFIED_TO] == "FAILED"
            server.knobs = Knobs()
            last = await finally_answered(fleet, query)
        finally:
            server.knobs = Knobs()
        assert last["data"]["connections"]["totalCount"] == len(large.rows)
        assert set(states(last).values()) == {"OK"}
        assert walked(fleet) == WHOLE


def states(answered: Mapping[str, Any]) -> dict[str, str]:
    return {source["instance"]["name"]: source["state"] for source in answered["data"]["connections"]["sources"]}


async def finally_answered(fleet: Fleet, query: str) -> dict[str, Any]:
    """The first answer without errors."""
    async with asyncio.timeout(60):
        while "errors" in (answered := await fleet.ask(query)):
            pass
    return answered
