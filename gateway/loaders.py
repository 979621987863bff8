"""Dataloaders: what the fields of one request ask for by key becomes the fewest calls, in any order they ask.

A fresh set for every request. `load` is shielded everywhere, since the engine cancels the siblings of a failed field,
and a cancelled load would poison its key for all others who wait for it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from aiodataloader import DataLoader

from adapters.errors import AdapterError
from adapters.model import Connection
from adapters.port import LIST_FIELDS, Fields, Found
from gateway.instances import Instances


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
        self._known: dict[tuple[str, str], tuple[Fields, Answer]] = {}
        self._batches: set[asyncio.Task[Any]] = set()

    async def connection(self, instance: str, native_id: str, fields: Fields) -> Answer:
        """A connection of a configured instance. Raises AdapterError where its instance failed."""
        future = self._by_key.load(Key(instance, native_id, fields))
        future.add_done_callback(_retrieve)
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
        found = await asyncio.gather(*(self._of_instance(name, ids) for name, ids in wanted.items()))
        answers = dict(zip(wanted, found, strict=True))
        return [self._answer(key, answers.get(key.instance)) for key in keys]

    def _wanted(self, keys: Sequence[Key]) -> Mapping[str, dict[str, Fields]]:
        """By instance and id, all that any key wants of it and an earlier batch has not brought."""
        wanted: defaultdict[str, dict[str, Fields]] = defaultdict(dict)
        for key in keys:
            known = self._known.get(key[:2])
            if known is None or not key.fields <= known[0]:
                ids = wanted[key.instance]
                ids[key.native_id] = ids.get(key.native_id, LIST_FIELDS) | key.fields
        return wanted

    async def _of_instance(self, name: str, ids: Mapping[str, Fields]) -> AdapterError | None:
        instance = self._instances[name]
        found = await instance.ask(instance.adapter.get_many(ids))
        if isinstance(found, AdapterError):
            return found
        self._remember(name, ids, found)
        errors = {id: answer for id, answer in found.by_id.items() if isinstance(answer, AdapterError)}
        return _Failed({id: instance.named(error) for id, error in errors.items()}) if errors else None

    def _remember(self, name: str, ids: Mapping[str, Fields], found: Found) -> None:
        failures = tuple(map(self._instances[name].named, found.failures))
        for id, fields in ids.items():
            answer = found.by_id.get(id)
            if not isinstance(answer, AdapterError):
                self._known[name, id] = fields, Answer(answer, failures)

    def _answer(self, key: Key, failed: AdapterError | None) -> Answer | AdapterError:
        if isinstance(failed, _Failed):
            failed = failed.by_id.get(key.native_id)
        return failed or self._known[key[:2]][1]


class _Failed(AdapterError):
    """Some ids of an instance could not be read; the others could."""

    def __init__(self, by_id: Mapping[str, AdapterError]) -> None:
        super().__init__("some ids could not be read")
        self.by_id = by_id


def _retrieve(future: "asyncio.Future[Answer | AdapterError]") -> None:
    """Look at the outcome, so that asyncio does not warn of one that only a cancelled field had waited for."""
    if not future.cancelled():
        future.exception()
