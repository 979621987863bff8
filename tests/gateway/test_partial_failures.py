"""An upstream in trouble costs its own rows and one coded error; the others answer as if nothing had happened."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple

import httpx
import pytest

from adapters import ids
from adapters.airbyte.demo import connection_id
from adapters.imitation import Knobs, native_id
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, gateway_over

ALL = (AIRBYTE, WORKIVA, UNIFIED_TO)
PAGE = """
    query ($first: Int = 30) {
      connections(first: $first) {
        nodes { nativeId instance { name } }
        pageInfo { hasNextPage }
        sources {
          instance { name } state rowCount droppedRowCount error { code message retryable retryAfter }
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


def settings_of(upstreams: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {name: {**server.settings(url), "retries": 0, **more} for name, (server, url) in upstreams.items()}


@pytest.fixture
async def hasty(upstreams: Mapping[str, Any]) -> AsyncGenerator[Fleet]:
    """The same upstreams behind a gateway that gives each call a third of a second."""
    servers = {name: server for name, (server, _) in upstreams.items()}
    for server in servers.values():
        server.knobs = Knobs()
    async with gateway_over(settings_of(upstreams, timeout=0.33)) as url, httpx.AsyncClient(timeout=30) as client:
        yield Fleet(url, servers, client)


@pytest.mark.parametrize("sick", ALL)
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
async def test_one_sick_instance_costs_its_own_rows_and_one_coded_error(hasty: Fleet, sick: str, trouble: Trouble):
    hasty.servers[sick].knobs = trouble.knobs
    answered = await hasty.ask(PAGE)
    healthy = [name for name in ALL if name != sick]
    assert rows(answered) == dict.fromkeys(healthy, 15)
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
async def test_a_port_where_nobody_listens_costs_its_own_rows(fleet: Fleet, upstreams: Mapping[str, Any], broken: str):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"
    instances = settings_of(upstreams)
    instances[broken] |= {"base_url": closed}
    async with gateway_over(instances) as url:
        answered = await Fleet(url, fleet.servers, fleet.client).ask(PAGE)
    assert rows(answered) == {name: 15 for name in ALL if name != broken}
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["UPSTREAM_UNAVAILABLE"]


async def test_a_name_that_leads_nowhere_costs_its_own_rows(fleet: Fleet, upstreams: Mapping[str, Any]):
    instances = settings_of(upstreams)
    instances[UNIFIED_TO] |= {"base_url": "http://nowhere.invalid"}
    async with gateway_over(instances) as url:
        answered = await Fleet(url, fleet.servers, fleet.client).ask(PAGE)
    assert rows(answered) == {AIRBYTE: 15, WORKIVA: 15}
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["UPSTREAM_UNAVAILABLE"]


@pytest.mark.parametrize(
    "unreadable", [{"id": None}, {"no": "id"}, [], "text", 7, None, {"id": {"a": 1}}], ids=json.dumps
)
async def test_one_malformed_row_costs_that_row_and_is_counted(
    fleet: Fleet, upstreams: Mapping[str, Any], unreadable: object
):
    instances = settings_of(upstreams)
    instances[UNIFIED_TO]["environments"] = ["Production"]
    good = [fleet.servers[UNIFIED_TO].row(number) for number in (0, 1)]  # pyright: ignore[reportAttributeAccessIssue]
    body = json.dumps([good[0], unreadable, good[1]])
    fleet.servers[UNIFIED_TO].knobs = Knobs(body=body, only="/unified/connection", times=1)
    async with gateway_over(instances) as url:
        answered = await Fleet(url, fleet.servers, fleet.client).ask(PAGE)
    assert rows(answered)[UNIFIED_TO] == 2
    assert (rows(answered)[AIRBYTE], rows(answered)[WORKIVA]) == (14, 14)
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
    assert rows(answered) == dict.fromkeys(ALL, 10)
    (error,) = answered["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["connections"], "UPSTREAM_UNAVAILABLE")
    assert error["extensions"]["instance"] == instance
    told = sources(answered)[instance]
    assert (told["state"], told["rowCount"], told["error"]["code"]) == ("PARTIAL", 10, "UPSTREAM_UNAVAILABLE")


async def test_a_failed_full_read_leaves_the_row_as_its_list_has_it(fleet: Fleet):
    fleet.servers[AIRBYTE].knobs = Knobs(status=500, only="/connections/get", times=1)
    details = "name details { ... on AirbyteConnection { rawStatus namespaceDefinition } }"
    answered = await fleet.ask(PAGE.replace("nativeId", f"nativeId {details}", 1), {"first": 9})
    airbyte = [node for node in answered["data"]["connections"]["nodes"] if node["instance"]["name"] == AIRBYTE]
    assert len(airbyte) == 3
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
    answered = await fleet.ask("{ connections(first: 6) { nodes { id provider runs { nodes { id } } } } }")
    nodes = answered["data"]["connections"]["nodes"]
    assert [node["runs"] for node in nodes if node["provider"] == "AIRBYTE"] == [None, None]
    assert all(node["runs"] for node in nodes if node["provider"] == "WORKIVA")
    assert [error["path"] for error in answered["errors"]] == [
        ["connections", "nodes", index, "runs"] for index, node in enumerate(nodes) if node["provider"] == "AIRBYTE"
    ]


async def test_an_instance_that_keeps_failing_is_left_alone(fleet: Fleet, upstreams: Mapping[str, Any]):
    async with gateway_over(settings_of(upstreams, break_after=2, break_for=60)) as url:
        gateway = Fleet(url, fleet.servers, fleet.client)
        fleet.servers[UNIFIED_TO].knobs = Knobs(status=500)
        codes = [(await gateway.ask(PAGE))["errors"][0]["extensions"]["code"] for _ in range(3)]
        assert codes == ["UPSTREAM_UNAVAILABLE", "UPSTREAM_UNAVAILABLE", "CIRCUIT_OPEN"]
        assert fleet.calls(UNIFIED_TO, "/unified/connection") == 2
        answered = await gateway.ask(PAGE)
        assert rows(answered) == {AIRBYTE: 15, WORKIVA: 15}
        extensions = answered["errors"][0]["extensions"]
        assert (extensions["retryable"], extensions["instance"]) == (True, UNIFIED_TO)
        assert 0 < extensions["retryAfter"] <= 60
        told = await gateway.data("{ instances { name breaker } }")
        assert {row["name"]: row["breaker"] for row in told["instances"]}[UNIFIED_TO] == "OPEN"
        ready = (await fleet.client.get(f"{url}/readyz")).json()
        assert ready == {"status": "ok", "breakers": {AIRBYTE: "CLOSED", WORKIVA: "CLOSED", UNIFIED_TO: "OPEN"}}


async def test_an_instance_that_was_left_alone_is_tried_again(fleet: Fleet, upstreams: Mapping[str, Any]):
    async with gateway_over(settings_of(upstreams, break_after=1, break_for=0.1)) as url:
        gateway = Fleet(url, fleet.servers, fleet.client)
        fleet.servers[UNIFIED_TO].knobs = Knobs(status=500, times=1)
        assert UNIFIED_TO not in rows(await gateway.ask(PAGE))
        await asyncio.sleep(0.15)
        assert rows(await gateway.ask(PAGE)) == dict.fromkeys(ALL, 10)


async def test_the_deadline_of_a_request_ends_a_call_that_may_take_longer(fleet: Fleet, upstreams: Mapping[str, Any]):
    patient = settings_of(upstreams, timeout=600)
    async with gateway_over(patient, limits={"request_timeout": 0.7}) as url:
        gateway = Fleet(url, fleet.servers, fleet.client)
        fleet.servers[WORKIVA].knobs = Knobs(hang=True)
        answered = await gateway.ask(PAGE)
        assert rows(answered) == {AIRBYTE: 15, UNIFIED_TO: 15}
        (error,) = answered["errors"]
        assert (error["extensions"]["code"], error["extensions"]["instance"]) == ("UPSTREAM_TIMEOUT", WORKIVA)
        by_id = await gateway.ask(f'{{ node(id: "{ids.encode(WORKIVA, native_id("workiva", 0))}") {{ id }} }}')
        assert by_id["data"] == {"node": None}
        assert by_id["errors"][0]["extensions"]["code"] == "UPSTREAM_TIMEOUT"


async def test_a_slow_token_service_costs_its_own_rows_within_the_deadline(fleet: Fleet, upstreams: Mapping[str, Any]):
    async with gateway_over(settings_of(upstreams, timeout=600), limits={"request_timeout": 0.7}) as url:
        gateway = Fleet(url, fleet.servers, fleet.client)
        fleet.servers[AIRBYTE].knobs = Knobs(hang=True, only="/applications/token")
        answered = await gateway.ask(PAGE)
    assert rows(answered) == {WORKIVA: 15, UNIFIED_TO: 15}
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["UPSTREAM_TIMEOUT"]


async def test_retries_make_up_for_a_failure_that_passes(fleet: Fleet, upstreams: Mapping[str, Any]):
    async with gateway_over(settings_of(upstreams, retries=2)) as url:
        for server in fleet.servers.values():
            server.knobs = Knobs(status=503, times=1)
        answered = await Fleet(url, fleet.servers, fleet.client).ask(PAGE)
    assert "errors" not in answered
    assert rows(answered) == dict.fromkeys(ALL, 10)


async def test_an_overloaded_instance_says_so(fleet: Fleet, upstreams: Mapping[str, Any]):
    async with gateway_over(settings_of(upstreams, max_in_flight=1, max_waiting=0)) as url:
        gateway = Fleet(url, fleet.servers, fleet.client)
        await gateway.ask(PAGE)
        wanted = [ids.encode(AIRBYTE, connection_id(number)) for number in range(4)]
        answered = await gateway.ask(FULL, {"ids": wanted})
    assert sum(node is not None for node in answered["data"]["nodes"]) == 1
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["UPSTREAM_OVERLOADED"] * 3
