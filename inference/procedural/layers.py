"""Geometry of a picture and the layers that stand in it.

A picture is composed twice: everything soft (sky, water, distance, mist) in float planes of a
smaller working size, everything crisp (what stands near) in bytes at full size. Positions are in
units of the picture's height, so that every size shows the same scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.engine import Pixels

from .noise import Plane


Planes = NDArray[np.floating[Any]]
"""``(3, h, w)`` float32, display values 0 to 255: planar, because whole-plane arithmetic is quick."""

# Of the full size, by detail: live pictures trade a little sharpness of what is soft anyway.
_WORK_SCALES = (0.6, 0.75, 1.0)
# Above this the working size grows no further at live detail: 4K stays affordable.
_LIVE_WORK_PIXELS = 480_000


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes and coordinates of one picture.

    Attributes:
        width: Full width, pixels.
        height: Full height, pixels.
        work_width: Working width, pixels.
        work_height: Working height, pixels.
        aspect: Width over height; x runs from -aspect/2 to aspect/2.
        x: ``(1, work_width)``.
        y: ``(work_height, 1)``, 0 at the top to 1.
    """

    width: int
    height: int
    work_width: int
    work_height: int
    aspect: float
    x: Plane
    y: Plane

    @classmethod
    def of(cls, width: int, height: int, detail: int) -> Geometry:
        """Lay out a picture of a size at a detail of 0 (live) to 2."""
        scale = _WORK_SCALES[detail]
        if detail == 0:
            scale = min(scale, math.sqrt(_LIVE_WORK_PIXELS / (width * height)))
        work_width, work_height = max(16, round(width * scale)), max(16, round(height * scale))
        aspect = width / height
        x = ((np.arange(work_width) + 0.5) / work_width - 0.5) * aspect
        y = (np.arange(work_height) + 0.5) / work_height
        return cls(
            width,
            height,
            work_width,
            work_height,
            aspect,
            x.astype(np.float32)[None, :],
            y.astype(np.float32)[:, None],
        )

    @property
    def spread(self) -> float:
        """How many of something a width of this picture takes; bounded for extreme formats."""
        return min(self.aspect, 4.0)

    def work_row(self, y: float) -> int:
        """Return the working row of a height, within the picture."""
        return max(0, min(self.work_height, round(y * self.work_height)))


def sway(time_s: float) -> float:
    """Return where the camera is in its slow drift, -1 to 1; its periods share no multiple."""
    return 0.6 * math.sin(time_s * math.tau / 89.0) + 0.4 * math.sin(time_s * math.tau / 143.7 + 1.0)


# Of the picture's height: how far the nearest layer moves with the camera to either side.
SWAY_REACH = 0.016


def margin_px(height: int) -> int:
    """Return how far a layer must reach beyond both sides of the picture."""
    return math.ceil(height * SWAY_REACH) + 2


def vignette(x: Plane, y: Plane, strength: float, aspect: float) -> Plane:
    """Return how much light reaches each place, 1 in the middle."""
    across, down = x / (0.5 * aspect), (y - 0.5) * 2.0
    return np.asarray(1.0 - np.float32(strength) * (across * across + down * down) ** 1.5 / 2.83, np.float32)


class SoftLayer:
    """A baked layer of the working size: planar colour.

    Args:
        colour: ``(3, rows, w)`` float32, 0 to 255, already multiplied by its opacity; w is the working
            width and both margins.
        alpha: ``(rows, w)`` float32, 0 to 1.
        top: The first working row.
        parallax: How much of the camera's drift it makes, 0 to 1.
    """

    def __init__(self, colour: Planes, alpha: Plane, top: int, parallax: float) -> None:
        self._colour = np.ascontiguousarray(colour, dtype=np.float32)
        self._keep = np.ascontiguousarray(1.0 - alpha, dtype=np.float32)
        self._top = top
        self._parallax = parallax

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self._colour.nbytes + self._keep.nbytes

    def draw(self, air: Planes, time_s: float, height: int) -> None:
        """Put it over what is there; `height` is the working height of the whole picture."""
        target = air[:, self._top :][:, : self._keep.shape[0]]
        rows = target.shape[1]
        whole, part = _shift(time_s, height, self._parallax)
        wide = slice(whole, whole + target.shape[2])
        after = slice(whole + 1, whole + 1 + target.shape[2])
        keep = self._keep[:rows, wide]
        target *= keep + (self._keep[:rows, after] - keep) * part
        colour = self._colour[:, :rows, wide]
        target += colour
        target += (self._colour[:, :rows, after] - colour) * part


class CrispLayer:
    """A baked layer of the full size.

    Args:
        colour: ``(rows, w, 3)`` uint16, 0 to 255, already multiplied by its opacity; w is the width and
            both margins.
        alpha: ``(rows, w)`` uint8.
        top: The first row.
        parallax: How much of the camera's drift it makes, 0 to 1.
        bob: How far it rises and falls, of the picture's height (a boat).
    """

    def __init__(
        self,
        colour: NDArray[np.uint16],
        alpha: NDArray[np.uint8],
        top: int,
        parallax: float = 1.0,
        bob: float = 0.0,
    ) -> None:
        self._colour = colour
        keep = np.uint16(255) - alpha
        self._keep = np.repeat(keep[..., None], 3, axis=2)
        self._top = top
        self._parallax = parallax
        self._bob = bob

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self._colour.nbytes + self._keep.nbytes

    def draw(self, pixels: Pixels, time_s: float) -> None:
        """Put it over what is there."""
        height, width = pixels.shape[:2]
        whole, part = _shift(time_s, height, self._parallax)
        share = np.uint16(round(part * 256.0))
        keep, colour = (self._between(values, whole, width, share) for values in (self._keep, self._colour))
        rise = self._bob * height * math.sin(time_s * math.tau / 5.3) * (0.8 + 0.2 * math.sin(time_s / 7.0))
        down = math.floor(rise)
        if self._bob:
            share = np.uint16(round((rise - down) * 256.0))
            keep, colour = _between_rows(keep, share, 255), _between_rows(colour, share, 0)
        target = pixels[self._top + down :][: keep.shape[0]]
        keep, colour = keep[: target.shape[0]], colour[: target.shape[0]]
        keep = keep * target
        # (255 * byte + 255) >> 8 is the byte itself: what is wholly transparent stays untouched.
        keep += 255
        keep >>= 8
        keep += colour
        target[:] = keep

    @staticmethod
    def _between(values: NDArray[np.uint16], whole: int, width: int, share: np.uint16) -> NDArray[np.uint16]:
        here, after = values[:, whole : whole + width], values[:, whole + 1 : whole + 1 + width]
        if share == 0:
            return here
        # No value exceeds 255 and the shares sum to 256, so that 16 bits are enough.
        mixed = here * np.uint16(256 - int(share))
        mixed += after * share
        mixed >>= 8
        return mixed


def _between_rows(values: NDArray[np.uint16], share: np.uint16, edge: int) -> NDArray[np.uint16]:
    padded = np.pad(values, ((1, 1), (0, 0), (0, 0)), constant_values=edge)
    wide = padded.astype(np.uint32)
    return np.asarray((wide[1:] * (256 - int(share)) + wide[:-1] * int(share)) >> 8, dtype=np.uint16)


def _shift(time_s: float, height: int, parallax: float) -> tuple[int, float]:
    """Return the whole and the broken part of a layer's first visible column."""
    at = margin_px(height) - 1 + sway(time_s) * parallax * height * SWAY_REACH
    whole = math.floor(at)
    return whole, at - whole


def enlarge(air: Planes, dither: Plane, width: int, height: int) -> Pixels:
    """Bring the working planes to bytes of the full size.

    The dither, below one step of brightness, keeps smooth skies from showing bands.
    """
    ready = air + dither
    np.clip(ready, 0.0, 255.0, out=ready)
    planes = ready.astype(np.uint8)
    image = Image.merge("RGB", [Image.fromarray(plane) for plane in planes])
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.array(image)
