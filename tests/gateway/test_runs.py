"""The runs of a connection: paged where the upstream keeps them, the last one where it keeps one, null elsewhere."""

from typing import Any

import pytest

from adapters import ids
from adapters.airbyte.demo import connection_id
from adapters.imitation import Knobs, native_id
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet

RUNS = """
query Runs($instance: String!, $nativeId: ID!, $first: Int! = 10, $after: String) {
  connection(ref: { instance: $instance, nativeId: $nativeId }) {
    runs(first: $first, after: $after) {
      totalCount
      edges { cursor node { id } }
      nodes { id status startedAt endedAt recordsSynced bytesSynced error }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""
MIXED = """
query ($ids: [ID!]) { connections(filter: { ids: $ids }) { nodes { provider runs { totalCount } } } }
"""
MIXED_IDS = [
    ids.encode(instance, id)
    for number in (0, 1)
    for instance, id in (
        (AIRBYTE, connection_id(number)),
        (WORKIVA, native_id("workiva", number)),
        (UNIFIED_TO, native_id("unified_to", number)[:24]),
    )
]
FIRST = {"instance": AIRBYTE, "nativeId": connection_id(0)}


async def runs(fleet: Fleet, **variables: Any) -> dict[str, Any]:
    return (await fleet.data(RUNS, variables))["connection"]["runs"]


@pytest.mark.parametrize("first", [1, 7, 30, 100])
async def test_a_walk_over_the_runs_meets_each_once_and_the_newest_first(fleet: Fleet, first: int):
    met: list[dict[str, Any]] = []
    after = None
    while True:
        page = await runs(fleet, **FIRST, first=first, after=after)
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        met += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert page["totalCount"] == "30"
    assert len({run["id"] for run in met}) == len(met) == 30
    started = [run["startedAt"] for run in met]
    assert started == sorted(started, reverse=True)


async def test_each_cursor_resumes_right_after_its_run(fleet: Fleet):
    page = await runs(fleet, **FIRST, first=5)
    ids = [edge["node"]["id"] for edge in page["edges"]]
    assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
    for number, edge in enumerate(page["edges"][:-1], 1):
        following = await runs(fleet, **FIRST, first=1, after=edge["cursor"])
        assert [run["id"] for run in following["nodes"]] == [ids[number]]


async def test_ids_and_counts_beyond_what_a_double_holds_keep_their_digits(fleet: Fleet):
    (run,) = (await runs(fleet, instance=AIRBYTE, nativeId=connection_id(50), first=1))["nodes"]
    assert int(run["id"]) > 2**53
    assert int(run["bytesSynced"]) > 2**32
    assert run["id"] == str(int(run["id"]))


async def test_the_provider_that_keeps_the_last_run_answers_that_one(fleet: Fleet):
    row = fleet.servers[WORKIVA].rows()[0]  # type: ignore[attr-defined]
    page = await runs(fleet, instance=WORKIVA, nativeId=row["connectionId"])
    assert [run["id"] for run in page["nodes"]] == [row["lastRunJobId"]]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == ("1", False)
    rest = await runs(fleet, instance=WORKIVA, nativeId=row["connectionId"], after=page["pageInfo"]["endCursor"])
    assert rest["nodes"] == []


async def test_a_provider_without_runs_answers_null_and_no_error(fleet: Fleet):
    row = fleet.servers[UNIFIED_TO].rows()[0]  # type: ignore[attr-defined]
    assert await runs(fleet, instance=UNIFIED_TO, nativeId=row["id"]) is None


async def test_no_runs_are_an_empty_page_that_knows_the_total(fleet: Fleet):
    page = await runs(fleet, **FIRST, first=0)
    assert (page["nodes"], page["totalCount"], page["pageInfo"]["hasNextPage"]) == ([], "30", True)
    assert page["pageInfo"]["endCursor"] is None


@pytest.mark.parametrize(
    "variables", [{"first": -1}, {"first": 101}, {"after": ""}, {"after": "cjE6"}, {"after": "💥"}]
)
async def test_an_impossible_page_is_the_clients_mistake_and_costs_nothing_else(
    fleet: Fleet, variables: dict[str, Any]
):
    answered = await fleet.ask(RUNS, {**FIRST, **variables})
    (error,) = answered["errors"]
    assert (error["extensions"]["code"], error["path"]) == ("BAD_USER_INPUT", ["connection", "runs"])
    assert answered["data"] == {"connection": {"runs": None}}


async def test_a_cursor_of_another_list_is_the_clients_mistake(fleet: Fleet):
    page = await fleet.data("{ connections(first: 1) { pageInfo { endCursor } } }")
    after = page["connections"]["pageInfo"]["endCursor"]
    answered = await fleet.ask(RUNS, {**FIRST, "after": after})
    assert [error["extensions"]["code"] for error in answered["errors"]] == ["BAD_USER_INPUT"]


async def test_runs_that_cannot_be_read_cost_themselves_alone(fleet: Fleet):
    fleet.servers[AIRBYTE].knobs = Knobs(status=500, only="/jobs/list")
    answered = await fleet.ask(MIXED, {"ids": MIXED_IDS})
    nodes = answered["data"]["connections"]["nodes"]
    of_airbyte = [place for place, node in enumerate(nodes) if node["provider"] == "AIRBYTE"]
    assert 0 < len(of_airbyte) < len(nodes) == 6
    assert {error["extensions"]["code"] for error in answered["errors"]} == {"UPSTREAM_UNAVAILABLE"}
    assert sorted(error["path"] for error in answered["errors"]) == [
        ["connections", "nodes", place, "runs"] for place in of_airbyte
    ]
    assert all(node["runs"] for node in nodes if node["provider"] == "WORKIVA")
