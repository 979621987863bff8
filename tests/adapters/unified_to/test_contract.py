"""Unified.to keeps the promises of every adapter, over three environments."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.model import Connection
from adapters.port import Capability
from adapters.unified_to import PROVIDER
from adapters.unified_to.demo import UnifiedToImitation
from adapters.unified_to.inputs import (
    UnifiedToAuthorizationInput,
    UnifiedToConnectionCreate,
    UnifiedToConnectionUpdate,
    UnifiedToCredentialsInput,
)
from adapters.writing import Create, Delete, Update, Wish
from tests.adapters.contracted import NOW
from tests.adapters.writing_contract import WritingContract

IMPORT = UnifiedToCredentialsInput(
    categories=("crm",), permissions=("crm_contact_read",), auth={"access_token": "planted-secret-of-a-wish"}
)


class TestUnifiedTo(WritingContract):
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

    writing = {"import_credentials": True}

    def wishes(self, rows: Sequence[Connection]) -> Mapping[Capability, Wish]:
        authorized = UnifiedToConnectionCreate(
            integration_type="hubspot", authorization=UnifiedToAuthorizationInput(scopes=("crm_contact_read",))
        )
        imported = UnifiedToConnectionCreate(integration_type="hubspot", credentials=IMPORT)
        return {
            Capability.CREATE: Create(authorized),
            Capability.IMPORT_CREDENTIALS: Create(imported),
            Capability.UPDATE: Update(rows[0], UnifiedToConnectionUpdate(external_xref="another customer")),
            Capability.DELETE: Delete(rows[0]),
        }
