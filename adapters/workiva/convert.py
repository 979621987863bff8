"""From Wdata's records to the unified ones. The knowledge of this upstream's words is here, in tables."""

import datetime as dt
import itertools
from collections.abc import Mapping
from typing import NamedTuple

from adapters import freeform, ids
from adapters.model import Connection, ConnectionStatus, Endpoint, ReasonCode, Run, RunStatus, StatusReason, altered
from adapters.secret import masked_text
from adapters.values import evidence, instant, word
from adapters.workiva import wire
from adapters.workiva.details import WorkivaConnection, WorkivaRun

SIDE_STATUSES = frozenset({"not_started", "running", "complete", "error", "cancelled"})
"""Every word a side's status can be (specification, ``ConnectionRunDto``)."""

_NO_NEW_WORD = SIDE_STATUSES | {None, ""}

FINISHED = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED})
GOING_ON = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})

STATUSES: Mapping[RunStatus, tuple[ConnectionStatus, ReasonCode, str]] = {
    RunStatus.QUEUED: (ConnectionStatus.QUEUED, ReasonCode.RUN_QUEUED, "A run waits to be started."),
    RunStatus.RUNNING: (ConnectionStatus.RUNNING, ReasonCode.RUN_IN_PROGRESS, "A run is in progress."),
    RunStatus.FAILED: (ConnectionStatus.FAILING, ReasonCode.LAST_RUN_FAILED, "The last run failed."),
    RunStatus.CANCELLED: (ConnectionStatus.DEGRADED, ReasonCode.LAST_RUN_CANCELLED, "The last run was cancelled."),
    RunStatus.SUCCEEDED: (ConnectionStatus.HEALTHY, ReasonCode.LAST_RUN_SUCCEEDED, "The last run succeeded."),
    RunStatus.UNKNOWN: (
        ConnectionStatus.UNKNOWN,
        ReasonCode.UNKNOWN_WORD,
        "The last run has a status we do not know.",
    ),
}


SIDES = "lastRun.sourceStatus, lastRun.destinationStatus"


class Verdict(NamedTuple):
    """What the statuses of a run's two sides say together; ``raw`` is what ``field`` was."""

    run: RunStatus
    is_going_on: bool
    is_finished: bool
    status: ConnectionStatus
    code: ReasonCode
    message: str
    raw: str | None
    field: str = SIDES


def verdict(source: str | None, destination: str | None) -> Verdict:
    """Workiva itself has no word for the run as a whole."""
    run = _run_status(source, destination)
    return Verdict(run, run in GOING_ON, run in FINISHED, *STATUSES[run], evidence(source, destination))


def _run_status(*sides: str | None) -> RunStatus:
    if "error" in sides:
        return RunStatus.FAILED
    if "cancelled" in sides:
        return RunStatus.CANCELLED
    if set(sides) == {"complete"}:
        return RunStatus.SUCCEEDED
    if set(sides) == {"not_started"}:
        return RunStatus.QUEUED
    return RunStatus.RUNNING if SIDE_STATUSES.issuperset(sides) else RunStatus.UNKNOWN


_VERDICTS = {sides: verdict(*sides) for sides in itertools.product((*SIDE_STATUSES, None), repeat=2)}
_NOTHING_TOLD, _NO_DETAILS = wire.ConnectionRun(), WorkivaRun()
_NEVER_RAN = ConnectionStatus.NEVER_RAN


def connection(row: wire.Connection, *, instance: str) -> Connection:
    """The unified record, with endpoints that have no name yet: see `named`."""
    created_at, last_run_at = instant(row.created), instant(row.last_run_date)
    given = row.last_run if row.last_run is not None and _is_run(row.last_run) else None
    last_run = None if given is None else run_details(given)
    ruled = _verdict(given or _NOTHING_TOLD)
    if last_run is not None or row.last_run_job_id or row.last_run_date:
        run = _run(last_run or _NO_DETAILS, ruled, row.last_run_job_id, last_run_at, row.last_run_by)
        status, reason = ruled.status, _reason(ruled, run)
    else:
        run, status, reason = None, _NEVER_RAN, _never_ran(created_at)
    details = WorkivaConnection(
        source_type=word(row.source_type),
        source_workspace_id=word(row.source_workspace_id),
        destination_type=word(row.destination_type),
        destination_workspace_id=word(row.destination_workspace_id),
        last_run=last_run,
        last_run_job_id=row.last_run_job_id or None,
        last_run_date=last_run_at,
        last_run_by=row.last_run_by or None,
        last_run_source_parameters=freeform.shown(row.last_run_source_parameters),
        last_run_destination_parameters=freeform.shown(row.last_run_destination_parameters),
        metadata=freeform.shown(row.metadata),
    )
    return Connection(
        ids.encode(instance, row.connection_id),
        instance,
        "workiva",
        row.connection_id,
        status,
        reason,
        row.name or None,
        True,
        ruled.is_going_on,
        _endpoint(row.source_id, details.source_type, details.source_workspace_id),
        description=row.description or None,
        destination=_endpoint(row.destination_id, details.destination_type, details.destination_workspace_id),
        last_run=run,
        created_at=created_at,
        updated_at=instant(row.updated),
        created_by=word(row.created_by),
        workspace_id=word(row.workspace_id),
        details=details,
    )


def named(connection: Connection, names: Mapping[str, str]) -> Connection:
    """The record with the names of its endpoints, as far as ``names`` (by id) holds them."""
    return altered(
        connection, source=_named(connection.source, names), destination=_named(connection.destination, names)
    )


def _named(endpoint: Endpoint | None, names: Mapping[str, str]) -> Endpoint | None:
    name = names.get(endpoint.id or "") if endpoint else None
    return altered(endpoint, name=name) if endpoint and name else endpoint


def run(given: wire.ConnectionRun, job_id: str | None = None) -> Run:
    """The run of this job."""
    return _run(run_details(given), _verdict(given), job_id)


def not_started(error: str) -> Run:
    """A run that could not be started, for what the upstream says of it."""
    return Run(status=RunStatus.FAILED, error=masked_text(error))


def _run(
    shown: WorkivaRun,
    ruled: Verdict,
    job_id: str | None,
    started_at: dt.datetime | None = None,
    by: str | None = None,
) -> Run:
    """A run; what it lacks itself is taken from what is known beside it."""
    return Run(
        id=shown.job_id or job_id or None,
        status=ruled.run,
        started_at=shown.created or started_at,
        ended_at=shown.updated if ruled.is_finished else None,
        by=shown.created_by or by or None,
        error=shown.error,
    )


def _is_run(given: wire.ConnectionRun) -> bool:
    """Whether it tells of a run at all: whose it would be, and with what parameters, does not."""
    told = given.job_id or given.source_status or given.destination_status or given.error
    return bool(told or given.created or given.updated or given.created_by)


def _verdict(run: wire.ConnectionRun) -> Verdict:
    sides = run.source_status, run.destination_status
    ruled = _VERDICTS.get(sides) or verdict(*sides)
    # What has ended has ended otherwise, and of a word that nobody knows nobody knows whether the run goes on.
    is_open = not ruled.is_finished and _NO_NEW_WORD.issuperset(sides)
    return _never_began(run.error) if run.error and is_open else ruled


def _never_began(error: str) -> Verdict:
    """A run's error is one of starting it (specification, ``error``): with one, no side gets any further."""
    return Verdict(RunStatus.FAILED, False, True, *STATUSES[RunStatus.FAILED], masked_text(error), "lastRun.error")


def _never_ran(created_at: dt.datetime | None) -> StatusReason:
    return StatusReason(
        code=ReasonCode.NO_RUN_YET, message="The connection has never run.", since=created_at, field="lastRun"
    )


def _reason(ruled: Verdict, run: Run) -> StatusReason:
    return StatusReason(
        code=ruled.code,
        message=ruled.message,
        since=run.ended_at or run.started_at,
        field=ruled.field,
        raw_value=ruled.raw,
    )


def _endpoint(id: str | None, type: str | None, workspace_id: str | None) -> Endpoint | None:
    return Endpoint(id=id or None, type=type, workspace_id=workspace_id) if id or type or workspace_id else None


def run_details(run: wire.ConnectionRun) -> WorkivaRun:
    """A run with both its sides, credentials masked."""
    return WorkivaRun(
        job_id=run.job_id or None,
        connection_id=run.connection_id or None,
        workspace_id=word(run.workspace_id),
        source_workspace_id=word(run.source_workspace_id),
        destination_workspace_id=word(run.destination_workspace_id),
        source_status=word(run.source_status),
        destination_status=word(run.destination_status),
        created=instant(run.created),
        created_by=word(run.created_by),
        updated=instant(run.updated),
        source_parameters=freeform.shown(run.source_parameters),
        destination_parameters=freeform.shown(run.destination_parameters),
        source_metadata=freeform.shown(run.source_metadata),
        destination_metadata=freeform.shown(run.destination_metadata),
        error=masked_text(run.error) if run.error else None,
    )
