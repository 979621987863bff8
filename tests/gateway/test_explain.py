"""Explanations: a plan names the calls that the same query then makes, and calls are told as they were made."""

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple

import httpx
import pytest

from adapters import ids
from adapters.airbyte import demo as airbyte
from adapters.imitation import Knobs, native_id
from adapters.unified_to import demo as unified_to
from adapters.workiva import demo as workiva
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, Upstreams, fleet_over, gateway_over

ALL = (AIRBYTE, WORKIVA, UNIFIED_TO)
Operations = Mapping[tuple[str, str], int | None]
"""By instance and operation, how often; None where that is not known before."""

ROWS = "nodes { id status enabled lastRun { startedAt } }"
NAMED = "nodes { id name workspaceName source { name type } destination { name type } }"
FACETS = "status { value count } sourceType { value label count } workspace { label count }"
CATALOG = "details { ... on AirbyteConnection { syncCatalog { streams { stream { name } } } } }"
PLACES = {
    AIRBYTE: [airbyte.connection_id(number) for number in range(3)],
    WORKIVA: [native_id("workiva", number) for number in range(3)],
    UNIFIED_TO: [native_id("unified_to", number)[:24] for number in range(4)],
}

OF_AIRBYTE = {(AIRBYTE, "get_token"): 1, (AIRBYTE, "list_workspaces"): 1, (AIRBYTE, "list_connections"): None}
OF_WORKIVA = {(WORKIVA, "get_token"): 1, (WORKIVA, "list_connections"): 1}
OF_UNIFIED_TO = {(UNIFIED_TO, "list_connections"): 3}
LISTS: Operations = {**OF_AIRBYTE, **OF_WORKIVA, **OF_UNIFIED_TO}
"""Which workspaces there are is asked first, so how many lists Airbyte has is not known before."""
INTEGRATIONS: Operations = {(UNIFIED_TO, "list_integrations"): None}
"""Later versions name integrations in the rows."""
NAMES: Operations = {(WORKIVA, "list_queries"): None, (WORKIVA, "list_tables"): None}
"""Which queries and tables there are, rows tell."""


class Planned(NamedTuple):
    """A query, what is to be planned for it, and which of the operations in the plan turn out to be unnecessary."""

    query: str
    plan: Operations
    spared: frozenset[tuple[str, str]] = frozenset()
    variables: Mapping[str, Any] = {}


def by_ids() -> Planned:
    wanted = [ids.encode(instance, id) for instance, held in PLACES.items() for id in held]
    plan: Operations = {
        **LISTS,
        **{(instance, "get_connection"): None for instance in ALL},
        (UNIFIED_TO, "list_connections"): 3,
    }
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Connection { status } } }"
    spared = frozenset((instance, "get_connection") for instance in ALL)
    return Planned(query, plan, spared, {"ids": wanted})


QUERIES: Mapping[str, Planned] = {
    "the default page": Planned(f"{{ connections {{ {ROWS} }} }}", {**LISTS, **INTEGRATIONS}),
    "an order that takes no names": Planned(f"{{ connections(orderBy: {{ field: STATUS }}) {{ {ROWS} }} }}", LISTS),
    "names": Planned(f"{{ connections {{ {NAMED} }} }}", {**LISTS, **INTEGRATIONS, **NAMES}),
    "a provider": Planned(f"{{ connections(filter: {{ provider: [WORKIVA] }}) {{ {ROWS} }} }}", OF_WORKIVA),
    "an instance": Planned(f'{{ connections(filter: {{ instance: ["{AIRBYTE}"] }}) {{ {ROWS} }} }}', OF_AIRBYTE),
    "two of three environments": Planned(
        f'{{ connections(filter: {{ provider: [UNIFIED_TO], environment: ["Sandbox", "Staging"] }}) {{ {ROWS} }} }}',
        {(UNIFIED_TO, "list_connections"): 2, **INTEGRATIONS},
    ),
    "a workspace": Planned(
        f"""query ($id: String!) {{
            connections(filter: {{ provider: [AIRBYTE], workspaceId: [$id] }}) {{ {ROWS} }} }}""",
        OF_AIRBYTE,
        variables={"id": airbyte.workspace_id("Data platform")},
    ),
    "facets": Planned(f"{{ connectionFacets {{ {FACETS} }} }}", LISTS),
    "facets with icons": Planned(
        "{ connectionFacets { sourceType { icon } } }",
        {**LISTS, (UNIFIED_TO, "list_integrations"): 1, (AIRBYTE, "list_source_definitions"): None},
    ),
    "a list screen": Planned(
        f"{{ connections {{ totalCount {NAMED} }} connectionFacets {{ {FACETS} }} }}",
        {**LISTS, **INTEGRATIONS, **NAMES},
    ),
    "ids of three providers": by_ids(),
    "one id": Planned(
        f'{{ node(id: "{ids.encode(WORKIVA, PLACES[WORKIVA][0])}") {{ id ... on Connection {{ status }} }} }}',
        {(WORKIVA, "get_token"): 1, (WORKIVA, "get_connection"): 1},
    ),
    "a catalog": Planned(
        f'{{ connection(ref: {{ instance: "{AIRBYTE}", nativeId: "{PLACES[AIRBYTE][0]}" }}) {{ {CATALOG} }} }}',
        {(AIRBYTE, "get_token"): 1, (AIRBYTE, "get_connection"): 1},
    ),
    "catalogs of a page": Planned(
        f"{{ connections(filter: {{ provider: [AIRBYTE] }}) {{ nodes {{ {CATALOG} }} }} }}",
        {**OF_AIRBYTE, (AIRBYTE, "get_connection"): None},
    ),
    "runs of a page": Planned(
        "{ connections(first: 3, filter: { provider: [AIRBYTE] }) { nodes { runs { nodes { id } } } } }",
        {**OF_AIRBYTE, (AIRBYTE, "list_jobs"): None},
    ),
    "nothing of upstreams": Planned("{ instances { name capabilities } }", {}),
}


@contextlib.asynccontextmanager
async def explaining(upstreams: Upstreams, **sections: Any) -> AsyncGenerator[Fleet]:
    """A gateway that explains to everyone and keeps what it read."""
    kept = {"inventory": {"max_age": 600}, "auth": {"explain": "everyone"}}
    async with fleet_over(upstreams, **{**kept, **sections}) as fleet:
        yield fleet


async def explained(fleet: Fleet, mode: str, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The whole response with an explanation."""
    body = {"query": query, "variables": variables, "extensions": {"explain": mode}}
    return (await fleet.client.post(f"{fleet.url}/graphql", json=body)).json()


async def planned(fleet: Fleet, query: str, variables: Mapping[str, Any] | None = None) -> dict[tuple[str, str], Any]:
    """What is planned; each operation stands in a plan once."""
    answered = await explained(fleet, "PLAN", query, variables)
    assert "errors" not in answered
    assert answered["data"] is None, "nothing was executed"
    calls = answered["extensions"]["explain"]["calls"]
    plan = {(call["instance"], call["operation"]): call["times"] for call in calls}
    assert len(plan) == len(calls)
    assert all(call["why"] for call in calls if call["times"] is None), "what is not known is said why"
    return plan


async def made(fleet: Fleet, query: str, variables: Mapping[str, Any] | None = None) -> Counter[tuple[str, str]]:
    """The calls that a query makes, as they are told; the journals of the upstreams agree."""
    fleet.forget()
    answered = await explained(fleet, "CALLS", query, variables)
    assert "errors" not in answered
    calls = answered["extensions"]["explain"]["calls"]
    for instance in ALL:
        told = Counter(call["method"] for call in calls if call["instance"] == instance)
        assert told == Counter(call.split()[0] for call in fleet.servers[instance].journal.calls)
    return Counter((call["instance"], call["operation"]) for call in calls)


def total(fleet: Fleet) -> int:
    return sum(fleet.calls(instance) for instance in ALL)


# --- plans


@pytest.mark.parametrize("name", QUERIES)
async def test_a_plan_makes_no_call_and_names_those_that_are_then_made(upstreams: Upstreams, name: str):
    query, expected, spared, variables = QUERIES[name]
    async with explaining(upstreams) as fleet:
        plan = await planned(fleet, query, variables)
        assert total(fleet) == 0
        assert plan == expected
        calls = await made(fleet, query, variables)
    assert calls.keys() == plan.keys() - spared
    assert {call: times for call, times in calls.items() if plan[call] is not None} == {
        call: times for call, times in plan.items() if times is not None
    }


WARM = ("the default page", "an order that takes no names", "names", "a provider", "facets", "a list screen")


@pytest.mark.parametrize("name", WARM)
async def test_with_everything_in_memory_nothing_is_planned_and_nothing_called(upstreams: Upstreams, name: str):
    query, *_ = QUERIES[name]
    async with explaining(upstreams) as fleet:
        await fleet.data(QUERIES["a list screen"].query)
        assert await planned(fleet, query) == {}
        assert not await made(fleet, query)


async def test_of_a_list_in_memory_what_rows_lack_is_still_planned(upstreams: Upstreams):
    query, *_ = QUERIES["catalogs of a page"]
    async with explaining(upstreams) as fleet:
        await fleet.data(QUERIES["the default page"].query)
        assert await planned(fleet, query) == {(AIRBYTE, "get_connection"): None}
        assert await made(fleet, query) == {(AIRBYTE, "get_connection"): 25}


async def test_once_workspaces_are_known_their_lists_are_counted(upstreams: Upstreams):
    query = f"{{ connections(maxAge: 0) {{ {ROWS} }} }}"
    async with explaining(upstreams) as fleet:
        await fleet.data(query)
        expected = {(AIRBYTE, "list_connections"): 2, (WORKIVA, "list_connections"): 1, **OF_UNIFIED_TO}
        assert await planned(fleet, query) == expected
        assert await made(fleet, query) == expected


async def test_lists_in_memory_are_left_out_of_the_plan_one_by_one(upstreams: Upstreams):
    sandbox = '{ connections(filter: { provider: [UNIFIED_TO], environment: ["Sandbox"] }) { totalCount } }'
    query = "{ connections(filter: { provider: [UNIFIED_TO] }) { totalCount } }"
    async with explaining(upstreams) as fleet:
        await fleet.data(sandbox)
        assert (await planned(fleet, query))[UNIFIED_TO, "list_connections"] == 2
        assert (await made(fleet, query))[UNIFIED_TO, "list_connections"] == 2


async def test_a_plan_of_a_mistake_tells_the_mistake(upstreams: Upstreams):
    async with explaining(upstreams) as fleet:
        answered = await explained(fleet, "PLAN", "{ connections(first: 101) { nodes { id } } }")
        assert [error["extensions"]["code"] for error in answered["errors"]] == ["BAD_USER_INPUT"]
        assert answered["extensions"]["explain"] == {"mode": "PLAN", "calls": []}
        assert total(fleet) == 0


# --- calls


async def test_every_call_is_told_as_it_was_made(upstreams: Upstreams):
    async with explaining(upstreams) as fleet:
        answered = await explained(fleet, "CALLS", QUERIES["names"].query)
        told = answered["extensions"]["explain"]
        assert len(answered["data"]["connections"]["nodes"]) == 25
        assert told["mode"] == "CALLS"
        assert len(told["calls"]) == total(fleet)
        paths = Counter((call["method"], call["route"]) for call in told["calls"])
        bases = {AIRBYTE: airbyte.BASE, WORKIVA: "", UNIFIED_TO: ""}
        journals = Counter(
            (each.method, each.path.removeprefix(bases[instance]))
            for instance in ALL
            for each in fleet.servers[instance].journal.asked
        )
    assert paths == journals
    for call in told["calls"]:
        assert (call["status"], call["error"], call["attempt"]) == (200, None, 1)
        assert call["bytes"] > 0
        assert call["durationMs"] > 0
        assert len(call["correlationId"]) == 32
    (queries,) = (call for call in told["calls"] if call["operation"] == "list_queries")
    (asked,) = (each for each in fleet.servers[WORKIVA].journal.asked if each.path == "/api/v1/query")
    assert queries["batchSize"] == len(asked.params().getlist("ids")) > 1
    assert {call["batchSize"] for call in told["calls"] if call is not queries} == {1}


async def test_a_route_is_a_template_and_not_what_fills_it(upstreams: Upstreams):
    query, *_ = QUERIES["one id"]
    async with explaining(upstreams) as fleet:
        calls = (await explained(fleet, "CALLS", query))["extensions"]["explain"]["calls"]
    assert calls[-1]["route"] == "/api/v1/connections/{connectionId}"


async def test_every_list_is_told_with_where_its_rows_are_from(upstreams: Upstreams):
    async with explaining(upstreams) as fleet:
        query = f"{{ page: connections {{ {ROWS} }} connectionFacets {{ {FACETS} }} }}"
        for origin in ("READ", "SNAPSHOT"):
            lists = (await explained(fleet, "CALLS", query))["extensions"]["explain"]["lists"]
            for field in ("page", "connectionFacets"):
                own = [each for each in lists if each["field"] == field]
                assert Counter(each["instance"] for each in own) == {AIRBYTE: 2, WORKIVA: 1, UNIFIED_TO: 3}
                assert sum(each["rows"] for each in own) == 180
                assert {each["from"] for each in own} == {origin}
                assert {each["part"] for each in own if each["instance"] == UNIFIED_TO} == set(unified_to.ENVIRONMENTS)
                assert {each["part"] for each in own if each["instance"] == WORKIVA} == {None}
                assert all(each["asOf"] for each in own)
        fleet.servers[WORKIVA].knobs = Knobs(status=500)
        answered = await explained(fleet, "CALLS", "{ connections(maxAge: 0) { totalCount } }")
        told = answered["extensions"]["explain"]
        (stale,) = (each for each in told["lists"] if each["instance"] == WORKIVA)
        assert (stale["from"], stale["rows"]) == ("STALE", 60)
        (failed,) = (call for call in told["calls"] if call["instance"] == WORKIVA)
        assert (failed["status"], failed["error"]) == (500, "UpstreamFault")


async def test_a_page_of_a_long_list_is_told_as_one():
    long = unified_to.UnifiedToImitation(size=700)
    query = '{ connections(filter: { environment: ["Sandbox"] }) { nodes { id } } }'
    async with long.serve() as url, explaining({UNIFIED_TO: (long, url)}) as fleet:
        told = (await explained(fleet, "CALLS", query))["extensions"]["explain"]
    (page,) = told["lists"]
    assert (page["from"], page["rows"], page["orderedUpstream"]) == ("PAGE", 100, True)
    assert (page["filteredUpstream"], page["filteredHere"]) == (["environment"], [])
    assert [call["operation"] for call in told["calls"]] == ["list_connections", "list_integrations"]


async def test_what_was_filtered_where_is_told(upstreams: Upstreams):
    where = '{ environment: ["Sandbox"], status: [FAILING], not: { text: "x" }, provider: [UNIFIED_TO] }'
    async with explaining(upstreams) as fleet:
        answered = await explained(fleet, "CALLS", f"{{ connections(filter: {where}) {{ totalCount }} }}")
    (only,) = answered["extensions"]["explain"]["lists"]
    assert only["part"] == "Sandbox"
    assert only["filteredUpstream"] == ["environment"]
    assert only["filteredHere"] == ["not", "status"]


async def test_retries_are_told_one_by_one(upstreams: Upstreams):
    servers = {name: server for name, (server, _) in upstreams.items()}
    instances = {name: {**server.settings(url), "retries": 2} for name, (server, url) in upstreams.items()}
    async with gateway_over(instances, auth={"explain": "everyone"}) as url, httpx.AsyncClient() as client:
        fleet = Fleet(url, servers, client)
        servers[WORKIVA].knobs = Knobs(status=503, only="/api/v1/connections", times=2)
        answered = await explained(fleet, "CALLS", "{ connections { totalCount } }")
    assert "errors" not in answered
    calls = answered["extensions"]["explain"]["calls"]
    told = [call for call in calls if (call["instance"], call["operation"]) == (WORKIVA, "list_connections")]
    assert [(call["attempt"], call["status"]) for call in told] == [(1, 503), (2, 503), (3, 200)]
    assert [call["error"] for call in told] == ["UpstreamFault", "UpstreamFault", None]


async def test_each_request_is_told_its_own_calls(upstreams: Upstreams):
    """What another request made is not in it; what one waited for and another made is from memory or nowhere."""
    async with explaining(upstreams) as fleet:
        await explained(fleet, "CALLS", QUERIES["the default page"].query)
        second = await explained(fleet, "CALLS", QUERIES["the default page"].query)
    assert second["extensions"]["explain"]["calls"] == []


# --- how it is asked for


@pytest.mark.parametrize("mode", ["calls", "CALLS", "plan", "PLAN"])
async def test_a_header_asks_for_it_as_well_as_extensions(upstreams: Upstreams, mode: str):
    query, *_ = QUERIES["a provider"]
    async with explaining(upstreams) as fleet:
        url, header = f"{fleet.url}/graphql", {"Gateway-Explain": mode}
        by_post = (await fleet.client.post(url, json={"query": query}, headers=header)).json()
        by_get = (await fleet.client.get(url, params={"query": query}, headers=header)).json()
    assert by_post["extensions"]["explain"]["mode"] == by_get["extensions"]["explain"]["mode"] == mode.upper()


async def test_extensions_come_before_the_header(upstreams: Upstreams):
    body = {"query": "{ instances { name } }", "extensions": {"explain": "PLAN"}}
    async with explaining(upstreams) as fleet:
        answered = await fleet.client.post(f"{fleet.url}/graphql", json=body, headers={"Gateway-Explain": "CALLS"})
    assert answered.json()["extensions"]["explain"]["mode"] == "PLAN"


async def test_without_being_asked_nothing_is_explained(upstreams: Upstreams):
    async with explaining(upstreams) as fleet:
        assert "extensions" not in await fleet.ask(QUERIES["the default page"].query)


# --- what is not in it


@pytest.mark.parametrize("mode", ["PLAN", "CALLS"])
async def test_no_secret_and_no_address_is_in_an_explanation(upstreams: Upstreams, mode: str):
    held = {airbyte.CLIENT_SECRET, airbyte.PLANTED, workiva.CLIENT_SECRET, unified_to.TOKEN, "planted-secret"}
    async with explaining(upstreams) as fleet:
        for sick in (False, True):
            for server in fleet.servers.values():
                server.knobs = Knobs(status=500 if sick else None)
            for query, _, _, variables in QUERIES.values():
                told = str((await explained(fleet, mode, query, variables))["extensions"])
                assert not [secret for secret in held if secret in told]
                assert "://" not in told
                assert "127.0.0.1" not in told
                assert "Bearer" not in told
