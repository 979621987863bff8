"""Airbyte keeps the promises of every adapter, in both generations of its API and by both ways to log in."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.airbyte import PROVIDER
from adapters.airbyte.demo import CLIENT_SECRET, PLANTED, AirbyteImitation, workspace_id
from adapters.airbyte.inputs import AirbyteConnectionCreate, AirbyteConnectionUpdate, AirbyteStatus
from adapters.capabilities import refusal
from adapters.model import Connection
from adapters.port import Capability
from adapters.writing import Cancel, Check, Create, Delete, Discover, Enable, Reset, Side, Start, Update, Wish
from tests.adapters.contracted import NOW
from tests.adapters.writing_contract import WritingContract


class AirbyteContract(WritingContract):
    provider = PROVIDER
    list_path, rows_in, id_name = "/web_backend/connections/list", "connections", "connectionId"
    secrets = (PLANTED, CLIENT_SECRET)
    calls_for_many = 2  # a list for each workspace
    parted_by = "workspace_id"
    several = {"size": 150, "page_cap": 20}
    short_pages_end = False
    follows_rows = True
    collates = True

    unseen = frozenset({Capability.CHECK_ENDPOINT, Capability.DISCOVER_SCHEMA})

    def wishes(self, rows: Sequence[Connection]) -> Mapping[Capability, Wish]:
        row = next(row for row in rows if refusal(Capability.RUN, row) is None)
        busy = next(row for row in rows if refusal(Capability.CANCEL_RUN, row) is None)
        assert row.source is not None
        assert row.destination is not None
        source_id, destination_id = row.source.id or "", row.destination.id or ""
        created = AirbyteConnectionCreate(
            source_id=source_id, destination_id=destination_id, status=AirbyteStatus.ACTIVE
        )
        return {
            Capability.CREATE: Create(created),
            Capability.UPDATE: Update(row, AirbyteConnectionUpdate(name="Another name")),
            Capability.ENABLE: Enable(row, enabled=False),
            Capability.RUN: Start(row),
            Capability.CANCEL_RUN: Cancel(busy),
            Capability.RESET: Reset(row),
            Capability.DELETE: Delete(row),
            Capability.CHECK_ENDPOINT: Check(Side.SOURCE, source_id),
            Capability.DISCOVER_SCHEMA: Discover(source_id),
        }

    def full_row(self, imitation: Any, number: int) -> Any:
        return imitation.read(number)

    def a_part(self) -> str:
        return workspace_id("Data platform")


class TestTheGenerationThatDumps(AirbyteContract):
    def imitation(self, **options: Any) -> AirbyteImitation:
        return AirbyteImitation(clock=lambda: NOW, generation="dump", login="basic", **options)


class TestTheGenerationThatPages(AirbyteContract):
    def imitation(self, **options: Any) -> AirbyteImitation:
        return AirbyteImitation(clock=lambda: NOW, generation="cursor", login="token", token_lasts_s=86_400, **options)
