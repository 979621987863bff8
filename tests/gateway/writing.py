"""Mutations over HTTP against imitations of their own, and what those were sent."""

import asyncio
import contextlib
import functools
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import parse_qsl

import httpx
from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNamedType,
    build_schema,
    get_named_type,
    get_nullable_type,
)
from graphql.type import is_composite_type, is_union_type

from adapters import ids
from adapters.airbyte.demo import AirbyteImitation
from adapters.imitation import Asked, Effect, ListImitation
from adapters.secret import masked
from adapters.unified_to.demo import UnifiedToImitation
from adapters.workiva.demo import WorkivaImitation
from gateway.schema.mutation import MUTATIONS
from gateway.schema.providers import PROVIDERS
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Clock, Fleet, gateway_over

Input: TypeAlias = Mapping[str, Any]
"""The argument of a mutation, as JSON."""

ALL = (AIRBYTE, WORKIVA, UNIFIED_TO)
PROVIDER = {AIRBYTE: "airbyte", WORKIVA: "workiva", UNIFIED_TO: "unified_to"}
KEY, READER = "a-key-of-sixteen-letters", "another-key-of-sixteen-letters"
GRAPH = build_schema((Path(__file__).parents[2] / "schema.graphql").read_text(encoding="utf-8"))
READS = re.compile(r"/(list|list_for_workspace|get|token|most_recent_source_actor_catalog)$")
"""What only reads though it is not called by GET."""
ADDRESSES = "/unified/integration/auth/"
"""What is called by GET and is asked for by a mutation all the same: where somebody authorizes a connection."""


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(map(str.title, rest))


NAMES = {camel(name): field.capability for name, field in MUTATIONS.items()}
"""All mutations as the graph spells them, and what each takes."""
ANSWERED = {
    "createConnection": "connection { id nativeId } authorizationUrl",
    "updateConnection": "connection { id nativeId }",
    "setConnectionEnabled": "connection { id nativeId enabled }",
    "runConnection": "connection { id nativeId } run { id status } attached",
    "runConnections": "results { id run { id status } attached userErrors { field code message } error { code } }",
    "cancelRun": "connection { id nativeId } run { id status }",
    "resetConnection": "connection { id nativeId } run { id status } attached",
    "deleteConnection": "deletedId",
    "checkEndpoint": "task { id status }",
    "discoverSchema": "task { id status }",
}
"""What is asked of each beside what all have."""


# --- imitations of one's own, since these are written to


def quiet() -> Clock:
    """A clock that stands at half past an hour. What the demos do by the hour has come to its end then, so what a test
    takes for idle is so whenever it runs."""
    clock = Clock()
    clock.now = clock.now // 3600 * 3600 + 1800
    return clock


TOKEN_LASTS_S = 86_400.0
IMITATIONS: Mapping[str, Callable[[Callable[[], float]], ListImitation]] = {
    AIRBYTE: lambda clock: AirbyteImitation(clock=clock, token_lasts_s=TOKEN_LASTS_S),
    WORKIVA: lambda clock: WorkivaImitation(clock=clock, token_lasts_s=TOKEN_LASTS_S),
    UNIFIED_TO: lambda clock: UnifiedToImitation(clock=clock),
}


@contextlib.asynccontextmanager
async def own_fleet(
    clock: Callable[[], float],
    own: Mapping[str, Input] = {},
    among: Sequence[str] = ALL,
    servers: Mapping[str, ListImitation] | None = None,
    **sections: Any,
) -> AsyncGenerator[Fleet]:
    """A gateway over fresh imitations, or over those given; ``own`` is what instances are told beside where they
    are."""
    servers = servers or {name: IMITATIONS[name](clock) for name in among}
    async with contextlib.AsyncExitStack() as stack:
        instances = {
            name: {
                **server.settings(await stack.enter_async_context(server.serve())),
                "retries": 0,
                **own.get(name, {}),
            }
            for name, server in servers.items()
        }
        sections = {"inventory": {"max_age": 0}, **sections}
        url = await stack.enter_async_context(gateway_over(instances, **sections))
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=30))
        yield Fleet(url, servers, client, instances)


# --- what is asked


async def mutate(fleet: Fleet, name: str, given: Input, shown: str | None = None) -> dict[str, Any]:
    """The whole answer to a mutation. Where it tells of mistakes, each is told at a place that there is."""
    common = "userErrors { field code message } replayed"
    dry = "dryRun { requests { instance method path body } changes { field before after } }"
    shown = ANSWERED[name] if shown is None else shown
    kind = f"{name[0].upper()}{name[1:]}Input"
    query = f"mutation ($input: {kind}!) {{ {name}(input: $input) {{ {common} {dry} {shown} }} }}"
    answered = await fleet.ask(query, {"input": given})
    for mistake in mistakes_of((answered.get("data") or {}).get(name) or {}):
        assert is_place(name, mistake["field"]), f"{mistake['field']} is no place in {kind}"
        assert mistake["message"]
    return answered


async def done(fleet: Fleet, name: str, given: Input, shown: str | None = None) -> dict[str, Any]:
    """The payload of a mutation that must be done, or rehearsed."""
    answered = await mutate(fleet, name, given, shown)
    assert "errors" not in answered, answered["errors"]
    payload = answered["data"][name]
    assert not mistakes_of(payload), mistakes_of(payload)
    return payload


def mistakes_of(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The mistakes of a payload, and those of its results."""
    own = list(payload.get("userErrors") or ())
    return own + [mistake for result in payload.get("results") or () for mistake in result["userErrors"]]


def told(payload: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Where the mistakes are, from the input on, and their codes."""
    return {(".".join(mistake["field"][1:]), mistake["code"]) for mistake in mistakes_of(payload)}


def is_place(name: str, field: Sequence[str]) -> bool:
    """Whether a path leads to something that the mutation takes."""
    mutation = GRAPH.mutation_type
    assert mutation is not None
    argument, *rest = field
    kind: Any = mutation.fields[name].args[argument].type
    for part in rest:
        kind = get_nullable_type(kind)
        if isinstance(kind, GraphQLList):
            kind = kind.of_type if part.isdecimal() else None
        elif isinstance(kind, GraphQLInputObjectType):
            kind = kind.fields[part].type if part in kind.fields else None
        else:
            kind = None
    return kind is not None


@functools.cache
def whole(kind: GraphQLNamedType | str, depth: int = 8) -> str:
    """A selection of all that a type has, down to its leaves; empty for a leaf."""
    named: Any = GRAPH.type_map[kind] if isinstance(kind, str) else kind
    if not is_composite_type(named) or is_union_type(named) or depth == 0:
        return ""
    parts: list[str] = []
    for name, field in named.fields.items():
        inner = get_named_type(field.type)
        below = whole(inner, depth - 1)
        if not field.args and (below or not is_composite_type(inner)):
            parts.append(f"{name} {below}".strip())
    return "{ " + " ".join(parts) + " }" if parts else ""


# --- what was sent


class Call(NamedTuple):
    """A call as far as a rehearsal tells it."""

    instance: str
    method: str
    path: str
    body: Any = None


def writes(fleet: Fleet, instance: str) -> list[Asked]:
    """The calls that could have changed something, or were made for a change."""
    asked = fleet.servers[instance].journal.asked
    return [call for call in asked if _is_write(call)]


def _is_write(call: Asked) -> bool:
    return call.path.startswith(ADDRESSES) if call.method == "GET" else not READS.search(call.path)


def written(fleet: Fleet) -> list[Call]:
    """All of them, with credentials masked, as a rehearsal shows them."""
    return [_call(instance, asked) for instance in fleet.servers for asked in writes(fleet, instance)]


def _call(instance: str, asked: Asked) -> Call:
    try:
        body = asked.json()
    except ValueError:
        body = dict(parse_qsl(asked.body.decode(), keep_blank_values=True))
    path = f"{asked.path}?{asked.query}" if asked.query else asked.path
    return Call(instance, asked.method, path, masked(body))


def rehearsed(payload: Mapping[str, Any]) -> list[Call]:
    """The calls that a rehearsal says would be made."""
    return [Call(**request) for request in payload["dryRun"]["requests"]]


def effects(fleet: Fleet) -> list[Effect]:
    """All that was really done."""
    return [effect for server in fleet.servers.values() for effect in server.effects]


def alike(calls: Sequence[Call]) -> list[str]:
    """Calls in an order of their own."""
    return sorted(json.dumps(call, sort_keys=True) for call in calls)


async def came_to_an_end(fleet: Fleet, task_id: str) -> dict[str, Any]:
    """A task when it has ended."""
    query = "query ($id: ID!) { task(id: $id) { status checked { succeeded } error { code } } }"
    while True:
        task = (await fleet.data(query, {"id": task_id}))["task"]
        if task["status"] not in ("QUEUED", "RUNNING"):
            return task
        await asyncio.sleep(0.01)


# --- what it is sent for


class Row(NamedTuple):
    """A connection of the demo, and why each action cannot be done to it, None where it can."""

    id: str
    native_id: str
    running: bool | None
    enabled: bool | None
    refusals: Mapping[str, str | None]


ROWS = """
    query ($instance: String!) {
      connections(first: 100, filter: { instance: [$instance] }) {
        nodes { id nativeId running enabled can { capability allowed reason } }
      }
    }"""


async def rows(fleet: Fleet, instance: str) -> list[Row]:
    """The connections of an instance, as they are now."""
    nodes = (await fleet.data(ROWS, {"instance": instance}))["connections"]["nodes"]
    return [_row(node) for node in nodes]


def _row(node: Mapping[str, Any]) -> Row:
    for able in node["can"]:
        assert able["allowed"] is (able["reason"] is None)
    refusals = {able["capability"]: able["reason"] for able in node["can"]}
    return Row(node["id"], node["nativeId"], node["running"], node["enabled"], refusals)


async def picked(fleet: Fleet, instance: str, action: str, reason: str | None = None, **like: Any) -> Row:
    """The first connection to which this can be done, or cannot for this reason, and that is otherwise like this."""
    for row in await rows(fleet, instance):
        if row.refusals[action] == reason and all(getattr(row, name) == value for name, value in like.items()):
            return row
    raise AssertionError(f"the demo has no such connection: {action} {reason} {like}")


def provider_has(instance: str, name: str) -> bool:
    """Whether the instance's provider can do what a mutation asks for."""
    return NAMES[name] in PROVIDERS[PROVIDER[instance]].capabilities


def there_are() -> set[tuple[str, str]]:
    """Every mutation of the graph with every instance whose provider has it."""
    mutation = GRAPH.mutation_type
    assert mutation is not None
    assert set(mutation.fields) == set(NAMES), "schema.graphql is of another time"
    return {(name, instance) for name in NAMES for instance in ALL if provider_has(instance, name)}


def global_id(instance: str, native_id: str) -> str:
    return ids.encode(instance, native_id)
