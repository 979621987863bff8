"""Connections written to a Unified.to that keeps them: they are there afterwards, once, and tell no credential."""

import traceback
from urllib.parse import parse_qsl, urlsplit

import pytest

from adapters import errors
from adapters.imitation import Knobs
from adapters.model import Connection
from adapters.port import LIST_FIELDS
from adapters.unified_to import PROVIDER
from adapters.unified_to.demo_data import INTEGRATIONS, WORKSPACE
from adapters.unified_to.demo_writes import AUTHORIZE_URL
from adapters.unified_to.inputs import (
    UnifiedToAuthorizationInput,
    UnifiedToConnectionUpdate,
)
from adapters.writing import Delete, Done, ProblemCode, Update
from tests.adapters.contracted import Contracted, listed, native_ids, over
from tests.adapters.sending import fulfilled, problems, sent
from tests.adapters.unified_to.wishes import AUTHORIZE, IMPORT, IMPORTING, PLANT, TYPE, some, unified, wish


async def one(contracted: Contracted, id: str) -> Connection:
    """The connection as it is now."""
    found = (await contracted.adapter.get_many({id: LIST_FIELDS})).by_id[id]
    assert isinstance(found, Connection)
    return found


def effects(contracted: Contracted) -> list[tuple[str, str]]:
    return [(effect.kind, effect.id) for effect in contracted.imitation.effects]


async def test_the_customer_is_led_to_the_address_that_unified_to_gives():
    how = UnifiedToAuthorizationInput(success_redirect="https://app.example.com/done", scopes=("a_read", "b_read"))
    async with over(PROVIDER, unified()) as contracted:
        done = await fulfilled(contracted.adapter, wish(authorization=how, environment="Sandbox"))
        assert done.url is not None
        address = urlsplit(done.url)
        assert f"{address.scheme}://{address.netloc}{address.path}" == f"{AUTHORIZE_URL}/{WORKSPACE}/{TYPE}"
        assert parse_qsl(address.query) == [
            ("env", "Sandbox"),
            ("success_redirect", "https://app.example.com/done"),
            ("scopes", "a_read"),
            ("scopes", "b_read"),
        ]
        assert effects(contracted) == [], "a connection begins where the customer goes"


async def test_an_integration_that_is_no_longer_on_offer_is_unknown():
    async with over(PROVIDER, unified()) as contracted:
        wanted = wish(authorization=AUTHORIZE, integration_type=INTEGRATIONS[-1][0])
        assert await problems(contracted.adapter, wanted) == [(("integration_type",), ProblemCode.UNKNOWN_ID)]


async def test_a_workspace_that_is_not_the_tokens_is_not_found():
    async with over(PROVIDER, unified(), workspace_id="another") as contracted:
        with pytest.raises(errors.NotFound):
            await fulfilled(contracted.adapter, wish(authorization=AUTHORIZE))


async def test_imported_credentials_make_a_connection_that_is_listed_and_tells_none_of_them():
    given = wish(credentials=IMPORT, environment="Sandbox", external_xref="customer & co")
    async with over(PROVIDER, unified(), **IMPORTING) as contracted:
        done = await fulfilled(contracted.adapter, given)
        assert done.native_id is not None
        assert effects(contracted) == [("create", done.native_id)]
        row = await one(contracted, done.native_id)
        assert (row.environment, row.external_ref, row.categories, row.permissions) == (
            "Sandbox",
            "customer & co",
            ("crm",),
            ("crm_contact_read",),
        )
        assert row.source is not None
        assert row.source.type == TYPE
        assert row.native_id in native_ids(await listed(contracted.adapter))
        assert PLANT in repr(contracted.imitation.row(contracted.imitation.size - 1)), "the upstream has them"
        assert PLANT not in f"{row!r} {done!r}"


async def test_an_import_whose_answer_is_lost_is_not_told_from_another_like_it():
    async with over(PROVIDER, unified(), **IMPORTING) as contracted:
        draft = await contracted.adapter.draft(wish(credentials=IMPORT))
        theirs = await fulfilled(contracted.adapter, wish(credentials=IMPORT, external_xref="theirs"))
        contracted.imitation.knobs = Knobs(reset=True, late=True, times=1)
        ours = await sent(contracted.adapter, draft)
        assert ours.was_read_back
        assert ours.native_id != theirs.native_id, "the reference tells them apart"
        twice = await contracted.adapter.draft(wish(credentials=IMPORT))
        await fulfilled(contracted.adapter, wish(credentials=IMPORT))
        contracted.imitation.knobs = Knobs(reset=True, late=True, times=1)
        with pytest.raises(errors.Unreachable) as raised:
            await sent(contracted.adapter, twice)
        assert raised.value.may_have_happened
        assert PLANT not in f"{raised.value!r} {vars(raised.value)}"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 501])
async def test_a_refused_import_tells_nothing_of_what_it_held(status: int):
    async with over(PROVIDER, unified(), **IMPORTING) as contracted:
        draft = await contracted.adapter.draft(wish(credentials=IMPORT))
        contracted.imitation.knobs = Knobs(status=status)
        with pytest.raises(errors.AdapterError) as raised:
            await sent(contracted.adapter, draft)
        assert not raised.value.may_have_happened
        assert PLANT not in f"{raised.value!r} {vars(raised.value)} {''.join(traceback.format_exception(raised.value))}"


async def test_a_change_is_there_afterwards_and_nothing_else_is():
    async with over(PROVIDER, unified()) as contracted:
        before = await some(contracted.adapter)
        given = UnifiedToConnectionUpdate(external_xref=None, categories=("crm", "uc"), environment="Staging")
        assert await fulfilled(contracted.adapter, Update(before, given)) == Done()
        after = await one(contracted, before.native_id)
        assert (after.external_ref, after.categories, after.environment) == (None, ("crm", "uc"), "Staging")
        assert (after.permissions, after.source) == (before.permissions, before.source)
        assert effects(contracted) == [("update", before.native_id)]
        assert await fulfilled(contracted.adapter, Update(after, given)) == Done()
        assert effects(contracted) == [("update", before.native_id)], "nothing was sent"


async def test_a_deleted_connection_is_gone():
    async with over(PROVIDER, unified()) as contracted:
        row = await some(contracted.adapter)
        assert await fulfilled(contracted.adapter, Delete(row)) == Done()
        assert row.native_id not in native_ids(await listed(contracted.adapter))
        assert effects(contracted) == [("delete", row.native_id)]
        with pytest.raises(errors.NotFound):
            await fulfilled(contracted.adapter, Delete(row))
