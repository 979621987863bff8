"""A gateway in a process of its own that is watched from inside: its memory, its work, and its longest step.

The first line it is told is its configuration; it says where it is served. Told anything else, it says the memory it
holds, the processor time it has used, and the longest time that its event loop worked in one go since it was last
asked. Both times are of its own work: how long other processes kept the processor meanwhile says nothing about it.
"""

import asyncio
import contextlib
import gc
import resource
import time
from pathlib import Path

import uvloop

from adapters.imitation import serve
from benchmarks.talk import lines, say
from gateway import app, config
from gateway.protocol import Spoken
from gateway.schema.providers import PROVIDERS

TICK_S = 0.001


class Steps:
    """The longest step of the event loop, in seconds of its own work."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def watch(self) -> None:
        """Look at it again and again."""
        while True:
            before = time.thread_time()
            await asyncio.sleep(TICK_S)
            self.longest_s = max(self.longest_s, time.thread_time() - before)

    def told(self) -> float:
        """The longest since it was last told."""
        longest_s, self.longest_s = self.longest_s, 0.0
        return longest_s


def memory_bytes() -> int:
    """What this process holds of the machine's memory, without what is garbage."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


async def main() -> None:
    """Serve the gateway."""
    steps = Steps()
    heard = lines()
    settings = config.settings(await anext(heard), PROVIDERS)
    async with serve(app.create(settings), http=Spoken) as url:
        watching = asyncio.create_task(steps.watch())
        say(url)
        async for _ in heard:
            told = {"work_s": time.process_time(), "longest_step_s": steps.told(), "memory_bytes": memory_bytes()}
            await asyncio.sleep(5 * TICK_S)
            steps.told()  # telling was no step of the gateway's
            say(told | {"work_s_after": time.process_time()})
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


if __name__ == "__main__":
    uvloop.run(main())
