"""Everybody's pictures through one engine, step by step.

Each tick takes unfinished pictures of all callers in turn, as many as the engine carries, and
advances them by one step in the engine's own thread: one hop a tick, whatever it begins, steps
and finishes. Knows no request, no encoding and no transport. The one rule: between two ticks
everything happens synchronously on the event loop, so nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

import structlog

from inference.engine import Engine, PaintingFailedError, Pixels, RejectedError, Run, Timeline
from inference.errors import BusyError, StoppingError, first_error
from inference.pace import Pace


DEFAULT_MAX_WAITING = 64

# Failures of the engine are logged with their traceback at most this often, seconds: a broken
# engine fails at every frame.
FAILURE_LOG_INTERVAL_S = 10.0

# What a refused caller is told to wait, milliseconds: at least so that it does not spin, at most so
# that it notices when the rush is over.
MIN_RETRY_MS, MAX_RETRY_MS = 100, 60_000

# What a refused caller is told while nothing has been painted yet, milliseconds.
UNKNOWN_RETRY_MS = 1000

OnStep = Callable[[int, int, Pixels | None], None]
"""Called on the event loop after each step: steps done, steps in all, the preview if asked for."""


@dataclass(frozen=True, slots=True)
class Painted:
    """A finished picture and what it took."""

    pixels: Pixels
    queued_s: float  # seconds until the engine took it up
    painted_s: float  # seconds from then until it was finished
    finished_ms: float  # Unix milliseconds


@dataclass(slots=True, eq=False)
class _Job:
    """One picture on its way. `run` belongs to the engine's thread, the rest to the event loop."""

    timeline: Timeline
    time_s: float
    caller: object
    on_step: OnStep | None
    previews: bool
    painted: asyncio.Future[Painted]
    submitted_at: float
    begun_at: float = 0.0
    busy_s: float = 0.0  # its share of the engine's time
    run: Run | None = None

    @property
    def model(self) -> str:
        return self.timeline.current(self.time_s).request.model


@dataclass(slots=True)
class _Advance:
    """What one tick did to one job: failed, finished, or one step further."""

    job: _Job
    step: int = 0
    total_steps: int = 0
    pixels: Pixels | None = None
    preview: Pixels | None = None
    error: Exception | None = None


@dataclass(slots=True)
class _Tick:
    advances: list[_Advance] = field(default_factory=list)
    begun_at: float = 0.0
    ended_at: float = 0.0


class Scheduler:
    """Shares one engine among callers; made by `scheduling`, which owns its task and thread."""

    def __init__(self, engine: Engine, *, max_waiting: int = DEFAULT_MAX_WAITING) -> None:
        self._engine = engine
        self._max_waiting = max_waiting
        self._admitted = 0  # pictures
        # Callers in the order in which they are served next, each with its pictures, oldest first.
        self._callers: dict[object, deque[_Job]] = {}
        self._work = asyncio.Event()
        self._stopping = False
        self._pace = Pace()
        self._paces: dict[str, Pace] = {}
        self._failures = 0  # not logged yet
        self._failure_logged_at = -math.inf
        # Instants are wall time at the start, moved on by the monotonic clock: a corrected clock
        # must not make pictures older than the ones before them.
        self._epoch_s = time.time() - time.monotonic()

    @property
    def max_waiting(self) -> int:
        """How many pictures `admit` lets in at once."""
        return self._max_waiting

    @property
    def unfinished(self) -> int:
        """How many pictures wait or are being painted."""
        return sum(len(jobs) for jobs in self._callers.values())

    def megapixels_per_s(self, model: str) -> float:
        """Tell how fast a model has painted so far; 0 where it has not."""
        return self._paces[model].megapixels_per_s if model in self._paces else 0.0

    @contextmanager
    def admit(self, pictures: int) -> Iterator[None]:
        """Hold places for so many pictures, before anything is spent on them.

        Raises:
            BusyError: If that many are not free.
        """
        if self._admitted + pictures > self._max_waiting:
            raise BusyError(self._max_waiting, self._retry_after_ms())
        self._admitted += pictures
        try:
            yield
        finally:
            self._admitted -= pictures

    def _retry_after_ms(self) -> int:
        rounds = math.ceil(self._admitted / self._engine.max_batch)
        expected_ms = self._pace.picture_s * 1000.0 * rounds or UNKNOWN_RETRY_MS
        return int(min(max(expected_ms, MIN_RETRY_MS), MAX_RETRY_MS))

    async def paint(
        self,
        timeline: Timeline,
        time_s: float = 0.0,
        *,
        caller: object,
        on_step: OnStep | None = None,
        previews: bool = False,
    ) -> Painted:
        """Paint the picture of a timeline at a time.

        Args:
            timeline: What is painted.
            time_s: When, seconds of the timeline.
            caller: Who is served in turn with the others; one caller's pictures go in order.
            on_step: See `OnStep`; must not raise.
            previews: Whether `on_step` wants previews.

        Raises:
            EngineError: If the engine refuses or fails.
            StoppingError: If the service ends first.

        Cancellation:
            Gives the picture up between two steps; a step that runs ends, and nobody else's
            picture is touched.
        """
        if self._stopping:
            raise StoppingError
        painted: asyncio.Future[Painted] = asyncio.get_running_loop().create_future()
        job = _Job(timeline, time_s, caller, on_step, previews, painted, time.monotonic())
        self._callers.setdefault(caller, deque()).append(job)
        self._work.set()
        try:
            return await painted
        finally:
            self._drop(job)

    def _drop(self, job: _Job) -> None:
        jobs = self._callers.get(job.caller)
        if jobs is not None and job in jobs:
            jobs.remove(job)
            if not jobs:
                del self._callers[job.caller]

    def _choose(self) -> list[_Job]:
        """Take what the next tick advances: one of each caller in turn, then each one's second, ..."""
        room = self._engine.max_batch
        chosen: list[_Job] = []
        depth = 0
        while len(chosen) < room:
            layer = [jobs[depth] for jobs in self._callers.values() if len(jobs) > depth]
            if not layer:
                break
            chosen += layer[: room - len(chosen)]
            depth += 1
        # Whoever was served goes behind whoever was not.
        for caller in dict.fromkeys(job.caller for job in chosen):
            self._callers[caller] = self._callers.pop(caller)
        return chosen

    async def tick_forever(self, thread: ThreadPoolExecutor) -> NoReturn:
        """Paint whatever is there, without ever waiting for more.

        Args:
            thread: The engine's own, of one thread.
        """
        loop = asyncio.get_running_loop()
        while True:
            chosen = self._choose()
            if not chosen:
                self._work.clear()
                await self._work.wait()
                continue
            self._settle(await loop.run_in_executor(thread, self._tick, chosen))

    def _tick(self, chosen: list[_Job]) -> _Tick:
        """Advance each of the jobs by one step. Runs in the engine's thread."""
        tick = _Tick(begun_at=time.monotonic())
        running: list[_Advance] = []
        for job in chosen:
            advance = _Advance(job)
            tick.advances.append(advance)
            # Given up since it was chosen: spend nothing on it.
            if not job.painted.done() and _guard([advance], partial(self._begin, job)):
                running.append(advance)
        runs = [advance.job.run for advance in running if advance.job.run is not None]
        if runs and _guard(running, partial(self._engine.step, runs)):
            for advance in running:
                _guard([advance], partial(self._look, advance))
        tick.ended_at = time.monotonic()
        return tick

    def _begin(self, job: _Job) -> None:
        if job.run is None:
            job.run = self._engine.begin(job.timeline, job.time_s)

    def _look(self, advance: _Advance) -> None:
        job, run = advance.job, advance.job.run
        assert run is not None
        advance.step, advance.total_steps = run.step, run.total_steps
        if run.step >= run.total_steps:
            advance.pixels = self._engine.finish(run)
        elif job.previews:
            advance.preview = self._engine.preview(run)

    def _settle(self, tick: _Tick) -> None:
        """Tell everybody what a tick did to their pictures. Runs on the event loop."""
        spent = sum(_cost(advance.job) for advance in tick.advances)
        for advance in tick.advances:
            job = advance.job
            job.begun_at = job.begun_at or tick.begun_at
            job.busy_s += (tick.ended_at - tick.begun_at) * _cost(job) / spent
            if job.painted.done():
                continue
            if advance.error is not None:
                self._drop(job)
                job.painted.set_exception(self._translate(advance.error))
                continue
            if job.on_step is not None:
                job.on_step(advance.step, advance.total_steps, advance.preview)
            if advance.pixels is not None:
                self._drop(job)
                self._finish(job, advance.pixels, tick.ended_at)

    def _finish(self, job: _Job, pixels: Pixels, ended_at: float) -> None:
        size_px = pixels.shape[0] * pixels.shape[1]
        self._pace.add(size_px, job.busy_s)
        self._paces.setdefault(job.model, Pace()).add(size_px, job.busy_s)
        job.painted.set_result(
            Painted(
                pixels=pixels,
                queued_s=job.begun_at - job.submitted_at,
                painted_s=ended_at - job.begun_at,
                finished_ms=(self._epoch_s + ended_at) * 1000.0,
            )
        )

    def _translate(self, error: Exception) -> Exception:
        """Make what a caller is told: a new error for each, since each is raised in its own task."""
        if isinstance(error, RejectedError):
            return RejectedError(error.field, str(error))
        self._log_failure(error)
        if isinstance(error, PaintingFailedError):
            return PaintingFailedError(str(error))
        return PaintingFailedError(f"the engine failed: {type(error).__name__}: {error}")

    def _log_failure(self, error: Exception) -> None:
        self._failures += 1
        now = time.monotonic()
        if now - self._failure_logged_at >= FAILURE_LOG_INTERVAL_S:
            log = structlog.get_logger("inference")
            log.error("painting_failed", pictures=self._failures, exc_info=error)
            self._failures, self._failure_logged_at = 0, now

    def close(self) -> None:
        """Give up whatever is unfinished and take nothing more."""
        self._stopping = True
        for jobs in list(self._callers.values()):
            for job in jobs:
                if not job.painted.done():
                    job.painted.set_exception(StoppingError())
        self._callers.clear()


def _guard(advances: list[_Advance], work: Callable[[], None]) -> bool:
    """Do some of the engine's work; what it raises becomes the end of these jobs only."""
    try:
        work()
    except Exception as exc:  # noqa: BLE001 - an engine's bug costs its pictures, never the service.
        for advance in advances:
            advance.error = exc
        return False
    return True


def _cost(job: _Job) -> int:
    """Weigh a job against the others of its tick: by its pixels."""
    request = job.timeline.current(job.time_s).request
    return request.width * request.height


@asynccontextmanager
async def scheduling(engine: Engine, *, max_waiting: int = DEFAULT_MAX_WAITING) -> AsyncIterator[Scheduler]:
    """Run a scheduler, its task and its engine's thread.

    A scheduler that dies of a bug cancels the body, and raises what it died of.
    """
    scheduler = Scheduler(engine, max_waiting=max_waiting)
    thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
    try:
        with first_error():
            async with asyncio.TaskGroup() as tasks:
                ticking = tasks.create_task(scheduler.tick_forever(thread), name="scheduler")
                try:
                    yield scheduler
                finally:
                    scheduler.close()
                    ticking.cancel()
    finally:
        # A step that runs cannot be stopped; the loop must not stand still until it ends.
        await asyncio.to_thread(thread.shutdown)
