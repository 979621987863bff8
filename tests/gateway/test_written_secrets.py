"""Credentials that clients send are passed on, and are in no answer, no log, no file and no error."""

import io
from pathlib import Path
from typing import Any

import pytest

from adapters.imitation import Knobs
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA
from tests.gateway.changing import PLANTED, World, document, row_id, world

HOLDERS = (
    "access_token",
    "client_secret",
    "consumer_key",
    "consumer_secret",
    "dev_api_key",
    "key",
    "other_auth_info",
    "pem",
    "refresh_token",
    "state",
    "token",
)
"""The members of ``PropertyConnectionAuth`` that hold credentials (specification)."""
REHEARSED = """
  mutation ($input: CreateConnectionInput!) {
    createConnection(input: $input) {
      userErrors { field code message }
      dryRun { requests { method path body } changes { field before after } }
    }
  }"""


def credentials() -> dict[str, Any]:
    auth = {name: [f"{PLANTED}-{name}"] if name == "other_auth_info" else f"{PLANTED}-{name}" for name in HOLDERS}
    own = {"categories": ["crm"], "permissions": [], "auth": auth}
    return {
        "instance": UNIFIED_TO,
        "unifiedTo": {"integrationType": "hubspot", "externalXref": "customer-4711", "credentials": own},
        "idempotencyKey": "k",
    }


async def test_imported_credentials_arrive_and_are_nowhere_else(tmp_path: Path, log: io.BytesIO):
    sections = {"writes": {"ledger": str(tmp_path / "ledger.db"), "settle": 0.05}, "auth": {"explain": "everyone"}}
    async with world(UNIFIED_TO, sections=sections) as all_of_it:
        given = credentials()
        answers = [
            await all_of_it.ask(REHEARSED, {"input": {**given, "dryRun": True}}),
            await all_of_it.do("createConnection", given, Gateway_Explain="CALLS"),
            await all_of_it.do("createConnection", given),
        ]
        assert answers[0]["data"]["createConnection"]["dryRun"]["requests"][0]["body"]["auth"] == "**********"
        assert answers[2]["data"]["createConnection"]["replayed"] is True
        (sent,) = [asked for asked in all_of_it.fleet.servers[UNIFIED_TO].journal.asked if asked.method == "POST"]
        assert sent.json()["auth"] == given["unifiedTo"]["credentials"]["auth"]
        assert PLANTED not in str(answers)
        assert PLANTED.encode() not in log.getvalue()
        assert b"upstream call" in log.getvalue()
        kept = _written(tmp_path)
        assert b"customer-4711" not in kept
        assert PLANTED.encode() not in kept


def _written(folder: Path) -> bytes:
    """All that stands in the files of a folder."""
    kept = b"".join(path.read_bytes() for path in folder.iterdir())
    assert kept
    return kept


TROUBLES = {
    "refused": Knobs(only="POST /unified", status=400),
    "echoed": Knobs(only="POST /unified", body=f'{{"token": "{PLANTED}", "nothing": 1}}'),
    "lost": Knobs(only="POST /unified", reset=True),
    "hung": Knobs(only="POST /unified", hang=True),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_what_goes_wrong_with_them_is_told_without_them(trouble: str, log: io.BytesIO):
    async with world(UNIFIED_TO) as all_of_it:
        all_of_it.fleet.servers[UNIFIED_TO].knobs = TROUBLES[trouble]
        answered = await all_of_it.do("createConnection", credentials())
        payload = answered["data"]["createConnection"]
        assert "errors" in answered or payload["userErrors"]
        assert PLANTED not in str(answered)
        assert PLANTED.encode() not in log.getvalue()


async def test_they_are_not_imported_unless_the_operator_allows_it():
    async with world(UNIFIED_TO, own={UNIFIED_TO: {"import_credentials": False}}) as all_of_it:
        answered = await all_of_it.do("createConnection", credentials())
        (error,) = answered["data"]["createConnection"]["userErrors"]
        assert (error["code"], error["field"]) == ("NOT_PERMITTED", ["input", "unifiedTo", "credentials"])
        assert all_of_it.fleet.calls(UNIFIED_TO, "POST") == 0
        assert await _can_import(all_of_it) == {"allowed": False, "reason": "NOT_PERMITTED"}


async def _can_import(all_of_it: World) -> dict[str, Any]:
    data = await all_of_it.fleet.data("{ instances { can { capability allowed reason } } }")
    (able,) = [each for each in data["instances"][0]["can"] if each["capability"] == "IMPORT_CREDENTIALS"]
    return {"allowed": able["allowed"], "reason": able["reason"]}


async def test_parameters_of_a_run_are_shown_masked_and_sent_as_they_are():
    rehearsed = document("runConnection").replace("userErrors", "dryRun { requests { body } } userErrors", 1)
    async with world(WORKIVA) as all_of_it:
        own = {"sourceParameters": {"period": "Q4", "password": PLANTED}}
        given = {"id": row_id(all_of_it.fleet, WORKIVA, 0), "workiva": own}
        answered = await all_of_it.ask(rehearsed, {"input": {**given, "dryRun": True}})
        (request,) = answered["data"]["runConnection"]["dryRun"]["requests"]
        assert request["body"]["sourceParameters"] == {"period": "Q4", "password": "**********"}
        await all_of_it.done("runConnection", given)
        (sent,) = [asked for asked in all_of_it.fleet.servers[WORKIVA].journal.asked if "refresh" in asked.path]
        assert sent.json()["sourceParameters"] == own["sourceParameters"]


CHANGED = document("updateConnection").replace(
    "userErrors", "dryRun { requests { body } changes { field before after } } userErrors", 1
)


async def test_where_a_webhook_calls_and_with_what_is_sent_and_shown_nowhere(tmp_path: Path, log: io.BytesIO):
    sections = {"writes": {"ledger": str(tmp_path / "ledger.db"), "settle": 0.05}, "auth": {"explain": "everyone"}}
    webhook = {"executionUrl": f"https://hooks.example.com/T0/{PLANTED}", "executionBody": f'{{"k": "{PLANTED}"}}'}
    async with world(AIRBYTE, sections=sections) as all_of_it:
        own = {
            "name": "Hook",
            "workspaceId": all_of_it.airbyte.workspace_of(0),
            "operatorConfiguration": {"operatorType": "WEBHOOK", "webhook": webhook},
        }
        given = {"id": row_id(all_of_it.fleet, AIRBYTE, 0), "airbyte": {"operations": [own]}}
        rehearsed = await all_of_it.ask(CHANGED, {"input": {**given, "dryRun": True}})
        done = await all_of_it.do("updateConnection", {**given, "idempotencyKey": "k"}, Gateway_Explain="CALLS")
        (sent,) = [asked for asked in all_of_it.fleet.servers[AIRBYTE].journal.asked if "update" in asked.path]
        assert sent.json()["operations"][0]["operatorConfiguration"]["webhook"] == webhook
        removed = await all_of_it.ask(CHANGED, {"input": {**given, "airbyte": {"operations": []}, "dryRun": True}})
    (change,) = rehearsed["data"]["updateConnection"]["dryRun"]["changes"]
    assert change["after"][0]["operatorConfiguration"]["webhook"] == dict.fromkeys(webhook, "**********")
    (change,) = removed["data"]["updateConnection"]["dryRun"]["changes"]
    assert change["before"][0]["name"] == "Hook"
    assert PLANTED not in str([rehearsed, done, removed])
    assert PLANTED.encode() not in log.getvalue()
    assert PLANTED.encode() not in _written(tmp_path)
