"""Dataloaders: what the fields of one request ask for by key becomes the fewest calls, in any order they ask.

A fresh set for every request. `load` is shielded everywhere, since the engine cancels the siblings of a failed field,
and a cancelled load would poison its key for all others who wait for it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

from aiodataloader import DataLoader

from adapters.errors import AdapterError
from adapters.flight import look_at
from adapters.model import Connection
from adapters.port import LIST_FIELDS, Fields
from gateway.instances import Instances

Place: TypeAlias = tuple[str, str]
"""An instance and a native id."""


class Key(NamedTuple):
    """A connection, and what is wanted of it."""

    instance: str
    native_id: str
    fields: Fields


class Answer(NamedTuple):
    """A connection or None for an unknown one, and the failures of lookups that would have added to it."""

    connection: Connection | None
    failures: tuple[AdapterError, ...] = ()


class Loaders:
    """The loaders of one request. Must be made inside the running loop."""

    def __init__(self, instances: Instances) -> None:
        self._instances = instances
        self._by_key: DataLoader[Key, Answer | AdapterError] = DataLoader(self._load)
        self._known: dict[Place, tuple[Fields, Answer]] = {}
        self._batches: set[asyncio.Task[Any]] = set()

    async def connection(self, instance: str, native_id: str, fields: Fields) -> Answer:
        """A connection of a configured instance. Raises AdapterError where its instance failed."""
        future = self._by_key.load(Key(instance, native_id, fields))
        future.add_done_callback(look_at)
        return cast("Answer", await asyncio.shield(future))  # an error is raised, never given

    def close(self) -> None:
        """Cancel the batches that nobody waits for any more."""
        for batch in self._batches:
            batch.cancel()

    async def _load(self, keys: list[Key]) -> list[Answer | AdapterError]:
        """As many answers as keys, in their order: the one place where order is restored."""
        batch = asyncio.current_task()
        assert batch is not None  # noqa: S101  a coroutine of a loader always runs in a task
        self._batches.add(batch)
        batch.add_done_callback(self._batches.discard)
        wanted = self._wanted(keys)
        failed = await asyncio.gather(*(self._of_instance(name, ids) for name, ids in wanted.items()))
        errors = {place: error for by_place in failed for place, error in by_place.items()}
        return [errors.get(key[:2]) or self._known[key[:2]][1] for key in keys]

    def _wanted(self, keys: Sequence[Key]) -> Mapping[str, dict[str, Fields]]:
        """By instance and id, all that any key wants of it and an earlier batch has not brought."""
        wanted: defaultdict[str, dict[str, Fields]] = defaultdict(dict)
        for key in keys:
            known = self._known.get(key[:2])
            if known is None or not key.fields <= known[0]:
                ids = wanted[key.instance]
                ids[key.native_id] = ids.get(key.native_id, LIST_FIELDS) | key.fields
        return wanted

    async def _of_instance(self, name: str, ids: Mapping[str, Fields]) -> dict[Place, AdapterError]:
        """Reads ids of one instance in one go; gives the errors of those that could not be read."""
        instance = self._instances[name]
        found = await instance.ask(instance.adapter.get_many(ids))
        if isinstance(found, AdapterError):
            return {(name, id): found for id in ids}
        failures = tuple(map(instance.named, found.failures))
        errors: dict[Place, AdapterError] = {}
        for id, fields in ids.items():
            answer = found.by_id.get(id)
            if isinstance(answer, AdapterError):
                errors[name, id] = instance.named(answer)
            else:
                self._known[name, id] = fields, Answer(answer, failures)
        return errors
