"""Records as Unified.to sends them (``Connection``, ``Integration``); every text may be missing, null or empty.

Lists hold working credentials of customers. They are never decoded: of ``auth`` only the harmless members are read,
and of a pointer to a secret only whether there is one.
"""

import enum
from typing import Any

import msgspec

from adapters.decode import Id


class Pointer(enum.Enum):
    """Whether a text is there. Whatever it says, it becomes one of these two members and is gone."""

    ABSENT = ""
    PRESENT = "present"

    @classmethod
    def _missing_(cls, value: object) -> "Pointer":
        return cls.PRESENT


class Auth(msgspec.Struct, gc=False):
    """``PropertyConnectionAuth`` without its credentials and its personal data; the name is the account's."""

    name: str | None = None
    expiry_date: str | None = None
    refresh_token_expires_date: str | None = None


class Connection(msgspec.Struct, gc=False):
    # Optional in the specification, but a row without it cannot be addressed.
    id: Id
    integration_type: str | None = None
    workspace_id: str | None = None
    environment: str | None = None
    external_xref: str | None = None
    categories: list[str | None] | None = None
    permissions: list[str | None] | None = None
    is_paused: bool | None = None
    created_at: str | None = None
    updated_at: str | None = None
    last_healthy_at: str | None = None
    last_unhealthy_at: str | None = None
    cursors_cache: list[Any] | None = None  # until November 2024
    auth: Auth | None = None
    auth_aws_arn: Pointer | None = None  # until June 2026, as the next three, which came in January 2026
    auth_azure_keyvault_id: Pointer | None = None
    auth_gcp_secret_name: Pointer | None = None
    auth_hashi_vault_path: Pointer | None = None
    secretsmanager_id: Pointer | None = None  # since June 2026
    secretsmanager_key: Pointer | None = None
    integration_name: str | None = None  # since February 2025
    last_unhealthy_code: str | None = None  # since August 2026


class Made(msgspec.Struct):
    """A connection as the answer to its making or changing has it; credentials come back with it, and stay there."""

    id: Id


class Integration(msgspec.Struct, gc=False):
    """An integration on offer, of which only the name and the logo are of interest."""

    type: str
    name: str | None = None
    logo_url: str | None = None
