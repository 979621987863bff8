"""The gateway as a subgraph, asked as a router asks: `_service`, and `_entities` by either key.

What composers and a router make of it is tried in test_composition.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import pytest

from adapters import ids
from adapters.imitation import Knobs
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet

INSTANCES = (AIRBYTE, WORKIVA, UNIFIED_TO)
LIST = {AIRBYTE: "connections/list", WORKIVA: "GET /api/v1/connections", UNIFIED_TO: "GET /unified/connection"}
LISTS = {AIRBYTE: 2, WORKIVA: 1, UNIFIED_TO: 3}
"""Workspaces and environments, each of which has a list of its own."""
FULL = "connections/get"
ENTITIES = "query($references: [_Any!]!) { _entities(representations: $references) { ... on Connection { %s } } }"

Place = tuple[str, str]
Reference = dict[str, Any]


def by_id(place: Place) -> Reference:
    return {"__typename": "Connection", "id": ids.encode(*place)}


def by_words(place: Place) -> Reference:
    return {"__typename": "Connection", "instance": {"name": place[0]}, "nativeId": place[1]}


def places(fleet: Fleet, count: int, *instances: str) -> list[Place]:
    """Instances and native ids: the first of each of ``instances`` (all, if none is named), then the next of each."""
    rows = {name: iter(fleet.servers[name].rows()) for name in INSTANCES}
    met = ((name, next(rows[name])) for name in islice(cycle(instances or INSTANCES), count))
    return [(name, row["id"] if name == UNIFIED_TO else row["connectionId"]) for name, row in met]


async def ask(fleet: Fleet, references: Sequence[Any], selection: str = "id") -> dict[str, Any]:
    return await fleet.ask(ENTITIES % selection, {"references": references})


async def entities(fleet: Fleet, references: Sequence[Any], selection: str = "id") -> list[Any]:
    """The entities of references that must not have errors."""
    return (await fleet.data(ENTITIES % selection, {"references": references}))["_entities"]


def codes(answered: Mapping[str, Any]) -> dict[int, str]:
    """The codes of the errors by the place of their reference, where there is one at the most."""
    errors = answered.get("errors", [])
    assert all(error["path"][0] == "_entities" for error in errors)
    found = {error["path"][1]: error["extensions"]["code"] for error in errors}
    assert len(found) == len(errors)
    return found


def lists(fleet: Fleet) -> dict[str, int]:
    return {name: fleet.calls(name, part) for name, part in LIST.items()}


# --- what it is


async def test_service_tells_the_sdl_that_the_command_prints(fleet: Fleet):
    command = [sys.executable, "-m", "gateway", "schema", "--federation"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout  # noqa: ASYNC221
    assert (await fleet.data("{ _service { sdl } }"))["_service"]["sdl"].strip() == printed.strip()


async def test_the_sdl_declares_its_keys_and_what_others_may_share(fleet: Fleet):
    sdl = (await fleet.data("{ _service { sdl } }"))["_service"]["sdl"]
    (linked,) = (line for line in sdl.splitlines() if "@link" in line)
    assert '"https://specs.apollo.dev/federation/v2.7", import: ["@key", "@shareable"]' in linked
    (entity,) = (line for line in sdl.splitlines() if "@key" in line and line != linked)
    assert entity.startswith("type Connection implements Node @key")
    assert '@key(fields: "id", ' in entity
    assert '@key(fields: "instance { name } nativeId", ' in entity
    assert [line.strip() for line in sdl.splitlines() if line.endswith(("@shareable", "@shareable {"))] == [
        "name: String! @shareable",
        "type PageInfo @shareable {",
        "): Node @shareable",
        "): [Node]! @shareable",
    ]


# --- the fewest calls


@pytest.mark.parametrize("key", [by_id, by_words])
async def test_a_hundred_references_cost_one_read_of_each_list(fleet: Fleet, key: Any):
    asked = places(fleet, 100)
    answered = await entities(fleet, [key(place) for place in asked], "id nativeId status instance { name }")
    assert [(entity["instance"]["name"], entity["nativeId"]) for entity in answered] == asked
    assert [entity["id"] for entity in answered] == [ids.encode(*place) for place in asked]
    assert lists(fleet) == LISTS
    # Beside the lists: the workspaces and a token of Airbyte's, a token of Workiva's.
    assert {name: fleet.calls(name) - LISTS[name] for name in INSTANCES} == {AIRBYTE: 2, WORKIVA: 1, UNIFIED_TO: 0}


async def test_what_only_adds_to_rows_is_looked_up_once(fleet: Fleet):
    asked = [by_id(place) for place in places(fleet, 60)]
    for _ in range(2):
        named = await entities(fleet, asked, "name workspaceName")
        assert sum(entity["name"] is not None for entity in named) > 50  # some have none upstream
    assert lists(fleet) == {name: 2 * count for name, count in LISTS.items()}
    assert fleet.calls(UNIFIED_TO, "/integration") == 1
    assert fleet.calls(AIRBYTE, "workspaces/list") == 1


async def test_a_single_reference_is_a_single_call(fleet: Fleet):
    for place in places(fleet, 3):
        await entities(fleet, [by_id(place)])
    assert fleet.calls(AIRBYTE, FULL) == 1
    assert lists(fleet) == {AIRBYTE: 0, WORKIVA: 1, UNIFIED_TO: 1}


@pytest.mark.parametrize("instance", INSTANCES)
async def test_duplicates_are_one_fetch_whichever_key_they_use(fleet: Fleet, instance: str):
    (place,) = places(fleet, 1, instance)
    answered = await entities(fleet, [by_id(place), by_words(place)] * 10)
    assert answered == [{"id": ids.encode(*place)}] * 20
    assert fleet.calls(instance, "connections/" if instance != UNIFIED_TO else "connection/") == 1
    assert sum(fleet.calls(name) for name in INSTANCES if name != instance) == 0


async def test_order_is_that_of_the_references_not_of_the_lists(fleet: Fleet):
    asked = places(fleet, 30)
    shuffled = asked[::-2] + asked[::2] + asked[:3]
    answered = await entities(fleet, [by_id(place) for place in shuffled])
    assert [entity["id"] for entity in answered] == [ids.encode(*place) for place in shuffled]


async def test_no_references_are_no_calls(fleet: Fleet):
    assert await entities(fleet, []) == []
    assert sum(map(fleet.calls, INSTANCES)) == 0


async def test_references_count_for_the_cost_and_too_many_are_refused_before_any_call(fleet: Fleet):
    asked = [by_id(place) for place in places(fleet, 3)] * 500
    assert len(await entities(fleet, asked, "id name")) == 1500
    fleet.forget()
    answered = await ask(fleet, asked, "id name status enabled")
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["QUERY_TOO_COMPLEX"]
    assert sum(map(fleet.calls, INSTANCES)) == 0


# --- references that lead nowhere

LEADS_NOWHERE: Mapping[str, Reference] = {
    "unknown at Airbyte": by_id((AIRBYTE, "00000000-0000-4000-8000-000000000000")),
    "unknown at Workiva": by_id((WORKIVA, "0" * 32)),
    "unknown at Unified.to": by_words((UNIFIED_TO, "0" * 24)),
    "no id of ours": {"__typename": "Connection", "id": "Tm90ZTox"},
    "no base64": {"__typename": "Connection", "id": "../../etc/passwd"},
    "an empty id": {"__typename": "Connection", "id": ""},
    "an id that is not text": {"__typename": "Connection", "id": "\N{ROCKET}\x00"},
    "an instance that is not configured": by_id(("airbyte-staging", "00000000-0000-4000-8000-000000000000")),
    "likewise, by its words": by_words(("airbyte-staging", "00000000-0000-4000-8000-000000000000")),
    "a native id that its provider cannot have": by_words((WORKIVA, "../secrets?x=1")),
    "likewise, in an id": by_id((AIRBYTE, "a/../b")),
}


@pytest.mark.parametrize("reference", LEADS_NOWHERE.values(), ids=LEADS_NOWHERE)
async def test_a_reference_that_leads_nowhere_is_null_without_an_error(fleet: Fleet, reference: Reference):
    good = by_id(places(fleet, 1)[0])
    assert await entities(fleet, [good, reference, good]) == [{"id": good["id"]}, None, {"id": good["id"]}]


async def test_what_cannot_be_an_id_costs_no_call(fleet: Fleet):
    nowhere = [reference for why, reference in LEADS_NOWHERE.items() if not why.startswith("unknown")]
    assert await entities(fleet, nowhere) == [None] * len(nowhere)
    assert sum(map(fleet.calls, INSTANCES)) == 0


MISTAKES: Mapping[str, Any] = {
    "no object": "Connection",
    "a list": [],
    "no type": {"id": "x"},
    "a type that is not text": {"__typename": ["Connection"], "id": "x"},
    "another subgraph's type": {"__typename": "Note", "id": "x"},
    "a type that is no entity": {"__typename": "Instance", "name": AIRBYTE},
    "an interface": {"__typename": "Node", "id": "x"},
    "no key": {"__typename": "Connection"},
    "an id that is null": {"__typename": "Connection", "id": None},
    "an id that is a number": {"__typename": "Connection", "id": 7},
    "an id that is an object": {"__typename": "Connection", "id": {"$ne": None}},
    "half a key": {"__typename": "Connection", "nativeId": "x"},
    "the other half": {"__typename": "Connection", "instance": {"name": AIRBYTE}},
    "an instance that is text": {"__typename": "Connection", "instance": AIRBYTE, "nativeId": "x"},
    "an instance without a name": {"__typename": "Connection", "instance": {}, "nativeId": "x"},
    "a native id that is a number": {"__typename": "Connection", "instance": {"name": AIRBYTE}, "nativeId": 7},
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
async def test_a_reference_that_is_none_is_an_error_at_its_place_only(fleet: Fleet, mistake: Any):
    good = by_id(places(fleet, 1)[0])
    answered = await ask(fleet, [good, mistake, good])
    assert answered["data"]["_entities"] == [{"id": good["id"]}, None, {"id": good["id"]}]
    assert codes(answered) == {1: "BAD_USER_INPUT"}


async def test_a_null_among_the_references_is_refused_by_their_type(fleet: Fleet):
    answered = await ask(fleet, [by_id(places(fleet, 1)[0]), None])
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["BAD_USER_INPUT"]
    assert sum(map(fleet.calls, INSTANCES)) == 0


async def test_fields_beyond_the_key_are_ignored(fleet: Fleet):
    place, other = places(fleet, 2, AIRBYTE)
    references = [
        {**by_id(place), "name": "somebody else's", "nativeId": other[1]},
        {**by_words(place), "id": None, "instance": {"name": AIRBYTE, "provider": "WORKIVA"}},
    ]
    assert await entities(fleet, references) == [{"id": ids.encode(*place)}] * 2


# --- one sick instance


@pytest.mark.parametrize(
    ("knobs", "code"),
    [
        (Knobs(status=503), "UPSTREAM_UNAVAILABLE"),
        (Knobs(status=429, retry_after_s=7), "UPSTREAM_RATE_LIMITED"),
        (Knobs(reset=True), "UPSTREAM_UNAVAILABLE"),
        (Knobs(hang=True), "UPSTREAM_TIMEOUT"),
        (Knobs(body="<html>", only="connection"), "UPSTREAM_BAD_RESPONSE"),
    ],
    ids=["503", "429", "reset", "hang", "nonsense"],
)
@pytest.mark.parametrize("sick", INSTANCES)
async def test_a_sick_instance_costs_its_own_entities_only(fleet: Fleet, sick: str, knobs: Knobs, code: str):
    asked = places(fleet, 12)
    fleet.servers[sick].knobs = knobs
    answered = await ask(fleet, [by_id(place) for place in asked], "id status")
    lost = [at for at, (instance, _) in enumerate(asked) if instance == sick]
    assert codes(answered) == dict.fromkeys(lost, code)
    assert {error["extensions"]["instance"] for error in answered["errors"]} == {sick}
    found = answered["data"]["_entities"]
    assert [entity and entity["id"] for entity in found] == [
        None if instance == sick else ids.encode(instance, native_id) for instance, native_id in asked
    ]


async def test_one_id_that_fails_costs_itself_only(fleet: Fleet):
    asked = places(fleet, 3, AIRBYTE)
    fleet.servers[AIRBYTE].knobs = Knobs(status=500, only=FULL, times=1)
    selection = "id details { ... on AirbyteConnection { prefix } }"
    answered = await ask(fleet, [by_id(place) for place in asked], selection)
    (lost,) = codes(answered)
    assert [entity is None for entity in answered["data"]["_entities"]] == [at == lost for at in range(3)]


async def test_a_lookup_that_fails_leaves_the_entities_and_is_told_once(fleet: Fleet):
    asked = places(fleet, 6, UNIFIED_TO)
    fleet.servers[UNIFIED_TO].knobs = Knobs(status=503, only="/integration")
    answered = await ask(fleet, [by_id(place) for place in asked], "id name")
    assert [entity["id"] for entity in answered["data"]["_entities"]] == [ids.encode(*place) for place in asked]
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["UPSTREAM_UNAVAILABLE"]
    assert answered["errors"][0]["path"][0] == "_entities"


# --- looking ahead

CATALOG = "details { ... on AirbyteConnection { syncCatalog { streams { stream { name } } } } }"


async def test_a_full_record_is_read_for_each_entity_that_has_one_only(fleet: Fleet):
    asked = places(fleet, 9)
    answered = await entities(fleet, [by_id(place) for place in asked], f"nativeId {CATALOG}")
    assert [entity["nativeId"] for entity in answered] == [native_id for _, native_id in asked]
    assert [bool(entity["details"].get("syncCatalog")) for entity in answered] == [True, False, False] * 3
    assert fleet.calls(AIRBYTE, FULL) == 3
    assert lists(fleet) == {**LISTS, AIRBYTE: 0}


async def test_each_full_record_is_its_own(fleet: Fleet):
    asked = places(fleet, 8, AIRBYTE)
    selection = "details { ... on AirbyteConnection { prefix namespaceFormat operations { operationId } } }"
    together = await entities(fleet, [by_id(place) for place in asked], selection)
    assert together == [(await entities(fleet, [by_id(place)], selection))[0] for place in asked]


@pytest.mark.parametrize(
    ("selection", "full"),
    [
        (f"... on Connection {{ {CATALOG} }}", 4),
        (f"... on Node {{ id ... on Connection {{ {CATALOG} }} }}", 4),
        ("... on Connection { again: details { ... on AirbyteConnection { kept: prefix } } }", 4),
        ("...F", 4),
        ("... on Connection { id ...F @skip(if: $no) }", 4),
        ("... on Connection { id ...F @include(if: $no) }", 0),
        (f"... on Connection {{ id ... @skip(if: $yes) {{ {CATALOG} }} }}", 0),
        ("... on Connection { details { ... on WorkivaConnection { __typename } } }", 0),
        ("... on Connection { details { ... on AirbyteConnection { rawStatus } } }", 0),
        ("... on Node { id }", 0),
        ("__typename", 0),
    ],
)
async def test_looking_ahead_sees_through_fragments_aliases_and_conditions(fleet: Fleet, selection: str, full: int):
    fragment = f"fragment F on Connection {{ {CATALOG} }}" if "...F" in selection else ""
    query = f"""
        query($references: [_Any!]!, $yes: Boolean! = true, $no: Boolean! = false) {{
            entities: _entities(representations: $references) {{ __typename {selection} }}
            yes: __typename @include(if: $yes)
            no: __typename @include(if: $no)
        }}
        {fragment}
    """
    references = [by_id(place) for place in places(fleet, 4, AIRBYTE)]
    answered = (await fleet.data(query, {"references": references}))["entities"]
    assert [entity["__typename"] for entity in answered] == ["Connection"] * 4
    assert fleet.calls(AIRBYTE, FULL) == full
    assert fleet.calls(AIRBYTE, LIST[AIRBYTE]) == (0 if full else LISTS[AIRBYTE])


async def test_references_that_stand_in_the_document_lead_to_their_entity_each_time(fleet: Fleet):
    """What finds entities takes references apart, so that they must be made anew for each request."""
    key = f'{{ __typename: "Connection", id: "{ids.encode(*places(fleet, 1)[0])}" }}'
    text = f"{{ _entities(representations: [{key}]) {{ __typename }} }}"
    for _ in range(4):
        assert await fleet.data(text) == {"_entities": [{"__typename": "Connection"}]}
