"""What many wait for, each for what it makes of it."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

G = TypeVar("G")
M = TypeVar("M")


class Later(Generic[G, M]):
    """What ``make`` makes of what a future is going to give; it raises what either of them does. It is under way
    whether anybody waits or not, so that several can be waited for one after the other, without a task for each. Who
    waits and is cancelled costs nobody else anything."""

    __slots__ = ("_given", "_make")

    def __init__(self, given: "asyncio.Future[G]", make: Callable[[G], M]) -> None:
        self._given = given
        self._make = make

    def __await__(self) -> Generator[Any, Any, M]:
        if not self._given.done():
            yield from asyncio.shield(self._given).__await__()
        return self._make(self._given.result())
