"""The port, spoken to Unified.to: a list for each environment, whose pages hold whole records."""

import datetime as dt
from collections.abc import Mapping, Sequence

from adapters import walk
from adapters.errors import AdapterError, NotFound, Unsupported
from adapters.flight import Kept
from adapters.model import Connection
from adapters.port import LIST_FIELDS, Completed, Fields, Found, Page, RunPage, Workshop, wants
from adapters.transport import Transport
from adapters.unified_to import convert, wire
from adapters.unified_to.client import PAGE_LIMIT, Client, Settings

DEFAULT_ENVIRONMENT = "Production"
"""Where a connection is that does not say (Unified.to's own model of it)."""
_INTEGRATIONS_KEPT_S = 600.0


def build(workshop: Workshop, settings: Settings) -> "UnifiedToAdapter":
    """An adapter for one instance."""
    return UnifiedToAdapter(workshop.instance, Client(settings, workshop), settings.environments)


class UnifiedToAdapter:
    """Some environments of one Unified.to workspace."""

    def __init__(self, instance: str, client: Client, environments: Sequence[str]) -> None:
        self._instance = instance
        self._client = client
        self._environments = environments
        self._integrations = Kept(_INTEGRATIONS_KEPT_S)

    @property
    def transport(self) -> Transport:
        return self._client.transport

    async def page(self, *, after: str | None, limit: int) -> Page:
        return await walk.through(self._environments, after, limit, self._read)

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        """The records with the names and logos of their integrations, where those were selected."""
        failures: list[AdapterError] = []
        if connections and wants(fields, "name", "source.name", "source.icon"):
            integrations = await walk.attempt(self._integrations.get("all", self._by_type), {}, failures)
            connections = [convert.named(connection, integrations) for connection in connections]
        return Completed(tuple(connections), tuple(failures))

    async def get_many(self, wanted: Mapping[str, Fields]) -> Found:
        found = await walk.find(
            list(wanted), parts=self._environments, limit=PAGE_LIMIT, read=self._read, get=self._get
        )
        fields = LIST_FIELDS.union(*wanted.values())
        return await walk.completed(found, lambda records: self.complete(records, fields))

    async def runs(self, connection: Connection, *, after: str | None, limit: int) -> RunPage:
        raise Unsupported(
            "Unified.to has no runs", instance=self._instance, provider=connection.provider, operation="runs"
        )

    async def _read(self, environment: str, start: walk.Token, limit: int) -> walk.Part:
        limit = min(limit, PAGE_LIMIT)
        listed = await self._client.list_connections(environment, limit=limit, offset=start.position)
        rows = listed.rows.places[:limit]
        places = [None if row is None or self._is_elsewhere(row, environment) else self._record(row) for row in rows]
        return walk.page(places, start, more=listed.more, dropped=rows.count(None))

    def _is_elsewhere(self, row: wire.Connection, environment: str) -> bool:
        """Whether the row belongs to another list: an upstream that ignores `env` gives the same rows in each."""
        if not row.environment:  # in Production, unless that is not among ours
            return environment != DEFAULT_ENVIRONMENT and DEFAULT_ENVIRONMENT in self._environments
        return row.environment != environment

    async def _get(self, id: str) -> Connection:
        row = await self._client.get_connection(id)
        # A call by id finds those of all environments; by list they would be missing.
        if row.environment and row.environment not in self._environments:
            raise NotFound("in an environment that is not configured", instance=self._instance, provider="unified_to")
        return self._record(row)

    def _record(self, row: wire.Connection) -> Connection:
        return convert.connection(row, instance=self._instance, now=dt.datetime.now(dt.UTC))

    async def _by_type(self) -> dict[str, wire.Integration]:
        return {integration.type: integration for integration in await self._client.list_integrations()}
