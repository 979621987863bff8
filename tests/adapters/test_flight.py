"""Equal calls at the same time are one; answers that change rarely are kept, and failures for a short while."""

import asyncio

import pytest

from adapters.errors import UpstreamFault
from adapters.flight import Kept, SingleFlight
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


async def test_equal_keys_at_once_are_one_call_and_later_ones_another():
    flight, source = SingleFlight(), Source()
    assert await asyncio.gather(*(flight("a", source) for _ in range(20))) == [1] * 20
    assert await flight("a", source) == 2


async def test_different_keys_are_different_calls():
    flight, source = SingleFlight(), Source()
    assert sorted(await asyncio.gather(*(flight(key, source) for key in "abc"))) == [1, 2, 3]


async def test_all_who_wait_meet_the_failure_and_the_next_call_is_new():
    flight, source = SingleFlight(), Source()
    source.failing = True
    failures = await asyncio.gather(*(flight("a", source) for _ in range(5)), return_exceptions=True)
    assert {type(failure) for failure in failures} == {UpstreamFault}
    assert source.calls == 1
    source.failing = False
    assert await flight("a", source) == 2


@pytest.mark.parametrize("leaving", [0, 2, 4])
async def test_any_one_may_leave_and_the_others_get_their_answer(leaving: int):
    flight, source = SingleFlight(), Source()
    source.gate.clear()
    waiting = [asyncio.create_task(flight("a", source)) for _ in range(5)]
    await until(lambda: source.calls == 1)
    left = waiting.pop(leaving)
    left.cancel()
    await asyncio.wait([left])
    source.gate.set()
    assert await asyncio.gather(*waiting) == [1] * 4
    assert (source.calls, source.cancelled) == (1, 0)


async def test_the_call_is_cancelled_when_the_last_one_left():
    flight, source = SingleFlight(), Source()
    source.gate.clear()
    waiting = [asyncio.create_task(flight("a", source)) for _ in range(5)]
    await until(lambda: source.calls == 1)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    await until(lambda: source.cancelled == 1)
    source.gate.set()
    assert await flight("a", source) == 2


async def test_who_comes_right_after_the_last_one_left_does_not_get_the_cancelled_call():
    flight, source = SingleFlight(), Source()
    source.gate.clear()
    left = asyncio.create_task(flight("a", source))
    await until(lambda: source.calls == 1)
    left.cancel()
    next_one = asyncio.create_task(flight("a", source))
    source.gate.set()
    assert await next_one == 2
    assert left.cancelled()


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
