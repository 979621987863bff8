"""Compiled execution: selections of plain fields are read by generated code, and not field by field.

An executor for any Strawberry schema. Where what is selected of an object are plain fields (an attribute that nothing
but the type system has a say in: no resolver, no permission, no extension, no argument), a function is generated that
reads all of them at once and checks what the engine would check. At any surprise (a null where there must be none, a
value of another type, an exception, something to await) the object is left to the engine, from its beginning: answers,
errors, paths and null bubbling are the engine's own, because nothing but what it would have answered is ever given.

Fields that are not plain are left to the engine too, one by one, beside the plain ones of the same object. What reads
an attribute must have no effects, since an object that surprised is read once more; and resolvers have none but in
mutations, as the specification asks, since the plain fields of an object are read before its others are resolved.

A plan depends on the document, on the type, and on which selections `@skip` and `@include` leave. It is made the second
time that a document is executed, and kept as long as the document is among those lately used. Documents with any other
directive, such as `@defer`, or with variables of fragments are left to the engine.
"""

import functools
import keyword
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import GeneratorType, NoneType
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias, cast

import graphql
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    Node,
    OperationDefinitionNode,
    VariableNode,
    VariableValues,
    get_operation_ast,
)
from graphql.pyutils import Undefined
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types.field import StrawberryField

from gateway.execution.called import Call, call, is_own
from gateway.execution.kept import Memo, Room
from gateway.execution.variables import Variables
from gateway.execution.whole import Asked, Execution, Outcome, Roots

Kind: TypeAlias = Any
"""An output type of the engine's, whose generics say nothing that is needed here."""
Project: TypeAlias = Callable[[Any], Any]

KEPT: Final = 300
"""Documents whose plans are kept."""
WORTH: Final = 2
"""The execution of a document for which plans are made."""
KEPT_BYTES: Final = 64 * 1024 * 1024
"""What may be held of the JSON of objects that never change."""
WAYS: Final = 16
"""Ways in which `@skip` and `@include` may leave a document different and still have plans."""


class Surprise(Exception):
    """A value is not what its type says: the engine is to look at it."""


class Plan(NamedTuple):
    """How an object is read: its plain fields by ``project``, with None at the places of those in ``others``."""

    project: Project
    others: tuple[str, ...]


class _Unplain(Exception):
    """No plan can be made for this."""


class _Writer:
    """Writes the functions of one plan, and what they refer to by name."""

    def __init__(self, executor: "CompiledExecutor") -> None:
        self._executor = executor
        self._lines: list[str] = []
        self._names: dict[str, Any] = {"Surprise": Surprise, "harmless": _HARMLESS, "is_harmless": _is_harmless}
        self._names["memo"] = functools.partial(Memo, executor.plans.room)
        self._written: dict[tuple[str, tuple[int, ...]], tuple[str, tuple[str, ...]]] = {}
        self._memos: set[str] = set()

    def plan(self, kind: Kind, details: Sequence[Any]) -> Plan:
        """The plan for values of an object type, or of an abstract one. Raises _Unplain."""
        name, others = self._composite(kind, details)
        source = "\n".join(self._lines)
        exec(compile(source, "<compiled selection>", "exec"), self._names)  # noqa: S102  written here, of checked names
        return Plan(self._names[name], others)

    def _refer(self, value: object) -> str:
        name = f"n{len(self._names)}"
        self._names[name] = value
        return name

    def _composite(self, kind: Kind, details: Sequence[Any]) -> tuple[str, tuple[str, ...]]:
        if isinstance(kind, GraphQLObjectType):
            return self._object(kind, details)
        if isinstance(kind, GraphQLUnionType | GraphQLInterfaceType):
            return self._abstract(kind, details), ()
        raise _Unplain

    def _object(self, kind: GraphQLObjectType, details: Sequence[Any]) -> tuple[str, tuple[str, ...]]:
        """The function that reads an object, and the names of fields that it leaves out."""
        key = kind.name, tuple(id(detail.node) for detail in details)
        if key not in self._written:
            self._written[key] = self._write_object(kind, details)
        return self._written[key]

    def _write_object(self, kind: GraphQLObjectType, details: Sequence[Any]) -> tuple[str, tuple[str, ...]]:
        grouped = self._executor.collect_subfields(kind, cast("Any", details)).grouped_field_set
        body = [self._guard(kind)]
        entries: list[str] = []
        others: list[str] = []
        for number, (response_name, field_details) in enumerate(grouped.items()):
            field = self._executor.schema.get_field(kind, field_details[0].node.name.value)
            if field is None:  # in a document that was not validated: it has no place in the answer
                raise _Unplain
            try:
                body += self._field(kind, field, field_details, f"f{number}")
                entries.append(f"{response_name!r}: f{number}")
            except _Unplain:
                others.append(response_name)
                entries.append(f"{response_name!r}: None")
        if others and len(others) == len(grouped):
            raise _Unplain
        name = self._refer(None)
        self._lines += [f"def {name}(v):", *(f"    {line}" for line in body), f"    return {{{', '.join(entries)}}}"]
        if not others and getattr(kind.is_type_of, "only_class", None) in self._executor.plans.constant:
            name = self._memo(name)
        return name, tuple(others)

    def _memo(self, function: str) -> str:
        """The function that reads each object once."""
        name = self._refer(None)
        self._lines.append(f"{name} = memo({function})")
        self._memos.add(name)
        return name

    def _guard(self, kind: GraphQLObjectType) -> str:
        """What a value must be to be read at all."""
        if kind.is_type_of is None:
            return _HARMFUL.format("v")
        return f"if v.__class__ is not {self._refer(_class_of(kind))}: raise Surprise"

    def _field(self, kind: GraphQLObjectType, field: GraphQLField, details: Sequence[Any], name: str) -> list[str]:
        """The lines that read a field into a variable of this name."""
        if details[0].node.name.value == "__typename":
            return [f"{name} = {kind.name!r}"]
        return [f"{name} = v.{_attribute(field)}", *self._checked(cast("Any", field).type, details, name)]

    def _checked(self, kind: Kind, details: Sequence[Any], name: str) -> list[str]:
        """The lines that turn a variable's value into what is answered, or raise."""
        if isinstance(kind, GraphQLNonNull):
            inner = self._present(cast("Any", kind).of_type, details, name)
            return [f"if {name} is None: raise Surprise", *inner]
        inner = self._present(kind, details, name)
        return [f"if {name} is not None:", *(f"    {line}" for line in inner)]

    def _present(self, kind: Kind, details: Sequence[Any], name: str) -> list[str]:
        if isinstance(kind, GraphQLList):
            return self._list(cast("GraphQLList[Any]", kind).of_type, details, name)
        if isinstance(kind, GraphQLScalarType | GraphQLEnumType):
            return self._leaf(kind, name)
        function, others = self._composite(kind, details)
        if others:  # what is left to the engine inside is left to it from here
            raise _Unplain
        return [f"{name} = {function}({name})"]

    def _list(self, kind: Kind, details: Sequence[Any], name: str) -> list[str]:
        is_list = f"if {name}.__class__ is not list and {name}.__class__ is not tuple: raise Surprise"
        is_required = isinstance(kind, GraphQLNonNull)
        item = cast("Any", kind).of_type if is_required else kind
        if isinstance(item, GraphQLObjectType):
            memo, others = self._object(item, details)
            if memo in self._memos and not others:
                return [is_list, f"{name} = {memo}.all({name}, is_required={is_required})"]
        if item in _EXACT:  # they are judged, and answered as they are
            lines = self._checked(kind, details, "item")
            return [is_list, f"for item in {name}:", *(f"    {line}" for line in lines), f"{name} = [*{name}]"]
        function = self._refer(None)
        lines = self._checked(kind, details, "v")
        self._lines += [f"def {function}(v):", *(f"    {line}" for line in lines), "    return v"]
        return [is_list, f"{name} = [{function}(item) for item in {name}]"]

    def _leaf(self, kind: GraphQLScalarType | GraphQLEnumType, name: str) -> list[str]:
        if kind in _EXACT:
            return [f"if {_EXACT[kind].format(name)}: raise Surprise"]
        if isinstance(kind, GraphQLEnumType):
            return [f"{name} = {self._refer(_words(kind))}[{name}]"]
        passed = self._executor.plans.passed.get(kind.name)
        convert = [
            _HARMFUL.format(name),
            f"{name} = {self._refer(kind.coerce_output_value)}({name})",
            _HARMFUL.format(name),
        ]
        if passed is None:
            return convert
        return [f"if not {self._refer(passed)}({name}):", *(f"    {line}" for line in convert)]

    def _abstract(self, kind: GraphQLUnionType | GraphQLInterfaceType, details: Sequence[Any]) -> str:
        """The function that reads a value of whichever type its class is."""
        if getattr(kind.extensions.get("strawberry-definition"), "resolve_type", None) is not None:
            raise _Unplain
        table: dict[type, str] = {}
        for possible in self._executor.schema.get_possible_types(kind):
            function, others = self._object(possible, details)
            of = _class_of(possible)
            if others or any(issubclass(of, other) or issubclass(other, of) for other in table):
                raise _Unplain
            table[of] = function
        name, functions = self._refer(None), self._refer({})
        entries = ", ".join(f"{self._refer(of)}: {function}" for of, function in table.items())
        self._lines += [f"{functions} = {{{entries}}}", f"def {name}(v): return {functions}[v.__class__](v)"]
        return name


_EXACT: Final[Mapping[Any, str]] = {
    GraphQLString: "{0}.__class__ is not str",
    GraphQLID: "{0}.__class__ is not str",
    GraphQLInt: "{0}.__class__ is not int or not -2147483648 <= {0} <= 2147483647",
    GraphQLFloat: "{0}.__class__ is not float or {0} - {0} != 0.0",  # neither infinite nor not a number
    GraphQLBoolean: "{0} is not True and {0} is not False",
}
"""When a value of a built-in scalar is not answered as it is."""

_HARMLESS: set[type] = set()
"""Classes whose instances are values: not null, not to be awaited, and no errors."""
_HARMFUL: Final = "if {0}.__class__ not in harmless and not is_harmless({0}): raise Surprise"


def _is_harmless(value: object) -> bool:
    is_harmless = _has_values(value.__class__)
    if is_harmless:
        _HARMLESS.add(value.__class__)
    return is_harmless


def _has_values(kind: type) -> bool:
    """Whether instances of a class are values to the engine, which asks each of them whether it can be awaited."""
    answers_all = hasattr(kind, "__await__") or hasattr(kind, "__getattr__")
    return not answers_all and not issubclass(kind, _NO_VALUES)


_NO_VALUES = Exception, GeneratorType, NoneType, Undefined.__class__


def _class_of(kind: GraphQLObjectType) -> type:
    """The class by which alone it is told that a value is of this type. Raises _Unplain where it takes more."""
    of = getattr(kind.is_type_of, "only_class", None)
    if not isinstance(of, type) or not _has_values(of):
        raise _Unplain
    return of


def _words(kind: GraphQLEnumType) -> Mapping[Any, str]:
    """The name of each value of an enum, as it is and as its Python enum has it. Raises _Unplain."""
    try:
        words = {value.value: name for name, value in kind.values.items()}
        members: Iterable[Any] = getattr(kind, "wrapped_cls", ())
        return words | {member: words[member.value] for member in members if member.value in words}
    except TypeError:  # a value that cannot be looked up
        raise _Unplain from None


def _attribute(field: GraphQLField) -> str:
    """The attribute that a plain field is. Raises _Unplain for a field that is more than that.

    Judged by the field's own definition: guarded fields look like plain ones to whoever only looks at their resolver.
    """
    own = field.extensions.get("strawberry-definition")
    is_plain = (
        isinstance(own, StrawberryField)
        and own.is_basic_field
        and not own.permission_classes
        and type(own).get_result is StrawberryField.get_result
        and own.default_resolver is getattr
        and is_own(field.resolve, "_get_basic_result")
        and not field.args
        and own.python_name.isascii()
        and own.python_name.isidentifier()
        and not keyword.iskeyword(own.python_name)
    )
    if not is_plain:
        raise _Unplain
    return cast("StrawberryField", own).python_name


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
        self._documents: OrderedDict[int, _Document] = OrderedDict()

    def of(self, executor: "CompiledExecutor") -> dict[Any, Any] | None:
        """The plans and the calls of an execution's operation, by what they are for."""
        key = id(executor.operation)
        document = self._documents.get(key)
        if document is None:
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
                    return Execution(roots, asked, reads, cls).result(cast("Any", arguments))
        return cast("Any", graphql).execute(
            schema,
            document,
            root_value,
            context_value,
            dict(variable_values or {}),
            operation_name,
            executor_class=cls,
        )

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
            fields = ((name, parent_type, of, self._call(parent_type, of)) for name, of in grouped_field_set.items())
            self._planned[_ROOTS] = Roots.of(self, fields)
        own = cast("Any", super())
        return own.execute_fields(parent_type, source_value, path, grouped_field_set, position_context)

    def execute_field(
        self, parent_type: Any, source: Any, field_details_list: Any, path: Any, position_context: Any
    ) -> Any:
        """As the engine's. A resolver that nothing stands before is called at once."""
        call = None if self._planned is None else self._call(parent_type, field_details_list)
        arguments = None if call is None else call.arguments(self.variable_values.coerced)
        outcome = self.outcomes.pop(path.key, None) if path.prev is None and self.outcomes else None
        own = cast("Any", self)
        if call is None or arguments is None:
            return cast("Any", super()).execute_field(parent_type, source, field_details_list, path, position_context)
        kind = cast("Any", call.field).type
        info = own.build_resolve_info(call.field, call.nodes, parent_type, path)
        try:
            result = call.resolve(source, info, arguments) if outcome is None else outcome.given()
            if own.is_awaitable(result):
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
        plan = self._plan(return_type, field_details_list)
        read = None if plan is None else _read(plan, result)
        if plan is None or read is None:
            own = cast("Any", super())
            return own.complete_object_value(return_type, field_details_list, info, path, result, position_context)
        if not plan.others:
            return read
        grouped = cast("Any", self).collect_subfields(return_type, field_details_list)[0]
        others = {name: grouped[name] for name in plan.others}
        rest: Any = self.execute_fields(return_type, result, path, others, position_context)
        if cast("Any", self).is_awaitable(rest):
            return _completed(read, rest)
        read.update(rest)
        return read

    def complete_iterable_value(  # noqa: PLR0917  the engine's own
        self, item_type: Any, field_details_list: Any, info: Any, path: Any, items: Any, position_context: Any
    ) -> Any:
        """As the engine's. A list of what is all plain is read at once."""
        is_required = isinstance(item_type, GraphQLNonNull)
        kind = cast("Any", item_type).of_type if is_required else item_type
        plan = self._plan(kind, field_details_list) if items.__class__ in (list, tuple) else None
        if plan is not None and not plan.others:
            read: Any = _read_all(plan.project, items, is_required=is_required)
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

    def _call(self, parent: Any, details: Any) -> Call | None:
        assert self._planned is not None  # noqa: S101  nobody asks where nothing is kept
        key = "call", parent.name, *(id(detail.node) for detail in details)
        if key not in self._planned:
            self._planned[key] = call(self, parent, details)
        return self._planned[key]

    def _made(self, kind: Any, details: Any) -> Plan | None:
        try:
            return _Writer(self).plan(kind, details)
        except (_Unplain, GraphQLError, RecursionError):  # what cannot be collected is told where it is met
            return None


_ROOTS: Final = "roots"
_READS: Final = "reads"


def _reads(roots: Roots, plans: dict[Any, Any]) -> list[Project] | None:
    """How the values of all fields are read, which is kept; None where one is not all plain, or was not met yet."""
    known: list[Project] | None = plans.get(_READS)
    if known is not None:
        return known
    reads: list[Project] = []
    for root in roots.fields:
        plan: Plan | None = plans.get(root.plan)
        if plan is None or plan.others:
            return None
        reads.append(functools.partial(_read, plan))
    plans[_READS] = reads
    return reads


def _read(plan: Plan, value: Any) -> dict[str, Any] | None:
    """The object as the plan reads it; None where it surprises."""
    try:
        return plan.project(value)
    except Exception:  # noqa: BLE001  whatever it is, the engine meets it again and tells it in its own way
        return None


def _read_all(project: Project, items: Sequence[Any], *, is_required: bool) -> Any:
    try:
        if isinstance(project, Memo):
            return project.all(items, is_required=is_required)
        if is_required:
            return [project(item) for item in items]
        return [None if item is None else project(item) for item in items]
    except Exception:  # noqa: BLE001  as above
        return None


async def _completed(read: dict[str, Any], rest: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    read.update(await rest)
    return read


def compiled(plans: Plans) -> type[CompiledExecutor]:
    """An executor class with these plans, for `Schema(execution_context_class=...)`."""
    return type("Compiled", (CompiledExecutor,), {"plans": plans})
