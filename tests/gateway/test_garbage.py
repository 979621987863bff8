"""A request that goes well leaves nothing behind that only a collection of garbage would find: what it held is free as
soon as it is answered, and nobody else's request waits for such a collection. What fails does leave some, since an
error holds the frames it was raised in.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from adapters import ids
from adapters.airbyte.demo import connection_id
from adapters.imitation import native_id
from gateway.examples import EXAMPLES, Example
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet
from tests.gateway.garbage import collecting

ONE = ids.encode(WORKIVA, native_id("workiva", 0))
OTHERS = [ids.encode(AIRBYTE, connection_id(0)), ids.encode(UNIFIED_TO, native_id("unified_to", 0)[:24])]
QUERIES = {
    "by id": f'{{ connection(id: "{ONE}") {{ id name status lastRun {{ status }} }} }}',
    "by ids": " ".join(
        ("{", *(f'c{at}: connection(id: "{id}") {{ id name }}' for at, id in enumerate([ONE, *OTHERS])), "}")
    ),
    "nodes": f'{{ nodes(ids: ["{ONE}", "{OTHERS[0]}"]) {{ id ... on Connection {{ name }} }} }}',
    "pages": "{ connections(first: 5) { edges { cursor node { id } } pageInfo { endCursor hasNextPage } totalCount } }",
}


def ours(left: Iterable[object]) -> Counter[str]:
    """What the product has made of it, by type: imitations and the client that asks are in this process too."""
    names = [f"{type(each).__module__}.{type(each).__qualname__}" for each in left]
    made = (name for name in names if name.startswith(("gateway.", "adapters.", "graphql.", "aiodataloader.")))
    return Counter(name for name in made if "imitation" not in name and ".demo" not in name)


async def left_by(fleet: Fleet, query: str, given: Any = None) -> Counter[str]:
    """What a query leaves that was asked often enough to be known."""
    for _ in range(3):
        await fleet.ask(query, given)
    with collecting() as found:
        for _ in range(3):
            await fleet.ask(query, given)
        await asyncio.sleep(0)
    return ours(found)


@pytest.mark.parametrize("name", QUERIES)
async def test_a_query_leaves_no_garbage(fleet: Fleet, name: str):
    assert await left_by(fleet, QUERIES[name]) == {}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
async def test_an_example_leaves_no_garbage(kept_fleet: Fleet, example: Example):
    given = json.loads(example.variables) if example.variables else None
    assert await left_by(kept_fleet, example.query, given) == {}
