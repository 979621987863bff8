"""``python -m benchmarks.lists``: what lists of growing fleets cost. README.md says how to read it.

Each fleet gets fresh processes: one of imitation upstreams, one of a gateway over them, both on loopback. Sizes are
given as arguments, or those of ``SIZES`` are taken; the first is what the others are compared with.
"""

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from benchmarks.talk import Talk, talking

SIZES = (100, 1_000, 3_000, 10_000, 30_000, 100_000)
TIMES = 40
"""How often a page is asked for whose time is told."""
SECTIONS = {
    "inventory": {"max_age": 3600, "walk_timeout": 300},  # nothing is read anew unless it is asked for
    "limits": {"request_timeout": 300},
}
UPSTREAM_TIMEOUT_S = 60

ROW = "id name status provider source { name type } lastRun { startedAt }"
PAGE = f"nodes {{ {ROW} }} pageInfo {{ endCursor hasNextPage hasPreviousPage }}"
FACETS = """{ connectionFacets { totalCount
    status { value count } provider { value count } instance { value count } workspace { value count }
    environment { value count } sourceType { value count } destinationType { value count }
    category { value count } scheduleType { value count } } }"""
ORDERS = (
    "{ field: STATUS }",
    "{ field: SOURCE }",
    "{ field: NAME, direction: DESC }",
    "{ field: LAST_RUN_AT, direction: DESC }",
    "[{ field: CREATED_AT }, { field: NAME }]",
)
FILTERS = {
    "status": "status: [FAILING]",
    "text": 'text: "koln"',
    "range": 'createdAt: { since: "2026-01-01T00:00:00Z" }',
}
CHANGED = (f"{{ connections(first: 25, filter: {{ {FILTERS['text']} }}) {{ totalCount }} }}", FACETS)
"""Asked for once more when rows have changed."""

HUNDRED = 100
WHOLE = ("calls", "B")
"""Units of figures that are the same on every machine, or nearly."""
PER_ROW = (
    "pages and walk, gateway's work",
    "refresh, nothing changed",
    "refresh, nothing changed, gateway's work",
    "refresh, 1 % changed",
    "refresh, 1 % changed, gateway's work",
    "page in another order, first time",
    "page filtered by text, first time",
    "facets, first time",
    "page after that",
)
"""What takes all rows, so that growth shows in what each of them costs."""
SMALL = {"s": (1e6, "µs"), "ms": (1e3, "µs")}
"""What a unit is divided into where a figure is that of one row."""
RESULTS = Path(__file__).parent / "results" / "lists.md"
HEAD = """<!-- Written by python -m benchmarks.lists -->

What takes all rows, for each row, as a multiple of what it is in the smallest fleet. Small fleets share among few rows
what does not depend on them, so these fall to a constant where growth is linear; one that rises grows faster.

"""
ALL = """

Calls, and bytes per row, as they are; everything else as a multiple of what it was in the smallest fleet.

"""


class Figure(NamedTuple):
    """Something measured, in its unit."""

    value: float
    unit: str


class Times(NamedTuple):
    """How long some repetitions took, as a client sees it; the gateway's own work in them, and its longest step."""

    seconds: Sequence[float]
    work_s: float
    longest_step_s: float

    @property
    def median_ms(self) -> float:
        return 1000 * statistics.median(self.seconds)

    @property
    def p99_ms(self) -> float:
        """The time that all but one in a hundred were done in; of fewer repetitions, the longest."""
        return 1000 * sorted(self.seconds)[max(0, -(-99 * len(self.seconds) // 100) - 1)]


Figures = dict[str, Figure]


class Bench:
    """A gateway over a fleet of one size, and what was measured of it."""

    def __init__(self, upstreams: Talk, watched: Talk, url: str, client: httpx.AsyncClient) -> None:
        self.upstreams = upstreams
        self.watched = watched
        self.figures: Figures = {}
        self._url = url
        self._client = client

    async def ask(self, query: str) -> Any:
        """The data of a query. Raises ValueError where there are errors."""
        response = await self._client.post(f"{self._url}/graphql", json={"query": query})
        answered = response.json()
        if "errors" in answered:
            raise ValueError(str(answered["errors"]))
        return answered["data"]

    async def connections(self, arguments: str, fields: str = PAGE) -> Any:
        """A page of the list."""
        return (await self.ask(f"{{ connections({arguments}) {{ {fields} }} }}"))["connections"]

    async def timed(self, queries: Sequence[str]) -> Times:
        """Ask these one after the other."""
        before = await self.watched("forget")
        took: list[float] = []
        for query in queries:
            began = time.perf_counter()
            await self.ask(query)
            took.append(time.perf_counter() - began)
        after = await self.watched("tell")
        return Times(took, after["work_s"] - before["work_s_after"], after["longest_step_s"])

    def note(self, name: str, value: float, unit: str) -> None:
        """Take note of a figure."""
        self.figures[name] = Figure(value, unit)

    def note_times(self, name: str, times: Times) -> None:
        """Take note of how long it took."""
        self.note(f"{name}, median", times.median_ms, "ms")
        self.note(f"{name}, p99", times.p99_ms, "ms")
        self.note(f"{name}, longest step", 1000 * times.longest_step_s, "ms")

    async def calls(self) -> int:
        """How many calls were made of the upstreams since the last time."""
        told: Mapping[str, Mapping[str, int]] = await self.upstreams("calls")
        return sum(sum(paths.values()) for paths in told.values())


@contextlib.asynccontextmanager
async def bench_over(size: int) -> AsyncGenerator[Bench]:
    """Fresh processes for a fleet of this size."""
    async with talking("upstreams", str(size)) as upstreams, talking("watched") as watched:
        instances = {name: {**of, "timeout": UPSTREAM_TIMEOUT_S} for name, of in (await upstreams.heard()).items()}
        url = await watched({"instances": instances, **SECTIONS})
        async with httpx.AsyncClient(timeout=300) as client:
            bench = Bench(upstreams, watched, url, client)
            await bench.ask("{ instances { name } }")  # whatever is made at the first request is not the fleet's
            yield bench


async def read_cold(bench: Bench) -> float:
    """The first page of a gateway that knows nothing, and the one after it; the seconds of its own work in both."""
    first = await bench.timed([f"{{ connections(first: 25) {{ {PAGE} }} }}"])
    bench.note("cold first page", first.median_ms, "ms")
    bench.note("cold first page, calls", await bench.calls(), "calls")
    cursor = (await bench.connections("first: 25"))["pageInfo"]["endCursor"]
    await bench.calls()
    after = await bench.timed([f'{{ connections(first: 25, after: "{cursor}") {{ {PAGE} }} }}'])
    bench.note("cold second page", after.median_ms, "ms")
    bench.note("cold second page, calls", await bench.calls(), "calls")
    return first.work_s + after.work_s


WALK = "{ connections(first: 0, orderBy: { field: STATUS }) { totalCount } }"
REFRESH = "{ connections(first: 0, orderBy: { field: STATUS }, maxAge: 0) { totalCount } }"


async def walk(bench: Bench, name: str, query: str) -> Times:
    """Read all lists to their ends."""
    times = await bench.timed([query])
    bench.note(name, times.seconds[0], "s")
    bench.note(f"{name}, gateway's work", times.work_s, "s")
    bench.note(f"{name}, calls", await bench.calls(), "calls")
    bench.note(f"{name}, longest step", 1000 * times.longest_step_s, "ms")
    return times


async def measure(size: int) -> Figures:
    """All figures of a fleet of this size."""
    async with bench_over(size) as bench:
        before = (await bench.watched("tell"))["memory_bytes"]
        work_s = await read_cold(bench)
        work_s += (await walk(bench, "whole walk", WALK)).work_s
        bench.note("pages and walk, gateway's work", work_s, "s")  # small fleets are read by their first page
        bench.note("rows per second of walk", size / bench.figures["whole walk"].value, "rows")
        after = (await bench.watched("tell"))["memory_bytes"]
        bench.note("memory of the gateway", after / 1e6, "MB")
        bench.note("memory per row", (after - before) / size, "B")
        await bench.calls()
        await from_memory(bench)
        await refresh(bench)
        return bench.figures


async def from_memory(bench: Bench) -> None:
    """Pages of what was read."""
    page = f"{{ connections(first: 25) {{ totalCount {PAGE} }} }}"
    await first_and_again(bench, "page", [page])
    # The last connection of one kind in the middle of the alphabet, and those around it.
    middle = await bench.connections('last: 1, filter: { sourceType: ["notion"] }')
    cursor = middle["pageInfo"]["endCursor"]
    for name, window in {
        "deep page": f'first: 25, after: "{cursor}"',
        "deep page, backward": f'last: 25, before: "{cursor}"',
        "last page": "last: 25",
    }.items():
        bench.note_times(name, await bench.timed([f"{{ connections({window}) {{ {PAGE} }} }}"] * TIMES))
    orders = [f"{{ connections(first: 25, orderBy: {by}) {{ {PAGE} }} }}" for by in ORDERS]
    await first_and_again(bench, "page in another order", orders)
    for name, where in FILTERS.items():
        query = f"{{ connections(first: 25, filter: {{ {where} }}) {{ totalCount {PAGE} }} }}"
        await first_and_again(bench, f"page filtered by {name}", [query])
    await first_and_again(bench, "facets", [FACETS])
    bench.note("calls of all these", await bench.calls(), "calls")


async def first_and_again(bench: Bench, name: str, queries: Sequence[str]) -> None:
    """What these queries take when something must be made for them, and when it is there."""
    first = await bench.timed(queries)
    bench.note(f"{name}, first time", first.median_ms, "ms")
    bench.note(f"{name}, first time, longest step", 1000 * first.longest_step_s, "ms")
    bench.note_times(f"{name}, again", await bench.timed(list(queries) * (TIMES // len(queries))))


async def refresh(bench: Bench) -> None:
    """Reading it all anew, where nothing has changed and where one row in a hundred has."""
    await bench.calls()
    await walk(bench, "refresh, nothing changed", REFRESH)
    await bench.upstreams("change")
    await walk(bench, "refresh, 1 % changed", REFRESH)
    made = [f"{{ connections(first: 25) {{ totalCount {PAGE} }} }}", *CHANGED]
    after = await bench.timed(made)
    bench.note("page after that", 1000 * after.seconds[0], "ms")
    bench.note("page filtered by text after that", 1000 * after.seconds[1], "ms")
    bench.note("facets after that", 1000 * after.seconds[2], "ms")
    bench.note("memory of the gateway after that", (await bench.watched("tell"))["memory_bytes"] / 1e6, "MB")


def table(measured: Mapping[int, Figures], shown: Callable[[Figure, Figure], str]) -> str:
    """A line for each figure, a column for each size; ``shown`` is given the figure and that of the first size."""
    first = next(iter(measured.values()))
    lines = [["", *(f"{size:,} rows" for size in measured)], ["---", *["---:"] * len(measured)]]
    lines += [[name, *(shown(figures[name], of) for figures in measured.values())] for name, of in first.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def per_row(measured: Mapping[int, Figures]) -> dict[int, Figures]:
    """What takes all rows, for each row."""
    found: dict[int, Figures] = {}
    for size, figures in measured.items():
        found[size] = {"memory": figures["memory per row"]}
        for name in PER_ROW:
            value, unit = figures[name]
            times, small = SMALL[unit]
            found[size][name] = Figure(times * value / size, small)
    return found


def absolute(figure: Figure, first: Figure) -> str:
    """The figure, and how often it holds that of the first size."""
    ratio = f" ({figure.value / first.value:.2g}x)" if first.value and figure is not first else ""
    digits = 0 if figure.unit in WHOLE or figure.value >= HUNDRED else 1 if figure.value >= 1 else 2
    return f"{figure.value:,.{digits}f} {figure.unit}{ratio}"


def relative(figure: Figure, first: Figure) -> str:
    """What any machine should find: counts and bytes as they are, times by how often they hold the first."""
    if figure.unit in WHOLE:
        return f"{figure.value:,.0f} {figure.unit}"
    return f"{figure.value / first.value:.1f}" if first.value else "-"


def multiple(figure: Figure, first: Figure) -> str:
    """By how often it holds the first."""
    return f"{figure.value / first.value:.2f}" if first.value else "-"


async def main(sizes: Sequence[int]) -> None:
    """Measure, tell, and write down what does not depend on the machine."""
    measured: dict[int, Figures] = {}
    for size in sizes:
        measured[size] = await measure(size)
        print(f"{size:,} rows are done", file=sys.stderr)
    each = per_row(measured)
    print(f"for each row:\n\n{table(each, absolute)}\n\n{table(measured, absolute)}")
    if tuple(sizes) == SIZES:
        text = f"{HEAD}{table(each, multiple)}{ALL}{table(measured, relative)}\n"
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main(tuple(map(int, sys.argv[1:])) or SIZES))
