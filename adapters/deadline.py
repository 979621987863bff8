"""How long the present request may still take, known to every call made on its behalf.

A context variable, because a deadline belongs to the request and not to any one room: tasks started inside the
request inherit it, so a loader's batch or a retry ends when its caller would stop listening.
"""

import contextlib
import time
from collections.abc import Generator
from contextvars import ContextVar

_ends_at: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextlib.contextmanager
def within(seconds: float) -> Generator[None]:
    """Bound what happens inside to ``seconds`` from now, or to the deadline already set if that is nearer."""
    ends_at = time.monotonic() + seconds
    outer = _ends_at.get()
    mark = _ends_at.set(ends_at if outer is None else min(outer, ends_at))
    try:
        yield
    finally:
        _ends_at.reset(mark)


@contextlib.contextmanager
def afresh(seconds: float) -> Generator[None]:
    """Bound what happens inside to ``seconds`` from now, whoever began it: work whose answer is kept for others."""
    mark = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(mark)


def remaining() -> float | None:
    """Seconds left, never negative; None where no deadline is set."""
    ends_at = _ends_at.get()
    return None if ends_at is None else max(0.0, ends_at - time.monotonic())
