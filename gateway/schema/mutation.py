"""The mutations: each makes deeds of its input, has them carried out, and tells what came of them."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Optional

import msgspec
import strawberry
from strawberry.types import Info

from adapters.capabilities import Capability
from adapters.writing import Problem, ProblemCode
from gateway.context import Context
from gateway.deeds import Deed, Order, Outcome, Result
from gateway.inventory import Ask
from gateway.schema import inputs, payloads, wishes
from gateway.schema.fields import argument, given
from gateway.schema.inputs import plain
from gateway.schema.payloads import Told, raised
from gateway.schema.wishes import Unfit

LONGEST_KEY = 255


# --- from deeds to payloads ---


async def _carried_out(info: Info[Context, None], asked: Any, each: Sequence[Deed]) -> Outcome:
    """What came of these deeds. Raises Unfit."""
    context = info.context
    key, of_all = given(asked.idempotency_key), context.idempotency_key
    for sent in (key, of_all):
        if sent is not None and not 0 < len(sent) <= LONGEST_KEY:
            raise Unfit(("idempotency_key",), ProblemCode.INVALID, f"A key has 1 to {LONGEST_KEY} characters.")
    if key is None and of_all is not None:
        key = f"{of_all}:{info.path.key}"  # several mutations of a request are several things
    said = msgspec.json.encode([info.field_name, plain(asked)], order="sorted")
    fingerprint = hashlib.blake2b(said, digest_size=32).digest()
    return await context.writes.carry_out(Order(each, context.caller, key, fingerprint, asked.dry_run))


async def _one(info: Info[Context, None], asked: Any, make: Callable[[Context, Any], Deed]) -> Told:
    """What came of the one deed of a mutation. Raises what came in place of it."""
    try:
        outcome = await _carried_out(info, asked, [make(info.context, asked)])
    except Unfit as unfit:
        outcome = Outcome(results=(Result(problems=(unfit.problem,)),))
    (result,) = outcome.results
    if result.failure is not None:
        raise raised(result.failure)
    return Told(outcome, result, _from_now())


async def _several(info: Info[Context, None], asked: Any) -> Told:
    """What came of starting each of several runs."""
    most = info.context.max_first
    if len(asked.ids) > most:
        return _nothing(Problem(("ids",), ProblemCode.TOO_MANY, f"These are more than {most}."))
    each: dict[tuple[str, str], Deed] = {}
    meant: list[Result | tuple[str, str]] = []
    for number, id in enumerate(asked.ids):
        try:
            deed = wishes.start(wishes.by_id(info.context, id, ("ids", number)), asked)
        except Unfit as unfit:
            meant.append(Result(problems=(unfit.problem,)))
        else:
            named = deed.instance.name, deed.native_id or ""
            each.setdefault(named, deed)  # the same one twice is started once
            meant.append(named)
    try:
        outcome = await _carried_out(info, asked, list(each.values())) if each else Outcome(results=())
    except Unfit as unfit:
        return _nothing(unfit.problem)
    return _told_each(info, asked.ids, meant, dict(zip(each, outcome.results, strict=True)), outcome)


def _told_each(
    info: Info[Context, None],
    sent: Sequence[str],
    meant: Sequence[Result | tuple[str, str]],
    made: Mapping[tuple[str, str], Result],
    outcome: Outcome,
) -> Told:
    """What is told of each id that was sent; failures also beside the data."""
    for result in made.values():
        if result.failure is not None:
            info.context.errors.append(info.context.placed(raised(result.failure), info))
    ask = _from_now()
    results = [named if isinstance(named, Result) else made[named] for named in meant]
    told = [Told(outcome, result, ask, id) for id, result in zip(sent, results, strict=True)]
    return Told(outcome, Result(), ask, results=told)


def _nothing(problem: Problem) -> Told:
    return Told(Outcome(results=()), Result(problems=(problem,)), _from_now())


def _from_now() -> Ask:
    """What was read before does not do."""
    return Ask(0.0, time.monotonic(), takes_refreshing=False)


# --- the type ---


def _mutation(resolve: Callable[..., Any], payload: type, takes: Any, description: str) -> Any:
    """A mutation of one argument. What it takes is made at run time, so no annotation in the source can say it."""

    async def resolver(info: Info[Context, None], input: Any) -> Told:  # noqa: A002  its name in the graph
        return await resolve(info, input)

    said = Annotated[takes, argument("What to do, and to what.")]
    resolver.__annotations__ = {"info": Info[Context, None], "input": said, "return": Told}
    return strawberry.field(resolver=resolver, graphql_type=Optional[payload], description=description)


def _of(make: Callable[[Context, Any], Deed]) -> Callable[..., Any]:
    async def resolve(info: Info[Context, None], asked: Any) -> Told:
        return await _one(info, asked, make)

    return resolve


class Field(NamedTuple):
    """A mutation, and the capability that it takes."""

    capability: Capability
    field: Any


MUTATIONS: Mapping[str, Field] = {
    "create_connection": Field(
        Capability.CREATE,
        _mutation(
            _of(wishes.create),
            payloads.CreateConnectionPayload,
            inputs.CreateConnectionInput,
            "Create a connection, or get the address at which somebody authorizes it.",
        ),
    ),
    "update_connection": Field(
        Capability.UPDATE,
        _mutation(
            _of(wishes.update), payloads.UpdateConnectionPayload, inputs.UpdateConnectionInput, "Change a connection."
        ),
    ),
    "set_connection_enabled": Field(
        Capability.ENABLE,
        _mutation(
            _of(wishes.enable),
            payloads.SetConnectionEnabledPayload,
            inputs.SetConnectionEnabledInput,
            "Switch a connection on or off.",
        ),
    ),
    "run_connection": Field(
        Capability.RUN,
        _mutation(
            _of(wishes.run),
            payloads.RunConnectionPayload,
            inputs.RunConnectionInput,
            "Start a run; where one goes on, that is the one.",
        ),
    ),
    "run_connections": Field(
        Capability.RUN,
        _mutation(
            _several,
            payloads.RunConnectionsPayload,
            inputs.RunConnectionsInput,
            "Start several runs, in the fewest calls; one that cannot be started costs the others nothing.",
        ),
    ),
    "cancel_run": Field(
        Capability.CANCEL_RUN,
        _mutation(_of(wishes.cancel), payloads.CancelRunPayload, inputs.CancelRunInput, "Cancel a run that goes on."),
    ),
    "reset_connection": Field(
        Capability.RESET,
        _mutation(
            _of(wishes.reset),
            payloads.ResetConnectionPayload,
            inputs.ResetConnectionInput,
            "Clear what a connection has written, so that its next run begins anew.",
        ),
    ),
    "delete_connection": Field(
        Capability.DELETE,
        _mutation(
            _of(wishes.delete),
            payloads.DeleteConnectionPayload,
            inputs.DeleteConnectionInput,
            "Delete a connection. What it has written stays.",
        ),
    ),
    "check_endpoint": Field(
        Capability.CHECK_ENDPOINT,
        _mutation(
            _of(wishes.check),
            payloads.CheckEndpointPayload,
            inputs.CheckEndpointInput,
            "Have a source or a destination checked: a task to follow, since it takes up to minutes.",
        ),
    ),
    "discover_schema": Field(
        Capability.DISCOVER_SCHEMA,
        _mutation(
            _of(wishes.discover),
            payloads.DiscoverSchemaPayload,
            inputs.DiscoverSchemaInput,
            "Have it discovered what a source offers: a task to follow, since it takes up to minutes.",
        ),
    ),
}
"""All of them, by their names in Python."""

Mutation: Any = strawberry.type(
    type("Mutation", (), {name: mutation.field for name, mutation in MUTATIONS.items()}),
    description="Everything that can be changed.",
)
