"""The laws of the merged list: over fleets of any shape, in every order, forward, backward and mixed, a walk meets
every row exactly once, in the one order that plain Python says.
"""

import asyncio
import datetime as dt
import functools
import random
import time
import unicodedata
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import count, pairwise
from typing import Any, NamedTuple, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.errors import AdapterError, Unreachable
from adapters.model import Connection, ConnectionStatus, ScheduleType
from adapters.port import Filter, Order, OrderField
from adapters.walk import Bounds
from gateway import cursors, filters, orders, paging
from gateway.instances import Instances
from gateway.inventory import Ages, Ask, Inventory
from gateway.orders import OrderBy
from gateway.paging import Edge, Merged, Window
from gateway.sources import Need
from tests.gateway.listed import HOUR, NOON, Listed, Sort, drawn, instances_of, some

Rows: TypeAlias = list[Connection]

# The one order, told a second time: by comparing two rows, in the words of the documentation

SEVERITY = ["HEALTHY", "RUNNING", "QUEUED", "NEVER_RAN", "PAUSED", "DELETED", "UNKNOWN", "DEGRADED", "FAILING"]


def plain(text: str) -> str:
    """Without accents and case."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()


def by_text(text: str | None) -> Any:
    return None if text is None else (plain(text), text)


def by_end(row: Connection, side: str) -> Any:
    end = getattr(row, side)
    return None if end is None else by_text(end.name or end.type)


def overdue(row: Connection) -> dt.timedelta | None:
    """By how long, at noon, a run has been overdue. Rows here are scheduled by intervals or by nobody, and their runs
    are good or going on."""
    schedule = row.schedule
    if row.enabled is False or row.status in (ConnectionStatus.PAUSED, ConnectionStatus.DELETED):
        return None
    if schedule is None or schedule.type is ScheduleType.MANUAL or schedule.every is None:
        return None
    began = row.created_at if row.last_run is None else row.last_run.started_at
    return None if began is None else NOON - (began + schedule.every.units * HOUR)


KEYS: Mapping[OrderField, Callable[[Connection], Any]] = {
    OrderField.NAME: lambda row: by_text(row.name),
    OrderField.STATUS: lambda row: SEVERITY.index(row.status.value),
    OrderField.SOURCE: lambda row: by_end(row, "source"),
    OrderField.DESTINATION: lambda row: by_end(row, "destination"),
    OrderField.PROVIDER: lambda row: by_text(row.provider),
    OrderField.LAST_RUN_AT: lambda row: row.last_run.started_at if row.last_run else None,
    OrderField.CREATED_AT: lambda row: row.created_at,
    OrderField.UPDATED_AT: lambda row: row.updated_at,
    OrderField.LAST_HEALTHY_AT: lambda row: row.last_healthy_at,
    OrderField.OVERDUE: overdue,
}


TEXTS = {OrderField.NAME, OrderField.SOURCE, OrderField.DESTINATION, OrderField.PROVIDER}


def in_order(rows: Sequence[Connection], order_by: OrderBy) -> Rows:
    """The rows in the one order."""

    def compared(one: Connection, other: Connection) -> int:
        for field, is_descending in order_by:
            a, b = KEYS[field](one), KEYS[field](other)
            if a != b:
                if a is None or b is None:
                    return 1 if a is None else -1
                return -1 if (a < b) is not is_descending else 1
        return -1 if (one.instance, one.native_id) < (other.instance, other.native_id) else 1

    return sorted(rows, key=functools.cmp_to_key(compared))


# Upstreams that sort


def honest(rows: Sequence[Connection], order: Order) -> Rows:
    return in_order(rows, (order,))


def by(rows: Sequence[Connection], key: Callable[[Connection], Any], order: Order) -> Rows:
    """The rows by a key, those without it last; equal ones as they stand."""
    having = [row for row in rows if key(row) is not None]
    return sorted(having, key=key, reverse=order.is_descending) + [row for row in rows if key(row) is None]


def binary(rows: Sequence[Connection], order: Order) -> Rows:
    """Texts by code point."""

    def key(row: Connection) -> Any:
        found: Any = KEYS[order.field](row)
        return found[1] if found is not None and order.field in TEXTS else found

    return by(sorted(rows, key=lambda row: row.native_id), key, order)


def backward_ties(rows: Sequence[Connection], order: Order) -> Rows:
    """Those that are equal by their ids, the greatest first."""
    return by(sorted(rows, key=lambda row: row.native_id, reverse=True), KEYS[order.field], order)


def keyless_first(rows: Sequence[Connection], order: Order) -> Rows:
    own = honest(rows, order)
    return sorted(own, key=lambda row: KEYS[order.field](row) is not None)


def as_it_stands(rows: Sequence[Connection], _: Order) -> Rows:
    """What it was asked for is ignored."""
    return list(rows)


DISHONEST: tuple[Sort, ...] = (binary, backward_ties, keyless_first, as_it_stands)


# Filters, each with the same in plain Python

FILTERS: tuple[tuple[Filter, Callable[[Connection], bool]], ...] = (
    (Filter(), lambda _: True),
    (Filter(), lambda _: True),
    (Filter(text="É"), lambda row: "e" in everything(row)),
    (Filter(enabled=True), lambda row: row.enabled is True),
    (Filter(workspace_id=("p0", "p2", "nowhere")), lambda row: row.workspace_id in ("p0", "p2")),
    (Filter(instance=("i0", "i2")), lambda row: row.instance in ("i0", "i2")),
    (Filter(provider=("workiva",)), lambda row: row.provider == "workiva"),
    (
        Filter(not_=Filter(enabled=True, category=("crm",))),
        lambda row: row.enabled is not True or "crm" not in row.categories,
    ),
    (
        Filter(status=(ConnectionStatus.FAILING, ConnectionStatus.PAUSED)),
        lambda row: row.status in ("FAILING", "PAUSED"),
    ),
    (Filter(overdue=True), lambda row: (overdue(row) or dt.timedelta()) > dt.timedelta()),
    (Filter(category=()), lambda _: False),
)


def everything(row: Connection) -> str:
    ends = [text for end in (row.source, row.destination) if end is not None for text in (end.name, end.type)]
    return plain("\n".join(text for text in (row.name, row.description, row.external_ref, *ends) if text))


# Fleets


PROVIDERS = ("airbyte", "workiva", "unified_to")


class Shape(NamedTuple):
    """What an instance is like: how many rows each of its lists has, and how it gives them."""

    sizes: tuple[int, ...]
    page: int
    sort: Sort | None
    is_counted: bool
    lacks_names: bool


def built(shapes: Sequence[Shape], seed: int) -> list[Listed]:
    """The fleet of these shapes; its rows are drawn by the seed, which is quicker than drawing each by itself."""
    rng = drawn(seed)
    return [listed(f"i{number}", PROVIDERS[number % 3], shape, rng) for number, shape in enumerate(shapes)]


def listed(instance: str, provider: str, shape: Shape, rng: random.Random) -> Listed:
    numbers = iter(rng.sample(range(1000), sum(shape.sizes)))
    lists = {
        f"p{part}": [
            some(rng, instance, f"{next(numbers):x}", workspace_id=f"p{part}", provider=provider) for _ in range(size)
        ]
        for part, size in enumerate(shape.sizes)
    }
    return Listed(
        instance,
        lists,
        page=shape.page,
        sort=shape.sort,
        is_counted=shape.is_counted,
        lacks_names=shape.lacks_names,
    )


def shapes(*sorts: Sort | None, most: int = 3) -> st.SearchStrategy[list[Shape]]:
    shape = st.builds(
        Shape,
        st.lists(st.integers(0, 14), min_size=1, max_size=3).map(tuple),
        st.sampled_from([1, 2, 3, 5, 20]),
        st.sampled_from(sorts),
        st.booleans(),
        st.booleans(),
    )
    return st.lists(shape, min_size=1, max_size=most)


SEEDS = st.integers(0, 2**32)
ALL_ORDERS: list[OrderBy] = [
    *((Order(field, down),) for field in OrderField for down in (False, True)),
    (Order(OrderField.STATUS, True), Order(OrderField.NAME)),
    (Order(OrderField.PROVIDER), Order(OrderField.SOURCE, True), Order(OrderField.LAST_RUN_AT)),
    (Order(OrderField.LAST_HEALTHY_AT, True), Order(OrderField.CREATED_AT, True), Order(OrderField.NAME, True)),
]
EVERY_ORDER = pytest.mark.parametrize("order_by", ALL_ORDERS, ids=orders.text_of)


def few(examples: int) -> Any:
    """So many examples, the same ones in every run."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


# Asking


class Walker:
    """Somebody who asks for pages of one list, in an order, under a filter."""

    def __init__(
        self,
        instances: Instances,
        order_by: OrderBy,
        rng: random.Random,
        *,
        where: Filter = filters.EVERYTHING,
        counts: bool = True,
        max_age: float = 1000.0,
        restarts: bool = False,
        tolerates: bool = False,
    ) -> None:
        self.instances = instances
        self.order_by = order_by
        self.rng = rng
        self.where = where
        self.counts = counts
        self.max_age = max_age
        self.restarts = restarts
        self.tolerates = tolerates
        self.told: list[AdapterError] = []
        """What failed, of all pages."""
        self.inventory = inventory(max_age)

    async def page(
        self, size: int, *, after: str | None = None, before: str | None = None, last: bool = False
    ) -> Merged:
        """A page as the field `connections` asks for it; checked for what each page must be."""
        if self.restarts:
            self.inventory = inventory(self.max_age)
        window = Window(
            size,
            last,
            None if after is None else cursors.decode(after, self.order_by),
            None if before is None else cursors.decode(before, self.order_by),
        )
        needs_all = self.counts or last or before is not None
        need = Need(
            where=self.where,
            order_by=self.order_by,
            ask=Ask(self.max_age, time.monotonic()),
            joins=filters.joins(self.where)
            | {orders.JOINS[each.field] for each in self.order_by if each.field in orders.JOINS},
            fields=frozenset({"name"}),
            now=NOON,
            order=self.order_by[0] if len(self.order_by) == 1 and not needs_all else None,
            after=window.after,
        )
        async with asyncio.timeout(10):
            page = await paging.page(self.instances, self.inventory, need, window)
        assert self.tolerates or not page.failures
        self.told += page.failures
        assert len(page.edges) <= size
        assert list(page.nodes) == [edge.node for edge in page.edges]
        if page.edges:
            assert (page.start_cursor, page.end_cursor) == (page.edges[0].cursor, page.edges[-1].cursor)
        else:
            assert (page.start_cursor, page.end_cursor) == (None, None)
        return page

    def size(self) -> int:
        return self.rng.choice((1, 2, 3, 7, 25, 100))


def inventory(max_age: float) -> Inventory:
    return Inventory(Ages(max_age, 1000.0, 10.0), Bounds(100_000, 100_000_000))


def expected(adapters: Sequence[Listed], order_by: OrderBy, meets: Callable[[Connection], bool]) -> list[str]:
    """The ids of the rows of a fleet that meet a filter, in order."""
    return [row.id for row in in_order([row for each in adapters for row in each.rows if meets(row)], order_by)]


def ids_of(edges: Sequence[Edge]) -> list[str]:
    return [edge.node.id for edge in edges]


async def forward(walker: Walker, whole: Sequence[str], after: str | None = None, at: int = 0) -> list[Edge]:
    """The edges of a walk forward from the place ``at`` of what is to be met, each page checked against it."""
    met: list[Edge] = []
    while True:
        page = await walker.page(size := walker.size(), after=after)
        assert ids_of(page.edges) == whole[at : at + size]
        at += len(page.edges)
        met += page.edges
        assert page.has_next_page is (at < len(whole))
        # Pages that are read one by one show nothing of what was before.
        assert page.has_previous_page in {at > len(page.edges), walker.counts is False and after is not None}
        if walker.counts:
            assert page.has_previous_page is (at > len(page.edges))
            assert page.total_count == len(whole)
        if not page.has_next_page:
            return met
        after = page.end_cursor


async def backward(
    walker: Walker, whole: Sequence[str], before: str | None = None, at: int | None = None
) -> list[Edge]:
    """The edges of a walk backward, in the order of the list."""
    met: list[Edge] = []
    at = len(whole) if at is None else at
    while True:
        page = await walker.page(size := walker.size(), before=before, last=True)
        start = max(0, at - size)
        assert ids_of(page.edges) == whole[start:at]
        assert page.has_previous_page is (start > 0)
        assert page.has_next_page is (at < len(whole))
        assert page.total_count == len(whole)
        met = [*page.edges, *met]
        at, before = start, page.start_cursor
        if not page.has_previous_page:
            return met


async def mixed(walker: Walker, whole: Sequence[str], met: Sequence[Edge]) -> None:
    """From some edge on, back and forth in turns until everything is met."""
    at = walker.rng.randrange(len(met))
    low, high = at, at + 1
    start = end = met[at].cursor
    while (low, high) != (0, len(whole)):
        size = walker.size()
        if walker.rng.random() < 0.5:
            page = await walker.page(size, after=end)
            assert ids_of(page.edges) == whole[high : high + size]
            high += len(page.edges)
            end = page.end_cursor or end
            assert page.has_next_page is (high < len(whole))
            assert page.has_previous_page is True
        else:
            page = await walker.page(size, before=start, last=True)
            assert ids_of(page.edges) == whole[max(0, low - size) : low]
            low -= len(page.edges)
            start = page.start_cursor or start
            assert page.has_next_page is True
            assert page.has_previous_page is (low > 0)


async def between(walker: Walker, whole: Sequence[str], met: Sequence[Edge]) -> None:
    """Pages between two cursors, the first rows or the last; and pages of no rows at all."""
    for _ in range(4):
        low, high = (walker.rng.randrange(len(met)) for _ in range(2))
        size, last = walker.rng.choice((0, 1, 3, 100)), walker.rng.random() < 0.5
        page = await walker.page(size, after=met[low].cursor, before=met[high].cursor, last=last)
        within = whole[low + 1 : high]
        start = max(0, len(within) - size) if last else 0
        assert ids_of(page.edges) == within[start : start + size]
        if page.edges:
            assert page.has_previous_page is True  # at least the row of the cursor is there
            assert page.has_next_page is True
        for empty in (
            await walker.page(0, after=met[low].cursor),
            await walker.page(0, before=met[low].cursor, last=True),
        ):
            assert list(empty.edges) == []
        page = await walker.page(0, after=met[low].cursor)
        assert (page.has_previous_page, page.has_next_page) == (True, low + 1 < len(whole))


async def everywhere(
    adapters: Sequence[Listed], order_by: OrderBy, rng: random.Random, among: Sequence[Any] = FILTERS
) -> None:
    """All the ways through a fleet that stands still."""
    where, meets = rng.choice(among)
    whole = expected(adapters, order_by, meets)
    fleet = instances_of(*adapters)

    def walker(**options: Any) -> Walker:
        options = {"max_age": rng.choice((0.0, 1000.0)), "restarts": rng.random() < 0.3, **options}
        return Walker(fleet, order_by, rng, where=where, **options)

    met = await forward(walker(counts=False), whole)
    again = await forward(walker(counts=True), whole)
    assert ids_of(met) == ids_of(again) == ids_of(await backward(walker(), whole)) == whole
    if not met:
        return
    for edges in (met, again):  # of lists read page by page, and of lists in memory
        await mixed(walker(), whole, edges)
        await mixed(walker(counts=False), whole, edges)
        await between(walker(), whole, edges)
        at = rng.randrange(len(edges))
        for counts in (True, False):
            await forward(walker(counts=counts), whole, edges[at].cursor, at + 1)
        await backward(walker(), whole, edges[at].cursor, at)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


@EVERY_ORDER
@few(8)
@given(shapes(honest, keyless_first, None), SEEDS)  # rows without the key in front give themselves away at once
def test_every_walk_meets_every_row_once_in_the_one_order(order_by: OrderBy, fleet: list[Shape], seed: int):
    run(everywhere(built(fleet, seed), order_by, drawn(seed)))


async def to_the_end(walker: Walker, *, after: str | None = None) -> list[Edge]:
    """A walk forward with nothing said of what it meets but that it goes on in order, repeats nothing, and ends."""
    met: list[Edge] = []
    for step in count():
        assert step < 300, "a walk must end"
        page = await walker.page(walker.size(), after=after)
        met += page.edges
        if not page.has_next_page:
            break
        assert page.edges, "a page that promises more must lead there"
        after = page.end_cursor
    assert all(one.key < other.key for one, other in pairwise(met))
    return met


async def misled(adapters: Sequence[Listed], order_by: OrderBy, rng: random.Random) -> None:
    where, meets = rng.choice(FILTERS)
    whole = expected(adapters, order_by, meets)
    max_age = rng.choice((0.0, 1000.0))
    walker = Walker(instances_of(*adapters), order_by, rng, where=where, counts=False, max_age=max_age)
    walker.tolerates = True
    met = ids_of(await to_the_end(walker))
    assert met == whole or (walker.told and len(met) < len(whole)), "a row too few is told"
    walker.tolerates = False
    await forward(walker, whole)  # whatever there was to notice has been noticed
    walker.counts = True
    await forward(walker, whole)
    await backward(walker, whole)


@EVERY_ORDER
@few(8)
@given(shapes(*DISHONEST, honest), SEEDS)
def test_an_upstream_with_an_order_of_its_own_costs_the_first_walk_no_row_without_a_word(
    order_by: OrderBy, fleet: list[Shape], seed: int
):
    run(misled(built(fleet, seed), order_by, drawn(seed)))


@EVERY_ORDER
@few(4)
@given(shapes(honest, None), SEEDS)
def test_rows_that_are_sent_twice_are_met_once(order_by: OrderBy, fleet: list[Shape], seed: int):
    adapters = built(fleet, seed)
    for adapter in adapters:
        adapter.doubles = True
        adapter.page = max(2, adapter.page)  # a page of nothing new would be the sign of a list that goes in circles
    run(everywhere(adapters, order_by, drawn(seed)))


@EVERY_ORDER
@few(4)
@given(shapes(honest, None), SEEDS)
def test_an_upstream_that_gives_the_same_rows_whichever_list_is_asked_for_has_each_once(
    order_by: OrderBy, fleet: list[Shape], seed: int
):
    adapters = built(fleet, seed)
    for adapter in adapters:
        adapter.lists = dict.fromkeys(adapter.lists, adapter.rows)
    where = [each for each in FILTERS if each[0].workspace_id is None]
    run(everywhere(adapters, order_by, drawn(seed), where))


@EVERY_ORDER
@few(4)
@given(shapes(honest, *DISHONEST, None), SEEDS)
def test_an_upstream_that_repeats_its_second_page_for_ever_comes_to_an_end(
    order_by: OrderBy, fleet: list[Shape], seed: int
):
    adapters = built(fleet, seed)
    whole = {row.id for adapter in adapters for row in adapter.rows}
    for adapter in adapters:
        adapter.repeats = True

    async def walks() -> None:
        rng = drawn(seed)
        walker = Walker(instances_of(*adapters), order_by, rng, counts=False, tolerates=True)
        assert set(ids_of(await to_the_end(walker))) <= whole
        # What there is of such lists is their first two pages.
        for adapter in adapters:
            adapter.lists = {part: rows[: 2 * adapter.page] for part, rows in adapter.lists.items()}
        walker.counts = True
        there = expected(adapters, order_by, lambda _: True)
        assert ids_of(await forward(walker, there)) == ids_of(await backward(walker, there))

    run(walks())


async def moving(adapters: Sequence[Listed], order_by: OrderBy, rng: random.Random, *, counts: bool) -> None:
    """A walk in which rows appear and vanish between any two pages, and in one of them an instance is gone."""
    stay = {row.id for adapter in adapters for row in adapter.rows if rng.random() < 0.6}
    come_and_go = [row for adapter in adapters for row in adapter.rows if row.id not in stay]
    gone = rng.choice([None, *adapters])
    walker = Walker(instances_of(*adapters), order_by, rng, counts=counts, max_age=0.0)
    met: list[Edge] = []
    after: str | None = None
    goes_on = True
    while goes_on:
        for row in rng.sample(come_and_go, min(3, len(come_and_go))):
            toggle(next(each for each in adapters if each.instance == row.instance), row, rng)
        page = await walker.page(rng.choice((1, 2, 3)), after=after)
        met += page.edges
        after, goes_on = page.end_cursor or after, page.has_next_page
        if gone is not None and len(met) > 3:
            walker.instances = instances_of(*(each for each in adapters if each is not gone))
    assert all(one.key < other.key for one, other in pairwise(met)), "in order, and each once"
    left = {id for id in stay if gone is None or not connection_of(id, [gone])}
    assert (
        left <= set(ids_of(met)) <= {row.id for each in adapters for row in each.rows} | {row.id for row in come_and_go}
    )


def toggle(adapter: Listed, row: Connection, rng: random.Random) -> None:
    """Take the row away, or put it back somewhere."""
    rows = adapter.lists[row.workspace_id or ""]
    if row in rows:
        rows.remove(row)
    else:
        rows.insert(rng.randint(0, len(rows)), row)


def connection_of(id: str, adapters: Sequence[Listed]) -> bool:
    return any(row.id == id for adapter in adapters for rows in adapter.lists.values() for row in rows)


@EVERY_ORDER
@few(6)
@given(shapes(honest, None), SEEDS, st.booleans())
def test_rows_that_come_and_go_between_pages_cost_no_row_that_stays_and_repeat_none(
    order_by: OrderBy, fleet: list[Shape], seed: int, counts: bool
):
    run(moving(built(fleet, seed), order_by, drawn(seed), counts=counts))


async def now_and_then(adapters: Sequence[Listed], order_by: OrderBy, rng: random.Random, *, is_known: bool) -> None:
    """A walk in which some instances fail on some of the pages; they may have been read before that."""
    victims = [adapter for adapter in adapters if rng.random() < 0.6]
    walker = Walker(instances_of(*adapters), order_by, rng, counts=is_known, max_age=0.0, tolerates=True)
    if is_known:
        await walker.page(1)
    met: list[Edge] = []
    after: str | None = None
    goes_on = True
    while goes_on:
        for victim in victims:
            victim.failing = Unreachable("nobody answers") if rng.random() < 0.4 else None
        page = await walker.page(walker.size(), after=after)
        failed = {adapter.instance for adapter in victims if adapter.failing is not None}
        assert failed >= {failure.instance for failure in page.failures}
        met += page.edges
        after = page.end_cursor or after
        goes_on = page.has_next_page or bool(page.failures)
    assert all(one.key < other.key for one, other in pairwise(met)), "in order, and each once"
    # What an instance had when it was last read stands in for it; where it never was, its rows may be passed over.
    surely = [each for each in adapters if is_known or each not in victims]
    own = {each.instance for each in surely}
    assert [edge.node.id for edge in met if edge.node.instance in own] == expected(surely, order_by, lambda _: True)


@EVERY_ORDER
@few(6)
@given(shapes(honest, None), SEEDS, st.booleans())
def test_instances_that_fail_now_and_then_cost_no_row_of_others_nor_of_their_own_that_were_read_before(
    order_by: OrderBy, fleet: list[Shape], seed: int, is_known: bool
):
    run(now_and_then(built(fleet, seed), order_by, drawn(seed), is_known=is_known))


async def changed_fleet(adapters: Sequence[Listed], order_by: OrderBy, rng: random.Random) -> None:
    """Half of a walk over some instances, and the other half over others."""
    before, after = (rng.sample(list(adapters), rng.randint(1, len(adapters))) for _ in range(2))
    whole = in_order([row for each in adapters for row in each.rows], order_by)
    old = [row.id for row in whole if row.instance in {each.instance for each in before}]
    new = [row.id for row in whole if row.instance in {each.instance for each in after}]
    counts = rng.random() < 0.5
    met = await forward(Walker(instances_of(*before), order_by, rng, counts=counts), old)
    if not met:
        return
    edge = rng.choice(met)
    place = [row.id for row in whole].index(edge.node.id)
    behind = [id for id in new if id in {row.id for row in whole[: place + 1]}]
    walker = Walker(instances_of(*after), order_by, rng, counts=rng.random() < 0.5)
    await forward(walker, new, edge.cursor, len(behind))
    await backward(walker, new, edge.cursor, len([id for id in behind if id != edge.node.id]))


@EVERY_ORDER
@few(6)
@given(shapes(honest, None), SEEDS)
def test_a_cursor_goes_on_where_it_stood_among_other_instances(order_by: OrderBy, fleet: list[Shape], seed: int):
    run(changed_fleet(built(fleet, seed), order_by, drawn(seed)))


@EVERY_ORDER
async def test_the_cursor_of_every_edge_goes_on_right_after_it_and_right_before_it(order_by: OrderBy):
    shapes = [
        Shape((7, 5), 2, honest, False, False),
        Shape((9,), 4, None, True, True),
        Shape((6,), 3, honest, True, True),
    ]
    adapters = built(shapes, 7)
    whole = expected(adapters, order_by, lambda _: True)
    rng = drawn(7)
    for counts in (True, False):
        walker = Walker(instances_of(*adapters), order_by, rng, counts=counts)
        for at, edge in enumerate(await forward(walker, whole)):
            assert ids_of((await walker.page(4, after=edge.cursor)).edges) == whole[at + 1 : at + 5]
            assert ids_of((await walker.page(4, before=edge.cursor, last=True)).edges) == whole[max(0, at - 4) : at]
