"""What calls write to the imitation of Airbyte: connections are created, updated and deleted, jobs begun and ended."""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

import msgspec
from starlette.responses import JSONResponse, Response

from adapters.airbyte.demo_answers import (
    Body,
    Handler,
    conflict,
    failure,
    not_found,
    readable,
    required,
    unreadable,
)
from adapters.airbyte.demo_catalog import operation_id, operations
from adapters.airbyte.demo_data import PLANTED
from adapters.airbyte.demo_jobs import CLEAR, REFRESH, RESET, SYNC, Job
from adapters.airbyte.demo_rows import AirbyteRows, Placed
from adapters.imitation import Effect, native_id
from adapters.refusals import Refused

_KEPT = (
    "name",
    "namespaceDefinition",
    "namespaceFormat",
    "prefix",
    "syncCatalog",
    "status",
    "resourceRequirements",
    "geography",
    "nonBreakingChangesPreference",
)
"""What is kept under the name it came with."""
_KEPT_LATER = ("notifySchemaChanges", "dataplaneGroupId")


class _Interval(msgspec.Struct, rename="camel"):
    time_unit: Literal["minutes", "hours", "days", "weeks", "months"]
    units: int


class _Cron(msgspec.Struct, rename="camel"):
    cron_expression: str
    cron_time_zone: str


class _ScheduleData(msgspec.Struct, rename="camel"):
    basic_schedule: _Interval | None = None
    cron: _Cron | None = None


class _Stream(msgspec.Struct):
    name: str
    namespace: str | None = None


class _StreamConfig(msgspec.Struct, rename="camel"):
    sync_mode: Literal["full_refresh", "incremental"]
    destination_sync_mode: str


class _ConfiguredStream(msgspec.Struct):
    stream: _Stream
    config: _StreamConfig


class _Catalog(msgspec.Struct):
    streams: list[_ConfiguredStream]


class _Operation(msgspec.Struct, rename="camel"):
    workspace_id: UUID
    name: str
    operator_configuration: dict[str, Any]
    operation_id: UUID | None = None


class _Written(msgspec.Struct, rename="camel"):
    """The kinds of what ``WebBackendConnectionCreate`` and ``WebBackendConnectionUpdate`` have in common."""

    name: str | None = None
    namespace_definition: Literal["source", "destination", "customformat"] | None = None
    namespace_format: str | None = None
    prefix: str | None = None
    sync_catalog: _Catalog | None = None
    schedule: _Interval | None = None
    schedule_type: Literal["manual", "basic", "cron"] | None = None
    schedule_data: _ScheduleData | None = None
    status: Literal["active", "inactive", "deprecated"] | None = None
    resource_requirements: dict[str, str | None] | None = None
    operations: list[_Operation] | None = None
    source_catalog_id: UUID | None = None
    geography: Literal["auto", "us", "eu"] | None = None
    non_breaking_changes_preference: Literal["ignore", "disable", "propagate_columns", "propagate_fully"] | None = None
    notify_schema_changes: bool | None = None


class _Create(_Written, rename="camel"):
    source_id: UUID | None = None
    destination_id: UUID | None = None
    operation_ids: list[UUID] | None = None


class _Update(_Written, rename="camel"):
    connection_id: UUID | None = None
    skip_reset: bool | None = None


class Writes:
    """The handlers of calls that change something, over ``rows``.

    Effects are of the kinds create, update, delete, sync, reset, refresh and clear, with the id of the connection, and
    cancel, with that of the job. An update that resets streams has two.
    """

    def __init__(self, rows: AirbyteRows) -> None:
        self._rows = rows
        self._operations: dict[str, dict[str, Any]] = {}

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "/v1/web_backend/connections/create": self._create,
            "/v1/web_backend/connections/update": self._update,
            "/v1/connections/delete": self._delete,
            "/v1/connections/sync": lambda body: self._begin(body, SYNC),
            "/v1/connections/reset": lambda body: self._begin(body, RESET),
            "/v1/connections/refresh": self._refresh,
            "/v1/connections/clear": self._clear,
            "/v1/jobs/cancel": self._cancel,
        }

    # --- connections ---

    def _create(self, body: Body) -> Response:
        required(body, "sourceId", "destinationId", "status")
        readable(body, _Create)
        placed, name = self._placed(body)
        written = self._defaults() | {"name": name, **self._asked(body), **_schedule(body)}
        kept = [self._operation(id) for id in body.get("operationIds") or ()]
        written |= _with_operations([*kept, *map(self._new_operation, body.get("operations") or ())])
        number = self._rows.add()
        self._rows.placed[number], self._rows.written[number] = placed, written
        self._rows.jobs.quiet.add(number)
        self._settled(number, "create")
        return JSONResponse(self._rows.read(number))

    def _placed(self, body: Body) -> tuple[Placed, str]:
        """Where the new connection stands, and the name it has unless it is given one."""
        rows = self._rows
        source, destination = (rows.first(side, body[f"{side}Id"]) for side in ("source", "destination"))
        workspace = rows.workspace_of(source)
        if workspace != rows.workspace_of(destination):
            message = "Source and destination must belong to the same workspace."
            raise Refused(failure(400, message, "KnownException"))
        placed = Placed(workspace, rows.place("source", source), rows.place("destination", destination))
        names = rows.end_of("source", source)["name"], rows.end_of("destination", destination)["name"]
        return placed, " <> ".join(names)

    def _defaults(self) -> dict[str, Any]:
        """What upstream gives a connection that was created with nothing but what is required."""
        region: dict[str, Any] = {"geography": "auto"}
        if self._rows.generation == "cursor":
            region = {"dataplaneGroupId": str(UUID(native_id("dataplane"))), "createdAt": int(self._rows.clock())}
        return {
            "namespaceDefinition": "source",
            "syncCatalog": {"streams": []},
            "scheduleType": "manual",
            "nonBreakingChangesPreference": "ignore",
            "notifySchemaChanges": True,
            **region,
        }

    def _update(self, body: Body) -> Response:
        required(body, "connectionId")
        readable(body, _Update)
        number = self._rows.known(body["connectionId"])
        before = self._rows.read(number)
        status = body.get("status") or before["status"]
        if before["status"] == "deprecated" != status:
            raise conflict("A deprecated connection is off and cannot be re-activated.")
        written = {**self._asked(body), **_schedule(body)}
        if (asked := body.get("operations")) is not None:
            written |= _with_operations([self._put_operation(one, before["operations"]) for one in asked])
        if status != before["status"]:
            self._rows.jobs.halt(number)
        self._rows.written[number] = self._rows.written.get(number, {}) | written
        self._settled(number, "update")
        if written.get("syncCatalog", before["syncCatalog"]) != before["syncCatalog"] and not body.get("skipReset"):
            self._reset_instead(number)
        return JSONResponse(self._rows.read(number))

    def _asked(self, body: Body) -> dict[str, Any]:
        """What the body gives that is kept as it came. Null says nothing."""
        names = _KEPT + (_KEPT_LATER if self._rows.generation == "cursor" else ("notifySchemaChanges",))
        asked = {name: body[name] for name in names if body.get(name) is not None}
        catalog_id = body.get("sourceCatalogId")
        return asked if catalog_id is None else {**asked, "catalogId": catalog_id}

    def _settled(self, number: int, kind: str) -> None:
        """A write to this connection is done."""
        id = self._rows.id_of(number)
        if self._rows.status(number) == "deprecated":
            self._rows.unlisted.add(id)
        self._rows.touched(number)
        self._rows.effects.append(Effect(kind, id))

    def _delete(self, body: Body) -> Response:
        required(body, "connectionId")
        number = self._rows.known(body["connectionId"])
        self._rows.jobs.halt(number)
        self._end_running(number)
        self._rows.written[number] = self._rows.written.get(number, {}) | {"status": "deprecated"}
        self._settled(number, "delete")
        return Response(status_code=204)

    # --- operations ---

    def _operation(self, id: str) -> dict[str, Any]:
        rows = self._rows
        if id in self._operations:
            return self._operations[id]
        number = next((number for number in range(rows.size) if operation_id(number) == id), rows.size)
        if number < rows.size and number not in rows.placed:
            for operation in operations(number, rows.workspace_of(number), PLANTED):
                return operation
        raise not_found("STANDARD_SYNC_OPERATION", id)

    def _new_operation(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        id = str(UUID(native_id("operation", "written", len(self._operations))))
        self._operations[id] = {**asked, "operationId": id}
        return self._operations[id]

    def _put_operation(self, asked: Mapping[str, Any], present: list[dict[str, Any]]) -> dict[str, Any]:
        """A ``WebBackendOperationCreateOrUpdate``: with an id one that is there, without one that is new."""
        id = asked.get("operationId")
        if id is None:
            return self._new_operation({name: value for name, value in asked.items() if name != "operationId"})
        if id not in [operation["operationId"] for operation in present]:
            raise not_found("STANDARD_SYNC_OPERATION", id)
        self._operations[id] = dict(asked)
        return self._operations[id]

    # --- jobs ---

    def _refresh(self, body: Body) -> Response:
        """Of later versions alone, as is the next."""
        self._known_later()
        self._begin(body, REFRESH)
        return JSONResponse({"value": True})

    def _clear(self, body: Body) -> Response:
        self._known_later()
        return self._begin(body, CLEAR)

    def _known_later(self) -> None:
        if self._rows.generation != "cursor":
            raise Refused(failure(404, "Object not found.", "NotFoundException"))

    def _begin(self, body: Body, type: str) -> Response:
        required(body, "connectionId")
        number = self._rows.known(body["connectionId"])
        if self._rows.status(number) != "active" or self._rows.jobs.running(number) is not None:
            # In these words for connections that are switched off too.
            raise conflict(f"A sync is already running for: {body['connectionId']}")
        return self._info(self._began(number, type))

    def _began(self, number: int, type: str) -> Job:
        rows = self._rows
        streams = [] if type == SYNC else _streams(rows.read(number)["syncCatalog"])
        rows.effects.append(Effect("reset" if type == RESET else type, rows.id_of(number)))
        return rows.jobs.begin(number, type, rows.sync_lasts_s, streams)

    def _reset_instead(self, number: int) -> None:
        """A reset in place of whatever runs, as the upstream's own workflow does when a catalog changes."""
        self._end_running(number)
        self._began(number, RESET)

    def _end_running(self, number: int) -> None:
        while (job := self._rows.jobs.running(number)) is not None:
            self._rows.jobs.cancel(job)

    def _cancel(self, body: Body) -> Response:
        required(body, "id")
        id, rows = body["id"], self._rows
        job = rows.jobs.find(id, rows.size) if isinstance(id, int) else None
        if job is None:
            raise not_found("JOB", id)
        if job.has_ended:
            raise conflict(f"Job {id} has ended and cannot be cancelled.")
        rows.jobs.cancel(job)
        rows.effects.append(Effect("cancel", str(id)))
        found = rows.jobs.find(id, rows.size)
        return self._info(found or job)

    def _info(self, job: Job) -> Response:
        return JSONResponse(job.info(self._rows.clock()))


def _with_operations(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {"operationIds": [one["operationId"] for one in found], "operations": found}


def _streams(catalog: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A ``StreamDescriptor`` of each stream."""
    streams = [configured["stream"] for configured in catalog["streams"]]
    return [{name: stream[name] for name in ("name", "namespace") if name in stream} for stream in streams]


def _schedule(body: Body) -> dict[str, Any]:
    """The schedule that the body gives, the legacy form as the newer one; nothing where it gives none."""
    kind, legacy = body.get("scheduleType"), body.get("schedule")
    data: dict[str, Any] = body.get("scheduleData") or {}
    if kind is None:
        return {} if legacy is None else {"scheduleType": "basic", "scheduleData": {"basicSchedule": legacy}}
    if kind == "manual":
        return {"scheduleType": kind, "scheduleData": None}
    part = {"basic": "basicSchedule", "cron": "cron"}[kind]
    if data.get(part) is None:
        raise unreadable(f"if schedule type is {kind}, then scheduleData.{part} must be populated")
    if kind == "cron" and len(data["cron"]["cronExpression"].split()) not in (6, 7):
        raise unreadable("scheduleData.cron.cronExpression is no expression of Quartz")
    return {"scheduleType": kind, "scheduleData": {part: data[part]}}
