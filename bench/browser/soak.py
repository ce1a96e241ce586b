"""The soak: four canvases of 1080p on one page for minutes: whether anything grows, and the pace holds."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import Any

import psutil

from bench.browser.chromium import running_chromium
from bench.browser.page import BrowserPage, Presented, opened
from bench.figures import percentile
from bench.goals import Goal
from bench.pictures import make_jpegs
from bench.sizes import NAMED
from bench.source import push_to_all
from bench.target import own_server


CANVASES = 4
FPS = 4.0
WINDOW = (1920, 1080)
SETTLE_S = 10.0
SAMPLES = 20
GOAL_FPS = 3.9
GOAL_AGE_MS = 60.0
# Between the first and the last quarter of the samples, each after a collection of garbage.
GOAL_DRIFT = 0.05


@dataclass(frozen=True, slots=True)
class Soak:
    """What came of one run."""

    pipeline: str
    minutes: float
    fps: float  # of the slowest canvas, over the whole time
    age_p50_ms: float | None
    age_p99_ms: float | None
    bitmaps_created: int
    bitmaps_closed: int
    heap_bytes: tuple[int, ...]  # of the scripts, evenly over the run
    rss_bytes: tuple[int, ...]  # of the page's process, at the same times

    @property
    def heap_drift(self) -> float:
        """Growth from the first quarter of the run to the last one, of the first."""
        return drift(self.heap_bytes)

    @property
    def bitmaps_left(self) -> int:
        """How many were not closed; less than none where one was closed twice."""
        return self.bitmaps_created - self.bitmaps_closed

    def to_json(self) -> dict[str, Any]:
        """Return a row for programs."""
        return {
            "part": "soak",
            "pipeline": self.pipeline,
            "minutes": self.minutes,
            "fps": self.fps,
            "age_p50_ms": self.age_p50_ms,
            "age_p99_ms": self.age_p99_ms,
            "bitmaps_created": self.bitmaps_created,
            "bitmaps_closed": self.bitmaps_closed,
            "heap_first_kib": self.heap_bytes[0] / 1024.0,
            "heap_last_kib": self.heap_bytes[-1] / 1024.0,
            "heap_drift": self.heap_drift,
            "rss_first_mib": self.rss_bytes[0] / 2**20,
            "rss_last_mib": self.rss_bytes[-1] / 2**20,
            "rss_drift": drift(self.rss_bytes),
        }


def drift(samples: tuple[int, ...]) -> float:
    """Return the growth from the first quarter to the last one, of the first."""
    size = max(1, len(samples) // 4)
    first, last = statistics.median(samples[:size]), statistics.median(samples[-size:])
    return (last - first) / first


def goals(soak: Soak) -> list[Goal]:
    """Judge a run."""
    name = f"{CANVASES} x 1080p at {FPS:g} FPS, {soak.minutes:g} min, {soak.pipeline}"
    return [
        Goal(f"{name}: bitmaps left open, or closed twice", float(abs(soak.bitmaps_left)), 0.0),
        Goal(f"{name}: growth of the heap, share", soak.heap_drift, GOAL_DRIFT),
        Goal(f"{name}: FPS of the slowest canvas", soak.fps, GOAL_FPS, is_ceiling=False),
        Goal(f"{name}: age on screen p50, ms", soak.age_p50_ms, GOAL_AGE_MS),
    ]


async def measure(pipeline: str, minutes: float) -> Soak:
    """Show four canvases on one page and watch it.

    Raises:
        BenchError: If it cannot be measured.
    """
    jpegs = make_jpegs(NAMED["1080p"])
    slugs = [f"canvas-{number}" for number in range(1, CANVASES + 1)]
    seconds = minutes * 60.0
    frames = int((seconds + SETTLE_S + 10.0) * FPS)
    async with (
        own_server(canvases=CANVASES, subscribers=2, settings={"PSYCHE_CANVASES": ",".join(slugs)}) as target,
        running_chromium(width=WINDOW[0], height=WINDOW[1]) as (tools, browser),
        asyncio.TaskGroup() as tasks,
    ):
        source = tasks.create_task(push_to_all(target, slugs, jpegs, count=frames, fps=FPS), name="source")
        url = f"{target.url}/?pipeline={pipeline}"
        async with opened(tools, url, width=WINDOW[0], height=WINDOW[1]) as page:
            await page.until_presented(set(slugs))
            await page.require_pipeline(pipeline)
            await asyncio.sleep(SETTLE_S)
            found = await _watch(page, browser, seconds, slugs)
            source.cancel()
            # What was on its way has come to an end by then.
            await asyncio.sleep(2.0)
            created, closed = await page.bitmaps()
            await page.require_pipeline(pipeline)
            return Soak(pipeline, minutes, *found[:3], created, closed, *found[3:])


async def _watch(
    page: BrowserPage, browser: psutil.Process, seconds: float, slugs: list[str]
) -> tuple[float, float | None, float | None, tuple[int, ...], tuple[int, ...]]:
    presented: list[Presented] = []
    heap: list[int] = []
    memory: list[int] = []
    await page.presented()
    began_at = asyncio.get_running_loop().time()
    for count in range(1, SAMPLES + 1):
        await asyncio.sleep(
            max(0.0, began_at + seconds * count / SAMPLES - asyncio.get_running_loop().time())
        )
        presented += await page.presented()
        heap.append(await page.heap_bytes())
        memory.append(largest_renderer(browser))
    lasted_s = asyncio.get_running_loop().time() - began_at
    ages = [frame.age_ms for frame in presented if frame.age_ms is not None]
    fps = slowest_fps(presented, slugs, lasted_s)
    return fps, percentile(ages, 50), percentile(ages, 99), tuple(heap), tuple(memory)


def slowest_fps(presented: list[Presented], slugs: list[str], seconds: float) -> float:
    """Return the rate of the canvas that presented the fewest frames, over the whole time.

    Args:
        presented: What was presented in that time.
        slugs: The canvases, at least one; one that has presented nothing counts, too.
        seconds: How long that was.
    """
    counts = Counter(frame.slug for frame in presented)
    return min(counts[slug] for slug in slugs) / seconds


def largest_renderer(browser: psutil.Process) -> int:
    """Return the memory of the browser's largest page process, bytes."""
    sizes = [0]
    for process in browser.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "--type=renderer" in process.cmdline():
                sizes.append(process.memory_info().rss)
    return max(sizes)
