"""Pictures made larger: by resampling always, by an engine's own network where it has one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from fakes import FakeEngine

from inference.engine import OutOfMemoryError, PictureRequest, Pixels
from inference.upscale import Upscaler, resample


REQUEST = PictureRequest("a barn", width=8, height=16)
PIXELS = np.full((16, 8, 3), 200, np.uint8)


class Network:
    """Makes pictures larger, and black."""

    name = "network"

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.error: Exception | None = None

    def upscale(self, pixels: Pixels, factor: int, prompt: str) -> Pixels:
        self.prompts.append(prompt)
        if self.error is not None:
            raise self.error
        return np.zeros((pixels.shape[0] * factor, pixels.shape[1] * factor, 3), np.uint8)


class UpscalingEngine(FakeEngine):
    """An engine that has such a network."""

    def __init__(self) -> None:
        super().__init__()
        self.upscaler = Network()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
        yield pool


async def directly(work: Callable[[], Pixels]) -> Pixels:
    return work()


@pytest.mark.parametrize("factor", [2, 4])
def test_a_resampled_picture_keeps_its_colours_and_grows(factor: int) -> None:
    larger = resample(PIXELS, factor)

    assert larger.shape == (16 * factor, 8 * factor, 3)
    assert larger.dtype == np.uint8
    assert larger.flags.c_contiguous
    assert larger.flags.writeable
    assert (larger == 200).all()


def test_edges_are_sharper_than_between_two_neighbours() -> None:
    edge = np.zeros((4, 8, 3), np.uint8)
    edge[:, 4:] = 255

    row = resample(edge, 2)[0, :, 0]

    assert row[0] == 0
    assert row[-1] == 255
    assert row[7] < 128 < row[8]


async def test_resampling_holds_up_neither_the_loop_nor_the_engine(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def note(pixels: Pixels, factor: int) -> Pixels:
        threads.append(threading.current_thread().name)
        return resample(pixels, factor)

    monkeypatch.setattr("inference.upscale.resample", note)
    upscaled = await Upscaler(pool, directly).upscale(PIXELS, 2, FakeEngine(), REQUEST)

    assert (upscaled.upscaler, upscaled.warnings) == ("lanczos", ())
    assert threads == ["pool_0"]


async def test_a_network_is_used_where_there_is_one_between_two_ticks(pool: ThreadPoolExecutor) -> None:
    ticks = []

    async def between_ticks(work: Callable[[], Pixels]) -> Pixels:
        ticks.append(work)
        return await asyncio.to_thread(work)

    upscaler, engine = Upscaler(pool, between_ticks), UpscalingEngine()
    still = await upscaler.upscale(PIXELS, 2, engine, REQUEST)
    live = await upscaler.upscale(PIXELS, 2, engine, replace(REQUEST, is_live=True))

    assert (still.upscaler, still.pixels.shape) == ("network", (32, 16, 3))
    # A network takes longer than a live frame.
    assert live.upscaler == "lanczos"
    assert len(ticks) == 1
    assert engine.upscaler.prompts == ["a barn"]


async def test_a_network_that_fails_is_replaced_and_the_caller_told(pool: ThreadPoolExecutor) -> None:
    engine = UpscalingEngine()
    engine.upscaler.error = OutOfMemoryError("the device is full")

    upscaled = await Upscaler(pool, directly).upscale(PIXELS, 2, engine, REQUEST)

    assert (upscaled.upscaler, upscaled.pixels.shape) == ("lanczos", (32, 16, 3))
    assert upscaled.warnings == ("network was not used: the device is full",)
