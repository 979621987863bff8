"""Answers that change rarely are kept, and failures for a short while; work is shared by all who wait for it, each as
long as its own time lasts.
"""

import asyncio
import gc
from typing import Any

import pytest

from adapters import deadline
from adapters.errors import TimedOut, UpstreamFault
from adapters.flight import GIVEN_UP, GOES_ON, Kept, Shared
from tests.adapters.upstream import until


class Source:
    """Answers its number of calls so far; waits while ``gate`` is closed, fails while ``failing``."""

    def __init__(self) -> None:
        self.calls = 0
        self.cancelled = 0
        self.failing = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failing:
            raise UpstreamFault(f"broken at call {number}")
        return number


async def failure_of(kept: Kept, source: Source) -> BaseException:
    with pytest.raises(UpstreamFault) as raised:
        await kept.get("a", source)
    return raised.value


async def test_an_answer_is_kept_and_asked_for_once():
    kept, source = Kept(60), Source()
    assert await asyncio.gather(*(kept.get("a", source) for _ in range(20))) == [1] * 20
    assert await kept.get("a", source) == 1
    assert await kept.get("b", source) == 2
    assert source.calls == 2


async def test_an_answer_that_is_nothing_is_kept_too():
    kept, calls = Kept(60), 0

    async def nothing() -> None:
        nonlocal calls
        calls += 1

    await kept.get("a", nothing)
    await kept.get("a", nothing)
    assert calls == 1


async def test_an_answer_is_asked_for_again_when_its_time_is_over():
    kept, source = Kept(0.02), Source()
    assert await kept.get("a", source) == 1
    await asyncio.sleep(0.03)
    assert await kept.get("a", source) == 2


async def test_an_answer_that_is_to_be_kept_no_time_is_asked_for_each_time():
    kept, source = Kept(0), Source()
    assert [await kept.get("a", source) for _ in range(3)] == [1, 2, 3]


async def test_a_failure_is_kept_for_a_short_while_so_that_not_every_page_waits_for_it():
    kept, source = Kept(60, retry_s=60), Source()
    source.failing = True
    failures = [await failure_of(kept, source) for _ in range(3)]
    assert {type(failure) for failure in failures} == {UpstreamFault}
    assert source.calls == 1
    source.failing = False
    assert await kept.get("b", source) == 2, "of this key alone"


async def test_a_failure_whose_time_is_over_is_asked_for_again():
    kept, source = Kept(60, retry_s=0), Source()
    source.failing = True
    for _ in range(2):
        assert isinstance(await failure_of(kept, source), UpstreamFault)
    source.failing = False
    assert await kept.get("a", source) == 3
    source.failing = True
    assert await kept.get("a", source) == 3, "a kept answer needs no call"


async def test_an_older_answer_is_better_than_a_failure():
    kept, source = Kept(0, retry_s=60), Source()
    assert await kept.get("a", source) == 1
    source.failing = True
    assert [await kept.get("a", source) for _ in range(3)] == [1, 1, 1]
    assert source.calls == 2


async def test_what_is_to_be_asked_for_again_is_given_once_more_where_that_fails():
    kept, source = Kept(60, retry_s=60), Source()
    assert await kept.get("a", source) == 1
    kept.forget("a")
    assert not kept.is_ready("a")
    source.failing = True
    assert await kept.get("a", source) == 1
    assert source.calls == 2
    kept.forget("a")
    source.failing = False
    assert await kept.get("a", source) == 3


async def test_a_mistake_of_ours_is_neither_kept_nor_hidden():
    kept, calls = Kept(0, retry_s=60), 0

    async def mistaken() -> None:
        nonlocal calls
        calls += 1
        raise KeyError(calls)

    for _ in range(2):
        with pytest.raises(KeyError):
            await kept.get("a", mistaken)
    assert calls == 2


async def test_it_is_told_whether_asking_takes_a_call():
    kept, source = Kept(60, retry_s=60), Source()
    assert not kept.is_ready("a")
    await kept.get("a", source)
    assert kept.is_ready("a")
    assert not kept.is_ready("b")
    kept.forget("a")
    assert not kept.is_ready("a")
    source.failing = True
    assert await kept.get("a", source) == 1
    assert kept.is_ready("a"), "a failure that is kept takes no call either"


async def test_what_is_not_kept_any_more_takes_a_call_and_is_known_all_the_same():
    kept, source = Kept(0, retry_s=0), Source()
    assert kept.known("a") is None
    await kept.get("a", source)
    assert not kept.is_ready("a")
    assert kept.known("a") == 1


# Work that is shared


def told(outcomes: list[int | BaseException]) -> set[tuple[type, str]]:
    return {(type(outcome), str(outcome)) for outcome in outcomes}


async def hurried(shared: Shared[int], source: Source) -> int:
    with deadline.within(0.02):
        return await shared(source)


async def test_all_who_wait_for_some_work_share_one_run_and_the_next_is_a_new_one():
    shared, source = Shared[int](), Source()
    source.gate.clear()
    waiting = [asyncio.create_task(shared(source)) for _ in range(20)]
    await until(lambda: source.calls == 1)
    assert shared.is_running
    source.gate.set()
    assert await asyncio.gather(*waiting) == [1] * 20
    assert not shared.is_running
    assert await shared(source) == 2


async def test_who_runs_out_of_time_leaves_and_the_others_get_the_outcome():
    shared, source = Shared[int](), Source()
    source.gate.clear()
    patient = asyncio.create_task(shared(source))
    outcomes = await asyncio.gather(*(hurried(shared, source) for _ in range(5)), return_exceptions=True)
    assert told(outcomes) == {(TimedOut, GOES_ON)}
    source.gate.set()
    assert await patient == 1
    assert (source.calls, source.cancelled) == (1, 0)


async def test_each_who_waits_is_told_at_their_own_time_whoever_came_first():
    shared: Shared[int] = Shared()
    source, order = Source(), list[float]()
    source.gate.clear()

    async def wait(seconds: float) -> None:
        with deadline.within(seconds), pytest.raises(TimedOut, match=GOES_ON):
            await shared(source)
        order.append(seconds)

    times = (0.12, 0.04, 0.2, 0.08, 0.0, 0.16)
    lasting = asyncio.create_task(shared(source))
    async with asyncio.timeout(5):
        await asyncio.gather(*map(wait, times))
        assert order == sorted(times)
        await wait(0.05)  # who comes when all others have gone
        source.gate.set()
        assert await lasting == source.calls == 1


async def test_all_who_wait_share_a_timer_and_so_do_the_runs_that_follow(monkeypatch: pytest.MonkeyPatch):
    loop, timers, shared = asyncio.get_running_loop(), list[float](), Shared[int]()
    as_ever = loop.call_at

    def call_at(when: float, *given: Any, **named: Any) -> asyncio.TimerHandle:
        timers.append(when)
        return as_ever(when, *given, **named)

    monkeypatch.setattr(loop, "call_at", call_at)
    source = Source()
    with deadline.within(60):
        for number in range(1, 4):
            assert await asyncio.gather(*(shared(source) for _ in range(20))) == [number] * 20
    assert len(timers) == 1
    with deadline.within(30):
        await shared(source)
    assert len(timers) == 2, "it would have come too late"


def test_work_that_is_shared_in_another_loop_ends_there_in_time():
    shared: Shared[int] = Shared()
    source = Source()

    async def wait(seconds: float) -> int:
        with deadline.within(seconds):
            return await shared(source)

    assert asyncio.run(wait(0.3)) == 1
    source.gate.clear()
    with pytest.raises(TimedOut, match=GOES_ON):
        asyncio.run(asyncio.wait_for(wait(0.5), 5))


async def test_of_what_is_asked_bit_by_bit_no_timer_is_left(monkeypatch: pytest.MonkeyPatch):
    loop, timers, source = asyncio.get_running_loop(), list[asyncio.TimerHandle](), Source()
    as_ever = loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda *a, **named: timers.append(as_ever(*a, **named)) or timers[-1])
    with deadline.within(60):
        assert [await Kept(60).unless_failing("a", source) for _ in range(5)] == [1, 2, 3, 4, 5]
    assert [timer.cancelled() for timer in timers] == [True] * 5


async def test_work_that_everybody_ran_out_of_time_for_goes_on_and_can_still_be_waited_for():
    shared, source = Shared[int](), Source()
    source.gate.clear()
    for _ in range(3):
        with pytest.raises(TimedOut):
            await hurried(shared, source)
    assert shared.is_running
    late = asyncio.create_task(shared(source))
    source.gate.set()
    assert await late == 1
    assert (source.calls, source.cancelled) == (1, 0)


async def test_who_has_no_time_left_begins_the_work_and_does_not_wait_for_it():
    shared, source = Shared[int](), Source()
    source.gate.clear()
    with deadline.within(0), pytest.raises(TimedOut):
        await shared(source)
    await until(lambda: source.calls == 1)
    source.gate.set()
    await until(lambda: not shared.is_running)
    assert source.cancelled == 0


async def test_work_ends_when_the_last_who_waited_went_away():
    shared, source = Shared[int](), Source()
    source.gate.clear()
    waiting = [asyncio.create_task(shared(source)) for _ in range(3)]
    await until(lambda: source.calls == 1)
    for number, task in enumerate(waiting, 1):
        assert source.cancelled == 0
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await asyncio.sleep(0)
        assert source.cancelled == (number == 3)
    source.gate.set()
    assert await shared(source) == 2, "the next one starts anew"


async def test_work_ends_when_the_last_went_away_though_others_ran_out_of_time_before():
    shared, source = Shared[int](), Source()
    source.gate.clear()
    waiting = asyncio.create_task(shared(source))
    with pytest.raises(TimedOut):
        await hurried(shared, source)
    waiting.cancel()
    await asyncio.wait([waiting])
    await until(lambda: source.cancelled == 1)


async def test_who_comes_right_after_the_last_went_away_is_not_given_the_end_of_that_work():
    shared, source = Shared[int](), Source()
    source.gate.clear()
    left = asyncio.create_task(shared(source))
    await until(lambda: source.calls == 1)
    left.cancel()
    next_one = asyncio.create_task(shared(source))
    source.gate.set()
    assert await next_one == 2
    assert left.cancelled()


@pytest.mark.parametrize("has_begun", [True, False])
async def test_work_that_is_ended_ends_for_all_who_wait(has_begun: bool):
    shared, source = Shared[int](), Source()
    source.gate.clear()
    waiting = [asyncio.create_task(shared(source)) for _ in range(3)]
    await asyncio.sleep(0)
    if has_begun:
        await until(lambda: source.calls == 1)
    shared.end()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert told(outcomes) == {(TimedOut, GIVEN_UP)}
    assert (source.calls, source.cancelled) == ((1, 1) if has_begun else (0, 0))
    source.gate.set()
    assert await shared(source) == source.calls


async def test_work_that_something_else_cancels_leaves_nobody_waiting():
    shared = Shared[int]()
    given_up: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> int:
        return await given_up

    waiting = [asyncio.create_task(shared(work)) for _ in range(3)]
    await until(lambda: shared.is_running)
    given_up.cancel()
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert told(outcomes) == {(TimedOut, GIVEN_UP)}
    assert not shared.is_running


async def test_a_failure_reaches_all_who_wait_and_the_next_run_is_new():
    shared, source = Shared[int](), Source()
    source.gate.clear()
    source.failing = True
    waiting = [asyncio.create_task(shared(source)) for _ in range(5)]
    await until(lambda: source.calls == 1)
    source.gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {UpstreamFault}
    source.failing = False
    assert await shared(source) == 2


async def test_a_failure_that_nobody_waited_for_is_not_complained_of():
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:
        shared, source = Shared[int](), Source()
        source.gate.clear()
        source.failing = True
        with pytest.raises(TimedOut):
            await hurried(shared, source)
        source.gate.set()
        await until(lambda: source.calls == 1)
        del shared
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()
        await asyncio.sleep(0)
    finally:
        loop.set_exception_handler(handler)
    assert complaints == []


async def test_work_that_is_ended_is_timed_out_for_who_waits_and_nothing_is_left_running():
    shared, source = Shared[int](), Source()
    shared.end()  # where there is nothing, nothing ends
    source.gate.clear()
    waiting = [asyncio.create_task(shared(source)) for _ in range(3)]
    await until(lambda: source.calls == 1)
    shared.end()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {TimedOut}
    assert (source.cancelled, shared.is_running) == (1, False)
