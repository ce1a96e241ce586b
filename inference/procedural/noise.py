"""Noise: tileable textures, lines, and the digests that seed them.

Textures are square, a power of two a side, and wrap around, so that a picture may drift over
them for hours without meeting an edge.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cache import ByteCache


Plane = NDArray[np.floating[Any]]
"""``(h, w)`` floating, float32 wherever it is read for each picture."""

# Texels a side: large enough that no tile is seen twice in a sky, small enough for a core's cache.
TEXTURE_SIZE = 512
_MASK = TEXTURE_SIZE - 1
_SHIFT = TEXTURE_SIZE.bit_length() - 1

# A scene takes three or four textures of 1 MiB.
_textures: ByteCache[Plane] = ByteCache(48 << 20, lambda texture: texture.nbytes)


def digest(*parts: object) -> int:
    """Return 64 bits that depend on every part and on nothing else."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def generator(*parts: object) -> np.random.Generator:
    """Return a random generator seeded by the digest of the parts."""
    return np.random.Generator(np.random.PCG64(digest(*parts)))


def silk(seed: int) -> Plane:
    """Return a texture like `texture` without fine grain: it can be enlarged and lit from a side.

    Its waves are 30 to 130 texels long, so that reading between texels leaves no facets.
    """
    return _textures.get((seed, "silk"), lambda: _make_texture(seed, 2.0, _silken))


def _silken(frequency: Plane) -> Plane:
    band = np.where(frequency < 4.0, 0.25, 1.0) * np.exp(-((frequency / 13.0) ** 2))
    return np.asarray(band, dtype=np.float32)


def texture(seed: int, roughness: float) -> Plane:
    """Return a tileable cloud-like texture.

    Args:
        seed: Which one.
        roughness: The exponent of its 1/f spectrum: 1 is coarse grain, 2 is clouds, 3 is silk.

    Returns:
        ``(TEXTURE_SIZE, TEXTURE_SIZE)`` float32, mean 0.5, nearly all of it in [0, 1].
    """
    return _textures.get((seed, roughness), lambda: _make_texture(seed, roughness))


def _make_texture(seed: int, roughness: float, band: Callable[[Plane], Plane] | None = None) -> Plane:
    white = generator("texture", seed).standard_normal((TEXTURE_SIZE, TEXTURE_SIZE), dtype=np.float32)
    waves = np.fft.irfft2(np.fft.rfft2(white) * _weight(roughness, band)).astype(np.float32)
    waves *= 0.19 / float(waves.std())
    waves += 0.5
    return np.asarray(waves, dtype=np.float32)


@functools.lru_cache(maxsize=16)
def _weight(roughness: float, band: Callable[[Plane], Plane] | None) -> Plane:
    """Return how strong each wave of a texture is; the painter uses about ten kinds."""
    rows = np.fft.fftfreq(TEXTURE_SIZE)[:, None] * TEXTURE_SIZE
    columns = np.fft.rfftfreq(TEXTURE_SIZE)[None, :] * TEXTURE_SIZE
    frequency = np.sqrt(rows * rows + columns * columns)
    # The lowest waves would make one half of the picture light and the other dark.
    weight = np.where(frequency < 2.0, 0.25, 1.0) / np.maximum(frequency, 1.0) ** (roughness * 0.5 + 0.5)
    if band is not None:
        weight *= band(frequency)
    weight[0, 0] = 0.0
    return np.asarray(weight, dtype=np.float32)


def sample(values: Plane, u: Plane, v: Plane) -> Plane:
    """Read a texture between its texels (bilinear).

    Args:
        values: From `texture`.
        u: Columns in texels, any sign, any shape that broadcasts with `v`.
        v: Rows in texels.
    """
    left = np.floor(u)
    top = np.floor(v)
    right_part = u - left
    low_part = v - top
    column = left.astype(np.intp)
    row = top.astype(np.intp)
    column &= _MASK
    row &= _MASK
    beside = (column + 1) & _MASK
    row <<= _SHIFT
    below = (row + TEXTURE_SIZE) & (TEXTURE_SIZE * TEXTURE_SIZE - 1)
    flat = values.reshape(-1)
    upper = flat.take(row + column)
    upper += (flat.take(row + beside) - upper) * right_part
    lower = flat.take(below + column)
    lower += (flat.take(below + beside) - lower) * right_part
    lower -= upper
    lower *= low_part
    upper += lower
    return upper


def turn(time_s: float, texels_per_s: float) -> float:
    """Return how far a texture has drifted, kept small so that float32 stays exact for weeks.

    It wraps with the texture: add it as it is. A multiple of it would jump where it wraps.
    """
    return (time_s * texels_per_s) % TEXTURE_SIZE


def line(rng: np.random.Generator, x: Plane, frequency: float, octaves: int, gain: float = 0.5) -> Plane:
    """Return a one-dimensional noise line.

    Args:
        rng: Draws the line; the same draws whatever `x` is.
        x: Where to read it, 1-D, about -2 to 2.
        frequency: Bends of the slowest octave per unit of `x`.
        octaves: How many octaves are summed.
        gain: What each octave has of the one before.

    Returns:
        float32 like `x`, about -1 to 1.
    """
    total = np.zeros_like(x)
    height = 1.0
    scale = 0.0
    for octave in range(octaves):
        knots = rng.uniform(-1.0, 1.0, 256).astype(np.float32)
        # The golden ratio keeps the octaves' knots apart, so that no bend repeats.
        at = x * np.float32(frequency * 2.0**octave) + np.float32(97.0 + octave * 0.618)
        base = np.floor(at)
        part = at - base
        part = part * part * (3.0 - 2.0 * part)
        index = base.astype(np.intp) & 255
        total += np.float32(height) * (knots[index] * (1.0 - part) + knots[(index + 1) & 255] * part)
        scale += height
        height *= gain
    return np.asarray(total / np.float32(scale), dtype=np.float32)


def smoothstep(low: float, high: float, values: Plane) -> Plane:
    """Return 0 below `low`, 1 above `high`, and an S between (low may exceed high)."""
    part = np.clip((values - np.float32(low)) * np.float32(1.0 / (high - low)), 0.0, 1.0)
    return np.asarray(part * part * (3.0 - 2.0 * part), dtype=np.float32)
