"""From bytes to wire records, so that one bad value costs that value, and one bad row costs that row.

A list is cut into its rows, and each row that was not met before is decoded at once. Only where that fails is the row
read again, field by field: an optional field of the wrong type becomes its default, a row without its id is dropped.
What is nested deeper than Python follows, and so would cost all that stands beside it, is read as null.
"""

import functools
import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

from adapters import digests, nesting
from adapters.digests import Part
from adapters.errors import ContractBroken
from adapters.layout import Layout

T = TypeVar("T")
K = TypeVar("K")

Id = Annotated[str, msgspec.Meta(min_length=1)]
"""The type of a wire record's id: a row whose id is empty cannot be addressed, and is dropped."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not JSON, not UTF-8, or nested too deep."""

_SURROGATES = re.compile(
    rb"\\\\|(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def _mended(body: bytes) -> bytes:
    """Halves of surrogate pairs, which come from texts cut in the middle, replaced by U+FFFD."""
    return _SURROGATES.sub(lambda m: rb"\ufffd" if m["half"] else m[0], body)


class Rows(NamedTuple, Generic[T]):
    """A list as it was sent: a record at each place, or None where the row there could not be read. ``digests`` tell
    the rows apart, place by place, and ``layout`` where they stood, if that is known."""

    places: tuple[T | None, ...]
    digests: Sequence[int] = ()
    layout: Layout | None = None

    @property
    def rows(self) -> tuple[T, ...]:
        """The rows that could be read, in order."""
        return tuple([row for row in self.places if row is not None])


def whole(body: bytes, kind: type[T]) -> T:
    """One record. Raises ContractBroken where the body is not JSON, or what the record requires is missing; and where
    what is no record is nested too deep, for it may be sent back, and is not to be cut."""
    try:
        return _decoder(kind).decode(body)
    except _UNREADABLE:
        return _salvage(_raw(body, kind), kind)


def rows(
    listed: bytes | Sequence[msgspec.Raw], kind: type[T], known: Mapping[int, K] = {}, *, body: bytes = b""
) -> Rows[T | K]:
    """The records of a JSON array, or of its rows; a row whose digest is ``known`` is not decoded, and what it is known
    as stands in its place. Where the whole ``body`` is given, their layout in it is told. Raises ContractBroken where
    it is no array at all."""
    items = _items(listed) if isinstance(listed, bytes) else listed
    # Bodies are not kept to compare rows with: some hold credentials.
    told_apart = array("Q", map(digests.of_part, items))
    places: list[T | K | None] = list(map(known.get, told_apart)) if known else [None] * len(items)
    decode: Callable[[msgspec.Raw], T] = _decoder(kind).decode
    for place, met in enumerate(places):
        if met is None:
            try:
                places[place] = decode(items[place])
            except _UNREADABLE:
                places[place] = _mended_row(items[place], kind)
    return Rows(tuple(places), told_apart, Layout.of(body, items, told_apart) if body else None)


def row(item: Part, kind: type[T]) -> T | None:
    """The record of one row; None where it is not plainly one."""
    try:
        return _decoder(kind).decode(item)
    except _UNREADABLE:
        return None


@functools.cache
def _decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(kind)


def _shallow(decode: Callable[[bytes], T], body: bytes) -> T:
    """What is decoded of a body; without what is nested too deep, where that is why it cannot be."""
    try:
        return decode(body)
    except RecursionError:
        return decode(nesting.cut(bytes(body)))


_cut = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _items(body: bytes) -> list[msgspec.Raw]:
    try:
        return _cut(body)
    except _UNREADABLE:
        pass
    try:
        return _shallow(_cut, _mended(body))
    except _UNREADABLE:
        raise ContractBroken("the answer is not a list", path="$") from None


def _mended_row(item: msgspec.Raw, row: type[T]) -> T | None:
    try:
        return _salvage(item, row)
    except ContractBroken:
        return None


def _raw(body: bytes, kind: Any) -> msgspec.Raw:
    read, mended = _decoder(msgspec.Raw).decode, _mended(body)
    try:
        return read(mended) if _struct_of(kind) is None else _shallow(read, mended)
    except _UNREADABLE:
        raise ContractBroken("the answer is not JSON", path="$") from None


def _salvage(raw: msgspec.Raw, kind: Any, path: str = "$") -> Any:
    """The record in ``raw``, with each optional field that cannot be read left at its default."""
    # Not strict: "true", "12" and 12.0 are taken for what they plainly mean.
    read, struct = msgspec.json.Decoder(kind, strict=False).decode, _struct_of(kind)
    try:
        return read(raw) if struct is None else _shallow(read, raw)
    except _UNREADABLE:
        if struct is None:
            raise ContractBroken("a value has the wrong type", path=path) from None
    try:
        present = _shallow(_decoder(dict[str, msgspec.Raw]).decode, raw)
    except _UNREADABLE:
        raise ContractBroken("a record is not an object", path=path) from None
    return struct(**_fields(present, struct, path))


def _fields(present: dict[str, msgspec.Raw], struct: type[msgspec.Struct], path: str) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        value = present.get(field.encode_name)
        if value is not None:
            try:
                read[field.name] = _salvage(value, field.type, f"{path}.{field.encode_name}")
                continue
            except ContractBroken:
                if field.required:
                    raise
        elif field.required:
            raise ContractBroken("a required field is missing", path=f"{path}.{field.encode_name}")
    return read


def _struct_of(kind: Any) -> type[msgspec.Struct] | None:
    """The record type behind ``kind`` or ``kind | None``, if it is one."""
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType, Annotated) else ()
    for candidate in (kind, *parts):
        if isinstance(candidate, type) and issubclass(candidate, msgspec.Struct):
            return candidate
    return None
