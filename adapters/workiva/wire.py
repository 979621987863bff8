"""Records as Wdata sends them (``ConnectionDto``, ``ConnectionRunDto``); every field may be missing or null."""

import msgspec
from msgspec import Raw

from adapters import freeform
from adapters.decode import Id


class ConnectionRun(msgspec.Struct, rename="camel", gc=False):
    connection_id: str | None = None
    job_id: str | None = None
    workspace_id: str | None = None
    source_workspace_id: str | None = None
    destination_workspace_id: str | None = None
    source_status: str | None = None
    destination_status: str | None = None
    created: str | None = None
    created_by: str | None = None
    updated: str | None = None
    source_parameters: Raw = freeform.NONE
    destination_parameters: Raw = freeform.NONE
    source_metadata: Raw = freeform.NONE
    destination_metadata: Raw = freeform.NONE
    error: str | None = None


class Connection(msgspec.Struct, rename="camel", gc=False):
    # Optional in the specification, but a row without it cannot be addressed.
    connection_id: Id
    name: str | None = None
    description: str | None = None
    workspace_id: str | None = None
    source_id: str | None = None
    source_type: str | None = None
    source_workspace_id: str | None = None
    destination_id: str | None = None
    destination_type: str | None = None
    destination_workspace_id: str | None = None
    created: str | None = None
    created_by: str | None = None
    updated: str | None = None
    last_run: ConnectionRun | None = None
    last_run_by: str | None = None
    last_run_date: str | None = None
    last_run_job_id: str | None = None
    last_run_source_parameters: Raw = freeform.NONE
    last_run_destination_parameters: Raw = freeform.NONE
    metadata: Raw = freeform.NONE


class Named(msgspec.Struct, gc=False):
    """A query or a table, of which only the name is of interest."""

    id: str
    name: str | None = None


class Paged(msgspec.Struct):
    """``{body, code, cursor}``; an absent or empty cursor marks the last page."""

    body: list[msgspec.Raw]
    cursor: str | None = None


class Single(msgspec.Struct):
    """``{body, code}``, of one connection."""

    body: Connection


class SingleRun(msgspec.Struct):
    """``{body, code}``, of one run."""

    body: ConnectionRun


class Batch(msgspec.Struct, rename="camel"):
    """``RefreshBatchDto``: what came of runs that were started by one call."""

    child_refreshes: list[msgspec.Raw] | None = None
    error: str | None = None


class SingleBatch(msgspec.Struct):
    """``{body, code}``, of one batch."""

    body: Batch


class Token(msgspec.Struct):
    """RFC 6749 access token response; ``expires_in`` in seconds, 599 as observed."""

    access_token: str
    expires_in: float = 599
