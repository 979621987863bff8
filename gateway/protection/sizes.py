"""How often a selection is answered: the numbers and lists in a field's arguments that say so."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast

from graphql import FieldNode, IntValueNode, ListValueNode, ValueNode, VariableNode

Variables: TypeAlias = Mapping[str, Any]

_PAGE_ARGUMENTS: Final = ("first", "last")
_LIST_ARGUMENTS: Final = ("ids", "representations")

# About what a schema of this kind has: only the proportions matter.
INTROSPECTION_SIZES: Final[Mapping[str, int]] = {
    "types": 100,
    "fields": 10,
    "inputFields": 5,
    "args": 3,
    "enumValues": 5,
    "possibleTypes": 5,
    "directives": 10,
}


class Size(NamedTuple):
    """How many times a selection is answered: the largest number or list length given, else ``otherwise``."""

    given: tuple[ValueNode, ...]
    otherwise: int

    def rows(self, variables: Variables, page: int) -> int:
        """At least 1. No number counts for more than ``page``: the resolver refuses larger ones itself."""
        counts = (_count(known(value, variables), page) for value in self.given)
        return max((count for count in counts if count), default=self.otherwise)


def known(value: ValueNode, variables: Variables) -> object:
    """The number or list that ``value`` is or stands for; None for anything else, which validation reports."""
    if isinstance(value, VariableNode):
        return variables.get(value.name.value)
    if isinstance(value, IntValueNode):
        return int(value.value[:10])  # more digits are no larger page, and Python refuses to read some thousands
    return value.values if isinstance(value, ListValueNode) else None


def _count(value: object, page: int) -> int | None:
    if isinstance(value, list | tuple):
        return max(1, len(cast("Sequence[object]", value)))
    if isinstance(value, int | float):
        return int(max(1, min(value, page)))
    return None


def sizes_of(field: FieldNode, defaults: Mapping[str, int]) -> tuple[Size, ...]:
    """A page is as large as asked for, else as ``defaults`` says; the entries of a list come on top of that."""
    given = {argument.name.value: argument.value for argument in field.arguments or ()}
    page = tuple(given[name] for name in _PAGE_ARGUMENTS if name in given)
    sizes = [Size((given[name],), 1) for name in _LIST_ARGUMENTS if name in given]
    if page or field.name.value in defaults:
        sizes.append(Size(page, defaults.get(field.name.value, 1)))
    return tuple(sizes)
