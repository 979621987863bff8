"""Pages of connections over all instances."""

import strawberry

from adapters.errors import AdapterError
from gateway import paging
from gateway.errors import CODES
from gateway.schema.connection import Connection
from gateway.schema.fields import described
from gateway.schema.instance import Instance
from gateway.schema.page_info import PageInfo
from gateway.schema.records import word

SourceState = word(paging.SourceState)


@strawberry.type(description="Why an instance did not contribute all it has.")
class SourceError:
    code: str = described("The code, as in `extensions.code` of the error beside the data.")
    message: str = described("What happened, for people.")
    retryable: bool = described("Whether asking again can help.")
    retry_after: float | None = described("Seconds to wait before that, where the upstream says so.")


@strawberry.type(description="What one instance contributed to a page.")
class SourceReport:
    instance: object = described("The instance.", Instance)
    state: paging.SourceState = described("Whether it contributed all it has.", SourceState)
    row_count: int = described("How many rows of the page are its own.")
    dropped_row_count: int = described("How many rows it sent that could not be read and are missing here.")
    error: SourceError | None = described("What went wrong; null where nothing did.")


@strawberry.type(description="A connection in a page.")
class ConnectionEdge:
    cursor: str = described("Where the list goes on after this connection; opaque.")
    node: Connection = described("The connection.")


@strawberry.type(
    description=(
        "A page of connections. Its name follows the Relay specification, in which a page's type ends in `Connection`; "
        "that `Connection` itself is an entity here is the one exception."
    )
)
class ConnectionConnection:
    edges: object = described("The connections with their cursors.", list[ConnectionEdge])
    nodes: object = described("The connections.", list[Connection])
    page_info: PageInfo = described("How the list goes on.")
    sources: list[SourceReport] = described("What each instance contributed: whether rows are missing, and whose.")


def page(merged: paging.Merged, *, is_start: bool) -> ConnectionConnection:
    """A merged page in the terms of the schema."""
    edges = merged.edges
    return ConnectionConnection(
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=PageInfo(
            has_next_page=merged.has_next_page,
            has_previous_page=not is_start,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
        sources=[_report(source) for source in merged.sources],
    )


def _report(source: paging.Source) -> SourceReport:
    return SourceReport(
        instance=source.instance,
        state=source.state,
        row_count=source.row_count,
        dropped_row_count=source.dropped_row_count,
        error=None if source.error is None else _error(source.error),
    )


def _error(error: AdapterError) -> SourceError:
    return SourceError(
        code=CODES[type(error)].value,
        message=error.message,
        retryable=error.retryable,
        retry_after=error.retry_after_s,
    )
