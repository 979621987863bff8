"""How calls prove who we are: the forms a configuration may use, and tokens that are fetched and renewed."""

import base64
import re
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple, Protocol

import msgspec

from adapters import deadline
from adapters.errors import AdapterError
from adapters.flight import LOOKUP_S, Shared
from adapters.secret import Secret

_IN_A_HEADER = re.compile(r"[!-~]+")
_RENEW_EARLIER_S = 30.0
"""A token is renewed this long before it ends, so that none expires on the way."""
_TOLD_ON_S = 0.1
"""How long a failure is told to those who come after it: they had to wait for a place among the calls in flight, and
would wait for the next failure as long again."""


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of three forms: client_id and client_secret, username and password, or a ready token."""

    client_id: Annotated[str | None, msgspec.Meta(description="OAuth 2 client id; goes with client_secret.")] = None
    client_secret: Annotated[Secret | None, msgspec.Meta(description="OAuth 2 client secret.")] = None
    username: Annotated[str | None, msgspec.Meta(description="User name for HTTP Basic; goes with password.")] = None
    password: Annotated[Secret | None, msgspec.Meta(description="Password for HTTP Basic.")] = None
    token: Annotated[Secret | None, msgspec.Meta(description="A ready bearer token.")] = None

    def __post_init__(self) -> None:
        forms = (
            self.client_id is not None or self.client_secret is not None,
            self.username is not None or self.password is not None,
            self.token is not None,
        )
        if sum(forms) != 1:
            raise ValueError("auth takes one form: client_id and client_secret, username and password, or token")
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("client_id and client_secret go together")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.token is not None and not _IN_A_HEADER.fullmatch(self.token.reveal()):
            raise ValueError("token: it holds what no header can, such as a line break")


class Authorizer(Protocol):
    """Gives the ``Authorization`` header of a call."""

    @property
    def is_ready(self) -> bool:
        """Whether it can do so without a call."""
        return self.ready() is not None

    def ready(self) -> str | None:
        """The header's value where that takes no call; None where it does."""
        ...

    async def header(self) -> str:
        """The header's value now. Raises AdapterError where no token is to be had."""
        ...

    def reject(self, header: str) -> bool:
        """Take note that the upstream refused ``header``; True if another try can bring another header."""
        ...


class Fixed(Authorizer):
    """A header that never changes: Basic, or a ready bearer token."""

    def __init__(self, header: str) -> None:
        self._header = header

    def ready(self) -> str:
        return self._header

    async def header(self) -> str:
        return self._header

    def reject(self, header: str) -> bool:
        return False


def basic(username: str, password: Secret) -> Fixed:
    """HTTP Basic (RFC 7617), in UTF-8."""
    pair = f"{username}:{password.reveal()}".encode()
    return Fixed("Basic " + base64.b64encode(pair).decode())


def bearer(token: Secret) -> Fixed:
    """A ready bearer token (RFC 6750)."""
    return Fixed("Bearer " + token.reveal())


class Grant(NamedTuple):
    """A token as the upstream's token endpoint gave it, and how many seconds it can be used."""

    token: Secret
    lasts_s: float


class Renewing(Authorizer):
    """A bearer token fetched at first use, shared by all calls, and fetched again before it ends or when refused. All
    who wait for it are told of a failure together: each in turn, they would wait for a sick service once more."""

    def __init__(self, fetch: Callable[[], Awaitable[Grant]]) -> None:
        self._fetch = fetch
        self._renewal = Shared[str]()
        self._header: str | None = None
        self._ends_at = 0.0
        self._failure: AdapterError | None = None
        self._failed_until = 0.0

    def ready(self) -> str | None:
        return self._header if time.monotonic() < self._ends_at else None

    async def header(self) -> str:
        header = self.ready()
        if header is not None:
            return header
        if self._failure is not None and time.monotonic() < self._failed_until:
            raise self._failure.with_traceback(None)
        return await self._renewal(self._renewed)

    async def _renewed(self) -> str:
        """A new header. It is everybody's: whoever came first may have little time left."""
        try:
            with deadline.afresh(LOOKUP_S):
                grant = await self._fetch()
        except AdapterError as error:
            self._failure, self._failed_until = error, time.monotonic() + _TOLD_ON_S
            raise
        header = self._header = "Bearer " + grant.token.reveal()
        # A short-lived token is renewed at half its life: Airbyte has handed out tokens of three minutes.
        self._ends_at = time.monotonic() + max(grant.lasts_s / 2, grant.lasts_s - _RENEW_EARLIER_S)
        return header

    def reject(self, header: str) -> bool:
        if self._header == header:
            self._header = None
        return True
