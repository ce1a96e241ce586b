"""What the scheduler knows of costs and of who had what: all that is learned while it paints.

Belongs to the event loop; every `at_s` is an instant of the scheduler's clock, seconds.
"""

from __future__ import annotations

import structlog

from inference.cost import CostTable
from inference.engine import Pixels
from inference.pace import Pace
from inference.scheduling.fairness import Caller
from inference.scheduling.jobs import Job
from inference.scheduling.rates import Rates
from inference.scheduling.ticks import Advance, Tick


class Accounts:
    """The costs of steps, the paces of models and the use of callers.

    Attributes:
        costs: What steps cost.
    """

    def __init__(self) -> None:
        self.costs = CostTable()
        self._rates = Rates()
        self._paces: dict[str, Pace] = {}  # by model; as many as the catalogue has

    def megapixels_per_s(self, model: str) -> float:
        """Tell how fast a model has painted so far; 0 where it has not."""
        return self._paces[model].megapixels_per_s if model in self._paces else 0.0

    def step_times(self, model: str) -> dict[int, float]:
        """Tell the mean seconds of a step by its bucket, of the size that a loaded model painted last."""
        cost = self.costs.newest(model)
        return cost.step_times if cost else {}

    def sustainable_fps(self, caller: Caller, at_s: float) -> float:
        """Tell what rate each open picture of a caller can have; 0 unknown."""
        return self._rates.sustainable_fps(caller, at_s)

    def expect_s(self, job: Job, at_s: float) -> float:
        """Tell how long the engine still takes for a picture, seconds; 0 while unknown."""
        cost = self.costs.get(job.look().engine, job.key)
        return job.steps_left * job.rows * cost.row_s(at_s) + cost.picture_s

    def see(self, caller: Caller, at_s: float) -> None:
        """Note that a caller asked for something."""
        self._rates.see(caller, at_s)

    def add_use(self, caller: Caller, seconds: float, at_s: float) -> None:
        """Note that the engines were a caller's alone."""
        self._rates.add_use(caller, seconds, at_s)

    def add_step(self, tick: Tick) -> None:
        """Learn from a step, if it was taken: one that failed says nothing of what steps cost."""
        if tick.out_of_memory is not None:
            limit = tick.cost.limit(tick.bucket, tick.ended_at)
            structlog.get_logger("inference").warning(
                "step_too_large", model=tick.engine.model.name, rows=tick.bucket, limit=limit
            )
        elif tick.is_stepped:
            # More rows than the bucket holds went through it one after the other.
            calls = -(-tick.rows // tick.bucket)
            tick.cost.add_step(tick.bucket, tick.step_s / calls, tick.ended_at)

    def charge(self, tick: Tick, round_s: float) -> dict[Caller, float]:
        """Share a tick out among its pictures.

        Args:
            tick: What was done.
            round_s: How long it took from choosing it on: back to back, such rounds are all the time
                that there is, and rates are parts of that.

        Returns:
            What each caller is charged, seconds of the engine.
        """
        charges: dict[Caller, float] = {}
        row_s = tick.step_s / max(tick.rows, 1)
        rounds = round_s / tick.engine_s if tick.engine_s > 0.0 else 1.0
        for advance in tick.advances:
            job = advance.job
            share_s = advance.extra_s + row_s * advance.rows
            job.extra_s += advance.extra_s
            job.busy_s += share_s
            job.round_s += share_s * rounds
            charges[job.caller] = charges.get(job.caller, 0.0) + share_s
        for caller, seconds in charges.items():
            self._rates.add_use(caller, seconds * rounds, tick.ended_at)
        return charges

    def add_picture(self, advance: Advance, tick: Tick, pixels: Pixels) -> None:
        """Learn from a finished picture, once its last tick was charged."""
        job = advance.job
        pace = self._paces.setdefault(tick.engine.model.name, Pace())
        pace.add(pixels.shape[0] * pixels.shape[1], job.busy_s)
        tick.cost.add_picture(job.extra_s)
        self._rates.add_picture(job.caller, job.round_s, tick.ended_at)
