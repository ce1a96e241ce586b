"""Painting from a picture: how much of it stays, and where.

A source is repainted in the scene's colours first, tone for tone, so that its shapes survive; the
further the strength goes, the more the scene itself takes over. All of it is baked: a live picture
pays one pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.engine import Pixels

from .noise import generator, sample, texture
from .palettes import Colours


def fit(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale and crop a picture so that it covers a size, keeping its middle."""
    rows, columns = image.shape[:2]
    scale = max(width / columns, height / rows)
    across, down = width / scale, height / scale
    left, top = (columns - across) / 2.0, (rows - down) / 2.0
    box = (left, top, left + across, top + down)
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC, box=box))


class SourceBlend:
    """Brings a scene's pictures and a source together at one strength.

    Args:
        source: ``(H, W, 3)`` uint8 of any size.
        mask: Of any size, one channel or three; white is painted. None paints everywhere.
        strength: Above 0 (the source, almost untouched) to 1 (the source is ignored).
        tones: 256 colours of the scene from dark to light.
        size: Width and height in pixels.
        seed: Of the brush.
    """

    def __init__(
        self,
        source: Pixels,
        mask: NDArray[np.uint8] | None,
        strength: float,
        tones: Colours,
        size: tuple[int, int],
        *,
        seed: int,
    ) -> None:
        width, height = size
        fitted = fit(source, width, height).astype(np.float32)
        repainted = _repaint(fitted, tones, seed)
        # Almost nothing at small strengths, everything at 1, and steadily more between.
        changed = strength**1.3
        new = changed * strength**2
        kept = np.full((height, width, 1), 1.0 - changed, np.float32)
        between = np.full((height, width, 1), changed - new, np.float32)
        fresh = np.full((height, width, 1), new, np.float32)
        if mask is not None:
            painted = fit(mask, width, height).astype(np.float32) / 255.0
            painted = painted.mean(axis=2, keepdims=True) if painted.ndim == 3 else painted[..., None]
            kept = 1.0 - painted + kept * painted
            between, fresh = between * painted, fresh * painted
        base = fitted * kept + repainted * between
        self._base = np.rint(base * 256.0).astype(np.uint16)
        share = np.rint(fresh * 256.0).astype(np.uint16)
        self._fresh = np.repeat(share, 3, axis=2)

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self._base.nbytes + self._fresh.nbytes

    def apply(self, pixels: Pixels) -> Pixels:
        """Return the picture with the source in it."""
        mixed = pixels * self._fresh
        # At most 255 * 256 together: the shares of base and picture sum to 1.
        np.add(mixed, np.minimum(self._base, np.uint16(65280) - mixed), out=mixed)
        mixed += 127
        mixed >>= 8
        return np.asarray(mixed, dtype=np.uint8)


def _repaint(source: Colours, tones: Colours, seed: int) -> Colours:
    """Return the source in the scene's colours, laid on with a broad brush."""
    height, width = source.shape[:2]
    light = source @ np.array([0.299, 0.587, 0.114], np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    scale = np.float32(340.0 / height)
    brush = sample(texture(seed ^ 51, 1.6), x * scale, y * scale * np.float32(2.2)) - 0.5
    index = np.clip(light + brush * 46.0, 0.0, 255.0).astype(np.intp)
    painted = tones.take(index, axis=0)
    # A third of the source's own hue keeps faces and leaves what they were.
    hue = source - light[..., None]
    return np.asarray(np.clip(painted + hue * 0.34, 0.0, 255.0), dtype=np.float32)


def dissolve_mask(seed: int, width: int, height: int) -> NDArray[np.float32]:
    """Return the order in which places change when one picture becomes another, 0 to 1.

    It is small: `dissolve` enlarges what it makes of it.
    """
    rows, columns = max(8, height // 8), max(8, width // 8)
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    scale = np.float32(210.0 / rows)
    noise = sample(texture(seed, 2.5), x * scale, y * scale)
    jitter = generator("dissolve", seed).random(noise.shape, dtype=np.float32)
    return np.asarray(np.clip(noise + (jitter - 0.5) * 0.02, 0.0, 1.0), dtype=np.float32)


def dissolve(first: Pixels, second: Pixels, share: float, order: NDArray[np.float32]) -> Pixels:
    """Let one picture run into another like wet colour.

    Args:
        first: What is there.
        second: What comes.
        share: 0 is the first, byte for byte; 1 is the second.
        order: From `dissolve_mask`.
    """
    if share <= 0.0:
        return first
    if share >= 1.0:
        return second
    soft = 0.45
    level = (share * (1.0 + 2.0 * soft) - soft - order) / soft
    alpha = np.clip(level * 0.5 + 0.5, 0.0, 1.0)
    alpha = alpha * alpha * (3.0 - 2.0 * alpha)
    height, width = first.shape[:2]
    small = Image.fromarray((alpha * 255.0).astype(np.uint8))
    mask = small.resize((width, height), Image.Resampling.BICUBIC)
    return np.array(Image.composite(Image.fromarray(second), Image.fromarray(first), mask))
