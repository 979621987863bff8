"""What reading Unified.to costs: a list for each environment, integrations once, ids in the fewest calls."""

from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from adapters import errors
from adapters.imitation import Knobs
from adapters.model import Connection
from adapters.port import LIST_FIELDS
from adapters.unified_to import PROVIDER
from adapters.unified_to.demo import UnifiedToImitation
from tests.adapters.contract import (
    NOW,
    Rewritten,
    built,
    calls,
    host_called,
    native_ids,
    over,
    paged,
    settings_of,
    walked,
)

NAMES = frozenset({"source.name"})


class Noting:
    """An app, and what its lists were asked."""

    def __init__(self, server: UnifiedToImitation) -> None:
        self._app, server.app = server.app, self
        self.asked: list[dict[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/unified/connection":
            self.asked.append(dict(Request(scope).query_params))
        await self._app(scope, receive, send)


def unified(**options: Any) -> UnifiedToImitation:
    return UnifiedToImitation(clock=lambda: NOW, **options)


# Environments


async def test_only_production_is_read_unless_told_otherwise():
    server = unified()
    settings = {key: value for key, value in server.settings("http://a").items() if key != "environments"}
    assert settings_of(PROVIDER, settings).environments == ("Production",)


async def test_each_environment_is_asked_for_by_name_in_the_configured_order():
    server = unified()
    noting = Noting(server)
    async with over(PROVIDER, server, environments=["Staging", "Production"]) as contracted:
        met = [connection.environment for connection in await walked(contracted.adapter, 100)]
    assert [query["env"] for query in noting.asked] == ["Staging", "Production"]
    assert met.index("Production") == met.count("Staging") > 0
    assert set(met) == {"Staging", "Production", None}


async def test_an_upstream_that_ignores_environments_lists_each_connection_once():
    server = unified(size=30)
    everything = server.rows()
    server.app = Rewritten(server.app, "/unified/connection", lambda _: everything)
    async with over(PROVIDER, server) as contracted:
        met = native_ids(await walked(contracted.adapter, 100))
    assert sorted(met) == sorted(row["id"] for row in everything)


async def test_a_connection_that_names_no_environment_is_listed_where_production_is_not_ours():
    server = unified()
    bare = [{"id": "a"}, {"id": "b", "environment": ""}, {"id": "c", "environment": None}]
    server.app = Rewritten(server.app, "/unified/connection", lambda _: bare)
    async with over(PROVIDER, server, environments=["Sandbox"]) as contracted:
        assert native_ids(await walked(contracted.adapter, 100)) == ["a", "b", "c"]


@pytest.mark.parametrize("environments", [[], [""], ["Production", "Production"]])
def test_environments_that_make_no_sense_are_refused(environments: list[str]):
    with pytest.raises(ValueError, match="environments"):
        settings_of(PROVIDER, {"provider": "unified_to", "environments": environments})


# Lists


async def test_a_list_asks_for_a_hundred_at_the_most_in_an_order_that_stands_still():
    server = unified(size=450)
    noting = Noting(server)
    async with over(PROVIDER, server, environments=["Production"]) as contracted:
        met = await walked(contracted.adapter, 1000)
    assert len(met) == len({connection.native_id for connection in met}) == 300
    assert [(query["limit"], query["offset"]) for query in noting.asked] == [
        ("100", "0"),
        ("100", "100"),
        ("100", "200"),
        ("100", "300"),
    ]
    assert {(query["sort"], query["order"]) for query in noting.asked} == {("created_at", "asc")}
    assert all(set(query) == {"env", "limit", "offset", "sort", "order"} for query in noting.asked)


async def test_an_upstream_that_gives_more_than_asked_for_does_not_break_the_limit():
    server = unified()
    rows = [row | {"environment": "Production"} for row in server.rows()]
    server.app = Rewritten(server.app, "/unified/connection", lambda _: rows)
    async with over(PROVIDER, server, environments=["Production"]) as contracted:
        page = await contracted.adapter.page(after=None, limit=5)
    assert native_ids(page.connections) == [row["id"] for row in rows[:5]]


@pytest.mark.parametrize(("region", "host"), [("us", "api"), ("eu", "api-eu"), ("au", "api-au")])
async def test_a_region_has_a_host(region: str, host: str):
    raw = {"provider": "unified_to", "region": region, "auth": {"token": "t"}}
    assert await host_called(PROVIDER, raw) == f"{host}.unified.to:443"


@pytest.mark.parametrize(
    "auth", [{"username": "a", "password": "hunter2"}, {"client_id": "a", "client_secret": "hunter2"}]
)
async def test_only_a_token_is_a_way_to_log_in(auth: dict[str, str]):
    async with httpx.AsyncClient() as client:
        with pytest.raises(errors.ConfigurationError) as raised:
            built(PROVIDER, client, {"provider": "unified_to", "auth": auth})
    assert "hunter2" not in str(raised.value)


# By id


async def test_as_few_ids_as_environments_are_read_one_by_one_and_more_by_list():
    async with over(PROVIDER, unified()) as contracted:
        known = native_ids(await walked(contracted.adapter, 100))
        calls(contracted)
        await contracted.adapter.get_many(dict.fromkeys(known[:3], LIST_FIELDS))
        assert len(calls(contracted)) == 3
        await contracted.adapter.get_many(dict.fromkeys(known[:4], LIST_FIELDS))
        assert calls(contracted) == {"GET /unified/connection": 3}


async def test_an_id_that_whole_lists_lack_costs_no_further_call():
    async with over(PROVIDER, unified()) as contracted:
        wanted = dict.fromkeys([row["id"] for row in contracted.imitation.rows()][:5], LIST_FIELDS)  # type: ignore[attr-defined]
        found = (await contracted.adapter.get_many({**wanted, "0" * 24: LIST_FIELDS})).by_id
        assert set(found) == set(wanted)
        assert calls(contracted) == {"GET /unified/connection": 3}


async def test_a_connection_is_found_in_any_environment_that_is_ours():
    server = unified()
    for row in server.rows()[:6]:
        async with over(PROVIDER, server) as contracted:
            found = (await contracted.adapter.get_many({row["id"]: LIST_FIELDS})).by_id[row["id"]]
            assert isinstance(found, Connection)
            assert found.environment == row["environment"]


# Integrations


async def test_names_and_logos_cost_the_integrations_once():
    async with over(PROVIDER, unified()) as contracted:
        connections = await walked(contracted.adapter, 100, NAMES)
        assert calls(contracted) == {"GET /unified/connection": 3, "GET /unified/integration": 1}
        hubspot = next(c.source for c in connections if c.source and c.source.type == "hubspot")
        assert (hubspot.name, hubspot.icon) == ("HubSpot", "https://logos.example.com/hubspot.svg")
        await walked(contracted.adapter, 7, NAMES)
        assert set(calls(contracted)) == {"GET /unified/connection"}


async def test_a_connection_is_named_after_its_integration_and_keeps_its_type_where_that_is_gone():
    async with over(PROVIDER, unified()) as contracted:
        connections = await walked(contracted.adapter, 100, frozenset({"name"}))
    names = {c.source.type: c.name for c in connections if c.source}
    assert (names["freee"], names["legacycrm"]) == ("freee 会計", "legacycrm")


async def test_without_names_asked_for_no_integrations_are_read():
    async with over(PROVIDER, unified()) as contracted:
        await walked(contracted.adapter, 100, frozenset({"source.type", "status", "categories"}))
        assert set(calls(contracted)) == {"GET /unified/connection"}


async def test_integrations_that_fail_leave_the_rows_and_say_so():
    server = unified()
    server.knobs = Knobs(status=500, only="/unified/integration")
    async with over(PROVIDER, server, retries=0) as contracted:
        page = await paged(contracted.adapter, after=None, limit=10, fields=NAMES)
        assert len(page.connections) == 10
        assert [type(failure) for failure in page.failures] == [errors.UpstreamFault]


async def test_a_list_of_integrations_that_ignores_paging_ends():
    server = unified()
    full = [{"type": f"type-{number}", "name": "A"} for number in range(100)]
    server.app = Rewritten(server.app, "/unified/integration", lambda _: full)
    async with over(PROVIDER, server) as contracted:
        page = await paged(contracted.adapter, after=None, limit=10, fields=NAMES)
        assert page.failures == ()
        assert calls(contracted)["GET /unified/integration"] == 2
