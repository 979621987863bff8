"""Resolvers that are called without what stands before them: with the same arguments, about the same things, and never
past anything that has a say.
"""

import asyncio
import datetime as dt
import decimal
import enum
import functools
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, NewType, TypeVar, cast

import graphql
import pytest
import strawberry
from graphql import GraphQLResolveInfo, parse
from strawberry.extensions import FieldExtension, SchemaExtension
from strawberry.permission import BasePermission
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter
from strawberry.types.field import StrawberryField
from strawberry.types.scalar import ScalarDefinition

from gateway.execution import compiled as compiling
from gateway.execution.called import Call
from gateway.execution.compiled import CompiledExecutor, Plans, compiled
from gateway.execution.whole import Execution
from gateway.schema.scalars import AS_ENCODED, CONFIG, SCALARS
from tests.gateway.test_compiled import Asked

T = TypeVar("T")


def noting(executor: type[CompiledExecutor], names: list[str]) -> type[CompiledExecutor]:
    """The executor, which notes the fields whose resolvers are called at once."""

    class Noting(executor):
        def called(self, parent: Any, details: Any) -> Call | None:
            found = super().called(parent, details)
            names.extend([details[0].node.name.value] if found is not None else [])
            return found

    return Noting


@pytest.fixture
def at_once() -> list[str]:
    """The names of the fields whose resolvers are called at once."""
    return []


async def told(
    schema: strawberry.Schema,
    text: str,
    *given: Mapping[str, Any],
    root: Any = None,
    at_once: list[str] | None = None,
    fails: bool | None = False,
) -> list[Any]:
    """The data that each of these variables give, each time the same as the engine's, whether arguments are shared by
    all executions or not."""
    asking = Asked(schema, root, text)
    answers: list[Any] = []
    for time in range(6):
        if time in (0, 3):
            plans = Plans(AS_ENCODED, shares_arguments=time == 0)
            asking.executor = noting(compiled(plans), [] if at_once is None else at_once)
        got = [await asking.again(values) for values in given or ({},)]
        assert fails is None or any(each.errors for each in got) is fails, got
        answers = [json.loads(each.data) for each in got]
    return answers


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


strawberry.enum(Colour)


@strawberry.input
class Point:
    x: int
    y: int | None = strawberry.UNSET
    colour: Colour = Colour.RED


Money = NewType("Money", decimal.Decimal)
MONEY = ScalarDefinition(
    name="Money", description=None, specified_by_url=None, serialize=str, parse_value=decimal.Decimal,
    parse_literal=None, origin=None,
)  # fmt: skip


@strawberry.type
class Every:
    @strawberry.field
    @staticmethod
    def told(  # noqa: PLR0917
        text: str | None = None,
        number: int | None = strawberry.UNSET,
        real: float | None = 1.5,
        flag: bool = True,
        id: strawberry.ID | None = strawberry.UNSET,
        colour: Colour | None = strawberry.UNSET,
        numbers: list[int] | None = strawberry.UNSET,
        nested: list[list[str | None]] | None = strawberry.UNSET,
        point: Point | None = strawberry.UNSET,
        points: list[Point] | None = strawberry.UNSET,
        money: Money | None = strawberry.UNSET,
        moment: dt.datetime | None = strawberry.UNSET,
        named: Annotated[str | None, strawberry.argument(name="otherName")] = strawberry.UNSET,
        default: Colour = Colour.BLUE,
    ) -> str:
        return repr(
            (text, number, real, flag, id, colour, numbers, nested, point, points, money, moment, named, default)
        )

    @strawberry.field
    @staticmethod
    def required(number: int, word: str, id: strawberry.ID, colour: Colour, numbers: list[int]) -> str | None:
        return repr((number, word, id, colour, numbers))


LITERALS = (
    "",
    '(text: "x", number: 1, real: 2, flag: false, id: 5, colour: RED, otherName: "n")',
    '(text: null, number: null, real: null, id: "five", colour: null, otherName: null)',
    "(real: 3.25, id: 99999999999)",
    "(numbers: 7)",
    "(numbers: [7, 8])",
    '(nested: "a")',
    '(nested: ["a"])',
    '(nested: [["a", null], []])',
    "(point: { x: 1 })",
    "(point: { x: 1, y: null, colour: BLUE })",
    "(points: { x: 1 })",
    "(points: [{ x: 1, y: 2 }, { x: 2 }])",
    '(money: "1.10")',
    '(moment: "2026-01-01T00:00:00Z")',
    '(text: """block""")',
)
BY_VARIABLE: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("text", "String", ("a", None)),
    ("text", "String!", ("a",)),
    ("text", 'String = "own"', ("a", None)),
    ("number", "Int", (1, None)),
    ("real", "Float", (1, 1.5, None)),
    ("flag", "Boolean!", (True, False)),
    ("flag", "Boolean", (True, False, None)),
    ("id", "ID", (5, "five", None)),
    ("colour", "Colour", ("RED", None)),
    ("numbers", "[Int!]", ([1, 2], 3, [], None)),
    ("nested", "[[String]!]", ([["a", None]], "a", None)),
    ("point", "Point", ({"x": 1}, {"x": 1, "y": None, "colour": "BLUE"}, None)),
    ("points", "[Point!]", ([{"x": 1}], {"x": 1}, None)),
    ("money", "Money", ("1.10", None)),
    ("moment", "DateTime", ("2026-01-01T00:00:00Z", None)),
    ("otherName", "String", ("n", None)),
)


def every() -> strawberry.Schema:
    return strawberry.Schema(Every, config=StrawberryConfig(scalar_map={Money: MONEY}))


@pytest.mark.parametrize("arguments", LITERALS)
async def test_arguments_that_stand_in_the_document_are_what_the_engine_makes_of_them(arguments: str):
    await told(every(), f"{{ told{arguments} }}")


@pytest.mark.parametrize(("name", "kind", "values"), BY_VARIABLE)
async def test_arguments_that_variables_tell_are_what_the_engine_makes_of_them(name: str, kind: str, values: Any):
    text = f"query ($v: {kind}) {{ told({name}: $v) also: told(real: 2, {name}: $v) }}"
    given = [{"v": value} for value in values] + ([] if kind.endswith("!") else [{}])
    await told(every(), text, *given, fails=None if (name, kind) == ("flag", "Boolean") else False)  # null is none


@strawberry.type
class Timely:
    @strawberry.field
    @staticmethod
    def at(moment: dt.datetime) -> str:
        return repr(moment)


MOMENTS = ("2026-05-01T12:00:00Z", "2026-05-01T14:00:00+02:00", "0001-01-01T14:00:00+14:00")
NO_MOMENTS = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-05-01T12:00:00")


@pytest.mark.parametrize(("moments", "fails"), [(MOMENTS, False), (NO_MOMENTS, True)])
async def test_moments_are_what_the_engine_makes_of_them(moments: Sequence[str], fails: bool):
    schema = strawberry.Schema(Timely, config=CONFIG)
    text = "query ($v: DateTime!) { at(moment: $v) also: at(moment: $v) }"
    await told(schema, text, *({"v": moment} for moment in moments), fails=fails)
    for moment in moments:
        await told(schema, f'{{ at(moment: "{moment}") }}', fails=fails)


REQUIRED = 'word: "a", id: 1, colour: RED, numbers: [1]'


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (f"query ($v: Int! = 3) {{ required(number: $v, {REQUIRED}) }}", (1, None)),
        (f"query ($v: Int = 3) {{ required(number: $v, {REQUIRED}) }}", (1, None)),
        (
            'query ($v: ID = "x") { required(id: $v, number: 1, word: "a", colour: RED, numbers: 2) }',
            ("a", 5, None),
        ),
        (
            'query ($v: Colour = RED) { required(colour: $v, number: 1, word: "a", id: 2, numbers: 2) }',
            ("BLUE", None),
        ),
        (
            'query ($v: [Int!] = [4]) { required(numbers: $v, number: 1, word: "a", id: 2, colour: RED) }',
            ([1], 2, None),
        ),
    ],
)
async def test_what_must_be_given_may_be_told_by_a_variable_with_a_value_of_its_own(text: str, values: Any):
    given = [{}, *({"v": value} for value in values)]
    await told(every(), text, *given, fails=None)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("query ($v: Int!) { told(numbers: [1, $v]) }", (1, 2)),
        ("query ($v: Int) { told(point: { x: 1, y: $v }) }", (1, None)),
        ("query ($v: Int!) { told(points: [{ x: $v }]) }", (1, 2)),
        ("query ($v: String) { told(nested: [[$v]]) }", ("a", None)),
    ],
)
async def test_variables_inside_arguments_are_what_they_are_each_time(text: str, values: Any):
    await told(every(), text, *({"v": value} for value in values))


async def test_plain_arguments_are_given_at_once(at_once: list[str]):
    await told(every(), 'query ($v: Int) { told(text: "x", number: $v) }', {"v": 1}, {"v": None}, {}, at_once=at_once)
    assert set(at_once) == {"told"}


@pytest.mark.parametrize(("name", "kind", "values"), BY_VARIABLE)
async def test_arguments_of_any_kind_are_given_at_once(name: str, kind: str, values: Any, at_once: list[str]):
    text = f"query ($v: {kind}) {{ told({name}: $v) }}"
    fails = None if (name, kind) == ("flag", "Boolean") else False
    await told(every(), text, *({"v": value} for value in values), at_once=at_once, fails=fails)
    assert set(at_once) == {"told"}


async def test_inputs_that_are_made_in_their_own_way_are_told_all_that_they_may_ask_for(at_once: list[str]):
    @strawberry.input
    class Own:
        word: str

    @strawberry.input
    class Around:
        own: Own | None = None

    cast("Any", Own).__strawberry_definition__.from_input = lambda kind, value, context: kind(
        word=f"{value['word']} for {context.info.field_name}"
    )

    @strawberry.type
    class Query:
        @strawberry.field
        @staticmethod
        def told(given: Own) -> str:
            return given.word

        @strawberry.field
        @staticmethod
        def inside(given: list[Around]) -> list[str]:
            return [each.own.word for each in given if each.own]

    text = """query ($o: Own!, $a: [Around!]!) {
        a: told(given: { word: "x" }) b: told(given: $o) c: inside(given: [{ own: { word: "y" } }]) d: inside(given: $a)
    }"""
    values = {"o": {"word": "z"}, "a": [{"own": {"word": "w"}}]}
    expected = {"a": "x for told", "b": "z for told", "c": ["y for inside"], "d": ["w for inside"]}
    assert await told(strawberry.Schema(Query), text, values, at_once=at_once) == [expected]
    assert not at_once


@pytest.mark.parametrize("operation", ["query", "mutation"])
@pytest.mark.parametrize("is_shared", [True, False])
async def test_what_is_made_of_an_argument_is_kept_for_queries_whose_resolvers_leave_it_as_it_is(
    operation: str, is_shared: bool
):
    made: list[Point] = []

    @strawberry.type
    class Query:
        @strawberry.field
        @staticmethod
        def told(point: Point | None = strawberry.UNSET) -> int:
            made.append(cast("Any", point))
            return 1

    @strawberry.type
    class Mutation(Query):
        pass

    schema = cast("Any", strawberry.Schema(Query, Mutation))._schema
    executor = compiled(Plans(shares_arguments=is_shared))
    document = parse(f"{operation} ($p: Point) {{ told(point: $p) }}")
    for value in [{"x": 1}] * 6 + [{"x": 2}] + [{"x": 1}] * 2 + [{"x": 1, "y": None}]:
        assert executor.run(schema, document, variable_values={"p": value}).data == {"told": 1}
    assert [point.x for point in made] == [*[1] * 6, 2, 1, 1, 1]
    assert (made[4] is made[5] is made[7]) is (is_shared and operation == "query")
    assert made[9] is not made[8], "for one that is not the same"


Loose = NewType("Loose", object)


@strawberry.type
class Telling:
    @strawberry.field
    @staticmethod
    def told(given: "Something") -> str:
        moments = " ".join(map(str, given.at))
        return f"{moments} {given.loose}"


@strawberry.input
class Something:
    at: list[dt.datetime]
    loose: Loose | None = None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"at": ["2026-01-01T00:00:00+00:00:20"]}, {"at": ["2026-01-01T00:00:00+00:00"]}),
        ({"at": [], "loose": "nan"}, {"at": [], "loose": None}),
        ({"at": [], "loose": "inf"}, {"at": [], "loose": "nan"}),
        ({"at": [], "loose": 1}, {"at": [], "loose": True}),
        ({"at": [], "loose": [1.0]}, {"at": [], "loose": [1]}),
    ],
)
async def test_what_is_kept_of_one_argument_is_given_for_no_other(one: Mapping[str, Any], other: Mapping[str, Any]):
    def parsed(value: object) -> object:
        return float(value) if value in ("nan", "inf") else value  # pyright: ignore[reportArgumentType]

    scalar = strawberry.scalar(name="Loose", parse_value=parsed)
    config = StrawberryConfig(scalar_map={**SCALARS, Loose: scalar})
    schema = cast("Any", strawberry.Schema(Telling, config=config))._schema
    document = parse("query ($s: Something!) { told(given: $s) }")
    executor = compiled(Plans(shares_arguments=True))
    for _ in range(3):
        for values in (one, one, other, other):
            given = {"variable_values": {"s": values}}
            expected = cast("Any", graphql).execute(schema, document, **given)
            assert not expected.errors
            assert cast("Any", executor).run(schema, document, **given).data == expected.data


async def test_arguments_nobody_declared_are_left_out_as_the_engine_does():
    asking = Asked(every(), None, 'query ($v: Int) { told(unknown: $v) also: told(unknown: "x", text: "a") }')
    for _ in range(3):
        await asking.again({"v": 1})


class Refused(Exception):
    """Somebody's own error."""


@strawberry.input
class Checked:
    x: int

    def __post_init__(self) -> None:
        if self.x < 0:
            raise Refused("negative")


@strawberry.type
class Checking:
    @strawberry.field
    @staticmethod
    def told(given: Checked | None = None) -> int | None:
        return given and given.x

    beside: int = 1


async def test_an_input_that_refuses_its_values_costs_its_own_field_only():
    text = "{ a: told(given: { x: -1 }) b: told(given: { x: 1 }) beside }"
    asking = Asked(strawberry.Schema(Checking), Checking(), text)
    for _ in range(3):
        got = await asking.again()
        assert json.loads(got.data) == {"a": None, "b": 1, "beside": 1}
        assert [error[1] for error in got.errors] == [["a"]]


# What has a say


class Lost(Exception):
    """What is asked for is not there."""


@strawberry.type
class Absent:
    reason: str


@strawberry.type
class Present:
    word: str


class ToldAsAbsent(strawberry.ExceptionHandler[Lost, Absent]):
    def handle(self, exception: Lost, *, field: Any, info: Any) -> Absent:
        return Absent(reason=str(exception))


@strawberry.type
class Finding:
    @strawberry.field
    @staticmethod
    def at_once(word: str) -> Annotated[Present | Absent, strawberry.union("Found")]:
        raise Lost(word)

    @strawberry.field
    @staticmethod
    async def later(word: str) -> Annotated[Present | Absent, strawberry.union("Found")]:
        raise Lost(word)


async def test_a_handler_of_exceptions_handles_them_however_often_a_document_is_executed():
    schema = strawberry.Schema(Finding, exception_handlers=[ToldAsAbsent()])
    text = '{ atOnce(word: "a") { ... on Absent { reason } } later(word: "b") { ... on Absent { reason } } }'
    assert await told(schema, text) == [{"atOnce": {"reason": "a"}, "later": {"reason": "b"}}]


class Never(BasePermission):
    message = "never"

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return False


class Louder(FieldExtension):
    def resolve(self, next_: Callable[..., Any], source: Any, info: Any, **kwargs: Any) -> Any:
        return str(next_(source, info, **kwargs)) + "!"


class OwnResult(StrawberryField):
    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return "own " + str(super().get_result(source, info, args, kwargs))


class Same(StrawberryField):
    """A field of a kind of its own that does nothing else."""


@strawberry.type
class Guarded:
    @strawberry.field(permission_classes=[Never])
    @staticmethod
    def never(number: int = 1) -> str | None:
        return "told all the same"

    @strawberry.field(extensions=[Louder()])
    @staticmethod
    def loud(number: int = 1) -> str:
        return "loud"


async def test_permissions_and_extensions_have_their_say_each_time(at_once: list[str]):
    schema = strawberry.Schema(Guarded)
    assert await told(schema, "{ never loud }", at_once=at_once, fails=True) == [{"never": None, "loud": "loud!"}]
    assert not at_once


async def test_what_makes_the_result_its_own_way_is_asked_for_it(at_once: list[str]):
    def word(number: int = 1) -> str:
        return f"word {number}"

    @strawberry.type
    class Query:
        own: str = cast("Any", OwnResult(python_name="own")(word))
        same: str = cast("Any", Same(python_name="same")(word))

    assert await told(strawberry.Schema(Query), "{ own same }", at_once=at_once) == [
        {"own": "own word 1", "same": "word 1"}
    ]
    assert set(at_once) == {"same"}


async def test_what_somebody_put_around_a_resolver_afterwards_is_called_each_time():
    @strawberry.type
    class Inside:
        plain: str = "plain"

        @strawberry.field
        @staticmethod
        def told(number: int = 1) -> str:
            return "told"

    @strawberry.type
    class Query:
        inside: Inside

    schema = strawberry.Schema(Query)
    fields = cast("Any", schema)._schema.type_map["Inside"].fields
    for name in ("told", "plain"):

        def wrapped(source: Any, info: Any, _inner: Any = fields[name].resolve, **given: Any) -> str:
            return f"checked {_inner(source, info, **given)}"

        fields[name].resolve = functools.wraps(fields[name].resolve)(wrapped)
    (answered,) = await told(schema, "{ inside { told plain } }", root=Query(inside=Inside()))
    assert answered == {"inside": {"told": "checked told", "plain": "checked plain"}}


async def test_extensions_of_a_schema_see_every_field():
    seen: list[str] = []

    class Seeing(SchemaExtension):
        def resolve(self, _next: Any, root: Any, info: "GraphQLResolveInfo[Any]", *args: Any, **kwargs: Any) -> Any:
            seen.append(info.field_name)
            return _next(root, info, *args, **kwargs)

    executor = compiled(Plans())
    schema = strawberry.Schema(Every, extensions=[Seeing], config=StrawberryConfig(scalar_map={Money: MONEY}))
    schema.execution_context_class = executor
    for _ in range(3):
        assert not (await schema.execute("{ told }")).errors
    assert seen == ["told"] * 3


# About what they are called


def names_in(info: strawberry.Info) -> list[Any]:
    """What is selected, as a resolver sees it."""
    return [[field.name, *(inner.name for inner in field.selections)] for field in cast("Any", info).selected_fields]


@strawberry.type
class Inner:
    word: str

    @strawberry.field
    def method(self, info: strawberry.Info, suffix: str = "") -> str:
        return f"{self.word}{suffix} {info.path.as_list()} {info.return_type} {info.python_name}"

    @strawberry.field
    @staticmethod
    def of_parent(parent: strawberry.Parent[Any], about: strawberry.Info) -> str:
        return f"{parent.word} {names_in(about)} {about.operation.operation}"

    @strawberry.field
    @staticmethod
    def of_root(root: Any) -> str:
        return root.word

    @strawberry.field
    @classmethod
    def of_class(cls) -> str:
        return cls.__name__

    @strawberry.field
    async def late(self, info: strawberry.Info) -> "Inner":
        await asyncio.sleep(0)
        return Inner(word=f"{self.word} {names_in(info)}")


@strawberry.type
class Outer:
    inners: list[Inner]

    @strawberry.field
    @staticmethod
    def context(info: strawberry.Info) -> str:
        variables = sorted(info.variable_values.items())
        return f"{info.context} {info.root_value is not None} {variables} {len(info.selected_fields)}"


async def test_resolvers_are_told_what_they_are_called_on_and_what_about():
    root = Outer(inners=[Inner(word="a"), Inner(word="b")])
    selected = 'word method m2: method(suffix: "!") ofParent ofRoot ofClass'
    text = f"""query ($v: Boolean!) {{
        inners {{ {selected} late {{ {selected} ...F @include(if: $v) }} }} context context
        }} fragment F on Inner {{ late {{ word method }} }}"""
    (one, other) = await told(strawberry.Schema(Outer), text, {"v": True}, {"v": False}, root=root)
    assert "late" in one["inners"][0]["late"]
    assert "late" not in other["inners"][0]["late"]


async def test_an_info_of_ones_own_is_what_resolvers_are_told():
    class Own(strawberry.Info):
        @property
        def word(self) -> str:
            return "own"

    @strawberry.type
    class Query:
        @strawberry.field
        @staticmethod
        def told(info: Own) -> str:
            return f"{type(info).__name__} {info.word}"

    config = StrawberryConfig(info_class=Own)
    assert await told(strawberry.Schema(Query, config=config), "{ told }") == [{"told": "Own own"}]


async def test_fields_of_generic_types_and_of_types_that_inherit_are_called_on_their_own(at_once: list[str]):
    @strawberry.type
    class Box(Generic[T]):
        item: T

        @strawberry.field
        def told(self, number: int = 1) -> str:
            return f"{type(self).__name__} {number}"

    @strawberry.type
    class Wide(Box[int]):
        @strawberry.field
        @classmethod
        def kind(cls) -> str:
            return cls.__name__

    @strawberry.type
    class Wider(Wide):
        pass

    @strawberry.type
    class Query:
        texts: Box[str]
        wide: Wide
        wider: Wider

    root = Query(texts=Box(item="a"), wide=Wide(item=1), wider=Wider(item=2))
    text = "{ texts { told } wide { told(number: 2) kind } wider { told kind } }"
    await told(strawberry.Schema(Query), text, root=root, at_once=at_once)
    assert {"told", "kind"} <= set(at_once)


async def test_names_that_are_spelled_in_another_way_are_found():
    class Shouting(NameConverter):
        def apply_naming_config(self, name: str) -> str:
            return name.upper()

    @strawberry.type
    class Query:
        @strawberry.field
        @staticmethod
        def told(some_word: str, other: int | None = None) -> str:
            return f"{some_word} {other}"

    schema = strawberry.Schema(Query, config=StrawberryConfig(name_converter=Shouting()))
    answered = await told(schema, "query ($w: String!) { TOLD(SOME_WORD: $w, OTHER: 3) }", {"w": "a"}, {"w": "b"})
    assert answered == [{"TOLD": "a 3"}, {"TOLD": "b 3"}]


# Mutations and subscriptions


@strawberry.type
class Counter:
    value: int

    @strawberry.field
    def now(self) -> int:
        return self.value


class State:
    def __init__(self) -> None:
        self.value = 0
        self.under_way = 0
        self.most = 0


@strawberry.type
class Mutation:
    @strawberry.mutation
    @staticmethod
    async def add(info: strawberry.Info, number: int, fails: bool = False) -> Counter | None:
        state = info.root_value
        state.under_way += 1
        state.most = max(state.most, state.under_way)
        await asyncio.sleep(0)
        state.value += number
        state.under_way -= 1
        if fails:
            raise Refused("failed")
        return Counter(value=state.value)

    @strawberry.mutation
    @staticmethod
    def double(info: strawberry.Info) -> Counter:
        info.root_value.value *= 2
        return Counter(value=info.root_value.value)


async def test_mutations_are_executed_one_after_the_other_and_each_once(at_once: list[str]):
    @strawberry.type
    class Query:
        a: int = 1

    schema = cast("Any", strawberry.Schema(Query, Mutation))
    text = """mutation ($n: Int!) {
        a: add(number: $n) { value now } b: double { now }
        c: add(number: 1, fails: true) { now } d: add(number: 3) { value }
    }"""
    executor = noting(compiled(Plans()), at_once)
    document = parse(text)
    for time in range(3):
        state = State()
        begun = cast("Any", graphql).execute(
            schema._schema, document, state, variable_values={"n": time}, executor_class=executor
        )
        result = await begun
        expected = {"a": {"value": time, "now": time}, "b": {"now": 2 * time}, "c": None, "d": {"value": 2 * time + 4}}
        assert result.data == expected
        assert [error.path for error in result.errors] == [["c"]]
        assert (state.value, state.most) == (2 * time + 4, 1)
    assert at_once.count("add") == 2 * 3


def answering(done: list[str]) -> Any:
    """Fields that give what a word says, at once or later, where null is allowed and where it is not."""

    def given(word: str) -> Counter | None:
        done.append(word)
        if word == "an error":
            raise Refused(word)
        return None if word == "null" else Counter(value=cast("Any", None if word == "a surprise" else 7))

    async def given_later(word: str) -> Counter | None:
        await asyncio.sleep(0)
        return given(word)

    @strawberry.type
    class Query:
        @strawberry.field
        @staticmethod
        def now(word: str) -> Counter | None:
            return given(word)

        @strawberry.field
        @staticmethod
        async def later(word: str) -> Counter | None:
            return await given_later(word)

        @strawberry.field
        @staticmethod
        def to_come(word: str) -> Counter | None:
            return cast("Any", asyncio.ensure_future(given_later(word)))

        @strawberry.field
        @staticmethod
        async def must(word: str) -> Counter:
            return cast("Any", await given_later(word))

    @strawberry.type
    class Mutation(Query):
        pass

    return cast("Any", strawberry.Schema(Query, Mutation))._schema


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the first fields of the operations that are executed without an executor, at first."""
    executed: list[str] = []
    result = Execution.result

    def noted(self: Execution, arguments: Any) -> Any:
        executed.append(self._roots.fields[0].name)
        return result(self, arguments)

    monkeypatch.setattr(Execution, "result", noted)
    return executed


@pytest.mark.parametrize("gives", ["a value", "null", "an error", "a surprise"])
@pytest.mark.parametrize("field", ["now", "later"])
@pytest.mark.parametrize("operation", ["query", "mutation"])
async def test_an_operation_of_one_field_calls_its_resolver_once_whatever_it_gives(
    whole: list[str], operation: str, field: str, gives: str
):
    """A mutation by an executor always, which calls one field after the other."""
    done: list[str] = []
    schema = answering(done)
    document = parse(f"{operation} ($word: String!) {{ {field}(word: $word) {{ value }} }}")
    executor = compiled(Plans())
    for _ in range(4):
        done.clear()
        begun: Any = executor.run(schema, document, variable_values={"word": gives})
        result = await begun if asyncio.iscoroutine(begun) else begun
        assert done == [gives]
        assert result.data == {field: {"value": 7} if gives == "a value" else None}
        paths = {"an error": [[field]], "a surprise": [[field, "value"]]}
        assert [error.path for error in result.errors or ()] == paths.get(gives, [])
    is_planned = operation == "query" and gives in ("a value", "a surprise")
    assert bool(whole) is is_planned


@pytest.mark.parametrize("forgets", ["leave", "evict"])
@pytest.mark.parametrize("gives", ["null", "an error", "a surprise"])
async def test_what_went_on_while_its_plans_were_forgotten_is_called_once(
    whole: list[str], forgets: str, gives: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compiling, "KEPT", 2)
    done: list[str] = []
    schema = answering(done)
    document = parse("query ($word: String!) { later(word: $word) { value } toCome(word: $word) { value } }")
    executor = compiled(Plans())
    expected = await cast("Any", graphql).execute(schema, document, variable_values={"word": gives})
    for _ in range(3):
        await cast("Any", executor.run(schema, document, variable_values={"word": "a value"}))
    done.clear()
    whole.clear()
    begun: Any = executor.run(schema, document, variable_values={"word": gives})
    assert whole == ["later"]
    if forgets == "leave":
        executor.plans.leave(schema.query_type.fields["now"])
    else:
        for other in "abc":
            other_document = parse(f'{{ {other}: now(word: "a value") {{ value }} }}')
            cast("Any", executor.run(schema, other_document))
        done[:] = [word for word in done if word == gives]
    result = await begun
    assert done == [gives] * 2
    assert (result.data, len(result.errors or ())) == (expected.data, len(expected.errors or ()))


@pytest.mark.parametrize("second", ["a value", "null", "an error", "a surprise"])
@pytest.mark.parametrize("first", ["a value", "null", "an error", "a surprise"])
@pytest.mark.parametrize("fields", ["now later", "later now", "later toCome", "toCome must", "must later", "now now"])
async def test_an_operation_of_several_fields_calls_each_resolver_once_and_is_answered_as_by_the_engine(
    fields: str, first: str, second: str
):
    done: list[str] = []
    schema = answering(done)
    names = fields.split()
    document = parse(
        f"query ($a: String!, $b: String!) {{ a: {names[0]}(word: $a) {{ value }} b: {names[1]}(word: $b) {{ value }}"
        ' c: later(word: "third") { value } }'
    )
    executor = compiled(Plans())
    words = {"a": first, "b": second}
    for run in [cast("Any", graphql).execute] * 2 + [executor.run] * 4:
        done.clear()
        result = await run(schema, document, variable_values=words)
        told = result.data, sorted(error.path for error in result.errors or ())
        if run is not executor.run:
            expected = told
        assert told == expected
        assert sorted(done) == sorted([first, second, "third"])


@pytest.mark.parametrize("text", ["{ one { value } }", "{ many { value } }", "{ one { value } many { value } }"])
@pytest.mark.parametrize("gives", ["a value", "something to await"])
async def test_what_comes_of_awaiting_is_not_awaited_again(text: str, gives: str):
    async def twice(value: Any) -> Any:
        await asyncio.sleep(0)
        later: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        later.set_result(value)
        return value if gives == "a value" else later

    @strawberry.type
    class Query:
        @strawberry.field
        @staticmethod
        async def one() -> Counter | None:
            return await twice(Counter(value=1))

        @strawberry.field
        @staticmethod
        async def many() -> list[Counter] | None:
            return await twice([Counter(value=1), Counter(value=2)])

    schema = cast("Any", strawberry.Schema(Query))._schema
    document, executor = parse(text), compiled(Plans())
    expected = await cast("Any", graphql).execute(schema, document)
    for _ in range(4):
        got = await cast("Any", executor.run(schema, document))
        assert (got.data, len(got.errors or ())) == (expected.data, len(expected.errors or ()))


@pytest.mark.parametrize("order", ["goesOn must", "must goesOn", "must goesOn goesOn"])
async def test_where_one_of_several_fails_what_goes_on_ends_as_with_the_engine(whole: list[str], order: str):
    """A field that must not be null empties the answer at once, and what its siblings do is for nothing."""
    ended: list[str] = []

    @strawberry.type
    class Query:
        @strawberry.field
        @staticmethod
        async def must(word: str) -> Counter:
            await asyncio.sleep(0)
            if word == "an error":
                raise Refused(word)
            return Counter(value=7)

        @strawberry.field
        @staticmethod
        async def goes_on(word: str) -> Counter | None:
            try:
                await (asyncio.Event().wait() if word == "an error" else asyncio.sleep(0))
            except asyncio.CancelledError:
                ended.append(word)
                raise
            return Counter(value=1)

    schema = cast("Any", strawberry.Schema(Query))._schema
    fields = (f"f{number}: {name}(word: $w) {{ value }}" for number, name in enumerate(order.split()))
    document = parse(f"query ($w: String!) {{ {' '.join(fields)} }}")
    executor = compiled(Plans())
    before = asyncio.all_tasks()
    for run in [cast("Any", graphql).execute, *[executor.run] * 4]:
        for word in ("a value", "an error"):
            ended.clear()
            async with asyncio.timeout(5):
                result = await run(schema, document, variable_values={"w": word})
            await asyncio.sleep(0)
            assert asyncio.all_tasks() <= before, "nothing is under way when the answer is there"
        assert result.data is None
        assert [error.path for error in result.errors] == [[f"f{order.split().index('must')}"]]
        assert ended == ["an error"] * order.count("goesOn")
    assert len(whole) == 5


async def test_an_operation_that_is_given_up_ends_what_its_resolvers_wait_for(whole: list[str]):
    begun, ended = asyncio.Semaphore(0), list[str]()

    @strawberry.type
    class Query:
        @strawberry.field
        @staticmethod
        async def waits(word: str) -> Counter | None:
            begun.release()
            try:
                await (asyncio.Event().wait() if word == "long" else asyncio.sleep(0))
            finally:
                ended.append(word)
            return Counter(value=1)

    schema = cast("Any", strawberry.Schema(Query))._schema
    document = parse("query ($w: String!) { a: waits(word: $w) { value } b: waits(word: $w) { value } }")
    executor = compiled(Plans())
    for _ in range(3):
        await cast("Any", executor.run(schema, document, variable_values={"w": "short"}))
        await begun.acquire()
        await begun.acquire()
    asked = asyncio.create_task(cast("Any", executor.run(schema, document, variable_values={"w": "long"})))
    await begun.acquire()
    await begun.acquire()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await asyncio.sleep(0)
    assert ended == ["short"] * 6 + ["long"] * 2
    assert len(whole) == 2


@strawberry.type
class Counting:
    @strawberry.field
    @staticmethod
    def to(number: int) -> Counter:
        return cast("Any", Counter(value=number) if number else None)

    @strawberry.field
    @staticmethod
    async def later(number: int) -> Counter:
        return cast("Any", Counter(value=number) if number else None)


@pytest.mark.parametrize(
    "text",
    [
        "query ($n: Int!) { to(number: $n) { value } }",
        "query ($n: Int!) { later(number: $n) { value } }",
        "query ($n: Int!) { to(number: $n) { value } to(number: $n) { also: value } }",
        "query ($n: Int!) { a: to(number: 1) { value } b: to(number: $n) { value } }",
        "query ($n: Int!) { a: later(number: 1) { value } b: to(number: $n) { value } c: __typename }",
        "query ($n: Int!) { __typename later(number: $n) { value } }",
        "query ($n: Int!) { ...F } fragment F on Counting { a: to(number: $n) { value } later(number: 2) { value } }",
        "query ($n: Int!, $v: Boolean = true) { to(number: $n) { value } later(number: 2) @skip(if: $v) { value } }",
    ],
)
async def test_operations_of_one_field_or_of_several_are_answered_whole(text: str):
    """Without their one field, where that is null, and with all of several."""
    given = [{"n": number, **more} for number in (1, 0, 2) for more in ({}, {"v": False})]
    await told(strawberry.Schema(Counting), text, *(given if "$v" in text else given[::2]), fails=True)


async def test_subscriptions_are_left_to_the_engine_and_what_they_give_is_answered_each_time():
    @strawberry.type
    class Query:
        a: int = 1

    @strawberry.type
    class Subscription:
        @strawberry.subscription
        @staticmethod
        async def counted(to: int) -> AsyncGenerator[Counter]:
            for value in range(to):
                yield Counter(value=value)

    schema = strawberry.Schema(Query, subscription=Subscription)
    schema.execution_context_class = compiled(Plans())
    for _ in range(3):
        answers = await schema.subscribe("subscription { counted(to: 3) { value now } }")
        got = [answer.data async for answer in cast("Any", answers)]
        assert got == [{"counted": {"value": value, "now": value}} for value in range(3)]
