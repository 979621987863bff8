"""Workiva keeps the promises of every adapter."""

from typing import Any

from adapters.workiva import PROVIDER
from adapters.workiva.demo import CLIENT_SECRET, WorkivaImitation
from tests.adapters.contract import NOW, AdapterContract


class TestWorkiva(AdapterContract):
    provider = PROVIDER
    list_path, rows_in, id_name = "/api/v1/connections", "body", "connectionId"
    secrets = (CLIENT_SECRET,)
    several = {"size": 150, "page_cap": 20}
    short_pages_end = False

    def imitation(self, **options: Any) -> WorkivaImitation:
        return WorkivaImitation(clock=lambda: NOW, **options)
