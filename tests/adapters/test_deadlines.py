"""No call outlasts the deadline of its caller, and nothing is repeated that could not end before it."""

import asyncio
import time

import pytest
from starlette.responses import Response

from adapters import deadline, errors
from adapters.transport import Transport
from tests.adapters.upstream import READ, Upstream, outcomes, over, until


async def test_nothing_is_repeated_that_could_not_end_before_the_deadline():
    upstream = Upstream(Response(status_code=503, headers={"Retry-After": "2"}))
    async with over(upstream, retries=3) as sender:
        with deadline.within(1), pytest.raises(errors.UpstreamFault):
            await sender.send(READ)
    assert len(upstream.seen) == 1


async def test_a_call_ends_with_the_deadline_though_its_own_time_is_longer():
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream, timeout=60) as sender, asyncio.timeout(10):
        with deadline.within(0.1), pytest.raises(errors.TimedOut):
            await sender.send(READ)
        await until(lambda: upstream.abandoned == 1)


async def test_an_inner_deadline_never_reaches_beyond_the_outer_one():
    assert deadline.remaining() is None
    with deadline.within(1), deadline.within(60):
        left_s = deadline.remaining()
    assert left_s is not None
    assert left_s <= 1
    with deadline.within(-1):
        assert deadline.remaining() == 0


async def test_a_part_of_the_time_that_is_left_is_less_and_of_no_time_it_is_none():
    with deadline.within_share(0.5):
        assert deadline.remaining() is None
    with deadline.until(time.monotonic() + 60):
        with deadline.within_share(0.5):
            assert 20 < (deadline.remaining() or 0) <= 30
        assert 50 < (deadline.remaining() or 0) <= 60
    with deadline.until(time.monotonic() - 60), deadline.within_share(0.5):
        assert deadline.remaining() == 0


async def test_a_deadline_that_is_over_costs_no_call_and_says_nothing_about_the_upstream():
    upstream = Upstream()
    async with over(upstream, break_after=1) as sender:
        await sender.send(READ)  # so that an open socket is at hand
        with deadline.within(0), pytest.raises(errors.TimedOut):
            await sender.send(READ)
        assert len(upstream.seen) == 1
        assert await sender.send(READ) == b"[]"


async def test_a_caller_that_joined_leaves_at_its_own_deadline():
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream, timeout=60) as sender:
        first = asyncio.create_task(sender.send(READ))
        await until(lambda: len(upstream.seen) == 1)
        try:
            with deadline.within(0.05), pytest.raises(errors.TimedOut):
                async with asyncio.timeout(2):
                    await sender.send(READ)
        finally:
            upstream.gate.set()
        assert await first == b"[]"


async def test_a_caller_that_joined_does_not_fail_at_the_deadline_of_the_first():
    upstream = Upstream()
    upstream.gate.clear()

    async def hurried(sender: Transport) -> bytes:
        with deadline.within(0.2):
            return await sender.send(READ)

    async with over(upstream, timeout=60) as sender:
        first = asyncio.create_task(hurried(sender))
        await until(lambda: len(upstream.seen) == 1)
        second = asyncio.create_task(sender.send(READ))
        with pytest.raises(errors.TimedOut):
            await first
        upstream.gate.set()
        assert (await outcomes(second)) == [b"[]"]


async def test_a_caller_that_joined_twice_leaves_at_its_own_deadline_as_well():
    upstream = Upstream()
    upstream.gate.clear()

    async def ask(seconds: float) -> type[object]:
        with deadline.within(seconds):
            return type((await outcomes(sender.send(READ)))[0])

    async with over(upstream, timeout=60) as sender, asyncio.timeout(10):
        asked = [asyncio.create_task(ask(seconds)) for seconds in (0.1, 60, 0.3)]
        done, late = await asyncio.wait(asked, timeout=2)
        assert [task.result() for task in (asked[0], asked[2])] == [errors.TimedOut] * 2
        assert (len(done), late) == (2, {asked[1]})
        upstream.gate.set()
        assert await asked[1] is bytes
    assert len(upstream.seen) == 2


async def test_work_for_others_has_a_time_of_its_own_and_who_began_it_keeps_theirs():
    with deadline.within(0):
        with deadline.afresh(60):
            left_s = deadline.remaining()
            assert left_s is not None
            assert 0 < left_s <= 60
            with deadline.within(3600):
                within_s = deadline.remaining()
                assert within_s is not None
                assert within_s <= 60, "what happens inside is bounded by it"
        assert deadline.remaining() == 0
    with deadline.within(3600), deadline.afresh(0):
        assert deadline.remaining() == 0, "it may be shorter too"
    assert deadline.remaining() is None


async def test_a_call_for_others_is_made_though_who_began_it_has_no_time_left():
    upstream = Upstream()
    async with over(upstream) as sender:
        with deadline.within(0), deadline.afresh(30):
            assert await sender.send(READ) == b"[]"


async def test_tasks_begun_inside_have_the_deadline_of_what_began_them():
    async def left_s() -> float | None:
        return deadline.remaining()

    with deadline.afresh(0):
        task = asyncio.create_task(left_s())
    assert await task == 0


async def test_calls_that_end_by_their_callers_deadline_say_nothing_about_the_upstream():
    upstream = Upstream()
    async with over(upstream, timeout=60, break_after=2, max_in_flight=20) as sender:
        await sender.send(READ)  # so that one of them is sent over an open socket
        upstream.gate.clear()
        with deadline.within(0.1):
            cut = await outcomes(*(sender.send(READ.of(query=[("number", str(number))])) for number in range(10)))
        assert {type(each) for each in cut} == {errors.TimedOut}
        upstream.gate.set()
        assert await sender.send(READ) == b"[]"


@pytest.mark.parametrize("left_s", [0.08, 30])
async def test_calls_that_had_most_of_their_time_or_all_of_it_do(left_s: float):
    upstream = Upstream()
    async with over(upstream, timeout=0.1, retries=0, break_after=2) as sender:
        upstream.gate.clear()
        with deadline.within(left_s):
            slow = await outcomes(*(sender.send(READ.of(query=[("number", str(number))])) for number in range(3)))
        assert {type(each) for each in slow} == {errors.TimedOut}
        upstream.gate.set()
        with pytest.raises(errors.CircuitOpen):
            await sender.send(READ)
