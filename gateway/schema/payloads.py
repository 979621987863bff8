"""What mutations give: payloads of one shape, over what came of a deed."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import strawberry
from graphql import GraphQLError
from strawberry.types import Info
from strawberry.utils.str_converters import to_camel_case

from adapters import deadline, ids, model, writing
from gateway import deeds, tasks
from gateway.context import Context
from gateway.deeds import Failure, Outcome, Result
from gateway.inventory import Ask
from gateway.schema.connection import Connection
from gateway.schema.fields import described
from gateway.schema.page import SourceError
from gateway.schema.records import object_type, word
from gateway.schema.scalars import Json
from gateway.schema.selection import connection_fields
from gateway.schema.tasks import Task

AFTER_S = 15.0
"""What reading a connection after it was changed may take."""


@strawberry.type(description="A mistake in the input, or in what it is about. Nothing was changed.")
class UserError:
    field: list[str] = described("Where it is, from the mutation's arguments on; places in lists are numbers.")
    code: object = described("What kind of mistake it is.", word(writing.ProblemCode, name="UserErrorCode"))
    message: str = described("What is wrong, for people.")


class Mistake(NamedTuple):
    """What `UserError` reads."""

    field: list[str]
    code: writing.ProblemCode
    message: str


@strawberry.type(description="A request to an upstream as it would be sent, with credentials masked.")
class UpstreamRequest:
    instance: str = described("The instance it would be sent to.")
    method: str = described("Its HTTP method.")
    path: str = described("Its path and its query.")
    body: Json | None = described("Its body; null where it has none.")


@strawberry.type(description="What a mutation would do.")
class DryRun:
    requests: list[UpstreamRequest] = described("The requests that would be sent, besides those that only read.")
    changes: object = described(
        "What would change, as far as there is something to compare.", list[object_type(writing.Change)]
    )


class Rehearsed(NamedTuple):
    """What `DryRun` reads."""

    requests: Sequence[deeds.Sent]
    changes: Sequence[writing.Change]


class Told(NamedTuple):
    """What the payloads read: an outcome, the result that is looked at, and how new what is read after it must be. Of
    several, each has the ``id`` that was sent, and they are the ``results`` of all."""

    outcome: Outcome
    result: Result
    ask: Ask
    id: str = ""
    results: "Sequence[Told]" = ()

    @property
    def error(self) -> SourceError | None:
        failure = self.result.failure
        if failure is None:
            return None
        retry_after = failure.extensions.get("retryAfter")
        retryable = bool(failure.extensions.get("retryable"))
        return SourceError(code=failure.code, message=failure.message, retryable=retryable, retry_after=retry_after)

    @property
    def replayed(self) -> bool:
        return self.outcome.is_replayed

    @property
    def user_errors(self) -> list[Mistake]:
        return [Mistake(spelled(problem.place), problem.code, problem.message) for problem in self.result.problems]

    @property
    def dry_run(self) -> Rehearsed | None:
        return Rehearsed(self.outcome.sent, self.outcome.changes) if self.outcome.is_dry else None

    @property
    def run(self) -> model.Run | None:
        return self.result.run

    @property
    def attached(self) -> bool:
        return self.result.is_attached

    @property
    def read_back(self) -> bool:
        return self.result.was_read_back

    @property
    def authorization_url(self) -> str | None:
        return self.result.url

    @property
    def deleted_id(self) -> str | None:
        return self.global_id if not (self.result.problems or self.outcome.is_dry) else None

    @property
    def global_id(self) -> str | None:
        """The id of the connection that it is about."""
        native_id = self.result.native_id
        return None if native_id is None else ids.encode(self.result.instance, native_id)


def spelled(place: writing.Place) -> list[str]:
    """A place in the input as the graph spells it, from the argument on."""
    return ["input", *(to_camel_case(part) if isinstance(part, str) else str(part) for part in place)]


def raised(failure: Failure) -> GraphQLError:
    """A failure as an error of the graph."""
    return GraphQLError(failure.message, extensions={"code": failure.code, **failure.extensions})


def is_told(value: Any, _: Any) -> bool:
    """How the engine tells a payload."""
    return isinstance(value, Told)


@strawberry.interface(description="What every mutation answers.")
class MutationPayload:
    user_errors: object = described(
        "What is wrong with the input, or with doing this now; empty where it was done.", list[UserError]
    )
    dry_run: object = described("What would be done; null unless `dryRun` was asked for.", Optional[DryRun])
    replayed: bool = described("Whether this came of an earlier request with the same idempotency key.")

    is_type_of = staticmethod(is_told)


async def _after(parent: strawberry.Parent[Told], info: Info[Context, None]) -> model.Connection | None:
    if parent.outcome.is_dry or parent.result.problems or parent.result.failure or parent.result.native_id is None:
        return None
    place = parent.result.instance, parent.result.native_id
    with deadline.afresh(AFTER_S):
        answer = await info.context.loaders.connection(place, connection_fields(info), parent.ask)
    info.context.report(answer.failures, info)
    return answer.connection


def _connection(description: str = "The connection as it is now; null where nothing was done.") -> Any:
    return strawberry.field(resolver=_after, description=description, graphql_type=Optional[Connection])


def _run() -> Any:
    return described(
        "The run, as it was when it was started; null where nothing was.", Optional[object_type(model.Run)]
    )


def _attached() -> Any:
    return described("Whether it went on already, and no other was started.")


def _read_back() -> Any:
    return described(
        "Whether the upstream's answer was lost, and it was seen by looking that it happened all the same."
    )


@strawberry.type(description="What came of creating a connection.")
class CreateConnectionPayload(MutationPayload):
    connection: object = _connection("The new connection; null where it is yet to be authorized.")
    authorization_url: str | None = described(
        "Where somebody is to be sent to authorize it; the connection comes to be when they have."
    )
    read_back: bool = _read_back()


@strawberry.type(description="What came of changing a connection.")
class UpdateConnectionPayload(MutationPayload):
    connection: object = _connection()
    read_back: bool = _read_back()


@strawberry.type(description="What came of switching a connection on or off.")
class SetConnectionEnabledPayload(MutationPayload):
    connection: object = _connection()
    read_back: bool = _read_back()


@strawberry.type(description="What came of deleting a connection.")
class DeleteConnectionPayload(MutationPayload):
    deleted_id: strawberry.ID | None = described("The global id of what was deleted; null where nothing was.")
    connection: object = _connection("What its upstream still tells of it; null where that is nothing.")
    read_back: bool = _read_back()


@strawberry.type(description="What came of starting a run.")
class RunConnectionPayload(MutationPayload):
    connection: object = _connection()
    run: object = _run()
    attached: bool = _attached()
    read_back: bool = _read_back()


@strawberry.type(description="What came of starting one of several runs.")
class RunResult:
    id: strawberry.ID = described("The id that was sent.")
    connection: object = _connection()
    run: object = _run()
    attached: bool = _attached()
    read_back: bool = _read_back()
    user_errors: object = described("What is wrong with running this one now.", list[UserError])
    error: SourceError | None = described("Why it could not be started, or why nobody knows; null where it was.")


@strawberry.type(description="What came of starting several runs.")
class RunConnectionsPayload(MutationPayload):
    results: list[RunResult] = described("What came of each, in the order of `ids`.")


@strawberry.type(description="What came of cancelling a run.")
class CancelRunPayload(MutationPayload):
    connection: object = _connection()
    run: object = _run()
    read_back: bool = _read_back()


@strawberry.type(description="What came of resetting a connection.")
class ResetConnectionPayload(MutationPayload):
    connection: object = _connection()
    run: object = _run()
    attached: bool = _attached()
    read_back: bool = _read_back()


async def _begun(parent: strawberry.Parent[Told], info: Info[Context, None]) -> tasks.Task | None:
    id = parent.result.task_id
    return None if id is None else await info.context.writes.tasks.get(id, info.context.caller.viewer or "")


def _task(description: str) -> Any:
    return strawberry.field(resolver=_begun, description=description, graphql_type=Optional[Task])


@strawberry.type(description="What came of having an endpoint checked.")
class CheckEndpointPayload(MutationPayload):
    task: object = _task("The check, to be followed by its id; null where it was not begun.")


@strawberry.type(description="What came of having a schema discovered.")
class DiscoverSchemaPayload(MutationPayload):
    task: object = _task("The discovery, to be followed by its id; null where it was not begun.")
