"""The pixels of what is done to every picture of a canvas: cropped, turned, coloured, pixelated, blurred.

Everything here runs in threads beside the event loop; Pillow lets the interpreter's lock go in all that
touches each pixel. Colours are one pass, whatever is done to them: brightness, contrast, saturation, hue
and tint are one matrix, and nothing is clipped between them. What is decoded at a reduced size is processed
at that size: whatever is measured in pixels of the picture shrinks with it.

The rule that must not be broken: a picture comes out in the size that `Processing.size_of` tells.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from server.streaming.processing import Processing, Tint


Matrix = NDArray[np.float64]

# How bright red, green and blue are: those of CSS's `saturate()` and `hue-rotate()`, so that a page may
# show beforehand what comes out.
LUMINANCE = np.array([0.213, 0.715, 0.072])
# The mean is taken of a copy whose shorter side has about so many pixels.
_MEAN_SIDE_PX = 128
# The most that a picture is reduced by before it is blurred; a pixel of the copy is no larger than the
# radius. An edge from black to white comes out within 6 of 255 of what it should be, and within 3 without.
_MOST_REDUCED = 16

_T = Image.Transpose
# By quarter turns clockwise, and whether left becomes right afterwards.
_TRANSPOSED = {
    (0, False): None,
    (1, False): _T.ROTATE_270,
    (2, False): _T.ROTATE_180,
    (3, False): _T.ROTATE_90,
    (0, True): _T.FLIP_LEFT_RIGHT,
    (1, True): _T.TRANSPOSE,
    (2, True): _T.FLIP_TOP_BOTTOM,
    (3, True): _T.TRANSVERSE,
}


def process(
    picture: Image.Image, processing: Processing, *, of_width: int, of_height: int, check: Callable[[], None]
) -> Image.Image:
    """Do everything, in the order in which `Processing` names it.

    Args:
        picture: RGB, upright, perhaps decoded at a reduced size.
        processing: What to do.
        of_width: Of the whole picture, pixels.
        of_height: Of the whole picture, pixels.
        check: Called between two steps; what it raises ends the work.

    Returns:
        An RGB picture whose `info` is that of the given one.
    """
    info, scale = picture.info, picture.width / of_width
    if processing.crop is not None:
        picture = picture.crop(processing.crop.box(*picture.size))
    picture = _turn(picture, processing)
    check()
    picture = _colour(picture, processing)
    check()
    if processing.pixelate > 1:
        picture = _pixelate(picture, processing.pixelate, processing.size_of(of_width, of_height))
        check()
    if processing.blur > 0.0:
        picture = _blur(picture, processing.blur * scale)
    picture.info = info
    return picture


def _turn(picture: Image.Image, processing: Processing) -> Image.Image:
    """Rotate and mirror at once: both together are one of eight ways for a picture to lie."""
    # Upside down is half a turn of left for right.
    half = 2 if processing.mirror in ("vertical", "both") else 0
    is_flipped = processing.mirror in ("horizontal", "vertical")
    transposed = _TRANSPOSED[(processing.rotate // 90 + half) % 4, is_flipped]
    return picture if transposed is None else picture.transpose(transposed)


def _colour(picture: Image.Image, processing: Processing) -> Image.Image:
    """Change the colours in one pass, or in none."""
    # Of all pixels, so that a pattern of single ones does not deceive it.
    mean = _mean_luminance(picture) if processing.contrast != 1.0 else 0.0
    matrix = colour_matrix(processing, mean)
    if np.array_equal(matrix, np.eye(3, 4)):
        return picture
    factors, offsets = matrix[:, :3], matrix[:, 3]
    if np.array_equal(factors, np.diag(np.diag(factors))):
        # No channel depends on another one: a table is three times as fast.
        table = np.arange(256) * np.diag(factors)[:, np.newaxis] + offsets[:, np.newaxis]
        return picture.point(np.clip(np.floor(table + 0.5), 0, 255).astype(int).ravel().tolist())
    return picture.convert("RGB", tuple(matrix.ravel().tolist()))


def colour_matrix(processing: Processing, mean: float) -> Matrix:
    """Return what is done to a colour: three rows of factors of red, green and blue, and what is added.

    Args:
        processing: Of which brightness, contrast, saturation, hue and tint count, in this order.
        mean: Luminance of the picture, 0 to 255, before any of it.
    """
    factors, offsets = np.eye(3) * processing.brightness, np.zeros(3)
    if processing.contrast != 1.0:
        factors = factors * processing.contrast
        offsets = offsets + (1.0 - processing.contrast) * processing.brightness * mean
    for step in (_saturation(processing.saturation), _hue(processing.hue), _tint(processing.tint)):
        if step is not None:
            factors, offsets = step @ factors, step @ offsets
    return np.column_stack([factors, offsets])


def _saturation(factor: float) -> Matrix | None:
    if factor == 1.0:
        return None
    return factor * np.eye(3) + (1.0 - factor) * np.tile(LUMINANCE, (3, 1))


def _hue(degrees: float) -> Matrix | None:
    """Turn every hue, keeping the luminance.

    Source:
        Filter Effects Module Level 1, feColorMatrix, hueRotate.
    """
    if degrees == 0.0:
        return None
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    red, green, blue = LUMINANCE
    turns = np.array(
        [[-red, -green, 1.0 - blue], [0.143, 0.140, -0.283], [red - 1.0, green, blue]],
    )
    grey = np.tile(LUMINANCE, (3, 1))
    return np.asarray(grey + cosine * (np.eye(3) - grey) + sine * turns)


def _tint(tint: Tint | None) -> Matrix | None:
    if tint is None or tint.amount == 0.0:
        return None
    colour = np.array(list(bytes.fromhex(tint.color[1:]))) / 255.0
    return np.asarray((1.0 - tint.amount) * np.eye(3) + tint.amount * np.outer(colour, LUMINANCE))


def _mean_luminance(picture: Image.Image) -> float:
    factor = max(1, min(picture.size) // _MEAN_SIDE_PX)
    small: NDArray[Any] = np.asarray(picture.reduce(factor) if factor > 1 else picture)
    return float(small.reshape(-1, 3).mean(axis=0) @ LUMINANCE)


def _pixelate(picture: Image.Image, block_px: int, whole: tuple[int, int]) -> Image.Image:
    """Show the mean of each block; blocks fill the picture evenly, so that none is cut at its edges.

    Args:
        picture: The picture, perhaps of a reduced size.
        block_px: The side of a block, about, in pixels of the whole picture.
        whole: The whole picture's size.
    """
    columns, rows = (max(1, round(side / block_px)) for side in whole)
    if columns >= picture.width and rows >= picture.height:
        return picture
    blocks = min(columns, picture.width), min(rows, picture.height)
    return picture.resize(blocks, Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)


def _blur(picture: Image.Image, radius_px: float) -> Image.Image:
    """Blur as a Gaussian does whose standard deviation is the radius.

    Of what is left of it, a reduced copy holds everything: it is blurred by what reducing has not blurred
    yet. That takes half of the time from two pixels on, and a third from four on.
    """
    factor = 1
    while 2 * factor <= min(radius_px, _MOST_REDUCED) and 2 * factor < min(picture.size):
        factor *= 2
    if factor == 1:
        return picture.filter(ImageFilter.GaussianBlur(radius_px))
    # Variances add up, and that of the mean of so many pixels is there already; enlarging adds next to none.
    left = radius_px**2 - (factor**2 - 1) / 12.0
    small = picture.reduce(factor).filter(ImageFilter.GaussianBlur(math.sqrt(left) / factor))
    box = (0.0, 0.0, picture.width / factor, picture.height / factor)
    return small.resize(picture.size, Image.Resampling.BICUBIC, box)
