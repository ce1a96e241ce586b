"""What pictures begin from: sources as latents, masks as what is painted and what is kept.

A live picture asks for the same source at every frame, and even to recognise it by its bytes would cost a
millisecond: the very arrays of live requests are remembered here, for as long as somebody else holds them.
The `Autoencoder` remembers their contents, a still's too. Belongs to the engines' thread.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from inference.engine import PictureRequest, Pixels
from inference.procedural.source import fit

from .autoencoder import Autoencoder, Moments


# What was made of live pictures' arrays may take so much, latents and areas each, bytes. Latents take 128 KiB
# at 512 x 512; an area takes 1.3 MB there and 84 MB at 4096 x 4096.
_MAX_HELD_BYTES = 128 << 20


class _Sized(Protocol):
    @property
    def size_bytes(self) -> int: ...


Made = TypeVar("Made", bound=_Sized)


@dataclass(frozen=True, slots=True)
class Area:
    """What a mask says of a source."""

    painted: torch.Tensor  # (1, 1, h, w) bool on the device: which latents are painted anew
    source: Pixels  # of the picture's own size
    alpha: NDArray[np.uint16]  # (H, W, 1), 0 (the source's pixel) to 255 (the painted one)

    @property
    def size_bytes(self) -> int:
        """What it takes, on the device and beside it."""
        return int(self.painted.nbytes) + self.source.nbytes + self.alpha.nbytes

    def put_back(self, pixels: Pixels) -> Pixels:
        """Return the painted picture with the source's own pixels where the mask is black."""
        # At most 255 * 255 + 127: fits.
        mixed = (self.source * (255 - self.alpha) + pixels * self.alpha + 127) // 255
        return mixed.astype(np.uint8)


class Sources:
    """Makes latents and areas of requests.

    Args:
        autoencoder: Encodes.
        device: Where the areas go.
        scale: Pixels per latent.

    Attributes:
        hits: Sources of live pictures that were recognised by their very array.
    """

    def __init__(self, autoencoder: Autoencoder, *, device: str, scale: int) -> None:
        self.hits = 0
        self._autoencoder = autoencoder
        self._device = device
        self._scale = scale
        self._moments: _Remembered[Moments] = _Remembered()
        self._areas: _Remembered[Area] = _Remembered()

    def latents(self, source: Pixels, width: int, height: int, *, is_live: bool = False) -> Moments:
        """Return a source in latents, fitted to a size in pixels; see `Autoencoder.encode`.

        Args:
            source: Of any size.
            width: In pixels.
            height: Likewise.
            is_live: Whether it will be asked for again soon, and the tiny autoencoder is good enough.
        """
        if not is_live:
            return self._autoencoder.encode(source, width, height)
        made, is_known = self._moments.get(
            (source,),
            (width, height),
            lambda: self._autoencoder.encode(source, width, height, tiny=True),
        )
        self.hits += is_known
        return made

    def area(self, request: PictureRequest) -> Area | None:
        """Return what is kept of a request's source; None where all of it is painted."""
        source, mask = request.source, request.mask
        if source is None or mask is None:
            return None
        size = request.width, request.height
        if not request.is_live:
            return self._make(source, mask, size)
        area, _ = self._areas.get((source, mask), size, lambda: self._make(source, mask, size))
        return area

    def _make(self, source: Pixels, mask: Pixels, size: tuple[int, int]) -> Area:
        width, height = size
        alpha = np.asarray(Image.fromarray(fit(mask, width, height)).convert("L"))
        # The nearest pixel of the two-valued mask stands for each latent, as in diffusers.
        painted = torch.from_numpy((alpha >= 128).astype(np.float32))[None, None]
        latents = height // self._scale, width // self._scale
        painted = torch.nn.functional.interpolate(painted, size=latents) > 0.5
        return Area(
            painted=painted.to(self._device),
            source=fit(source, width, height),
            alpha=alpha[:, :, None].astype(np.uint16),
        )


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Made]):
    arrays: tuple[weakref.ref[Pixels], ...]
    made: Made

    @property
    def is_dead(self) -> bool:
        return any(array() is None for array in self.arrays)


class _Remembered(Generic[Made]):
    """What was made of arrays, by the arrays themselves; the least recently used out.

    The arrays are not held. What was made of those that nobody holds any more goes with the next one.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[int, ...], _Entry[Made]] = OrderedDict()
        self._held_bytes = 0

    def get(
        self, arrays: tuple[Pixels, ...], how: tuple[int, ...], make: Callable[[], Made]
    ) -> tuple[Made, bool]:
        """Return what was made of these arrays in this way, and whether it was there already."""
        key = (*map(id, arrays), *how)
        found = self._entries.get(key)
        # Another array may have come to lie at the same place.
        if found is not None and not found.is_dead:
            self._entries.move_to_end(key)
            return found.made, True
        self._forget_dead()
        made = make()
        self._entries[key] = _Entry(tuple(map(weakref.ref, arrays)), made)
        self._held_bytes += made.size_bytes
        while self._held_bytes > _MAX_HELD_BYTES:
            self._forget(next(iter(self._entries)))
        return made, False

    def _forget_dead(self) -> None:
        for key in [key for key, entry in self._entries.items() if entry.is_dead]:
            self._forget(key)

    def _forget(self, key: tuple[int, ...]) -> None:
        self._held_bytes -= self._entries.pop(key).made.size_bytes
