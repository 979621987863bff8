"""What answers rest on: lists as they were held in memory, and how old these may be.

As long as the lists are the same, so is what is made of them. Nothing here holds a list: what was made of one that has
been read anew since is not to keep it.
"""

import enum
import math
import time
import weakref
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from adapters import deadline, walk
from adapters.errors import AdapterError
from adapters.port import Fields, List
from adapters.walk import together
from gateway.instances import Instance
from gateway.inventory import Ask, Inventory, Shelf, Snapshot
from gateway.tables import Table

READING_SHARE = 0.5
"""The part of the request's time in which it is seen whether lists are what they were: where one hangs, the rest is for
executing the request without it."""


class Anew(enum.IntEnum):
    """How much of a list is read anew where it is too old: as much as who executes the request would read of it."""

    NOTHING = 0
    """It holds as long as memory has it."""
    ONE_PAGE = 1
    """It holds where one page tells that this is all of it."""
    ALL = 2
    """However many pages it takes."""


class Held(NamedTuple):
    """A list, its rows, and the field paths that had been looked up for all of them; ``good_until`` is when, by the
    monotonic clock, what was looked up for single rows may be another thing."""

    of: List
    table: weakref.ref[Table]
    joined: Fields
    anew: Anew
    good_until: float = math.inf

    def is_in(self, snapshot: Snapshot | None, instance: Instance) -> bool:
        """Whether the list is what it was, and nothing is to be looked up anew."""
        if snapshot is None or snapshot.listed is not self.table() or time.monotonic() >= self.good_until:
            return False
        lacking = self.joined - snapshot.joined
        return not lacking or not snapshot.walked.rows or not instance.adapter.adds(lacking)


class Ground(NamedTuple):
    """Lists of one instance that something rests on, for whoever asks like this; ``parts`` are all that it had, where
    it depends on them."""

    instance: Instance
    ask: Ask
    parts: Sequence[str] | None
    lists: tuple[Held, ...]

    def holds(self, inventory: Inventory, since: float) -> bool:
        """Whether memory has all of it, fresh for a request that began at ``since``."""
        ask = self._ask(since)
        if self.parts is not None and self.parts != inventory.known_parts(self.instance, ask):
            return False
        return all(self._has(held, inventory, ask) for held in self.lists)

    async def holds_anew(self, inventory: Inventory, since: float) -> bool:
        """Likewise, with what is not fresh read anew. What fails holds no more."""
        ask = self._ask(since)
        if self.parts is not None:
            parts, failed = await inventory.parts(self.instance, since)
            if failed is not None or parts != self.parts:
                return False
        return await self.reads(self._begun(inventory, ask), inventory, since)

    def begin(self, inventory: Inventory, since: float) -> Sequence[Held] | None:
        """The lists that are not fresh, which are being read anew from now on; None where it takes waiting to know, or
        where the instance has other parts."""
        if self.parts is not None:
            told = walk.without_waiting(inventory.parts(self.instance, since))
            if told is None or told[0] != self.parts:
                return None
        return self._begun(inventory, self._ask(since))

    async def reads(self, begun: Sequence[Held], inventory: Inventory, since: float) -> bool:
        """Whether these lists, when they are read, are what they were."""
        ask = self._ask(since)
        for held in begun:
            if not await self._reads(held, inventory, ask):
                return False
        return True

    def _begun(self, inventory: Inventory, ask: Ask) -> Sequence[Held]:
        """The lists that are to be read anew, which is begun for all of them: one after the other is then had as soon
        as all of them."""
        lacking = [held for held in self.lists if not self._has(held, inventory, ask)]
        for held in lacking:
            shelf = self._shelf(held, inventory)
            if shelf is not None and held.anew is not Anew.NOTHING:
                shelf.begin(ask, walks=held.anew is Anew.ALL)
        return lacking

    def and_on(self, other: "Ground") -> "Ground | None":
        """What rests on this and on another one for the same instance; None where they differ in what they are of."""
        if self.parts != other.parts and None not in (self.parts, other.parts):
            return None
        lists = {held.of: held for held in self.lists}
        for held in other.lists:
            both = lists.setdefault(held.of, held)
            if both.table is not held.table:  # a table has one reference of this kind
                return None
            lists[held.of] = Held(
                held.of,
                held.table,
                both.joined | held.joined,
                max(both.anew, held.anew),
                min(both.good_until, held.good_until),
            )
        parts = other.parts if self.parts is None else self.parts
        return self._replace(parts=parts, lists=tuple(lists.values()))

    def _ask(self, since: float) -> Ask:
        return Ask(self.ask.max_age, since, self.ask.takes_refreshing)

    def _shelf(self, held: Held, inventory: Inventory) -> Shelf | None:
        """Where a list is kept; None where nobody would look there any more."""
        is_looked_at = self.parts is not None or held.of.part in inventory.searched(self.instance)
        return inventory.known_shelf(self.instance, held.of) if is_looked_at else None

    def _has(self, held: Held, inventory: Inventory, ask: Ask) -> bool:
        shelf = self._shelf(held, inventory)
        return shelf is not None and shelf.is_fresh(ask) and held.is_in(shelf.snapshot, self.instance)

    async def _reads(self, held: Held, inventory: Inventory, ask: Ask) -> bool:
        shelf = self._shelf(held, inventory)
        if shelf is None or held.anew is Anew.NOTHING:
            return False
        try:
            return held.is_in(await shelf.again(ask, walks=held.anew is Anew.ALL), self.instance)
        except AdapterError:  # which is remembered, and told to whoever asks for the rows
            return False


def hold(grounds: Sequence[Ground], inventory: Inventory, since: float) -> bool:
    """Whether memory has all that something rests on, fresh for a request that began at ``since``."""
    return all(ground.holds(inventory, since) for ground in grounds)


async def hold_anew(grounds: Sequence[Ground], inventory: Inventory, since: float) -> bool:
    """Likewise, with what is not fresh read anew, all of it at once."""
    with deadline.within_share(READING_SHARE):
        begun = [ground.begin(inventory, since) for ground in grounds]
        if None in begun:
            return all(await together([ground.holds_anew(inventory, since) for ground in grounds]))
        for ground, lists in zip(grounds, begun, strict=True):
            if lists and not await ground.reads(lists, inventory, since):
                return False
        return True


def joined(grounds: Iterable[Ground | None]) -> Sequence[Ground] | None:
    """All that several things rest on, each list once; None where that is more than lists in memory, or something was
    read anew in between."""
    found: dict[tuple[str, Ask], Ground] = {}
    for ground in grounds:
        if ground is None:
            return None
        key = ground.instance.name, ground.ask
        known = found.get(key)
        both = ground if known is None else known.and_on(ground)
        if both is None:
            return None
        found[key] = both
    return tuple(found.values())
