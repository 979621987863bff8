"""Records that are read one at a time: while a body is what it was, what was made of it stays the same object."""

import datetime as dt
import math
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, NamedTuple, TypeVar

from adapters import digests

T = TypeVar("T")

KEPT: Final = 1_024
"""Keys of which the latest body is remembered, by its digest: some hold credentials."""
KEPT_BYTES: Final = 8 * 1024 * 1024
"""What is held of records, by the length of the bodies that they were made of."""

IN_VAIN: Final = 8
"""Bodies one after the other that have changed, after which the next ones are not looked at: a look costs something."""
UNSEEN: Final = 128
"""How many of these are let by."""


class _Latest(NamedTuple, Generic[T]):
    digest: bytes
    made: T | None = None
    size_bytes: int = 0
    good_until: dt.datetime | None = None


class Seen(NamedTuple, Generic[T]):
    """A body that was read for a key, and what was ``made`` of it, where it is what it was."""

    key: Hashable
    digest: bytes
    size_bytes: int
    made: T | None


class Singles(Generic[T]):
    """What was made of the latest body of each key, where that had come before. Most bodies that change never come
    again: to hold what was made of them would have each answer made in memory that is new and therefore slow."""

    def __init__(self) -> None:
        self._latest: OrderedDict[Hashable, _Latest[T]] = OrderedDict()
        self._held_bytes = 0
        self._in_vain = 0
        """Bodies one after the other that were no longer what they were."""
        self._unseen = 0
        """Bodies that are yet to be let by."""

    def seen(self, key: Hashable, body: bytes) -> Seen[T] | None:
        """A body that was read; None where it is not worth a look, because all others have changed lately."""
        if self._unseen:
            self._unseen -= 1
            return None
        digest, latest = digests.of_body(body), self._latest.get(key)
        is_same = latest is not None and latest.digest == digest
        self._in_vain = 0 if is_same else self._in_vain + 1
        if self._in_vain > IN_VAIN:
            self._in_vain, self._unseen = 0, UNSEEN
        made = latest.made if latest is not None and is_same and not _is_over(latest) else None
        return Seen(key, digest, len(body), made)

    def take(self, seen: Seen[T] | None, made: T, good_until: dt.datetime | None = None) -> T:
        """Take note of what was made of a body, and would be until then; and give that."""
        if seen is None:
            return made
        before = self._latest.pop(seen.key, None)
        comes_again = before is not None and before.digest == seen.digest and seen.size_bytes <= KEPT_BYTES
        latest = _Latest(seen.digest, made, seen.size_bytes, good_until) if comes_again else _Latest[T](seen.digest)
        self._latest[seen.key] = latest
        self._held_bytes += latest.size_bytes - (0 if before is None else before.size_bytes)
        while len(self._latest) > KEPT or self._held_bytes > KEPT_BYTES:
            self._held_bytes -= self._latest.popitem(last=False)[1].size_bytes
        return made

    def until(self, key: Hashable, made: T) -> float:
        """Until when, by ``time.monotonic``, the latest body of a key has this made of it again: 0 where that is not
        held, infinite where it does not end."""
        latest = self._latest.get(key)
        if latest is None or latest.made is not made:
            return 0.0
        if latest.good_until is None:
            return math.inf
        return time.monotonic() + (latest.good_until - dt.datetime.now(dt.UTC)).total_seconds()


def _is_over(latest: _Latest[T]) -> bool:
    return latest.good_until is not None and latest.good_until <= dt.datetime.now(dt.UTC)
