"""The stage in a real browser: what it tells of the job, at which instant, and at every size."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pages import until
from PIL import Image
from playwright.async_api import Browser
from processes import Server, running_server
from stage_page import SETTINGS, Stage, ask, play, send, stage
from yarl import URL


pytestmark = pytest.mark.browser


def seconds(clock: str) -> int:
    minutes, rest = clock.removeprefix("−").split(":")
    return 60 * int(minutes) + int(rest)


# Writes down, frame by frame, where the bar stands and which step is told.
RECORD = """() => {
    window.record = [];
    const look = () => {
        const bar = document.querySelector('[data-part=bar]');
        const step = /(\\d+) \\/ (\\d+)/.exec(document.querySelector('[data-part=step]').textContent);
        if (bar.offsetParent !== null && step !== null && !bar.matches('.is-endless')) {
            record.push([new DOMMatrix(getComputedStyle(bar).transform).a, Number(step[1]), Number(step[2])]);
        }
        requestAnimationFrame(look);
    };
    look();
}"""


async def test_a_wish_is_told_with_who_asked_and_the_bar_goes_to_its_end(
    browser: Browser, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "PSYCHE_SIZE": "1536x1536"}
    async with running_server(tmp_path, **settings) as server, stage(browser, server) as page:
        await page.until(lambda shown: shown["phase"] == "waiting")
        await page.page.evaluate(RECORD)

        job = await ask(
            server, "a lighthouse in a storm", mode="once", steps=60, author="Ann", message="For grandpa!"
        )

        shown = await page.until(lambda shown: shown["who"] == "Ann")
        assert (shown["message"], shown["prompt"]) == ("For grandpa!", "a lighthouse in a storm")
        # Whose picture is shown keeps the credit for it once it is finished.
        await page.until(
            lambda shown: (
                shown.get("job") == job["id"]
                and (shown["phase"], shown["who"], shown["elapsed"]) == ("waiting", "Ann", "")
            )
        )
        # Longer than its last picture is waited for.
        await asyncio.sleep(1.2)
        shown = await page.shown()
        assert (shown["phase"], shown["who"], shown["elapsed"]) == ("waiting", "Ann", "")
        record = await page.page.evaluate("record")
        fractions = [fraction for fraction, _, _ in record]
        assert fractions == sorted(fractions), "never backwards"
        assert len(set(fractions)) >= 5, "it moves"
        assert all(total == 60 for _, _, total in record)
        assert max(fractions) > 0.5
        assert page.complaints == []


HOSTILE = (
    "<img src=x onerror=\"document.title='taken'\"><b>bold</b>&amp; <script>document.title='taken'</script>"
)


async def test_what_strangers_write_is_text_and_nothing_else(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, stage(browser, server) as page:
        await page.until(lambda shown: shown["phase"] == "waiting")
        count = "document.querySelectorAll('*').length"
        before = await page.page.evaluate(count)
        fields = {"author": f"\u202e{HOSTILE[:40]}", "message": HOSTILE}
        await ask(server, HOSTILE, **fields)
        await ask(server, HOSTILE, mode="once", when="queue", **fields)

        shown = await page.until(lambda shown: shown["message"] == HOSTILE)

        # It is said once where the prompt is the same.
        assert (shown["who"], shown["prompt"]) == (HOSTILE[:40], "")
        assert await page.page.evaluate(count) == before
        assert await page.page.title() == "stage · Psyche"
        assert page.complaints == []


async def test_five_who_wait_are_listed_in_their_order(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, stage(browser, server) as page:
        await play(server)
        for number in range(1, 8):
            await ask(server, f"wish {number}", mode="once", when="queue", author=f"person {number}")

        shown = await page.until(lambda shown: shown["more"] == "and 2 more")

        assert shown["rows"] == [[f"person {number}", f"wish {number}"] for number in range(1, 6)]
        assert (shown["label"], shown["prompt"]) == ("Showing", "Sample pictures")


async def test_a_source_that_was_hidden_is_where_it_should_be(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, stage(browser, server) as page:
        await page.until(lambda shown: shown["phase"] == "waiting")
        await page.page.evaluate("freeze()")
        job = await play(server)
        # The entrance takes less than a second; two have to be told apart from none.
        await asyncio.sleep(max(0.0, job["started_ms"] / 1000.0 + 2.8 - time.time()))

        early_s = time.time() - job["started_ms"] / 1000.0
        await page.page.evaluate("thaw()")

        # The bar comes to its place before the next paint.
        shown = await page.until(lambda shown: shown["elapsed"] != "" and shown["bar"] > 0)
        late_s = time.time() - job["started_ms"] / 1000.0
        assert 2 <= seconds(shown["elapsed"]) <= late_s
        assert 70 - late_s - 1.5 <= seconds(shown["remaining"]) <= 70 - early_s + 1.5
        assert 1 / 7 <= shown["bar"] <= (2 + late_s // 10) / 7
        # What came in while nobody looked does not come in again.
        left_ms = await page.page.evaluate(
            "Math.max(...document.getAnimations().filter((one) => /^rise/.test(one.animationName ?? ''))"
            ".map((one) => one.effect.getComputedTiming().endTime - one.currentTime), 0)"
        )
        assert left_ms == 0
        opacities = await page.page.evaluate(
            "[...document.querySelectorAll('.job > *')].map((one) => getComputedStyle(one).opacity)"
        )
        assert set(opacities) == {"1"}


async def test_the_words_of_a_new_job_come_in(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, stage(browser, server) as page:
        await page.until(lambda shown: shown["phase"] == "waiting")
        await page.page.evaluate(
            "window.entered = []; document.addEventListener('animationend', ({ target }) => {"
            " window.entered.push([target.dataset.part, target.textContent]); })"
        )
        words = [["who", "Ann"], ["message", "hello"], ["prompt", "a wood"]]

        await ask(server, "a wood", author="Ann", message="hello")

        async def entered() -> list[list[str]]:
            # Whatever else moves in is not asked for.
            return [one for one in await page.page.evaluate("entered") if one in words][: len(words)]

        async def have_entered() -> bool:
            return len(await entered()) == len(words)

        await until(have_entered)
        assert await entered() == words, "in their order"


async def test_a_stage_lies_on_what_is_behind_it_or_on_a_ground_of_its_own(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        running_server(tmp_path, **SETTINGS) as server,
        stage(browser, server, "?background=transparent") as page,
        stage(browser, server, "?background=%23203040&hud=0", width=800, height=600) as other,
    ):
        await play(server)
        await page.until(lambda shown: int(shown.get("painted", 0)) >= 1 and shown["phase"] == "painting")
        # The picture takes more than half a second to come in, and the HUD has its own time.
        await page.page.wait_for_function(
            "() => ['canvas', '.place', '.hud'].every((name) =>"
            " getComputedStyle(document.querySelector(name)).opacity === '1')"
        )

        picture = Image.open(io.BytesIO(await page.page.screenshot(omit_background=True))).convert("RGBA")

        def alpha(x: int, y: int) -> int:
            *_, value = picture.getpixel((x, y))  # type: ignore[misc]  # A tuple, as the picture has four bands.
            return int(value)

        assert [alpha(5, 5), alpha(1915, 1075), alpha(1052, 540)] == [0, 0, 0], "beside everything"
        assert alpha(540, 540) == 255, "the picture"
        assert 150 < alpha(1500, 500) < 255, "the HUD"

        await other.until(lambda shown: int(shown.get("painted", 0)) >= 1)
        grounded = Image.open(io.BytesIO(await other.page.screenshot())).convert("RGB")
        assert grounded.getpixel((2, 300)) == (0x20, 0x30, 0x40), "nothing but the picture on its ground"
        assert await other.page.evaluate("document.querySelector('.hud').offsetParent === null")


LONG_NAME = "xX_NameWithoutAnySpaces_Xx" * 4
LONG = "An old lighthouse keeper feeds the gulls while a storm with green lightning rolls in. " * 23


SIZES = [(1920, 1080), (3840, 2160), (800, 600), (390, 844), (1080, 1920), (2560, 1080)]


async def at_every_size(page: Stage, condition: Callable[[dict[str, Any]], bool]) -> None:
    """See that nothing overflows at any size, once the stage shows what it is to show."""
    for width, height in SIZES:
        await page.page.set_viewport_size({"width": width, "height": height})
        await page.until(condition)
        await page.until_in_place()


async def test_nothing_overflows_at_any_size(browser: Browser, tmp_path: Path) -> None:
    unbroken = {"author": LONG_NAME, "message": "Слишкомдлинноеслово" * 40 + LONG[:1000]}
    worded = {"author": LONG_NAME, "message": LONG[:1990]}
    async with (
        running_server(tmp_path, **SETTINGS) as server,
        stage(browser, server, "?caption=" + "All%20for%20you%20" * 9) as page,
    ):
        # A canvas that is paused does not finish what it paints live, and what waits waits.
        await send(server, "PATCH", "/canvases/stage", {"paused": True})
        await ask(server, LONG[:1990], mode="variations", count=64, steps=100, **worded)
        for _ in range(7):
            await ask(server, LONG[:1990], mode="once", when="queue", **unbroken)
        await at_every_size(page, lambda shown: shown["who"].startswith("xX") and len(shown["rows"]) == 5)

        await send(server, "POST", "/canvases/stage/queue/clear")
        await send(server, "PATCH", "/canvases/stage", {"paused": False})
        await send(server, "POST", "/canvases/stage/queue/skip")
        await ask(server, LONG[:1990], **unbroken)
        await at_every_size(
            page, lambda shown: shown["message"].startswith("Слишком") and shown["rows"] == []
        )


async def test_a_pause_a_blackout_and_the_end_of_the_canvas_are_told_quietly(
    browser: Browser, tmp_path: Path
) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, stage(browser, server) as page:
        await ask(server, "a wood", author="Ann")
        await page.until(lambda shown: shown["who"] == "Ann" and int(shown.get("painted", 0)) >= 1)

        await send(server, "PATCH", "/canvases/stage", {"paused": True})
        shown = await page.until(lambda shown: shown["phase"] == "paused")
        assert (shown["label"], shown["who"]) == ("Paused", "Ann")

        await send(server, "PATCH", "/canvases/stage", {"blank": True})
        shown = await page.until(lambda shown: shown["phase"] == "blank" and shown["seen"] == "0")
        assert shown["who"] == ""
        await page.page.wait_for_function(
            "() => getComputedStyle(document.querySelector('.place')).opacity === '0'"
        )

        await send(server, "PATCH", "/canvases/stage", {"blank": False, "paused": False})
        await page.until(lambda shown: shown["phase"] == "painting" and shown["who"] == "Ann")

        await send(server, "DELETE", "/canvases/stage")
        shown = await page.until(lambda shown: shown["phase"] == "gone")
        assert (shown["label"], shown["who"]) == ("There is no such canvas", "stage")


@asynccontextmanager
async def way_to(server: Server) -> AsyncIterator[Way]:
    """Lead to a server, in a way that can be cut."""
    way = Way(server)
    await way.open()
    try:
        yield way
    finally:
        await way.cut()


class Way:
    """Passes on what a browser and a server say to each other, until it is cut."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._port = 0
        self._ends: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> URL:
        return self._server.url.with_port(self._port)

    async def open(self) -> None:
        """Lead there, and again to the same address after a cut."""
        self._listener = await asyncio.start_server(self._join, "127.0.0.1", self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break every connection, and take no other one."""
        if self._listener is not None:
            self._listener.close()
        for end in self._ends:
            end.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._server.url.port)
        self._ends |= {writer, back}
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()


async def test_without_a_connection_everything_is_kept_and_comes_back(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        running_server(tmp_path, **SETTINGS) as server,
        way_to(server) as way,
        stage(browser, way) as page,
    ):
        await ask(server, "a wood", author="Ann")
        await page.until(lambda shown: shown["who"] == "Ann" and int(shown.get("painted", 0)) >= 1)
        await way.cut()

        shown = await page.until(lambda shown: shown["phase"] == "lost")
        assert (shown["label"], shown["who"]) == ("No connection", "Ann")

        await send(server, "POST", "/canvases/stage/queue/skip")
        await way.open()
        await page.until(lambda shown: shown["phase"] == "waiting", within_s=30)


async def test_it_speaks_russian_and_has_a_caption(browser: Browser, tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, **SETTINGS) as server,
        stage(browser, server, "?lang=ru&caption=Всё для вас") as page,
    ):
        shown = await page.until(lambda shown: shown["phase"] == "waiting")

        assert (shown["label"], shown["who"]) == ("Ожидание", "Ждём следующее желание")
        assert shown["caption"] == "Всё для вас"
        assert await page.page.evaluate("document.documentElement.lang") == "ru"


async def test_a_stage_with_nothing_to_do_rests(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, stage(browser, server) as page:
        await page.until(lambda shown: shown["phase"] == "waiting" and shown["seen"] == "1")
        running = "document.getAnimations().filter((one) => one.playState === 'running').length"

        async def rests() -> bool:
            before = await page.page.evaluate("frames_asked")
            await asyncio.sleep(1.0)
            return bool(await page.page.evaluate(f"frames_asked === {before} && {running} === 0"))

        await until(rests)
