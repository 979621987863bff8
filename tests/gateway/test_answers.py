"""Requests that come again are read once, and given the same answer while what it rests on is the same: never an older
one than is asked for, never another one than executing them would give.
"""

import asyncio
import io
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import httpx
import msgspec
import pytest

from adapters import ids
from adapters.errors import Unreachable
from gateway import answers
from gateway.answers import Answers
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, Upstreams, fleet_over
from tests.gateway.again import Client, Executed, Rows, id_of, rows_of, whole_to
from tests.gateway.changing import world
from tests.gateway.listed import connection, drawn, some
from tests.gateway.served import serving

SECRET = "hunter2"
PAGE = """{ connections(first: 10) {
  nodes { id name status source { name type } } edges { cursor } pageInfo { hasNextPage endCursor } totalCount } }"""
LONG = 600.0


@pytest.fixture(params=[False, True], ids=["in pieces", "whole"])
def sent(request: pytest.FixtureRequest) -> Iterator[Callable[[Fleet], Fleet]]:
    """How a client sends its requests."""
    client: Any = Client(in_pieces=not request.param)
    yield lambda fleet: Fleet(fleet.url, fleet.servers, client)
    client.close()


async def again(fleet: Fleet, query: str, times: int, variables: Mapping[str, Any] | None = None) -> list[Any]:
    return [await fleet.data(query, variables) for _ in range(times)]


# What is given again


@pytest.mark.parametrize("max_age", [0, LONG])
async def test_a_page_is_not_executed_again_while_its_lists_are_what_they_were(
    sent: Callable[[Fleet], Fleet], executed: Executed, max_age: float
):
    adapters = [Rows(name, {"": rows_of(name, 4)}) for name in ("a", "b")]
    async with serving(*adapters, max_age=max_age) as served:
        fleet = sent(served)
        told = await again(fleet, PAGE, 8)
    assert told == [told[0]] * 8
    assert told[0]["connections"]["totalCount"] == 8
    assert len(executed) == answers.WORTH
    # Each request that keeps nothing reads each list once, executed or not.
    assert [len(adapter.reads) for adapter in adapters] == [8 if max_age == 0 else 1] * 2


@pytest.mark.parametrize("max_age", [0, LONG])
async def test_connections_by_id_that_lists_hold_are_not_executed_again(
    sent: Callable[[Fleet], Fleet], executed: Executed, max_age: float
):
    adapter = Rows("a", {"": rows_of("a", 4)})
    wanted = [ids.encode("a", id_of(number)) for number in range(3)]
    aliased = " ".join(f'c{at}: connection(id: "{id}") {{ name nativeId }}' for at, id in enumerate(wanted))
    nodes = f"nodes(ids: {json.dumps(wanted)}) {{ id ... on Connection {{ name }} }}"
    async with serving(adapter, max_age=max_age) as served:
        fleet = sent(served)
        told = await again(fleet, f"{{ {aliased} {nodes} }}", 8)
    assert told == [told[0]] * 8
    assert [row["name"] for row in told[0]["nodes"]] == ["name 000", "name 001", "name 002"]
    assert len(executed) == answers.WORTH
    assert len(adapter.reads) == (8 if max_age == 0 else 1)


async def test_counts_are_not_made_again(executed: Executed):
    facets = "{ connectionFacets { totalCount status { value count } provider { value label } } }"
    async with serving(Rows("a", {"": rows_of("a", 4)})) as fleet:
        told = await again(fleet, facets, 6)
    assert told == [told[0]] * 6
    assert told[0]["connectionFacets"]["status"] == [{"value": "HEALTHY", "count": 4}]
    assert len(executed) == answers.WORTH


async def test_variables_tell_requests_apart(executed: Executed):
    query = (
        "query($first: Int, $where: ConnectionFilter) { connections(first: $first, filter: $where) { nodes { name } } }"
    )
    asked: list[dict[str, Any]] = [{"first": 1}, {"first": 2}, {"first": 2, "where": {"text": "name 002"}}]
    async with serving(Rows("a", {"": rows_of("a", 4)})) as fleet:
        told = [[len(data["connections"]["nodes"]) for data in await again(fleet, query, 5, each)] for each in asked]
        names = await fleet.data(query, asked[2])
    assert told == [[1] * 5, [2] * 5, [1] * 5]
    assert names["connections"]["nodes"] == [{"name": "name 002"}]
    # Plans are made at the second time, whatever the variables.
    assert len(executed) == 3 * answers.WORTH


async def test_twenty_ids_over_real_adapters_cost_the_same_calls_each_time(fleet: Fleet, executed: Executed):
    instances = {AIRBYTE: 7, WORKIVA: 7, UNIFIED_TO: 6}
    wanted = [(name, fleet.servers[name].id_of(at)) for name, count in instances.items() for at in range(count)]
    fields = (
        f'c{at}: connection(ref: {{ instance: "{name}", nativeId: "{id}" }}) {{ id status enabled }}'
        for at, (name, id) in enumerate(wanted)
    )
    query = "{ " + " ".join(fields) + " }"
    costs: list[list[int]] = []
    told: list[Any] = []
    for _ in range(6):
        fleet.forget()
        told.append(await fleet.data(query))
        costs.append([fleet.calls(name) for name in instances])
    assert told == [told[0]] * 6
    assert len(executed) == answers.WORTH
    # Given again, it takes the lists that have them, and no other.
    assert all(all(map(int.__le__, cost, costs[1])) for cost in costs[1:])


async def test_what_is_asked_for_by_many_at_once_is_read_once(executed: Executed):
    adapter = Rows("a", {"": rows_of("a", 4)})
    async with serving(adapter) as fleet:
        await again(fleet, PAGE, 3)
        adapter.gate.clear()
        asking = [asyncio.create_task(fleet.data(PAGE)) for _ in range(20)]
        await asyncio.sleep(0.2)
        adapter.gate.set()
        told = await asyncio.gather(*asking)
    assert told == [told[0]] * 20
    assert len(executed) == answers.WORTH
    assert len(adapter.reads) <= 5  # the one under way may have begun before some of them did


async def test_a_list_of_several_pages_is_walked_again_where_all_of_it_is_needed(executed: Executed):
    adapter = Rows("a", {"": rows_of("a", 10)}, page=4)
    async with serving(adapter) as fleet:
        told = await again(fleet, PAGE, 6)
        adapter.lists[""][9] = connection("a", id_of(9), name="another")
        changed = await fleet.data(PAGE)
    assert told == [told[0]] * 6
    assert len(executed) == answers.WORTH
    assert len(adapter.reads) == 7 * 3
    assert changed["connections"]["nodes"][0]["name"] == "another"


# What is not


Change: TypeAlias = Callable[[Rows], None]


def another_name(adapter: Rows) -> None:
    adapter.lists[""][1] = msgspec.structs.replace(adapter.lists[""][1], name="another")


def one_more(adapter: Rows) -> None:
    adapter.lists[""].append(connection("a", "new", name="new"))


def one_less(adapter: Rows) -> None:
    del adapter.lists[""][0]


def one_more_part(adapter: Rows) -> None:
    adapter.lists["more"] = [connection("a", "more", name="more")]


def other_order(adapter: Rows) -> None:
    adapter.lists[""].reverse()


@pytest.mark.parametrize("change", [another_name, one_more, one_less, one_more_part])
@pytest.mark.parametrize("warm_up", range(1, 7))
async def test_what_changes_upstream_is_seen_by_the_next_who_reads(
    sent: Callable[[Fleet], Fleet], change: Change, warm_up: int
):
    adapter = Rows("a", {"": rows_of("a", 4)})
    async with serving(adapter) as served:
        fleet = sent(served)
        for _ in range(2):
            (*_, before) = await again(fleet, PAGE, warm_up)
            expected = {row.name for rows in adapter.lists.values() for row in rows}
            assert {row["name"] for row in before["connections"]["nodes"]} == expected
            assert before["connections"]["totalCount"] == len(expected)
            change(adapter)
        after = await fleet.data(PAGE)
    assert {row["name"] for row in after["connections"]["nodes"]} == {row.name for row in adapter.rows}


async def test_rows_that_only_moved_are_the_same_page():
    adapter = Rows("a", {"": rows_of("a", 4)})
    async with serving(adapter) as fleet:
        (*_, before) = await again(fleet, PAGE, 5)
        other_order(adapter)
        assert await again(fleet, PAGE, 5) == [before] * 5


async def test_a_row_that_changes_is_seen_by_id():
    adapter = Rows("a", {"": rows_of("a", 4)})
    query = (
        "{ " + " ".join(f'c{at}: connection(id: "{ids.encode("a", id_of(at))}") {{ name }}' for at in range(3)) + " }"
    )
    async with serving(adapter) as fleet:
        await again(fleet, query, 5)
        another_name(adapter)
        assert (await fleet.data(query))["c1"] == {"name": "another"}
        one_less(adapter)
        answered = await fleet.ask(query)
    assert answered["data"] == {"c0": None, "c1": {"name": "another"}, "c2": {"name": "name 002"}}


async def test_an_answer_is_not_older_than_its_rows_may_be(
    sent: Callable[[Fleet], Fleet], executed: Executed, monkeypatch: pytest.MonkeyPatch
):
    adapter = Rows("a", {"": rows_of("a", 4)})
    async with serving(adapter, max_age=0.2) as served:
        fleet = sent(served)
        await again(fleet, PAGE, 6)
        another_name(adapter)
        await asyncio.sleep(0.25)
        await fleet.data(PAGE)  # or the one that takes what is being refreshed
        told = await fleet.data(PAGE)
    assert "another" in {row["name"] for row in told["connections"]["nodes"]}


async def test_who_reads_now_has_others_see_what_is_new(
    sent: Callable[[Fleet], Fleet],
):
    adapter = Rows("a", {"": rows_of("a", 4)})
    now = PAGE.replace("first: 10", "first: 10, maxAge: 0")
    async with serving(adapter, max_age=LONG) as served:
        fleet = sent(served)
        (*_, before) = await again(fleet, PAGE, 5)
        assert await again(fleet, now, 5) == [before] * 5
        another_name(adapter)
        assert await fleet.data(PAGE) == before
        after = await fleet.data(now)
        assert after != before
        assert await again(fleet, PAGE, 4) == [after] * 4


async def test_what_is_changed_through_the_gateway_is_seen_at_once(executed: Executed):
    async with world(AIRBYTE) as changing:
        query = "{ connections(first: 100) { nodes { id enabled } } }"
        told = [(await changing.ask(query))["data"] for _ in range(5)]
        assert len(executed) == answers.WORTH
        row = next(row for row in told[-1]["connections"]["nodes"] if row["enabled"])
        changed = "mutation($input: SetConnectionEnabledInput!) { setConnectionEnabled(input: $input) { readBack } }"
        given = {"id": row["id"], "enabled": False}
        assert "errors" not in await changing.ask(changed, {"input": given})
        after = (await changing.ask(query))["data"]
    assert next(each for each in after["connections"]["nodes"] if each["id"] == row["id"])["enabled"] is False


@pytest.mark.parametrize(
    "query",
    [
        "{ connections { nodes { name } sources { state asOf } } }",
        "{ connections { nodes { name freshness { state } } } }",
        "{ connections { nodes { can { capability allowed } } } }",
        "{ connections { nodes { name } } instances { name } }",
        "{ connections { nodes { name } } __typename }",
        '{ connections { nodes { name } } connection(id: "nothing") { name } }',
        "{ connectionFacets { totalCount sources { state } } }",
    ],
)
async def test_what_may_be_another_thing_each_time_is_executed_each_time(
    sent: Callable[[Fleet], Fleet], executed: Executed, query: str
):
    async with serving(Rows("a", {"": rows_of("a", 4)}), max_age=LONG) as served:
        fleet = sent(served)
        for _ in range(40):
            await fleet.ask(query)
    assert len(executed) == 40


@pytest.mark.parametrize("max_age", [0, LONG])
async def test_what_fails_is_told_each_time_and_what_comes_back_is_given_again(executed: Executed, max_age: float):
    adapters = [Rows(name, {"": rows_of(name, 2)}) for name in ("a", "b")]
    adapters[0].failing = Unreachable("nobody there")
    now = PAGE.replace("first: 10", "first: 10, maxAge: 0")
    async with serving(*adapters, max_age=max_age) as fleet:
        failed = [await fleet.ask(now) for _ in range(5)]
        assert [answer["errors"][0]["extensions"]["code"] for answer in failed] == ["UPSTREAM_UNAVAILABLE"] * 5
        assert [answer["data"]["connections"]["totalCount"] for answer in failed] == [2] * 5
        assert len(executed) == 5
        adapters[0].failing = None
        whole = await again(fleet, now, 30)
        assert [data["connections"]["totalCount"] for data in whole] == [4] * 30
        assert len(executed) < 30
        adapters[0].failing = Unreachable("nobody there again")
        (error,) = (await fleet.ask(now))["errors"]
    assert error["extensions"]["code"] == "UPSTREAM_UNAVAILABLE"


async def test_who_has_no_key_is_given_nothing(
    sent: Callable[[Fleet], Fleet], upstreams: Upstreams, executed: Executed
):
    keys = {"auth": {"mode": "api_key", "keys": {"ops": "a-key-of-sixteen-or-more", "web": "another-key-of-sixteen"}}}
    query = "{ connections(first: 3) { nodes { id } } }"
    async with fleet_over(upstreams, inventory={"max_age": LONG}, **keys) as served:
        fleet = sent(served)

        async def asked(**headers: str) -> httpx.Response:
            told = {name.replace("_", "-"): value for name, value in headers.items()}
            return await fleet.client.post(f"{fleet.url}/graphql", json={"query": query}, headers=told)

        first = [(await asked(x_api_key="a-key-of-sixteen-or-more")).json() for _ in range(6)]
        assert len(executed) == answers.WORTH
        other = [(await asked(x_api_key="another-key-of-sixteen")).json() for _ in range(6)]
        assert first + other == [first[0]] * 12
        for headers in ({}, {"x_api_key": "a-key-of-sixteen-or-less"}, {"authorization": "Bearer nobody"}):
            for _ in range(3):
                refused = await asked(**headers)
                assert (refused.status_code, refused.json().get("data")) == (401, None)


async def test_what_is_to_be_explained_is_executed(sent: Callable[[Fleet], Fleet], upstreams: Upstreams):
    query = "{ connections(first: 3) { nodes { id } } }"
    async with fleet_over(upstreams, inventory={"max_age": LONG}, auth={"explain": "everyone"}) as served:
        fleet = sent(served)
        await again(fleet, query, 6)
        for headers, extensions in (({"Gateway-Explain": "CALLS"}, None), ({}, {"explain": "CALLS"})):
            body = {"query": query} | ({"extensions": extensions} if extensions else {})
            for _ in range(4):
                told = await fleet.client.post(f"{fleet.url}/graphql", json=body, headers=headers)
                assert "explain" in told.json()["extensions"]


async def test_each_media_type_is_answered_in_its_own(sent: Callable[[Fleet], Fleet], executed: Executed):
    async with serving(Rows("a", {"": rows_of("a", 4)}), max_age=LONG) as served:
        fleet = sent(served)
        await again(fleet, PAGE, 5)
        for kind in ("application/json", "application/graphql-response+json"):
            for _ in range(4):
                told = await fleet.client.post(f"{fleet.url}/graphql", json={"query": PAGE}, headers={"Accept": kind})
                assert told.headers["content-type"] == kind
                assert told.json()["data"]["connections"]["totalCount"] == 4


async def test_each_answer_has_its_line_in_the_log(sent: Callable[[Fleet], Fleet], log: io.BytesIO):
    query = "query Often { connections { nodes { id } } }"
    async with serving(Rows("a", {"": rows_of("a", 4)}), max_age=LONG) as served:
        fleet = sent(served)
        for _ in range(10):
            response = await fleet.client.post(
                f"{fleet.url}/graphql", json={"query": query, "operationName": "Often", "variables": None}
            )
            assert response.status_code == 200
        await asyncio.sleep(0.1)
    said = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["operation"] for line in said if line["message"] == "request"] == ["Often"] * 10


async def test_a_caller_without_time_is_told_so_and_nobody_else(upstreams: Upstreams):
    adapter = Rows("a", {"": rows_of("a", 4)})
    async with serving(adapter, limits={"request_timeout": 0.3}) as fleet:
        (*_, before) = await again(fleet, PAGE, 5)
        adapter.gate.clear()
        late = await fleet.ask(PAGE)
        assert late["errors"][0]["extensions"]["code"] == "UPSTREAM_TIMEOUT"
        adapter.gate.set()
        assert await fleet.data(PAGE) == before


NARROWED = "{ connections(first: 20, filter: { enabled: true }) { nodes { name } totalCount } }"


def long_and_enabled() -> Rows:
    """Lists of three pages, which it narrows to what is enabled."""
    return Rows("a", {"": [connection("a", id_of(at), name=f"name {at}", enabled=True) for at in range(10)]}, page=4)


async def test_of_a_long_list_no_more_is_read_again_than_what_it_is_narrowed_to():
    adapter = long_and_enabled()
    async with serving(adapter, max_age=0.3) as fleet:
        await fleet.data("{ connectionFacets { totalCount } }")
        told = await again(fleet, NARROWED, 5)
        assert {of.narrowed for of, _ in adapter.reads} == {()}, "all of it is in memory"
        for _ in range(3):
            await asyncio.sleep(0.35)
            adapter.reads.clear()
            assert await fleet.data(NARROWED) == told[0]
            assert {bool(of.narrowed) for of, _ in adapter.reads} == {True}


async def test_what_is_narrowed_is_not_older_than_all_of_the_list():
    adapter = long_and_enabled()
    async with serving(adapter, max_age=LONG) as fleet:
        await fleet.data("{ connections(first: 1) { nodes { name } } }")  # which shows that it is long
        await again(fleet, NARROWED, 5)
        adapter.lists[""][0] = connection("a", id_of(0), name="another", enabled=True)
        await fleet.data("{ connectionFacets(maxAge: 0) { totalCount } }")
        told = await fleet.data(NARROWED)
    assert "another" in {row["name"] for row in told["connections"]["nodes"]}


async def test_of_a_part_that_is_gone_nothing_is_given_by_id(
    sent: Callable[[Fleet], Fleet],
):
    adapter = Rows("a", {"p0": rows_of("a", 1), "p1": [connection("a", id_of(9), name="nine")]})
    query = f'{{ connection(id: "{ids.encode("a", id_of(0))}") {{ name }} }}'
    async with serving(adapter, max_age=LONG) as served:
        fleet = sent(served)
        await fleet.data(PAGE)
        assert await again(fleet, query, 5) == [{"connection": {"name": "name 000"}}] * 5
        del adapter.lists["p0"]
        await fleet.data(PAGE.replace("first: 10", "first: 10, maxAge: 0"))
        assert await fleet.data(query) == {"connection": None}


async def test_a_connection_by_id_whose_list_is_too_old_is_asked_for_alone():
    adapter = Rows("a", {"": rows_of("a", 4)})
    query = f'{{ connection(id: "{ids.encode("a", id_of(1))}") {{ name }} }}'
    async with serving(adapter, max_age=0.3) as fleet:
        await fleet.data(PAGE)
        assert await again(fleet, query, 5) == [{"connection": {"name": "name 001"}}] * 5
        another_name(adapter)
        await asyncio.sleep(0.35)
        adapter.reads.clear()
        adapter.gate.clear()  # whoever reads the list waits, and holds nobody up
        reading = asyncio.create_task(fleet.data(PAGE))
        assert await fleet.data(query) == {"connection": {"name": "another"}}
        adapter.gate.set()
        await reading
    assert len(adapter.reads) == 1


async def test_parts_are_asked_for_once_for_each_request():
    asked: list[bool] = []

    class Counted(Rows):
        async def parts(self) -> Sequence[str]:
            asked.append(self.failing is None)
            if self.failing is not None:
                raise self.failing
            return await super().parts()

    adapter = Counted("a", {"": rows_of("a", 4)})
    async with serving(adapter) as fleet:
        await again(fleet, PAGE, 5)
        assert len(asked) == 5
        another_name(adapter)
        await fleet.data(PAGE)
        assert len(asked) == 6
        await again(fleet, PAGE, 3)
        adapter.failing = Unreachable("nobody there")
        assert "errors" in await fleet.ask(PAGE)
    assert len(asked) == 10


async def test_one_that_hangs_costs_the_others_nothing():
    adapters = [Rows(name, {"": rows_of(name, 2)}) for name in ("a", "b")]
    async with serving(*adapters, limits={"request_timeout": 1.0}) as fleet:
        await again(fleet, PAGE, 5)
        adapters[0].lists["more"] = [connection("a", id_of(9), name="nine")]
        adapters[1].gate.clear()
        answered = await fleet.ask(PAGE)
        adapters[1].gate.set()
    assert [error["extensions"]["instance"] for error in answered["errors"]] == ["b"]
    assert {row["name"] for row in answered["data"]["connections"]["nodes"]} >= {"nine", "name 000", "name 001"}


async def test_where_nothing_has_changed_lists_are_not_looked_at_for_a_while(monkeypatch: pytest.MonkeyPatch):
    looks: list[float] = []
    hold_until = answers.grounds.hold_until

    def watched(*told: Any) -> float:
        looks.append(hold_until(*told))
        return looks[-1]

    monkeypatch.setattr(answers.grounds, "hold_until", watched)
    monkeypatch.setattr(answers, "SEEN_S", 0.3)
    adapter = Rows("a", {"": rows_of("a", 4)})
    async with serving(adapter, max_age=LONG) as served, whole_to(served) as fleet:
        (*_, before) = await again(fleet, PAGE, 5)
        looks.clear()
        assert await again(fleet, PAGE, 20) == [before] * 20
        assert len(looks) <= 1
        await asyncio.sleep(0.35)
        assert await again(fleet, PAGE, 20) == [before] * 20
        assert 1 <= len(looks) <= 2
        looks.clear()
        another_name(adapter)
        await fleet.data("{ connections(maxAge: 0) { totalCount } }")
        after = await again(fleet, PAGE, 5)
        assert after == [after[0]] * 5 != [before] * 5
        assert looks[0] == 0


async def test_an_answer_is_given_no_longer_than_its_lists_are_fresh():
    adapter = Rows("a", {"": rows_of("a", 4)})
    async with serving(adapter, max_age=0.5) as served, whole_to(served) as fleet:
        (*_, before) = await again(fleet, PAGE, 5)
        another_name(adapter)
        assert await fleet.data(PAGE) == before
        await asyncio.sleep(0.55)
        assert await fleet.data(PAGE) != before


async def test_a_mistake_of_ours_in_looking_for_an_answer_is_told_as_any(
    sent: Callable[[Fleet], Fleet], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(answers, "SEEN_S", 0)
    async with serving(Rows("a", {"": rows_of("a", 4)}), max_age=LONG) as served:
        fleet = sent(served)
        await again(fleet, PAGE, 5)

        def mistaken(*_: Any) -> float:
            raise RuntimeError("S3CR3T")

        for name in ("hold_until", "hold_anew"):
            monkeypatch.setattr(answers.grounds, name, mistaken)
        answered = await fleet.ask(PAGE)
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["INTERNAL_SERVER_ERROR"]
    assert "S3CR3T" not in str(answered)


async def test_answers_that_change_each_time_are_kept_ever_more_seldom(
    executed: Executed, monkeypatch: pytest.MonkeyPatch
):
    tried: list[int] = []
    number = 0
    keep = Answers.keep

    def watched(self: Answers, *told: Any) -> None:
        tried.append(number + 1)
        keep(self, *told)

    monkeypatch.setattr(Answers, "keep", watched)
    adapter = Rows("a", {"": rows_of("a", 4)})
    async with serving(adapter) as fleet:
        for number in range(100):
            adapter.lists[""][0] = connection("a", id_of(0), name=f"number {number}")
            told = await fleet.data(PAGE)
            assert f"number {number}" in {row["name"] for row in told["connections"]["nodes"]}
    assert len(executed) == answers.WORTH
    assert tried == [3, 9, 21, 45, 93]


# Whatever happens


QUERIES = [
    PAGE,
    "{ connections(first: 3, orderBy: [{ field: STATUS }, { field: NAME }]) { nodes { id } totalCount } }",
    "{ connections(last: 4, filter: { enabled: true }) { nodes { id enabled } pageInfo { hasPreviousPage } } }",
    '{ a: connections(first: 2) { nodes { name } } b: connections(filter: { instance: ["b"] }) { totalCount } }',
    '{ connectionFacets(filter: { text: "a" }) { totalCount category { value count } } }',
    '{ connections(filter: { workspaceId: ["p0"] }) { nodes { id } } }',
    "{ n: nodes(ids: IDS) { id ... on Connection { name status } } }",
]


def mixed_up(rng: random.Random, adapter: Rows) -> None:
    """Something that may happen to an upstream."""
    adapter.failing = None
    part = rng.choice(list(adapter.lists))
    rows = adapter.lists[part]
    match rng.randrange(6):
        case 0 if rows:
            at = rng.randrange(len(rows))
            rows[at] = some(rng, adapter.instance, rows[at].native_id)
        case 1 if rows:
            del rows[rng.randrange(len(rows))]
        case 2:
            rows.append(some(rng, adapter.instance, id_of(rng.randrange(100, 10**8))))
        case 3:
            adapter.lists[f"p{rng.randrange(4)}"] = []
        case 4:
            adapter.failing = Unreachable("nobody there")
        case _:
            pass


def _without_clock(answer: Any) -> Any:
    for error in answer.get("errors", ()):
        error.get("extensions", {}).pop("correlationId", None)
    return answer


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_upstream_the_answer_is_that_of_who_executes_each(
    sent: Callable[[Fleet], Fleet], seed: int, executed: Executed
):
    rng = drawn(seed)
    adapters = [
        Rows(
            name, {f"p{part}": [some(rng, name, id_of(10 * part + at)) for at in range(5)] for part in range(2)}, page=4
        )
        for name in ("a", "b")
    ]
    known = [ids.encode(name, id_of(10 * part + at)) for name in ("a", "b") for part in (0, 1) for at in (0, 1)]
    async with serving(*adapters) as served, serving(*adapters) as plain:
        kept, given = sent(served), 0
        for _ in range(50):
            query = rng.choice(QUERIES).replace("IDS", json.dumps(known))
            for _ in range(rng.choice((1, 4, 8))):
                before = len(executed)
                told = await kept.ask(query)
                given += len(executed) == before
                # Another text each time, so that nothing is known of it.
                fresh = await plain.ask(f"{query} # {rng.random()}")
                assert _without_clock(told) == _without_clock(fresh)
            if rng.random() < 0.25:
                mixed_up(rng, rng.choice(adapters))
    assert given > 3
