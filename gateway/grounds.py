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


class Begun(NamedTuple):
    """A list that is being read anew, where it is kept, and what that is to be asked."""

    held: Held
    shelf: Shelf
    ask: Ask


class Ground(NamedTuple):
    """Lists of one instance that something rests on, for whoever asks like this; ``parts`` are all that it had, where
    it depends on them."""

    instance: Instance
    ask: Ask
    parts: Sequence[str] | None
    lists: tuple[Held, ...]

    def holds_until(self, inventory: Inventory, since: float) -> float:
        """Until when memory has all of it, as fresh as is asked for from ``since`` on, unless it takes a turn before;
        0 where it has not."""
        ask, ends_at = self.ask.by(since), math.inf
        if self.parts is not None:
            if self.parts != inventory.known_parts(self.instance, ask):
                return 0.0
            ends_at = inventory.told_at(self.instance) + ask.max_age
        for held in self.lists:
            shelf = self._shelf(held, inventory)
            snapshot = None if shelf is None or not shelf.is_fresh(ask) else shelf.snapshot
            if snapshot is None or not held.is_in(snapshot, self.instance):
                return 0.0
            ends_at = min(ends_at, snapshot.span.ended + ask.max_age, held.good_until)
        return ends_at

    async def holds_anew(self, inventory: Inventory, since: float) -> bool:
        """Whether memory has all of it when what is not fresh for a request that began at ``since`` has been read anew.
        What fails holds no more."""
        if self.parts is not None:
            parts, failed = await inventory.parts(self.instance, since)
            if failed is not None or parts != self.parts:
                return False
        begun = self._begun(inventory, self.ask.by(since))
        return begun is not None and await self.holds_with(begun)

    def begin(self, inventory: Inventory, since: float) -> Sequence[Begun] | None:
        """The lists that are not fresh, which are being read anew from now on; None where it holds no more, or where it
        takes waiting to know."""
        if self.parts is not None:
            told = walk.without_waiting(inventory.parts(self.instance, since))
            if told is None or told[0] != self.parts:
                return None
        return self._begun(inventory, self.ask.by(since))

    async def holds_with(self, begun: Sequence[Begun]) -> bool:
        """Whether these lists, when they have been read, are what they were."""
        for held, shelf, ask in begun:
            try:
                read = await shelf.again(ask, walks=held.anew is Anew.ALL)
            except AdapterError:  # which is remembered, and told to whoever asks for the rows
                return False
            if not held.is_in(read, self.instance):
                return False
        return True

    def _begun(self, inventory: Inventory, ask: Ask) -> Sequence[Begun] | None:
        """The lists that are not fresh, which are being read anew from now on: one after the other is then had as soon
        as all of them. None where it holds no more, whatever they are."""
        lacking: list[tuple[Held, Shelf]] = []
        for held in self.lists:
            shelf = self._shelf(held, inventory)
            if shelf is None:
                return None
            is_fresh = shelf.is_fresh(ask)
            is_lost = held.anew is Anew.NOTHING and not is_fresh
            if is_lost or (is_fresh and not held.is_in(shelf.snapshot, self.instance)):
                return None
            if not is_fresh:
                lacking.append((held, shelf))
        return [Begun(held, shelf, shelf.begin(ask, walks=held.anew is Anew.ALL)) for held, shelf in lacking]

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

    def _shelf(self, held: Held, inventory: Inventory) -> Shelf | None:
        """Where a list is kept; None where nobody would look there any more."""
        is_looked_at = self.parts is not None or held.of.part in inventory.searched(self.instance)
        return inventory.known_shelf(self.instance, held.of) if is_looked_at else None


def hold_until(grounds: Sequence[Ground], inventory: Inventory, since: float) -> float:
    """Until when memory has all that something rests on. As `Ground.holds_until`."""
    return min((ground.holds_until(inventory, since) for ground in grounds), default=math.inf)


async def hold_anew(grounds: Sequence[Ground], inventory: Inventory, since: float) -> bool:
    """Whether memory has all that something rests on when what is not fresh for a request that began at ``since`` has
    been read anew, all of it at once."""
    with deadline.within_share(READING_SHARE):
        begun = [ground.begin(inventory, since) for ground in grounds]
        if None in begun:
            return all(await together([ground.holds_anew(inventory, since) for ground in grounds]))
        for ground, lists in zip(grounds, begun, strict=True):
            if lists and not await ground.holds_with(lists):
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
