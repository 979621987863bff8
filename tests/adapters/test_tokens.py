"""A refused token is renewed once, and a service that gives tokens is an upstream of its own."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.routing import Route

from adapters import deadline, errors
from adapters.auth import Grant, Renewing, bearer
from adapters.imitation import serve
from adapters.secret import Secret
from adapters.transport import Call, Request, Transport
from tests.adapters.upstream import READ, WRITE, Upstream, calling, half_open, outcomes, over, read, until


class Tokens:
    """A token service that counts, whose tokens are numbered."""

    def __init__(self) -> None:
        self.count = 0

    async def fetch(self) -> Grant:
        self.count += 1
        return Grant(Secret(f"token-{self.count}"), 3600)


async def test_a_refused_token_is_renewed_once_and_the_call_repeated_once():
    upstream, tokens = Upstream(Response(status_code=401), Response(b"[]")), Tokens()
    told: list[Call] = []
    async with over(upstream, authorizer=Renewing(tokens.fetch), hooks=[told.append]) as sender:
        assert await sender.send(WRITE) == b"[]"
    assert [seen.headers["authorization"] for seen in upstream.seen] == ["Bearer token-1", "Bearer token-2"]
    assert [call.status for call in told] == [200]


async def test_an_upstream_that_refuses_every_token_is_not_asked_a_third_time():
    upstream, tokens = Upstream(Response(status_code=401)), Tokens()
    async with over(upstream, authorizer=Renewing(tokens.fetch), retries=3) as sender:
        with pytest.raises(errors.Unauthorized):
            await sender.send(READ)
    assert (len(upstream.seen), tokens.count) == (2, 2)


async def test_a_forbidden_call_does_not_cost_a_new_token():
    upstream, tokens = Upstream(Response(status_code=403)), Tokens()
    async with over(upstream, authorizer=Renewing(tokens.fetch)) as sender:
        with pytest.raises(errors.Unauthorized):
            await sender.send(READ)
    assert (len(upstream.seen), tokens.count) == (1, 1)


async def test_a_ready_token_that_is_refused_is_not_tried_again():
    upstream = Upstream(Response(status_code=401))
    async with over(upstream, authorizer=bearer(Secret("ready"))) as sender:
        with pytest.raises(errors.Unauthorized):
            await sender.send(READ)
    assert len(upstream.seen) == 1


async def test_many_calls_refused_at_once_renew_once():
    tokens = Tokens()

    async def guarded(request: Asked) -> Response:
        return Response(b"[]", 401 if request.headers["authorization"] == "Bearer token-1" else 200)

    async with (
        serve(Starlette(routes=[Route("/things", guarded)])) as url,
        calling(url, authorizer=Renewing(tokens.fetch)) as sender,
    ):
        assert await outcomes(*(sender.send(read(number)) for number in range(16))) == [b"[]"] * 16
    assert tokens.count == 2


def renewing_over(token_service: Transport) -> Renewing:
    async def fetch() -> Grant:
        return Grant(Secret((await token_service.send(Request("get_token", "POST", "/token"))).decode()), 3600)

    return Renewing(fetch)


async def test_a_broken_token_service_is_asked_as_often_as_any_broken_upstream():
    service, upstream = Upstream(Response(status_code=503)), Upstream()
    async with (
        over(service, retries=2) as tokens,
        over(upstream, retries=2, authorizer=renewing_over(tokens)) as sender,
    ):
        with pytest.raises(errors.UpstreamFault):
            await sender.send(READ)
    assert (len(service.seen), len(upstream.seen)) == (3, 0)


@pytest.mark.parametrize("in_flight", [16, 1])
async def test_all_who_wait_for_a_token_service_that_hangs_are_told_at_once(in_flight: int):
    """Those, too, who still wait for a place among the calls in flight."""
    service = Upstream()
    service.gate.clear()
    async with (
        over(service, timeout=0.3) as tokens,
        over(Upstream(), authorizer=renewing_over(tokens), max_in_flight=in_flight) as sender,
    ):
        try:
            async with asyncio.timeout(2):
                told = await outcomes(*(sender.send(read(number)) for number in range(16)))
        finally:
            service.gate.set()
    assert {type(each) for each in told} == {errors.TimedOut}
    assert len(service.seen) == 1


async def test_a_token_is_fetched_on_where_who_asked_first_runs_out_of_time():
    service = Upstream(Response(b"token"))
    service.gate.clear()
    async with over(service, timeout=60) as tokens, over(Upstream(), authorizer=renewing_over(tokens)) as sender:

        async def hurried() -> bytes:
            with deadline.within(0.1):
                return await sender.send(read(1))

        first = asyncio.create_task(hurried())
        await until(lambda: len(service.seen) == 1)
        second = asyncio.create_task(sender.send(read(2)))
        with pytest.raises(errors.TimedOut):
            await first
        service.gate.set()
        assert await second == b"[]"
    assert len(service.seen) == 1


async def test_a_token_is_fetched_on_where_all_who_asked_run_out_of_time():
    service = Upstream(Response(b"token"))
    service.gate.clear()
    async with over(service, timeout=60) as tokens, over(Upstream(), authorizer=renewing_over(tokens)) as sender:
        for number in range(3):
            with deadline.within(0.05), pytest.raises(errors.TimedOut):
                await sender.send(read(number))
        service.gate.set()
        assert await sender.send(READ) == b"[]"
    assert len(service.seen) == 1


async def test_a_token_service_left_alone_does_not_close_the_breaker_of_the_data():
    service, upstream = Upstream(Response(b"token"), Response(status_code=400)), Upstream(Response(status_code=500))
    async with over(service) as tokens:
        authorizer = renewing_over(tokens)
        async with half_open(upstream, authorizer=authorizer) as sender:
            authorizer.reject(await authorizer.header())
            with pytest.raises(errors.Rejected):
                await sender.send(READ)
            assert sender.breaker.state == "HALF_OPEN"
    assert len(upstream.seen) == 1


async def test_a_caller_waiting_for_a_token_leaves_at_its_own_deadline():
    service = Upstream(Response(b"token"))
    service.gate.clear()
    async with over(service, timeout=60) as tokens, over(Upstream(), authorizer=renewing_over(tokens)) as sender:
        first = asyncio.create_task(sender.send(read(1)))
        await until(lambda: len(service.seen) == 1)
        try:
            with deadline.within(0.05), pytest.raises(errors.TimedOut):
                async with asyncio.timeout(2):
                    await sender.send(read(2))
        finally:
            service.gate.set()
        assert await first == b"[]"
