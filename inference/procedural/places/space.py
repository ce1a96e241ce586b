"""Space: a nebula that drifts through itself, stars in depth, now and then a planet."""

from __future__ import annotations

import math

import numpy as np

from inference.procedural import palettes
from inference.procedural.layers import Planes
from inference.procedural.noise import Plane, sample, smoothstep, texture, turn
from inference.procedural.palettes import Colours, mix
from inference.procedural.scene import Parts
from inference.procedural.setting import Setting, add_weather
from inference.procedural.sky import SkyPlan, Stars


def paint(setting: Setting, parts: Parts) -> None:
    """Fill a scene with space."""
    brief = setting.brief
    nebula = _Nebula(setting)
    parts.soft.append(nebula.paint)
    parts.hold(nebula)
    plan = SkyPlan(setting.seed("stars"), setting.palette, 1.0, stars=1.5)
    if "stars" not in brief.avoided:
        stars = Stars(plan, setting.geometry, setting.geometry.work_height, fade=0.15)
        parts.soft.append(stars.add)
    wanted = {"planet", "ring"} & brief.subjects or setting.chance("planet", 0.0, 1.0) < 0.45
    if wanted and "planet" not in brief.avoided:
        planet = _Planet(setting)
        parts.soft.append(planet.paint)
        parts.hold(planet)
    add_weather(setting, parts)


class _Nebula:
    """Two clouds of light, one bending the other."""

    def __init__(self, setting: Setting) -> None:
        x, y = setting.geometry.x, setting.geometry.y - np.float32(0.5)
        angle = setting.chance("band", 0.25, 1.1) * (1.0 if setting.chance("way", -1, 1) > 0 else -1.0)
        along = x * math.cos(angle) + y * math.sin(angle)
        across = y * math.cos(angle) - x * math.sin(angle) + setting.chance("aside", -0.12, 0.12)
        self._u, self._v = (along * 85.0).astype(np.float32), (across * 120.0).astype(np.float32)
        self._band = np.exp(-((across / 0.26) ** 2)).astype(np.float32)
        seed = setting.seed("nebula")
        self._bend, self._gas, self._dust = texture(seed, 2.5), texture(seed ^ 1, 2.0), texture(seed ^ 2, 1.7)
        palette = setting.palette
        night = mix(palette.zenith, np.zeros(3, np.float32), 0.72)
        deep = mix(palette.middle, np.zeros(3, np.float32), 0.30)
        bright = mix(palette.glow, palette.disc, 0.55)
        stops = [
            night,
            mix(night, deep, 0.6),
            deep,
            palette.horizon,
            mix(palette.horizon, palette.glow, 0.6),
            bright,
        ]
        at = np.linspace(0.0, 1.0, 512, dtype=np.float32)
        self._tones = palettes.ramp(stops, [0.0, 0.2, 0.42, 0.66, 0.84, 1.0], at).T.copy()
        other = mix(palette.accent, palette.cloud, 0.3)
        self._tint = (other * np.float32(0.34))[:, None, None]

    @property
    def nbytes(self) -> int:
        return 3 * self._u.nbytes

    def paint(self, air: Planes, time_s: float) -> None:
        """Fill the whole picture."""
        slow, quick = np.float32(turn(time_s, 0.35)), np.float32(turn(time_s, 0.6))
        bend = sample(self._bend, self._u + slow, self._v - slow)
        bend -= np.float32(0.5)
        gas = sample(self._gas, self._u + bend * np.float32(70.0) + quick, self._v + bend * np.float32(46.0))
        dust = sample(
            self._dust, self._u * np.float32(2.1) - bend * np.float32(90.0), self._v * np.float32(2.1) + slow
        )
        light = gas + bend * np.float32(0.35)
        light += self._band * np.float32(0.34)
        light -= smoothstep(0.48, 0.86, dust) * np.float32(0.26)
        light -= np.float32(0.28)
        light *= np.float32(1.18)
        light += (dust - np.float32(0.5)) * np.float32(0.12)
        index = np.clip(light * np.float32(511.0), 0.0, 511.0).astype(np.intp)
        for plane, tones in zip(air, self._tones, strict=True):
            np.take(tones, index, out=plane)
        tint = smoothstep(0.55, 0.8, dust) * self._band
        tint *= gas
        air += tint * self._tint


class _Planet:
    """A banded globe, lit from one side, with a ring where the words say so."""

    def __init__(self, setting: Setting) -> None:
        geometry, palette = setting.geometry, setting.palette
        self._radius = setting.chance("planet size", 0.13, 0.23)
        side = 1.0 if setting.chance("planet side", -1, 1) > 0 else -1.0
        x0, y0 = side * 0.2 * min(geometry.aspect, 1.6), setting.chance("planet height", 0.36, 0.62)
        x, y = (geometry.x - x0) / self._radius, (geometry.y - y0) / self._radius
        distance = np.sqrt(x * x + y * y)
        depth = np.sqrt(np.maximum(1.0 - distance * distance, 0.0))
        edge = 1.2 / (self._radius * geometry.work_height)
        disc = smoothstep(1.0 + edge, 1.0 - edge, distance)
        light = np.clip((-side * x * 0.72 - y * 0.46) + depth * 0.42, 0.0, 1.0) ** 0.8
        noise = texture(setting.seed("planet"), 2.2)
        tilt = y * 0.96 + x * 0.25 * side
        swirl = sample(noise, (x / (0.3 + depth) * 40.0), tilt * 60.0) - 0.5
        bands = sample(noise, np.full_like(tilt, 7.0), tilt * 95.0 + swirl * 26.0)
        face = self._face(palette.far, palette.glow, palette.accent, bands)
        colour = face * (0.03 + 0.97 * light)
        rim = np.exp(-(((distance - 1.0) / 0.045) ** 2)) * np.clip(-side * x * 0.8 - y * 0.5 + 0.25, 0.0, 1.0)
        halo = np.exp(-np.maximum(distance - 1.0, 0.0) / 0.12) * np.clip(
            -side * x * 0.6 - y * 0.4 + 0.2, 0.0, 1.0
        )
        glow = palette.glow[:, None, None] * (rim * 0.55 + halo * 0.28 * (distance > 1.0))
        keep = 1.0 - disc
        add = colour * disc + glow
        if "ring" in setting.brief.subjects or setting.chance("ring", 0, 1) < 0.35:
            keep, add = _ringed(
                x, y, side, keep, add, colour=mix(palette.cloud, palette.glow, 0.5), noise=noise
            )
        self._keep, self._add = keep.astype(np.float32), add.astype(np.float32)

    @staticmethod
    def _face(low: Colours, high: Colours, accent: Colours, bands: Plane) -> Planes:
        tones = palettes.ramp(
            [low, mix(low, high, 0.5), high, accent], [0.25, 0.45, 0.62, 0.8], bands.reshape(-1)
        )
        return np.ascontiguousarray(tones.T.reshape(3, *bands.shape))

    @property
    def nbytes(self) -> int:
        return int(self._keep.nbytes + self._add.nbytes)

    def paint(self, air: Planes, time_s: float) -> None:
        """Put the planet over what is there."""
        del time_s
        air *= self._keep
        air += self._add


def _ringed(
    x: Plane, y: Plane, side: float, keep: Plane, add: Planes, *, colour: Colours, noise: Plane
) -> tuple[Plane, Planes]:
    """Put a tilted ring around the globe; its far half passes behind."""
    cosine, sine = math.cos(0.42 * side), math.sin(0.42 * side)
    along, across = x * cosine + y * sine, (y * cosine - x * sine) / 0.24
    radius = np.sqrt(along * along + across * across)
    lines = sample(noise, np.full_like(radius, 31.0), radius * 120.0)
    ring = (
        smoothstep(1.32, 1.38, radius)
        * smoothstep(2.15, 2.05, radius)
        * np.clip(lines * 1.5 - 0.15, 0.05, 0.95)
    )
    ring = ring * np.where((across < 0.0) & (x * x + y * y < 1.0), 0.0, 1.0)
    shadow = (
        1.0
        - 0.8
        * smoothstep(-0.1, 0.5, side * x * 0.9 + y * 0.2)
        * (np.abs(across) < 1.0)
        * (radius < 3.0)
        * 0.6
    )
    return keep * (1.0 - ring), add * (1.0 - ring) + colour[:, None, None] * (ring * shadow * 0.85)
