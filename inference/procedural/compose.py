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
from .palettes import Colours
from .places import PAINTERS
from .scene import Parts, Scene
from .setting import make_setting
from .source import SourceBlend, dissolve, dissolve_mask
from .surface import Surface


Targets = Sequence[tuple[PictureRequest, float]]
"""Requests and their shares, oldest first, as `Timeline.targets` tells them."""


@dataclass(frozen=True, slots=True)
class _Baked:
    """A scene with the tones that a source is repainted in."""

    scene: Scene
    tones: Colours
    seed: int


@dataclass(frozen=True, slots=True)
class _HeldBlend:
    """A source brought to a size and strength."""

    blend: SourceBlend
    # Held so that no other array can take their place in memory while the cache's key names them.
    source: Pixels
    mask: Pixels | None

    @property
    def nbytes(self) -> int:
        mask_bytes = 0 if self.mask is None else self.mask.nbytes
        return self.blend.nbytes + self.source.nbytes + mask_bytes


class Composer:
    """Paints targets at a size.

    Scenes and sources are kept apart: a stream of new sources under one prompt bakes no scene anew.

    Args:
        cache_bytes: What the kept scenes may take together; sources may take a quarter of it more.
    """

    def __init__(self, cache_bytes: int) -> None:
        self.scenes: ByteCache[_Baked] = ByteCache(cache_bytes, lambda baked: baked.scene.nbytes)
        self.blends: ByteCache[_HeldBlend] = ByteCache(cache_bytes // 4, lambda held: held.nbytes)

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
            new = self._paint_one(request, time_s, Geometry.of(width, height, detail), detail)
            if painted is None:
                painted = new
            else:
                order = dissolve_mask(digest("dissolve", request.prompt), width, height)
                painted = dissolve(painted, new, part, order)
        assert painted is not None
        return np.ascontiguousarray(painted)

    def _paint_one(self, request: PictureRequest, time_s: float, geometry: Geometry, detail: int) -> Pixels:
        key = (
            request.prompt,
            request.negative_prompt,
            request.style,
            request.guidance_scale,
            request.seed,
            (geometry.width, geometry.height, detail),
        )
        baked = self.scenes.get(key, lambda: _bake(request, geometry, detail))
        pixels = baked.scene.paint(time_s)
        source, mask = request.source, request.mask
        if source is None or (request.strength >= 1.0 and mask is None):
            return pixels
        blend_key = (key, id(source), id(mask), request.strength)
        held = self.blends.get(blend_key, lambda: _hold(request, source, baked, geometry))
        return held.blend.apply(pixels)


def _bake(request: PictureRequest, geometry: Geometry, detail: int) -> _Baked:
    brief = words.read(request.prompt, request.negative_prompt, request.seed)
    setting = make_setting(brief, request.style, request.guidance_scale, geometry, detail)
    parts = Parts()
    PAINTERS[brief.place](setting, parts)
    surface = Surface(request.style, geometry.width, geometry.height, brief.seed, detail)
    scene = Scene(geometry, parts, surface, setting.corners, brief.seed)
    return _Baked(scene, setting.palette.tones(), brief.seed)


def _hold(request: PictureRequest, source: Pixels, baked: _Baked, geometry: Geometry) -> _HeldBlend:
    size = (geometry.width, geometry.height)
    blend = SourceBlend(source, request.mask, request.strength, baked.tones, size, seed=baked.seed)
    return _HeldBlend(blend, source, request.mask)


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
