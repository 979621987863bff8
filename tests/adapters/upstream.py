"""Upstreams on loopback that answer as they are told, well or badly, and transports over them.

The tests of the transport share these: ``over`` an ``Upstream`` for whatever HTTP can say, ``calling`` a ``raw``
server for what it cannot.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.routing import Route

from adapters import errors, transport
from adapters.auth import Authorizer
from adapters.channel import Wanted
from adapters.dialling import Origin
from adapters.http1 import Client, field_lines, written
from adapters.imitation import serve
from adapters.transport import Request, Settings, Transport

READ = Request("list_things", "GET", "/things")
WRITE = Request("make_thing", "POST", "/things", json={"name": "a"}, safe=False)
SAFE_POST = Request("search", "POST", "/search", json={"page": 1})
KEEPING = "/keeping"
"""What is asked for so that there is a kept socket, and not counted."""


class Seen(NamedTuple):
    """One call as the upstream received it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Upstream:
    """Answers in turn what it is told to, the last answer for ever; holds its answers while ``gate`` is closed."""

    def __init__(self, *answers: Response) -> None:
        self.answers = answers or (Response(b"[]"),)
        self.seen: list[Seen] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.now = self.most = self.abandoned = 0
        self.app = Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "POST"])])

    async def answer(self, request: Asked) -> Response:
        if request.url.path == KEEPING:
            return Response()
        answer = self.answers[min(len(self.seen), len(self.answers) - 1)]
        self.seen.append(Seen(request.method, request.url.path, request.headers, await request.body()))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            while not self.gate.is_set():
                if await request.is_disconnected():
                    self.abandoned += 1
                    break
                await asyncio.sleep(0.005)
        finally:
            self.now -= 1
        return answer


@contextlib.asynccontextmanager
async def calling(
    base_url: str,
    *,
    authorizer: Authorizer | None = None,
    headers: Mapping[str, str] = {},
    hooks: Sequence[transport.Hook] = (),
    kept: bool = False,
    **settings: Any,
) -> AsyncGenerator[Transport]:
    """A transport that neither retries nor breaks unless told to, with a ``kept`` socket at hand or none."""
    async with Client() as client:
        if kept:
            origin = Origin.of(httpx.URL(base_url))
            asked = written(b"GET", KEEPING.encode(), field_lines([(b"Host", origin.authority)]))
            await client.exchange(origin, asked, Wanted(1024))
        yield Transport(
            instance="acme",
            provider="test",
            settings=Settings(**{"retries": 0, "break_after": 1000, **settings}),
            base_url=base_url,
            client=client,
            authorizer=authorizer,
            headers=headers,
            hooks=hooks,
        )


@contextlib.asynccontextmanager
async def over(upstream: Upstream, *, kept: bool = True, **settings: Any) -> AsyncGenerator[Transport]:
    async with serve(upstream.app) as url, calling(url, kept=kept, **settings) as sender:
        yield sender


@contextlib.asynccontextmanager
async def half_open(upstream: Upstream, **settings: Any) -> AsyncGenerator[Transport]:
    """A transport that has opened after one failed call, and may try again now."""
    async with over(upstream, break_after=1, break_for=0.05, **settings) as sender:
        with pytest.raises(errors.UpstreamFault):
            await sender.send(READ)
        await until(lambda: sender.breaker.state == "HALF_OPEN")
        yield sender


Nasty = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw(*answers: bytes, then: Nasty | None = None) -> AsyncGenerator[str]:
    """A server that reads a request's head, writes ``answers`` one by one, does ``then`` and closes."""
    running: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for answer in answers:
            writer.write(answer)
            await writer.drain()
        if then is not None:
            await then(reader, writer)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.gather(*running)


async def until_they_leave(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connected = writer.get_extra_info("socket")
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def answer(body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = ("HTTP/1.1 200 OK", f"Content-Length: {len(body) if length is None else length}", *headers)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


async def outcomes(*calls: Awaitable[bytes]) -> list[Any]:
    async with asyncio.timeout(20):
        return await asyncio.gather(*calls, return_exceptions=True)


async def failing(sender: Transport, times: int) -> list[type]:
    return [type((await outcomes(sender.send(READ)))[0]) for _ in range(times)]


def read(number: object) -> Request:
    return READ.of(query=[("number", str(number))])
