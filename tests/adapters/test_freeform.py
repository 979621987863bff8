"""Free-form maps: read once, masked, and whatever is no map costs only itself."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import freeform
from adapters.secret import MASK, masked_map

PLANT = "planted-secret-7f2e"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), lambda inner: st.lists(inner, max_size=3)
)


def raw(text: str | bytes) -> msgspec.Raw:
    return msgspec.Raw(text)


@given(st.dictionaries(st.text(), JSON))
def test_a_map_is_what_was_sent_with_credentials_masked(sent: dict[str, Any]):
    for _ in range(2):  # the second time it is known
        assert freeform.shown(raw(msgspec.json.encode(sent))) == masked_map(sent)


def test_rows_that_were_sent_the_same_share_it():
    assert freeform.shown(raw('{"period": "2026-Q3"}')) is freeform.shown(raw('{"period": "2026-Q3"}'))


def test_what_holds_a_credential_is_not_kept(monkeypatch: pytest.MonkeyPatch):
    kept: dict[bytes, dict[str, Any]] = {}
    monkeypatch.setattr(freeform, "_plain", kept)
    for text in (f'{{"password": "{PLANT}"}}', f'{{"url": "https://user:{PLANT}@example.com"}}'):
        assert PLANT not in str(freeform.shown(raw(text)))
    assert freeform.shown(raw(f'{{"note": "{"x" * 300}"}}')) is not None
    assert kept == {}


def test_no_more_is_kept_than_a_few_maps(monkeypatch: pytest.MonkeyPatch):
    kept: dict[bytes, dict[str, Any]] = {}
    monkeypatch.setattr(freeform, "_plain", kept)
    for number in range(5000):
        freeform.shown(raw(f'{{"row": {number}}}'))
        assert len(kept) <= 1024
    assert kept


@pytest.mark.parametrize("sent", ["null", '"a text"', "[1, 2]", "7", '{"a": "\\ud800', "{" * 100_000])
def test_what_is_no_map_is_none(sent: str):
    assert freeform.shown(raw(sent)) is None


def deep(levels: int) -> str:
    return '{"a":[' * (levels // 2) + "]}" * (levels // 2)


def test_what_is_nested_as_deep_as_is_shown_is_shown():
    assert freeform.shown(raw(deep(200))) == json.loads(deep(200))


@pytest.mark.parametrize("levels", [202, 300, 890, 940, 990, 1100, 200_000])
def test_what_is_nested_deeper_is_none(levels: int):
    assert freeform.shown(raw(deep(levels))) is None
    assert freeform.shown(raw(f'{{"b": 1, "token": "{PLANT}", "a": {deep(levels)}}}')) is None


def test_half_a_letter_costs_that_letter_alone():
    assert freeform.shown(raw(r'{"a": "cut \ud83d", "token": "x"}')) == {"a": "cut �", "token": MASK}


def test_bytes_that_are_no_text_make_it_none():
    assert freeform.shown(raw(b'{"a": "\xff"}')) is None
