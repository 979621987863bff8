"""Free-form maps: what people put into parameters and metadata, with credentials masked.

They are half of what a row holds, and the same few come again in row after row: each is read once, and all rows that
were sent it share it.
"""

from typing import Any, Final

import msgspec

from adapters import decode
from adapters.errors import ContractBroken
from adapters.nesting import DEEPEST, is_deep
from adapters.secret import masked_map

_NULL: Final = b"null"
NONE: Final = msgspec.Raw(_NULL)
"""The default of a wire record's field."""
_LONG: Final = 256
_KEPT: Final = 1024
"""Maps that are kept, none of them longer than that: others are rather texts of one row."""

_SHALLOW: Final = 2 * DEEPEST
"""A text no longer than this cannot be nested too deep: each level takes two letters."""

_plain: dict[bytes, dict[str, Any]] = {}
"""Maps in which nothing is to be masked, by what was sent."""


def shown(sent: msgspec.Raw) -> dict[str, Any] | None:
    """The map, masked; None for null, for what is no map and what is nested too deep. It is shared, and so must not be
    changed."""
    text = bytes(sent)
    if text == _NULL:
        return None
    known = _plain.get(text)
    if known is not None:
        return known
    try:
        given = decode.whole(text, dict[str, Any])
    except ContractBroken:
        return None
    if len(text) > _SHALLOW and is_deep(given):
        return None
    masked = masked_map(given)
    # What holds a credential is in memory no longer than it takes to read it.
    if masked is given and len(text) <= _LONG:
        if len(_plain) >= _KEPT:
            _plain.clear()
        _plain[text] = given
    return masked
