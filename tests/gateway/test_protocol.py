"""HTTP over a socket: what the server does for the app at once reads as if it had been done in messages."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, NamedTuple, TypeAlias

import pytest
from starlette.types import Receive, Scope, Send

from adapters.imitation import serve
from gateway.protocol import Spoken, direct

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
LINES = b"content-type: text/plain\r\nx-own: yes\r\n"
HEADERS = [(b"content-type", b"text/plain"), (b"x-own", b"yes")]


class Answer(NamedTuple):
    """A response as it came, with the names of its headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A client's end of a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, body: bytes = b"", *, head: str = "", method: str = "POST", version: str = "1.1") -> None:
        """Send a request with these lines in its head."""
        length = f"content-length: {len(body)}\r\n" if body else ""
        self.writer.write(f"{method} /a%20b?c=d HTTP/{version}\r\nhost: x\r\n{length}{head}\r\n".encode() + body)

    async def answer(self, *, has_body: bool = True) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
        length = int(headers.get("content-length", 0)) if has_body else 0
        return Answer(int(line.split()[1]), headers, await self.reader.readexactly(length))


@contextlib.asynccontextmanager
async def over(app: App, http: type[Spoken] = Spoken) -> AsyncGenerator[Client]:
    async with serve(app, http=http) as url, asyncio.timeout(20):
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        yield Client(reader, writer)
        writer.close()


class Echo:
    """Answers with the body it was sent, at once where it can; ``ways`` tells how it was read and answered."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.ways: list[tuple[bool, bool]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        at_once = direct(scope)
        assert at_once is not None
        whole = at_once.whole_body(scope)
        body = await self._received(receive) if whole is None else whole
        is_told = at_once.answer(scope, self.status, LINES, body)
        self.ways.append((whole is not None, is_told))
        if not is_told:
            headers = [*HEADERS, (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": self.status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    async def _received(self, receive: Receive) -> bytes:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        return body


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
    made = Spoken.__init__

    def impatient(self: Spoken, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        self.timeout_keep_alive = 0.2  # pyright: ignore[reportAttributeAccessIssue]  uvicorn's own is of seconds

    monkeypatch.setattr(Spoken, "__init__", impatient)
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


async def test_where_another_server_serves_nothing_is_done_at_once():
    assert direct({"type": "http"}) is None
    assert direct({"type": "http", "extensions": {"http.response.push": {}}}) is None
