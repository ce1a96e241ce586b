"""Between pixels and latents: the full autoencoder for stills, the tiny one for live frames.

Latents are always in the scale that the UNet works in. Bytes are made on the device, so that one
byte a colour crosses over instead of four. A row of a tiny decode is the same byte for byte wherever
it stands in its bucket and whoever shares it.
"""

from __future__ import annotations

import hashlib
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from inference.engine import PaintingFailedError, Pixels
from inference.procedural.source import fit

from .components import Components


# 500 sources of 512 pixels a side.
CACHE_BYTES = 128 * 2**20
# A preview's longer side, in pixels.
PREVIEW_PX = 256


class NotFiniteError(PaintingFailedError):
    """Decoded pictures hold values that are not numbers, as float16 does when it overflows.

    Attributes:
        rows: Which of those that were decoded together.
    """

    def __init__(self, rows: Sequence[int], count: int) -> None:
        super().__init__(
            f"the decoded picture is not a number in {len(rows)} of {count} rows; "
            "another --dtype may help (bfloat16 or float32)"
        )
        self.rows = tuple(rows)


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """A source in latents, as its autoencoder knows it. Shared with the cache: never changed in place."""

    mean: Any  # (1, 4, h, w) float32 on the device
    std: Any = None  # likewise, or None where the autoencoder gives latents without a spread

    @property
    def size_bytes(self) -> int:
        """What they take on the device."""
        tensors = (self.mean,) if self.std is None else (self.mean, self.std)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class Autoencoder:
    """Encodes sources and decodes latents. Belongs to the engines' thread.

    Attributes:
        hits: Sources that were remembered.
        misses: Sources that were encoded.
    """

    def __init__(self, components: Components, device: Any, *, cache_bytes: int = CACHE_BYTES) -> None:
        """Take the autoencoders of a pipeline, each in the precision of its own weights.

        One that overflows in float16 is read in float32.

        Args:
            components: Whose autoencoders are on the device by the time of the first call.
            device: A torch device or its name.
            cache_bytes: What all remembered sources may take together.
        """
        self.hits = 0
        self.misses = 0
        self._full = components.autoencoder
        self._tiny = components.tiny_autoencoder
        self._scale = components.scale
        self._device = torch.device(device)
        self._cache_bytes = cache_bytes
        self._cached_bytes = 0
        self._cache: OrderedDict[tuple[bytes, int, int, bool], Moments] = OrderedDict()
        self._digests: dict[int, tuple[weakref.ref[Pixels], bytes]] = {}

    @property
    def has_tiny(self) -> bool:
        """Whether live frames have an autoencoder of their own."""
        return self._tiny is not None

    def encode(self, pixels: Pixels, width: int, height: int, *, tiny: bool = False) -> Moments:
        """Bring a source into latents, remembering it.

        Args:
            pixels: ``(H, W, 3)`` uint8 of any size; it is scaled and cropped.
            width: Of the picture to paint, in pixels.
            height: Likewise.
            tiny: Whether the tiny autoencoder does it where there is one: a ninth of the work, for live
                pictures whose source changes often.
        """
        tiny = tiny and self.has_tiny
        key = (self._digest(pixels), width, height, tiny)
        found = self._cache.get(key)
        if found is not None:
            self.hits += 1
            self._cache.move_to_end(key)
            return found
        self.misses += 1
        made: Moments = self._encode(self._tiny if tiny else self._full, fit(pixels, width, height))
        self._remember(key, made)
        return made

    def sample(self, moments: Moments, generator: Any) -> Any:
        """Draw the latents of a source, (1, 4, h, w) float32 on the device.

        As diffusers does: an autoencoder with a spread takes as many normals from the generator as there
        are latents, one without takes none.

        Args:
            moments: From `encode`.
            generator: A torch generator on the CPU.
        """
        if moments.std is None:
            return moments.mean
        noise = torch.randn(moments.mean.shape, generator=generator, dtype=torch.float32)
        return moments.mean + moments.std * noise.to(self._device)

    def decode(self, latents: Any, tiny: bool, bucket: int) -> list[Pixels]:
        """Decode latents into pictures.

        Args:
            latents: ``(n, 4, h, w)`` float32 on the device.
            tiny: Whether the tiny autoencoder does it, in one call; the full one goes one by one.
            bucket: How many rows the tiny one's call carries, n or more.

        Raises:
            NotFiniteError: If a picture holds NaN or infinities.
        """
        if tiny and self._tiny is not None:
            rows = len(latents)
            if bucket > rows:
                latents = torch.cat([latents, latents[-1:].expand(bucket - rows, -1, -1, -1)])
            return _pixels(self._images(self._tiny, latents)[:rows])
        images = [self._images(self._full, latents[row : row + 1]) for row in range(len(latents))]
        return _pixels(torch.cat(images))

    def preview(self, latents: Any) -> Pixels:
        """Decode one picture small, in the tiny autoencoder where there is one.

        Args:
            latents: ``(1, 4, h, w)`` float32 on the device.

        Returns:
            A picture of at most `PREVIEW_PX` a side.

        Raises:
            NotFiniteError: If it holds NaN or infinities.
        """
        height, width = latents.shape[-2:]
        share = PREVIEW_PX / (self._scale * max(height, width))
        if share < 1.0:
            size = max(1, int(height * share)), max(1, int(width * share))
            # Latents are almost pixels: their mean decodes to a smaller picture, at a share of the work.
            latents = torch.nn.functional.interpolate(latents, size=size, mode="area")
        return _pixels(self._images(self._tiny or self._full, latents))[0]

    def forget(self) -> None:
        """Give the memory of the remembered sources back."""
        self._cache.clear()
        self._cached_bytes = 0

    def _digest(self, pixels: Pixels) -> bytes:
        """Return the digest of a picture, worked out once for each array: a live source comes every frame."""
        known = self._digests.get(id(pixels))
        if known is not None and known[0]() is pixels:
            return known[1]
        self._digests = {key: entry for key, entry in self._digests.items() if entry[0]() is not None}
        digest = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16)
        digest.update(repr(pixels.shape).encode())
        self._digests[id(pixels)] = (weakref.ref(pixels), digest.digest())
        return digest.digest()

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is never followed
    def _encode(self, autoencoder: Any, pixels: Pixels) -> Moments:
        image = torch.from_numpy(np.array(pixels)).to(self._device).permute(2, 0, 1)[None]
        image = (image.float() / 255.0 * 2.0 - 1.0).to(autoencoder.dtype)
        encoded = autoencoder.encode(image)
        shift, factor = self._scaling(autoencoder)
        if not hasattr(encoded, "latent_dist"):
            return Moments((encoded.latents.float() - shift) * factor)
        spread = encoded.latent_dist
        return Moments((spread.mean.float() - shift) * factor, spread.std.float() * factor)

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is never followed
    def _images(self, autoencoder: Any, latents: Any) -> Any:
        """Decode to float32 in [-1, 1], more or less, (n, 3, H, W)."""
        shift, factor = self._scaling(autoencoder)
        unscaled = latents.float() / factor + shift
        return autoencoder.decode(unscaled.to(autoencoder.dtype), return_dict=False)[0].float()

    def _scaling(self, autoencoder: Any) -> tuple[Any, Any]:
        """Return what latents are shifted by and then multiplied with."""
        config = autoencoder.config
        factor = float(config.scaling_factor)
        mean, std = config.get("latents_mean"), config.get("latents_std")
        if mean is None or std is None:
            return 0.0, factor
        shift, deviation = torch.tensor((mean, std), device=self._device).view(2, 1, -1, 1, 1)
        return shift, factor / deviation

    def _remember(self, key: tuple[bytes, int, int, bool], moments: Moments) -> None:
        if moments.size_bytes > self._cache_bytes:
            return
        self._cache[key] = moments
        self._cached_bytes += moments.size_bytes
        while self._cached_bytes > self._cache_bytes:
            _, forgotten = self._cache.popitem(last=False)
            self._cached_bytes -= forgotten.size_bytes


def _pixels(images: Any) -> list[Pixels]:
    """Make bytes of pictures, (n, 3, H, W) float32 in [-1, 1], on their device.

    Raises:
        NotFiniteError: If one holds what is not a number.
    """
    finite = torch.isfinite(images).flatten(1).all(dim=1)
    levels = (images * 0.5 + 0.5).clamp(0.0, 1.0).mul(255.0).round().to(torch.uint8)
    bytes_ = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    if not bool(finite.all()):
        raise NotFiniteError([row for row, good in enumerate(finite.tolist()) if not good], len(images))
    return [cast("Pixels", picture) for picture in bytes_]
