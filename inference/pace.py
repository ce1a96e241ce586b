"""How fast a model paints, learned while it does. Knows no thread and no transport."""

from __future__ import annotations


class Pace:
    """A decaying mean: the newest pictures count most, so that it follows a change of load."""

    # Each picture takes this part of the weight of all before it: the last fifty make the mean.
    KEPT = 0.98

    def __init__(self) -> None:
        self._megapixels = 0.0
        self._busy_s = 0.0

    def add(self, pixels: int, busy_s: float) -> None:
        """Learn from one picture of so many pixels and seconds of the engine's time."""
        self._megapixels = self._megapixels * self.KEPT + pixels / 1e6
        self._busy_s = self._busy_s * self.KEPT + busy_s

    @property
    def megapixels_per_s(self) -> float:
        """Megapixels painted per second of the engine's time; 0 until something has been painted."""
        return self._megapixels / self._busy_s if self._busy_s else 0.0
