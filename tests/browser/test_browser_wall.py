"""The wall in a real browser: what hangs there, what it shows, and what it survives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pages import beside_an_outage, freed, post, until
from playwright.async_api import Browser, ConsoleMessage, Page
from processes import Server, running_server


pytestmark = pytest.mark.browser

SETTINGS = {"PSYCHE_SIZE": "128x128", "PSYCHE_FPS": "8"}

# What the canvases on a page show: data attributes, and the mean colour of the picture.
SHOWN = """() => Object.fromEntries([...document.querySelectorAll('canvas')].map((canvas) => {
    const small = new OffscreenCanvas(1, 1).getContext('2d');
    small.imageSmoothingQuality = 'high';
    small.drawImage(canvas, 0, 0, 1, 1);
    const grid = new OffscreenCanvas(16, 16).getContext('2d');
    grid.drawImage(canvas, 0, 0, 16, 16);
    return [canvas.dataset.slug, {
        ...canvas.dataset,
        state: canvas.parentElement.dataset.state,
        down: canvas.parentElement.classList.contains('is-down'),
        mean: [...small.getImageData(0, 0, 1, 1).data].slice(0, 3),
        pixels: [...grid.getImageData(0, 0, 16, 16).data].join(),
    }];
}))"""


class Wall:
    """A page of the wall, and what it complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    async def shown(self) -> dict[str, dict[str, Any]]:
        """Return what each canvas shows, by slug."""
        shown: dict[str, dict[str, Any]] = await self.page.evaluate(SHOWN)
        return shown

    async def until(self, condition: Any, *, within_s: float = 40.0) -> dict[str, dict[str, Any]]:
        """Wait until the canvases show something, and return what they show."""
        shown: dict[str, dict[str, Any]] = {}
        try:
            async with asyncio.timeout(within_s):
                while not condition(shown := await self.shown()):  # noqa: ASYNC110 - a page has no such event
                    await asyncio.sleep(0.02)
        except TimeoutError:
            told = {slug: {**about, "pixels": "..."} for slug, about in shown.items()}
            raise AssertionError(f"the wall shows {told}, complaints {self.complaints}") from None
        return shown


@asynccontextmanager
async def wall(browser: Browser, server: Server, path: str = "/") -> AsyncIterator[Wall]:
    """Open a page of the wall."""
    page = await browser.new_page(viewport={"width": 800, "height": 450})
    shown = Wall(page)
    await page.goto(str(server.url.with_path(path)))
    try:
        yield shown
    finally:
        await page.close()


def paints(*slugs: str) -> Any:
    """Hold when exactly these canvases hang there and each shows a picture, and not black."""
    # What a worker has drawn is on the page a little later than what it tells of it.
    return lambda shown: (
        list(shown) == list(slugs)
        and all("sequence" in about and max(about["mean"]) > 10 for about in shown.values())
    )


def warmth(about: dict[str, Any]) -> int:
    """Return how much more of red than of blue there is in a picture."""
    red, _, blue = about["mean"]
    return int(red) - int(blue)


async def test_the_wall_paints_both_canvases_and_they_move(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, wall(browser, server) as page:
        first = await page.until(paints("left", "right"))
        later = await page.until(
            lambda shown: all(
                int(shown[slug]["sequence"]) >= int(first[slug]["sequence"]) + 3
                and shown[slug]["pixels"] != first[slug]["pixels"]
                for slug in ("left", "right")
            )
        )

        assert first["left"]["job"] != first["right"]["job"]
        for about in later.values():
            assert about["state"] == "painting"
            assert about["down"] is False
            assert max(about["mean"]) > 10, "something else than black"
            assert about.get("corrupt", "0") == "0"
        assert page.complaints == []


async def test_a_prompt_changes_its_own_canvas_and_no_other(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, wall(browser, server) as page:
        # It begins with a sunset.
        before = await page.until(lambda shown: paints("left", "right")(shown) and warmth(shown["left"]) > 0)
        prompt = {"prompt": "a snowy mountain under a clear blue sky at noon"}
        job = (await post(server, "/canvases/left/prompt", prompt))["job"]

        after = await page.until(
            lambda shown: shown["left"]["job"] == job["id"] and warmth(shown["left"]) < 0
        )

        assert after["right"]["job"] == before["right"]["job"]
        assert page.complaints == []


async def test_it_comes_back_by_itself_and_keeps_its_picture_meanwhile(
    browser: Browser, tmp_path: Path
) -> None:
    async with running_server(tmp_path, **SETTINGS) as server:
        port = server.url.port
        assert port is not None
        async with wall(browser, server) as page:
            await page.until(paints("left", "right"))
            server.process.terminate()
            await server.process.wait()
            kept = await page.until(lambda shown: all(about["down"] for about in shown.values()))
            assert set(kept) == {"left", "right"}
            assert all(max(about["mean"]) > 10 for about in kept.values())

            async with running_server(tmp_path, port=port, **SETTINGS):
                again = await page.until(
                    lambda shown: all(
                        not about["down"] and about["job"] != kept[slug]["job"]
                        for slug, about in shown.items()
                    ),
                    within_s=60,
                )
                assert list(again) == ["left", "right"]
            # That the server was away is all that the browser may complain of.
            assert beside_an_outage(page.complaints) == []


async def test_one_canvas_has_a_page_of_its_own(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, wall(browser, server, "/c/right") as page:
        await page.until(paints("right"))
        # It fills the height of the page.
        height = "document.querySelector('canvas').getBoundingClientRect().height"
        await until(lambda: page.page.evaluate(f"{height} === 450"))
        assert page.complaints == []


async def test_canvases_come_and_go_while_the_page_is_open(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, wall(browser, server) as page:
        await page.until(paints("left", "right"))
        await post(server, "/canvases", {"slug": "third", "width": 192, "height": 64})
        await post(server, "/canvases/third/prompt", {"prompt": "a green forest"})
        await page.until(paints("left", "right", "third"))

        async with (
            aiohttp.ClientSession() as session,
            session.delete(server.url / "canvases/left") as response,
        ):
            assert response.status == 200
        await page.until(paints("right", "third"))
        assert page.complaints == []


async def test_every_bitmap_that_was_made_is_freed(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, wall(browser, server) as page:
        await page.until(
            lambda shown: (
                paints("left", "right")(shown)
                and all(int(about["painted"]) >= 10 for about in shown.values())
            )
        )
        async with aiohttp.ClientSession() as session:
            for slug, left_over in (("left", ["right"]), ("right", [])):
                async with session.delete(server.url / "canvases" / slug) as response:
                    assert response.status == 200
                await page.until(lambda shown, wanted=left_over: list(shown) == wanted)

        # The newest of each canvas was kept for redrawing; now nothing hangs there any more.
        assert await freed(page.page) >= 20
        assert page.complaints == []


async def test_a_page_on_which_canvases_come_and_go_does_not_grow(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, wall(browser, server) as page:
        await page.until(paints("left", "right"))
        before = await page.page.evaluate("document.querySelectorAll('*').length")
        async with aiohttp.ClientSession() as session:
            for number in range(5):
                slug = f"guest-{number}"
                await post(server, "/canvases", {"slug": slug})
                await page.until(lambda shown, slug=slug: slug in shown)
                async with session.delete(server.url / "canvases" / slug) as response:
                    assert response.status == 200
        await page.until(paints("left", "right"))

        await until(lambda: page.page.evaluate(f"document.querySelectorAll('*').length === {before}"))
        assert page.complaints == []
