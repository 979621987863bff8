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
from graphql.execution.get_variable_signature import GraphQLVariableSignature
from graphql.execution.values import VariableValueSource


class Variables:
    """The variables of one operation."""

    def __init__(self, operation: OperationDefinitionNode) -> None:
        self._definitions = operation.variable_definitions or ()
        self._schema: GraphQLSchema | None = None
        self._texts: Mapping[str, GraphQLVariableSignature] = {}
        """Those that are texts, by name."""

    def coerced(self, schema: GraphQLSchema, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """As `graphql.execution.get_variable_values`."""
        if self._schema is schema and len(self._texts) == len(self._definitions):
            values = {name: value for name in self._texts if (value := given.get(name)).__class__ is str}
            if len(values) == len(self._texts):
                sources = {name: VariableValueSource(of, values[name]) for name, of in self._texts.items()}
                return VariableValues(sources, values)
        coerced = get_variable_values(schema, self._definitions, dict(given))
        if self._schema is None and isinstance(coerced, VariableValues):
            signatures = {name: source.signature for name, source in coerced.sources.items()}
            self._schema, self._texts = schema, {name: of for name, of in signatures.items() if _is_text(of)}
        return coerced


def _is_text(signature: GraphQLVariableSignature) -> bool:
    kind = cast("Any", signature).type
    named = cast("Any", kind).of_type if isinstance(kind, GraphQLNonNull) else kind
    return named in (GraphQLString, GraphQLID) and signature.default is None
