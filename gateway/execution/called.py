"""Resolvers called without what stands between the engine and them, where nothing there has a say.

For each call of a resolver the engine coerces the arguments and Strawberry converts them once more, both from the
definitions of the field. Of a field in a document nothing of that changes from one execution to the next but the values
of variables, so what is constant is worked out once. Fields with permissions, extensions, handlers of exceptions or
results of their own are left to the engine, and so are those whose arguments are more than plain values.

A plan calls them too, for one object after the other. All that differs from one to the next is the path, and a resolver
that asks for it is left to the engine.
"""

import enum
import inspect
from collections.abc import Callable, Mapping
from types import CodeType, NoneType, SimpleNamespace
from typing import Any, Final, NamedTuple, NoReturn, TypeVar, cast

import strawberry
from graphql import (
    FieldNode,
    GraphQLBoolean,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLNonNull,
    GraphQLString,
    Node,
    VariableNode,
    get_argument_values,
)
from graphql.pyutils import Undefined
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import convert_arguments
from strawberry.types.base import StrawberryOptional
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

from gateway.execution.values import Surprise

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
    """An argument whose value is a variable's."""

    name: str
    variable: str
    is_required: bool


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
        for name, variable, is_required in self.given:
            value = variables.get(variable, Undefined)
            if is_required and (value is Undefined or value is None):
                return None
            if value is not Undefined:
                arguments[name] = value
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
    arguments = _arguments(field, node, schema, are_shared=executor.plans.shares_arguments)
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
    field: GraphQLField, node: FieldNode, schema: Any, *, are_shared: bool
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
    if not all(_is_leaf(field.args[name], known[name]) for name in by_variable):
        return None
    rest: Any = SimpleNamespace(args={name: of for name, of in field.args.items() if name not in by_variable})
    left = FieldNode(
        name=node.name, arguments=tuple(each for each in node.arguments or () if each.name.value not in by_variable)
    )
    try:
        constant = convert_arguments(
            get_argument_values(rest, left),
            own.arguments,
            scalar_registry=schema.schema_converter.scalar_registry,
            config=schema.config,
        )
    except Exception:  # noqa: BLE001  whatever it is, the engine tells it, each time
        return None
    if not are_shared and not all(map(_never_changes, constant.values())):
        return None
    given = (
        Given(known[name].python_name, variable, isinstance(cast("Any", field.args[name]).type, GraphQLNonNull))
        for name, variable in by_variable.items()
    )
    return constant, tuple(given)


def _never_changes(value: object) -> bool:
    return isinstance(value, enum.Enum) or type(value) in (*_LEAVES, NoneType)


def _has_variable(node: Node) -> bool:
    values = (*(getattr(node, "values", None) or ()), *(each.value for each in getattr(node, "fields", None) or ()))
    return isinstance(node, VariableNode) or any(map(_has_variable, values))


def _is_leaf(definition: Any, argument: Any) -> bool:
    """Whether an argument is a plain value, without one of its own where none is given."""
    given: Any = definition.type
    kind = cast("Any", given).of_type if isinstance(given, GraphQLNonNull) else given
    python = argument.type.of_type if type(argument.type) is StrawberryOptional else argument.type
    has_own = definition.default_value is not Undefined or definition.default is not None
    return kind in _SCALARS and python in _LEAVES and not has_own
