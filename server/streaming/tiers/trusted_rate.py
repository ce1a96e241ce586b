"""What a link's goodput may be trusted to be: down soon, up only when it has been higher for a while.

By it the tier is chosen where pictures of other sizes follow one another, and the tier of the last one
says little of the next. Pure.
"""

from __future__ import annotations

import math


# Looks in a row below what is trusted before it is lowered; a single one may be an outlier ...
FALL_LOOKS = 2
# ... unless it is this many times too slow.
FALL_NOW = 2.0
# How much faster the link must be at every look before more is trusted, and for how long, seconds.
RISE_FACTOR = 1.1
RISE_AFTER_S = 5.0
MAX_RISE_AFTER_S = 60.0
# Trust that is lost so soon after it rose was a mistake, seconds.
FAILED_WITHIN_S = 10.0
# One that has held for so long makes up for earlier mistakes, seconds.
FORGIVEN_AFTER_S = 120.0


class TrustedRate:
    """The trusted goodput of one link.

    Attributes:
        bytes_s: Bytes per second; None while nothing is known.
    """

    def __init__(self) -> None:
        self.bytes_s: float | None = None
        self._below: list[float] = []  # the looks in a row that were below it
        self._least = math.inf  # of the looks since the link has been faster
        self._rises_at = math.inf
        self._rise_after_s = RISE_AFTER_S
        self._risen_at = -math.inf

    def look(self, rate_bytes_s: float | None, now_s: float) -> None:
        """Take in what was measured, at a monotonic instant."""
        trusted = self.bytes_s
        if rate_bytes_s is None or trusted is None:
            self.bytes_s = rate_bytes_s
            self._wait()
            return
        if now_s - self._risen_at >= FORGIVEN_AFTER_S:
            self._rise_after_s = RISE_AFTER_S
        if rate_bytes_s < RISE_FACTOR * trusted:
            self._wait()
        elif now_s < self._rises_at and self._rises_at < math.inf:
            self._least = min(self._least, rate_bytes_s)
        elif self._rises_at == math.inf:
            self._least, self._rises_at = rate_bytes_s, now_s + self._rise_after_s
        else:
            self.bytes_s = min(self._least, rate_bytes_s)
            self._risen_at = now_s
            self._wait()
        if rate_bytes_s >= trusted:
            self._below.clear()
            return
        self._below.append(rate_bytes_s)
        if len(self._below) >= FALL_LOOKS or FALL_NOW * rate_bytes_s < trusted:
            self._fall(now_s)

    def _fall(self, now_s: float) -> None:
        """Trust no more than what was measured last, outliers left out."""
        assert self.bytes_s is not None
        slower = self._below[-1] if FALL_NOW * self._below[-1] < self.bytes_s else max(self._below)
        if RISE_FACTOR * slower < self.bytes_s and now_s - self._risen_at <= FAILED_WITHIN_S:
            self._rise_after_s = min(2.0 * self._rise_after_s, MAX_RISE_AFTER_S)
        self.bytes_s = slower
        self._below.clear()

    def _wait(self) -> None:
        self._rises_at = math.inf
