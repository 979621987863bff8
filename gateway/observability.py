"""Logs: a JSON object a line, on standard error, with what happened and never what was said in confidence."""

import asyncio
import datetime as dt
import functools
import logging
import os
import sys
import time
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec
import orjson

from adapters.secret import masked_text
from adapters.transport import Call

calls = logging.getLogger("gateway.calls")
requests = logging.getLogger("gateway.requests")
writes = logging.getLogger("gateway.writes")

_PID: Final = os.getpid()
"""Workers are processes that begin anew, so each has its own."""


_HELD_S: Final = 0.05
"""Lines of requests are written together with those that follow this soon: a write costs more than making a line."""
_HELD: Final = 50
"""As many are written at once in any case."""
LONGEST: Final = 200
"""Letters that a line has of what a client calls something: it may be as long as a request."""
_REQUEST: Final = "request"
"""What the line of a request says."""
_REQUEST_LINE: Final = (
    f'{{"time":"%s","level":"INFO","logger":"{requests.name}","pid":{_PID},"message":"{_REQUEST}",'
    '"operation":%s,"viewer":%s,"duration_s":%.6f,"codes":%s}\n'
)
"""All of that, written out: there is one for each request."""


class _Answered(NamedTuple):
    """A request whose line is yet to be made."""

    at: float
    operation: str | None
    viewer: str | None
    duration_s: float
    codes: Sequence[str]

    def fields(self) -> dict[str, Any]:
        """What its line says of it."""
        return {
            "operation": self.operation,
            "viewer": self.viewer,
            "duration_s": round(self.duration_s, 6),
            "codes": self.codes,
        }


class _Lines(logging.Handler):
    """Writes records as JSON, each in one go. Of an exception it keeps the type and where it was raised: texts may hold
    anything."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out = out
        self._second = -1
        self._begins = ""
        self._held: list[_Answered] = []
        self._due_in: asyncio.AbstractEventLoop | None = None
        """The loop in which what is held will be written soon."""

    def emit(self, record: logging.LogRecord) -> None:
        self.flush()  # what was told before stands before it
        try:
            self._write(orjson.dumps(self._line(record), default=str, option=orjson.OPT_APPEND_NEWLINE))
        except Exception:  # noqa: BLE001  a log that cannot be written is no reason to answer nobody
            self.handleError(record)

    def tell(self, answered: _Answered) -> None:
        """What `emit` does of a record of it, without one; in a running loop, a moment later."""
        self._held.append(answered)
        if len(self._held) >= _HELD:
            self.flush()
        elif self._due_in is None or not self._due_in.is_running():
            try:
                self._due_in = asyncio.get_running_loop()
            except RuntimeError:
                self.flush()
            else:
                self._due_in.call_later(_HELD_S, self._come)

    def flush(self) -> None:
        """Write what is held."""
        if not self._held:
            return
        self.acquire()  # others log from threads of their own
        try:
            held, self._held = self._held, []
            self._write("".join(map(self._request_line, held)).encode())
        except Exception:  # noqa: BLE001  as above
            self.handleError(logging.makeLogRecord({"msg": "lines of requests"}))
        finally:
            self.release()

    def _come(self) -> None:
        self._due_in = None
        self.flush()

    def _write(self, lines: bytes) -> None:
        self._out.write(lines)
        self._out.flush()

    def _request_line(self, of: _Answered) -> str:
        """What `_line` makes of a record of it."""
        codes = orjson.dumps(of.codes).decode() if of.codes else "[]"
        return _REQUEST_LINE % (self._time(of.at), _quoted(of.operation), _quoted(of.viewer), of.duration_s, codes)

    def _line(self, record: logging.LogRecord) -> dict[str, Any]:
        fields: dict[str, Any] | None = getattr(record, "fields", None)
        # What comes with fields is from below, and its message is a constant.
        message = masked_text(record.getMessage()) if fields is None else record.msg
        line = {
            "time": self._time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "pid": _PID,
            "message": message,
        }
        if fields is not None:
            line |= fields
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            line["at"] = _places(record.exc_info[2])
        return line

    def _time(self, at: float) -> str:
        """ISO-8601 in UTC with milliseconds; many lines share a second, which is written once."""
        if (second := int(at)) != self._second:
            self._second, self._begins = second, dt.datetime.fromtimestamp(second, dt.UTC).isoformat()[:-6]
        return f"{self._begins}.{int(at % 1 * 1000):03}+00:00"


@functools.lru_cache(maxsize=256)
def _quoted(text: str | None) -> str:
    """A text as JSON has it; the same few operations come again and again."""
    return orjson.dumps(text).decode()


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-8:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


def configure(level: str = "INFO", out: BinaryIO | None = None) -> None:
    """Send the logs of this process to standard error or ``out``, as JSON lines."""
    logging.basicConfig(level=level, handlers=[_Lines(out or sys.stderr.buffer)], force=True)
    # No line says these, so no record need find them out.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # The first two write URLs, and with them whatever stands in their queries; the third says nothing new.
    for name in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)


def write_all() -> None:
    """Write what is held, where the process may end."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def log_call(call: Call) -> None:
    """A hook for transports: each upstream call at DEBUG, a failed one at WARNING."""
    level = logging.WARNING if call.error else logging.DEBUG
    if calls.isEnabledFor(level):
        fields = msgspec.structs.asdict(call) | {"duration_s": round(call.duration_s, 6)}
        calls.log(level, "upstream call", extra={"fields": fields})


def log_write(**fields: str | None) -> None:
    """One line for each thing that was to be changed: what, where, by whom, and what came of it."""
    writes.info("change", extra={"fields": {name: value and value[:LONGEST] for name, value in fields.items()}})


def log_request(*, operation: str | None, viewer: str | None, began: float, codes: Sequence[str]) -> None:
    """One line for each request answered. ``began`` is by `time.monotonic`."""
    if requests.isEnabledFor(logging.INFO):
        name = operation and operation[:LONGEST]
        answered = _Answered(time.time(), name, viewer, time.monotonic() - began, codes)
        lines = _only_handler()
        if lines is None:
            requests.info(_REQUEST, extra={"fields": answered.fields()})
        else:
            lines.tell(answered)


def _only_handler() -> _Lines | None:
    """Ours, where nobody else would be given a record of a request. Who makes one looks through the stack for the line
    that asks for it, takes its path apart, and asks each logger on the way up: all that would be told is known here."""
    logger = requests
    while logger.parent is not None:
        if logger.handlers or not logger.propagate:
            return None
        logger = logger.parent
    only = logger.handlers[0] if len(logger.handlers) == 1 and not requests.filters else None
    return only if isinstance(only, _Lines) and not only.filters else None
