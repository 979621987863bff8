"""A request for one connection that comes again is answered with what the call brings, without being executed: what it
is told, and what that costs upstream, is what executing it would have told and cost.
"""

import asyncio
import contextlib
import datetime as dt
import io
import json
import time
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.responses import JSONResponse, Response

from adapters import flight
from adapters.airbyte.demo import AirbyteImitation, workspace_id
from adapters.ids import encode as global_id
from adapters.imitation import Knobs
from adapters.singles import Singles
from gateway import answers, lookups
from gateway.answers import SELDOM, WORTH
from tests.adapters.upstream import until
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, Upstreams, fleet_over
from tests.gateway.again import Client, Executed, Rows, anew, id_of, rows_of, whole_to
from tests.gateway.listed import connection
from tests.gateway.served import serving

INSTANCES = (AIRBYTE, WORKIVA, UNIFIED_TO)
FIELDS = """id name status enabled running externalRef updatedAt categories instance { name } source { id type }
    lastRun { status startedAt }"""
NAMES = "name workspaceName source { name type icon } destination { name type icon }"
TROUBLE: Mapping[str, Knobs] = {
    "unknown": Knobs(status=404),
    "fault": Knobs(status=500),
    "fault, once": Knobs(status=503, times=1),
    "refused": Knobs(status=401),
    "limited": Knobs(status=429, retry_after_s=0.01),
    "limited, once": Knobs(status=429, retry_after_s=0.01, times=1),
    "unreadable": Knobs(body="<html>"),
    "another shape": Knobs(body="[1]"),
    "reset": Knobs(reset=True),
    "reset, once": Knobs(reset=True, times=1),
    "cut": Knobs(cut=True),
    "silent": Knobs(hang=True),
}


def query_of(instance: str, id: str, fields: str = FIELDS, more: str = "") -> str:
    return f'{{ connection(ref: {{ instance: "{instance}", nativeId: "{id}" }}{more}) {{ {fields} }} }}'


@contextlib.asynccontextmanager
async def whole_over(upstreams: Upstreams, **sections: Any) -> AsyncGenerator[Fleet]:
    """A gateway that is patient with nobody, and a client whose requests come whole."""
    own = {"each": {"timeout": 0.4, "retries": 1}, "inventory": {"max_age": 0}, **sections}
    async with fleet_over(upstreams, **own) as fleet, whole_to(fleet) as whole:
        yield whole


@pytest.fixture
async def whole(upstreams: Upstreams) -> AsyncGenerator[Fleet]:
    async with whole_over(upstreams) as fleet:
        yield fleet


async def known(fleet: Fleet, query: str) -> Any:
    """What a request is told when it has come so often that it is looked up from then on."""
    told = [await fleet.ask(query) for _ in range(WORTH)]
    assert told == [told[0]] * WORTH
    return told[0]


@pytest.mark.parametrize("instance", INSTANCES)
async def test_a_connection_is_looked_up_and_not_executed(whole: Fleet, executed: Executed, instance: str):
    query = query_of(instance, whole.servers[instance].id_of(3))
    told = await known(whole, query)
    assert told["data"]["connection"]["instance"] == {"name": instance}
    costs: list[list[str]] = []
    for _ in range(6):
        whole.forget()
        assert await whole.ask(query) == told
        costs.append(list(whole.servers[instance].journal.calls))
    assert len(executed) == WORTH
    whole.forget()
    assert await anew(whole, query) == told
    assert costs == [whole.servers[instance].journal.calls] * 6
    assert [len(cost) for cost in costs] == [1] * 6


@pytest.mark.parametrize("instance", INSTANCES)
@pytest.mark.parametrize("trouble", TROUBLE)
async def test_what_goes_wrong_is_told_as_if_it_had_been_executed(
    upstreams: Upstreams, executed: Executed, instance: str, trouble: str
):
    told: list[Any] = []
    cost: list[list[str]] = []
    for way in (Fleet.ask, anew):
        async with whole_over(upstreams) as fleet:  # whose breaker nobody has met yet
            server = fleet.servers[instance]
            query = query_of(instance, server.id_of(3))
            right = await known(fleet, query)
            fleet.forget()
            executed.clear()
            server.knobs = Knobs(**{name: getattr(TROUBLE[trouble], name) for name in Knobs.__struct_fields__})
            told.append(await way(fleet, query))
            cost.append(list(server.journal.calls))
            assert len(executed) == ("errors" in told[-1] or way is anew)
            server.knobs = Knobs()
            for _ in range(100):
                if await fleet.ask(query) == right:
                    break
                await asyncio.sleep(0.05)  # a token service that refused is not asked again at once
            for _ in range(WORTH):
                await fleet.ask(query)
            executed.clear()
            assert await fleet.ask(query) == right
            assert executed == []
    for answer in told:
        for error in answer.get("errors", []):
            assert error["extensions"].pop("correlationId")
    assert told[0] == told[1]
    assert ("errors" in told[0]) is (trouble != "unknown" and "once" not in trouble), told[0]
    assert cost[0] == cost[1]


def told_of(server: Any, **changed: Any) -> Knobs:
    """The upstream tells something else of a connection by id."""
    return Knobs(body=json.dumps({**server.row(3), **changed}))


async def test_what_has_changed_upstream_is_seen_at_once(whole: Fleet, executed: Executed):
    server: Any = whole.servers[UNIFIED_TO]
    query = query_of(UNIFIED_TO, server.id_of(3), "externalRef")
    before = await known(whole, query)
    for ref in ("one", "two", "two", "two", "three"):
        server.knobs = told_of(server, external_xref=ref)
        assert await whole.ask(query) == {"data": {"connection": {"externalRef": ref}}}
    server.knobs = Knobs()
    assert await whole.ask(query) == before
    assert len(executed) == WORTH


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies that were looked at."""
    bodies: list[bytes] = []

    def seen(self: Singles[Any], key: Hashable, body: bytes) -> Any:
        bodies.append(body)
        return as_ever(self, key, body)

    as_ever = Singles.seen
    monkeypatch.setattr(Singles, "seen", seen)
    return bodies


@pytest.mark.parametrize("instance", INSTANCES)
async def test_of_the_same_body_the_same_answer_is_given_and_nothing_read(
    whole: Fleet, read: list[bytes], instance: str
):
    query = query_of(instance, whole.servers[instance].id_of(0))
    told = await known(whole, query)
    assert [await whole.ask(query) for _ in range(2)] == [told] * 2
    read.clear()
    whole.forget()
    assert [await whole.ask(query) for _ in range(5)] == [told] * 5
    assert (whole.calls(instance), read) == (5, [])


@pytest.mark.parametrize(("instance", "is_read"), [(AIRBYTE, True), (WORKIVA, True), (UNIFIED_TO, False)])
async def test_a_body_is_read_again_where_what_was_looked_up_for_it_may_change(
    whole: Fleet, monkeypatch: pytest.MonkeyPatch, read: list[bytes], instance: str, is_read: bool
):
    query = query_of(instance, whole.servers[instance].id_of(0), NAMES)
    told = await known(whole, query)
    assert [await whole.ask(query) for _ in range(2)] == [told] * 2
    read.clear()
    whole.forget()
    assert [await whole.ask(query) for _ in range(5)] == [told] * 5
    assert (whole.calls(instance), len(read)) == (5, 5 * is_read)
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 3_600)
    monkeypatch.setattr(flight, "time", later)
    monkeypatch.setattr(lookups, "time", later)  # when nothing that was looked up is kept any more
    read.clear()
    assert await whole.ask(query) == told
    assert read


class Renaming(AirbyteImitation):
    """One whose first workspace is called something else, and whose last is gone, from some time on."""

    is_over = False

    def _workspaces(self, _: Any) -> Response:
        first, *others, last = self.workspaces
        named = {first: "Renamed"} | dict.fromkeys(others) if self.is_over else {first: first, last: last}
        return JSONResponse(
            {"workspaces": [{"workspaceId": workspace_id(was), "name": name or was} for was, name in named.items()]}
        )

    def _list(self, body: Any) -> Response:
        is_gone = self.is_over and body["workspaceId"] == workspace_id(list(self.workspaces)[-1])
        return self.error_response(404) if is_gone else super()._list(body)


async def test_the_name_that_a_workspace_has_now_is_told_as_soon_as_it_is_known():
    server = Renaming()
    async with server.serve() as url, whole_over({AIRBYTE: (server, url)}) as fleet:
        query = query_of(AIRBYTE, server.id_of(3), "workspaceName")
        first = next(iter(server.workspaces))
        assert await known(fleet, query) == {"data": {"connection": {"workspaceName": first}}}
        assert [await fleet.ask(query) for _ in range(3)] == [await known(fleet, query)] * 3
        server.is_over = True
        await fleet.ask("{ connections { totalCount } }")  # a list that is gone has all workspaces asked for anew
        assert await fleet.ask(query) == {"data": {"connection": {"workspaceName": "Renamed"}}}


async def test_an_answer_is_not_given_again_when_an_authorization_in_it_has_ended(whole: Fleet, read: list[bytes]):
    server: Any = whole.servers[UNIFIED_TO]
    ends_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)
    server.knobs = told_of(server, auth={"expiry_date": ends_at.isoformat()})
    query = query_of(UNIFIED_TO, server.id_of(3), "details { ... on UnifiedToConnection { authState } }")
    state = lambda told: told["data"]["connection"]["details"]["authState"]  # noqa: E731
    assert [state(await whole.ask(query)) for _ in range(8)] == ["VALID"] * 8
    assert len(read) < 8
    await until(lambda: dt.datetime.now(dt.UTC) > ends_at)
    assert [state(await whole.ask(query)) for _ in range(4)] == ["EXPIRED"] * 4


async def test_a_long_answer_is_written_each_time(whole: Fleet, monkeypatch: pytest.MonkeyPatch, read: list[bytes]):
    monkeypatch.setattr(lookups, "KEPT_BYTES", 100)
    query = query_of(WORKIVA, whole.servers[WORKIVA].id_of(3))
    told = await known(whole, query)
    read.clear()
    assert [await whole.ask(query) for _ in range(5)] == [told] * 5
    assert len(read) == 5


async def test_an_answer_about_another_connection_is_none(whole: Fleet):
    server: Any = whole.servers[UNIFIED_TO]
    query = query_of(UNIFIED_TO, server.id_of(3))
    await known(whole, query)
    whole.forget()
    server.knobs = told_of(server, id=server.id_of(4))
    (error,) = (await whole.ask(query))["errors"]
    assert error["extensions"]["code"] == "UPSTREAM_BAD_RESPONSE"
    assert whole.calls(UNIFIED_TO) == 1


async def test_a_connection_that_is_not_ours_any_more_is_unknown(whole: Fleet, executed: Executed):
    server: Any = whole.servers[UNIFIED_TO]
    query = query_of(UNIFIED_TO, server.id_of(3), "id")
    await known(whole, query)
    server.knobs = told_of(server, environment="Elsewhere")
    for _ in range(3):
        assert await whole.ask(query) == {"data": {"connection": None}}
    assert (whole.calls(UNIFIED_TO), len(executed)) == (WORTH + 3, WORTH)


@pytest.mark.parametrize("instance", INSTANCES)
async def test_names_and_logos_that_are_known_are_looked_up_no_more(whole: Fleet, executed: Executed, instance: str):
    for number in range(5):
        query = query_of(instance, whole.servers[instance].id_of(number), NAMES)
        told = await known(whole, query)
        executed.clear()
        whole.forget()
        assert await whole.ask(query) == told == await anew(whole, query)
        assert (len(executed), whole.calls(instance)) == (1, 2)


@pytest.mark.parametrize("instance", INSTANCES)
async def test_what_must_be_looked_up_besides_costs_what_it_costs_who_executes_the_request(
    whole: Fleet, executed: Executed, monkeypatch: pytest.MonkeyPatch, instance: str
):
    query = query_of(instance, whole.servers[instance].id_of(0), NAMES)
    told = await known(whole, query)
    costs: list[Mapping[str, int]] = []
    for hours, way in ((1, Fleet.ask), (2, anew)):  # after which no name is kept any more
        monkeypatch.setattr(flight, "time", SimpleNamespace(monotonic=lambda h=hours: time.monotonic() + 3_600 * h))
        whole.forget()
        executed.clear()
        assert await way(whole, query) == told
        costs.append(whole.servers[instance].journal.by_path())
        assert len(executed) == (way is anew)
    assert costs[0] == costs[1]


async def test_who_opened_a_socket_gives_no_deadline_to_others_who_use_it(
    upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
):
    async with whole_over(upstreams, limits={"request_timeout": 1}) as fleet:
        ids = {instance: [fleet.servers[instance].id_of(number) for number in (3, 4)] for instance in INSTANCES}
        queries = {instance: [query_of(instance, id, NAMES) for id in ids[instance]] for instance in INSTANCES}
        told = {instance: [await known(fleet, query) for query in queries[instance]] for instance in INSTANCES}
        await asyncio.sleep(1.1)  # longer than any of these requests may take
        monkeypatch.setattr(flight, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 3_600))
        for instance in INSTANCES:
            fleet.servers[instance].knobs = Knobs(delay_s=0.05)
            # The names are looked up anew, and what comes meanwhile is answered after that.
            assert await ahead(fleet, [*queries[instance], "{ instances { name } }", queries[instance][1]]) == [
                *told[instance],
                {"data": {"instances": [{"name": name} for name in INSTANCES]}},
                told[instance][1],
            ]


async def test_who_opened_a_socket_is_told_of_no_calls_of_others_who_use_it(
    upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
):
    async with whole_over(upstreams, auth={"explain": "everyone"}) as fleet:
        unified, workiva = (fleet.servers[instance] for instance in (UNIFIED_TO, WORKIVA))
        query = query_of(UNIFIED_TO, unified.id_of(0), NAMES)
        told = await known(fleet, query)
        unified.knobs = Knobs(reset=True)  # so that the next one opens a socket
        await fleet.ask(query)
        unified.knobs, workiva.knobs = Knobs(), Knobs(delay_s=0.3)
        both = f"""{{ a: connection(ref: {{ instance: "{UNIFIED_TO}", nativeId: "{unified.id_of(1)}" }}) {{ id }}
                      b: connection(ref: {{ instance: "{WORKIVA}", nativeId: "{workiva.id_of(1)}" }}) {{ id }} }}"""
        fleet.forget()
        with contextlib.closing(Client()) as client:
            body, headers = {"query": both}, {"Gateway-Explain": "CALLS"}
            explained = asyncio.create_task(client.post(f"{fleet.url}/graphql", json=body, headers=headers))
            await until(lambda: fleet.calls(UNIFIED_TO) == 1 and fleet.calls(WORKIVA) >= 1)
            await asyncio.sleep(0.02)
            monkeypatch.setattr(flight, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 3_600))
            unified.knobs = Knobs(delay_s=0.05)
            assert await ahead(fleet, [query, query]) == [told] * 2
            calls = (await explained).json()["extensions"]["explain"]["calls"]
        assert sorted(call["operation"] for call in calls) == ["get_connection", "get_connection", "get_token"]
        assert fleet.calls(UNIFIED_TO) > 1


async def ahead(fleet: Fleet, queries: Sequence[str]) -> Sequence[Any]:
    """What queries are told that are sent one after the other, and waited for by nobody."""
    client: Any = fleet.client
    bodies = [{"query": query, "variables": None} for query in queries]
    answers = await client.ahead(f"{fleet.url}/graphql", bodies, pause_s=0.005)
    return [answer.json() for answer in answers]


async def test_a_list_in_memory_that_has_it_is_not_asked_again(upstreams: Upstreams, executed: Executed):
    async with whole_over(upstreams, inventory={"max_age": 600}) as fleet:
        server = fleet.servers[WORKIVA]
        query = query_of(WORKIVA, server.id_of(3))
        now = query_of(WORKIVA, server.id_of(3), more=", maxAge: 0")
        told = await known(fleet, query)
        assert await known(fleet, now) == told
        await fleet.data("{ connections(first: 1) { nodes { id } } }")
        fleet.forget()
        executed.clear()
        assert [await fleet.ask(query) for _ in range(2 * SELDOM)] == [told] * 2 * SELDOM
        assert fleet.calls(WORKIVA) == 0
        assert len(executed) <= SELDOM  # after which the answer is given again from memory
        executed.clear()
        assert [await fleet.ask(now) for _ in range(6)] == [told] * 6
        assert fleet.calls(WORKIVA) == 6
        assert executed == []


async def test_who_asks_for_the_same_at_once_shares_the_call(whole: Fleet, upstreams: Upstreams):
    server = whole.servers[WORKIVA]
    query = query_of(WORKIVA, server.id_of(3))
    told = await known(whole, query)
    whole.forget()
    server.knobs = Knobs(delay_s=0.1)
    clients = [Client() for _ in range(8)]
    others = [Fleet(whole.url, whole.servers, cast("Any", client)) for client in clients]
    assert await asyncio.gather(*(fleet.ask(query) for fleet in others)) == [told] * 8
    assert whole.calls(WORKIVA) == 1
    for client in clients:
        client.close()


@contextlib.asynccontextmanager
async def one_at_a_time(upstreams: Upstreams) -> AsyncGenerator[Fleet]:
    """A gateway that makes one call at a time and waits long for its end; its client is the caller's to close."""
    own: Any = {"each": {"timeout": 60, "max_in_flight": 1}, "inventory": {"max_age": 0}}
    async with fleet_over(upstreams, **own) as served:
        fleet = Fleet(served.url, served.servers, cast("Any", Client()))
        await known(fleet, query_of(WORKIVA, fleet.servers[WORKIVA].id_of(3)))
        fleet.forget()
        yield fleet


async def test_a_client_that_leaves_ends_the_call(upstreams: Upstreams):
    async with one_at_a_time(upstreams) as fleet, asyncio.timeout(10):
        server, client = fleet.servers[WORKIVA], cast("Any", fleet.client)
        server.knobs = Knobs(hang=True)
        asking = asyncio.create_task(fleet.ask(query_of(WORKIVA, server.id_of(3))))
        await until(lambda: fleet.calls(WORKIVA) == 1)
        client.close()
        with pytest.raises(asyncio.IncompleteReadError):
            await asking
        server.knobs = Knobs()
        await fleet.data(query_of(WORKIVA, server.id_of(4)))  # which waits for its turn
        client.close()


async def test_a_gateway_that_ends_gives_the_answer_first(upstreams: Upstreams, log: io.BytesIO):
    async with one_at_a_time(upstreams) as fleet:
        server = fleet.servers[WORKIVA]
        query = query_of(WORKIVA, server.id_of(3))
        told = await fleet.ask(query)
        server.knobs = Knobs(delay_s=0.2)
        asking = asyncio.create_task(fleet.ask(query))
        await until(lambda: fleet.calls(WORKIVA) == 2)
    assert await asking == told
    await asyncio.sleep(0.1)
    said = [json.loads(line)["message"] for line in log.getvalue().splitlines()]
    assert said.count("request") == WORTH + 2
    cast("Any", fleet.client).close()


async def test_requests_sent_ahead_are_answered_in_their_turn(whole: Fleet):
    queries = [query_of(WORKIVA, whole.servers[WORKIVA].id_of(number)) for number in (3, 4)]
    told = [await known(whole, query) for query in queries]
    whole.servers[WORKIVA].knobs = Knobs(delay_s=0.05)
    order = [0, 1, 1, 0, 1]
    assert await ahead(whole, [queries[number] for number in order]) == [told[number] for number in order]


async def test_what_was_forgotten_while_it_was_looked_up_is_not_asked_for_again(
    whole: Fleet, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(answers, "KEPT", 1)
    server = whole.servers[WORKIVA]
    query = query_of(WORKIVA, server.id_of(3))
    await known(whole, query)
    whole.forget()
    server.knobs = Knobs(delay_s=0.1, status=404)
    asking = asyncio.create_task(whole.ask(query))
    await until(lambda: whole.calls(WORKIVA) == 1)
    with contextlib.closing(Client()) as client:
        await Fleet(whole.url, whole.servers, cast("Any", client)).data("{ instances { name } }")
    assert await asking == {"data": {"connection": None}}
    assert whole.calls(WORKIVA) == 1


async def test_what_is_looked_up_has_its_line_in_the_log(whole: Fleet, log: io.BytesIO):
    query = "query Often " + query_of(WORKIVA, whole.servers[WORKIVA].id_of(3))
    await known(whole, query)
    whole.servers[WORKIVA].knobs = Knobs(status=500)
    await whole.ask(query)
    await asyncio.sleep(0.1)
    said = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["codes"] for line in said if line["message"] == "request"] == [[]] * WORTH + [["UPSTREAM_UNAVAILABLE"]]


@pytest.mark.parametrize(
    "fields", ["can { capability allowed }", "freshness { state }", "runs(first: 1) { nodes { id } }"]
)
async def test_what_may_be_another_thing_each_time_is_executed_each_time(whole: Fleet, executed: Executed, fields: str):
    query = query_of(AIRBYTE, whole.servers[AIRBYTE].id_of(3), fields)
    for _ in range(10):
        assert "errors" not in await whole.ask(query)
    assert len(executed) == 10


def aliased(wanted: Sequence[tuple[str, str]], fields: str = "name nativeId", more: str = "") -> str:
    refs = (f'{{ instance: "{instance}", nativeId: "{id}" }}' for instance, id in wanted)
    return "{ " + " ".join(f"c{at}: connection(ref: {ref}{more}) {{ {fields} }}" for at, ref in enumerate(refs)) + " }"


@pytest.mark.parametrize("max_age", [0, 600])
async def test_several_connections_of_lists_that_change_each_time_are_not_executed(executed: Executed, max_age: float):
    adapters = [Rows(name, {"": rows_of(name, 5)}) for name in ("a", "b")]
    wanted = [(name, id_of(number)) for name in ("a", "b") for number in range(4)]
    query = aliased(wanted, more=", maxAge: 0")
    async with serving(*adapters, max_age=max_age) as fleet:
        for time_ in range(40):
            adapters[0].lists[""][1] = connection("a", id_of(1), name=f"time {time_}")
            if time_ == 20:
                del adapters[1].lists[""][2]
            expected = {f"c{at}": by_id(adapters, *of) for at, of in enumerate(wanted)}
            assert await fleet.data(query) == expected
            # One list each, and the row that is gone by itself.
            assert [len(each.reads) for each in adapters] == [time_ + 1] * 2
    assert len(executed) == WORTH


def by_id(adapters: Sequence[Rows], instance: str, id: str) -> Any:
    rows = next(adapter.rows for adapter in adapters if adapter.instance == instance)
    return next(({"name": row.name, "nativeId": id} for row in rows if row.native_id == id), None)


def nodes_of(wanted: Sequence[tuple[str, str]], fields: str = "name nativeId") -> str:
    ids = ", ".join(f'"{global_id(*each)}"' for each in wanted)
    return f"{{ nodes(ids: [{ids}]) {{ ... on Connection {{ {fields} }} }} }}"


def entities_of(wanted: Sequence[tuple[str, str]], fields: str = "name nativeId") -> str:
    """By either key, in turn."""
    keys = (
        f'id: "{global_id(instance, id)}"' if at % 2 else f'instance: {{ name: "{instance}" }}, nativeId: "{id}"'
        for at, (instance, id) in enumerate(wanted)
    )
    told = ", ".join(f'{{ __typename: "Connection", {key} }}' for key in keys)
    return f"{{ _entities(representations: [{told}]) {{ ... on Connection {{ {fields} }} }} }}"


TOGETHER = pytest.mark.parametrize("several", [nodes_of, entities_of])


@TOGETHER
@pytest.mark.parametrize("max_age", [0, 600])
async def test_several_together_of_lists_that_change_each_time_are_not_executed(
    executed: Executed, max_age: float, several: Callable[..., str]
):
    adapters = [Rows(name, {"": rows_of(name, 5)}) for name in ("a", "b")]
    wanted = [("b", id_of(2)), *((name, id_of(number)) for name in ("a", "b") for number in range(4)), ("a", id_of(1))]
    query = several(wanted)
    async with serving(*adapters, max_age=max_age) as fleet:
        told = await fleet.data(query)
        for time_ in range(40):
            adapters[0].lists[""][1] = connection("a", id_of(1), name=f"time {time_}")
            if time_ == 20:
                del adapters[1].lists[""][2]
            expected = [by_id(adapters, *of) for of in wanted]
            answered = await fleet.data(query)
            assert [*answered.values()] == ([*told.values()] if max_age else [expected])
    assert len(executed) == WORTH


@pytest.mark.parametrize("instance", INSTANCES)
@TOGETHER
async def test_one_of_several_places_is_looked_up_with_its_call(
    whole: Fleet, executed: Executed, instance: str, several: Callable[..., str]
):
    query = several([(instance, whole.servers[instance].id_of(3))], FIELDS)
    told = await known(whole, query)
    for way in (Fleet.ask, Fleet.ask, anew):
        whole.forget()
        assert await way(whole, query) == told
        assert whole.calls(instance) == 1
    assert len(executed) == WORTH + 1


async def test_what_can_be_no_connection_is_none_each_time(executed: Executed):
    adapter = Rows("a", {"": rows_of("a", 2)})
    keys = (
        'id: "no id"',
        f'id: "{global_id("a", id_of(1))}"',
        'instance: { name: "nobody" }, nativeId: "x"',
        f'id: "{global_id("a", id_of(7))}"',
    )
    told = ", ".join(f'{{ __typename: "Connection", {key} }}' for key in keys)
    query = f"{{ _entities(representations: [{told}]) {{ ... on Connection {{ name nativeId }} }} }}"
    async with serving(adapter, max_age=0) as fleet:
        for time_ in range(8):
            adapter.lists[""][1] = connection("a", id_of(1), name=f"time {time_}")
            found = {"name": f"time {time_}", "nativeId": id_of(1)}
            assert await fleet.data(query) == {"_entities": [None, found, None, None]}
    assert len(executed) == WORTH


@pytest.mark.parametrize("several", [aliased, nodes_of, entities_of])
async def test_several_of_which_some_fail_are_told_as_if_they_had_been_executed(
    whole: Fleet, executed: Executed, several: Callable[..., str]
):
    instances = {AIRBYTE: 3, WORKIVA: 3, UNIFIED_TO: 3}
    wanted = [(name, whole.servers[name].id_of(at)) for name, count in instances.items() for at in range(count)]
    query = several(wanted, "id status enabled")
    right = await known(whole, query)
    costs: list[Any] = []
    told: list[Any] = []
    for way in (Fleet.ask, anew, Fleet.ask):
        whole.servers[WORKIVA].knobs = Knobs(status=500)
        whole.forget()
        executed.clear()
        told.append(await way(whole, query))
        costs.append([whole.calls(name) for name in instances])
        assert len(executed) == 1
        whole.servers[WORKIVA].knobs = Knobs()
        executed.clear()
        assert await whole.ask(query) == right
        assert executed == []
    for answer in told:
        assert [error["extensions"].pop("correlationId") for error in answer["errors"]]
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["UPSTREAM_UNAVAILABLE"] * 3
    assert told == [told[0]] * 3
    assert costs == [costs[0]] * 3


async def test_several_of_lists_and_by_calls_cost_what_executing_them_costs(whole: Fleet, executed: Executed):
    ids = {instance: [whole.servers[instance].id_of(number) for number in (1, 2)] for instance in INSTANCES}
    fields = "name details { ... on AirbyteConnection { syncCatalog { streams { stream { name } } } } }"
    parts = [aliased([(instance, id) for id in ids[instance]])[2:-2] for instance in (WORKIVA, UNIFIED_TO)]
    query = f"""{{ {parts[0]} {parts[1].replace("c0:", "d0:").replace("c1:", "d1:")}
        {aliased([(AIRBYTE, ids[AIRBYTE][0])], fields)[2:-2].replace("c0:", "e0:")}
        {nodes_of([(WORKIVA, ids[WORKIVA][1]), (AIRBYTE, ids[AIRBYTE][1])])[2:-2]}
        {entities_of([(UNIFIED_TO, ids[UNIFIED_TO][1]), (AIRBYTE, ids[AIRBYTE][0])], "status")[2:-2]}
        one: node(id: "{global_id(UNIFIED_TO, ids[UNIFIED_TO][0])}") {{ id ... on Connection {{ name }} }} }}"""
    right = await known(whole, query)
    costs: list[Any] = []
    for way in (Fleet.ask, Fleet.ask, anew):
        executed.clear()
        whole.forget()
        assert await way(whole, query) == right
        costs.append({name: whole.servers[name].journal.by_path() for name in INSTANCES})
        assert len(executed) == (way is anew)
    assert costs == [costs[0]] * 3


async def test_what_else_is_asked_for_is_executed(whole: Fleet, executed: Executed):
    id = whole.servers[WORKIVA].id_of(3)
    one = query_of(WORKIVA, id)
    for query in (
        one.replace("{ connection", "{ __typename connection", 1),
        one.replace("{ connection", "{ instances { name } connection", 1),
        f'{{ nodes(ids: ["{global_id(WORKIVA, id)}"]) {{ id ... on Connection {{ freshness {{ state }} }} }} }}',
    ):
        executed.clear()
        for _ in range(8):
            await whole.ask(query)
        assert len(executed) == 8


async def test_who_has_no_key_is_given_nothing(upstreams: Upstreams, executed: Executed):
    keys = {"auth": {"mode": "api_key", "keys": {"ops": "a-key-of-sixteen-or-more", "web": "another-key-of-sixteen"}}}
    async with whole_over(upstreams, **keys) as fleet:
        body = {"query": query_of(WORKIVA, fleet.servers[WORKIVA].id_of(3))}

        async def asked(**headers: str) -> tuple[int, Any]:
            told = {name.replace("_", "-"): value for name, value in headers.items()}
            answered = await fleet.client.post(f"{fleet.url}/graphql", json=body, headers=told)
            return answered.status_code, answered.json().get("data")

        told = [await asked(x_api_key="a-key-of-sixteen-or-more") for _ in range(6)]
        assert told == [told[0]] * 6
        assert len(executed) == WORTH
        for headers in ({}, {"x_api_key": "a-key-of-sixteen-or-less"}):
            assert [await asked(**headers) for _ in range(5)] == [(401, None)] * 5
        assert [await asked(x_api_key="another-key-of-sixteen") for _ in range(6)] == told
        assert len(executed) == 2 * WORTH
