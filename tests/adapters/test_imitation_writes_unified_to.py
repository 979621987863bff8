"""What is written to the imitation of Unified.to stays: over real HTTP, by a clock that is turned by hand."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from adapters.imitation import Effect, Knobs, iso
from adapters.unified_to.demo import TOKEN, UnifiedToImitation
from adapters.unified_to.demo_data import WORKSPACE

NOW = 1_790_000_000.5
PATH = "/unified/connection"
IMPORTED = {
    "integration_type": "hubspot",
    "categories": ["crm", "martech"],
    "permissions": ["crm_contact_read"],
    "auth": {"access_token": "planted-secret-imported", "emails": ["dana@example.com"], "meta": {"a": 1}},
}
READ_ONLY = {
    "id": "x",
    "created_at": "2020-01-01T00:00:00Z",
    "updated_at": "2020-01-01T00:00:00Z",
    "workspace_id": "x",
    "is_paused": True,
    "last_healthy_at": "2020-01-01T00:00:00Z",
    "last_unhealthy_at": "2020-01-01T00:00:00Z",
    "cursors_cache": [{"type": "x"}],
}


class Upstream:
    """An imitation being served, whose clock is turned by hand."""

    def __init__(self, **options: Any) -> None:
        self.now = NOW
        self.imitation = UnifiedToImitation(clock=lambda: self.now, **options)
        self.client = httpx.AsyncClient()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator["Upstream"]:
        async with self.imitation.serve() as url:
            headers = {"authorization": f"Bearer {TOKEN}"}
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as self.client:
                yield self

    @property
    def effects(self) -> list[tuple[str, str]]:
        return [tuple(effect) for effect in self.imitation.effects]

    async def ok(self, method: str, path: str, **options: Any) -> Any:
        answer = await self.client.request(method, path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def create(self, **more: Any) -> dict[str, Any]:
        return await self.ok("POST", PATH, json={**IMPORTED, **more})

    async def get(self, id: str) -> dict[str, Any]:
        return await self.ok("GET", f"{PATH}/{id}")

    async def listed(self, **query: Any) -> list[str]:
        rows = await self.ok("GET", PATH, params=query)
        return [row["id"] for row in rows]

    async def refused(self, status: int, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The body of a refusal, which did nothing."""
        before, size = self.effects, self.imitation.size
        answer = await self.client.request(method, path, **options)
        assert answer.status_code == status, answer.text
        assert (self.effects, self.imitation.size) == (before, size)
        refusal = answer.json()
        assert refusal.keys() == {"statusCode", "error", "message"}
        assert refusal["statusCode"] == status
        return refusal


@pytest.fixture
async def upstream() -> AsyncGenerator[Upstream]:
    async with Upstream().serving() as upstream:
        yield upstream


# Importing


async def test_an_imported_connection_is_given_back_with_its_credentials(upstream: Upstream):
    created = await upstream.create(external_xref="customer-new", environment="Sandbox", **READ_ONLY)
    assert created.items() >= {**IMPORTED, "external_xref": "customer-new", "environment": "Sandbox"}.items()
    assert (created["created_at"], created["updated_at"]) == (iso(NOW), iso(NOW))
    assert (created["workspace_id"], created["is_paused"]) == (WORKSPACE, False)
    assert not created.keys() & {"last_healthy_at", "last_unhealthy_at"}
    assert await upstream.get(created["id"]) == created
    assert upstream.effects == [("create", created["id"])]


async def test_the_imported_are_in_the_lists_of_their_environment(upstream: Upstream):
    before = {env: set(await upstream.listed(env=env)) for env in ("Production", "Sandbox", "Staging", "Own")}
    usual = (await upstream.create())["id"]
    others = {env: (await upstream.create(environment=env))["id"] for env in ("Sandbox", "Own")}
    assert (await upstream.get(usual))["environment"] == "Production"
    assert set(await upstream.listed()) == before["Production"] | {usual}
    assert set(await upstream.listed(env="Sandbox")) == before["Sandbox"] | {others["Sandbox"]}
    assert set(await upstream.listed(env="Staging")) == before["Staging"]
    assert await upstream.listed(env="Own") == [others["Own"]]


async def test_the_imported_are_sorted_filtered_and_paged(upstream: Upstream):
    upstream.now += 60
    for sort in ("name", "created_at", "updated_at"):
        await upstream.listed(sort=sort)
    slack = (await upstream.create(integration_type="slack", categories=["messaging"], external_xref="one"))["id"]
    okta = (await upstream.create(integration_type="okta", categories=["auth"]))["id"]
    assert (await upstream.listed(sort="created_at", order="desc"))[:2] == sorted([slack, okta], reverse=True)
    assert {slack, okta} <= set(await upstream.listed(sort="updated_at", updated_gte=iso(upstream.now)))
    names = [row["integration_type"] for row in await upstream.ok("GET", PATH, params={"sort": "name", "order": "asc"})]
    first, last = names.index("slack"), len(names) - 1 - names[::-1].index("slack")
    assert set(names[first : last + 1]) == {"slack"}
    assert await upstream.listed(external_xref="one") == [slack]
    assert slack in await upstream.listed(categories="messaging")
    assert slack not in await upstream.listed(categories="uc"), "its own categories count, not the integration's"
    paged = [id for offset in range(0, 60, 7) for id in await upstream.listed(limit=7, offset=offset, sort="name")]
    assert paged == await upstream.listed(sort="name")
    assert len(paged) == 42


@pytest.mark.parametrize("name", ["integration_type", "categories", "permissions", "auth"])
async def test_an_import_without_what_is_required_is_refused(upstream: Upstream, name: str):
    body = {key: value for key, value in IMPORTED.items() if key != name}
    assert name in (await upstream.refused(400, "POST", PATH, json=body))["message"]
    await upstream.refused(400, "POST", PATH, json=body | {name: None})
    await upstream.refused(400, "POST", PATH, json=body | {name: 5})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"integration_type": "nope"}'])
async def test_a_body_that_cannot_be_used_is_refused(upstream: Upstream, content: bytes):
    id = upstream.imitation.id_of(0)
    for method, path in (("POST", PATH), ("PUT", f"{PATH}/{id}"), ("PATCH", f"{PATH}/{id}")):
        await upstream.refused(400, method, path, content=content)


# Changing


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_an_update_changes_what_it_gives_and_nothing_else(upstream: Upstream, method: str):
    for id in (upstream.imitation.id_of(1), (await upstream.create())["id"]):
        before = await upstream.get(id)
        given = {"external_xref": "moved", "categories": ["crm"], "environment": "Staging"}
        upstream.now += 1000
        updated = await upstream.ok(method, f"{PATH}/{id}", json=given | READ_ONLY)
        assert updated == await upstream.get(id)
        checked = {"updated_at", "last_healthy_at", "last_unhealthy_at", "auth"}
        assert {key: value for key, value in updated.items() if key not in checked} == {
            key: value for key, value in (before | given).items() if key not in checked
        }
        assert updated["updated_at"] == iso(upstream.now)
        assert (await upstream.listed(env="Staging", external_xref="moved"))[0] == id
        assert id not in await upstream.listed()
        assert upstream.effects[-1] == ("update", id)
        await upstream.ok(method, f"{PATH}/{id}", json={"external_xref": None, "environment": None})
        assert (await upstream.get(id))["external_xref"] is None
        assert id in await upstream.listed()


async def test_every_row_says_and_is_sorted_by_when_it_was_written(upstream: Upstream):
    rows = [row for row in upstream.imitation.rows() if row.get("environment") in ("Production", None)]
    for row in rows[:10]:
        upstream.now += 1
        updated = await upstream.ok("PATCH", f"{PATH}/{row['id']}", json={"external_xref": "x"})
        assert updated["updated_at"] == iso(upstream.now)
        assert (await upstream.listed(sort="updated_at", order="desc"))[0] == row["id"]
    since = iso(upstream.now - 4)
    assert {row["id"] for row in rows[5:10]} <= set(await upstream.listed(updated_gte=since))


async def test_checks_of_health_go_on_after_a_write(upstream: Upstream):
    id = upstream.imitation.id_of(0)
    updated = await upstream.ok("PATCH", f"{PATH}/{id}", json={"external_xref": "x"})
    upstream.now += 1000
    later = await upstream.get(id)
    assert later["last_healthy_at"] == later["updated_at"] > updated["updated_at"]
    assert later["external_xref"] == "x"


async def test_new_credentials_replace_the_old_ones(upstream: Upstream):
    id = upstream.imitation.id_of(0)
    auth = {"token": "planted-secret-new"}
    assert (await upstream.ok("PATCH", f"{PATH}/{id}", json={"auth": auth}))["auth"] == auth


# Deleting


async def test_the_deleted_are_gone_from_lists_and_gets(upstream: Upstream):
    for id in (upstream.imitation.id_of(0), (await upstream.create())["id"]):
        before = await upstream.listed()
        answer = await upstream.client.delete(f"{PATH}/{id}")
        assert (answer.status_code, answer.content) == (200, b"")
        before.remove(id)
        assert await upstream.listed() == before
        assert upstream.effects[-1] == ("delete", id)
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            await upstream.refused(404, method, f"{PATH}/{id}", json={})


# Authorizing


async def test_a_url_to_authorize_is_text_and_carries_the_query_without_a_token(upstream: Upstream):
    url = f"/unified/integration/auth/{WORKSPACE}/hubspot"
    query = "success_redirect=https%3A%2F%2Fa.example%2F%3Fb&scopes=crm_contact_read&scopes=crm_deal_read&env=Sandbox"
    for asked in ("", f"?{query}"):
        answer = await upstream.client.get(url + asked, headers={"authorization": ""})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text.startswith("https://connect.example.com/")
        assert answer.text.endswith("/hubspot" + asked)
    assert upstream.effects == []


@pytest.mark.parametrize("path", ["nope/hubspot", f"{WORKSPACE}/nope", f"{WORKSPACE}/legacycrm"])
async def test_a_url_for_nothing_known_is_not_found(upstream: Upstream, path: str):
    await upstream.refused(404, "GET", f"/unified/integration/auth/{path}", headers={"authorization": ""})


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_writes_need_the_token(upstream: Upstream, method: str):
    path = PATH if method == "POST" else f"{PATH}/{upstream.imitation.id_of(0)}"
    await upstream.refused(401, method, path, json=IMPORTED, headers={"authorization": ""})


# Nothing twice

TROUBLE: dict[str, dict[str, Any]] = {
    "hang": {"hang": True},
    "reset": {"reset": True},
    "status": {"status": 503},
    "cut": {"cut": True},
}


@pytest.mark.parametrize(("method", "kind"), [("POST", "create"), ("PATCH", "update"), ("DELETE", "delete")])
@pytest.mark.parametrize("late", [False, True], ids=["before", "late"])
@pytest.mark.parametrize("trouble", TROUBLE)
async def test_effects_tell_whether_a_lost_call_was_carried_out(
    upstream: Upstream, trouble: str, late: bool, method: str, kind: str
):
    upstream.imitation.knobs = Knobs(**TROUBLE[trouble], late=late)
    id = upstream.imitation.id_of(60 if method == "POST" else 0)
    path = PATH if method == "POST" else f"{PATH}/{id}"
    with contextlib.suppress(httpx.TransportError):
        await upstream.client.request(method, path, json=IMPORTED, timeout=0.2)
    done = late or trouble == "cut"
    for _ in range(1000 if done else 0):
        if upstream.effects:
            break
        await asyncio.sleep(0.005)
    assert upstream.imitation.effects == ([Effect(kind, id)] if done else [])
    assert upstream.imitation.journal.count(PATH) == 1
