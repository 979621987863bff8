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

from adapters.imitation import Cut, ListImitation, Rhythm, Unruliness, cut, iso
from adapters.workiva.demo_answers import invalid, not_found
from adapters.workiva.demo_data import OTHER_WORKSPACE, SUBJECTS, USERS, WORKSPACE, connection_id, ends, name_of
from adapters.workiva.demo_runs import Runs
from adapters.workiva.demo_writes import Writes

CLIENT_ID = "demo-client"
CLIENT_SECRET = "demo-client-secret-8d1f"
TOKEN_LASTS_S = 599  # as observed of the real service
FILTERS = ("sourceType", "sourceId", "destinationType", "destinationId")


class Paging(NamedTuple):
    """Where a page of a list starts, how many rows it may have, and which rows the list is of."""

    offset: int
    limit: int
    filters: Mapping[str, str]


class WorkivaImitation(ListImitation):
    """Wdata and its token service in one server.

    A run that a call begins takes ``run_lasts_s`` by the clock: nothing yet, then the source, then the destination,
    then complete on both sides. ``unwritable`` holds ids of connections whose destination refuses it: their runs end in
    an error, or are called off in a batch that asks for that. See `Writes` for the effects.
    """

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
        self.run_lasts_s = 20.0
        self.unwritable: set[str] = set()
        self.runs = Runs(clock)
        self.tokens: dict[str, float] = {}
        self.app = Starlette(
            routes=[
                Route("/oauth2/token", self._token, methods=["POST"]),
                Route("/api/v1/connections", self._list),
                Route("/api/v1/connections/{id}", self._get),
                *Writes(self).routes(),
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
        return connection_id(number)

    def row(self, number: int) -> dict[str, Any]:
        """One ``ConnectionDto``. A few lack what the specification lets them lack."""
        row: dict[str, Any] = {
            "connectionId": self.id_of(number),
            "name": None if number % 20 == 19 else name_of(number),
            "description": f"Feeds {SUBJECTS[number % len(SUBJECTS)].lower()}." if number % 3 else "",
            "workspaceId": WORKSPACE,
            "sourceWorkspaceId": WORKSPACE,
            "destinationWorkspaceId": OTHER_WORKSPACE if number % 7 == 6 else WORKSPACE,
            **ends(number),
            "created": iso(self._born - 86_400 * (400 - 5 * (number % 70))),
            "createdBy": USERS[number % len(USERS)],
            "metadata": {"incoming": number % 2 == 0, "region": "EMEA"},
        }
        return row | self.runs.last(number)

    def rhythm(self, number: int) -> Rhythm:
        """When a connection runs by itself."""
        return self.runs.rhythm(number)

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
            known, asked = self.column("ends", ends), paging.filters.items()
            rows = [number for number in rows if asked <= known[number].items()]
        page = self.page(rows, paging.offset, paging.limit)
        return _page([self.row(number) for number in page.numbers], page, paging)

    async def _get(self, request: Request) -> Response:
        number = self.number(request.path_params["id"], self.size)
        return not_found() if number is None else JSONResponse({"body": self.row(number), "code": 200})

    async def _queries(self, request: Request) -> Response:
        asked = request.query_params.getlist("ids")
        return _paged(request, [n for n in self._named("query") if not asked or n["id"] in asked])

    async def _tables(self, request: Request) -> Response:
        return _paged(request, self._named("table"))

    def _named(self, kind: str) -> list[dict[str, Any]]:
        """The queries or tables that connections read from."""
        known = self.column("ends", ends)
        read = (known[number] for number in self.ordered("number", iter))
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
        return invalid("cursor or limit cannot be used")
    if ("sourceType" in filters) != ("sourceId" in filters):
        return invalid("sourceType and sourceId go together")
    if ("destinationType" in filters) != ("destinationId" in filters):
        return invalid("destinationType and destinationId go together")
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
