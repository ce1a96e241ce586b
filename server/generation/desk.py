"""Where jobs are handed in: finds each its lane, keeps them all, tells what becomes of them.

One lane and one producer per canvas, made and removed with it; jobs that only make images share a
few lanes without a canvas.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from server.errors import ConflictError, NotFoundError
from server.generation.easel import Easel
from server.generation.events import Event, EventBus
from server.generation.job import Job, Kind
from server.generation.lane import Lane
from server.generation.producer import Producer, status_of
from server.generation.store import JobStore
from server.streaming.canvas import Canvas
from server.streaming.registry import Registry


log = structlog.get_logger(__name__)

# Jobs without a canvas that may be painted at the same time: the service shares its steps between
# callers, and the canvases must keep theirs.
OFF_CANVAS_LANES = 2
# Such jobs that may wait on each of these lanes.
OFF_CANVAS_WAITING = 128


class Desk:
    """All jobs of this server.

    Args:
        make_easel: Makes what the jobs of a lane work with: (lane, canvas or None, notify).
        max_waiting: How many jobs may wait for each canvas.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        store: JobStore,
        bus: EventBus,
        make_easel: Callable[[Lane, Canvas | None, Callable[[Job], None]], Easel],
        max_waiting: int,
    ) -> None:
        self.registry = registry
        self.store = store
        self.bus = bus
        self._make_easel = make_easel
        self._max_waiting = max_waiting
        self._producers: dict[str, Producer] = {}
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._off_canvas = [
            Producer(make_easel(Lane(OFF_CANVAS_WAITING), None, self.notify)) for _ in range(OFF_CANVAS_LANES)
        ]
        for producer in self._off_canvas:
            self._heed(producer.lane)
        registry.on_created = self._on_created
        registry.on_removed = self._on_removed
        registry.on_change = lambda: bus.tell(Event())
        for canvas in registry:
            self._on_created(canvas)

    async def run(self) -> None:
        """Do jobs until cancelled.

        Cancellation:
            Ends every producer and every job.
        """
        try:
            async with asyncio.TaskGroup() as self._group:
                for number, producer in enumerate(self._off_canvas):
                    self._group.create_task(producer.produce(), name=f"producer:off-canvas:{number}")
                for slug in self._producers:
                    self._start(slug)
        finally:
            self._group = None

    def check_room(self, slugs: Iterable[str | None], *, now: bool) -> None:
        """Tell whether a job for each of these canvases can be taken; None is a job without one.

        Raises:
            ServerFullError: If too many wait already for one of them.
        """
        for slug in slugs:
            if slug is None:
                self._off_canvas_lane().check_room(now=False)
            elif slug in self._producers:
                self._producers[slug].lane.check_room(now=now)

    def submit(self, job: Job, *, now: bool = True) -> Job:
        """Take a job in.

        Raises:
            ServerFullError: If too many wait already.
            UnknownCanvasError: If its canvas is gone.
        """
        lane = self._lane_for(job)
        lane.submit(job, now=now and job.canvas is not None)
        if now and job.kind is Kind.LIVE and len(lane) > 1:
            job.warn(["other jobs wait for this canvas: a live picture yields to them after its first frame"])
        self.store.add(job)
        self.notify(job)
        log.info(
            "job taken",
            job=job.id,
            kind=job.kind.value,
            canvas=job.canvas,
            source=job.source,
            now=now,
            prompt_chars=len(job.order.prompt),
        )
        return job

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            NotFoundError: If it is not kept (any more).
        """
        job = self.store.get(job_id)
        if job is None:
            raise NotFoundError(f"there is no job {job_id!r}", field="id")
        return job

    def cancel(self, job: Job, reason: str = "cancelled") -> None:
        """End a job; one that has ended stays as it is."""
        for lane in self._lanes():
            lane.cancel(job, reason)

    def skip(self, slug: str) -> Job:
        """End the running job of a canvas.

        Raises:
            UnknownCanvasError: If there is no such canvas.
            ConflictError: If it has no running job.
        """
        lane = self.lane(slug)
        job = lane.running
        if job is None:
            raise ConflictError(f"canvas {slug!r} has no running job to skip")
        lane.stop("skipped")
        return job

    def clear(self, slug: str) -> list[Job]:
        """End the waiting jobs of a canvas; the running one goes on.

        Raises:
            UnknownCanvasError: If there is no such canvas.
        """
        return self.lane(slug).clear()

    def supersede(self, slug: str) -> None:
        """End what goes on for ever on a canvas: somebody shows a picture of his own."""
        self.lane(slug).supersede()

    def lane(self, slug: str) -> Lane:
        """Return a canvas's lane.

        Raises:
            UnknownCanvasError: If there is no such canvas.
        """
        return self._producers[self.registry.get(slug).slug].lane

    def describe(self, job: Job) -> dict[str, Any]:
        """Describe a job as the HTTP routes do, its place in the queue included."""
        producer = self._producers.get(job.canvas) if job.canvas else None
        lanes = [producer.lane] if producer else [producer.lane for producer in self._off_canvas]
        positions = (lane.position(job) for lane in lanes)
        return job.to_json(next((position for position in positions if position), None))

    def notify(self, job: Job) -> None:
        """Tell everybody that a job has changed."""
        self.bus.tell(Event(job))
        if job.canvas:
            self.refresh(job.canvas)

    def refresh(self, slug: str) -> None:
        """Tell a canvas's screens its status, if that has changed."""
        producer = self._producers.get(slug)
        if producer and producer.easel.canvas:
            before = producer.easel.canvas.status
            status = status_of(producer.easel)
            producer.easel.canvas.set_status(status)
            if _in_list(before) != _in_list(status):
                self.bus.tell(Event())

    def _heed(self, lane: Lane) -> None:
        """Be told by a lane of what happens to its jobs."""
        lane.on_change = self._on_job_changed
        lane.on_move = lambda job: self.bus.tell(Event(job, is_move=True))

    def _on_job_changed(self, job: Job) -> None:
        if job.is_ended:
            since_ms = job.started_ms or job.created_ms
            log.info(
                "job ended",
                job=job.id,
                kind=job.kind.value,
                canvas=job.canvas,
                state=job.state.value,
                reason=job.reason,
                error=job.error,
                images=len(job.results),
                seconds=round(((job.ended_ms or since_ms) - since_ms) / 1000.0, 2),
            )
        self.notify(job)

    def _lane_for(self, job: Job) -> Lane:
        if job.canvas:
            canvas = self.registry.get(job.canvas)
            job.canvas = canvas.slug
            return self._producers[canvas.slug].lane
        return self._off_canvas_lane()

    def _off_canvas_lane(self) -> Lane:
        return min(
            (producer.lane for producer in self._off_canvas),
            key=lambda lane: len(lane) + (lane.running is not None),
        )

    def _lanes(self) -> list[Lane]:
        return [producer.lane for producer in (*self._producers.values(), *self._off_canvas)]

    def _on_created(self, canvas: Canvas) -> None:
        lane = Lane(self._max_waiting)
        self._heed(lane)
        self._producers[canvas.slug] = Producer(self._make_easel(lane, canvas, self.notify))
        canvas.on_demand = lane.wake
        # Only this one's status is made anew: a page that comes back opens many screens at once.
        canvas.on_change = lambda: self._on_canvas_changed(canvas)
        self.refresh(canvas.slug)
        self._start(canvas.slug)

    def _on_removed(self, canvas: Canvas) -> None:
        producer = self._producers.pop(canvas.slug)
        producer.lane.clear("deleted")
        producer.lane.stop("deleted")
        task = self._tasks.pop(canvas.slug, None)
        if task:
            task.cancel()

    def _on_canvas_changed(self, canvas: Canvas) -> None:
        self.refresh(canvas.slug)
        self.bus.tell(Event())

    def _start(self, slug: str) -> None:
        if self._group is not None and slug not in self._tasks:
            producer = self._producers[slug]
            self._tasks[slug] = self._group.create_task(producer.produce(), name=f"producer:{slug}")


def _in_list(status: dict[str, Any]) -> tuple[Any, ...]:
    """Return what the list of canvases tells of a status."""
    job = status.get("job")
    return status.get("state"), job["id"] if job else None
