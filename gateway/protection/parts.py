"""One definition of a document (an operation or a fragment) as the few numbers that its limits need.

The fields that are answered equally often form a scope: a definition is one scope, and each list in it opens another.
So the cost under other variables takes a few multiplications and no second walk. The walk does not recurse.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

import msgspec
from graphql import (
    ExecutableDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    NamedTypeNode,
    SelectionNode,
)

from gateway.protection.sizes import INTROSPECTION_SIZES, Size, Variables, sizes_of

Pair: TypeAlias = tuple[int, int]
"""A number for the query itself, and one for what lies beneath `__schema` and `__type`; indexed by `introspects`."""

MOST: Final = 2**53 - 1
"""Counting stops here: beyond it a number is only "far too many", and JSON could not carry it exactly."""

_INTROSPECTION: Final = ("__schema", "__type")


class Scope(msgspec.Struct):
    """How many fields are answered equally often: as often as the scope at ``outer``, times each of ``sizes``."""

    outer: int
    sizes: tuple[Size, ...]
    introspects: bool
    fields: int = 0


class Place(NamedTuple):
    """Where a selection stands in its definition: in which scope, and beneath how many fields."""

    scope: int
    level: int


class Part(msgspec.Struct):
    """A definition's own numbers, and the fragments whose numbers are to be added to them.

    An outer scope comes before those inside it. The first holds the definition and has no outer one.
    """

    scopes: list[Scope] = []
    spreads: list[tuple[str, Place]] = []
    aliases: int = 0
    directives: int = 0
    root_fields: int = 0
    depths: Pair = (0, 0)

    def introspects(self, place: Place) -> bool:
        return self.scopes[place.scope].introspects

    def costs(self, variables: Variables, page: int, inner: Mapping[str, Pair]) -> Pair:
        """One for each field, times the sizes around it; ``inner`` has the costs of the fragments."""
        times: list[int] = []
        costs = [0, 0]
        for scope in self.scopes:
            rows = math.prod(size.rows(variables, page) for size in scope.sizes)
            times.append(rows * times[scope.outer] if times else rows)
            costs[scope.introspects] += times[-1] * scope.fields
        for name, place in self.spreads:
            for kind, cost in enumerate(inner.get(name, ())):
                costs[kind] += times[place.scope] * cost
        return min(costs[0], MOST), min(costs[1], MOST)


def walk(definitions: Iterable[ExecutableDefinitionNode], page_fields: Mapping[str, int]) -> Part:
    """The numbers of ``definitions`` as if they were one, in time linear in their text.

    ``page_fields`` are the sizes of fields where none is asked for.
    """
    part = Part(scopes=[Scope(0, (), introspects=False)])
    todo: list[tuple[SelectionNode, Place]] = []
    for definition in definitions:
        part.directives += _directives(definition)
        condition = definition.type_condition if isinstance(definition, FragmentDefinitionNode) else None
        todo += _inside(definition, _on(part, condition, Place(0, 0)))
    while todo:
        todo += _visit(part, *todo.pop(), page_fields)
    return part


def _visit(
    part: Part, selection: SelectionNode, place: Place, page_fields: Mapping[str, int]
) -> Iterable[tuple[SelectionNode, Place]]:
    """Count ``selection``; the selections inside it."""
    part.directives += len(selection.directives or ())
    if isinstance(selection, FieldNode):
        return _inside(selection, _into(part, selection, place, page_fields))
    if isinstance(selection, InlineFragmentNode):
        return _inside(selection, _on(part, selection.type_condition, place))
    if isinstance(selection, FragmentSpreadNode):
        part.spreads.append((selection.name.value, place))
    return ()


def _inside(
    node: FieldNode | InlineFragmentNode | ExecutableDefinitionNode, place: Place
) -> Iterable[tuple[SelectionNode, Place]]:
    return ((selection, place) for selection in node.selection_set.selections) if node.selection_set else ()


def _directives(definition: ExecutableDefinitionNode) -> int:
    """Those of the definition itself, and of its variables."""
    variables = definition.variable_definitions or ()
    return len(definition.directives or ()) + sum(len(variable.directives or ()) for variable in variables)


def _on(part: Part, condition: NamedTypeNode | None, place: Place) -> Place:
    """Inside a fragment: one on a type like `__Type` can only lie beneath `__schema` or `__type`."""
    if condition is None or not condition.name.value.startswith("__") or part.scopes[place.scope].introspects:
        return place
    return _open(part, Scope(place.scope, (), introspects=True), 0)


def _open(part: Part, scope: Scope, level: int) -> Place:
    part.scopes.append(scope)
    return Place(len(part.scopes) - 1, level)


def _into(part: Part, field: FieldNode, place: Place, page_fields: Mapping[str, int]) -> Place:
    """Count ``field``; the place of what is selected inside it."""
    scope = part.scopes[place.scope]
    level = place.level + 1
    scope.fields += 1
    part.aliases += field.alias is not None
    part.root_fields += level == 1 and not scope.introspects
    depth, introspection_depth = part.depths
    if scope.introspects:
        part.depths = depth, max(introspection_depth, level)
    else:
        part.depths = max(depth, level), introspection_depth
    if field.selection_set is None:
        return place
    if field.name.value in _INTROSPECTION and not scope.introspects:
        return _open(part, Scope(place.scope, (), introspects=True), 0)
    sizes = sizes_of(field, INTROSPECTION_SIZES if scope.introspects else page_fields)
    return _open(part, Scope(place.scope, sizes, scope.introspects), level) if sizes else Place(place.scope, level)
