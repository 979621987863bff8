"""Cursors: what goes in comes out, and whatever else comes in is the client's mistake."""

import base64
from typing import Any

import msgspec
import pytest
from graphql import GraphQLError
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.port import Order, OrderField
from gateway import cursors, orders
from gateway.cursors import Cursor
from gateway.orders import TEXTS, OrderBy

BY_NAME: OrderBy = (Order(OrderField.NAME),)
WORDS = st.text(st.characters(exclude_categories=["Cs"]))
ORDERS = st.lists(st.builds(Order, st.sampled_from(OrderField), st.booleans()), min_size=1, max_size=3).map(tuple)
PLACES = st.dictionaries(WORDS, st.dictionaries(WORDS, st.none() | WORDS, max_size=3), max_size=3)


def values(order_by: OrderBy) -> st.SearchStrategy[list[Any]]:
    """What rows can have in this order."""
    microseconds = st.integers(-(2**62), 2**62)
    each = (st.none() | (WORDS if order.field in TEXTS else microseconds) for order in order_by)
    return st.tuples(*each).map(list)


CURSORS = ORDERS.flatmap(lambda order_by: st.builds(Cursor, st.just(order_by), values(order_by), WORDS, WORDS, PLACES))


def written(inside: object) -> str:
    """A cursor with this inside it."""
    return base64.urlsafe_b64encode(msgspec.json.encode(inside)).rstrip(b"=").decode()


def refused(text: str, order_by: OrderBy = BY_NAME) -> str:
    """The message with which a cursor is refused."""
    with pytest.raises(GraphQLError) as caught:
        cursors.decode(text, order_by)
    assert code_of(caught.value) == "BAD_USER_INPUT"
    return caught.value.message


def code_of(mistake: GraphQLError) -> object:
    return (mistake.extensions or {})["code"]


def assert_cursor_or_mistake(text: str, order_by: OrderBy = BY_NAME) -> None:
    """Nothing else may come of it; and a cursor must be of use, whatever is in it."""
    cursor, code = None, None
    try:
        cursor = cursors.decode(text, order_by)
    except GraphQLError as mistake:
        code = code_of(mistake)
    assert code in (None, "BAD_USER_INPUT")
    if cursor is not None:
        assert not cursor.key < cursor.key
        assert cursors.decode(cursors.encode(cursor), order_by) == cursor


@given(CURSORS)
def test_a_cursor_decodes_to_what_it_was_made_of(cursor: Cursor):
    text = cursors.encode(cursor)
    assert cursors.decode(text, cursor.order_by) == cursor
    assert text.isascii()
    assert not set(text) & set("+/= "), "it can stand in a URL"


@given(CURSORS, ORDERS)
def test_a_cursor_of_another_order_is_refused_and_says_so(cursor: Cursor, other: OrderBy):
    if other != cursor.order_by:
        assert "orderBy" in refused(cursors.encode(cursor), other)


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
@example("\ud800")
@example("é")
@example("=" * 5)
def test_any_text_is_a_cursor_or_the_clients_mistake(text: str):
    assert_cursor_or_mistake(text)


@given(CURSORS, st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_mutation_of_a_cursor_is_a_cursor_or_the_clients_mistake(cursor: Cursor, changes: list[tuple[int, int]]):
    text = cursors.encode(cursor)
    body = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    for place, value in changes:
        body[place % len(body)] = value
    assert_cursor_or_mistake(base64.urlsafe_b64encode(bytes(body)).decode().rstrip("="), cursor.order_by)


@given(CURSORS, st.integers(0, 500))
def test_a_cursor_cut_short_is_the_clients_mistake(cursor: Cursor, length: int):
    text = cursors.encode(cursor)
    if length < len(text):
        refused(text[:length], cursor.order_by)


GOOD: list[Any] = [2, "NAME", ["alpha"], "a", "1", {"a": {"p": "3", "q": None}}]


def changed(place: int, value: object) -> list[Any]:
    """The good cursor with something else at a place."""
    return [*GOOD[:place], value, *GOOD[place + 1 :]]


def test_the_good_cursor_of_the_tests_below_is_one():
    cursor = cursors.decode(written(GOOD), BY_NAME)
    assert cursor == Cursor(BY_NAME, ["alpha"], "a", "1", {"a": {"p": "3", "q": None}})
    assert cursors.decode(written(GOOD[:5]), BY_NAME).places == {}


@pytest.mark.parametrize(
    "inside",
    [
        [],
        {},
        None,
        "NAME",
        2,
        GOOD[:4],
        [*GOOD, "more"],
        {"version": 2, "order": "NAME", "values": ["alpha"], "instance": "a", "native_id": "1"},
        changed(0, 1),
        changed(0, 3),
        changed(0, "2"),
        changed(0, True),
        changed(1, None),
        changed(2, []),
        changed(2, ["alpha", "beta"]),
        changed(2, [1]),
        changed(2, [True]),
        changed(2, [1.5]),
        changed(2, [["alpha"]]),
        changed(2, [{"alpha": 1}]),
        changed(2, {"0": "alpha"}),
        changed(2, "alpha"),
        changed(3, None),
        changed(3, 1),
        changed(4, None),
        changed(4, ["1"]),
        changed(5, []),
        changed(5, None),
        changed(5, {"a": "3"}),
        changed(5, {"a": {"p": 3}}),
        changed(5, {"a": {"p": ["3"]}}),
        changed(5, {"a": None}),
    ],
    ids=str,
)
def test_what_is_not_inside_a_cursor_is_refused(inside: object):
    assert refused(written(inside)) == "This is not a cursor of this list."


@pytest.mark.parametrize("value", ["2026", 1.0, True, 2**200, [1], {}], ids=str)
def test_a_moment_must_be_a_number(value: object):
    order_by = (Order(OrderField.LAST_RUN_AT),)
    if value == 2**200:  # more digits than JSON numbers are written with here
        body = b'[2,"LAST_RUN_AT",[%d],"a","1"]' % 2**200
        assert_cursor_or_mistake(base64.urlsafe_b64encode(body).decode(), order_by)
    else:
        refused(written([2, "LAST_RUN_AT", [value], "a", "1"]), order_by)
    assert cursors.decode(written([2, "LAST_RUN_AT", [-5], "a", "1"]), order_by).values == [-5]
    assert cursors.decode(written([2, "LAST_RUN_AT", [None], "a", "1"]), order_by).values == [None]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b'[2,"NAME",["\xff"],"a","1"]',
        b'[2,"NAME",["\\ud800"],"a","1"]',
        b"[" * 50_000,
        b'[2,"NAME",[' + b"[" * 50_000 + b"]" * 50_000 + b'],"a","1"]',
        b'[2,"NAME",["alpha"],"a","1",{"a":' + b'{"a":' * 50_000,
        b'[2,"NAME",["alpha"],"a","1"] ...',
        b"NaN",
    ],
    ids=lambda body: str(body[:24]),
)
def test_bodies_that_are_no_json_or_too_deep_are_refused(body: bytes):
    refused(base64.urlsafe_b64encode(body).decode().rstrip("="))


@pytest.mark.parametrize("text", ["", " ", "💥", "a", "####", "é" * 10, "\ud800", "\x00", "W10", "A" * 100_000])
def test_texts_that_are_no_base64_are_refused(text: str):
    refused(text)


def test_a_cursor_stands_where_its_row_stands():
    cursor = Cursor(BY_NAME, ["Älpha"], "a", "1")
    assert cursor.key == orders.key_of(BY_NAME, ["Älpha"], "a", "1")
