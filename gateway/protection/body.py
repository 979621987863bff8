"""From the bytes of a request to the one operation it asks for, as GraphQL over HTTP describes it.

Nothing here trusts its input: whatever arrives becomes an Operation or a Refused, whose message never repeats what
came. A name given twice is refused as well, since a proxy on the way may have judged by the other one.
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final, NamedTuple, cast

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect
from starlette.types import Receive

Json = dict[str, Any]

_PARAMETERS: Final = ("query", "variables", "operationName", "extensions")


class Refused(Exception):
    """A request that is not read any further; ``status`` is the HTTP status that says so."""

    status: ClassVar[int] = 400


class BadRequest(Refused):
    """The request is no well-formed GraphQL request."""


class BodyTooLarge(Refused):
    """The body has more bytes than are allowed."""

    status = 413


class UnsupportedEncoding(Refused):
    """The body is compressed: a few bytes of it could mean gigabytes."""

    status = 415


class Operation(NamedTuple):
    """What a client asks for. ``query`` is not empty; an empty operation name has become None."""

    query: str
    variables: Json | None = None
    operation_name: str | None = None
    extensions: Json | None = None


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limit_bytes: int) -> bytes:
    """The whole body. Raises BodyTooLarge, UnsupportedEncoding, and ClientDisconnect where the client went away.

    ``headers`` have names in lower case. A body that says it is too large is refused unread; one that turns out to be
    is refused where the limit is passed.
    """
    check_head(headers, limit_bytes)
    body, more = await _piece(receive)
    check_size(len(body), limit_bytes)
    if not more:
        return body
    pieces = bytearray(body)
    while more:
        body, more = await _piece(receive)
        pieces += body
        check_size(len(pieces), limit_bytes)
    return bytes(pieces)


def check_head(headers: Mapping[bytes, bytes], limit_bytes: int) -> None:
    """Raises UnsupportedEncoding, and BodyTooLarge for a body that says it is, before any of it is read."""
    if headers.get(b"content-encoding", b"").strip().lower() not in (b"", b"identity"):
        raise UnsupportedEncoding("Send the body uncompressed, without Content-Encoding")
    announced = headers.get(b"content-length", b"")
    check_size(int(announced[:20]) if announced.isdigit() else 0, limit_bytes)


async def _piece(receive: Receive) -> tuple[bytes, bool]:
    """What came of the body, and whether there is more."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


def check_size(size_bytes: int, limit_bytes: int) -> None:
    """Raises BodyTooLarge."""
    if size_bytes > limit_bytes:
        raise BodyTooLarge(f"The body is larger than {limit_bytes} bytes")


def parse_operation(body: bytes) -> Operation:
    """The operation in a JSON body; other keys are ignored. Raises BadRequest."""
    value = _json(body, "The body")
    if isinstance(value, list):
        raise BadRequest("Batches are not accepted: send each operation as a request of its own")
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object with a query")
    return _operation(cast("Json", value))


def from_query(params: QueryParams) -> Operation:
    """The operation in the parameters of a URL; others are ignored, empty ones count as absent. Raises BadRequest."""
    for name in _PARAMETERS:
        if len(params.getlist(name)) > 1:
            raise BadRequest(f"{name} is given more than once")
    given: Json = {name: params[name] for name in _PARAMETERS if params.get(name)}
    for name in ("variables", "extensions"):
        if name in given:
            given[name] = _json(given[name], name)
    return _operation(given)


def _operation(given: Mapping[str, Any]) -> Operation:
    query = _text(given, "query")
    if not query:
        raise BadRequest("query is missing or empty")
    return Operation(
        query,
        _object(given, "variables"),
        _text(given, "operationName") or None,
        _object(given, "extensions"),
    )


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None or isinstance(value, str):
        return value
    raise BadRequest(f"{name} must be a string")


def _object(given: Mapping[str, Any], name: str) -> Json | None:
    value = given.get(name)
    if value is None or isinstance(value, dict):
        return cast("Json | None", value)
    raise BadRequest(f"{name} must be a JSON object")


def _json(text: bytes | str, what: str) -> object:
    """The value of ``text``; orjson judges it (UTF-8, numbers, depth), the standard library sees names given twice, and
    loses no digit of a whole number beyond 64 bits."""
    try:
        value: object = orjson.loads(text)
        if not _is_compact(text, value):
            value = _STRICT.decode(text if isinstance(text, str) else text.decode())
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"{what} cannot be read as JSON: see line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise BadRequest(f"{what} is nested too deeply") from None
    return value


def _is_compact(text: bytes | str, value: object) -> bool:
    """Whether a value when written is this text again, which then has no name twice, and no number that was rounded.
    Most clients write as orjson does, so this is asked first: reading the text a second time takes four times as long.
    """
    try:
        return isinstance(text, bytes) and orjson.dumps(value) == text
    except TypeError:  # nested more deeply than orjson writes
        return False


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    given = dict(pairs)
    if len(given) < len(pairs):
        raise BadRequest("A name is given twice in the same JSON object")
    return given


_STRICT: Final = json.JSONDecoder(object_pairs_hook=_unique)
