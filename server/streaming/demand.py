"""How many frames per second the screens of a canvas can show, all of them together.

The fastest one decides. Pure, and cheap enough to be told of every acknowledgement: 1,000 screens at
4 FPS are 4,000 a second.
"""

from __future__ import annotations

from collections.abc import Hashable


# A producer is woken for a change of more than this: what a screen's link carries moves a little
# with every acknowledgement.
HYSTERESIS = 0.05


class Demand:
    """What each screen wants, and the most of it.

    Attributes:
        fps: The most frames per second that any screen wants; 0 without one, possibly infinite.
    """

    def __init__(self) -> None:
        self.fps = 0.0
        self._wants: dict[Hashable, float] = {}
        self._told_fps = 0.0

    def note(self, screen: Hashable, wants_fps: float) -> bool:
        """Take in what a screen wants.

        Returns:
            Whether the demand has changed by so much since this last said so that its producer must know.
        """
        before = self._wants.get(screen)
        if wants_fps == before:
            return False
        self._wants[screen] = wants_fps
        return self._look(before, wants_fps)

    def forget(self, screen: Hashable) -> bool:
        """Leave a screen out that is gone; tells the same as `note`."""
        return self._look(self._wants.pop(screen, None), 0.0)

    def _look(self, before: float | None, wants_fps: float) -> bool:
        if wants_fps >= self.fps:
            self.fps = wants_fps
        elif before is not None and before >= self.fps:
            # Only where the fastest screen has slowed down are all of them looked at.
            self.fps = max(self._wants.values(), default=0.0)
        told_fps = self._told_fps
        # Written so that it holds for 0 and for the infinite, too, which are no small change of anything.
        if self.fps == told_fps or told_fps * (1 - HYSTERESIS) < self.fps < told_fps * (1 + HYSTERESIS):
            return False
        self._told_fps = self.fps
        return True
