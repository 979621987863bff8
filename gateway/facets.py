"""Facets: how many connections of each kind a filter leaves, so that a list screen can offer its alternatives."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

from adapters.errors import AdapterError
from adapters.model import Connection, Record
from adapters.port import Fields, Filter
from gateway import filters, orders, sources, tables
from gateway.explain import Note
from gateway.filters import COLUMNS, conditions
from gateway.instances import Instance, Instances
from gateway.inventory import Ask, Inventory
from gateway.orders import folded
from gateway.sources import Need, Source
from gateway.tables import Mask, Table


class Facet(Record, frozen=True, kw_only=True):
    """One kind, and how many connections are of it."""

    value: str
    label: str
    icon: str | None
    count: int


Read: TypeAlias = Callable[[Connection], str | None]


def _nothing(_: Connection) -> None:
    return None


def _workspace_name(row: Connection) -> str | None:
    return row.workspace_name


def _source_icon(row: Connection) -> str | None:
    return row.source and row.source.icon


def _destination_icon(row: Connection) -> str | None:
    return row.destination and row.destination.icon


class Kind(NamedTuple):
    """A way to count: the condition of the filter that it leaves out, what it looks at in a row (None where all rows of
    an instance are of one kind), and what its values are called and look like, as any of their rows has it. ``joins``
    are the field paths that a list may lack and these need, by the field of the facet."""

    condition: str
    read: Callable[[Connection], Any] | None = None
    label: Read = _nothing
    icon: Read = _nothing
    joins: Mapping[str, str] = {}


KINDS: Mapping[str, Kind] = {
    "status": Kind("status", COLUMNS["status"]),
    "provider": Kind("provider"),
    "instance": Kind("instance"),
    "workspace": Kind(
        "workspace_id", COLUMNS["workspace_id"], label=_workspace_name, joins={"label": "workspace_name"}
    ),
    "environment": Kind("environment", COLUMNS["environment"]),
    "source_type": Kind("source_type", COLUMNS["source_type"], icon=_source_icon, joins={"icon": "source.icon"}),
    "destination_type": Kind(
        "destination_type", COLUMNS["destination_type"], icon=_destination_icon, joins={"icon": "destination.icon"}
    ),
    "category": Kind("category", COLUMNS["category"]),
    "schedule_type": Kind("schedule_type", COLUMNS["schedule_type"]),
}
"""Each way to count, by its name."""


class Facets:
    """The counts over what the instances contributed."""

    def __init__(self, found: Sequence[Source], where: Filter, need: Need) -> None:
        self.sources = found
        self._need = need
        own = conditions(need.where)
        self._left_out = {name: value for name, value in conditions(where).items() if name not in own}

    @property
    def failures(self) -> Sequence[AdapterError]:
        """Whatever failed, to be told beside the data."""
        return sources.failures(self.sources)

    @property
    def total_count(self) -> int:
        """How many connections meet the whole filter."""
        return sum(tables.counted(mask) for _, _, mask in self._masks(""))

    def counted(self, name: str) -> Sequence[Facet]:
        """The counts of one kind under the filter without its own condition: the most first, then by name."""
        kind = KINDS[name]
        counts: Counter[str] = Counter()
        looks: dict[str, Look] = {}
        for instance, table, mask in self._masks(kind.condition):
            counts.update(_counted(name, kind, instance, table, mask))
            found = _looks(name, kind, instance, table)
            looks |= {value: look for value, look in found.items() if looks.get(value, NO_LOOK) == NO_LOOK}
        if kind.condition in filters.ALIKE:
            counts, looks = _alike(counts, looks)
        facets = (
            Facet(value=str(value), label=str(look.label or value), icon=look.icon, count=count)
            for value, count in counts.items()
            for look in (looks.get(value, NO_LOOK),)
        )
        return sorted(facets, key=lambda facet: (-facet.count, facet.label, facet.value))

    def _masks(self, condition: str) -> Iterator[tuple[Instance, Table, Mask]]:
        """Each table, and which of its rows meet the filter without one condition."""
        for source in self.sources:
            for table, mask in source.tables.items():
                left_out = Filter(**{name: value for name, value in self._left_out.items() if name != condition})
                met = filters.masks(left_out, table, source.instance, self._need.now)
                yield source.instance, table, filters.joined(met, mask)


class Look(NamedTuple):
    """What a value is called, and its icon."""

    label: str | None = None
    icon: str | None = None


NO_LOOK = Look()


def _counted(name: str, kind: Kind, instance: Instance, table: Table, mask: Mask) -> Mapping[str, int]:
    if kind.read is None:
        value = instance.provider.key if name == "provider" else instance.name
        return {value: tables.counted(mask)} if mask else {}
    column = table.column(kind.condition, kind.read)
    return table.kept(("counts", name, mask), lambda: _counts_of_each(table.counts(column, mask)))


def _counts_of_each(counted: Mapping[Any, int]) -> Mapping[str, int]:
    counts: Counter[str] = Counter()
    for values, count in counted.items():
        counts.update(dict.fromkeys(_each(values), count))
    return counts


def _each(values: Any) -> Sequence[str]:
    """The values of a row, where it has several; its one value where it has not."""
    return cast("tuple[str, ...]", values) if isinstance(values, tuple) else (values,)


def _alike(counts: Mapping[str, int], looks: Mapping[str, Look]) -> tuple["Counter[str]", dict[str, Look]]:
    """The counts and looks of texts that the filter takes for one, under the spelling that most rows have; of several
    as frequent, the first by its code points."""
    together: Counter[str] = Counter()
    look_of: dict[str, Look] = {}
    shown: dict[str, str] = {}
    for text, count in sorted(counts.items(), key=lambda of: (-of[1], of[0])):
        spelling = shown.setdefault(folded(text), text)
        together[spelling] += count
        if look_of.get(spelling, NO_LOOK) == NO_LOOK:
            look_of[spelling] = looks.get(text, NO_LOOK)
    return together, look_of


def _looks(name: str, kind: Kind, instance: Instance, table: Table) -> Mapping[str, Look]:
    """What the values in a table are called."""
    if kind.read is None:
        provider = instance.provider
        return {provider.key: Look(provider.label)} if name == "provider" else {instance.name: NO_LOOK}
    if kind.label is kind.icon is _nothing:
        return {}
    column = table.column(kind.condition, kind.read)
    return table.kept(("looks", name), lambda: _look_of_each(kind, column, table.rows))


def _look_of_each(kind: Kind, column: Sequence[Any], rows: Sequence[Connection]) -> Mapping[str, Look]:
    looks: dict[str, Look] = {}
    # Thousands of rows look alike: each look is judged once.
    for values, *look in dict.fromkeys(zip(column, map(kind.label, rows), map(kind.icon, rows), strict=True)):
        for value in _each(values):
            if looks.get(value, NO_LOOK) == NO_LOOK:
                looks[value] = Look(*look)
    return looks


def need(where: Filter, selected: Fields, ask: Ask, now: dt.datetime, note: Note | None = None) -> Need:
    """What the selected kinds need of each instance. Each leaves out a condition of its own, so rows are read without
    them; labels and icons are looked up where they are selected."""
    where = filters.without(where, *(KINDS[name].condition for name in selected & KINDS.keys()))
    looks = {path for name in KINDS for field, path in KINDS[name].joins.items() if f"{name}.{field}" in selected}
    return Need(where, orders.DEFAULT, ask, filters.joins(where), frozenset(looks), now, note=note)


async def count(instances: Instances, inventory: Inventory, need: Need, where: Filter) -> Facets:
    """The counts under a filter, of the rows that its kinds need."""
    found = await sources.gathered(instances, inventory, need)
    for source in found:
        source.row_count = sum(map(len, source.tables))
    return Facets(found, where, need)
