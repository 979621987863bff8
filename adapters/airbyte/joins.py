"""What a list row lacks, looked up in bulk: names of workspaces and endpoints, icons and versions of connectors."""

import functools
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from adapters import walk
from adapters.airbyte import convert
from adapters.airbyte.client import Client
from adapters.errors import AdapterError
from adapters.flight import Kept
from adapters.model import Connection, Endpoint, altered
from adapters.port import Completed, Fields, wants

DEFINED = ("icon", "version", "documentation_url", "release_stage")
"""What a connector's definition adds to an endpoint."""
JOINED = (
    "workspace_name",
    *(f"{side}.{name}" for side in ("source", "destination") for name in ("name", "type", *DEFINED)),
)
"""The field paths that take a lookup, unless a row has them already."""
_KEPT_S = 600.0
_WORKSPACES_KEPT_S = 60.0  # a new one is to show its connections soon
_WORKSPACES_RETRY_S = 1.0
"""Without them nothing can be listed, so their failure is to end soon after its cause has."""

Lookup: TypeAlias = Callable[[Client, str], Awaitable[Mapping[str, Any]]]
"""Asks what is known in a workspace, by id."""


class Joins:
    """Lookups of one instance, each answer kept for a while: definitions and their icons are large."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept = Kept(_KEPT_S)
        self._workspaces = Kept(_WORKSPACES_KEPT_S, _WORKSPACES_RETRY_S)

    async def __call__(self, rows: Sequence[Connection], fields: Fields) -> Completed:
        """The records with what was selected and they lack; a failed lookup leaves them as they are."""
        failures: list[AdapterError] = []
        good_until = math.inf
        if wants(fields, "workspace_name"):
            names = await walk.attempt(self.workspace_names(), {}, failures)
            named = ((row, names.get(row.workspace_id or "") or row.workspace_name) for row in rows)
            rows = [altered(row, workspace_name=name) for row, name in named]
            good_until = self._workspaces.until("all")
        for side, listed, definitions in _SIDES:
            if wants(fields, f"{side}.name", f"{side}.type"):
                rows, until = await self._joined(
                    rows, side, lacking=_is_nameless, lookup=listed, put=_completed, failures=failures
                )
                good_until = min(good_until, until)
            defined = [name for name in DEFINED if wants(fields, f"{side}.{name}")]
            if defined:
                lacking = _is_iconless if defined == ["icon"] else bool
                rows, until = await self._joined(
                    rows, side, lacking=lacking, lookup=definitions, put=convert.defined, failures=failures
                )
                good_until = min(good_until, until)
        return Completed(tuple(rows), tuple(failures), 0.0 if failures else good_until)

    @property
    def known_workspaces(self) -> Mapping[str, str | None]:
        """The workspaces that were last answered, by id, with their names."""
        return self._workspaces.known("all") or {}

    @property
    def are_workspaces_ready(self) -> bool:
        """Whether `workspace_names` takes no call."""
        return self._workspaces.is_ready("all")

    async def workspace_names(self, *, anew: bool = False) -> Mapping[str, str | None]:
        """The names of all workspaces by id, in the upstream's order; ``anew`` as they are this moment."""
        if anew:
            self._workspaces.forget("all")

        async def read() -> Mapping[str, str | None]:
            return {row.workspace_id: row.name for row in (await self._client.list_workspaces()).rows}

        return await self._workspaces.get("all", read)

    async def _joined(
        self,
        rows: Sequence[Connection],
        side: str,
        *,
        lacking: Callable[[Endpoint], bool],
        lookup: Lookup,
        put: Callable[[Endpoint, Mapping[str, Any]], Endpoint],
        failures: list[AdapterError],
    ) -> tuple[Sequence[Connection], float]:
        """The rows with one side completed, and until when what was put there is kept: one lookup for each workspace in
        which an endpoint lacks something."""

        def needy(row: Connection) -> Endpoint | None:
            end: Endpoint | None = getattr(row, side)
            return end if end is not None and end.workspace_id and lacking(end) else None

        ends = list(map(needy, rows))
        workspaces = sorted({end.workspace_id for end in ends if end is not None and end.workspace_id})
        asked = [self._kept.get((lookup, id), functools.partial(lookup, self._client, id)) for id in workspaces]
        answers = await walk.together([walk.attempt(answer, {}, failures) for answer in asked])
        known = dict(zip(workspaces, answers, strict=True))
        joined = [
            row if end is None else altered(row, **{side: put(end, known[end.workspace_id or ""])})
            for row, end in zip(rows, ends, strict=True)
        ]
        return joined, self._kept.until(*((lookup, id) for id in workspaces))


async def _sources(client: Client, workspace_id: str) -> Mapping[str, Endpoint]:
    rows = (await client.list_sources(workspace_id)).rows
    return {row.source_id: convert.source(row) for row in rows if row.source_id}


async def _destinations(client: Client, workspace_id: str) -> Mapping[str, Endpoint]:
    rows = (await client.list_destinations(workspace_id)).rows
    return {row.destination_id: convert.destination(row) for row in rows if row.destination_id}


async def _source_definitions(client: Client, workspace_id: str) -> Mapping[str, convert.Definition]:
    rows = (await client.list_source_definitions(workspace_id)).rows
    return {row.source_definition_id: convert.definition(row) for row in rows if row.source_definition_id}


async def _destination_definitions(client: Client, workspace_id: str) -> Mapping[str, convert.Definition]:
    rows = (await client.list_destination_definitions(workspace_id)).rows
    return {row.destination_definition_id: convert.definition(row) for row in rows if row.destination_definition_id}


_SIDES: Sequence[tuple[str, Lookup, Lookup]] = (
    ("source", _sources, _source_definitions),
    ("destination", _destinations, _destination_definitions),
)
"""Each side, with what tells its endpoints and what tells their connectors' definitions."""


def _is_nameless(end: Endpoint) -> bool:
    return end.name is None or end.type is None


def _is_iconless(end: Endpoint) -> bool:
    return end.icon is None


def _completed(end: Endpoint, listed: Mapping[str, Endpoint]) -> Endpoint:
    known = listed.get(end.id or "")
    if known is None:
        return end
    return altered(
        end,
        name=end.name or known.name,
        type=end.type or known.type,
        icon=end.icon or known.icon,
        definition_id=end.definition_id or known.definition_id,
    )
