"""What tests of requests that come again share."""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, TypeAlias, cast

import httpx

from adapters.errors import NotFound
from adapters.model import Connection
from adapters.port import Found, List, Page, Reader
from adapters.walk import find
from gateway.protection.body import Operation
from tests.conftest import Fleet
from tests.gateway.listed import Listed, connection

Executed: TypeAlias = list[Operation]
"""The operations that were executed."""


class Client:
    """A client that sends head and body at once, so that nothing need be begun for what comes again."""

    def __init__(self, *, in_pieces: bool = False) -> None:
        self._in_pieces = in_pieces

    async def post(self, url: str, *, json: Any, headers: Mapping[str, str] = {}) -> httpx.Response:
        (response,) = await self.ahead(url, [json], headers)
        return response

    async def ahead(
        self, url: str, bodies: Sequence[Any], headers: Mapping[str, str] = {}, *, pause_s: float = 0
    ) -> Sequence[httpx.Response]:
        """The answers to several requests, of which none is waited for before the next one is sent."""
        requests = [httpx.Request("POST", url, json=body, headers=headers) for body in bodies]
        place = requests[0].url
        if self._socket is None or self._socket[0] != place.port:
            self.close()
            self._socket = place.port, *await asyncio.open_connection(place.host, place.port)
            connected = self._socket[2].get_extra_info("socket")
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _, reader, writer = self._socket
        for request in requests:
            lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
            writer.write(f"POST {place.path} HTTP/1.1\r\n{lines}\r\n".encode())
            if self._in_pieces:
                await asyncio.sleep(0.001)
            writer.write(request.content)
            if pause_s:
                await asyncio.sleep(pause_s)  # so that each comes by itself
        return [await _answer(reader) for _ in requests]

    _socket: tuple[int | None, asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        if self._socket is not None:
            self._socket[2].close()
            self._socket = None


async def _answer(reader: asyncio.StreamReader) -> httpx.Response:
    first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    told = dict(line.split(": ", 1) for line in rest)
    body = await reader.readexactly(int(told["content-length"]))
    return httpx.Response(int(first.split()[1]), headers=told, content=body)


class Rows(Listed):
    """Finds ids in its lists, as real ones do."""

    async def get_many(self, wanted: Mapping[str, Any], read: Reader | None = None) -> Found:
        async def get(id: str) -> Connection:
            for row in self.rows:
                if row.native_id == id:
                    return row
            raise NotFound("nothing has this id")

        return Found(await find(list(wanted), parts=tuple(self.lists), read=read or self.read, get=get))


class Slow(Rows):
    """Takes its time; ``hangs`` are reads that never end, of which ``ended`` were given up. ``untold`` is raised by who
    asks for its parts."""

    delay_s = parts_delay_s = 0.0
    hangs = ended = parts_asked = 0
    untold: BaseException | None = None

    async def parts(self) -> Sequence[str]:
        self.parts_asked += 1
        if self.parts_delay_s:
            await asyncio.sleep(self.parts_delay_s)
        if self.untold is not None:
            raise self.untold
        return await super().parts()

    async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
        if self.hangs:
            self.hangs -= 1
            self.reads.append((of, after))
            try:
                await asyncio.Event().wait()
            finally:
                self.ended += 1
        page = await super().read(of, after=after, last=last)
        await asyncio.sleep(self.delay_s)
        return page


@contextlib.asynccontextmanager
async def whole_to(fleet: Fleet) -> AsyncGenerator[Fleet]:
    """The fleet asked by a client that sends each request in one piece, as browsers do."""
    with contextlib.closing(Client()) as client:
        yield Fleet(fleet.url, fleet.servers, cast("Any", client))


async def anew(fleet: Fleet, query: str) -> Any:
    """What the query is told by a request that has never come before, which is executed."""
    return await fleet.ask(query, {"unused": next(_numbers)})


_numbers = itertools.count()


def id_of(number: int) -> str:
    return f"{number:08}-0000-4000-8000-000000000000"


def rows_of(instance: str, count: int) -> list[Connection]:
    return [connection(instance, id_of(number), name=f"name {number:03}") for number in range(count)]
