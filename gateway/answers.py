"""Requests that come again: read once, and given the same answer, to the byte, while what it rests on is the same.

A dashboard asks the same again and again. Where all that an answer shows is of lists in memory, these are looked at,
and read anew where they are too old for who asks. If they are what they were, so is the answer; else what is asked for
is come by as it was, and written. Nothing is executed.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from adapters import deadline
from gateway import grounds
from gateway.coming import Coming, Left, come, grounds_of
from gateway.grounds import Ground
from gateway.instances import Instances
from gateway.inventory import Inventory
from gateway.loaders import Loaders
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
SEEN_S: Final = 0.1
"""How long it is not looked again whether an answer stands, where nothing has changed."""
_UNSEEN: Final = (-1, -1), -math.inf


class Known:
    """A request that came before, and its answer, where that is kept."""

    __slots__ = (
        "answer",
        "due",
        "given",
        "grounds",
        "is_read_each_time",
        "key",
        "lookup",
        "operation",
        "stands",
        "uses",
    )

    def __init__(self, key: Key, operation: Operation) -> None:
        self.key = key
        self.operation = operation
        self.answer: bytes | None = None
        self.grounds: Sequence[Ground] = ()
        self.lookup: Lookup | None = None
        """How the answer is come by without executing anything, where that can be."""
        self.is_read_each_time = False
        """Whether something that the answer rests on must be read after the request began."""
        self.stands = _UNSEEN
        """What is known of whether the answer stands."""
        self.given = 0
        """How often the answer was given again."""
        self.uses = 0
        """How often it came since its answer was forgotten, or could not be kept."""
        self.due = WORTH
        """The use at which it is tried to keep its answer."""

    @property
    def comes_again(self) -> bool:
        """Whether its answer is kept, or can be come by without executing anything."""
        return self.answer is not None or self.lookup is not None

    def is_due(self) -> bool:
        """Whether its answer is to be kept this time, if it can be."""
        self.uses += 1
        return self.uses >= self.due

    def put_off(self) -> None:
        """Try no more to keep its answer until it has come twice as often as before."""
        self.uses, self.due = 0, min(2 * self.due, SELDOM)


class Answers:
    """The answers of one gateway to the requests that came lately."""

    def __init__(self, instances: Instances, inventory: Inventory) -> None:
        self._instances = instances
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

    def at_once(self, key: Key, now: float) -> tuple[Known, bytes | None] | None:
        """A request that begins ``now`` and its answer, where memory has all that this rests on; without one where it
        can be come by all the same. None where it takes executing."""
        found = self._asked.get(key)
        if found is None:
            return None
        answer = None if found.is_read_each_time else found.answer
        if answer is not None and self._stands(found, now):
            found.given += 1
        elif found.comes_again:
            answer = None
        else:
            return None
        self._asked.move_to_end(key)
        return found, answer

    async def _again(self, known: Known, answer: bytes, began: float) -> bytes | None:
        """The kept answer to a request that began then; what is too old for it is read anew. None where it is another
        one by now: what was read is there for who executes the operation."""
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

    def _stands(self, known: Known, now: float) -> bool:
        """Whether memory has all that the answer rests on. Lists are looked at once in a while, so that those that are
        asked for are not taken for forgotten, and whenever something has changed."""
        turn = self._inventory.turn
        seen_turn, until = known.stands
        if now >= until or turn != seen_turn:
            until = min(now + SEEN_S, grounds.hold_until(known.grounds, self._inventory, now))
            known.stands = turn, until
        return now < until

    def come(self, known: Known, since: float, ends_at: float, given: Callable[[bytes], Any]) -> Left:
        """The answer to a request that began at ``since``, under way until ``ends_at`` at the latest. ``given`` is what
        is given of it."""
        sought = None if known.lookup is None else known.lookup.begin(self._inventory, since, ends_at, given)
        if sought is not None:
            return sought
        loaders = self.loaders()
        return Coming(lambda: self.come_by(known, loaders, since, ends_at), loaders, since, given)

    async def come_by(self, known: Known, loaders: Loaders, since: float, ends_at: float) -> bytes | None:
        """The answer to a request that began then, which is kept or looked up; None where it takes executing."""
        with deadline.until(ends_at):
            answer = None if known.answer is None else await self._again(known, known.answer, since)
            return answer or await self._looked_up(known, loaders, since)

    def loaders(self, sought: Sought | None = None) -> Loaders:
        """Those of a request, for which something was looked up already."""
        return Loaders(self._instances, self._inventory, sought)

    async def _looked_up(self, known: Known, loaders: Loaders, began: float) -> bytes | None:
        """The answer to a request that began then, of what it asks for. None where it takes executing: what was loaded
        is there for that."""
        lookup = known.lookup
        if lookup is None:
            return None
        came = await come(lookup, loaders, began)
        if came is None:
            return None
        written = lookup.written([came[name] for name in lookup.fields])
        if written is None:
            known.lookup = None
            known.put_off()
        elif known.is_due():
            self.keep(known, written, grounds.joined(grounds_of(lookup, came, loaders, began)))
        return written

    def keep(self, known: Known, answer: bytes, of: Sequence[Ground] | None) -> None:
        """Keep the answer to a request, where it is known what it rests on."""
        self._drop(known)
        if of is None or len(answer) > LONGEST or self._asked.get(known.key) is not known:
            known.put_off()
            return
        known.answer, known.grounds, known.given, known.stands = answer, of, 0, _UNSEEN
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
        if known.answer is not None:
            self._held_bytes -= len(known.answer)
            known.answer, known.grounds = None, ()
