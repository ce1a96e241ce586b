"""The main thread's tasks while 4K frames are shown, from a DevTools trace: what makes a page stutter."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bench.browser.chromium import running_chromium
from bench.browser.devtools import DevTools
from bench.browser.page import BrowserPage, Presented, opened
from bench.errors import BenchError
from bench.figures import percentile
from bench.goals import Goal
from bench.pictures import make_jpegs
from bench.sizes import NAMED
from bench.source import push_to_all
from bench.target import own_server


FPS = 8.0
WARM_UP_FRAMES = 10
# As large as the frames, so that the server sends them whole.
WINDOW = (3840, 2160)
SLUG = "canvas-1"
GOALS_MS = {"worker": 16.0, "main": 50.0}
# Of the pace at which frames are pushed.
GOAL_SHARE_SHOWN = 0.95
TRACE_S = 60.0
# Past this a page is taken not to show what is pushed.
WARM_UP_S = 30.0
_CATEGORIES = "toplevel,devtools.timeline,disabled-by-default-devtools.timeline"
_TASK = "RunTask"
_MAIN_THREAD = "CrRendererMain"


@dataclass(frozen=True, slots=True)
class MainThread:
    """The tasks of one run."""

    pipeline: str
    seconds: float
    tasks_ms: tuple[float, ...]
    fps: float  # shown while the trace was taken
    age_p50_ms: float | None

    @property
    def p99_ms(self) -> float | None:
        """The 99th percentile, milliseconds."""
        return percentile(self.tasks_ms, 99)

    def to_json(self) -> dict[str, Any]:
        """Return a row for programs."""
        return {
            "part": "tasks",
            "pipeline": self.pipeline,
            "seconds": self.seconds,
            "tasks": len(self.tasks_ms),
            "task_p50_ms": percentile(self.tasks_ms, 50),
            "task_p99_ms": self.p99_ms,
            "task_max_ms": max(self.tasks_ms, default=None),
            "tasks_over_goal": sum(task > GOALS_MS[self.pipeline] for task in self.tasks_ms),
            "fps": self.fps,
            "age_p50_ms": self.age_p50_ms,
        }


def goals(found: MainThread) -> list[Goal]:
    """Judge a run."""
    name = f"4K at {FPS:g} FPS, {found.pipeline}"
    return [
        Goal(f"{name}: p99 of the main thread's tasks, ms", found.p99_ms, GOALS_MS[found.pipeline]),
        # A page that shows less has less to do.
        Goal(f"{name}: FPS shown", found.fps, GOAL_SHARE_SHOWN * FPS, is_ceiling=False),
    ]


async def measure(pipeline: str, seconds: float) -> MainThread:
    """Show one 4K canvas and trace the page after some frames of warm-up.

    Raises:
        BenchError: If it cannot be measured.
    """
    jpegs = make_jpegs(NAMED["4k"])
    async with (
        own_server(canvases=1, subscribers=2, settings={"PSYCHE_CANVASES": SLUG}) as target,
        running_chromium(width=WINDOW[0], height=WINDOW[1]) as (tools, _),
        asyncio.TaskGroup() as tasks,
    ):
        count = int((seconds + 60.0) * FPS)
        source = tasks.create_task(push_to_all(target, [SLUG], jpegs, count=count, fps=FPS), name="source")
        url = f"{target.url}/c/{SLUG}?pipeline={pipeline}"
        async with opened(tools, url, width=WINDOW[0], height=WINDOW[1]) as page:
            await page.until_presented({SLUG})
            await page.require_pipeline(pipeline)
            await _warm_up(page)
            events, began_ms, ended_ms = await _traced(tools, seconds)
            shown = [frame for frame in await page.presented() if began_ms <= frame.at_ms < ended_ms]
            await page.require_pipeline(pipeline)
            source.cancel()
            ages = [frame.age_ms for frame in shown if frame.age_ms is not None]
            return MainThread(
                pipeline,
                seconds,
                tuple(main_tasks_ms(events)),
                1000.0 * len(shown) / (ended_ms - began_ms),
                percentile(ages, 50),
            )


async def _warm_up(page: BrowserPage) -> None:
    seen: list[Presented] = []
    try:
        async with asyncio.timeout(WARM_UP_S):
            while len(seen) < WARM_UP_FRAMES:
                await asyncio.sleep(0.2)
                seen += await page.presented()
    except TimeoutError:
        raise BenchError(f"{len(seen)} frames were shown within {WARM_UP_S:g} s") from None


async def _traced(tools: DevTools, seconds: float) -> tuple[list[dict[str, Any]], float, float]:
    """Return the events of a trace, and from when to when it was taken, Unix milliseconds."""
    events: list[dict[str, Any]] = []
    ended = asyncio.Event()
    tools.on("Tracing.dataCollected", lambda params, _: events.extend(params["value"]))
    tools.on("Tracing.tracingComplete", lambda params, _: ended.set())
    await tools.command("Tracing.start", {"categories": _CATEGORIES, "transferMode": "ReportEvents"})
    began_ms = time.time() * 1000.0
    await asyncio.sleep(seconds)
    ended_ms = time.time() * 1000.0
    await tools.command("Tracing.end")
    try:
        async with asyncio.timeout(TRACE_S):
            await ended.wait()
    except TimeoutError:
        raise BenchError(f"Chromium did not give its trace within {TRACE_S:g} s") from None
    return events, began_ms, ended_ms


def main_tasks_ms(events: Iterable[dict[str, Any]]) -> list[float]:
    """Return how long each task of the page's main thread took; of the busiest page where there are several.

    Raises:
        BenchError: If there are none.
    """
    main_threads = set()
    tasks: dict[tuple[int, int], list[float]] = defaultdict(list)
    for event in events:
        thread = (event.get("pid", 0), event.get("tid", 0))
        if event.get("name") == "thread_name" and event.get("args", {}).get("name") == _MAIN_THREAD:
            main_threads.add(thread)
        elif event.get("name") == _TASK and event.get("ph") == "X":
            tasks[thread].append(event.get("dur", 0) / 1000.0)
    found = max((tasks[thread] for thread in main_threads), key=sum, default=[])
    if not found:
        raise BenchError("the trace holds no task of a page")
    return found
