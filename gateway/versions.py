"""How often each instance was changed through the gateway: what was read before the last time is not fresh.

Workers of a host share a file of counts, mapped into memory, so that a look costs next to nothing: one worker's change
is known to the others before its caller is answered.
"""

import hashlib
import mmap
import os
import struct
from collections import defaultdict
from pathlib import Path

_SLOTS = 1024
_COUNT = struct.Struct("=q")


class Versions:
    """The counts of this process alone, or of all that share the file at ``path``. Raises OSError where it cannot be
    used."""

    def __init__(self, path: Path | None = None) -> None:
        self._own: defaultdict[str, int] = defaultdict(int)
        self._shared = None if path is None else _mapped(path)
        self._slots: dict[str, int] = {}

    def of(self, instance: str) -> int:
        """A number that is another one after each change."""
        if self._shared is None:
            return self._own[instance]
        return _COUNT.unpack_from(self._shared, self._slot(instance))[0]

    def changed(self, instance: str) -> None:
        """Something was changed in an instance."""
        if self._shared is None:
            self._own[instance] += 1
        else:
            # Two at once may count as one, which is enough: each was made before either is counted.
            _COUNT.pack_into(self._shared, self._slot(instance), self.of(instance) + 1)

    def _slot(self, instance: str) -> int:
        """Where an instance's count is. Two may share one, which only has one read anew for the other's sake."""
        slot = self._slots.get(instance)
        if slot is None:
            digest = hashlib.blake2b(instance.encode(), digest_size=8).digest()
            slot = self._slots[instance] = int.from_bytes(digest) % _SLOTS * _COUNT.size
        return slot


def _mapped(path: Path) -> mmap.mmap:
    opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(opened, _SLOTS * _COUNT.size)
        return mmap.mmap(opened, _SLOTS * _COUNT.size)
    finally:
        os.close(opened)
