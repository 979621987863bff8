"""Toy: pipes between two tanks, a provider in one file, for those who write one of their own."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters import decode, ids, transport, walk
from adapters.auth import bearer
from adapters.errors import ConfigurationError, Unsupported
from adapters.imitation import ImitationServer
from adapters.model import Connection, ConnectionStatus, Endpoint, ReasonCode, Record, StatusReason
from adapters.port import Capability, Completed, Fields, Found, Page, Provider, RunPage, Workshop
from adapters.transport import Request, Transport

TOKEN = "toy-token"


class Settings(transport.Settings, frozen=True, kw_only=True, tag="toy"):
    """An instance of Toy."""

    base_url: Annotated[str, Meta(description="Toy's base URL.")]


class ToyConnection(Record, frozen=True, kw_only=True):
    """What only Toy knows of a connection."""

    diameter_mm: Annotated[int | None, Meta(description="Diameter of the pipe in millimetres.")] = None


class Pipe(msgspec.Struct):
    """A pipe as Toy sends it."""

    id: decode.Id
    name: str | None = None
    state: str | None = None
    diameter: int | None = None
    source: str | None = None


class ToyAdapter:
    """One Toy: a list by offset, whose rows are whole."""

    def __init__(self, workshop: Workshop, settings: Settings) -> None:
        if settings.auth is None or settings.auth.token is None:
            raise ConfigurationError("toy takes auth by token")
        self._instance = workshop.instance
        self._transport = workshop.transport(settings, settings.base_url, authorizer=bearer(settings.auth.token))

    @property
    def transport(self) -> Transport:
        return self._transport

    async def page(self, *, after: str | None, limit: int) -> Page:
        return await walk.through(("",), after, limit, self._read)

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        """The list holds all that there is."""
        return Completed(tuple(connections))

    async def get_many(self, wanted: Mapping[str, Fields]) -> Found:
        return Found(await walk.find(list(wanted), parts=("",), limit=100, read=self._read, get=self._get))

    async def runs(self, connection: Connection, *, after: str | None, limit: int) -> RunPage:
        raise Unsupported("pipes do not run, they flow", instance=self._instance, provider="toy", operation="runs")

    async def _read(self, _: str, start: walk.Token, limit: int) -> walk.Part:
        query = [("offset", str(start.position)), ("limit", str(limit))]
        rows = decode.rows(await self._transport.send(Request("list", "GET", "/pipes", query=query)), Pipe)
        places = [row and self._unified(row) for row in rows.places]
        return walk.page(places, start, more=len(places) >= limit, dropped=rows.dropped)

    async def _get(self, id: str) -> Connection:
        body = await self._transport.send(Request("get", "GET", "/pipes/{id}", ids={"id": id}))
        return self._unified(decode.whole(body, Pipe))

    def _unified(self, pipe: Pipe) -> Connection:
        flows = {"open": ConnectionStatus.HEALTHY, "shut": ConnectionStatus.PAUSED}
        status = flows.get(pipe.state or "", ConnectionStatus.UNKNOWN)
        return Connection(
            id=ids.encode(self._instance, pipe.id),
            instance=self._instance,
            provider="toy",
            native_id=pipe.id,
            name=pipe.name or None,
            status=status,
            status_reason=StatusReason(
                code=ReasonCode.HEALTH_CHECK_PASSED if status is ConnectionStatus.HEALTHY else ReasonCode.DISABLED,
                message="The valve says so.",
                field="state",
                raw_value=pipe.state,
            ),
            source=Endpoint(id=pipe.source, type="tank") if pipe.source else None,
            destination=Endpoint(id="sea", type="sea"),
            details=ToyConnection(diameter_mm=pipe.diameter),
        )


class ToyImitation(ImitationServer):
    """Pipes over HTTP."""

    def __init__(self, *, size: int = 12) -> None:
        super().__init__()
        self.size = size
        self.app = Starlette(routes=[Route("/pipes", self._list), Route("/pipes/{id}", self._get)])

    def settings(self, base_url: str) -> dict[str, Any]:
        return {"provider": "toy", "base_url": base_url, "auth": {"token": TOKEN}}

    def rows(self) -> list[dict[str, Any]]:
        states = ("open", "shut", "dripping")
        return [
            {
                "id": f"pipe-{number}",
                "name": f"Pipe {number}",
                "state": states[number % 3],
                "diameter": 10 * number,
                "source": f"tank-{number % 4}",
            }
            for number in range(self.size)
        ]

    async def _list(self, request: HttpRequest) -> Response:
        if not _is_let_in(request):
            return self.error_response(401)
        start, limit = int(request.query_params["offset"]), int(request.query_params["limit"])
        return JSONResponse(self.rows()[start : start + limit])

    async def _get(self, request: HttpRequest) -> Response:
        if not _is_let_in(request):
            return self.error_response(401)
        row = next((row for row in self.rows() if row["id"] == request.path_params["id"]), None)
        return self.error_response(404) if row is None else JSONResponse(row)


def _is_let_in(request: HttpRequest) -> bool:
    return request.headers.get("authorization") == f"Bearer {TOKEN}"


PROVIDER = Provider(
    key="toy",
    label="Toy",
    description="Pipes between tanks.",
    capabilities=frozenset({Capability.DESTINATION}),
    native_id=re.compile(r"pipe-\d+"),
    settings=Settings,
    details=ToyConnection,
    build=ToyAdapter,
    demo=ToyImitation,
)
