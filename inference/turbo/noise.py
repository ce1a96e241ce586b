"""The noise that pictures begin with and get on their way: a pure function of seeds, shares and time.

Drawn on the CPU whatever the device, so that a seed means one picture everywhere, and in the order in
which diffusers' pipelines draw, so that it means theirs. Knows no device and no model.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .blend import fold, mix_noises


# A live picture has walked from one noise to an unlike one after this long, seconds: slow enough that its
# motion is a drift and not a flicker, fast enough to be seen.
DRIFT_PERIOD_S = 30.0

# What noises kept for the next frame may take, bytes: 64 KiB each at 512 x 512, two for each live canvas.
_CACHE_BYTES = 64 << 20

# Torch's CPU generator uses 32 bits of its seed. An odd step of about their golden section brings no turn of
# one seed near a turn of its neighbours (Knuth, The Art of Computer Programming, 6.4).
_SEEDS, _SPREAD = 2**32, 0x9E3779B9

Shape = tuple[int, int, int, int]
"""``(1, 4, H/8, W/8)``."""


class Stream:
    """The normal numbers of one seed, one tensor after another, each drawn when it is first asked for."""

    def __init__(self, seed: int, shape: Shape) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._shape = shape
        self._drawn = 0
        self._last: torch.Tensor | None = None

    def draw(self, index: int) -> torch.Tensor:
        """Return the tensor at a place, float32; the same again if it was the last one.

        Args:
            index: The last one asked for, or a later one.
        """
        assert index >= self._drawn - 1
        while self._drawn <= index or self._last is None:
            self._last = torch.randn(self._shape, generator=self._generator)
            self._drawn += 1
        return self._last


class NoiseCache:
    """First noises that live frames ask for again and again, the least recently used out."""

    def __init__(self, max_bytes: int = _CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[int, int, Shape], torch.Tensor] = OrderedDict()

    def draw(self, seed: int, index: int, shape: Shape) -> torch.Tensor:
        """Return what a new stream of this seed gives at a place. Never to be changed in place."""
        key = (seed, index, shape)
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return kept
        noise = Stream(seed, shape).draw(index)
        self._kept[key] = noise
        self._bytes += noise.nbytes
        while self._bytes > self._max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.nbytes
        return noise


@dataclass(frozen=True, slots=True)
class Seed:
    """One target's randomness.

    Attributes:
        seed: Of its request.
        before: Draws that its source takes before the first noise: 1 for an autoencoder that samples.
        between: Draws between the first noise and the steps': 1 for such an autoencoder and a mask, whose
            masked source diffusers encodes although a UNet of four channels never sees it.
        drifts: Whether its first noise moves with time.
    """

    seed: int
    before: int = 0
    between: int = 0
    drifts: bool = False


class PictureNoise:
    """The noise of one picture.

    Args:
        seeds: Of its targets, oldest first.
        shares: Of each, above 0; the last one's may be 0.
        time_s: Of the timeline.
        shape: Of the latents.
        cache: For the first noises.
    """

    def __init__(
        self, seeds: Sequence[Seed], shares: Sequence[float], time_s: float, shape: Shape, cache: NoiseCache
    ) -> None:
        self._seeds = tuple(seeds)
        self._shares = tuple(shares)
        self._time_s = time_s
        self._shape = shape
        self._cache = cache
        self._streams: tuple[Stream, ...] = ()

    def first(self) -> torch.Tensor:
        """Return the noise that the picture begins with."""
        noises = [self._drift(seed) for seed in self._seeds]
        return fold(noises, self._shares, mix_noises)

    def step(self, index: int) -> torch.Tensor:
        """Return the fresh noise of a step, which time does not change.

        Args:
            index: Counted from the picture's own first step; the last one asked for, or a later one.
        """
        if not self._streams:
            self._streams = tuple(Stream(seed.seed, self._shape) for seed in self._seeds)
        noises = [
            stream.draw(seed.before + 1 + seed.between + index)
            for stream, seed in zip(self._streams, self._seeds, strict=True)
        ]
        return fold(noises, self._shares, mix_noises)

    def _drift(self, seed: Seed) -> torch.Tensor:
        if not seed.drifts:
            # A still's is asked for once: a cached one would only push out somebody's next frame.
            return Stream(seed.seed, self._shape).draw(seed.before)
        whole, part = divmod(self._time_s / DRIFT_PERIOD_S, 1.0)
        start = self._corner(seed, math.floor(whole))
        return start if part == 0.0 else mix_noises(start, self._corner(seed, math.floor(whole) + 1), part)

    def _corner(self, seed: Seed, turn: int) -> torch.Tensor:
        """Return the noise that the walk passes at ``turn`` periods; at 0 the still's."""
        if turn == 0:
            return self._cache.draw(seed.seed, seed.before, self._shape)
        return self._cache.draw((seed.seed + turn * _SPREAD) % _SEEDS, 0, self._shape)
