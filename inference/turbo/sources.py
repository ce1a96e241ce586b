"""What pictures begin from: sources as latents, masks as what is painted and what is kept.

A live picture asks for the same source at every frame, and even to recognise it by its bytes would cost a
millisecond: the very arrays of a request are remembered here, the `Autoencoder` remembers their contents.
Belongs to the engines' thread.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from inference.engine import PictureRequest, Pixels
from inference.procedural.source import fit

from .autoencoder import Autoencoder, Moments


# What the arrays that are remembered may take, bytes: a megabyte each at 512 x 512, 48 at 4096 x 4096.
_MAX_HELD_BYTES = 128 << 20

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Area:
    """What a mask says of a source."""

    painted: torch.Tensor  # (1, 1, h, w) bool on the device: which latents are painted anew
    source: Pixels  # of the picture's own size
    alpha: NDArray[np.uint16]  # (H, W, 1), 0 (the source's pixel) to 255 (the painted one)

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
        hits: Sources that were recognised by their very array.
    """

    def __init__(self, autoencoder: Autoencoder, *, device: str, scale: int) -> None:
        self.hits = 0
        self._autoencoder = autoencoder
        self._device = device
        self._scale = scale
        self._moments: _Remembered[Moments] = _Remembered()
        self._areas: _Remembered[Area] = _Remembered()

    def latents(self, source: Pixels, width: int, height: int, *, tiny: bool = False) -> Moments:
        """Return a source in latents, fitted to a size in pixels; see `Autoencoder.encode`."""
        made, is_known = self._moments.get(
            (source,),
            (width, height, tiny),
            lambda: self._autoencoder.encode(source, width, height, tiny=tiny),
        )
        self.hits += is_known
        return made

    def area(self, request: PictureRequest) -> Area | None:
        """Return what is kept of a request's source; None where all of it is painted."""
        source, mask = request.source, request.mask
        if source is None or mask is None:
            return None
        size = request.width, request.height
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


class _Remembered(Generic[Made]):
    """What was made of arrays, by the arrays themselves; the least recently used out."""

    def __init__(self) -> None:
        # The arrays are held: else another one might come to lie at the same place.
        self._made: OrderedDict[tuple[int, ...], tuple[tuple[Pixels, ...], Made]] = OrderedDict()
        self._held_bytes = 0

    def get(
        self, arrays: tuple[Pixels, ...], how: tuple[int, ...], make: Callable[[], Made]
    ) -> tuple[Made, bool]:
        """Return what was made of these arrays in this way, and whether it was there already."""
        key = (*map(id, arrays), *how)
        if (found := self._made.get(key)) is not None:
            self._made.move_to_end(key)
            return found[1], True
        made = make()
        self._made[key] = arrays, made
        self._held_bytes += _bytes_of(arrays)
        while self._held_bytes > _MAX_HELD_BYTES:
            _, (forgotten, _) = self._made.popitem(last=False)
            self._held_bytes -= _bytes_of(forgotten)
        return made, False


def _bytes_of(arrays: tuple[Pixels, ...]) -> int:
    return sum(array.nbytes for array in arrays)
