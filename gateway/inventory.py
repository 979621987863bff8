"""Snapshots: what each list of each instance held when it was last read, how old that is, and when to read it anew.

An instance is asked with the one credential of its configuration, so what is kept of it is that credential's, and
nobody else's. A list is read by one caller at a time, whoever waits for it; in between, everybody is answered from
memory. What failed is kept as long as what succeeded: asking a sick upstream again for every request helps nobody.
"""

import contextlib
import datetime as dt
import functools
import math
import operator
import time
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from adapters import deadline, walk
from adapters.errors import AdapterError, Rejected
from adapters.flight import Shared, Wait
from adapters.model import Connection
from adapters.port import LIST_FIELDS, Completed, Fields, List, Narrowing, Order, Page
from adapters.walk import NOTHING_READ, Bounds, Walked
from gateway.completions import Completions
from gateway.instances import Instance
from gateway.tables import Table
from gateway.versions import Versions

T = TypeVar("T")

DISTRUSTED_S = 600.0
"""How long an order is not asked of an upstream of which one page went back before another, as where rows move."""
COMPARES_ELSE_S = 86_400.0
"""How long where a single page was not in order: such an upstream compares in another way, and will go on to."""
PAGES_KEPT = 32
"""Pages that are kept of a list that is not read whole."""
SHELVES_KEPT = 256
"""Narrowed lists that are remembered: they come and go with the filters of the queries. Of others there are as many as
an upstream has parts."""


class Ages(NamedTuple):
    """How old what is kept may be, in seconds: fresh up to ``max_age``, shown up to ``max_stale`` where its upstream
    fails. ``walk_timeout`` bounds the reading of one list."""

    max_age: float
    max_stale: float
    walk_timeout: float


class Ask(NamedTuple):
    """One request's demands: nothing older than ``max_age`` seconds, unless its reading began after ``since``, which is
    when the request did. Without a demand of its own, it also takes what is being refreshed at the moment."""

    max_age: float
    since: float
    takes_refreshing: bool = True

    def by(self, since: float) -> "Ask":
        """The same of a request that began then."""
        return Ask(self.max_age, since, self.takes_refreshing)


class Span(NamedTuple):
    """When a reading began and ended, by the monotonic clock; when it began by everybody's; and after how many changes
    made through the gateway."""

    began: float
    ended: float
    began_at: dt.datetime
    version: int

    def until(self, ended: float) -> "Span":
        """The same, ended then."""
        return Span(self.began, ended, self.began_at, self.version)


class _Joined(NamedTuple):
    """What lists do not hold, looked up for the rows of one: which field paths, what came of each row, and until when
    that would come of it again."""

    fields: Fields
    listed: Sequence[Connection]
    completed: Sequence[Connection]
    good_until: float


class Stock:
    """What all lists in memory are together: how many ``rows``, of bodies of so many bytes, and how often anything of
    it has become another thing; and the ``versions`` of the instances."""

    def __init__(self, versions: Versions) -> None:
        self.rows = self.size_bytes = self.turns = 0
        self.versions = versions


class Snapshot:
    """A list as it was read, and when."""

    def __init__(
        self,
        instance: Instance,
        walked: Walked,
        order: Order | None,
        span: Span,
        before: "Snapshot | None" = None,
        *,
        stock: Stock,
    ) -> None:
        self._stock = stock
        self.walked = walked
        self.order = order
        self.span = span
        self._instance = instance
        self._table = Table(instance.name, walked.rows, before and before.listed)
        self._joined: Fields = LIST_FIELDS
        self._last = before and before._last

    def renewed(self, walked: Walked, order: Order | None, span: Span) -> "Snapshot":
        """What was read after this one. Where no row has changed it is this one, with all that was derived of it."""
        if walked.rows != self.walked.rows:  # which looks no further than whether they are the same objects, as a rule
            return Snapshot(self._instance, walked, order, span, self, stock=self._stock)
        self.walked, self.order, self.span = walked, order, span
        if self._last is None or self._last.good_until <= time.monotonic():
            self._joined = LIST_FIELDS  # what was joined may have changed all the same
        return self

    @property
    def listed(self) -> Table:
        """The rows with what has been looked up for them."""
        return self._table

    @property
    def joined(self) -> Fields:
        """The field paths that have been looked up for the rows."""
        return self._joined

    async def table(self, joins: Fields) -> tuple[Table, Sequence[AdapterError]]:
        """The rows with what they lack of these field paths, and what failed of looking that up."""
        if joins <= self._joined or not self.walked.rows:
            return self._table, ()
        if not self._instance.adapter.adds(joins - self._joined):
            self._joined |= joins
            return self._table, ()
        joins |= self._joined
        known, listed = self._known(joins), self.walked.rows
        rows = list(map(known.get, map(id, listed))) if known else [None] * len(listed)
        lacking = [row for row, made in zip(listed, rows, strict=True) if made is None]
        completed = await self._instance.ask(self._instance.adapter.complete(lacking, joins))
        if isinstance(completed, AdapterError):
            return self._table, (completed,)
        if not self._joined <= joins:
            return await self.table(joins)  # somebody else has looked up something else meanwhile: both are wanted
        if not joins <= self._joined:  # somebody else may have been quicker
            made = iter(completed.connections)
            self._take([row if row is not None else next(made) for row in rows], joins, completed, keeps=bool(known))
        return self._table, tuple(map(self._instance.named, completed.failures))

    def _known(self, joins: Fields) -> Mapping[int, Connection]:
        """What would come of rows that have not changed since these field paths were looked up the last time, by the id
        of the row."""
        last = self._last
        if last is None or not joins <= last.fields or last.good_until <= time.monotonic():
            return {}
        return {id(row): completed for row, completed in zip(last.listed, last.completed, strict=True)}

    def _take(self, rows: Sequence[Connection], joins: Fields, completed: Completed, *, keeps: bool) -> None:
        """Completed rows in place of the listed ones; those that are as they were the last time are those."""
        if not keeps and self._last is not None:
            before = {row.native_id: row for row in self._last.completed}
            kept = ((before.get(row.native_id), row) for row in rows)
            rows = [old if old is not None and old == row else row for old, row in kept]
        if not all(map(operator.is_, rows, self._table.rows)):
            self._table = Table(self._table.instance, rows, self._table)
            self._stock.turns += 1
        good_until = min(completed.good_until, self._last.good_until if keeps and self._last else math.inf)
        self._last = _Joined(joins, self.walked.rows, rows, good_until)
        self._joined |= LIST_FIELDS if completed.failures else joins


class _Failure(NamedTuple):
    error: AdapterError
    span: Span
    until: float


class KeptPage(NamedTuple):
    """A page of a list, and when it was read."""

    page: Page
    span: Span


class _Reading(Generic[T]):
    """Reading that goes on, for all whom it suits."""

    def __init__(self) -> None:
        self._shared: Shared[T] = Shared()
        self._begun: Span | None = None

    @property
    def is_running(self) -> bool:
        return self._shared.is_running

    async def __call__(
        self, work: Callable[[Span], Coroutine[Any, Any, T]], begin: Callable[[], Span], suits: Callable[[Span], bool]
    ) -> T:
        """The outcome of what goes on. Where that began too early for the caller, it is waited for, and what is read
        then is shared again. ``work`` is told when it begins. Raises as `Shared`."""
        while (wait := self.join(work, begin, suits)) is None:
            try:
                await self._shared.join()
            except AdapterError:
                if self._shared.is_running:  # it is the caller's own time that is over
                    raise
        return await wait

    def join(
        self, work: Callable[[Span], Coroutine[Any, Any, T]], begin: Callable[[], Span], suits: Callable[[Span], bool]
    ) -> Wait[T] | None:
        """Wait from now on for what goes on, or for what is begun now; None where what goes on is to end before."""
        if self._shared.is_running:
            return self._shared.join() if self._begun is None or suits(self._begun) else None
        begun = self._begun = begin()
        return self._shared.begin(lambda: work(begun))

    def end(self) -> None:
        """End it."""
        self._shared.end()


class Shelf:
    """What is kept of one list."""

    def __init__(
        self,
        instance: Instance,
        of: List,
        ages: Ages,
        bounds: Bounds,
        stock: Stock,
        *,
        on_kept: Callable[[], None],
    ) -> None:
        self.of = of
        self.snapshot: Snapshot | None = None
        self.is_long = False
        """Whether it takes more than one page, as far as is known."""
        self.length: int | None = None
        """How many rows it had when it was last read to its end."""
        self._instance = instance
        self._ages = ages
        self._bounds = bounds
        self._on_kept = on_kept
        self._stock = stock
        self._is_forgotten = False
        self._failure: _Failure | None = None
        self._pages: OrderedDict[tuple[Order | None, str | None], KeptPage] = OrderedDict()
        self._distrusted: dict[Order, float] = {}
        self._opening: _Reading[Snapshot | None] = _Reading()
        self._walking: _Reading[Snapshot] = _Reading()
        self._reading: dict[tuple[Order | None, str | None], _Reading[KeptPage]] = {}

    def fresh(self, ask: Ask) -> Snapshot | None:
        """What was read lately enough. Raises what reading it raised, where that was as lately."""
        found = self.snapshot
        if found is not None and self._is_fresh(found.span, ask):
            return found
        failed = self._failure
        if failed is not None and (self._is_recent(failed, ask) or failed.span.began >= ask.since):
            raise failed.error.with_traceback(None)  # it is raised again and again, and would keep every caller's
        is_refreshing = self._opening.is_running or self._walking.is_running
        if found is not None and ask.takes_refreshing and is_refreshing:
            # Nobody waits for the one who refreshes it, as long as what there is is not much too old.
            return found if self._is_fresh(found.span, ask._replace(max_age=2 * ask.max_age)) else None
        return None

    def is_fresh(self, ask: Ask) -> bool:
        """Whether there is something that was read lately enough."""
        return self.snapshot is not None and self._is_fresh(self.snapshot.span, ask)

    def stale(self) -> Snapshot | None:
        """What was read last, if it may still be shown in place of what cannot be read."""
        found = self.snapshot
        is_shown = found is not None and time.monotonic() - found.span.ended <= self._ages.max_stale
        return found if is_shown else None

    def trusts(self, order: Order) -> bool:
        """Whether the upstream has lately shown no other idea of this order than ours."""
        return time.monotonic() >= self._distrusted.get(order, 0.0)

    def distrust(self, order: Order, for_s: float = DISTRUSTED_S) -> None:
        """Do not take the upstream's pages for being in this order, for a while."""
        self._distrusted[order] = time.monotonic() + for_s

    @property
    def _version(self) -> int:
        """Another one after each change: whatever was read before it, or was being read, is not fresh."""
        return self._stock.versions.of(self._instance.name)

    async def open(self, ask: Ask, order: Order | None) -> Snapshot | None:
        """The whole list, where a single page tells that this is all of it; else None, and its first page is kept."""
        found = self.fresh(ask)
        if found is not None or self.is_long:
            return found
        return await self._opening(self._opened_in(order), self._begin, lambda span: self._suits(span, ask))

    async def whole(self, ask: Ask) -> Snapshot:
        """The whole list, in as many pages as it has."""
        opened = await self.open(ask, None)
        if opened is not None:
            return opened
        return await self._walking(self._walked, lambda: self._set_out(ask), lambda span: self._suits(span, ask))

    async def page(self, ask: Ask, order: Order | None, token: str | None) -> KeptPage:
        """One page of the list in an order."""
        kept = self._pages.get((order, token))
        if kept is not None and self._is_fresh(kept.span, ask):
            return kept
        # Who began one may have left before its end.
        self._reading = {key: reading for key, reading in self._reading.items() if reading.is_running}
        reading = self._reading.setdefault((order, token), _Reading())
        work = functools.partial(self._read, order, token)
        # Tokens are in the hands of clients: what becomes of one is no failure of the list.
        timed = self._timed if token is None else self._bounded
        return await reading(lambda begun: timed(work(begun)), self._begin, lambda span: self._suits(span, ask))

    async def again(self, ask: Ask, *, walks: bool) -> Snapshot | None:
        """The whole list, as it was read the last time; None where it was not, or where it takes more than one page
        and ``walks`` does not allow for that."""
        if self.snapshot is None:
            return None
        return await self.whole(ask) if walks else await self.open(ask, self.snapshot.order)

    def join(self, ask: Ask, *, walks: bool) -> Wait[Snapshot | None] | Wait[Snapshot] | None:
        """Wait from now on for what `again` waits for, where that is not `fresh`: for the whole list, or for None where
        it has turned out to take more than one page. None where something else is to be waited for before."""
        suits: Callable[[Span], bool] = lambda span: self._suits(span, ask)  # noqa: E731
        if self.is_long:
            return self._walking.join(self._walked, lambda: self._set_out(ask), suits) if walks else None
        order = None if walks or self.snapshot is None else self.snapshot.order
        return self._opening.join(self._opened_in(order), self._begin, suits)

    def read_through(self, ask: Ask, order: Order, pages: Sequence[Page]) -> None:
        """Keep the whole list, where these are all of its pages, and were all read for who asks: they need not be read
        again for who wants it. Of pages of different ages, rows that moved between them could be missing."""
        kept = [self._pages.get((order, token)) for token in (None, *(page.next for page in pages[:-1]))]
        same = ((each, page) for each, page in zip(kept, pages, strict=True) if each is not None)
        spans = [each.span for each, page in same if each.page is page and each.span.version == self._version]
        if len(spans) < len(pages):
            return
        self.length = sum(len(page.connections) for page in pages)
        last = self.snapshot
        is_latest = last is None or last.span.began <= spans[0].began
        if is_latest and all(span.began >= ask.since for span in spans):
            with contextlib.suppress(AdapterError):  # of more rows than may be kept
                known = NOTHING_READ if last is None else last.walked
                self._keep(walk.gathered(pages, last=known, bounds=self._bounds), order, spans[0])

    async def first(self, ask: Ask) -> Page:
        """The first page of the list, or all of it as one, where that is at hand."""
        opened = await self.open(ask, None)
        if opened is None:
            return (await self.page(ask, None, None)).page
        return Page(opened.walked.rows, dropped=opened.walked.dropped)

    def forget(self) -> None:
        """Nobody comes here any more, but for those who did already: it is not counted with what is in memory."""
        self._is_forgotten = True
        if self.snapshot is not None:
            self._count(NOTHING_READ, self.snapshot.walked)
        self._stock.turns += 1

    def _count(self, walked: Walked, before: Walked) -> None:
        if walked is not before:
            self._stock.rows += len(walked.rows) - len(before.rows)
            self._stock.size_bytes += walked.size_bytes - before.size_bytes

    def end(self) -> None:
        """End what is being read."""
        for reading in (self._opening, self._walking, *self._reading.values()):
            reading.end()

    def _is_fresh(self, span: Span, ask: Ask) -> bool:
        is_young = time.monotonic() - span.ended <= ask.max_age or span.began >= ask.since
        return is_young and span.version == self._version

    def _suits(self, span: Span, ask: Ask) -> bool:
        """Whether what is being read since then will be fresh for whoever asks."""
        return span.version == self._version and (ask.max_age > 0 or span.began >= ask.since)

    def _is_recent(self, failed: _Failure, ask: Ask) -> bool:
        return ask.max_age > 0 and time.monotonic() < failed.until and failed.span.version == self._version

    def _opened_in(self, order: Order | None) -> Callable[[Span], Coroutine[Any, Any, Snapshot | None]]:
        return lambda begun: self._timed(self._open(order, begun))

    def _walked(self, begun: Span) -> Coroutine[Any, Any, Snapshot]:
        return self._timed(self._walk(begun))

    async def _timed(self, work: Awaitable[T]) -> T:
        """As `_bounded`; a failure is kept as one of the list."""
        began, version = time.monotonic(), self._version
        try:
            outcome = await self._bounded(work)
        except Rejected:  # of an order or a narrowing that some client asked for: nobody else's business
            raise
        except AdapterError as error:
            waits_s = min(error.retry_after_s or 0.0, self._ages.max_stale)
            ended = time.monotonic()
            span = Span(began, ended, dt.datetime.now(dt.UTC), version)
            self._failure = _Failure(error, span, ended + max(self._ages.max_age, waits_s))
            raise
        self._failure = None
        return outcome

    async def _bounded(self, work: Awaitable[T]) -> T:
        """The outcome of reading, which is everybody's and so under no one's deadline. Raises AdapterError."""
        with deadline.afresh(self._ages.walk_timeout):
            outcome = await self._instance.ask(work)
        if isinstance(outcome, AdapterError):
            raise outcome
        return outcome

    async def _read(self, order: Order | None, token: str | None, begun: Span) -> KeptPage:
        last = self._pages.get((order, token))
        of = self.of if order is None else self.of._replace(order=order)
        page = await self._instance.adapter.read(of, after=token, last=last and last.page)
        kept = self._pages[order, token] = KeptPage(page, begun.until(time.monotonic()))
        self._pages.move_to_end((order, token))
        if len(self._pages) > PAGES_KEPT:
            self._pages.popitem(last=False)
        return kept

    async def _open(self, order: Order | None, begun: Span) -> Snapshot | None:
        before = self.snapshot
        order, (page, span) = await self._first(order, begun)
        if page.next is not None:
            self.is_long = True
            return None
        last = before.walked if before is not None else NOTHING_READ
        walked = walk.gathered((page,), last=last, bounds=self._bounds)
        self._pages[order, None] = KeptPage(walked.pages[0], span)
        return self._keep(walked, order, span)

    async def _first(self, order: Order | None, begun: Span) -> tuple[Order | None, KeptPage]:
        """The first page, in the order of the last time, where there was one and the upstream still takes it: so that
        an unchanged list has an unchanged body."""
        last = self.snapshot and self.snapshot.order
        if last is not None and last != order and self.trusts(last):
            try:
                return last, await self._read(last, None, begun)
            except Rejected:
                self.distrust(last)
        return order, await self._read(order, None, begun)

    async def _walk(self, begun: Span) -> Snapshot:
        opened = self._pages.get((None, None))
        first = opened.page if opened is not None and opened.span is begun else None
        age_s = time.monotonic() - begun.ended  # of the first page, and so of the list when it is whole
        last = self.snapshot.walked if self.snapshot is not None and self.snapshot.order is None else NOTHING_READ
        walked = await walk.whole(self._instance.adapter, self.of, first=first, last=last, bounds=self._bounds)
        self.is_long = len(walked.pages) > 1
        return self._keep(walked, None, begun.until(time.monotonic() - age_s))

    def _set_out(self, ask: Ask) -> Span:
        """When a walk begins: with its first page, where that was just read, and then."""
        opened = self._pages.get((None, None))
        return opened.span if opened is not None and self._is_fresh(opened.span, ask) else self._begin()

    def _begin(self) -> Span:
        now = time.monotonic()
        return Span(now, now, dt.datetime.now(dt.UTC), self._version)

    def _keep(self, walked: Walked, order: Order | None, span: Span) -> Snapshot:
        before, self.length = self.snapshot, len(walked.rows)
        self._stock.turns += 1
        if not self._is_forgotten:
            self._count(walked, NOTHING_READ if before is None else before.walked)
        if before is None:
            self.snapshot = Snapshot(self._instance, walked, order, span, stock=self._stock)
        else:
            self.snapshot = before.renewed(walked, order, span)
        if before is None or before.walked is not walked:  # or all lists together are what they were
            self._on_kept()
        return self.snapshot


_NO_PARTS: tuple[Sequence[str], float] = (), -math.inf


class Inventory:
    """The shelves of all instances."""

    def __init__(self, ages: Ages, bounds: Bounds, versions: Versions | None = None) -> None:
        self.ages = ages
        self._bounds = bounds
        self._stock = Stock(versions or Versions())
        self._shelves: OrderedDict[tuple[str, List], Shelf] = OrderedDict()
        self._parts: dict[str, tuple[Sequence[str], float]] = {}
        self._untold: dict[str, tuple[AdapterError, float]] = {}
        """By instance, why it could not tell its parts, and when, where that was the last time."""
        self._met: defaultdict[str, set[str]] = defaultdict(set)
        """By instance, the parts whose lists were asked for, as by an adapter that looks for ids there."""
        self.completions = Completions()

    @property
    def turn(self) -> tuple[int, int]:
        """What is another one as soon as anything that is kept has become another thing, or is not fresh any more other
        than by its age."""
        return self._stock.turns, self._stock.versions.latest

    async def parts(self, instance: Instance, since: float) -> tuple[Sequence[str], AdapterError | None]:
        """The parts of an instance; those it had, and the error, where it cannot tell. It is asked once for a request
        that began at ``since``."""
        told = self.told_parts(instance, since)
        if told is not None:
            return told
        found = await instance.ask(instance.adapter.parts())
        if isinstance(found, AdapterError):
            self._untold[instance.name] = found, time.monotonic()
            return self._parts_of(instance), found
        self._untold.pop(instance.name, None)
        self._parts[instance.name] = found, time.monotonic()
        self._stock.turns += 1
        return found, None

    def told_parts(self, instance: Instance, since: float) -> tuple[Sequence[str], AdapterError | None] | None:
        """The same, where it has told them, or why it cannot, since then; None where it is yet to be asked."""
        failed, at = self._untold.get(instance.name, (None, -math.inf))
        if failed is not None and at >= since:
            return self._parts_of(instance), failed
        parts, told = self._parts.get(instance.name, _NO_PARTS)
        return (parts, None) if told >= since else None

    def known_parts(self, instance: Instance, ask: Ask) -> Sequence[str] | None:
        """The parts of an instance, as far as they were told lately enough."""
        parts, told = self._parts.get(instance.name, _NO_PARTS)
        return parts if told >= ask.since or time.monotonic() - told <= ask.max_age else None

    def told_at(self, instance: Instance) -> float:
        """When an instance told its parts the last time, by the monotonic clock."""
        return self._parts.get(instance.name, _NO_PARTS)[1]

    def _parts_of(self, instance: Instance) -> Sequence[str]:
        return self._parts.get(instance.name, _NO_PARTS)[0]

    def shelf(self, instance: Instance, of: List) -> Shelf:
        """The shelf of a list."""
        key = instance.name, of
        if key not in self._shelves:
            self._met[instance.name].add(of.part)
            self._stock.turns += 1
            self._shelves[key] = Shelf(instance, of, self.ages, self._bounds, self._stock, on_kept=self._make_room)
            if of.narrowed:
                self._tidy()
        self._shelves.move_to_end(key)
        return self._shelves[key]

    def known_shelf(self, instance: Instance, of: List) -> Shelf | None:
        """The shelf of a list, where there is one."""
        shelf = self._shelves.get((instance.name, of))
        if shelf is not None:
            self._shelves.move_to_end((instance.name, of))
        return shelf

    def stale(self, instance: Instance, of: List) -> tuple[Shelf, Snapshot] | None:
        """What was read last of a list, if it may still be shown, and where it is kept."""
        shelf = self._shelves.get((instance.name, of))
        found = shelf.stale() if shelf is not None else None
        return None if shelf is None or found is None else (shelf, found)

    def unread(self, instance: Instance, narrowing: Narrowing, ask: Ask) -> Narrowing | None:
        """The lists of an instance that memory could not answer; None where there are none of them."""
        if instance.name not in self._parts:
            return Narrowing(narrowing.parts)
        parts = self._parts_of(instance)
        read = (part for part in parts if narrowing.parts is None or part in narrowing.parts)
        left = frozenset(part for part in read if not self.shelf(instance, List(part)).is_fresh(ask))
        return Narrowing(left) if left else None

    def joined(self, instance: Instance, narrowing: Narrowing) -> Fields:
        """The field paths that have been looked up for all rows in memory."""
        parts = self._parts_of(instance)
        shelves = [self.shelf(instance, List(p)) for p in parts if narrowing.parts is None or p in narrowing.parts]
        held = (shelf.snapshot for shelf in shelves)
        looked_up = [each.joined for each in held if each is not None and each.walked.rows]
        return looked_up[0].intersection(*looked_up[1:]) if looked_up else LIST_FIELDS

    def fresh(self, instance: Instance, ask: Ask) -> Sequence[Snapshot]:
        """The whole lists of an instance that were read lately enough."""
        return [snapshot for _, snapshot in self.held(instance, ask)]

    def held(self, instance: Instance, ask: Ask) -> Sequence[tuple[List, Snapshot]]:
        """Likewise, each with what it is of."""
        found: list[tuple[List, Snapshot]] = []
        for part in self.searched(instance):
            of = List(part)
            shelf = self.known_shelf(instance, of)
            if shelf is not None and shelf.snapshot is not None and shelf.is_fresh(ask):
                found.append((of, shelf.snapshot))
        return found

    def searched(self, instance: Instance) -> Collection[str]:
        """The parts in whose lists an id is looked for."""
        return self._parts_of(instance) or self._met[instance.name]

    def as_of(self, instance: str) -> dt.datetime | None:
        """When the oldest of what is kept of an instance was read."""
        kept = (shelf.snapshot for (name, of), shelf in self._shelves.items() if name == instance and not of.narrowed)
        return min((snapshot.span.began_at for snapshot in kept if snapshot is not None), default=None)

    def invalidate(self, instance: str) -> None:
        """Something was changed in an instance through the gateway: what was read of it before is not fresh."""
        self._stock.versions.changed(instance)

    def close(self) -> None:
        """End what is being read."""
        for shelf in self._shelves.values():
            shelf.end()

    def _make_room(self) -> None:
        if self._stock.rows > self._bounds.rows or self._stock.size_bytes > self._bounds.size_bytes:
            self._tidy()

    def _tidy(self) -> None:
        """Forget what was not asked for the longest where all of it together is more than may be kept."""
        rows = size_bytes = narrowed = 0
        for number, key in enumerate(reversed(list(self._shelves))):
            is_narrowed = bool(key[1].narrowed)
            narrowed += is_narrowed
            is_one_of_many = is_narrowed and narrowed > SHELVES_KEPT
            walked = kept.walked if (kept := self._shelves[key].snapshot) else NOTHING_READ
            rows, size_bytes = rows + len(walked.rows), size_bytes + walked.size_bytes
            if number and (is_one_of_many or rows > self._bounds.rows or size_bytes > self._bounds.size_bytes):
                self._shelves.pop(key).forget()
