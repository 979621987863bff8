"""Variables of an operation coerced without the engine, where they are what most of them are.

For each execution the engine looks up the type of each variable in the schema, and walks through value and type
together, as deep as they go. Of an operation that is executed again and again nothing of that changes but the values.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from graphql import (
    GraphQLError,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableDefinitionNode,
    VariableValues,
)
from graphql.execution import get_variable_values
from graphql.execution.get_variable_signature import GraphQLVariableSignature
from graphql.execution.values import VariableValueSource
from graphql.pyutils import Undefined
from graphql.utilities.coerce_input_value import coerce_default_value

from gateway.execution.inputs import Coerce, Coercers


class _Variable(NamedTuple):
    """A variable. ``default`` is what it is where it is left out; Undefined for nothing."""

    name: str
    signature: GraphQLVariableSignature
    coerce: Coerce
    is_required: bool
    default: Any


class Variables:
    """The variables of one operation."""

    def __init__(self, operation: OperationDefinitionNode) -> None:
        self._definitions: Sequence[VariableDefinitionNode] = operation.variable_definitions or ()
        self._schema: GraphQLSchema | None = None
        self._variables: Sequence[_Variable] = ()

    def coerced(self, schema: GraphQLSchema, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """As `graphql.execution.get_variable_values`."""
        if self._schema is schema:
            common = _coerced(self._variables, given)
            if common is not None:
                return common
        coerced = get_variable_values(schema, self._definitions, dict(given))
        if self._schema is None and isinstance(coerced, VariableValues):
            coercers = Coercers()
            self._variables = [_variable(source.signature, coercers) for source in coerced.sources.values()]
            self._schema = schema
        return coerced


def _variable(signature: GraphQLVariableSignature, coercers: Coercers) -> _Variable:
    kind: Any = cast("Any", signature).type
    default = coerce_default_value(signature)
    is_required = default is Undefined and isinstance(kind, GraphQLNonNull)
    return _Variable(signature.name, signature, coercers.of(kind), is_required, default)


def _coerced(variables: Sequence[_Variable], given: Mapping[str, Any]) -> VariableValues | None:
    """The values; None where the engine is to look at them."""
    sources: dict[str, VariableValueSource] = {}
    values: dict[str, Any] = {}
    for name, signature, coerce, is_required, default in variables:
        if name in given:
            value = given[name]
            sources[name] = VariableValueSource(signature, value)
            try:
                values[name] = coerce(value, 0)
            except Exception:  # noqa: BLE001  whatever it is, the engine meets it again and tells it
                return None
        elif is_required:
            return None
        else:
            sources[name] = VariableValueSource(signature)
            if default is not Undefined:
                values[name] = default
    return VariableValues(sources, values)
