"""Heads that were parsed before read as if they were parsed again."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from gateway import protocol
from tests.gateway.sockets import Echo, Seen, over


async def test_a_head_that_was_parsed_before_reads_as_if_it_was_parsed_again(heads: dict[bytes, Any]):
    seen = Seen()
    async with over(seen) as client:
        for body in (b"one", b"two", b"six"):
            client.send(body, head="X-Twice: 1\r\nx-twice: 2\r\n")
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, body)
    assert len(heads) == 1
    assert seen.scopes[0] == seen.scopes[1] == seen.scopes[2]
    assert seen.fields == [{b"host": b"x", b"content-length": b"3", b"x-twice": b"1"}] * 3
    assert seen.scopes[0]["path"] == "/a b"
    assert (seen.scopes[0]["raw_path"], seen.scopes[0]["query_string"]) == (b"/a%20b", b"c=d")
    assert seen.ways == [(True, True)] * 3


async def test_a_head_of_another_client_that_differs_in_anything_is_parsed(heads: dict[bytes, Any]):
    seen = Seen()
    async with over(seen) as one, over(seen) as other:
        for client, key in ((one, "a"), (other, "a"), (one, "b"), (other, "A"), (one, "a")):
            client.send(b"body", head=f"authorization: {key}\r\n")
            assert (await client.answer()).body == b"body"
    assert [fields[b"authorization"] for fields in seen.fields] == [b"a", b"a", b"b", b"A", b"a"]
    assert len(heads) == 3


async def test_what_stands_in_a_body_is_no_request_however_it_came(heads: dict[bytes, Any]):
    echo = Echo()
    inner = b"POST /a%20b?c=d HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody"
    async with over(echo) as client:
        client.writer.write(inner)
        assert (await client.answer()).body == b"body"
        assert len(heads) == 1
        client.writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (2 * len(inner)))
        for _ in range(2):
            await asyncio.sleep(0.02)
            client.writer.write(inner)
        assert (await client.answer()).body == 2 * inner
        client.writer.write(inner)
        assert (await client.answer()).body == b"body"
    assert len(echo.ways) == 3


@pytest.mark.parametrize("cut", [1, 10, 50, 54, 57])
async def test_a_known_request_that_comes_in_two_pieces_is_one(heads: dict[bytes, Any], cut: int):
    echo = Echo()
    sent = b"POST /a%20b?c=d HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody"
    async with over(echo) as client:
        for _ in range(2):
            client.writer.write(sent)
            assert (await client.answer()).body == b"body"
            client.writer.write(sent[:cut])
            await asyncio.sleep(0.02)
            client.writer.write(sent[cut:])
            assert (await client.answer()).body == b"body"
    assert len(echo.ways) == 4


async def test_known_requests_that_come_together_or_while_another_is_under_way_are_answered_in_order(
    heads: dict[bytes, Any],
):
    gate, echo = asyncio.Event(), Echo()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "PUT":
            await gate.wait()
        await echo(scope, receive, send)

    async with over(app) as client:
        client.send(b"0")
        assert (await client.answer()).body == b"0"
        for number in range(1, 4):  # as one piece
            client.send(b"%d" % number)
        client.send(b"4", method="PUT")
        for number in range(5, 8):
            client.send(b"%d" % number)
            await asyncio.sleep(0.01)
        gate.set()
        assert [(await client.answer()).body for _ in range(7)] == [b"%d" % number for number in range(1, 8)]


@pytest.mark.parametrize(
    "sent",
    [
        b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1\r\n\r\na",
        b"POST / HTTP/1.0\r\nhost: x\r\ncontent-length: 1\r\n\r\na",
        b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\na",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\nx-long: " + b"y" * 5_000 + b"\r\ncontent-length: 1\r\n\r\na",
    ],
    ids=["close", "old", "expect", "chunked", "long"],
)
async def test_a_head_with_something_special_about_it_is_parsed_each_time(heads: dict[bytes, Any], sent: bytes):
    for _ in range(2):
        async with over(Echo()) as client:
            client.writer.write(sent)
            assert (await client.answer()).body == b"a"
            assert heads == {}


async def test_an_upgrade_that_nobody_offers_is_answered_as_if_nobody_had_asked(heads: dict[bytes, Any]):
    echo = Echo()
    async with over(echo) as client:
        client.send(b"body")
        assert (await client.answer()).body == b"body"
        for _ in range(2):
            client.send(method="GET", head="connection: upgrade\r\nupgrade: websocket\r\n")
            assert (await client.answer()).status == 200


@pytest.mark.parametrize("wanted", ["h2c", "websocket", "anything"])
@pytest.mark.parametrize("cut", [0, 40])
async def test_the_body_of_who_asks_for_an_upgrade_is_no_request_of_its_own(
    heads: dict[bytes, Any], wanted: str, cut: int
):
    """As Java's client and `curl --http2` send their first request."""
    echo = Echo()
    inner = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    lines = f"Connection: Upgrade, HTTP2-Settings\r\nUPGRADE: {wanted}\r\nhttp2-settings: a\r\n"
    sent = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {len(inner)}\r\n{lines}\r\n".encode()
    for _ in range(2):
        async with over(echo) as client:
            client.writer.write(sent[:cut])
            await asyncio.sleep(0.02 * bool(cut))
            client.writer.write(sent[cut:])
            await asyncio.sleep(0.02)
            client.writer.write(inner)
            answer = await client.answer()
            if cut:  # in pieces it cannot be read, which is said
                assert (answer.status, answer.headers["connection"]) == (400, "close")
                assert await client.reader.read() == b""
            else:
                assert answer.body == inner
                client.send(b"next")
                assert (await client.answer()).body == b"next"
    assert len(echo.ways) == (0 if cut else 4)


_UPGRADING = b"GET /u HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [_UPGRADING[:5], _UPGRADING[5:]],
        [b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n" + _UPGRADING],
        [b"\r\n\r\n" + _UPGRADING],
        [_UPGRADING[:5], _UPGRADING[5:-2] + b"content-length: 0\r\n\r\n"],
    ],
    ids=["in pieces", "after another", "after breaks", "empty"],
)
async def test_the_body_of_who_comes_after_an_upgrade_is_no_request_of_its_own(
    heads: dict[bytes, Any], pieces: list[bytes]
):
    """Where the parser loses what else came with it, the socket is closed after the answer."""
    seen = Seen()
    body = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
    post = b"POST /p HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    *first, last = pieces
    async with over(seen) as client:
        for piece in (*first, last + post, body):
            client.writer.write(piece)
            await asyncio.sleep(0.02)
        answers = await client.reader.read()
    assert answers.count(b"HTTP/1.1 200 ") == len(seen.scopes)
    assert "/smuggled" not in [scope["path"] for scope in seen.scopes]


@pytest.mark.parametrize("between", [b"\r\n\r\n", b"\n\r\n\r\n", b"\r\r\n\r\n", b"\r\n\r\n\r\n\r\n"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_line_breaks_between_requests_are_nobodys_request(heads: dict[bytes, Any], between: bytes, method: str):
    """An earlier state took them for the head of the request before them, and whoever sent them for its sender."""
    seen = Seen()
    async with over(seen) as one, over(seen) as other:
        one.send(b"" if method == "GET" else b"body", method=method, head="authorization: key\r\n")
        await one.answer()
        known = dict(heads)
        for client in (one, other, one, other):
            client.writer.write(between)
            await asyncio.sleep(0.02)
        assert heads == known
        for client in (other, one):
            client.send(b"own", head="x-own: 1\r\n")
            assert (await client.answer()).body == b"own"
    assert [fields.get(b"authorization") for fields in seen.fields] == [b"key", None, None]


async def test_a_request_after_line_breaks_is_its_own(heads: dict[bytes, Any]):
    seen = Seen()
    for _ in range(2):
        async with over(seen) as client:
            for breaks in (b"", b"\r\n", b"\r\n\r\n"):
                client.writer.write(breaks)
                client.send(b"body", head=f"x-own: {len(breaks)}\r\n")
                assert (await client.answer()).body == b"body"
    assert [fields[b"x-own"] for fields in seen.fields] == [b"0", b"2", b"4"] * 2


async def test_no_more_heads_are_kept_than_a_few(heads: dict[bytes, Any]):
    async with over(Echo()) as client:
        for number in range(2 * protocol._HEADS_KEPT + 10):
            client.send(b"a", head=f"x-number: {number}\r\n")
            assert (await client.answer()).body == b"a"
            assert len(heads) <= protocol._HEADS_KEPT
