"""Rows found where they stood: what is found is what reading the whole body gives, or nothing is."""

from array import array
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import decode, digests
from adapters.layout import BLOCK, LOOKS, Changed, Layout

HEAD, TAIL = b'{"total":40,"rows":[', b'],"cursor":"},{"}'
ROWS = [{"id": f"{number}", "name": "x" * (number % 7), "of": {"a": [1, {"b": "},"}]}} for number in range(40)]

TEXTS = st.text(st.sampled_from('a{}[],:"\\é\u2028😀'), max_size=12)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.fixed_dictionaries({"id": TEXTS, "name": VALUES})


def body_of(rows: Sequence[Any], head: bytes = HEAD, tail: bytes = TAIL) -> bytes:
    return head + b",".join(map(msgspec.json.encode, rows)) + tail


def laid(body: bytes, key: str = "rows") -> Layout | None:
    """The layout of a body, whose rows stand under this key."""
    items = msgspec.json.decode(msgspec.json.decode(body, type=dict[str, msgspec.Raw])[key], type=list[msgspec.Raw])
    return Layout.of(body, items, array("Q", map(digests.of_part, items)))


def known(body: bytes) -> Layout:
    layout = laid(body)
    assert layout is not None
    return layout


def found(before: bytes, after: bytes) -> Changed | None:
    return known(before).changed(after)


def with_changes(rows: Sequence[Any], changes: dict[int, Any]) -> list[Any]:
    return [changes.get(place, row) for place, row in enumerate(rows)]


def is_json(text: memoryview) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


@given(
    st.lists(OBJECTS, min_size=3 * BLOCK, max_size=40),
    st.dictionaries(st.integers(0, 39), OBJECTS, max_size=3),
)
def test_what_is_found_is_what_reading_everything_gives(rows: list[Any], changes: dict[int, Any]):
    before, after = body_of(rows), body_of(with_changes(rows, changes))
    layout = laid(before)
    changed = layout and layout.changed(after)
    # What is told to be a row and is no JSON is found out by who reads it, and all of the body is read.
    if changed is not None and all(map(is_json, changed.rows.values())):
        there = {place: bytes(row) for place, row in changed.rows.items()}
        now = with_changes(rows, changes)
        assert there == {place: msgspec.json.encode(now[place]) for place in there}
        assert [row for place, row in enumerate(now) if place not in there] == [
            row for place, row in enumerate(rows) if place not in there
        ]
        assert changed.layout == laid(after), "it can be gone on from as from one that was just made"


@pytest.mark.parametrize("places", [[0], [39], [7], [8], [0, 39], [3, 5], [0, 7, 9, 38]])
@pytest.mark.parametrize("name", ["y", "yy", "", "longer than any of them was", "},{", 'a "quoted" \\', "é😀"])
def test_few_changes_are_found_wherever_they_are_and_whatever_they_are(places: list[int], name: str):
    changes = {place: {**ROWS[place], "name": f"{name}{place}"} for place in places}
    changed = found(body_of(ROWS), body_of(with_changes(ROWS, changes)))
    assert changed is not None
    assert {place: msgspec.json.decode(row) for place, row in changed.rows.items()} == changes


def test_of_changes_side_by_side_those_are_found_that_are_as_long_as_they_were():
    changes = {place: {**ROWS[place], "name": "y" * len(ROWS[place]["name"])} for place in (3, 4, 5)}
    changed = found(body_of(ROWS), body_of(with_changes(ROWS, changes)))
    assert changed is not None
    assert {place: msgspec.json.decode(row) for place, row in changed.rows.items()} == changes


def test_nothing_is_looked_for_where_nothing_changed():
    assert found(body_of(ROWS), body_of(ROWS)) == Changed({}, known(body_of(ROWS)))


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (body_of(ROWS[:-1]), "one row fewer"),
        (body_of([*ROWS, ROWS[0]]), "one row more"),
        (body_of([ROWS[1], ROWS[0], *ROWS[2:]][::-1]), "another order"),
        (body_of(with_changes(ROWS, {place: {"id": "z"} for place in range(6)})), "more than few"),
        (body_of(ROWS, head=b'{"total":41,"rows":['), "something before them"),
        (body_of(ROWS, tail=b'],"cursor":""}'), "something after them"),
        (body_of(ROWS, tail=b"]}"), "less after them"),
        (body_of(ROWS)[:-40], "cut off"),
        (body_of(ROWS).replace(b"},{", b"}, {"), "spaces between them"),
        (body_of(with_changes(ROWS, {3: 42})), "a row that is no object"),
        (body_of(with_changes(ROWS, {39: "}"})), "a last row that is none"),
        (body_of(with_changes(ROWS, {3: {"id": "zz"}, 4: {"id": "zzz"}})), "two side by side of other lengths"),
        (body_of(with_changes(ROWS, {3: {"of": [{}] * (LOOKS + 1)}, 9: {}})), "one that may end in many places"),
        (b"", "nothing at all"),
        (HEAD, "nothing but its beginning"),
    ],
)
def test_where_there_is_more_to_it_nothing_is_told(after: bytes, why: str):
    assert found(body_of(ROWS), after) is None, why


def test_what_is_no_json_is_told_as_a_row_only_where_it_stands_alone():
    changed = found(body_of(ROWS), body_of(ROWS).replace(b'"id":"5"', b'"id":5"5'))
    assert changed is not None
    (row,) = changed.rows.values()
    assert decode.row(row, dict) is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (body_of(ROWS[: BLOCK - 1]), "few rows"),
        (body_of(ROWS, head=HEAD[:-8] + b'"more":"%s","rows":[' % (b"x" * 9000)), "more beside them than in them"),
        (body_of(ROWS).replace(b"},{", b"} , {"), "spaces between them"),
        (body_of([42, *ROWS]), "a row that is no object"),
    ],
)
def test_rows_that_stand_in_another_way_have_no_layout(body: bytes, why: str):
    assert laid(body) is None, why


def test_rows_that_stand_there_twice_are_not_taken_for_each_other():
    twice = body_of(ROWS, head=body_of(ROWS, head=b'{"others":[', tail=b'],"rows":['))
    assert laid(twice) is None
    assert laid(twice, "others") is None
