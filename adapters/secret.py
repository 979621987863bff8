"""Keeping credentials out of what people read: settings that do not print, and masks for free-form data."""

import functools
import operator
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
    """Free-form JSON with every leaf whose key sounds like a credential replaced by the mask; the very same where
    there is none.

    The upstreams let people put anything into parameters and metadata; nobody but us stands between that and a page.
    """
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, dict):
        return _masked_items(cast("dict[str, object]", value))
    if isinstance(value, list):
        given = cast("list[object]", value)
        shown = list(map(masked, given))
        return shown if any(map(operator.is_not, shown, given)) else given
    return value


def _masked_items(given: dict[str, object]) -> dict[str, object]:
    changed: dict[str, object] = {}
    for key, item in given.items():
        if item and _sounds_secret(key):
            changed[key] = MASK
        elif (shown := masked_text(item) if isinstance(item, str) else masked(item)) is not item:
            changed[key] = shown
    return given | changed if changed else given


_LONG = 64


def _sounds_secret(name: str) -> bool:
    # Names come again in row after row; one that is rather a text is not kept in memory.
    return _sounds_so(name) if len(name) < _LONG else _NAMES.search(name) is not None


@functools.lru_cache(maxsize=4096)
def _sounds_so(name: str) -> bool:
    return _NAMES.search(name) is not None


def masked_map(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """`masked` for a map at the top, or for its absence."""
    return None if value is None else _masked_items(value)


def masked_text(text: str) -> str:
    """A text with bearer tokens, ``password=…`` and the user part of URLs replaced by the mask. All of these have a
    space, a colon or an equals sign in them."""
    if text.isalnum() or _is_plain(text):
        return text
    return _IN_TEXT.sub(lambda m: f"{m['name'] or m['scheme']}{MASK}{'@' if m['scheme'] else ''}", text)


def _is_plain(text: str) -> bool:
    """Whether `_IN_TEXT` finds nothing, by a test that costs little: it needs one of these words, as long as no letter
    beyond ASCII stands for one of theirs (as the Kelvin sign does for k)."""
    if not text.isascii():
        return False
    low = text.lower()
    return not (
        "://" in low
        or "pass" in low
        or "secret" in low
        or "token" in low
        or "api" in low
        or "bearer" in low
        or "basic" in low
    )
