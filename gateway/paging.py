"""Pages over many upstreams: one list in one order, whatever its rows come from.

Rows in memory and pages that an upstream keeps in order are merged row by row. A cursor tells a row by what it is
sorted by, so every page goes on where the one before it ended, forward or backward, in any mix of sizes.
"""

import asyncio
import contextlib
import heapq
import itertools
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from typing import NamedTuple

from adapters.errors import AdapterError
from adapters.model import Connection
from adapters.port import Fields
from gateway import cursors, orders, sources, tables
from gateway.cursors import Cursor, Places
from gateway.instances import Instances
from gateway.inventory import Inventory
from gateway.orders import Key, OrderBy
from gateway.sources import Disordered, Need, Pages, Source


class Window(NamedTuple):
    """Which rows of the list: the first or the last ``size`` of those after one cursor and before another."""

    size: int
    is_backward: bool = False
    after: Cursor | None = None
    before: Cursor | None = None


class Edge(NamedTuple):
    """A connection, and where the list goes on after it, or before it."""

    node: Connection
    listed: Connection
    """The row as it was listed, which is what it was sorted by: a full record may know more."""
    key: Key
    order_by: OrderBy
    places: Places

    @property
    def cursor(self) -> str:
        """The cursor as clients hold it."""
        row = self.listed
        return cursors.encode(
            Cursor(self.order_by, orders.values(self.order_by, row), row.instance, row.native_id, self.places)
        )


class Merged:
    """A page. What takes work is worked out when it is asked for."""

    def __init__(
        self, edges: Sequence[Edge], is_cut: bool, window: Window, found: Sequence[Source], by: OrderBy
    ) -> None:
        self.edges = edges
        self.sources = found
        self._is_cut = is_cut
        self._window = window
        self._order_by = by

    @property
    def nodes(self) -> Sequence[Connection]:
        """The connections of the page."""
        return [edge.node for edge in self.edges]

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
        return sum(tables.count(mask) for source in self.sources for mask in source.tables.values())

    @property
    def has_next_page(self) -> bool:
        """Whether there is more after the page."""
        if not self._window.is_backward and self._is_cut:
            return True
        if self.edges:
            return self._exists(after=self.edges[-1].key)
        before = self._window.before
        return before is not None and self._exists(since=before.key)

    @property
    def has_previous_page(self) -> bool:
        """Whether there is more before the page."""
        if self._window.is_backward and self._is_cut:
            return True
        after = self._window.after
        if any(source.pages for source in self.sources):
            return after is not None  # pages that are read one by one show nothing of what was before
        if self.edges:
            return self._exists(before=self.edges[0].key)
        return after is not None and self._exists(before=(*after.key, ""))

    def _exists(self, *, after: Key | None = None, since: Key | None = None, before: Key | None = None) -> bool:
        rows = (
            row
            for source in self.sources
            for table, mask in source.tables.items()
            for row in table.walk(self._order_by, mask, after=after, since=since, before=before)
        )
        return next(rows, None) is not None


async def page(instances: Instances, inventory: Inventory, need: Need, window: Window) -> Merged:
    """A page of the list. An instance that fails costs its own rows only."""
    while True:
        try:
            found = await sources.gathered(instances, inventory, need)
            await _sorted(found, need.order_by)
            taken, is_cut = await _merged(found, need, window)
        except Disordered:
            continue  # the list that was not in order is read whole the next time
        break
    edges = await _completed(taken, found, need.fields)
    return Merged(edges, is_cut, window, found, need.order_by)


async def _sorted(found: Sequence[Source], order_by: OrderBy) -> None:
    """Sort each table by itself, so that others have their turn between two large ones."""
    for table in (table for source in found for table in source.tables if not table.is_sorted(order_by)):
        table.sort(order_by)
        await asyncio.sleep(0)


async def _merged(found: Sequence[Source], need: Need, window: Window) -> tuple[list[Edge], bool]:
    """The rows of the window in order, and whether there were more."""
    if not any(source.pages for source in found):
        listed = _once(_listed(found, need.order_by, window))
        taken = [Edge(row, row, key, need.order_by, {}) for key, row in itertools.islice(listed, window.size + 1)]
        return taken[: window.size][:: -1 if window.is_backward else 1], len(taken) > window.size
    edges: list[Edge] = []
    is_cut = False
    async with contextlib.aclosing(_rows(found, need, window)) as rows:
        async for edge in rows:
            is_cut = len(edges) == window.size
            if is_cut:
                break
            edges.append(edge)
    return (edges[::-1] if window.is_backward else edges), is_cut


def _once(rows: Iterable[tuple[Key, Connection]]) -> Iterator[tuple[Key, Connection]]:
    """Each row once: the lists of an instance that ignores which of them it was asked for hold the same ones."""
    last: Key | None = None
    for key, row in rows:
        if key != last:
            last = key
            yield key, row


async def _rows(found: Sequence[Source], need: Need, window: Window) -> AsyncGenerator[Edge]:
    """The rows after one cursor and before another in order, or in the reverse of it. Each comes once: pages may send
    one twice, and so may the lists of an instance that ignores which of them it was asked for."""
    paged = [(source, pages) for source in found for pages in source.pages]
    listed = _listed(found, need.order_by, window)
    head = next(listed, None)
    last: Key | None = None
    while True:
        ahead = min(_heads(paged), key=lambda each: each[0], default=None)
        is_ahead = ahead is not None and (head is None or ahead[0] < head[0])
        following = ahead[:2] if ahead is not None and is_ahead else head
        if following is None:
            return
        key, row = following
        if key != last:
            last = key
            yield Edge(row, row, key, need.order_by, _places(paged))
        if ahead is not None and is_ahead:
            await _advance(*ahead[2:])
        else:
            head = next(listed, None)


def _heads(paged: Sequence[tuple[Source, Pages]]) -> list[tuple[Key, Connection, Source, Pages]]:
    return [(*head, source, pages) for source, pages in paged if (head := pages.head()) is not None]


async def _advance(source: Source, pages: Pages) -> None:
    try:
        await pages.advance()
    except AdapterError as error:
        source.errors.append(source.instance.named(error))
        pages.end()


def _places(paged: Sequence[tuple[Source, Pages]]) -> Places:
    places: defaultdict[str, dict[str, str | None]] = defaultdict(dict)
    for source, pages in paged:
        places[source.instance.name][pages.part] = pages.token
    return places


def _listed(found: Sequence[Source], order_by: OrderBy, window: Window) -> Iterator[tuple[Key, Connection]]:
    """The rows in memory between the cursors, in order, or in the reverse of it."""
    after = window.after and window.after.key
    before = window.before and window.before.key
    walks = (
        table.walk(order_by, mask, after=after, before=before, backward=window.is_backward)
        for source in found
        for table, mask in source.tables.items()
    )
    return heapq.merge(*walks, key=lambda each: each[0], reverse=window.is_backward)


async def _completed(edges: Sequence[Edge], found: Sequence[Source], fields: Fields) -> list[Edge]:
    """The edges with what was selected of their connections and lists do not hold. Only rows of the page are completed:
    a list gives more of them than a page takes."""
    own = {source.instance.name: source for source in found}
    rows: defaultdict[str, list[Connection]] = defaultdict(list)
    for edge in edges:
        rows[edge.node.instance].append(edge.node)
    answers = await asyncio.gather(*(_complete(own[name], of_one, fields) for name, of_one in rows.items()))
    following = {name: iter(completed) for name, completed in zip(rows, answers, strict=True)}
    nodes = (next(following[edge.node.instance]) for edge in edges)
    return [edge if node is edge.node else edge._replace(node=node) for edge, node in zip(edges, nodes, strict=True)]


async def _complete(source: Source, rows: Sequence[Connection], fields: Fields) -> Sequence[Connection]:
    source.row_count = len(rows)
    instance = source.instance
    lacking = fields if source.pages else fields - source.joined
    answer = await instance.ask(instance.adapter.complete(rows, lacking))
    if isinstance(answer, AdapterError):
        source.failures.append(answer)
        return rows
    source.failures += map(instance.named, answer.failures)
    return answer.connections
