"""A page of ours in the bench's Chromium, its workers included: what it shows, asks for and keeps."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.browser.devtools import DevTools
from bench.errors import BenchError


# Notes every frame that the page says to have presented.
_NOTE = """
window.seen = {frames: []};
addEventListener('psyche:presented', ({detail}) => {
    const {slug, sequence, timestamp_ms, presented_ms} = detail;
    const at_ms = performance.timeOrigin + performance.now();
    const age_ms = presented_ms === null ? null : presented_ms - timestamp_ms;
    window.seen.frames.push({slug, sequence, at_ms, age_ms});
});
"""
LOAD_S = 20.0
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Presented:
    """One frame that the page put on the screen."""

    slug: str
    sequence: int
    at_ms: float  # Unix, on the browser's clock
    age_ms: float | None  # since it was finished, on the server's clock


@dataclass(eq=False)
class BrowserPage:
    """A page that was opened.

    Attributes:
        asked: How often it, or a worker of it, opened a WebSocket or asked for `/health`, by which.
    """

    tools: DevTools
    session: str
    workers: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        return await self.tools.evaluate(expression, session=self.session)

    async def presented(self) -> list[Presented]:
        """Return the frames presented since the last call."""
        return [Presented(**frame) for frame in await self.evaluate("window.seen.frames.splice(0)")]

    async def bitmaps(self) -> tuple[int, int]:
        """Return how many bitmaps were made and closed."""
        created, closed = await self.evaluate(
            "(({bitmapsCreated, bitmapsClosed}) => [Number(bitmapsCreated), Number(bitmapsClosed)])"
            "(document.documentElement.dataset)"
        )
        return created, closed

    async def require_pipeline(self, asked: str) -> None:
        """Make sure that its pictures are made where that was asked for: `worker` or `main`.

        Raises:
            BenchError: If they are made elsewhere, or nowhere any more.
        """
        told = await self.evaluate("document.documentElement.dataset.pipeline")
        if told != asked:
            raise BenchError(f"the page was asked for the pipeline {asked!r} and uses {told!r}")

    async def heap_bytes(self) -> int:
        """Return what its scripts and those of its workers hold, after a collection."""
        total = 0
        for session in (self.session, *self.workers):
            await self.tools.command("HeapProfiler.collectGarbage", session=session)
            usage = await self.tools.command("Runtime.getHeapUsage", session=session)
            total += int(usage["usedSize"])
        return total

    async def until_presented(self, slugs: set[str], deadline_s: float = LOAD_S) -> list[Presented]:
        """Wait until each of these canvases has presented a frame, and return the first of each.

        Raises:
            BenchError: If one does not in time.
        """
        first: dict[str, Presented] = {}
        try:
            async with asyncio.timeout(deadline_s):
                while slugs - first.keys():
                    for frame in await self.presented():
                        first.setdefault(frame.slug, frame)
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            missing = ", ".join(sorted(slugs - first.keys()))
            raise BenchError(f"nothing was shown within {deadline_s:g} s on {missing}") from None
        return list(first.values())


@contextlib.asynccontextmanager
async def opened(tools: DevTools, url: str, *, width: int, height: int) -> AsyncIterator[BrowserPage]:
    """Open an address in the browser's only page.

    Args:
        tools: The browser's.
        url: The address.
        width: Of the page, device pixels.
        height: The same.
    """
    targets = (await tools.command("Target.getTargets"))["targetInfos"]
    target = next(info["targetId"] for info in targets if info["type"] == "page")
    attached = await tools.command("Target.attachToTarget", {"targetId": target, "flatten": True})
    page = BrowserPage(tools, attached["sessionId"])
    starting: list[asyncio.Task[None]] = []

    def note_worker(params: dict[str, Any], _: str | None) -> None:
        starting.append(
            asyncio.create_task(
                _follow(page, params["sessionId"], params["targetInfo"]["type"]), name="worker"
            )
        )

    def note_request(params: dict[str, Any], _: str | None) -> None:
        if params["request"]["url"].endswith("/health"):
            page.asked["health"] += 1

    def note_socket(params: dict[str, Any], _: str | None) -> None:
        page.asked["socket"] += 1

    tools.on("Target.attachedToTarget", note_worker)
    tools.on("Target.detachedFromTarget", lambda params, _: page.workers.discard(params["sessionId"]))
    tools.on("Network.requestWillBeSent", note_request)
    tools.on("Network.webSocketCreated", note_socket)
    session = page.session
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    for method, params in (
        ("Page.enable", {}),
        ("Runtime.enable", {}),
        ("Network.enable", {}),
        ("Emulation.setDeviceMetricsOverride", metrics),
        ("Target.setAutoAttach", {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}),
        ("Page.addScriptToEvaluateOnNewDocument", {"source": _NOTE}),
        ("Page.navigate", {"url": url}),
    ):
        await tools.command(method, params, session=session)
    try:
        yield page
    finally:
        for task in starting:
            task.cancel()
        await _ended(starting)


async def _follow(page: BrowserPage, session: str, kind: str) -> None:
    """Listen to a worker of the page, which waits to be let go on."""
    if kind == "worker":
        with contextlib.suppress(BenchError):
            await page.tools.command("Network.enable", session=session)
            page.workers.add(session)
    # Whether it is listened to or not.
    with contextlib.suppress(BenchError):
        await page.tools.command("Runtime.runIfWaitingForDebugger", session=session)


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for tasks that were cancelled, and raise what one of them failed with before."""
    for told in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(told, Exception):
            raise told
