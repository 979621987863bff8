"""One kept socket to a server, over which HTTP/1.1 requests and answers go one at a time.

Many servers send the same head again and again. An answer whose head was parsed before, to the last byte, is not
parsed. Others name each answer, or are far away and so rarely asked that the time is another one each time: nearly
nothing is done for the heads of these.
"""

import asyncio
import itertools
import selectors
from collections.abc import Mapping
from typing import NamedTuple, Protocol, cast

import httptools
import httpx

from adapters.alarm import Alarm
from adapters.body import KNOWN_ENCODINGS, TOO_LONG, UNKNOWN_ENCODING, Body
from adapters.dialling import Origin
from adapters.errors import ContractBroken

MAX_HEAD_BYTES = 64 * 1024
MAX_FIELDS = 128
_FRAMING = 8
"""Bytes that may come for a byte of a body; where each is a chunk of its own, it takes six."""
_BODILESS = frozenset({204, 304})
_UNKEPT = frozenset({b"transfer-encoding", b"content-encoding", b"set-cookie"})
"""Fields of heads that are not kept: they say how a body is read, or are nobody else's business."""
_INTERIM, _UPGRADED, _OK, _REDIRECTED = 100, 101, 200, 300
_DRAINED_BYTES = 64 * 1024
_DRAINED_S = 1.0
"""What may follow the head of an answer whose body nobody wants; the socket is closed where there is more."""

_END = b"\r\n\r\n"
_HEADS_KEPT, _LONGEST_HEAD = 256, 4096
IN_VAIN = 64
"""Heads that were kept since one came again, after which one in so many is."""

Fields = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """An answer, whole. ``fields`` are those of its head as they came, names in lower case; ``body`` is inflated."""

    status: int
    fields: Fields
    body: bytes

    def field(self, name: bytes) -> bytes:
        """The value of a header field, all of them joined by commas; empty where there is none."""
        return _field(self.fields, name)


class Head(NamedTuple):
    """What was parsed of the head of a success that is followed by so many bytes of body and leaves its socket open."""

    status: int
    fields: Fields
    length: int


class Heads:
    """The heads that came lately, before a body that came with them. All channels share them."""

    def __init__(self) -> None:
        self.in_vain = 0
        """How many were not known since one was."""
        self._known: dict[bytes, Head] = {}
        self.get = self._known.get
        """Gives what was parsed of a head."""

    def take(self) -> bool:
        """Whether the next one is to be kept, which was not known."""
        self.in_vain += 1
        return self.in_vain <= IN_VAIN or self.in_vain % IN_VAIN == 0

    def keep(self, head: bytes, parsed: Head) -> None:
        """Keep what was parsed of a head, unless that is long."""
        if len(head) <= _LONGEST_HEAD:
            if len(self._known) >= _HEADS_KEPT:
                self._known.clear()
            self._known[head] = parsed


class Asker(Protocol):
    """Who waits for an answer: a future, or what is used as one."""

    def done(self) -> bool: ...
    def set_result(self, result: Answer, /) -> None: ...
    def set_exception(self, exception: Exception, /) -> None: ...


class Wanted(NamedTuple):
    """What is wanted of answers.

    A body of more than ``limit_bytes`` breaks the contract, and so does one in an encoding nobody knows, unless it is
    to be handed on ``encoded``. Without ``failures``, an answer other than 2xx is complete with its head.
    """

    limit_bytes: int
    failures: bool = False
    encoded: bool = False
    is_head: bool = False


class Stale(httpx.RemoteProtocolError):
    """The server closed the socket before any byte of an answer; it may or may not have read the request."""


class Keeper(Protocol):
    """Who keeps channels."""

    heads: Heads

    def came(self, channel: "Channel") -> None:
        """It is open."""
        ...

    def rested(self, channel: "Channel") -> None:
        """It may be asked again."""
        ...

    def went(self, channel: "Channel") -> None:
        """It is of no more use."""
        ...


class Channel(asyncio.Protocol):
    """The client's end of a socket. Whatever is not exactly one answer to one request closes it."""

    _transport: asyncio.Transport
    _wanted: Wanted

    def __init__(self, keeper: Keeper, origin: Origin) -> None:
        self.origin = origin
        self.rested_at = 0.0
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._asker: Asker | None = None
        self._alarm = Alarm(self._loop, self._rang)
        self._is_open = self._is_busy = False
        self._begin()

    def _begin(self) -> None:
        """Nothing has come yet, and nothing is kept of the answer before."""
        self._status = 0
        self._fields: Fields = []
        self._pieces: list[bytes] = []
        self._body: Body | None = None
        self._encoding = b""
        self._came_bytes = self._body_bytes = 0
        self._is_headed = self._is_complete = self._is_kept = False
        self._has_body = self._ends_with_socket = self._is_failure = False
        self._refusal: Exception | None = None

    def ask(self, request: bytes, asker: Asker, wanted: Wanted, timeout_s: float | None) -> None:
        """Send a request over a channel at rest. ``asker`` is told the answer, an httpx.TransportError or a
        ContractBroken."""
        if not self._is_open:  # it was opened, and closed before its opener could say so
            asker.set_exception(httpx.ConnectError("the socket was closed before a request"))
            return
        self._is_busy = True
        self._asker = asker
        self._wanted = wanted
        if timeout_s is not None:
            self._alarm.set(timeout_s)
        self._transport.write(request)

    def leave(self, asker: Asker) -> None:
        """Who asked does not want the answer any more. The socket is closed, for it would still come."""
        if self._asker is asker:
            self.drop()

    def drop(self) -> None:
        """Close the socket at once, whatever is under way."""
        if self._is_open:
            self._is_open = False
            self._rest()
            self._alarm.close()
            self._begin()
            self._transport.abort()
            self._keeper.went(self)

    def fail(self, error: Exception) -> None:
        """Close the socket and tell who asked."""
        asker = self._asker
        self.drop()
        if asker is not None and not asker.done():
            asker.set_exception(error)

    @property
    def is_usable(self) -> bool:
        """Whether its socket is open, as far as the loop knows."""
        return self._is_open and not self._transport.is_closing()

    @property
    def has_news(self) -> bool:
        """Whether the server has spoken or left since the last answer, told by the socket itself: the loop may not
        have come to it yet."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._transport.get_extra_info("socket").fileno(), selectors.EVENT_READ)
            return bool(selector.select(0))

    def _rang(self) -> None:
        """The time is over: for an answer, or for the rest of one that nobody wants any more."""
        self.fail(httpx.ReadTimeout("no complete answer in time"))

    def _rest(self) -> None:
        self._is_busy = False
        self._asker = None
        self._alarm.clear()

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._is_open = True
        self._keeper.came(self)

    def data_received(self, data: bytes) -> None:
        if not self._is_busy:
            self.drop()  # nobody asked
            return
        is_first = not self._came_bytes
        if is_first and self._answered(data):
            return
        self._came_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._is_complete:
                self.fail(self._refusal or httpx.RemoteProtocolError("the answer is not HTTP/1.1"))
                return
            self._is_kept = False  # what follows the answer is not for us
        if self._is_complete:
            if is_first and self._is_kept and self._keeper.heads.take():
                self._keep_head(data)
            self._end()
        else:
            self._go_on()

    def eof_received(self) -> None:
        if not self._is_busy:
            self.drop()
        elif self._ends_with_socket:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        del self._parser  # or the two would hold each other until garbage is collected
        if not self._came_bytes:
            self.fail(Stale("the socket was closed before an answer"))
        elif exc is None:
            self.fail(httpx.RemoteProtocolError("the socket was closed in the middle of an answer"))
        else:
            self.fail(httpx.ReadError("the socket broke in the middle of an answer"))

    # What the parser tells; whatever is raised ends the parsing

    def on_message_begin(self) -> None:
        if self._is_complete:
            raise httpx.RemoteProtocolError("there is a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_headed:  # or it is a trailer
            self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._status = status = self._parser.get_status_code()
        if _INTERIM <= status < _OK and status != _UPGRADED:
            self._fields = []  # the final answer is yet to come
            return
        try:
            self._read_head()
        except (httpx.RemoteProtocolError, ContractBroken) as refusal:
            self._refusal = refusal
            raise
        self._is_headed = True
        if self._is_failure:
            self._tell(b"")
            self._rest_later()
        if self._wanted.is_head:
            self._is_complete = True  # the parser does not know, and would wait for a body

    def on_body(self, part: bytes) -> None:
        self._body_bytes += len(part)
        self._pieces.append(part)

    def on_message_complete(self) -> None:
        if self._is_headed:
            self._is_kept = self._parser.should_keep_alive() and not self._wanted.is_head
            self._is_complete = True

    def _read_head(self) -> None:
        """Take note of what is to be known to read the rest. Raises where it is not read."""
        fields = self._fields
        if self._status < _OK:
            raise httpx.RemoteProtocolError("the answer has a status that makes no sense here")
        if len(fields) > MAX_FIELDS or (self._came_bytes > MAX_HEAD_BYTES and _size_bytes(fields) > MAX_HEAD_BYTES):
            raise httpx.RemoteProtocolError("the head of the answer is too long")
        by_name = dict(fields)
        if b"transfer-encoding" in by_name and _field(fields, b"transfer-encoding").lower() != b"chunked":
            raise httpx.RemoteProtocolError("the answer is transferred in a way nobody asked for")
        self._has_body = not (self._wanted.is_head or self._status in _BODILESS)
        self._ends_with_socket = (
            self._has_body and b"transfer-encoding" not in by_name and b"content-length" not in by_name
        )
        self._is_failure = not (self._status < _REDIRECTED or self._wanted.failures)
        if self._has_body and not self._is_failure:
            self._read_encoding(by_name)

    def _read_encoding(self, by_name: Mapping[bytes, bytes]) -> None:
        if b"content-encoding" in by_name:
            self._encoding = _field(self._fields, b"content-encoding").strip().lower()
            if self._encoding not in KNOWN_ENCODINGS:
                if not self._wanted.encoded:
                    raise ContractBroken(UNKNOWN_ENCODING)
                self._encoding = b""
        if not self._encoding and int(by_name.get(b"content-length", 0)) > self._wanted.limit_bytes:
            raise ContractBroken(TOO_LONG)

    # What is not parsed

    def _answered(self, data: bytes) -> bool:
        """Whether this was all of an answer whose head is known."""
        length = len(data) - data.find(_END) - len(_END)
        heads, asker = self._keeper.heads, self._asker
        known = heads.get(data[:-length])
        if known is None or known.length != length or asker is None or self._wanted.is_head:
            return False
        if length > self._wanted.limit_bytes:
            return False
        heads.in_vain = 0
        self._rest()
        self._keeper.rested(self)
        if not asker.done():
            asker.set_result(Answer(known.status, known.fields, data[-length:]))
        return True

    def _keep_head(self, data: bytes) -> None:
        """Keep the head of the answer that is complete, where it is a success and these bytes are all of it, and where
        it says how long its body is, and no more than that."""
        length = len(data) - data.find(_END) - len(_END)
        is_whole = [len(piece) for piece in self._pieces] == [length]
        names = {name for name, _ in self._fields}
        is_plain = b"content-length" in names and names.isdisjoint(_UNKEPT)
        if is_whole and is_plain and self._status < _REDIRECTED:
            self._keeper.heads.keep(data[:-length], Head(self._status, self._fields, length))

    # What comes of it

    def _go_on(self) -> None:
        """A piece of the answer is here, and more is to come."""
        if self._came_bytes > MAX_HEAD_BYTES + _FRAMING * self._body_bytes:
            self.fail(httpx.RemoteProtocolError("the answer is nearly all framing"))
        elif self._asker is None:
            self._pieces = []
            if self._came_bytes > _DRAINED_BYTES:
                self.drop()
        elif self._pieces:
            try:
                self._gather()
            except ContractBroken as error:
                self.fail(error)

    def _gather(self) -> Body:
        if self._body is None:
            self._body = Body(self._wanted.limit_bytes, self._encoding)
        self._body.add(self._pieces)
        self._pieces = []
        return self._body

    def _whole(self) -> bytes:
        if not self._has_body:
            return b""
        if self._body is None and not self._encoding and len(self._pieces) == 1:
            (piece,) = self._pieces
            if len(piece) <= self._wanted.limit_bytes:
                return piece
        return self._gather().whole()

    def _end(self) -> None:
        """The answer is complete."""
        if self._asker is not None:
            try:
                self._tell(self._whole())
            except ContractBroken as error:
                self.fail(error)
                return
        if self._is_kept:
            self._rest()
            self._begin()
            self._keeper.rested(self)
        else:
            self.drop()

    def _tell(self, body: bytes) -> None:
        asker, self._asker = self._asker, None
        if asker is not None and not asker.done():
            asker.set_result(Answer(self._status, self._fields, body))

    def _rest_later(self) -> None:
        """Wait a little for a body that nobody wants, so that the socket can be kept."""
        self._rest()
        self._is_busy = True
        self._alarm.set(_DRAINED_S)


def _field(fields: Fields, name: bytes) -> bytes:
    return b", ".join(value for known, value in fields if known == name)


def _size_bytes(fields: Fields) -> int:
    return sum(map(len, itertools.chain.from_iterable(fields)))
