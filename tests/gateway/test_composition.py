"""The subgraph beside another one: composed by both composers of npm, and asked through a router of npm."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from graphql import GraphQLSchema, build_schema, graphql_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters import ids
from adapters.imitation import Knobs, serve
from gateway import app
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet
from tests.gateway.test_federation import INSTANCES, LISTS, Place, lists, places

pytestmark = pytest.mark.node

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = ROOT / "tests" / "node"
WITHIN_S = 30
COMPOSERS = ("apollo", "theguild")
FEDERATION = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@external", "@key", "@shareable"])
"""

NOTES = """
type Query {
  notes: [Note]
  notePage(first: Int, after: String): NoteConnection
  node(id: ID!): Node @shareable
  nodes(ids: [ID!]!): [Node]! @shareable
}
interface Node { id: ID! }
type Note implements Node @key(fields: "id") { id: ID! text: String! connection: Connection }
type NoteConnection { nodes: [Note!]! pageInfo: PageInfo! }
type PageInfo @shareable { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
"""
"""A subgraph with notes about connections, which follows the Relay specification too."""

BY_ID = 'type Connection implements Node @key(fields: "id") { id: ID! notes: [Note!]! }'
BY_WORDS = """
type Connection implements Node @key(fields: "instance { name } nativeId") {
  id: ID! @external
  instance: Instance!
  nativeId: ID!
  notes: [Note!]!
}
type Instance { name: String! @shareable }
"""
BY_BOTH = """
type Connection implements Node @key(fields: "id") @key(fields: "instance { name } nativeId") {
  id: ID!
  instance: Instance!
  nativeId: ID!
  notes: [Note!]!
}
type Instance { name: String! @shareable }
"""


SUBGRAPHS: Mapping[str, str] = {
    "by id": FEDERATION + NOTES + BY_ID,
    "by its words": FEDERATION + NOTES + BY_WORDS,
    "by both": FEDERATION + NOTES + BY_BOTH,
}


class Composed(NamedTuple):
    """What a composer said: the supergraph, where there is one, and codes of its errors and hints."""

    supergraph: str
    errors: list[str]
    hints: list[str]
    told: str


async def compose(*command: str) -> Composed:
    """Run the composer of tests/node."""
    process = await _started("compose.mjs", *command)
    try:
        async with asyncio.timeout(WITHIN_S):
            out, err = await process.communicate()
    finally:
        await _ended(process)
    said = [json.loads(line) for line in err.decode().splitlines()]
    codes = {kind: sorted(line["code"] for line in said if line["kind"] == kind) for kind in ("error", "hint")}
    assert process.returncode == bool(codes["error"]), err
    return Composed(out.decode(), codes["error"], codes["hint"], err.decode())


async def _started(script: str, *arguments: str | Path) -> asyncio.subprocess.Process:
    """A process of node that knows nothing of this environment, and cannot reach another machine."""
    environment = {"PATH": os.environ["PATH"], "NODE_ENV": "production"}
    pipe = asyncio.subprocess.PIPE
    command = ["node", "--import", str(SCRIPTS / "loopback.mjs"), str(SCRIPTS / script), *map(str, arguments)]
    return await asyncio.create_subprocess_exec(
        *command, cwd=SCRIPTS, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
    )


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.communicate()


@pytest.fixture(scope="module")
def connections(node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDL of the gateway in a file, with a composer installed."""
    assert node_modules.is_dir()
    file = tmp_path_factory.mktemp("sdl") / "connections.graphql"
    file.write_text(app.schema().as_str(), encoding="utf-8")
    return file


async def composed(composer: str, connections: Path, notes: str | None = None) -> Composed:
    """The gateway's SDL composed alone, or with a subgraph of notes."""
    arguments = [f"connections={connections}"]
    if notes is not None:
        file = connections.with_name("notes.graphql")
        file.write_text(notes, encoding="utf-8")
        arguments.append(f"notes={file}")
    return await compose(composer, *arguments)


# --- composing


@pytest.mark.parametrize("composer", COMPOSERS)
async def test_it_composes_alone_without_a_hint(connections: Path, composer: str):
    alone = await composed(composer, connections)
    assert (alone.errors, alone.hints) == ([], []), alone.told
    assert "join__Graph" in alone.supergraph


NODE_HINT = "INCONSISTENT_RUNTIME_TYPES_FOR_SHAREABLE_RETURN"
INSTANCE_HINT = "INCONSISTENT_OBJECT_VALUE_TYPE_FIELD"
HINTS: Mapping[str, Mapping[str, list[str]]] = {
    # `node` and `nodes` answer other types in the other subgraph: docs/federation.md tells what to do about it. And
    # the other subgraph has no field of an instance but its name, which is all that the key needs.
    "apollo": {
        "by id": [NODE_HINT] * 2,
        "by its words": [INSTANCE_HINT] * 6 + [NODE_HINT] * 2,
        "by both": [INSTANCE_HINT] * 6 + [NODE_HINT] * 2,
    },
    "theguild": {"by id": [], "by its words": [], "by both": []},
}


@pytest.mark.parametrize("composer", COMPOSERS)
@pytest.mark.parametrize("key", SUBGRAPHS)
async def test_it_composes_with_a_subgraph_that_extends_connection(connections: Path, composer: str, key: str):
    both = await composed(composer, connections, SUBGRAPHS[key])
    assert both.errors == [], both.told
    assert both.hints == HINTS[composer][key], both.told
    assert "notes: [Note!]! @join__field(graph: NOTES)" in both.supergraph


@pytest.mark.parametrize("composer", COMPOSERS)
async def test_the_example_of_the_documentation_composes(connections: Path, composer: str):
    text = (ROOT / "docs" / "federation.md").read_text(encoding="utf-8")
    examples = [part.partition("```")[0] for part in text.split("```graphql\n")[1:]]
    subgraphs = [example for example in examples if "extend schema @link" in example]
    assert len(subgraphs) == 2
    for subgraph in subgraphs:
        both = await composed(composer, connections, subgraph)
        assert both.errors == [], both.told


CONTRADICTIONS: Mapping[str, tuple[str, str]] = {
    "FIELD_TYPE_MISMATCH": ("nativeId: ID!", "nativeId: Int!"),
    "INVALID_FIELD_SHARING": ("notes: [Note!]!", "notes: [Note!]! name: String"),
    "KEY_INVALID_FIELDS": ('@key(fields: "id") @key', '@key(fields: "ident") @key'),
}
"""By the error's code: what to put where in a subgraph that composes."""


@pytest.mark.parametrize("composer", COMPOSERS)
@pytest.mark.parametrize("code", CONTRADICTIONS)
async def test_a_subgraph_that_contradicts_it_does_not_compose(connections: Path, composer: str, code: str):
    refused = await composed(composer, connections, SUBGRAPHS["by both"].replace(*CONTRADICTIONS[code]))
    assert refused.supergraph == ""
    assert code in refused.errors, refused.told


async def test_a_relay_subgraph_whose_connection_is_no_node_is_refused_by_apollo(connections: Path):
    notes = SUBGRAPHS["by id"].replace("type Connection implements Node", "type Connection")
    assert (await composed("theguild", connections, notes)).errors == []
    refused = await composed("apollo", connections, notes)
    assert set(refused.errors) == {"SHAREABLE_HAS_MISMATCHED_RUNTIME_TYPES"}, refused.told


async def test_what_node_runs_here_cannot_reach_another_machine(connections: Path):
    process = await _started("compose.mjs", "apollo", f"connections={connections}", "notes=http://192.0.2.1/graphql")
    async with asyncio.timeout(WITHIN_S):
        _, err = await process.communicate()
    assert (process.returncode, err.decode()) == (3, "a socket to 192.0.2.1 was asked for\n")


# --- routing


class Notes:
    """The other subgraph: a note about each of some connections, and what it was asked."""

    DEFINITIONS = """
    directive @link(url: String!, import: [String!]) repeatable on SCHEMA
    directive @key(fields: String!) repeatable on OBJECT
    directive @shareable on OBJECT | FIELD_DEFINITION
    directive @external on FIELD_DEFINITION
    scalar _Any
    union _Entity = Connection | Note
    type _Service { sdl: String! }
    extend type Query { _service: _Service! _entities(representations: [_Any!]!): [_Entity]! }
    """

    def __init__(self, sdl: str, about: list[Place]) -> None:
        self.sdl = sdl
        self.schema: GraphQLSchema = build_schema(sdl + self.DEFINITIONS, assume_valid=True)
        self.notes = [self._note(number, place) for number, place in enumerate(about)]
        self.queries: list[str] = []
        self.app = Starlette(routes=[Route("/graphql", self.answer, methods=["POST"])])

    def _note(self, number: int, place: Place) -> dict[str, Any]:
        instance, native_id = place
        connection = {
            "__typename": "Connection",
            "id": ids.encode(instance, native_id),
            "instance": {"name": instance},
            "nativeId": native_id,
        }
        return {"__typename": "Note", "id": f"note-{number}", "text": f"About {native_id}", "connection": connection}

    def entity(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A connection by whatever key came, with its notes."""
        key = {name: asked[name] for name in ("id", "instance", "nativeId") if name in asked}
        about = [note for note in self.notes if key.items() <= note["connection"].items()]
        return {**asked, "notes": about}

    async def answer(self, request: Request) -> Response:
        asked = await request.json()
        self.queries.append(asked["query"])
        root = {
            "notes": self.notes,
            "_service": {"sdl": self.sdl},
            "_entities": lambda _, representations: [self.entity(asked) for asked in representations],
        }
        result = graphql_sync(self.schema, asked["query"], root, variable_values=asked.get("variables"))
        return JSONResponse(result.formatted)


class Router:
    """A router over the gateway and the notes, started as an operator would."""

    def __init__(self, url: str, notes: Notes) -> None:
        self.url = url
        self.notes = notes

    async def ask(self, query: str) -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=WITHIN_S) as client:
            return (await client.post(self.url, json={"query": query})).json()

    async def data(self, query: str) -> dict[str, Any]:
        answered = await self.ask(query)
        assert "errors" not in answered, answered["errors"]
        return answered["data"]


@contextlib.asynccontextmanager
async def routed(fleet: Fleet, composer: str, notes: Notes, folder: Path) -> AsyncGenerator[Router]:
    """The two composed from their URLs, and a router over them."""
    async with serve(notes.app) as url:
        both = await compose(composer, f"connections={fleet.url}/graphql", f"notes={url}/graphql")
        assert both.errors == [], both.told
        supergraph = folder / "supergraph.graphql"
        supergraph.write_text(both.supergraph, encoding="utf-8")
        process = await _started("router.mjs", supergraph)
        try:
            assert process.stdout is not None
            async with asyncio.timeout(WITHIN_S):
                line = await process.stdout.readline()
            assert line.startswith(b"http://127.0.0.1:"), (await process.communicate())[1].decode()
            fleet.forget()
            notes.queries.clear()
            yield Router(line.decode().strip(), notes)
        finally:
            await _ended(process)


def counted(fleet: Fleet) -> dict[str, int]:
    """The calls of each instance, logging in aside."""
    return {name: fleet.calls(name) - fleet.calls(name, "token") for name in INSTANCES}


KEPT = {AIRBYTE: 1, WORKIVA: 0, UNIFIED_TO: 1}
"""Looked up once and kept: Airbyte's workspaces, Unified.to's integrations."""


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("composer", COMPOSERS)
@pytest.mark.parametrize("key", SUBGRAPHS)
async def test_a_router_answers_across_both_subgraphs_in_the_fewest_calls(
    fleet: Fleet, tmp_path: Path, composer: str, key: str
):
    about = places(fleet, 30)
    async with routed(fleet, composer, Notes(SUBGRAPHS[key], about), tmp_path) as router:
        # Notes first: thirty references to connections of three instances, in one `_entities`.
        answered = await router.data("{ notes { text connection { name status nativeId instance { name } } } }")
        linked = [(note["text"], note["connection"]) for note in answered["notes"]]
        assert [(other["instance"]["name"], other["nativeId"]) for _, other in linked] == about
        assert [text for text, _ in linked] == [f"About {native_id}" for _, native_id in about]
        assert all(other["status"] for _, other in linked)
        assert lists(fleet) == LISTS
        assert counted(fleet) == {name: LISTS[name] + KEPT[name] for name in INSTANCES}
        assert len(router.notes.queries) == 1

        # Connections first: a page of the list, then their notes in one `_entities` of the other subgraph.
        fleet.forget()
        router.notes.queries.clear()
        answered = await router.data("{ connections(first: 100) { nodes { name status nativeId notes { id text } } } }")
        found = {
            node["nativeId"]: [note["text"] for note in node["notes"]] for node in answered["connections"]["nodes"]
        }
        noted = {native_id for _, native_id in about}
        assert len(found) == 100
        assert len(found.keys() & noted) > 10
        assert found == {native_id: [f"About {native_id}"] if native_id in noted else [] for native_id in found}
        assert len(router.notes.queries) == 1
        assert counted(fleet) == LISTS


@pytest.mark.usefixtures("connections")
async def test_through_a_router_a_sick_instance_costs_its_own_connections_only(fleet: Fleet, tmp_path: Path):
    about = [*places(fleet, 6), (WORKIVA, "0" * 32)]
    async with routed(fleet, "apollo", Notes(SUBGRAPHS["by id"], about), tmp_path) as router:
        fleet.servers[UNIFIED_TO].knobs = Knobs(status=503)
        answered = await router.ask("{ notes { text connection { status } } }")
        lost = [note["connection"] is None for note in answered["data"]["notes"]]
        assert lost == [False, False, True, False, False, True, True]
        assert [error["extensions"]["code"] for error in answered["errors"]] == ["UPSTREAM_UNAVAILABLE"] * 2


@pytest.mark.usefixtures("connections")
async def test_connection_by_id_always_asks_the_subgraph_that_knows(fleet: Fleet, tmp_path: Path):
    (place, *_) = about = places(fleet, 3)
    id = ids.encode(*place)
    async with routed(fleet, "theguild", Notes(SUBGRAPHS["by id"], about), tmp_path) as router:
        answered = await router.data(f'{{ connection(id: "{id}") {{ id nativeId notes {{ text }} }} }}')
        assert answered["connection"] == {"id": id, "nativeId": place[1], "notes": [{"text": f"About {place[1]}"}]}
