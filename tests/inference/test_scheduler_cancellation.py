"""A picture given up at any moment frees its place and leaves its neighbours alone."""

from __future__ import annotations

import asyncio

import pytest
from fakes import FakeEngine

from inference.engine import PictureRequest, Timeline
from inference.scheduler import scheduling


def picture(prompt: str, *, steps: int = 1) -> Timeline:
    return Timeline.still(PictureRequest(prompt, width=64, height=64, steps=steps))


async def test_given_up_before_it_is_begun_it_costs_nothing() -> None:
    engine = FakeEngine()
    async with scheduling(engine) as scheduler:
        task = asyncio.create_task(scheduler.paint(picture("gone"), caller="a"))
        await asyncio.sleep(0)  # It asks.
        task.cancel()
        await scheduler.paint(picture("stays"), caller="b")

        assert task.cancelled()
        assert scheduler.unfinished == 0
    assert engine.batches == [("stays",)]


async def test_given_up_while_it_waits_behind_a_step() -> None:
    engine = FakeEngine(max_batch=1)
    engine.gate.clear()
    async with scheduling(engine) as scheduler:
        stays = asyncio.create_task(scheduler.paint(picture("stays"), caller="a"))
        await engine.wait_until_stepping()
        gone = asyncio.create_task(scheduler.paint(picture("gone"), caller="b"))
        await asyncio.sleep(0)  # It asks.
        gone.cancel()
        await asyncio.sleep(0)  # It gives up.
        engine.gate.set()

        await stays
        assert gone.cancelled()
    assert engine.batches == [("stays",)]


@pytest.mark.parametrize("step", [1, 2, 3])
async def test_given_up_during_any_step_its_neighbour_is_painted(step: int) -> None:
    engine = FakeEngine(max_batch=2)
    async with scheduling(engine) as scheduler:

        def give_up(done: int, *_: object) -> None:
            if done == step:
                gone.cancel()

        stays = asyncio.create_task(scheduler.paint(picture("stays", steps=4), caller="a", on_step=give_up))
        gone = asyncio.create_task(scheduler.paint(picture("gone", steps=4), caller="b"))

        await stays
        assert gone.cancelled()
        assert scheduler.unfinished == 0
    assert engine.finished == ["stays"]
    # One step more may have been chosen before the cancelled task had its turn.
    assert step <= sum("gone" in batch for batch in engine.batches) <= step + 1


async def test_given_up_in_its_last_step_nobody_gets_it() -> None:
    engine = FakeEngine(max_batch=2)
    engine.gate.clear()
    async with scheduling(engine) as scheduler:
        stays = asyncio.create_task(scheduler.paint(picture("stays"), caller="a"))
        gone = asyncio.create_task(scheduler.paint(picture("gone"), caller="b"))
        await engine.wait_until_stepping()
        gone.cancel()
        await asyncio.sleep(0)  # It gives up while the step runs.
        assert scheduler.unfinished == 1
        engine.gate.set()

        await stays
        assert gone.cancelled()


async def test_an_absolute_limit_of_the_caller_ends_the_work() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with scheduling(engine) as scheduler:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await scheduler.paint(picture("late", steps=100), caller="a")
        engine.gate.set()

        await scheduler.paint(picture("next"), caller="b")
    assert sum("late" in batch for batch in engine.batches) <= 1
