"""Whether a connection is as fresh as its schedule promises: the table of rules, and laws over anything."""

import datetime as dt
import inspect
from typing import Any

import pytest
import strawberry
from hypothesis import given
from hypothesis import strategies as st

from adapters.airbyte.demo import AirbyteImitation, connection_id
from adapters.model import (
    Connection,
    ConnectionStatus,
    Cron,
    Interval,
    ReasonCode,
    Run,
    RunStatus,
    Schedule,
    ScheduleType,
    StatusReason,
    TimeUnit,
)
from gateway.freshness import Freshness, FreshnessState, due_at, freshness
from gateway.schema.records import object_type
from gateway.schema.scalars import CONFIG
from tests.adapters.contracted import Rewritten
from tests.conftest import AIRBYTE
from tests.gateway.writing import own_fleet, quiet

NOON = dt.datetime(2026, 6, 3, 12, tzinfo=dt.UTC)  # a Wednesday
HOUR = dt.timedelta(hours=1)


def every(units: int = 6, unit: TimeUnit = TimeUnit.HOURS) -> Schedule:
    return Schedule(type=ScheduleType.BASIC, every=Interval(units=units, time_unit=unit), human_text="")


def cron(expression: str = "0 0 6 ? * MON-FRI", zone: str | None = "Europe/Berlin") -> Schedule:
    return Schedule(type=ScheduleType.CRON, cron=Cron(expression=expression, time_zone=zone), human_text="")


MANUAL = Schedule(type=ScheduleType.MANUAL, human_text="")


def run(status: RunStatus, started_at: dt.datetime | None = NOON, ended_at: dt.datetime | None = None) -> Run:
    return Run(status=status, started_at=started_at, ended_at=ended_at)


def connection(
    schedule: Schedule | None,
    last_run: Run | None = None,
    *,
    status: ConnectionStatus = ConnectionStatus.HEALTHY,
    enabled: bool | None = True,
    created_at: dt.datetime | None = None,
    last_healthy_at: dt.datetime | None = None,
) -> Connection:
    return Connection(
        id="id",
        instance="instance",
        provider="provider",
        native_id="1",
        status=status,
        status_reason=StatusReason(code=ReasonCode.LAST_RUN_SUCCEEDED, message=""),
        schedule=schedule,
        last_run=last_run,
        enabled=enabled,
        created_at=created_at,
        last_healthy_at=last_healthy_at,
    )


SUCCEEDED = run(RunStatus.SUCCEEDED, NOON, NOON + HOUR)


@pytest.mark.parametrize(
    "given",
    [
        connection(None, SUCCEEDED),
        connection(MANUAL, SUCCEEDED),
        connection(every(), SUCCEEDED, enabled=False),
        connection(cron(), SUCCEEDED, status=ConnectionStatus.PAUSED),
        connection(cron("nonsense"), SUCCEEDED, status=ConnectionStatus.DELETED),
    ],
)
def test_where_nothing_runs_by_itself_nothing_is_expected(given: Connection):
    assert due_at(given) is None
    assert freshness(given, NOON + 999 * HOUR) == Freshness(
        state=FreshnessState.NOT_EXPECTED, last_success_at=NOON + HOUR
    )


@pytest.mark.parametrize(
    ("last_run", "healthy_at", "expected"),
    [
        (SUCCEEDED, NOON + 9 * HOUR, NOON + HOUR),
        (run(RunStatus.SUCCEEDED), None, NOON),
        (run(RunStatus.SUCCEEDED, None), NOON, NOON),
        (run(RunStatus.FAILED), NOON - HOUR, NOON - HOUR),
        (run(RunStatus.FAILED, NOON, NOON + HOUR), None, None),
        (run(RunStatus.RUNNING), None, None),
        (None, NOON, NOON),
        (None, None, None),
    ],
)
def test_the_last_success_is_that_of_the_latest_run_or_of_a_health_check(
    last_run: Run | None, healthy_at: dt.datetime | None, expected: dt.datetime | None
):
    for schedule in (None, every(), cron()):
        assert freshness(connection(schedule, last_run, last_healthy_at=healthy_at), NOON).last_success_at == expected


@pytest.mark.parametrize(
    ("schedule", "last_run", "created_at", "due"),
    [
        (every(), SUCCEEDED, None, NOON + 6 * HOUR),
        (every(), run(RunStatus.QUEUED), None, NOON + 6 * HOUR),
        (every(), run(RunStatus.RUNNING), None, NOON + 6 * HOUR),
        (every(), run(RunStatus.FAILED), None, NOON),
        (every(), run(RunStatus.CANCELLED), None, NOON),
        (every(), run(RunStatus.INCOMPLETE, NOON, NOON + HOUR), None, NOON),
        (every(), run(RunStatus.SUCCEEDED, None, NOON), None, NOON + 6 * HOUR),
        (every(), run(RunStatus.UNKNOWN), NOON, None),
        (every(), run(RunStatus.SUCCEEDED, None), NOON, None),
        (every(), run(RunStatus.FAILED, None), NOON, None),
        (every(), None, NOON, NOON + 6 * HOUR),
        (every(), None, None, None),
        (cron(), SUCCEEDED, None, NOON + 16 * HOUR),
        (cron(), run(RunStatus.RUNNING), None, NOON + 16 * HOUR),
        (cron(), run(RunStatus.SUCCEEDED, NOON + 48 * HOUR), None, NOON + 5 * 24 * HOUR - 8 * HOUR),  # over the weekend
        (cron(), run(RunStatus.FAILED), None, NOON),
        (cron(), None, NOON, NOON + 16 * HOUR),
        (cron(), None, None, None),
    ],
)
def test_the_due_moment_follows_from_the_latest_run(
    schedule: Schedule, last_run: Run | None, created_at: dt.datetime | None, due: dt.datetime | None
):
    assert due_at(connection(schedule, last_run, created_at=created_at)) == due


@pytest.mark.parametrize(
    ("last_run", "after", "state", "overdue_by"),
    [
        (SUCCEEDED, 6 * HOUR, FreshnessState.FRESH, None),
        (SUCCEEDED, 6 * HOUR + dt.timedelta(milliseconds=1), FreshnessState.OVERDUE, 0),
        (SUCCEEDED, 7 * HOUR, FreshnessState.OVERDUE, 3600),
        (run(RunStatus.QUEUED), HOUR, FreshnessState.RUNNING, None),
        (run(RunStatus.RUNNING), 6 * HOUR, FreshnessState.RUNNING, None),
        (run(RunStatus.RUNNING), 8 * HOUR, FreshnessState.OVERDUE, 7200),
        (run(RunStatus.FAILED), HOUR, FreshnessState.OVERDUE, 3600),
        (run(RunStatus.UNKNOWN), HOUR, FreshnessState.UNKNOWN, None),
        (None, HOUR, FreshnessState.FRESH, None),
        (None, 7 * HOUR, FreshnessState.OVERDUE, 3600),
    ],
)
def test_the_state_is_overdue_only_after_the_due_moment(
    last_run: Run | None, after: dt.timedelta, state: FreshnessState, overdue_by: int | None
):
    told = freshness(connection(every(), last_run, created_at=NOON), NOON + after)
    assert (told.state, told.overdue_by_seconds, told.expected_every_seconds) == (state, overdue_by, 6 * 3600)


@pytest.mark.parametrize(
    ("schedule", "expected_s"),
    [
        (every(5, TimeUnit.MINUTES), 300),
        (every(1, TimeUnit.DAYS), 86_400),
        (every(2, TimeUnit.WEEKS), 14 * 86_400),
        (every(1, TimeUnit.MONTHS), 30 * 86_400),
        (cron(), 86_400),
        (cron("0 0 6 ? * WED"), 7 * 86_400),
    ],
)
def test_an_interval_is_told_in_seconds(schedule: Schedule, expected_s: int):
    assert freshness(connection(schedule, SUCCEEDED), NOON).expected_every_seconds == expected_s
    assert freshness(connection(schedule), NOON).expected_every_seconds == expected_s  # around now, where nothing ran


@pytest.mark.parametrize("last_run", [SUCCEEDED, run(RunStatus.FAILED), run(RunStatus.RUNNING), None])
@pytest.mark.parametrize(
    "schedule",
    [
        every(6, TimeUnit.UNKNOWN),
        every(0),
        every(-1),
        Schedule(type=ScheduleType.BASIC, human_text=""),
        Schedule(type=ScheduleType.CRON, human_text=""),
        Schedule(type=ScheduleType.UNKNOWN, human_text=""),
        cron("nonsense"),
        cron(zone="Nowhere"),
    ],
)
def test_a_schedule_that_cannot_be_read_leaves_it_unknown(schedule: Schedule, last_run: Run | None):
    given = connection(schedule, last_run, created_at=NOON)
    told = freshness(given, NOON + 999 * HOUR)
    assert due_at(given) is None
    assert (told.state, told.overdue_by_seconds, told.expected_every_seconds) == (FreshnessState.UNKNOWN, None, None)


@pytest.mark.parametrize("units", [2**31, 2**62])
def test_an_interval_that_no_calendar_holds_leaves_it_unknown(units: int):
    assert freshness(connection(every(units, TimeUnit.MONTHS), SUCCEEDED), NOON).state is FreshnessState.UNKNOWN


MOMENTS = st.datetimes(timezones=st.just(dt.UTC))
INTERVALS = st.builds(
    Interval, units=st.integers(-(2**62), 2**62) | st.integers(-2, 99), time_unit=st.sampled_from(TimeUnit)
)
CRONS = st.builds(
    Cron,
    expression=st.text(max_size=20)
    | st.sampled_from(["0 0 6 * * ?", "0 0/5 * * * ?", "0 0 0 30 2 ?", "0 0 6 L-3W * ? 2030"]),
    time_zone=st.sampled_from([None, "Europe/Berlin", "Pacific/Kiritimati", "Nowhere"]),
)
SCHEDULES = st.builds(
    Schedule,
    type=st.sampled_from(ScheduleType),
    every=st.none() | INTERVALS,
    cron=st.none() | CRONS,
    human_text=st.just(""),
)
RUNS = st.builds(run, st.sampled_from(RunStatus), st.none() | MOMENTS, st.none() | MOMENTS)
CONNECTIONS = st.builds(
    connection,
    st.none() | SCHEDULES,
    st.none() | RUNS,
    status=st.sampled_from(ConnectionStatus),
    enabled=st.sampled_from([None, True, False]),
    created_at=st.none() | MOMENTS,
    last_healthy_at=st.none() | MOMENTS,
)


@given(CONNECTIONS, MOMENTS)
def test_nothing_raises_and_the_parts_agree(given: Connection, now: dt.datetime):
    due, told = due_at(given), freshness(given, now)
    assert (told.state is FreshnessState.OVERDUE) == (due is not None and now > due)
    assert (told.overdue_by_seconds is not None) == (told.state is FreshnessState.OVERDUE)
    assert told.overdue_by_seconds is None or told.overdue_by_seconds >= 0
    assert (due is None) == (told.state in (FreshnessState.UNKNOWN, FreshnessState.NOT_EXPECTED))
    assert told.expected_every_seconds is None or told.expected_every_seconds > 0
    assert told.state is not FreshnessState.NOT_EXPECTED or told.expected_every_seconds is None


def test_its_graphql_type_is_described_from_end_to_end():
    @strawberry.type
    class Query:
        freshness: object_type(Freshness)  # pyright: ignore[reportInvalidTypeForm]

    sdl = strawberry.Schema(Query, config=CONFIG).as_str()
    assert "expectedEverySeconds: Float" in sdl
    assert "state: FreshnessState!" in sdl
    assert str(inspect.getdoc(Freshness)) in sdl
    assert all(word.description in sdl for word in FreshnessState)


LEGACY = {"schedule": {"units": 24, "timeUnit": "hours"}}


async def test_of_a_schedule_that_a_list_does_not_tell_nothing_is_claimed_and_the_full_record_tells_it():
    clock = quiet()
    server = AirbyteImitation(clock=clock)
    whole, id = server.app, connection_id(0)
    server.app = Rewritten(
        whole, "/connections/list", lambda body: {"connections": list(map(_old, body["connections"]))}
    )
    server.app = Rewritten(server.app, "/connections/get", lambda row: _old(row) | LEGACY)
    shown = "schedule { type humanText } freshness { state expectedEverySeconds }"
    query = f"""query ($ref: ConnectionRef!) {{
      connections(first: 100) {{ nodes {{ nativeId enabled {shown} }} }}
      overdue: connections(filter: {{ overdue: true }}) {{ totalCount }}
      connection(ref: $ref) {{ {shown} }}
    }}"""
    async with own_fleet(clock, servers={AIRBYTE: server}) as fleet:
        data = await fleet.data(query, {"ref": {"instance": AIRBYTE, "nativeId": id}})
    listed = {row["nativeId"]: row for row in data["connections"]["nodes"]}
    assert {row["schedule"]["type"] for row in listed.values()} == {"UNKNOWN"}
    assert {row["freshness"]["state"] for row in listed.values() if row["enabled"]} == {"UNKNOWN"}
    assert {row["freshness"]["state"] for row in listed.values() if not row["enabled"]} == {"NOT_EXPECTED"}
    assert data["overdue"]["totalCount"] == 0
    assert data["connection"]["schedule"] == {"type": "BASIC", "humanText": "Every 24 hours"}
    assert data["connection"]["freshness"]["expectedEverySeconds"] == 86_400


def _old(row: dict[str, Any]) -> dict[str, Any]:
    """A row of which only its legacy form would tell the schedule."""
    return {name: value for name, value in row.items() if name not in ("scheduleType", "scheduleData")}
