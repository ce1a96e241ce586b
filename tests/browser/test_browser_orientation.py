"""Which way up a real browser shows a file, and which way up what is made of it lies: the same."""

from __future__ import annotations

from base64 import b64encode

import pytest
from images import image_file
from PIL import Image
from playwright.async_api import Browser

from server.streaming.images import encoders, transcoding


pytestmark = pytest.mark.browser

# The size in which a file is shown, and its first pixel.
SHOWN = """async ([base64, type]) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type }));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    canvas.drawImage(bitmap, 0, 0);
    return [bitmap.width, bitmap.height, ...canvas.getImageData(0, 0, 1, 1).data].slice(0, 4);
}"""


@pytest.mark.parametrize("format_", ["jpeg", "png", "webp"])
async def test_a_picture_lies_in_every_tier_as_the_browser_shows_its_original(
    browser: Browser, format_: str
) -> None:
    page = await browser.new_page()
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[encoders.ORIENTATION] = orientation
        original = encoders.inspect(image_file(format_, width=64, height=48, exif=exif))
        tier = transcoding.write(transcoding.load(original.data), "png", 1)
        shown = [
            await page.evaluate(SHOWN, [b64encode(image.data).decode(), f"image/{image.format}"])
            for image in (original, tier)
        ]

        assert shown[0][:2] == shown[1][:2] == [original.width, original.height]
        assert shown[0][2:] == pytest.approx(shown[1][2:], abs=12)
