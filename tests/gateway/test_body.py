"""From bytes to one operation: what is read, what is refused, and that nothing else can happen."""

import contextlib
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect
from starlette.types import Message

from gateway.protection.body import (
    BadRequest,
    BodyTooLarge,
    Operation,
    Refused,
    UnsupportedEncoding,
    check_head,
    check_size,
    from_query,
    parse_operation,
    read_body,
)

SECRET = "hunter2"


def message(error: pytest.ExceptionInfo[BadRequest]) -> str:
    return str(error.value)


# Reading


class Sender:
    """A client that sends ``chunks``, and remembers how many of them were taken."""

    def __init__(self, *chunks: bytes, ends: bool = True) -> None:
        self.taken = 0
        self._messages = self._all(chunks, ends)

    async def _all(self, chunks: tuple[bytes, ...], ends: bool) -> AsyncIterator[Message]:
        for chunk in chunks:
            self.taken += 1
            yield {"type": "http.request", "body": chunk, "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False} if ends else {"type": "http.disconnect"}

    async def receive(self) -> Message:
        return await anext(self._messages)

    async def read(self, limit_bytes: int, headers: Mapping[str, str] | None = None) -> bytes:
        pairs = {name.encode(): value.encode() for name, value in (headers or {}).items()}
        return await read_body(pairs, self.receive, limit_bytes)


@pytest.mark.parametrize(
    ("body", "headers", "refused"),
    [
        (b"abcd", {}, None),
        (b"abcd", {b"content-length": b"4", b"content-encoding": b"identity"}, None),
        (b"abcde", {}, BodyTooLarge),
        (b"", {b"content-length": b"5"}, BodyTooLarge),
        (b"abcd", {b"content-encoding": b"gzip"}, UnsupportedEncoding),
    ],
)
async def test_a_body_that_is_here_already_is_judged_as_one_that_is_received(
    body: bytes, headers: dict[bytes, bytes], refused: type[Refused] | None
):
    async def received() -> bytes:
        return await read_body(headers, Sender(body).receive, 4)

    async def here() -> bytes:
        check_head(headers, 4)
        check_size(len(body), 4)
        return body

    for read in (received, here):
        with contextlib.nullcontext() if refused is None else pytest.raises(refused):
            assert await read() == body


async def test_a_body_in_pieces_is_read_whole():
    assert await Sender(b"ab", b"", b"cd").read(4) == b"abcd"


async def test_no_body_is_an_empty_one():
    assert await Sender().read(4) == b""


async def test_a_body_that_says_it_is_too_large_is_not_read():
    sender = Sender(b"abcde")
    with pytest.raises(BodyTooLarge, match="larger than 4 bytes"):
        await sender.read(4, {"content-length": "5"})
    assert sender.taken == 0


@pytest.mark.parametrize("said", [{}, {"content-length": "1"}, {"content-length": "five"}, {"content-length": "-5"}])
async def test_a_body_that_grows_too_large_is_refused_where_it_does(said: dict[str, str]):
    sender = Sender(b"ab", b"cd", b"e", b"f", b"g")
    with pytest.raises(BodyTooLarge):
        await sender.read(4, said)
    assert sender.taken == 3


async def test_a_length_of_thousands_of_digits_is_too_large():
    with pytest.raises(BodyTooLarge):
        await Sender().read(4, {"content-length": "9" * 5000})


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP", "identity, gzip", "zstd"])
async def test_a_compressed_body_is_not_read(encoding: str):
    sender = Sender(b"ab")
    with pytest.raises(UnsupportedEncoding):
        await sender.read(4, {"content-encoding": encoding})
    assert sender.taken == 0


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
async def test_identity_is_no_compression(encoding: str):
    assert await Sender(b"ab").read(4, {"content-encoding": encoding}) == b"ab"


async def test_a_client_that_leaves_is_no_bad_request():
    with pytest.raises(ClientDisconnect):
        await Sender(b"ab", ends=False).read(4)


def test_each_refusal_has_its_status():
    assert [kind.status for kind in (Refused, BadRequest, BodyTooLarge, UnsupportedEncoding)] == [400, 400, 413, 415]


# Bodies


def test_a_body_becomes_an_operation():
    body = {"query": "{a}", "variables": {"n": 1}, "operationName": "A", "extensions": {"e": [True]}, "id": 7}
    assert parse_operation(orjson.dumps(body)) == Operation("{a}", {"n": 1}, "A", {"e": [True]})


@pytest.mark.parametrize(
    "more", [{}, {"variables": None, "operationName": None, "extensions": None}, {"operationName": ""}]
)
def test_what_is_null_or_missing_is_none(more: dict[str, Any]):
    assert parse_operation(orjson.dumps({"query": "{a}", **more})) == Operation("{a}", None, None, None)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "cannot be read as JSON"),
        (b"hunter2", "line 1, column 1"),
        (b'{"query": "hunter2"', "cannot be read as JSON"),
        (b'{"query": "{a}"} hunter2', "cannot be read as JSON"),
        (b'{"query": "{a}", "variables": {"hunter2": NaN}}', "cannot be read as JSON"),
        (b'{"query": "{a}", "variables": {"hunter2": 1e999}}', "cannot be read as JSON"),
        (b'{"query": "{a}", "variables": {"hunter2": -Infinity}}', "cannot be read as JSON"),
        (b'{"query": "hunter2\xff"}', "cannot be read as JSON"),
        (b'{"query": "hunter2\\ud800"}', "cannot be read as JSON"),
        (b'\xef\xbb\xbf{"query": "{a}"}', "cannot be read as JSON"),
        ('{"query": "{a}"}'.encode("utf-16"), "cannot be read as JSON"),
        (b"[" * 10_000, "cannot be read as JSON"),
        (b'{"query": "{a}", "variables": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "cannot be read as JSON"),
        (b'[{"query": "hunter2"}]', "Batches are not accepted"),
        (b"[]", "Batches are not accepted"),
        (b'"hunter2"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"{}", "query is missing or empty"),
        (b'{"query": null}', "query is missing or empty"),
        (b'{"query": ""}', "query is missing or empty"),
        (b'{"query": ["hunter2"]}', "query must be a string"),
        (b'{"query": 1}', "query must be a string"),
        (b'{"query": "{a}", "variables": ["hunter2"]}', "variables must be a JSON object"),
        (b'{"query": "{a}", "variables": "{}"}', "variables must be a JSON object"),
        (b'{"query": "{a}", "operationName": {"hunter2": 1}}', "operationName must be a string"),
        (b'{"query": "{a}", "extensions": [1]}', "extensions must be a JSON object"),
        (b'{"query": "{a}", "query": "hunter2"}', "given twice"),
        (b'{"query": "{a}", "qu\\u0065ry": "hunter2"}', "given twice"),
        (b'{"query": "{a}", "variables": {"hunter2": 1, "hunter2": 2}}', "given twice"),
        (b'{"query":"{a}","query":"{a}"}', "given twice"),
        (b'{"query":"{a}","variables":{"b":[{"c":1,"c":1}]}}', "given twice"),
    ],
)
def test_what_is_no_operation_is_refused_without_repeating_it(body: bytes, says: str):
    with pytest.raises(BadRequest) as caught:
        parse_operation(body)
    assert says in message(caught)
    assert SECRET not in message(caught)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("depth", [100, 900, 990, 1000, 1020, 1030])
def test_json_nested_near_any_parsers_end_is_read_or_refused(depth: int):
    body = b'{"query": "{a}", "variables": {"a": ' + b"[" * depth + b"]" * depth + b"}}"
    with contextlib.suppress(BadRequest):
        assert parse_operation(body).query == "{a}"


def test_json_this_python_cannot_nest_is_refused():
    body = b'{"query": "{a}", "variables": {"a": ' + b'{"a": ' * 1010 + b"1" + b"}" * 1012
    with pytest.raises(BadRequest) if sys.version_info < (3, 12) else contextlib.nullcontext():
        assert parse_operation(body).query == "{a}"


ALMOST = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
REQUESTS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("query", "variables", "operationName", "extensions", "else"), ALMOST)
)


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode) | (ALMOST | REQUESTS).map(orjson.dumps))
@example(b'{"query":' * 2000)
@example(b'{"a":' + b"9" * 5000 + b"}")
@example(b'{"query":"\\ud83d"}')
def test_any_bytes_are_an_operation_or_a_bad_request(body: bytes):
    try:
        operation = parse_operation(body)
    except BadRequest:
        return
    assert operation.query
    operation.query.encode()  # no half of a surrogate pair


@settings(deadline=None)
@given(st.text(min_size=1), st.none() | st.dictionaries(st.text(), ALMOST), st.none() | st.text(min_size=1))
def test_what_a_client_writes_is_what_is_read(query: str, variables: dict[str, Any] | None, name: str | None):
    body = orjson.dumps({"query": query, "variables": variables, "operationName": name})
    assert parse_operation(body) == Operation(query, variables, name)


# Addresses


def test_the_parameters_of_an_address_become_an_operation():
    params = QueryParams({"query": "{a}", "variables": '{"n": 1}', "operationName": "A", "extensions": "{}", "x": "1"})
    assert from_query(params) == Operation("{a}", {"n": 1}, "A", {})


def test_empty_parameters_are_none():
    assert from_query(QueryParams("query={a}&variables=&operationName=&extensions=")) == Operation("{a}")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "query is missing or empty"),
        ("query=", "query is missing or empty"),
        ("query={a}&variables=hunter2", "variables cannot be read as JSON"),
        ("query={a}&variables=[1]", "variables must be a JSON object"),
        ("query={a}&variables={%22a%22:1,%22a%22:2}", "given twice"),
        ("query={a}&extensions=NaN", "extensions cannot be read as JSON"),
        ("query={a}&extensions=1", "extensions must be a JSON object"),
        ("query={a}&query=hunter2", "query is given more than once"),
        ("query={a}&operationName=a&operationName=a", "operationName is given more than once"),
        ("query={a}&variables=" + "[" * 10_000, "variables cannot be read as JSON"),
    ],
)
def test_parameters_that_are_no_operation_are_refused(query: str, says: str):
    with pytest.raises(BadRequest) as caught:
        from_query(QueryParams(query))
    assert says in message(caught)
    assert SECRET not in message(caught)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["query", "variables", "operationName", "extensions"]), st.text())))
def test_any_parameters_are_an_operation_or_a_bad_request(pairs: list[tuple[str, str]]):
    try:
        assert from_query(QueryParams(pairs)).query
    except BadRequest:
        return


@settings(deadline=None)
@given(st.binary())
def test_any_query_string_is_an_operation_or_a_bad_request(raw: bytes):
    try:
        assert from_query(QueryParams((b"query=" + raw).decode("latin-1"))).query
    except BadRequest:
        return
