"""How many frames per second a browser presents of those that it gets: pure policy, no clock.

A browser that supersedes frames before it can show them is given fewer: those would only have cost
its decoder and the link. Now and then it is offered more again.
"""

from __future__ import annotations

import math


# Over so long a browser's skips are judged, seconds.
WINDOW_S = 2.0
# More of what it gets than this, superseded unseen, is too much.
MAX_SKIPPED_SHARE = 0.2
# Of what it presents, so that it can show that it could take more; also each step up again.
HEADROOM = 1.25
LEAST_FPS = 0.5
# No screen shows more: the limit is lifted.
MOST_FPS = 120.0


class PresentPace:
    """The frames per second that a browser can present.

    Attributes:
        max_fps: Infinity while it presents (almost) all that it gets.
    """

    __slots__ = ("_began_at", "_presented", "_skipped", "max_fps")

    def __init__(self) -> None:
        self.max_fps = math.inf
        self._began_at = -math.inf
        self._presented = 0
        self._skipped = 0

    def note(self, now_s: float, *, presented: bool, skipped: int) -> bool:
        """Take what an acknowledgement tells.

        Args:
            now_s: Monotonic seconds.
            presented: Whether its frame was shown.
            skipped: How many were superseded in the browser since the one before.

        Returns:
            Whether `max_fps` has changed.
        """
        over_s = now_s - self._began_at
        if over_s > 2.0 * WINDOW_S:
            # Nothing was heard for so long that what was counted before says nothing.
            self._begin(now_s)
            over_s = 0.0
        self._presented += presented
        self._skipped += skipped
        if over_s < WINDOW_S:
            return False
        before = self.max_fps
        seen = self._presented + self._skipped
        if self._presented and self._skipped > MAX_SKIPPED_SHARE * seen:
            self.max_fps = max(LEAST_FPS, HEADROOM * self._presented / over_s)
        elif self.max_fps < MOST_FPS:
            self.max_fps *= HEADROOM
        if self.max_fps >= MOST_FPS:
            self.max_fps = math.inf
        self._begin(now_s)
        return self.max_fps != before

    def _begin(self, now_s: float) -> None:
        self._began_at = now_s
        self._presented = self._skipped = 0
