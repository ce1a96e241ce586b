"""What axe-core finds on the studio: nothing serious, in any of its looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Page
from processes import ROOT, running_server
from studio_page import LONG, Studio


pytestmark = pytest.mark.browser

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


async def violations(page: Page) -> list[dict[str, Any]]:
    """Return what is serious or worse, each with the elements that it is about."""
    if not await page.evaluate("'axe' in window"):
        # Into the page's own world: the page's policy lets no script in from outside.
        await page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = await page.evaluate(
        """async () => (await axe.run(document)).violations
            .filter(({ impact }) => impact === 'serious' || impact === 'critical')
            .map(({ id, help, nodes }) => ({ id, help, nodes: nodes.slice(0, 5).map((one) => one.html) }))"""
    )
    return found


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci")
@pytest.mark.parametrize(
    ("scheme", "looks"),
    [
        ("dark", [("en", DESKTOP), ("ru", PHONE)]),
        ("light", [("ru", DESKTOP), ("en", PHONE)]),
    ],
    ids=["dark", "light"],
)
async def test_nothing_serious_is_found_on_the_studio(
    browser: Browser, tmp_path: Path, scheme: Any, looks: list[tuple[str, Any]]
) -> None:
    async with running_server(tmp_path, PSYCHE_SIZE="128x128", PSYCHE_FPS="4") as server:
        async with aiohttp.ClientSession() as session:
            url = server.url.with_path("/jobs")
            await session.post(url, json={"prompt": "a hill", "mode": "variations", "count": 2})
            await session.post(url, json={"prompt": "a long one", **LONG, "canvases": ["right"]})
            await session.post(url, json={"prompt": "after it", "when": "queue", "canvases": ["right"]})
        for language, viewport in looks:
            context = await browser.new_context(
                viewport=viewport, color_scheme=scheme, reduced_motion="reduce"
            )
            page = await context.new_page()
            shown = Studio(page, server)
            await shown.open(lang=language)
            await shown.until("document.querySelectorAll('.result').length >= 2")
            await page.click(".result:nth-child(1) summary")
            assert await violations(page) == [], "the page"

            await page.evaluate("document.querySelector('#send').click()")
            await shown.until("document.querySelector('#error-prompt').textContent !== ''")
            assert await violations(page) == [], "the page with an error"

            await page.evaluate("document.querySelector('#show-keys').click()")
            assert await violations(page) == [], "the keys"
            await page.keyboard.press("Escape")

            for number in (1, 2):
                await page.click(f".result:nth-child({number}) .result-actions button >> nth=1")
            assert await page.evaluate("document.querySelector('#compare-dialog').open")
            assert await violations(page) == [], "two pictures compared"
            await context.close()
