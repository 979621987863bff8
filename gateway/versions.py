"""Which instances were changed through the gateway, and when next: what was read before the last time is not fresh.

Workers of a host share a file of numbers, mapped into memory, so that a look costs next to nothing: one worker's change
is known to the others before its caller is answered.
"""

import hashlib
import mmap
import os
import secrets
import struct
from collections import defaultdict
from pathlib import Path

_SLOTS = 1024
_NUMBER = struct.Struct("=q")
_LATEST = _SLOTS * _NUMBER.size


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
        return _NUMBER.unpack_from(self._shared, self._slot(instance))[0]

    @property
    def latest(self) -> int:
        """A number that is another one after each change in any instance."""
        return self._latest if self._shared is None else _NUMBER.unpack_from(self._shared, _LATEST)[0]

    def changed(self, instance: str) -> None:
        """Something was changed in an instance."""
        if self._shared is None:
            self._own[instance] += 1
            self._latest += 1
        else:
            # Of two that count at once, one could be lost, and a third one then count back to where somebody looked.
            _NUMBER.pack_into(self._shared, self._slot(instance), secrets.randbits(63))
            _NUMBER.pack_into(self._shared, _LATEST, secrets.randbits(63))  # who sees this one sees the other

    def _slot(self, instance: str) -> int:
        """Where an instance's number is. Two may share one, which only has one read anew for the other's sake."""
        slot = self._slots.get(instance)
        if slot is None:
            digest = hashlib.blake2b(instance.encode(), digest_size=8).digest()
            slot = self._slots[instance] = int.from_bytes(digest) % _SLOTS * _NUMBER.size
        return slot


def _mapped(path: Path) -> mmap.mmap:
    opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(opened, _LATEST + _NUMBER.size)
        return mmap.mmap(opened, _LATEST + _NUMBER.size)
    finally:
        os.close(opened)
