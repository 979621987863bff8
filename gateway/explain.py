"""Explanations: which upstream calls a request made, or would make, and what was done with their answers here."""

import datetime as dt
import enum
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from adapters.port import LIST_FIELDS, Filter, List, Narrowing, Work
from adapters.transport import Call
from gateway import filters
from gateway.instances import Instance


class Mode(enum.StrEnum):
    """What is explained: the calls that were made, or, with nothing executed, those that would be."""

    CALLS = "CALLS"
    PLAN = "PLAN"


class How(enum.StrEnum):
    """How the rows of a list were come by."""

    SNAPSHOT = "SNAPSHOT"
    """From memory."""
    READ = "READ"
    """Read whole, now."""
    PAGE = "PAGE"
    """One page of it, in the order asked for."""
    STALE = "STALE"
    """From memory, because reading failed."""


class ListRead(NamedTuple):
    """How the rows of a list were come by, and what of a filter its upstream did."""

    instance: str
    of: List
    how: How
    rows: int
    as_of: dt.datetime | None
    where: Filter
    narrowing: Narrowing


Note: TypeAlias = Callable[[ListRead], None]
"""Where the rooms that read lists tell how, where somebody wants to know."""


class Explanation:
    """What is told of one request."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self._calls: list[Call] = []
        self._lists: list[dict[str, Any]] = []
        self._planned: dict[str, tuple[Instance, Work]] = {}

    @property
    def is_plan(self) -> bool:
        """Whether nothing is to be executed."""
        return self.mode is Mode.PLAN

    def called(self, call: Call) -> None:
        """A hook for transports: take note of a call."""
        self._calls.append(call)

    def read(self, field: str, read: "ListRead") -> None:
        """Take note of how a field came by the rows of a list."""
        of, narrowing = read.of, read.narrowing
        used = narrowing.conditions if of.narrowed else narrowing.conditions & {"workspace_id", "environment"}
        self._lists.append(
            {
                "field": field,
                "instance": read.instance,
                "part": of.part or None,
                "from": read.how,
                "rows": read.rows,
                "asOf": read.as_of and read.as_of.isoformat(),
                "orderedUpstream": read.how is How.PAGE,
                "filteredUpstream": sorted(map(filters.spelled, used)),
                "filteredHere": sorted(map(filters.spelled, filters.left(read.where, narrowing))),
            }
        )

    def plan(self, instance: Instance, work: Work) -> None:
        """Take note of work that would be done, beside what other fields need of the same instance."""
        _, before = self._planned.get(instance.name, (instance, Work()))
        wanted = {id: before.wanted.get(id, LIST_FIELDS) | fields for id, fields in work.wanted.items()}
        both = Work(_wider(before.lists, work.lists), before.fields | work.fields, {**before.wanted, **wanted})
        self._planned[instance.name] = instance, both

    def told(self) -> Mapping[str, Any]:
        """The explanation as it stands in the answer's extensions."""
        if self.is_plan:
            return {"mode": self.mode, "calls": [call for plan in self._planned.values() for call in _calls(*plan)]}
        return {"mode": self.mode, "calls": [_call(call) for call in self._calls], "lists": self._lists}


def _wider(one: Narrowing | None, other: Narrowing | None) -> Narrowing | None:
    """The lists that both of two fields need."""
    if one is None or other is None:
        return one or other
    return Narrowing(None if one.parts is None or other.parts is None else one.parts | other.parts)


def _calls(instance: Instance, work: Work) -> Iterator[Mapping[str, Any]]:
    for request, times, why in instance.adapter.plan(work):
        yield {
            "instance": instance.name,
            "operation": request.operation,
            "method": request.method,
            "route": request.route,
            "times": times,
            "why": why or None,
        }


def _call(call: Call) -> Mapping[str, Any]:
    return {
        "instance": call.instance,
        "operation": call.operation,
        "method": call.method,
        "route": call.route,
        "status": call.status,
        "error": call.error,
        "durationMs": round(call.duration_s * 1000, 3),
        "bytes": call.size_bytes,
        "attempt": call.attempt,
        "batchSize": call.batch,
        "correlationId": call.correlation_id,
    }
