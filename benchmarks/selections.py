"""``python -m benchmarks.selections``: what is added to a page of connections, by what is selected with it, and what
compiled execution saves of it. README.md says how to read it."""

import argparse
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import uvloop

from adapters import ids
from benchmarks.figures import as_table, part
from benchmarks.load import HOST, post, send
from benchmarks.servers import Target, cores, gateway
from benchmarks.speed import cpu_s
from benchmarks.talk import talking
from gateway import answers

ROUNDS = 3
WARM_UP_S, MEASURED_S = 0.3, 1.0
RESULTS = Path(__file__).parent / "results" / "selections.md"
HEAD = """<!-- Written by python -m benchmarks.selections -->

CPU per request with all lists in memory: executed each time, as a part of what the first line takes, and of what the
same gateway takes with `execution.compiled: false`; and where the very same request comes again, as a part of what the
first line takes executed.

"""
ROW = "id name status enabled running source { name type } destination { name } lastRun { status startedAt }"
CHOSEN = "filter: { status: [FAILING, DEGRADED, HEALTHY], enabled: true }, orderBy: [{ field: NAME }]"
FILTER = {"status": ["FAILING", "DEGRADED", "HEALTHY"], "enabled": True}


class Query(NamedTuple):
    """A query as frontends send it."""

    title: str
    text: str
    variables: Mapping[str, Any] = {}


def _page(inside: str, arguments: str = "first: 25", declared: str = "") -> str:
    return f"query{declared} {{ connections({arguments}) {{ {inside} }} }}"


def queries(known: Sequence[str]) -> Sequence[Query]:
    """All of them, the bare one first. ``known`` are ids of connections."""
    nodes = f"nodes {{ {ROW} }}"
    wished = "($first: Int!, $filter: ConnectionFilter, $order: [ConnectionOrder!])"
    given = {"first": 25, "filter": FILTER, "order": [{"field": "NAME"}]}
    typed = [{"__typename": "Connection", "id": id} for id in known]
    return (
        Query("25 connections, 10 fields", _page(nodes)),
        Query("... as edges", _page(f"edges {{ cursor node {{ {ROW} }} }}")),
        Query("... and how the list goes on", _page(f"{nodes} totalCount pageInfo {{ hasNextPage endCursor }}")),
        Query("... and `sources`", _page(f"{nodes} sources {{ instance {{ name }} state rowCount stale }}")),
        Query("... with `instance`", _page(f"nodes {{ {ROW} instance {{ name providerLabel }} }}")),
        Query("... with `freshness`", _page(f"nodes {{ {ROW} freshness {{ state expectedEverySeconds }} }}")),
        Query("... with `can`", _page(f"nodes {{ {ROW} can {{ capability allowed reason }} }}")),
        Query("... by filter and order in the query", _page(nodes, f"first: 25, {CHOSEN}")),
        Query("... by filter and order in variables",
              _page(nodes, "first: $first, filter: $filter, orderBy: $order", wished), given),
        Query("50 of `nodes` by ids",
              f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Connection {{ {ROW} }} }} }}", {"ids": known}),
        Query("50 of `_entities`",
              f"query($of: [_Any!]!) {{ _entities(representations: $of) {{ ... on Connection {{ {ROW} }} }} }}",
              {"of": typed}),
        Query("counts by status and provider",
              "{ connectionFacets { status { value count } provider { value count } } }"),
    )  # fmt: skip


async def measured(target: Target, query: Query, *, is_same: bool) -> float:
    """Processor time for each request, in milliseconds. Where they are not the same, they differ in something that is
    ignored, and are more than the gateway remembers."""
    numbers = range(100, 101 if is_same else 100 + 2 * answers.KEPT)
    body = {"query": query.text, "variables": query.variables}
    requests = [post("/graphql", {**body, "number": number}) for number in numbers]
    await send(target.port, requests, sockets=1, seconds=WARM_UP_S)
    before = cpu_s(target.pid)
    sent = await send(target.port, requests, sockets=1, seconds=MEASURED_S)
    if sent.failed:
        raise ValueError(f"{sent.failed} requests failed")
    return 1000 * (cpu_s(target.pid) - before) / len(sent.times)


async def check(targets: Sequence[Target], asked: Sequence[Query]) -> None:
    """Ask everybody everything once, which reads all lists. Raises ValueError for errors and answers that differ."""
    async with httpx.AsyncClient(timeout=60) as client:
        for query in asked:
            body = {"query": query.text, "variables": query.variables}
            told = [(await client.post(f"http://{HOST}:{to.port}/graphql", json=body)).json() for to in targets]
            if "errors" in told[0] or told[0] != told[1]:
                raise ValueError(f"{query.title}: {str(told)[:600]}")


async def measure(rounds: int) -> None:
    """Measure, tell and write down."""
    at = cores()
    os.sched_setaffinity(0, {at.others})  # the upstream inherits it
    async with talking("fast") as upstream:
        told = await upstream.heard()
        await upstream("unchanged")
        instances, kept = told["instances"]["hundred"], {"max_age": 3600}
        known = [ids.encode(name, id) for name, of in told["ids"]["hundred"].items() for id in of[:17]][:50]
        asked = queries(known)
        taken: dict[tuple[str, str], list[float]] = defaultdict(list)
        async with (
            gateway(at.measured, instances, kept) as compiled,
            gateway(at.measured, instances, kept, execution={"compiled": False}) as engine,
        ):
            await check([compiled, engine], asked)
            for number in range(rounds):
                for query in asked:
                    taken[query.title, "executed"].append(await measured(compiled, query, is_same=False))
                    taken[query.title, "by the engine"].append(await measured(engine, query, is_same=False))
                    taken[query.title, "again"].append(await measured(compiled, query, is_same=True))
                print(f"round {number + 1} is done", file=sys.stderr, flush=True)
    ms = {of: statistics.median(each) for of, each in taken.items()}
    bare = ms[asked[0].title, "executed"]
    lines = [["", "executed", "beside the engine", "the same again"]]
    for title in (query.title for query in asked):
        executed, by_engine, again = (ms[title, how] for how in ("executed", "by the engine", "again"))
        lines.append([title, _ratio(executed, bare), part(executed, by_engine), _ratio(again, bare)])
    RESULTS.write_text(f"{HEAD}{as_table(lines)}\n", encoding="utf-8")
    print(as_table([[*line, f"{ms[line[0], 'executed']:.3f}" if at else "CPU ms"] for at, line in enumerate(lines)]))


def _ratio(value: float, of: float) -> str:
    return f"{value / of:.2f}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selections")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often everything is measured ({ROUNDS})")
    uvloop.run(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
