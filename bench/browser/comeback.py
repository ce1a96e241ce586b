"""The comeback: a page of sixteen screens while its server is away, and when it is there again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from bench.browser.chromium import running_chromium
from bench.browser.page import opened
from bench.goals import Goal
from bench.pictures import make_jpegs
from bench.sizes import NAMED
from bench.source import push
from bench.target import Target, own_server


SCREENS = 16
WINDOW = (1920, 1080)
GOAL_BACK_S = 8.0
GOAL_ATTEMPTS_PER_S = 1.0
_LOOK_S = 0.1
# Past this a page is taken not to come back.
BACK_S = 60.0


@dataclass(frozen=True, slots=True)
class Comeback:
    """What came of one outage."""

    pipeline: str
    away_s: float
    back_s: float  # from the server's first answer to the last screen's first frame
    first_back_s: float
    health_probes: int  # while it was away
    socket_attempts: int  # while it was away

    @property
    def attempts_per_s(self) -> float:
        """Attempts of any kind a second while it was away."""
        return (self.health_probes + self.socket_attempts) / self.away_s

    def to_json(self) -> dict[str, Any]:
        """Return a row for programs."""
        return {
            "part": "comeback",
            "pipeline": self.pipeline,
            "away_s": self.away_s,
            "first_back_s": self.first_back_s,
            "back_s": self.back_s,
            "health_probes": self.health_probes,
            "socket_attempts": self.socket_attempts,
            "attempts_per_s": self.attempts_per_s,
        }


def goals(found: Comeback) -> list[Goal]:
    """Judge an outage."""
    name = f"{SCREENS} screens, server away for {found.away_s:.0f} s, {found.pipeline}"
    return [
        Goal(f"{name}: seconds until all are back", found.back_s, GOAL_BACK_S),
        Goal(f"{name}: attempts per second meanwhile", found.attempts_per_s, GOAL_ATTEMPTS_PER_S),
    ]


async def measure(pipeline: str, away_s: float) -> Comeback:
    """End the server under a page, start it again, and see the page come back.

    Raises:
        BenchError: If it cannot be measured.
    """
    slugs = [f"canvas-{number}" for number in range(1, SCREENS + 1)]
    jpeg = make_jpegs(NAMED["512"])[0]
    settings = {"PSYCHE_CANVASES": ",".join(slugs), "PSYCHE_PORT": str(_free_port())}
    async with (
        running_chromium(width=WINDOW[0], height=WINDOW[1]) as (tools, _),
        contextlib.AsyncExitStack() as servers,
    ):
        target = await servers.enter_async_context(_server(settings))
        await _show(target, slugs, jpeg)
        url = f"{target.url}/?pipeline={pipeline}"
        async with opened(tools, url, width=WINDOW[0], height=WINDOW[1]) as page:
            await page.until_presented(set(slugs))
            await page.require_pipeline(pipeline)
            await servers.aclose()
            page.asked.clear()
            gone_at = time.monotonic()
            await asyncio.sleep(away_s)
            asked, was_away_s = dict(page.asked), time.monotonic() - gone_at
            await page.presented()
            target = await servers.enter_async_context(_server(settings))
            up_ms = time.time() * 1000.0
            await _show(target, slugs, jpeg)
            back = await page.until_presented(set(slugs), BACK_S)
            await page.require_pipeline(pipeline)
            times_s = sorted((frame.at_ms - up_ms) / 1000.0 for frame in back)
            return Comeback(
                pipeline=pipeline,
                away_s=was_away_s,
                back_s=times_s[-1],
                first_back_s=times_s[0],
                health_probes=asked.get("health", 0),
                socket_attempts=asked.get("socket", 0),
            )


@contextlib.asynccontextmanager
async def _server(settings: dict[str, str]) -> AsyncIterator[Target]:
    """Run the server until it answers, to the end of the body."""
    async with own_server(canvases=SCREENS, subscribers=2, settings=settings) as target:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with target.session.get(f"{target.url}/health") as response:
                    if response.status == 200:
                        break
            await asyncio.sleep(_LOOK_S)
        yield target


async def _show(target: Target, slugs: list[str], jpeg: bytes) -> None:
    """Give every canvas a picture: a screen is back when it shows one."""
    for slug in slugs:
        await push(target, slug, jpeg)


def _free_port() -> int:
    """Return a port that nobody listens on now: the server comes back where it was."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
