"""Pictures made larger: by resampling always, by an engine's own network where it has one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest
from fakes import GATE_S, SOON_S, FakeClock, FakeEngine

from inference.engine import OutOfMemoryError, PictureRequest, Pixels, Timeline
from inference.scheduler import Caller, Work, scheduling
from inference.upscale import Upscaler, resample


T = TypeVar("T")

REQUEST = PictureRequest("a barn", width=8, height=16)
PIXELS = np.full((16, 8, 3), 200, np.uint8)


class Network:
    """Makes pictures larger, and black, each in `count` pieces."""

    name = "network"

    def __init__(self, factor: int = 2) -> None:
        self.factor = factor
        self.prompts: list[str] = []
        self.count = 4
        self.pieces = 0
        self.error: Exception | None = None
        self.spend: Callable[[], None] = lambda: None

    def upscale(self, pixels: Pixels, prompt: str) -> Iterator[Pixels | None]:
        self.prompts.append(prompt)
        for _ in range(self.count - 1):
            self.pieces += 1
            self.spend()
            yield None
        if self.error is not None:
            raise self.error
        self.pieces += 1
        self.spend()
        yield np.zeros((pixels.shape[0] * self.factor, pixels.shape[1] * self.factor, 3), np.uint8)


class UpscalingEngine(FakeEngine):
    """An engine that has such a network."""

    def __init__(self, factor: int = 2) -> None:
        super().__init__(max_batch=1)
        self.upscaler = Network(factor)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
        yield pool


async def directly(work: Callable[[], T], caller: Caller | None = None) -> T:
    return work()


def still(engine: FakeEngine, *, steps: int = 1) -> Work:
    return Work(engine, Timeline.still(PictureRequest("a", width=64, height=64, steps=steps)))


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


async def test_a_network_is_used_where_there_is_one_but_not_for_live_frames(pool: ThreadPoolExecutor) -> None:
    upscaler, engine = Upscaler(pool, directly), UpscalingEngine()
    still = await upscaler.upscale(PIXELS, 2, engine, REQUEST)
    live = await upscaler.upscale(PIXELS, 2, engine, replace(REQUEST, is_live=True))

    assert (still.upscaler, still.pixels.shape) == ("network", (32, 16, 3))
    # A network takes longer than a live frame.
    assert live.upscaler == "lanczos"
    assert engine.upscaler.prompts == ["a barn"]


@pytest.mark.parametrize(("own", "wanted"), [(2, 4), (4, 2)])
async def test_a_network_of_another_factor_paints_and_the_rest_is_resampled(
    pool: ThreadPoolExecutor, own: int, wanted: int
) -> None:
    upscaled = await Upscaler(pool, directly).upscale(PIXELS, wanted, UpscalingEngine(own), REQUEST)

    assert (upscaled.upscaler, upscaled.pixels.shape) == ("network", (16 * wanted, 8 * wanted, 3))
    assert not upscaled.pixels.any()


async def test_a_network_that_would_paint_too_much_is_not_used_and_the_caller_told(
    pool: ThreadPoolExecutor,
) -> None:
    upscaler, engine = Upscaler(pool, directly), UpscalingEngine(4)
    most, more = (np.zeros((8, width, 3), np.uint8) for width in (1024, 1032))

    assert (await upscaler.upscale(most, 2, engine, REQUEST)).upscaler == "network"
    upscaled = await upscaler.upscale(more, 2, engine, REQUEST)

    assert (upscaled.upscaler, upscaled.pixels.shape) == ("lanczos", (16, 2064, 3))
    assert upscaled.warnings == (
        "network was not used: it would paint 4128 x 32 pixels, and its longest side may be 4096",
    )
    assert len(engine.upscaler.prompts) == 1


async def enlarge_beside_steps(pool: ThreadPoolExecutor, step_s: float, piece_s: float) -> str:
    """Make a picture larger in 20 pieces beside one of 40 steps, and tell the order: "s" and "p"."""
    engine, clock = UpscalingEngine(), FakeClock()
    engine.upscaler.count = 20
    order = []

    def spend(what: str, seconds: float) -> None:
        order.append(what)
        clock.advance(seconds)

    engine.spend = lambda rows: spend("s", step_s)
    engine.upscaler.spend = lambda: spend("p", piece_s)
    async with scheduling(clock=clock) as scheduler:
        engine.gate.clear()
        painting = asyncio.create_task(scheduler.paint(still(engine, steps=40), caller=Caller()))
        await engine.wait_until_stepping()
        upscaler = Upscaler(pool, scheduler.between_ticks)
        enlarging = asyncio.create_task(upscaler.upscale(PIXELS, 2, engine, REQUEST, Caller()))
        await asyncio.sleep(0)  # It asks.
        engine.gate.set()
        await asyncio.gather(painting, enlarging)
    return "".join(order)


async def test_others_are_painted_between_two_pieces(pool: ThreadPoolExecutor) -> None:
    order = await enlarge_beside_steps(pool, 0.01, 0.01)

    assert "pp" not in order
    assert (order.count("s"), order.count("p")) == (40, 20)


async def test_a_picture_that_is_made_larger_takes_no_more_than_its_callers_share(
    pool: ThreadPoolExecutor,
) -> None:
    order = await enlarge_beside_steps(pool, 0.01, 0.1)

    # Ten steps to each piece, so that both have as much.
    assert order[: order.rindex("s")].count("p") <= 5
    assert order.count("p") == 20


async def test_ten_pictures_that_are_made_larger_leave_a_live_one_its_share(pool: ThreadPoolExecutor) -> None:
    engine, clock = UpscalingEngine(), FakeClock()
    engine.spend = lambda rows: clock.advance(0.001)
    engine.upscaler.spend = lambda: clock.advance(0.025)
    waited_s = []
    async with scheduling(clock=clock) as scheduler:
        upscaler = Upscaler(pool, scheduler.between_ticks)
        enlarging = [asyncio.create_task(upscaler.upscale(PIXELS, 2, engine, REQUEST)) for _ in range(10)]
        while not all(task.done() for task in enlarging):
            asked_at = clock()
            await scheduler.paint(still(engine), caller=Caller())
            waited_s.append(clock() - asked_at)
            await asyncio.sleep(0)  # Lets the others go on.

    # The piece that runs, and the frame.
    assert max(waited_s) <= 0.025 + 0.025 + 0.001 + 1e-9
    assert len(waited_s) >= 20


async def test_a_picture_that_nobody_waits_for_any_more_is_not_made_larger_to_the_end(
    pool: ThreadPoolExecutor,
) -> None:
    engine, begun = UpscalingEngine(), threading.Event()
    gate = threading.Event()

    def wait() -> None:
        begun.set()
        assert gate.wait(GATE_S)

    engine.upscaler.spend = wait
    async with scheduling() as scheduler:
        enlarging = asyncio.create_task(
            Upscaler(pool, scheduler.between_ticks).upscale(PIXELS, 2, engine, REQUEST)
        )
        assert await asyncio.to_thread(begun.wait, SOON_S)
        enlarging.cancel()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await enlarging
        await scheduler.paint(still(engine), caller=Caller())

    assert engine.upscaler.pieces == 1


async def test_a_network_that_fails_is_replaced_and_the_caller_told(pool: ThreadPoolExecutor) -> None:
    engine = UpscalingEngine()
    engine.upscaler.error = OutOfMemoryError("the device is full")

    upscaled = await Upscaler(pool, directly).upscale(PIXELS, 2, engine, REQUEST)

    assert (upscaled.upscaler, upscaled.pixels.shape) == ("lanczos", (32, 16, 3))
    assert upscaled.warnings == ("network was not used: the device is full",)
