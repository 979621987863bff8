"""Unified.to's endpoints: arguments in, wire records out."""

from typing import Annotated, NamedTuple

from msgspec import Meta

from adapters import decode, transport
from adapters.auth import Authorizer, bearer
from adapters.decode import Rows
from adapters.errors import ConfigurationError
from adapters.model import Connection
from adapters.port import Page, Workshop
from adapters.transport import Query, Request
from adapters.unified_to import wire
from adapters.walk import NOTHING_BEFORE, UNKNOWN, Before, Sent

PAGE_LIMIT = 100
"""The most that one call of any of the lists gives (docs.unified.to, "Pagination")."""
REGIONS = {"us": "https://api.unified.to", "eu": "https://api-eu.unified.to", "au": "https://api-au.unified.to"}

LIST = Request("list_connections", "GET", "/unified/connection")
GET = Request("get_connection", "GET", "/unified/connection/{id}")
INTEGRATIONS = Request("list_integrations", "GET", "/unified/integration")
AUTHORIZE = Request("authorize_connection", "GET", "/unified/integration/auth/{workspace_id}/{integration_type}")

CREATE = Request("create_connection", "POST", "/unified/connection", safe=False)
UPDATE = Request("update_connection", "PATCH", "/unified/connection/{id}", safe=False)
DELETE = Request("delete_connection", "DELETE", "/unified/connection/{id}", safe=False)

# The order of an unsorted list is not documented, and health checks move whatever is ordered by updated_at while it
# is walked. By created_at nothing moves, and what is new comes last, behind every offset already passed.
STABLE: Query = (("sort", "created_at"), ("order", "asc"))
NEWEST: Query = (("sort", "created_at"), ("order", "desc"))


class Settings(transport.Settings, frozen=True, kw_only=True, tag="unified_to"):
    """An instance of Unified.to. A token belongs to one workspace and one region."""

    region: Annotated[str, Meta(pattern="^(us|eu|au)$", description="Data region: us, eu or au.")] = "us"
    base_url: Annotated[str | None, Meta(description="Unified.to's base URL, where it is not the region's.")] = None
    environments: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(min_length=1, description="Environments whose connections are shown; a list shows one at a time."),
    ] = ("Production",)
    workspace_id: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="Id of the token's workspace; needed until it has a connection, which tells it."),
    ] = None
    import_credentials: Annotated[
        bool,
        Meta(description="Whether connections may be created from customers' credentials, sent through the gateway."),
    ] = False

    def __post_init__(self) -> None:
        if len(set(self.environments)) < len(self.environments):
            raise ValueError("environments names one of them twice")


class ConnectionPage(NamedTuple):
    """Rows in the upstream's order, and whether to go on."""

    rows: Rows[wire.Connection | Connection]
    more: bool
    sent: Sent = UNKNOWN


class Client:
    """Calls to one instance. Every method may raise AdapterError."""

    def __init__(self, settings: Settings, workshop: Workshop) -> None:
        base_url = settings.base_url or REGIONS[settings.region]
        self.transport = workshop.transport(settings, base_url, authorizer=_authorizer(settings))

    async def list_connections(
        self, env: str, *, offset: int = 0, asked: Query = STABLE, before: Before = NOTHING_BEFORE
    ) -> ConnectionPage | Page:
        """One page of an environment, with the rows that were read there ``before`` as they are; or the whole page,
        where it is next to what it was.

        Without ``env`` it would be Production.
        """
        query = [("env", env), ("limit", str(PAGE_LIMIT)), ("offset", str(offset)), *asked]
        body = await self.transport.send(LIST.of(query=query))
        page = before.renewed(body, wire.Connection)
        if page is not None:
            return page
        got = decode.rows(body, wire.Connection, before.known, body=body)
        # Neither a total nor a cursor: fewer rows than asked for mark the end.
        return ConnectionPage(got, len(got.places) >= PAGE_LIMIT, Sent.of(body))

    async def get_connection(self, connection_id: str) -> wire.Connection:
        """One connection, of whichever environment."""
        return self.read(await self.transport.send(self.call_for(connection_id)))

    def call_for(self, connection_id: str) -> Request:
        """The call for it, whose answer is to be `read`."""
        return GET.of(ids={"id": connection_id})

    def read(self, body: bytes) -> wire.Connection:
        """The connection in the body of such an answer."""
        return decode.whole(body, wire.Connection)

    async def list_integrations(self) -> list[wire.Integration]:
        """All integrations on offer, active or not: connections outlive the activation of theirs.

        ``summary`` would make the answer shorter, but it is not documented whether names and logos stay.
        """
        found: dict[str, wire.Integration] = {}
        offset = 0
        while True:
            query = [("limit", str(PAGE_LIMIT)), ("offset", str(offset))]
            body = await self.transport.send(INTEGRATIONS.of(query=query))
            got = decode.rows(body, wire.Integration)
            known = len(found)
            found |= {row.type: row for row in got.rows}
            offset += len(got.places)
            if len(got.places) < PAGE_LIMIT or len(found) == known:  # the end, or an offset that leads nowhere
                return list(found.values())


def _authorizer(settings: Settings) -> Authorizer | None:
    if settings.auth is None:
        return None
    if settings.auth.token is None:
        raise ConfigurationError("unified_to takes auth by token")
    return bearer(settings.auth.token)
