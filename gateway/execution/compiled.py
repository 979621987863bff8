"""Compiled execution: what is selected of an object is read by a function made for that, and not field by field.

An executor for any Strawberry schema. Where what is selected of an object are plain fields (an attribute, or a resolver
that gives a value at once, and nothing but the type system has a say in it: no permission, no extension, no argument by
a variable), a function is generated that reads all of them at once and checks what the engine would check. At any
surprise (a null where there must be none, a value of another type, an exception, something to await) the object is left
to the engine, from its beginning: answers, errors, paths and null bubbling are the engine's own, because nothing but
what it would have answered is ever given.

Fields that are not plain are left to the engine too, one by one, beside the plain ones of the same object. Reading an
attribute and calling a resolver must have no effects, since an object that surprised is read once more, and plain
fields are read before the others. The specification asks that of all resolvers but those of a mutation's own fields,
which are called once, one after the other.

A plan depends on the document, on the type, and on which selections `@skip` and `@include` leave. It is made the second
time that a document is executed, and kept as long as the document is among those lately used. Long documents are not
kept, and so have none. Documents with any other directive, such as `@defer`, or with variables of fragments are left to
the engine.
"""

import functools
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Self, cast

import graphql
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    Node,
    OperationDefinitionNode,
    VariableNode,
    VariableValues,
    get_operation_ast,
)
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.execution.called import Call, Reader, call
from gateway.execution.documents import is_kept
from gateway.execution.kept import Memo, Room
from gateway.execution.values import nullable
from gateway.execution.variables import Variables
from gateway.execution.whole import Asked, Execution, Outcome, Read, Reads, Roots
from gateway.execution.writer import Plan, Project, plan

KEPT: Final = 300
"""Documents whose plans are kept."""
WORTH: Final = 2
"""The execution of a document for which plans are made."""
KEPT_BYTES: Final = 64 * 1024 * 1024
"""What may be held of the JSON of objects that never change."""
WAYS: Final = 16
"""Ways in which `@skip` and `@include` may leave a document different and still have plans."""


class _Document:
    """The plans of one operation, by what `@skip` and `@include` leave of it."""

    def __init__(self, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self.held = operation, fragments  # plans are known by the ids of their nodes
        self.uses = 0
        self.variables = Variables(operation)
        self._conditions = _conditions(operation, fragments.values())
        self._plans: dict[tuple[Any, ...], dict[Any, Any]] = {}

    def plans(self, variables: Mapping[str, Any]) -> dict[Any, Any] | None:
        """The plans for these variables; None where there are none: too early, too many ways, or not for us."""
        self.uses += 1
        if self.uses < WORTH or self._conditions is None:
            return None
        left = self._left(self._conditions, variables)
        if left not in self._plans and len(self._plans) >= WAYS:
            return None
        return self._plans.setdefault(left, {})

    def known(self, variables: Mapping[str, Any]) -> dict[Any, Any]:
        """The plans that there are for these variables."""
        return {} if self._conditions is None else self._plans.get(self._left(self._conditions, variables), {})

    def _left(self, conditions: Sequence[str], variables: Mapping[str, Any]) -> tuple[bool | None, ...]:
        values = (variables.get(name) for name in conditions)
        return tuple(value if value.__class__ is bool else None for value in values)  # the engine refuses null


def _conditions(operation: Node, fragments: Iterable[FragmentDefinitionNode]) -> list[str] | None:
    """The variables that decide which selections are left; None where more than `@skip` and `@include` has a say."""
    names: set[str] = set()
    todo: list[Any] = [operation, *fragments]
    if any(fragment.variable_definitions for fragment in fragments):
        return None
    while todo:
        each = todo.pop()
        for directive in each.directives or ():
            if directive.name.value not in ("skip", "include"):
                return None
            values = (argument.value for argument in directive.arguments or ())
            names.update(value.name.value for value in values if isinstance(value, VariableNode))
        inner = getattr(each, "selection_set", None)
        todo += inner.selections if inner else ()
    return sorted(names)


class Plans:
    """The plans of the documents lately used. ``passed`` says, by the name of a scalar, which of its values the encoder
    of answers, which is orjson, writes as its serializer would. ``constant`` are classes whose objects never change,
    nor anything inside: they are read once, and stand in answers as `orjson.Fragment`; ``kept_bytes`` bounds what is
    held of their JSON. ``shares_arguments`` says that no resolver changes its arguments, so that lists and inputs that
    stand in a document are made once."""

    def __init__(
        self,
        passed: Mapping[str, Callable[[Any], bool]] = {},
        constant: Iterable[type] = (),
        kept_bytes: int = KEPT_BYTES,
        *,
        shares_arguments: bool = False,
    ) -> None:
        self.shares_arguments = shares_arguments
        self.passed = passed
        self.constant = frozenset(constant)
        self.room = Room(kept_bytes)
        self._left: dict[int, GraphQLField] = {}
        self._documents: OrderedDict[int, _Document] = OrderedDict()

    def leave(self, field: GraphQLField) -> None:
        """Leave a field to the engine from now on. Plans that do not are forgotten."""
        self._left[id(field)] = field
        self._documents.clear()

    def leaves(self, field: GraphQLField) -> bool:
        """Whether a field is left to the engine."""
        return id(field) in self._left

    def of(self, executor: "CompiledExecutor") -> dict[Any, Any] | None:
        """The plans and the calls of an execution's operation, by what they are for; None where there are none."""
        key = id(executor.operation)
        document = self._documents.get(key)
        if document is None:
            if not is_kept(executor.operation):
                return None
            document = self._documents[key] = _Document(executor.operation, executor.fragment_definitions)
            if len(self._documents) > KEPT:
                self._documents.popitem(last=False)
        self._documents.move_to_end(key)
        return document.plans(executor.variable_values.coerced)

    def known(self, operation: OperationDefinitionNode) -> "_Document | None":
        """An operation that was executed lately."""
        document = self._documents.get(id(operation))
        if document is not None:
            self._documents.move_to_end(id(operation))
        return document


class CompiledExecutor(StrawberryGraphQLCoreExecutionContext):
    """The engine's executor with plans. Made for a schema by `compiled`."""

    plans: ClassVar[Plans]
    outcomes: dict[str, Outcome] = {}
    """What the resolvers of the operation's fields have come to already, by the names of these in the response."""

    @classmethod
    def run(
        cls,
        schema: GraphQLSchema,
        document: DocumentNode,
        root_value: Any = None,
        *,
        context_value: Any = None,
        variable_values: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
    ) -> Any:
        """What `graphql.execute` gives: the result of an operation, or an awaitable of it."""
        operation = get_operation_ast(document, operation_name)
        known = operation and cls.plans.known(operation)
        if operation is not None and known is not None:
            given = known.variables.coerced(schema, variable_values or {})
            if isinstance(given, VariableValues):
                plans = known.known(given.coerced)
                roots: Roots | None = plans.get(_ROOTS)
                reads = roots and _reads(roots, plans)
                arguments = [] if not roots else [root.call.arguments(given.coerced) for root in roots.fields]
                if roots and reads and None not in arguments:
                    asked = Asked(schema, operation, given, root_value, context_value)
                    new = functools.partial(cls._going_on, plans)
                    whole: Any = arguments
                    return Execution(roots, asked, reads, new).result(whole)
        return cast("Any", graphql).execute(
            schema,
            document,
            root_value,
            context_value,
            dict(variable_values or {}),
            operation_name,
            executor_class=cls,
        )

    @classmethod
    def _going_on(cls, planned: dict[Any, Any], *args: Any) -> Self:
        """An executor that goes on with these plans, which may have been forgotten since: by others it would call
        resolvers once more."""
        executor = cls(*args)
        executor._planned = planned
        return executor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._planned = None if cast("Any", self).middleware_manager else self.plans.of(self)
        self._found: dict[tuple[Any, int], tuple[Any, Plan | None]] = {}

    @property
    def async_helpers(self) -> Any:
        """What a resolver may ask of the engine, which is `gather` and `track` of this. The engine's own object for it
        holds the executor that holds it, and so all that a request has come to, until garbage is collected."""
        return self

    @async_helpers.setter
    def async_helpers(self, _: object) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        pass

    def gather(self, values: Any) -> Any:
        """As `graphql.type.GraphQLResolveInfoHelpers` has it."""
        return cast("Any", self).gather_async_work(values)

    def track(self, values: Any) -> None:
        """Likewise."""
        cast("Any", self).track_async_work(values)

    def execute_fields(
        self, parent_type: Any, source_value: Any, path: Any, grouped_field_set: Any, position_context: Any
    ) -> Any:
        """As the engine's. Takes note of the fields of the operation."""
        if path is None and self._planned is not None and _ROOTS not in self._planned:
            fields = ((name, parent_type, of, self.called(parent_type, of)) for name, of in grouped_field_set.items())
            self._planned[_ROOTS] = Roots.of(self, fields)
        own = cast("Any", super())
        return own.execute_fields(parent_type, source_value, path, grouped_field_set, position_context)

    def execute_field(
        self, parent_type: Any, source: Any, field_details_list: Any, path: Any, position_context: Any
    ) -> Any:
        """As the engine's. A resolver that nothing stands before is called at once."""
        call = None if self._planned is None else self.called(parent_type, field_details_list)
        arguments = None if call is None else call.arguments(self.variable_values.coerced)
        outcome = self.outcomes.pop(path.key, None) if path.prev is None and self.outcomes else None
        own = cast("Any", self)
        if call is None or arguments is None:
            return cast("Any", super()).execute_field(parent_type, source, field_details_list, path, position_context)
        kind = cast("Any", call.field).type
        info = own.build_resolve_info(call.field, call.nodes, parent_type, path)
        try:
            result = call.resolve(source, info, arguments) if outcome is None else outcome.given()
            was_awaited = outcome is not None and outcome.was_awaited
            if not was_awaited and own.is_awaitable(result):
                return own.complete_awaitable_value(kind, field_details_list, info, path, result, position_context)
            completed = own.complete_value(kind, field_details_list, info, path, result, position_context)
        except Exception as raised:  # noqa: BLE001  whatever it is, the engine tells it
            own.handle_field_error(raised, kind, field_details_list, path)
            return None
        if own.is_awaitable(completed):
            return self._completed(completed, kind, field_details_list, path)
        return completed

    async def _completed(self, completed: Awaitable[Any], kind: Any, details: Any, path: Any) -> Any:
        try:
            return await completed
        except Exception as raised:  # noqa: BLE001  as above
            cast("Any", self).handle_field_error(raised, kind, details, path)
            return None

    def complete_object_value(  # noqa: PLR0917  the engine's own
        self, return_type: Any, field_details_list: Any, info: Any, path: Any, result: Any, position_context: Any
    ) -> Any:
        """As the engine's. What is plain is read by the plan, the rest by the engine."""
        found = self._plan(return_type, field_details_list)
        read = None if found is None else _read(found, result, self)
        if found is None or read is None:
            own = cast("Any", super())
            return own.complete_object_value(return_type, field_details_list, info, path, result, position_context)
        if not found.others:
            return read
        grouped = cast("Any", self).collect_subfields(return_type, field_details_list)[0]
        others = {name: grouped[name] for name in found.others}
        rest: Any = self.execute_fields(return_type, result, path, others, position_context)
        if cast("Any", self).is_awaitable(rest):
            return _completed(read, rest)
        read.update(rest)
        return read

    def complete_abstract_value(  # noqa: PLR0917  the engine's own
        self, return_type: Any, field_details_list: Any, info: Any, path: Any, result: Any, position_context: Any
    ) -> Any:
        """As the engine's. What is all plain, whichever type it is of, is read by the plan."""
        found = self._plan(return_type, field_details_list)
        read = None if found is None or found.others else _read(found, result, self)
        if read is not None:
            return read
        own = cast("Any", super())
        return own.complete_abstract_value(return_type, field_details_list, info, path, result, position_context)

    def complete_iterable_value(  # noqa: PLR0917  the engine's own
        self, item_type: Any, field_details_list: Any, info: Any, path: Any, items: Any, position_context: Any
    ) -> Any:
        """As the engine's. A list of what is all plain is read at once."""
        kind, is_required = nullable(item_type)
        found = self._plan(kind, field_details_list)
        if found is not None and not found.others:
            read: Any = _read_all(found.project, items, self, is_required=is_required)
            if read is not None:
                return read
        own = cast("Any", super())
        return own.complete_iterable_value(item_type, field_details_list, info, path, items, position_context)

    def _plan(self, kind: Any, details: Any) -> Plan | None:
        if self._planned is None or not isinstance(kind, GraphQLObjectType | GraphQLUnionType | GraphQLInterfaceType):
            return None
        found = self._found.get((kind, id(details)))
        if found is None:
            key = kind.name, *(id(detail.node) for detail in details)
            if key not in self._planned:
                self._planned[key] = self._made(kind, details)
            found = self._found[kind, id(details)] = details, self._planned[key]
        return found[1]

    def called(self, parent: Any, details: Any) -> Call | None:
        """How a field of this type is resolved, where that is not left to the engine; None where it is."""
        assert self._planned is not None  # noqa: S101  nobody asks where nothing is kept
        key = "call", parent.name, *(id(detail.node) for detail in details)
        if key not in self._planned:
            self._planned[key] = call(self, parent, details)
        return self._planned[key]

    def _made(self, kind: Any, details: Any) -> Plan | None:
        return plan(self, kind, details)


_ROOTS: Final = "roots"
_READS: Final = "reads"


def _reads(roots: Roots, plans: dict[Any, Any]) -> Reads | None:
    """How the values of all fields are read, which is kept; None where one is not all plain, or was not met yet."""
    known: Reads | None = plans.get(_READS)
    if known is not None:
        return known
    reads: list[Read] = []
    is_moving = False
    for root in roots.fields:
        known_plan: Plan | None = plans.get(root.plan)
        if known_plan is None or known_plan.others:
            return None
        is_moving |= known_plan.is_moving
        if root.is_list:
            reads.append(functools.partial(_read_all, known_plan.project, is_required=root.has_required))
        else:
            reads.append(functools.partial(_read, known_plan))
    known = plans[_READS] = Reads(reads, are_settled=not is_moving)
    return known


def _read(plan: Plan, value: Any, executor: Any) -> dict[str, Any] | None:
    """The object as the plan reads it; None where it surprises."""
    try:
        return plan.project(value, Reader(executor))
    except Exception:  # noqa: BLE001  whatever it is, the engine meets it again and tells it in its own way
        return None


def _read_all(project: Project, items: Any, executor: Any, *, is_required: bool) -> Any:
    """Likewise a list of objects."""
    if items.__class__ not in (list, tuple):
        return None
    reader = Reader(executor)
    try:
        if isinstance(project, Memo):
            return project.all(items, reader, is_required=is_required)
        if is_required:
            return [project(item, reader) for item in items]
        return [None if item is None else project(item, reader) for item in items]
    except Exception:  # noqa: BLE001  as above
        return None


async def _completed(read: dict[str, Any], rest: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    read.update(await rest)
    return read


def compiled(plans: Plans) -> type[CompiledExecutor]:
    """An executor class with these plans, for `Schema(execution_context_class=...)`."""
    return type("Compiled", (CompiledExecutor,), {"plans": plans})
