"""Workiva keeps the promises of every adapter."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.model import Connection
from adapters.port import Capability
from adapters.workiva import PROVIDER, writing
from adapters.workiva.demo import CLIENT_SECRET, WorkivaImitation
from adapters.writing import Start, StartMany, Wish
from tests.adapters.contracted import NOW
from tests.adapters.writing_contract import WritingContract


class TestWorkiva(WritingContract):
    provider = PROVIDER
    list_path, rows_in, id_name = "/api/v1/connections", "body", "connectionId"
    secrets = (CLIENT_SECRET,)
    several = {"size": 150, "page_cap": 20}
    short_pages_end = False

    def imitation(self, **options: Any) -> WorkivaImitation:
        return WorkivaImitation(clock=lambda: NOW, **options)

    def wishes(self, rows: Sequence[Connection]) -> Mapping[Capability, Wish]:
        starts = [Start(row) for row in rows if not row.running]
        together = next(group for group in writing.grouped(starts) if len(group) > 1)
        return {Capability.RUN: starts[0], Capability.RUN_MANY: StartMany(together)}
