"""The floor: the same calls over httpx, bodies decoded by msgspec into what is selected and encoded again, and nothing
between.

``python -m benchmarks.floor PORT INSTANCES``, as `benchmarks.plain`. A request has either ``ids``, of instances
and native ids, or ``of``: the provider of a list, or null for the lists of all.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.imitation import listener
from benchmarks.plain import Provider, Upstreams


class Side(msgspec.Struct, rename="camel", gc=False):
    source_id: str | None = None
    source_name: str | None = None


class Run(msgspec.Struct, rename="camel", gc=False):
    source_status: str | None = None
    destination_status: str | None = None
    created: str | None = None
    updated: str | None = None


class Airbyte(msgspec.Struct, rename="camel", gc=False):
    connection_id: str
    name: str | None = None
    status: str | None = None
    is_syncing: bool | None = None
    source: Side | None = None
    latest_sync_job_created_at: float | None = None
    latest_sync_job_status: str | None = None
    schema_change: str | None = None


class Workiva(msgspec.Struct, rename="camel", gc=False):
    connection_id: str
    name: str | None = None
    description: str | None = None
    workspace_id: str | None = None
    source_id: str | None = None
    source_type: str | None = None
    created: str | None = None
    created_by: str | None = None
    updated: str | None = None
    last_run: Run | None = None


class Unified(msgspec.Struct, gc=False):
    id: str
    integration_type: str | None = None
    integration_name: str | None = None
    workspace_id: str | None = None
    environment: str | None = None
    external_xref: str | None = None
    categories: list[str] | None = None
    permissions: list[str] | None = None
    is_paused: bool | None = None
    created_at: str | None = None
    updated_at: str | None = None
    last_healthy_at: str | None = None
    last_unhealthy_at: str | None = None


class AirbyteList(msgspec.Struct):
    connections: list[Airbyte]


class WorkivaList(msgspec.Struct):
    body: list[Workiva]


class WorkivaOne(msgspec.Struct):
    body: Workiva


SHAPES = (
    ("/connections/list", msgspec.json.Decoder(AirbyteList)),
    ("/connections/get", msgspec.json.Decoder(Airbyte)),
    ("/api/v1/connections", msgspec.json.Decoder(WorkivaList)),
    ("/api/v1/connections/", msgspec.json.Decoder(WorkivaOne)),
    ("/unified/connection", msgspec.json.Decoder(list[Unified])),
    ("/unified/connection/", msgspec.json.Decoder(Unified)),
)
UNREAD: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


class Read(Upstreams):
    """The yardstick's calls, with bodies read into no more than what is selected."""

    def decoded(self, path: str, content: bytes) -> Any:
        """The body of an answer."""
        fits = (decoder for end, decoder in SHAPES if path.endswith(end) or (end[-1] == "/" and path.startswith(end)))
        return next(fits, UNREAD).decode(content)

    async def rows(self, *providers: Provider) -> Sequence[Any]:
        """The lists of these."""
        return await asyncio.gather(*map(self.bodies, providers))


async def serve(port: int, instances: Mapping[str, Any]) -> None:
    """Serve it."""
    read = Read(instances)
    await read.start()
    everybody = tuple(Provider)

    async def answer(request: Request) -> Response:
        asked = json.loads(await request.body())
        ids: Sequence[tuple[str, str]] = asked["ids"]
        if ids:
            found = await asyncio.gather(*(read.body(instance, id) for instance, id in ids))
        else:
            found = await read.rows(*(everybody if asked["of"] is None else [Provider(asked["of"])]))
        return Response(msgspec.json.encode(found), media_type="application/json")

    app = Starlette(routes=[Route("/graphql", answer, methods=["POST"])])
    config = uvicorn.Config(app, http="httptools", log_config=None, access_log=False)
    with listener("127.0.0.1", port) as listening:
        await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), json.loads(sys.argv[2])))
