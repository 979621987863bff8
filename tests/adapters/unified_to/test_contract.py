"""Unified.to keeps the promises of every adapter, over three environments."""

from typing import Any

from adapters.unified_to import PROVIDER
from adapters.unified_to.demo import UnifiedToImitation
from tests.adapters.contract import NOW, AdapterContract


class TestUnifiedTo(AdapterContract):
    provider = PROVIDER
    list_path, id_name, text_name = "/unified/connection", "id", "external_xref"
    secrets = ("planted-secret",)
    empty_bodies = frozenset({"[]"})
    calls_for_many = 3  # a list for each environment
    parted_by = "environment"
    several = {"size": 450}
    collates = True
    placed_by = ("environment",)

    def imitation(self, **options: Any) -> UnifiedToImitation:
        return UnifiedToImitation(clock=lambda: NOW, **options)

    def a_part(self) -> str:
        return "Sandbox"

    def belongs(self, row: dict[str, Any]) -> bool:
        environment = row.get("environment")
        return not isinstance(environment, str) or environment in ("", "Production")
