"""An operation executed without an executor, where all of it is known: the resolvers of its fields are called, and what
they give is read by plans.

A small query is mostly the engine's own preparations: an executor with its state, the selections collected, a task and
a coroutine for each thing to wait for. All of them are made anew for each execution, and of a query for a few things
next to nothing comes of them. What is not all plain goes to an executor with the outcomes of the resolvers, which are
not called again.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self, TypeAlias, cast

from graphql import (
    ExecutionResult,
    GraphQLList,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    VariableValues,
)
from graphql.execution import executor as executors
from graphql.pyutils import Path

from gateway.execution.called import Call, new_info
from gateway.execution.later import Later
from gateway.execution.values import nullable

_engine: Any = executors

Read: TypeAlias = Callable[[Any, Any], Any]
"""Reads a value for an execution; gives None where it is for an executor."""


class Reads(NamedTuple):
    """How the values of all fields of an operation are read, in their order. ``are_settled`` says that the same is read
    of the same values each time: nothing is called that may answer otherwise."""

    of: Sequence[Read]
    are_settled: bool


class Root(NamedTuple):
    """A field of an operation. ``plan`` is the key of the plan of its value, or of the items of a list;
    ``has_required`` says of a list whether each must be something."""

    name: str
    parent: Any
    call: Call
    plan: tuple[Any, ...]
    is_required: bool
    is_list: bool
    has_required: bool


class Roots(NamedTuple):
    """All fields of an operation. ``fragments`` are the engine's own."""

    fields: Sequence[Root]
    fragments: Mapping[str, Any]
    fragment_definitions: Mapping[str, Any]

    @classmethod
    def of(cls, executor: Any, fields: Iterable[tuple[str, Any, Any, Call | None]]) -> Self | None:
        """Those of an executor's operation, given as the name, the parent, the engine's details and the call of each;
        None where one is resolved in another way, and for a mutation, whose fields come one after the other."""
        if executor.operation.operation is not OperationType.QUERY:
            return None
        found: list[Root] = []
        for name, parent, details, call in fields:
            if call is None:
                return None
            kind, is_required = nullable(cast("Any", call.field).type)
            is_list = isinstance(kind, GraphQLList)
            named, has_required = nullable(cast("Any", kind).of_type) if is_list else (kind, False)
            plan = getattr(named, "name", ""), *(id(detail.node) for detail in details)
            found.append(Root(name, parent, call, plan, is_required, is_list, has_required))
        return cls(found, executor.fragments, executor.fragment_definitions) if found else None


class Outcome(NamedTuple):
    """What a resolver has come to: a value or an exception. A value may be one to be awaited, unless it is what came of
    awaiting: that is done once."""

    value: Any = None
    raised: Exception | None = None
    was_awaited: bool = False

    def given(self) -> Any:
        """What it gave. Raises what it raised."""
        if self.raised is not None:
            raise self.raised
        return self.value


class Settled(ExecutionResult):
    """A result without errors, whose data is the same whenever the resolvers of the operation's fields come to the same
    values. ``in_context`` gives what it is `Alike` in another context."""

    in_context: "Callable[[Any], Alike]"


Alike: TypeAlias = Callable[[Sequence[Any]], Settled | None]
"""The result where the resolvers of the fields came to these values, in their order; None where that takes an
executor."""


class Asked(NamedTuple):
    """What is to be executed: an operation with its coerced variables, upon a value and in a context."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    variables: VariableValues
    root_value: Any
    context_value: Any


class Execution:
    """One execution of an operation. It is to the resolvers what an executor would be: ``new`` makes one where that is
    needed after all."""

    def __init__(self, roots: Roots, asked: Asked, reads: Reads, new: Callable[..., Any]) -> None:
        self.schema, self.operation, self.variable_values, self.root_value, self.context_value = asked
        self.fragment_definitions = roots.fragment_definitions
        self.is_awaitable: Any = _engine.default_is_awaitable
        self.abort_signal = None
        self.operation_extensions = None
        self._roots = roots
        self._reads = reads.of
        self._are_settled = reads.are_settled
        self._new = new
        self._made: Any = None
        self._outcomes: dict[str, Outcome] = {}
        self._data: dict[str, Any] = {}

    def result(self, arguments: Sequence[dict[str, Any]]) -> Any:
        """The result, or an awaitable of it. ``arguments`` are those of all fields, in their order."""
        pending: list[tuple[Root, Read]] = []
        for root, read, given in zip(self._roots.fields, self._reads, arguments, strict=True):
            outcome = self._resolved(root, given)
            if self.is_awaitable(outcome.value):
                self._outcomes[root.name] = outcome
                self._data[root.name] = None  # its place
                pending.append((root, read))
            elif not self._is_answered(root, read, outcome):
                return self._by_executor()  # which calls the other resolvers, if they are to be called
        if not pending:
            return self._done()
        return self._alone(*pending[0]) if len(pending) == 1 else self._together(pending)

    def _resolved(self, root: Root, arguments: dict[str, Any]) -> Outcome:
        name, parent, call, *_ = root
        info = new_info(self, call.field, call.nodes, parent, Path(None, name, parent.name))
        try:
            return Outcome(call.resolve(self.root_value, info, arguments))
        except Exception as raised:  # noqa: BLE001  whatever it is, the engine tells it
            return Outcome(raised=raised)

    async def _alone(self, root: Root, read: Read) -> ExecutionResult:
        try:  # as `_awaited`, without a coroutine more to go through
            outcome = Outcome(await self._outcomes[root.name].value, was_awaited=True)
        except Exception as raised:  # noqa: BLE001  as above
            outcome = Outcome(raised=raised)
        return self._done() if self._is_answered(root, read, outcome) else await self._in_the_end()

    def _done(self) -> ExecutionResult:
        if not self._are_settled:
            return ExecutionResult(self._data, None)
        result = Settled(self._data, None)
        result.in_context = self._in_context
        return result

    def _in_context(self, context_value: Any) -> Alike:
        asked = Asked(self.schema, self.operation, self.variable_values, self.root_value, context_value)
        execution = Execution(self._roots, asked, Reads(self._reads, self._are_settled), self._new)
        return functools.partial(_alike, execution, list(zip(self._roots.fields, self._reads, strict=True)))

    async def _together(self, pending: Sequence[tuple[Root, Read]]) -> ExecutionResult:
        """What is under way already needs no task, and one after the other is as soon as all of them. Unless one must
        be something: where that fails, nobody waits for the others."""
        values: list[Any] = [self._outcomes[root.name].value for root, _ in pending]
        waiting: list[Any] = [each if isinstance(each, Later) else asyncio.ensure_future(each) for each in values]
        try:
            if any(root.is_required for root, _ in pending):
                waiting = list(map(asyncio.ensure_future, waiting))
                await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
                outcomes = list(map(_outcome, waiting))
                if any(root.is_required and of.raised for (root, _), of in zip(pending, outcomes, strict=True)):
                    await _end(waiting)  # there is no data any more
            else:
                outcomes = [await _awaited(each) for each in waiting]
        except BaseException:
            for each in waiting:
                if isinstance(each, asyncio.Future):
                    each.cancel()
            raise
        answered = [
            self._is_answered(root, read, outcome) for (root, read), outcome in zip(pending, outcomes, strict=True)
        ]
        return self._done() if all(answered) else await self._in_the_end()

    def _is_answered(self, root: Root, read: Read, outcome: Outcome) -> bool:
        """Whether a field has its answer; takes note of what it has come to."""
        self._outcomes[root.name] = outcome
        value, raised, was_awaited = outcome
        if raised is not None or (isinstance(value, asyncio.Future) and not was_awaited):
            return False
        answered = self._data[root.name] = None if value is None else read(value, self)
        return answered is not None or (value is None and not root.is_required)

    async def _in_the_end(self) -> ExecutionResult:
        result = self._by_executor()
        return cast("ExecutionResult", await result if self.is_awaitable(result) else result)

    def _by_executor(self) -> Any:
        executor = self._executor
        executor.outcomes = self._outcomes
        return executor.execute_operation()

    @property
    def async_helpers(self) -> Any:
        """What a resolver may ask of the engine: `gather` and `track`. No attribute, or this would hold itself, and all
        that the request has come to, until garbage is collected."""
        return self

    @property
    def _executor(self) -> Any:
        """An executor, made when it is needed."""
        if self._made is None:
            self._made = self._new(
                self.schema,
                self.fragment_definitions,
                self._roots.fragments,
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


def _alike(execution: Execution, fields: Sequence[tuple[Root, Read]], values: Sequence[Any]) -> Settled | None:
    data: dict[str, Any] = {}
    for (root, read), value in zip(fields, values, strict=True):
        answered = data[root.name] = None if value is None else read(value, execution)
        if answered is None and (value is not None or root.is_required):
            return None
    return Settled(data, None)


async def _end(waiting: Iterable["asyncio.Future[Any]"]) -> None:
    """End what is still under way, and see it ended."""
    undone = [each for each in waiting if not each.done()]
    for each in undone:
        each.cancel()
    await asyncio.gather(*undone, return_exceptions=True)


async def _awaited(value: Awaitable[Any]) -> Outcome:
    """What something to be awaited comes to."""
    try:
        return Outcome(await value, was_awaited=True)
    except Exception as raised:  # noqa: BLE001  whatever it is, the engine tells it
        return Outcome(raised=raised)


def _outcome(future: "asyncio.Future[Any]") -> Outcome:
    """What a future has come to so far; the future itself, for the engine to await, where that is nothing."""
    if not future.done() or future.cancelled():
        return Outcome(future)
    raised = future.exception()
    if raised is None:
        return Outcome(future.result(), was_awaited=True)
    return Outcome(raised=raised) if isinstance(raised, Exception) else Outcome(future)
