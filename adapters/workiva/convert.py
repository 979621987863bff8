"""From Wdata's records to the unified ones. The knowledge of this upstream's words is here, in tables."""

from collections.abc import Mapping

from adapters import ids
from adapters.model import Connection, ConnectionStatus, Endpoint, ReasonCode, Run, RunStatus, StatusReason, altered
from adapters.secret import masked_map, masked_text
from adapters.values import instant, text, word
from adapters.workiva import wire
from adapters.workiva.details import WorkivaConnection, WorkivaRun

SIDE_STATUSES = frozenset({"not_started", "running", "complete", "error", "cancelled"})
"""Every word a side's status can be (specification, ``ConnectionRunDto``)."""

FINISHED = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED})

STATUSES: Mapping[RunStatus, tuple[ConnectionStatus, ReasonCode, str]] = {
    RunStatus.QUEUED: (ConnectionStatus.QUEUED, ReasonCode.RUN_QUEUED, "A run waits to be started."),
    RunStatus.RUNNING: (ConnectionStatus.RUNNING, ReasonCode.RUN_IN_PROGRESS, "A run is in progress."),
    RunStatus.FAILED: (ConnectionStatus.FAILING, ReasonCode.LAST_RUN_FAILED, "The last run failed."),
    RunStatus.CANCELLED: (ConnectionStatus.DEGRADED, ReasonCode.LAST_RUN_CANCELLED, "The last run was cancelled."),
    RunStatus.SUCCEEDED: (ConnectionStatus.HEALTHY, ReasonCode.LAST_RUN_SUCCEEDED, "The last run succeeded."),
}


def connection(row: wire.Connection, *, instance: str) -> Connection:
    """The unified record, with endpoints that have no name yet: see `named`."""
    run = last_run(row)
    status, reason = _status(row, run)
    return Connection(
        id=ids.encode(instance, row.connection_id),
        instance=instance,
        provider="workiva",
        native_id=row.connection_id,
        name=text(row.name),
        description=text(row.description),
        status=status,
        status_reason=reason,
        enabled=True,
        running=run is not None and run.status in (RunStatus.QUEUED, RunStatus.RUNNING),
        source=_endpoint(row.source_id, row.source_type, row.source_workspace_id),
        destination=_endpoint(row.destination_id, row.destination_type, row.destination_workspace_id),
        last_run=run,
        created_at=instant(row.created),
        updated_at=instant(row.updated),
        created_by=word(row.created_by),
        workspace_id=word(row.workspace_id),
        details=_details(row),
    )


def named(connection: Connection, names: Mapping[str, str]) -> Connection:
    """The record with the names of its endpoints, as far as ``names`` (by id) holds them."""
    return altered(
        connection, source=_named(connection.source, names), destination=_named(connection.destination, names)
    )


def _named(endpoint: Endpoint | None, names: Mapping[str, str]) -> Endpoint | None:
    name = names.get(endpoint.id or "") if endpoint else None
    return altered(endpoint, name=name) if endpoint and name else endpoint


def run_status(run: wire.ConnectionRun) -> RunStatus:
    """The one status of a run that has a status for each side: Workiva itself has no word for it."""
    sides = (run.source_status, run.destination_status)
    if "error" in sides:
        return RunStatus.FAILED
    if "cancelled" in sides:
        return RunStatus.CANCELLED
    if set(sides) == {"complete"}:
        return RunStatus.SUCCEEDED
    if set(sides) == {"not_started"}:
        return RunStatus.QUEUED
    return RunStatus.RUNNING if SIDE_STATUSES.issuperset(sides) else RunStatus.UNKNOWN


def last_run(row: wire.Connection) -> Run | None:
    """The last run, from the embedded record where there is one, else from the three fields beside it."""
    if row.last_run is None and not (row.last_run_job_id or row.last_run_date):
        return None
    beside = wire.ConnectionRun(job_id=row.last_run_job_id, created=row.last_run_date, created_by=row.last_run_by)
    return run(row.last_run or beside, beside)


def run(given: wire.ConnectionRun, beside: wire.ConnectionRun) -> Run:
    """A run; what it lacks is taken from what is known ``beside`` it."""
    status = run_status(given)
    return Run(
        id=text(given.job_id) or text(beside.job_id),
        status=status,
        started_at=instant(given.created) or instant(beside.created),
        ended_at=instant(given.updated) if status in FINISHED else None,
        by=text(given.created_by) or text(beside.created_by),
        error=masked_text(given.error) if given.error else None,
    )


def _status(row: wire.Connection, run: Run | None) -> tuple[ConnectionStatus, StatusReason]:
    if run is None:
        return ConnectionStatus.NEVER_RAN, StatusReason(
            code=ReasonCode.NO_RUN_YET,
            message="The connection has never run.",
            since=instant(row.created),
            field="lastRun",
        )
    status, code, message = STATUSES.get(
        run.status, (ConnectionStatus.UNKNOWN, ReasonCode.UNKNOWN_WORD, "The last run has a status we do not know.")
    )
    sides = row.last_run or wire.ConnectionRun()
    return status, StatusReason(
        code=code,
        message=message,
        since=run.ended_at or run.started_at,
        field="lastRun.sourceStatus, lastRun.destinationStatus",
        raw_value=f"{sides.source_status}, {sides.destination_status}",
    )


def _endpoint(id: str | None, type: str | None, workspace_id: str | None) -> Endpoint | None:
    if not (id or type or workspace_id):
        return None
    return Endpoint(id=text(id), type=word(type), workspace_id=word(workspace_id))


def _details(row: wire.Connection) -> WorkivaConnection:
    return WorkivaConnection(
        source_type=word(row.source_type),
        source_workspace_id=word(row.source_workspace_id),
        destination_type=word(row.destination_type),
        destination_workspace_id=word(row.destination_workspace_id),
        last_run=None if row.last_run is None else _run_details(row.last_run),
        last_run_job_id=text(row.last_run_job_id),
        last_run_date=instant(row.last_run_date),
        last_run_by=text(row.last_run_by),
        last_run_source_parameters=masked_map(row.last_run_source_parameters),
        last_run_destination_parameters=masked_map(row.last_run_destination_parameters),
        metadata=masked_map(row.metadata),
    )


def _run_details(run: wire.ConnectionRun) -> WorkivaRun:
    return WorkivaRun(
        job_id=text(run.job_id),
        connection_id=text(run.connection_id),
        workspace_id=word(run.workspace_id),
        source_workspace_id=word(run.source_workspace_id),
        destination_workspace_id=word(run.destination_workspace_id),
        source_status=word(run.source_status),
        destination_status=word(run.destination_status),
        created=instant(run.created),
        created_by=word(run.created_by),
        updated=instant(run.updated),
        source_parameters=masked_map(run.source_parameters),
        destination_parameters=masked_map(run.destination_parameters),
        source_metadata=masked_map(run.source_metadata),
        destination_metadata=masked_map(run.destination_metadata),
        error=masked_text(run.error) if run.error else None,
    )
