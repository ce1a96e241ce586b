"""The frame: one encoded image with its metadata, immutable from publication on, and what it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from server.streaming.processing import Treatment


FORMATS = ("jpeg", "webp", "png")
"""What frames may be encoded as, best supported first."""

MEDIA_TYPES = {"jpeg": "image/jpeg", "webp": "image/webp", "png": "image/png"}


class Shape(Protocol):
    """What screens, and whoever chooses for them, must know of a picture."""

    @property
    def format(self) -> str:
        """One of `FORMATS`."""

    @property
    def width(self) -> int:
        """Pixels."""

    @property
    def height(self) -> int:
        """Pixels."""


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image as it comes from a source, before it is anybody's frame."""

    data: bytes = field(repr=False)  # a whole file
    format: str  # one of FORMATS
    width: int  # pixels
    height: int  # pixels


@dataclass(frozen=True, slots=True)
class Frame:
    """One published image of a canvas, the same for every subscriber.

    Its image is the one that came from the source, whatever is done to it before it is shown: what is
    painted from the current picture must not be processed again and again.
    """

    canvas: str
    sequence: int  # +1 per published frame within an epoch
    image_id: str
    timestamp_ms: float  # when the picture was finished, Unix
    published_ms: float  # when the canvas took it, Unix
    image: EncodedImage
    job: str | None = None  # whose picture it is
    final: bool = False  # no other picture follows by itself
    present_at_ms: float | None = None  # when every screen shows it, Unix; None: as soon as it can
    stages: Mapping[str, float] = field(default_factory=dict)  # when each was over: name to Unix ms
    treatment: Treatment | None = None  # what is done to the image; None: it is shown as it is

    @property
    def shape(self) -> Shape:
        """What the image comes out as where it is shown in full."""
        image, treatment = self.image, self.treatment
        return image if treatment is None else treatment.shown_as(image.width, image.height)

    def __post_init__(self) -> None:
        """See to it that the stages hold those that every subscriber shares."""
        shared = {"painted": self.timestamp_ms, "published": self.published_ms}
        # The way that a frozen dataclass has for it, see the documentation of `dataclasses`.
        object.__setattr__(self, "stages", {**shared, **self.stages, **shared})

    def __str__(self) -> str:
        image = self.image
        return (
            f"{self.canvas}#{self.sequence} {image.format} {image.width}x{image.height} {len(image.data)} B"
        )


@dataclass(frozen=True, slots=True)
class Exhibit:
    """An image that a canvas is to show, and what is told of it."""

    image: EncodedImage
    timestamp_ms: float
    job: str | None = None
    final: bool = False
    present_at_ms: float | None = None

    def again(self, at_ms: float) -> Exhibit:
        """Return the same to be shown once more, at its instant only if that is ahead of one (Unix ms)."""
        is_ahead = self.present_at_ms is not None and self.present_at_ms > at_ms
        return self if is_ahead else replace(self, present_at_ms=None)

    def is_shown_by(self, frame: Frame | None, treatment: Treatment | None = None) -> bool:
        """Whether a screen that shows this frame shows nothing else than this picture, so treated."""
        if frame is None or (frame.job, frame.final) != (self.job, self.final):
            return False
        if frame.treatment != treatment:
            return False
        image, shown = self.image, frame.image
        if (image.format, image.width, image.height) != (shown.format, shown.width, shown.height):
            return False
        # Bytes of different lengths are told apart without a look at them; equal ones take 0.1 ms for 2 MB.
        return image.data == shown.data
