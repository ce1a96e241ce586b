"""Pictures in browsers that lack what others decode with."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from pages import freed
from PIL import Image
from playwright.async_api import Browser
from processes import running_server
from windows import Window, window
from yarl import URL


pytestmark = pytest.mark.browser

SETTINGS = {"PSYCHE_CANVASES": "left", "PSYCHE_SIZE": "64x64"}
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 160, 0), (0, 0, 255), (230, 230, 230)

# Of the EXIF standard: the row that is first in the file is to be at the right.
TURNED = 6
ORIENTATION = 0x0112


def encode(kind: str, *quarters: tuple[int, int, int], orientation: int = 1) -> bytes:
    """Encode a picture of four colours, row by row."""
    small = np.array(quarters, np.uint8).reshape(2, 2, 3)
    picture = Image.fromarray(small).resize((128, 128), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    encoded = io.BytesIO()
    picture.save(encoded, kind, quality=95, exif=exif)
    return encoded.getvalue()


# What browsers lack: nothing, the usual way, and the next one, too.
MISSING = ((), ("createImageBitmap",), ("createImageBitmap", "ImageDecoder"))


@contextlib.asynccontextmanager
async def lacking(browser: Browser, address: URL, missing: tuple[str, ...]) -> AsyncIterator[Window]:
    """Open a window of a browser that lacks something."""
    # The address is there before the page's own modules are.
    async with window(browser, address.with_path("/health")) as screen:
        for name in missing:
            await screen.page.add_init_script(f"delete globalThis.{name}")
        await screen.page.goto(str(address))
        await screen.until(lambda told: told)
        for name in missing:
            assert await screen.page.evaluate(f"!('{name}' in globalThis)")
        yield screen


async def shows(screen: Window, sequence: int, meant: tuple[tuple[int, int, int], ...], what: str) -> None:
    """Wait for a picture and compare its quarters."""
    await screen.until(lambda told: told[-1]["sequence"] == sequence)
    for seen, colour in zip(await screen.quarters(), meant, strict=True):
        assert np.abs(np.subtract(seen, colour)).max() <= 16, (what, seen, colour)


async def test_every_format_is_shown_upright_without_what_is_missing(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        running_server(tmp_path, **SETTINGS) as server,
        aiohttp.ClientSession() as session,
        contextlib.AsyncExitStack() as windows,
    ):
        # It makes the canvas.
        url = server.url / "canvases" / "four" / "frames"

        async def push(image: bytes, kind: str) -> int:
            headers = {"Content-Type": f"image/{kind}"}
            async with session.post(url, data=io.BytesIO(image), headers=headers) as response:
                assert response.status == 201, await response.text()
                sequence: int = (await response.json())["frame"]["sequence"]
                return sequence

        await push(encode("JPEG", RED, RED, RED, RED), "jpeg")
        address = (server.url / "c/four").with_query(pipeline="main")
        screens = [
            await windows.enter_async_context(lacking(browser, address, missing)) for missing in MISSING
        ]

        for kind in ("jpeg", "png", "webp"):
            sequence = await push(encode(kind.upper(), GREEN, RED, WHITE, BLUE), kind)
            for screen, missing in zip(screens, MISSING, strict=True):
                await shows(screen, sequence, (GREEN, RED, WHITE, BLUE), f"{kind} without {missing}")
        sequence = await push(encode("JPEG", GREEN, RED, WHITE, BLUE, orientation=TURNED), "jpeg")
        for screen, missing in zip(screens, MISSING, strict=True):
            await shows(screen, sequence, (WHITE, GREEN, BLUE, RED), f"turned, without {missing}")

            assert await screen.page.evaluate("document.documentElement.dataset.pipeline") == "main"
            assert await freed(screen.page) >= 5
            assert screen.complaints == []
