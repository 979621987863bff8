"""Compiled execution answers as the engine does: for generated schemas, data and documents, and case by case."""

import asyncio
import datetime as dt
import enum
import functools
import gc
import json
import os
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, Optional, cast

import graphql
import orjson
import pytest
import strawberry
from graphql import ExecutionResult, parse, validate
from graphql.execution import get_variable_values
from graphql.pyutils import Undefined
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission

from gateway import app
from gateway.examples import EXAMPLES
from gateway.execution.compiled import KEPT, WAYS, CompiledExecutor, Plans, compiled
from gateway.execution.kept import ENTRY_BYTES, MET, Memo, Room
from gateway.execution.variables import Variables
from gateway.execution.writer import Plan
from gateway.schema.scalars import AS_ENCODED
from tests.conftest import Upstreams, fleet_over
from tests.gateway.generated_schemas import READ_BY_PLANS, Data, Generated, Later, Obliging, Writer, variables

pytestmark = pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning"
)

EXECUTIONS = int(os.environ.get("COMPILED_EXECUTIONS", "5000"))
FIRST_SEED = int(os.environ.get("COMPILED_SEED", "1"))
DOCUMENTS, TIMES = 6, 8
"""Documents for each schema, and how often each is executed."""


MOVING = re.compile(r'"(asOf|overdueBySeconds)": ("[^"]*"|[0-9.]+)')
_graphql = cast("Any", graphql)  # whose generics say nothing here
_ADDRESS = re.compile("0x[0-9a-f]+")


OFTEN = (
    *("whole plan", "partial plan", "abstract plan", "no plan"),
    *(
        "whole projection",
        "partial projection",
        "abstract projection",
        "surprise",
        "with errors",
        "awaited",
    ),
)
"""What has to be among the executions, each at least once in a hundred."""


class Told(NamedTuple):
    """All that a client can see of a result, and whether it had to be awaited."""

    data: str
    errors: tuple[Any, ...]
    was_awaited: bool


async def told(result: Any) -> Told:
    was_awaited = asyncio.iscoroutine(result)
    got: ExecutionResult = await result if was_awaited else result
    errors = tuple(
        (
            _ADDRESS.sub("", each.message),
            each.path,
            each.locations,
            each.extensions,
            type(each.original_error),
            _ADDRESS.sub("", str(each.original_error)),
        )
        for each in got.errors or ()
    )
    data = _ADDRESS.sub("", orjson.dumps(got.data, default=repr).decode())
    for _ in range(6 if was_awaited else 0):  # what was abandoned settles before anything else is executed
        await asyncio.sleep(0)
    return Told(data, errors, was_awaited)


@pytest.fixture(scope="module", autouse=True)
async def swept() -> AsyncGenerator[None]:
    """The engine leaves coroutines behind that it never awaits, and they are not to trouble other modules."""
    yield
    await asyncio.sleep(0)
    gc.collect()


def counting(counts: Counter[str], base: type[CompiledExecutor]) -> type[CompiledExecutor]:
    """An executor that counts its plans, and what they come to."""

    class Counting(base):
        made: ClassVar[list[CompiledExecutor]] = []

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.made.append(self)
            super().__init__(*args, **kwargs)

        def _made(self, kind: Any, details: Any) -> Plan | None:
            plan = super()._made(kind, details)
            counts["no plan" if plan is None else "partial plan" if plan.others else "whole plan"] += 1
            if plan is None:
                return None
            is_abstract = not isinstance(kind, graphql.GraphQLObjectType)
            counts["abstract plan"] += is_abstract
            word = "partial" if plan.others else "abstract" if is_abstract else "whole"
            return plan._replace(project=counted(plan.project, word))

    def counted(project: Any, word: str) -> Any:
        def read(value: Any, executor: Any) -> Any:
            counts["surprise"] += 1
            answer = project(value, executor)
            counts["surprise"] -= 1
            counts[f"{word} projection"] += 1
            return answer

        return read

    return Counting


async def both(
    schema: Generated,
    executor: type[CompiledExecutor],
    document: Any,
    given: Mapping[str, Any],
    new_data: Callable[[], Data],
) -> tuple[Told, Told]:
    """What the engine answers, and what an executor does, of the same data made twice."""
    answers: list[Told] = []
    own = functools.partial(_graphql.execute, executor_class=cast("Any", schema.schema).execution_context_class)
    for run in (own, executor.run):
        data = new_data()
        result = run(schema.graphql, document, data.root, variable_values=dict(given))
        answers.append(await told(result))
        data.close()
    return answers[0], answers[1]


async def test_generated_documents_are_answered_as_by_the_engine() -> None:
    counts: Counter[str] = Counter()
    READ_BY_PLANS.clear()
    seed = FIRST_SEED
    while counts["executions"] < EXECUTIONS:
        await compare(seed, counts)
        seed += 1
    assert not READ_BY_PLANS
    for often in OFTEN:
        assert counts[often] > counts["executions"] / 100, f"{often}: {counts}"
    assert counts["without an executor"] > counts["executions"] / 400, counts


async def compare(seed: int, counts: Counter[str]) -> None:
    """All executions of one seed."""
    schema = Generated(seed)
    draw = schema.random
    constant = [of for of in schema.values.values() if draw.random() < 0.5]
    # So little is held of their JSON that it is forgotten again and again.
    executor = counting(counts, compiled(Plans(AS_ENCODED, constant, kept_bytes=draw.choice([1_000, 100_000]))))
    for number in range(DOCUMENTS):
        text, used = Writer(schema.graphql, draw).document()
        document = parse(text)
        if not number:  # that they are valid is seen by samples: it takes longer than to execute them
            assert not validate(schema.graphql, document), f"COMPILED_SEED={seed}"
        for time in range(TIMES):
            given = variables(used, draw)
            new_data = functools.partial(Data, schema, draw.randrange(2**32), draw.choice([0, 0.02, 0.1]))
            made = cast("Any", executor).made
            made.clear()
            expected, got = await both(schema, executor, document, given, new_data)
            counts["executions"] += 1
            counts["without an executor"] += not made
            counts["with errors"] += bool(got.errors)
            counts["awaited"] += got.was_awaited
            assert got == expected, f"COMPILED_SEED={seed}, execution {time + 1}, {given}, of\n{text}"


# Case by case


class Kept:
    """A plain object with attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Asked:
    """One document against one schema, as often as a test says, by the engine and by plans."""

    def __init__(
        self,
        schema: strawberry.Schema,
        root: Any,
        text: Any,
        given: Mapping[str, Any] | None = None,
        constant: Iterable[type] = (),
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.plans = Plans(AS_ENCODED, constant)
        self.own = cast("Any", schema).execution_context_class
        self.executor = counting(self.counts, compiled(self.plans))
        self.graphql = cast("Any", schema)._schema
        self.document = parse(text) if isinstance(text, str) else text
        self.root, self.given = root, given

    async def again(self, given: Mapping[str, Any] | None = None, document: Any = None, **more: Any) -> Told:
        """The answer, which is the engine's too."""
        values = dict(given or self.given or {})
        own = functools.partial(_graphql.execute, executor_class=self.own)
        compiled = functools.partial(_graphql.execute, executor_class=self.executor) if more else self.executor.run
        answers = [
            await told(run(self.graphql, document or self.document, self.root, variable_values=values, **more))
            for run in (own, compiled)
        ]
        assert answers[0] == answers[1]
        return answers[1]

    @property
    def projections(self) -> int:
        return sum(count for name, count in self.counts.items() if name.endswith("projection"))


@strawberry.type
class Leaf:
    a: int
    b: str


@strawberry.type
class LeafQuery:
    leaf: Leaf
    leaves: list[Leaf]


LEAF_ROOT = LeafQuery(leaf=Leaf(a=1, b="x"), leaves=[Leaf(a=1, b="x"), Leaf(a=2, b="y")])


def leaves(text: Any) -> Asked:
    return Asked(strawberry.Schema(LeafQuery), LEAF_ROOT, text)


async def test_plans_are_made_the_second_time_that_a_document_is_executed() -> None:
    asking = leaves("{ leaf { a } leaves { b } }")
    await asking.again()
    assert (asking.counts.total(), asking.projections) == (0, 0)
    await asking.again()
    assert (asking.counts["whole plan"], asking.projections) == (2, 3)
    await asking.again()
    assert (asking.counts["whole plan"], asking.projections) == (2, 6)


async def test_plans_of_documents_not_lately_used_are_forgotten() -> None:
    asking = leaves("{ leaf { a } }")
    await asking.again()
    await asking.again()
    assert asking.projections == 1
    for _ in range(KEPT):
        await asking.again(document=parse("{ leaf { b } }"))
    await asking.again()
    assert asking.projections == 1
    await asking.again()
    assert asking.projections == 2


async def test_a_document_has_plans_for_a_bounded_number_of_ways_to_be_different() -> None:
    fields = " ".join(f"a{number}: a @skip(if: $v{number})" for number in range(5))
    declared = ", ".join(f"$v{number}: Boolean!" for number in range(5))
    asking = leaves(f"query Q({declared}) {{ leaf {{ b {fields} }} }}")
    for _ in range(2):
        for way in range(32):
            await asking.again({f"v{number}": bool(way >> number & 1) for number in range(5)})
    assert asking.counts["whole plan"] == WAYS


async def test_the_plan_of_some_variables_is_not_used_for_others() -> None:
    asking = leaves("query Q($all: Boolean = false) { leaf { a b @include(if: $all) } }")
    for given in ({"all": True}, {"all": False}, {"all": None}, {}) * 3:
        await asking.again(given)
    assert json.loads((await asking.again({"all": True})).data) == {"leaf": {"a": 1, "b": "x"}}
    assert json.loads((await asking.again({})).data) == {"leaf": {"a": 1}}
    assert (await asking.again({"all": None})).errors


class Refused(BasePermission):
    message = "not for you"

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return False


class Shouted(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return next_(source, info, **kwargs).upper()


@strawberry.type
class Guarded:
    open: str
    secret: str | None = strawberry.field(permission_classes=[Refused])
    loud: str = strawberry.field(extensions=[Shouted()])


@strawberry.type
class GuardedQuery:
    one: Guarded
    many: list[Guarded]


async def test_guarded_fields_are_left_to_the_engine_beside_plain_ones() -> None:
    one = Kept(open="o", secret="s", loud="l")
    root = Kept(one=one, many=[one, one])
    asking = Asked(strawberry.Schema(GuardedQuery), root, "{ one { open secret loud } many { loud secret open } }")
    got = [await asking.again() for _ in range(3)][-1]
    assert json.loads(got.data)["one"] == {"open": "o", "secret": None, "loud": "L"}
    assert [error[1] for error in got.errors] == [["one", "secret"], ["many", 0, "secret"], ["many", 1, "secret"]]
    assert (asking.counts["partial plan"], asking.projections) == (2, 6)


@strawberry.type
class Renamed:
    here: str = strawberry.field(name="there")
    word: str


@strawberry.type
class RenamedQuery:
    one: Renamed


async def test_an_attribute_is_read_by_the_name_it_has_in_python() -> None:
    asking = Asked(strawberry.Schema(RenamedQuery), Kept(one=Kept(here="h", word="w")), "{ one { there word } }")
    got = [await asking.again() for _ in range(2)][-1]
    assert (got.data, asking.projections) == ('{"one":{"there":"h","word":"w"}}', 1)


async def test_attributes_that_generated_code_cannot_spell_are_left_to_the_engine() -> None:
    @strawberry.type
    class Spelt:
        word: str
        other: str

    @strawberry.type
    class Query:
        one: Spelt

    spelt = cast("Any", Spelt).__strawberry_definition__.fields[0]
    spelt.graphql_name, spelt.python_name = "word", "class"
    asking = Asked(strawberry.Schema(Query), Kept(one=Kept(**{"class": "c", "other": "o"})), "{ one { word other } }")
    for _ in range(2):
        assert (await asking.again()).data == '{"one":{"word":"c","other":"o"}}'
    assert asking.counts["partial plan"] == 1


@strawberry.type
class Recursive:
    word: str
    again: "Recursive"


async def test_the_schema_can_be_asked_for_inside_a_query_type() -> None:
    root = Kept(word="w")
    root.__dict__["again"] = root
    text = '{ again { word __schema { queryType { name } } __type(name: "Recursive") { __typename name } } }'
    asking = Asked(strawberry.Schema(Recursive), root, text)
    for _ in range(3):
        assert not (await asking.again()).errors
    assert asking.projections


async def test_what_was_not_validated_is_left_out_as_the_engine_does() -> None:
    asking = leaves("{ leaf { a unknown b } }")
    for _ in range(3):
        assert (await asking.again()).data == '{"leaf":{"a":1,"b":"x"}}'
    assert not asking.projections


async def test_null_among_required_objects_is_an_error_even_where_nothing_of_them_is_read() -> None:
    root = Kept(leaf=Undefined, leaves=[Kept(a=1), None])
    asking = Asked(strawberry.Schema(LeafQuery), root, "{ leaves { __typename } }")
    for _ in range(3):
        assert [error[1] for error in (await asking.again()).errors] == [["leaves", 1]]


@pytest.mark.parametrize("value", [Obliging(), Undefined, ValueError("as a value"), Later(Leaf(a=1, b="x"))])
async def test_what_is_no_object_to_the_engine_is_none_to_a_plan(value: Any) -> None:
    for text in ("{ leaf { __typename } }", "{ leaf { a } leaves { __typename } }"):
        asking = Asked(strawberry.Schema(LeafQuery), Kept(leaf=value, leaves=[value]), text)
        for _ in range(3):
            await asking.again()


async def test_null_where_it_may_be_is_no_surprise() -> None:
    @strawberry.type
    class Void:
        nothing: str | None
        nowhere: list[int | None] | None

    @strawberry.type
    class Query:
        voids: list[Void | None]

    root = Kept(voids=[None, Kept(nothing=None, nowhere=None), Kept(nothing="n", nowhere=(None, 1))])
    asking = Asked(strawberry.Schema(Query), root, "{ voids { nothing nowhere } }")
    for _ in range(2):
        await asking.again()
    assert (asking.projections, asking.counts["surprise"]) == (2, 0)


class Row:
    """An object that never changes, and counts how often it is read."""

    def __init__(self, text: str | None, more: Any = None) -> None:
        self._text = text
        self.more = more
        self.reads = 0

    @property
    def text(self) -> str | None:
        self.reads += 1
        return self._text


def rows_of(items: Sequence[Row | None], selected: str, *, is_required: bool = True) -> Asked:
    """A list of objects that never change, and one of them alone, all inside an object that is read by a plan."""

    @strawberry.type(name="Row")
    class Type:
        text: str
        more: strawberry.scalars.JSON | None  # pyright: ignore[reportInvalidTypeForm]

        @strawberry.field
        @staticmethod
        def length(parent: strawberry.Parent[Row]) -> int:
            return len(parent.text or "")

    def is_type_of(value: Any, _: Any) -> bool:
        return isinstance(value, Row)

    cast("Any", is_type_of).only_class = Row
    cast("Any", Type).__strawberry_definition__.is_type_of = is_type_of
    item = Type if is_required else Type | None

    @strawberry.type
    class Page:
        rows: list[item]  # pyright: ignore[reportInvalidTypeForm]
        first: Type | None

    @strawberry.type
    class Query:
        page: Page | None
        rows: list[item]  # pyright: ignore[reportInvalidTypeForm]

    page = Kept(rows=items, first=items[0] if items else None)
    text = f"{{ page {{ rows {{ {selected} }} first {{ {selected} }} }} rows {{ {selected} }} }}"
    asked = Asked(strawberry.Schema(Query), Kept(page=page, rows=items), text, constant=[Row])
    asked.executor = compiled(asked.plans)  # without the counts that stand between a list and its items
    return asked


@pytest.mark.parametrize("kind", [list, tuple])
async def test_what_never_changes_is_read_once(kind: Any) -> None:
    items = kind(Row(text) for text in "abc")
    asking = rows_of(items, "text more")
    by_the_engine = [3, 2, 2]  # the first stands in three places
    once_more = [1, 0, 0]  # in one of them it is alone, and remembered when it comes again
    for expected in (by_the_engine, by_the_engine, once_more, [0, 0, 0], [0, 0, 0]):  # plans are made the second time
        before = [row.reads for row in items]
        await asking.again()
        read = [now.reads - then - own for now, then, own in zip(items, before, by_the_engine, strict=True)]
        assert read == expected


async def test_a_list_that_has_changed_is_another_list() -> None:
    items = [Row(text) for text in "abc"]
    asking = rows_of(items, "text")
    for text in "defg":
        await asking.again()
        items.append(Row(text))
    assert json.loads((await asking.again()).data)["rows"][-1] == {"text": "g"}


@pytest.mark.parametrize("kind", [list, tuple])
async def test_of_a_list_like_the_last_one_only_what_is_new_is_read(kind: Any) -> None:
    memo = Memo(Room(1_000_000), lambda row, _: {"text": row.text})
    texts = list("abcdefgh")
    items = [Row(text) for text in texts]
    for at, text in enumerate("ijkl"):
        for _ in range(2):
            memo.all(kind(items), None, is_required=True)
        texts[2 * at], items[2 * at] = text, Row(text)
        told = json.loads(orjson.dumps(memo.all(kind(items), None, is_required=True)))
        assert told == [{"text": text} for text in texts]
    assert [row.reads for row in items] == [1] * 8


async def test_of_a_list_that_has_become_longer_or_shorter_only_what_is_new_is_read() -> None:
    memo = Memo(Room(1_000_000), lambda row, _: {"text": row.text})
    met: list[Row] = []
    for texts in ("abcd", "abxcd", "bd", "dbe", ""):
        items = [next((row for row in met if row._text == text), Row(text)) for text in texts]
        met += [row for row in items if row not in met]
        told = json.loads(orjson.dumps(memo.all(tuple(items), None, is_required=True)))
        assert told == [{"text": text} for text in texts]
    assert [(row._text, row.reads) for row in met] == [(text, 1) for text in "abcdxe"]


async def test_lists_that_are_asked_for_in_turn_are_held_from_the_second_time_on() -> None:
    memo = Memo(Room(1_000_000), lambda row, _: {"text": row.text})
    pages = [[Row(f"{page} {number}") for number in range(10)] for page in range(5)]
    for turn in range(4):
        for page in pages:
            memo.all(tuple(page), None, is_required=True)
            assert {row.reads for row in page} == {min(turn + 1, 2)}


async def test_lists_whose_items_are_others_each_time_are_not_held() -> None:
    memo = Memo(Room(1_000_000), lambda row, _: {"text": row.text})
    for turn in range(100):
        memo.all(tuple(Row(f"{turn} {number}") for number in range(10)), None, is_required=True)
    assert (memo.young, memo.old) == ({}, {})


async def test_a_list_in_which_something_is_put_in_the_place_of_something_is_another_list() -> None:
    items = [Row(text) for text in "abc"]
    asking = rows_of(items, "text")
    for text in "defg":
        await asking.again()
        items[1] = Row(text)
    assert json.loads((await asking.again()).data)["rows"] == [{"text": text} for text in "agc"]


async def test_what_was_read_of_a_list_says_nothing_of_one_in_which_null_must_not_be() -> None:
    memo = Memo(Room(1_000_000), lambda row, _: {"text": row.text})
    rows = Row("a"), None
    assert orjson.dumps(memo.all(rows, None, is_required=False)) == b'[{"text":"a"},null]'
    with pytest.raises(AttributeError):
        memo.all((rows[0], None), None, is_required=True)


async def test_null_among_what_never_changes_is_judged_by_the_engine() -> None:
    for is_required in (True, False):
        asking = rows_of([Row("a"), None, Row("b")], "text", is_required=is_required)
        for _ in range(3):
            assert bool((await asking.again()).errors) is is_required


async def test_one_surprise_among_what_never_changes_costs_the_others_nothing() -> None:
    asking = rows_of([Row("a"), Row(None), Row("b")], "text")
    for _ in range(3):
        assert (await asking.again()).errors
    asking = rows_of([Row("a", more={1, 2}), Row("b", more={})], "text more")  # no JSON for an encoder without help
    for _ in range(3):
        await asking.again()


async def test_what_has_fields_of_its_own_to_resolve_is_read_again() -> None:
    items = [Row(text) for text in "abc"]
    asking = rows_of(items, "text length")
    for _ in range(3):
        before = items[0].reads
        await asking.again()
        assert items[0].reads - before >= 2 * 2 * 3, "twice in each place, by the engine and by plans"


async def test_what_is_held_of_what_never_changes_is_bounded() -> None:
    room = Room(100_000)
    memo = Memo(room, lambda row, _: {"text": row.text})
    often = Row("often")
    for number in range(10_000):
        again = Row(str(number))
        for row in (again, again, often):
            memo(row, None)
        held = [value for _, value in (*memo.young.values(), *memo.old.values())]
        assert sum(map(len, held)) + ENTRY_BYTES * len(held) <= 105_000
    assert often.reads == 2, "what is asked for again and again stays"


async def test_what_is_held_of_lists_is_bounded() -> None:
    room = Room(200_000)
    memo, idle = (Memo(room, lambda row, _: {"text": row.text}) for _ in range(2))
    idle.all((Row("idle"),), None, is_required=True)
    most = 0
    for number in range(500):
        pages = [[Row(f"{number} {page} {at}") for at in range(5)] for page in range(2)]
        for page in pages * 3:
            memo.all(tuple(page), None, is_required=True)
        held = {*memo.young, *memo.old, *map(id, memo._last.values)}
        most = max(most, len(held))
        assert len(held) * ENTRY_BYTES <= 200_000
    assert most >= 20, "what comes again is kept"
    assert not idle._last.values, "of a list that nobody asks for nothing is"


async def test_what_is_read_alone_is_held_from_its_second_time_on() -> None:
    memo = Memo(Room(1_000_000), lambda row, _: {"text": row.text})
    rows = [Row(str(number)) for number in range(MET + 1)]
    answers = [json.loads(orjson.dumps(memo(row, None))) for row in rows]
    assert answers == [{"text": str(number)} for number in range(MET + 1)]
    assert not memo.young, "nobody knows yet whether any of them is asked for again"
    for _ in range(3):
        assert json.loads(orjson.dumps(memo(rows[-1], None))) == {"text": str(MET)}
    assert [row.reads for row in (rows[0], rows[-1])] == [1, 2]
    assert [value for value, _ in memo.young.values()] == [rows[-1]]
    memo(rows[0], None)
    assert len(memo.young) == 1, "of that many, the first are forgotten"


async def test_arguments_that_a_resolver_changes_are_its_own() -> None:
    @strawberry.input
    class Given:
        numbers: list[int]

    @strawberry.type
    class Query:
        @strawberry.field
        @staticmethod
        def counted(numbers: list[int], given: Given) -> int:
            numbers.append(1)
            given.numbers.append(1)
            return len(numbers) + len(given.numbers)

    asking = Asked(strawberry.Schema(Query), None, "{ counted(numbers: [1, 2], given: { numbers: [1] }) }")
    for _ in range(4):
        assert json.loads((await asking.again()).data) == {"counted": 5}


def tree(depth: int) -> Any:
    return {"left": tree(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        ("$a: String!", [{"a": "x"}, {"a": ""}, {"a": None}, {"a": 1}, {}, {"a": ["x"]}, {"a": "x", "b": "y"}, None]),
        ("$a: ID!", [{"a": "x"}, {"a": 5}, {"a": 5.0}, {"a": True}]),
        ("$a: ID, $b: String", [{"a": "x", "b": "y"}, {"b": "y"}, {"a": None, "b": "y"}, {}, {"a": "x"}]),
        ("$a: String = null", [{"a": "x"}, {}, {"a": None}]),
        ('$a: String! = "z"', [{"a": "x"}, {}, {"a": None}]),
        ("$a: Int!", [{"a": 1}, {"a": "1"}, {"a": 2**40}]),
        ("$a: String!, $b: [String!]", [{"a": "x", "b": ["y"]}, {"a": "x", "b": "y"}, {"a": "x"}, {"a": "x", "b": 1}]),
        ("", [{"a": "x"}, {}, None]),
        ("$a: Int, $b: Boolean", [{"a": 1, "b": True}, {"a": True, "b": 1}, {"a": -(2**31), "b": False}, {"a": 2**31}]),
        ("$a: Int = 3, $b: Boolean = true", [{"a": 1, "b": True}, {}, {"a": None}, {"b": None}]),
        (
            "$a: Float",
            [{"a": 1}, {"a": 1.5}, {"a": "1"}, {"a": True}, {"a": float("nan")}, {"a": 10**400}, {"a": None}],
        ),
        ("$a: [Int!]!", [{"a": [1, 2]}, {"a": 1}, {"a": []}, {"a": [1, None]}, {"a": (1, 2)}, {"a": "1"}, {}]),
        ("$a: [[String]!]", [{"a": [["x", None], []]}, {"a": "x"}, {"a": [None]}, {"a": ["x"]}, {"a": {}}]),
        ("$a: Colour!", [{"a": "RED"}, {"a": "red"}, {"a": "blue"}, {"a": 1}, {"a": None}, {"a": ["RED"]}]),
        ("$a: [Colour!] = [RED]", [{"a": ["GREEN", "RED"]}, {"a": "GREEN"}, {}, {"a": ["x"]}]),
        ("$a: DateTime", [{"a": "2026-05-01T12:00:00Z"}, {"a": "soon"}, {"a": 5}, {"a": None}, {"a": {}}]),
        ("$a: JSON", [{"a": {"x": [1]}}, {"a": 1}, {"a": "x"}, {"a": None}, {}]),
        (
            "$a: Point!, $b: [Point]",
            [
                {"a": {"x": 1}, "b": [{"x": 1, "lastColour": "RED"}, None]},
                {"a": {"lastColour": None, "x": 2}},
                {"a": {"x": 1, "inner": {"when": "2026-05-01T12:00:00Z", "words": ["a", "b"]}}, "b": []},
                {"a": {"x": 1, "inner": {"words": "a"}}},
                {"a": {"x": 1, "inner": {"words": None}}},
                {"a": {"x": 1, "inner": {}}},
                {"a": {"x": 1, "inner": []}},
                {"a": {"x": None}},
                {"a": {"x": 1, "y": 2}},
                {"a": {"lastColour": "RED"}},
                {"a": {}},
                {"a": 1},
                {"a": {"x": 1}, "b": {"x": 1}},
                {"a": {"x": 1}, "b": [{}]},
            ],
        ),
        ("$a: WithDefault", [{"a": {"x": 2}}, {"a": {}}, {"a": {"x": None}}, {}]),
        ("$a: Either", [{"a": {"this": 1}}, {"a": {"this": 1, "that": 2}}, {"a": {}}, {"a": {"that": None}}]),
        ("$a: Tree", [{"a": {"left": {"left": {}}}}, {"a": {}}, {"a": {"left": None}}, {"a": {"right": {}}}]),
        ("$a: Tree", [{"a": tree(depth)} for depth in (1, 49, 60, 195, 300)]),
        (
            "$a: WithDefault = {}, $b: [Colour!] = RED, $c: Point = null",
            [{}, {"a": None}, {"b": "GREEN", "c": {"x": 1}}],
        ),
    ],
)
async def test_variables_are_coerced_as_the_engine_does(declared: str, given: Sequence[dict[str, Any] | None]) -> None:
    schema: Any = strawberry.Schema(Everything)
    text = f"query({declared}) {{ __typename }}" if declared else "{ __typename }"
    (operation,) = parse(text).definitions
    for order in (given, given[::-1]):  # which come first must not matter
        variables = Variables(cast("Any", operation))
        for values in [*order, *order]:
            found = variables.coerced(schema._schema, values or {})
            by_engine = get_variable_values(schema._schema, operation.variable_definitions or (), dict(values or {}))
            assert placeless(found) == placeless(by_engine)
    another: Any = strawberry.Schema(Everything)
    by_engine = get_variable_values(another._schema, operation.variable_definitions or (), {"a": "x"})
    assert placeless(variables.coerced(another._schema, {"a": "x"})) == placeless(by_engine)


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        ("$a: String!, $b: ID", {"a": "x"}),
        ("$a: Int = 1, $b: Boolean!, $c: Float", {"a": 1, "b": True, "c": 1}),
        ("$a: [Int!]!, $b: [[String!]]", {"a": [1, 2], "b": [["x"], None]}),
        ("$a: Colour, $b: DateTime", {"a": "RED", "b": "2026-05-01T12:00:00Z"}),
        ("$a: [Point!]", {"a": [{"x": 1, "inner": {"words": ["a"]}}, {"x": 2, "lastColour": None}]}),
        ("$a: Tree, $b: Int = 3, $c: WithDefault = {}", {"a": {"left": {"left": None}}}),
        ("$a: [WithDefault!]!", {"a": [{}, {"x": 2}]}),
        ("", {}),
    ],
)
async def test_what_most_variables_are_is_not_left_to_the_engine(
    declared: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    schema: Any = strawberry.Schema(Everything)
    (operation,) = parse(f"query({declared}) {{ __typename }}" if declared else "{ __typename }").definitions
    variables = Variables(cast("Any", operation))
    by_engine = placeless(variables.coerced(schema._schema, given))
    monkeypatch.setattr("gateway.execution.variables.get_variable_values", None)
    assert placeless(variables.coerced(schema._schema, given)) == by_engine


def placeless(values: object) -> str:
    """All that is in coerced variables or in errors, but for where objects lie."""
    return re.sub("0x[0-9a-f]+", "", repr(values))


@strawberry.enum
class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@strawberry.input
class Inner:
    words: list[str]
    when: dt.datetime | None = strawberry.UNSET


@strawberry.input
class Point:
    x: int
    last_colour: Colour | None = strawberry.UNSET
    inner: Inner | None = strawberry.UNSET


@strawberry.input
class WithDefault:
    x: int = 1


@strawberry.input(one_of=True)
class Either:
    this: strawberry.Maybe[int]
    that: strawberry.Maybe[int]


@strawberry.input
class Tree:
    left: Optional["Tree"] = strawberry.UNSET


@strawberry.type(name="Query")
class Everything:
    """A schema that knows all of these, or no variable could be one."""

    @strawberry.field
    @staticmethod
    def of(  # noqa: PLR0917  a type each
        a: str,
        b: list[str],
        c: int,
        d: strawberry.ID,
        e: float,
        f: bool,
        point: Point,
        default: WithDefault,
        either: Either,
        tree: Tree,
        json: strawberry.scalars.JSON,  # pyright: ignore[reportInvalidTypeForm]
    ) -> int:
        return 0


async def test_resolvers_are_called_with_what_the_variables_say() -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        @staticmethod
        def told(
            info: strawberry.Info,
            text: str,
            id: strawberry.ID | None = strawberry.UNSET,
            number: float = 0.5,
        ) -> str:
            return repr((info.field_name, info.variable_values, text, id, number))

    text = "query Q($text: String!, $id: ID, $number: Float! = 2) { told(text: $text, id: $id, number: $number) }"
    asking = Asked(strawberry.Schema(Query), None, text)
    given: tuple[dict[str, Any], ...] = (
        {"text": "a"}, {"text": "b", "id": None}, {"text": "c", "id": 5, "number": 3}, {"text": None}, {}, {"text": 1},
    )  # fmt: skip
    for values in given * 3:
        await asking.again(values)
    literal = Asked(strawberry.Schema(Query), None, '{ a: told(text: "x") b: told(text: "y", id: 7, number: 1) told }')
    for _ in range(3):  # the last lacks what it must have
        assert (await literal.again()).errors


async def test_what_resolvers_raise_and_what_they_leave_to_be_awaited_is_told_as_by_the_engine() -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        @staticmethod
        async def failing(number: int) -> int:
            raise ValueError(number)

        @strawberry.field
        @staticmethod
        def late(number: int) -> Annotated[int, "awaited"]:
            return cast("Any", asyncio.sleep(0, number))

    asking = Asked(strawberry.Schema(Query), None, "{ failing(number: 1) late(number: 2) }")
    for _ in range(3):
        assert (await asking.again()).errors


def judged(*records: type) -> Asked:
    """A union of two types, whose values are of these classes and are judged by nothing else."""

    @strawberry.type
    class A:
        a: str

    @strawberry.type
    class B:
        a: str

    for of, record in zip((A, B), records, strict=True):

        def is_type_of(value: Any, _: Any, record: type = record) -> bool:
            return isinstance(value, record)

        cast("Any", is_type_of).only_class = record
        cast("Any", of).__strawberry_definition__.is_type_of = is_type_of

    @strawberry.type
    class Query:
        items: list[Annotated[A | B, strawberry.union("Either")] | None]

    text = "{ items { __typename ... on A { a } ... on B { a } } }"
    return Asked(strawberry.Schema(Query), Kept(items=[record() for record in records]), text)


class Base:
    a = "base"


class Derived(Base):
    a = "derived"


class Other:
    a = "other"


class Failed(Exception):
    a = "failed"


async def test_unions_are_read_by_class() -> None:
    asking = judged(Base, Other)
    for _ in range(2):
        assert [item["__typename"] for item in json.loads((await asking.again()).data)["items"]] == ["A", "B"]
    assert asking.counts["abstract projection"] == 2


@pytest.mark.parametrize("records", [(Base, Derived), (Derived, Base), (Base, Base), (Base, Failed)])
async def test_classes_that_do_not_tell_types_apart_are_left_to_the_engine(records: tuple[type, ...]) -> None:
    asking = judged(*records)
    for _ in range(3):
        await asking.again()
    assert not asking.counts["abstract projection"]


@strawberry.interface
class Named:
    a: str

    @classmethod
    def resolve_type(cls, value: Any, info: Any, abstract: Any) -> str | None:
        return "Known" if value.a == "base" else None


@strawberry.type
class Known(Named):
    @staticmethod
    def is_type_of(value: Any, info: Any) -> bool:
        return isinstance(value, Base)


cast("Any", Known.is_type_of).only_class = Base


@strawberry.type
class NamedQuery:
    items: list[Named | None]


async def test_an_interface_that_tells_types_in_its_own_way_is_left_to_the_engine() -> None:
    asking = Asked(strawberry.Schema(NamedQuery, types=[Known]), Kept(items=[Base(), Derived()]), "{ items { a } }")
    changed = asking.root.items[0].__class__()
    changed.a = "changed"  # of the class, and yet not of the type
    asking.root.items.append(changed)
    for _ in range(3):
        assert [error[1] for error in (await asking.again()).errors] == [["items", 1], ["items", 2]]
    assert not asking.counts["abstract projection"]


async def test_middleware_sees_every_field() -> None:
    seen: list[str] = []

    def middleware(next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        seen.append(info.field_name)
        return next_(source, info, **kwargs)

    asking = leaves("{ leaf { a b } }")
    for _ in range(3):
        await asking.again(middleware=[middleware])
    assert seen == ["leaf", "a", "b"] * 6
    assert not asking.counts


async def test_variables_of_fragments_are_left_to_the_engine() -> None:
    text = "query Q($v: Boolean!) { leaf { ...F(x: $v) } } fragment F($x: Boolean!) on Leaf { b a @include(if: $x) }"
    asking = leaves(parse(text, experimental_fragment_arguments=True))
    for value in (True, True, False, True):
        got = await asking.again({"v": value})
        assert ("a" in json.loads(got.data)["leaf"]) is value
    assert not asking.counts


DEFERRED = (
    "{ leaf { a ... @defer { b } } }",
    "{ leaf { a } ... @defer { leaf { b } } }",
    "{ ... @defer { leaf { a b } } }",
    "{ leaves @stream(initialCount: 1) { a } }",
    "{ leaf { a } leaves @stream { a b } }",
)


@pytest.mark.parametrize("text", DEFERRED)
async def test_what_is_deferred_or_streamed_is_left_to_the_engine(text: str) -> None:
    schema = cast("Any", strawberry.Schema(LeafQuery))
    incremental = graphql.GraphQLSchema(
        schema._schema.query_type,
        directives=[*graphql.specified_directives, graphql.GraphQLDeferDirective, graphql.GraphQLStreamDirective],
    )
    counts: Counter[str] = Counter()
    executor = counting(counts, compiled(Plans()))
    document = parse(text)
    for _ in range(3):
        parts = [await parts_of(incremental, document, each) for each in (schema.execution_context_class, executor)]
        assert parts[0] == parts[1]
        assert len(parts[0]) > 1
    assert not counts


async def parts_of(schema: Any, document: Any, executor: Any) -> list[Any]:
    """All parts of an answer that comes in several."""
    begun = _graphql.experimental_execute_incrementally(schema, document, LEAF_ROOT, executor_class=executor)
    result: Any = await begun if asyncio.iscoroutine(begun) else begun
    return [result.initial_result.formatted, *[part.formatted async for part in result.subsequent_results]]


# Over HTTP


def every_field(kind: Any, depth: int) -> str:
    """A selection of all that a type has, as deep as that. Objects have aliases, so that those of a union merge."""
    if isinstance(kind, graphql.GraphQLUnionType):
        members = [f"... on {of.name} {every_field(of, depth)}" for of in cast("Any", kind).types]
        return f"{{ __typename {' '.join(members)} }}"
    parts = ["__typename"]
    for name, field in kind.fields.items():
        inner = _graphql.get_named_type(field.type)
        if graphql.is_leaf_type(inner):
            parts.append(name)
        elif depth:
            parts.append(f"x{inner.name}{name}: {name} {every_field(inner, depth - 1)}")
    return "{ " + " ".join(parts) + " }"


async def test_switched_off_it_answers_the_same_over_http(upstreams: Upstreams) -> None:
    connection = cast("Any", app.schema())._schema.type_map["Connection"]
    queries = [(example.query, json.loads(example.variables or "{}")) for example in EXAMPLES]
    queries.append((f"{{ connections(first: 5) {{ nodes {every_field(connection, 1)} }} }}", {}))
    answers: list[list[str]] = []
    for is_compiled in (True, False):
        async with fleet_over(upstreams, inventory={"max_age": 600}, execution={"compiled": is_compiled}) as fleet:
            answers.append([standing(await fleet.ask(*query)) for _ in range(3) for query in queries])
    assert answers[0] == answers[1]
    assert all('"errors"' not in answer for answer in answers[0]), answers[0]


def standing(answer: Any) -> str:
    """An answer without the moments that move from one request to the next."""
    return MOVING.sub("", json.dumps(answer))


VARIED = (
    "query ($v: Boolean!) { connections(first: 20) { nodes { id name @include(if: $v) status @skip(if: $v) } } }",
    """query ($v: Boolean!) { connections(first: 20) { nodes { ...F } edges { node { ...F } } } }
    fragment F on Connection { id source @include(if: $v) { name } again: name }""",
    """query ($v: Boolean!) {
        connections(last: 9) { nodes @include(if: $v) { id } edges @skip(if: $v) { node { id } } } }""",
    """query ($v: Boolean!) {
        nodes(ids: []) { id } connections(first: 3) { nodes { id details @skip(if: $v) { __typename } } } }""",
)


async def test_what_is_kept_of_rows_is_not_shown_to_who_selects_something_else(upstreams: Upstreams) -> None:
    answers: list[list[str]] = []
    for is_compiled in (True, False):
        async with fleet_over(upstreams, inventory={"max_age": 600}, execution={"compiled": is_compiled}) as fleet:
            await fleet.data(EXAMPLES[0].query)
            asked = [(query, {"v": value}) for query in VARIED for value in (True, True, False, True, False, False)]
            answers.append([standing(await fleet.data(*each)) for each in asked * 2])
    assert answers[0] == answers[1]


async def test_null_among_what_never_changes_is_judged_at_each_place() -> None:
    """The same list, where null may be in it, and where it may not."""

    class OfSome(Kept):
        """It may hold null."""

    class OfAll(Kept):
        """It must not."""

    @strawberry.type(name="Row")
    class Type:
        text: str

    @strawberry.interface
    class Holder:
        rows: list[Type | None]

    @strawberry.type
    class Some(Holder):
        pass

    @strawberry.type
    class All(Holder):
        rows: list[Type]  # pyright: ignore[reportIncompatibleVariableOverride]  as GraphQL allows

    @strawberry.type
    class Query:
        items: list[Holder | None]

    for of, record in ((Type, Row), (Some, OfSome), (All, OfAll)):

        def is_type_of(value: Any, _: Any, record: type = record) -> bool:
            return isinstance(value, record)

        cast("Any", is_type_of).only_class = record
        cast("Any", of).__strawberry_definition__.is_type_of = is_type_of

    rows = Row("a"), None
    root = Kept(items=[OfSome(rows=rows), OfSome(rows=rows), OfAll(rows=rows)])
    asking = Asked(strawberry.Schema(Query, types=[Some, All]), root, "{ items { rows { text } } }", constant=[Row])
    asking.executor = compiled(asking.plans)
    for _ in range(3):
        assert [error[1] for error in (await asking.again()).errors] == [["items", 2, "rows", 1]]
