"""Requests that come again: what they ask for is come by as it was before, and written; nothing is executed for them.

They are for connections by id, and for what is made of lists. By then it is known how each stands in the answer. Where
there is only one connection, and all that it takes is a call, nobody even waits for that. What comes of it and cannot
simply be written is left to who executes the request: it is handed over, so that nothing is done for it once more.
"""

import asyncio
import contextvars
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, Self, TypeAlias

from adapters import digests, walk
from adapters.errors import AdapterError, NotFound, TimedOut
from adapters.flight import Flight
from adapters.model import Connection
from adapters.port import Fields, Found, Single
from adapters.requests import Message
from gateway.grounds import Ground
from gateway.instances import Instance
from gateway.inventory import Ask, Inventory
from gateway.sources import Need, Source

log = logging.getLogger(__name__)

KEPT_BYTES: Final = 16 * 1024
"""The longest answer that is kept with what it was written of, for each request that comes again."""

Place: TypeAlias = tuple[str, str]
"""An instance and a native id."""


class Wanted(NamedTuple):
    """A connection, what is wanted of it, and how old it may be."""

    place: Place
    fields: Fields
    ask: Ask

    def by(self, since: float) -> "Wanted":
        """The same, wanted by a request that began then."""
        return Wanted(self.place, self.fields, self.ask.by(since))


class Several(NamedTuple):
    """Connections that a field asks for together; None in the place of what can be none."""

    wanted: Sequence[Wanted | None]

    def by(self, since: float) -> "Several":
        """The same, wanted by a request that began then."""
        return Several([each and each.by(since) for each in self.wanted])


class Gathered(Protocol):
    """What was made of lists: a page, or counts."""

    @property
    def sources(self) -> Sequence[Source]: ...
    @property
    def failures(self) -> Sequence[AdapterError]: ...


class Gathering(NamedTuple):
    """What is to be made of lists, and how; ``tells_sources`` where that says how each instance contributed."""

    make: Callable[[Need], Awaitable[Gathered]]
    need: Need
    tells_sources: bool

    def by(self, since: float, now: dt.datetime) -> Awaitable[Gathered]:
        """The same for a request that began then."""
        return self.make(self.need.by(since, now))

    def grounds(self, gathered: Gathered) -> Sequence[Ground | None]:
        """What it rests on. How instances contributed is another thing each time."""
        return [None] if self.tells_sources else [source.ground() for source in gathered.sources]


Come: TypeAlias = Connection | Sequence[Connection | None] | Gathered | None
"""What a field comes to."""
Written: TypeAlias = Callable[[Sequence[Come]], bytes | None]
"""Gives the answer in which the fields have come to these; None where it takes executing to know."""


class _Last(NamedTuple):
    """The body that a call brought last, the answer that was written of it, and until when the same would be."""

    digest: bytes
    answer: bytes
    good_until: float


class OneCall:
    """The one call that a connection takes where no list in memory has it. While it brings the same body, the answer is
    the same, and neither is read nor written again."""

    __slots__ = ("_last", "instance", "message", "single", "wanted")

    def __init__(self, wanted: Wanted, instance: Instance, single: Single, message: Message) -> None:
        self.wanted = wanted
        self.instance = instance
        self.single = single
        self.message = message
        self._last: _Last | None = None

    @classmethod
    def of(cls, wanted: Wanted, instance: Instance) -> Self | None:
        """That for a connection; None where its adapter does not say."""
        (_, native_id), fields, _ = wanted
        try:
            single = instance.adapter.single(native_id, fields)
        except AdapterError:
            return None
        message = None if single is None else instance.adapter.transport.message(single.request)
        return None if single is None or message is None else cls(wanted, instance, single, message)

    def answer(self, body: bytes) -> bytes | None:
        """The answer that was written of this body, where that came last; None for any other."""
        last = self._last
        if last is None:
            return None
        if last.digest == digests.of_body(body) and last.good_until > time.monotonic():
            return last.answer
        self._last = None
        return None

    def keep(self, body: bytes, answer: bytes, good_until: float) -> None:
        """Keep the answer that was written of a body, where the same would be until some time from now."""
        if good_until and len(answer) <= KEPT_BYTES:
            self._last = _Last(digests.of_body(body), answer, good_until)


class Lookup(NamedTuple):
    """All that a request asks for, by its fields; ``call`` is for the only one, where that is a connection."""

    fields: Mapping[str, Wanted | Several | Gathering]
    written: Written
    call: OneCall | None

    def begin(
        self, inventory: Inventory, since: float, ends_at: float, given: Callable[[bytes], Any]
    ) -> "Sought | None":
        """The call for a request that began at ``since``, under way until ``ends_at`` at the latest; None where it
        takes waiting to make it, or where a list in memory may have the connection. ``given`` is what is given of an
        answer."""
        if self.call is None:
            return None
        wanted, adapter = self.call.wanted, self.call.instance.adapter
        # Of what is to be read after the request began, memory has nothing yet.
        may_be_held = wanted.ask.max_age > 0 and adapter.holds(wanted.fields)
        if may_be_held and inventory.held(self.call.instance, wanted.ask.by(since)):
            return None
        sought = Sought(self.call, since, self.written, given)
        flight = adapter.transport.send_at_once(self.call.single.request, self.call.message, sought, ends_at)
        if flight is None:
            return None
        sought.by(flight)
        return sought


class Underway:
    """An answer that is under way for a request that began at ``since``. ``given`` is what is given of it."""

    def __init__(self, since: float, given: Callable[[bytes], Any]) -> None:
        self.since = since
        self._given = given
        self._done: Callable[[Any], None] | None = None

    def then(self, done: Callable[[Any], None]) -> None:
        """Have ``done`` told what is given of the answer, or None where the request is to be executed."""
        self._done = done

    def _tell(self, answer: bytes | None) -> None:
        """Tell who is to be told, once; what goes wrong with that is nothing to others who wait for the same."""
        done, self._done = self._done, None
        if done is None:
            return
        try:
            given = None if answer is None else self._given(answer)
        except Exception:  # noqa: BLE001  whatever it is, it is told where the request is executed
            given = None
        try:
            done(given)
        except Exception:
            log.exception("an answer could not be given")


class Sought(Underway):
    """A connection that is looked up for one request; the call asks it as it would ask a future.

    Whoever tells it of the answer does so in a context of their own, with the deadline of another request, say. What
    follows is done in the one that it was made in.
    """

    def __init__(self, call: OneCall, since: float, written: Written, given: Callable[[bytes], Any]) -> None:
        super().__init__(since, given)
        self.came: bytes | Exception | None = None
        """The body of the answer to the call, or what was raised instead."""
        self._call = call
        self._written = written
        self._good_until = 0.0
        """Until when the same body is found to be the same."""
        self._context = contextvars.copy_context()
        self._flight: Flight[bytes] | None = None
        self._waiting: asyncio.Future[None] | None = None
        """Of who waits for the call in place of whoever was to be told."""

    async def found(self) -> Found:
        """The connection as `Adapter.get_many` finds it, of what has come or is yet to come. Raises AdapterError."""
        if self._flight is not None:
            await self._landed()
        (_, native_id), came = self._call.wanted.place, self.came
        try:
            if not isinstance(came, bytes):
                self.came = None
                raise came or TimedOut("the call was given up")
            completed = await self._call.single.made(came)
            (connection,), self._good_until = completed.connections, completed.good_until
            return Found({native_id: walk.proven(connection, native_id)}, completed.failures)
        except NotFound:
            return Found({})
        finally:
            del came  # or an error would hold itself, by where it was raised

    def comes_to(self, wanted: Wanted) -> bool:
        """Whether this is what is wanted, and something came of the call, or will."""
        return (self._flight is not None or self.came is not None) and wanted == self._call.wanted.by(self.since)

    def by(self, flight: Flight[bytes]) -> None:
        """It is under way."""
        self._flight = flight

    def give_up(self) -> None:
        """Nobody wants it any more."""
        self._done, flight, self._flight = None, self._flight, None
        if flight is not None:
            flight.leave(self)

    def done(self) -> bool:
        """Whether it is over."""
        return self._flight is None

    def set_result(self, body: bytes, /) -> None:
        """The body of the answer is there."""
        self.came = body
        self._context.run(self._end)

    def set_exception(self, exception: BaseException, /) -> None:
        """There will be none."""
        self.came = exception if isinstance(exception, Exception) else None
        self._context.run(self._end)

    def cancel(self) -> None:
        """Nobody makes the call any more."""
        self._context.run(self._end)

    async def _landed(self) -> None:
        """Wait for what comes of the call, in place of whoever was to be told."""
        self._done, self._waiting = None, asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        except asyncio.CancelledError:
            self.give_up()
            raise

    def _end(self) -> None:
        self._flight = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        elif self._done is not None:
            self._tell(self._answer())

    def _answer(self) -> bytes | None:
        """The answer; None where it takes anything else to make one."""
        body = self.came
        if not isinstance(body, bytes):
            return None
        answer = self._call.answer(body)
        if answer is not None:
            return answer
        found = walk.without_waiting(self.found())
        connection = None if found is None else found.by_id.get(self._call.wanted.place[1])
        if found is None or found.failures or isinstance(connection, AdapterError):
            return None
        try:
            answer = self._written([connection])
        except Exception:  # noqa: BLE001  whatever it is, it is told where the request is executed
            return None
        if answer is not None:
            self._call.keep(body, answer, self._good_until)
        return answer
