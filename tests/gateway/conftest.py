"""What tests of several behaviours of the gateway share."""

import contextlib
import io
import logging
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import pytest

from gateway import observability, protocol
from gateway.execution.engine import Engine
from gateway.protection.body import Operation
from tests.gateway.again import Executed


@contextlib.contextmanager
def logged(level: str) -> Generator[io.BytesIO]:
    """What the process logs from this level on, as `gateway` sets it up."""
    root = logging.getLogger()
    before, was_at = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "uvicorn")}
    out = io.BytesIO()
    root.handlers = []
    observability.configure(level, out)
    try:
        yield out
    finally:
        root.handlers = before
        root.setLevel(was_at)
        for name, was in quiet.items():
            logging.getLogger(name).setLevel(was)


def spellings(counts: Mapping[str | None, int]) -> list[list[str]]:
    """Texts that differ only in case, together: the most frequent first, of several the first by code points."""
    alike: dict[str, list[str]] = {}
    for text in sorted(filter(None, counts), key=lambda text: (-counts[text], text)):
        alike.setdefault(text.casefold(), []).append(text)
    return list(alike.values())


@pytest.fixture
def log() -> Iterator[io.BytesIO]:
    """All that the process logs."""
    with logged("DEBUG") as lines:
        yield lines


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Executed:
    """The operations that were executed."""
    found: Executed = []
    run = Engine.run

    async def watched(self: Engine, operation: Operation, **told: Any) -> Any:
        found.append(operation)
        return await run(self, operation, **told)

    monkeypatch.setattr(Engine, "run", watched)
    return found


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> dict[bytes, Any]:
    """The heads that are known, none at first."""
    known: dict[bytes, Any] = {}
    monkeypatch.setattr(protocol, "_heads_of", lambda _: known)
    return known
