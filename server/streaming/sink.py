"""The seam between whoever makes pictures and the canvas that shows them."""

from __future__ import annotations

from typing import Protocol

from server.streaming.frame import EncodedImage, Frame


class FrameSink(Protocol):
    """The way of a finished picture to a canvas, wherever that canvas is.

    Implemented by `Canvas` here; another implementation may hand pictures to servers elsewhere.
    """

    def publish(
        self,
        image: EncodedImage,
        *,
        timestamp_ms: float,
        job: str | None = None,
        final: bool = False,
        present_at_ms: float | None = None,
    ) -> Frame:
        """Make an image the newest frame."""
