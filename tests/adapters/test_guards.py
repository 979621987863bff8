"""An upstream gets no more calls at once than configured, and for a while none after failures in a row."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.routing import Route

from adapters import deadline, errors, guards
from adapters.guards import Bulkhead
from adapters.imitation import serve
from adapters.transport import Request, Transport
from tests.adapters.upstream import (
    READ,
    Upstream,
    calling,
    failing,
    free_port,
    half_open,
    outcomes,
    over,
    raw,
    read,
    until,
    until_they_leave,
)

# Bulkhead


async def test_no_more_calls_are_in_flight_than_configured():
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream, max_in_flight=3) as sender:
        reads = [asyncio.create_task(sender.send(read(number))) for number in range(12)]
        await until(lambda: upstream.now == 3)
        await asyncio.sleep(0.05)  # time for a fourth, were it let through
        upstream.gate.set()
        assert await outcomes(*reads) == [b"[]"] * 12
    assert (upstream.most, len(upstream.seen)) == (3, 12)


async def test_a_call_without_a_waiting_place_is_refused_at_once():
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream, max_in_flight=1, max_waiting=2, retries=3) as sender:
        reads = [asyncio.create_task(sender.send(read(number))) for number in range(3)]
        await until(lambda: upstream.now == 1)
        with pytest.raises(errors.Overloaded):
            await sender.send(read("one too many"))
        upstream.gate.set()
        assert await outcomes(*reads) == [b"[]"] * 3
        assert await sender.send(read("later")) == b"[]"
    assert len(upstream.seen) == 4


async def test_a_caller_waiting_for_a_place_leaves_at_its_deadline_and_frees_it():
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream, max_in_flight=1, max_waiting=1, timeout=60) as sender:
        first = asyncio.create_task(sender.send(read(1)))
        await until(lambda: upstream.now == 1)
        for number in (2, 3):  # the second would find no waiting place, had the first not freed it
            with deadline.within(0.05), pytest.raises(errors.TimedOut):
                await sender.send(read(number))
        upstream.gate.set()
        await first
    assert len(upstream.seen) == 1


async def test_places_are_free_again_after_failures_and_cancellations():
    upstream = Upstream(Response(status_code=500))
    async with over(upstream, max_in_flight=1, max_waiting=0) as sender:
        for number in range(3):
            with pytest.raises(errors.UpstreamFault):
                await sender.send(read(number))
        upstream.gate.clear()
        left = asyncio.create_task(sender.send(read("left")))
        await until(lambda: upstream.now == 1)
        left.cancel()
        await asyncio.wait([left])
        await until(lambda: upstream.abandoned == 1)
        upstream.gate.set()
        with pytest.raises(errors.UpstreamFault):
            await sender.send(read("after"))


async def test_a_place_that_comes_just_when_its_caller_leaves_is_not_lost():
    bulkhead = Bulkhead(1, 1)
    assert bulkhead.enter_now()
    leaving = asyncio.create_task(bulkhead.enter())
    await asyncio.sleep(0)
    bulkhead.leave()
    leaving.cancel()
    await asyncio.wait([leaving])
    assert leaving.cancelled()
    assert bulkhead.enter_now()
    assert not bulkhead.enter_now()


# Breaker


@pytest.mark.parametrize("break_after", [1, 3])
async def test_the_breaker_opens_after_failures_in_a_row_and_says_for_how_long(break_after: int):
    upstream = Upstream(Response(status_code=500))
    async with over(upstream, break_after=break_after, break_for=60) as sender:
        assert await failing(sender, break_after) == [errors.UpstreamFault] * break_after
        assert sender.breaker.state == "OPEN"
        with pytest.raises(errors.CircuitOpen) as raised:
            await sender.send(READ)
    assert raised.value.retry_after_s is not None
    assert 0 < raised.value.retry_after_s <= 60
    assert len(upstream.seen) == break_after


async def test_an_open_breaker_is_not_waited_for():
    upstream = Upstream(Response(status_code=500))
    async with over(upstream, break_after=2, retries=5, break_for=60) as sender:
        with pytest.raises(errors.AdapterError):
            await sender.send(READ)
    assert len(upstream.seen) == 2


async def test_a_success_between_failures_keeps_the_breaker_closed():
    bad, good = Response(status_code=500), Response(b"[]")
    upstream = Upstream(bad, bad, good, bad, bad, good)
    async with over(upstream, break_after=3) as sender:
        await failing(sender, 6)
        assert sender.breaker.state == "CLOSED"
    assert len(upstream.seen) == 6


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 429, 501])
async def test_an_answer_about_the_request_says_nothing_against_the_upstream(status: int):
    upstream = Upstream(Response(status_code=status))
    async with over(upstream, break_after=1) as sender:
        await failing(sender, 3)
        assert sender.breaker.state == "CLOSED"
    assert len(upstream.seen) == 3


async def test_timeouts_and_broken_sockets_open_the_breaker_too():
    async with raw(then=until_they_leave) as url, calling(url, timeout=0.05, break_after=1, break_for=60) as sender:
        assert await failing(sender, 2) == [errors.TimedOut, errors.CircuitOpen]
    async with calling(f"http://127.0.0.1:{free_port()}", break_after=1, break_for=60) as sender:
        assert await failing(sender, 2) == [errors.Unreachable, errors.CircuitOpen]


@contextlib.asynccontextmanager
async def trying(upstream: Upstream) -> AsyncGenerator[tuple[Transport, asyncio.Task[bytes]]]:
    """The breaker of a sender half open, with the call that tries waiting at the upstream's gate."""
    async with half_open(upstream) as sender:
        upstream.gate.clear()
        probe = asyncio.create_task(sender.send(read("probe")))
        await until(lambda: len(upstream.seen) == 2)
        yield sender, probe


async def test_after_a_while_a_single_call_tries_and_the_others_do_not_wait_for_it_for_long(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(guards, "PATIENCE_S", 0.1)
    upstream = Upstream(Response(status_code=500), Response(b"[]"))
    async with trying(upstream) as (sender, probe):
        others = await outcomes(*(sender.send(read(number)) for number in range(5)))
        assert {type(outcome) for outcome in others} == {errors.CircuitOpen}
        upstream.gate.set()
        assert await probe == b"[]"
        assert sender.breaker.state == "CLOSED"
        assert await sender.send(READ) == b"[]"
    assert len(upstream.seen) == 3


@pytest.mark.parametrize("is_back", [True, False])
async def test_what_belongs_together_is_sent_or_refused_together(is_back: bool):
    """As an instance with several lists is read when it comes back."""
    upstream = Upstream(Response(status_code=500), Response(b"[]", 200 if is_back else 500))
    async with half_open(upstream) as sender:
        found = await outcomes(*(sender.send(read(number)) for number in range(5)))
    assert found.count(b"[]") == (5 if is_back else 0)
    assert len(upstream.seen) == (6 if is_back else 2)
    assert sum(isinstance(each, errors.CircuitOpen) for each in found) == (0 if is_back else 4)


async def test_nobody_waits_for_a_try_where_another_call_has_shown_that_it_is_back():
    breaker = guards.Breaker(after=1, for_s=0.0)
    breaker.failed(False)
    assert await breaker.admitted(), "the one that tries"
    waiting = asyncio.create_task(breaker.admitted())
    await asyncio.sleep(0)
    breaker.succeeded(False)  # a call that began before
    assert not await waiting
    assert not await breaker.admitted()


async def test_a_try_that_is_given_up_is_followed_by_another_of_those_who_wait():
    upstream = Upstream(Response(status_code=500), Response(b"[]"))
    async with trying(upstream) as (sender, probe):
        others = asyncio.gather(*(sender.send(read(number)) for number in range(3)))
        await asyncio.sleep(0.02)
        probe.cancel()
        await until(lambda: len(upstream.seen) == 3)
        upstream.gate.set()
        assert await others == [b"[]"] * 3
    assert len(upstream.seen) == 5


async def test_a_try_that_fails_opens_the_breaker_again():
    upstream = Upstream(Response(status_code=500))
    async with over(upstream, break_after=3, break_for=0.2) as sender:
        await failing(sender, 3)
        await until(lambda: sender.breaker.state == "HALF_OPEN")
        assert await failing(sender, 2) == [errors.UpstreamFault, errors.CircuitOpen]
    assert len(upstream.seen) == 4


async def test_a_try_whose_caller_left_lets_the_next_one_try():
    upstream = Upstream(Response(status_code=500), Response(b"[]"))
    async with trying(upstream) as (sender, probe):
        probe.cancel()
        await asyncio.wait([probe])
        upstream.gate.set()
        assert await sender.send(READ) == b"[]"
        assert sender.breaker.state == "CLOSED"


async def test_a_request_that_was_never_sent_does_not_close_the_breaker():
    upstream = Upstream(Response(status_code=500))
    climbing = Request("get_thing", "GET", "/things/{id}", ids={"id": ".."})
    async with half_open(upstream) as sender:
        with pytest.raises(errors.Rejected):
            await sender.send(climbing)
        assert sender.breaker.state == "HALF_OPEN"
    async with over(upstream, break_after=2, break_for=60) as sender:
        await failing(sender, 1)
        with pytest.raises(errors.Rejected):
            await sender.send(climbing)
        await failing(sender, 1)
        assert sender.breaker.state == "OPEN", "two failures in a row, with no answer between them"


async def test_a_request_that_cannot_be_written_does_not_keep_the_breaker_open_for_good():
    upstream = Upstream(Response(status_code=500), Response(b"[]"))
    async with half_open(upstream) as sender:
        await outcomes(sender.send(Request("search", "POST", "/search", json={"text": "\ud800"})))
        assert await sender.send(READ) == b"[]"


async def test_a_call_from_before_the_breaker_opened_does_not_let_a_second_one_try():
    arrived: list[str] = []
    gate = asyncio.Event()

    async def fail(request: Asked) -> Response:
        arrived.append(request.query_params["number"])
        if arrived[-1] in ("early", "probe"):
            await gate.wait()
        return Response(b"", 500)

    async with (
        serve(Starlette(routes=[Route("/things", fail)])) as url,
        calling(url, break_after=1, break_for=0.05) as sender,
    ):
        early = asyncio.create_task(sender.send(read("early")))
        await until(lambda: arrived == ["early"])
        await outcomes(sender.send(read("failing")))
        await until(lambda: sender.breaker.state == "HALF_OPEN")
        probe = asyncio.create_task(sender.send(read("probe")))
        await until(lambda: arrived[-1] == "probe")
        early.cancel()
        await asyncio.wait([early])
        second = await outcomes(sender.send(read("second")))
        gate.set()
        assert [type(outcome) for outcome in [*await outcomes(probe), *second]] == [
            errors.UpstreamFault,
            errors.CircuitOpen,
        ]
    assert arrived == ["early", "failing", "probe"]
