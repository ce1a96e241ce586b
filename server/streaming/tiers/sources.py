"""One picture of a canvas and everything that has been made of it, and the work of making more.

The work is done in threads, its state is shared with the event loop under one lock that is held for
microseconds. Knows no canvas, no subscriber and no event loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from PIL import Image

from server.errors import InvalidError
from server.streaming.clock import now_ms
from server.streaming.frame import EncodedImage
from server.streaming.images import transcoding
from server.streaming.tiers.tier import Tier


class AbandonedError(Exception):
    """Nobody wants what is being made any more."""


class Source:
    """One picture.

    Attributes:
        image: As it came; also what tells it from others: twins share theirs.
        sequence: Of the newest frame that shows it.
        encoded: What it was encoded as, and when that was done (Unix ms).
        is_broken: Whether it has turned out that it cannot be decoded.
        is_counted: Whether that was counted.
    """

    def __init__(self, image: EncodedImage, sequence: int) -> None:
        self.image = image
        self.sequence = sequence
        self.encoded: dict[Tier, tuple[EncodedImage, float]] = {}
        self.is_broken = False
        self.is_counted = False
        self._wanted: dict[Tier, int] = {}
        self._decoded: Image.Image | None = None
        self._decoded_scale = 0.0
        self._lock = threading.Lock()

    def want(self, tier: Tier) -> None:
        """Say that a tier is going to be encoded, so that decoding serves it, too."""
        self._wanted[tier] = self._wanted.get(tier, 0) + 1

    def unwant(self, tier: Tier) -> None:
        """Take that back; without any, the decoded picture is let go of."""
        self._wanted[tier] -= 1
        if not self._wanted[tier]:
            del self._wanted[tier]
        if not self._wanted:
            self._decoded = None
            self._decoded_scale = 0.0

    def encode(self, tier: Tier, check: Callable[[], None]) -> tuple[EncodedImage, float, float]:
        """Encode it as a tier says; blocking.

        Args:
            tier: Scale, format and quality.
            check: Called between decoding, shrinking and encoding; may raise `AbandonedError`.

        Returns:
            The image, the seconds that it took in this thread, and when it was done, Unix ms.

        Raises:
            InvalidError: If the picture is broken.
            AbandonedError: As `check` does.
        """
        check()
        began_s = time.monotonic()
        picture = self._decode(tier.scale)
        check()
        picture = transcoding.shrink(picture, *tier.size_of(self.image.width, self.image.height))
        check()
        encoded = transcoding.write(picture, tier.format, tier.quality)
        return encoded, time.monotonic() - began_s, now_ms()

    def _decode(self, scale: float) -> Image.Image:
        """Return the decoded picture, at least as large as this scale; decoded once for all who want it.

        Others wait meanwhile: reducing what one has decoded costs a quarter of decoding again.
        """
        with self._lock:
            if self.is_broken:
                raise InvalidError("the image cannot be decoded", field="body")
            if self._decoded is None or self._decoded_scale < scale:
                needed = max([scale, *(tier.scale for tier in tuple(self._wanted))])
                try:
                    self._decoded = transcoding.load(self.image.data, needed)
                except InvalidError:
                    self.is_broken = True
                    raise
                self._decoded_scale = needed
            return self._decoded
