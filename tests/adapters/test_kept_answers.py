"""An answer that has just come is kept before anybody can ask for it again."""

import asyncio
import math
import time

import pytest

from adapters import deadline
from adapters.errors import AdapterError, NotFound, Rejected, TimedOut, UpstreamFault
from adapters.flight import Kept
from tests.adapters.upstream import until


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("fails", [False, True])
async def test_who_asks_in_the_moment_in_which_the_answer_comes_makes_no_second_call(turns: int, fails: bool):
    kept, gate, calls = Kept(60, retry_s=60), asyncio.Event(), 0

    async def call() -> str:
        nonlocal calls
        calls += 1
        await gate.wait()
        if fails:
            raise UpstreamFault("it is broken")
        return "answer"

    first = asyncio.create_task(kept.get("all", call))
    await asyncio.sleep(0.01)
    gate.set()
    for _ in range(turns):  # of the loop: the answer is on its way to whoever waits for it
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(first, kept.get("all", call), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [UpstreamFault if fails else str] * 2
    assert calls == 1


async def test_who_has_no_time_left_neither_ends_an_asking_nor_spoils_it_for_others():
    kept = Kept(ttl_s=60)
    may_end = asyncio.Event()

    async def answer() -> str:
        await may_end.wait()
        return "answer"

    with deadline.within(0.01), pytest.raises(TimedOut):
        await kept.get("key", answer)
    waiting = asyncio.create_task(kept.get("key", answer))
    await asyncio.sleep(0)
    may_end.set()
    assert await waiting == "answer"


async def test_an_answer_tells_until_when_it_is_kept_and_several_until_when_all_of_them_are():
    brief, long = Kept(ttl_s=0.01), Kept(ttl_s=60)

    async def answer() -> str:
        return "answer"

    assert long.until("a") == 0.0, "nothing was asked"
    began = time.monotonic()
    await long.get("a", answer)
    await long.get("b", answer)
    await brief.get("a", answer)
    assert began + 60 <= long.until("a") <= long.until("b") <= time.monotonic() + 60
    assert long.until("a", "b") == long.until("a")
    assert long.until("a", "b", "never asked") == 0.0
    assert long.until() == math.inf
    await until(lambda: time.monotonic() > began + 0.1)
    assert brief.until("a") == 0.0
    long.forget("a")
    assert long.until("a") == 0.0


async def test_of_what_is_asked_bit_by_bit_a_failure_alone_is_kept_and_for_a_while():
    kept, asked, fails = Kept(ttl_s=60, retry_s=0.05), 0, True

    async def answer() -> int:
        nonlocal asked
        asked += 1
        if fails:
            raise UpstreamFault("it is broken")
        return asked

    for _ in range(3):
        with pytest.raises(UpstreamFault):
            await kept.unless_failing("key", answer)
    assert asked == 1
    fails = False
    await asyncio.sleep(0.06)
    assert [await kept.unless_failing("key", answer) for _ in range(2)] == [2, 3]
    assert not kept.is_ready("key")


@pytest.mark.parametrize("kind", [Rejected, NotFound])
async def test_what_is_refused_says_nothing_of_what_others_ask_for(kind: type[AdapterError]):
    kept = Kept(ttl_s=60)

    async def refused() -> str:
        raise kind("not this one")

    async def answer() -> str:
        return "answer"

    with pytest.raises(kind):
        await kept.unless_failing("key", refused)
    assert await kept.unless_failing("key", answer) == "answer"


async def test_who_has_no_time_left_for_a_bit_does_not_make_it_a_failure_for_others():
    kept, may_end = Kept(ttl_s=60), asyncio.Event()

    async def answer() -> str:
        await may_end.wait()
        return "answer"

    with deadline.within(0.01), pytest.raises(TimedOut):
        await kept.unless_failing("key", answer)
    may_end.set()
    assert await kept.unless_failing("key", answer) == "answer"
