"""What is wrong with an input for Unified.to, as far as that can be told before it is sent."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import UNSET

from adapters.unified_to.inputs import (
    UnifiedToAuthorizationInput,
    UnifiedToConnectionCreate,
    UnifiedToConnectionUpdate,
    UnifiedToCredentialsInput,
)
from adapters.writing import Place, Problem, ProblemCode

DEFAULT_ENVIRONMENT = "Production"
"""Where a connection is that does not say (Unified.to's own model of it)."""
LANGUAGES = ("en", "fr", "es", "it", "pt", "zh", "hi")
"""What its pages are in (specification, ``lang``)."""
CLEARED = frozenset({"external_xref"})
"""What can be cleared: the specification requires the others, or says where it is without one."""

NOT_IMPORTED = Problem(
    ("credentials",),
    ProblemCode.NOT_PERMITTED,
    "Whoever operates the gateway does not allow credentials to be imported; let the customer authorize instead.",
)


def usual(environments: Sequence[str]) -> str | None:
    """Where a connection comes that does not say; None where it has to."""
    if DEFAULT_ENVIRONMENT in environments:
        return DEFAULT_ENVIRONMENT
    return environments[0] if len(environments) == 1 else None


def of_create(given: UnifiedToConnectionCreate, environments: Sequence[str]) -> Iterator[Problem]:
    """What is wrong with a new connection by itself."""
    if given.environment is not None:
        yield from _environment(given.environment, environments)
    elif usual(environments) is None:
        yield Problem(("environment",), ProblemCode.REQUIRED, "This instance has several: say which it is to be in.")
    yield from _text(("external_xref",), given.external_xref)
    if given.authorization is not None and given.credentials is not None:
        message = "Let the customer authorize it or import credentials, not both."
        yield Problem(("credentials",), ProblemCode.CONTRADICTION, message)
    elif given.authorization is not None:
        yield from _authorization(given.authorization)
    elif given.credentials is not None:
        yield from _credentials(given.credentials)
    else:
        message = "Say how the customer is to authorize it; {} will do."
        yield Problem(("authorization",), ProblemCode.REQUIRED, message)


def of_update(given: UnifiedToConnectionUpdate, environments: Collection[str]) -> Iterator[Problem]:
    """What is wrong with a change by itself."""
    values = {name: getattr(given, name) for name in given.__struct_fields__}
    for name, value in values.items():
        if value is None and name not in CLEARED:
            yield Problem((name,), ProblemCode.CANNOT_CLEAR, "A connection of Unified.to is never without this.")
    if isinstance(given.environment, str):
        yield from _environment(given.environment, environments)
    if isinstance(given.external_xref, str):
        yield from _text(("external_xref",), given.external_xref)
    for name in ("categories", "permissions"):
        yield from _words((name,), values[name])
    if given.categories == ():
        yield Problem(("categories",), ProblemCode.CANNOT_CLEAR, "A connection is for one category at least.")
    if all(value is UNSET for value in values.values()):
        yield Problem((), ProblemCode.REQUIRED, "Nothing is to be changed.")


def is_address(text: str) -> bool:
    """Whether this is an absolute http(s) URL with a host, and nothing in it that would not show."""
    if not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _environment(given: str, environments: Collection[str]) -> Iterator[Problem]:
    if given not in environments:
        message = "Whoever operates the gateway shows no such environment; see the instance's own."
        yield Problem(("environment",), ProblemCode.NOT_PERMITTED, message)


def _authorization(given: UnifiedToAuthorizationInput) -> Iterator[Problem]:
    for name in ("success_redirect", "failure_redirect"):
        address = getattr(given, name)
        if address is not None and not is_address(address):
            yield _invalid(("authorization", name), "This is no absolute http or https URL.")
    if given.lang is not None and given.lang not in LANGUAGES:
        yield _invalid(("authorization", "lang"), f"Unified.to's pages are in {', '.join(LANGUAGES)}.")
    yield from _text(("authorization", "subdomain"), given.subdomain)
    yield from _words(("authorization", "scopes"), given.scopes)


def _credentials(given: UnifiedToCredentialsInput) -> Iterator[Problem]:
    yield from _words(("credentials", "categories"), given.categories)
    yield from _words(("credentials", "permissions"), given.permissions)
    if not given.categories:
        message = "A connection is for one category at least."
        yield Problem(("credentials", "categories"), ProblemCode.REQUIRED, message)
    auth: Any = given.auth
    if not isinstance(auth, dict):
        yield _invalid(("credentials", "auth"), "Credentials are a JSON object.")
    elif not auth:
        yield Problem(("credentials", "auth"), ProblemCode.REQUIRED, "There is no credential in it.")


def _words(place: Place, given: Any) -> Iterator[Problem]:
    """Which words there are grows upstream; a blank is none of them."""
    for at, word in enumerate(given if isinstance(given, tuple) else ()):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        yield from _text((*place, at), word)


def _text(place: Place, given: str | None) -> Iterator[Problem]:
    if given is not None and not given.strip():
        yield _invalid(place, "This must hold more than blanks; leave it out otherwise.")


def _invalid(place: Place, message: str) -> Problem:
    return Problem(place, ProblemCode.INVALID, message)
