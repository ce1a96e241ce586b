"""A scene: everything that one picture is painted from, baked once and painted at any time.

A scene is made for one request and size. It keeps no state between pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from inference.engine import Pixels

from .layers import Geometry, Planes, enlarge, vignette
from .noise import Plane, generator
from .surface import Surface


SoftPart = Callable[[Planes, float], None]
"""Paints into the working planes at a time in seconds."""

CrispPart = Callable[[Pixels, float], None]
"""Paints into the bytes of the full size at a time in seconds."""


@dataclass(slots=True)
class Parts:
    """What a place puts into a scene, each list in painting order."""

    soft: list[SoftPart] = field(default_factory=list)
    crisp: list[CrispPart] = field(default_factory=list)
    held_bytes: int = 0

    def hold(self, *kept: object) -> None:
        """Count what parts take in memory."""
        self.held_bytes += sum(int(getattr(part, "nbytes", 0)) for part in kept)


class Scene:
    """Paints one request at one size."""

    def __init__(
        self, geometry: Geometry, parts: Parts, surface: Surface, dark_corners: float, seed: int
    ) -> None:
        self._geometry = geometry
        self._parts = parts
        self._surface = surface
        self._corners: Plane | None = None
        if dark_corners > 0.0:
            self._corners = vignette(geometry.x, geometry.y, dark_corners, geometry.aspect)
        rng = generator("dither", seed)
        shape = (geometry.work_height, geometry.work_width)
        self._dither = rng.random(shape, dtype=np.float32)

    @property
    def nbytes(self) -> int:
        """What it takes in memory, roughly."""
        return self._parts.held_bytes + self._surface.nbytes + 2 * self._dither.nbytes

    def paint(self, time_s: float) -> Pixels:
        """Paint the picture of a time."""
        geometry = self._geometry
        air = np.empty((3, geometry.work_height, geometry.work_width), np.float32)
        for soften in self._parts.soft:
            soften(air, time_s)
        if self._corners is not None:
            air *= self._corners
        pixels = enlarge(air, self._dither, geometry.width, geometry.height)
        for draw in self._parts.crisp:
            draw(pixels, time_s)
        return self._surface.finish(pixels)
