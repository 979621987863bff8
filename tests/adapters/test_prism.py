"""The adapters over Prism, which answers from the upstreams' own specifications: with their examples, and with whatever
else the schemas allow. Nothing but our own errors may come out.
"""

import asyncio
import contextlib
import datetime as dt
import pathlib
import socket
from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple, TypeAlias

import httpx
import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from adapters import errors, ids, registry, walk
from adapters.errors import AdapterError
from adapters.http1 import Client
from adapters.imitation import serve
from adapters.model import Connection, RunStatus
from adapters.port import LIST_FIELDS, Adapter, Capability, Fields, List, Order, OrderField, Provider
from tests.adapters.contracted import (
    INSTANCE,
    STATUSES,
    Shown,
    built,
    first_pages,
    listed,
    native_ids,
    paged,
    plainly,
    wheres_of,
)

pytestmark = pytest.mark.node

DOCUMENTS = pathlib.Path(__file__).parents[2].parent / "shared" / "upstreams"
MODES = {"static": (), "dynamic": ("-d", "--json-schema-faker-fillProperties=false", "--seed", "8")}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "airbyte": {"workspaces": ["92382141-7a8a-4bd1-81c3-67611da7cc0c"]},
    "workiva": {},
    "unified_to": {"environments": ["Production", "Sandbox"]},
}
OF_DOCUMENT = {
    "airbyte": "airbyte",
    "workiva": "workiva",
    "unified": "unified_to",
    "unified.latest": "unified_to",
}
"""The provider that each of the documents specifies."""
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "airbyte": (
        "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826",
        "5b5f2a4e-7c0f-4d6d-8a58-3a0c6ad6a7f0",
        "e2a1f1c9-64a3-4a58-8c67-1c8f0f8f9a23",
    ),
    "workiva": (
        "9d1f0a6f7d2a4c6f8a3b5e7c1d2e3f40",
        "1b2c3d4e5f60718293a4b5c6d7e8f901",
        "2c3d4e5f60718293a4b5c6d7e8f90112",
    ),
    "unified": ("66f1a2b3c4d5e6f708192a3b", "66f1a2b3c4d5e6f708192a3c", "66f1a2b3c4d5e6f708192a3d"),
}
"""The connections that a document has as its example."""

Started: TypeAlias = Mapping[tuple[str, str], str]


class Mocked(NamedTuple):
    """An adapter over Prism over a document."""

    document: str
    provider: Provider
    adapter: Adapter
    settings: Mapping[str, Any]
    client: Client


@pytest.fixture(scope="module")
async def started(node_modules: pathlib.Path) -> AsyncGenerator[Started]:
    """The URL of a Prism for each document and mode, all started at once."""
    missing = [name for name in OF_DOCUMENT if not (DOCUMENTS / f"{name}.openapi.json").is_file()]
    if missing:
        pytest.skip(f"the specifications of {missing} are not in ../shared/upstreams")
    cases = [(document, mode) for document in OF_DOCUMENT for mode in MODES]
    async with contextlib.AsyncExitStack() as stack:
        opened = [prism(node_modules, document, mode) for document, mode in cases]
        urls = await asyncio.gather(*(stack.enter_async_context(one) for one in opened))
        yield dict(zip(cases, urls, strict=True))


@contextlib.asynccontextmanager
async def prism(node_modules: pathlib.Path, document: str, mode: str) -> AsyncGenerator[str]:
    """Prism over one of the documents; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    # Not through npx: that is a parent which does not take its child along when it is ended.
    command = [str(node_modules / ".bin" / "prism"), "mock", *MODES[mode], "-h", "127.0.0.1", "-p", str(port)]
    process = await asyncio.create_subprocess_exec(
        *command,
        str(DOCUMENTS / f"{document}.openapi.json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    listening = asyncio.Event()
    said = asyncio.create_task(_drained(process.stdout, listening))  # it would stop when the pipe is full
    try:
        async with asyncio.timeout(120):
            await listening.wait()
        assert process.returncode is None, "Prism did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await said


async def _drained(lines: asyncio.StreamReader, listening: asyncio.Event) -> None:
    while line := await lines.readline():
        if b"Prism is listening" in line:
            listening.set()
    listening.set()


@contextlib.asynccontextmanager
async def over(started: Started, document: str, mode: str, url: str | None = None) -> AsyncGenerator[Mocked]:
    provider = registry.providers()[OF_DOCUMENT[document]]
    raw = {
        "provider": provider.key,
        "base_url": url or started[document, mode],
        "auth": {"token": "prism-does-not-mind"},
        "timeout": 30.0,
        "retries": 0,
        "break_after": 1000,
        **SETTINGS[provider.key],
    }
    async with Client() as client:
        yield Mocked(document, provider, built(provider, client, raw), raw, client)


@pytest.fixture(params=EXAMPLES)
async def static(request: pytest.FixtureRequest, started: Started) -> AsyncGenerator[Mocked]:
    async with over(started, request.param, "static") as mocked:
        yield mocked


@pytest.fixture(params=OF_DOCUMENT)
async def dynamic(request: pytest.FixtureRequest, started: Started) -> AsyncGenerator[Mocked]:
    async with over(started, request.param, "dynamic") as mocked:
        yield mocked


def everything(provider: Provider) -> Fields:
    """Every path that can make an adapter ask for more."""
    details = (f"{provider.details.__name__}.{name}" for name in provider.details.__struct_fields__)
    ends = (f"{side}.{name}" for side in ("source", "destination") for name in ("name", "type", "icon", "version"))
    return frozenset({"name", "workspace_name", "created_at", *details, *ends})


def check(connection: Connection, provider: Provider) -> None:
    """What holds of a record whatever its upstream made up."""
    assert ids.decode(connection.id) == (INSTANCE, connection.native_id)
    assert isinstance(connection.details, provider.details)
    run = connection.last_run
    times = [connection.created_at, connection.updated_at, connection.last_healthy_at, connection.status_reason.since]
    times += [run.started_at, run.ended_at] if run else []
    assert all(time.tzinfo is dt.UTC for time in times if time is not None)
    msgspec.json.encode(connection)


async def test_the_examples_are_met_once_each(static: Mocked):
    connections = await listed(static.adapter)
    assert tuple(native_ids(connections)) == EXAMPLES[static.document]
    for connection in connections:
        check(connection, static.provider)


async def test_what_is_always_given_ends_too_where_it_says_that_it_goes_on(static: Mocked):
    for part in await static.adapter.parts():
        pages = await plainly(static.adapter, List(part))
        assert len(pages) <= 2
        walked = await walk.whole(static.adapter, List(part))
        assert native_ids(walked.rows) == [id for page in pages for id in native_ids(page.connections)]


async def test_a_body_that_is_the_same_is_the_page_that_it_was(static: Mocked):
    for part in await static.adapter.parts():
        page = await static.adapter.read(List(part))
        assert await static.adapter.read(List(part), last=page) is page


async def test_a_specification_knows_all_that_is_asked_for_in_lists(static: Mocked):
    """Prism refuses what a specification does not allow; what it does not know, it lets pass."""
    part = (await static.adapter.parts())[0]
    for field in OrderField:
        for order in (Order(field), Order(field, is_descending=True)):
            if static.adapter.sorts(order):
                assert (await static.adapter.read(List(part, order=order))).dropped == 0
    for where in wheres_of(await listed(static.adapter)):
        narrowing = static.adapter.narrow(where)
        assert (await static.adapter.read(List(part, narrowing.asked))).dropped == 0


async def test_the_examples_are_found_by_id_and_no_record_stands_for_another(static: Mocked):
    first, second, third = EXAMPLES[static.document]
    found = (await static.adapter.get_many(dict.fromkeys([first, second, third], LIST_FIELDS))).by_id
    assert isinstance(found[first], Connection)
    assert all(not isinstance(got, Connection) or got.native_id == id for id, got in found.items())
    # Prism ignores ids: whatever it is asked for, it answers with the first.
    alone = (await static.adapter.get_many({third: LIST_FIELDS})).by_id
    assert isinstance(alone[third], errors.ContractBroken)


async def test_everything_selected_at_once_costs_no_row(static: Mocked):
    completed = await static.adapter.complete(await listed(static.adapter), everything(static.provider))
    # Of Airbyte, a full record is read for each row, and Prism answers all of them with the first one's.
    assert tuple(native_ids(completed.connections)) == EXAMPLES[static.document]
    assert all(isinstance(failure, errors.ContractBroken) for failure in completed.failures)
    for connection in completed.connections:
        check(connection, static.provider)


async def test_runs_of_the_examples_are_read(static: Mocked):
    for connection in await listed(static.adapter):
        if Capability.RUNS not in static.provider.capabilities:
            with pytest.raises(errors.Unsupported):
                await static.adapter.runs(connection, after=None, limit=5)
            continue
        page = await static.adapter.runs(connection, after=None, limit=5)
        assert len(page.runs) == len(page.tokens) <= 5
        msgspec.json.encode(page.runs)


async def test_numbers_beyond_what_a_float_holds_survive(started: Started):
    async with over(started, "airbyte", "static") as mocked:
        (connection, *_) = await listed(mocked.adapter)
        (run,) = (await mocked.adapter.runs(connection, after=None, limit=5)).runs
    assert run.id == "-9007199254740991"
    assert run.status is RunStatus.QUEUED
    assert (run.started_at, run.ended_at) == (None, None), "no date holds it"


class Preferring:
    """ASGI: passes calls on to Prism, asking it for the example of an error."""

    def __init__(self, url: str, status: int, client: httpx.AsyncClient) -> None:
        self._url = url
        self._status = status
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        headers = {name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers}
        answer = await self._client.request(
            request.method,
            self._url + scope["path"],
            params=tuple(request.query_params.multi_items()),
            content=await request.body(),
            headers={**headers, "Prefer": f"code={self._status}"},
        )
        await Response(answer.content, answer.status_code)(scope, receive, send)


@pytest.mark.parametrize(
    ("document", "status"),
    [("airbyte", 404), ("airbyte", 422), *(("workiva", status) for status in (400, 401, 403, 404, 409, 429, 500))],
)
async def test_the_errors_of_a_specification_become_ours(started: Started, document: str, status: int):
    async with httpx.AsyncClient(timeout=30) as client:
        proxy = Preferring(started[document, "static"], status, client)
        async with serve(proxy) as url, over(started, document, "static", url) as mocked:
            found = (await mocked.adapter.get_many({EXAMPLES[document][0]: LIST_FIELDS})).by_id
    if status == 404:
        assert found == {}
    else:
        (error,) = found.values()
        assert type(error) is STATUSES[status]


async def test_without_credentials_unauthorized_is_answered_and_told(started: Started):
    for document in ("workiva", "unified"):
        async with over(started, document, "static") as mocked:
            raw = {name: value for name, value in mocked.settings.items() if name != "auth"}
            with pytest.raises(errors.Unauthorized):
                await first_pages(built(mocked.provider, mocked.client, raw))


# Whatever the schemas allow

READS = 15


async def test_whatever_the_schema_allows_is_a_page_or_an_error_of_ours(dynamic: Mocked):
    pages = 0
    for count in range(READS):
        fields = everything(dynamic.provider) if count % 3 == 0 else LIST_FIELDS
        page = await page_or_error(dynamic, fields)
        pages += page is not None
        for connection in page.connections if page else ():
            check(connection, dynamic.provider)
    assert pages > READS / 2, "most of what the schema allows can be read"


async def page_or_error(mocked: Mocked, fields: Fields) -> Shown | None:
    try:
        page = await paged(mocked.adapter, fields=fields)
    except AdapterError:
        return None
    assert len(set(native_ids(page.connections))) == len(page.connections)
    assert all(isinstance(failure, AdapterError) for failure in page.failures)
    return page


async def test_a_walk_over_whatever_the_schema_allows_ends(dynamic: Mocked):
    # Each answer is another list, which may go on for ever; where it does, some bound is its end.
    for part in await dynamic.adapter.parts():
        with contextlib.suppress(AdapterError):
            walked = await walk.whole(dynamic.adapter, List(part), bounds=walk.Bounds(200, 10**7))
            assert len(set(native_ids(walked.rows))) == len(walked.rows)


async def test_whatever_the_schema_allows_by_id_is_a_record_or_an_error_of_ours(dynamic: Mocked):
    wanted = EXAMPLES[dynamic.document.removesuffix(".latest")]
    for count in range(READS):
        asked = dict.fromkeys(wanted[: 1 + count % 3], everything(dynamic.provider))
        found = await dynamic.adapter.get_many(asked)
        assert set(found.by_id) <= set(asked)
        for id, got in found.by_id.items():
            assert isinstance(got, AdapterError) or got.native_id == id


async def test_whatever_the_schema_allows_as_runs_is_a_page_or_an_error_of_ours(started: Started):
    async with over(started, "airbyte", "static") as mocked:
        (connection, *_) = await listed(mocked.adapter)
    read = 0
    async with over(started, "airbyte", "dynamic") as mocked:
        for _ in range(READS):
            with contextlib.suppress(AdapterError):
                page = await mocked.adapter.runs(connection, after=None, limit=5)
                msgspec.json.encode(page.runs)
                read += 1
    assert read > READS / 2
