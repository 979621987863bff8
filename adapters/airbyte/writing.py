"""What is sent to Airbyte to change something, and how to see afterwards whether it was done.

Airbyte has no idempotency keys and no versions of records. What a lost answer leaves open is told by what stood there
before: the connections with the same ends, the newest job, the record itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec

from adapters import decode
from adapters.airbyte import checks, client, convert, inputs, wire
from adapters.airbyte.client import Client
from adapters.airbyte.convert_details import catalog
from adapters.capabilities import is_running
from adapters.errors import ContractBroken, NotFound
from adapters.model import Connection, Run
from adapters.requests import Request
from adapters.secret import masked_text
from adapters.writing import (
    Cancel,
    Change,
    Check,
    Checked,
    Create,
    Delete,
    Discover,
    Done,
    Draft,
    Enable,
    Lost,
    Place,
    Problem,
    ProblemCode,
    Reset,
    Side,
    Start,
    Unfit,
    Update,
    Wish,
    change,
    refuse,
)

T = TypeVar("T")

WORKING = frozenset({"pending", "queued", "running", "incomplete"})
"""Statuses of a job that has not ended, or not for good: one that is incomplete may be tried once more."""
KINDS: Mapping[str, str] = {"sync": "sync", "refresh": "sync", "reset_connection": "reset", "clear": "reset"}
"""What a job does, by its type."""
SIDES: Mapping[Side, tuple[str, Request]] = {
    Side.SOURCE: ("sourceId", client.CHECK_SOURCE),
    Side.DESTINATION: ("destinationId", client.CHECK_DESTINATION),
}
ON_THE_RECORD = {"sourceCatalogId": "catalogId"}
"""Fields that a record has under another name than a change has."""
REPLACED = frozenset(
    (
        "cpu_request",
        "cpu_limit",
        "memory_request",
        "memory_limit",
        "cursorField",
        "primaryKey",
        "fieldSelectionEnabled",
        "selectedFields",
    )
)
"""Members that go where what they are part of is given without them: Airbyte replaces that as a whole, and adds none of
these of its own."""
_DIGITS = len(str(2**63))
"""As many as the longest id of a job has."""
SAME_ENDS = 500
"""Connections with the same source and destination that are looked at; more have never been heard of."""


class Drafts:
    """Makes drafts for one Airbyte, of the workspaces that are configured, or of all where none are."""

    def __init__(self, client: Client, workspaces: Collection[str]) -> None:
        self._client = client
        self._workspaces = workspaces  # in lower case

    async def of(self, wish: Wish) -> Draft:  # noqa: PLR0911  a table of cases
        """The draft of a wish. Raises Unfit and AdapterError."""
        match wish:
            case Create(input=inputs.AirbyteConnectionCreate() as given):
                return await self._create(given)
            case Update(connection, inputs.AirbyteConnectionUpdate() as given):
                return await self._update(connection.native_id, given)
            case Enable(connection, enabled):
                return await self._enable(connection.native_id, enabled)
            case Start(connection):
                return await self._job(connection, client.SYNC, "sync")
            case Reset(connection):
                return await self._job(connection, client.RESET, "reset")
            case Cancel(connection, run_id):
                return await self._cancel(connection.native_id, run_id)
            case Delete(connection):
                return self._delete(connection.native_id)
            case Check(side, id):
                return await self._check(side, id)
            case Discover(source_id, anew):
                return await self._discover(source_id, anew=anew)
            case _:
                raise TypeError(f"no wish for Airbyte: {type(wish).__name__}")

    # --- connections ---

    async def _create(self, given: inputs.AirbyteConnectionCreate) -> Draft:
        refuse(checks.of_create(given))
        source, destination, known = await asyncio.gather(
            _found(self._client.get_source(given.source_id)),
            _found(self._client.get_destination(given.destination_id)),
            self._known_streams(given.source_id, given.sync_catalog),
        )
        refuse([*self._misplaced(source, destination), *self._elsewhere(given.operations)])
        if given.sync_catalog is not None:
            refuse(checks.unknown_streams(given.sync_catalog, known))
        assert source is not None  # noqa: S101  it was refused otherwise
        workspace_id = source.workspace_id or ""
        ends = {"sourceId": [given.source_id], "destinationId": [given.destination_id]}
        before = await self._named(workspace_id, ends)

        async def read_back(_: Lost) -> Done | None:
            now = await self._named(workspace_id, ends)
            new = [id for id, name in now.items() if id not in before and given.name in (None, name)]
            return Done(native_id=new[0], was_read_back=True) if len(new) == 1 else None

        request = client.CREATE.of(json=inputs.written(given))
        changes = tuple(change(name, None, value) for name, value in request.json.items())
        return Draft(request, _made, read_back, changes)

    def _misplaced(self, source: wire.Source | None, destination: wire.Destination | None) -> list[Problem]:
        problems: list[Problem] = []
        for place, end in ((("source_id",), source), (("destination_id",), destination)):
            if end is None or self._is_elsewhere(end.workspace_id):
                problems.append(Problem(place, ProblemCode.UNKNOWN_ID, "The instance has nothing with this id."))
        if source and destination and not problems and source.workspace_id != destination.workspace_id:
            message = "Source and destination must be of one workspace."
            problems.append(Problem(("destination_id",), ProblemCode.CONTRADICTION, message))
        return problems

    def _elsewhere(
        self, operations: Sequence[inputs.AirbyteOperationInput] | msgspec.UnsetType | None
    ) -> list[Problem]:
        """What is wrong with operations that would be kept in workspaces which are not configured."""
        if not operations:
            return []
        message = "The instance has no workspace with this id."
        return [
            Problem(("operations", place, "workspace_id"), ProblemCode.UNKNOWN_ID, message)
            for place, operation in enumerate(operations)
            if self._is_elsewhere(operation.workspace_id)
        ]

    def _is_elsewhere(self, workspace_id: str | None) -> bool:
        """Whether this is a workspace that is not configured."""
        return bool(self._workspaces) and (workspace_id or "").lower() not in self._workspaces

    async def _known_streams(self, source_id: str, given: object) -> wire.DeclaredCatalog | None:
        return await self._client.get_catalog(source_id) if given is not None else None

    async def _named(self, workspace_id: str, ends: Mapping[str, Sequence[str]]) -> Mapping[str, str | None]:
        """The connections with these ends: their names by id."""
        page = await self._client.list_connections(workspace_id, limit=SAME_ENDS, asked=ends)
        rows = page.rows.rows if isinstance(page, client.ConnectionPage) else ()
        return {row.connection_id: row.name for row in rows if isinstance(row, wire.ListItem)}

    async def _update(self, id: str, given: inputs.AirbyteConnectionUpdate) -> Draft:
        refuse([*checks.of_update(given), *self._elsewhere(given.operations)])
        body = await self._client.get_document(id)
        if isinstance(given.sync_catalog, inputs.AirbyteCatalogInput):
            source_id = decode.whole(body, wire.Brief).source_id
            discovered = await self._client.get_catalog(source_id) if source_id else None
            refuse(checks.unknown_streams(given.sync_catalog, discovered, _synced(body)))
        cleared = {
            field.encode_name: checks.CLEARED[field.name]
            for field in msgspec.structs.fields(given)
            if getattr(given, field.name) is None
        }
        return self._changed(id, body, inputs.written(given) | cleared)

    async def _enable(self, id: str, enabled: bool) -> Draft:
        body = await self._client.get_document(id)
        return self._changed(id, body, {"status": "active" if enabled else "inactive"})

    def _changed(self, id: str, body: bytes, patch: Mapping[str, Any]) -> Draft:
        wanted = {name: value for name, value in patch.items() if name != "skipReset"}

        async def read_back(_: Lost) -> Done | None:
            now = _document(await self._client.get_document(id))
            return Done(was_read_back=True) if all(_holds(now, name, value) for name, value in wanted.items()) else None

        record = _document(body)
        shown = record | {"operations": _operations(body)} if "operations" in wanted else record
        changes = tuple(
            change(name, shown.get(ON_THE_RECORD.get(name, name)), value)
            for name, value in wanted.items()
            if not _holds(record, name, value)
        )
        request = client.UPDATE.of(json={"connectionId": id, **patch})
        return Draft(request, _changed, read_back, changes)

    def _delete(self, id: str) -> Draft:
        async def read_back(_: Lost) -> Done | None:
            try:
                record = _document(await self._client.get_document(id))
            except NotFound:
                return Done(was_read_back=True)
            return Done(was_read_back=True) if record.get("status") == "deprecated" else None

        request = client.DELETE.of(json={"connectionId": id})
        return Draft(request, _nothing, read_back, (Change(field="status", after="deprecated"),))

    # --- jobs ---

    async def _job(self, connection: Connection, request: Request, kind: str) -> Draft:
        """A job of this kind. One that goes on already is what is wished for; one of another kind is in its way."""
        id = connection.native_id
        newest = await self._newest(id)
        done: Done | None = None
        if newest is not None and _goes_on(newest.job, connection):
            if KINDS.get(newest.job.config_type or "") != kind:
                raise Unfit(Problem((), ProblemCode.RUNNING_ALREADY, "Another kind of job goes on."))
            done = Done(run=convert.run(newest), is_attached=True)
        before = newest.job.id if newest is not None else None

        async def read_back(lost: Lost) -> Done | None:
            now = await self._newest(id)
            if now is None or KINDS.get(now.job.config_type or "") != kind:
                return None
            if now.job.id == before and not (lost.is_conflict and now.job.status in WORKING):
                return None
            return Done(run=convert.run(now), is_attached=lost.is_conflict, was_read_back=True)

        return Draft(request.of(json={"connectionId": id}), _started, read_back, done=done)

    async def _newest(self, id: str) -> wire.JobWithAttempts | None:
        # What goes on may be of any type, and what it is decides whether anything is sent.
        page = await self._client.list_jobs(id, limit=1, offset=0, of_all=True)
        return page.rows.rows[0] if page.rows.rows else None

    async def _cancel(self, id: str, run_id: str | None) -> Draft:
        job = await self._to_cancel(id, run_id)

        async def read_back(_: Lost) -> Done | None:
            now = await self._client.get_job(job.id)
            return Done(run=_run(now), was_read_back=True) if now.job.status == "cancelled" else None

        change = Change(field="status", before=job.status, after="cancelled")
        return Draft(client.CANCEL.of(json={"id": job.id}), _started, read_back, (change,))

    async def _to_cancel(self, id: str, run_id: str | None) -> wire.Job:
        """The job of this id, or the one that goes on. Raises Unfit where there is none, or it has ended."""
        place: Place = () if run_id is None else ("run_id",)
        if run_id is None:
            newest = await self._newest(id)
            job = newest.job if newest is not None else None
        else:
            known = await _found(self._client.get_job(int(run_id))) if _is_job_id(run_id) else None
            job = known.job if known is not None and known.job.config_id == id else None
            if job is None:
                raise Unfit(Problem(place, ProblemCode.UNKNOWN_ID, "The connection has no run with this id."))
        if job is None or job.status not in WORKING:
            raise Unfit(Problem(place, ProblemCode.NOT_RUNNING, "There is nothing to cancel: the run has ended."))
        return job

    # --- what makes the upstream work ---

    async def _check(self, side: Side, id: str) -> Draft:
        await self._known_end(side, id, ("endpoint_id",))
        name, request = SIDES[side]
        return Draft(request.of(json={name: id}, timeout_s=self._client.task_timeout_s), _checked)

    async def _discover(self, source_id: str, *, anew: bool) -> Draft:
        await self._known_end(Side.SOURCE, source_id, ("source_id",))
        body = {"sourceId": source_id, "disable_cache": anew}
        return Draft(client.DISCOVER.of(json=body, timeout_s=self._client.task_timeout_s), _discovered)

    async def _known_end(self, side: Side, id: str, place: Place) -> None:
        """Raises Unfit for an id that no source or destination has."""
        if not checks.UUID.fullmatch(id):
            raise Unfit(Problem(place, ProblemCode.INVALID, "Airbyte's ids are UUIDs."))
        get: Callable[[str], Awaitable[wire.Source | wire.Destination]]
        get = self._client.get_source if side is Side.SOURCE else self._client.get_destination
        end = await _found(get(id))
        if end is None or self._is_elsewhere(end.workspace_id):
            raise Unfit(Problem(place, ProblemCode.UNKNOWN_ID, "The instance has nothing with this id."))


def _document(body: bytes) -> dict[str, Any]:
    """A full record by its names on the wire. It holds credentials."""
    return decode.whole(body, dict[str, Any])


def _operations(body: bytes) -> list[Any] | None:
    """The operations of a full record as far as they are read, which is nothing that people may not see."""
    operations = decode.whole(body, wire.Kept).operations
    return operations and [inputs.written(one) for one in decode.rows(operations, wire.Operation).rows]


def _synced(body: bytes) -> Sequence[wire.Declared]:
    """The streams of a full record, as far as their names can be read."""
    catalog = decode.whole(body, wire.Kept).sync_catalog
    return decode.rows((catalog and catalog.streams) or (), wire.Declared).rows


async def _found(asked: Awaitable[T]) -> T | None:
    try:
        return await asked
    except NotFound:
        return None


def _goes_on(job: wire.Job, connection: Connection) -> bool:
    """Whether a job goes on. One that waits, for its first attempt or, incomplete, for its next, does so only as long
    as its connection counts as syncing."""
    return job.status == "running" or (job.status in WORKING and is_running(connection))


def _is_job_id(text: str) -> bool:
    # By its length first: Python reads no number of thousands of digits.
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS and int(text) < 2**63


def _made(body: bytes) -> Done:
    return Done(decode.whole(body, wire.Made).connection_id)


def _changed(body: bytes) -> Done:
    decode.whole(body, wire.Made)
    return Done()


def _nothing(_: bytes) -> Done:
    return Done()  # the answer has no body


def _started(body: bytes) -> Done:
    return Done(run=_run(decode.whole(body, wire.JobInfo)))


def _run(info: wire.JobInfo) -> Run:
    attempts = [item.attempt for item in info.attempts or () if item.attempt is not None]
    return convert.run(wire.JobWithAttempts(info.job, attempts))


def _checked(body: bytes) -> Done:
    answer = decode.whole(body, wire.CheckConnection)
    if answer.status is None:
        raise ContractBroken("a required field is missing", path="$.status")
    return Done(checked=_verdict(answer.status == "succeeded", answer.message))


def _verdict(succeeded: bool, message: str | None) -> Checked:
    return Checked(succeeded=succeeded, message=masked_text(message) if message else None)


def _discovered(body: bytes) -> Done:
    answer = decode.whole(body, wire.Discovered)
    if answer.catalog is None:
        return Done(checked=_verdict(False, "The source could not be read."))
    return Done(checked=_verdict(True, None), catalog=catalog(answer.catalog), catalog_id=answer.catalog_id)


def _holds(record: Mapping[str, Any], name: str, value: Any) -> bool:
    """Whether a record has this value, as far as the value says anything: what Airbyte adds of its own is no
    difference, and what goes where it is left out is one. Nothing and an empty value are the same."""
    return _covers(record.get(ON_THE_RECORD.get(name, name)), value)


def _covers(there: Any, wanted: Any) -> bool:
    if not wanted and wanted is not False and wanted != 0:
        return not there
    if isinstance(wanted, dict) and isinstance(there, dict):
        items, known = cast("dict[str, Any]", wanted), cast("dict[str, Any]", there)
        return all(_covers(known.get(name), items.get(name)) for name in items.keys() | (REPLACED & known.keys()))
    if isinstance(wanted, list) and isinstance(there, list):
        pairs = list(zip(cast("list[Any]", there), cast("list[Any]", wanted), strict=False))
        return len(cast("list[Any]", there)) == len(cast("list[Any]", wanted)) and all(_covers(*pair) for pair in pairs)
    return there == wanted
