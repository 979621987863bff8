"""Equal reads at the same time are one call to the upstream, for as long as anybody waits for it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.responses import Response

from adapters import errors
from adapters.flight import Flight
from adapters.transport import Request, Transport
from tests.adapters.upstream import READ, SAFE_POST, WRITE, Upstream, half_open, outcomes, over, until


async def test_twenty_equal_reads_at_once_are_one_call():
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream) as sender:
        reads = [asyncio.create_task(sender.send(READ)) for _ in range(20)]
        await until(lambda: len(upstream.seen) == 1)
        upstream.gate.set()
        assert await outcomes(*reads) == [b"[]"] * 20
        assert len(upstream.seen) == 1
        await sender.send(READ)
    assert len(upstream.seen) == 2, "nothing is kept after the answer"


async def test_twenty_equal_reads_share_one_failure():
    upstream = Upstream(Response(status_code=404))
    upstream.gate.clear()
    async with over(upstream) as sender:
        reads = [asyncio.create_task(sender.send(READ)) for _ in range(20)]
        await until(lambda: len(upstream.seen) == 1)
        upstream.gate.set()
        assert {type(outcome) for outcome in await outcomes(*reads)} == {errors.NotFound}
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(SAFE_POST, json={"page": 2}),
        replace(SAFE_POST, json={"page": "1"}),
        replace(SAFE_POST, json={"page": True}),
        replace(SAFE_POST, query=[("a", "b")]),
        replace(SAFE_POST, method="GET"),
        replace(SAFE_POST, route="/find"),
    ],
    ids=["value", "text", "bool", "query", "method", "route"],
)
async def test_reads_that_differ_are_separate_calls(other: Request):
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream, timeout=60) as sender:  # or a joined call would time out, and be made once more
        both = [asyncio.create_task(sender.send(request)) for request in (SAFE_POST, other)]
        await until(lambda: len(upstream.seen) == 2)
        upstream.gate.set()
        await outcomes(*both)


class Place:
    """Who does not wait for an answer, and is told of it."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def done(self) -> bool:
        return bool(self.told)

    def set_result(self, result: bytes, /) -> None:
        self.told.append(result)

    def set_exception(self, exception: BaseException, /) -> None:
        self.told.append(type(exception))

    def cancel(self) -> None:
        self.told.append(None)


def sent_at_once(sender: Transport, request: Request, place: Place, left_s: float = 10) -> Flight[bytes] | None:
    message = sender.message(request)
    assert message is not None
    return sender.send_at_once(request, message, place, time.monotonic() + left_s)


async def test_who_does_not_wait_is_told_the_answer_or_the_failure():
    upstream = Upstream(Response(b"[]"), Response(status_code=404), Response(status_code=500))
    async with over(upstream) as sender:
        for expected in (b"[]", errors.NotFound, errors.UpstreamFault):
            place = Place()
            assert sent_at_once(sender, READ, place) is not None
            assert place.told == []
            await until(place.done)
            assert place.told == [expected]


async def test_a_failure_that_is_repeated_is_told_when_it_is_over():
    upstream = Upstream(Response(status_code=500), Response(b"[1]"))
    async with over(upstream, retries=1) as sender:
        place = Place()
        sent_at_once(sender, READ, place)
        await until(place.done)
    assert (place.told, len(upstream.seen)) == ([b"[1]"], 2)


@contextlib.asynccontextmanager
async def under_way() -> AsyncGenerator[tuple[Upstream, Transport, Place, Flight[bytes]]]:
    """A call that was sent for who does not wait, and whose answer is held."""
    upstream, place = Upstream(), Place()
    upstream.gate.clear()
    async with over(upstream) as sender:
        flight = sent_at_once(sender, READ, place)
        assert flight is not None
        yield upstream, sender, place, flight


async def test_who_waits_for_the_same_joins_who_does_not():
    async with under_way() as (upstream, sender, place, flight):
        read = asyncio.create_task(sender.send(READ))
        await until(lambda: len(upstream.seen) == 1)
        flight.leave(place)  # which does not end it for the other
        upstream.gate.set()
        assert await read == b"[]"
    assert (place.told, len(upstream.seen)) == ([], 1)


async def test_a_call_that_nobody_wants_any_more_is_given_up():
    async with under_way() as (upstream, sender, place, flight):
        await until(lambda: len(upstream.seen) == 1)
        flight.leave(place)
        await until(lambda: upstream.abandoned == 1)
        upstream.gate.set()
        assert await sender.send(READ) == b"[]"
    assert (place.told, len(upstream.seen)) == ([], 2)


async def test_what_cannot_be_sent_at_once_is_not_sent():
    upstream = Upstream()
    place = Place()
    async with over(upstream, kept=False) as sender:
        assert sent_at_once(sender, READ, place) is None  # there is no socket
    async with over(upstream, max_in_flight=1) as sender:
        upstream.gate.clear()
        read = asyncio.create_task(sender.send(READ))
        await until(lambda: len(upstream.seen) == 1)
        assert sent_at_once(sender, READ, place) is None  # others wait for the same
        assert sent_at_once(sender, replace(READ, route="/others"), place) is None  # there is no place
        upstream.gate.set()
        assert await read == b"[]"
        assert sent_at_once(sender, READ, place, 0) is None  # there is no time
        assert sender.message(replace(READ, route="/{id}", ids={"id": ".."})) is None
        assert await sender.send(READ) == b"[]"
    async with half_open(Upstream(Response(status_code=500))) as sender:
        assert sent_at_once(sender, READ, place) is None  # nobody knows whether it would be answered
    assert (place.told, len(upstream.seen)) == ([], 2)


async def test_forms_that_differ_are_separate_calls():
    upstream = Upstream()
    async with over(upstream) as sender:
        forms = [Request("get_token", "POST", "/token", form={"client_id": name}) for name in ("a", "b")]
        await outcomes(*map(sender.send, forms))
    assert {seen.body for seen in upstream.seen} == {b"client_id=a", b"client_id=b"}


async def test_unsafe_calls_are_never_joined():
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream) as sender:
        writes = [asyncio.create_task(sender.send(WRITE)) for _ in range(5)]
        await until(lambda: len(upstream.seen) == 5)
        upstream.gate.set()
        await outcomes(*writes)


@pytest.mark.parametrize("kept", [True, False], ids=["over a kept socket", "over a new one"])
@pytest.mark.parametrize("leaving", [0, 2, 4])
async def test_any_one_may_leave_and_the_others_get_their_answer(leaving: int, kept: bool):
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream, kept=kept) as sender:
        waiting = [asyncio.create_task(sender.send(READ)) for _ in range(5)]
        await until(lambda: len(upstream.seen) == 1)
        left = waiting.pop(leaving)
        left.cancel()
        await asyncio.wait([left])
        upstream.gate.set()
        assert await outcomes(*waiting) == [b"[]"] * 4
    assert left.cancelled()
    assert (len(upstream.seen), upstream.abandoned) == (1, 0)


@pytest.mark.parametrize("kept", [True, False], ids=["over a kept socket", "over a new one"])
async def test_who_comes_right_after_the_last_one_left_does_not_get_the_call_that_was_given_up(kept: bool):
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream, kept=kept) as sender:
        left = asyncio.create_task(sender.send(READ))
        await until(lambda: len(upstream.seen) == 1)
        left.cancel()
        next_one = asyncio.create_task(sender.send(READ))
        await until(lambda: len(upstream.seen) == 2)
        upstream.gate.set()
        assert await next_one == b"[]"
        assert left.cancelled()


async def test_a_call_nobody_waits_for_any_more_is_given_up():
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream) as sender:
        reads = [asyncio.create_task(sender.send(READ)) for _ in range(5)]
        await until(lambda: len(upstream.seen) == 1)
        for task in reads:
            task.cancel()
        await until(lambda: upstream.abandoned == 1)
        upstream.gate.set()
        assert await sender.send(READ) == b"[]", "the next one starts anew"
        await asyncio.wait(reads)
    assert len(upstream.seen) == 2
