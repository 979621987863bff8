"""Hooks are told of each attempt once, whether it was answered, failed or was never sent; who watches is told of the
calls made on their own behalf.
"""

import asyncio

from starlette.responses import Response

from adapters.transport import Call, Transport, watching
from tests.adapters.upstream import READ, Upstream, calling, failing, free_port, outcomes, over, read, until


async def test_hooks_are_told_once_for_each_attempt():
    first: list[Call] = []
    second: list[Call] = []
    upstream = Upstream(Response(status_code=503), Response(status_code=429), Response(b"[1]"))
    async with over(upstream, retries=2, hooks=[first.append, second.append]) as sender:
        await sender.send(READ)
    assert first == second
    assert [(call.attempt, call.status, call.error) for call in first] == [
        (1, 503, "UpstreamFault"),
        (2, 429, "RateLimited"),
        (3, 200, None),
    ]
    assert {(call.instance, call.provider, call.operation, call.method, call.route) for call in first} == {
        ("acme", "test", "list_things", "GET", "/things")
    }
    assert [call.correlation_id for call in first] == [seen.headers["x-request-id"] for seen in upstream.seen]
    assert len({call.correlation_id for call in first}) == 3
    assert first[-1].size_bytes == 3


async def test_hooks_are_told_of_calls_that_got_no_answer_or_were_not_sent():
    told: list[Call] = []
    url = f"http://127.0.0.1:{free_port()}"
    async with calling(url, break_after=1, break_for=60, hooks=[told.append]) as sender:
        await failing(sender, 2)
    assert [(call.status, call.error) for call in told] == [(None, "Unreachable"), (None, "CircuitOpen")]


async def test_joined_reads_are_told_as_the_one_call_they_were():
    told: list[Call] = []
    async with over(Upstream(), hooks=[told.append]) as sender:
        await outcomes(*(sender.send(READ) for _ in range(20)))
    assert len(told) == 1


async def test_hooks_are_told_how_many_things_a_call_asked_for():
    told: list[Call] = []
    async with over(Upstream(), hooks=[told.append]) as sender:
        await sender.send(READ)
        await sender.send(READ.of(batch=40))
    assert [call.batch for call in told] == [1, 40]


async def watched(sender: Transport, *numbers: int) -> list[Call]:
    """The calls that a request of its own was told of, which reads these."""
    told: list[Call] = []
    watching.set((told.append,))
    await asyncio.gather(*(sender.send(read(number)) for number in numbers))
    return told


async def test_who_watches_is_told_of_their_own_calls_and_the_hooks_of_all():
    hooked: list[Call] = []
    async with over(Upstream(), hooks=[hooked.append]) as sender:
        requests = [asyncio.create_task(watched(sender, *numbers)) for numbers in ((1, 2), (3,), ())]
        told = await asyncio.gather(*requests)
        await sender.send(READ)
    assert [len(calls) for calls in told] == [2, 1, 0]
    ids = [call.correlation_id for calls in told for call in calls]
    assert len(set(ids)) == 3
    assert set(ids) < {call.correlation_id for call in hooked}
    assert len(hooked) == 4
    assert watching.get() == (), "nobody else has begun to watch"


async def test_who_watches_is_told_of_each_attempt_and_of_what_was_never_sent():
    upstream = Upstream(Response(status_code=503), Response(b"[]"))
    async with over(upstream, retries=1) as sender:
        calls = await asyncio.create_task(watched(sender, 1))
    assert [(call.attempt, call.status) for call in calls] == [(1, 503), (2, 200)]


async def test_a_call_that_was_joined_is_told_to_who_made_it():
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream) as sender:
        first = asyncio.create_task(watched(sender, 1))
        await until(lambda: len(upstream.seen) == 1)
        second = asyncio.create_task(watched(sender, 1, 2))
        await until(lambda: len(upstream.seen) == 2)
        upstream.gate.set()
        made, joined = await asyncio.gather(first, second)
    assert (len(made), len(joined)) == (1, 1)
