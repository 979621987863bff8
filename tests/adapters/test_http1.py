"""The HTTP client against servers that write bytes: every way an answer can be framed, end early, go on too long or
come unasked; on asyncio's own event loop and on uvloop.
"""

import asyncio
import contextlib
import gzip
import socket
import ssl
import sys
import threading
import time
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from adapters import channel
from adapters.channel import MAX_FIELDS, MAX_HEAD_BYTES, Answer, Channel, Wanted
from adapters.dialling import Origin, Unopened, first, trust
from adapters.errors import ContractBroken
from adapters.http1 import Client, field_lines, written
from tests.adapters.bytes_server import Act, Server, closed, dripping, pouring, silent
from tests.adapters.upstream import free_port, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # The hook that is to take its place would choose the loops of all modules.
    pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture:pytest.PytestDeprecationWarning"),
]

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WANTED = Wanted(1024 * 1024)
TLS = Path(__file__).parent / "tls"


@pytest.fixture(
    scope="module", params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"]
)
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return request.param()


@contextlib.asynccontextmanager
async def asking(*answers: bytes | Act, last: bool = False, **options: Any) -> AsyncGenerator[tuple[Client, Server]]:
    async with Server(*answers, last=last) as server, Client(**options) as client:
        yield client, server


async def ask(
    client: Client, server: Server, method: str = "GET", *, wanted: Wanted = WANTED, timeout_s: float = 10, **how: Any
) -> Answer:
    content = None if method in ("GET", "HEAD") else b"{}"
    request = written(method.encode(), b"/things?a=b", field_lines([(b"Host", server.origin.authority)]), content)
    how = {"safe": method == "GET", **how}
    return await client.exchange(server.origin, request, wanted, timeout_s=timeout_s, **how)


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


# Framing

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PACKED = gzip.compress(b"ok")
KEPT = {
    "length": PLAIN,
    "lower case": b"HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\nok",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "chunked": CHUNKED + b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
    "extensions and trailers": CHUNKED + b"2;a=b\r\nok\r\n0\r\nX-Trailer: a\r\n\r\n",
    "empty field": b"HTTP/1.1 200 OK\r\nX-Empty:\r\nContent-Length: 2\r\n\r\nok",
    "100": b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN,
    "103 twice": b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\nLink: a\r\n\r\n" * 2 + PLAIN,
    "1.0 kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: GZip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED,
    "gzip in chunks": CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    + b"".join(b"1\r\n%b\r\n" % PACKED[at : at + 1] for at in range(len(PACKED)))
    + b"0\r\n\r\n",
}
LAST = {
    "until the end": b"HTTP/1.1 200 OK\r\n\r\nok",
    "close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "1.0 until the end": b"HTTP/1.0 200 OK\r\n\r\nok",
}


@pytest.mark.parametrize("is_dripping", [False, True], ids=["at once", "dripping"])
@pytest.mark.parametrize("sent", KEPT.values(), ids=KEPT)
async def test_an_answer_is_whole_and_its_socket_serves_the_next_request(sent: bytes, is_dripping: bool):
    async with asking(dripping(sent) if is_dripping else sent) as (client, server):
        for _ in range(3):
            assert (await ask(client, server)).body == b"ok"
    assert (len(server.requests), server.sockets) == (3, 1)


@pytest.mark.parametrize("is_dripping", [False, True], ids=["at once", "dripping"])
@pytest.mark.parametrize("sent", LAST.values(), ids=LAST)
async def test_the_socket_of_a_last_answer_is_not_used_again(sent: bytes, is_dripping: bool):
    async with asking(dripping(sent) if is_dripping else sent, last=True) as (client, server):
        for _ in range(2):
            assert (await ask(client, server)).body == b"ok"
    assert (len(server.requests), server.sockets) == (2, 2)


async def test_an_answer_that_says_it_is_the_last_is_believed():
    async with asking(LAST["close"]) as (client, server):  # and the server leaves its end open
        for _ in range(2):
            await ask(client, server)
        assert server.sockets == 2


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_ends_with_its_head_whatever_that_says(status: int):
    sent = b"HTTP/1.1 %d X\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n" % status
    async with asking(sent, PLAIN) as (client, server):
        answer = await ask(client, server, wanted=WANTED._replace(failures=True))
        assert (answer.status, answer.body) == (status, b"")
        assert (await ask(client, server)).body == b"ok"
    assert server.sockets == 1


@pytest.mark.parametrize("fields", [b"Content-Length: 500\r\n", b"Transfer-Encoding: chunked\r\n", b""])
async def test_the_answer_to_head_ends_with_its_head(fields: bytes):
    async with asking(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n") as (client, server):
        answer = await ask(client, server, "HEAD", wanted=WANTED._replace(is_head=True))
        assert (answer.status, answer.body) == (200, b"")


async def test_a_body_in_one_piece_is_not_copied_and_a_long_one_is_whole():
    body = bytes(range(256)) * 20_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with asking(head + body) as (client, server):
        assert (await ask(client, server, wanted=Wanted(len(body)))).body == body
        with pytest.raises(ContractBroken, match="max_body_bytes"):
            await ask(client, server, wanted=Wanted(len(body) - 1))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Channel]:
    """Whose heads were parsed."""
    found: list[Channel] = []

    def headed(self: Channel) -> None:
        found.append(self)
        as_ever(self)

    as_ever = Channel.on_headers_complete
    monkeypatch.setattr(Channel, "on_headers_complete", headed)
    return found


def of(head: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 " + head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def test_a_head_that_came_before_is_not_parsed_again_over_whichever_socket(parsed: list[Channel]):
    bodies = [b"{}", b"[]", b'{"a": 1}', b"ok", b"no", b'{"b": 2}']
    async with asking(*(of(b"201 X\r\nX-A: 1\r\nx-a: 2", body) for body in bodies)) as (client, server):
        for rounds in (1, 2, 3):
            for answer in [await ask(client, server), *await asyncio.gather(*(ask(client, server) for _ in range(2)))]:
                assert (answer.status, answer.field(b"x-a"), answer.field(b"x-b")) == (201, b"1, 2", b"")
                assert answer.body in bodies
                bodies.remove(answer.body)
            if rounds == 2:
                bodies += [b'{"b": 2}'] * 3
    assert server.sockets == 2
    assert len(parsed) == 2, "one for each length"


UNKEPT = {
    "chunked": KEPT["chunked"],
    "gzip": KEPT["gzip"],
    "interim": KEPT["100"],
    "cookie": b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok",
    "long": b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 5_000 + b"\r\nContent-Length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("sent", UNKEPT.values(), ids=UNKEPT)
async def test_heads_that_say_more_than_how_long_a_body_is_are_parsed_each_time(sent: bytes, parsed: list[Channel]):
    async with asking(sent, sent, sent) as (client, server):
        for _ in range(3):
            assert (await ask(client, server)).body == b"ok"
    assert len(parsed) == (6 if sent == KEPT["100"] else 3)


async def test_what_follows_a_known_head_is_what_it_is():
    late = PLAIN[:-2] + b"no"
    longer = of(b"200 OK", b"x" * 100)
    other = PLAIN.replace(b"200", b"404")
    async with asking(PLAIN, dripping(late), late, PLAIN + PLAIN, PLAIN, longer, longer, other, PLAIN) as (
        client,
        server,
    ):
        bodies = [(await ask(client, server)).body for _ in range(5)]
        assert bodies == [b"ok", b"no", b"no", b"ok", b"ok"]
        assert server.sockets == 2, "what stands behind an answer is nobody's"
        assert len((await ask(client, server)).body) == 100
        with pytest.raises(ContractBroken, match="max_body_bytes"):
            await ask(client, server, wanted=Wanted(99))
        failed = await ask(client, server)
        assert (failed.status, failed.body) == (404, b"")
        assert (await ask(client, server)).body == b"ok"


async def test_a_failure_is_read_as_far_as_is_wanted_each_time(parsed: list[Channel]):
    async with asking(of(b"404 Not Found", b"why")) as (client, server):
        for wants_failures in (True, False, True, False):
            answer = await ask(client, server, wanted=WANTED._replace(failures=wants_failures))
            assert (answer.status, answer.body) == (404, b"why" if wants_failures else b"")
    assert len(parsed) == 4


async def test_a_head_that_is_known_answers_head_as_well():
    async def of_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(PLAIN[:-2])

    async with asking(PLAIN, PLAIN, of_head, PLAIN) as (client, server):
        for method, body in (("GET", b"ok"), ("GET", b"ok"), ("HEAD", b""), ("GET", b"ok")):
            answer = await ask(client, server, method, wanted=WANTED._replace(is_head=method == "HEAD"))
            assert (answer.status, answer.body) == (200, body)


async def test_no_more_heads_are_known_than_there_is_room_for(parsed: list[Channel], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(channel, "IN_VAIN", 1_000)
    sent = [of(b"200 OK\r\nX-Id: %d" % number, b"ok") for number in range(600)]
    async with asking(*sent, sent[0], sent[-1], sent[-1]) as (client, server):
        for _ in range(603):
            assert (await ask(client, server)).body == b"ok"
    assert len(parsed) == 601


async def test_heads_that_never_come_again_are_kept_now_and_then_until_one_does(parsed: list[Channel]):
    others = [of(b"200 OK\r\nX-Id: %d" % number, b"ok") for number in range(3 * channel.IN_VAIN)]
    async with asking(*others, *others[: channel.IN_VAIN + 1], PLAIN) as (client, server):
        for _ in others:
            await ask(client, server)
        parsed.clear()
        for _ in range(channel.IN_VAIN):
            await ask(client, server)
        assert parsed == [], "the first ones were kept"
        await ask(client, server)
        assert len(parsed) == 1, "and of those that followed only a few"
        for _ in range(10):
            await ask(client, server)
        assert len(parsed) == 2, "as soon as one comes again, the next ones are"


async def test_header_fields_are_told_in_lower_case_and_repeated_ones_together():
    sent = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n"
    async with asking(sent) as (client, server):
        answer = await ask(client, server)
    assert (answer.field(b"x-a"), answer.field(b"x-b")) == (b"1, 2", b"")


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"2\r\nokk\r\n",
    ],
)
async def test_what_is_no_answer_to_http_1_1_is_refused_and_its_socket_closed(sent: bytes):
    async with asking(sent) as (client, server):
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(client, server)
        await until(lambda: server.left == 1)
    assert len(server.requests) == 1


# Bounds


@pytest.mark.parametrize(
    "sent",
    [
        pouring(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 100),
        pouring(b"HTTP/1.1 200 OK\r\nX-A: ", b"b" * 1000),
        pouring(b"", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * 10),
        pouring(CHUNKED, b"1;" + b"a" * 10_000),
        pouring(CHUNKED + b"0\r\n", b"X-Trailer: a\r\n" * 100),
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * (MAX_FIELDS + 1) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * MAX_HEAD_BYTES + b"\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["fields", "a field", "interim answers", "extension", "trailers", "count", "size"],
)
async def test_what_is_around_a_body_is_bounded(sent: bytes | Act):
    async with asking(sent) as (client, server):
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(client, server)
        await until(lambda: server.left == 1)


@pytest.mark.parametrize("size", [1, 2])
async def test_a_body_in_the_smallest_of_chunks_is_no_attack(size: int):
    pieces = b"".join(b"%d\r\n%b\r\n" % (size, b"ab"[:size]) for _ in range(100_000))
    async with asking(CHUNKED + pieces + b"0\r\n\r\n") as (client, server):
        assert len((await ask(client, server)).body) == 100_000 * size


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"])
async def test_a_body_that_is_too_long_is_not_read_to_its_end(head: bytes):
    async with asking(pouring(head, bytes(1000))) as (client, server):
        with pytest.raises(ContractBroken, match="max_body_bytes"):
            await ask(client, server, wanted=Wanted(10_000))
        await until(lambda: server.left == 1)


async def test_a_body_of_no_known_length_in_one_piece_is_bounded_too():
    async with asking(CHUNKED + b"9\r\n123456789\r\n0\r\n\r\n") as (client, server):
        assert (await ask(client, server, wanted=Wanted(9))).body == b"123456789"
        with pytest.raises(ContractBroken, match="max_body_bytes"):
            await ask(client, server, wanted=Wanted(8))


# Sockets that end, and what comes unasked


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_socket_that_the_server_closed_while_nobody_asked_is_not_used(method: str):
    async with asking(PLAIN, last=True) as (client, server):
        await ask(client, server)
        await until(lambda: not client._open)
        assert (client._idle, client._idle_count) == ({server.origin: []}, 0)
        assert (await ask(client, server, method)).body == b"ok"
    assert (len(server.requests), server.sockets) == (2, 2)


async def test_a_safe_request_over_a_socket_that_just_ended_is_sent_once_more():
    async with asking(PLAIN, closed, PLAIN) as (client, server):
        await ask(client, server)
        assert (await ask(client, server)).body == b"ok"
    assert (len(server.requests), server.sockets) == (3, 2)


async def test_a_safe_request_is_not_sent_a_third_time():
    async with asking(PLAIN, closed) as (client, server):
        await ask(client, server)
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(client, server)
    assert (len(server.requests), server.sockets) == (3, 2)


async def test_an_unsafe_request_is_sent_once_whatever_happens_to_its_socket():
    async with asking(PLAIN, closed) as (client, server):
        await ask(client, server)
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(client, server, "POST")
    assert (len(server.requests), server.sockets) == (2, 1)


async def test_nothing_is_repeated_over_a_new_socket_or_after_the_first_byte_of_an_answer():
    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"H")
        writer.close()

    async with asking(closed) as (client, server):
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(client, server)
    assert len(server.requests) == 1
    async with asking(PLAIN, cut) as (client, server):
        await ask(client, server)
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(client, server)
    assert len(server.requests) == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_server_that_left_before_the_event_loop_could_tell_costs_no_request(method: str):
    leave = threading.Event()
    served: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        for number in range(2):
            peer, _ = listener.accept()
            served.append(peer.recv(65_536))
            peer.sendall(PLAIN)
            if number == 0:
                leave.wait(10)
            peer.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        origin = Origin.of(httpx.URL(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        request = written(method.encode(), b"/", field_lines([(b"Host", origin.authority)]))
        async with Client() as client:
            await client.exchange(origin, request, WANTED, safe=True)
            leave.set()
            time.sleep(0.1)  # noqa: ASYNC251  so that the loop cannot see the server leave
            assert (await client.exchange(origin, request, WANTED, safe=method == "GET")).body == b"ok"
        thread.join()
    assert len(served) == 2


@pytest.mark.parametrize("more", [b"!", b"\r\n", PLAIN, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"])
async def test_what_comes_behind_an_answer_or_unasked_is_never_anybodys_answer(more: bytes):
    async def later(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(PLAIN)
        await asyncio.sleep(0.02)
        writer.write(more)

    async with asking(PLAIN + more, later, PLAIN) as (client, server):
        assert (await ask(client, server)).body == b"ok"
        assert (await ask(client, server)).body == b"ok"
        await asyncio.sleep(0.05)
        assert (await ask(client, server)).body == b"ok"
        assert len(server.requests) == 3
        assert server.sockets >= 2


async def test_a_call_that_is_given_up_closes_its_socket():
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(PLAIN[:-1])
        await reader.read()

    for act in (silent, half):
        async with asking(PLAIN, act, PLAIN) as (client, server):
            await ask(client, server)
            call = asyncio.create_task(ask(client, server))
            await until(lambda server=server: len(server.requests) == 2)
            call.cancel()
            await asyncio.wait([call])
            assert call.cancelled()
            await until(lambda server=server: server.left == 1)
            assert (await ask(client, server)).body == b"ok"
        assert server.sockets == 2


async def test_giving_up_a_call_whose_answer_is_there_harms_nobody_elses():
    async with asking(PLAIN) as (client, server):
        for turns in range(12):
            call = asyncio.create_task(ask(client, server))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            assert (await ask(client, server)).body == b"ok"
            await asyncio.wait([call])


async def test_an_answer_that_takes_too_long_has_timed_out_and_its_socket_is_closed():
    async with asking(PLAIN, silent) as (client, server):
        await ask(client, server)
        with pytest.raises(httpx.ReadTimeout):
            await ask(client, server, timeout_s=0.05)
        await until(lambda: server.left == 1)
        with pytest.raises(httpx.ConnectTimeout):
            await ask(client, server, timeout_s=0)


# Failures without their bodies


async def test_a_failure_is_told_with_its_head_and_its_socket_is_kept_where_the_rest_comes():
    gate = asyncio.Event()

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 X\r\nContent-Length: 4\r\nContent-Encoding: br\r\n\r\n")
        await gate.wait()
        writer.write(b"oops")

    async with asking(slow, PLAIN) as (client, server):
        assert (await ask(client, server))[::2] == (500, b"")
        assert (await ask(client, server)).body == b"ok"
        assert server.sockets == 2, "the first one is not at rest yet"
        gate.set()
        await until(lambda: len(client._idle[server.origin]) == 2)


@pytest.mark.parametrize("fields", [b"", b"Content-Length: 99999999\r\n"])
async def test_a_failure_whose_body_goes_on_loses_its_socket(fields: bytes):
    async with asking(pouring(b"HTTP/1.1 500 X\r\n" + fields + b"\r\n", bytes(1000)), PLAIN) as (client, server):
        assert (await ask(client, server)).status == 500
        await until(lambda: server.left == 1)


async def test_a_failure_whose_body_is_long_is_not_read_for_the_sake_of_its_socket():
    size = 2 * 1024 * 1024
    async with asking(b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n" % size + bytes(size), PLAIN) as (client, server):
        assert (await ask(client, server)).status == 500
        await until(lambda: server.left == 1)
        assert (await ask(client, server)).body == b"ok"
    assert server.sockets == 2


# The pool


@pytest.mark.parametrize("size", [10, 300_000])
async def test_a_socket_at_rest_keeps_nothing_of_the_answer_before(size: int):
    async with asking(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, bytes(size))) as (client, server):
        body, alone = (await ask(client, server)).body, bytes(size)
        await asyncio.sleep(0.01)
        assert sys.getrefcount(body) == sys.getrefcount(alone)
        assert server.left == 0


async def test_a_socket_that_was_closed_before_it_could_be_used_is_told_at_once():
    async with asking(PLAIN) as (client, server):
        await ask(client, server)
        channel = client.idle(server.origin, safe=True)
        assert channel is not None
        channel.drop()
        asker: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        channel.ask(b"", asker, WANTED, None)
        with pytest.raises(httpx.ConnectError):
            await asyncio.wait_for(asker, 10)


async def test_sockets_at_rest_are_closed_after_a_while():
    async with asking(PLAIN, idle_s=0.05) as (client, server):
        await asyncio.gather(*(ask(client, server) for _ in range(3)))
        assert server.sockets == 3
        await until(lambda: server.left == 3)
        assert (await ask(client, server)).body == b"ok"


async def test_no_more_sockets_rest_than_there_is_room_for():
    async with asking(PLAIN, max_idle=2) as (client, server):
        await asyncio.gather(*(ask(client, server) for _ in range(5)))
        await until(lambda: server.left == 3)
        await asyncio.gather(*(ask(client, server) for _ in range(2)))
        assert server.sockets == 5


async def test_a_client_that_is_closed_leaves_no_socket_behind():
    async with Server(PLAIN, silent) as server:
        client = Client()
        await ask(client, server)
        call = asyncio.create_task(ask(client, server, "POST"))
        await until(lambda: len(server.requests) == 2)
        await client.aclose()
        with pytest.raises(httpx.ReadError):
            await call
        await until(lambda: server.left == server.sockets)


# Where to


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://a.test/x", ("http", "a.test", 80, b"a.test")),
        ("https://a.test:443", ("https", "a.test", 443, b"a.test")),
        ("https://A.test:8443/", ("https", "a.test", 8443, b"a.test:8443")),
        ("http://[::1]:8000/", ("http", "::1", 8000, b"[::1]:8000")),
        ("http://b\u00fccher.test/", ("http", "xn--bcher-kva.test", 80, b"xn--bcher-kva.test")),
    ],
)
async def test_an_origin_is_what_the_host_header_says(url: str, origin: tuple[Any, ...]):
    assert Origin.of(httpx.URL(url)) == origin


@pytest.mark.parametrize("url", ["ftp://a.test/", "/path", "http:///x", "http://a.test:65536", "https://a.test:0"])
async def test_nothing_but_http_is_spoken_and_only_over_ports_that_there_are(url: str):
    with pytest.raises(httpx.UnsupportedProtocol):
        Origin.of(httpx.URL(url))


async def test_a_server_that_is_not_there_is_told_without_its_address():
    async with Server(PLAIN) as server, Client() as client:
        origin = server.origin._replace(port=free_port())
        for host in ("127.0.0.1", "nowhere.invalid", "a" * 70 + ".test"):
            with pytest.raises(httpx.ConnectError) as raised:
                await client.exchange(origin._replace(host=host), b"GET / HTTP/1.1\r\n\r\n", WANTED, timeout_s=30)
            assert host not in repr(raised.value)
            assert raised.value.__suppress_context__


async def test_a_name_is_looked_up_and_each_of_its_addresses_tried():
    async with Server(PLAIN) as server, Client() as client:  # on 127.0.0.1 alone; many resolvers give ::1 first
        server.origin = Origin.of(httpx.URL(f"http://localhost:{server.port}"))
        assert (await ask(client, server)).body == b"ok"
    assert b"Host: localhost:%d\r\n" % server.port in server.requests[0]


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 on loopback")
async def test_an_ipv6_address_is_called_without_its_brackets_and_told_with_them():
    async with Server(PLAIN, host="::1") as server, Client() as client:
        assert (await ask(client, server)).body == b"ok"
    assert b"Host: [::1]:%d\r\n" % server.port in server.requests[0]


class Opened:
    """The transport of a socket that was opened."""

    is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


async def test_an_address_that_does_not_answer_gives_way_to_the_next():
    tried: list[str] = []
    late = Opened()

    async def opened(address: str) -> Any:
        tried.append(address)
        if address == "failing":
            raise OSError("no route")
        if address == "slow":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return late, "too late"
        return Opened(), address

    assert (await first(opened, ["failing", "slow", "good", "unneeded"]))[1] == "good"
    assert tried == ["failing", "slow", "good"]
    await until(lambda: late.is_aborted)
    with pytest.raises(OSError, match="no route"):
        await first(opened, ["failing", "failing"])


@pytest.mark.parametrize("value", [b"a\r\nX: b", b"a\nb", b"a\0b", b"\r", b"\x7f"])
async def test_no_header_and_no_request_line_can_hold_what_would_begin_another(value: bytes):
    with pytest.raises(httpx.LocalProtocolError):
        field_lines([(b"X", value)])
    for name in (value, b"", b"a b", b"a:"):
        with pytest.raises(httpx.LocalProtocolError):
            field_lines([(name, b"a")])
    for target in (value, b"", b"/a b", "/\u00fc".encode()):
        with pytest.raises(httpx.LocalProtocolError):
            written(b"GET", target, b"")
    for method in (value, b"", b"GET /", b"CONNECT"):
        with pytest.raises(httpx.LocalProtocolError):
            written(method, b"/", b"")


async def test_a_request_is_written_as_http_has_it():
    lines = field_lines([(b"Host", b"a.test"), (b"X-A", b" b ")])
    assert written(b"GET", b"/x?y", lines) == b"GET /x?y HTTP/1.1\r\nHost: a.test\r\nX-A: b\r\n\r\n"
    assert written(b"POST", b"/", lines, b"{}").endswith(b"X-A: b\r\nContent-Length: 2\r\n\r\n{}")
    assert written(b"POST", b"/", lines, b"").endswith(b"Content-Length: 0\r\n\r\n")


# TLS


def serving_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=TLS / "certificate.pem")


async def test_a_certificate_is_trusted_only_where_it_is_said_to_be():
    async with Server(PLAIN, tls=serving_tls()) as server:
        async with Client(trusting()) as client:
            for _ in range(2):
                assert (await ask(client, server)).body == b"ok"
        assert len(server.requests) == 2
        async with Client() as client:
            with pytest.raises(httpx.ConnectError):
                await ask(client, server)
    assert len(server.requests) == 2


async def test_a_certificate_of_another_name_is_refused_and_the_name_is_told_to_the_server():
    names: list[str | None] = []
    serving = serving_tls()
    serving.sni_callback = lambda _, name, __: names.append(name)
    async with Server(PLAIN, tls=serving) as server, Client(trusting()) as client:
        at = server.port
        server.origin = Origin.of(httpx.URL(f"https://localhost:{at}"))
        assert (await ask(client, server)).body == b"ok"
        certificate = ssl.create_default_context(cafile=TLS / "certificate.pem")
        assert certificate.check_hostname
        server.origin = Origin.of(httpx.URL(f"https://127.0.0.2:{at}"))
        with pytest.raises(httpx.ConnectError):
            await ask(client, server)
    assert names[0] == "localhost"


async def test_a_server_that_speaks_no_tls_is_not_spoken_to_without():
    async with asking(PLAIN) as (client, server):
        server.origin = server.origin._replace(scheme="https")
        with pytest.raises((httpx.ConnectError, httpx.ConnectTimeout)):
            await ask(client, server, timeout_s=0.5)
    assert server.requests == []


async def test_an_authority_of_ones_own_is_trusted_beside_the_public_ones(tmp_path: Path):
    (tmp_path / "none.pem").write_text("nothing", encoding="ascii")
    context = trust(str(TLS / "certificate.pem"))
    assert len(context.get_ca_certs()) == len(trust().get_ca_certs()) > 0
    async with Server(PLAIN, tls=serving_tls()) as server, Client(context) as client:
        assert (await ask(client, server)).body == b"ok"
    with pytest.raises(ssl.SSLError):
        trust(str(tmp_path / "none.pem"))
    with pytest.raises(OSError, match="No such file"):
        trust(str(tmp_path / "missing.pem"))


async def test_it_is_told_why_no_socket_could_be_opened():
    async with Server(PLAIN, tls=serving_tls()) as server, Client() as client:
        for origin, why in (
            (server.origin, "its certificate is not trusted"),
            (Origin.of(httpx.URL(f"http://127.0.0.1:{free_port()}")), "nothing listens there"),
            (Origin.of(httpx.URL("http://nobody.invalid")), "its name could not be looked up"),
        ):
            server.origin = origin
            with pytest.raises(Unopened) as raised:
                await ask(client, server)
            assert raised.value.why == why


async def test_by_default_certificates_are_verified_and_made_use_of_once():
    context = trust()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    client = Client()
    assert client._tls is None, "plain HTTP pays nothing for it"


# By way of httpx


@contextlib.asynccontextmanager
async def by_httpx(*answers: bytes | Act, **options: Any) -> AsyncGenerator[tuple[httpx.AsyncClient, Server]]:
    async with (
        Server(*answers) as server,
        httpx.AsyncClient(transport=Client(), base_url=server.url, **options) as client,
    ):
        yield client, server


async def test_httpx_can_do_over_it_what_it_can_do():
    redirect = (
        b"HTTP/1.1 302 Found\r\nLocation: /there\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n"
    )
    json = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'
    fault = b"HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\noops"
    async with by_httpx(redirect, json, fault, KEPT["gzip"], PLAIN) as (client, server):
        answer = await client.get("/here", params={"q": "a b"}, follow_redirects=True)
        assert answer.json() == {"a": 1}
        assert server.requests[1].startswith(b"GET /there HTTP/1.1\r\n")
        assert b"Cookie: a=b; c=d\r\n" in server.requests[1]
        assert (await client.post("/", json={"a": 1})).text == "oops"
        assert server.requests[2].endswith(b'\r\n\r\n{"a":1}')
        assert (await client.get("/")).text == "ok"

        async def pieces() -> AsyncIterator[bytes]:
            yield b"a"
            yield b"b"

        async with client.stream("PUT", "/", content=pieces()) as streamed:
            assert [part async for part in streamed.aiter_raw()] == [b"ok"]
        assert server.requests[4].endswith(b"\r\nContent-Length: 2\r\n\r\nab")
    assert server.sockets == 1


async def test_httpx_is_given_an_encoding_that_only_it_may_know_as_it_came():
    sent = b"HTTP/1.1 200 OK\r\nContent-Encoding: x-ours\r\nContent-Length: 2\r\n\r\nok"
    async with by_httpx(sent) as (client, _):
        answer = await client.get("/")
    assert (answer.headers["content-encoding"], answer.content) == ("x-ours", b"ok")


async def test_httpx_is_told_failures_in_its_own_words():
    bomb = zlib.compress(bytes(65 * 1024 * 1024), 9)
    packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    async with by_httpx(packed, silent, timeout=0.5) as (client, _):
        with pytest.raises(httpx.DecodingError):
            await client.get("/")
        with pytest.raises(httpx.ReadTimeout) as raised:
            await client.get("/")
        assert raised.value.request.url.path == "/"
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("ftp://a.test/")


async def test_httpx_may_ask_for_a_head():
    async with by_httpx(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n") as (client, _):
        answer = await client.head("/")
    assert (answer.status_code, answer.content) == (200, b"")
