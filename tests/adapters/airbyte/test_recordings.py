"""Recorded answers of Airbyte v0.40.32, and exactly what becomes of them."""

import datetime as dt
import pathlib
from typing import Any

import msgspec
import pytest
from starlette.responses import Response

from adapters import errors, ids
from adapters.airbyte import PROVIDER
from adapters.airbyte.demo import AirbyteImitation, workspace_id
from adapters.airbyte.details import FULL_RECORD, AirbyteConnection, AirbyteOperation, AirbyteResourceRequirements
from adapters.imitation import Knobs
from adapters.model import Connection, Cron, Endpoint, Interval, Run, RunStatus, Schedule, ScheduleType, TimeUnit
from tests.adapters.contracted import INSTANCE, ODD, agrees, over, paged
from tests.trees import places, replaced

RECORDINGS = pathlib.Path(__file__).parent / "recordings"
WORKSPACE = workspace_id("Data platform")
ORDERS = "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"


class Saying(AirbyteImitation):
    """An imitation whose errors say a recorded text."""

    said = ""

    def error_response(self, status: int) -> Response:
        return Response(self.said, status)


def recorded(name: str) -> str:
    return (RECORDINGS / name).read_text()


async def listed(body: str) -> tuple[Connection, ...]:
    imitation = AirbyteImitation()
    imitation.knobs = Knobs(body=body, only="/connections/list")
    async with over(PROVIDER, imitation, workspaces=[WORKSPACE]) as contracted:
        page = await paged(contracted.adapter, limit=25)
    assert (page.next, page.dropped) == (None, 0)
    return page.connections


async def read(body: str, id: str = ORDERS) -> Any:
    imitation = AirbyteImitation()
    imitation.knobs = Knobs(body=body, only="/connections/get")
    async with over(PROVIDER, imitation, retries=0) as contracted:
        found = await contracted.adapter.get_many({id: frozenset({*FULL_RECORD, "workspace_name"})})
    assert set(found.by_id) == {id}
    return found.by_id[id]


async def test_the_recorded_list_is_three_connections():
    orders, stripe, legacy = await listed(recorded("list.json"))
    at = dt.datetime(2023, 3, 10, 9, 20, tzinfo=dt.UTC)
    assert orders.id == ids.encode(INSTANCE, ORDERS)
    assert orders.name == "Orders Postgres -> BigQuery"
    assert (orders.status, orders.enabled, orders.running) == ("HEALTHY", True, False)
    assert orders.status_reason.since == at
    assert orders.source == Endpoint(
        id="0c31738c-0b2d-4887-b506-e2cd1c39cc35",
        name="Orders DB",
        type="Postgres",
        definition_id="decd338e-5647-4c0b-adf4-da0e75f5a750",
        workspace_id=WORKSPACE,
    )
    assert orders.destination == Endpoint(
        id="d8d6b3e5-2a8f-4f6b-9d4a-2f3f7f3a8c11",
        name="Analytics warehouse",
        type="BigQuery",
        definition_id="22f6c74f-5699-40ff-833c-4a879ea40133",
        workspace_id=WORKSPACE,
    )
    assert orders.schedule == Schedule(
        type=ScheduleType.CRON,
        cron=Cron(expression="0 0 */6 * * ?", time_zone="UTC"),
        human_text="Every 6 hours (UTC)",
    )
    assert orders.last_run == Run(status=RunStatus.SUCCEEDED, started_at=at)
    assert (orders.schema_change, orders.workspace_id) == ("NO_CHANGE", WORKSPACE)
    assert orders.web_url is not None
    assert orders.web_url.endswith(f"/workspaces/{WORKSPACE}/connections/{ORDERS}")
    assert "/api" not in orders.web_url
    assert orders.details == AirbyteConnection(
        raw_status="active",
        raw_latest_sync_job_status="succeeded",
        raw_schedule_type="cron",
        raw_schema_change="no_change",
        is_syncing=False,
        source_definition_id="decd338e-5647-4c0b-adf4-da0e75f5a750",
        destination_definition_id="22f6c74f-5699-40ff-833c-4a879ea40133",
    )

    assert (stripe.status, stripe.running, stripe.schema_change) == ("RUNNING", True, "NON_BREAKING")
    assert stripe.schedule is not None
    assert stripe.schedule.every == Interval(units=24, time_unit=TimeUnit.HOURS)

    assert (legacy.status, legacy.enabled, legacy.schema_change) == ("PAUSED", False, "BREAKING")
    assert legacy.last_run is None
    assert legacy.schedule == Schedule(type=ScheduleType.MANUAL, human_text="Only when started by hand")


async def test_the_recorded_full_record_has_everything_but_secrets():
    got = await read(recorded("read.json"))
    (orders, *_) = await listed(recorded("list.json"))
    details = got.details
    assert got.workspace_id == "92382141-7a8a-4bd1-81c3-67611da7cc0c"
    assert agrees(msgspec.structs.replace(orders, workspace_id=None, web_url=None, source=None, destination=None), got)
    assert (got.source.name, got.source.type) == ("Orders DB", "Postgres")
    assert details.namespace_definition == "customformat"
    assert details.namespace_format == "raw_${SOURCE_NAMESPACE}"
    assert details.prefix == "orders_"
    assert details.legacy_schedule == Interval(units=6, time_unit=TimeUnit.HOURS)
    assert details.operation_ids == ("b2f4c8b3-4a8d-4e24-9c35-e3a0d7c4f111",)
    assert details.operations == (
        AirbyteOperation(
            operation_id="b2f4c8b3-4a8d-4e24-9c35-e3a0d7c4f111",
            name="Normalization",
            workspace_id="92382141-7a8a-4bd1-81c3-67611da7cc0c",
            operator_type="normalization",
            normalization_option="basic",
        ),
    )
    assert details.resource_requirements == AirbyteResourceRequirements(cpu_request="0.25", memory_request="512Mi")
    assert (details.catalog_id, details.catalog_diff) == ("6f1a2d3c-20c1-4a9d-a0f4-1f2f6b5b7e55", None)
    assert (details.geography, details.dataplane_group_id) == ("eu", None)
    assert (details.notify_schema_changes, details.non_breaking_changes_preference) == (True, "ignore")
    first, second = details.sync_catalog.streams
    assert (first.stream.name, first.stream.namespace) == ("orders", "public")
    assert first.stream.json_schema["properties"]["placed_at"]["format"] == "date-time"
    assert first.stream.supported_sync_modes == ("full_refresh", "incremental")
    assert first.stream.source_defined_primary_key == (("id",),)
    assert (first.config.sync_mode, first.config.destination_sync_mode) == ("incremental", "append_dedup")
    assert (first.config.cursor_field, first.config.primary_key) == (("placed_at",), (("id",),))
    assert [field.field_path for field in second.config.selected_fields] == [("id",), ("email",)]
    for secret in ("connectionConfiguration", "orders-db.internal.example", "credentials_json", "**********"):
        assert secret not in repr(got)


async def test_an_id_is_found_in_either_case():
    got = await read(recorded("read.json"), ORDERS.upper())
    assert got.native_id == ORDERS


@pytest.mark.parametrize(
    ("name", "status", "expected"), [("error.json", 404, errors.NotFound), ("error.409.json", 409, errors.Conflict)]
)
async def test_recorded_errors_become_ours_without_their_texts(name: str, status: int, expected: type[Exception]):
    imitation = Saying()
    imitation.said = recorded(name)
    imitation.knobs = Knobs(status=status, only="/connections/list")
    async with over(PROVIDER, imitation, retries=0) as contracted:
        with pytest.raises(expected) as raised:
            await paged(contracted.adapter, limit=5)
    assert msgspec.json.decode(imitation.said)["message"] not in str(raised.value)
    assert "Exception" not in str(raised.value)


async def test_a_value_of_the_wrong_kind_in_a_full_record_costs_that_value_only():
    full = msgspec.json.decode(recorded("read.json"))
    full["catalogDiff"] = {
        "transforms": [
            {
                "transformType": "update_stream",
                "streamDescriptor": {"name": "a"},
                "updateStream": [{"fieldName": ["x"]}],
            }
        ]
    }
    spots = [path for path in places(full) if path != ("connectionId",)]
    assert len(spots) > 100
    imitation = AirbyteImitation()
    async with over(PROVIDER, imitation, retries=0) as contracted:
        for count, path in enumerate(spots):
            body = msgspec.json.encode(replaced(full, path, ODD[count % len(ODD)])).decode()
            imitation.knobs = Knobs(body=body, only="/connections/get")
            got = (await contracted.adapter.get_many({ORDERS: frozenset(FULL_RECORD)})).by_id[ORDERS]
            assert isinstance(got, Connection), path
            assert got.native_id == ORDERS
            msgspec.json.encode(got)


async def test_a_later_generation_s_update_of_a_stream_is_read_like_the_earlier_one_s():
    full = msgspec.json.decode(recorded("read.json"))
    fields = [
        {"transformType": "add_field", "fieldName": ["a", "b"], "breaking": True, "addField": {"schema": {"x": 1}}}
    ]
    seen: list[Any] = []
    for update in (fields, {"fieldTransforms": fields, "streamAttributeTransforms": [{"anything": 1}]}):
        transform = {"transformType": "update_stream", "streamDescriptor": {"name": "orders"}, "updateStream": update}
        full["catalogDiff"] = {"transforms": [transform]}
        seen.append((await read(msgspec.json.encode(full).decode())).details.catalog_diff)
    assert seen[0] == seen[1]
    (change,) = seen[0].transforms
    assert (change.stream_name, change.field_transforms[0].field_name) == ("orders", ("a", "b"))
    assert (change.field_transforms[0].breaking, change.field_transforms[0].added_schema) == (True, {"x": 1})
