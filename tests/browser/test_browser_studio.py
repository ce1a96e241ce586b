"""The studio in a real browser: a show run from one page, against a real server."""

from __future__ import annotations

import asyncio
import io
import itertools
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image
from playwright.async_api import Browser
from processes import Server, running_server
from studio_page import LONG, SERIES, SLOW, Studio, studio


pytestmark = pytest.mark.browser

SETTINGS = {"PSYCHE_SIZE": "128x128", "PSYCHE_FPS": "4"}
TOKEN = "a-token-that-nobody-guesses"


async def post(server: Server, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(server.url.with_path(path), json=body) as response,
    ):
        assert response.status in (201, 202), await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


def is_rising(values: list[int]) -> bool:
    return all(one < other for one, other in itertools.pairwise(values))


async def test_a_prompt_to_two_canvases_is_seen_moving_and_its_results_are_listed(
    browser: Browser, tmp_path: Path
) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, studio(browser, server) as page:
        await page.watch()
        await page.write("a lighthouse in a storm", **SLOW)
        await page.page.click("#targets-all")
        await page.page.press("#field-prompt", "Control+Enter")

        await page.until("document.querySelectorAll('.result').length === 2", within_s=60.0)

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
        assert "procedural · 1024 × 1024 · Steps 100 · Seed " in summary
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

        assert await page.page.evaluate("document.querySelector('#compare-dialog').open")
        different = await page.page.inner_text("#compare-rows tr.is-different")
        assert "Seed" in different
        assert "differs" in different
        assert await page.page.locator("#compare-rows tr", has_text="Prompt").get_attribute("class") == ""

        # The slider, by keys alone: its edge goes to where nothing of B is left.
        await page.page.focus("input[name=compare-view][value=sides]")
        await page.page.keyboard.press("ArrowRight")
        edge = "document.querySelector('#compare-top').style.clipPath"
        assert await page.page.evaluate(edge) == "inset(0px 0px 0px 50%)"
        await page.page.focus("#compare-slider")
        await page.page.keyboard.press("End")
        assert await page.page.evaluate(edge) == "inset(0px 0px 0px 100%)"
        await page.page.keyboard.press("Escape")
        assert not await page.page.evaluate("document.querySelector('#compare-dialog').open")
        assert page.complaints == []


async def test_a_job_is_cancelled_mid_run(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, studio(browser, server) as page:
        job = (await post(server, "/jobs", {"prompt": "a long one", **LONG}))["job"]
        row = f"#jobs-running > [data-id='{job['id']}']"
        await page.until(
            f"""Number(document.querySelector("{row} .bar")?.getAttribute('aria-valuenow')) > 2"""
        )

        await page.page.click(f"{row} > button")

        ended = await page.until_server(
            f"/jobs/{job['id']}", lambda answer: answer["job"]["state"] == "cancelled"
        )
        assert 0 < ended["job"]["step"] < 100
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
        await page.until(f"{value} >= 3")
        before = await page.page.evaluate(value)

        # What was typed last is kept, too.
        await page.page.fill("#field-negative", "fog")
        await page.page.reload()
        await page.connected()
        async with studio(browser, server) as second:
            for shown in (page, second):
                await shown.until(f"{value} >= {before}")
                assert "an early one" in await shown.page.locator(".result-prompt").all_text_contents()
            assert await second.page.input_value("#field-prompt") == "", "a draft is of its own browser"
            await page.until(f"{value} > {before}")
        assert await page.page.input_value("#field-prompt") == "half written"
        assert await page.page.input_value("#field-steps") == "9"
        assert await page.page.input_value("#field-negative") == "fog"
        assert await page.page.is_checked("#targets input[value=right]")
        assert page.complaints == []


async def test_what_the_server_refuses_is_told_at_its_field(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server:
        await post(server, "/canvases", {"slug": "empty"})
        async with studio(browser, server) as page:
            await page.write("from nothing")
            await page.page.click("#targets-none")
            await page.page.check("#targets input[value=empty]")
            await page.page.check("input[name=source][value=current]", force=True)
            await page.page.click("#send")

            await page.until("document.querySelector('#error-source').textContent !== ''")
            assert "no current picture" in await page.page.inner_text("#error-source")
            group = page.page.locator("[data-field=source] [role=radiogroup]")
            assert await group.get_attribute("aria-invalid") == "true"
            assert "error-source" in str(await group.get_attribute("aria-describedby"))
            assert await page.page.evaluate("document.activeElement.name") == "source"

            await page.write("", steps=9)
            await page.page.click("#send")
            assert await page.page.inner_text("#error-prompt") == "Write what to paint."
            assert await page.page.evaluate("document.activeElement.id") == "field-prompt"
            # The browser itself tells of an answer that is an error.
            assert all("409" in complaint for complaint in page.complaints)


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


async def test_where_a_token_is_set_everybody_sees_and_the_login_opens_the_rest(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        running_server(tmp_path, PSYCHE_TOKEN=TOKEN, **SETTINGS) as server,
        studio(browser, server) as page,
    ):
        await page.until("!document.querySelector('#locked').hidden")
        heard = "document.querySelector('.sound-sending [role=status]').textContent"
        await page.until(f"{heard}.startsWith('left, right: takes no sound')")
        assert "Log in" in await page.page.inner_text("#send")
        await page.write("a secret garden")
        await page.page.click("#send")
        await page.page.wait_for_selector("#login-dialog[open]")

        await page.page.fill("#field-token", "not this one")
        await page.page.keyboard.press("Enter")
        await page.until("document.querySelector('#token-error').textContent !== ''")
        await page.page.fill("#field-token", TOKEN)
        await page.page.keyboard.press("Enter")

        # What was asked for before the login is done after it, once.
        await page.until("document.querySelectorAll('.result').length === 1")
        jobs = (await page.get("/jobs"))["jobs"]
        assert len([job for job in jobs if job["prompt"] == "a secret garden"]) == 1
        assert not await page.page.evaluate("document.querySelector('#login-dialog').open")
        assert await page.page.input_value("#field-token") == ""
        assert await page.page.is_hidden("#locked")
        # The canvases' connections were opened before it.
        await page.until(f"{heard} === 'Goes to left, right.'")

        await page.page.reload()
        await page.connected()
        await page.page.wait_for_selector("#logout")
        assert await page.page.is_hidden("#login")
        await page.page.click("#logout")
        await page.page.wait_for_selector("#login")
        assert await page.page.evaluate("document.activeElement.id") == "login"
        await page.page.keyboard.press("Enter")
        await page.page.fill("#field-token", TOKEN)
        await page.page.keyboard.press("Enter")
        await page.until("document.activeElement.id === 'logout'")
        await page.page.keyboard.press("Enter")
        await page.until(f"{heard}.startsWith('left, right: takes no sound')")
        kept = await page.page.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        )
        assert TOKEN not in kept
        assert page.urls, "requests were watched"
        assert all(TOKEN not in url for url in page.urls)


async def test_a_login_that_is_given_up_tells_the_refusal(browser: Browser, tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, PSYCHE_TOKEN=TOKEN, **SETTINGS) as server,
        studio(browser, server) as page,
    ):
        await page.write("a secret garden")
        await page.page.click("#send")
        await page.page.wait_for_selector("#login-dialog[open]")
        await page.page.keyboard.press("Escape")

        await page.until("document.querySelector('#form-error').textContent !== ''")
        assert "token" in await page.page.inner_text("#form-error")
        assert await page.page.input_value("#field-prompt") == "a secret garden"


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
        assert await page.page.evaluate("document.querySelector('#keys-dialog').open")
        await keys.press("b")
        await keys.press("Escape")
        assert not await page.page.evaluate("document.querySelector('#keys-dialog').open")
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
        await keys.press("?")
        assert await page.page.evaluate("document.querySelector('#keys-dialog').open"), "keys are keys again"
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


async def test_the_blank_key_asks_for_the_login_once_and_then_does_what_was_asked(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        running_server(tmp_path, PSYCHE_TOKEN=TOKEN, **SETTINGS) as server,
        studio(browser, server) as page,
    ):
        await page.until("!document.querySelector('#locked').hidden")
        await page.page.keyboard.press("b")
        await page.page.wait_for_selector("#login-dialog[open]")
        await page.page.keyboard.press("Escape")
        await page.until("!document.querySelector('#login-dialog').open")
        assert await page.page.locator(".toast").count() == 0, "who gives up knows it"

        await page.page.keyboard.press("b")
        await page.page.fill("#field-token", TOKEN)
        await page.page.keyboard.press("Enter")

        await page.until("document.querySelector('#blank').classList.contains('is-on')")
        await page.until("document.querySelector('#announcer').textContent === 'All canvases are dark'")
        await page.until_server("/canvases", lambda told: all(one["blank"] for one in told["canvases"]))
        assert page.complaints == [], "nothing was asked for that is refused"


async def test_a_logout_in_another_tab_is_noticed(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, PSYCHE_TOKEN=TOKEN, **SETTINGS) as server:
        context = await browser.new_context()
        async with studio(context, server) as page, studio(context, server) as other:
            await page.page.click("#login")
            await page.page.fill("#field-token", TOKEN)
            await page.page.keyboard.press("Enter")
            await page.until("!document.querySelector('#logout').hidden")
            await other.page.evaluate("window.dispatchEvent(new Event('focus'))")
            await other.until("document.querySelector('#locked').hidden")

            await page.page.click("#logout")
            await page.until("!document.querySelector('#locked').hidden")
            await other.page.evaluate("window.dispatchEvent(new Event('focus'))")
            await other.until("!document.querySelector('#locked').hidden")
        await context.close()


async def test_that_the_server_does_not_answer_is_said_until_it_does(
    browser: Browser, tmp_path: Path
) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, studio(browser, server) as page:
        said = "document.querySelector('#form-error').textContent"
        server.process.kill()
        await page.page.wait_for_selector("#connection[data-state=down]")
        await page.write("a lighthouse")
        await page.page.click("#send")
        await page.until(f"{said} === 'the server does not answer'")

        assert server.url.port is not None
        async with running_server(tmp_path, port=server.url.port, **SETTINGS):
            await page.page.wait_for_selector("#connection[data-state=up]")
            await page.until(f"{said} === ''")


async def test_without_the_inference_service_a_job_says_that_it_waits_for_it(
    browser: Browser, tmp_path: Path
) -> None:
    async with running_server(tmp_path, PSYCHE_INFERENCE="127.0.0.1:1", **SETTINGS) as server:
        shown = Studio(await browser.new_page(), server)
        await shown.page.goto(str(server.url.with_path("/studio")))
        await shown.page.wait_for_selector("#targets .chip.is-selected")
        await shown.write("a lighthouse", mode="live")
        await shown.page.click("#send")

        state = "document.querySelector('#jobs-running .job-state')?.textContent"
        await shown.until(f"{state} === 'waiting for the painting service'")
        assert await shown.page.inner_text("#jobs-running .job-time >> nth=0") == "", "no clock runs"
        await shown.page.select_option("#language", "ru")
        await shown.until(f"{state} === 'ждёт службу рисования'")
        assert [url for url in shown.urls if "/preview?" in url] == []
        await shown.page.close()


async def test_an_image_that_is_too_big_is_told_before_it_is_sent(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, studio(browser, server) as page:
        await page.write("a red field")
        await page.page.check("input[name=source][value=upload]", force=True)
        big = tmp_path / "big.png"
        big.write_bytes(bytes(32 * 1024 * 1024 + 1))

        await page.page.set_input_files("#field-image", big)

        await page.until(
            "document.querySelector('#error-upload').textContent === 'An image has at most 32 MB.'"
        )
        assert [url for url in page.urls if url.endswith("/images")] == []
        assert page.complaints == []
