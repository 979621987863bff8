"""Requests for one connection by id that come again: the call is made, what it brings is written, and nothing else is
done for them, by nobody who waits.

By then it is known how a connection stands in the answer. What comes of the call and is no connection is left to who
executes the request: that is handed over, so that no call is made for it once more.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

from adapters import walk
from adapters.errors import NotFound
from adapters.flight import Flight
from adapters.model import Connection
from adapters.port import Fields, Single
from adapters.requests import Message
from gateway.instances import Instance
from gateway.inventory import Ask, Inventory
from gateway.loaders import Answer


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
        """How a connection is looked up; None where it takes more than one call."""
        single = instance.adapter.single(native_id, fields)
        message = None if single is None else instance.adapter.transport.message(single.request)
        if single is None or message is None:
            return None
        return cls(instance, native_id, fields, ask, single, message, written)

    def begin(self, inventory: Inventory, since: float, given: Callable[[bytes], Any]) -> "Sought | None":
        """The call for a request that began at ``since``, under way; None where it takes waiting to make it, or where a
        list in memory may have the connection. ``given`` is what is given of an answer."""
        ask = Ask(self.ask.max_age, since, self.ask.takes_refreshing)
        adapter = self.instance.adapter
        if adapter.holds(self.fields) and inventory.held(self.instance, ask):
            return None
        sought = Sought(self, ask, given)
        flight = adapter.transport.send_at_once(self.single.request, self.message, sought)
        if flight is None:
            return None
        sought.by(flight)
        return sought


class Sought:
    """A connection that is looked up for one request; the call asks it as it would ask a future."""

    def __init__(self, lookup: Lookup, ask: Ask, given: Callable[[bytes], Any]) -> None:
        self.lookup = lookup
        self.ask = ask
        self.answer: Answer | None = None
        """What came of the call; None where that is yet to be seen, or takes another one."""
        self._given = given
        self._done: Callable[[Any], None] | None = None
        self._flight: Flight[bytes] | None = None

    @property
    def was_in_vain(self) -> bool:
        """Whether it takes more than this to answer the request, though nothing has failed."""
        return self.answer is None or self.answer.connection is not None

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
        try:
            made = self.lookup.single.made(body)
            self.answer = None if made is None else Answer(walk.proven(made, self.lookup.native_id))
        except Exception as raised:  # noqa: BLE001  whatever it is, it is told where the request is executed
            self._fail(raised)
        self._end()

    def set_exception(self, exception: BaseException, /) -> None:
        """There will be none."""
        if isinstance(exception, Exception):
            self._fail(exception)
        self._end()

    def cancel(self) -> None:
        """Nobody makes the call any more."""
        self._end()

    def _fail(self, raised: Exception) -> None:
        is_unknown = isinstance(raised, NotFound)
        self.answer = Answer(None) if is_unknown else Answer(None, error=self.lookup.instance.failure(raised))

    def _end(self) -> None:
        self._flight, done, self._done = None, self._done, None
        if done is not None:
            done(self._told())

    def _told(self) -> Any:
        if self.answer is None or self.answer.connection is None:
            return None
        try:
            written = self.lookup.written(self.answer.connection)
            return None if written is None else self._given(written)
        except Exception:  # noqa: BLE001  as above
            return None
