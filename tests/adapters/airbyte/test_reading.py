"""What reading Airbyte costs, and how walks go on when rows disappear under them."""

import asyncio
import operator
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from adapters import errors, walk
from adapters.airbyte import PROVIDER
from adapters.airbyte.demo import WORKSPACES, AirbyteImitation, connection_id, workspace_id
from adapters.airbyte.details import FULL_RECORD
from adapters.imitation import ImitationServer, Knobs
from adapters.model import Connection
from adapters.port import LIST_FIELDS, Fields, Filter, List, Order, OrderField
from tests.adapters.contracted import (
    NOW,
    Contracted,
    Refusing,
    Rewritten,
    listed,
    native_ids,
    over,
    paged,
    plainly,
    settings_of,
    walked,
)
from tests.adapters.upstream import until

GENERATIONS = pytest.mark.parametrize("generation", ["dump", "cursor"])
FIRST, SECOND = (workspace_id(name) for name in WORKSPACES)


def airbyte(generation: str = "dump", **options: Any) -> AirbyteImitation:
    return AirbyteImitation(clock=lambda: NOW, generation=generation, login="basic", **options)  # type: ignore[arg-type]


def calls(contracted: Contracted) -> dict[str, int]:
    """How often each endpoint was called since this was last asked."""
    counted = {path.removeprefix("POST /api/v1/"): n for path, n in contracted.imitation.journal.by_path().items()}
    contracted.imitation.journal.clear()
    return counted


# Workspaces


async def test_without_configured_workspaces_all_are_discovered_once():
    async with over(PROVIDER, airbyte()) as contracted:
        assert len(await listed(contracted.adapter)) == 60
        assert calls(contracted) == {"workspaces/list": 1, "web_backend/connections/list": 2}
        await listed(contracted.adapter)
        assert calls(contracted) == {"web_backend/connections/list": 2}


async def test_configured_workspaces_are_read_in_their_order_and_no_others():
    async with over(PROVIDER, airbyte(), workspaces=[SECOND]) as contracted:
        connections = await listed(contracted.adapter)
        assert {connection.workspace_id for connection in connections} == {SECOND}
        assert len(connections) == 20
        assert "workspaces/list" not in calls(contracted)
    async with over(PROVIDER, airbyte(), workspaces=[SECOND, FIRST]) as contracted:
        met = [connection.workspace_id for connection in await listed(contracted.adapter)]
        assert met == [SECOND] * 20 + [FIRST] * 40


HERE, ELSEWHERE = connection_id(40), connection_id(0)
"""Connections of the second workspace and of the first."""
LIST_AND_MORE = pytest.mark.parametrize("fields", [LIST_FIELDS, frozenset(FULL_RECORD)], ids=["list", "full"])


@GENERATIONS
@LIST_AND_MORE
async def test_an_id_of_a_workspace_that_is_not_configured_is_unknown_and_that_costs_no_call(
    generation: str, fields: Fields
):
    async with over(PROVIDER, airbyte(generation), workspaces=[SECOND.upper()]) as contracted:
        for id, expected in ((HERE, [HERE]), (ELSEWHERE, [])):
            found = await contracted.adapter.get_many({id: fields})
            assert list(found.by_id) == expected
            assert calls(contracted) == {"web_backend/connections/get": 1}
        found = await contracted.adapter.get_many({HERE: fields, ELSEWHERE: fields})
        assert list(found.by_id) == [HERE]


@GENERATIONS
@LIST_AND_MORE
async def test_of_a_record_that_does_not_name_its_workspace_it_is_found_out(generation: str, fields: Fields):
    imitation = airbyte(generation)
    imitation.app = Rewritten(imitation.app, "/connections/get", _of_no_workspace)
    async with over(PROVIDER, imitation, workspaces=[SECOND]) as contracted:
        for id, expected in ((HERE, [SECOND]), (ELSEWHERE, [])):
            found = await contracted.adapter.get_many({id: fields})
            assert [row.workspace_id for row in found.by_id.values() if isinstance(row, Connection)] == expected
            assert calls(contracted) == {"web_backend/connections/get": 1, "workspaces/get_by_connection_id": 1}
        imitation.knobs = Knobs(status=404, only="/get_by_connection_id")
        assert (await contracted.adapter.get_many({HERE: fields})).by_id == {}
    async with over(PROVIDER, imitation) as contracted:
        calls(contracted)
        found = await contracted.adapter.get_many({ELSEWHERE: fields})
        assert list(found.by_id) == [ELSEWHERE]
        assert calls(contracted) == {"web_backend/connections/get": 1}


@LIST_AND_MORE
async def test_where_a_record_does_not_name_its_workspace_it_takes_waiting_for_that(fields: Fields):
    imitation = airbyte()
    imitation.app = Rewritten(imitation.app, "/connections/get", _of_no_workspace)
    async with over(PROVIDER, imitation, workspaces=[SECOND]) as contracted:
        for id, is_ours in ((HERE, True), (ELSEWHERE, False)):
            single = contracted.adapter.single(id, fields)
            assert single is not None
            body = await contracted.adapter.transport.send(single.request)
            assert walk.without_waiting(single.made(body)) is None
            if is_ours:
                (row,) = (await single.made(body)).connections
                assert row.workspace_id == SECOND
            else:
                with pytest.raises(errors.NotFound):
                    await single.made(body)


async def test_of_a_row_of_a_list_its_workspace_is_known():
    imitation = airbyte()
    imitation.app = Rewritten(imitation.app, "/connections/get", _of_no_workspace)
    async with over(PROVIDER, imitation, workspaces=[SECOND]) as contracted:
        page = await paged(contracted.adapter, limit=5, fields=frozenset(FULL_RECORD))
        assert {row.workspace_id for row in page.connections} == {SECOND}
        assert page.failures == ()
        assert calls(contracted) == {"web_backend/connections/list": 1, "web_backend/connections/get": 5}


def _of_no_workspace(record: Any) -> Any:
    for side in ("source", "destination"):
        del record[side]["workspaceId"]
    return record


@GENERATIONS
async def test_a_workspace_deleted_after_it_was_discovered_costs_nobody_else_a_row(generation: str):
    imitation = airbyte(generation)
    whole = imitation.app
    async with over(PROVIDER, imitation) as contracted:
        assert len(await listed(contracted.adapter)) == 60
        calls(contracted)
        imitation.app = Refusing(Rewritten(whole, "/workspaces/list", _without_second), SECOND, 404)
        assert {row.workspace_id for row in await listed(contracted.adapter)} == {FIRST}
        assert calls(contracted) == {"workspaces/list": 1, "web_backend/connections/list": 2}
        assert len(await listed(contracted.adapter)) == 40
        assert calls(contracted) == {"web_backend/connections/list": 1}


def _without_second(body: Any) -> Any:
    return {"workspaces": [row for row in body["workspaces"] if row["workspaceId"] != SECOND]}


@GENERATIONS
@pytest.mark.parametrize("configured", [[], [FIRST, SECOND]])
async def test_a_workspace_that_is_there_and_not_found_is_an_error(generation: str, configured: list[str]):
    imitation = airbyte(generation)
    imitation.app = Refusing(imitation.app, SECOND, 404)
    async with over(PROVIDER, imitation, workspaces=configured) as contracted:
        with pytest.raises(errors.NotFound):
            await listed(contracted.adapter)


async def test_no_workspaces_are_no_connections():
    imitation = airbyte()
    imitation.knobs = Knobs(body='{"workspaces": []}', only="/workspaces/list")
    async with over(PROVIDER, imitation) as contracted:
        assert list(await contracted.adapter.parts()) == []
        assert await listed(contracted.adapter) == []


async def test_names_of_workspaces_that_were_known_stay_where_they_cannot_be_asked_for_anew():
    imitation = airbyte()
    async with over(PROVIDER, imitation, retries=0) as contracted:
        joins = contracted.adapter._joins
        known = dict(await joins.workspace_names())
        rows = await listed(contracted.adapter)
        named = (await contracted.adapter.complete(rows, frozenset({"workspace_name"}))).connections
        assert {row.workspace_name for row in named} == set(known.values())
        imitation.knobs = Knobs(status=500, only="/workspaces/list")
        assert await joins.workspace_names(anew=True) == known
        again = (await contracted.adapter.complete(named, frozenset({"workspace_name"}))).connections
        assert all(map(operator.is_, again, named))


@pytest.mark.parametrize("workspaces", [["a", "a"], ["a", "A"], [""]])
def test_workspaces_that_make_no_sense_are_refused(workspaces: list[str]):
    with pytest.raises(ValueError, match="workspaces"):
        settings_of(PROVIDER, {"provider": "airbyte", "base_url": "http://a", "workspaces": workspaces})


@GENERATIONS
async def test_a_workspace_that_fails_costs_the_ids_that_no_other_holds(generation: str):
    imitation = airbyte(generation)
    healthy = imitation.app

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        if scope["type"] == "http" and SECOND.encode() in message.get("body", b""):
            await Response("", 500)(scope, receive, send)
        else:

            async def again() -> Any:
                return message

            await healthy(scope, again, send)

    imitation.app = app
    known = [connection_id(number) for number in (0, 1, 2, 40, 41)]
    async with over(PROVIDER, imitation, retries=0) as contracted:
        found = (await contracted.adapter.get_many(dict.fromkeys(known, LIST_FIELDS))).by_id
    assert [type(found[id]) for id in known] == [Connection] * 3 + [errors.UpstreamFault] * 2


# Paging


async def test_nobody_sees_only_the_twenty_rows_that_the_later_generation_gives_unasked():
    async with over(PROVIDER, airbyte("cursor", size=130)) as contracted:
        assert len(await listed(contracted.adapter)) == 130
        assert calls(contracted) == {"workspaces/list": 1, "web_backend/connections/list": 2}


async def test_the_earlier_generation_gives_a_workspace_of_any_size_in_one_page():
    async with over(PROVIDER, airbyte("dump", size=3000)) as contracted:
        assert len(await listed(contracted.adapter)) == 3000
        assert calls(contracted) == {"workspaces/list": 1, "web_backend/connections/list": 2}


async def test_a_page_of_the_later_generation_has_five_hundred_rows_and_names_the_last_as_its_cursor():
    async with over(PROVIDER, airbyte("cursor", size=1800), workspaces=[FIRST]) as contracted:
        pages = await plainly(contracted.adapter, List(FIRST))
        assert [len(page.connections) for page in pages] == [500, 500, 200]
        bodies = [asked.json() for asked in contracted.imitation.journal.asked]
    assert [body["pageSize"] for body in bodies] == [500] * 3
    ends = [page.connections[-1].native_id for page in pages[:-1]]
    assert [body.get("cursor") for body in bodies] == [None, *ends]


@pytest.mark.parametrize("cap", [1, 3, 11, None])
@pytest.mark.parametrize("standing", [0, 1, 2])
async def test_a_walk_goes_on_when_the_row_it_stood_on_is_deleted(cap: int | None, standing: int):
    imitation = airbyte("cursor", page_cap=cap, size=60 if cap else 3000)
    async with over(PROVIDER, imitation, workspaces=[FIRST]) as contracted:
        pages = await plainly(contracted.adapter, List(FIRST))
        gone = pages[standing].connections[-1].native_id
        imitation.deleted.add(gone)
        following = await contracted.adapter.read(List(FIRST), after=pages[standing].next)
        assert following.connections[:1] == pages[standing + 1].connections[:1]
        after = await contracted.adapter.read(List(FIRST), after=following.next)
        assert set(native_ids(following.connections)).isdisjoint(native_ids(after.connections))


async def test_a_row_that_a_walk_stood_on_and_is_gone_costs_a_call_by_cursor_and_one_that_counts():
    imitation = airbyte("cursor", size=3000)
    async with over(PROVIDER, imitation, workspaces=[FIRST]) as contracted:
        pages = await plainly(contracted.adapter, List(FIRST))
        imitation.deleted.add(pages[2].connections[-1].native_id)
        imitation.journal.clear()
        await contracted.adapter.read(List(FIRST), after=pages[2].next)
        bodies = [asked.json() for asked in imitation.journal.asked]
    assert [(body["pageSize"], body.get("cursor")) for body in bodies] == [
        (500, pages[2].connections[-1].native_id),
        (1999, None),
    ]


@pytest.mark.parametrize("position", [10**6, walk.MOST_ROWS])
async def test_a_token_that_somebody_made_up_never_asks_for_a_page_of_any_length(position: int):
    made_up = str(walk.Token(position, "00000000-0000-0000-0000-000000000000"))
    async with over(PROVIDER, airbyte("cursor"), workspaces=[FIRST]) as contracted:
        page = await contracted.adapter.read(List(FIRST), after=made_up)
        bodies = [asked.json() for asked in contracted.imitation.journal.asked]
    assert (page.connections, page.next) == ((), None)
    assert max(body["pageSize"] for body in bodies) <= 10_000


@pytest.mark.parametrize("position", [walk.MOST_ROWS + 1, 2**62, 10**30])
async def test_a_token_beyond_all_lists_is_refused_and_asks_for_nothing(position: int):
    async with over(PROVIDER, airbyte("cursor"), workspaces=[FIRST]) as contracted:
        with pytest.raises(errors.Rejected):
            await contracted.adapter.read(List(FIRST), after=str(walk.Token(position)))
        assert not contracted.imitation.journal.asked


async def test_rows_deleted_elsewhere_are_missed_by_nobody_and_bring_none_twice():
    imitation = airbyte("cursor", page_cap=10)
    async with over(PROVIDER, imitation, workspaces=[FIRST]) as contracted:
        before = native_ids(await listed(contracted.adapter))
        first = await contracted.adapter.read(List(FIRST))
        imitation.deleted |= {before[2], before[12]}
        following = await contracted.adapter.read(List(FIRST), after=first.next)
    assert native_ids(following.connections) == [id for id in before[10:21] if id != before[12]]


async def test_a_server_that_gives_fewer_rows_than_it_says_is_walked_to_its_end():
    imitation = airbyte("cursor")

    def capped(body: Any) -> Any:
        """At most seven rows, though the page is said to have as many as were asked for."""
        return {**body, "connections": body["connections"][:7]}

    imitation.app = Rewritten(imitation.app, "/connections/list", capped)
    async with over(PROVIDER, imitation) as contracted:
        assert len(set(native_ids(await listed(contracted.adapter)))) == 60


async def test_a_server_that_refuses_to_hear_of_paging_is_asked_without():
    imitation = airbyte()
    imitation.app = _Strict(imitation)
    async with over(PROVIDER, imitation, retries=0) as contracted:
        assert len(await listed(contracted.adapter)) == 60
        calls(contracted)
        await listed(contracted.adapter)
        assert calls(contracted) == {"web_backend/connections/list": 2}, "it was asked only once"
        page = await paged(contracted.adapter, limit=5, fields=frozenset({"source.version"}))
        assert page.failures == ()
        assert page.connections[0].source is not None
        assert page.connections[0].source.version == "2.1.0"


async def test_a_server_updated_meanwhile_is_paged_from_then_on():
    imitation = airbyte()
    strict, imitation.app = imitation.app, _Strict(imitation)
    async with over(PROVIDER, imitation, retries=0) as contracted:
        assert len(await listed(contracted.adapter)) == 60
        imitation.generation, imitation.app = "cursor", strict
        assert len(await listed(contracted.adapter)) == 60


class _Strict:
    """An imitation that refuses words it does not know."""

    def __init__(self, imitation: ImitationServer) -> None:
        self._app = imitation.app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        if b"pageSize" in message.get("body", b""):
            await JSONResponse({"message": "Unrecognized field"}, 422)(scope, receive, send)
        else:

            async def again() -> Any:
                return message

            await self._app(scope, again, send)


# Orders and filters


SIDE = {"connectionName": "NAME", "sourceName": "SOURCE", "destinationName": "DESTINATION", "lastSync": "LAST_RUN_AT"}


@pytest.mark.parametrize(("word", "field"), SIDE.items())
async def test_an_order_is_asked_for_by_the_upstream_s_own_word_on_every_page(word: str, field: str):
    async with over(PROVIDER, airbyte("cursor", page_cap=30), workspaces=[FIRST]) as contracted:
        for is_descending, way in ((False, "asc"), (True, "desc")):
            contracted.imitation.journal.clear()
            await plainly(contracted.adapter, List(FIRST, order=Order(OrderField(field), is_descending)))
            asked = [asked.json()["sortKey"] for asked in contracted.imitation.journal.asked]
            assert asked == [f"{word}_{way}"] * 2


async def test_sources_destinations_and_what_is_enabled_are_asked_for_of_every_workspace():
    where = Filter(source_id=("a", "b"), destination_id=("c",), enabled=True, workspace_id=(SECOND,), status=())
    async with over(PROVIDER, airbyte("cursor")) as contracted:
        narrowing = contracted.adapter.narrow(where)
        await contracted.adapter.read(List(SECOND, narrowing.asked))
        (asked,) = contracted.imitation.journal.asked
    assert narrowing.parts == {SECOND}
    assert narrowing.conditions == {"source_id", "destination_id", "enabled", "workspace_id"}
    assert asked.json() == {
        "workspaceId": SECOND,
        "pageSize": 500,
        "sourceId": ["a", "b"],
        "destinationId": ["c"],
        "filters": {"states": ["active"]},
    }


async def test_what_is_switched_off_is_sought_here_because_upstream_it_has_several_words():
    async with over(PROVIDER, airbyte()) as contracted:
        assert contracted.adapter.narrow(Filter(enabled=False)).conditions == set()


async def test_a_server_that_refuses_to_hear_of_states_says_so_and_gives_the_whole_list():
    imitation = airbyte()
    imitation.app = _Strict(imitation)
    async with over(PROVIDER, imitation, retries=0) as contracted:
        narrowing = contracted.adapter.narrow(Filter(enabled=True))
        with pytest.raises(errors.Rejected):
            await contracted.adapter.read(List(FIRST, narrowing.asked))
        page = await contracted.adapter.read(List(FIRST))
    assert len(page.connections) == 40


# Reading again


@GENERATIONS
async def test_rows_are_made_anew_when_the_name_of_their_workspace_became_known(generation: str):
    async with over(PROVIDER, airbyte(generation), workspaces=[FIRST]) as contracted:
        nameless = await contracted.adapter.read(List(FIRST))
        assert {row.workspace_name for row in nameless.connections} == {None}
        assert await contracted.adapter.read(List(FIRST), last=nameless) is nameless
        await contracted.adapter.complete(nameless.connections, frozenset({"workspace_name"}))
        named = await contracted.adapter.read(List(FIRST), last=nameless)
        assert {row.workspace_name for row in named.connections} == {"Data platform"}
        assert await contracted.adapter.read(List(FIRST), last=named) is named


def named(generation: str, names: Sequence[str], of_first: Sequence[str]) -> AirbyteImitation:
    """One whose workspaces have the first of these names, and the first row of each page that of the others."""
    imitation = airbyte(generation)

    def workspaces(body: Any) -> Any:
        return {"workspaces": [{**row, "name": names[0]} for row in body["workspaces"]]}

    def connections(body: Any) -> Any:
        first, *others = body["connections"]
        return {**body, "connections": [{**first, "name": of_first[0]}, *others]}

    imitation.app = Rewritten(imitation.app, "/workspaces/list", workspaces)
    imitation.app = Rewritten(imitation.app, "/web_backend/connections/list", connections)
    return imitation


@GENERATIONS
async def test_no_row_keeps_the_name_that_its_workspace_had(generation: str):
    names, changed = ["Before"], ["Before"]
    imitation = named(generation, names, changed)
    async with over(PROVIDER, imitation) as contracted:
        await contracted.adapter.parts()
        before = await contracted.adapter.read(List(FIRST))
        names[0] = changed[0] = "After"
        kept = await contracted.adapter.read(List(FIRST), last=before)
        assert [row is old for row, old in zip(kept.connections, before.connections, strict=True)].count(False) == 1
        assert {row.workspace_name for row in kept.connections} == {"Before"}, "names are kept for a while"
        # A list that is not there has the workspaces asked for anew, and with them their names.
        imitation.knobs = Knobs(status=404, only="/connections/list")
        assert (await contracted.adapter.read(List("gone"))).connections == ()
        imitation.knobs = Knobs()
        changed[0] = "Once more"
        after = await contracted.adapter.read(List(FIRST), last=kept)
        assert {row.workspace_name for row in after.connections} == {"After"}
        assert after.connections[0].name == "Once more"


@GENERATIONS
async def test_all_rows_of_a_page_bear_one_name_though_another_becomes_known_while_it_is_read(generation: str):
    names = ["Before"]
    imitation = named(generation, names, names)
    async with over(PROVIDER, imitation) as contracted:
        await contracted.adapter.parts()
        before = await contracted.adapter.read(List(FIRST))
        names[0] = "After"
        imitation.journal.clear()
        imitation.knobs = Knobs(delay_s=0.2, only="/connections/list")
        reading = asyncio.create_task(contracted.adapter.read(List(FIRST), last=before))
        await until(lambda: imitation.journal.count() > 0)
        assert set((await contracted.adapter._joins.workspace_names(anew=True)).values()) == {"After"}
        page = await reading
        assert {row.workspace_name for row in page.connections} == {"Before"}
        assert (page.connections[0].name, page.connections[1]) == ("After", before.connections[1])
        after = await contracted.adapter.read(List(FIRST), last=page)
        assert {row.workspace_name for row in after.connections} == {"After"}


async def test_a_record_read_by_id_has_the_name_of_its_workspace_as_soon_as_it_is_known():
    async with over(PROVIDER, airbyte()) as contracted:
        await contracted.adapter.parts()
        found = (await contracted.adapter.get_many({connection_id(0): LIST_FIELDS})).by_id[connection_id(0)]
    assert isinstance(found, Connection)
    assert found.workspace_name == "Data platform"


# Full records


@GENERATIONS
async def test_a_page_of_list_fields_makes_no_full_reads(generation: str):
    async with over(PROVIDER, airbyte(generation)) as contracted:
        fields = frozenset({"name", "status", "source.name", "schedule.human_text", "AirbyteConnection.raw_status"})
        await paged(contracted.adapter, limit=10, fields=fields)
        assert calls(contracted) == {"workspaces/list": 1, "web_backend/connections/list": 1}


@pytest.mark.parametrize("path", FULL_RECORD)
async def test_a_field_of_the_full_record_costs_a_read_for_each_row(path: str):
    async with over(PROVIDER, airbyte()) as contracted:
        page = await paged(contracted.adapter, limit=3, fields=frozenset({path}))
        assert calls(contracted)["web_backend/connections/get"] == 3
        assert len({connection.native_id for connection in page.connections}) == 3


async def test_full_reads_bring_each_row_its_own_record():
    async with over(PROVIDER, airbyte()) as contracted:
        listed = await paged(contracted.adapter, limit=30)
        full = await paged(contracted.adapter, limit=30, fields=frozenset(FULL_RECORD))
        assert native_ids(full.connections) == native_ids(listed.connections)
        assert all(connection.details.sync_catalog for connection in full.connections)  # type: ignore[union-attr]
        calls(contracted)
        wanted = dict.fromkeys(native_ids(full.connections)[:5], frozenset(FULL_RECORD))
        found = (await contracted.adapter.get_many(wanted)).by_id
        assert calls(contracted) == {"web_backend/connections/get": 5}
        assert [found[id] for id in wanted] == list(full.connections[:5])


async def test_full_reads_are_made_only_of_those_that_need_them():
    async with over(PROVIDER, airbyte(), workspaces=[FIRST, SECOND]) as contracted:
        wanted = dict.fromkeys([connection_id(number) for number in range(10)], LIST_FIELDS)
        wanted[connection_id(3)] = frozenset({"AirbyteConnection.sync_catalog"})
        found = (await contracted.adapter.get_many(wanted)).by_id
        assert calls(contracted) == {"web_backend/connections/list": 2, "web_backend/connections/get": 1}
        filled = [id for id, got in found.items() if got.details.sync_catalog is not None]  # type: ignore[union-attr]
        assert filled == [connection_id(3)]


async def test_a_full_read_that_fails_leaves_the_row_and_says_so():
    imitation = airbyte()
    imitation.knobs = Knobs(status=500, only="/connections/get")
    async with over(PROVIDER, imitation, retries=0, max_in_flight=1) as contracted:
        page = await paged(contracted.adapter, limit=3, fields=frozenset({"AirbyteConnection.prefix"}))
    assert len(page.connections) == 3
    assert [type(failure) for failure in page.failures] == [errors.UpstreamFault] * 3


async def test_when_it_was_created_is_asked_of_the_later_generation_only():
    created = frozenset({"created_at"})
    known = [connection_id(number) for number in range(4)]
    async with over(PROVIDER, airbyte("dump")) as contracted:
        page = await paged(contracted.adapter, limit=4, fields=created)
        found = (await contracted.adapter.get_many(dict.fromkeys(known, created))).by_id
        assert "web_backend/connections/get" not in calls(contracted)
        assert {got.created_at for got in (*page.connections, *found.values())} == {None}  # type: ignore[union-attr]
    async with over(PROVIDER, airbyte("cursor")) as contracted:
        found = (await contracted.adapter.get_many(dict.fromkeys(known, created))).by_id
        assert all(got.created_at for got in found.values()), "even where the first call asks"  # type: ignore[union-attr]
        page = await paged(contracted.adapter, limit=4, fields=created)
        assert all(connection.created_at for connection in page.connections)


async def test_a_deleted_connection_is_found_by_id_though_lists_leave_it_out():
    imitation = airbyte()
    deleted = connection_id(imitation.size)
    async with over(PROVIDER, imitation) as contracted:
        assert deleted not in native_ids(await listed(contracted.adapter))
        for others in (0, 5):
            wanted = dict.fromkeys([deleted, *map(connection_id, range(others))], LIST_FIELDS)
            found = (await contracted.adapter.get_many(wanted)).by_id[deleted]
            assert isinstance(found, Connection)
            assert found.status == "DELETED"


# Joins


async def test_icons_cost_one_list_of_definitions_a_workspace_and_side_and_are_kept():
    async with over(PROVIDER, airbyte("dump")) as contracted:
        fields = frozenset({"source.icon", "destination.icon"})
        connections = await walked(contracted.adapter, fields)
        assert all(c.source and c.source.icon and c.destination and c.destination.icon for c in connections)
        assert calls(contracted) == {
            "workspaces/list": 1,
            "web_backend/connections/list": 2,
            "source_definitions/list_for_workspace": 2,
            "destination_definitions/list_for_workspace": 2,
        }
        await walked(contracted.adapter, fields)
        assert set(calls(contracted)) == {"web_backend/connections/list"}


async def test_the_later_generation_has_icons_in_its_rows():
    async with over(PROVIDER, airbyte("cursor")) as contracted:
        connections = await walked(contracted.adapter, frozenset({"source.icon", "destination.icon"}))
        assert all(c.source and c.source.icon for c in connections)
        assert "source_definitions/list_for_workspace" not in calls(contracted)


@GENERATIONS
async def test_versions_and_documentation_come_from_the_definitions(generation: str):
    async with over(PROVIDER, airbyte(generation)) as contracted:
        fields = frozenset({"source.version", "source.documentation_url", "destination.release_stage"})
        for connection in (await paged(contracted.adapter, limit=10, fields=fields)).connections:
            assert connection.source is not None
            assert connection.destination is not None
            assert connection.source.version == "2.1.0"
            assert connection.source.documentation_url
            assert connection.destination.release_stage


async def test_names_of_workspaces_cost_nothing_more_than_finding_them():
    async with over(PROVIDER, airbyte()) as contracted:
        connections = await walked(contracted.adapter, frozenset({"workspace_name"}))
        assert {connection.workspace_name for connection in connections} == set(WORKSPACES)
        assert calls(contracted) == {"workspaces/list": 1, "web_backend/connections/list": 2}


async def test_a_join_that_fails_leaves_the_rows_and_says_so_once():
    imitation = airbyte()
    imitation.knobs = Knobs(status=503, only="source_definitions")
    async with over(PROVIDER, imitation, retries=0) as contracted:
        page = await paged(contracted.adapter, limit=10, fields=frozenset({"source.icon"}))
        assert len(page.connections) == 10
        assert [type(failure) for failure in page.failures] == [errors.UpstreamFault]
        found = await contracted.adapter.get_many({connection_id(0): frozenset({"source.icon"})})
        assert isinstance(found.by_id[connection_id(0)], Connection)
        assert [type(failure) for failure in found.failures] == [errors.UpstreamFault]


async def test_a_list_without_names_is_completed_from_the_lists_of_both_sides():
    imitation = airbyte()

    def bare(body: Any) -> Any:
        rows = [
            {**row, side: {f"{side}Id": row[side][f"{side}Id"]}} for row in body["connections"] for side in ("source",)
        ]
        return {"connections": rows}

    imitation.app = Rewritten(imitation.app, "/connections/list", bare)
    async with over(PROVIDER, imitation) as contracted:
        page = await paged(contracted.adapter, limit=10, fields=frozenset({"source.name", "source.type"}))
        assert all(c.source and c.source.name and c.source.type for c in page.connections)
        counted = calls(contracted)
        assert counted["sources/list"] == 1
        assert "destinations/list" not in counted


async def test_no_call_ever_sends_an_empty_filter_or_asks_for_a_refreshed_catalog():
    bodies: list[Any] = []

    async def note(request: Request) -> Response:
        bodies.append(await request.json() if await request.body() else None)
        return JSONResponse({"connections": [], "workspaces": [{"workspaceId": FIRST}], "jobs": []})

    imitation = airbyte()
    imitation.app = Starlette(routes=[Route("/{path:path}", note, methods=["POST"])])
    async with over(PROVIDER, imitation) as contracted:
        await paged(contracted.adapter, limit=10, fields=frozenset(FULL_RECORD))
        await contracted.adapter.get_many({connection_id(0): frozenset(FULL_RECORD)})
    assert bodies
    for body in bodies:
        assert body is None or not any(value == [] for value in body.values())
        assert "withRefreshedCatalog" not in (body or {})
