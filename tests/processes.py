"""The gateway as a process of its own, as a user starts it; ended by its process id."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator, Mapping

_ENDS_WITHIN_S = 20


@contextlib.asynccontextmanager
async def demo(environment: Mapping[str, str] = os.environ) -> AsyncGenerator[str]:
    """`gateway demo` on free ports; gives the URL of its GraphQL endpoint."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "--log-level", "error", "demo", "--port", "0",
        env=dict(environment), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_ENDS_WITHIN_S):
            async for line in process.stdout:
                if line.startswith(b"GraphiQL: "):
                    break
        yield line.decode().removeprefix("GraphiQL: ").strip()
    finally:
        process.terminate()
        async with asyncio.timeout(_ENDS_WITHIN_S):
            await process.communicate()
