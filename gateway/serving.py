"""The gateway as a server: uvicorn over a socket that listens already, in this process or in several."""

import asyncio
import contextlib
import ctypes
import functools
import gc
import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Generator
from multiprocessing import resource_tracker
from typing import Any, Final, NoReturn

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from gateway import app, observability
from gateway.config import Settings
from gateway.protocol import Spoken

_COLLECTED_AFTER: Final = 5_000
"""Objects that are new, after which there is a look for garbage."""
_TRIMMED_BYTES: Final = 32 * 1024 * 1024
"""What may be free at the end of the heap before it is given back to the system."""
_MAPPED_BYTES: Final = 16 * 1024 * 1024
"""The size from which a block of memory is asked of the system by itself, and given back by itself."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_ANSWERS_WITHIN_S: Final = 10
"""How long a worker may be silent before another takes its place. Its loop need not be free to answer."""


def alone(gateway: ASGIApp, listening: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered before it returns."""
    settle()
    signal.signal(signal.SIGTERM, _exit)  # which uvicorn raises once more when all is done
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(_configured(gateway)).run(sockets=[listening])


def _exit(*_: object) -> NoReturn:
    raise SystemExit(0)


class _Workers(Multiprocess):
    """Workers that no caller waits for once they are to end: whoever comes then is refused, as by one process.

    Ctrl-C in a terminal reaches all of its processes. They leave it to this one, which has them end: a worker that has
    hardly begun would say nothing but where it was."""

    def init_processes(self) -> None:
        with _uninterrupted():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:
        with _uninterrupted():
            super().keep_subprocess_alive()

    def restart_all(self) -> None:
        with _uninterrupted():
            super().restart_all()

    def terminate_all(self) -> None:
        super().terminate_all()
        for listening in self.sockets:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _uninterrupted() -> Generator[None]:
    """SIGINT waits until the block has ended, and for ever in processes that are started in it."""
    resource_tracker.ensure_running()  # which is started with the first of them, and would let it through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def by_workers(settings: Settings, workers: int, log_level: str, listening: socket.socket) -> None:
    """Serve likewise by so many processes, which share the socket. Where one dies, another takes its place.

    They are given the settings as they were read, so that a file that changes later does not make them differ.
    """
    logging.getLogger("uvicorn.error").setLevel(log_level)  # who came and went
    made = functools.partial(_worker, settings, log_level)
    _Workers(_configured(made, factory=True, workers=workers), [listening]).run()


def settle() -> None:
    """Have memory suit a process that does nothing but serve, when all that is there for good has been made.

    That is left out of each collection of garbage from now on. Requests leave none that is not freed at once, so there
    is little to be found, and Python's own threshold is passed several times by each of many requests under way.
    """
    _keep_memory()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER, *gc.get_threshold()[1:])


def _keep_memory() -> None:
    """Have the C library keep what bodies and answers took for the next ones, where it can be told to. glibc gives back
    a few hundred kilobytes at each chance, and has each page of them made anew: for lists a tenth of what they cost."""
    tell: Callable[[int, int], int] | None = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell is not None and not any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        tell(_M_TRIM_THRESHOLD, _TRIMMED_BYTES)
        tell(_M_MMAP_THRESHOLD, _MAPPED_BYTES)


def _worker(settings: Settings, log_level: str) -> ASGIApp:
    """The gateway of one worker, called in its running loop."""
    observability.configure(log_level)
    _end_with_parent()
    gateway = app.create(settings)
    settle()
    return gateway


def _end_with_parent() -> None:
    """End this process in order where its parent is gone without having said so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        asyncio.get_running_loop().add_reader(parent.sentinel, _end)


def _end() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        asyncio.get_running_loop().remove_reader(parent.sentinel)
    os.kill(os.getpid(), signal.SIGTERM)


def _configured(gateway: ASGIApp | Callable[[], ASGIApp], **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        gateway,
        loop="uvloop",
        http=Spoken,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        # Nothing here asks for the client's address, so nothing need find out the true one.
        proxy_headers=False,
        timeout_worker_healthcheck=_ANSWERS_WITHIN_S,
        **options,
    )
