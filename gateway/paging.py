"""Pages over many upstreams: a merge of their lists, and cursors that resume each of them where it stood.

The upstreams share neither an order nor a way to page, so the order here is by position: the first of each instance
in the order of the configuration, then the second of each, and so on. Each instance is read once for a page.
"""

import asyncio
import base64
import binascii
import contextlib
import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, TypeAlias

import msgspec

from adapters import deadline
from adapters.errors import AdapterError
from adapters.model import Connection, Word
from adapters.port import Completed, Fields, Page
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


Answers: TypeAlias = Mapping[str, Page | AdapterError]
"""What each instance gave for a page of its own; one at its end was not asked."""

LISTING_SHARE = 0.8
"""The part of the request's time in which lists are read: an instance that hangs must leave some of it to what the
rows of the others still lack."""


async def page(instances: Instances, *, first: int, after: str | None, fields: Fields) -> Merged:
    """The next ``first`` connections of all instances. An instance that fails costs its own rows only."""
    places: Places = decode(after) if after is not None else {}
    with _shorter(LISTING_SHARE):
        answers = await _listed(instances, places, first + 1)  # one more, to know whether the list goes on
    edges = _merged(instances, places, answers, first)
    has_next_page = _goes_on(answers, edges)
    edges, lacking = await _completed(instances, edges, fields)
    sources = [_account(instance, answers, edges, lacking) for instance in instances.values()]
    failed = [answer for answer in answers.values() if isinstance(answer, AdapterError)]
    return Merged(edges, has_next_page, sources, [*failed, *(error for errors in lacking.values() for error in errors)])


def _shorter(share: float) -> AbstractContextManager[None]:
    left_s = deadline.remaining()
    return contextlib.nullcontext() if left_s is None else deadline.within(left_s * share)


async def _listed(instances: Instances, places: Places, limit: int) -> Answers:
    """A page of the list of each instance that is not at its end, all at once."""
    going_on = {name: place for name in instances if not (place := places.get(name, Place())).is_end}

    async def read(name: str, place: Place) -> Page | AdapterError:
        return await instances[name].ask(instances[name].adapter.page(after=place.token, limit=limit))

    answers = await asyncio.gather(*(read(name, place) for name, place in going_on.items()))
    return dict(zip(going_on, answers, strict=True))


def _merged(instances: Instances, places: Places, answers: Answers, first: int) -> list[Edge]:
    """The edges in order. Places are shared between edges: each edge differs from the one before in one instance."""
    ranks = {name: rank for rank, name in enumerate(instances)}
    heads: list[tuple[int, int, str, int]] = []
    for name, got in answers.items():
        if isinstance(got, Page):
            start = places.get(name, Place()).count
            heads += [(start + index, ranks[name], name, index) for index in range(min(first, len(got.connections)))]
    edges: list[Edge] = []
    reached = dict(places)
    for position, _, name, index in heapq.nsmallest(first, heads):
        got = answers[name]
        assert isinstance(got, Page)  # noqa: S101  heads come from pages alone
        is_end = not got.more and index + 1 == len(got.connections)
        reached = {**reached, name: Place(position + 1, got.tokens[index], is_end)}
        edges.append(Edge(got.connections[index], reached))
    return edges


def _goes_on(answers: Answers, edges: Sequence[Edge]) -> bool:
    """Whether a healthy instance holds more: a failed one promises nothing, or clients would ask for ever."""
    return any(
        got.more or len(got.connections) > _taken(edges, name) for name, got in answers.items() if isinstance(got, Page)
    )


def _taken(edges: Sequence[Edge], name: str) -> int:
    return sum(edge.node.instance == name for edge in edges)


async def _completed(
    instances: Instances, edges: Sequence[Edge], fields: Fields
) -> tuple[list[Edge], Mapping[str, Sequence[AdapterError]]]:
    """The edges with what was selected of their connections and lists do not hold, and what failed of it, by instance.
    Only rows of the page are completed: a list gives more of them than a page over several instances takes."""
    rows: defaultdict[str, list[Connection]] = defaultdict(list)
    for edge in edges:
        rows[edge.node.instance].append(edge.node)
    answers = await asyncio.gather(*(_complete(instances[name], of_one, fields) for name, of_one in rows.items()))
    following = {name: iter(completed.connections) for name, completed in zip(rows, answers, strict=True)}
    lacking = {name: completed.failures for name, completed in zip(rows, answers, strict=True)}
    return [edge._replace(node=next(following[edge.node.instance])) for edge in edges], lacking


async def _complete(instance: Instance, rows: Sequence[Connection], fields: Fields) -> Completed:
    answer = await instance.ask(instance.adapter.complete(rows, fields))
    if isinstance(answer, AdapterError):
        return Completed(tuple(rows), (answer,))
    return answer._replace(failures=tuple(map(instance.named, answer.failures)))


def _account(
    instance: Instance, answers: Answers, edges: Sequence[Edge], lacking: Mapping[str, Sequence[AdapterError]]
) -> Source:
    """An instance's part in the page."""
    got = answers.get(instance.name, Page((), (), more=False))
    if isinstance(got, AdapterError):
        return Source(instance, SourceState.FAILED, 0, 0, got)
    errors = lacking.get(instance.name, ())
    state = SourceState.PARTIAL if errors or got.dropped else SourceState.OK
    return Source(instance, state, _taken(edges, instance.name), got.dropped, errors[0] if errors else None)
