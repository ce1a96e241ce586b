"""Finished pictures made larger: by an engine's own network where it has one, else by resampling.

Knows no request and no transport. A network runs in the engines' thread piece by piece, each between
two ticks and charged to whoever wants the picture; resampling runs in a thread of its own and holds
nobody back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image

from inference.engine import Engine, EngineError, PictureRequest, Pixels
from inference.scheduling.fairness import Caller


T = TypeVar("T")

LANCZOS = "lanczos"

# What a network paints is at most so long, pixels a side: twice that takes four times the memory and the
# time, and is made smaller again.
MAX_NETWORK_SIDE_PX = 4096


class Network(Protocol):
    """What makes pictures larger; an engine that has one offers it as its attribute `upscaler`.

    Attributes:
        name: What the metadata tells.
        factor: How many times larger it paints.
    """

    name: str
    factor: int

    def upscale(self, pixels: Pixels, prompt: str) -> Iterator[Pixels | None]:
        """Make a finished picture larger, piece by piece. Runs in the engines' thread.

        Each `next` does one piece, so that pictures can be painted between two. Several pictures may
        be under way at once.

        Yields:
            None after every piece but the last, then the picture, about `factor` times larger.

        Raises:
            OutOfMemoryError: If memory ran out.
            PaintingFailedError: If it failed.
        """


class BetweenTicks(Protocol):
    """Runs something in the engines' thread between two ticks: `Scheduler.between_ticks`."""

    def __call__(self, work: Callable[[], T], caller: Caller | None = None, /) -> Awaitable[T]:
        """Run it in the caller's turn."""


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
    return _resize(pixels, width * factor, height * factor)


def _resize(pixels: Pixels, width: int, height: int) -> Pixels:
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
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

    async def upscale(
        self,
        pixels: Pixels,
        factor: int,
        engine: Engine,
        request: PictureRequest,
        caller: Caller | None = None,
    ) -> Upscaled:
        """Make a finished picture so many times larger.

        A live frame is resampled always: a network takes longer than the frame itself. So is a
        picture whose network fails or would paint too much, with a warning.

        Args:
            pixels: ``(H, W, 3)``.
            factor: 2 or 4.
            engine: What painted it; must stay loaded until this is done.
            request: What it shows.
            caller: Whose share of the engines a network takes; None: of somebody new.

        Returns:
            Exactly so many times larger.

        Cancellation:
            Gives the result up; the piece that runs ends, and no further one is begun.
        """
        network: Network | None = getattr(engine, "upscaler", None)
        if network is None or request.is_live:
            return Upscaled(await self._resample(pixels, factor), LANCZOS)
        reason = _refuse(network, pixels)
        if not reason:
            try:
                larger = await self._paint(network, pixels, request.prompt, caller or Caller())
                return Upscaled(await self._fit(larger, pixels, factor), network.name)
            except EngineError as error:
                reason = str(error)
        warning = f"{network.name} was not used: {reason}"
        return Upscaled(await self._resample(pixels, factor), LANCZOS, (warning,))

    async def _paint(self, network: Network, pixels: Pixels, prompt: str, caller: Caller) -> Pixels:
        pieces = network.upscale(pixels, prompt)
        larger: Pixels | None = None
        while larger is None:
            larger = await self._between_ticks(partial(next, pieces), caller)
        return larger

    async def _fit(self, larger: Pixels, pixels: Pixels, factor: int) -> Pixels:
        """Bring what a network painted to the size that was asked for."""
        height, width = (side * factor for side in pixels.shape[:2])
        if larger.shape[:2] == (height, width):
            return larger
        return await self._run(partial(_resize, larger, width, height))

    async def _resample(self, pixels: Pixels, factor: int) -> Pixels:
        return await self._run(partial(resample, pixels, factor))

    async def _run(self, work: Callable[[], Pixels]) -> Pixels:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _refuse(network: Network, pixels: Pixels) -> str:
    """Tell why a network is not used for a picture; empty if it is."""
    height, width = (side * network.factor for side in pixels.shape[:2])
    if max(width, height) <= MAX_NETWORK_SIDE_PX:
        return ""
    return f"it would paint {width} x {height} pixels, and its longest side may be {MAX_NETWORK_SIDE_PX}"
