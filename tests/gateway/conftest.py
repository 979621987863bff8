"""What tests of several behaviours of the gateway share."""

import io
import logging
from collections.abc import Iterator

import pytest

from gateway import observability


@pytest.fixture
def log() -> Iterator[io.BytesIO]:
    """What the process logs, everything of its own at DEBUG, as `gateway` sets it up and by a plain formatter."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "uvicorn")}
    lines = io.BytesIO()
    root.handlers = []
    observability.configure("DEBUG", lines)
    try:
        yield lines
    finally:
        root.handlers = before
        root.setLevel(level)
        for name, was in quiet.items():
            logging.getLogger(name).setLevel(was)
