"""The unified records: what a connection is, whoever runs it.

Every record is a frozen ``msgspec.Struct``, built once in a provider's ``convert.py`` and never copied, so that
it can be shared between requests. ``None`` means that the upstream does not say or cannot know.
Times are aware and UTC.
"""

import datetime as dt
import enum
from typing import Annotated, Self, TypeVar

import msgspec
from msgspec import Meta


class Word(enum.StrEnum):
    """A closed vocabulary; each word carries what it means, for whoever shows it to people."""

    description: str

    def __new__(cls, value: str, description: str) -> Self:
        word = str.__new__(cls, value)
        word._value_ = value
        word.description = description
        return word

    # That of the text it is equal to, and not a call into Python for each look into a table.
    __hash__ = str.__hash__  # pyright: ignore[reportAssignmentType]


class ConnectionStatus(Word):
    """How a connection is doing, in the words that all providers share. The first that applies is given."""

    DELETED = "DELETED", "The upstream has deleted it and keeps it for the record."
    PAUSED = "PAUSED", "Somebody, or the upstream itself, switched it off."
    UNKNOWN = "UNKNOWN", "The upstream says something that the gateway does not know; statusReason has the raw words."
    QUEUED = "QUEUED", "A run waits to be started."
    RUNNING = "RUNNING", "A run is in progress."
    FAILING = "FAILING", "The last run or health check failed."
    DEGRADED = "DEGRADED", "It works in part: the last run was cancelled or incomplete, or the source's schema broke."
    HEALTHY = "HEALTHY", "The last run or health check succeeded."
    NEVER_RAN = "NEVER_RAN", "Nothing has happened yet by which to judge."


class ReasonCode(Word):
    """The kind of evidence that decided a status."""

    DELETED_UPSTREAM = "DELETED_UPSTREAM", "The upstream marks it as deleted."
    DISABLED = "DISABLED", "It is switched off."
    LOCKED = "LOCKED", "The upstream has locked it."
    OVER_PLAN_LIMIT = "OVER_PLAN_LIMIT", "The upstream has paused it because its plan's limit is used up."
    RUN_QUEUED = "RUN_QUEUED", "The latest run has not started yet."
    RUN_IN_PROGRESS = "RUN_IN_PROGRESS", "The latest run goes on."
    LAST_RUN_FAILED = "LAST_RUN_FAILED", "The latest run failed."
    LAST_RUN_INCOMPLETE = "LAST_RUN_INCOMPLETE", "The latest run brought only part of the data."
    LAST_RUN_CANCELLED = "LAST_RUN_CANCELLED", "The latest run was cancelled."
    LAST_RUN_SUCCEEDED = "LAST_RUN_SUCCEEDED", "The latest run succeeded."
    BREAKING_SCHEMA_CHANGE = "BREAKING_SCHEMA_CHANGE", "The source's schema changed so that it cannot go on as it is."
    HEALTH_CHECK_FAILED = "HEALTH_CHECK_FAILED", "The latest health check failed."
    HEALTH_CHECK_PASSED = "HEALTH_CHECK_PASSED", "The latest health check passed."
    NO_RUN_YET = "NO_RUN_YET", "It has never run."
    NO_HEALTH_CHECK_YET = "NO_HEALTH_CHECK_YET", "Its health was never checked."
    UNKNOWN_WORD = "UNKNOWN_WORD", "The upstream used a word that the gateway does not know."


class RunStatus(Word):
    """How far a run came."""

    QUEUED = "QUEUED", "It waits to be started."
    RUNNING = "RUNNING", "It is in progress."
    SUCCEEDED = "SUCCEEDED", "It ended well."
    FAILED = "FAILED", "It ended badly."
    CANCELLED = "CANCELLED", "Somebody ended it."
    INCOMPLETE = "INCOMPLETE", "It ended with only part of the data."
    UNKNOWN = "UNKNOWN", "The upstream used a word that the gateway does not know, or none."


class ScheduleType(Word):
    """What starts the runs of a connection."""

    MANUAL = "MANUAL", "People do."
    BASIC = "BASIC", "An interval does; `every` has it."
    CRON = "CRON", "A cron expression does; `cron` has it."
    UNKNOWN = (
        "UNKNOWN",
        "The upstream has a kind of schedule that the gateway does not know, or does not tell its kind.",
    )


class TimeUnit(Word):
    """The unit of an interval."""

    MINUTES = "MINUTES", "Minutes."
    HOURS = "HOURS", "Hours."
    DAYS = "DAYS", "Days."
    WEEKS = "WEEKS", "Weeks."
    MONTHS = "MONTHS", "Calendar months."
    UNKNOWN = "UNKNOWN", "A unit that the gateway does not know."


class SchemaChange(Word):
    """Whether the source's schema moved away from what the connection was set up for."""

    NO_CHANGE = "NO_CHANGE", "It did not."
    NON_BREAKING = "NON_BREAKING", "It did, and the connection can go on as it is."
    BREAKING = "BREAKING", "It did, and the connection cannot go on as it is."
    UNKNOWN = "UNKNOWN", "The upstream used a word that the gateway does not know."


class Record(msgspec.Struct, frozen=True, gc=False):
    """The base of every unified record; ``gc=False`` because records are trees, never cycles."""


R = TypeVar("R", bound=msgspec.Struct)


def altered(record: R, **values: object) -> R:
    """The record with these values of its fields; the very same where it has them already."""
    for name, value in values.items():
        if getattr(record, name) != value:
            return msgspec.structs.replace(record, **values)
    return record


class StatusReason(Record, frozen=True, kw_only=True):
    """The evidence for a status, so that nobody has to trust the gateway."""

    code: Annotated[ReasonCode, Meta(description="The kind of evidence.")]
    message: Annotated[str, Meta(description="The evidence in a sentence.")]
    since: Annotated[
        dt.datetime | None, Meta(description="Since when it holds, or when what decided happened; null if unknown.")
    ] = None
    field: Annotated[str | None, Meta(description="The upstream's own name of the field that decided.")] = None
    raw_value: Annotated[str | None, Meta(description="What stood there, as the upstream sent it.")] = None


class Endpoint(Record, frozen=True, kw_only=True):
    """One side of a connection: what data is read from or written to."""

    id: Annotated[str | None, Meta(description="The upstream's own id of it.")] = None
    name: Annotated[str | None, Meta(description="Its name, as people gave it; null where the upstream has none.")] = (
        None
    )
    type: Annotated[
        str | None, Meta(description="The upstream's own word for the kind of system: Postgres, wdata_query, hubspot.")
    ] = None
    icon: Annotated[str | None, Meta(description="Its icon: an inline SVG, or the address of an image.")] = None
    definition_id: Annotated[str | None, Meta(description="Id of the connector's definition, if there is one.")] = None
    workspace_id: Annotated[str | None, Meta(description="The workspace it belongs to.")] = None
    version: Annotated[str | None, Meta(description="Version of the connector.")] = None
    documentation_url: Annotated[str | None, Meta(description="Where the connector is documented.")] = None
    release_stage: Annotated[
        str | None, Meta(description="How finished the connector is: alpha, beta, generally_available, custom.")
    ] = None


class Interval(Record, frozen=True, kw_only=True):
    """One run every so many units."""

    units: Annotated[int, Meta(description="How many units lie between two runs.")]
    time_unit: Annotated[TimeUnit, Meta(description="The unit.")]


class Cron(Record, frozen=True, kw_only=True):
    """A cron schedule."""

    expression: Annotated[
        str, Meta(description="The expression as the upstream has it; Airbyte's are Quartz, seconds first.")
    ]
    time_zone: Annotated[str | None, Meta(description="The IANA time zone it is read in.")] = None


class Schedule(Record, frozen=True, kw_only=True):
    """When runs start by themselves."""

    type: Annotated[ScheduleType, Meta(description="What starts the runs.")]
    every: Annotated[Interval | None, Meta(description="The interval, where the type is BASIC.")] = None
    cron: Annotated[Cron | None, Meta(description="The cron expression, where the type is CRON.")] = None
    human_text: Annotated[str, Meta(description="The schedule in plain English.")]


class Run(Record, frozen=True, kw_only=True):
    """One run of a connection."""

    id: Annotated[
        str | None, Meta(description="The upstream's own id of it; null where only the latest run is summarised.")
    ] = None
    status: Annotated[RunStatus, Meta(description="How far it came.")]
    started_at: Annotated[dt.datetime | None, Meta(description="When it started, or was asked for.")] = None
    ended_at: Annotated[dt.datetime | None, Meta(description="When it ended; null while it goes on.")] = None
    by: Annotated[str | None, Meta(description="Id of the user who started it.")] = None
    records_synced: Annotated[int | None, Meta(description="Rows that were moved.")] = None
    bytes_synced: Annotated[int | None, Meta(description="Bytes that were moved.")] = None
    error: Annotated[
        str | None, Meta(description="What went wrong, in the words meant for people, with credentials masked.")
    ] = None


class Identified(Record, frozen=True):
    """What nearly every connection has. It may be given by position: Python makes a dictionary for a call with more
    than fifteen keywords, which takes longer than the rest of the record."""

    id: str
    instance: str
    provider: str
    native_id: str
    status: ConnectionStatus
    status_reason: StatusReason
    name: str | None = None
    enabled: bool | None = None
    running: bool | None = None
    source: Endpoint | None = None


class Connection(Identified, frozen=True, kw_only=True):
    """One connection of one instance. ``details`` is the provider's own record of what nobody else has."""

    description: str | None = None
    destination: Endpoint | None = None
    schedule: Schedule | None = None
    last_run: Run | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    created_by: str | None = None
    workspace_id: str | None = None
    workspace_name: str | None = None
    environment: str | None = None
    external_ref: str | None = None
    categories: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    schema_change: SchemaChange | None = None
    last_healthy_at: dt.datetime | None = None
    last_unhealthy_at: dt.datetime | None = None
    web_url: str | None = None
    details: msgspec.Struct | None = None
