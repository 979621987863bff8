"""A small imitation of Wdata: sixty connections that run while you watch, its lists, its tokens and its errors."""

import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Unpack
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.imitation import Beat, Cut, ListImitation, Rhythm, Unruliness, cut, iso, native_id

CLIENT_ID = "demo-client"
CLIENT_SECRET = "demo-client-secret-8d1f"
TOKEN_LASTS_S = 599  # as observed of the real service
WORKSPACE = "QWNjb3VudB8xMjM0NTY3ODk"
OTHER_WORKSPACE = "QWNjb3VudB85ODc2NTQzMjE"
USERS = ("V0ZVc2VyHzUxMjM0NTY3OA", "V0ZVc2VyHzkwODcyMTU1MQ", "V0ZVc2VyHzcyMDAxMTI4Mw")

SOURCE_TYPES = (
    "wdata_query",
    "wdata_table",
    "wdata_shared_query",
    "spreadsheet",
    "wdata_table_dataset",
    "esg_program",
    "report",
    "unknown_record_type",
)
DESTINATION_TYPES = (
    "spreadsheet_section",
    "document_chart",
    "presentation_chart",
    "presentation_embedded_table",
    "document_embedded_table",
    "spreadsheet",
    "document",
    "presentation",
    "chart_visual",
    "wdata_table",
)
SUBJECTS = (
    "Trial balance",
    "Headcount",
    "Scope 3 emissions",
    "Intercompany eliminations",
    "Tax provision",
    "連結試算表",
    "Segment revenue",
    "Lease liabilities",
    "Kassenflussrechnung",
    "Risk and control matrix",
    "Περιβαλλοντικοί δείκτες",
    "Debt covenants",
)
TARGETS = ("10-Q workbook", "board deck", "annual report", "統合報告書", "management letter")
OUTCOMES = (
    ("complete", "complete"),
    ("complete", "error"),
    ("error", "not_started"),
    ("complete", "cancelled"),
)
FILTERS = ("sourceType", "sourceId", "destinationType", "destinationId")


class Paging(NamedTuple):
    """Where a page of a list starts, how many rows it may have, and which rows the list is of."""

    offset: int
    limit: int
    filters: Mapping[str, str]


class WorkivaImitation(ListImitation):
    """Wdata and its token service in one server."""

    def __init__(
        self,
        *,
        size: int = 60,
        clock: Callable[[], float] = time.time,
        token_lasts_s: float = TOKEN_LASTS_S,
        **unruliness: Unpack[Unruliness],
    ) -> None:
        super().__init__(size, clock, **unruliness)
        self.token_lasts_s = token_lasts_s
        self.tokens: dict[str, float] = {}
        self.app = Starlette(
            routes=[
                Route("/oauth2/token", self._token, methods=["POST"]),
                Route("/api/v1/connections", self._list),
                Route("/api/v1/connections/{id}", self._get),
                Route("/api/v1/connections/{id}/status", self._status),
                Route("/api/v1/query", self._queries),
                Route("/api/v1/table", self._tables),
                Route("/health", self._health),
            ],
            middleware=[Middleware(_Guard, server=self)],
        )
        self._born = clock()

    def settings(self, base_url: str) -> dict[str, Any]:
        auth = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        return {"provider": "workiva", "base_url": base_url, "token_url": base_url, "auth": auth}

    def error_response(self, status: int) -> Response:
        # Wdata's body is a string or an array, and its code a server-defined one.
        body: Any = ["request was refused", "by the imitation"] if status == 400 else "imitated failure"
        return JSONResponse({"body": body, "code": status, "details": [{"code": "X", "message": "imitated"}]}, status)

    def id_of(self, number: int) -> str:
        return native_id("workiva", number)

    def row(self, number: int) -> dict[str, Any]:
        """One ``ConnectionDto``. A few lack what the specification lets them lack."""
        row: dict[str, Any] = {
            "connectionId": self.id_of(number),
            "name": None if number % 20 == 19 else _name(number),
            "description": f"Feeds {SUBJECTS[number % len(SUBJECTS)].lower()}." if number % 3 else "",
            "workspaceId": WORKSPACE,
            "sourceWorkspaceId": WORKSPACE,
            "destinationWorkspaceId": OTHER_WORKSPACE if number % 7 == 6 else WORKSPACE,
            **_ends(number),
            "created": iso(self._born - 86_400 * (400 - 5 * (number % 70))),
            "createdBy": USERS[number % len(USERS)],
            "metadata": {"incoming": number % 2 == 0, "region": "EMEA"},
        }
        return row if number % 10 == 9 else row | self._ran(number)

    def _ran(self, number: int) -> dict[str, Any]:
        beat = self.rhythm(number).beat(self.clock())
        run = self._run(number, beat)
        return {
            "updated": run["updated"],
            "lastRun": run,
            "lastRunBy": run["createdBy"],
            "lastRunDate": run["created"],
            "lastRunJobId": run["jobId"],
            "lastRunSourceParameters": {"period": "2026-Q3", "entity": ["US01", "DE02"]},
            "lastRunDestinationParameters": {"sheetId": "sheet_2c4f", "startCell": "A1"},
        }

    def rhythm(self, number: int) -> Rhythm:
        """Every tenth connection starts a run each minute and a half; the others keep office hours."""
        quick = number % 10 == 1
        period_s = 90.0 if quick else 3600.0 * (1 + number % 12)
        lasts_s = 40.0 if quick else 20.0 + number
        return Rhythm(period_s, lasts_s, 17.0 * number, _outcomes(number))

    def _run(self, number: int, beat: Beat) -> dict[str, Any]:
        source, destination = _sides(beat)
        run = {
            "connectionId": self.id_of(number),
            "jobId": native_id("job", number, beat.number),
            "workspaceId": WORKSPACE,
            "sourceWorkspaceId": WORKSPACE,
            "destinationWorkspaceId": WORKSPACE,
            "sourceStatus": source,
            "destinationStatus": destination,
            "created": iso(beat.started_at),
            "createdBy": USERS[number % len(USERS)],
            "updated": iso(beat.ended_at or self.clock()),
            "sourceParameters": {"period": "2026-Q3"},
            "destinationParameters": {"sheetId": "sheet_2c4f"},
            "sourceMetadata": {},
            "destinationMetadata": {},
        }
        return run | ({"error": "Destination is not writable"} if destination == "error" else {})

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        expected = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        if form != expected:
            return JSONResponse({"error": "invalid_client", "error_description": "unknown client"}, 401)
        token = secrets.token_urlsafe(24)
        self.tokens[token] = self.clock() + self.token_lasts_s
        lasts_s = int(self.token_lasts_s)
        return JSONResponse({"access_token": token, "expires_in": lasts_s, "scope": "data:r", "token_type": "bearer"})

    async def _list(self, request: Request) -> Response:
        paging = _paging(request.query_params)
        if isinstance(paging, Response):
            return paging
        rows = self.ordered("number", iter)
        if paging.filters:
            ends, asked = self.column("ends", _ends), paging.filters.items()
            rows = [number for number in rows if asked <= ends[number].items()]
        page = self.page(rows, paging.offset, paging.limit)
        return _page([self.row(number) for number in page.numbers], page, paging)

    async def _get(self, request: Request) -> Response:
        row = self._find(request)
        return self._not_found() if row is None else JSONResponse({"body": row, "code": 200})

    async def _status(self, request: Request) -> Response:
        row = self._find(request)
        if row is None or "lastRun" not in row:
            return self._not_found()
        return JSONResponse({"body": row["lastRun"], "code": 200})

    def _find(self, request: Request) -> dict[str, Any] | None:
        number = self.number(request.path_params["id"], self.size)
        return None if number is None else self.row(number)

    def _not_found(self) -> Response:
        detail = {"code": "NOT_FOUND", "message": "connection does not exist", "target": "connectionId"}
        return JSONResponse({"body": "Connection was not found", "code": 404, "details": [detail]}, 404)

    async def _queries(self, request: Request) -> Response:
        asked = request.query_params.getlist("ids")
        return _paged(request, [n for n in self._named("query") if not asked or n["id"] in asked])

    async def _tables(self, request: Request) -> Response:
        return _paged(request, self._named("table"))

    def _named(self, kind: str) -> list[dict[str, Any]]:
        """The queries or tables that connections read from."""
        ends = self.column("ends", _ends)
        read = (ends[number] for number in self.ordered("number", iter))
        types = {end["sourceId"]: end["sourceType"] for end in read if kind in end["sourceType"]}
        return [{"id": id, "name": f"{type} {id[:4]}", "isShared": False} for id, type in types.items()]

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"body": {"status": "up"}, "code": 200})


class _Guard:
    """Refuses calls without a token that is still good, as the real service does."""

    def __init__(self, app: ASGIApp, server: WorkivaImitation) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ("/oauth2/token", "/health"):
            await self._app(scope, receive, send)
            return
        token = Request(scope).headers.get("authorization", "").removeprefix("Bearer ")
        good = self._server.tokens.get(token, 0) > self._server.clock()
        refused = JSONResponse({"body": "Unauthorized", "code": 401}, 401)
        await (self._app if good else refused)(scope, receive, send)


def _paged(request: Request, rows: list[dict[str, Any]]) -> Response:
    """A page of a list that is short enough to be made whole."""
    paging = _paging(request.query_params)
    if isinstance(paging, Response):
        return paging
    page = cut(range(len(rows)), paging.offset, paging.limit)
    return _page([rows[place] for place in page.numbers], page, paging)


def _page(rows: list[dict[str, Any]], page: Cut, paging: Paging) -> Response:
    body: dict[str, Any] = {"body": rows, "code": 200}
    if page.next is not None:
        body["cursor"] = _cursor(paging._replace(offset=page.next))
    return JSONResponse(body)


def _paging(query: QueryParams) -> Paging | Response:
    """``limit``, ``offset`` and the filters, or a cursor in their place, which holds them all; or a refusal."""
    filters: dict[str, str] | None = {name: query[name] for name in FILTERS if name in query}
    where = [query.get("offset", "0"), query.get("limit", "1000")]
    if "cursor" in query:
        where = query["cursor"].split(".")
        filters = _unpacked(where.pop()) if len(where) == 3 else {}
    if (
        filters is None
        or len(where) != 2
        or not all(part.isdecimal() for part in where)
        or not 1 <= int(where[1]) <= 1000
    ):
        return _refused("cursor or limit cannot be used")
    if ("sourceType" in filters) != ("sourceId" in filters):
        return _refused("sourceType and sourceId go together")
    if ("destinationType" in filters) != ("destinationId" in filters):
        return _refused("destinationType and destinationId go together")
    return Paging(int(where[0]), int(where[1]), filters)


def _cursor(paging: Paging) -> str:
    """The filters go with it: a cursor comes back alone."""
    packed = urlsafe_b64encode(urlencode(paging.filters).encode()).decode()
    return f"{paging.offset}.{paging.limit}" + (f".{packed}" if packed else "")


def _unpacked(packed: str) -> dict[str, str] | None:
    """The filters in a cursor; None where it is none of ours."""
    try:
        return dict(parse_qsl(urlsafe_b64decode(packed).decode(), keep_blank_values=True))
    except ValueError:
        return None


def _refused(reason: str) -> Response:
    return JSONResponse({"body": [reason], "code": 400}, 400)


def _ends(number: int) -> dict[str, str]:
    """What a connection reads from and writes to."""
    source_type = SOURCE_TYPES[number % len(SOURCE_TYPES)]
    return {
        "sourceType": source_type,
        "sourceId": native_id("source", source_type, number % 24),
        "destinationType": DESTINATION_TYPES[number % len(DESTINATION_TYPES)],
        "destinationId": native_id("destination", number) + "_sheet",
    }


def _name(number: int) -> str:
    subject, target = SUBJECTS[number % len(SUBJECTS)], TARGETS[number % len(TARGETS)]
    entity = f"entity {number:02d}"
    long = ", with prior-period comparatives and every adjustment that was posted after close" * (number % 13 == 12)
    return f"{subject} → {target} ({entity}){long}"


def _outcomes(number: int) -> tuple[str, ...]:
    """Mostly good, some always failing, some that cancel: indexes into OUTCOMES."""
    kinds = ("0", "0", "0", "1", "0", "2", "0", "3")
    return (kinds[number % len(kinds)], "0", "0") if number % 10 == 1 else (kinds[number % len(kinds)],)


def _sides(beat: Beat) -> tuple[str, str]:
    """The statuses of source and destination: nothing yet, then the source, then the destination."""
    if beat.ended_at is not None:
        return OUTCOMES[int(beat.outcome)]
    if beat.progress < 0.2:
        return "not_started", "not_started"
    return ("running", "not_started") if beat.progress < 0.6 else ("complete", "running")
