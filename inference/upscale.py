"""Finished pictures made larger: by an engine's own network where it has one, else by resampling.

Knows no request and no transport. A network runs in the engines' thread between two ticks, like all
that engines do; resampling runs in a thread of its own and holds nobody back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from PIL import Image

from inference.engine import Engine, EngineError, PictureRequest, Pixels


LANCZOS = "lanczos"


class Network(Protocol):
    """What makes pictures larger; an engine that has one offers it as its attribute `upscaler`.

    Attributes:
        name: What the metadata tells.
    """

    name: str

    def upscale(self, pixels: Pixels, factor: int, prompt: str) -> Pixels:
        """Make a finished picture 2 or 4 times larger. Runs in the engines' thread.

        Raises:
            OutOfMemoryError: If memory ran out.
            PaintingFailedError: If it failed.
        """


BetweenTicks = Callable[[Callable[[], Pixels]], Awaitable[Pixels]]
"""Runs something in the engines' thread between two ticks: `Scheduler.between_ticks`."""


@dataclass(frozen=True, slots=True)
class Upscaled:
    """A picture that was made larger, and by what."""

    pixels: Pixels
    upscaler: str
    warnings: tuple[str, ...] = ()


def resample(pixels: Pixels, factor: int) -> Pixels:
    """Make a picture so many times larger with Lanczos' filter.

    Args:
        pixels: ``(H, W, 3)``.
        factor: 1 or more.

    Returns:
        ``(H * factor, W * factor, 3)``.
    """
    height, width, _ = pixels.shape
    image = Image.fromarray(pixels).resize((width * factor, height * factor), Image.Resampling.LANCZOS)
    # A copy, writable like what engines paint: Pillow's own memory is not.
    return np.array(image, np.uint8)


class Upscaler:
    """Makes pictures larger, each in the best way that there is for it."""

    def __init__(self, pool: Executor, between_ticks: BetweenTicks) -> None:
        """Keep what is lent; its makers close it.

        Args:
            pool: Where pictures are resampled.
            between_ticks: Where an engine's own network runs.
        """
        self._pool = pool
        self._between_ticks = between_ticks

    async def upscale(self, pixels: Pixels, factor: int, engine: Engine, request: PictureRequest) -> Upscaled:
        """Make a finished picture so many times larger.

        A live frame is resampled always: a network takes longer than the frame itself. So is a
        picture whose network fails, with a warning.

        Cancellation:
            Gives the result up; what runs ends.
        """
        warnings: tuple[str, ...] = ()
        network: Network | None = getattr(engine, "upscaler", None)
        if network is not None and not request.is_live:
            try:
                work = partial(network.upscale, pixels, factor, request.prompt)
                return Upscaled(await self._between_ticks(work), network.name)
            except EngineError as error:
                warnings = (f"{network.name} was not used: {error}",)
        loop = asyncio.get_running_loop()
        larger = await loop.run_in_executor(self._pool, resample, pixels, factor)
        return Upscaled(larger, LANCZOS, warnings)
