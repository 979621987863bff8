"""Rows completed with what lists do not hold, kept for as long as completing them again would bring the same: whoever
asks for a page again is given the very objects, and with them all that was derived of these."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from adapters.errors import AdapterError
from adapters.model import Connection
from adapters.port import Completed, Fields
from gateway.instances import Instance

KEPT = 5_000
"""Rows; when there are as many, they are all forgotten."""


class _Kept(NamedTuple):
    """``row`` is held, so that no other can be taken for it."""

    row: Connection
    completed: Connection
    good_until: float


class Completions:
    """The rows that were completed lately."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, Fields], _Kept] = {}

    def known(self, row: Connection, fields: Fields) -> Connection | None:
        """A row with what it lacks of these field paths, where that takes no lookup; None where it may."""
        kept = self._kept.get((id(row), fields))
        return kept.completed if kept is not None and kept.good_until > time.monotonic() else None

    def good_until(self, row: Connection, fields: Fields, completed: Connection) -> float | None:
        """Until when, by the monotonic clock, this would come of a row; None where that is not known."""
        kept = self._kept.get((id(row), fields))
        return kept.good_until if kept is not None and kept.completed is completed else None

    async def of(self, instance: Instance, rows: Sequence[Connection], fields: Fields) -> Completed | AdapterError:
        """Rows of an instance with what they lack of these field paths, or the error in place of all of them."""
        if not instance.adapter.adds(fields):
            return Completed(tuple(rows))
        now = time.monotonic()
        known = {id(row): kept for row in rows if (kept := self._kept.get((id(row), fields))) is not None}
        good = {at: kept.completed for at, kept in known.items() if kept.good_until > now}
        lacking = [row for row in rows if id(row) not in good]
        if not lacking:
            return Completed(tuple([good[id(row)] for row in rows]))
        answer = await instance.ask(instance.adapter.complete(lacking, fields))
        if isinstance(answer, AdapterError):
            return answer
        for row, completed in zip(lacking, answer.connections, strict=True):
            before = known.get(id(row))
            good[id(row)] = before.completed if before is not None and before.completed == completed else completed
        if answer.good_until > now:
            self._keep(lacking, fields, good, answer.good_until)
        return Completed(tuple([good[id(row)] for row in rows]), answer.failures)

    def _keep(self, rows: Sequence[Connection], fields: Fields, good: Mapping[int, Connection], until: float) -> None:
        if len(self._kept) + len(rows) > KEPT:
            self._kept.clear()
        if len(rows) <= KEPT:
            self._kept.update({(id(row), fields): _Kept(row, good[id(row)], until) for row in rows})
