"""What is done to every picture of a canvas before it is shown. Pure values; the pixels are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Crop:
    """The part of a picture that is kept, in shares of its sides, before it is turned."""

    x: float = 0.0  # of its left edge, 0 to below 1
    y: float = 0.0  # of its upper edge
    width: float = 1.0  # above 0; x + width is at most 1
    height: float = 1.0


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
    mirror: str = "none"  # none, horizontal (left becomes right), vertical, both
    brightness: float = 1.0  # factor, 0 to 4
    contrast: float = 1.0  # factor around the picture's mean, 0 to 4
    saturation: float = 1.0  # factor, 0 (grey) to 4
    hue: float = 0.0  # degrees by which every hue is turned, -180 to 180
    tint: Tint | None = None
    pixelate: int = 1  # side of a block in pixels of the picture, 1 to 256
    blur: float = 0.0  # radius in pixels of the picture, 0 to 100

    @property
    def is_identity(self) -> bool:
        """Whether pictures stay as they are."""
        return self == IDENTITY


IDENTITY = Processing()
MIRRORS = ("none", "horizontal", "vertical", "both")
