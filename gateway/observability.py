"""Logs: a JSON object a line, on standard error, with what happened and never what was said in confidence."""

import datetime as dt
import logging
import os
import sys
import time
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final

import orjson

from adapters.secret import masked_text
from adapters.transport import Call

calls = logging.getLogger("gateway.calls")
requests = logging.getLogger("gateway.requests")

_PID: Final = os.getpid()
"""Workers are processes that begin anew, so each has its own."""


class _Lines(logging.Formatter):
    """Records as JSON. Of an exception it keeps the type and where it was raised: texts may hold anything."""

    def __init__(self) -> None:
        super().__init__()
        self._second = -1
        self._begins = ""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] | None = getattr(record, "fields", None)
        line: dict[str, Any] = {
            "time": self._time(record),
            "level": record.levelname,
            "logger": record.name,
            "pid": _PID,
            # What comes with fields is from below, and its message is a constant.
            "message": masked_text(record.getMessage()) if fields is None else record.msg,
        }
        if fields is not None:
            line |= fields
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            line["at"] = _places(record.exc_info[2])
        return orjson.dumps(line, default=str).decode()

    def _time(self, record: logging.LogRecord) -> str:
        """ISO-8601 in UTC with milliseconds; many lines share a second, which is written once."""
        if (second := int(record.created)) != self._second:
            self._second, self._begins = second, dt.datetime.fromtimestamp(second, dt.UTC).isoformat()[:-6]
        return f"{self._begins}.{int(record.msecs):03}+00:00"


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-8:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


def configure(level: str = "INFO") -> None:
    """Send the logs of this process to standard error, as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # No line says these, so no record need find them out.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # The first two write URLs, and with them whatever stands in their queries; the third says nothing new.
    for name in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)


def log_call(call: Call) -> None:
    """A hook for transports: each upstream call at DEBUG, a failed one at WARNING."""
    level = logging.WARNING if call.error else logging.DEBUG
    if calls.isEnabledFor(level):
        fields = call._asdict() | {"duration_s": round(call.duration_s, 6)}
        calls.log(level, "upstream call", extra={"fields": fields})


def log_request(*, operation: str | None, viewer: str | None, began: float, codes: Sequence[str]) -> None:
    """One line for each request answered. ``began`` is by `time.perf_counter`."""
    if requests.isEnabledFor(logging.INFO):
        duration_s = round(time.perf_counter() - began, 6)
        fields = {"operation": operation, "viewer": viewer, "duration_s": duration_s, "codes": codes}
        # Made here, since a logger looks through the stack for the line that calls it, which says nothing.
        record = logging.LogRecord(requests.name, logging.INFO, __file__, 0, "request", (), None, "log_request")
        record.fields = fields
        requests.handle(record)
