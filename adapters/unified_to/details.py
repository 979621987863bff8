"""What only Unified.to knows of a connection: its member of the graph's ``details`` union."""

import datetime as dt
from typing import Annotated, Any

from msgspec import Meta

from adapters.model import Record, Word

Text = str | None
Time = dt.datetime | None
Flag = bool | None
Json = Any


class AuthState(Word):
    """Whether the customer's authorization has run out, as far as its dates tell."""

    VALID = "VALID", "It has not."
    EXPIRED = "EXPIRED", "It has."
    UNKNOWN = "UNKNOWN", "There is no date to tell by."


class UnifiedToConnection(Record, frozen=True, kw_only=True):
    """What only Unified.to knows of a connection. Credentials are never read, only whether there are some."""

    integration_type: Annotated[Text, Meta(description="Raw type of the integration, such as hubspot.")] = None
    integration_name: Annotated[
        Text, Meta(description="Name of the integration as sent with the connection; since February 2025.")
    ] = None
    is_paused: Annotated[
        Flag, Meta(description="Whether Unified.to paused it because the plan's monthly limit was exceeded.")
    ] = None
    last_unhealthy_code: Annotated[
        Text, Meta(description="Code of the last health check that failed; since August 2026.")
    ] = None
    cursors_cache: Annotated[
        tuple[Json, ...] | None,
        Meta(description="Cursors kept for reading on, with credentials masked; until November 2024."),
    ] = None
    has_auth: Annotated[
        bool, Meta(description="Whether Unified.to itself keeps the customer's authorization. It is never read.")
    ] = False
    auth_name: Annotated[Text, Meta(description="Name of the account that the customer authorized.")] = None
    auth_expires_at: Annotated[
        Time, Meta(description="When the access token ends; Unified.to renews it where it can.")
    ] = None
    auth_state: Annotated[
        AuthState,
        Meta(
            description="State of expiry when the row was read: of the access token, or a refresh token that lives on."
        ),
    ] = AuthState.UNKNOWN
    has_secret_pointer: Annotated[
        bool,
        Meta(
            description="Whether the authorization is kept in the secret store of its owner. The place is never read."
        ),
    ] = False
