"""What tests of adapters stand on: an adapter over its imitation, and what is asked of the two."""

import contextlib
import datetime as dt
import itertools
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import httpx
import msgspec
import pytest
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters import errors, walk
from adapters.channel import Answer
from adapters.dialling import Origin
from adapters.errors import AdapterError
from adapters.http1 import Client
from adapters.imitation import Collation, ImitationServer, collated
from adapters.model import Connection, Schedule, ScheduleType
from adapters.port import (
    LIST_FIELDS,
    Adapter,
    Fields,
    Filter,
    List,
    Order,
    Page,
    Period,
    Planned,
    Provider,
    Workshop,
)
from adapters.secret import Secret
from adapters.transport import Call, Hook
from gateway import filters, orders

INSTANCE = "contract-1"
_BEGAN = time.time()
NOW = _BEGAN + 20 * (_BEGAN % 3600 < 20)
"""For the clocks of imitations: data that holds still, and tokens that are good now. Not the first twenty seconds of an
hour, in which the first connection of Wdata has a run going on."""
STEPS = 500
"""No walk in this suite is longer."""

STATUSES: Mapping[int, type[AdapterError]] = {
    302: errors.ContractBroken,
    400: errors.Rejected,
    401: errors.Unauthorized,
    403: errors.Unauthorized,
    404: errors.NotFound,
    409: errors.Conflict,
    418: errors.ContractBroken,
    422: errors.Rejected,
    423: errors.Conflict,
    429: errors.RateLimited,
    500: errors.UpstreamFault,
    501: errors.Unsupported,
    503: errors.UpstreamFault,
    504: errors.TimedOut,
}

NONSENSE = (
    "",
    " ",
    "null",
    "[]",
    "{}",
    "true",
    "42",
    '"a text"',
    "<!DOCTYPE html><html><body>Please log in</body></html>",
    '[{"id": "1", "connectionId": "1"',
    '{"connections": [',
    '{"connections": null, "body": null}',
    '{"connections": {}, "body": {}}',
    '{"connections": "none", "body": "none"}',
    '{"connections": 1, "body": 1}',
    '{"error": {"message": "ok, but not ok"}}',
    "[" * 5000,
    "\x00\x01",
    "{'connections': []}",
)

ODD: tuple[Any, ...] = (
    None,
    "",
    "a_word_nobody_knows",
    True,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    10**30,
    1.5,
    -1e300,
    [],
    {},
    [None],
    [{}],
    {"": None},
    "9999-99-99T99:99:99Z",
    "0001-01-01T00:00:00+23:59",
    "\u0000",
    "x" * 5000,
)


class Contracted(NamedTuple):
    """An adapter over its imitation."""

    adapter: Adapter
    imitation: Any
    url: str
    client: Client


class Front:
    """ASGI: whatever app stands behind it at the moment."""

    app: ASGIApp
    url: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.app(scope, receive, send)


class Rewritten:
    """ASGI: an app whose JSON answers to paths ending in ``path`` are changed on the way."""

    def __init__(self, app: ASGIApp, path: str, change: Callable[[Any], Any]) -> None:
        self._app = app
        self._path = path
        self._change = change

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].endswith(self._path):
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def keep(message: Message) -> None:
            nonlocal start, body
            start = message if message["type"] == "http.response.start" else start
            body += message.get("body", b"")

        await self._app(scope, receive, keep)
        if start["status"] == 200:
            body = msgspec.json.encode(self._change(msgspec.json.decode(body)))
        await send({"type": "http.response.start", "status": start["status"], "headers": [(b"server", b"x")]})
        await send({"type": "http.response.body", "body": body})


class Refusing:
    """ASGI: an app that answers ``status`` to every call that names ``id`` in its path or body."""

    def __init__(self, app: ASGIApp, id: str, status: int) -> None:
        self._app = app
        self._id = id
        self._status = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        asked = scope["path"].encode() + b"".join(message.get("body", b"") for message in messages)
        if self._id.encode() in asked:
            await send({"type": "http.response.start", "status": self._status, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
        else:
            kept = iter(messages)

            async def again() -> Message:
                return next(kept, None) or await receive()

            await self._app(scope, again, send)


def settings_of(provider: Provider, raw: Mapping[str, Any]) -> Any:
    """The provider's Settings from what would stand in YAML."""
    return msgspec.convert(dict(raw), provider.settings, dec_hook=_secret)


def _secret(kind: type[Any], value: Any) -> Any:
    assert kind is Secret
    return Secret(value)


class Before:
    """ASGI: an app that something is done to before it answers a call to a path with this ending; ``change`` is given
    the number of the call."""

    def __init__(self, app: ASGIApp, path: str, change: Callable[[int], None]) -> None:
        self._app = app
        self._path = path
        self._change = change
        self._calls = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith(self._path):
            self._change(next(self._calls))
        await self._app(scope, receive, send)


@contextlib.asynccontextmanager
async def over(provider: Provider, imitation: ImitationServer, **settings: Any) -> AsyncGenerator[Contracted]:
    """The imitation on loopback, and an adapter of its settings, in which ``settings`` take precedence."""
    async with imitation.serve() as url, Client() as client:
        adapter = built(provider, client, {**imitation.settings(url), **settings})
        yield Contracted(adapter, imitation, url, client)


def built(provider: Provider, client: Client, raw: Mapping[str, Any], *hooks: Hook) -> Adapter:
    return provider.build(Workshop(INSTANCE, client, hooks), settings_of(provider, raw))


class Refused(Client):
    """A client that lets nobody through, and remembers where they wanted to go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Origin] = []

    async def exchange(self, origin: Origin, *_: Any, **__: Any) -> Answer:
        self.asked.append(origin)
        raise httpx.ConnectError("nobody is let through")


async def host_called(provider: Provider, raw: Mapping[str, Any]) -> str:
    """The host and the port that an adapter of these settings calls first."""
    client = Refused()
    with pytest.raises(errors.Unreachable):
        await first_pages(built(provider, client, {**raw, "retries": 0}))
    first = client.asked[0]
    assert first.scheme == "https", "a region is called by https"
    return f"{first.host}:{first.port}"


async def first_pages(adapter: Adapter) -> list[Page]:
    """The first page of each list of the instance."""
    return [await adapter.read(List(part)) for part in await adapter.parts()]


async def plainly(adapter: Adapter, of: List) -> list[Page]:
    """The pages of a list, one after the other, each at the token that the one before it tells."""
    pages = [await adapter.read(of)]
    while pages[-1].next is not None:
        assert len(pages) < STEPS, "the walk does not end"
        pages.append(await adapter.read(of, after=pages[-1].next))
    return pages


async def listed(adapter: Adapter) -> list[Connection]:
    """All connections of the instance, as its lists have them."""
    walks = [await walk.whole(adapter, List(part)) for part in await adapter.parts()]
    return [row for walked in walks for row in walked.rows]


async def walked(adapter: Adapter, fields: Fields = LIST_FIELDS) -> list[Connection]:
    """All connections of the instance, with what was wanted of them."""
    completed = await adapter.complete(await listed(adapter), fields)
    assert not completed.failures
    return list(completed.connections)


class Shown(NamedTuple):
    """The beginning of a page as a client of the graph sees it: listed, then completed."""

    connections: tuple[Connection, ...]
    next: str | None
    dropped: int
    failures: tuple[AdapterError, ...]


async def paged(adapter: Adapter, *, after: str | None = None, limit: int = 100, fields: Fields = LIST_FIELDS) -> Shown:
    """The beginning of a page of the instance's first list, with what was wanted of its connections."""
    part = (await adapter.parts())[0]
    page = await adapter.read(List(part), after=after)
    completed = await adapter.complete(page.connections[:limit], fields)
    assert native_ids(completed.connections) == native_ids(page.connections[:limit])
    return Shown(completed.connections, page.next, page.dropped, completed.failures)


def native_ids(connections: Iterable[Connection]) -> list[str]:
    return [connection.native_id for connection in connections]


def calls(contracted: Contracted) -> dict[str, int]:
    """How often each endpoint was called since this was last asked, by ``METHOD /path``."""
    counted = dict(contracted.imitation.journal.by_path())
    contracted.imitation.journal.clear()
    return counted


def agrees(listed: Any, found: Any) -> bool:
    """Whether a record found by id says what the list says; where the list says nothing, or no more than that there may
    be a schedule, it may know more."""
    if listed is None or listed == found or (isinstance(listed, Schedule) and listed.type is ScheduleType.UNKNOWN):
        return True
    if not isinstance(listed, msgspec.Struct) or type(listed) is not type(found):
        return False
    return all(agrees(getattr(listed, name), getattr(found, name)) for name in listed.__struct_fields__)


def has_ended(page: Page) -> bool:
    """Whether something in the page has changed by the time alone."""
    return page.good_until is not None and page.good_until <= dt.datetime.now(dt.UTC)


def check_ordered(rows: Sequence[Connection], order: Order, collation: Collation) -> None:
    """The rows are in this order, as a server of this collation sees it; those without a value stand at one end."""
    values = [orders.FIELDS[order.field](row) for row in rows]
    having = [place for place, value in enumerate(values) if value is not None]
    assert having == list(range(having[0], having[-1] + 1))
    assert having[0] == 0 or having[-1] == len(rows) - 1
    compared: list[Any] = [value for value in values if value is not None]
    if order.field in orders.TEXTS:
        compared = [collated(value, collation) for value in compared]
    assert compared == sorted(compared, reverse=order.is_descending), order
    assert len(set(compared)) > 1, "an order of equal values is no order"


def check_planned(planned: Iterable[Planned], made: Iterable[Call]) -> None:
    """Every call that was made was planned, and as often where that was known."""
    told: dict[tuple[str, str, str], int | None] = {}
    for request, times, why in planned:
        assert why if times is None else times > 0
        key = request.operation, request.method, request.route
        before = told.get(key, 0)
        told[key] = None if times is None or before is None else before + times
    counted = Counter((call.operation, call.method, call.route) for call in made)
    assert counted.keys() <= told.keys()
    assert {key: counted[key] for key, times in told.items() if times is not None} == {
        key: times for key, times in told.items() if times is not None
    }


def meeting(conditions: Mapping[str, Any]) -> Filter:
    """The filter of these conditions, by name."""
    return Filter(**conditions)


def conditions_of(row: Connection) -> Mapping[str, Any]:
    """By name, the values by which this row can be filtered for."""
    read = {name: column(row) for name, column in filters.COLUMNS.items()}
    moments = {name: getattr(row, name) for name in ("created_at", "updated_at", "last_healthy_at")}
    moments["last_run_at"] = row.last_run.started_at if row.last_run else None
    return {name: value for name, value in (read | moments).items() if value not in (None, ())}


def wheres_of(rows: Sequence[Connection]) -> Iterator[Filter]:
    """Filters that some of the rows meet: of one condition each, of all that an endpoint can be asked for by, and of a
    condition that two rows meet by different values."""
    met = [{name: _condition(value) for name, value in conditions_of(row).items()} for row in rows]
    for conditions in met:
        yield from (meeting({name: condition}) for name, condition in conditions.items())
        for side in ("source", "destination"):
            yield meeting({name: conditions[name] for name in (f"{side}_id", f"{side}_type") if name in conditions})
    for one, other in itertools.pairwise(met):
        for name in one.keys() & other.keys():
            if isinstance(one[name], tuple):
                yield meeting({name: one[name] + other[name]})


def _condition(value: Any) -> Any:
    """The narrowest condition that a value meets."""
    match value:
        case bool():
            return value
        case dt.datetime():
            return Period(since=value, before=value + dt.timedelta(microseconds=1))
        case tuple():
            return cast("tuple[Any, ...]", value)[:1]
        case _:
            return (value,)


@st.composite
def filters_met_in(draw: st.DrawFn, rows: Sequence[Connection]) -> Filter:
    """Filters that some row is likely to meet, and often another one too."""
    row, other = (conditions_of(draw(st.sampled_from(rows))) for _ in range(2))
    names = draw(st.sets(st.sampled_from(sorted(row)), max_size=3))
    if draw(st.booleans()):
        side = draw(st.sampled_from(("source", "destination")))
        names |= {f"{side}_id", f"{side}_type"} & row.keys()
    where = {name: draw(_conditions(row[name], other.get(name, row[name]))) for name in sorted(names)}
    inside = draw(st.one_of(st.none(), filters_met_in(rows))) if draw(st.integers(0, 4)) == 0 else None
    return meeting({**where, "not_": inside})


def _conditions(value: Any, other: Any) -> st.SearchStrategy[Any]:
    """Conditions that a value meets, or that both do, or neither."""
    match value:
        case bool():
            return st.booleans()
        case dt.datetime():
            around = st.sampled_from([value + dt.timedelta(seconds=seconds) for seconds in (-60, -0.001, 0, 0.001, 60)])
            return st.builds(Period, since=st.none() | around, before=st.none() | around)
        case tuple():
            words = st.sampled_from([*cast("tuple[str, ...]", value), *other])
            return st.one_of(st.tuples(), st.tuples(words), st.tuples(words, words))
        case _:
            return st.sampled_from([(), (value,), (value,), (value, other), (other, value)])
