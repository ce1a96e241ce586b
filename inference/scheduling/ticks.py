"""One tick: each of some pictures one step further. The part of the scheduler in the engines' thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from inference.cost import CostModel
from inference.engine import Engine, OutOfMemoryError, Pixels
from inference.scheduling.jobs import Job


Clock = Callable[[], float]
"""Seconds that never go backwards."""


@dataclass(slots=True)
class Advance:
    """What one tick did to one job: failed, finished, or one step further."""

    job: Job
    step: int = 0
    total_steps: int = 0
    pixels: Pixels | None = None
    preview: Pixels | None = None
    stage_s: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    rows: int = 0  # that it had in the step; 0 where it took no part
    extra_s: float = 0.0  # to be begun, shown and finished
    error: Exception | None = None


@dataclass(slots=True)
class Tick:
    """What one tick did."""

    engine: Engine
    cost: CostModel
    bucket: int
    advances: list[Advance]
    begun_at: float = 0.0
    ended_at: float = 0.0
    rows: int = 0  # that went through the step; 0 where there was none
    step_s: float = 0.0
    is_stepped: bool = False  # the step was taken, and did not fail
    out_of_memory: OutOfMemoryError | None = None  # the step was too large, and may be tried smaller

    @property
    def engine_s(self) -> float:
        """How long the engine was at work."""
        return self.step_s + sum(advance.extra_s for advance in self.advances)


def run_tick(tick: Tick, clock: Clock) -> None:
    """Advance each of the jobs by one step. Runs in the engines' thread; raises nothing of the engine."""
    tick.begun_at = clock()
    running = [advance for advance in tick.advances if _begin(tick.engine, advance, clock)]
    if running and _step(tick, running, clock):
        for advance in running:
            _look(tick.engine, advance, clock)
    tick.ended_at = clock()


def _begin(engine: Engine, advance: Advance, clock: Clock) -> bool:
    """Begin a picture where it is not; False where there is nothing to step."""
    job = advance.job
    # Given up since it was chosen: spend nothing on it.
    if job.painted.done():
        return False
    if job.run is not None:
        return True

    def begin() -> None:
        job.run = engine.begin(job.look().timeline, job.time_s)

    return _guard(advance, begin, clock)


def _step(tick: Tick, running: Sequence[Advance], clock: Clock) -> bool:
    for advance in running:
        advance.rows = advance.job.rows
    tick.rows = sum(advance.rows for advance in running)
    # Some may have failed to begin, or were given up.
    tick.bucket = min(tick.bucket, tick.cost.fit(tick.rows))
    begun_at = clock()
    try:
        tick.engine.step([advance.job.run for advance in running if advance.job.run is not None], tick.bucket)
    except OutOfMemoryError as exc:
        if tick.bucket > tick.cost.smallest:
            tick.out_of_memory = exc
        else:
            for advance in running:
                advance.error = exc
        return False
    except Exception as exc:  # noqa: BLE001 - an engine's bug costs its pictures, never the service.
        for advance in running:
            advance.error = exc
        return False
    finally:
        tick.step_s = clock() - begun_at
    tick.is_stepped = True
    return True


def _look(engine: Engine, advance: Advance, clock: Clock) -> None:
    """Take what a step made of a picture."""
    job, run = advance.job, advance.job.run
    assert run is not None
    advance.step, advance.total_steps = run.step, run.total_steps
    if job.painted.done():
        return
    if run.step >= run.total_steps:

        def finish() -> None:
            advance.pixels = engine.finish(run)
            advance.stage_s, advance.warnings = dict(run.stage_s), run.warnings

        _guard(advance, finish, clock)
    elif job.previews:

        def show() -> None:
            advance.preview = engine.preview(run)

        _guard(advance, show, clock)


def _guard(advance: Advance, work: Callable[[], None], clock: Clock) -> bool:
    """Do some of the engine's work for one picture; what it raises ends this picture only."""
    begun_at = clock()
    try:
        work()
    except Exception as exc:  # noqa: BLE001 - as in `_step`.
        advance.error = exc
        return False
    finally:
        advance.extra_s += clock() - begun_at
    return True
