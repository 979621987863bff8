"""Airbyte's words as one status: every row of the table, in its order, with its evidence."""

import datetime as dt
import itertools

import pytest

from adapters.airbyte import convert, wire
from adapters.model import ConnectionStatus, ReasonCode, RunStatus, SchemaChange

STATUSES = ("active", "inactive", "locked", "deprecated", "archived", "", None)
JOBS = ("pending", "queued", "running", "incomplete", "failed", "succeeded", "cancelled", "paused", "", None)
CHANGES = ("no_change", "non_breaking", "breaking", "shaken", None)
STARTED = 1678440000
STARTED_AT = dt.datetime(2023, 3, 10, 9, 20, tzinfo=dt.UTC)


def row(
    status: str | None = "active",
    job: str | None = "succeeded",
    change: str | None = "no_change",
    syncing: bool | None = False,
    started: float | None = STARTED,
) -> wire.ListItem:
    return wire.ListItem(
        connection_id="x",
        status=status,
        latest_sync_job_status=job,
        schema_change=change,
        is_syncing=syncing,
        latest_sync_job_created_at=started,
    )


def by_the_table(
    status: str | None, job: str | None, change: str | None, syncing: bool | None, started: float | None
) -> str:
    """The table of the design, row by row: the first that applies."""
    table = (
        ("DELETED", status == "deprecated"),
        ("PAUSED", status in ("inactive", "locked")),
        ("UNKNOWN", status != "active"),
        ("QUEUED", job in ("pending", "queued")),
        ("RUNNING", syncing or job == "running"),
        ("FAILING", job == "failed"),
        ("DEGRADED", job in ("incomplete", "cancelled") or change == "breaking"),
        ("HEALTHY", job == "succeeded"),
        ("NEVER_RAN", not job and started is None),
        ("UNKNOWN", True),
    )
    return next(name for name, applies in table if applies)


@pytest.mark.parametrize("status", STATUSES)
def test_the_status_is_the_first_row_of_the_table_that_applies(status: str | None):
    for given in itertools.product(JOBS, CHANGES, (True, False, None), (STARTED, None)):
        got, reason = convert.status(row(status, *given))
        assert got.value == by_the_table(status, *given), (status, *given)
        assert reason.message


@pytest.mark.parametrize(
    ("given", "status", "code", "decided", "dated"),
    [
        (row(status="deprecated"), "DELETED", "DELETED_UPSTREAM", ("status", "deprecated"), False),
        (row(status="inactive", syncing=True), "PAUSED", "DISABLED", ("status", "inactive"), False),
        (row(status="locked", job="failed"), "PAUSED", "LOCKED", ("status", "locked"), False),
        (row(status="archived", job="failed"), "UNKNOWN", "UNKNOWN_WORD", ("status", "archived"), False),
        (row(job="pending", syncing=True), "QUEUED", "RUN_QUEUED", ("latestSyncJobStatus", "pending"), True),
        (row(job="queued"), "QUEUED", "RUN_QUEUED", ("latestSyncJobStatus", "queued"), True),
        (row(job="failed", syncing=True), "RUNNING", "RUN_IN_PROGRESS", ("isSyncing", "true"), True),
        (row(job="running"), "RUNNING", "RUN_IN_PROGRESS", ("latestSyncJobStatus", "running"), True),
        (row(job="failed", change="breaking"), "FAILING", "LAST_RUN_FAILED", ("latestSyncJobStatus", "failed"), True),
        (row(job="incomplete"), "DEGRADED", "LAST_RUN_INCOMPLETE", ("latestSyncJobStatus", "incomplete"), True),
        (row(job="cancelled"), "DEGRADED", "LAST_RUN_CANCELLED", ("latestSyncJobStatus", "cancelled"), True),
        (row(change="breaking"), "DEGRADED", "BREAKING_SCHEMA_CHANGE", ("schemaChange", "breaking"), False),
        (row(job=None, change="breaking"), "DEGRADED", "BREAKING_SCHEMA_CHANGE", ("schemaChange", "breaking"), False),
        (row(), "HEALTHY", "LAST_RUN_SUCCEEDED", ("latestSyncJobStatus", "succeeded"), True),
        (row(job=None, started=None), "NEVER_RAN", "NO_RUN_YET", ("latestSyncJobStatus", None), False),
        (row(job="paused"), "UNKNOWN", "UNKNOWN_WORD", ("latestSyncJobStatus", "paused"), True),
        (row(job=None), "UNKNOWN", "UNKNOWN_WORD", ("latestSyncJobStatus", None), True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_status_has_the_field_and_the_word_that_decided(
    given: wire.ListItem, status: str, code: str, decided: tuple[str, str | None], dated: bool
):
    got, reason = convert.status(given)
    assert (got, reason.code) == (ConnectionStatus(status), ReasonCode(code))
    assert (reason.field, reason.raw_value) == decided
    assert reason.since == (STARTED_AT if dated else None)


@pytest.mark.parametrize(
    ("status", "enabled"), [("active", True), ("inactive", False), ("locked", False), ("archived", False), (None, None)]
)
def test_only_an_active_connection_is_enabled(status: str | None, enabled: bool | None):
    given = convert.connection(row(status=status), instance="a", workspace_id="w", web_url="https://x")
    assert given.enabled is enabled


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("no_change", SchemaChange.NO_CHANGE),
        ("non_breaking", SchemaChange.NON_BREAKING),
        ("breaking", SchemaChange.BREAKING),
        ("shaken", SchemaChange.UNKNOWN),
        ("", None),
        (None, None),
    ],
)
def test_a_schema_change_is_one_of_our_words(word: str | None, expected: SchemaChange | None):
    given = convert.connection(row(change=word), instance="a", workspace_id="w", web_url="https://x")
    assert given.schema_change is expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("pending", RunStatus.QUEUED),
        ("queued", RunStatus.QUEUED),
        ("running", RunStatus.RUNNING),
        ("incomplete", RunStatus.INCOMPLETE),
        ("failed", RunStatus.FAILED),
        ("succeeded", RunStatus.SUCCEEDED),
        ("cancelled", RunStatus.CANCELLED),
        ("paused", RunStatus.UNKNOWN),
        (None, RunStatus.UNKNOWN),
    ],
)
def test_the_last_run_says_how_its_job_stands(word: str | None, expected: RunStatus):
    run = convert.last_run(row(job=word))
    assert run is not None
    assert (run.status, run.started_at, run.id) == (expected, STARTED_AT, None)


def test_without_a_job_there_is_no_last_run():
    assert convert.last_run(row(job=None, started=None)) is None
    assert convert.last_run(row(job="", started=None)) is None


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
        (1678440000.5, dt.datetime(2023, 3, 10, 9, 20, 0, 500_000, tzinfo=dt.UTC)),
        (4_102_444_800, dt.datetime(2100, 1, 1, tzinfo=dt.UTC)),
        (-3_786_825_600, dt.datetime(1850, 1, 1, tzinfo=dt.UTC)),
        (2**63 - 1, None),
        (-(2**63), None),
        (-9007199254740991, None),
        (1e300, None),
    ],
)
def test_epochs_are_seconds_and_what_no_date_can_hold_is_none(epoch: float, expected: dt.datetime | None):
    run = convert.last_run(row(started=epoch))
    assert run is not None
    assert run.started_at == expected
