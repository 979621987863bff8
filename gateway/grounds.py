"""What answers rest on: lists as they were held in memory, and how old these may be.

As long as the lists are the same, so is what is made of them. Nothing here holds a list: what was made of one that has
been read anew since is not to keep it.
"""

import asyncio
import enum
import math
import time
import weakref
from collections.abc import Awaitable, Iterable, Sequence
from typing import NamedTuple

from adapters import deadline
from adapters.errors import AdapterError
from adapters.flight import Wait
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


class Lost(enum.Enum):
    """Why it cannot be told which lists are to be read anew."""

    GONE = enum.auto()
    """It holds no more, whatever they are."""
    UNTOLD = enum.auto()
    """The instance is to be asked for its parts before."""


class Lacking(NamedTuple):
    """A list that is to be read anew, where it is kept, and who asks."""

    held: Held
    instance: Instance
    shelf: Shelf
    ask: Ask

    def join(self) -> "Wait[Snapshot | None] | Wait[Snapshot] | asyncio.Task[Snapshot | None]":
        """Have it read from now on, and wait for it."""
        wait = self.shelf.join(self.ask, walks=self._walks)
        return asyncio.ensure_future(self._again()) if wait is None else wait

    async def is_same(self, read: "Awaitable[Snapshot | None]") -> bool:
        """Whether the list that is read is what it was."""
        try:
            snapshot = await read
            if snapshot is None and self._walks:
                snapshot = await self._again()
        except AdapterError:  # which is remembered, and told to whoever asks for the rows
            return False
        return self.held.is_in(snapshot, self.instance)

    async def _again(self) -> Snapshot | None:
        return await self.shelf.again(self.ask, walks=self._walks)

    @property
    def _walks(self) -> bool:
        return self.held.anew is Anew.ALL


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

    def lacking(self, inventory: Inventory, since: float) -> Sequence[Lacking] | Lost:
        """The lists that are to be read anew for a request that began at ``since``."""
        ask, lists = self.ask.by(since), list[Lacking]()
        for held in self.lists:
            shelf = self._shelf(held, inventory)
            try:
                found = None if shelf is None else shelf.fresh(ask)
            except AdapterError:  # as it did a moment ago
                return Lost.GONE
            if shelf is None or (found is None and held.anew is Anew.NOTHING):
                return Lost.GONE
            if found is None:
                lists.append(Lacking(held, self.instance, shelf, ask))
            elif not held.is_in(found, self.instance):
                return Lost.GONE
        return lists if self.parts is None else self._in_parts(lists, inventory, ask)

    def _in_parts(self, lists: Sequence[Lacking], inventory: Inventory, ask: Ask) -> Sequence[Lacking] | Lost:
        """The same, where it depends on all parts that the instance has: it is asked for them where it is asked for
        lists."""
        if not lists and self.parts == inventory.known_parts(self.instance, ask):
            return lists
        told = inventory.told_parts(self.instance, ask.since)
        if told is None:
            return Lost.UNTOLD
        return lists if told == (self.parts, None) else Lost.GONE

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
    been read anew, all of it at once. What fails holds no more."""
    with deadline.within_share(READING_SHARE):
        lacking = [ground.lacking(inventory, since) for ground in grounds]
        untold = [ground for ground, lists in zip(grounds, lacking, strict=True) if lists is Lost.UNTOLD]
        if untold and Lost.GONE not in lacking:
            await together([inventory.parts(ground.instance, since) for ground in untold])
            lacking = [ground.lacking(inventory, since) for ground in grounds]
        lists: list[Lacking] = []
        for found in lacking:
            if isinstance(found, Lost):
                return False
            lists += found
        return await _are_same(lists)


async def _are_same(lists: Sequence[Lacking]) -> bool:
    """Whether all of these are what they were when they have been read, all at once. All are waited for: where one has
    changed, who executes the request is to find the others read."""
    joined = [(each, each.join()) for each in lists]
    try:
        same = [await each.is_same(read) for each, read in joined]
    finally:
        for _, read in joined:
            read.cancel()
    return all(same)


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
