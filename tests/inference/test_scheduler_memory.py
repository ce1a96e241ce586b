"""Memory that is too small for a step costs room, and pictures only where no smaller step is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from fakes import FakeClock, FakeEngine, FakeObserver

from inference.cost import LIMIT_S
from inference.engine import OutOfMemoryError, PictureRequest, Timeline
from inference.scheduler import Caller, Painted, Scheduler, Work, scheduling


def picture(engine: FakeEngine, prompt: str, *, steps: int = 1, guidance: float = 0.0) -> Work:
    request = PictureRequest(prompt, width=64, height=64, steps=steps, guidance_scale=guidance)
    return Work(engine, Timeline.still(request))


async def paint_all(scheduler: Scheduler, *works: Work) -> list[Painted | BaseException]:
    """Ask for pictures of as many callers at once."""
    return await asyncio.gather(
        *(scheduler.paint(work, caller=Caller()) for work in works), return_exceptions=True
    )


def memory_for(rows: int) -> Callable[[tuple[str, ...]], Exception | None]:
    return lambda prompts: OutOfMemoryError("the device is full") if len(prompts) > rows else None


async def test_a_step_that_is_too_large_is_tried_again_in_a_smaller_one() -> None:
    engine = FakeEngine(max_batch=4)
    engine.fail = memory_for(2)
    async with scheduling() as scheduler:
        painted = await paint_all(scheduler, *(picture(engine, name) for name in "abcd"))

    assert all(isinstance(picture, Painted) for picture in painted)
    assert [len(batch) for batch in engine.batches] == [4, 2, 2]
    assert sorted(engine.finished) == ["a", "b", "c", "d"]


async def test_the_room_comes_back_after_a_while() -> None:
    engine, clock = FakeEngine(max_batch=4), FakeClock()
    engine.fail = memory_for(2)
    async with scheduling(clock=clock) as scheduler:
        await paint_all(scheduler, *(picture(engine, name) for name in "abcd"))
        engine.fail = memory_for(4)
        clock.advance(LIMIT_S - 1.0)
        await paint_all(scheduler, *(picture(engine, name) for name in "abcd"))
        assert max(engine.padded[1:]) == 2
        clock.advance(1.0)
        await paint_all(scheduler, *(picture(engine, name) for name in "abcd"))

    assert engine.padded[-1] == 4


async def test_where_no_smaller_step_is_left_only_those_pictures_fail() -> None:
    engine, observer = FakeEngine(max_batch=4), FakeObserver()
    engine.fail = lambda prompts: OutOfMemoryError("the device is full") if "huge" in prompts else None
    async with scheduling(observer=observer) as scheduler:
        huge, *others = await paint_all(scheduler, *(picture(engine, name) for name in ("huge", "a", "b")))
        after = await paint_all(scheduler, picture(engine, "after"))

    assert isinstance(huge, OutOfMemoryError)
    assert str(huge) == "the device is full"
    assert all(isinstance(picture, Painted) for picture in (*others, *after))
    assert observer.given_up == ["failed"]


async def test_a_guided_picture_that_fits_alone_is_painted_alone() -> None:
    engine = FakeEngine(max_batch=4, is_guided=True)
    engine.fail = memory_for(1)
    async with scheduling() as scheduler:
        works = [picture(engine, name, guidance=7.0, steps=2) for name in "ab"]
        painted = await paint_all(scheduler, *works)

    assert all(isinstance(picture, Painted) for picture in painted)
    assert engine.padded == [4, 2, 2, 2, 2]


async def test_a_guided_picture_whose_rows_do_not_fit_together_is_painted_row_by_row() -> None:
    engine, clock = FakeEngine(max_batch=4, is_guided=True), FakeClock()
    engine.fail = lambda prompts: OutOfMemoryError("full") if engine.padded[-1] > 1 else None
    engine.spend = lambda rows: clock.advance(0.1 * rows)
    async with scheduling(clock=clock) as scheduler:
        works = [picture(engine, name, guidance=7.0, steps=2) for name in "ab"]
        painted = await paint_all(scheduler, *works)

        assert all(isinstance(picture, Painted) for picture in painted)
        assert engine.padded == [4, 2, 1, 1, 1, 1]
        # What a step of one row takes, of which each picture needed two.
        assert scheduler.step_times("fake") == {1: pytest.approx(0.1)}


async def test_a_guided_picture_that_does_not_fit_row_by_row_either_fails() -> None:
    engine = FakeEngine(max_batch=4, is_guided=True)
    engine.fail = lambda prompts: OutOfMemoryError("the device is full")
    async with scheduling() as scheduler:
        [painted] = await paint_all(scheduler, picture(engine, "a", guidance=7.0))

    assert isinstance(painted, OutOfMemoryError)
    assert engine.padded == [2, 1]


@pytest.mark.parametrize("steps", [1, 3])
async def test_runs_go_on_from_where_they_were(steps: int) -> None:
    engine = FakeEngine(max_batch=2)
    calls: list[int] = []

    def fail_once(prompts: tuple[str, ...]) -> Exception | None:
        calls.append(len(prompts))
        return OutOfMemoryError("the device is full") if len(calls) == 2 and len(prompts) == 2 else None

    engine.fail = fail_once
    told: list[int] = []
    async with scheduling() as scheduler:
        await asyncio.gather(
            scheduler.paint(
                picture(engine, "a", steps=steps),
                caller=Caller(),
                on_step=lambda step, *_: told.append(step),
            ),
            scheduler.paint(picture(engine, "b", steps=steps), caller=Caller()),
        )

    assert told == list(range(1, steps + 1))
    assert sorted(engine.finished) == ["a", "b"]
