"""Colour: a scene's palette, how words, styles and chance move it, and mixing without mud.

Colours are mixed in OKLab, where halfway between blue and orange is not grey sludge and equal
steps look equal. Painting itself runs in display values, 0 to 255.

Source: Björn Ottosson, "A perceptual color space for image processing" (OKLab's matrices).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


Colours = NDArray[np.floating[Any]]
"""``(..., 3)`` floating, mostly float32: sRGB 0 to 255, or OKLab where the name says so."""

_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_FROM_LMS = np.linalg.inv(_TO_LMS)
_FROM_LAB = np.linalg.inv(_TO_LAB)


def to_oklab(srgb: Colours) -> Colours:
    """Turn sRGB 0 to 255 into OKLab."""
    value = np.clip(np.asarray(srgb, dtype=np.float64) / 255.0, 0.0, 1.0)
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T, dtype=np.float32)


def to_srgb(oklab: Colours) -> Colours:
    """Turn OKLab into sRGB 0 to 255; what the screen cannot show is clipped."""
    linear = (np.asarray(oklab, dtype=np.float64) @ _FROM_LAB.T) ** 3 @ _FROM_LMS.T
    linear = np.clip(linear, 0.0, 1.0)
    value = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(value * 255.0, dtype=np.float32)


def hexadecimal(text: str) -> Colours:
    """Read ``rrggbb``."""
    return np.array([int(text[at : at + 2], 16) for at in (0, 2, 4)], dtype=np.float32)


def mix(first: Colours, second: Colours, share: float) -> Colours:
    """Mix two colours; a share of 1 is the second."""
    return to_srgb(to_oklab(first) * np.float32(1.0 - share) + to_oklab(second) * np.float32(share))


def ramp(
    stops: Sequence[Colours], places: Sequence[float], at: NDArray[np.float32], vivid: float = 0.0
) -> Colours:
    """Read a gradient through colours.

    Args:
        stops: Two or more colours.
        places: Where each stands, rising.
        at: Where to read, ``(n,)``.
        vivid: How far saturation is kept between opposite hues, 0 (they meet in grey) to 1.

    Returns:
        ``(n, 3)`` float32, sRGB 0 to 255.
    """
    labs = to_oklab(np.stack(stops))
    read = np.stack([np.interp(at, places, labs[:, axis]) for axis in range(3)], axis=-1)
    if vivid:
        chroma = np.hypot(read[:, 1], read[:, 2])
        wanted = np.interp(at, places, np.hypot(labs[:, 1], labs[:, 2]))
        read[:, 1:] *= (1.0 + vivid * (wanted / np.maximum(chroma, 0.02) - 1.0).clip(0.0, 3.0))[:, None]
    return to_srgb(read)


@dataclass(frozen=True, slots=True)
class Palette:
    """A scene's colours, each ``(3,)`` float32, sRGB 0 to 255."""

    zenith: Colours
    middle: Colours
    horizon: Colours
    glow: Colours  # around the sun or moon
    disc: Colours  # the sun or moon itself
    cloud: Colours  # a cloud's lit side
    shade: Colours  # a cloud's dark side
    far: Colours  # land in the distance
    near: Colours  # land at one's feet
    water: Colours  # deep water
    accent: Colours  # windows, blossoms, sails

    def map(self, change: Callable[[Colours], Colours]) -> Palette:
        """Return the palette with a change made to all its colours at once, ``(11, 3)`` OKLab."""
        names = [entry.name for entry in fields(self)]
        changed = to_srgb(change(to_oklab(np.stack([getattr(self, name) for name in names]))))
        return Palette(**dict(zip(names, changed, strict=True)))

    def tones(self) -> Colours:
        """Return 256 colours of the scene from dark to light, ``(256, 3)``."""
        stops = np.stack([self.near, self.water, self.far, self.middle, self.horizon, self.glow])
        lightness = to_oklab(stops)[:, 0]
        ordered = stops[np.argsort(lightness, kind="stable")]
        places = np.linspace(0.06, 0.94, len(ordered)).tolist()
        black, white = mix(ordered[0], np.zeros(3, np.float32), 0.6), mix(ordered[-1], _WHITE, 0.7)
        at = np.linspace(0.0, 1.0, 256, dtype=np.float32)
        return ramp([black, *ordered, white], [0.0, *places, 1.0], at)


_WHITE = np.full(3, 255.0, dtype=np.float32)


def _palette(text: str) -> Palette:
    return Palette(*(hexadecimal(word) for word in text.split()))


# Zenith, middle, horizon, glow, disc, cloud, shade, far, near, water, accent.
LIGHTS: dict[str, tuple[Palette, ...]] = {
    "dawn": (
        _palette("4f74ac b9a2cc ffcfae ffdcb4 fff4e0 ffd8c8 9690bc a9a0c4 2c3450 3a5578 ffb48c"),
        _palette("5a86a8 a8c4cc ffe0c0 ffe4c0 fff8e8 fff0e0 9aa8bc a0b4bc 24404a 2f6474 ffc890"),
    ),
    "day": (
        _palette("2468bc 64a6e0 d4ecf4 fff4d8 fffdf0 ffffff 9cb6d0 8cb0cc 1f3f40 14587c ffd060"),
        _palette("2f7fc0 7cbfe0 e8f0e0 fff0c8 fffdf0 fffaf0 a4bccc 90b8b8 24463a 147484 ff8c6c"),
    ),
    "sunset": (
        _palette("27285e 9a4a80 ff9a50 ffb050 fff0c0 ffa080 5a4274 84507e 1a1430 3a2c5c ffb860"),
        _palette("30406e b0607c ffb060 ffc060 fff4cc ffb898 6c5478 7c5c78 1c1a2c 34385c ff7c58"),
        _palette("401c4c c03c5c ff8040 ff9c48 ffe8b0 ff8468 682c5c 783454 200c24 44204c ffc048"),
    ),
    "dusk": (
        _palette("141c48 4a4c94 e49aa0 f0b0a0 ffe8d8 b890b8 343868 545490 0c1028 20305c ffc070"),
        _palette("102844 306c84 f0b088 f8c090 fff0d8 90a0a8 284858 40687c 08182a 18405c ff9858"),
    ),
    "night": (
        _palette("050a20 0f1f4a 2c4a80 88a8e0 f4f4e8 52689a 121c3a 20345e 03060f 0a1838 ffc468"),
        _palette("080818 1a1a48 40407c a0a0e0 f8f0e0 60609a 16163a 2c2c5a 05050f 10123a ffb860"),
        _palette("041218 0c3044 246478 80c8d0 f0f8f0 487c8c 0c2834 184858 020a0e 06242e ffcc70"),
    ),
    "golden": (
        _palette("5c80a8 dcb888 ffdc90 ffd070 fffae0 fff0c8 b09480 b89c80 3a2c20 5c6c68 ffc040"),
        _palette("807c94 e8a870 ffe0a0 ffc868 fff8d8 ffe4b8 a88474 b08c74 341f1c 6a5c58 ff9c38"),
    ),
    "neon": (
        _palette("080420 2c0c5c c82c94 ff48b4 ffd8f0 8c38a4 180838 401870 06020f 100838 28e8f0"),
        _palette("040c24 0c2c64 2898c0 38d8ec e0ffff 3c5cac 08143c 14387c 02060f 081c44 ff3ca4"),
    ),
    "aurora": (
        _palette("040c20 0c2848 205c6c 58f0a8 f0fff4 40707c 0c2038 184050 02070d 061c2c 78ffc0"),
        _palette("080a24 181c54 2c5480 70e8c0 f4f4ff 50689c 101840 1c3660 03060f 0a1838 c888ff"),
    ),
}
"""Palettes by the light of the scene; chance picks among those of one light."""

NAMED: dict[str, Colours] = {
    name: hexadecimal(value)
    for name, value in {
        "red": "d42828", "crimson": "b01030", "orange": "f08020", "amber": "f0a020", "gold": "e8b030",
        "yellow": "f0d830", "lime": "a0d830", "green": "30a048", "emerald": "109060", "mint": "80e0b8",
        "teal": "109090", "turquoise": "30c8c0", "cyan": "20c8e8", "azure": "3090e8", "blue": "2858d0",
        "navy": "182868", "indigo": "402898", "violet": "7838c8", "purple": "8030b0", "lavender": "b098e0",
        "magenta": "d028a8", "pink": "f080b0", "rose": "e05880", "peach": "f8b090", "coral": "f07860",
        "brown": "805030", "beige": "d8c0a0", "white": "f4f4f4", "silver": "b8c0c8", "grey": "808890",
        "black": "101014",
    }.items()
}  # fmt: skip
"""What colour words mean."""


def pulled(palette: Palette, wanted: Sequence[str], pull: float | NDArray[np.float32]) -> Palette:
    """Move a palette towards named colours.

    One colour takes the whole scene; of several, the first takes the dark half and the last the
    light half. Hue and saturation follow the words; light and dark largely stay, so that the
    scene keeps its depth.

    Args:
        palette: To move.
        wanted: Names of `NAMED`.
        pull: 0 leaves it, 1 is as near as depth allows; one number, or one for each colour.
    """
    if not wanted:
        return palette
    targets = to_oklab(np.stack([NAMED[name] for name in wanted]))
    shares = np.broadcast_to(np.asarray(pull, np.float32), (len(fields(Palette)),))

    def change(labs: Colours) -> Colours:
        lightness = labs[:, 0]
        order = np.argsort(np.argsort(lightness, kind="stable"), kind="stable") / (len(lightness) - 1)
        place = order * (len(targets) - 1)
        target = np.stack(
            [np.interp(place, np.arange(len(targets)), targets[:, axis]) for axis in range(3)], axis=-1
        )
        # Near black and near white no strong colour can be shown: pale there instead of clipping.
        room = np.clip(1.25 - np.abs(lightness - 0.58) * 1.35, 0.35, 1.0)[:, None]
        moved = labs.copy()
        moved[:, 1:] += (target[:, 1:] * room - labs[:, 1:]) * shares[:, None]
        moved[:, 0] += (target[:, 0] - lightness) * 0.28 * shares
        return moved

    return palette.map(change)


def pushed(palette: Palette, avoided: Sequence[str]) -> Palette:
    """Move those colours of a palette away that come near an avoided one."""
    if not avoided:
        return palette
    targets = to_oklab(np.stack([NAMED[name] for name in avoided]))

    def change(labs: Colours) -> Colours:
        moved = labs.copy()
        for target in targets:
            hue = np.arctan2(target[2], target[1])
            own = np.arctan2(moved[:, 2], moved[:, 1])
            apart = np.angle(np.exp(1j * (own - hue)))
            # Within 70 degrees of the avoided hue, turn to the nearer edge of that range.
            limit = np.deg2rad(70.0)
            near = np.clip(1.0 - np.abs(apart) / limit, 0.0, 1.0)
            turned = own + np.where(apart >= 0.0, 1.0, -1.0) * near * limit
            chroma = np.hypot(moved[:, 1], moved[:, 2]) * (1.0 - 0.6 * near)
            moved[:, 1], moved[:, 2] = chroma * np.cos(turned), chroma * np.sin(turned)
        return moved

    return palette.map(change)


def turned(palette: Palette, degrees: float, chroma: float) -> Palette:
    """Turn all hues by an angle and scale all saturations."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))

    def change(labs: Colours) -> Colours:
        moved = labs.copy()
        moved[:, 1] = (labs[:, 1] * cosine - labs[:, 2] * sine) * chroma
        moved[:, 2] = (labs[:, 1] * sine + labs[:, 2] * cosine) * chroma
        return moved

    return palette.map(change)
