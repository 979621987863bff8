"""How deep JSON is nested.

What people put into free-form maps may be nested without end. All that reads it, looks through it or writes it stops
somewhere, each in another place and with all that stands beside it; so what is deeper than this is never shown.
"""

import re
from typing import Any, Final, cast

DEEPEST: Final = 200
"""Levels of a value that is shown. orjson writes 254, and around a value there are those of the answer."""
_LEFT: Final = 256
"""Levels that are left of a text that is cut: what is deeper than that is nothing that would be shown."""
_MOST: Final = 200_000
"""Maps and lists in a text that is cut. To go through more of them would hold others up."""
_NESTS: Final = (dict, list)
_TOKENS = re.compile(
    rb"""(?:"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)[^"\[\]{}]*+)++|(?P<opens>[\[{])|[\]}]""",
    re.DOTALL,
)
"""Texts with what is between them, and where maps and lists begin and end."""


def is_deep(value: object) -> bool:
    """Whether a value, made of JSON's types, has more levels than are shown: a map that holds a list has two."""
    level = [cast("Any", value)] if value.__class__ in _NESTS else []
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            for inner in (each.values() if each.__class__ is dict else each)
            if inner.__class__ in _NESTS
        ]
        if not level:
            return False
    return True


def cut(text: bytes) -> bytes:
    """The JSON text with null for all that is nested too deep to be shown. What is no JSON for another
    reason stays none."""
    if text.count(b"{") + text.count(b"[") > _MOST:
        return text
    pieces: list[bytes] = []
    start = depth = 0
    for token in _TOKENS.finditer(text):
        if token["opens"]:
            depth += 1
            if depth == _LEFT + 1:
                pieces += text[start : token.start()], b"null"
        elif text[token.start()] in b"]}":
            if depth == _LEFT + 1:
                start = token.end()
            depth -= 1
    return b"".join([*pieces, text[start:]]) if depth <= _LEFT else text
