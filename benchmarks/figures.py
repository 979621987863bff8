"""What was measured of servers, and the tables that tell it."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.cases import CASES
from benchmarks.load import Sent


class Slice(NamedTuple):
    """What one slice of load came to."""

    sent: Sent
    cpu_s: float
    calls: int

    @property
    def cpu_ms(self) -> float:
        """Processor time of the pinned process for each request."""
        return 1000 * self.cpu_s / len(self.sent.times)

    @property
    def calls_each(self) -> float:
        return self.calls / len(self.sent.times)

    @property
    def per_second(self) -> float:
        return self.sent.per_second

    @property
    def per_core(self) -> float:
        """Requests for each second of processor time: what one core does in a second that is all its own."""
        return len(self.sent.times) / self.cpu_s if self.cpu_s else 0.0

    @property
    def p50_ms(self) -> float:
        return self.sent.percentile_ms(50)

    @property
    def p99_ms(self) -> float:
        return self.sent.percentile_ms(99)

    @property
    def spread(self) -> float:
        """How many times the median the time is that 99 of 100 requests were answered in."""
        return self.p99_ms / self.p50_ms


class Cell(NamedTuple):
    """A query put to one server in one regime: its slices one request at a time, and several at a time."""

    alone: list[Slice]
    together: list[Slice]


Cells = dict[tuple[str, str, str], Cell]
"""By server, regime and query."""


def median(slices: Sequence[Slice], of: str) -> float:
    """The median of a property."""
    return statistics.median(getattr(each, of) for each in slices)


def as_table(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; its first line is the head."""
    head, *rest = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---", *["---:"] * (len(head) - 1)], *rest))


def part(value: float, of: float) -> str:
    """How many times less one is than the other, as ``1/3.0``, or how many times more."""
    if not value or not of:
        return "-"
    return f"1/{of / value:.1f}" if value <= of else f"{value / of:.1f}"


def relative(cells: Cells) -> str:
    """The ratios and the calls, which any machine should find about alike."""
    lines = [["", "server", "1 at a time", "many at a time", "p99 / p50, many", "calls", "calls, many"]]
    for (server, regime, name), cell in _in_order(cells):
        plain = cells.get(("plain", "changing", name))
        figures = [f"{median(cell.together, 'spread'):.1f}"]
        figures += [f"{median(slices, 'calls_each'):.1f}" for slices in cell]
        lines.append([_title(name), _called(server, regime), *_parts(cell, plain), *figures])
    return as_table(lines)


def _parts(mine: Cell, its: Cell | None) -> list[str]:
    """What a server takes of another's processor time, one request at a time and many."""
    if its is None:
        return ["-", "-"]
    if mine is its:
        return ["1", "1"]
    return [part(median(a, "cpu_ms"), median(b, "cpu_ms")) for a, b in zip(mine, its, strict=True)]


def against(cells: Cells, peers: Sequence[str]) -> str:
    """The gateway beside each peer: one request at a time, and many."""
    lines = [["", "regime", *peers]]
    for (server, regime, name), cell in _in_order(cells):
        if server == "gateway":
            parts = [_parts(cell, cells.get((peer, "changing", name))) for peer in peers]
            lines.append([_title(name), regime, *(", ".join(each) for each in parts)])
    return as_table(lines)


def absolute(cells: Cells) -> str:
    """The times of this machine."""
    alone = {"cpu_ms": "CPU ms, 1", "p50_ms": "p50 ms, 1", "p99_ms": "p99 ms, 1"}
    together = {
        "cpu_ms": "CPU ms, many",
        "per_core": "r/s a core",
        "per_second": "r/s",
        "p50_ms": "p50 ms, many",
        "p99_ms": "p99 ms, many",
        "spread": "p99 / p50",
        "calls_each": "calls",
    }
    lines = [["", "server", *alone.values(), *together.values()]]
    for (server, regime, name), cell in _in_order(cells):
        figures = [_shown(median(cell.alone, of)) for of in alone]
        figures += [_shown(median(cell.together, of)) for of in together]
        lines.append([_title(name), _called(server, regime), *figures])
    return as_table(lines)


def memory(megabytes: Mapping[tuple[str, str], float]) -> str:
    """What each process holds when all is done, by server and fleet, in megabytes."""
    fleets = list(dict.fromkeys(fleet for _, fleet in megabytes))
    servers = dict.fromkeys(server for server, _ in megabytes)
    lines = [["memory after all this, MB", *(f"over {fleet}s" for fleet in fleets)]]
    lines += [[server, *(f"{megabytes[server, fleet]:.0f}" for fleet in fleets)] for server in servers]
    return as_table(lines)


def _shown(value: float) -> str:
    """With as many digits as say something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _in_order(cells: Cells) -> Iterable[tuple[tuple[str, str, str], Cell]]:
    names = [case.name for case in CASES]
    return sorted(cells.items(), key=lambda each: names.index(each[0][2]))


def _title(name: str) -> str:
    return next(case.title for case in CASES if case.name == name)


def _called(server: str, regime: str) -> str:
    return f"{server}, {regime}" if server in ("gateway", "bare") else server
