"""The imitations' lists: in any order, of any part, unruly when told to be, and quick however long they are."""

import contextlib
import datetime as dt
import time
import unicodedata
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.airbyte.demo import WORKSPACES, AirbyteImitation, connection_id, workspace_id
from adapters.imitation import ListImitation, collated, cut, doubled
from adapters.unified_to.demo import INTEGRATIONS, TOKEN, UnifiedToImitation
from adapters.workiva.demo import WorkivaImitation

NOW = 1_790_000_000.5
FIRST, SECOND = (workspace_id(name) for name in WORKSPACES)
NAMES = {type: name or type for type, name, _, _ in INTEGRATIONS}
COLLATIONS = pytest.mark.parametrize("collation", ["folded", "binary"])
ORDERS = pytest.mark.parametrize("order", ["asc", "desc"])


class Upstream:
    """An imitation being served, asked as its own clients ask it."""

    def __init__(self, imitation: ListImitation, client: httpx.AsyncClient) -> None:
        self.imitation = imitation
        self.client = client

    async def airbyte(self, **body: Any) -> httpx.Response:
        return await self.client.post("/api/v1/web_backend/connections/list", json={"workspaceId": FIRST, **body})

    async def workiva(self, **query: Any) -> httpx.Response:
        return await self.client.get("/api/v1/connections", params=query)

    async def unified_to(self, **query: Any) -> httpx.Response:
        return await self.client.get("/unified/connection", params=query)


@contextlib.asynccontextmanager
async def serving(imitation: ListImitation) -> AsyncGenerator[Upstream]:
    async with imitation.serve() as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        if isinstance(imitation, AirbyteImitation):
            client.auth = httpx.BasicAuth("airbyte", "password")
        else:
            client.headers["authorization"] = f"Bearer {TOKEN}"
        if isinstance(imitation, WorkivaImitation):
            imitation.tokens[TOKEN] = NOW * 2
        yield Upstream(imitation, client)


def unified_to(**options: Any) -> UnifiedToImitation:
    return UnifiedToImitation(**{"clock": lambda: NOW, **options})


def workiva(**options: Any) -> WorkivaImitation:
    return WorkivaImitation(clock=lambda: NOW, **options)


def airbyte(generation: Any = "cursor", **options: Any) -> AirbyteImitation:
    return AirbyteImitation(clock=lambda: NOW, generation=generation, login="basic", **options)


def ids(answer: httpx.Response) -> list[str]:
    """The ids of a list of connections, as whichever upstream has them."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    rows = body if isinstance(body, list) else body.get("connections", body.get("body"))
    return [row.get("id") or row["connectionId"] for row in rows]


async def walked_airbyte(upstream: Upstream, size: int, **body: Any) -> list[str]:
    """All ids by cursor, until a page has fewer than asked for."""
    got = page = ids(await upstream.airbyte(pageSize=size, **body))
    while len(page) == size:
        page = ids(await upstream.airbyte(pageSize=size, cursor=page[-1], **body))
        got = got + page
    return got


async def walked_unified_to(upstream: Upstream, limit: int, **query: Any) -> list[str]:
    """All ids by offset, until a page has fewer than asked for."""
    got = page = ids(await upstream.unified_to(limit=limit, **query))
    while len(page) == limit:
        page = ids(await upstream.unified_to(limit=limit, offset=len(got), **query))
        got = got + page
    return got


def plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in folded if not unicodedata.combining(letter))


# Names


def test_folded_names_sort_without_case_and_accents_and_binary_ones_by_code_point():
    names = ["zebra", "Éclair", "eclair", "Zebra", "apple", "会計"]
    folded = sorted(names, key=lambda name: collated(name, "folded"))
    assert folded == ["apple", "eclair", "Éclair", "Zebra", "zebra", "会計"]
    assert sorted(names, key=lambda name: collated(name, "binary")) == sorted(names)


@COLLATIONS
async def test_unified_to_sorts_by_the_name_of_the_integration_then_by_id(collation: Any):
    imitation = unified_to(collation=collation, size=150)
    rows = [row for row in imitation.rows() if row.get("environment") in ("Production", None)]

    def key(row: dict[str, Any]) -> Any:
        name = NAMES[row["integration_type"]]
        return (name if collation == "binary" else (plain(name), name)), row["id"]

    expected = [row["id"] for row in sorted(rows, key=key)]
    async with serving(imitation) as upstream:
        assert await walked_unified_to(upstream, 7, sort="name", order="asc") == expected
        assert await walked_unified_to(upstream, 100, sort="name", order="desc") == expected[::-1]
        assert await walked_unified_to(upstream, 100, sort="name") == expected[::-1]


async def test_the_two_collations_differ():
    lists: list[list[str]] = []
    for collation in ("folded", "binary"):
        async with serving(unified_to(collation=collation)) as upstream:
            lists.append(ids(await upstream.unified_to(sort="name", order="asc")))
        async with serving(airbyte(collation=collation)) as upstream:
            lists.append(await walked_airbyte(upstream, 100, sortKey="sourceName_asc"))
    assert lists[0] != lists[2]
    assert sorted(lists[0]) == sorted(lists[2])
    assert lists[1] != lists[3]
    assert sorted(lists[1]) == sorted(lists[3])


async def test_a_walk_by_name_through_sixty_thousand_meets_each_once():
    imitation = unified_to(size=60_000)
    async with serving(imitation) as upstream:
        met = [
            id
            for env in ("Production", "Sandbox", "Staging")
            for id in await walked_unified_to(upstream, 100, sort="name", order="asc", env=env)
        ]
    assert len(met) == 60_000
    assert set(met) == {imitation.id_of(number) for number in range(60_000)}


# The other orders and filters of Unified.to


@ORDERS
@pytest.mark.parametrize("sort", ["created_at", "updated_at"])
async def test_unified_to_sorts_by_times_then_by_id(sort: str, order: str):
    imitation = unified_to(size=150)
    rows = [row for row in imitation.rows() if row.get("environment") == "Sandbox"]
    rows.sort(key=lambda row: (row.get(sort) or "", row["id"]), reverse=order == "desc")
    async with serving(imitation) as upstream:
        assert ids(await upstream.unified_to(sort=sort, order=order, env="Sandbox")) == [row["id"] for row in rows]


async def test_unified_to_filters_by_reference_categories_and_time_in_any_order():
    imitation = unified_to(size=500)
    since = "2026-09-21T12:30:00Z"
    rows = [row for row in imitation.rows() if row.get("environment") in ("Production", None)]
    late = {row["id"] for row in rows if (row.get("updated_at") or "") >= since}
    both = {row["id"] for row in rows if {"crm", "martech"}.issubset(row["categories"])}
    async with serving(imitation) as upstream:
        for sort in ("name", "created_at", "updated_at"):
            assert set(await walked_unified_to(upstream, 100, sort=sort, updated_gte=since)) == late
            assert set(await walked_unified_to(upstream, 100, sort=sort, categories=["crm", "martech"])) == both
        for row in rows[:15]:
            same = [other["id"] for other in rows if other.get("external_xref") == row.get("external_xref")]
            if row.get("external_xref") is not None:
                assert sorted(ids(await upstream.unified_to(external_xref=row["external_xref"]))) == sorted(same)
    assert 0 < len(late) < len(rows)
    assert both


async def test_an_order_by_update_follows_the_clock():
    now = [NOW]
    async with serving(unified_to(size=150, clock=lambda: now[0])) as upstream:
        before = ids(await upstream.unified_to(sort="updated_at"))
        now[0] += 100
        after = ids(await upstream.unified_to(sort="updated_at"))
    assert sorted(before) == sorted(after)
    assert before != after


# Airbyte's orders, filters and workspaces


def airbyte_key(row: dict[str, Any], sort: str) -> Any:
    if sort == "lastSync":
        return row.get("latestSyncJobCreatedAt", -1)
    side = sort.removesuffix("Name")
    name = row["name"] if side == "connection" else row[side]["name"]
    return plain(name), name


@ORDERS
@pytest.mark.parametrize("sort", ["connectionName", "sourceName", "destinationName", "lastSync"])
async def test_the_cursor_generation_goes_on_behind_the_cursor_in_any_order(sort: str, order: str):
    imitation = airbyte(size=200)
    rows = [imitation.row(number) for number in range(200) if imitation.workspace_of(number) == FIRST]
    rows.sort(key=lambda row: (airbyte_key(row, sort), row["connectionId"]), reverse=order == "desc")
    async with serving(imitation) as upstream:
        for size in (1, 7, 100):
            met = await walked_airbyte(upstream, size, sortKey=f"{sort}_{order}")
            assert met == [row["connectionId"] for row in rows]


@pytest.mark.parametrize("body", [{"sortKey": "name_asc"}, {"sortKey": "_asc"}, {"filters": {"states": ["locked"]}}])
async def test_a_word_that_the_cursor_generation_does_not_know_is_refused(body: dict[str, Any]):
    async with serving(airbyte()) as upstream:
        answer = await upstream.airbyte(**body)
    assert answer.status_code == 400
    assert answer.json()["exceptionClassName"]


async def test_the_dump_generation_ignores_order_filters_and_page_size():
    async with serving(airbyte("dump")) as upstream:
        body = {"sortKey": "nonsense", "pageSize": 3, "filters": {"states": ["inactive"]}}
        answer = await upstream.airbyte(**body)
    assert answer.json().keys() == {"connections"}
    assert ids(answer) == [connection_id(number) for number in range(40)]


async def test_filters_narrow_the_list_and_its_count():
    imitation = airbyte(size=200)
    rows = [imitation.row(number) for number in range(200) if imitation.workspace_of(number) == FIRST]
    source, destination = rows[3]["source"], rows[3]["destination"]
    cases: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        ({"states": ["inactive"]}, [row for row in rows if row["status"] == "inactive"]),
        ({"states": ["active"]}, [row for row in rows if row["status"] == "active"]),
        ({"states": [], "sourceDefinitionIds": None}, rows),
        (
            {"sourceDefinitionIds": [source["sourceDefinitionId"]]},
            [row for row in rows if row["source"]["sourceDefinitionId"] == source["sourceDefinitionId"]],
        ),
        (
            {"destinationDefinitionIds": [destination["destinationDefinitionId"]], "states": ["active"]},
            [
                row
                for row in rows
                if row["status"] == "active"
                and row["destination"]["destinationDefinitionId"] == destination["destinationDefinitionId"]
            ],
        ),
    ]
    async with serving(imitation) as upstream:
        for filters, expected in cases:
            answer = await upstream.airbyte(filters=filters, pageSize=2, sortKey="connectionName_desc")
            assert answer.json()["num_connections"] == len(expected) > 0
            met = await walked_airbyte(upstream, 2, filters=filters, sortKey="connectionName_desc")
            assert sorted(met) == sorted(row["connectionId"] for row in expected)


async def test_ends_and_filters_narrow_together():
    imitation = airbyte(size=200)
    row = imitation.row(3)
    body = {"sourceId": [row["source"]["sourceId"]], "destinationId": [row["destination"]["destinationId"]]}
    definitions = {"sourceDefinitionIds": [row["source"]["sourceDefinitionId"]]}
    async with serving(imitation) as upstream:
        met = ids(await upstream.airbyte(**body, filters=definitions))
        assert connection_id(3) in met
        assert met == ids(await upstream.airbyte(**body))
        other = {"sourceDefinitionIds": [imitation.row(4)["source"]["sourceDefinitionId"]]}
        assert ids(await upstream.airbyte(**body, filters=other)) == []


async def test_a_cursor_that_is_not_of_the_filtered_list_is_not_found():
    async with serving(airbyte()) as upstream:
        answer = await upstream.airbyte(cursor=connection_id(0), filters={"states": ["inactive"]})
    assert answer.status_code == 404


async def test_workspaces_have_the_shares_that_they_were_given():
    shares = {"alpha": 1, "beta": 0, "gamma": 4}
    imitation = airbyte(size=55, workspaces=shares)
    async with serving(imitation) as upstream:
        listed = (await upstream.client.post("/api/v1/workspaces/list")).json()["workspaces"]
        counts = [(await upstream.airbyte(workspaceId=of["workspaceId"])).json()["num_connections"] for of in listed]
        sources = (
            await upstream.client.post("/api/v1/sources/list", json={"workspaceId": workspace_id("gamma")})
        ).json()
    assert [of["name"] for of in listed] == [*shares]
    assert counts == [11, 0, 44]
    assert {row["workspaceId"] for row in sources["sources"]} == {workspace_id("gamma")}
    assert Counter(map(imitation.workspace_of, range(5))) == {workspace_id("alpha"): 1, workspace_id("gamma"): 4}


# Workiva's filters


@pytest.mark.parametrize("name", ["sourceType", "sourceId", "destinationType", "destinationId"])
async def test_wdata_refuses_half_a_filter(name: str):
    imitation = workiva()
    async with serving(imitation) as upstream:
        answer = await upstream.workiva(**{name: imitation.row(3)[name]})
    assert answer.status_code == 400
    assert answer.json()["code"] == 400
    assert isinstance(answer.json()["body"], list)


async def test_a_wdata_cursor_carries_the_filter_alone():
    imitation = workiva(size=300)
    row = imitation.row(3)
    wanted = {name: row[name] for name in ("sourceType", "sourceId")}
    expected = [row["connectionId"] for row in imitation.rows() if wanted.items() <= row.items()]
    async with serving(imitation) as upstream:
        answer = await upstream.workiva(**wanted, limit=4)
        met = ids(answer)
        while cursor := answer.json().get("cursor"):
            answer = await upstream.workiva(cursor=cursor)
            met += ids(answer)
        both = {**wanted, "destinationType": row["destinationType"], "destinationId": row["destinationId"]}
        assert ids(await upstream.workiva(**both)) == [row["connectionId"]]
    assert met == expected
    assert len(expected) > 4


@pytest.mark.parametrize("cursor", ["x", "1", "1.2.3.4", "1.0", "1.2.é", "1.2.c291cmNlVHlwZT14", ""])
async def test_wdata_refuses_a_cursor_that_is_none_of_its_own(cursor: str):
    async with serving(workiva()) as upstream:
        assert (await upstream.workiva(cursor=cursor)).status_code == 400


# Sizes and deletions


async def test_rows_appear_at_the_end_when_the_size_grows_and_go_when_it_shrinks():
    server = workiva(size=5)
    async with serving(server) as upstream:
        for size in (5, 8, 3, 6):
            server.size = size
            assert ids(await upstream.workiva()) == [server.id_of(number) for number in range(size)]
            for number, status in ((size - 1, 200), (size, 404)):
                answer = await upstream.client.get(f"/api/v1/connections/{server.id_of(number)}")
                assert answer.status_code == status


@pytest.mark.parametrize("sort", ["name", "created_at", "updated_at"])
async def test_unified_to_notices_sizes_and_deletions(sort: str):
    server = unified_to(size=10)
    async with serving(server) as upstream:
        for size, deleted in ((10, set[int]()), (70, {0, 4}), (70, {0, 3}), (70, set[int]()), (40, {7})):
            server.size, server.deleted = size, {server.id_of(number) for number in deleted}
            rows = [row for row in server.rows() if row.get("environment") in ("Production", None)]
            assert sorted(ids(await upstream.unified_to(sort=sort))) == sorted(row["id"] for row in rows)
            assert len(server.rows()) == size - len(deleted)
            for number in (0, 3):
                answer = await upstream.client.get(f"/unified/connection/{server.id_of(number)}")
                assert answer.status_code == (404 if number in deleted else 200)


@pytest.mark.parametrize("generation", ["cursor", "dump"])
async def test_airbyte_notices_sizes_and_deletions(generation: str):
    server = airbyte(generation, size=10)
    async with serving(server) as upstream:
        for size in (10, 70, 30):
            server.size = size
            server.deleted.add(connection_id(size // 2))
            expected = [row["connectionId"] for row in server.rows() if server.workspace_of(number_of(row)) == FIRST]
            assert ids(await upstream.airbyte(pageSize=100)) == expected
            body = {"connectionId": connection_id(size // 2)}
            assert (await upstream.client.post("/api/v1/web_backend/connections/get", json=body)).status_code == 404


def number_of(row: dict[str, Any]) -> int:
    return next(number for number in range(100) if connection_id(number) == row["connectionId"])


async def test_a_deletion_in_place_is_noticed_in_every_order_and_taken_back():
    server = airbyte()
    async with serving(server) as upstream:
        for sort in ({}, {"sortKey": "connectionName_desc"}, {"sortKey": "lastSync_asc"}):
            before = await walked_airbyte(upstream, 100, **sort)
            server.deleted.add(before[3])
            assert await walked_airbyte(upstream, 100, **sort) == before[:3] + before[4:]
            server.deleted.discard(before[3])
            assert await walked_airbyte(upstream, 100, **sort) == before


# Unruly lists


@given(st.integers(0, 40), st.integers(0, 50), st.integers(1, 20), st.none() | st.integers(1, 20))
def test_a_cut_says_where_the_list_goes_on(length: int, start: int, limit: int, cap: int | None):
    rows = range(length)
    page = cut(rows, start, limit, cap=cap)
    assert page.numbers == rows[start : start + min(limit, cap or limit)]
    assert (page.next is None) == (start + min(limit, cap or limit) >= length)


@given(st.lists(st.integers(), max_size=30))
def test_every_third_row_is_doubled_and_none_is_lost(rows: list[int]):
    assert len(doubled(rows)) == len(rows) + len(rows) // 3
    assert doubled([1, 2, 3, 4, 5, 6, 7]) == [1, 2, 3, 3, 4, 5, 6, 6, 7]
    assert list(dict.fromkeys(doubled(rows))) == list(dict.fromkeys(rows))


async def test_a_capped_page_is_shorter_than_asked_for_and_the_list_goes_on():
    async with serving(unified_to(page_cap=7)) as upstream:
        first, second = [ids(await upstream.unified_to(limit=100, offset=offset)) for offset in (0, 7)]
        assert (len(first), len(second)) == (7, 7)
        assert not set(first) & set(second)
        assert len(ids(await upstream.unified_to(limit=3))) == 3
        assert (await upstream.unified_to(limit=101)).status_code == 400
    async with serving(airbyte(page_cap=7)) as upstream:
        answer = await upstream.airbyte(pageSize=30)
        assert (len(ids(answer)), answer.json()["page_size"], answer.json()["num_connections"]) == (7, 30, 40)
        rest = await upstream.airbyte(pageSize=30, cursor=ids(answer)[-1])
        assert ids(answer) + ids(rest) == [connection_id(number) for number in range(14)]


async def test_a_capped_wdata_list_is_walked_to_its_end_by_cursor():
    server = workiva(page_cap=7)
    async with serving(server) as upstream:
        answer = await upstream.workiva(limit=50)
        met = ids(answer)
        while cursor := answer.json().get("cursor"):
            answer = await upstream.workiva(cursor=cursor)
            assert len(ids(answer)) <= 7
            met += ids(answer)
    assert met == [row["connectionId"] for row in server.rows()]


async def test_a_list_that_repeats_answers_its_second_page_for_ever():
    server = workiva(repeats=True)
    async with serving(server) as upstream:
        answer = await upstream.workiva(limit=8)
        assert ids(answer) == [server.id_of(number) for number in range(8)]
        for _ in range(20):
            answer = await upstream.workiva(cursor=answer.json()["cursor"])
            assert ids(answer) == [server.id_of(number) for number in range(8, 16)]
    async with serving(unified_to(repeats=True)) as upstream:
        pages = [ids(await upstream.unified_to(limit=8, offset=8 * page)) for page in range(20)]
        assert pages[0] != pages[1]
        assert all(page == pages[1] for page in pages[1:])
    async with serving(airbyte(repeats=True)) as upstream:
        page = ids(await upstream.airbyte(pageSize=8))
        for _ in range(20):
            page = ids(await upstream.airbyte(pageSize=8, cursor=page[-1]))
            assert page == [connection_id(number) for number in range(8, 16)]


async def test_a_repeated_page_is_always_full_since_a_short_one_would_be_the_end():
    async with serving(unified_to(size=60, repeats=True)) as upstream:
        whole = ids(await upstream.unified_to(limit=100))
        assert len(whole) == 40
        page = ids(await upstream.unified_to(limit=25, offset=25))
        assert page == whole[25:] + whole[:10] == ids(await upstream.unified_to(limit=25, offset=1000))
        assert ids(await upstream.unified_to(limit=100, offset=100)) == [], "one page has no second"


async def test_a_list_that_doubles_sends_every_third_row_twice():
    def twice(rows: Sequence[str]) -> list[str]:
        return [row for place, row in enumerate(rows) for _ in range(2 if place % 3 == 2 else 1)]

    for server, ask in ((unified_to(), Upstream.unified_to), (workiva(), Upstream.workiva)):
        async with serving(server) as upstream:
            plainly = ids(await ask(upstream))
            server.doubles = True
            assert ids(await ask(upstream)) == twice(plainly)
            pages = [ids(await ask(upstream, limit=3, offset=offset)) for offset in range(0, 60, 3)]
            assert [id for page in pages for id in page][: len(plainly)] == twice(plainly)[: len(plainly)]
    async with serving(airbyte("dump", doubles=True)) as upstream:
        assert ids(await upstream.airbyte()) == twice([connection_id(number) for number in range(40)])


@pytest.mark.parametrize("size", [1, 3, 4, 7, 100])
async def test_a_cursor_stands_behind_both_copies_of_a_doubled_row(size: int):
    async with serving(airbyte(doubles=True)) as upstream:
        met = await walked_airbyte(upstream, size)
        assert (await upstream.airbyte(pageSize=size)).json()["num_connections"] == 40
    assert list(dict.fromkeys(met)) == [connection_id(number) for number in range(40)]
    assert len(met) <= 53


@pytest.mark.parametrize("make", [unified_to, workiva, airbyte])
def test_unruliness_is_off_unless_asked_for(make: Any):
    server = make()
    assert (server.page_cap, server.repeats, server.doubles, server.deleted) == (None, False, False, set())
    server = make(page_cap=5, repeats=True, doubles=True)
    assert (server.page_cap, server.repeats, server.doubles) == (5, True, True)


# Fleets


async def took_s(upstream: Upstream, ask: Any, *asked: dict[str, Any]) -> float:
    """The shortest of the calls, as other work on the machine makes some longer."""
    times: list[float] = []
    for query in asked:
        began = time.perf_counter()
        assert len(ids(await ask(upstream, **query))) == 100
        times.append(time.perf_counter() - began)
    return min(times)


async def test_a_page_of_a_fleet_is_quick_after_the_first():
    queries = [{"sort": sort, "offset": 1000 * page} for sort in ("name", "created_at") for page in range(10)]
    async with serving(unified_to(size=60_000)) as upstream:
        assert await took_s(upstream, Upstream.unified_to, *queries) < 0.05
    bodies = [{"pageSize": 100, "sortKey": key} for key in ("connectionName_asc", None) for _ in range(10)]
    async with serving(airbyte(size=39_000)) as upstream:
        assert await took_s(upstream, Upstream.airbyte, *bodies) < 0.05


async def test_by_id_and_by_job_a_fleet_is_quick_too():
    server = airbyte(size=39_000)
    async with serving(server) as upstream:
        body = {"connectionId": connection_id(38_000)}
        last = (await upstream.client.post("/api/v1/web_backend/connections/get", json=body)).json()
        jobs = {"configId": connection_id(38_000), "pagination": {"pageSize": 1}}
        (job,) = (await upstream.client.post("/api/v1/jobs/list", json=jobs)).json()["jobs"]
        found = (await upstream.client.post("/api/v1/jobs/get", json={"id": job["job"]["id"]})).json()
    assert last["connectionId"] == job["job"]["configId"] == connection_id(38_000)
    assert found["job"] == job["job"]
    assert dt.datetime.fromtimestamp(found["job"]["createdAt"], dt.UTC).timestamp() <= NOW
