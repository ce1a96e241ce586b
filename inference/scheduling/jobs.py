"""Pictures on their way through the scheduler: what is asked for, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from inference.engine import Engine, Pixels, Run, Timeline
from inference.scheduling.fairness import Caller


OnStep = Callable[[int, int, Pixels | None], None]
"""Called on the event loop after each step: steps done, steps in all, the preview if asked for."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is painted, and by what: the engine must stay loaded until the picture is done."""

    engine: Engine
    timeline: Timeline


Take = Callable[[], Work]
"""Called once on the event loop, at the latest when the engine takes the picture up; must not raise."""


class Slot:
    """A live canvas's newest request: what is offered replaces what has not been taken up.

    Attributes:
        replaced: How many requests were never taken up.
    """

    def __init__(self, work: Work) -> None:
        self._newest = work
        self._is_taken = False
        self.replaced = 0

    @property
    def newest(self) -> Work:
        """What would be taken up now."""
        return self._newest

    def offer(self, work: Work) -> None:
        """Replace the request; whatever was asked for earlier and not begun yet becomes this one."""
        self.replaced += not self._is_taken
        self._newest, self._is_taken = work, False

    def __call__(self) -> Work:
        """Take the newest request up; it stays until another one is offered."""
        self._is_taken = True
        return self._newest


@dataclass(frozen=True, slots=True)
class Painted:
    """A finished picture and what it took."""

    pixels: Pixels
    work: Work  # what was painted: of a slot, the newest at the time
    caller: Caller  # whose share of the engines it took
    queued_s: float  # seconds until the engine took it up
    painted_s: float  # seconds from then until it was finished
    finished_ms: float  # Unix milliseconds
    stage_s: Mapping[str, float]  # of that, by stage: see `Run.stage_s`
    warnings: tuple[str, ...]  # see `Run.warnings`


class Job:
    """One picture on its way. `run` belongs to the engines' thread, the rest to the event loop."""

    def __init__(
        self,
        take: Take | Work,
        time_s: float,
        caller: Caller,
        painted: asyncio.Future[Painted],
        submitted_at: float,
        *,
        on_step: OnStep | None = None,
        previews: bool = False,
    ) -> None:
        self.time_s = time_s
        self.caller = caller
        self.painted = painted
        self.submitted_at = submitted_at
        self.on_step = on_step
        self.previews = previews
        self.begun_at: float | None = None
        self.busy_s = 0.0  # its share of the engine's time
        self.extra_s = 0.0  # of that, what it took beside its steps
        self.round_s = 0.0  # its share of the scheduler's time, the engine's included
        self.run: Run | None = None
        self._take = take
        self._work: Work | None = None  # what the rest is told of
        self._key: Hashable = None
        self._rows = 1

    def look(self) -> Work:
        """Return what would be painted now."""
        work = self._take.newest if isinstance(self._take, Slot) else self._take
        if not isinstance(work, Work):
            work = self._take = work()
        if work is not self._work:
            request = work.timeline.current(self.time_s).request
            self._key, self._rows = work.engine.batch_key(request), work.engine.rows(request)
            self._work = work
        return work

    def take_up(self) -> Work:
        """Settle what is painted; from now on `look` returns this."""
        if isinstance(self._take, Slot):
            self._take = self._take()
        return self.look()

    def fail(self, error: Exception) -> bool:
        """Tell whoever waits that nothing comes, and return whether anybody did."""
        if self.painted.done():
            return False
        self.painted.set_exception(error)
        return True

    @property
    def key(self) -> Hashable:
        """What it must have in common with others of its engine to share a step."""
        self.look()
        return self._key

    @property
    def rows(self) -> int:
        """How many rows of a step it takes."""
        self.look()
        return self._rows

    @property
    def steps_left(self) -> int:
        """How many steps it still takes."""
        if self.run is not None:
            return self.run.total_steps - self.run.step
        return self.look().timeline.current(self.time_s).request.steps

    def shares_steps_with(self, other: Job) -> bool:
        """Tell whether both may be in one step."""
        return self.look().engine is other.look().engine and self.key == other.key
