"""What stands between a caller and a sick upstream: a bound on calls at the same time, and a breaker."""

import asyncio
import time

from adapters import deadline, errors
from adapters.model import Word


class Bulkhead:
    """At most ``in_flight`` at once and ``waiting`` behind them, so that one sick instance cannot hold everything."""

    def __init__(self, in_flight: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(in_flight)
        self._places = waiting
        self._waiting = 0

    async def __aenter__(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        if self._waiting >= self._places:
            raise errors.Overloaded("too many calls to this instance are waiting already")
        self._waiting += 1
        try:
            async with asyncio.timeout(deadline.remaining()):
                await self._free.acquire()
        except TimeoutError:
            raise errors.TimedOut("no place among the calls in flight in time") from None
        finally:
            self._waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self._free.release()


class BreakerState(Word):
    """Whether calls to an instance are being made."""

    CLOSED = "CLOSED", "They are."
    OPEN = "OPEN", "It failed so often in a row that it is left alone for a while."
    HALF_OPEN = "HALF_OPEN", "It was left alone long enough: the next call tries whether it is back."


class Breaker:
    """Leaves an instance alone after ``after`` failures in a row: for ``for_s`` seconds nothing is sent,
    then a single call tries whether it is back."""

    def __init__(self, after: int, for_s: float) -> None:
        self._after = after
        self._for_s = for_s
        self._failures = 0
        self._opened_at: float | None = None
        self._trying = False

    @property
    def state(self) -> BreakerState:
        if self._opened_at is None:
            return BreakerState.CLOSED
        waited = time.monotonic() - self._opened_at >= self._for_s
        return BreakerState.HALF_OPEN if waited else BreakerState.OPEN

    def admit(self) -> bool:
        """Whether the call is the one that tries. Raises CircuitOpen where nothing may be sent now."""
        if self._opened_at is None:
            return False
        left_s = self._for_s - (time.monotonic() - self._opened_at)
        if left_s > 0 or self._trying:
            raise errors.CircuitOpen("it failed repeatedly and is left alone", retry_after_s=max(0.0, left_s))
        self._trying = True
        return True

    def succeeded(self, trying: bool) -> None:
        self._failures, self._opened_at = 0, None
        self.left(trying)

    def failed(self, trying: bool) -> None:
        self._failures += 1
        if trying or self._failures >= self._after:
            self._opened_at = time.monotonic()
        self.left(trying)

    def left(self, trying: bool) -> None:
        """The call ended without an answer: where it was the one that tries, the next one does so instead."""
        if trying:
            self._trying = False
