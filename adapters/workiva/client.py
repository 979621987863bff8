"""Wdata's endpoints: arguments in, wire records out."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from msgspec import Meta

from adapters import decode, transport
from adapters.auth import Authorizer, Grant, Renewing, bearer
from adapters.decode import Rows
from adapters.errors import ConfigurationError, NotFound, Rejected, Unauthorized
from adapters.model import Connection
from adapters.port import Page, Planned, Workshop
from adapters.secret import Secret
from adapters.transport import Query, Request
from adapters.walk import NOTHING_BEFORE, UNKNOWN, Before, Sent, together
from adapters.workiva import wire

API_VERSION = "2026-01-01"
PAGE_LIMIT = 1000
"""The most that one call of any of the lists gives (specification, ``limit``)."""
REGIONS = {"us": "app", "eu": "eu", "apac": "apac"}
_IDS_IN_A_CALL = 100  # keeps the URL well below 8 kB

LIST = Request("list_connections", "GET", "/api/v1/connections")
GET = Request("get_connection", "GET", "/api/v1/connections/{connectionId}")
STATUS = Request("get_status", "GET", "/api/v1/connections/{connectionId}/status")
QUERIES = Request("list_queries", "GET", "/api/v1/query")
TABLES = Request("list_tables", "GET", "/api/v1/table")
TOKEN = Request("get_token", "POST", "/oauth2/token")

START = Request("start_run", "POST", "/api/v1/connections/{connectionId}/refresh", safe=False)
START_MANY = Request("start_runs", "POST", "/api/v1/connections/batch/refresh", safe=False)


class Settings(transport.Settings, frozen=True, kw_only=True, tag="workiva"):
    """An instance of Workiva Wdata. A credential belongs to one workspace and one region."""

    region: Annotated[str, Meta(pattern="^(us|eu|apac)$", description="Data region: us, eu or apac.")] = "us"
    base_url: Annotated[str | None, Meta(description="Wdata's base URL, where it is not the region's.")] = None
    token_url: Annotated[str | None, Meta(description="Base URL of the token service, likewise.")] = None
    workspace_id: Annotated[
        Annotated[str, Meta(max_length=40)] | None,
        Meta(description="Narrows reads by id and runs to this workspace; rarely needed."),
    ] = None


class ConnectionPage(NamedTuple):
    """Rows in the upstream's order, and the cursor of the next page, if there is one."""

    rows: Rows[wire.Connection | Connection]
    cursor: str | None
    sent: Sent = UNKNOWN


class Client:
    """Calls to one instance. Every method may raise AdapterError."""

    def __init__(self, settings: Settings, workshop: Workshop) -> None:
        host = REGIONS[settings.region]
        self.workspace_id = settings.workspace_id
        # Tokens come from another host than data; asking the data host for one is answered 401.
        self._tokens = workshop.transport(settings, settings.token_url or f"https://api.{host}.wdesk.com")
        self._login = self._authorizer(settings)
        self.transport = workshop.transport(
            settings,
            settings.base_url or f"https://h.{host}.wdesk.com/s/wdata/prep",
            authorizer=self._login,
            headers={"X-Version": API_VERSION},
        )

    def _authorizer(self, settings: Settings) -> Authorizer | None:
        auth = settings.auth
        if auth is None:
            return None
        if auth.token is not None:
            return bearer(auth.token)
        if auth.client_id is None or auth.client_secret is None:
            raise ConfigurationError("workiva takes auth by client_id and client_secret, or by token")
        form = {
            "grant_type": "client_credentials",
            "client_id": auth.client_id,
            "client_secret": auth.client_secret.reveal(),
        }
        return Renewing(lambda: self._token(form))

    def login(self) -> list[Planned]:
        """The call that would come before any other."""
        return [] if self._login is None or self._login.is_ready else [Planned(TOKEN)]

    async def _token(self, form: dict[str, str]) -> Grant:
        try:
            granted = decode.whole(await self._tokens.send(TOKEN.of(form=form)), wire.Token)
        except (Rejected, NotFound):  # RFC 6749 has 400 for unknown clients too
            raise Unauthorized("the token service gave no token", operation=TOKEN.operation) from None
        if not granted.access_token:
            raise Unauthorized("the token service gave no token")
        return Grant(Secret(granted.access_token), granted.expires_in)

    async def list_connections(
        self, *, cursor: str | None = None, asked: Query = (), before: Before = NOTHING_BEFORE
    ) -> ConnectionPage | Page:
        """One page, with the rows that were read there ``before`` as they are; or the whole page, where it is next to
        what it was. A cursor goes alone: with it, the upstream ignores the rest."""
        query = [("cursor", cursor)] if cursor else [("limit", str(PAGE_LIMIT)), *asked]
        body = await self.transport.send(LIST.of(query=query))
        page = before.renewed(body, wire.Connection)
        if page is not None:
            return page
        paged = decode.whole(body, wire.Paged)
        rows = decode.rows(paged.body, wire.Connection, before.known, body=body)
        return ConnectionPage(rows, paged.cursor or None, Sent.of(body))

    def call_for(self, connection_id: str) -> Request:
        """The call for one connection, whose answer is to be `read`."""
        return GET.of(ids={"connectionId": connection_id}, query=self._narrowed())

    def read(self, body: bytes) -> wire.Connection:
        """The connection in the body of such an answer."""
        return decode.whole(body, wire.Single).body

    async def get_status(self, connection_id: str, job_id: str | None = None) -> wire.ConnectionRun:
        """A run by its job id; without one, the last run."""
        asked = [("jobId", job_id)] if job_id else []
        request = STATUS.of(ids={"connectionId": connection_id}, query=[*asked, *self._narrowed()])
        return decode.whole(await self.transport.send(request), wire.SingleRun).body

    async def list_queries(self, ids: Sequence[str]) -> list[wire.Named]:
        """Queries by id, a call for each hundred."""
        chunks = [ids[start : start + _IDS_IN_A_CALL] for start in range(0, len(ids), _IDS_IN_A_CALL)]
        return [query for answer in await together(list(map(self._some_queries, chunks))) for query in answer]

    async def _some_queries(self, ids: Sequence[str]) -> Sequence[wire.Named]:
        query = [*(("ids", id) for id in ids), ("limit", str(PAGE_LIMIT))]
        paged = decode.whole(await self.transport.send(QUERIES.of(query=query, batch=len(ids))), wire.Paged)
        return decode.rows(paged.body, wire.Named).rows

    async def list_tables(self) -> list[wire.Named]:
        """All tables of the workspace and those shared with it: this list cannot be asked by ids."""
        found: dict[str, wire.Named] = {}
        cursor: str | None = None
        while True:
            start = [("cursor", cursor)] if cursor else [("includeShared", "true"), ("limit", str(PAGE_LIMIT))]
            paged = decode.whole(await self.transport.send(TABLES.of(query=start)), wire.Paged)
            known = len(found)
            found |= {row.id: row for row in decode.rows(paged.body, wire.Named).rows}
            cursor = paged.cursor or None
            if cursor is None or len(found) == known:  # the end, or a cursor that leads nowhere
                return list(found.values())

    def _narrowed(self) -> list[tuple[str, str]]:
        return [("workspaceId", self.workspace_id)] if self.workspace_id else []
