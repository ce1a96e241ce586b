"""Sound in a real browser: a microphone that plays a beat moves the picture, a silent one does not."""

from __future__ import annotations

import asyncio
import contextlib
import math
import struct
import time
import wave
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import msgpack
import pytest
from chromium import find_chromium
from playwright.async_api import Browser, Page, async_playwright
from processes import Server, running_server


pytestmark = pytest.mark.browser

SETTINGS = {
    "PSYCHE_SIZE": "128x128",
    "PSYCHE_FPS": "8",
    "PSYCHE_CANVASES": "left",
    "PSYCHE_DEFAULT_PROMPT": "a calm sea at sunset",
}
RATE_HZ = 48_000
# A whole number of beats: a browser plays it again and again.
WAV_S = 4
# Three seconds of a beat; silence needs no more than to be seen.
BEATEN_PICTURES = 24
SILENT_PICTURES = 10
# How long a beat may take to be seen, seconds: where few pictures are painted, they may all meet it alike.
SEEN_S = 60.0
# How long the rest may take, seconds: machines that test are busy.
SOON_S = 30.0

# The hue of each of so many new pictures on the page, in degrees.
HUES = """async (count) => {
    const canvas = document.querySelector('canvas');
    const small = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    small.imageSmoothingQuality = 'high';
    const hues = [];
    let last = canvas.dataset.sequence;
    while (hues.length < count) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        if (canvas.dataset.sequence === last) {
            continue;
        }
        last = canvas.dataset.sequence;
        small.drawImage(canvas, 0, 0, 1, 1);
        const [red, green, blue] = small.getImageData(0, 0, 1, 1).data;
        hues.push(Math.atan2(Math.sqrt(3) * (green - blue), 2 * red - green - blue) * 180 / Math.PI);
    }
    return hues;
}"""

# Keeps what the page's sockets send, each with when: a driver would hear of it late.
KEEP_SENT = """{
    const send = WebSocket.prototype.send;
    window.sent = [];
    WebSocket.prototype.send = function (data) {
        if (typeof data !== 'string') {
            window.sent.push([performance.now(), Array.from(new Uint8Array(data))]);
        }
        send.call(this, data);
    };
}"""


def kick(t: float) -> float:
    """Return a bass drum at 120 a minute."""
    since = t % 0.5
    return 0.8 * math.exp(-since / 0.06) * math.sin(2 * math.pi * (55 + 60 * math.exp(-since / 0.02)) * since)


def nothing(t: float) -> float:
    """Return silence."""
    return 0.0


def write_sound(path: Path, sound: Callable[[float], float]) -> Path:
    """Write a sound as a file that Chromium takes for a microphone."""
    samples = [round(32767 * sound(index / RATE_HZ)) for index in range(RATE_HZ * WAV_S)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


@contextlib.asynccontextmanager
async def listening_page(sound: Path) -> AsyncIterator[Page]:
    """Open a page in a browser whose microphone plays a file, again and again."""
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={sound}",
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        try:
            yield await browser.new_page(viewport={"width": 480, "height": 480})
        finally:
            await browser.close()


async def listen(page: Page, server: Server) -> None:
    """Open the canvas with the microphone, until it listens and paints."""
    await page.add_init_script(KEEP_SENT)
    # The sockets of a worker are out of sight of the page.
    await page.goto(str(server.url / "c/left" % {"audio": "mic", "pipeline": "main"}))
    await page.wait_for_selector('[data-sound="listening"]', state="attached")
    await page.wait_for_selector("canvas[data-sequence]")


async def hues_of(page: Page, count: int) -> list[float]:
    """Return the hues of the next pictures."""
    hues: list[float] = await page.evaluate(HUES, count)
    return hues


async def hues_that_turn(page: Page, more_than: float) -> list[float]:
    """Return the hues of pictures in a row that turn by more than that; the last ones where none do."""
    ends_at = time.monotonic() + SEEN_S
    while True:
        hues = await hues_of(page, BEATEN_PICTURES)
        if turned(hues) > more_than or time.monotonic() > ends_at:
            return hues


async def audio_sent(page: Page) -> list[tuple[float, dict[str, Any]]]:
    """Return the messages about sound that a page has sent, each with its milliseconds."""
    sent = [(at_ms, msgpack.unpackb(bytes(data))) for at_ms, data in await page.evaluate("window.sent")]
    return [(at_ms, message) for at_ms, message in sent if message["type"] == "audio"]


async def sent_with_tempo(page: Page, low: float, high: float) -> list[tuple[float, dict[str, Any]]]:
    """Wait until the tempo that a page tells lies between two, and return all messages about sound."""
    tempos: list[float] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SOON_S):
            while True:
                sent = await audio_sent(page)
                tempos = [message["tempo_bpm"] for _, message in sent if "tempo_bpm" in message]
                if tempos and low < tempos[-1] < high:
                    return sent
                await asyncio.sleep(0.1)
    raise AssertionError(f"the page tells the tempos {tempos}")


def turned(hues: list[float]) -> float:
    """Return by how many degrees the hue changes from picture to picture, on average."""
    turns = [abs((hue - before + 180) % 360 - 180) for before, hue in pairwise(hues)]
    return sum(turns) / len(turns)


async def audio_state(server: Server) -> dict[str, Any]:
    """Return what the server has heard on the canvas."""
    async with aiohttp.ClientSession() as session, session.get(server.url / "state") as response:
        state = await response.json()
    audio: dict[str, Any] = state["canvases"]["left"]["audio"]
    return audio


async def audio_until(server: Server, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until something holds of what the server has heard on the canvas, and return that."""
    audio: dict[str, Any] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SOON_S):
            while not condition(audio := await audio_state(server)):  # noqa: ASYNC110 - a server has no such event
                await asyncio.sleep(0.05)
            return audio
    raise AssertionError(f"the server says {audio}")


async def test_a_beat_moves_the_picture_and_silence_does_not(tmp_path: Path) -> None:
    beat = write_sound(tmp_path / "beat.wav", kick)
    silence = write_sound(tmp_path / "silence.wav", nothing)
    async with running_server(tmp_path, **SETTINGS) as server:
        async with listening_page(silence) as page:
            await listen(page, server)
            still = await hues_of(page, SILENT_PICTURES)
            sent_in_silence = await audio_sent(page)
            after_silence = await audio_state(server)

        async with listening_page(beat) as page:
            await listen(page, server)
            enough = 3 * turned(still) + 1.0
            moved = await hues_that_turn(page, enough)
            sent = await sent_with_tempo(page, 117, 123)
            # All that was sent arrives, and nearly all of it counts: what a busy machine holds up comes
            # together and is too much for a moment, but not on the whole.
            after_beat = await audio_until(
                server,
                lambda told: (
                    told["heard"] + told["ignored"] >= len(sent) and told["ignored"] <= 0.2 * told["heard"]
                ),
            )

    assert sent_in_silence == []
    assert after_silence["heard"] == 0
    told = f"{turned(moved):.2f} degrees from picture to picture, {turned(still):.2f} in silence"
    assert turned(moved) > enough, told
    assert after_beat["heard"] > 20
    assert len(sent) > 20
    # At most 20 a second, and never two at once.
    assert min(later_ms - at_ms for (at_ms, _), (later_ms, _) in pairwise(sent)) > 49.8
    for _, message in sent:
        features = {name: message[name] for name in ("level", "low", "mid", "high", "onset", "beat")}
        assert all(0 <= value <= 1 for value in features.values())
        assert set(message) <= {"type", "tempo_bpm", *features}


async def test_a_file_in_the_studio_is_heard_by_its_canvas(browser: Browser, tmp_path: Path) -> None:
    beat = write_sound(tmp_path / "beat.wav", kick)
    async with running_server(tmp_path, **SETTINGS) as server:
        page = await browser.new_page()
        await page.goto(str(server.url / "studio" % {"lang": "en"}))
        await page.get_by_label("A file").check()
        await page.get_by_label("Sound file").set_input_files(beat)
        await page.get_by_text("Goes to left.").wait_for()
        # Browsers let no page sound that nobody has touched.
        await page.get_by_role("heading", name="What sound moves").click()
        await page.get_by_text("Listening.").wait_for()
        heard = await heard_more(server, 0)

        await page.get_by_role("button", name="Pause", exact=True).last.click()
        await page.get_by_role("button", name="Play", exact=True).wait_for()
        before = await heard_at_last(server)

        assert before >= heard > 0
        await page.get_by_role("button", name="Play", exact=True).click()
        assert await heard_more(server, before) > before

        # The file is still chosen, and no browser tells that a second time.
        await page.get_by_role("radio", name="Microphone").check()
        before = await heard_at_last(server)
        await page.get_by_role("radio", name="A file").check()
        assert await heard_more(server, before) > before


async def heard_more(server: Server, before: int) -> int:
    """Wait until the canvas has heard more than so many messages, and return how many."""
    heard: int = (await audio_until(server, lambda told: told["heard"] > before))["heard"]
    return heard


async def heard_at_last(server: Server) -> int:
    """Wait until the canvas hears nothing more, and return how many messages it has heard."""
    before, heard = -1, 0
    async with asyncio.timeout(SOON_S):
        while heard > before:
            # Ten messages would have come meanwhile.
            await asyncio.sleep(0.6)
            before, heard = heard, (await audio_state(server))["heard"]
    return heard


async def test_a_microphone_that_is_refused_says_so(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server:
        page = await browser.new_page()
        await page.goto(str(server.url / "studio" % {"lang": "en"}))

        await page.locator("#sound").get_by_role("button", name="Listen").click()

        # Without anybody to ask, Chromium refuses; without any microphone, it says so.
        refused = page.locator('#sound [data-sound="refused"], #sound [data-sound="absent"]')
        await refused.wait_for()
        assert await page.locator("#sound .sound-status.is-wrong").inner_text() != ""
        # What is refused is over; what is absent is waited for, and that can be stopped.
        is_awaited = await page.locator('#sound [data-sound="absent"]').count() == 1
        await page.get_by_role("button", name="Stop" if is_awaited else "Listen", exact=True).wait_for()
