"""The port, spoken to Wdata: a list page holds whole records, so one walk answers for many ids."""

from collections.abc import Mapping, Sequence, Set

from adapters import walk
from adapters.errors import AdapterError, NotFound
from adapters.flight import Kept
from adapters.model import Connection, Run, RunStatus
from adapters.port import LIST_FIELDS, Completed, Fields, Found, Page, RunPage, Workshop, wants
from adapters.transport import Transport
from adapters.workiva import convert, wire
from adapters.workiva.client import PAGE_LIMIT, Client, Settings

QUERY_TYPES = frozenset({"wdata_query", "wdata_shared_query"})
TABLE_TYPES = frozenset({"wdata_table", "wdata_table_dataset"})
_NAMES_KEPT_S = 600.0
_ONE_PART = ("",)  # a credential is bound to one workspace: its list has no parts


def build(workshop: Workshop, settings: Settings) -> "WorkivaAdapter":
    """An adapter for one instance."""
    return WorkivaAdapter(workshop.instance, Client(settings, workshop))


class WorkivaAdapter:
    """One Wdata workspace."""

    def __init__(self, instance: str, client: Client) -> None:
        self._instance = instance
        self._client = client
        self._names = Kept(_NAMES_KEPT_S)

    @property
    def transport(self) -> Transport:
        return self._client.transport

    async def page(self, *, after: str | None, limit: int) -> Page:
        return await walk.through(None, after, limit, self._read)

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        """The records with the names of the queries and tables at their ends, where those were selected."""
        failures: list[AdapterError] = []
        if wants(fields, "source.name", "destination.name"):
            ends = [end for c in connections for end in (c.source, c.destination) if end is not None and end.id]
            queries = {end.id for end in ends if end.id and end.type in QUERY_TYPES}
            tables = any(end.type in TABLE_TYPES for end in ends)
            names = await walk.attempt(self._query_names(queries), {}, failures) if queries else {}
            names = {**names, **(await walk.attempt(self._table_names(), {}, failures) if tables else {})}
            connections = [convert.named(connection, names) for connection in connections]
        return Completed(tuple(connections), tuple(failures))

    async def get_many(self, wanted: Mapping[str, Fields]) -> Found:
        found = await walk.find(list(wanted), parts=_ONE_PART, limit=PAGE_LIMIT, read=self._read_page, get=self._get)
        fields = LIST_FIELDS.union(*wanted.values())
        return await walk.completed(found, lambda records: self.complete(records, fields))

    async def runs(self, connection: Connection, *, after: str | None, limit: int) -> RunPage:
        """The last run, which is all that Wdata keeps. A row that names it and does not hold it costs a call."""
        last = connection.last_run
        if last is not None and last.id and last.status is RunStatus.UNKNOWN and after is None:
            last = await self._run(connection.native_id, last.id) or last
        runs = () if last is None or after is not None or limit < 1 else (last,)
        return RunPage(runs, ("1",) * len(runs), more=False, total=int(last is not None))

    async def _run(self, connection_id: str, job_id: str) -> Run | None:
        try:
            return convert.run(await self._client.get_status(connection_id, job_id), wire.ConnectionRun(job_id=job_id))
        except NotFound:
            return None

    async def _read(self, _: str, start: walk.Token, limit: int) -> walk.Part:
        """Rows of the page at a cursor, and of those behind it where that has too few left.

        A row within a page is found by reading the page again: ``offset`` is "the item to start with on the page", and
        of which page, that of the whole list or that of the limit, the specification does not say.
        """
        rows: list[Connection] = []
        tokens: list[str] = []
        dropped = 0
        here = start
        while True:
            part = await self._read_page(here.part, here, limit - len(rows))
            rows += part.rows
            tokens += part.tokens
            dropped += part.dropped
            if not (part.more and part.rows) or len(rows) >= limit:
                return part._replace(rows=tuple(rows), tokens=tuple(tokens), dropped=dropped)
            here = part.reached

    async def _read_page(self, cursor: str, start: walk.Token, limit: int) -> walk.Part:
        asked = min(start.position + limit, PAGE_LIMIT)
        listed = await self._client.list_connections(limit=asked, cursor=cursor or None)
        places = listed.rows.places
        first = next((row.connection_id for row in places if row is not None), "")
        if first and start.position == 0 and first == start.first:  # the page before, once more
            return walk.Part((), (), more=False, dropped=0, reached=start)
        met: dict[str, tuple[Connection, walk.Token]] = {}
        for count, row in enumerate(places[start.position :], start.position + 1):
            if row is not None and row.connection_id not in met:
                record = convert.connection(row, instance=self._instance)
                met[row.connection_id] = record, walk.Token(cursor, count, row.connection_id, first)
        # Some services answer a cursor even at the end: an empty page, or the cursor just used, leads nowhere.
        more = bool(places) and listed.cursor not in (None, cursor)
        reached = walk.Token(listed.cursor or "", 0, "", first) if more else walk.Token(cursor, len(places), "", first)
        tokens = [str(token) for _, token in met.values()]
        tokens[-1:] = [str(reached)] * bool(tokens)
        dropped = places[start.position :].count(None)
        return walk.Part(tuple(record for record, _ in met.values()), tuple(tokens), more, dropped, reached)

    async def _get(self, id: str) -> Connection:
        return convert.connection(await self._client.get_connection(id), instance=self._instance)

    async def _query_names(self, ids: Set[str]) -> dict[str, str]:
        """Names by id: one call for a hundred queries, none for those that were looked up lately."""
        known: dict[str, str] = await self._names.get("queries", _nothing_yet)
        unknown = sorted(ids - known.keys())
        if unknown:
            answered = {query.id: query.name or "" for query in await self._client.list_queries(unknown)}
            # An id that was not answered is remembered too, or it would be asked for at every page.
            known.update({id: answered.get(id, "") for id in unknown})
        return known

    async def _table_names(self) -> dict[str, str]:
        async def read() -> dict[str, str]:
            return {table.id: table.name or "" for table in await self._client.list_tables()}

        return await self._names.get("tables", read)


async def _nothing_yet() -> dict[str, str]:
    return {}
