"""What the gateway answers over HTTP: GraphQL, GraphiQL, liveness and readiness.

GraphQL over HTTP as its specification has it: POST with JSON, GET for queries, both media types of responses.
"""

import asyncio
import secrets
import time
from collections.abc import Coroutine, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from gateway import observability
from gateway.errors import Code, error, masked
from gateway.examples import EXAMPLES
from gateway.execution.engine import Engine, Outcome
from gateway.explain import Mode
from gateway.graphiql import page as graphiql
from gateway.protection.body import BadRequest, Operation, Refused, from_query, parse_operation, read_body
from gateway.protection.identity import Keys
from gateway.protection.limits import Limits

GRAPHQL_PATH = "/graphql"
RESPONSE_TYPE = "application/graphql-response+json"
JSON_TYPE = "application/json"
EXPLAIN_HEADER = "Gateway-Explain"
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}

T = TypeVar("T")


class Endpoint:
    """The GraphQL endpoint."""

    def __init__(self, engine: Engine, limits: Limits, keys: Keys, *, explains: str, show_graphiql: bool) -> None:
        self._engine = engine
        self._explains = explains
        self._limits = limits
        self._keys = keys
        self._show_graphiql = show_graphiql

    def routes(self) -> Sequence[BaseRoute]:
        """All routes of the gateway."""
        pages: list[BaseRoute] = [Mount(graphiql.ASSETS_PATH, graphiql.static_files())] if self._show_graphiql else []
        return [
            Route(GRAPHQL_PATH, self.answer, methods=["GET", "POST"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            *pages,
        ]

    async def answer(self, request: Request) -> Response:
        """The response to one request. Whatever goes wrong is a coded error in a GraphQL response."""
        if self._show_graphiql and _is_browser(request):
            return graphiql_page()
        media_type = _media_type(request.headers.get("accept", ""))
        try:
            if media_type is None:
                raise NotAcceptable(f"Accept {RESPONSE_TYPE} or {JSON_TYPE}")
            return _response(await self._outcome(request), media_type)
        except Refused as refused:
            return _refusal(refused, media_type or JSON_TYPE)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it; the number is the usual one in logs
        except Exception as unforeseen:  # noqa: BLE001  nothing of it may reach the client
            return _response(Outcome(None, [masked(unforeseen)], began=True), media_type or JSON_TYPE)

    async def _outcome(self, request: Request) -> Outcome:
        """What the request's operation came to. Raises Refused, ClientDisconnect."""
        began = time.perf_counter()
        if not self._keys.admits(request.headers):
            raise Unauthenticated("Send a valid API key")
        operation = await self._operation(request)
        explain = self._explained(request, operation)
        run = self._engine.run(operation, allow_mutation=_is_post(request), explain=explain)
        outcome = await _while_connected(request, run)
        self._log(request, operation, outcome, began)
        return outcome

    async def _operation(self, request: Request) -> Operation:
        if not _is_post(request):
            return from_query(request.query_params)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON_TYPE:
            # Other types can be posted by a form on any page, without a preflight.
            raise UnsupportedType(f"Send the request as {JSON_TYPE}")
        try:
            async with asyncio.timeout(self._limits.request_timeout):
                return parse_operation(await read_body(request, self._limits.body_bytes))
        except TimeoutError:
            raise TooSlow("The body came too slowly") from None

    def _explained(self, request: Request, operation: Operation) -> Mode | None:
        """What is to be explained, by header or by the request's extensions; None for nothing. Raises Refused."""
        asked = (operation.extensions or {}).get("explain") or request.headers.get(EXPLAIN_HEADER)
        if not asked:
            return None
        is_known = self._keys.name(request.headers) is not None
        if self._explains == "off" or (self._explains == "viewers" and not is_known):
            raise Forbidden("Explanations are not given to you here")
        try:
            return Mode(str(asked).upper())
        except ValueError:
            raise BadRequest(f"explain takes {' or '.join(Mode)}") from None

    def _log(self, request: Request, operation: Operation, outcome: Outcome, began: float) -> None:
        codes = sorted({str((reason.extensions or {}).get("code")) for reason in outcome.errors})
        observability.log_request(
            operation=operation.operation_name,
            viewer=self._keys.name(request.headers),
            duration_s=round(time.perf_counter() - began, 6),
            codes=codes,
        )


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


class TooSlow(Refused):
    """The body did not come in time."""

    status = HTTPStatus.REQUEST_TIMEOUT


def graphiql_page() -> Response:
    """The page for people, under a policy with a nonce of its own."""
    nonce = secrets.token_urlsafe(16)
    headers = {
        **_HEADERS,
        "Content-Security-Policy": graphiql.content_security_policy(nonce),
        "Referrer-Policy": "no-referrer",
    }
    return HTMLResponse(graphiql.render(GRAPHQL_PATH, EXAMPLES, nonce), headers=headers)


async def healthz(_: Request) -> Response:
    """The process lives."""
    return Response(b'{"status":"ok"}', media_type=JSON_TYPE, headers=_HEADERS)


async def readyz(request: Request) -> Response:
    """The process can answer. Sick upstreams do not change that: what they hold is missing, and told."""
    breakers = {
        name: instance.adapter.transport.breaker.state for name, instance in request.app.state.instances.items()
    }
    return Response(orjson.dumps({"status": "ok", "breakers": breakers}), media_type=JSON_TYPE, headers=_HEADERS)


def _is_post(request: Request) -> bool:
    return request.method == "POST"


def _is_browser(request: Request) -> bool:
    """A page was asked for, not an operation."""
    wants_page = "text/html" in request.headers.get("accept", "")
    return not _is_post(request) and wants_page and "query" not in request.query_params


def _media_type(accept: str) -> str | None:
    """The response's media type: the specification's own where it is accepted by name, else JSON; None for neither."""
    accepted = {
        kind.strip().lower()
        for kind, _, parameters in (part.partition(";") for part in accept.split(","))
        if "q=0" not in parameters.replace(" ", "").replace("q=0.", "q=.")
    }
    if RESPONSE_TYPE in accepted:
        return RESPONSE_TYPE
    return JSON_TYPE if not accept.strip() or accepted & {JSON_TYPE, "application/*", "*/*"} else None


def _response(outcome: Outcome, media_type: str) -> Response:
    # In plain JSON a refused document is answered 200, for clients from before the type of its own.
    refused = not outcome.began and media_type == RESPONSE_TYPE
    status = HTTPStatus.BAD_REQUEST if refused else HTTPStatus.OK
    return Response(orjson.dumps(outcome.body()), status, _HEADERS, media_type=media_type)


def _refusal(refused: Refused, media_type: str) -> Response:
    """A response to a request that is not one of GraphQL over HTTP, or not let in."""
    unauthenticated = refused.status == HTTPStatus.UNAUTHORIZED
    codes = {HTTPStatus.UNAUTHORIZED: Code.UNAUTHENTICATED, HTTPStatus.FORBIDDEN: Code.FORBIDDEN}
    code = codes.get(HTTPStatus(refused.status), Code.BAD_REQUEST)
    headers = {**_HEADERS, "WWW-Authenticate": "Bearer"} if unauthenticated else _HEADERS
    body = Outcome(None, [error(code, f"{refused}.")], began=False).body()
    return Response(orjson.dumps(body), refused.status, headers, media_type=media_type)


async def _while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, cancelled when the client hangs up: nobody else would notice. Raises ClientDisconnect."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        working.cancel()
        leaving.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
