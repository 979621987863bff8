"""What tells bodies apart, and parts of them, without keeping them: some hold credentials."""

import secrets
from typing import TypeAlias

import msgspec
import xxhash

Part: TypeAlias = bytes | memoryview | msgspec.Raw

# Of the process, so that nobody outside can make up two rows that look the same; who could would only keep his own
# upstream's row from being seen to change. By chance, a row that changed goes unseen once in 2**64 changes.
_SEED = secrets.randbits(64)


def of_body(body: bytes) -> bytes:
    """What tells a body from all others, in this process."""
    return xxhash.xxh3_128_digest(body, _SEED)


def of_part(part: Part) -> int:
    """What tells a part of a body from others that may stand in its place, in this process."""
    return xxhash.xxh3_64_intdigest(part, _SEED)
