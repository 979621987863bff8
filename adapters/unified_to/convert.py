"""From Unified.to's records to the unified ones. The knowledge of this upstream's words is here."""

import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from adapters import ids
from adapters.model import Connection, ConnectionStatus, Endpoint, ReasonCode, StatusReason, altered
from adapters.secret import masked
from adapters.unified_to import wire
from adapters.unified_to.details import AuthState, UnifiedToConnection
from adapters.values import evidence, instant, text, word


def connection(
    row: wire.Connection, *, instance: str, now: dt.datetime, ends: list[dt.datetime] | None = None
) -> Connection:
    """The unified record, named after its integration as far as the row itself tells: see `named`.

    ``now`` decides whether its authorization has expired; where it will, ``ends`` is told when.
    """
    healthy_at, unhealthy_at = instant(row.last_healthy_at), instant(row.last_unhealthy_at)
    created_at = instant(row.created_at)
    status, reason = _status(row, created_at, healthy_at, unhealthy_at)
    details = _details(row, now, ends)
    type, name = details.integration_type, details.integration_name
    return Connection(
        ids.encode(instance, row.id),
        instance,
        "unified_to",
        row.id,
        status,
        reason,
        name or type,
        not row.is_paused,
        False,
        # The other side is the customer's own product, of which Unified.to knows nothing.
        None if type is None else Endpoint(id=type, type=type, name=name),
        created_at=created_at,
        updated_at=instant(row.updated_at),
        workspace_id=word(row.workspace_id),
        environment=word(row.environment),
        external_ref=row.external_xref or None,
        categories=_words(row.categories),
        permissions=_words(row.permissions),
        last_healthy_at=healthy_at,
        last_unhealthy_at=unhealthy_at,
        details=details,
    )


def is_named(connection: Connection) -> bool:
    """Whether the row itself told the integration's name, as those of later versions do."""
    return isinstance(connection.details, UnifiedToConnection) and connection.details.integration_name is not None


def named(connection: Connection, integrations: Mapping[str, wire.Integration]) -> Connection:
    """The record with the name and the logo of its integration, if ``integrations`` (by type) holds it."""
    source = connection.source
    integration = integrations.get(source.id or "") if source else None
    if source is None or integration is None:
        return connection
    name = source.name if is_named(connection) else text(integration.name) or source.name
    return altered(
        connection,
        name=name or connection.name,
        source=altered(source, name=name, icon=text(integration.logo_url)),
    )


class Rule(NamedTuple):
    """What a field says of a connection's status."""

    status: ConnectionStatus
    code: ReasonCode
    message: str
    field: str


PAUSED = Rule(
    ConnectionStatus.PAUSED,
    ReasonCode.OVER_PLAN_LIMIT,
    "Unified.to paused the connection: the plan's monthly limit is exceeded.",
    "is_paused",
)
UNREADABLE = Rule(
    ConnectionStatus.UNKNOWN,
    ReasonCode.UNKNOWN_WORD,
    "The time of a health check cannot be read.",
    "last_healthy_at, last_unhealthy_at",
)
UNHEALTHY = Rule(
    ConnectionStatus.FAILING, ReasonCode.HEALTH_CHECK_FAILED, "The last health check failed.", "last_unhealthy_at"
)
HEALTHY = Rule(
    ConnectionStatus.HEALTHY, ReasonCode.HEALTH_CHECK_PASSED, "The last health check passed.", "last_healthy_at"
)
UNCHECKED = Rule(
    ConnectionStatus.NEVER_RAN,
    ReasonCode.NO_HEALTH_CHECK_YET,
    "The connection's health was never checked.",
    "last_healthy_at, last_unhealthy_at",
)


def _status(
    row: wire.Connection,
    created_at: dt.datetime | None,
    healthy_at: dt.datetime | None,
    unhealthy_at: dt.datetime | None,
) -> tuple[ConnectionStatus, StatusReason]:
    """The status, from three fields: Unified.to has no word for it (its guide "unhealthy connections" derives it)."""
    if row.is_paused:
        return _ruled(PAUSED, None, "true")
    if (row.last_healthy_at and not healthy_at) or (row.last_unhealthy_at and not unhealthy_at):
        return _ruled(UNREADABLE, None, evidence(row.last_healthy_at, row.last_unhealthy_at))
    if unhealthy_at and (healthy_at is None or unhealthy_at > healthy_at):
        return _ruled(UNHEALTHY, unhealthy_at, row.last_unhealthy_at)
    if healthy_at:
        return _ruled(HEALTHY, healthy_at, row.last_healthy_at)
    return _ruled(UNCHECKED, created_at, None)


def _ruled(rule: Rule, since: dt.datetime | None, raw: str | None) -> tuple[ConnectionStatus, StatusReason]:
    status, code, message, field = rule
    return status, StatusReason(code=code, message=message, since=since, field=field, raw_value=raw)


def _words(words: Sequence[str | None] | None) -> tuple[str, ...]:
    """Raw words, because both lists grow upstream; nulls and empty ones say nothing."""
    return tuple(map(sys.intern, filter(None, words))) if words else ()


def _details(row: wire.Connection, now: dt.datetime, ends: list[dt.datetime] | None) -> UnifiedToConnection:
    auth, cursors = row.auth or _NO_AUTH, row.cursors_cache
    expires_at = instant(auth.expiry_date)
    state = _auth_state(_ends_at(expires_at, instant(auth.refresh_token_expires_date)), now, ends)
    return UnifiedToConnection(
        integration_type=word(row.integration_type),
        integration_name=word(row.integration_name),
        is_paused=row.is_paused,
        last_unhealthy_code=row.last_unhealthy_code or None,
        cursors_cache=None if cursors is None else tuple(map(masked, cursors)) if cursors else (),
        has_auth=row.auth is not None,
        auth_name=auth.name or None,
        auth_expires_at=expires_at,
        auth_state=state,
        has_secret_pointer=_points_to_a_secret(row),
    )


_NO_AUTH = wire.Auth()
_VALID, _EXPIRED, _UNKNOWN = AuthState.VALID, AuthState.EXPIRED, AuthState.UNKNOWN
_PRESENT = wire.Pointer.PRESENT


def _ends_at(expires_at: dt.datetime | None, refresh_expires_at: dt.datetime | None) -> dt.datetime | None:
    """When an authorization ends, as far as is known. An ended access token is no trouble while a refresh token is
    known to live on: Unified.to renews by itself."""
    if expires_at is None or refresh_expires_at is None:
        return expires_at or refresh_expires_at
    return max(expires_at, refresh_expires_at)


def _auth_state(ends_at: dt.datetime | None, now: dt.datetime, ends: list[dt.datetime] | None) -> AuthState:
    if ends_at is None:
        return _UNKNOWN
    if ends_at <= now:
        return _EXPIRED
    if ends is not None:
        ends.append(ends_at)
    return _VALID


def _points_to_a_secret(row: wire.Connection) -> bool:
    return (
        row.secretsmanager_id is _PRESENT
        or row.secretsmanager_key is _PRESENT
        or row.auth_aws_arn is _PRESENT
        or row.auth_azure_keyvault_id is _PRESENT
        or row.auth_gcp_secret_name is _PRESENT
        or row.auth_hashi_vault_path is _PRESENT
    )
