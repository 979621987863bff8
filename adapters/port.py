"""The port: what an adapter is, whatever upstream is behind it.

A *field path* names something of the unified record as a query selects it: ``name``, ``source.icon``, or, for what
only one provider has, the name of its details record first: ``AirbyteConnection.sync_catalog``. An adapter is told
the paths that were selected and spends calls on those alone; what was not selected may stay ``None``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol, TypeAlias

import httpx
import msgspec

from adapters.auth import Authorizer
from adapters.errors import AdapterError
from adapters.model import Connection, Run, Word
from adapters.transport import Hook, Settings, Transport

Fields: TypeAlias = frozenset[str]

LIST_FIELDS: Fields = frozenset()
"""Nothing beyond what a list page holds anyway."""


class Capability(Word):
    """Something a provider can express or do. What is not among its capabilities is null, or UNSUPPORTED."""

    SCHEDULE = "SCHEDULE", "Connections have a schedule."
    RUNS = "RUNS", "Runs can be listed."
    LAST_RUN = "LAST_RUN", "The last run is known."
    RUN_COUNTS = "RUN_COUNTS", "Runs count rows and bytes."
    HEALTH_CHECKS = "HEALTH_CHECKS", "Health is checked, and lastHealthyAt and lastUnhealthyAt are known."
    SCHEMA_CHANGES = "SCHEMA_CHANGES", "Changes of the source's schema are noticed."
    ENVIRONMENTS = "ENVIRONMENTS", "Connections belong to an environment."
    CATEGORIES = "CATEGORIES", "Connections have categories and permissions."
    DESCRIPTION = "DESCRIPTION", "Connections can be described in words."
    DESTINATION = "DESTINATION", "Connections have a destination of their own."
    CREATED_AT = "CREATED_AT", "Lists tell when a connection was created and changed."
    WORKSPACE_NAMES = "WORKSPACE_NAMES", "Workspaces have names."


class Page(NamedTuple):
    """Some connections in the upstream's own order.

    ``tokens`` has one text for each connection: `Adapter.page` resumes right after it. ``dropped`` counts rows that
    could not be read. ``more`` is False only where the upstream is known to hold nothing further.
    """

    connections: tuple[Connection, ...]
    tokens: tuple[str, ...]
    more: bool
    dropped: int = 0


class Completed(NamedTuple):
    """The connections that were given, in their order, with what was wanted of them. ``failures`` are of calls that
    would have added something to a connection, which is here without it."""

    connections: tuple[Connection, ...]
    failures: tuple[AdapterError, ...] = ()


class Found(NamedTuple):
    """Connections by native id, or the error that stands for one; ids unknown upstream are absent.

    ``failures`` as in `Completed`.
    """

    by_id: Mapping[str, Connection | AdapterError]
    failures: tuple[AdapterError, ...] = ()


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

    async def page(self, *, after: str | None, limit: int) -> Page:
        """At most ``limit`` connections after the token ``after``, or from the start, as the upstream's list has them.

        Each connection of the instance comes exactly once in a walk while the upstream stands still, and the walk
        ends even where the upstream repeats a cursor. Raises Rejected for a token that is not of this adapter.
        """
        ...

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        """Listed connections with the field paths wanted of them that a list does not hold, in the fewest calls."""
        ...

    async def get_many(self, wanted: Mapping[str, Fields]) -> Found:
        """Connections by native id, each with the field paths wanted of it, in the fewest calls."""
        ...

    async def runs(self, connection: Connection, *, after: str | None, limit: int) -> RunPage:
        """The runs of a connection. Raises Unsupported where the provider has none."""
        ...


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of upstream: everything the gateway must know of it, as data.

    ``key`` is its word in configurations and, in capitals, in the graph. ``details`` is its member of the graph's
    ``details`` union and ``inputs`` the records that a client can send for it. ``native_id`` is what its ids look
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
    inputs: tuple[type[msgspec.Struct], ...] = ()
    source_models: Mapping[str, Mapping[str, str]] = {}
    secrets: Mapping[str, str] = {}
    build: Callable[["Workshop", Any], Adapter]
    demo: Callable[..., "Imitation"]


class Workshop(NamedTuple):
    """What `Provider.build` is given to make an adapter for one instance."""

    instance: str
    client: httpx.AsyncClient
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


def wants(fields: Fields, *paths: str) -> bool:
    """Whether any of ``paths``, or something inside one of them, was selected."""
    return any(field == path or field.startswith(path + ".") for field in fields for path in paths)
