"""Cursors: where in the list a row stands, told by what it is sorted by and not by a count, so that it means the same
after a restart, with other instances, and with rows gone or new.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import msgspec

from gateway import orders
from gateway.errors import bad_input
from gateway.orders import Key, OrderBy, Value

Places: TypeAlias = Mapping[str, Mapping[str, str | None]]
"""By instance and part, the token of the page on which a list that is read page by page goes on."""

_VERSION = 2


class _Inside(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: int
    order: str
    values: list[Any]
    instance: str
    native_id: str
    places: dict[str, dict[str, str | None]] = {}


class Cursor(NamedTuple):
    """A place in a list: right after this row."""

    order_by: OrderBy
    values: list[Value]
    instance: str
    native_id: str
    places: Places = {}

    @property
    def key(self) -> Key:
        """The key of the row."""
        return orders.key_of(self.order_by, self.values, self.instance, self.native_id)


def encode(cursor: Cursor) -> str:
    """The cursor as clients hold it: opaque."""
    order_by, values, instance, native_id, places = cursor
    held = {name: dict(parts) for name, parts in places.items()}
    inside = _Inside(_VERSION, orders.text_of(order_by), values, instance, native_id, held)
    return base64.urlsafe_b64encode(msgspec.json.encode(inside)).rstrip(b"=").decode()


def decode(text: str, order_by: OrderBy) -> Cursor:
    """The place in a cursor. Raises BAD_USER_INPUT for a text that is none, and for a cursor of another order."""
    try:
        body = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        inside = msgspec.json.decode(body, type=_Inside)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        raise bad_input("This is not a cursor of this list.") from None
    if inside.version != _VERSION:
        raise bad_input("This is not a cursor of this list.")
    if inside.order != orders.text_of(order_by):
        raise bad_input("This cursor belongs to another order: go on with the same orderBy.")
    if not orders.fits(order_by, inside.values):
        raise bad_input("This is not a cursor of this list.")
    return Cursor(order_by, inside.values, inside.instance, inside.native_id, inside.places)
