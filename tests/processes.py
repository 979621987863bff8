"""The gateway as a process of its own, as a user starts it; ended by its process id."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx

ROOT = Path(__file__).parents[1]
ENDS_WITHIN_S = 30


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def answers(url: str) -> httpx.Response:
    """The page of instances, as soon as the server listens."""
    async with httpx.AsyncClient(timeout=ENDS_WITHIN_S) as client, asyncio.timeout(ENDS_WITHIN_S):
        while True:
            try:
                return await client.post(f"{url}/graphql", json={"query": "{ instances { name } }"})
            except httpx.ConnectError:
                await asyncio.sleep(0.05)


class Ended(NamedTuple):
    """A command that came to its end."""

    status: int
    out: str
    err: str


async def gateway(*arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
    """Run a command to its end."""
    async with running(*arguments, environment=environment) as process:
        async with asyncio.timeout(ENDS_WITHIN_S):
            out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def running(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A command that goes on while the block does, and not longer."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "gateway", *arguments,
        cwd=ROOT, env={**os.environ, **(environment or {})}, start_new_session=True,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def demo(environment: Mapping[str, str] | None = None) -> AsyncGenerator[str]:
    """`gateway demo` on free ports; gives the URL of its GraphQL endpoint."""
    async with running("--log-level", "error", "demo", "--port", "0", environment=environment) as process:
        assert process.stdout is not None
        async with asyncio.timeout(ENDS_WITHIN_S):
            async for line in process.stdout:
                if line.startswith(b"GraphiQL: "):
                    break
        yield line.decode().removeprefix("GraphiQL: ").strip()
        process.terminate()
        async with asyncio.timeout(ENDS_WITHIN_S):
            await process.wait()
