"""Lists are read once and kept: what a list screen costs, cold, warm and crowded, counted at the upstreams."""

import asyncio
import datetime as dt
import itertools
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from adapters import ids
from adapters.airbyte.demo import connection_id
from adapters.imitation import Knobs, native_id
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, Upstreams, fleet_over

ALL = (AIRBYTE, WORKIVA, UNIFIED_TO)
V1 = "POST /api/v1"
LISTS = {
    AIRBYTE: {f"{V1}/web_backend/connections/list": 2},
    WORKIVA: {"GET /api/v1/connections": 1},
    UNIFIED_TO: {"GET /unified/connection": 3},
}
"""A call for each workspace and each environment."""
AROUND = {
    AIRBYTE: {f"{V1}/workspaces/list": 1, f"{V1}/applications/token": 1},
    WORKIVA: {"POST /oauth2/token": 1},
    UNIFIED_TO: {"GET /unified/integration": 1},
}
"""What else is asked once: which workspaces there are, tokens, and the names of integrations, to sort by."""
NOTHING: Mapping[str, Mapping[str, int]] = {AIRBYTE: {}, WORKIVA: {}, UNIFIED_TO: {}}
NAMES: Mapping[str, Mapping[str, int]] = {
    AIRBYTE: {},
    WORKIVA: {"GET /api/v1/query": 1, "GET /api/v1/table": 1},
    UNIFIED_TO: {},
}
"""What names of endpoints cost beyond that; Airbyte's lists hold them."""

MINIMAL = "{ connections(first: 25) { nodes { nativeId } } }"
ROWS = "id name status workspaceName source { name type } destination { name type } lastRun { startedAt }"
SCREEN = f"""
    query ($first: Int, $last: Int, $after: String, $before: String, $filter: ConnectionFilter,
           $orderBy: [ConnectionOrder!], $maxAge: Int) {{
      connections(first: $first, last: $last, after: $after, before: $before, filter: $filter, orderBy: $orderBy,
                  maxAge: $maxAge) {{
        totalCount nodes {{ {ROWS} }} edges {{ cursor }} pageInfo {{ hasNextPage endCursor startCursor }}
        sources {{ state asOf }}
      }}
      connectionFacets(filter: $filter, maxAge: $maxAge) {{
        totalCount
        status {{ value count }} provider {{ value count }} instance {{ value count }} workspace {{ label count }}
        environment {{ value count }} sourceType {{ value count }} destinationType {{ value count }}
        category {{ value count }} scheduleType {{ value count }} sources {{ state asOf }}
      }}
    }}"""
ANY = {"since": "2020-01-01T00:00:00Z"}
CONDITIONS: Mapping[str, Any] = {
    "text": "e",
    "provider": ["AIRBYTE", "UNIFIED_TO"],
    "instance": [WORKIVA],
    "status": ["HEALTHY", "FAILING"],
    "enabled": True,
    "running": False,
    "overdue": True,
    "workspaceId": ["64b7e0f1a2b3c4d5e6f70819"],
    "environment": ["Production", "Sandbox"],
    "sourceId": ["hubspot"],
    "sourceName": ["HubSpot"],
    "sourceType": ["hubspot", "Postgres"],
    "destinationId": ["none"],
    "destinationName": ["BigQuery EU 00"],
    "destinationType": ["BigQuery", "spreadsheet"],
    "category": ["crm"],
    "permission": ["crm_contact_read"],
    "scheduleType": ["CRON"],
    "schemaChange": ["BREAKING"],
    "createdAt": ANY,
    "updatedAt": ANY,
    "lastRunAt": ANY,
    "lastHealthyAt": ANY,
    "ids": [],
    "not": {"status": ["PAUSED"], "not": {"text": "orders"}},
}
ORDERS = (
    "NAME", "STATUS", "SOURCE", "DESTINATION", "PROVIDER", "LAST_RUN_AT", "CREATED_AT", "UPDATED_AT",
    "LAST_HEALTHY_AT", "OVERDUE",
)  # fmt: skip


def calls(fleet: Fleet) -> dict[str, Counter[str]]:
    """All calls that the upstreams answered."""
    return {instance: fleet.servers[instance].journal.by_path() for instance in ALL}


def lists(fleet: Fleet) -> dict[str, dict[str, int]]:
    """The calls for lists of connections."""
    made = calls(fleet)
    return {instance: {call: made[instance][call] for call in LISTS[instance]} for instance in ALL}


def none(fleet: Fleet) -> bool:
    return not any(counter.total() for counter in calls(fleet).values())


def together(*parts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {instance: {call: count for part in parts for call, count in part[instance].items()} for instance in ALL}


async def called(fleet: Fleet, instance: str, part: str = "") -> None:
    """Wait until the upstream has been called."""
    while not fleet.calls(instance, part):  # noqa: ASYNC110  a journal tells nobody
        await asyncio.sleep(0.01)


@pytest.fixture
async def warm(kept_fleet: Fleet) -> Fleet:
    """A gateway that has shown the list screen, and journals that begin after that."""
    await kept_fleet.data(SCREEN, {"first": 25})
    kept_fleet.forget()
    return kept_fleet


# --- cold


async def test_the_first_page_costs_one_call_for_each_list_and_what_is_asked_once(kept_fleet: Fleet):
    data = await kept_fleet.data(MINIMAL)
    assert len(data["connections"]["nodes"]) == 25
    assert calls(kept_fleet) == together(LISTS, AROUND)


async def test_page_count_and_facets_of_one_request_cost_no_more(kept_fleet: Fleet):
    await kept_fleet.data(SCREEN, {"first": 25})
    assert calls(kept_fleet) == together(LISTS, AROUND, NAMES)


async def test_a_request_that_nothing_is_kept_for_reads_each_list_once_for_all_its_fields(fleet: Fleet):
    for reads in (1, 2):
        await fleet.data(SCREEN, {"first": 25})
        expected = {instance: {call: reads * count for call, count in LISTS[instance].items()} for instance in ALL}
        assert calls(fleet) == together(expected, AROUND, NAMES)


async def test_many_fields_of_one_request_read_each_list_once(fleet: Fleet):
    aliases = " ".join(f"p{number}: connections(first: {number}) {{ totalCount }}" for number in range(8))
    await fleet.data(f"{{ {aliases} }}")
    assert lists(fleet) == LISTS


@pytest.mark.parametrize("query", [MINIMAL, SCREEN], ids=["minimal", "screen"])
async def test_fifty_cold_requests_at_once_cost_what_one_does(kept_fleet: Fleet, query: str):
    for server in kept_fleet.servers.values():
        server.knobs = Knobs(delay_s=0.1)
    first, *others = await asyncio.gather(*(kept_fleet.data(query) for _ in range(50)))
    assert all(other == first for other in others)
    assert calls(kept_fleet) == together(LISTS, AROUND, NAMES if query == SCREEN else NOTHING)


# --- warm


async def test_a_page_from_memory_costs_nothing_at_all(warm: Fleet):
    for query in (MINIMAL, SCREEN):
        await warm.data(query)
    assert none(warm)


async def test_any_filter_from_memory_costs_nothing(warm: Fleet):
    for condition, value in CONDITIONS.items():
        await warm.data(SCREEN, {"filter": {condition: value}})
        await warm.data(SCREEN, {"filter": {"not": {condition: value}}, "last": 3})
        assert none(warm), condition


async def test_every_condition_that_there_is_was_tried(warm: Fleet):
    query = '{ __type(name: "ConnectionFilter") { inputFields { name } } }'
    fields = (await warm.data(query))["__type"]["inputFields"]
    assert {field["name"] for field in fields} == CONDITIONS.keys()


async def test_all_conditions_together_from_memory_cost_nothing(warm: Fleet):
    await warm.data(SCREEN, {"filter": {**CONDITIONS, "ids": None}})
    assert none(warm)


async def test_any_order_from_memory_costs_nothing(warm: Fleet):
    for field, direction in itertools.product(ORDERS, ("ASC", "DESC")):
        order = [{"field": field, "direction": direction}]
        page = (await warm.data(SCREEN, {"first": 50, "orderBy": order}))["connections"]
        assert len(page["nodes"]) == 50
        end = page["pageInfo"]["endCursor"]
        await warm.data(SCREEN, {"last": 50, "before": end, "orderBy": order})
        await warm.data(SCREEN, {"after": end, "orderBy": order})
        assert none(warm), order


async def test_every_order_that_there_is_was_tried(warm: Fleet):
    fields = (await warm.data('{ __type(name: "ConnectionOrderField") { enumValues { name } } }'))["__type"]
    assert {value["name"] for value in fields["enumValues"]} == set(ORDERS)


async def test_all_pages_from_memory_cost_nothing(warm: Fleet):
    met: list[str] = []
    info: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
    while info["hasNextPage"]:
        page = (await warm.data(SCREEN, {"first": 25, "after": info["endCursor"]}))["connections"]
        met += [node["id"] for node in page["nodes"]]
        info = page["pageInfo"]
    assert len(set(met)) == len(met) == 180
    assert none(warm)


async def test_rows_from_memory_are_as_old_as_they_are(warm: Fleet):
    """What is kept is told by `asOf`, on the page and on the instance, and is the same until it is read anew."""
    query = "{ connections { sources { asOf state } } connectionFacets { sources { asOf } } instances { asOf } }"
    first, second = await warm.data(query), await warm.data(query)
    assert first == second
    told = [source["asOf"] for source in first["connections"]["sources"]]
    assert told == [source["asOf"] for source in first["connectionFacets"]["sources"]]
    assert told == [instance["asOf"] for instance in first["instances"]]
    assert all(dt.datetime.fromisoformat(at) <= dt.datetime.now(dt.UTC) for at in told)
    await warm.data("{ connections(maxAge: 0) { totalCount } }")
    later = [source["asOf"] for source in (await warm.data(query))["connections"]["sources"]]
    assert all(new > old for new, old in zip(later, told, strict=True))


async def test_an_instance_that_was_never_read_has_no_age(kept_fleet: Fleet):
    assert await kept_fleet.data("{ instances { asOf } }") == {"instances": [{"asOf": None}] * 3}


# --- read anew


async def test_max_age_of_zero_reads_each_list_once_more_and_nothing_else(warm: Fleet):
    await warm.data(SCREEN, {"maxAge": 0})
    assert calls(warm) == together(LISTS)
    await warm.data(SCREEN)
    assert calls(warm) == together(LISTS), "what was read for one is fresh for all"


async def test_max_age_as_long_as_what_is_kept_is_old_reads_nothing(warm: Fleet):
    await warm.data(SCREEN, {"maxAge": 3600})
    assert none(warm)


async def test_a_filter_that_needs_one_instance_reads_only_that_one_anew(warm: Fleet):
    await warm.data(SCREEN, {"maxAge": 0, "filter": {"provider": ["WORKIVA"]}, "first": 5})
    made = calls(warm)
    assert made[WORKIVA] == LISTS[WORKIVA]
    # The facet by provider leaves out its own filter, so all of them are counted.
    assert made[UNIFIED_TO] == LISTS[UNIFIED_TO]
    warm.forget()
    await warm.data("{ connections(maxAge: 0, filter: { provider: [WORKIVA] }) { totalCount } }")
    assert calls(warm) == {**NOTHING, WORKIVA: LISTS[WORKIVA]}


async def test_a_filter_by_environment_reads_only_that_environment_anew(warm: Fleet):
    await warm.data('{ connections(maxAge: 0, filter: { environment: ["Sandbox"] }) { totalCount } }')
    asked = [each.params()["env"] for each in warm.servers[UNIFIED_TO].journal.asked]
    assert asked == ["Sandbox"]


async def test_after_max_age_lists_are_read_again(upstreams: Upstreams):
    async with fleet_over(upstreams, inventory={"max_age": 0.05}) as fleet:
        for reads in (1, 2):
            await fleet.data(SCREEN)
            expected = {instance: {call: reads * count for call, count in LISTS[instance].items()} for instance in ALL}
            assert lists(fleet) == expected
            await asyncio.sleep(0.1)


async def test_an_upstream_that_has_not_changed_is_asked_and_answers_the_same(fleet: Fleet):
    first = await fleet.data(SCREEN)
    second = await fleet.data(SCREEN)
    for data in first, second:
        for field in data.values():
            del field["sources"]
    assert first == second
    assert calls(fleet)[WORKIVA]["GET /api/v1/connections"] == 2


async def test_what_changed_upstream_is_seen_when_it_is_read_again_and_not_before(warm: Fleet):
    server = warm.servers[WORKIVA]
    total = "query ($maxAge: Int) { connections(maxAge: $maxAge) { totalCount nodes { name } } }"
    gone = server.id_of(0)
    try:
        server.deleted.add(gone)
        assert (await warm.data(total))["connections"]["totalCount"] == 180
        assert (await warm.data(total, {"maxAge": 0}))["connections"]["totalCount"] == 179
        assert (await warm.data(total))["connections"]["totalCount"] == 179
    finally:
        server.deleted.discard(gone)


async def test_a_row_that_changed_is_shown_as_it_is_now(upstreams: Upstreams):
    """One changed body among unchanged ones: that row is new, the others are as they were."""
    async with fleet_over(upstreams, inventory={"max_age": 0}) as fleet:
        rows = fleet.servers[WORKIVA].rows()
        query = "{ connections(first: 100, filter: { provider: [WORKIVA] }) { nodes { nativeId name } } }"
        before = (await fleet.data(query))["connections"]["nodes"]
        renamed = [row | {"name": "!renamed"} if number == 30 else row for number, row in enumerate(rows)]
        fleet.servers[WORKIVA].knobs = Knobs(body=json.dumps({"code": 200, "body": renamed}), times=1)
        after = (await fleet.data(query))["connections"]["nodes"]
    assert after[0] == {"nativeId": rows[30]["connectionId"], "name": "!renamed"}
    kept = [row for row in before if row["nativeId"] != rows[30]["connectionId"]]
    assert after[1:] == kept


# --- crowded


async def test_who_asks_for_now_shares_the_reading_that_follows(fleet: Fleet):
    """A reading that began before a request is not `now` for it; all who wait for the next one share that."""
    for server in fleet.servers.values():
        server.knobs = Knobs(delay_s=0.5)
    await asyncio.gather(*(fleet.data(MINIMAL) for _ in range(20)))
    assert calls(fleet)[WORKIVA]["GET /api/v1/connections"] <= 2


async def test_the_others_are_served_while_one_refreshes(upstreams: Upstreams):
    """What is a little too old is good enough for whoever would have to wait for it to be read anew."""
    query = "{ connections { totalCount sources { state stale } } }"
    async with fleet_over(upstreams, inventory={"max_age": 1.5}) as fleet:
        await fleet.data(query)
        fleet.forget()
        fleet.servers[WORKIVA].knobs = Knobs(hang=True, times=1)
        await asyncio.sleep(1.5)
        refreshing = asyncio.create_task(fleet.ask(query))
        await called(fleet, WORKIVA)
        data = await fleet.data(query)
        assert not refreshing.done(), "nobody waited for it"
        assert data["connections"]["totalCount"] == 180
        assert {source["state"] for source in data["connections"]["sources"]} == {"OK"}
        states = [source["state"] for source in (await refreshing)["data"]["connections"]["sources"]]
        assert states == ["OK", "STALE", "OK"]
    assert fleet.calls(WORKIVA) == 1


async def test_a_client_that_hangs_up_takes_nothing_from_the_others_who_wait(kept_fleet: Fleet):
    for server in kept_fleet.servers.values():
        server.knobs = Knobs(delay_s=0.2)
    leaving = asyncio.create_task(kept_fleet.data(MINIMAL))
    await called(kept_fleet, WORKIVA, "/connections")
    staying = asyncio.create_task(kept_fleet.data(MINIMAL))
    await asyncio.sleep(0.02)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert len((await staying)["connections"]["nodes"]) == 25
    assert calls(kept_fleet) == together(LISTS, AROUND)


async def test_a_client_that_hangs_up_alone_leaves_nothing_broken_behind(kept_fleet: Fleet):
    kept_fleet.servers[WORKIVA].knobs = Knobs(hang=True, only="/connections", times=1)
    with pytest.raises(httpx.ReadTimeout):
        await kept_fleet.client.post(f"{kept_fleet.url}/graphql", json={"query": MINIMAL}, timeout=0.3)
    answered = await kept_fleet.ask("{ connections(first: 25) { totalCount } }")
    assert answered["data"]["connections"]["totalCount"] == 180
    assert "errors" not in answered


# --- what is looked up beside lists


async def test_names_are_looked_up_once_for_all_pages_filters_and_orders(warm: Fleet):
    for variables in ({"first": 100}, {"filter": {"sourceName": ["x"]}}, {"orderBy": [{"field": "SOURCE"}]}):
        await warm.data(SCREEN, variables)
    assert none(warm)


async def test_names_are_not_looked_up_again_for_rows_that_are_read_again(warm: Fleet):
    for _ in range(2):
        await warm.data(SCREEN, {"maxAge": 0})
    made = calls(warm)
    for instance in ALL:
        assert made[instance] == {call: 2 * count for call, count in LISTS[instance].items()}


async def test_icons_of_the_whole_list_cost_the_definitions_of_each_workspace_once(warm: Fleet):
    query = "query ($after: String) { connections(first: 60, after: $after) {"
    query += " nodes { source { icon } destination { icon } } pageInfo { endCursor } } }"
    after = None
    for _ in range(3):
        after = (await warm.data(query, {"after": after}))["connections"]["pageInfo"]["endCursor"]
    assert calls(warm)[AIRBYTE] == {
        f"{V1}/source_definitions/list_for_workspace": 2,
        f"{V1}/destination_definitions/list_for_workspace": 2,
    }
    assert not calls(warm)[UNIFIED_TO], "integrations and their logos are one answer"


async def test_a_failed_lookup_is_not_repeated_for_each_page(kept_fleet: Fleet):
    kept_fleet.servers[UNIFIED_TO].knobs = Knobs(status=500, only="/unified/integration")
    for _ in range(3):
        answered = await kept_fleet.ask(MINIMAL)
        assert [error["extensions"]["code"] for error in answered["errors"]] == ["UPSTREAM_UNAVAILABLE"]
    assert kept_fleet.calls(UNIFIED_TO, "/unified/integration") == 1
    assert lists(kept_fleet) == LISTS


# --- by id


ONE_ROW = "id nativeId name status updatedAt source { name type }"
ONE = f"query ($id: ID!, $maxAge: Int) {{ connection(id: $id, maxAge: $maxAge) {{ {ONE_ROW} }} }}"
GOOD = {AIRBYTE: connection_id(0), WORKIVA: native_id("workiva", 0), UNIFIED_TO: native_id("unified_to", 0)[:24]}


@pytest.mark.parametrize("instance", ALL)
async def test_what_a_list_in_memory_has_is_found_by_id_without_a_call(warm: Fleet, instance: str):
    shown = await warm.data(f'{{ connections(filter: {{ instance: ["{instance}"] }}) {{ nodes {{ {ONE_ROW} }} }} }}')
    for row in shown["connections"]["nodes"][:3]:
        assert await warm.data(ONE, {"id": row["id"]}) == {"connection": row}
    assert none(warm)


async def test_many_ids_of_lists_in_memory_cost_no_call(warm: Fleet):
    shown = (await warm.data("{ connections(first: 60) { nodes { id name } } }"))["connections"]["nodes"]
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Connection { name } } }"
    assert await warm.data(query, {"ids": [row["id"] for row in shown]}) == {"nodes": shown}
    assert none(warm)


@pytest.mark.parametrize("instance", ALL)
async def test_max_age_of_zero_asks_for_one_connection_now(warm: Fleet, instance: str):
    id = ids.encode(instance, GOOD[instance])
    kept = await warm.data(ONE, {"id": id})
    assert none(warm)
    assert await warm.data(ONE, {"id": id, "maxAge": 0}) == kept
    assert calls(warm)[instance].total() == 1
    assert (await warm.ask(ONE, {"id": id, "maxAge": -1}))["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_what_lists_do_not_hold_is_asked_for_by_id(warm: Fleet):
    id = ids.encode(AIRBYTE, GOOD[AIRBYTE])
    query = "query ($id: ID!) { connection(id: $id) { details { ... on AirbyteConnection { prefix geography } } } }"
    await warm.data(query, {"id": id})
    assert calls(warm)[AIRBYTE] == {"POST /api/v1/web_backend/connections/get": 1}


async def test_an_id_that_no_list_in_memory_has_is_asked_for(warm: Fleet):
    unknown = ids.encode(UNIFIED_TO, "f" * 24)
    assert await warm.data(ONE, {"id": unknown}) == {"connection": None}
    assert calls(warm)[UNIFIED_TO].total() == 1


async def test_ids_that_were_read_by_lists_leave_them_in_memory(kept_fleet: Fleet):
    """More ids than lists are read as lists, which then answer for whatever they hold."""
    wanted = [ids.encode(WORKIVA, native_id("workiva", number)) for number in range(3)]
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    await kept_fleet.data(query, {"ids": wanted})
    assert lists(kept_fleet)[WORKIVA] == LISTS[WORKIVA]
    await kept_fleet.data('{ connections(filter: { instance: ["workiva-us"] }) { totalCount } }')
    await kept_fleet.data(query, {"ids": wanted[:1]})
    assert lists(kept_fleet)[WORKIVA] == LISTS[WORKIVA]
    assert kept_fleet.calls(WORKIVA, "GET /api/v1/connections/") == 0
