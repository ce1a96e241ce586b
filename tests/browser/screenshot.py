"""Photograph the wall for the README: `python tests/browser/screenshot.py client/screenshot.jpg`.

Starts a server of its own on a free port, looks at it in a real Chromium, and stops it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent.parent
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
sys.path.insert(0, str(ROOT / "tests"))

from chromium import find_chromium  # noqa: E402 - after the path is set


WIDTH_PX, HEIGHT_PX = 1600, 820
# Frames that the page must have painted before it is photographed: the fonts are there by then.
FRAMES = 8


async def photograph(out: Path) -> None:
    """Write a JPEG of the wall with both canvases painting."""
    from playwright.async_api import async_playwright

    browser_path = find_chromium()
    if browser_path is None:
        raise SystemExit("no Chromium: install it, or set PSYCHE_CHROMIUM=/path/to/it")
    arguments = ("-m", "server", "--port", "0", "--size", "800x800", "--log-format", "json")
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        address = await _address(server)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=browser_path, args=list(FLAGS))
            page = await browser.new_page(viewport={"width": WIDTH_PX, "height": HEIGHT_PX})
            await page.goto(address)
            await page.wait_for_function(
                "n => { const all = [...document.querySelectorAll('canvas')];"
                " return all.length === 2 && all.every(c => Number(c.dataset.painted) >= n); }",
                arg=FRAMES,
            )
            await page.screenshot(path=out, type="jpeg", quality=85)
            await browser.close()
    finally:
        server.terminate()
        await server.wait()


async def _address(server: asyncio.subprocess.Process) -> str:
    """Return the address that the server prints."""
    assert server.stdout is not None
    async with asyncio.timeout(20):
        async for line in server.stdout:
            if b"http://" in line:
                return line.decode().split()[-1]
    raise RuntimeError("the server ended before it told its address")


if __name__ == "__main__":
    asyncio.run(photograph(Path(sys.argv[1])))
