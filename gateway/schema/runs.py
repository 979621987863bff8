"""Pages of a connection's runs."""

import base64
import binascii
from typing import Any

import strawberry

from adapters import model, port
from gateway.errors import bad_input
from gateway.schema.fields import described
from gateway.schema.page_info import PageInfo
from gateway.schema.records import object_type
from gateway.schema.scalars import BigInt

Run: Any = object_type(model.Run)


@strawberry.type(description="A run in a page.")
class RunEdge:
    cursor: str = described("Where the page goes on after this run; opaque.")
    node: object = described("The run.", Run)


@strawberry.type(description="A page of a connection's runs, the newest first.")
class RunConnection:
    edges: list[RunEdge] = described("The runs with their cursors.")
    nodes: list[object] = described("The runs.", list[Run])
    page_info: PageInfo = described("How the list goes on.")
    total_count: BigInt | None = described("How many runs there are, where the upstream counts them.")


def page(got: port.RunPage, first: int, *, is_start: bool) -> RunConnection:
    """The first ``first`` runs of what an adapter gave."""
    edges = [
        RunEdge(cursor=_cursor(token), node=run)
        for run, token in zip(got.runs[:first], got.tokens[:first], strict=True)
    ]
    return RunConnection(
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=PageInfo(
            has_next_page=got.more or len(got.runs) > first,
            has_previous_page=not is_start,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
        total_count=None if got.total is None else BigInt(got.total),
    )


def _cursor(token: str) -> str:
    return base64.urlsafe_b64encode(b"r1:" + token.encode()).rstrip(b"=").decode()


def token(cursor: str | None) -> str | None:
    """The adapter's token in a cursor. Raises BAD_USER_INPUT."""
    if cursor is None:
        return None
    try:
        version, _, text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).partition(b":")
        if version == b"r1" and text:
            return text.decode()
    except (binascii.Error, ValueError):
        pass
    raise bad_input("This is not a cursor of this list.")
