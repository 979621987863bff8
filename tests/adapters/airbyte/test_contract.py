"""Airbyte keeps the promises of every adapter, in both generations of its API and by both ways to log in."""

from typing import Any

from adapters.airbyte import PROVIDER
from adapters.airbyte.demo import CLIENT_SECRET, PLANTED, AirbyteImitation, workspace_id
from tests.adapters.contract import NOW, AdapterContract


class AirbyteContract(AdapterContract):
    provider = PROVIDER
    list_path, rows_in, id_name = "/web_backend/connections/list", "connections", "connectionId"
    secrets = (PLANTED, CLIENT_SECRET)
    calls_for_many = 2  # a list for each workspace
    parted_by = "workspace_id"
    several = {"size": 150, "page_cap": 20}
    short_pages_end = False
    follows_rows = True
    collates = True

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
