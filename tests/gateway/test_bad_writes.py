"""What cannot be meant, or cannot be done now, is told with its place and a code, and nothing is written."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from typing import Any

import pytest

from adapters import ids
from adapters.airbyte.demo import WORKSPACES, AirbyteImitation, connection_id, workspace_id
from adapters.airbyte.demo_catalog import TABLES
from adapters.airbyte.demo_data import end_id
from adapters.capabilities import OF_A_CONNECTION, OF_AN_INSTANCE
from adapters.imitation import Knobs, native_id
from gateway.schema.providers import PROVIDERS
from tests.adapters.contracted import Rewritten
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Clock, Fleet
from tests.gateway.airbyte_inputs import DESTINATIONS, SOURCES, WORKSPACE
from tests.gateway.test_writes_round_trip import FULL
from tests.gateway.writing import (
    ALL,
    KEY,
    NAMES,
    PROVIDER,
    READER,
    Input,
    Row,
    done,
    effects,
    global_id,
    mistakes_of,
    mutate,
    own_fleet,
    picked,
    provider_has,
    quiet,
    rows,
    told,
    writes,
    written,
)
from tests.trees import inside, replaced

NOWHERE = "00000000-0000-4000-8000-000000000000"
"""A UUID of nothing."""
HERE, THERE = map(workspace_id, WORKSPACES)
KEYS = {"mode": "api_key", "keys": {"writer": KEY, "reader": READER}, "read_only": ["reader"]}


@pytest.fixture(scope="module")
def clock() -> Clock:
    return quiet()


@pytest.fixture(scope="module")
async def fleet(clock: Clock) -> AsyncGenerator[Fleet]:
    """For what is never done, after which nothing is different: so one will do."""
    async with own_fleet(clock, limits={"body_bytes": 8_000_000}) as fleet:
        yield fleet
        assert effects(fleet) == []


@pytest.fixture
async def written_to(clock: Clock) -> AsyncGenerator[Fleet]:
    async with own_fleet(clock) as fleet:
        yield fleet


async def assert_refused(fleet: Fleet, name: str, given: Input, *expected: tuple[str, str]) -> None:
    """That nothing is written, and exactly these mistakes are told, for a rehearsal too."""
    before = effects(fleet)
    for dry in (True, False):
        fleet.forget()
        answered = await mutate(fleet, name, {**given, "dryRun": dry})
        assert "errors" not in answered, answered["errors"]
        payload = answered["data"][name]
        assert told(payload) == set(expected)
        assert len(mistakes_of(payload)) == len(expected)
        assert written(fleet) == []
        assert not (payload["dryRun"] or {}).get("requests")
        for nothing in ("connection", "run", "task", "deletedId", "authorizationUrl"):
            assert payload.get(nothing) is None
    assert effects(fleet) == before


# --- connections of Airbyte that cannot be


NEW = {"sourceId": SOURCES[4], "destinationId": DESTINATIONS[1], "status": "ACTIVE"}
CONFIG = {"syncMode": "FULL_REFRESH", "destinationSyncMode": "APPEND"}


def stream(name: str = TABLES[0], namespace: str | None = "public", **config: Any) -> dict[str, Any]:
    return {"stream": {"name": name, "namespace": namespace}, "config": {**CONFIG, **config}}


def streams(*each: Any) -> dict[str, Any]:
    return {"syncCatalog": {"streams": list(each)}}


def cron(expression: str = "0 0 2 * * ?", zone: str = "UTC") -> dict[str, Any]:
    data = {"cron": {"cronExpression": expression, "cronTimeZone": zone}}
    return {"scheduleType": "CRON", "scheduleData": data}


def basic(units: Any = 1, unit: str = "HOURS") -> dict[str, Any]:
    return {"scheduleType": "BASIC", "scheduleData": {"basicSchedule": {"units": units, "timeUnit": unit}}}


def operations(*configurations: Any, **more: Any) -> dict[str, Any]:
    each = [
        {"name": "Then", "workspaceId": WORKSPACE, "operatorConfiguration": configuration, **more}
        for configuration in configurations
    ]
    return {"operations": each}


BASIC, CRON = basic()["scheduleData"], cron()["scheduleData"]
EXPRESSIONS = (
    "",
    " ",
    "nonsense",
    "@daily",
    "* * * * *",
    "0 0 25 * * ?",
    "61 0 0 * * ?",
    "0 0 0 32 * ?",
    "0 0 0 ? * 8",
    "0 0 0 1 13 ?",
    "0 0 0 1 1 1",
    "0 0 0 * * ? 2026 x",
    "0 0 0 * * ? 1969",
    "0 0/0 0 * * ?",
    "0 0 0 * * *",
    "0 0 0 * * MON",
    "0 0 0 1 * *",
    "0 0 0 ? * ?",
    "0 0 0 ? * MONDAY",
    "; DROP TABLE x * ?",
    "0 " * 20_000,
)
ZONES = (
    "",
    " ",
    "Mars/Olympus",
    "Berlin",
    "+02:00",
    "UTC+25",
    "../../etc/passwd",
    "/etc/passwd",
    "Etc/UTC",
    "Etc/GMT+3",
    "\u0000",
    "x" * 5000,
)
EITHER: Mapping[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "both forms of a schedule": ({"schedule": BASIC["basicSchedule"], **cron()}, [("schedule", "CONTRADICTION")]),
    "the old form and a type": (
        {"schedule": BASIC["basicSchedule"], "scheduleType": "MANUAL"},
        [("schedule", "CONTRADICTION")],
    ),
    "a basic type without data": ({"scheduleType": "BASIC"}, [("scheduleData.basicSchedule", "REQUIRED")]),
    "a cron type without data": ({"scheduleType": "CRON"}, [("scheduleData.cron", "REQUIRED")]),
    "a cron type with nothing in its data": (
        {"scheduleType": "CRON", "scheduleData": {}},
        [("scheduleData.cron", "REQUIRED")],
    ),
    "a cron type with data of the other": (
        {"scheduleType": "CRON", "scheduleData": BASIC},
        [("scheduleData.cron", "REQUIRED"), ("scheduleData.basicSchedule", "CONTRADICTION")],
    ),
    "a basic type with both": (
        {"scheduleType": "BASIC", "scheduleData": {**BASIC, **CRON}},
        [("scheduleData.cron", "CONTRADICTION")],
    ),
    "data of an interval without a type": ({"scheduleData": BASIC}, [("scheduleType", "REQUIRED")]),
    "data of a cron without a type": ({"scheduleData": CRON}, [("scheduleType", "REQUIRED")]),
    "data of what people start": (
        {"scheduleType": "MANUAL", "scheduleData": CRON},
        [("scheduleType", "CONTRADICTION")],
    ),
    **{
        f"an interval of {units}": (basic(units), [("scheduleData.basicSchedule.units", "INVALID")])
        for units in (0, -1, 2**31, str(10**39), "-0")
    },
    "an interval of an unknown unit": (basic(1, "UNKNOWN"), [("scheduleData.basicSchedule.timeUnit", "INVALID")]),
    "the old form of nothing": (
        {"schedule": {"units": 0, "timeUnit": "UNKNOWN"}},
        [("schedule.units", "INVALID"), ("schedule.timeUnit", "INVALID")],
    ),
    **{
        f"the expression {expression[:20]!r}": (
            cron(expression),
            [("scheduleData.cron.cronExpression", "INVALID")],
        )
        for expression in EXPRESSIONS
    },
    **{f"the zone {zone[:20]!r}": (cron(zone=zone), [("scheduleData.cron.cronTimeZone", "INVALID")]) for zone in ZONES},
    "neither an expression nor a zone": (
        cron("never", "nowhere"),
        [("scheduleData.cron.cronExpression", "INVALID"), ("scheduleData.cron.cronTimeZone", "INVALID")],
    ),
    "a stream that the source has not": (
        streams(stream(), stream("gone")),
        [("syncCatalog.streams.1.stream.name", "UNKNOWN_ID")],
    ),
    "a stream of another namespace": (
        streams(stream(namespace="private")),
        [("syncCatalog.streams.0.stream.name", "UNKNOWN_ID")],
    ),
    "a stream of no namespace": (
        streams(stream(namespace=None)),
        [("syncCatalog.streams.0.stream.name", "UNKNOWN_ID")],
    ),
    "a stream twice": (
        streams(stream(), stream(TABLES[1]), stream()),
        [(f"syncCatalog.streams.{at}.stream.name", "CONTRADICTION") for at in (0, 2)],
    ),
    "streams without their halves": (
        streams({}, {"stream": {"name": TABLES[0], "namespace": "public"}}, {"config": CONFIG}),
        [
            ("syncCatalog.streams.0.stream", "REQUIRED"),
            ("syncCatalog.streams.0.config", "REQUIRED"),
            ("syncCatalog.streams.1.config", "REQUIRED"),
            ("syncCatalog.streams.2.stream", "REQUIRED"),
        ],
    ),
    "one kept for each key, without a key": (
        streams(*(stream(TABLES[at], destinationSyncMode=f"{mode}_DEDUP") for at, mode in enumerate(("APPEND",)))),
        [("syncCatalog.streams.0.config.primaryKey", "REQUIRED")],
    ),
    "tables replaced by key, with an empty key": (
        streams(stream(destinationSyncMode="OVERWRITE_DEDUP", primaryKey=[])),
        [("syncCatalog.streams.0.config.primaryKey", "REQUIRED")],
    ),
    "some fields, and none said": (
        streams(stream(fieldSelectionEnabled=True), stream(TABLES[1], fieldSelectionEnabled=True, selectedFields=[])),
        [("syncCatalog.streams.0.config.selectedFields", "REQUIRED")],
    ),
    "a blank name": ({"name": " \t"}, [("name", "INVALID")]),
    "a deleted status": ({"status": "DEPRECATED"}, [("status", "INVALID")]),
    "a catalog's id that is none": ({"sourceCatalogId": "latest"}, [("sourceCatalogId", "INVALID")]),
    "operations without what they do": (
        operations({"operatorType": "DBT"}, {"operatorType": "WEBHOOK"}),
        [
            ("operations.0.operatorConfiguration.dbt", "REQUIRED"),
            ("operations.1.operatorConfiguration.webhook", "REQUIRED"),
        ],
    ),
    "an operation of a workspace that is none": (
        operations({"operatorType": "NORMALIZATION"}, workspaceId="ours"),
        [("operations.0.workspaceId", "INVALID")],
    ),
    "an operation with an id that is none": (
        operations({"operatorType": "NORMALIZATION"}, operationId="first"),
        [("operations.0.operationId", "INVALID")],
    ),
    "several mistakes at once": (
        {"name": "", **basic(0), **streams({"config": CONFIG})},
        [
            ("name", "INVALID"),
            ("scheduleData.basicSchedule.units", "INVALID"),
            ("syncCatalog.streams.0.stream", "REQUIRED"),
        ],
    ),
}
"""What is wrong with a creation and with a change alike."""


@pytest.mark.parametrize("name", EITHER)
async def test_a_connection_that_cannot_be_is_neither_created_nor_come_by_through_a_change(fleet: Fleet, name: str):
    given, mistakes = EITHER[name]
    expected = [(f"airbyte.{place}", code) for place, code in mistakes]
    more = [("airbyte.operations.0.operationId", "INVALID")] if "operation with an id" in name else []
    created = {"instance": AIRBYTE, "airbyte": {**NEW, **given}}
    await assert_refused(fleet, "createConnection", created, *expected, *more)
    changed = {**given, **({"skipReset": True} if "syncCatalog" in given else {})}
    id = global_id(AIRBYTE, connection_id(0))
    await assert_refused(fleet, "updateConnection", {"id": id, "airbyte": changed}, *expected)
    assert len(fleet.servers[AIRBYTE].journal.calls) < 20


async def test_ten_thousand_streams_are_too_many(fleet: Fleet):
    many = streams(*(stream(f"table_{number}") for number in range(10_000)))
    for name, given in (
        ("createConnection", {"instance": AIRBYTE, "airbyte": {**NEW, **many}}),
        ("updateConnection", {"id": global_id(AIRBYTE, connection_id(0)), "airbyte": {**many, "skipReset": True}}),
    ):
        answered = await mutate(fleet, name, given)
        assert told(answered["data"][name]) == {("airbyte.syncCatalog.streams", "TOO_MANY")}
    assert written(fleet) == []


CREATIONS: Mapping[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "a source that is not there": ({"sourceId": NOWHERE}, [("sourceId", "UNKNOWN_ID")]),
    "a destination that is not there": ({"destinationId": NOWHERE}, [("destinationId", "UNKNOWN_ID")]),
    "ends that are not there": (
        {"sourceId": NOWHERE, "destinationId": NOWHERE},
        [("sourceId", "UNKNOWN_ID"), ("destinationId", "UNKNOWN_ID")],
    ),
    "a destination for a source": ({"sourceId": DESTINATIONS[1]}, [("sourceId", "UNKNOWN_ID")]),
    "ends of two workspaces": (
        {"destinationId": end_id("destination", THERE, 0)},
        [("destinationId", "CONTRADICTION")],
    ),
    "ids that are no UUIDs": (
        {"sourceId": "postgres", "destinationId": "", "operationIds": [NOWHERE, "7"], "sourceCatalogId": "x"},
        [
            ("sourceId", "INVALID"),
            ("destinationId", "INVALID"),
            ("operationIds.1", "INVALID"),
            ("sourceCatalogId", "INVALID"),
        ],
    ),
    "a path for an id": ({"sourceId": f"{NOWHERE}/../x"}, [("sourceId", "INVALID")]),
    "an operation that has an id before it is made": (
        operations({"operatorType": "NORMALIZATION"}, operationId=NOWHERE),
        [("operations.0.operationId", "INVALID")],
    ),
}


@pytest.mark.parametrize("name", CREATIONS)
async def test_a_connection_is_not_created_from_what_is_not_there(fleet: Fleet, name: str):
    given, mistakes = CREATIONS[name]
    expected = [(f"airbyte.{place}", code) for place, code in mistakes]
    await assert_refused(fleet, "createConnection", {"instance": AIRBYTE, "airbyte": {**NEW, **given}}, *expected)


async def test_what_is_in_a_workspace_that_is_not_shown_is_not_there(clock: Clock):
    async with own_fleet(clock, {AIRBYTE: {"workspaces": [THERE]}}, [AIRBYTE]) as fleet:
        given = {"instance": AIRBYTE, "airbyte": NEW}
        expected = [("airbyte.sourceId", "UNKNOWN_ID"), ("airbyte.destinationId", "UNKNOWN_ID")]
        await assert_refused(fleet, "createConnection", given, *expected)
        given = {"instance": AIRBYTE, "side": "SOURCE", "endpointId": SOURCES[0]}
        await assert_refused(fleet, "checkEndpoint", given, ("endpointId", "UNKNOWN_ID"))
        given = {"instance": AIRBYTE, "sourceId": SOURCES[0]}
        await assert_refused(fleet, "discoverSchema", given, ("sourceId", "UNKNOWN_ID"))


async def test_nothing_is_done_to_connections_of_a_workspace_that_is_not_shown(clock: Clock):
    async with own_fleet(clock, {AIRBYTE: {"workspaces": [THERE]}}, [AIRBYTE]) as fleet:
        ref = {"instance": AIRBYTE, "nativeId": connection_id(0)}
        data = await fleet.data("query ($ref: ConnectionRef!) { connection(ref: $ref) { name } }", {"ref": ref})
        assert data == {"connection": None}
        for name, about in ABOUT.items():
            if provider_has(AIRBYTE, name):
                await assert_refused(fleet, name, {**about, "ref": ref}, ("ref.nativeId", "UNKNOWN_ID"))
        assert effects(fleet) == []
        there = next(number for number in range(60) if airbyte(fleet).workspace_of(number) == THERE)
        operation = {"name": "x", "workspaceId": HERE, "operatorConfiguration": {"operatorType": "NORMALIZATION"}}
        given = {"id": global_id(AIRBYTE, connection_id(there)), "airbyte": {"operations": [operation]}}
        await assert_refused(fleet, "updateConnection", given, ("airbyte.operations.0.workspaceId", "UNKNOWN_ID"))


def airbyte(fleet: Fleet) -> AirbyteImitation:
    server = fleet.servers[AIRBYTE]
    assert isinstance(server, AirbyteImitation)
    return server


@pytest.mark.parametrize("unknown", [Knobs(status=404), Knobs(status=400), Knobs(body="{}")], ids=str)
async def test_any_stream_may_be_where_nothing_is_known_to_be_discovered(written_to: Fleet, unknown: Knobs):
    given = streams(stream("anything", None))
    for name, asked in (
        ("createConnection", {"instance": AIRBYTE, "airbyte": {**NEW, **given}}),
        ("updateConnection", {"id": global_id(AIRBYTE, connection_id(0)), "airbyte": {**given, "skipReset": True}}),
    ):
        unknown.only, unknown.times = "/most_recent_source_actor_catalog", 1
        written_to.servers[AIRBYTE].knobs = unknown
        await done(written_to, name, asked)
    assert len(written(written_to)) == 2


async def test_an_odd_value_in_the_stored_catalog_costs_no_change_and_no_stream(written_to: Fleet):
    def odd(record: dict[str, Any]) -> dict[str, Any]:
        first, *others = record["syncCatalog"]["streams"]
        dropped = {"stream": {**first["stream"], "name": "dropped upstream"}, "config": {"cursorField": 7}}
        streams = [
            {**first, "config": {"syncMode": [], "selectedFields": 1}},
            dropped,
            "a text",
            {"stream": 5},
            *others,
        ]
        return {**record, "syncCatalog": {"streams": streams}}

    server = written_to.servers[AIRBYTE]
    server.app = Rewritten(server.app, "/connections/get", odd)
    id = global_id(AIRBYTE, connection_id(0))
    await done(written_to, "updateConnection", {"id": id, "airbyte": {"name": "Another"}})
    (sent,) = writes(written_to, AIRBYTE)
    assert sent.json() == {"connectionId": connection_id(0), "name": "Another"}
    kept = {"skipReset": True, **streams(stream(), stream("dropped upstream"))}
    await done(written_to, "updateConnection", {"id": id, "airbyte": kept})
    gone = {"skipReset": True, **streams(stream("gone"))}
    place = "airbyte.syncCatalog.streams.0.stream.name"
    await assert_refused(written_to, "updateConnection", {"id": id, "airbyte": gone}, (place, "UNKNOWN_ID"))


async def test_a_change_of_nothing_is_none(fleet: Fleet):
    id = global_id(AIRBYTE, connection_id(0))
    for given in ({}, {"skipReset": True}):
        await assert_refused(fleet, "updateConnection", {"id": id, "airbyte": given}, ("airbyte", "REQUIRED"))
    id = global_id(UNIFIED_TO, native_id("unified_to", 0)[:24])
    await assert_refused(fleet, "updateConnection", {"id": id, "unifiedTo": {}}, ("unifiedTo", "REQUIRED"))


async def test_what_only_upstream_can_tell_is_told_as_refused_there(written_to: Fleet):
    """The region is a free text: which there are changes. So is refused what was sent, and nothing happens."""
    before = effects(written_to)
    given = {"instance": AIRBYTE, "airbyte": {**NEW, "geography": "mars"}}
    answered = await mutate(written_to, "createConnection", given)
    assert told(answered["data"]["createConnection"]) == {("airbyte", "REFUSED_UPSTREAM")}
    assert effects(written_to) == before
    (mistake,) = mistakes_of(answered["data"]["createConnection"])
    assert "io.airbyte" not in mistake["message"]


# --- whatever is about a connection


ABOUT: Mapping[str, dict[str, Any]] = {
    "updateConnection": {"airbyte": {"prefix": "x"}},
    "setConnectionEnabled": {"enabled": True},
    "runConnection": {},
    "cancelRun": {},
    "resetConnection": {},
    "deleteConnection": {},
}
ONE = global_id(AIRBYTE, connection_id(0))
REF = {"instance": AIRBYTE, "nativeId": connection_id(0)}
POINTERS: Mapping[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "neither an id nor a reference": ({}, ("id", "REQUIRED")),
    "null for both": ({"id": None, "ref": None}, ("id", "REQUIRED")),
    "both": ({"id": ONE, "ref": REF}, ("ref", "CONTRADICTION")),
    "an id that is none": ({"id": "nonsense"}, ("id", "INVALID")),
    "an empty id": ({"id": ""}, ("id", "INVALID")),
    "the upstream's own id": ({"id": connection_id(0)}, ("id", "INVALID")),
    "an id of an instance that is not there": ({"id": ids.encode("gone", connection_id(0))}, ("id", "UNKNOWN_ID")),
    "an id that cannot be the provider's": ({"id": ids.encode(AIRBYTE, "seven")}, ("id", "INVALID")),
    "an id of nothing": ({"id": ids.encode(AIRBYTE, NOWHERE)}, ("id", "UNKNOWN_ID")),
    "a reference to an instance that is not there": (
        {"ref": {**REF, "instance": "gone"}},
        ("ref.instance", "UNKNOWN_ID"),
    ),
    "a reference that cannot be the provider's": (
        {"ref": {**REF, "nativeId": "../x"}},
        ("ref.nativeId", "INVALID"),
    ),
    "a reference to nothing": ({"ref": {**REF, "nativeId": NOWHERE}}, ("ref.nativeId", "UNKNOWN_ID")),
}


def test_every_mutation_about_a_connection_is_asked_for_none():
    others = {"createConnection", "runConnections", "checkEndpoint", "discoverSchema"}
    assert ABOUT.keys() | others == NAMES.keys()


@pytest.mark.parametrize("name", ABOUT)
@pytest.mark.parametrize("pointer", POINTERS)
async def test_what_means_no_connection_changes_none(fleet: Fleet, name: str, pointer: str):
    given, mistake = POINTERS[pointer]
    await assert_refused(fleet, name, {**ABOUT[name], **given}, mistake)
    assert fleet.calls(AIRBYTE) <= (1 if "nothing" in pointer else 0)


@pytest.mark.parametrize("name", [*ABOUT, "runConnections", "createConnection", "checkEndpoint", "discoverSchema"])
@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_an_idempotency_key_that_is_none_is_told(fleet: Fleet, name: str, key: str):
    given = {**GOOD[name], "idempotencyKey": key}
    await assert_refused(fleet, name, given, ("idempotencyKey", "INVALID"))
    assert fleet.calls(AIRBYTE) == 0


@pytest.mark.parametrize("key", ["", '""', "k" * 256])
async def test_an_idempotency_key_in_the_header_that_is_none_is_told(fleet: Fleet, key: str):
    fleet.forget()
    query = "mutation ($input: RunConnectionInput!) { runConnection(input: $input) { userErrors { field code } } }"
    body = {"query": query, "variables": {"input": {"id": ONE}}}
    answered = await fleet.client.post(f"{fleet.url}/graphql", json=body, headers={"Idempotency-Key": key})
    (mistake,) = answered.json()["data"]["runConnection"]["userErrors"]
    assert mistake == {"field": ["input", "idempotencyKey"], "code": "INVALID"}
    assert fleet.calls(AIRBYTE) == 0


async def test_a_mistake_uses_no_key_up(written_to: Fleet):
    asked = {"instance": AIRBYTE, "idempotencyKey": "one"}
    wrong = {**asked, "airbyte": {**NEW, "name": ""}}
    await assert_refused(written_to, "createConnection", wrong, ("airbyte.name", "INVALID"))
    payload = await done(written_to, "createConnection", {**asked, "airbyte": NEW})
    assert payload["replayed"] is False
    assert [effect.kind for effect in effects(written_to)] == ["create"]
    answered = await mutate(written_to, "createConnection", {**asked, "airbyte": {**NEW, "name": "Other"}})
    assert told(answered["data"]["createConnection"]) == {("idempotencyKey", "KEY_REUSED")}
    assert [effect.kind for effect in effects(written_to)] == ["create"]


GOOD: Mapping[str, dict[str, Any]] = {
    **{name: {"id": ONE, **given} for name, given in ABOUT.items()},
    "runConnections": {"ids": [ONE]},
    "createConnection": {"instance": AIRBYTE, "airbyte": NEW},
    "checkEndpoint": {"instance": AIRBYTE, "side": "SOURCE", "endpointId": SOURCES[0]},
    "discoverSchema": {"instance": AIRBYTE, "sourceId": SOURCES[0]},
}


@pytest.mark.parametrize("name", ["createConnection", "checkEndpoint", "discoverSchema"])
@pytest.mark.parametrize("instance", ["gone", "", AIRBYTE.upper()])
async def test_an_instance_that_is_not_there_is_told(fleet: Fleet, name: str, instance: str):
    await assert_refused(fleet, name, {**GOOD[name], "instance": instance}, ("instance", "UNKNOWN_ID"))


# --- texts that no program expects


ODD = ("\0", "x" * 20_000, "\u202e", "..", "a/b?c=d#e", "\r\nX-Evil: y", "${x}", "{{x}}", "'\"\\", "\U0010ffff")


def texts(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of all texts in an input."""
    for key, item in inside(value):
        yield from texts(item, (*place, key))
    if isinstance(value, str):
        yield place


async def test_no_text_is_too_odd_to_be_answered(fleet: Fleet):
    """It is refused by the graph, told as a mistake, or would be sent as it is; and never breaks anything."""
    unified_to = global_id(UNIFIED_TO, native_id("unified_to", 0)[:24])
    workiva = global_id(WORKIVA, native_id("workiva", 2))
    inputs: list[tuple[str, dict[str, Any]]] = [
        ("createConnection", {"instance": AIRBYTE, "idempotencyKey": "k", "airbyte": {**FULL, **cron()}}),
        ("updateConnection", {"ref": REF, "airbyte": {"name": "n", "prefix": "p"}}),
        ("updateConnection", {"id": unified_to, "unifiedTo": {"externalXref": "c", "permissions": ["a"]}}),
        (
            "createConnection",
            {"instance": UNIFIED_TO, "unifiedTo": {**HUBSPOT, "authorization": {"state": "s", "scopes": ["a"]}}},
        ),
        ("runConnection", {"id": workiva, "workiva": {"sourceParameters": {"a": "b"}}}),
        ("runConnections", {"ids": [ONE]}),
        ("cancelRun", {"id": ONE, "runId": "7"}),
        *((name, GOOD[name]) for name in ("checkEndpoint", "discoverSchema")),
    ]
    fleet.forget()
    for name, given in inputs:
        for number, place in enumerate(texts(given)):
            for odd in (ODD[number % len(ODD)], ODD[(number + 5) % len(ODD)]):
                answered = await mutate(fleet, name, {**replaced(given, place, odd), "dryRun": True})
                codes = {error["extensions"]["code"] for error in answered.get("errors", ())}
                assert codes <= {"BAD_USER_INPUT"}, (name, place, odd[:20], codes)
    assert written(fleet) == []


# --- the words of another provider


FOREIGN = {
    "a creation there": ("createConnection", {"instance": UNIFIED_TO, "airbyte": NEW}, ("airbyte", "WRONG_PROVIDER")),
    "a creation here": (
        "createConnection",
        {"instance": AIRBYTE, "unifiedTo": {"integrationType": "hubspot", "authorization": {}}},
        ("unifiedTo", "WRONG_PROVIDER"),
    ),
    "a creation in the words of both": (
        "createConnection",
        {"instance": AIRBYTE, "airbyte": NEW, "unifiedTo": {"integrationType": "hubspot"}},
        ("unifiedTo", "WRONG_PROVIDER"),
    ),
    "a change there": (
        "updateConnection",
        {"id": global_id(UNIFIED_TO, native_id("unified_to", 0)[:24]), "airbyte": {"prefix": "x"}},
        ("airbyte", "WRONG_PROVIDER"),
    ),
    "a change by reference": (
        "updateConnection",
        {"ref": REF, "unifiedTo": {"externalXref": "x"}},
        ("unifiedTo", "WRONG_PROVIDER"),
    ),
    "a run": ("runConnection", {"id": ONE, "workiva": {}}, ("workiva", "WRONG_PROVIDER")),
    "runs": ("runConnections", {"ids": [ONE], "workiva": {}}, ("workiva", "WRONG_PROVIDER")),
    "a creation in no words": ("createConnection", {"instance": AIRBYTE}, ("airbyte", "REQUIRED")),
    "a creation in null words": (
        "createConnection",
        {"instance": UNIFIED_TO, "unifiedTo": None},
        ("unifiedTo", "REQUIRED"),
    ),
    "a change in no words": ("updateConnection", {"id": ONE}, ("airbyte", "REQUIRED")),
    "the id of another provider": (
        "runConnection",
        {"id": ids.encode(AIRBYTE, native_id("workiva", 0))},
        ("id", "INVALID"),
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
async def test_what_is_meant_for_another_provider_is_told_before_any_call(fleet: Fleet, name: str):
    mutation, given, mistake = FOREIGN[name]
    await assert_refused(fleet, mutation, given, mistake)
    assert sum(map(fleet.calls, ALL)) == 0


@pytest.mark.parametrize("instance", ALL)
@pytest.mark.parametrize("name", NAMES)
async def test_what_the_provider_has_not_is_one_coded_error_before_any_call(fleet: Fleet, instance: str, name: str):
    if provider_has(instance, name):
        return
    given = {**GOOD[name], "instance": instance}
    own = {WORKIVA: native_id("workiva", 0), UNIFIED_TO: native_id("unified_to", 0)[:24], AIRBYTE: connection_id(0)}
    one = global_id(instance, own[instance])
    if name in ABOUT:
        given = {"id": one} if name == "updateConnection" else {**ABOUT[name], "id": one}
    elif name == "runConnections":
        given = {"ids": [one]}
    given.pop("airbyte", None)
    fleet.forget()
    for dry in (True, False):
        answered = await mutate(fleet, name, {**given, "dryRun": dry})
        (error,) = answered["errors"]
        assert (error["path"], error["extensions"]["code"]) == ([name], "UNSUPPORTED")
        assert (error["extensions"]["instance"], error["extensions"]["retryable"]) == (instance, False)
        if name == "runConnections":
            assert answered["data"][name]["results"][0]["error"] == {"code": "UNSUPPORTED"}
        else:
            assert answered["data"] == {name: None}
    assert sum(map(fleet.calls, ALL)) == 0


def test_some_provider_lacks_something():
    assert sum(not provider_has(instance, name) for instance in ALL for name in NAMES) >= 10


# --- several runs


async def test_more_ids_than_a_page_has_start_nothing(fleet: Fleet):
    many = [ids.encode(AIRBYTE, connection_id(number)) for number in range(101)]
    await assert_refused(fleet, "runConnections", {"ids": many}, ("ids", "TOO_MANY"))
    assert fleet.calls(AIRBYTE) == 0


async def test_no_ids_start_nothing(fleet: Fleet):
    fleet.forget()
    assert (await done(fleet, "runConnections", {"ids": []}))["results"] == []
    assert fleet.calls(AIRBYTE) == 0


async def test_each_id_of_several_has_mistakes_of_its_own(fleet: Fleet):
    paused = await picked(fleet, AIRBYTE, "RUN", "PAUSED")
    bad = ["nonsense", ids.encode("gone", "7"), ids.encode(AIRBYTE, "seven"), ids.encode(AIRBYTE, NOWHERE), paused.id]
    codes = ["INVALID", "UNKNOWN_ID", "INVALID", "UNKNOWN_ID", "PAUSED"]
    mistakes = [(f"ids.{at}", code) for at, code in enumerate(codes)]
    await assert_refused(fleet, "runConnections", {"ids": bad}, *mistakes)


async def test_of_several_those_that_can_be_started_are(written_to: Fleet):
    paused, good = await picked(written_to, AIRBYTE, "RUN", "PAUSED"), await picked(written_to, AIRBYTE, "RUN")
    lacking = global_id(UNIFIED_TO, native_id("unified_to", 0)[:24])
    answered = await mutate(written_to, "runConnections", {"ids": [paused.id, good.id, lacking]})
    one, two, three = answered["data"]["runConnections"]["results"]
    assert [mistake["code"] for mistake in one["userErrors"]] == ["PAUSED"]
    assert (two["userErrors"], two["error"], bool(two["run"])) == ([], None, True)
    assert (three["userErrors"], three["error"]) == ([], {"code": "UNSUPPORTED"})
    assert [effect.id for effect in effects(written_to)] == [good.native_id]


# --- what cannot be done now


async def test_what_its_state_forbids_is_told_and_not_done(fleet: Fleet):
    for name, action, reason in (
        ("runConnection", "RUN", "PAUSED"),
        ("runConnection", "RUN", "SCHEMA_CHANGE_BREAKING"),
        ("setConnectionEnabled", "ENABLE", "LOCKED"),
        ("cancelRun", "CANCEL_RUN", "NOT_RUNNING"),
    ):
        row = await picked(fleet, AIRBYTE, action, reason)
        await assert_refused(fleet, name, {**ABOUT[name], "id": row.id}, ("id", reason))
        by_ref = {"ref": {"instance": AIRBYTE, "nativeId": row.native_id}}
        await assert_refused(fleet, name, {**ABOUT[name], **by_ref}, ("ref.nativeId", reason))


async def test_runs_that_are_not_the_connections_own_or_have_ended_are_not_cancelled(written_to: Fleet):
    able = {row.native_id: row for row in await rows(written_to, AIRBYTE) if row.refusals["RUN"] is None}
    # Of these all runs but the one that is started have succeeded.
    one, other, *_ = [able[id] for id in map(connection_id, (0, 8, 16, 24, 32)) if id in able]
    for row in (one, other):
        await done(written_to, "runConnection", {"id": row.id})
    query = "query ($id: ID!) { connection(id: $id) { runs(first: 3) { nodes { id status } } } }"
    answers = [await written_to.data(query, {"id": row.id}) for row in (one, other)]
    mine, foreign = ([run["id"] for run in answer["connection"]["runs"]["nodes"]] for answer in answers)
    for run_id in (foreign[0], foreign[-1], "7", "seven", "", "-1", "1e9", str(2**63), "9" * 400, "9" * 4301, "٣"):
        await assert_refused(written_to, "cancelRun", {"id": one.id, "runId": run_id}, ("runId", "UNKNOWN_ID"))
    await assert_refused(written_to, "cancelRun", {"id": one.id, "runId": mine[1]}, ("runId", "NOT_RUNNING"))
    await done(written_to, "cancelRun", {"id": one.id, "runId": mine[0]})
    await assert_refused(written_to, "cancelRun", {"id": one.id}, ("id", "NOT_RUNNING"))
    await assert_refused(written_to, "cancelRun", {"id": one.id, "runId": mine[0]}, ("id", "NOT_RUNNING"))


async def test_where_a_reset_goes_on_nothing_is_started_beside_it(written_to: Fleet):
    row = await picked(written_to, AIRBYTE, "RESET")
    await done(written_to, "resetConnection", {"id": row.id})
    await assert_refused(written_to, "runConnection", {"id": row.id}, ("id", "RUNNING_ALREADY"))
    await assert_refused(written_to, "resetConnection", {"id": row.id}, ("id", "RUNNING_ALREADY"))
    await assert_refused(written_to, "runConnections", {"ids": [row.id]}, ("ids.0", "RUNNING_ALREADY"))


async def test_to_what_is_deleted_nothing_is_done(written_to: Fleet):
    row = await picked(written_to, AIRBYTE, "DELETE")
    assert (await done(written_to, "deleteConnection", {"id": row.id}))["deletedId"] == row.id
    for name, given in ABOUT.items():
        await assert_refused(written_to, name, {**given, "id": row.id}, ("id", "DELETED"))
    await assert_refused(written_to, "runConnections", {"ids": [row.id]}, ("ids.0", "DELETED"))


async def test_what_unified_to_has_deleted_is_not_there(written_to: Fleet):
    row = await picked(written_to, UNIFIED_TO, "DELETE")
    assert (await done(written_to, "deleteConnection", {"id": row.id}))["deletedId"] == row.id
    await assert_refused(written_to, "deleteConnection", {"id": row.id}, ("id", "UNKNOWN_ID"))
    given = {"id": row.id, "unifiedTo": {"externalXref": "x"}}
    await assert_refused(written_to, "updateConnection", given, ("id", "UNKNOWN_ID"))


async def test_a_change_of_what_was_changed_since_is_not_made(written_to: Fleet):
    row = await picked(written_to, UNIFIED_TO, "UPDATE")
    query = "query ($id: ID!) { connection(id: $id) { updatedAt } }"
    seen = (await written_to.data(query, {"id": row.id}))["connection"]["updatedAt"]
    given = {"id": row.id, "unifiedTo": {"externalXref": "mine"}}
    for other in ("2020-01-01T00:00:00Z", "2999-01-01T00:00:00+02:00"):
        out = {**given, "expectedUpdatedAt": other}
        await assert_refused(written_to, "updateConnection", out, ("expectedUpdatedAt", "OUT_OF_DATE"))
    await done(written_to, "updateConnection", {**given, "expectedUpdatedAt": seen})
    again = {"id": row.id, "unifiedTo": {"externalXref": "yours"}, "expectedUpdatedAt": seen}
    await assert_refused(written_to, "updateConnection", again, ("expectedUpdatedAt", "OUT_OF_DATE"))


async def test_where_upstream_does_not_tell_the_time_of_a_change_none_can_be_expected(fleet: Fleet):
    given = {"id": ONE, "airbyte": {"prefix": "x"}, "expectedUpdatedAt": "2026-05-01T00:00:00Z"}
    await assert_refused(fleet, "updateConnection", given, ("expectedUpdatedAt", "PROVIDER_LACKS_IT"))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_moment_in_a_year_that_cannot_be_told_is_the_clients_mistake(fleet: Fleet, moment: str):
    given = {"id": ONE, "airbyte": {"prefix": "x"}, "expectedUpdatedAt": moment}
    answered = await mutate(fleet, "updateConnection", given)
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["BAD_USER_INPUT"]
    assert written(fleet) == []


# --- endpoints


ENDPOINTS = {
    "no UUID": ("checkEndpoint", {"endpointId": "postgres"}, ("endpointId", "INVALID")),
    "a source of nothing": ("checkEndpoint", {"endpointId": NOWHERE}, ("endpointId", "UNKNOWN_ID")),
    "a destination as a source": ("checkEndpoint", {"endpointId": DESTINATIONS[0]}, ("endpointId", "UNKNOWN_ID")),
    "a source as a destination": (
        "checkEndpoint",
        {"side": "DESTINATION", "endpointId": SOURCES[0]},
        ("endpointId", "UNKNOWN_ID"),
    ),
    "a connection": ("checkEndpoint", {"endpointId": connection_id(0)}, ("endpointId", "UNKNOWN_ID")),
    "no UUID to discover": ("discoverSchema", {"sourceId": ""}, ("sourceId", "INVALID")),
    "nothing to discover": ("discoverSchema", {"sourceId": NOWHERE}, ("sourceId", "UNKNOWN_ID")),
}


@pytest.mark.parametrize("name", ENDPOINTS)
async def test_what_is_no_endpoint_is_neither_checked_nor_discovered(fleet: Fleet, name: str):
    mutation, given, mistake = ENDPOINTS[name]
    await assert_refused(fleet, mutation, {**GOOD[mutation], **given}, mistake)


# --- Unified.to and Workiva


HUBSPOT = {"integrationType": "hubspot"}
CREDENTIALS = {"categories": ["crm"], "permissions": ["crm_contact_read"], "auth": {"access_token": "t"}}
AUTHORIZATIONS: Mapping[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "neither way": (HUBSPOT, [("authorization", "REQUIRED")]),
    "an integration that is not offered": (
        {"integrationType": "nonsense", "authorization": {}},
        [("integrationType", "UNKNOWN_ID")],
    ),
    "an environment that is not shown": (
        {**HUBSPOT, "authorization": {}, "environment": "Elsewhere"},
        [("environment", "NOT_PERMITTED")],
    ),
    "blanks": (
        {**HUBSPOT, "authorization": {"subdomain": " ", "scopes": ["crm_contact_read", ""]}, "externalXref": ""},
        [
            ("externalXref", "INVALID"),
            ("authorization.subdomain", "INVALID"),
            ("authorization.scopes.1", "INVALID"),
        ],
    ),
    "addresses that are none": (
        {**HUBSPOT, "authorization": {"successRedirect": "/ok", "failureRedirect": "javascript:alert(1)"}},
        [("authorization.successRedirect", "INVALID"), ("authorization.failureRedirect", "INVALID")],
    ),
    "a language that is none": ({**HUBSPOT, "authorization": {"lang": "xx"}}, [("authorization.lang", "INVALID")]),
    "credentials where none may be imported": (
        {**HUBSPOT, "credentials": CREDENTIALS},
        [("credentials", "NOT_PERMITTED")],
    ),
    "both ways where none may be imported": (
        {**HUBSPOT, "credentials": CREDENTIALS, "authorization": {}},
        [("credentials", "NOT_PERMITTED")],
    ),
}


@pytest.mark.parametrize("name", AUTHORIZATIONS)
async def test_an_authorization_that_cannot_be_is_not_begun(fleet: Fleet, name: str):
    given, mistakes = AUTHORIZATIONS[name]
    expected = [(f"unifiedTo.{place}", code) for place, code in mistakes]
    await assert_refused(fleet, "createConnection", {"instance": UNIFIED_TO, "unifiedTo": given}, *expected)


IMPORTS: Mapping[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "both ways": ({"authorization": {}}, [("credentials", "CONTRADICTION")]),
    "no category": ({"credentials": {**CREDENTIALS, "categories": []}}, [("credentials.categories", "REQUIRED")]),
    "a blank permission": (
        {"credentials": {**CREDENTIALS, "permissions": ["crm_contact_read", " "]}},
        [("credentials.permissions.1", "INVALID")],
    ),
    "no credential": ({"credentials": {**CREDENTIALS, "auth": {}}}, [("credentials.auth", "REQUIRED")]),
    "a text for credentials": ({"credentials": {**CREDENTIALS, "auth": "t"}}, [("credentials.auth", "INVALID")]),
    "a list for credentials": ({"credentials": {**CREDENTIALS, "auth": ["t"]}}, [("credentials.auth", "INVALID")]),
}


async def test_credentials_that_cannot_be_are_not_imported(clock: Clock):
    async with own_fleet(clock, {UNIFIED_TO: {"import_credentials": True}}, [UNIFIED_TO]) as fleet:
        for given, mistakes in IMPORTS.values():
            expected = [(f"unifiedTo.{place}", code) for place, code in mistakes]
            asked = {**HUBSPOT, "credentials": CREDENTIALS, **given}
            await assert_refused(fleet, "createConnection", {"instance": UNIFIED_TO, "unifiedTo": asked}, *expected)


CHANGES: Mapping[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "null for what is always there": (
        {"environment": None, "categories": None, "permissions": None},
        [("environment", "CANNOT_CLEAR"), ("categories", "CANNOT_CLEAR"), ("permissions", "CANNOT_CLEAR")],
    ),
    "no category": ({"categories": []}, [("categories", "CANNOT_CLEAR")]),
    "blanks": (
        {"externalXref": " ", "permissions": ["a", ""]},
        [("externalXref", "INVALID"), ("permissions.1", "INVALID")],
    ),
    "an environment that is not shown": ({"environment": "Elsewhere"}, [("environment", "NOT_PERMITTED")]),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_of_unified_to_that_cannot_be_is_not_made(fleet: Fleet, name: str):
    given, mistakes = CHANGES[name]
    expected = [(f"unifiedTo.{place}", code) for place, code in mistakes]
    id = global_id(UNIFIED_TO, native_id("unified_to", 0)[:24])
    await assert_refused(fleet, "updateConnection", {"id": id, "unifiedTo": given}, *expected)


PARAMETERS: Mapping[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "a list for parameters": ({"sourceParameters": ["x"]}, [("sourceParameters", "INVALID")]),
    "a text for parameters": ({"destinationParameters": "x"}, [("destinationParameters", "INVALID")]),
    "parameters and those before": (
        {"sourceParameters": {}, "usePreviousSourceParameters": True},
        [("sourceParameters", "CONTRADICTION")],
    ),
    "both sides wrong": (
        {"sourceParameters": 7, "destinationParameters": {"a": 1}, "usePreviousDestinationParameters": True},
        [("sourceParameters", "INVALID"), ("destinationParameters", "CONTRADICTION")],
    ),
}


@pytest.mark.parametrize("name", PARAMETERS)
async def test_a_run_of_wdata_with_parameters_that_cannot_be_is_not_started(fleet: Fleet, name: str):
    given, mistakes = PARAMETERS[name]
    expected = [(f"workiva.{place}", code) for place, code in mistakes]
    one = await picked(fleet, WORKIVA, "RUN")
    await assert_refused(fleet, "runConnection", {"id": one.id, "workiva": given}, *expected)
    together = [ids.encode(WORKIVA, native_id("workiva", number)) for number in (30, 40)]
    fleet.forget()
    payload = (await mutate(fleet, "runConnections", {"ids": together, "workiva": given}))["data"]["runConnections"]
    for result in payload["results"]:
        told_of = {(".".join(mistake["field"][1:]), mistake["code"]) for mistake in result["userErrors"]}
        assert told_of == set(expected)
    assert written(fleet) == []


async def test_a_run_of_wdata_that_goes_on_with_other_parameters_is_not_taken_for_this(written_to: Fleet):
    row = await picked(written_to, WORKIVA, "RUN")
    given = {"sourceParameters": {"period": "2026-Q3"}}
    await done(written_to, "runConnection", {"id": row.id, "workiva": given})
    asked = {"id": row.id, "workiva": {"sourceParameters": {"period": "2026-Q4"}}}
    await assert_refused(written_to, "runConnection", asked, ("workiva.sourceParameters", "RUNNING_ALREADY"))
    assert (await done(written_to, "runConnection", {"id": row.id, "workiva": given}))["attached"] is True


# --- who may not


def good(instance: str, name: str, one: str) -> dict[str, Any]:
    """Something that could be done in an instance, to this connection of it."""
    words: dict[str, dict[str, Any]] = {
        "createConnection": {"instance": instance, "unifiedTo": {**HUBSPOT, "authorization": {}}},
        "updateConnection": {"id": one, "unifiedTo": {"externalXref": "x"}},
    }
    if instance == UNIFIED_TO and name in words:
        return words[name]
    if name in ABOUT:
        return {**ABOUT[name], "id": one}
    return {"ids": [one]} if name == "runConnections" else GOOD[name]


def place_of_the_refusal(name: str) -> str:
    """Where it is told that somebody may not."""
    places = {"createConnection": "instance", "runConnections": "ids.0", "checkEndpoint": "", "discoverSchema": ""}
    return places.get(name, "id")


async def abilities(fleet: Fleet, instance: str) -> dict[str, tuple[bool, str | None]]:
    query = "{ instances { name can { capability allowed reason } } }"
    (found,) = [each for each in (await fleet.data(query))["instances"] if each["name"] == instance]
    return {able["capability"]: (able["allowed"], able["reason"]) for able in found["can"]}


async def assert_nothing_may_be_done(fleet: Fleet) -> None:
    """That each mutation is refused without any call, and that `can` says the same of instances and connections."""
    for instance in ALL:
        has = PROVIDERS[PROVIDER[instance]].capabilities
        able = await abilities(fleet, instance)
        assert able.keys() == {str(action) for action in OF_AN_INSTANCE}
        each = await rows(fleet, instance)
        for action in OF_AN_INSTANCE:
            assert able[action] == (False, "NOT_PERMITTED" if action in has else "PROVIDER_LACKS_IT")
        for row in each:
            refusals = {
                str(action): "NOT_PERMITTED" if action in has else "PROVIDER_LACKS_IT" for action in OF_A_CONNECTION
            }
            assert row.refusals == refusals
        for name in NAMES:
            if provider_has(instance, name):
                refusal = (place_of_the_refusal(name), "NOT_PERMITTED")
                await assert_refused(fleet, name, good(instance, name, each[0].id), refusal)
                assert sum(map(fleet.calls, ALL)) == 0


async def test_in_an_instance_that_is_only_read_nothing_is_done(clock: Clock):
    async with own_fleet(clock, {name: {"read_only": True} for name in ALL}) as fleet:
        await assert_nothing_may_be_done(fleet)


async def test_an_instance_that_is_only_read_does_not_keep_others_from_being_changed(clock: Clock):
    async with own_fleet(clock, {WORKIVA: {"read_only": True}}) as fleet:
        one, other = await picked(fleet, AIRBYTE, "RUN"), await picked(fleet, WORKIVA, "RUN", "NOT_PERMITTED")
        answered = await mutate(fleet, "runConnections", {"ids": [one.id, other.id]})
        assert told(answered["data"]["runConnections"]) == {("ids.1", "NOT_PERMITTED")}
        assert [effect.id for effect in effects(fleet)] == [one.native_id]


async def test_who_may_only_read_does_nothing_and_others_do(clock: Clock):
    async with own_fleet(clock, auth=KEYS) as fleet:
        fleet.client.headers["X-API-Key"] = READER
        await assert_nothing_may_be_done(fleet)
        fleet.client.headers["X-API-Key"] = KEY
        row = await picked(fleet, AIRBYTE, "RUN")
        await done(fleet, "runConnection", {"id": row.id})
        assert [effect.id for effect in effects(fleet)] == [row.native_id]


# --- what `can` says is so


ACTIONS: Mapping[str, str] = {
    "UPDATE": "updateConnection",
    "ENABLE": "setConnectionEnabled",
    "RUN": "runConnection",
    "CANCEL_RUN": "cancelRun",
    "RESET": "resetConnection",
    "DELETE": "deleteConnection",
}


async def assert_so(fleet: Fleet, instance: str, row: Row, action: str) -> None:
    """That the mutation answers what `can` says; where that is a reason, nothing is sent."""
    name, reason = ACTIONS[action], row.refusals[action]
    given = good(instance, name, row.id) if provider_has(instance, name) else {**ABOUT[name], "id": row.id}
    if reason == "PROVIDER_LACKS_IT":
        given.pop("airbyte", None)
    answered = await mutate(fleet, name, {**given, "dryRun": reason is None})
    payload = answered["data"][name]
    if reason == "PROVIDER_LACKS_IT":
        assert [error["extensions"]["code"] for error in answered["errors"]] == ["UNSUPPORTED"]
    elif reason == "RUNNING_ALREADY" and action == "RUN":
        assert "errors" not in answered
        # A sync that goes on is what was wished for; a reset is not.
        assert (told(payload), payload["attached"]) in ((set(), True), ({("id", reason)}, False))
    elif reason is not None:
        assert "errors" not in answered
        assert told(payload) == {("id", reason)}
    else:
        assert "errors" not in answered
        assert told(payload) == set()
        assert len(payload["dryRun"]["requests"]) == 1


async def in_turns(work: list[Callable[[], Awaitable[None]]], at_once: int = 16) -> None:
    turns = asyncio.Semaphore(at_once)

    async def one(of: Callable[[], Awaitable[None]]) -> None:
        async with turns:
            await of()

    await asyncio.gather(*map(one, work))


WAITING_S = (86_400 + 11 * 7 + 2) % 120
"""Seconds after an even minute at which the last job of the seventh connection of Airbyte, as it was when that was
switched off, is one that waits for ever."""


@pytest.mark.parametrize(("instance", "later_s"), [(AIRBYTE, 0), (AIRBYTE, WAITING_S), (WORKIVA, 0), (UNIFIED_TO, 0)])
async def test_what_can_says_of_every_connection_and_action_is_so(instance: str, later_s: int):
    clock = quiet()
    clock.now += later_s
    async with own_fleet(clock, among=[instance]) as fleet:
        if instance == AIRBYTE:  # what no connection of the demo is by itself
            able = [row.id for row in await rows(fleet, AIRBYTE) if row.refusals["RUN"] is None]
            deleted, running, resetting, *_ = able
            await done(fleet, "deleteConnection", {"id": deleted})
            await done(fleet, "runConnection", {"id": running})
            await done(fleet, "resetConnection", {"id": resetting})
        each = await rows(fleet, instance)
        before = effects(fleet)
        fleet.forget()
        await in_turns(
            [
                lambda row=row, action=action: assert_so(fleet, instance, row, action)
                for row in each
                for action in ACTIONS
            ]
        )
        assert len(each) >= 59
        assert written(fleet) == []
        assert effects(fleet) == before


def test_every_action_of_a_connection_is_looked_at():
    assert set(ACTIONS) == {str(action) for action in OF_A_CONNECTION}


async def test_a_deleted_connection_says_that_nothing_can_be_done_to_it(fleet: Fleet):
    server = fleet.servers[AIRBYTE]
    assert isinstance(server, AirbyteImitation)
    id = global_id(AIRBYTE, connection_id(server.size))  # the imitation's own, which is deleted from the start
    query = "query ($id: ID!) { connection(id: $id) { can { capability allowed reason } } }"
    able = (await fleet.data(query, {"id": id}))["connection"]["can"]
    assert {each["capability"] for each in able} == set(ACTIONS)
    assert all((each["allowed"], each["reason"]) == (False, "DELETED") for each in able)
    for name, given in ABOUT.items():
        await assert_refused(fleet, name, {**given, "id": id}, ("id", "DELETED"))


async def test_what_can_says_of_every_instance_is_so(fleet: Fleet):
    for instance in ALL:
        able = await abilities(fleet, instance)
        has = PROVIDERS[PROVIDER[instance]].capabilities
        expected = {
            str(action): (True, None) if action in has else (False, "PROVIDER_LACKS_IT") for action in OF_AN_INSTANCE
        }
        if instance == UNIFIED_TO:  # as is told of credentials that are sent all the same
            expected["IMPORT_CREDENTIALS"] = False, "NOT_PERMITTED"
        assert able == expected
