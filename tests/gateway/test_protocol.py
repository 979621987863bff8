"""HTTP over a socket: what the server does for the app at once reads as if it had been done in messages."""

import asyncio
import contextlib
import gc
import socket
import weakref
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from gateway import protocol
from gateway.protocol import Spoken, direct
from tests.gateway.sockets import LINES, Echo, Seen, keep_for, over


async def unasked(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers before the body has come, whatever it is."""
    at_once = direct(scope)
    if at_once is not None:
        assert at_once.answer(scope, 401, LINES, b"who?")


async def test_a_request_that_came_whole_is_answered_as_by_messages():
    echo = Echo(201)
    async with over(echo) as client:
        for body in (b"one", b"two", b""):
            client.send(body)
            answer = await client.answer()
            assert (answer.status, answer.body) == (201, body)
            assert answer.headers["content-type"] == "text/plain"
            assert answer.headers["x-own"] == "yes"
            assert answer.headers["date"].endswith("GMT")
            assert "connection" not in answer.headers
            assert "transfer-encoding" not in answer.headers
    assert echo.ways == [(True, True)] * 3


async def test_a_body_that_comes_in_pieces_is_received():
    echo = Echo()
    async with over(echo) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc")
        await asyncio.sleep(0.05)
        client.writer.write(b"def")
        assert (await client.answer()).body == b"abcdef"
        client.send(b"next")
        assert (await client.answer()).body == b"next"
    assert echo.ways == [(False, True), (True, True)]


async def test_who_waits_to_be_told_to_go_on_is_told():
    echo = Echo()
    async with over(echo) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.writer.write(b"abc")
        assert (await client.answer()).body == b"abc"
        client.send(b"def", head="expect: 100-continue\r\n")  # and does not wait
        assert (await client.answer()).body == b"def"


async def test_a_long_body_and_a_long_answer_are_whole():
    echo = Echo()
    body = b"x" * 5_000_000
    async with over(echo) as client:
        for _ in range(2):
            client.send(body)
            await client.writer.drain()
            assert (await client.answer()).body == body


@pytest.mark.parametrize(("head", "version"), [("connection: close\r\n", "1.1"), ("", "1.0")])
async def test_a_socket_that_is_to_be_closed_is(head: str, version: str):
    async with over(Echo()) as client:
        client.send(b"last", head=head, version=version)
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"last", "close")
        assert await client.reader.read() == b""


async def test_to_head_no_body_is_sent():
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            at_once = direct(scope)
            assert at_once is not None
            if not at_once.answer(scope, 200, LINES, b"body"):
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
                await send({"type": "http.response.body", "body": b"body"})

    async with over(app) as client:
        for _ in range(2):
            client.send(method="HEAD")
            assert (await client.answer(has_body=False)).headers["content-length"] == "4"


async def test_requests_that_are_sent_together_are_answered_in_order():
    echo = Echo()
    async with over(echo) as client:
        for number in range(5):
            client.send(b"%d" % number)
        assert [(await client.answer()).body for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    assert echo.ways[-1] == (True, True)
    assert len(echo.ways) == 5


async def test_nothing_is_said_to_who_has_left_and_nobody_is_told_twice():
    gone, told = asyncio.Event(), list[bool]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        at_once = direct(scope)
        if scope["type"] == "http" and at_once is not None:
            if scope["query_string"] == b"c=d" and scope["method"] == "GET":
                told.extend([at_once.answer(scope, 200, LINES, b"once"), at_once.answer(scope, 200, LINES, b"twice")])
                return
            assert at_once.whole_body(scope) == b"body"
            while (await receive())["type"] != "http.disconnect":
                pass
            told.append(at_once.answer(scope, 200, LINES, b"nobody"))
            gone.set()

    async with over(app) as client:
        client.send(method="GET")
        assert (await client.answer()).body == b"once"
        client.send(b"body")
        await asyncio.sleep(0.02)
        client.writer.close()
        await gone.wait()
    assert told == [True, False, False]


async def test_a_socket_that_nobody_uses_is_closed_and_one_in_use_is_not(monkeypatch: pytest.MonkeyPatch):
    keep_for(monkeypatch, 0.2)
    slow = Echo()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "PUT":
            await asyncio.sleep(0.4)  # longer than an unused socket is kept
        await slow(scope, receive, send)

    async with over(app) as client:
        for method in ("POST", "PUT", "POST"):
            client.send(b"a", method=method)
            assert (await client.answer()).body == b"a"
        began = asyncio.get_running_loop().time()
        assert await client.reader.read() == b""
        assert asyncio.get_running_loop().time() - began > 0.15


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"POST /a", b"POST / HTTP/1.1\r\nhost: x\r\nx-long: "])
async def test_a_socket_on_which_no_whole_head_comes_is_closed(monkeypatch: pytest.MonkeyPatch, begun: bytes):
    monkeypatch.setattr(protocol, "_HEAD_WITHIN_S", 0.2)
    async with over(Echo()) as client:
        client.writer.write(begun)
        for _ in range(100):  # one byte after the other does not help
            await asyncio.sleep(0.03)
            if client.is_closed:
                break
            client.writer.write(begun[-1:])
        assert client.is_closed


async def test_a_head_without_an_end_is_refused():
    echo = Echo()
    async with over(echo) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nhost: x\r\n")
        for _ in range(65):
            client.writer.write(b"x-more: " + b"y" * 1_000 + b"\r\n")
            await client.writer.drain()
            await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):  # as above
            answer = await client.reader.read()
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"too long" in answer
        assert client.is_closed
    assert not echo.ways


class Gated(Echo):
    """As `Echo`; answers a PUT once ``gate`` is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.asked = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "PUT":
            self.asked.set()
            await self.gate.wait()
        await super().__call__(scope, receive, send)


async def test_a_head_that_begins_with_the_end_of_a_long_request_is_not_too_long():
    gated, body = Gated(), b"x" * 100_000
    async with over(gated) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)  # so that it comes in one piece
        head = b"PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
        after = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nnext"
        client.writer.write(head + body + after[:40])
        await gated.asked.wait()
        await asyncio.sleep(0.05)
        gated.gate.set()
        answer = await client.answer()
        assert (answer.status, answer.body) == (200, body)
        client.writer.write(after[40:])
        assert (await client.answer()).body == b"next"


_ENDLESS = b"x-more: " + b"y" * 1_000 + b"\r\n"


async def test_a_head_without_an_end_is_refused_after_another_request_too():
    echo = Echo()
    async with over(echo) as client:
        client.writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nPOST / HTTP/1.1\r\nhost: x\r\n")
        assert (await client.answer()).status == 200
        for _ in range(66):
            client.writer.write(_ENDLESS)
            await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):  # as above
            assert (await client.answer()).status == 400
        await client.is_left()
    assert len(echo.ways) == 1


@pytest.mark.parametrize(
    "after", [b"\0\0\0", b"POST / HTTP/1.1\r\nhost: x\r\n" + _ENDLESS * 70], ids=["nonsense", "long"]
)
@pytest.mark.parametrize("requests", [1, 3])
async def test_what_is_refused_takes_the_place_of_no_answer_that_is_due(after: bytes, requests: int):
    gated = Gated()
    async with over(gated) as client:
        client.send(b"first", method="PUT")
        await gated.asked.wait()
        for _ in range(requests - 1):
            client.send(b"more")
        for start in range(0, len(after), 1_000):
            client.writer.write(after[start : start + 1_000])
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        gated.gate.set()
        answers = [await client.answer() for _ in range(requests)]
        assert [(answer.status, answer.body) for answer in answers] == [
            (200, b"first"),
            *[(200, b"more")] * (requests - 1),
        ]
        if requests == 1:  # or it may not be read before all are answered
            assert answers[0].headers["connection"] == "close"
        assert b"HTTP/1.1 200 " not in await client.is_left()
    assert len(gated.ways) == requests


async def test_no_more_requests_wait_on_a_socket_than_a_few(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(protocol, "_WAITING", 10)
    gated = Gated()
    async with over(gated) as client:
        client.send(b"first", method="PUT")
        for number in range(30):
            client.send(b"%d" % number)
        await gated.asked.wait()
        await asyncio.sleep(0.05)
        gated.gate.set()
        assert [(await client.answer()).body for _ in range(11)] == [
            b"first",
            *[b"%d" % number for number in range(10)],
        ]
        assert await client.is_left() == b""
    assert len(gated.ways) == 11


async def test_who_sends_much_ahead_is_read_no_faster_than_answered(monkeypatch: pytest.MonkeyPatch):
    """Also by an app that looks whether its client has left."""
    monkeypatch.setattr(protocol, "_WAITING", 10)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            while (await receive())["more_body"]:
                pass
            leaving = asyncio.ensure_future(receive())
            await asyncio.sleep(0.01)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
            await leaving

    async with over(app) as client:
        for _ in range(40):
            client.send(b"x" * 100_000)
        assert [(await client.answer()).status for _ in range(40)] == [200] * 40


_CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
_WRONG = _CHUNKED + b"1\r\na\r\nnonsense"


async def test_a_body_that_cannot_be_read_is_refused_in_its_turn():
    gated = Gated()
    async with over(gated) as client:
        client.send(b"first", method="PUT")
        await gated.asked.wait()
        client.writer.write(_WRONG)
        await asyncio.sleep(0.05)
        gated.gate.set()
        assert (await client.answer()).body == b"first"
        refusal = await client.answer()
        assert (refusal.status, refusal.headers["connection"]) == (400, "close")
        await client.is_left()
    assert len(gated.ways) == 1


async def test_who_has_its_answer_is_not_refused_as_well():
    async with over(unasked) as client:
        head, chunk, rest = _WRONG.partition(b"1\r\na")
        client.writer.write(head)
        assert (await client.answer()).status == 401
        client.writer.write(chunk + rest)
        assert await client.is_left() == b""


async def test_a_request_that_is_refused_is_over_for_the_app():
    told: asyncio.Queue[str] = asyncio.Queue()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        at_once = direct(scope)
        if at_once is not None:
            while (message := await receive())["type"] == "http.request":
                await told.put(message["type"])
            await told.put(message["type"])
            assert not at_once.answer(scope, 200, LINES, b"nobody")

    async with over(app) as client:
        head, chunk, rest = _WRONG.partition(b"1\r\na\r\n")
        client.writer.write(head + chunk)
        assert await told.get() == "http.request"
        client.writer.write(rest)
        assert await told.get() == "http.disconnect"
        assert (await client.answer()).status == 400
        assert await client.is_left() == b""


async def test_a_head_that_has_begun_cuts_off_no_answer_under_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(protocol, "_HEAD_WITHIN_S", 0.1)
    echo, begun = Echo(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "PUT":
            begun.set()
            await asyncio.sleep(0.4)
        await echo(scope, receive, send)

    async with over(app) as client:
        client.send(b"slow", method="PUT")
        await begun.wait()
        client.writer.write(b"POST / HT")
        assert (await client.answer()).body == b"slow"


async def test_what_stands_in_a_trailer_is_no_header(heads: dict[bytes, Any]):
    """However it comes: with the head, or after the app has been told of that."""
    seen = Seen()
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    rest = b"1\r\na\r\n0\r\nauthorization: key\r\n\r\n"
    for pieces in ([head + rest], [head, rest], [head + rest[:6], rest[6:]]):
        async with over(seen) as client:
            for piece in pieces:
                client.writer.write(piece)
                await asyncio.sleep(0.02)
            assert (await client.answer()).body == b"a"
    assert [fields.get(b"authorization") for fields in seen.fields] == [None] * 3
    assert all(b"authorization" not in dict(scope["headers"]) for scope in seen.scopes)


_FRAMES = pytest.mark.parametrize(
    ("begun", "more"),
    [(b"1\r\na\r\n0\r\n", b"a:b\r\n"), (b"1\r\na\r\n0\r\na: ", b"b"), (b"1\r\na\r\n1;", b"c")],
    ids=["trailers", "a trailer", "an extension"],
)


@_FRAMES
async def test_a_body_that_is_nearly_all_framing_is_refused(begun: bytes, more: bytes):
    echo = Echo()
    async with over(echo) as client:
        client.writer.write(_CHUNKED + begun)
        for _ in range(66):
            client.writer.write(more * (1_000 // len(more)))
            await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):  # where the server had not read all that was sent
            assert (await client.answer()).status == 400
        await client.is_left()
    assert not echo.ways


@_FRAMES
async def test_framing_without_an_end_is_not_read_after_the_answer_either(
    monkeypatch: pytest.MonkeyPatch, begun: bytes, more: bytes
):
    keep_for(monkeypatch, 60)
    async with over(unasked) as client:
        client.writer.write(_CHUNKED + begun)
        assert (await client.answer()).status == 401
        with contextlib.suppress(ConnectionError):
            for _ in range(66):
                client.writer.write(more * (1_000 // len(more)))
                await client.writer.drain()
        assert await client.is_left() == b""


def told_of(ends: list[Spoken], kind: type[Spoken]) -> type[Spoken]:
    """Such ends of sockets, each of which is put down when it is open."""

    class Told(kind):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            ends.append(self)

    return Told


async def test_nothing_of_a_trailer_is_kept():
    ends: list[Spoken] = []
    async with over(unasked, http=told_of(ends, Spoken)) as client:
        client.writer.write(_CHUNKED + b"1\r\na\r\n0\r\n" + b"a:b\r\n" * 5_000)
        assert (await client.answer()).status == 401
        assert not ends[0].headers
        client.writer.write(b"\r\n")
        client.send(b"next")
        assert (await client.answer()).status == 401


async def test_a_body_of_chunks_of_a_byte_is_read():
    body = b"x" * 50_000
    async with over(Echo()) as client:
        client.writer.write(_CHUNKED + b"1\r\nx\r\n" * len(body) + b"0\r\n\r\n")
        assert (await client.answer()).body == body


@pytest.mark.parametrize(("length", "is_kept"), [(90_000, True), (500_000, False)])
async def test_of_a_body_that_comes_after_the_answer_a_bounded_part_is_read(
    monkeypatch: pytest.MonkeyPatch, length: int, is_kept: bool
):
    monkeypatch.setattr(protocol, "_IGNORED_BYTES", 100_000)
    keep_for(monkeypatch, 60)
    async with over(unasked) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % length)
        assert (await client.answer()).status == 401
        with contextlib.suppress(ConnectionError):
            for _ in range(length // 1_000):
                client.writer.write(b"x" * 1_000)
                await client.writer.drain()
        if is_kept:
            client.send(b"next")
            assert (await client.answer()).status == 401
        else:
            assert await client.is_left() == b""


async def test_a_body_that_comes_after_the_answer_keeps_no_socket_open(monkeypatch: pytest.MonkeyPatch):
    keep_for(monkeypatch, 0.2)
    async with over(unasked) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
        assert (await client.answer()).status == 401
        for _ in range(200):
            await asyncio.sleep(0.03)
            if client.is_closed:
                break
            client.writer.write(b"x")
        assert client.is_closed


async def test_a_body_may_take_longer_than_a_head(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(protocol, "_HEAD_WITHIN_S", 0.2)
    async with over(Echo()) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\na")
        await asyncio.sleep(0.4)
        client.writer.write(b"b")
        assert (await client.answer()).body == b"ab"


class Watched(Spoken):
    """Tells when its socket is gone."""

    gone: asyncio.Event

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.gone.set()


class Patient(Watched):
    """Writes as much as it likes before it is told that nobody reads."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=1_000_000_000)


LONG = b"x" * 10_000_000
"""An answer that no buffer holds."""


async def long_answer(scope: Scope, receive: Receive, send: Send) -> None:
    """At once by POST, in messages by GET, and with a mistake in its middle by PUT."""
    at_once = direct(scope)
    if at_once is None or (scope["method"] == "POST" and at_once.answer(scope, 200, LINES, LONG)):
        return
    length = (b"content-length", b"%d" % (2 * len(LONG)))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": LONG, "more_body": True})
    if scope["method"] == "PUT":
        raise RuntimeError("a mistake")
    await send({"type": "http.response.body", "body": LONG})


@pytest.mark.parametrize(
    ("method", "http"),
    [("POST", Watched), ("GET", Watched), ("POST", Patient), ("PUT", Patient)],
    ids=["whole", "in messages", "kept", "broken off"],
)
@pytest.mark.parametrize("head", ["", "connection: close\r\n"], ids=["", "to be closed"])
async def test_who_does_not_read_its_answer_keeps_no_socket(
    monkeypatch: pytest.MonkeyPatch, method: str, http: type[Watched], head: str
):
    """Also where it is kept to be closed, and where more was asked for."""
    monkeypatch.setattr(protocol, "_UNREAD_S", 0.2)
    keep_for(monkeypatch, 0.2 if http is Patient else 60)
    monkeypatch.setattr(http, "gone", asyncio.Event(), raising=False)
    async with over(long_answer, http=http) as client:
        for _ in range(2):
            client.send(method=method, head=head)
        await http.gone.wait()


async def test_who_reads_slowly_gets_all_of_its_answer(monkeypatch: pytest.MonkeyPatch):
    """Also where the kernel holds much, and for longer than is waited takes no more of the answer."""
    monkeypatch.setattr(protocol, "_UNREAD_S", 0.4)

    class Held(Spoken):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)

    async with over(Echo(), http=Held, is_small=True) as client:
        body, came = b"x" * 600_000, 0
        client.send(body, head="connection: close\r\n")
        await client.reader.readuntil(b"\r\n\r\n")
        while part := await client.reader.read(4_000):
            came += len(part)
            await asyncio.sleep(0.02)
        assert came == len(body)


async def test_a_server_that_ends_waits_for_no_client_that_does_not_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(protocol, "_UNREAD_S", 0.2)
    monkeypatch.setattr(Patient, "gone", asyncio.Event(), raising=False)
    ends: list[Spoken] = []
    async with over(long_answer, http=told_of(ends, Patient)) as client:
        client.send(method="POST")
        await client.reader.readuntil(b"\r\n\r\n")
        ends[0].shutdown()
        await Patient.gone.wait()


async def test_a_socket_that_was_closed_leaves_no_garbage():
    left: list[weakref.ref[Spoken]] = []

    class Counted(Spoken):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            left.append(weakref.ref(self))

    async with over(Echo(), http=Counted) as client:
        gc.disable()
        try:
            for _ in range(2):
                client.send(b"a")
                await client.answer()
            client.writer.close()
            while left[0]() is not None:  # noqa: ASYNC110  a few turns of the loop
                await asyncio.sleep(0.01)
        finally:
            gc.enable()


async def test_a_request_is_known_to_be_under_way_until_it_is_over():
    ends: list[Spoken] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            (end,) = ends
            assert end.tasks == {asyncio.current_task()}
            if scope["method"] == "DELETE":
                raise RuntimeError("a mistake")
            await Echo()(scope, receive, send)

    async with over(app, http=told_of(ends, Spoken)) as client:
        for method, status in (("POST", 200), ("DELETE", 500)):
            client.send(b"a", method=method)
            assert (await client.answer()).status == status
            await asyncio.sleep(0)
            assert [end.tasks for end in ends] == [set()]
