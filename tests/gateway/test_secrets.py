"""Credentials never leave: not in an answer that selects everything there is, not in a log line, not in a `repr`."""

import contextlib
import io
import traceback
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx
import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_required_argument,
    print_type,
)
from starlette.responses import JSONResponse, Response

from adapters import ids
from adapters.airbyte import demo as airbyte
from adapters.errors import AdapterError
from adapters.imitation import ImitationServer, Knobs, serve
from adapters.port import List
from adapters.unified_to import demo as unified_to
from adapters.workiva import demo as workiva
from gateway import app, config
from gateway.schema.providers import PROVIDERS
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet

PLANTED = "planted-secret"
API_KEY = "an-api-key-of-a-client-0f3a"
LIMITS = dict.fromkeys(("tokens", "aliases", "root_fields", "directives", "cost"), 10**6) | {"depth": 50}


def poisoned(status: int) -> Response:
    """An error as careless upstreams make them: with what was sent in the body, and more."""
    body = {
        "message": f"cannot log in with {PLANTED}-body",
        "details": [{"password": f"{PLANTED}-detail"}],
        "exceptionStack": [f"at login({PLANTED}-stack)"],
    }
    return JSONResponse(body, status, {"X-Debug": f"{PLANTED}-header", "Location": f"http://x/?token={PLANTED}-url"})


class LooseWorkiva(workiva.WorkivaImitation):
    """Wdata where people put credentials into whatever takes free text."""

    error_response = staticmethod(poisoned)  # pyright: ignore[reportAssignmentType]

    def row(self, number: int) -> dict[str, Any]:
        free = {
            "password": f"{PLANTED}-1",
            "nested": {"apiKey": f"{PLANTED}-2", "deep": [{"client_secret": f"{PLANTED}-3"}]},
            "authorization": f"Bearer {PLANTED}-4",
            "url": f"https://user:{PLANTED}-5@db.example.com/",
            "note": f"use password={PLANTED}-6 for now",
            "refresh_token": f"{PLANTED}-7",
        }
        row = super().row(number) | {
            "metadata": free,
            "lastRunSourceParameters": free,
            "lastRunDestinationParameters": free,
        }
        if "lastRun" in row:
            maps = ("sourceParameters", "destinationParameters", "sourceMetadata", "destinationMetadata")
            error = f"refused: password={PLANTED}-8, Authorization: Bearer {PLANTED}-9"
            row["lastRun"] = {**row["lastRun"], **dict.fromkeys(maps, free), "error": error}
        return row


class LooseUnifiedTo(unified_to.UnifiedToImitation):
    error_response = staticmethod(poisoned)  # pyright: ignore[reportAssignmentType]


class LooseAirbyte(airbyte.AirbyteImitation):
    error_response = staticmethod(poisoned)  # pyright: ignore[reportAssignmentType]


@pytest.fixture
def servers() -> dict[str, ImitationServer]:
    return {AIRBYTE: LooseAirbyte(), WORKIVA: LooseWorkiva(), UNIFIED_TO: LooseUnifiedTo()}


@contextlib.asynccontextmanager
async def serving(servers: Mapping[str, ImitationServer]) -> AsyncGenerator[config.Settings]:
    """The servers up, and the settings of a gateway over them."""
    async with contextlib.AsyncExitStack() as stack:
        instances = {
            name: {**server.settings(await stack.enter_async_context(server.serve())), "retries": 0}
            for name, server in servers.items()
        }
        auth = {"mode": "api_key", "keys": {"tests": API_KEY}}
        sections = {"auth": auth, "limits": LIMITS, "inventory": {"max_age": 0}}
        yield config.settings({"instances": instances, **sections}, PROVIDERS)


@pytest.fixture
async def loose(servers: Mapping[str, ImitationServer]) -> AsyncGenerator[Fleet]:
    """A gateway over upstreams that say too much."""
    async with (
        serving(servers) as settings,
        serve(app.create(settings)) as url,
        httpx.AsyncClient(timeout=30, headers={"X-API-Key": API_KEY}) as client,
    ):
        yield Fleet(url, servers, client)


def secrets(servers: Mapping[str, ImitationServer]) -> set[str]:
    """Every credential that is in play."""
    held = {PLANTED, API_KEY, airbyte.CLIENT_SECRET, workiva.CLIENT_SECRET, unified_to.TOKEN}
    return held.union(servers[WORKIVA].tokens, ["e30.", ".sig"])  # pyright: ignore[reportAttributeAccessIssue]


def assert_clean(text: str, servers: Mapping[str, ImitationServer]) -> None:
    found = {secret for secret in secrets(servers) if secret in text}
    assert not found, f"{len(found)} secrets, such as {text[max(0, text.index(min(found)) - 200) :][:400]}"


def everything(kind: GraphQLNamedType, schema: GraphQLSchema, inside: tuple[str, ...] = ()) -> str:
    """A selection of all fields that can be reached from a type; members of unions under aliases of their own."""
    if isinstance(kind, GraphQLUnionType | GraphQLInterfaceType):
        members = schema.get_possible_types(kind)
        parts = [f"... on {member.name} {everything(member, schema, inside)}" for member in members]
        return "{ __typename " + " ".join(parts) + " }"
    assert isinstance(kind, GraphQLObjectType)
    selected = ["__typename"]
    for name, field in kind.fields.items():
        named = get_named_type(field.type)
        if named.name in inside or any(map(is_required_argument, field.args.values())):
            continue
        alias = f"{kind.name}_{name}: {name}"
        if isinstance(named, GraphQLObjectType | GraphQLUnionType | GraphQLInterfaceType):
            alias += " " + everything(named, schema, (*inside, kind.name))
        selected.append(alias)
    return "{ " + " ".join(selected) + " }"


SCHEMA = app.schema()._schema
ROW = everything(SCHEMA.type_map["Connection"], SCHEMA)
PAGE = everything(SCHEMA.type_map["ConnectionConnection"], SCHEMA)
INSTANCE = everything(SCHEMA.type_map["Instance"], SCHEMA)
FACETS = everything(SCHEMA.type_map["ConnectionFacets"], SCHEMA)
LIST = f"query ($first: Int) {{ connections(first: $first) {PAGE} connectionFacets {FACETS} instances {INSTANCE} }}"
ENTITIES = f"query ($of: [_Any!]!) {{ _entities(representations: $of) {{ ... on Connection {ROW} }} }}"
NODES = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ id ... on Connection {ROW} }} }}"


OF_MUTATIONS = {"Change", "Checked", "DryRun", "RunResult", "Task", "TaskError", "UpstreamRequest", "UserError"}
"""What is reached by what changes something, and by nothing else."""


def test_the_query_for_everything_does_select_everything():
    roots = {"Query", "Mutation"}
    for name, kind in SCHEMA.type_map.items():
        if name.endswith("Payload") or name in OF_MUTATIONS:
            continue
        if isinstance(kind, GraphQLObjectType) and not name.startswith("_") and name not in roots:
            for field in kind.fields:
                assert f"{name}_{field}: {field}" in LIST, print_type(kind)


async def test_an_answer_that_selects_everything_holds_no_secret(loose: Fleet, log: io.BytesIO):
    answered = await loose.client.post(f"{loose.url}/graphql", json={"query": LIST, "variables": {"first": 100}})
    assert "errors" not in answered.json()
    assert len(answered.json()["data"]["connections"]["ConnectionConnection_nodes"]) == 100
    assert "**********" in answered.text, "what was masked is told to be"
    assert_clean(answered.text + str(answered.headers), loose.servers)
    assert_clean(log.getvalue().decode(), loose.servers)
    assert '"upstream call"' in log.getvalue().decode()


@pytest.mark.parametrize("instance", [AIRBYTE, WORKIVA, UNIFIED_TO])
async def test_every_row_of_a_provider_by_id_and_as_an_entity_holds_no_secret(loose: Fleet, instance: str):
    key = "id" if instance == UNIFIED_TO else "connectionId"
    rows = loose.servers[instance].rows()  # pyright: ignore[reportAttributeAccessIssue]
    wanted = [ids.encode(instance, row[key]) for row in rows]
    answered = await loose.data(NODES, {"ids": wanted})
    assert len(answered["nodes"]) == 60
    assert_clean(str(answered), loose.servers)
    entities = await loose.data(ENTITIES, {"of": [{"__typename": "Connection", "id": id} for id in wanted[:20]]})
    assert_clean(str(entities), loose.servers)


@pytest.mark.parametrize("status", [302, 400, 401, 404, 409, 429, 500])
async def test_errors_of_upstreams_that_echo_secrets_hold_none(loose: Fleet, log: io.BytesIO, status: int):
    for server in loose.servers.values():
        server.knobs = Knobs(status=status, retry_after_s=3)
    answers = [await loose.ask(LIST, {"first": 5}) for _ in range(2)]
    wanted = [ids.encode(WORKIVA, "a"), ids.encode(UNIFIED_TO, "b"), ids.encode(AIRBYTE, airbyte.connection_id(0))]
    answers.append(await loose.ask(NODES, {"ids": wanted}))
    assert answers[0]["errors"]
    assert_clean(str(answers), loose.servers)
    assert_clean(log.getvalue().decode(), loose.servers)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"password": "{PLANTED}-1", ',
        f"<html>{PLANTED}-2</html>",
        f'"{PLANTED}-3"',
        f'[{{"id": {{"token": "{PLANTED}-4"}}}}]',
        f'{{"body": "{PLANTED}-5", "connections": "{PLANTED}-6", "access_token": {{"x": "{PLANTED}-7"}}}}',
    ],
    ids=range(5),
)
async def test_answers_that_cannot_be_read_are_not_repeated(loose: Fleet, log: io.BytesIO, body: str):
    await loose.data("{ connections(first: 1) { nodes { id } } }")  # tokens are fetched by now
    for server in loose.servers.values():
        server.knobs = Knobs(body=body)
    answered = await loose.ask(LIST, {"first": 5})
    assert_clean(str(answered), loose.servers)
    assert_clean(log.getvalue().decode(), loose.servers)


async def test_a_run_that_failed_tells_why_but_not_with_what_password(loose: Fleet):
    runs = "{ connections(first: 100) { nodes { runs(first: 100) { nodes { status error } } } } }"
    data = await loose.data(runs)
    pages = [node["runs"] for node in data["connections"]["nodes"] if node["runs"]]
    errors = [run["error"] for page in pages for run in page["nodes"] if run["error"]]
    assert any("refused" in error for error in errors)
    assert_clean(str(data), loose.servers)


async def test_nothing_prints_a_secret(servers: Mapping[str, ImitationServer]):
    """Settings, instances, adapters and their clients, records and errors, in whatever way Python shows them."""
    async with serving(servers) as settings, app.http_client(settings) as client:
        instances = app.connect(settings, client, PROVIDERS)
        shown = [repr(settings), str(settings), repr(instances), repr(vars(app.create(settings).state))]
        fields = frozenset({"name", "source.name", "source.icon", "AirbyteConnection.operations"})
        for instance in instances.values():
            (part, *_) = await instance.adapter.parts()
            page = await instance.adapter.read(List(part))
            completed = await instance.adapter.complete(page.connections, fields)
            shown += map(repr, (page, *completed.connections))
            shown += [repr(vars(instance.adapter)), repr(vars(instance.adapter.transport))]
            servers[instance.name].knobs = Knobs(status=500)
            try:
                await instance.adapter.read(List(part))
            except AdapterError as error:
                shown += [repr(error), str(error), repr(vars(error)), "".join(traceback.format_exception(error))]
    assert len(shown) > 100
    assert_clean("\n".join(shown), servers)


async def test_wrong_keys_are_refused_without_being_repeated(loose: Fleet, log: io.BytesIO):
    wrong = f"{PLANTED}-guess"
    answered = await loose.client.post(
        f"{loose.url}/graphql", json={"query": "{ __typename }"}, headers={"X-API-Key": wrong}
    )
    assert answered.status_code == 401
    assert wrong not in answered.text + log.getvalue().decode()
