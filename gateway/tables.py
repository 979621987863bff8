"""Rows of one list in memory, and what is asked of them: in which order, which of them, how many of each.

What is derived from the rows is made when it is first asked for and kept with them: columns of one attribute, orders,
and masks. Where the list was read before, columns and orders are taken on from there, and only rows that are new or
have changed are looked at: most rows of a large list are the same every time.

A mask says which rows meet a condition: a number with a byte for each row, 1 or 0, so that AND, OR, NOT and counting
are single operations however many rows there are.
"""

import bisect
import functools
import itertools
from array import array
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import compress, count, islice
from typing import Any, TypeAlias, TypeVar, cast

from adapters.model import Connection
from adapters.walk import differing
from gateway.orders import Key, OrderBy, keyer, ranked, sorts_alike

T = TypeVar("T")
Mask = int
_numbers = count()
_Keys: TypeAlias = "OrderedDict[OrderBy, dict[int, tuple[Key, Connection]]]"

_KEPT = 64
"""Masks and counts that are kept with a table."""
_KEPT_KEYS = 8
"""Orders whose keys are kept."""
_SMALL = 500
"""Up to so many rows are sorted by their keys, which are wanted for merging too; of more, texts are looked at first."""
_SOUGHT = 20_000
"""Up to so many places looked at, it is quicker to see whether rows still stand in order than to put them into it."""
_FEW = 1 / 8
"""Up to this share of new rows they are put into an order one by one; beyond it, sorting all anew is quicker."""


class Table:
    """Some rows of one instance, each once. Immutable, as its rows are. ``before`` is what they were the last time."""

    def __init__(self, instance: str, rows: Sequence[Connection], before: "Table | None" = None) -> None:
        self.instance = instance
        self.rows = rows
        self.number = next(_numbers)
        """What tells it from all other tables there ever were."""
        self._columns: dict[str, list[Any]] = {}
        self._orders: OrderedDict[OrderBy, array[int]] = OrderedDict()
        self._keys: _Keys = OrderedDict() if before is None else before.keys
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._base = None if before is None else before.base
        self._taken_on: _Former | None = None
        self.all: Mask = _all(len(rows))
        """The mask of every row."""

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def by_native_id(self) -> Mapping[str, Connection]:
        """The rows by their native ids."""
        return {row.native_id: row for row in self.rows}

    @property
    def derived(self) -> tuple[dict[str, list[Any]], dict[OrderBy, "array[int]"]]:
        """The columns and the orders that are known so far."""
        return dict(self._columns), dict(self._orders)

    @property
    def base(self) -> "Table | None":
        """The latest table of which something is known: this one, or one before it."""
        return self if self._columns or self._orders else self._base

    @property
    def _former(self) -> "_Former | None":
        base, self._base = self._base, None
        if base is not None:
            self._taken_on = _Former(base, self.rows)
        return self._taken_on

    @property
    def keys(self) -> _Keys:
        """The keys that are known so far."""
        return self._keys

    def column(self, name: str, read: Callable[[Connection], T]) -> list[T]:
        """What ``read`` gives for each row; kept under ``name``."""
        found = self._columns.get(name)
        if found is None:
            known = self._former and self._former.column(name, read, self.rows)
            found = self._columns[name] = known or [read(row) for row in self.rows]
        return cast("list[T]", found)

    def mask(self, hits: Iterable[object]) -> Mask:
        """The mask of the rows at whose place there is something true."""
        return _mask(bytes(map(bool, hits)))

    def kept(self, of: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` gave for this the last time, or gives now."""
        if of not in self._kept:
            self._kept[of] = make()
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(of)
        return self._kept[of]

    def counts(self, column: Sequence[Any], mask: Mask) -> Counter[Any]:
        """How many rows of a mask have each value; rows with None have none."""
        counted: Counter[Any] = Counter(column if mask == self.all else compress(column, self._flags(mask)))
        del counted[None]
        return counted

    def span(
        self,
        order_by: OrderBy,
        mask: Mask,
        *,
        after: Key | None = None,
        since: Key | None = None,
        before: Key | None = None,
        backward: bool = False,
        limit: int | None = None,
    ) -> list[Connection]:
        """The first ``limit`` rows of a mask after a key, or at it and after (``since``), and before another; in order
        or in the reverse of it."""
        order = self.sort(order_by)
        low, high = 0, len(order)
        compared = self._key_at(order_by)
        if after is not None:
            low = bisect.bisect_right(order, after, key=compared)
        if since is not None:
            low = bisect.bisect_left(order, since, key=compared)
        if before is not None:
            high = bisect.bisect_left(order, before, low, key=compared)
        if mask != self.all:
            places = order[low:high][:: -1 if backward else 1]
            flags = self._flags(mask)
            return [self.rows[at] for at in islice(compress(places, map(flags.__getitem__, places)), limit)]
        if limit is not None:
            low, high = (max(low, high - limit), high) if backward else (low, min(high, low + limit))
        return list(map(self.rows.__getitem__, order[low:high][:: -1 if backward else 1]))

    def keyed(self, order_by: OrderBy, rows: Iterable[Connection]) -> list[tuple[Key, Connection]]:
        """Rows of this table, each with its key, which is kept."""
        known, make = self._known(order_by), keyer(order_by)
        return [known.get(id(row)) or _noted(known, make, row) for row in rows]

    def _known(self, order_by: OrderBy) -> dict[int, tuple[Key, Connection]]:
        """The keys that are known, by the id of their row, which is held beside it so that no other can have that id.
        They are those of the table before as well, and of rows that it had."""
        known = self._keys.setdefault(order_by, {})
        self._keys.move_to_end(order_by)
        if len(self._keys) > _KEPT_KEYS:
            self._keys.popitem(last=False)
        if len(known) > 2 * len(self.rows):
            left = {at: pair for at in map(id, self.rows) if (pair := known.get(at)) is not None}
            known.clear()
            known.update(left)
        return known

    def _key_at(self, order_by: OrderBy) -> Callable[[int], Key]:
        known, make, rows = self._known(order_by), keyer(order_by), self.rows
        return lambda at: (known.get(id(row := rows[at])) or _noted(known, make, row))[0]

    def is_sorted(self, order_by: OrderBy) -> bool:
        """Whether the places of the rows in this order are kept."""
        return order_by in self._orders

    def sort(self, order_by: OrderBy) -> "array[int]":
        """The places of the rows in this order; kept."""
        found = self._orders.get(order_by)
        if found is None:
            found = self._orders[order_by] = self._sorted(order_by)
            if len(self._orders) > _KEPT:
                self._orders.popitem(last=False)
        return found

    def _sorted(self, order_by: OrderBy) -> "array[int]":
        known = self._former and self._former.order(order_by, self._key_at(order_by))
        if known is None and len(self.rows) <= _SMALL:
            keys = [of_row for of_row, _ in self.keyed(order_by, self.rows)]
            return array("I", sorted(range(len(keys)), key=keys.__getitem__))
        return known or ranked(order_by, self.rows, self._in_order_of_ids)

    @cached_property
    def _in_order_of_ids(self) -> "array[int]":
        return ranked((), self.rows)

    def _flags(self, mask: Mask) -> bytes:
        return mask.to_bytes(len(self.rows), "little")


def _noted(
    known: dict[int, tuple[Key, Connection]], make: Callable[[Connection], Key], row: Connection
) -> tuple[Key, Connection]:
    """A row with its key, which is known from now on."""
    pair = known[id(row)] = make(row), row
    return pair


class _Former:
    """What was derived of the rows of a table before, for those of them that are still there. Each is taken on once."""

    def __init__(self, before: Table, rows: Sequence[Connection]) -> None:
        self._count = len(rows)
        self._columns, self._orders = before.derived
        new = differing(rows, before.rows) if len(rows) == len(before.rows) else None
        self._places: list[int | None] | None = None
        """For each row its place in the table before, None for one that is new or has changed; None altogether where
        each has the place that it had, but for the new ones."""
        if new is None or len(new) > _FEW * len(rows):
            places = {id(row): place for place, row in enumerate(before.rows)}
            self._places = [places.get(id(row)) for row in rows]
            new = [at for at, place in enumerate(self._places) if place is None]
        self._new: Sequence[int] = new
        self._changed = [] if self._places is not None else [(at, rows[at], before.rows[at]) for at in new]

    def column(self, name: str, read: Callable[[Connection], T], rows: Sequence[Connection]) -> list[T] | None:
        """What ``read`` gives for each row; None where it was not read before."""
        known = self._columns.pop(name, None)
        if known is None:
            return None
        if self._places is not None:
            return [read(row) if place is None else known[place] for place, row in zip(self._places, rows, strict=True)]
        column = known.copy()
        for at in self._new:
            column[at] = read(rows[at])
        return column

    def order(self, order_by: OrderBy, by: Callable[[int], Key]) -> "array[int] | None":
        """The places of the rows in this order; None where that was not known, or holds for too few of them."""
        known = self._orders.pop(order_by, None)
        if known is None or len(self._new) > _FEW * self._count:
            return None
        if self._places is None:
            moved = [at for at, now, was in self._changed if not sorts_alike(order_by, now, was)]
            if not moved or (len(moved) * self._count <= _SOUGHT and _is_in_order(known, moved, by)):
                return known
            new = frozenset(moved)
            return _merged([at for at in known if at not in new], moved, by)
        now: dict[int, int] = {place: at for at, place in enumerate(self._places) if place is not None}
        return _merged([now[place] for place in known if place in now], self._new, by)


def _is_in_order(order: "array[int]", new: Iterable[int], by: Callable[[int], Key]) -> bool:
    """Whether rows that have changed stand where they stood: most changes move nothing."""
    for at in new:
        place = order.index(at)
        keys = [by(each) for each in order[max(0, place - 1) : place + 2]]
        if any(before > after for before, after in itertools.pairwise(keys)):
            return False
    return True


def _merged(ordered: Sequence[int], new: Iterable[int], by: Callable[[int], Key]) -> "array[int]":
    """Places that are in order already, and new ones among them: few keys are needed for that."""
    merged, begin = array("I"), 0
    for at in sorted(new, key=by):
        end = bisect.bisect_left(ordered, by(at), begin, key=by)
        merged.extend(ordered[begin:end])
        merged.append(at)
        begin = end
    merged.extend(ordered[begin:])
    return merged


@functools.lru_cache(maxsize=16)
def _all(rows: int) -> Mask:
    return _mask(b"\x01" * rows)


def _mask(flags: bytes) -> Mask:
    return int.from_bytes(flags, "little")


def counted(mask: Mask) -> int:
    """How many rows a mask holds."""
    return mask.bit_count()


def without(tables: Sequence[Table]) -> Mapping[Table, Mask]:
    """For tables of one instance, the mask of the rows that none before it has: an upstream that ignores which of its
    lists it was asked for gives the same rows in each."""
    if len(tables) == 1:
        return {table: table.all for table in tables}
    masks: dict[Table, Mask] = {}
    for number, table in enumerate(tables):
        others = [other.by_native_id.keys() for other in tables[:number]]
        seen = [other for other in others if not other.isdisjoint(table.by_native_id)]
        unseen = (not any(row.native_id in ids for ids in seen) for row in table.rows)
        masks[table] = table.mask(unseen) if seen else table.all
    return masks
