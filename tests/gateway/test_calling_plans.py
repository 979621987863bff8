"""Resolvers that plans call, for one object after the other: as the engine would, or left to it."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable
from typing import Any, cast

import pytest
import strawberry
from strawberry.permission import BasePermission

from gateway import app
from gateway.examples import EXAMPLES
from gateway.execution import compiled as execution
from gateway.execution.called import constant
from tests.conftest import Upstreams, fleet_over
from tests.gateway.test_compiled import Asked, Kept, counting

TIMES = 4
"""Plans are made the second time, and one that a surprise has changed is made anew twice later."""


class Row:
    """An object that never changes."""

    def __init__(self, text: str) -> None:
        self.text = text


def is_row(value: Any, _: Any) -> bool:
    return isinstance(value, Row)


cast("Any", is_row).only_class = Row
calls: Counter[str] = Counter()
"""How often each resolver was called, with or without plans."""


@pytest.fixture(autouse=True)
def nothing_called() -> None:
    calls.clear()


class Never(BasePermission):
    message = "not for you"

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return False


@strawberry.type(name="Row")
class RowType:
    text: str

    @strawberry.field
    @staticmethod
    def length(parent: strawberry.Parent[Row]) -> int:
        calls["length"] += 1
        return len(parent.text)

    @strawberry.field
    @staticmethod
    def times(parent: strawberry.Parent[Row], by: int = 2) -> str:
        return parent.text * by

    @strawberry.field
    @staticmethod
    def told(parent: strawberry.Parent[Row], info: strawberry.Info) -> str:
        return f"{info.context['word']} {parent.text} as {info.field_name} of {info.return_type}"

    @strawberry.field
    @staticmethod
    def placed(parent: strawberry.Parent[Row], info: strawberry.Info) -> str:
        calls["placed"] += 1
        return f"{parent.text} at {info.path.as_list()}"

    @strawberry.field
    @staticmethod
    def spelt(info: strawberry.Info) -> str:
        return f"{info.path}"

    @strawberry.field
    @staticmethod
    def failing(parent: strawberry.Parent[Row]) -> str | None:
        if parent.text == "b":
            raise ValueError("no b")
        return parent.text

    @strawberry.field
    @staticmethod
    def nothing(parent: strawberry.Parent[Row]) -> str:
        return cast("Any", None if parent.text == "b" else parent.text)

    @strawberry.field
    @staticmethod
    async def later(parent: strawberry.Parent[Row]) -> str:
        await asyncio.sleep(0)
        return parent.text

    @strawberry.field(graphql_type=str)
    @staticmethod
    def awaited(parent: strawberry.Parent[Row]) -> Awaitable[str]:
        calls["awaited"] += 1
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        future.set_result(parent.text)
        return future

    @strawberry.field
    @staticmethod
    @constant
    def known(parent: strawberry.Parent[Row]) -> str:
        calls["known"] += 1
        return parent.text.upper()

    @strawberry.field(permission_classes=[Never])
    @staticmethod
    def guarded() -> str | None:
        calls["guarded"] += 1
        return "secret"

    is_type_of = staticmethod(is_row)


@strawberry.type
class Page:
    rows: list[RowType]
    first: RowType

    @strawberry.field
    @staticmethod
    def half(parent: strawberry.Parent[Any]) -> list[RowType]:
        return parent.rows[::2]


@strawberry.type
class Query:
    page: Page | None


def page_of(selected: str) -> Asked:
    rows = [Row(text) for text in "abc"]
    text = f"{{ page {{ rows {{ {selected} }} first {{ {selected} }} half {{ {selected} }} }} }}"
    return Asked(strawberry.Schema(Query), Kept(page=Kept(rows=rows, first=rows[0])), text, constant=[Row])


async def again(asking: Asked, context: Any = None) -> list[Any]:
    """The answers to asking several times, each also the engine's."""
    given = {} if context is None else {"context_value": context}
    answers = [await asking.again(**given) for _ in range(TIMES)]
    return [json.loads(answer.data) for answer in answers]


@pytest.mark.parametrize(
    "selected",
    ["length", "text length", "times", "x: times(by: 3) y: times(by: 0)", "known text", "known", "length known"],
)
async def test_what_resolvers_give_at_once_is_read_by_plans(selected: str):
    asking = page_of(selected)
    await again(asking)
    assert asking.counts["surprise"] == asking.counts["partial plan"] == asking.counts["no plan"] == 0
    assert asking.projections


async def test_what_is_not_constant_is_asked_for_each_time_and_what_is_once_for_each_object():
    asking = page_of("length known")
    await again(asking)
    assert (calls["length"], calls["known"]) == (6 * 2 * TIMES, 6 * 2 * TIMES)
    calls.clear()
    alone = page_of("known")
    await again(alone)
    # By the engine each time, and the first time; then each list once, and the one alone until it is held.
    assert calls["known"] < 6 * (TIMES + 1) + 8
    before = calls["known"]
    await alone.again()
    assert calls["known"] == before + 6, "the engine's own"


async def test_resolvers_are_told_all_but_the_path():
    asking = page_of("told")
    first, *_ = await again(asking, {"word": "W"})
    assert first["page"]["rows"][1] == {"told": "W b as told of <class 'str'>"}
    assert (await again(asking, {"word": "other"}))[0]["page"]["first"]["told"].startswith("other a")
    assert asking.counts["surprise"] == 0


@pytest.mark.parametrize("selected", ["placed", "spelt", "text placed", "length spelt text"])
async def test_who_asks_for_the_path_is_called_by_the_engine(selected: str):
    asking = page_of(selected)
    await again(asking)
    assert asking.counts["surprise"]


@pytest.mark.parametrize("selected", ["failing", "text failing", "nothing", "length nothing", "failing nothing known"])
async def test_what_a_resolver_raises_or_must_not_give_costs_what_it_costs_with_the_engine(selected: str):
    asking = page_of(selected)
    for _ in range(TIMES):
        assert (await asking.again()).errors


async def test_a_resolver_that_gives_something_to_be_awaited_is_left_to_the_engine_from_then_on():
    asking = page_of("text awaited")
    for _ in range(8):
        await asking.again()
    assert asking.counts["surprise"] <= 3
    calls.clear()
    await asking.again()
    assert calls["awaited"] == 6 * 2, "for each row once, by the engine alone and beside plans"


@pytest.mark.parametrize("selected", ["text later", "guarded text", "text times(by: 1) later guarded"])
async def test_what_is_more_than_a_resolver_is_left_to_the_engine(selected: str):
    asking = page_of(selected)
    await again(asking)
    assert asking.counts["partial plan"]
    assert not calls["guarded"]


async def test_a_resolver_whose_arguments_are_told_by_variables_is_left_to_the_engine():
    rows = [Row(text) for text in "abc"]
    text = "query ($n: Int!) { page { rows { text times(by: $n) } } }"
    asking = Asked(strawberry.Schema(Query), Kept(page=Kept(rows=rows, first=rows[0])), text, constant=[Row])
    for count in (1, 2, 3, 0):
        told = json.loads((await asking.again({"n": count})).data)
        assert told["page"]["rows"][2] == {"text": "c", "times": "c" * count}


LIST_SCREEN = """{
    connections(first: 20, orderBy: [{ field: NAME }]) {
        edges { cursor node {
            id name status running provider instance { name provider providerLabel capabilities }
            lastRun { status startedAt recordsSynced } source { name icon } destination { name }
            freshness { state overdueBySeconds expectedEverySeconds } can { capability allowed reason message }
        } }
        nodes { id instance { asOf breaker can { capability allowed } } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount
        sources { instance { name } state rowCount stale asOf error { code } }
    }
    connectionFacets {
        totalCount status { value label count } provider { value count } instance { value label } workspace { label }
        sourceType { value icon count } category { value } scheduleType { value } sources { state }
    }
    instances { name provider capabilities can { capability } }
}"""


async def test_what_frontends_ask_for_is_read_by_plans(upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch):
    """A surprise that comes each time would make each row be read twice, by a plan in vain and by the engine."""
    counts: Counter[str] = Counter()
    monkeypatch.setattr(app, "compiled", lambda plans: counting(counts, execution.compiled(plans)))
    async with fleet_over(upstreams, inventory={"max_age": 600}) as fleet:
        examples = [(example.query, json.loads(example.variables or "{}")) for example in EXAMPLES]
        for query, variables in [*examples, (LIST_SCREEN, {})]:
            counts.clear()
            for _ in range(TIMES):
                assert "errors" not in await fleet.ask(query, variables)
            assert counts["surprise"] == 0, query
            if "runs(" not in query:  # each takes a call
                assert counts["partial plan"] == counts["no plan"] == 0, query
            assert sum(count for name, count in counts.items() if name.endswith("projection")), query
