"""What a value must be to be answered as it is, or else be looked at by the engine."""

from collections.abc import Mapping
from types import GeneratorType, NoneType
from typing import Any, Final, cast

from graphql import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    GraphQLBoolean,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLNonNull,
    GraphQLString,
)
from graphql.pyutils import Undefined


class Surprise(Exception):
    """A value is not what its type says: the engine is to look at it."""


def nullable(kind: Any) -> tuple[Any, bool]:
    """A type as if it could be null, and whether it must not be."""
    return (cast("Any", kind).of_type, True) if isinstance(kind, GraphQLNonNull) else (kind, False)


EXACT: Final[Mapping[Any, str]] = {
    GraphQLString: "{0}.__class__ is not str",
    GraphQLID: "{0}.__class__ is not str",
    GraphQLInt: f"{{0}}.__class__ is not int or not {GRAPHQL_MIN_INT} <= {{0}} <= {GRAPHQL_MAX_INT}",
    GraphQLFloat: "{0}.__class__ is not float or {0} - {0} != 0.0",  # neither infinite nor not a number
    GraphQLBoolean: "{0} is not True and {0} is not False",
}
"""When a value of a built-in scalar is not answered as it is."""

HARMLESS: Final[set[type]] = set()
"""Classes whose instances are values: not null, not to be awaited, and no errors."""
HARMFUL: Final = "{0}.__class__ not in harmless and not is_harmless({0})"


def is_harmless(value: object) -> bool:
    """Whether a value's class is one of those, which is found out once."""
    found = has_values(value.__class__)
    if found:
        HARMLESS.add(value.__class__)
    return found


def has_values(kind: type) -> bool:
    """Whether instances of a class are values to the engine, which asks each of them whether it can be awaited."""
    # Of the class itself: those of enums answer whatever they are asked, and their members do not.
    answers_all = any(name in base.__dict__ for base in kind.__mro__ for name in _ANSWERS)
    return not answers_all and not issubclass(kind, _NO_VALUES)


_ANSWERS = "__await__", "__getattr__"
_NO_VALUES = Exception, GeneratorType, NoneType, Undefined.__class__
