"""What the gateway answers over HTTP: GraphQL, GraphiQL, liveness and readiness.

GraphQL over HTTP as its specification has it: POST with JSON, GET for queries, both media types of responses. That
endpoint speaks ASGI itself, without objects made around each request: for a small query they would cost more than its
answer. All else is starlette's.
"""

import asyncio
import functools
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

import orjson
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from gateway import observability
from gateway.answers import Answers, Known
from gateway.attendance import Attendance, Rounds
from gateway.coming import Coming, Left
from gateway.deeds import Caller
from gateway.errors import Code, error, masked
from gateway.examples import EXAMPLES
from gateway.execution.encoding import to_json
from gateway.execution.engine import Engine, Outcome
from gateway.explain import Mode
from gateway.graphiql import page as graphiql
from gateway.loaders import Loaders
from gateway.protection.body import (
    BadRequest,
    Operation,
    Refused,
    check_head,
    check_size,
    from_query,
    read_body,
)
from gateway.protection.identity import Keys
from gateway.protection.limits import Limits
from gateway.protocol import Direct, Head, by_name, direct

GRAPHQL_PATH = "/graphql"
RESPONSE_TYPE = "application/graphql-response+json"
JSON_TYPE = "application/json"
EXPLAIN_HEADER = "Gateway-Explain"
IDEMPOTENCY_HEADER = "Idempotency-Key"
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_METHODS = ("GET", "POST")

Pairs = list[tuple[bytes, bytes]]
_PAIRS: Pairs = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
_TYPED: Mapping[str, Pairs] = {kind: [*_PAIRS, (b"content-type", kind.encode())] for kind in (RESPONSE_TYPE, JSON_TYPE)}
"""The headers of each response, by its media type."""
_LINES = {kind: b"".join(b"%b: %b\r\n" % pair for pair in pairs) for kind, pairs in _TYPED.items()}
"""The same as they are sent."""
_TOLD: Mapping[HTTPStatus, tuple[bytes, bytes]] = {
    HTTPStatus.UNAUTHORIZED: (b"www-authenticate", b"Bearer"),
    HTTPStatus.METHOD_NOT_ALLOWED: (b"allow", b"POST"),
}
"""The header that goes with a status."""


class Gateway(Starlette):
    """The gateway as an ASGI app: the endpoint is asked first, since nearly every request is for it."""

    def __init__(self, endpoint: "Endpoint", **options: object) -> None:
        super().__init__(routes=endpoint.routes(), **options)  # pyright: ignore[reportArgumentType]  starlette's own
        self._endpoint = endpoint
        self.at_once = endpoint.at_once
        """As the server takes it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == GRAPHQL_PATH and scope["method"] in _METHODS:
            await self._endpoint(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class _Door(NamedTuple):
    """What the head of a request says. ``refusal`` makes what it is refused with, where it is, ``lines`` are the header
    lines of a usual answer."""

    is_post: bool
    headers: Mapping[bytes, bytes]
    viewer: str | None
    caller: Caller
    media_type: str
    lines: bytes
    explain: str
    idempotency_key: str | None
    refusal: Callable[[], Refused] | None

    @property
    def is_usual(self) -> bool:
        """Whether the request is one by POST for an answer and nothing else."""
        return self.is_post and self.refusal is None and not self.explain


class _Asked(NamedTuple):
    """One request."""

    scope: Scope
    receive: Receive
    door: _Door
    direct: Direct | None
    left: Left | None
    """Its answer, where that was under way before it was begun."""

    @property
    def params(self) -> QueryParams:
        """What stands in its address."""
        return QueryParams(self.scope["query_string"])


class _Answer(NamedTuple):
    """What is sent back, beside the headers of every response."""

    body: bytes
    media_type: str
    status: int = 200
    header: tuple[bytes, bytes] | None = None


class Endpoint:
    """The GraphQL endpoint, an ASGI app."""

    def __init__(
        self, engine: Engine, limits: Limits, keys: Keys, answers: Answers, *, explains: str, show_graphiql: bool
    ) -> None:
        self._engine = engine
        self._answers = answers
        self._explains = explains
        self._limits = limits
        self._keys = keys
        self._show_graphiql = show_graphiql
        self._rounds = Rounds()

    def routes(self) -> Sequence[BaseRoute]:
        """All routes of the gateway."""
        pages: list[BaseRoute] = [Mount(graphiql.ASSETS_PATH, graphiql.static_files())] if self._show_graphiql else []
        return [
            Route(GRAPHQL_PATH, self, methods=_METHODS),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            *pages,
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Whatever goes wrong is a coded error in a GraphQL response."""
        at_once = direct(scope)
        head = None if at_once is None else at_once.head(scope)
        known = None if head is None else self._known_door(head)
        door = known or self._door(scope["method"], by_name(scope["headers"]))
        asked = _Asked(scope, receive, door, at_once, None if at_once is None else at_once.left(scope))
        if self._show_graphiql and not door.is_post and _is_browser(asked):
            await graphiql_page(needs_key=not self._keys.admit(None))(scope, receive, send)
            return
        try:
            answer = await self._answer(asked)
        except ClientDisconnect:
            return  # nobody would read it
        if not _sent_at_once(answer, asked):
            await _send(answer, send)

    def at_once(self, head: Head, body: bytes) -> tuple[bytes, bytes] | Left | None:
        """What the server is to send for a request where the same answer is given again and nothing need be read for
        that: its header lines and its body. Where it can be come by without executing anything, it is under way."""
        door = self._known_door(head)
        if door is None or not door.is_usual:
            return None
        began = time.monotonic()
        try:
            found = self._answers.at_once((door.viewer, body), began)
            if found is None:
                return None
            known, answer = found
            if answer is not None:
                return _given(known.operation, door, began, answer)
            given = functools.partial(_given, known.operation, door, began)
            return self._answers.come(known, began, began + self._limits.request_timeout, given)
        except Exception:  # noqa: BLE001  whatever it is, it is told where the request is executed
            return None

    def _known_door(self, head: Head) -> _Door | None:
        """What a head says that came before; None where it is for something else."""
        if head.note is None:
            head.note = (self._door(head.method, head.fields) if head.path == GRAPHQL_PATH else None,)
        return head.note[0]

    def _door(self, method: str, fields: Mapping[bytes, bytes]) -> _Door:
        """What a head says. ``fields`` have names in lower case; of a header sent twice the first one counts."""
        is_post, viewer = method == "POST", self._keys.name(fields)
        media_type = _media_type(fields.get(b"accept", b""))
        refusal = None
        if media_type is None:
            refusal = functools.partial(NotAcceptable, f"Accept {RESPONSE_TYPE} or {JSON_TYPE}")
        elif not self._keys.admit(viewer):
            told = "Send a valid API key, as Authorization: Bearer or X-API-Key"
            refusal = functools.partial(Unauthenticated, told)
        elif is_post and not _is_json(fields.get(b"content-type", b"")):
            # Other types can be posted by a form on any page, without a preflight.
            refusal = functools.partial(UnsupportedType, f"Send the request as {JSON_TYPE}")
        elif is_post:
            refusal = self._refused_unread(fields)
        media_type = media_type or JSON_TYPE
        return _Door(
            is_post,
            fields,
            viewer,
            self._keys.caller(viewer),
            media_type,
            _LINES[media_type],
            fields.get(_EXPLAIN, b"").decode("latin-1"),
            _idempotency_key(fields),
            refusal,
        )

    def _refused_unread(self, fields: Mapping[bytes, bytes]) -> Callable[[], Refused] | None:
        try:
            check_head(fields, self._limits.body_bytes)
        except Refused as refused:
            return functools.partial(type(refused), *refused.args)
        return None

    async def _answer(self, asked: _Asked) -> _Answer:
        """What is sent back, whatever came of the request, and told in the log. Raises ClientDisconnect."""
        operation, door = None, asked.door
        began = time.monotonic() if asked.left is None else asked.left.since
        try:
            if door.refusal is not None:
                raise door.refusal()
            # To ask for the running loop asks the kernel.
            loop = asyncio.get_running_loop() if asked.direct is None else asked.direct.loop
            with Attendance(asked.receive, self._rounds, loop) as attendance:
                operation, known = await self._operation(asked, attendance)
                answer, codes = await self._found(asked, operation, known)
        except Refused as refused:
            answer, codes = _refusal(refused, door.media_type)
        except ClientDisconnect:
            raise
        except Exception as unforeseen:  # noqa: BLE001  nothing of it may reach the client
            failed = Outcome(None, [masked(unforeseen)], began=True)
            answer, codes = _response(failed, door.media_type), _codes(failed)
        name = None if operation is None else operation.operation_name
        observability.log_request(operation=name, viewer=door.viewer, began=began, codes=codes)
        return answer

    async def _found(self, asked: _Asked, operation: Operation, known: Known | None) -> tuple[_Answer, Sequence[str]]:
        """The answer to an operation, given again or executed, and what the log has as its codes. Raises Refused."""
        door = asked.door
        explain = self._explained(operation, door)
        if explain is not None:
            known = None
        # Nothing is asked for before all of it has come, and what is read until then is not read for it.
        since = time.monotonic() if asked.left is None else asked.left.since
        given, loaders = await self._come_by(known, asked.left, since)
        if given is not None:
            return _Answer(given, door.media_type), ()
        is_due = known is not None and known.lookup is None and known.is_due()
        outcome = await self._engine.run(
            operation,
            allow_mutation=door.is_post,
            explain=explain,
            caller=door.caller,
            idempotency_key=door.idempotency_key,
            began=since,
            loaders=loaders,
            tells_grounds=is_due,
        )
        if not outcome.is_allowed:
            raise NotAllowed("Only queries can be sent by GET")
        answer = _response(outcome, door.media_type)
        if known is not None and is_due:
            self._answers.keep(known, answer.body, outcome.grounds)
            known.lookup = outcome.lookup
        return answer, _codes(outcome)

    async def _come_by(
        self, known: Known | None, left: Left | None, since: float
    ) -> tuple[bytes | None, Loaders | None]:
        """The answer to a request that began then, where it can be come by without executing anything; and what was
        loaded for it."""
        if isinstance(left, Coming):
            return await left.answer(), left.loaders
        if left is None and (known is None or not known.comes_again):
            return None, None
        loaders, ends_at = self._answers.loaders(left), since + self._limits.request_timeout
        return None if known is None else await self._answers.come_by(known, loaders, since, ends_at), loaders

    async def _operation(self, asked: _Asked, attendance: Attendance) -> tuple[Operation, Known | None]:
        """What is asked for, and what is known of that."""
        if not asked.door.is_post:
            found = from_query(asked.params), None
        else:
            whole = None if asked.direct is None else asked.direct.whole_body(asked.scope)
            if whole is not None:
                check_size(len(whole), self._limits.body_bytes)
                body = whole
            else:
                attendance.expect_within(self._limits.request_timeout, TooSlow("The body came too slowly"))
                body = await read_body(asked.door.headers, asked.receive, self._limits.body_bytes)
            found = self._answers.read(asked.door.viewer, body)
        attendance.watch()
        return found

    def _explained(self, operation: Operation, door: _Door) -> Mode | None:
        """What is to be explained, by header or by the request's extensions; None for nothing. Raises Refused."""
        wanted = (operation.extensions or {}).get("explain") or door.explain
        if not wanted:
            return None
        if self._explains == "off" or (self._explains == "viewers" and door.viewer is None):
            raise Forbidden("Explanations are not given to you here")
        try:
            return Mode(str(wanted).upper())
        except ValueError:
            raise BadRequest(f"explain takes {' or '.join(Mode)}") from None


_EXPLAIN = EXPLAIN_HEADER.lower().encode()
_IDEMPOTENCY = IDEMPOTENCY_HEADER.lower().encode()


def _idempotency_key(fields: Mapping[bytes, bytes]) -> str | None:
    """What the header says, which may be quoted as a structured field is."""
    sent = fields.get(_IDEMPOTENCY)
    return None if sent is None else sent.decode("latin-1").strip().strip('"')


class UnsupportedType(Refused):
    """The body is not sent as JSON."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class NotAcceptable(Refused):
    """The client accepts no media type of ours."""

    status = HTTPStatus.NOT_ACCEPTABLE


class Unauthenticated(Refused):
    """The client did not say who it is, or nobody believes it."""

    status = HTTPStatus.UNAUTHORIZED


class Forbidden(Refused):
    """The client may not ask for this."""

    status = HTTPStatus.FORBIDDEN


class NotAllowed(Refused):
    """What is asked for is not to be had by this method."""

    status = HTTPStatus.METHOD_NOT_ALLOWED


class TooSlow(Refused):
    """The body did not come in time."""

    status = HTTPStatus.REQUEST_TIMEOUT


def graphiql_page(*, needs_key: bool) -> Response:
    """The page for people, under a policy with a nonce of its own. Where queries need a key, it asks for one."""
    nonce = secrets.token_urlsafe(16)
    headers = {
        **_HEADERS,
        "Content-Security-Policy": graphiql.content_security_policy(nonce),
        "Referrer-Policy": "no-referrer",
    }
    return HTMLResponse(graphiql.render(GRAPHQL_PATH, EXAMPLES, nonce, needs_key=needs_key), headers=headers)


async def healthz(_: Request) -> Response:
    """The process lives."""
    return Response(b'{"status":"ok"}', media_type=JSON_TYPE, headers=_HEADERS)


async def readyz(request: Request) -> Response:
    """The process can answer. Sick upstreams do not change that: what they hold is missing, and told."""
    breakers = {
        name: instance.adapter.transport.breaker.state for name, instance in request.app.state.instances.items()
    }
    return Response(orjson.dumps({"status": "ok", "breakers": breakers}), media_type=JSON_TYPE, headers=_HEADERS)


def _is_browser(asked: _Asked) -> bool:
    """A page was asked for, not an operation."""
    return b"text/html" in asked.door.headers.get(b"accept", b"") and "query" not in asked.params


def _is_json(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() == b"application/json"


def _media_type(accept: bytes) -> str | None:
    """The response's media type: the specification's own where it is accepted by name, else JSON; None for neither."""
    # Clients send the same few; one that makes up others is to fill no memory with them.
    return _usual_type(accept) if len(accept) < 200 else _judged_type(accept)  # noqa: PLR2004


_NEVER = re.compile(r"(^|;)\s*q\s*=\s*0(\.0*)?\s*(;|$)", re.IGNORECASE)


def _judged_type(accept: bytes) -> str | None:
    accepted = {
        kind.strip().lower()
        for kind, _, parameters in (part.partition(";") for part in accept.decode("latin-1").split(","))
        if not _NEVER.search(parameters)
    }
    if RESPONSE_TYPE in accepted:
        return RESPONSE_TYPE
    return JSON_TYPE if not accept.strip() or accepted & {JSON_TYPE, "application/*", "*/*"} else None


_usual_type = functools.lru_cache(maxsize=64)(_judged_type)


def _response(outcome: Outcome, media_type: str) -> _Answer:
    # In plain JSON a refused document is answered 200, for clients from before the type of its own.
    refused = not outcome.began and media_type == RESPONSE_TYPE
    return _Answer(to_json(outcome.body()), media_type, 400 if refused else 200)


_REFUSALS = {HTTPStatus.UNAUTHORIZED: Code.UNAUTHENTICATED, HTTPStatus.FORBIDDEN: Code.FORBIDDEN}
"""The codes of statuses; that of all others is BAD_REQUEST."""


def _refusal(refused: Refused, media_type: str) -> tuple[_Answer, Sequence[str]]:
    """A response to a request that is not one of GraphQL over HTTP, or not let in; and what the log has as its codes:
    the status, too, for one code stands for many."""
    status = HTTPStatus(refused.status)
    code = _REFUSALS.get(status, Code.BAD_REQUEST)
    body = Outcome(None, [error(code, f"{refused}.")], began=False).body()
    return _Answer(orjson.dumps(body), media_type, status, _TOLD.get(status)), [str(status.value), code.value]


def _sent_at_once(answer: _Answer, asked: _Asked) -> bool:
    """Whether the server took the answer as a whole, which it does nearly always."""
    if asked.direct is None or answer.header is not None:
        return False
    return asked.direct.answer(asked.scope, answer.status, asked.door.lines, answer.body)


async def _send(answer: _Answer, send: Send) -> None:
    headers = [*_TYPED[answer.media_type], (b"content-length", b"%d" % len(answer.body))]
    if answer.header is not None:
        headers.append(answer.header)
    await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _given(operation: Operation, door: _Door, began: float, answer: bytes) -> tuple[bytes, bytes]:
    """What the server is to send, for which nothing is begun."""
    observability.log_request(operation=operation.operation_name, viewer=door.viewer, began=began, codes=())
    return door.lines, answer


def _codes(outcome: Outcome) -> Sequence[str]:
    return sorted({str((reason.extensions or {}).get("code")) for reason in outcome.errors}) if outcome.errors else []
