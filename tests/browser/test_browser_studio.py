"""The studio in a real browser: a show run from one page, against a real server."""

from __future__ import annotations

import asyncio
import io
import itertools
from pathlib import Path

import pytest
from pages import post
from PIL import Image
from playwright.async_api import Browser
from processes import running_server
from studio_page import LONG, SERIES, SETTINGS, Studio, studio


pytestmark = pytest.mark.browser


def is_rising(values: list[int]) -> bool:
    return all(one < other for one, other in itertools.pairwise(values))


async def test_a_prompt_to_two_canvases_is_seen_moving_and_its_results_are_listed(
    browser: Browser, tmp_path: Path
) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, studio(browser, server) as page:
        await page.watch()
        await page.write("a lighthouse in a storm", **LONG)
        await page.page.click("#targets-all")
        await page.page.press("#field-prompt", "Control+Enter")

        await page.until("document.querySelectorAll('.result').length === 2", within_s=90.0)

        seen = {job: about for job, about in (await page.seen()).items() if len(about["values"]) > 0}
        assert len(seen) == 2
        for about in seen.values():
            assert len(about["values"]) >= 5, about
            assert is_rising(about["values"]), about
            assert max(about["values"]) <= 100
            assert len(about["previews"]) >= 2, "the preview moves as well"
        jobs = (await page.get("/jobs"))["jobs"]
        made = [job for job in jobs if job["prompt"] == "a lighthouse in a storm"]
        assert {job["canvas"] for job in made} == {"left", "right"}
        assert len({job["session"] for job in made}) == 1
        summary = await page.page.inner_text(".result-summary >> nth=0")
        assert "procedural · 2048 × 2048 · Steps 100 · Seed " in summary
        assert await page.page.evaluate(
            "[...document.querySelectorAll('.result img')].every((image) => image.alt.includes('lighthouse'))"
        )
        assert page.complaints == []


async def test_a_result_tells_how_it_was_made_and_is_used_again(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, studio(browser, server) as page:
        body = {"prompt": "a paper city", "mode": "variations", "count": 2, "seed": 41, "author": "Ann"}
        await post(server, "/jobs", {**body, "steps": 3, "negative_prompt": "people", "canvases": ["right"]})
        await page.until("document.querySelectorAll('.result').length === 2")

        await page.page.click(".result:nth-child(2) summary")
        # A result is unfolded in a turn of its own.
        told = "document.querySelector('.result:nth-child(2) .facts')"
        await page.until(f"{told}?.innerText")
        facts = await page.page.inner_text(".result:nth-child(2) .facts")
        for fact in (
            "a paper city",
            "people",
            "procedural",
            "128 × 128",
            "42",
            "right",
            "Ann",
            "Painted for",
        ):
            assert fact in facts, facts

        await page.page.click(".result:nth-child(2) .result-actions button >> nth=0")
        assert await page.page.evaluate("document.activeElement.id") == "field-prompt"
        assert await page.page.input_value("#field-prompt") == "a paper city"
        assert await page.page.input_value("#field-negative") == "people"
        assert await page.page.input_value("#field-seed") == "42"
        assert await page.page.input_value("#field-count") == "2"
        assert await page.page.input_value("#field-author") == "Ann"
        assert await page.page.is_checked("input[name=seeding][value=keep]")
        assert await page.page.is_checked("#targets input[value=right]")
        assert not await page.page.is_checked("#targets input[value=left]")
        assert page.complaints == []


async def test_two_pictures_are_compared_with_their_differences_marked(
    browser: Browser, tmp_path: Path
) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, studio(browser, server) as page:
        await post(server, "/jobs", {"prompt": "a hill", "mode": "variations", "count": 2, "seed": 5})
        await page.until("document.querySelectorAll('.result').length === 2")
        for number in (1, 2):
            await page.page.click(f".result:nth-child({number}) .result-actions button >> nth=1")

        await page.until("document.querySelector('#compare-dialog').open")
        different = await page.page.inner_text("#compare-rows tr.is-different")
        assert "Seed" in different
        assert "differs" in different
        assert await page.page.locator("#compare-rows tr", has_text="Prompt").get_attribute("class") == ""

        # The slider, by keys alone: its edge goes to where nothing of B is left.
        await page.page.focus("input[name=compare-view][value=sides]")
        await page.page.keyboard.press("ArrowRight")
        edge = "document.querySelector('#compare-top').style.clipPath"
        await page.until(f"{edge} === 'inset(0px 0px 0px 50%)'")
        await page.page.focus("#compare-slider")
        await page.page.keyboard.press("End")
        await page.until(f"{edge} === 'inset(0px 0px 0px 100%)'")
        await page.page.keyboard.press("Escape")
        await page.until("!document.querySelector('#compare-dialog').open")
        assert page.complaints == []


async def test_a_job_is_cancelled_mid_run(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, studio(browser, server) as page:
        job = (await post(server, "/jobs", {"prompt": "a long one", **SERIES}))["job"]
        row = f"#jobs-running > [data-id='{job['id']}']"
        await page.until(
            f"""Number(document.querySelector("{row} .bar")?.getAttribute('aria-valuenow')) > 2"""
        )

        await page.page.click(f"{row} > button")

        ended = await page.until_server(
            f"/jobs/{job['id']}", lambda answer: answer["job"]["state"] == "cancelled"
        )
        assert 0 < ended["job"]["step"] < ended["job"]["total_steps"]
        await page.until(f"""document.querySelector("{row}") === null""")
        # The focus goes to the row beside it, or to the panel where that was the last one.
        assert await page.page.evaluate("document.activeElement.closest('#jobs') !== null")
        await page.page.click("#ended > summary")
        # Out of sight it is not laid out, and has no text until it is.
        told = f"""document.querySelector("#jobs-ended > [data-id='{job["id"]}']")?.innerText"""
        await page.until(f"{told}?.includes('Cancelled')")
        assert page.complaints == []


async def test_one_key_blanks_every_canvas_and_brings_them_back(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, studio(browser, server) as page:
        await page.page.fill("#field-prompt", "b")
        assert all(not canvas["blank"] for canvas in (await page.get("/canvases"))["canvases"])

        await page.page.keyboard.press("Escape")
        await press_blank(page, becomes=True)
        assert "Show everything" in await page.page.inner_text("#blank")
        await press_blank(page, becomes=False)

        # The events may be cut off while the server can still be asked.
        await page.cut_off()
        await press_blank(page, becomes=True)
        await press_blank(page, becomes=False)

        await page.page.route("**/canvases/left", lambda route: route.abort())
        await page.page.keyboard.press("b")
        await page.until("document.querySelector('.toast[role=alert]') !== null")
        assert "1 canvas could not be changed: left" in await page.page.inner_text(".toast[role=alert]")
        announced = await page.page.inner_text("#announcer")
        assert announced == "All canvases show their pictures again", "nothing that is not so"


async def press_blank(page: Studio, *, becomes: bool) -> None:
    """Press the key, and see what becomes of it on the server, on the button and in words."""
    await page.page.keyboard.press("b")
    await page.until_server(
        "/canvases", lambda answer: all(canvas["blank"] is becomes for canvas in answer["canvases"])
    )
    words = "All canvases are dark" if becomes else "All canvases show their pictures again"
    await page.until(f"document.querySelector('#announcer').textContent === '{words}'")
    assert await page.page.evaluate("document.querySelector('#blank').matches('.is-on')") is becomes
    assert await page.page.get_attribute("#blank", "aria-pressed") is None, "its words tell it"


async def test_what_is_ready_and_what_failed_is_told_to_who_does_not_see_it(
    browser: Browser, tmp_path: Path
) -> None:
    async with running_server(tmp_path, **SETTINGS) as server:
        before = (await post(server, "/jobs", {"prompt": "an early one"}))["job"]
        async with studio(browser, server, lang="ru") as page:
            await page.until_server(f"/jobs/{before['id']}", lambda it: it["job"]["state"] == "succeeded")
            await page.until("document.querySelectorAll('.result').length === 1")
            job = (await post(server, "/jobs", {"prompt": "a hill"}))["job"]
            # The early one may end while the page begins to follow: both are told at once then.
            await page.until(
                "/^Готов(а 1|ы 2) картин/.test(document.querySelector('#announcer').textContent)"
            )

            failed = {"id": "failed", "state": "failed", "kind": "live", "error": "no memory"}
            page.tell({"type": "job", "job": {**job, **failed, "created_ms": job["created_ms"] + 1}})
            await page.until("document.querySelector('#toasts[aria-live] > .toast[role=alert]') !== null")
            assert "«a hill» не получилось: no memory" in await page.page.inner_text("#toasts")
            assert page.complaints == []


async def test_a_refresh_and_a_second_page_show_everything_in_its_place(
    browser: Browser, tmp_path: Path
) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, studio(browser, server) as page:
        await post(server, "/jobs", {"prompt": "an early one", "seed": 3})
        await page.until("document.querySelectorAll('.result').length === 1")
        await page.write("half written", steps=9)
        await page.page.check("#targets input[value=right]")
        job = (await post(server, "/jobs", {"prompt": "a long one", **SERIES, "canvases": ["right"]}))["job"]
        value = f"""Number(document.querySelector("#jobs-running > [data-id='{job["id"]}'] .bar")
            ?.getAttribute('aria-valuenow'))"""
        await page.until(f"{value} >= 3", within_s=60.0)
        before = await page.page.evaluate(value)
        listed = """[...document.querySelectorAll('.result-prompt')]
            .some((prompt) => prompt.textContent === 'an early one')"""

        # What was typed last is kept, too.
        await page.page.fill("#field-negative", "fog")
        await page.page.reload()
        await page.connected()
        async with studio(browser, server) as second:
            for shown in (page, second):
                await shown.until(f"{value} >= {before}", within_s=60.0)
                await shown.until(listed)
            assert await second.page.input_value("#field-prompt") == "", "a draft is of its own browser"
            await page.until(f"{value} > {before}", within_s=60.0)
        assert await page.page.input_value("#field-prompt") == "half written"
        assert await page.page.input_value("#field-steps") == "9"
        assert await page.page.input_value("#field-negative") == "fog"
        assert await page.page.is_checked("#targets input[value=right]")
        assert page.complaints == []


async def test_an_image_is_uploaded_shown_and_painted_from(browser: Browser, tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (96, 64), (200, 30, 30)).save(picture, "PNG")
    async with running_server(tmp_path, **SETTINGS) as server, studio(browser, server) as page:
        await page.write("a red field")
        await page.page.check("input[name=source][value=upload]", force=True)
        files = [{"name": "red.png", "mimeType": "image/png", "buffer": picture.getvalue()}]
        await page.page.set_input_files("#field-image", files)  # type: ignore[arg-type]  # its own record
        await page.until("document.querySelector('#image-state').textContent === '96 × 64'")
        assert await page.page.evaluate("document.querySelector('#image-preview').naturalWidth") == 96

        await page.page.click("#send")
        await page.until("document.querySelectorAll('.result').length === 1")
        [job] = [job for job in (await page.get("/jobs"))["jobs"] if job["prompt"] == "a red field"]
        assert job["parameters"]["strength"] == 0.6

        broken = [{"name": "broken.png", "mimeType": "image/png", "buffer": b"\x89PNG no picture"}]
        await page.page.set_input_files("#field-image", broken)  # type: ignore[arg-type]  # its own record
        await page.until("document.querySelector('#error-upload').textContent !== ''")
        assert await page.page.get_attribute("#field-image", "aria-invalid") == "true"


async def test_it_speaks_russian(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server:
        context = await browser.new_context(locale="ru-RU")
        async with studio(context, server, "/test/websocket") as page:
            assert await page.page.get_attribute("html", "lang") == "ru"
            assert "Рисовать" in await page.page.inner_text("#send")
            await page.page.click("#targets-all")
            await page.until("document.querySelector('#targets-note').textContent === 'на 2 холста'")
            await page.write("маяк в шторм")
            await page.page.click("#send")
            await page.until("document.querySelectorAll('.result').length === 2")
            assert "Зерно" in await page.page.inner_text(".result-summary >> nth=0")

            await page.page.select_option("#language", "en")
            assert await page.page.get_attribute("html", "lang") == "en"
            assert "Seed" in await page.page.inner_text(".result-summary >> nth=0")
            await page.page.reload()
            await page.connected()
            assert await page.page.get_attribute("html", "lang") == "en", "the choice is remembered"
            assert page.complaints == []
        await context.close()


async def test_a_show_is_run_by_keys_alone(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, studio(browser, server) as page:
        keys = page.page.keyboard
        await keys.press("?")
        await page.until("document.querySelector('#keys-dialog').open")
        await keys.press("b")
        await keys.press("Escape")
        await page.until("!document.querySelector('#keys-dialog').open")
        assert all(not canvas["blank"] for canvas in (await page.get("/canvases"))["canvases"])

        await keys.press("p")
        assert await page.page.evaluate("document.activeElement.id") == "field-prompt"
        await keys.type("by keys alone / with b and ?")
        await focus(page, "input[name=mode]:checked")
        await keys.press("ArrowRight")
        assert await page.page.is_checked("input[name=mode][value=once]")
        await keys.press("Control+Enter")
        await page.until("document.querySelectorAll('.result').length === 1")
        await keys.press("p")
        await keys.press("Escape")
        # Keys are keys again.
        await keys.press("?")
        await page.until("document.querySelector('#keys-dialog').open")
        await keys.press("Escape")
        assert await page.page.inner_text(".result-prompt") == "by keys alone / with b and ?"

        await focus(page, ".result-actions button")
        await keys.press("Enter")
        assert await page.page.evaluate("document.activeElement.id") == "field-prompt"
        assert page.complaints == []


async def focus(page: Studio, selector: str) -> None:
    """Go there by the Tab key, and see that whatever has the focus shows it."""
    for _ in range(150):
        if await page.page.evaluate(f"document.activeElement.matches('{selector}')"):
            return
        await page.page.keyboard.press("Tab")
        outline = await page.page.evaluate(
            """() => {
                const now = document.activeElement;
                const both = [now, now.closest('label') ?? now];
                const outlined = both.map((one) => getComputedStyle(one));
                return now === document.body || outlined.some((style) => style.outlineStyle !== 'none');
            }"""
        )
        assert outline, await page.page.evaluate("document.activeElement.outerHTML")
    raise AssertionError(f"the Tab key does not lead to {selector}")


async def test_two_presses_of_the_button_send_one_prompt(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, studio(browser, server) as page:
        await page.write("only once")
        await page.page.dblclick("#send")
        await page.until("document.querySelectorAll('.result').length > 0")
        # Both presses are answered by now, whatever became of them.
        await asyncio.sleep(0.3)

        jobs = (await page.get("/jobs"))["jobs"]
        assert len([job for job in jobs if job["prompt"] == "only once"]) == 1
