"""Pages of connections over all instances."""

import datetime as dt

import strawberry

from adapters.errors import AdapterError
from gateway import paging, sources
from gateway.errors import code_of
from gateway.schema.connection import Connection
from gateway.schema.fields import described
from gateway.schema.instance import Instance
from gateway.schema.page_info import PageInfo
from gateway.schema.records import is_record, word

SourceState = word(sources.SourceState)


@strawberry.type(description="Why an instance did not contribute all it has.")
class SourceError:
    code: str = described("The code, as in `extensions.code` of the error beside the data.")
    message: str = described("What happened, for people.")
    retryable: bool = described("Whether asking again can help.")
    retry_after: float | None = described("Seconds to wait before that, where the upstream says so.")


@strawberry.type(description="What one instance contributed.")
class SourceReport:
    instance: object = described("The instance.", Instance)
    state: sources.SourceState = described("Whether it contributed all it has.", SourceState)
    row_count: int = described("How many rows of the page are its own; of counts, how many rows were counted.")
    dropped_row_count: int = described("How many rows it sent that could not be read and are missing here.")
    as_of: dt.datetime | None = described("When what it contributed was read from it, or the oldest part of that.")
    stale: bool = described("Whether that is older than asked for, because reading it anew failed.")
    error: SourceError | None = described("What went wrong; null where nothing did.")


@strawberry.type(description="A connection in a page.")
class ConnectionEdge:
    cursor: str = described("Where the list goes on after this connection, and before it; opaque.")
    node: Connection = described("The connection.")

    is_type_of = staticmethod(is_record(paging.Edge))


@strawberry.type(
    description=(
        "A page of connections. Its name follows the Relay specification, in which a page's type ends in `Connection`; "
        "that `Connection` itself is an entity here is the one exception."
    )
)
class ConnectionConnection:
    edges: object = described("The connections with their cursors.", list[ConnectionEdge])
    nodes: object = described("The connections.", list[Connection])
    page_info: object = described("How the list goes on.", PageInfo)
    total_count: int | None = described(
        "How many connections meet the filter, on all pages; of the instances that `sources` has rows of."
    )

    @strawberry.field(
        description="What each instance contributed: whether rows are missing, and whose.",
        graphql_type=list[SourceReport],
    )
    @staticmethod
    def sources(parent: strawberry.Parent[paging.Merged]) -> list[SourceReport]:
        return [report(source) for source in parent.sources]


def report(source: sources.Source) -> SourceReport:
    """An instance's part, in the terms of the schema."""
    return SourceReport(
        instance=source.instance,
        state=source.state,
        row_count=source.row_count,
        dropped_row_count=source.dropped,
        as_of=source.as_of,
        stale=source.is_stale,
        error=None if source.error is None else _error(source.error),
    )


def _error(error: AdapterError) -> SourceError:
    return SourceError(
        code=code_of(error).value,
        message=error.message,
        retryable=error.retryable,
        retry_after=error.retry_after_s,
    )
