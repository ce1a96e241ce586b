"""What moves through the air in front of everything: mist, rain, snow, sparks, far lightning."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from inference.engine import Pixels

from .layers import Geometry, Planes
from .noise import generator, sample, smoothstep, texture, turn
from .palettes import Colours


class Mist:
    """A drifting bank of fog over the working planes.

    Args:
        seed: Of its shape.
        geometry: Of the picture.
        colour: Of the fog.
        middle: Where it is thickest, of the picture's height.
        spread: How far it reaches up and down, in heights.
        strength: Its opacity at the thickest, 0 to 1.
    """

    def __init__(
        self, seed: int, geometry: Geometry, colour: Colours, middle: float, spread: float, *, strength: float
    ) -> None:
        top, bottom = geometry.work_row(middle - 2.2 * spread), geometry.work_row(middle + 2.2 * spread)
        self._rows = slice(top, max(bottom, top + 1))
        y = geometry.y[self._rows]
        self._profile = np.asarray(np.exp(-(((y - middle) / spread) ** 2)) * strength, np.float32)
        # One texture for every bank of every scene: each reads it elsewhere.
        self._noise = texture(31, 2.3)
        self._u = geometry.x * np.float32(95.0) + np.float32(seed % 509)
        self._v = y * np.float32(260.0) + np.float32(seed // 509 % 509)
        self._colour = colour

    def draw(self, air: Planes, time_s: float) -> None:
        """Put it over what is there."""
        drift = np.float32(turn(time_s, 1.7))
        rise = np.float32(turn(time_s, 0.34))
        bank = sample(self._noise, self._u + drift, self._v - rise)
        bank = np.clip((bank - np.float32(0.12)) * np.float32(1.35), 0.0, 1.0)
        bank *= self._profile
        target = air[:, self._rows]
        for channel in range(3):
            target[channel] += (self._colour[channel] - target[channel]) * bank


class Rays:
    """Shafts of light that fall from a point and wander."""

    def __init__(
        self, seed: int, geometry: Geometry, colour: Colours, source: tuple[float, float], strength: float
    ) -> None:
        across, down = geometry.x - source[0], geometry.y - source[1]
        self._angle = np.asarray(np.arctan2(across, down) * 70.0, dtype=np.float32)
        distance = np.sqrt(across * across + down * down)
        fade = np.exp(-distance / 0.55) * smoothstep(0.0, 0.12, distance) * strength
        self._fade = np.asarray(fade, dtype=np.float32)
        self._noise = texture(seed ^ 41, 1.7)
        self._colour = colour

    def draw(self, air: Planes, time_s: float) -> None:
        """Add the light."""
        drift = np.float32(turn(time_s, 0.5))
        zero = np.zeros((1, 1), np.float32)
        light = sample(self._noise, self._angle + drift, zero + np.float32(turn(time_s, 0.8)))
        light = smoothstep(0.38, 0.9, light)
        light *= self._fade
        for channel in range(3):
            air[channel] += light * self._colour[channel]


class Rain:
    """Two curtains of slanting streaks at different speeds."""

    def __init__(self, seed: int, geometry: Geometry, strength: float) -> None:
        self._height, self._width = geometry.height, geometry.width
        # A streak is never thinner than a pixel: on small pictures it has to be fainter instead.
        strength *= min(1.0, geometry.height / 640.0)
        self._curtains = [
            self._curtain(seed + index, 0.028 + 0.02 * index, round(150 * geometry.spread), strength)
            for index in range(2)
        ]

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return sum(curtain.nbytes for curtain in self._curtains)

    def _curtain(self, seed: int, length: float, count: int, strength: float) -> Pixels:
        rng = generator("rain", seed)
        width, height = self._width, self._height
        sheet = Image.new("L", (width, height), 0)
        draw = ImageDraw.Draw(sheet)
        for x, y, part, light in zip(
            rng.uniform(0, width, count).tolist(),
            rng.uniform(0, height, count).tolist(),
            rng.uniform(0.5, 1.3, count).tolist(),
            rng.uniform(12, 44, count).tolist(),
            strict=True,
        ):
            dy = length * part * height
            # Drawn twice, so that a streak that leaves below comes in above: the sheet tiles.
            for shift in (0, -height):
                line = (x, y + shift, x - dy * 0.16, y + shift + dy)
                draw.line(line, fill=int(light * strength), width=max(1, round(height / 700)))
        soft = np.asarray(sheet.filter(ImageFilter.GaussianBlur(height / 1600.0)))
        return np.repeat(soft[..., None], 3, axis=2)

    def draw(self, pixels: Pixels, time_s: float) -> None:
        """Add the streaks."""
        for index, curtain in enumerate(self._curtains):
            down = int(time_s * (0.9 + 0.35 * index) * self._height) % self._height
            for target, streaks in ((pixels[down:], curtain[: self._height - down]),
                                    (pixels[:down], curtain[self._height - down :])):  # fmt: skip
                # Bytes cannot overflow: what is brighter than the room left is held back first.
                np.minimum(target, 255 - streaks, out=target)
                np.add(target, streaks, out=target)


class Flakes:
    """Round particles that fall and sway, or rise and glow: snow, or sparks in the dark.

    Args:
        seed: Of their places.
        geometry: Of the picture.
        count: How many for a square picture.
        colour: Of all of them.
        fall: Heights per second; negative rises.
        radius: Of the largest, in heights.
        strength: Opacity of the nearest, 0 to 1.
        glow: Whether they come and go like fireflies.
    """

    def __init__(
        self,
        seed: int,
        geometry: Geometry,
        count: int,
        colour: Colours,
        fall: float,
        *,
        radius: float,
        strength: float,
        glow: bool = False,
    ) -> None:
        rng = generator("flakes", seed)
        self._width, self._height = geometry.width, geometry.height
        count = max(8, round(count * geometry.spread))
        near = rng.uniform(0.0, 1.0, count) ** 2.2
        self._x, self._y = rng.uniform(0.0, 1.0, count), rng.uniform(0.0, 1.0, count)
        self._pace = fall * (0.35 + 0.9 * near)
        self._phase, self._sway = rng.uniform(0.0, math.tau, count), rng.uniform(0.15, 0.5, count)
        self._reach = rng.uniform(0.008, 0.03, count)
        self._radius = np.maximum((0.28 + 0.72 * near) * radius * geometry.height, 0.6)
        self._strength = (strength * (0.45 + 0.55 * near)).astype(np.float32)
        self._colour = colour
        self._glow = glow
        # Largest last, grouped by size, so that small flakes do not pay for large boxes.
        order = np.argsort(self._radius)
        self._groups = [group for group in np.array_split(order, 4) if len(group)]

    def draw(self, pixels: Pixels, time_s: float) -> None:
        """Put them over what is there."""
        for group in self._groups:
            self._draw_group(pixels, time_s, group)

    def _draw_group(self, pixels: Pixels, time_s: float, group: NDArray[np.intp]) -> None:
        sway = np.sin(self._phase[group] + time_s * self._sway[group]) * self._reach[group]
        drift = np.sin(self._phase[group] * 1.7 + time_s * 0.11) * 0.02
        aspect = self._width / self._height
        # Wrapped a little outside of the picture, where nobody sees it.
        x = (((self._x[group] + sway / aspect + drift) % 1.0) * 1.1 - 0.05) * self._width
        y = (((self._y[group] + time_s * self._pace[group]) % 1.0) * 1.1 - 0.05) * self._height
        radius = self._radius[group]
        strength = self._strength[group]
        if self._glow:
            pulse = np.sin(self._phase[group] * 3.0 + time_s * (0.5 + self._sway[group]))
            strength = strength * np.clip(pulse, 0.0, 1.0).astype(np.float32) ** 2
        reach = math.ceil(float(radius.max()) * (2.2 if self._glow else 1.0)) + 1
        box = np.arange(-reach, reach + 1)
        rows = np.floor(y).astype(np.intp)[:, None, None] + box[None, :, None]
        columns = np.floor(x).astype(np.intp)[:, None, None] + box[None, None, :]
        apart = np.hypot(rows + 0.5 - y[:, None, None], columns + 0.5 - x[:, None, None])
        size = radius[:, None, None]
        alpha = np.exp(-((apart / size) ** 2) * 1.6) if self._glow else np.clip(size + 0.5 - apart, 0.0, 1.0)
        alpha = alpha * strength[:, None, None]
        rows, columns = np.broadcast_arrays(rows, columns)
        seen = (alpha > 0.01) & (rows >= 0) & (rows < self._height) & (columns >= 0) & (columns < self._width)
        rows, columns, share = rows[seen], columns[seen], alpha[seen][:, None].astype(np.float32)
        under = pixels[rows, columns].astype(np.float32)
        pixels[rows, columns] = (under + (self._colour - under) * share).astype(np.uint8)


def lightning(seed: int, time_s: float) -> float:
    """Return how bright far lightning is, 0 to 1: rare, soft swells without a flicker.

    Swells take over half a second each and come many seconds apart: far below the three flashes
    per second that hurt people with photosensitive epilepsy.
    """
    slot = math.floor(time_s / 7.0)
    rng = generator("lightning", seed, slot)
    at = float(rng.uniform(1.0, 6.0))
    if rng.uniform() < 0.4:
        return 0.0
    apart = (time_s - slot * 7.0 - at) / 0.45
    return float(math.exp(-apart * apart)) * float(rng.uniform(0.4, 1.0))
