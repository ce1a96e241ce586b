"""Transitions as somebody sees them: what is between two pictures, and when there is nothing between them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pages import SOON_S, freed
from PIL import Image
from playwright.async_api import Browser
from processes import running_server
from windows import Window, window
from yarl import URL


pytestmark = pytest.mark.browser

# Nobody looks at the canvas that is configured: what is tested is pushed.
SETTINGS = {"PSYCHE_CANVASES": "left", "PSYCHE_SIZE": "64x64"}

Colour = tuple[int, int, int]
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)

# A busy machine now and then draws nothing for a while: so often it is tried again.
TRIES = 5

# In every animation frame: sixteen pixels of the picture's middle row, from left to right.
WATCH = """() => {
    const small = new OffscreenCanvas(16, 16).getContext('2d', { willReadFrequently: true });
    small.imageSmoothingEnabled = false;
    window.seen = [];
    const look = () => {
        small.drawImage(document.querySelector('canvas'), 0, 0, 16, 16);
        const { data } = small.getImageData(0, 8, 16, 1);
        window.seen.push(Array.from({ length: 16 }, (_, x) => [...data.slice(4 * x, 4 * x + 3)]));
        requestAnimationFrame(look);
    };
    look();
}"""


def png(colour: Colour) -> bytes:
    """Encode a picture of one colour, to the bit."""
    encoded = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(encoded, "PNG")
    return encoded.getvalue()


class Show:
    """A canvas on a server, and a window that watches it."""

    def __init__(self, session: aiohttp.ClientSession, url: URL, screen: Window) -> None:
        self.session = session
        self.url = url
        self.screen = screen

    async def push(self, colour: Colour) -> int:
        """Show a picture of one colour, and return its sequence."""
        headers = {"Content-Type": "image/png"}
        async with self.session.post(
            self.url / "frames", data=io.BytesIO(png(colour)), headers=headers
        ) as response:
            assert response.status == 201, await response.text()
            sequence: int = (await response.json())["frame"]["sequence"]
            return sequence

    async def transit(self, kind: str, duration_s: float) -> None:
        """Set the canvas's transition."""
        change = {"transition": {"kind": kind, "duration_s": duration_s}}
        async with self.session.patch(self.url, json=change) as response:
            assert response.status == 200, await response.text()

    async def seen(self) -> list[list[Colour]]:
        """Return what was seen since the last call: the middle row, frame by frame."""
        rows: list[list[list[int]]] = await self.screen.page.evaluate("window.seen.splice(0)")
        return [[(red, green, blue) for red, green, blue in row] for row in rows]

    async def turn(self, colour: Colour) -> list[list[Colour]]:
        """Show a picture, wait until nothing else is to be seen, and return what was seen until then."""
        # Somebody has looked at the one before for so long that the next is in no hurry.
        await asyncio.sleep(0.8)
        await self.seen()
        sequence = await self.push(colour)
        await self.screen.until(lambda told: told[-1]["sequence"] == sequence)
        rows: list[list[Colour]] = []
        async with asyncio.timeout(SOON_S):
            while not rows or set(rows[-1]) != {colour}:
                await asyncio.sleep(0.05)
                rows += await self.seen()
        return rows


@contextlib.asynccontextmanager
async def show(browser: Browser, folder: Path, **query: Any) -> AsyncIterator[Show]:
    """Hang a canvas that shows a red picture."""
    async with running_server(folder, **SETTINGS) as server, aiohttp.ClientSession() as session:
        async with session.post(server.url / "canvases", json={"slug": "turn"}) as response:
            assert response.status == 201, await response.text()
        url = server.url / "canvases" / "turn"
        address = (server.url / "c/turn").with_query(query)
        async with window(browser, address, width=320, height=320) as screen:
            shown = Show(session, url, screen)
            sequence = await shown.push(RED)
            await screen.until(lambda told: told and told[-1]["sequence"] == sequence)
            await screen.page.evaluate(WATCH)
            yield shown
            assert screen.complaints == []


async def between(
    canvas: Show, old: Colour, new: Colour, is_between: Callable[[list[Colour]], bool]
) -> list[list[Colour]]:
    """Turn the old picture into the new one, and return what was seen on the way: at least three frames."""
    for _ in range(TRIES):
        rows = await canvas.turn(new)
        if len(found := [row for row in rows if is_between(row)]) >= 3:
            return found
        await canvas.turn(old)
    raise AssertionError(f"too little was seen on the way, {TRIES} times; at last: {rows}")


def is_mixed(colour: Colour) -> bool:
    """Tell whether a colour is neither the old picture's nor the new one's, but some of both."""
    return min(colour[0], colour[2]) > 12


@pytest.mark.parametrize("pipeline", ["worker", "main"])
async def test_a_picture_turns_into_the_next_as_the_canvas_asks(
    browser: Browser, tmp_path: Path, pipeline: str
) -> None:
    async with show(browser, tmp_path, pipeline=pipeline) as canvas:
        page = canvas.screen.page
        assert await page.evaluate("document.documentElement.dataset.pipeline") == pipeline

        await canvas.transit("cross-fade", 0.5)
        mixed = await between(canvas, RED, BLUE, lambda row: any(map(is_mixed, row)))
        assert all(len(set(row)) == 1 for row in mixed), "the same everywhere"
        shares = [row[0][2] for row in mixed]
        assert shares == sorted(shares), "there is ever more of the new one"

        await canvas.transit("wipe", 0.5)
        halves = await between(canvas, BLUE, RED, lambda row: row[0] == RED and row[-1] == BLUE)
        for row in halves:
            share = [red for red, _, _ in row]
            assert share == sorted(share, reverse=True), "from left to right"

        await canvas.transit("dissolve", 0.5)
        await between(canvas, RED, BLUE, lambda row: {RED, BLUE} == set(row))

        await canvas.transit("cut", 0)
        rows = await canvas.turn(RED)
        assert {colour for row in rows for colour in row} <= {RED, BLUE}
        assert all(len(set(row)) == 1 for row in rows)

        assert await freed(page) >= 5


async def hurry(canvas: Show) -> tuple[list[list[Colour]], float]:
    """Show pictures in quick succession; return what was seen, and the longest pause between two, seconds."""

    async def push(*colours: Colour) -> dict[int, float | None]:
        sequences = []
        for colour in colours:
            sequences.append(await canvas.push(colour))
            await asyncio.sleep(0.25)
        told = await canvas.screen.until(lambda told: told[-1]["sequence"] == sequences[-1])
        # Of each the first time: a better rendition may follow, which is no other picture.
        return {
            about["sequence"]: about["presented_ms"] for about in told[::-1] if about["sequence"] in sequences
        }

    # The pace is learned from the first ones: the one before had rested.
    learned = await push(BLUE, RED, BLUE, RED)
    await canvas.seen()
    presented = {**learned, **await push(BLUE, RED, BLUE, RED, BLUE, RED, BLUE, RED)}
    rows = await canvas.seen()
    instants_ms = [at_ms for at_ms in presented.values() if at_ms is not None]
    if len(learned) < 2 or len(instants_ms) < len(presented):
        # A busy machine has shown no pace, or the server's clock is not known yet.
        return rows, math.inf
    return rows, max(later - at for at, later in pairwise(sorted(instants_ms))) / 1000.0


async def test_pictures_that_come_sooner_than_a_transition_would_end_are_cut(
    browser: Browser, tmp_path: Path
) -> None:
    async with show(browser, tmp_path) as canvas:
        await canvas.transit("cross-fade", 2.0)

        # Where a busy machine is no sooner with them than that, a transition is right.
        for _ in range(TRIES):
            rows, pause_s = await hurry(canvas)
            if pause_s < 1.5:
                break
        else:
            raise AssertionError(f"no pictures came soon enough to be judged: {pause_s} s")

        assert {colour for row in rows for colour in row} == {RED, BLUE}
        assert all(len(set(row)) == 1 for row in rows)


async def test_somebody_who_asked_for_less_motion_sees_cuts(browser: Browser, tmp_path: Path) -> None:
    async with show(browser, tmp_path) as canvas:
        await canvas.screen.page.emulate_media(reduced_motion="reduce")
        await canvas.screen.page.reload()
        await canvas.screen.until(lambda told: told)
        await canvas.screen.page.evaluate(WATCH)
        await canvas.transit("cross-fade", 0.5)

        rows = await canvas.turn(BLUE)

        assert {colour for row in rows for colour in row} <= {RED, BLUE}
