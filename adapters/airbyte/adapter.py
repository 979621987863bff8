"""The port, spoken to Airbyte: list pages hold the list fields, everything else costs a full read a connection."""

import asyncio
from collections.abc import Mapping, Sequence

from adapters import walk
from adapters.airbyte import convert, wire
from adapters.airbyte.client import Client, Settings
from adapters.airbyte.details import FULL_RECORD
from adapters.airbyte.joins import Joins
from adapters.decode import Rows
from adapters.errors import AdapterError, NotFound
from adapters.model import Connection
from adapters.port import LIST_FIELDS, Completed, Fields, Found, Page, RunPage, Workshop, wants
from adapters.transport import Transport

LIST_PAGE = 500
"""Rows asked for where a list is read to find ids in it."""

_FEWEST = 20
"""Rows asked for at the least: a cursor cannot stand behind a row without an id, only a longer page gets past it."""


def build(workshop: Workshop, settings: Settings) -> "AirbyteAdapter":
    """An adapter for one instance."""
    return AirbyteAdapter(workshop.instance, settings, Client(settings, workshop))


class AirbyteAdapter:
    """One Airbyte, with the workspaces that are configured or that it has."""

    def __init__(self, instance: str, settings: Settings, client: Client) -> None:
        self._instance = instance
        self._workspaces = settings.workspaces
        self._web_url = settings.web_url or settings.base_url.rstrip("/").removesuffix("/api")
        self._client = client
        self._joins = Joins(client)

    @property
    def transport(self) -> Transport:
        return self._client.transport

    async def page(self, *, after: str | None, limit: int) -> Page:
        return await walk.through(await self._parts(), after, limit, self._read)

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        failures: list[AdapterError] = []
        if self._is_full(fields):
            reads = (walk.attempt(walk.get_one(row.native_id, self._get), row, failures) for row in connections)
            connections = await asyncio.gather(*reads)
        return await self._joined(connections, fields, failures)

    async def get_many(self, wanted: Mapping[str, Fields]) -> Found:
        by_id = dict(await self._find([id for id, fields in wanted.items() if not self._is_full(fields)]))
        # Judged once more, because the list just read tells the generation.
        by_id |= await walk.get_each([id for id, fields in wanted.items() if self._is_full(fields)], self._get)
        fields = LIST_FIELDS.union(*wanted.values())
        return await walk.completed(by_id, lambda records: self._joined(records, fields, []))

    async def _joined(
        self, connections: Sequence[Connection], fields: Fields, failures: list[AdapterError]
    ) -> Completed:
        joined = await self._joins(connections, fields, failures)
        return Completed(tuple(joined), tuple(failures))

    async def _find(self, ids: Sequence[str]) -> Mapping[str, Connection | AdapterError]:
        if len(ids) < 2:  # noqa: PLR2004  for one, not even the workspaces need be known
            return await walk.get_each(ids, self._get)
        # A list leaves out deleted connections, which can still be asked for by id.
        return await walk.find(
            ids, parts=await self._parts(), limit=LIST_PAGE, read=self._read, get=self._get, list_is_complete=False
        )

    async def runs(self, connection: Connection, *, after: str | None, limit: int) -> RunPage:
        """The connection's jobs, the newest first; a token counts the jobs before it."""
        start = walk.token(after) or walk.Token()
        page = await self._client.list_jobs(connection.native_id, limit=limit, offset=start.position)
        met = [(convert.run(job), count) for count, job in enumerate(page.rows.places, 1) if job is not None]
        tokens = tuple(str(walk.Token("", start.position + count)) for _, count in met)
        read = len(page.rows.places)
        more = bool(met) and (start.position + read < page.total if page.total is not None else read >= limit)
        return RunPage(tuple(run for run, _ in met), tokens, more, page.total)

    def _is_full(self, fields: Fields) -> bool:
        """Whether these fields take the full record. When it was created, only later versions know at all."""
        return wants(fields, *FULL_RECORD) or (self._client.is_later and wants(fields, "created_at"))

    async def _parts(self) -> Sequence[str]:
        return self._workspaces or tuple(await self._joins.workspace_names())

    async def _read(self, workspace_id: str, start: walk.Token, limit: int) -> walk.Part:
        """A page of one workspace's list, whichever generation answers."""
        asked = max(limit, _FEWEST)
        try:
            listed = await self._client.list_connections(workspace_id, limit=asked, cursor=start.last or None)
        except NotFound:
            if start.last:
                return await self._read_around(workspace_id, start, limit)
            if workspace_id in self._workspaces or workspace_id in await self._joins.workspace_names(anew=True):
                raise
            # Deleted since it was discovered: nothing is in it, which is no reason to lose the others.
            return walk.page((), start, more=False)
        places = self._places(listed.rows, workspace_id)
        if listed.page_size is None:
            at = _resumes_at(places, start)
            return _page(places[at : at + limit], start, more=at + limit < len(places))
        return _page(places, start, more=listed.goes_on(start.position))

    async def _read_around(self, workspace_id: str, start: walk.Token, limit: int) -> walk.Part:
        """The page after a row that is gone: the upstream looks its cursor up and answers 404 for a deleted one, so
        this counts from the beginning. Everything before it has moved up by one."""
        at = max(0, start.position - 1)
        listed = await self._client.list_connections(workspace_id, limit=at + limit)
        places = self._places(listed.rows, workspace_id)
        return _page(places[at : at + limit], start, more=listed.goes_on(0))

    def _places(self, rows: Rows[wire.ListItem], workspace_id: str) -> list[Connection | None]:
        return [row and self._unified(row, workspace_id) for row in rows.places]

    def _unified(self, row: wire.ListItem, workspace_id: str | None) -> Connection:
        return convert.connection(row, instance=self._instance, workspace_id=workspace_id, web_url=self._web_url)

    async def _get(self, id: str) -> Connection:
        return self._unified(await self._client.get_connection(id), None)


def _page(places: Sequence[Connection | None], start: walk.Token, *, more: bool) -> walk.Part:
    return walk.page(places, start, more=more, dropped=places.count(None))


def _resumes_at(places: Sequence[Connection | None], start: walk.Token) -> int:
    """Where in a whole list the walk goes on: after the last row met, or by count where that row is gone."""
    after = (number for number, row in enumerate(places, 1) if row and row.native_id == start.last)
    at = next(after, max(0, start.position - 1) if start.last else start.position)
    while at < min(start.position, len(places)) and places[at] is None:  # unreadable, and counted before
        at += 1
    return at
