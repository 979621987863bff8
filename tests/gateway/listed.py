"""Hand-written adapters over rows in memory, for tests of the rooms that merge, sort, filter and keep lists; and those
rows, made up from a seed.
"""

import asyncio
import datetime as dt
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from adapters import ids
from adapters.errors import AdapterError, Rejected
from adapters.model import (
    Connection,
    ConnectionStatus,
    Endpoint,
    Interval,
    ReasonCode,
    Run,
    RunStatus,
    Schedule,
    ScheduleType,
    SchemaChange,
    StatusReason,
    TimeUnit,
)
from adapters.port import (
    Completed,
    Fields,
    Filter,
    Found,
    List,
    Narrowing,
    Order,
    Page,
    Planned,
    Reader,
    Single,
    Work,
    wants,
)
from gateway.instances import Instance, Instances
from gateway.schema.providers import PROVIDERS

NOON = dt.datetime(2026, 6, 3, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
REASON = StatusReason(code=ReasonCode.NO_RUN_YET, message="It has never run.")

NAMES = (
    None,
    "",
    "alpha",
    "Alpha",
    "ALPHA",
    "älpha",
    "alphabet",
    "beta",
    "Beta",
    "Éclair",
    "eclair",
    "Zebra",
    "zebra",
    "straße",
    "STRASSE",
    "会計",
    "Ωmega",
    "_",
    "🚀",
)
"""Equal but for case and accents, equal altogether, missing, empty, and in other scripts."""
MOMENTS = (None, *(NOON - number * HOUR for number in range(6)), NOON + dt.timedelta(microseconds=1))
ENDS = (
    None,
    Endpoint(id="pg", name="Postgres", type="postgres"),
    Endpoint(id="s3", type="S3"),
    Endpoint(id="sf", name="snöwflake", type="warehouse"),
    Endpoint(name="", type="postgres"),
    Endpoint(),
)
SCHEDULES = (
    None,
    Schedule(type=ScheduleType.MANUAL, human_text=""),
    Schedule(type=ScheduleType.BASIC, every=Interval(units=2, time_unit=TimeUnit.HOURS), human_text=""),
    Schedule(type=ScheduleType.BASIC, every=Interval(units=5, time_unit=TimeUnit.HOURS), human_text=""),
)
RUN_STATUSES = (RunStatus.SUCCEEDED, RunStatus.RUNNING)

Sort: TypeAlias = Callable[[Sequence[Connection], Order], Sequence[Connection]]
"""How an upstream sorts when it is asked to."""


def drawn(seed: int) -> random.Random:
    """Chance that is the same for the same seed."""
    return random.Random(seed)  # noqa: S311  nothing here is a secret


def connection(instance: str = "a", native_id: str = "1", **attributes: Any) -> Connection:
    """A row of which only what matters need be said."""
    told: dict[str, Any] = {"provider": "airbyte", "status": ConnectionStatus.HEALTHY, "status_reason": REASON}
    return Connection(
        id=ids.encode(instance, native_id), instance=instance, native_id=native_id, **{**told, **attributes}
    )


def some(rng: random.Random, instance: str, native_id: str, **attributes: Any) -> Connection:
    """A row with something, or nothing, in whatever rows are sorted and filtered by."""
    started = rng.choice(MOMENTS)
    run = Run(status=rng.choice(RUN_STATUSES), started_at=started) if rng.random() < 0.8 else None
    told: dict[str, Any] = {
        "name": rng.choice(NAMES),
        "description": rng.choice((None, "Feeds the Ledger", "feeds nothing")),
        "status": rng.choice(tuple(ConnectionStatus)),
        "enabled": rng.choice((None, True, False)),
        "running": rng.choice((None, True, False)),
        "source": rng.choice(ENDS),
        "destination": rng.choice(ENDS),
        "schedule": rng.choice(SCHEDULES),
        "last_run": run,
        "created_at": rng.choice(MOMENTS),
        "updated_at": rng.choice(MOMENTS),
        "last_healthy_at": rng.choice(MOMENTS),
        "environment": rng.choice((None, "Production", "Staging")),
        "external_ref": rng.choice((None, "Käufer-7")),
        "categories": rng.choice(((), ("crm",), ("crm", "hris"), ("hris", "ats"))),
        "permissions": rng.choice(((), ("read",), ("read", "write"))),
        "schema_change": rng.choice((None, *SchemaChange)),
    }
    return connection(instance, native_id, **{**told, **attributes})


class Listed:
    """An adapter whose upstream holds ``lists`` by part, in the order in which they stand there.

    ``page`` is how many rows it gives at once. ``sort`` is how it sorts when asked to; without one it cannot.
    ``is_counted`` says that the token of any page is known before the pages in front of it. It narrows to parts by
    workspace, and to what is enabled. ``lacks_names`` leaves names out of lists. ``doubles`` sends every third row
    twice, ``repeats`` the second page for ever. ``failing`` is raised by whatever reads a list; while ``gate`` is
    closed, reads wait at it. ``reads`` are the lists and tokens that were read.
    """

    transport: Any = None

    def __init__(
        self,
        instance: str,
        lists: Mapping[str, Sequence[Connection]],
        *,
        page: int = 1000,
        sort: Sort | None = None,
        is_counted: bool = False,
        lacks_names: bool = False,
        doubles: bool = False,
        repeats: bool = False,
    ) -> None:
        self.instance = instance
        self.lists = {part: list(rows) for part, rows in lists.items()}
        self.page = page
        self.sort = sort
        self.is_counted = is_counted
        self.lacks_names = lacks_names
        self.doubles = doubles
        self.repeats = repeats
        self.failing: AdapterError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.reads: list[tuple[List, str | None]] = []
        self.completed = 0

    @property
    def rows(self) -> list[Connection]:
        """All rows, each once."""
        return list({row.native_id: row for rows in self.lists.values() for row in rows}.values())

    async def parts(self) -> Sequence[str]:
        return tuple(self.lists)

    def narrow(self, where: Filter) -> Narrowing:
        parts = None if where.workspace_id is None else frozenset(where.workspace_id)
        asked = (("enabled", "true"),) * (where.enabled is True)
        used = ["workspace_id"] * (parts is not None) + ["enabled"] * len(asked)
        return Narrowing(parts, asked, frozenset(used))

    def sorts(self, order: Order) -> bool:
        return self.sort is not None

    async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
        self.reads.append((of, after))
        rows = self._sent(of)  # as it is when it is asked
        await self.gate.wait()
        await asyncio.sleep(0)  # a real upstream never answers at once
        if self.failing is not None:
            raise self.failing
        page = self._page(rows, after)
        return last if last is not None and page == last else page

    def _page(self, rows: Sequence[Connection], after: str | None) -> Page:
        try:
            start = int(after or 0)
        except ValueError:
            raise Rejected("not a place in this list") from None
        at = self.page if self.repeats and start > self.page else start
        shown = tuple({row.native_id: row for row in rows[at : at + self.page]}.values())
        more = at + self.page < len(rows) or (self.repeats and start > 0 and bool(shown))
        if self.lacks_names:
            shown = tuple(msgspec.structs.replace(row, name=None) for row in shown)
        return Page(shown, str(start + self.page) if more else None, size_bytes=100 * len(shown))

    def _sent(self, of: List) -> Sequence[Connection]:
        rows: Sequence[Connection] = list(self.lists[of.part])
        if of.narrowed:
            rows = [row for row in rows if row.enabled is True]
        if of.order is not None and self.sort is not None:
            rows = self.sort(rows, of.order)
        return [row for place, row in enumerate(rows, 1) for _ in range(1 + (self.doubles and place % 3 == 0))]

    def ahead(self, token: str, pages: int) -> str | None:
        return str(int(token) + pages * self.page) if self.is_counted else None

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        self.completed += 1
        await asyncio.sleep(0)
        if self.lacks_names and wants(fields, "name"):
            names = {row.native_id: row.name for row in self.rows}
            connections = [msgspec.structs.replace(row, name=names.get(row.native_id)) for row in connections]
        return Completed(tuple(connections))

    def adds(self, fields: Fields) -> bool:
        return self.lacks_names and wants(fields, "name")

    def holds(self, fields: Fields) -> bool:
        return True

    def single(self, id: str, fields: Fields) -> Single | None:
        return None

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        raise NotImplementedError

    async def runs(self, connection: Connection, *, after: str | None, limit: int) -> Any:
        raise NotImplementedError

    def plan(self, work: Work) -> Sequence[Planned]:
        raise NotImplementedError


def instance_of(adapter: Listed) -> Instance:
    """The adapter as a configured instance. Its provider is that of its rows, or else the first."""
    provider = next((row.provider for row in adapter.rows), "airbyte")
    return Instance(adapter.instance, PROVIDERS[provider], adapter)


def instances_of(*adapters: Listed) -> Instances:
    """The adapters as configured instances, by name."""
    return {adapter.instance: instance_of(adapter) for adapter in adapters}
