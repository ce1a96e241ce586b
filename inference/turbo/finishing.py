"""Finished latents into pixels, so that nobody's bytes depend on who else is finished.

The tiny autoencoder takes live frames all at once, always at the tick's bucket; the full one takes
each picture alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from inference.engine import Pixels

from .autoencoder import Autoencoder, NotFiniteError
from .denoise import Stepped


OVERFLOW = "the numbers overflowed: the model is broken, or its precision too low (try --dtype float32)"


@dataclass(frozen=True, slots=True)
class Finished:
    """One decoded picture."""

    pixels: Pixels | None  # None: the autoencoder overflowed
    seconds: float  # its share of the decoding


def decode_finished(
    autoencoder: Autoencoder, stepped: Sequence[Stepped], bucket: int, clock: Callable[[], float]
) -> dict[int, Finished]:
    """Decode the runs whose last step this was.

    Args:
        autoencoder: The model's.
        stepped: What the step has made; none of it is committed yet.
        bucket: The step's.
        clock: What the decoding is timed by, seconds.

    Returns:
        By the identity of the run.

    Raises:
        RuntimeError: If torch fails.
    """
    ready = [made for made in stepped if made.is_finite and made.run.is_at_last_step]
    live = [made for made in ready if made.run.is_live and autoencoder.has_tiny]
    done = _decode(autoencoder, live, clock, tiny=True, bucket=bucket) if live else {}
    for made in ready:
        if id(made.run) not in done:
            done |= _decode(autoencoder, [made], clock, tiny=False, bucket=1)
    return done


def _decode(
    autoencoder: Autoencoder, group: Sequence[Stepped], clock: Callable[[], float], *, tiny: bool, bucket: int
) -> dict[int, Finished]:
    begun_at = clock()
    latents = torch.cat([made.latents for made in group])
    pictures = _decode_whole(autoencoder, latents, tiny=tiny, bucket=bucket)
    each_s = (clock() - begun_at) / len(group)
    return {id(made.run): Finished(pixels, each_s) for made, pixels in zip(group, pictures, strict=True)}


def _decode_whole(
    autoencoder: Autoencoder, latents: torch.Tensor, *, tiny: bool, bucket: int
) -> list[Pixels | None]:
    try:
        return list(autoencoder.decode(latents, tiny=tiny, bucket=bucket))
    except NotFiniteError as exc:
        broken = set(exc.rows)
    # Again without them, in the same bucket: the others' bytes are what they would have been.
    whole = [row for row in range(len(latents)) if row not in broken]
    pictures: list[Pixels | None] = [None] * len(latents)
    if whole:
        again = autoencoder.decode(latents[whole], tiny=tiny, bucket=bucket)
        for row, pixels in zip(whole, again, strict=True):
            pictures[row] = pixels
    return pictures
