#!/usr/bin/env python
"""Saves a picture of GraphiQL after running an example over the demo: docs/graphiql.png, or the path given.

Needs Chromium, and the development environment: .venv/bin/python scripts/screenshot.py [path]
"""

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from playwright.async_api import async_playwright

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
EXAMPLE = "All connections"


@contextlib.asynccontextmanager
async def demo() -> AsyncGenerator[str]:
    """`gateway demo` on free ports; gives the address of GraphiQL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "--log-level", "error", "demo", "--port", "0",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None  # noqa: S101  it was asked for
    try:
        line = ""
        while not line.startswith("GraphiQL: "):
            line = (await process.stdout.readline()).decode()
            if not line:
                raise SystemExit("the demo ended before it said where it is")
        yield line.removeprefix("GraphiQL: ").strip()
    finally:
        process.terminate()
        await process.communicate()


async def take(path: Path) -> None:
    """Open the page, run the example, and save what is seen."""
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        raise SystemExit(f"no browser: install one of {', '.join(BROWSERS)}")
    async with demo() as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = await browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
        await page.goto(url)
        await page.wait_for_selector(".graphiql-query-editor .monaco-editor .view-line")
        panel = page.get_by_role("region", name="Examples")
        if not await panel.is_visible():
            await page.get_by_role("button", name="Show Examples").click()
        await panel.get_by_role("button", name=EXAMPLE).click()
        await page.get_by_role("button", name="Execute query").click()
        await page.get_by_role("region", name="Result Window").get_by_text('"nodes"').first.wait_for()
        await page.wait_for_timeout(1000)  # colours and the scroll bars' fading
        await page.screenshot(path=path)
        await browser.close()


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs" / "graphiql.png")
    target.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(target))
    print(f"{target}: {target.stat().st_size // 1024} kB")  # noqa: T201  a script speaks
