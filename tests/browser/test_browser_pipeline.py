"""Where a page makes its pictures: in a worker or in its own thread, and what it does when one breaks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pages import beside_an_outage, freed
from playwright.async_api import Browser, ConsoleMessage, Page, Request, Route, WebSocket
from processes import Server, running_server
from yarl import URL


pytestmark = pytest.mark.browser

SETTINGS = {"PSYCHE_CANVASES": "left,right", "PSYCHE_SIZE": "96x96", "PSYCHE_FPS": "8"}
PIPELINES = ["worker", "main"]

# What the page says of itself and its canvases, with the mean colour of each picture.
_SHOWN = """() => ({
    ...document.documentElement.dataset,
    canvases: Object.fromEntries([...document.querySelectorAll('canvas')].map((canvas) => {
        const copy = Object.assign(document.createElement('canvas'), { width: 8, height: 8 });
        const small = copy.getContext('2d', { willReadFrequently: true });
        small.drawImage(canvas, 0, 0, 8, 8);
        return [canvas.dataset.slug, {
            ...canvas.dataset,
            isDown: canvas.parentElement.classList.contains('is-down'),
            pixels: [...small.getImageData(0, 0, 8, 8).data].join(),
            brightest: Math.max(...[...small.getImageData(0, 0, 8, 8).data].filter((_, at) => at % 4 < 3)),
        }];
    })),
})"""


class Tab:
    """A page, what it complained of and what it asked the server for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.attempts: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._count)
        page.on("websocket", self._count_socket)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _count(self, request: Request) -> None:
        if URL(request.url).path == "/health":
            self.attempts.append("probe")

    def _count_socket(self, socket: WebSocket) -> None:
        self.attempts.append(URL(socket.url).path)

    async def until(
        self, condition: Callable[[dict[str, Any]], bool], *, within_s: float = 30.0
    ) -> dict[str, Any]:
        """Wait until something holds of what the page shows, and return that."""
        shown: dict[str, Any] = {}
        try:
            async with asyncio.timeout(within_s):
                while not condition(shown := await self.page.evaluate(_SHOWN)):  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.02)
        except TimeoutError:
            for about in shown["canvases"].values():
                about.pop("pixels")
            raise AssertionError(f"the page shows {shown}, complaints {self.complaints}") from None
        return shown


@contextlib.asynccontextmanager
async def tab(browser: Browser, url: URL, *, before: str = "") -> AsyncIterator[Tab]:
    """Open a tab, with a script that runs before the page's own."""
    page = await browser.new_page(viewport={"width": 640, "height": 360})
    try:
        opened = Tab(page)
        if before:
            await page.add_init_script(before)
        await page.goto(str(url))
        yield opened
    finally:
        await page.close()


def painted(shown: dict[str, Any], count: int = 1, slugs: int = 2) -> bool:
    """Tell whether every canvas has shown so many pictures."""
    canvases = shown["canvases"].values()
    return len(canvases) == slugs and all(int(about.get("painted", 0)) >= count for about in canvases)


async def configure(server: Server, slug: str, **changes: Any) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.patch(server.url / "canvases" / slug, json=changes) as response,
    ):
        assert response.status == 200, await response.text()


@pytest.mark.parametrize("pipeline", PIPELINES)
async def test_either_pipeline_shows_moving_pictures_and_frees_every_bitmap(
    browser: Browser, tmp_path: Path, pipeline: str
) -> None:
    async with (
        running_server(tmp_path, **SETTINGS) as server,
        tab(browser, server.url.with_query(pipeline=pipeline)) as page,
    ):
        first = await page.until(painted)
        later = await page.until(lambda shown: painted(shown, 8))

        assert later["pipeline"] == pipeline
        assert len(page.page.workers) == (1 if pipeline == "worker" else 0)
        for slug, about in later["canvases"].items():
            assert about["pixels"] != first["canvases"][slug]["pixels"], "it moves"
            assert about["brightest"] > 20, "something else than black"
            assert float(about["ageMs"]) > -1000, "the server's clock is known"
        for slug in ("left", "right"):
            await configure(server, slug, paused=True)
        assert await freed(page.page) >= 16
        assert page.complaints == []


NO_OFFSCREEN = "delete window.OffscreenCanvas; delete HTMLCanvasElement.prototype.transferControlToOffscreen;"
NOTHING = "self.addEventListener('message', () => {});"


# What a browser lacks, as a script before the page's own, and what its worker is instead of ours.
FALLBACKS = {
    "no Worker": ("delete window.Worker;", None),
    "no OffscreenCanvas": (NO_OFFSCREEN, None),
    "a worker that fails": ("", "throw new Error('not here');"),
    "a silent worker": ("", NOTHING),
    "a worker that refuses": ("", "self.postMessage({ kind: 'unable', reason: 'a test' });"),
}


async def test_a_browser_without_a_worker_of_use_paints_in_its_own_thread(
    browser: Browser, tmp_path: Path
) -> None:
    async def look(url: URL, name: str) -> None:
        before, script = FALLBACKS[name]

        async def answer(route: Route) -> None:
            await route.fulfill(content_type="text/javascript", body=script)

        context = await browser.new_context(viewport={"width": 640, "height": 360})
        if script is not None:
            await context.route("**/screen/worker.js", answer)
        page = Tab(await context.new_page())
        await page.page.add_init_script(before)
        await page.page.goto(str(url))

        # All of them at once: a busy machine takes its time.
        shown = await page.until(lambda shown: painted(shown, 4), within_s=40)

        assert shown["pipeline"] == "main", name
        assert page.page.workers == [], name
        assert all(about["brightest"] > 20 for about in shown["canvases"].values()), name
        await context.close()

    async with running_server(tmp_path, **SETTINGS) as server, asyncio.TaskGroup() as looking:
        for name in FALLBACKS:
            looking.create_task(look(server.url, name), name=name)


class SpoilingProxy:
    """Stands between a browser and the server, and spoils the pictures on their way while told to."""

    MAGIC = b"\xff\xd8\xff"

    def __init__(self, server: Server) -> None:
        self._server = server
        self.is_spoiling = False
        self.spoilt = 0
        self.url = URL()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[SpoilingProxy]:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        self.url = self._server.url.with_port(port)
        try:
            yield self
        finally:
            listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(self._server.url.host, self._server.url.port)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._carry(reader, forth), self._carry(back, writer, spoils=True))

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, spoils: bool = False
    ) -> None:
        try:
            while data := await reader.read(65536):
                if spoils and self.is_spoiling:
                    self.spoilt += data.count(self.MAGIC)
                    data = data.replace(self.MAGIC, bytes(3))
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@pytest.mark.parametrize("pipeline", PIPELINES)
async def test_a_corrupt_frame_is_counted_and_the_next_ones_are_shown(
    browser: Browser, tmp_path: Path, pipeline: str
) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, SpoilingProxy(server).running() as proxy:
        url = (proxy.url / "c/left").with_query(pipeline=pipeline)
        async with tab(browser, url) as page:
            await page.until(lambda shown: painted(shown, 3, slugs=1))

            # Each one: whatever is overtaken on its way is never looked at.
            proxy.is_spoiling = True
            spoilt = await page.until(lambda shown: int(shown["canvases"]["left"].get("corrupt", 0)) >= 2)
            proxy.is_spoiling = False
            before = int(spoilt["canvases"]["left"]["painted"])
            shown = await page.until(lambda shown: painted(shown, before + 5, slugs=1))

            assert shown["pipeline"] == pipeline
            assert 2 <= int(shown["canvases"]["left"]["corrupt"]) <= proxy.spoilt, "no other"


SIXTEEN = {
    "PSYCHE_CANVASES": ",".join(f"wall-{number}" for number in range(1, 17)),
    "PSYCHE_SIZE": "64x64",
    "PSYCHE_FPS": "2",
}
# Longer than it takes sixteen sockets to be opened, if they were.
AWAY_S = 3.0
# For what was on its way to a server that is ending.
LAST_WORDS_S = 0.5


async def test_sixteen_canvases_are_back_after_a_restart_and_knocked_once_a_second(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        running_server(tmp_path, **SIXTEEN) as server,
        # In a worker sockets are opened unseen; who may open one is decided in the page either way.
        tab(browser, server.url.with_query(pipeline="main")) as page,
    ):
        port = server.url.port
        assert port is not None
        await page.until(lambda shown: painted(shown, slugs=16), within_s=40)
        assert len(set(page.attempts) - {"probe"}) == 17, "sixteen canvases, and the events"
        server.process.terminate()
        await server.process.wait()
        kept = await page.until(lambda shown: all(about["isDown"] for about in shown["canvases"].values()))
        assert all(about["brightest"] > 20 for about in kept["canvases"].values()), "the last picture stays"
        await asyncio.sleep(LAST_WORDS_S)
        # What the page has done by now is told before its answer, however late that is.
        await page.page.evaluate("0")
        before, since = len(page.attempts), time.monotonic()
        await asyncio.sleep(AWAY_S)
        await page.page.evaluate("0")
        knocks, away_s = page.attempts[before:], time.monotonic() - since

        async with running_server(tmp_path, port=port, **SIXTEEN):
            await page.until(
                lambda shown: not any(about["isDown"] for about in shown["canvases"].values()), within_s=60
            )
            # What paints starts after the server: how long that takes is not the page's.
            await page.until(
                lambda shown: all(
                    int(about["painted"]) > int(kept["canvases"][slug]["painted"])
                    for slug, about in shown["canvases"].items()
                ),
                within_s=60,
            )

    assert set(knocks) <= {"probe"}, f"no socket is opened to a server that is away: {knocks}"
    # A random wait is half a second at first: over some seconds there may be a few more.
    assert len(knocks) <= away_s + 5, knocks
    assert beside_an_outage(page.complaints) == []


async def test_a_page_whose_worker_ends_is_loaded_anew_and_paints_by_itself(
    browser: Browser, tmp_path: Path
) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, tab(browser, server.url) as page:
        shown = await page.until(lambda shown: painted(shown, 3))
        assert shown["pipeline"] == "worker"

        async with page.page.expect_navigation(timeout=30_000):
            await page.page.workers[0].evaluate(
                "setTimeout(() => { close(); throw new Error('it breaks'); })"
            )

        shown = await page.until(lambda shown: painted(shown, 3))
        assert shown["pipeline"] == "main"
        await page.page.reload()
        shown = await page.until(lambda shown: painted(shown, 3))
        assert shown["pipeline"] == "main", "the tab remembers"
