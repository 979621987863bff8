"""Orders: total, the same both ways but for rows without the key, and by what people compare by."""

import datetime as dt
import sys
import unicodedata
from itertools import groupby, permutations
from types import SimpleNamespace
from typing import Literal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.model import (
    Connection,
    ConnectionStatus,
    Endpoint,
    Interval,
    Run,
    RunStatus,
    Schedule,
    ScheduleType,
    TimeUnit,
)
from adapters.port import Order, OrderField
from gateway import orders
from gateway.orders import FIELDS, JOINS, SEVERITY, TEXTS, OrderBy, folded
from tests.gateway.listed import HOUR, NOON, connection, drawn, some

NAME, LAST_RUN_AT = Order(OrderField.NAME), Order(OrderField.LAST_RUN_AT)
ORDERS = st.lists(
    st.builds(Order, st.sampled_from(OrderField), st.booleans()),
    min_size=1,
    max_size=3,
    unique_by=lambda order: order.field,
).map(tuple)


def names(*texts: str | None, down: bool = False) -> list[str | None]:
    """The texts in the order of rows with these names."""
    order_by = (Order(OrderField.NAME, down),)
    rows = [connection(native_id=str(number), name=text) for number, text in enumerate(texts)]
    return [row.name for row in sorted(rows, key=lambda row: orders.key(order_by, row))]


def test_names_compare_without_case_and_accents_and_only_then_by_letters():
    assert names("zebra", "Éclair", "eclair", "apple", "Apple", "Zebra") == [
        "Apple",
        "apple",
        "eclair",
        "Éclair",
        "Zebra",
        "zebra",
    ]


def test_descending_turns_all_of_that_round_but_leaves_those_without_a_name_last():
    texts = ("b", None, "B", "a", "", "á")
    assert names(*texts) == ["", "a", "á", "B", "b", None]
    assert names(*texts, down=True) == ["b", "B", "á", "a", "", None]


def test_equal_rows_come_by_instance_and_then_by_native_id_either_way():
    rows = [connection(instance, id, name="x") for instance in "ba" for id in ("2", "10", "1")]
    for down in (False, True):
        order_by = (Order(OrderField.NAME, down),)
        met = sorted(rows, key=lambda row: orders.key(order_by, row))
        assert [(row.instance, row.native_id) for row in met] == [
            (instance, id) for instance in "ab" for id in ("1", "10", "2")
        ]


def test_statuses_come_by_how_bad_they_are():
    assert list(SEVERITY) == sorted(ConnectionStatus, key=SEVERITY.__getitem__)
    assert set(SEVERITY) == set(ConnectionStatus)
    assert next(iter(SEVERITY)) is ConnectionStatus.HEALTHY
    assert list(SEVERITY)[-2:] == [ConnectionStatus.DEGRADED, ConnectionStatus.FAILING]


def test_an_end_is_called_by_its_name_or_else_by_its_type():
    assert orders.label(None) is None
    assert orders.label(Endpoint()) is None
    assert orders.label(Endpoint(type="S3")) == "S3"
    assert orders.label(Endpoint(name="", type="S3")) == "S3"
    assert orders.label(Endpoint(name="Lake", type="S3")) == "Lake"


def test_the_longest_overdue_comes_first_going_down():
    hourly = Schedule(type=ScheduleType.BASIC, every=Interval(units=1, time_unit=TimeUnit.HOURS), human_text="")

    def due(hours_ago: int, id: str) -> Connection:
        run = Run(status=RunStatus.SUCCEEDED, started_at=NOON - hours_ago * HOUR)
        return connection(native_id=id, schedule=hourly, last_run=run)

    rows = [due(2, "two"), connection(native_id="never"), due(9, "nine"), due(5, "five")]
    for down, expected in (True, ["nine", "five", "two", "never"]), (False, ["two", "five", "nine", "never"]):
        order_by = (Order(OrderField.OVERDUE, down),)
        ranked = orders.ranked(order_by, rows)
        assert [rows[at].native_id for at in ranked] == expected


@given(ORDERS, st.integers(0, 2**32))
def test_ranking_and_keys_are_two_ways_to_the_same_total_order(order_by: OrderBy, seed: int):
    rng = drawn(seed)
    rows = [some(rng, "a", f"{number:x}") for number in rng.sample(range(100), 20)]
    ranked = [rows[at] for at in orders.ranked(order_by, rows)]
    assert ranked == sorted(rows, key=lambda row: orders.key(order_by, row))
    keys = [orders.key(order_by, row) for row in ranked]
    assert all(one < other for at, one in enumerate(keys) for other in keys[at + 1 :]), "no two are equal"
    assert not any(other < one for at, one in enumerate(keys) for other in keys[at + 1 :])


@given(ORDERS, st.integers(0, 2**32))
def test_rows_sort_alike_where_their_keys_are_the_same(order_by: OrderBy, seed: int):
    rng = drawn(seed)
    for _ in range(20):
        one, other = some(rng, "a", "f"), some(rng, "a", "f")
        assert orders.sorts_alike(order_by, one, other) == (orders.key(order_by, one) == orders.key(order_by, other))
        assert orders.sorts_alike(order_by, one, one)
        assert not orders.sorts_alike(order_by, one, msgspec.structs.replace(one, native_id="e"))


@given(ORDERS, st.integers(0, 2**32))
def test_values_are_enough_to_find_the_place_of_a_row(order_by: OrderBy, seed: int):
    row = some(drawn(seed), "a", "1")
    told = orders.values(order_by, row)
    assert orders.fits(order_by, told)
    assert orders.key_of(order_by, told, "a", "1") == orders.key(order_by, row)


@pytest.mark.parametrize("field", OrderField)
def test_every_field_is_read_as_a_text_or_a_number(field: OrderField):
    kinds = {type(FIELDS[field](some(drawn(seed), "a", "1"))) for seed in range(200)} - {type(None)}
    assert kinds == ({str} if field in TEXTS else {int})
    assert set(JOINS) <= TEXTS


def test_what_cannot_be_values_of_rows_does_not_fit():
    order_by = (NAME, LAST_RUN_AT)
    assert orders.fits(order_by, ["x", 1])
    assert orders.fits(order_by, [None, None])
    for wrong in (["x"], ["x", 1, 2], [1, "x"], ["x", True], ["x", 1.0], [b"x", 1], []):
        assert not orders.fits(order_by, wrong), wrong


def test_moments_are_told_to_the_microsecond():
    rows = [
        connection(native_id=str(number), created_at=NOON + dt.timedelta(microseconds=number))
        for number in (3, -1, 0, 2)
    ]
    ranked = orders.ranked((Order(OrderField.CREATED_AT),), rows)
    assert [rows[at].native_id for at in ranked] == ["-1", "0", "2", "3"]


def test_texts_tell_orders_apart():
    several = [
        order for size in (1, 2) for order in permutations([NAME, LAST_RUN_AT, Order(OrderField.NAME, True)], size)
    ]
    assert len({orders.text_of(order_by) for order_by in several}) == len(several)


@given(st.text())
@example("İstanbul")
@example("\u0391\u0399 \u1fb3")
@example("ﬁnance")
def test_folding_twice_is_folding_once(text: str):
    assert folded(folded(text)) == folded(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ünïcode", "unicode"),
        ("STRASSE", "straße"),
        ("ﬁnance", "Finance"),
        ("Ł", "ł"),
        ("Ångström", "angstrom"),
        ("\uff21\uff22\uff23", "abc"),
    ],
)
def test_case_accents_and_forms_of_letters_are_folded_away(one: str, other: str):
    assert folded(one) == folded(other)


def test_no_accent_is_overlooked():
    accents = [letter for letter in map(chr, range(sys.maxunicode + 1)) if unicodedata.combining(letter)]
    assert len(accents) > 900
    assert [accent for accent in accents if folded(f"→a{accent}") != "→a"] == []


RUNS = st.lists(
    st.text(st.characters(categories=["Mn", "Mc", "Lm"]), max_size=100) | st.text(max_size=10), max_size=5
).map("".join)


@given(RUNS)
@example("a" + "\u0315\u0300" * 100)
@example("\u0f73\u0f75\u0f81" * 40)
@example("\uff9e" * 99 + "é\u0344" * 40)
def test_what_is_long_is_folded_as_what_is_short(text: str):
    parts = unicodedata.normalize("NFKD", text)
    assert folded(text) == "".join(part for part in parts if not unicodedata.combining(part)).casefold()
    assert folded(folded(text)) == folded(text)


@pytest.mark.parametrize("run", ["\u0315\u0300", "\u0f73", "\u0344", "\uff9e\uff9f", "\U0001e8d0\u0300"])
def test_no_long_run_of_accents_is_ever_sorted(run: str, monkeypatch: pytest.MonkeyPatch):
    """Decomposing takes the square of its length: a name of a few kilobytes would hold everybody up."""
    sorted_at_once: list[int] = []

    def normalize(form: Literal["NFKD"], text: str) -> str:
        parts = unicodedata.normalize(form, text)
        kinds = groupby(parts, key=lambda part: unicodedata.combining(part) > 0)
        sorted_at_once.extend(len(list(accents)) for is_accent, accents in kinds if is_accent)
        return parts

    monkeypatch.setattr(orders, "unicodedata", SimpleNamespace(normalize=normalize, combining=unicodedata.combining))
    for text in (run * 1000, "a" + run * 1000, f"é{run * 40}" * 20):
        assert set(folded(text)) <= {"a", "e"}
    assert max(sorted_at_once, default=0) <= 128


def test_no_more_letters_are_remembered_than_one_script_has():
    for start in range(0x10000, 0x20000, 64):
        text = "".join(map(chr, range(start, start + 64)))
        assert len(folded(text)) >= sum(not unicodedata.combining(letter) for letter in text)
        assert len(orders._BARE) <= 4096  # pyright: ignore[reportPrivateUsage]


def test_different_letters_stay_different():
    assert len({folded(text) for text in ("a", "b", "会計", "会", "ω", "1", "_", "🚀", "")}) == 9
