"""What the imitation upstreams share: being served on loopback, knobs for trouble, and a journal of calls.

An imitation answers as the real upstream does, over real HTTP, with data that looks real, and keeps what is written to
it. Its knobs make it slow, broken, lying or rate limiting; its journal counts what was asked and its effects what was
carried out, which is what the tests count.
"""

import asyncio
import contextlib
import datetime as dt
import hashlib
import math
import socket
import time
import unicodedata
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Hashable, Iterable, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, TypeVar, Unpack

import msgspec
import uvicorn
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

T = TypeVar("T")

KNOBS_PATH = "/_knobs"

Collation = Literal["folded", "binary"]
"""How names are sorted: as people read them, or by code point."""


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


def collated(text: str, collation: Collation) -> tuple[str, ...]:
    """What ``text`` sorts by: folded, without case and accents first and as it stands then; binary, as it stands."""
    if collation == "binary":
        return (text,)
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part)), text


_WITHOUT_BODY = (204, 205, 304)


class Knobs(msgspec.Struct, forbid_unknown_fields=True):
    """Trouble to make. ``only`` limits it to calls whose ``METHOD /path`` contains this text, ``times`` to so many of
    them.

    ``delay_s`` waits before answering; ``status`` answers that status with the upstream's own error body, and
    ``retry_after_s`` adds the header; ``body`` answers this text with status 200 instead of the data; ``hang`` never
    answers; ``reset`` closes the socket without an answer. ``cut`` sends the head of the upstream's own answer with its
    right Content-Length, then the first half of its body, and closes the socket. Where several of these are asked for,
    the first of hang, reset, body, status and cut is made.

    A call that meets ``hang``, ``reset``, ``body`` or ``status`` is not carried out: what it asks for never happens.
    With ``late`` it is carried out first, and its answer thrown away: the trouble is with the answer alone. With
    ``cut`` it always is. With ``delay_s`` alone it is too: after the wait, or before it with ``late``, even if the
    caller has left meanwhile; then its own answer is sent.
    """

    delay_s: float = 0.0
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    retry_after_s: float | None = None
    body: str | None = None
    hang: bool = False
    reset: bool = False
    cut: bool = False
    late: bool = False
    only: str = ""
    times: int | None = None

    def applies(self, call: str) -> bool:
        """Whether this call meets the trouble; uses up one of ``times``."""
        if self.only not in call or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Asked(msgspec.Struct):
    """One call in full. ``query`` is as it stood in the URL; ``body`` has what the imitation read of it."""

    method: str
    path: str
    query: str
    body: bytes = b""

    def params(self) -> QueryParams:
        """The query by name."""
        return QueryParams(self.query)

    def json(self) -> Any:
        """The body decoded, or None where there was none."""
        return msgspec.json.decode(self.body) if self.body else None


class Journal:
    """The calls an imitation answered, in order: as ``METHOD /path``, and in full in ``asked``."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.asked: list[Asked] = []

    def note(self, asked: Asked) -> None:
        self.calls.append(f"{asked.method} {asked.path}")
        self.asked.append(asked)

    def count(self, part: str = "") -> int:
        """How many calls contained ``part``."""
        return sum(part in call for call in self.calls)

    def by_path(self) -> Counter[str]:
        return Counter(self.calls)

    def clear(self) -> None:
        self.calls.clear()
        self.asked.clear()


class Effect(NamedTuple):
    """Something that was really carried out: what, and the native id of what it was done to."""

    kind: str
    id: str


class ImitationServer:
    """The base of a provider's imitation: its ``app`` behind knobs and journal, and how to serve it.

    ``effects`` has what calls really did, in order; refused calls and those lost to a knob are in the journal alone.
    A subclass says which kinds it has.
    """

    app: ASGIApp

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.knobs = Knobs()
        self.journal = Journal()
        self.effects: list[Effect] = []

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


class Cut(NamedTuple):
    """One page of a list: the numbers of its rows, and where the next page starts, or None at the end."""

    numbers: Sequence[int]
    next: int | None


def cut(rows: Sequence[int], start: int, limit: int, *, cap: int | None = None, repeats: bool = False) -> Cut:
    """Up to ``limit`` rows from ``start`` on, with the unruliness that `ListImitation` describes."""
    limit = limit if cap is None else min(limit, cap)
    end = start + limit
    if repeats and start > 0 and limit < len(rows):
        return Cut([rows[place % len(rows)] for place in range(limit, 2 * limit)], end)
    return Cut(rows[start:end], end if end < len(rows) else None)


def doubled(rows: Iterable[int]) -> list[int]:
    """Every third of the rows twice in a row."""
    return [row for place, row in enumerate(rows, 1) for _ in range(2 if place % 3 == 0 else 1)]


class Unruliness(TypedDict, total=False):
    """What a `ListImitation` takes to make its list unruly from the start."""

    page_cap: int | None
    repeats: bool
    doubles: bool


class ListImitation(ImitationServer):
    """An imitation whose rows have numbers, from 0 up, and are made only when they are sent, so that a fleet of any
    size costs no more than its pages. A subclass says what the id of a number is, and what its row.

    There are ``size`` rows; more appear at the end. ``deleted`` holds native ids of rows that are gone, from lists and
    from reads by id, and ``unlisted`` those of rows that are gone from lists alone. All may change at any time, and so
    may what makes the list of connections unruly:

    - ``page_cap``: a page never has more rows than this, whatever is asked for, and the list goes on behind them.
    - ``repeats``: from the second page on, the second page comes again for ever and promises more. Where the list
      ends before that page is full, it is filled up from the front, since a short page would be the end.
    - ``doubles``: every third row of the list is sent twice in a row. Pages count, and may part, the two.
    """

    def __init__(self, size: int, clock: Callable[[], float], **unruliness: Unpack[Unruliness]) -> None:
        super().__init__(clock)
        self.size = size
        self.deleted: set[str] = set()
        self.unlisted: set[str] = set()
        self.page_cap = unruliness.get("page_cap")
        self.repeats = unruliness.get("repeats", False)
        self.doubles = unruliness.get("doubles", False)
        self._numbers: dict[str, int] = {}
        self._columns: dict[str, tuple[Callable[[int], Any], list[Any]]] = {}
        self._whole: dict[Hashable, list[int]] = {}
        self._left: dict[Hashable, list[int]] = {}
        self._kept_for: tuple[int, set[str]] = (0, set())

    def add(self) -> int:
        """The number of a new row, at the end. Whoever writes the row says so afterwards: `touched`."""
        self.size += 1
        return self.size - 1

    def touched(self, number: int) -> None:
        """This row is no longer what it was: nothing is kept of what was computed from it."""
        for of, values in self._columns.values():
            if number < len(values):
                values[number] = of(number)
        self._whole.clear()
        self._left.clear()

    def id_of(self, number: int) -> str:
        """The provider's id of a row."""
        raise NotImplementedError

    def row(self, number: int) -> dict[str, Any]:
        """A row as it is now."""
        raise NotImplementedError

    def rows(self) -> list[dict[str, Any]]:
        """All rows as they are now, by number. Makes every one of them: slow for a fleet."""
        return [self.row(number) for number in self.ordered("number", iter)]

    def number(self, id: object, below: int) -> int | None:
        """The number of the row with this id, if it is less than ``below`` and the row not deleted."""
        for number in range(len(self._numbers), below):
            self._numbers[self.id_of(number)] = number
        number = self._numbers.get(id) if isinstance(id, str) and id not in self.deleted else None
        return number if number is not None and number < below else None

    def column(self, name: str, of: Callable[[int], T]) -> list[T]:
        """``of`` every number, each computed once until it is `touched`: for what neither the clock nor the size
        changes."""
        of, values = self._columns.setdefault(name, (of, []))
        values += map(of, range(len(values), self.size))
        return values

    def ordered(self, key: Hashable, make: Callable[[range], Iterable[int]]) -> list[int]:
        """The rows that ``make`` chooses of all numbers, in its order, without those that are gone from lists.

        Made once for each ``key`` while ``size`` stays the same and no row is `touched`, so neither choice nor order
        may look at the clock.
        """
        self._drop_what_changed()
        if key not in self._left:
            if key not in self._whole:
                self._whole[key] = list(make(range(self.size)))
            ids = self.column("id", self.id_of)
            gone = self.deleted | self.unlisted
            self._left[key] = [number for number in self._whole[key] if ids[number] not in gone]
        return self._left[key]

    def _drop_what_changed(self) -> None:
        size, gone = self._kept_for
        if size != self.size:
            self._whole.clear()
        if size != self.size or gone != self.deleted | self.unlisted:
            self._left.clear()
            self._kept_for = self.size, self.deleted | self.unlisted

    def page(self, rows: Sequence[int], start: int, limit: int) -> Cut:
        """The page at ``start`` of the list that is sent for ``rows``."""
        return cut(self.sent(rows), start, limit, cap=self.page_cap, repeats=self.repeats)

    def sent(self, rows: Sequence[int]) -> Sequence[int]:
        """``rows`` as often as each is sent."""
        return doubled(rows) if self.doubles else rows


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
            await self._answer(scope, self._noting(scope, receive), send)

    def _noting(self, scope: Scope, receive: Receive) -> Receive:
        """Notes the call, and gives a ``receive`` that adds to the note whatever is read of its body."""
        asked = Asked(scope["method"], scope["path"], scope["query_string"].decode())
        self._server.journal.note(asked)

        async def noting() -> Message:
            message = await receive()
            asked.body += message.get("body", b"")
            return message

        return noting

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        knobs, app = self._server.knobs, self._server.app
        if not knobs.applies(f"{scope['method']} {scope['path']}"):
            await app(scope, receive, send)
            return
        # Read whole before anything else: what a caller asked for goes on though it leaves during the trouble.
        asked = await _read(receive)
        if asked is None:
            return
        if knobs.late:
            app = await _carried_out(app, scope, _again(asked, receive))
        await asyncio.sleep(knobs.delay_s)
        if knobs.hang:
            await _left(receive)
        elif knobs.reset:
            scope["transport"].abort()
            await _left(receive)
        elif (instead := self._instead(knobs)) is not None:
            await instead(scope, receive, send)
        elif knobs.cut:
            await _cut(await _carried_out(app, scope, _again(asked, receive)), scope, receive, send)
        else:
            await app(scope, _again(asked, receive), send)

    def _instead(self, knobs: Knobs) -> ASGIApp | None:
        if knobs.body is not None:
            return Response(knobs.body, media_type="application/json")
        if knobs.status is None:
            return None
        is_empty = knobs.status in _WITHOUT_BODY
        response = Response(status_code=knobs.status) if is_empty else self._server.error_response(knobs.status)
        if knobs.retry_after_s is not None:
            response.headers["Retry-After"] = f"{knobs.retry_after_s:g}"
        return response

    async def _turn(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /_knobs`` with a JSON object sets all knobs anew; ``GET`` shows them. What they do not understand is
        answered 400, and turns none."""
        if scope["method"] == "POST":
            body = await Request(scope, receive).body()
            try:
                self._server.knobs = msgspec.json.decode(body or b"{}", type=Knobs)
            except msgspec.DecodeError as error:
                await JSONResponse({"error": str(error)}, status_code=400)(scope, receive, send)
                return
        await JSONResponse(msgspec.to_builtins(self._server.knobs))(scope, receive, send)


async def _read(receive: Receive) -> bytes | None:
    """The whole body of a call; None where the caller left before it was sent."""
    body, goes_on = b"", True
    while goes_on:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        goes_on = message.get("more_body", False)
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives the body that was read already, and then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


async def _left(receive: Receive) -> None:
    """Returns when the caller has closed the socket, or it was closed on them."""
    while (await receive())["type"] != "http.disconnect":
        pass


class _Answered(NamedTuple):
    """An answer that was given and not yet sent; an app that sends it."""

    messages: Sequence[Message]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for message in self.messages:
            await send(message)


async def _carried_out(app: ASGIApp, scope: Scope, receive: Receive) -> _Answered:
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    return _Answered(messages)


async def _cut(answered: _Answered, scope: Scope, receive: Receive, send: Send) -> None:
    head, *rest = answered.messages
    body = b"".join(message.get("body", b"") for message in rest)
    await send(head)
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    scope["transport"].close()
    await _left(receive)


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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, which waits a tenth of a second for sockets to close, and as long again for each look whether
        they did: tests end thousands of servers."""
        for server in self.servers:
            server.close()
        for listening in sockets or ():
            listening.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while state.connections or state.tasks:  # noqa: ASYNC110  nobody tells when
                    await asyncio.sleep(0.002)
                for server in self.servers:
                    await server.wait_closed()
        except TimeoutError:
            for task in state.tasks:
                task.cancel()
        await self.lifespan.shutdown()

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
async def serve(
    app: ASGIApp, port: int = 0, host: str = "127.0.0.1", *, http: type[asyncio.Protocol] = _Protocol
) -> AsyncGenerator[str]:
    """Serve an ASGI app inside the running loop until the block ends; gives its base URL.

    Raises OSError where the port is taken.
    """
    with listener(host, port) as listening:
        config = uvicorn.Config(
            app,
            http=http,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
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
