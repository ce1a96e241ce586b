"""Which tier a subscriber gets of the next frame, how large that will be, and how long it takes.

Asks the chooser at most so often: its answer moves in seconds, while frames come sixty times in one.
"""

from __future__ import annotations

from collections.abc import Callable

from server.streaming.canvas import Canvas
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.frame import Frame
from server.streaming.tiers.tier import ORIGINAL, Tier


# Between two looks, seconds: two of them, which a fall takes, are well below what a viewer waits for.
LOOK_S = 0.2
# Of the time between two frames: an original that takes less of its link needs no other look.
SURE_SHARE = 0.3


class Choice:
    """The tiers of one subscriber's frames."""

    __slots__ = ("_canvas", "_look_at", "_passes", "_seen", "_subscriber", "_tier", "_turn_at")

    def __init__(self, subscriber: Subscriber, canvas: Canvas) -> None:
        self._subscriber = subscriber
        self._canvas = canvas
        self._tier: Tier = ORIGINAL
        self._look_at = float("-inf")
        # What the last answer depends on, and does not move in seconds.
        self._seen: tuple[object, ...] = ()
        # Whether its frame passed through untouched, and from when on it is news that the next does not.
        self._passes = True
        self._turn_at = float("-inf")

    def next(self, frame: Frame, now_s: float) -> tuple[Tier, int, float]:
        """Return the tier of the next frame, about its bytes, and the seconds that it takes to encode."""
        subscriber, shape, passes = self._subscriber, frame.shape, frame.treatment is None
        formats = subscriber.formats
        seen = (shape.format in formats, shape.width, shape.height, subscriber.viewport, formats)
        has_turned = passes != self._passes and self._turn(now_s, passes=passes)
        is_another = has_turned or seen != self._seen
        if is_another or now_s >= self._look_at:
            self._look_at = now_s + LOOK_S
            if is_another or not self._is_sure(frame):
                self._seen = seen
                self._tier = self._choose(frame, now_s)
        tier = self._tier
        if passes and tier is ORIGINAL:
            return tier, len(frame.image.data), 0.0
        size_bytes, encode_s = self._canvas.renditions.estimate(frame, tier)
        return tier, size_bytes, encode_s

    def _turn(self, now_s: float, *, passes: bool) -> bool:
        """Take in that pictures are processed from now on, or no longer; tell whether to look at that now.

        Not with every turn, where sound turns hues by nearly nothing: then the next look is soon enough.
        """
        if now_s < self._turn_at:
            return False
        self._passes, self._turn_at = passes, now_s + LOOK_S
        return True

    def _is_sure(self, frame: Frame) -> bool:
        """Tell whether a look would find what the last one found: the original, on a link with much room."""
        rate_bytes_s = self._subscriber.flow.rate_bytes_s
        # What is processed may be dear to encode as well: that is another look.
        if self._tier is not ORIGINAL or rate_bytes_s is None or frame.treatment is not None:
            return False
        return len(frame.image.data) <= SURE_SHARE * rate_bytes_s * self._canvas.interval_s

    def best(self, frame: Frame, now_s: float, *, shown: Tier) -> Tier | None:
        """Return the best tier that the link carries, for a canvas that rests; None: the one shown is."""
        tier = self._ask(self._subscriber.chooser.best_tier, frame, now_s)
        if tier is ORIGINAL and shown is not ORIGINAL and frame.treatment is not None:
            # What a processed picture weighs in full is a guess until it was made once.
            return tier
        estimate = self._canvas.renditions.estimate
        # Of one picture, what weighs more shows more.
        return tier if estimate(frame, tier)[0] > estimate(frame, shown)[0] else None

    def _choose(self, frame: Frame, now_s: float) -> Tier:
        chooser = self._subscriber.chooser
        # What is offered to a canvas that rests is nothing that a better picture would follow.
        is_at_rest = self._canvas.is_resting(now_s) and self._subscriber.flow.rate_bytes_s is not None
        return self._ask(chooser.best_tier if is_at_rest else chooser.choose, frame, now_s)

    def _ask(self, chooser: Callable[..., Tier], frame: Frame, now_s: float) -> Tier:
        subscriber, renditions = self._subscriber, self._canvas.renditions
        return chooser(
            frame.shape,
            now_s=now_s,
            viewport=subscriber.viewport,
            formats=subscriber.formats,
            rate_bytes_s=subscriber.flow.rate_bytes_s,
            interval_s=self._canvas.interval_s,
            encode_s=lambda tier: renditions.estimate(frame, tier)[1],
            bytes_of=lambda tier: renditions.estimate(frame, tier)[0],
        )
