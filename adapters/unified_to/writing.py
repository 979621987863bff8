"""What is sent to Unified.to to change something, and how to see afterwards whether it was done.

A connection comes to be where a customer authorizes it, at an address that is made for them; only credentials that are
at hand already are imported by a call. Unified.to has no idempotency keys: what a lost answer leaves open is told by
the newest connections, or by the record itself.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, cast

import msgspec

from adapters import decode
from adapters.errors import ContractBroken, NotFound
from adapters.unified_to import checks, client, inputs, wire
from adapters.unified_to.client import Client, Settings
from adapters.unified_to.inputs import (
    UnifiedToAuthorizationInput,
    UnifiedToConnectionCreate,
    UnifiedToConnectionUpdate,
    UnifiedToCredentialsInput,
)
from adapters.values import instant
from adapters.writing import (
    Change,
    Create,
    Delete,
    Done,
    Draft,
    Lost,
    Problem,
    ProblemCode,
    Unfit,
    Update,
    Wish,
    change,
    refuse,
)

Integrations = Callable[[], Awaitable[Mapping[str, wire.Integration]]]
"""Gives the integrations on offer, by type."""

NO_WORKSPACE = Problem(
    (),
    ProblemCode.REQUIRED,
    "Which workspace this is cannot be told while it has no connection: who operates the gateway has to set the "
    "instance's workspace_id.",
)


class Newest(NamedTuple):
    """The newest connections of an environment; all that there are, where ``more`` says so."""

    rows: Mapping[str, wire.Connection]
    more: bool = False

    def since(self, before: "Newest") -> list[wire.Connection]:
        """Those that were made after the ones before, by the upstream's own clock, where others that went may have made
        older ones move up."""
        rows = [row for id, row in self.rows.items() if id not in before.rows]
        if not before.more:
            return rows
        last = max(filter(None, map(_made_at, before.rows.values())), default=None)
        return [row for row in rows if last is not None and (made_at := _made_at(row)) is not None and made_at > last]


class Drafts:
    """Makes drafts for the environments of one Unified.to workspace that are configured."""

    def __init__(self, client: Client, settings: Settings, integrations: Integrations) -> None:
        self._client = client
        self._environments = settings.environments
        self._imports = settings.import_credentials
        self._workspace_id = settings.workspace_id
        self._integrations = integrations

    async def of(self, wish: Wish) -> Draft:
        """The draft of a wish. Raises Unfit and AdapterError."""
        match wish:
            case Create(input=UnifiedToConnectionCreate() as given):
                return await self._create(given)
            case Update(connection, UnifiedToConnectionUpdate() as given):
                return await self._update(connection.native_id, given)
            case Delete(connection):
                return self._delete(connection.native_id)
            case _:
                raise TypeError(f"no wish for Unified.to: {type(wish).__name__}")

    # --- connections that come to be ---

    async def _create(self, given: UnifiedToConnectionCreate) -> Draft:
        if given.credentials is not None and not self._imports:
            raise Unfit(checks.NOT_IMPORTED)
        refuse(checks.of_create(given, self._environments))
        if given.integration_type not in await self._integrations():
            message = "Unified.to offers no integration of this type."
            raise Unfit(Problem(("integration_type",), ProblemCode.UNKNOWN_ID, message))
        environment = given.environment or checks.usual(self._environments) or ""
        if given.credentials is not None:
            return await self._import(environment, given, given.credentials)
        return await self._authorize(environment, given, given.authorization or UnifiedToAuthorizationInput())

    async def _authorize(
        self, environment: str, given: UnifiedToConnectionCreate, how: UnifiedToAuthorizationInput
    ) -> Draft:
        """An address, which nothing comes of until somebody follows it: asking for it again does no harm."""
        ids = {"workspace_id": await self._workspace(), "integration_type": given.integration_type}
        return Draft(client.AUTHORIZE.of(ids=ids, query=inputs.query(environment, given, how)), _address)

    async def _workspace(self) -> str:
        """The id of the workspace, which rows have. Raises Unfit where none tells it."""
        if self._workspace_id is None:
            self._workspace_id = await self._told_by_rows()
        if self._workspace_id is None:
            raise Unfit(NO_WORKSPACE)
        return self._workspace_id

    async def _told_by_rows(self) -> str | None:
        for environment in self._environments:
            listed = await self._client.list_connections(environment)
            for row in listed.rows.rows if isinstance(listed, client.ConnectionPage) else ():
                if row.workspace_id:
                    return row.workspace_id
        return None

    async def _import(
        self, environment: str, given: UnifiedToConnectionCreate, credentials: UnifiedToCredentialsInput
    ) -> Draft:
        before = await self._newest(environment, given.external_xref)

        async def read_back(lost: Lost) -> Done | None:
            if lost.is_conflict:  # it was refused, so what is new is somebody else's
                return None
            now = await self._newest(environment, given.external_xref)
            made = [row.id for row in now.since(before) if _is_of(row, given)]
            return Done(made[0], was_read_back=True) if len(made) == 1 else None

        request = client.CREATE.of(json=inputs.body(environment, given, credentials))
        changes = tuple(change(name, None, value) for name, value in request.json.items())
        return Draft(request, _made, read_back, changes)

    async def _newest(self, environment: str, external_xref: str | None) -> Newest:
        asked = [*client.NEWEST, *([("external_xref", external_xref)] if external_xref else [])]
        listed = await self._client.list_connections(environment, asked=asked)
        assert isinstance(listed, client.ConnectionPage)  # noqa: S101  there is no page before it
        return Newest({row.id: row for row in listed.rows.rows if isinstance(row, wire.Connection)}, listed.more)

    # --- connections that there are ---

    async def _update(self, id: str, given: UnifiedToConnectionUpdate) -> Draft:
        refuse(checks.of_update(given, self._environments))
        wanted = inputs.changes(given)
        row = await self._client.get_connection(id)
        patch = {name: value for name, value in wanted.items() if not _holds(row, name, value)}

        async def read_back(_: Lost) -> Done | None:
            now = await self._client.get_connection(id)
            return Done(was_read_back=True) if all(_holds(now, *item) for item in patch.items()) else None

        request = client.UPDATE.of(ids={"id": id}, json=patch)
        changes = tuple(change(name, getattr(row, name), value) for name, value in patch.items())
        return Draft(request, _changed, read_back, changes, done=None if patch else Done())

    def _delete(self, id: str) -> Draft:
        async def read_back(_: Lost) -> Done | None:
            try:
                await self._client.get_connection(id)
            except NotFound:
                return Done(was_read_back=True)
            return None

        return Draft(client.DELETE.of(ids={"id": id}), _nothing, read_back, (Change(field="id", before=id),))


def _made_at(row: wire.Connection) -> dt.datetime | None:
    return instant(row.created_at)


def _is_of(row: wire.Connection, given: UnifiedToConnectionCreate) -> bool:
    return row.integration_type == given.integration_type and (row.external_xref or None) == given.external_xref


def _holds(row: wire.Connection, name: str, value: Any) -> bool:
    """Whether a row has this value. Nothing and an empty value are the same, and so are words in another order."""
    there = getattr(row, name)
    if isinstance(value, list):
        return set(there or ()) == set(cast("list[str]", value))
    return (there or (checks.DEFAULT_ENVIRONMENT if name == "environment" else "")) == value


def _address(body: bytes) -> Done:
    """The address in an answer, which is a plain text; in quotes where somebody on the way made JSON of it."""
    try:
        text = msgspec.json.decode(body, type=str) if body.lstrip().startswith(b'"') else body.decode().strip()
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = ""
    if not checks.is_address(text):
        raise ContractBroken("the answer is not an address")
    return Done(url=text)


def _made(body: bytes) -> Done:
    return Done(decode.whole(body, wire.Made).id)


def _changed(body: bytes) -> Done:
    decode.whole(body, wire.Made)
    return Done()


def _nothing(_: bytes) -> Done:
    return Done()  # no model of the answer is given
