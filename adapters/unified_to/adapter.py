"""The port, spoken to Unified.to: a list for each environment, whose pages hold whole records."""

import datetime as dt
import functools
import itertools
import math
from array import array
from collections.abc import Mapping, Sequence

import msgspec

from adapters import walk
from adapters.capabilities import Capability, Refusal
from adapters.decode import Rows
from adapters.errors import AdapterError, NotFound, Unsupported
from adapters.flight import Kept
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
from adapters.transport import Query, Transport
from adapters.unified_to import client, convert, wire
from adapters.unified_to.checks import DEFAULT_ENVIRONMENT
from adapters.unified_to.client import PAGE_LIMIT, STABLE, Client, Settings
from adapters.unified_to.writing import Drafts
from adapters.walk import Before
from adapters.writing import Draft, Start, Wish

SORT_KEYS: Mapping[OrderField, str] = {
    OrderField.NAME: "name",
    OrderField.CREATED_AT: "created_at",
    OrderField.UPDATED_AT: "updated_at",
}
JOINED = ("name", "source.name", "source.icon")
"""The field paths that take the integrations."""
_INTEGRATIONS_KEPT_S = 600.0


def build(workshop: Workshop, settings: Settings) -> "UnifiedToAdapter":
    """An adapter for one instance."""
    return UnifiedToAdapter(workshop.instance, settings, Client(settings, workshop))


class UnifiedToAdapter:
    """Some environments of one Unified.to workspace."""

    def __init__(self, instance: str, settings: Settings, client: Client) -> None:
        self._instance = instance
        self._client = client
        self._environments = settings.environments
        self._imports = settings.import_credentials
        self._integrations = Kept(_INTEGRATIONS_KEPT_S)
        self._singles: Singles[Connection] = Singles()
        self._drafts = Drafts(client, settings, self._offered)

    @property
    def transport(self) -> Transport:
        return self._client.transport

    async def parts(self) -> Sequence[str]:
        return self._environments

    def narrow(self, where: Filter) -> Narrowing:
        """To environments, to one category (whether several mean all or any of them is not documented), and to what
        has changed since a moment."""
        asked: list[tuple[str, str]] = []
        # Those that name no environment are listed too, in Production or, where that is not ours, in any: whether they
        # are meant is for who filters to judge.
        is_judged = DEFAULT_ENVIRONMENT in (where.environment or ()) or DEFAULT_ENVIRONMENT not in self._environments
        used = ["environment"] * (where.environment is not None and not is_judged)
        if where.category is not None and len(where.category) == 1:
            asked.append(("categories", where.category[0]))
            used.append("category")
        if where.updated_at is not None and where.updated_at.since is not None:
            asked.append(("updated_gte", where.updated_at.since.isoformat()))
            used.append("updated_at")
        parts = None if where.environment is None else frozenset(where.environment)
        return Narrowing(parts, tuple(asked), frozenset(used))

    def sorts(self, order: Order) -> bool:
        return order.field in SORT_KEYS

    async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
        start = walk.token(after)
        now = dt.datetime.now(dt.UTC)
        if last is not None and last.good_until is not None and last.good_until <= now:
            last = None
        asked = (*_sorted(of.order), *of.narrowed)
        # Of the rows that are kept, none ends before that.
        ends = [] if last is None or last.good_until is None else [last.good_until]
        made = functools.partial(convert.connection, instance=self._instance, now=now, ends=ends)
        listed = await self._client.list_connections(
            of.part, offset=start.position, asked=asked, before=Before(last, made)
        )
        if isinstance(listed, Page):
            return listed if listed is last else listed._replace(good_until=min(ends, default=None))
        rows = walk.unified(listed.rows, made)
        follows = walk.Token(start.position + len(rows.places)) if listed.more else None
        own = self._own(rows, of.part)
        return walk.page(own, start, follows=follows, sent=listed.sent, good_until=min(ends, default=None))

    def ahead(self, token: str, pages: int) -> str | None:
        start = walk.token(token)
        return str(msgspec.structs.replace(start, position=start.position + pages * PAGE_LIMIT, first=""))

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        """The records with the names and logos of their integrations, where those were selected."""
        # Later versions name the integration in each row; its logo is nowhere else.
        lacking = self.adds(fields) and not all(map(convert.is_named, connections))
        if not connections or not (lacking or wants(fields, "source.icon")):
            return Completed(tuple(connections), good_until=math.inf)
        failures: list[AdapterError] = []
        integrations = await walk.attempt(self._offered(), {}, failures)
        named = tuple(convert.named(connection, integrations) for connection in connections)
        return Completed(named, tuple(failures), self._integrations.until("all") if not failures else 0.0)

    def adds(self, fields: Fields) -> bool:
        return wants(fields, *JOINED)

    def holds(self, fields: Fields) -> bool:
        return True  # rows of the list are whole

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        found = await walk.find(list(wanted), parts=self._environments, read=read or self.read, get=self._get)
        fields = LIST_FIELDS.union(*wanted.values())
        return await walk.completed(found, lambda records: self.complete(records, fields), lacks=self.adds(fields))

    def single(self, id: str, fields: Fields) -> Single | None:
        async def read(body: bytes) -> Completed:
            made = self._made(id, body)
            return (await self.complete((made,), fields)).until(self._singles.until(id, made))

        return Single(self._client.call_for(id), read)

    async def runs(self, connection: Connection, *, after: str | None, limit: int) -> RunPage:
        raise Unsupported(
            "Unified.to has no runs", instance=self._instance, provider=connection.provider, operation="runs"
        )

    def plan(self, work: Work) -> Sequence[Planned]:
        fields = work.fields.union(*work.wanted.values())
        return [
            *([] if work.lists is None else self._plan_lists(work.lists)),
            *self._plan_ids(work.wanted),
            *self._plan_integrations(fields),
        ]

    def refuses(self, action: Capability) -> Refusal | None:
        refused = action is Capability.IMPORT_CREDENTIALS and not self._imports
        return Refusal.NOT_PERMITTED if refused else None

    async def draft(self, wish: Wish) -> Draft:
        return await self._drafts.of(wish)

    def grouped(self, starts: Sequence[Start]) -> Sequence[Sequence[Start]]:
        return [[start] for start in starts]  # there is nothing to start

    def _plan_lists(self, lists: Narrowing) -> list[Planned]:
        read = [part for part in self._environments if lists.parts is None or part in lists.parts]
        return [Planned(client.LIST, len(read), "more for lists of more than a hundred")] * bool(read)

    def _plan_ids(self, wanted: Mapping[str, Fields]) -> list[Planned]:
        """One by one, or, where there are more of them than environments, by list."""
        if len(wanted) <= len(self._environments):
            return [Planned(client.GET, len(wanted))] * bool(wanted)
        rest = Planned(client.GET, None, "one for each connection that the first hundreds do not hold")
        return [*self._plan_lists(Narrowing()), rest]

    def _plan_integrations(self, fields: Fields) -> list[Planned]:
        if not wants(fields, *JOINED) or self._integrations.is_ready("all"):
            return []
        if wants(fields, "source.icon"):
            return [Planned(client.INTEGRATIONS, 1, "more for offers of more than a hundred")]
        return [Planned(client.INTEGRATIONS, None, "one where rows do not name their integrations themselves")]

    def _own(self, rows: Rows[Connection], environment: str) -> Rows[Connection]:
        """The rows without those of other environments."""
        own = [row is None or not self._is_elsewhere(row, environment) for row in rows.places]
        if all(own):
            return rows
        return Rows(tuple(itertools.compress(rows.places, own)), array("Q", itertools.compress(rows.digests, own)))

    def _is_elsewhere(self, row: Connection, environment: str) -> bool:
        """Whether the row belongs to another list: an upstream that ignores `env` gives the same rows in each."""
        if not row.environment:  # in Production, unless that is not among ours
            return environment != DEFAULT_ENVIRONMENT and DEFAULT_ENVIRONMENT in self._environments
        return row.environment != environment

    async def _get(self, id: str) -> Connection:
        return self._made(id, await self.transport.send(self._client.call_for(id)))

    def _made(self, id: str, body: bytes) -> Connection:
        seen = self._singles.seen(id, body)
        if seen is not None and seen.made is not None:
            return seen.made
        row = self._client.read(body)
        # A call by id finds those of all environments; by list they would be missing.
        if row.environment and row.environment not in self._environments:
            raise NotFound("in an environment that is not configured", instance=self._instance, provider="unified_to")
        ends: list[dt.datetime] = []
        made = convert.connection(row, instance=self._instance, now=dt.datetime.now(dt.UTC), ends=ends)
        return self._singles.take(seen, made, min(ends, default=None))

    async def _offered(self) -> Mapping[str, wire.Integration]:
        return await self._integrations.get("all", self._by_type)

    async def _by_type(self) -> dict[str, wire.Integration]:
        return {integration.type: integration for integration in await self._client.list_integrations()}


def _sorted(order: Order | None) -> Query:
    if order is None:
        return STABLE
    return ("sort", SORT_KEYS[order.field]), ("order", "desc" if order.is_descending else "asc")
