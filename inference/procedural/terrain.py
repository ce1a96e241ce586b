"""Land in the distance: ridges with lit faces, snow and haze, dunes and hills, baked as layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import palettes
from .layers import Geometry, SoftLayer, margin_px
from .noise import Plane, generator, line, sample, smoothstep, texture
from .palettes import Colours


@dataclass(frozen=True, slots=True)
class RidgePlan:
    """One ridge.

    Attributes:
        seed: Of its outline.
        foot: Where it ends below, of the picture's height.
        crest: Its mean height above the foot, in heights.
        relief: How far the outline rises and falls, in heights.
        frequency: Bends of the outline per height.
        jagged: 0 rolling hills, 1 sharp peaks.
        colour: Its own colour.
        light: The colour of its lit faces.
        haze: The colour of the air at its foot.
        haze_share: How much of that air there is at the foot, 0 to 1.
        faces: Strength of lit and dark faces, 0 to 1.
        snow: How far down snow reaches, 0 to 1.
        light_from: -1 light from the left, 1 from the right.
        parallax: As in `SoftLayer`.
    """

    seed: int
    foot: float
    crest: float
    relief: float
    frequency: float
    jagged: float
    colour: Colours
    light: Colours
    haze: Colours
    haze_share: float = 0.7
    faces: float = 0.6
    snow: float = 0.0
    light_from: float = -1.0
    parallax: float = 0.3


@dataclass(frozen=True, slots=True)
class _Outline:
    """A ridge's line: its height above the foot, and where the peak of each column stands."""

    height: Plane  # (columns,), in heights
    peak: Plane  # (columns,), the x of the peak whose slope this is


def outline(plan: RidgePlan, x: Plane) -> _Outline:
    """Return a ridge's line at places in heights from the middle: peaks with slopes, or hills."""
    rng = generator("ridge", plan.seed)
    soft = line(rng, x, plan.frequency, 6, 0.46)
    count = 40
    spacing = 0.62 / plan.frequency
    at = (np.arange(count) - count / 2 + rng.uniform(-0.36, 0.36, count)) * spacing
    tall = rng.uniform(-0.7, 1.0, count) * plan.relief
    steep = rng.uniform(0.75, 1.25, (count, 2)) * (0.55 + 0.25 * plan.jagged)
    away = x[None, :] - at[:, None].astype(np.float32)
    slopes = tall[:, None] - np.where(away < 0, -away * steep[:, :1], away * steep[:, 1:])
    # Where two slopes meet, both have a say: on soft hills over a wide valley, on rock at once.
    nearness = np.exp(
        (slopes - slopes.max(axis=0)) / (0.004 + 0.05 * plan.relief + 0.05 * (1.0 - plan.jagged))
    )
    owner = (nearness * at[:, None]).sum(axis=0) / nearness.sum(axis=0)
    sharp = slopes.max(axis=0) + plan.relief * 0.16 * line(rng, x, plan.frequency * 5.0, 5, 0.55)
    height = plan.crest + plan.relief * soft * (1.0 - plan.jagged) + sharp * plan.jagged
    return _Outline(np.maximum(height, 0.004).astype(np.float32), owner.astype(np.float32))


def bake_ridge(plan: RidgePlan, geometry: Geometry) -> SoftLayer:
    """Paint a ridge once, for as long as the scene lasts."""
    margin = margin_px(geometry.work_height)
    columns = geometry.work_width + 2 * margin
    x = ((np.arange(columns) - margin + 0.5) / geometry.work_width - 0.5) * geometry.aspect
    x = x.astype(np.float32)
    shape = outline(plan, x)
    height = shape.height
    top = geometry.work_row(plan.foot - float(height.max()) - 0.01)
    bottom = max(geometry.work_row(plan.foot), top + 1)
    y = ((np.arange(top, bottom) + 0.5) / geometry.work_height).astype(np.float32)[:, None]
    crest = (plan.foot - height)[None, :]
    depth = y - crest
    alpha = np.clip(depth * geometry.work_height + 0.5, 0.0, 1.0)
    lit = _faces(plan, x[None, :], y, depth, shape.peak[None, :])
    colour = plan.colour[:, None, None] * (1.0 - 0.34 * plan.faces * (1.0 - lit))
    colour = colour + (plan.light - plan.colour)[:, None, None] * (lit * np.float32(0.55 * plan.faces))
    if plan.snow > 0.0:
        colour = _snowed(plan, colour, lit, x, y, depth=depth, height=height)
    air = smoothstep(0.0, 1.0, depth / np.maximum(height, 1e-3)[None, :]) * np.float32(plan.haze_share)
    colour = colour + (plan.haze[:, None, None] - colour) * air
    return SoftLayer(colour * alpha, alpha.astype(np.float32), top, plan.parallax)


def _faces(plan: RidgePlan, x: Plane, y: Plane, depth: Plane, peak: Plane) -> Plane:
    """Return which rock faces look into the light, 0 to 1.

    From each peak an edge comes down, winding; the side of it that looks to the light is lit.
    Smaller spurs repeat that on both sides.
    """
    rock = texture(plan.seed ^ 9, 1.9)
    winding = sample(rock, x * 130.0 + depth * 60.0, y * 100.0) - 0.5
    edge = (x - peak + winding * (0.02 + 0.9 * depth)) * np.float32(plan.light_from)
    face = smoothstep(-0.012, 0.012 + 0.04 * (1.0 - plan.jagged), edge)
    fine = sample(rock, x * 300.0 - depth * 240.0 * plan.light_from, y * 150.0)
    finer = sample(rock, x * 520.0 + depth * 160.0, y * 330.0 + 60.0)
    spurs = smoothstep(0.34, 0.66, fine * 0.7 + finer * 0.3)
    hard = np.float32(0.25 + 0.40 * plan.jagged)
    return np.asarray(face * hard + spurs * (1.0 - hard) * (0.55 + 0.45 * face), dtype=np.float32)


def _snowed(
    plan: RidgePlan, colour: Colours, lit: Plane, x: Plane, y: Plane, *, depth: Plane, height: Plane
) -> Colours:
    fall = texture(plan.seed ^ 10, 1.8)
    ragged = sample(fall, x[None, :] * 210.0, y * 210.0) - 0.5
    altitude = (height[None, :] - depth) / max(plan.crest + plan.relief, 1e-3)
    lies = smoothstep(0.92 - plan.snow, 1.12 - plan.snow, altitude + ragged * 0.5 + (lit - 0.5) * 0.22)
    white = palettes.mix(np.array([250, 251, 255], np.float32), plan.light, 0.22)
    shadow = palettes.mix(white, plan.colour, 0.46)
    snow = shadow[:, None, None] + (white - shadow)[:, None, None] * lit
    # Snow by night is as dark as the night.
    bright = float(palettes.to_oklab(plan.light)[0])
    snow = snow * np.float32(0.30 + 0.70 * min(1.0, bright * 1.05))
    return np.asarray(colour + (snow - colour) * lies, dtype=np.float32)
