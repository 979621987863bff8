"""The yardstick: a gateway over the same upstreams as it is written in an afternoon, and written well.

Strawberry types, resolvers that call all upstreams at once with one httpx client, JSON by the standard library,
Starlette's view under uvicorn with uvloop and httptools. No cache, no loader, no compiled anything.

``python -m benchmarks.plain PORT INSTANCES``, with the instances as JSON.
"""

import asyncio
import datetime as dt
import enum
import json
import sys
from collections.abc import Mapping
from typing import Any

import httpx
import strawberry
import uvicorn
import uvloop
from strawberry.asgi import GraphQL

from adapters import ids
from adapters.imitation import listener


@strawberry.enum
class Provider(enum.Enum):
    AIRBYTE = "airbyte"
    WORKIVA = "workiva"
    UNIFIED_TO = "unified"


@strawberry.type
class Endpoint:
    id: str | None
    name: str | None
    type: str | None


@strawberry.type
class Run:
    status: str
    started_at: dt.datetime | None
    ended_at: dt.datetime | None


@strawberry.type
class Connection:
    id: strawberry.ID
    provider: Provider
    native_id: str
    name: str | None
    status: str
    enabled: bool | None
    running: bool | None
    description: str | None = None
    source: Endpoint | None = None
    destination: Endpoint | None = None
    last_run: Run | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    created_by: str | None = None
    workspace_id: str | None = None
    environment: str | None = None
    external_ref: str | None = None
    categories: list[str] = strawberry.field(default_factory=list)
    permissions: list[str] = strawberry.field(default_factory=list)
    schema_change: str | None = None
    last_healthy_at: dt.datetime | None = None
    last_unhealthy_at: dt.datetime | None = None
    web_url: str | None = None


@strawberry.type
class Page:
    nodes: list[Connection]


@strawberry.input
class ConnectionFilter:
    provider: list[Provider] | None = None


JOBS = {"succeeded": "HEALTHY", "failed": "FAILING", "running": "RUNNING", "pending": "QUEUED"}
RUNS = {"succeeded": "SUCCEEDED", "failed": "FAILED", "running": "RUNNING", "pending": "QUEUED"}


def moment(text: str | None) -> dt.datetime | None:
    """A time as the upstreams write it."""
    return dt.datetime.fromisoformat(text) if text else None


def seconds(at: float | None) -> dt.datetime | None:
    """A time as Airbyte counts it."""
    return None if at is None else dt.datetime.fromtimestamp(at, dt.UTC)


def airbyte(row: dict[str, Any]) -> Connection:
    """From Airbyte's record."""
    source, destination = row["source"], row["destination"]
    job, at = row.get("latestSyncJobStatus"), seconds(row.get("latestSyncJobCreatedAt"))
    is_active = row["status"] == "active"
    return Connection(
        id=strawberry.ID(ids.encode("airbyte", row["connectionId"])),
        provider=Provider.AIRBYTE,
        native_id=row["connectionId"],
        name=row["name"],
        status=JOBS.get(job or "", "NEVER_RAN") if is_active else "PAUSED",
        enabled=is_active,
        running=row["isSyncing"],
        source=Endpoint(id=source["sourceId"], name=source["name"], type=source["sourceName"]),
        destination=Endpoint(id=destination["destinationId"], name=destination["name"], type=None),
        last_run=Run(status=RUNS.get(job, "CANCELLED"), started_at=at, ended_at=None) if job else None,
        updated_at=at,
        workspace_id=row.get("workspaceId"),
        schema_change=row["schemaChange"].upper(),
        web_url=f"/connections/{row['connectionId']}",
    )


def workiva(row: dict[str, Any]) -> Connection:
    """From Wdata's record."""
    last_run = _run(row["lastRun"]) if row.get("lastRun") else None
    return Connection(
        id=strawberry.ID(ids.encode("workiva", row["connectionId"])),
        provider=Provider.WORKIVA,
        native_id=row["connectionId"],
        name=row["name"],
        description=row["description"],
        status={"FAILED": "FAILING", "SUCCEEDED": "HEALTHY"}[last_run.status] if last_run else "NEVER_RAN",
        enabled=True,
        running=False,
        source=Endpoint(id=row["sourceId"], name=None, type=row["sourceType"]),
        destination=Endpoint(id=row["destinationId"], name=None, type=row["destinationType"]),
        last_run=last_run,
        created_at=moment(row.get("created")),
        updated_at=moment(row.get("updated")),
        created_by=row.get("createdBy"),
        workspace_id=row.get("workspaceId"),
    )


def _run(row: dict[str, Any]) -> Run:
    has_failed = "error" in (row["sourceStatus"], row["destinationStatus"])
    return Run(
        status="FAILED" if has_failed else "SUCCEEDED",
        started_at=moment(row.get("created")),
        ended_at=moment(row.get("updated")),
    )


def unified(row: dict[str, Any]) -> Connection:
    """From Unified.to's record."""
    healthy_at, unhealthy_at = moment(row.get("last_healthy_at")), moment(row.get("last_unhealthy_at"))
    status = "NEVER_RAN" if healthy_at is None else "HEALTHY"
    if unhealthy_at is not None and (healthy_at is None or unhealthy_at > healthy_at):
        status = "FAILING"
    type = row["integration_type"]
    return Connection(
        id=strawberry.ID(ids.encode("unified", row["id"])),
        provider=Provider.UNIFIED_TO,
        native_id=row["id"],
        name=row.get("integration_name") or type,
        status="PAUSED" if row.get("is_paused") else status,
        enabled=not row.get("is_paused"),
        running=False,
        source=Endpoint(id=type, name=row.get("integration_name"), type=type),
        created_at=moment(row.get("created_at")),
        updated_at=moment(row.get("updated_at")),
        workspace_id=row.get("workspace_id"),
        environment=row.get("environment"),
        external_ref=row.get("external_xref"),
        categories=row["categories"],
        permissions=row["permissions"],
        last_healthy_at=healthy_at,
        last_unhealthy_at=unhealthy_at,
    )


class Upstreams:
    """The calls, by ``client``. Tokens and the workspace are asked for once."""

    def __init__(self, instances: Mapping[str, Any]) -> None:
        self._urls = {name: of["base_url"] for name, of in instances.items()}
        self._auth = {name: of["auth"] for name, of in instances.items()}
        self.client = httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=30)
        self._headers: dict[str, dict[str, str]] = {}
        self._workspace = ""

    async def start(self) -> None:
        """Log in."""
        auth = self._auth["airbyte"]
        token = (await self.client.post(f"{self._urls['airbyte']}/v1/applications/token", json=auth)).json()
        self._headers["airbyte"] = {"Authorization": f"Bearer {token['access_token']}"}
        form = {"grant_type": "client_credentials", **self._auth["workiva"]}
        token = (await self.client.post(f"{self._urls['workiva']}/oauth2/token", data=form)).json()
        self._headers["workiva"] = {"Authorization": f"Bearer {token['access_token']}"}
        self._headers["unified"] = {"Authorization": f"Bearer {self._auth['unified']['token']}"}
        self._workspace = (await self._post("/v1/workspaces/list", {}))["workspaces"][0]["workspaceId"]

    async def listed(self, provider: Provider) -> list[Connection]:
        """All connections of a provider."""
        body = await self.bodies(provider)
        if provider is Provider.AIRBYTE:
            return [airbyte(row) for row in body["connections"]]
        if provider is Provider.WORKIVA:
            return [workiva(row) for row in body["body"]]
        return [unified(row) for page in body for row in page]

    async def bodies(self, provider: Provider) -> Any:
        """What a list is answered: its one body, or of Unified.to those of its pages."""
        if provider is Provider.AIRBYTE:
            return await self._post("/v1/web_backend/connections/list", {"workspaceId": self._workspace})
        if provider is Provider.WORKIVA:
            return await self._get("workiva", "/api/v1/connections", {"limit": 1000})
        pages: list[Any] = []
        while True:
            asked = {"env": "Production", "limit": 100, "offset": 100 * len(pages), "sort": "name", "order": "asc"}
            pages.append(await self._get("unified", "/unified/connection", asked))
            if len(pages[-1]) < 100:
                return pages

    async def one(self, instance: str, id: str) -> Connection:
        """A connection by its own id."""
        body = await self.body(instance, id)
        if instance == "airbyte":
            return airbyte(body)
        return workiva(body["body"]) if instance == "workiva" else unified(body)

    async def body(self, instance: str, id: str) -> Any:
        """What a connection is answered as."""
        if instance == "airbyte":
            return await self._post("/v1/web_backend/connections/get", {"connectionId": id})
        path = "/api/v1/connections/" if instance == "workiva" else "/unified/connection/"
        return await self._get(instance, path + id, {})

    def decoded(self, path: str, content: bytes) -> Any:
        """The body of an answer to a call of ``path``."""
        return json.loads(content)

    async def _post(self, path: str, body: Any) -> Any:
        url = self._urls["airbyte"] + path
        response = await self.client.post(url, json=body, headers=self._headers["airbyte"])
        return self.decoded(path, response.raise_for_status().content)

    async def _get(self, name: str, path: str, asked: Mapping[str, Any]) -> Any:
        url = self._urls[name] + path
        response = await self.client.get(url, params=asked, headers=self._headers[name])
        return self.decoded(path, response.raise_for_status().content)


def schema_over(upstreams: Upstreams) -> strawberry.Schema:
    """The graph."""

    @strawberry.type
    class Query:
        @strawberry.field
        async def connections(self, first: int = 25, filter: ConnectionFilter | None = None) -> Page:  # noqa: A002
            wanted = list(Provider) if filter is None or filter.provider is None else filter.provider
            lists = await asyncio.gather(*map(upstreams.listed, wanted))
            rows = sorted((row for rows in lists for row in rows), key=lambda row: (row.name or "").casefold())
            return Page(nodes=rows[:first])

        @strawberry.field
        async def connection(self, id: strawberry.ID) -> Connection | None:
            return await upstreams.one(*ids.decode(id))

    return strawberry.Schema(Query)


async def main(port: int, instances: Mapping[str, Any]) -> None:
    """Serve the graph."""
    upstreams = Upstreams(instances)
    await upstreams.start()
    config = uvicorn.Config(
        GraphQL[None, None](schema_over(upstreams)), http="httptools", log_config=None, access_log=False
    )
    with listener("127.0.0.1", port) as listening:
        await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), json.loads(sys.argv[2])))
