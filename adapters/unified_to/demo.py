"""A small imitation of Unified.to: sixty connections in three environments whose health is checked while you watch."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Unpack

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.imitation import Collation, Unruliness, collated
from adapters.unified_to.demo_answers import error
from adapters.unified_to.demo_data import ENVIRONMENTS, INTEGRATIONS, TOKEN
from adapters.unified_to.demo_rows import UnifiedToRows
from adapters.unified_to.demo_writes import AUTHORIZE_PATH, Writes
from adapters.values import instant

__all__ = ["ENVIRONMENTS", "INTEGRATIONS", "TOKEN", "UnifiedToImitation"]

PAGE_LIMIT = 100
_SORTS = ("name", "updated_at", "created_at")


class UnifiedToImitation(UnifiedToRows):
    """One workspace of Unified.to. ``collation`` is how it sorts by name, which it does not document.

    Its lists know no other end than a page shorter than asked for, so a ``page_cap`` below what is asked for hides the
    rest of the list from whoever takes that for the end.

    It keeps what is written to it: see `Writes`, for the effects too.
    """

    def __init__(
        self,
        *,
        size: int = 60,
        clock: Callable[[], float] = time.time,
        collation: Collation = "folded",
        **unruliness: Unpack[Unruliness],
    ) -> None:
        super().__init__(size, clock, **unruliness)
        self.collation: Collation = collation
        self.app = Starlette(
            routes=[
                Route("/unified/connection", self._list),
                Route("/unified/connection/{id}", self._get),
                Route("/unified/integration", self._integrations),
                *Writes(self).routes(),
            ],
            middleware=[Middleware(_Guard)],
        )

    def settings(self, base_url: str) -> dict[str, Any]:
        environments = list(dict.fromkeys(ENVIRONMENTS))
        return {
            "provider": "unified_to",
            "base_url": base_url,
            "auth": {"token": TOKEN},
            "environments": environments,
        }

    def error_response(self, status: int) -> Response:
        return error(status, "imitated failure")

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        if query.get("sort", "name") not in _SORTS or query.get("order", "desc") not in ("asc", "desc"):
            return error(400, "sort and order take other words")
        if "updated_gte" in query and instant(query["updated_gte"]) is None:
            return error(400, "updated_gte must be a date-time")
        window = _window(query)
        if isinstance(window, Response):
            return window
        page = self.page(self._asked_for(query), *window)
        return JSONResponse([self.row(number) for number in page.numbers])

    def _asked_for(self, query: QueryParams) -> list[int]:
        """The rows that the query asks for, in its order."""
        sort, since = query.get("sort", "updated_at"), instant(query.get("updated_gte"))
        rows = self._chosen(query, "created_at" if sort == "updated_at" else sort)
        if sort == "updated_at" or since is not None:
            now = self.clock()
            updated = {number: self.updated_at(number, now) for number in rows}
            if since is not None:
                rows = [number for number in rows if (at := instant(updated[number])) and at >= since]
            if sort == "updated_at":
                ids = self.column("id", self.id_of)
                rows = sorted(rows, key=lambda number: (updated[number], ids[number]))
        return rows if query.get("order") == "asc" else rows[::-1]

    def _chosen(self, query: QueryParams, sort: str) -> list[int]:
        """The rows that the query asks for as far as no clock is needed for that, ascending."""
        env, wanted = query.get("env", "Production"), set(query.getlist("categories"))
        rows = self.ordered((env, sort), lambda numbers: self._sorted(numbers, env, sort))
        if wanted:
            kinds = {kind for kind, of in enumerate(INTEGRATIONS) if wanted.issubset(of[2].split())}
            rows = [number for number in rows if self._has(number, wanted, kinds)]
        if "external_xref" in query:
            refs = self.column("external_xref", self.reference)
            rows = [number for number in rows if refs[number] == query["external_xref"]]
        return rows

    def _has(self, number: int, wanted: set[str], kinds: set[int]) -> bool:
        """Whether a row has the wanted categories: looked up by its kind of integration where nobody wrote them."""
        if number in self.written:
            return wanted.issubset(self.categories(number))
        return number % len(INTEGRATIONS) in kinds

    def _sorted(self, numbers: Iterable[int], env: str, sort: str) -> list[int]:
        """Those of an environment by name or created_at, then by id."""
        ids = self.column("id", self.id_of)
        names = {name: collated(name, self.collation) for name in {name or type for type, name, _, _ in INTEGRATIONS}}
        rows = (number for number in numbers if self.environment(number) == env)

        def key(number: int) -> tuple[object, str]:
            first = names[self.name(number)] if sort == "name" else self.created_at(number)
            return first, ids[number]

        return sorted(rows, key=key)

    async def _get(self, request: Request) -> Response:
        number = self.number(request.path_params["id"], self.size)
        return error(404, "Connection not found") if number is None else JSONResponse(self.row(number))

    async def _integrations(self, request: Request) -> Response:
        wanted = set(request.query_params.getlist("categories"))
        rows = [_integration(*of) for of in INTEGRATIONS if of[1] and wanted.issubset(of[2].split())]
        window = _window(request.query_params)
        return window if isinstance(window, Response) else JSONResponse(rows[window[0] :][: window[1]])


class _Guard:
    """Refuses calls without the workspace's token: a missing and a wrong one are answered alike."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        free = scope["type"] != "http" or scope["path"].startswith(AUTHORIZE_PATH)
        good = free or Request(scope).headers.get("authorization") == f"Bearer {TOKEN}"
        await (self._app if good else error(401, "Missing authentication"))(scope, receive, send)


def _window(query: QueryParams) -> tuple[int, int] | Response:
    """Offset and limit, or the refusal of what they cannot be."""
    try:
        limit, offset = int(query.get("limit", PAGE_LIMIT)), int(query.get("offset", 0))
    except ValueError:
        return error(400, "limit and offset must be numbers")
    if not 1 <= limit <= PAGE_LIMIT or offset < 0:
        return error(400, f"limit must be between 1 and {PAGE_LIMIT}, offset not negative")
    return offset, limit


def _integration(type: str, name: str, categories: str, _: str) -> dict[str, Any]:
    logo = None if type == "clearbit" else f"https://logos.example.com/{type}.svg"
    return {"type": type, "name": name, "categories": categories.split(), "logo_url": logo, "is_active": True}
