"""Input coerced by functions made for its type, where it is as most of it is: what surprises is left to the engine.

The engine walks through a value and its type together, and asks each type anew what it is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast

from graphql import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLString,
    is_required_input_field,
)
from graphql.pyutils import Undefined
from graphql.utilities.coerce_input_value import coerce_default_value

from gateway.execution.values import Surprise

Coerce: TypeAlias = Callable[[Any, int], Any]
"""Gives what the engine would make of a value that lies so deep in others, or raises whatever it may be."""

DEEPEST: Final = 50
"""What lies deeper is left to the engine, which has its own idea of what is too deep."""


class Coercers:
    """The functions for input types, each made once."""

    def __init__(self) -> None:
        self._objects: dict[str, _Object] = {}

    def of(self, kind: Any) -> Coerce:
        """The function for values of a type."""
        if isinstance(kind, GraphQLNonNull):
            return self._present(cast("Any", kind).of_type)
        coerce = self._present(kind)
        return lambda value, depth: None if value is None else coerce(value, depth)

    def _present(self, kind: Any) -> Coerce:
        """The function for what must not be null."""
        if kind in _EXACT:
            return _EXACT[kind]
        if isinstance(kind, GraphQLList):
            item = self.of(cast("Any", kind).of_type)
            return lambda value, depth: [item(each, depth + 1) for each in _of_class(list, value, depth)]
        if isinstance(kind, GraphQLEnumType):
            words = {name: kind.coerce_input_value(name) for name in kind.values}
            return lambda value, _: words[value]
        if isinstance(kind, GraphQLInputObjectType):
            return self._object(kind)
        return _scalar(kind)

    def _object(self, kind: GraphQLInputObjectType) -> Coerce:
        if kind.name not in self._objects:
            made = self._objects[kind.name] = _Object(kind)  # before its fields, which may hold one of the kind
            made.fields = [
                _Field(
                    name,
                    field.out_name or name,
                    self.of(field.type),
                    is_required_input_field(field),
                    coerce_default_value(field),
                )
                for name, field in kind.fields.items()
            ]
        return self._objects[kind.name]


class _Field(NamedTuple):
    """A field of an input object. ``out_name`` is its name in what comes of it, ``default`` what it is where it is left
    out; Undefined for nothing."""

    name: str
    out_name: str
    coerce: Coerce
    is_required: bool
    default: Any


class _Object:
    """The function for an input object."""

    def __init__(self, kind: GraphQLInputObjectType) -> None:
        self.fields: Sequence[_Field] = ()
        self._kind = kind

    def __call__(self, value: Any, depth: int) -> Any:
        given: Mapping[str, Any] = _of_class(dict, value, depth)
        coerced: dict[str, Any] = {}
        left = len(given)
        for name, out_name, coerce, is_required, default in self.fields:
            if name in given:
                coerced[out_name] = coerce(given[name], depth + 1)
                left -= 1
            elif is_required:
                raise Surprise
            elif default is not Undefined:
                coerced[out_name] = default
        if left or self._kind.is_one_of:  # something that it does not have, or too much of what it has
            raise Surprise
        return self._kind.out_type(coerced)


def _scalar(kind: Any) -> Coerce:
    def coerce(value: Any, _: int) -> Any:
        if value is None:
            raise Surprise
        coerced = kind.coerce_input_value(value)
        if coerced is Undefined:
            raise Surprise
        return coerced

    return coerce


def _of_class(kind: type, value: Any, depth: int) -> Any:
    if value.__class__ is not kind or depth > DEEPEST:
        raise Surprise
    return value


def _exactly(kind: type) -> Coerce:
    def coerce(value: Any, _: int) -> Any:
        if value.__class__ is not kind:
            raise Surprise
        return value

    return coerce


def _int(value: Any, _: int) -> int:
    if value.__class__ is not int or not GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT:
        raise Surprise
    return value


_EXACT: Final[Mapping[Any, Coerce]] = {
    GraphQLString: _exactly(str),
    GraphQLID: _exactly(str),
    GraphQLInt: _int,
    GraphQLBoolean: _exactly(bool),
}
