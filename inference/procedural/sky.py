"""The sky: gradient, sun or moon with its glow, stars, aurora, and clouds that drift.

Everything that does not move is baked when the sky is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import palettes
from .layers import Geometry, Planes
from .noise import Plane, generator, sample, smoothstep, texture, turn
from .palettes import Colours, Palette


@dataclass(frozen=True, slots=True)
class SkyPlan:
    """What the sky shows.

    Attributes:
        seed: Of its clouds and stars.
        palette: Its colours.
        horizon: Where it ends, of the picture's height.
        disc: Middle of the sun or moon, (x, y) in heights, or None.
        disc_radius: In heights.
        glow: Strength of the light around the disc, 0 to 1.
        cover: 0 no cloud to 1 overcast.
        stars: 0 none to 1 many.
        aurora: 0 none to 1.
    """

    seed: int
    palette: Palette
    horizon: float
    disc: tuple[float, float] | None = None
    disc_radius: float = 0.045
    glow: float = 0.8
    cover: float = 0.4
    stars: float = 0.0
    aurora: float = 0.0
    moon: bool = False


class Sky:
    """Paints the sky into the upper rows of the working planes."""

    def __init__(self, plan: SkyPlan, geometry: Geometry) -> None:
        self._plan = plan
        self.rows = geometry.work_row(plan.horizon)
        x, y = geometry.x, geometry.y[: self.rows]
        self._base, self._halo = _bake(plan, x, y)
        self._clouds = _Clouds(plan, x, y, self._halo) if plan.cover > 0.02 else None
        self._stars = Stars(plan, geometry, self.rows) if plan.stars > 0.0 else None
        self._aurora = _Aurora(plan, x, y) if plan.aurora > 0.0 else None
        self._warm = plan.palette.glow[:, None, None] * np.float32(0.06)

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        clouds = self._clouds.nbytes if self._clouds else 0
        return self._base.nbytes + self._halo.nbytes + clouds

    def paint(self, air: Planes, time_s: float) -> None:
        """Fill the sky's rows."""
        # Land or water covers what is below; where it does not, the horizon's haze goes on.
        air[:, self.rows :] = self._plan.palette.horizon[:, None, None]
        sky = air[:, : self.rows]
        sky[:] = self._base
        if self._stars:
            self._stars.add(sky, time_s)
        if self._aurora:
            self._aurora.add(sky, time_s)
        if self._clouds:
            self._clouds.cover(sky, time_s)
        # The light breathes: a few hundredths, over a dozen seconds.
        breath = 0.5 + 0.5 * math.sin(time_s * math.tau / 13.0) * math.sin(time_s * math.tau / 37.0)
        sky += self._halo * (self._warm * np.float32(breath * self._plan.glow))


def _bake(plan: SkyPlan, x: Plane, y: Plane) -> tuple[Planes, Plane]:
    """Return the gradient with the disc and its glow, and the glow's strength alone."""
    palette = plan.palette
    at = (y[:, 0] / max(plan.horizon, 1e-3)).astype(np.float32)
    rows = palettes.ramp([palette.zenith, palette.middle, palette.horizon], [0.0, 0.58, 1.0], at)
    base = np.repeat(rows.T[:, :, None], x.shape[1], axis=2).astype(np.float32)
    if plan.disc is None:
        halo = np.exp(-((plan.horizon - y) ** 2) / 0.03) * np.ones_like(x) * 0.5
        base += (palette.glow[:, None, None] - base) * halo * (0.3 * plan.glow)
        return base, halo.astype(np.float32)
    across, down = x - plan.disc[0], y - plan.disc[1]
    distance = np.sqrt(across * across + down * down)
    # Near the horizon light spreads sideways; around the disc it is round.
    wide = np.sqrt(across * across * 0.25 + down * down * 1.8)
    halo = 0.62 * np.exp(-wide / 0.16) + 0.38 * np.exp(-distance / 0.06)
    if plan.moon:
        halo = 0.30 * np.exp(-distance / 0.16) + 0.45 * np.exp(-distance / 0.04)
    halo = np.clip(halo, 0.0, 1.0).astype(np.float32)
    base += (palette.glow[:, None, None] - base) * (halo * np.float32(plan.glow))
    edge = 1.6 / max(1, y.shape[0]) + 0.0012
    disc = smoothstep(plan.disc_radius + edge, plan.disc_radius - edge, distance)
    face = palette.disc[:, None, None] * np.ones((1, *disc.shape), np.float32)
    if plan.moon:
        seas = sample(texture(plan.seed ^ 77, 2.4), across * 900.0, down * 900.0)
        face *= 0.80 + 0.20 * smoothstep(0.35, 0.6, seas)
    base += (face - base) * disc
    return base, halo


class _Clouds:
    """A flat layer of cloud seen in perspective, lit from the disc."""

    def __init__(self, plan: SkyPlan, x: Plane, y: Plane, halo: Plane) -> None:
        self._texture = texture(plan.seed, 2.15)
        self._detail = texture(plan.seed ^ 1, 1.7)
        depth = 1.0 / (plan.horizon + 0.13 - y)
        self._u = np.ascontiguousarray(x * depth * 62.0, dtype=np.float32)
        self._v = np.ascontiguousarray(depth * 78.0 * np.ones_like(x), dtype=np.float32)
        self._fine_u, self._fine_v = self._u * 2.9 + 40.0, self._v * 2.9 + 11.0
        # Low over the horizon the texture is squeezed to a flicker; haze hides it there anyway.
        self._fade = smoothstep(0.0, 0.16, plan.horizon - y) * np.float32(0.94)
        self._threshold = 0.70 - 0.42 * plan.cover
        shade, cloud, glow = plan.palette.shade, plan.palette.cloud, plan.palette.glow
        self._shade = shade[:, None, None]
        self._span = (cloud - shade)[:, None, None]
        self._gleam = (glow - cloud)[:, None, None] * np.float32(0.75)
        self._halo = np.clip(halo * 1.3, 0.0, 1.0)
        self._step = max(1, round(y.shape[0] * 0.012))
        self._below = plan.disc is not None and plan.disc[1] > plan.horizon * 0.55

    @property
    def nbytes(self) -> int:
        return 5 * self._u.nbytes

    def cover(self, sky: Planes, time_s: float) -> None:
        first, second = turn(time_s, 0.55), turn(time_s, 0.95)
        density = sample(self._texture, self._u + np.float32(first), self._v)
        fine = sample(self._detail, self._fine_u + np.float32(second), self._fine_v + np.float32(first))
        density += (fine - np.float32(0.5)) * np.float32(0.38)
        opacity = smoothstep(self._threshold, self._threshold + 0.24, density)
        opacity *= self._fade
        # Light comes from the disc's side: where the cloud thins towards it, it is lit.
        towards = np.empty_like(density)
        step = self._step
        if self._below:
            towards[:-step], towards[-step:] = density[step:], density[-1:]
        else:
            towards[step:], towards[:step] = density[:-step], density[:1]
        density -= towards
        density *= np.float32(5.5)
        density += np.float32(0.42)
        density += self._halo * np.float32(0.35)
        lit = np.clip(density, 0.0, 1.0, out=density)
        gleam = lit * self._halo
        for channel in range(3):
            colour = lit * self._span[channel]
            colour += self._shade[channel]
            colour += gleam * self._gleam[channel]
            colour -= sky[channel]
            colour *= opacity
            sky[channel] += colour


class Stars:
    """Points of light that twinkle, each at its own pace."""

    def __init__(self, plan: SkyPlan, geometry: Geometry, rows: int, fade: float = 0.75) -> None:
        rng = generator("stars", plan.seed)
        count = int(900 * plan.stars)
        column = rng.uniform(-1.2, 1.2, count)
        row = rng.uniform(0.0, 1.0, count) ** 1.25
        size = rng.uniform(0.0, 1.0, count) ** 7
        self._pace = rng.uniform(0.25, 0.9, count)
        self._phase = rng.uniform(0.0, math.tau, count)
        self._light = ((40.0 + 215.0 * size) * (1.0 - fade * row)).astype(np.float32)
        tints = np.array([[0.82, 0.9, 1.0], [1.0, 1.0, 1.0], [1.0, 0.92, 0.78]], np.float32)
        self._tint = tints[rng.integers(0, 3, count)].T
        self._at = _spread(
            (column / geometry.aspect + 0.5) * geometry.work_width,
            row * plan.horizon * geometry.work_height,
            0.55 + 0.75 * size * geometry.work_height / 480.0,
            geometry.work_width,
            rows,
        )

    def add(self, sky: Planes, time_s: float) -> None:
        twinkle = 0.72 + 0.28 * np.sin(self._phase + self._pace * time_s)
        light = (self._light * twinkle).astype(np.float32)
        star, row, column, weight = self._at
        value = light[star] * weight
        for plane, tint in zip(sky, self._tint, strict=True):
            plane[row, column] += value * tint[star]


def _spread(
    x: Colours, y: Colours, radius: Colours, width: int, height: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], Colours]:
    """Return which pixels round points touch and how strongly: point, row, column, weight."""
    offsets = np.arange(-2, 3)
    rows = np.floor(y)[:, None, None] + offsets[None, :, None] + 0 * offsets[None, None, :]
    columns = np.floor(x)[:, None, None] + offsets[None, None, :] + 0 * offsets[None, :, None]
    apart = (rows + 0.5 - y[:, None, None]) ** 2 + (columns + 0.5 - x[:, None, None]) ** 2
    weight = np.exp(-apart / (radius[:, None, None] ** 2))
    point = np.broadcast_to(np.arange(len(x))[:, None, None], weight.shape)
    seen = (weight > 0.02) & (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return (
        point[seen],
        rows[seen].astype(np.intp),
        columns[seen].astype(np.intp),
        weight[seen].astype(np.float32),
    )


class _Aurora:
    """Curtains of light that fold slowly."""

    def __init__(self, plan: SkyPlan, x: Plane, y: Plane) -> None:
        self._noise = texture(plan.seed ^ 5, 2.2)
        self._x, self._y = x[0], y
        self._horizon = plan.horizon
        low = plan.palette.glow
        high = palettes.mix(plan.palette.accent, palettes.NAMED["violet"], 0.7)
        self._strength = plan.aurora
        at = smoothstep(0.0, 0.5 * plan.horizon, plan.horizon * 0.75 - y[:, 0])
        self._tint = palettes.ramp([low, high], [0.0, 1.0], at).T[:, :, None] / np.float32(255.0)

    def add(self, sky: Planes, time_s: float) -> None:
        x = self._x
        total = np.zeros(sky.shape[1:], np.float32)
        for curtain in range(3):
            row = np.float32(60.0 + 120.0 * curtain) + np.zeros_like(x)
            pace = 1.1 + 0.5 * curtain
            drift = np.float32(turn(time_s, pace))
            along, through = np.float32(turn(time_s, pace * 0.5)), np.float32(turn(time_s, pace * 0.23))
            fold = sample(self._noise, x * 42.0 + along, row + through) - 0.5
            rays = sample(self._noise, x * 300.0 + fold * 160.0 + drift, row + 31.0)
            bright = smoothstep(0.28, 0.75, sample(self._noise, x * 60.0 - drift, row + 77.0))
            foot = self._horizon * (0.50 + 0.16 * curtain) + fold * 0.42
            height = (0.16 + 0.22 * rays) * (0.8 + 0.3 * curtain)
            above = (foot - self._y) / height
            # The foot is sharp, the top fades.
            light = np.exp(-np.maximum(above, 0.0)) * np.clip(1.0 + above * 7.0, 0.0, 1.0)
            total += light * (bright * (0.35 + 0.9 * rays)).astype(np.float32)
        total *= np.float32(165.0 * self._strength)
        for channel in range(3):
            sky[channel] += total * self._tint[channel]
