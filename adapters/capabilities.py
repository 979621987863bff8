"""What providers can express and do, and why something cannot be done just now."""

import functools
from collections.abc import Mapping

from adapters.model import Connection, ConnectionStatus, ReasonCode, SchemaChange, Word


class Capability(Word):
    """Something a provider can express or do. What is not among its capabilities is null, or UNSUPPORTED."""

    SCHEDULE = "SCHEDULE", "Connections have a schedule."
    RUNS = "RUNS", "Runs can be listed."
    LAST_RUN = "LAST_RUN", "The last run is known."
    RUN_COUNTS = "RUN_COUNTS", "Runs count rows and bytes."
    HEALTH_CHECKS = "HEALTH_CHECKS", "Health is checked, and lastHealthyAt and lastUnhealthyAt are known."
    SCHEMA_CHANGES = "SCHEMA_CHANGES", "Changes of the source's schema are noticed."
    ENVIRONMENTS = "ENVIRONMENTS", "Connections belong to an environment."
    CATEGORIES = "CATEGORIES", "Connections have categories and permissions."
    DESCRIPTION = "DESCRIPTION", "Connections can be described in words."
    DESTINATION = "DESTINATION", "Connections have a destination of their own."
    CREATED_AT = "CREATED_AT", "Lists tell when a connection was created and changed."
    WORKSPACE_NAMES = "WORKSPACE_NAMES", "Workspaces have names."
    CREATE = "CREATE", "Connections can be created, or begun by an address at which people authorize them."
    IMPORT_CREDENTIALS = "IMPORT_CREDENTIALS", "Connections can be created from credentials that are at hand."
    UPDATE = "UPDATE", "Connections can be changed."
    ENABLE = "ENABLE", "Connections can be switched on and off."
    RUN = "RUN", "A run can be started."
    RUN_MANY = "RUN_MANY", "Several runs can be started by one call of the upstream, where it allows that."
    CANCEL_RUN = "CANCEL_RUN", "A run that goes on can be cancelled."
    RESET = "RESET", "What a connection has written can be cleared, so that its next run begins anew."
    DELETE = "DELETE", "Connections can be deleted."
    CHECK_ENDPOINT = "CHECK_ENDPOINT", "Whether a source or a destination can be reached can be checked."
    DISCOVER_SCHEMA = "DISCOVER_SCHEMA", "What a source offers can be discovered."


OF_A_CONNECTION = (
    Capability.UPDATE,
    Capability.ENABLE,
    Capability.RUN,
    Capability.CANCEL_RUN,
    Capability.RESET,
    Capability.DELETE,
)
"""What can be done to one connection."""
OF_AN_INSTANCE = (
    Capability.CREATE,
    Capability.IMPORT_CREDENTIALS,
    *OF_A_CONNECTION,
    Capability.CHECK_ENDPOINT,
    Capability.DISCOVER_SCHEMA,
)
"""All that changes something upstream, or makes it work. Whether several runs take one call there is nobody's concern
but the adapter's."""


class Refusal(Word):
    """Why something cannot be done."""

    PROVIDER_LACKS_IT = "PROVIDER_LACKS_IT", "The provider has no such thing."
    NOT_PERMITTED = "NOT_PERMITTED", "Whoever operates the gateway does not allow it, or not with your key."
    DELETED = "DELETED", "The connection is deleted."
    LOCKED = "LOCKED", "The upstream has locked the connection."
    PAUSED = "PAUSED", "The connection is switched off."
    RUNNING_ALREADY = "RUNNING_ALREADY", "A run goes on."
    NOT_RUNNING = "NOT_RUNNING", "No run goes on."
    SCHEMA_CHANGE_BREAKING = (
        "SCHEMA_CHANGE_BREAKING",
        "The source's schema changed in a breaking way, which somebody has to look at first.",
    )


def refusal(action: Capability, connection: Connection) -> Refusal | None:
    """Why this cannot be done to a connection in its present state; None where it can. What its provider can do at all
    is another question."""
    return refusals(connection).get(action)


def refusals(connection: Connection) -> Mapping[Capability, Refusal]:
    """All that cannot be done to a connection in its present state, and why. The same object for all in that state."""
    return _refusals(
        is_deleted=connection.status is ConnectionStatus.DELETED,
        is_locked=connection.status_reason.code is ReasonCode.LOCKED,
        is_off=connection.enabled is False,
        runs=is_running(connection),
        is_broken=connection.schema_change is SchemaChange.BREAKING,
    )


@functools.cache
def _refusals(
    *, is_deleted: bool, is_locked: bool, is_off: bool, runs: bool, is_broken: bool
) -> Mapping[Capability, Refusal]:
    """What cannot be done in a state, and why: of several reasons the last one stands."""
    if is_deleted:
        return dict.fromkeys(Capability, Refusal.DELETED)
    why = {Capability.RUN: Refusal.SCHEMA_CHANGE_BREAKING} if is_broken else {}
    if is_locked:
        why[Capability.ENABLE] = Refusal.LOCKED
    if runs:
        why[Capability.RUN] = why[Capability.RESET] = Refusal.RUNNING_ALREADY
    else:
        why[Capability.CANCEL_RUN] = Refusal.NOT_RUNNING
    if is_off:
        why[Capability.RUN] = Refusal.PAUSED
    return why


def is_running(connection: Connection) -> bool:
    """Whether a run of the connection goes on, or waits to be started."""
    return bool(connection.running) or connection.status in (ConnectionStatus.QUEUED, ConnectionStatus.RUNNING)
