"""Asking again under the same key: nothing is done twice, and the answer is the first one."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from adapters.imitation import Knobs
from tests.conftest import AIRBYTE, WORKIVA
from tests.gateway.changing import (
    CASES,
    QUIET,
    Came,
    Case,
    World,
    assert_done,
    came_of,
    document,
    row_id,
    trouble,
    world,
)
from tests.processes import ENDS_WITHIN_S, answers, free_port, running

KEYS = {"mode": "api_key", "keys": {"one": "0123456789abcdef-one", "two": "0123456789abcdef-two"}}


def payload(answered: dict[str, Any], mutation: str) -> dict[str, Any]:
    assert "errors" not in answered, answered["errors"]
    return {name: value for name, value in answered["data"][mutation].items() if name != "replayed"}


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_twenty_at_the_same_time_are_one_call_and_twenty_equal_answers(case: Case):
    async with world(*case.instances) as all_of_it:
        given = {**await case.given(all_of_it), "idempotencyKey": "the same"}
        all_of_it.forget()
        answers = await asyncio.gather(*(all_of_it.do(case.mutation, given) for _ in range(20)))
        first, *others = [payload(answered, case.mutation) for answered in answers]
        assert first["userErrors"] == []
        assert all(other == first for other in others)
        came = await came_of(all_of_it, case, given, answers[0])
        assert all(set(each) == {Came(None)} for each in came.values())
        assert_done(all_of_it, case)
        assert sorted(answered["data"][case.mutation]["replayed"] for answered in answers) == [False] + [True] * 19


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_asking_again_later_answers_the_same_and_does_nothing(case: Case):
    async with world(*case.instances) as all_of_it:
        given = {**await case.given(all_of_it), "idempotencyKey": "k"}
        all_of_it.forget()
        first = await all_of_it.do(case.mutation, given)
        came = await came_of(all_of_it, case, given, first)
        again = await all_of_it.do(case.mutation, given)
        assert payload(first, case.mutation) == payload(again, case.mutation)
        assert again["data"][case.mutation]["replayed"] is True
        assert await came_of(all_of_it, case, given, again) == came
        assert_done(all_of_it, case)


def renamed(all_of_it: World, name: str, **more: Any) -> dict[str, Any]:
    return {"id": row_id(all_of_it.fleet, AIRBYTE, QUIET), "airbyte": {"name": name}, **more}


async def test_another_input_under_the_same_key_is_refused():
    async with world(AIRBYTE) as all_of_it:
        await all_of_it.done("updateConnection", renamed(all_of_it, "A", idempotencyKey="k"))
        answered = await all_of_it.do("updateConnection", renamed(all_of_it, "B", idempotencyKey="k"))
        told = answered["data"]["updateConnection"]
        assert told["userErrors"][0]["code"] == "KEY_REUSED"
        assert told["userErrors"][0]["field"] == ["input", "idempotencyKey"]
        assert told["connection"] is None
        assert all_of_it.effects(AIRBYTE) == ["update"]


async def test_another_input_is_refused_while_the_first_goes_on():
    async with world(AIRBYTE, write_timeout=5) as all_of_it:
        all_of_it.airbyte.knobs = Knobs(only="/connections/update", delay_s=0.3)
        first = asyncio.create_task(all_of_it.do("updateConnection", renamed(all_of_it, "A", idempotencyKey="k")))
        await _begun(all_of_it, "/connections/update")
        answered = await all_of_it.do("updateConnection", renamed(all_of_it, "B", idempotencyKey="k"))
        assert answered["data"]["updateConnection"]["userErrors"][0]["code"] == "KEY_REUSED"
        assert payload(await first, "updateConnection")["connection"]["name"] == "A"


async def _begun(all_of_it: World, part: str) -> None:
    """Return when the upstream has been asked for this."""
    async with asyncio.timeout(20):
        while all_of_it.fleet.calls(AIRBYTE, part) == 0:  # noqa: ASYNC110  it is the imitation's to tell
            await asyncio.sleep(0.005)


async def test_the_same_said_in_another_order_is_the_same():
    async with world(AIRBYTE) as all_of_it:
        id = row_id(all_of_it.fleet, AIRBYTE, QUIET)
        one = {"id": id, "idempotencyKey": "k", "airbyte": {"name": "A", "prefix": "p_"}}
        other = {"airbyte": {"prefix": "p_", "name": "A"}, "idempotencyKey": "k", "id": id}
        await all_of_it.done("updateConnection", one)
        assert (await all_of_it.done("updateConnection", other))["replayed"] is True


async def test_the_header_is_a_key_of_each_mutation_of_the_request():
    query = """mutation ($id: ID!) {
      off: setConnectionEnabled(input: { id: $id, enabled: false }) { replayed userErrors { code } }
      on: setConnectionEnabled(input: { id: $id, enabled: true }) { replayed userErrors { code } }
    }"""
    async with world(AIRBYTE) as all_of_it:
        variables = {"id": row_id(all_of_it.fleet, AIRBYTE, QUIET)}
        first = await all_of_it.ask(query, variables, Idempotency_Key='"a request"')
        again = await all_of_it.ask(query, variables, Idempotency_Key="a request")
        assert first["data"] == {name: {"replayed": False, "userErrors": []} for name in ("off", "on")}
        assert again["data"] == {name: {"replayed": True, "userErrors": []} for name in ("off", "on")}
        assert all_of_it.effects(AIRBYTE) == ["update", "update"]


async def test_what_did_not_happen_and_may_later_leaves_the_key_free():
    async with world(AIRBYTE) as all_of_it:
        given = renamed(all_of_it, "A", idempotencyKey="k")
        all_of_it.airbyte.knobs = Knobs(only="/connections/update", status=429, times=1)
        refused = await all_of_it.do("updateConnection", given)
        assert refused["errors"][0]["extensions"]["code"] == "UPSTREAM_RATE_LIMITED"
        assert payload(await all_of_it.do("updateConnection", given), "updateConnection")["userErrors"] == []
        assert all_of_it.effects(AIRBYTE) == ["update"]


async def test_a_mistake_that_was_corrected_can_be_sent_under_its_key():
    async with world(AIRBYTE) as all_of_it:
        wrong = await all_of_it.do("updateConnection", renamed(all_of_it, " ", idempotencyKey="k"))
        assert wrong["data"]["updateConnection"]["userErrors"][0]["code"] == "INVALID"
        await all_of_it.done("updateConnection", renamed(all_of_it, "A", idempotencyKey="k"))


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_an_unknown_outcome_stays_unknown_under_its_key_and_nothing_is_sent_again(case: Case):
    async with world(*case.instances) as all_of_it:
        given = {**await case.given(all_of_it), "idempotencyKey": "k"}
        all_of_it.forget()
        all_of_it.fleet.servers[case.instance].knobs = trouble(case, reset=True)
        answers = await asyncio.gather(*(all_of_it.do(case.mutation, given) for _ in range(20)))
        first = await came_of(all_of_it, case, given, answers[0])
        assert set(first[case.instance]) == {Came("OUTCOME_UNKNOWN")}
        again = await all_of_it.do(case.mutation, given)
        assert await came_of(all_of_it, case, given, again) == first
        assert all(said(answered, case.mutation) == said(again, case.mutation) for answered in answers)
        assert_done(all_of_it, case, times=0)


def said(answered: dict[str, Any], mutation: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The payload but for whether it was replayed, and the extensions of the errors."""
    shown = {name: value for name, value in (answered["data"][mutation] or {}).items() if name != "replayed"}
    return shown, [error["extensions"] for error in answered.get("errors", ())]


async def test_keys_belong_to_whoever_sent_them():
    async with world(AIRBYTE, sections={"auth": KEYS}) as all_of_it:
        given = renamed(all_of_it, "A", idempotencyKey="k")
        for key in KEYS["keys"].values():
            answered = await all_of_it.do("updateConnection", given, X_API_Key=key)
            assert answered["data"]["updateConnection"]["replayed"] is False
        assert all_of_it.effects(AIRBYTE) == ["update", "update"]


async def test_the_log_tells_who_changed_what_and_once(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "gateway.writes")
    async with world(AIRBYTE, sections={"auth": KEYS}) as all_of_it:
        key = KEYS["keys"]["one"]
        given = renamed(all_of_it, "A", idempotencyKey="k")
        for _ in range(2):
            await all_of_it.do("updateConnection", given, X_API_Key=key)
        await all_of_it.do("updateConnection", renamed(all_of_it, " "), X_API_Key=key)
        native_id = all_of_it.airbyte.id_of(QUIET)
    lines = [record.fields for record in caplog.records if record.name == "gateway.writes"]
    about = {"action": "UPDATE", "instance": AIRBYTE, "native_id": native_id, "run_id": None, "viewer": "one"}
    assert lines == [{**about, "outcome": "DONE"}, {**about, "outcome": "INVALID"}]


async def test_who_hangs_up_ends_nothing():
    async with world(AIRBYTE, write_timeout=5) as all_of_it:
        all_of_it.airbyte.knobs = Knobs(only="/connections/update", delay_s=0.5)
        given = renamed(all_of_it, "A", idempotencyKey="k")
        with contextlib.suppress(httpx.TimeoutException):
            await all_of_it.fleet.client.post(
                f"{all_of_it.fleet.url}/graphql",
                json={"query": document("updateConnection"), "variables": {"input": given}},
                timeout=0.25,
            )
        again = await all_of_it.do("updateConnection", given)
        told = payload(again, "updateConnection")
        assert (told["connection"]["name"], again["data"]["updateConnection"]["replayed"]) == ("A", True)
        assert all_of_it.effects(AIRBYTE) == ["update"]


async def test_an_outcome_outlives_the_gateway(tmp_path: Path):
    ledger = {"writes": {"ledger": str(tmp_path / "ledger.db"), "settle": 0.05}}
    async with world(AIRBYTE, sections=ledger) as all_of_it:
        given = renamed(all_of_it, "A", idempotencyKey="k")
        first = await all_of_it.done("updateConnection", given)
        servers = all_of_it.fleet.servers
        async with world(AIRBYTE, sections=ledger, servers=servers) as restarted:
            again = await restarted.done("updateConnection", given)
        assert again == {**first, "replayed": True}
        assert all_of_it.effects(AIRBYTE) == ["update"]


async def test_what_was_begun_when_the_gateway_died_is_unknown_and_not_done_again(tmp_path: Path):
    path = tmp_path / "ledger.db"
    ledger = {"writes": {"ledger": str(path), "settle": 0.05}}
    async with world(AIRBYTE, sections=ledger) as all_of_it:
        given = renamed(all_of_it, "A", idempotencyKey="k")
        await all_of_it.done("updateConnection", given)
        with contextlib.closing(sqlite3.connect(path)) as database, database:  # as a process leaves it that is killed
            database.execute("UPDATE outcomes SET outcome = NULL, open_until = 0")
        answered = await all_of_it.do("updateConnection", given)
        assert answered["errors"][0]["extensions"]["code"] == "OUTCOME_UNKNOWN"
        assert all_of_it.effects(AIRBYTE) == ["update"]


async def test_workers_share_keys_and_show_each_others_changes(tmp_path: Path):
    async with world(AIRBYTE, WORKIVA) as all_of_it:
        port = free_port()
        told = {
            "server": {"port": port},
            "inventory": {"max_age": 600},
            "instances": {name: {**given, "write_timeout": 30} for name, given in all_of_it.fleet.instances.items()},
        }
        path = tmp_path / "gateway.yaml"
        path.write_text(yaml.safe_dump(told), encoding="utf-8")
        command = ("--log-level", "error", "serve", "--config", str(path), "--workers", "3")
        async with running(*command) as process:
            url = f"http://127.0.0.1:{port}"
            await answers(url)
            await _by_three(all_of_it, url)
            process.terminate()
            async with asyncio.timeout(ENDS_WITHIN_S):
                await process.wait()


async def _by_three(all_of_it: World, url: str) -> None:
    """Each request over a socket of its own, so that all workers have their turns."""
    id = row_id(all_of_it.fleet, AIRBYTE, QUIET)

    async def ask(query: str, variables: dict[str, Any]) -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=30) as client:
            body = {"query": query, "variables": variables}
            return (await client.post(f"{url}/graphql", json=body)).json()["data"]

    shown = "query ($n: String!) { connections(first: 100, filter: { text: $n }) { nodes { id name } } }"
    for number in range(4):
        for _ in range(6):  # every worker reads the lists, and keeps them for ten minutes
            await ask(shown, {"n": f"Name {number}"})
        given = {"id": id, "airbyte": {"name": f"Name {number}"}, "idempotencyKey": f"k{number}"}
        answers = await asyncio.gather(*(ask(document("updateConnection"), {"input": given}) for _ in range(12)))
        assert {answered["updateConnection"]["connection"]["name"] for answered in answers} == {f"Name {number}"}
        found = await asyncio.gather(*(ask(shown, {"n": f"Name {number}"}) for _ in range(12)))
        assert all(len(each["connections"]["nodes"]) == 1 for each in found)
    assert all_of_it.effects(AIRBYTE) == ["update"] * 4
