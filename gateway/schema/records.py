"""GraphQL types derived from the unified records, so that a field stands in one place: with its record.

A record's docstring and the descriptions of its fields become the type's; the records themselves are what resolvers
return, and a field reads the attribute of its name.
"""

import datetime as dt
import enum
import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Optional, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec
import strawberry
from graphql import GraphQLResolveInfo

from adapters.model import Word
from gateway.schema.scalars import BigInt, Json

W = TypeVar("W", bound=type[enum.Enum])


@functools.cache
def word(vocabulary: type[Word], name: str | None = None) -> type[Word]:
    """A vocabulary as a GraphQL enum: the words are its values, and what they mean their descriptions."""
    declared = strawberry.enum(vocabulary, name=name, description=inspect.getdoc(vocabulary))
    for value in declared.__strawberry_definition__.values:  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
        value.description = vocabulary[value.name].description  # pyright: ignore[reportUnknownMemberType]
    return declared


@functools.cache
def object_type(record: type[msgspec.Struct]) -> type:
    """A record as a GraphQL object type."""
    return strawberry.type(_class(record, object_type), description=inspect.getdoc(record))


@functools.cache
def input_type(record: type[msgspec.Struct]) -> type:
    """A record as a GraphQL input type; what has a default is optional."""
    return strawberry.input(_class(record, input_type, is_input=True), description=inspect.getdoc(record))


def _class(
    record: type[msgspec.Struct], nested: Callable[[type[msgspec.Struct]], type], *, is_input: bool = False
) -> type:
    """A class for Strawberry with an annotation and a described field for each of the record's."""
    hints = get_type_hints(record, include_extras=True)
    annotations: dict[str, Any] = {}
    namespace: dict[str, Any] = {"__annotations__": annotations, "__record__": record}
    for field in sorted(msgspec.structs.fields(record), key=lambda field: not (field.required and is_input)):
        kind, description = _unwrapped(hints[field.name])
        annotations[field.name] = _annotation(kind, nested)
        default = {} if field.required or not is_input else {"default": strawberry.UNSET}
        namespace[field.name] = strawberry.field(description=description, **default)
    if not is_input:
        namespace["is_type_of"] = staticmethod(is_record(record))
    return type(record.__name__, (), namespace)


def is_record(record: type) -> Callable[[Any, GraphQLResolveInfo[Any]], bool]:
    """How the engine tells, in a union or an interface, that a value is of a record's type."""

    def is_type_of(value: Any, _: GraphQLResolveInfo[Any]) -> bool:
        return isinstance(value, record)

    cast("Any", is_type_of).only_class = record  # for whoever judges by the class alone
    return is_type_of


def _unwrapped(hint: Any) -> tuple[Any, str | None]:
    """A field's type and its description, which stands in an annotation around it."""
    if get_origin(hint) is not Annotated:
        return hint, None
    kind, *metas = get_args(hint)
    return kind, next((meta.description for meta in metas if isinstance(meta, msgspec.Meta)), None)


def _annotation(kind: Any, nested: Callable[[type[msgspec.Struct]], type]) -> Any:
    """The GraphQL counterpart of a Python type. JSON may always be null."""
    kind, _ = _unwrapped(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return Optional[_annotation(next(item for item in arguments if item not in _ABSENT), nested)]
    if origin is tuple:
        return list[_annotation(arguments[0], nested)]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return nested(kind)
    if isinstance(kind, type) and issubclass(kind, Word):
        return word(kind)
    return PLAIN[origin or kind]


_ABSENT = (type(None), msgspec.UnsetType)

PLAIN: Mapping[Any, Any] = {
    str: str,
    bool: bool,
    float: float,
    int: BigInt,
    dt.datetime: dt.datetime,
    dict: Json,
    Any: Optional[Json],
}
"""Types that need no derivation."""
