"""What the imitation upstreams share: being served on loopback, knobs for trouble, and a journal of calls.

An imitation answers as the real upstream does, over real HTTP, with data that looks real. Its knobs make it slow,
broken, lying or rate limiting; its journal counts what was asked, which is what the tests count.
"""

import asyncio
import contextlib
import datetime as dt
import hashlib
import math
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import Any, NamedTuple

import msgspec
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

KNOBS_PATH = "/_knobs"


class Beat(NamedTuple):
    """One run as a rhythm has it at some moment: ``ended_at`` is None while it goes on, ``progress`` is 0..1."""

    number: int
    started_at: float
    ended_at: float | None
    outcome: str
    progress: float


class Rhythm(NamedTuple):
    """Runs that come by themselves: every ``period_s`` one that takes ``lasts_s``, with ``outcomes`` in turn.

    A pure function of the time, so that data lives without anything running, and a test can look at any moment.
    Seconds are since 1970.
    """

    period_s: float
    lasts_s: float
    phase_s: float
    outcomes: Sequence[str]

    def beat(self, now: float, back: int = 0) -> Beat:
        """The run going on or last ended at ``now``, or the one ``back`` before it."""
        number = math.floor((now - self.phase_s) / self.period_s) - back
        started_at = self.phase_s + number * self.period_s
        progress = min(1.0, (now - started_at) / self.lasts_s)
        ended_at = started_at + self.lasts_s if progress >= 1 else None
        return Beat(number, started_at, ended_at, self.outcomes[number % len(self.outcomes)], progress)


def native_id(*parts: object) -> str:
    """32 hex digits that are the same for the same parts in every process."""
    return hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=16).hexdigest()


def iso(seconds: float) -> str:
    """ISO-8601 in UTC with milliseconds and a Z, as the upstreams write it."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Knobs(msgspec.Struct, forbid_unknown_fields=True):
    """Trouble to make. ``only`` limits it to paths that contain this text; ``times`` to so many calls.

    ``delay_s`` waits before answering; ``status`` answers that status with the upstream's own error body, and
    ``retry_after_s`` adds the header; ``body`` answers this text with status 200 instead of the data; ``hang`` never
    answers; ``reset`` closes the socket without an answer.
    """

    delay_s: float = 0.0
    status: int | None = None
    retry_after_s: float | None = None
    body: str | None = None
    hang: bool = False
    reset: bool = False
    only: str = ""
    times: int | None = None

    def applies(self, path: str) -> bool:
        """Whether this call meets the trouble; uses up one of ``times``."""
        if self.only not in path or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Journal:
    """The calls an imitation answered, in order, as ``METHOD /path``."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def count(self, part: str = "") -> int:
        """How many calls contained ``part``."""
        return sum(part in call for call in self.calls)

    def by_path(self) -> Counter[str]:
        return Counter(self.calls)

    def clear(self) -> None:
        self.calls.clear()


class ImitationServer:
    """The base of a provider's imitation: its ``app`` behind knobs and journal, and how to serve it."""

    app: ASGIApp

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.knobs = Knobs()
        self.journal = Journal()

    def error_response(self, status: int) -> Response:
        """The upstream's own error body for ``status``; the subclass knows its shape."""
        return JSONResponse({"message": "imitated failure"}, status)

    def settings(self, base_url: str) -> dict[str, Any]:
        """The configuration of an instance over this imitation."""
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncGenerator[str]:
        """Serve on a loopback port; gives the base URL, without a slash at its end."""
        async with serve(Troubled(self), port) as url:
            yield url


class Troubled:
    """ASGI middleware: notes each call in the journal and makes the trouble the knobs ask for."""

    def __init__(self, server: ImitationServer) -> None:
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._server.app(scope, receive, send)
        elif scope["path"] == KNOBS_PATH:
            await self._turn(scope, receive, send)
        else:
            self._server.journal.calls.append(f"{scope['method']} {scope['path']}")
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        knobs = self._server.knobs
        if not knobs.applies(scope["path"]):
            await self._server.app(scope, receive, send)
            return
        await asyncio.sleep(knobs.delay_s)
        if knobs.hang:
            await receive()  # the request itself
            while (await receive())["type"] != "http.disconnect":
                pass
        elif knobs.reset:
            scope["transport"].abort()
        else:
            await (self._instead() or self._server.app)(scope, receive, send)

    def _instead(self) -> ASGIApp | None:
        knobs = self._server.knobs
        if knobs.body is not None:
            return Response(knobs.body, media_type="application/json")
        if knobs.status is None:
            return None
        response = self._server.error_response(knobs.status)
        if knobs.retry_after_s is not None:
            response.headers["Retry-After"] = f"{knobs.retry_after_s:g}"
        return response

    async def _turn(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /_knobs`` with a JSON object sets all knobs anew; ``GET`` shows them."""
        if scope["method"] == "POST":
            body = await Request(scope, receive).body()
            self._server.knobs = msgspec.json.decode(body or b"{}", type=Knobs)
        await JSONResponse(msgspec.to_builtins(self._server.knobs))(scope, receive, send)


class _Protocol(HttpToolsProtocol):
    """uvicorn's HTTP, telling the application which socket it is on, so that a knob can tear it down."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["transport"] = self.transport  # type: ignore[typeddict-unknown-key]


class _QuietServer(uvicorn.Server):
    """A server inside somebody else's process: signals are the process's own business, and it stops at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):  # uvicorn's own tick
                    await self._stopping.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def listener(host: str, port: int) -> socket.socket:
    """A socket that listens, on a free port where ``port`` is 0. Raises OSError where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=2048)
    # asyncio sets this on sockets it made itself only; without it every answer waits 40 ms for an acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


@contextlib.asynccontextmanager
async def serve(app: ASGIApp, port: int = 0, host: str = "127.0.0.1") -> AsyncGenerator[str]:
    """Serve an ASGI app inside the running loop until the block ends; gives its base URL.

    Raises OSError where the port is taken.
    """
    with listener(host, port) as listening:
        config = uvicorn.Config(
            app,
            http=_Protocol,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="auto",
            timeout_graceful_shutdown=1,
        )
        server = _QuietServer(config)
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            while not server.started:
                if running.done():
                    running.result()
                    raise RuntimeError("the server ended before it started")
                await asyncio.sleep(0.005)
            yield f"http://{host}:{listening.getsockname()[1]}"
        finally:
            server.stop()
            await running
