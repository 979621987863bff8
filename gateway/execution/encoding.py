"""Answers as JSON: written by orjson, and what that does not write by the standard library.

Free-form maps of upstreams hold numbers beyond 64 bits (the bounds of a decimal column, say), and are nested as deep as
anybody likes. One such value is to cost nothing else of an answer.
"""

import json
from typing import Any

import orjson


def to_json(value: Any) -> bytes:
    """The JSON of a value, in which fragments that are written already may stand.

    Raises TypeError for what is not made of JSON's types, moments and fragments, and RecursionError for what is nested
    deeper than Python follows, which is some 900 levels.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, default=_plain, separators=(",", ":")).encode("ascii")


def _plain(value: Any) -> Any:
    """What orjson alone can write, in JSON's types."""
    return json.loads(orjson.dumps(value))
