"""Selections as Python functions, which read all that is selected of an object at once.

A function is given a value, and the reader that it is read for. It reads the plain fields (an attribute that nothing
but the type system has a say in), calls the resolvers that nothing stands before, and checks what the engine would
check. At any surprise it raises, whatever it may be.
"""

import functools
import keyword
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeAlias, cast

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLUnionType,
    pyutils,
)
from strawberry.types.field import StrawberryField

from gateway.execution.called import Reader, is_constant, is_own, within_plan
from gateway.execution.kept import Memo
from gateway.execution.values import EXACT, HARMFUL, HARMLESS, Surprise, has_values, is_harmless, nullable

Kind: TypeAlias = Any
"""An output type of the engine's, whose generics say nothing that is needed here."""
Project: TypeAlias = Callable[[Any, Reader], Any]


class Plan(NamedTuple):
    """How an object is read: its plain fields by ``project``, with None at the places of those in ``others``.
    ``is_moving`` says whether a resolver is called that may answer otherwise each time."""

    project: Project
    others: tuple[str, ...]
    is_moving: bool


def plan(executor: Any, kind: Kind, details: Sequence[Any]) -> Plan | None:
    """The plan of an executor for values of an object type, or of an abstract one, of which ``details`` are selected;
    None where there is none."""
    try:
        return _Writer(executor).plan(kind, details)
    except (_Unplain, GraphQLError, RecursionError):  # what cannot be collected is told where it is met
        return None


class _Unplain(Exception):
    """No plan can be made for this."""


class _Function(NamedTuple):
    """A function that was written: its name, the fields that it leaves out, and whether it calls a resolver that may
    answer otherwise each time."""

    name: str
    others: tuple[str, ...]
    is_moving: bool


class _Writer:
    """Writes the functions of one plan, and what they refer to by name."""

    def __init__(self, executor: Any) -> None:
        self._executor = executor
        self._plans: Any = executor.plans
        self._lines: list[str] = []
        self._names: dict[str, Any] = {"Surprise": Surprise, "harmless": HARMLESS, "is_harmless": is_harmless}
        self._names["memo"] = functools.partial(Memo, self._plans.room)
        self._written: dict[tuple[str, tuple[int, ...]], _Function] = {}
        self._memos: set[str] = set()
        self._moving = 0
        """Calls that were written of resolvers that may answer otherwise each time."""

    def plan(self, kind: Kind, details: Sequence[Any]) -> Plan:
        """As the function of this name. Raises _Unplain and others."""
        name, others = self._composite(kind, details)
        source = "\n".join(self._lines)
        exec(compile(source, "<compiled selection>", "exec"), self._names)  # noqa: S102  written here, of checked names
        return Plan(self._names[name], others, self._moving > 0)

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
        function = self._written[key]
        self._moving += function.is_moving
        return function.name, function.others

    def _write_object(self, kind: GraphQLObjectType, details: Sequence[Any]) -> _Function:
        moving = self._moving
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
        self._lines += [f"def {name}(v, x):", *(f"    {line}" for line in body), f"    return {{{', '.join(entries)}}}"]
        is_moving, self._moving = self._moving > moving, moving
        if not others and not is_moving and getattr(kind.is_type_of, "only_class", None) in self._plans.constant:
            name = self._memo(name)
        return _Function(name, tuple(others), is_moving)

    def _memo(self, function: str) -> str:
        """The function that reads each object once."""
        name = self._refer(None)
        self._lines.append(f"{name} = memo({function})")
        self._memos.add(name)
        return name

    def _guard(self, kind: GraphQLObjectType) -> str:
        """What a value must be to be read at all."""
        if kind.is_type_of is None:
            return f"if {HARMFUL.format('v')}: raise Surprise"
        return f"if v.__class__ is not {self._refer(_class_of(kind))}: raise Surprise"

    def _field(self, kind: GraphQLObjectType, field: GraphQLField, details: Sequence[Any], name: str) -> list[str]:
        """The lines that read a field into a variable of this name."""
        if details[0].node.name.value == "__typename":
            return [f"{name} = {kind.name!r}"]
        attribute = _attribute(field)
        read = self._call(kind, field, details, name) if attribute is None else [f"{name} = v.{attribute}"]
        return [*read, *self._checked(cast("Any", field).type, details, name)]

    def _call(self, kind: GraphQLObjectType, field: GraphQLField, details: Sequence[Any], name: str) -> list[str]:
        """The lines that call a field's resolver. Raises _Unplain for one with more to it than that."""
        call = self._executor.called(kind, details)
        if call is None or call.given or _own(field).is_async or self._plans.leaves(field):
            raise _Unplain
        self._moving += not is_constant(call)
        resolve = self._refer(within_plan(call, kind))
        refuse = self._refer(functools.partial(_refuse, self._plans, field))
        return [f"{name} = {resolve}(v, x)", f"if {name} is not None and {HARMFUL.format(name)}: {refuse}({name})"]

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
        return [f"{name} = {function}({name}, x)"]

    def _list(self, kind: Kind, details: Sequence[Any], name: str) -> list[str]:
        is_list = f"if {name}.__class__ is not list and {name}.__class__ is not tuple: raise Surprise"
        item, is_required = nullable(kind)
        if isinstance(item, GraphQLObjectType):
            read, others = self._object(item, details)
            if others:
                raise _Unplain
            if read in self._memos:
                return [is_list, f"{name} = {read}.all({name}, x, is_required={is_required})"]
            # Null is of no class of objects, so that reading it raises, where it must not be.
            each = f"{read}(item, x)" if is_required else f"None if item is None else {read}(item, x)"
            return [is_list, f"{name} = [{each} for item in {name}]"]
        if item in EXACT:  # they are judged, and answered as they are
            lines = self._checked(kind, details, "item")
            return [is_list, f"for item in {name}:", *(f"    {line}" for line in lines), f"{name} = [*{name}]"]
        function = self._refer(None)
        lines = self._checked(kind, details, "v")
        self._lines += [f"def {function}(v, x):", *(f"    {line}" for line in lines), "    return v"]
        return [is_list, f"{name} = [{function}(item, x) for item in {name}]"]

    def _leaf(self, kind: GraphQLScalarType | GraphQLEnumType, name: str) -> list[str]:
        if kind in EXACT:
            return [f"if {EXACT[kind].format(name)}: raise Surprise"]
        if isinstance(kind, GraphQLEnumType):
            return [f"{name} = {self._refer(_words(kind))}[{name}]"]
        passed = self._plans.passed.get(kind.name)
        harmful = f"if {HARMFUL.format(name)}: raise Surprise"
        convert = [
            harmful,
            f"{name} = {self._refer(kind.coerce_output_value)}({name})",
            harmful,
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
        self._lines += [f"{functions} = {{{entries}}}", f"def {name}(v, x): return {functions}[v.__class__](v, x)"]
        return name


def _refuse(plans: Any, field: GraphQLField, value: Any) -> NoReturn:
    """Leave to the engine what a resolver gave. One that gives something to be awaited is called by nobody else from
    now on, or it would be called in vain each time."""
    if cast("Any", pyutils).is_awaitable(value):
        plans.leave(field)
    raise Surprise


def _class_of(kind: GraphQLObjectType) -> type:
    """The class by which alone it is told that a value is of this type. Raises _Unplain where it takes more."""
    of = getattr(kind.is_type_of, "only_class", None)
    if not isinstance(of, type) or not has_values(of):
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


def _attribute(field: GraphQLField) -> str | None:
    """The attribute that a plain field is; None for a field that is more than that. Raises _Unplain.

    Judged by the field's own definition: guarded fields look like plain ones to whoever only looks at their resolver.
    """
    own = _own(field)
    if cast("Any", own).base_resolver is not None:
        return None
    is_plain = (
        own.is_basic_field
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
    return own.python_name


def _own(field: GraphQLField) -> StrawberryField:
    """The field as Strawberry has it. Raises _Unplain for one of somebody else's."""
    own = field.extensions.get("strawberry-definition")
    if not isinstance(own, StrawberryField):
        raise _Unplain
    return own
