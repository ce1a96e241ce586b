"""What a picture is painted on and with: grain, paper, brush strokes, pixels, glow.

The last thing that happens to a picture. Textures are baked for a size; finishing takes one or two
passes over the bytes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.engine import Pixels

from . import looks
from .noise import Plane, generator, sample, texture


# Strokes are laid out on at most this many pixels and enlarged beyond.
_STROKE_PIXELS = 700_000


class Surface:
    """Finishes pictures of one size in one style.

    Args:
        style: A name of `inference.styles.STYLES`, or empty.
        width: Pixels.
        height: Pixels.
        seed: Of the texture.
        detail: 0 (live) to 2: finer strokes and pixels.
    """

    def __init__(self, style: str, width: int, height: int, seed: int, detail: int) -> None:
        self._style = style
        self._detail = detail
        self._width, self._height = width, height
        self._gather: NDArray[np.int32] | None = None
        self._texture: NDArray[np.int16] | None = None
        self._raster_size = _raster_size(width, height, detail)
        grain = looks.of(style).grain
        relief: Plane | None = None
        if style == "oil":
            self._gather, relief = _strokes(width, height, seed, 0.0092 / (1.0 + 0.3 * detail))
        elif style in ("watercolor", "ukiyo-e"):
            self._gather = _wobble(width, height, seed, 0.0028 if style == "watercolor" else 0.0016)
        if style in ("watercolor", "pastel"):
            relief = _paper(width, height, seed)
        if grain:
            self._texture = _grain(width, height, seed, grain, relief)
        self._border = _paper_border(width, height, seed) if style == "watercolor" else None
        self._levels = _levels(9) if style == "ukiyo-e" else None

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        parts = (self._gather, self._texture, self._border)
        return sum(part.nbytes for part in parts if part is not None)

    def finish(self, pixels: Pixels) -> Pixels:
        """Return the finished picture; the given one may be used up."""
        if self._style == "pixel-art":
            return self._raster(pixels)
        if self._style == "neon":
            pixels = _bloom(pixels)
        if self._gather is not None:
            planes = [np.ascontiguousarray(pixels[..., channel]).reshape(-1) for channel in range(3)]
            for channel, plane in enumerate(planes):
                pixels[..., channel] = plane.take(self._gather)
        if self._levels is not None:
            pixels = _ink(_flatten(pixels, self._levels), pixels)
        mixed = pixels.astype(np.int16)
        if self._border is not None:
            mixed += ((np.int16(250) - mixed) * self._border) >> 6
        if self._texture is not None:
            mixed += self._texture
        np.clip(mixed, 0, 255, out=mixed)
        return mixed.astype(np.uint8)

    def _raster(self, pixels: Pixels) -> Pixels:
        size = self._raster_size
        small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX)).astype(np.int16)
        # Ordered dithering between levels 18 apart: enough for a sky, few enough to be seen.
        rows, columns = np.arange(size[1]) % 4, np.arange(size[0]) % 4
        small += _BAYER[rows[:, None], columns[None, :]][..., None]
        small = np.clip((small // 18) * 18 + 4, 0, 255)
        image = Image.fromarray(small.astype(np.uint8))
        return np.array(image.resize((self._width, self._height), Image.Resampling.NEAREST))


_BAYER = np.array([[0, 9, 2, 11], [13, 4, 15, 6], [3, 12, 1, 10], [16, 7, 14, 5]], dtype=np.int16)


def _raster_size(width: int, height: int, detail: int) -> tuple[int, int]:
    """Return the coarse raster of pixel art: whole pixels where the size allows."""
    block = max(2, round(math.sqrt(width * height) / (112 + 24 * detail)))
    return max(8, round(width / block)), max(8, round(height / block))


def _grain(width: int, height: int, seed: int, strength: float, relief: Plane | None) -> NDArray[np.int16]:
    rng = generator("grain", seed)
    # One tile repeated: nobody finds the seam in noise, and 4K would take a quarter of a second.
    tile = rng.standard_normal((512, 512), dtype=np.float32)
    tile = (tile + np.roll(tile, 1, 1) + np.roll(tile, 1, 0)) * np.float32(0.58 * min(strength, 4.0) * 0.6)
    if strength > 12.0:
        tile *= 1.9
    repeats = (-(-height // 512), -(-width // 512))
    grain = np.tile(tile, repeats)[:height, :width]
    if relief is not None:
        grain = grain * np.float32(0.5) + relief * np.float32(strength)
    return np.repeat(np.rint(grain).astype(np.int16)[..., None], 3, axis=2)


def _paper(width: int, height: int, seed: int) -> Plane:
    """Return a paper's tooth, about -1 to 1."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    scale = np.float32(800.0 / max(height, 1))
    tooth = sample(texture(seed ^ 21, 1.0), x * scale * 1.3, y * scale * 1.3)
    return np.asarray((tooth - np.roll(tooth, 2, axis=(0, 1))) * 2.9, dtype=np.float32)


def _paper_border(width: int, height: int, seed: int) -> NDArray[np.int16]:
    """Return how much bare paper shows, 0 to 64, ragged like the edge of a wash."""
    x = np.arange(width, dtype=np.float32)[None, :] / height
    y = np.arange(height, dtype=np.float32)[:, None] / height
    aspect = width / height
    inside = np.minimum(np.minimum(x, aspect - x), np.minimum(y, 1.0 - y))
    inside = inside + (sample(texture(seed ^ 22, 1.8), x * 400.0, y * 400.0) - 0.5) * 0.09
    bare = np.clip((0.042 - inside) / 0.014, 0.0, 1.0)
    return np.asarray(np.rint(bare * 64.0), dtype=np.int16)[..., None]


def _wobble(width: int, height: int, seed: int, reach: float) -> NDArray[np.int32]:
    """Return from where each pixel is taken so that contours waver as if drawn by hand."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    scale = np.float32(420.0 / height)
    noise = texture(seed ^ 23, 1.9)
    down = (sample(noise, x * scale, y * scale) - 0.5) * (reach * 4 * height)
    across = (sample(noise, x * scale + 200.0, y * scale + 90.0) - 0.5) * (reach * 4 * height)
    return _flat_index(y + down, x + across, width, height)


def _strokes(width: int, height: int, seed: int, size: float) -> tuple[NDArray[np.int32], Plane]:
    """Lay out brush strokes.

    Returns:
        From where each pixel is taken (its stroke's middle), and the paint's relief, -1 to 1.
    """
    shrink = max(1.0, math.sqrt(width * height / _STROKE_PIXELS))
    w, h = max(8, round(width / shrink)), max(8, round(height / shrink))
    cell = max(2.0, size * h)
    table = _stroke_table(h, w, cell, seed)
    rows, columns = table.shape[1:]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    own = (np.floor(y / cell).astype(np.intp) + 1) * columns + np.floor(x / cell).astype(np.intp) + 1
    best = np.full((h, w), np.inf, np.float32)
    stroke = own.copy()
    bristle = np.zeros((h, w), np.float32)
    flat = table.reshape(5, -1)
    for neighbour in (-columns - 1, -columns, -columns + 1, -1, 0, 1, columns - 1, columns, columns + 1):
        index = np.clip(own + neighbour, 0, rows * columns - 1)
        dy, dx = y - flat[0].take(index), x - flat[1].take(index)
        cosine, sine = flat[2].take(index), flat[3].take(index)
        along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
        distance = (along * along * 0.16 + across * across) / (cell * cell) - flat[4].take(index)
        nearer = distance < best
        best = np.where(nearer, distance, best)
        stroke = np.where(nearer, index, stroke)
        bristle = np.where(nearer, across, bristle)
    gather = _flat_index(
        flat[0].take(stroke) * (height / h), flat[1].take(stroke) * (width / w), width, height
    )
    relief = np.sin(bristle * (9.0 / cell) + stroke % 7) * 0.35 + ((stroke * 2654435761) % 97) / 97.0 - 0.5
    relief = relief.astype(np.float32)
    relief += (relief - np.roll(relief, 1, axis=(0, 1))) * np.float32(0.5)
    if (h, w) != (height, width):
        down = np.arange(height) * h // height
        right = np.arange(width) * w // width
        gather, relief = gather[down][:, right], relief[down][:, right]
    return np.ascontiguousarray(gather), np.ascontiguousarray(relief)


def _stroke_table(height: int, width: int, cell: float, seed: int) -> Plane:
    """Return a grid of strokes: middle row and column, direction (cosine, sine), and how far on top."""
    shape = (math.ceil(height / cell) + 2, math.ceil(width / cell) + 2)
    rng = generator("strokes", seed)
    middle_y = (np.arange(shape[0])[:, None] - 0.5 + rng.uniform(-0.45, 0.45, shape)) * cell
    middle_x = (np.arange(shape[1])[None, :] - 0.5 + rng.uniform(-0.45, 0.45, shape)) * cell
    scale = 260.0 / height
    flow = sample(texture(seed ^ 24, 2.6), middle_x * scale, middle_y * scale)
    angle = (flow - 0.5) * 7.0 + rng.uniform(-0.35, 0.35, shape)
    over = rng.uniform(0.0, 1.3, shape)
    return np.stack([middle_y, middle_x, np.cos(angle), np.sin(angle), over]).astype(np.float32)


def _flat_index(row: Plane, column: Plane, width: int, height: int) -> NDArray[np.int32]:
    """Return where rows and columns lie in a flat plane, kept within the picture."""
    rows = np.clip(np.rint(row), 0, height - 1).astype(np.int32)
    columns = np.clip(np.rint(column), 0, width - 1).astype(np.int32)
    return np.asarray(rows * np.int32(width) + columns, dtype=np.int32)


def _levels(count: int) -> NDArray[np.uint8]:
    """Return a table that flattens 256 tones to a few, with soft steps between them."""
    tone = np.arange(256, dtype=np.float32) / 255.0 * (count - 1)
    base = np.floor(tone)
    part = np.clip((tone - base - 0.5) * 6.0 + 0.5, 0.0, 1.0)
    return np.asarray(np.rint((base + part) / (count - 1) * 255.0), dtype=np.uint8)


def _flatten(pixels: Pixels, levels: NDArray[np.uint8]) -> Pixels:
    """Bring each pixel's tone to a level and leave its hue alone."""
    tone = pixels[..., 1]
    step = levels.take(tone).astype(np.int16) - tone
    return np.asarray(np.clip(pixels + step[..., None], 0, 255), dtype=np.uint8)


def _ink(flat: Pixels, pixels: Pixels) -> Pixels:
    """Draw dark contours where the picture's tone jumps."""
    tone = pixels[..., 1].astype(np.int16)
    jump = np.zeros_like(tone)
    jump[1:] = np.abs(tone[1:] - tone[:-1])
    jump[:, 1:] += np.abs(tone[:, 1:] - tone[:, :-1])
    ink = np.clip((jump - 16) * 7, 0, 200).astype(np.int16)
    darker = (flat.astype(np.int16) * (np.int16(256) - ink)[..., None].astype(np.int32)) >> 8
    return darker.astype(np.uint8)


def _bloom(pixels: Pixels) -> Pixels:
    """Let what is bright shine over its surroundings."""
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels)
    small = image.resize((max(4, width // 16), max(4, height // 16)), Image.Resampling.BOX)
    light = np.asarray(small).astype(np.int16)
    light = np.clip(light - 96, 0, 120).astype(np.uint8)
    glow = np.asarray(Image.fromarray(light).resize((width, height), Image.Resampling.BILINEAR))
    return np.asarray(np.minimum(pixels.astype(np.uint16) + glow, 255), dtype=np.uint8)
