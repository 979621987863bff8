"""Airbyte's endpoints: arguments in, wire records out. All are POST with a JSON body, reads too."""

import base64
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from adapters import decode, transport
from adapters.airbyte import wire
from adapters.auth import Authorizer, Grant, Renewing, basic, bearer
from adapters.decode import Rows
from adapters.errors import ConfigurationError, NotFound, Rejected, Unauthorized
from adapters.model import Connection
from adapters.port import Page, Planned, Workshop
from adapters.secret import Secret
from adapters.transport import Request
from adapters.walk import NOTHING_BEFORE, UNKNOWN, Before, Sent

R = TypeVar("R", bound=msgspec.Struct)
B = TypeVar("B", bound=wire.Brief)

TOKEN_LASTS_S = 180.0
"""What a token is taken to last where it does not say so itself: the shortest that was ever the default."""

LIST = Request("list_connections", "POST", "/v1/web_backend/connections/list")
GET = Request("get_connection", "POST", "/v1/web_backend/connections/get")
WORKSPACES = Request("list_workspaces", "POST", "/v1/workspaces/list")
WORKSPACE_OF = Request("get_workspace", "POST", "/v1/workspaces/get_by_connection_id")
JOBS = Request("list_jobs", "POST", "/v1/jobs/list")
TOKEN = Request("get_token", "POST", "/v1/applications/token")
SOURCES = Request("list_sources", "POST", "/v1/sources/list")
DESTINATIONS = Request("list_destinations", "POST", "/v1/destinations/list")
SOURCE_DEFINITIONS = Request("list_source_definitions", "POST", "/v1/source_definitions/list_for_workspace")
DESTINATION_DEFINITIONS = Request(
    "list_destination_definitions", "POST", "/v1/destination_definitions/list_for_workspace"
)
SOURCE = Request("get_source", "POST", "/v1/sources/get")
DESTINATION = Request("get_destination", "POST", "/v1/destinations/get")
CATALOG = Request("get_catalog", "POST", "/v1/sources/most_recent_source_actor_catalog")
JOB = Request("get_job", "POST", "/v1/jobs/get")

CREATE = Request("create_connection", "POST", "/v1/web_backend/connections/create", safe=False)
UPDATE = Request("update_connection", "POST", "/v1/web_backend/connections/update", safe=False)
DELETE = Request("delete_connection", "POST", "/v1/connections/delete", safe=False)
SYNC = Request("start_sync", "POST", "/v1/connections/sync", safe=False)
RESET = Request("start_reset", "POST", "/v1/connections/reset", safe=False)
CANCEL = Request("cancel_job", "POST", "/v1/jobs/cancel", safe=False)
CHECK_SOURCE = Request("check_source", "POST", "/v1/sources/check_connection", safe=False)
CHECK_DESTINATION = Request("check_destination", "POST", "/v1/destinations/check_connection", safe=False)
DISCOVER = Request("discover_schema", "POST", "/v1/sources/discover_schema", safe=False)

RUN_TYPES = ("sync", "reset_connection")
"""The jobs that are runs of a connection."""
ALL_RUN_TYPES = (*RUN_TYPES, "refresh", "clear")
"""Those of later versions; older ones refuse to hear of the last two."""
LATER_FIELD = b'"sourceActorDefinitionVersion"'
"""What rows of lists have since versions that may know all types of runs, whether they page their lists or not."""


class Settings(transport.Settings, frozen=True, kw_only=True, tag="airbyte"):
    """An instance of Airbyte."""

    base_url: Annotated[str, Meta(description="The API's base URL; /v1/... is appended. Ends in /api as a rule.")]
    workspaces: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(description="Ids of the workspaces to read and to change; none means all that there are."),
    ] = ()
    web_url: Annotated[
        str | None, Meta(description="Where people open this Airbyte, if it is not base_url without its /api.")
    ] = None

    def __post_init__(self) -> None:
        if len(set(map(str.lower, self.workspaces))) < len(self.workspaces):
            raise ValueError("workspaces names one of them twice")


class ConnectionPage(NamedTuple):
    """Rows in the upstream's order. ``page_size`` is None where the upstream does not page at all and these are all
    the rows of the workspace; ``total`` counts those of all pages where the upstream says so."""

    rows: Rows[wire.ListItem | Connection]
    page_size: int | None
    total: int | None
    sent: Sent = UNKNOWN

    def goes_on(self, reached: int) -> bool:
        """Whether there are rows after these, with which so many were ``reached``. Both signs are heeded: a server may
        give fewer rows than it was asked for and says it gives, and its count may be out of date."""
        read = len(self.rows.places)
        is_full = read >= (self.page_size or read + 1)
        return read > 0 and (is_full or reached < (self.total or 0))


def counted(places: Sequence[Connection | None]) -> int:
    """How many rows these are; one that was sent twice is one, as it is in the upstream's own count."""
    ids = [row.native_id for row in places if row is not None]
    return len(places) - len(ids) + len(set(ids))


class JobPage(NamedTuple):
    """Jobs of some types, the newest first, and how many there are in all, where the upstream says so."""

    rows: Rows[wire.JobWithAttempts]
    total: int | None
    is_of_all: bool


class Client:
    """Calls to one instance. Every method may raise AdapterError."""

    def __init__(self, settings: Settings, workshop: Workshop) -> None:
        self._pages = True  # until the upstream refuses it
        self.is_later = False
        """Whether the upstream showed itself to be of the later generation, which dates connections."""
        self._knows_all_types: bool | None = None  # until it shows itself to be of a later version, or refuses them
        self._tokens = workshop.transport(settings, settings.base_url)
        self._login = self._authorizer(settings)
        self.task_timeout_s = settings.task_timeout
        self.transport = workshop.transport(settings, settings.base_url, authorizer=self._login)

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

    def login(self) -> list[Planned]:
        """The call that would come before any other."""
        return [] if self._login is None or self._login.is_ready else [Planned(TOKEN)]

    async def _token(self, body: dict[str, str]) -> Grant:
        try:
            granted = decode.whole(await self._tokens.send(TOKEN.of(json=body)), wire.Token)
        except (Rejected, NotFound):  # a release without this endpoint, or a client id it cannot even read
            raise Unauthorized("the token endpoint gave no token", operation=TOKEN.operation) from None
        if not granted.access_token:
            raise Unauthorized("the token endpoint gave no token")
        return Grant(Secret(granted.access_token), lasts_s(granted))

    async def list_connections(
        self,
        workspace_id: str,
        *,
        limit: int,
        cursor: str | None = None,
        asked: Mapping[str, Any] = {},
        before: Before = NOTHING_BEFORE,
    ) -> ConnectionPage | Page:
        """Connections of a workspace, with the rows that were read there ``before`` as they are; or the whole page,
        where it is next to what it was.

        The older generation ignores paging and all that is ``asked`` besides, and gives all; the later one gives 20
        unless told. A cursor is the id of the last row. Raises Rejected where the upstream will not hear of what is
        asked; where that is only paging, it is asked without.
        """
        if self._pages:
            paging = {"pageSize": limit} | _with("cursor", cursor)
            try:
                return await self._list({"workspaceId": workspace_id} | paging | dict(asked), before)
            except Rejected:
                if cursor is not None or asked:
                    raise
        ends = {name: asked[name] for name in ("sourceId", "destinationId") if name in asked}
        page = await self._list({"workspaceId": workspace_id} | ends, before)
        self._pages = page.page_size is not None if isinstance(page, ConnectionPage) else self._pages
        return page

    async def _list(self, body: dict[str, Any], before: Before) -> ConnectionPage | Page:
        sent = await self.transport.send(LIST.of(json=body))
        page = before.renewed(sent, wire.ListItem)
        if page is not None:
            return page
        reply = decode.whole(sent, wire.ListReply)
        rows = decode.rows(reply.connections, wire.ListItem, before.known, body=sent)
        paged = reply.page_size is not None or reply.num_connections is not None
        if paged and not self.is_later:  # from the first, or updated meanwhile
            self._knows_all_types = True
        elif LATER_FIELD in b"".join(reply.connections[:1]):
            self._seems_later()
        self.is_later = paged
        size = (reply.page_size or body.get("pageSize")) if paged else None
        return ConnectionPage(rows, size, reply.num_connections, Sent.of(sent))

    def call_for(self, connection_id: str) -> Request:
        """The call for a full record, whose answer is to be `read`. Never asks for a refreshed catalog: that starts a
        discovery which takes minutes."""
        return GET.of(json={"connectionId": connection_id})

    def read(self, body: bytes, kind: type[B]) -> B:
        """The record in the body of such an answer, or as much of it as ``kind`` has: its catalog alone can be longer
        than a list."""
        record = decode.whole(body, kind)
        if record.created_at is not None:
            self._seems_later()
        return record

    def _seems_later(self) -> None:
        if self._knows_all_types is None:
            self._knows_all_types = True

    async def get_workspace_of(self, connection_id: str) -> wire.Workspace:
        body = await self.transport.send(WORKSPACE_OF.of(json={"connectionId": connection_id}))
        return decode.whole(body, wire.Workspace)

    async def list_workspaces(self) -> Rows[wire.Workspace]:
        body = await self.transport.send(WORKSPACES)
        return decode.rows(decode.whole(body, wire.Workspaces).workspaces, wire.Workspace)

    async def list_sources(self, workspace_id: str) -> Rows[wire.Source]:
        reply = await self._of_workspace(SOURCES, workspace_id, wire.Sources)
        return decode.rows(reply.sources, wire.Source)

    async def list_destinations(self, workspace_id: str) -> Rows[wire.Destination]:
        reply = await self._of_workspace(DESTINATIONS, workspace_id, wire.Destinations)
        return decode.rows(reply.destinations, wire.Destination)

    async def list_source_definitions(self, workspace_id: str) -> Rows[wire.Definition]:
        reply = await self._of_workspace(SOURCE_DEFINITIONS, workspace_id, wire.SourceDefinitions)
        return decode.rows(reply.source_definitions, wire.Definition)

    async def list_destination_definitions(self, workspace_id: str) -> Rows[wire.Definition]:
        reply = await self._of_workspace(DESTINATION_DEFINITIONS, workspace_id, wire.DestinationDefinitions)
        return decode.rows(reply.destination_definitions, wire.Definition)

    async def list_jobs(self, connection_id: str, *, limit: int, offset: int, of_all: bool | None = None) -> JobPage:
        """Jobs that are runs, of all the types that the upstream knows, or ``of_all`` there are. Where it has not shown
        yet which it knows, it is only asked for all of them where that is wanted: once, that may be refused."""
        body = {"configId": connection_id, "pagination": {"pageSize": limit, "rowOffset": offset}}
        wants_all = self._knows_all_types if of_all is None else of_all
        if not wants_all or self._knows_all_types is False:
            return await self._jobs(body, of_all=False)
        try:
            return await self._jobs(body, of_all=True)
        except Rejected:
            page = await self._jobs(body, of_all=False)
            self._knows_all_types = False  # it was them that it refused
            return page

    async def _jobs(self, body: dict[str, Any], *, of_all: bool) -> JobPage:
        asked = {"configTypes": ALL_RUN_TYPES if of_all else RUN_TYPES, **body}
        reply = decode.whole(await self.transport.send(JOBS.of(json=asked)), wire.JobList)
        return JobPage(decode.rows(reply.jobs, wire.JobWithAttempts), reply.total_job_count, of_all)

    async def get_document(self, connection_id: str) -> bytes:
        """The full record as it was sent. It holds credentials."""
        return await self.transport.send(GET.of(json={"connectionId": connection_id}))

    async def get_source(self, id: str) -> wire.Source:
        return decode.whole(await self.transport.send(SOURCE.of(json={"sourceId": id})), wire.Source)

    async def get_destination(self, id: str) -> wire.Destination:
        request = DESTINATION.of(json={"destinationId": id})
        return decode.whole(await self.transport.send(request), wire.Destination)

    async def get_catalog(self, source_id: str) -> wire.DeclaredCatalog | None:
        """What was discovered last of a source; None where nothing was, or the upstream does not keep it."""
        try:
            body = await self.transport.send(CATALOG.of(json={"sourceId": source_id}))
        except (NotFound, Rejected):
            return None
        return decode.whole(body, wire.ActorCatalog).catalog

    async def get_job(self, id: int) -> wire.JobInfo:
        return decode.whole(await self.transport.send(JOB.of(json={"id": id})), wire.JobInfo)

    async def _of_workspace(self, request: Request, workspace_id: str, kind: type[R]) -> R:
        # The later generation pages sources and destinations by 20 too, and the older one ignores or refuses the word.
        body = {"workspaceId": workspace_id} | _with("pageSize", WORKSPACE_PAGE if self._pages else None)
        return decode.whole(await self.transport.send(request.of(json=body)), kind)


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
    except (IndexError, ValueError, KeyError, TypeError, OverflowError):  # the last for a number that no float holds
        return min(TOKEN_LASTS_S, token.expires_in or TOKEN_LASTS_S)
