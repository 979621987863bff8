"""A fleet of any size in a process of its own: imitations of one Unified.to with six rows in ten, one Airbyte with
three workspaces and nearly four in ten, and one Workiva with the rest.

``python -m benchmarks.upstreams 1000`` says the configuration of its instances. Told ``calls``, it says how many were
made since the last time, by path; told ``change``, it changes one row in a hundred, all over the lists.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from typing import Any

from adapters.airbyte.demo import AirbyteImitation
from adapters.imitation import ListImitation
from adapters.unified_to.demo import UnifiedToImitation
from adapters.workiva.demo import WorkivaImitation
from benchmarks.talk import answer, say

WORKSPACES = {"Europe": 1, "America": 1, "Asia": 1}
TOKENS_LAST_S = 86_400


class Edits:
    """Which rows have been changed, and how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int) -> str:
        """What a changed text ends in."""
        return f" ({self.count})" if self.count and number % 100 == 0 else ""


class Airbyte(AirbyteImitation):
    """Changed rows change their source's name."""

    edits: Edits

    def row(self, number: int) -> dict[str, Any]:
        row = super().row(number)
        return row | {"source": row["source"] | {"name": row["source"]["name"] + self.edits(number)}}


class UnifiedTo(UnifiedToImitation):
    """Changed rows change their external reference."""

    edits: Edits

    def row(self, number: int) -> dict[str, Any]:
        row = super().row(number)
        return row | {"external_xref": (row.get("external_xref") or "") + self.edits(number)}


class Workiva(WorkivaImitation):
    """Changed rows change their description."""

    edits: Edits

    def row(self, number: int) -> dict[str, Any]:
        row = super().row(number)
        return row | {"description": row["description"] + self.edits(number)}


def fleet(size: int, clock: Callable[[], float]) -> dict[str, ListImitation]:
    """So many rows, by instance. They change by the clock alone, and when they are told to."""
    unified, workiva = size * 60 // 100, size // 100
    airbyte = Airbyte(
        size=size - unified - workiva,
        clock=clock,
        generation="cursor",
        workspaces=WORKSPACES,
        token_lasts_s=TOKENS_LAST_S,
    )
    return {
        "airbyte": airbyte,
        "workiva": Workiva(size=workiva, clock=clock, token_lasts_s=TOKENS_LAST_S),
        "unified": UnifiedTo(size=unified, clock=clock),
    }


async def main(size: int) -> None:
    """Serve the fleet."""
    began, edits = time.time(), Edits()
    servers = fleet(size, lambda: began)  # the data stands still

    def how(line: str) -> Any:
        if line == "change":
            edits.count += 1
        calls = {name: dict(server.journal.by_path()) for name, server in servers.items()}
        for server in servers.values():
            server.journal.clear()
        return calls

    async with contextlib.AsyncExitStack() as stack:
        instances: dict[str, Any] = {}
        for name, server in servers.items():
            server.edits = edits  # type: ignore[attr-defined]
            instances[name] = server.settings(await stack.enter_async_context(server.serve()))
        say(instances)
        await answer(how)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
