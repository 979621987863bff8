"""From Unified.to's records to the unified ones. The knowledge of this upstream's words is here."""

import datetime as dt
import sys
from collections.abc import Mapping, Sequence

from adapters import ids
from adapters.model import Connection, ConnectionStatus, Endpoint, ReasonCode, StatusReason, altered
from adapters.secret import masked
from adapters.unified_to import wire
from adapters.unified_to.details import AuthState, UnifiedToConnection
from adapters.values import instant, text, word


def connection(row: wire.Connection, *, instance: str, now: dt.datetime) -> Connection:
    """The unified record, named after its integration as far as the row itself tells: see `named`.

    ``now`` decides whether its authorization has expired.
    """
    healthy_at, unhealthy_at = instant(row.last_healthy_at), instant(row.last_unhealthy_at)
    created_at = instant(row.created_at)
    status, reason = _status(row, created_at, healthy_at, unhealthy_at)
    return Connection(
        id=ids.encode(instance, row.id),
        instance=instance,
        provider="unified_to",
        native_id=row.id,
        name=word(row.integration_name) or word(row.integration_type),
        status=status,
        status_reason=reason,
        enabled=not row.is_paused,
        running=False,
        source=_source(row),
        created_at=created_at,
        updated_at=instant(row.updated_at),
        workspace_id=word(row.workspace_id),
        environment=word(row.environment),
        external_ref=text(row.external_xref),
        categories=_words(row.categories),
        permissions=_words(row.permissions),
        last_healthy_at=healthy_at,
        last_unhealthy_at=unhealthy_at,
        details=_details(row, now),
    )


_NO_AUTH = wire.Auth()


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


def _status(
    row: wire.Connection,
    created_at: dt.datetime | None,
    healthy_at: dt.datetime | None,
    unhealthy_at: dt.datetime | None,
) -> tuple[ConnectionStatus, StatusReason]:
    """The status, from three fields: Unified.to has no word for it (its guide "unhealthy connections" derives it)."""
    if row.is_paused:
        return ConnectionStatus.PAUSED, StatusReason(
            code=ReasonCode.OVER_PLAN_LIMIT,
            message="Unified.to paused the connection: the plan's monthly limit is exceeded.",
            field="is_paused",
            raw_value="true",
        )
    if (row.last_healthy_at and not healthy_at) or (row.last_unhealthy_at and not unhealthy_at):
        return ConnectionStatus.UNKNOWN, StatusReason(
            code=ReasonCode.UNKNOWN_WORD,
            message="The time of a health check cannot be read.",
            field="last_healthy_at, last_unhealthy_at",
            raw_value=f"{row.last_healthy_at}, {row.last_unhealthy_at}",
        )
    if unhealthy_at and (healthy_at is None or unhealthy_at > healthy_at):
        return ConnectionStatus.FAILING, StatusReason(
            code=ReasonCode.HEALTH_CHECK_FAILED,
            message="The last health check failed.",
            since=unhealthy_at,
            field="last_unhealthy_at",
            raw_value=row.last_unhealthy_at,
        )
    if healthy_at:
        return ConnectionStatus.HEALTHY, StatusReason(
            code=ReasonCode.HEALTH_CHECK_PASSED,
            message="The last health check passed.",
            since=healthy_at,
            field="last_healthy_at",
            raw_value=row.last_healthy_at,
        )
    return ConnectionStatus.NEVER_RAN, StatusReason(
        code=ReasonCode.NO_HEALTH_CHECK_YET,
        message="The connection's health was never checked.",
        since=created_at,
        field="last_healthy_at, last_unhealthy_at",
    )


def _source(row: wire.Connection) -> Endpoint | None:
    """The integration; the other side is the customer's own product, of which Unified.to knows nothing."""
    type = word(row.integration_type)
    return None if type is None else Endpoint(id=type, type=type, name=word(row.integration_name))


def _words(words: Sequence[str | None] | None) -> tuple[str, ...]:
    """Raw words, because both lists grow upstream; nulls and empty ones say nothing."""
    return tuple([sys.intern(each) for each in words if each]) if words else ()


def _details(row: wire.Connection, now: dt.datetime) -> UnifiedToConnection:
    auth = row.auth or _NO_AUTH
    return UnifiedToConnection(
        integration_type=word(row.integration_type),
        integration_name=word(row.integration_name),
        is_paused=row.is_paused,
        last_unhealthy_code=text(row.last_unhealthy_code),
        cursors_cache=None if row.cursors_cache is None else tuple(masked(item) for item in row.cursors_cache),
        has_auth=row.auth is not None,
        auth_name=text(auth.name),
        auth_expires_at=instant(auth.expiry_date),
        auth_state=_auth_state(auth_ends_at(row), now),
        has_secret_pointer=wire.Pointer.PRESENT in _pointers(row),
    )


def auth_ends_at(row: wire.Connection) -> dt.datetime | None:
    """When its authorization ends, as far as is known. An ended access token is no trouble while a refresh token is
    known to live on: Unified.to renews by itself."""
    if row.auth is None:
        return None
    known = [end for end in (instant(row.auth.expiry_date), instant(row.auth.refresh_token_expires_date)) if end]
    return max(known, default=None)


def _auth_state(ends_at: dt.datetime | None, now: dt.datetime) -> AuthState:
    if ends_at is None:
        return AuthState.UNKNOWN
    return AuthState.VALID if ends_at > now else AuthState.EXPIRED


def _pointers(row: wire.Connection) -> tuple[wire.Pointer | None, ...]:
    return (
        row.auth_aws_arn,
        row.auth_azure_keyvault_id,
        row.auth_gcp_secret_name,
        row.auth_hashi_vault_path,
        row.secretsmanager_id,
        row.secretsmanager_key,
    )
