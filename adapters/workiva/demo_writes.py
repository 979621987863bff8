"""What calls begin at the imitation of Wdata: refreshes of one connection and of several of one workbook.

Shapes are those of wdata-v1: POST ``/api/v1/connections/{id}/refresh``, GET ``/api/v1/connections/{id}/status``, POST
and GET ``/api/v1/connections/batch/refresh``. There is nothing else to write, and no way to stop a run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.imitation import Effect, iso, native_id
from adapters.refusals import Refused, refusing
from adapters.workiva.demo_answers import conflict, invalid, not_found
from adapters.workiva.demo_data import USERS, WORKSPACE, connection_id, ends, workbooks_of
from adapters.workiva.demo_runs import Parameters, Runs

BATCH_LIMIT = 100
_PATH = "/api/v1/connections"


class _Asked(msgspec.Struct, rename="camel"):
    """``RefreshConnectionDto``; of the upstream's flags and parameters each may be null."""

    connection_id: str | None = None
    source_parameters: dict[str, Any] | None = None
    destination_parameters: dict[str, Any] | None = None
    use_previous_source_parameters: bool | None = None
    use_previous_destination_parameters: bool | None = None
    workspace_id: str | None = None


class _Batch(NamedTuple):
    """A batch: when it was begun, and what each child is now."""

    id: str
    at: float
    children: Sequence[Callable[[], Mapping[str, Any]]]


class Rows(Protocol):
    """What is asked of the imitation."""

    run_lasts_s: float
    unwritable: set[str]
    effects: list[Effect]
    runs: Runs
    clock: Callable[[], float]
    size: int

    def number(self, id: object, below: int) -> int | None: ...


class Writes:
    """The routes of refreshes, over ``rows``.

    Effects are of the kinds refresh, with the id of the connection, one for each run that was begun, and batch, with
    the id of the batch, before those of its runs.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._batches: dict[str, _Batch] = {}

    def routes(self) -> list[Route]:
        return [
            # Before those of one connection, of which "batch" is no id.
            Route(f"{_PATH}/batch/refresh", refusing(self._refresh_batch), methods=["POST"]),
            Route(f"{_PATH}/batch/refresh/{{id}}", refusing(self._batch)),
            Route(f"{_PATH}/{{id}}/refresh", refusing(self._refresh), methods=["POST"]),
            Route(f"{_PATH}/{{id}}/status", refusing(self._status)),
        ]

    # --- one connection ---

    async def _refresh(self, request: Request) -> Response:
        number = self._found(request)
        asked = _decoded(await request.body(), _Asked)
        _check_workspace(asked.workspace_id)
        if self._rows.runs.is_running(number):
            raise Refused(conflict(connection_id(number)))
        return _enveloped(self._begun(number, asked))

    async def _status(self, request: Request) -> Response:
        """A run of the connection by its ``jobId``, or without one the last."""
        _check_workspace(request.query_params.get("workspaceId"))
        number, id = self._found(request), request.query_params.get("jobId")
        runs = self._rows.runs
        run = runs.last(number).get("lastRun") if id is None else runs.find(number, id)
        if run is None:
            raise Refused(not_found("connection" if id is None else "job"))
        return _enveloped(run)

    def _found(self, request: Request) -> int:
        number = self._rows.number(request.path_params["id"], self._rows.size)
        if number is None:
            raise Refused(not_found())
        return number

    def _begun(self, number: int, asked: _Asked) -> dict[str, Any]:
        rows, id = self._rows, connection_id(number)
        rows.effects.append(Effect("refresh", id))
        writable = id not in rows.unwritable
        return rows.runs.begin(number, rows.run_lasts_s, self._parameters(number, asked), writable=writable)

    def _parameters(self, number: int, asked: _Asked) -> Parameters:
        """Those given, or where it is asked for those of the last run, whatever is given."""
        source, destination = asked.source_parameters or {}, asked.destination_parameters or {}
        last = self._rows.runs.last(number)
        if asked.use_previous_source_parameters:
            source = last.get("lastRunSourceParameters", {})
        if asked.use_previous_destination_parameters:
            destination = last.get("lastRunDestinationParameters", {})
        return Parameters(source, destination)

    # --- several of one workbook ---

    async def _refresh_batch(self, request: Request) -> Response:
        asked = _decoded(await request.body(), list[_Asked])
        numbers = self._of_one_workbook(asked)
        calls_off = request.query_params.get("cancelUnwritables") == "true"
        rows, id = self._rows, native_id("batch", len(self._batches))
        rows.effects.append(Effect("batch", id))
        pairs = zip(numbers, asked, strict=True)
        children = [self._child(number, one, calls_off=calls_off) for number, one in pairs]
        self._batches[id] = _Batch(id, rows.clock(), children)
        return _enveloped(self._read(self._batches[id]))

    def _of_one_workbook(self, asked: Sequence[_Asked]) -> list[int]:
        """The numbers of the connections. Raises Refused where they cannot be refreshed together."""
        if not 1 <= len(asked) <= BATCH_LIMIT:
            raise Refused(invalid(f"between 1 and {BATCH_LIMIT} connections can be refreshed at once"))
        numbers: list[int] = []
        for one in asked:
            _check_workspace(one.workspace_id)
            number = self._rows.number(one.connection_id, self._rows.size)
            if number is None:
                raise Refused(invalid(f"connectionId {one.connection_id} is unknown"))
            numbers.append(number)
        if not reduce(frozenset[str].intersection, (workbooks_of(ends(number)) for number in numbers)):
            raise Refused(invalid("all connections must be of the same workbook"))
        return numbers

    def _child(self, number: int, asked: _Asked, *, calls_off: bool) -> Callable[[], Mapping[str, Any]]:
        """What this child is at any later moment."""
        runs, id = self._rows.runs, connection_id(number)
        if runs.is_running(number):
            refused = {"connectionId": id, "workspaceId": WORKSPACE, "error": "Connection is already being refreshed"}
            refused |= {"sourceStatus": "error", "destinationStatus": "error"}
            return lambda: refused
        if calls_off and id in self._rows.unwritable:
            cancelled = runs.cancelled(number, self._parameters(number, asked))
            return lambda: cancelled
        run = self._begun(number, asked)
        return lambda: runs.find(number, run["jobId"]) or run

    async def _batch(self, request: Request) -> Response:
        _check_workspace(request.query_params.get("workspaceId"))
        batch = self._batches.get(request.path_params["id"])
        if batch is None:
            raise Refused(not_found("batch"))
        return _enveloped(self._read(batch))

    def _read(self, batch: _Batch) -> dict[str, Any]:
        """A ``RefreshBatchDto``."""
        children = [child() for child in batch.children]
        return {
            "batchRefreshId": batch.id,
            "childRefreshes": children,
            "created": iso(batch.at),
            "createdBy": USERS[0],
            "updated": max((child["updated"] for child in children if "updated" in child), default=iso(batch.at)),
            "sourceStatus": _together(child["sourceStatus"] for child in children),
            "destinationStatus": _together(child["destinationStatus"] for child in children),
        }


def _together(statuses: Iterable[str]) -> str:
    """The status of a batch's side: nothing is at its end before all children are."""
    present = set(statuses)
    if len(present) == 1:
        return present.pop()
    if present & {"running", "not_started"}:
        return "running"
    return "error" if "error" in present else "complete"


def _decoded(raw: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(invalid("the body cannot be read", str(error))) from None


def _check_workspace(id: str | None) -> None:
    """A credential is bound to one workspace; naming it can only narrow."""
    if id not in (None, WORKSPACE):
        raise Refused(invalid("workspaceId is not of this credential"))


def _enveloped(body: Mapping[str, Any]) -> Response:
    return JSONResponse({"body": body, "code": 200})
