"""A gateway that ends leaves nothing open, whatever goes wrong meanwhile."""

import contextlib
import io
import logging
from typing import Any, cast

import pytest

from gateway import app, observability

HELD = ("writes", "outcomes", "inventory", "client")


class Held:
    """Something of a gateway's that notes when it is closed, and may fail then."""

    def __init__(self, name: str, closed: list[str], *, fails: bool) -> None:
        self.name, self.closed, self.fails = name, closed, fails

    def close(self) -> None:
        self.closed.append(self.name)
        if self.fails:
            raise OSError(self.name)


class Awaited(Held):
    """Something that takes its time for it."""

    async def close(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().close()

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None:
        super().close()


def held(closed: list[str], *failing: str) -> Any:
    """What a gateway holds, by name, of which some fail when they are closed."""
    kinds = {"writes": Awaited, "client": Awaited}
    made = {name: kinds.get(name, Held)(name, closed, fails=name in failing) for name in HELD}
    return cast("Any", made)


@pytest.mark.parametrize("failing", HELD)
async def test_what_cannot_be_closed_keeps_nothing_else_open_and_is_told(failing: str):
    closed: list[str] = []
    with pytest.raises(OSError, match=failing):
        async with app.serving(**held(closed, failing)):
            assert closed == []
    assert closed == list(HELD)


async def test_the_log_is_written_though_nothing_can_be_closed(log: io.BytesIO):
    logging.getLogger().handlers = logging.getLogger().handlers[:1]  # as in a process of ours: lines are held a moment
    closed: list[str] = []
    with contextlib.suppress(OSError):
        async with app.serving(**held(closed, *HELD)):
            observability.log_request(operation="Last", viewer=None, began=0, codes=[])
            assert b"Last" not in log.getvalue()
    assert closed == list(HELD)
    assert b"Last" in log.getvalue()
