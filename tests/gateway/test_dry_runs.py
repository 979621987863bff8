"""A rehearsal changes nothing, and lists the very requests that are sent when it is meant."""

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as drawing

from adapters.airbyte.demo import AirbyteImitation, connection_id
from adapters.imitation import native_id
from adapters.secret import MASK, masked
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Clock, Fleet
from tests.gateway.airbyte_inputs import DESTINATIONS, SOURCES, WORKSPACE, changes, on_the_wire
from tests.gateway.writing import (
    ALL,
    PROVIDER,
    Input,
    alike,
    came_to_an_end,
    done,
    effects,
    global_id,
    mutate,
    own_fleet,
    picked,
    quiet,
    rehearsed,
    there_are,
    told,
    writes,
    written,
)

EXAMPLES = int(os.environ.get("ROUND_TRIPS", "60"))
SECRET = "planted-by-a-test"
IMPORTS = {UNIFIED_TO: {"import_credentials": True}}


@pytest.fixture(scope="module")
def clock() -> Clock:
    return quiet()


@pytest.fixture(scope="module")
async def fleet(clock: Clock) -> AsyncGenerator[Fleet]:
    """For rehearsals, after which nothing is different: so one will do."""
    async with own_fleet(clock, IMPORTS) as fleet:
        await running(by_id=False)(fleet)
        before = effects(fleet)
        fleet.forget()
        yield fleet
        assert effects(fleet) == before
        assert written(fleet) == []


@pytest.fixture
async def written_to(clock: Clock) -> AsyncGenerator[Fleet]:
    async with own_fleet(clock) as fleet:
        yield fleet


def airbyte(fleet: Fleet) -> AirbyteImitation:
    server = fleet.servers[AIRBYTE]
    assert isinstance(server, AirbyteImitation)
    return server


# --- every mutation with every provider that has it


class Case(NamedTuple):
    """What is asked of a mutation, and how many calls that takes."""

    name: str
    instance: str
    what: str
    given: Callable[[Fleet], Awaitable[Input]]
    calls: int = 1

    def __str__(self) -> str:
        return f"{self.name}-{PROVIDER[self.instance]}-{self.what}"


def just(given: Input) -> Callable[[Fleet], Awaitable[Input]]:
    async def same(_: Fleet) -> Input:
        return given

    return same


def to_one(instance: str, action: str, **more: Any) -> Callable[[Fleet], Awaitable[Input]]:
    """An input about the first connection to which this can be done."""

    async def given(fleet: Fleet) -> Input:
        return {"id": (await picked(fleet, instance, action)).id, **more}

    return given


def to_several(numbers: Mapping[str, list[int]], **more: Any) -> Callable[[Fleet], Awaitable[Input]]:
    async def given(fleet: Fleet) -> Input:
        ids = [global_id(name, fleet.servers[name].id_of(number)) for name, each in numbers.items() for number in each]
        return {"ids": ids, **more}

    return given


def running(*, by_id: bool) -> Callable[[Fleet], Awaitable[Input]]:
    async def given(fleet: Fleet) -> Input:
        row = await picked(fleet, AIRBYTE, "RUN")
        started = await done(fleet, "runConnection", {"id": row.id})
        return {"id": row.id, **({"runId": started["run"]["id"]} if by_id else {})}

    return given


NEW = {"sourceId": SOURCES[4], "destinationId": DESTINATIONS[1], "status": "ACTIVE"}
STREAM = {
    "stream": {"name": "orders", "namespace": "public"},
    "config": {"syncMode": "FULL_REFRESH", "destinationSyncMode": "APPEND"},
}
DBT = {
    "name": "Models",
    "workspaceId": WORKSPACE,
    "operatorConfiguration": {
        "operatorType": "DBT",
        "dbt": {
            "gitRepoUrl": f"https://ci:{SECRET}@git.example.com/models.git",
            "dbtArguments": f"run --vars password={SECRET}",
        },
    },
}
CREDENTIALS = {
    "categories": ["crm"],
    "permissions": ["crm_contact_read"],
    "auth": {"access_token": SECRET, "refresh_token": SECRET, "meta": {"password": SECRET}},
}
ADDRESS = {"successRedirect": "https://app.example.com/ok?next=/a&b=ä", "scopes": ["crm_contact_read", "crm_deal_read"]}
PARAMETERS = {"sourceParameters": {"period": "2026-Q3", "password": SECRET, "entity": ["US01"]}}

CASES = [
    Case("createConnection", AIRBYTE, "little", just({"instance": AIRBYTE, "airbyte": NEW})),
    Case(
        "createConnection",
        AIRBYTE,
        "much",
        just(
            {
                "instance": AIRBYTE,
                "airbyte": {**NEW, "name": "新", "syncCatalog": {"streams": [STREAM]}, "operations": [DBT]},
            }
        ),
    ),
    Case(
        "createConnection",
        UNIFIED_TO,
        "an address",
        just({"instance": UNIFIED_TO, "unifiedTo": {"integrationType": "hubspot", "authorization": ADDRESS}}),
    ),
    Case(
        "createConnection",
        UNIFIED_TO,
        "credentials",
        just(
            {
                "instance": UNIFIED_TO,
                "unifiedTo": {"integrationType": "hubspot", "externalXref": "c-7", "credentials": CREDENTIALS},
            }
        ),
    ),
    Case("updateConnection", AIRBYTE, "a name", to_one(AIRBYTE, "UPDATE", airbyte={"name": "Another"})),
    Case(
        "updateConnection",
        AIRBYTE,
        "streams and operations",
        to_one(
            AIRBYTE,
            "UPDATE",
            airbyte={"syncCatalog": {"streams": [STREAM]}, "skipReset": True, "operations": [DBT], "prefix": None},
        ),
    ),
    Case("updateConnection", UNIFIED_TO, "a reference", to_one(UNIFIED_TO, "UPDATE", unifiedTo={"externalXref": "c"})),
    Case("setConnectionEnabled", AIRBYTE, "off", to_one(AIRBYTE, "ENABLE", enabled=False)),
    Case("runConnection", AIRBYTE, "alone", to_one(AIRBYTE, "RUN")),
    Case("runConnection", WORKIVA, "alone", to_one(WORKIVA, "RUN")),
    Case("runConnection", WORKIVA, "parameters", to_one(WORKIVA, "RUN", workiva=PARAMETERS)),
    Case("runConnections", AIRBYTE, "three", to_several({AIRBYTE: [0, 2, 3]}), 3),
    Case("runConnections", WORKIVA, "a batch and one", to_several({WORKIVA: [30, 40, 50, 2]}, workiva=PARAMETERS), 2),
    Case("runConnections", WORKIVA, "and Airbyte", to_several({WORKIVA: [30, 40], AIRBYTE: [0]}), 2),
    Case("cancelRun", AIRBYTE, "what goes on", running(by_id=False)),
    Case("cancelRun", AIRBYTE, "by its id", running(by_id=True)),
    Case("resetConnection", AIRBYTE, "", to_one(AIRBYTE, "RESET")),
    Case("deleteConnection", AIRBYTE, "", to_one(AIRBYTE, "DELETE")),
    Case("deleteConnection", UNIFIED_TO, "", to_one(UNIFIED_TO, "DELETE")),
    Case(
        "checkEndpoint",
        AIRBYTE,
        "a source",
        just({"instance": AIRBYTE, "side": "SOURCE", "endpointId": SOURCES[0]}),
    ),
    Case(
        "checkEndpoint",
        AIRBYTE,
        "a destination",
        just({"instance": AIRBYTE, "side": "DESTINATION", "endpointId": DESTINATIONS[0]}),
    ),
    Case("discoverSchema", AIRBYTE, "", just({"instance": AIRBYTE, "sourceId": SOURCES[0], "anew": True})),
]


def test_every_mutation_is_rehearsed_with_every_provider_that_has_it():
    assert {(case.name, case.instance) for case in CASES} == there_are()


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_rehearsal_sends_nothing_and_lists_the_very_requests_that_are_sent_then(clock: Clock, case: Case):
    among = ALL if case.what == "and Airbyte" else (case.instance,)
    async with own_fleet(clock, IMPORTS, among) as fleet:
        asked = {**await case.given(fleet), "idempotencyKey": "of both"}
        fleet.forget()
        before = effects(fleet)
        payload = await done(fleet, case.name, {**asked, "dryRun": True})
        assert written(fleet) == []
        assert effects(fleet) == before
        assert SECRET not in json.dumps(payload)
        promised = rehearsed(payload)
        assert len(promised) == case.calls
        for name in ("connection", "run", "task", "deletedId", "authorizationUrl"):
            assert payload.get(name) is None, "nothing was done"
        for result in payload.get("results", ()):
            assert (result["run"], result["error"]) == (None, None)

        fleet.forget()
        payload = await done(fleet, case.name, asked)
        assert (payload["dryRun"], payload["replayed"]) == (None, False), "a rehearsal uses no key up"
        if payload.get("task"):
            assert (await came_to_an_end(fleet, payload["task"]["id"]))["status"] == "SUCCEEDED"
        assert alike(written(fleet)) == alike(promised)
        if case.what != "an address":  # of which nothing comes until somebody follows it
            assert len(effects(fleet)) > len(before)
        assert (await done(fleet, case.name, asked))["replayed"] is True
        assert len(written(fleet)) == case.calls


async def test_two_rehearsals_of_one_document_change_nothing(fleet: Fleet):
    """Even where the second could not be done after the first."""
    id = (await picked(fleet, AIRBYTE, "DELETE")).id
    told_of = "userErrors { code } dryRun { requests { path } }"
    answered = await fleet.data(
        f"""mutation ($input: DeleteConnectionInput!) {{
          a: deleteConnection(input: $input) {{ {told_of} }}
          b: deleteConnection(input: $input) {{ {told_of} }}
        }}""",
        {"input": {"id": id, "dryRun": True}},
    )
    assert answered["a"] == answered["b"]
    assert answered["a"]["dryRun"]["requests"] == [{"path": "/api/v1/connections/delete"}]
    assert written(fleet) == []


async def test_a_rehearsal_of_what_cannot_be_done_tells_why_and_lists_nothing(fleet: Fleet):
    id = (await picked(fleet, AIRBYTE, "RUN", "PAUSED")).id
    payload = (await mutate(fleet, "runConnection", {"id": id, "dryRun": True}))["data"]["runConnection"]
    assert told(payload) == {("id", "PAUSED")}
    assert payload["dryRun"] == {"requests": [], "changes": []}
    assert written(fleet) == []


async def test_of_several_a_rehearsal_lists_what_is_sent_for_those_that_can_be_done(written_to: Fleet):
    paused, good = await picked(written_to, AIRBYTE, "RUN", "PAUSED"), await picked(written_to, AIRBYTE, "RUN")
    asked = {"ids": [paused.id, good.id, good.id, "nonsense"]}
    answers = [await mutate(written_to, "runConnections", {**asked, "dryRun": dry}) for dry in (True, False)]
    rehearsal, meant = (answer["data"]["runConnections"] for answer in answers)
    expected = {("ids.0", "PAUSED"), ("ids.3", "INVALID")}
    assert told(rehearsal) == told(meant) == expected
    assert rehearsed(rehearsal) == written(written_to)
    assert len(written(written_to)) == 1


async def test_where_a_run_goes_on_there_is_nothing_to_send_either_way(written_to: Fleet):
    for instance in (AIRBYTE, WORKIVA):
        row = await picked(written_to, instance, "RUN")
        started = await done(written_to, "runConnection", {"id": row.id})
        written_to.forget()
        assert rehearsed(await done(written_to, "runConnection", {"id": row.id, "dryRun": True})) == []
        again = await done(written_to, "runConnection", {"id": row.id})
        assert (again["attached"], again["run"]["id"]) == (True, started["run"]["id"])
        assert written(written_to) == []


# --- what would change


def differences(payload: Input) -> dict[str, tuple[Any, Any]]:
    """What would change, by the upstream's names: what is there, and what would be."""
    return {change["field"]: (change["before"], change["after"]) for change in payload["dryRun"]["changes"]}


async def rehearsal(fleet: Fleet, name: str, asked: Input) -> dict[str, tuple[Any, Any]]:
    return differences(await done(fleet, name, {**asked, "dryRun": True}))


async def test_changes_tell_what_is_there_and_what_would_be_and_leave_out_what_stays(fleet: Fleet):
    record = airbyte(fleet).read(3)
    given = {
        "name": "Another",
        "namespaceFormat": "x",
        "status": record["status"].upper(),
        "schedule": {"units": 15, "timeUnit": "MINUTES"},
        "resourceRequirements": None,
    }
    found = await rehearsal(fleet, "updateConnection", {"id": global_id(AIRBYTE, connection_id(3)), "airbyte": given})
    assert record["scheduleData"]["basicSchedule"] == {"units": 15, "timeUnit": "minutes"}
    assert record["resourceRequirements"] == {}
    assert found == {"name": (record["name"], "Another"), "namespaceFormat": ("", "x")}


async def test_what_would_be_dropped_of_a_whole_is_a_change(fleet: Fleet):
    """Airbyte replaces these as wholes: what an input leaves out of them goes."""
    record = airbyte(fleet).read(4)
    assert record["resourceRequirements"] == {"cpu_request": "0.25", "memory_request": "512Mi"}
    id = global_id(AIRBYTE, connection_id(4))
    given = {"resourceRequirements": {"cpuRequest": "0.25"}}
    found = await rehearsal(fleet, "updateConnection", {"id": id, "airbyte": given})
    assert found == {"resourceRequirements": (record["resourceRequirements"], {"cpu_request": "0.25"})}

    streams = [
        {
            "stream": {"name": item["stream"]["name"], "namespace": "public"},
            "config": {
                "syncMode": item["config"]["syncMode"].upper(),
                "destinationSyncMode": item["config"]["destinationSyncMode"].upper(),
                "cursorField": item["config"].get("cursorField"),
                "primaryKey": item["config"].get("primaryKey"),
                "fieldSelectionEnabled": item["config"].get("fieldSelectionEnabled"),
                "selectedFields": item["config"].get("selectedFields"),
            },
        }
        for item in record["syncCatalog"]["streams"]
    ]
    same = {"syncCatalog": {"streams": streams}, "skipReset": True}
    assert await rehearsal(fleet, "updateConnection", {"id": id, "airbyte": same}) == {}
    streams[0]["config"]["cursorField"] = None
    dropped = {"syncCatalog": {"streams": streams}, "skipReset": True}
    assert (await rehearsal(fleet, "updateConnection", {"id": id, "airbyte": dropped})).keys() == {"syncCatalog"}


async def test_where_nothing_differs_there_are_no_changes(fleet: Fleet):
    record = airbyte(fleet).read(3)
    asked = {"id": global_id(AIRBYTE, connection_id(3)), "airbyte": {"name": record["name"], "status": "ACTIVE"}}
    assert await rehearsal(fleet, "updateConnection", asked) == {}
    asked = {"id": global_id(AIRBYTE, connection_id(3)), "enabled": True}
    assert await rehearsal(fleet, "setConnectionEnabled", asked) == {}


async def test_where_nothing_differs_unified_to_is_sent_nothing_either_way(written_to: Fleet):
    row = written_to.servers[UNIFIED_TO].row(0)
    given = {"externalXref": row["external_xref"], "categories": row["categories"][::-1], "environment": "Production"}
    asked = {"id": global_id(UNIFIED_TO, row["id"]), "unifiedTo": given}
    payload = await done(written_to, "updateConnection", {**asked, "dryRun": True})
    assert payload["dryRun"] == {"requests": [], "changes": []}
    await done(written_to, "updateConnection", asked)
    assert written(written_to) == []


async def test_a_change_of_unified_to_tells_what_is_there_and_what_would_be(fleet: Fleet):
    row = fleet.servers[UNIFIED_TO].row(0)
    given = {"externalXref": None, "permissions": ["crm_contact_read"], "categories": row["categories"]}
    found = await rehearsal(fleet, "updateConnection", {"id": global_id(UNIFIED_TO, row["id"]), "unifiedTo": given})
    assert found == {
        "external_xref": (row["external_xref"], ""),
        "permissions": (row["permissions"], ["crm_contact_read"]),
    }


async def test_a_creation_tells_all_that_comes_to_be(fleet: Fleet):
    found = await rehearsal(fleet, "createConnection", {"instance": AIRBYTE, "airbyte": NEW})
    assert found == {name: (None, value) for name, value in on_the_wire(NEW).items()}
    given = {"integrationType": "hubspot", "credentials": CREDENTIALS}
    found = await rehearsal(fleet, "createConnection", {"instance": UNIFIED_TO, "unifiedTo": given})
    assert found.keys() == {"integration_type", "environment", "categories", "permissions", "auth"}
    assert found["environment"] == (None, "Production")
    assert MASK in json.dumps(found["auth"])


@pytest.mark.parametrize(
    ("name", "action", "more", "expected"),
    [
        ("setConnectionEnabled", "ENABLE", {"enabled": False}, {"status": ("active", "inactive")}),
        ("deleteConnection", "DELETE", {}, {"status": (None, "deprecated")}),
        ("runConnection", "RUN", {}, {}),
        ("resetConnection", "RESET", {}, {}),
    ],
)
async def test_what_an_action_would_change_is_told(
    fleet: Fleet, name: str, action: str, more: dict[str, Any], expected: dict[str, Any]
):
    id = (await picked(fleet, AIRBYTE, action, enabled=True)).id
    assert await rehearsal(fleet, name, {"id": id, **more}) == expected


async def test_to_cancel_a_run_is_to_change_its_status(fleet: Fleet):
    id = (await picked(fleet, AIRBYTE, "CANCEL_RUN")).id
    found = await rehearsal(fleet, "cancelRun", {"id": id})
    assert found["status"][0] in ("pending", "running")
    assert found["status"][1] == "cancelled"


async def test_to_delete_a_connection_of_unified_to_is_to_have_it_no_more(fleet: Fleet):
    id = native_id("unified_to", 0)[:24]
    found = await rehearsal(fleet, "deleteConnection", {"id": global_id(UNIFIED_TO, id)})
    assert found == {"id": (id, None)}


def full(value: Any) -> Any:
    """Without what is empty, which is the same as nothing."""
    if isinstance(value, dict):
        value = {name: item for name, item in value.items() if item not in ("", None)}
    return value or None


def seen(value: Any) -> Any:
    """What may be seen of what an upstream holds: of the operations' webhooks, nothing that carries credentials."""
    if isinstance(value, list):
        return [seen(item) for item in value]
    if isinstance(value, dict):
        return {name: seen(item) for name, item in value.items() if name not in ("executionUrl", "executionBody")}
    return value


def test_whatever_is_changed_the_rehearsal_tells_what_is_sent_and_what_comes_of_it(clock: Clock):
    numbers = itertools.cycle(number for number in range(40) if number % 4 == 3)

    async def holds(fleet: Fleet, given: dict[str, Any]) -> None:
        number = next(numbers)
        id, before = global_id(AIRBYTE, connection_id(number)), airbyte(fleet).read(number)
        asked = {"id": id, "airbyte": given}
        payload = await done(fleet, "updateConnection", {**asked, "dryRun": True})
        assert airbyte(fleet).read(number) == before
        fleet.forget()
        await done(fleet, "updateConnection", asked)
        assert written(fleet) == rehearsed(payload)
        (call,) = writes(fleet, AIRBYTE)
        assert call.json() == {"connectionId": connection_id(number), **on_the_wire(given)}
        after, found = airbyte(fleet).read(number), differences(payload)
        for field in given.keys() - {"skipReset"}:
            kept = {"sourceCatalogId": "catalogId"}.get(field, field)
            if field in found:
                assert found[field] == (masked(seen(before.get(kept))), masked(on_the_wire(given[field], field))), field
                assert before.get(kept) != after.get(kept), field
            elif field not in ("syncCatalog", "operations"):  # to which upstream adds things of its own
                assert full(before.get(kept)) == full(after.get(kept)), field
        assert await rehearsal(fleet, "updateConnection", asked) == {}, "now it is so"

    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        fleet = runner.run(stack.enter_async_context(own_fleet(clock, among=[AIRBYTE])))

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @drawing(changes())
        def of(given: dict[str, Any]) -> None:
            runner.run(asyncio.wait_for(holds(fleet, given), 20))

        try:
            of()
        finally:
            runner.run(stack.aclose())
