"""How deep a value may be nested to be shown, and texts without what is deeper."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import nesting
from adapters.nesting import DEEPEST

TEXTS = st.text(st.sampled_from('[]{}"\\\\,:a\u0000é'))
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20
)


def nested(levels: int, inner: Any = 1) -> Any:
    for level in range(levels):
        inner = [inner, {}] if level % 2 else {"a": inner, "b": 1}
    return inner


def written(levels: int) -> bytes:
    return b'{"a":[' * (levels // 2) + b"]}" * (levels // 2)


@pytest.mark.parametrize("levels", [0, 1, 2, DEEPEST - 1, DEEPEST])
def test_what_is_shown_is_not_deep(levels: int):
    assert not nesting.is_deep(nested(levels))


@pytest.mark.parametrize("levels", [DEEPEST + 1, DEEPEST + 2, 900, 100_000])
def test_what_is_deeper_is(levels: int):
    assert nesting.is_deep(nested(levels))
    assert nesting.is_deep([1, {"x": nested(levels)}, []])


@given(VALUES)
def test_nothing_is_cut_from_what_is_not_deep(value: Any):
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert nesting.cut(text.encode()) == text.encode()


@given(VALUES, st.integers(DEEPEST, 3_000))
def test_what_stands_beside_something_deep_is_left(value: Any, levels: int):
    beside = json.dumps(value).encode()
    text = b"[%b,%b,%b]" % (beside, written(levels), beside)
    left = json.loads(nesting.cut(text))
    assert [left[0], left[2]] == [value, value]
    assert nesting.is_deep(left[1]) == (levels > DEEPEST + 1)


@given(st.binary() | TEXTS.map(str.encode))
def test_what_is_no_json_stays_none(text: bytes):
    for broken in (text, b"[" * 400 + text, written(400)[:1500] + text):
        try:
            json.loads(broken)
        except (ValueError, RecursionError):
            with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
                json.loads(nesting.cut(broken))


def test_a_text_without_an_end_is_gone_through_once():
    """Each quote could begin a text that has none: to look for it from each would take the square of their number."""
    text = b"[" * 300 + b'"' + b'\\"' * 1_000_000
    assert nesting.cut(text) == text
