"""The sea: open water under a wide sky, with what the words put on it."""

from __future__ import annotations

import numpy as np

from inference.procedural import figures
from inference.procedural.cutouts import Cutout
from inference.procedural.noise import line
from inference.procedural.palettes import mix
from inference.procedural.scene import Parts
from inference.procedural.setting import Setting, add_crisp, add_mist, add_ridge, add_weather, place_sky
from inference.procedural.terrain import RidgePlan
from inference.procedural.water import Water, WaterPlan


def paint(setting: Setting, parts: Parts) -> None:
    """Fill a scene with the sea."""
    brief, palette = setting.brief, setting.palette
    horizon = setting.chance("horizon", 0.50, 0.60)
    sky = place_sky(setting, parts, horizon)
    if "mountains" in brief.subjects or "mountain" in brief.subjects or setting.chance("islands", 0, 1) < 0.4:
        _islands(setting, parts, horizon)
    add_mist(setting, parts, "sea mist", horizon - 0.005, 0.03, strength=0.55)
    stormy = bool({"storm"} & brief.weather)
    plan = WaterPlan(
        setting.seed("water"),
        palette,
        horizon,
        mirror=0.72 if not stormy else 0.5,
        waves=1.0 if not stormy else 1.9,
        light_x=sky.disc[0] if sky.disc else None,
    )
    water = Water(plan, setting.geometry)
    parts.soft.append(water.paint)
    parts.hold(water)
    _figures(setting, parts, horizon)
    add_weather(setting, parts)


def _islands(setting: Setting, parts: Parts, horizon: float) -> None:
    palette = setting.palette
    tall = 2.6 if {"mountains", "mountain"} & setting.brief.subjects else 1.0
    for index in range(2):
        add_ridge(
            setting,
            parts,
            RidgePlan(
                setting.seed(f"island {index}"),
                foot=horizon + 0.002,
                crest=-0.012 + 0.018 * tall,
                relief=0.045 * tall,
                frequency=1.5 + index,
                jagged=0.35,
                colour=mix(palette.far, palette.horizon, 0.5 - 0.35 * index),
                light=palette.glow,
                haze=palette.horizon,
                haze_share=0.55,
                faces=0.35,
                parallax=0.15 + 0.1 * index,
            ),
        )


def _figures(setting: Setting, parts: Parts, horizon: float) -> None:
    brief, palette, geometry = setting.brief, setting.palette, setting.geometry
    dark = mix(palette.near, palette.water, 0.35)
    side = 1.0 if setting.chance("side", -1, 1) > 0 else -1.0
    if "boat" in brief.subjects:
        x = side * 0.2 * geometry.aspect
        sheet = Cutout(geometry, horizon - 0.26, horizon + 0.13, dark)
        foot = horizon + 0.075
        figures.boat(
            sheet, x, foot, 0.2, dark, sail=setting.dyed("boat", mix(palette.cloud, palette.accent, 0.35))
        )
        add_crisp(parts, sheet.crisp(setting.corners, 0.6, bob=0.004))
        mirror = Cutout(geometry, horizon + 0.05, horizon + 0.3, dark)
        for index in range(26):
            part = index / 26.0
            reach = 0.075 * (1.0 - part) * (0.55 + 0.45 * float(np.sin(index * 2.3)))
            y = foot + 0.008 + part * 0.17
            mirror.rectangle(x - reach, y, x + reach, y + 0.003, dark, alpha=0.5 * (1.0 - part))
        add_crisp(parts, mirror.crisp(setting.corners, 0.6))
    if "lighthouse" in brief.subjects:
        _lighthouse(setting, parts, horizon, -side)
    if "birds" in brief.subjects or (
        setting.light != "night" and setting.chance("birds", 0, 1) < 0.5 and "birds" not in brief.avoided
    ):
        sheet = Cutout(geometry, horizon * 0.3, horizon, dark)
        figures.birds(
            sheet, side * -0.18, horizon * 0.62, 0.02, setting.dyed("birds", dark), rng=setting.rng("flock")
        )
        add_crisp(parts, sheet.crisp(setting.corners, 0.3, bob=0.003))
    if "palms" in brief.subjects:
        sheet = Cutout(geometry, 0.1, 1.0, palette.near)
        rng = setting.rng("palms")
        for index in range(3):
            x = side * (0.5 * geometry.aspect - 0.05 - 0.09 * index)
            figures.palm(sheet, x, 1.0, 0.62 - 0.12 * index, palette.near, rng=rng)
        add_crisp(parts, sheet.crisp(setting.corners))


def _lighthouse(setting: Setting, parts: Parts, horizon: float, side: float) -> None:
    palette, geometry = setting.palette, setting.geometry
    sheet = Cutout(geometry, horizon - 0.34, 1.0, palette.near)
    x = np.linspace(-sheet.half_width, sheet.half_width, 320).astype(np.float32)
    at = side * 0.3 * geometry.aspect
    rock = line(setting.rng("rock"), x, 7.0, 6, 0.55) * 0.018
    # A headland: it rises to the tower and runs down to the picture's foot on the inner side.
    inwards = np.maximum(-side * (x - at), 0.0)
    hump = 0.10 * np.exp(-(((x - at) / 0.15) ** 2))
    shape = horizon + 0.115 - hump + np.maximum(inwards - 0.12, 0.0) ** 1.3 * 1.9 - rock
    sheet.skyline(shape.astype(np.float32), x, palette.near)
    body = setting.dyed("lighthouse", mix(palette.near, palette.cloud, 0.55), 0.7)
    figures.lighthouse(sheet, at, horizon + 0.0, 0.3, body, lamp=mix(palette.accent, palette.disc, 0.5))
    add_crisp(parts, sheet.crisp(setting.corners, 0.7))
