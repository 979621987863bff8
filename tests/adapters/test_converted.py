"""What becomes of rows, the oddest among them: each line of ``converted/`` is a row as an upstream may send it and the
record that is made of it, of which what is null is left out.

``python -m tests.adapters.test_converted`` writes the records anew, where they are meant to be others.
"""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from adapters import decode, walk
from adapters.airbyte import convert as airbyte_convert
from adapters.airbyte import wire as airbyte_wire
from adapters.model import Connection
from adapters.unified_to import convert as unified_to_convert
from adapters.unified_to import wire as unified_to_wire
from adapters.workiva import convert as workiva_convert
from adapters.workiva import wire as workiva_wire

CONVERTED = Path(__file__).parent / "converted"
NOW = dt.datetime(2026, 11, 21, 9, 30, tzinfo=dt.UTC)


def airbyte(row: airbyte_wire.ListItem) -> Connection:
    names = {"w": "Europe"}
    return airbyte_convert.connection(
        row, instance="a", workspace_id="w", workspace_names=names, web_url="https://airbyte.example.com"
    )


def airbyte_in_full(row: airbyte_wire.Read) -> Connection:
    return airbyte_convert.connection(row, instance="a", workspace_id=None, web_url="https://airbyte.example.com")


def workiva(row: workiva_wire.Connection) -> Connection:
    return workiva_convert.connection(row, instance="a")


def unified_to(row: unified_to_wire.Connection) -> Connection:
    return unified_to_convert.connection(row, instance="a", now=NOW)


KINDS: list[tuple[type[Any], Callable[[Any], Connection]]] = [
    (airbyte_wire.ListItem, airbyte),
    (airbyte_wire.Read, airbyte_in_full),
    (workiva_wire.Connection, workiva),
    (unified_to_wire.Connection, unified_to),
]


def rows_and_records(name: str) -> list[list[Any]]:
    return [msgspec.json.decode(line) for line in (CONVERTED / f"{name}.jsonl").read_text("utf-8").splitlines()]


def converted(rows: list[Any], kind: type[Any], made: Callable[[Any], Connection]) -> list[Any]:
    read = walk.unified(decode.rows(msgspec.json.encode(rows), kind), made)
    return [bare(msgspec.json.decode(msgspec.json.encode(record))) for record in read.places]


def bare(value: Any) -> Any:
    """Without what is null in records. Free-form values never hold a null here."""
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value)
        return {name: bare(inner) for name, inner in given.items() if inner is not None}
    return value


@pytest.mark.parametrize(("kind", "made"), KINDS)
def test_rows_become_what_they_always_became(kind: type[Any], made: Callable[[Any], Connection]):
    recorded = rows_and_records(made.__name__)
    records = converted([row for row, _ in recorded], kind, made)
    for (row, expected), record in zip(recorded, records, strict=True):
        assert record == expected, row


if __name__ == "__main__":
    for kind, made in KINDS:
        rows = [row for row, _ in rows_and_records(made.__name__)]
        lines = zip(rows, converted(rows, kind, made), strict=True)
        text = "".join(f"{msgspec.json.encode(line).decode()}\n" for line in lines)
        (CONVERTED / f"{made.__name__}.jsonl").write_text(text, "utf-8")
