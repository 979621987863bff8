"""A small imitation of Airbyte: sixty connections in two workspaces that sync while you watch, in either generation of
the API, with its paging, its two ways to log in, its stack traces and its HTML for a refused login.
"""

import base64
import itertools
import time
from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, Literal, Unpack
from uuid import UUID

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.airbyte.demo_catalog import catalog, catalog_diff, operations
from adapters.airbyte.demo_data import (
    DESTINATIONS,
    OUTCOMES,
    PLACES,
    PLANTED,
    SCHEDULES,
    SCHEMA_CHANGES,
    SOURCES,
    WORKSPACES,
    connection_id,
    definition_id,
    end_id,
    end_name,
    failure_reason,
    icon,
    kind_of,
    name_of,
    never_synced,
    place_of,
    snippet,
    status_of,
    workspace_id,
)
from adapters.imitation import Beat, Collation, ListImitation, Rhythm, Unruliness, collated, native_id

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
_FIRST_JOB = 9_007_199_254_740_992
_JOBS = 10_000_000
"""How far the first job ids of two connections are apart."""


class AirbyteImitation(ListImitation):
    """One Airbyte. ``generation`` is how it lists connections: all at once, or by cursor, 20 unless told.
    ``login`` is what it asks for: HTTP Basic, or a token from application credentials. ``workspaces`` says how many
    of each so many connections are of which, and ``collation`` how the later generation sorts by name.

    All at once there are no pages: of what makes lists unruly, that generation knows only ``doubles``. By cursor,
    ``page_size`` says what was asked for whatever the ``page_cap``, and ``num_connections`` counts each row once.
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
        super().__init__(size, clock, **unruliness)
        self.workspaces = workspaces
        self._workspace_ids = [workspace_id(name) for name in workspaces]
        self._share_ends = list(itertools.accumulate(workspaces.values()))
        self.collation: Collation = collation
        self.generation = generation
        self.login = login
        self.token_lasts_s = token_lasts_s
        self.app = Starlette(routes=self._routes(), middleware=[Middleware(_Guard, server=self)])

    def _routes(self) -> list[Route]:
        handlers: Mapping[str, Callable[[dict[str, Any]], Response]] = {
            "/v1/web_backend/connections/list": self._list,
            "/v1/web_backend/connections/get": self._get,
            "/v1/workspaces/list": self._workspaces,
            "/v1/sources/list": lambda body: self._ends("source", body),
            "/v1/destinations/list": lambda body: self._ends("destination", body),
            "/v1/source_definitions/list_for_workspace": lambda _: self._definitions("source", SOURCES),
            "/v1/destination_definitions/list_for_workspace": lambda _: self._definitions("destination", DESTINATIONS),
            "/v1/jobs/list": self._jobs,
            "/v1/jobs/get": self._job,
            "/v1/applications/token": self._token,
        }
        routes = [Route(BASE + path, _post(handler), methods=["POST"]) for path, handler in handlers.items()]
        return [*routes, Route(BASE + "/v1/health", _health, methods=["GET"])]

    def settings(self, base_url: str) -> dict[str, Any]:
        auth = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        if self.login == "basic":
            auth = {"username": "airbyte", "password": "password"}
        return {"provider": "airbyte", "base_url": base_url + BASE, "auth": auth}

    def error_response(self, status: int) -> Response:
        if status == 401:
            return HTMLResponse("<html><body>401 Authorization Required</body></html>", 401)
        return _failure(status, f"Could not do it with the password {PLANTED}.", "KnownException")

    # --- the data ---

    def workspace_of(self, number: int) -> str:
        """The id of a connection's workspace: as many of each sum of the shares as a workspace's share says."""
        return self._workspace_ids[bisect_right(self._share_ends, number % self._share_ends[-1])]

    def id_of(self, number: int) -> str:
        return connection_id(number)

    def row(self, number: int) -> dict[str, Any]:
        """One ``WebBackendConnectionListItem``. That after the last is deleted: lists leave it out, get answers it."""
        status = "deprecated" if number == self.size else status_of(number)
        row: dict[str, Any] = {
            "connectionId": connection_id(number),
            "name": name_of(number),
            **SCHEDULES[number % len(SCHEDULES)],
            "status": status,
            "source": snippet(self._end("source", number)),
            "destination": snippet(self._end("destination", number)),
            "isSyncing": False,
            "schemaChange": SCHEMA_CHANGES.get(number, "no_change"),
        }
        return row | self._latest_job(number, active=status == "active")

    def _latest_job(self, number: int, *, active: bool) -> dict[str, Any]:
        if never_synced(number):
            return {}
        job = self._job_read(number, self._beat(number, active=active))
        return {
            "isSyncing": job["status"] == "running",
            "latestSyncJobCreatedAt": job["createdAt"],
            "latestSyncJobStatus": job["status"],
        }

    def _beat(self, number: int, back: int = 0, *, active: bool = True) -> Beat:
        """Every sixth connection syncs each two minutes; the others by the hour. Inactive ones stopped a day ago."""
        quick = number % 6 == 1
        rhythm = Rhythm(
            period_s=120.0 if quick else 3600.0 * (1 + number % 8),
            lasts_s=50.0 if quick else 60.0 + 5 * number,
            phase_s=11.0 * number,
            outcomes=OUTCOMES if quick else (OUTCOMES[number % len(OUTCOMES)],),
        )
        return rhythm.beat(self.clock() - (0 if active else 86_400), back)

    def read(self, number: int) -> dict[str, Any]:
        """One ``WebBackendConnectionRead``, with the shape of a newer version in the later generation."""
        row = self.row(number)
        later = self.generation == "cursor"
        region = {"dataplaneGroupId": str(UUID(native_id("dataplane")))} if later else {"geography": "eu"}
        created = {"createdAt": int(self.clock()) - 86_400 * (30 + number)} if later else {}
        basic = row.get("scheduleData", {}).get("basicSchedule")
        operation_list = operations(number, self.workspace_of(number), PLANTED)
        return row | {
            "namespaceDefinition": ("source", "destination", "customformat")[number % 3],
            "namespaceFormat": "raw_${SOURCE_NAMESPACE}" if number % 3 == 2 else "",
            "prefix": "" if number % 2 else f"{SOURCES[number % len(SOURCES)].lower().replace(' ', '_')}_",
            "sourceId": row["source"]["sourceId"],
            "destinationId": row["destination"]["destinationId"],
            "source": self._end("source", number),
            "destination": self._end("destination", number),
            "syncCatalog": catalog(number),
            "schedule": basic,
            "operationIds": [operation["operationId"] for operation in operation_list],
            "operations": operation_list,
            "resourceRequirements": {"cpu_request": "0.25", "memory_request": "512Mi"} if number % 4 == 0 else {},
            "catalogId": str(UUID(native_id("catalog", number))),
            "catalogDiff": catalog_diff() if row["schemaChange"] != "no_change" else None,
            "notifySchemaChanges": number % 2 == 0,
            "nonBreakingChangesPreference": "propagate_columns" if later else "ignore",
            **region,
            **created,
        }

    def _end(self, side: str, number: int) -> dict[str, Any]:
        """A ``SourceRead`` or ``DestinationRead``, the same for several connections."""
        place, workspace = place_of(side, number), self.workspace_of(number)
        kind = kind_of(side, place)
        end = {
            f"{side}Id": end_id(side, workspace, place),
            "name": end_name(side, place),
            f"{side}DefinitionId": definition_id(side, kind),
            f"{side}Name": kind,
            "workspaceId": workspace,
            "connectionConfiguration": {"host": "db.internal.example", "password": PLANTED, "port": 5432},
        }
        return end | ({"icon": icon(kind)} if self.generation == "cursor" else {})

    def _job_read(self, number: int, beat: Beat) -> dict[str, Any]:
        """A ``JobRead``: pending for a moment, then running, then whatever its outcome is."""
        ended = beat.ended_at is not None
        status = beat.outcome if ended else "pending" if beat.progress < 0.1 else "running"
        started_at = int(beat.started_at)
        return {
            "id": _job_id(number, beat),
            "configType": "sync",
            "configId": connection_id(number),
            "createdAt": started_at,
            "startedAt": started_at,
            "updatedAt": int(beat.ended_at or self.clock()),
            "status": status,
        }

    def _job_with_attempts(self, number: int, beat: Beat) -> dict[str, Any]:
        job = self._job_read(number, beat)
        done = int(beat.progress * (1_000_000 + number * 250_000_000))
        attempt: dict[str, Any] = {
            "id": 0,
            "status": {"pending": "running", "cancelled": "failed"}.get(job["status"], job["status"]),
            "createdAt": job["createdAt"],
            "updatedAt": job["updatedAt"],
            "recordsSynced": done,
            "bytesSynced": done * 212,
        }
        if beat.ended_at is not None:
            attempt["endedAt"] = int(beat.ended_at)
        if job["status"] == "failed":
            attempt["failureSummary"] = {"failures": [failure_reason(beat)], "partialSuccess": True}
        return {"job": job, "attempts": [] if job["status"] == "pending" else [attempt]}

    # --- the endpoints ---

    def _list(self, body: dict[str, Any]) -> Response:
        workspace = body.get("workspaceId")
        if self.generation == "dump":
            rows = self._filtered(self._listed(workspace), body)
            return JSONResponse({"connections": [self.row(number) for number in self.sent(rows)]})
        key, states = body.get("sortKey"), _filters(body).get("states") or STATES
        if key not in SORT_KEYS or not set(STATES).issuperset(states):
            return _failure(400, "sortKey and states take other words", "KnownException")
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
            name = name_of(number) if side == "connection" else end_name(side, place_of(side, number))
            return collated(name, self.collation), ids[number]

        return sorted(rows, key=key)

    def _synced_at(self, number: int) -> int:
        """When the last sync was created; one that never was is the oldest."""
        return -1 if never_synced(number) else int(self._beat(number, active=status_of(number) == "active").started_at)

    def _filtered(self, rows: list[int], body: dict[str, Any]) -> list[int]:
        """Those with the ends and in the states that the body asks for; nothing asked for is no filter."""
        sources, destinations = (self._places(side, body) for side in ("source", "destination"))
        if sources is not None:
            rows = [number for number in rows if place_of("source", number) in sources]
        if destinations is not None:
            rows = [number for number in rows if place_of("destination", number) in destinations]
        if self.generation == "cursor" and (states := _filters(body).get("states")):
            rows = [number for number in rows if status_of(number) in states]
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
                return _failure(404, f"Could not find configuration for STANDARD_SYNC: {cursor}.", "ConfigNotFound")
            start = len(self.sent(rows[: rows.index(number) + 1]))
        page = [self.row(number) for number in self.page(rows, start, size).numbers]
        return JSONResponse({"connections": page, "page_size": size, "num_connections": len(rows)})

    def _get(self, body: dict[str, Any]) -> Response:
        id = body.get("connectionId")
        number = self.number(id, self.size + 1)
        if number is None:
            return _failure(404, f"Could not find configuration for STANDARD_SYNC: {id}.", "IdNotFoundKnownException")
        return JSONResponse(self.read(number))

    def _workspaces(self, _: dict[str, Any]) -> Response:
        rows = [{"workspaceId": workspace_id(name), "name": name, "slug": name} for name in self.workspaces]
        return JSONResponse({"workspaces": rows})

    def _ends(self, side: str, body: dict[str, Any]) -> Response:
        workspace, first = body.get("workspaceId"), dict[int, int]()
        for number, of in enumerate(self.column("workspace", self.workspace_of)[: self.size]):
            if of == workspace:
                first.setdefault(place_of(side, number), number)
        return JSONResponse({f"{side}s": [self._end(side, number) for number in first.values()]})

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
        number = self.number(body.get("configId"), self.size + 1)
        if number is None:
            return _failure(404, "Could not find configuration.", "IdNotFoundKnownException")
        total = 0 if never_synced(number) else 30 + number
        paging: dict[str, int] = body.get("pagination") or {}
        start = paging.get("rowOffset") or 0
        end = min(total, start + (paging.get("pageSize") or 200))
        active = status_of(number) == "active"
        beats = [self._beat(number, back, active=active) for back in range(start, end)]
        jobs = [self._job_with_attempts(number, beat) for beat in beats]
        return JSONResponse({"jobs": jobs, "totalJobCount": total})

    def _job(self, body: dict[str, Any]) -> Response:
        id = body.get("id")
        for number in self._owners(id) if isinstance(id, int) else ():
            beat = self._beat(number)
            if _job_id(number, beat) == id:
                return JSONResponse(self._job_with_attempts(number, beat))
        return _failure(404, "Could not find the job.", "IdNotFoundKnownException")

    def _owners(self, job_id: int) -> range:
        """The connections that a job can be of: quick ones have had more runs than there are ids between two."""
        guess = (job_id - _FIRST_JOB) // _JOBS
        return range(max(0, guess - 3), min(self.size, guess + 2))

    def _token(self, body: dict[str, Any]) -> Response:
        if (body.get("client_id"), body.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return _failure(401, "Unknown application", "UnauthorizedException")
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


def _post(handler: Callable[[dict[str, Any]], Response]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        return handler(await request.json() if raw else {})

    return endpoint


async def _health(_: Request) -> Response:
    return JSONResponse({"available": True})


def _failure(status: int, message: str, name: str) -> Response:
    name = f"io.airbyte.commons.server.errors.{name}"
    trace = [f"{name}: {message}", "at io.airbyte.server.apis.ApiHelper.execute(ApiHelper.java:28)"]
    return JSONResponse({"message": message, "exceptionClassName": name, "exceptionStack": trace}, status)


def _filters(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return body.get("filters") or {}


def _job_id(number: int, beat: Beat) -> int:
    """Beyond 32 bits and beyond what a double holds exactly: ids of real jobs are int64."""
    return _FIRST_JOB + number * _JOBS + beat.number


def _jwt(ends_at: float) -> str:
    payload = base64.urlsafe_b64encode(b'{"exp":%d}' % ends_at).rstrip(b"=").decode()
    return f"e30.{payload}.sig"


def _jwt_ends_at(token: str) -> float:
    try:
        payload = token.split(".")[1]
        return float(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))[7:-1])
    except (IndexError, ValueError):
        return 0.0
