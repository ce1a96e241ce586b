"""A meadow: flowers from a haze of dots in the distance to single blossoms at one's feet."""

from __future__ import annotations

import numpy as np

from inference.procedural import figures
from inference.procedural.cutouts import Cutout
from inference.procedural.noise import line
from inference.procedural.palettes import NAMED, Colours, mix
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
from inference.procedural.weather import Flakes


_PETALS = ("red", "pink", "yellow", "white", "lavender", "coral", "violet", "blue")


def paint(setting: Setting, parts: Parts) -> None:
    """Fill a scene with flowers."""
    palette = setting.palette
    horizon = _horizon(setting)
    place_sky(setting, parts, horizon)
    green = _green(setting)
    _hills(setting, parts, horizon, green)
    add_mist(setting, parts, "meadow mist", horizon + 0.015, 0.03, strength=0.4)
    petals = _petals(setting)
    for index in range(4):
        _band(setting, parts, index, green, petals)
    _near(setting, parts, green, petals)
    drifting = mix(petals[0], palette.cloud, 0.3)
    flakes = Flakes(
        setting.seed("petals"), setting.geometry, 16, drifting, 0.018, radius=0.0055, strength=0.85
    )
    if "snow" not in setting.brief.weather:
        parts.crisp.append(flakes.draw)
    add_weather(setting, parts)


def _horizon(setting: Setting) -> float:
    return setting.chance("horizon", 0.42, 0.52)


def _strip_top(setting: Setting, index: int) -> float:
    """Return where a strip of the meadow begins, of the picture's height."""
    return float(_horizon(setting) + 0.01 + 0.30 * (index / 3.0) ** 1.35)


def _green(setting: Setting) -> Colours:
    """Return the meadow's green in this light."""
    leaf = mix(np.array([70, 120, 48], np.float32), setting.palette.near, 0.35)
    if setting.brief.scene_colours or setting.corners > 0.5:
        leaf = mix(leaf, setting.palette.far, 0.35)
    return mix(leaf, setting.palette.near, 0.45 if setting.is_dark or setting.light == "dusk" else 0.12)


def _petals(setting: Setting) -> list[Colours]:
    """Return two or three blossom colours: those of the words first, then the scene's own."""
    rng = setting.rng("petal colours")
    avoided = setting.brief.avoided_colours
    own = [colour for name, colour in setting.brief.own_colours if name == "flowers"]
    if wanted := [*own, *setting.brief.scene_colours]:
        named = wanted[:3]
    else:
        choice = [name for name in _PETALS if name not in avoided] or ["white"]
        start = int(rng.integers(0, len(choice)))
        named = [choice[start], choice[(start + int(rng.integers(1, 4))) % len(choice)]]
    night = 0.5 if setting.is_dark else 0.12
    light = [
        mix(NAMED[name], setting.palette.shade if setting.is_dark else setting.palette.glow, night)
        for name in named
    ]
    return [*light, mix(light[0], setting.palette.accent, 0.4)]


def _hills(setting: Setting, parts: Parts, horizon: float, green: Colours) -> None:
    palette = setting.palette
    tall = 2.4 if {"mountain", "mountains"} & setting.brief.subjects else 1.0
    for index in range(3):
        near = index / 2.0
        add_ridge(
            setting,
            parts,
            RidgePlan(
                setting.seed(f"hill {index}"),
                foot=horizon + 0.02 + 0.03 * near,
                crest=(0.085 - 0.03 * near) * (tall if index == 0 else 1.0),
                relief=0.045 * (tall if index == 0 else 1.0),
                frequency=1.6 + near,
                jagged=0.6 if tall > 1.0 and index == 0 else 0.1,
                colour=mix(mix(palette.far, palette.horizon, 0.4), green, 0.25 + 0.5 * near),
                light=palette.glow,
                haze=palette.horizon,
                haze_share=0.6 - 0.3 * near,
                faces=0.35,
                parallax=0.1 + 0.1 * near,
            ),
        )


def _band(setting: Setting, parts: Parts, index: int, green: Colours, petals: list[Colours]) -> None:
    """Paint one strip of the meadow; nearer strips have larger flowers."""
    rng = setting.rng(f"band {index}")
    near = index / 3.0
    top = _strip_top(setting, index)
    ground = _ground(setting, near, green)
    sheet = Cutout(setting.geometry, top - 0.05, 1.0, ground, soft=True)
    x = np.linspace(-sheet.half_width, sheet.half_width, 200).astype(np.float32)
    edge = (top + 0.012 * line(rng, x, 2.0 + index, 4)).astype(np.float32)
    # The strip begins in the colour of the one behind it, so that no step shows.
    behind = _ground(setting, max(0.0, near - 1.0 / 3.0), green)
    for part in np.linspace(0.0, 1.0, 14).tolist():
        sheet.skyline(edge + np.float32(part * 0.16), x, mix(behind, ground, part))
    _scatter(setting, sheet, index, green, petals)
    add_soft(setting, parts, sheet.faded(0.2 + 0.4 * near, setting.palette.near, 0.0))


def _ground(setting: Setting, near: float, green: Colours) -> Colours:
    palette = setting.palette
    return mix(mix(green, palette.horizon, 0.36), mix(green, palette.near, 0.42), near)


def _scatter(setting: Setting, sheet: Cutout, index: int, green: Colours, petals: list[Colours]) -> None:
    """Scatter a strip's flowers and stalks, in drifts of one colour."""
    rng = setting.rng(f"flowers {index}")
    near = index / 3.0
    top = _strip_top(setting, index)
    size = 0.0035 + 0.012 * near**1.3
    count = round((950 - 560 * near) * setting.geometry.spread)
    drift = line(
        setting.rng(f"drifts {index}"),
        (xs := rng.uniform(-1, 1, count).astype(np.float32)) * sheet.half_width,
        3.0,
        3,
    )
    depth = np.sort(rng.uniform(0.0, 1.0, count) ** 1.2)
    shades = [mix(green, setting.palette.glow, 0.2), mix(green, setting.palette.near, 0.3)]
    for at, down, patch, dice in zip(
        (xs * sheet.half_width).tolist(),
        depth.tolist(),
        drift.tolist(),
        rng.uniform(0, 1, count).tolist(),
        strict=True,
    ):
        y = top + 0.006 + down * (0.13 + 0.12 * near)
        grown = size * (0.7 + 0.9 * down)
        if dice < 0.35:
            sheet.stroke(
                [(at, y), (at + grown * (dice - 0.17), y - grown * 3.0)],
                grown * 0.3,
                shades[int(dice * 40) % 2],
            )
            continue
        pick = 0 if patch > 0.12 else 1 if patch < -0.12 else 2
        colour = petals[min(pick, len(petals) - 1)]
        colour = colour * np.float32(0.78 + 0.3 * dice)
        sheet.ellipse(at, y, grown, grown * 0.72, colour)
        if near > 0.5:
            sheet.ellipse(
                at, y - grown * 0.1, grown * 0.35, grown * 0.25, mix_quick(colour, setting.palette.glow, 0.5)
            )


def mix_quick(first: Colours, second: Colours, share: float) -> Colours:
    """Mix display values directly: quick enough for each of a thousand blossoms."""
    return first + (second - first) * np.float32(share)


def _near(setting: Setting, parts: Parts, green: Colours, petals: list[Colours]) -> None:
    geometry, palette = setting.geometry, setting.palette
    rng = setting.rng("near flowers")
    dark = mix(green, palette.near, 0.6)
    sheet = Cutout(geometry, 0.5, 1.0, dark)
    figures.grass(
        sheet,
        1.02,
        0.2,
        round(260 * geometry.spread),
        [dark, mix(green, palette.near, 0.35), mix(green, palette.glow, 0.15)],
        rng=rng,
    )
    count = round(22 * geometry.spread)
    heart = mix(NAMED["yellow"], palette.near, 0.3)
    cup = rng.uniform() < 0.4
    spots = sorted(
        ((float(rng.uniform(0.70, 0.97)), float(rng.uniform(-1.0, 1.0))) for _ in range(count)),
        key=lambda spot: spot[0],
    )
    for y, part in spots:
        x = part * sheet.half_width
        size = 0.026 + 0.085 * max(0.0, y - 0.68) * float(rng.uniform(0.8, 1.2)) / 0.3
        colour = petals[int(rng.integers(0, len(petals)))] * np.float32(rng.uniform(0.86, 1.06))
        lean = float(rng.normal(0.0, 0.02))
        sheet.stroke([(x + lean, 1.03), (x + lean * 0.4, (y + 1.0) / 2.0), (x, y)], 0.004 + size * 0.05, dark)
        if cup:
            figures.tulip(sheet, x, y, size * 0.62, colour)
        else:
            figures.blossom(
                sheet,
                x,
                y,
                size * 0.72,
                colour,
                heart=heart,
                petals=int(rng.integers(5, 9)),
                turn=float(rng.uniform(0, 6)),
            )
    figures.grass(
        sheet, 1.02, 0.09, round(150 * geometry.spread), [dark, mix(dark, palette.near, 0.5)], rng=rng
    )
    add_crisp(parts, sheet.crisp(setting.corners))
