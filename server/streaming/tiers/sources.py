"""One picture of a canvas and everything that has been made of it, and the work of making more.

The work is done in threads. The decoded picture, processed where the canvas wants that, is shared by all
who need it: whoever needs it meanwhile waits. Knows no canvas, no subscriber and no event loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from PIL import Image

from server.errors import InvalidError
from server.streaming.clock import now_ms
from server.streaming.frame import EncodedImage, Frame, Shape
from server.streaming.images import effects, transcoding
from server.streaming.processing import Treatment
from server.streaming.tiers.tier import ORIGINAL, Tier


class AbandonedError(Exception):
    """Nobody wants what is being made any more."""


class Source:
    """One picture, and what is done to it before it is shown.

    Attributes:
        image: As it came; also what tells it from others, with the treatment: twins share theirs.
        treatment: What is done to it; None: it is shown as it came.
        shape: What it comes out as in full.
        sequence: Of the newest frame that shows it.
        encoded: What it was encoded as, and when that was done (Unix ms).
        is_broken: Whether it has turned out that it cannot be decoded.
        is_counted: Whether that was counted.
    """

    def __init__(self, image: EncodedImage, sequence: int, treatment: Treatment | None = None) -> None:
        self.image = image
        self.treatment = treatment
        self.shape: Shape = image if treatment is None else treatment.shown_as(image.width, image.height)
        self.sequence = sequence
        self.encoded: dict[Tier, tuple[EncodedImage, float]] = {}
        self.is_broken = False
        self.is_counted = False
        self._wanted: dict[Tier, int] = {}
        # What screens have asked for, and what is still to be asked for if they ask for the same as of the
        # picture before.
        self._asked: set[Tier] = set()
        self._expected: frozenset[Tier] = frozenset()
        self._picture: Image.Image | None = None
        self._picture_scale = 0.0
        self._lock = threading.Lock()

    def shows(self, frame: Frame) -> bool:
        """Tell whether this is the picture of a frame."""
        return self.image is frame.image and self.treatment == frame.treatment

    def is_ready_made(self, tier: Tier) -> bool:
        """Tell whether a tier is the file as it came."""
        return tier is ORIGINAL and self.treatment is None

    def expect(self, before: Source) -> None:
        """Expect that screens will ask for what they asked for of the picture before.

        They do not ask at once, and what is processed is to be so once for all of them: large enough for the
        largest, and kept until all have asked, or the next picture is expected.
        """
        if self.treatment is not None:
            self._expected = frozenset(before._asked)
        before.expect_nobody()

    @property
    def is_expecting(self) -> bool:
        """Whether screens are expected to ask for more than they have."""
        return not self._expected <= self._asked

    def expect_nobody(self) -> None:
        """Expect no more screens: what is kept for them is let go of."""
        self._expected = frozenset()
        self._let_go()

    def ask(self, tier: Tier) -> None:
        """Note that a screen asks for a tier."""
        self._asked.add(tier)

    def want(self, tier: Tier) -> None:
        """Say that a tier is going to be encoded, so that decoding serves it, too."""
        self._wanted[tier] = self._wanted.get(tier, 0) + 1

    def unwant(self, tier: Tier) -> None:
        """Take that back; without any, and none to be expected, the decoded picture is let go of."""
        self._wanted[tier] -= 1
        if not self._wanted[tier]:
            del self._wanted[tier]
        self._let_go()

    def _let_go(self) -> None:
        if not self._wanted and not self.is_expecting:
            self._picture = None
            self._picture_scale = 0.0

    def encode(
        self, tier: Tier, check: Callable[[], None], size: tuple[int, int] | None = None
    ) -> tuple[EncodedImage, float, float]:
        """Encode it as a tier says; blocking. The tier must be wanted meanwhile.

        Args:
            tier: Scale, format and quality.
            check: Called between two steps, of which decoding, shrinking and encoding are some; may raise
                `AbandonedError`.
            size: In pixels; None: as the tier says.

        Returns:
            The image, the seconds that it took in this thread, and when it was done, Unix ms.

        Raises:
            InvalidError: If the picture is broken.
            AbandonedError: As `check` does.
        """
        check()
        began_s = time.monotonic()
        picture = self._decode(tier.scale, check)
        check()
        picture = transcoding.shrink(picture, *(size or tier.size_of(self.shape.width, self.shape.height)))
        check()
        format_, quality = tier.format, tier.quality
        if tier is ORIGINAL and self.treatment is not None:
            format_, quality = self.treatment.format, self.treatment.quality
        encoded = transcoding.write(picture, format_, quality)
        return encoded, time.monotonic() - began_s, now_ms()

    def _decode(self, scale: float, check: Callable[[], None]) -> Image.Image:
        """Return the picture as it is shown, at least as large as this scale: made once for all who want it.

        Others wait meanwhile: reducing what one has decoded costs a quarter of decoding again.
        """
        with self._lock:
            if self.is_broken:
                raise InvalidError("the image cannot be decoded", field="body")
            if self._picture is None or self._picture_scale < scale:
                needed = max([scale, *(tier.scale for tier in (*tuple(self._wanted), *self._expected))])
                self._picture = self._make(needed, check)
                self._picture_scale = needed
            return self._picture

    def _make(self, scale: float, check: Callable[[], None]) -> Image.Image:
        image, treatment = self.image, self.treatment
        processed = self.encoded.get(ORIGINAL)
        if processed is not None:
            # It is let go of as soon as nobody wants it: who comes later is served from what screens got.
            return transcoding.load(processed[0].data, scale)
        try:
            picture = transcoding.load(image.data, scale)
        except InvalidError:
            self.is_broken = True
            raise
        if treatment is None:
            return picture

        def check_alone() -> None:
            # What several want is made to its end, whoever has gone meanwhile.
            if sum(self._wanted.values()) <= 1:
                check()

        check_alone()
        return effects.process(
            picture, treatment.processing, of_width=image.width, of_height=image.height, check=check_alone
        )
