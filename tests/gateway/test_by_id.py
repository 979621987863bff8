"""Fetching by id: good ids answer, whatever stands beside them; the others are null, and mistakes have a code."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import ids
from adapters.airbyte.demo import connection_id
from adapters.imitation import Knobs, native_id
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, Upstreams, fleet_over

GOOD = {
    AIRBYTE: connection_id(0),
    WORKIVA: native_id("workiva", 0),
    UNIFIED_TO: native_id("unified_to", 0)[:24],
}
UNKNOWN = {
    AIRBYTE: "00000000-0000-4000-8000-000000000000",
    WORKIVA: "f" * 32,
    UNIFIED_TO: "f" * 24,
}
NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Connection { nativeId instance { name } } } }"
CONNECTION = "query ($id: ID, $ref: ConnectionRef) { connection(id: $id, ref: $ref) { nativeId } }"


def codes(answered: dict[str, Any]) -> dict[tuple[Any, ...], str]:
    """The code of each error by its path."""
    return {tuple(error["path"]): error["extensions"]["code"] for error in answered.get("errors", [])}


@pytest.mark.parametrize("instance", GOOD)
async def test_node_and_connection_find_the_same_by_id_and_by_reference(fleet: Fleet, instance: str):
    id = ids.encode(instance, GOOD[instance])
    query = """
        query ($id: ID!, $instance: String!, $native: ID!) {
          node(id: $id) { __typename id ... on Connection { nativeId name status instance { name } } }
          byId: connection(id: $id) { __typename id nativeId name status instance { name } }
          byRef: connection(ref: { instance: $instance, nativeId: $native }) {
            __typename id nativeId name status instance { name }
          }
        }"""
    data = await fleet.data(query, {"id": id, "instance": instance, "native": GOOD[instance]})
    assert data["node"] == data["byId"] == data["byRef"]
    assert data["node"]["id"] == id
    assert data["node"]["__typename"] == "Connection"
    assert data["node"]["instance"] == {"name": instance}


async def test_a_row_of_a_list_is_found_again_by_its_id(fleet: Fleet):
    listed = (await fleet.data("{ connections(first: 30) { nodes { id name status } } }"))["connections"]["nodes"]
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Connection { name status } } }"
    found = (await fleet.data(query, {"ids": [row["id"] for row in listed]}))["nodes"]
    assert found == listed


async def test_good_ids_answer_among_bad_ones_and_each_mistake_has_its_code(fleet: Fleet):
    wanted = [
        "not an id",
        ids.encode(AIRBYTE, UNKNOWN[AIRBYTE]),
        ids.encode("airbyte-of-last-year", GOOD[AIRBYTE]),
        ids.encode(AIRBYTE, "../../v1/workspaces"),
        ids.encode(AIRBYTE, GOOD[AIRBYTE]),
        ids.encode(WORKIVA, GOOD[WORKIVA]),
        ids.encode(WORKIVA, "a/b"),
        ids.encode(UNIFIED_TO, UNKNOWN[UNIFIED_TO]),
        ids.encode(UNIFIED_TO, GOOD[UNIFIED_TO]),
        "",
    ]
    answered = await fleet.ask(NODES, {"ids": wanted})
    natives = [node and node["nativeId"] for node in answered["data"]["nodes"]]
    good = GOOD[AIRBYTE], GOOD[WORKIVA], None, None, GOOD[UNIFIED_TO], None
    assert natives == [None, None, None, None, *good]
    assert codes(answered) == {
        ("nodes", 0): "BAD_USER_INPUT",
        ("nodes", 2): "NOT_FOUND",
        ("nodes", 3): "BAD_USER_INPUT",
        ("nodes", 6): "BAD_USER_INPUT",
        ("nodes", 9): "BAD_USER_INPUT",
    }


async def test_aliased_fields_fail_on_their_own_as_well(fleet: Fleet):
    query = f"""{{
        good: node(id: "{ids.encode(WORKIVA, GOOD[WORKIVA])}") {{ id }}
        malformed: node(id: "x") {{ id }}
        removed: connection(ref: {{ instance: "gone", nativeId: "1" }}) {{ id }}
        impossible: connection(ref: {{ instance: "{AIRBYTE}", nativeId: "1" }}) {{ id }}
        unknown: connection(ref: {{ instance: "{UNIFIED_TO}", nativeId: "{UNKNOWN[UNIFIED_TO]}" }}) {{ id }}
    }}"""
    answered = await fleet.ask(query)
    assert [name for name, node in answered["data"].items() if node] == ["good"]
    expected = {("malformed",): "BAD_USER_INPUT", ("removed",): "NOT_FOUND", ("impossible",): "BAD_USER_INPUT"}
    assert codes(answered) == expected


# An id that is all a request asks for is not gathered with others


def alone(field: str, times: int = 1) -> str:
    """A query for one connection, under so many names."""
    id = ids.encode(WORKIVA, GOOD[WORKIVA])
    return "{ " + " ".join(f'c{number}: {field}(id: "{id}") {{ __typename id }}' for number in range(times)) + " }"


def without_correlation(answered: dict[str, Any]) -> dict[str, Any]:
    """An answer without what is another each time."""
    for error in answered.get("errors", []):
        error["extensions"].pop("correlationId", None)
        error.pop("locations", None)
    return answered


@pytest.mark.parametrize("field", ["connection", "node"])
@pytest.mark.parametrize(
    "knobs",
    [Knobs(), Knobs(status=500), Knobs(status=401), Knobs(status=404), Knobs(body="{"), Knobs(reset=True)],
    ids=["well", "500", "401", "404", "nonsense", "reset"],
)
async def test_an_id_asked_for_alone_is_answered_as_among_others(fleet: Fleet, field: str, knobs: Knobs):
    fleet.servers[WORKIVA].knobs = knobs
    for _ in range(4):  # by the engine, by a plan, and without an executor
        one = without_correlation(await fleet.ask(alone(field)))
        many = without_correlation(await fleet.ask(alone(field, 2)))
        assert (one["data"] or {}).get("c0") == (many["data"] or {}).get("c0")
        assert one.get("errors", []) == many.get("errors", [])[:1]


async def test_the_time_of_a_request_ends_for_an_id_asked_for_alone_as_well(upstreams: Upstreams):
    async with fleet_over(upstreams, limits={"request_timeout": 0.2}, inventory={"max_age": 0}) as fleet:
        fleet.servers[WORKIVA].knobs = Knobs(hang=True, only="connections")
        for times in (1, 2, 1, 1):
            answered = await fleet.ask(alone("connection", times))
            assert codes(answered) == {(f"c{number}",): "UPSTREAM_TIMEOUT" for number in range(times)}


async def test_requests_that_ask_for_one_id_at_once_are_one_call(fleet: Fleet):
    await fleet.data(alone("connection"))
    fleet.forget()
    fleet.servers[WORKIVA].knobs = Knobs(delay_s=0.2)
    first, *others = await asyncio.gather(*(fleet.data(alone("connection", times)) for times in (1, 1, 2, 1)))
    assert first["c0"] is not None
    assert [other["c0"] for other in others] == [first["c0"]] * 3
    assert fleet.calls(WORKIVA) == 1


async def test_representations_of_one_request_are_gathered_though_their_field_is_alone(fleet: Fleet):
    query = "query ($of: [_Any!]!) { _entities(representations: $of) { ... on Connection { nativeId } } }"
    natives = [native_id("workiva", number) for number in range(5)]
    of = [{"__typename": "Connection", "id": ids.encode(WORKIVA, native)} for native in natives]
    for _ in range(3):
        fleet.forget()
        found = await fleet.data(query, {"of": of})
        assert [row["nativeId"] for row in found["_entities"]] == natives
        assert fleet.calls(WORKIVA, "connections") == 1


@pytest.mark.parametrize("instance", UNKNOWN)
async def test_an_unknown_id_is_null_and_no_error(fleet: Fleet, instance: str):
    data = await fleet.data(CONNECTION, {"ref": {"instance": instance, "nativeId": UNKNOWN[instance]}})
    assert data == {"connection": None}


async def test_connection_takes_either_an_id_or_a_reference(fleet: Fleet):
    both = {"id": ids.encode(WORKIVA, GOOD[WORKIVA]), "ref": {"instance": WORKIVA, "nativeId": GOOD[WORKIVA]}}
    for variables in ({}, both, {"id": None, "ref": None}):
        answered = await fleet.ask(CONNECTION, variables)
        assert answered["data"] == {"connection": None}
        assert codes(answered) == {("connection",): "BAD_USER_INPUT"}


async def test_no_ids_are_an_empty_list(fleet: Fleet):
    assert await fleet.data(NODES, {"ids": []}) == {"nodes": []}


async def test_the_same_id_many_times_answers_at_each_place(fleet: Fleet):
    id = ids.encode(UNIFIED_TO, GOOD[UNIFIED_TO])
    data = await fleet.data(NODES, {"ids": [id] * 100})
    assert {node["id"] for node in data["nodes"]} == {id}
    assert len(data["nodes"]) == 100


async def test_more_ids_than_a_page_has_rows_are_refused(fleet: Fleet):
    id = ids.encode(UNIFIED_TO, GOOD[UNIFIED_TO])
    answered = await fleet.ask(NODES, {"ids": [id] * 101})
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["BAD_USER_INPUT"]
    assert answered.get("data") is None
    assert fleet.calls(UNIFIED_TO) == 0


async def test_more_than_twenty_aliases_are_refused(fleet: Fleet):
    id = ids.encode(UNIFIED_TO, GOOD[UNIFIED_TO])
    twenty = " ".join(f'a{n}: node(id: "{id}") {{ id }}' for n in range(20))
    assert len(await fleet.data(f"{{ {twenty} }}")) == 20
    fleet.forget()
    answered = await fleet.ask(f'{{ {twenty} a20: node(id: "{id}") {{ id }} }}')
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["QUERY_TOO_COMPLEX"]
    assert "data" not in answered
    assert fleet.calls(UNIFIED_TO) == 0


async def test_ids_of_any_spelling_are_refused_or_unknown_but_never_an_internal_error(fleet: Fleet):
    tricky = [
        ids.encode(WORKIVA, "."),
        ids.encode(WORKIVA, ".."),
        ids.encode(WORKIVA, "%2e%2e"),
        ids.encode(UNIFIED_TO, "a?b=c"),
        ids.encode(UNIFIED_TO, "a#b"),
        ids.encode(UNIFIED_TO, "é"),
        ids.encode(WORKIVA, "a" * 201),
        ids.encode(WORKIVA, GOOD[WORKIVA]) + "=",
        ids.encode(WORKIVA, GOOD[WORKIVA]) + "\n",
        "💥" * 50,
    ]
    answered = await fleet.ask(NODES, {"ids": tricky})
    assert answered["data"]["nodes"] == [None] * len(tricky)
    assert set(codes(answered).values()) <= {"BAD_USER_INPUT"}
    for instance in GOOD:
        journal = fleet.servers[instance].journal.by_path()
        assert not [call for call in journal if ".." in call or "%" in call]


@given(st.text())
def test_no_text_is_an_id_but_those_that_were_made_so(text: str):
    try:
        instance, native = ids.decode(text)
    except ids.MalformedId:
        return
    assert ids.encode(instance, native) == text
