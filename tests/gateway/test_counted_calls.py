"""What a query costs: the upstream calls it makes, counted in the journals of the imitations."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from adapters import ids
from adapters.airbyte.demo import WORKSPACES, AirbyteImitation, connection_id
from adapters.imitation import Knobs, native_id
from adapters.unified_to.demo import ENVIRONMENTS
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, gateway_over

LIST, GET, JOBS = "/web_backend/connections/list", "/web_backend/connections/get", "/jobs/list"
WORKSPACES_LIST = "/workspaces/list"
WORKIVA_LIST, UNIFIED_LIST = "GET /api/v1/connections", "GET /unified/connection"
INTEGRATIONS = "GET /unified/integration"
LISTED = "id status enabled running nativeId schedule { humanText } lastRun { status }"
"""Fields that every upstream's list page holds."""
PER_INSTANCE = {AIRBYTE: 7, WORKIVA: 7, UNIFIED_TO: 6}
TOKENS = ("/applications/token", "/oauth2/token")


def natives(instance: str, count: int) -> list[str]:
    make = {
        AIRBYTE: connection_id,
        WORKIVA: lambda number: native_id("workiva", number),
        UNIFIED_TO: lambda number: native_id("unified_to", number)[:24],
    }[instance]
    return [make(number) for number in range(count)]


def twenty() -> list[tuple[str, str]]:
    """Twenty ids of three instances."""
    return [(instance, id) for instance, count in PER_INSTANCE.items() for id in natives(instance, count)]


def by_refs(places: Sequence[tuple[str, str]], selection: str) -> str:
    fields = (
        f'c{number}: connection(ref: {{ instance: "{instance}", nativeId: "{id}" }}) {{ {selection} }}'
        for number, (instance, id) in enumerate(places)
    )
    return "{ " + " ".join(fields) + " }"


def made(fleet: Fleet, instance: str) -> Counter[str]:
    """The calls for data, tokens left out: those are fetched once and kept."""
    calls = fleet.servers[instance].journal.by_path()
    return Counter({call: count for call, count in calls.items() if not call.endswith(TOKENS)})


def exactly(fleet: Fleet, instance: str, path: str) -> int:
    return sum(count for call, count in made(fleet, instance).items() if call.endswith(path))


async def test_twenty_aliased_references_cost_one_walk_for_each_list(fleet: Fleet):
    data = await fleet.data(by_refs(twenty(), LISTED))
    assert [row["nativeId"] for row in data.values()] == [id for _, id in twenty()]
    assert made(fleet, WORKIVA) == {WORKIVA_LIST: 1}
    assert made(fleet, UNIFIED_TO) == {UNIFIED_LIST: len(set(ENVIRONMENTS))}
    assert exactly(fleet, AIRBYTE, LIST) == len(WORKSPACES)
    assert fleet.calls(AIRBYTE, GET) == 0


async def test_twenty_aliased_references_with_full_records_cost_one_read_for_each_row_of_airbyte(fleet: Fleet):
    await fleet.data(by_refs(twenty(), "details { ... on AirbyteConnection { prefix } }"))
    assert made(fleet, AIRBYTE) == {f"POST /api/v1{GET}": PER_INSTANCE[AIRBYTE]}
    assert made(fleet, WORKIVA) == {WORKIVA_LIST: 1}


@pytest.mark.parametrize("field", ["node", "connection"])
async def test_twenty_aliased_ids_cost_the_same_as_references(fleet: Fleet, field: str):
    parts = (
        f'c{number}: {field}(id: "{ids.encode(*place)}") {{ id ... on Connection {{ {LISTED} }} }}'
        for number, place in enumerate(twenty())
    )
    await fleet.data("{ " + " ".join(parts) + " }")
    assert made(fleet, WORKIVA) == {WORKIVA_LIST: 1}
    assert made(fleet, UNIFIED_TO) == {UNIFIED_LIST: 3}
    assert exactly(fleet, AIRBYTE, LIST) == 2
    assert fleet.calls(AIRBYTE, GET) == 0


async def test_nodes_cost_the_same_as_references(fleet: Fleet):
    wanted = [ids.encode(*place) for place in twenty()]
    query = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ id ... on Connection {{ {LISTED} }} }} }}"
    data = await fleet.data(query, {"ids": wanted})
    assert [row["id"] for row in data["nodes"]] == wanted
    assert (made(fleet, WORKIVA), made(fleet, UNIFIED_TO)) == ({WORKIVA_LIST: 1}, {UNIFIED_LIST: 3})
    assert exactly(fleet, AIRBYTE, LIST) == 2
    assert fleet.calls(AIRBYTE, GET) == 0


async def test_a_single_id_costs_a_single_call_for_each_instance(fleet: Fleet):
    await fleet.data(by_refs([(instance, natives(instance, 1)[0]) for instance in PER_INSTANCE], LISTED))
    for instance in PER_INSTANCE:
        assert made(fleet, instance).total() == 1


async def test_an_id_asked_for_many_times_is_fetched_once(fleet: Fleet):
    for instance in PER_INSTANCE:
        await fleet.data(by_refs([(instance, natives(instance, 1)[0])] * 10, LISTED))
        assert made(fleet, instance).total() == 1


async def test_one_id_under_two_aliases_with_different_selections_is_one_fetch_that_answers_both(fleet: Fleet):
    ref = f'(ref: {{ instance: "{AIRBYTE}", nativeId: "{connection_id(1)}" }})'
    full = "details { ... on AirbyteConnection { namespaceDefinition syncCatalog { streams { stream { name } } } } }"
    data = await fleet.data(f"{{ a: connection{ref} {{ name }} b: connection{ref} {{ nativeId {full} }} }}")
    assert data["b"]["details"]["syncCatalog"]["streams"]
    assert made(fleet, AIRBYTE) == {f"POST /api/v1{GET}": 1}


async def test_ids_of_removed_and_impossible_kinds_cost_nothing(fleet: Fleet):
    wanted = [ids.encode("gone", "1"), ids.encode(AIRBYTE, "not-a-uuid"), ids.encode(WORKIVA, "a/b"), "nonsense"]
    await fleet.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": wanted})
    assert [made(fleet, instance).total() for instance in PER_INSTANCE] == [0, 0, 0]


COLD = {
    AIRBYTE: {f"POST /api/v1{WORKSPACES_LIST}": 1, f"POST /api/v1{LIST}": len(WORKSPACES)},
    WORKIVA: {WORKIVA_LIST: 1},
    UNIFIED_TO: {UNIFIED_LIST: len(set(ENVIRONMENTS)), INTEGRATIONS: 1},
}
"""What the list costs where nothing is known: a call for each list, the workspaces that there are, and the names of
integrations, by which it is sorted."""


def provider_rows(data: dict[str, Any], provider: str) -> list[dict[str, Any]]:
    """The rows of one provider in a page."""
    return [node for node in data["connections"]["nodes"] if node["provider"] == provider]


async def test_a_page_of_list_fields_costs_one_call_for_each_list(fleet: Fleet):
    await fleet.data(f"{{ connections(first: 25) {{ nodes {{ {LISTED} }} }} }}")
    assert {instance: made(fleet, instance) for instance in PER_INSTANCE} == COLD


async def test_a_page_of_no_rows_costs_as_much_since_it_tells_whether_there_are_any(fleet: Fleet):
    data = await fleet.data("{ connections(first: 0) { nodes { id } pageInfo { hasNextPage } } }")
    assert data["connections"] == {"nodes": [], "pageInfo": {"hasNextPage": True}}
    assert {instance: made(fleet, instance) for instance in PER_INSTANCE} == COLD


async def test_each_further_page_costs_the_lists_again_where_nothing_is_kept(fleet: Fleet):
    assert await walked(fleet, 15, pages=3) == 45
    assert exactly(fleet, AIRBYTE, LIST) == 3 * len(WORKSPACES)
    assert made(fleet, WORKIVA) == {WORKIVA_LIST: 3}
    assert made(fleet, UNIFIED_TO)[UNIFIED_LIST] == 3 * len(set(ENVIRONMENTS))
    assert fleet.calls(AIRBYTE, WORKSPACES_LIST) == 1, "which workspaces there are is kept"
    assert made(fleet, UNIFIED_TO)[INTEGRATIONS] == 1, "and so are names"


async def test_a_walk_over_everything_costs_each_list_once_where_it_is_kept(kept_fleet: Fleet):
    assert await walked(kept_fleet, 100) == 180
    assert {instance: made(kept_fleet, instance) for instance in PER_INSTANCE} == COLD


async def walked(fleet: Fleet, first: int, pages: int = 1000) -> int:
    """How many rows so many pages have, or as many as there are."""
    query = """query ($first: Int, $after: String) {
        connections(first: $first, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }"""
    info, rows = {"hasNextPage": True, "endCursor": None}, 0
    while info["hasNextPage"] and pages:
        page = (await fleet.data(query, {"first": first, "after": info["endCursor"]}))["connections"]
        info, rows, pages = page["pageInfo"], rows + len(page["nodes"]), pages - 1
    return rows


async def test_full_fields_in_a_page_cost_one_read_for_each_row_of_airbyte_and_nothing_else(fleet: Fleet):
    full = "details { ... on AirbyteConnection { syncCatalog { streams { stream { name } } } } }"
    rows = provider_rows(await fleet.data(f"{{ connections(first: 20) {{ nodes {{ provider {full} }} }} }}"), "AIRBYTE")
    assert 0 < len(rows) < 20
    assert all(row["details"]["syncCatalog"]["streams"] for row in rows)
    reads = {f"POST /api/v1{GET}": len(rows)}
    assert {instance: made(fleet, instance) for instance in PER_INSTANCE} == COLD | {AIRBYTE: COLD[AIRBYTE] | reads}


async def test_two_selections_that_need_full_records_cost_one_read_for_each_row(fleet: Fleet):
    details = "details { ... on AirbyteConnection { prefix operations { name } resourceRequirements { cpuLimit } } }"
    page = f"edges {{ node {{ {details} }} }} nodes {{ provider {details} }}"
    rows = provider_rows(await fleet.data(f"{{ connections(first: 12) {{ {page} }} }}"), "AIRBYTE")
    assert fleet.calls(AIRBYTE, GET) == len(rows) > 0


async def test_a_later_airbyte_pays_for_full_records_just_the_same():
    airbyte = AirbyteImitation(generation="cursor")
    async with (
        airbyte.serve() as base_url,
        gateway_over({AIRBYTE: airbyte.settings(base_url)}) as url,
        httpx.AsyncClient() as client,
    ):
        fleet = Fleet(url, {AIRBYTE: airbyte}, client)
        await fleet.data("{ connections(first: 10) { nodes { details { ... on AirbyteConnection { prefix } } } } }")
    assert (exactly(fleet, AIRBYTE, LIST), fleet.calls(AIRBYTE, GET)) == (len(WORKSPACES), 10)


async def test_icons_cost_the_definitions_of_each_workspace_once_and_then_nothing(fleet: Fleet):
    query = "{ connections(first: 12) { nodes { source { icon } destination { icon } } } }"
    for _ in range(2):
        data = await fleet.data(query)
        icons = [node["source"]["icon"] for node in data["connections"]["nodes"]]
        assert any("<svg" in icon for icon in icons if icon)
    assert fleet.calls(AIRBYTE, "/source_definitions/") == len(WORKSPACES)
    assert fleet.calls(AIRBYTE, "/destination_definitions/") == len(WORKSPACES)
    assert fleet.calls(UNIFIED_TO, "/unified/integration") == 1
    assert fleet.calls(AIRBYTE, GET) == 0


async def test_icons_of_one_side_cost_the_definitions_of_that_side_alone(fleet: Fleet):
    await fleet.data("{ connections(first: 12) { nodes { source { icon } } } }")
    assert (fleet.calls(AIRBYTE, "/source_def"), fleet.calls(AIRBYTE, "/destination_def")) == (len(WORKSPACES), 0)


async def test_workspace_names_cost_the_list_of_workspaces_once(fleet: Fleet):
    for _ in range(2):
        data = await fleet.data("{ connections(first: 100) { nodes { provider workspaceName } } }")
        assert {row["workspaceName"] for row in provider_rows(data, "AIRBYTE")} == set(WORKSPACES)
    assert fleet.calls(AIRBYTE, WORKSPACES_LIST) == 1


async def test_names_of_integrations_cost_one_list_and_only_where_they_are_needed(fleet: Fleet):
    await fleet.data("{ connections(first: 12, orderBy: { field: STATUS }) { nodes { id source { type } } } }")
    assert fleet.calls(UNIFIED_TO, "/unified/integration") == 0
    for query in ("orderBy: { field: STATUS }) { nodes { name } }", "orderBy: { field: NAME }) { nodes { id } }"):
        await fleet.data(f"{{ connections(first: 12, {query} }}")
    assert fleet.calls(UNIFIED_TO, "/unified/integration") == 1


async def test_names_of_queries_and_tables_are_looked_up_in_bulk_and_only_once(fleet: Fleet):
    for _ in range(2):
        await fleet.data("{ connections(first: 30) { nodes { source { name } } } }")
    assert (fleet.calls(WORKIVA, "/api/v1/query"), fleet.calls(WORKIVA, "/api/v1/table")) == (1, 1)


async def test_fields_left_out_by_a_directive_cost_nothing(fleet: Fleet):
    full = "details @include(if: $full) { ... on AirbyteConnection { prefix } }"
    query = f"query ($full: Boolean!) {{ connections(first: 12) {{ nodes {{ provider {full} }} }} }}"
    await fleet.data(query, {"full": False})
    assert fleet.calls(AIRBYTE, GET) == 0
    rows = provider_rows(await fleet.data(query, {"full": True}), "AIRBYTE")
    assert fleet.calls(AIRBYTE, GET) == len(rows) > 0


async def test_runs_cost_one_call_for_each_row_of_airbyte_and_none_for_workiva(fleet: Fleet):
    places = [(instance, id) for instance in PER_INSTANCE for id in natives(instance, 3)]
    query = """query ($ids: [ID!]) {
        connections(filter: { ids: $ids }) { nodes { provider runs(first: 2) { nodes { id } } } } }"""
    data = await fleet.data(query, {"ids": [ids.encode(*place) for place in places]})
    assert Counter(node["provider"] for node in data["connections"]["nodes"]) == {
        "AIRBYTE": 3,
        "WORKIVA": 3,
        "UNIFIED_TO": 3,
    }
    assert [row["runs"] for row in provider_rows(data, "UNIFIED_TO")] == [None] * 3
    assert all(row["runs"]["nodes"] for row in provider_rows(data, "AIRBYTE"))
    runs = {f"POST /api/v1{JOBS}": 3}
    assert {instance: made(fleet, instance) for instance in PER_INSTANCE} == COLD | {AIRBYTE: COLD[AIRBYTE] | runs}


async def test_a_page_of_instances_costs_nothing(fleet: Fleet):
    await fleet.data("{ instances { name provider providerLabel capabilities breaker } }")
    assert [made(fleet, instance).total() for instance in PER_INSTANCE] == [0, 0, 0]


async def test_equal_reads_in_flight_at_once_are_one_call(kept_fleet: Fleet):
    for server in kept_fleet.servers.values():
        server.knobs = Knobs(delay_s=0.2)
    query = f"{{ connections(first: 25) {{ nodes {{ {LISTED} }} }} }}"
    first, *others = await asyncio.gather(*(kept_fleet.data(query) for _ in range(4)))
    assert others == [first] * 3
    assert {instance: made(kept_fleet, instance) for instance in PER_INSTANCE} == COLD


async def test_tokens_are_fetched_once_for_all_calls(fleet: Fleet):
    await asyncio.gather(*(fleet.data(by_refs(twenty(), LISTED)) for _ in range(3)))
    assert (fleet.calls(AIRBYTE, TOKENS[0]), fleet.calls(WORKIVA, TOKENS[1])) == (1, 1)
