"""The figures on key d, as somebody reads them who wants to know why a picture is late."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Request
from processes import running_server
from windows import Window, window


pytestmark = pytest.mark.browser

SETTINGS = {"PSYCHE_CANVASES": "left,right", "PSYCHE_SIZE": "128x128", "PSYCHE_FPS": "8"}

# What each panel says: its texts by class and by name, and how wide the parts of its bar are; whether it is
# inside its tile, and that inside the window; and which share of the window's width or height the tile takes.
PANELS = """() => [...document.querySelectorAll('.overlay')].map((panel) => {
    const text = (selector) => panel.querySelector(selector).textContent;
    const widthOf = (element) => element.getBoundingClientRect().width;
    const widths = [...panel.querySelectorAll('.overlay-part')].map(widthOf);
    const names = [...panel.querySelectorAll('dt')].map((name) => name.textContent);
    const values = [...panel.querySelectorAll('dd')].map((value) => value.textContent);
    const { left, top, right, bottom } = panel.getBoundingClientRect();
    const tile = panel.parentElement.getBoundingClientRect();
    const isWide = left >= tile.left && right <= tile.right + 0.5;
    const isHung = tile.right <= innerWidth + 0.5 && tile.bottom <= innerHeight + 0.5;
    return {
        label: panel.getAttribute('aria-label'),
        age: text('.overlay-age'),
        frames: text('.overlay-frames'),
        stages: [...panel.querySelectorAll('.overlay-value')].map((value) => Number(value.textContent)),
        widths,
        barWidth: widthOf(panel.querySelector('.overlay-bar')),
        rows: Object.fromEntries(names.map((name, index) => [name, values[index]])),
        isInside: isWide && top >= tile.top && bottom <= tile.bottom + 0.5 && isHung,
        share: Math.max(tile.width / innerWidth, tile.height / innerHeight),
    };
})"""


@contextlib.asynccontextmanager
async def wall(
    browser: Browser, folder: Path, *, width: int = 1280, height: int = 720
) -> AsyncIterator[Window]:
    """Open the wall of two canvases that are being painted."""
    async with (
        running_server(folder, **SETTINGS) as server,
        window(browser, server.url, width=width, height=height) as screen,
    ):
        await screen.until(lambda told: {about["slug"] for about in told} == {"left", "right"})
        yield screen
        assert screen.complaints == []


async def panels(screen: Window, condition: Any) -> list[dict[str, Any]]:
    """Wait until something holds of what the panels say, and return that."""
    told: list[dict[str, Any]] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(30):
            while not condition(told := await screen.page.evaluate(PANELS)):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.1)
            return told
    raise AssertionError(f"the panels say {told}, complaints {screen.complaints}")


def is_told(panel: dict[str, Any]) -> bool:
    """Tell whether a panel knows an age, and what the server knows of the link."""
    return (
        panel["age"].endswith("ms") and " of 8 / s" in panel["frames"] and "link" in panel["rows"]["received"]
    )


async def test_key_d_tells_on_every_tile_how_old_the_picture_is_and_why(
    browser: Browser, tmp_path: Path
) -> None:
    async with wall(browser, tmp_path) as screen:
        assert await screen.page.evaluate(PANELS) == []

        await screen.page.keyboard.press("d")
        told = await panels(screen, lambda told: len(told) == 2 and all(map(is_told, told)))

        assert [panel["label"] for panel in told] == ["figures of left", "figures of right"]
        for panel in told:
            age_ms = float(panel["age"].removesuffix(" ms"))
            # Each is rounded.
            assert abs(sum(panel["stages"]) - age_ms) <= 3, panel
            assert abs(sum(panel["widths"]) - panel["barWidth"]) <= 1, panel
            assert re.fullmatch(r"original · 128 × 128|\S+ · \d+ × \d+", panel["rows"]["picture"]), panel
            assert re.fullmatch(r"[\d.]+ ms · clock ± [\d.]+ ms", panel["rows"]["round trip"]), panel
            assert panel["rows"]["lost by server"] != "–", panel
            assert panel["isInside"], panel


async def test_figures_are_measured_and_asked_for_only_while_they_are_open(
    browser: Browser, tmp_path: Path
) -> None:
    async with wall(browser, tmp_path) as screen:
        asked: list[str] = []

        def note(request: Request) -> None:
            if "/state" in request.url:
                asked.append(request.url)

        screen.page.on("request", note)
        await screen.page.keyboard.press("Control+d")
        await screen.page.keyboard.press("Escape")
        await asyncio.sleep(2.5)
        assert asked == []

        await screen.page.keyboard.press("d")
        await panels(screen, lambda told: len(told) == 2 and all(map(is_told, told)))
        rows = {re.sub(r"\d+$", "n", url.partition("?")[2]) for url in asked}
        assert rows == {"canvas=left&subscriber=n", "canvas=right&subscriber=n"}, "one connection's only"

        await screen.page.keyboard.press("Escape")
        assert await screen.page.evaluate(PANELS) == []
        asked.clear()
        await asyncio.sleep(2.5)
        assert asked == []


async def test_a_panel_fits_its_tile_at_every_size(browser: Browser, tmp_path: Path) -> None:
    async with wall(browser, tmp_path) as screen:
        await screen.page.keyboard.press("d")
        await panels(screen, lambda told: len(told) == 2 and all(map(is_told, told)))

        for width, height in ((800, 600), (390, 844), (3840, 2160)):
            await screen.page.set_viewport_size({"width": width, "height": height})

            # The tiles hang at their new places in the next frames; the old ones are too large or too small.
            await panels(
                screen,
                lambda told: (
                    [panel["isInside"] for panel in told] == [True, True]
                    and all(panel["share"] > 0.45 for panel in told)
                ),
            )


async def test_a_canvas_that_comes_while_the_figures_are_open_hangs_with_its_own(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        running_server(tmp_path, **SETTINGS) as server,
        window(browser, server.url.with_query(pipeline="main")) as screen,
        aiohttp.ClientSession() as session,
    ):
        await screen.until(lambda told: told)
        await screen.page.keyboard.press("d")

        async with session.post(server.url / "canvases", json={"slug": "late"}) as response:
            assert response.status == 201

        await panels(screen, lambda told: len(told) == 3 and all(map(is_told, told[:2])))
        assert await screen.page.evaluate("document.querySelectorAll('.tile').length") == 3
        assert screen.complaints == []
