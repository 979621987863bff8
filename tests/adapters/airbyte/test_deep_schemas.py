"""A schema that is nested without end costs that schema: the rest of the catalog and of the connection is read."""

import json
from typing import Any

import pytest

from adapters import decode
from adapters.airbyte import convert_details, wire
from adapters.airbyte.details import AirbyteConnection


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def details(schema: str) -> AirbyteConnection:
    """Of a connection with this schema at every place that has one, beside another."""
    changes: list[dict[str, Any]] = [
        {"addField": {"schema": "SCHEMA"}},
        {"removeField": {"schema": "SCHEMA"}},
        {"updateFieldSchema": {"oldSchema": "SCHEMA", "newSchema": {"x": 1}}},
        {"updateFieldSchema": {"oldSchema": {"x": 1}, "newSchema": "SCHEMA"}},
    ]
    sent: dict[str, Any] = {
        "connectionId": "c",
        "syncCatalog": {
            "streams": [
                {"stream": {"name": "one", "jsonSchema": "SCHEMA"}, "config": {"selected": True}},
                {"stream": {"name": "two", "jsonSchema": {"x": 1}}},
            ]
        },
        "catalogDiff": {"transforms": [{"updateStream": {"fieldTransforms": changes}}]},
        "geography": "eu",
    }
    body = json.dumps(sent).replace('"SCHEMA"', schema).encode()
    return convert_details.details(decode.whole(body, wire.Read))


def schemas(of: AirbyteConnection) -> list[Any]:
    assert of.geography == "eu"
    assert of.sync_catalog
    assert of.catalog_diff
    one, two = of.sync_catalog.streams
    assert one.stream
    assert two.stream
    assert one.config
    assert (one.stream.name, two.stream.name, one.config.selected) == ("one", "two", True)
    assert two.stream.json_schema == {"x": 1}
    added, removed, old, new = of.catalog_diff.transforms[0].field_transforms
    assert (old.new_schema, new.old_schema) == ({"x": 1}, {"x": 1})
    return [one.stream.json_schema, added.added_schema, removed.removed_schema, old.old_schema, new.new_schema]


def test_schemas_are_shown_as_deep_as_any_value_is():
    assert schemas(details(deep(200))) == [json.loads(deep(200))] * 5


@pytest.mark.parametrize("levels", [201, 240, 260, *range(850, 1000, 10), 2_000, 20_000])
def test_a_deeper_one_is_none(levels: int):
    assert schemas(details(deep(levels))) == [None] * 5
