"""What the server takes of its machine, and how its streams do: logged once a minute."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import psutil
import structlog

from server.streaming.registry import Registry


log = structlog.get_logger(__name__)

INTERVAL_S = 60.0


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
            counters = canvas.counters()
            if counters["fps_in"] or counters["subscribers"]:
                log.info(
                    "streaming",
                    canvas=canvas.slug,
                    fps_in=counters["fps_in"],
                    subscribers=len(canvas.subscribers),
                    fps_out=[subscriber["fps_out"] for subscriber in counters["subscribers"][:8]],
                    replaced=sum(subscriber["replaced"] for subscriber in counters["subscribers"]),
                    skipped=sum(subscriber["skipped"] for subscriber in counters["subscribers"]),
                )
