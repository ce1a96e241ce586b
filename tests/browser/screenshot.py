"""Photograph the product for the README: `python tests/browser/screenshot.py client/screenshots/wall.jpg`.

Starts a server of its own on a free port, gives it something worth seeing, looks at it in a real Chromium,
and stops it. Without options it is the wall; `--page /stage/stage` and `--page /studio` are other pages,
`--size 1920x1080` is the window, `--scale 2` has two pixels for one of its pixels, as telephones have, and
`--wait` is how many seconds of a page's life come before the photograph.
The file's name tells the format: `.jpg`, or `.png`, in which a transparent page stays transparent.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp


if TYPE_CHECKING:
    from playwright.async_api import Page

ROOT = Path(__file__).resolve().parent.parent.parent
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from chromium import find_chromium  # noqa: E402 - after the path is set


# Of the wall with its two canvases; other pages are composed for a whole screen.
WALL_PX = (1600, 820)
SCREEN_PX = (1920, 1080)
# Frames that each canvas must have painted before it is photographed: the fonts are there by then.
FRAMES = 8
# The studio fetches its small pictures within this, seconds.
SETTLING_S = 1.0
# Who reads the README waits for its pictures: the first quality that is small enough, of 100.
QUALITIES = (88, 84, 80, 74, 68, 60)
MAX_BYTES = 250_000
# Longer than anything here takes, seconds.
PATIENCE_S = 60.0

WISHES = (
    (
        "NightOwl_77",
        "Please paint the lake where we spent our summer, on a clear evening.",
        "a mountain lake",
    ),
    ("Мария", "Лес зимой, пожалуйста!", "a winter forest at dawn, snow"),
    ("שירה", "", "stars over a desert"),
    ("pixel_pioneer", "for my daughter", "a sailboat on a calm sea at sunset"),
    ("Ann", "", "a city at night in the rain"),
    ("TheLongestNameInTheWholeChat", "hello from Porto", "a field of poppies under a wide sky"),
    ("Bob", "", "a lighthouse in a storm, golden light"),
    ("Yuki", "", "aurora over snowy mountains"),
)


@dataclass(frozen=True, slots=True)
class Shot:
    """What to photograph."""

    out: Path
    page: str
    size: tuple[int, int]  # pixels
    scale: int  # device pixels for a pixel of the window
    wait_s: float | None  # of the page's life; None: until it has something to show

    @property
    def stage(self) -> str | None:
        """The canvas of a stage, or None for another page."""
        found = re.match(r"/stage/([a-z0-9-]+)", self.page)
        return found[1] if found else None

    @property
    def is_studio(self) -> bool:
        return self.page.startswith(("/studio", "/test"))


async def photograph(shot: Shot) -> None:
    """Write the picture of a page of a server that has something to show."""
    from playwright.async_api import async_playwright

    browser_path = find_chromium()
    if browser_path is None:
        raise SystemExit("no Chromium: install it, or set PSYCHE_CHROMIUM=/path/to/it")
    # The stage starts empty: what it tells is what somebody asked for.
    options = ("--canvases", shot.stage, "--default-prompt", "") if shot.stage else ()
    if shot.is_studio:
        # As wide as the small pictures of the studio.
        options = ("--size", "1024x640")
    async with _server(*options) as address, aiohttp.ClientSession(address) as session:
        if shot.stage:
            await _paint(session, shot.stage, WISHES[0])
        elif shot.is_studio:
            await _paint_results(session)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=browser_path, args=list(FLAGS))
            width, height = shot.size
            page = await browser.new_page(
                viewport={"width": width, "height": height},
                device_scale_factor=shot.scale,
                color_scheme="dark",
                locale="en-GB",
            )
            await page.goto(f"{address}{shot.page}")
            await _until_ready(session, shot, page)
            await _write(shot, page)
            await browser.close()


async def _write(shot: Shot, page: Page) -> None:
    """Take the photograph, as fine as it may be."""
    if shot.out.suffix == ".png":
        await page.screenshot(path=shot.out, omit_background=True)
        return
    for quality in QUALITIES:
        picture = await page.screenshot(type="jpeg", quality=quality)
        shot.out.write_bytes(picture)
        if len(picture) <= MAX_BYTES:
            return


async def _until_ready(session: aiohttp.ClientSession, shot: Shot, page: Page) -> None:
    """Wait until the page has something to show, or as long as was asked for."""
    if shot.stage:
        await page.wait_for_function(
            "() => document.querySelector('canvas').dataset.painted > 0", timeout=1000.0 * PATIENCE_S
        )
        await _keep_busy(session, shot.stage)
        if shot.wait_s is None:
            # In the middle of its way, with everybody's words in their places.
            await page.wait_for_function(
                "() => { const told = document.querySelector('[data-part=step]').textContent;"
                " const [, step, total] = /(\\d+) \\/ (\\d+)/.exec(told) ?? [];"
                " return step / total > 0.45; }",
                timeout=1000.0 * PATIENCE_S,
            )
    elif shot.is_studio:
        await _show_at_work(session)
        await page.get_by_role("button", name="Select all", exact=True).click()
        await page.fill("#field-prompt", "a lighthouse in a storm, long exposure")
        await page.evaluate(
            "() => { document.activeElement.blur();"
            " if (location.hash) {"
            " const panel = document.querySelector(location.hash);"
            " panel.scrollIntoView();"
            " const { bottom } = document.querySelector('header').getBoundingClientRect();"
            " scrollBy(0, panel.getBoundingClientRect().top - bottom); } }"
        )
        if shot.wait_s is None:
            # Some of the pictures are painted, and the screens have told how old theirs are.
            await page.wait_for_function(
                "() => { const [left, right] = document.querySelectorAll('.canvas-card');"
                " return left.querySelector('progress').value > 0.25"
                " && right.querySelectorAll('dd')[1].textContent !== '–'; }",
                timeout=1000.0 * PATIENCE_S,
            )
            await asyncio.sleep(SETTLING_S)
    elif shot.wait_s is None:
        await page.wait_for_function(
            "n => { const all = [...document.querySelectorAll('canvas')];"
            " return all.length > 0 && all.every(c => Number(c.dataset.painted) >= n); }",
            arg=FRAMES,
            timeout=1000.0 * PATIENCE_S,
        )
    await asyncio.sleep(shot.wait_s or 0.0)


async def _paint_results(session: aiohttp.ClientSession) -> None:
    """Have pictures painted that lie beside each other in the studio."""
    for number, wish in enumerate(WISHES):
        await _paint(session, ("left", "right")[number % 2], wish, size=768, seed=11 + number)


async def _show_at_work(session: aiohttp.ClientSession) -> None:
    """Have both canvases painted on, while others wait."""
    slow: dict[str, Any] = {"steps": 80, "width": 1536, "height": 960}
    await _post(session, "/jobs", _wish(WISHES[0], mode="variations", count=12, canvas="left", **slow))
    await _post(session, "/jobs", _wish(WISHES[7], mode="live", canvas="right", seed=21))
    for wish in WISHES[3:6]:
        await _post(session, "/canvases/left/prompt", _wish(wish, mode="once", when="queue"))


async def _paint(
    session: aiohttp.ClientSession, slug: str, wish: tuple[str, str, str], *, size: int = 1024, seed: int = 7
) -> None:
    """Have a picture painted to its end."""
    body = _wish(wish, mode="once", steps=20, width=size, height=size, seed=seed)
    job = await _post(session, f"/canvases/{slug}/prompt", body)
    async with asyncio.timeout(PATIENCE_S):
        while job["state"] not in ("succeeded", "failed", "cancelled"):
            await asyncio.sleep(0.1)
            async with session.get(f"/jobs/{job['id']}") as response:
                job = (await response.json())["job"]
    if job["state"] != "succeeded":
        raise SystemExit(f"the first picture {job['state']}: {job['error'] or job['reason']}")


async def _keep_busy(session: aiohttp.ClientSession, slug: str) -> None:
    """Have pictures painted that take their time, while others wait."""
    slow = _wish(WISHES[0], mode="variations", count=12, steps=80, width=1536, height=1536)
    await _post(session, f"/canvases/{slug}/prompt", slow)
    for wish in WISHES[1:]:
        await _post(session, f"/canvases/{slug}/prompt", _wish(wish, mode="once", when="queue"))


def _wish(wish: tuple[str, str, str], **fields: Any) -> dict[str, Any]:
    author, message, prompt = wish
    return {"prompt": prompt, "author": author, "message": message, "seed": 7, **fields}


async def _post(session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with session.post(path, json=body) as response:
        if response.status != 202:
            raise SystemExit(f"{path} was refused: {await response.text()}")
        answer: dict[str, Any] = await response.json()
    job: dict[str, Any] = answer["job"]
    return job


@asynccontextmanager
async def _server(*options: str) -> AsyncIterator[str]:
    """Run a server, and give its address."""
    arguments = ("-m", "server", "--port", "0", "--size", "800x800", "--log-format", "json", *options)
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield await _address(server)
    finally:
        server.terminate()
        await server.wait()


async def _address(server: asyncio.subprocess.Process) -> str:
    """Return the address that the server prints."""
    assert server.stdout is not None
    async with asyncio.timeout(PATIENCE_S / 2):
        async for line in server.stdout:
            if b"http://" in line:
                return line.decode().split()[-1].rstrip("/")
    raise RuntimeError("the server ended before it told its address")


def _size(text: str) -> tuple[int, int]:
    """Read `1920x1080`."""
    found = re.fullmatch(r"([1-9]\d{1,3})x([1-9]\d{1,3})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"a size is WIDTHxHEIGHT in pixels, as 1920x1080, not {text!r}")
    return int(found[1]), int(found[2])


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise argparse.ArgumentTypeError(f"a page is a path, as /stage/stage, not {text!r}")
    return text


def _file(text: str) -> Path:
    if Path(text).suffix not in (".jpg", ".jpeg", ".png"):
        raise argparse.ArgumentTypeError(f"the file's name ends in .jpg or .png, not as {text!r}")
    return Path(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= PATIENCE_S:
        raise argparse.ArgumentTypeError(f"a wait is 0 to {PATIENCE_S:.0f} seconds, not {text!r}")
    return seconds


def _read_arguments(arguments: list[str]) -> Shot:
    parser = argparse.ArgumentParser(description="Photograph a page of Psyche.")
    parser.add_argument("out", type=_file, help="the file to write: .jpg or .png")
    parser.add_argument("--page", type=_path, default="/", help="its path, with options (default: /)")
    parser.add_argument("--size", type=_size, help="of the window (default: 1600x820, others 1920x1080)")
    parser.add_argument(
        "--scale", type=int, choices=(1, 2, 3), default=1, help="pixels for each (default: 1)"
    )
    parser.add_argument("--wait", type=_seconds, help="seconds (default: until there is something to see)")
    told = parser.parse_args(arguments)
    size = told.size or (WALL_PX if told.page == "/" else SCREEN_PX)
    return Shot(told.out, told.page, size, told.scale, told.wait)


if __name__ == "__main__":
    asyncio.run(photograph(_read_arguments(sys.argv[1:])))
