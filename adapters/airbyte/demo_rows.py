"""The connections of the imitation of Airbyte and their ends, by number, with what was written to them."""

import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any, Literal, NamedTuple, Unpack
from uuid import UUID

from adapters.airbyte.demo_answers import not_found
from adapters.airbyte.demo_catalog import catalog, catalog_diff, operations
from adapters.airbyte.demo_data import (
    PLANTED,
    SCHEDULES,
    SCHEMA_CHANGES,
    SOURCES,
    WORKSPACES,
    connection_id,
    definition_id,
    end_id,
    end_name,
    icon,
    kind_of,
    name_of,
    place_of,
    snippet,
    status_of,
    workspace_id,
)
from adapters.airbyte.demo_jobs import Jobs
from adapters.imitation import ListImitation, Unruliness, native_id

_LISTED = ("name", "scheduleType", "scheduleData", "status")
"""What can be written of a connection and is shown in lists."""


class Placed(NamedTuple):
    """Where a created connection stands: its workspace, and the places there of its source and destination."""

    workspace: str
    source: int
    destination: int


class AirbyteRows(ListImitation):
    """Connections by number, made when they are sent; ``written`` has what calls wrote to each, in the words of
    ``WebBackendConnectionRead``, and ``placed`` those that calls created, of which all is written.

    A job that a call begins takes ``sync_lasts_s`` by the clock: pending for the first tenth, then running, then
    succeeded. A check or a discovery holds its answer for ``task_lasts_s``, of real time.
    """

    def __init__(
        self,
        size: int = 60,
        clock: Callable[[], float] = time.time,
        generation: Literal["dump", "cursor"] = "dump",
        workspaces: Mapping[str, int] = WORKSPACES,
        **unruliness: Unpack[Unruliness],
    ) -> None:
        super().__init__(size, clock, **unruliness)
        self.generation = generation
        self.workspaces = workspaces
        self.sync_lasts_s = 20.0
        self.task_lasts_s = 0.0
        self.written: dict[int, dict[str, Any]] = {}
        self.placed: dict[int, Placed] = {}
        self.jobs = Jobs(clock, lambda number: self.status(number) == "active")
        self._workspace_ids = [workspace_id(name) for name in workspaces]
        self._share_ends = list(accumulate(workspaces.values()))
        self._firsts: dict[str, tuple[int, dict[str, int]]] = {}

    def workspace_of(self, number: int) -> str:
        """The id of a connection's workspace: as many of each sum of the shares as a workspace's share says."""
        if number in self.placed:
            return self.placed[number].workspace
        return self._workspace_ids[bisect_right(self._share_ends, number % self._share_ends[-1])]

    def id_of(self, number: int) -> str:
        return connection_id(number)

    def name(self, number: int) -> str:
        return self.written.get(number, {}).get("name") or name_of(number)

    def status(self, number: int) -> str:
        """That after the last is deleted: lists leave it out, get answers it."""
        natural = "deprecated" if number == self.size else status_of(number)
        return self.written.get(number, {}).get("status", natural)

    def place(self, side: str, number: int) -> int:
        """Which of its workspace's sources or destinations a connection has."""
        placed = self.placed.get(number)
        if placed is not None:
            return placed.source if side == "source" else placed.destination
        return place_of(side, number)

    def known(self, id: object) -> int:
        """The number of a connection, a deleted one too. Raises Refused where there never was one."""
        number = self.number(id, self.size + 1)
        if number is None:
            raise not_found("STANDARD_SYNC", id)
        return number

    # --- connections ---

    def row(self, number: int) -> dict[str, Any]:
        """One ``WebBackendConnectionListItem``."""
        row: dict[str, Any] = {
            "connectionId": connection_id(number),
            **self._settings(number),
            "source": snippet(self.end_of("source", number)),
            "destination": snippet(self.end_of("destination", number)),
            "isSyncing": False,
            "schemaChange": "no_change" if number in self.placed else SCHEMA_CHANGES.get(number, "no_change"),
        }
        return row | self.jobs.latest(number)

    def _settings(self, number: int) -> dict[str, Any]:
        schedule = {} if number in self.placed else SCHEDULES[number % len(SCHEDULES)]
        settings = {"name": self.name(number), **schedule, "status": self.status(number)}
        written = self.written.get(number)
        if written is None:
            return settings
        settings |= {name: written[name] for name in _LISTED if name in written}
        return {name: value for name, value in settings.items() if value is not None}

    def read(self, number: int) -> dict[str, Any]:
        """One ``WebBackendConnectionRead``, with the shape of a newer version in the later generation."""
        row = self.row(number)
        written = {name: value for name, value in self.written.get(number, {}).items() if name not in _LISTED}
        own = {} if number in self.placed else self._natural(number, row["schemaChange"])
        return {
            **row,
            "sourceId": row["source"]["sourceId"],
            "destinationId": row["destination"]["destinationId"],
            "source": self.end_of("source", number),
            "destination": self.end_of("destination", number),
            "schedule": row.get("scheduleData", {}).get("basicSchedule"),
            **own,
            **written,
        }

    def _natural(self, number: int, schema_change: str) -> dict[str, Any]:
        """What a full record adds, where nobody wrote it."""
        later = self.generation == "cursor"
        region = {"dataplaneGroupId": str(UUID(native_id("dataplane")))} if later else {"geography": "eu"}
        created = {"createdAt": int(self.clock()) - 86_400 * (30 + number)} if later else {}
        operation_list = operations(number, self.workspace_of(number), PLANTED)
        return {
            "namespaceDefinition": ("source", "destination", "customformat")[number % 3],
            "namespaceFormat": "raw_${SOURCE_NAMESPACE}" if number % 3 == 2 else "",
            "prefix": "" if number % 2 else f"{SOURCES[number % len(SOURCES)].lower().replace(' ', '_')}_",
            "syncCatalog": catalog(number),
            "operationIds": [operation["operationId"] for operation in operation_list],
            "operations": operation_list,
            "resourceRequirements": {"cpu_request": "0.25", "memory_request": "512Mi"} if number % 4 == 0 else {},
            "catalogId": str(UUID(native_id("catalog", number))),
            "catalogDiff": catalog_diff() if schema_change != "no_change" else None,
            "notifySchemaChanges": number % 2 == 0,
            "nonBreakingChangesPreference": "propagate_columns" if later else "ignore",
            **region,
            **created,
        }

    # --- sources and destinations ---

    def end_of(self, side: str, number: int) -> dict[str, Any]:
        """The ``SourceRead`` or ``DestinationRead`` of a connection, the same for several of them."""
        place, workspace = self.place(side, number), self.workspace_of(number)
        kind = kind_of(side, place)
        end = {
            f"{side}Id": end_id(side, workspace, place),
            "name": end_name(side, place),
            f"{side}DefinitionId": definition_id(side, kind),
            f"{side}Name": kind,
            "workspaceId": workspace,
            "connectionConfiguration": {"host": "db.internal.example", "password": PLANTED, "port": 5432},
        }
        return end | ({"icon": icon(kind)} if self.generation == "cursor" else {})

    def firsts(self, side: str) -> dict[str, int]:
        """The first connection of each source or destination, by the id of that. There are no others."""
        start, firsts = self._firsts.get(side, (0, {}))
        for number in range(start, self.size):
            firsts.setdefault(end_id(side, self.workspace_of(number), self.place(side, number)), number)
        self._firsts[side] = self.size, firsts
        return {id: number for id, number in firsts.items() if number < self.size}

    def first(self, side: str, id: object) -> int:
        """The first connection of this source or destination. Raises Refused where there is none."""
        number = self.firsts(side).get(str(id))
        if number is None:
            raise not_found(f"{side.upper()}_CONNECTION", id)
        return number
