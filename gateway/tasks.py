"""Work that an upstream takes minutes for: begun by a mutation, answered at once with an id, and followed by it.

A task is known to every worker that shares the ledger, and its outcome outlives the process that waited for it. One
whose answer was lost, or whose process ended, is told as what it is: unknown.
"""

import asyncio
import datetime as dt
import logging
import sqlite3
import uuid
from collections import OrderedDict
from typing import Any, cast

import msgspec

from adapters import deadline, errors
from adapters.capabilities import Capability
from adapters.flight import look_at
from adapters.model import Record, RunStatus
from adapters.writing import Checked, Done, Draft, Wish
from gateway.errors import Code, code_of
from gateway.instances import Instance
from gateway.ledger import Ledger

log = logging.getLogger(__name__)

NO_CATALOG = msgspec.Raw(b"null")
SLACK_S = 5.0
"""How long after its time a task's outcome may still be written down."""
MOST_UNWRITTEN = 256
"""Outcomes that this process remembers where the ledger could not take them: the latest."""


class TaskError(Record, frozen=True, kw_only=True):
    """Why a task did not come to an end."""

    code: str
    message: str


class Task(Record, frozen=True, kw_only=True):
    """One task, as it is now. ``catalog`` is the provider's own record, as JSON."""

    id: str
    instance: str
    action: Capability
    status: RunStatus
    started_at: dt.datetime
    ends_by: dt.datetime
    ended_at: dt.datetime | None = None
    checked: Checked | None = None
    catalog: msgspec.Raw = NO_CATALOG
    catalog_id: str | None = None
    error: TaskError | None = None


class Tasks:
    """The tasks of this process, and the outcomes of all that share the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._running: dict[asyncio.Task[None], tuple[Task, str]] = {}
        self._ended: set[asyncio.Task[None]] = set()
        """Those whose outcome is there, and on its way to the ledger."""
        self._unwritten: OrderedDict[tuple[str, str], Task] = OrderedDict()
        """By id and caller, those whose outcome the ledger could not take."""

    async def begin(self, instance: Instance, wish: Wish, draft: Draft, caller: str) -> str:
        """Send the draft, and give the id of the task that waits for what comes of it."""
        now = dt.datetime.now(dt.UTC)
        lasts_s = draft.request.timeout_s or instance.adapter.transport.write_timeout_s
        task = Task(
            id=uuid.uuid4().hex,
            instance=instance.name,
            action=wish.action,
            status=RunStatus.RUNNING,
            started_at=now,
            ends_by=now + dt.timedelta(seconds=lasts_s + SLACK_S),
        )
        await self._note(task, caller)
        running = asyncio.create_task(self._followed(instance, draft, task, caller, lasts_s))
        self._running[running] = task, caller
        running.add_done_callback(lambda ended: self._running.pop(ended, None))
        running.add_done_callback(look_at)
        return task.id

    async def get(self, id: str, caller: str) -> Task | None:
        """A task of this caller's as it is now; None for an unknown one."""
        unwritten = self._unwritten.get((id, caller))
        if unwritten is not None:
            return unwritten
        record = await self._ledger.task(id, caller)
        if record is None:
            return None
        task = msgspec.json.decode(record, type=Task)
        if task.status is RunStatus.RUNNING and task.ends_by < dt.datetime.now(dt.UTC):
            return _lost(task)
        return task

    async def close(self) -> None:
        """End those that run, and say so."""
        ended = list(self._running.items())
        for running, _ in ended:
            running.cancel()
        for _, (task, caller) in ended:
            await self._keep(_lost(task), caller)
        await asyncio.gather(*self._ended, return_exceptions=True)

    async def _followed(self, instance: Instance, draft: Draft, task: Task, caller: str, lasts_s: float) -> None:
        with deadline.afresh(lasts_s):
            ended: dict[str, Any] = await _outcome(instance, task.action, draft)
        running = cast("asyncio.Task[None]", asyncio.current_task())
        self._running.pop(running, None)
        self._ended.add(running)
        running.add_done_callback(self._ended.discard)
        await self._keep(msgspec.structs.replace(task, ended_at=dt.datetime.now(dt.UTC), **ended), caller)

    async def _keep(self, task: Task, caller: str) -> None:
        """Write down what came of a task. Where that cannot be, this process knows it all the same."""
        try:
            await self._note(task, caller)
        except sqlite3.Error:
            log.exception("the outcome of a task cannot be kept")
            self._unwritten[task.id, caller] = task
            if len(self._unwritten) > MOST_UNWRITTEN:
                self._unwritten.popitem(last=False)

    async def _note(self, task: Task, caller: str) -> None:
        await self._ledger.note(task.id, caller, msgspec.json.encode(task))


async def _outcome(instance: Instance, action: Capability, draft: Draft) -> dict[str, Any]:
    """What is to be said of a task that has come to its end."""
    body = await instance.ask(instance.adapter.transport.send(draft.request))
    if isinstance(body, errors.AdapterError):
        return _unknown(f"It was sent, and {body.message}") if body.may_have_happened else _failed(body)

    async def read() -> dict[str, Any]:
        return _done(action, draft.read(body))

    done = await instance.ask(read())
    return _unknown(f"It was sent, and {done.message}") if isinstance(done, errors.AdapterError) else done


def _done(action: Capability, done: Done) -> dict[str, Any]:
    """What is to be said of an answer."""
    catalog = msgspec.Raw(msgspec.json.encode(done.catalog)) if done.catalog is not None else NO_CATALOG
    # A check that finds an endpoint out of reach has done its work; a discovery without a catalog has not.
    has_failed = done.catalog is None and action is Capability.DISCOVER_SCHEMA
    status = RunStatus.FAILED if has_failed else RunStatus.SUCCEEDED
    return {"status": status, "checked": done.checked, "catalog": catalog, "catalog_id": done.catalog_id}


def _failed(error: errors.AdapterError) -> dict[str, Any]:
    """What is to be said where it was certainly not carried out."""
    return {"status": RunStatus.FAILED, "error": TaskError(code=code_of(error).value, message=error.message)}


def _unknown(why: str) -> dict[str, Any]:
    """What is to be said where nobody can tell what came of it, and nothing that could be read would."""
    error = TaskError(code=Code.OUTCOME_UNKNOWN.value, message=f"{why}; start it again.")
    return {"status": RunStatus.UNKNOWN, "error": error}


def _lost(task: Task) -> Task:
    return msgspec.structs.replace(task, **_unknown("The process that waited for it has ended"))
