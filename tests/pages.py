"""What tests ask of any page: that something comes to hold of it, that it frees its pictures and is quiet;
and what they have a server do for it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import aiohttp
from playwright.async_api import Page
from processes import Server


# On a busy machine the service that paints is there only so long after the server has told its address.
SOON_S = 30.0

# What Chromium says of a server that is away, or that ends while it is being asked.
_AWAY = re.compile(
    r"ERR_(CONNECTION_(REFUSED|RESET|CLOSED|ABORTED)|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)\b"
    r"|closed before receiving a handshake"
)

_BITMAPS = "['bitmapsCreated', 'bitmapsClosed'].map((name) => document.documentElement.dataset[name])"


async def until(condition: Callable[[], Awaitable[Any]], *, within_s: float = SOON_S) -> None:
    """Wait until something holds of a page, which has no event that tells so."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - as said above
            await asyncio.sleep(0.02)


async def freed(page: Page) -> int:
    """Wait until each decoded picture that a page has made is freed, and return how many those are."""
    created, closed = None, None
    try:
        async with asyncio.timeout(SOON_S):
            # A worker tells its page of them a little later.
            while created is None or created != closed:
                await asyncio.sleep(0.02)
                created, closed = await page.evaluate(_BITMAPS)
    except TimeoutError:
        raise AssertionError(f"of {created} pictures {closed} are freed") from None
    return int(created)


def beside_an_outage(complaints: Iterable[str]) -> list[str]:
    """Return what a page complains of beside its server being away."""
    return [complaint for complaint in complaints if not _AWAY.search(complaint)]


async def post(server: Server, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Post what starts something, past the page."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(server.url.with_path(path), json=body) as response,
    ):
        assert response.status in (201, 202), await response.text()
        answer: dict[str, Any] = await response.json()
        return answer
