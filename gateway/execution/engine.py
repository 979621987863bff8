"""One operation executed: by the engine, under a deadline, with every error in the result coded."""

import contextlib
import functools
import operator
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import graphql
from graphql import ExecutionResult, GraphQLError, OperationType
from strawberry.schema import Schema

from adapters import deadline
from adapters.model import Connection
from adapters.transport import watching
from gateway.context import Context
from gateway.deeds import NOBODY, Caller
from gateway.errors import Code, error, presented
from gateway.execution.compiled import CompiledExecutor
from gateway.execution.documents import Document, Documents, Unfit
from gateway.execution.encoding import to_json
from gateway.execution.whole import Alike, Settled
from gateway.explain import Explanation, Mode
from gateway.grounds import Ground
from gateway.loaders import Loaders
from gateway.lookups import KEPT_BYTES, Come, Lookup
from gateway.protection.body import Operation
from gateway.protection.limits import Limits


class Outcome(NamedTuple):
    """What an operation came to. ``began`` is False where it was refused before anything was executed, ``is_allowed``
    where only queries may be asked for in this way."""

    data: dict[str, Any] | None
    errors: list[GraphQLError]
    began: bool
    explanation: Explanation | None = None
    is_allowed: bool = True
    grounds: Sequence[Ground] | None = None
    """What all of it rests on, where that was asked for and can be told."""
    lookup: Lookup | None = None
    """How it is come by without being executed, likewise."""

    def body(self) -> dict[str, Any]:
        """The response as GraphQL defines it: errors only where there are some, no data where nothing began."""
        told: dict[str, Any] = {"errors": [reason.formatted for reason in self.errors]} if self.errors else {}
        if self.explanation is not None:
            told["extensions"] = {"explain": self.explanation.told()}
        return {**told, "data": self.data} if self.began else told


class Engine:
    """Executes operations against the schema."""

    def __init__(
        self,
        schema: Schema,
        limits: Limits,
        new_context: Callable[..., Context],
        executor: type[CompiledExecutor] | None = None,
    ) -> None:
        # Strawberry's own or one that builds on it: its resolvers count on what it hands them.
        own = functools.partial(
            cast("Any", graphql).execute, executor_class=cast("Any", schema).execution_context_class
        )
        self._run = own if executor is None else executor.run
        self._graphql = schema._schema  # pyright: ignore[reportPrivateUsage]
        self._limits = limits
        self._new_context = new_context
        self._documents = Documents(self._graphql, limits)

    async def run(
        self,
        operation: Operation,
        *,
        allow_mutation: bool = True,
        explain: Mode | None = None,
        caller: Caller = NOBODY,
        idempotency_key: str | None = None,
        began: float | None = None,
        loaders: Loaders | None = None,
        tells_grounds: bool = False,
    ) -> Outcome:
        """Execute an operation. Never raises but for cancellation. ``began`` is when its request did, by the monotonic
        clock, where that is not now; ``loaders`` have what was loaded for it since."""
        try:
            document = self._documents.get(operation.query, operation.operation_name, operation.variables)
        except Unfit as unfit:
            return Outcome(None, list(unfit.reasons), began=False)
        refused = _refused(document.operation, explain, allow_mutation=allow_mutation)
        if refused is not None:
            return refused
        began = time.monotonic() if began is None else began
        explanation = None if explain is None else Explanation(explain)
        context = self._new_context(
            explanation=explanation,
            caller=caller,
            idempotency_key=idempotency_key,
            began=began,
            loaders=loaders,
            tells_grounds=tells_grounds,
        )
        result = await self._result(document, operation, context, began + self._limits.request_timeout)
        errors = [presented(reason) for reason in result.errors or ()] + context.told(result.data or ())
        data = None if context.is_planning else result.data
        outcome = Outcome(data, errors, _began(result), explanation)
        return self._grounded(outcome, context, result) if tells_grounds and not errors else outcome

    async def _result(
        self, document: Document, operation: Operation, context: Context, ends_at: float
    ) -> ExecutionResult:
        """What the engine makes of a document in a context, which is closed then."""
        explanation = context.explanation
        watched = None if explanation is None else watching.set((explanation.called,))
        # What changes something has times of its own: cut short, nobody could tell how it ended.
        changes_something = document.operation is OperationType.MUTATION
        try:
            with contextlib.nullcontext() if changes_something else deadline.until(ends_at):
                result: Any = self._run(
                    self._graphql,
                    document.node,
                    context_value=context,
                    variable_values=operation.variables,
                    operation_name=operation.operation_name,
                )
                return result if isinstance(result, ExecutionResult) else await result
        finally:
            context.close()
            if watched is not None:
                watching.reset(watched)  # the next request on the same socket may begin with what this one leaves

    def _grounded(self, outcome: Outcome, context: Context, result: ExecutionResult) -> Outcome:
        """The outcome with what it rests on, and how it is come by without being executed, where these can be told."""
        if not isinstance(result, Settled) or result.data is None:
            return outcome
        lookup = context.lookup(result.data.keys(), _Written(result.in_context(self._idle)))
        return outcome._replace(grounds=context.grounds(result.data), lookup=lookup)

    @functools.cached_property
    def _idle(self) -> Context:
        """A context in which nothing is executed: what is the same in all of them is read in it."""
        return self._new_context()


class _Written:
    """Writes the answer in which the fields of an operation have come to these."""

    def __init__(self, alike: Alike) -> None:
        self._alike = alike
        self._last: tuple[Sequence[Come], bytes] = (), b""

    def __call__(self, come: Sequence[Come]) -> bytes | None:
        was, written = self._last
        if was and all(map(_is_same, was, come)):
            return written
        result = self._alike(come)
        if result is None:
            return None
        written = to_json(Outcome(result.data, [], began=True).body())
        # What is made of lists is another thing each time, and would hold them.
        if len(written) <= KEPT_BYTES and all(each is None or isinstance(each, Connection | list) for each in come):
            self._last = come, written
        return written


def _is_same(was: Come, come: Come) -> bool:
    """Whether these are the very connections, none of which ever changes."""
    if isinstance(was, list) and isinstance(come, list):
        return len(was) == len(come) and all(map(operator.is_, was, come))
    return was is come


def _refused(operation: OperationType, explain: Mode | None, *, allow_mutation: bool) -> Outcome | None:
    """What comes of an operation that is of the wrong kind for how it was asked; None for all others."""
    if operation is not OperationType.QUERY and not allow_mutation:
        return Outcome(None, [], began=False, is_allowed=False)
    if operation is OperationType.MUTATION and explain is Mode.PLAN:
        told = error(Code.BAD_REQUEST, "A mutation is rehearsed by dryRun in its input.")
        return Outcome(None, [told], began=False)
    return None


def _began(result: ExecutionResult) -> bool:
    """Whether fields were executed: variables that do not fit are refused before, and their errors have no path."""
    return result.data is not None or any(reason.path for reason in result.errors or ())
