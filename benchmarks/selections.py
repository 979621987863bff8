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

ROUNDS = 3
WARM_UP_S, MEASURED_S = 0.3, 1.0
RESULTS = Path(__file__).parent / "results" / "selections.md"
HEAD = """<!-- Written by python -m benchmarks.selections -->

CPU per request with all lists in memory, as a part of what the first line takes; and of what the same gateway takes for
the same query with `execution.compiled: false`.

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


async def measured(target: Target, query: Query) -> float:
    """Processor time for each request, in milliseconds."""
    requests = [post("/graphql", {"query": query.text, "variables": query.variables})]
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
            answers = [(await client.post(f"http://{HOST}:{to.port}/graphql", json=body)).json() for to in targets]
            if "errors" in answers[0] or answers[0] != answers[1]:
                raise ValueError(f"{query.title}: {str(answers)[:600]}")


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
        taken: dict[tuple[str, bool], list[float]] = defaultdict(list)
        async with (
            gateway(at.measured, instances, kept) as compiled,
            gateway(at.measured, instances, kept, execution={"compiled": False}) as engine,
        ):
            await check([compiled, engine], asked)
            for number in range(rounds):
                for query in asked:
                    for target in (compiled, engine):
                        taken[query.title, target is compiled].append(await measured(target, query))
                print(f"round {number + 1} is done", file=sys.stderr, flush=True)
    ms = {of: statistics.median(each) for of, each in taken.items()}
    bare = ms[asked[0].title, True]
    lines = [["", "beside the first", "beside the engine"]]
    lines += [[title, _ratio(of, bare), part(of, ms[title, False])] for (title, by_plans), of in ms.items() if by_plans]
    RESULTS.write_text(f"{HEAD}{as_table(lines)}\n", encoding="utf-8")
    print(as_table([[*line, "CPU ms" if not at else f"{ms[line[0], True]:.3f}"] for at, line in enumerate(lines)]))


def _ratio(value: float, of: float) -> str:
    return f"{value / of:.2f}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selections")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often everything is measured ({ROUNDS})")
    uvloop.run(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
