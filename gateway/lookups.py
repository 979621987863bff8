"""Requests for one connection by id that come again: the call is made, what it brings is written, and nothing else is
done for them, by nobody who waits.

By then it is known how a connection stands in the answer. What comes of the call and is no connection is left to who
executes the request: that is handed over, so that no call is made for it once more.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from adapters import deadline, walk
from adapters.errors import AdapterError, NotFound, TimedOut
from adapters.flight import Flight
from adapters.model import Connection
from adapters.port import Fields, Found, Single
from adapters.requests import Message
from gateway.instances import Instance
from gateway.inventory import Ask, Inventory

log = logging.getLogger(__name__)


class Lookup(NamedTuple):
    """A connection that a request asks for, and nothing beside it. ``written`` gives the answer that has it, None where
    it takes executing to know; ``ask`` is of another time, and no older connection is ever given than it says."""

    instance: Instance
    native_id: str
    fields: Fields
    ask: Ask
    single: Single
    message: Message
    written: Callable[[Connection], bytes | None]

    @classmethod
    def of(
        cls, instance: Instance, native_id: str, fields: Fields, ask: Ask, written: Callable[[Connection], bytes | None]
    ) -> Self | None:
        """How a connection is looked up; None where its adapter does not say."""
        try:
            single = instance.adapter.single(native_id, fields)
        except AdapterError:
            return None
        message = None if single is None else instance.adapter.transport.message(single.request)
        if single is None or message is None:
            return None
        return cls(instance, native_id, fields, ask, single, message, written)

    def begin(
        self, inventory: Inventory, since: float, ends_at: float, given: Callable[[bytes], Any]
    ) -> "Sought | None":
        """The call for a request that began at ``since``, under way until ``ends_at`` at the latest; None where it
        takes waiting to make it, or where a list in memory may have the connection. ``given`` is what is given of an
        answer."""
        ask = Ask(self.ask.max_age, since, self.ask.takes_refreshing)
        adapter = self.instance.adapter
        if adapter.holds(self.fields) and inventory.held(self.instance, ask):
            return None
        sought = Sought(self, ask, given)
        with deadline.until(ends_at):
            flight = adapter.transport.send_at_once(self.single.request, self.message, sought)
        if flight is None:
            return None
        sought.by(flight)
        return sought


class Sought:
    """A connection that is looked up for one request; the call asks it as it would ask a future.

    Whoever tells it of the answer does so in a context of their own, with the deadline of another request, say. What
    follows is done in the one that it was made in.
    """

    def __init__(self, lookup: Lookup, ask: Ask, given: Callable[[bytes], Any]) -> None:
        self.lookup = lookup
        self.ask = ask
        self.came: bytes | Exception | None = None
        """The body of the answer to the call, or what was raised instead."""
        self._given = given
        self._context = contextvars.copy_context()
        self._done: Callable[[Any], None] | None = None
        self._flight: Flight[bytes] | None = None

    async def found(self) -> Found:
        """The connection as `Adapter.get_many` finds it, of what has come or is yet to come. Raises AdapterError."""
        if self._flight is not None:
            await self._landed()
        native_id, came = self.lookup.native_id, self.came
        try:
            if not isinstance(came, bytes):
                self.came = None
                raise came or TimedOut("the call was given up")
            completed = await self.lookup.single.made(came)
            (connection,) = completed.connections
            return Found({native_id: walk.proven(connection, native_id)}, completed.failures)
        except NotFound:
            return Found({})
        finally:
            del came  # or an error would hold itself, by where it was raised

    def is_for(self, native_id: str, fields: Fields, ask: Ask) -> bool:
        """Whether this is what somebody asks for of its instance, and something comes of the call."""
        lookup, comes = self.lookup, self._flight is not None or self.came is not None
        return comes and (native_id, fields, ask) == (lookup.native_id, lookup.fields, self.ask)

    def by(self, flight: Flight[bytes]) -> None:
        """It is under way."""
        self._flight = flight

    def then(self, done: Callable[[Any], None]) -> None:
        """Have ``done`` told what is given of the answer, or None where the request is to be executed."""
        self._done = done

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
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.then(lambda _: None if waiting.done() else waiting.set_result(None))
        try:
            await waiting
        except asyncio.CancelledError:
            self.give_up()
            raise

    def _end(self) -> None:
        self._flight, done, self._done = None, self._done, None
        if done is not None:
            try:
                done(self._told())
            except Exception:
                log.exception("an answer could not be given")  # which is nothing to others who wait for the call

    def _told(self) -> Any:
        """What is given of the answer; None where it takes anything else to make one."""
        if not isinstance(self.came, bytes):
            return None
        found = walk.without_waiting(self.found())
        connection = None if found is None or found.failures else found.by_id.get(self.lookup.native_id)
        if not isinstance(connection, Connection):
            return None
        try:
            written = self.lookup.written(connection)
            return None if written is None else self._given(written)
        except Exception:  # noqa: BLE001  whatever it is, it is told where the request is executed
            return None
