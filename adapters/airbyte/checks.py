"""What is wrong with an input for Airbyte, as far as that can be told before it is sent.

Airbyte itself answers most of it with a status and a Java stack trace, which nobody outside may read.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from adapters import quartz
from adapters.airbyte import inputs, wire
from adapters.model import TimeUnit
from adapters.writing import Place, Problem, ProblemCode

T = TypeVar("T")

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
MAX_STREAMS = 5000
"""More streams than any connection that was heard of has; validating each of more would hold up everybody else."""
MAX_UNITS = 2**31 - 1
CLEARED: Mapping[str, Any] = {"namespace_format": "", "prefix": "", "operations": [], "resource_requirements": {}}
"""What is sent to clear a field: null means "as it was" to Airbyte (specification, ``WebBackendConnectionUpdate``)."""

_DEDUPED = (
    inputs.AirbyteDestinationSyncMode.APPEND_DEDUP,
    inputs.AirbyteDestinationSyncMode.OVERWRITE_DEDUP,
)


def of_create(given: inputs.AirbyteConnectionCreate) -> Iterator[Problem]:
    """What is wrong with a new connection by itself."""
    yield from _id(("source_id",), given.source_id)
    yield from _id(("destination_id",), given.destination_id)
    yield from _id(("source_catalog_id",), given.source_catalog_id)
    for place, id in enumerate(given.operation_ids or ()):
        yield from _id(("operation_ids", place), id)
    if given.name is not None and not given.name.strip():
        yield _invalid(("name",), "A name must hold more than blanks; leave it out to have Airbyte make one.")
    if given.status is inputs.AirbyteStatus.DEPRECATED:
        yield _invalid(("status",), "A connection cannot be created as deleted.")
    yield from _schedule(given)
    yield from _streams(given.sync_catalog)
    yield from _operations(given.operations)
    for place, operation in enumerate(given.operations or ()):
        if operation.operation_id is not None:
            yield _invalid(("operations", place, "operation_id"), "An operation that is created has no id yet.")


def of_update(given: inputs.AirbyteConnectionUpdate) -> Iterator[Problem]:
    """What is wrong with a change by itself."""
    for field in msgspec.structs.fields(given):
        if getattr(given, field.name) is None and field.name not in CLEARED:
            yield Problem(
                (field.name,), ProblemCode.CANNOT_CLEAR, "Airbyte takes null for this to mean that it stays as it is."
            )
    yield from _id(("source_catalog_id",), given.source_catalog_id)
    if isinstance(given.name, str) and not given.name.strip():
        yield _invalid(("name",), "A name must hold more than blanks.")
    if given.status is inputs.AirbyteStatus.DEPRECATED:
        yield _invalid(("status",), "Use deleteConnection to delete a connection.")
    yield from _schedule(given)
    yield from _streams(_set(given.sync_catalog))
    yield from _operations(_set(given.operations))
    if _set(given.sync_catalog) is not None and _set(given.skip_reset) is None:
        yield Problem(
            ("skip_reset",),
            ProblemCode.REQUIRED,
            "Say whether Airbyte may clear what changed streams have written: that goes with syncCatalog.",
        )
    if all(getattr(given, name) is UNSET for name in given.__struct_fields__ if name != "skip_reset"):
        yield Problem((), ProblemCode.REQUIRED, "Nothing is to be changed.")


def unknown_streams(
    given: inputs.AirbyteCatalogInput, discovered: wire.DeclaredCatalog | None, synced: Iterable[wire.Declared] = ()
) -> Iterator[Problem]:
    """Streams that were not discovered, and are not synced already; none where nothing is known to be discovered."""
    known = _names((discovered and discovered.streams) or ())
    names = known | _names(synced)
    for place, item in enumerate(given.streams if known else ()):
        if item.stream and (item.stream.namespace or "", item.stream.name) not in names:
            yield Problem(
                ("sync_catalog", "streams", place, "stream", "name"),
                ProblemCode.UNKNOWN_ID,
                "The source has no such stream, as far as it was discovered; see discoverSchema.",
            )


def _names(declared: Iterable[wire.Declared]) -> set[tuple[str, str]]:
    streams = [one.stream or one for one in declared]
    return {(stream.namespace or "", stream.name) for stream in streams if stream.name}


def _set(value: T | msgspec.UnsetType | None) -> T | None:
    return None if isinstance(value, msgspec.UnsetType) else value


def _invalid(place: Place, message: str) -> Problem:
    return Problem(place, ProblemCode.INVALID, message)


def _id(place: Place, id: Any) -> Iterator[Problem]:
    if isinstance(id, str) and not UUID.fullmatch(id):
        yield _invalid(place, "Airbyte's ids are UUIDs.")


def _schedule(given: inputs.AirbyteConnectionCreate | inputs.AirbyteConnectionUpdate) -> Iterator[Problem]:
    """The two forms of a schedule exclude each other, and each type goes with data of its own."""
    legacy, type, data = _set(given.schedule), _set(given.schedule_type), _set(given.schedule_data)
    if legacy is not None:
        if type is not None or data is not None:
            yield Problem(
                ("schedule",), ProblemCode.CONTRADICTION, "Give the old form of a schedule or the new one, not both."
            )
        yield from _interval(("schedule",), legacy)
    data = data or inputs.AirbyteScheduleDataInput()
    basic, cron = data.basic_schedule, data.cron
    wanted: Mapping[inputs.AirbyteScheduleType, tuple[str, Any, str, Any]] = {
        inputs.AirbyteScheduleType.BASIC: ("basic_schedule", basic, "cron", cron),
        inputs.AirbyteScheduleType.CRON: ("cron", cron, "basic_schedule", basic),
    }
    if type is not None and type in wanted:
        name, own, other_name, other = wanted[type]
        if own is None:
            yield Problem(("schedule_data", name), ProblemCode.REQUIRED, f"A schedule of type {type} has this.")
        if other is not None:
            yield Problem(
                ("schedule_data", other_name), ProblemCode.CONTRADICTION, f"A schedule of type {type} has no such data."
            )
    elif basic is not None or cron is not None:
        code = ProblemCode.REQUIRED if type is None else ProblemCode.CONTRADICTION
        yield Problem(("schedule_type",), code, "Data of a schedule goes with the type BASIC or CRON.")
    if basic is not None:
        yield from _interval(("schedule_data", "basic_schedule"), basic)
    if cron is not None:
        yield from _cron(("schedule_data", "cron"), cron)


def _interval(place: Place, given: inputs.AirbyteIntervalInput) -> Iterator[Problem]:
    if not 1 <= given.units <= MAX_UNITS:
        yield _invalid((*place, "units"), f"An interval is at least 1 and at most {MAX_UNITS} units long.")
    if given.time_unit is TimeUnit.UNKNOWN:
        yield _invalid((*place, "time_unit"), "UNKNOWN is for reading what an upstream says.")


def _cron(place: Place, given: inputs.AirbyteCronInput) -> Iterator[Problem]:
    if not quartz.is_allowed(given.cron_expression):
        yield _invalid(
            (*place, "cron_expression"),
            "This is no Quartz expression: six or seven fields, seconds first, and ? for one of the two days.",
        )
    if not quartz.is_zone(given.cron_time_zone):
        yield _invalid((*place, "cron_time_zone"), "This is no IANA time zone, such as Europe/Berlin.")
    elif given.cron_time_zone.startswith("Etc/"):  # ``ConnectionScheduleHelper``
        yield _invalid((*place, "cron_time_zone"), "Airbyte takes no zones of Etc/; UTC is one without it.")


def _streams(given: inputs.AirbyteCatalogInput | None) -> Iterator[Problem]:
    streams = given.streams if given is not None else ()
    place: Place = ("sync_catalog", "streams")
    if len(streams) > MAX_STREAMS:
        yield Problem(place, ProblemCode.TOO_MANY, f"A connection takes {MAX_STREAMS} streams at the most.")
        return
    times = Counter((item.stream.namespace or "", item.stream.name) for item in streams if item.stream)
    for at, item in enumerate(streams):
        yield from _stream((*place, at), item, times)


def _stream(
    place: Place, given: inputs.AirbyteConfiguredStreamInput, times: Counter[tuple[str, str]]
) -> Iterator[Problem]:
    stream, config = given.stream, given.config
    if stream is None:
        yield Problem((*place, "stream"), ProblemCode.REQUIRED, "Say which stream of the source this is.")
    elif times[stream.namespace or "", stream.name] > 1:
        yield Problem((*place, "stream", "name"), ProblemCode.CONTRADICTION, "This stream is here more than once.")
    if config is None:
        yield Problem((*place, "config"), ProblemCode.REQUIRED, "Say how the stream is to be synced.")
        return
    if config.field_selection_enabled and config.selected_fields is None:  # an empty list means no fields at all
        yield Problem(
            (*place, "config", "selected_fields"),
            ProblemCode.REQUIRED,
            "Say which fields are synced, or sync them all.",
        )
    has_key = config.primary_key or (stream is not None and stream.source_defined_primary_key)
    if config.destination_sync_mode in _DEDUPED and not has_key:
        yield Problem(
            (*place, "config", "primary_key"), ProblemCode.REQUIRED, "Without a key no row can be told from another."
        )


def _operations(given: tuple[inputs.AirbyteOperationInput, ...] | None) -> Iterator[Problem]:
    for place, operation in enumerate(given or ()):
        yield from _id(("operations", place, "workspace_id"), operation.workspace_id)
        yield from _id(("operations", place, "operation_id"), operation.operation_id)
        config = operation.operator_configuration
        members = {
            inputs.AirbyteOperatorType.DBT: ("dbt", config.dbt),
            inputs.AirbyteOperatorType.WEBHOOK: ("webhook", config.webhook),
        }
        name, member = members.get(config.operator_type, ("", config))
        if member is None:
            where: Place = ("operations", place, "operator_configuration", name)
            yield Problem(where, ProblemCode.REQUIRED, f"An operation of type {config.operator_type} has this.")
