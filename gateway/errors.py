"""Errors as clients see them: a closed list of codes, and the way from every exception to one of them.

Clients read ``extensions.code``; messages are for people. Neither holds an upstream's text, a URL or a credential;
``extensions.correlationId`` is what an operator finds in the log.
"""

import enum
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from graphql import GraphQLError

from adapters import errors as upstream

log = logging.getLogger(__name__)


class Code(enum.StrEnum):
    """Every code that the gateway answers with. docs/errors.md tells what to do about each."""

    UPSTREAM_TIMEOUT = "UPSTREAM_TIMEOUT"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    UPSTREAM_RATE_LIMITED = "UPSTREAM_RATE_LIMITED"
    UPSTREAM_OVERLOADED = "UPSTREAM_OVERLOADED"
    UPSTREAM_BAD_RESPONSE = "UPSTREAM_BAD_RESPONSE"
    UPSTREAM_UNAUTHORIZED = "UPSTREAM_UNAUTHORIZED"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"
    NOT_FOUND = "NOT_FOUND"
    UNSUPPORTED = "UNSUPPORTED"
    CONFLICT = "CONFLICT"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    BAD_REQUEST = "BAD_REQUEST"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    RATE_LIMITED = "RATE_LIMITED"
    QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"


CODES: Mapping[type[upstream.AdapterError], Code] = {
    upstream.Unreachable: Code.UPSTREAM_UNAVAILABLE,
    upstream.UpstreamFault: Code.UPSTREAM_UNAVAILABLE,
    upstream.TimedOut: Code.UPSTREAM_TIMEOUT,
    upstream.RateLimited: Code.UPSTREAM_RATE_LIMITED,
    upstream.Overloaded: Code.UPSTREAM_OVERLOADED,
    upstream.CircuitOpen: Code.CIRCUIT_OPEN,
    upstream.Unauthorized: Code.UPSTREAM_UNAUTHORIZED,
    upstream.ContractBroken: Code.UPSTREAM_BAD_RESPONSE,
    upstream.NotFound: Code.NOT_FOUND,
    upstream.Conflict: Code.CONFLICT,
    upstream.Rejected: Code.BAD_USER_INPUT,
    upstream.Unsupported: Code.UNSUPPORTED,
}
"""Every error of `adapters.errors` and the code it becomes."""


def error(code: Code, message: str, **extensions: Any) -> GraphQLError:
    """An error of the gateway's own, ready to be raised or reported."""
    return GraphQLError(message, extensions={"code": code.value, **extensions})


def bad_input(message: str) -> GraphQLError:
    """The client's mistake, in an argument or a variable."""
    return error(Code.BAD_USER_INPUT, message)


def code_of(raised: upstream.AdapterError) -> Code:
    """The code of an upstream's failure. An adapter may derive errors of its own: such a one has the code of what it
    derives from, and one that derives from `AdapterError` itself says no more than that the answer was of no use."""
    known = (CODES[kind] for kind in type(raised).__mro__ if kind in CODES)
    return next(known, Code.UPSTREAM_BAD_RESPONSE)


def from_adapter(raised: upstream.AdapterError) -> GraphQLError:
    """An upstream's failure as clients see it."""
    where = f"{raised.instance}: " if raised.instance else ""
    return GraphQLError(
        where + raised.message, extensions={"code": code_of(raised).value, **details(raised)}, original_error=raised
    )


def details(raised: upstream.AdapterError) -> dict[str, Any]:
    """The extensions of an upstream's failure, beside its code: what a program needs to act on it."""
    known = {
        "instance": raised.instance or None,
        "provider": raised.provider.upper() or None,
        "retryAfter": raised.retry_after_s,
        "correlationId": raised.correlation_id or None,
        "upstreamPath": raised.path,
    }
    return {"retryable": raised.retryable, **{key: value for key, value in known.items() if value is not None}}


def presented(raised: GraphQLError) -> GraphQLError:
    """An error of an execution, coded. One that nobody foresaw is logged under a correlation id and masked."""
    original = raised.original_error
    while isinstance(original, GraphQLError):  # the engine wraps what resolvers raise
        raised = _at(original, raised)
        original = original.original_error
    if "code" in (raised.extensions or {}):
        return raised
    if isinstance(original, upstream.AdapterError):
        return _at(from_adapter(original), raised)
    if original is None:  # the engine's own: a variable or an argument that does not fit its type
        raised.extensions = {"code": Code.BAD_USER_INPUT.value}
        return raised
    return masked(original, raised)


def masked(unforeseen: BaseException, at: GraphQLError | None = None) -> GraphQLError:
    """What clients are told of an exception that is nobody's business but the operator's."""
    correlation_id = uuid.uuid4().hex
    log.error("unforeseen failure %s", correlation_id, exc_info=unforeseen)
    told = error(Code.INTERNAL_SERVER_ERROR, "The gateway failed.", correlationId=correlation_id, retryable=False)
    return _at(told, at) if at else told


def _at(told: GraphQLError, place: GraphQLError) -> GraphQLError:
    """``told`` with the path and the location of ``place``, unless it has its own."""
    return GraphQLError(
        told.message,
        nodes=told.nodes or place.nodes,
        path=told.path or place.path,
        extensions=told.extensions,
        original_error=told.original_error,
    )
