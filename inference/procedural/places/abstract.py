"""Abstract fields for words that name no place: silk, ink, marble and slow rings of colour.

A field of noise bends the coordinates in which another is read, and that bends a third; light
falls over the result as over cloth.

Source: Inigo Quilez, "Domain warping" (nested fields).
"""

from __future__ import annotations

import math

import numpy as np

from inference.procedural import looks, palettes
from inference.procedural.layers import Planes
from inference.procedural.noise import sample, silk, turn
from inference.procedural.palettes import mix
from inference.procedural.scene import Parts
from inference.procedural.setting import Setting, add_weather


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
        scale = float(rng.uniform(70.0, 130.0))
        stretch = float(rng.choice([0.4, 0.65, 1.0, 1.0]))
        u = (x * math.cos(angle) + y * math.sin(angle)) * scale
        v = (y * math.cos(angle) - x * math.sin(angle)) * scale * stretch
        self._u, self._v = u.astype(np.float32), v.astype(np.float32)
        seed = setting.seed("field")
        self._first, self._second = silk(seed), silk(seed ^ 1)
        self._third = silk(seed ^ 2)
        self._warp = np.float32(rng.uniform(50.0, 120.0))
        self._folds = np.float32(rng.choice([1.0, 1.3, 1.8, 2.6]))
        self._relief = np.float32(rng.uniform(70.0, 130.0))
        self._threads = np.float32(rng.uniform(30.0, 75.0)) / self._folds
        self._pace = float(rng.uniform(0.7, 1.2))
        centre = rng.uniform(-0.3, 0.3, 2)
        rings = float(rng.choice([0.0, 0.0, 0.7, 1.2]))
        self._rings = (np.hypot(x - centre[0], y - centre[1]) * rings).astype(np.float32)
        self._tones = self._ramp(setting, rng).T.copy()
        self._gleam = mix(setting.palette.disc, setting.palette.glow, 0.35)
        self._step = max(1, round(geometry.work_height / 240))

    @staticmethod
    def _ramp(setting: Setting, rng: np.random.Generator) -> palettes.Colours:
        palette = palettes.turned(setting.palette, 0.0, 1.2 if setting.palette_is_free else 1.0)
        stops = [palette.near, palette.zenith, palette.middle, palette.horizon, palette.glow]
        if rng.uniform() < 0.5:
            stops = [palette.near, palette.water, palette.far, palette.accent, palette.cloud]
        if rng.uniform() < 0.45:
            stops.insert(3, palette.accent)
        if setting.brief.scene_colours:
            named = looks.grade_colours(
                np.stack([palettes.NAMED[name] for name in setting.brief.scene_colours]),
                looks.of(setting.style),
            )
            stops = [mix(palette.near, named[0], 0.3), *named, mix(named[-1], palette.disc, 0.55)]
        stops[0] = mix(stops[0], stops[1], 0.35)
        places = np.linspace(0.08, 0.92, len(stops)).tolist()
        at = np.linspace(0.0, 1.0, 1024, dtype=np.float32)
        return palettes.ramp(stops, places, at, vivid=0.55)

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
        # Threads: fine lines along the folds, as in silk or in combed marble.
        light += np.sin(value * self._threads + second * np.float32(24.0)) * np.float32(0.026)
        shadow = np.float32(1.0) + np.minimum(light, 0.0)
        shine = np.maximum(light, 0.0)
        for channel in range(3):
            plane = self._tones[channel].take(index)
            plane *= shadow
            plane += shine * (self._gleam[channel] - plane)
            air[channel] = plane

    def _slopes(self, value: palettes.Colours, second: palettes.Colours) -> palettes.Colours:
        """Return light (above 0) and shadow (below 0) on the folds, from the upper left."""
        step = self._step
        height = value / self._folds + second * np.float32(0.3)
        light = np.zeros_like(height)
        light[step:, step:] = height[step:, step:] - height[:-step, :-step]
        light[:step], light[:, :step] = light[step : step + 1], light[:, step : step + 1]
        light *= self._relief / np.float32(step)
        # Bends towards a limit instead of stopping at it: a clipped fold would be a flat grey patch.
        light /= np.float32(1.0) + np.abs(light)
        light *= np.float32(0.5)
        return light
