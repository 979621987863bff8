"""One call for all who ask the same thing at the same time, and answers kept for a while."""

import asyncio
import contextvars
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Hashable, Iterator
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from adapters import deadline
from adapters.alarm import GRAIN_S
from adapters.errors import AdapterError, NotFound, Rejected, TimedOut

T = TypeVar("T")
R_contra = TypeVar("R_contra", contravariant=True)


LOOKUP_S = 30.0
"""What asking for something that is kept may take, retries included."""


class Place(Protocol[R_contra]):
    """Who waits for something: a future, or what is used as one."""

    def done(self) -> bool: ...
    def set_result(self, result: R_contra, /) -> None: ...
    def set_exception(self, exception: BaseException, /) -> None: ...
    def cancel(self) -> object: ...


class Flight(Generic[T]):
    """One call under way, for all who wait for it. It is given up when the last of them has left."""

    def __init__(self, flights: "dict[Hashable, Flight[Any]]", key: Hashable) -> None:
        self._flights = flights
        self._key = key
        self._waiting: list[Place[T]] = []
        self._give_up: Callable[[], object] | None = None

    async def answer(self) -> T:
        """What came of the call. Raises what it raised."""
        place: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.enter(place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.cancelled():
                self.leave(place)
            else:
                look_at(place)  # the answer came at the same moment
            raise

    def enter(self, place: Place[T]) -> None:
        """Have somebody wait for the answer, or the error, who is told of either."""
        self._waiting.append(place)

    def leave(self, place: Place[T]) -> None:
        """Wait no more."""
        if place in self._waiting:
            self._waiting.remove(place)
            if not self._waiting:
                self.forget()
                give_up, self._give_up = self._give_up, None
                if give_up is not None:
                    give_up()

    def by(self, give_up: Callable[[], object]) -> None:
        """The call goes on, and ends by ``give_up`` where nobody wants it any more."""
        self._give_up = give_up

    def follow(self, task: "asyncio.Task[T]") -> None:
        """The call goes on in ``task``, whose outcome is its own."""
        self.by(task.cancel)
        task.add_done_callback(self._followed)

    def land(self, answer: T) -> None:
        """Give all who wait their answer."""
        for place in self._ended():
            place.set_result(answer)

    def fail(self, error: BaseException) -> None:
        """Give all who wait the error instead."""
        for place in self._ended():
            place.set_exception(error)

    def _ended(self) -> Iterator[Place[T]]:
        """Who waits to the end. The call is over: who comes now begins a new one."""
        self.forget()
        waiting, self._waiting, self._give_up = self._waiting, [], None
        for place in waiting:
            if not place.done():
                yield place

    def _followed(self, task: "asyncio.Task[T]") -> None:
        if task.cancelled():
            for place in self._ended():
                place.cancel()
        elif (error := task.exception()) is not None:
            self.fail(error)
        else:
            self.land(task.result())

    def forget(self) -> None:
        """Have nobody else join it."""
        if self._flights.get(self._key) is self:
            del self._flights[self._key]


class SingleFlight:
    """Joins equal calls that are in flight at once. Nothing is kept after the answer."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight[Any]] = {}
        self.get = self._flights.get
        """Gives the call of a key that is under way."""

    def begin(self, key: Hashable) -> Flight[Any]:
        """A call of this key that begins now, whoever makes it."""
        flight: Flight[Any] = Flight(self._flights, key)
        self._flights[key] = flight
        return flight

    def forget(self) -> None:
        """Nobody joins the calls that are under way any more; who waits for one goes on doing so."""
        self._flights.clear()


Waiting: TypeAlias = dict[asyncio.Future[T], float]
"""Who waits for a shared run, and until when, by the monotonic clock."""


class Shared(Generic[T]):
    """One run of some work for all who wait for it. Whoever runs out of time leaves it running, because its outcome is
    kept for others; when the last who waits goes away altogether, it ends.

    There is one timer for all of them, which comes when the first could be late; as a rule nobody is there any more.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._waiting: Waiting[T] = {}
        self._wakes_at = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop that the timer is of."""

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def __call__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The outcome of the run that goes on, or of a new one. Raises as `Wait`."""
        return await (self.join() if self.is_running else self.begin(work))

    def begin(self, work: Callable[[], Coroutine[Any, Any, T]]) -> "Wait[T]":
        """Begin a run, where none goes on, and wait for it."""
        self._waiting = {}
        self._task = asyncio.get_running_loop().create_task(_landed(work, self._waiting))
        return self.join()

    def join(self) -> "Wait[T]":
        """Wait for the run that goes on."""
        return Wait(self, self._waiting)

    def left(self, waiting: Waiting[T]) -> None:
        """The last of those has gone away."""
        if self._waiting is waiting:
            self.end()

    def wake_at(self, ends_at: float, loop: asyncio.AbstractEventLoop) -> None:
        """See at that moment who waits in vain."""
        if ends_at < self._wakes_at or loop is not self._loop:
            self.sleep()
            self._wakes_at, self._loop = ends_at, loop
            # It may outlive whoever sets it.
            self._timer = loop.call_at(ends_at, self._woken, context=contextvars.Context())

    def sleep(self) -> None:
        """See nobody's time end any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._wakes_at = None, math.inf

    def _woken(self) -> None:
        loop = asyncio.get_running_loop()
        now, next_at = loop.time() + GRAIN_S, math.inf
        for place, ends_at in self._waiting.items():
            if ends_at <= now:
                _late(place, GOES_ON)
            else:
                next_at = min(next_at, ends_at)
        self.sleep()
        if next_at < math.inf:
            self.wake_at(next_at, loop)

    def end(self) -> None:
        """End the run that goes on, for all who wait. Who comes after that begins a new one."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            for place in self._waiting:
                _late(place, GIVEN_UP)


class Wait(Generic[T]):
    """Somebody who waits for the outcome of a shared run from now on, whenever it is awaited. Raises what the run
    raises, and TimedOut where the deadline of who waits comes first."""

    def __init__(self, shared: Shared[T], waiting: Waiting[T]) -> None:
        loop, ends_at = asyncio.get_running_loop(), deadline.ends_at()
        self._shared = shared
        self._waiting = waiting
        self._place: asyncio.Future[T] = loop.create_future()
        waiting[self._place] = math.inf if ends_at is None else ends_at
        if ends_at is not None:
            shared.wake_at(ends_at, loop)

    def __await__(self) -> Generator[Any, None, T]:
        try:
            return (yield from self._place)
        except asyncio.CancelledError:
            self.cancel()
            raise
        finally:
            self._waiting.pop(self._place, None)

    def cancel(self) -> None:
        """Wait no more, where it has not been awaited to its end."""
        if self._place in self._waiting:
            if len(self._waiting) == 1:
                self._shared.left(self._waiting)
            self._waiting.pop(self._place, None)
            look_at(self._place) if self._place.done() else self._place.cancel()


async def _landed(work: Callable[[], Awaitable[T]], waiting: Waiting[T]) -> None:
    """Give the outcome to all who wait, as soon as it is there: their own tasks need not wait for the end of this one.
    One that nobody waits for is nobody's business."""
    try:
        outcome = await work()
    except asyncio.CancelledError:
        for place in waiting:
            _late(place, GIVEN_UP)
        raise
    except Exception as error:  # noqa: BLE001  it is raised where it is waited for
        for place in waiting:
            if not place.done():
                place.set_exception(error)
    else:
        for place in waiting:
            if not place.done():
                place.set_result(outcome)


GOES_ON = "it was not read in time; reading it goes on"
GIVEN_UP = "it was not read in time, and reading it was given up"


def _late(place: "asyncio.Future[Any]", told: str) -> None:
    if not place.done():
        place.set_exception(TimedOut(told))


def look_at(outcome: "asyncio.Future[Any]") -> None:
    """Look at an outcome, so that asyncio does not warn of one that nobody waits for any more."""
    if not outcome.cancelled():
        outcome.exception()


class Kept:
    """Answers that change rarely (names, logos, definitions), each kept ``ttl_s`` seconds.

    A failure is kept ``retry_s``: whatever it was, asking again for each page would only make each page wait for it.
    Where there is an older answer, that one is given instead.
    """

    def __init__(self, ttl_s: float, retry_s: float = 10.0) -> None:
        self._ttl_s = ttl_s
        self._retry_s = retry_s
        self._running: dict[Hashable, Shared[Any]] = {}
        self._answers: dict[Hashable, tuple[float, Any]] = {}
        self._failures: dict[Hashable, tuple[float, AdapterError]] = {}

    def forget(self, key: Hashable) -> None:
        """Ask again for this one, whatever is kept; where that fails, what was kept is given."""
        if key in self._answers:
            self._answers[key] = 0.0, self._answers[key][1]
        self._failures.pop(key, None)

    def is_ready(self, key: Hashable) -> bool:
        """Whether asking for this one now takes no call."""
        now = time.monotonic()
        return any(kept.get(key, (0.0, None))[0] > now for kept in (self._answers, self._failures))

    def until(self, *keys: Hashable) -> float:
        """Until when, by ``time.monotonic``, what was answered to all of these is kept: 0 where one is kept no longer,
        infinite where there are none."""
        ends_at = min((self._answers.get(key, (0.0, None))[0] for key in keys), default=math.inf)
        return ends_at if ends_at > time.monotonic() else 0.0

    def known(self, key: Hashable) -> Any:
        """What was answered last, however long ago; None where nothing was."""
        return self._answers.get(key, (0.0, None))[1]

    async def get(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """The kept answer of ``call``, or a new one. Raises what it raises where there is none."""
        ends_at, answer = self._answers.get(key, (0.0, None))
        if ends_at > time.monotonic():
            return answer
        failure = self._failing(key)
        if failure is None:
            try:
                return await self._running.setdefault(key, Shared())(lambda: self._asked(key, call))
            except AdapterError as error:
                failure = error
        if key not in self._answers:
            raise failure.with_traceback(None)
        return answer

    async def unless_failing(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """What ``call`` answers, which is not kept. Where one of this key has failed lately none is made, whatever it
        would ask for, and that failure is raised again. Raises what ``call`` raises."""
        failure = self._failing(key)
        if failure is not None:
            raise failure.with_traceback(None)
        one: Shared[T] = Shared()  # which goes on where its caller has no time left
        try:
            return await one(lambda: self._tried(key, call))
        except (Rejected, NotFound):
            self._failures.pop(key, None)  # of what was asked for, and not of who was asked
            raise
        finally:
            one.sleep()  # nobody else waits for it

    def _failing(self, key: Hashable) -> AdapterError | None:
        """The failure of this key that is not over yet."""
        failed_until, failure = self._failures.get(key, (0.0, None))
        return failure if failed_until > time.monotonic() else None

    async def _asked(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """The answer of ``call``. It is kept before the run ends, or who asks between the two would call again."""
        answer = await self._tried(key, call)
        self._answers[key] = (time.monotonic() + self._ttl_s, answer)
        return answer

    async def _tried(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """The answer of ``call``, which is everybody's: whoever began it and has no time left does not end it."""
        try:
            with deadline.afresh(LOOKUP_S):
                answer = await call()
        except AdapterError as error:
            self._failures[key] = (time.monotonic() + self._retry_s, error)
            raise
        self._failures.pop(key, None)
        return answer
