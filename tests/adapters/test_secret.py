"""What is secret does not print, and what sounds secret in free-form data is masked."""

import copy
import json
import logging
import re
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.secret import _IN_TEXT, MASK, Secret, masked, masked_map, masked_text  # pyright: ignore[reportPrivateUsage]

PLANT = "hunter2plant"
SECRET = Secret(PLANT)


@pytest.mark.parametrize(
    "printed",
    [
        repr(SECRET),
        str(SECRET),
        f"{SECRET}",
        f"{SECRET!r:>40}",
        f"{SECRET!s:<40}",
        "{}".format(SECRET),  # noqa: UP032  another way in
        "%s %r" % (SECRET, SECRET),  # noqa: UP031  likewise
        repr({"a": [SECRET]}),
        repr((SECRET,)),
        repr(ValueError(SECRET)),
        str(ValueError(SECRET)),
    ],
)
def test_no_way_of_printing_shows_a_secret(printed: str):
    assert PLANT not in printed
    assert MASK in printed


@pytest.mark.parametrize(
    "write",
    [json.dumps, msgspec.json.encode, msgspec.to_builtins, orjson.dumps, lambda secret: format(secret, ">40"), vars],
)
def test_what_cannot_write_a_secret_says_so_without_showing_it(write: Callable[[Secret], Any]):
    with pytest.raises(TypeError) as raised:
        write(SECRET)
    assert PLANT not in str(raised.value)


def test_a_log_does_not_show_a_secret(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("tests").warning("with %s and %r", SECRET, SECRET, extra={"auth": SECRET})
    assert PLANT not in caplog.text


def test_only_reveal_gives_the_value():
    assert SECRET.reveal() == PLANT
    assert copy.copy(SECRET).reveal() == PLANT


def test_secrets_are_equal_by_value_and_to_nothing_else():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


SECRET_NAMES = (
    "password",
    "Password",
    "db_password",
    "passwd",
    "passphrase",
    "executionUrl",
    "execution_body",
    "pass",
    "secret",
    "client_secret",
    "clientSecret",
    "token",
    "accessToken",
    "refresh_token",
    "apiKey",
    "api_key",
    "api-key",
    "X-API-Key",
    "privateKey",
    "private_key",
    "credentials",
    "credentials_json",
    "Authorization",
    "auth",
    "bearer",
    "Cookie",
    "connectionString",
    "signature",
    "webhook_url",
)
PLAIN_NAMES = ("name", "path", "author", "passenger", "region", "design", "key", "id", "period", "signed")


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("value", [PLANT, 12345, [PLANT], {"a": PLANT}, True], ids=repr)
def test_whatever_stands_under_a_secret_name_is_masked_at_any_depth(name: str, value: object):
    assert masked({"a": [{"b": {name: value}}]}) == {"a": [{"b": {name: MASK}}]}


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_what_stands_under_a_plain_name_stays(name: str):
    assert masked({name: "2026-Q3"}) == {name: "2026-Q3"}


def test_nothing_under_a_secret_name_is_told_from_something():
    assert masked({"password": "", "token": None}) == {"password": "", "token": None}


def test_the_absent_map_stays_absent():
    assert masked_map(None) is None
    assert masked_map({}) == {}
    assert masked_map({"password": "x"}) == {"password": MASK}


@pytest.mark.parametrize(
    "text",
    [
        f"Bearer {PLANT}",
        f"failed with Authorization: Bearer {PLANT}, sorry",
        f"basic {PLANT}",
        f"password={PLANT}&x=1",
        f"password: {PLANT}",
        f"client_secret = {PLANT};",
        f"access_token={PLANT}",
        f"api-key={PLANT}",
        f"https://user:{PLANT}@host/path",
        f"postgres://{PLANT}@host:5432/db",
        f'password="{PLANT}"',
        f"password='{PLANT}'",
        f'{{"password": "{PLANT}"}}',
        f'{{"accessToken":"{PLANT}"}}',
        f"https://user:p@{PLANT}@host/path",
    ],
)
def test_a_credential_inside_a_text_is_masked(text: str):
    assert PLANT not in masked_text(text)
    assert MASK in masked_text(text)
    assert PLANT not in str(masked({"message": [text]}))


@pytest.mark.parametrize(
    "text", ["", "Destination is not writable", "see https://host/path@2", "the password expired", "a@b.test"]
)
def test_a_text_without_credentials_stays(text: str):
    assert masked_text(text) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_masking_any_json_twice_is_masking_it_once(value: object):
    once = masked(value)
    assert masked(once) == once


@given(st.dictionaries(st.text(), JSON))
def test_masking_keeps_the_keys(value: dict[str, object]):
    assert list(masked_map(value) or {}) == list(value)


LOOKALIKES = "\u017f\u212ak\u0131\u0130pass wordtokenapi_-key=: bearerbasicseret:/@\"'?#\n\x1c"


@given(st.text(st.sampled_from(LOOKALIKES), max_size=30) | st.text(max_size=30))
def test_a_text_that_is_left_alone_for_its_looks_holds_nothing_to_mask(text: str):
    assert masked_text(text) == _IN_TEXT.sub(
        lambda m: f"{m['name'] or m['scheme']}{MASK}{'@' if m['scheme'] else ''}", text
    )


@pytest.mark.parametrize(
    "text",
    [
        "pa\u017f\u017fword=x",
        "ap\u0131-key: x",
        "to\u212aen=x",
        "BEARER x",
        "basic\nx",
        "Basic\x1cx",
        "A://b@c",
        "pass=x",
        "API-KEY=x",
        "SECRET : x",
    ],
)
def test_what_is_written_oddly_is_masked_all_the_same(text: str):
    assert MASK in masked_text(text)


def test_free_form_data_without_credentials_is_the_very_same_and_other_data_is_never_changed_itself():
    plain = {"rows": 3, "by": {"name": "x", "pass through": "no"}, "none": None, "all": [1, ["x", {}]]}
    assert masked(plain) is plain
    given_in = {"a": {"password": "x", "b": 1}, "c": [{"token": "x"}]}
    before = copy.deepcopy(given_in)
    assert masked(given_in) == {"a": {"password": MASK, "b": 1}, "c": [{"token": MASK}]}
    assert given_in == before


def test_a_name_as_long_as_a_text_is_masked_too():
    name = "x" * 100 + "password"
    assert masked({name: "plant", "x" * 100: "y"}) == {name: MASK, "x" * 100: "y"}


def test_after_every_kind_of_white_space_a_credential_is_masked():
    spaces = [chr(code) for code in range(sys.maxunicode + 1) if re.match(r"\s", chr(code))]
    assert len(spaces) > 20
    assert [space for space in spaces if PLANT in masked_text(f"bearer{space}{PLANT}")] == []


def test_names_beyond_those_that_are_remembered_are_judged_all_the_same():
    given_in = {f"name {number}": "plain" for number in range(5000)} | {"password": "x"}
    expected = given_in | {"password": MASK}
    assert masked(given_in) == masked(given_in) == expected
