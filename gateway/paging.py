"""Pages over many upstreams: a merge of their lists, and cursors that resume each of them where it stood.

The upstreams share neither an order nor a way to page, so the order here is by position: the first of each instance
in the order of the configuration, then the second of each, and so on. Each instance is read once for a page.
"""

import asyncio
import base64
import binascii
import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from adapters.errors import AdapterError
from adapters.model import Connection, Word
from adapters.port import Fields, Page
from gateway.errors import bad_input
from gateway.instances import Instance, Instances


class Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How far one instance's list was read: so many rows, the last of which has this token."""

    count: int = 0
    token: str | None = None
    is_end: bool = False


Places: TypeAlias = Mapping[str, Place]
"""By instance; one that is missing was not begun."""


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: int
    places: dict[str, Place]


_VERSION = 1


def encode(places: Places) -> str:
    """The cursor that goes on from ``places``, opaque to clients."""
    body = msgspec.json.encode(_Cursor(_VERSION, dict(places)))
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def decode(cursor: str) -> Places:
    """The places in a cursor. Raises BAD_USER_INPUT for a text that is none; survives a restart and a change of
    instances: one that is gone is not read, one that is new is read from its start."""
    try:
        body = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        read = msgspec.json.decode(body, type=_Cursor)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise bad_input("This is not a cursor of this list.") from None
    if read.version != _VERSION or any(place.count < 0 for place in read.places.values()):
        raise bad_input("This is not a cursor of this list.")
    return read.places


class SourceState(Word):
    """How an instance contributed to a page."""

    OK = "OK", "All that it has to contribute is there."
    PARTIAL = "PARTIAL", "Its rows are there, but some could not be read, or something that was selected is missing."
    FAILED = "FAILED", "It failed: none of its rows are there."


class Source(NamedTuple):
    """One instance's part in a page."""

    instance: Instance
    state: SourceState
    row_count: int
    dropped_row_count: int
    error: AdapterError | None


class Edge(NamedTuple):
    """A connection, and where the list goes on after it."""

    node: Connection
    places: Places

    @property
    def cursor(self) -> str:
        return encode(self.places)


class Merged(NamedTuple):
    """A page. ``failures`` are those of whole instances and of what would have added to rows."""

    edges: Sequence[Edge]
    has_next_page: bool
    sources: Sequence[Source]
    failures: Sequence[AdapterError]


async def page(instances: Instances, *, first: int, after: str | None, fields: Fields) -> Merged:
    """The next ``first`` connections of all instances. An instance that fails costs its own rows only."""
    places: Places = decode(after) if after is not None else {}
    reads = [
        (instance, place) for instance in instances.values() if not (place := places.get(instance.name, Place())).is_end
    ]
    answers = await asyncio.gather(*(_read(instance, place, max(first, 1), fields) for instance, place in reads))
    pages = {instance.name: answer for (instance, _), answer in zip(reads, answers, strict=True)}
    edges = _merged(instances, places, pages, first)
    return Merged(edges, _goes_on(pages, edges), *_accounts(instances, pages, edges))


async def _read(instance: Instance, place: Place, limit: int, fields: Fields) -> Page | AdapterError:
    return await instance.ask(instance.adapter.page(after=place.token, limit=limit, fields=fields))


def _merged(instances: Instances, places: Places, pages: Mapping[str, Page | AdapterError], first: int) -> list[Edge]:
    """The edges in order. Places are shared between edges: each edge differs from the one before in one instance."""
    ranks = {name: rank for rank, name in enumerate(instances)}
    heads: list[tuple[int, int, str, int]] = []
    for name, got in pages.items():
        if isinstance(got, Page):
            start = places.get(name, Place()).count
            heads += [(start + index, ranks[name], name, index) for index in range(min(first, len(got.connections)))]
    edges: list[Edge] = []
    reached = dict(places)
    for position, _, name, index in heapq.nsmallest(first, heads):
        got = pages[name]
        assert isinstance(got, Page)  # noqa: S101  heads come from pages alone
        is_end = not got.more and index + 1 == len(got.connections)
        reached = {**reached, name: Place(position + 1, got.tokens[index], is_end)}
        edges.append(Edge(got.connections[index], reached))
    return edges


def _taken(edges: Sequence[Edge], name: str) -> int:
    return sum(edge.node.instance == name for edge in edges)


def _goes_on(pages: Mapping[str, Page | AdapterError], edges: Sequence[Edge]) -> bool:
    """Whether a healthy instance holds more: a failed one promises nothing, or clients would ask for ever."""
    return any(
        got.more or len(got.connections) > _taken(edges, name) for name, got in pages.items() if isinstance(got, Page)
    )


def _accounts(
    instances: Instances, pages: Mapping[str, Page | AdapterError], edges: Sequence[Edge]
) -> tuple[Sequence[Source], Sequence[AdapterError]]:
    """Each instance's part, and all failures."""
    sources: list[Source] = []
    failures: list[AdapterError] = []
    for instance in instances.values():
        got = pages.get(instance.name, Page((), (), more=False))
        if isinstance(got, AdapterError):
            failures.append(got)
            sources.append(Source(instance, SourceState.FAILED, 0, 0, got))
            continue
        lookups = [instance.named(failure) for failure in got.failures]
        failures += lookups
        state = SourceState.PARTIAL if lookups or got.dropped else SourceState.OK
        error = lookups[0] if lookups else None
        sources.append(Source(instance, state, _taken(edges, instance.name), got.dropped, error))
    return sources, failures
