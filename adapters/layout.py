"""Where the rows of a list stood in its body, so that those that are still there are found without reading it again.

Most bodies are the last one with a few rows changed. Reading all of their JSON to find which costs more than anything
that is then made of those few, so a body is gone through by the lengths that its rows had: what stands at a row's place
and has its digest is that row. Only of those that have changed must the ends be found.
"""

from array import array
from collections.abc import Sequence
from typing import NamedTuple, Self

import msgspec

from adapters.digests import of_part

BLOCK = 8
"""Rows that are compared at once. Where one has changed, each of its block is looked at."""
MOST = 1 / 8
"""Beyond this share of changed rows, reading the whole body is quicker."""
LOOKS = 64
"""So many places are looked at for the end of one that has changed."""


class Changed(NamedTuple):
    """Rows that are not what they were, by their places, and the layout that they make."""

    rows: dict[int, memoryview]
    layout: "Layout"


class Layout(NamedTuple):
    """A body of ``size_bytes`` with rows from ``start`` on, JSON objects with nothing but a comma between them: how
    long each is, and what tells it from others; the same of blocks of them, commas included; and what tells apart what
    stands before and after them all."""

    lengths: "array[int]"
    digests: "array[int]"
    blocks: tuple[tuple[int, int], ...]
    start: int
    size_bytes: int
    before: int
    after: int

    @classmethod
    def of(cls, body: bytes, items: Sequence[msgspec.Raw], row_digests: "array[int]") -> Self | None:
        """The layout of a body with these rows. None where they stand in another way, or are few. Where they fill more
        than half of it, there can be only one place at which they stand so."""
        joined = b",".join(items)
        if len(items) < BLOCK or 2 * len(joined) <= len(body) or not joined.startswith(b'{"'):
            return None
        start = body.find(items[0])
        end = start + len(joined)
        if not body.startswith(joined, start):
            return None
        view, lengths = memoryview(body), array("I", map(len, items))
        blocks, at = list[tuple[int, int]](), start
        for begin in range(0, len(lengths), BLOCK):
            within = lengths[begin : begin + BLOCK]
            size = min(sum(within) + len(within), end - at)
            blocks.append((size, of_part(view[at : at + size])))
            at += size
        before, after = of_part(view[:start]), of_part(view[end:])
        return cls(lengths, row_digests, tuple(blocks), start, len(body), before, after)

    def changed(self, body: bytes) -> Changed | None:
        """What has changed since, in a body of as many rows; None where that is much, or anything beside them. Whether
        what is told to be a row is JSON at all is for who reads it to see."""
        view = memoryview(body)
        if of_part(view[: self.start]) != self.before:
            return None
        search = _Search(self, body)
        blocks = list(self.blocks)
        at = self.start
        for number, (size, digest) in enumerate(self.blocks):
            begin, at = at, at + size
            if of_part(view[begin:at]) == digest:
                continue
            at = search.finds(number * BLOCK, begin)
            if at == begin:
                return None
            blocks[number] = at - begin, of_part(view[begin:at])
        if of_part(view[at:]) != self.after:
            return None
        lengths, digests = search.lengths, search.digests
        layout = Layout(lengths, digests, tuple(blocks), self.start, len(body), self.before, self.after)
        return Changed(search.rows, layout)


class _Search:
    """Goes through a body by a layout that it had, row by row where something has changed."""

    def __init__(self, was: Layout, body: bytes) -> None:
        self.rows: dict[int, memoryview] = {}
        self.lengths, self.digests = was.lengths[:], was.digests[:]
        self._last = len(was.lengths) - 1
        self._body, self._view = body, memoryview(body)
        self._longer = len(body) - was.size_bytes
        """By so much are the rows from here on longer than they were, all together."""

    def finds(self, first: int, begin: int) -> int:
        """Where the block ends that begins there with this row; there again where not all of its rows are there."""
        last, at, view, lengths, digests = self._last, begin, self._view, self.lengths, self.digests
        for place in range(first, min(first + BLOCK, last + 1)):
            end = at + lengths[place]
            if of_part(view[at:end]) != digests[place]:
                end = self._end(place, at)
                if len(self.rows) > MOST * last or end == at:
                    return begin
            if place < last:
                if not self._body.startswith(b",", end):
                    return begin
                end += 1
            at = end
        return at

    def _end(self, place: int, at: int) -> int:
        """Take note of a row that has changed, and tell where it ends; there again where it cannot be found."""
        length = self.lengths[place]
        # If it is the last one to have changed, it makes all the difference in length.
        end = self._ends(place, at, at + length + self._longer) or self._ends(place, at, at + length)
        if not end and place < self._last:
            end = self._before_the_next(place, at)
        if not end:
            return at
        self._longer -= end - at - length
        self.rows[place] = row = self._view[at:end]
        self.lengths[place], self.digests[place] = end - at, of_part(row)
        return end

    def _ends(self, place: int, at: int, end: int) -> int:
        """There, if it looks as if a row could end there; else 0."""
        body, closing = self._body, b"}" if place == self._last else b"},"
        return end if end > at and body.startswith(b"{", at) and body.startswith(closing, end - 1) else 0

    def _before_the_next(self, place: int, at: int) -> int:
        """Where the row ends if the next one is as it was; else 0."""
        length, digest = self.lengths[place + 1], self.digests[place + 1]
        end = at
        for _ in range(LOOKS):
            end = self._body.find(b"},{", end) + 1
            if not end or of_part(self._view[end + 1 : end + 1 + length]) == digest:
                return end
        return 0
