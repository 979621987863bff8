"""Reading the body of an upstream's answer, however large it claims or turns out to be."""

import zlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httpx

from adapters.errors import ContractBroken


async def read_bounded(response: httpx.Response, limit_bytes: int, count: Callable[[int], None]) -> bytes:
    """The whole body, inflated by us in bounded steps: a capped read of decoded chunks would not stop a gzip bomb,
    since a single small chunk can inflate a thousandfold before anyone counts it.

    ``count`` is told the bytes as they come. Raises ContractBroken for a body that is too long, or not what it says.
    """
    if response.status_code == HTTPStatus.NO_CONTENT:
        return b""
    inflater = _inflater(response.headers.get("Content-Encoding", "identity").lower())
    parts: list[bytes] = []
    size_bytes = 0
    try:
        async for chunk in response.aiter_raw():
            part = chunk if inflater is None else inflater.decompress(chunk, limit_bytes - size_bytes + 1)
            size_bytes += len(part)
            count(len(part))
            if size_bytes > limit_bytes:
                raise ContractBroken("the answer is longer than the configured max_body_bytes")
            if inflater is not None and inflater.unused_data:
                raise ContractBroken("the answer goes on after its end")
            parts.append(part)
    except zlib.error:
        raise ContractBroken("the answer cannot be decompressed") from None
    if inflater is not None and not inflater.eof:
        raise ContractBroken("the answer ends in the middle")
    return b"".join(parts)


def _inflater(encoding: str) -> Any:
    """zlib's decompressor, None where nothing is compressed; its class has no public name."""
    if encoding not in ("identity", "gzip", "deflate"):
        raise ContractBroken("the answer is compressed in a way nobody asked for")
    # 47: zlib tells gzip and zlib headers apart by itself
    return None if encoding == "identity" else zlib.decompressobj(wbits=47)
