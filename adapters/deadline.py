"""How long the present request may still take, known to every call made on its behalf.

A context variable, because a deadline belongs to the request and not to any one room: tasks started inside the
request inherit it, so a loader's batch or a retry ends when its caller would stop listening.
"""

import contextlib
import time
from contextlib import AbstractContextManager
from contextvars import ContextVar

_ends_at: ContextVar[float | None] = ContextVar("deadline", default=None)


class _Until:
    """A block with a deadline; a class, since a generator made into one costs twice as much."""

    def __init__(self, ends_at: float) -> None:
        self._ends_at = ends_at

    def __enter__(self) -> None:
        self._mark = _ends_at.set(self._ends_at)

    def __exit__(self, *_: object) -> None:
        _ends_at.reset(self._mark)


def within(seconds: float) -> AbstractContextManager[None]:
    """Bound what happens inside to ``seconds`` from now, or to the deadline already set if that is nearer."""
    return until(time.monotonic() + seconds)


def until(ends_at: float) -> AbstractContextManager[None]:
    """Likewise, to a moment of the monotonic clock."""
    outer = _ends_at.get()
    return _Until(ends_at if outer is None else min(outer, ends_at))


def within_share(share: float) -> AbstractContextManager[None]:
    """Bound what happens inside to this part of the time that is left; to nothing where there is no deadline."""
    left_s = remaining()
    return contextlib.nullcontext() if left_s is None else within(share * left_s)


def afresh(seconds: float) -> AbstractContextManager[None]:
    """Bound what happens inside to ``seconds`` from now, whoever began it: work whose answer is kept for others."""
    return _Until(time.monotonic() + seconds)


def ends_at() -> float | None:
    """The deadline, by the monotonic clock; None where there is none."""
    return _ends_at.get()


def begin(ends_at: float | None) -> None:
    """Set the deadline of all that happens in the present context from now on, as of one that was copied for it."""
    _ends_at.set(ends_at)


def remaining() -> float | None:
    """Seconds left, never negative; None where no deadline is set."""
    ends_at = _ends_at.get()
    return None if ends_at is None else max(0.0, ends_at - time.monotonic())
