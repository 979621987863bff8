"""What an upstream can be asked, and how that is written."""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self, TypeAlias, TypedDict, Unpack
from urllib.parse import quote, urlencode

import httpx
import msgspec

from adapters import errors
from adapters.dialling import Origin
from adapters.http1 import field_lines, length_line, request_line

Query: TypeAlias = Sequence[tuple[str, str]]


class _Of(TypedDict, total=False):
    """What differs from one call of an endpoint to the next."""

    ids: Mapping[str, str]
    query: Query
    json: Any
    form: Mapping[str, str]
    batch: int
    timeout_s: float | None


class Request(msgspec.Struct, frozen=True):
    """A call to make. ``route`` is a template below the base URL; ``ids`` fill it, quoted.

    ``safe`` says that repeating the call changes nothing: true of every read, whatever its HTTP method. ``batch`` is
    how many things it asks for by their ids. ``timeout_s`` is how long the answer may take, where that is not what the
    instance is told for its calls.
    """

    operation: str
    method: str
    route: str
    ids: Mapping[str, str] = {}
    query: Query = ()
    json: Any = None
    form: Mapping[str, str] | None = None
    safe: bool = True
    batch: int = 1
    timeout_s: float | None = None

    def of(self, **what: Unpack[_Of]) -> Self:
        """This call, of what it is to be made of."""
        return msgspec.structs.replace(self, **what)

    def __repr__(self) -> str:
        # The rest may hold what people sent, credentials too.
        return f"Request({self.operation!r}, {self.method!r}, {self.route!r})"


class Message(NamedTuple):
    """A request, written as far as it is the same for all who make it: its first line, what its fields say of its
    content, and that. Equal ones are one question."""

    line: bytes
    fields: bytes
    content: bytes


class Writer:
    """Requests below one base URL, with some header fields of their own."""

    def __init__(self, base_url: httpx.URL, headers: Mapping[str, str]) -> None:
        self.origin = Origin.of(base_url)
        self._base = base_url.raw_path.decode("ascii").rstrip("/")
        self._headers = headers
        self._lines: _Lines | None = None

    def message(self, request: Request) -> Message:
        """Raises Rejected for an id, and UnicodeEncodeError and httpx.LocalProtocolError for a text, that cannot be
        written."""
        line = request_line(request.method.encode("ascii"), self.target(request))
        kind, content = b"", None if request.method == "GET" else b""
        if request.json is not None:
            kind, content = _JSON, msgspec.json.encode(request.json)
        elif request.form is not None:
            kind, content = _FORM, urlencode(request.form).encode("ascii")
        return Message(line, kind + length_line(content), content or b"")

    def target(self, request: Request) -> bytes:
        """The path and the query that a request asks for, the path proven to lie below the base URL's. Raises
        Rejected and UnicodeEncodeError, as `message` does."""
        path = request.route
        for name, value in request.ids.items():
            path = path.replace(f"{{{name}}}", _quoted(value))  # which has no braces
        if "{" in path:
            raise KeyError(path)  # an id that nobody gave
        target = f"{self._base}{path}?{_encoded(tuple(request.query))}" if request.query else self._base + path
        return target.encode("ascii")

    def written(self, message: Message, header: str | None, id: str) -> bytes:
        """The message with its Authorization and its correlation id. Raises httpx.LocalProtocolError and
        UnicodeEncodeError for what no header can hold."""
        lines = self._lines
        if lines is None or lines.header != header:
            lines = self._lines = _Lines(header, self._written_lines(header))
        line, fields, content = message
        return b"%b%b%bX-Request-Id: %b\r\n\r\n%b" % (line, lines.written, fields, id.encode("ascii"), content)

    def _written_lines(self, header: str | None) -> bytes:
        """What all requests with one Authorization have in common."""
        named = {name.lower(): (name, value) for name, value in (*_LINES.items(), *self._headers.items())}
        named["host"] = ("Host", self.origin.authority.decode("ascii"))
        if header is not None:
            named["authorization"] = ("Authorization", header)
        return field_lines((name.encode("ascii"), value.encode("ascii")) for name, value in named.values())


class _Lines:
    """Header fields, written; no tuple, or whatever is printed with a writer in it would tell them."""

    def __init__(self, header: str | None, lines: bytes) -> None:
        self.header = header
        self.written = lines


_LINES = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "connection-gateway"}
_JSON = b"Content-Type: application/json\r\n"
_FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
_PLAIN = re.compile(r"[A-Za-z0-9_~-]+")


_encoded = functools.lru_cache(maxsize=256)(urlencode)
"""Lists are asked for in the same words again and again."""


def _quoted(id: str) -> str:
    if _PLAIN.fullmatch(id):
        return id
    # Dots survive quoting, and who reads the path may resolve them: they would climb out of the route.
    if id in ("", ".", ".."):
        raise errors.Rejected("an id cannot be part of a path")
    try:
        return quote(id, safe="")
    except UnicodeEncodeError:
        raise errors.Rejected("an id cannot be part of a path") from None
