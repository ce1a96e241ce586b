"""What the server takes of its machine, and how its streams do: logged once a minute."""

from __future__ import annotations

import asyncio
from statistics import median_low
from typing import Any, NoReturn

import psutil
import structlog

from server.streaming.canvas import Canvas
from server.streaming.clock import now_ms
from server.streaming.registry import Registry


log = structlog.get_logger(__name__)

INTERVAL_S = 60.0
# Screens whose ages are read before frames have their turn on the event loop.
SCREENS_IN_A_ROW = 2


class Resources:
    """Reads memory, CPU and descriptors of this process."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        # The first call only starts the measurement.
        self._process.cpu_percent()

    def read(self) -> dict[str, Any]:
        """Return what the process takes; `cpu_percent` since the last call, of one core."""
        with self._process.oneshot():
            times = self._process.cpu_times()
            return {
                "rss_bytes": self._process.memory_info().rss,
                "cpu_percent": self._process.cpu_percent(),
                "cpu_s": round(times.user + times.system, 3),
                "descriptors": self._process.num_fds() if hasattr(self._process, "num_fds") else None,
                "threads": self._process.num_threads(),
            }


async def log_resources(registry: Registry, resources: Resources) -> NoReturn:
    """Write a line of the process and one of each active canvas, once a minute."""
    while True:
        await asyncio.sleep(INTERVAL_S)
        log.info("resources", **resources.read(), tasks=len(asyncio.all_tasks()))
        for canvas in registry:
            counters = canvas.counters(lists_subscribers=False)
            if counters["fps_in"] or canvas.subscribers:
                log.info(
                    "streaming",
                    canvas=canvas.slug,
                    fps_in=counters["fps_in"],
                    subscribers=len(canvas.subscribers),
                    fps_out=counters["fps_out"],
                    dropped=counters["dropped"],
                    unchanged=counters["unchanged"],
                    **counters["drops"],
                    **await _ages(canvas),
                )


async def _ages(canvas: Canvas) -> dict[str, float | None]:
    """Return how old frames are on the usual screen and on the worst, milliseconds."""
    # A copy: screens come and go while this waits.
    subscribers = tuple(canvas.subscribers)
    medians: list[float] = []
    worst: list[float] = []
    for position, subscriber in enumerate(subscribers):
        if position % SCREENS_IN_A_ROW == 0:
            # Each takes 0.2 ms; frames pass in between.
            await asyncio.sleep(0)
        age = subscriber.ages.state(now_ms())["age"]
        if age["p50"] is not None:
            medians.append(age["p50"])
            worst.append(age["p99"])
    return {"age_p50_ms": median_low(medians) if medians else None, "age_p99_ms": max(worst, default=None)}
