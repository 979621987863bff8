"""One status from Workiva's two sides, and times and texts as they come."""

import datetime as dt
from typing import Any

import msgspec
import pytest

from adapters import decode
from adapters.model import ConnectionStatus, ReasonCode, RunStatus
from adapters.workiva import convert, wire

WORDS = ("not_started", "running", "complete", "error", "cancelled", None, "", "paused", "COMPLETE")
KNOWN = WORDS[:5]
STARTED, ENDED = "2026-03-02T17:39:21.004Z", "2026-03-02T17:40:03.551Z"
STARTED_AT = dt.datetime(2026, 3, 2, 17, 39, 21, 4000, tzinfo=dt.UTC)
ENDED_AT = dt.datetime(2026, 3, 2, 17, 40, 3, 551_000, tzinfo=dt.UTC)


def by_the_design(source: str | None, destination: str | None) -> str:
    """The sentence of the design, clause by clause."""
    sides = [source, destination]
    if any(side == "error" for side in sides):
        return "FAILED"
    if any(side == "cancelled" for side in sides):
        return "CANCELLED"
    if all(side == "complete" for side in sides):
        return "SUCCEEDED"
    if all(side == "not_started" for side in sides):
        return "QUEUED"
    if all(side in KNOWN for side in sides):
        return "RUNNING"
    return "UNKNOWN"


def ran(source: str | None = "complete", destination: str | None = "complete", **more: Any) -> wire.Connection:
    run = wire.ConnectionRun(source_status=source, destination_status=destination, created=STARTED, updated=ENDED)
    return wire.Connection(connection_id="x", last_run=run, **more)


def read(**fields: Any) -> wire.Connection:
    return decode.whole(msgspec.json.encode({"connectionId": "x", **fields}), wire.Connection)


@pytest.mark.parametrize("source", WORDS)
@pytest.mark.parametrize("destination", WORDS)
def test_a_run_has_one_status_from_its_two_sides(source: str | None, destination: str | None):
    given = convert.connection(ran(source, destination), instance="a")
    assert given.last_run is not None
    expected = by_the_design(source, destination)
    assert given.last_run.status == expected
    assert given.running == (expected in ("QUEUED", "RUNNING"))
    assert (given.last_run.ended_at is not None) == (expected in ("FAILED", "CANCELLED", "SUCCEEDED"))


@pytest.mark.parametrize(
    ("source", "destination", "status", "code"),
    [
        ("not_started", "not_started", ConnectionStatus.QUEUED, ReasonCode.RUN_QUEUED),
        ("running", "not_started", ConnectionStatus.RUNNING, ReasonCode.RUN_IN_PROGRESS),
        ("complete", "not_started", ConnectionStatus.RUNNING, ReasonCode.RUN_IN_PROGRESS),
        ("error", "not_started", ConnectionStatus.FAILING, ReasonCode.LAST_RUN_FAILED),
        ("cancelled", "error", ConnectionStatus.FAILING, ReasonCode.LAST_RUN_FAILED),
        ("complete", "cancelled", ConnectionStatus.DEGRADED, ReasonCode.LAST_RUN_CANCELLED),
        ("complete", "complete", ConnectionStatus.HEALTHY, ReasonCode.LAST_RUN_SUCCEEDED),
        ("complete", "paused", ConnectionStatus.UNKNOWN, ReasonCode.UNKNOWN_WORD),
    ],
)
def test_the_status_is_that_of_the_run_with_both_sides_as_its_evidence(
    source: str | None, destination: str | None, status: ConnectionStatus, code: ReasonCode
):
    given = convert.connection(ran(source, destination), instance="a")
    reason = given.status_reason
    assert (given.status, reason.code) == (status, code)
    assert reason.raw_value == f"{source}, {destination}"
    assert reason.field == "lastRun.sourceStatus, lastRun.destinationStatus"
    finished = status in (ConnectionStatus.FAILING, ConnectionStatus.DEGRADED, ConnectionStatus.HEALTHY)
    assert reason.since == (ENDED_AT if finished else STARTED_AT)


@pytest.mark.parametrize(
    ("sides", "status", "raw"),
    [
        (("complete", None), ConnectionStatus.UNKNOWN, "complete, null"),
        ((None, "error"), ConnectionStatus.FAILING, "null, error"),
        ((None, None), ConnectionStatus.UNKNOWN, None),
    ],
)
def test_a_side_that_was_not_sent_is_null_in_the_evidence(
    sides: tuple[str | None, str | None], status: ConnectionStatus, raw: str | None
):
    given = convert.connection(ran(*sides), instance="a")
    assert (given.status, given.status_reason.raw_value) == (status, raw)


@pytest.mark.parametrize("empty", [{}, {"jobId": None}, {"connectionId": "x", "workspaceId": "w", "sourceStatus": ""}])
def test_what_tells_nothing_of_a_run_is_none(empty: Any):
    given = convert.connection(read(lastRun=empty, created=STARTED), instance="a")
    assert given == convert.connection(read(created=STARTED), instance="a")
    assert (given.status, given.last_run) == (ConnectionStatus.NEVER_RAN, None)
    beside = convert.connection(read(lastRun=empty, lastRunJobId="j"), instance="a")
    assert (beside.status, beside.status_reason.raw_value) == (ConnectionStatus.UNKNOWN, None)
    assert beside.last_run is not None
    assert beside.last_run.id == "j"


@pytest.mark.parametrize(
    "sides", [("not_started", "not_started"), ("running", "not_started"), (None, None), ("not_started", "")]
)
def test_a_run_that_could_not_be_started_does_not_go_on_for_ever(sides: tuple[str | None, str | None]):
    row = ran(*sides)
    assert row.last_run is not None
    row.last_run.error = "no access with token=hunter2"
    given = convert.connection(row, instance="a")
    assert (given.status, given.running) == (ConnectionStatus.FAILING, False)
    assert (given.status_reason.field, given.status_reason.since) == ("lastRun.error", ENDED_AT)
    assert given.status_reason.raw_value == "no access with token=**********"
    assert given.last_run is not None
    assert (given.last_run.status, given.last_run.ended_at) == (RunStatus.FAILED, ENDED_AT)


@pytest.mark.parametrize("sides", [("complete", "complete"), ("complete", "cancelled"), ("x", "running")])
def test_what_has_ended_otherwise_or_is_not_known_has_not_failed_for_having_a_text(sides: tuple[str, str]):
    row = ran(*sides)
    assert row.last_run is not None
    row.last_run.error = "cancelled, for it cannot be written"
    assert convert.connection(row, instance="a").status_reason.field == convert.SIDES


def test_without_a_run_it_never_ran():
    given = convert.connection(read(created=STARTED), instance="a")
    assert (given.status, given.status_reason.code) == (ConnectionStatus.NEVER_RAN, ReasonCode.NO_RUN_YET)
    assert (given.status_reason.since, given.last_run, given.running) == (STARTED_AT, None, False)


def test_a_run_of_which_only_the_fields_beside_it_tell_is_a_run_of_unknown_status():
    given = convert.connection(read(lastRunJobId="j", lastRunDate=STARTED, lastRunBy="u"), instance="a")
    run = given.last_run
    assert run is not None
    assert (run.id, run.started_at, run.by, run.status) == ("j", STARTED_AT, "u", RunStatus.UNKNOWN)
    assert given.status is ConnectionStatus.UNKNOWN


def test_the_embedded_run_wins_over_the_fields_beside_it():
    given = convert.connection(ran(last_run_job_id="old", last_run_date="2020-01-01T00:00:00Z"), instance="a")
    assert given.last_run is not None
    assert (given.last_run.id, given.last_run.started_at) == ("old", STARTED_AT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T17:39:21.004Z", STARTED_AT),
        ("2026-03-02T18:39:21.004+01:00", STARTED_AT),
        ("2026-03-02T17:39:21.004", STARTED_AT),
        ("1850-06-01T00:00:00Z", dt.datetime(1850, 6, 1, tzinfo=dt.UTC)),
        ("2026-03-02", dt.datetime(2026, 3, 2, tzinfo=dt.UTC)),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1678440000, None),
        ({}, None),
    ],
)
def test_times_are_read_as_they_come(text: Any, expected: dt.datetime | None):
    given = convert.connection(read(created=text, updated=text), instance="a")
    assert given.created_at == given.updated_at == expected


def test_empty_texts_say_nothing():
    given = convert.connection(read(name="", description="", sourceId="", createdBy="", lastRunJobId=""), instance="a")
    assert (given.name, given.description, given.source, given.created_by, given.last_run) == (None,) * 5


def test_free_form_maps_have_credentials_masked_and_the_rest_untouched():
    free = {"period": "Q1", "apiKey": "hunter2", "deep": [{"password": "hunter2", "url": "https://u:hunter2@x/y"}]}
    run = dict.fromkeys(("sourceParameters", "destinationParameters", "sourceMetadata", "destinationMetadata"), free)
    outer = dict.fromkeys(("lastRunSourceParameters", "lastRunDestinationParameters", "metadata"), free)
    given = convert.connection(read(lastRun=run | {"error": "token=hunter2 refused"}, **outer), instance="a")
    assert "hunter2" not in repr(given)
    details: Any = given.details
    seen = [
        details.metadata,
        details.last_run_source_parameters,
        details.last_run_destination_parameters,
        details.last_run.source_parameters,
        details.last_run.destination_parameters,
        details.last_run.source_metadata,
        details.last_run.destination_metadata,
    ]
    for value in seen:
        assert value["period"] == "Q1"
        assert value["deep"][0]["url"].endswith("@x/y")
    assert given.last_run is not None
    assert given.last_run.error == details.last_run.error == "token=********** refused"
