"""What a value must be to be answered as it is, or else be looked at by the engine."""

from collections.abc import Mapping
from types import GeneratorType, NoneType
from typing import Any, Final

from graphql import GraphQLBoolean, GraphQLFloat, GraphQLID, GraphQLInt, GraphQLString
from graphql.pyutils import Undefined


class Surprise(Exception):
    """A value is not what its type says: the engine is to look at it."""


EXACT: Final[Mapping[Any, str]] = {
    GraphQLString: "{0}.__class__ is not str",
    GraphQLID: "{0}.__class__ is not str",
    GraphQLInt: "{0}.__class__ is not int or not -2147483648 <= {0} <= 2147483647",
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
