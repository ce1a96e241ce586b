"""A canvas in a plain `<img>` of a real browser: each frame is drawn when it comes, the last one too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page
from screens import Site, image, running_app, settings_for

from server.web import mjpeg


pytestmark = pytest.mark.browser

# The colour in the middle of the image, as it is drawn at this moment.
COLOUR = """() => {
    const image = document.querySelector('img');
    if (!image || !image.naturalWidth) return [0, 0, 0];
    const small = new OffscreenCanvas(1, 1).getContext('2d');
    small.drawImage(image, 0, 0, 1, 1);
    return [...small.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""
# What a frame may take from its post to the screen, seconds: generous, because machines that test are busy.
SOON_S = 30.0
COLOURS = ((250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0))


def unpainted_site() -> contextlib.AbstractAsyncContextManager[Site]:
    """Run a server without an inference service: what its canvases show is pushed."""
    return running_app(settings_for("127.0.0.1:1", default_prompt=""))


async def push(site: Site, colour: tuple[int, int, int]) -> None:
    """Show a colour on the canvas."""
    body = image(colour=colour).data
    headers = {"Content-Type": "image/jpeg"}
    await site.call("POST", "/canvases/left/frames", status=201, data=body, headers=headers)


async def until_drawn(page: Page, colour: tuple[int, int, int]) -> None:
    """Wait until the image shows a colour."""
    drawn: list[int] = []
    try:
        async with asyncio.timeout(SOON_S):
            while not drawn or max(abs(a - b) for a, b in zip(drawn, colour, strict=True)) > 12:
                await asyncio.sleep(0.02)
                drawn = await page.evaluate(COLOUR)
    except TimeoutError:
        raise AssertionError(f"the image shows {drawn} and not {colour}") from None


@contextlib.asynccontextmanager
async def watched(browser: Browser, site: Site, **options: Any) -> AsyncIterator[Page]:
    """Open a page that shows the canvas in an image."""
    page = await browser.new_page(**options)
    await page.goto(str(site.url / "health"))
    await page.evaluate("() => { document.body.innerHTML = '<img src=\"/canvases/left/stream.mjpeg\">'; }")
    try:
        yield page
    finally:
        await page.close()


async def test_an_image_shows_each_frame_as_it_comes(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is repeated, so that no frame helps the one before it onto the screen.
    monkeypatch.setattr(mjpeg, "LOOK_S", 60.0)
    async with unpainted_site() as site, watched(browser, site) as page:
        for colour in COLOURS:
            await push(site, colour)
            await until_drawn(page, colour)


async def test_an_image_of_another_browser_ends_on_the_last_frame(browser: Browser) -> None:
    # It says that it is none of its kind, and so gets the shape that all others get.
    async with unpainted_site() as site, watched(browser, site, user_agent="Mozilla/5.0 Safari") as page:
        for colour in COLOURS:
            await push(site, colour)
        await until_drawn(page, COLOURS[-1])
