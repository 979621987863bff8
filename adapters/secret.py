"""Keeping credentials out of what people read: settings that do not print, and masks for free-form data."""

import re
from typing import Any, cast

MASK = "**********"

_NAMES = re.compile(
    r"pass(word|wd|phrase)?s?$|pwd|pass(word|wd)?[_-]?hash|secret|token|api[_-]?key|private[_-]?key|credential|authorization|^auth$|bearer|cookie"
    r"|connection[_-]?string|^pem$|signature|^sig$|[_-]arn$|webhook[_-]?url",
    re.IGNORECASE,
)
_IN_TEXT = re.compile(
    r"(?P<name>\b(?:bearer|basic)\s+|(?:pass(?:word|wd)?|secret|token|api[_-]?key)[\"']?\s*[=:]\s*)"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)"
    r"|(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/?#]+@",
    re.IGNORECASE,
)


class Secret:
    """A credential from the configuration. Only `reveal` gives it; every way of printing gives the mask."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def masked(value: object) -> object:
    """Free-form JSON with every leaf whose key sounds like a credential replaced by the mask.

    The upstreams let people put anything into parameters and metadata; nobody but us stands between that and a page.
    """
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return {key: MASK if _NAMES.search(key) and item else masked(item) for key, item in items}
    if isinstance(value, list):
        return [masked(item) for item in cast("list[object]", value)]
    return masked_text(value) if isinstance(value, str) else value


def masked_map(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """`masked` for a map at the top, or for its absence."""
    return None if value is None else cast("dict[str, Any]", masked(value))


def masked_text(text: str) -> str:
    """A text with bearer tokens, ``password=…`` and the user part of URLs replaced by the mask."""
    return _IN_TEXT.sub(lambda m: f"{m['name'] or m['scheme']}{MASK}{'@' if m['scheme'] else ''}", text)
