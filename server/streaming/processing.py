"""What is done to every picture of a canvas before it is shown. Pure values; the pixels are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args


Mirror = Literal["none", "horizontal", "vertical", "both"]
"""What is mirrored: horizontally, left becomes right."""

MIRRORS: tuple[Mirror, ...] = get_args(Mirror)


@dataclass(frozen=True, slots=True)
class Crop:
    """The part of a picture that is kept, in shares of its sides, before it is turned."""

    x: float = 0.0  # of its left edge, 0 to below 1
    y: float = 0.0  # of its upper edge
    width: float = 1.0  # above 0; x + width is at most 1
    height: float = 1.0

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the left, upper, right and lower edge in pixels of a picture of this size.

        At least one pixel is kept, however small the share.
        """
        left, right = _span(self.x, self.width, width)
        upper, lower = _span(self.y, self.height, height)
        return left, upper, right, lower


def _span(start: float, share: float, side_px: int) -> tuple[int, int]:
    first = min(round(start * side_px), side_px - 1)
    return first, min(max(round((start + share) * side_px), first + 1), side_px)


@dataclass(frozen=True, slots=True)
class Tint:
    """A colour that is mixed in."""

    color: str  # #rrggbb
    amount: float  # 0 (none of it) to 1 (nothing else but the picture's brightness)


@dataclass(frozen=True, slots=True)
class Processing:
    """In the order in which it is done; the default changes nothing."""

    crop: Crop | None = None
    rotate: int = 0  # clockwise: 0, 90, 180, 270
    mirror: Mirror = "none"
    brightness: float = 1.0  # factor, 0 to 4
    contrast: float = 1.0  # factor around the picture's mean, 0 to 4
    saturation: float = 1.0  # factor, 0 (grey) to 4
    hue: float = 0.0  # degrees by which every hue is turned, -180 to 180
    tint: Tint | None = None
    pixelate: int = 1  # side of a block in pixels of the picture, 1 to 256
    blur: float = 0.0  # radius in pixels of the picture, 0 to 100

    @property
    def is_identity(self) -> bool:
        """Whether pictures stay as they are; keeping all of one is no crop, nothing of a colour no tint."""
        crop = None if self.crop == Crop() else self.crop
        tint = self.tint if self.tint is not None and self.tint.amount > 0.0 else None
        return replace(self, crop=crop, tint=tint) == IDENTITY

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Return the size in pixels that a picture of this size comes out in."""
        if self.crop is not None:
            left, upper, right, lower = self.crop.box(width, height)
            width, height = right - left, lower - upper
        return (height, width) if self.rotate in (90, 270) else (width, height)

    def turned(self, hue: float) -> Processing:
        """Return the same with every hue turned further: by whole degrees, less is not seen.

        Args:
            hue: Degrees.
        """
        degrees = round(hue)
        return replace(self, hue=(self.hue + degrees + 180.0) % 360.0 - 180.0) if degrees else self


IDENTITY = Processing()


class ShownAs(NamedTuple):
    """What a picture comes out as."""

    format: str
    width: int  # pixels
    height: int  # pixels


@dataclass(frozen=True, slots=True)
class Treatment:
    """What becomes of a picture that is not shown as it came: it is processed, and encoded anew."""

    processing: Processing
    format: str  # what it is encoded as in full
    quality: int  # 1 to 100

    @property
    def kind(self) -> Treatment:
        """The same for all treatments whose pictures weigh and take about the same: hues do neither."""
        return replace(self, processing=replace(self.processing, hue=0.0))

    def shown_as(self, width: int, height: int) -> ShownAs:
        """Return what a picture of this size comes out as, in full."""
        return ShownAs(self.format, *self.processing.size_of(width, height))
