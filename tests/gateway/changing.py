"""What tests of mutations share: a gateway over imitations of their own, and each mutation with what it needs."""

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from adapters import ids
from adapters.airbyte.demo import AirbyteImitation
from adapters.imitation import Knobs, ListImitation
from gateway.writes import LONG
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Clock, Fleet
from tests.gateway.writing import ALL, NAMES, came_to_an_end, global_id, mistakes_of, own_fleet, quiet

OWN: Mapping[str, Mapping[str, Any]] = {UNIFIED_TO: {"import_credentials": True}}
"""What only these instances are configured with."""
PLANTED = "planted-secret-sent-by-a-client"


class World(NamedTuple):
    """A gateway and the imitations behind it, which nobody else writes to."""

    fleet: Fleet
    clock: Clock

    @property
    def airbyte(self) -> AirbyteImitation:
        server = self.fleet.servers[AIRBYTE]
        assert isinstance(server, AirbyteImitation)
        return server

    async def ask(self, query: str, variables: Mapping[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """The whole response to a query, sent with these headers."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"query": query, "variables": variables}
        response = await self.fleet.client.post(f"{self.fleet.url}/graphql", json=body, headers=told)
        return response.json()

    async def do(self, mutation: str, given: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        """The whole response to a mutation of ``MUTATIONS``."""
        return await self.ask(document(mutation), {"input": given}, **headers)

    async def done(self, mutation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The payload of a mutation that must not have errors of either kind."""
        answered = await self.do(mutation, given)
        assert "errors" not in answered, answered["errors"]
        payload = answered["data"][mutation]
        assert mistakes_of(payload) == []
        return payload

    def forget(self) -> None:
        """Empty all journals, and what they say was done."""
        self.fleet.forget()
        for server in self.fleet.servers.values():
            server.effects.clear()

    def effects(self, instance: str) -> list[str]:
        """What was really done upstream, in order."""
        return [effect.kind for effect in self.fleet.servers[instance].effects]


@contextlib.asynccontextmanager
async def world(
    *names: str,
    settle: float = 0.05,
    sections: Mapping[str, Any] | None = None,
    servers: Mapping[str, ListImitation] | None = None,
    own: Mapping[str, Mapping[str, Any]] = OWN,
    **more: Any,
) -> AsyncGenerator[World]:
    """Imitations of these instances, or of all, that a test may write to, and a gateway over them that does not wait
    long and keeps what it reads; ``own`` is for some instances, ``more`` for each."""
    clock = quiet()
    among = names or ALL
    quick = {"timeout": 2.0, "write_timeout": 0.5, **more}
    told = {"inventory": {"max_age": 600}, "writes": {"settle": settle}, **(sections or {})}
    each = {name: {**quick, **own.get(name, {})} for name in among}
    async with own_fleet(clock, each, among, servers, **told) as fleet:
        yield World(fleet, clock)


def row_id(fleet: Fleet, instance: str, number: int) -> str:
    """The global id of a row of an imitation."""
    return global_id(instance, fleet.servers[instance].id_of(number))


SHOWN = "connection { id name status enabled running lastRun { status } }"
SELECTED: Mapping[str, str] = {
    "createConnection": f"readBack {SHOWN} authorizationUrl",
    "updateConnection": f"readBack {SHOWN}",
    "setConnectionEnabled": f"readBack {SHOWN}",
    "runConnection": f"readBack attached run {{ id status }} {SHOWN}",
    "runConnections": (
        f"results {{ id readBack attached run {{ id status }} {SHOWN} "
        "userErrors { field code message } error { code retryable } }"
    ),
    "cancelRun": f"readBack run {{ id status }} {SHOWN}",
    "resetConnection": f"readBack attached run {{ id status }} {SHOWN}",
    "deleteConnection": f"readBack deletedId {SHOWN}",
    "checkEndpoint": "task { id action startedAt }",
    "discoverSchema": "task { id action startedAt }",
}


def document(mutation: str) -> str:
    """A mutation that selects all that its payload has, but of a task only what stays as it is while it goes on."""
    kind = mutation[0].upper() + mutation[1:] + "Input"
    return f"""mutation ($input: {kind}!) {{
      {mutation}(input: $input) {{ userErrors {{ field code message }} replayed {SELECTED[mutation]} }}
    }}"""


class Case(NamedTuple):
    """A mutation of a provider: how its input comes to be, part of the upstream's method and path, and what is done
    there, in order. ``beside`` is what is done by it in other instances; ``what`` tells it from others of the kind."""

    mutation: str
    instance: str
    given: Callable[[World], Awaitable[Mapping[str, Any]]]
    call: str
    effects: Sequence[str]
    beside: Mapping[str, Sequence[str]] = {}
    what: str = ""

    def __str__(self) -> str:
        return f"{self.mutation}{self.what and ' of '}{self.what} in {self.instance}"

    @property
    def instances(self) -> Sequence[str]:
        """All that something is done in."""
        return self.instance, *self.beside

    @property
    def is_long(self) -> bool:
        """Whether it is answered with a task to follow."""
        return NAMES[self.mutation] in LONG


QUIET = 0
"""A row of Airbyte that is active and syncs rarely."""


async def _ends(world: World) -> dict[str, str]:
    row = world.airbyte.read(QUIET)
    return {"sourceId": row["sourceId"], "destinationId": row["destinationId"]}


async def _new(world: World) -> Mapping[str, Any]:
    return {"instance": AIRBYTE, "airbyte": {**await _ends(world), "name": "A new one", "status": "ACTIVE"}}


async def _running(world: World) -> Mapping[str, Any]:
    id = row_id(world.fleet, AIRBYTE, QUIET)
    payload = await world.done("runConnection", {"id": id})
    world.clock.now += 5
    return {"id": id, "runId": payload["run"]["id"]}


def _of(instance: str, number: int, **more: Any) -> Callable[[World], Awaitable[Mapping[str, Any]]]:
    async def given(world: World) -> Mapping[str, Any]:
        return {"id": row_id(world.fleet, instance, number), **more}

    return given


def several(rows: Mapping[str, Sequence[int]]) -> Callable[[World], Awaitable[Mapping[str, Any]]]:
    """The input about these rows of each instance."""

    async def given(world: World) -> Mapping[str, Any]:
        return {"ids": [row_id(world.fleet, name, number) for name, numbers in rows.items() for number in numbers]}

    return given


def _end(side: str) -> Callable[[World], Awaitable[Mapping[str, Any]]]:
    async def given(world: World) -> Mapping[str, Any]:
        return {"instance": AIRBYTE, "side": side, "endpointId": (await _ends(world))[f"{side.lower()}Id"]}

    return given


async def _discovered(world: World) -> Mapping[str, Any]:
    return {"instance": AIRBYTE, "sourceId": (await _ends(world))["sourceId"], "anew": True}


async def _imported(_: World) -> Mapping[str, Any]:
    credentials = {
        "categories": ["crm"],
        "permissions": ["crm_contact_read"],
        "auth": {"access_token": PLANTED, "name": "Dana Ito"},
    }
    own = {"integrationType": "hubspot", "externalXref": "customer-4711", "credentials": credentials}
    return {"instance": UNIFIED_TO, "unifiedTo": own}


SHARING = (30, 40, 50)
"""Rows of Workiva that write into one spreadsheet, so that one call starts them."""
BATCH = ["batch", *["refresh"] * len(SHARING)]
BOTH = several({WORKIVA: SHARING, AIRBYTE: [QUIET]})

CASES = [
    Case("createConnection", AIRBYTE, _new, "/connections/create", ["create"]),
    Case(
        "updateConnection", AIRBYTE, _of(AIRBYTE, QUIET, airbyte={"name": "Renamed"}), "/connections/update", ["update"]
    ),
    Case("setConnectionEnabled", AIRBYTE, _of(AIRBYTE, QUIET, enabled=False), "/connections/update", ["update"]),
    Case("runConnection", AIRBYTE, _of(AIRBYTE, QUIET), "/connections/sync", ["sync"]),
    Case("cancelRun", AIRBYTE, _running, "/jobs/cancel", ["cancel"]),
    Case("resetConnection", AIRBYTE, _of(AIRBYTE, QUIET), "/connections/reset", ["reset"]),
    Case("deleteConnection", AIRBYTE, _of(AIRBYTE, QUIET), "/connections/delete", ["delete"]),
    Case(
        "runConnection",
        WORKIVA,
        _of(WORKIVA, 0, workiva={"sourceParameters": {"period": "Q4"}}),
        "/refresh",
        ["refresh"],
    ),
    Case("runConnections", WORKIVA, several({WORKIVA: SHARING}), "/batch/refresh", BATCH),
    Case("runConnections", WORKIVA, BOTH, "/batch/refresh", BATCH, {AIRBYTE: ["sync"]}, "both"),
    Case("runConnections", AIRBYTE, BOTH, "/connections/sync", ["sync"], {WORKIVA: BATCH}, "both"),
    Case("checkEndpoint", AIRBYTE, _end("SOURCE"), "/sources/check_connection", ["check"], what="a source"),
    Case(
        "checkEndpoint", AIRBYTE, _end("DESTINATION"), "/destinations/check_connection", ["check"], what="a destination"
    ),
    Case("discoverSchema", AIRBYTE, _discovered, "/sources/discover_schema", ["discover"]),
    Case("createConnection", UNIFIED_TO, _imported, "POST /unified/connection", ["create"]),
    Case(
        "updateConnection",
        UNIFIED_TO,
        _of(UNIFIED_TO, 0, unifiedTo={"externalXref": "x-1"}),
        "PATCH /unified/connection/",
        ["update"],
    ),
    Case("deleteConnection", UNIFIED_TO, _of(UNIFIED_TO, 0), "DELETE /unified/connection/", ["delete"]),
]


def trouble(case: Case, **knobs: Any) -> Knobs:
    """Trouble for the one call that changes something."""
    return Knobs(only=case.call, times=1, **knobs)


class Came(NamedTuple):
    """What a client is told of one thing that was to be done: the code of what went wrong, or None; and whether it was
    seen by looking that it was done."""

    code: str | None
    was_read_back: bool = False


async def came_of(
    world: World, case: Case, given: Mapping[str, Any], answered: Mapping[str, Any]
) -> dict[str, list[Came]]:
    """What is told of all that a case was to do, by instance; a task is followed to its end."""
    payload = answered["data"][case.mutation]
    failures = [error["extensions"]["code"] for error in answered.get("errors", ()) if error["path"] == [case.mutation]]
    if payload is None:
        (code,) = failures
        return {case.instance: [Came(code)]}
    assert mistakes_of(payload) == []
    if "results" in payload:
        came = [_of_result(result) for result in payload["results"]]
        assert [result["id"] for result in payload["results"]] == given["ids"]
        assert failures == [each.code for each in came if each.code is not None]
        places = [ids.decode(id)[0] for id in given["ids"]]
        return {name: [each for place, each in zip(places, came, strict=True) if place == name] for name in places}
    assert failures == []
    if case.is_long:
        return {case.instance: [_of_task(await came_to_an_end(world.fleet, payload["task"]["id"]))]}
    return {case.instance: [Came(None, payload["readBack"])]}


def _of_result(result: Mapping[str, Any]) -> Came:
    """One of several; what was not started, or not for certain, shows no run."""
    code = result["error"] and result["error"]["code"]
    assert bool(result["run"]) is (code is None)
    return Came(code, result["readBack"])


def _of_task(task: Mapping[str, Any]) -> Came:
    """A task that has ended; its status agrees with its error."""
    code = task["error"] and task["error"]["code"]
    assert task["status"] == {None: "SUCCEEDED", "OUTCOME_UNKNOWN": "UNKNOWN"}.get(code, "FAILED")
    return Came(code)


def assert_done(world: World, case: Case, *, times: int = 1, calls: int = 1) -> None:
    """What the case asks for was done so often, once in other instances, and asked for with so many calls."""
    assert world.effects(case.instance) == [*case.effects] * times
    assert world.fleet.calls(case.instance, case.call) == calls
    for instance, effects in case.beside.items():
        assert world.effects(instance) == [*effects]
