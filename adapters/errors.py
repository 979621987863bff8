"""What can go wrong with an upstream, as a caller can act on it.

    AdapterError
    ├── Unreachable        no connection, DNS, reset, redirect: nobody answered
    ├── TimedOut           no complete answer in time
    ├── UpstreamFault      5xx: it answered that it is broken
    ├── RateLimited        429: ask again after `retry_after_s`
    ├── Overloaded         our own bulkhead is full: too many calls to this instance are waiting
    ├── CircuitOpen        it failed so often that we leave it alone for a while
    ├── Unauthorized       401, 403, or no token to be had
    ├── ContractBroken     the body is not what its specification says; `path` tells where
    ├── NotFound           404 or 410 for something asked by its id
    ├── Conflict           409 or 423: not in its present state
    ├── Rejected           400 or 422: the upstream does not take this input
    └── Unsupported        there is no such thing: with this provider, in this version of it (501), or in a gateway
                           that may hold no list as long as this one
    ConfigurationError     stands apart: stops the start

Messages name what was asked and what came back in our words. They never hold a URL, a credential or a text of
the upstream: its bodies carry stack traces and echoes of what was sent.
"""

from typing import ClassVar


class ConfigurationError(Exception):
    """The configuration cannot be used; the message names the key and never a value."""


class AdapterError(Exception):
    """A call to an upstream, or the reading of its answer, failed.

    ``instance`` and ``provider`` are filled in by the room that knows them; ``correlation_id`` is the one in the log.
    ``may_have_happened`` says of a call that changes something that it reached the upstream and that nothing in the
    answer, if there was one, proves that it was not carried out.
    """

    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        instance: str = "",
        provider: str = "",
        operation: str = "",
        correlation_id: str = "",
        retry_after_s: float | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.instance = instance
        self.provider = provider
        self.operation = operation
        self.correlation_id = correlation_id
        self.retry_after_s = retry_after_s
        self.path = path
        self.may_have_happened = False


class Unreachable(AdapterError):
    retryable = True


class TimedOut(AdapterError):
    retryable = True


class UpstreamFault(AdapterError):
    retryable = True


class RateLimited(AdapterError):
    retryable = True


class Overloaded(AdapterError):
    retryable = True


class CircuitOpen(AdapterError):
    retryable = True


class Unauthorized(AdapterError):
    pass


class ContractBroken(AdapterError):
    pass


class NotFound(AdapterError):
    pass


class Conflict(AdapterError):
    pass


class Rejected(AdapterError):
    pass


class Unsupported(AdapterError):
    pass
