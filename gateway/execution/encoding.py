"""Answers as JSON: written by orjson, and what that does not write by the standard library.

Free-form maps of upstreams hold numbers beyond 64 bits (the bounds of a decimal column, say), and what people send is
nested deeper than orjson writes. One such value is to cost nothing else of an answer.
"""

import json
import math
from typing import Any, Final, cast

import orjson

DEEPEST: Final = 300
"""Levels of an answer that are written. Maps of upstreams are bounded before, those of somebody else's adapter may be
nested deeper than Python follows."""


def to_json(value: Any) -> bytes:
    """The JSON of a value, in which fragments that are written already may stand. What is nested too deep is null.

    Raises TypeError for what is not made of JSON's types, moments and fragments.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(_cut(value, DEEPEST), default=_plain, separators=(",", ":")).encode("ascii")


def _cut(value: Any, levels: int) -> Any:
    """The value without maps and lists that are nested deeper than that, and without floats that are no numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, dict | list | tuple):
        return value
    if not levels:
        return None
    if isinstance(value, dict):
        return {name: _cut(each, levels - 1) for name, each in cast("dict[Any, Any]", value).items()}
    return [_cut(each, levels - 1) for each in cast("list[Any]", value)]


def _plain(value: Any) -> Any:
    """What orjson alone can write, in JSON's types."""
    return json.loads(orjson.dumps(value))
