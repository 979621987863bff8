"""Whatever an id holds, its URL stays below the base URL; what no URL or body can hold is rejected unsent."""

from urllib.parse import unquote

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.routing import Route

from adapters import errors
from adapters.imitation import serve
from adapters.requests import Request, Writer
from tests.adapters.upstream import READ, SAFE_POST, Upstream, calling, over


@pytest.mark.parametrize(
    "base_url",
    [
        "ftp://127.0.0.1",
        "127.0.0.1/api",
        "http://",
        "http://user:secret@127.0.0.1",
        "http://127.0.0.1/api?key=secret",
        "http://127.0.0.1/#api",
        "http://[::1",
        "http://127.0.0.1:65536",
        "http://127.0.0.1:0/api",
    ],
)
async def test_a_base_url_that_cannot_be_built_on_is_refused_without_being_told(base_url: str):
    with pytest.raises(errors.ConfigurationError, match="base_url") as raised:
        async with calling(base_url):
            pass
    assert "secret" not in str(raised.value)


@pytest.fixture(scope="module")
def placed() -> Writer:
    return Writer(httpx.URL("https://upstream.test/base/v1/"), {})


def located(writer: Writer, id: str) -> httpx.URL:
    target = writer.target(Request("get_thing", "GET", "/things/{id}/runs", ids={"id": id}))
    return httpx.URL(f"{writer.origin.scheme}://{writer.origin.authority.decode()}{target.decode()}")


@pytest.mark.parametrize(
    ("id", "quoted"),
    [
        ("a/b", "a%2Fb"),
        ("%2e%2e", "%252e%252e"),
        ("..%2f..", "..%252f.."),
        ("?x=1", "%3Fx%3D1"),
        ("#x", "%23x"),
        ("a b", "a%20b"),
        ("日本", "%E6%97%A5%E6%9C%AC"),
        ("{id}", "%7Bid%7D"),
        ("a\\b", "a%5Cb"),
        ("\r\nHost: x", "%0D%0AHost%3A%20x"),
        ("...", "..."),
        ("@evil.test", "%40evil.test"),
    ],
)
def test_an_id_is_quoted_whatever_it_holds(placed: Writer, id: str, quoted: str):
    assert located(placed, id).raw_path.decode() == f"/base/v1/things/{quoted}/runs"


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_an_id_that_would_change_the_path_is_rejected(placed: Writer, id: str):
    with pytest.raises(errors.Rejected):
        located(placed, id)


@given(st.text(st.characters(exclude_categories=[]), max_size=80))
@example("../..")
@example("\ud800")
@example("//evil.test/")
def test_no_id_leads_out_of_its_place_below_the_base_url(placed: Writer, id: str):
    try:
        url = located(placed, id)
    except errors.Rejected:
        return
    assert (url.scheme, url.host, url.query, url.fragment) == ("https", "upstream.test", b"", "")
    *before, segment, after = url.raw_path.decode().split("/")
    assert before == ["", "base", "v1", "things"]
    assert (unquote(segment), after) == (id, "runs")


async def test_an_id_reaches_the_upstream_as_it_is():
    seen: list[bytes] = []

    async def keep_path(request: Asked) -> Response:
        seen.append(request.scope["raw_path"])
        return Response(b"[]")

    async with serve(Starlette(routes=[Route("/{path:path}", keep_path)])) as url, calling(f"{url}/base") as sender:
        await sender.send(Request("get_thing", "GET", "/things/{id}", ids={"id": "a/../../b?c"}, query=[("q", "d&e")]))
    assert seen == [b"/base/things/a%2F..%2F..%2Fb%3Fc"]


@pytest.mark.parametrize(
    "request_",
    [
        READ.of(query=[("q", "\ud800")]),
        SAFE_POST.of(json={"q": "\ud800"}),
        SAFE_POST.of(json=None, form={"q": "\ud800"}),
    ],
    ids=["query", "json", "form"],
)
async def test_a_text_that_cannot_be_written_is_rejected(request_: Request):
    upstream = Upstream()
    async with over(upstream) as sender:
        with pytest.raises(errors.Rejected):
            await sender.send(request_)
    assert upstream.seen == []


def test_an_id_that_nobody_gave_is_a_mistake_and_no_path():
    with pytest.raises(KeyError):
        Writer(httpx.URL("https://example.com"), {}).target(
            Request("get_thing", "GET", "/things/{id}", ids={"it": "1"})
        )
