"""Global ids: whatever goes in comes out, each has one spelling, and nothing else is one."""

import base64

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from adapters.ids import INSTANCE_NAME, MalformedId, decode, encode

INSTANCES = st.from_regex(INSTANCE_NAME, fullmatch=True)
NATIVE_IDS = st.text(min_size=1)


def spelled(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@given(INSTANCES, NATIVE_IDS)
@example("acme", "a:b:c")
@example("a-b_c.d", "日本\x00\n ")
def test_an_id_gives_back_what_it_was_made_of(instance: str, native_id: str):
    assert decode(encode(instance, native_id)) == (instance, native_id)


@given(INSTANCES, NATIVE_IDS, INSTANCES, NATIVE_IDS)
def test_two_connections_never_share_an_id(instance: str, native_id: str, other: str, other_id: str):
    assume((instance, native_id) != (other, other_id))
    assert encode(instance, native_id) != encode(other, other_id)


@given(INSTANCES, NATIVE_IDS)
def test_an_id_is_safe_in_urls(instance: str, native_id: str):
    assert set(encode(instance, native_id)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(INSTANCES, NATIVE_IDS, st.data())
def test_no_other_spelling_of_an_id_is_taken(instance: str, native_id: str, data: st.DataObject):
    id = encode(instance, native_id)
    at = data.draw(st.integers(0, len(id)))
    put_in = data.draw(st.sampled_from(["=", "\n", " ", "\r\n", "\x00", "é"]))
    for other in (id[:at] + put_in + id[at:], id + "=" * (-len(id) % 4 or 4)):
        with pytest.raises(MalformedId):
            decode(other)


def test_spare_bits_at_the_end_make_no_second_spelling():
    id = encode("acme", "ab")
    assert len(id) % 4 == 2, "four bits of the last letter are spare"
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place = letters.index(id[-1])
    assert place % 16 == 0
    for other in letters[place + 1 : place + 16]:
        with pytest.raises(MalformedId):
            decode(id[:-1] + other)


def test_the_other_base64_alphabet_is_not_taken():
    id = encode("acme", "???>>>~~~")
    assert set("-_") & set(id)
    with pytest.raises(MalformedId):
        decode(id.replace("-", "+").replace("_", "/"))


@pytest.mark.parametrize(
    "id",
    [
        "",
        "=",
        "a",
        "%",
        "not an id",
        "\ud800",
        spelled(""),
        spelled("c1"),
        spelled("c1:acme"),
        spelled("c1:acme:"),
        spelled("c1::x"),
        spelled("c2:acme:x"),
        spelled("C1:acme:x"),
        spelled(":acme:x"),
        spelled("c1:Acme:x"),
        spelled("c1:-acme:x"),
        spelled("c1:ac me:x"),
        spelled("c1:acme\n:x"),
        spelled("c1:" + "a" * 64 + ":x"),
        spelled(b"c1:acme:\xff"),
        spelled(b"\x00\x01\x02"),
        "c1:acme:x",
    ],
)
def test_what_no_connection_has_for_an_id_is_malformed(id: str):
    with pytest.raises(MalformedId) as raised:
        decode(id)
    assert str(raised.value) == "not an id of this graph"


@given(
    st.text(st.characters(exclude_categories=[]))
    | st.binary().map(spelled)
    | st.text().map("c1:{}".format).map(spelled)
)
def test_any_text_is_an_id_of_ours_or_malformed(text: str):
    try:
        instance, native_id = decode(text)
    except MalformedId:
        return
    assert encode(instance, native_id) == text
