"""What sockets alone cost: each request is answered by bytes from memory, or by those that an upstream answers to bytes
from memory. Nothing is parsed, made or told: nobody who speaks over the same event loop can take less.

``python -m benchmarks.bare PORT INSTANCES``, as `benchmarks.plain`. Requests are those of the floor, for one connection
by id; at ``/kept`` they are answered from memory. What comes for the first time is come by as the floor does it. After
that, whatever comes over an upstream's socket is taken for all of an answer, as it is here: each fits into one segment.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import httpx
import uvloop

from adapters.http1 import field_lines, written
from adapters.imitation import listener
from benchmarks.fast import answered, length
from benchmarks.plain import Upstreams

_EMPTY = answered(b"")


class Known(NamedTuple):
    """What a request was answered, and the call that this took, as it is sent."""

    answer: bytes
    call: bytes
    port: int


class Calls:
    """The calls that were made for requests, by the requests' bodies."""

    def __init__(self, upstreams: Upstreams) -> None:
        self.known: dict[bytes, Known] = {}
        self._upstreams = upstreams
        self._latest: httpx.Request | None = None
        upstreams.client.event_hooks["request"].append(self._note)

    async def _note(self, request: httpx.Request) -> None:
        self._latest = request

    async def known_after(self, body: bytes) -> Known:
        """What is known of a request once it was asked for."""
        ((instance, id),) = json.loads(body)["ids"]
        answer = await self._upstreams.body(instance, id)
        called = cast("httpx.Request", self._latest)
        head = written(called.method.encode(), called.url.raw_path, field_lines(called.headers.raw))
        call = head + await called.aread()
        found = self.known[body] = Known(answered(json.dumps(answer).encode()), call, called.url.port or 80)
        return found


class Bare(asyncio.Protocol):
    """One client, and the socket over which its calls go."""

    transport: asyncio.Transport

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._known = calls.known
        self._received = b""
        self._upstream: asyncio.Transport | None = None
        self._learning: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._upstream is not None:
            self._upstream.close()

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data if self._received else data
        head, end, body = received.partition(b"\r\n\r\n")
        known = self._known.get(body)
        if known is not None and head.startswith(b"POST /kept"):
            self._received = b""
            self.transport.write(known.answer)
        elif known is not None and self._upstream is not None:
            self._received = b""
            self._upstream.write(known.call)
        elif end and len(body) >= length(head):
            self._received = b""
            self._learning = asyncio.create_task(self._learn(body))

    async def _learn(self, body: bytes) -> None:
        """Answer what came for the first time, over this socket or any."""
        if not body:  # which is asked whether this is ready
            self.transport.write(_EMPTY)
            return
        known = self._known.get(body) or await self._calls.known_after(body)
        if self._upstream is None:
            loop = asyncio.get_running_loop()
            self._upstream, _ = await loop.create_connection(lambda: Passing(self.transport), "127.0.0.1", known.port)
        self.transport.write(known.answer)


class Passing(asyncio.Protocol):
    """The upstream's end: what it says is passed on."""

    def __init__(self, to: asyncio.Transport) -> None:
        self._to = to

    def data_received(self, data: bytes) -> None:
        self._to.write(data)


async def serve(port: int, instances: Mapping[str, Any]) -> None:
    """Serve it."""
    upstreams = Upstreams(instances)
    await upstreams.start()
    calls = Calls(upstreams)
    with listener("127.0.0.1", port) as listening:
        server = await asyncio.get_running_loop().create_server(lambda: Bare(calls), sock=listening)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), json.loads(sys.argv[2])))
