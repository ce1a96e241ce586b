"""The studio in a real browser where something is in the way: a token, a refusal, a server that is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pages import post
from playwright.async_api import Browser
from processes import running_server
from studio_page import SETTINGS, Studio, studio


pytestmark = pytest.mark.browser

TOKEN = "a-token-that-nobody-guesses"


@asynccontextmanager
async def locked(browser: Browser, folder: Path) -> AsyncIterator[Studio]:
    """Open the studio of a server with a token, up to where the page says that it is locked."""
    async with (
        running_server(folder, PSYCHE_TOKEN=TOKEN, **SETTINGS) as server,
        studio(browser, server) as page,
    ):
        await page.until("!document.querySelector('#locked').hidden")
        yield page


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


async def test_where_a_token_is_set_everybody_sees_and_the_login_opens_the_rest(
    browser: Browser, tmp_path: Path
) -> None:
    async with locked(browser, tmp_path) as page:
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
    async with locked(browser, tmp_path) as page:
        await page.write("a secret garden")
        await page.page.click("#send")
        await page.page.wait_for_selector("#login-dialog[open]")
        await page.page.keyboard.press("Escape")

        await page.until("document.querySelector('#form-error').textContent !== ''")
        assert "token" in await page.page.inner_text("#form-error")
        assert await page.page.input_value("#field-prompt") == "a secret garden"


async def test_the_blank_key_asks_for_the_login_once_and_then_does_what_was_asked(
    browser: Browser, tmp_path: Path
) -> None:
    async with locked(browser, tmp_path) as page:
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
