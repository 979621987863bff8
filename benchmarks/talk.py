"""A process of its own that is spoken to in lines of JSON: it says one when it is ready, answers each that it is told,
and ends when nobody talks to it any more.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LONGEST_LINE = 2**24
ENDS_WITHIN_S = 10


class Talk:
    """A conversation with a process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def __call__(self, line: Any) -> Any:
        """What it answers."""
        assert self._process.stdin is not None  # noqa: S101  it was started with a pipe
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        return await self.heard()

    async def heard(self) -> Any:
        """What it says next. Raises EOFError where it has ended."""
        assert self._process.stdout is not None  # noqa: S101  it was started with a pipe
        line = await self._process.stdout.readline()
        if not line:
            raise EOFError("the process has ended")
        return json.loads(line)


@contextlib.asynccontextmanager
async def talking(module: str, *arguments: str) -> AsyncGenerator[Talk]:
    """A module of this folder as a process, which ends with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"benchmarks.{module}", *arguments,
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST_LINE,
    )  # fmt: skip
    try:
        yield Talk(process)
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave it to end by itself, and end it where it does not."""
    assert process.stdin is not None  # noqa: S101  it was started with a pipe
    process.stdin.close()
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def lines() -> AsyncGenerator[Any]:
    """What this process is told, until nobody talks to it any more."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def say(line: Any) -> None:
    """Say something to whoever started this process."""
    print(json.dumps(line), flush=True)


async def answer(how: Callable[[Any], Any]) -> None:
    """Answer whatever is said."""
    async for line in lines():
        say(how(line))
