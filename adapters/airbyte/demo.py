"""A small imitation of Airbyte: sixty connections in two workspaces that sync while you watch, in either generation of
the API, with its paging, its two ways to log in, its stack traces and its HTML for a refused login.
"""

import base64
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal
from uuid import UUID

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.airbyte.demo_catalog import catalog, catalog_diff, operations
from adapters.imitation import Beat, ImitationServer, Rhythm, native_id

CLIENT_ID = "demo-client"
CLIENT_SECRET = "demo-client-secret-3c7a"
TOKEN_LASTS_S = 180  # as long as real ones lasted, whatever they said
PLANTED = "planted-secret-airbyte"
"""Stands wherever the real upstream holds a credential; it must appear in no answer of ours."""

WORKSPACES = {"Data platform": 40, "Réseau de données — Europe": 20}
SOURCES = ("Postgres", "Stripe", "Salesforce", "MySQL", "Google Ads", "S3", "HubSpot", "Shopify", "MongoDb", "Jira")
DESTINATIONS = ("BigQuery", "Snowflake", "Redshift", "Databricks Lakehouse", "ClickHouse")
SUBJECTS = (
    "Orders",
    "Billing",
    "CRM accounts",
    "在庫マスタ",
    "Marketing spend",
    "Support tickets",
    "Inventory",
    "Web-Analytik Köln",
    "Clickstream",
    "مبيعات المتجر",
    "Payroll",
    "Subscriptions",
)
SCHEDULES: tuple[dict[str, Any], ...] = (
    {"scheduleType": "basic", "scheduleData": {"basicSchedule": {"timeUnit": "hours", "units": 24}}},
    {"scheduleType": "cron", "scheduleData": {"cron": {"cronExpression": "0 0 */6 * * ?", "cronTimeZone": "UTC"}}},
    {"scheduleType": "manual"},
    {"scheduleType": "basic", "scheduleData": {"basicSchedule": {"timeUnit": "minutes", "units": 15}}},
    {
        "scheduleType": "cron",
        "scheduleData": {"cron": {"cronExpression": "0 30 2 ? * 2-6", "cronTimeZone": "Europe/Berlin"}},
    },
    {"scheduleType": "basic", "scheduleData": {"basicSchedule": {"timeUnit": "days", "units": 1}}},
    {"scheduleType": "basic", "scheduleData": {"basicSchedule": {"timeUnit": "weeks", "units": 2}}},
    {"scheduleType": "basic", "scheduleData": {"basicSchedule": {"timeUnit": "months", "units": 1}}},
    {},
)
OUTCOMES = ("succeeded", "succeeded", "failed", "succeeded", "cancelled", "succeeded", "incomplete", "succeeded")
STATUSES = {7: "inactive", 23: "inactive", 31: "locked", 41: "inactive", 53: "archived"}
"""By number; all others are active. The last is a word that no version of Airbyte has: words get added."""
SCHEMA_CHANGES = {5: "non_breaking", 12: "breaking", 24: "breaking", 36: "non_breaking"}
BASE = "/api"


class AirbyteImitation(ImitationServer):
    """One Airbyte. ``generation`` is how it lists connections: all at once, or by cursor, 20 unless told.
    ``login`` is what it asks for: HTTP Basic, or a token from application credentials."""

    def __init__(
        self,
        *,
        size: int = 60,
        clock: Callable[[], float] = time.time,
        generation: Literal["dump", "cursor"] = "dump",
        login: Literal["basic", "token"] = "token",
        token_lasts_s: float = TOKEN_LASTS_S,
    ) -> None:
        super().__init__(clock)
        self.size = size
        self.generation = generation
        self.login = login
        self.token_lasts_s = token_lasts_s
        self.deleted: set[str] = set()
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
        """The first forty connections are of the first workspace, in proportion where there are more or fewer."""
        first, second = (workspace_id(name) for name in WORKSPACES)
        return first if number % 60 < WORKSPACES["Data platform"] else second

    def rows(self) -> list[dict[str, Any]]:
        """All connections that lists show, as list items, in the list's order."""
        return [row for row in map(self.row, range(self.size)) if row["connectionId"] not in self.deleted]

    def row(self, number: int) -> dict[str, Any]:
        """One ``WebBackendConnectionListItem``. That after the last is deleted: lists leave it out, get answers it."""
        source, destination = self._end("source", number), self._end("destination", number)
        status = "deprecated" if number == self.size else STATUSES.get(number, "active")
        long = ", every table with its history since the migration of the old warehouse" * (number % 17 == 16)
        row: dict[str, Any] = {
            "connectionId": connection_id(number),
            "name": f"{SUBJECTS[number % len(SUBJECTS)]} {number:02d} → {destination['destinationName']}{long}",
            **SCHEDULES[number % len(SCHEDULES)],
            "status": status,
            "source": _snippet(source),
            "destination": _snippet(destination),
            "isSyncing": False,
            "schemaChange": SCHEMA_CHANGES.get(number, "no_change"),
        }
        return row | self._latest_job(number, active=status == "active")

    def _latest_job(self, number: int, *, active: bool) -> dict[str, Any]:
        if number % 14 == 13:
            return {}  # never synced
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
        kinds = SOURCES if side == "source" else DESTINATIONS
        place = number % 60 % (30 if side == "source" else 10)
        kind = kinds[place % len(kinds)]
        workspace = self.workspace_of(number)
        end = {
            f"{side}Id": str(UUID(native_id(side, workspace, place))),
            "name": f"{kind} {('production', 'EU', 'archive')[place % 3]} {place:02d}",
            f"{side}DefinitionId": definition_id(side, kind),
            f"{side}Name": kind,
            "workspaceId": workspace,
            "connectionConfiguration": {"host": "db.internal.example", "password": PLANTED, "port": 5432},
        }
        return end | ({"icon": _icon(kind)} if self.generation == "cursor" else {})

    def _job_read(self, number: int, beat: Beat) -> dict[str, Any]:
        """A ``JobRead``: pending for a moment, then running, then whatever its outcome is."""
        ended = beat.ended_at is not None
        status = beat.outcome if ended else "pending" if beat.progress < 0.1 else "running"
        started_at = int(beat.started_at)
        return {
            # Beyond 32 bits and beyond what a double holds exactly: ids of real jobs are int64.
            "id": 9_007_199_254_740_992 + number * 10_000_000 + beat.number,
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
            attempt["failureSummary"] = {"failures": [_failure_reason(beat)], "partialSuccess": True}
        return {"job": job, "attempts": [] if job["status"] == "pending" else [attempt]}

    # --- the endpoints ---

    def _list(self, body: dict[str, Any]) -> Response:
        workspace = body.get("workspaceId")
        numbers = {row["connectionId"]: row for row in self.rows()}
        rows = [
            row
            for number in range(self.size)
            if self.workspace_of(number) == workspace
            for row in [numbers.get(connection_id(number))]
            if row is not None
        ]
        for name in ("sourceId", "destinationId"):
            if body.get(name):
                rows = [row for row in rows if row[name.removesuffix("Id")][name] in body[name]]
        if self.generation == "dump":
            return JSONResponse({"connections": rows})
        return self._page(rows, body)

    def _page(self, rows: list[dict[str, Any]], body: dict[str, Any]) -> Response:
        size = body.get("pageSize") or 20
        ids = [row["connectionId"] for row in rows]
        cursor = body.get("cursor")
        if cursor is not None and cursor not in ids:
            return _failure(404, f"Could not find configuration for STANDARD_SYNC: {cursor}.", "ConfigNotFound")
        start = ids.index(cursor) + 1 if cursor is not None else 0
        page = rows[start : start + size]
        return JSONResponse({"connections": page, "page_size": size, "num_connections": len(rows)})

    def _number(self, id: object) -> int | None:
        known = (number for number in range(self.size + 1) if connection_id(number) == id and id not in self.deleted)
        return next(known, None)

    def _get(self, body: dict[str, Any]) -> Response:
        id = body.get("connectionId")
        number = self._number(id)
        if number is None:
            return _failure(404, f"Could not find configuration for STANDARD_SYNC: {id}.", "IdNotFoundKnownException")
        return JSONResponse(self.read(number))

    def _workspaces(self, _: dict[str, Any]) -> Response:
        rows = [{"workspaceId": workspace_id(name), "name": name, "slug": name} for name in WORKSPACES]
        return JSONResponse({"workspaces": rows})

    def _ends(self, side: str, body: dict[str, Any]) -> Response:
        ends = {
            end[f"{side}Id"]: end
            for end in (self._end(side, number) for number in range(self.size))
            if end["workspaceId"] == body.get("workspaceId")
        }
        return JSONResponse({f"{side}s": list(ends.values())})

    def _definitions(self, side: str, kinds: tuple[str, ...]) -> Response:
        rows = [
            {
                f"{side}DefinitionId": definition_id(side, kind),
                "name": kind,
                "dockerRepository": f"airbyte/{side}-{kind.lower()}",
                "dockerImageTag": "2.1.0",
                "documentationUrl": f"https://docs.airbyte.com/integrations/{side}s/{kind.lower().replace(' ', '-')}",
                "icon": _icon(kind),
                "releaseStage": ("generally_available", "beta", "alpha")[number % 3],
            }
            for number, kind in enumerate(kinds)
        ]
        return JSONResponse({f"{side}Definitions": rows})

    def _jobs(self, body: dict[str, Any]) -> Response:
        number = self._number(body.get("configId"))
        if number is None:
            return _failure(404, "Could not find configuration.", "IdNotFoundKnownException")
        total = 0 if number % 14 == 13 else 30 + number
        paging: dict[str, int] = body.get("pagination") or {}
        start = paging.get("rowOffset") or 0
        end = min(total, start + (paging.get("pageSize") or 200))
        active = number not in STATUSES
        beats = [self._beat(number, back, active=active) for back in range(start, end)]
        jobs = [self._job_with_attempts(number, beat) for beat in beats]
        return JSONResponse({"jobs": jobs, "totalJobCount": total})

    def _job(self, body: dict[str, Any]) -> Response:
        for number in range(self.size):
            beat = self._beat(number)
            if self._job_read(number, beat)["id"] == body.get("id"):
                return JSONResponse(self._job_with_attempts(number, beat))
        return _failure(404, "Could not find the job.", "IdNotFoundKnownException")

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


def _failure_reason(beat: Beat) -> dict[str, Any]:
    return {
        "failureOrigin": "source",
        "failureType": "config_error",
        "externalMessage": "The source refused the connection: check its host and port.",
        "internalMessage": f"connect failed for user airbyte with {PLANTED}",
        "stacktrace": "java.net.ConnectException: refused\n\tat java.base/sun.nio.ch.Net.connect(Net.java:579)",
        "retryable": False,
        "timestamp": int((beat.ended_at or beat.started_at) * 1000),
    }


def _snippet(end: dict[str, Any]) -> dict[str, Any]:
    """What a list shows of an endpoint; in the earlier generation without an icon."""
    return {key: value for key, value in end.items() if key not in ("workspaceId", "connectionConfiguration")}


def connection_id(number: int) -> str:
    return str(UUID(native_id("airbyte", number)))


def workspace_id(name: str) -> str:
    return str(UUID(native_id("workspace", name)))


def definition_id(side: str, kind: str) -> str:
    return str(UUID(native_id("definition", side, kind)))


def _icon(kind: str) -> str:
    """An inline SVG, as Airbyte has them: a disc in the connector's own hue."""
    hue = sum(kind.encode()) % 360
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">'
        f'<circle cx="12" cy="12" r="11" fill="hsl({hue} 70% 45%)"/></svg>'
    )


def _jwt(ends_at: float) -> str:
    payload = base64.urlsafe_b64encode(b'{"exp":%d}' % ends_at).rstrip(b"=").decode()
    return f"e30.{payload}.sig"


def _jwt_ends_at(token: str) -> float:
    try:
        payload = token.split(".")[1]
        return float(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))[7:-1])
    except (IndexError, ValueError):
        return 0.0
