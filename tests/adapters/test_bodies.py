"""A body comes whole, inflated and within its limit, or it breaks the contract."""

import asyncio
import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from starlette.responses import Response

from adapters import errors
from adapters.body import Body
from adapters.transport import Call
from tests.adapters.upstream import READ, Upstream, answer, calling, over, raw


def gzipped(body: bytes) -> Response:
    return Response(gzip.compress(body), headers={"Content-Encoding": "gzip"})


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


def test_a_bomb_is_not_inflated_beyond_the_limit():
    packed = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packed.compress(bytes(2**20)) for _ in range(20)) + packed.flush()
    tracemalloc.start()
    try:
        with pytest.raises(errors.ContractBroken, match="max_body_bytes"):
            Body(4096, b"gzip").add([bomb])
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


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
