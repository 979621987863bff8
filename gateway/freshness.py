"""Whether a connection brought data as recently as its schedule promises. Pure functions over the unified record.

========================== ============================== =====================================================
Schedule, connection       Latest run                     Due
========================== ============================== =====================================================
none or by hand; disabled, any                            never: nothing is expected (NOT_EXPECTED)
paused, deleted
unknown or unreadable      any                            unknown (UNKNOWN)
interval or cron           succeeded                      one interval after its start; for cron, the next fire
interval or cron           queued or running              likewise: one more interval is allowed (RUNNING)
interval or cron           failed, cancelled, incomplete  at its start: it was due then and brought nothing
interval or cron           unknown, or without a time     unknown (UNKNOWN)
interval or cron           there never was one            as if one had succeeded when the connection was created
========================== ============================== =====================================================

After the moment at which it is due a connection is OVERDUE; before, unless the table says otherwise, FRESH. That moment
depends on the record alone, so that an inventory can be sorted by it once and read at any time.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from adapters import quartz
from adapters.model import (
    Connection,
    ConnectionStatus,
    Cron,
    Interval,
    Record,
    RunStatus,
    Schedule,
    ScheduleType,
    TimeUnit,
    Word,
)

UNIT_S: Mapping[TimeUnit, int] = {
    TimeUnit.MINUTES: 60,
    TimeUnit.HOURS: 3600,
    TimeUnit.DAYS: 86_400,
    TimeUnit.WEEKS: 7 * 86_400,
    TimeUnit.MONTHS: 30 * 86_400,  # as a rule of thumb: upstreams do not say which day of the month they mean
}
IN_PROGRESS = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})
MISSED = frozenset({RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.INCOMPLETE})
SWITCHED_OFF = frozenset({ConnectionStatus.DELETED, ConnectionStatus.PAUSED})
SECOND = dt.timedelta(seconds=1)


class FreshnessState(Word):
    """Whether the latest data is as recent as the schedule promises."""

    FRESH = "FRESH", "The latest run succeeded and the next is not due yet; or none is due yet."
    RUNNING = "RUNNING", "A run waits or goes on, and has not taken longer than the interval between two runs."
    OVERDUE = (
        "OVERDUE",
        "Data was due and has not come: no run started in time, or it takes too long, or it did not end well.",
    )
    NOT_EXPECTED = "NOT_EXPECTED", "Nothing is due by itself: there is no schedule, or the connection is switched off."
    UNKNOWN = "UNKNOWN", "The schedule cannot be read, or the upstream does not tell enough of the latest run."


class Freshness(Record, frozen=True, kw_only=True):
    """How recent a connection's data is, and how recent its schedule promises it to be."""

    last_success_at: Annotated[
        dt.datetime | None,
        Meta(
            description="When the latest run ended, or started if its end is unknown, provided that it succeeded; "
            "else when a health check last passed. Null where the upstream tells of neither."
        ),
    ] = None
    expected_every_seconds: Annotated[
        float | None,
        Meta(
            description="Seconds between two runs by the schedule: of a cron expression, between its fires around the "
            "latest run. A month counts as 30 days. Null where nothing is expected or the schedule cannot be read."
        ),
    ] = None
    overdue_by_seconds: Annotated[
        float | None, Meta(description="Whole seconds since the data was due; null where it is not overdue.")
    ] = None
    state: Annotated[FreshnessState, Meta(description="Whether the data is as recent as the schedule promises.")]


def freshness(connection: Connection, now: dt.datetime) -> Freshness:
    """How fresh a connection is at a moment, by the table above. Raises nothing, whatever the record says."""
    if not _expected(connection):
        return Freshness(state=FreshnessState.NOT_EXPECTED, last_success_at=_last_success_at(connection))
    due = due_at(connection)
    return Freshness(
        state=_state(connection, due, now),
        last_success_at=_last_success_at(connection),
        expected_every_seconds=_every_s(connection.schedule, _base(connection) or now),
        overdue_by_seconds=float((now - due) // SECOND) if due is not None and now > due else None,
    )


def due_at(connection: Connection) -> dt.datetime | None:
    """When it becomes, or became, overdue, in UTC; None where nothing is expected or too little is known."""
    base = _base(connection)
    if base is None or not _expected(connection):
        return None
    following = _following(connection.schedule, base)
    missed = connection.last_run is not None and connection.last_run.status in MISSED
    return base if missed and following is not None else following


def _expected(connection: Connection) -> bool:
    """Whether runs are to start by themselves."""
    schedule = connection.schedule
    on = connection.enabled is not False and connection.status not in SWITCHED_OFF
    return on and schedule is not None and schedule.type is not ScheduleType.MANUAL


def _state(connection: Connection, due: dt.datetime | None, now: dt.datetime) -> FreshnessState:
    if due is None:
        return FreshnessState.UNKNOWN
    if now > due:
        return FreshnessState.OVERDUE
    run = connection.last_run
    return FreshnessState.RUNNING if run is not None and run.status in IN_PROGRESS else FreshnessState.FRESH


def _base(connection: Connection) -> dt.datetime | None:
    """The moment from which the next run is reckoned. Upstreams reckon it from the start of a run, not from its end."""
    run = connection.last_run
    if run is None:
        return connection.created_at
    return None if run.status is RunStatus.UNKNOWN else run.started_at or run.ended_at


def _last_success_at(connection: Connection) -> dt.datetime | None:
    """A list tells of the latest run only: whether an earlier one succeeded is not known where that one did not."""
    run = connection.last_run
    at = (run.ended_at or run.started_at) if run is not None and run.status is RunStatus.SUCCEEDED else None
    return at or connection.last_healthy_at


def _following(schedule: Schedule | None, base: dt.datetime) -> dt.datetime | None:
    """The first moment after ``base`` at which the schedule starts a run; None where that cannot be told."""
    match schedule:
        case Schedule(type=ScheduleType.BASIC, every=Interval() as every):
            return _later(base, _interval_s(every))
        case Schedule(type=ScheduleType.CRON, cron=Cron(expression=expression, time_zone=time_zone)):
            return quartz.next_fire(expression, time_zone, base)
        case _:
            return None


def _every_s(schedule: Schedule | None, around: dt.datetime) -> float | None:
    """Seconds between two runs; None where that cannot be told."""
    match schedule:
        case Schedule(type=ScheduleType.BASIC, every=Interval() as every):
            every_s = _interval_s(every)
            return None if every_s is None else float(every_s)
        case Schedule(type=ScheduleType.CRON, cron=Cron(expression=expression, time_zone=time_zone)):
            return quartz.interval_s(expression, time_zone, around)
        case _:
            return None


def _interval_s(every: Interval) -> int | None:
    unit_s = UNIT_S.get(every.time_unit)
    return None if unit_s is None or every.units < 1 else every.units * unit_s


def _later(moment: dt.datetime, by_s: int | None) -> dt.datetime | None:
    """A moment so many seconds later; None where no datetime can hold it."""
    try:
        return None if by_s is None else moment + dt.timedelta(seconds=by_s)
    except OverflowError:
        return None
