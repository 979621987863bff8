"""Pages over many upstreams: a walk meets every row once, in one order, whatever the page sizes and the cursors."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from itertools import chain, cycle, zip_longest
from typing import Any

import httpx
import pytest
from graphql import GraphQLError
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import ids
from adapters.airbyte.demo import AirbyteImitation
from adapters.errors import AdapterError, Unreachable
from adapters.imitation import ImitationServer, Knobs
from adapters.model import Connection, ConnectionStatus, ReasonCode, StatusReason
from adapters.port import LIST_FIELDS, Completed, Fields, Found, Page
from adapters.unified_to.demo import UnifiedToImitation
from gateway import paging
from gateway.instances import Instance
from gateway.schema.providers import PROVIDERS
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, gateway_over

PAGE = """
    query ($first: Int, $after: String) {
      connections(first: $first, after: $after) {
        edges { cursor node { id instance { name } } }
        nodes { id }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        sources { rowCount }
      }
    }"""


async def walk(fleet: Fleet, sizes: Sequence[int], after: str | None = None) -> list[str]:
    """The ids of all connections, read in pages of these sizes in turn."""
    met: list[str] = []
    for first in cycle(sizes):
        page = (await fleet.data(PAGE, {"first": first, "after": after}))["connections"]
        info, edges = page["pageInfo"], page["edges"]
        assert [edge["node"]["id"] for edge in edges] == [node["id"] for node in page["nodes"]]
        assert len(edges) <= first
        assert sum(source["rowCount"] for source in page["sources"]) == len(edges)
        assert info["hasPreviousPage"] == (after is not None)
        if edges:
            assert (info["startCursor"], info["endCursor"]) == (edges[0]["cursor"], edges[-1]["cursor"])
        met += [node["id"] for node in page["nodes"]]
        assert len(met) <= 1000, "a walk must end"
        after = info["endCursor"]
        if not info["hasNextPage"]:
            return met
        assert edges, "a page that promises more must lead there"
    raise AssertionError


@contextlib.asynccontextmanager
async def over(servers: Mapping[str, ImitationServer]) -> AsyncGenerator[Fleet]:
    """A gateway over imitations of its own."""
    async with contextlib.AsyncExitStack() as stack:
        instances = {
            name: server.settings(await stack.enter_async_context(server.serve())) for name, server in servers.items()
        }
        url = await stack.enter_async_context(gateway_over(instances))
        yield Fleet(url, servers, await stack.enter_async_context(httpx.AsyncClient()))


@contextlib.asynccontextmanager
async def again(fleet: Fleet, upstreams: Mapping[str, Any], names: Sequence[str]) -> AsyncGenerator[Fleet]:
    """A new gateway over some of the same upstreams."""
    instances = {name: upstreams[name][0].settings(upstreams[name][1]) for name in names}
    async with gateway_over(instances) as url:
        yield Fleet(url, fleet.servers, fleet.client)


def all_ids(fleet: Fleet) -> set[str]:
    """The ids of everything that the imitations hold."""
    names = {AIRBYTE: "connectionId", WORKIVA: "connectionId", UNIFIED_TO: "id"}
    return {
        ids.encode(instance, row[names[instance]])
        for instance, server in fleet.servers.items()
        for row in server.rows()  # pyright: ignore[reportAttributeAccessIssue]
    }


@pytest.mark.parametrize("sizes", [[7], [25], [60], [100], [1, 50, 3, 17, 100]], ids=str)
async def test_a_walk_meets_every_row_of_all_instances_once(fleet: Fleet, sizes: list[int]):
    met = await walk(fleet, sizes)
    assert len(met) == len(set(met)) == 180
    assert set(met) == all_ids(fleet)


async def test_a_walk_row_by_row_meets_every_row_once():
    servers = {"a": AirbyteImitation(size=7), "u": UnifiedToImitation(size=5), "v": UnifiedToImitation(size=0)}
    async with over(servers) as fleet:
        assert len(set(await walk(fleet, [1]))) == 12


async def test_the_order_is_the_same_for_any_page_size_and_goes_round_the_instances(fleet: Fleet):
    whole = await walk(fleet, [100])
    assert await walk(fleet, [11]) == whole
    assert await walk(fleet, [100]) == whole
    order = [ids.decode(id)[0] for id in whole[:9]]
    assert order == [AIRBYTE, WORKIVA, UNIFIED_TO] * 3


async def test_the_cursor_of_every_edge_goes_on_right_after_it(fleet: Fleet):
    page = (await fleet.data(PAGE, {"first": 12}))["connections"]
    whole = [node["id"] for node in page["nodes"]]
    for number, edge in enumerate(page["edges"][:-1], 1):
        following = await fleet.data(PAGE, {"first": 12 - number, "after": edge["cursor"]})
        assert [node["id"] for node in following["connections"]["nodes"]] == whole[number:]


async def test_the_last_page_says_so_even_where_it_is_full():
    async with over({"w": AirbyteImitation(size=10)}) as fleet:
        for first, goes_on in (9, True), (10, False), (11, False):
            page = (await fleet.data(PAGE, {"first": first}))["connections"]
            assert page["pageInfo"]["hasNextPage"] is goes_on
        rest = (await fleet.data(PAGE, {"after": page["pageInfo"]["endCursor"]}))["connections"]
        assert (rest["nodes"], rest["pageInfo"]["hasNextPage"], rest["pageInfo"]["endCursor"]) == ([], False, None)


async def test_two_instances_of_one_provider_stand_side_by_side():
    async with over({"first": AirbyteImitation(size=4), "second": AirbyteImitation(size=6)}) as fleet:
        met = [ids.decode(id) for id in await walk(fleet, [3])]
    by_name = [[native for name, native in met if name == instance] for instance in ("first", "second")]
    assert [len(natives) for natives in by_name] == [4, 6]
    assert set(by_name[0]) < set(by_name[1]), "the same native ids, told apart by their instance"


async def test_first_is_25_unless_told_and_may_be_0_to_100(fleet: Fleet):
    for variables, count in ({}, 25), ({"first": None}, 25), ({"first": 0}, 0), ({"first": 100}, 100):
        page = (await fleet.data(PAGE, variables))["connections"]
        assert len(page["nodes"]) == count
        assert page["pageInfo"]["hasNextPage"] is True


async def test_other_page_sizes_are_the_clients_mistake(fleet: Fleet):
    for first in (-1, 101, 2**31 - 1):
        answered = await fleet.ask(PAGE, {"first": first})
        assert [error["extensions"]["code"] for error in answered["errors"]] == ["BAD_USER_INPUT"]
        assert [error["path"] for error in answered["errors"]] == [["connections"]]
    assert all(fleet.calls(instance) == 0 for instance in fleet.servers)


async def test_page_sizes_that_are_no_numbers_are_refused_as_variables(fleet: Fleet):
    for first in (2**31, 1.5, "ten", [1, 2]):
        answered = await fleet.ask(PAGE, {"first": first})
        assert {error["extensions"]["code"] for error in answered["errors"]} == {"BAD_USER_INPUT"}


async def test_a_cursor_survives_a_restart_of_the_gateway(fleet: Fleet, upstreams: Mapping[str, Any]):
    whole = await walk(fleet, [100])
    page = (await fleet.data(PAGE, {"first": 50}))["connections"]
    async with again(fleet, upstreams, list(upstreams)) as restarted:
        assert await walk(restarted, [30], page["pageInfo"]["endCursor"]) == whole[50:]


async def test_a_cursor_survives_an_instance_that_is_gone(fleet: Fleet, upstreams: Mapping[str, Any]):
    whole = await walk(fleet, [100])
    cursor = (await fleet.data(PAGE, {"first": 50}))["connections"]["pageInfo"]["endCursor"]
    async with again(fleet, upstreams, [AIRBYTE, UNIFIED_TO]) as without:
        rest = await walk(without, [30], cursor)
    assert rest == [id for id in whole[50:] if ids.decode(id)[0] != WORKIVA]


async def test_a_cursor_survives_an_instance_that_is_new(fleet: Fleet, upstreams: Mapping[str, Any]):
    async with again(fleet, upstreams, [AIRBYTE, WORKIVA]) as before:
        page = (await before.data(PAGE, {"first": 50}))["connections"]
    rest = await walk(fleet, [30], page["pageInfo"]["endCursor"])
    assert len(rest) == len(set(rest)) == 130
    assert {node["id"] for node in page["nodes"]} | set(rest) == all_ids(fleet)


async def test_a_cursor_survives_instances_in_another_order(fleet: Fleet, upstreams: Mapping[str, Any]):
    page = (await fleet.data(PAGE, {"first": 50}))["connections"]
    async with again(fleet, upstreams, [UNIFIED_TO, WORKIVA, AIRBYTE]) as other:
        rest = await walk(other, [30], page["pageInfo"]["endCursor"])
    assert len(rest) == 130
    assert {node["id"] for node in page["nodes"]} | set(rest) == all_ids(fleet)


async def test_a_page_with_a_failed_instance_leads_on_and_the_instance_comes_back_where_it_stood(fleet: Fleet):
    whole = await walk(fleet, [100])
    fleet.servers[WORKIVA].knobs = Knobs(status=500)
    answered = await fleet.ask(PAGE, {"first": 20})
    page = answered["data"]["connections"]
    assert len(page["nodes"]) == 20
    fleet.servers[WORKIVA].knobs = Knobs()
    rest = await walk(fleet, [40], page["pageInfo"]["endCursor"])
    assert sorted([node["id"] for node in page["nodes"]] + rest) == sorted(whole)


BAD_CURSORS = (
    "",
    "x",
    "not a cursor",
    "💥",
    "AAAA",
    "W10",  # []
    "WzEse31d" * 500,
    base64.urlsafe_b64encode(b"[2,{}]").decode(),
    base64.urlsafe_b64encode(b'[1,{"airbyte-prod":[-1,"x",false]}]').decode(),
    base64.urlsafe_b64encode(b'[1,{"airbyte-prod":["1","x",false]}]').decode(),
    base64.urlsafe_b64encode(b'{"version":1}').decode(),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    base64.urlsafe_b64encode(b"[" * 5000).decode(),
    base64.urlsafe_b64encode(b"r1:1").decode(),
)


BAD_TOKENS = (
    "",
    "nonsense",
    '["no such workspace",3,"x"]',
    '["",-1]',
    '["",1e99]',
    "9" * 5000,
    '{"a":1}',
    "\ud800",
    "\x00",
)


async def test_a_text_that_is_no_cursor_is_the_clients_mistake(fleet: Fleet):
    for cursor in BAD_CURSORS:
        answered = await fleet.ask(PAGE, {"after": cursor})
        assert [error["extensions"]["code"] for error in answered["errors"]] == ["BAD_USER_INPUT"], cursor
    assert all(fleet.calls(instance) == 0 for instance in fleet.servers)


@pytest.mark.parametrize("instance", [AIRBYTE, WORKIVA, UNIFIED_TO])
async def test_a_tampered_token_in_a_cursor_is_the_clients_mistake(fleet: Fleet, instance: str):
    for token in BAD_TOKENS:
        body = json.dumps([1, {instance: [3, token, False]}]).encode()
        answered = await fleet.ask(PAGE, {"first": 6, "after": base64.urlsafe_b64encode(body).decode().rstrip("=")})
        assert [error["extensions"]["code"] for error in answered["errors"]] == ["BAD_USER_INPUT"], token


def tampered(cursor: str, changes: Sequence[tuple[int, int]]) -> str:
    """The cursor with bytes of what is inside it changed, or of its text where that is empty."""
    body = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for place, value in changes:
        body[place % len(body)] = value
    return base64.urlsafe_b64encode(bytes(body)).decode().rstrip("=")


async def test_tampered_cursors_of_real_pages_never_break_the_gateway(fleet: Fleet):
    cursor = (await fleet.data(PAGE, {"first": 5}))["connections"]["pageInfo"]["endCursor"]
    size = len(base64.urlsafe_b64decode(cursor + "=="))
    mutants = [tampered(cursor, [(place, ord("9"))]) for place in range(0, size, 3)]
    mutants += [cursor[: len(cursor) // 2], cursor + cursor, cursor.swapcase(), cursor[::-1]]
    answers = await asyncio.gather(*(fleet.ask(PAGE, {"first": 1, "after": mutant}) for mutant in mutants))
    codes = {error["extensions"]["code"] for answer in answers for error in answer.get("errors", [])}
    assert codes == {"BAD_USER_INPUT"}


PLACES = st.dictionaries(
    st.from_regex(ids.INSTANCE_NAME, fullmatch=True),
    st.builds(paging.Place, st.integers(0, 2**40), st.none() | st.text(st.characters(exclude_categories=["Cs"]))),
    max_size=5,
)


@given(PLACES)
def test_a_cursor_decodes_to_what_it_was_made_of(places: dict[str, paging.Place]):
    assert paging.decode(paging.encode(places)) == places


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_text_is_a_cursor_or_the_clients_mistake(text: str):
    assert_cursor_or_mistake(text)


@given(PLACES, st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_mutation_of_a_cursor_is_a_cursor_or_the_clients_mistake(
    places: dict[str, paging.Place], changes: list[tuple[int, int]]
):
    assert_cursor_or_mistake(tampered(paging.encode(places), changes))


def assert_cursor_or_mistake(text: str) -> None:
    code: object = None
    try:
        places = paging.decode(text)
    except GraphQLError as mistake:
        places, code = {}, (mistake.extensions or {})["code"]
    assert code in (None, "BAD_USER_INPUT")
    assert all(place.count >= 0 for place in places.values())


# The merge itself, over adapters written for it


class Listed:
    """An adapter over rows in memory. ``gaps`` are pages that come back empty though there is more; ``failing`` are
    the reads, by number, that fail."""

    transport: Any = None

    def __init__(
        self, instance: str, rows: int, *, page_size: int = 1000, failing: frozenset[int] = frozenset()
    ) -> None:
        self.instance = instance
        self.rows = tuple(connection(instance, number) for number in range(rows))
        self.page_size = page_size
        self.failing = failing
        self.reads = 0

    async def page(self, *, after: str | None, limit: int) -> Page:
        self.reads += 1
        if self.reads in self.failing:
            raise Unreachable("nobody answers")
        start = int(after or 0)
        rows = self.rows[start : start + min(limit, self.page_size)]
        end = start + len(rows)
        return Page(rows, tuple(str(number) for number in range(start + 1, end + 1)), more=end < len(self.rows))

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        return Completed(tuple(connections))

    async def get_many(self, wanted: Mapping[str, Fields]) -> Found:
        raise NotImplementedError

    async def runs(self, *_: object, **__: object) -> Any:
        raise NotImplementedError


def connection(instance: str, number: int) -> Connection:
    reason = StatusReason(code=ReasonCode.NO_RUN_YET, message="It has never run.")
    return Connection(
        id=ids.encode(instance, str(number)),
        instance=instance,
        provider="airbyte",
        native_id=str(number),
        status=ConnectionStatus.NEVER_RAN,
        status_reason=reason,
    )


def instances_of(*adapters: Listed) -> dict[str, Instance]:
    return {adapter.instance: Instance(adapter.instance, PROVIDERS["airbyte"], adapter) for adapter in adapters}


async def walked(adapters: Sequence[Listed], sizes: Sequence[int]) -> tuple[list[str], list[AdapterError]]:
    met: list[str] = []
    failures: list[AdapterError] = []
    after: str | None = None
    for step, first in enumerate(cycle(sizes)):
        assert step < 500, "a walk must end"
        page = await paging.page(instances_of(*adapters), first=first, after=after, fields=LIST_FIELDS)
        met += [edge.node.id for edge in page.edges]
        failures += page.failures
        if page.edges:
            after = page.edges[-1].cursor
        if not page.has_next_page and not page.failures:
            return met, failures
    raise AssertionError


SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=4)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 50)), min_size=1, max_size=5), SIZES)
def test_lists_of_any_lengths_and_page_sizes_are_walked_once_in_one_order(
    lists: list[tuple[int, int]], sizes: list[int]
):
    adapters = [Listed(f"i{number}", rows, page_size=size) for number, (rows, size) in enumerate(lists)]
    met, failures = asyncio.run(walked(adapters, sizes))
    assert not failures
    assert len(met) == len(set(met)) == sum(rows for rows, _ in lists)
    in_turn = zip_longest(*(adapter.rows for adapter in adapters))
    whole = [row.id for row in chain.from_iterable(in_turn) if row is not None]
    if all(size >= max(sizes) for _, size in lists):  # an upstream with smaller pages falls behind, and catches up
        assert met == whole
    assert sorted(met) == sorted(whole)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.frozensets(st.integers(1, 12), max_size=6)), min_size=1, max_size=4),
    SIZES,
)
def test_instances_that_fail_now_and_then_cost_no_row_and_repeat_none(
    lists: list[tuple[int, frozenset[int]]], sizes: list[int]
):
    adapters = [Listed(f"i{number}", rows, failing=failing) for number, (rows, failing) in enumerate(lists)]
    met, failures = asyncio.run(walked(adapters, sizes))
    assert len(met) == len(set(met)) == sum(rows for rows, _ in lists)
    assert {failure.instance for failure in failures} <= {adapter.instance for adapter in adapters}


async def test_each_instance_is_read_once_for_a_page_and_not_at_all_after_its_end():
    short, long = Listed("short", 2), Listed("long", 20)
    met, _ = await walked([short, long], [6])
    assert len(met) == 22
    assert (short.reads, long.reads) == (1, 4)


async def test_an_empty_fleet_has_an_empty_page():
    page = await paging.page(instances_of(Listed("a", 0), Listed("b", 0)), first=10, after=None, fields=LIST_FIELDS)
    assert (page.edges, page.has_next_page) == ([], False)
    assert [source.state for source in page.sources] == [paging.SourceState.OK] * 2


async def test_where_all_fail_nothing_is_promised():
    failing = [Listed(name, 5, failing=frozenset({1})) for name in ("a", "b")]
    page = await paging.page(instances_of(*failing), first=10, after=None, fields=LIST_FIELDS)
    assert (page.edges, page.has_next_page, len(page.failures)) == ([], False, 2)
    assert [source.state for source in page.sources] == [paging.SourceState.FAILED] * 2
