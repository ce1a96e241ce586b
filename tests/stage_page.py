"""The stage as the browser tests look at it: a page of it, and the requests that fill it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
from pages import SOON_S
from playwright.async_api import Browser, Page
from processes import Server
from yarl import URL


# An empty canvas: what is shown is what the test asks for.
SETTINGS = {"PSYCHE_CANVASES": "stage", "PSYCHE_DEFAULT_PROMPT": "", "PSYCHE_SIZE": "256x256"}

# What the stage says, and where its bar stands.
SHOWN = """() => {
    const part = (name) => document.querySelector(`[data-part='${name}']`);
    const text = (name) => part(name).offsetParent === null ? '' : part(name).textContent;
    const names = ['label', 'who', 'message', 'prompt', 'elapsed', 'step', 'remaining', 'more', 'caption'];
    return {
        ...document.querySelector('canvas').dataset,
        phase: document.querySelector('#stage').dataset.phase,
        ...Object.fromEntries(names.map((name) => [name, text(name)])),
        rows: [...document.querySelectorAll('[data-part=rows] li')]
            .filter((row) => row.offsetParent !== null)
            .map((row) => [...row.children].map((cell) => cell.textContent)),
        bar: new DOMMatrix(getComputedStyle(part('bar')).transform).a,
        seen: getComputedStyle(document.querySelector('.hud')).opacity,
    };
}"""

# As a browser does with a page that nobody sees: no frames, and no timers until it is seen again.
FREEZER = """(() => {
    const held = [];
    let isFrozen = false;
    window.frames_asked = 0;
    for (const name of ['requestAnimationFrame', 'setTimeout']) {
        const original = window[name].bind(window);
        window[name] = (callback, ...rest) => {
            window.frames_asked += name === 'requestAnimationFrame';
            return original((...values) => {
                if (isFrozen) { held.push(() => callback(...values)); } else { callback(...values); }
            }, ...rest);
        };
    }
    window.freeze = () => { isFrozen = true; };
    window.thaw = () => {
        isFrozen = false;
        held.splice(0).forEach((callback) => callback());
        document.dispatchEvent(new Event('visibilitychange'));
    };
})()"""

# Whatever reaches beyond the window or beyond what holds it, and where the canvas is beside its place.
MISPLACED = """() => {
    const found = [];
    const { scrollWidth, clientWidth, scrollHeight, clientHeight } = document.documentElement;
    if (scrollWidth > clientWidth || scrollHeight > clientHeight) { found.push('the page'); }
    const hud = document.querySelector('.hud').getBoundingClientRect();
    const inside = (box, place) => box.left >= place.left - 0.5 && box.top >= place.top - 0.5
        && box.right <= place.right + 0.5 && box.bottom <= place.bottom + 0.5;
    if (!inside(hud, { left: 0, top: 0, right: innerWidth, bottom: innerHeight })) { found.push('the HUD'); }
    for (const part of document.querySelectorAll('.hud [data-part], .hud li, .hud li > *')) {
        const box = part.getBoundingClientRect();
        if (box.width > 0 && !part.matches('.bar') && !inside(box, hud)) { found.push(part.outerHTML); }
        if (box.width === 0 && part.offsetParent !== null && part.textContent) { found.push('squeezed'); }
    }
    const job = document.querySelector('.job');
    // By their layout: while they come in, they are moved.
    const words = [...job.children].filter((part) => part.offsetParent !== null);
    const lowest = Math.max(...words.map((part) => part.offsetTop + part.offsetHeight));
    if (lowest > job.offsetTop + job.clientHeight + 1) { found.push('a line cut in two'); }
    // On whole pixels of its place, and on all of them: between two of them hard edges are drawn soft.
    const place = document.querySelector('.place').getBoundingClientRect();
    const canvas = document.querySelector('canvas').getBoundingClientRect();
    for (const side of ['left', 'top', 'right', 'bottom']) {
        const isWhole = Math.abs(canvas[side] - Math.round(canvas[side])) < 0.01;
        if (!isWhole || Math.abs(canvas[side] - place[side]) > 1.02) { found.push(`the canvas: ${side}`); }
    }
    return found;
}"""


class HasUrl(Protocol):
    """A server, or a way to one."""

    @property
    def url(self) -> URL: ...


class Stage:
    """A page of the stage, and what it complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = await self.page.evaluate(SHOWN)
        return shown

    async def until(
        self, condition: Callable[[dict[str, Any]], bool], *, within_s: float = SOON_S
    ) -> dict[str, Any]:
        """Wait until the stage shows something, and return what it shows."""
        shown: dict[str, Any] = {}
        try:
            async with asyncio.timeout(within_s):
                while not condition(shown := await self.shown()):  # noqa: ASYNC110 - a page has no such event
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"the stage shows {shown}, complaints {self.complaints}") from None
        return shown

    async def until_in_place(self) -> None:
        """Wait until everything is where it belongs in a window of this size."""
        misplaced: list[str] = []
        try:
            async with asyncio.timeout(SOON_S):
                while misplaced := await self.page.evaluate(MISPLACED):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"at {self.page.viewport_size}: {misplaced}") from None


@asynccontextmanager
async def stage(
    browser: Browser, server: HasUrl, query: str = "", *, width: int = 1920, height: int = 1080
) -> AsyncIterator[Stage]:
    """Open the stage."""
    page = await browser.new_page(viewport={"width": width, "height": height}, locale="en-GB")
    await page.add_init_script(FREEZER)
    shown = Stage(page)
    await page.goto(f"{server.url.with_path('/stage/stage')}{query}")
    try:
        yield shown
    finally:
        await page.close()


async def send(server: Server, method: str, path: str, body: Any = None) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, server.url.with_path(path), json=body) as response,
    ):
        assert response.status < 300, await response.text()
        answer: dict[str, Any] = await response.json() if response.status != 204 else {}
        return answer


async def ask(server: Server, prompt: str, **fields: Any) -> dict[str, Any]:
    """Post a prompt to the stage and return its job."""
    answer = await send(server, "POST", "/canvases/stage/prompt", {"prompt": prompt, **fields})
    job: dict[str, Any] = answer["job"]
    return job


async def play(server: Server, fps: float = 0.1) -> dict[str, Any]:
    """Show the seven samples, for 70 s unless told otherwise, and return the running job."""
    answer = await send(server, "POST", "/canvases/stage/playlist", {"folder": "samples", "fps": fps})
    job: dict[str, Any] = answer["job"]
    async with asyncio.timeout(SOON_S):
        while job["ends_ms"] is None:
            await asyncio.sleep(0.05)
            job = (await send(server, "GET", f"/jobs/{job['id']}"))["job"]
    return job
