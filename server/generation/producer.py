"""The producer of a canvas: does its jobs one after the other, for as long as the canvas is there.

It owns the running job's task, decides how the job ends, and tells the canvas's status. How each
kind of job is done is told by the modules beside this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any, NoReturn

import structlog

from server.errors import InferenceCancelledError, PsycheError
from server.generation.easel import Easel
from server.generation.finite import paint_finite
from server.generation.ingest import show_feed
from server.generation.job import Job, Kind
from server.generation.live import LivePainter
from server.generation.slides import show_folder, show_samples


log = structlog.get_logger(__name__)

# How many waiting jobs a status message shows.
SHOWN_WAITING = 5


class Producer:
    """Does the jobs of one lane.

    Args:
        easel: What the jobs work with: the canvas (None for jobs that only make images), the
            lane, the inference client and the stores.
    """

    def __init__(self, easel: Easel) -> None:
        self.easel = easel
        self.lane = easel.lane
        self._live = LivePainter(easel)
        self._runners: dict[Kind, Callable[[Job], Coroutine[Any, Any, None]]] = {
            Kind.ONCE: lambda job: paint_finite(easel, job),
            Kind.VARIATIONS: lambda job: paint_finite(easel, job),
            Kind.PLAYLIST: lambda job: show_folder(easel, job),
            Kind.TEST: lambda job: show_samples(easel, job),
            Kind.INGEST: lambda job: show_feed(easel, job),
        }

    async def produce(self) -> NoReturn:
        """Do jobs until cancelled.

        Cancellation:
            The running job and all that wait end as cancelled.
        """
        try:
            while True:
                if self.lane.take() is None:
                    await self.lane.changed()
                else:
                    await self._run()
        finally:
            self.lane.clear("stopped")

    async def _run(self) -> None:
        """Do the running job, and see to it that it has ended afterwards, whatever happens."""
        job = self.lane.running
        assert job is not None
        # Not told by `Task.cancelling`: a task group whose child fails leaves it raised before Python 3.13.
        is_stopped = True
        try:
            await self._do(job)
            is_stopped = False
        finally:
            self._finish(lambda job: job.cancel("stopped") if is_stopped else job.succeed())

    async def _do(self, job: Job) -> None:
        """Do a job; what goes wrong with it ends it as failed."""
        try:
            if job.kind is Kind.LIVE:
                # It looks at the lane itself, and may take the next live job over in mid-stream.
                await self._live.paint()
                return
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(self._runners[job.kind](job), name=f"job:{job.id}")
                self.lane.interruptible(running.cancel)
        except* InferenceCancelledError:
            log.info("job cancelled at the inference service", job=job.id, kind=job.kind.value)
            self._finish(lambda job: job.cancel("cancelled"))
        except* PsycheError as group:
            error = group.exceptions[0]
            log.warning("job failed", job=job.id, kind=job.kind.value, error=str(error))
            self._finish(lambda job: job.fail(str(error)))
        except* Exception as group:
            # The outermost boundary: a bug in one job must not end the others.
            log.error("job crashed", job=job.id, kind=job.kind.value, exc_info=group)
            self._finish(lambda job: job.fail("internal error"))

    def _finish(self, end: Callable[[Job], None]) -> None:
        if self.lane.running is not None:
            self.lane.finish(end)


def status_of(easel: Easel) -> dict[str, Any]:
    """Describe what a canvas is doing, as the `status` message does."""
    canvas, lane = easel.canvas, easel.lane
    assert canvas is not None
    return {
        "type": "status",
        "canvas": canvas.slug,
        "state": _state(easel),
        "job": lane.running.to_json() if lane.running else None,
        "queue": {
            "length": len(lane),
            "next": [job.to_json(index + 1) for index, job in enumerate(lane.waiting[:SHOWN_WAITING])],
        },
        "transition": asdict(canvas.config.transition),
    }


def _state(easel: Easel) -> str:
    canvas, lane = easel.canvas, easel.lane
    assert canvas is not None
    if canvas.config.blank:
        return "blank"
    if canvas.config.paused:
        return "paused"
    if lane.running is None:
        return "idle"
    is_painted = lane.running.kind in (Kind.LIVE, Kind.ONCE, Kind.VARIATIONS)
    return "unavailable" if is_painted and easel.is_inference_lost else "painting"
