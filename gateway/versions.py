"""Which instances were changed through the gateway, and when next: what was read before the last time is not fresh.

Workers of a host share a file of numbers, mapped into memory, so that a look costs next to nothing: one worker's change
is known to the others before its caller is answered.
"""

import hashlib
import mmap
import os
import secrets
from collections import defaultdict
from pathlib import Path

_SLOTS = 1024
_LATEST = _SLOTS
_SIZE_BYTES = 8


class Versions:
    """The numbers of this process alone, or of all that share the file at ``path``. Raises OSError where it cannot be
    used."""

    def __init__(self, path: Path | None = None) -> None:
        self._own: defaultdict[str, int] = defaultdict(int)
        self._shared = None if path is None else _mapped(path)
        self._slots: dict[str, int] = {}
        self._latest = 0

    def of(self, instance: str) -> int:
        """A number that is another one after each change."""
        if self._shared is None:
            return self._own[instance]
        return self._shared[self._slot(instance)]

    @property
    def latest(self) -> int:
        """A number that is another one after each change in any instance."""
        return self._latest if self._shared is None else self._shared[_LATEST]

    def changed(self, instance: str) -> None:
        """Something was changed in an instance."""
        if self._shared is None:
            self._own[instance] += 1
            self._latest += 1
        else:
            # Of two that count at once, one could be lost, and a third one then count back to where somebody looked.
            self._shared[self._slot(instance)] = _drawn()
            self._shared[_LATEST] = _drawn()  # who sees this one sees the other

    def _slot(self, instance: str) -> int:
        """Where an instance's number is. Two may share one, which only has one read anew for the other's sake."""
        slot = self._slots.get(instance)
        if slot is None:
            digest = hashlib.blake2b(instance.encode(), digest_size=8).digest()
            slot = self._slots[instance] = int.from_bytes(digest) % _SLOTS
        return slot


def _drawn() -> int:
    """A number that nobody has seen."""
    return secrets.randbits(63) or 1


def _mapped(path: Path) -> memoryview:
    """The numbers of a file. Each is written at once: nobody meets half of one."""
    opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        size_bytes = _SIZE_BYTES * (_LATEST + 1)
        os.ftruncate(opened, size_bytes)
        return memoryview(mmap.mmap(opened, size_bytes)).cast("q")
    finally:
        os.close(opened)
