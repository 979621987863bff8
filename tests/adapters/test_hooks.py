"""Hooks are told of each attempt once, whether it was answered, failed or was never sent."""

from starlette.responses import Response

from adapters.transport import Call
from tests.adapters.upstream import READ, Upstream, calling, failing, free_port, outcomes, over


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
