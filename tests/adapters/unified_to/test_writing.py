"""Connections of Unified.to: begun by an address, imported, changed and deleted, and when that is known to be so."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters import errors
from adapters.capabilities import OF_AN_INSTANCE, Refusal
from adapters.imitation import Knobs
from adapters.model import Connection
from adapters.port import Capability
from adapters.secret import MASK, masked
from adapters.unified_to import PROVIDER
from adapters.unified_to.demo_data import WORKSPACE
from adapters.unified_to.inputs import (
    UnifiedToAuthorizationInput,
    UnifiedToConnectionUpdate,
)
from adapters.writing import Change, Delete, Done, Draft, Lost, ProblemCode, Update
from tests.adapters.contracted import Rewritten, listed, over
from tests.adapters.sending import problems
from tests.adapters.unified_to.wishes import (
    AUTHORIZE,
    IMPORT,
    IMPORTING,
    PLANT,
    TYPE,
    importing,
    some,
    unified,
    wish,
)

CODE = ProblemCode
LOST, CONFLICT = Lost(), Lost(is_conflict=True)
URL = "https://auth.example.com/authorize?state=1&redirect_uri=https%3A%2F%2Fapi.unified.to"
SPECIFICATIONS = Path(__file__).parents[4] / "shared" / "upstreams"


# --- an address ---


async def test_an_address_is_asked_for_with_all_that_was_given_and_without_a_redirection():
    how = UnifiedToAuthorizationInput(
        success_redirect="https://app.example.com/done?a=1",
        failure_redirect="http://localhost:3000/failed",
        scopes=("crm_contact_read", "crm_deal_read"),
        state="opaque & odd",
        lang="fr",
        subdomain="acme",
    )
    wanted = wish(authorization=how, environment="Sandbox", external_xref="customer/1")
    async with over(PROVIDER, unified(size=6)) as contracted:
        draft = await contracted.adapter.draft(wanted)
    assert (draft.request.method, draft.request.route) == (
        "GET",
        "/unified/integration/auth/{workspace_id}/{integration_type}",
    )
    assert draft.request.ids == {"workspace_id": WORKSPACE, "integration_type": TYPE}
    assert draft.request.query == [
        ("env", "Sandbox"),
        ("external_xref", "customer/1"),
        ("success_redirect", "https://app.example.com/done?a=1"),
        ("failure_redirect", "http://localhost:3000/failed"),
        ("scopes", "crm_contact_read"),
        ("scopes", "crm_deal_read"),
        ("state", "opaque & odd"),
        ("lang", "fr"),
        ("subdomain", "acme"),
    ]
    assert draft.changes == ()


async def test_the_workspace_is_the_configured_one_or_that_of_a_row_which_is_asked_for_once():
    wanted = wish(authorization=AUTHORIZE)
    async with over(PROVIDER, unified(size=6), workspace_id="w") as contracted:
        assert (await contracted.adapter.draft(wanted)).request.ids["workspace_id"] == "w"
        assert contracted.imitation.journal.count("/unified/connection") == 0
    async with over(PROVIDER, unified(size=6)) as contracted:
        for _ in range(3):
            assert (await contracted.adapter.draft(wanted)).request.ids["workspace_id"] == WORKSPACE
        assert contracted.imitation.journal.count("/unified/connection") == 1


async def test_a_workspace_that_no_row_tells_is_the_operators_to_say():
    imitation = unified(size=6)
    imitation.app = Rewritten(imitation.app, "/connection", lambda rows: [{**row, "workspace_id": ""} for row in rows])
    async with over(PROVIDER, imitation) as contracted:
        assert await problems(contracted.adapter, wish(authorization=AUTHORIZE)) == [((), CODE.REQUIRED)]
        assert contracted.imitation.journal.count("/unified/connection") == 3, "one for each environment"


async def addressed(body: bytes) -> Done:
    async with over(PROVIDER, unified(size=6), workspace_id="w") as contracted:
        return (await contracted.adapter.draft(wish(authorization=AUTHORIZE))).read(body)


@pytest.mark.parametrize("body", [URL, f" {URL}\n", json.dumps(URL), URL.replace("https", "http")])
async def test_an_answer_that_is_an_address_is_what_came_of_it(body: str):
    done = await addressed(body.encode())
    assert done.url == (json.loads(body) if body[0] == '"' else body.strip())
    assert done.native_id is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'"',
        b'""',
        b"{}",
        b"null",
        b"\xff",
        b"javascript:alert(1)",
        b"<html>https://a.example</html>",
        b"/relative",
    ],
)
async def test_an_answer_that_is_no_address_is_a_broken_contract(body: bytes):
    with pytest.raises(errors.ContractBroken):
        await addressed(body)


# --- imports ---


async def test_credentials_are_imported_only_where_the_operator_allows_it():
    async with over(PROVIDER, unified(size=6)) as contracted:
        adapter = contracted.adapter
        refused = {action: adapter.refuses(action) for action in OF_AN_INSTANCE}
        assert refused.pop(Capability.IMPORT_CREDENTIALS) is Refusal.NOT_PERMITTED
        assert set(refused.values()) == {None}
        for wanted in (wish(credentials=IMPORT), wish(credentials=IMPORT, authorization=AUTHORIZE, environment="Q")):
            assert await problems(adapter, wanted) == [(("credentials",), CODE.NOT_PERMITTED)]
        assert contracted.imitation.journal.calls == []
    async with over(PROVIDER, unified(size=6), **IMPORTING) as contracted:
        assert contracted.adapter.refuses(Capability.IMPORT_CREDENTIALS) is None


async def test_an_import_sends_the_credentials_and_shows_none_of_them():
    async with over(PROVIDER, unified(size=6), **IMPORTING) as contracted:
        draft = await contracted.adapter.draft(wish(credentials=IMPORT, external_xref="customer-1"))
        sent = {
            "integration_type": TYPE,
            "environment": "Production",
            "external_xref": "customer-1",
            "categories": ["crm"],
            "permissions": ["crm_contact_read"],
            "auth": {"access_token": PLANT, "key": PLANT, "state": PLANT},
        }
        assert (draft.request.method, draft.request.json, draft.request.safe) == ("POST", sent, False)
        shown = {change.field: change.after for change in draft.changes}
        assert shown == {**sent, "auth": MASK}
        assert masked(draft.request.json) == {**sent, "auth": MASK}
        given = wish(credentials=IMPORT)
        assert PLANT not in f"{given} {given!r} {IMPORT} {IMPORT!r} {draft!r} {draft.request!r}"


CREDENTIALS = (
    "access_token",
    "refresh_token",
    "token",
    "client_secret",
    "consumer_key",
    "consumer_secret",
    "key",
    "pem",
    "dev_api_key",
    "state",
    "app_id",
    "meta",
    "other_auth_info",
)
"""Members of ``PropertyConnectionAuth`` that hold credentials, or may."""


@pytest.mark.parametrize("member", CREDENTIALS)
async def test_whatever_credentials_have_is_masked_wherever_they_are(member: str):
    auth: dict[str, Any] = {member: {"meta": {"tenant": PLANT}, "other_auth_info": [PLANT]}.get(member, PLANT)}
    async with over(PROVIDER, unified(size=6), **IMPORTING) as contracted:
        draft = await contracted.adapter.draft(importing(auth=auth))
    assert draft.request.json["auth"] == auth
    variables = {"input": {"integrationType": TYPE, "credentials": {"categories": ["crm"], "auth": auth}}}
    assert PLANT not in f"{draft!r} {masked(draft.request.json)} {masked(variables)} {masked({'auth': auth})}"


def test_the_credentials_are_those_of_the_upstreams_own_documents():
    for name in ("unified", "unified.latest"):
        specification = SPECIFICATIONS / f"{name}.openapi.json"
        if not specification.exists():
            pytest.skip("the upstreams' OpenAPI documents are not beside this checkout")
        schemas = json.loads(specification.read_text(encoding="utf-8"))["components"]["schemas"]
        assert schemas["PropertyConnectionAuth"]["properties"].keys() >= set(CREDENTIALS)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"id": ""}', b'{"id": null}', b'{"auth": "' + PLANT.encode()])
async def test_an_answer_without_an_id_is_a_broken_contract_and_tells_nothing(body: bytes):
    async with over(PROVIDER, unified(size=6), **IMPORTING) as contracted:
        row = await some(contracted.adapter)
        imported = await contracted.adapter.draft(wish(credentials=IMPORT))
        changed = await contracted.adapter.draft(Update(row, UnifiedToConnectionUpdate(external_xref="b")))
    for draft in (imported, changed):
        with pytest.raises(errors.ContractBroken) as raised:
            draft.read(body)
        assert PLANT not in f"{raised.value!r} {vars(raised.value)}"
    answer = msgspec.json.encode({"id": "made", "auth": {"access_token": PLANT}})
    assert (imported.read(answer), changed.read(answer)) == (Done("made"), Done())


def made(id: str = "made", **fields: Any) -> dict[str, Any]:
    """A row of the kind that was imported."""
    return {
        "id": id,
        "integration_type": TYPE,
        "environment": "Production",
        "created_at": "2099-01-01T00:00:00Z",
        **fields,
    }


async def imported(before: list[Any], after: Any, lost: Lost = LOST, **fields: Any) -> Done | None:
    """What is read back where the list is this before an import, and that after it."""
    imitation = unified(size=6)
    async with over(PROVIDER, imitation, **IMPORTING) as contracted:
        await contracted.adapter.draft(wish(credentials=IMPORT))  # for the integrations
        imitation.knobs = Knobs(body=json.dumps(before))
        draft = await contracted.adapter.draft(wish(credentials=IMPORT, **fields))
        imitation.knobs = Knobs(status=after) if isinstance(after, int) else Knobs(body=json.dumps(after))
        return await draft.read_back(lost)


async def test_the_one_new_connection_is_the_one_that_was_imported():
    before = [made("a"), made("b")]
    assert await imported(before, [made(), *before]) == Done("made", was_read_back=True)
    assert await imported([], [made(external_xref="c")], external_xref="c") == Done("made", was_read_back=True)


@pytest.mark.parametrize(
    "after",
    [
        [],
        [made("a"), made("b")],
        [made("a"), made("b", external_xref="c")],
        [made("a"), made("b", integration_type="slack")],
        [made("a"), made("b"), made("c")],
    ],
    ids=["gone", "two", "another customer's", "another integration", "three"],
)
async def test_what_is_not_certainly_the_one_that_was_imported_is_not_taken_for_it(after: list[Any]):
    before = [] if len(after) == 2 and after[1] == made("b") else [made("a")]
    assert await imported(before, after) is None


async def test_what_a_refused_import_finds_is_somebody_elses():
    assert await imported([], [made()], CONFLICT) is None


async def test_older_connections_that_move_up_are_not_new():
    """A page of the newest has a hundred; where one of them goes, an older one takes its place."""
    newest = [made(f"n{number}", created_at=f"2026-01-02T00:{99 - number:02}:00Z") for number in range(40, 100)]
    newest += [made(f"m{number}", created_at=f"2026-01-01T00:{number:02}:00Z") for number in reversed(range(20, 60))]
    older = made("older", created_at="2025-01-01T00:00:00Z")
    assert len(newest) == 100
    assert await imported(newest, [*newest[1:], older]) is None
    assert await imported(newest, [made(), *newest[1:]]) == Done("made", was_read_back=True)
    assert await imported(newest, [made(created_at=None), *newest[1:]]) is None


async def test_the_newest_are_asked_for_of_the_customer_where_one_is_named():
    async with over(PROVIDER, unified(size=6), **IMPORTING) as contracted:
        await contracted.adapter.draft(wish(credentials=IMPORT, environment="Sandbox", external_xref="c & d"))
        (call,) = (call for call in contracted.imitation.journal.asked if call.path == "/unified/connection")
        params = dict(call.params())
        assert params == {
            "env": "Sandbox",
            "limit": "100",
            "offset": "0",
            "sort": "created_at",
            "order": "desc",
            "external_xref": "c & d",
        }


async def test_reading_an_import_back_may_fail_itself():
    with pytest.raises(errors.UpstreamFault):
        await imported([], 500)


# --- changes ---


async def changed(**given: Any) -> tuple[Connection, Draft]:
    async with over(PROVIDER, unified(size=6)) as contracted:
        row = await some(contracted.adapter)
        return row, await contracted.adapter.draft(Update(row, UnifiedToConnectionUpdate(**given)))


async def test_only_what_differs_is_sent_and_shown():
    row, draft = await changed(external_xref="another", environment="Sandbox", permissions=("a_read",))
    assert (draft.request.method, draft.request.ids, draft.request.safe) == ("PATCH", {"id": row.native_id}, False)
    assert draft.request.json == {"external_xref": "another", "permissions": ["a_read"]}
    assert draft.changes == (
        Change(field="external_xref", before=row.external_ref, after="another"),
        Change(field="permissions", before=list(row.permissions), after=["a_read"]),
    )
    assert draft.done is None


async def test_a_reference_is_cleared_by_an_empty_text():
    _, draft = await changed(external_xref=None)
    assert draft.request.json == {"external_xref": ""}


async def test_where_nothing_differs_there_is_nothing_to_send():
    row, _ = await changed(external_xref="x")
    backwards = tuple(reversed(row.categories))
    _, draft = await changed(external_xref=row.external_ref, categories=backwards, permissions=row.permissions)
    assert (draft.done, draft.changes) == (Done(), ())


async def test_who_says_no_environment_is_in_production():
    async with over(PROVIDER, unified(size=20)) as contracted:
        row = next(row for row in await listed(contracted.adapter) if row.environment is None)
        same = await contracted.adapter.draft(Update(row, UnifiedToConnectionUpdate(environment="Production")))
        assert same.done is not None
        other = await contracted.adapter.draft(Update(row, UnifiedToConnectionUpdate(environment="Sandbox")))
        assert other.changes == (Change(field="environment", after="Sandbox"),)


@pytest.mark.parametrize(
    ("now", "is_so"),
    [
        ({"external_xref": "b", "permissions": ["w", "r"], "environment": "Staging"}, True),
        ({"external_xref": "b", "permissions": ["r"], "environment": "Staging"}, False),
        ({"external_xref": "a", "permissions": ["r", "w"], "environment": "Staging"}, False),
        ({"external_xref": "b", "permissions": ["r", "w"]}, False),
    ],
)
async def test_a_change_was_made_where_all_of_it_is_there(now: Any, is_so: bool):
    async with over(PROVIDER, unified(size=6), retries=0) as contracted:
        row = await some(contracted.adapter)
        given = UnifiedToConnectionUpdate(external_xref="b", permissions=("r", "w"), environment="Staging")
        draft = await contracted.adapter.draft(Update(row, given))
        contracted.imitation.knobs = Knobs(body=json.dumps({"id": row.native_id, **now}))
        assert await draft.read_back(LOST) == (Done(was_read_back=True) if is_so else None)


async def test_a_connection_is_deleted_where_it_is_not_found():
    async with over(PROVIDER, unified(size=6), retries=0) as contracted:
        row = await some(contracted.adapter)
        contracted.imitation.journal.clear()
        draft = await contracted.adapter.draft(Delete(row))
        assert (draft.request.method, draft.request.ids, draft.request.safe) == ("DELETE", {"id": row.native_id}, False)
        assert draft.changes == (Change(field="id", before=row.native_id),)
        assert contracted.imitation.journal.calls == []
        assert draft.read(b"") == draft.read(b"OK") == Done()
        assert await draft.read_back(LOST) is None
        contracted.imitation.deleted.add(row.native_id)
        assert await draft.read_back(LOST) == Done(was_read_back=True)
        contracted.imitation.knobs = Knobs(status=503)
        with pytest.raises(errors.UpstreamFault):
            await draft.read_back(LOST)
