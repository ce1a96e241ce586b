"""Silhouettes: drawn once as shapes, then kept as layers.

Coordinates are in heights: x from the picture's middle, y from its top. Drawing is done at a
multiple of the size and reduced, which is where the smooth edges come from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .layers import CrispLayer, Geometry, SoftLayer, margin_px, vignette
from .noise import Plane
from .palettes import Colours


Points = Sequence[tuple[float, float]]

# Drawing at twice the size is enough for edges; above this the size alone is.
_SHARP_HEIGHT_PX = 1300


class Cutout:
    """A transparent sheet between two heights to draw shapes on.

    Args:
        geometry: Of the picture.
        top: Of the picture's height; nothing above it is kept.
        bottom: Nothing below it is kept.
        ground: The colour that edges fade into.
        soft: Whether it becomes a layer of the working size.
    """

    def __init__(
        self, geometry: Geometry, top: float, bottom: float, ground: Colours, *, soft: bool = False
    ) -> None:
        self._geometry = geometry
        self._soft = soft
        self._height = geometry.work_height if soft else geometry.height
        self._width = geometry.work_width if soft else geometry.width
        self._margin = margin_px(self._height)
        self._top = max(0, min(self._height - 1, math.floor(top * self._height)))
        self._rows = max(1, min(self._height, math.ceil(bottom * self._height)) - self._top)
        self._fine = 2 if self._height <= _SHARP_HEIGHT_PX else 1
        size = ((self._width + 2 * self._margin) * self._fine, self._rows * self._fine)
        self._sheet = Image.new("RGBA", size, (*(int(value) for value in ground), 0))
        self._draw = ImageDraw.Draw(self._sheet)
        self.half_width = geometry.aspect * 0.5 + self._margin / self._height

    def _at(self, x: float, y: float) -> tuple[float, float]:
        column = (x / self._geometry.aspect + 0.5) * self._width + self._margin
        return column * self._fine, (y * self._height - self._top) * self._fine

    def polygon(self, points: Points, colour: Colours, alpha: float = 1.0) -> None:
        """Fill a polygon."""
        self._draw.polygon([self._at(x, y) for x, y in points], fill=_ink(colour, alpha))

    def ellipse(
        self, x: float, y: float, across: float, down: float, colour: Colours, *, alpha: float = 1.0
    ) -> None:
        """Fill an ellipse around a middle, given its radii."""
        left, top = self._at(x - across, y - down)
        right, bottom = self._at(x + across, y + down)
        self._draw.ellipse((left, top, right, bottom), fill=_ink(colour, alpha))

    def stroke(self, points: Points, width: float, colour: Colours, alpha: float = 1.0) -> None:
        """Draw a line of a width in heights."""
        pixels = max(1, round(width * self._height * self._fine))
        self._draw.line([self._at(x, y) for x, y in points], fill=_ink(colour, alpha), width=pixels)

    def rectangle(
        self, left: float, top: float, right: float, bottom: float, colour: Colours, *, alpha: float = 1.0
    ) -> None:
        """Fill a rectangle."""
        x0, y0 = self._at(left, top)
        x1, y1 = self._at(right, bottom)
        if x1 > x0 and y1 > y0:
            self._draw.rectangle((x0, y0, x1, y1), fill=_ink(colour, alpha))

    def skyline(self, heights: Plane, x: Plane, colour: Colours) -> None:
        """Fill everything below a line: `heights` are y values at places `x`."""
        points = [self._at(float(a), float(b)) for a, b in zip(x, heights, strict=True)]
        low = (self._rows + 2) * self._fine
        self._draw.polygon([(points[0][0], low), *points, (points[-1][0], low)], fill=_ink(colour, 1.0))

    def _reduced(self) -> NDArray[np.uint8]:
        """Return the sheet at its final size, colours multiplied by their opacity, ``(rows, w, 4)``."""
        sheet = self._sheet.convert("RGBa")
        return np.asarray(sheet.reduce(self._fine) if self._fine > 1 else sheet)

    def crisp(self, dark_corners: float, parallax: float = 1.0, bob: float = 0.0) -> CrispLayer:
        """Keep what is drawn as a layer of the full size."""
        values = self._reduced()
        colour = values[..., :3].astype(np.uint16)
        if dark_corners > 0.0:
            columns = self._width + 2 * self._margin
            x = ((np.arange(columns) - self._margin + 0.5) / self._width - 0.5) * self._geometry.aspect
            y = (np.arange(self._rows) + self._top + 0.5) / self._height
            light = vignette(
                x.astype(np.float32)[None, :],
                y.astype(np.float32)[:, None],
                dark_corners,
                self._geometry.aspect,
            )
            colour *= np.rint(light * np.float32(256.0)).astype(np.uint16)[..., None]
            colour >>= 8
        return CrispLayer(colour, values[..., 3], self._top, parallax, bob)

    def faded(self, parallax: float, haze: Colours, share: float) -> SoftLayer:
        """Keep what is drawn as a layer of the working size, sinking into haze towards its foot."""
        values = self._reduced()
        alpha = values[..., 3].astype(np.float32) / np.float32(255.0)
        down = np.linspace(0.0, 1.0, self._rows, dtype=np.float32)[:, None, None] ** 1.6
        down *= np.float32(share)
        hazed = values[..., :3] * (1.0 - down) + haze * (down * alpha[..., None])
        return SoftLayer(np.ascontiguousarray(hazed.transpose(2, 0, 1)), alpha, self._top, parallax)


def _ink(colour: Colours, alpha: float) -> tuple[int, int, int, int]:
    red, green, blue = (int(min(255.0, max(0.0, value))) for value in colour)
    return red, green, blue, int(alpha * 255)
