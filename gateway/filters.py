"""Filters: which rows of a table meet them, and which instances need not be asked at all.

Each condition is a mask of the table's rows; that of a filter is all of them joined by AND.
"""

import datetime as dt
import functools
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, TypeAlias, cast

from adapters.model import Connection
from adapters.port import Fields, Filter, Narrowing, Period
from gateway.errors import bad_input
from gateway.freshness import due_at
from gateway.instances import Instance, Instances
from gateway.moments import microseconds
from gateway.orders import folded
from gateway.tables import Mask, Table

EVERYTHING = Filter()
LONGEST_TEXT = 256
LONGEST_VALUE = 1024
"""Of a value in a list. Names are whole there, and upstreams have long ones."""

Masks: TypeAlias = Mapping[str, Mask]
"""By the name of a condition, the rows that meet it."""


@functools.lru_cache(maxsize=64)
def conditions(where: Filter) -> Mapping[str, Any]:
    """The conditions of a filter, by name. They are asked for again and again while a request is answered."""
    return {name: value for name in Filter.__struct_fields__ if (value := getattr(where, name)) is not None}


def without(where: Filter, *names: str) -> Filter:
    """The filter without some of its conditions."""
    return Filter(**{name: value for name, value in conditions(where).items() if name not in names})


def checked(where: Filter, instances: Instances) -> Filter:
    """The filter. Raises BAD_USER_INPUT where it cannot be meant: an unknown instance, a span that ends before it
    begins, a text or a value longer than anything it could be found in."""
    for name in where.instance or ():
        if name not in instances:
            raise bad_input("filter.instance: there is no instance of this name.")
    if where.text is not None and len(where.text) > LONGEST_TEXT:
        raise bad_input(f"filter.text: {LONGEST_TEXT} characters at the most.")
    _check_values(where)
    for name in ("created_at", "updated_at", "last_run_at", "last_healthy_at"):
        _check_period(name, getattr(where, name))
    if where.not_ is not None:
        checked(where.not_, instances)
    return where


def _check_values(where: Filter) -> None:
    for name in Filter.__struct_fields__:
        values = getattr(where, name)
        if isinstance(values, tuple):
            texts = chain.from_iterable(where.ids or ()) if name == "ids" else cast("tuple[str, ...]", values)
            if max(map(len, texts), default=0) > LONGEST_VALUE:
                raise bad_input(f"filter.{spelled(name)}: values of {LONGEST_VALUE} characters at the most.")


def _check_period(name: str, period: Period | None) -> None:
    if period is None or period.since is None or period.before is None:
        return
    if period.since >= period.before:
        raise bad_input(f"filter.{spelled(name)}: before must be later than since.")


def spelled(name: str) -> str:
    """The name of a condition as clients spell it."""
    first, *words = name.rstrip("_").split("_")
    return first + "".join(map(str.capitalize, words))


def joins(where: Filter) -> Fields:
    """The field paths that a list may lack and this filter needs."""
    needed: set[str] = set()
    if where.text:
        needed |= {"name", "source.name", "destination.name"}
    needed |= {f"{side}.name" for side in ("source", "destination") if getattr(where, f"{side}_name")}
    return frozenset(needed | (joins(where.not_) if where.not_ else set()))


def may_match(where: Filter, instance: Instance) -> bool:
    """Whether the instance can have rows that meet the filter."""
    return (
        (where.provider is None or instance.provider.key in where.provider)
        and (where.instance is None or instance.name in where.instance)
        and (where.ids is None or any(name == instance.name for name, _ in where.ids))
        and not any(value == () for value in conditions(where).values())
    )


def moves(where: Filter) -> bool:
    """Whether the same rows may meet the filter now and not later."""
    return where.overdue is not None or (where.not_ is not None and moves(where.not_))


PRUNING = frozenset({"provider", "instance"})
"""Conditions that are met by all rows of an instance or by none."""


def left(where: Filter, narrowing: Narrowing) -> frozenset[str]:
    """The names of the conditions that are not already met by the lists that are read."""
    told = {"workspace_id", "environment"} & narrowing.conditions if narrowing.parts is not None else frozenset[str]()
    return frozenset(conditions(where)) - PRUNING - told


def masks(where: Filter, table: Table, instance: Instance, now: dt.datetime) -> Masks:
    """The rows of a table of this instance that meet each condition."""
    return {name: _met(name, value, table, instance, now) for name, value in conditions(where).items()}


def joined(met: Masks, start: Mask) -> Mask:
    """The rows that meet all of these."""
    for mask in met.values():
        start &= mask
    return start


def _met(name: str, value: Any, table: Table, instance: Instance, now: dt.datetime) -> Mask:
    match name:
        case "provider":
            return table.all if instance.provider.key in value else 0
        case "instance":
            return table.all if instance.name in value else 0
        case "overdue":
            at = microseconds(now) or 0
            column = table.column("due", lambda row: microseconds(due_at(row)))
            return table.mask((due is not None and due < at) is value for due in column)
        case "not_":
            return table.all ^ joined(masks(value, table, instance, now), table.all)
        case _:
            return table.kept((name, value), lambda: CONDITIONS[name](table, name, value))


def _one_of(table: Table, name: str, wanted: Any) -> Mask:
    return table.mask(map(frozenset(wanted).__contains__, table.column(name, COLUMNS[name])))


def _alike(table: Table, name: str, wanted: Any) -> Mask:
    """One of some texts, whatever its case and accents."""
    column = table.column(name, COLUMNS[name])
    sought = frozenset(map(folded, wanted))
    texts = {text for text in set(column) if text is not None and folded(text) in sought}
    return table.mask(map(texts.__contains__, column))


def _is(table: Table, name: str, wanted: Any) -> Mask:
    return table.mask(value is wanted for value in table.column(name, COLUMNS[name]))


def _any_of(table: Table, name: str, wanted: Any) -> Mask:
    sought = frozenset(wanted)
    return table.mask(not sought.isdisjoint(values) for values in table.column(name, COLUMNS[name]))


def _within(table: Table, name: str, period: Period) -> Mask:
    since, before = microseconds(period.since), microseconds(period.before)
    return table.mask(
        at is not None and (since is None or since <= at) and (before is None or at < before)
        for at in table.column(name, COLUMNS[name])
    )


def _text(table: Table, _: str, wanted: str) -> Mask:
    sought = folded(wanted.strip())
    return table.mask(sought in text for text in table.column("text", _haystack))


def _ids(table: Table, _: str, wanted: Any) -> Mask:
    native_ids = {native_id for name, native_id in wanted if name == table.instance}
    return table.mask(row.native_id in native_ids for row in table.rows)


def _haystack(row: Connection) -> str:
    """All that a text is looked for in, folded, and kept apart by what no text that is sent can hold."""
    ends = (end for end in (row.source, row.destination) if end is not None)
    texts = (row.name, row.description, row.external_ref, *(text for end in ends for text in (end.name, end.type)))
    return "\udfff".join(folded(text) for text in texts if text)


COLUMNS: Mapping[str, Callable[[Connection], Any]] = {
    "status": lambda row: row.status,
    "enabled": lambda row: row.enabled,
    "running": lambda row: row.running,
    "workspace_id": lambda row: row.workspace_id,
    "environment": lambda row: row.environment,
    "source_id": lambda row: row.source and row.source.id,
    "source_name": lambda row: row.source and row.source.name,
    "source_type": lambda row: row.source and row.source.type,
    "destination_id": lambda row: row.destination and row.destination.id,
    "destination_name": lambda row: row.destination and row.destination.name,
    "destination_type": lambda row: row.destination and row.destination.type,
    "category": lambda row: row.categories,
    "permission": lambda row: row.permissions,
    "schedule_type": lambda row: row.schedule and row.schedule.type,
    "schema_change": lambda row: row.schema_change,
    "created_at": lambda row: microseconds(row.created_at),
    "updated_at": lambda row: microseconds(row.updated_at),
    "last_run_at": lambda row: microseconds(row.last_run and row.last_run.started_at),
    "last_healthy_at": lambda row: microseconds(row.last_healthy_at),
}
"""What each condition looks at."""

ALIKE = frozenset({"source_name", "source_type", "destination_name", "destination_type"})
"""Conditions for which texts are one where only their case and accents differ: upstreams spell the same kind of system
each in its own way."""

CONDITIONS: Mapping[str, Callable[[Table, str, Any], Mask]] = {
    "text": _text,
    "ids": _ids,
    "enabled": _is,
    "running": _is,
    **dict.fromkeys(("category", "permission"), _any_of),
    **dict.fromkeys(("created_at", "updated_at", "last_run_at", "last_healthy_at"), _within),
    **dict.fromkeys(ALIKE, _alike),
    **dict.fromkeys(
        ("status", "workspace_id", "environment", "source_id", "destination_id", "schedule_type", "schema_change"),
        _one_of,
    ),
}
"""How each condition is met."""
