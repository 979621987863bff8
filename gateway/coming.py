"""What a request that comes again asks for, come by once more, by a task of its own and without the engine."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from adapters.walk import together
from gateway.grounds import Ground
from gateway.loaders import Loaders
from gateway.lookups import Come, Gathering, Lookup, Several, Sought, Underway, Wanted

Came: TypeAlias = Mapping[str, Come]
"""What the fields of an operation have come to."""


async def come(lookup: Lookup, loaders: Loaders, began: float) -> Came | None:
    """What each field comes to for a request that began then; None where something failed: what was come by is there
    for who executes the operation."""
    now = dt.datetime.now(dt.UTC)
    wanted: dict[str, Wanted | Several] = {}
    asked: list[Awaitable[Came | None]] = []
    for name, each in lookup.fields.items():
        if isinstance(each, Gathering):
            asked.append(_gathered(name, each, loaders, began, now))
        else:
            wanted[name] = each.by(began)
    if wanted:
        asked.append(_connections(wanted, loaders))
    came: dict[str, Come] = {}
    for of_some in await together(asked):
        if of_some is None:
            return None
        came |= of_some
    return came


async def _gathered(name: str, gathering: Gathering, loaders: Loaders, began: float, now: dt.datetime) -> Came | None:
    gathered = loaders.gathered[name] = await gathering.by(began, now)
    return None if gathered.failures else {name: gathered}


async def _connections(wanted: Mapping[str, Wanted | Several], loaders: Loaders) -> Came | None:
    answers = await loaders.all([one for each in wanted.values() for one in _all(each) if one is not None])
    if any(answer.error is not None or answer.failures for answer in answers):
        return None
    found, came = iter(answers), dict[str, Come]()
    for name, each in wanted.items():
        if isinstance(each, Wanted):
            came[name] = next(found).connection
        else:
            came[name] = [None if one is None else next(found).connection for one in each.wanted]
    return came


def _all(each: Wanted | Several) -> Sequence[Wanted | None]:
    return [each] if isinstance(each, Wanted) else each.wanted


def grounds_of(lookup: Lookup, came: Mapping[str, Any], loaders: Loaders, began: float) -> Iterable[Ground | None]:
    """What all that fields have come to rests on."""
    for name, each in lookup.fields.items():
        if isinstance(each, Gathering):
            yield from each.grounds(came[name])
        else:
            found = [came[name]] if isinstance(each, Wanted) else came[name]
            for one, connection in zip(_all(each.by(began)), found, strict=True):
                if one is not None:
                    yield loaders.ground(connection, one.fields, one.ask)


class Coming(Underway):
    """An answer that a task of its own comes by, for a request of which nothing else was begun. ``loaders`` have what
    was come by, where that is no answer."""

    def __init__(
        self,
        answer: Callable[[], Coroutine[Any, Any, bytes | None]],
        loaders: Loaders,
        since: float,
        given: Callable[[bytes], Any],
    ) -> None:
        super().__init__(since, given)
        self.loaders = loaders
        self._task = asyncio.get_running_loop().create_task(self._come(answer))

    async def answer(self) -> bytes | None:
        """The answer, in place of whoever was to be told; None where it takes executing."""
        self._done = None
        try:
            await asyncio.wait([self._task])
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        return None if self._task.cancelled() else self._task.result()

    def give_up(self) -> None:
        """Nobody wants it any more."""
        self._done = None
        self._task.cancel()

    async def _come(self, asked: Callable[[], Coroutine[Any, Any, bytes | None]]) -> bytes | None:
        answer = None
        try:
            answer = await asked()
        except Exception:  # noqa: BLE001, S110  whatever it is, it is told where the request is executed
            pass
        finally:  # even where something inside was cancelled that nobody here knows of
            self._tell(answer)
        return answer


Left: TypeAlias = Sought | Coming
"""An answer under way. Where the request is begun after all, it is left for that."""
