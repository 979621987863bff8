"""Pages over many upstreams, as clients read them: a walk meets every row once, in one order, whatever the page sizes,
the direction, and what the upstreams behind it are like.
"""

import asyncio
import base64
import contextlib
import functools
import unicodedata
from collections.abc import AsyncGenerator, Mapping, Sequence
from itertools import cycle
from typing import Any, TypeAlias

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters import ids
from adapters.airbyte.demo import AirbyteImitation
from adapters.imitation import Knobs, ListImitation
from adapters.unified_to.demo import UnifiedToImitation
from adapters.workiva.demo import WorkivaImitation
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Clock, Fleet, Upstreams, gateway_over

Node: TypeAlias = dict[str, Any]

PAGE = """
    query ($first: Int, $after: String, $last: Int, $before: String, $by: [ConnectionOrder!]) {
      connections(first: $first, after: $after, last: $last, before: $before, orderBy: $by) {
        edges { cursor node { id } }
        nodes { id nativeId name status provider updatedAt lastRun { startedAt } instance { name } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        sources { rowCount }
      }
    }"""
COUNTED = PAGE.replace("pageInfo", "totalCount pageInfo")

NAME = ("NAME", False)
ORDERS = (
    [NAME],
    [("NAME", True)],
    [("UPDATED_AT", True)],
    [("LAST_RUN_AT", False)],
    [("PROVIDER", True), ("STATUS", False), ("NAME", True)],
)
EVERY_ORDER = pytest.mark.parametrize("by", ORDERS, ids=str)


async def page(fleet: Fleet, query: str = PAGE, **arguments: Any) -> dict[str, Any]:
    """A page, checked for what every page must be."""
    shown = (await fleet.data(query, arguments))["connections"]
    info, edges = shown["pageInfo"], shown["edges"]
    assert [edge["node"]["id"] for edge in edges] == [node["id"] for node in shown["nodes"]]
    assert sum(source["rowCount"] for source in shown["sources"]) == len(edges)
    ends = (edges[0]["cursor"], edges[-1]["cursor"]) if edges else (None, None)
    assert (info["startCursor"], info["endCursor"]) == ends
    return shown


def ordering(by: Sequence[tuple[str, bool]]) -> list[dict[str, str]]:
    """An order as an argument."""
    return [{"field": field, "direction": "DESC" if down else "ASC"} for field, down in by]


async def walk(
    fleet: Fleet,
    sizes: Sequence[int],
    after: str | None = None,
    *,
    by: Sequence[tuple[str, bool]] = (NAME,),
    query: str = PAGE,
) -> list[Node]:
    """All nodes after a cursor, read in pages of these sizes in turn."""
    met: list[Node] = []
    for first in cycle(sizes):
        shown = await page(fleet, query, first=first, after=after, by=ordering(by))
        assert len(shown["nodes"]) <= first
        assert shown["pageInfo"]["hasPreviousPage"] is (after is not None)
        met += shown["nodes"]
        assert len(met) <= 10_000, "a walk must end"
        after = shown["pageInfo"]["endCursor"]
        if not shown["pageInfo"]["hasNextPage"]:
            return met
        assert shown["nodes"], "a page that promises more must lead there"
    raise AssertionError


async def noticed(fleet: Fleet, sizes: Sequence[int]) -> tuple[list[str], set[str]]:
    """A first walk, whose upstreams may have an order of their own: what it met, and what it was told."""
    met: list[str] = []
    codes: set[str] = set()
    after: str | None = None
    for first in cycle(sizes):
        answered = await fleet.ask(PAGE, {"first": first, "after": after})
        codes |= {error["extensions"]["code"] for error in answered.get("errors", ())}
        shown = answered["data"]["connections"]
        met += told(shown["nodes"])
        after = shown["pageInfo"]["endCursor"] or after
        if not shown["pageInfo"]["hasNextPage"]:
            return met, codes
    raise AssertionError


async def walk_back(
    fleet: Fleet, sizes: Sequence[int], before: str | None = None, *, by: Sequence[tuple[str, bool]] = (NAME,)
) -> list[Node]:
    """All nodes before a cursor, read backward, in the order of the list."""
    met: list[Node] = []
    for last in cycle(sizes):
        shown = await page(fleet, last=last, before=before, by=ordering(by))
        assert len(shown["nodes"]) <= last
        assert shown["pageInfo"]["hasNextPage"] is (before is not None)
        met = shown["nodes"] + met
        assert len(met) <= 10_000, "a walk must end"
        before = shown["pageInfo"]["startCursor"]
        if not shown["pageInfo"]["hasPreviousPage"]:
            return met
        assert shown["nodes"], "a page that promises more must lead there"
    raise AssertionError


def told(nodes: Sequence[Node]) -> list[str]:
    return [node["id"] for node in nodes]


# The order, in plain Python over what is shown


def plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()


SEVERITY = ["HEALTHY", "RUNNING", "QUEUED", "NEVER_RAN", "PAUSED", "DELETED", "UNKNOWN", "DEGRADED", "FAILING"]


def value(node: Node, field: str) -> Any:
    match field:
        case "NAME":
            return None if node["name"] is None else (plain(node["name"]), node["name"])
        case "STATUS":
            return SEVERITY.index(node["status"])
        case "UPDATED_AT":
            return node["updatedAt"]
        case "LAST_RUN_AT":
            return node["lastRun"] and node["lastRun"]["startedAt"]
        case _:
            return node["provider"].lower()


def in_order(nodes: Sequence[Node], by: Sequence[tuple[str, bool]]) -> list[str]:
    def compared(one: Node, other: Node) -> int:
        for field, down in by:
            a, b = value(one, field), value(other, field)
            if a != b:
                if a is None or b is None:
                    return 1 if a is None else -1
                return -1 if (a < b) is not down else 1
        own, others = ((node["instance"]["name"], node["nativeId"]) for node in (one, other))
        return -1 if own < others else 1

    return told(sorted(nodes, key=functools.cmp_to_key(compared)))


# Fleets


@contextlib.asynccontextmanager
async def over(servers: Mapping[str, ListImitation], **inventory: Any) -> AsyncGenerator[Fleet]:
    """A gateway over imitations of its own. What was read stays fresh, unless told otherwise."""
    async with contextlib.AsyncExitStack() as stack:
        instances = {
            name: {**server.settings(await stack.enter_async_context(server.serve())), "timeout": 20}
            for name, server in servers.items()
        }
        sections: dict[str, Any] = {"inventory": {"max_age": 600, **inventory}, "limits": {"request_timeout": 30}}
        url = await stack.enter_async_context(gateway_over(instances, **sections))
        yield Fleet(url, servers, await stack.enter_async_context(httpx.AsyncClient(timeout=30)))


@contextlib.asynccontextmanager
async def again(fleet: Fleet, upstreams: Upstreams, names: Sequence[str]) -> AsyncGenerator[Fleet]:
    """A new gateway over some of the same upstreams."""
    instances = {name: upstreams[name][0].settings(upstreams[name][1]) for name in names}
    async with gateway_over(instances) as url:
        yield Fleet(url, fleet.servers, fleet.client)


def all_ids(fleet: Fleet) -> set[str]:
    """The ids of everything that the imitations hold."""
    return {
        ids.encode(instance, row.get("connectionId") or row["id"])
        for instance, server in fleet.servers.items()
        for row in server.rows()
    }


# Walks


@pytest.mark.parametrize("sizes", [[7], [25], [60], [100], [1, 50, 3, 17, 100]], ids=str)
async def test_a_walk_meets_every_row_of_all_instances_once(kept_fleet: Fleet, sizes: list[int]):
    met = told(await walk(kept_fleet, sizes))
    assert len(met) == len(set(met)) == 180
    assert set(met) == all_ids(kept_fleet)
    assert told(await walk_back(kept_fleet, sizes)) == met


async def test_a_walk_row_by_row_meets_every_row_once(clock: Clock):
    servers = {
        "a": AirbyteImitation(size=7, clock=clock),
        "u": UnifiedToImitation(size=5, clock=clock),
        "v": UnifiedToImitation(size=0, clock=clock),
    }
    async with over(servers) as fleet:
        assert len(set(told(await walk(fleet, [1])))) == len(set(told(await walk_back(fleet, [1])))) == 12


async def test_without_an_order_the_list_is_sorted_by_name_across_the_instances(kept_fleet: Fleet):
    nodes = await walk(kept_fleet, [100])
    unordered = (await kept_fleet.data(PAGE, {"first": 100}))["connections"]["nodes"]
    assert told(unordered) == told(nodes)[:100] == in_order(nodes, [NAME])[:100]
    assert len({node["instance"]["name"] for node in unordered[:30]}) == 3
    assert [node["name"] for node in nodes].index(None) > 150, "those without a name come last"


async def test_the_order_is_the_same_for_any_page_size_and_however_often_it_is_read(fleet: Fleet):
    whole = told(await walk(fleet, [100]))
    assert told(await walk(fleet, [31])) == told(await walk_back(fleet, [47])) == whole


def some_fleet(kind: str, clock: Clock) -> dict[str, ListImitation]:
    """Imitations by what is special about them."""
    later: Any = {"generation": "cursor", "clock": clock}
    match kind:
        case "both generations, longer than a page of each upstream":
            return {
                "dump": AirbyteImitation(size=130, clock=clock),
                "cursor": AirbyteImitation(size=1100, workspaces={"one": 1}, **later),
                "workiva": WorkivaImitation(size=1100, clock=clock),
                "unified": UnifiedToImitation(size=330, clock=clock),
            }
        case "pages of twenty, rows sent twice":
            return {
                "dump": AirbyteImitation(size=40, doubles=True, clock=clock),
                "cursor": AirbyteImitation(size=130, page_cap=20, doubles=True, **later),
                "workiva": WorkivaImitation(size=130, page_cap=20, doubles=True, clock=clock),
                "unified": UnifiedToImitation(size=200, doubles=True, clock=clock),
            }
        case "nothing, one row, and somebody else's idea of an order":
            return {
                "none": AirbyteImitation(size=0, **later),
                "one": WorkivaImitation(size=1, clock=clock),
                "cursor": AirbyteImitation(size=130, page_cap=20, collation="binary", **later),
                "unified": UnifiedToImitation(size=330, collation="binary", clock=clock),
            }
        case _:
            raise AssertionError


@pytest.mark.parametrize(
    "kind",
    [
        "both generations, longer than a page of each upstream",
        "pages of twenty, rows sent twice",
        "nothing, one row, and somebody else's idea of an order",
    ],
)
async def test_the_laws_hold_over_http(kind: str, clock: Clock):
    """Page by page, counted, backward and from the middle to both ends, in several orders, each row once."""
    async with over(some_fleet(kind, clock)) as fleet:
        await noticed(fleet, [60])  # whatever order is not ours shows itself
        for by in ORDERS:
            nodes = await walk(fleet, [100, 37], by=by)
            whole = told(nodes)
            assert set(whole) == all_ids(fleet)
            assert whole == in_order(nodes, by)
            assert told(await walk_back(fleet, [83, 100], by=by)) == whole
            await from_the_middle(fleet, whole, by)


async def from_the_middle(fleet: Fleet, whole: Sequence[str], by: Sequence[tuple[str, bool]]) -> None:
    """Forward and backward in turn, from a page in the middle on."""
    shown = await page(fleet, COUNTED, first=100, by=ordering(by))
    assert shown["totalCount"] == len(whole)
    at = min(60, len(whole) - 1)
    cursor = shown["edges"][at]["cursor"]
    start, met = cursor, [whole[at]]
    for size in cycle((3, 40, 100)):
        ahead = await page(fleet, first=size, after=cursor, by=ordering(by))
        back = await page(fleet, COUNTED, last=size, before=start, by=ordering(by))
        met = [*told(back["nodes"]), *met, *told(ahead["nodes"])]
        cursor = ahead["pageInfo"]["endCursor"] or cursor
        start = back["pageInfo"]["startCursor"] or start
        assert back["totalCount"] == len(whole)
        assert ahead["pageInfo"]["hasPreviousPage"] is back["pageInfo"]["hasNextPage"] is True
        if not ahead["pageInfo"]["hasNextPage"] and not back["pageInfo"]["hasPreviousPage"]:
            break
    assert met == whole


@pytest.mark.parametrize("by", [[NAME], [("UPDATED_AT", True)]], ids=str)
async def test_upstreams_that_repeat_a_page_for_ever_come_to_an_end(by: Sequence[tuple[str, bool]], clock: Clock):
    servers: dict[str, ListImitation] = {
        "cursor": AirbyteImitation(size=130, generation="cursor", page_cap=20, repeats=True, clock=clock),
        "workiva": WorkivaImitation(size=130, page_cap=20, repeats=True, clock=clock),
        "unified": UnifiedToImitation(size=450, repeats=True, clock=clock),
    }
    async with over(servers) as fleet:
        met = told(await walk(fleet, [30], by=by))
        assert len(met) == len(set(met))
        assert set(met) <= all_ids(fleet)
        again = await walk(fleet, [100], by=by, query=COUNTED)
        assert told(again) == in_order(again, by) == told(await walk_back(fleet, [100], by=by))


async def test_long_lists_are_read_page_by_page_in_an_order_that_their_upstream_keeps(clock: Clock):
    servers = {
        "cursor": AirbyteImitation(size=1100, generation="cursor", workspaces={"one": 1}, clock=clock),
        "unified": UnifiedToImitation(size=330, clock=clock),
    }
    lists = {"cursor": "connections/list", "unified": "/unified/connection"}
    async with over(servers) as fleet:
        shown = await page(fleet, first=25)
        assert {name: fleet.calls(name, part) for name, part in lists.items()} == {"cursor": 1, "unified": 3}
        await page(fleet, first=25, after=shown["pageInfo"]["endCursor"])
        assert {name: fleet.calls(name, part) for name, part in lists.items()} == {"cursor": 1, "unified": 3}


# Pages


async def test_the_cursor_of_every_edge_goes_on_right_after_it_and_right_before_it(kept_fleet: Fleet):
    shown = await page(kept_fleet, first=12)
    whole = told(shown["nodes"])
    for number, edge in enumerate(shown["edges"]):
        following = await page(kept_fleet, first=11 - number, after=edge["cursor"])
        assert told(following["nodes"]) == whole[number + 1 :]
        before = await page(kept_fleet, last=12, before=edge["cursor"])
        assert told(before["nodes"]) == whole[:number]


async def test_pages_between_two_cursors_have_the_first_or_the_last_rows_of_those(kept_fleet: Fleet):
    shown = await page(kept_fleet, first=20)
    whole, cursors = told(shown["nodes"]), [edge["cursor"] for edge in shown["edges"]]
    ends = {"after": cursors[2], "before": cursors[12]}
    assert told((await page(kept_fleet, first=4, **ends))["nodes"]) == whole[3:7]
    assert told((await page(kept_fleet, last=4, **ends))["nodes"]) == whole[8:12]
    assert told((await page(kept_fleet, first=100, **ends))["nodes"]) == whole[3:12]
    nothing = await page(kept_fleet, first=100, after=cursors[12], before=cursors[2])
    assert nothing["nodes"] == []


async def test_the_last_page_says_so_even_where_it_is_full(clock: Clock):
    async with over({"w": AirbyteImitation(size=10, clock=clock)}) as fleet:
        for first, goes_on in (9, True), (10, False), (11, False):
            shown = await page(fleet, first=first)
            assert shown["pageInfo"]["hasNextPage"] is goes_on
        rest = await page(fleet, after=shown["pageInfo"]["endCursor"])
        assert (rest["nodes"], rest["pageInfo"]["hasNextPage"]) == ([], False)
        assert rest["pageInfo"]["hasPreviousPage"] is True


async def test_two_instances_of_one_provider_stand_side_by_side(clock: Clock):
    servers = {"first": AirbyteImitation(size=4, clock=clock), "second": AirbyteImitation(size=6, clock=clock)}
    async with over(servers) as fleet:
        met = [ids.decode(id) for id in told(await walk(fleet, [3]))]
    by_name = [[native for name, native in met if name == instance] for instance in ("first", "second")]
    assert [len(natives) for natives in by_name] == [4, 6]
    assert set(by_name[0]) < set(by_name[1]), "the same native ids, told apart by their instance"


async def test_first_is_25_unless_told_and_may_be_0_to_100_and_so_may_last(kept_fleet: Fleet):
    sizes: tuple[tuple[dict[str, Any], int], ...] = (
        ({}, 25),
        ({"first": None}, 25),
        ({"first": 0}, 0),
        ({"first": 100}, 100),
        ({"last": 0}, 0),
        ({"last": 100}, 100),
    )
    for arguments, count in sizes:
        shown = await page(kept_fleet, **arguments)
        assert len(shown["nodes"]) == count
        backward = "last" in arguments
        assert shown["pageInfo"]["hasNextPage"] is not backward
        assert shown["pageInfo"]["hasPreviousPage"] is backward


async def test_other_page_sizes_are_the_clients_mistake(fleet: Fleet):
    mistakes = [{name: size} for name in ("first", "last") for size in (-1, 101, 2**31 - 1)]
    for arguments in [*mistakes, {"first": 1, "last": 1}, {"first": 0, "last": 0}]:
        answered = await fleet.ask(PAGE, arguments)
        assert [error["extensions"]["code"] for error in answered["errors"]] == ["BAD_USER_INPUT"], arguments
        assert [error["path"] for error in answered["errors"]] == [["connections"]]
    assert all(fleet.calls(instance) == 0 for instance in fleet.servers)


async def test_page_sizes_that_are_no_numbers_are_refused_as_variables(fleet: Fleet):
    for size in (2**31, 1.5, "ten", [1, 2]):
        for name in ("first", "last"):
            answered = await fleet.ask(PAGE, {name: size})
            assert {error["extensions"]["code"] for error in answered["errors"]} == {"BAD_USER_INPUT"}


# Cursors


async def test_a_cursor_survives_a_restart_of_the_gateway(kept_fleet: Fleet, upstreams: Upstreams):
    whole = told(await walk(kept_fleet, [100]))
    shown = await page(kept_fleet, first=50)
    async with again(kept_fleet, upstreams, list(upstreams)) as restarted:
        assert told(await walk(restarted, [30], shown["pageInfo"]["endCursor"])) == whole[50:]
        assert told(await walk_back(restarted, [30], shown["pageInfo"]["endCursor"])) == whole[:49]


async def test_a_cursor_survives_an_instance_that_is_gone(kept_fleet: Fleet, upstreams: Upstreams):
    whole = told(await walk(kept_fleet, [100]))
    cursor = (await page(kept_fleet, first=50))["pageInfo"]["endCursor"]
    async with again(kept_fleet, upstreams, [AIRBYTE, UNIFIED_TO]) as without:
        rest = told(await walk(without, [30], cursor))
    assert rest == [id for id in whole[50:] if ids.decode(id)[0] != WORKIVA]


async def test_a_cursor_survives_an_instance_that_is_new(kept_fleet: Fleet, upstreams: Upstreams):
    whole = told(await walk(kept_fleet, [100]))
    async with again(kept_fleet, upstreams, [AIRBYTE, WORKIVA]) as before:
        shown = await page(before, first=50)
    rest = told(await walk(kept_fleet, [30], shown["pageInfo"]["endCursor"]))
    assert rest == whole[whole.index(shown["nodes"][-1]["id"]) + 1 :]


async def test_a_cursor_survives_instances_in_another_order(kept_fleet: Fleet, upstreams: Upstreams):
    whole = told(await walk(kept_fleet, [100]))
    shown = await page(kept_fleet, first=50)
    async with again(kept_fleet, upstreams, [UNIFIED_TO, WORKIVA, AIRBYTE]) as other:
        assert told(await walk(other, [30], shown["pageInfo"]["endCursor"])) == whole[50:]


async def test_a_page_with_a_failed_instance_leads_on_and_the_instance_comes_back_where_it_stood(fleet: Fleet):
    whole = told(await walk(fleet, [100]))
    fleet.servers[WORKIVA].knobs = Knobs(status=500)
    answered = await fleet.ask(PAGE, {"first": 20})
    shown = answered["data"]["connections"]
    assert len(shown["nodes"]) == 20
    fleet.servers[WORKIVA].knobs = Knobs()
    rest = told(await walk(fleet, [40], shown["pageInfo"]["endCursor"]))
    assert rest == whole[whole.index(shown["nodes"][-1]["id"]) + 1 :]


BAD_CURSORS = (
    "",
    "x",
    "not a cursor",
    "💥",
    "AAAA",
    "W10",  # []
    "WzEse31d" * 500,
    base64.urlsafe_b64encode(b"[2,{}]").decode(),
    base64.urlsafe_b64encode(b'[1,{"airbyte-prod":["1","x",false]}]').decode(),
    base64.urlsafe_b64encode(b'{"version":1}').decode(),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    base64.urlsafe_b64encode(b"[" * 5000).decode(),
    base64.urlsafe_b64encode(b"r1:1").decode(),
)


@pytest.mark.parametrize("name", ["after", "before"])
async def test_a_text_that_is_no_cursor_is_the_clients_mistake(fleet: Fleet, name: str):
    for cursor in BAD_CURSORS:
        answered = await fleet.ask(PAGE, {name: cursor})
        assert [error["extensions"]["code"] for error in answered["errors"]] == ["BAD_USER_INPUT"], cursor
    assert all(fleet.calls(instance) == 0 for instance in fleet.servers)


async def test_a_cursor_of_another_order_is_the_clients_mistake(kept_fleet: Fleet):
    cursor = (await page(kept_fleet, first=3))["pageInfo"]["endCursor"]
    for by in ([("NAME", True)], [("STATUS", False)], [NAME, ("STATUS", False)]):
        answered = await kept_fleet.ask(PAGE, {"after": cursor, "by": ordering(by)})
        assert [error["extensions"]["code"] for error in answered["errors"]] == ["BAD_USER_INPUT"]
        assert "orderBy" in answered["errors"][0]["message"]


def tampered(cursor: str, changes: Sequence[tuple[int, int]]) -> str:
    """The cursor with bytes of what is inside it changed."""
    body = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for place, byte in changes:
        body[place % len(body)] = byte
    return base64.urlsafe_b64encode(bytes(body)).decode().rstrip("=")


async def test_tampered_cursors_of_real_pages_never_break_the_gateway(clock: Clock):
    async with over({"unified": UnifiedToImitation(size=330, clock=clock)}) as fleet:
        cursor = (await page(fleet, first=5))["pageInfo"]["endCursor"]
        size = len(base64.urlsafe_b64decode(cursor + "=="))
        mutants = [tampered(cursor, [(place, ord("9"))]) for place in range(0, size, 2)]
        mutants += [tampered(cursor, [(place, ord('"'))]) for place in range(1, size, 2)]
        mutants += [cursor[: len(cursor) // 2], cursor + cursor, cursor.swapcase(), cursor[::-1]]
        answers = await asyncio.gather(*(fleet.ask(PAGE, {"first": 1, "after": mutant}) for mutant in mutants))
        codes = {error["extensions"]["code"] for answer in answers for error in answer.get("errors", [])}
        assert codes == {"BAD_USER_INPUT"}
        assert len(told(await walk(fleet, [100]))) == 330, "and nobody else notices"


async def test_a_made_up_place_in_an_upstreams_list_costs_nobody_else_anything(clock: Clock):
    async with over({"unified": UnifiedToImitation(size=330, clock=clock)}) as fleet:
        cursor = (await page(fleet, first=5))["pageInfo"]["endCursor"]
        body = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        assert b'"Production":null' in body
        for token in (b'"nonsense"', b'"[-1]"', b'"[1e99]"', b'"[1,2,3]"', b'"\\u0000"', b'"[1000000000000]"'):
            made_up = base64.urlsafe_b64encode(body.replace(b'"Production":null', b'"Production":' + token)).decode()
            answered = await fleet.ask(PAGE, {"first": 5, "after": made_up.rstrip("=")})
            assert [error["extensions"]["code"] for error in answered["errors"]] == ["BAD_USER_INPUT"], token
            assert len((await page(fleet, first=5))["nodes"]) == 5


@pytest.mark.parametrize("sizes", [[100], [1, 60, 7]])
async def test_an_upstream_that_compares_names_in_another_way_is_told_and_read_whole_from_then_on(
    sizes: list[int], clock: Clock
):
    odd = AirbyteImitation(size=1100, generation="cursor", workspaces={"one": 1}, clock=clock, collation="binary")
    for number in range(1100):
        odd.written[number] = {"name": f"{'Orders' if number % 100 else 'ads'} {number:04}"}
    async with over({"odd": odd, "other": AirbyteImitation(size=60, clock=clock)}) as fleet:
        met, codes = await noticed(fleet, sizes)
        assert codes == {"UPSTREAM_BAD_RESPONSE"}, "it is told that rows are missing"
        assert len(set(met)) == len(met) < len(all_ids(fleet))
        whole = await walk(fleet, [100])  # by now it is known
        assert set(told(whole)) == all_ids(fleet)
    assert told(whole) == in_order(whole, [NAME])


async def test_rows_that_are_gone_hide_no_other_idea_of_an_order(clock: Clock):
    odd = AirbyteImitation(size=1100, generation="cursor", workspaces={"one": 1}, clock=clock, collation="binary")
    for number in range(1100):
        odd.written[number] = {"name": f"{'Orders' if number < 1050 else 'ads'} {number:04}"}
    async with over({"odd": odd}, max_age=0) as fleet:
        met: list[str] = []
        after: str | None = None
        for first in [100] * 6:
            shown = await page(fleet, first=first, after=after)
            met += told(shown["nodes"])
            after = shown["pageInfo"]["endCursor"]
        odd.deleted |= {ids.decode(id)[1] for id in met[490:]}  # all that its page begins with
        codes: set[str] = set()
        while after is not None:
            answered = await fleet.ask(PAGE, {"first": 100, "after": after})
            codes |= {error["extensions"]["code"] for error in answered.get("errors", ())}
            info = answered["data"]["connections"]["pageInfo"]
            after = info["endCursor"] if info["hasNextPage"] else None
    assert codes == {"UPSTREAM_BAD_RESPONSE"}


async def test_rows_that_are_gone_take_no_other_row_with_them(clock: Clock):
    server = UnifiedToImitation(size=330, clock=clock)
    async with over({"u": server}, max_age=0) as fleet:
        before = told(await walk(fleet, [100]))
        first = await page(fleet, first=100)
        second = await page(fleet, first=70, after=first["pageInfo"]["endCursor"])
        met = told([*first["nodes"], *second["nodes"]])
        server.deleted |= {ids.decode(id)[1] for id in (*met[3:9], met[-1])}
        met += told(await walk(fleet, [7, 30], second["pageInfo"]["endCursor"]))
    assert met == before


class _NoNames:
    """An upstream that will not hear of sorting by name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = JSONResponse({"statusCode": 400, "message": "sort takes other words"}, 400)
        is_refused = scope["type"] == "http" and b"sort=name" in scope["query_string"]
        await (refused if is_refused else self._app)(scope, receive, send)


async def test_an_upstream_that_refuses_an_order_is_read_without_it():
    server = UnifiedToImitation(size=330)
    server.app = _NoNames(server.app)
    async with over({"u": server}) as fleet:
        both = await fleet.data("{ page: connections { nodes { id } } connectionFacets { totalCount } }")
        listed = await page(fleet, first=100)
        counted = await page(fleet, COUNTED, first=100)
    assert len(both["page"]["nodes"]) == 25
    assert both["connectionFacets"]["totalCount"] == counted["totalCount"]
    assert counted["nodes"] == listed["nodes"]
    assert counted["totalCount"] == 330
    names = [node["name"] for node in listed["nodes"]]
    assert names == sorted(names, key=str.casefold)
