"""Whatever stands in a free-form map, it costs no other value of an answer, and no other row."""

import contextlib
import datetime as dt
import json
import math
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.imitation import serve
from adapters.secret import MASK
from gateway.execution.encoding import to_json
from tests.conftest import gateway_over

BEYOND = 10**38 - 1
"""The bound of a decimal column, and more than 64 bits hold."""
MOMENT = dt.datetime(2026, 5, 1, 12, 0, 0, 250_000, dt.UTC)
SIMPLE = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SIMPLE | st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
AS_JSON = {"Content-Type": "application/json"}
TOO_DEEP = [200, 240, 252, 260, 320, *range(880, 1000, 5), 2_000, 50_000]
METADATA = (
    "{ connections(first: 100) { nodes { details { ... on WorkivaConnection { metadata } } } sources { state } } }"
)


@given(VALUES)
def test_what_orjson_does_not_write_changes_nothing_of_what_it_does(value: Any):
    alone = json.loads(to_json([value, MOMENT, orjson.Fragment(b'{"kept":1}')]))
    beside = json.loads(to_json([value, MOMENT, orjson.Fragment(b'{"kept":1}'), BEYOND]))
    assert beside == [*alone, BEYOND]
    assert alone == [value, MOMENT.isoformat(), {"kept": 1}]


def test_numbers_inside_what_was_written_before_lose_no_digit():
    kept = orjson.Fragment(to_json({"n": BEYOND}))
    assert json.loads(to_json([kept])) == [{"n": BEYOND}]
    assert json.loads(to_json([kept, BEYOND])) == [{"n": BEYOND}, BEYOND]


def test_what_is_no_number_is_null_in_either_way():
    odd = [math.nan, math.inf, {"a": -math.inf}]
    assert json.loads(to_json(odd)) == [None, None, {"a": None}]
    assert json.loads(to_json([*odd, BEYOND])) == [None, None, {"a": None}, BEYOND]


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError):
        to_json(object())


@pytest.mark.parametrize("levels", [255, 290, 330, 700, 900, 1100, 50_000])
@pytest.mark.parametrize("beside", [1, BEYOND])
def test_what_is_nested_too_deep_costs_itself_and_nothing_beside(levels: int, beside: int):
    kept = orjson.Fragment(to_json(deep(levels)))
    written = json.loads(to_json({"a": deep(levels), "n": beside, "kept": kept, "at": MOMENT}))
    assert (written["n"], written["at"]) == (beside, MOMENT.isoformat())
    if levels < 299:
        assert written["a"] == written["kept"] == deep(levels)
    else:
        assert b"null" in to_json(deep(levels))


def deep(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"a": inner}
    return inner


@contextlib.asynccontextmanager
async def over(*metadata: Mapping[str, Any] | str) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a gateway over a Wdata whose connections have these metadata, which may be written already."""
    written = [each if isinstance(each, str) else json.dumps(each) for each in metadata]
    rows = [f'{{"connectionId":"{at}","name":"n{at:03}","metadata":{each}}}' for at, each in enumerate(written)]

    async def read(request: Request) -> Response:
        number = request.path_params.get("number")
        body = f"[{','.join(rows)}]" if number is None else rows[number]
        return Response(f'{{"body":{body}}}', media_type="application/json")

    routes = [Route("/api/v1/connections", read), Route("/api/v1/connections/{number:int}", read)]
    async with serve(Starlette(routes=routes)) as url:
        workiva = {"provider": "workiva", "base_url": url, "token_url": url}
        async with (
            gateway_over({"wdata": workiva}, inventory={"max_age": 0}) as gateway,
            httpx.AsyncClient(base_url=gateway, timeout=30) as client,
        ):
            yield client


async def asked(client: httpx.AsyncClient, query: str) -> dict[str, Any]:
    return json.loads((await client.post("/graphql", json={"query": query})).content)


async def test_numbers_of_any_size_and_depths_of_any_kind_cost_nothing_else():
    sent = [{"n": BEYOND}, {"n": 2**64}, {"n": -(2**63) - 1}, {"plain": 1.5}, deep(199), {"n": BEYOND, "d": deep(198)}]
    async with over(*sent, *['{"a":' * levels + "{}" + "}" * levels for levels in TOO_DEEP]) as client:
        for _ in range(3):  # by the engine, and by plans
            answered = await asked(client, METADATA)
            assert "errors" not in answered
            shown = [node["details"]["metadata"] for node in answered["data"]["connections"]["nodes"]]
            assert shown == sent + [None] * len(TOO_DEEP), "nobody could look whether there is a credential in it"
            assert answered["data"]["connections"]["sources"] == [{"state": "OK"}]


@pytest.mark.parametrize("parameters", [{"n": BEYOND, "m": [-BEYOND, 2**64]}, {"n": 2**53 + 1}, deep(200)])
@pytest.mark.parametrize("is_compact", [True, False])
async def test_a_rehearsal_shows_what_was_given_to_the_last_digit(parameters: Mapping[str, Any], is_compact: bool):
    answered = await rehearsed(parameters, separators=(",", ":") if is_compact else None)
    (request,) = answered["data"]["runConnection"]["dryRun"]["requests"]
    assert request["body"]["sourceParameters"] == parameters


@pytest.mark.parametrize("number", ["1e400", "9" * 309, "9" * 4_300, "9" * 4_400, "-" + "9" * 4_400])
async def test_a_number_beyond_all_floats_is_refused_where_it_stands_in_the_document(number: str):
    mutation = """
        mutation {
          runConnection(
            input: {
              ref: { instance: "wdata", nativeId: "0" }, dryRun: true, workiva: { sourceParameters: { n: [NUMBER] } }
            }
          ) { userErrors { code } }
        }"""
    async with over({}) as client:
        for _ in range(3):
            answered = await asked(client, mutation.replace("NUMBER", number))
            (error,) = answered["errors"]
            assert answered.get("data") is None
            assert error["extensions"]["code"] == "BAD_USER_INPUT"
            assert "JSON takes no number" in error["message"]


async def test_what_cannot_be_looked_through_is_masked_as_a_whole():
    answered = await rehearsed(deep(600))
    (request,) = answered["data"]["runConnection"]["dryRun"]["requests"]
    assert request["body"] == MASK


async def rehearsed(parameters: Mapping[str, Any], separators: tuple[str, str] | None = None) -> dict[str, Any]:
    """What a run with these parameters would send."""
    mutation = """
        mutation ($given: JSON) {
          runConnection(
            input: { ref: { instance: "wdata", nativeId: "0" }, dryRun: true, workiva: { sourceParameters: $given } }
          ) { dryRun { requests { body } } userErrors { code message } }
        }"""
    async with over({}) as client:
        body = json.dumps({"query": mutation, "variables": {"given": parameters}}, separators=separators).encode()
        return json.loads((await client.post("/graphql", content=body, headers=AS_JSON)).content)
