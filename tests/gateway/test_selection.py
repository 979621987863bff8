"""Looking ahead: the field paths that an adapter is told, however a query spells its selection."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pytest

from adapters import ids
from adapters.airbyte.demo import connection_id
from adapters.model import Connection, ConnectionStatus, ReasonCode, StatusReason
from adapters.port import Completed, Fields, Filter, Found, List, Narrowing, Order, Page, Planned, Reader, Single, Work
from adapters.walk import BOUNDLESS
from gateway import app
from gateway.context import Context
from gateway.execution.engine import Engine, Outcome
from gateway.instances import Instance
from gateway.inventory import Ages, Inventory
from gateway.ledger import Ledger
from gateway.protection.body import Operation
from gateway.protection.limits import Limits
from gateway.schema.providers import PROVIDERS
from gateway.writes import Writes

REF = f'(ref: {{ instance: "a", nativeId: "{connection_id(0)}" }})'
ID = ids.encode("a", connection_id(0))


ONLY = Connection(
    id=ID,
    instance="a",
    provider="airbyte",
    native_id=connection_id(0),
    status=ConnectionStatus.NEVER_RAN,
    status_reason=StatusReason(code=ReasonCode.NO_RUN_YET, message="It has never run."),
)


class Listening:
    """An adapter of one connection that remembers what was wanted of it."""

    transport: Any = None

    def __init__(self) -> None:
        self.wanted: list[Fields] = []

    async def parts(self) -> Sequence[str]:
        return ("",)

    def narrow(self, where: Filter) -> Narrowing:
        return Narrowing()

    def sorts(self, order: Order) -> bool:
        return False

    async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
        return Page((ONLY,))

    def ahead(self, token: str, pages: int) -> str | None:
        return None

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        self.wanted.append(fields)
        return Completed(tuple(connections))

    def adds(self, fields: Fields) -> bool:
        return True

    def holds(self, fields: Fields) -> bool:
        return False

    def single(self, id: str, fields: Fields) -> Single | None:
        return None

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        self.wanted += wanted.values()
        return Found({})

    async def runs(self, *_: object, **__: object) -> Any:
        raise NotImplementedError

    def plan(self, work: Work) -> Sequence[Planned]:
        return ()


async def outcome(query: str, **variables: Any) -> tuple[Outcome, list[Fields]]:
    adapter = Listening()
    limits = Limits(tokens=5000, cost=10**15)
    instances = {"a": Instance("a", PROVIDERS["airbyte"], adapter)}
    inventory = Inventory(Ages(max_age=0, max_stale=0, walk_timeout=5), BOUNDLESS)
    writes = Writes(inventory, Ledger(None, 60))
    engine = Engine(app.schema(), limits, partial(Context, instances, inventory, writes, max_first=limits.first))
    return await engine.run(Operation(query, variables)), adapter.wanted


async def paths(query: str, **variables: Any) -> set[str]:
    """The field paths that one read was told."""
    answered, wanted = await outcome(query, **variables)
    assert not answered.errors
    (fields,) = wanted
    return set(fields)


async def of_row(selection: str, fragments: str = "") -> set[str]:
    """The field paths of a selection inside of a connection."""
    return await paths(f"{{ connection{REF} {{ {selection} }} }} {fragments}")


async def test_plain_fields_are_paths_in_the_words_of_the_record():
    assert await of_row("nativeId lastHealthyAt") == {"native_id", "last_healthy_at"}


async def test_fields_inside_fields_are_paths_with_dots():
    expected = {"source", "source.icon", "schedule", "schedule.every", "schedule.every.time_unit"}
    assert await of_row("source { icon } schedule { every { timeUnit } }") == expected


async def test_aliases_do_not_change_a_path():
    assert await of_row("a: name b: name from: source { picture: icon }") == {"name", "source", "source.icon"}


async def test_typename_is_nothing_to_fetch():
    assert await of_row("__typename source { __typename }") == {"source"}


async def test_details_are_paths_that_begin_with_their_type():
    selection = "details { __typename ... on AirbyteConnection { syncCatalog { streams { stream { name } } } } }"
    assert await of_row(selection) == {
        "details",
        "AirbyteConnection.sync_catalog",
        "AirbyteConnection.sync_catalog.streams",
        "AirbyteConnection.sync_catalog.streams.stream",
        "AirbyteConnection.sync_catalog.streams.stream.name",
    }


async def test_details_of_several_providers_are_told_apart():
    selection = "details { ... on WorkivaConnection { metadata } ... on UnifiedToConnection { isPaused } }"
    assert await of_row(selection) == {"details", "WorkivaConnection.metadata", "UnifiedToConnection.is_paused"}


C = "fragment C on Connection { source { icon } }"


@pytest.mark.parametrize(
    ("selection", "fragments"),
    [
        ("... { source { icon } }", ""),
        ("... on Connection { source { icon } }", ""),
        ("... on Node { ... on Connection { source { icon } } }", ""),
        ("...C", C),
        ("...C ...C", C),
        ("...N", "fragment N on Node { ... on Connection { ...C } } " + C),
        ("...A", "fragment A on Connection { source { ...E } } fragment E on Endpoint { icon }"),
        ("...A", "fragment A on Connection { ...B } fragment B on Connection { ...C } " + C),
    ],
)
async def test_fragments_of_every_kind_are_looked_into(selection: str, fragments: str):
    assert await of_row(selection, fragments) == {"source", "source.icon"}


async def test_a_fragment_on_details_is_looked_into_at_each_place_it_is_spread():
    fragments = """
        fragment D on ConnectionDetails { ...A ... on WorkivaConnection { metadata } }
        fragment A on AirbyteConnection { prefix }"""
    expected = {"details", "AirbyteConnection.prefix", "WorkivaConnection.metadata"}
    assert await of_row("details { ...D } same: details { ...D }", fragments) == expected


async def test_one_fragment_at_two_places_gives_the_paths_of_both():
    fragments = "fragment E on Endpoint { icon }"
    expected = {"source", "source.icon", "destination", "destination.icon"}
    assert await of_row("source { ...E } destination { ...E }", fragments) == expected


async def test_fragments_that_multiply_are_walked_once_for_each_place():
    doubling = " ".join(f"fragment F{n} on Connection {{ ...F{n + 1} ...F{n + 1} }}" for n in range(40))
    assert await of_row("...F0", doubling + " fragment F40 on Connection { name }") == {"name"}


@pytest.mark.parametrize(
    ("directive", "flag", "selected"),
    [
        ("@include(if: $flag)", True, True),
        ("@include(if: $flag)", False, False),
        ("@skip(if: $flag)", True, False),
        ("@skip(if: $flag)", False, True),
        ("@include(if: $flag) @skip(if: false)", True, True),
        ("@include(if: true) @skip(if: $flag)", True, False),
    ],
)
@pytest.mark.parametrize("spelling", ["source {} {{ icon }}", "... {} {{ source {{ icon }} }}", "...C {}"])
async def test_what_a_directive_leaves_out_is_not_wanted(directive: str, flag: bool, selected: bool, spelling: str):
    query = f"query ($flag: Boolean!) {{ connection{REF} {{ id {spelling.format(directive)} }} }}"
    query += C if "...C" in spelling else ""
    assert await paths(query, flag=flag) == {"id"} | ({"source", "source.icon"} if selected else set())


async def test_a_variable_that_is_not_sent_has_its_default():
    query = f"query ($flag: Boolean = false) {{ connection{REF} {{ id name @include(if: $flag) }} }}"
    assert await paths(query) == {"id"}
    assert await paths(query, flag=True) == {"id", "name"}


async def test_a_variable_sent_as_null_where_none_may_be_is_the_clients_mistake():
    query = f"query ($flag: Boolean = true) {{ connection{REF} {{ id name @include(if: $flag) }} }}"
    answered, wanted = await outcome(query, flag=None)
    assert [error.extensions["code"] for error in answered.errors] == ["BAD_USER_INPUT"]
    assert wanted == []


async def of_page(selection: str) -> list[Fields]:
    """What was wanted of the rows of a list: first of all of them, to sort them, then of those in the page."""
    answered, wanted = await outcome(f"{{ connections {{ {selection} }} }}")
    assert not answered.errors
    return wanted


async def test_a_page_is_told_what_is_wanted_of_edges_and_nodes_together():
    listed, shown = await of_page("edges { cursor node { name } } nodes { source { icon } } pageInfo { endCursor }")
    assert listed == {"name", "source.icon"}
    assert shown == {"source"}, "the rest has been looked up for all of them"


async def test_a_page_without_connections_in_it_wants_no_more_than_sorting_takes():
    wanted = await of_page("pageInfo { hasNextPage } sources { rowCount instance { name } }")
    assert wanted == [{"name"}, set()]


async def test_runs_are_a_field_of_their_own_and_their_fields_no_ones_else():
    assert "name" not in await of_row("runs { nodes { id status } }")


@pytest.mark.parametrize("query", ['{{ node(id: "{}") {} }}', '{{ nodes(ids: ["{}"]) {} }}'])
async def test_selections_on_an_interface_count_where_they_are_on_connections(query: str):
    selection = "{ __typename id ... on Connection { name ...C } }"
    fragment = " fragment C on Connection { source { icon } }"
    # `id` of the interface is the record's own, and nothing to be fetched.
    assert await paths(query.format(ID, selection) + fragment) - {"id"} == {"name", "source", "source.icon"}


@pytest.mark.parametrize(
    "key", [{"id": ID}, {"instance": {"name": "a"}, "nativeId": connection_id(0)}], ids=["id", "native id"]
)
async def test_entities_are_looked_ahead_as_well(key: Mapping[str, Any]):
    query = """
        query ($of: [_Any!]!) {
          _entities(representations: $of) { ... on Connection { name details { ... on AirbyteConnection { prefix } } } }
        }"""
    wanted = await paths(query, of=[{"__typename": "Connection", **key}])
    assert wanted == {"name", "details", "AirbyteConnection.prefix"}


async def test_equal_keys_with_different_selections_are_wanted_together():
    query = f"{{ a: connection{REF} {{ name }} b: connection{REF} {{ source {{ icon }} }} }}"
    assert await paths(query) == {"name", "source", "source.icon"}
