"""What was read of an object that never changes, kept as JSON: the next time it is not read, and not encoded."""

import operator
from collections.abc import Callable, Sequence
from itertools import compress, count
from typing import Any, Final, NamedTuple, TypeAlias
from weakref import WeakSet

import orjson

from gateway.execution.encoding import to_json

Read: TypeAlias = Callable[[Any, Any], Any]
"""Reads an object for a reader."""
Entry: TypeAlias = tuple[Any, bytes]
"""An object and its JSON."""

ENTRY_BYTES: Final = 4_000
"""What is taken to be held for an entry beside its JSON: the object itself above all, which may live on here alone."""
MET: Final = 4_096
"""Objects that were read once, of which that much is remembered and no more; of lists as many."""


class _Met:
    """What was asked about before, as far back as is remembered."""

    def __init__(self) -> None:
        self._marks: set[int] = set()

    def __call__(self, memo: "Memo", value: object, encoded: bytes) -> bool:
        """Whether a memo has asked this before of an object and its JSON. Another object that came to lie in the same
        place and says the same is taken for it, which costs a little room and nothing else."""
        mark = hash((id(memo), id(value), encoded))
        if mark in self._marks:
            return True
        if len(self._marks) >= MET:
            self._marks.clear()
        self._marks.add(mark)
        return False


class Room:
    """What all memos together may hold, in bytes. When half of it is full, what was not asked for since the last time
    is forgotten."""

    def __init__(self, size_bytes: int) -> None:
        self._half = size_bytes // 2
        self._taken = 0
        self.has_met, self.has_met_list = _Met(), _Met()
        self._memos: WeakSet[Memo] = WeakSet()

    def enter(self, memo: "Memo") -> None:
        """A memo that is to be told when it must forget."""
        self._memos.add(memo)

    def take(self, entries: Sequence[Entry]) -> None:
        """Take note of what is held from now on."""
        self._taken += sum([len(encoded) for _, encoded in entries]) + ENTRY_BYTES * len(entries)
        if self._taken > self._half:
            self._taken = 0
            for memo in self._memos:
                memo.age()


class _Last(NamedTuple):
    """A list that was read, and the JSON of what is in it."""

    values: tuple[Any, ...]
    is_required: bool
    parts: list[bytes]
    encoded: bytes


_NOTHING: Final = _Last((), True, [], b"[]")


class Memo:
    """Reads objects of one class for one selection, each once as long as it is remembered. The objects are held, so
    that no other can be taken for one of them.

    Beside the last list, what is read is remembered from its second time on. It may have been fetched for this one
    answer, and never come again: to hold it would fill the room with what nobody asks for, and have each answer made in
    memory that is new and therefore slow.
    """

    def __init__(self, room: Room, read: Read) -> None:
        self._read = read
        self._room = room
        self.young: dict[int, Entry] = {}
        """What was asked for lately, by the id of the object, which is held beside its JSON."""
        self.old: dict[int, Entry] = {}
        """What was asked for before that."""
        self._last = _NOTHING
        room.enter(self)

    def __call__(self, value: Any, reader: Any) -> orjson.Fragment:
        """The object as it stands in the answer. Raises whatever reading it raises."""
        found = self.young.get(id(value))
        return orjson.Fragment(self._alone(value, reader) if found is None else found[1])

    def all(self, values: Sequence[Any], reader: Any, *, is_required: bool) -> orjson.Fragment:
        """A list of them. Of a tuple that comes again at once nothing is looked at: nothing in it can have changed."""
        was = self._last
        if values is was.values and is_required is was.is_required:
            return orjson.Fragment(was.encoded)
        now = tuple(values)  # the very same where it is one; any other may change
        parts = self._parts(now, reader, was, is_required=is_required)
        self._last = _Last(now, is_required, parts, b"[%b]" % b",".join(parts))
        return orjson.Fragment(self._last.encoded)

    def _parts(self, values: Sequence[Any], reader: Any, was: _Last, *, is_required: bool) -> list[bytes]:
        """The JSON of each of them. As a rule few are not those of the last list."""
        if was.is_required is not is_required:
            return self._each(values, reader, is_required=is_required)
        if len(was.values) == len(values):
            parts: list[Any] = was.parts.copy()
            places = list(compress(count(), map(operator.is_not, values, was.values)))
        else:
            known = dict(zip(map(id, was.values), was.parts, strict=True))
            parts = list(map(known.get, map(id, values)))
            places = [at for at, part in enumerate(parts) if part is None]
        others = self._each([values[at] for at in places], reader, is_required=is_required)
        for at, part in zip(places, others, strict=True):
            parts[at] = part
        return parts

    def _each(self, values: Sequence[Any], reader: Any, *, is_required: bool) -> list[bytes]:
        """Likewise, each looked up or read."""
        parts: list[bytes] = []
        new: list[Entry] = []
        for value, found in zip(values, map(self.young.get, map(id, values)), strict=True):
            if found is not None:
                parts.append(found[1])
            elif value is None and not is_required:
                parts.append(b"null")
            else:
                parts.append(encoded := self._encoded(value, reader))
                new.append((value, encoded))
        self._room.take(new)  # whatever else becomes of it, the last list holds it
        # The first stands for those that came with it.
        if new and self._comes_again(*new[0], self._room.has_met_list):
            self.young.update([(id(entry[0]), entry) for entry in new])
        return parts

    def _alone(self, value: Any, reader: Any) -> bytes:
        encoded = self._encoded(value, reader)
        if self._comes_again(value, encoded, self._room.has_met):
            entry = value, encoded
            self._room.take([entry])
            self.young[id(value)] = entry
        return encoded

    def _comes_again(self, value: Any, encoded: bytes, has_met: _Met) -> bool:
        return id(value) in self.old or has_met(self, value, encoded)

    def _encoded(self, value: Any, reader: Any) -> bytes:
        found = self.old.get(id(value))
        return to_json(self._read(value, reader)) if found is None else found[1]

    def age(self) -> None:
        """Forget what was not asked for since this was said the last time."""
        self.young, self.old = {}, self.young
        self._last = _NOTHING
