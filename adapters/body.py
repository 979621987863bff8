"""The body of an upstream's answer in one piece, however large it claims or turns out to be."""

import zlib
from typing import Any

from adapters.errors import ContractBroken

TOO_LONG = "the answer is longer than the configured max_body_bytes"
UNKNOWN_ENCODING = "the answer is compressed in a way nobody asked for"
KNOWN_ENCODINGS = frozenset({b"", b"identity", b"gzip", b"deflate"})


class Body:
    """A body as it comes, inflated by us in bounded steps: a capped read of decoded pieces would not stop a gzip bomb,
    since a single small piece can inflate a thousandfold before anyone counts it.

    Raises ContractBroken for a body of more than ``limit_bytes``, or one that is not what it says.
    """

    def __init__(self, limit_bytes: int, encoding: bytes = b"") -> None:
        self._inflater = _inflater(encoding)
        self._left_bytes = limit_bytes
        self._parts: list[bytes] = []

    def add(self, pieces: list[bytes]) -> None:
        """Take what came next."""
        # One part for all: pieces of two bytes each would take twenty times their size in memory.
        part = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._inflater is not None:
            part = self._inflated(part)
        self._left_bytes -= len(part)
        if self._left_bytes < 0:
            raise ContractBroken(TOO_LONG)
        self._parts.append(part)

    def whole(self) -> bytes:
        """All of it, after its end."""
        if self._inflater is not None and not self._inflater.eof:
            raise ContractBroken("the answer ends in the middle")
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def _inflated(self, part: bytes) -> bytes:
        assert self._inflater is not None  # noqa: S101  narrowed for the type checker; the only caller asked
        try:
            inflated = self._inflater.decompress(part, self._left_bytes + 1)
        except zlib.error:
            raise ContractBroken("the answer cannot be decompressed") from None
        if self._inflater.unused_data:
            raise ContractBroken("the answer goes on after its end")
        return inflated


def _inflater(encoding: bytes) -> Any:
    """zlib's decompressor, None where nothing is compressed; its class has no public name."""
    if encoding not in KNOWN_ENCODINGS:
        raise ContractBroken(UNKNOWN_ENCODING)
    # 47: zlib tells gzip and zlib headers apart by itself
    return None if encoding in (b"", b"identity") else zlib.decompressobj(wbits=47)
