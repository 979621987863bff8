"""What every adapter promises, tried over real HTTP against its provider's imitation.

A subclass names the provider, says how to make an imitation and where its lists are, and inherits every test:

    class TestAcme(AdapterContract):
        provider = PROVIDER
        list_path, rows_in, id_name = "/v1/things", "items", "id"
        secrets = (PLANTED,)

        def imitation(self) -> AcmeImitation:
            return AcmeImitation(clock=lambda: NOW)
"""

import asyncio
import contextlib
import itertools
import socket
import ssl
import time
import traceback
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import httpx
import msgspec
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters import errors, ids
from adapters.errors import AdapterError
from adapters.imitation import ImitationServer, Knobs, Troubled, serve
from adapters.model import Connection, ConnectionStatus, RunStatus
from adapters.port import LIST_FIELDS, Adapter, Capability, Fields, Provider, Workshop
from adapters.secret import Secret

_TLS = ssl.create_default_context()  # made once: it costs more than a test

INSTANCE = "contract-1"
NOW = time.time()
"""For the clocks of imitations: data that holds still, and tokens that are good now."""
IMPATIENT: Mapping[str, Any] = {"retries": 0, "timeout": 0.25}
STEPS = 500
"""No walk in this suite is longer."""

SHOWS: Mapping[Capability, tuple[str, ...]] = {
    Capability.SCHEDULE: ("schedule",),
    Capability.LAST_RUN: ("last_run",),
    Capability.HEALTH_CHECKS: ("last_healthy_at", "last_unhealthy_at"),
    Capability.SCHEMA_CHANGES: ("schema_change",),
    Capability.ENVIRONMENTS: ("environment",),
    Capability.CATEGORIES: ("categories", "permissions"),
    Capability.DESCRIPTION: ("description",),
    Capability.DESTINATION: ("destination",),
    Capability.CREATED_AT: ("created_at", "updated_at"),
    Capability.WORKSPACE_NAMES: ("workspace_name",),
}
"""The fields of a record in which a capability shows; RUNS and RUN_COUNTS show in its runs."""

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
UNREADABLE_ROWS: tuple[Any, ...] = (None, 42, "a row", [], {}, [[]], True)
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
    imitation: ImitationServer
    url: str
    client: httpx.AsyncClient


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


@contextlib.asynccontextmanager
async def over(provider: Provider, imitation: ImitationServer, **settings: Any) -> AsyncGenerator[Contracted]:
    """The imitation on loopback, and an adapter of its settings, in which ``settings`` take precedence."""
    async with imitation.serve() as url, httpx.AsyncClient(verify=_TLS) as client:
        adapter = built(provider, client, {**imitation.settings(url), **settings})
        yield Contracted(adapter, imitation, url, client)


def built(provider: Provider, client: httpx.AsyncClient, raw: Mapping[str, Any]) -> Adapter:
    return provider.build(Workshop(INSTANCE, client), settings_of(provider, raw))


async def host_called(provider: Provider, raw: Mapping[str, Any]) -> str:
    """The host that an adapter of these settings calls first, learnt from a proxy which lets nobody through."""
    asked: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode())
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        async with httpx.AsyncClient(verify=_TLS, proxy=f"http://127.0.0.1:{port}") as client:
            with pytest.raises(errors.Unreachable):
                await built(provider, client, {**raw, "retries": 0}).page(after=None, limit=5)
    method, target, _ = asked[0].split()
    assert method == "CONNECT", "a region is called by https"
    return target


async def walked(
    adapter: Adapter, sizes: int | Iterable[int], fields: Fields = LIST_FIELDS, after: str | None = None
) -> list[Connection]:
    """The connections that a client meets who reads page by page to the end."""
    return [connection async for connection, _ in steps(adapter, sizes, fields, after)]


class Shown(NamedTuple):
    """A page as a client of the graph sees it: listed, then completed."""

    connections: tuple[Connection, ...]
    tokens: tuple[str, ...]
    more: bool
    dropped: int
    failures: tuple[AdapterError, ...]


async def paged(adapter: Adapter, *, after: str | None, limit: int, fields: Fields) -> Shown:
    """A page of the list, with what was wanted of its connections."""
    page = await adapter.page(after=after, limit=limit)
    completed = await adapter.complete(page.connections, fields)
    assert [c.native_id for c in completed.connections] == [c.native_id for c in page.connections]
    return Shown(completed.connections, page.tokens, page.more, page.dropped, completed.failures)


async def steps(
    adapter: Adapter, sizes: int | Iterable[int], fields: Fields = LIST_FIELDS, after: str | None = None
) -> AsyncGenerator[tuple[Connection, str]]:
    """Each connection of a walk with its token."""
    limits = itertools.repeat(sizes) if isinstance(sizes, int) else itertools.cycle(sizes)
    for count, limit in enumerate(limits):
        assert count < STEPS, "the walk does not end"
        page = await paged(adapter, after=after, limit=limit, fields=fields)
        assert len(page.connections) == len(page.tokens) <= limit
        assert not page.failures
        for met in zip(page.connections, page.tokens, strict=True):
            yield met
        if not page.more or not page.tokens:
            return
        after = page.tokens[-1]


def native_ids(connections: Iterable[Connection]) -> list[str]:
    return [connection.native_id for connection in connections]


def calls(contracted: Contracted) -> dict[str, int]:
    """How often each endpoint was called since this was last asked, by ``METHOD /path``."""
    counted = dict(contracted.imitation.journal.by_path())
    contracted.imitation.journal.clear()
    return counted


def agrees(listed: Any, found: Any) -> bool:
    """Whether a record found by id says what the list says; where the list says nothing, it may know more."""
    if listed is None or listed == found:
        return True
    if not isinstance(listed, msgspec.Struct) or type(listed) is not type(found):
        return False
    return all(agrees(getattr(listed, name), getattr(found, name)) for name in listed.__struct_fields__)


def texts(value: Any) -> Iterator[str]:
    """Every text inside some JSON, apart from keys."""
    match value:
        case str():
            yield value
        case dict():
            yield from texts(list(value.values()))
        case list():
            for item in value:
                yield from texts(item)
        case _:
            return


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    """Some JSON with what stands at ``path`` replaced; the path's parts are keys and indexes."""
    if not path:
        return by
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything inside some JSON."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


class AdapterContract:
    """Inherit this, fill in what stands without a value, and every promise is tried."""

    provider: ClassVar[Provider]
    list_path: ClassVar[str]
    """How the path of the upstream's list ends."""
    rows_in: ClassVar[str | None] = None
    """The member of a list's answer that holds the rows; None where the answer is the rows."""
    id_name: ClassVar[str] = "id"
    """What a row's id is called on the wire."""
    secrets: ClassVar[tuple[str, ...]]
    """Parts of every credential that the imitation plants in its data and errors."""
    empty_bodies: ClassVar[frozenset[str]] = frozenset()
    """Of the nonsense bodies, those that are an empty list to this upstream."""
    calls_for_many: ClassVar[int] = 1
    """How many calls twenty ids cost at the most; the list has all of them on its first pages."""
    one_part: ClassVar[Mapping[str, Any]] = {}
    """Settings that leave a single list, where an instance has several."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Further settings of the instance."""

    def imitation(self) -> ImitationServer:
        raise NotImplementedError

    # --- what the tests stand on ---

    @pytest.fixture(scope="class")
    @classmethod
    async def front(cls) -> AsyncGenerator["Front"]:
        """A server for all tests of the class, each of which puts its own imitation behind it."""
        front = Front()
        async with serve(front) as url:
            front.url = url
            yield front

    @pytest.fixture(autouse=True)
    def _stand(self, front: "Front") -> None:
        self._front = front

    @contextlib.asynccontextmanager
    async def over(self, imitation: ImitationServer, **settings: Any) -> AsyncGenerator[Contracted]:
        """As the function of this name, behind the server that stands already."""
        self._front.app = Troubled(imitation)
        async with httpx.AsyncClient(verify=_TLS) as client:
            adapter = built(self.provider, client, {**imitation.settings(self._front.url), **settings})
            yield Contracted(adapter, imitation, self._front.url, client)

    @pytest.fixture
    async def calm(self) -> AsyncGenerator[Contracted]:
        """An adapter whose upstream is well, for tests that only read."""
        async with self.over(self.imitation(), **self.settings) as contracted:
            yield contracted

    @contextlib.asynccontextmanager
    async def troubled(self, only: str | None = None, **knobs: Any) -> AsyncGenerator[Contracted]:
        """A fresh adapter whose upstream makes trouble in its list, or wherever ``only`` says."""
        imitation = self.imitation()
        imitation.knobs = Knobs(only=self.list_path if only is None else only, **knobs)
        async with self.over(imitation, **{**self.settings, **IMPATIENT}) as contracted:
            yield contracted

    @contextlib.asynccontextmanager
    async def listing(self, change: Callable[[list[Any]], list[Any]], **settings: Any) -> AsyncGenerator[Contracted]:
        """A fresh adapter whose upstream lists other rows than it should."""
        imitation = self.imitation()

        def rewrite(body: Any) -> Any:
            if self.rows_in is None:
                return change(body)
            return {**body, self.rows_in: change(body[self.rows_in])}

        imitation.app = Rewritten(imitation.app, self.list_path, rewrite)
        async with self.over(imitation, **{**self.settings, **IMPATIENT, **settings}) as contracted:
            yield contracted

    async def failure(self, contracted: Contracted, expected: type[AdapterError]) -> AdapterError:
        """The error of a page, which must say where it happened and nothing that it should not."""
        with pytest.raises(expected) as raised:
            await contracted.adapter.page(after=None, limit=5)
        assert type(raised.value) is expected
        self.check_error(raised.value)
        return raised.value

    def check_error(self, error: AdapterError, *words: str) -> None:
        # What only shows when an answer is read is given its place by who asked the adapter.
        unplaced = isinstance(error, errors.ContractBroken | errors.Rejected)
        assert error.instance == INSTANCE or (unplaced and not error.instance)
        assert error.provider == self.provider.key or (unplaced and not error.provider)
        assert error.operation or unplaced
        assert error.message
        told = "".join(traceback.format_exception(error)) + repr(vars(error))
        for secret in (*self.secrets, *words):
            assert secret not in told

    # --- walking ---

    @pytest.mark.parametrize("sizes", [1, 2, 7, 25, 100, (1, 25, 2), (7, 100, 3)])
    async def test_a_walk_in_pages_of_any_size_meets_each_connection_once(
        self, calm: Contracted, sizes: int | tuple[int, ...]
    ):
        met = native_ids(await walked(calm.adapter, sizes))
        assert sorted(met) == sorted({row[self.id_name] for row in calm.imitation.rows()})  # type: ignore[attr-defined]
        assert met == native_ids(await walked(calm.adapter, 50)), "the order depends on the page size"

    async def test_every_token_resumes_right_after_its_row_even_in_another_process(self, calm: Contracted):
        met = [(connection.native_id, token) async for connection, token in steps(calm.adapter, 50)]
        everything = [id for id, _ in met]
        another = built(self.provider, calm.client, {**calm.imitation.settings(calm.url), **self.settings})
        for place, (_, token) in enumerate(met, 1):
            page = await another.page(after=token, limit=3)
            assert native_ids(page.connections) == everything[place : place + 3]
            assert page.more or place + 3 >= len(everything)

    @pytest.mark.parametrize("token", ["", "nonsense", "[]", "null", '["nowhere", 1]', "\ud800", "0", "[[]]"])
    async def test_a_token_of_somebody_else_is_rejected_or_stands_for_the_start(self, calm: Contracted, token: str):
        with contextlib.suppress(errors.Rejected):
            page = await calm.adapter.page(after=token, limit=2)
            assert native_ids(page.connections) == native_ids(await walked(calm.adapter, 50))[:2]

    async def test_a_page_costs_one_call_of_the_list(self, calm: Contracted):
        await calm.adapter.page(after=None, limit=5)
        calm.imitation.journal.clear()
        await calm.adapter.page(after=None, limit=5)
        assert calm.imitation.journal.count() == calm.imitation.journal.count(self.list_path) == 1

    async def test_an_upstream_that_always_gives_its_first_page_is_met_once(self):
        pages: list[list[Any]] = []

        def first(rows: list[Any]) -> list[Any]:
            pages.append(rows)
            assert len(pages) < STEPS, "the walk does not end"
            return pages[0]

        async with self.listing(first, **self.one_part) as contracted:
            met = native_ids(await walked(contracted.adapter, 7))
        assert len(met) == len(set(met)) >= 7

    async def test_rows_that_come_twice_side_by_side_are_met_once(self):
        async with self.listing(lambda rows: [row for row in rows for _ in range(2)]) as contracted:
            page = await contracted.adapter.page(after=None, limit=50)
        met = native_ids(page.connections)
        assert len(met) == len(set(met)) > 0

    # --- records ---

    async def test_ids_decode_to_the_instance_and_the_native_id(self, calm: Contracted):
        for connection in await walked(calm.adapter, 50):
            assert ids.decode(connection.id) == (INSTANCE, connection.native_id)
            assert self.provider.native_id.fullmatch(connection.native_id)
            assert (connection.instance, connection.provider) == (INSTANCE, self.provider.key)

    async def test_details_are_the_provider_s_own_record(self, calm: Contracted):
        for connection in await walked(calm.adapter, 50):
            assert isinstance(connection.details, self.provider.details)

    async def test_every_status_has_its_evidence(self, calm: Contracted):
        for connection in await walked(calm.adapter, 50):
            reason = connection.status_reason
            assert isinstance(connection.status, ConnectionStatus)
            assert reason.message.endswith(".")
            assert reason.field
            assert reason.raw_value is not None or connection.status is ConnectionStatus.NEVER_RAN

    async def test_times_are_aware(self, calm: Contracted):
        for connection in await walked(calm.adapter, 50):
            run = connection.last_run
            moments = [
                connection.created_at,
                connection.updated_at,
                connection.last_healthy_at,
                connection.last_unhealthy_at,
                connection.status_reason.since,
                *((run.started_at, run.ended_at) if run else ()),
            ]
            assert all(moment.utcoffset() is not None for moment in moments if moment is not None)

    async def test_no_record_holds_a_planted_secret(self, calm: Contracted):
        connections = await walked(calm.adapter, 50)
        details = frozenset(f"{self.provider.details.__name__}.{n}" for n in self.provider.details.__struct_fields__)
        found = await calm.adapter.get_many(dict.fromkeys(native_ids(connections), details | {"source.icon"}))
        assert len(found.by_id) == len(connections)
        assert all(isinstance(record, Connection) for record in found.by_id.values())
        told = repr(connections) + repr(found) + msgspec.json.encode(list(found.by_id.values())).decode()
        for secret in self.secrets:
            assert secret not in told

    async def test_the_imitation_does_plant_its_secrets(self, calm: Contracted):
        sent = calm.imitation.settings(calm.url), calm.imitation.rows()  # type: ignore[attr-defined]
        error = bytes(calm.imitation.error_response(500).body).decode()
        full = [self.full_row(calm.imitation, number) for number in range(10)]
        assert any(secret in repr((sent, error, full)) for secret in self.secrets)

    def full_row(self, imitation: Any, number: int) -> Any:
        """All that the upstream answers of one connection."""
        return imitation.rows()[number]

    # --- capabilities ---

    @pytest.mark.parametrize("capability", SHOWS, ids=lambda capability: capability.value)
    async def test_a_field_is_filled_somewhere_exactly_where_the_capability_says_so(
        self, calm: Contracted, capability: Capability
    ):
        connections = await walked(calm.adapter, 50, fields=frozenset({"workspace_name"}))
        for name in SHOWS[capability]:
            filled = any(getattr(connection, name) not in (None, ()) for connection in connections)
            assert filled == (capability in self.provider.capabilities), name

    async def test_runs_are_listed_exactly_where_the_capability_says_so(self, calm: Contracted):
        connections = await walked(calm.adapter, 50)
        calm.imitation.journal.clear()
        if Capability.RUNS in self.provider.capabilities:
            pages = [await calm.adapter.runs(connection, after=None, limit=2) for connection in connections[:20]]
            assert any(page.runs for page in pages)
            counted = any(run.records_synced is not None for page in pages for run in page.runs)
            assert counted == (Capability.RUN_COUNTS in self.provider.capabilities)
        else:
            with pytest.raises(errors.Unsupported) as raised:
                await calm.adapter.runs(connections[0], after=None, limit=2)
            self.check_error(raised.value)
            assert calm.imitation.journal.count() == 0

    @pytest.mark.parametrize("limit", [1, 2, 7, 100])
    async def test_a_walk_over_runs_meets_each_once_the_newest_first(self, calm: Contracted, limit: int):
        if Capability.RUNS not in self.provider.capabilities:
            return
        for connection in (await walked(calm.adapter, 50))[:3]:
            met, total, after = [], None, None
            for count in itertools.count():
                assert count < STEPS, "the walk does not end"
                page = await calm.adapter.runs(connection, after=after, limit=limit)
                assert len(page.runs) == len(page.tokens) <= limit
                met += page.runs
                total = page.total
                if not page.more:
                    break
                after = page.tokens[-1]
            assert total in (None, len(met))
            assert len({run.id for run in met}) == len(met)
            starts = [run.started_at for run in met if run.started_at]
            assert starts == sorted(starts, reverse=True)

    async def test_the_last_run_is_the_first_of_the_runs(self, calm: Contracted):
        if Capability.RUNS not in self.provider.capabilities:
            return
        for connection in (await walked(calm.adapter, 50))[:20]:
            page = await calm.adapter.runs(connection, after=None, limit=1)
            assert (connection.last_run is None) == (not page.runs)
            if connection.last_run:
                assert agrees(connection.last_run, page.runs[0])
                assert page.runs[0].status is not RunStatus.UNKNOWN

    # --- by id ---

    async def test_a_record_found_by_id_says_what_the_list_says(self, calm: Contracted):
        connections = {connection.native_id: connection for connection in await walked(calm.adapter, 50)}
        together = (await calm.adapter.get_many(dict.fromkeys(connections, LIST_FIELDS))).by_id
        assert set(together) == set(connections)
        for id, listed in connections.items():
            alone = (await calm.adapter.get_many({id: LIST_FIELDS})).by_id
            assert set(alone) == {id}
            for found in (alone[id], together[id]):
                assert isinstance(found, Connection)
                assert agrees(listed, found), (listed, found)

    async def test_unknown_ids_are_absent_alone_and_among_others(self, calm: Contracted):
        known = native_ids(await walked(calm.adapter, 50))
        unknown = known[0][:-4] + ("0000" if known[0][-4:] != "0000" else "1111")
        assert unknown not in known
        assert (await calm.adapter.get_many({unknown: LIST_FIELDS})).by_id == {}
        mixed = dict.fromkeys([*known[:10], unknown, *known[30:40]], LIST_FIELDS)
        assert set((await calm.adapter.get_many(mixed)).by_id) == {*known[:10], *known[30:40]}

    async def test_no_ids_cost_no_call(self, calm: Contracted):
        calm.imitation.journal.clear()
        assert (await calm.adapter.get_many({})).by_id == {}
        assert calm.imitation.journal.count() == 0

    async def test_one_id_costs_one_call_and_many_cost_few(self, calm: Contracted):
        known = native_ids(await walked(calm.adapter, 50))
        for count, calls in ((1, 1), (min(20, len(known)), self.calls_for_many), (len(known), self.calls_for_many)):
            calm.imitation.journal.clear()
            found = await calm.adapter.get_many(dict.fromkeys(known[:count], LIST_FIELDS))
            assert len(found.by_id) == count
            assert calm.imitation.journal.count() <= calls, calm.imitation.journal.by_path()

    @pytest.mark.parametrize("status", [404, 500])
    async def test_one_failing_id_costs_only_itself(self, status: int):
        # A list that nobody can read makes the adapter ask for each.
        async with self.listing(lambda _: [None]) as contracted:
            known = [row[self.id_name] for row in contracted.imitation.rows()][:5]  # type: ignore[attr-defined]
            contracted.imitation.app = Refusing(contracted.imitation.app, known[2], status)
            found = (await contracted.adapter.get_many(dict.fromkeys(known, LIST_FIELDS))).by_id
        failed = found.get(known[2])
        assert {id for id, answer in found.items() if isinstance(answer, Connection)} == {*known[:2], *known[3:]}
        assert failed is None if status == 404 else isinstance(failed, errors.UpstreamFault)
        if isinstance(failed, AdapterError):
            self.check_error(failed)

    async def test_an_answer_about_another_connection_is_no_answer(self):
        imitation = self.imitation()
        known = [row[self.id_name] for row in imitation.rows()]  # type: ignore[attr-defined]
        imitation.app = _Renamed(imitation.app, known[0], known[1])
        async with self.over(imitation, **{**self.settings, **IMPATIENT}) as contracted:
            found = (await contracted.adapter.get_many({known[0]: LIST_FIELDS})).by_id
        assert set(found) == {known[0]}
        assert isinstance(found[known[0]], errors.ContractBroken)

    # --- trouble ---

    @pytest.mark.parametrize("status", STATUSES)
    async def test_a_status_becomes_its_error(self, status: int):
        async with self.troubled(status=status) as contracted:
            error = await self.failure(contracted, STATUSES[status])
            said = msgspec.json.decode(body) if (body := _body(contracted, status)).startswith(b"{") else body.decode()
            self.check_error(error, *(text for text in texts(said) if len(text) > 12))

    async def test_a_rate_limit_says_when_to_ask_again(self):
        async with self.troubled(status=429, retry_after_s=17) as contracted:
            assert (await self.failure(contracted, errors.RateLimited)).retry_after_s == 17

    @pytest.mark.parametrize("knobs", [{"hang": True}, {"delay_s": 0.6}], ids=str)
    async def test_an_answer_that_does_not_come_is_timed_out(self, knobs: dict[str, Any]):
        async with self.troubled(**knobs) as contracted:
            await self.failure(contracted, errors.TimedOut)

    async def test_a_torn_connection_is_unreachable(self):
        async with self.troubled(reset=True) as contracted:
            await self.failure(contracted, errors.Unreachable)

    async def test_an_upstream_that_is_not_there_is_unreachable(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with self.over(self.imitation()) as contracted:
            raw = {**contracted.imitation.settings(url), **self.settings, **IMPATIENT}
            adapter = built(self.provider, contracted.client, raw)
            await self.failure(contracted._replace(adapter=adapter), errors.Unreachable)

    @pytest.mark.parametrize("body", NONSENSE, ids=lambda body: repr(body[:30]))
    async def test_nonsense_is_a_broken_contract(self, body: str):
        async with self.troubled(body=body) as contracted:
            if body in self.empty_bodies:
                assert await walked(contracted.adapter, 5) == []
            else:
                await self.failure(contracted, errors.ContractBroken)

    @pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
    async def test_an_upstream_that_fails_as_a_whole_fails_every_id(self, status: int):
        known = [row[self.id_name] for row in self.imitation().rows()]  # type: ignore[attr-defined]
        async with self.troubled(only="", status=status) as contracted:
            for wanted in (known[:1], known[:20]):
                try:
                    found = (await contracted.adapter.get_many(dict.fromkeys(wanted, LIST_FIELDS))).by_id
                except AdapterError as error:
                    failed: list[Any] = [error]
                else:
                    assert set(found) == set(wanted)
                    failed = list(found.values())
                for error in failed:
                    assert isinstance(error, STATUSES[status] | errors.CircuitOpen)
                    self.check_error(error)

    @pytest.mark.parametrize("status", [401, 429, 500, 503])
    async def test_an_upstream_that_fails_as_a_whole_fails_the_page(self, status: int):
        async with self.troubled(only="", status=status) as contracted:
            await self.failure(contracted, STATUSES[status])

    async def test_wrong_credentials_are_unauthorized_and_not_repeated_in_the_error(self):
        async with self.over(self.imitation()) as contracted:
            raw = {**contracted.imitation.settings(contracted.url), **self.settings}
            wrong = {key: f"wrong-credential-{value}" for key, value in raw["auth"].items()}
            adapter = built(self.provider, contracted.client, {**raw, "auth": wrong})
            error = await self.failure(contracted._replace(adapter=adapter), errors.Unauthorized)
        self.check_error(error, "wrong-credential")
        assert "wrong-credential" not in repr(vars(adapter))

    async def test_a_failure_does_not_outlast_the_trouble(self):
        async with self.troubled(status=500, times=1) as contracted:
            await self.failure(contracted, errors.UpstreamFault)
            assert len(await walked(contracted.adapter, 100)) == len(contracted.imitation.rows())  # type: ignore[attr-defined]

    async def test_equal_pages_asked_for_at_once_are_one_call(self):
        async with self.over(self.imitation(), **self.settings) as contracted:
            await contracted.adapter.page(after=None, limit=5)
            contracted.imitation.knobs = Knobs(delay_s=0.05)
            contracted.imitation.journal.clear()
            asked = (contracted.adapter.page(after=None, limit=5) for _ in range(5))
            pages = await asyncio.gather(*asked)
            assert contracted.imitation.journal.count() == 1
            assert all(native_ids(page.connections) == native_ids(pages[0].connections) for page in pages)

    # --- rows that are not what they should be ---

    @pytest.mark.parametrize("limit", [1, 3, 50])
    async def test_a_malformed_row_costs_that_row_in_pages_of_any_size(self, limit: int):
        bad = [row[self.id_name] for row in self.imitation().rows()][4:60:11]  # type: ignore[attr-defined]

        def spoil(rows: list[Any]) -> list[Any]:
            return [{**row, self.id_name: None} if row[self.id_name] in bad else row for row in rows]

        async with self.listing(spoil) as contracted:
            met = native_ids(await walked(contracted.adapter, limit))
            everything = {row[self.id_name] for row in contracted.imitation.rows()}  # type: ignore[attr-defined]
        assert len(met) == len(set(met))
        assert set(met) == everything - set(bad)

    @pytest.mark.parametrize("junk", UNREADABLE_ROWS, ids=repr)
    async def test_a_malformed_row_is_counted(self, junk: Any):
        spoiled = 0

        def spoil(rows: list[Any]) -> list[Any]:
            nonlocal spoiled
            spoiled += bool(rows)
            return [*rows[:2], junk, *rows[3:]]

        async with self.listing(spoil) as contracted:
            page = await contracted.adapter.page(after=None, limit=100)
        everything = contracted.imitation.rows()  # type: ignore[attr-defined]
        assert page.dropped == spoiled > 0
        assert len(page.connections) == len(everything) - spoiled
        assert not page.more

    async def test_a_row_without_a_usable_id_is_dropped(self):
        for id in ("", None, {}, []):
            async with self.listing(lambda rows, id=id: [{**row, self.id_name: id} for row in rows[:3]]) as contracted:
                page = await contracted.adapter.page(after=None, limit=100)
            assert (page.connections, page.tokens) == ((), ())
            assert page.dropped >= 3

    async def test_a_value_of_the_wrong_kind_costs_that_value_only(self):
        template = max(self.imitation().rows(), key=len)  # type: ignore[attr-defined]
        spots = [path for path in places(template) if path != (self.id_name,)]
        assert 0 < len(spots) < 100
        # As many rows as there are spots, each with one odd value.
        await self.check_listed_whole(self.numbered([replaced(template, path, odd) for path in spots]) for odd in ODD)

    async def test_a_missing_field_costs_that_field_only(self):
        template = max(self.imitation().rows(), key=len)  # type: ignore[attr-defined]
        id = {self.id_name: template[self.id_name]}
        lacking = [{key: value for key, value in template.items() if key != name} | id for name in template]
        await self.check_listed_whole([self.numbered([*lacking, id])])

    def numbered(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows, each with an id of its own."""
        return [{**row, self.id_name: row[self.id_name][:-4] + f"{number:04d}"} for number, row in enumerate(rows)]

    async def test_words_nobody_knows_survive(self):
        async with self.listing(lambda rows: [self._worded(row) for row in rows]) as contracted:
            page = await contracted.adapter.page(after=None, limit=100)
        assert len(page.connections) + page.dropped > 0
        assert page.dropped == 0
        for connection in page.connections:
            assert connection.status_reason.message
            assert "a_word_nobody_knows" in repr(connection)

    def _worded(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with every text replaced by a word that no version of the upstream has."""

        def worded(value: Any) -> Any:
            match value:
                case str():
                    return "a_word_nobody_knows"
                case dict():
                    return {key: worded(item) for key, item in value.items()}
                case list():
                    return [worded(item) for item in value]
                case _:
                    return value

        kept = {key: value for key, value in row.items() if key in (self.id_name, *self.placed_by)}
        return {**worded(row), **kept}

    placed_by: ClassVar[tuple[str, ...]] = ()
    """Members of a row that tell in which list it belongs."""

    async def check_listed_whole(self, answers: Iterable[list[dict[str, Any]]]) -> None:
        """Each of the answers, given in the first list, is a page of all its rows."""
        waiting: list[Any] = []
        async with self.listing(lambda _: waiting.pop() if waiting else []) as contracted:
            for rows in answers:
                waiting.append(rows)
                page = await contracted.adapter.page(after=None, limit=100)
                assert page.dropped == 0
                assert native_ids(page.connections) == [row[self.id_name] for row in rows if self.belongs(row)]
                msgspec.json.encode(page.connections)

    def belongs(self, row: dict[str, Any]) -> bool:
        """Whether the row is listed where it stands."""
        return True


class _Renamed(Rewritten):
    """An app that answers for one id with the record of another."""

    def __init__(self, app: ASGIApp, id: str, other: str) -> None:
        super().__init__(app, "", lambda body: _renamed(body, id, other))


def _renamed(body: Any, id: str, other: str) -> Any:
    return msgspec.json.decode(msgspec.json.encode(body).replace(id.encode(), other.encode()))


def _body(contracted: Contracted, status: int) -> bytes:
    return bytes(contracted.imitation.error_response(status).body)
