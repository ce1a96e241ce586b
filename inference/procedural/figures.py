"""Figures to cut out: trees, houses, boats, animals, grass and blossoms.

Each draws itself on a `Cutout` at a place and a size in heights.
"""

from __future__ import annotations

import math

import numpy as np

from .cutouts import Cutout, Points
from .palettes import Colours, mix


def pine(
    sheet: Cutout, x: float, foot: float, height: float, colour: Colours, *, rng: np.random.Generator
) -> None:
    """Draw a conifer with ragged branches."""
    tiers = 9 if height < 0.12 else 15
    lean = float(rng.uniform(-0.02, 0.02)) * height
    width = height * float(rng.uniform(0.15, 0.22))
    left: list[tuple[float, float]] = []
    right: list[tuple[float, float]] = []
    ragged = rng.uniform(0.72, 1.12, (2, tiers))
    for tier in range(tiers):
        part = (tier + 1) / tiers
        y = foot - height * (1.0 - part * 0.93)
        reach = width * part**0.85
        middle = x + lean * (1.0 - part)
        inner = reach * 0.42
        dip = height * 0.022
        left += [(middle - reach * ragged[0, tier], y + dip), (middle - inner, y - dip * 0.2)]
        right += [(middle + reach * ragged[1, tier], y + dip), (middle + inner, y - dip * 0.2)]
    sheet.polygon([(x + lean, foot - height), *right, *reversed(left)], colour)
    sheet.rectangle(x - height * 0.012, foot - height * 0.1, x + height * 0.012, foot + height * 0.02, colour)


def trunk(
    sheet: Cutout, x: float, foot: float, width: float, colour: Colours, *, rng: np.random.Generator
) -> None:
    """Draw a tall trunk that leaves the picture at the top, with a few boughs."""
    lean = float(rng.uniform(-0.05, 0.05))
    sheet.polygon(
        [
            (x - width * 0.5, foot),
            (x - width * 0.36 + lean, -0.02),
            (x + width * 0.36 + lean, -0.02),
            (x + width * 0.5, foot),
            (x + width * 1.0, foot + 0.03),
            (x - width * 1.0, foot + 0.03),
        ],
        colour,
    )
    for _ in range(int(rng.integers(2, 5))):
        y = float(rng.uniform(0.02, foot * 0.6))
        side = 1.0 if rng.uniform() < 0.5 else -1.0
        bough(
            sheet,
            x + lean * (1.0 - y / foot),
            y,
            side * 0.16,
            -0.07,
            width=width * 0.22,
            colour=colour,
            rng=rng,
            forks=3,
        )


def bough(
    sheet: Cutout,
    x: float,
    y: float,
    dx: float,
    dy: float,
    *,
    width: float,
    colour: Colours,
    rng: np.random.Generator,
    forks: int,
) -> None:
    """Draw a branch that forks."""
    bend = float(rng.uniform(-0.25, 0.25))
    middle = (x + dx * 0.5 + dy * bend, y + dy * 0.5 - dx * bend)
    end = (x + dx, y + dy)
    sheet.stroke([(x, y), middle, end], width, colour)
    if forks == 0:
        return
    for turn in (-0.5, 0.45):
        angle = turn * float(rng.uniform(0.6, 1.4))
        cosine, sine = math.cos(angle) * 0.66, math.sin(angle) * 0.66
        start = middle if turn < 0 else end
        bough(
            sheet,
            start[0],
            start[1],
            dx * cosine - dy * sine,
            dx * sine + dy * cosine,
            width=width * 0.6,
            colour=colour,
            rng=rng,
            forks=forks - 1,
        )


def birch(sheet: Cutout, x: float, foot: float, width: float, bark: Colours, *, dark: Colours) -> None:
    """Draw a birch trunk."""
    sheet.rectangle(x - width * 0.5, -0.02, x + width * 0.5, foot, bark)
    sheet.rectangle(x + width * 0.18, -0.02, x + width * 0.5, foot, mix(bark, dark, 0.45))
    rng = np.random.default_rng(abs(int(x * 1e6)))
    for _ in range(26):
        y = float(rng.uniform(0.0, foot))
        start = x - width * 0.5 + float(rng.uniform(0.0, 0.5)) * width
        sheet.rectangle(start, y, start + width * float(rng.uniform(0.15, 0.5)), y + 0.005, dark)


def palm(
    sheet: Cutout, x: float, foot: float, height: float, colour: Colours, *, rng: np.random.Generator
) -> None:
    """Draw a palm."""
    bend = float(rng.uniform(-0.3, 0.3)) * height
    spine = [(x + bend * part * part, foot - height * part) for part in np.linspace(0.0, 1.0, 9).tolist()]
    sheet.stroke(spine, height * 0.035, colour)
    top = spine[-1]
    for angle in np.linspace(-0.35, math.pi + 0.35, 9).tolist():
        reach = height * float(rng.uniform(0.34, 0.46))
        droop = height * 0.30
        curve = [
            (
                top[0] + math.cos(angle) * reach * p,
                top[1] - math.sin(angle) * reach * p * 0.75 + droop * p * p * 0.8,
            )
            for p in np.linspace(0.0, 1.0, 7).tolist()
        ]
        under = [
            (px, py + height * 0.055 * math.sin(math.pi * index / 6)) for index, (px, py) in enumerate(curve)
        ]
        sheet.polygon([*curve, *reversed(under)], colour)


def boat(sheet: Cutout, x: float, water: float, size: float, hull: Colours, *, sail: Colours) -> None:
    """Draw a small sailing boat."""
    sheet.polygon(
        [
            (x - size * 0.5, water - size * 0.13),
            (x + size * 0.58, water - size * 0.16),
            (x + size * 0.38, water + size * 0.04),
            (x - size * 0.38, water + size * 0.04),
        ],
        hull,
    )
    sheet.rectangle(x - size * 0.015, water - size * 1.15, x + size * 0.015, water - size * 0.12, hull)
    belly = [
        (x + size * (0.05 + 0.44 * math.sin(p * 1.75)), water - size * (1.1 - 0.88 * p))
        for p in np.linspace(0.0, 1.0, 8).tolist()
    ]
    sheet.polygon([*belly, (x + size * 0.05, water - size * 0.22)], sail)
    sheet.polygon(
        [(x - size * 0.05, water - size * 0.98), (x - size * 0.05, water - size * 0.24),
         (x - size * 0.42, water - size * 0.24)],
        mix(sail, hull, 0.25),
    )  # fmt: skip


def lighthouse(sheet: Cutout, x: float, foot: float, height: float, body: Colours, *, lamp: Colours) -> None:
    """Draw a lighthouse."""
    bands = 5
    for band in range(bands):
        low, high = band / bands, (band + 1) / bands
        colour = body if band % 2 else mix(body, lamp, 0.28)
        wide, slim = height * (0.12 - 0.05 * low), height * (0.12 - 0.05 * high)
        y0, y1 = foot - height * 0.78 * low, foot - height * 0.78 * high
        sheet.polygon([(x - wide, y0), (x + wide, y0), (x + slim, y1), (x - slim, y1)], colour)
    top = foot - height * 0.78
    sheet.rectangle(x - height * 0.095, top - height * 0.025, x + height * 0.095, top, body)
    sheet.rectangle(x - height * 0.055, top - height * 0.13, x + height * 0.055, top - height * 0.025, lamp)
    sheet.polygon(
        [(x - height * 0.08, top - height * 0.13), (x, top - height * 0.22),
         (x + height * 0.08, top - height * 0.13)],
        body,
    )  # fmt: skip


def cabin(sheet: Cutout, x: float, foot: float, size: float, wall: Colours, *, window: Colours) -> None:
    """Draw a small house with a lit window."""
    sheet.rectangle(x - size * 0.5, foot - size * 0.45, x + size * 0.5, foot + size * 0.1, wall)
    roof = mix(wall, np.zeros(3, np.float32), 0.35)
    sheet.polygon(
        [
            (x - size * 0.66, foot - size * 0.40),
            (x, foot - size * 0.92),
            (x + size * 0.66, foot - size * 0.40),
        ],
        roof,
    )
    sheet.rectangle(x + size * 0.22, foot - size * 0.98, x + size * 0.34, foot - size * 0.6, roof)
    sheet.rectangle(x - size * 0.30, foot - size * 0.30, x - size * 0.08, foot - size * 0.10, window)
    sheet.rectangle(
        x + size * 0.10, foot - size * 0.32, x + size * 0.28, foot + size * 0.1, mix(window, wall, 0.6)
    )


_FOX: Points = (
    (-0.50, -0.02), (-0.62, -0.16), (-0.60, -0.34), (-0.48, -0.42), (-0.40, -0.30), (-0.36, -0.18),
    (-0.30, -0.34), (-0.14, -0.48), (0.06, -0.56), (0.16, -0.68), (0.18, -0.92), (0.28, -0.80),
    (0.38, -0.80), (0.46, -0.92), (0.50, -0.70), (0.62, -0.58), (0.50, -0.52), (0.40, -0.46),
    (0.36, -0.28), (0.34, 0.0), (0.24, 0.0), (0.22, -0.20), (0.16, 0.0), (0.02, 0.0), (-0.10, -0.02),
)  # fmt: skip

_DEER: Points = (
    (-0.40, -0.58), (-0.36, -0.64), (-0.05, -0.64), (0.16, -0.70), (0.26, -0.94), (0.24, -1.02),
    (0.18, -1.04), (0.27, -1.05), (0.34, -1.04), (0.46, -0.94), (0.44, -0.90), (0.36, -0.90), (0.32, -0.66),
    (0.24, -0.50), (0.24, 0.0), (0.19, 0.0), (0.17, -0.36), (0.12, 0.0), (0.07, 0.0), (0.09, -0.42),
    (-0.22, -0.40), (-0.24, 0.0), (-0.29, 0.0), (-0.30, -0.28), (-0.36, 0.0), (-0.41, 0.0), (-0.38, -0.34),
)  # fmt: skip


def fox(sheet: Cutout, x: float, foot: float, size: float, colour: Colours, *, light: Colours) -> None:
    """Draw a sitting fox that looks to the right."""
    sheet.polygon([(x + px * size, foot + py * size) for px, py in _FOX], colour)
    tip = [(-0.62, -0.16), (-0.60, -0.34), (-0.48, -0.42), (-0.46, -0.30), (-0.54, -0.22)]
    sheet.polygon([(x + px * size, foot + py * size) for px, py in tip], light)
    sheet.polygon(
        [(x + px * size, foot + py * size) for px, py in [(0.42, -0.50), (0.62, -0.58), (0.40, -0.36)]], light
    )


def deer(sheet: Cutout, x: float, foot: float, size: float, colour: Colours) -> None:
    """Draw a standing stag."""
    sheet.polygon([(x + px * size, foot + py * size) for px, py in _DEER], colour)
    for side in (-1.0, 1.0):
        base = (x + 0.28 * size, foot - 1.03 * size)
        beam = [base, (base[0] + side * 0.12 * size, base[1] - 0.14 * size),
                (base[0] + side * 0.10 * size, base[1] - 0.34 * size)]  # fmt: skip
        sheet.stroke(beam, 0.026 * size, colour)
        sheet.stroke(
            [beam[1], (beam[1][0] + side * 0.12 * size, beam[1][1] - 0.12 * size)], 0.02 * size, colour
        )


def birds(
    sheet: Cutout, x: float, y: float, size: float, colour: Colours, *, rng: np.random.Generator
) -> None:
    """Draw a small flock in flight."""
    for _ in range(7):
        at_x, at_y = x + float(rng.normal(0.0, 0.07)), y + float(rng.normal(0.0, 0.03))
        wing = size * float(rng.uniform(0.6, 1.2))
        lift = wing * float(rng.uniform(0.15, 0.55))
        points = [
            (at_x - wing, at_y - lift * 0.6),
            (at_x - wing * 0.5, at_y - lift),
            (at_x, at_y),
            (at_x + wing * 0.5, at_y - lift),
            (at_x + wing, at_y - lift * 0.6),
        ]
        sheet.stroke(points, 0.0026, colour)


def grass(
    sheet: Cutout, foot: float, height: float, count: int, colours: list[Colours], *, rng: np.random.Generator
) -> None:
    """Draw blades along the whole width."""
    for x, tall, lean, pick in zip(
        rng.uniform(-sheet.half_width, sheet.half_width, count).tolist(),
        rng.uniform(0.35, 1.0, count).tolist(),
        rng.normal(0.0, 0.28, count).tolist(),
        rng.integers(0, len(colours), count).tolist(),
        strict=True,
    ):
        top = height * tall
        half = 0.0026 + height * 0.012
        sheet.polygon(
            [(x - half, foot), (x + lean * top * 0.35 - half * 0.6, foot - top * 0.6),
             (x + lean * top, foot - top), (x + lean * top * 0.35 + half * 0.6, foot - top * 0.6),
             (x + half, foot)],
            colours[pick],
        )  # fmt: skip


def blossom(
    sheet: Cutout,
    x: float,
    y: float,
    size: float,
    petal: Colours,
    *,
    heart: Colours,
    petals: int,
    turn: float,
) -> None:
    """Draw an open blossom seen a little from the side."""
    shadow = mix(petal, np.zeros(3, np.float32), 0.22)
    for ring, colour in ((1.0, shadow), (0.9, petal)):
        for index in range(petals):
            angle = turn + math.tau * index / petals
            sheet.ellipse(
                x + math.cos(angle) * size * 0.5 * ring,
                y + math.sin(angle) * size * 0.36 * ring,
                size * 0.44 * ring,
                size * 0.34 * ring,
                colour,
            )
    sheet.ellipse(x, y, size * 0.26, size * 0.20, heart)


def tulip(sheet: Cutout, x: float, y: float, size: float, petal: Colours) -> None:
    """Draw a closed, cup-shaped blossom."""
    deep = mix(petal, np.zeros(3, np.float32), 0.25)
    sheet.ellipse(x, y, size * 0.46, size * 0.56, deep)
    for offset in (-0.26, 0.26):
        sheet.polygon(
            [(x + offset * size - size * 0.24, y + size * 0.1), (x + offset * size * 1.3, y - size * 0.78),
             (x + offset * size + size * 0.24, y + size * 0.1), (x, y + size * 0.5)],
            mix(petal, deep, 0.4),
        )  # fmt: skip
    sheet.polygon(
        [(x - size * 0.28, y + size * 0.12), (x, y - size * 0.72), (x + size * 0.28, y + size * 0.12),
         (x, y + size * 0.52)],
        petal,
    )  # fmt: skip
