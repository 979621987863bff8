"""The gateway as a server: uvicorn over a socket that listens already, in this process or in several."""

import asyncio
import contextlib
import functools
import gc
import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from gateway import app, observability
from gateway.config import Settings
from gateway.protocol import Spoken

_COLLECTED_AFTER: Final = 5_000
"""Objects that are new, after which there is a look for garbage."""
_ANSWERS_WITHIN_S: Final = 10
"""How long a worker may be silent before another takes its place. Its loop need not be free to answer."""


def alone(gateway: ASGIApp, listening: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered before it returns."""
    settle()
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(_configured(gateway)).run(sockets=[listening])


def by_workers(settings: Settings, workers: int, log_level: str, listening: socket.socket) -> None:
    """Serve likewise by so many processes, which share the socket. Where one dies, another takes its place.

    They are given the settings as they were read, so that a file that changes later does not make them differ.
    """
    logging.getLogger("uvicorn.error").setLevel(log_level)  # who came and went
    made = functools.partial(_worker, settings, log_level)
    Multiprocess(_configured(made, factory=True, workers=workers), [listening]).run()


def settle() -> None:
    """Leave what is there for good, which is most of what there is, out of each collection of garbage.

    Python's own threshold is passed several times by each of many requests under way: collecting more rarely takes a
    sixth off what requests by id cost with 32 at a time. Ten times more rarely still gained nothing but longer pauses.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER, *gc.get_threshold()[1:])


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
