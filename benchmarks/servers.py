"""The servers that are measured, each a process pinned to a core, which ends with its block."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from adapters.imitation import listener
from benchmarks.load import HOST
from benchmarks.talk import ROOT

SECTIONS: Mapping[str, Any] = {
    # Larger pages than the default, so that a query can ask for all rows at once.
    "limits": {"first": 1000, "cost": 1_000_000, "request_timeout": 60},
}


class Target(NamedTuple):
    """A server process that is measured."""

    pid: int
    port: int


class Cores(NamedTuple):
    """Where the measured process runs, and everything else."""

    measured: int
    others: int


def cores() -> Cores:
    """Two of those that this process may use; the same one twice where there is no other."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[-1], usable[0])


def free_port() -> int:
    """A port that nobody listens on."""
    with listener(HOST, 0) as listening:
        return listening.getsockname()[1]


@contextlib.asynccontextmanager
async def started(core: int, *arguments: str) -> AsyncGenerator[int]:
    """A Python process pinned to a core, by its pid; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    os.sched_setaffinity(process.pid, {core})
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def ready(port: int, path: str, within_s: float = 20) -> float:
    """Wait until a server answers; gives for how long."""
    began = time.perf_counter()
    request = f"GET {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n".encode()
    async with asyncio.timeout(within_s):
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(HOST, port)
                writer.write(request)
                line = await reader.readline()
                writer.close()
                if line:
                    return time.perf_counter() - began
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def gateway(core: int, instances: Mapping[str, Any], inventory: Mapping[str, Any]) -> AsyncGenerator[Target]:
    """The gateway as ``gateway serve`` runs it."""
    port = free_port()
    configured = {"server": {"port": port}, "instances": instances, "inventory": inventory, **SECTIONS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.yaml"
        path.write_text(json.dumps(configured), encoding="utf-8")
        async with started(core, "-m", "gateway", "serve", "--config", str(path)) as pid:
            await ready(port, "/readyz")
            yield Target(pid, port)


@contextlib.asynccontextmanager
async def peer(core: int, module: str, instances: Mapping[str, Any]) -> AsyncGenerator[Target]:
    """The yardstick or the floor."""
    port = free_port()
    async with started(core, "-m", f"benchmarks.{module}", str(port), json.dumps(instances)) as pid:
        await ready(port, "/")
        yield Target(pid, port)
