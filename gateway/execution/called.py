"""Resolvers called without what stands between the engine and them, where nothing there has a say.

For each call of a resolver the engine coerces the arguments and Strawberry converts them once more, both from the
definitions of the field. Of a field in a document nothing of that changes from one execution to the next but the values
of variables, so what is constant is worked out once. Fields with permissions, extensions, handlers of exceptions or
results of their own are left to the engine, and so are those with variables inside of their arguments.

A plan calls them too, for one object after the other. All that differs from one to the next is the path, and a resolver
that asks for it is left to the engine.
"""

import enum
import functools
import inspect
from collections.abc import Callable, Mapping
from types import CodeType, NoneType, SimpleNamespace
from typing import Any, Final, NamedTuple, NoReturn, TypeVar, cast

import orjson
import strawberry
from graphql import (
    FieldNode,
    GraphQLBoolean,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLString,
    Node,
    OperationType,
    VariableNode,
    get_argument_values,
)
from graphql.pyutils import Undefined
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import convert_arguments
from strawberry.types.base import StrawberryContainer, StrawberryObjectDefinition, StrawberryOptional
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver
from strawberry.types.lazy_type import LazyType

from gateway.execution.values import Surprise, nullable

Resolver = TypeVar("Resolver", bound=Callable[..., Any])

new_info: Final[Any] = cast("Any", StrawberryGraphQLCoreExecutionContext).build_resolve_info
"""The engine's info of a field, made for what has all that an executor has for it."""
_LEAVES: Final = frozenset({str, int, float, bool, strawberry.ID})
"""Python types whose values Strawberry hands on as the engine has coerced them."""
_SCALARS: Final = frozenset({GraphQLString, GraphQLInt, GraphQLFloat, GraphQLBoolean, GraphQLID})
_RESOLVERS: Final = ("_resolver", "_async_resolver")
"""The functions by which Strawberry calls a resolver."""
_CODES: Final[Mapping[str, CodeType]] = {
    code.co_name: code
    for code in cast("Any", GraphQLCoreConverter.from_resolver).__code__.co_consts
    if isinstance(code, CodeType)
}


def is_own(function: Any, *names: str) -> bool:
    """Whether a field's function is one of those that Strawberry makes, and nothing that somebody put around it."""
    code = getattr(function, "__code__", None)
    return code is not None and any(_CODES.get(name) is code for name in names)


class Given(NamedTuple):
    """An argument whose value is a variable's. ``convert`` is what Strawberry makes of it, where it makes something
    else; the engine has its say where nothing is given for one that must be, or that has a default."""

    name: str
    variable: str
    is_required: bool
    has_default: bool
    convert: Callable[..., Any] | None


class Call(NamedTuple):
    """How a field of a document is resolved. ``given`` are the arguments that the variables tell, ``constant`` the
    others; the other names are those under which a resolver wants what it is called on, and what about."""

    field: GraphQLField
    nodes: list[FieldNode]
    resolver: Callable[..., Any]
    new_info: Callable[..., Any] | None
    info: str
    sources: tuple[str, ...]
    is_method: bool
    constant: Mapping[str, Any]
    given: tuple[Given, ...]

    def arguments(self, variables: Mapping[str, Any]) -> dict[str, Any] | None:
        """The arguments; None where the engine is to say what is wrong with them."""
        arguments = dict(self.constant)
        for name, variable, is_required, has_default, convert in self.given:
            value = variables.get(variable, Undefined)
            if (is_required and value is None) or (value is Undefined and (is_required or has_default)):
                return None
            if value is not Undefined:
                try:
                    arguments[name] = value if convert is None else convert(value)
                except Exception:  # noqa: BLE001  whatever it is, the engine tells it
                    return None
        return arguments

    def resolve(self, source: Any, info: Any, arguments: dict[str, Any]) -> Any:
        """What the resolver gives, or raises. ``info`` is the engine's."""
        return self.told(source, self.info_of(info), arguments)

    def info_of(self, info: Any) -> Any:
        """What the resolver is told of the engine's info; None where it asks for nothing."""
        return None if self.new_info is None else self.new_info(_raw_info=info, _field=_own(self.field))

    def told(self, source: Any, info: Any, arguments: dict[str, Any]) -> Any:
        """As `resolve`, with what `info_of` gives."""
        for name in self.sources:
            arguments[name] = source
        if self.new_info is not None:
            arguments[self.info] = info
        return self.resolver(source, **arguments) if self.is_method else self.resolver(**arguments)


class _Nowhere:
    """The path of what a plan reads, which is not known to it."""

    def _surprise(self, *_: object) -> NoReturn:
        raise Surprise

    __getattr__ = __getitem__ = __iter__ = __len__ = __eq__ = __hash__ = __repr__ = _surprise  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]


_NOWHERE: Final = _Nowhere()


class Reader:
    """What plans read a value for: an executor, and what resolvers are told on its behalf, which is the same for all
    that is inside the value. An executor holds none, since what resolvers are told holds the executor."""

    __slots__ = ("_executor", "_infos")

    def __init__(self, executor: Any) -> None:
        self._executor = executor
        self._infos: dict[int, Any] = {}

    def info_of(self, call: Call, parent: Any) -> Any:
        """What the resolver of a field of a type is told."""
        info = self._infos.get(id(call))
        if info is None and call.new_info is not None:
            info = call.info_of(new_info(self._executor, call.field, call.nodes, parent, _NOWHERE))
            self._infos[id(call)] = info
        return info


def within_plan(call: Call, parent: Any) -> Callable[[Any, Reader], Any]:
    """The resolver of a field of a type, as plans call it."""

    def resolve(source: Any, reader: Reader) -> Any:
        return call.told(source, reader.info_of(call, parent), dict(call.constant))

    return resolve


def constant(resolver: Resolver) -> Resolver:
    """Declare that a resolver gives the same whenever it is called on the same object of one that never changes, and
    nothing inside of that ever changes either. What is read of such an object may then be kept."""
    cast("Any", resolver).is_constant = True
    return resolver


def is_constant(call: Call) -> bool:
    """Whether that was declared of a resolver."""
    return getattr(call.resolver, "is_constant", False)


def call(executor: Any, parent: Any, details: Any) -> Call | None:
    """How a field of this type is resolved; None where it is left to the engine."""
    node: FieldNode = details[0].node
    field = executor.schema.get_field(parent, node.name.value)
    if field is None or not _is_plain(field) or details[0].fragment_variable_values is not None:
        return None
    schema = getattr(executor.schema, "_strawberry_schema", None)
    if schema is None or schema.schema_converter._exception_handler_specs:
        return None
    own, resolver = _own(field), cast("Any", _own(field).base_resolver)
    # What changes something may be told credentials, which are kept nowhere.
    is_query = executor.operation.operation is OperationType.QUERY
    are_kept = is_query and executor.plans.shares_arguments
    arguments = _arguments(field, node, schema, are_shared=executor.plans.shares_arguments, are_kept=are_kept)
    if arguments is None:
        return None
    sources = (resolver.parent_parameter, resolver.root_parameter)
    return Call(
        field,
        [detail.node for detail in details],
        cast("Any", own.base_resolver).wrapped_func,
        schema.config.info_class if resolver.info_parameter else None,
        resolver.info_parameter.name if resolver.info_parameter else "",
        tuple(parameter.name for parameter in sources if parameter),
        bool(resolver.self_parameter),
        *arguments,
    )


def _own(field: GraphQLField) -> StrawberryField:
    return field.extensions["strawberry-definition"]


def _is_plain(field: GraphQLField) -> bool:
    """Whether the resolver is called with its arguments, and its result is the field's, and nothing else happens."""
    own = field.extensions.get("strawberry-definition")
    resolver = getattr(own, "base_resolver", None)
    function = getattr(resolver, "wrapped_func", None)
    return (
        isinstance(own, StrawberryField)
        and type(own).get_result is StrawberryField.get_result
        and not own.permission_classes
        and not own.extensions
        and not own.is_subscription
        and isinstance(resolver, StrawberryResolver)
        and cast("Any", resolver).__class__.__call__ is cast("Any", StrawberryResolver).__call__
        and callable(function)
        and inspect.iscoroutinefunction(function) is own.is_async
        and is_own(field.resolve, *_RESOLVERS)
    )


def _arguments(
    field: GraphQLField, node: FieldNode, schema: Any, *, are_shared: bool, are_kept: bool
) -> tuple[Mapping[str, Any], tuple[Given, ...]] | None:
    """The arguments that are constant, and those that variables tell; None where there are others."""
    own = _own(field)
    names = schema.config.name_converter
    known = {names.from_argument(argument): argument for argument in own.arguments}
    sent = {argument.name.value: argument.value for argument in node.arguments or ()}
    nodes = {name: value for name, value in sent.items() if name in field.args}  # validation refuses all others
    by_variable = {name: value.name.value for name, value in nodes.items() if isinstance(value, VariableNode)}
    if any(_has_variable(value) for name, value in nodes.items() if name not in by_variable):
        return None
    if any(_makes_its_own(argument.type) for argument in own.arguments):
        return None
    rest: Any = SimpleNamespace(args={name: of for name, of in field.args.items() if name not in by_variable})
    left = FieldNode(
        name=node.name, arguments=tuple(each for each in node.arguments or () if each.name.value not in by_variable)
    )
    registry = {"scalar_registry": schema.schema_converter.scalar_registry, "config": schema.config}
    try:
        constant = convert_arguments(get_argument_values(rest, left), own.arguments, **registry)
    except Exception:  # noqa: BLE001  whatever it is, the engine tells it, each time
        return None
    if not are_shared and not all(map(_never_changes, constant.values())):
        return None
    given = [
        _given(
            field.args[name],
            known[name],
            variable,
            functools.partial(_converted, name, known[name], registry),
            is_kept=are_kept,
        )
        for name, variable in by_variable.items()
    ]
    return constant, tuple(given)


def _given(definition: Any, argument: Any, variable: str, convert: Callable[[Any], Any], *, is_kept: bool) -> Given:
    _, is_required = nullable(definition.type)
    has_default = definition.default_value is not Undefined or definition.default is not None
    made = None if _is_leaf(definition, argument) else _Kept(convert) if is_kept else convert
    return Given(argument.python_name, variable, is_required, has_default, made)


def _converted(name: str, argument: Any, registry: Mapping[str, Any], value: Any) -> Any:
    return convert_arguments({name: value}, [argument], **registry)[argument.python_name]


_LOSSLESS: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
"""What orjson writes of two values of a scalar alike, it is not to write: of a moment, the seconds of its offset."""
_KEPT: Final = 32
_LONGEST: Final = 1_000
"""Bytes of JSON of a value that is remembered."""


class _Kept:
    """What was made of the last values of an argument: those who look at a list again ask for the same of it."""

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self._convert = convert
        self._known: dict[bytes, Any] = {}

    def __call__(self, value: Any) -> Any:
        try:
            key = orjson.dumps(value, option=_LOSSLESS)
        except TypeError:  # no JSON of its own
            return self._convert(value)
        if b"null" in key:
            key += repr(value).encode()  # null stands for what is no number as well
        found = self._known.get(key)
        if found is None:
            found = self._convert(value)
            if len(key) <= _LONGEST:
                if len(self._known) >= _KEPT:
                    self._known.clear()
                self._known[key] = found
        return found


def _makes_its_own(kind: Any, outer: tuple[Any, ...] = ()) -> bool:
    """Whether an input type, or one inside of it, makes its values in a way of its own, which may ask for the info."""
    while isinstance(kind, StrawberryContainer):
        kind = kind.of_type
    if isinstance(kind, LazyType):
        kind = cast("Any", kind).resolve_type()
    definition = getattr(kind, "__strawberry_definition__", None)
    if not isinstance(definition, StrawberryObjectDefinition) or any(definition is each for each in outer):
        return False
    if definition.from_input is not None:
        return True
    inside = (field.resolve_type(type_definition=definition) for field in definition.fields)
    return any(_makes_its_own(each, (*outer, definition)) for each in inside)


def _never_changes(value: object) -> bool:
    return isinstance(value, enum.Enum) or type(value) in (*_LEAVES, NoneType)


def _has_variable(node: Node) -> bool:
    values = (*(getattr(node, "values", None) or ()), *(each.value for each in getattr(node, "fields", None) or ()))
    return isinstance(node, VariableNode) or any(map(_has_variable, values))


def _is_leaf(definition: Any, argument: Any) -> bool:
    """Whether the value of an argument is handed on as it is."""
    kind, _ = nullable(definition.type)
    python = argument.type.of_type if type(argument.type) is StrawberryOptional else argument.type
    return kind in _SCALARS and python in _LEAVES
