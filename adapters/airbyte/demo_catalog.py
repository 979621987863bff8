"""Catalogs, their changes and operations for the imitation of Airbyte."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from adapters.imitation import native_id

TABLES = ("orders", "customers", "invoices", "refunds", "イベント", "line_items")


def catalog(number: int) -> dict[str, Any]:
    """Two to four streams in all modes, one of them not selected."""
    return {"streams": [_stream(number, place) for place in range(2 + number % 3)]}


def _stream(number: int, place: int) -> dict[str, Any]:
    name = TABLES[(number + place) % len(TABLES)]
    incremental = (number + place) % 2 == 0
    config: dict[str, Any] = {
        "syncMode": "incremental" if incremental else "full_refresh",
        "destinationSyncMode": ("append_dedup", "overwrite", "append", "soft_delete")[(number + place) % 4],
        "aliasName": name,
        "selected": place != 1,
    }
    if incremental:
        config |= {"cursorField": ["updated_at"], "primaryKey": [["id"]]}
    else:
        config |= {"fieldSelectionEnabled": True, "selectedFields": [{"fieldPath": ["id"]}, {"fieldPath": ["email"]}]}
    return {"stream": _declared(name), "config": config}


def _declared(name: str) -> dict[str, Any]:
    """An ``AirbyteStream``, as its source declares it."""
    schema = {"type": "object", "properties": {"id": {"type": "integer"}, "updated_at": {"type": "string"}}}
    return {
        "name": name,
        "namespace": "public",
        "jsonSchema": schema,
        "supportedSyncModes": ["full_refresh", "incremental"],
        "sourceDefinedCursor": False,
        "defaultCursorField": [],
        "sourceDefinedPrimaryKey": [["id"]],
    }


def discovered(place: int) -> dict[str, Any]:
    """All streams of the source at this place, with the settings that are suggested: among them those of `catalog` for
    each connection of the source."""
    names = [TABLES[(place + number) % len(TABLES)] for number in range(len(TABLES))]
    config = {"syncMode": "full_refresh", "destinationSyncMode": "overwrite", "selected": True, "suggested": True}
    streams = [{"stream": _declared(name), "config": {**config, "aliasName": name}} for name in names]
    return {"streams": streams}


def protocol(of: Mapping[str, Any]) -> dict[str, Any]:
    """The streams of a catalog as connectors declare them, in the snake case of Airbyte's protocol."""
    return {"streams": [_snake(configured["stream"]) for configured in of["streams"]]}


def _snake(stream: Mapping[str, Any]) -> dict[str, Any]:
    return {re.sub("[A-Z]", lambda upper: f"_{upper[0].lower()}", name): value for name, value in stream.items()}


def catalog_diff() -> dict[str, Any]:
    """One change of every kind."""
    text, number = {"type": "string"}, {"type": "number"}
    fields = [
        {"transformType": "add_field", "fieldName": ["vat_id"], "breaking": False, "addField": {"schema": text}},
        {"transformType": "remove_field", "fieldName": ["fax"], "breaking": True, "removeField": {"schema": text}},
        {
            "transformType": "update_field_schema",
            "fieldName": ["total"],
            "breaking": False,
            "updateFieldSchema": {"oldSchema": text, "newSchema": number},
        },
    ]
    descriptor = {"name": "orders", "namespace": "public"}
    return {
        "transforms": [
            {"transformType": "add_stream", "streamDescriptor": {"name": "returns", "namespace": "public"}},
            {"transformType": "remove_stream", "streamDescriptor": {"name": "legacy"}},
            {"transformType": "update_stream", "streamDescriptor": descriptor, "updateStream": fields},
        ]
    }


def operation_id(number: int) -> str:
    return str(UUID(native_id("operation", number)))


def operations(number: int, workspace_id: str, planted: str) -> list[dict[str, Any]]:
    """None, or one of each operator type in turn; ``planted`` stands where real ones hold credentials."""
    configurations: tuple[dict[str, Any], ...] = (
        {"operatorType": "normalization", "normalization": {"option": "basic"}},
        {
            "operatorType": "dbt",
            "dbt": {
                "gitRepoUrl": f"https://ci:{planted}@git.example.com/models.git",
                "gitRepoBranch": "main",
                "dockerImage": "fishtownanalytics/dbt:1.0.0",
                "dbtArguments": f"run --vars password={planted}",
            },
        },
        {
            "operatorType": "webhook",
            "webhook": {
                "webhookConfigId": str(UUID(native_id("webhook", number))),
                "webhookType": "dbtCloud",
                "dbtCloud": {"accountId": 4711, "jobId": 99 + number},
                "executionUrl": f"https://hooks.example.com/{planted}",
                "executionBody": planted,
            },
        },
    )
    if number % 4 == 3:
        return []
    configuration = configurations[number % 3]
    return [
        {
            "workspaceId": workspace_id,
            "operationId": operation_id(number),
            "name": configuration["operatorType"].title(),
            "operatorConfiguration": configuration,
        }
    ]
