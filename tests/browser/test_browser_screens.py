"""One wall on several screens side by side: each shows its part, and together they show every pixel once."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from pages import SOON_S, until
from PIL import Image
from playwright.async_api import Browser
from processes import Server, running_server
from windows import Window, window
from yarl import URL


pytestmark = pytest.mark.browser

SETTINGS = {"PSYCHE_CANVASES": "left", "PSYCHE_SIZE": "64x64"}
RED, GREEN, BLUE = (200, 30, 30), (30, 160, 40), (30, 50, 200)


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(encoded, "PNG")
    return encoded.getvalue()


def patchwork(width: int, height: int) -> np.ndarray[Any, Any]:
    """Return a picture in which every pixel tells where it is."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x % 256, y % 256, (x // 256) * 16 + y // 256], axis=2)


async def push(server: Server, slug: str, image: bytes) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            server.url / "canvases" / slug / "frames",
            data=io.BytesIO(image),
            headers={"Content-Type": "image/png"},
        ) as response,
    ):
        assert response.status == 201, await response.text()


async def shown(browser: Browser, address: URL, size: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Return what a screen of this size shows once it has stopped changing."""
    slugs = set(address.query.get("canvases", "show").split(","))
    address = address.update_query(labels=0, timestamps=0)
    async with window(browser, address, width=size[0], height=size[1]) as screen:
        # What fades in calmly otherwise is there at once.
        await screen.page.emulate_media(reduced_motion="reduce")
        await screen.until(lambda told: slugs <= {about["slug"] for about in told})
        pixels = await still(screen)
        assert screen.complaints == []
        return pixels


async def shown_by_all(
    browser: Browser, addresses: Iterable[URL], size: tuple[int, int]
) -> list[np.ndarray[Any, Any]]:
    """Return what several screens show at the same time."""
    async with asyncio.TaskGroup() as tasks:
        screens = [tasks.create_task(shown(browser, address, size)) for address in addresses]
    return [screen.result() for screen in screens]


async def still(screen: Window) -> np.ndarray[Any, Any]:
    """Wait until a page that fades in is there."""
    # What a worker has drawn is on the page a little later than what it tells of it.
    await screen.page.evaluate(
        "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"
    )
    last = b""
    async with asyncio.timeout(SOON_S):
        while (taken := await screen.page.screenshot()) != last or not await screen.page.evaluate(
            "document.getAnimations().every((animation) => animation.playState === 'finished')"
        ):
            last = taken
    return np.asarray(Image.open(io.BytesIO(taken)).convert("RGB"))


async def test_each_of_three_screens_shows_its_third_of_the_picture(browser: Browser, tmp_path: Path) -> None:
    columns = np.zeros((200, 900, 3))
    for index, colour in enumerate((RED, GREEN, BLUE)):
        columns[:, index * 300 : (index + 1) * 300] = colour
    async with running_server(tmp_path, **SETTINGS) as server:
        await push(server, "show", png(columns))
        addresses = [(server.url / "c/show").with_query(screen=f"{number}/3") for number in (1, 2, 3)]
        for pixels, colour in zip(
            await shown_by_all(browser, addresses, (300, 200)), (RED, GREEN, BLUE), strict=True
        ):
            assert np.abs(pixels.astype(int) - colour).max() <= 2, colour


@pytest.mark.parametrize(("pipeline", "columns", "rows"), [("worker", 3, 2), ("main", 1, 2)])
async def test_screens_in_a_grid_lose_no_pixel_and_double_none(
    browser: Browser, tmp_path: Path, pipeline: str, columns: int, rows: int
) -> None:
    width, height = 211, 157
    picture = patchwork(columns * width, rows * height)
    async with running_server(tmp_path, **SETTINGS) as server:
        await push(server, "show", png(picture))
        addresses = [
            (server.url / "c/show").with_query(screen=f"{number}/{columns}x{rows}", pipeline=pipeline)
            for number in range(1, columns * rows + 1)
        ]
        parts = await shown_by_all(browser, addresses, (width, height))

    seen = np.concatenate(
        [np.concatenate(parts[row * columns : (row + 1) * columns], axis=1) for row in range(rows)]
    )
    assert np.abs(seen.astype(int) - picture).max() <= 1, "every pixel is where the picture has it"


async def test_several_screens_show_one_wall_of_several_canvases(browser: Browser, tmp_path: Path) -> None:
    size = (400, 300)
    async with running_server(tmp_path, **SETTINGS) as server:
        for slug, colour in (("a", RED), ("b", GREEN), ("c", BLUE)):
            await push(server, slug, png(np.full((64, 64, 3), colour)))
        wall = server.url.with_query(canvases="a,b,c", background="000000")
        async with asyncio.TaskGroup() as tasks:
            one = tasks.create_task(shown(browser, wall, (800, 300)))
            both = tasks.create_task(
                shown_by_all(browser, (wall.update_query(screen=f"{number}/2") for number in (1, 2)), size)
            )
        whole, halves = one.result(), both.result()

    together = np.concatenate(halves, axis=1)
    assert np.abs(together.astype(int) - whole).max() <= 2


async def test_only_the_screens_on_which_a_canvas_lies_ask_for_its_frames(
    browser: Browser, tmp_path: Path
) -> None:
    async with running_server(tmp_path, **SETTINGS) as server:
        for slug in ("a", "b"):
            await push(server, slug, png(np.full((64, 64, 3), RED)))
        address = (server.url / "").with_query(canvases="a,b", screen="1/2")
        async with window(browser, address, width=300, height=300) as screen:
            await screen.until(lambda told: told)
            async with aiohttp.ClientSession() as session:

                async def is_so() -> bool:
                    return [await viewed(session, server, slug) for slug in ("a", "b")] == [True, False]

                await until(is_so)


async def viewed(session: aiohttp.ClientSession, server: Server, slug: str) -> bool | None:
    """Tell whether the screen of a canvas says that it is visible; None where there is none yet."""
    async with session.get(server.url / "state") as response:
        subscribers = (await response.json())["canvases"][slug]["subscribers"]
    with contextlib.suppress(IndexError):
        return bool(subscribers[0]["visible"])
    return None
