"""Water in perspective: it mirrors what stands above it, ripples, and glitters under the light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .layers import Geometry, Planes
from .noise import Plane, sample, smoothstep, texture, turn
from .palettes import Palette


@dataclass(frozen=True, slots=True)
class WaterPlan:
    """What the water is like.

    Attributes:
        seed: Of its waves.
        palette: Its colours.
        top: Where it begins, of the picture's height.
        mirror: How much it reflects, 0 to 1.
        waves: Strength of its waves: 0.3 a lake, 1 a sea, 2 a storm.
        light_x: Under which x (in heights) it glitters, or None.
    """

    seed: int
    palette: Palette
    top: float
    mirror: float = 0.75
    waves: float = 1.0
    light_x: float | None = None


class Water:
    """Paints the rows below its top from those above."""

    def __init__(self, plan: WaterPlan, geometry: Geometry) -> None:
        self._plan = plan
        self._top = min(geometry.work_row(plan.top), geometry.work_height - 1)
        self._height, self._width = geometry.work_height, geometry.work_width
        x, y = geometry.x, geometry.y[self._top :]
        below = y - plan.top
        depth = 1.0 / (below + 0.035)
        ones = np.ones_like(x)
        self._long = texture(plan.seed, 2.0)
        self._short = texture(plan.seed ^ 3, 1.5)
        self._u = np.ascontiguousarray(x * depth * 20.0, dtype=np.float32)
        self._v = np.ascontiguousarray(depth * 62.0 * ones, dtype=np.float32)
        self._fine_u, self._fine_v = self._u * 2.6 + 9.0, self._v * 2.4
        near = smoothstep(0.0, 0.55, below)
        # Far waves are seen as fine lines, near ones as slopes that carry the image away.
        self._reach = np.asarray((0.02 + 0.22 * near) * plan.waves * self._height, dtype=np.float32)
        self._rows = np.arange(self._top, self._height, dtype=np.float32)[:, None]
        self._columns = np.arange(self._width, dtype=np.float32)[None, :]
        reflect = np.clip(plan.mirror * (1.0 - 0.62 * near), 0.0, 1.0)
        self._reflect = np.asarray(reflect * ones, dtype=np.float32)
        self._deep = plan.palette.water[:, None, None] * (1.0 - 0.35 * near)[None]
        self._crest = (plan.palette.horizon - plan.palette.water)[:, None, None] * np.float32(0.55)
        self._glitter = self._under_light(x, below)
        self._sparkle = plan.palette.glow[:, None, None]

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return 8 * self._u.nbytes

    def _under_light(self, x: Plane, below: Plane) -> Plane | None:
        if self._plan.light_x is None:
            return None
        width = 0.035 + 0.24 * below
        path = np.exp(-(((x - self._plan.light_x) / width) ** 2)) * (1.0 - 0.45 * smoothstep(0.1, 0.6, below))
        return np.asarray(path, dtype=np.float32)

    def paint(self, air: Planes, time_s: float) -> None:
        """Fill the rows below the water's top."""
        forth, back = np.float32(turn(time_s, 2.6)), np.float32(turn(time_s, 3.7))
        right, left = np.float32(turn(time_s, 1.0)), np.float32(turn(time_s, 1.9))
        slope = sample(self._long, self._u + right, self._v + forth)
        short = sample(self._short, self._fine_u - left, self._fine_v + back)
        slope -= np.float32(0.5)
        short -= np.float32(0.5)
        slope += short * np.float32(0.7)
        mirrored = self._rows + slope * self._reach
        np.subtract(2.0 * self._top - 1.0, mirrored, out=mirrored)
        np.clip(mirrored, 0.0, max(self._top - 1, 0), out=mirrored)
        columns = self._columns + slope * (self._reach * np.float32(0.25))
        np.clip(columns, 0.0, self._width - 1, out=columns)
        index = mirrored.astype(np.intp)
        index *= self._width
        index += columns.astype(np.intp)
        crest = np.clip(slope * np.float32(1.5 * min(self._plan.waves, 1.4)), -0.25, 0.6)
        sparkle = self._sparkles(slope, short)
        whole = air.reshape(3, -1)
        # What shines itself is mirrored whole: a sun mixed with deep water would look grey.
        shining = np.clip((whole[1].take(index) - np.float32(226.0)) * np.float32(0.06), 0.0, 1.0)
        reflect = self._reflect + shining * (np.float32(1.0) - self._reflect)
        for channel in range(3):
            seen = whole[channel].take(index)
            target = air[channel, self._top :]
            deep = self._deep[channel] + crest * self._crest[channel]
            seen -= deep
            seen *= reflect
            seen += deep
            if sparkle is not None:
                seen += (self._sparkle[channel] - seen) * sparkle
            target[:] = seen

    def _sparkles(self, slope: Plane, short: Plane) -> Plane | None:
        if self._glitter is None:
            return None
        facets = slope * np.float32(1.5)
        facets += short * np.float32(2.0)
        facets += self._glitter * np.float32(0.34)
        light = smoothstep(0.30, 0.62, facets)
        # Between the facets the path keeps a warm sheen: a mirrored white disc alone would look cold.
        light *= np.float32(0.62)
        light += np.float32(0.38)
        light *= self._glitter
        return light
