"""``python -m benchmarks.speed``: what one request costs. README.md says how to read it."""

import argparse
import asyncio
import contextlib
import datetime as dt
import os
import resource
import signal
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import httpx
import uvloop

from benchmarks import profiled
from benchmarks.cases import CASES, Case, count
from benchmarks.figures import Cell, Cells, Slice, absolute, against, memory, relative
from benchmarks.load import HOST, post, send
from benchmarks.servers import ON_NODE, PROGRAMS, Cores, Target, cores, gateway, missing, other
from benchmarks.talk import Talk, talking

REGIMES = ("changing", "replaced", "unchanged", "warm")
SERVERS = ("gateway", *PROGRAMS)
FLEETS = ("hundred", "thousand")
ROUNDS = 3
WARM_UP_S, ALONE_S, TOGETHER_S = 0.15, 0.6, 1.0
RESTS_S = 0.3
"""How long nobody is asked before a server is measured: node tidies up when it is idle, on the core measured."""
COMPILES_S = 2.0
"""How long peers are asked each query before anything is measured: node compiles what it has run for a while."""
AGES = {"fresh": {"max_age": 0}, "kept": {"max_age": 3600}}
SELF_MADE = ("floor", "bare")
"""Who is not asked in GraphQL."""
CALLED = {"fresh": "gateway, others", "kept": "gateway, warm"}
RESULTS = Path(__file__).parent / "results" / "speed.md"
HEAD = """<!-- Written by python -m benchmarks.speed -->

CPU per request, each server pinned to one core, as a part of what the plain Strawberry build takes for the same query
in the same run. Calls are those of upstreams, for each request.

"""
AGAINST = """

CPU per request of the gateway as a part of what each peer takes for the same query in the same run, which keeps nothing
and so was measured while bodies changed: one request at a time, many at a time. A figure above 1 is a peer that is
ahead.

"""
ABSOLUTE = """
Absolute figures of that run, on whatever machine it was: they say something beside each other, and nothing beside those
of another run.

"""
_TICKS = os.sysconf("SC_CLK_TCK")


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
        return case.floors(known) if server in SELF_MADE else case.bodies(known)

    def posts(self, server: str, regime: str, case: Case) -> list[bytes]:
        """The same as they are sent."""
        return [post(_path(server, regime), body) for body in self.requests(server, case)]

    def target(self, server: str, regime: str, case: Case) -> Target:
        """Who is asked."""
        kind = ("kept" if regime == "warm" else "fresh") if server == "gateway" else server
        return self.targets[kind, case.fleet]

    async def check(self, cases: Iterable[Case], servers: Sequence[str]) -> None:
        """Ask everybody everything, once. Raises ValueError for a wrong answer.

        An answer must have all rows; that of a peer must be the yardstick's, where that is measured.
        """
        plain: dict[str, Any] = {}
        async with httpx.AsyncClient(timeout=60) as client:
            # The yardstick comes first, since others are compared with it.
            for server, regime, case in _all(cases, REGIMES, sorted(servers, key=lambda server: server != "plain")):
                target = self.target(server, regime, case)
                for body in self.requests(server, case):
                    response = await client.post(f"http://{HOST}:{target.port}{_path(server, regime)}", json=body)
                    if server in SELF_MADE:
                        response.raise_for_status()
                        continue
                    answered = response.json()
                    is_right = "errors" not in answered and count(answered["data"]) == case.rows
                    asked = str(body)
                    if server == "plain":
                        plain[asked] = _as_data(answered)
                    elif server in ON_NODE and asked in plain:
                        is_right = is_right and _as_data(answered) == plain[asked]
                    if not is_right:
                        raise ValueError(f"{server} answers {case.name} with {str(answered)[:600]}")

    async def read_lists(self) -> None:
        """Have those read all lists that are to keep them."""
        lists = next(case for case in CASES if case.name == "three_lists")
        for (kind, fleet), target in self.targets.items():
            if kind == "kept":
                requests = self.posts("gateway", "warm", lists._replace(fleet=fleet))
                await send(target.port, requests, sockets=1, seconds=WARM_UP_S)

    async def compile(self, cases: Iterable[Case], servers: Iterable[str]) -> None:
        """Ask those on node for a while, so that what is measured is compiled."""
        await self._upstream("changing")
        for server, regime, case in _all(cases, REGIMES, [server for server in servers if server in ON_NODE]):
            requests = self.posts(server, regime, case)
            await send(self.target(server, regime, case).port, requests, sockets=4, seconds=COMPILES_S)

    async def round(self, cases: Iterable[Case], regimes: Iterable[str], servers: Sequence[str]) -> None:
        """Measure everything once."""
        for server, regime, case in _all(cases, regimes, servers):
            await self._upstream(regime)
            target = self.target(server, regime, case)
            requests = self.posts(server, regime, case)
            with self._others_stopped(target):
                await asyncio.sleep(RESTS_S)
                await send(target.port, requests, sockets=2, seconds=WARM_UP_S)
                cell = self.cells[server, regime, case.name]
                cell.alone.append(await self._slice(target, regime, requests, sockets=1, seconds=ALONE_S))
                together = await self._slice(target, regime, requests, sockets=case.sockets, seconds=TOGETHER_S)
                cell.together.append(together)

    @contextlib.contextmanager
    def _others_stopped(self, target: Target) -> Generator[None]:
        """Nobody else runs on the core that is measured: node goes on tidying up when it is idle."""
        others = {each.pid for each in self.targets.values()} - {target.pid}
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)

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


def _all(cases: Iterable[Case], regimes: Iterable[str], servers: Sequence[str]) -> Iterable[tuple[str, str, Case]]:
    """What is measured, in turn."""
    for regime in regimes:
        for case in cases:
            for server in servers:
                if _is_measured(server, regime, case):
                    yield server, regime, case


def _is_measured(server: str, regime: str, case: Case) -> bool:
    """Whether a server is. Nobody but the gateway keeps anything, which makes one regime enough; and sockets alone are
    measured where they are most of what a request costs."""
    if server == "bare":
        return case.name == "by_id" and regime in ("changing", "warm")
    return server == "gateway" or regime == "changing"


def _path(server: str, regime: str) -> str:
    return "/kept" if server == "bare" and regime == "warm" else "/graphql"


def _as_data(answered: Any, name: str = "") -> Any:
    """An answer with times as times, which may be written in several ways."""
    if isinstance(answered, dict):
        inside = cast("dict[str, Any]", answered)
        return {name: _as_data(value, name) for name, value in inside.items()}
    if isinstance(answered, list):
        return [_as_data(value) for value in cast("list[Any]", answered)]
    return dt.datetime.fromisoformat(answered) if name.endswith("At") and answered is not None else answered


@contextlib.asynccontextmanager
async def bench(at: Cores, upstream: Talk, told: Mapping[str, Any], servers: Iterable[str]) -> AsyncGenerator[Bench]:
    """Everything started."""
    async with contextlib.AsyncExitStack() as stack:
        targets: dict[tuple[str, str], Target] = {}
        for fleet in FLEETS:
            instances = told["instances"][fleet]
            for server in servers:
                if server == "gateway":
                    for kind, ages in AGES.items():
                        targets[kind, fleet] = await stack.enter_async_context(gateway(at.measured, instances, ages))
                else:
                    targets[server, fleet] = await stack.enter_async_context(other(at.measured, server, instances))
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


def present(servers: Iterable[str]) -> list[str]:
    """Those that can be measured here; why others cannot is told."""
    found: list[str] = []
    for server in servers:
        reason = missing(server)
        if reason is None:
            found.append(server)
        else:
            print(f"{server} is left out: {reason}", flush=True)
    return found


async def measure(given: argparse.Namespace) -> None:
    """Measure, tell, and write it down, where everybody was asked everything."""
    at, cases = cores(), [case for case in CASES if not given.only or case.name in given.only]
    servers = present(given.servers or SERVERS)
    peers = [server for server in servers if server in ON_NODE]
    os.sched_setaffinity(0, {at.others})  # the upstream inherits it
    async with talking("fast") as upstream:
        told = await upstream.heard()
        starting = ""
        if "gateway" in servers:
            start = await starts(at, told["instances"]["hundred"])
            starting = f"cold start {start.seconds:.2f} s, idle memory {start.memory_mb:.0f} MB"
            print(starting, flush=True)
        async with bench(at, upstream, told, servers) as running:
            await running.check(cases, servers)
            for name, per_second in (await ceiling(told)).items():
                print(f"upstream's ceiling, {name}: {per_second:,.0f} calls/s", flush=True)
            await running.compile(cases, servers)
            await running.read_lists()
            for number in range(given.rounds):
                await running.round(cases, given.regimes or REGIMES, servers)
                print(f"round {number + 1} is done", file=sys.stderr, flush=True)
            print(f"load's own: {1e6 * running.load_s / max(running.loaded, 1):.0f} us of CPU a request\n")
            held = {(CALLED.get(of, of), fleet): memory_mb(to.pid) for (of, fleet), to in running.targets.items()}
            print(memory(held))
    ratios = relative(running.cells)
    if peers and "gateway" in servers:
        ratios += AGAINST + against(running.cells, peers)
    print(f"\n{ratios}\n\n{absolute(running.cells)}")
    if not (given.only or given.regimes) and len(servers) == len(SERVERS):
        figures = f"{ABSOLUTE}{absolute(running.cells)}\n\nThe gateway: {starting}.\n"
        RESULTS.write_text(f"{HEAD}{ratios}\n{figures}", encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed")
    names = [case.name for case in CASES]
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often everything is measured ({ROUNDS})")
    parser.add_argument("--only", nargs="+", choices=names, help="these queries alone; nothing is written then")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, help="these servers alone; nothing is written then")
    parser.add_argument("--regimes", nargs="+", choices=REGIMES, help="these regimes alone; nothing is written then")
    parser.add_argument("--profile", choices=names, help="do not measure, but tell where the time of one query goes")
    parser.add_argument("--regime", choices=REGIMES, default="changing", help="the regime of the profile (changing)")
    parser.add_argument("--sockets", type=int, default=1, help="requests under way at a time in the profile (1)")
    parser.add_argument("--flame", type=Path, help="draw the profile into this file, as a flame graph (SVG)")
    given = parser.parse_args()
    if given.profile:
        uvloop.run(profiled.profile(given.profile, given.regime, sockets=given.sockets, flame=given.flame))
    else:
        uvloop.run(measure(given))


if __name__ == "__main__":
    main()
