"""A request for what is made of lists that comes again is not executed, whether its lists have changed or not: they are
read, the same is made of them, and it is written. What it is told, and what that costs upstream, is what executing it
would have told and cost.
"""

import asyncio
import contextlib
import datetime as dt
import io
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

import msgspec
import pytest

from adapters import ids
from adapters.errors import Unreachable
from adapters.imitation import Knobs
from adapters.model import Interval, Run, RunStatus, Schedule, ScheduleType, TimeUnit
from gateway import observability
from gateway.answers import WORTH
from tests.adapters.upstream import until
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, Upstreams, fleet_over
from tests.gateway.again import Client, Executed, Rows, Slow, anew, id_of, rows_of, whole_to
from tests.gateway.garbage import collecting
from tests.gateway.listed import connection
from tests.gateway.served import serving

INSTANCES = (AIRBYTE, WORKIVA, UNIFIED_TO)
ROW = "id name status enabled externalRef source { id type } lastRun { status startedAt }"
MADE_OF_LISTS = {
    "a page": f"{{ connections(first: 20) {{ nodes {{ {ROW} }} }} }}",
    "edges": "{ connections(first: 3) { edges { cursor node { name } } pageInfo { hasNextPage endCursor } } }",
    "the last": "{ connections(last: 3) { nodes { name } pageInfo { hasPreviousPage startCursor } totalCount } }",
    "filtered": '{ connections(filter: { text: "1", not: { enabled: false } }) { nodes { name } totalCount } }',
    "sorted": "{ connections(orderBy: [{ field: STATUS, direction: DESC }, { field: NAME }]) { nodes { name } } }",
    "of one": '{ connections(filter: { instance: ["a"] }) { nodes { name } } }',
    "of none": '{ connections(filter: { workspaceId: ["nowhere"] }) { nodes { name } totalCount } }',
    "facets": '{ connectionFacets(filter: { text: "0" }) { totalCount status { value count } instance { count } } }',
    "all of it": f"""{{ rows: connections(first: 2) {{ nodes {{ name }} }} connectionFacets {{ totalCount }}
        one: connection(id: "{ids.encode("a", id_of(1))}") {{ name }} other: connections {{ totalCount }} }}""",
}


@pytest.mark.parametrize("query", MADE_OF_LISTS.values(), ids=MADE_OF_LISTS)
@pytest.mark.parametrize("page", [1000, 2])
async def test_what_is_made_of_lists_that_change_each_time_is_not_executed(executed: Executed, query: str, page: int):
    adapters = [Rows(name, {"": rows_of(name, 5)}, page=page) for name in ("a", "b")]
    plain = [Rows(name, {}, page=page) for name in ("a", "b")]
    async with serving(*adapters) as served, serving(*plain) as other, whole_to(served) as fleet:
        for number in range(20):
            adapters[0].lists[""][1] = connection("a", id_of(1), name=f"number {number}", enabled=number % 2 == 0)
            if number == 10:
                del adapters[1].lists[""][2:]
            for one, same in zip(adapters, plain, strict=True):
                same.lists = one.lists
                one.reads.clear()
                same.reads.clear()
            told = await fleet.ask(query)
            assert len(executed) == min(number + 1, WORTH) + number
            assert told == await anew(other, query)
            assert "errors" not in told
            assert [one.reads for one in adapters] == [same.reads for same in plain]


async def test_what_depends_on_the_moment_is_that_of_the_moment(executed: Executed):
    minutely = Schedule(type=ScheduleType.BASIC, every=Interval(units=1, time_unit=TimeUnit.MINUTES), human_text="")
    due_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1.5)
    ran = Run(status=RunStatus.SUCCEEDED, started_at=due_at - dt.timedelta(seconds=60))
    soon = connection("a", id_of(1), name="soon", enabled=True, schedule=minutely, last_run=ran)
    query = "{ connections(filter: { overdue: true }) { nodes { name } } }"
    async with serving(Rows("a", {"": [soon]}), max_age=600) as served, whole_to(served) as fleet:
        before = [await fleet.data(query) for _ in range(WORTH + 2)]
        await asyncio.sleep((due_at - dt.datetime.now(dt.UTC)).total_seconds() + 0.1)
        assert await fleet.data(query) == {"connections": {"nodes": [{"name": "soon"}]}}
    assert before == [{"connections": {"nodes": []}}] * (WORTH + 2)
    assert len(executed) == WORTH


@pytest.mark.parametrize("query", [MADE_OF_LISTS["a page"], MADE_OF_LISTS["facets"], MADE_OF_LISTS["all of it"]])
async def test_where_an_instance_fails_its_lists_are_read_once_and_that_is_told(executed: Executed, query: str):
    told: list[Any] = []
    cost: list[Any] = []
    for way in (Fleet.ask, anew):
        adapters = [Rows(name, {"": rows_of(name, 5)}) for name in ("a", "b")]
        async with serving(*adapters) as served, whole_to(served) as fleet:
            right = [await fleet.ask(query) for _ in range(WORTH + 1)][-1]
            executed.clear()
            for adapter in adapters:
                adapter.reads.clear()
            adapters[1].failing = Unreachable("nobody there")
            adapters[0].lists[""][1] = connection("a", id_of(1), name="another")
            told.append(await way(fleet, query))
            assert len(executed) == 1
            cost.append([adapter.reads for adapter in adapters])
            adapters[1].failing = None
            adapters[0].lists[""][1] = rows_of("a", 5)[1]
            assert await fleet.ask(query) == right
            assert len(executed) == 1
    for answer in told:
        assert [error["extensions"].pop("correlationId") for error in answer["errors"]]
    assert told[0] == told[1]
    assert [error["extensions"]["code"] for error in told[0]["errors"]] == ["UPSTREAM_UNAVAILABLE"]
    assert cost[0] == cost[1]


CATALOGS = """{ connections(first: 4, filter: { provider: [AIRBYTE] }) { nodes {
    name details { ... on AirbyteConnection { syncCatalog { streams { stream { name } } } } } } } }"""


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_what_rows_lack_is_asked_for_once_whatever_comes_of_it(
    upstreams: Upstreams, executed: Executed, status: int
):
    told: list[Any] = []
    cost: list[Mapping[str, int]] = []
    for way in (Fleet.ask, anew):
        own: Any = {"each": {"retries": 0}, "inventory": {"max_age": 0}}
        async with fleet_over(upstreams, **own) as served, whole_to(served) as fleet:
            server = fleet.servers[AIRBYTE]
            for _ in range(WORTH + 1):
                assert "errors" not in await fleet.ask(CATALOGS)
            assert len(executed) == WORTH
            executed.clear()
            fleet.forget()
            if status != 200:
                server.knobs = Knobs(status=status, only="/web_backend/connections/get")
            told.append(await way(fleet, CATALOGS))
            cost.append(server.journal.by_path())
            server.knobs = Knobs()
            assert len(executed) == ("errors" in told[-1] or way is anew)
            executed.clear()
    for answer in told:
        for error in answer.get("errors", []):
            assert error["extensions"].pop("correlationId")
    assert told[0] == told[1]
    assert ("errors" in told[0]) is (status != 200)
    assert cost[0] == cost[1]


async def test_a_client_that_leaves_ends_what_was_read_for_it():
    adapter = Rows("a", {"": rows_of("a", 4)})
    query = MADE_OF_LISTS["a page"]
    async with serving(adapter) as served, whole_to(served) as fleet, asyncio.timeout(10):
        for _ in range(WORTH + 1):
            await fleet.data(query)
        adapter.gate.clear()
        adapter.reads.clear()
        asking = asyncio.create_task(fleet.ask(query))
        await until(lambda: len(adapter.reads) == 1)
        cast("Any", fleet.client).close()
        with pytest.raises(asyncio.IncompleteReadError):
            await asking
        others = asyncio.create_task(fleet.ask(query))
        await until(lambda: len(adapter.reads) == 2)  # the one that nobody waits for has ended, and was not joined
        adapter.gate.set()
        assert len((await others)["data"]["connections"]["nodes"]) == 4


async def test_a_gateway_that_ends_gives_the_answer_first():
    adapter = Rows("a", {"": rows_of("a", 4)})
    query = MADE_OF_LISTS["a page"]
    async with serving(adapter) as served:
        fleet = Fleet(served.url, {}, cast("Any", Client()))
        for _ in range(WORTH + 1):
            told = await fleet.ask(query)
        adapter.gate.clear()
        adapter.reads.clear()
        asking = asyncio.create_task(fleet.ask(query))
        await until(lambda: len(adapter.reads) == 1)
        asyncio.get_running_loop().call_later(0.2, adapter.gate.set)
    assert await asking == told
    assert len(adapter.reads) == 1
    cast("Any", fleet.client).close()


# Several lists are read at once, and waited for one after the other


PAGE = MADE_OF_LISTS["a page"]


@contextlib.asynccontextmanager
async def two(max_age: float, **limits: Any) -> AsyncGenerator[tuple[Slow, Slow, Fleet]]:
    """Two instances whose lists are known, and too old."""
    adapters = Slow("a", {"": rows_of("a", 2)}), Slow("b", {"": rows_of("b", 2)})
    async with serving(*adapters, max_age=max_age, limits=limits) as served, whole_to(served) as fleet:
        for _ in range(WORTH + 2):
            await fleet.data(PAGE)
        await asyncio.sleep(1.2 * max_age)
        for adapter in adapters:
            adapter.reads.clear()
            adapter.parts_asked = 0
        yield *adapters, fleet


def names(told: Any) -> list[str]:
    return sorted(row["name"] for row in told["data"]["connections"]["nodes"])


@pytest.mark.parametrize("way", [Fleet.ask, anew])
@pytest.mark.parametrize("slow", ["its list", "its parts"])
async def test_who_has_lists_read_is_given_none_that_is_older(way: Any, slow: str):
    async with two(0.5) as (a, b, fleet):
        a.lists[""][0] = connection("a", id_of(0), name="new a")
        b.lists[""][0] = connection("b", id_of(0), name="new b")
        setattr(b, "delay_s" if slow == "its list" else "parts_delay_s", 0.1)
        assert names(await way(fleet, PAGE)) == ["name 001", "name 001", "new a", "new b"]
        assert [len(a.reads), len(b.reads), b.parts_asked] == [1, 1, 1]


async def test_a_client_that_leaves_ends_the_reading_of_each_list():
    async with two(0, request_timeout=5) as (a, b, fleet):
        a.hangs = b.hangs = 1
        asking = asyncio.create_task(fleet.ask(PAGE))
        await until(lambda: len(a.reads) == len(b.reads) == 1)
        cast("Any", fleet.client).close()
        with pytest.raises(asyncio.IncompleteReadError):
            await asking
        await until(lambda: a.ended == b.ended == 1)
        assert len(names(await fleet.ask(PAGE))) == 4


async def test_who_joins_a_reading_and_leaves_ends_it_for_nobody_else():
    async with two(0) as (a, b, fleet):
        a.delay_s = b.delay_s = 0.4
        asking = asyncio.create_task(fleet.ask(PAGE))
        await until(lambda: len(b.reads) == 1)
        with contextlib.closing(Client()) as client:
            other = Fleet(fleet.url, {}, cast("Any", client))
            leaving = asyncio.create_task(other.ask('{ connections(filter: { instance: ["b"] }) { totalCount } }'))
            await asyncio.sleep(0.1)
        with pytest.raises(asyncio.IncompleteReadError):
            await leaving
        assert len(names(await asking)) == 4
        assert len(b.reads) == 1


async def test_a_list_that_failed_lately_is_not_read_again_for_each_answer_that_rests_on_it():
    async with two(0.5) as (a, b, fleet):
        b.failing = Unreachable("nobody there")
        for _ in range(4):
            told = await fleet.ask(PAGE)
            assert [error["extensions"]["code"] for error in told["errors"]] == ["UPSTREAM_UNAVAILABLE"]
        assert (len(a.reads), len(b.reads)) == (1, 1)


@pytest.mark.parametrize("way", [Fleet.ask, anew])
async def test_an_instance_that_cannot_tell_its_parts_is_told_of(way: Any):
    async with two(0) as (a, b, fleet):
        b.untold = Unreachable("nobody there")
        told = await way(fleet, PAGE)
        assert [error["extensions"]["code"] for error in told["errors"]] == ["UPSTREAM_UNAVAILABLE"]
        assert (len(names(told)), a.parts_asked, b.parts_asked) == (4, 1, 1)


async def test_an_instance_whose_list_is_fresh_is_not_asked_for_its_parts():
    async with two(0.5) as (a, b, fleet):
        await fleet.data('{ connections(filter: { instance: ["a"] }) { totalCount } }')
        a.parts_asked = 0
        await fleet.data(PAGE)
        assert (a.parts_asked, b.parts_asked, len(a.reads), len(b.reads)) == (0, 1, 1, 1)


@pytest.mark.parametrize("way", [Fleet.ask, anew])
async def test_what_is_cancelled_inside_leaves_no_client_waiting(way: Any):
    async with two(0) as (_, b, fleet), asyncio.timeout(5):
        b.untold = asyncio.CancelledError()
        answered = await fleet.client.post(f"{fleet.url}/graphql", json={"query": PAGE, "variables": None})
        assert answered.status_code == 500  # the server's own, as for who executes it


async def test_an_answer_that_cannot_be_given_leaves_no_client_waiting(
    executed: Executed, monkeypatch: pytest.MonkeyPatch
):
    async with two(0) as (_, _, fleet), asyncio.timeout(5):
        told, log_request = await fleet.ask(PAGE), observability.log_request

        def mistaken(**_: Any) -> None:
            monkeypatch.setattr(observability, "log_request", log_request)
            raise RuntimeError("only this time")

        monkeypatch.setattr(observability, "log_request", mistaken)
        executed.clear()
        assert await fleet.ask(PAGE) == told
        assert executed == [], "it is given in the usual way"


async def test_requests_sent_ahead_are_answered_in_their_turn():
    adapter = Rows("a", {"": rows_of("a", 4)})
    queries = [MADE_OF_LISTS[name] for name in ("a page", "facets")]
    async with serving(adapter) as served, whole_to(served) as fleet:
        told = [[await fleet.ask(query) for _ in range(WORTH + 1)][-1] for query in queries]
        adapter.gate.clear()
        asyncio.get_running_loop().call_later(0.05, adapter.gate.set)
        order = [0, 1, 1, 0, 1]
        bodies = [{"query": queries[number], "variables": None} for number in order]
        answers = await cast("Any", fleet.client).ahead(f"{fleet.url}/graphql", bodies, pause_s=0.005)
        assert [answer.json() for answer in answers] == [told[number] for number in order]


async def test_who_asks_for_the_same_at_once_shares_the_reading(executed: Executed):
    adapter = Rows("a", {"": rows_of("a", 4)})
    query = MADE_OF_LISTS["a page"]
    async with serving(adapter) as served:
        clients = [Client() for _ in range(8)]
        fleets = [Fleet(served.url, {}, cast("Any", client)) for client in clients]
        for fleet in fleets:
            told = await fleet.ask(query)
        executed.clear()
        adapter.reads.clear()
        adapter.gate.clear()
        asking = [asyncio.create_task(fleet.ask(query)) for fleet in fleets]
        await until(lambda: len(adapter.reads) == 1)
        await asyncio.sleep(0.05)
        adapter.gate.set()
        assert await asyncio.gather(*asking) == [told] * 8
        assert len(adapter.reads) <= 2  # who came while it was read had it read once more, together
        assert executed == []
        for client in clients:
            client.close()


async def test_each_has_its_line_in_the_log(log: io.BytesIO):
    adapter = Rows("a", {"": rows_of("a", 4)})
    query = "query Often { connections { nodes { name } } }"
    async with serving(adapter) as served, whole_to(served) as fleet:
        for number in range(6):
            adapter.lists[""][0] = connection("a", id_of(0), name=f"number {number}")
            await fleet.ask(query)
        adapter.failing = Unreachable("nobody there")
        await fleet.ask(query)
        await asyncio.sleep(0.1)
    said = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["codes"] for line in said if line["message"] == "request"] == [[]] * 6 + [["UPSTREAM_UNAVAILABLE"]]


@pytest.mark.parametrize("name", ["a page", "all of it"])
async def test_nothing_is_left_for_the_collector(name: str):
    adapter = Rows("a", {"": rows_of("a", 4)})
    async with serving(adapter) as served, whole_to(served) as fleet:

        async def asked(number: int) -> None:
            row = adapter.lists[""][0]
            adapter.lists[""][0] = msgspec.structs.replace(row, name=f"number {number}")
            await fleet.data(MADE_OF_LISTS[name])

        for number in range(WORTH + 2):
            await asked(number)
        with collecting() as found:
            for number in range(3):
                await asked(number)
            await asyncio.sleep(0)
    left = [each for each in found if type(each).__module__.startswith(("gateway.", "adapters."))]
    assert left == []
