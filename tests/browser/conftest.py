"""Fixtures of the browser tests: a real server, and a page in a real Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from chromium import find_chromium
from playwright.async_api import Browser, async_playwright


ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A browser of its own for each test."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()
