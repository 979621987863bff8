"""An alarm rings when it was last set to, once, and not at all where it was cleared."""

import asyncio
import gc
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from adapters.alarm import Alarm


class Rung:
    """When an alarm has rung, in seconds from now."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.at: list[float] = []
        self.alarm = Alarm(asyncio.get_running_loop(), self._ring)

    def _ring(self) -> None:
        self.at.append(time.monotonic() - self._began)


class Counting:
    """A loop that counts the timers made of it."""

    def __init__(self) -> None:
        self.timers = 0

    def call_later(self, seconds: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        self.timers += 1
        return asyncio.get_running_loop().call_later(seconds, call)


async def test_it_rings_once_when_it_was_set_to():
    rung = Rung()
    rung.alarm.set(0.05)
    await asyncio.sleep(0.2)
    assert len(rung.at) == 1
    assert rung.at[0] >= 0.045
    rung.alarm.set(0.0)
    await asyncio.sleep(0.05)
    assert len(rung.at) == 2, "and may be set again"


async def test_it_rings_when_it_was_last_set_to():
    for first, last in ((0.02, 0.1), (10.0, 0.1)):
        rung = Rung()
        rung.alarm.set(first)
        rung.alarm.set(last)
        await asyncio.sleep(0.3)
        assert len(rung.at) == 1
        assert 0.095 <= rung.at[0] < 0.3


@pytest.mark.parametrize(("quiet", "rings_again"), [(Alarm.clear, 1), (Alarm.close, 0)])
async def test_it_does_not_ring_when_it_was_cleared_and_never_when_it_was_closed(
    quiet: Callable[[Alarm], None], rings_again: int
):
    rung = Rung()
    rung.alarm.set(0.02)
    quiet(rung.alarm)
    await asyncio.sleep(0.06)
    assert rung.at == []
    rung.alarm.set(0.02)
    await asyncio.sleep(0.06)
    assert len(rung.at) == rings_again


async def test_whoever_holds_it_is_free_when_it_was_closed():
    rung = Rung()
    left = weakref.ref(rung)
    rung.alarm.set(10.0)
    rung.alarm.close()
    gc.disable()
    try:
        del rung
        await asyncio.sleep(0)
        assert left() is None
    finally:
        gc.enable()


async def test_it_may_be_set_again_from_its_ringing():
    times: list[float] = []
    loop: Any = asyncio.get_running_loop()

    def ring() -> None:
        times.append(loop.time())
        if len(times) < 3:
            alarm.set(0.01)

    alarm = Alarm(loop, ring)
    alarm.set(0.01)
    await asyncio.sleep(0.15)
    assert len(times) == 3


async def test_setting_it_again_and_again_takes_one_timer():
    loop: Any = Counting()
    alarm = Alarm(loop, lambda: None)
    for _ in range(1000):
        alarm.set(5.0)
        alarm.clear()
    assert loop.timers == 1
    alarm.close()


def test_it_rings_likewise_by_a_clock_that_counts_milliseconds():
    uvloop.run(test_it_rings_once_when_it_was_set_to())
    uvloop.run(test_it_rings_when_it_was_last_set_to())
