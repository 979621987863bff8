"""What cannot be meant is told with a code, what nothing can match is an empty answer, and neither costs a call."""

import base64
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx
import pytest

from adapters import ids
from adapters.airbyte.demo import connection_id
from adapters.imitation import native_id
from adapters.unified_to.demo import ENVIRONMENTS, UnifiedToImitation
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet, Upstreams, fleet_over

ALL = (AIRBYTE, WORKIVA, UNIFIED_TO)
PAGE = """
    query ($first: Int, $after: String, $last: Int, $before: String, $filter: ConnectionFilter,
           $orderBy: [ConnectionOrder!], $maxAge: Int) {
      connections(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy,
                  maxAge: $maxAge) {
        totalCount nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        sources { instance { name } state rowCount asOf stale error { code } }
      }
    }"""
FACETS = """
    query ($filter: ConnectionFilter, $maxAge: Int) {
      connectionFacets(filter: $filter, maxAge: $maxAge) { totalCount status { value count } sources { state } }
    }"""
KEY = "a-key-of-sixteen-letters"
INVALID_DATE = "last Tuesday"
LATER, EARLIER = "2026-05-02T00:00:00Z", "2026-05-01T00:00:00Z"


def calls(fleet: Fleet) -> int:
    return sum(fleet.calls(instance) for instance in ALL)


def codes(answered: Mapping[str, Any]) -> list[str]:
    return [error["extensions"]["code"] for error in answered["errors"]]


def nested(depth: int) -> dict[str, Any]:
    """A filter in which `not` stands in `not` so deep."""
    where: dict[str, Any] = {"status": ["FAILING"]}
    for _ in range(depth):
        where = {"not": where}
    return where


# --- filters


FILTERS: Mapping[str, Any] = {
    "an instance that is not configured": {"instance": [AIRBYTE, "gone"]},
    "an instance by another spelling": {"instance": [AIRBYTE.upper()]},
    "an unknown instance inside of not": {"not": {"instance": ["gone"]}},
    "a span that ends before it begins": {"createdAt": {"since": LATER, "before": EARLIER}},
    "a span that ends as it begins": {"updatedAt": {"since": LATER, "before": LATER}},
    "a span of runs that ends before it begins": {"lastRunAt": {"since": LATER, "before": EARLIER}},
    "a span of health that ends before it begins": {"lastHealthyAt": {"since": LATER, "before": EARLIER}},
    "a span inside of not": {"not": {"createdAt": {"since": LATER, "before": EARLIER}}},
    "a moment that is none": {"createdAt": {"since": INVALID_DATE}},
    "a moment without an offset": {"createdAt": {"since": "2026-05-01T00:00:00"}},
    "a moment beyond all calendars": {"createdAt": {"since": "99999-01-01T00:00:00Z"}},
    "a moment before the first of all years": {"updatedAt": {"since": "0001-01-01T00:00:00+14:00"}},
    "a moment after the last of all years": {"createdAt": {"before": "9999-12-31T23:59:59-14:00"}},
    "a text of ten kilobytes": {"text": "x" * 10_240},
    "a text of one letter too many": {"text": "x" * 257},
    "a value of ten kilobytes": {"category": ["x" * 10_240]},
    "a value of one letter too many": {"sourceName": ["x", "x" * 1025]},
    "an id of ten kilobytes": {"ids": [ids.encode(WORKIVA, "x" * 10_240)]},
    "101 ids": {"ids": [ids.encode(WORKIVA, native_id("workiva", number)) for number in range(101)]},
    "an id that is none": {"ids": ["nonsense"]},
    "an empty id": {"ids": [""]},
    "1001 values": {"sourceType": [str(number) for number in range(1001)]},
    "1001 statuses": {"status": ["FAILING"] * 1001},
    "1001 providers": {"provider": ["AIRBYTE"] * 1001},
    "a word that is no status": {"status": ["BROKEN"]},
    "a word in lower case": {"status": ["failing"]},
    "a word that is no provider": {"provider": ["FIVETRAN"]},
    "a word that is no schedule": {"scheduleType": ["SOMETIMES"]},
    "a condition that there is not": {"colour": "red"},
    "a number for a text": {"text": 7},
    "a text for a truth": {"enabled": "yes"},
    "null in a list": {"instance": [None]},
    "five times not": nested(5),
}


@pytest.mark.parametrize("field", ["connections", "connectionFacets"])
@pytest.mark.parametrize("name", FILTERS)
async def test_a_filter_that_cannot_be_meant_is_told_and_costs_nothing(fleet: Fleet, name: str, field: str):
    answered = await fleet.ask(PAGE if field == "connections" else FACETS, {"filter": FILTERS[name]})
    assert codes(answered) == ["BAD_USER_INPUT"]
    assert answered.get("data") is None
    assert len(answered["errors"][0]["message"]) < 300, "it does not repeat what came"
    assert calls(fleet) == 0


async def test_a_filter_that_is_too_long_is_told_as_clients_spell_it(fleet: Fleet):
    for where in ({"sourceName": ["x"] * 1001}, {"sourceName": ["x" * 1025]}):
        (error,) = (await fleet.ask(PAGE, {"filter": where}))["errors"]
        assert error["message"].startswith("filter.sourceName: ")


@pytest.mark.parametrize("depth", [4, 5, 50, 150, 300, 450, 600, 900, 5_000, 30_000])
async def test_not_in_not_is_refused_however_deep_it_is(fleet: Fleet, depth: int):
    """As deep as variables are sent: by nobody who means well, and so never a crash."""
    body = json.dumps({"query": PAGE, "variables": {"filter": {}}})
    where = '{"not":' * depth + '{"enabled":true}' + "}" * depth
    body = body.replace('"filter": {}', f'"filter": {where}')
    answered = await fleet.client.post(
        f"{fleet.url}/graphql", content=body, headers={"Content-Type": "application/json"}
    )
    if depth <= 4:
        assert "errors" not in answered.json()
        return
    assert answered.status_code in (200, 400)
    assert codes(answered.json()) in (["BAD_USER_INPUT"], ["BAD_REQUEST"], ["QUERY_TOO_COMPLEX"])
    assert calls(fleet) == 0
    assert len(answered.text) < 2_000
    assert "errors" not in await fleet.ask("{ instances { name } }"), "it lives"


@pytest.mark.parametrize("depth", [4, 5, 60])
async def test_not_in_not_is_refused_in_the_document_as_well(fleet: Fleet, depth: int):
    where = "{ not: " * depth + "{ enabled: true }" + " }" * depth
    answered = await fleet.ask(f"{{ connections(filter: {where}) {{ totalCount }} }}")
    if depth <= 4:
        assert answered["data"]["connections"]["totalCount"]
    else:
        assert set(codes(answered)) <= {"BAD_USER_INPUT", "QUERY_TOO_COMPLEX"}
        assert calls(fleet) == 0


# --- filters that nothing matches


NOTHING: Mapping[str, Any] = {
    name: {name: []}
    for name in (
        "provider", "instance", "status", "ids", "workspaceId", "environment", "sourceId", "sourceName", "sourceType",
        "destinationId", "destinationName", "destinationType", "category", "permission", "scheduleType", "schemaChange",
    )
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
async def test_a_list_without_values_is_met_by_nothing_and_costs_nothing(fleet: Fleet, name: str):
    page = (await fleet.data(PAGE, {"filter": NOTHING[name]}))["connections"]
    assert (page["nodes"], page["totalCount"]) == ([], 0)
    assert page["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": None,
        "endCursor": None,
    }
    skipped = {"state": "SKIPPED", "rowCount": 0, "asOf": None, "stale": False, "error": None}
    assert page["sources"] == [{"instance": {"name": name}, **skipped} for name in ALL]
    assert calls(fleet) == 0


async def test_counts_of_nothing_are_none(fleet: Fleet):
    facets = (await fleet.data(FACETS, {"filter": {"sourceType": []}}))["connectionFacets"]
    assert facets == {"totalCount": 0, "status": [], "sources": [{"state": "SKIPPED"}] * 3}
    assert calls(fleet) == 0


async def test_a_facet_leaves_out_its_own_list_without_values(fleet: Fleet):
    facets = (await fleet.data(FACETS, {"filter": {"status": []}}))["connectionFacets"]
    assert facets["totalCount"] == 0
    assert sum(facet["count"] for facet in facets["status"]) == 180


async def test_not_of_what_nothing_meets_is_everything(fleet: Fleet):
    page = (await fleet.data(PAGE, {"filter": {"not": {"status": []}}}))["connections"]
    assert page["totalCount"] == 180


@pytest.mark.parametrize("where", [{}, None, {"not": None}, {"status": None, "text": None}, {"createdAt": {}}])
async def test_null_and_nothing_are_no_condition(fleet: Fleet, where: Any):
    page = (await fleet.data(PAGE, {"filter": where}))["connections"]
    # A span without bounds is met by what has the moment at all.
    assert page["totalCount"] == (120 if where == {"createdAt": {}} else 180)


async def test_conditions_that_contradict_one_another_are_met_by_nothing(fleet: Fleet):
    for where in (
        {"provider": ["AIRBYTE"], "instance": [WORKIVA]},
        {"provider": ["WORKIVA"], "ids": [ids.encode(AIRBYTE, connection_id(0))]},
    ):
        page = (await fleet.data(PAGE, {"filter": where}))["connections"]
        assert (page["totalCount"], {source["state"] for source in page["sources"]}) == (0, {"SKIPPED"})
    assert calls(fleet) == 0


async def test_ids_of_removed_instances_and_unknown_ones_are_met_by_nothing(fleet: Fleet):
    for id in (ids.encode("gone", "1"), ids.encode(WORKIVA, "f" * 32), ids.encode(WORKIVA, "../x")):
        page = (await fleet.data(PAGE, {"filter": {"ids": [id]}}))["connections"]
        assert (page["nodes"], page["totalCount"]) == ([], 0)


@pytest.mark.parametrize("where", [{"workspaceId": ["gone"]}, {"environment": ["Moon"]}, {"sourceType": ["moon"]}])
async def test_values_that_nothing_has_are_an_empty_page(fleet: Fleet, where: dict[str, Any]):
    page = (await fleet.data(PAGE, {"filter": where}))["connections"]
    assert (page["nodes"], page["totalCount"]) == ([], 0)


async def test_an_empty_text_is_in_everything(fleet: Fleet):
    for text in ("", "   "):
        assert (await fleet.data(PAGE, {"filter": {"text": text}}))["connections"]["totalCount"] == 180


# --- pages


SIZES: Mapping[str, Any] = {
    "more than a page has": {"first": 101},
    "more than a page has, backward": {"last": 101},
    "less than none": {"first": -1},
    "less than none, backward": {"last": -1},
    "both first and last": {"first": 1, "last": 1},
    "more than an Int": {"first": 2**31},
    "a text": {"first": "ten"},
    "half a row": {"first": 1.5},
    "a negative age": {"maxAge": -1},
    "an age that is no number": {"maxAge": "old"},
    "a field twice": {"orderBy": [{"field": "NAME"}, {"field": "NAME", "direction": "DESC"}]},
    "an order by what there is not": {"orderBy": [{"field": "COLOUR"}]},
    "a direction that there is not": {"orderBy": [{"field": "NAME", "direction": "SIDEWAYS"}]},
    "an order without a field": {"orderBy": [{"direction": "ASC"}]},
    "a null among orders": {"orderBy": [None]},
}


@pytest.mark.parametrize("name", SIZES)
async def test_a_page_that_cannot_be_meant_is_told_and_costs_nothing(fleet: Fleet, name: str):
    answered = await fleet.ask(PAGE, SIZES[name])
    assert codes(answered) == ["BAD_USER_INPUT"]
    assert answered.get("data") is None
    assert calls(fleet) == 0


async def test_facets_refuse_a_negative_age_as_well(fleet: Fleet):
    assert codes(await fleet.ask(FACETS, {"maxAge": -1})) == ["BAD_USER_INPUT"]
    assert calls(fleet) == 0


async def test_no_orders_are_the_usual_order(fleet: Fleet):
    empty = await fleet.data(PAGE, {"orderBy": []})
    usual = await fleet.data(PAGE)
    assert empty["connections"]["nodes"] == usual["connections"]["nodes"]


def packed(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


CURSORS: Mapping[str, str] = {
    "empty": "",
    "nonsense": "nonsense",
    "not base64": "💥" * 10,
    "not JSON": base64.urlsafe_b64encode(b"nonsense").decode(),
    "another shape": packed({"a": 1}),
    "of a version to come": packed([3, "NAME", ["a"], WORKIVA, "1"]),
    "of a version that was": packed([1, "NAME", ["a"], WORKIVA, "1"]),
    "with a number for a name": packed([2, "NAME", [1], WORKIVA, "1"]),
    "with too few values": packed([2, "NAME", [], WORKIVA, "1"]),
    "with too many values": packed([2, "NAME", ["a", "b"], WORKIVA, "1"]),
    "with something more": packed([2, "NAME", ["a"], WORKIVA, "1", {}, 1]),
    "of another order": packed([2, "STATUS", [1], WORKIVA, "1"]),
    "of the other way": packed([2, "-NAME", ["a"], WORKIVA, "1"]),
    "very deep": base64.urlsafe_b64encode(b"[" * 50_000).decode(),
    "very long": "A" * 100_000,
}


@pytest.mark.parametrize("argument", ["after", "before"])
@pytest.mark.parametrize("name", CURSORS)
async def test_a_cursor_that_is_none_of_this_list_is_told_and_costs_nothing(fleet: Fleet, name: str, argument: str):
    answered = await fleet.ask(PAGE, {argument: CURSORS[name]})
    assert codes(answered) == ["BAD_USER_INPUT"]
    assert answered.get("data") is None
    assert calls(fleet) == 0


async def test_a_cursor_of_another_order_says_so(fleet: Fleet):
    page = (await fleet.data(PAGE, {"first": 1, "orderBy": [{"field": "STATUS"}]}))["connections"]
    fleet.forget()
    answered = await fleet.ask(PAGE, {"after": page["pageInfo"]["endCursor"]})
    assert codes(answered) == ["BAD_USER_INPUT"]
    assert "orderBy" in answered["errors"][0]["message"]
    assert calls(fleet) == 0


async def test_a_cursor_of_a_row_or_an_instance_that_is_gone_is_a_place_all_the_same(fleet: Fleet):
    """Cursors tell a place by what rows are sorted by: which row stood there does not matter."""
    for instance, native in (("gone", "1"), (WORKIVA, "never was"), (AIRBYTE, "")):
        cursor = packed([2, "NAME", ["M"], instance, native])
        after = (await fleet.data(PAGE, {"after": cursor, "first": 100}))["connections"]
        before = (await fleet.data(PAGE, {"before": cursor, "last": 100}))["connections"]
        assert after["pageInfo"]["hasPreviousPage"]
        assert before["pageInfo"]["hasNextPage"]
        assert not {row["id"] for row in after["nodes"]} & {row["id"] for row in before["nodes"]}


@pytest.mark.parametrize("token", ["made up", "[]", '["x"]', "[-1]", "[" * 5000])
async def test_a_cursor_with_a_made_up_token_is_the_clients_mistake(token: str):
    """Only a list that is read page by page looks at tokens."""
    long = UnifiedToImitation(size=700)
    cursor = packed([2, "NAME", ["A"], UNIFIED_TO, "1", {UNIFIED_TO: dict.fromkeys(set(ENVIRONMENTS), token)}])
    query = PAGE.replace("totalCount", "")
    async with long.serve() as url, fleet_over({UNIFIED_TO: (long, url)}) as fleet:
        answered = await fleet.ask(query, {"after": cursor})
    expected = [] if token == "[]" else ["BAD_USER_INPUT"]
    assert [error["extensions"]["code"] for error in answered.get("errors", [])] == expected


# --- explanations


async def explained(fleet: Fleet, mode: Any, **headers: str) -> httpx.Response:
    body = {"query": "{ connections { totalCount } }", "extensions": {"explain": mode}}
    return await fleet.client.post(f"{fleet.url}/graphql", json=body, headers=headers)


@pytest.fixture(params=["off", "viewers", "everyone"])
def explain(request: pytest.FixtureRequest) -> str:
    """Who may ask for explanations."""
    return request.param


@pytest.fixture(params=["none", "api_key"])
async def guarded(
    request: pytest.FixtureRequest, upstreams: Upstreams, explain: str
) -> AsyncGenerator[tuple[Fleet, bool]]:
    """A gateway that lets in everybody, or who has a key; and whether it explains to who is let in."""
    keys = {"keys": {"tests": KEY}} if request.param == "api_key" else {}
    async with fleet_over(upstreams, auth={"mode": request.param, "explain": explain, **keys}) as fleet:
        if keys:
            fleet.client.headers["X-API-Key"] = KEY
        yield fleet, explain == "everyone" or (explain == "viewers" and bool(keys))


@pytest.mark.parametrize("mode", ["CALLS", "PLAN"])
async def test_who_may_not_ask_for_explanations_is_told_and_nothing_is_done(guarded: tuple[Fleet, bool], mode: str):
    fleet, is_allowed = guarded
    answered = await explained(fleet, mode)
    if is_allowed:
        assert answered.status_code == 200
        assert answered.json()["extensions"]["explain"]["mode"] == mode
    else:
        assert (answered.status_code, codes(answered.json())) == (403, ["FORBIDDEN"])
        assert answered.json().keys() == {"errors"}
        assert calls(fleet) == 0
    header = {"Gateway-Explain": mode}
    by_header = await fleet.client.get(f"{fleet.url}/graphql", params={"query": "{ __typename }"}, headers=header)
    assert by_header.status_code == (200 if is_allowed else 403)


async def test_a_stranger_is_refused_before_anything_is_explained(upstreams: Upstreams):
    auth = {"mode": "api_key", "keys": {"tests": KEY}, "explain": "everyone"}
    async with fleet_over(upstreams, auth=auth) as fleet:
        for key in ({}, {"X-API-Key": "wrong-key-of-sixteen"}):
            answered = await explained(fleet, "PLAN", **key)
            assert (answered.status_code, codes(answered.json())) == (401, ["UNAUTHENTICATED"])
        assert calls(fleet) == 0


async def test_by_default_explanations_are_for_who_sent_a_key(upstreams: Upstreams):
    async with fleet_over(upstreams) as fleet:
        assert (await explained(fleet, "PLAN")).status_code == 403
    async with fleet_over(upstreams, auth={"mode": "api_key", "keys": {"tests": KEY}}) as fleet:
        assert (await explained(fleet, "PLAN", **{"X-API-Key": KEY})).status_code == 200


@pytest.mark.parametrize("mode", ["EVERYTHING", "PLAN,CALLS", 7, True, {"mode": "PLAN"}, ["PLAN"]], ids=str)
async def test_a_wrong_word_is_refused_with_the_right_ones(upstreams: Upstreams, mode: Any):
    async with fleet_over(upstreams, auth={"explain": "everyone"}) as fleet:
        answered = await explained(fleet, mode)
        assert (answered.status_code, codes(answered.json())) == (400, ["BAD_REQUEST"])
        assert "CALLS or PLAN" in answered.json()["errors"][0]["message"]
        assert calls(fleet) == 0


@pytest.mark.parametrize("mode", [None, "", False])
async def test_nothing_asked_is_nothing_explained(upstreams: Upstreams, mode: Any):
    async with fleet_over(upstreams, auth={"explain": "off"}) as fleet:
        answered = await explained(fleet, mode)
    assert answered.json().keys() == {"data"}
