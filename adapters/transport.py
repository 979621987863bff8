"""The one way to call an upstream: deadline, bulkhead, breaker, retries, error mapping, bounded decoding, hooks."""

import asyncio
import contextvars
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from http import HTTPStatus
from typing import Annotated, TypeAlias

import httpx
import msgspec

from adapters import deadline, errors
from adapters.auth import Authorizer, Credentials
from adapters.channel import Answer, Channel, Stale, Wanted
from adapters.dialling import Origin
from adapters.flight import Flight, Place, SingleFlight
from adapters.guards import Breaker, Bulkhead
from adapters.http1 import Client
from adapters.requests import Message, Query, Request, Writer
from adapters.translation import MESSAGES, leaves_open, mapped, status_error

__all__ = ["Call", "Hook", "Query", "Request", "Settings", "Transport", "watching"]  # all that an adapter needs


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
    read_only: Annotated[bool, msgspec.Meta(description="Whether nothing may be changed through the gateway.")] = False
    write_timeout: Annotated[
        float, msgspec.Meta(gt=0, description="Seconds for a call that changes something; it is made once.")
    ] = 60.0
    task_timeout: Annotated[
        float, msgspec.Meta(gt=0, description="Seconds for a call that lets the upstream work: a check, a discovery.")
    ] = 600.0


class Call(msgspec.Struct, frozen=True, gc=False):
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
        client: Client,
        authorizer: Authorizer | None = None,
        headers: Mapping[str, str] = {},
        hooks: Sequence[Hook] = (),
    ) -> None:
        self.instance = instance
        self.provider = provider
        self.breaker = Breaker(settings.break_after, settings.break_for)
        self._settings = settings
        self._client = client
        self._authorizer = authorizer
        self.hooks = tuple(hooks)
        self.bulkhead = Bulkhead(settings.max_in_flight, settings.max_waiting)
        self._flights = SingleFlight()
        self._writer = Writer(_checked(base_url), headers)
        self._wanted = Wanted(settings.max_body_bytes)

    async def send(self, request: Request) -> bytes:
        """The body of a successful answer, decompressed. Raises AdapterError.

        Equal safe requests in flight at the same time are one call.
        """
        if not request.safe:
            return await self.with_retries(request)
        message = self.message(request)
        if message is None:
            return await self.with_retries(request)  # which fails likewise, and tells the hooks
        flight, has_joined = self._flights.get(message), False
        while flight is not None:
            # Who joins a call leaves it at a deadline of its own. Where the call ends by that of who made it, and
            # there is time left, it is made once more, by whoever comes first.
            try:
                async with asyncio.timeout(deadline.remaining()):
                    return await flight.answer()
            except TimeoutError:
                raise _Trace(self, request, 1, _new_id()).told(errors.TimedOut(MESSAGES[errors.TimedOut])) from None
            except errors.TimedOut:
                if has_joined or deadline.remaining() == 0:
                    raise
            flight, has_joined = self._flights.get(message), True
        flight = self._begun(request, message, deadline.ends_at())
        if flight is None:
            task = asyncio.create_task(self.with_retries(request))
            flight = self._flights.begin(message)
            flight.follow(task)
        return await flight.answer()

    def message(self, request: Request) -> Message | None:
        """What is written of a request, for `send_at_once`; None where it cannot be written."""
        try:
            return self._writer.message(request)
        except (errors.Rejected, UnicodeEncodeError, httpx.LocalProtocolError):
            return None

    def send_at_once(
        self, request: Request, message: Message, place: Place[bytes], ends_at: float
    ) -> Flight[bytes] | None:
        """As `send`, for who does not wait, and has until ``ends_at`` by the monotonic clock: ``place`` is told what
        comes of the call, unless it leaves the flight. None where it takes waiting to send it, or where others wait for
        the same call: nothing is sent then."""
        flight = None if self._flights.get(message) is not None else self._begun(request, message, ends_at)
        if flight is not None:
            flight.enter(place)
        return flight

    def _begun(self, request: Request, message: Message, ends_at: float | None) -> Flight[bytes] | None:
        """The call, where it could be sent at once, without waiting for anything and without a task of its own."""
        header = None
        if self._authorizer is not None:
            header = self._authorizer.ready()
            if header is None:
                return None
        left_s = None if ends_at is None else ends_at - time.monotonic()
        if not self.breaker.is_closed or (left_s is not None and left_s <= 0):
            return None
        correlation_id = _new_id()
        try:
            sent = self._writer.written(message, header, correlation_id)
        except (httpx.LocalProtocolError, UnicodeEncodeError):
            return None
        if not self.bulkhead.enter_now():
            return None
        channel = self._client.idle(self._writer.origin, safe=True)
        if channel is None:
            self.bulkhead.leave()
            return None
        flight = self._flights.begin(message)
        begun = _Begun(self, request, correlation_id, header, ends_at, flight=flight, channel=channel)
        flight.by(begun.give_up)
        channel.ask(sent, begun, self._wanted, begun.within_s(self._timeout_s(request), left_s))
        return flight

    @property
    def write_timeout_s(self) -> float:
        """Seconds that a call which changes something may take."""
        return self._settings.write_timeout

    def target(self, request: Request) -> str:
        """The path and the query that a request asks for. Raises as `Writer.target`."""
        return self._writer.target(request).decode("ascii")

    def forget(self) -> None:
        """Something was changed: whoever asks from now on shares no call that was begun before."""
        self._flights.forget()

    async def with_retries(self, request: Request, begun: "_Begun | None" = None) -> bytes:
        """As `send`, joined by nobody. ``begun`` is the first attempt where there was one already."""
        attempt = 1
        while True:
            try:
                return await self._once(request, attempt, begun)
            except errors.AdapterError as error:
                wait_s = _backoff_s(attempt, error.retry_after_s)
                if not self._worth_repeating(request, error, attempt, wait_s):
                    raise
            await asyncio.sleep(wait_s)
            attempt, begun = attempt + 1, None

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

    async def _once(self, request: Request, attempt: int, begun: "_Begun | None") -> bytes:
        trace = begun or _Trace(self, request, attempt, _new_id())
        try:
            if begun is None:
                await self.bulkhead.enter()
            try:
                body = await self._guarded(request, trace, begun)
            finally:
                self.bulkhead.leave() if begun is None else begun.leave()
        except Exception as raised:  # noqa: BLE001  `told` raises again what it does not know
            error = trace.told(raised)
            trace.report(error)
            raise error from None  # the foreign exception's text may hold a URL or a body
        trace.report(None)
        return body

    async def _guarded(self, request: Request, trace: "_Trace", begun: "_Begun | None") -> bytes:
        if begun is None and deadline.remaining() == 0:
            raise errors.TimedOut("no time was left for this call")
        trying = begun is None and await self.breaker.admitted()
        verdict = self.breaker.left
        try:
            body = await self._authorized(request, trace, begun)
            verdict = self.breaker.succeeded
        except Exception as raised:  # noqa: BLE001  `told` raises again what it does not know
            error = trace.told(raised)
            if trace.sent and isinstance(error, _BREAKING) and not trace.is_cut_short(error):
                verdict = self.breaker.failed
            elif trace.status is not None:
                verdict = self.breaker.succeeded
            raise error from None
        finally:
            verdict(trying)
        return body

    async def _authorized(self, request: Request, trace: "_Trace", begun: "_Begun | None") -> bytes:
        """One exchange; a second one with a new token where the first was refused."""
        authorizer = self._authorizer
        if authorizer is None:
            return await self._exchange(request, None, trace, begun)
        header = begun.header if begun and begun.header else await authorizer.header()
        try:
            return await self._exchange(request, header, trace, begun)
        except errors.Unauthorized:
            if trace.status != HTTPStatus.UNAUTHORIZED or not authorizer.reject(header):
                raise
        return await self._exchange(request, await authorizer.header(), trace)

    async def _exchange(
        self, request: Request, header: str | None, trace: "_Trace", begun: "_Begun | None" = None
    ) -> bytes:
        is_stale = begun is not None and isinstance(begun.came, Stale)
        if begun is not None and not is_stale:
            return begun.body()
        sent = self._writer.written(self._writer.message(request), header, trace.correlation_id)
        trace.sent, trace.status = True, None
        spent_s = trace.spent_s if is_stale else 0.0
        timeout_s = trace.within_s(max(0.0, self._timeout_s(request) - spent_s), deadline.remaining())
        # What may be sent only once is sent over a new socket: of a kept one that the server closes at that very moment
        # nobody could tell whether it was read.
        trace.has_reached = not request.safe
        try:
            answer = await self._client.exchange(
                self._writer.origin,
                sent,
                self._wanted,
                timeout_s=timeout_s,
                safe=request.safe,
                anew=is_stale or not request.safe,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout):
            trace.has_reached = False
            raise
        trace.has_reached = not request.safe and leaves_open(answer.status)
        return trace.body_of(answer)

    def _timeout_s(self, request: Request) -> float:
        """What the whole exchange may take, slow bodies included."""
        return request.timeout_s or (self._settings.timeout if request.safe else self._settings.write_timeout)


def _checked(base_url: str) -> httpx.URL:
    """The base URL. Raises ConfigurationError for one that cannot be built on."""
    try:
        url = httpx.URL(base_url)
        Origin.of(url)
    except httpx.InvalidURL:
        raise errors.ConfigurationError("base_url: not a URL") from None
    except httpx.UnsupportedProtocol:
        url = None
    if url is None or url.userinfo or url.query or url.fragment:
        raise errors.ConfigurationError(
            "base_url: must be http(s)://host:port/path, without a user, a query or a fragment"
        )
    return url


class _Trace:
    """One attempt under way: what its record and its error will say."""

    status: int | None = None
    sent = False
    has_reached = False
    """Whether a call that changes something may have been carried out."""
    _size_bytes = 0
    _is_hurried = False

    def __init__(self, transport: Transport, request: Request, attempt: int, correlation_id: str) -> None:
        self.correlation_id = correlation_id
        self._transport = transport
        self._request = request
        self._attempt = attempt
        self._began = time.perf_counter()

    @property
    def spent_s(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._began

    def within_s(self, timeout_s: float, left_s: float | None) -> float:
        """What the exchange is given of its usual time, where its caller has so much left."""
        self._is_hurried = left_s is not None and left_s < timeout_s / 2
        return timeout_s if left_s is None else min(timeout_s, left_s)

    def is_cut_short(self, error: errors.AdapterError) -> bool:
        """Whether the attempt ended by its caller's deadline, long before its usual time: that says nothing about the
        upstream."""
        return self._is_hurried and isinstance(error, errors.TimedOut)

    def body_of(self, answer: Answer) -> bytes:
        """The body of a successful answer. Raises what another one means."""
        self.status = status = answer.status
        if not _OK <= status < _REDIRECTED:
            raise status_error(answer)
        self._size_bytes = len(answer.body)
        return answer.body

    def told(self, raised: Exception) -> errors.AdapterError:
        """The exception in our words, saying where it happened."""
        error = raised if isinstance(raised, errors.AdapterError) else mapped(raised)
        error.may_have_happened = error.may_have_happened or self.has_reached
        error.instance = self._transport.instance
        error.provider = self._transport.provider
        error.operation = error.operation or self._request.operation
        error.correlation_id = error.correlation_id or self.correlation_id
        return error

    def report(self, error: errors.AdapterError | None) -> None:
        """Tell the hooks that the attempt has ended."""
        self._tell(error, (*self._transport.hooks, *watching.get()))

    def _tell(self, error: errors.AdapterError | None, hooks: Sequence[Hook]) -> None:
        if not hooks:
            return
        request = self._request
        call = Call(
            self._transport.instance,
            self._transport.provider,
            request.operation,
            request.method,
            request.route,
            self.status,
            type(error).__name__ if error else None,
            self.spent_s,
            self._size_bytes,
            self._attempt,
            request.batch,
            self.correlation_id,
        )
        for hook in hooks:
            hook(call)


_OK, _REDIRECTED = 200, 300


class _Begun(_Trace):
    """A first attempt that was sent at once. What ends well ends here, as soon as the answer is there; anything else
    goes on in a task, as if it had been in it from the start."""

    sent = True

    def __init__(
        self,
        transport: Transport,
        request: Request,
        correlation_id: str,
        header: str | None,
        ends_at: float | None,
        *,
        flight: Flight[bytes],
        channel: Channel,
    ) -> None:
        super().__init__(transport, request, 1, correlation_id)
        self.header = header
        self._ends_at = ends_at
        self.came: Answer | Exception | None = None
        self._flight = flight
        self._channel: Channel | None = channel
        self._has_place = True
        """Whether it has one among the calls in flight."""
        self._context = contextvars.copy_context()
        self._hooks = (*transport.hooks, *watching.get())

    def leave(self) -> None:
        """Leave that place."""
        if self._has_place:
            self._has_place = False
            self._transport.bulkhead.leave()

    def done(self) -> bool:
        """Whether there is something to be told yet: the channel asks as it would ask a future."""
        return self._channel is None

    def set_result(self, answer: Answer, /) -> None:
        """The answer is there."""
        if _OK <= answer.status < _REDIRECTED:
            self._channel = None
            self.leave()
            self._transport.breaker.succeeded(False)
            try:
                body = self.body_of(answer)
                self._tell(None, self._hooks)
            except Exception as error:  # noqa: BLE001  a hook's; there is nobody here but who waits
                self._flight.fail(error)
            else:
                self._flight.land(body)
        else:
            self._go_on(answer)

    def set_exception(self, exception: Exception, /) -> None:
        """There will be none."""
        self._go_on(exception)

    def body(self) -> bytes:
        """As `body_of`, of what came. Raises it where it is an exception."""
        if isinstance(self.came, Answer):
            return self.body_of(self.came)
        raise self.came or httpx.ReadError("there was no answer")

    def give_up(self) -> None:
        """Nobody waits any more."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.leave(self)
        self.leave()

    def _go_on(self, came: Answer | Exception) -> None:
        self._channel, self.came = None, came
        self._context.run(deadline.begin, self._ends_at)
        call = self._transport.with_retries(self._request, self)
        task = asyncio.get_running_loop().create_task(call, context=self._context)
        task.add_done_callback(lambda _: self.leave())  # it may have ended before it began
        self._flight.follow(task)


def _new_id() -> str:
    """What a call is found by in the logs of both ends."""
    return random.randbytes(16).hex()  # noqa: S311  a name, and no secret


def _backoff_s(attempt: int, retry_after_s: float | None) -> float:
    """Full jitter, doubling from 0.1 s; never earlier than the upstream asked for, and not all at that same moment."""
    jitter_s = random.uniform(0.0, 0.1 * 2**attempt)  # noqa: S311  spreads load, guards nothing
    return jitter_s if retry_after_s is None else retry_after_s + jitter_s
