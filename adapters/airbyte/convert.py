"""From Airbyte's records to the unified ones. The knowledge of this upstream's words is here, in tables."""

import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from adapters import ids
from adapters.airbyte import wire
from adapters.airbyte.convert_details import details
from adapters.airbyte.convert_schedule import schedule
from adapters.model import (
    Connection,
    ConnectionStatus,
    Endpoint,
    ReasonCode,
    Run,
    RunStatus,
    SchemaChange,
    StatusReason,
    altered,
)
from adapters.secret import masked_text
from adapters.values import epoch_ms, epoch_s, text, word

RUN_STATUSES: Mapping[str, RunStatus] = {
    "pending": RunStatus.QUEUED,
    "queued": RunStatus.QUEUED,
    "running": RunStatus.RUNNING,
    "incomplete": RunStatus.INCOMPLETE,
    "failed": RunStatus.FAILED,
    "succeeded": RunStatus.SUCCEEDED,
    "cancelled": RunStatus.CANCELLED,
}
FINISHED = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.INCOMPLETE})
SCHEMA_CHANGES: Mapping[str, SchemaChange] = {
    "no_change": SchemaChange.NO_CHANGE,
    "non_breaking": SchemaChange.NON_BREAKING,
    "breaking": SchemaChange.BREAKING,
}


class Rule(NamedTuple):
    """What a word of Airbyte means for a connection's status."""

    status: ConnectionStatus
    code: ReasonCode
    message: str


BY_STATUS: Mapping[str, Rule] = {
    "deprecated": Rule(ConnectionStatus.DELETED, ReasonCode.DELETED_UPSTREAM, "Airbyte has deleted the connection."),
    "inactive": Rule(ConnectionStatus.PAUSED, ReasonCode.DISABLED, "The connection is switched off."),
    "locked": Rule(ConnectionStatus.PAUSED, ReasonCode.LOCKED, "Airbyte has locked the connection."),
}
BY_JOB: Mapping[str, Rule] = {
    "pending": Rule(ConnectionStatus.QUEUED, ReasonCode.RUN_QUEUED, "A sync waits to be started."),
    "queued": Rule(ConnectionStatus.QUEUED, ReasonCode.RUN_QUEUED, "A sync waits to be started."),
    "running": Rule(ConnectionStatus.RUNNING, ReasonCode.RUN_IN_PROGRESS, "A sync is in progress."),
    "failed": Rule(ConnectionStatus.FAILING, ReasonCode.LAST_RUN_FAILED, "The latest sync failed."),
    "incomplete": Rule(
        ConnectionStatus.DEGRADED, ReasonCode.LAST_RUN_INCOMPLETE, "The latest sync brought only part of the data."
    ),
    "cancelled": Rule(ConnectionStatus.DEGRADED, ReasonCode.LAST_RUN_CANCELLED, "The latest sync was cancelled."),
    "succeeded": Rule(ConnectionStatus.HEALTHY, ReasonCode.LAST_RUN_SUCCEEDED, "The latest sync succeeded."),
}
WAITING = frozenset({"pending", "queued"})
WORSE_THAN_BREAKING = WAITING | {"running", "failed", "incomplete", "cancelled"}
"""Jobs that say more of a connection's present state than a breaking schema change does."""
SYNCING = Rule(ConnectionStatus.RUNNING, ReasonCode.RUN_IN_PROGRESS, "A sync is in progress.")
BREAKING = Rule(
    ConnectionStatus.DEGRADED, ReasonCode.BREAKING_SCHEMA_CHANGE, "The source's schema changed in a breaking way."
)
NO_JOB = Rule(ConnectionStatus.NEVER_RAN, ReasonCode.NO_RUN_YET, "The connection has never synced.")
UNKNOWN_STATUS = Rule(ConnectionStatus.UNKNOWN, ReasonCode.UNKNOWN_WORD, "Airbyte's status is a word we do not know.")
UNTOLD_JOB = Rule(ConnectionStatus.UNKNOWN, ReasonCode.UNKNOWN_WORD, "Airbyte does not say how the latest sync stands.")
UNKNOWN_JOB = Rule(ConnectionStatus.UNKNOWN, ReasonCode.UNKNOWN_WORD, "The latest sync has a status we do not know.")


_UNKNOWN_RUN, _UNKNOWN_CHANGE = RunStatus.UNKNOWN, SchemaChange.UNKNOWN
_NO_SOURCE = wire.Source()
_NO_DESTINATION = wire.Destination()


class Definition(NamedTuple):
    """What a connector's definition adds to an endpoint."""

    icon: str | None
    version: str | None
    documentation_url: str | None
    release_stage: str | None


def status(row: wire.ListItem) -> tuple[ConnectionStatus, StatusReason]:
    """The first rule that applies, from what people decided down to what the latest job says."""
    return _status(row, epoch_s(row.latest_sync_job_created_at))


def _status(row: wire.ListItem, run_at: dt.datetime | None) -> tuple[ConnectionStatus, StatusReason]:
    rule, field, raw = _rule(row)
    return rule.status, StatusReason(
        code=rule.code,
        message=rule.message,
        since=run_at if field in ("isSyncing", "latestSyncJobStatus") else None,
        field=field,
        raw_value=raw and sys.intern(raw),
    )


def _rule(row: wire.ListItem) -> tuple[Rule, str, str | None]:
    job = row.latest_sync_job_status or ""
    if row.status != "active":
        return BY_STATUS.get(row.status or "", UNKNOWN_STATUS), "status", row.status
    if row.is_syncing and job not in WAITING:
        return SYNCING, "isSyncing", "true"
    if row.schema_change == "breaking" and job not in WORSE_THAN_BREAKING:
        return BREAKING, "schemaChange", row.schema_change
    if not job:
        rule = NO_JOB if row.latest_sync_job_created_at is None else UNTOLD_JOB
    else:
        rule = BY_JOB.get(job, UNKNOWN_JOB)
    return rule, "latestSyncJobStatus", row.latest_sync_job_status


def connection(
    row: wire.ListItem,
    *,
    instance: str,
    workspace_id: str | None,
    workspace_names: Mapping[str, str | None] = {},
    web_url: str,
) -> Connection:
    """The unified record of a list item or a full record. ``workspace_id`` is that of the list it came from."""
    run = last_run(row)
    state, reason = _status(row, run and run.started_at)
    workspace_id = workspace_id or workspace_of(row)
    return Connection(
        ids.encode(instance, row.connection_id),
        instance,
        "airbyte",
        row.connection_id,
        state,
        reason,
        row.name or None,
        None if row.status is None else row.status == "active",
        row.is_syncing,
        _source(row, workspace_id),
        destination=_destination(row, workspace_id),
        schedule=schedule(row),
        last_run=run,
        created_at=epoch_s(row.created_at) if isinstance(row, wire.Brief) else None,
        workspace_id=workspace_id,
        workspace_name=workspace_names.get(workspace_id or ""),
        schema_change=_schema_change(row.schema_change),
        web_url=f"{web_url}/workspaces/{workspace_id}/connections/{row.connection_id}" if workspace_id else None,
        details=details(row),
    )


def workspace_of(row: wire.ListItem) -> str | None:
    """The workspace that a row names, which full records do."""
    return (row.source or _NO_SOURCE).workspace_id or (row.destination or _NO_DESTINATION).workspace_id or None


def _schema_change(word: str | None) -> SchemaChange | None:
    return SCHEMA_CHANGES.get(word, _UNKNOWN_CHANGE) if word else None


def _source(row: wire.ListItem, workspace_id: str | None) -> Endpoint | None:
    given = row.source or _NO_SOURCE
    id = given.source_id or (row.source_id if isinstance(row, wire.Brief) else None)
    if id is None and row.source is None:
        return None
    return source(given, id, workspace_id)


def source(given: wire.Source, id: str | None = None, workspace_id: str | None = None) -> Endpoint:
    """A source as an endpoint; its connector's name is its type. It is in ``workspace_id`` if it does not say."""
    return Endpoint(
        id=id or given.source_id or None,
        name=given.name or None,
        type=word(given.source_name),
        icon=word(given.icon),
        definition_id=word(given.source_definition_id),
        workspace_id=word(given.workspace_id) or workspace_id,
    )


def _destination(row: wire.ListItem, workspace_id: str | None) -> Endpoint | None:
    given = row.destination or _NO_DESTINATION
    id = given.destination_id or (row.destination_id if isinstance(row, wire.Brief) else None)
    if id is None and row.destination is None:
        return None
    return destination(given, id, workspace_id)


def destination(given: wire.Destination, id: str | None = None, workspace_id: str | None = None) -> Endpoint:
    """A destination as an endpoint; its connector's name is its type. It is in ``workspace_id`` if it does not say."""
    return Endpoint(
        id=id or given.destination_id or None,
        name=given.name or None,
        type=word(given.destination_name),
        icon=word(given.icon),
        definition_id=word(given.destination_definition_id),
        workspace_id=word(given.workspace_id) or workspace_id,
    )


def last_run(row: wire.ListItem) -> Run | None:
    """The latest job, of which a list tells only when it was created and how it stands; None where there is none."""
    word = row.latest_sync_job_status
    if not word and row.latest_sync_job_created_at is None:
        return None
    return Run(status=run_status(word), started_at=epoch_s(row.latest_sync_job_created_at))


def run_status(word: str | None) -> RunStatus:
    return RUN_STATUSES.get(word or "", _UNKNOWN_RUN)


def run(job: wire.JobWithAttempts) -> Run:
    """A job as a run: counts are those of its last attempt, which is the one that stands."""
    state = run_status(job.job.status)
    attempts = job.attempts or []
    last = attempts[-1] if attempts else wire.Attempt()
    stats = last.total_stats or wire.AttemptStats()
    failures = (last.failure_summary and last.failure_summary.failures) or []
    return Run(
        id=str(job.job.id),
        status=state,
        started_at=epoch_s(job.job.started_at) or epoch_s(job.job.created_at),
        ended_at=_ended_at(job.job, last, failures) if state in FINISHED else None,
        records_synced=_first(last.records_synced, stats.records_committed, stats.records_emitted),
        bytes_synced=_first(last.bytes_synced, stats.bytes_emitted),
        error=_failure(failures),
    )


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _ended_at(job: wire.Job, last: wire.Attempt, failures: Sequence[wire.FailureReason]) -> dt.datetime | None:
    """When the last attempt ended, or failed; else when the job last changed."""
    failed_at = next((reason.timestamp for reason in failures if reason.timestamp is not None), None)
    return epoch_s(last.ended_at) or epoch_ms(failed_at) or epoch_s(job.updated_at)


def _failure(failures: Sequence[wire.FailureReason]) -> str | None:
    """What the failing connector says to people; its internal message and stack trace stay upstream."""
    message = next((reason.external_message for reason in failures if reason.external_message), None)
    return masked_text(message) if message else None


def defined(endpoint: Endpoint, definitions: Mapping[str, Definition]) -> Endpoint:
    """The endpoint with what its connector's definition adds; an icon of its own stays."""
    known = definitions.get(endpoint.definition_id or "")
    if known is None:
        return endpoint
    return altered(
        endpoint,
        icon=endpoint.icon or known.icon,
        version=known.version,
        documentation_url=known.documentation_url,
        release_stage=known.release_stage,
    )


def definition(given: wire.Definition) -> Definition:
    return Definition(
        icon=text(given.icon),
        version=text(given.docker_image_tag),
        documentation_url=text(given.documentation_url),
        release_stage=text(given.release_stage),
    )
