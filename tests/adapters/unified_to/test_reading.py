"""What reading Unified.to costs: a list for each environment, integrations once, ids in the fewest calls."""

import datetime as dt
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from adapters import errors, walk
from adapters.http1 import Client
from adapters.imitation import Knobs
from adapters.model import Connection
from adapters.port import LIST_FIELDS, Filter, List, Order, OrderField, Page, Period
from adapters.unified_to import PROVIDER
from adapters.unified_to.demo import UnifiedToImitation
from adapters.unified_to.details import AuthState, UnifiedToConnection
from tests.adapters.contracted import (
    NOW,
    Rewritten,
    built,
    calls,
    host_called,
    listed,
    native_ids,
    over,
    paged,
    plainly,
    settings_of,
    walked,
)
from tests.adapters.upstream import until

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
        met = [connection.environment for connection in await listed(contracted.adapter)]
    assert [query["env"] for query in noting.asked] == ["Staging", "Production"]
    assert met.index("Production") == met.count("Staging") > 0
    assert set(met) == {"Staging", "Production", None}


async def test_an_upstream_that_ignores_environments_lists_each_connection_once():
    server = unified(size=30)
    everything = server.rows()
    server.app = Rewritten(server.app, "/unified/connection", lambda _: everything)
    async with over(PROVIDER, server) as contracted:
        met = native_ids(await listed(contracted.adapter))
    assert sorted(met) == sorted(row["id"] for row in everything)


async def test_a_connection_that_names_no_environment_is_listed_where_production_is_not_ours():
    server = unified()
    bare = [{"id": "a"}, {"id": "b", "environment": ""}, {"id": "c", "environment": None}]
    server.app = Rewritten(server.app, "/unified/connection", lambda _: bare)
    async with over(PROVIDER, server, environments=["Sandbox"]) as contracted:
        assert native_ids(await listed(contracted.adapter)) == ["a", "b", "c"]


@pytest.mark.parametrize("environments", [[], [""], ["Production", "Production"]])
def test_environments_that_make_no_sense_are_refused(environments: list[str]):
    with pytest.raises(ValueError, match="environments"):
        settings_of(PROVIDER, {"provider": "unified_to", "environments": environments})


# Lists


async def test_a_list_asks_for_a_hundred_at_the_most_in_an_order_that_stands_still():
    server = unified(size=450)
    noting = Noting(server)
    async with over(PROVIDER, server, environments=["Production"]) as contracted:
        met = await listed(contracted.adapter)
    assert len(met) == len({connection.native_id for connection in met}) == 300
    offsets = sorted(int(query["offset"]) for query in noting.asked)
    assert offsets == [0, 100, 200, 300], "the last of them is empty, and tells the end"
    assert {query["limit"] for query in noting.asked} == {"100"}
    assert {(query["sort"], query["order"]) for query in noting.asked} == {("created_at", "asc")}
    assert all(set(query) == {"env", "limit", "offset", "sort", "order"} for query in noting.asked)


async def test_an_upstream_that_gives_more_than_asked_for_is_met_whole_and_once():
    server = unified(size=150)
    rows = [row | {"environment": "Production"} for row in server.rows()]
    server.app = Rewritten(server.app, "/unified/connection", lambda _: rows)
    async with over(PROVIDER, server, environments=["Production"]) as contracted:
        met = native_ids(await listed(contracted.adapter))
    assert met == [row["id"] for row in rows]


@pytest.mark.parametrize(("region", "host"), [("us", "api"), ("eu", "api-eu"), ("au", "api-au")])
async def test_a_region_has_a_host(region: str, host: str):
    raw = {"provider": "unified_to", "region": region, "auth": {"token": "t"}}
    assert await host_called(PROVIDER, raw) == f"{host}.unified.to:443"


@pytest.mark.parametrize(
    "auth", [{"username": "a", "password": "hunter2"}, {"client_id": "a", "client_secret": "hunter2"}]
)
async def test_only_a_token_is_a_way_to_log_in(auth: dict[str, str]):
    async with Client() as client:
        with pytest.raises(errors.ConfigurationError) as raised:
            built(PROVIDER, client, {"provider": "unified_to", "auth": auth})
    assert "hunter2" not in str(raised.value)


# Orders and filters


@pytest.mark.parametrize(
    ("word", "field"), [("name", "NAME"), ("created_at", "CREATED_AT"), ("updated_at", "UPDATED_AT")]
)
async def test_an_order_is_asked_for_by_the_upstream_s_own_word_on_every_page(word: str, field: str):
    server = unified(size=200)
    noting = Noting(server)
    async with over(PROVIDER, server, environments=["Production"]) as contracted:
        for is_descending, way in ((False, "asc"), (True, "desc")):
            noting.asked.clear()
            await plainly(contracted.adapter, List("Production", order=Order(OrderField(word.upper()), is_descending)))
            assert [(query["sort"], query["order"]) for query in noting.asked] == [(word, way)] * 2


async def test_one_category_and_what_changed_since_are_asked_for():
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    server = unified()
    noting = Noting(server)
    where = Filter(category=("crm",), updated_at=Period(since=moment, before=moment), environment=("Sandbox",))
    async with over(PROVIDER, server) as contracted:
        narrowing = contracted.adapter.narrow(where)
        await contracted.adapter.read(List("Sandbox", narrowing.asked))
    assert narrowing.parts == {"Sandbox"}
    assert narrowing.conditions == {"category", "updated_at", "environment"}
    (query,) = noting.asked
    assert query.items() >= {"env": "Sandbox", "categories": "crm", "updated_gte": moment.isoformat()}.items()


async def test_two_categories_are_sought_here_because_nobody_says_whether_both_or_either_would_be_meant():
    async with over(PROVIDER, unified()) as contracted:
        assert contracted.adapter.narrow(Filter(category=("crm", "hris"))).conditions == set()


async def test_who_is_in_production_is_judged_here_because_its_list_holds_those_that_do_not_say():
    async with over(PROVIDER, unified()) as contracted:
        narrowing = contracted.adapter.narrow(Filter(environment=("Production", "Sandbox")))
        listed = (await contracted.adapter.read(List("Production"))).connections
    assert (narrowing.parts, narrowing.conditions) == ({"Production", "Sandbox"}, set())
    assert {row.environment for row in listed} == {"Production", None}


async def test_who_is_in_an_environment_is_judged_here_where_production_is_not_ours():
    async with over(PROVIDER, unified(), environments=["Staging", "Sandbox"]) as contracted:
        narrowing = contracted.adapter.narrow(Filter(environment=("Staging",)))
    assert (narrowing.parts, narrowing.conditions) == ({"Staging"}, set())


# Reading again


async def test_a_page_is_made_anew_when_an_authorization_in_it_has_ended():
    ends_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    later = ends_at + dt.timedelta(hours=1)
    rows = [
        {"id": f"{number:024x}", "auth": {"expiry_date": moment.isoformat()} if moment else None}
        for number, moment in enumerate((later, ends_at, None, ends_at - dt.timedelta(days=1)))
    ]
    server = unified()
    server.app = Rewritten(server.app, "/unified/connection", lambda _: rows)
    async with over(PROVIDER, server, environments=["Production"]) as contracted:
        of = List("Production")
        valid = await contracted.adapter.read(of)
        assert valid.good_until == ends_at
        assert states(valid) == [AuthState.VALID, AuthState.VALID, AuthState.UNKNOWN, AuthState.EXPIRED]
        assert await contracted.adapter.read(of, last=valid) is valid
        await until(lambda: dt.datetime.now(dt.UTC) > ends_at)
        ended = await contracted.adapter.read(of, last=valid)
        assert states(ended) == [AuthState.VALID, AuthState.EXPIRED, AuthState.UNKNOWN, AuthState.EXPIRED]
        assert ended.good_until == later
        after = walk.gathered([ended], last=walk.Walked((valid,), valid.connections))
    changed = [number for number, row in enumerate(after.rows) if row is not valid.connections[number]]
    assert changed == [1], "the others are the objects that they were"


async def test_no_row_is_kept_beyond_the_end_of_an_authorization():
    ends_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    later = ends_at + dt.timedelta(hours=1)
    rows: list[dict[str, Any]] = [
        {"id": f"{number:024x}", "external_xref": "before", "auth": {"expiry_date": moment.isoformat()}}
        for number, moment in enumerate((ends_at, later, later))
    ]
    server = unified()
    server.app = Rewritten(server.app, "/unified/connection", lambda _: rows)
    async with over(PROVIDER, server, environments=["Production"]) as contracted:
        of = List("Production")
        first = await contracted.adapter.read(of)
        rows[2]["external_xref"] = "after"
        second = await contracted.adapter.read(of, last=first)
        assert [row is old for row, old in zip(second.connections, first.connections, strict=True)] == [
            True,
            True,
            False,
        ]
        assert second.good_until == ends_at, "it is a kept row that ends first"
        await until(lambda: dt.datetime.now(dt.UTC) > ends_at)
        rows[1]["external_xref"] = "after"
        third = await contracted.adapter.read(of, last=second)
    assert states(third) == [AuthState.EXPIRED, AuthState.VALID, AuthState.VALID]
    assert third.good_until == later


def states(page: Page) -> list[AuthState | None]:
    found = [row.details for row in page.connections]
    return [details.auth_state for details in found if isinstance(details, UnifiedToConnection)]


async def test_a_page_of_which_nothing_ends_is_good_for_ever():
    server = unified()
    server.app = Rewritten(server.app, "/unified/connection", lambda _: [{"id": "a" * 24}])
    async with over(PROVIDER, server) as contracted:
        assert (await contracted.adapter.read(List("Production"))).good_until is None


# By id


async def test_as_few_ids_as_environments_are_read_one_by_one_and_more_by_list():
    async with over(PROVIDER, unified()) as contracted:
        known = native_ids(await listed(contracted.adapter))
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
        connections = await walked(contracted.adapter, NAMES)
        assert calls(contracted) == {"GET /unified/connection": 3, "GET /unified/integration": 1}
        hubspot = next(c.source for c in connections if c.source and c.source.type == "hubspot")
        assert (hubspot.name, hubspot.icon) == ("HubSpot", "https://logos.example.com/hubspot.svg")
        await walked(contracted.adapter, NAMES)
        assert set(calls(contracted)) == {"GET /unified/connection"}


async def test_a_connection_is_named_after_its_integration_and_keeps_its_type_where_that_is_gone():
    async with over(PROVIDER, unified()) as contracted:
        connections = await walked(contracted.adapter, frozenset({"name"}))
    names = {c.source.type: c.name for c in connections if c.source}
    assert (names["freee"], names["legacycrm"]) == ("freee 会計", "legacycrm")


async def test_without_names_asked_for_no_integrations_are_read():
    async with over(PROVIDER, unified()) as contracted:
        await walked(contracted.adapter, frozenset({"source.type", "status", "categories"}))
        assert set(calls(contracted)) == {"GET /unified/connection"}


async def test_integrations_that_fail_leave_the_rows_and_say_so():
    server = unified()
    server.knobs = Knobs(status=500, only="/unified/integration")
    async with over(PROVIDER, server, retries=0) as contracted:
        page = await paged(contracted.adapter, limit=10, fields=NAMES)
        assert len(page.connections) == 10
        assert [type(failure) for failure in page.failures] == [errors.UpstreamFault]


async def test_a_list_of_integrations_that_ignores_paging_ends():
    server = unified()
    full = [{"type": f"type-{number}", "name": "A"} for number in range(100)]
    server.app = Rewritten(server.app, "/unified/integration", lambda _: full)
    async with over(PROVIDER, server) as contracted:
        page = await paged(contracted.adapter, limit=10, fields=NAMES)
        assert page.failures == ()
        assert calls(contracted)["GET /unified/integration"] == 2
