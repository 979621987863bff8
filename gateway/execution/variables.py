"""Variables of an operation coerced without the engine, where all of them are plain texts, as those of most are.

For each execution the engine looks up the type of each variable in the schema, and walks through value and type
together, as deep as they go. Of an operation that is executed again and again nothing of that changes but the values,
and a text that is to be a String or an ID is coerced to itself.
"""

from collections.abc import Mapping
from typing import Any, cast

from graphql import (
    GraphQLError,
    GraphQLID,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    VariableValues,
)
from graphql.execution import get_variable_values
from graphql.execution.values import VariableValueSource


class Variables:
    """The variables of one operation."""

    def __init__(self, operation: OperationDefinitionNode) -> None:
        self._definitions = operation.variable_definitions or ()
        self._schema: GraphQLSchema | None = None
        self._texts: Mapping[str, VariableValueSource] = {}
        """Where all of them are texts: what the engine says of each, but for its value."""

    def coerced(self, schema: GraphQLSchema, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """As `graphql.execution.get_variable_values`."""
        if self._schema is schema and len(self._texts) == len(self._definitions):
            values = {name: given.get(name) for name in self._texts}
            if all(value.__class__ is str for value in values.values()):
                told = {name: source._replace(value=values[name]) for name, source in self._texts.items()}
                return VariableValues(told, values)
        coerced = get_variable_values(schema, self._definitions, dict(given))
        if self._schema is None and isinstance(coerced, VariableValues):
            self._schema, self._texts = schema, {name: of for name, of in coerced.sources.items() if _is_text(of)}
        return coerced


def _is_text(source: VariableValueSource) -> bool:
    kind = cast("Any", source.signature).type
    named = cast("Any", kind).of_type if isinstance(kind, GraphQLNonNull) else kind
    return named in (GraphQLString, GraphQLID) and source.signature.default is None
