"""Only what is safe and may yet succeed is sent again, as often as configured and when the upstream asks for it."""

import asyncio
import time

import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.routing import Route

from adapters import errors
from adapters.imitation import serve
from tests.adapters.upstream import READ, WRITE, Upstream, answer, calling, over, raw, reset


@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_a_safe_call_that_keeps_failing_is_sent_once_and_then_as_often_as_configured(retries: int):
    upstream = Upstream(Response(status_code=503))
    async with over(upstream, retries=retries) as sender:
        with pytest.raises(errors.UpstreamFault):
            await sender.send(READ)
    assert len(upstream.seen) == retries + 1


async def test_a_safe_post_is_repeated_as_well():
    upstream = Upstream(Response(status_code=503), Response(b"[]"))
    async with over(upstream, retries=2) as sender:
        await sender.send(replace(WRITE, safe=True))
    assert [seen.body for seen in upstream.seen] == [b'{"name":"a"}'] * 2


async def test_a_retry_that_succeeds_is_all_the_caller_sees():
    upstream = Upstream(Response(status_code=503), Response(status_code=429), Response(b"[1]"))
    async with over(upstream, retries=2) as sender:
        assert await sender.send(READ) == b"[1]"


@pytest.mark.parametrize("status", [429, 500, 503, 504])
async def test_an_unsafe_call_is_sent_once(status: int):
    upstream = Upstream(Response(status_code=status))
    async with over(upstream, retries=3) as sender:
        with pytest.raises(errors.AdapterError):
            await sender.send(WRITE)
    assert len(upstream.seen) == 1


async def test_an_unsafe_call_whose_connection_broke_is_sent_once():
    connections = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reset(reader, writer)

    async with raw(then=count) as url, calling(url, retries=3) as sender:
        with pytest.raises(errors.Unreachable):
            await sender.send(WRITE)
    assert connections == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 418, 422, 501, 302])
async def test_a_failure_that_would_come_again_is_not_repeated(status: int):
    upstream = Upstream(Response(status_code=status))
    async with over(upstream, retries=3) as sender:
        with pytest.raises(errors.AdapterError):
            await sender.send(READ)
    assert len(upstream.seen) == 1


async def test_a_timeout_has_had_its_time_and_is_not_repeated():
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream, retries=3, timeout=0.1) as sender:
        with pytest.raises(errors.TimedOut):
            await sender.send(READ)
    assert len(upstream.seen) == 1


async def test_a_retry_waits_as_long_as_the_upstream_asks():
    asked_at: list[float] = []

    async def answer_after_a_second(_: Asked) -> Response:
        asked_at.append(time.monotonic())
        early = asked_at[-1] - asked_at[0] < 1
        return Response(b"[]", 429 if early else 200, {"Retry-After": "1"})

    async with (
        serve(Starlette(routes=[Route("/things", answer_after_a_second)])) as url,
        calling(url, retries=1) as sender,
    ):
        assert await sender.send(READ) == b"[]"
    assert len(asked_at) == 2


async def test_an_upstream_that_asks_for_too_long_a_pause_is_not_waited_for():
    upstream = Upstream(Response(status_code=429, headers={"Retry-After": "3600"}))
    async with over(upstream, retries=3) as sender:
        with pytest.raises(errors.RateLimited) as raised:
            await sender.send(READ)
    assert raised.value.retry_after_s == 3600
    assert len(upstream.seen) == 1


async def test_a_pause_can_be_asked_for_by_date():
    upstream = Upstream(Response(status_code=503, headers={"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}))
    async with over(upstream, retries=3) as sender:
        with pytest.raises(errors.UpstreamFault) as raised:
            await sender.send(READ)
    assert raised.value.retry_after_s is not None
    assert raised.value.retry_after_s > 3600
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "\u00b2",
        "Mon, 01 Jan 2030 99999999999999:00:00 GMT",
        "Fri, 31 Dec 9999999999999 23:59:59 GMT",
        "Fri, 99 Foo 2030 00:00:00 GMT",
        "Mon, 01 Jan 2030 00:00:00 +99999999999",
    ],
)
async def test_a_pause_nobody_can_read_is_no_pause(value: str):
    async with (
        raw(answer(b"", f"Retry-After: {value}").replace(b"200 OK", b"429 Slow Down")) as url,
        calling(url) as sender,
    ):
        with pytest.raises(errors.RateLimited) as raised:
            await sender.send(READ)
    assert raised.value.retry_after_s is None


async def test_a_pause_is_always_a_number_that_json_can_write():
    async with over(Upstream(Response(status_code=429, headers={"Retry-After": "9" * 400}))) as sender:
        with pytest.raises(errors.RateLimited) as raised:
            await sender.send(READ)
    assert raised.value.retry_after_s != float("inf")
