"""From words to what a place needs: light, palette, the sun's place, and dice.

The one rule: everything follows from the brief and the style, by digests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import looks, palettes
from .layers import CrispLayer, Geometry, Planes, SoftLayer
from .noise import digest, generator
from .palettes import Colours, Palette
from .scene import Parts
from .sky import Sky, SkyPlan
from .terrain import RidgePlan, bake_ridge
from .weather import Flakes, Mist, Rain, lightning
from .words import Brief


# Which light a place gets when no word says: repeated ones are likelier.
_CHANCES: dict[str, tuple[str, ...]] = {
    "sea": ("sunset", "dawn", "day", "golden", "dusk", "sunset"),
    "mountain": ("dawn", "sunset", "day", "golden", "dusk", "day"),
    "forest": ("dawn", "golden", "day", "dusk", "golden"),
    "city": ("dusk", "night", "sunset", "neon", "night"),
    "space": ("night", "aurora", "neon", "dusk"),
    "flowers": ("day", "golden", "sunset", "dawn", "day"),
    "desert": ("sunset", "golden", "dusk", "dawn", "night"),
    "sky": ("sunset", "dusk", "day", "dawn", "night"),
    "abstract": ("dawn", "day", "sunset", "dusk", "night", "golden", "neon", "aurora"),
}

# How strongly colour words take hold of each colour of a palette: zenith, middle, horizon, glow, disc,
# cloud, shade, far, near, water, accent. A turquoise sea keeps most of its sunset, red poppies their green.
_GRIP: dict[str, tuple[float, ...]] = {
    "sea": (0.45, 0.40, 0.45, 0.40, 0.2, 0.3, 0.45, 0.6, 0.6, 1.0, 0.9),
    "flowers": (0.25, 0.22, 0.22, 0.25, 0.1, 0.15, 0.25, 0.2, 0.1, 0.3, 1.0),
    "city": (0.70, 0.75, 0.75, 0.80, 0.3, 0.6, 0.7, 0.75, 0.6, 0.7, 0.9),
    "abstract": (1.0,) * 11,
    "space": (0.95,) * 11,
}
_USUAL_GRIP = (0.68, 0.72, 0.72, 0.70, 0.3, 0.6, 0.68, 0.72, 0.62, 0.75, 0.7)

# The same for a colour that belongs to one thing: what shows the thing, and nothing else.
_OWN_GRIP: dict[str, tuple[float, ...]] = {
    "moon": (0.0, 0.0, 0.0, 0.5, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "sun": (0.0, 0.0, 0.15, 0.6, 0.8, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0),
    "trees": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.6, 0.0, 0.3),
    "flowers": (0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9),
}
_USUAL_OWN_GRIP = (0.0,) * 10 + (0.2,)

_DARK = frozenset({"night", "aurora", "neon"})


@dataclass(frozen=True, slots=True)
class Setting:
    """What a place paints with."""

    brief: Brief
    light: str
    style: str
    palette: Palette
    geometry: Geometry
    corners: float  # darkness of the corners, 0 to 1
    detail: int

    @property
    def is_dark(self) -> bool:
        """Whether stars may show and windows glow."""
        return self.light in _DARK

    @property
    def palette_is_free(self) -> bool:
        """Whether no style has graded the colours."""
        return not self.style

    def dyed(self, figure: str, usual: Colours, share: float = 0.8) -> Colours:
        """Return a figure's colour: its usual one, moved towards the colour word that is its own."""
        name = self.brief.own_colour(figure)
        if not name:
            return usual
        graded = looks.grade_colours(palettes.NAMED[name][None, :], looks.of(self.style))[0]
        return palettes.mix(usual, graded, share)

    def rng(self, name: str) -> np.random.Generator:
        """Return dice of this scene for one purpose."""
        return generator(name, self.brief.seed)

    def seed(self, name: str) -> int:
        """Return a seed of this scene for one purpose."""
        return digest(name, self.brief.seed)

    def chance(self, name: str, low: float, high: float) -> float:
        """Return a number of this scene for one purpose."""
        return float(self.rng(name).uniform(low, high))


def make_setting(brief: Brief, style: str, guidance: float, geometry: Geometry, detail: int) -> Setting:
    """Decide light and palette.

    Args:
        brief: The request's words.
        style: A style's name, or empty.
        guidance: The request's guidance scale, 0 to 20: how far colour words pull.
        geometry: Of the picture.
        detail: 0 (live) to 2.
    """
    rng = generator("setting", brief.seed)
    chances = tuple(light for light in _CHANCES[brief.place] if light not in brief.avoided) or ("day",)
    white = "snow" in brief.weather and not brief.light and brief.place in ("forest", "mountain", "sky")
    if white:
        # Snow is white and blue under a cool light only; a warm one must be asked for.
        chances = tuple(light for light in ("day", "dawn", "day") if light not in brief.avoided) or ("day",)
    light = chances[int(rng.integers(0, len(chances)))]
    if "storm" in brief.weather and light in ("day", "golden", "sunset"):
        light = "dusk"
    if brief.light in palettes.LIGHTS:
        light = brief.light
    if (
        light == "neon"
        and brief.place in ("sea", "mountain", "forest", "flowers", "desert", "sky")
        and not brief.light
    ):
        light = "dusk"
    variants = palettes.LIGHTS[light]
    palette = variants[int(rng.integers(0, len(variants)))]
    swing = 180.0 if brief.place == "abstract" and not brief.light else 10.0
    palette = palettes.turned(palette, float(rng.uniform(-swing, swing)), float(rng.uniform(0.92, 1.12)))
    palette = _weathered(palette, brief)
    grip = np.array(_GRIP.get(brief.place, _USUAL_GRIP), np.float32)
    pull = np.minimum(grip * np.float32(0.88 + 0.02 * guidance), 1.0)
    if white and not brief.scene_colours:
        palette = palettes.pulled(palette, ("azure", "white"), 0.55)
    palette = palettes.pulled(palette, brief.scene_colours, pull)
    for figure, colour in brief.own_colours:
        own_grip = np.array(_OWN_GRIP.get(figure, _USUAL_OWN_GRIP), np.float32)
        palette = palettes.pulled(palette, (colour,), own_grip)
    if brief.scene_colours and guidance:
        palette = palettes.turned(palette, 0.0, 1.0 + 0.02 * guidance)
    palette = palettes.pushed(palette, brief.avoided_colours)
    look = looks.of(style)
    return Setting(brief, light, style, looks.grade(palette, look), geometry, look.vignette, detail)


def _weathered(palette: Palette, brief: Brief) -> Palette:
    """Return the palette under the brief's weather."""
    chroma, darker, lighter = 1.0, 0.0, 0.0
    if "storm" in brief.weather:
        chroma, darker = 0.72, 0.16
    elif "rain" in brief.weather or ("clouds" in brief.weather and "clear" not in brief.weather):
        chroma, darker = 0.84, 0.06
    if "fog" in brief.weather:
        chroma, lighter = chroma * 0.85, 0.05
    if "snow" in brief.weather:
        chroma, lighter = chroma * 0.82, lighter + 0.02

    def change(labs: palettes.Colours) -> palettes.Colours:
        moved = labs.copy()
        moved[:, 1:] *= chroma
        moved[:, 0] = labs[:, 0] * (1.0 - darker) + (1.0 - labs[:, 0]) * lighter
        return moved

    return palette.map(change)


def place_sky(setting: Setting, parts: Parts, horizon: float, disc_x: float | None = None) -> SkyPlan:
    """Put a sky fit for the light and the weather into a scene; returns what it shows."""
    brief, aspect = setting.brief, setting.geometry.aspect
    side = setting.chance("sun side", -0.28, 0.28) if disc_x is None else disc_x
    height = {"dawn": 0.74, "sunset": 0.80, "golden": 0.66, "dusk": 0.93, "day": 0.26}.get(
        setting.light, 0.32
    )
    moon = setting.light in ("night", "dusk", "aurora") or "moon" in brief.subjects
    if moon:
        height = 0.34 + setting.chance("moon height", -0.1, 0.12)
    hidden = {"storm", "rain", "fog"} & brief.weather and not {"moon", "sun"} & brief.subjects
    shown = "moon" in brief.subjects or not (
        hidden
        or setting.light in ("neon", "aurora")
        or (moon and "moon" in brief.avoided)
        or (not moon and "sun" in brief.avoided)
    )
    plan = SkyPlan(
        seed=setting.seed("sky"),
        palette=setting.palette,
        horizon=horizon,
        disc=(side * aspect, horizon * height) if shown else None,
        disc_radius=0.042 if moon else 0.034 if setting.light == "day" else 0.055,
        glow=0.5 if moon or setting.light == "day" else 0.9,
        cover=_cloud_cover(setting),
        stars=_stars(setting),
        aurora=1.0 if "aurora" in brief.weather or setting.light == "aurora" else 0.0,
        moon=moon,
    )
    sky = Sky(plan, setting.geometry)
    parts.soft.append(sky.paint)
    parts.hold(sky)
    return plan


def _cloud_cover(setting: Setting) -> float:
    weather = setting.brief.weather
    if "clear" in weather or "clouds" in setting.brief.avoided:
        return 0.0
    if {"storm", "clouds"} & weather:
        return 0.82
    chance = setting.chance("cover", 0.28, 0.58)
    if {"rain", "snow"} & weather:
        return max(chance, 0.62)
    return chance * 0.55 if setting.is_dark else chance


def _stars(setting: Setting) -> float:
    weather = setting.brief.weather
    if "stars" in setting.brief.avoided:
        return 0.0
    if "stars" in weather:
        return 1.0
    if {"storm", "rain", "clouds"} & weather:
        return 0.0
    return {"night": 0.7, "aurora": 0.8, "dusk": 0.18}.get(setting.light, 0.0)


def add_soft(setting: Setting, parts: Parts, layer: SoftLayer) -> None:
    """Put a layer of the working size into a scene."""
    height = setting.geometry.work_height
    parts.soft.append(lambda air, time_s: layer.draw(air, time_s, height))
    parts.hold(layer)


def add_crisp(parts: Parts, layer: CrispLayer) -> None:
    """Put a layer of the full size into a scene."""
    parts.crisp.append(layer.draw)
    parts.hold(layer)


def add_ridge(setting: Setting, parts: Parts, plan: RidgePlan) -> None:
    """Put a ridge into a scene."""
    add_soft(setting, parts, bake_ridge(plan, setting.geometry))


def add_mist(
    setting: Setting, parts: Parts, name: str, middle: float, spread: float, *, strength: float
) -> None:
    """Put a drifting bank of fog into a scene; foggy weather thickens it, "no fog" removes it."""
    if "fog" in setting.brief.avoided:
        return
    if "fog" in setting.brief.weather:
        strength, spread = min(0.92, strength * 1.6 + 0.2), spread * 1.5
    colour = palettes.mix(setting.palette.horizon, setting.palette.cloud, 0.35)
    mist = Mist(setting.seed(name), setting.geometry, colour, middle, spread, strength=strength)
    parts.soft.append(mist.draw)


def add_weather(setting: Setting, parts: Parts) -> None:
    """Put what falls or glows in front of everything into a scene."""
    brief, geometry = setting.brief, setting.geometry
    if "storm" in brief.weather:
        seed, glow = setting.seed("lightning"), setting.palette.cloud

        def flash(air: Planes, time_s: float) -> None:
            light = lightning(seed, time_s)
            if light > 0.004:
                rows = air[:, : air.shape[1] * 2 // 3]
                rows += (glow[:, None, None] - rows) * np.float32(0.34 * light)

        parts.soft.insert(1, flash)
    if {"rain", "storm"} & brief.weather and not {"rain"} & brief.avoided:
        rain = Rain(setting.seed("rain"), geometry, 1.0 if "storm" not in brief.weather else 1.25)
        parts.crisp.append(rain.draw)
        parts.hold(rain)
    if "snow" in brief.weather:
        white = palettes.mix(np.array([250, 251, 255], np.float32), setting.palette.cloud, 0.25)
        flakes = Flakes(setting.seed("snow"), geometry, 260, white, 0.055, radius=0.0052, strength=0.9)
        parts.crisp.append(flakes.draw)
    if "fireflies" in brief.weather:
        light = palettes.mix(setting.palette.accent, palettes.NAMED["yellow"], 0.4)
        sparks = Flakes(
            setting.seed("sparks"), geometry, 90, light, -0.008, radius=0.0095, strength=1.0, glow=True
        )
        parts.crisp.append(sparks.draw)
