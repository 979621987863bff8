"""Toy: pipes between two tanks, a provider in one file, for those who write one of their own."""

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
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
from adapters.imitation import ListImitation
from adapters.model import Connection, ConnectionStatus, Endpoint, ReasonCode, Record, StatusReason
from adapters.port import (
    Capability,
    Completed,
    Fields,
    Filter,
    Found,
    List,
    Narrowing,
    Order,
    Page,
    Planned,
    Provider,
    Reader,
    RunPage,
    Single,
    Work,
    Workshop,
)
from adapters.transport import Request, Transport
from adapters.writing import ReadsOnly

TOKEN = "toy-token"
PAGE_LIMIT = 100
LIST = Request("list_pipes", "GET", "/pipes")
GET = Request("get_pipe", "GET", "/pipes/{id}")


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


class ToyAdapter(ReadsOnly):
    """One Toy: a list by offset, whose rows are whole."""

    def __init__(self, workshop: Workshop, settings: Settings) -> None:
        if settings.auth is None or settings.auth.token is None:
            raise ConfigurationError("toy takes auth by token")
        self._instance = workshop.instance
        self._transport = workshop.transport(settings, settings.base_url, authorizer=bearer(settings.auth.token))

    @property
    def transport(self) -> Transport:
        return self._transport

    async def parts(self) -> Sequence[str]:
        return ("",)

    def narrow(self, where: Filter) -> Narrowing:
        """Toy filters nothing itself."""
        return Narrowing()

    def sorts(self, order: Order) -> bool:
        return False

    async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
        start = walk.token(after)
        query = [("offset", str(start.position)), ("limit", str(PAGE_LIMIT))]
        body = await self._transport.send(LIST.of(query=query))
        # Rows that are as they were in the last page are the connections that they were there.
        before = walk.Before(last, self._unified)
        page = before.renewed(body, Pipe)
        if page is not None:
            return page
        rows = walk.unified(decode.rows(body, Pipe, before.known, body=body), self._unified)
        count = len(rows.places)
        follows = walk.Token(start.position + count) if count >= PAGE_LIMIT else None
        return walk.page(rows, start, follows=follows, sent=walk.Sent.of(body))

    def ahead(self, token: str, pages: int) -> str | None:
        return None  # read one page after the other: there are never many

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        """The list holds all that there is, so nothing is looked up that could become old."""
        return Completed(tuple(connections), good_until=math.inf)

    def adds(self, fields: Fields) -> bool:
        return False

    def holds(self, fields: Fields) -> bool:
        return True

    def single(self, id: str, fields: Fields) -> Single | None:
        return None

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        return Found(await walk.find(list(wanted), parts=("",), read=read or self.read, get=self._get))

    async def runs(self, connection: Connection, *, after: str | None, limit: int) -> RunPage:
        raise Unsupported("pipes do not run, they flow", instance=self._instance, provider="toy", operation="runs")

    def plan(self, work: Work) -> Sequence[Planned]:
        one = [Planned(GET)] if len(work.wanted) == 1 else []
        many = work.lists is not None or len(work.wanted) > 1
        return [*one, Planned(LIST, 1, "more for more than a hundred pipes")] if many else one

    async def _get(self, id: str) -> Connection:
        return self._unified(decode.whole(await self._transport.send(GET.of(ids={"id": id})), Pipe))

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


class ToyImitation(ListImitation):
    """Pipes over HTTP."""

    def __init__(self, *, size: int = 12, clock: Callable[[], float] = time.time, **unruliness: Any) -> None:
        super().__init__(size, clock, **unruliness)
        self.app = Starlette(routes=[Route("/pipes", self._list), Route("/pipes/{id}", self._get)])

    def settings(self, base_url: str) -> dict[str, Any]:
        return {"provider": "toy", "base_url": base_url, "auth": {"token": TOKEN}}

    def id_of(self, number: int) -> str:
        return f"pipe-{number}"

    def row(self, number: int) -> dict[str, Any]:
        return {
            "id": self.id_of(number),
            "name": f"Pipe {number}",
            "state": ("open", "shut", "dripping")[number % 3],
            "diameter": 10 * number,
            "source": f"tank-{number % 4}",
        }

    async def _list(self, request: HttpRequest) -> Response:
        if not _is_let_in(request):
            return self.error_response(401)
        start, limit = int(request.query_params["offset"]), int(request.query_params["limit"])
        page = self.page(self.ordered("number", iter), start, limit)
        return JSONResponse([self.row(number) for number in page.numbers])

    async def _get(self, request: HttpRequest) -> Response:
        if not _is_let_in(request):
            return self.error_response(401)
        number = self.number(request.path_params["id"], self.size)
        return self.error_response(404) if number is None else JSONResponse(self.row(number))


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
