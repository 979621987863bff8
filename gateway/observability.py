"""Logs: a JSON object a line, on standard error, with what happened and never what was said in confidence."""

import datetime as dt
import logging
import sys
import traceback
from types import TracebackType
from typing import Any

import orjson

from adapters.secret import masked_text
from adapters.transport import Call

calls = logging.getLogger("gateway.calls")
requests = logging.getLogger("gateway.requests")


class _Lines(logging.Formatter):
    """Records as JSON. Of an exception it keeps the type and where it was raised: texts may hold anything."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": masked_text(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            line["at"] = _places(record.exc_info[2])
        return orjson.dumps(line, default=str).decode()


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-8:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


def configure(level: str = "INFO") -> None:
    """Send the logs of this process to standard error, as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # The first two write URLs, and with them whatever stands in their queries; the third says nothing new.
    for name in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)


def log_call(call: Call) -> None:
    """A hook for transports: each upstream call at DEBUG, a failed one at WARNING."""
    level = logging.WARNING if call.error else logging.DEBUG
    if calls.isEnabledFor(level):
        fields = call._asdict() | {"duration_s": round(call.duration_s, 6)}
        calls.log(level, "upstream call", extra={"fields": fields})


def log_request(**fields: Any) -> None:
    """One line for each request answered."""
    requests.info("request", extra={"fields": fields})
