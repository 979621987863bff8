"""Clients that are late or leave: their request ends, and no other does."""

import asyncio
import contextlib
import io
import json
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from starlette.requests import ClientDisconnect

from adapters.imitation import Knobs
from gateway.attendance import UNWATCHED_S, Attendance, Rounds
from tests.conftest import WORKIVA, Fleet, Upstreams, fleet_over, gateway_over


class Late(Exception):
    """The client was late."""


class Client:
    """A client that says nothing until it leaves."""

    def __init__(self) -> None:
        self.leaves = asyncio.Event()
        self.is_watched = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        self.is_watched.set()
        await self.leaves.wait()
        return {"type": "http.disconnect"}


async def attended(client: Client, working: asyncio.Event) -> None:
    """Work without an end for a client."""
    with Attendance(client.receive, Rounds(), asyncio.get_running_loop()) as attendance:
        attendance.watch()
        working.set()
        await asyncio.Event().wait()


async def test_a_client_that_leaves_ends_its_block():
    client = Client()
    client.leaves.set()
    with pytest.raises(ClientDisconnect):
        await attended(client, asyncio.Event())
    assert asyncio.current_task().cancelling() == 0  # pyright: ignore[reportOptionalMemberAccess]  it is this one


async def test_a_client_that_is_late_ends_its_block():
    async def waits() -> None:
        with Attendance(Client().receive, Rounds(), asyncio.get_running_loop()) as attendance:
            attendance.expect_within(0.01, Late())
            await asyncio.Event().wait()

    with pytest.raises(Late):
        await waits()


async def test_who_was_in_time_is_not_late_any_more():
    async with asyncio.timeout(10):
        with Attendance(Client().receive, Rounds(), asyncio.get_running_loop()) as attendance:
            attendance.expect_within(0.01, Late())
            attendance.watch()
            await asyncio.sleep(0.05)


async def test_what_is_done_soon_is_not_watched_and_nothing_comes_after():
    client = Client()
    client.leaves.set()
    with Attendance(client.receive, Rounds(), asyncio.get_running_loop()) as attendance:
        attendance.watch()
    await asyncio.sleep(2 * UNWATCHED_S)
    assert not client.is_watched.is_set()


async def test_nobody_watches_when_the_block_is_over():
    client = Client()
    before = asyncio.all_tasks()
    with Attendance(client.receive, Rounds(), asyncio.get_running_loop()) as attendance:
        attendance.watch()
        await client.is_watched.wait()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    client.leaves.set()
    await asyncio.sleep(0.01)


async def test_a_server_that_cancels_a_request_is_not_taken_for_a_client_that_left():
    client, working = Client(), asyncio.Event()
    request = asyncio.create_task(attended(client, working))
    await working.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request


async def test_a_server_that_cancels_has_its_way_where_the_client_leaves_as_well():
    client, working = Client(), asyncio.Event()
    request = asyncio.create_task(attended(client, working))
    await client.is_watched.wait()
    client.leaves.set()
    while not request.cancelling():  # noqa: ASYNC110  until the client has left, and before the request knows
        await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request


# Many at once


async def test_each_of_many_is_watched_in_its_turn_and_those_that_are_done_are_not():
    rounds, clients, done = Rounds(), [Client() for _ in range(4)], Client()

    async def attended_by(client: Client) -> None:
        with Attendance(client.receive, rounds, asyncio.get_running_loop()) as attendance:
            attendance.watch()
            await asyncio.Event().wait()

    async with asyncio.timeout(10):
        requests: list[asyncio.Task[None]] = []
        for client in clients:
            requests.append(asyncio.create_task(attended_by(client)))
            with Attendance(done.receive, rounds, asyncio.get_running_loop()) as attendance:
                attendance.watch()
            await asyncio.sleep(UNWATCHED_S / 3)
        assert not clients[-1].is_watched.is_set(), "not before its time"
        for client in clients:
            await client.is_watched.wait()
        clients[1].leaves.set()
        with pytest.raises(ClientDisconnect):
            await requests[1]
        assert [request.done() for request in requests] == [False, True, False, False]
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
    assert not done.is_watched.is_set()


def test_whoever_is_served_by_another_loop_is_watched_there():
    rounds = Rounds()

    async def leaves() -> None:
        client = Client()
        client.leaves.set()
        with Attendance(client.receive, rounds, asyncio.get_running_loop()) as attendance:
            attendance.watch()
            await asyncio.sleep(10)

    async def is_done_soon() -> None:
        with Attendance(Client().receive, rounds, asyncio.get_running_loop()) as attendance:
            attendance.watch()

    for served in (is_done_soon, leaves, is_done_soon, leaves):
        with pytest.raises(ClientDisconnect) if served is leaves else contextlib.nullcontext():
            asyncio.run(served())


# Over a socket


def sent(body: bytes, announced: int, **headers: str) -> bytes:
    """A request as it goes over the wire."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {announced}\r\n"
    return f"{head}{more}\r\n".encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    """The status and the content of the next response."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    return int(head.split()[1]), orjson.loads(await reader.readexactly(length))


async def talk(url: str, *pieces: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    return reader, writer


QUERY = b'{"query":"{ __typename }"}'


async def test_a_body_that_does_not_come_is_408(upstreams: Mapping[str, Any], log: io.BytesIO):
    instances = {name: server.settings(url) for name, (server, url) in upstreams.items()}
    async with gateway_over(instances, limits={"request_timeout": 0.1}) as url, asyncio.timeout(20):
        for piece in (b"", QUERY[:10]):
            reader, writer = await talk(url, sent(piece, len(QUERY)))
            status, told = await answer(reader)
            assert (status, told["errors"][0]["extensions"]["code"]) == (408, "BAD_REQUEST")
            writer.close()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["codes"] for line in lines if line["message"] == "request"] == [["408", "BAD_REQUEST"]] * 2


async def test_what_was_read_while_a_body_came_is_too_old_for_who_asks_for_now(upstreams: Upstreams):
    query = "{ connections(first: 1, maxAge: 0) { totalCount } }"
    body = json.dumps({"query": query}).encode()
    async with fleet_over(upstreams, limits={"request_timeout": 1}) as fleet, asyncio.timeout(20):
        reader, writer = await talk(fleet.url, sent(body[:5], len(body)))
        await asyncio.sleep(0.8)
        told, calls = await fleet.ask(query), fleet.calls(WORKIVA, "/api/v1/connections")
        fleet.servers[WORKIVA].knobs = Knobs(delay_s=0.3)  # as long as there is to the end of the body's own time
        writer.write(body[5:])
        assert await answer(reader) == (200, told)
        assert fleet.calls(WORKIVA, "/api/v1/connections") == 2 * calls > 0
        writer.close()


async def test_requests_sent_at_once_are_answered_in_order_and_each_by_itself(fleet: Fleet, upstreams: Any):
    instances = {name: server.settings(url) for name, (server, url) in upstreams.items()}
    listed = b'{"query":"{ connections(first: 1) { nodes { id } } }"}'
    async with (
        gateway_over(instances, auth={"explain": "everyone"}, inventory={"max_age": 0}) as url,
        asyncio.timeout(20),
    ):
        explained, plain = sent(listed, len(listed), Gateway_Explain="CALLS"), sent(listed, len(listed))
        reader, writer = await talk(url, explained + plain + explained + sent(QUERY, len(QUERY)))
        answers = [(await answer(reader))[1] for _ in range(4)]
        calls = [len(told["extensions"]["explain"]["calls"]) if "extensions" in told else None for told in answers]
        assert [calls[1], calls[3]] == [None, None]
        assert calls[0] >= calls[2] > 0, "the first also fetches tokens; no call of another's is told"
        assert answers[3] == {"data": {"__typename": "Query"}}
        writer.close()
