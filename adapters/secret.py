"""Keeping credentials out of what people read: settings that do not print, and masks for free-form data."""

import operator
import re
from typing import Any, cast

MASK = "**********"

_NAMES = re.compile(
    r"pass(word|wd|phrase)?s?$|pwd|pass(word|wd)?[_-]?hash|secret|token|api[_-]?key|private[_-]?key|credential|authorization|^auth$|bearer|cookie"
    r"|connection[_-]?string|^pem$|signature|^sig$|[_-]arn$|webhook[_-]?url|execution[_-]?(url|body)",
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
    What is nested so deep that it cannot be looked through (some 300 levels) is the mask as a whole.
    """
    try:
        return _masked(value)
    except RecursionError:
        return MASK


def _masked(value: object) -> object:
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, dict):
        return _masked_items(cast("dict[str, object]", value))
    if isinstance(value, list):
        given = cast("list[object]", value)
        shown = list(map(_masked, given))
        return shown if any(map(operator.is_not, shown, given)) else given
    return value


def _masked_items(given: dict[str, object]) -> dict[str, object]:
    changed: dict[str, object] = {}
    for key, item in given.items():
        if not item:  # there is nothing in it to be masked
            continue
        if _sounds_secret[key]:
            changed[key] = MASK
        elif (shown := masked_text(item) if isinstance(item, str) else _masked(item)) is not item:
            changed[key] = shown
    return given | changed if changed else given


_LONG = 64
_NAMES_KEPT = 4096


class _Judged(dict[str, bool]):
    """Whether names sound secret. They come again in row after row; one that is rather a text is not kept."""

    def __missing__(self, name: str) -> bool:
        judged = _NAMES.search(name) is not None
        if len(name) < _LONG:
            if len(self) >= _NAMES_KEPT:
                self.clear()
            self[name] = judged
        return judged


_sounds_secret = _Judged()


def masked_map(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """`masked` for a map at the top, or for its absence; None for one that cannot be looked through."""
    try:
        return _masked_items(value) if value else value
    except RecursionError:
        return None


def masked_text(text: str) -> str:
    """A text with bearer tokens, ``password=…`` and the user part of URLs replaced by the mask."""
    if text.isalnum():
        return text
    # All that is looked for has a colon, an equals sign or white space in it, of which only the space is printable.
    if " " not in text and ":" not in text and "=" not in text and text.isprintable():
        return text
    if _is_plain(text):
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
