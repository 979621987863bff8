"""The transport over real sockets: every status and every failure below HTTP is an error a caller can act on."""

import asyncio
import re
from collections.abc import Iterator

import httpx
import pytest
from starlette.responses import Response

from adapters import errors, translation
from adapters.auth import bearer
from adapters.secret import Secret
from adapters.transport import Request
from tests.adapters.upstream import (
    READ,
    WRITE,
    Upstream,
    answer,
    calling,
    free_port,
    over,
    raw,
    reset,
    until_they_leave,
)

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


def family(kind: type[errors.AdapterError] = errors.AdapterError) -> Iterator[type[errors.AdapterError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:  # an adapter may have children of its own
            yield child
            yield from family(child)


# Statuses


@pytest.mark.parametrize("kept", [True, False], ids=["kept socket", "new socket"])
@pytest.mark.parametrize(("status", "kind"), [*STATUSES.items(), *OTHERS.items()])
async def test_every_status_becomes_the_error_a_caller_can_act_on(
    status: int, kind: type[errors.AdapterError], kept: bool
):
    upstream = Upstream(Response(b"{}", status))
    async with over(upstream, kept=kept) as sender:
        with pytest.raises(errors.AdapterError) as raised:
            await sender.send(READ)
    error = raised.value
    assert type(error) is kind
    assert (error.instance, error.provider, error.operation) == ("acme", "test", "list_things")
    assert error.correlation_id == upstream.seen[0].headers["x-request-id"]
    assert str(status) in error.message


def test_the_table_of_statuses_is_the_one_tried_here():
    assert dict(translation.STATUS_ERRORS) == STATUSES


def test_every_error_that_tables_name_exists_in_the_tree_and_the_tree_is_drawn_whole():
    kinds = set(family())
    assert kinds.issuperset(translation.STATUS_ERRORS.values())
    assert kinds.issuperset(translation.FOREIGN_ERRORS.values())
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
    assert [kind for kind in raisable if not issubclass(kind, tuple(translation.FOREIGN_ERRORS))] == []


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
