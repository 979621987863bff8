"""An app behind the gateway's server, and a client that speaks to it over a socket, byte by byte."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import pytest
from starlette.types import Receive, Scope, Send

from adapters.imitation import serve
from gateway.protocol import Spoken, by_name, direct

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


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

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed the socket; with a reset where it had not read all that was sent."""
        return self.reader.at_eof() or isinstance(self.reader.exception(), ConnectionError)

    @property
    def socket(self) -> socket.socket:
        return self.writer.get_extra_info("socket")

    async def is_left(self) -> bytes:
        """What still comes before the server closes the socket."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    async def answer(self, *, has_body: bool = True) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
        length = int(headers.get("content-length", 0)) if has_body else 0
        return Answer(int(line.split()[1]), headers, await self.reader.readexactly(length))


LINES = b"content-type: text/plain\r\nx-own: yes\r\n"
HEADERS = [(b"content-type", b"text/plain"), (b"x-own", b"yes")]


class Echo:
    """Answers with the body it was sent, or what a subclass says, at once where it can; ``ways`` tells how it was read
    and answered."""

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
        answer = self.answer_to(scope, body)
        is_told = at_once.answer(scope, self.status, LINES, answer)
        self.ways.append((whole is not None, is_told))
        if not is_told:
            headers = [*HEADERS, (b"content-length", b"%d" % len(answer))]
            await send({"type": "http.response.start", "status": self.status, "headers": headers})
            await send({"type": "http.response.body", "body": answer})

    def answer_to(self, scope: Scope, body: bytes) -> bytes:
        return body

    async def _received(self, receive: Receive) -> bytes:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        return body


class Seen(Echo):
    """As `Echo`; keeps what it was told of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.scopes: list[dict[str, Any]] = []
        self.fields: list[Mapping[bytes, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.scopes.append({**scope, "headers": list(scope["headers"]), "extensions": None})
            at_once = direct(scope)
            assert at_once is not None
            head = at_once.head(scope)
            self.fields.append(by_name(scope["headers"]) if head is None else head.fields)
            scope["headers"].clear()  # it is the app's own
        await super().__call__(scope, receive, send)


@contextlib.asynccontextmanager
async def over(app: App, http: type[Spoken] = Spoken, *, is_small: bool = False) -> AsyncGenerator[Client]:
    """A client of this app; a small one has room for little that it has not read."""
    async with serve(app, http=http) as url, asyncio.timeout(20):
        client = await connected(url, is_small=is_small)
        yield client
        client.writer.close()


async def connected(url: str, *, is_small: bool = False) -> Client:
    """Likewise, of an app that is served there."""
    host, _, port = url.removeprefix("http://").partition(":")
    end = socket.socket()
    end.setblocking(False)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or what is sent ahead waits for an acknowledgement
    if is_small:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    await asyncio.get_running_loop().sock_connect(end, (host, int(port)))
    return Client(*await asyncio.open_connection(sock=end, limit=4_096 if is_small else 65_536))


def keep_for(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Keep a socket that nobody uses for so long; uvicorn counts whole seconds."""
    made = Spoken.__init__

    def impatient(self: Spoken, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        self.timeout_keep_alive = seconds  # pyright: ignore[reportAttributeAccessIssue]

    monkeypatch.setattr(Spoken, "__init__", impatient)
