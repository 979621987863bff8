"""The port, spoken to Airbyte: list pages hold the list fields, everything else costs a full read a connection."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from adapters import walk
from adapters.airbyte import client, convert, wire
from adapters.airbyte.client import Client, Settings
from adapters.airbyte.details import FULL_RECORD
from adapters.airbyte.joins import DEFINED, JOINED, Joins
from adapters.airbyte.writing import Drafts
from adapters.capabilities import Capability, Refusal
from adapters.decode import Rows
from adapters.errors import AdapterError, NotFound
from adapters.model import Connection
from adapters.port import (
    LIST_FIELDS,
    Completed,
    Fields,
    Filter,
    Found,
    List,
    Narrowing,
    Order,
    OrderField,
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
from adapters.writing import Draft, Start, Wish

LIST_PAGE = 500
"""Rows asked for in a page. The later generation names no upper limit; the earlier one gives all there are."""

LONGEST_PAGE = 10_000
"""Rows asked for at the most where many of them are only to be counted."""

SORT_KEYS: Mapping[OrderField, str] = {
    OrderField.NAME: "connectionName",
    OrderField.SOURCE: "sourceName",
    OrderField.DESTINATION: "destinationName",
    OrderField.LAST_RUN_AT: "lastSync",
}
"""What the later generation sorts by (specification, ``WebBackendConnectionListSortKey``)."""


def build(workshop: Workshop, settings: Settings) -> "AirbyteAdapter":
    """An adapter for one instance."""
    return AirbyteAdapter(workshop.instance, settings, Client(settings, workshop))


_ALL_TYPES = "all"


class AirbyteAdapter:
    """One Airbyte, with the workspaces that are configured or that it has."""

    def __init__(self, instance: str, settings: Settings, client: Client) -> None:
        self._instance = instance
        self._workspaces = settings.workspaces
        self._own = frozenset(map(str.lower, settings.workspaces))
        """The same as Airbyte itself writes UUIDs."""
        self._web_url = settings.web_url or settings.base_url.rstrip("/").removesuffix("/api")
        self._client = client
        self._joins = Joins(client)
        self._singles: Singles[Connection] = Singles()
        self._drafts = Drafts(client, self._own)

    @property
    def transport(self) -> Transport:
        return self._client.transport

    async def parts(self) -> Sequence[str]:
        return self._workspaces or tuple(await self._joins.workspace_names())

    def narrow(self, where: Filter) -> Narrowing:
        """To workspaces, to sources and destinations by id, and to what is enabled."""
        used = {
            name: value
            for name, value in (
                ("workspace_id", where.workspace_id),
                ("source_id", where.source_id),
                ("destination_id", where.destination_id),
                ("enabled", where.enabled or None),  # what is not active may be inactive, locked or a new word
            )
            if value is not None
        }
        sides = (("sourceId", where.source_id), ("destinationId", where.destination_id))
        asked = [(name, id) for name, ids in sides for id in ids or ()]
        asked += [("state", "active")] * (where.enabled is True)
        parts = None if where.workspace_id is None else frozenset(where.workspace_id)
        return Narrowing(parts, tuple(asked), frozenset(used))

    def sorts(self, order: Order) -> bool:
        return order.field in SORT_KEYS

    async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
        """A page of one workspace's list, whichever generation answers."""
        start = walk.token(after)
        if last is not None and not self._is_named_as(last, of.part):
            last = None
        asked, made = _asked(of), self._maker(of.part)
        try:
            listed = await self._client.list_connections(
                of.part, limit=LIST_PAGE, cursor=start.cursor or None, asked=asked, before=Before(last, made)
            )
        except NotFound:
            if start.cursor:
                return await self._read_around(of.part, start, asked)
            if of.part in self._workspaces or of.part in await self._joins.workspace_names(anew=True):
                raise
            # Deleted since it was discovered: nothing is in it, which is no reason to lose the others.
            return Page(())
        if isinstance(listed, Page):
            return listed
        return self._page(listed, start, walk.unified(listed.rows, made))

    def ahead(self, token: str, pages: int) -> str | None:
        return None  # a cursor is the last row of the page before

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        if not self._is_full(fields):
            return await self._joins(connections, fields)
        failures: list[AdapterError] = []
        kind = wire.Read if wants(fields, *FULL_RECORD) else wire.Brief
        reads = [walk.attempt(self._in_full(row, kind), row, failures) for row in connections]
        joined = await self._joins(await walk.together(reads), fields)
        return Completed(joined.connections, (*failures, *joined.failures))

    def adds(self, fields: Fields) -> bool:
        return self._is_full(fields) or wants(fields, *JOINED)

    def holds(self, fields: Fields) -> bool:
        # A list says nothing of schedules of the legacy form, which full records do.
        return not self._is_full(fields) and not wants(fields, "schedule")

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        brief = [id for id, fields in wanted.items() if not self._is_full(fields)]
        by_id = dict(await self._find(brief, read or self.read))
        # Judged once more, because the list just read tells the generation.
        by_id |= await walk.get_each([id for id, fields in wanted.items() if self._is_full(fields)], self._get)
        fields = LIST_FIELDS.union(*wanted.values())
        return await walk.completed(by_id, lambda records: self._joins(records, fields))

    def single(self, id: str, fields: Fields) -> Single | None:
        async def read(body: bytes) -> Completed:
            kind = wire.Read if self._is_full(fields) else wire.Brief
            row = await self._made(id, kind, None, body)
            completed = await self._joins((row,), fields)
            # A workspace may turn out to have another name before the one that is known is too old.
            is_named = wants(fields, "workspace_name")
            return completed.until(0.0 if is_named else self._singles.until((id, kind, None), row))

        return Single(self._client.call_for(id), read)

    async def _find(self, ids: Sequence[str], read: Reader) -> Mapping[str, Connection | AdapterError]:
        if len(ids) < 2:  # noqa: PLR2004  for one, not even the workspaces need be known
            return await walk.get_each(ids, self._get_brief)
        # A list leaves out deleted connections, which can still be asked for by id.
        return await walk.find(ids, parts=await self.parts(), read=read, get=self._get_brief, list_is_complete=False)

    async def runs(self, connection: Connection, *, after: str | None, limit: int) -> RunPage:
        """The connection's jobs, the newest first. A token counts the jobs before it, of the types that it names: which
        the upstream knows may be seen between two pages."""
        start = walk.token(after)
        of_all = None if after is None else start.cursor == _ALL_TYPES
        page = await self._client.list_jobs(connection.native_id, limit=limit, offset=start.position, of_all=of_all)
        types = _ALL_TYPES if page.is_of_all else ""
        met = [(convert.run(job), count) for count, job in enumerate(page.rows.places, 1) if job is not None]
        tokens = tuple(str(walk.Token(start.position + count, types)) for _, count in met)
        read = len(page.rows.places)
        more = bool(met) and (start.position + read < page.total if page.total is not None else read >= limit)
        return RunPage(tuple(run for run, _ in met), tokens, more, page.total)

    def plan(self, work: Work) -> Sequence[Planned]:
        fields = work.fields.union(*work.wanted.values())
        planned = [
            *self._plan_workspaces(work, fields),
            *([] if work.lists is None else self._plan_lists(work.lists)),
            *self._plan_full_reads(work.fields),
            *self._plan_ids(work.wanted),
            *self._plan_definitions(fields),
            *([Planned(client.JOBS, None, "one for each connection shown")] if "runs" in fields else []),
        ]
        return [*self._client.login(), *planned] if planned else []

    def refuses(self, action: Capability) -> Refusal | None:
        return None

    async def draft(self, wish: Wish) -> Draft:
        return await self._drafts.of(wish)

    def grouped(self, starts: Sequence[Start]) -> Sequence[Sequence[Start]]:
        return [[start] for start in starts]  # a call starts one

    def _plan_workspaces(self, work: Work, fields: Fields) -> list[Planned]:
        brief = [id for id, wanted in work.wanted.items() if not self._is_full(wanted)]
        are_discovered = not self._workspaces and (work.lists is not None or len(brief) > 1)
        is_asked = (are_discovered or wants(fields, "workspace_name")) and not self._joins.are_workspaces_ready
        return [Planned(client.WORKSPACES)] * is_asked

    def _plan_lists(self, lists: Narrowing) -> list[Planned]:
        known = self._workspaces or tuple(self._joins.known_workspaces)
        read = [part for part in known if lists.parts is None or part in lists.parts]
        times = len(read) if known else None
        return [Planned(client.LIST, times, "one for each workspace, more for long lists")] * (times != 0)

    def _plan_ids(self, wanted: Mapping[str, Fields]) -> list[Planned]:
        """One by one, or, where there are more of them than workspaces, by list."""
        brief = [id for id, fields in wanted.items() if not self._is_full(fields)]
        known = self._workspaces or tuple(self._joins.known_workspaces)
        if len(brief) < 2 or 0 < len(brief) <= len(known):  # noqa: PLR2004  as `_find` does
            return [Planned(client.GET, len(wanted))] * bool(wanted)
        # Which of them no list holds, and whether this is a version that dates connections, only the lists tell.
        rest = Planned(client.GET, None, "one for each connection that the lists do not hold, or not with all wanted")
        return [*self._plan_lists(Narrowing()), rest]

    def _plan_full_reads(self, fields: Fields) -> list[Planned]:
        if not wants(fields, *FULL_RECORD, "created_at"):
            return []
        return [Planned(client.GET, None, "one for each connection shown; for createdAt, of later versions only")]

    def _plan_definitions(self, fields: Fields) -> list[Planned]:
        sides = ("source", client.SOURCE_DEFINITIONS), ("destination", client.DESTINATION_DEFINITIONS)
        return [
            Planned(request, None, "one for each workspace shown, kept for ten minutes")
            for side, request in sides
            if wants(fields, *(f"{side}.{name}" for name in DEFINED))
        ]

    def _is_full(self, fields: Fields) -> bool:
        """Whether these fields take the full record. When it was created, only later versions know at all."""
        return wants(fields, *FULL_RECORD) or (self._client.is_later and wants(fields, "created_at"))

    async def _read_around(self, workspace_id: str, start: walk.Token, asked: Mapping[str, Any]) -> Page:
        """The page after a row that is gone: the upstream looks its cursor up and answers 404 for a deleted one, so
        this counts from the beginning. Everything before it has moved up by one."""
        at = max(0, start.position - 1)
        before, cursor = 0, None
        while True:
            limit = min(at + LIST_PAGE, LONGEST_PAGE)
            listed = await self._client.list_connections(workspace_id, limit=limit, cursor=cursor, asked=asked)
            assert isinstance(listed, client.ConnectionPage)  # noqa: S101  nothing was said to be known
            rows = walk.unified(listed.rows, self._maker(workspace_id))
            places = _up_to_the_last_readable(rows.places)
            reached = before + client.counted(places)
            if reached > at or not places or not listed.goes_on(before + client.counted(rows.places)):
                break
            before, cursor = reached, rows.rows[-1].native_id
        skipped = at - before
        start = msgspec.structs.replace(start, position=before)
        return self._page(listed, start, rows, skipped)

    def _maker(self, workspace_id: str | None) -> Callable[[wire.ListItem], Connection]:
        """Makes connections of rows, with the name that their workspace has now."""
        return functools.partial(
            convert.connection,
            instance=self._instance,
            workspace_id=workspace_id,
            workspace_names=self._joins.known_workspaces,
            web_url=self._web_url,
        )

    def _page(self, listed: client.ConnectionPage, start: walk.Token, rows: Rows[Connection], skipped: int = 0) -> Page:
        """The page at ``start``, without the first rows of it that are to be ``skipped``."""
        shown = Rows(rows.places[skipped:], rows.digests[skipped:]) if skipped else rows
        follows: walk.Token | None = None
        if listed.goes_on(start.position + client.counted(rows.places)):
            places = _up_to_the_last_readable(shown.places)
            last = places[-1] if places else None
            cursor = start.cursor if last is None else last.native_id
            follows = walk.Token(start.position + skipped + client.counted(places), cursor)
        return walk.page(shown, start, follows=follows, sent=listed.sent)

    def _is_named_as(self, page: Page, workspace_id: str) -> bool:
        """Whether the rows of a page are of this workspace and bear the name that it has now. Either all of them do or
        none: rows are kept from a page to the next only where they do."""
        if not page.connections:
            return True
        first, name = page.connections[0], self._joins.known_workspaces.get(workspace_id)
        return first.workspace_id == workspace_id and first.workspace_name == name

    async def _get(self, id: str) -> Connection:
        return await self._one(id, wire.Read)

    async def _get_brief(self, id: str) -> Connection:
        """Without the fields that are only in the full record."""
        return await self._one(id, wire.Brief)

    async def _in_full(self, listed: Connection, kind: type[wire.Brief]) -> Connection:
        return await walk.get_one(listed.native_id, lambda id: self._one(id, kind, listed.workspace_id))

    async def _one(self, id: str, kind: type[wire.Brief], listed_in: str | None = None) -> Connection:
        """The connection of this id. A call by id finds those of all workspaces; by list they would be missing."""
        return await self._made(id, kind, listed_in, await self.transport.send(self._client.call_for(id)))

    async def _made(self, id: str, kind: type[wire.Brief], listed_in: str | None, body: bytes) -> Connection:
        seen, names = self._singles.seen((id, kind, listed_in), body), self._joins.known_workspaces
        made = None if seen is None else seen.made
        if made is not None and made.workspace_name == names.get(made.workspace_id or ""):
            return made
        row = self._client.read(body, kind)
        workspace_id = convert.workspace_of(row) or listed_in
        if self._own:
            if workspace_id is None:  # which is asked for each time
                workspace_id, seen = (await self._client.get_workspace_of(id)).workspace_id, None
            if workspace_id.lower() not in self._own:
                raise NotFound("in a workspace that is not configured", instance=self._instance, provider="airbyte")
        return self._singles.take(seen, self._maker(workspace_id)(row))


def _up_to_the_last_readable(places: Sequence[Connection | None]) -> Sequence[Connection | None]:
    """A cursor cannot stand behind a row without an id: such rows at the end are met again, in front."""
    return places[: next((count for count in range(len(places), 0, -1) if places[count - 1] is not None), 0)]


def _asked(of: List) -> dict[str, Any]:
    """What a request for this list says beside its workspace and its paging."""
    asked: dict[str, Any] = {}
    for name, value in of.narrowed:
        if name == "state":
            asked["filters"] = {"states": [value]}
        else:
            asked.setdefault(name, []).append(value)
    if of.order is not None:
        asked["sortKey"] = SORT_KEYS[of.order.field] + ("_desc" if of.order.is_descending else "_asc")
    return asked
