"""The transport over real sockets: what it makes of every answer, how often it asks, and what it never tells."""

import asyncio
import contextlib
import gzip
import random
import re
import socket
import struct
import time
import traceback
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.routing import Route

from adapters import deadline, errors, transport
from adapters.auth import Authorizer, Credentials, Grant, Renewing, bearer
from adapters.imitation import serve
from adapters.secret import Secret
from adapters.transport import Call, Request, Settings, Transport

READ = Request("list_things", "GET", "/things")
WRITE = Request("make_thing", "POST", "/things", json={"name": "a"}, safe=False)

STATUSES: dict[int, type[errors.AdapterError]] = {
    400: errors.Rejected,
    401: errors.Unauthorized,
    403: errors.Unauthorized,
    404: errors.NotFound,
    405: errors.ContractBroken,
    408: errors.TimedOut,
    409: errors.Conflict,
    410: errors.NotFound,
    413: errors.Rejected,
    422: errors.Rejected,
    423: errors.Conflict,
    429: errors.RateLimited,
    501: errors.Unsupported,
    504: errors.TimedOut,
}
OTHERS: dict[int, type[errors.AdapterError]] = {
    300: errors.ContractBroken,
    302: errors.ContractBroken,
    304: errors.ContractBroken,
    308: errors.ContractBroken,
    402: errors.ContractBroken,
    418: errors.ContractBroken,
    451: errors.ContractBroken,
    500: errors.UpstreamFault,
    502: errors.UpstreamFault,
    503: errors.UpstreamFault,
    599: errors.UpstreamFault,
}


class Seen(NamedTuple):
    """One call as the upstream received it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Upstream:
    """Answers in turn what it is told to, the last answer for ever; holds its answers while ``gate`` is closed."""

    def __init__(self, *answers: Response) -> None:
        self.answers = answers or (Response(b"[]"),)
        self.seen: list[Seen] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.now = self.most = self.abandoned = 0
        self.app = Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "POST"])])

    async def answer(self, request: Asked) -> Response:
        answer = self.answers[min(len(self.seen), len(self.answers) - 1)]
        self.seen.append(Seen(request.method, request.url.path, request.headers, await request.body()))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            while not self.gate.is_set():
                if await request.is_disconnected():
                    self.abandoned += 1
                    break
                await asyncio.sleep(0.005)
        finally:
            self.now -= 1
        return answer


@contextlib.asynccontextmanager
async def calling(
    base_url: str,
    *,
    authorizer: Authorizer | None = None,
    headers: Mapping[str, str] = {},
    hooks: Sequence[transport.Hook] = (),
    **settings: Any,
) -> AsyncGenerator[Transport]:
    """A transport that neither retries nor breaks unless told to."""
    async with httpx.AsyncClient() as client:
        yield Transport(
            instance="acme",
            provider="test",
            settings=Settings(**{"retries": 0, "break_after": 1000, **settings}),
            base_url=base_url,
            client=client,
            authorizer=authorizer,
            headers=headers,
            hooks=hooks,
        )


@contextlib.asynccontextmanager
async def over(upstream: Upstream, **settings: Any) -> AsyncGenerator[Transport]:
    async with serve(upstream.app) as url, calling(url, **settings) as sender:
        yield sender


Nasty = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw(*answers: bytes, then: Nasty | None = None) -> AsyncGenerator[str]:
    """A server that reads a request's head, writes ``answers`` one by one, does ``then`` and closes."""
    running: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for answer in answers:
            writer.write(answer)
            await writer.drain()
        if then is not None:
            await then(reader, writer)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.gather(*running)


async def until_they_leave(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connected = writer.get_extra_info("socket")
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def answer(body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = ("HTTP/1.1 200 OK", f"Content-Length: {len(body) if length is None else length}", *headers)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def gzipped(body: bytes) -> Response:
    return Response(gzip.compress(body), headers={"Content-Encoding": "gzip"})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


async def outcomes(*calls: Awaitable[bytes]) -> list[Any]:
    async with asyncio.timeout(20):
        return await asyncio.gather(*calls, return_exceptions=True)


def read(number: object) -> Request:
    return READ._replace(query=[("number", str(number))])


def family(kind: type[errors.AdapterError] = errors.AdapterError) -> Iterator[type[errors.AdapterError]]:
    for child in kind.__subclasses__():
        yield child
        yield from family(child)


# Statuses


@pytest.mark.parametrize(("status", "kind"), [*STATUSES.items(), *OTHERS.items()])
async def test_every_status_becomes_the_error_a_caller_can_act_on(status: int, kind: type[errors.AdapterError]):
    upstream = Upstream(Response(b"{}", status))
    async with over(upstream) as sender:
        with pytest.raises(errors.AdapterError) as raised:
            await sender.send(READ)
    error = raised.value
    assert type(error) is kind
    assert (error.instance, error.provider, error.operation) == ("acme", "test", "list_things")
    assert error.correlation_id == upstream.seen[0].headers["x-request-id"]
    assert str(status) in error.message


def test_the_table_of_statuses_is_the_one_tried_here():
    assert dict(transport.STATUS_ERRORS) == STATUSES


def test_every_error_that_tables_name_exists_in_the_tree_and_the_tree_is_drawn_whole():
    kinds = set(family())
    assert kinds.issuperset(transport.STATUS_ERRORS.values())
    assert kinds.issuperset(transport.FOREIGN_ERRORS.values())
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    assert {kind.__name__ for kind in kinds} == drawn


@pytest.mark.parametrize("kind", list(family()), ids=lambda kind: kind.__name__)
def test_every_error_carries_its_message_and_says_whether_to_try_again(kind: type[errors.AdapterError]):
    error = kind("what happened", retry_after_s=2.0)
    assert str(error) == error.message == "what happened"
    assert isinstance(error.retryable, bool)
    assert error.retry_after_s == 2.0


def test_every_failure_that_httpx_can_raise_is_mapped():
    def below(kind: type[Exception]) -> Iterator[type[Exception]]:
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    raisable = {*below(httpx.TransportError), *below(httpx.DecodingError), *below(httpx.InvalidURL)}
    assert [kind for kind in raisable if not issubclass(kind, tuple(transport.FOREIGN_ERRORS))] == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(status: int):
    upstream = Upstream(Response(b"", status, {"Location": "/elsewhere"}))
    async with over(upstream) as sender:
        with pytest.raises(errors.ContractBroken):
            await sender.send(READ)
    assert [seen.path for seen in upstream.seen] == ["/things"]


@pytest.mark.parametrize("status", [200, 201, 202, 203])
async def test_any_success_gives_the_body(status: int):
    async with over(Upstream(Response(b"[1]", status))) as sender:
        assert await sender.send(READ) == b"[1]"


async def test_no_content_gives_an_empty_body():
    async with over(Upstream(Response(status_code=204))) as sender:
        assert await sender.send(READ) == b""


async def test_a_call_carries_what_it_was_given():
    upstream = Upstream()
    async with over(upstream, headers={"X-Version": "7"}, authorizer=bearer(Secret("t0ken"))) as sender:
        await sender.send(WRITE)
        await sender.send(Request("get_token", "POST", "/token", form={"grant_type": "x y"}))
    made, token = upstream.seen
    assert (made.method, made.path, made.body) == ("POST", "/things", b'{"name":"a"}')
    assert made.headers["content-type"] == "application/json"
    assert made.headers["x-version"] == "7"
    assert made.headers["authorization"] == "Bearer t0ken"
    assert made.headers["accept-encoding"] == "gzip"
    assert token.body == b"grant_type=x+y"


# What goes wrong below HTTP


async def test_a_refused_connection_is_unreachable():
    async with calling(f"http://127.0.0.1:{free_port()}") as sender:
        with pytest.raises(errors.Unreachable):
            await sender.send(READ)


async def test_a_name_that_does_not_resolve_is_unreachable():
    async with calling("http://upstream.invalid", timeout=30) as sender:
        with pytest.raises(errors.Unreachable):
            await sender.send(READ)


async def test_a_name_no_resolver_accepts_is_an_error_of_ours():
    async with calling(f"http://{'a' * 70}.invalid", timeout=30) as sender:
        with pytest.raises(errors.AdapterError):
            await sender.send(READ)


@pytest.mark.parametrize(
    "base_url",
    [
        "ftp://127.0.0.1",
        "127.0.0.1/api",
        "http://",
        "http://user:secret@127.0.0.1",
        "http://127.0.0.1/api?key=secret",
        "http://127.0.0.1/#api",
        "http://[::1",
    ],
)
async def test_a_base_url_that_cannot_be_built_on_is_refused_without_being_told(base_url: str):
    with pytest.raises(errors.ConfigurationError, match="base_url") as raised:
        async with calling(base_url):
            pass
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x16\x03\x01 this is no HTTP\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\n",
        answer(b"[1, 2", length=1000),
    ],
    ids=["nothing", "tls", "status", "header", "lengths", "chunk", "cut chunk", "cut head", "cut body"],
)
async def test_an_answer_that_is_not_http_or_ends_early_is_unreachable(sent: bytes):
    async with raw(sent) as url, calling(url) as sender:
        with pytest.raises(errors.Unreachable):
            await sender.send(READ)


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nContent-", answer(b"[1, 2", length=1000)])
async def test_a_reset_is_unreachable_wherever_it_happens(before: bytes):
    async with raw(before, then=reset) as url, calling(url) as sender:
        with pytest.raises(errors.Unreachable):
            await sender.send(READ)


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\n", answer(b"[1, 2", length=1000)])
async def test_an_answer_that_never_ends_has_timed_out(before: bytes):
    async with raw(before, then=until_they_leave) as url, calling(url, timeout=0.1) as sender:
        with pytest.raises(errors.TimedOut):
            await sender.send(READ)


async def test_an_answer_that_drips_for_ever_has_timed_out():
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:  # each byte in time, the whole never
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with raw(answer(b"", length=10**6), then=drip) as url, calling(url, timeout=0.2) as sender:
        with pytest.raises(errors.TimedOut):
            await sender.send(READ)


# Bodies


async def test_a_compressed_answer_is_inflated():
    async with over(Upstream(gzipped(b"[1, 2, 3]"))) as sender:
        assert await sender.send(READ) == b"[1, 2, 3]"


async def test_a_deflated_answer_is_inflated():
    async with over(Upstream(Response(zlib.compress(b"[1]"), headers={"Content-Encoding": "deflate"}))) as sender:
        assert await sender.send(READ) == b"[1]"


async def test_a_compressed_answer_in_many_small_pieces_is_whole():
    body = random.Random(1).randbytes(50_000)  # noqa: S311  incompressible, and the same every time
    packed = gzip.compress(body)
    head = answer(b"", "Content-Encoding: gzip", length=len(packed))
    pieces = [packed[at : at + 977] for at in range(0, len(packed), 977)]
    async with raw(head, *pieces) as url, calling(url) as sender:
        assert await sender.send(READ) == body


@pytest.mark.parametrize("size", [10 * 2**20, 200 * 2**20])
async def test_a_gzip_bomb_is_stopped_at_the_limit(size: int):
    told: list[Call] = []
    packed = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packed.compress(bytes(2**20)) for _ in range(size // 2**20)) + packed.flush()
    assert len(bomb) < size / 900
    upstream = Upstream(Response(bomb, headers={"Content-Encoding": "gzip"}))
    async with over(upstream, max_body_bytes=4096, hooks=[told.append]) as sender:
        with pytest.raises(errors.ContractBroken, match="max_body_bytes"):
            await sender.send(READ)
    assert told[0].size_bytes <= 4096 + 1


@pytest.mark.parametrize("pack", [Response, gzipped], ids=["plain", "gzip"])
async def test_a_body_of_the_limit_passes_and_a_byte_more_does_not(pack: Callable[[bytes], Response]):
    async with over(Upstream(pack(bytes(2048)), pack(bytes(2049))), max_body_bytes=2048) as sender:
        assert await sender.send(READ) == bytes(2048)
        with pytest.raises(errors.ContractBroken, match="max_body_bytes"):
            await sender.send(READ)


async def test_a_plain_body_without_an_end_is_stopped_at_the_limit():
    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(4096))
            await writer.drain()

    async with raw(b"HTTP/1.1 200 OK\r\n\r\n", then=pour) as url, calling(url, max_body_bytes=100_000) as sender:
        with pytest.raises(errors.ContractBroken, match="max_body_bytes"):
            await sender.send(READ)


async def test_what_follows_the_end_of_a_compressed_answer_is_not_gathered_without_limit():
    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(65_536))
            await writer.drain()

    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"[]")
    async with raw(head, then=pour) as url, calling(url, max_body_bytes=1024, timeout=1) as sender:
        with pytest.raises(errors.ContractBroken):
            await sender.send(READ)


async def test_an_answer_in_several_gzip_members_is_never_silently_cut():
    packed = gzip.compress(b"[1,") + gzip.compress(b" 2]")
    async with over(Upstream(Response(packed, headers={"Content-Encoding": "gzip"}))) as sender:
        try:
            assert await sender.send(READ) == b"[1, 2]"
        except errors.ContractBroken:
            return  # refusing is honest, too


@pytest.mark.parametrize("kept", [0, 5, 12, -1, -9])
async def test_a_compressed_answer_that_ends_in_the_middle_breaks_the_contract(kept: int):
    packed = gzip.compress(b"[" + b"1, " * 1000 + b"1]")[:kept]
    async with over(Upstream(Response(packed, headers={"Content-Encoding": "gzip"}))) as sender:
        with pytest.raises(errors.ContractBroken):
            await sender.send(READ)


async def test_no_content_is_empty_even_if_it_is_called_compressed():
    sent = b"HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n"
    async with raw(sent) as url, calling(url) as sender:
        assert await sender.send(READ) == b""


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "nonsense"])
async def test_a_body_that_is_not_compressed_as_it_says_breaks_the_contract(encoding: str):
    async with over(Upstream(Response(b"[1, 2, 3]", headers={"Content-Encoding": encoding}))) as sender:
        with pytest.raises(errors.ContractBroken):
            await sender.send(READ)


async def test_a_flipped_bit_in_a_compressed_answer_breaks_the_contract():
    packed = bytearray(gzip.compress(b"[1, 2, 3]" * 50))
    packed[-8] ^= 1  # the checksum
    async with over(Upstream(Response(bytes(packed), headers={"Content-Encoding": "gzip"}))) as sender:
        with pytest.raises(errors.ContractBroken):
            await sender.send(READ)


# Retries


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
        await sender.send(WRITE._replace(safe=True))
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


# Deadlines


async def test_nothing_is_repeated_that_could_not_end_before_the_deadline():
    upstream = Upstream(Response(status_code=503, headers={"Retry-After": "2"}))
    async with over(upstream, retries=3) as sender:
        with deadline.within(1), pytest.raises(errors.UpstreamFault):
            await sender.send(READ)
    assert len(upstream.seen) == 1


async def test_a_call_ends_with_the_deadline_though_its_own_time_is_longer():
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream, timeout=60) as sender, asyncio.timeout(10):
        with deadline.within(0.1), pytest.raises(errors.TimedOut):
            await sender.send(READ)
        await until(lambda: upstream.abandoned == 1)


async def test_an_inner_deadline_never_reaches_beyond_the_outer_one():
    assert deadline.remaining() is None
    with deadline.within(1), deadline.within(60):
        left_s = deadline.remaining()
    assert left_s is not None
    assert left_s <= 1
    with deadline.within(-1):
        assert deadline.remaining() == 0


async def test_a_deadline_that_is_over_costs_no_call_and_says_nothing_about_the_upstream():
    upstream = Upstream()
    async with over(upstream, break_after=1) as sender:
        await sender.send(READ)  # so that an open socket is at hand
        with deadline.within(0), pytest.raises(errors.TimedOut):
            await sender.send(READ)
        assert len(upstream.seen) == 1
        assert await sender.send(READ) == b"[]"


async def test_a_caller_that_joined_leaves_at_its_own_deadline():
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream, timeout=60) as sender:
        first = asyncio.create_task(sender.send(READ))
        await until(lambda: len(upstream.seen) == 1)
        try:
            with deadline.within(0.05), pytest.raises(errors.TimedOut):
                async with asyncio.timeout(2):
                    await sender.send(READ)
        finally:
            upstream.gate.set()
        assert await first == b"[]"


async def test_a_caller_that_joined_does_not_fail_at_the_deadline_of_the_first():
    upstream = Upstream()
    upstream.gate.clear()

    async def hurried(sender: Transport) -> bytes:
        with deadline.within(0.2):
            return await sender.send(READ)

    async with over(upstream, timeout=60) as sender:
        first = asyncio.create_task(hurried(sender))
        await until(lambda: len(upstream.seen) == 1)
        second = asyncio.create_task(sender.send(READ))
        with pytest.raises(errors.TimedOut):
            await first
        upstream.gate.set()
        assert (await outcomes(second)) == [b"[]"]


# Single flight


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


SAFE_POST = Request("search", "POST", "/search", json={"page": 1})


@pytest.mark.parametrize(
    "other",
    [
        SAFE_POST._replace(json={"page": 2}),
        SAFE_POST._replace(json={"page": "1"}),
        SAFE_POST._replace(json={"page": True}),
        SAFE_POST._replace(query=[("a", "b")]),
        SAFE_POST._replace(method="GET"),
        SAFE_POST._replace(route="/find"),
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


async def test_the_first_caller_leaving_does_not_take_the_answer_from_the_others():
    upstream = Upstream()
    upstream.gate.clear()
    async with over(upstream) as sender:
        first, *others = [asyncio.create_task(sender.send(READ)) for _ in range(5)]
        await until(lambda: len(upstream.seen) == 1)
        first.cancel()
        await asyncio.wait([first])
        upstream.gate.set()
        assert await outcomes(*others) == [b"[]"] * 4
    assert first.cancelled()
    assert (len(upstream.seen), upstream.abandoned) == (1, 0)


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


# Breaker


async def failing(sender: Transport, times: int) -> list[type]:
    return [type((await outcomes(sender.send(READ)))[0]) for _ in range(times)]


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
async def half_open(upstream: Upstream, **settings: Any) -> AsyncGenerator[Transport]:
    """A transport that has opened after one failed call, and may try again now."""
    async with over(upstream, break_after=1, break_for=0.05, **settings) as sender:
        with pytest.raises(errors.UpstreamFault):
            await sender.send(READ)
        await until(lambda: sender.breaker.state == "HALF_OPEN")
        yield sender


async def test_after_a_while_a_single_call_tries_and_the_others_still_wait():
    upstream = Upstream(Response(status_code=500), Response(b"[]"))
    async with half_open(upstream) as sender:
        upstream.gate.clear()
        probe = asyncio.create_task(sender.send(read("probe")))
        await until(lambda: len(upstream.seen) == 2)
        others = await outcomes(*(sender.send(read(number)) for number in range(5)))
        assert {type(outcome) for outcome in others} == {errors.CircuitOpen}
        upstream.gate.set()
        assert await probe == b"[]"
        assert sender.breaker.state == "CLOSED"
        assert await sender.send(READ) == b"[]"
    assert len(upstream.seen) == 3


async def test_a_try_that_fails_opens_the_breaker_again():
    upstream = Upstream(Response(status_code=500))
    async with over(upstream, break_after=3, break_for=0.2) as sender:
        await failing(sender, 3)
        await until(lambda: sender.breaker.state == "HALF_OPEN")
        assert await failing(sender, 2) == [errors.UpstreamFault, errors.CircuitOpen]
    assert len(upstream.seen) == 4


async def test_a_try_whose_caller_left_lets_the_next_one_try():
    upstream = Upstream(Response(status_code=500), Response(b"[]"))
    async with half_open(upstream) as sender:
        upstream.gate.clear()
        probe = asyncio.create_task(sender.send(read("probe")))
        await until(lambda: len(upstream.seen) == 2)
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


# URLs


@pytest.fixture(scope="module")
async def placed() -> AsyncGenerator[Transport]:
    async with calling("https://upstream.test/base/v1/") as sender:
        yield sender


def located(sender: Transport, id: str) -> httpx.URL:
    return httpx.URL(sender.url(Request("get_thing", "GET", "/things/{id}/runs", ids={"id": id})))


@pytest.mark.parametrize(
    ("id", "quoted"),
    [
        ("a/b", "a%2Fb"),
        ("%2e%2e", "%252e%252e"),
        ("..%2f..", "..%252f.."),
        ("?x=1", "%3Fx%3D1"),
        ("#x", "%23x"),
        ("a b", "a%20b"),
        ("日本", "%E6%97%A5%E6%9C%AC"),
        ("{id}", "%7Bid%7D"),
        ("a\\b", "a%5Cb"),
        ("\r\nHost: x", "%0D%0AHost%3A%20x"),
        ("...", "..."),
        ("@evil.test", "%40evil.test"),
    ],
)
def test_an_id_is_quoted_whatever_it_holds(placed: Transport, id: str, quoted: str):
    assert located(placed, id).raw_path.decode() == f"/base/v1/things/{quoted}/runs"


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_an_id_that_would_change_the_path_is_rejected(placed: Transport, id: str):
    with pytest.raises(errors.Rejected):
        located(placed, id)


@given(st.text(st.characters(exclude_categories=[]), max_size=80))
@example("../..")
@example("\ud800")
@example("//evil.test/")
def test_no_id_leads_out_of_its_place_below_the_base_url(placed: Transport, id: str):
    try:
        url = located(placed, id)
    except errors.Rejected:
        return
    assert (url.scheme, url.host, url.query, url.fragment) == ("https", "upstream.test", b"", "")
    *before, segment, after = url.raw_path.decode().split("/")
    assert before == ["", "base", "v1", "things"]
    assert (unquote(segment), after) == (id, "runs")


async def test_an_id_reaches_the_upstream_as_it_is():
    seen: list[bytes] = []

    async def keep_path(request: Asked) -> Response:
        seen.append(request.scope["raw_path"])
        return Response(b"[]")

    async with serve(Starlette(routes=[Route("/{path:path}", keep_path)])) as url, calling(f"{url}/base") as sender:
        await sender.send(Request("get_thing", "GET", "/things/{id}", ids={"id": "a/../../b?c"}, query=[("q", "d&e")]))
    assert seen == [b"/base/things/a%2F..%2F..%2Fb%3Fc"]


@pytest.mark.parametrize(
    "request_",
    [
        READ._replace(query=[("q", "\ud800")]),
        SAFE_POST._replace(json={"q": "\ud800"}),
        SAFE_POST._replace(json=None, form={"q": "\ud800"}),
    ],
    ids=["query", "json", "form"],
)
async def test_a_text_that_cannot_be_written_is_rejected(request_: Request):
    upstream = Upstream()
    async with over(upstream) as sender:
        with pytest.raises(errors.Rejected):
            await sender.send(request_)
    assert upstream.seen == []


# Credentials


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


# Hooks


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


# What is never told

PLANT = "hunter2plant"
LOUD = Request(
    "get_thing",
    "POST",
    "/things/{id}",
    ids={"id": PLANT},
    query=[("token", PLANT)],
    json={"password": PLANT},
)
TRUNCATED = answer(PLANT.encode(), f"X-Echo: {PLANT}", length=1000)
LEAKS = {
    "fault": answer(PLANT.encode(), f"X-Echo: {PLANT}").replace(b"200 OK", f"500 {PLANT}".encode()),
    "redirect": answer(b"", f"Location: http://{PLANT}.test/{PLANT}").replace(b"200 OK", b"302 Found"),
    "limit": answer(PLANT.encode(), f"Retry-After: {PLANT}").replace(b"200 OK", b"429 Slow"),
    "encoding": answer(PLANT.encode(), f"Content-Encoding: {PLANT}"),
    "not gzip": answer(PLANT.encode(), "Content-Encoding: gzip"),
    "truncated": TRUNCATED,
    "garbage": PLANT.encode() + b"\r\n\r\n",
    "header": b"HTTP/1.1 200 OK\r\n" + PLANT.encode() + b"\r\n\r\n",
    "too long": answer(PLANT.encode() * 1000),
    "nothing": b"",
}


def everything_said(error: BaseException, told: list[Call], sender: Transport) -> str:
    """All that a log, a trace or a page could print of it."""
    printed = "".join(traceback.format_exception(error))
    return f"{error} {error!r} {error.args} {vars(error)} {told} {sender!r} {printed}"


@pytest.mark.parametrize("sent", LEAKS.values(), ids=LEAKS)
async def test_no_error_and_no_hook_tells_a_url_a_header_a_body_or_a_token(sent: bytes):
    told: list[Call] = []
    async with raw(sent) as url:
        base_url = f"{url}/{PLANT}"
        async with calling(
            base_url,
            authorizer=bearer(Secret(PLANT)),
            headers={"X-Key": PLANT},
            hooks=[told.append],
            max_body_bytes=1024,
        ) as sender:
            with pytest.raises(errors.AdapterError) as raised:
                await sender.send(LOUD)
    assert PLANT not in everything_said(raised.value, told, sender)
    assert "127.0.0.1" not in everything_said(raised.value, told, sender)
    assert told[0].route == "/things/{id}"


@pytest.mark.parametrize("token", [f"{PLANT}\n", f"{PLANT}\u00f6"], ids=["line", "not ascii"])
async def test_a_token_no_header_can_hold_is_rejected_and_not_told(token: str):
    told: list[Call] = []
    upstream = Upstream()
    async with over(upstream, authorizer=bearer(Secret(token)), hooks=[told.append]) as sender:
        with pytest.raises(errors.Rejected) as raised:
            await sender.send(READ)
    assert PLANT not in everything_said(raised.value, told, sender)
    assert upstream.seen == []


async def test_settings_do_not_print_their_credentials():
    settings = Settings(auth=Credentials(client_id="me", client_secret=Secret(PLANT)))
    assert PLANT not in f"{settings} {settings!r}"
