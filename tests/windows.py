"""What browser tests look at a canvas with: a window of a real Chromium that notes what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, WebSocket
from yarl import URL


# Notes each frame that is presented, and how long it took when somebody waits for one.
_NOTE_PRESENTED = """
    window.presented = [];
    addEventListener('psyche:presented', ({ detail }) => window.presented.push(detail));
    window.untilPresented = (sequence) => new Promise((resolve) => {
        const startedMs = performance.now();
        const listen = ({ detail }) => {
            if (detail.sequence >= sequence) {
                removeEventListener('psyche:presented', listen);
                resolve(performance.now() - startedMs);
            }
        };
        addEventListener('psyche:presented', listen);
    });
"""

# The colours in the middle of the four quarters of the picture, row by row, as it is on the screen.
_QUARTERS = """(selector) => {
    const picture = document.querySelector(selector);
    const small = new OffscreenCanvas(4, 4).getContext('2d', { willReadFrequently: true });
    small.drawImage(picture, 0, 0, 4, 4);
    const colour = (x, y) => [...small.getImageData(x, y, 1, 1).data].slice(0, 3);
    return [colour(0, 0), colour(3, 0), colour(0, 3), colour(3, 3)];
}"""


class Window:
    """A window of the browser, and what it complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.received_bytes = 0
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", self._listen)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _listen(self, socket: WebSocket) -> None:
        # The events of all canvases come on another one.
        if "/ws/" in socket.url:
            socket.on("framereceived", self._count)

    def _count(self, payload: str | bytes) -> None:
        self.received_bytes += len(payload)

    async def presented(self) -> list[dict[str, Any]]:
        """Return what was presented since the window was opened, in that order."""
        told: list[dict[str, Any]] = await self.page.evaluate("window.presented")
        return told

    async def quarters(self, selector: str = "canvas") -> list[list[int]]:
        """Return the colours of the picture's quarters: upper left, upper right, lower left, lower right."""
        colours: list[list[int]] = await self.page.evaluate(_QUARTERS, selector)
        return colours

    async def until(
        self, condition: Callable[[list[dict[str, Any]]], Any], *, within_s: float = 30.0
    ) -> list[dict[str, Any]]:
        """Wait until something holds of what was presented, and return that."""
        told: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(within_s):
                while not condition(told := await self.presented()):  # noqa: ASYNC110 - a page has no such event
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"presented {told[-5:]}, complaints {self.complaints}") from None
        return told


@asynccontextmanager
async def window(browser: Browser, url: URL, *, width: int = 640, height: int = 480) -> AsyncIterator[Window]:
    """Open a window of its own on an address."""
    context = await browser.new_context(viewport={"width": width, "height": height})
    try:
        page = await context.new_page()
        opened = Window(page)
        await page.add_init_script(_NOTE_PRESENTED)
        await page.goto(str(url))
        yield opened
    finally:
        await context.close()
