"""GraphiQL in a real browser: it works with no network beyond this machine, and nothing in it breaks the policy."""

import contextlib
import json
import shutil
from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Request, async_playwright

from adapters import ids
from gateway.examples import EXAMPLES, Example
from tests.conftest import AIRBYTE, Fleet, gateway_over

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = (
    "--no-sandbox",  # a container's root has no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TELL_VIOLATIONS = (
    "document.addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective, e.blockedURI))"
)
STORED = """([name, text]) => new Promise(stored => {
    const look = () => localStorage.getItem(name)?.includes(text) ? stored() : requestAnimationFrame(look)
    look()
})"""
IN_SIGHT = """tab => new Promise(seen => {
    const bar = tab.parentElement.getBoundingClientRect()
    const isIn = ({left, right}) => left >= bar.left - 1 && right <= bar.right + 1
    const look = () => isIn(tab.getBoundingClientRect()) ? seen() : requestAnimationFrame(look)
    look()
})"""
EDITOR = ".graphiql-query-editor .monaco-editor .view-line"
KEY = "0123456789abcdef-tests"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: chromium, chromium-browser, google-chrome"),
]


class Tab(NamedTuple):
    """A page, and what was noticed of it."""

    page: Page
    requests: list[Request]
    complaints: list[str]

    async def run(self, title: str) -> None:
        """Pick an example and run it."""
        panel = self.page.get_by_role("region", name="Examples")
        if not await panel.is_visible():
            await self.page.get_by_role("button", name="Show Examples").click()
        await panel.get_by_role("button", name=title).click()
        await self.page.get_by_role("button", name="Execute query").click()

    async def shows(self, text: str) -> None:
        """Wait until the result holds this text."""
        await self.page.get_by_role("region", name="Result Window").get_by_text(text).first.wait_for()


def operation(example: Example) -> str:
    """The name of the example's operation, and so its tab's."""
    return example.query.partition("query ")[2].replace("(", " ").split()[0]


@pytest.fixture
async def tab(fleet: Fleet) -> AsyncGenerator[Tab]:
    """GraphiQL, open and ready to be typed into."""
    async with opened(fleet.url) as tab:
        yield tab


@pytest.fixture
async def locked(upstreams: Mapping[str, Any]) -> AsyncGenerator[Tab]:
    """The same, of a gateway that asks for a key."""
    instances = {name: server.settings(url) for name, (server, url) in upstreams.items()}
    async with gateway_over(instances, auth={"mode": "api_key", "keys": {"tests": KEY}}) as url, opened(url) as tab:
        yield tab


@contextlib.asynccontextmanager
async def opened(gateway: str, width: int = 1600) -> AsyncGenerator[Tab]:
    """GraphiQL of the gateway at this address, in a browser of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        # As large as a screen: the editor draws only the lines that are seen.
        context = await browser.new_context(viewport={"width": width, "height": 1400})
        await context.add_init_script(TELL_VIOLATIONS)
        tab = Tab(await context.new_page(), [], [])
        tab.page.on("request", lambda request: tab.requests.append(request))  # noqa: PLW0108  Playwright marks what it is given
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.on("console", lambda said: tab.complaints.append(said.text) if said.type == "error" else None)
        tab.page.set_default_timeout(15_000)
        await tab.page.goto(f"{gateway}/graphql")
        await tab.page.wait_for_selector(EDITOR)
        yield tab
        await context.close()
        await browser.close()


async def test_an_example_is_run_and_shows_rows_of_all_providers_with_no_network_but_ours(tab: Tab, fleet: Fleet):
    async with tab.page.expect_response(
        lambda response: "AllConnections" in (response.request.post_data or "")
    ) as answer:
        await tab.run("All connections")
    nodes = (await (await answer.value).json())["data"]["connections"]["nodes"]
    assert {node["provider"] for node in nodes} == {"AIRBYTE", "WORKIVA", "UNIFIED_TO"}
    for node in nodes[:3]:  # the editor draws only the lines that are seen
        await tab.shows(f'"{node["name"]}"')
    hosts = {urlsplit(request.url).netloc for request in tab.requests if not request.url.startswith(("data:", "blob:"))}
    assert hosts == {urlsplit(fleet.url).netloc}
    assert tab.complaints == []


async def test_every_example_is_answered_without_an_error(tab: Tab):
    for example in EXAMPLES:
        async with tab.page.expect_response(lambda response: response.request.method == "POST") as answer:
            await tab.run(example.title)
        answered = await (await answer.value).json()
        assert answered["data"], example.title
        assert "errors" not in answered, example.title
    assert tab.complaints == []


async def test_variables_of_an_example_are_filled_in_and_take_no_room_where_there_are_none(tab: Tab):
    page = tab.page
    await page.get_by_role("button", name="Show editor tools").wait_for()
    async with page.expect_response(lambda response: "ListScreen" in (response.request.post_data or "")) as answer:
        await tab.run("A list screen")
    asked = json.loads((await answer.value).request.post_data or "")
    assert asked["variables"] == {"filter": {"text": "sales", "enabled": True}}
    await page.get_by_role("button", name="Variables", exact=True).click()
    await page.get_by_role("region", name="Variables").get_by_text('"sales"').wait_for()


async def test_no_line_of_a_query_is_cut_off(tab: Tab):
    page = tab.page
    await page.set_viewport_size({"width": 1000, "height": 1400})
    for example in EXAMPLES:
        await tab.run(example.title)
        editor = page.locator(".graphiql-query-editor")
        await editor.get_by_text(operation(example), exact=True).wait_for()
        bar = editor.locator(".scrollbar.horizontal .slider")
        assert await bar.evaluate("bar => bar.offsetWidth >= bar.parentElement.offsetWidth"), example.title


async def test_the_tab_that_was_opened_last_is_in_sight(tab: Tab):
    page = tab.page
    await page.set_viewport_size({"width": 1000, "height": 1400})
    for example in (*EXAMPLES, EXAMPLES[0]):
        await page.get_by_role("region", name="Examples").get_by_role("button", name=example.title).click()
        active = page.get_by_role("tab", selected=True)
        await active.get_by_text(operation(example)).wait_for()
        await active.evaluate(IN_SIGHT)


async def test_in_a_narrow_window_the_result_is_below_the_query_and_nothing_over_them(fleet: Fleet):
    async with opened(fleet.url, width=480) as tab:
        examples = tab.page.get_by_role("region", name="Examples")
        assert not await examples.is_visible()
        query = await tab.page.locator(".graphiql-editors").bounding_box()
        result = await tab.page.locator(".graphiql-response").bounding_box()
        assert query is not None
        assert result is not None
        assert query["y"] + query["height"] <= result["y"] + 1
        assert min(query["width"], result["width"]) > 350
        assert min(query["height"], result["height"]) > 500
        for example in EXAMPLES[:2]:
            await tab.run(example.title)
            await tab.shows('"connections"')
            await examples.wait_for(state="hidden")
        assert tab.complaints == []


async def test_code_in_the_text_of_an_example_looks_like_code(tab: Tab):
    panel = tab.page.get_by_role("region", name="Examples")
    assert await panel.get_by_role("code").all_inner_texts() == ["details", "dryRun: true"]
    assert "`" not in await panel.inner_text()


async def test_the_documentation_and_the_explorer_open(tab: Tab):
    page = tab.page
    await page.get_by_role("button", name="Show Documentation Explorer").click()
    panel = page.locator(".graphiql-plugin")
    await panel.get_by_text("Connections of all configured upstreams, as one graph.").wait_for()
    await panel.get_by_text("Query", exact=True).click()
    await panel.get_by_text("Everything that can be asked.").wait_for()
    await page.get_by_role("button", name="Show GraphiQL Explorer").click()
    await panel.get_by_text("connections", exact=True).first.wait_for()
    assert not await panel.get_by_text("_service", exact=True).is_visible()
    assert tab.complaints == []


async def test_completion_begins_with_what_people_ask_for(tab: Tab):
    page = tab.page
    await page.locator(".graphiql-query-editor .monaco-editor").first.click()
    await page.keyboard.press("Control+A")
    await page.keyboard.insert_text("{ ")
    await page.keyboard.press("Control+Space")
    first = page.locator(".graphiql-query-editor .suggest-widget .monaco-list-row").first
    await first.get_by_text("connections").wait_for()


async def test_a_change_is_rehearsed_by_hand(tab: Tab, fleet: Fleet):
    id = ids.encode(AIRBYTE, fleet.servers[AIRBYTE].id_of(0))
    await tab.page.locator(".graphiql-query-editor .monaco-editor").first.click()
    await tab.page.keyboard.press("Control+A")
    # Under the name of what stood there before: for a moment after typing, GraphiQL still asks for that operation.
    await tab.page.keyboard.insert_text(
        f'mutation AllConnections {{ setConnectionEnabled(input: {{ id: "{id}", enabled: false, dryRun: true }}) '
        "{ userErrors { code } dryRun { requests { path } changes { field before after } } } }"
    )
    await tab.page.get_by_role("button", name="Execute query").click()
    await tab.shows('"inactive"')
    assert tab.complaints == []


async def test_what_the_gateway_refuses_is_shown(tab: Tab):
    await tab.page.locator(".graphiql-query-editor .monaco-editor").first.click()
    await tab.page.keyboard.press("Control+A")
    await tab.page.keyboard.insert_text("{ connections(first: ")
    await tab.page.get_by_role("button", name="Execute query").click()
    await tab.shows('"GRAPHQL_PARSE_FAILED"')
    # A browser notes the status of every answer that is none of the 200s; nothing else may be wrong.
    assert [text for text in tab.complaints if "status of 400" not in text] == []


async def test_a_key_is_given_once_and_serves_every_tab(locked: Tab):
    page = locked.page
    await page.locator("section[aria-label=Headers] textarea:focus").wait_for()
    async with page.expect_response(lambda response: response.ok and response.request.method == "POST") as answer:
        await page.keyboard.insert_text(KEY)
    assert "__schema" in (await (await answer.value).json())["data"]
    for title in ("All connections", "Runs"):
        async with page.expect_response(lambda response: response.request.method == "POST") as answer:
            await locked.run(title)
        assert (await (await answer.value).json())["data"]["connections"]["nodes"], title
    headers = page.locator("section[aria-label=Headers]")
    await page.get_by_role("button", name="Show History").click()
    await page.get_by_text("AllConnections", exact=True).last.click()
    await headers.get_by_text(KEY).wait_for()
    await page.get_by_role("button", name="Prettify query").click()
    await headers.locator(".view-line").nth(2).wait_for()  # the brace that closes, on a line of its own
    await page.get_by_role("button", name="New tab").click()
    await headers.get_by_text(KEY).wait_for()
    assert await headers.locator(".squiggly-error").count() == 0
    # A browser notes the answers from before there was a key; nothing else may be wrong.
    assert [text for text in locked.complaints if "status of 401" not in text] == []


async def test_a_key_is_stored_nowhere(locked: Tab):
    page = locked.page
    await page.locator("section[aria-label=Headers] textarea:focus").wait_for()
    await page.keyboard.insert_text(KEY)
    await locked.run("Runs")
    await locked.shows('"running"')
    for name in ("tabState", "queries"):  # tabs and history, which are stored a moment later
        await page.evaluate(STORED, [f"graphiql:{name}", "query Runs"])
    assert KEY not in json.dumps(await page.evaluate("[{...localStorage}, {...sessionStorage}, document.cookie]"))


async def test_without_a_key_the_page_says_where_to_write_one(locked: Tab):
    await locked.page.get_by_text("This gateway needs a key").wait_for()
    await locked.shows("X-API-Key")


async def test_a_gateway_without_keys_asks_for_none(tab: Tab):
    assert await tab.page.get_by_text("This gateway needs a key").count() == 0
    assert await tab.page.locator("section[aria-label=Headers]").count() == 0
