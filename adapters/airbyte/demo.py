"""A small imitation of Airbyte: sixty connections in two workspaces that sync while you watch, in either generation of
the API, with its paging, its two ways to log in, its stack traces and its HTML for a refused login.
"""

import base64
import itertools
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, Literal, Unpack

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.airbyte.demo_answers import Handler, failure, not_found, post, unreadable
from adapters.airbyte.demo_data import (
    DESTINATIONS,
    PLACES,
    PLANTED,
    SOURCES,
    WORKSPACES,
    connection_id,
    definition_id,
    end_id,
    end_name,
    icon,
    kind_of,
    workspace_id,
)
from adapters.airbyte.demo_jobs import EARLIER_TYPES, TYPES
from adapters.airbyte.demo_rows import AirbyteRows
from adapters.airbyte.demo_tasks import Tasks
from adapters.airbyte.demo_writes import Writes
from adapters.imitation import Collation, Unruliness, collated

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "PLANTED", "WORKSPACES", "AirbyteImitation", "connection_id", "workspace_id"]

CLIENT_ID = "demo-client"
CLIENT_SECRET = "demo-client-secret-3c7a"
TOKEN_LASTS_S = 180  # as long as real ones lasted, whatever they said
BASE = "/api"
SORT_KEYS = (
    None,
    *(f"{name}Name_{order}" for name in ("connection", "source", "destination") for order in ("asc", "desc")),
    "lastSync_asc",
    "lastSync_desc",
)
STATES = ("active", "inactive")


class AirbyteImitation(AirbyteRows):
    """One Airbyte. ``generation`` is how it lists connections: all at once, or by cursor, 20 unless told.
    ``login`` is what it asks for: HTTP Basic, or a token from application credentials. ``workspaces`` says how many
    of each so many connections are of which, and ``collation`` how the later generation sorts by name.

    All at once there are no pages: of what makes lists unruly, that generation knows only ``doubles``. By cursor,
    ``page_size`` says what was asked for whatever the ``page_cap``, and ``num_connections`` counts each row once.

    It keeps what is written to it: see `AirbyteRows`, and `Writes` and `Tasks` for the effects. Deleted connections
    are answered by their id, as deprecated.
    """

    def __init__(
        self,
        *,
        size: int = 60,
        clock: Callable[[], float] = time.time,
        generation: Literal["dump", "cursor"] = "dump",
        login: Literal["basic", "token"] = "token",
        token_lasts_s: float = TOKEN_LASTS_S,
        workspaces: Mapping[str, int] = WORKSPACES,
        collation: Collation = "folded",
        **unruliness: Unpack[Unruliness],
    ) -> None:
        super().__init__(size, clock, generation, workspaces, **unruliness)
        self.collation: Collation = collation
        self.login = login
        self.token_lasts_s = token_lasts_s
        self.app = Starlette(routes=self._routes(), middleware=[Middleware(_Guard, server=self)])

    def _routes(self) -> list[Route]:
        handlers: Mapping[str, Handler] = {
            "/v1/web_backend/connections/list": self._list,
            "/v1/web_backend/connections/get": self._get,
            "/v1/workspaces/list": self._workspaces,
            "/v1/workspaces/get_by_connection_id": self._workspace,
            "/v1/sources/list": lambda body: self._ends("source", body),
            "/v1/destinations/list": lambda body: self._ends("destination", body),
            "/v1/source_definitions/list_for_workspace": lambda _: self._definitions("source", SOURCES),
            "/v1/destination_definitions/list_for_workspace": lambda _: self._definitions("destination", DESTINATIONS),
            "/v1/jobs/list": self._jobs,
            "/v1/jobs/get": self._job,
            "/v1/applications/token": self._token,
            **Tasks(self).handlers(),
            **Writes(self).handlers(),
        }
        routes = [Route(BASE + path, post(handler), methods=["POST"]) for path, handler in handlers.items()]
        return [*routes, Route(BASE + "/v1/health", _health, methods=["GET"])]

    def settings(self, base_url: str) -> dict[str, Any]:
        auth = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        if self.login == "basic":
            auth = {"username": "airbyte", "password": "password"}
        return {"provider": "airbyte", "base_url": base_url + BASE, "auth": auth}

    def error_response(self, status: int) -> Response:
        if status == 401:
            return HTMLResponse("<html><body>401 Authorization Required</body></html>", 401)
        return failure(status, f"Could not do it with the password {PLANTED}.", "KnownException")

    # --- the endpoints ---

    def _list(self, body: dict[str, Any]) -> Response:
        workspace = body.get("workspaceId")
        if self.generation == "dump":
            rows = self._filtered(self._listed(workspace), body)
            return JSONResponse({"connections": [self.row(number) for number in self.sent(rows)]})
        key, states = body.get("sortKey"), _filters(body).get("states") or STATES
        if key not in SORT_KEYS or not set(STATES).issuperset(states):
            return failure(400, "sortKey and states take other words", "KnownException")
        sort, _, order = (key or "_asc").rpartition("_")
        rows = self._filtered(self._listed(workspace, sort), body)
        return self._page(rows if order == "asc" else rows[::-1], body)

    def _listed(self, workspace: object, sort: str = "") -> list[int]:
        """The connections of a workspace, ascending."""
        if sort == "lastSync":
            ids = self.column("id", self.id_of)
            return sorted(self._listed(workspace), key=lambda number: (self._synced_at(number), ids[number]))
        return self.ordered((workspace, sort), lambda numbers: self._sorted(numbers, workspace, sort))

    def _sorted(self, numbers: Iterable[int], workspace: object, sort: str) -> list[int]:
        """Those of a workspace by one of their names and then by id, or else by number."""
        workspaces = self.column("workspace", self.workspace_of)
        rows = [number for number in numbers if workspaces[number] == workspace]
        if not sort:
            return rows
        side, ids = sort.removesuffix("Name"), self.column("id", self.id_of)

        def key(number: int) -> tuple[tuple[str, ...], str]:
            name = self.name(number) if side == "connection" else end_name(side, self.place(side, number))
            return collated(name, self.collation), ids[number]

        return sorted(rows, key=key)

    def _synced_at(self, number: int) -> int:
        """When the last sync was created; one that never was is the oldest."""
        sync = self.jobs.latest_sync(number)
        return -1 if sync is None else int(sync.beat.started_at)

    def _filtered(self, rows: list[int], body: dict[str, Any]) -> list[int]:
        """Those with the ends and in the states that the body asks for; nothing asked for is no filter."""
        sources, destinations = (self._places(side, body) for side in ("source", "destination"))
        if sources is not None:
            rows = [number for number in rows if self.place("source", number) in sources]
        if destinations is not None:
            rows = [number for number in rows if self.place("destination", number) in destinations]
        if self.generation == "cursor" and (states := _filters(body).get("states")):
            rows = [number for number in rows if self.status(number) in states]
        return rows

    def _places(self, side: str, body: dict[str, Any]) -> Container[int] | None:
        """The places of the sources or destinations that the body asks for; None for all."""
        ids = body.get(f"{side}Id")
        definitions = _filters(body).get(f"{side}DefinitionIds") if self.generation == "cursor" else None
        if not ids and not definitions:
            return None
        workspace = body.get("workspaceId")
        return {
            place
            for place in range(PLACES[side])
            if (not ids or end_id(side, workspace, place) in ids)
            and (not definitions or definition_id(side, kind_of(side, place)) in definitions)
        }

    def _page(self, rows: Sequence[int], body: dict[str, Any]) -> Response:
        size, cursor, start = body.get("pageSize") or 20, body.get("cursor"), 0
        if cursor is not None:
            number = self.number(cursor, self.size)
            if number not in rows:
                return failure(404, f"Could not find configuration for STANDARD_SYNC: {cursor}.", "ConfigNotFound")
            start = len(self.sent(rows[: rows.index(number) + 1]))
        page = [self.row(number) for number in self.page(rows, start, size).numbers]
        return JSONResponse({"connections": page, "page_size": size, "num_connections": len(rows)})

    def _get(self, body: dict[str, Any]) -> Response:
        return JSONResponse(self.read(self.known(body.get("connectionId"))))

    def _workspaces(self, _: dict[str, Any]) -> Response:
        rows = [{"workspaceId": workspace_id(name), "name": name, "slug": name} for name in self.workspaces]
        return JSONResponse({"workspaces": rows})

    def _workspace(self, body: dict[str, Any]) -> Response:
        id = self.workspace_of(self.known(body.get("connectionId")))
        names = {workspace_id(name): name for name in self.workspaces}
        return JSONResponse({"workspaceId": id, "name": names[id], "slug": names[id]})

    def _ends(self, side: str, body: dict[str, Any]) -> Response:
        ends = [self.end_of(side, number) for number in self.firsts(side).values()]
        return JSONResponse({f"{side}s": [end for end in ends if end["workspaceId"] == body.get("workspaceId")]})

    def _definitions(self, side: str, kinds: tuple[str, ...]) -> Response:
        rows = [
            {
                f"{side}DefinitionId": definition_id(side, kind),
                "name": kind,
                "dockerRepository": f"airbyte/{side}-{kind.lower()}",
                "dockerImageTag": "2.1.0",
                "documentationUrl": f"https://docs.airbyte.com/integrations/{side}s/{kind.lower().replace(' ', '-')}",
                "icon": icon(kind),
                "releaseStage": ("generally_available", "beta", "alpha")[number % 3],
            }
            for number, kind in enumerate(kinds)
        ]
        return JSONResponse({f"{side}Definitions": rows})

    def _jobs(self, body: dict[str, Any]) -> Response:
        """A ``JobReadList``, the newest first, of the types that the body asks for, or of all."""
        known = TYPES if self.generation == "cursor" else EARLIER_TYPES
        number, types = self.known(body.get("configId")), body.get("configTypes") or known
        if not set(types).issubset(known):
            raise unreadable("Cannot construct instance of `JobConfigType`.")
        paging: dict[str, int] = body.get("pagination") or {}
        start = paging.get("rowOffset") or 0
        page = itertools.islice(self.jobs.of(number, types), start, start + (paging.get("pageSize") or 200))
        jobs = [job.with_attempts(self.clock()) for job in page]
        return JSONResponse({"jobs": jobs, "totalJobCount": self.jobs.total(number, types)})

    def _job(self, body: dict[str, Any]) -> Response:
        id = body.get("id")
        job = self.jobs.find(id, self.size) if isinstance(id, int) else None
        if job is None:
            raise not_found("JOB", id)
        return JSONResponse(job.info(self.clock()))

    def _token(self, body: dict[str, Any]) -> Response:
        if (body.get("client_id"), body.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return failure(401, "Unknown application", "UnauthorizedException")
        return JSONResponse({"access_token": _jwt(self.clock() + self.token_lasts_s)})

    def admits(self, authorization: str) -> bool:
        """Whether a call with this header is let in."""
        if self.login == "basic":
            return authorization == "Basic " + base64.b64encode(b"airbyte:password").decode()
        return _jwt_ends_at(authorization.removeprefix("Bearer ")) > self.clock()


class _Guard:
    """Refuses calls that are not logged in; the proxy in front of the older generation does so with an HTML page."""

    def __init__(self, app: ASGIApp, server: AirbyteImitation) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        free = scope["type"] != "http" or scope["path"].endswith(("/applications/token", "/health"))
        if free or self._server.admits(Request(scope).headers.get("authorization", "")):
            await self._app(scope, receive, send)
        else:
            await self._server.error_response(401)(scope, receive, send)


async def _health(_: Request) -> Response:
    return JSONResponse({"available": True})


def _filters(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return body.get("filters") or {}


def _jwt(ends_at: float) -> str:
    payload = base64.urlsafe_b64encode(b'{"exp":%d}' % ends_at).rstrip(b"=").decode()
    return f"e30.{payload}.sig"


def _jwt_ends_at(token: str) -> float:
    try:
        payload = token.split(".")[1]
        return float(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))[7:-1])
    except (IndexError, ValueError):
        return 0.0
