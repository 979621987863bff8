"""Dataloaders: what the fields of one request ask for by key becomes the fewest calls, in any order they ask.

A fresh set for every request. Nobody is given the future of a loader itself, since the engine cancels the siblings of a
failed field, and a cancelled load would poison its key for all others who wait for it. No future of theirs fails: what
failed is part of the answer, so that nothing is lost of one that nobody waits for any more.
"""

import asyncio
import functools
import math
import weakref
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from aiodataloader import DataLoader

from adapters.errors import AdapterError
from adapters.model import Connection
from adapters.port import LIST_FIELDS, Fields, Found, List, Page, Reader, Work
from adapters.walk import together
from gateway.execution.later import Later
from gateway.grounds import Anew, Ground, Held
from gateway.instances import Instance, Instances
from gateway.inventory import Ask, Inventory, Snapshot
from gateway.lookups import Place, Sought, Wanted

T = TypeVar("T")
_Asked: TypeAlias = tuple[Place, Ask]


class Answer(NamedTuple):
    """A connection or None for an unknown one, and the failures of lookups that would have added to it; or else the
    ``error`` of its instance."""

    connection: Connection | None
    failures: tuple[AdapterError, ...] = ()
    error: AdapterError | None = None

    def given(self) -> "Answer":
        """This. Raises the error, where it is one."""
        if self.error is not None:
            raise self.error
        return self


class _Listed(NamedTuple):
    """The rows of a list by native id. ``is_whole`` says that they have all that is wanted of them."""

    rows: Mapping[str, Connection]
    is_whole: bool


class Loaders:
    """The loaders of one request. Must be made inside the running loop."""

    def __init__(self, instances: Instances, inventory: Inventory, sought: Sought | None = None) -> None:
        self._instances = instances
        self._inventory = inventory
        self._sought = sought
        """A connection that was looked up already."""
        self._known: dict[_Asked, tuple[Fields, Answer]] = {}
        """What batches have brought, and with which fields."""
        self._lists: dict[tuple[str, Fields, Ask], Sequence[_Listed]] = {}
        self.gathered: dict[str, Any] = {}
        """What was made of lists for fields of the operation already, by these."""
        self._searched: set[tuple[str, str, Ask]] = set()
        """The parts whose lists were read to find ids there."""
        self._batches: set[asyncio.Task[Any]] = set()

    @functools.cached_property
    def _by_key(self) -> DataLoader[Wanted, Answer]:
        return DataLoader(self._load)

    async def connection(self, place: Place, fields: Fields, ask: Ask, *, alone: bool = False) -> Answer:
        """A connection of a configured instance. Raises AdapterError where its instance failed.

        ``alone`` says that the request asks for nothing else before it has the answer. Such a batch has nothing to
        gather, so it is loaded by who waits for it: the two tasks of a loader are a tenth of what such a request costs.
        """
        if not alone:
            return await self.later(place, fields, ask, Answer.given)
        return (await self._alone(place, fields, ask)).given()

    async def all(self, wanted: Sequence[Wanted]) -> list[Answer]:
        """As many answers as were wanted, in their order: rows of lists in memory, and all others loaded together."""
        rows = [self.listed(*each) for each in wanted]
        lacking = [each for each, row in zip(wanted, rows, strict=True) if row is None]
        if len(lacking) == len(wanted) == 1:
            return [await self._alone(*lacking[0])]
        loaded = iter(await self._answers(lacking) if lacking else ())
        return [next(loaded) if row is None else Answer(row) for row in rows]

    async def _alone(self, place: Place, fields: Fields, ask: Ask) -> Answer:
        if not self._lacks(place, fields, ask):
            return self._known[place, ask][1]
        name, native_id = place
        instance, ids = self._instances[name], {native_id: LIST_FIELDS | fields}
        sought = self._sought
        if sought is not None and sought.comes_to(Wanted(place, fields, ask)):
            asked = sought.found()
        elif self._lists.get((name, fields, ask)) == ():
            # Where no list was found in memory just now, there is still none.
            asked = instance.adapter.get_many(ids, self._reader(instance, ask))
        else:
            asked = self._found(instance, ask, ids)
        return self._answered(instance, ask, ids, await instance.ask(asked))[place, ask]

    def later(self, place: Place, fields: Fields, ask: Ask, make: Callable[[Answer], T]) -> Later[Answer, T]:
        """What ``make`` makes of the answer when it is there. It is asked for with all else that is by then."""
        return Later(self._by_key.load(Wanted(place, fields, ask)), make)

    def work(self, place: Place, fields: Fields, ask: Ask) -> Work:
        """What it would take to load a connection: asking for it, or what a list in memory that has it lacks of it."""
        name, native_id = place
        instance = self._instances[name]
        for snapshot in self._inventory.fresh(instance, ask):
            if native_id in snapshot.listed.by_native_id and instance.adapter.holds(fields):
                return Work(fields=fields - snapshot.joined)
        return Work(wanted={native_id: fields})

    def listed(self, place: Place, fields: Fields, ask: Ask) -> Connection | None:
        """A connection that a list in memory has, with all that is wanted of it; None where that would take a call."""
        name, native_id = place
        asked = name, fields, ask
        lists = self._lists.get(asked)
        if lists is None:
            lists = self._lists[asked] = self._lists_for(self._instances[name], fields, ask)
        for rows, is_whole in lists:
            row = rows.get(native_id)
            if row is not None:
                return row if is_whole else self._inventory.completions.known(row, fields)
        return None

    def _lists_for(self, instance: Instance, fields: Fields, ask: Ask) -> Sequence[_Listed]:
        """The lists in memory whose rows have all of these fields, or can be completed with them."""
        adapter = instance.adapter
        if not adapter.holds(fields):
            return ()
        held = self._inventory.held(instance, ask)
        if not held:  # as a rule where this is asked for each request
            return ()
        return [_Listed(each.listed.by_native_id, not adapter.adds(fields - each.joined)) for _, each in held]

    def ground(self, found: Connection | None, fields: Fields, ask: Ask) -> Ground | None:
        """What a connection rests on that was just come by; None where that is more than a row of a list in memory."""
        if found is None:
            return None
        instance = self._instances[found.instance]
        adapter = instance.adapter
        if not adapter.holds(fields):
            return None
        for of, snapshot in self._inventory.held(instance, ask):
            good_until = self._good_until(snapshot, found, fields, adds=adapter.adds(fields - snapshot.joined))
            if good_until is not None:
                # Where it was in memory already, who executes this may ask for it alone the next time.
                anew = Anew.ONE_PAGE if (instance.name, of.part, ask) in self._searched else Anew.NOTHING
                held = Held(of, weakref.ref(snapshot.listed), snapshot.joined, anew, good_until)
                return Ground(instance, ask, None, (held,))
        return None

    def _good_until(self, snapshot: Snapshot, found: Connection, fields: Fields, *, adds: bool) -> float | None:
        """Until when a connection is what a list has of it; None where it is not."""
        listed = snapshot.listed.by_native_id.get(found.native_id)
        if listed is None:
            return None
        if listed is found and not adds:
            return math.inf
        # Who read the list for it completed the row as it was read.
        read = next(row for row in snapshot.walked.rows if row.native_id == found.native_id)
        known = (self._inventory.completions.good_until(row, fields, found) for row in (listed, read))
        return next(filter(None, known), None)

    def close(self) -> None:
        """Cancel the batches that nobody waits for any more."""
        for batch in self._batches:
            batch.cancel()
        # A loader holds what loads for it, and so would this, until garbage is collected.
        self.__dict__.pop("_by_key", None)

    async def _load(self, keys: list[Wanted]) -> list[Answer]:
        """A batch of the loader, which ends with the request."""
        batch = asyncio.current_task()
        assert batch is not None  # noqa: S101  a coroutine of a loader always runs in a task
        self._batches.add(batch)
        batch.add_done_callback(self._batches.discard)
        return await self._answers(keys)

    async def _answers(self, keys: list[Wanted]) -> list[Answer]:
        """As many answers as keys, in their order: the one place where order is restored."""
        brought = await together([self._of_instance(*of, ids) for of, ids in self._wanted(keys).items()])
        answers = {asked: answer for of_one in brought for asked, answer in of_one.items()}
        asked_for = [(place, ask) for place, _, ask in keys]
        return [answers.get(asked) or self._known[asked][1] for asked in asked_for]

    def _wanted(self, keys: Sequence[Wanted]) -> Mapping[tuple[str, Ask], dict[str, Fields]]:
        """By instance and demand, and by id, all that any key wants of it and an earlier batch has not brought."""
        wanted: defaultdict[tuple[str, Ask], dict[str, Fields]] = defaultdict(dict)
        for place, fields, ask in keys:
            if self._lacks(place, fields, ask):
                instance, native_id = place
                ids = wanted[instance, ask]
                ids[native_id] = ids.get(native_id, LIST_FIELDS) | fields
        return wanted

    def _lacks(self, place: Place, fields: Fields, ask: Ask) -> bool:
        """Whether no batch has brought all of this yet."""
        known = self._known.get((place, ask))
        return known is None or not fields <= known[0]

    async def _of_instance(self, name: str, ask: Ask, ids: Mapping[str, Fields]) -> Mapping[_Asked, Answer]:
        """Comes by ids of one instance in one go."""
        instance = self._instances[name]
        return self._answered(instance, ask, ids, await instance.ask(self._found(instance, ask, ids)))

    def _answered(
        self, instance: Instance, ask: Ask, ids: Mapping[str, Fields], found: Found | AdapterError
    ) -> Mapping[_Asked, Answer]:
        """What came of ids of one instance, which is known from then on."""
        if isinstance(found, AdapterError):
            found = Found(dict.fromkeys(ids, found))
        failures = tuple(map(instance.named, found.failures))
        answers: dict[_Asked, Answer] = {}
        for id, fields in ids.items():
            record, asked = found.by_id.get(id), ((instance.name, id), ask)
            is_error = isinstance(record, AdapterError)
            answer = Answer(None, error=instance.named(record)) if is_error else Answer(record, failures)
            answers[asked], self._known[asked] = answer, (fields, answer)
        return answers

    async def _found(self, instance: Instance, ask: Ask, ids: Mapping[str, Fields]) -> Found:
        """Connections by id: rows of lists in memory where they hold all that is wanted, the others from upstream. What
        lists do not hold is looked up for rows that stay as they are once for many requests; for one that was asked for
        alone, and is not met again, with it."""
        adapter = instance.adapter
        rows = self._listed(instance, ask, ids)
        lacking = {id: fields for id, fields in ids.items() if id not in rows}
        read = self._reader(instance, ask)
        if len(ids) == 1 and lacking:
            return await adapter.get_many(ids, read)
        held = {id: LIST_FIELDS for id, fields in lacking.items() if adapter.holds(fields)}
        got = await adapter.get_many({**lacking, **held}, read) if lacking else Found({})
        rows.update({id: row for id in held if isinstance(row := got.by_id.get(id), Connection)})
        wanted = LIST_FIELDS.union(*(ids[id] for id in rows))
        completed = await self._inventory.completions.of(instance, list(rows.values()), wanted)
        if isinstance(completed, AdapterError):
            raise completed
        by_id = {**got.by_id, **dict(zip(rows, completed.connections, strict=True))}
        return Found(by_id, (*completed.failures, *got.failures))

    def _reader(self, instance: Instance, ask: Ask) -> Reader:
        """How an adapter that looks for ids in a list comes by that."""

        def read(of: List) -> Awaitable[Page]:
            self._searched.add((instance.name, of.part, ask))
            return self._inventory.shelf(instance, of).first(ask)

        return read

    def _listed(self, instance: Instance, ask: Ask, ids: Mapping[str, Fields]) -> dict[str, Connection]:
        """The rows that are in memory, read lately enough, and will do."""
        held = [snapshot.listed.by_native_id for snapshot in self._inventory.fresh(instance, ask)]
        rows = ((id, rows[id]) for rows in held for id in ids if id in rows)
        return {id: row for id, row in rows if instance.adapter.holds(ids[id])}
