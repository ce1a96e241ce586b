"""A forest: rows of trees sinking into light and mist, with the nearest at the picture's sides."""

from __future__ import annotations

import numpy as np

from inference.procedural import figures
from inference.procedural.cutouts import Cutout
from inference.procedural.noise import line
from inference.procedural.palettes import Colours, mix
from inference.procedural.scene import Parts
from inference.procedural.setting import Setting, add_crisp, add_mist, add_soft, add_weather, place_sky
from inference.procedural.weather import Flakes, Rays


def paint(setting: Setting, parts: Parts) -> None:
    """Fill a scene with a forest."""
    brief, palette = setting.brief, setting.palette
    place_sky(setting, parts, 0.74, disc_x=setting.chance("sun", -0.16, 0.16))
    snowy = "snow" in brief.weather
    floor = mix(palette.near, palette.cloud, 0.62) if snowy else palette.near
    rows = 5
    for index in range(rows):
        near = index / (rows - 1)
        air = mix(palette.horizon, palette.far, 0.25 + 0.4 * near)
        colour = mix(
            air, mix(palette.near, palette.far, 0.12), 0.16 + (0.62 if setting.is_dark else 0.78) * near**1.1
        )
        _row(setting, parts, index, near, colour, floor=mix(colour, floor, 0.75 * near if snowy else 0.3))
        if index < rows - 1:
            add_mist(setting, parts, f"mist {index}", 0.66 + 0.07 * index, 0.06, strength=0.62 - 0.10 * index)
    source = (setting.chance("sun", -0.16, 0.16) * setting.geometry.aspect, 0.02)
    rays = Rays(
        setting.seed("rays"),
        setting.geometry,
        palette.glow * np.float32(0.62),
        source,
        0.4 if setting.is_dark else 0.85,
    )
    if not {"rain", "storm"} & brief.weather:
        parts.soft.append(rays.draw)
    _near(setting, parts, floor)
    if not snowy and "fireflies" not in brief.weather and "fireflies" not in brief.avoided:
        dust = mix(palette.glow, palette.accent, 0.35 if not setting.is_dark else 0.7)
        motes = Flakes(
            setting.seed("motes"), setting.geometry, 46, dust, -0.006, radius=0.0052, strength=0.8, glow=True
        )
        parts.crisp.append(motes.draw)
    add_weather(setting, parts)


def _row(setting: Setting, parts: Parts, index: int, near: float, colour: Colours, *, floor: Colours) -> None:
    rng = setting.rng(f"row {index}")
    foot = 0.70 + 0.17 * near
    birches = "birches" in setting.brief.subjects
    sheet = Cutout(setting.geometry, 0.0 if birches else foot - 0.5 - 0.45 * near, 1.0, colour, soft=True)
    x = np.linspace(-sheet.half_width, sheet.half_width, 240).astype(np.float32)
    ground = foot + 0.02 * line(rng, x, 1.8, 4)
    count = round((64 - 42 * near) * max(0.6, setting.geometry.aspect))
    opening = setting.chance("sun", -0.16, 0.16) * setting.geometry.aspect
    for at in rng.uniform(-sheet.half_width, sheet.half_width, count).tolist():
        # A clearing under the light leads the eye in.
        gap = abs(at - opening)
        if gap < 0.06 + 0.14 * near and rng.uniform() < 0.9:
            continue
        y = float(np.interp(at, x, ground)) + 0.01
        tall = (0.20 + 0.36 * near) * float(rng.uniform(0.55, 1.3)) * (0.75 + min(0.9, gap * 1.1))
        if birches:
            figures.birch(
                sheet, at, y, 0.008 + 0.022 * near, mix(colour, setting.palette.cloud, 0.7), dark=colour
            )
        else:
            figures.pine(sheet, at, y, tall, colour, rng=rng)
    sheet.skyline(ground.astype(np.float32), x, floor)
    add_soft(setting, parts, sheet.faded(0.15 + 0.45 * near, setting.palette.horizon, 0.30 * (1.0 - near)))


def _near(setting: Setting, parts: Parts, floor: Colours) -> None:
    brief, palette, geometry = setting.brief, setting.palette, setting.geometry
    rng = setting.rng("near")
    sheet = Cutout(geometry, 0.0, 1.0, palette.near)
    dark = mix(palette.near, np.zeros(3, np.float32), 0.25)
    edge = 0.5 * geometry.aspect
    for side in (-1.0, 1.0):
        for index in range(2):
            stem = side * (edge - 0.02 - 0.13 * index - float(rng.uniform(0.0, 0.05)))
            width = (0.085 - 0.035 * index) * float(rng.uniform(0.8, 1.2))
            if "birches" in brief.subjects:
                figures.birch(
                    sheet, stem, 0.97, width * 0.8, mix(palette.cloud, palette.near, 0.25), dark=dark
                )
            else:
                figures.trunk(sheet, stem, 0.965, width, dark, rng=rng)
    x = np.linspace(-sheet.half_width, sheet.half_width, 300).astype(np.float32)
    ground = 0.945 + 0.016 * line(rng, x, 3.0, 5) - 0.03 * (np.abs(x) / edge) ** 2
    snowy = "snow" in brief.weather
    ink = mix(floor, palette.near, 0.35) if snowy else dark
    sheet.skyline(ground.astype(np.float32), x, ink)
    if not snowy:
        figures.grass(
            sheet, 0.965, 0.075, round(330 * geometry.spread), [dark, mix(dark, palette.far, 0.16)], rng=rng
        )
    at = setting.chance("figure", 0.02, 0.10) * geometry.aspect
    foot = float(np.interp(at, x, ground)) + 0.008
    if "fox" in brief.subjects:
        coat = mix(mix(palette.accent, np.array([210, 96, 30], np.float32), 0.65), palette.near, 0.25)
        if brief.own_colour("fox") in ("red", "orange"):
            # What people call a red fox is the colour of rust; haze would take it away.
            coat = mix(coat, setting.dyed("fox", coat, 1.0), 0.35)
            coat = mix(coat, setting.dyed("fox", coat, 1.0), 0.25)
        else:
            coat = setting.dyed("fox", coat)
        figures.fox(sheet, at, foot, 0.16, coat, light=palette.cloud)
    if "deer" in brief.subjects:
        hide = setting.dyed("deer", mix(palette.near, palette.far, 0.1))
        figures.deer(sheet, at - 0.12, foot - 0.01, 0.2, hide)
    if "cabin" in brief.subjects:
        wall = setting.dyed("cabin", mix(palette.near, palette.far, 0.15))
        figures.cabin(sheet, at - 0.1, foot - 0.01, 0.16, wall, window=palette.accent)
    add_crisp(parts, sheet.crisp(setting.corners))
