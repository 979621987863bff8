"""Pages over many upstreams: one list in one order, whatever its rows come from.

Rows in memory and pages that an upstream keeps in order are merged row by row. A cursor tells a row by what it is
sorted by, so every page goes on where the one before it ended, forward or backward, in any mix of sizes.
"""

import asyncio
import contextlib
import itertools
import operator
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple

from adapters.errors import AdapterError
from adapters.model import Connection
from adapters.port import Fields
from adapters.walk import together
from gateway import cursors, orders, sources, tables
from gateway.cursors import Cursor, Places
from gateway.instances import Instances
from gateway.inventory import Inventory
from gateway.orders import Key, OrderBy
from gateway.sources import LARGE, Disordered, Need, Pages, Source
from gateway.tables import Table


class Window(NamedTuple):
    """Which rows of the list: the first or the last ``size`` of those after one cursor and before another."""

    size: int
    is_backward: bool = False
    after: Cursor | None = None
    before: Cursor | None = None


class Edge:
    """A connection, and where the list goes on after it, or before it. It never changes."""

    def __init__(self, node: Connection, listed: Connection, order_by: OrderBy, places: Places) -> None:
        self.node = node
        self._listed = listed  # what it was sorted by: a full record may know more
        self._order_by = order_by
        self._places = places

    @property
    def key(self) -> Key:
        """What compares as the rows do."""
        return orders.key(self._order_by, self._listed)

    @cached_property
    def cursor(self) -> str:
        """The cursor as clients hold it."""
        row, by = self._listed, self._order_by
        return cursors.encode(Cursor(by, orders.values(by, row), row.instance, row.native_id, self._places))


class Rows:
    """The rows of a window as they were listed, in order, and whether there were more. ``places`` are those of each row
    where pages were read; ``by_instance`` are the rows of each instance."""

    def __init__(
        self,
        listed: tuple[Connection, ...],
        *,
        is_cut: bool,
        by_instance: Mapping[str, tuple[Connection, ...]],
        order_by: OrderBy,
        places: Sequence[Places] | None = None,
    ) -> None:
        self.listed = listed
        self.is_cut = is_cut
        self.by_instance = by_instance
        self.is_paged = places is not None
        self.order_by = order_by
        self._places = places
        self.around: dict[str, bool] = {}
        """What was found out of what is before them and after them."""

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """They as they were listed, with their cursors."""
        return self.edges_of(self.listed)

    def edges_of(self, nodes: Sequence[Connection]) -> tuple[Edge, ...]:
        """Likewise, with what has been added to them."""
        by, places = self.order_by, self._places or itertools.repeat(_NOWHERE)
        return tuple(Edge(node, row, by, at) for node, row, at in zip(nodes, self.listed, places, strict=False))


class Merged:
    """A page. What takes work is worked out when it is asked for."""

    def __init__(self, rows: Rows, nodes: Sequence[Connection], window: Window, found: Sequence[Source]) -> None:
        self.nodes = nodes
        """The connections of the page. The same object where nothing has changed since it was asked for before, and so
        are the edges."""
        self.sources = found
        self._rows = rows
        self._window = window

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """The connections with their cursors."""
        return self._rows.edges if self.nodes is self._rows.listed else self._rows.edges_of(self.nodes)

    @property
    def page_info(self) -> "Merged":
        """How the list goes on: told by the page itself."""
        return self

    @property
    def start_cursor(self) -> str | None:
        """The cursor of the first edge."""
        return self.edges[0].cursor if self.edges else None

    @property
    def end_cursor(self) -> str | None:
        """The cursor of the last edge."""
        return self.edges[-1].cursor if self.edges else None

    @property
    def failures(self) -> Sequence[AdapterError]:
        """Whatever failed, to be told beside the data."""
        return sources.failures(self.sources)

    @property
    def total_count(self) -> int:
        """How many rows meet the filter, on all pages."""
        return sum(tables.counted(mask) for source in self.sources for mask in source.tables.values())

    @property
    def has_next_page(self) -> bool:
        """Whether there is more after the page."""
        return self._around("after", self._has_next)

    def _has_next(self) -> bool:
        if not self._window.is_backward and self._rows.is_cut:
            return True
        if self.edges:
            return self._exists(after=self.edges[-1].key)
        before = self._window.before
        return before is not None and self._exists(since=before.key)

    @property
    def has_previous_page(self) -> bool:
        """Whether there is more before the page."""
        return self._around("before", self._has_previous)

    def _has_previous(self) -> bool:
        if self._window.is_backward and self._rows.is_cut:
            return True
        after = self._window.after
        if self._rows.is_paged:
            return after is not None  # pages that are read one by one show nothing of what was before
        if self.edges:
            return self._exists(before=self.edges[0].key)
        return after is not None and self._exists(before=(*after.key, ""))

    def _around(self, side: str, find: Callable[[], bool]) -> bool:
        """What is found on a side of the rows, once for all who ask for them."""
        around = self._rows.around
        if side not in around:
            around[side] = find()
        return around[side]

    def _exists(self, *, after: Key | None = None, since: Key | None = None, before: Key | None = None) -> bool:
        return any(
            table.span(self._rows.order_by, mask, after=after, since=since, before=before, limit=1)
            for source in self.sources
            for table, mask in source.tables.items()
        )


_NOWHERE: Places = {}


def no_rows(order_by: OrderBy) -> Rows:
    """None at all."""
    return Rows((), is_cut=False, by_instance={}, order_by=order_by)


async def page(instances: Instances, inventory: Inventory, need: Need, window: Window) -> Merged:
    """A page of the list. An instance that fails costs its own rows only."""
    while True:
        try:
            found = await sources.gathered(instances, inventory, need)
            await _sorted(found, need.order_by)
            rows = await _merged(found, need, window)
        except Disordered:
            continue  # the list that was not in order is read whole the next time
        break
    return Merged(rows, await _completed(rows, found, need.fields), window, found)


async def _sorted(found: Sequence[Source], order_by: OrderBy) -> None:
    """Sort each table by itself, so that others have their turn between two large ones."""
    for table in (table for source in found for table in source.tables if not table.is_sorted(order_by)):
        table.sort(order_by)
        if len(table) > LARGE:
            await asyncio.sleep(0)


async def _merged(found: Sequence[Source], need: Need, window: Window) -> Rows:
    """The rows of the window."""
    if not any(source.pages for source in found):
        return _kept(found, need.order_by, window)
    rows: list[Connection] = []
    places: list[Places] = []
    async with contextlib.aclosing(_rows(found, need, window)) as following:
        async for row, at in following:
            if len(rows) == window.size:
                return _as_rows(rows, window, need.order_by, is_cut=True, places=places)
            rows.append(row)
            places.append(at)
    return _as_rows(rows, window, need.order_by, is_cut=False, places=places)


def _kept(found: Sequence[Source], order_by: OrderBy, window: Window) -> Rows:
    """The rows of the window, all of which are in memory. Pages are asked for again and again while nothing changes, so
    they are kept with the first of their tables."""
    masked = [(table, mask) for source in found for table, mask in source.tables.items()]
    if not masked:
        return no_rows(order_by)
    bounds = window.after and window.after.key, window.before and window.before.key
    numbers = tuple((table.number, None if mask == table.all else mask) for table, mask in masked)
    asked = "page", order_by, window.size, window.is_backward, bounds, numbers

    def make() -> Rows:
        spans = _spans(found, order_by, window)
        # The rows of one table come in order, and without the keys that nothing but merging needs.
        rows = spans[0][1] if len(spans) == 1 else [row for _, row in _sorted_together(spans, order_by, window)]
        is_cut, instances = len(rows) > window.size, {table.instance for table, _ in masked}
        alone = instances.pop() if len(instances) == 1 else ""
        return _as_rows(rows[: window.size], window, order_by, is_cut=is_cut, alone=alone)

    return masked[0][0].kept(asked, make)


def _as_rows(
    rows: Sequence[Connection],
    window: Window,
    order_by: OrderBy,
    *,
    is_cut: bool,
    places: Sequence[Places] | None = None,
    alone: str = "",
) -> Rows:
    """The rows of a window. ``alone`` is the one instance that they are of, where that is known."""
    step = -1 if window.is_backward else 1
    listed = tuple(rows[::step])
    if alone:
        of_one = {alone: listed} if listed else {}
        return Rows(listed, is_cut=is_cut, by_instance=of_one, order_by=order_by)
    by_instance: defaultdict[str, list[Connection]] = defaultdict(list)
    for row in listed:
        by_instance[row.instance].append(row)
    of_each = {name: tuple(of_one) for name, of_one in by_instance.items()}
    in_order = None if places is None else places[::step]
    return Rows(listed, is_cut=is_cut, by_instance=of_each, order_by=order_by, places=in_order)


async def _rows(found: Sequence[Source], need: Need, window: Window) -> AsyncGenerator[tuple[Connection, Places]]:
    """The rows after one cursor and before another in order, or in the reverse of it, each with its places. Each comes
    once: pages may send one twice, and so may the lists of an instance that ignores which of them it was asked for."""
    paged = [pages for source in found for pages in source.pages]
    listed = iter(_sorted_together(_spans(found, need.order_by, window), need.order_by, window))
    head = next(listed, None)
    last: Key | None = None
    while True:
        ahead = min(_heads(paged), key=itemgetter(0), default=None)
        if ahead is not None and (head is None or ahead[0] < head[0]):
            key, row, pages = ahead
            pages.mark()
        elif head is not None:
            key, row, pages = *head, None
        else:
            return
        if key != last:
            last = key
            yield row, _places(paged)
        if pages is not None:
            await _advance(pages)
        else:
            head = next(listed, None)


def _heads(paged: Sequence[Pages]) -> list[tuple[Key, Connection, Pages]]:
    return [(*head, pages) for pages in paged if (head := pages.head()) is not None]


async def _advance(pages: Pages) -> None:
    try:
        await pages.advance()
    except AdapterError as error:
        pages.source.errors.append(pages.source.instance.named(error))
        pages.end()


def _places(paged: Sequence[Pages]) -> Places:
    places: defaultdict[str, dict[str, str | None]] = defaultdict(dict)
    for pages in paged:
        places[pages.source.instance.name][pages.part] = pages.token
    return places


def _spans(found: Sequence[Source], order_by: OrderBy, window: Window) -> list[tuple[Table, list[Connection]]]:
    """Of each table the rows between the cursors, in order, or in the reverse of it: what fills the window, and one row
    more, which tells whether there are any."""
    bounds: dict[str, Any] = {
        "after": window.after and window.after.key,
        "before": window.before and window.before.key,
        "backward": window.is_backward,
        "limit": window.size + 1,
    }
    masked = (each for source in found for each in source.tables.items())
    return [(table, table.span(order_by, mask, **bounds)) for table, mask in masked]


def _sorted_together(
    spans: Sequence[tuple[Table, Sequence[Connection]]], order_by: OrderBy, window: Window
) -> list[tuple[Key, Connection]]:
    """The rows of all tables in order, or in the reverse of it, as far as the window goes, each with its key."""
    keyed = (pair for table, rows in spans for pair in table.keyed(order_by, rows))
    # What comes sorted already, one after the other, is what Python sorts fastest.
    return sorted(keyed, key=itemgetter(0), reverse=window.is_backward)[: window.size + 1]


async def _completed(rows: Rows, found: Sequence[Source], fields: Fields) -> Sequence[Connection]:
    """The rows with what was selected of them and lists do not hold. Only rows of the page are completed: a list gives
    more of them than a page takes. Where nothing is added, they are the very rows."""
    lacking: dict[str, Awaitable[Sequence[Connection]]] = {}
    for source in found:
        of_one = rows.by_instance.get(source.instance.name, ())
        source.row_count = len(of_one)
        left = fields if source.pages else fields - source.joined
        if of_one and source.instance.adapter.adds(left):
            lacking[source.instance.name] = _complete(source, of_one, left)
    if not lacking:
        return rows.listed
    completed = dict(zip(lacking, await together(list(lacking.values())), strict=True))
    following = {name: iter(completed.get(name, of_one)) for name, of_one in rows.by_instance.items()}
    nodes = tuple(next(following[row.instance]) for row in rows.listed)
    return rows.listed if all(map(operator.is_, nodes, rows.listed)) else nodes


async def _complete(source: Source, rows: Sequence[Connection], fields: Fields) -> Sequence[Connection]:
    answer = await source.completed(rows, fields)
    if isinstance(answer, AdapterError):
        source.failures.append(answer)
        return rows
    source.failures += map(source.instance.named, answer.failures)
    return answer.connections
