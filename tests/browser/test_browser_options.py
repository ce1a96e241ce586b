"""What an address makes of its page in a real browser: fit, captions, ground; and what hands do to it."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from pages import SOON_S, until
from PIL import Image
from playwright.async_api import Browser, Page
from processes import Server, running_server
from windows import Window, window
from yarl import URL


pytestmark = pytest.mark.browser

# Nobody looks at the canvas that is configured: what is tested is pushed.
SETTINGS = {"PSYCHE_CANVASES": "left", "PSYCHE_SIZE": "64x64"}

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 40), (30, 50, 200)


def stripes(*colours: tuple[int, int, int], size: tuple[int, int]) -> bytes:
    """Encode a picture of columns without any loss."""
    small = Image.fromarray(np.array([colours], np.uint8))
    encoded = io.BytesIO()
    small.resize(size, Image.Resampling.NEAREST).save(encoded, "PNG")
    return encoded.getvalue()


@contextlib.asynccontextmanager
async def showing(folder: Path, image: bytes, *slugs: str) -> AsyncIterator[Server]:
    """Run a server whose canvases show this picture."""
    async with running_server(folder, **SETTINGS) as server, aiohttp.ClientSession() as session:
        for slug in slugs:
            await push(session, server, slug, image)
        yield server


async def push(session: aiohttp.ClientSession, server: Server, slug: str, image: bytes) -> None:
    async with session.post(
        server.url / "canvases" / slug / "frames",
        data=io.BytesIO(image),
        headers={"Content-Type": "image/png"},
    ) as response:
        assert response.status == 201, await response.text()


async def screenshot(page: Page, **options: Any) -> np.ndarray[Any, Any]:
    """Return the pixels of a page, with their opacity."""
    return np.asarray(Image.open(io.BytesIO(await page.screenshot(**options))).convert("RGBA"))


async def settled(
    screen: Window, condition: Callable[[np.ndarray[Any, Any]], Any], **options: Any
) -> np.ndarray[Any, Any]:
    """Wait until a page that fades looks as it should."""
    pixels = await screenshot(screen.page, **options)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SOON_S):
            while not condition(pixels):
                pixels = await screenshot(screen.page, **options)
    assert condition(pixels), f"{pixels[:: pixels.shape[0] // 4, :: pixels.shape[1] // 4]}"
    return pixels


def is_close(pixels: np.ndarray[Any, Any], colour: tuple[int, ...], within: int = 6) -> bool:
    """Tell whether all of these pixels have a colour, as good as."""
    return bool(np.abs(pixels[..., : len(colour)].astype(int) - colour).max() <= within)


async def test_a_picture_that_covers_the_wall_is_cropped_and_leaves_nothing_free(
    browser: Browser, tmp_path: Path
) -> None:
    image = stripes(RED, GREEN, BLUE, size=(900, 300))
    async with showing(tmp_path, image, "show") as server:
        address = (server.url / "c/show").with_query(labels=0, timestamps=0)
        async with window(browser, address.update_query(fit="cover"), width=300, height=300) as screen:
            pixels = await settled(screen, lambda pixels: is_close(pixels[150, 150], GREEN))
            assert is_close(pixels[2:-2, 2:-2], GREEN), "only the middle is left"
            assert screen.complaints == []
        async with window(browser, address, width=300, height=300) as screen:
            pixels = await settled(screen, lambda pixels: is_close(pixels[150, 10], RED))
            assert is_close(pixels[150, 290], BLUE), "the whole picture is there"
            await settled(screen, lambda pixels: is_close(pixels[10, 150], (5, 5, 7)))


async def test_several_pictures_cover_all_of_the_wall_but_the_gaps(browser: Browser, tmp_path: Path) -> None:
    async with showing(tmp_path, stripes(RED, size=(64, 64)), "a", "b", "c", "d", "e") as server:
        address = (server.url / "").with_query(canvases="a,b,c,d,e", fit="cover", labels=0, timestamps=0)
        async with window(browser, address, width=800, height=600) as screen:
            await screen.until(lambda told: len({about["slug"] for about in told}) == 5)
            reds = 0.0
            async with asyncio.timeout(SOON_S):
                while reds < 0.97:
                    pixels = await screenshot(screen.page)
                    reds = np.mean(np.abs(pixels[..., :3].astype(int) - RED).max(axis=2) <= 6)
            assert screen.complaints == []


CAPTIONS = """() => ['.slug', '.timestamp']
    .map((name) => getComputedStyle(document.querySelector(name)).display !== 'none')"""


async def test_captions_can_be_left_out(browser: Browser, tmp_path: Path) -> None:
    async with showing(tmp_path, stripes(RED, size=(64, 64)), "show") as server:
        for query, expected in (
            ({}, [True, True]),
            ({"labels": 0}, [False, True]),
            ({"timestamps": 0}, [True, False]),
        ):
            async with window(browser, (server.url / "c/show").with_query(query)) as screen:
                await screen.until(lambda told: told)
                assert await screen.page.evaluate(CAPTIONS) == expected


async def test_a_transparent_page_shows_nothing_but_its_picture(browser: Browser, tmp_path: Path) -> None:
    async with showing(tmp_path, stripes(RED, GREEN, BLUE, size=(900, 300)), "show") as server:
        address = (server.url / "c/show").with_query(background="transparent", labels=0, timestamps=0)
        for pipeline in ("worker", "main"):
            page = address.update_query(pipeline=pipeline)
            async with window(browser, page, width=300, height=300) as screen:
                pixels = await settled(
                    screen, lambda pixels: is_close(pixels[150, 150], (*GREEN, 255)), omit_background=True
                )
                assert (pixels[:90, :, 3] == 0).all(), "above the picture there is nothing"
                assert (pixels[-90:, :, 3] == 0).all(), "nor below it"
                assert await screen.page.evaluate("document.documentElement.dataset.pipeline") == pipeline
                assert screen.complaints == []


async def test_a_transparent_page_is_nothing_before_its_first_picture_and_while_it_is_blank(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        running_server(tmp_path, **SETTINGS) as server,
        aiohttp.ClientSession() as session,
        session.post(server.url / "canvases", json={"slug": "show"}) as response,
    ):
        assert response.status == 201
        address = (server.url / "c/show").with_query(background="transparent", labels=0, timestamps=0)
        async with window(browser, address, width=300, height=300) as screen:
            await until(screen.page.locator("canvas").count)
            assert (await screenshot(screen.page, omit_background=True))[..., 3].max() == 0

            await push(session, server, "show", stripes(RED, size=(64, 64)))
            await settled(screen, lambda pixels: pixels[150, 150, 3] == 255, omit_background=True)
            async with session.patch(server.url / "canvases/show", json={"blank": True}) as answer:
                assert answer.status == 200
            await settled(screen, lambda pixels: pixels[..., 3].max() == 0, omit_background=True)


async def test_the_page_and_the_canvas_have_the_ground_that_the_address_names(
    browser: Browser, tmp_path: Path
) -> None:
    async with showing(tmp_path, stripes(GREEN, size=(900, 300)), "show") as server:
        # As somebody types it: the colour and what follows are the address's fragment.
        address = URL(f"{server.url / 'c/show'}?background=#204060&labels=0&timestamps=0")
        async with window(browser, address, width=300, height=300) as screen:
            await settled(screen, lambda pixels: is_close(pixels[150, 150], GREEN))
            await settled(
                screen,
                lambda pixels: all(
                    is_close(beside, (0x20, 0x40, 0x60), within=0) for beside in (pixels[:90], pixels[-90:])
                ),
            )
            assert screen.complaints == []


async def test_blank_is_black_whatever_the_ground(browser: Browser, tmp_path: Path) -> None:
    async with (
        showing(tmp_path, stripes(GREEN, size=(64, 64)), "show") as server,
        aiohttp.ClientSession() as session,
        window(browser, (server.url / "c/show").with_query(background="204060")) as screen,
    ):
        await screen.until(lambda told: told)
        async with session.patch(server.url / "canvases/show", json={"blank": True}) as answer:
            assert answer.status == 200
        await settled(screen, lambda pixels: (pixels[240, 320, :3] == 0).all())


async def test_a_bad_option_is_told_once_and_keeps_no_screen_dark(browser: Browser, tmp_path: Path) -> None:
    async with (
        showing(tmp_path, stripes(GREEN, size=(64, 64)), "show") as server,
        window(browser, (server.url / "c/show").with_query(fit="stretch")) as screen,
    ):
        await screen.until(lambda told: told)

        assert screen.complaints == ["fit=stretch is ignored: fit accepts contain or cover"]


IS_IDLE = "getComputedStyle(document.getElementById('wall')).cursor === 'none'"
IS_FULL = "document.fullscreenElement !== null"
# Notes it at each move, once the page has heard of that: a while later it is idle again.
NOTE_IDLE = f"window.idle = []; addEventListener('pointermove', () => window.idle.push({IS_IDLE}))"
WAS_AWAKE = "window.idle.includes(false)"


async def test_the_cursor_goes_when_the_mouse_rests_and_nothing_else_comes_of_hands_but_fullscreen(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        showing(tmp_path, stripes(GREEN, size=(64, 64)), "show") as server,
        window(browser, server.url / "c/show") as screen,
    ):
        page = screen.page
        await screen.until(lambda told: told)
        await page.evaluate(NOTE_IDLE)
        await page.mouse.move(100, 100)
        await until(lambda: page.evaluate(WAS_AWAKE))
        await until(lambda: page.evaluate(IS_IDLE))
        await page.evaluate("window.idle.length = 0")
        await page.mouse.move(120, 100)
        await until(lambda: page.evaluate(WAS_AWAKE))

        await page.mouse.wheel(0, 500)
        await page.keyboard.press("End")
        await page.keyboard.press("Control+a")
        still = "[scrollX, scrollY, visualViewport.scale, String(getSelection())]"
        assert await page.evaluate(still) == [0, 0, 1, ""]

        await page.mouse.dblclick(100, 100)
        await until(lambda: page.evaluate(IS_FULL))
        await page.mouse.dblclick(100, 100)
        await until(lambda: page.evaluate(f"!({IS_FULL})"))
        assert screen.complaints == []


async def test_a_screen_whose_canvas_was_deleted_says_so_and_comes_back_with_it(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        showing(tmp_path, stripes(GREEN, size=(64, 64)), "show") as server,
        aiohttp.ClientSession() as session,
        window(browser, (server.url / "c/show").with_query(lang="ru")) as screen,
    ):
        await screen.until(lambda told: told)
        async with session.delete(server.url / "canvases/show") as answer:
            assert answer.status == 200
        tile = screen.page.locator(".tile")
        await until(
            lambda: screen.page.evaluate("document.querySelector('.tile').dataset.problem === 'gone'")
        )
        assert await tile.locator(".message").text_content() == "Холста «show» нет"

        await push(session, server, "show", stripes(RED, size=(64, 64)))
        await settled(screen, lambda pixels: is_close(pixels[240, 320], RED))
        assert screen.complaints == []


async def test_an_address_that_names_no_canvas_is_answered_calmly(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server:
        page = await browser.new_page(locale="en-GB")
        response = await page.goto(f"{server.url / 'c'}/Not%20one!")

        assert response is not None
        assert response.status == 400
        assert await page.locator("#message").text_content() == (
            "“Not one!” cannot be the name of a canvas: those are made of a–z, 0–9 and -"
        )
        assert await page.locator("canvas").count() == 0
