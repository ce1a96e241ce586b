"""What each style does to the colours before anything is painted.

Grading the few colours of a palette costs nothing; grading a picture's pixels would cost more than
painting them. What a style does to the pixels themselves is in `surface`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from . import palettes
from .palettes import Colours, Palette


@dataclass(frozen=True, slots=True)
class Look:
    """One style's treatment.

    Attributes:
        chroma: Factor on saturation.
        black: The lightness (OKLab) that black becomes.
        white: The lightness that white becomes.
        contrast: 1 keeps, above 1 hardens around the middle.
        tint: (a, b) in OKLab, added to every colour.
        pull: Colours that the palette moves towards, with `pull_by`.
        pull_by: How far, 0 to 1.
        grain: Of the surface, in steps of brightness.
        vignette: Darkness of the corners, 0 to 1.
    """

    chroma: float = 1.0
    black: float = 0.0
    white: float = 1.0
    contrast: float = 1.0
    tint: tuple[float, float] = (0.0, 0.0)
    pull: tuple[str, ...] = ()
    pull_by: float = 0.0
    grain: float = 2.4
    vignette: float = 0.30


PLAIN = Look()

LOOKS: dict[str, Look] = {
    "oil": Look(chroma=1.2, contrast=1.1, grain=9.0, vignette=0.22),
    "watercolor": Look(chroma=0.92, black=0.30, white=0.99, grain=9.0, vignette=0.0),
    "pixel-art": Look(chroma=1.22, contrast=1.12, grain=0.0, vignette=0.12),
    "neon": Look(
        chroma=1.2, contrast=1.2, white=0.74, pull=("indigo", "magenta", "cyan"), pull_by=0.72, vignette=0.4
    ),
    "noir": Look(chroma=0.0, contrast=1.5, tint=(0.0, 0.003), grain=13.0, vignette=0.6),
    "pastel": Look(chroma=0.62, black=0.46, white=0.98, contrast=0.95, grain=11.0, vignette=0.0),
    "ukiyo-e": Look(chroma=0.86, black=0.12, white=0.95, tint=(0.003, 0.022), grain=5.0, vignette=0.0),
    "vintage": Look(chroma=0.68, black=0.17, white=0.93, tint=(0.012, 0.034), grain=8.0, vignette=0.55),
}
"""Treatments by the names of `inference.styles.STYLES`."""


def of(style: str) -> Look:
    """Return a style's treatment; an empty name has none."""
    return LOOKS[style] if style else PLAIN


def grade(palette: Palette, look: Look) -> Palette:
    """Give a palette the colours of a style."""
    palette = palettes.pulled(palette, look.pull, look.pull_by)
    return palette.map(lambda labs: _graded(labs, look))


def grade_colours(colours: Colours, look: Look) -> Colours:
    """Give colours outside the palette (sRGB, ``(n, 3)``) those of a style."""
    return palettes.to_srgb(_graded(palettes.to_oklab(colours), replace(look, pull=())))


def _graded(labs: Colours, look: Look) -> Colours:
    graded = labs.copy()
    lightness = np.clip(0.55 + (labs[..., 0] - 0.55) * look.contrast, 0.0, 1.0)
    graded[..., 0] = look.black + lightness * (look.white - look.black)
    graded[..., 1] = labs[..., 1] * look.chroma + look.tint[0]
    graded[..., 2] = labs[..., 2] * look.chroma + look.tint[1]
    return graded
