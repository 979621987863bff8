"""Requests that come again: read once, and given the same answer, to the byte, while what it rests on is the same.

A dashboard asks the same again and again. Where all that an answer shows is of lists in memory, these are looked at,
and read anew where they are too old for who asks. If they are what they were, so is the answer: nothing is executed.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from gateway import grounds
from gateway.grounds import Ground
from gateway.inventory import Inventory
from gateway.lookups import Lookup, Sought
from gateway.protection.body import Operation, parse_operation

Key: TypeAlias = tuple[str | None, bytes]
"""Who asks, and for what: the viewer, and the body of the request."""

KEPT: Final = 256
"""Requests of which something is remembered."""
LONGEST_BODY: Final = 4_096
"""Bytes of a request of which something is remembered."""
ANSWERS_BYTES: Final = 16 * 1024 * 1024
"""What is held of answers."""
LONGEST: Final = ANSWERS_BYTES // 8
"""Bytes of an answer that is held."""
WORTH: Final = 3
"""The time a request comes at which its answer is kept: at the second its plans are made."""
SELDOM: Final = 64
"""How seldom that is tried, at the most, where answers change each time."""


class Known:
    """A request that came before, and its answer, where that is kept."""

    __slots__ = ("answer", "due", "given", "grounds", "is_read_each_time", "key", "lookup", "operation", "uses")

    def __init__(self, key: Key, operation: Operation) -> None:
        self.key = key
        self.operation = operation
        self.answer: bytes | None = None
        self.grounds: Sequence[Ground] = ()
        self.lookup: Lookup | None = None
        """How the answer is come by where it is one connection, of which none is kept."""
        self.is_read_each_time = False
        """Whether something that the answer rests on must be read after the request began."""
        self.given = 0
        """How often the answer was given again."""
        self.uses = 0
        """How often it came since its answer was forgotten, or could not be kept."""
        self.due = WORTH
        """The use at which it is tried to keep its answer."""

    def is_due(self) -> bool:
        """Whether its answer is to be kept this time, if it can be."""
        self.uses += 1
        return self.uses >= self.due

    def put_off(self) -> None:
        """Try no more to keep its answer until it has come twice as often as before."""
        self.uses, self.due = 0, min(2 * self.due, SELDOM)


class Answers:
    """The answers of one gateway to the requests that came lately."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._asked: OrderedDict[Key, Known] = OrderedDict()
        self._held_bytes = 0

    def read(self, viewer: str | None, body: bytes) -> tuple[Operation, Known | None]:
        """What a body asks for, and what is known of that request. Of long ones nothing is, and neither of what may
        change something, for it may hold a credential. Raises as `parse_operation`."""
        key = viewer, body
        found = self._asked.get(key)
        if found is not None:
            self._asked.move_to_end(key)
            return found.operation, found
        operation = parse_operation(body)
        if len(body) > LONGEST_BODY or operation.extensions is not None or "mutation" in operation.query:
            return operation, None
        found = self._asked[key] = Known(key, operation)
        if len(self._asked) > KEPT:
            self._drop(self._asked.popitem(last=False)[1])
        return operation, found

    def at_once(self, key: Key) -> Known | None:
        """A request with an answer to be given again, where memory has all that this rests on, or with a lookup; None
        where it takes more to know."""
        found = self._asked.get(key)
        if found is None:
            return None
        if found.lookup is not None:
            self._asked.move_to_end(key)
            return found
        if found.answer is None or found.is_read_each_time:
            return None
        if not grounds.hold(found.grounds, self._inventory, time.monotonic()):
            return None
        self._asked.move_to_end(key)
        found.given += 1
        return found

    async def again(self, known: Known, began: float) -> bytes | None:
        """The answer to a request that began then; what is too old for it is read anew. None where it is another one by
        now: what was read is there for who executes the operation."""
        answer = known.answer
        if answer is None:
            return None
        if await grounds.hold_anew(known.grounds, self._inventory, began):
            known.given += 1
            return answer
        if known.answer is answer:  # and nobody else has come to this before
            self._drop(known)
            if known.given:
                known.uses, known.due = 0, 1  # so that the one that is made now is kept
            else:
                known.put_off()  # it was kept in vain
        return None

    def look_up(self, lookup: Lookup, since: float, ends_at: float, given: Callable[[bytes], Any]) -> Sought | None:
        """As `Lookup.begin`."""
        return lookup.begin(self._inventory, since, ends_at, given)

    def forget_lookup(self, known: Known) -> None:
        """What was looked up for a request was not its answer, though nothing failed: it may be so each time."""
        self._drop(known)
        known.uses, known.due = 0, WORTH

    def keep(self, known: Known, answer: bytes, of: Sequence[Ground] | Lookup | None) -> None:
        """Keep the answer to a request, where it is known what it rests on, or how it is come by."""
        if of is None and known.lookup is not None:
            return  # what failed this time may not the next time
        self._drop(known)
        if isinstance(of, Lookup):
            known.lookup = of
            known.put_off()  # lists may have it later, from which it is given again without a call
            return
        if of is None or len(answer) > LONGEST or self._asked.get(known.key) is not known:
            known.put_off()
            return
        known.answer, known.grounds, known.given = answer, of, 0
        known.is_read_each_time = any(ground.ask.max_age <= 0 for ground in of)
        self._held_bytes += len(answer)
        if self._held_bytes > ANSWERS_BYTES:
            self._make_room(known)

    def _make_room(self, latest: Known) -> None:
        """Forget the answers to what was not asked for the longest."""
        for each in self._asked.values():
            if self._held_bytes <= ANSWERS_BYTES:
                return
            if each is not latest and each.answer is not None:
                self._drop(each)
                each.put_off()

    def _drop(self, known: Known) -> None:
        known.lookup = None
        if known.answer is not None:
            self._held_bytes -= len(known.answer)
            known.answer, known.grounds = None, ()
