"""Rows in memory: masks, counts, and walks between any two places."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.model import Connection
from adapters.port import Order, OrderField
from gateway import orders, tables
from gateway.orders import DEFAULT, OrderBy
from gateway.tables import Table
from tests.gateway.listed import connection, drawn, some

SEEDS = st.integers(0, 2**32)
ORDERS: tuple[OrderBy, ...] = (
    DEFAULT,
    (Order(OrderField.NAME, True),),
    (Order(OrderField.STATUS), Order(OrderField.LAST_RUN_AT, True)),
)


def rows_of(rng: random.Random, count: int, instance: str = "a") -> list[Connection]:
    return [some(rng, instance, f"{number:x}") for number in rng.sample(range(10_000), count)]


def shown(table: Table, mask: int, order_by: OrderBy = DEFAULT, **bounds: Any) -> list[str]:
    """The native ids that a walk gives; each with the key of its row."""
    walked = table.span(order_by, mask, **bounds)
    keyed = table.keyed(order_by, walked)
    assert keyed == [(orders.key(order_by, row), row) for row in walked]
    return [row.native_id for row in walked]


def flags(table: Table, mask: int) -> list[bool]:
    """Which rows a mask holds, told by a walk over each of them."""
    held = {row.native_id for row in table.span(DEFAULT, mask)}
    return [row.native_id in held for row in table.rows]


def test_an_empty_table_has_nothing():
    table = Table("a", ())
    assert (len(table), table.all, tables.counted(table.all)) == (0, 0, 0)
    assert shown(table, table.all) == []
    assert table.counts([], table.all) == Counter()
    assert table.mask([]) == 0


@pytest.mark.parametrize("count", [1, 7, 8, 9, 255, 256, 257, 1000])
def test_a_mask_holds_the_rows_at_whose_place_there_is_something_true(count: int):
    rng = drawn(count)
    table = Table("a", rows_of(rng, count))
    hits = [rng.choice(["yes", 1, (0,), "", 0, None, ()]) for _ in range(count)]
    mask = table.mask(hits)
    assert flags(table, mask) == [bool(hit) for hit in hits]
    assert tables.counted(mask) == sum(map(bool, hits))


@given(SEEDS, st.integers(0, 60))
def test_masks_are_joined_like_sets(seed: int, count: int):
    rng = drawn(seed)
    table = Table("a", rows_of(rng, count))
    one, other = ([rng.random() < 0.5 for _ in range(count)] for _ in range(2))
    a, b = table.mask(one), table.mask(other)
    assert flags(table, a & b) == [x and y for x, y in zip(one, other, strict=True)]
    assert flags(table, a | b) == [x or y for x, y in zip(one, other, strict=True)]
    assert flags(table, a ^ table.all) == [not x for x in one]
    assert tables.counted(table.all) == count
    assert table.mask([True] * count) == table.all


@given(SEEDS, st.integers(0, 40))
def test_counts_are_of_the_rows_of_a_mask_that_have_a_value(seed: int, count: int):
    rng = drawn(seed)
    table = Table("a", rows_of(rng, count))
    column = table.column("environment", lambda row: row.environment)
    hits = [rng.random() < 0.5 for _ in range(count)]
    held = [row.environment for row, hit in zip(table.rows, hits, strict=True) if hit]
    assert table.counts(column, table.mask(hits)) == Counter(text for text in held if text is not None)
    assert table.counts(column, table.all) == Counter(row.environment for row in table.rows if row.environment)


@settings(deadline=None)
@given(SEEDS, st.integers(0, 40), st.sampled_from(ORDERS))
def test_walks_give_what_stands_between_their_bounds(seed: int, count: int, order_by: OrderBy):
    rng = drawn(seed)
    table = Table("a", rows_of(rng, count))
    hits = [rng.random() < 0.7 for _ in range(count)]
    mask = rng.choice([table.mask(hits), table.all])
    held = [row for row, hit in zip(table.rows, hits, strict=True) if hit or mask == table.all]
    whole = sorted(held, key=lambda row: orders.key(order_by, row))
    # Bounds may be rows of the table, of the mask, or of neither.
    places = [orders.key(order_by, row) for row in [*table.rows, *rows_of(rng, 3), *rows_of(rng, 2, "b")]]
    after, since, before = (rng.choice([None, *places]) for _ in range(3))

    def within(low: Any, low_is_in: bool, high: Any) -> list[str]:
        keys = [(orders.key(order_by, row), row.native_id) for row in whole]
        above = [(key, id) for key, id in keys if low is None or low < key or (low_is_in and low == key)]
        return [id for key, id in above if high is None or key < high]

    assert shown(table, mask, order_by) == within(None, False, None)
    assert shown(table, mask, order_by, after=after, before=before) == within(after, False, before)
    assert shown(table, mask, order_by, since=since, before=before) == within(since, True, before)
    backward = shown(table, mask, order_by, after=after, before=before, backward=True)
    assert backward == within(after, False, before)[::-1]


def test_bounds_the_wrong_way_round_hold_nothing():
    table = Table("a", [connection(native_id=str(number), name=f"{number}") for number in range(9)])
    keys = [orders.key(DEFAULT, row) for row in table.rows]
    for backward in (False, True):
        assert shown(table, table.all, after=keys[6], before=keys[3], backward=backward) == []
        assert shown(table, table.all, after=keys[3], before=keys[3], backward=backward) == []
        assert shown(table, table.all, after=keys[3], before=keys[4], backward=backward) == []
        assert shown(table, table.all, since=keys[3], before=keys[4], backward=backward) == ["3"]


def test_a_column_is_read_once():
    table = Table("a", rows_of(drawn(1), 5))
    read: list[Connection] = []

    def name(row: Connection) -> str | None:
        read.append(row)
        return row.name

    assert table.column("name", name) is table.column("name", name)
    assert read == table.rows


def test_what_is_kept_is_made_once_and_bounded():
    table = Table("a", ())
    made: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        return number

    for number in [*range(10), *range(10)]:
        assert table.kept(number, lambda number=number: make(number)) == number
    assert made == list(range(10))
    for number in range(10, 1000):
        table.kept(number, lambda number=number: make(number))
        table.kept(0, lambda: make(0))  # what is asked for again and again stays
    assert made == list(range(1000))
    table.kept(1, lambda: make(1))
    assert made[-1] == 1, "what is not asked for does not"


def ids_without(found: Sequence[Table]) -> list[list[str]]:
    masks = tables.without(found)
    return [sorted(row.native_id for row in table.span(DEFAULT, masks[table])) for table in found]


def test_rows_that_several_lists_have_are_in_the_first_of_them():
    one, two, three = (Table("a", [connection(native_id=id, name=id) for id in text]) for text in ("abc", "cde", "aef"))
    assert ids_without([one, two, three]) == [["a", "b", "c"], ["d", "e"], ["f"]]
    assert ids_without([three, two, one]) == [["a", "e", "f"], ["c", "d"], ["b"]]
    assert ids_without([one]) == [["a", "b", "c"]]
    assert ids_without([]) == []


@given(st.lists(st.lists(st.integers(0, 20), max_size=12, unique=True), max_size=5))
def test_every_row_of_several_lists_is_in_exactly_one_of_their_masks(lists: list[list[int]]):
    found = [Table("a", [connection(native_id=str(number)) for number in numbers]) for numbers in lists]
    met = [id for ids in ids_without(found) for id in ids]
    assert sorted(met) == sorted({str(number) for numbers in lists for number in numbers})
