"""Whatever goes wrong on the way: nothing is done twice, and nothing that may have happened is said to have failed."""

from typing import Any, NamedTuple

import pytest

from adapters.imitation import Knobs
from tests.conftest import AIRBYTE, WORKIVA
from tests.gateway.changing import CASES, Case, trouble, world
from tests.gateway.writing import TOKEN_LASTS_S


class Fault(NamedTuple):
    """What goes wrong with the one call, whether it was carried out all the same, and how that is told where nothing
    can be seen of it."""

    knobs: dict[str, Any]
    happened: bool
    code: str


FAULTS = {
    "reset before": Fault({"reset": True}, False, "OUTCOME_UNKNOWN"),
    "reset after": Fault({"reset": True, "late": True}, True, "OUTCOME_UNKNOWN"),
    "hangs before": Fault({"hang": True}, False, "OUTCOME_UNKNOWN"),
    "hangs after": Fault({"hang": True, "late": True}, True, "OUTCOME_UNKNOWN"),
    "500 before": Fault({"status": 500}, False, "OUTCOME_UNKNOWN"),
    "500 after": Fault({"status": 500, "late": True}, True, "OUTCOME_UNKNOWN"),
    "503 before": Fault({"status": 503}, False, "OUTCOME_UNKNOWN"),
    "503 after": Fault({"status": 503, "late": True}, True, "OUTCOME_UNKNOWN"),
    "408 after": Fault({"status": 408, "late": True}, True, "OUTCOME_UNKNOWN"),
    "half an answer": Fault({"cut": True}, True, "OUTCOME_UNKNOWN"),
    "another answer": Fault({"body": "[]", "late": True}, True, "OUTCOME_UNKNOWN"),
    "a redirection": Fault({"status": 302, "late": True}, True, "OUTCOME_UNKNOWN"),
    "409": Fault({"status": 409}, False, "CONFLICT"),
    "429": Fault({"status": 429, "retry_after_s": 3}, False, "UPSTREAM_RATE_LIMITED"),
    "401": Fault({"status": 401}, True, ""),
    "403": Fault({"status": 403}, False, "UPSTREAM_UNAUTHORIZED"),
}
BODILESS = {"another answer", "half an answer"}
"""Where the answer has no body, one with another body is as good, and half of it is all of it."""
RENEWED = {AIRBYTE, WORKIVA}
"""Where a token that is refused is renewed; that of Unified.to is for good."""


def judged(answered: dict[str, Any], mutation: str) -> tuple[dict[str, Any] | None, str | None]:
    """The payload, or the code of what came in its place."""
    errors = [error for error in answered.get("errors", ()) if error["path"] == [mutation]]
    assert len(errors) <= 1
    return answered["data"][mutation], errors[0]["extensions"]["code"] if errors else None


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_nothing_happens_twice_or_is_denied(case: Case, fault: str):
    knobs, happened, code = FAULTS[fault]
    if fault == "401" and case.instance not in RENEWED:
        happened, code = False, "UPSTREAM_UNAUTHORIZED"
    async with world(case.instance) as all_of_it:
        given = await case.given(all_of_it)
        server = all_of_it.fleet.servers[case.instance]
        server.effects.clear()
        server.knobs = trouble(case, **knobs)
        payload, told = judged(await all_of_it.do(case.mutation, given), case.mutation)
        effects = all_of_it.effects(case.instance)
        assert effects == [case.effect] * happened
        if happened:
            assert told is None
            assert payload is not None
            assert payload["userErrors"] == []
            is_told = fault == "401" or (case.mutation == "deleteConnection" and fault in BODILESS)
            assert payload["readBack"] is not is_told
        else:
            assert told == code
            assert payload is None


@pytest.mark.parametrize("case", [case for case in CASES if case.instance in RENEWED], ids=str)
async def test_an_expired_token_is_renewed_and_nothing_happens_twice(case: Case):
    async with world(case.instance) as all_of_it:
        if case.instance == AIRBYTE:
            all_of_it.airbyte.sync_lasts_s = 10 * TOKEN_LASTS_S  # or the run to cancel would have ended by then
        given = await case.given(all_of_it)
        server = all_of_it.fleet.servers[case.instance]
        server.effects.clear()
        all_of_it.clock.now += TOKEN_LASTS_S + 1
        await all_of_it.done(case.mutation, given)
        assert all_of_it.effects(case.instance) == [case.effect]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_where_nothing_is_sent_nothing_is_unknown(case: Case):
    async with world(case.instance, break_after=1) as all_of_it:
        given = await case.given(all_of_it)
        server = all_of_it.fleet.servers[case.instance]
        server.effects.clear()
        server.knobs = Knobs(status=500)
        await all_of_it.ask("{ connections(maxAge: 0) { nodes { id } } }")  # which opens the breaker
        answered = await all_of_it.do(case.mutation, given)
        _, told = judged(answered, case.mutation)
        assert told == "CIRCUIT_OPEN"
        assert answered["errors"][0]["extensions"]["retryable"] is True
        assert all_of_it.effects(case.instance) == []


async def test_an_unknown_outcome_says_how_to_read_back():
    case = next(case for case in CASES if case.mutation == "updateConnection")
    async with world(case.instance) as all_of_it:
        given = await case.given(all_of_it)
        all_of_it.fleet.servers[case.instance].knobs = trouble(case, reset=True)
        answered = await all_of_it.do(case.mutation, given)
        extensions = answered["errors"][0]["extensions"]
        assert extensions["code"] == "OUTCOME_UNKNOWN"
        assert extensions["cause"] == "UPSTREAM_UNAVAILABLE"
        assert extensions["retryable"] is False
        shown = await all_of_it.fleet.data(extensions["readBack"])
        assert shown["connection"]["id"] == given["id"]
