"""The port, spoken to Wdata: a list page holds whole records, so one walk answers for many ids."""

import functools
import math
from collections.abc import Mapping, Sequence, Set

from adapters import walk
from adapters.capabilities import Capability, Refusal
from adapters.errors import AdapterError, NotFound
from adapters.flight import Kept
from adapters.model import Connection, Run, RunStatus
from adapters.port import (
    LIST_FIELDS,
    Completed,
    Fields,
    Filter,
    Found,
    List,
    Narrowing,
    Order,
    Page,
    Planned,
    Reader,
    RunPage,
    Single,
    Work,
    Workshop,
    wants,
)
from adapters.singles import Singles
from adapters.transport import Transport
from adapters.walk import Before
from adapters.workiva import client, convert, writing
from adapters.workiva.client import Client, Settings
from adapters.writing import Draft, Start, Wish

QUERY_TYPES = frozenset({"wdata_query", "wdata_shared_query"})
TABLE_TYPES = frozenset({"wdata_table", "wdata_table_dataset"})
SIDES = (("source", "sourceType", "sourceId"), ("destination", "destinationType", "destinationId"))
FILTERED_TYPES = frozenset(
    {
        "document",
        "document_chart",
        "document_embedded_table",
        "presentation",
        "presentation_chart",
        "presentation_embedded_table",
        "report",
        "spreadsheet",
        "spreadsheet_section",
        "wdata_query",
        "wdata_table",
        "wdata_table_dataset",
    }
)
"""The types that the list can be asked for on either side: fewer than rows can have (specification, ``sourceType``)."""
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
        self._drafts = writing.Drafts(client)
        self._singles: Singles[Connection] = Singles()
        self._unified = functools.partial(convert.connection, instance=instance)

    @property
    def transport(self) -> Transport:
        return self._client.transport

    async def parts(self) -> Sequence[str]:
        return _ONE_PART

    def narrow(self, where: Filter) -> Narrowing:
        """To one source and one destination: both the type and the id, or the upstream refuses to hear of either."""
        asked: list[tuple[str, str]] = []
        used: list[str] = []
        for side, type_word, id_word in SIDES:
            types, ids = getattr(where, f"{side}_type"), getattr(where, f"{side}_id")
            if types is not None and ids is not None and len(types) == len(ids) == 1 and types[0] in FILTERED_TYPES:
                asked += [(type_word, types[0]), (id_word, ids[0])]
                used += [f"{side}_type", f"{side}_id"]
        return Narrowing(None, tuple(asked), frozenset(used))

    def sorts(self, order: Order) -> bool:
        return False

    async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
        start = walk.token(after)
        before = Before(last, self._unified)
        listed = await self._client.list_connections(cursor=start.cursor or None, asked=of.narrowed, before=before)
        if isinstance(listed, Page):
            return listed
        rows = walk.unified(listed.rows, self._unified)
        follows: walk.Token | None = None
        # Some services answer a cursor even at the end: an empty page, or the cursor just used, leads nowhere.
        if rows.places and listed.cursor not in (None, start.cursor):
            follows = walk.Token(start.position + len(rows.places), listed.cursor or "")
        return walk.page(rows, start, follows=follows, sent=listed.sent)

    def ahead(self, token: str, pages: int) -> str | None:
        return None  # cursors are opaque

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        """The records with the names of the queries and tables at their ends, where those were selected."""
        if not self.adds(fields):
            return Completed(tuple(connections), good_until=math.inf)
        failures: list[AdapterError] = []
        ends = [end for c in connections for end in (c.source, c.destination) if end is not None and end.id]
        queries = {end.id for end in ends if end.id and end.type in QUERY_TYPES}
        tables = any(end.type in TABLE_TYPES for end in ends)
        names = await self._query_names(queries, failures) if queries else {}
        names = {**names, **(await walk.attempt(self._table_names(), {}, failures) if tables else {})}
        used = ["queries"] * bool(queries) + ["tables"] * tables
        named = tuple(convert.named(connection, names) for connection in connections)
        return Completed(named, tuple(failures), self._names.until(*used) if not failures else 0.0)

    def adds(self, fields: Fields) -> bool:
        return wants(fields, "source.name", "destination.name")

    def holds(self, fields: Fields) -> bool:
        return True  # rows of the list are whole

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        found = await walk.find(list(wanted), parts=_ONE_PART, read=read or self.read, get=self._get)
        fields = LIST_FIELDS.union(*wanted.values())
        return await walk.completed(found, lambda records: self.complete(records, fields), lacks=self.adds(fields))

    def single(self, id: str, fields: Fields) -> Single | None:
        async def read(body: bytes) -> Completed:
            made = self._made(id, body)
            completed = await self.complete((made,), fields)
            # Names become known one by one, and any of them may be that of either end.
            is_named = completed.good_until < math.inf
            return completed.until(0.0 if is_named else self._singles.until(id, made))

        return Single(self._client.call_for(id), read)

    async def runs(self, connection: Connection, *, after: str | None, limit: int) -> RunPage:
        """The last run, which is all that Wdata keeps. A row that names it and does not hold it costs a call."""
        last = connection.last_run
        if last is not None and last.id and last.status is RunStatus.UNKNOWN and after is None:
            last = await self._run(connection.native_id, last.id) or last
        runs = () if last is None or after is not None or limit < 1 else (last,)
        return RunPage(runs, ("1",) * len(runs), more=False, total=int(last is not None))

    def plan(self, work: Work) -> Sequence[Planned]:
        planned: list[Planned] = []
        if work.lists is not None or len(work.wanted) > 1:
            planned.append(Planned(client.LIST, 1, "more for lists of more than a thousand"))
        if len(work.wanted) == 1:
            planned.append(Planned(client.GET))
        elif work.wanted:
            planned.append(Planned(client.GET, None, "one for each connection that the first thousand do not hold"))
        if self.adds(work.fields.union(*work.wanted.values())):
            planned.append(
                Planned(client.QUERIES, None, "one for each hundred queries shown whose names are not known")
            )
            if not self._names.is_ready("tables"):
                planned.append(Planned(client.TABLES, None, "where tables are shown, kept for ten minutes"))
        return [*self._client.login(), *planned] if planned else []

    def refuses(self, action: Capability) -> Refusal | None:
        return None

    async def draft(self, wish: Wish) -> Draft:
        return self._drafts.of(wish)

    def grouped(self, starts: Sequence[Start]) -> Sequence[Sequence[Start]]:
        return writing.grouped(starts)

    async def _run(self, connection_id: str, job_id: str) -> Run | None:
        try:
            return convert.run(await self._client.get_status(connection_id, job_id), job_id)
        except NotFound:
            return None

    async def _get(self, id: str) -> Connection:
        return self._made(id, await self.transport.send(self._client.call_for(id)))

    def _made(self, id: str, body: bytes) -> Connection:
        seen = self._singles.seen(id, body)
        if seen is not None and seen.made is not None:
            return seen.made
        return self._singles.take(seen, self._unified(self._client.read(body)))

    async def _query_names(self, ids: Set[str], failures: list[AdapterError]) -> dict[str, str]:
        """Names by id: one call for a hundred queries, none for those that were looked up lately. Where it fails, those
        that are known."""
        known: dict[str, str] = await self._names.get("queries", _nothing_yet)
        unknown = sorted(ids - known.keys())

        async def look_up() -> None:
            answered = {query.id: query.name or "" for query in await self._client.list_queries(unknown)}
            # An id that was not answered is remembered too, or it would be asked for at every page.
            known.update({id: answered.get(id, "") for id in unknown})

        if unknown:
            await walk.attempt(self._names.unless_failing("more queries", look_up), None, failures)
        return known

    async def _table_names(self) -> dict[str, str]:
        async def read() -> dict[str, str]:
            return {table.id: table.name or "" for table in await self._client.list_tables()}

        return await self._names.get("tables", read)


async def _nothing_yet() -> dict[str, str]:
    return {}
