"""The HTTP client: HTTP/1.1 over kept sockets, and nothing that costs without being used.

It has no proxies, no redirects, no cookies and no environment: credentials go nowhere but where a caller says. It is a
transport of httpx too, for everything that httpx can do besides, and raises the exceptions of httpx.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Iterable

import httpx

from adapters.body import KNOWN_ENCODINGS
from adapters.channel import Answer, Channel, Heads, Stale, Wanted
from adapters.dialling import Origin, dial, trust
from adapters.errors import ContractBroken

MAX_IDLE = 256
IDLE_S = 30.0
LONGEST_BODY_BYTES = 64 * 1024 * 1024
"""What is read by way of httpx, which sets no limit of its own."""

_NO_TOKEN = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_NO_VALUE = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")
_NO_TARGET = re.compile(rb"[^\x21-\x7e]")


def field_lines(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header fields as they are sent. Raises httpx.LocalProtocolError for what no header can hold."""
    lines: list[bytes] = []
    for name, value in fields:
        if not name or _NO_TOKEN.search(name) or _NO_VALUE.search(value):
            raise httpx.LocalProtocolError("a header holds what no header can hold")
        lines.append(b"%b: %b\r\n" % (name, value.strip()))
    return b"".join(lines)


def request_line(method: bytes, target: bytes) -> bytes:
    """What a request begins with. Raises httpx.LocalProtocolError for what no request line can hold."""
    if _NO_TARGET.search(target) or not target or not method or _NO_TOKEN.search(method) or method == b"CONNECT":
        raise httpx.LocalProtocolError("a request line holds what no request line can hold")
    return b"%b %b HTTP/1.1\r\n" % (method, target)


def length_line(content: bytes | None) -> bytes:
    """The field that tells the length of a content, as it is sent; nothing where there is none."""
    return b"" if content is None else b"Content-Length: %d\r\n" % len(content)


def written(method: bytes, target: bytes, lines: bytes, content: bytes | None = None) -> bytes:
    """A request as it is sent. ``lines`` are of `field_lines`, with Host and without a length. Raises as
    `request_line`."""
    return b"%b%b%b\r\n%b" % (request_line(method, target), lines, length_line(content), content or b"")


class Client(httpx.AsyncBaseTransport):
    """HTTP for a process: a socket for each call under way, kept ``IDLE_S`` seconds for the next one to its origin."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, max_idle: int = MAX_IDLE, idle_s: float = IDLE_S) -> None:
        self.heads = Heads()
        self._tls = tls
        self._max_idle = max_idle
        self._idle_s = idle_s
        self._open: set[Channel] = set()
        self._idle: dict[Origin, list[Channel]] = {}
        self._idle_count = 0
        self._sweep: asyncio.TimerHandle | None = None

    async def exchange(
        self,
        origin: Origin,
        request: bytes,
        wanted: Wanted,
        *,
        timeout_s: float | None = None,
        safe: bool = False,
        anew: bool = False,
    ) -> Answer:
        """The answer to a request of `written`, within ``timeout_s`` from now.

        A ``safe`` request is sent once more where the server closed a kept socket at that very moment; any other is
        sent at most once. ``anew`` asks for a new socket. Raises httpx.TransportError, and ContractBroken for a body
        that is too long or not what it says.
        """
        channel = None if anew else self.idle(origin, safe=safe)
        if channel is not None:
            began = time.monotonic()
            try:
                return await _asked(channel, request, wanted, timeout_s)
            except Stale:
                if not safe:
                    raise
            if timeout_s is not None:
                timeout_s = max(0.0, timeout_s - (time.monotonic() - began))
        return await self._asked_anew(origin, request, wanted, timeout_s)

    async def _asked_anew(self, origin: Origin, request: bytes, wanted: Wanted, timeout_s: float | None) -> Answer:
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                channel = await dial(lambda: Channel(self, origin), origin, self._context(origin))
        except TimeoutError:
            raise httpx.ConnectTimeout("no socket could be opened in time") from None
        left_s = None if timeout_s is None else max(0.0, timeout_s - (time.monotonic() - began))
        return await _asked(channel, request, wanted, left_s)

    def idle(self, origin: Origin, *, safe: bool) -> Channel | None:
        """A channel at rest, which is then the caller's; None where there is none."""
        kept = self._idle.get(origin)
        while kept:
            channel = kept.pop()
            self._idle_count -= 1
            # What may be sent only once is not sent where the server is seen to have left.
            if channel.is_usable and (safe or not channel.has_news):
                return channel
            channel.drop()
        return None

    def _context(self, origin: Origin) -> ssl.SSLContext | None:
        if origin.scheme == "http":
            return None
        if self._tls is None:
            self._tls = trust()
        return self._tls

    # What channels tell

    def came(self, channel: Channel) -> None:
        """It is open."""
        self._open.add(channel)

    def rested(self, channel: Channel) -> None:
        """It may be asked again."""
        if self._idle_count >= self._max_idle:
            channel.drop()
            return
        channel.rested_at = time.monotonic()
        self._idle.setdefault(channel.origin, []).append(channel)
        self._idle_count += 1
        if self._sweep is None:
            self._sweep_in(self._idle_s)

    def went(self, channel: Channel) -> None:
        """It is of no more use."""
        self._open.discard(channel)
        kept = self._idle.get(channel.origin)
        if kept is not None and channel in kept:
            kept.remove(channel)
            self._idle_count -= 1

    def _swept(self) -> None:
        """Close what nobody has needed for long."""
        now = time.monotonic()
        for channel in [channel for kept in self._idle.values() for channel in kept]:
            if channel.rested_at + self._idle_s <= now:
                channel.drop()
        self._idle = {origin: kept for origin, kept in self._idle.items() if kept}
        self._sweep = None
        if self._idle:
            longest_at = min(channel.rested_at for kept in self._idle.values() for channel in kept)
            self._sweep_in(longest_at + self._idle_s - now)

    def _sweep_in(self, seconds: float) -> None:
        self._sweep = asyncio.get_running_loop().call_later(seconds, self._swept)

    # What httpx asks

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, read and inflated whole, at most ``LONGEST_BODY_BYTES``. The read timeout bounds all of it."""
        content = await request.aread()
        lines = field_lines((name, value) for name, value in request.headers.raw if name.lower() not in _OURS)
        has_body = bool(content) or b"content-length" in {name.lower() for name, _ in request.headers.raw}
        wanted = Wanted(LONGEST_BODY_BYTES, failures=True, encoded=True, is_head=request.method == "HEAD")
        method = request.method.encode("ascii", "replace")
        try:
            answer = await self.exchange(
                Origin.of(request.url),
                written(method, request.url.raw_path, lines, content if has_body else None),
                wanted,
                timeout_s=request.extensions.get("timeout", {}).get("read"),
                safe=request.method in _SAFE,
            )
        except ContractBroken as error:
            raise httpx.DecodingError(error.message, request=request) from None
        return _response(answer)

    async def aclose(self) -> None:
        """Close all sockets, those in use too."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for channel in list(self._open):
            channel.fail(httpx.ReadError("the client was closed"))
        await asyncio.sleep(0)  # the loop closes them in its next turn


_OURS = frozenset({b"content-length", b"transfer-encoding"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


async def _asked(channel: Channel, request: bytes, wanted: Wanted, timeout_s: float | None) -> Answer:
    asker: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    channel.ask(request, asker, wanted, timeout_s)
    try:
        return await asker
    except BaseException:
        channel.leave(asker)
        raise


def _response(answer: Answer) -> httpx.Response:
    fields = answer.fields
    encoding = answer.field(b"content-encoding").lower()
    if encoding and encoding in KNOWN_ENCODINGS:  # it is inflated already
        fields = [field for field in fields if field[0] not in (b"content-encoding", b"content-length")]
    extensions = {"http_version": b"HTTP/1.1"}
    return httpx.Response(answer.status, headers=fields, stream=httpx.ByteStream(answer.body), extensions=extensions)
