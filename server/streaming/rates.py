"""Frames per second over a trailing window.

Counting in a window, not averaging the times between: the latter reads far above the truth after a
burst.
"""

from __future__ import annotations

from collections import deque


# Long enough for 0.5 FPS to be told from 0.6, short enough to follow a change.
WINDOW_S = 5.0
_MAX_TIMES = 512


class Rate:
    """How often something happened lately, and how often in all."""

    def __init__(self) -> None:
        self.total = 0
        self._times: deque[float] = deque(maxlen=_MAX_TIMES)

    def count(self, now_s: float) -> None:
        """Note that it happened (monotonic seconds)."""
        self.total += 1
        self._times.append(now_s)

    def per_second(self, now_s: float) -> float:
        """Return how often it happened per second in the last `WINDOW_S` seconds."""
        while self._times and self._times[0] < now_s - WINDOW_S:
            self._times.popleft()
        if len(self._times) == _MAX_TIMES:
            return round((_MAX_TIMES - 1) / max(1e-3, now_s - self._times[0]), 2)
        return round(len(self._times) / WINDOW_S, 2)
