"""Schemas, data and documents made up from a seed, for whoever compares two ways to execute.

Data is a graph of a few objects of each type, so that a document may go as deep as it likes. It is made anew for each
execution, since some of what stands in it can be used only once.
"""

import asyncio
import datetime as dt
import enum
import inspect
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, NamedTuple, NewType, Optional, Union, cast

import strawberry
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
)
from graphql.pyutils import Undefined
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission
from strawberry.schema.config import StrawberryConfig
from strawberry.schema_directive import Location
from strawberry.types.field import StrawberryField

from gateway.execution.called import constant
from gateway.schema.scalars import SCALARS, BigInt, Json

COMPILED: Final = "<compiled selection>"
"""The file name of generated code."""

# Leaves


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


class Rank(enum.IntEnum):
    FIRST = 1
    SECOND = 2


class Word(enum.StrEnum):
    YES = "YES"
    NO = "no"


class Odd(enum.Enum):
    """Its values cannot be looked up."""

    PAIR = [1, 2]
    SINGLE = [1]


Fussy = NewType("Fussy", str)
Twisted = NewType("Twisted", object)


def _fussy(value: Any) -> str | None:
    if value == "fail":
        raise ValueError("this is not for me")
    return None if value == "none" else f"<{value}>"


def _twisted(value: Any) -> Any:
    """Answers what no serializer should."""
    return {"undefined": Undefined, "error": ValueError("answered"), "later": Later("late")}.get(str(value), value)


class Later:
    """Something to await, as often as one likes."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from asyncio.sleep(0).__await__()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Stranger:
    """Of no type of the schema."""

    def __repr__(self) -> str:
        return "a stranger"


class Obliging:
    """Has every attribute that it is asked for, so that the engine takes it for something to await."""

    def __getattr__(self, name: str) -> Any:
        return 1


class Items:
    """Iterates asynchronously."""

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items

    async def __aiter__(self) -> AsyncIterator[Any]:
        for item in self.items:
            yield item


_UTC, _PARIS = dt.UTC, dt.timezone(dt.timedelta(hours=1))
LEAVES: Final[Mapping[Any, Sequence[Any]]] = {
    str: ["", "a", "déjà", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")],
    int: [0, -1, 2147483647, -2147483648],
    float: [0.0, 1.5, -1e300],
    bool: [True, False],
    strawberry.ID: ["1", "x"],
    dt.datetime: [
        dt.datetime(2026, 5, 1, 12, tzinfo=_UTC),
        dt.datetime(26, 5, 1, 12, 0, 0, 5, tzinfo=_UTC),
        dt.datetime(2026, 5, 1, 12, tzinfo=_PARIS),
        dt.datetime(2026, 5, 1, 12),  # noqa: DTZ001  one without a zone is what is tried
    ],
    BigInt: [1, 10**30],
    Json: [{"b": 1, "a": [None, 1.5]}, [], "text", 0],
    Fussy: ["fine", "good"],
    Twisted: ["straight", 1],
    Colour: [Colour.RED, Colour.GREEN, "red"],
    Level: [Level.LOW, Level.HIGH, 2],
    Rank: [Rank.FIRST, 2],
    Word: [Word.YES, "no"],
    Odd: [Odd.PAIR, Odd.SINGLE],
}
"""What each kind of leaf has as good values."""
SURPRISES: Final[Sequence[Any]] = [
    *(None, None, None, Undefined, strawberry.UNSET, "text", "red", "LOW", "12", "fail", "none", Text("subclass")),
    *(True, 1, 0, 2147483648, -2147483649, 10**15, Number(7), 1.0, 1.5, float("nan"), float("inf"), Decimal("1.5")),
    *("undefined", "error", "later", b"bytes", {}, {"a": 1}, {1, 2}, [], [None], ["a"], (1, "a"), object),
    *(dt.datetime(2026, 5, 1), dt.date(2026, 5, 1), Rank.SECOND, Word.NO, Level.LOW, Odd.PAIR, [1, 2]),  # noqa: DTZ001
    *(Stranger(), Obliging(), ValueError("as a value"), KeyError("as a value"), Later(None), Later("x"), Later(3)),
    *(Later(ValueError("awaited")), deque(["a"]), frozenset({3}), range(2), Items(["a", 1, None])),
]


NEARLY: Final[Mapping[Any, Sequence[Any]]] = {
    str: [Text("subclass"), True, 1, 1.5, Colour.RED, Word.NO],
    int: [True, False, 2147483648, -2147483649, Number(7), Rank.SECOND, 1.0, 1.5, "12", float("nan")],
    float: [1, True, float("nan"), float("inf"), float("-inf"), Decimal("1.5"), "1.5"],
    bool: [1, 0, 1.0, 2, float("nan"), "true"],
    strawberry.ID: [1, Text("subclass"), True, 1.5],
    dt.datetime: [dt.date(2026, 5, 1), "2026-05-01T12:00:00Z", 5],
    BigInt: ["12", True, 1.5],
    Fussy: ["fail", "none"],
    Twisted: ["undefined", "error", "later", Undefined, Obliging(), ValueError("as a value"), Later(2)],
    Colour: ["blue", "RED", Word.NO, Level.LOW],
    Level: [1.0, True, 3, Rank.FIRST],
    Rank: [1.0, True, 3, Level.LOW],
    Word: ["NO", Text("no"), Colour.RED],
    Odd: [(1, 2), [1, 2], "PAIR"],
}
"""What almost is a value of a kind of leaf."""


class Spec(NamedTuple):
    """The type of a field: a leaf's or an object's name, or a list of another."""

    of: Any
    is_list: bool
    is_null: bool

    def annotation(self, classes: Mapping[str, Any]) -> Any:
        if self.is_list:
            inner = list[self.of.annotation(classes)]
        else:
            inner = classes[self.of] if self.of.__class__ is str else self.of
        return Optional[inner] if self.is_null else inner  # noqa: UP045  made at run time


class Made(NamedTuple):
    """An object type or an interface as it was made up."""

    name: str
    fields: dict[str, Spec]
    """By the attribute that data is found under."""
    guarded: set[str]
    """Attributes that are not to be read but by the engine."""


# What is more than a plain field


class _Allowed(BasePermission):
    message = "not for you"

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return _is_allowed(source)


class _AllowedLater(BasePermission):
    message = "not now"

    async def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        await asyncio.sleep(0)
        return _is_allowed(source)


def _is_allowed(source: Any) -> bool:
    return source.__dict__.get("_allowed", True)


def _changed(value: Any) -> Any:
    if value.__class__ in (list, tuple):
        return value[::-1]
    if value.__class__ in (int, float):
        return value + 1
    return value.upper() if value.__class__ is str else value


class _Changing(FieldExtension):
    def resolve(self, next_: Callable[..., Any], source: Any, info: Any, **kwargs: Any) -> Any:
        return _changed(next_(source, info, **kwargs))


class _ChangingLater(FieldExtension):
    async def resolve_async(self, next_: Callable[..., Any], source: Any, info: Any, **kwargs: Any) -> Any:
        return _changed(await next_(source, info, **kwargs))


class _OwnResult(StrawberryField):
    """A field that has no resolver, and yet answers more than an attribute."""

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        return _changed(super().get_result(source, info, args, kwargs))


@strawberry.schema_directive(locations=[Location.FIELD_DEFINITION])
class Marked:
    why: str


class Raised:
    """Stands where reading an attribute raises."""

    def __init__(self, error: Exception) -> None:
        self.error = error


READ_BY_PLANS: Final[list[str]] = []
"""Guarded attributes that generated code has read. There are to be none."""


def _property(name: str) -> property:
    def read(self: Any) -> Any:
        reader = inspect.currentframe()
        if reader and reader.f_back and reader.f_back.f_code.co_filename == COMPILED:
            READ_BY_PLANS.append(name)
        return _kept(self, name)

    return property(read)


def _raising_property(name: str) -> property:
    return property(lambda self: _kept(self, name))


def _kept(source: Any, name: str) -> Any:
    value = source.__dict__[f"_{name}"]
    if isinstance(value, Raised):
        raise value.error
    return value


# Schemas


class Generated:
    """A schema made up from a seed, and data and documents for it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311  data is made up of it
        self._plainness = self.random.choice([0.4, 0.75, 0.95])
        """How many of the fields are no more than their annotation."""
        self.classes: dict[str, Any] = {}
        self.values: dict[str, type] = {}
        """The class of the data of each object type."""
        self.made: dict[str, Made] = {}
        self.members: dict[str, list[str]] = {}
        """The object types of each abstract one."""
        self.schema = self._schema()
        self.graphql: GraphQLSchema = cast("Any", self.schema)._schema

    def _schema(self) -> strawberry.Schema:
        draw = self.random
        interfaces = [f"I{number}" for number in range(draw.randint(0, 2))]
        types = [f"T{number}" for number in range(draw.randint(2, 5))]
        unions = {f"U{number}": draw.sample(types, draw.randint(1, len(types))) for number in range(draw.randint(0, 2))}
        bases = {name: [each for each in interfaces if draw.random() < 0.4] for name in types}
        implemented = {name: [each for each in types if name in bases[each]] for name in interfaces}
        self.members = {**unions, **{name: of for name, of in implemented.items() if of}}
        for name in [*interfaces, *types]:
            self.classes[name] = type(name, tuple(self.classes[base] for base in bases.get(name, ())), {})
        for name, of in unions.items():
            union = Union[tuple(self.classes[each] for each in of)]  # noqa: UP007  made at run time
            self.classes[name] = Annotated[union, strawberry.union(name)]
        self.classes["Query"] = type("Query", (), {})
        objects = [name for name in self.classes if name not in interfaces or implemented[name]]
        for name in interfaces:
            self._type(name, objects, [], strawberry.interface)
        for name in types:
            self._type(name, objects, bases[name], strawberry.type)
        self._type("Query", objects, [], strawberry.type)
        given = [self.classes[name] for name in types]
        scalars: Any = {**SCALARS, **_SCALARS}
        return strawberry.Schema(
            self.classes["Query"], types=given, config=StrawberryConfig(auto_camel_case=False, scalar_map=scalars)
        )

    def _type(self, name: str, objects: Sequence[str], bases: Sequence[str], declare: Callable[..., Any]) -> None:
        draw, of = self.random, self.classes[name]
        made = self.made[name] = Made(name, {}, set())
        for base in bases:
            made.fields.update(self.made[base].fields)
            made.guarded.update(self.made[base].guarded)
        properties = self._fields(made, objects)
        is_interface = declare is strawberry.interface
        judge = None if is_interface or name == "Query" else self._judge(name)
        if not is_interface and name not in self.values:
            self.values[name] = type(f"{name}Own", (of,), {"__repr__": _told})
        declare(of)
        if judge is not None:
            of.__strawberry_definition__.is_type_of = judge
        if is_interface:
            if draw.random() < 0.2:
                of.__strawberry_definition__.resolve_type = self._resolve_type(name)
            return
        for attribute in made.guarded:
            setattr(self.values[name], attribute, _property(attribute))
        for attribute in properties:
            setattr(self.values[name], attribute, _raising_property(attribute))

    def _fields(self, made: Made, objects: Sequence[str]) -> set[str]:
        """Gives a type its fields; returns the plain ones that are to be properties of its data."""
        draw, of = self.random, self.classes[made.name]
        annotations: dict[str, Any] = {}
        properties: set[str] = set()
        for number in range(8 if made.name == "Query" else draw.randint(3, 9)):
            attribute = f"{made.name.lower()}f{number}"
            spec = made.fields[attribute] = self._spec_of(made.name, number, objects)
            annotation = spec.annotation(self.classes)
            field = self._field(made, attribute, annotation)
            if field is None or field.base_resolver is None:
                annotations[attribute] = annotation
            if field is not None:
                setattr(of, attribute, field)
            elif draw.random() < 0.2:
                properties.add(attribute)
        of.__annotations__ = annotations
        return properties

    def _spec_of(self, name: str, number: int, objects: Sequence[str]) -> Spec:
        """The type of a type's field. Queries begin with objects and lists of them."""
        draw = self.random
        if name == "Query" and number < 5:
            spec = Spec(draw.choice(objects), is_list=False, is_null=True)
            return Spec(spec, is_list=True, is_null=True) if number in (1, 2) else spec
        return self._spec(objects if draw.random() < 0.05 else [each for each in objects if each != "Query"])

    def _judge(self, name: str) -> Callable[..., Any] | None:
        """How it is told that a value is of a type, and the class of its data."""
        draw = self.random
        way = draw.choice(["class", "class", "class", "judged", "later", "own", "none"])
        if way == "own":
            return None
        others = [each for each in self.values.values() if "Record" in each.__name__]
        base = draw.choice(others) if others and draw.random() < 0.15 else object
        record = self.values[name] = type(f"{name}Record", (base,), {"__repr__": _told})
        if way == "none":
            return None

        def is_type_of(value: Any, _: Any) -> Any:
            is_one = isinstance(value, record)
            return Later(is_one) if way == "later" else is_one

        if way == "class":
            cast("Any", is_type_of).only_class = record
        return is_type_of

    def _resolve_type(self, name: str) -> Callable[..., Any]:
        """An interface's own way to tell the type of a value, which is not always the one of its class."""

        def resolve_type(value: Any, info: Any, abstract: Any) -> Any:
            told = next((each for each, of in self.values.items() if isinstance(value, of)), None)
            return self.members[name][0] if value.__dict__.get("_allowed") is False else told

        return resolve_type

    def _spec(self, objects: Sequence[str], depth: int = 0) -> Spec:
        draw = self.random
        is_null = draw.random() < 0.55
        if depth < 2 and draw.random() < (0.3, 0.2)[depth]:
            return Spec(self._spec(objects, depth + 1), is_list=True, is_null=is_null)
        of = draw.choice(objects) if draw.random() < 0.35 else draw.choice(list(LEAVES))
        return Spec(of, is_list=False, is_null=is_null)

    def _field(self, made: Made, name: str, annotation: Any) -> Any:
        """The field under an attribute; None where its annotation says all."""
        draw = self.random
        if draw.random() < (self._plainness if made.name != "Query" else 0.3):
            return None
        way = draw.random()
        plain = [{"name": f"{name}Renamed"}, {"directives": [Marked(why="told")]}, {"default": None}]
        field = cast("Any", strawberry.field)
        if way < 0.3:
            return field(**draw.choice(plain))
        made.guarded.add(name)
        if way < 0.4:
            return _OwnResult(python_name=name)
        if way < 0.6:
            return field(permission_classes=[draw.choice([_Allowed, _AllowedLater])])
        if way < 0.7:
            return field(extensions=[_Changing()])
        return field(graphql_type=annotation, **_resolved(name, draw))


def _told(self: Any) -> str:
    return f"a {self.__class__.__name__}"


def _resolved(name: str, draw: random.Random) -> dict[str, Any]:
    """A resolver of some kind, and what stands around it."""

    def plain(self: Any) -> Any:
        return _kept(self, name)

    async def later(self: Any) -> Any:
        await asyncio.sleep(0)
        return _kept(self, name)

    def argued(self: Any, n: int = 1) -> Any:
        if n > 2:
            raise ValueError(f"{n} is too much")
        return _kept(self, name) if n else None

    async def argued_later(self: Any, n: int = 1) -> Any:
        await asyncio.sleep(0)
        return argued(self, n)

    def optional(self: Any, n: int | None = strawberry.UNSET) -> Any:
        return argued(self, 1 if n is None or n is strawberry.UNSET else n)

    async def optional_later(
        parent: strawberry.Parent[Any], info: strawberry.Info, n: int | None = strawberry.UNSET
    ) -> Any:
        return optional(parent, n if info.field_name == name else 0)

    def awaitable(self: Any) -> Any:
        return Later(_kept(self, name))

    plainly = [plain, later, argued, argued, argued_later, optional, optional_later, awaitable, *_told_more(name)]
    resolver = draw.choice(plainly)
    extras: list[dict[str, Any]] = [{}, {}, {"permission_classes": [_Allowed]}, {"permission_classes": [_AllowedLater]}]
    is_async = resolver in (later, argued_later, optional_later)
    extras.append({"extensions": [_ChangingLater() if is_async else _Changing()]})
    return {"resolver": resolver, **draw.choice(extras)}


def _told_more(name: str) -> Sequence[Callable[..., Any]]:
    """Resolvers that ask for what a plan may know, or may not."""

    def informed(self: Any, info: strawberry.Info) -> Any:
        return _kept(self, name) if len(info.selected_fields) < 3 else None

    def placed(self: Any, info: strawberry.Info) -> Any:
        return _kept(self, name) if len(info.path.as_list()) < 5 else None

    @constant
    def known(self: Any) -> Any:
        return _kept(self, name)

    return informed, placed, known, known


_SCALARS: Mapping[Any, Any] = {
    Fussy: strawberry.scalar(name="Fussy", serialize=_fussy, parse_value=str),
    Twisted: strawberry.scalar(name="Twisted", serialize=_twisted, parse_value=str),
}


# Data


class Data:
    """A few objects of each type, each with a value for every attribute, most of them good ones."""

    def __init__(self, schema: Generated, seed: int, mischief: float) -> None:
        self._schema, self._mischief = schema, mischief
        self._random = random.Random(seed)  # noqa: S311
        self._coroutines: list[Any] = []
        self._pool = {name: [cast("Any", of).__new__(of) for _ in range(3)] for name, of in schema.values.items()}
        for name, of in schema.values.items():
            self._pool[name].append(cast("Any", type(of.__name__ + "Sub", (of,), {})))
            self._pool[name][-1] = self._pool[name][-1].__new__(self._pool[name][-1])
        for name, pool in self._pool.items():
            for each in pool:
                self._fill(each, schema.made[name])
        self.root = self._pool["Query"][0]

    def close(self) -> None:
        for coroutine in self._coroutines:
            coroutine.close()

    def _fill(self, each: Any, made: Made) -> None:
        draw = self._random
        for attribute, spec in made.fields.items():
            if draw.random() < self._mischief * 0.1:
                continue
            value = self._value(spec)
            each.__dict__[f"_{attribute}"] = value
            if not isinstance(getattr(each.__class__, attribute, None), property):
                each.__dict__[attribute] = value
            elif draw.random() < self._mischief:
                each.__dict__[f"_{attribute}"] = Raised(ValueError(f"{attribute} cannot be read"))
        each.__dict__["_allowed"] = draw.random() > self._mischief * 2

    def _value(self, spec: Spec) -> Any:
        draw = self._random
        if draw.random() < self._mischief:
            return self._surprise(spec)
        return self._good(spec)

    def _good(self, spec: Spec) -> Any:
        draw = self._random
        if spec.is_null and draw.random() < 0.15:
            return None
        if spec.is_list:
            items = [self._value(spec.of) for _ in range(draw.randint(0, 3))]
            return tuple(items) if draw.random() < 0.3 else items
        if spec.of.__class__ is not str:
            return draw.choice(LEAVES[spec.of])
        name = draw.choice(self._schema.members.get(spec.of, [spec.of]))
        pool = self._pool[name]
        return pool[-1] if draw.random() < self._mischief else draw.choice(pool[:-1])

    def _surprise(self, spec: Spec) -> Any:
        draw = self._random
        way = draw.random()
        if way < 0.5 and spec.of in NEARLY:
            return draw.choice(NEARLY[spec.of])
        if way < 0.7:
            return draw.choice(SURPRISES)
        good = self._good(spec)
        if way < 0.77:
            return Later(good)
        if way < 0.8:
            self._coroutines.append(_answer(good))
            return self._coroutines[-1]
        if way < 0.9 and spec.is_list and good is not None:
            again: list[Callable[[Any], Any]] = [iter, deque, Items, _generated]
            return draw.choice(again)(good)
        return draw.choice(draw.choice(list(self._pool.values())))


async def _answer(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def _generated(items: Sequence[Any]) -> Any:
    yield from items


# Documents

VARIABLES: Final = {
    "yes": "Boolean!",
    "no": "Boolean!",
    "may": "Boolean = true",
    "n": "Int",
    "m": "Int! = 2",
}


class Writer:
    """Writes a document. A response name always means the same field with the same arguments, so that all merge."""

    def __init__(self, schema: GraphQLSchema, draw: random.Random) -> None:
        self._schema, self._random = schema, draw
        self._used: set[str] = set()
        self._fragments: dict[str, tuple[Any, str]] = {}
        self._left = 70
        """How many more fields there may be."""

    def document(self) -> tuple[str, set[str]]:
        """A document, and the variables that it takes."""
        depth = self._random.randint(2, 5)
        is_small = self._random.random() < 0.4
        query: Any = self._schema.query_type
        body = f"{{ {self._resolved(query, depth)} }}" if is_small else self._selection(query, depth, least=3)
        declared = ", ".join(f"${name}: {VARIABLES[name]}" for name in sorted(self._used))
        head = f"query Q({declared})" if declared else "query Q"
        parts = [f"{head} {body}", *(text for _, text in self._fragments.values())]
        return "\n".join(parts), self._used

    def _selection(self, kind: Any, depth: int, least: int = 1) -> str:
        draw = self._random
        parts = [self._one(kind, depth) for _ in range(draw.randint(least, 5))]
        return "{ " + " ".join(parts) + " }"

    def _one(self, kind: Any, depth: int) -> str:
        draw = self._random
        way = draw.random()
        if way < 0.08:
            return f"{draw.choice(['', 'kind: '])}__typename{self._condition()}"
        if way < 0.2 and depth:
            return self._inline(kind, depth)
        if way < 0.32 and depth:
            return self._spread(kind, depth)
        return self._field(kind, depth)

    def _inline(self, kind: Any, depth: int) -> str:
        if self._random.random() < 0.3:
            return f"...{self._condition() or ' '}{self._selection(kind, depth - 1)}"
        on = self._overlapping(kind)
        return f"... on {on.name}{self._condition()} {self._selection(on, depth - 1)}"

    def _spread(self, kind: Any, depth: int) -> str:
        draw = self._random
        on = self._overlapping(kind)
        known = [name for name, (of, _) in self._fragments.items() if of is on]
        if known and draw.random() < 0.6:
            return f"...{draw.choice(known)}{self._condition()}"
        body = self._selection(on, depth - 1)  # before it has a name, so that it cannot spread itself
        name = f"F{len(self._fragments)}"
        self._fragments[name] = on, f"fragment {name} on {on.name} {body}"
        return f"...{name}{self._condition()}"

    def _overlapping(self, kind: Any) -> Any:
        """A type of which a value of this type may be."""
        own = self._possible(kind)
        composite = (GraphQLObjectType, GraphQLInterfaceType, GraphQLUnionType)
        named = [each for each in self._schema.type_map.values() if isinstance(each, composite)]
        return self._random.choice([each for each in named if own & self._possible(each)])

    def _possible(self, kind: Any) -> set[str]:
        if isinstance(kind, GraphQLObjectType):
            return {kind.name}
        return {each.name for each in self._schema.get_possible_types(kind)}

    def _field(self, kind: Any, depth: int, name: str = "") -> str:
        draw = self._random
        fields = getattr(kind, "fields", None)
        if not fields or self._left <= 0:
            return "__typename"
        self._left -= 1
        name = name or draw.choice(list(fields))
        field = fields[name]
        inner = cast("Any", get_named_type)(field.type)
        is_leaf = not isinstance(inner, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType)
        if not is_leaf and not depth:
            return "__typename"
        called, arguments = self._called(name, draw.randrange(5) if field.args else 0)
        body = "" if is_leaf else f" {self._selection(inner, depth - 1)}"
        return f"{called}{arguments}{self._condition()}{body}"

    def _resolved(self, kind: Any, depth: int) -> str:
        """One field that has a resolver and nothing else, where there is one, best of all of an object."""
        own = {name: field.extensions["strawberry-definition"] for name, field in kind.fields.items()}
        plainly = [
            each for each, of in own.items() if of.base_resolver and not (of.permission_classes or of.extensions)
        ]
        objects = [name for name in plainly if isinstance(kind.fields[name].type, GraphQLObjectType)]
        return self._field(kind, depth, self._random.choice(objects or plainly or list(own)))

    def _called(self, name: str, arguments: int) -> tuple[str, str]:
        """How a field is called in the response, and with what: a name for each choice of arguments."""
        if arguments == 0:
            return (name if self._random.random() < 0.7 else f"z{name}: {name}"), ""
        value = ("0", "3", "$n", "$m")[arguments - 1]
        if value[0] == "$":
            self._used.add(value[1:])
        return f"a{arguments}{name}: {name}", f"(n: {value})"

    def _condition(self) -> str:
        draw = self._random
        if draw.random() < 0.8:
            return ""
        condition = draw.choice(["true", "false", "$yes", "$no", "$yes", "$no", "$may"])
        if condition[0] == "$":
            self._used.add(condition[1:])
        word = draw.choice(["skip", "include"])
        more = " @skip(if: $no)" if word == "include" and draw.random() < 0.2 else ""
        if more:
            self._used.add("no")
        return f" @{word}(if: {condition}){more}"


def variables(used: set[str], draw: random.Random) -> dict[str, Any]:
    """Values for variables: mostly likely ones, so that the same ways are met again."""
    values: dict[str, Any] = {
        "yes": draw.random() < 0.8,
        "no": draw.random() < 0.2,
        "n": draw.choice([0, 1, 2, 3, None]),
    }
    if draw.random() < 0.4:
        values["may"] = draw.choice([True, False, None])
    if draw.random() < 0.3:
        values["m"] = draw.choice([0, 3])
    return {name: value for name, value in values.items() if name in used}
