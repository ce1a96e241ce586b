"""Abstract fields for words that name no place: silk, ink, marble and slow rings of colour.

A field of noise bends the coordinates in which another is read, and that bends a third; light
falls over the result as over cloth.

Source: Inigo Quilez, "Domain warping" (nested fields).
"""

from __future__ import annotations

import math

import numpy as np

from .. import palettes
from ..layers import Planes
from ..noise import sample, texture, turn
from ..palettes import mix
from ..scene import Parts
from ..setting import Setting, add_weather


def paint(setting: Setting, parts: Parts) -> None:
    """Fill a scene with an abstract field."""
    field = _Field(setting)
    parts.soft.append(field.paint)
    parts.hold(field)
    add_weather(setting, parts)


class _Field:
    def __init__(self, setting: Setting) -> None:
        rng = setting.rng("field")
        geometry = setting.geometry
        x, y = geometry.x, geometry.y - np.float32(0.5)
        angle = float(rng.uniform(0.0, math.tau))
        scale = float(rng.uniform(26.0, 44.0))
        stretch = float(rng.choice([0.4, 0.65, 1.0, 1.0]))
        u = (x * math.cos(angle) + y * math.sin(angle)) * scale
        v = (y * math.cos(angle) - x * math.sin(angle)) * scale * stretch
        self._u, self._v = u.astype(np.float32), v.astype(np.float32)
        seed = setting.seed("field")
        self._first, self._second = texture(seed, 3.4), texture(seed ^ 1, 3.4)
        self._third = texture(seed ^ 2, float(rng.choice([3.0, 3.4, 3.8])))
        self._warp = np.float32(rng.uniform(70.0, 150.0))
        self._folds = np.float32(rng.choice([1.2, 1.6, 2.2, 3.0, 4.2]))
        self._relief = np.float32(rng.uniform(26.0, 44.0))
        self._pace = float(rng.uniform(0.35, 0.6))
        centre = rng.uniform(-0.3, 0.3, 2)
        rings = float(rng.choice([0.0, 0.0, 0.9, 1.6]))
        self._rings = (np.hypot(x - centre[0], y - centre[1]) * rings).astype(np.float32)
        self._tones = self._ramp(setting, rng).T.copy()
        self._gleam = mix(setting.palette.disc, setting.palette.glow, 0.35)
        self._step = max(1, round(geometry.work_height / 240))

    @staticmethod
    def _ramp(setting: Setting, rng: np.random.Generator) -> palettes.Colours:
        palette = setting.palette
        stops = [palette.near, palette.zenith, palette.middle, palette.horizon, palette.glow]
        if rng.uniform() < 0.5:
            stops = [palette.near, palette.water, palette.far, palette.accent, palette.cloud]
        if rng.uniform() < 0.45:
            stops.insert(3, palette.accent)
        lift = mix(stops[0], stops[1], 0.45)
        stops = [lift, *stops[1:]]
        places = np.linspace(0.08, 0.92, len(stops)).tolist()
        return palettes.ramp(stops, places, np.linspace(0.0, 1.0, 1024, dtype=np.float32))

    @property
    def nbytes(self) -> int:
        return 3 * self._u.nbytes

    def paint(self, air: Planes, time_s: float) -> None:
        """Fill the whole picture."""
        slow = np.float32(turn(time_s, self._pace))
        slower = np.float32(turn(time_s, self._pace * 0.618))
        first = sample(self._first, self._u + slow, self._v - slower)
        first -= np.float32(0.5)
        second = sample(
            self._second, self._u * np.float32(1.3) + first * self._warp, self._v * np.float32(1.3) - slow
        )
        second -= np.float32(0.5)
        value = sample(
            self._third,
            self._u + second * self._warp + slower,
            self._v + (first - second) * self._warp,
        )
        value += first * np.float32(0.25)
        value += self._rings
        # Folding instead of clipping: colours run through the palette and back, without an edge.
        value -= np.float32(0.5)
        value *= self._folds * np.float32(1.25)
        value += np.float32(0.5)
        folded = np.abs((value + 1.0) % 2.0 - 1.0)
        index = np.clip(folded * np.float32(1023.0), 0.0, 1023.0).astype(np.intp)
        light = self._slopes(value, second)
        for plane, tones, gleam in zip(air, self._tones, self._gleam, strict=True):
            np.take(tones, index, out=plane)
            plane *= np.float32(1.0) + np.minimum(light, 0.0)
            plane += np.maximum(light, 0.0) * (gleam - plane)

    def _slopes(self, value: palettes.Colours, second: palettes.Colours) -> palettes.Colours:
        """Return light (above 0) and shadow (below 0) on the folds, from the upper left."""
        step = self._step
        height = value / self._folds + second * np.float32(0.3)
        light = np.zeros_like(height)
        light[step:, step:] = height[step:, step:] - height[:-step, :-step]
        light[:step], light[:, :step] = light[step : step + 1], light[:, step : step + 1]
        light *= self._relief / np.float32(step)
        np.clip(light, -0.55, 0.5, out=light)
        return light
