"""What is sent to Wdata to start runs, and how to see afterwards whether they were started.

Nothing else can be changed there. Wdata has no idempotency keys: what a lost answer leaves open is told by the last
run of the connection, which then is another one than before.
"""

import asyncio
import functools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from adapters import decode
from adapters.errors import AdapterError, ContractBroken, NotFound
from adapters.model import Run
from adapters.requests import Request
from adapters.secret import masked_map
from adapters.workiva import client, convert, inputs, wire
from adapters.workiva.client import Client
from adapters.workiva.details import WorkivaConnection, WorkivaRun
from adapters.workiva.inputs import WorkivaRunInput
from adapters.writing import Done, Draft, Lost, Problem, ProblemCode, Start, StartMany, Wish, refuse

MOST_AT_ONCE = 100
"""The most runs that one call starts (specification, ``refreshBatch``)."""
SPREADSHEETS = frozenset({"spreadsheet", "spreadsheet_section"})
"""Types of destinations whose runs may be started by one call."""
_READ_AT_ONCE = 8


class Drafts:
    """Makes drafts for one Wdata workspace, without any call."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def of(self, wish: Wish) -> Draft:
        """The draft of a wish. Raises Unfit."""
        match wish:
            case Start():
                return self._start(wish)
            case StartMany(starts):
                return self._start_many(starts)
            case _:
                raise TypeError(f"no wish for Workiva: {type(wish).__name__}")

    def _start(self, wish: Start) -> Draft:
        given, connection = _given(wish), wish.connection
        refuse(inputs.problems(given))
        run, done = connection.last_run, None
        if run is not None and run.status in convert.GOING_ON:
            details = connection.details
            refuse(_of_another(given, details.last_run if isinstance(details, WorkivaConnection) else None))
            done = Done(run=run, is_attached=True)

        async def read_back(lost: Lost) -> Done | None:
            now = await self._came_of(wish, lost)
            return Done(run=now, is_attached=lost.is_conflict, was_read_back=True) if now is not None else None

        request = client.START.of(ids={"connectionId": connection.native_id}, json=self._written(given))
        return Draft(request, _started, read_back, done=done)

    def _start_many(self, starts: Sequence[Start]) -> Draft:
        refuse(
            msgspec.structs.replace(problem, place=(place, *problem.place))
            for place, start in enumerate(starts)
            for problem in inputs.problems(_given(start))
        )

        async def read_back(lost: Lost) -> Done | None:
            runs: dict[str, Run | AdapterError] = {}
            for at in range(0, len(starts), _READ_AT_ONCE):
                some = starts[at : at + _READ_AT_ONCE]
                told = await asyncio.gather(*(self._came_of(start, lost) for start in some))
                for start, now in zip(some, told, strict=True):
                    if now is None:
                        return None
                    runs[start.connection.native_id] = now
            return Done(is_attached=lost.is_conflict, was_read_back=True, runs=runs)

        return Draft(self._request(starts), functools.partial(self._all_started, starts), read_back)

    def _request(self, starts: Sequence[Start]) -> Request:
        body = [{"connectionId": start.connection.native_id, **self._written(_given(start))} for start in starts]
        cancel = _given(starts[0]).cancel_unwritables  # the same in a group
        asked = [] if cancel is None else [("cancelUnwritables", "true" if cancel else "false")]
        return client.START_MANY.of(query=asked, json=body, batch=len(starts))

    def _written(self, given: WorkivaRunInput) -> dict[str, Any]:
        workspace_id = self._client.workspace_id
        return inputs.written(given) | ({"workspaceId": workspace_id} if workspace_id else {})

    async def _came_of(self, wish: Start, lost: Lost) -> Run | None:
        """The last run, if it is what was wished for: another one than before or, where that was in conflict with the
        one that goes on, that one."""
        try:
            now = await self._client.get_status(wish.connection.native_id)
        except NotFound:  # it has never run
            return None
        run, before = convert.run(now), wish.connection.last_run
        # Of a run before that has no id, nobody can tell whether it is another one.
        is_new = run.id is not None and (before is None or before.id not in (None, run.id))
        is_in_the_way = lost.is_conflict and run.status in convert.GOING_ON
        is_ours = not any(_of_another(_given(wish), convert.run_details(now)))
        return run if (is_new or is_in_the_way) and is_ours else None

    def _all_started(self, starts: Sequence[Start], body: bytes) -> Done:
        batch = decode.whole(body, wire.SingleBatch).body
        if batch.child_refreshes is None and not batch.error:
            raise ContractBroken("a required field is missing", path="$.body.childRefreshes")
        told = {row.connection_id: row for row in decode.rows(batch.child_refreshes or (), wire.ConnectionRun).rows}
        ids = [start.connection.native_id for start in starts]
        return Done(runs={id: self._child(told.get(id), batch.error) for id in ids})

    def _child(self, told: wire.ConnectionRun | None, error: str | None) -> Run | AdapterError:
        """The run of a connection in a batch; what says that there is none, where there is none."""
        if told is not None and (told.job_id or told.error):
            return convert.run(told)
        if error:
            return convert.not_started(error)
        broken = ContractBroken(
            "the answer does not tell of this run",
            instance=self._client.transport.instance,
            provider=self._client.transport.provider,
            operation=client.START_MANY.operation,
            path="$.body.childRefreshes",
        )
        broken.may_have_happened = True
        return broken


def grouped(starts: Sequence[Start]) -> list[list[Start]]:
    """The starts in groups that one call may start, in the order of their first.

    The specification allows it for "multiple incoming connections within the same spreadsheet", and for outgoing ones
    "if they are all connected to the same workbook", a hundred at a time. A row tells the id of its destination and no
    more: the same id of a spreadsheet or of a section is the same spreadsheet for certain, but sections of one have ids
    of their own, as far as is known, and stay apart although they could go together. Whatever could not go together is
    refused by Wdata as a whole.
    """
    groups: dict[Hashable, list[Start]] = {}
    ids: set[str] = set()
    for number, start in enumerate(starts):
        # The same connection twice would be one run in the answer.
        key = _shared(start) if start.connection.native_id not in ids else None
        ids.add(start.connection.native_id)
        groups.setdefault(number if key is None else key, []).append(start)
    return [group[at : at + MOST_AT_ONCE] for group in groups.values() for at in range(0, len(group), MOST_AT_ONCE)]


def _shared(start: Start) -> Hashable | None:
    """What this has in common with those that it can be started with; None where it is to be started alone."""
    given, run, end = _given(start), start.connection.last_run, start.connection.destination
    if end is None or not end.id or end.type not in SPREADSHEETS:
        return None
    # Of parameters of the run before, the specification says once that a batch ignores them, and once that it does not.
    if inputs.uses_previous(given, *inputs.SIDES) or any(inputs.problems(given)):
        return None
    if run is not None and run.status in convert.GOING_ON:
        return None  # there is nothing to start, and the others would be refused with it
    return end.id, given.cancel_unwritables


def _given(wish: Start) -> WorkivaRunInput:
    if wish.input is None:
        return inputs.NOTHING
    if not isinstance(wish.input, WorkivaRunInput):
        raise TypeError(f"no input for Workiva: {type(wish.input).__name__}")
    return wish.input


def _of_another(given: WorkivaRunInput, run: WorkivaRun | None) -> Iterator[Problem]:
    """What is wrong with taking this run for one that is started so: it has other parameters. What Wdata adds of its
    own is no difference, and neither is what it does not tell."""
    for side in inputs.SIDES:
        name = f"{side}_parameters"
        wanted: dict[str, Any] | None = getattr(given, name)
        told: Mapping[str, Any] | None = getattr(run, name, None)
        if wanted and told is not None and not (masked_map(wanted) or {}).items() <= told.items():
            yield Problem((name,), ProblemCode.RUNNING_ALREADY, "A run with other parameters goes on.")


def _started(body: bytes) -> Done:
    given = decode.whole(body, wire.SingleRun).body
    if not given.job_id and not given.error:
        raise ContractBroken("a required field is missing", path="$.body.jobId")
    return Done(run=convert.run(given))
