"""A desert: dunes with knife-edge crests, one side in the light and one in shadow."""

from __future__ import annotations

import numpy as np

from inference.procedural import figures
from inference.procedural.cutouts import Cutout
from inference.procedural.layers import SoftLayer, margin_px
from inference.procedural.noise import line, sample, smoothstep, texture
from inference.procedural.palettes import Colours, mix
from inference.procedural.scene import Parts
from inference.procedural.setting import (
    Setting,
    add_crisp,
    add_mist,
    add_ridge,
    add_soft,
    add_weather,
    place_sky,
)
from inference.procedural.terrain import RidgePlan


def paint(setting: Setting, parts: Parts) -> None:
    """Fill a scene with dunes."""
    palette = setting.palette
    horizon = 0.56
    sky = place_sky(setting, parts, horizon)
    sand = mix(np.array([222, 150, 84], np.float32), palette.glow, 0.42)
    if setting.brief.scene_colours or setting.is_dark:
        sand = mix(sand, palette.far, 0.72)
    if setting.corners >= 0.5:
        sand = mix(sand, palette.glow, 0.9)
    light_from = -1.0 if sky.disc and sky.disc[0] < 0 else 1.0
    add_ridge(
        setting,
        parts,
        RidgePlan(
            setting.seed("mesas"),
            foot=horizon + 0.02,
            crest=0.05,
            relief=0.05,
            frequency=1.2,
            jagged=0.5,
            colour=mix(palette.far, palette.horizon, 0.45),
            light=palette.glow,
            haze=palette.horizon,
            faces=0.4,
            parallax=0.1,
        ),
    )
    count = 5
    for index in range(count):
        near = index / (count - 1)
        lit = mix(mix(sand, palette.horizon, 0.55), sand, near**0.7)
        dark = mix(mix(palette.far, sand, 0.35), mix(palette.near, sand, 0.22), near**0.7)
        add_soft(setting, parts, _dune(setting, index, near, lit, dark, light_from=light_from))
        if index < 2:
            add_mist(setting, parts, f"dust {index}", horizon + 0.02, 0.03, strength=0.35)
    _figures(setting, parts)
    add_weather(setting, parts)


def _dune(
    setting: Setting, index: int, near: float, lit: Colours, dark: Colours, *, light_from: float
) -> SoftLayer:
    """Bake one dune: its crest line, and a slip face that winds down from it."""
    geometry = setting.geometry
    margin = margin_px(geometry.work_height)
    columns = geometry.work_width + 2 * margin
    x = (((np.arange(columns) - margin + 0.5) / geometry.work_width - 0.5) * geometry.aspect).astype(
        np.float32
    )
    rng = setting.rng(f"dune {index}")
    middle = 0.565 + 0.30 * near**1.25
    swell = line(rng, x, 1.1 + 0.5 * (1.0 - near), 2, 0.4)
    crest = middle - (0.035 + 0.085 * near) * (1.0 - np.abs(swell) * 1.9)
    top = geometry.work_row(float(crest.min()) - 0.01)
    y = ((np.arange(top, geometry.work_height) + 0.5) / geometry.work_height).astype(np.float32)[:, None]
    depth = y - crest[None, :]
    # Where the crest falls away from the light lies shadow; its edge winds as it comes down.
    wind = texture(setting.seed(f"wind {index}"), 2.6)
    winding = sample(wind, x[None, :] * 60.0, y * 90.0) - 0.5
    slope = np.gradient(crest, x) * light_from
    reach = depth * (1.1 * light_from) + winding * np.minimum(depth * 5.0, 1.0) * 0.7
    column = np.arange(columns) + reach * (columns / geometry.aspect)
    side = slope.take(np.clip(column, 0, columns - 1).astype(np.intp)) * 3.2 + depth * (1.6 - 0.9 * near)
    light = smoothstep(-0.16, 0.20, side.astype(np.float32))
    ripple = np.sin((y * 620.0 + winding * 60.0 + x[None, :] * 90.0) / (0.6 + 1.1 * near))
    light = light * (1.0 - 0.16 * near) + (ripple * np.float32(0.045 * near)).astype(np.float32)
    light += np.exp(-depth / 0.006) * 0.22
    colour = dark[:, None, None] + (lit - dark)[:, None, None] * np.clip(light, 0.0, 1.1)
    alpha = np.clip(depth * geometry.work_height + 0.5, 0.0, 1.0)
    return SoftLayer(colour * alpha, alpha.astype(np.float32), top, 0.15 + 0.6 * near)


def _figures(setting: Setting, parts: Parts) -> None:
    brief, palette = setting.brief, setting.palette
    if not {"palms", "cactus", "birds"} & brief.subjects:
        return
    rng = setting.rng("figures")
    sheet = Cutout(setting.geometry, 0.2, 1.0, palette.near)
    side = 1.0 if rng.uniform() < 0.5 else -1.0
    edge = 0.5 * setting.geometry.aspect
    if "palms" in brief.subjects:
        for index in range(4):
            figures.palm(
                sheet, side * (edge - 0.1 - 0.11 * index), 0.84, 0.34 - 0.04 * index, palette.near, rng=rng
            )
    if "cactus" in brief.subjects:
        x, foot = side * (edge - 0.16), 0.88
        sheet.stroke([(x, foot), (x, foot - 0.26)], 0.032, palette.near)
        sheet.ellipse(x, foot - 0.26, 0.016, 0.016, palette.near)
        for arm, low in ((-1.0, 0.10), (1.0, 0.15)):
            points = [(x, foot - low), (x + arm * 0.055, foot - low), (x + arm * 0.055, foot - low - 0.09)]
            sheet.stroke(points, 0.022, palette.near)
            sheet.ellipse(x + arm * 0.055, foot - low - 0.09, 0.011, 0.011, palette.near)
            sheet.ellipse(x + arm * 0.055, foot - low, 0.011, 0.011, palette.near)
    if "birds" in brief.subjects:
        figures.birds(sheet, -side * 0.2, 0.3, 0.02, palette.near, rng=rng)
    add_crisp(parts, sheet.crisp(setting.corners, 0.8))
