"""An operation of one field executed without an executor, where all of it is known: its resolver is called, and what
that gives is read by a plan.

A small query is mostly the engine's own preparations: an executor with its state, the selections collected, a coroutine
for each thing to wait for. All of them are made anew for each execution, and of a query for one thing next to nothing
comes of them. What is not all plain goes to an executor with the outcome of the resolver, which is not called again.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from graphql import ExecutionResult, GraphQLNonNull, GraphQLSchema, OperationDefinitionNode, VariableValues
from graphql.execution import executor as executors
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.execution.called import Call

_engine: Any = executors
_new_info: Any = cast("Any", StrawberryGraphQLCoreExecutionContext).build_resolve_info


class Root(NamedTuple):
    """The one field of an operation. ``fragments`` are the engine's own, ``plan`` the key of the plan of its value."""

    name: str
    parent: Any
    call: Call
    fragments: Mapping[str, Any]
    fragment_definitions: Mapping[str, Any]
    plan: tuple[Any, ...]
    is_required: bool


class Outcome(NamedTuple):
    """What a resolver has come to."""

    value: Any = None
    raised: Exception | None = None

    def given(self) -> Any:
        """What it gave. Raises what it raised."""
        if self.raised is not None:
            raise self.raised
        return self.value


def root(executor: Any, parent: Any, grouped: Mapping[str, Any], call: Call | None) -> Root | None:
    """The one field of an executor's operation; None where there are others, or it is resolved in another way."""
    if call is None or len(grouped) != 1:
        return None
    name, details = next(iter(grouped.items()))
    kind: Any = cast("Any", call.field).type
    is_required = isinstance(kind, GraphQLNonNull)
    named: Any = cast("Any", kind).of_type if is_required else kind
    plan = getattr(named, "name", ""), *(id(detail.node) for detail in details)
    return Root(name, parent, call, executor.fragments, executor.fragment_definitions, plan, is_required)


class Asked(NamedTuple):
    """What is to be executed: an operation with its coerced variables, upon a value and in a context."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    variables: VariableValues
    root_value: Any
    context_value: Any


class Execution:
    """One execution of an operation of one field. It is to the resolver what an executor would be: ``new`` makes one
    where that is needed after all."""

    def __init__(self, root: Root, asked: Asked, new: Callable[..., Any]) -> None:
        self.schema, self.operation, self.variable_values, self.root_value, self.context_value = asked
        self.fragment_definitions = root.fragment_definitions
        self.is_awaitable: Any = _engine.default_is_awaitable
        self.abort_signal = None
        self.operation_extensions = None
        self.async_helpers = self
        self._root = root
        self._new = new
        self._made: Any = None

    def result(self, read: Callable[[Any], Any], arguments: dict[str, Any]) -> Any:
        """The result, or an awaitable of it. ``read`` gives None where a value is for an executor."""
        name, parent, call, *_ = self._root
        info = _new_info(self, call.field, call.nodes, parent, Path(None, name, parent.name))
        try:
            value = call.resolve(self.root_value, info, arguments)
        except Exception as raised:  # noqa: BLE001  whatever it is, the engine tells it
            return self._by_executor(Outcome(raised=raised))
        return self._awaited(read, value) if self.is_awaitable(value) else self._answered(read, value)

    async def _awaited(self, read: Callable[[Any], Any], value: Any) -> ExecutionResult:
        try:
            value = await value
        except Exception as raised:  # noqa: BLE001  as above
            result = self._by_executor(Outcome(raised=raised))
        else:
            result = self._answered(read, value)
        return cast("ExecutionResult", await result if self.is_awaitable(result) else result)

    def _answered(self, read: Callable[[Any], Any], value: Any) -> Any:
        answered = None if value is None else read(value)
        if answered is None and (value is not None or self._root.is_required):
            return self._by_executor(Outcome(value))
        return ExecutionResult({self._root.name: answered}, None)

    def _by_executor(self, outcome: Outcome) -> Any:
        executor = self._executor
        executor.outcome = outcome
        return executor.execute_operation()

    @property
    def _executor(self) -> Any:
        """An executor, made when it is needed."""
        if self._made is None:
            self._made = self._new(
                self.schema,
                self.fragment_definitions,
                self._root.fragments,
                self.root_value,
                self.context_value,
                self.operation,
                self.variable_values,
                _engine.default_field_resolver,
                _engine.default_type_resolver,
                _engine.default_field_resolver,
            )
        return self._made

    # What a resolver may ask of the engine

    def gather(self, values: Any) -> Any:
        """As `graphql.type.GraphQLResolveInfoHelpers` has it."""
        return self._executor.gather_async_work(values)

    def track(self, values: Any) -> None:
        """Likewise."""
        self._executor.track_async_work(values)
