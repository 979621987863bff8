"""What a document asks for, as numbers.

Each definition is walked once, and the numbers of a fragment are added wherever it is spread. Nothing is expanded and
nothing recurses: a document whose fragments multiply (1 kB can mean a billion fields) is measured as fast as any other.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from graphql import DocumentNode, FragmentDefinitionNode, OperationDefinitionNode, VariableNode

from gateway.protection.parts import MOST, Pair, Part, walk
from gateway.protection.sizes import Variables, known

_OPERATION: Final = ""  # its name among the fragments: none of them can be called so


class Totals(NamedTuple):
    """What a definition holds with all its fragments in place, each as often as it is spread."""

    aliases: int
    directives: int
    root_fields: int
    depths: Pair


class Measured(NamedTuple):
    """What one operation asks for; ``costs`` adds what its variables decide. Immutable: keep it with the document.

    Depth counts fields inside fields. What lies beneath `__schema` and `__type` has a depth and a cost of its own.
    """

    aliases: int
    directives: int
    root_fields: int
    depth: int
    introspection_depth: int
    parts: Mapping[str, Part]
    defaults: Mapping[str, object]
    varies: bool
    """Whether variables have a say in what it costs."""

    def costs(self, variables: Variables | None, *, page: int) -> Pair:
        """The cost of the query and of its introspection. No page counts for more than ``page`` rows."""
        values = {**self.defaults, **(variables or {})}
        done: dict[str, Pair] = {}
        for name, part in self.parts.items():
            done[name] = part.costs(values, page, done)
        return done[_OPERATION]


def measure(
    document: DocumentNode, operation_name: str | None = None, *, page_fields: Mapping[str, int] | None = None
) -> Measured:
    """Measure the operation that would run, with the fragments it reaches.

    Where none can be told, all are measured as one. ``page_fields`` are the page sizes of fields that have a default.
    Fragments that are unknown or spread themselves count for nothing: validation reports them.
    """
    sizes = page_fields or {}
    operations = _selected(document, operation_name)
    parts = {
        definition.name.value: walk([definition], sizes)
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    parts[_OPERATION] = walk(operations, sizes)
    reached = {name: parts[name] for name in _inner_first(parts)}
    totals: dict[str, Totals] = {}
    for name, part in reached.items():
        totals[name] = _total(part, totals)
    aliases, directives, root_fields, depths = totals[_OPERATION]
    return Measured(
        aliases, directives, root_fields, *depths, reached, _defaults(operations), _varies(reached.values())
    )


def _selected(document: DocumentNode, name: str | None) -> list[OperationDefinitionNode]:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return [node for node in operations if name and node.name and node.name.value == name] or operations


def _defaults(operations: Iterable[OperationDefinitionNode]) -> dict[str, object]:
    return {
        definition.variable.name.value: known(definition.default_value, {})
        for operation in operations
        for definition in operation.variable_definitions or ()
        if definition.default_value
    }


def _varies(parts: Iterable[Part]) -> bool:
    sizes = (size for part in parts for scope in part.scopes for size in scope.sizes)
    return any(isinstance(value, VariableNode) for size in sizes for value in size.given)


def _inner_first(parts: Mapping[str, Part]) -> Iterable[str]:
    """What the operation reaches, each after the fragments spread in it; a circle is cut where it closes."""
    entered: set[str] = set()
    left: dict[str, None] = {}
    todo = [_OPERATION]
    while todo:
        name = todo[-1]
        if name in entered:
            left.setdefault(todo.pop())
        else:
            entered.add(name)
            todo += (inner for inner, _ in parts[name].spreads if inner in parts and inner not in entered)
    return left


def _total(part: Part, done: Mapping[str, Totals]) -> Totals:
    aliases, directives, root_fields, depths = part.aliases, part.directives, part.root_fields, part.depths
    for name, place in part.spreads:
        if inner := done.get(name):
            introspects = part.introspects(place)
            aliases += inner.aliases
            directives += inner.directives
            root_fields += 0 if place.level or introspects else inner.root_fields
            depths = _deeper(depths, place.level, inner.depths, introspects=introspects)
    return Totals(min(aliases, MOST), min(directives, MOST), min(root_fields, MOST), depths)


def _deeper(outer: Pair, level: int, inner: Pair, *, introspects: bool) -> Pair:
    """The depths of ``outer`` with ``inner`` spread at ``level``; a part's introspection starts a count of its own."""
    level, introspection_level = (0, level) if introspects else (level, 0)
    return max(outer[0], level + inner[0]), max(outer[1], introspection_level + inner[1])
