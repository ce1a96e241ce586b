"""What steps cost, learned while they are done: a step of ``n`` rows takes about ``a * n + b`` seconds.

Pure: knows no clock, no thread and nothing of what is painted. Where ``b`` is large, as on a graphics
card, many rows in one step are nearly free; where it is small, as on a processor, they only keep
each other waiting. `CostModel` learns which it is and picks the size of the next step.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from inference.engine import Engine


# What a tick costs around its step whatever the engine: choosing, telling, two hops between threads.
# Part of every prediction, so that steps shorter than this are always filled up.
TICK_OVERHEAD_S = 0.0005

# The newest measurement moves a mean by this part: the last ten or so make it.
NEWEST_PART = 0.2

# A measurement counts at most as so many times the mean: a pause of the machine is no news of the step.
MAX_OUTLIER = 4.0

# A bucket that was not used for so long, seconds, is judged by the others again: what made it slow may
# be over.
FRESH_S = 30.0

# Before anything is known a step carries no more rows than this: on a slow machine each may take
# seconds, in which nobody sees anything.
UNKNOWN_ROWS = 4

# While only one bucket is known, others are tried so that everybody waits no longer than this, seconds:
# larger ones if they take less at worst, when rows cost as much together as they do one by one, and
# smaller ones if that one takes more.
TRIAL_S = 0.5

# A smaller bucket is preferred while it finishes at least this part of the best one's rows per second:
# its pictures are done sooner, and who comes next waits less. That matters where the best one's step is
# long; a short one keeps nobody waiting, and the more rows it finishes the better.
GOOD_ENOUGH, GOOD_ENOUGH_SHORT = 0.9, 0.98
SHORT_S = 0.15

# How long a bucket that memory was too small for is left alone, seconds.
LIMIT_S = 60.0

# Callers choose sizes freely; of each engine the newest so many are remembered.
MAX_KEYS = 64


@dataclass(slots=True)
class _Mean:
    """A bucket's time for a step, seconds."""

    seconds: float
    at_s: float  # of the newest measurement
    count: int = 1

    def add(self, seconds: float, at_s: float) -> None:
        if self.count == 1 or at_s - self.at_s > FRESH_S:
            # The first step of a size may have compiled, tuned or allocated something.
            self.seconds = min(self.seconds, seconds) if self.count == 1 else seconds
        else:
            self.seconds += (min(seconds, self.seconds * MAX_OUTLIER) - self.seconds) * NEWEST_PART
        self.count, self.at_s = self.count + 1, at_s


class CostModel:
    """The cost of the steps of one engine at one batch key.

    Every `at_s` is an instant of one clock, seconds.
    """

    def __init__(self, buckets: tuple[int, ...]) -> None:
        """Know nothing yet.

        Args:
            buckets: How many rows a step may carry, ascending.
        """
        self._buckets = buckets
        self._means: dict[int, _Mean] = {}
        self._picture_s = 0.0
        self._limit = buckets[-1]
        self._limited_until_s = 0.0

    def add_step(self, bucket: int, seconds: float, at_s: float) -> None:
        """Learn from one step."""
        if mean := self._means.get(bucket):
            mean.add(seconds, at_s)
        else:
            self._means[bucket] = _Mean(seconds, at_s)

    def add_picture(self, seconds: float) -> None:
        """Learn what one picture took beside its steps: to be begun and to be finished."""
        self._picture_s += (seconds - self._picture_s) * (NEWEST_PART if self._picture_s else 1.0)

    @property
    def step_times(self) -> dict[int, float]:
        """The mean seconds of a step by bucket, of those that were used."""
        return {bucket: self._means[bucket].seconds for bucket in self._buckets if bucket in self._means}

    @property
    def picture_s(self) -> float:
        """What a picture takes beside its steps, seconds; 0 unknown."""
        return self._picture_s

    def line(self, at_s: float) -> tuple[float, float] | None:
        """Return ``a`` and ``b`` of ``a * n + b``, seconds, both 0 or more; None while nothing is known.

        One known bucket tells only what they may be: then ``a`` is 0, the most hopeful for larger
        ones.
        """
        known = self._known(at_s)
        if not known:
            return None
        mean_n = sum(known) / len(known)
        mean_s = sum(known.values()) / len(known)
        spread = sum((n - mean_n) ** 2 for n in known)
        slope = sum((n - mean_n) * (s - mean_s) for n, s in known.items()) / spread if spread else 0.0
        slope = max(slope, 0.0)
        constant = mean_s - slope * mean_n
        if constant < 0.0:
            # Through the origin instead: no step takes less than nothing.
            slope, constant = sum(n * s for n, s in known.items()) / sum(n * n for n in known), 0.0
        return slope, constant

    def seconds(self, bucket: int, at_s: float) -> float:
        """Predict a step's time; 0 while nothing is known."""
        return self._predict((bucket,), at_s).get(bucket, 0.0)

    def row_s(self, at_s: float) -> float:
        """Predict what a row costs in a step of the most efficient size, seconds; 0 while unknown."""
        predicted = self._predict(self._buckets, at_s)
        return min((seconds / bucket for bucket, seconds in predicted.items()), default=0.0)

    def pick(self, rows: int, room: int, at_s: float, least: int = 1) -> int:
        """Choose the bucket of a step.

        Args:
            rows: How many wait.
            room: The largest bucket that may be used.
            at_s: Now.
            least: How many rows it must hold.

        Returns:
            The bucket that finishes the most rows per second, rows of padding not counted; a
            smaller one where that is nearly as good (see `GOOD_ENOUGH`).
        """
        fitting = [bucket for bucket in self._buckets if least <= bucket <= room] or [self.fit(least)]
        # The first bucket that holds all of them is the last one worth a thought.
        useful = [bucket for bucket in fitting if bucket < rows] + [b for b in fitting if b >= rows][:1]
        usable = [bucket for bucket in useful if self._may_be_tried(bucket, at_s)] or useful[:1]
        predicted = self._predict(usable, at_s)
        rates = {
            bucket: min(rows, bucket) / (TICK_OVERHEAD_S + predicted.get(bucket, 0.0)) for bucket in usable
        }
        best = max(usable, key=rates.__getitem__)
        is_short = predicted.get(best, 0.0) <= SHORT_S
        enough = rates[best] * (GOOD_ENOUGH_SHORT if is_short else GOOD_ENOUGH)
        return next(bucket for bucket in usable if rates[bucket] >= enough)

    def fit(self, rows: int) -> int:
        """Return the smallest bucket that holds so many rows; the largest one where none does."""
        return next((bucket for bucket in self._buckets if bucket >= rows), self._buckets[-1])

    @property
    def smallest(self) -> int:
        """The smallest bucket."""
        return self._buckets[0]

    def largest(self, at_s: float) -> int:
        """Return the largest bucket that memory seems to be enough for."""
        return self._limit if at_s < self._limited_until_s else self._buckets[-1]

    def limit(self, bucket: int, at_s: float) -> int:
        """Leave a bucket that memory was too small for, and all above it, alone for `LIMIT_S`.

        Returns:
            The largest one that is left: the smallest always is.
        """
        self._limit = max((b for b in self._buckets if b < bucket), default=self._buckets[0])
        self._limited_until_s = at_s + LIMIT_S
        return self._limit

    def _known(self, at_s: float) -> dict[int, float]:
        """Return what is measured; of that only what is still true and no first step, if there is any."""
        known = {bucket: mean for bucket, mean in self._means.items() if mean.count > 1} or self._means
        fresh = {bucket: mean for bucket, mean in known.items() if at_s - mean.at_s <= FRESH_S} or known
        return {bucket: mean.seconds for bucket, mean in fresh.items()}

    def _may_be_tried(self, bucket: int, at_s: float) -> bool:
        known = self._known(at_s)
        if len(known) > 1:
            return True
        if not known:
            return bucket <= UNKNOWN_ROWS
        [(only, seconds)] = known.items()
        larger = [other for other in self._buckets if other > only][:1]
        return bucket <= only or bucket in larger or seconds * bucket / only <= TRIAL_S

    def _predict(self, buckets: Iterable[int], at_s: float) -> dict[int, float]:
        known = self._known(at_s)
        line = self.line(at_s)
        if line is None:
            return {}
        if len(known) == 1:
            # Hopeful where there may be something to win, so that it is tried: larger ones cost no
            # more; smaller ones cost their part where one step keeps everybody waiting for long.
            [(only, seconds)] = known.items()
            is_long = seconds > TRIAL_S
            return {bucket: seconds * (min(1.0, bucket / only) if is_long else 1.0) for bucket in buckets}
        slope, constant = line
        return {bucket: known.get(bucket, slope * bucket + constant) for bucket in buckets}


class CostTable:
    """The cost models of every engine; an engine that nobody else holds takes its own along."""

    def __init__(self) -> None:
        self._engines: WeakKeyDictionary[Engine, OrderedDict[Hashable, CostModel]] = WeakKeyDictionary()

    def get(self, engine: Engine, key: Hashable) -> CostModel:
        """Return the model of an engine at a batch key; a new one where there is none."""
        models = self._engines.setdefault(engine, OrderedDict())
        if key not in models:
            models[key] = CostModel(engine.buckets)
            if len(models) > MAX_KEYS:
                models.popitem(last=False)
        models.move_to_end(key)
        return models[key]

    def newest(self, model: str) -> CostModel | None:
        """Return what was used last of an engine by its model's name."""
        for engine, models in self._engines.items():
            if engine.model.name == model and models:
                return next(reversed(models.values()))
        return None

    def __len__(self) -> int:
        """Return how many cost models are remembered."""
        return sum(len(models) for models in self._engines.values())
