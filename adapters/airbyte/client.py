"""Airbyte's endpoints: arguments in, wire records out. All are POST with a JSON body, reads too."""

import base64
import time
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from adapters import decode, transport
from adapters.airbyte import wire
from adapters.auth import Authorizer, Grant, Renewing, basic, bearer
from adapters.decode import Rows
from adapters.errors import ConfigurationError, NotFound, Rejected, Unauthorized
from adapters.port import Workshop
from adapters.secret import Secret
from adapters.transport import Request

R = TypeVar("R", bound=msgspec.Struct)

TOKEN_LASTS_S = 180.0
"""What a token is taken to last where it does not say so itself: the shortest that was ever the default."""

RUN_TYPES = ("sync", "reset_connection")
"""The jobs that are runs of a connection. Later versions add ``refresh`` and ``clear``, which older ones refuse."""


class Settings(transport.Settings, frozen=True, kw_only=True, tag="airbyte"):
    """An instance of Airbyte."""

    base_url: Annotated[str, Meta(description="The API's base URL; /v1/... is appended. Ends in /api as a rule.")]
    workspaces: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(description="Ids of the workspaces to read; none means all that there are."),
    ] = ()
    web_url: Annotated[
        str | None, Meta(description="Where people open this Airbyte, if it is not base_url without its /api.")
    ] = None

    def __post_init__(self) -> None:
        if len(set(self.workspaces)) < len(self.workspaces):
            raise ValueError("workspaces names one of them twice")


class ConnectionPage(NamedTuple):
    """Rows in the upstream's order. ``page_size`` is None where the upstream does not page at all and these are all
    the rows of the workspace; ``total`` counts those of all pages where the upstream says so."""

    rows: Rows[wire.ListItem]
    page_size: int | None
    total: int | None

    def goes_on(self, before: int) -> bool:
        """Whether there are rows after these, which come after ``before`` others. Both signs are heeded: a server may
        give fewer rows than it was asked for and says it gives, and its count may be out of date."""
        read = len(self.rows.places)
        return read > 0 and (read >= (self.page_size or read + 1) or before + read < (self.total or 0))


class JobPage(NamedTuple):
    """Jobs, the newest first, and how many there are in all, where the upstream says so."""

    rows: Rows[wire.JobWithAttempts]
    total: int | None


class Client:
    """Calls to one instance. Every method may raise AdapterError."""

    def __init__(self, settings: Settings, workshop: Workshop) -> None:
        self._pages = True  # until the upstream refuses it
        self.is_later = False
        """Whether the upstream showed itself to be of the later generation, which dates connections."""
        self._tokens = workshop.transport(settings, settings.base_url)
        self.transport = workshop.transport(settings, settings.base_url, authorizer=self._authorizer(settings))

    def _authorizer(self, settings: Settings) -> Authorizer | None:
        auth = settings.auth
        if auth is None:
            return None
        if auth.token is not None:
            return bearer(auth.token)
        if auth.username is not None and auth.password is not None:
            return basic(auth.username, auth.password)
        if auth.client_id is None or auth.client_secret is None:
            raise ConfigurationError(
                "airbyte takes auth by client_id and client_secret, username and password, or token"
            )
        body = {"client_id": auth.client_id, "client_secret": auth.client_secret.reveal()}
        return Renewing(lambda: self._token(body))

    async def _token(self, body: dict[str, str]) -> Grant:
        request = Request("get_token", "POST", "/v1/applications/token", json=body)
        try:
            granted = decode.whole(await self._tokens.send(request), wire.Token)
        except (Rejected, NotFound):  # a release without this endpoint, or a client id it cannot even read
            raise Unauthorized("the token endpoint gave no token", operation=request.operation) from None
        if not granted.access_token:
            raise Unauthorized("the token endpoint gave no token")
        return Grant(Secret(granted.access_token), lasts_s(granted))

    async def list_connections(self, workspace_id: str, *, limit: int, cursor: str | None = None) -> ConnectionPage:
        """Connections of a workspace. The older generation ignores paging, or refuses to hear of it, and gives all;
        the later one gives 20 unless told. A cursor is the id of the last row."""
        if self._pages:
            try:
                return await self._list({"workspaceId": workspace_id, "pageSize": limit} | _with("cursor", cursor))
            except Rejected:
                if cursor is not None:
                    raise
        page = await self._list({"workspaceId": workspace_id})
        self._pages = page.page_size is not None
        return page

    async def _list(self, body: dict[str, Any]) -> ConnectionPage:
        request = Request("list_connections", "POST", "/v1/web_backend/connections/list", json=body)
        reply = decode.whole(await self.transport.send(request), wire.ListReply)
        rows = decode.rows(reply.connections, wire.ListItem)
        paged = reply.page_size is not None or reply.num_connections is not None
        self.is_later = paged
        return ConnectionPage(rows, (reply.page_size or body.get("pageSize")) if paged else None, reply.num_connections)

    async def get_connection(self, connection_id: str) -> wire.Read:
        """The full record. Never asks for a refreshed catalog: that starts a discovery which takes minutes."""
        request = Request(
            "get_connection", "POST", "/v1/web_backend/connections/get", json={"connectionId": connection_id}
        )
        return decode.whole(await self.transport.send(request), wire.Read)

    async def list_workspaces(self) -> Rows[wire.Workspace]:
        body = await self.transport.send(Request("list_workspaces", "POST", "/v1/workspaces/list"))
        return decode.rows(decode.whole(body, wire.Workspaces).workspaces, wire.Workspace)

    async def list_sources(self, workspace_id: str) -> Rows[wire.Source]:
        reply = await self._of_workspace("list_sources", "/v1/sources/list", workspace_id, wire.Sources)
        return decode.rows(reply.sources, wire.Source)

    async def list_destinations(self, workspace_id: str) -> Rows[wire.Destination]:
        reply = await self._of_workspace("list_destinations", "/v1/destinations/list", workspace_id, wire.Destinations)
        return decode.rows(reply.destinations, wire.Destination)

    async def list_source_definitions(self, workspace_id: str) -> Rows[wire.Definition]:
        route = "/v1/source_definitions/list_for_workspace"
        reply = await self._of_workspace("list_source_definitions", route, workspace_id, wire.SourceDefinitions)
        return decode.rows(reply.source_definitions, wire.Definition)

    async def list_destination_definitions(self, workspace_id: str) -> Rows[wire.Definition]:
        route = "/v1/destination_definitions/list_for_workspace"
        reply = await self._of_workspace(
            "list_destination_definitions", route, workspace_id, wire.DestinationDefinitions
        )
        return decode.rows(reply.destination_definitions, wire.Definition)

    async def list_jobs(self, connection_id: str, *, limit: int, offset: int) -> JobPage:
        body = {
            "configTypes": RUN_TYPES,
            "configId": connection_id,
            "pagination": {"pageSize": limit, "rowOffset": offset},
        }
        request = Request("list_jobs", "POST", "/v1/jobs/list", json=body)
        reply = decode.whole(await self.transport.send(request), wire.JobList)
        return JobPage(decode.rows(reply.jobs, wire.JobWithAttempts), reply.total_job_count)

    async def _of_workspace(self, operation: str, route: str, workspace_id: str, kind: type[R]) -> R:
        # The later generation pages sources and destinations by 20 too, and the older one ignores or refuses the word.
        body = {"workspaceId": workspace_id} | _with("pageSize", WORKSPACE_PAGE if self._pages else None)
        return decode.whole(await self.transport.send(Request(operation, "POST", route, json=body)), kind)


WORKSPACE_PAGE = 1000
"""Rows of a workspace's other lists: more than any workspace that was heard of holds."""


def _with(name: str, value: str | int | None) -> dict[str, Any]:
    return {} if value is None else {name: value}


def lasts_s(token: wire.Token) -> float:
    """Seconds until the token ends, by its own ``exp``: the ``expires_in`` beside it once said 900 of one that lasted
    180 (airbyte-api-python-sdk, issue 118)."""
    try:
        payload = token.access_token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) - time.time()
    except (IndexError, ValueError, KeyError, TypeError):
        return min(TOKEN_LASTS_S, token.expires_in or TOKEN_LASTS_S)
