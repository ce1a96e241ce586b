"""A picture given up at any moment frees its place and leaves its neighbours alone."""

from __future__ import annotations

import asyncio
import time

import pytest
from fakes import FakeEngine, FakeObserver

from inference.engine import PictureRequest, Timeline
from inference.errors import CancelledByIdError, LateError
from inference.scheduler import Caller, Work, scheduling


def picture(engine: FakeEngine, prompt: str, *, steps: int = 1) -> Work:
    return Work(engine, Timeline.still(PictureRequest(prompt, width=64, height=64, steps=steps)))


async def test_given_up_before_it_is_begun_it_costs_nothing() -> None:
    engine, observer = FakeEngine(), FakeObserver()
    async with scheduling(observer=observer) as scheduler:
        task = asyncio.create_task(scheduler.paint(picture(engine, "gone"), caller=Caller()))
        await asyncio.sleep(0)  # It asks.
        task.cancel()
        await scheduler.paint(picture(engine, "stays"), caller=Caller())

        assert task.cancelled()
        assert scheduler.unfinished == 0
    assert engine.batches == [("stays",)]
    assert observer.given_up == ["cancelled"]


async def test_given_up_while_it_waits_behind_a_step() -> None:
    engine = FakeEngine(max_batch=1)
    engine.gate.clear()
    async with scheduling() as scheduler:
        stays = asyncio.create_task(scheduler.paint(picture(engine, "stays"), caller=Caller()))
        await engine.wait_until_stepping()
        gone = asyncio.create_task(scheduler.paint(picture(engine, "gone"), caller=Caller()))
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
    async with scheduling() as scheduler:

        def give_up(done: int, *_: object) -> None:
            if done == step:
                gone.cancel()

        stays = asyncio.create_task(
            scheduler.paint(picture(engine, "stays", steps=4), caller=Caller(), on_step=give_up)
        )
        gone = asyncio.create_task(scheduler.paint(picture(engine, "gone", steps=4), caller=Caller()))

        await stays
        assert gone.cancelled()
        assert scheduler.unfinished == 0
    assert engine.finished == ["stays"]
    # One step more may have been chosen before the cancelled task had its turn.
    assert step <= sum("gone" in batch for batch in engine.batches) <= step + 1


async def test_given_up_in_its_last_step_nobody_gets_it_and_it_is_not_finished() -> None:
    engine = FakeEngine(max_batch=2)
    engine.gate.clear()
    async with scheduling() as scheduler:
        stays = asyncio.create_task(scheduler.paint(picture(engine, "stays"), caller=Caller()))
        gone = asyncio.create_task(scheduler.paint(picture(engine, "gone"), caller=Caller()))
        await engine.wait_until_stepping()
        gone.cancel()
        await asyncio.sleep(0)  # It gives up while the step runs.
        assert scheduler.unfinished == 1
        engine.gate.set()

        await stays
        assert gone.cancelled()
    assert engine.finished == ["stays"]


async def test_an_absolute_limit_of_the_caller_ends_the_work() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with scheduling() as scheduler:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await scheduler.paint(picture(engine, "late", steps=100), caller=Caller())
        engine.gate.set()

        await scheduler.paint(picture(engine, "next"), caller=Caller())
    assert sum("late" in batch for batch in engine.batches) <= 1


async def test_cancelled_by_its_id_while_it_waits_and_between_two_steps() -> None:
    engine, observer = FakeEngine(max_batch=2), FakeObserver()
    engine.gate.clear()
    async with scheduling(observer=observer) as scheduler:
        stays = asyncio.create_task(
            scheduler.paint(picture(engine, "stays", steps=3), caller=Caller(), request_id="stays")
        )
        running = asyncio.create_task(
            scheduler.paint(picture(engine, "running", steps=3), caller=Caller(), request_id="gone")
        )
        await engine.wait_until_stepping()
        waiting = asyncio.create_task(
            scheduler.paint(picture(engine, "waiting"), caller=Caller(), request_id="gone")
        )
        await asyncio.sleep(0)  # It asks.

        assert scheduler.cancel("unheard of") == 0
        assert scheduler.cancel("gone") == 2
        assert scheduler.cancel("gone") == 0
        for gone in (running, waiting):
            with pytest.raises(CancelledByIdError, match="request gone was cancelled"):
                await gone
        assert scheduler.cancel("gone") == 0
        engine.gate.set()
        await stays
        assert scheduler.cancel("stays") == 0

    assert engine.batches == [("stays", "running"), ("stays",), ("stays",)]
    assert engine.finished == ["stays"]
    assert observer.given_up == ["cancelled", "cancelled"]


async def test_a_picture_without_an_id_cannot_be_cancelled_by_one() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with scheduling() as scheduler:
        stays = asyncio.create_task(scheduler.paint(picture(engine, "stays"), caller=Caller()))
        await engine.wait_until_stepping()

        assert scheduler.cancel("") == 0
        engine.gate.set()
        await stays


async def test_a_deadline_that_has_passed_costs_nothing() -> None:
    engine, observer = FakeEngine(), FakeObserver()
    async with scheduling(observer=observer) as scheduler:
        with pytest.raises(LateError):
            await scheduler.paint(
                picture(engine, "late"), caller=Caller(), deadline_at=time.monotonic() - 1.0
            )

    assert engine.batches == []
    assert observer.given_up == ["deadline"]


async def test_a_deadline_passes_while_it_waits_and_between_two_steps() -> None:
    engine, observer = FakeEngine(max_batch=2), FakeObserver()
    engine.gate.clear()
    soon_at = time.monotonic() + 0.02
    async with scheduling(observer=observer) as scheduler:
        stays = asyncio.create_task(
            scheduler.paint(picture(engine, "stays", steps=2), caller=Caller(), deadline_at=soon_at + 1000.0)
        )
        running = asyncio.create_task(
            scheduler.paint(picture(engine, "running", steps=9), caller=Caller(), deadline_at=soon_at)
        )
        await engine.wait_until_stepping()
        waiting = asyncio.create_task(
            scheduler.paint(picture(engine, "waiting"), caller=Caller(), deadline_at=soon_at)
        )
        for late in (running, waiting):
            with pytest.raises(LateError):
                await late
        assert scheduler.unfinished == 1
        engine.gate.set()
        await stays

    assert engine.batches[1:] == [("stays",)]
    assert engine.finished == ["stays"]
    assert observer.given_up == ["deadline", "deadline"]


async def test_work_between_ticks_that_nobody_waits_for_is_not_begun() -> None:
    engine, done = FakeEngine(), []
    engine.gate.clear()
    async with scheduling() as scheduler:
        painting = asyncio.create_task(scheduler.paint(picture(engine, "a"), caller=Caller()))
        await engine.wait_until_stepping()
        gone = asyncio.create_task(scheduler.between_ticks(lambda: done.append("gone")))
        stays = asyncio.create_task(scheduler.between_ticks(lambda: done.append("stays")))
        await asyncio.sleep(0)  # They ask.
        gone.cancel()
        await asyncio.sleep(0)  # It gives up.
        engine.gate.set()
        await asyncio.gather(painting, stays)

    assert done == ["stays"]
