"""``python -m benchmarks.speed``: what one request costs. README.md says how to read it."""

import argparse
import asyncio
import contextlib
import os
import resource
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import uvloop

from benchmarks import profiled
from benchmarks.cases import CASES, Case, count
from benchmarks.load import HOST, Sent, post, send
from benchmarks.servers import Cores, Target, cores, gateway, peer
from benchmarks.talk import Talk, talking

REGIMES = ("changing", "unchanged", "warm")
FLEETS = ("hundred", "thousand")
ROUNDS = 2
WARM_UP_S, ALONE_S, TOGETHER_S = 0.15, 0.7, 0.8
AGES = {"fresh": {"max_age": 0}, "kept": {"max_age": 3600}}
RESULTS = Path(__file__).parent / "results" / "speed.md"
HEAD = """<!-- Written by python -m benchmarks.speed -->

CPU per request of the gateway, pinned to one core, as a part of what the plain Strawberry build takes for the same
query in the same run; the floor likewise. Calls are those of upstreams, for each request sent by itself.

"""
_TICKS = os.sysconf("SC_CLK_TCK")


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


class Cell(NamedTuple):
    """A query put to one server in one regime: its slices one request at a time, and several at a time."""

    alone: list[Slice]
    together: list[Slice]


Cells = dict[tuple[str, str, str], Cell]
"""By server, regime and query."""


def cpu_s(pid: int) -> float:
    """Processor time that a process has used, with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int) -> float:
    """What a process holds of the machine's memory."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 1e6


class Bench:
    """All servers over one upstream, and what was measured of them."""

    def __init__(self, upstream: Talk, told: Mapping[str, Any], targets: Mapping[tuple[str, str], Target]) -> None:
        self._upstream = upstream
        self._ids: Mapping[str, Any] = told["ids"]
        self.targets = targets
        self.cells: Cells = defaultdict(lambda: Cell([], []))
        self.load_s = 0.0
        self.loaded = 0

    def requests(self, server: str, case: Case) -> list[Any]:
        """The bodies of a query for a server."""
        known = self._ids[case.fleet]
        return case.floors(known) if server == "floor" else case.bodies(known)

    def target(self, server: str, regime: str, case: Case) -> Target:
        """Who is asked."""
        kind = ("kept" if regime == "warm" else "fresh") if server == "gateway" else server
        return self.targets[kind, case.fleet]

    async def check(self) -> None:
        """Ask everybody everything, once. Raises ValueError for a wrong answer."""
        async with httpx.AsyncClient(timeout=60) as client:
            for server, regime, case in self._all(CASES, REGIMES):
                target = self.target(server, regime, case)
                for body in self.requests(server, case):
                    response = await client.post(f"http://{HOST}:{target.port}/graphql", json=body)
                    answered = response.raise_for_status().json()
                    wrong = server != "floor" and ("errors" in answered or count(answered["data"]) != case.rows)
                    if wrong:
                        raise ValueError(f"{server} answers {case.name} with {str(answered)[:600]}")

    def _all(self, cases: Iterable[Case], regimes: Iterable[str]) -> Iterable[tuple[str, str, Case]]:
        """What is measured, in turn; nobody but the gateway keeps anything, which makes one regime enough."""
        for regime in regimes:
            for case in cases:
                for server in ("gateway", "plain", "floor") if regime == "changing" else ("gateway",):
                    yield server, regime, case

    async def round(self, cases: Iterable[Case], regimes: Iterable[str]) -> None:
        """Measure everything once."""
        for server, regime, case in self._all(cases, regimes):
            await self._upstream(regime)
            target = self.target(server, regime, case)
            requests = [post("/graphql", body) for body in self.requests(server, case)]
            await send(target.port, requests, sockets=2, seconds=WARM_UP_S)
            cell = self.cells[server, regime, case.name]
            cell.alone.append(await self._slice(target, regime, requests, sockets=1, seconds=ALONE_S))
            cell.together.append(await self._slice(target, regime, requests, sockets=case.sockets, seconds=TOGETHER_S))

    async def _slice(
        self, target: Target, regime: str, requests: Sequence[bytes], *, sockets: int, seconds: float
    ) -> Slice:
        await self._upstream(regime)
        before, own = cpu_s(target.pid), time.process_time()
        sent = await send(target.port, requests, sockets=sockets, seconds=seconds)
        self.load_s += time.process_time() - own
        self.loaded += len(sent.times)
        used = cpu_s(target.pid) - before
        if sent.failed:
            raise ValueError(f"{sent.failed} requests failed")
        return Slice(sent, used, await self._upstream(regime))


@contextlib.asynccontextmanager
async def bench(at: Cores, upstream: Talk, told: Mapping[str, Any]) -> AsyncGenerator[Bench]:
    """Everything started."""
    async with contextlib.AsyncExitStack() as stack:
        targets: dict[tuple[str, str], Target] = {}
        for fleet in FLEETS:
            instances = told["instances"][fleet]
            for kind, ages in AGES.items():
                targets[kind, fleet] = await stack.enter_async_context(gateway(at.measured, instances, ages))
            for module in ("plain", "floor"):
                targets[module, fleet] = await stack.enter_async_context(peer(at.measured, module, instances))
        yield Bench(upstream, told, targets)


async def ceiling(told: Mapping[str, Any]) -> dict[str, float]:
    """How many calls a second the upstream answers by itself, by what they ask for."""
    base = told["instances"]["hundred"]["unified"]["base_url"]
    token = told["instances"]["hundred"]["unified"]["auth"]["token"]
    origin = base.removeprefix("http://")
    port, prefix = int(origin.partition("/")[0].partition(":")[2]), "/" + origin.partition("/")[2]
    id = told["ids"]["hundred"]["unified"][0]
    asked = {
        "one by id": f"/unified/connection/{id}",
        "a hundred": "/unified/connection?env=Production&limit=100&offset=0&sort=created_at&order=asc",
    }
    found: dict[str, float] = {}
    for name, path in asked.items():
        head = f"GET {prefix}{path} HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {token}\r\n\r\n"
        await send(port, [head.encode()], sockets=1, seconds=0.1)
        found[name] = (await send(port, [head.encode()], sockets=32, seconds=0.5)).per_second
    return found


class Start(NamedTuple):
    """How a gateway starts."""

    seconds: float
    memory_mb: float


async def starts(at: Cores, instances: Mapping[str, Any], times: int = 3) -> Start:
    """The seconds until it is ready and the memory it then holds, of some starts the median."""
    found: list[Start] = []
    for _ in range(times):
        began = time.perf_counter()
        async with gateway(at.measured, instances, {}) as target:
            seconds = time.perf_counter() - began
            await asyncio.sleep(0.2)
            found.append(Start(seconds, memory_mb(target.pid)))
    return Start(*(statistics.median(each) for each in zip(*found, strict=True)))


def median(slices: Sequence[Slice], of: str) -> float:
    """The median of a property."""
    return statistics.median(getattr(each, of) for each in slices)


def percentile(slices: Sequence[Slice], percent: int) -> float:
    """The median of the rounds' percentiles."""
    return statistics.median(each.sent.percentile_ms(percent) for each in slices)


def as_table(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; its first line is the head."""
    head, *rest = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---", *["---:"] * (len(head) - 1)], *rest))


def part(value: float, of: float) -> str:
    """How many times less."""
    return f"1/{of / value:.1f}" if value else "-"


def relative(cells: Cells) -> str:
    """The ratios and the calls, which any machine should find about alike."""
    lines = [["", "server", "1 at a time", "many at a time", "calls", "calls, many"]]
    for (server, regime, name), cell in _in_order(cells):
        plain = cells["plain", "changing", name]
        if server == "plain":
            shown = ["1", "1"]
        else:
            shown = [part(median(mine, "cpu_ms"), median(its, "cpu_ms")) for mine, its in zip(cell, plain, strict=True)]
        calls = [f"{median(cell.alone, 'calls_each'):.1f}", f"{median(cell.together, 'calls_each'):.1f}"]
        lines.append([_title(name), _called(server, regime), *shown, *calls])
    return as_table(lines)


def absolute(cells: Cells) -> str:
    """The times of this machine."""
    head = ["", "server", "CPU ms, 1", "CPU ms, many", "r/s, 1", "p50", "p99", "r/s, many", "p50", "p99"]
    lines = [head]
    for (server, regime, name), cell in _in_order(cells):
        figures = [f"{median(cell.alone, 'cpu_ms'):.2f}", f"{median(cell.together, 'cpu_ms'):.2f}"]
        for slices in cell:
            figures.append(f"{statistics.median(each.sent.per_second for each in slices):,.0f}")
            figures += [f"{percentile(slices, percent):.1f}" for percent in (50, 99)]
        lines.append([_title(name), _called(server, regime), *figures])
    return as_table(lines)


def _in_order(cells: Cells) -> Iterable[tuple[tuple[str, str, str], Cell]]:
    names = [case.name for case in CASES]
    return sorted(cells.items(), key=lambda each: names.index(each[0][2]))


def _title(name: str) -> str:
    return next(case.title for case in CASES if case.name == name)


def _called(server: str, regime: str) -> str:
    return f"gateway, {regime}" if server == "gateway" else server


async def measure(given: argparse.Namespace) -> None:
    """Measure, tell, and write down what does not depend on the machine."""
    at, cases = cores(), [case for case in CASES if not given.only or case.name in given.only]
    os.sched_setaffinity(0, {at.others})  # the upstream inherits it
    async with talking("fast") as upstream:
        told = await upstream.heard()
        start = await starts(at, told["instances"]["hundred"])
        print(f"cold start {start.seconds:.2f} s, idle memory {start.memory_mb:.0f} MB", flush=True)
        async with bench(at, upstream, told) as running:
            await running.check()
            for name, per_second in (await ceiling(told)).items():
                print(f"upstream's ceiling, {name}: {per_second:,.0f} calls/s", flush=True)
            for number in range(given.rounds):
                await running.round(cases, REGIMES)
                print(f"round {number + 1} is done", file=sys.stderr, flush=True)
            print(f"load's own: {1e6 * running.load_s / running.loaded:.0f} us of CPU a request")
            for (kind, fleet), target in running.targets.items():
                print(f"memory of {kind} over {fleet}s: {memory_mb(target.pid):.0f} MB")
            print(f"\n{relative(running.cells)}\n\n{absolute(running.cells)}")
            if not given.only:
                RESULTS.write_text(f"{HEAD}{relative(running.cells)}\n", encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed")
    names = [case.name for case in CASES]
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often everything is measured ({ROUNDS})")
    parser.add_argument("--only", nargs="*", choices=names, help="these queries alone; nothing is written then")
    parser.add_argument("--profile", choices=names, help="do not measure, but tell where the time of one query goes")
    parser.add_argument("--regime", choices=REGIMES, default="changing", help="the regime of the profile (changing)")
    given = parser.parse_args()
    uvloop.run(profiled.profile(given.profile, given.regime) if given.profile else measure(given))


if __name__ == "__main__":
    main()
