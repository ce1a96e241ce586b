"""Mountains: ranges behind each other in the haze, a lake where the words ask for it, pines in front."""

from __future__ import annotations

import numpy as np

from inference.procedural import figures
from inference.procedural.cutouts import Cutout
from inference.procedural.noise import Plane, line
from inference.procedural.palettes import mix
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
from inference.procedural.water import Water, WaterPlan


def paint(setting: Setting, parts: Parts) -> None:
    """Fill a scene with mountains."""
    brief = setting.brief
    lake = "lake" in brief.subjects or "sea" in brief.subjects or "boat" in brief.subjects
    shore = 0.66 if lake else 0.78
    sky = place_sky(setting, parts, shore - 0.10)
    light_from = -1.0 if sky.disc and sky.disc[0] < 0 else 1.0
    _ranges(setting, parts, shore, light_from, lake)
    if lake:
        _lake(setting, parts, shore, sky.disc[0] if sky.disc else None)
    _foreground(setting, parts, shore, lake)
    add_weather(setting, parts)


def _ranges(setting: Setting, parts: Parts, shore: float, light_from: float, lake: bool) -> None:
    palette, brief = setting.palette, setting.brief
    snow = (
        0.0
        if "snow" in brief.avoided
        else 0.62
        if "snow" in brief.weather
        else setting.chance("snow", 0.05, 0.45)
    )
    count = 4
    for index in range(count):
        near = index / (count - 1)
        colour = mix(
            mix(palette.far, palette.horizon, 0.42), mix(palette.near, palette.far, 0.22), near**0.85
        )
        haze = mix(palette.horizon, palette.far, 0.3)
        add_ridge(
            setting,
            parts,
            RidgePlan(
                setting.seed(f"range {index}"),
                foot=shore + (0.003 if lake else 0.16),
                crest=0.25 - 0.18 * near**0.7 + (0.0 if lake else 0.157),
                relief=0.22 - 0.15 * near,
                frequency=1.15 + 1.6 * near,
                jagged=1.0 - 0.62 * near,
                colour=colour,
                light=mix(palette.glow, palette.cloud, 0.3),
                haze=haze,
                haze_share=0.85 - 0.5 * near,
                faces=0.9 - 0.35 * near,
                snow=snow * (1.0 - near) ** 0.5,
                light_from=light_from,
                parallax=0.12 + 0.3 * near,
            ),
        )
        if index in (1, 2):
            add_mist(
                setting,
                parts,
                f"mist {index}",
                shore - 0.075 + 0.045 * index,
                0.035,
                strength=0.5 - 0.12 * index,
            )


def _lake(setting: Setting, parts: Parts, shore: float, light_x: float | None) -> None:
    _tree_line(setting, parts, shore)
    water = Water(
        WaterPlan(setting.seed("lake"), setting.palette, shore, mirror=0.9, waves=0.32, light_x=light_x),
        setting.geometry,
    )
    parts.soft.append(water.paint)
    parts.hold(water)
    add_mist(setting, parts, "lake mist", shore, 0.02, strength=0.45)


def _tree_line(setting: Setting, parts: Parts, shore: float) -> None:
    palette, rng = setting.palette, setting.rng("tree line")
    colour = mix(palette.near, palette.far, 0.18)
    sheet = Cutout(setting.geometry, shore - 0.1, shore + 0.002, colour, soft=True)
    x = np.linspace(-sheet.half_width, sheet.half_width, 200).astype(np.float32)
    ground = shore - 0.006 - 0.012 * np.abs(line(rng, x, 2.0, 3))
    sheet.skyline(ground, x, colour)
    for at in rng.uniform(-sheet.half_width, sheet.half_width, 170).tolist():
        grove = float(line(setting.rng("groves"), np.array([at], np.float32), 2.2, 2)[0])
        if grove > -0.25:
            figures.pine(
                sheet,
                at,
                shore - 0.004,
                0.025 + 0.04 * max(0.0, grove + 0.3) * float(rng.uniform(0.5, 1.2)),
                colour,
                rng=rng,
            )
    add_soft(setting, parts, sheet.faded(0.42, palette.horizon, 0.12))


def _foreground(setting: Setting, parts: Parts, shore: float, lake: bool) -> None:
    brief, palette, geometry = setting.brief, setting.palette, setting.geometry
    rng = setting.rng("foreground")
    sheet = Cutout(geometry, 0.42, 1.0, palette.near)
    x = np.linspace(-sheet.half_width, sheet.half_width, 400).astype(np.float32)
    side = 1.0 if rng.uniform() < 0.5 else -1.0
    rise = np.clip(side * x / (0.5 * geometry.aspect), -1, 1)
    base = 0.975 - 0.12 * np.maximum(rise, 0) ** 1.5 if lake else 0.90 - 0.06 * rise
    ground = base + line(rng, x, 2.2, 6, 0.5) * 0.03
    sheet.skyline(ground.astype(np.float32), x, palette.near)
    wide = sheet.half_width
    if "trees" not in brief.avoided and "forest" not in brief.avoided:
        for _ in range(54):
            at = float(rng.uniform(-wide, wide))
            share = side * at / wide
            if lake and share < 0.12:
                continue
            foot = float(np.interp(at, x, ground)) + 0.012
            tall = (0.07 + 0.20 * max(0.0, share) ** 1.6) * float(rng.uniform(0.55, 1.15))
            figures.pine(sheet, at, foot, tall, palette.near, rng=rng)
    _figures(setting, sheet, x, ground.astype(np.float32), -side * 0.22 * geometry.aspect)
    add_crisp(parts, sheet.crisp(setting.corners))
    if "boat" in brief.subjects:
        boat = Cutout(geometry, shore - 0.1, shore + 0.2, palette.near)
        figures.boat(
            boat,
            -side * 0.18,
            shore + 0.085,
            0.13,
            palette.near,
            sail=setting.dyed("boat", mix(palette.cloud, palette.accent, 0.3)),
        )
        add_crisp(parts, boat.crisp(setting.corners, 0.7, bob=0.002))


def _figures(setting: Setting, sheet: Cutout, x: Plane, ground: Plane, at: float) -> None:
    brief, palette = setting.brief, setting.palette
    foot = float(np.interp(at, x, ground)) + 0.008
    dark = mix(palette.near, palette.far, 0.14)
    if "cabin" in brief.subjects:
        figures.cabin(sheet, at, foot, 0.115, setting.dyed("cabin", dark), window=palette.accent)
    if "deer" in brief.subjects:
        figures.deer(sheet, at + 0.02, foot, 0.13, setting.dyed("deer", palette.near))
    if "fox" in brief.subjects:
        coat = setting.dyed("fox", mix(palette.near, palette.accent, 0.35))
        figures.fox(sheet, at + 0.02, foot, 0.09, coat, light=palette.cloud)
    if "birds" in brief.subjects:
        figures.birds(sheet, at, 0.48, 0.018, setting.dyed("birds", palette.near), rng=setting.rng("flock"))
