"""Whatever goes wrong on the way: nothing is done twice, and nothing that may have happened is said to have failed."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from adapters import ids
from adapters.imitation import Knobs
from adapters.transport import Call
from tests.conftest import AIRBYTE, WORKIVA
from tests.gateway.changing import CASES, Came, Case, assert_done, came_of, several, trouble, world
from tests.gateway.writing import TOKEN_LASTS_S, there_are


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


def test_every_mutation_is_tried_with_every_provider_that_has_it():
    assert {(case.mutation, case.instance) for case in CASES} == there_are()


def expected(case: Case, fault: str) -> Came:
    """What is to be told where this goes wrong."""
    _, happened, code = FAULTS[fault]
    if fault == "401":
        return Came(None if case.instance in RENEWED else "UPSTREAM_UNAUTHORIZED")
    if not happened or case.is_long:  # of what takes long, nothing can be read that would tell
        return Came(code)
    return Came(None, was_read_back=case.mutation != "deleteConnection" or fault not in BODILESS)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_nothing_happens_twice_or_is_denied(case: Case, fault: str):
    is_renewed = fault == "401" and case.instance in RENEWED
    async with world(*case.instances, task_timeout=0.5, retries=2) as all_of_it:
        given = await case.given(all_of_it)
        all_of_it.forget()
        all_of_it.fleet.servers[case.instance].knobs = trouble(case, **FAULTS[fault].knobs)
        came = await came_of(all_of_it, case, given, await all_of_it.do(case.mutation, given))
        happened = FAULTS[fault].happened and (fault != "401" or is_renewed)
        assert_done(all_of_it, case, times=happened, calls=1 + is_renewed)
        assert set(came.pop(case.instance)) == {expected(case, fault)}
        assert came.keys() == case.beside.keys()
        assert all(set(each) == {Came(None)} for each in came.values())


@pytest.mark.parametrize("case", [case for case in CASES if case.instance in RENEWED], ids=str)
async def test_an_expired_token_is_renewed_and_nothing_happens_twice(case: Case):
    async with world(*case.instances) as all_of_it:
        if case.instance == AIRBYTE:
            all_of_it.airbyte.sync_lasts_s = 10 * TOKEN_LASTS_S  # or the run to cancel would have ended by then
        given = await case.given(all_of_it)
        all_of_it.forget()
        all_of_it.clock.now += TOKEN_LASTS_S + 1
        came = await came_of(all_of_it, case, given, await all_of_it.do(case.mutation, given))
        assert came.keys() == {case.instance, *case.beside}
        assert all(set(each) == {Came(None)} for each in came.values())
        assert_done(all_of_it, case)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_where_nothing_is_sent_nothing_is_unknown(case: Case):
    async with world(*case.instances, break_after=1) as all_of_it:
        given = await case.given(all_of_it)
        all_of_it.forget()
        all_of_it.fleet.servers[case.instance].knobs = Knobs(status=500)
        await all_of_it.ask("{ connections(maxAge: 0) { nodes { id } } }")  # which opens the breaker
        answered = await all_of_it.do(case.mutation, given)
        came = await came_of(all_of_it, case, given, answered)
        # That of tokens is told of the failure once more, where it was this very moment.
        assert set(came[case.instance]) <= {Came("CIRCUIT_OPEN"), Came("UPSTREAM_UNAVAILABLE")}
        assert answered["errors"][0]["extensions"]["retryable"] is True
        assert_done(all_of_it, case, times=0, calls=0)


async def test_of_several_calls_one_that_is_lost_costs_the_others_nothing():
    case = Case("runConnections", AIRBYTE, several({AIRBYTE: [0, 2, 3]}), "/connections/sync", ["sync"])
    async with world(AIRBYTE) as all_of_it:
        given = await case.given(all_of_it)
        all_of_it.airbyte.knobs = trouble(case, reset=True)
        came = await came_of(all_of_it, case, given, await all_of_it.do(case.mutation, given))
        assert sorted(came[AIRBYTE], key=str) == [Came("OUTCOME_UNKNOWN"), Came(None), Came(None)]
        assert_done(all_of_it, case, times=2, calls=3)


async def test_runs_of_which_the_answer_does_not_tell_are_unknown():
    case = next(case for case in CASES if case.call == "/batch/refresh")
    async with world(WORKIVA) as all_of_it:
        given = await case.given(all_of_it)
        all_of_it.fleet.servers[WORKIVA].knobs = trouble(case, body='{"body": {"childRefreshes": []}}', late=True)
        came = await came_of(all_of_it, case, given, await all_of_it.do(case.mutation, given))
        assert came == {WORKIVA: [Came("OUTCOME_UNKNOWN")] * len(given["ids"])}
        assert_done(all_of_it, case)


@pytest.mark.parametrize("mutation", ["updateConnection", "checkEndpoint"])
async def test_what_a_mistaken_hook_hides_is_not_denied(mutation: str):
    """Hooks are called when an exchange has ended; what they raise says nothing of what was done."""
    case = next(case for case in CASES if case.mutation == mutation)

    def mistaken(call: Call) -> None:
        if case.call in call.route:
            raise ZeroDivisionError

    async with world(*case.instances, sections={"hooks": [mistaken]}) as all_of_it:
        given = await case.given(all_of_it)
        came = await came_of(all_of_it, case, given, await all_of_it.do(case.mutation, given))
        assert came == {case.instance: [expected(case, "reset after")]}
        assert_done(all_of_it, case)


@pytest.mark.parametrize("case", [case for case in CASES if not case.is_long], ids=str)
async def test_an_unknown_outcome_says_how_to_read_back(case: Case):
    async with world(*case.instances) as all_of_it:
        given = await case.given(all_of_it)
        all_of_it.fleet.servers[case.instance].knobs = trouble(case, reset=True)
        answered = await all_of_it.do(case.mutation, given)
        meant = [id for id in about(given) if ids.decode(id)[0] == case.instance]
        for error, id in zip(answered["errors"], meant or [None], strict=True):
            extensions = error["extensions"]
            assert extensions["code"] == "OUTCOME_UNKNOWN"
            assert extensions["cause"] == "UPSTREAM_UNAVAILABLE"
            assert extensions["retryable"] is False
            shown = await all_of_it.fleet.data(extensions["readBack"])
            if id is None:  # what would be new is among all that there are
                assert shown["connections"]["nodes"]
            else:
                assert shown["connection"]["id"] == id


def about(given: Mapping[str, Any]) -> list[str]:
    """The ids of the connections that an input is about."""
    return [*given.get("ids", ()), *([given["id"]] if "id" in given else [])]
