"""The order of the list: total, the same for every page size, and told by values, so that a cursor survives what
happens to the rows it stands between.

Rows come by the fields asked for, then by instance, then by native id. Those without a field come last, either way.
"""

import functools
import re
import unicodedata
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import total_ordering
from itertools import chain
from typing import Any, TypeAlias

from adapters.model import Connection, ConnectionStatus, Endpoint
from adapters.port import Order, OrderField
from gateway.freshness import due_at
from gateway.moments import microseconds

OrderBy: TypeAlias = tuple[Order, ...]
Value: TypeAlias = str | int | None
"""What a row is sorted by: a text, a number, microseconds since 1970, or None where it has none."""
Key: TypeAlias = tuple[Any, ...]
"""What compares as the rows do."""

DEFAULT: OrderBy = (Order(OrderField.NAME),)

SEVERITY: Mapping[ConnectionStatus, int] = {
    status: rank
    for rank, status in enumerate(
        (
            ConnectionStatus.HEALTHY,
            ConnectionStatus.RUNNING,
            ConnectionStatus.QUEUED,
            ConnectionStatus.NEVER_RAN,
            ConnectionStatus.PAUSED,
            ConnectionStatus.DELETED,
            ConnectionStatus.UNKNOWN,
            ConnectionStatus.DEGRADED,
            ConnectionStatus.FAILING,
        )
    )
}
"""From what is well to what fails."""


def folded(text: str) -> str:
    """The text without case and accents: what people compare by."""
    if text.isascii():
        return text.lower()
    # Decomposing sorts each run of accents, and takes the square of its length: in a long text they go beforehand.
    sparing = text if len(text) <= _SHORT else _bare(text)
    return _bare(unicodedata.normalize("NFKD", sparing)).casefold()


_SHORT = 64
"""A run of accents no longer than this is sorted at once."""


def _bare(text: str) -> str:
    """The text without its accents."""
    # To look at each letter takes longer than all the rest.
    return text.translate(_BARE) if _MAY_BE_ACCENTS.search(text) else text


class _Bare(dict[int, int | None]):
    """What becomes of each letter: it stays, or vanishes where nothing but accents is left of it once it is decomposed.
    Found out when a letter is met, and remembered for as many as one script has."""

    def __missing__(self, letter: int) -> int | None:
        if len(self) >= _LETTERS:
            self.clear()
        parts = unicodedata.normalize("NFKD", chr(letter))
        self[letter] = None if all(map(unicodedata.combining, parts)) else letter
        return self[letter]


_LETTERS = 4096
_BARE = _Bare()
_MAY_BE_ACCENTS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u10ff\u1200-\u1fff\u20d0-\u20ff\u2cef-\u303f\u3099\u309a\ua66f-\uabff\ud800-\U0010ffff]"
)
"""The blocks that have combining letters, and some without. Greek, Cyrillic, arrows, kana, Chinese and Korean have
none once they are decomposed."""


def label(end: Endpoint | None) -> str | None:
    """What an endpoint is called: by its name, or by its type where it has none."""
    return None if end is None else end.name or end.type


def _overdue(row: Connection) -> int | None:
    """The longer overdue, the more."""
    due = microseconds(due_at(row))
    return None if due is None else -due


FIELDS: Mapping[OrderField, Callable[[Connection], Value]] = {
    OrderField.NAME: lambda row: row.name,
    OrderField.STATUS: lambda row: SEVERITY[row.status],
    OrderField.SOURCE: lambda row: label(row.source),
    OrderField.DESTINATION: lambda row: label(row.destination),
    OrderField.PROVIDER: lambda row: row.provider,
    OrderField.LAST_RUN_AT: lambda row: microseconds(row.last_run and row.last_run.started_at),
    OrderField.CREATED_AT: lambda row: microseconds(row.created_at),
    OrderField.UPDATED_AT: lambda row: microseconds(row.updated_at),
    OrderField.LAST_HEALTHY_AT: lambda row: microseconds(row.last_healthy_at),
    OrderField.OVERDUE: _overdue,
}
"""How a field is read from a row."""
TEXTS = frozenset({OrderField.NAME, OrderField.SOURCE, OrderField.DESTINATION, OrderField.PROVIDER})
"""Fields whose values are texts; those of the others are numbers."""

JOINS: Mapping[OrderField, str] = {
    OrderField.NAME: "name",
    OrderField.SOURCE: "source.name",
    OrderField.DESTINATION: "destination.name",
}
"""The field paths that a list may lack and an order needs."""


def values(order_by: OrderBy, row: Connection) -> list[Value]:
    """What a row is sorted by, for its cursor."""
    return [FIELDS[order.field](row) for order in order_by]


def key(order_by: OrderBy, row: Connection) -> Key:
    """What compares as the row does."""
    return keyer(order_by)(row)


@functools.lru_cache(maxsize=64)
def keyer(order_by: OrderBy) -> Callable[[Connection], Key]:
    """What makes the keys of rows in this order."""
    parts = [(FIELDS[order.field], _parter(order)) for order in order_by]
    if len(parts) == 1:
        ((read, part),) = parts
        return lambda row: (*part(read(row)), row.instance, row.native_id)
    return lambda row: (*chain.from_iterable([part(read(row)) for read, part in parts]), row.instance, row.native_id)


def sorts_alike(order_by: OrderBy, one: Connection, other: Connection) -> bool:
    """Whether two rows of one instance have the same key."""
    return one.native_id == other.native_id and all(
        FIELDS[order.field](one) == FIELDS[order.field](other) for order in order_by
    )


def key_of(order_by: OrderBy, found: Sequence[Value], instance: str, native_id: str) -> Key:
    """The key of a row with these values."""
    parts = (_parter(order)(value) for order, value in zip(order_by, found, strict=True))
    return (*chain.from_iterable(parts), instance, native_id)


def fits(order_by: OrderBy, found: Sequence[object]) -> bool:
    """Whether these can be values of rows in this order."""
    kinds = [str if order.field in TEXTS else int for order in order_by]
    return len(kinds) == len(found) and all(
        value is None or type(value) is kind for value, kind in zip(found, kinds, strict=True)
    )


_FIRST, _LAST = 0, 1
_LACKING = (_LAST,)
"""The part of a key that stands for a value that a row has not."""


def begins_last(key: Key) -> bool:
    """Whether this is the key of a row that lacks what rows are sorted by first."""
    return key[0] == _LAST


@functools.lru_cache(maxsize=64)
def _parter(order: Order) -> Callable[[Any], tuple[Any, ...]]:
    """What makes the part of a key for a value of this order's field. Parts stand side by side in a key, for tuples in
    tuples compare slowly: they differ in length only where they differ before."""
    if order.field in TEXTS:
        if order.is_descending:
            return lambda text: _LACKING if text is None else (_FIRST, _Reversed(_comparable(text)))
        return lambda text: _LACKING if text is None else (_FIRST, *_comparable(text))
    if order.is_descending:
        return lambda number: _LACKING if number is None else (_FIRST, -number)
    return lambda number: _LACKING if number is None else (_FIRST, number)


def _comparable(text: Any) -> tuple[str, str]:
    """Texts compare by what people compare by, and only then by each letter."""
    return folded(text), text


@total_ordering
class _Reversed:
    """A text that compares the other way round."""

    __slots__ = ("text",)

    def __init__(self, text: tuple[str, str]) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and self.text == other.text

    def __lt__(self, other: "_Reversed") -> bool:
        return other.text < self.text

    def __hash__(self) -> int:
        return hash(self.text)


def ranked(order_by: OrderBy, rows: Sequence[Connection], by_native_id: Sequence[int] | None = None) -> "array[int]":
    """The places of the rows of one instance, in this order. ``by_native_id`` has them in that one, if it is known."""
    places = list(by_native_id or sorted(range(len(rows)), key=[row.native_id for row in rows].__getitem__))
    for order in reversed(order_by):  # sorting is stable: the last field first
        column = _ranks(order.field, rows)
        having = [place for place in places if column[place] is not None]
        lacking = [place for place in places if column[place] is None]
        having.sort(key=column.__getitem__, reverse=order.is_descending)
        places = having + lacking
    return array("I", places)


def _ranks(field: OrderField, rows: Sequence[Connection]) -> list[Any]:
    """Numbers that compare as the values of the rows do; None where a row has none. Many rows have few different texts,
    and texts are slow to fold and to compare, so each is looked at once."""
    column = list(map(FIELDS[field], rows))
    if field not in TEXTS:
        return column
    ranks = {text: rank for rank, text in enumerate(sorted({*column} - {None}, key=_comparable))}
    return list(map(ranks.get, column))


def text_of(order_by: OrderBy) -> str:
    """An order as a short text, which tells it from others."""
    return ",".join(("-" if order.is_descending else "") + order.field for order in order_by)
