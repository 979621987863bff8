"""GraphQL over HTTP: methods, media types, statuses and codes, as the specification has them and clients meet them."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import httpx
import pytest
from graphql import build_client_schema, get_introspection_query, print_schema
from starlette.applications import Starlette

from adapters import ids
from adapters.airbyte.demo import connection_id
from adapters.imitation import Knobs, serve
from adapters.port import Fields, Filter, Found, List, Narrowing, Order, Page, Planned, Reader, Single, Work
from adapters.transport import Transport
from adapters.walk import BOUNDLESS
from gateway import app
from gateway.answers import Answers
from gateway.context import Context
from gateway.execution.engine import Engine
from gateway.instances import Instance
from gateway.inventory import Ages, Inventory
from gateway.ledger import Ledger
from gateway.protection.identity import Keys
from gateway.protection.limits import Limits
from gateway.routes import Endpoint
from gateway.schema.providers import PROVIDERS
from gateway.writes import Writes
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, gateway_over

PLAIN, OWN = "application/json", "application/graphql-response+json"
QUERY = {"query": "{ __typename }"}
KEY = "a-key-of-sixteen-or-more"


async def post(fleet: Fleet, body: Any, accept: str = PLAIN, **headers: str) -> httpx.Response:
    return await fleet.client.post(f"{fleet.url}/graphql", json=body, headers={"Accept": accept, **headers})


async def get(fleet: Fleet, accept: str = PLAIN, **params: str) -> httpx.Response:
    return await fleet.client.get(f"{fleet.url}/graphql", params=params, headers={"Accept": accept})


def codes(response: httpx.Response) -> list[str]:
    return [error["extensions"]["code"] for error in response.json()["errors"]]


# Media types and statuses


MEDIA_TYPES = {
    PLAIN: PLAIN,
    OWN: OWN,
    "*/*": PLAIN,
    "application/*": PLAIN,
    "": PLAIN,
    f"{OWN}, {PLAIN};q=0.9": OWN,
    f"{PLAIN};q=0.5, {OWN};q=0.9": OWN,
    f"{OWN}; charset=utf-8": OWN,
    f"{OWN};q=0, {PLAIN}": PLAIN,
    f"{OWN}; charset=utf-8; q = 0.000, {PLAIN}; q=0.001": PLAIN,
    "text/plain, */*;q=0.1": PLAIN,
    "APPLICATION/JSON": PLAIN,
}


async def test_the_answer_comes_in_the_media_type_that_was_asked_for(fleet: Fleet):
    for accept, media_type in MEDIA_TYPES.items():
        response = await post(fleet, QUERY, accept)
        assert (response.status_code, response.json()) == (200, {"data": {"__typename": "Query"}}), accept
        assert response.headers["content-type"].partition(";")[0] == media_type, accept


async def test_a_client_that_accepts_none_of_our_types_is_told_which_there_are(fleet: Fleet):
    for accept in ("text/plain", "application/xml", "image/*", f"{PLAIN};q=0", f"{PLAIN};q=0.0"):
        response = await post(fleet, QUERY, accept)
        assert (response.status_code, codes(response)) == (406, ["BAD_REQUEST"]), accept
        assert OWN in response.json()["errors"][0]["message"]


REFUSED = {
    "{ unknown }": "GRAPHQL_VALIDATION_FAILED",
    "query ($n: Int!) { connections(first: $m) { nodes { id } } }": "GRAPHQL_VALIDATION_FAILED",
    "{ connections { nodes } }": "GRAPHQL_VALIDATION_FAILED",
    "{": "GRAPHQL_PARSE_FAILED",
    "{ a } %": "GRAPHQL_PARSE_FAILED",
    "fragment F on Query { __typename }": "BAD_USER_INPUT",
    "query A { __typename } query B { __typename }": "BAD_USER_INPUT",
    "mutation { anything }": "GRAPHQL_VALIDATION_FAILED",
    "subscription { anything }": "GRAPHQL_VALIDATION_FAILED",
    "{ a { a { a { a { a { a { a { a { a { a { a { a { a } } } } } } } } } } } } }": "QUERY_TOO_COMPLEX",
    "{ " + "a " * 1000 + "}": "QUERY_TOO_COMPLEX",
    "{ connections(first: 100) { nodes { " + "name " * 60 + "} } }": "QUERY_TOO_COMPLEX",
}


@pytest.mark.parametrize(("accept", "status"), [(OWN, 400), (PLAIN, 200)])
async def test_a_document_that_is_refused_is_400_in_the_own_type_and_200_in_plain_json(
    fleet: Fleet, accept: str, status: int
):
    for query, code in REFUSED.items():
        response = await post(fleet, {"query": query}, accept)
        assert (response.status_code, set(codes(response))) == (status, {code}), query
        assert "data" not in response.json()


async def test_an_answer_with_errors_beside_its_data_is_200_in_both_types(fleet: Fleet):
    for accept in (OWN, PLAIN):
        response = await post(fleet, {"query": '{ node(id: "x") { id } }'}, accept)
        assert (response.status_code, codes(response)) == (200, ["BAD_USER_INPUT"])
        assert response.json()["data"] == {"node": None}


async def test_too_complex_queries_say_which_limit_they_exceed(fleet: Fleet):
    response = await post(fleet, {"query": "{ connections(first: 100) { nodes { " + "name " * 60 + "} } }"})
    extensions = response.json()["errors"][0]["extensions"]
    assert (extensions["limit"], extensions["allowed"]) == ("cost", 5000)
    assert extensions["found"] > 5000


@pytest.mark.parametrize(
    "variables", [{}, {"first": "ten"}, {"first": None}, {"first": 1, "ids": "x"}, {"first": 2**40}], ids=str
)
async def test_variables_that_do_not_fit_are_the_clients_mistake(fleet: Fleet, variables: Mapping[str, Any]):
    query = "query ($first: Int!, $ids: [[ID!]!]) { connections(first: $first) { nodes { id } } }"
    query = query.replace(", $ids: [[ID!]!]", "") if "ids" not in variables else query
    for accept, status in ((OWN, 400), (PLAIN, 200)):
        response = await post(fleet, {"query": query, "variables": variables}, accept)
        assert response.status_code == status
        assert set(codes(response)) <= {"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"}
        assert "data" not in response.json()


async def test_the_operation_of_that_name_is_run(fleet: Fleet):
    document = "query A { a: __typename } query B { b: __typename }"
    for name in "AB":
        response = await post(fleet, {"query": document, "operationName": name})
        assert response.json() == {"data": {name.lower(): "Query"}}
    unknown = await post(fleet, {"query": document, "operationName": "C"}, OWN)
    assert (unknown.status_code, codes(unknown)) == (400, ["BAD_USER_INPUT"])


# Requests that are none


async def test_other_methods_are_405_and_told_which_there_are(fleet: Fleet):
    for method in ("PUT", "PATCH", "DELETE"):
        response = await fleet.client.request(method, f"{fleet.url}/graphql", json=QUERY)
        assert response.status_code == 405
        assert {"GET", "POST"} <= set(response.headers["allow"].replace(" ", "").split(","))


async def test_options_and_head_do_nothing_and_say_nothing_wrong(fleet: Fleet):
    options = await fleet.client.options(f"{fleet.url}/graphql", headers={"Origin": "https://evil.example"})
    assert options.status_code in (200, 204, 405)
    assert not [name for name in options.headers if name.startswith("access-control-")]
    head = await fleet.client.head(f"{fleet.url}/graphql", params=QUERY)
    assert (head.status_code, head.content) == (200, b"")


async def test_bodies_that_any_page_could_post_are_415(fleet: Fleet):
    for content_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "json",
    ):
        headers = {"Content-Type": content_type} if content_type else {}
        response = await fleet.client.post(f"{fleet.url}/graphql", content=b'{"query":"{a}"}', headers=headers)
        assert (response.status_code, codes(response)) == (415, ["BAD_REQUEST"])


async def test_json_with_a_charset_is_json(fleet: Fleet):
    headers = {"Content-Type": "application/json; charset=utf-8"}
    response = await fleet.client.post(f"{fleet.url}/graphql", content=b'{"query":"{__typename}"}', headers=headers)
    assert response.status_code == 200


async def test_compressed_bodies_are_415_and_large_ones_413(fleet: Fleet):
    headers = {"Content-Type": PLAIN, "Content-Encoding": "gzip"}
    compressed = await fleet.client.post(f"{fleet.url}/graphql", content=b"\x1f\x8b", headers=headers)
    assert (compressed.status_code, codes(compressed)) == (415, ["BAD_REQUEST"])
    large = await post(fleet, {"query": "{ __typename }" + " " * 262_144})
    assert (large.status_code, codes(large)) == (413, ["BAD_REQUEST"])


NO_REQUESTS = (
    b"",
    b"{",
    b"null",
    b'"text"',
    b"{}",
    b'{"query": null}',
    b'{"query": ""}',
    b'{"query": 1}',
    b'{"query": "{a}", "variables": []}',
    b'{"query": "{a}", "variables": "{}"}',
    b'{"query": "{a}", "operationName": 1}',
    b'{"query": "{a}", "extensions": 1}',
    b'{"query": "{a}", "query": "{b}"}',
    b"\xff",
    b"[" * 100_000,
)


async def test_bodies_that_are_no_request_are_400(fleet: Fleet):
    for body in NO_REQUESTS:
        for accept in (PLAIN, OWN):
            headers = {"Content-Type": PLAIN, "Accept": accept}
            response = await fleet.client.post(f"{fleet.url}/graphql", content=body, headers=headers)
            assert (response.status_code, codes(response)) == (400, ["BAD_REQUEST"]), body[:50]


async def test_batches_are_refused(fleet: Fleet):
    response = await post(fleet, [QUERY, QUERY])
    assert (response.status_code, codes(response)) == (400, ["BAD_REQUEST"])


async def test_queries_can_be_sent_by_get_with_variables_in_json(fleet: Fleet):
    query = "query Q($first: Int!) { connections(first: $first) { nodes { id } } }"
    response = await get(fleet, query=query, variables='{"first": 2}', operationName="Q")
    assert len(response.json()["data"]["connections"]["nodes"]) == 2
    for params in {"query": query, "variables": "{"}, {"query": query, "variables": "[]"}, {"variables": "{}"}, {}:
        refused = await get(fleet, **params)
        assert (refused.status_code, codes(refused)) == (400, ["BAD_REQUEST"])


@pytest.mark.parametrize("accept", [OWN, PLAIN, "*/*"])
async def test_a_mutation_by_get_is_refused_whatever_the_client_accepts(fleet: Fleet, accept: str):
    ref = f'{{ instance: "{WORKIVA}", nativeId: "{"0" * 32}" }}'
    mutation = f"mutation {{ runConnection(input: {{ ref: {ref} }}) {{ userErrors {{ code }} }} }}"
    refused = await get(fleet, accept, query=mutation)
    assert (refused.status_code, codes(refused), refused.headers["allow"]) == (405, ["BAD_REQUEST"], "POST")
    assert fleet.calls(WORKIVA) == 0


async def test_the_answer_to_every_request_is_not_to_be_kept_or_guessed_at(fleet: Fleet):
    answers = [await post(fleet, QUERY), await post(fleet, []), await get(fleet, query="{"), await get(fleet)]
    answers += [await fleet.client.get(f"{fleet.url}{path}") for path in ("/healthz", "/readyz")]
    answers += [await get(fleet, "text/html")]
    for response in answers:
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert "server" not in response.headers


# Introspection


EVERYTHING = dict.fromkeys(
    ("specified_by_url", "directive_is_repeatable", "schema_description", "input_value_deprecation", "one_of"), True
)
"""What GraphiQL and code generators ask for on top of the usual."""


@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=["usual", "everything"])
async def test_introspection_gives_the_schema(fleet: Fleet, options: Mapping[str, bool]):
    introspected = await fleet.data(get_introspection_query(**options))
    assert "type Connection implements Node" in print_schema(build_client_schema(introspected))


async def test_introspection_that_multiplies_is_refused(fleet: Fleet):
    inner = "fields { type " * 8 + "{ name }" + " }" * 8
    answered = await fleet.ask("{ __schema { types { " + inner + " } } }")
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["QUERY_TOO_COMPLEX"]


# Who may ask


@pytest.fixture
async def locked(fleet: Fleet, upstreams: Mapping[str, Any]) -> AsyncGenerator[Fleet]:
    """The same upstreams behind a gateway that asks for a key."""
    instances = {name: server.settings(url) for name, (server, url) in upstreams.items()}
    async with gateway_over(instances, auth={"mode": "api_key", "keys": {"tests": KEY}}) as url:
        yield Fleet(url, fleet.servers, fleet.client)


@pytest.mark.parametrize(
    "headers", [{"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY}, {"Authorization": f"bearer {KEY}"}]
)
async def test_a_key_lets_in_by_either_header(locked: Fleet, headers: Mapping[str, str]):
    assert (await post(locked, QUERY, **headers)).json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": "Bearer"},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"X-API-Key": ""},
        {"X-API-Key": KEY[:-1]},
    ],
    ids=range(7),
)
async def test_whoever_has_no_key_is_401_whatever_he_asks(locked: Fleet, headers: Mapping[str, str]):
    for body in (QUERY, {"query": "{"}, [], {"query": get_introspection_query()}):
        response = await post(locked, body, **headers)
        assert (response.status_code, codes(response)) == (401, ["UNAUTHENTICATED"])
        assert response.headers["www-authenticate"] == "Bearer"
        assert "data" not in response.json()
        assert "Authorization: Bearer or X-API-Key" in response.json()["errors"][0]["message"]
    assert locked.calls(AIRBYTE) == locked.calls(WORKIVA) == locked.calls(UNIFIED_TO) == 0


async def test_the_page_for_people_and_the_probes_need_no_key(locked: Fleet):
    page = await get(locked, "text/html")
    assert (page.status_code, "graphiql" in page.text) == (200, True)
    for path in ("/healthz", "/readyz"):
        assert (await locked.client.get(locked.url + path)).json()["status"] == "ok"


# The page


async def test_a_browser_gets_graphiql_and_a_query_in_its_address_is_answered_as_such(fleet: Fleet):
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    page = await get(fleet, browser)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (await get(fleet, browser, query="{ __typename }")).json() == {"data": {"__typename": "Query"}}


async def test_graphiql_can_be_switched_off(fleet: Fleet, upstreams: Mapping[str, Any]):
    server, base_url = upstreams[AIRBYTE]
    async with gateway_over({AIRBYTE: server.settings(base_url)}, graphiql=False) as url:
        other = Fleet(url, fleet.servers, fleet.client)
        assert (await get(other, "text/html")).status_code == 406
        assert (await post(other, QUERY)).status_code == 200
        assert (await fleet.client.get(f"{url}/graphiql/static/manifest.json")).status_code == 404


async def test_probes_answer_even_where_every_upstream_is_sick(fleet: Fleet):
    for server in fleet.servers.values():
        server.knobs = Knobs(hang=True)
    for path in ("/healthz", "/readyz"):
        response = await fleet.client.get(fleet.url + path)
        assert (response.status_code, response.json()["status"]) == (200, "ok")
    assert [fleet.calls(instance) for instance in fleet.servers] == [0, 0, 0]


# Work that nobody waits for, and failures that nobody foresaw


@pytest.mark.parametrize(
    "query",
    [
        "{ connections(first: 5) { nodes { id } } }",
        f'{{ connection(ref: {{ instance: "{UNIFIED_TO}", nativeId: "a" }}) {{ id }} }}',
        f'{{ a: connection(ref: {{ instance: "{UNIFIED_TO}", nativeId: "a" }}) {{ id }} b: __typename }}',
    ],
)
async def test_a_client_that_hangs_up_ends_the_upstream_work(fleet: Fleet, query: str):
    hanging = Hanging()
    async with hanging.serve() as upstream, asyncio.timeout(20):
        instances = {UNIFIED_TO: {"provider": "unified_to", "base_url": upstream, "timeout": 600}}
        async with gateway_over(instances, limits={"request_timeout": 600}) as url, httpx.AsyncClient() as client:
            asking = asyncio.create_task(client.post(f"{url}/graphql", json={"query": query}))
            await hanging.came.wait()
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
            await hanging.left.wait()


class Hanging:
    """An upstream that never answers, and tells when somebody came, and when he hung up."""

    def __init__(self) -> None:
        self.came, self.left = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.came.set()
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.set()

    def serve(self) -> contextlib.AbstractAsyncContextManager[str]:
        return serve(self)


class Toy:
    """An adapter with a mistake in it."""

    def __init__(self, wrong: str) -> None:
        self._wrong = wrong

    @property
    def transport(self) -> Transport:
        raise RuntimeError(f"the secret is {self._wrong}")

    async def parts(self) -> Sequence[str]:
        raise RuntimeError(f"the secret is {self._wrong}")

    def narrow(self, where: Filter) -> Narrowing:
        return Narrowing()

    def sorts(self, order: Order) -> bool:
        return False

    async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
        raise RuntimeError(f"the secret is {self._wrong}")

    def ahead(self, token: str, pages: int) -> str | None:
        return None

    async def complete(self, *_: object, **__: object) -> Any:
        raise RuntimeError(f"the secret is {self._wrong}")

    def adds(self, fields: Fields) -> bool:
        return True

    def holds(self, fields: Fields) -> bool:
        return True

    def single(self, id: str, fields: Fields) -> Single | None:
        return None

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        raise RuntimeError(f"the secret is {self._wrong}")

    async def runs(self, *_: object, **__: object) -> Any:
        raise RuntimeError(f"the secret is {self._wrong}")

    def plan(self, work: Work) -> Sequence[Planned]:
        return ()


@contextlib.asynccontextmanager
async def gateway_with(instances: Mapping[str, Instance]) -> AsyncGenerator[str]:
    """A gateway over adapters that were not made from settings."""
    limits = Limits()
    inventory = Inventory(Ages(max_age=0, max_stale=0, walk_timeout=5), BOUNDLESS)
    writes = Writes(inventory, Ledger(None, 60))
    new_context = functools.partial(Context, instances, inventory, writes, max_first=limits.first)
    engine = Engine(app.schema(), limits, new_context)
    answers = Answers(instances, inventory)
    endpoint = Endpoint(engine, limits, Keys({}), answers, explains="off", show_graphiql=False)
    toy = Starlette(routes=endpoint.routes())
    async with serve(toy) as url:
        yield url


async def test_a_failure_that_nobody_foresaw_is_masked_and_found_in_the_log(caplog: pytest.LogCaptureFixture):
    broken = {"toy": Instance("toy", PROVIDERS["airbyte"], Toy("S3CR3T"))}
    async with gateway_with(broken) as url, httpx.AsyncClient() as client:
        response = await client.post(f"{url}/graphql", json={"query": "{ instances { name breaker } }"})
    (error,) = response.json()["errors"]
    assert (error["message"], error["path"]) == ("The gateway failed.", ["instances", 0, "breaker"])
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "S3CR3T" not in response.text
    assert any(error["extensions"]["correlationId"] in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    "query",
    [
        "{ connections { nodes { id } sources { state } } }",
        f'{{ node(id: "{ids.encode("toy", connection_id(0))}") {{ id }} }}',
    ],
)
async def test_a_mistake_in_an_adapter_is_told_as_its_instances_and_masked(
    query: str, caplog: pytest.LogCaptureFixture
):
    broken = {"toy": Instance("toy", PROVIDERS["airbyte"], Toy("S3CR3T"))}
    async with gateway_with(broken) as url, httpx.AsyncClient() as client:
        response = await client.post(f"{url}/graphql", json={"query": query})
    (error,) = response.json()["errors"]
    assert (error["extensions"]["code"], error["extensions"]["instance"]) == ("UPSTREAM_BAD_RESPONSE", "toy")
    assert "S3CR3T" not in response.text
    assert any(error["extensions"]["correlationId"] in record.getMessage() for record in caplog.records)
