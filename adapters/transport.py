"""The one way to call an upstream: deadline, bulkhead, breaker, retries, error mapping, bounded decoding, hooks.

Foreign exceptions and status codes become `adapters.errors` here, by two tables, and nowhere else.
"""

import asyncio
import contextlib
import email.utils
import random
import re
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextvars import ContextVar
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple, TypeAlias
from urllib.parse import quote

import httpx
import msgspec

from adapters import deadline, errors
from adapters.auth import Authorizer, Credentials
from adapters.body import read_bounded
from adapters.flight import SingleFlight
from adapters.guards import Breaker, Bulkhead

Query: TypeAlias = Sequence[tuple[str, str]]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="provider"):
    """What every instance can be told, whatever its provider."""

    auth: Annotated[Credentials | None, msgspec.Meta(description="How the gateway proves who it is.")] = None
    timeout: Annotated[float, msgspec.Meta(gt=0, description="Seconds for one call, retries not counted.")] = 5.0
    retries: Annotated[int, msgspec.Meta(ge=0, le=5, description="How often a safe call that failed is repeated.")] = 2
    max_in_flight: Annotated[int, msgspec.Meta(ge=1, description="Calls at the same time; further ones wait.")] = 16
    max_waiting: Annotated[int, msgspec.Meta(ge=0, description="Waiting calls; further ones fail at once.")] = 512
    max_body_bytes: Annotated[
        int, msgspec.Meta(ge=1024, description="Longest answer that is read, in bytes after decompression.")
    ] = 64 * 1024 * 1024
    break_after: Annotated[
        int, msgspec.Meta(ge=1, description="Failures in a row after which the instance is left alone for a while.")
    ] = 8
    break_for: Annotated[float, msgspec.Meta(gt=0, description="Seconds that it is left alone.")] = 10.0


class Request(NamedTuple):
    """A call to make. ``route`` is a template below the base URL; ``ids`` fill it, quoted.

    ``safe`` says that repeating the call changes nothing: true of every read, whatever its HTTP method. ``batch`` is
    how many things it asks for by their ids.
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


class Call(NamedTuple):
    """What a hook is told after each attempt. It holds no URL, no header and no body."""

    instance: str
    provider: str
    operation: str
    method: str
    route: str
    status: int | None
    error: str | None
    duration_s: float
    size_bytes: int
    attempt: int
    batch: int
    correlation_id: str


Hook: TypeAlias = Callable[[Call], None]

watching: ContextVar[tuple[Hook, ...]] = ContextVar("watching", default=())
"""Hooks that are told only of the calls made on behalf of what set them: one request, one test."""

STATUS_ERRORS: Mapping[int, type[errors.AdapterError]] = {
    400: errors.Rejected,
    401: errors.Unauthorized,
    403: errors.Unauthorized,
    404: errors.NotFound,
    405: errors.ContractBroken,
    408: errors.TimedOut,
    409: errors.Conflict,
    410: errors.NotFound,
    413: errors.Rejected,
    422: errors.Rejected,
    423: errors.Conflict,
    429: errors.RateLimited,
    501: errors.Unsupported,
    504: errors.TimedOut,
}
"""Statuses that mean something of their own. Any other 5xx is UpstreamFault, anything else ContractBroken."""

FOREIGN_ERRORS: Mapping[type[Exception], type[errors.AdapterError]] = {
    httpx.TimeoutException: errors.TimedOut,
    TimeoutError: errors.TimedOut,
    httpx.DecodingError: errors.ContractBroken,
    httpx.RemoteProtocolError: errors.Unreachable,
    httpx.LocalProtocolError: errors.Rejected,
    httpx.UnsupportedProtocol: errors.Rejected,
    httpx.TransportError: errors.Unreachable,
    httpx.InvalidURL: errors.Rejected,
    UnicodeEncodeError: errors.Rejected,
}
"""In this order: the first that the exception is an instance of."""

_MESSAGES: Mapping[type[errors.AdapterError], str] = {
    errors.Rejected: "the upstream does not accept this request",
    errors.Unauthorized: "the upstream does not accept our credentials",
    errors.NotFound: "the upstream does not know this",
    errors.TimedOut: "no complete answer in time",
    errors.Conflict: "not possible in the upstream's present state",
    errors.RateLimited: "the upstream asks us to slow down",
    errors.Unsupported: "the upstream does not support this",
    errors.UpstreamFault: "the upstream answered that it is broken",
    errors.ContractBroken: "the answer is not what the upstream's specification says",
    errors.Unreachable: "the upstream cannot be reached",
}

_BREAKING = (errors.Unreachable, errors.TimedOut, errors.UpstreamFault, errors.ContractBroken)
"""Failures of the upstream as a whole. A 404 or a refused credential says nothing about its health."""


class Transport:
    """Calls to one instance."""

    def __init__(
        self,
        *,
        instance: str,
        provider: str,
        settings: Settings,
        base_url: str,
        client: httpx.AsyncClient,
        authorizer: Authorizer | None = None,
        headers: Mapping[str, str] = {},
        hooks: Sequence[Hook] = (),
    ) -> None:
        self.instance = instance
        self.provider = provider
        self.breaker = Breaker(settings.break_after, settings.break_for)
        self._settings = settings
        self._base_url = _checked(base_url)
        self._client = client
        self._authorizer = authorizer
        self._headers = headers
        self._hooks = hooks
        self._bulkhead = Bulkhead(settings.max_in_flight, settings.max_waiting)
        self._flight = SingleFlight()

    async def send(self, request: Request) -> bytes:
        """The body of a successful answer, decompressed. Raises AdapterError.

        Equal safe requests in flight at the same time are one call.
        """
        if not request.safe:
            return await self._with_retries(request)
        key = (request.method, request.route, *request.ids.items(), *request.query, repr((request.json, request.form)))
        if key in self._flight:
            # Who joins a call leaves it at a deadline of its own. Where the call ends by that of who made it, and
            # there is time left, it is made once more.
            try:
                async with asyncio.timeout(deadline.remaining()):
                    return await self._flight(key, lambda: self._with_retries(request))
            except TimeoutError:
                raise _Trace(self, request, 1).told(errors.TimedOut(_MESSAGES[errors.TimedOut])) from None
            except errors.TimedOut:
                if deadline.remaining() == 0:
                    raise
        return await self._flight(key, lambda: self._with_retries(request))

    async def _with_retries(self, request: Request) -> bytes:
        attempt = 1
        while True:
            try:
                return await self._once(request, attempt)
            except errors.AdapterError as error:
                wait_s = _backoff_s(attempt, error.retry_after_s)
                if not self._worth_repeating(request, error, attempt, wait_s):
                    raise
            await asyncio.sleep(wait_s)
            attempt += 1

    def _worth_repeating(self, request: Request, error: errors.AdapterError, attempt: int, wait_s: float) -> bool:
        if not (request.safe and error.retryable) or attempt > self._settings.retries:
            return False
        if error.operation != request.operation:  # fetching the token failed, and was repeated there already
            return False
        # Waiting for an overloaded or opened instance is what these two exist to prevent; a timeout has had its time.
        if isinstance(error, errors.Overloaded | errors.CircuitOpen | errors.TimedOut):
            return False
        left_s = deadline.remaining()
        return wait_s < self._settings.timeout and (left_s is None or wait_s < left_s)

    async def _once(self, request: Request, attempt: int) -> bytes:
        trace = _Trace(self, request, attempt)
        try:
            async with self._bulkhead:
                body = await self._guarded(request, trace)
        except Exception as raised:  # noqa: BLE001  `told` raises again what it does not know
            error = trace.told(raised)
            self._report(trace, error)
            raise error from None  # the foreign exception's text may hold a URL or a body
        self._report(trace, None)
        return body

    async def _guarded(self, request: Request, trace: "_Trace") -> bytes:
        if deadline.remaining() == 0:
            raise errors.TimedOut("no time was left for this call")
        trying = self.breaker.admit()
        verdict = self.breaker.left
        try:
            body = await self._authorized(request, trace)
            verdict = self.breaker.succeeded
        except Exception as raised:  # noqa: BLE001  `told` raises again what it does not know
            error = trace.told(raised)
            if trace.sent and isinstance(error, _BREAKING):
                verdict = self.breaker.failed
            elif trace.status is not None:
                verdict = self.breaker.succeeded
            raise error from None
        finally:
            verdict(trying)
        return body

    async def _authorized(self, request: Request, trace: "_Trace") -> bytes:
        """One exchange; a second one with a new token where the first was refused."""
        if self._authorizer is None:
            return await self._exchange(request, None, trace)
        header = await self._header(self._authorizer)
        try:
            return await self._exchange(request, header, trace)
        except errors.Unauthorized:
            if trace.status != HTTPStatus.UNAUTHORIZED or not self._authorizer.reject(header):
                raise
        return await self._exchange(request, await self._header(self._authorizer), trace)

    async def _header(self, authorizer: Authorizer) -> str:
        async with asyncio.timeout(deadline.remaining()):  # another caller may be fetching it, with more time than we
            return await authorizer.header()

    async def _exchange(self, request: Request, header: str | None, trace: "_Trace") -> bytes:
        left_s = deadline.remaining()
        timeout_s = self._settings.timeout if left_s is None else min(self._settings.timeout, left_s)
        async with asyncio.timeout(timeout_s):
            async with self._stream(request, header, trace) as response:
                trace.status = response.status_code
                if not response.is_success:
                    raise _status_error(response)
                return await read_bounded(response, self._settings.max_body_bytes, trace.count)

    @contextlib.asynccontextmanager
    async def _stream(self, request: Request, header: str | None, trace: "_Trace") -> AsyncGenerator[httpx.Response]:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", **self._headers}
        headers["X-Request-Id"] = trace.correlation_id
        if header is not None:
            headers["Authorization"] = header
        content: bytes | None = None
        if request.json is not None:
            content = msgspec.json.encode(request.json)
            headers["Content-Type"] = "application/json"
        url = self.url(request)
        trace.sent = True
        async with self._client.stream(
            request.method,
            url,
            params=list(request.query),
            headers=headers,
            content=content,
            data=dict(request.form) if request.form is not None else None,
            auth=_NO_AUTH,  # or a user name in the base URL would take the place of our header
            follow_redirects=False,
            timeout=None,  # `_exchange` bounds the whole exchange, slow bodies included
        ) as response:
            yield response

    def url(self, request: Request) -> str:
        """The request's URL, proven to lie below the base URL."""
        for value in request.ids.values():
            # Dots survive quoting, and a client resolves them: they would climb out of the route.
            if value in ("", ".", ".."):
                raise errors.Rejected("an id cannot be part of a path")
        try:
            return self._base_url + request.route.format(**{k: quote(v, safe="") for k, v in request.ids.items()})
        except UnicodeEncodeError:
            raise errors.Rejected("an id cannot be part of a path") from None

    def _report(self, trace: "_Trace", error: errors.AdapterError | None) -> None:
        call = trace.call(error)
        for hook in (*self._hooks, *watching.get()):
            hook(call)


_NO_AUTH = httpx.Auth()


def _checked(base_url: str) -> str:
    """The base URL without a slash at its end. Raises ConfigurationError for one that cannot be built on."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        raise errors.ConfigurationError("base_url: not a URL") from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise errors.ConfigurationError("base_url: must be http(s)://host/path, without a user, a query or a fragment")
    return base_url.rstrip("/")


class _Trace:
    """One attempt under way: what its record and its error will say."""

    def __init__(self, transport: Transport, request: Request, attempt: int) -> None:
        self._transport = transport
        self._request = request
        self._attempt = attempt
        self._began = time.perf_counter()
        self.correlation_id = uuid.uuid4().hex
        self.status: int | None = None
        self.sent = False
        self.size_bytes = 0

    def count(self, size_bytes: int) -> None:
        """Take note of bytes that were read."""
        self.size_bytes += size_bytes

    def told(self, raised: Exception) -> errors.AdapterError:
        """The exception in our words, saying where it happened."""
        error = raised if isinstance(raised, errors.AdapterError) else _mapped(raised)
        error.instance = self._transport.instance
        error.provider = self._transport.provider
        error.operation = error.operation or self._request.operation
        error.correlation_id = error.correlation_id or self.correlation_id
        return error

    def call(self, error: errors.AdapterError | None) -> Call:
        return Call(
            instance=self._transport.instance,
            provider=self._transport.provider,
            operation=self._request.operation,
            method=self._request.method,
            route=self._request.route,
            status=self.status,
            error=type(error).__name__ if error else None,
            duration_s=time.perf_counter() - self._began,
            size_bytes=self.size_bytes,
            attempt=self._attempt,
            batch=self._request.batch,
            correlation_id=self.correlation_id,
        )


def _mapped(raised: Exception) -> errors.AdapterError:
    for foreign, ours in FOREIGN_ERRORS.items():
        if isinstance(raised, foreign):
            return ours(_MESSAGES[ours])
    raise raised


def _status_error(response: httpx.Response) -> errors.AdapterError:
    status = response.status_code
    kind = STATUS_ERRORS.get(status)
    if kind is None:
        kind = errors.UpstreamFault if status >= HTTPStatus.INTERNAL_SERVER_ERROR else errors.ContractBroken
    retry_after_s = _retry_after_s(response.headers.get("Retry-After"))
    return kind(f"{_MESSAGES[kind]} (status {status})", retry_after_s=retry_after_s)


def _retry_after_s(value: str | None) -> float | None:
    """Seconds from a Retry-After header, which holds a number or an HTTP date; None where it is neither."""
    if not value:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _backoff_s(attempt: int, retry_after_s: float | None) -> float:
    """Full jitter, doubling from 0.1 s; never earlier than the upstream asked for, and not all at that same moment."""
    jitter_s = random.uniform(0.0, 0.1 * 2**attempt)  # noqa: S311  spreads load, guards nothing
    return jitter_s if retry_after_s is None else retry_after_s + jitter_s
