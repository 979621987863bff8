"""A list that is read again: what was derived of it is taken on, and answers as if it were made anew."""

import gc
import random
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.model import Connection
from adapters.port import Order, OrderField
from gateway.filters import COLUMNS
from gateway.orders import DEFAULT, OrderBy
from gateway.tables import Table
from tests.gateway.listed import connection, drawn, some

ORDERS: tuple[OrderBy, ...] = (
    DEFAULT,
    (Order(OrderField.SOURCE, True), Order(OrderField.NAME, True)),
    (Order(OrderField.STATUS), Order(OrderField.LAST_RUN_AT, True)),
    (Order(OrderField.OVERDUE, True),),
)


def keyed(table: Table, order_by: OrderBy) -> list[tuple[Any, Connection]]:
    """All rows in order, each with its key."""
    return table.keyed(order_by, table.span(order_by, table.all))


def later(rng: random.Random, rows: list[Connection], share: float, time: int) -> list[Connection]:
    """The rows some time after: up to this share of them gone, as many changed, as many new, and some elsewhere."""
    count = round(share * len(rows))
    left = rng.sample(rows, len(rows) - rng.randint(0, count))
    if rng.random() < 0.5:
        left.sort(key=rows.index)
    for at in rng.sample(range(len(left)), min(count, len(left))):
        left[at] = some(rng, "a", left[at].native_id)
    for number in range(rng.randint(0, count)):
        left.insert(rng.randint(0, len(left)), some(rng, "a", f"new-{time}-{number}"))
    return left


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.5, 1.0])
@given(seed=st.integers(0, 2**32))
def test_a_list_that_was_read_again_answers_as_one_that_was_never_read_before(share: float, seed: int):
    rng = drawn(seed)
    rows = [some(rng, "a", f"{number:x}") for number in rng.sample(range(1000), rng.randint(0, 120))]
    table = Table("a", rows)
    for time in range(2):  # what was taken on is taken on again
        for order_by in rng.sample(ORDERS, 3):
            keyed(table, order_by)
        for name in rng.sample(sorted(COLUMNS), 8):
            table.column(name, COLUMNS[name])
        rows = later(rng, rows, share, time)
        table, anew = Table("a", rows, table), Table("a", rows)
        for order_by in ORDERS:
            assert keyed(table, order_by) == keyed(anew, order_by)
        for name, read in COLUMNS.items():
            assert table.column(name, read) == anew.column(name, read)


def test_only_rows_that_are_new_or_have_changed_are_looked_at_again():
    rows = [connection(native_id=str(number), name=f"{number}") for number in range(20)]
    read: list[str] = []

    def name(row: Connection) -> str | None:
        read.append(row.native_id)
        return row.name

    before = Table("a", rows)
    before.column("text", name)
    read.clear()
    changed, new = connection(native_id="3", name="three"), connection(native_id="20", name="20")
    table = Table("a", [new, *rows[:3], changed, *rows[5:]], before)
    assert table.column("text", name) == ["20", "0", "1", "2", "three", *map(str, range(5, 20))]
    assert read == ["20", "3"]


def test_the_table_before_is_left_as_it_was():
    rows = [connection(native_id=str(number), name=f"{number}") for number in range(9)]
    before = Table("a", rows)
    column, walked = before.column("name", lambda row: row.name), keyed(before, DEFAULT)
    after = Table("a", rows[1:], before)
    after.column("name", lambda row: row.name)
    assert after.span(DEFAULT, after.all) == rows[1:]
    assert before.column("name", lambda row: row.name) is column
    assert keyed(before, DEFAULT) == walked


def test_what_is_known_is_taken_on_from_a_table_before_others_that_nobody_used():
    rows = [connection(native_id=str(number), name=f"{number:02}") for number in range(40)]
    read: list[str] = []

    def name(row: Connection) -> str | None:
        read.append(row.native_id)
        return row.name

    used = Table("a", rows)
    used.column("text", name)
    keyed(used, DEFAULT)
    changed = [connection(native_id=str(number), name="99") for number in range(3)]
    table = used
    for number in range(3):
        rows = [*rows[:number], changed[number], *rows[number + 1 :]]
        table = Table("a", rows, table)
    read.clear()
    assert table.column("text", name) == ["99"] * 3 + [f"{number:02}" for number in range(3, 40)]
    assert read == ["0", "1", "2"]
    assert not table.is_sorted(DEFAULT)
    assert [row.native_id for _, row in keyed(table, DEFAULT)] == [*map(str, range(3, 40)), "0", "1", "2"]


@pytest.mark.parametrize("is_used", [True, False])
def test_tables_of_long_ago_are_not_held_by_those_that_came_after(is_used: bool):
    table = Table("a", [connection(native_id=str(number)) for number in range(5)])
    keyed(table, DEFAULT)
    earlier: list[weakref.ref[Table]] = []
    for number in range(20):
        earlier.append(weakref.ref(table))
        table = Table("a", [*table.rows[1:], connection(native_id=f"new-{number}")], table)
        if is_used:
            keyed(table, DEFAULT)
            table.column("name", COLUMNS["enabled"])
    gc.collect()
    assert sum(each() is not None for each in earlier) <= 1


def test_keys_of_rows_that_are_gone_are_forgotten():
    table = Table("a", [connection(native_id=str(number)) for number in range(100)])
    for time in range(20):
        keyed(table, DEFAULT)
        assert len(table.keys[DEFAULT]) <= 300
        table = Table("a", [connection(native_id=f"{time}-{number}") for number in range(100)], table)
    for number in range(100):
        field = tuple(OrderField)[number % len(OrderField)]
        keyed(table, (Order(field, number % 20 >= 10), *DEFAULT[: number % 3 and field is not OrderField.NAME]))
        assert len(table.keys) <= 8


def test_keys_of_rows_that_have_not_changed_are_those_of_before():
    rows = [connection(native_id=str(number), name=str(number)) for number in range(5)]
    before = Table("a", rows)
    known = keyed(before, DEFAULT)
    after = Table("a", [rows[0], connection(native_id="1", name="1"), *rows[2:]], before)
    same = [one is other for one, other in zip(known, keyed(after, DEFAULT), strict=True)]
    assert same == [True, False, True, True, True]
