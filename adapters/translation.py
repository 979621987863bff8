"""From the exceptions of others and the statuses of HTTP to `adapters.errors`: by two tables, and nowhere else."""

import email.utils
import re
import time
from collections.abc import Mapping
from http import HTTPStatus

import httpx

from adapters import errors
from adapters.channel import Answer
from adapters.dialling import Unopened

STATUS_ERRORS: Mapping[int, type[errors.AdapterError]] = {
    400: errors.Rejected,
    401: errors.Unauthorized,
    403: errors.Unauthorized,
    404: errors.NotFound,
    405: errors.ContractBroken,
    408: errors.TimedOut,
    409: errors.Conflict,
    410: errors.NotFound,
    413: errors.Rejected,
    422: errors.Rejected,
    423: errors.Conflict,
    429: errors.RateLimited,
    501: errors.Unsupported,
    504: errors.TimedOut,
}
"""Statuses that mean something of their own. Any other 5xx is UpstreamFault, anything else ContractBroken."""

FOREIGN_ERRORS: Mapping[type[Exception], type[errors.AdapterError]] = {
    httpx.TimeoutException: errors.TimedOut,
    TimeoutError: errors.TimedOut,
    httpx.DecodingError: errors.ContractBroken,
    httpx.RemoteProtocolError: errors.Unreachable,
    httpx.LocalProtocolError: errors.Rejected,
    httpx.UnsupportedProtocol: errors.Rejected,
    httpx.TransportError: errors.Unreachable,
    httpx.InvalidURL: errors.Rejected,
    UnicodeEncodeError: errors.Rejected,
}
"""In this order: the first that the exception is an instance of."""

MESSAGES: Mapping[type[errors.AdapterError], str] = {
    errors.Rejected: "the upstream does not accept this request",
    errors.Unauthorized: "the upstream does not accept our credentials",
    errors.NotFound: "the upstream does not know this",
    errors.TimedOut: "no complete answer in time",
    errors.Conflict: "not possible in the upstream's present state",
    errors.RateLimited: "the upstream asks us to slow down",
    errors.Unsupported: "the upstream does not support this",
    errors.UpstreamFault: "the upstream answered that it is broken",
    errors.ContractBroken: "the answer is not what the upstream's specification says",
    errors.Unreachable: "the upstream cannot be reached",
}


def mapped(raised: Exception) -> errors.AdapterError:
    """The exception in our words. Raises it again where it is none that a call can meet."""
    for foreign, ours in FOREIGN_ERRORS.items():
        if isinstance(raised, foreign):
            why = raised.why if isinstance(raised, Unopened) else ""
            return ours(f"{MESSAGES[ours]}: {why}" if why else MESSAGES[ours])
    raise raised


def status_error(answer: Answer) -> errors.AdapterError:
    """What an answer other than 2xx means."""
    status = answer.status
    kind = STATUS_ERRORS.get(status)
    if kind is None:
        kind = errors.UpstreamFault if status >= HTTPStatus.INTERNAL_SERVER_ERROR else errors.ContractBroken
    retry_after_s = _retry_after_s(answer.field(b"retry-after").decode("latin-1"))
    return kind(f"{MESSAGES[kind]} (status {status})", retry_after_s=retry_after_s)


def leaves_open(status: int) -> bool:
    """Whether an answer of this status leaves it open that the call was carried out, at least in part. What says that
    the call was refused does not; a redirection may follow upon what was done, and whatever is broken may have been so
    only after that."""
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return not (refused or status == HTTPStatus.NOT_IMPLEMENTED) or status == HTTPStatus.REQUEST_TIMEOUT


def _retry_after_s(value: str) -> float | None:
    """Seconds from a Retry-After header, which holds a number or an HTTP date; None where it is neither."""
    if not value:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
