"""Dataloaders: what the fields of one request ask for by key becomes the fewest calls, in any order they ask.

A fresh set for every request. Nobody is given the future of a loader itself, since the engine cancels the siblings of a
failed field, and a cancelled load would poison its key for all others who wait for it. No future of theirs fails: what
failed is part of the answer, so that nothing is lost of one that nobody waits for any more.
"""

import asyncio
import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from aiodataloader import DataLoader

from adapters.errors import AdapterError
from adapters.model import Connection
from adapters.port import LIST_FIELDS, Fields, Found, List, Page, Work
from adapters.walk import together
from gateway.execution.later import Later
from gateway.instances import Instance, Instances
from gateway.inventory import Ask, Inventory

T = TypeVar("T")
Place: TypeAlias = tuple[str, str]
"""An instance and a native id."""


class Key(NamedTuple):
    """A connection, what is wanted of it, and how old it may be."""

    place: Place
    fields: Fields
    ask: Ask


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


class Loaders:
    """The loaders of one request. Must be made inside the running loop."""

    def __init__(self, instances: Instances, inventory: Inventory) -> None:
        self._instances = instances
        self._inventory = inventory
        self._known: dict[tuple[Place, Ask], tuple[Fields, Answer]] = {}
        self._lists: dict[tuple[str, Fields, Ask], Sequence[Mapping[str, Connection]]] = {}
        self._batches: set[asyncio.Task[Any]] = set()

    @functools.cached_property
    def _by_key(self) -> DataLoader[Key, Answer]:
        return DataLoader(self._load)

    async def connection(self, place: Place, fields: Fields, ask: Ask, *, alone: bool = False) -> Answer:
        """A connection of a configured instance. Raises AdapterError where its instance failed.

        ``alone`` says that the request asks for nothing else before it has the answer. Such a batch has nothing to
        gather, so it is loaded by who waits for it: the two tasks of a loader are a tenth of what such a request costs.
        """
        if not alone:
            return await self.later(place, fields, ask, Answer.given)
        if self._lacks(place, fields, ask):
            name, native_id = place
            for error in (await self._of_instance(name, ask, {native_id: LIST_FIELDS | fields})).values():
                raise error
        return self._known[place, ask][1]

    def later(self, place: Place, fields: Fields, ask: Ask, make: Callable[[Answer], T]) -> Later[Answer, T]:
        """What ``make`` makes of the answer when it is there. It is asked for with all else that is by then."""
        return Later(self._by_key.load(Key(place, fields, ask)), make)

    def work(self, place: Place, fields: Fields, ask: Ask) -> Work:
        """What it would take to load a connection: asking for it, or what a list in memory that has it lacks of it."""
        name, native_id = place
        instance = self._instances[name]
        for snapshot in self._inventory.fresh(instance, ask):
            if native_id in snapshot.listed.by_native_id and instance.adapter.holds(fields):
                return Work(fields=fields - snapshot.joined)
        return Work(wanted={native_id: fields})

    def listed(self, place: Place, fields: Fields, ask: Ask) -> Connection | None:
        """A connection that a list in memory has with all that is wanted of it; None where that would take a call."""
        name, native_id = place
        asked = name, fields, ask
        lists = self._lists.get(asked)
        if lists is None:
            lists = self._lists[asked] = self._lists_with(self._instances[name], fields, ask)
        for rows in lists:
            if native_id in rows:
                return rows[native_id]
        return None

    def _lists_with(self, instance: Instance, fields: Fields, ask: Ask) -> Sequence[Mapping[str, Connection]]:
        """The rows, by native id, of the lists in memory that have all of these fields."""
        adapter = instance.adapter
        if not adapter.holds(fields):
            return ()
        fresh = self._inventory.fresh(instance, ask)
        return [each.listed.by_native_id for each in fresh if not adapter.adds(fields - each.joined)]

    def close(self) -> None:
        """Cancel the batches that nobody waits for any more."""
        for batch in self._batches:
            batch.cancel()
        # A loader holds what loads for it, and so would this, until garbage is collected.
        self.__dict__.pop("_by_key", None)

    async def _load(self, keys: list[Key]) -> list[Answer]:
        """A batch of the loader, which ends with the request."""
        batch = asyncio.current_task()
        assert batch is not None  # noqa: S101  a coroutine of a loader always runs in a task
        self._batches.add(batch)
        batch.add_done_callback(self._batches.discard)
        return await self._answers(keys)

    async def _answers(self, keys: list[Key]) -> list[Answer]:
        """As many answers as keys, in their order: the one place where order is restored."""
        failed = await together([self._of_instance(*of, ids) for of, ids in self._wanted(keys).items()])
        errors = {asked: Answer(None, error=error) for of_one in failed for asked, error in of_one.items()}
        asked_for = [(place, ask) for place, _, ask in keys]
        return [errors.get(asked) or self._known[asked][1] for asked in asked_for]

    def _wanted(self, keys: Sequence[Key]) -> Mapping[tuple[str, Ask], dict[str, Fields]]:
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

    async def _of_instance(
        self, name: str, ask: Ask, ids: Mapping[str, Fields]
    ) -> dict[tuple[Place, Ask], AdapterError]:
        """Comes by ids of one instance in one go; gives the errors of those that could not be read."""
        instance = self._instances[name]
        found = await instance.ask(self._found(instance, ask, ids))
        if isinstance(found, AdapterError):
            return {((name, id), ask): found for id in ids}
        failures = tuple(map(instance.named, found.failures))
        errors: dict[tuple[Place, Ask], AdapterError] = {}
        for id, fields in ids.items():
            answer = found.by_id.get(id)
            if isinstance(answer, AdapterError):
                errors[(name, id), ask] = instance.named(answer)
            else:
                self._known[(name, id), ask] = fields, Answer(answer, failures)
        return errors

    async def _found(self, instance: Instance, ask: Ask, ids: Mapping[str, Fields]) -> Found:
        """Connections by id: rows of lists in memory where they hold all that is wanted, the others from upstream."""
        listed = self._listed(instance, ask, ids)
        adapter = instance.adapter

        async def read(of: List) -> Page:
            return await self._inventory.shelf(instance, of).first(ask)

        if not listed:
            return await adapter.get_many(ids, read)
        completed = await adapter.complete(list(listed.values()), LIST_FIELDS.union(*(ids[id] for id in listed)))
        rows = dict(zip(listed, completed.connections, strict=True))
        asked = {id: fields for id, fields in ids.items() if id not in listed}
        got = await adapter.get_many(asked, read) if asked else Found({})
        return Found({**rows, **got.by_id}, (*completed.failures, *got.failures))

    def _listed(self, instance: Instance, ask: Ask, ids: Mapping[str, Fields]) -> Mapping[str, Connection]:
        """The rows that are in memory, read lately enough, and will do."""
        held = [snapshot.listed.by_native_id for snapshot in self._inventory.fresh(instance, ask)]
        rows = ((id, rows[id]) for rows in held for id in ids if id in rows)
        return {id: row for id, row in rows if instance.adapter.holds(ids[id])}
