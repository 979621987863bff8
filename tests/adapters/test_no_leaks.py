"""No error, no hook and no setting ever tells a URL, a header, a body or a token."""

import traceback

import pytest

from adapters import errors
from adapters.auth import Credentials, bearer
from adapters.secret import Secret
from adapters.transport import Call, Request, Settings, Transport
from tests.adapters.upstream import READ, Upstream, answer, calling, over, raw

PLANT = "hunter2plant"
LOUD = Request(
    "get_thing",
    "POST",
    "/things/{id}",
    ids={"id": PLANT},
    query=[("token", PLANT)],
    json={"password": PLANT},
)
TRUNCATED = answer(PLANT.encode(), f"X-Echo: {PLANT}", length=1000)
LEAKS = {
    "fault": answer(PLANT.encode(), f"X-Echo: {PLANT}").replace(b"200 OK", f"500 {PLANT}".encode()),
    "redirect": answer(b"", f"Location: http://{PLANT}.test/{PLANT}").replace(b"200 OK", b"302 Found"),
    "limit": answer(PLANT.encode(), f"Retry-After: {PLANT}").replace(b"200 OK", b"429 Slow"),
    "encoding": answer(PLANT.encode(), f"Content-Encoding: {PLANT}"),
    "not gzip": answer(PLANT.encode(), "Content-Encoding: gzip"),
    "truncated": TRUNCATED,
    "garbage": PLANT.encode() + b"\r\n\r\n",
    "header": b"HTTP/1.1 200 OK\r\n" + PLANT.encode() + b"\r\n\r\n",
    "too long": answer(PLANT.encode() * 1000),
    "nothing": b"",
}


def everything_said(error: BaseException, told: list[Call], sender: Transport) -> str:
    """All that a log, a trace or a page could print of it."""
    printed = "".join(traceback.format_exception(error))
    return f"{error} {error!r} {error.args} {vars(error)} {told} {sender!r} {printed}"


@pytest.mark.parametrize("sent", LEAKS.values(), ids=LEAKS)
async def test_no_error_and_no_hook_tells_a_url_a_header_a_body_or_a_token(sent: bytes):
    told: list[Call] = []
    async with raw(sent) as url:
        base_url = f"{url}/{PLANT}"
        async with calling(
            base_url,
            authorizer=bearer(Secret(PLANT)),
            headers={"X-Key": PLANT},
            hooks=[told.append],
            max_body_bytes=1024,
        ) as sender:
            with pytest.raises(errors.AdapterError) as raised:
                await sender.send(LOUD)
    assert PLANT not in everything_said(raised.value, told, sender)
    assert "127.0.0.1" not in everything_said(raised.value, told, sender)
    assert told[0].route == "/things/{id}"


@pytest.mark.parametrize("token", [f"{PLANT}\n", f"{PLANT}\u00f6"], ids=["line", "not ascii"])
async def test_a_token_no_header_can_hold_is_rejected_and_not_told(token: str):
    told: list[Call] = []
    upstream = Upstream()
    async with over(upstream, authorizer=bearer(Secret(token)), hooks=[told.append]) as sender:
        with pytest.raises(errors.Rejected) as raised:
            await sender.send(READ)
    assert PLANT not in everything_said(raised.value, told, sender)
    assert upstream.seen == []


async def test_settings_do_not_print_their_credentials():
    settings = Settings(auth=Credentials(client_id="me", client_secret=Secret(PLANT)))
    assert PLANT not in f"{settings} {settings!r}"
