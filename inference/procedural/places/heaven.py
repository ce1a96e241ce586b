"""A wide sky over low dark ridges or calm water, for words that name a sky and no place below it."""

from __future__ import annotations

from inference.procedural import figures
from inference.procedural.cutouts import Cutout
from inference.procedural.palettes import mix
from inference.procedural.scene import Parts
from inference.procedural.setting import Setting, add_crisp, add_mist, add_ridge, add_weather, place_sky
from inference.procedural.terrain import RidgePlan
from inference.procedural.water import Water, WaterPlan


def paint(setting: Setting, parts: Parts) -> None:
    """Fill a scene with a sky."""
    water = "lake" in setting.brief.subjects or setting.chance("water", 0.0, 1.0) < 0.5
    shore = setting.chance("shore", 0.76, 0.82) if water else 0.90
    sky = place_sky(setting, parts, shore)
    _ridges(setting, parts, shore, count=1 if water else 3)
    add_mist(setting, parts, "low mist", shore - 0.01, 0.025, strength=0.35)
    if water:
        plan = WaterPlan(
            setting.seed("water"),
            setting.palette,
            shore,
            mirror=0.85,
            waves=0.5,
            light_x=sky.disc[0] if sky.disc else None,
        )
        surface = Water(plan, setting.geometry)
        parts.soft.append(surface.paint)
        parts.hold(surface)
    if "birds" in setting.brief.subjects:
        sheet = Cutout(setting.geometry, 0.1, 0.9, setting.palette.near)
        ink = setting.dyed("birds", setting.palette.near)
        figures.birds(sheet, setting.chance("flock", -0.2, 0.2), 0.45, 0.03, ink, rng=setting.rng("flock"))
        add_crisp(parts, sheet.crisp(setting.corners, 0.4, bob=0.003))
    add_weather(setting, parts)


def _ridges(setting: Setting, parts: Parts, shore: float, *, count: int) -> None:
    """Put low land on the horizon, the nearest darkest."""
    palette = setting.palette
    for index in range(count):
        near = index / max(1, count - 1)
        add_ridge(
            setting,
            parts,
            RidgePlan(
                setting.seed(f"ridge {index}"),
                foot=shore + (0.003 if count == 1 else 0.16),
                crest=0.02 if count == 1 else 0.20 - 0.09 * near,
                relief=0.05 - 0.02 * near,
                frequency=1.3 + 0.8 * near,
                jagged=0.4 - 0.2 * near,
                colour=mix(mix(palette.far, palette.horizon, 0.25), palette.near, 0.35 + 0.6 * near),
                light=mix(palette.glow, palette.cloud, 0.3),
                haze=palette.horizon,
                haze_share=0.4 - 0.35 * near,
                faces=0.4 - 0.25 * near,
                parallax=0.12 + 0.3 * near,
            ),
        )
