"""Load: requests made ready before, sent over a few sockets as fast as they are answered, and timed.

As little as can be is done for each, because whoever sends shares a core with the upstream. ``python -m
benchmarks.load`` does it in a process of its own, for profiles: told what to send, it says the figures.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import uvloop

from benchmarks.talk import lines, say

HOST = "127.0.0.1"


class Sent(NamedTuple):
    """What came of it: how long each request took, and all of them together, in seconds."""

    times: Sequence[float]
    seconds: float
    failed: int

    @property
    def per_second(self) -> float:
        return len(self.times) / self.seconds

    def percentile_ms(self, percent: int) -> float:
        """The time that so many in a hundred were answered in."""
        return 1000 * sorted(self.times)[max(0, -(-percent * len(self.times) // 100) - 1)]


class _Caller(asyncio.Protocol):
    """One socket: a request, its answer, the next request, until the time is over."""

    def __init__(self, requests: Iterator[bytes], ends_at: float) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self.times: list[float] = []
        self.failed = 0
        self._requests = requests
        self._ends_at = ends_at
        self._missing = -1
        self._head = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._send()

    def _send(self) -> None:
        self._missing, self._head = -1, b""
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            at = self._head.index(b"content-length: ") + 16
            self._missing = int(self._head[at : self._head.index(b"\r\n", at)]) + end + 4 - len(self._head)
            self.failed += not self._head.startswith(b"HTTP/1.1 200")
        else:
            self._missing -= len(data)
        if self._missing == 0:
            self._answered()

    def _answered(self) -> None:
        now = time.perf_counter()
        self.times.append(now - self._began)
        if now < self._ends_at:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed += exc is not None or self._missing != 0
        if not self.done.done():
            self.done.set_result(None)


async def send(port: int, requests: Sequence[bytes], *, sockets: int, seconds: float) -> Sent:
    """Send these in turn for so long. Every request that was begun is answered before this returns."""
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    each = itertools.cycle(requests)
    made = [await loop.create_connection(lambda: _Caller(each, began + seconds), HOST, port) for _ in range(sockets)]
    callers = [caller for _, caller in made]
    await asyncio.gather(*(caller.done for caller in callers))
    times = [taken for caller in callers for taken in caller.times]
    return Sent(times, time.perf_counter() - began, sum(caller.failed for caller in callers))


def post(path: str, body: Any) -> bytes:
    """A request with a JSON body, as it goes over the wire."""
    content = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\naccept: application/json\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def main() -> None:
    """Send what is told."""
    async for told in lines():
        requests = [post("/graphql", body) for body in told["bodies"]]
        sent = await send(told["port"], requests, sockets=told["sockets"], seconds=told["seconds"])
        say({"requests": len(sent.times), "failed": sent.failed})


if __name__ == "__main__":
    uvloop.run(main())
