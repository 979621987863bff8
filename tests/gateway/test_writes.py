"""What was created is listed, what was deleted is gone, what runs is shown to run and then to end; for every mutation
and every provider that has it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters import ids
from adapters.airbyte.demo_data import UNREACHABLE
from adapters.capabilities import OF_A_CONNECTION, OF_AN_INSTANCE, Capability
from adapters.imitation import Knobs
from gateway.schema.mutation import MUTATIONS
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA
from tests.gateway.changing import PLANTED, QUIET, World, row_id, world


async def listed(world: World, instance: str) -> dict[str, dict[str, Any]]:
    """The connections of an instance as a list shows them, by global id; from memory where it is allowed."""
    query = """
      query ($instance: String!, $after: String) {
        connections(first: 100, after: $after, filter: { instance: [$instance] }) {
          nodes { id name status running enabled externalRef lastRun { status } }
          pageInfo { hasNextPage endCursor }
        }
      }"""
    rows: dict[str, dict[str, Any]] = {}
    page: Mapping[str, Any] = {"hasNextPage": True, "endCursor": None}
    while page["hasNextPage"]:
        data = await world.fleet.data(query, {"instance": instance, "after": page["endCursor"]})
        rows |= {row["id"]: row for row in data["connections"]["nodes"]}
        page = data["connections"]["pageInfo"]
    return rows


async def by_id(world: World, id: str) -> dict[str, Any] | None:
    query = "query ($id: ID!) { connection(id: $id) { id name status running enabled lastRun { status } } }"
    return (await world.fleet.data(query, {"id": id}))["connection"]


def test_every_action_of_the_port_has_a_mutation():
    through_others = {Capability.IMPORT_CREDENTIALS}
    assert {mutation.capability for mutation in MUTATIONS.values()} == set(OF_AN_INSTANCE) - through_others
    assert set(OF_A_CONNECTION) < set(OF_AN_INSTANCE)


@pytest.mark.parametrize(
    ("instance", "own"),
    [
        (AIRBYTE, {"airbyte": {"name": "New one", "status": "ACTIVE"}}),
        (
            UNIFIED_TO,
            {
                "unifiedTo": {
                    "integrationType": "hubspot",
                    "externalXref": "customer-4711",
                    "credentials": {"categories": ["crm"], "permissions": [], "auth": {"token": PLANTED}},
                }
            },
        ),
    ],
)
async def test_what_was_created_is_listed_at_once(instance: str, own: dict[str, Any]):
    async with world(instance) as all_of_it:
        if instance == AIRBYTE:
            row = all_of_it.airbyte.read(QUIET)
            own["airbyte"] |= {"sourceId": row["sourceId"], "destinationId": row["destinationId"]}
        before = await listed(all_of_it, instance)
        payload = await all_of_it.done("createConnection", {"instance": instance, **own})
        new = payload["connection"]
        after = await listed(all_of_it, instance)
        assert set(after) - set(before) == {new["id"]}
        assert after[new["id"]]["name"] == new["name"]


async def test_an_authorization_is_an_address_and_no_connection_yet():
    async with world(UNIFIED_TO) as all_of_it:
        before = await listed(all_of_it, UNIFIED_TO)
        own = {"integrationType": "hubspot", "authorization": {"successRedirect": "https://app.example.com/done"}}
        payload = await all_of_it.done("createConnection", {"instance": UNIFIED_TO, "unifiedTo": own})
        assert payload["connection"] is None
        assert payload["authorizationUrl"].startswith("https://")
        assert "success_redirect=https" in payload["authorizationUrl"]
        assert await listed(all_of_it, UNIFIED_TO) == before


@pytest.mark.parametrize(
    ("instance", "own", "shown"),
    [
        (AIRBYTE, {"airbyte": {"name": "Renamed"}}, {"name": "Renamed"}),
        (UNIFIED_TO, {"unifiedTo": {"externalXref": "customer-7"}}, {"externalRef": "customer-7"}),
    ],
)
async def test_what_was_changed_shows_at_once_in_lists_and_by_id(
    instance: str, own: dict[str, Any], shown: dict[str, Any]
):
    async with world(instance) as all_of_it:
        id = row_id(all_of_it.fleet, instance, 0)
        before = await listed(all_of_it, instance)
        await all_of_it.done("updateConnection", {"id": id, **own})
        after = await listed(all_of_it, instance)
        assert {name: after[id][name] for name in shown} == shown
        assert {other: row for other, row in after.items() if other != id} == {
            other: row for other, row in before.items() if other != id
        }


async def test_what_is_switched_off_is_paused_and_on_again():
    async with world(AIRBYTE) as all_of_it:
        id = row_id(all_of_it.fleet, AIRBYTE, QUIET)
        await listed(all_of_it, AIRBYTE)
        payload = await all_of_it.done("setConnectionEnabled", {"id": id, "enabled": False})
        assert (payload["connection"]["status"], payload["connection"]["enabled"]) == ("PAUSED", False)
        assert (await listed(all_of_it, AIRBYTE))[id]["status"] == "PAUSED"
        payload = await all_of_it.done("setConnectionEnabled", {"id": id, "enabled": True})
        assert payload["connection"]["enabled"] is True
        assert (await listed(all_of_it, AIRBYTE))[id]["enabled"] is True


@pytest.mark.parametrize("instance", [AIRBYTE, UNIFIED_TO])
async def test_what_was_deleted_is_gone(instance: str):
    async with world(instance) as all_of_it:
        id = row_id(all_of_it.fleet, instance, 0)
        before = await listed(all_of_it, instance)
        payload = await all_of_it.done("deleteConnection", {"id": id})
        assert payload["deletedId"] == id
        assert set(before) - set(await listed(all_of_it, instance)) == {id}
        left = await by_id(all_of_it, id)
        # Airbyte keeps the record of what it deleted; Unified.to keeps nothing.
        assert left == payload["connection"]
        assert (left and left["status"]) == ("DELETED" if instance == AIRBYTE else None)


@pytest.mark.parametrize("instance", [AIRBYTE, WORKIVA])
async def test_what_runs_is_shown_to_run_and_then_to_end(instance: str):
    async with world(instance) as all_of_it:
        id = row_id(all_of_it.fleet, instance, 0)
        await listed(all_of_it, instance)
        payload = await all_of_it.done("runConnection", {"id": id})
        assert payload["run"]["status"] in ("QUEUED", "RUNNING")
        assert payload["connection"]["running"] is True
        assert payload["attached"] is False
        assert (await listed(all_of_it, instance))[id]["running"] is True
        all_of_it.clock.now += 10
        assert (await _now(all_of_it, id))["status"] == "RUNNING"
        again = await all_of_it.done("runConnection", {"id": id})
        assert (again["attached"], again["run"]["id"]) == (True, payload["run"]["id"])
        assert len(all_of_it.effects(instance)) == 1
        all_of_it.clock.now += 15
        ended = await _now(all_of_it, id)
        assert (ended["status"], ended["running"], ended["lastRun"]["status"]) == ("HEALTHY", False, "SUCCEEDED")


async def _now(world: World, id: str) -> dict[str, Any]:
    """A connection as its upstream tells it now: nobody told the gateway that time has passed."""
    query = "query ($id: ID!) { connection(id: $id, maxAge: 0) { status running lastRun { status } } }"
    return (await world.fleet.data(query, {"id": id}))["connection"]


async def test_a_run_that_goes_on_is_cancelled_once():
    async with world(AIRBYTE) as all_of_it:
        id = row_id(all_of_it.fleet, AIRBYTE, QUIET)
        started = await all_of_it.done("runConnection", {"id": id})
        all_of_it.clock.now += 5
        payload = await all_of_it.done("cancelRun", {"id": id})
        assert payload["run"] == {"id": started["run"]["id"], "status": "CANCELLED"}
        assert payload["connection"]["running"] is False
        answered = await all_of_it.do("cancelRun", {"id": id, "runId": started["run"]["id"]})
        assert answered["data"]["cancelRun"]["userErrors"][0]["code"] == "NOT_RUNNING"


async def test_a_reset_is_a_run_too():
    async with world(AIRBYTE) as all_of_it:
        id = row_id(all_of_it.fleet, AIRBYTE, QUIET)
        payload = await all_of_it.done("resetConnection", {"id": id})
        assert payload["run"]["status"] in ("QUEUED", "RUNNING")
        query = "query ($id: ID!) { connection(id: $id) { runs(first: 1) { nodes { id } } } }"
        runs = (await all_of_it.fleet.data(query, {"id": id}))["connection"]["runs"]["nodes"]
        assert runs == [{"id": payload["run"]["id"]}]


RUN_MANY = """
  mutation ($input: RunConnectionsInput!) {
    runConnections(input: $input) {
      userErrors { field code }
      results {
        id attached run { id status } userErrors { field code } error { code retryable }
        connection { id running }
      }
    }
  }"""


async def test_runs_of_several_providers_are_started_each_with_a_result_of_its_own():
    async with world() as all_of_it:
        sent = [
            row_id(all_of_it.fleet, WORKIVA, 0),
            "nonsense",
            row_id(all_of_it.fleet, AIRBYTE, QUIET),
            row_id(all_of_it.fleet, UNIFIED_TO, 0),
            row_id(all_of_it.fleet, WORKIVA, 0),
            ids.encode(AIRBYTE, "00000000-0000-4000-8000-000000000000"),
        ]
        answered = await all_of_it.ask(RUN_MANY, {"input": {"ids": sent}})
        results = answered["data"]["runConnections"]["results"]
        assert [result["id"] for result in results] == sent
        assert [bool(result["run"]) for result in results] == [True, False, True, False, True, False]
        assert results[4] == results[0], "the same one twice is started once"
        assert results[1]["userErrors"] == [{"field": ["input", "ids", "1"], "code": "INVALID"}]
        assert results[3]["error"] == {"code": "UNSUPPORTED", "retryable": False}
        assert results[5]["userErrors"] == [{"field": ["input", "ids", "5"], "code": "UNKNOWN_ID"}]
        assert results[2]["connection"] == {"id": sent[2], "running": True}
        assert [error["extensions"]["code"] for error in answered["errors"]] == ["UNSUPPORTED"]
        assert all_of_it.effects(WORKIVA) == ["refresh"]
        assert all_of_it.effects(AIRBYTE) == ["sync"]


async def _sharing(all_of_it: World) -> list[str]:
    """Connections of Workiva that write into one spreadsheet."""
    by_end: dict[str, list[str]] = {}
    for row in all_of_it.fleet.servers[WORKIVA].rows():
        if row["destinationType"] in ("spreadsheet", "spreadsheet_section"):
            by_end.setdefault(row["destinationId"], []).append(row["connectionId"])
    return max(by_end.values(), key=len)


async def test_runs_that_share_a_spreadsheet_take_one_call():
    async with world(WORKIVA) as all_of_it:
        sharing = await _sharing(all_of_it)
        assert len(sharing) > 1
        sent = [ids.encode(WORKIVA, id) for id in sharing]
        answered = await all_of_it.ask(RUN_MANY, {"input": {"ids": sent}})
        results = answered["data"]["runConnections"]["results"]
        assert "errors" not in answered
        assert all(result["run"]["status"] in ("QUEUED", "RUNNING") for result in results if not result["userErrors"])
        assert all_of_it.fleet.calls(WORKIVA, "POST /api/v1/connections/batch/refresh") == 1
        assert sorted(all_of_it.effects(WORKIVA)) == ["batch"] + ["refresh"] * len(sharing)


async def test_runs_that_the_upstream_will_not_start_together_are_started_one_by_one():
    async with world(WORKIVA) as all_of_it:
        sharing = await _sharing(all_of_it)
        server = all_of_it.fleet.servers[WORKIVA]
        server.knobs.only, server.knobs.status = "/batch/refresh", 400
        sent = [ids.encode(WORKIVA, id) for id in sharing]
        answered = await all_of_it.ask(RUN_MANY, {"input": {"ids": sent}})
        assert "errors" not in answered
        assert all(result["run"] for result in answered["data"]["runConnections"]["results"])
        assert all_of_it.effects(WORKIVA) == ["refresh"] * len(sharing)


FOLLOW = """
  query ($id: ID!) {
    task(id: $id) {
      id action status startedAt endedAt checked { succeeded message } catalogId error { code }
      instance { name }
      catalog { ... on AirbyteCatalog { streams { stream { name namespace } } } }
    }
  }"""


async def _ended(all_of_it: World, id: str) -> dict[str, Any]:
    """A task when it has come to its end; asked for as often as that takes."""
    for _ in range(1000):
        task = (await all_of_it.fleet.data(FOLLOW, {"id": id}))["task"]
        if task["status"] not in ("QUEUED", "RUNNING"):
            return task
    raise AssertionError("the task does not end")


async def test_a_check_is_a_task_that_comes_to_its_end():
    check = (
        "mutation ($input: CheckEndpointInput!) { checkEndpoint(input: $input) { userErrors { code } task { id } } }"
    )
    async with world(AIRBYTE) as all_of_it:
        row = all_of_it.airbyte.read(QUIET)
        for side in ("SOURCE", "DESTINATION"):
            given = {"instance": AIRBYTE, "side": side, "endpointId": row[f"{side.lower()}Id"]}
            begun = (await all_of_it.fleet.data(check, {"input": given}))["checkEndpoint"]
            assert begun["userErrors"] == []
            task = await _ended(all_of_it, begun["task"]["id"])
            assert (task["status"], task["action"], task["error"]) == ("SUCCEEDED", "CHECK_ENDPOINT", None)
            assert task["checked"]["succeeded"] is True
            assert task["instance"] == {"name": AIRBYTE}
            assert task["endedAt"] >= task["startedAt"]


async def test_a_discovery_gives_a_catalog_that_a_connection_can_be_created_with():
    discover = "mutation ($input: DiscoverSchemaInput!) { discoverSchema(input: $input) { task { id status } } }"
    async with world(AIRBYTE) as all_of_it:
        row = all_of_it.airbyte.read(QUIET)
        given = {"instance": AIRBYTE, "sourceId": row["sourceId"]}
        begun = (await all_of_it.fleet.data(discover, {"input": given}))["discoverSchema"]["task"]
        task = await _ended(all_of_it, begun["id"])
        assert task["status"] == "SUCCEEDED"
        config = {"syncMode": "FULL_REFRESH", "destinationSyncMode": "OVERWRITE"}
        streams = [{"stream": each["stream"], "config": config} for each in task["catalog"]["streams"]]
        own = {
            "sourceId": row["sourceId"],
            "destinationId": row["destinationId"],
            "status": "ACTIVE",
            "sourceCatalogId": task["catalogId"],
            "syncCatalog": {"streams": streams},
        }
        await all_of_it.done("createConnection", {"instance": AIRBYTE, "airbyte": own})


@pytest.mark.parametrize(
    ("status", "told", "code"), [(403, "FAILED", "UPSTREAM_UNAUTHORIZED"), (500, "UNKNOWN", "OUTCOME_UNKNOWN")]
)
async def test_a_task_whose_upstream_fails_says_whether_it_may_have_been_carried_out(status: int, told: str, code: str):
    check = "mutation ($input: CheckEndpointInput!) { checkEndpoint(input: $input) { task { id } } }"
    async with world(AIRBYTE) as all_of_it:
        server = all_of_it.airbyte
        given = {"instance": AIRBYTE, "side": "SOURCE", "endpointId": server.read(QUIET)["sourceId"]}
        server.knobs.only, server.knobs.status = "/check_connection", status
        begun = (await all_of_it.fleet.data(check, {"input": given}))["checkEndpoint"]["task"]
        task = await _ended(all_of_it, begun["id"])
        assert (task["status"], task["error"], task["checked"]) == (told, {"code": code}, None)


async def test_a_task_whose_process_ended_is_unknown(tmp_path: Path):
    check = "mutation ($input: CheckEndpointInput!) { checkEndpoint(input: $input) { task { id status } } }"
    sections = {"writes": {"ledger": str(tmp_path / "ledger.db")}}
    async with world(AIRBYTE, sections=sections, task_timeout=60) as all_of_it:
        given = {"instance": AIRBYTE, "side": "SOURCE", "endpointId": all_of_it.airbyte.read(QUIET)["sourceId"]}
        all_of_it.airbyte.knobs = Knobs(only="/check_connection", hang=True)
        begun = (await all_of_it.fleet.data(check, {"input": given}))["checkEndpoint"]["task"]
        assert begun["status"] == "RUNNING"
    async with world(AIRBYTE, sections=sections) as restarted:
        task = (await restarted.fleet.data(FOLLOW, {"id": begun["id"]}))["task"]
        assert (task["status"], task["error"]) == ("UNKNOWN", {"code": "OUTCOME_UNKNOWN"})


async def test_a_discovery_that_brings_no_catalog_has_failed():
    discover = "mutation ($input: DiscoverSchemaInput!) { discoverSchema(input: $input) { task { id } } }"
    async with world(AIRBYTE) as all_of_it:
        rows = map(all_of_it.airbyte.read, range(60))
        source = next(row["source"] for row in rows if row["source"]["sourceName"] == UNREACHABLE)
        given = {"instance": AIRBYTE, "sourceId": source["sourceId"]}
        begun = (await all_of_it.fleet.data(discover, {"input": given}))["discoverSchema"]["task"]
        task = await _ended(all_of_it, begun["id"])
        assert (task["status"], task["catalog"], task["checked"]["succeeded"]) == ("FAILED", None, False)


async def test_a_task_that_nobody_began_is_null():
    async with world(AIRBYTE) as all_of_it:
        assert (await all_of_it.fleet.data(FOLLOW, {"id": "0" * 32}))["task"] is None


class Afterwards(Knobs):
    """Trouble for every call after the one that changes something."""

    changed: bool = False

    def applies(self, call: str) -> bool:
        was, self.changed = self.changed, self.changed or "/connections/update" in call
        return was


async def test_a_change_whose_connection_cannot_be_read_afterwards_is_told_all_the_same():
    async with world(AIRBYTE) as all_of_it:
        all_of_it.airbyte.knobs = Afterwards(status=503)
        given = {"id": row_id(all_of_it.fleet, AIRBYTE, QUIET), "airbyte": {"name": "Renamed"}}
        answered = await all_of_it.do("updateConnection", given)
        payload = answered["data"]["updateConnection"]
        assert (payload["userErrors"], payload["readBack"], payload["connection"]) == ([], False, None)
        (error,) = answered["errors"]
        assert error["path"] == ["updateConnection", "connection"]
        assert error["extensions"]["code"] == "UPSTREAM_UNAVAILABLE"


async def test_several_mutations_are_done_one_after_the_other_and_each_shows_what_it_did():
    query = """mutation ($id: ID!) {
      one: updateConnection(input: { id: $id, airbyte: { name: "One" } }) { connection { name enabled } }
      off: setConnectionEnabled(input: { id: $id, enabled: false }) { connection { name enabled } }
      two: updateConnection(input: { id: $id, airbyte: { name: "Two" } }) { connection { name enabled } }
    }"""
    async with world(AIRBYTE) as all_of_it:
        data = await all_of_it.fleet.data(query, {"id": row_id(all_of_it.fleet, AIRBYTE, QUIET)})
        assert [payload["connection"] for payload in data.values()] == [
            {"name": "One", "enabled": True},
            {"name": "One", "enabled": False},
            {"name": "Two", "enabled": False},
        ]


async def test_a_mutation_is_not_planned_but_rehearsed():
    async with world(AIRBYTE, sections={"auth": {"explain": "everyone"}}) as all_of_it:
        given = {"id": row_id(all_of_it.fleet, AIRBYTE, QUIET), "enabled": False}
        answered = await all_of_it.do("setConnectionEnabled", given, Gateway_Explain="PLAN")
        assert answered["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
        assert all_of_it.fleet.calls(AIRBYTE) == 0


async def test_a_read_that_was_begun_before_a_change_is_not_shared_after_it():
    """Somebody else's slow read goes on over the change; who changed it must not be answered by it."""
    query = "query ($id: ID!) { connection(id: $id, maxAge: 0) { name } }"
    async with world(AIRBYTE, timeout=5) as all_of_it:
        id = row_id(all_of_it.fleet, AIRBYTE, QUIET)
        all_of_it.airbyte.knobs = Knobs(only="/connections/get", times=1, late=True, delay_s=0.5)
        slow = asyncio.create_task(all_of_it.fleet.data(query, {"id": id}))
        async with asyncio.timeout(20):
            while all_of_it.fleet.calls(AIRBYTE, "/connections/get") == 0:  # noqa: ASYNC110  the imitation's to tell
                await asyncio.sleep(0.005)
        payload = await all_of_it.done("updateConnection", {"id": id, "airbyte": {"name": "Renamed"}})
        assert payload["connection"]["name"] == "Renamed"
        assert (await slow)["connection"]["name"] != "Renamed"
