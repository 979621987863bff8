"""What each instance contributes to a list: its rows from memory, or its pages in an order that its upstream keeps,
and what went wrong on the way to them.
"""

import asyncio
import contextlib
import datetime as dt
import itertools
import weakref
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from adapters import deadline, walk
from adapters.errors import AdapterError, ContractBroken, Rejected
from adapters.model import Connection, Word
from adapters.port import LIST_FIELDS, Completed, Fields, Filter, List, Narrowing, Order, Page
from adapters.walk import together
from gateway import filters, orders, tables
from gateway.completions import Completions
from gateway.cursors import Cursor
from gateway.explain import How, ListRead, Note
from gateway.grounds import Anew, Ground, Held
from gateway.instances import Instance, Instances
from gateway.inventory import COMPARES_ELSE_S, DISTRUSTED_S, Ask, Inventory, Shelf, Snapshot
from gateway.orders import Key, OrderBy
from gateway.tables import Mask, Table

LISTING_SHARE = 0.8
"""The part of the request's time in which lists are read: an instance that hangs must leave some of it to what the
rows of the others still lack."""
LARGE = 5_000
"""Rows of which nothing takes long; more are worked on while others wait."""
JOINED_WHOLE = 1000
"""Rows up to which what was selected, and a list lacks, is looked up for all of them: as many calls as for the few
that are shown, and none for the next page."""
MOST_OF_IT = 1 / 2
"""The part of a list that is not worth reading page by page, where so much of it is shown."""
JOINED = frozenset(
    {
        "name",
        "source.name",
        "source.type",
        "source.icon",
        "destination.name",
        "destination.type",
        "destination.icon",
        "workspace_name",
    }
)
"""Field paths that are looked up for many rows at once; others cost a call for each row."""


class SourceState(Word):
    """How an instance contributed."""

    OK = "OK", "All that it has to contribute is there."
    PARTIAL = "PARTIAL", "Its rows are there, but some could not be read, or something that was selected is missing."
    STALE = "STALE", "It failed: what is there is what it had when it was last read."
    FAILED = "FAILED", "It failed: none of its rows are there."
    SKIPPED = "SKIPPED", "It was not asked: none of its rows can meet the filter."


class Need(NamedTuple):
    """What a field needs of each instance. ``order`` is the one that pages may come in; None where all rows are needed.
    ``joins`` are the field paths by which rows are sorted or filtered, ``fields`` those that are shown."""

    where: Filter
    order_by: OrderBy
    ask: Ask
    joins: Fields
    fields: Fields
    now: dt.datetime
    order: Order | None = None
    after: Cursor | None = None
    size: int = 0
    """How many rows are shown at the most."""
    note: Note | None = None

    def by(self, since: float, now: dt.datetime) -> "Need":
        """The same of a request that began then."""
        return self._replace(ask=self.ask.by(since), now=now)

    def resumes(self, instance: str) -> Mapping[str, str | None]:
        """By part, where the lists of an instance go on that were read page by page."""
        return _NOWHERE if self.after is None else self.after.places.get(instance, _NOWHERE)


_NOWHERE: Mapping[str, str | None] = {}


class Disordered(Exception):
    """An upstream's pages are not in the order they were asked for in."""


class Pages:
    """A list read page by page, in an order that the upstream keeps and that is checked here.

    Of an upstream that compares in another way than we do, that shows only where its rows go back. A walk that begins
    then has the list read whole. One that has come there already ends for this list with an error: rows that stand
    before its cursor in our order may be yet to come, and nobody could tell which.
    """

    def __init__(self, source: "Source", shelf: Shelf, need: Need, order: Order) -> None:
        self.part = shelf.of.part
        self.source = source
        self._shelf = shelf
        self._need = need
        self._order = order
        self.token: str | None = need.resumes(source.instance.name).get(self.part)
        """Of the page with the last row that was shown, or passed over on the way there."""
        self._here: str | None = None
        """That of the page with the next row."""
        self._rows: list[tuple[Key, Connection]] = []
        self._at = 0
        self._next: str | None = None
        self._last: Key | None = None
        self._read: list[Page] = []
        self._met: set[str] = set()
        self._empty = 0
        """Pages one after the other without a row."""

    async def begin(self) -> None:
        """Read the page on which the list goes on. Raises AdapterError, Disordered."""
        token, after = self.token, self._need.after
        await self._turn(token)
        if token is not None and after is not None and not (self._rows and self._rows[0][0] <= after.key):
            # Rows before it are gone, and others came up: where the list goes on now is on a page before.
            self.token, self._last, self._met, self._read = None, None, set(), []
            await self._turn(None)
        await self._settle()

    def mark(self) -> None:
        """The next row is shown, or passed over: the list goes on from its page."""
        self.token = self._here

    def head(self) -> tuple[Key, Connection] | None:
        """The next row and its key; None at the end."""
        return self._rows[self._at] if self._at < len(self._rows) else None

    async def advance(self) -> None:
        """Go to the row after that."""
        self._at += 1
        await self._settle()

    def end(self) -> None:
        """Give up on what has not been read."""
        self._rows, self._at, self._next = [], 0, None

    async def _settle(self) -> None:
        """Pass over what stands before the cursor, and turn pages until there is a row."""
        after = None if self._need.after is None else self._need.after.key
        while True:
            while self._at < len(self._rows) and after is not None and self._rows[self._at][0] <= after:
                self.mark()
                self._at += 1
            if self._at < len(self._rows) or self._next is None:
                return
            await self._turn(self._next)

    async def _turn(self, token: str | None) -> None:
        page, span = await self._shelf.page(self._need.ask, self._order, token)
        completed = await self._completed(page)
        key = orders.keyer(self._need.order_by)
        self._rows = [(key(row), row) for row in completed]
        self._at, self._next, self._here = 0, page.next, token
        self.source.dropped += page.dropped
        self.source.as_of = _older(self.source.as_of, span.began_at)
        self.source.note(self._shelf.of, self._order, How.PAGE, len(page.connections), span.began_at)
        await self._check()
        self._read.append(page)
        if page.next is None:  # where it began at the start, this was all of it
            self._shelf.read_through(self._need.ask, self._order, self._read)

    async def _completed(self, page: Page) -> Sequence[Connection]:
        if not self._need.joins:
            return page.connections
        completed = await self.source.completed(page.connections, self._need.joins)
        if isinstance(completed, AdapterError):
            raise completed
        self.source.failures += map(self.source.instance.named, completed.failures)
        return completed.connections

    async def _check(self) -> None:
        """See whether the page is in order, and brings anything: one with nothing but rows that were met before is the
        sign of a list that goes round in a circle."""
        ids = {row.native_id for _, row in self._rows}
        if ids and ids <= self._met:
            self.end()
            return
        self._rows = [(key, row) for key, row in self._rows if row.native_id not in self._met]
        self._met |= ids
        self._empty = 0 if ids else self._empty + 1
        keys = [key for key, _ in self._rows]
        is_mixed = any(before > after for before, after in itertools.pairwise(keys))
        if self._here is None and self._next is not None:  # rows without a key come first nowhere but upstream
            is_mixed |= any(map(orders.begins_last, keys[:1]))
        if is_mixed or self._empty > walk.EMPTY_PAGES or (keys and self._last is not None and self._last > keys[0]):
            await self._turn_back(ids, is_mixed=is_mixed)
        self._last = keys[-1] if keys else self._last

    async def _turn_back(self, ids: Set[str], *, is_mixed: bool) -> None:
        """The page brings nothing, or goes back before what came before it. Raises Disordered, and ContractBroken where
        rows were shown by that order already."""
        if not ids and self._need.after is not None:
            raise ContractBroken("page after page of the list holds nothing that can be read")
        if self._need.after is not None and self._here is not None:
            first, _ = await self._shelf.page(self._need.ask, self._order, None)
            if ids <= {row.native_id for row in first.connections}:  # it begins anew, so that was all of it
                self.end()
                return
        self._shelf.distrust(self._order, COMPARES_ELSE_S if is_mixed else DISTRUSTED_S)
        if self._need.after is None:
            raise Disordered
        raise ContractBroken("its rows come in another order than the one that this walk began with: begin it again")


class Source:
    """One instance's part in an answer, as far as it has come."""

    def __init__(self, instance: Instance, need: Need, completions: Completions) -> None:
        self.instance = instance
        self.is_skipped = False
        self.row_count = 0
        self.dropped = 0
        self.as_of: dt.datetime | None = None
        self.is_stale = False
        self.errors: list[AdapterError] = []
        """Of lists that could not be read."""
        self.failures: list[AdapterError] = []
        """Of what would have added something to rows."""
        self.tables: dict[Table, Mask] = {}
        """The rows in memory, and which of them meet the filter."""
        self.pages: list[Pages] = []
        self.joined: Fields = LIST_FIELDS
        """The field paths that have been looked up for all rows in memory."""
        self._need = need
        self._completions = completions
        self._parts: Sequence[str] | None = None
        self._taken: list[tuple[Shelf, Snapshot]] = []
        """The lists in memory, and where they are kept."""
        self._filled: Sequence[Table] = ()
        """Their rows, in the same order."""

    @property
    def state(self) -> SourceState:
        if self.is_skipped:
            return SourceState.SKIPPED
        if self.is_stale:
            return SourceState.STALE
        if self.errors and not (self.tables or self.pages):
            return SourceState.FAILED
        return SourceState.PARTIAL if self.errors or self.failures or self.dropped else SourceState.OK

    @property
    def error(self) -> AdapterError | None:
        """What went wrong first."""
        return next(iter((*self.errors, *self.failures)), None)

    @property
    def told(self) -> Sequence[AdapterError]:
        """What is told beside the data: one error where lists failed, however many of them, else each failed lookup."""
        return self.errors[:1] or self.failures

    async def completed(self, rows: Sequence[Connection], fields: Fields) -> Completed | AdapterError:
        """Rows of the instance with what they lack of these field paths, or the error in place of all of them."""
        return await self._completions.of(self.instance, rows, fields)

    def note(self, of: List, order: Order | None, how: How, rows: int, as_of: dt.datetime | None = None) -> None:
        """Tell the explanation, where one was asked for, how a list in some order was come by."""
        where = self._need.where
        if self._need.note is not None:
            narrowing = self.instance.adapter.narrow(where)
            of = of._replace(order=order)
            self._need.note(ListRead(self.instance.name, of, how, rows, as_of, where, narrowing))

    def ground(self) -> Ground | None:
        """What its part rests on; None where that is more than lists in memory with all that is needed of them."""
        need, adapter = self._need, self.instance.adapter
        if not filters.may_match(need.where, self.instance):
            return Ground(self.instance, need.ask, None, ())
        is_all = not (self.pages or self.told or self.is_stale or adapter.adds(need.fields - self.joined))
        if not is_all or filters.moves(need.where):
            return None
        if any(shelf.of.narrowed for shelf, _ in self._taken):  # somebody may read all of it, which would be newer
            return None
        narrowing = adapter.narrow(need.where)
        lists = (
            Held(shelf.of, weakref.ref(table), self._shown(snapshot), self._anew(shelf, narrowing))
            for (shelf, snapshot), table in zip(self._taken, self._filled, strict=True)
        )
        return Ground(self.instance, need.ask, self._parts, tuple(lists))

    def _anew(self, shelf: Shelf, narrowing: Narrowing) -> Anew:
        """How much of a list would be read anew."""
        if self._pageable(shelf, narrowing) is not None:
            return Anew.ONE_PAGE
        if narrowing.asked:  # a long one is narrowed
            return Anew.NOTHING if shelf.is_long else Anew.ONE_PAGE
        return Anew.ALL

    def take_fresh(self, inventory: Inventory) -> bool:
        """Come by the rows without waiting, where all of them are in memory with all that is needed of them; tells
        whether they were."""
        need = self._need
        if not filters.may_match(need.where, self.instance):
            self.is_skipped = True
            return True
        parts = inventory.known_parts(self.instance, need.ask)
        if parts is None or (need.order is not None and need.resumes(self.instance.name)):
            return False
        self._parts = parts
        read = self._read_of(parts, self.instance.adapter.narrow(need.where))
        shelves = [inventory.shelf(self.instance, List(part)) for part in read]
        snapshots = [shelf.snapshot for shelf in shelves if shelf.is_fresh(need.ask)]
        held = [snapshot for snapshot in snapshots if snapshot is not None]
        if len(held) < len(read) or not all(self._has_all(snapshot) for snapshot in held):
            return False
        self.is_skipped = bool(parts) and not read
        for shelf, snapshot in zip(shelves, held, strict=True):
            self._take(shelf, snapshot, How.SNAPSHOT)
        self._fill([snapshot.listed for snapshot in held])
        return True

    async def gather(self, inventory: Inventory) -> None:
        """Come by the rows of all lists of the instance; what fails is noted here and raised nowhere."""
        narrowing = self.instance.adapter.narrow(self._need.where)
        parts, failed = await inventory.parts(self.instance, self._need.ask.since)
        self.errors += [failed] if failed else []
        self._parts = parts
        read = self._read_of(parts, narrowing)
        self.is_skipped = bool(parts) and not read
        await together([self._list(inventory, part, narrowing) for part in read])
        found = await together([snapshot.table(self._shown(snapshot)) for _, snapshot in self._taken])
        self.failures += [failure for _, failures in found for failure in failures]
        self._fill([table for table, _ in found])
        if any(len(table) > LARGE for table in self.tables):
            await asyncio.sleep(0)  # what was made of a large table took long: let others have their turn

    def _read_of(self, parts: Sequence[str], narrowing: Narrowing) -> Sequence[str]:
        return parts if narrowing.parts is None else [part for part in parts if part in narrowing.parts]

    async def _list(self, inventory: Inventory, part: str, narrowing: Narrowing) -> None:
        """Come by the rows of one list."""
        shelf = inventory.shelf(self.instance, List(part))
        order = self._pageable(shelf, narrowing)
        try:
            found = None if order is None else await self._in_order(shelf, order)
            if found is None:
                shelf, found = await self._whole(inventory, shelf, narrowing)
            if isinstance(found, Pages):
                self.pages.append(found)
            else:
                self._take(shelf, found)
        except AdapterError as error:
            self.errors.append(self.instance.named(error))
            lists = (List(part, asked) for asked in (narrowing.asked, ()))
            last = next(filter(None, (inventory.stale(self.instance, of) for of in lists)), None)
            if last is not None:
                self.is_stale = True
                self._take(*last, How.STALE)

    async def _in_order(self, shelf: Shelf, order: Order) -> Snapshot | Pages | None:
        """The list in an order that its upstream keeps: whole, where one page tells that this is all of it, else page
        by page; None where the upstream will not hear of that order."""
        try:
            opened = await shelf.open(self._need.ask, order) if self._need.after is None else None
            if opened is not None:
                return opened
            pages = Pages(self, shelf, self._need, order)
            await pages.begin()
        except Rejected:
            if self._need.after is not None:  # it may be a token that the client made up
                raise
            shelf.distrust(order)
            return None
        return pages

    async def _whole(self, inventory: Inventory, shelf: Shelf, narrowing: Narrowing) -> tuple[Shelf, Snapshot]:
        """All of the list, or what its upstream narrows a long one to; and where that is kept."""
        try:
            opened = await shelf.open(self._need.ask, None)
        except Rejected:  # perhaps of an order that another field asked for, and this one joined
            opened = await shelf.open(self._need.ask, None)
        if opened is None and narrowing.asked:
            narrowed = inventory.shelf(self.instance, List(shelf.of.part, narrowing.asked))
            with contextlib.suppress(Rejected):  # a value that the upstream will not hear of
                return narrowed, await narrowed.whole(self._need.ask)
        return shelf, opened if opened is not None else await shelf.whole(self._need.ask)

    def _pageable(self, shelf: Shelf, narrowing: Narrowing) -> Order | None:
        """The order in which pages of the list do, without reading the rest of it: where nothing is filtered here, and
        the cursor says where this list goes on."""
        need = self._need
        order = need.order
        if order is None or not self.instance.adapter.sorts(order) or filters.left(need.where, narrowing):
            return None
        if need.after is not None:  # a walk goes on as it began
            return order if shelf.of.part in need.resumes(self.instance.name) else None
        # Where nearly all of it is to be shown, it is quicker read whole, several pages at a time.
        is_short = shelf.length is not None and MOST_OF_IT * shelf.length <= need.size
        return order if shelf.trusts(order) and not is_short else None

    def _take(self, shelf: Shelf, snapshot: Snapshot, how: How | None = None) -> None:
        self._taken.append((shelf, snapshot))
        self.dropped += snapshot.walked.dropped
        self.as_of = _older(self.as_of, snapshot.span.began_at)
        if how is None:
            how = How.READ if snapshot.span.began >= self._need.ask.since else How.SNAPSHOT
        self.note(shelf.of, snapshot.order, how, len(snapshot.walked.rows), snapshot.span.began_at)

    def _has_all(self, snapshot: Snapshot) -> bool:
        return not snapshot.walked.rows or self._shown(snapshot) <= snapshot.joined

    def _shown(self, snapshot: Snapshot) -> Fields:
        """What is to be looked up for all rows of a list: what they are sorted and filtered by, and what is shown of
        them, unless there are too many for that."""
        is_short = len(snapshot.walked.rows) <= JOINED_WHOLE
        return self._need.joins | (self._need.fields & JOINED) if is_short else self._need.joins

    def _fill(self, found: Sequence[Table]) -> None:
        """The tables of the snapshots, and which of their rows meet the filter."""
        self._filled = found
        if not self.failures:
            self.joined = JOINED.intersection(*(each.joined for _, each in self._taken if each.walked.rows))
        where, now = self._need.where, self._need.now
        for table, own in tables.without(found).items():
            self.tables[table] = filters.joined(filters.masks(where, table, self.instance, now), own)


def _older(one: dt.datetime | None, other: dt.datetime) -> dt.datetime:
    return other if one is None or other < one else one


async def gathered(instances: Instances, inventory: Inventory, need: Need) -> Sequence[Source]:
    """What each instance contributes, all asked at once, in the order of the configuration."""
    sources = [Source(instance, need, inventory.completions) for instance in instances.values()]
    asked = [source for source in sources if not source.take_fresh(inventory)]
    if asked:
        with deadline.within_share(LISTING_SHARE):
            await together([source.gather(inventory) for source in asked])
    return sources


def failures(found: Sequence[Source]) -> Sequence[AdapterError]:
    """Whatever failed of what the instances contributed, to be told beside the data."""
    return [error for source in found for error in source.told]
