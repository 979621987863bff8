"""What is written to the imitation of Airbyte stays: over real HTTP, in both generations, by a clock that is turned."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from adapters.airbyte.demo import PLANTED, WORKSPACES, AirbyteImitation, connection_id, workspace_id
from adapters.airbyte.demo_data import UNREACHABLE
from adapters.imitation import Effect, Knobs

NOW = 1_790_000_000.5
FIRST, SECOND = (workspace_id(name) for name in WORKSPACES)
IDLE = 8
"""A connection that runs nothing at `NOW`, nor within the next minutes."""
BUSY = 1
"""One that syncs by itself each two minutes."""
NEVER = 13
INACTIVE = 7
UNKNOWN = "00000000-0000-4000-8000-000000000000"
TOP = 2**53


class Upstream:
    """An imitation being served, whose clock is turned by hand."""

    def __init__(self, generation: Any, **options: Any) -> None:
        self.now = NOW
        self.imitation = AirbyteImitation(generation=generation, login="basic", clock=lambda: self.now, **options)
        self.client = httpx.AsyncClient()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator["Upstream"]:
        async with self.imitation.serve() as url:
            auth = httpx.BasicAuth("airbyte", "password")
            async with httpx.AsyncClient(base_url=url + "/api", auth=auth, timeout=60) as self.client:
                yield self

    @property
    def effects(self) -> list[tuple[str, str]]:
        return [tuple(effect) for effect in self.imitation.effects]

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.client.post(path, json=body)

    async def ok(self, path: str, **body: Any) -> Any:
        answer = await self.post(path, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, status: int, path: str, /, **body: Any) -> dict[str, Any]:
        """The body of a refusal, which did nothing."""
        before = list(self.effects)
        answer = await self.post(path, **body)
        assert answer.status_code == status, answer.text
        assert self.effects == before
        refusal = answer.json()
        assert refusal["message"]
        assert refusal["exceptionClassName"].startswith("io.airbyte.")
        assert refusal["exceptionStack"]
        return refusal

    async def get(self, number_or_id: int | str) -> Any:
        id = connection_id(number_or_id) if isinstance(number_or_id, int) else number_or_id
        return await self.ok("/v1/web_backend/connections/get", connectionId=id)

    async def create(self, **body: Any) -> Any:
        ends = self.imitation.read(3)
        given = {"sourceId": ends["sourceId"], "destinationId": ends["destinationId"], "status": "active", **body}
        return await self.ok("/v1/web_backend/connections/create", **given)

    async def update(self, number: int, **body: Any) -> Any:
        return await self.ok("/v1/web_backend/connections/update", connectionId=connection_id(number), **body)

    async def sync(self, number_or_id: int | str, path: str = "sync") -> Any:
        id = connection_id(number_or_id) if isinstance(number_or_id, int) else number_or_id
        return await self.ok(f"/v1/connections/{path}", connectionId=id)

    async def listed(self, workspace: str = FIRST, **body: Any) -> list[dict[str, Any]]:
        answer = await self.ok("/v1/web_backend/connections/list", workspaceId=workspace, pageSize=200, **body)
        return answer["connections"]

    async def shown(self, id: str) -> dict[str, Any]:
        """The connection as a list has it, which agrees with the full record."""
        (row,) = [row for row in await self.listed() if row["connectionId"] == id]
        read = await self.get(id)
        for name in ("name", "status", "isSyncing", "latestSyncJobStatus", "latestSyncJobCreatedAt", "scheduleData"):
            assert row.get(name) == read.get(name)
        return row

    async def jobs(self, id: str, **body: Any) -> Any:
        return await self.ok("/v1/jobs/list", configId=id, **body)


@pytest.fixture(params=["dump", "cursor"])
async def upstream(request: pytest.FixtureRequest) -> AsyncGenerator[Upstream]:
    async with Upstream(request.param).serving() as upstream:
        yield upstream


def stream(name: str) -> dict[str, Any]:
    return {
        "stream": {"name": name, "namespace": "public", "jsonSchema": {}},
        "config": {"syncMode": "full_refresh", "destinationSyncMode": "append", "selected": True},
    }


# Creating


async def test_all_that_is_given_is_given_back(upstream: Upstream):
    operation = {
        "workspaceId": FIRST,
        "name": "Normalization",
        "operatorConfiguration": {"operatorType": "normalization", "normalization": {"option": "basic"}},
    }
    known = upstream.imitation.read(4)["operations"][0]
    given = {
        "name": "Made by hand",
        "namespaceDefinition": "customformat",
        "namespaceFormat": "x_${SOURCE_NAMESPACE}",
        "prefix": "p_",
        "syncCatalog": {"streams": [stream("orders")]},
        "scheduleType": "cron",
        "scheduleData": {"cron": {"cronExpression": "0 0 4 * * ?", "cronTimeZone": "Europe/Berlin"}},
        "status": "inactive",
        "resourceRequirements": {"cpu_request": "1", "memory_limit": "2Gi"},
        "geography": "us",
        "nonBreakingChangesPreference": "disable",
    }
    created = await upstream.create(
        **given,
        operations=[operation],
        operationIds=[known["operationId"]],
        sourceCatalogId=UNKNOWN,
        schedule=None,
    )
    read = await upstream.get(created["connectionId"])
    assert read == created
    assert {name: read[name] for name in given} == given
    assert read["catalogId"] == UNKNOWN
    assert read["operations"][0] == known
    assert read["operations"][1].items() >= operation.items()
    assert read["operationIds"] == [one["operationId"] for one in read["operations"]]
    ends = upstream.imitation.read(3)
    assert (read["sourceId"], read["destinationId"]) == (ends["sourceId"], ends["destinationId"])
    assert (read["source"], read["destination"]) == (ends["source"], ends["destination"])
    assert (read["isSyncing"], read["schemaChange"]) == (False, "no_change")
    assert "latestSyncJobStatus" not in read
    assert upstream.effects == [("create", created["connectionId"])]
    shared = await upstream.create(operationIds=read["operationIds"])
    assert shared["operations"] == read["operations"]


async def test_what_is_not_given_is_as_upstream_has_it(upstream: Upstream):
    created = await upstream.create()
    source, destination = (upstream.imitation.read(3)[side]["name"] for side in ("source", "destination"))
    assert created["name"] == f"{source} <> {destination}"
    assert (created["scheduleType"], created["schedule"]) == ("manual", None)
    assert "scheduleData" not in created
    assert (created["syncCatalog"], created["operations"], created["operationIds"]) == ({"streams": []}, [], [])
    assert created["status"] == "active"


async def test_a_legacy_schedule_is_shown_in_both_forms(upstream: Upstream):
    legacy = {"units": 6, "timeUnit": "hours"}
    created = await upstream.create(schedule=legacy)
    assert (created["scheduleType"], created["schedule"]) == ("basic", legacy)
    assert created["scheduleData"] == {"basicSchedule": legacy}


async def test_the_created_are_at_the_end_of_the_list_of_their_workspace(upstream: Upstream):
    before = [await upstream.listed(workspace) for workspace in (FIRST, SECOND)]
    ids = [(await upstream.create(name=f"New {number}"))["connectionId"] for number in range(3)]
    assert len(set(ids)) == 3
    assert upstream.imitation.size == 63
    assert [row["connectionId"] for row in (await upstream.listed())[len(before[0]) :]] == ids
    assert await upstream.listed(SECOND) == before[1]


async def test_the_created_are_filtered_and_found_by_their_ends(upstream: Upstream):
    created = await upstream.create(status="inactive")
    rows = await upstream.listed(sourceId=[created["sourceId"]], destinationId=[created["destinationId"]])
    assert created["connectionId"] in [row["connectionId"] for row in rows]
    rows = await upstream.listed(sourceId=[upstream.imitation.read(4)["sourceId"]])
    assert created["connectionId"] not in [row["connectionId"] for row in rows]


async def test_the_cursor_generation_sorts_and_pages_the_created():
    async with Upstream("cursor").serving() as upstream:
        await upstream.listed(sortKey="connectionName_asc")
        first = await upstream.create(name="AAA", status="inactive")
        last = await upstream.create(name="zzz")
        names = [row["name"] for row in await upstream.listed(sortKey="connectionName_asc")]
        assert (names[0], len(names)) == ("AAA", 42)
        assert names.index("zzz") < len(names)
        inactive = await upstream.listed(filters={"states": ["inactive"]})
        assert first["connectionId"] in [row["connectionId"] for row in inactive]
        assert last["connectionId"] not in [row["connectionId"] for row in inactive]
        met: list[str] = []
        while page := (
            await upstream.ok(
                "/v1/web_backend/connections/list",
                workspaceId=FIRST,
                pageSize=5,
                sortKey="connectionName_desc",
                **({"cursor": met[-1]} if met else {}),
            )
        )["connections"]:
            met += [row["connectionId"] for row in page]
        assert len(set(met)) == len(met) == 42


async def test_sources_and_their_lists_are_as_before(upstream: Upstream):
    before = await upstream.ok("/v1/sources/list", workspaceId=FIRST)
    await upstream.create()
    assert await upstream.ok("/v1/sources/list", workspaceId=FIRST) == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sourceId": UNKNOWN},
        {"sourceId": UNKNOWN, "destinationId": UNKNOWN},
        {"sourceId": None, "status": "active"},
    ],
)
async def test_a_body_without_what_is_required_is_refused_by_name(upstream: Upstream, body: dict[str, Any]):
    refusal = await upstream.refused(400, "/v1/web_backend/connections/create", **body)
    missing = {name for name in ("sourceId", "destinationId", "status") if body.get(name) is None}
    assert {error["propertyPath"] for error in refusal["validationErrors"]} == missing


@pytest.mark.parametrize(
    "body",
    [
        {"status": "on"},
        {"name": 5},
        {"sourceId": "nope"},
        {"scheduleType": "hourly"},
        {"scheduleType": "cron"},
        {"scheduleType": "basic", "scheduleData": {"cron": {"cronExpression": "x", "cronTimeZone": "UTC"}}},
        {"scheduleType": "cron", "scheduleData": {"cron": {"cronExpression": "0 4 * * *", "cronTimeZone": "UTC"}}},
        {"syncCatalog": {"streams": [{"stream": {}}]}},
        {"operations": [{"name": "x"}]},
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(upstream: Upstream, body: dict[str, Any]):
    ends = upstream.imitation.read(3)
    given = {"sourceId": ends["sourceId"], "destinationId": ends["destinationId"], "status": "active", **body}
    await upstream.refused(422, "/v1/web_backend/connections/create", **given)
    assert upstream.imitation.size == 60


@pytest.mark.parametrize("content", [b"{", b"[]", b'"x"', b"\xff"])
async def test_a_body_that_is_no_object_is_refused(upstream: Upstream, content: bytes):
    answer = await upstream.client.post("/v1/web_backend/connections/create", content=content)
    assert answer.status_code == 422
    assert answer.json()["exceptionStack"]


async def test_ends_that_are_not_there_or_not_together_are_refused(upstream: Upstream):
    ends, others = upstream.imitation.read(3), upstream.imitation.read(50)
    good = {"sourceId": ends["sourceId"], "destinationId": ends["destinationId"], "status": "active"}
    create = "/v1/web_backend/connections/create"
    refusal = await upstream.refused(404, create, **good | {"sourceId": UNKNOWN})
    assert "SOURCE_CONNECTION" in refusal["message"]
    refusal = await upstream.refused(404, create, **good | {"destinationId": UNKNOWN})
    assert "DESTINATION_CONNECTION" in refusal["message"]
    await upstream.refused(404, create, **good | {"operationIds": [UNKNOWN]})
    await upstream.refused(400, create, **good | {"destinationId": others["destinationId"]})
    assert upstream.imitation.size == 60


# Updating


async def test_an_update_changes_what_it_gives_and_nothing_else(upstream: Upstream):
    before = await upstream.get(IDLE)
    given = {"name": "Renamed", "prefix": "q_", "namespaceDefinition": "source", "notifySchemaChanges": False}
    nulls = {"status": None, "syncCatalog": None, "scheduleType": None, "operations": None, "geography": None}
    updated = await upstream.update(IDLE, **given, **nulls)
    assert updated == before | given == await upstream.get(IDLE)
    assert (await upstream.shown(connection_id(IDLE)))["name"] == "Renamed"
    assert upstream.effects == [("update", connection_id(IDLE))]


async def test_a_new_name_is_sorted_by():
    async with Upstream("cursor").serving() as upstream:
        assert (await upstream.listed(sortKey="connectionName_asc"))[0]["connectionId"] != connection_id(IDLE)
        await upstream.update(IDLE, name="  first")
        assert (await upstream.listed(sortKey="connectionName_asc"))[0]["connectionId"] == connection_id(IDLE)


async def test_schedules_are_replaced(upstream: Upstream):
    data = {"basicSchedule": {"units": 3, "timeUnit": "hours"}}
    updated = await upstream.update(IDLE, scheduleType="basic", scheduleData=data)
    assert (updated["scheduleType"], updated["scheduleData"]) == ("basic", data)
    assert updated["schedule"] == data["basicSchedule"]
    updated = await upstream.update(IDLE, scheduleType="manual")
    assert (updated["scheduleType"], updated["schedule"]) == ("manual", None)
    assert "scheduleData" not in await upstream.shown(connection_id(IDLE))


async def test_operations_are_kept_changed_added_and_left_out(upstream: Upstream):
    (old,) = (await upstream.get(4))["operations"]
    new = {"workspaceId": FIRST, "name": "New", "operatorConfiguration": {"operatorType": "dbt"}}
    updated = await upstream.update(4, operations=[old | {"name": "Other"}, new])
    assert [one["name"] for one in updated["operations"]] == ["Other", "New"]
    assert updated["operationIds"][0] == old["operationId"] != updated["operationIds"][1]
    assert updated["operationIds"] == [one["operationId"] for one in updated["operations"]]
    assert (await upstream.update(4, operations=[]))["operationIds"] == []
    update = "/v1/web_backend/connections/update"
    body = {"connectionId": connection_id(4), "operations": [new | {"operationId": UNKNOWN}]}
    await upstream.refused(404, update, **body)


async def test_a_changed_catalog_resets_unless_told_not_to(upstream: Upstream):
    catalog = {"streams": [stream("orders"), stream("refunds")]}
    id = connection_id(IDLE)
    await upstream.update(IDLE, syncCatalog=(await upstream.get(IDLE))["syncCatalog"])
    await upstream.update(IDLE, syncCatalog={"streams": []}, skipReset=True)
    assert upstream.effects == [("update", id)] * 2
    updated = await upstream.update(IDLE, syncCatalog=catalog, sourceCatalogId=UNKNOWN)
    assert (updated["syncCatalog"], updated["catalogId"]) == (catalog, UNKNOWN)
    assert updated["isSyncing"]
    assert upstream.effects == [("update", id)] * 3 + [("reset", id)]
    job = (await upstream.jobs(id))["jobs"][0]["job"]
    assert (job["configType"], job["status"]) == ("reset_connection", "pending")
    assert [one["name"] for one in job["resetConfig"]["streamsToReset"]] == ["orders", "refunds"]


async def test_a_reset_takes_the_place_of_what_runs(upstream: Upstream):
    first = await upstream.sync(IDLE)
    await upstream.update(IDLE, syncCatalog={"streams": [stream("orders")]})
    assert (await upstream.ok("/v1/jobs/get", id=first["job"]["id"]))["job"]["status"] == "cancelled"


async def test_switched_off_and_on_again(upstream: Upstream):
    await upstream.update(BUSY, status="inactive")
    row = await upstream.shown(connection_id(BUSY))
    assert row["status"] == "inactive"
    upstream.now += 6000
    later = await upstream.shown(connection_id(BUSY))
    assert later["latestSyncJobCreatedAt"] == row["latestSyncJobCreatedAt"], "it syncs by itself no more"
    assert not later["isSyncing"]
    await upstream.refused(409, "/v1/connections/sync", connectionId=connection_id(BUSY))
    await upstream.update(BUSY, status="active")
    await upstream.sync(BUSY)
    assert (await upstream.shown(connection_id(BUSY)))["isSyncing"]


async def test_updates_of_nothing_known_are_refused(upstream: Upstream):
    update = "/v1/web_backend/connections/update"
    await upstream.refused(400, update, name="x")
    await upstream.refused(404, update, connectionId=UNKNOWN)
    await upstream.refused(422, update, connectionId=connection_id(IDLE), status="on")
    await upstream.refused(422, update, connectionId=connection_id(IDLE), skipReset="yes")


# Deleting


@pytest.mark.parametrize("own", [False, True], ids=["from the start", "created"])
async def test_the_deleted_are_out_of_lists_and_deprecated_by_id(upstream: Upstream, own: bool):
    id = (await upstream.create())["connectionId"] if own else connection_id(IDLE)
    before = [row["connectionId"] for row in await upstream.listed()]
    answer = await upstream.post("/v1/connections/delete", connectionId=id)
    assert (answer.status_code, answer.content) == (204, b"")
    before.remove(id)
    assert [row["connectionId"] for row in await upstream.listed()] == before
    assert (await upstream.get(id))["status"] == "deprecated"
    assert upstream.effects[-1] == ("delete", id)
    update = "/v1/web_backend/connections/update"
    await upstream.refused(409, update, connectionId=id, status="active")
    await upstream.refused(409, "/v1/connections/sync", connectionId=id)
    await upstream.refused(404, "/v1/connections/delete", connectionId=UNKNOWN)
    await upstream.refused(400, "/v1/connections/delete")


async def test_a_deletion_ends_what_runs(upstream: Upstream):
    job = (await upstream.sync(IDLE))["job"]
    await upstream.post("/v1/connections/delete", connectionId=connection_id(IDLE))
    assert (await upstream.ok("/v1/jobs/get", id=job["id"]))["job"]["status"] == "cancelled"
    assert not (await upstream.get(IDLE))["isSyncing"]


# Jobs


async def test_a_sync_is_pending_then_running_then_ended(upstream: Upstream):
    id = connection_id(IDLE)
    before = await upstream.jobs(id)
    info = await upstream.sync(IDLE)
    job = info["job"]
    assert (job["configType"], job["configId"], job["status"]) == ("sync", id, "pending")
    assert (job["createdAt"], info["attempts"]) == (int(NOW), [])
    assert TOP < job["id"] < 2**63
    for past_s, status, syncing in ((0, "pending", True), (3, "running", True), (19, "running", True)):
        upstream.now = NOW + past_s
        row = await upstream.shown(id)
        assert (row["isSyncing"], row["latestSyncJobStatus"]) == (syncing, status)
        assert row["latestSyncJobCreatedAt"] == int(NOW)
        assert (await upstream.ok("/v1/jobs/get", id=job["id"]))["job"]["status"] == status
    upstream.now = NOW + 20
    row = await upstream.shown(id)
    assert (row["isSyncing"], row["latestSyncJobStatus"]) == (False, "succeeded")
    listed = await upstream.jobs(id)
    assert listed["totalJobCount"] == before["totalJobCount"] + 1
    assert [one["job"]["id"] for one in listed["jobs"]][1:] == [one["job"]["id"] for one in before["jobs"]]
    (attempt,) = listed["jobs"][0]["attempts"]
    assert (attempt["status"], attempt["endedAt"]) == ("succeeded", int(NOW + 20))
    (alone,) = (await upstream.ok("/v1/jobs/get", id=job["id"]))["attempts"]
    assert alone["attempt"] == attempt
    assert alone["logs"]["logLines"]
    assert upstream.effects == [("sync", id)]


async def test_how_long_a_job_takes_is_a_knob_for_the_next(upstream: Upstream):
    first = await upstream.sync(IDLE)
    upstream.imitation.sync_lasts_s = 0.0
    created = await upstream.create()
    second = await upstream.sync(created["connectionId"])
    assert (first["job"]["status"], second["job"]["status"]) == ("pending", "succeeded")
    assert second["job"]["id"] > first["job"]["id"]
    assert (await upstream.shown(created["connectionId"]))["latestSyncJobStatus"] == "succeeded"


async def test_one_that_never_synced_has_its_first(upstream: Upstream):
    id = connection_id(NEVER)
    assert "latestSyncJobStatus" not in await upstream.shown(id)
    await upstream.sync(NEVER)
    assert (await upstream.shown(id))["latestSyncJobStatus"] == "pending"
    assert (await upstream.jobs(id))["totalJobCount"] == 1


async def test_a_reset_is_a_job_and_syncing_but_no_sync(upstream: Upstream):
    id = connection_id(IDLE)
    before = await upstream.shown(id)
    job = (await upstream.sync(IDLE, "reset"))["job"]
    upstream.now += 5
    row = await upstream.shown(id)
    assert row == before | {"isSyncing": True}
    types = {"sync": ["sync"], "reset": ["reset_connection"], "both": ["sync", "reset_connection"], "none": []}
    counts = {
        name: (await upstream.jobs(id, configTypes=asked, pagination={"pageSize": 2})) for name, asked in types.items()
    }
    assert [one["job"]["id"] for one in counts["reset"]["jobs"]] == [job["id"]]
    assert counts["reset"]["totalJobCount"] == 1
    assert {one["job"]["configType"] for one in counts["sync"]["jobs"]} == {"sync"}
    assert counts["both"] == counts["none"]
    assert counts["both"]["totalJobCount"] == counts["sync"]["totalJobCount"] + 1
    assert [one["job"]["configType"] for one in counts["both"]["jobs"]] == ["reset_connection", "sync"]
    assert upstream.effects == [("reset", id)]


@pytest.mark.parametrize("what", ["refresh", "clear"])
async def test_only_the_later_generation_refreshes_and_clears(upstream: Upstream, what: str):
    id = connection_id(IDLE)
    if upstream.imitation.generation == "dump":
        await upstream.refused(404, f"/v1/connections/{what}", connectionId=id)
        await upstream.refused(422, "/v1/jobs/list", configId=id, configTypes=["sync", what])
        return
    before = await upstream.shown(id)
    answer = await upstream.ok(f"/v1/connections/{what}", connectionId=id)
    upstream.now += 5
    (job,) = (await upstream.jobs(id, configTypes=[what]))["jobs"]
    assert (job["job"]["configType"], job["job"]["status"]) == (what, "running")
    assert what == "refresh" or answer["job"]["id"] == job["job"]["id"]
    row = await upstream.shown(id)
    assert row["isSyncing"] is True
    assert (row["latestSyncJobCreatedAt"] != before["latestSyncJobCreatedAt"]) is (what == "refresh")
    assert upstream.effects == [(what, id)]


async def test_jobs_are_paged_across_both_sorts(upstream: Upstream):
    id = connection_id(IDLE)
    upstream.imitation.sync_lasts_s = 1
    for _ in range(3):
        await upstream.sync(IDLE)
        upstream.now += 2
    whole = [one["job"]["id"] for one in (await upstream.jobs(id))["jobs"]]
    assert whole[:3] == sorted(whole[:3], reverse=True)
    paged = [
        one["job"]["id"]
        for offset in range(0, len(whole) + 2, 2)
        for one in (await upstream.jobs(id, pagination={"pageSize": 2, "rowOffset": offset}))["jobs"]
    ]
    assert paged == whole


@pytest.mark.parametrize("path", ["sync", "reset"])
async def test_what_runs_or_is_off_cannot_be_started(upstream: Upstream, path: str):
    await upstream.sync(IDLE)
    for number in (IDLE, INACTIVE):
        refusal = await upstream.refused(409, f"/v1/connections/{path}", connectionId=connection_id(number))
        assert refusal["message"] == f"A sync is already running for: {connection_id(number)}"
    await upstream.refused(404, f"/v1/connections/{path}", connectionId=UNKNOWN)
    await upstream.refused(400, f"/v1/connections/{path}")


async def test_one_that_syncs_by_itself_is_running_too(upstream: Upstream):
    while not (row := await upstream.shown(connection_id(BUSY)))["isSyncing"]:
        upstream.now += 10
    await upstream.refused(409, "/v1/connections/sync", connectionId=connection_id(BUSY))
    (job,) = (await upstream.jobs(connection_id(BUSY), pagination={"pageSize": 1}))["jobs"]
    cancelled = await upstream.ok("/v1/jobs/cancel", id=job["job"]["id"])
    assert cancelled["job"]["status"] == "cancelled"
    after = await upstream.shown(connection_id(BUSY))
    assert after == row | {"isSyncing": False, "latestSyncJobStatus": "cancelled"}
    await upstream.sync(BUSY)


async def test_a_job_is_cancelled_once(upstream: Upstream):
    job = (await upstream.sync(IDLE))["job"]
    upstream.now += 5
    cancelled = await upstream.ok("/v1/jobs/cancel", id=job["id"])
    assert (cancelled["job"]["id"], cancelled["job"]["status"]) == (job["id"], "cancelled")
    assert cancelled["attempts"][0]["attempt"]["status"] == "failed"
    assert cancelled["attempts"][0]["attempt"]["endedAt"] == int(NOW + 5)
    upstream.now += 60
    assert (await upstream.ok("/v1/jobs/get", id=job["id"]))["job"]["updatedAt"] == int(NOW + 5)
    row = await upstream.shown(connection_id(IDLE))
    assert (row["isSyncing"], row["latestSyncJobStatus"]) == (False, "cancelled")
    await upstream.refused(409, "/v1/jobs/cancel", id=job["id"])
    for id in (1, TOP * 3, -5):
        await upstream.refused(404, "/v1/jobs/cancel", id=id)
        await upstream.refused(404, "/v1/jobs/get", id=id)
    await upstream.refused(400, "/v1/jobs/cancel")
    assert upstream.effects == [("sync", connection_id(IDLE)), ("cancel", str(job["id"]))]


async def test_every_listed_job_is_found_by_its_id(upstream: Upstream):
    for number in (0, BUSY, 59):
        for one in (await upstream.jobs(connection_id(number)))["jobs"]:
            assert (await upstream.ok("/v1/jobs/get", id=one["job"]["id"]))["job"] == one["job"]
    old = (await upstream.jobs(connection_id(BUSY)))["jobs"][-1]["job"]["id"]
    await upstream.refused(409, "/v1/jobs/cancel", id=old)


async def test_jobs_show_in_the_order_by_the_last_sync():
    async with Upstream("cursor").serving() as upstream:
        upstream.now += 7200
        await upstream.sync(IDLE)
        first = (await upstream.listed(sortKey="lastSync_desc"))[0]
        assert first["connectionId"] == connection_id(IDLE)


# Sources and destinations


def end_id(upstream: Upstream, side: str, kind: str, *, other: bool = False) -> str:
    reads = [upstream.imitation.read(number)[side] for number in range(60)]
    return next(read[f"{side}Id"] for read in reads if (read[f"{side}Name"] == kind) != other)


@pytest.mark.parametrize("side", ["source", "destination"])
async def test_ends_are_read_by_id_in_whichever_workspace(upstream: Upstream, side: str):
    for number in (3, 50):
        end = upstream.imitation.read(number)[side]
        assert await upstream.ok(f"/v1/{side}s/get", **{f"{side}Id": end[f"{side}Id"]}) == end
    await upstream.refused(404, f"/v1/{side}s/get", **{f"{side}Id": UNKNOWN})
    await upstream.refused(400, f"/v1/{side}s/get")


@pytest.mark.parametrize("side", ["source", "destination"])
async def test_a_check_succeeds(upstream: Upstream, side: str):
    id = upstream.imitation.read(3)[side][f"{side}Id"]
    check = await upstream.ok(f"/v1/{side}s/check_connection", **{f"{side}Id": id})
    job = check["jobInfo"]
    assert (check["status"], job["succeeded"]) == ("succeeded", True)
    assert (job["configType"], job["configId"]) == (f"check_connection_{side}", id)
    assert job["createdAt"] == job["endedAt"] == int(NOW * 1000)
    assert upstream.effects == [("check", id)]
    await upstream.refused(404, f"/v1/{side}s/check_connection", **{f"{side}Id": UNKNOWN})


async def test_a_failed_check_has_its_password_in_the_logs_alone(upstream: Upstream):
    check = await upstream.ok("/v1/sources/check_connection", sourceId=end_id(upstream, "source", UNREACHABLE))
    assert (check["status"], bool(check["message"])) == ("failed", True)
    logs = check["jobInfo"].pop("logs")
    assert PLANTED in str(logs)
    assert PLANTED not in str(check)


async def test_a_discovered_catalog_has_the_streams_that_connections_have(upstream: Upstream):
    for number in (3, 4, 50):
        read = upstream.imitation.read(number)
        found = await upstream.ok(
            "/v1/sources/discover_schema", sourceId=read["sourceId"], connectionId=read["connectionId"]
        )
        names = {one["stream"]["name"] for one in found["catalog"]["streams"]}
        assert names >= {one["stream"]["name"] for one in read["syncCatalog"]["streams"]}
        assert found["jobInfo"]["succeeded"]
        assert (found["connectionStatus"], bool(found["catalogId"])) == ("active", True)
        recent = await upstream.ok("/v1/sources/most_recent_source_actor_catalog", sourceId=read["sourceId"])
        assert {one["name"] for one in recent["catalog"]["streams"]} == names
        assert "json_schema" in recent["catalog"]["streams"][0]
        assert recent["updatedAt"] == int(NOW)
    assert [kind for kind, _ in upstream.effects] == ["discover"] * 3
    await upstream.refused(404, "/v1/sources/discover_schema", sourceId=UNKNOWN)
    await upstream.refused(404, "/v1/sources/most_recent_source_actor_catalog", sourceId=UNKNOWN)


async def test_a_failed_discovery_has_no_catalog(upstream: Upstream):
    id = end_id(upstream, "source", UNREACHABLE)
    found = await upstream.ok("/v1/sources/discover_schema", sourceId=id)
    assert found.keys() == {"jobInfo"}
    assert not found["jobInfo"]["succeeded"]
    recent = await upstream.ok("/v1/sources/most_recent_source_actor_catalog", sourceId=id)
    assert recent["updatedAt"] < NOW
    assert recent["catalog"]["streams"]


async def test_a_task_holds_its_answer_and_goes_on_without_its_caller(upstream: Upstream):
    upstream.imitation.task_lasts_s = 30.0
    id = upstream.imitation.read(3)["sourceId"]
    with pytest.raises(httpx.ReadTimeout):
        await upstream.client.post("/v1/sources/check_connection", json={"sourceId": id}, timeout=0.1)
    assert upstream.effects == [("check", id)]


# Nothing twice

CALLS = {
    "create": ("/v1/web_backend/connections/create", "create"),
    "update": ("/v1/web_backend/connections/update", "update"),
    "delete": ("/v1/connections/delete", "delete"),
    "sync": ("/v1/connections/sync", "sync"),
    "reset": ("/v1/connections/reset", "reset"),
}
TROUBLE: dict[str, dict[str, Any]] = {
    "hang": {"hang": True},
    "reset": {"reset": True},
    "status": {"status": 502},
    "cut": {"cut": True},
}


@pytest.mark.parametrize(("path", "kind"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("late", [False, True], ids=["before", "late"])
@pytest.mark.parametrize("trouble", TROUBLE)
async def test_effects_tell_whether_a_lost_call_was_carried_out(trouble: str, late: bool, path: str, kind: str):
    async with Upstream("dump").serving() as upstream:
        upstream.imitation.knobs = Knobs(**TROUBLE[trouble], late=late)
        ends = upstream.imitation.read(3)
        body = {name: ends[name] for name in ("sourceId", "destinationId", "status")}
        with contextlib.suppress(httpx.TransportError):
            await upstream.client.post(path, json={**body, "connectionId": connection_id(IDLE)}, timeout=0.2)
        done = late or trouble == "cut"
        for _ in range(1000 if done else 0):
            if upstream.effects:
                break
            await asyncio.sleep(0.005)
        expected = Effect(kind, connection_id(60 if kind == "create" else IDLE))
        assert upstream.imitation.effects == ([expected] if done else [])
        assert upstream.imitation.journal.count(path) == 1
