"""A list screen is one request, and each of its numbers is what a plain count over the upstreams' own rows gives.

What is expected is computed here from the rows as the imitations send them, by the tables of the documentation and by
nothing of the gateway's; the clock of the imitations stands still.
"""

import datetime as dt
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo

import httpx
import pytest

from adapters import ids
from adapters.airbyte import demo_data as airbyte
from adapters.airbyte.demo import AirbyteImitation
from adapters.imitation import Knobs
from adapters.unified_to.demo import INTEGRATIONS
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, Upstreams, gateway_over
from tests.gateway.conftest import spellings

SCREEN = """
    query Screen($filter: ConnectionFilter, $orderBy: [ConnectionOrder!]) {
      connections(first: 25, filter: $filter, orderBy: $orderBy) {
        totalCount
        edges { cursor node { ...Row } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        sources { instance { name } state rowCount droppedRowCount asOf stale error { code } }
      }
      connectionFacets(filter: $filter) {
        totalCount
        status { ...Kind } provider { ...Kind } instance { ...Kind } workspace { ...Kind } environment { ...Kind }
        sourceType { ...Kind } destinationType { ...Kind } category { ...Kind } scheduleType { ...Kind }
        sources { instance { name } state rowCount }
      }
    }
    fragment Row on Connection {
      id nativeId name status enabled provider instance { name }
      source { name type icon } destination { name type icon } lastRun { status startedAt } schedule { humanText }
    }
    fragment Kind on Facet { value label icon count }
"""
FACETS: Mapping[str, str] = {
    "status": "status",
    "provider": "provider",
    "instance": "instance",
    "workspace": "workspaceId",
    "environment": "environment",
    "sourceType": "sourceType",
    "destinationType": "destinationType",
    "category": "category",
    "scheduleType": "scheduleType",
}
"""Each facet, and the condition that it leaves out."""
LABELS = {"AIRBYTE": "Airbyte", "WORKIVA": "Workiva Wdata", "UNIFIED_TO": "Unified.to"}


class Seen(NamedTuple):
    """A row as a plain look at its upstream's data has it. ``conditions`` are its values by condition."""

    instance: str
    native_id: str
    name: str | None
    conditions: Mapping[str, Sequence[str]]
    texts: str
    source_icon: str | None = None
    destination_icon: str | None = None
    due: dt.datetime | None = None
    workspace_name: str | None = None


def folded(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()


def held(**values: str | None) -> dict[str, Sequence[str]]:
    return {name: [value] if value else [] for name, value in values.items()}


def searched(*texts: str | None) -> str:
    return "\n".join(folded(text) for text in texts if text)


# --- Airbyte


def _airbyte_status(row: Mapping[str, Any]) -> str:
    job = row.get("latestSyncJobStatus")
    if row["status"] != "active":
        return {"inactive": "PAUSED", "locked": "PAUSED", "deprecated": "DELETED"}.get(row["status"], "UNKNOWN")
    if job == "pending":
        return "QUEUED"
    if row["isSyncing"] or job == "running":
        return "RUNNING"
    if job == "failed":
        return "FAILING"
    if job in ("incomplete", "cancelled") or row["schemaChange"] == "breaking":
        return "DEGRADED"
    return {"succeeded": "HEALTHY", None: "NEVER_RAN"}[job]


def _next_by_schedule(row: Mapping[str, Any], after: dt.datetime) -> dt.datetime | None:
    """When a run is due after a moment, worked out by hand for the schedules that the imitation has."""
    data = row.get("scheduleData", {})
    if row.get("scheduleType") == "basic":
        every = data["basicSchedule"]
        days = {"minutes": 1 / 1440, "hours": 1 / 24, "days": 1, "weeks": 7, "months": 30}[every["timeUnit"]]
        return after + dt.timedelta(days=days * every["units"])
    if row.get("scheduleType") != "cron":
        return None
    if data["cron"]["cronExpression"] == "0 0 */6 * * ?":
        return dt.datetime.fromtimestamp((after.timestamp() // 21_600 + 1) * 21_600, dt.UTC)
    assert data["cron"] == {"cronExpression": "0 30 2 ? * 2-6", "cronTimeZone": "Europe/Berlin"}
    local = after.astimezone(ZoneInfo("Europe/Berlin"))
    candidates = (
        local.replace(hour=2, minute=30, second=0, microsecond=0) + dt.timedelta(days=ahead) for ahead in range(8)
    )
    return next(each for each in candidates if each > local and each.weekday() < 5).astimezone(dt.UTC)


def _airbyte_due(row: Mapping[str, Any]) -> dt.datetime | None:
    if row["status"] != "active" or "latestSyncJobCreatedAt" not in row:
        return None
    began = dt.datetime.fromtimestamp(row["latestSyncJobCreatedAt"], dt.UTC)
    following = _next_by_schedule(row, began)
    missed = row["latestSyncJobStatus"] in ("failed", "cancelled", "incomplete")
    return began if missed and following else following


def seen_at_airbyte(server: AirbyteImitation) -> Iterable[Seen]:
    names = {airbyte.workspace_id(name): name for name in airbyte.WORKSPACES}
    for number, row in enumerate(server.rows()):
        source, destination = row["source"], row["destination"]
        workspace = server.workspace_of(number)
        yield Seen(
            AIRBYTE,
            row["connectionId"],
            row["name"],
            held(
                status=_airbyte_status(row),
                provider="AIRBYTE",
                instance=AIRBYTE,
                workspaceId=workspace,
                environment=None,
                sourceType=source["sourceName"],
                destinationType=destination["destinationName"],
                category=None,
                scheduleType=row.get("scheduleType", "unknown").upper(),
            ),
            searched(
                row["name"], source["name"], source["sourceName"], destination["name"], destination["destinationName"]
            ),
            airbyte.icon(source["sourceName"]),
            airbyte.icon(destination["destinationName"]),
            _airbyte_due(row),
            names[workspace],
        )


# --- Workiva


def _workiva_status(row: Mapping[str, Any]) -> str:
    run = row.get("lastRun")
    if run is None:
        return "NEVER_RAN"
    sides = run["sourceStatus"], run["destinationStatus"]
    if "error" in sides:
        return "FAILING"
    if "cancelled" in sides:
        return "DEGRADED"
    if sides == ("complete", "complete"):
        return "HEALTHY"
    return "QUEUED" if sides == ("not_started", "not_started") else "RUNNING"


def seen_at_workiva(rows: Iterable[Mapping[str, Any]]) -> Iterable[Seen]:
    for row in rows:
        type, id = row["sourceType"], row["sourceId"]
        named = f"{type} {id[:4]}" if type.startswith(("wdata_query", "wdata_table", "wdata_shared_query")) else None
        yield Seen(
            WORKIVA,
            row["connectionId"],
            row["name"],
            held(
                status=_workiva_status(row),
                provider="WORKIVA",
                instance=WORKIVA,
                workspaceId=row["workspaceId"],
                environment=None,
                sourceType=type,
                destinationType=row["destinationType"],
                category=None,
                scheduleType=None,
            ),
            searched(row["name"], row["description"], named, type, row["destinationType"]),
        )


# --- Unified.to


def _unified_to_status(row: Mapping[str, Any]) -> str:
    healthy, unhealthy = row.get("last_healthy_at") or "", row.get("last_unhealthy_at") or ""
    if row.get("is_paused"):
        return "PAUSED"
    if unhealthy > healthy:
        return "FAILING"
    return "HEALTHY" if healthy else "NEVER_RAN"


def seen_at_unified_to(rows: Iterable[Mapping[str, Any]]) -> Iterable[Seen]:
    offered = {type: name for type, name, _, _ in INTEGRATIONS if name}
    for row in rows:
        type = row["integration_type"]
        known = offered.get(type)
        yield Seen(
            UNIFIED_TO,
            row["id"],
            known or type,
            held(
                status=_unified_to_status(row),
                provider="UNIFIED_TO",
                instance=UNIFIED_TO,
                workspaceId=row.get("workspace_id"),
                environment=row["environment"],
                sourceType=type,
                destinationType=None,
                scheduleType=None,
            )
            | {"category": row["categories"]},
            searched(known or type, type, row.get("external_xref")),
            f"https://logos.example.com/{type}.svg" if known and type != "clearbit" else None,
        )


def seen(fleet: Fleet) -> list[Seen]:
    """All rows of all upstreams."""
    return [
        *seen_at_airbyte(cast("AirbyteImitation", fleet.servers[AIRBYTE])),
        *seen_at_workiva(fleet.servers[WORKIVA].rows()),
        *seen_at_unified_to(fleet.servers[UNIFIED_TO].rows()),
    ]


# --- filtering, sorting and counting, plainly


def meets(row: Seen, where: Mapping[str, Any], but: str = "") -> bool:
    """Whether a row meets a filter, or all of it but one condition."""
    for name, wanted in where.items():
        if name == but:
            continue
        if name == "text":
            met = folded(wanted) in row.texts
        elif name == "not":
            met = not meets(row, wanted)
        elif name == "ids":
            met = ids.encode(row.instance, row.native_id) in wanted
        else:
            alike = folded if name in ("sourceType", "destinationType") else str
            met = bool({alike(value) for value in row.conditions[name]} & {alike(value) for value in wanted})
        if not met:
            return False
    return True


def by_name(row: Seen) -> tuple[Any, ...]:
    """The default order: by name as people read it, those without one last."""
    name = row.name or ""
    return row.name is None, folded(name), name, row.instance, row.native_id


def counted(rows: Iterable[Seen], facet: str, where: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A facet: how many rows meet the filter without its own condition, the most first, then by name."""
    condition = FACETS[facet]
    rows = list(rows)
    labels = LABELS | {
        value: row.workspace_name for row in rows for value in row.conditions["workspaceId"] if row.workspace_name
    }
    icons: dict[str, str | None] = {}
    for row in rows:
        if facet in ("sourceType", "destinationType"):
            icon = row.source_icon if facet == "sourceType" else row.destination_icon
            icons |= {value: icon for value in row.conditions[condition] if icon}
    counts = Counter(value for row in rows if meets(row, where, but=condition) for value in row.conditions[condition])
    if facet in ("sourceType", "destinationType"):
        alike = spellings(counts)
        icons = {texts[0]: next((icons[text] for text in texts if text in icons), None) for texts in alike}
        counts = Counter({texts[0]: sum(counts[text] for text in texts) for texts in alike})
    facets = [
        {"value": value, "label": labels.get(value, value), "icon": icons.get(value), "count": count}
        for value, count in counts.items()
    ]
    return sorted(facets, key=lambda each: (-each["count"], each["label"], each["value"]))


FILTERS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "what fails": {"status": ["FAILING", "DEGRADED"]},
    "one provider": {"provider": ["WORKIVA"]},
    "two providers that fail": {"provider": ["AIRBYTE", "UNIFIED_TO"], "status": ["FAILING"]},
    "an instance and a status": {"instance": [AIRBYTE], "status": ["HEALTHY"]},
    "a workspace": {"workspaceId": [airbyte.workspace_id("Data platform")]},
    "an environment": {"environment": ["Sandbox", "Staging"]},
    "production, by name": {"environment": ["Production"]},
    "kinds of sources, in any case": {"sourceType": ["POSTGRES", "stripe", "wdata_query"]},
    "kinds of destinations": {"destinationType": ["BigQuery", "spreadsheet"], "status": ["HEALTHY", "FAILING"]},
    "a category": {"category": ["crm", "hris"]},
    "a schedule": {"scheduleType": ["CRON"], "status": ["HEALTHY", "DEGRADED", "FAILING"]},
    "a text": {"text": "sales"},
    "a text without its accents": {"text": "koln"},
    "a text of another script": {"text": "在庫"},
    "a reference of one's own": {"text": "CUSTOMER-10"},
    "not": {"not": {"provider": ["WORKIVA"], "status": ["HEALTHY"]}},
    "not, in not, with others": {"not": {"text": "e", "not": {"status": ["FAILING"]}}, "provider": ["AIRBYTE"]},
    "all facets at once": {
        "status": ["HEALTHY", "FAILING", "PAUSED"],
        "provider": ["UNIFIED_TO"],
        "environment": ["Production"],
        "category": ["crm", "payment", "accounting"],
        "sourceType": ["hubspot", "stripe", "quickbooks", "freee"],
    },
    "what nothing meets": {"provider": ["WORKIVA"], "category": ["crm"]},
}


@pytest.mark.parametrize("name", FILTERS)
async def test_every_number_of_a_list_screen_is_a_plain_count(kept_fleet: Fleet, name: str):
    where, rows = FILTERS[name], seen(kept_fleet)
    data = await kept_fleet.data(SCREEN, {"filter": dict(where)})
    page, facets = data["connections"], data["connectionFacets"]
    expected = sorted((row for row in rows if meets(row, where)), key=by_name)
    assert page["totalCount"] == facets["totalCount"] == len(expected)
    nodes = [edge["node"] for edge in page["edges"]]
    assert [(node["instance"]["name"], node["nativeId"], node["name"]) for node in nodes] == [
        row[:3] for row in expected[:25]
    ]
    assert [node["status"] for node in nodes] == [row.conditions["status"][0] for row in expected[:25]]
    assert [node["source"]["icon"] for node in nodes] == [row.source_icon for row in expected[:25]]
    ends = [node["destination"] and node["destination"]["icon"] for node in nodes]
    assert ends == [row.destination_icon for row in expected[:25]]
    assert (page["pageInfo"]["hasNextPage"], page["pageInfo"]["hasPreviousPage"]) == (len(expected) > 25, False)
    for facet in FACETS:
        assert facets[facet] == counted(rows, facet, where), facet


async def test_the_sources_of_a_list_screen_are_told_with_their_counts(kept_fleet: Fleet):
    rows = seen(kept_fleet)
    data = await kept_fleet.data(SCREEN, {"filter": {"provider": ["AIRBYTE", "UNIFIED_TO"]}})
    shown = Counter(edge["node"]["instance"]["name"] for edge in data["connections"]["edges"])
    told = {source["instance"]["name"]: source for source in data["connections"]["sources"]}
    assert {name: source["state"] for name, source in told.items()} == {
        AIRBYTE: "OK",
        WORKIVA: "SKIPPED",
        UNIFIED_TO: "OK",
    }
    assert {name: source["rowCount"] for name, source in told.items()} == {WORKIVA: 0, **shown}
    assert all(
        (source["droppedRowCount"], source["stale"], source["error"]) == (0, False, None) for source in told.values()
    )
    of_facets = {source["instance"]["name"]: source["rowCount"] for source in data["connectionFacets"]["sources"]}
    assert of_facets == Counter(row.instance for row in rows), "facets count the alternatives as well"


async def test_further_pages_go_on_where_the_screen_ended(kept_fleet: Fleet):
    where = {"status": ["HEALTHY", "FAILING"]}
    expected = [row.native_id for row in sorted(seen(kept_fleet), key=by_name) if meets(row, where)]
    query = "query ($after: String, $filter: ConnectionFilter) { connections(first: 25, after: $after, filter: $filter)"
    query += " { nodes { nativeId } pageInfo { hasNextPage endCursor } } }"
    met: list[str] = []
    info: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
    while info["hasNextPage"]:
        page = (await kept_fleet.data(query, {"after": info["endCursor"], "filter": where}))["connections"]
        met += [node["nativeId"] for node in page["nodes"]]
        info = page["pageInfo"]
    assert met == expected


async def test_facets_over_and_over_are_too_much_for_one_request(kept_fleet: Fleet):
    kinds = " ".join(f"{facet} {{ value label count icon }}" for facet in FACETS)
    facets = " ".join(f"f{number}: connectionFacets {{ {kinds} }}" for number in range(8))
    answered = await kept_fleet.ask(f"{{ {facets} }}")
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["QUERY_TOO_COMPLEX"]
    assert not any(kept_fleet.calls(instance) for instance in kept_fleet.servers)


ALTERNATIVES: Mapping[str, Callable[[Seen], bool]] = {
    "status": lambda row: meets(row, {"provider": ["UNIFIED_TO"]}),
    "provider": lambda row: meets(row, {"status": ["FAILING"]}),
}


@pytest.mark.parametrize("facet", ALTERNATIVES)
async def test_choosing_an_alternative_that_a_facet_offers_shows_as_many_as_it_said(kept_fleet: Fleet, facet: str):
    where = {"status": ["FAILING"], "provider": ["UNIFIED_TO"]}
    facets = (await kept_fleet.data(SCREEN, {"filter": where}))["connectionFacets"]
    assert sum(each["count"] for each in facets[facet]) == sum(map(ALTERNATIVES[facet], seen(kept_fleet)))
    assert len(facets[facet]) > 1
    for each in facets[facet]:
        chosen = where | {facet: [each["value"]]}
        assert (await kept_fleet.data(SCREEN, {"filter": chosen}))["connections"]["totalCount"] == each["count"]


async def test_icons_and_labels_are_looked_up_for_facets_alone(kept_fleet: Fleet):
    """Facets without a page beside them look as they do with one."""
    query = "{ connectionFacets { sourceType { value label icon count } workspace { value label icon count } } }"
    facets = (await kept_fleet.data(query))["connectionFacets"]
    rows = seen(kept_fleet)
    assert facets["sourceType"] == counted(rows, "sourceType", {})
    assert facets["workspace"] == counted(rows, "workspace", {})


async def test_what_two_fields_look_up_at_the_same_time_is_kept_of_both(upstreams: Upstreams):
    server, url = upstreams[AIRBYTE]
    configured = {**server.settings(url), "workspaces": [airbyte.workspace_id(name) for name in airbyte.WORKSPACES]}
    names = "connectionFacets { workspace { label } }"
    server.knobs = Knobs(delay_s=0.2, only="_definitions")  # which come last
    sections = {"inventory": {"max_age": 600}}
    async with gateway_over({AIRBYTE: configured}, **sections) as gateway, httpx.AsyncClient() as client:
        fleet = Fleet(gateway, {AIRBYTE: server}, client)
        await fleet.data(f"{{ names: {names} icons: connectionFacets {{ sourceType {{ icon }} }} }}")
        again = await fleet.data(f"{{ {names} }}")
    assert {each["label"] for each in again["connectionFacets"]["workspace"]} == set(airbyte.WORKSPACES)


# --- what is stale

STALE = """
    { connections(first: 100, filter: { overdue: true }, orderBy: { field: OVERDUE, direction: DESC }) {
        totalCount
        nodes { nativeId provider freshness { state overdueBySeconds lastSuccessAt expectedEverySeconds } }
    } }"""


async def test_what_is_stale_is_one_query_the_longest_overdue_first(kept_fleet: Fleet):
    expected = {row.native_id: row.due for row in seen(kept_fleet) if row.due is not None}
    before = dt.datetime.now(dt.UTC)
    page = (await kept_fleet.data(STALE))["connections"]
    after = dt.datetime.now(dt.UTC)
    nodes = page["nodes"]
    met = {node["nativeId"] for node in nodes}
    assert {id for id, due in expected.items() if due < before} <= met
    assert met <= {id for id, due in expected.items() if due < after}
    assert page["totalCount"] == len(nodes) == len(met) > 5
    assert [expected[node["nativeId"]] for node in nodes] == sorted(expected[id] for id in met)
    for node in nodes:
        due = expected[node["nativeId"]]
        assert node["freshness"]["state"] == "OVERDUE"
        assert int((before - due).total_seconds()) <= node["freshness"]["overdueBySeconds"]
        assert node["freshness"]["overdueBySeconds"] <= (after - due).total_seconds()
        assert node["freshness"]["expectedEverySeconds"] > 0


async def test_what_is_not_overdue_is_everything_else(kept_fleet: Fleet):
    query = "query ($overdue: Boolean) { connections(filter: { overdue: $overdue }) { totalCount } }"
    counts = [(await kept_fleet.data(query, {"overdue": each}))["connections"]["totalCount"] for each in (True, False)]
    assert sum(counts) == 180
    assert all(counts)


async def test_by_overdue_those_that_expect_nothing_come_last(kept_fleet: Fleet):
    query = """query ($way: OrderDirection!) {
        connections(first: 100, orderBy: { field: OVERDUE, direction: $way }) { nodes { nativeId } } }"""
    dues = {row.native_id: row.due for row in seen(kept_fleet)}
    known = sorted(due for due in dues.values() if due is not None)
    for way, expected in (("DESC", known), ("ASC", known[::-1])):
        nodes = (await kept_fleet.data(query, {"way": way}))["connections"]["nodes"]
        met = [dues[node["nativeId"]] for node in nodes]
        assert met == [*expected, *[None] * (100 - len(expected))]
