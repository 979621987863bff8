"""The port: what an adapter is, whatever upstream is behind it.

A *field path* names something of the unified record as a query selects it: ``name``, ``source.icon``, or, for what
only one provider has, the name of its details record first: ``AirbyteConnection.sync_catalog``. An adapter is told
the paths that were selected and spends calls on those alone; what was not selected may stay ``None``.
"""

import datetime as dt
import functools
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, NamedTuple, Protocol, Self, TypeAlias

import msgspec
from msgspec import Meta

from adapters.auth import Authorizer
from adapters.capabilities import Capability, Refusal
from adapters.errors import AdapterError
from adapters.http1 import Client
from adapters.layout import Layout
from adapters.model import Connection, ConnectionStatus, Record, Run, ScheduleType, SchemaChange, Word
from adapters.transport import Hook, Request, Settings, Transport
from adapters.writing import Draft, Start, Wish

Fields: TypeAlias = frozenset[str]

LIST_FIELDS: Fields = frozenset()
"""Nothing beyond what a list page holds anyway."""


class OrderField(Word):
    """What connections can be sorted by. Those without it come last, in either direction."""

    NAME = "NAME", "By name, whatever its case and accents."
    STATUS = "STATUS", "By how bad the status is: ASC begins with what is well, DESC with what fails."
    SOURCE = "SOURCE", "By the name of the source, or its type where it has no name."
    DESTINATION = "DESTINATION", "By the name of the destination, or its type where it has no name."
    PROVIDER = "PROVIDER", "By provider."
    LAST_RUN_AT = "LAST_RUN_AT", "By when the last run started."
    CREATED_AT = "CREATED_AT", "By when they were created, where lists tell."
    UPDATED_AT = "UPDATED_AT", "By when they were last changed."
    LAST_HEALTHY_AT = "LAST_HEALTHY_AT", "By when their health was last found good."
    OVERDUE = "OVERDUE", "By how long a run has been overdue: DESC begins with the longest."


class Order(NamedTuple):
    """A field to sort by, and which way."""

    field: OrderField
    is_descending: bool = False


class Period(Record, frozen=True, kw_only=True):
    """A span of time; one without a bound on a side is open there."""

    since: Annotated[dt.datetime | None, Meta(description="Not before this moment.")] = None
    before: Annotated[dt.datetime | None, Meta(description="Before this moment, and not at it.")] = None


Texts: TypeAlias = tuple[str, ...]


class Conditions(Record, frozen=True, kw_only=True):
    """What connections are to be like. Conditions are joined by AND, the values of one by OR; None is no condition,
    and a list without values is met by nothing."""

    text: Annotated[
        str | None,
        Meta(
            description=(
                "This text stands in the name, the description, the external reference, or the name or type of an "
                "endpoint; whatever its case and accents."
            )
        ),
    ] = None
    instance: Annotated[Texts | None, Meta(description="In one of these instances, by name.")] = None
    status: Annotated[tuple[ConnectionStatus, ...] | None, Meta(description="With one of these statuses.")] = None
    enabled: Annotated[bool | None, Meta(description="Switched on, or off.")] = None
    running: Annotated[bool | None, Meta(description="With a run going on, or without.")] = None
    overdue: Annotated[bool | None, Meta(description="With a run overdue by its schedule, or without.")] = None
    workspace_id: Annotated[Texts | None, Meta(description="In one of these workspaces, by id.")] = None
    environment: Annotated[Texts | None, Meta(description="In one of these environments.")] = None
    source_id: Annotated[Texts | None, Meta(description="Reading from one of these sources, by id.")] = None
    source_name: Annotated[Texts | None, Meta(description="Reading from one of these sources, by name.")] = None
    source_type: Annotated[Texts | None, Meta(description="Reading from one of these kinds of systems.")] = None
    destination_id: Annotated[Texts | None, Meta(description="Writing to one of these destinations, by id.")] = None
    destination_name: Annotated[Texts | None, Meta(description="Writing to one of these destinations, by name.")] = None
    destination_type: Annotated[Texts | None, Meta(description="Writing to one of these kinds of systems.")] = None
    category: Annotated[Texts | None, Meta(description="Covering one of these categories.")] = None
    permission: Annotated[Texts | None, Meta(description="With one of these permissions.")] = None
    schedule_type: Annotated[tuple[ScheduleType, ...] | None, Meta(description="Started by one of these.")] = None
    schema_change: Annotated[
        tuple[SchemaChange, ...] | None, Meta(description="With one of these states of the source's schema.")
    ] = None
    created_at: Annotated[Period | None, Meta(description="Created in this span, where lists tell.")] = None
    updated_at: Annotated[Period | None, Meta(description="Last changed in this span.")] = None
    last_run_at: Annotated[Period | None, Meta(description="Whose last run started in this span.")] = None
    last_healthy_at: Annotated[Period | None, Meta(description="Last found healthy in this span.")] = None


class Filter(Conditions, frozen=True, kw_only=True):
    """All conditions. ``provider`` holds keys of providers, ``ids`` an instance and a native id each."""

    provider: Texts | None = None
    ids: tuple[tuple[str, str], ...] | None = None
    not_: "Filter | None" = None


class List(NamedTuple):
    """A list to read: of which part of the instance (a workspace, an environment), narrowed how, in which order.

    Without an order it comes in the one that is best walked whole.
    """

    part: str = ""
    narrowed: tuple[tuple[str, str], ...] = ()
    order: Order | None = None


class Narrowing(NamedTuple):
    """What an upstream can do of a filter itself: in which ``parts`` to look (None: all), what to ask of each. The
    rest is done here, and so is all of it once more. ``conditions`` are the names of those that were used."""

    parts: frozenset[str] | None = None
    asked: tuple[tuple[str, str], ...] = ()
    conditions: frozenset[str] = frozenset()


class Page(NamedTuple):
    """A page of a list, each connection once. ``next`` is the token of the one after it, None at the end. ``dropped``
    counts rows that could not be read, ``size_bytes`` and ``digest`` are of the body as it was sent; there is no digest
    where only parts of it were compared."""

    connections: tuple[Connection, ...]
    next: str | None = None
    dropped: int = 0
    size_bytes: int = 0
    digest: bytes = b""
    good_until: dt.datetime | None = None
    """When something in the records will have changed with nothing changing upstream; None for never."""
    row_digests: Sequence[int] = ()
    """Of each connection, in their order, what tells the row it was made of from others; none where that is unknown."""
    layout: Layout | None = None
    """Where the row of each connection stood in the body, where that is known of all of them."""


Reader: TypeAlias = Callable[[List], Awaitable[Page]]
"""Gives the first page of a list. May raise AdapterError."""


class Planned(NamedTuple):
    """Calls that would be made, by the request they begin with. ``times`` is None where it takes the answers to know;
    ``why`` then says what it depends on."""

    request: Request
    times: int | None = 1
    why: str = ""


class Work(NamedTuple):
    """What an adapter is asked to plan for: reading lists, whole or their first page, for these field paths; completing
    so many rows; getting these ids."""

    lists: Narrowing | None = None
    fields: Fields = frozenset()
    wanted: Mapping[str, Fields] = {}


class Completed(NamedTuple):
    """The connections that were given, in their order, with what was wanted of them; one to which that adds nothing is
    the very object that was given. ``failures`` are of calls that would have added something to a connection, which is
    here without it."""

    connections: tuple[Connection, ...]
    failures: tuple[AdapterError, ...] = ()
    good_until: float = 0.0
    """Until when, by ``time.monotonic``, completing the same rows with the same fields adds the same again, because all
    that was looked up is kept until then; infinite where nothing was. 0 where that is unknown, or something failed."""

    def until(self, ends_at: float) -> Self:
        """The same, good until then at the latest."""
        return self if self.good_until <= ends_at else self._replace(good_until=ends_at)


class Found(NamedTuple):
    """Connections by native id, or the error that stands for one; ids unknown upstream are absent.

    ``failures`` as in `Completed`.
    """

    by_id: Mapping[str, Connection | AdapterError]
    failures: tuple[AdapterError, ...] = ()


class Single(NamedTuple):
    """The call by which a connection is found: what is asked for, and what is ``made`` of the body of the answer, which
    may take other calls. That raises AdapterError, NotFound for what is not of this instance. Its ``good_until`` tells
    until when the same is made of the same body, in all that is wanted."""

    request: Request
    made: Callable[[bytes], Coroutine[Any, Any, Completed]]


class RunPage(NamedTuple):
    """Some runs of one connection, the newest first; ``total`` where the upstream counts them."""

    runs: tuple[Run, ...]
    tokens: tuple[str, ...]
    more: bool
    total: int | None = None


class Adapter(Protocol):
    """One instance of one provider. Every method may raise AdapterError."""

    @property
    def transport(self) -> Transport:
        """The calls to this instance, with their breaker."""
        ...

    async def parts(self) -> Sequence[str]:
        """The lists that make up the instance, by name; one called "" where there is only one."""
        ...

    def narrow(self, where: Filter) -> Narrowing:
        """What the upstream itself can do of a filter."""
        ...

    def sorts(self, order: Order) -> bool:
        """Whether `read` can be asked for this order. Who merges pages checks it: upstreams compare as they like."""
        ...

    async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
        """A page of a list, as long as the upstream gives them, at the token ``after`` or from the start.

        ``last`` is what was read there before, which is given back as it is where the upstream's body is the same;
        else each row that is the same, wherever it stands, is the very connection that it was there.
        Each connection comes once in a walk while the upstream stands still. Raises Rejected for a token that is
        not of this adapter.
        """
        ...

    def ahead(self, token: str, pages: int) -> str | None:
        """The token so many pages after ``token``; None where only the pages before it tell."""
        ...

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        """Listed connections with the field paths wanted of them that a list does not hold, in the fewest calls."""
        ...

    def adds(self, fields: Fields) -> bool:
        """Whether `complete` may add something to a listed connection for these field paths; makes no call."""
        ...

    def holds(self, fields: Fields) -> bool:
        """Whether a listed connection that was completed with these field paths has in them what `get_many` gives, so
        that nobody need ask for it by id. May change as the adapter learns what its upstream is; makes no call."""
        ...

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        """Connections by native id, each with the field paths wanted of it, in the fewest calls.

        ``read`` gives the first page of a list in place of the adapter's own `read`: from memory, as a rule.
        """
        ...

    def single(self, id: str, fields: Fields) -> Single | None:
        """The call by which `get_many` finds this connection where it is asked for alone, now and later; None where
        there is no such call. Makes none."""
        ...

    async def runs(self, connection: Connection, *, after: str | None, limit: int) -> RunPage:
        """The runs of a connection. Raises Unsupported where the provider has none."""
        ...

    def plan(self, work: Work) -> Sequence[Planned]:
        """The calls that this work would take now, as far as they can be known without making them."""
        ...

    def refuses(self, action: Capability) -> Refusal | None:
        """Why something that the provider can do is not done in this instance; None where it is."""
        ...

    async def draft(self, wish: Wish) -> Draft:
        """What would be sent for a wish that the provider can fulfil. Makes reads at the most. Raises Unfit."""
        ...

    def grouped(self, starts: Sequence[Start]) -> Sequence[Sequence[Start]]:
        """The starts in groups: several that can be drafted as one `StartMany`, or one alone."""
        ...


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of upstream: everything the gateway must know of it, as data.

    ``key`` is its word in configurations and, in capitals, in the graph. ``details`` is its member of the graph's
    ``details`` union. ``create``, ``update`` and ``start`` are the records that a client can send to have a connection
    made, changed or run, ``catalog`` what discovering a schema gives. ``native_id`` is what its ids look
    like. ``source_models`` says where each field of the upstream's models is found in the graph, and ``secrets`` which
    of these fields are never read, and what stands in their place.
    """

    key: str
    label: str
    description: str
    capabilities: frozenset[Capability]
    native_id: re.Pattern[str]
    settings: type[Settings]
    details: type[msgspec.Struct]
    create: type[msgspec.Struct] | None = None
    update: type[msgspec.Struct] | None = None
    start: type[msgspec.Struct] | None = None
    catalog: type[msgspec.Struct] | None = None
    source_models: Mapping[str, Mapping[str, str]] = {}
    secrets: Mapping[str, str] = {}
    build: Callable[["Workshop", Any], Adapter]
    demo: Callable[..., "Imitation"]


class Workshop(NamedTuple):
    """What `Provider.build` is given to make an adapter for one instance.

    An adapter's calls go through `transport`. ``client`` is the one HTTP client of the process below it: sockets and
    nothing else. What httpx can do besides is had from ``httpx.AsyncClient(transport=workshop.client)``, which is not
    to be closed, for it would close the sockets of all.
    """

    instance: str
    client: Client
    hooks: Sequence[Hook] = ()

    def transport(
        self,
        settings: Settings,
        base_url: str,
        *,
        authorizer: Authorizer | None = None,
        headers: Mapping[str, str] = {},
    ) -> Transport:
        """Calls to ``base_url`` in the name of this instance. Raises ConfigurationError for a URL that is none."""
        return Transport(
            instance=self.instance,
            provider=str(type(settings).__struct_config__.tag),
            settings=settings,
            base_url=base_url,
            client=self.client,
            authorizer=authorizer,
            headers=headers,
            hooks=self.hooks,
        )


class Imitation(Protocol):
    """A provider's imitation upstream, ready to be served; see `adapters.imitation`."""

    def serve(self, port: int = 0) -> AbstractAsyncContextManager[str]:
        """Serve on a loopback port, a free one where ``port`` is 0; gives the base URL."""
        ...

    def settings(self, base_url: str) -> dict[str, Any]:
        """The configuration of an instance over this imitation, as it would stand in YAML."""
        ...


@functools.lru_cache(maxsize=4096)
def wants(fields: Fields, *paths: str) -> bool:
    """Whether any of ``paths``, or something inside one of them, was selected."""
    return any(field == path or field.startswith(path + ".") for field in fields for path in paths)
