"""A timer that is set again and again, and rings next to never."""

import asyncio
import time
from collections.abc import Callable

GRAIN_S = 0.001
"""What a loop's clock may be early by: uvloop counts milliseconds."""


class Alarm:
    """Rings at the moment it was last set to, unless it was cleared before.

    A timer of the loop is made where none is on its way or where it would come too late. One that comes too early only
    makes the next: where what is waited for is nearly always soon there, there is one timer in as many seconds as
    it would have taken, and not one for each time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], object]) -> None:
        self._loop = loop
        self._ring: Callable[[], object] | None = ring
        self._at: float | None = None
        self._comes_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Ring in so many seconds, and not when it was to ring before."""
        if self._ring is None:
            return
        self._at = at = time.monotonic() + seconds
        if self._timer is not None:
            if self._comes_at <= at:
                return
            self._timer.cancel()
        self._start(at, seconds)

    def clear(self) -> None:
        """Do not ring."""
        self._at = None

    def close(self) -> None:
        """Do not ring any more, whatever it is set to, and let go of the loop and of who was to be called: as a rule
        that holds the alarm."""
        self._at = self._ring = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, at: float, seconds: float) -> None:
        self._comes_at = at
        self._timer = self._loop.call_later(seconds, self._come)

    def _come(self) -> None:
        self._timer = None
        if self._at is None or self._ring is None:
            return
        left_s = self._at - time.monotonic()
        if left_s > GRAIN_S:
            self._start(self._at, left_s)
        else:
            self._at = None
            self._ring()
