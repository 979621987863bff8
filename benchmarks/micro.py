"""``python -m benchmarks.micro``: the rooms of the gateway one by one, in processor time of this process.

The upstream is another process, as in `benchmarks.speed`; all else is here, without HTTP in front of it.
"""

import asyncio
import datetime as dt
import functools
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx
import msgspec
import uvloop

from adapters import decode, digests, model, walk
from adapters.airbyte import convert as airbyte_convert
from adapters.airbyte import wire as airbyte_wire
from adapters.http1 import Client
from adapters.port import LIST_FIELDS, Fields, Filter, Found, Order, OrderField, Page, Reader
from adapters.transport import Request
from adapters.unified_to import convert as unified_convert
from adapters.unified_to import wire as unified_wire
from adapters.walk import Bounds, Sent
from adapters.workiva import convert as workiva_convert
from adapters.workiva import wire as workiva_wire
from benchmarks.cases import CASES, Known
from benchmarks.fast import changing
from benchmarks.figures import as_table
from benchmarks.servers import SECTIONS, cores
from benchmarks.talk import talking
from gateway import app, config, paging
from gateway.context import Context
from gateway.execution.compiled import Plans, compiled
from gateway.execution.engine import Engine
from gateway.instances import Instance, Instances
from gateway.inventory import Ages, Ask, Inventory
from gateway.ledger import Ledger
from gateway.loaders import Loaders
from gateway.paging import Window
from gateway.protection.body import Operation
from gateway.schema.providers import PROVIDERS
from gateway.schema.scalars import AS_ENCODED
from gateway.sources import Need
from gateway.writes import Writes

ENOUGH_S = 0.6
"""How long each is repeated, in processor time."""
KEPT_S = 3600.0
Lines = list[list[str]]


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Processor time of one repetition, in milliseconds."""
    for _ in range(3):
        await work()
    began, times = time.process_time(), 0
    while (used := time.process_time() - began) < ENOUGH_S:
        await work()
        times += 1
    return 1000 * used / times


async def timed_plainly(work: Callable[[], object]) -> float:
    """The same of what does not wait."""

    async def once() -> object:
        return work()

    return await timed(once)


class Rooms:
    """A gateway without its front, over the fast upstream."""

    def __init__(self, instances: Instances, known: Known) -> None:
        self.instances = instances
        self.known = known
        self.inventory = Inventory(Ages(KEPT_S, KEPT_S, 60), Bounds(500_000, 2**31))
        self.limits = config.settings({"instances": {"x": _ANY}, **SECTIONS}, PROVIDERS).limits
        writes = Writes(self.inventory, Ledger(None, KEPT_S))
        self._new_context = functools.partial(Context, instances, self.inventory, writes, max_first=self.limits.first)

    def engine(self, *, is_compiled: bool) -> Engine:
        """An engine that executes in one way or the other."""
        executor = compiled(Plans(AS_ENCODED)) if is_compiled else None
        return Engine(app.schema(), self.limits, self._new_context, executor)


_ANY: Mapping[str, Any] = {"provider": "unified_to"}


async def executor(rooms: Rooms) -> Lines:
    """Each query over what is in memory, as far as lists are: all but its decoding, its encoding and HTTP."""
    lines: Lines = []
    for case in CASES:
        if case.fleet != "hundred" or case.name in ("by_id", "twenty_ids"):
            continue
        body = case.bodies(rooms.known)[0]
        operation = Operation(body["query"], body.get("variables"))
        for is_compiled in (False, True):
            engine = rooms.engine(is_compiled=is_compiled)
            taken = await timed(functools.partial(engine.run, operation))
            how = "compiled" if is_compiled else "by graphql-core"
            lines.append([f"executor: {case.title}, warm, {how}", f"{taken:.3f} ms"])
    return lines


class Listing(msgspec.Struct, frozen=True):
    """How a list is read: its rows cut out of a body, records of a kind, and connections made of these."""

    cut: Callable[[bytes], Any]
    kind: type[Any]
    made: Callable[[Any], model.Connection]
    field: str
    """What is another where a row has changed."""

    def page(self, body: bytes) -> Page:
        """A body that is read for the first time."""
        rows = walk.unified(decode.rows(self.cut(body), self.kind, body=body), self.made)
        return walk.page(rows, walk.START, follows=None, sent=Sent.of(body))


async def decoder(rooms: Rooms) -> Lines:
    """A body of a hundred of each, decoded and converted: as it is read first, and with one row changed since."""
    elsewhere: Any = {"instance": "airbyte", "workspace_id": "w", "web_url": "https://airbyte.example.com"}
    now = dt.datetime.now(dt.UTC)
    listings: dict[str, Listing] = {
        "airbyte": Listing(
            lambda body: decode.whole(body, airbyte_wire.ListReply).connections,
            airbyte_wire.ListItem,
            lambda row: airbyte_convert.connection(row, **elsewhere),
            "name",
        ),
        "workiva": Listing(
            lambda body: decode.whole(body, workiva_wire.Paged).body,
            workiva_wire.Connection,
            lambda row: workiva_convert.connection(row, instance="workiva"),
            "name",
        ),
        "unified": Listing(
            lambda body: body,
            unified_wire.Connection,
            lambda row: unified_convert.connection(row, instance="unified", now=now),
            "external_xref",
        ),
    }
    lines: Lines = []
    for name, sent in (await _bodies(rooms)).items():
        listing = listings[name]
        body, changed, *_ = changing(sent, listing.field)
        page = listing.page(body)
        cold = functools.partial(listing.page, body)
        lines.append(
            [f"decode and convert: {name}, {len(page.connections)} rows", f"{await timed_plainly(cold):.3f} ms"]
        )
        again = functools.partial(walk.Before(page, listing.made).renewed, changed, listing.kind)
        assert again() not in (None, page)  # noqa: S101  or it would measure another thing
        lines.append([f"the same, one row changed: {name}", f"{await timed_plainly(again):.3f} ms"])
        digesting = functools.partial(digests.of_body, body)
        lines.append([f"digest: {name}, {len(body):,} bytes", f"{await timed_plainly(digesting):.3f} ms"])
    return lines


async def _bodies(rooms: Rooms) -> dict[str, bytes]:
    """What a list of each instance is answered."""
    workspace = (await rooms.instances["airbyte"].adapter.parts())[0]
    asked = {
        "airbyte": Request("list", "POST", "/v1/web_backend/connections/list", json={"workspaceId": workspace}),
        "workiva": Request("list", "GET", "/api/v1/connections"),
        "unified": Request("list", "GET", "/unified/connection", query=[("env", "Production")]),
    }
    return {name: await rooms.instances[name].adapter.transport.send(request) for name, request in asked.items()}


class Remembering:
    """An adapter that has read everything already."""

    def __init__(self, connections: Mapping[str, model.Connection]) -> None:
        self._connections = connections

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        """As the port has it."""
        return Found({id: self._connections[id] for id in wanted})


async def loader(rooms: Rooms) -> Lines:
    """Twenty ids in one batch, of an adapter that costs nothing."""
    whole = await paging.page(rooms.instances, rooms.inventory, _need(), Window(1000))
    rows = {row.native_id: row for row in whole.nodes if row.instance == "workiva"}
    adapter: Any = Remembering(rows)
    alone = {"workiva": Instance("workiva", rooms.instances["workiva"].provider, adapter)}
    ids = list(rows)[:20]

    ask = Ask(0, time.monotonic())

    async def load() -> object:
        loaders = Loaders(alone, _NO_INVENTORY)
        return await asyncio.gather(*(loaders.connection(("workiva", id), LIST_FIELDS, ask) for id in ids))

    return [["loader: 20 ids in a batch", f"{await timed(load):.3f} ms"]]


def _need() -> Need:
    by = (Order(OrderField.NAME),)
    ask, now = Ask(KEPT_S, time.monotonic()), dt.datetime.now(dt.UTC)
    return Need(Filter(), by, ask, frozenset(), frozenset(), now, order=by[0])


_NO_INVENTORY = Inventory(Ages(KEPT_S, KEPT_S, 60), Bounds(1, 1024))


async def transport(rooms: Rooms, ids: Sequence[str]) -> Lines:
    """Calls by id, so many in flight; beside them httpx alone."""
    to = rooms.instances["workiva"].adapter.transport
    one = Request("get", "GET", "/api/v1/connections/{id}", ids={"id": ids[0]})
    lines: Lines = []
    for in_flight in (1, 32, 256):
        # Equal calls in flight are one, so each has a number of its own, which the upstream has met before.
        sent = [one.of(query=[("n", str(number))]) for number in range(in_flight)]

        async def send(these: Sequence[Request] = sent) -> object:
            return await asyncio.gather(*map(to.send, these))

        lines.append([f"transport: one call, {in_flight} in flight", f"{await timed(send) / in_flight:.3f} ms"])
    return lines


async def bare(url: str, headers: Mapping[str, str]) -> Lines:
    """The same calls by httpx alone."""
    lines: Lines = []
    async with httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=256), trust_env=False) as client:
        for in_flight in (1, 32, 256):

            async def get(count: int = in_flight) -> object:
                urls = (f"{url}?n={number}" for number in range(count))
                return await asyncio.gather(*(client.get(each, headers=headers) for each in urls))

            lines.append([f"httpx alone: one call, {in_flight} in flight", f"{await timed(get) / in_flight:.3f} ms"])
    return lines


async def merge(rooms: Rooms) -> Lines:
    """Pages of three lists in memory."""
    lines: Lines = []
    for size in (25, 100, 300):
        page = functools.partial(paging.page, rooms.instances, rooms.inventory, _need(), Window(size))
        lines.append([f"merge: a page of {size} of three lists in memory", f"{await timed(page):.3f} ms"])
    return lines


async def main() -> None:
    """Measure and tell."""
    at = cores()
    os.sched_setaffinity(0, {at.others})
    async with talking("fast") as upstream, Client() as client:
        told = await upstream.heard()
        os.sched_setaffinity(0, {at.measured})
        instances = {name: {**of, "max_in_flight": 256} for name, of in told["instances"]["hundred"].items()}
        settings = config.settings({"instances": instances, **SECTIONS}, PROVIDERS)
        rooms = Rooms(app.connect(settings, client, PROVIDERS), told["ids"]["hundred"])
        lines = [["", "CPU"], *await executor(rooms), *await decoder(rooms), *await loader(rooms)]
        lines += await merge(rooms)
        ids = told["ids"]["hundred"]["workiva"]
        lines += await transport(rooms, ids)
        unified = told["instances"]["hundred"]["unified"]
        url = f"{unified['base_url']}/unified/connection/{told['ids']['hundred']['unified'][0]}"
        lines += await bare(url, {"Authorization": f"Bearer {unified['auth']['token']}"})
        rooms.inventory.close()
    print(as_table(lines))


if __name__ == "__main__":
    uvloop.run(main())
