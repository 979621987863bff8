"""A call that can be sent at once ends as one that has to wait for a socket, a token or a place: the caller, the hooks
and the breaker cannot tell.
"""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from adapters import deadline, errors
from adapters.auth import Fixed, Grant, Renewing
from adapters.secret import Secret
from adapters.transport import Call, Transport
from tests.adapters.bytes_server import Act, Server, closed, dripping, silent
from tests.adapters.upstream import READ, WRITE, answer, calling, outcomes, read, reset, until

GOOD = answer(b"[]")


def status(code: int, *fields: str) -> bytes:
    return answer(b"{}", *fields).replace(b"200 OK", b"%d X" % code)


ENDS: dict[str, bytes | Act] = {
    "good": GOOD,
    "good, in pieces": dripping(GOOD),
    "packed": answer(gzip.compress(b"[]"), "Content-Encoding: gzip"),
    "empty": b"HTTP/1.1 204 No Content\r\n\r\n",
    "fault": status(500),
    "refused": status(401),
    "unknown": status(404),
    "limited": status(429, "Retry-After: 7"),
    "moved": status(302, "Location: /elsewhere"),
    "garbage": b"nonsense\r\n\r\n",
    "too long": answer(bytes(2000)),
    "not packed": answer(b"[]", "Content-Encoding: gzip"),
    "encoding": answer(b"[]", "Content-Encoding: br"),
    "reset": reset,
    "silence": silent,
}


@contextlib.asynccontextmanager
async def over(*answers: bytes | Act, **options: Any) -> AsyncGenerator[tuple[Transport, Server]]:
    async with Server(*answers) as server, calling(server.url, max_body_bytes=1024, **options) as sender:
        yield sender, server


async def ended(*before: bytes, end: bytes | Act) -> list[object]:
    """All that can be known of the last of some calls."""
    told: list[Call] = []
    async with over(*before, end, hooks=[told.append], timeout=0.3, break_after=2) as (sender, server):
        for number in range(len(before)):
            await sender.send(read(number))
        (outcome,) = await outcomes(sender.send(READ))
        sockets = server.sockets
        state = sender.breaker.state
        (after,) = await outcomes(sender.send(READ)) if sockets == 1 else (None,)
    shown: object = outcome
    if isinstance(outcome, errors.AdapterError):
        assert outcome.correlation_id == told[len(before)].correlation_id
        assert outcome.__cause__ is None
        shown = (type(outcome), {**vars(outcome), "correlation_id": ""})
    call = told[len(before)]
    known = (call.status, call.error, call.attempt, call.size_bytes, call.operation)
    return [shown, known, state, type(after)]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a_call_over_a_kept_socket_ends_as_one_over_a_new_one(end: bytes | Act):
    if end is reset:  # over a kept socket it is sent once more, over a new one
        async with over(GOOD, reset) as (sender, server):
            await sender.send(READ)
            assert [type(outcome) for outcome in await outcomes(sender.send(READ))] == [errors.Unreachable]
            assert len(server.requests) == 3
    else:
        assert await ended(GOOD, end=end) == await ended(end=end)


async def test_a_read_over_a_socket_that_just_ended_is_sent_once_more_and_nobody_notices():
    told: list[Call] = []
    async with over(GOOD, closed, GOOD, hooks=[told.append], break_after=1) as (sender, server):
        for number in range(2):
            assert await sender.send(read(number)) == b"[]"
        assert sender.breaker.state == "CLOSED"
    assert [(call.status, call.error, call.attempt) for call in told] == [(200, None, 1)] * 2
    assert (len(server.requests), server.sockets) == (3, 2)


async def test_what_is_sent_once_more_goes_over_a_new_socket_though_others_are_kept():
    async with over(GOOD, GOOD, closed, GOOD) as (sender, server):
        await outcomes(sender.send(read(1)), sender.send(read(2)))
        assert server.sockets == 2
        assert await sender.send(READ) == b"[]"
    assert (len(server.requests), server.sockets) == (4, 3)


async def test_a_write_over_a_socket_that_just_ended_is_sent_once():
    async with over(GOOD, closed, GOOD, retries=3) as (sender, server):
        await sender.send(READ)
        with pytest.raises(errors.Unreachable):
            await sender.send(WRITE)
    assert len(server.requests) == 2


@pytest.mark.parametrize("end", [status(503), closed, b"nonsense\r\n\r\n"])
async def test_a_read_that_began_at_once_is_repeated_as_often_as_configured(end: bytes | Act):
    told: list[Call] = []
    async with over(GOOD, end, end, GOOD, retries=2, hooks=[told.append]) as (sender, _):
        await sender.send(READ)
        assert await sender.send(READ) == b"[]"
    attempts = [call.attempt for call in told[1:]]
    assert attempts == list(range(1, len(attempts) + 1))
    assert told[-1].error is None


async def test_a_token_that_is_refused_over_a_kept_socket_is_renewed_once():
    fetched = iter(range(1, 9))

    async def fetch() -> Grant:
        return Grant(Secret(f"token-{next(fetched)}"), 3600)

    told: list[Call] = []
    refused = status(401)
    async with over(GOOD, refused, GOOD, refused, authorizer=Renewing(fetch), hooks=[told.append]) as (sender, server):
        for _ in range(2):
            assert await sender.send(READ) == b"[]"
        with pytest.raises(errors.Unauthorized):
            await sender.send(READ)
    tokens = [request.partition(b"Authorization: Bearer ")[2].partition(b"\r\n")[0] for request in server.requests]
    assert tokens == [b"token-1", b"token-1", b"token-2", b"token-2", b"token-3"]
    assert [call.status for call in told] == [200, 200, 401]


async def test_a_call_that_began_at_once_leaves_its_place_whatever_comes_of_it():
    for end in (GOOD, status(500), status(404), closed, silent, b"nonsense\r\n\r\n"):
        async with over(GOOD, end, GOOD, max_in_flight=1, max_waiting=0, timeout=0.1) as (sender, _):
            await sender.send(read("first"))
            await outcomes(sender.send(read("second")))
            assert await sender.send(read("third")) == b"[]"
    for turns in range(8):
        async with over(GOOD, status(500), GOOD, max_in_flight=1, max_waiting=0) as (sender, server):
            await sender.send(read("first"))
            call = asyncio.create_task(sender.send(read("second")))
            await until(lambda server=server: len(server.requests) == 2)
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            assert await sender.send(read("third")) == b"[]", turns


async def test_a_call_that_fails_just_when_its_caller_leaves_leaves_its_place_too():
    async with over(GOOD, silent, GOOD, max_in_flight=1, max_waiting=0) as (sender, server):
        await sender.send(read("first"))
        call = asyncio.create_task(sender.send(read("second")))
        await until(lambda: len(server.requests) == 2)
        call.cancel()
        (channel,) = sender._client._open
        channel.fail(httpx.ReadError("the socket broke"))  # before the caller's task could run
        await asyncio.wait([call])
        assert call.cancelled()
        assert await sender.send(read("third")) == b"[]"


async def test_a_call_that_nobody_wants_any_more_ends_with_its_socket_and_leaves_its_place():
    async with over(GOOD, silent, GOOD, max_in_flight=1, max_waiting=0, timeout=30) as (sender, server):
        await sender.send(read("first"))
        call = asyncio.create_task(sender.send(read("second")))
        await until(lambda: len(server.requests) == 2)
        call.cancel()
        await asyncio.wait([call])
        assert await sender.send(read("third")) == b"[]"
        await until(lambda: server.left == 1)
        assert (server.sockets, sender.breaker.state) == (2, "CLOSED")


async def test_what_is_sent_once_more_has_only_the_time_that_is_left():
    async def late(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(GOOD) if len(server.requests) > 2 else writer.close()

    async with over(GOOD, late, timeout=0.3) as (sender, server):
        await sender.send(read("first"))
        with pytest.raises(errors.TimedOut):
            await sender.send(READ)
    assert len(server.requests) == 3


async def test_a_call_that_began_at_once_goes_on_for_those_who_joined_it():
    gate = asyncio.Event()

    async def held(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        writer.write(GOOD)

    async with over(GOOD, held, timeout=30) as (sender, server):
        await sender.send(READ)
        began, *joined = [asyncio.create_task(sender.send(READ)) for _ in range(4)]
        await until(lambda: len(server.requests) == 2)
        began.cancel()
        await asyncio.wait([began])
        with deadline.within(0.05), pytest.raises(errors.TimedOut):
            await sender.send(READ)
        gate.set()
        assert await outcomes(*joined) == [b"[]"] * 3
    assert (len(server.requests), server.sockets) == (2, 1)


async def test_a_mistake_in_a_hook_is_told_to_the_caller_and_costs_no_place():
    def mistaken(call: Call) -> None:
        if call.route != "/things" or made:
            raise ZeroDivisionError
        made.append(call)

    made: list[Call] = []
    async with over(GOOD, hooks=[mistaken], max_in_flight=1, max_waiting=0) as (sender, server):
        assert await sender.send(READ) == b"[]"
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await sender.send(READ)
    assert (len(server.requests), server.sockets) == (3, 1)


class Mistaken(Fixed):
    """An authorizer that fails at one call in a way that nobody foresaw."""

    mistakes = 0

    def ready(self) -> str:
        self.mistakes += 1
        if self.mistakes == 1:
            raise ZeroDivisionError
        return super().ready()


async def test_a_mistake_in_an_authorizer_costs_the_calls_after_it_nothing():
    async with over(GOOD, authorizer=Mistaken("Bearer x"), max_in_flight=1, max_waiting=0) as (sender, _):
        with pytest.raises(ZeroDivisionError):
            await sender.send(READ)
        assert await outcomes(sender.send(READ)) == [b"[]"]
