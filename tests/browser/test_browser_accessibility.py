"""What axe-core finds on the studio: nothing serious, in any of its looks and dialogs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Page
from processes import ROOT, Server, running_server
from studio_page import Studio


pytestmark = pytest.mark.browser

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


RUN_AXE = """async () => (await axe.run(%s, { resultTypes: ['violations'] })).violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => ({ id, help, nodes: nodes.slice(0, 5).map((one) => one.html) }))"""
# A toast goes by itself before everything is looked at; a copy of it stays.
KEEP_TOAST = """(() => {
    const toast = document.querySelector('#toasts > .toast');
    toast?.after(toast.cloneNode(true));
    return toast !== null;
})()"""
LOOKS: list[tuple[Any, str, Any]] = [("dark", "en", DESKTOP), ("light", "ru", PHONE)]
OTHER_LOOKS: list[tuple[Any, str, Any]] = [("dark", "ru", PHONE), ("light", "en", DESKTOP)]
TOKEN = "a-token-that-nobody-guesses"
LOGGED_IN = {"Authorization": f"Bearer {TOKEN}"}


async def wear(page: Page, scheme: Any, language: str, viewport: Any) -> None:
    """Give the page a look, while it goes on."""
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await page.set_viewport_size(viewport)
    # As a choice by hand, which a dialog would be in front of.
    await page.evaluate(
        """(language) => {
            const choice = document.querySelector('#language');
            choice.value = language;
            choice.dispatchEvent(new Event('change'));
        }""",
        language,
    )


async def look_at(shown: Studio, root: str, looks: list[tuple[Any, str, Any]] = LOOKS) -> None:
    """Find nothing that is serious or worse, in any of these looks."""
    page = shown.page
    if not await page.evaluate("'axe' in window"):
        # Into the page's own world: the page's policy lets no script in from outside.
        await page.evaluate(AXE.read_text())
    for look in looks:
        await wear(page, *look)
        assert await page.evaluate(RUN_AXE % root) == [], (root, look)


async def look_at_dialog(shown: Studio, opener: str) -> None:
    """Open a dialog, find nothing on it, and close it."""
    # Not by a click at its place: on a phone that would scroll there first.
    await shown.page.evaluate(f"document.querySelector({opener!r}).click()")
    await shown.until("document.querySelector('dialog[open]') !== null")
    await look_at(shown, "document.querySelector('dialog[open]')")
    await shown.page.keyboard.press("Escape")
    await shown.until("document.querySelector('dialog[open]') === null")


async def fill(server: Server) -> None:
    """Have results, a job that runs, and two that wait."""
    jobs = [
        {"prompt": "a hill", "mode": "variations", "count": 2},
        # One picture every ten seconds: it goes on for longer than anybody looks, and costs nothing.
        {"prompt": "a slow row", "mode": "variations", "count": 12, "fps": 0.1, "canvases": ["right"]},
        {"prompt": "after it", "when": "queue", "canvases": ["right"]},
        {"prompt": "at last", "when": "queue", "canvases": ["right"]},
    ]
    async with aiohttp.ClientSession(headers=LOGGED_IN) as session:
        for job in jobs:
            async with session.post(server.url.with_path("/jobs"), json=job) as response:
                assert response.status in (201, 202), await response.text()


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci")
async def test_nothing_serious_is_found_on_the_studio(browser: Browser, tmp_path: Path) -> None:
    settings = {"PSYCHE_SIZE": "128x128", "PSYCHE_FPS": "4", "PSYCHE_TOKEN": TOKEN}
    async with running_server(tmp_path, **settings) as server:
        await fill(server)
        page = await browser.new_page()
        shown = Studio(page, server)
        await shown.open()
        await shown.until("document.querySelectorAll('.result').length >= 2")
        await look_at_dialog(shown, "#login")
        await page.evaluate("document.querySelector('#login').click()")
        await page.fill("#field-token", TOKEN)
        await page.keyboard.press("Enter")

        await shown.until(KEEP_TOAST)
        await page.evaluate("document.querySelector('.result summary').click()")
        await page.evaluate("document.querySelector('[data-slug=right] .queue > summary').click()")
        await shown.until("document.querySelectorAll('[data-slug=right] .queue li').length === 2")
        await page.evaluate("document.querySelector('#send').click()")
        await shown.until("document.querySelector('#error-prompt').textContent !== ''")
        assert await page.locator("#toasts > .toast").count() > 0
        await look_at(shown, "document", LOOKS + OTHER_LOOKS)

        for opener in (
            "#show-keys",
            ".canvases-bar [aria-haspopup=dialog]",
            "[data-slug=left] .canvas-actions button:nth-of-type(4)",
            "[data-slug=left] .canvas-actions .button-danger",
        ):
            await look_at_dialog(shown, opener)
        compare = ".result:nth-child({}) .result-actions button:nth-of-type(2)"
        await page.evaluate(f"document.querySelector({compare.format(1)!r}).click()")
        await look_at_dialog(shown, compare.format(2))
        assert shown.complaints == []
