"""An upstream in trouble costs its own rows and one coded error; the others answer as if nothing had happened."""

import asyncio
import contextlib
import json
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple

import httpx
import pytest

from adapters import ids
from adapters.airbyte.demo import AirbyteImitation, connection_id
from adapters.imitation import Knobs, native_id
from adapters.unified_to.demo import UnifiedToImitation
from adapters.workiva.demo import WorkivaImitation
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, Upstreams, gateway_over

ALL = (AIRBYTE, WORKIVA, UNIFIED_TO)
PAGE = """
    query ($first: Int = 200) {
      connections(first: $first) {
        nodes { nativeId instance { name } }
        pageInfo { hasNextPage }
        sources {
          instance { name } state rowCount droppedRowCount asOf stale error { code message retryable retryAfter }
        }
      }
    }"""
FULL = """
    query ($ids: [ID!]!) {
      nodes(ids: $ids) { ... on Connection { details { ... on AirbyteConnection { prefix } } } }
    }"""


class Trouble(NamedTuple):
    """What an upstream does, and the error it becomes."""

    knobs: Knobs
    code: str
    retryable: bool
    retry_after: float | None = None


TROUBLES = {
    "hangs": Trouble(Knobs(hang=True), "UPSTREAM_TIMEOUT", True),
    "resets": Trouble(Knobs(reset=True), "UPSTREAM_UNAVAILABLE", True),
    "500": Trouble(Knobs(status=500), "UPSTREAM_UNAVAILABLE", True),
    "503 with Retry-After": Trouble(Knobs(status=503, retry_after_s=30), "UPSTREAM_UNAVAILABLE", True, 30),
    "429": Trouble(Knobs(status=429), "UPSTREAM_RATE_LIMITED", True),
    "429 with Retry-After": Trouble(Knobs(status=429, retry_after_s=7), "UPSTREAM_RATE_LIMITED", True, 7),
    "401": Trouble(Knobs(status=401), "UPSTREAM_UNAUTHORIZED", False),
    "403": Trouble(Knobs(status=403), "UPSTREAM_UNAUTHORIZED", False),
    "HTML": Trouble(Knobs(body="<html><body>Please log in</body></html>"), "UPSTREAM_BAD_RESPONSE", False),
    "half an answer": Trouble(Knobs(body='[{"id": "1", "na'), "UPSTREAM_BAD_RESPONSE", False),
    "another JSON": Trouble(Knobs(body='"hello"'), "UPSTREAM_BAD_RESPONSE", False),
    "nothing": Trouble(Knobs(body=""), "UPSTREAM_BAD_RESPONSE", False),
    "redirects": Trouble(Knobs(status=302), "UPSTREAM_BAD_RESPONSE", False),
}


def rows(answered: Mapping[str, Any]) -> Counter[str]:
    return Counter(node["instance"]["name"] for node in answered["data"]["connections"]["nodes"])


def sources(answered: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {source["instance"]["name"]: source for source in answered["data"]["connections"]["sources"]}


def settings_of(upstreams: Upstreams, **more: Any) -> dict[str, Any]:
    return {name: {**server.settings(url), "retries": 0, **more} for name, (server, url) in upstreams.items()}


@contextlib.asynccontextmanager
async def over(upstreams: Upstreams, instances: Mapping[str, Any], **sections: Any) -> AsyncGenerator[Fleet]:
    """A gateway over the imitations that shows all of their rows in one page, and keeps nothing unless told to."""
    servers = {name: server for name, (server, _) in upstreams.items()}
    for server in servers.values():
        server.knobs = Knobs()
        server.journal.clear()
    sections = {"inventory": {"max_age": 0}, **sections, "limits": {"first": 200, **sections.get("limits", {})}}
    async with gateway_over(instances, **sections) as url, httpx.AsyncClient(timeout=30) as client:
        yield Fleet(url, servers, client)


@pytest.fixture
async def fleet(upstreams: Upstreams) -> AsyncGenerator[Fleet]:
    """A gateway over the imitations that shows all of their rows in one page."""
    async with over(upstreams, settings_of(upstreams)) as fleet:
        yield fleet


@pytest.fixture
async def hasty(upstreams: Upstreams) -> AsyncGenerator[Fleet]:
    """The same upstreams behind a gateway that gives each call most of a second."""
    async with over(upstreams, settings_of(upstreams, timeout=0.8)) as fleet:
        yield fleet


@pytest.mark.parametrize("sick", ALL)
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
async def test_one_sick_instance_costs_its_own_rows_and_one_coded_error(hasty: Fleet, sick: str, trouble: Trouble):
    hasty.servers[sick].knobs = trouble.knobs
    answered = await hasty.ask(PAGE)
    healthy = [name for name in ALL if name != sick]
    assert rows(answered) == dict.fromkeys(healthy, 60)
    (error,) = answered["errors"]
    extensions = error["extensions"]
    assert error["path"] == ["connections"]
    assert extensions["code"] == trouble.code
    assert extensions["instance"] == sick
    assert extensions["provider"] == {AIRBYTE: "AIRBYTE", WORKIVA: "WORKIVA", UNIFIED_TO: "UNIFIED_TO"}[sick]
    assert extensions["retryable"] is trouble.retryable
    assert extensions.get("retryAfter") == trouble.retry_after
    assert len(extensions["correlationId"]) == 32
    told = sources(answered)
    assert {name: source["state"] for name, source in told.items()} == dict.fromkeys(healthy, "OK") | {sick: "FAILED"}
    assert (told[sick]["rowCount"], told[sick]["error"]["code"]) == (0, trouble.code)
    assert told[sick]["error"]["retryable"] is trouble.retryable
    assert told[sick]["error"]["retryAfter"] == trouble.retry_after
    assert [told[name]["error"] for name in healthy] == [None, None]


@pytest.mark.parametrize("broken", ALL)
async def test_a_port_where_nobody_listens_costs_its_own_rows(upstreams: Upstreams, broken: str):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"
    instances = settings_of(upstreams)
    instances[broken] |= {"base_url": closed}
    async with over(upstreams, instances) as fleet:
        answered = await fleet.ask(PAGE)
    assert rows(answered) == {name: 60 for name in ALL if name != broken}
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["UPSTREAM_UNAVAILABLE"]


async def test_a_name_that_leads_nowhere_costs_its_own_rows(upstreams: Upstreams):
    instances = settings_of(upstreams)
    instances[UNIFIED_TO] |= {"base_url": "http://nowhere.invalid"}
    async with over(upstreams, instances) as fleet:
        answered = await fleet.ask(PAGE)
    assert rows(answered) == {AIRBYTE: 60, WORKIVA: 60}
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["UPSTREAM_UNAVAILABLE"]


@pytest.mark.parametrize(
    "unreadable", [{"id": None}, {"no": "id"}, [], "text", 7, None, {"id": {"a": 1}}], ids=json.dumps
)
async def test_one_malformed_row_costs_that_row_and_is_counted(upstreams: Upstreams, unreadable: object):
    instances = settings_of(upstreams)
    instances[UNIFIED_TO]["environments"] = ["Production"]
    async with over(upstreams, instances) as fleet:
        good = [fleet.servers[UNIFIED_TO].row(number) for number in (0, 1)]
        body = json.dumps([good[0], unreadable, good[1]])
        fleet.servers[UNIFIED_TO].knobs = Knobs(body=body, only="/unified/connection", times=1)
        answered = await fleet.ask(PAGE)
    assert rows(answered) == {AIRBYTE: 60, WORKIVA: 60, UNIFIED_TO: 2}
    assert "errors" not in answered
    told = sources(answered)[UNIFIED_TO]
    assert (told["state"], told["rowCount"], told["droppedRowCount"]) == ("PARTIAL", 2, 1)


@pytest.mark.parametrize(
    ("instance", "selection", "path"),
    [
        (AIRBYTE, "source { icon }", "/source_definitions/"),
        (AIRBYTE, "destination { icon version }", "/destination_definitions/"),
        (UNIFIED_TO, "name", "/unified/integration"),
        (UNIFIED_TO, "source { icon }", "/unified/integration"),
        (WORKIVA, "source { name }", "/api/v1/query"),
    ],
)
async def test_a_failed_lookup_leaves_the_rows_and_says_that_something_is_missing(
    fleet: Fleet, instance: str, selection: str, path: str
):
    fleet.servers[instance].knobs = Knobs(status=500, only=path)
    query = PAGE.replace("nativeId", f"nativeId {selection}", 1)
    answered = await fleet.ask(query)
    assert rows(answered) == dict.fromkeys(ALL, 60)
    (error,) = answered["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["connections"], "UPSTREAM_UNAVAILABLE")
    assert error["extensions"]["instance"] == instance
    told = sources(answered)[instance]
    assert (told["state"], told["rowCount"], told["error"]["code"]) == ("PARTIAL", 60, "UPSTREAM_UNAVAILABLE")


async def test_a_failed_full_read_leaves_the_row_as_its_list_has_it(fleet: Fleet):
    fleet.servers[AIRBYTE].knobs = Knobs(status=500, only="/connections/get", times=1)
    details = "name details { ... on AirbyteConnection { rawStatus namespaceDefinition } }"
    answered = await fleet.ask(PAGE.replace("nativeId", f"nativeId {details}", 1), {"first": 9})
    airbyte = [node for node in answered["data"]["connections"]["nodes"] if node["instance"]["name"] == AIRBYTE]
    assert len(airbyte) > 1
    assert all(node["name"] and node["details"]["rawStatus"] for node in airbyte)
    assert sum(node["details"]["namespaceDefinition"] is None for node in airbyte) == 1
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["UPSTREAM_UNAVAILABLE"]
    assert sources(answered)[AIRBYTE]["state"] == "PARTIAL"


async def test_where_all_instances_fail_the_list_is_empty_and_each_has_its_error(fleet: Fleet):
    for server in fleet.servers.values():
        server.knobs = Knobs(status=503)
    answered = await fleet.ask(PAGE)
    page = answered["data"]["connections"]
    assert (page["nodes"], page["pageInfo"]["hasNextPage"]) == ([], False)
    assert {source["state"] for source in page["sources"]} == {"FAILED"}
    told = {error["extensions"]["instance"]: error["extensions"]["code"] for error in answered["errors"]}
    assert told == dict.fromkeys(ALL, "UPSTREAM_UNAVAILABLE")
    assert len(answered["errors"]) == 3


async def test_by_id_a_sick_instance_fails_at_its_own_paths_only(fleet: Fleet):
    fleet.servers[WORKIVA].knobs = Knobs(status=500)
    wanted = [
        ids.encode(AIRBYTE, connection_id(0)),
        ids.encode(WORKIVA, native_id("workiva", 0)),
        ids.encode(UNIFIED_TO, native_id("unified_to", 0)[:24]),
        ids.encode(WORKIVA, native_id("workiva", 1)),
    ]
    query = f"""
        query ($ids: [ID!]!) {{
          nodes(ids: $ids) {{ id }}
          sick: node(id: "{wanted[1]}") {{ id }}
          well: node(id: "{wanted[0]}") {{ id }}
        }}"""
    answered = await fleet.ask(query, {"ids": wanted})
    assert [node and node["id"] for node in answered["data"]["nodes"]] == [wanted[0], None, wanted[2], None]
    assert answered["data"]["sick"] is None
    assert answered["data"]["well"] == {"id": wanted[0]}
    told = {tuple(error["path"]): error["extensions"] for error in answered["errors"]}
    assert set(told) == {("nodes", 1), ("nodes", 3), ("sick",)}
    assert {extensions["code"] for extensions in told.values()} == {"UPSTREAM_UNAVAILABLE"}
    assert {extensions["instance"] for extensions in told.values()} == {WORKIVA}


async def test_one_full_read_that_fails_costs_that_id_only(fleet: Fleet):
    fleet.servers[AIRBYTE].knobs = Knobs(status=500, only="/connections/get", times=1)
    wanted = [ids.encode(AIRBYTE, connection_id(number)) for number in range(5)]
    answered = await fleet.ask(FULL, {"ids": wanted})
    assert answered["data"]["nodes"].count(None) == 1
    (error,) = answered["errors"]
    assert answered["data"]["nodes"][error["path"][1]] is None


async def test_runs_that_fail_are_null_beside_everything_else(fleet: Fleet):
    fleet.servers[AIRBYTE].knobs = Knobs(status=500, only="/jobs/list")
    query = "{ connections(first: 200) { nodes { id provider runs { nodes { id } } } } }"
    answered = await fleet.ask(query)
    nodes = answered["data"]["connections"]["nodes"]
    failed = {node["provider"]: node["runs"] is None for node in nodes if node["provider"] != "UNIFIED_TO"}
    assert failed == {"AIRBYTE": True, "WORKIVA": False}
    assert sorted(error["path"] for error in answered["errors"]) == [
        ["connections", "nodes", index, "runs"] for index, node in enumerate(nodes) if node["provider"] == "AIRBYTE"
    ]


async def test_an_instance_that_keeps_failing_is_left_alone(upstreams: Upstreams):
    instances = settings_of(upstreams, break_after=2, break_for=60)
    instances[UNIFIED_TO]["environments"] = ["Production"]
    async with over(upstreams, instances) as fleet:
        fleet.servers[UNIFIED_TO].knobs = Knobs(status=500)
        codes = [(await fleet.ask(PAGE))["errors"][0]["extensions"]["code"] for _ in range(3)]
        assert codes == ["UPSTREAM_UNAVAILABLE", "UPSTREAM_UNAVAILABLE", "CIRCUIT_OPEN"]
        assert fleet.calls(UNIFIED_TO, "/unified/connection") == 2
        answered = await fleet.ask(PAGE)
        assert rows(answered) == {AIRBYTE: 60, WORKIVA: 60}
        extensions = answered["errors"][0]["extensions"]
        assert (extensions["retryable"], extensions["instance"]) == (True, UNIFIED_TO)
        assert 0 < extensions["retryAfter"] <= 60
        told = await fleet.data("{ instances { name breaker } }")
        assert {row["name"]: row["breaker"] for row in told["instances"]}[UNIFIED_TO] == "OPEN"
        ready = (await fleet.client.get(f"{fleet.url}/readyz")).json()
        assert ready == {"status": "ok", "breakers": {AIRBYTE: "CLOSED", WORKIVA: "CLOSED", UNIFIED_TO: "OPEN"}}


async def test_an_instance_that_was_left_alone_is_tried_again(upstreams: Upstreams):
    async with over(upstreams, settings_of(upstreams, break_after=1, break_for=0.1)) as fleet:
        fleet.servers[WORKIVA].knobs = Knobs(status=500, times=1)
        assert WORKIVA not in rows(await fleet.ask(PAGE))
        await asyncio.sleep(0.15)
        assert rows(await fleet.ask(PAGE)) == dict.fromkeys(ALL, 60)


async def test_the_deadline_of_a_request_ends_a_call_that_may_take_longer(upstreams: Upstreams):
    patient = settings_of(upstreams, timeout=600)
    async with over(upstreams, patient, limits={"request_timeout": 0.7}) as fleet:
        fleet.servers[WORKIVA].knobs = Knobs(hang=True)
        answered = await fleet.ask(PAGE)
        assert rows(answered) == {AIRBYTE: 60, UNIFIED_TO: 60}
        (error,) = answered["errors"]
        assert (error["extensions"]["code"], error["extensions"]["instance"]) == ("UPSTREAM_TIMEOUT", WORKIVA)
        by_id = await fleet.ask(f'{{ node(id: "{ids.encode(WORKIVA, native_id("workiva", 0))}") {{ id }} }}')
        assert by_id["data"] == {"node": None}
        assert by_id["errors"][0]["extensions"]["code"] == "UPSTREAM_TIMEOUT"


async def test_a_slow_token_service_costs_its_own_rows_within_the_deadline(upstreams: Upstreams):
    async with over(upstreams, settings_of(upstreams, timeout=600), limits={"request_timeout": 0.7}) as fleet:
        fleet.servers[AIRBYTE].knobs = Knobs(hang=True, only="/applications/token")
        answered = await fleet.ask(PAGE)
    assert rows(answered) == {WORKIVA: 60, UNIFIED_TO: 60}
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["UPSTREAM_TIMEOUT"]


async def test_retries_make_up_for_a_failure_that_passes(upstreams: Upstreams):
    async with over(upstreams, settings_of(upstreams, retries=2)) as fleet:
        for server in fleet.servers.values():
            server.knobs = Knobs(status=503, times=1)
        answered = await fleet.ask(PAGE)
    assert "errors" not in answered
    assert rows(answered) == dict.fromkeys(ALL, 60)


async def test_an_overloaded_instance_says_so(upstreams: Upstreams):
    async with over(upstreams, settings_of(upstreams, max_in_flight=1, max_waiting=0)) as fleet:
        await fleet.ask(PAGE)
        wanted = [ids.encode(AIRBYTE, connection_id(number)) for number in range(4)]
        answered = await fleet.ask(FULL, {"ids": wanted})
    assert sum(node is not None for node in answered["data"]["nodes"]) == 1
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["UPSTREAM_OVERLOADED"] * 3


# --- page and facets in one request, with and without rows from before

BOTH = """
    query ($maxAge: Int) {
      connections(first: 200, maxAge: $maxAge) {
        totalCount
        nodes { nativeId instance { name } workspaceId environment }
        sources { ...Told }
      }
      connectionFacets(maxAge: $maxAge) {
        totalCount
        instance { value count }
        sources { ...Told }
      }
    }
    fragment Told on SourceReport {
      instance { name } state rowCount droppedRowCount asOf stale error { code retryable retryAfter }
    }"""
SICK = {name: TROUBLES[name] for name in ("hangs", "resets", "500", "429 with Retry-After", "half an answer", "HTML")}


def told(answered: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """What page and facets tell of an instance."""
    fields = answered["data"]["connections"], answered["data"]["connectionFacets"]
    return [next(of for of in field["sources"] if of["instance"]["name"] == name) for field in fields]


def counted(answered: Mapping[str, Any]) -> dict[str, int]:
    """What the facets count of each instance; the totals must agree."""
    facets = answered["data"]["connectionFacets"]
    counts = {facet["value"]: facet["count"] for facet in facets["instance"]}
    assert facets["totalCount"] == answered["data"]["connections"]["totalCount"] == sum(counts.values())
    return counts


def assert_one_error(answered: Mapping[str, Any], sick: str, trouble: Trouble) -> None:
    """One entry for the sick instance, coded, however many fields and lists there are."""
    (error,) = answered["errors"]
    extensions = error["extensions"]
    assert error["path"] in (["connections"], ["connectionFacets"])
    assert (extensions["instance"], extensions["code"]) == (sick, trouble.code)
    assert (extensions["retryable"], extensions.get("retryAfter")) == (trouble.retryable, trouble.retry_after)
    for source in told(answered, sick):
        expected = {"code": trouble.code, "retryable": trouble.retryable, "retryAfter": trouble.retry_after}
        assert source["error"] == expected


@pytest.mark.parametrize("sick", ALL)
@pytest.mark.parametrize("trouble", SICK.values(), ids=SICK)
async def test_page_and_facets_of_one_request_have_all_of_the_others_and_one_error(
    hasty: Fleet, sick: str, trouble: Trouble
):
    hasty.servers[sick].knobs = trouble.knobs
    answered = await hasty.ask(BOTH)
    healthy = [name for name in ALL if name != sick]
    assert rows(answered) == counted(answered) == dict.fromkeys(healthy, 60)
    assert_one_error(answered, sick, trouble)
    for source in told(answered, sick):
        assert (source["state"], source["rowCount"], source["asOf"], source["stale"]) == ("FAILED", 0, None, False)
    for source in (each for name in healthy for each in told(answered, name)):
        assert (source["state"], source["rowCount"], source["error"]) == ("OK", 60, None)


@pytest.mark.parametrize("sick", ALL)
@pytest.mark.parametrize("trouble", SICK.values(), ids=SICK)
async def test_the_last_rows_of_a_sick_instance_are_shown_as_stale(hasty: Fleet, sick: str, trouble: Trouble):
    before = await hasty.ask(BOTH)
    hasty.servers[sick].knobs = trouble.knobs
    answered = await hasty.ask(BOTH)
    assert rows(answered) == counted(answered) == dict.fromkeys(ALL, 60)
    assert answered["data"]["connections"]["nodes"] == before["data"]["connections"]["nodes"]
    assert_one_error(answered, sick, trouble)
    (was, _), (page, facets) = told(before, sick), told(answered, sick)
    assert (was["state"], was["stale"], was["error"]) == ("OK", False, None)
    for source in page, facets:
        assert (source["state"], source["stale"], source["rowCount"]) == ("STALE", True, 60)
        assert source["asOf"] == was["asOf"]
    for name in ALL:
        if name != sick:
            (was, _), (now, _) = told(before, name), told(answered, name)
            assert (now["state"], now["stale"]) == ("OK", False)
            assert now["asOf"] > was["asOf"], "the others were read anew"
    hasty.servers[sick].knobs = Knobs()
    again = await hasty.ask(BOTH)
    assert "errors" not in again
    assert {(source["state"], source["stale"]) for source in told(again, sick)} == {("OK", False)}
    assert told(again, sick)[0]["asOf"] > page["asOf"]


@pytest.mark.parametrize("sick", ALL)
async def test_an_instance_that_went_away_is_shown_as_it_was(upstreams: Upstreams, sick: str):
    own = {AIRBYTE: AirbyteImitation, WORKIVA: WorkivaImitation, UNIFIED_TO: UnifiedToImitation}[sick]()
    async with contextlib.AsyncExitStack() as stack:
        instances = settings_of(upstreams)
        instances[sick] = {**own.settings(await stack.enter_async_context(own.serve())), "retries": 0}
        async with over(upstreams, instances) as fleet:
            before = await fleet.data(BOTH)
            await stack.aclose()
            answered = await fleet.ask(BOTH)
    assert rows(answered) == dict.fromkeys(ALL, 60)
    assert_one_error(answered, sick, Trouble(Knobs(), "UPSTREAM_UNAVAILABLE", True))
    (was, _), (now, _) = told({"data": before}, sick), told(answered, sick)
    assert (now["state"], now["asOf"]) == ("STALE", was["asOf"])


@pytest.mark.parametrize("sick", ALL)
async def test_rows_older_than_max_stale_are_not_shown(upstreams: Upstreams, sick: str):
    async with over(upstreams, settings_of(upstreams), inventory={"max_age": 0, "max_stale": 0}) as fleet:
        assert rows(await fleet.ask(BOTH)) == dict.fromkeys(ALL, 60)
        fleet.servers[sick].knobs = Knobs(status=500)
        answered = await fleet.ask(BOTH)
    assert rows(answered) == counted(answered) == {name: 60 for name in ALL if name != sick}
    assert_one_error(answered, sick, TROUBLES["500"])
    assert {(each["state"], each["rowCount"], each["stale"]) for each in told(answered, sick)} == {("FAILED", 0, False)}


async def test_within_max_age_nobody_notices_and_then_the_last_rows_are_stale(upstreams: Upstreams):
    async with over(upstreams, settings_of(upstreams), inventory={"max_age": 600}) as fleet:
        await fleet.data(BOTH)
        fleet.servers[WORKIVA].knobs = Knobs(status=500)
        assert {each["state"] for each in told(await fleet.ask(BOTH), WORKIVA)} == {"OK"}
        stale = await fleet.ask(BOTH, {"maxAge": 0})
    assert {each["state"] for each in told(stale, WORKIVA)} == {"STALE"}
    assert rows(stale) == dict.fromkeys(ALL, 60)


async def test_rows_that_are_no_longer_fresh_are_stale_where_they_cannot_be_read_anew(upstreams: Upstreams):
    async with over(upstreams, settings_of(upstreams), inventory={"max_age": 0.05}) as fleet:
        await fleet.data(BOTH)
        fleet.servers[WORKIVA].knobs = Knobs(status=500)
        await asyncio.sleep(0.1)
        stale = await fleet.ask(BOTH)
    assert {each["state"] for each in told(stale, WORKIVA)} == {"STALE"}
    assert rows(stale) == dict.fromkeys(ALL, 60)


@pytest.mark.parametrize(
    ("instance", "path", "part"),
    [(AIRBYTE, "/connections/list", "workspaceId"), (UNIFIED_TO, "/unified/connection", "environment")],
)
async def test_one_list_of_several_costs_its_own_rows(upstreams: Upstreams, instance: str, path: str, part: str):
    async with over(upstreams, settings_of(upstreams)) as fleet:
        whole = (await fleet.data(BOTH))["connections"]["nodes"]
    sizes = Counter(row[part] or "Production" for row in whole if row["instance"]["name"] == instance)
    assert len(sizes) > 1
    async with over(upstreams, settings_of(upstreams)) as fleet:
        fleet.servers[instance].knobs = Knobs(status=500, only=path, times=1)
        answered = await fleet.ask(BOTH)
        shown = answered["data"]["connections"]["nodes"]
        left = Counter(row[part] or "Production" for row in shown if row["instance"]["name"] == instance)
        (failed,) = sizes.keys() - left.keys()
        assert left == {name: size for name, size in sizes.items() if name != failed}
        assert_one_error(answered, instance, TROUBLES["500"])
        assert {(each["state"], each["rowCount"]) for each in told(answered, instance)} == {("PARTIAL", left.total())}
        assert counted(answered) == dict.fromkeys(ALL, 60) | {instance: left.total()}
        assert "errors" not in await fleet.ask(BOTH)
        fleet.servers[instance].knobs = Knobs(status=500, only=path, times=1)
        stale = await fleet.ask(BOTH)
        assert rows(stale) == dict.fromkeys(ALL, 60)
        assert {each["state"] for each in told(stale, instance)} == {"STALE"}


async def test_malformed_rows_are_counted_as_long_as_they_are_missing(upstreams: Upstreams):
    instances = settings_of(upstreams)
    async with over(upstreams, instances, inventory={"max_age": 600}) as fleet:
        good = fleet.servers[WORKIVA].row(0)
        body = json.dumps({"code": 200, "body": [good, {"name": "no id"}, 7]})
        fleet.servers[WORKIVA].knobs = Knobs(body=body, only="/api/v1/connections", times=1)
        for _ in range(2):  # read, and from memory
            answered = await fleet.ask(BOTH)
            assert "errors" not in answered
            for source in told(answered, WORKIVA):
                assert (source["state"], source["rowCount"], source["droppedRowCount"]) == ("PARTIAL", 1, 2)
        assert fleet.calls(WORKIVA, "/api/v1/connections") == 1
        whole = await fleet.ask(BOTH, {"maxAge": 0})
    assert {(each["state"], each["droppedRowCount"]) for each in told(whole, WORKIVA)} == {("OK", 0)}


async def test_a_failure_is_remembered_as_long_as_rows_are(upstreams: Upstreams):
    async with over(upstreams, settings_of(upstreams), inventory={"max_age": 600}) as fleet:
        fleet.servers[WORKIVA].knobs = Knobs(status=500, only="/api/v1/connections", times=1)
        for _ in range(3):
            assert_one_error(await fleet.ask(BOTH), WORKIVA, TROUBLES["500"])
        assert fleet.calls(WORKIVA, "/api/v1/connections") == 1
        assert "errors" not in await fleet.ask(BOTH, {"maxAge": 0})
        assert "errors" not in await fleet.ask(BOTH)
        assert fleet.calls(WORKIVA, "/api/v1/connections") == 2


async def test_an_upstream_that_says_when_to_ask_again_is_not_asked_before(upstreams: Upstreams):
    async with over(upstreams, settings_of(upstreams), inventory={"max_age": 0.05}) as fleet:
        fleet.servers[WORKIVA].knobs = Knobs(status=429, retry_after_s=600, only="/api/v1/connections")
        for _ in range(2):
            assert_one_error(await fleet.ask(BOTH), WORKIVA, Trouble(Knobs(), "UPSTREAM_RATE_LIMITED", True, 600))
            await asyncio.sleep(0.1)
        assert fleet.calls(WORKIVA, "/api/v1/connections") == 1


async def test_page_and_facets_arrive_within_the_deadline_of_a_request_shorter_than_any_call(upstreams: Upstreams):
    async with over(upstreams, settings_of(upstreams, timeout=600), limits={"request_timeout": 1.5}) as fleet:
        await fleet.data(BOTH)
        fleet.servers[UNIFIED_TO].knobs = Knobs(hang=True)
        answered = await fleet.ask(BOTH)
        assert rows(answered) == counted(answered) == dict.fromkeys(ALL, 60)
        assert_one_error(answered, UNIFIED_TO, TROUBLES["hangs"])
        assert {each["state"] for each in told(answered, UNIFIED_TO)} == {"STALE"}


@pytest.mark.parametrize(("seconds", "codes"), [(0.5, ["UPSTREAM_TIMEOUT"]), (60, [])])
async def test_a_list_that_takes_too_long_to_be_read_whole_is_its_upstreams_failure(seconds: float, codes: list[str]):
    """Each of its pages comes in time, and there are many of them."""
    imitation = UnifiedToImitation(size=1500)
    async with imitation.serve() as url:
        upstreams: Upstreams = {UNIFIED_TO: (imitation, url)}
        async with over(upstreams, settings_of(upstreams), inventory={"walk_timeout": seconds}) as fleet:
            imitation.knobs = Knobs(delay_s=0.2)
            answered = await fleet.ask("{ connections(first: 1) { totalCount } }")
            called = fleet.calls(UNIFIED_TO, "/unified/connection")
            await asyncio.sleep(0.5)
            assert fleet.calls(UNIFIED_TO, "/unified/connection") == called, "it is read no further"
    assert [error["extensions"]["code"] for error in answered.get("errors", [])] == codes
    assert (called < 15) is bool(codes)


async def test_a_later_page_that_hangs_costs_what_had_not_been_read(upstreams: Upstreams):
    """A long list is read page by page: what was read of it is shown, and the others go on to their end."""
    long = UnifiedToImitation(size=250)
    instances = settings_of(upstreams, timeout=600)
    del instances[AIRBYTE]
    query = "query ($after: String) { connections(first: 50, after: $after) { nodes { nativeId instance { name } }"
    query += " pageInfo { hasNextPage endCursor } sources { instance { name } state } } }"
    async with long.serve() as url:
        instances[UNIFIED_TO] = {**long.settings(url), "environments": ["Production"], "timeout": 600, "retries": 0}
        limits = {"request_timeout": 1.5}
        async with over(upstreams, instances, inventory={"max_age": 600}, limits=limits) as fleet:
            met: Counter[str] = Counter()
            errors: list[dict[str, Any]] = []
            info: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
            while info["hasNextPage"]:
                answered = await fleet.ask(query, {"after": info["endCursor"]})
                met += rows(answered)
                errors += answered.get("errors", [])
                info = answered["data"]["connections"]["pageInfo"]
                long.knobs = Knobs(hang=True)
    assert met == {UNIFIED_TO: 100, WORKIVA: 60}
    assert {error["extensions"]["code"] for error in errors} == {"UPSTREAM_TIMEOUT"}
    assert {error["extensions"]["instance"] for error in errors} == {UNIFIED_TO}
