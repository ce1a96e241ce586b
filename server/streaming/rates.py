"""How often something happens, and how far apart: both over what happened lately.

Counting in a window, not averaging the times between: the latter reads far above the truth after a
burst.
"""

from __future__ import annotations

from collections import deque
from statistics import median


# Long enough for 0.5 FPS to be told from 0.6, short enough to follow a change.
WINDOW_S = 5.0
_MAX_TIMES = 512
# The median of so many intervals follows a new pace within half of them, and one pause moves it
# by nothing.
_INTERVALS = 9


class Rate:
    """How often something happened lately, and how often in all."""

    def __init__(self) -> None:
        self.total = 0
        self._times: deque[float] = deque(maxlen=_MAX_TIMES)

    def count(self, now_s: float) -> None:
        """Note that it happened (monotonic seconds)."""
        self.total += 1
        times = self._times
        times.append(now_s)
        # Here, too: there are thousands of these, and nobody may ever ask.
        if times[0] < now_s - WINDOW_S:
            self._forget(now_s)

    def per_second(self, now_s: float) -> float:
        """Return how often it happened per second in the last `WINDOW_S` seconds."""
        self._forget(now_s)
        if len(self._times) == _MAX_TIMES:
            return round((_MAX_TIMES - 1) / max(1e-3, now_s - self._times[0]), 2)
        return round(len(self._times) / WINDOW_S, 2)

    def _forget(self, now_s: float) -> None:
        while self._times and self._times[0] < now_s - WINDOW_S:
            self._times.popleft()


class Pace:
    """How far apart the changes of a source are, and when it rests.

    Attributes:
        changed_at: The last change, the source's or not, monotonic seconds; None before the first.
        interval_s: The usual time between two changes; None until there were two.
    """

    # A still picture is refined after so long at the earliest, and so long at the latest: a source
    # that changes every minute rests in between.
    LEAST_REST_S = 0.5
    MOST_REST_S = 3.0

    def __init__(self) -> None:
        self.changed_at: float | None = None
        self.interval_s: float | None = None
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self._paced_at: float | None = None  # the source's own last change

    @property
    def rests_at(self) -> float:
        """From when on the source rests, unless it changes before; infinite before the first change."""
        if self.changed_at is None:
            return float("inf")
        wait_s = 3.0 * (self.interval_s or 0.0)
        return self.changed_at + min(max(wait_s, self.LEAST_REST_S), self.MOST_REST_S)

    def change(self, now_s: float) -> None:
        """Note a change (monotonic seconds)."""
        if self._paced_at is not None:
            self._intervals.append(now_s - self._paced_at)
            self.interval_s = median(self._intervals)
        self._paced_at = self.changed_at = now_s

    def disturb(self, now_s: float) -> None:
        """Note a change that is not the source's: it rests later, and is no faster (monotonic seconds)."""
        self.changed_at = now_s
