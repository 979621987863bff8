"""The servers that are measured, each a process pinned to a core, which ends with its block."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from adapters.imitation import listener
from benchmarks.load import HOST
from benchmarks.talk import ROOT

SECTIONS: Mapping[str, Any] = {
    # Larger pages than the default, so that a query can ask for all rows at once.
    "limits": {"first": 1000, "cost": 1_000_000, "request_timeout": 60},
}


PEERS = Path(__file__).parent / "peers"


class Program(NamedTuple):
    """How a server is started: with these arguments, a port, the instances as JSON, and these."""

    before: Sequence[str]
    after: Sequence[str] = ()
    needs: Path | None = None
    """The folder of npm packages that it runs with."""


def _python(module: str) -> Program:
    return Program((sys.executable, "-m", f"benchmarks.{module}"))


def _node(script: str, *after: str) -> Program:
    return Program(("node", str(PEERS / script)), after, PEERS)


PROGRAMS: Mapping[str, Program] = {
    "plain": _python("plain"),
    "floor": _python("floor"),
    "bare": _python("bare"),
    "mercurius": _node("mercurius.mjs"),
    "yoga": _node("yoga.mjs"),
    "yoga-jit": _node("yoga.mjs", "jit"),
    "mesh": _node("mesh/serve.mjs"),
}
"""Who is measured beside the gateway."""
ON_NODE = tuple(name for name, program in PROGRAMS.items() if program.needs)


def missing(server: str) -> str | None:
    """Why a server cannot be started here, if it cannot."""
    folder = PROGRAMS[server].needs if server in PROGRAMS else None
    if folder is None:
        return None
    if shutil.which("node") is None:
        return "there is no node"
    if not (folder / "node_modules").is_dir():
        return f"its packages are not installed: npm ci --prefix {folder.relative_to(ROOT)}"
    return None


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


@contextlib.contextmanager
def _on(core: int) -> Generator[None]:
    """Processes that are started inside are pinned to a core from their first moment, with all threads they start."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.asynccontextmanager
async def started(core: int, *command: str) -> AsyncGenerator[int]:
    """A process pinned to a core, by its pid; it ends with the block."""
    with _on(core):
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={**os.environ, "NODE_ENV": "production"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
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
async def gateway(
    core: int, instances: Mapping[str, Any], inventory: Mapping[str, Any], **sections: Any
) -> AsyncGenerator[Target]:
    """The gateway as ``gateway serve`` runs it, with other sections of its configuration where they are given."""
    port = free_port()
    configured = {"server": {"port": port}, "instances": instances, "inventory": inventory, **SECTIONS, **sections}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.yaml"
        path.write_text(json.dumps(configured), encoding="utf-8")
        async with started(core, sys.executable, "-m", "gateway", "serve", "--config", str(path)) as pid:
            await ready(port, "/readyz")
            yield Target(pid, port)


@contextlib.asynccontextmanager
async def other(core: int, server: str, instances: Mapping[str, Any]) -> AsyncGenerator[Target]:
    """The yardstick, the floor or a peer, by its name in `PROGRAMS`."""
    port, program = free_port(), PROGRAMS[server]
    async with started(core, *program.before, str(port), json.dumps(instances), *program.after) as pid:
        await ready(port, "/")
        yield Target(pid, port)
