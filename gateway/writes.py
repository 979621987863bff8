"""Changing something upstream: once, or not at all, or saying that nobody can tell.

A deed is gated, drafted by its adapter, and sent exactly once, in a task of its own: whoever asked for it may hang up,
and it goes on to its end all the same. What is not known for certain after that is read back. Nothing that was read of
the instance before it counts as fresh afterwards.
"""

import asyncio
import logging
import math
import sqlite3
from collections import defaultdict
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from adapters import deadline, errors
from adapters.capabilities import Capability
from adapters.flight import look_at
from adapters.model import Connection
from adapters.port import LIST_FIELDS
from adapters.secret import masked
from adapters.walk import together
from adapters.writing import Change, Done, Draft, Start, StartMany, Unfit, Wish
from gateway import deeds, observability
from gateway.deeds import Deed, Order, Outcome, Result, Sent
from gateway.errors import Code
from gateway.instances import Instance
from gateway.inventory import Inventory
from gateway.ledger import Ended, Entry, KeyReused, Ledger, UnderWay
from gateway.sending import READ_S, Sender, Unknown, drafted
from gateway.tasks import Tasks

T = TypeVar("T")
log = logging.getLogger(__name__)

ABREAST = 8
"""Deeds of one request that are under way at the same time."""
LONG = frozenset({Capability.CHECK_ENDPOINT, Capability.DISCOVER_SCHEMA})
"""What an upstream takes minutes for: answered as a task to follow."""


class _Unit(NamedTuple):
    """Deeds that are done by one call, and what they wish for together."""

    places: Sequence[int]
    wish: Wish


class _Told(NamedTuple):
    """What a rehearsal has come to tell."""

    sent: list[Sent]
    changes: list[Change]

    def add(self, instance: Instance, draft: Draft) -> None:
        """What the draft would send, if anything."""
        if draft.done is None:
            self.sent.append(_shown(instance, draft))
            self.changes.extend(draft.changes)


class Writes:
    """What changes the instances. Must be made inside the running loop, and closed with it."""

    def __init__(self, inventory: Inventory, ledger: Ledger, settle_s: float = 2.5) -> None:
        self._sender = Sender(inventory, settle_s)
        self._settle_s = settle_s
        self._ledger = ledger
        self.tasks = Tasks(ledger)
        self._under_way: dict[tuple[str, str], tuple[bytes, asyncio.Task[Outcome]]] = {}
        self._running: set[asyncio.Task[Any]] = set()

    async def carry_out(self, order: Order) -> Outcome:
        """What came of an order, or of the first one under its key; or, of a rehearsal, what would. An order goes on
        where its caller does not wait for it."""
        if order.is_dry:
            return await self._performed(order)
        if order.key is None:
            return await self._detached(self._performed(order))
        entry = Entry(order.caller.viewer or "", order.key, order.fingerprint)
        known = self._under_way.get(entry[:2])
        if known is not None:
            fingerprint, task = known
            if fingerprint != entry.fingerprint:
                return deeds.reused(order)
            return msgspec.structs.replace(await asyncio.shield(task), is_replayed=True)
        task = self._task(self._once(order, entry))
        self._under_way[entry[:2]] = entry.fingerprint, task
        task.add_done_callback(lambda _: self._under_way.pop(entry[:2], None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Let what is under way come to its end, as far as that is soon, and end the tasks that are followed."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=READ_S)
        for task in self._running:
            task.cancel()
        await self.tasks.close()

    # --- once for each key ---

    async def _once(self, order: Order, entry: Entry) -> Outcome:
        """What came of the first order under the key, here or in another worker."""
        try:
            stored = await self._ledger.begin(entry, self._lasts_s(order), READ_S)
        except KeyReused:
            return deeds.reused(order)
        except UnderWay:
            return deeds.failed(
                order, Code.CONFLICT, "What this key was first sent with still goes on.", retryable=True
            )
        except Ended:
            return deeds.failed(
                order,
                Code.OUTCOME_UNKNOWN,
                "What this key was first sent with was begun, and nobody knows how it ended: read it back.",
                retryable=False,
            )
        if stored is not None:
            return msgspec.structs.replace(msgspec.json.decode(stored, type=Outcome), is_replayed=True)
        try:
            outcome = await self._performed(order)
        except BaseException:
            # It may have been sent: the entry stays open, and says so to whoever asks again.
            log.exception("an order ended without an outcome")
            raise
        try:
            if any(result.is_final for result in outcome.results):
                await self._ledger.end(entry, msgspec.json.encode(outcome))
            else:
                await self._ledger.drop(entry)
        except sqlite3.Error:  # which must not have what was done told as a failure
            log.exception("an outcome cannot be kept")
        return outcome

    def _lasts_s(self, order: Order) -> float:
        """What an order may take at the most."""
        longest_s = max(deed.instance.adapter.transport.write_timeout_s for deed in order.deeds)
        rounds = math.ceil(len(order.deeds) / ABREAST)
        return rounds * (longest_s + self._settle_s + 3 * READ_S)

    def _task(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(look_at)
        return task

    async def _detached(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.shield(self._task(work))

    # --- from deeds to calls ---

    async def _performed(self, order: Order) -> Outcome:
        results: list[Result | None] = [deeds.gated(deed, order.caller) for deed in order.deeds]
        wishes = await self._wishes(order, results)
        told = _Told([], [])
        turns = asyncio.Semaphore(ABREAST)

        async def one(unit: _Unit) -> None:
            async with turns:
                made = await self._done(order, unit, told)
            for place, result in zip(unit.places, made, strict=True):
                results[place] = result

        await asyncio.gather(*(one(unit) for unit in _units(order.deeds, wishes)))  # none ends another
        made = tuple(result or Result() for result in results)
        if not order.is_dry:
            _log(order, made)
        return Outcome(results=made, sent=tuple(told.sent), changes=tuple(told.changes), is_dry=order.is_dry)

    async def _wishes(self, order: Order, results: list[Result | None]) -> dict[int, Wish]:
        """By place, what is wished for by each deed that has no result yet; of the others they get one here."""
        found = await self._connections([deed for deed, result in zip(order.deeds, results, strict=True) if not result])
        wishes: dict[int, Wish] = {}
        for place, deed in enumerate(order.deeds):
            if results[place] is not None:
                continue
            connection = found.get((deed.instance.name, deed.native_id or ""))
            results[place] = deeds.unfit(deed, connection, order.caller)
            if results[place] is None:
                wishes[place] = deed.wish(connection)
        return wishes

    async def _connections(
        self, each: Sequence[Deed]
    ) -> dict[tuple[str, str], Connection | errors.AdapterError | None]:
        """What the connections of the deeds are like now, in the fewest calls."""
        instances = {deed.instance.name: deed.instance for deed in each}
        wanted: defaultdict[str, list[str]] = defaultdict(list)
        for deed in each:
            if deed.native_id is not None:
                wanted[deed.instance.name].append(deed.native_id)
        found = await together([self._of_instance(instances[name], native_ids) for name, native_ids in wanted.items()])
        return {key: row for rows in found for key, row in rows.items()}

    async def _of_instance(
        self, instance: Instance, native_ids: Sequence[str]
    ) -> dict[tuple[str, str], Connection | errors.AdapterError | None]:
        with deadline.afresh(READ_S):
            got = await instance.ask(instance.adapter.get_many(dict.fromkeys(native_ids, LIST_FIELDS)))
        if isinstance(got, errors.AdapterError):
            return {(instance.name, id): got for id in native_ids}
        return {(instance.name, id): got.by_id.get(id) for id in native_ids}

    async def _done(self, order: Order, unit: _Unit, told: _Told) -> list[Result]:  # noqa: PLR0911  a table of cases
        """The results of a unit's deeds, in their order."""
        each = [order.deeds[place] for place in unit.places]
        instance = each[0].instance
        try:
            instance.adapter.transport.forget()  # what it is compared with afterwards is read now
            with deadline.afresh(READ_S):
                draft = await drafted(instance, unit.wish)
            if order.is_dry:
                told.add(instance, draft)
                done = Done()
            elif unit.wish.action in LONG:
                task_id = await self.tasks.begin(instance, unit.wish, draft, order.caller.viewer or "")
                return [Result(instance=instance.name, task_id=task_id, is_final=True)]
            else:
                done = await self._sender.send(instance, draft)
        except Unfit as unfit:
            return [deeds.with_problems(deed, deeds.within(deed, unfit.problems)) for deed in each]
        except errors.Rejected as error:
            if isinstance(unit.wish, StartMany):
                return await self._one_by_one(order, unit, unit.wish, told)
            return [deeds.rejected(each[0], instance.named(error))]
        except errors.AdapterError as error:
            return [deeds.failure(deed, instance.named(error)) for deed in each]
        except Unknown as unknown:
            return [deeds.unknown(deed, instance.named(unknown.cause)) for deed in each]
        return [deeds.result(deed, done) for deed in each]

    async def _one_by_one(self, order: Order, unit: _Unit, wish: StartMany, told: _Told) -> list[Result]:
        """Together they cannot be started, and none of them was: each may be alone."""
        alone = [_Unit([place], start) for place, start in zip(unit.places, wish.starts, strict=True)]
        return [result for each in alone for result in await self._done(order, each, told)]


def _units(each: Sequence[Deed], wishes: dict[int, Wish]) -> Iterator[_Unit]:
    """The wishes, those to start runs grouped as their instances can start them together."""
    starts: defaultdict[str, dict[int, Start]] = defaultdict(dict)
    for place, wish in wishes.items():
        if isinstance(wish, Start) and len(wishes) > 1:
            starts[each[place].instance.name][place] = wish
        else:
            yield _Unit([place], wish)
    for of_instance in starts.values():
        places = {id(start): place for place, start in of_instance.items()}
        adapter = each[next(iter(of_instance))].instance.adapter
        for group in adapter.grouped(list(of_instance.values())):
            yield _Unit([places[id(start)] for start in group], group[0] if len(group) == 1 else StartMany(group))


def _shown(instance: Instance, draft: Draft) -> Sent:
    request = draft.request
    return Sent(
        instance=instance.name,
        method=request.method,
        path=instance.adapter.transport.target(request),
        body=masked(request.json if request.json is not None else request.form),
    )


def _log(order: Order, made: Sequence[Result]) -> None:
    """What was asked for and what came of it; refused or not, somebody wanted to change something."""
    for deed, result in zip(order.deeds, made, strict=True):
        observability.log_write(
            action=deed.action.value,
            instance=deed.instance.name,
            native_id=result.native_id,
            run_id=result.run.id if result.run is not None else None,
            viewer=order.caller.viewer,
            outcome=result.verdict,
        )
