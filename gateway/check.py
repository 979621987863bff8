"""`gateway check`: tries a configuration against its upstreams and tells what it found."""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from adapters import deadline, errors
from adapters.port import Adapter, List, Page
from gateway.instances import Instance, Instances


class Finding(NamedTuple):
    """What was found of one instance. A step that was not come to is None."""

    instance: str
    provider: str
    reached: bool | None
    authenticated: bool | None
    rows: int | None
    dropped: int | None
    duration_s: float
    note: str

    @property
    def is_good(self) -> bool:
        return self.rows is not None


async def findings(instances: Instances, timeout_s: float = 30.0) -> Sequence[Finding]:
    """A finding for each instance, all tried at once: reach it, authenticate, read one page."""
    with deadline.within(timeout_s):
        return await asyncio.gather(*map(_finding, instances.values()))


async def _finding(instance: Instance) -> Finding:
    began = time.perf_counter()
    got = await instance.ask(_first_page(instance.adapter))
    duration_s = time.perf_counter() - began
    known = instance.name, instance.provider.label
    if isinstance(got, errors.AdapterError):
        reached = not isinstance(got, errors.Unreachable | errors.TimedOut)
        authenticated = False if isinstance(got, errors.Unauthorized) else None  # anything else does not tell
        note = f"{got.operation}: {got.message}" if got.operation else got.message
        return Finding(*known, reached, authenticated, None, None, duration_s, note)
    parts, page = got
    more = "and more" if page.next or len(parts) > 1 else "all there are"
    return Finding(*known, True, True, len(page.connections), page.dropped, duration_s, more)


async def _first_page(adapter: Adapter) -> tuple[Sequence[str], Page]:
    parts = await adapter.parts()
    return parts, await adapter.read(List(parts[0])) if parts else Page(())


def table(found: Sequence[Finding]) -> str:
    """The findings for a terminal."""
    rows = [("instance", "provider", "reached", "authenticated", "rows", "dropped", "seconds", "note")]
    rows += [
        (
            finding.instance,
            finding.provider,
            _mark(finding.reached),
            _mark(finding.authenticated),
            "-" if finding.rows is None else str(finding.rows),
            "-" if finding.dropped is None else str(finding.dropped),
            f"{finding.duration_s:.2f}",
            finding.note,
        )
        for finding in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def _mark(step: bool | None) -> str:
    return {True: "yes", False: "NO", None: "-"}[step]
