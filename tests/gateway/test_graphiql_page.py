"""The GraphiQL page as text: what it names is there, what it is told cannot break out, the policy is tight.

What it does in a browser is tried elsewhere, over the whole product.
"""

import json
import re

import httpx
import pytest

from gateway.graphiql.page import ASSETS_PATH, STATIC, Example, content_security_policy, render, static_files

NASTY = Example(
    title="<b>bold</b>", query="# </script><script>alert(1)</script> <!--\n{ a }", variables='{"a": "\u2028&"}'
)


def page(*examples: Example) -> str:
    return render("/graphql", examples, "n0nce")


def config(html: str) -> dict[str, object]:
    (text,) = re.findall(r'<script type="application/json" id="graphiql-config">(.*?)</script>', html, re.DOTALL)
    return json.loads(text)


def assets(html: str) -> list[str]:
    return re.findall(rf'"{ASSETS_PATH}/([^"]+)"', html)


def directives(nonce: str = "n0nce") -> dict[str, str]:
    return dict(directive.split(" ", 1) for directive in content_security_policy(nonce).split("; "))


def test_examples_reach_the_page_unchanged_and_cannot_end_the_script_element():
    html = page(NASTY)
    assert config(html) == {"endpoint": "/graphql", "needsKey": False, "examples": [NASTY._asdict()]}
    assert html.count("</script>") == page().count("</script>")
    assert "<!--" not in html


def test_the_nonce_and_the_endpoint_are_escaped():
    html = render('/"><script>', [], '"><script>')
    assert html.count("<script") == page().count("<script")


async def get(name: str) -> httpx.Response:
    transport = httpx.ASGITransport(static_files())
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.get(f"/{name}")


def test_every_asset_the_page_names_is_there():
    assert {name.rpartition(".")[2] for name in assets(page())} == {"js", "css", "svg", "woff2"}
    for name in assets(page()):
        assert (STATIC / name).is_file(), name


def test_every_file_a_script_or_style_names_is_there():
    for path in [*STATIC.glob("*.js"), *STATIC.glob("*.css")]:
        for name in re.findall(r"\./([\w.-]+-[0-9A-Z]{8}\.\w+)", path.read_text()):
            assert (STATIC / name).is_file(), f"{name}, named by {path.name}"


def test_nothing_comes_from_another_host():
    html = page()
    assert "http://" not in html
    assert "https://" not in html
    for style in STATIC.glob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:|//)|@import", style.read_text()), style.name


def test_no_source_map_is_shipped():
    assert not list(STATIC.glob("*.map"))
    assert not [path.name for path in STATIC.glob("*.js") if "sourceMappingURL=" in path.read_text()]


def test_the_policy_starts_from_nothing_and_allows_no_inline_script():
    policy = directives()
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert [name for name, sources in policy.items() if "'unsafe-inline'" in sources] == ["style-src-attr"]
    assert "'unsafe-eval'" not in content_security_policy("n0nce")


def test_the_page_carries_the_nonce_of_its_policy():
    assert directives("abc")["style-src-elem"] == "'self' 'nonce-abc'"
    assert '<meta property="csp-nonce" nonce="abc">' in render("/graphql", [], "abc")


async def test_assets_stay_in_the_browser_for_good_and_are_what_they_say():
    responses = [await get(name) for name in assets(page())]
    types = {response.headers["content-type"].partition(";")[0] for response in responses}
    assert types == {"text/javascript", "text/css", "image/svg+xml", "font/woff2"}
    for response in responses:
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["LICENSES.txt", "manifest.json"])
async def test_a_file_without_a_hash_in_its_name_is_asked_for_again(name: str):
    assert (await get(name)).headers["cache-control"] == "public, max-age=3600"
