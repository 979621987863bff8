"""Looking ahead: which fields of the unified record a query selects, as the field paths that adapters are asked for."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, cast

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    VariableValues,
    get_directive_values,
    get_named_type,
)
from graphql.type.directives import GraphQLIncludeDirective
from strawberry.types import Info

from adapters.port import Fields
from gateway.execution.documents import is_kept
from gateway.info import raw

CONNECTION = "Connection"
DETAILS = "ConnectionDetails"


def connection_fields(info: Info[Any, Any]) -> Fields:
    """The field paths selected of every `Connection` below the present field, at whatever depth."""
    return _walked(raw(info), None)


def child_fields(info: Info[Any, Any]) -> Fields:
    """The fields selected below the present one, those inside of others with dots."""
    return _walked(raw(info), "")


def is_only_field(info: Info[Any, Any]) -> bool:
    """Whether the present field is all that its operation asks for at the top, so that nothing else is resolved before
    it is."""
    engine = raw(info)
    asked = engine.operation.selection_set.selections
    return engine.path.prev is None and len(asked) == 1 and isinstance(asked[0], FieldNode)


_KEPT = 600
"""Selections that are remembered, a few for each document that is."""
_walks: OrderedDict[tuple[int, str | None], tuple[list[FieldNode], Fields]] = OrderedDict()
"""What was selected, by the id of the first node, which is held so that no other node can have it."""


def _walked(engine: GraphQLResolveInfo[Any], path: str | None) -> Fields:
    """The paths below the present field. Documents are executed again and again, so they are remembered, unless it
    takes the variables to know them."""
    nodes = engine.field_nodes
    key = id(nodes[0]), path
    found = _walks.get(key)
    if found is not None and found[0] == nodes:
        return found[1]
    walk = _Walk(engine)
    named = cast("GraphQLNamedType", get_named_type(cast("Any", engine).return_type))
    for node in nodes:
        walk.into(node.selection_set, named, path)
    fields = frozenset(walk.paths)
    if not walk.is_conditional and is_kept(nodes[0]):
        _walks[key] = nodes, fields
        if len(_walks) > _KEPT:
            _walks.popitem(last=False)
    return fields


class _Walk:
    """One pass over a selection. A path is None outside of any connection, and "" at its top."""

    def __init__(self, info: GraphQLResolveInfo[Any]) -> None:
        self.paths: set[str] = set()
        self.is_conditional = False
        """Whether a directive had a say in it."""
        self._info = info
        self._schema: GraphQLSchema = info.schema
        self._seen: set[tuple[str, str | None]] = set()

    def into(self, selections: SelectionSetNode | None, parent: GraphQLNamedType, path: str | None) -> None:
        if selections is None:
            return
        if parent.name == CONNECTION and path is None:
            path = ""
        for node in selections.selections:
            if self._is_included(node):
                self._node(node, parent, path)

    def _node(self, node: SelectionNode, parent: GraphQLNamedType, path: str | None) -> None:
        match node:
            case FieldNode():
                self._field(node, parent, path)
            case InlineFragmentNode():
                condition = node.type_condition.name.value if node.type_condition else parent.name
                self._fragment(node.selection_set, parent, condition, path)
            case FragmentSpreadNode():
                name = node.name.value
                if (name, path) not in self._seen:  # each fragment once for each place: linear, however they nest
                    self._seen.add((name, path))
                    definition = self._info.fragments[name]
                    self._fragment(definition.selection_set, parent, definition.type_condition.name.value, path)
            case _:
                pass

    def _fragment(self, inside: SelectionSetNode, parent: GraphQLNamedType, condition: str, path: str | None) -> None:
        applied = self._schema.get_type(condition) or parent
        is_details = parent.name == DETAILS and isinstance(applied, GraphQLObjectType)
        self.into(inside, applied, applied.name if is_details else path)

    def _field(self, node: FieldNode, parent: GraphQLNamedType, path: str | None) -> None:
        field = getattr(parent, "fields", {}).get(node.name.value)
        if field is None:  # __typename
            return
        if path is not None:
            name: str = field.extensions["strawberry-definition"].python_name
            path = f"{path}.{name}" if path else name
            self.paths.add(path)
        self.into(node.selection_set, cast("GraphQLNamedType", get_named_type(field.type)), path)

    def _is_included(self, node: SelectionNode) -> bool:
        return all(self._decided(node))

    def _decided(self, node: SelectionNode) -> Iterator[bool]:
        if node.directives:
            self.is_conditional = True
            # Strawberry hands resolvers the bare values; the engine's own functions want what they came in.
            variables = VariableValues({}, cast("dict[str, Any]", self._info.variable_values))
            skip = get_directive_values(GraphQLSkipDirective, node, variables)
            include = get_directive_values(GraphQLIncludeDirective, node, variables)
            yield not (skip and skip["if"])
            yield include is None or include["if"]
