"""The studio as its tests see it: a page, what it asked the server for, and what it complained of."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, WebSocketRoute
from processes import Server


SETTINGS = {"PSYCHE_SIZE": "128x128", "PSYCHE_FPS": "4"}
# Long enough for a bar to be seen moving, on a machine of any speed.
SLOW = {"steps": 100, "width": 1024, "height": 1024}
# The same, where several bars are to be seen moving.
LONG = {"steps": 100, "width": 2048, "height": 2048}
# Long enough for anything else to be done meanwhile, with something new to be seen every second.
SERIES = {"mode": "variations", "count": 64, "steps": 100, "width": 1024, "height": 1024}

# Notes what every bar has shown, by job, and the previews beside it.
WATCH = """() => {
    window.seen = {};
    const look = () => {
        for (const row of document.querySelectorAll('#jobs-running > .job')) {
            const bar = row.querySelector('[role=progressbar]');
            const seen = window.seen[row.dataset.id] ??= { values: [], previews: [] };
            const value = Number(bar.getAttribute('aria-valuenow'));
            if (!bar.hidden && value > 0 && seen.values.at(-1) !== value) {
                seen.values.push(value);
            }
            const preview = row.querySelector('.job-preview');
            if (!preview.hidden && preview.naturalWidth > 0 && seen.previews.at(-1) !== preview.src) {
                seen.previews.push(preview.src);
            }
        }
        requestAnimationFrame(look);
    };
    look();
}"""


class Studio:
    """A page of the studio."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.complaints: list[str] = []
        self.urls: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.urls.append(request.url))
        page.on("websocket", lambda socket: self.urls.append(socket.url))
        self._events: WebSocketRoute | None = None
        self._is_cut_off = False

    def _note(self, message: ConsoleMessage) -> None:
        # The inference service takes its time to start, and a job may end while its preview is asked for: the
        # browser itself tells of every such answer.
        url = message.location["url"]
        is_passing = "503" in message.text or ("404" in message.text and "/preview?" in url)
        if message.type in ("error", "warning") and not is_passing:
            self.complaints.append(f"{message.text} {url}")

    async def open(self, path: str = "/studio", **query: str) -> None:
        """Open the page, and wait until it is connected and knows its canvases and models."""
        await self.page.goto(str(self.server.url.with_path(path).with_query(query)))
        await self.connected()

    async def connected(self) -> None:
        """Wait until the page is connected and knows its canvases and models."""
        await self.page.wait_for_selector("#connection[data-state=up]")
        await self.page.wait_for_selector("#targets .chip.is-selected")
        await self.until("document.querySelectorAll('#field-model option').length > 1")

    async def stand_between(self) -> None:
        """Stand between the page and the server's events; to be called before the page is opened."""
        await self.page.route_web_socket(re.compile(r"/ws$"), self._pass_on)

    async def _pass_on(self, events: WebSocketRoute) -> None:
        if self._is_cut_off:
            await events.close()
            return
        events.connect_to_server()
        self._events = events

    def tell(self, event: dict[str, Any]) -> None:
        """Tell the page an event as if the server had."""
        assert self._events is not None
        self._events.send(json.dumps(event))

    async def cut_off(self) -> None:
        """Let no event reach the page any more."""
        assert self._events is not None
        self._is_cut_off = True
        await self._events.close()
        await self.page.wait_for_selector("#connection[data-state=down]")

    async def write(self, prompt: str, *, mode: str = "once", **fields: Any) -> None:
        """Fill the form."""
        page = self.page
        await page.fill("#field-prompt", prompt)
        await page.check(f"input[name=mode][value={mode}]", force=True)
        for name, value in fields.items():
            await page.fill(f"[name={name}]", str(value))

    async def watch(self) -> None:
        """Note from now on what the bars show."""
        await self.page.evaluate(WATCH)

    async def seen(self) -> dict[str, dict[str, list[Any]]]:
        """Return what the bars have shown, by job."""
        seen: dict[str, dict[str, list[Any]]] = await self.page.evaluate("window.seen")
        return seen

    async def until(self, condition: str, *, within_s: float = 30.0) -> None:
        """Wait until something holds on the page; its own policy lets no wait be built into it."""
        try:
            async with asyncio.timeout(within_s):
                while not await self.page.evaluate(condition):  # noqa: ASYNC110 - a page has no such event
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s: {condition}; {self.complaints}") from None

    async def get(self, path: str) -> Any:
        """Ask the server, past the page."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.server.url.with_path(path)) as response,
        ):
            return await response.json()

    async def until_server(
        self, path: str, condition: Callable[[Any], bool], *, within_s: float = 30.0
    ) -> Any:
        """Ask the server until its answer is as wanted."""
        answer: Any = None
        try:
            async with asyncio.timeout(within_s):
                while not condition(answer := await self.get(path)):  # noqa: ASYNC110 - nor has a server
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{path} answers {answer}") from None
        return answer


@asynccontextmanager
async def studio(
    browser: Browser | BrowserContext, server: Server, path: str = "/studio", **query: str
) -> AsyncIterator[Studio]:
    """Open a page of the studio."""
    page = await browser.new_page()
    await page.set_viewport_size({"width": 1440, "height": 900})
    shown = Studio(page, server)
    await shown.stand_between()
    await shown.open(path, **query)
    try:
        yield shown
    finally:
        await page.close()
