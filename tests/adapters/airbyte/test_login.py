"""Logging in to Airbyte: Basic or tokens, whose end only they themselves tell rightly."""

import base64
import time
from typing import Any

import msgspec
import pytest

from adapters import errors
from adapters.airbyte import PROVIDER, wire
from adapters.airbyte.client import TOKEN_LASTS_S, lasts_s
from adapters.airbyte.demo import CLIENT_ID, CLIENT_SECRET, AirbyteImitation
from adapters.imitation import Knobs
from adapters.port import LIST_FIELDS
from tests.adapters.contracted import Contracted, Rewritten, built, over, paged, settings_of

TOKEN_PATH = "/applications/token"


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Open(AirbyteImitation):
    """An imitation that lets in only who shows nothing."""

    def admits(self, authorization: str) -> bool:
        return not authorization


async def page(contracted: Contracted) -> int:
    return len((await paged(contracted.adapter, limit=5)).connections)


def jwt(**claims: Any) -> str:
    payload = base64.urlsafe_b64encode(msgspec.json.encode(claims)).rstrip(b"=").decode()
    return f"e30.{payload}.sig"


HUGE = base64.urlsafe_b64encode(b'{"exp": %s}' % (b"9" * 400)).rstrip(b"=").decode()
"""The payload of a token that ends at a moment which no float holds."""


async def test_a_token_is_fetched_once_and_used_by_all_calls():
    async with over(PROVIDER, AirbyteImitation()) as contracted:
        for _ in range(3):
            assert await page(contracted) == 5
        assert contracted.imitation.journal.count(TOKEN_PATH) == 1


async def test_a_token_that_ended_upstream_is_renewed_and_the_call_repeated_once():
    clock = Hand()
    async with over(PROVIDER, AirbyteImitation(clock=clock, token_lasts_s=3600), retries=0) as contracted:
        assert await page(contracted) == 5
        clock.now += 4000  # the server's clock; ours still trusts the token
        contracted.imitation.journal.clear()
        assert await page(contracted) == 5
        assert contracted.imitation.journal.count(TOKEN_PATH) == 1
        assert contracted.imitation.journal.count("/connections/list") == 2


async def test_a_token_about_to_end_is_renewed_before_it_is_refused():
    async with over(PROVIDER, AirbyteImitation(token_lasts_s=0.0), retries=0) as contracted:
        with pytest.raises(errors.Unauthorized):
            await page(contracted)
        # one for the call, another because the first was refused; never more
        assert contracted.imitation.journal.count(TOKEN_PATH) == 2


@pytest.mark.parametrize(
    ("token", "expires_in", "low", "high"),
    [
        (900, None, 800, 901),
        (180, 900, 100, 181),  # said 900, lasts 180
        (-50, 900, -100, -49),
        (jwt(sub="nobody"), None, TOKEN_LASTS_S, TOKEN_LASTS_S),
        (jwt(sub="nobody"), 60, 60, 60),
        (jwt(sub="nobody"), 86_400, TOKEN_LASTS_S, TOKEN_LASTS_S),
        (jwt(exp="soon"), None, TOKEN_LASTS_S, TOKEN_LASTS_S),
        (jwt(exp=None), None, TOKEN_LASTS_S, TOKEN_LASTS_S),
        (jwt(exp=[1]), None, TOKEN_LASTS_S, TOKEN_LASTS_S),
        (f"e30.{HUGE}.sig", None, TOKEN_LASTS_S, TOKEN_LASTS_S),
        ("opaque", None, TOKEN_LASTS_S, TOKEN_LASTS_S),
        ("a.b", None, TOKEN_LASTS_S, TOKEN_LASTS_S),
        ("a.aGVsbG8.c", None, TOKEN_LASTS_S, TOKEN_LASTS_S),
        ("a.W10.c", None, TOKEN_LASTS_S, TOKEN_LASTS_S),
        ("é.é.é", None, TOKEN_LASTS_S, TOKEN_LASTS_S),
        ("...", None, TOKEN_LASTS_S, TOKEN_LASTS_S),
    ],
)
def test_a_token_lasts_as_long_as_it_says_itself(token: str | int, expires_in: float | None, low: float, high: float):
    """A number is that of seconds from now."""
    told = jwt(exp=time.time() + token) if isinstance(token, int) else token
    told_s = lasts_s(wire.Token(access_token=told, expires_in=expires_in))
    assert low <= told_s <= high


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_no_token_to_be_had_is_unauthorized_for_a_page_and_for_each_id(status: int):
    imitation = AirbyteImitation()
    imitation.knobs = Knobs(status=status, only=TOKEN_PATH)
    id = imitation.rows()[0]["connectionId"]
    async with over(PROVIDER, imitation, retries=0) as contracted:
        with pytest.raises(errors.Unauthorized) as raised:
            await page(contracted)
        assert raised.value.operation == "get_token"
        found = (await contracted.adapter.get_many({id: LIST_FIELDS})).by_id
    assert isinstance(found[id], errors.Unauthorized), "not as if the id were unknown"


@pytest.mark.parametrize(
    "body", ["", "null", "{}", '{"access_token": ""}', '{"access_token": null}', '{"access_token": 5}', "<html>"]
)
async def test_a_token_endpoint_that_talks_nonsense_gives_no_token(body: str):
    imitation = AirbyteImitation()
    imitation.knobs = Knobs(body=body, only=TOKEN_PATH)
    async with over(PROVIDER, imitation, retries=0) as contracted:
        with pytest.raises((errors.ContractBroken, errors.Unauthorized)):
            await page(contracted)


async def test_a_token_with_what_later_versions_add_is_read():
    imitation = AirbyteImitation()
    imitation.app = Rewritten(imitation.app, TOKEN_PATH, lambda b: b | {"token_type": "Bearer", "expires_in": "900"})
    async with over(PROVIDER, imitation) as contracted:
        assert await page(contracted) == 5


@pytest.mark.parametrize("login", ["basic", "token"])
async def test_a_refusal_in_html_is_unauthorized(login: Any):
    async with over(PROVIDER, AirbyteImitation(login=login)) as contracted:
        raw = contracted.imitation.settings(contracted.url) | {"auth": {"token": "stale"}}
        adapter = built(PROVIDER, contracted.client, raw)
        with pytest.raises(errors.Unauthorized) as raised:
            await page(contracted._replace(adapter=adapter))
    assert "html" not in str(raised.value).lower()


async def test_an_open_server_needs_no_credentials():
    async with over(PROVIDER, Open(), auth=None) as contracted:
        assert await page(contracted) == 5
        assert contracted.imitation.journal.count(TOKEN_PATH) == 0


async def test_credentials_are_in_no_repr_of_settings():
    raw = {
        "provider": "airbyte",
        "base_url": "http://a",
        "auth": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
    }
    assert CLIENT_SECRET not in repr(settings_of(PROVIDER, raw))
