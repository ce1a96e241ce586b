"""A city: towers behind towers over dark water that takes their lights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inference.procedural.cutouts import Cutout
from inference.procedural.layers import Geometry
from inference.procedural.palettes import Colours, mix
from inference.procedural.scene import Parts
from inference.procedural.setting import Setting, add_crisp, add_mist, add_soft, add_weather, place_sky
from inference.procedural.water import Water, WaterPlan


@dataclass(frozen=True, slots=True)
class _Tower:
    left: float
    right: float
    top: float
    crown: int  # 0 flat, 1 stepped, 2 spire, 3 slanted


def paint(setting: Setting, parts: Parts) -> None:
    """Fill a scene with a city."""
    palette = setting.palette
    shore = setting.chance("shore", 0.66, 0.72)
    sky = place_sky(setting, parts, shore - 0.04)
    for index in range(3):
        near = index / 2.0
        colour = mix(mix(palette.far, palette.horizon, 0.5), palette.near, 0.15 + 0.75 * near)
        towers = _towers(setting.rng(f"row {index}"), setting.geometry, shore, near)
        soft = Cutout(setting.geometry, 0.05, shore + 0.002, colour, soft=True)
        _draw(setting, soft, towers, colour, near, index=index)
        add_soft(setting, parts, soft.faded(0.12 + 0.3 * near, palette.horizon, 0.5 - 0.36 * near))
        if index < 2:
            add_mist(setting, parts, f"haze {index}", shore - 0.05, 0.07, strength=0.42)
    water = Water(
        WaterPlan(
            setting.seed("river"),
            palette,
            shore,
            mirror=0.95,
            waves=0.75,
            light_x=sky.disc[0] if sky.disc else None,
        ),
        setting.geometry,
    )
    parts.soft.append(water.paint)
    parts.hold(water)
    # The nearest row once more at full size: its windows deserve sharp edges.
    crisp = Cutout(setting.geometry, 0.05, shore + 0.004, palette.near)
    colour = mix(mix(palette.far, palette.horizon, 0.5), palette.near, 0.9)
    _draw(setting, crisp, towers, colour, 1.0, index=2)
    crisp.rectangle(-crisp.half_width, shore - 0.006, crisp.half_width, shore + 0.004, palette.near)
    add_crisp(parts, crisp.crisp(setting.corners, 0.42))
    add_weather(setting, parts)


def _towers(rng: np.random.Generator, geometry: Geometry, shore: float, near: float) -> list[_Tower]:
    towers = []
    edge = 0.5 * geometry.aspect + 0.06
    x = -edge
    peak = float(rng.uniform(-0.25, 0.25)) * geometry.aspect
    while x < edge:
        width = float(rng.uniform(0.035, 0.085)) * (0.75 + 0.35 * near)
        crowd = math.exp(-(((x - peak) / 0.42) ** 2))
        tall = (0.40 - 0.22 * near) * (0.35 + 0.65 * crowd) * float(rng.uniform(0.55, 1.15))
        if rng.uniform() < 0.09:
            tall *= 1.4
        towers.append(_Tower(x, x + width, shore - tall, int(rng.integers(0, 5))))
        x += width * float(rng.uniform(0.72, 1.18))
    return towers


def _draw(
    setting: Setting, sheet: Cutout, towers: list[_Tower], colour: Colours, near: float, *, index: int
) -> None:
    rng = setting.rng(f"windows {index}")
    palette = setting.palette
    lit_share = {"night": 0.42, "neon": 0.5, "dusk": 0.34, "aurora": 0.4, "sunset": 0.2}.get(
        setting.light, 0.07
    )
    glass = [
        mix(palette.accent, palette.disc, 0.25),
        palette.accent,
        mix(palette.accent, palette.glow, 0.6),
        mix(palette.accent, palette.horizon, 0.5),
    ]
    for tower in towers:
        shade = mix(colour, palette.near, float(rng.uniform(0.0, 0.3)))
        sheet.rectangle(tower.left, tower.top, tower.right, 1.0, shade)
        side = mix(shade, palette.glow, 0.10 + 0.05 * (1.0 - near))
        sheet.rectangle(tower.left, tower.top, tower.left + (tower.right - tower.left) * 0.16, 1.0, side)
        _crown(sheet, tower, shade)
        _windows(sheet, tower, glass, shade, lit_share * (0.45 + 0.55 * near), near=near, rng=rng)
        if near == 1.0 and setting.is_dark and rng.uniform() < 0.22:
            _sign(sheet, tower, [palette.glow, palette.accent, palette.horizon], rng)


def _crown(sheet: Cutout, tower: _Tower, colour: Colours) -> None:
    middle, width = (tower.left + tower.right) / 2.0, tower.right - tower.left
    if tower.crown == 1:
        sheet.rectangle(middle - width * 0.3, tower.top - 0.022, middle + width * 0.3, tower.top, colour)
        sheet.rectangle(middle - width * 0.16, tower.top - 0.04, middle + width * 0.16, tower.top, colour)
    elif tower.crown == 2:
        sheet.polygon(
            [
                (middle - width * 0.22, tower.top),
                (middle, tower.top - 0.09),
                (middle + width * 0.22, tower.top),
            ],
            colour,
        )
    elif tower.crown == 3:
        sheet.polygon(
            [
                (tower.left, tower.top + 0.001),
                (tower.right, tower.top - 0.03),
                (tower.right, tower.top + 0.001),
            ],
            colour,
        )


def _windows(
    sheet: Cutout,
    tower: _Tower,
    glass: list[Colours],
    wall: Colours,
    lit_share: float,
    *,
    near: float,
    rng: np.random.Generator,
) -> None:
    pitch_x, pitch_y = 0.0085 + 0.003 * near, 0.0125 + 0.004 * near
    columns = max(1, int((tower.right - tower.left - 0.008) / pitch_x))
    rows = min(60, int((0.74 - tower.top) / pitch_y))
    lit = rng.uniform(0.0, 1.0, (rows, columns))
    floors = rng.uniform(0.0, 1.0, rows)
    pick = rng.integers(0, len(glass), (rows, columns))
    start = tower.left + ((tower.right - tower.left) - columns * pitch_x) / 2.0
    unlit = mix(wall, glass[0], 0.07)
    for row in range(rows):
        y = tower.top + 0.010 + row * pitch_y
        # Some floors work late: lights gather in rows.
        share = lit_share * (2.2 if floors[row] < 0.18 else 0.75)
        for column in range(columns):
            on = lit[row, column] < share
            if not on and near < 1.0:
                continue
            colour = (
                mix_quick(wall, glass[pick[row, column]], 0.55 + 0.45 * near * float(floors[row]))
                if on
                else unlit
            )
            x = start + column * pitch_x
            sheet.rectangle(x + pitch_x * 0.2, y, x + pitch_x * 0.75, y + pitch_y * 0.52, colour)


def mix_quick(first: Colours, second: Colours, share: float) -> Colours:
    """Mix display values directly: right for light on a wall, and quick enough for each window."""
    return first + (second - first) * np.float32(share)


def _sign(sheet: Cutout, tower: _Tower, colours: list[Colours], rng: np.random.Generator) -> None:
    colour = colours[int(rng.integers(0, len(colours)))]
    x = tower.left + (tower.right - tower.left) * float(rng.uniform(0.2, 0.7))
    y = tower.top + float(rng.uniform(0.02, 0.06))
    sheet.rectangle(x, y, x + 0.009, y + float(rng.uniform(0.03, 0.07)), colour)
