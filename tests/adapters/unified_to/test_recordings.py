"""Recorded answers of Unified.to, and exactly what becomes of them."""

import datetime as dt
import json
import pathlib

import pytest
from starlette.responses import Response

from adapters import errors
from adapters.imitation import Knobs
from adapters.model import Endpoint
from adapters.port import LIST_FIELDS
from adapters.unified_to import PROVIDER
from adapters.unified_to.demo import UnifiedToImitation
from adapters.unified_to.details import AuthState, UnifiedToConnection
from tests.adapters.contracted import first_pages, listed, native_ids, over, paged

RECORDINGS = pathlib.Path(__file__).parent / "recordings"
HUBSPOT, BAMBOO, SLACK = (f"66f1a2b3c4d5e6f708192a3{end}" for end in "bcd")
LIST = "/unified/connection"


class Saying(UnifiedToImitation):
    """An imitation whose errors say a recorded text."""

    said = ""

    def error_response(self, status: int) -> Response:
        return Response(self.said, status)


def imitation(name: str) -> UnifiedToImitation:
    server = UnifiedToImitation()
    server.knobs = Knobs(body=(RECORDINGS / name).read_text(), only=LIST)
    return server


async def test_the_recorded_list_is_three_connections_each_in_its_environment():
    # The recording is the answer in both environments: each connection comes once all the same.
    async with over(PROVIDER, imitation("list.json"), environments=["Production", "Sandbox"]) as contracted:
        pages = await first_pages(contracted.adapter)
        connections = await listed(contracted.adapter)
    assert [(page.next, page.dropped) for page in pages] == [(None, 0)] * 2
    hubspot, bamboo, slack = connections
    assert hubspot.native_id == HUBSPOT
    assert (hubspot.name, hubspot.external_ref) == ("hubspot", "customer-1042")
    assert (hubspot.status, hubspot.enabled, hubspot.running) == ("HEALTHY", True, False)
    assert hubspot.source == Endpoint(id="hubspot", type="hubspot")
    assert (hubspot.destination, hubspot.schedule, hubspot.last_run) == (None, None, None)
    assert hubspot.created_at == dt.datetime(2024, 9, 23, 17, 5, 23, 114_000, tzinfo=dt.UTC)
    assert hubspot.updated_at == dt.datetime(2024, 11, 5, 8, 11, 2, 9000, tzinfo=dt.UTC)
    assert hubspot.last_healthy_at == dt.datetime(2024, 11, 5, 8, 11, 1, 700_000, tzinfo=dt.UTC)
    assert hubspot.last_unhealthy_at == dt.datetime(2024, 10, 29, 2, tzinfo=dt.UTC)
    assert (hubspot.workspace_id, hubspot.environment) == ("64b7e0f1a2b3c4d5e6f70819", "Production")
    assert hubspot.categories == ("crm", "martech")
    assert hubspot.permissions == (
        "crm_company_read",
        "crm_contact_read",
        "crm_contact_write",
        "crm_deal_read",
        "webhook",
    )
    assert hubspot.details == UnifiedToConnection(
        integration_type="hubspot",
        is_paused=False,
        cursors_cache=(),
        has_auth=True,
        auth_name="Dana Ito",
        auth_expires_at=dt.datetime(2024, 11, 5, 8, 41, 2, tzinfo=dt.UTC),
        auth_state=AuthState.EXPIRED,
    )

    assert (bamboo.status, bamboo.enabled, bamboo.updated_at) == (
        "PAUSED",
        False,
        dt.datetime(2024, 11, 1, 10, tzinfo=dt.UTC),
    )
    assert bamboo.details == UnifiedToConnection(integration_type="bamboohr", is_paused=True, has_auth=True)

    assert (slack.status, slack.environment, slack.external_ref) == ("NEVER_RAN", "Sandbox", None)
    assert slack.details == UnifiedToConnection(integration_type="slack", has_secret_pointer=True)
    for secret in ("REDACTED", "dana@example.com", "arn:aws", "example-subdomain", "1234567"):
        assert secret not in repr(connections)


async def test_a_connection_of_an_environment_that_is_not_ours_is_neither_listed_nor_found():
    async with over(PROVIDER, imitation("list.json"), environments=["Production", "Staging"]) as contracted:
        assert native_ids(await listed(contracted.adapter)) == [HUBSPOT, BAMBOO]
    async with over(PROVIDER, imitation("read.json"), environments=["Staging"]) as contracted:
        assert (await contracted.adapter.get_many({HUBSPOT: LIST_FIELDS})).by_id == {}


async def test_the_recorded_record_is_the_first_of_the_list():
    async with over(PROVIDER, imitation("list.json")) as contracted:
        listed = (await paged(contracted.adapter, limit=25)).connections[0]
    async with over(PROVIDER, imitation("read.json")) as contracted:
        assert (await contracted.adapter.get_many({HUBSPOT: LIST_FIELDS})).by_id == {HUBSPOT: listed}


async def test_a_list_that_ignores_paging_ends():
    (row, *_) = json.loads((RECORDINGS / "list.json").read_text())
    server = UnifiedToImitation()
    full = [{**row, "id": f"{number:024x}"} for number in range(100)]
    server.knobs = Knobs(body=json.dumps(full), only=LIST)
    async with over(PROVIDER, server, environments=["Production"]) as contracted:
        assert native_ids(await listed(contracted.adapter)) == [row["id"] for row in full]
        assert server.journal.count() == 2


async def test_the_recorded_error_is_unauthorized_without_its_text():
    server = Saying()
    server.said = (RECORDINGS / "error.json").read_text()
    server.knobs = Knobs(status=401)
    async with over(PROVIDER, server) as contracted:
        with pytest.raises(errors.Unauthorized) as raised:
            await paged(contracted.adapter, limit=5)
    assert "Missing authentication" not in str(raised.value)
