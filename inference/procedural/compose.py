"""From requests to pictures: makes scenes, keeps them, and runs several targets together.

The one rule: a picture depends on its targets, their shares, the time, the size and the detail,
and on nothing that was painted before. The cache only saves time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.engine import PictureRequest, Pixels

from . import words
from .cache import ByteCache
from .layers import Geometry
from .noise import digest, generator
from .places import PAINTERS
from .scene import Parts, Scene
from .setting import make_setting
from .source import SourceBlend, dissolve, dissolve_mask
from .surface import Surface


Targets = Sequence[tuple[PictureRequest, float]]
"""Requests and their shares, oldest first, as `Timeline.targets` tells them."""


@dataclass(frozen=True, slots=True)
class _Painter:
    """A scene with its source, where it has one."""

    scene: Scene
    blend: SourceBlend | None
    # Held so that no other array can take their place in memory while the cache's key names them.
    held: tuple[object, ...]

    @property
    def nbytes(self) -> int:
        return self.scene.nbytes + (self.blend.nbytes if self.blend else 0)

    def paint(self, time_s: float) -> Pixels:
        pixels = self.scene.paint(time_s)
        return self.blend.apply(pixels) if self.blend else pixels


class Composer:
    """Paints targets at a size.

    Args:
        cache_bytes: What the kept scenes may take together.
    """

    def __init__(self, cache_bytes: int) -> None:
        self.painters: ByteCache[_Painter] = ByteCache(cache_bytes, lambda painter: painter.nbytes)

    def paint(self, targets: Targets, time_s: float, width: int, height: int, detail: int) -> Pixels:
        """Paint one picture.

        Args:
            targets: One or more.
            time_s: Of the timeline.
            width: Pixels.
            height: Pixels.
            detail: 0 (live) to 2.
        """
        painted: Pixels | None = None
        total = 0.0
        for request, share in targets:
            total += share
            part = share / total
            # Below half a step of brightness nobody can see it, and it need not be painted.
            if painted is not None and part < 1.0 / 512.0:
                continue
            new = self._painter(request, width, height, detail).paint(time_s)
            if painted is None:
                painted = new
            else:
                order = dissolve_mask(digest("dissolve", request.prompt), width, height)
                painted = dissolve(painted, new, part, order)
        assert painted is not None
        return np.ascontiguousarray(painted)

    def _painter(self, request: PictureRequest, width: int, height: int, detail: int) -> _Painter:
        source, mask = request.source, request.mask
        if request.strength >= 1.0 and mask is None:
            source = None
        key = (
            request.prompt,
            request.negative_prompt,
            request.style,
            request.guidance_scale,
            request.seed,
            (id(source), id(mask), request.strength) if source is not None else None,
            (width, height, detail),
        )
        return self.painters.get(key, lambda: _make_painter(request, source, width, height, detail))


def _make_painter(
    request: PictureRequest, source: Pixels | None, width: int, height: int, detail: int
) -> _Painter:
    brief = words.read(request.prompt, request.negative_prompt, request.seed)
    geometry = Geometry.of(width, height, detail)
    setting = make_setting(brief, request.style, request.guidance_scale, geometry, detail)
    parts = Parts()
    PAINTERS[brief.place](setting, parts)
    surface = Surface(request.style, width, height, brief.seed, detail)
    scene = Scene(geometry, parts, surface, setting.corners, brief.seed)
    if source is None:
        return _Painter(scene, None, ())
    blend = SourceBlend(
        source, request.mask, request.strength, setting.palette.tones(), (width, height), brief.seed
    )
    return _Painter(scene, blend, (source, request.mask))


def reveal(picture: Pixels, progress: float, seed: int) -> Pixels:
    """Return a picture as it looks part of the way: coarse and noisy first, itself at the end.

    Args:
        picture: The small finished estimate.
        progress: 0 to 1.
        seed: Of the noise.
    """
    if progress >= 1.0:
        return picture
    height, width = picture.shape[:2]
    coarse = min(1.0, 0.02 + 0.98 * progress**1.5)
    size = max(2, round(width * coarse)), max(2, round(height * coarse))
    blurred = Image.fromarray(picture).resize(size, Image.Resampling.BOX)
    smooth = np.asarray(blurred.resize((width, height), Image.Resampling.BICUBIC)).astype(np.float32)
    noise: NDArray[np.float32] = generator("reveal", seed).standard_normal(picture.shape, dtype=np.float32)
    left = 1.0 - progress
    smooth = smooth * (1.0 - 0.55 * left**2) + np.float32(128.0 * 0.55 * left**2)
    return np.clip(smooth + noise * np.float32(62.0 * left), 0.0, 255.0).astype(np.uint8)
