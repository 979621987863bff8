"""What a client writes arrives upstream as the specification names it, and comes back where the graph shows it."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLInputObjectType
from hypothesis import HealthCheck, settings
from hypothesis import given as drawing
from jsonschema import Draft202012Validator

from adapters.airbyte.demo import connection_id
from adapters.airbyte.demo_catalog import operations
from adapters.airbyte.fields import SOURCE_MODELS
from adapters.imitation import Knobs
from adapters.secret import MASK
from adapters.unified_to.demo_data import WORKSPACE as OF_UNIFIED_TO
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Clock, Fleet
from tests.gateway.airbyte_inputs import (
    CRONS,
    DESTINATIONS,
    LATER_PREFERENCES,
    LATER_WRITE_MODES,
    OPERATIONS,
    SOURCES,
    WORKSPACE,
    ZONES,
    changes,
    creations,
    on_the_wire,
)
from tests.gateway.writing import GRAPH, done, global_id, mutate, own_fleet, picked, quiet, told, whole, writes

EXAMPLES = int(os.environ.get("ROUND_TRIPS", "60"))
SPECIFICATION = Path(__file__).parents[3] / "shared" / "upstreams" / "airbyte.openapi.json"
READ = f"""
    query ($id: ID!) {{
      connection(id: $id, maxAge: 0) {{
        nativeId name enabled source {{ id }} destination {{ id }}
        schedule {{ type every {{ units timeUnit }} cron {{ expression timeZone }} }}
        details {{ ... on AirbyteConnection {whole("AirbyteConnection")} }}
      }}
    }}"""
SECRET = "planted-by-a-test"


# --- what is expected, told a second time: from bodies on the wire to the graph


def name_on_the_record(field: str) -> str:
    """The name that a field of a change has when the record is read."""
    return {"sourceCatalogId": "catalogId"}.get(field, field)


def at(connection: Mapping[str, Any], field: str) -> Any:
    """What the graph has at the place that docs/fields.md names for a field of the record."""
    place = SOURCE_MODELS["WebBackendConnectionRead"][name_on_the_record(field)]
    value: Any = connection
    for part in place.split("."):
        if part != "AirbyteConnection":
            value = value and value[part]
    return value


def interval(wire: Mapping[str, Any]) -> dict[str, Any]:
    return {"units": str(wire["units"]), "timeUnit": wire["timeUnit"].upper()}


def schedule(body: Mapping[str, Any]) -> dict[str, Any]:
    data = body.get("scheduleData") or {}
    match body.get("scheduleType"):
        case "manual":
            return {"type": "MANUAL", "every": None, "cron": None}
        case "cron":
            cron = {"expression": data["cron"]["cronExpression"], "timeZone": data["cron"]["cronTimeZone"]}
            return {"type": "CRON", "every": None, "cron": cron}
        case _:
            every = data.get("basicSchedule") or body["schedule"]
            return {"type": "BASIC", "every": interval(every), "cron": None}


STREAM = (
    "name",
    "namespace",
    "jsonSchema",
    "supportedSyncModes",
    "sourceDefinedCursor",
    "defaultCursorField",
    "sourceDefinedPrimaryKey",
)
CONFIG = (
    "syncMode",
    "destinationSyncMode",
    "cursorField",
    "primaryKey",
    "selected",
    "suggested",
    "fieldSelectionEnabled",
    "selectedFields",
)


def catalog(wire: Mapping[str, Any]) -> dict[str, Any]:
    streams = [
        {
            "stream": {name: item["stream"].get(name) for name in STREAM},
            "config": {name: item["config"].get(name) for name in CONFIG}
            | {"aliasName": item["config"].get("aliasName") or None},
        }
        for item in wire["streams"]
    ]
    return {"streams": streams}


def operation(wire: Mapping[str, Any]) -> dict[str, Any]:
    """Without its id, which upstream makes; a webhook's deprecated parts are never read, since they hold secrets."""
    config = wire["operatorConfiguration"]
    dbt, webhook = config.get("dbt", {}), config.get("webhook", {})
    cloud = webhook.get("dbtCloud", {})
    return {
        "name": wire["name"],
        "workspaceId": wire["workspaceId"],
        "operatorType": config["operatorType"],
        "normalizationOption": config.get("normalization", {}).get("option"),
        "dbtGitRepoUrl": dbt.get("gitRepoUrl"),
        "dbtGitRepoBranch": dbt.get("gitRepoBranch") or None,
        "dbtDockerImage": dbt.get("dockerImage") or None,
        "dbtArguments": dbt.get("dbtArguments"),
        "webhookConfigId": webhook.get("webhookConfigId"),
        "webhookType": webhook.get("webhookType"),
        "dbtCloudAccountId": str(cloud["accountId"]) if cloud else None,
        "dbtCloudJobId": str(cloud["jobId"]) if cloud else None,
    }


def resources(wire: Mapping[str, Any]) -> dict[str, Any] | None:
    spelled = {"cpuRequest": "cpu_request", "cpuLimit": "cpu_limit"}
    spelled |= {"memoryRequest": "memory_request", "memoryLimit": "memory_limit"}
    return {name: wire.get(of) or None for name, of in spelled.items()}


def same(body: Mapping[str, Any], field: str) -> Any:
    return body[field] or None


SHOWN: Mapping[str, Callable[[Mapping[str, Any], str], Any]] = {
    "name": same,
    "namespaceDefinition": same,
    "namespaceFormat": same,
    "prefix": same,
    "sourceId": same,
    "destinationId": same,
    "operationIds": lambda body, field: body[field],
    "syncCatalog": lambda body, field: catalog(body[field]),
    "schedule": lambda body, field: interval(body[field]),
    "scheduleType": lambda body, field: body[field].upper(),
    "scheduleData": lambda body, _: schedule(body),
    "status": same,
    "resourceRequirements": lambda body, field: resources(body[field]),
    "operations": lambda body, field: list(map(operation, body[field])),
    "sourceCatalogId": same,
    "geography": same,
    "nonBreakingChangesPreference": same,
    "notifySchemaChanges": lambda body, field: body[field],
}
"""What each field of a body becomes at its place in the graph."""


def shown(connection: Mapping[str, Any], field: str, body: Mapping[str, Any]) -> Any:
    """What there is at the place of a field, without what upstream adds to what was written."""
    value = at(connection, field)
    if field == "operations":
        # Those that were asked for by their ids stand before those that were made.
        made = value[len(body.get("operationIds", ())) :]
        return [{name: item for name, item in one.items() if name != "operationId"} for one in made]
    if field == "operationIds":
        return value[: len(body[field])]
    return value


def assert_shown(connection: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """All that a body says is there."""
    for field in body.keys() - {"connectionId", "skipReset"}:
        assert shown(connection, field, body) == SHOWN[field](body, field), field
    assert connection["enabled"] is (connection["details"]["rawStatus"] == "active")


# --- how it is sent and read


async def read(fleet: Fleet, native_id: str) -> dict[str, Any]:
    return (await fleet.data(READ, {"id": global_id(AIRBYTE, native_id)}))["connection"]


async def created(fleet: Fleet, given: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The body that arrived for an input, and the connection that is read afterwards."""
    fleet.forget()
    payload = await done(fleet, "createConnection", {"instance": AIRBYTE, "airbyte": given})
    (call,) = writes(fleet, AIRBYTE)
    assert (call.method, call.path) == ("POST", "/api/v1/web_backend/connections/create")
    return call.json(), await read(fleet, payload["connection"]["nativeId"])


async def updated(fleet: Fleet, native_id: str, given: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Likewise, of a change."""
    fleet.forget()
    await done(fleet, "updateConnection", {"id": global_id(AIRBYTE, native_id), "airbyte": given})
    (call,) = writes(fleet, AIRBYTE)
    assert (call.method, call.path) == ("POST", "/api/v1/web_backend/connections/update")
    return call.json(), await read(fleet, native_id)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return quiet()


@pytest.fixture(scope="module")
async def fleet(clock: Clock) -> AsyncGenerator[Fleet]:
    async with own_fleet(clock, among=[AIRBYTE]) as fleet:
        yield fleet


def for_all(strategy: Any, holds: Callable[[Fleet, Any], Awaitable[None]]) -> None:
    """That something holds for many inputs, the same ones in every run, over one gateway."""
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        fleet = runner.run(stack.enter_async_context(own_fleet(quiet(), among=[AIRBYTE])))

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @drawing(strategy)
        def of(drawn: Any) -> None:
            runner.run(asyncio.wait_for(holds(fleet, drawn), 20))  # pyright: ignore[reportArgumentType]

        try:
            of()
        finally:
            runner.run(stack.aclose())


# --- the seventeen fields of a creation


MINIMAL = {"sourceId": SOURCES[3], "destinationId": DESTINATIONS[2], "status": "INACTIVE"}
EVERY = {
    "syncMode": "INCREMENTAL",
    "destinationSyncMode": "APPEND_DEDUP",
    "cursorField": ["meta", "updated_at"],
    "primaryKey": [["id"], ["tenant", "id"]],
    "aliasName": "Bestellungen",
    "selected": True,
    "suggested": False,
    "fieldSelectionEnabled": True,
    "selectedFields": [{"fieldPath": ["id"]}, {"fieldPath": ["address", "city"]}],
}
STREAMS = [
    {
        "stream": {
            "name": "orders",
            "namespace": "public",
            "jsonSchema": {"type": "object", "properties": {"id": {"type": ["null", "integer"]}, "ñ": {}}},
            "supportedSyncModes": ["FULL_REFRESH", "INCREMENTAL"],
            "sourceDefinedCursor": False,
            "defaultCursorField": ["updated_at"],
            "sourceDefinedPrimaryKey": [["id"]],
        },
        "config": EVERY,
    },
    {
        "stream": {"name": "イベント", "namespace": "public"},
        "config": {"syncMode": "FULL_REFRESH", "destinationSyncMode": "OVERWRITE"},
    },
]
MADE = [
    {
        "name": "Normalize",
        "workspaceId": WORKSPACE,
        "operatorConfiguration": {"operatorType": "NORMALIZATION", "normalization": {"option": "basic"}},
    },
    {
        "name": "Models",
        "workspaceId": WORKSPACE,
        "operatorConfiguration": {
            "operatorType": "DBT",
            "dbt": {
                "gitRepoUrl": "https://git.example.com/models.git",
                "gitRepoBranch": "main",
                "dockerImage": "dbt:1",
                "dbtArguments": "run --select orders",
            },
        },
    },
    {
        "name": "Job",
        "workspaceId": WORKSPACE,
        "operatorConfiguration": {
            "operatorType": "WEBHOOK",
            "webhook": {
                "webhookConfigId": WORKSPACE,
                "webhookType": "dbtCloud",
                "dbtCloud": {"accountId": str(2**60 + 1), "jobId": 7},
                "executionUrl": f"https://hooks.example.com/{SECRET}",
                "executionBody": SECRET,
            },
        },
    },
]
LEGACY = {"schedule": {"units": 6, "timeUnit": "HOURS"}}
CRON = {
    "scheduleType": "CRON",
    "scheduleData": {"cron": {"cronExpression": CRONS[1], "cronTimeZone": ZONES[1]}},
}
SETTINGS = {
    "name": "在庫マスタ → BigQuery",
    "namespaceDefinition": "CUSTOMFORMAT",
    "namespaceFormat": "raw_${SOURCE_NAMESPACE}",
    "prefix": "eu_",
    "syncCatalog": {"streams": STREAMS},
    "status": "ACTIVE",
    "resourceRequirements": {"cpuRequest": "0.25", "cpuLimit": "1", "memoryRequest": "512Mi", "memoryLimit": "1Gi"},
    "operations": MADE,
    "sourceCatalogId": "00000000-0000-4000-8000-000000000001",
    "geography": "us",
    "nonBreakingChangesPreference": "DISABLE",
}
FULL = {**MINIMAL, **SETTINGS, "operationIds": OPERATIONS[:2]}
"""All fields but those of a schedule, of which there are two forms."""


def test_the_input_has_the_seventeen_fields_of_the_specification_and_these_tests_have_them_all():
    kind = GRAPH.type_map["AirbyteConnectionCreate"]
    assert isinstance(kind, GraphQLInputObjectType)
    seventeen = set(SOURCE_MODELS["WebBackendConnectionCreate"])
    assert len(seventeen) == 17
    assert set(kind.fields) == (FULL | LEGACY | CRON).keys() == seventeen
    assert seventeen <= SHOWN.keys()


@pytest.mark.parametrize("schedule", [LEGACY, CRON], ids=["the old form", "the new form"])
async def test_every_field_arrives_as_the_specification_names_it_and_comes_back(fleet: Fleet, schedule: dict[str, Any]):
    body, connection = await created(fleet, FULL | schedule)
    assert body == on_the_wire(FULL | schedule)
    assert_shown(connection, body)


async def test_the_body_that_arrives_is_written_as_the_specification_writes_it(fleet: Fleet):
    """A sample by hand, so that no function stands between what is sent and what is looked at."""
    stream = {"stream": STREAMS[0]["stream"], "config": EVERY}
    given = {**MINIMAL, **CRON, "syncCatalog": {"streams": [stream]}, "resourceRequirements": {"cpuRequest": "1"}}
    body, _ = await created(fleet, given | {"operations": MADE[2:]})
    assert body == {
        "sourceId": SOURCES[3],
        "destinationId": DESTINATIONS[2],
        "status": "inactive",
        "scheduleType": "cron",
        "scheduleData": {"cron": {"cronExpression": "0 30 2 ? * 2-6", "cronTimeZone": "Europe/Berlin"}},
        "syncCatalog": {
            "streams": [
                {
                    "stream": {
                        "name": "orders",
                        "namespace": "public",
                        "jsonSchema": {
                            "type": "object",
                            "properties": {"id": {"type": ["null", "integer"]}, "ñ": {}},
                        },
                        "supportedSyncModes": ["full_refresh", "incremental"],
                        "sourceDefinedCursor": False,
                        "defaultCursorField": ["updated_at"],
                        "sourceDefinedPrimaryKey": [["id"]],
                    },
                    "config": {
                        "syncMode": "incremental",
                        "destinationSyncMode": "append_dedup",
                        "cursorField": ["meta", "updated_at"],
                        "primaryKey": [["id"], ["tenant", "id"]],
                        "aliasName": "Bestellungen",
                        "selected": True,
                        "suggested": False,
                        "fieldSelectionEnabled": True,
                        "selectedFields": [{"fieldPath": ["id"]}, {"fieldPath": ["address", "city"]}],
                    },
                }
            ]
        },
        "resourceRequirements": {"cpu_request": "1"},
        "operations": [
            {
                "name": "Job",
                "workspaceId": WORKSPACE,
                "operatorConfiguration": {
                    "operatorType": "webhook",
                    "webhook": {
                        "webhookConfigId": WORKSPACE,
                        "webhookType": "dbtCloud",
                        "dbtCloud": {"accountId": 2**60 + 1, "jobId": 7},
                        "executionUrl": f"https://hooks.example.com/{SECRET}",
                        "executionBody": SECRET,
                    },
                },
            }
        ],
    }


@pytest.mark.parametrize("field", sorted((FULL | LEGACY | CRON).keys() - MINIMAL.keys()))
async def test_each_field_alone_arrives_alone(fleet: Fleet, field: str):
    alone = {**(CRON if field.startswith("schedule") and field != "schedule" else {}), **MINIMAL}
    given = alone | {field: (FULL | LEGACY | CRON)[field]}
    body, connection = await created(fleet, given)
    assert body == on_the_wire(given)
    assert_shown(connection, body)


async def test_of_absent_fields_and_of_null_nothing_arrives(fleet: Fleet):
    nulls = dict.fromkeys((FULL | LEGACY | CRON).keys() - MINIMAL.keys())
    for asked in (MINIMAL, {**MINIMAL, **nulls}):
        body, connection = await created(fleet, asked)
        assert body == {"sourceId": SOURCES[3], "destinationId": DESTINATIONS[2], "status": "inactive"}
        assert_shown(connection, body)
        assert connection["name"], "upstream makes one"


def test_whatever_is_created_arrives_as_it_is_specified_and_comes_back():
    async def holds(fleet: Fleet, given: dict[str, Any]) -> None:
        body, connection = await created(fleet, given)
        assert body == on_the_wire(given)
        assert_valid("WebBackendConnectionCreate", body)
        assert_shown(connection, body)

    for_all(creations(), holds)


# --- the specification itself, where it is at hand


def closed(schema: Any) -> Any:
    """The schema without room for what it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    own = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
    return {**{name: closed(part) for name, part in schema.items()}, **own}


def validators() -> Mapping[str, Draft202012Validator]:
    """By their names the schemas of what is written; none where the specification is not at hand."""
    if not SPECIFICATION.is_file():
        return {}
    schemas = json.loads(SPECIFICATION.read_bytes())["components"]["schemas"]
    # The two vocabularies that have grown since the version that is described there.
    schemas["DestinationSyncMode"]["enum"] += map(str.lower, LATER_WRITE_MODES)
    schemas["NonBreakingChangesPreference"]["enum"] += map(str.lower, LATER_PREFERENCES)
    components = {"components": {"schemas": closed(schemas)}}
    return {
        name: Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", **components}, format_checker=Draft202012Validator.FORMAT_CHECKER
        )
        for name in ("WebBackendConnectionCreate", "WebBackendConnectionUpdate")
    }


VALIDATORS = validators()


def assert_valid(name: str, body: Any) -> None:
    if name in VALIDATORS:
        VALIDATORS[name].validate(body)


@pytest.mark.skipif(not VALIDATORS, reason="the upstream's OpenAPI document is not part of this repository")
async def test_what_arrives_is_valid_against_the_openapi_document(fleet: Fleet):
    for schedule in (LEGACY, CRON):
        body, _ = await created(fleet, FULL | schedule)
        assert_valid("WebBackendConnectionCreate", body)
    body, _ = await updated(fleet, connection_id(0), {**SETTINGS, **CRON, **REST})
    assert_valid("WebBackendConnectionUpdate", body)
    for wrong in ({}, {**body, "geography": "mars"}, {**body, "colour": "red"}, {**body, "connectionId": "7"}):
        assert not VALIDATORS["WebBackendConnectionUpdate"].is_valid(wrong), "it can fail"


# --- changes


REST = {"skipReset": True, "notifySchemaChanges": False}
CHANGES: Mapping[str, dict[str, Any]] = {
    **{name: {name: value} for name, value in SETTINGS.items() if name not in ("syncCatalog", "status")},
    "status": {"status": "INACTIVE"},
    "syncCatalog": {"syncCatalog": SETTINGS["syncCatalog"], "skipReset": True},
    "schedule": LEGACY,
    "scheduleType": {"scheduleType": "MANUAL"},
    "scheduleData": CRON,
    "notifySchemaChanges": {"notifySchemaChanges": False},
    "skipReset": {"skipReset": False, "prefix": "x_"},
}
"""The smallest change that has each field."""
SEEN: Mapping[str, Sequence[str]] = {
    "operations": ("operations", "operationIds"),
    "schedule": ("schedule", "scheduleType", "scheduleData"),
    "scheduleType": ("schedule", "scheduleType", "scheduleData"),
    "scheduleData": ("schedule", "scheduleType", "scheduleData"),
    "skipReset": ("prefix",),
}
"""Where a change shows, if not at its own field alone."""


@pytest.fixture
async def native_id(fleet: Fleet) -> str:
    """A connection of one's own, in everything another than what it is changed to."""
    return await subject(fleet)


async def subject(fleet: Fleet) -> str:
    every = {"scheduleType": "BASIC", "scheduleData": {"basicSchedule": {"units": 1, "timeUnit": "DAYS"}}}
    _, connection = await created(fleet, {**MINIMAL, "status": "ACTIVE", **every})
    fleet.forget()
    return connection["nativeId"]


def test_these_tests_have_every_field_of_a_change():
    kind = GRAPH.type_map["AirbyteConnectionUpdate"]
    assert isinstance(kind, GraphQLInputObjectType)
    assert set(kind.fields) == CHANGES.keys()
    assert all(field in change for field, change in CHANGES.items())


@pytest.mark.parametrize("field", CHANGES)
async def test_each_field_is_changed_alone_and_all_others_stay(fleet: Fleet, native_id: str, field: str):
    given = CHANGES[field]
    before = await read(fleet, native_id)
    body, after = await updated(fleet, native_id, given)
    assert body == {"connectionId": native_id, **on_the_wire(given)}
    assert_shown(after, body)
    own = SEEN.get(field, (field,))
    moved = [name for name in SHOWN if at(before, name) != at(after, name)]
    assert set(moved) <= set(own)
    assert moved, "it was another before"


async def test_all_fields_are_changed_together(fleet: Fleet, native_id: str):
    for schedule in (LEGACY, CRON):
        body, connection = await updated(fleet, native_id, {**SETTINGS, **schedule, **REST})
        assert body == {"connectionId": native_id, **on_the_wire({**SETTINGS, **schedule, **REST})}
        assert_shown(connection, body)


def test_whatever_is_changed_arrives_as_it_is_specified_and_the_rest_stays():
    async def holds(fleet: Fleet, given: dict[str, Any]) -> None:
        native_id = connection_id(3)
        before = await read(fleet, native_id)
        body, after = await updated(fleet, native_id, given)
        assert body == {"connectionId": native_id, **on_the_wire(given)}
        assert_valid("WebBackendConnectionUpdate", body)
        assert_shown(after, body)
        touched = {other for name in given for other in SEEN.get(name, (name,))}
        for field in SHOWN.keys() - touched:
            assert at(before, field) == at(after, field), field

    for_all(changes(), holds)


CLEARED = {"namespaceFormat": "", "prefix": "", "operations": [], "resourceRequirements": {}}
"""What Airbyte takes for nothing; null it takes for as it was."""


@pytest.mark.parametrize("field", CLEARED)
async def test_null_clears_what_airbyte_can_clear(fleet: Fleet, native_id: str, field: str):
    await updated(fleet, native_id, CHANGES[field])
    body, connection = await updated(fleet, native_id, {field: None})
    assert body == {"connectionId": native_id, field: CLEARED[field]}
    there = at(connection, field)
    assert not (any(there.values()) if isinstance(there, dict) else there)


@pytest.mark.parametrize("field", sorted(CHANGES.keys() - CLEARED.keys()))
async def test_null_for_what_airbyte_cannot_clear_is_told_and_nothing_is_sent(fleet: Fleet, native_id: str, field: str):
    given = {"id": global_id(AIRBYTE, native_id), "airbyte": {"prefix": "y_", field: None}}
    answered = await mutate(fleet, "updateConnection", given)
    assert told(answered["data"]["updateConnection"]) == {(f"airbyte.{field}", "CANNOT_CLEAR")}
    assert writes(fleet, AIRBYTE) == []


async def test_null_for_an_idempotency_key_or_an_expected_time_is_as_good_as_leaving_it_out(
    fleet: Fleet, native_id: str
):
    nothing = {"idempotencyKey": None, "expectedUpdatedAt": None, "ref": None}
    given = {"id": global_id(AIRBYTE, native_id), "airbyte": {"prefix": "y_"}, **nothing}
    await done(fleet, "updateConnection", given)
    assert len(writes(fleet, AIRBYTE)) == 1


@pytest.mark.parametrize("more", [{}, {"prefix": "x_"}], ids=["alone", "with another field"])
async def test_a_catalog_goes_with_a_word_on_what_it_may_cost(fleet: Fleet, native_id: str, more: dict[str, Any]):
    given = {"syncCatalog": SETTINGS["syncCatalog"], **more}
    id = global_id(AIRBYTE, native_id)
    answered = await mutate(fleet, "updateConnection", {"id": id, "airbyte": given})
    assert told(answered["data"]["updateConnection"]) == {("airbyte.skipReset", "REQUIRED")}
    assert writes(fleet, AIRBYTE) == []


@pytest.mark.parametrize("skip_reset", [True, False])
async def test_what_changed_streams_have_written_is_cleared_only_where_that_is_said(
    fleet: Fleet, native_id: str, skip_reset: bool
):
    given = {"syncCatalog": SETTINGS["syncCatalog"], "skipReset": skip_reset}
    body, _ = await updated(fleet, native_id, given)
    assert body["skipReset"] is skip_reset
    kinds = [effect.kind for effect in fleet.servers[AIRBYTE].effects if effect.id == native_id][1:]
    assert kinds == (["update"] if skip_reset else ["update", "reset"])


async def test_an_operation_is_changed_by_its_id_and_one_without_is_made(fleet: Fleet):
    native_id = connection_id(4)
    (present,) = operations(4, WORKSPACE, SECRET)
    renamed = {**MADE[0], "name": "Renamed", "operationId": present["operationId"]}
    body, connection = await updated(fleet, native_id, {"operations": [renamed, MADE[1]]})
    assert [item.get("operationId") for item in body["operations"]] == [present["operationId"], None]
    assert connection["details"]["operationIds"][0] == present["operationId"]
    assert [item["name"] for item in connection["details"]["operations"]] == ["Renamed", "Models"]


async def test_a_change_that_was_lost_is_not_taken_for_done_where_what_it_was_to_drop_is_still_there(clock: Clock):
    async with own_fleet(clock, among=[AIRBYTE], writes={"settle": 0.05}) as fleet:
        present = (await read(fleet, connection_id(4)))["details"]
        assert present["resourceRequirements"]["memoryRequest"], "it has more than it is to have"
        fleet.servers[AIRBYTE].knobs = Knobs(reset=True, only="/connections/update", times=1)
        given = {"resourceRequirements": {"cpuRequest": present["resourceRequirements"]["cpuRequest"]}}
        asked = {"id": global_id(AIRBYTE, connection_id(4)), "airbyte": given}
        answered = await mutate(fleet, "updateConnection", asked)
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["OUTCOME_UNKNOWN"]


# --- secrets


async def test_credentials_arrive_as_they_are_and_are_masked_wherever_they_are_read(fleet: Fleet):
    url = f"https://ci:{SECRET}@git.example.com/models.git"
    dbt = {"gitRepoUrl": url, "dbtArguments": f"run --vars password={SECRET}"}
    configuration = {"operatorType": "DBT", "dbt": dbt}
    made = [{**MADE[1], "operatorConfiguration": configuration}, MADE[2]]
    body, connection = await created(fleet, {**MINIMAL, "operations": made})
    assert body["operations"][0]["operatorConfiguration"]["dbt"] == dbt
    assert body["operations"][1]["operatorConfiguration"]["webhook"]["executionBody"] == SECRET
    assert SECRET not in json.dumps(connection)
    assert connection["details"]["operations"][0]["dbtGitRepoUrl"] == "https://**********@git.example.com/models.git"


# --- Unified.to and Wdata


@pytest.fixture(scope="module")
async def others(clock: Clock) -> AsyncGenerator[Fleet]:
    async with own_fleet(clock, {UNIFIED_TO: {"import_credentials": True}}, [UNIFIED_TO, WORKIVA]) as fleet:
        yield fleet


SEEN_OF_UNIFIED_TO = """
    query ($id: ID!) {
      connection(id: $id, maxAge: 0) {
        source { type } environment externalRef categories permissions
        details { ... on UnifiedToConnection { hasAuth } }
      }
    }"""


async def test_credentials_are_imported_as_unified_to_names_them_and_are_never_read(others: Fleet):
    others.forget()
    auth = {"access_token": SECRET, "refresh_token": SECRET, "meta": {"hub_domain": "x", "nothing": None}}
    given = {
        "integrationType": "hubspot",
        "environment": "Sandbox",
        "externalXref": "顧客-7",
        "credentials": {"categories": ["crm", "martech"], "permissions": ["crm_contact_read"], "auth": auth},
    }
    payload = await done(others, "createConnection", {"instance": UNIFIED_TO, "unifiedTo": given})
    (call,) = writes(others, UNIFIED_TO)
    assert (call.method, call.path) == ("POST", "/unified/connection")
    assert call.json() == {
        "integration_type": "hubspot",
        "environment": "Sandbox",
        "external_xref": "顧客-7",
        "categories": ["crm", "martech"],
        "permissions": ["crm_contact_read"],
        "auth": auth,
    }
    answered = await others.data(SEEN_OF_UNIFIED_TO, {"id": payload["connection"]["id"]})
    assert answered["connection"] == {
        "source": {"type": "hubspot"},
        "environment": "Sandbox",
        "externalRef": "顧客-7",
        "categories": ["crm", "martech"],
        "permissions": ["crm_contact_read"],
        "details": {"hasAuth": True},
    }
    assert SECRET not in json.dumps([payload, answered])


async def test_an_address_is_asked_for_with_all_that_was_said_of_it(others: Fleet):
    others.forget()
    how = {
        "successRedirect": "https://app.example.com/ok?a=1&b=ä",
        "failureRedirect": "https://app.example.com/no#x",
        "scopes": ["crm_contact_read", "crm_deal_write"],
        "state": "s t/&=?",
        "lang": "fr",
        "subdomain": "acme",
    }
    given = {"integrationType": "hubspot", "environment": "Staging", "externalXref": "c+7", "authorization": how}
    payload = await done(others, "createConnection", {"instance": UNIFIED_TO, "unifiedTo": given})
    (call,) = writes(others, UNIFIED_TO)
    assert (call.method, call.path) == ("GET", f"/unified/integration/auth/{OF_UNIFIED_TO}/hubspot")
    assert call.params().multi_items() == [
        ("env", "Staging"),
        ("external_xref", "c+7"),
        ("success_redirect", how["successRedirect"]),
        ("failure_redirect", how["failureRedirect"]),
        ("scopes", "crm_contact_read"),
        ("scopes", "crm_deal_write"),
        ("state", "s t/&=?"),
        ("lang", "fr"),
        ("subdomain", "acme"),
    ]
    assert payload["authorizationUrl"].startswith("https://connect.example.com/")
    assert payload["connection"] is None


CHANGES_OF_UNIFIED_TO = {
    "externalXref": ("external_xref", "kunde-ß", "externalRef", "kunde-ß"),
    "environment": ("environment", "Sandbox", "environment", "Sandbox"),
    "categories": ("categories", ["ats"], "categories", ["ats"]),
    "permissions": ("permissions", [], "permissions", []),
}


@pytest.mark.parametrize("field", CHANGES_OF_UNIFIED_TO)
async def test_each_field_of_unified_to_is_changed_alone(others: Fleet, field: str):
    theirs, value, ours, shown_value = CHANGES_OF_UNIFIED_TO[field]
    id = global_id(UNIFIED_TO, others.servers[UNIFIED_TO].id_of(3))
    before = (await others.data(SEEN_OF_UNIFIED_TO, {"id": id}))["connection"]
    others.forget()
    await done(others, "updateConnection", {"id": id, "unifiedTo": {field: value}})
    (call,) = writes(others, UNIFIED_TO)
    assert (call.method, call.json()) == ("PATCH", {theirs: value})
    after = (await others.data(SEEN_OF_UNIFIED_TO, {"id": id}))["connection"]
    assert after == {**before, ours: shown_value} != before


async def test_null_clears_the_reference_of_unified_to(others: Fleet):
    id = global_id(UNIFIED_TO, others.servers[UNIFIED_TO].id_of(4))
    others.forget()
    await done(others, "updateConnection", {"id": id, "unifiedTo": {"externalXref": None}})
    (call,) = writes(others, UNIFIED_TO)
    assert call.json() == {"external_xref": ""}
    assert (await others.data(SEEN_OF_UNIFIED_TO, {"id": id}))["connection"]["externalRef"] is None


def test_these_tests_have_every_field_of_a_change_of_unified_to():
    kind = GRAPH.type_map["UnifiedToConnectionUpdate"]
    assert isinstance(kind, GraphQLInputObjectType)
    assert set(kind.fields) == CHANGES_OF_UNIFIED_TO.keys()


RUN_OF_WDATA = """
    query ($id: ID!) {
      connection(id: $id, maxAge: 0) {
        details {
          ... on WorkivaConnection {
            lastRunJobId lastRunSourceParameters lastRunDestinationParameters
          }
        }
      }
    }"""


async def test_a_run_of_wdata_gets_its_parameters_and_shows_them(others: Fleet):
    row = await picked(others, WORKIVA, "RUN")
    others.forget()
    source, destination = {"period": "2026-Q3", "rows": [1, None, {"ü": 1.5}], "password": SECRET}, {"cell": "A1"}
    given = {"sourceParameters": source, "destinationParameters": destination}
    payload = await done(others, "runConnection", {"id": row.id, "workiva": given})
    (call,) = writes(others, WORKIVA)
    assert (call.method, call.path) == ("POST", f"/api/v1/connections/{row.native_id}/refresh")
    assert call.json() == given
    details = (await others.data(RUN_OF_WDATA, {"id": row.id}))["connection"]["details"]
    assert details == {
        "lastRunJobId": payload["run"]["id"],
        "lastRunSourceParameters": {**source, "password": MASK},
        "lastRunDestinationParameters": destination,
    }


async def test_a_run_of_wdata_can_get_what_the_run_before_got(others: Fleet):
    row = await picked(others, WORKIVA, "RUN")
    others.forget()
    given = {"usePreviousSourceParameters": True, "usePreviousDestinationParameters": False}
    await done(others, "runConnection", {"id": row.id, "workiva": given})
    (call,) = writes(others, WORKIVA)
    assert call.json() == given


async def test_runs_of_one_spreadsheet_are_one_call_with_the_parameters_of_each(others: Fleet):
    ids = [global_id(WORKIVA, others.servers[WORKIVA].id_of(number)) for number in (30, 40, 50)]
    others.forget()
    given = {"sourceParameters": {"period": "2026-Q3"}, "cancelUnwritables": True}
    payload = await done(others, "runConnections", {"ids": ids, "workiva": given})
    (call,) = writes(others, WORKIVA)
    assert (call.method, call.path, call.query) == (
        "POST",
        "/api/v1/connections/batch/refresh",
        "cancelUnwritables=true",
    )
    each = [others.servers[WORKIVA].id_of(number) for number in (30, 40, 50)]
    assert call.json() == [{"connectionId": id, "sourceParameters": {"period": "2026-Q3"}} for id in each]
    assert len({result["run"]["id"] for result in payload["results"]}) == 3
