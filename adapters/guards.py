"""What stands between a caller and a sick upstream: a bound on calls at the same time, and a breaker."""

import asyncio
import contextlib
import time
from collections import deque

from adapters import deadline, errors
from adapters.model import Word


class Bulkhead:
    """At most ``in_flight`` at once and ``waiting`` behind them, so that one sick instance cannot hold everything."""

    def __init__(self, in_flight: int, waiting: int) -> None:
        self._free = in_flight
        self._places = waiting
        self._queue: deque[asyncio.Future[None]] = deque()

    def enter_now(self) -> bool:
        """Enter where nobody has to wait for it; who entered must `leave`."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    async def enter(self) -> None:
        """Enter, in turn. Raises Overloaded where too many wait already, and TimedOut at the deadline."""
        if self.enter_now():
            return
        if len(self._queue) >= self._places:
            raise errors.Overloaded("too many calls to this instance are waiting already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(deadline.remaining()):
                await turn
        except BaseException as raised:
            if turn in self._queue:
                self._queue.remove(turn)
            elif not turn.cancelled():
                self.leave()  # the turn came at the same moment
            if isinstance(raised, TimeoutError):
                raise errors.TimedOut("no place among the calls in flight in time") from None
            raise

    def leave(self) -> None:
        """Let the next one in, who is then in flight: nobody can come between."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


PATIENCE_S = 1.0
"""What others wait at the most for the outcome of the call that tries whether an instance is back."""


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
        self._trial: asyncio.Event | None = None
        """Set when the call that tries is over."""

    @property
    def is_closed(self) -> bool:
        """Whether calls are being made as ever."""
        return self._opened_at is None

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
        if left_s > 0 or self._trial is not None:
            raise errors.CircuitOpen("it failed repeatedly and is left alone", retry_after_s=max(PATIENCE_S, left_s))
        self._trial = asyncio.Event()
        return True

    async def admitted(self) -> bool:
        """As `admit`, once it is seen what comes of the call that tries, where that is seen soon: one that is back
        answers, and several calls that belong together are not torn apart by the first of them."""
        if self._opened_at is not None and self._trial is not None:
            left_s = deadline.remaining()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S if left_s is None else min(PATIENCE_S, left_s)):
                    await self._verdict()
        return self.admit()

    async def _verdict(self) -> None:
        """Wait until no call tries any more."""
        while (trial := self._trial) is not None:
            await trial.wait()

    def succeeded(self, trying: bool) -> None:
        self._failures, self._opened_at = 0, None
        self._end_trial()  # whichever call it was: it is back

    def failed(self, trying: bool) -> None:
        self._failures += 1
        if trying or self._failures >= self._after:
            self._opened_at = time.monotonic()
        self.left(trying)

    def left(self, trying: bool) -> None:
        """The call ended without an answer: where it was the one that tries, the next one does so instead."""
        if trying:
            self._end_trial()

    def _end_trial(self) -> None:
        if self._trial is not None:
            self._trial.set()
            self._trial = None
