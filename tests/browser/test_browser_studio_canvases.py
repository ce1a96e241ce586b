"""The studio's canvases and its sound in a real browser: cards that live, settings that are seen at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Locator, Page
from processes import Server, running_server
from studio_page import SLOW


pytestmark = pytest.mark.browser

TOKEN = "a-token-that-nobody-guesses"
SETTINGS = {"PSYCHE_SIZE": "128x128", "PSYCHE_FPS": "4", "PSYCHE_CANVASES": "left,right"}

# The mean brightness of what an element shows, 0 to 255.
BRIGHTNESS = """(canvas) => {
    const small = new OffscreenCanvas(1, 1).getContext('2d');
    small.imageSmoothingQuality = 'high';
    small.drawImage(canvas, 0, 0, 1, 1);
    const [red, green, blue] = small.getImageData(0, 0, 1, 1).data;
    return (red + green + blue) / 3;
}"""


HAS_FOCUS = "(control) => document.activeElement === control"


class Studio:
    """A page of the studio, its server, and what it complained of."""

    def __init__(self, page: Page, server: Server, session: aiohttp.ClientSession) -> None:
        self.page = page
        self.server = server
        self.session = session
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def card(self, slug: str) -> Locator:
        """Return the card of a canvas."""
        return self.page.locator(f'.canvas-card[data-slug="{slug}"]')

    def setting(self, name: str) -> Locator:
        """Return the input of a setting in the dialog; of two, the number."""
        return self.page.locator(f'.canvas-settings [data-setting="{name}"] :is(input, select)').last

    def thumbnail(self, slug: str) -> Locator:
        """Return the live picture on a card."""
        return self.card(slug).locator("canvas")

    async def canvas(self, slug: str) -> dict[str, Any]:
        """Return a canvas as the server has it; empty where there is none."""
        async with self.session.get(self.server.url / "canvases" / slug) as response:
            record: dict[str, Any] = (await response.json()).get("canvas", {})
        return record

    async def patch(self, slug: str, body: dict[str, Any]) -> None:
        """Change a canvas, as another device does."""
        async with self.session.patch(self.server.url / "canvases" / slug, json=body) as response:
            assert response.status == 200, await response.text()

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait for something that nobody announces."""
        try:
            async with asyncio.timeout(30):
                while not await condition():  # noqa: ASYNC110 - a page has no such event
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not {what}; complaints {self.complaints}") from None

    async def brightness(self, slug: str) -> float:
        """Return the mean brightness of a thumbnail."""
        value: float = await self.thumbnail(slug).evaluate(BRIGHTNESS)
        return value


@asynccontextmanager
async def studio(browser: Browser, folder: Path, **settings: str) -> AsyncIterator[Studio]:
    """Open the studio of a server of its own, once its canvases are alive."""
    async with (
        running_server(folder, **{**SETTINGS, **settings}) as server,
        aiohttp.ClientSession() as session,
    ):
        page = await browser.new_page(viewport={"width": 1400, "height": 900})
        opened = Studio(page, server, session)
        await page.goto(str(server.url / "studio" % {"lang": "en"}))
        await page.wait_for_selector('.canvas-card[data-slug="left"] canvas[data-sequence]')
        try:
            yield opened
        finally:
            await page.close()


async def test_thumbnails_live_and_follow_the_settings(browser: Browser, tmp_path: Path) -> None:
    async with studio(browser, tmp_path) as opened:
        first = int(await opened.thumbnail("left").get_attribute("data-sequence") or 0)

        async def lives() -> bool:
            return int(await opened.thumbnail("left").get_attribute("data-sequence") or 0) >= first + 3

        await opened.until(lives, "alive")
        before = await opened.brightness("left")
        await opened.card("left").get_by_role("button", name="Settings").click()
        await opened.setting("processing.brightness").fill("0")

        async def is_dark() -> bool:
            return await opened.brightness("left") < 3

        await opened.until(is_dark, "dark")
        assert before > 20
        assert (await opened.canvas("left"))["processing"]["brightness"] == 0
        assert (await opened.canvas("right"))["processing"]["brightness"] == 1
        await opened.page.get_by_role("button", name="Reset all processing").click()

        async def is_bright() -> bool:
            return await opened.brightness("left") > before / 2

        await opened.until(is_bright, "bright again")
        assert await opened.setting("processing.brightness").input_value() == "1"
        assert opened.complaints == []


async def test_a_part_is_cut_out_by_dragging(browser: Browser, tmp_path: Path) -> None:
    async with studio(browser, tmp_path) as opened:
        await opened.card("left").get_by_role("button", name="Settings").click()
        view = opened.page.locator(".crop-view")
        await view.locator("canvas[data-sequence]").wait_for()
        box = await view.bounding_box()
        assert box is not None
        # The picture is square and stands in the middle.
        side = min(box["width"], box["height"])
        left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2

        mouse = opened.page.mouse
        await mouse.move(left + side * 0.25, top + side * 0.5)
        await mouse.down()
        await mouse.move(left + side * 0.75, top + side * 0.9, steps=4)
        await mouse.up()

        async def is_cut() -> bool:
            return (await opened.canvas("left"))["processing"]["crop"] is not None

        await opened.until(is_cut, "cut")
        crop = (await opened.canvas("left"))["processing"]["crop"]
        expected = {"x": 0.25, "y": 0.5, "width": 0.5, "height": 0.4}
        assert {name: pytest.approx(share, abs=0.02) for name, share in expected.items()} == crop
        assert float(await opened.setting("processing.crop.x").input_value()) == pytest.approx(25, abs=2)


async def test_what_another_device_changes_appears_but_not_over_what_is_typed(
    browser: Browser, tmp_path: Path
) -> None:
    async with studio(browser, tmp_path) as opened:
        await opened.card("left").get_by_role("button", name="Settings").click()
        width = opened.setting("width")
        await width.fill("101")
        complaint = opened.page.locator('.canvas-settings [data-setting="width"] .field-error')
        await complaint.wait_for()

        await opened.patch("left", {"fps": 7, "width": 256})

        async def appears() -> bool:
            return await opened.setting("fps").input_value() == "7"

        await opened.until(appears, "shown")
        assert await width.input_value() == "101"
        assert await complaint.text_content() == "A multiple of 8."
        await width.fill("320")

        async def is_taken() -> bool:
            return (await opened.canvas("left"))["width"] == 320

        await opened.until(is_taken, "taken")
        assert await complaint.is_hidden()


async def test_a_mapping_is_a_setting_of_the_canvas(browser: Browser, tmp_path: Path) -> None:
    async with studio(browser, tmp_path) as opened:
        rows = opened.page.locator("#sound .mapping")
        number = rows.nth(0).locator('[data-setting="high"] input[type="number"]')
        assert await number.input_value() == "4"

        await number.fill("9")
        complaint = rows.nth(0).locator('[data-setting="high"] .field-error')
        await complaint.wait_for()
        assert await complaint.text_content() == "At most 8."
        await number.fill("7.5")
        await opened.page.locator("#sound").get_by_role("button", name="Add").click()

        async def is_stored() -> bool:
            mappings = (await opened.canvas("left"))["audio"]["mappings"]
            return len(mappings) == 3 and mappings[0]["high"] == 7.5

        await opened.until(is_stored, "stored")
        await opened.patch("left", {"audio": {"enabled": False, "mappings": []}})
        await opened.page.get_by_text("Sound moves nothing here.").wait_for()
        assert not await opened.page.get_by_label("Sound moves this canvas").is_checked()
        assert len((await opened.canvas("right"))["audio"]["mappings"]) == 2
        assert opened.complaints == []


async def test_a_canvas_is_made_and_deleted(browser: Browser, tmp_path: Path) -> None:
    async with studio(browser, tmp_path) as opened:
        page = opened.page
        await page.get_by_role("button", name="New canvas").click()
        name = page.get_by_label("Name", exact=True)
        await name.fill("Ceiling")
        await page.get_by_role("button", name="Create").click()
        assert await name.get_attribute("aria-invalid") == "true"
        await name.fill("ceiling")
        dialog = page.get_by_role("dialog", name="New canvas")
        await name.fill("left")
        await page.get_by_role("button", name="Create").click()
        # Toasts lie behind a dialog: what is wrong is told in it.
        await dialog.get_by_role("alert").filter(has_text="left").wait_for()
        await name.fill("ceiling")
        await dialog.get_by_label("Width, px", exact=True).fill("192")
        await page.get_by_role("button", name="Create").click()
        await opened.card("ceiling").wait_for()
        made = await opened.canvas("ceiling")
        # What was left empty is as the server has it.
        assert (made["width"], made["height"], made["fps"]) == (192, 128, 4)

        await opened.card("ceiling").get_by_role("button", name="Delete").click()
        question = page.get_by_role("alertdialog")
        assert "ceiling" in (await question.inner_text())
        await question.get_by_role("button", name="Cancel").click()
        assert await opened.card("ceiling").count() == 1
        await opened.card("ceiling").get_by_role("button", name="Delete").click()
        await question.get_by_role("button", name="Delete").click()

        await opened.card("ceiling").wait_for(state="detached")
        assert await opened.canvas("ceiling") == {}


async def test_a_card_runs_its_canvas(browser: Browser, tmp_path: Path) -> None:
    async with studio(browser, tmp_path) as opened:
        card = opened.card("left")
        await card.get_by_role("button", name="Pause").click()
        await card.get_by_role("button", name="Resume").wait_for()
        assert (await opened.canvas("left"))["paused"] is True
        # The first keeps the painter busy for long enough.
        first = {"prompt": "the first wish", "mode": "variations", "count": 8, **SLOW}
        second = {"prompt": "the second wish", "mode": "once", "when": "queue"}
        third = {"folder": "samples", "when": "queue"}
        for path, body in (("prompt", first), ("prompt", second), ("playlist", third)):
            async with opened.session.post(opened.server.url / "canvases/left" / path, json=body) as response:
                assert response.status == 202
        await card.get_by_text("the second wish").wait_for(state="attached")
        await card.locator("summary").click()
        await card.get_by_role("button", name="Cancel the second wish").click()
        await card.get_by_text("the second wish").wait_for(state="detached")
        # The keyboard goes on where it was.
        assert await card.get_by_role("button", name="Cancel Playlist").evaluate(HAS_FOCUS)
        await opened.page.keyboard.press("Enter")
        await card.get_by_role("button", name="Cancel Playlist").wait_for(state="detached")
        assert await card.locator("summary").evaluate(HAS_FOCUS)

        await card.get_by_role("button", name="Blank").click()
        await card.get_by_role("button", name="Show").wait_for()

        assert (await opened.canvas("left"))["blank"] is True
        assert opened.complaints == []


async def test_who_logs_in_or_out_is_heard_or_not_without_a_reload(browser: Browser, tmp_path: Path) -> None:
    async with studio(browser, tmp_path, PSYCHE_TOKEN=TOKEN) as opened:
        page = opened.page
        await page.get_by_text("left, right: takes no sound from here now.").wait_for()

        await page.locator("#login").click()
        await page.fill("#field-token", TOKEN)
        await page.keyboard.press("Enter")
        await page.get_by_text("Goes to left, right.").wait_for()

        await page.locator("#logout").click()
        await page.get_by_text("left, right: takes no sound from here now.").wait_for()
