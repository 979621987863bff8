"""Where the time of one query goes, by function: those with the most time of their own.

Where py-spy is installed, it samples ``gateway serve`` itself, native code included. Elsewhere a gateway runs in this
process under cProfile, which makes every call of Python cost more, so that many small functions look larger than they
are.
"""

import asyncio
import cProfile
import itertools
import os
import pstats
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.imitation import serve
from benchmarks.cases import CASES
from benchmarks.servers import SECTIONS, cores, gateway
from benchmarks.talk import Talk, talking
from gateway import app, config
from gateway.protocol import Spoken
from gateway.schema.providers import PROVIDERS

SHOWN = 25
SECONDS = 6
RATE = 500
ROOMS = ("(adapters/", "(gateway/", "AsyncClient.stream", "run_asgi", "gc_collect_main", "find_spec")
"""Whose time is told with what they call: what is ours, and the doors to what is not."""
PLACES = ("site-packages/", "lib/python3", "adapters/", "gateway/")


async def profile(name: str, regime: str, *, sockets: int = 1, flame: Path | None = None) -> None:
    """Print the functions that took the most time by themselves, or draw a flame graph into a file.

    Raises FileNotFoundError where one is to be drawn and py-spy is missing.
    """
    case = next(case for case in CASES if case.name == name)
    at = cores()
    os.sched_setaffinity(0, {at.others})
    async with talking("fast") as upstream, talking("load") as load:
        told = await upstream.heard()
        await upstream(regime)
        inventory = {"max_age": 3600 if regime == "warm" else 0}
        instances = told["instances"][case.fleet]
        asked: dict[str, Any] = {"bodies": case.bodies(told["ids"][case.fleet]), "sockets": sockets, "seconds": 0.5}
        sampler = shutil.which("py-spy")
        print(f"{case.title}, {regime}, requests under way: {sockets}")
        if sampler is None:
            if flame is not None:
                raise FileNotFoundError("py-spy, which draws flame graphs, is not on the PATH")
            os.sched_setaffinity(0, {at.measured})
            await _traced({"instances": instances, "inventory": inventory, **SECTIONS}, load, asked)
            return
        async with gateway(at.measured, instances, inventory) as target:
            asked["port"] = target.port
            await load(asked)
            await _sampled(sampler, target.pid, load, asked, flame)


async def _sampled(sampler: str, pid: int, load: Talk, asked: Mapping[str, Any], flame: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stacks" if flame is None else flame
        shape = "raw" if flame is None else "flamegraph"
        options = ["--native", "--function", "--rate", str(RATE), "--duration", str(SECONDS), "--format", shape]
        sampling = await asyncio.create_subprocess_exec(
            sampler, "record", *options, "--output", str(path), "--pid", str(pid),
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        answered = await load({**asked, "seconds": SECONDS + 1})
        await sampling.wait()
        print(f"{answered['requests']} requests")
        if flame is None:
            _tell(path.read_text(encoding="utf-8"))


def _tell(stacks: str) -> None:
    """Print what py-spy found: a line is the functions of a stack and how often it was met."""
    own, within = Counter[str](), Counter[str]()
    for line in stacks.splitlines():
        stack, _, times = line.rpartition(" ")
        frames = [_short(frame) for frame in stack.split(";")]
        own[frames[-1]] += int(times)
        for frame in set(frames):
            within[frame] += int(times)
    total = own.total()
    print("\n% by itself")
    for frame, times in own.most_common(SHOWN):
        print(f"{100 * times / total:5.1f}  {frame}")
    print("\n% with what it calls")
    rooms = ((frame, times) for frame, times in within.most_common() if any(each in frame for each in ROOMS))
    for frame, times in itertools.islice(rooms, 2 * SHOWN):
        print(f"{100 * times / total:5.1f}  {frame}")


def _short(frame: str) -> str:
    """A function and its file, without where that is installed."""
    name, _, file = frame.partition(" (")
    for place in PLACES:
        if place in file:
            file = file[file.index(place) :].removeprefix("site-packages/")
            break
    return f"{name} ({file}" if file else name


async def _traced(configured: dict[str, Any], load: Talk, asked: dict[str, Any]) -> None:
    async with serve(app.create(config.settings(configured, PROVIDERS)), http=Spoken) as url:
        asked["port"] = int(url.rpartition(":")[2])
        await load(asked)
        watching = cProfile.Profile()
        watching.enable()
        answered = await load({**asked, "seconds": SECONDS})
        watching.disable()
    print(f"{answered['requests']} requests")
    pstats.Stats(watching).strip_dirs().sort_stats("tottime").print_stats(SHOWN)
