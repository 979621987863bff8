"""Credentials have one form, and a token is fetched once, renewed in time, and again after a failure."""

import asyncio
import base64
from typing import Any

import msgspec
import pytest

from adapters.auth import Credentials, Grant, Renewing, basic, bearer
from adapters.secret import Secret
from tests.adapters.upstream import until

S = Secret("hunter2")


@pytest.mark.parametrize(
    "form",
    [{"client_id": "a", "client_secret": S}, {"username": "a", "password": S}, {"token": S}],
    ids=" and ".join,
)
def test_each_form_of_credentials_is_taken(form: dict[str, Any]):
    credentials = Credentials(**form)
    assert {name: getattr(credentials, name) for name in form} == form


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"client_id": "a"},
        {"client_secret": S},
        {"username": "a"},
        {"password": S},
        {"client_id": "a", "password": S},
        {"username": "a", "client_secret": S},
        {"token": S, "client_id": "a", "client_secret": S},
        {"token": S, "username": "a"},
        {"client_id": "a", "client_secret": S, "username": "a", "password": S},
        {"client_id": "a", "client_secret": S, "username": "a", "password": S, "token": S},
    ],
    ids=lambda form: " and ".join(form) or "nothing",
)
def test_half_a_form_or_two_forms_are_refused_without_saying_their_values(form: dict[str, Any]):
    with pytest.raises(ValueError, match=r"one form|go together") as raised:
        Credentials(**form)
    assert "hunter2" not in str(raised.value)


def test_credentials_do_not_print_their_secrets():
    shown = repr([Credentials(client_id="a", client_secret=S), Credentials(username="a", password=S)])
    assert "hunter2" not in shown + repr(Credentials(token=S))


def test_credentials_cannot_be_written_as_json():
    with pytest.raises(TypeError) as raised:
        msgspec.json.encode(Credentials(token=S))
    assert "hunter2" not in str(raised.value)


async def test_basic_is_utf_8_and_keeps_colons_of_the_password():
    kind, _, pair = (await basic("jürgen", Secret("pä:ss:日本")).header()).partition(" ")
    assert kind == "Basic"
    assert base64.b64decode(pair).decode() == "jürgen:pä:ss:日本"


async def test_a_ready_token_is_sent_as_it_is_and_has_no_other_to_offer():
    fixed = bearer(Secret("abc.def"))
    assert await fixed.header() == "Bearer abc.def"
    assert not fixed.reject("Bearer abc.def")


class Tokens:
    """A token service that counts: its tokens are numbered, and it waits while ``gate`` is closed."""

    def __init__(self, lasts_s: float = 3600.0) -> None:
        self.count = 0
        self.lasts_s = lasts_s
        self.failing = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> Grant:
        self.count += 1
        number = self.count
        await self.gate.wait()
        if self.failing:
            raise ConnectionError("no token to be had")
        return Grant(Secret(f"t{number}"), self.lasts_s)


async def test_fifty_first_calls_at_once_fetch_one_token():
    tokens = Tokens()
    tokens.gate.clear()
    renewing = Renewing(tokens.fetch)
    calls = [asyncio.create_task(renewing.header()) for _ in range(50)]
    await until(lambda: tokens.count == 1)
    tokens.gate.set()
    assert set(await asyncio.gather(*calls)) == {"Bearer t1"}
    assert await renewing.header() == "Bearer t1"
    assert tokens.count == 1


async def test_no_token_is_fetched_before_it_is_needed():
    tokens = Tokens()
    Renewing(tokens.fetch)
    assert tokens.count == 0


async def test_a_token_is_renewed_before_its_end():
    tokens = Tokens(lasts_s=0.4)
    renewing = Renewing(tokens.fetch)
    assert await renewing.header() == "Bearer t1"
    await asyncio.sleep(0.25)  # past half of its short life, and not yet at its end
    assert await renewing.header() == "Bearer t2"


async def test_a_token_without_a_future_serves_the_call_it_was_fetched_for():
    tokens = Tokens(lasts_s=0)
    renewing = Renewing(tokens.fetch)
    assert [await renewing.header() for _ in range(3)] == ["Bearer t1", "Bearer t2", "Bearer t3"]


async def test_a_refused_token_is_replaced_once_however_many_were_refused():
    tokens = Tokens()
    renewing = Renewing(tokens.fetch)
    old = await renewing.header()
    assert all(renewing.reject(old) for _ in range(10))
    assert set(await asyncio.gather(*(renewing.header() for _ in range(10)))) == {"Bearer t2"}
    assert renewing.reject(old), "a late refusal of the old one is worth another try"
    assert await renewing.header() == "Bearer t2", "but does not cost the new one"
    assert tokens.count == 2


async def test_a_fetch_that_fails_is_told_and_the_next_call_tries_again():
    tokens = Tokens()
    tokens.failing = True
    renewing = Renewing(tokens.fetch)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await renewing.header()
    tokens.failing = False
    assert await renewing.header() == "Bearer t3"


async def test_a_renewal_that_fails_is_tried_again_and_never_gives_the_refused_token():
    tokens = Tokens()
    renewing = Renewing(tokens.fetch)
    renewing.reject(await renewing.header())
    tokens.failing = True
    with pytest.raises(ConnectionError):
        await renewing.header()
    tokens.failing = False
    assert await renewing.header() == "Bearer t3"


async def test_a_caller_that_leaves_while_fetching_does_not_stop_the_others():
    tokens = Tokens()
    tokens.gate.clear()
    renewing = Renewing(tokens.fetch)
    first, *others = [asyncio.create_task(renewing.header()) for _ in range(5)]
    await until(lambda: tokens.count == 1)
    first.cancel()
    await asyncio.wait([first])
    tokens.gate.set()
    assert set(await asyncio.gather(*others)) == {"Bearer t1"}
    assert tokens.count == 1


async def test_one_failure_is_told_to_all_who_wait():
    tokens = Tokens()
    tokens.gate.clear()
    tokens.failing = True
    renewing = Renewing(tokens.fetch)
    calls = [asyncio.create_task(renewing.header()) for _ in range(50)]
    await until(lambda: tokens.count == 1)
    tokens.gate.set()
    told = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in told} == {ConnectionError}
    assert tokens.count == 1


async def test_it_is_told_whether_a_header_takes_a_call():
    tokens = Tokens()
    renewing = Renewing(tokens.fetch)
    assert not renewing.is_ready
    header = await renewing.header()
    assert renewing.is_ready
    renewing.reject("Bearer of somebody else")
    assert renewing.is_ready
    renewing.reject(header)
    assert not renewing.is_ready
    assert tokens.count == 1, "asking whether costs nothing"


async def test_a_token_without_a_future_is_never_ready():
    renewing = Renewing(Tokens(lasts_s=0).fetch)
    await renewing.header()
    assert not renewing.is_ready


def test_what_never_changes_is_always_ready():
    assert basic("a", S).is_ready
    assert bearer(S).is_ready
