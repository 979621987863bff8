"""Whether a request's client is still there, at next to no cost where the answer comes soon.

Nobody else would notice: a server tells an app that a client hung up only where the app asks for it. A task of its own
that asks costs more than a small query, and a client can hardly hang up on what takes less than a tenth of a second.
"""

import asyncio
from types import TracebackType
from typing import Any, Final, Self, cast

from starlette.requests import ClientDisconnect
from starlette.types import Receive

UNWATCHED_S: Final = 0.1
_GRAIN_S: Final = 0.001
"""What a loop's clock may be early by: uvloop counts milliseconds."""


class Rounds:
    """Looks after the requests that take longer than `UNWATCHED_S`, by one timer for all: few are left when it comes,
    and a timer costs more than all that is done here for a request."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due: dict[Attendance, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, attendance: "Attendance", loop: asyncio.AbstractEventLoop) -> None:
        """Have its `begin` called when the time has passed, unless it has left by then."""
        if self._loop is not loop:  # a timer of another would never come
            self._loop, self._timer = loop, None
            self._due.clear()
        self._due[attendance] = loop.time() + UNWATCHED_S  # which is later than all before
        if self._timer is None:
            self._timer = loop.call_later(UNWATCHED_S, self._come)

    def leave(self, attendance: "Attendance") -> None:
        """Whether it has entered or not."""
        self._due.pop(attendance, None)

    def _come(self) -> None:
        loop = cast("asyncio.AbstractEventLoop", self._loop)
        self._timer = None
        while self._due:
            attendance, at = next(iter(self._due.items()))
            if (left_s := at - loop.time()) > _GRAIN_S:
                self._timer = loop.call_later(left_s, self._come)
                return
            del self._due[attendance]
            attendance.begin()


class Attendance:
    """A block of a request's own task, which is cancelled where its client is late or gone. Raises what it is told to
    for a late one, and ClientDisconnect."""

    def __init__(self, receive: Receive, rounds: Rounds, loop: asyncio.AbstractEventLoop) -> None:
        self._receive = receive
        self._rounds = rounds
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._watching: asyncio.Task[None] | None = None
        self._ended_by: Exception | None = None

    def __enter__(self) -> Self:
        self._task: Any = asyncio.current_task(self._loop)
        return self

    def expect_within(self, seconds: float, late: Exception) -> None:
        """Raise ``late`` in the block where `watch` is not called before."""
        self._timer = self._loop.call_later(seconds, self._end, late)

    def watch(self) -> None:
        """The request has come whole, and is being worked on: end the block where its client hangs up."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._rounds.enter(self, self._loop)

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rounds.leave(self)
        if self._watching is not None:
            self._watching.cancel()
        # The server may have cancelled the request as well, because it ends: that goes on.
        if self._ended_by is not None and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise self._ended_by from None

    def begin(self) -> None:
        """Watch from now on whether the client is still there."""
        self._watching = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._end(ClientDisconnect())

    def _end(self, why: Exception) -> None:
        self._ended_by = why
        self._task.cancel()
