"""The log has a line for each request that is answered: for those that are refused, too, and for our own mistakes."""

import io
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import httpx
import pytest

from adapters.imitation import serve
from gateway.answers import Answers
from gateway.protection.identity import Keys
from gateway.protection.limits import Limits
from gateway.protocol import Spoken
from gateway.routes import Endpoint, Gateway
from tests.conftest import Upstreams, fleet_over

KEY, FOREIGN = "a-key-of-sixteen-or-more", "a-key-that-nobody-has"
MUTATION = 'mutation Change { deleteConnection(input: { id: "x" }) { deletedId } }'
JSON = {"Content-Type": "application/json"}
OURS = {**JSON, "X-API-Key": KEY}
QUERY = json.dumps({"query": "query Plain { __typename }", "operationName": "Plain"})


class Asking(NamedTuple):
    """A request, and what its line says beside the time that it took."""

    codes: list[str]
    headers: Mapping[str, str] = OURS
    body: str = QUERY
    params: Mapping[str, str] = {}
    viewer: str | None = "ops"
    operation: str | None = None


ASKED = {
    "answered": Asking([], operation="Plain"),
    "no JSON": Asking(["400", "BAD_REQUEST"], body="nope"),
    "no key": Asking(["401", "UNAUTHENTICATED"], JSON, viewer=None),
    "another key": Asking(["401", "UNAUTHENTICATED"], {**JSON, "Authorization": f"Bearer {FOREIGN}"}, viewer=None),
    "an explanation": Asking(["403", "FORBIDDEN"], {**OURS, "Gateway-Explain": "PLAN"}, operation="Plain"),
    "a change by GET": Asking(
        ["405", "BAD_REQUEST"], params={"query": MUTATION, "operationName": "Change"}, operation="Change"
    ),
    "XML": Asking(["406", "BAD_REQUEST"], {**OURS, "Accept": "application/xml"}),
    "a long body": Asking(["413", "BAD_REQUEST"], body=QUERY + " " * 300_000),
    "plain text": Asking(["415", "BAD_REQUEST"], {**OURS, "Content-Type": "text/plain"}),
    "a document that does not fit": Asking(["GRAPHQL_VALIDATION_FAILED"], body='{"query": "{ nothing }"}'),
}


def lines(log: io.BytesIO) -> list[dict[str, Any]]:
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in told if line["logger"] == "gateway.requests"]


def of(line: Mapping[str, Any]) -> tuple[Any, ...]:
    assert 0 <= line["duration_s"] < 60
    return line["codes"], line["viewer"], line["operation"]


@pytest.mark.parametrize("asking", ASKED.values(), ids=ASKED)
async def test_each_request_is_one_line_refused_or_not(upstreams: Upstreams, log: io.BytesIO, asking: Asking):
    auth = {"mode": "api_key", "keys": {"ops": KEY}, "explain": "off"}
    async with fleet_over(upstreams, auth=auth) as fleet:
        url = f"{fleet.url}/graphql"
        if asking.params:
            answered = await fleet.client.get(url, params=asking.params, headers=asking.headers)
        else:
            answered = await fleet.client.post(url, content=asking.body, headers=asking.headers)
    (line,) = lines(log)
    assert of(line) == (asking.codes, asking.viewer, asking.operation)
    assert str(answered.status_code) == next((code for code in asking.codes if code.isdigit()), "200")
    assert KEY.encode() not in log.getvalue()
    assert FOREIGN.encode() not in log.getvalue()


class Mistaken:
    """An engine with a mistake in it."""

    async def run(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("S3CR3T")


async def test_a_mistake_of_ours_is_a_line_too(log: io.BytesIO):
    answers = Answers({}, cast("Any", None))
    endpoint = Endpoint(cast("Any", Mistaken()), Limits(), Keys({}), answers, explains="off", show_graphiql=False)
    async with serve(Gateway(endpoint), http=Spoken) as url, httpx.AsyncClient() as client:
        answered = await client.post(f"{url}/graphql", content=QUERY, headers=JSON)
    assert answered.json()["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    (line,) = lines(log)
    assert of(line) == (["INTERNAL_SERVER_ERROR"], None, "Plain")
    assert b"S3CR3T" not in log.getvalue()
