"""The frame: one encoded image with its metadata, immutable from publication on."""

from __future__ import annotations

from dataclasses import dataclass, field


FORMATS = ("jpeg", "webp", "png")
"""What frames may be encoded as, best supported first."""

MEDIA_TYPES = {"jpeg": "image/jpeg", "webp": "image/webp", "png": "image/png"}


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image as it comes from a source, before it is anybody's frame."""

    data: bytes = field(repr=False)  # a whole file
    format: str  # one of FORMATS
    width: int  # pixels
    height: int  # pixels


@dataclass(frozen=True, slots=True)
class Frame:
    """One published image of a canvas, the same for every subscriber."""

    canvas: str
    sequence: int  # +1 per published frame within an epoch
    image_id: str
    timestamp_ms: float  # when the picture was finished, Unix
    published_ms: float  # when the canvas took it, Unix
    image: EncodedImage
    job: str | None = None  # whose picture it is
    final: bool = False  # no other picture follows by itself
    stages: dict[str, float] = field(default_factory=dict)  # name to Unix ms

    def __str__(self) -> str:
        image = self.image
        return (
            f"{self.canvas}#{self.sequence} {image.format} {image.width}x{image.height} {len(image.data)} B"
        )
