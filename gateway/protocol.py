"""HTTP as uvicorn speaks it, with a shorter way for requests that came whole and answers that are whole.

An ASGI app is given a request's body in messages and gives its answer in two or more, each of which waits for its turn,
and each header is looked at every time for what no header can hold. Where the whole body is here before the app asks
for it, it may be taken as it is; and where the app has all of its answer, head and body go out in one write.

Clients send the same head again and again. One that was parsed before, to the last byte, is not parsed once more.
"""

import asyncio
import fcntl
import re
import sys
import termios
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Sized
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeAlias, cast
from weakref import WeakKeyDictionary

import msgspec
from starlette.responses import PlainTextResponse
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from adapters.alarm import Alarm


class Head(msgspec.Struct, eq=False):
    """What was parsed of a head that is followed by so many bytes of body, as a scope has it. ``note`` is what the app
    makes of it."""

    length: int
    method: str
    path: str
    raw_path: bytes
    query_string: bytes
    headers: Sequence[tuple[bytes, bytes]]
    fields: Mapping[bytes, bytes]
    note: Any = None


class Direct(Protocol):
    """What a server can do for an app beside what ASGI describes. ``loop`` is the one that it runs in."""

    loop: asyncio.AbstractEventLoop

    def head(self, scope: Scope) -> Head | None:
        """The head of the request, where the same came before; the very object each time, as long as it is known."""
        ...

    def whole_body(self, scope: Scope) -> bytes | None:
        """The body of the request, once; None where not all of it has come, and it is to be received."""
        ...

    def left(self, scope: Scope) -> Any:
        """What the app has, or had, under way for the request as `Soon`, once; None for all others."""
        ...

    def answer(self, scope: Scope, status: int, lines: bytes, body: bytes) -> bool:
        """Answer the request with header ``lines`` as they are sent, and a body whose length is told by the server.
        False where that is to be sent in messages."""
        ...


Whole: TypeAlias = tuple[bytes, bytes]
"""An answer whose status is 200: its header lines and its body."""


class Soon(Protocol):
    """An answer that is under way without a task that waits for it."""

    def then(self, done: Callable[[Whole | None], None]) -> None:
        """Have ``done`` told the answer, later and in the present context; None where the app is to be called. Where
        the server ends, it is called before, and this is left for it."""
        ...

    def give_up(self) -> None:
        """The client has left: nothing is to be told any more."""
        ...


_AtOnce: TypeAlias = Callable[[Head, bytes], Whole | Soon | None]
"""What an app may have as its ``at_once``, so that nothing need be begun for a request: gives the answer to a whole
one; None where the app is to be called for it, as for each HEAD. It must not raise."""


_OK_LINE: Final = STATUS_LINE[HTTPStatus.OK]
_EXTENSION: Final = "gateway.direct"
_END: Final = b"\r\n\r\n"
_LONGEST_HEAD, _LONGEST_BODY = 4096, 32_768
_HEADS_KEPT: Final = 256
_HEAD_WITHIN_S: Final = 10
"""How long the head of a request may take to come, and the first one of a socket to begin."""
_HEAD_BYTES: Final = 65_536
"""What is read of a head, but for what comes with its last byte, or with an earlier request."""
_EARLY_BYTES: Final = 65_536
"""What is read while an answer is under way for which nothing was begun."""
_WAITING: Final = 128
"""Requests that may wait on a socket while one before them is answered."""
_FRAMING: Final = 8
"""Bytes that may come beside that for a byte of a body; where each is a chunk of its own, it takes six."""
_IGNORED_BYTES: Final = 67_108_864
"""What is read of a request after its answer, within the time for which a socket is kept that nobody uses: where less
were read, clients that send all of a body first would never see why it was refused."""
_UNREAD_S: Final = 20
"""How long a client may read nothing of what waits for it. Looked at as often, so that it may take twice as long."""
_LONG_HEAD: Final = "The head of the request is too long."
_ALL_FRAMING: Final = "The request is nearly all framing."
_UPGRADE: Final = re.compile(rb"\r\nupgrade:[^\r\n]*(?=\r\n[^ \t])", re.IGNORECASE)


_TRAILER: Final[deque[tuple[bytes, bytes]]] = deque(maxlen=0)
"""Where the parser puts fields that come after a body: they are none of the head, and nothing of them is kept."""


def _has_body(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)


def by_name(headers: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Header fields by their names; of one sent twice the first."""
    return dict(reversed(headers))


def _unread_bytes(transport: asyncio.Transport) -> int:
    """What the client's end has not acknowledged of what was written."""
    waiting = transport.get_write_buffer_size()
    try:
        # The kernel takes more only when a third of its own part is free, which a slow reader may need minutes for.
        sent = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:  # as Linux does it, and not every system
        return waiting
    return waiting + int.from_bytes(sent, sys.byteorder)


class _Flow(FlowControl):
    """uvicorn's. Nothing is read while requests are ``waiting``, whoever asks for the rest of a body: those before them
    have all of theirs."""

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting
        self._is_over = False

    def resume_reading(self) -> None:
        if self.read_paused and not self._waiting and not self._is_over:
            super().resume_reading()

    def end_reading(self) -> None:
        """Read nothing any more."""
        self._is_over = True
        self.pause_reading()


_heads: Final[WeakKeyDictionary[Any, dict[bytes, Head]]] = WeakKeyDictionary()


def _heads_of(app: Any) -> dict[bytes, Head]:
    """The heads that are known of an app. All of its sockets share them, since its clients send the same ones."""
    return _heads.setdefault(app, {})


def direct(scope: Scope) -> Direct | None:
    """What the server of this request can do; None for any server but ours."""
    return scope.get("extensions", {}).get(_EXTENSION)


class Spoken(HttpToolsProtocol):
    """uvicorn's end of a socket, with that way, and with one timer for a socket that nobody uses where uvicorn has one
    for each answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # uvicorn goes by whether the logger has a handler, and somebody else may have given it one.
        self.access_log = self.access_log and cast("Any", self).config.access_log
        self._extensions: dict[str, Direct] = {_EXTENSION: self}
        self._app: Any = cast("Any", self).app
        self._heads = _heads_of(self._app)
        self._at_once: _AtOnce | None = getattr(self._app, "at_once", None)
        self._alarm = Alarm(self.loop, self._close)
        self._watch = Alarm(self.loop, self._look)
        self._unread_bytes = 0
        """What waited for the client when that was looked at last."""
        self._given: list[tuple[bytes, bytes]] = []
        self._given_lines = b""
        self._is_between = True
        """Whether the next byte begins a message."""
        self._begun = 0
        """Messages that the parser has met."""
        self._came_bytes = 0
        """How much has come of the message under way, but for what came with the end of an earlier one."""
        self._body_bytes = 0
        """How much of it is body."""
        self._ignored_bytes = 0
        """How much of it has come since it was answered."""
        self._head: Head | None = None
        """That of the latest request, where it is known."""
        self._soon: tuple[Soon, Head, bytes] | None = None
        """The answer that is under way for a request of which nothing was begun."""
        self._early = bytearray()
        """What came before that answer."""
        self._left: tuple[Scope, Soon] | None = None
        """The request that was begun after all, with what was under way for it."""

    # What uvicorn does otherwise

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self.flow = self._flow = _Flow(transport, self.pipeline)
        self._alarm.set(_HEAD_WITHIN_S)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._alarm.close()
        self._watch.close()
        soon, self._soon, self._early, self._left = self._soon, None, bytearray(), None
        if soon is not None:
            soon[0].give_up()
        self._extensions.clear()  # or scopes and this would hold each other until garbage is collected

    def data_received(self, data: bytes) -> None:
        if self._soon is not None:
            self._early += data
            if len(self._early) > _EARLY_BYTES:
                self.flow.pause_reading()  # which hides a client that leaves
            return
        cycle: Any = self.cycle
        is_first = self._is_between and (cycle is None or cycle.response_complete) and not self.pipeline
        end = data.find(_END) + len(_END) if is_first else 0
        if end < len(_END):
            self._parse(data)
            return
        head, rest = data[:end], len(data) - end
        known = self._heads.get(head)
        if known is not None and rest == known.length and self.limit_concurrency is None:
            self._take(known, data[end:])
            return
        begun = self._begun
        # The server may ignore an upgrade, but the parser takes the body for what is spoken after one.
        plain = _UPGRADE.sub(b"", head)
        self._parse(data if len(plain) == len(head) else plain + data[end:])
        if self._begun == begun + 1:  # and no line breaks after the last one, which are a message of nobody
            self._keep(head, rest)

    def _parse(self, data: bytes) -> None:
        """Have it parsed, and bound the message under way where all of this is a part of it."""
        first = self._begun + self._is_between
        super().data_received(data)
        if not self._is_between and self._begun <= first:
            self._bound(len(data))

    def _bound(self, came: int) -> None:
        """Refuse a head without an end, and a body that is nearly all trailer and extensions of chunks; and read no
        further where too much comes after the answer."""
        self._came_bytes += came
        if self.transport.is_closing():
            return
        if self._came_bytes > _HEAD_BYTES + _FRAMING * self._body_bytes:
            self.send_400_response(_ALL_FRAMING if self._is_headed else _LONG_HEAD)
        elif self._is_headed and self.cycle.response_complete:
            self._ignored_bytes += came
            if self._ignored_bytes > _IGNORED_BYTES:
                self._close()

    @property
    def _is_headed(self) -> bool:
        """Whether the head of the message under way is whole, and its request was begun or waits for its turn."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and cycle.scope is self.scope and not self._is_between

    def send_400_response(self, msg: str) -> None:
        """Refuse what is being read, in its turn: answers that are due before it are given, and nothing is read any
        more."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        is_own = self._is_headed
        if cycle is None or cycle.response_complete:
            if is_own:
                self._close()  # who was answered before the body was whole is not answered twice
            else:
                self._say_400(msg)
        elif is_own and self.pipeline:
            self.pipeline[0] = cycle, cast("Any", PlainTextResponse(msg, 400, {"connection": "close"}))
            self._flow.end_reading()
        elif is_own and not cycle.response_started:
            cycle.disconnected = True  # so that the app waits for no more, and says nothing after this
            cycle.message_event.set()
            self._say_400(msg)
        else:
            cycle.keep_alive = False
            self._flow.end_reading()

    def _say_400(self, msg: str) -> None:
        super().send_400_response(msg)
        self._close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun += 1
        self._is_between, self._head = False, None
        cast("Any", self.scope)["extensions"] = self._extensions
        self._came_bytes = self._body_bytes = self._ignored_bytes = 0
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete:  # or an answer under way would be cut off
            self._alarm.set(_HEAD_WITHIN_S)

    def on_headers_complete(self) -> None:
        is_upgrade = cast("Any", self.parser).should_upgrade()
        if is_upgrade and _has_body(self.headers):
            raise ValueError("the parser would take the body for another request")  # which uvicorn refuses
        if len(self.pipeline) >= _WAITING:
            raise ValueError("too many requests wait")  # likewise: they are answered, and the socket is closed
        self._alarm.clear()
        super().on_headers_complete()
        if is_upgrade:
            self.cycle.keep_alive = False  # the parser has lost what else came with it
        cast("Any", self).headers = _TRAILER

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_between = not cast("Any", self.parser).should_upgrade()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # Had it a callback to be forgotten by, the loop would take one more turn for it after each request.
        self.tasks.add(self.loop.create_task(self._run(cycle, app)))

    async def _run(self, cycle: RequestResponseCycle, app: Any) -> None:
        try:
            await cycle.run_asgi(app)
        finally:
            own: Any = asyncio.current_task(self.loop)
            self.tasks.discard(own)
            if self.transport.is_closing():
                self._close()

    def _unset_keepalive_if_required(self) -> None:
        pass  # any byte would do for uvicorn; here it takes the head of a request

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.flow.resume_reading()
            self._alarm.set(self.timeout_keep_alive)

    def shutdown(self) -> None:
        self._call()
        super().shutdown()
        if self.transport.is_closing():
            self._close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._watch.clear()

    # What it does not do

    def _close(self) -> None:
        """Close the socket when the client has read what waits for it, or reads no more of that."""
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._wait()

    def _wait(self) -> None:
        """Look later whether the client has read anything."""
        self._unread_bytes = _unread_bytes(self.transport)
        self._watch.set(_UNREAD_S)

    def _look(self) -> None:
        if _unread_bytes(self.transport) < self._unread_bytes:
            self._wait()
        else:
            self.transport.abort()

    def _take(self, known: Head, body: bytes) -> None:
        """Answer a request whose head is known, or begin with it."""
        is_open = not (self.access_log or self.flow.write_paused or self.transport.is_closing())
        answer = self._at_once(known, body) if is_open and self._at_once is not None else None
        if answer is None:
            self._begin(known, body)
        elif isinstance(answer, tuple):
            self._give(answer)
        else:
            self._alarm.clear()
            self._soon = answer, known, body
            answer.then(self._come)

    def _come(self, answer: Whole | None) -> None:
        """Go on with the answer that was under way."""
        if self._soon is None or self.transport.is_closing():
            return
        try:
            if answer is None:
                self._call()
            else:
                self._soon = None
                self._give(answer)
                self._go_on()
        except BaseException:
            self.transport.abort()  # or the client would wait for ever
            raise

    def _call(self) -> None:
        """Call the app for a request of which nothing was begun, whether its answer is under way still or came to
        nothing."""
        if self._soon is not None:
            (left, known, body), self._soon = self._soon, None
            self._begin(known, body, left)
            self._go_on()

    def _go_on(self) -> None:
        """Go on with what came before the answer that was under way."""
        early, self._early = self._early, bytearray()
        if early:
            self.flow.resume_reading()
            self.data_received(bytes(early))

    def _give(self, answer: Whole) -> None:
        """Answer a request for which nothing was begun."""
        self._write(_OK_LINE, *answer)
        self.server_state.total_requests += 1
        self._alarm.set(self.timeout_keep_alive)

    def _write(self, status_line: bytes, lines: bytes, body: bytes, end: bytes = b"") -> None:
        given = self.server_state.default_headers
        if given is not self._given:  # the server makes them anew each second
            self._given, self._given_lines = given, b"".join(b"%b: %b\r\n" % pair for pair in given)
        head = b"%b%b%b%bcontent-length: %d\r\n\r\n" % (status_line, self._given_lines, lines, end, len(body))
        self.transport.write(head + body)

    def _begin(self, known: Head, body: bytes, left: Soon | None = None) -> None:
        """Begin with a request whose head is known, as uvicorn does when it has come to the end of one."""
        super().on_message_begin()
        self._alarm.clear()
        self._is_between, self._head = True, known
        self.headers = list(known.headers)
        scope: Any = self.scope
        scope.update(
            extensions=self._extensions,
            method=known.method,
            path=known.path,
            raw_path=known.raw_path,
            query_string=known.query_string,
            headers=self.headers,
        )
        cycle: Any = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=self.on_response_complete,
        )
        self.cycle = cycle
        self._left = None if left is None else (scope, left)
        cycle.body, cycle.more_body = body, False
        cycle.message_event.set()
        self._start_asgi_task(cycle, self._app)

    def _keep(self, head: bytes, rest: int) -> None:
        """Keep what was just parsed of a head, where what followed it was its body and nothing else, nothing about it
        is special, and no part of its body has been taken yet."""
        cycle, scope = cast("Any", self.cycle), cast("Any", self.scope)
        if cycle is None or cycle.scope is not scope or cycle.more_body or len(cycle.body) != rest or self.pipeline:
            return
        is_plain = self._is_between and cycle.keep_alive and not self.expect_100_continue
        is_short = len(head) <= _LONGEST_HEAD and rest <= _LONGEST_BODY
        if is_plain and is_short and scope["http_version"] == "1.1":
            if len(self._heads) >= _HEADS_KEPT:
                self._heads.clear()
            headers = tuple(scope["headers"])
            self._heads[head] = Head(
                rest,
                scope["method"],
                scope["path"],
                scope["raw_path"],
                scope["query_string"],
                headers,
                by_name(headers),
            )

    def head(self, scope: Scope) -> Head | None:
        """As `Direct` has it."""
        return self._head if self.scope is scope else None

    def whole_body(self, scope: Scope) -> bytes | None:
        """Likewise."""
        cycle = self.cycle
        if cycle.scope is not scope or cycle.more_body or cycle.disconnected:  # another came after it, or none is left
            return None
        body = bytes(cycle.body)
        cycle.body = bytearray()
        cycle.message_event.clear()
        return body

    def left(self, scope: Scope) -> Any:
        """Likewise."""
        if self._left is None or self._left[0] is not scope:
            return None
        (_, left), self._left = self._left, None
        return left

    def answer(self, scope: Scope, status: int, lines: bytes, body: bytes) -> bool:
        """Likewise."""
        cycle = self.cycle
        if cycle.scope is not scope or cycle.response_started or cycle.disconnected or cycle.waiting_for_100_continue:
            return False
        if self.flow.write_paused or cycle.access_log or scope["method"] == "HEAD":
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        end = b"" if cycle.keep_alive else b"connection: close\r\n"
        self._write(STATUS_LINE[status], lines, body, end)
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()
        return True
