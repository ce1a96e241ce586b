"""One engine, many callers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest
from fakes import FakeEngine, flat_pixels

from inference.engine import PaintingFailedError, PictureRequest, Pixels, RejectedError, Timeline
from inference.errors import BusyError, StoppingError
from inference.scheduler import Painted, Scheduler, scheduling


def picture(prompt: str, *, steps: int = 1, seed: int = 7) -> Timeline:
    return Timeline.still(PictureRequest(prompt, width=64, height=64, steps=steps, seed=seed))


async def gather(*works: Awaitable[Painted]) -> list[Painted | BaseException]:
    return await asyncio.gather(*works, return_exceptions=True)


async def paint_together(
    scheduler: Scheduler, engine: FakeEngine, *wanted: tuple[object, Timeline]
) -> list[Painted | BaseException]:
    """Ask for pictures of callers while the engine is held, so that all wait when it goes on."""
    engine.gate.clear()
    first = asyncio.create_task(scheduler.paint(picture("first"), caller="first"))
    await engine.wait_until_stepping()
    rest = [asyncio.create_task(scheduler.paint(timeline, caller=caller)) for caller, timeline in wanted]
    await asyncio.sleep(0)  # Each asks before the engine goes on.
    engine.gate.set()
    await first
    return await gather(*rest)


async def test_a_picture_is_painted_by_its_timeline_and_time() -> None:
    engine = FakeEngine()
    timeline = picture("red", seed=11)
    async with scheduling(engine) as scheduler:
        painted = await scheduler.paint(timeline, 2.5, caller="a")

    assert (painted.pixels == flat_pixels(timeline.keyframes[0].request, 2.5)).all()
    assert painted.queued_s >= 0
    assert painted.painted_s > 0
    assert scheduler.megapixels_per_s("") > 0


async def test_the_engine_is_called_in_one_thread_of_its_own() -> None:
    engine = FakeEngine()
    async with scheduling(engine) as scheduler:
        await gather(*(scheduler.paint(picture(str(n), steps=3), caller=n) for n in range(5)))

    assert engine.threads == {"engine_0"}


async def test_pictures_of_all_callers_share_one_step() -> None:
    engine = FakeEngine(max_batch=4)
    async with scheduling(engine) as scheduler:
        await paint_together(scheduler, engine, *((name, picture(name)) for name in "abcd"))

    assert engine.batches == [("first",), ("a", "b", "c", "d")]


async def test_pictures_of_unlike_step_counts_share_steps() -> None:
    engine = FakeEngine(max_batch=4)
    async with scheduling(engine) as scheduler:
        await paint_together(
            scheduler, engine, ("a", picture("a", steps=3)), ("b", picture("b")), ("c", picture("c", steps=2))
        )

    assert [sorted(batch) for batch in engine.batches[1:]] == [["a", "b", "c"], ["a", "c"], ["a"]]


async def test_a_caller_with_many_pictures_does_not_delay_one_with_one() -> None:
    engine = FakeEngine(max_batch=1)
    greedy = [("greedy", picture(f"greedy {n}")) for n in range(5)]
    async with scheduling(engine) as scheduler:
        await paint_together(scheduler, engine, *greedy, ("modest", picture("modest")))

    assert engine.finished.index("modest") == 2  # After the one painted before and the greedy one's first.


async def test_callers_beyond_one_batch_take_turns_step_by_step() -> None:
    engine = FakeEngine(max_batch=2)
    async with scheduling(engine) as scheduler:
        await paint_together(scheduler, engine, *((name, picture(name, steps=2)) for name in "abc"))

    assert engine.batches[1:] == [("a", "b"), ("c", "a"), ("b", "c")]


async def test_one_callers_pictures_fill_the_room_that_others_leave_in_order() -> None:
    engine = FakeEngine(max_batch=3)
    one = [("a", picture(f"a{n}")) for n in range(3)]
    async with scheduling(engine) as scheduler:
        await paint_together(scheduler, engine, *one, ("b", picture("b")))

    assert engine.batches[1:] == [("a0", "b", "a1"), ("a2",)]


async def test_steps_and_previews_are_told() -> None:
    told: list[tuple[int, int, Pixels | None]] = []
    async with scheduling(FakeEngine()) as scheduler:
        await scheduler.paint(
            picture("a", steps=3), caller="a", on_step=lambda *step: told.append(step), previews=True
        )

    assert [(step, total) for step, total, _ in told] == [(1, 3), (2, 3), (3, 3)]
    assert [None if preview is None else preview.shape for _, _, preview in told] == [
        (32, 32, 3),
        (32, 32, 3),
        None,
    ]


async def test_a_failing_step_fails_its_pictures_only_and_the_service_goes_on() -> None:
    engine = FakeEngine(max_batch=2)
    engine.fail = lambda prompts: ValueError("out of memory") if "poison" in prompts else None
    wanted = [(name, picture(name)) for name in ("poison", "beside", "later")]
    async with scheduling(engine) as scheduler:
        poison, beside, later = await paint_together(scheduler, engine, *wanted)
        after = await scheduler.paint(picture("after"), caller="a")

    for lost in (poison, beside):
        assert isinstance(lost, PaintingFailedError)
        assert str(lost) == "the engine failed: ValueError: out of memory"
    assert isinstance(later, Painted)
    assert isinstance(after, Painted)


@pytest.mark.parametrize("prompt", ["fails to begin", "fails to finish"])
async def test_a_picture_that_fails_apart_from_its_batch_fails_alone(prompt: str) -> None:
    engine = FakeEngine(max_batch=2)
    async with scheduling(engine) as scheduler:
        failed, beside = await paint_together(
            scheduler, engine, ("a", picture(prompt)), ("b", picture("beside"))
        )

    assert isinstance(failed, PaintingFailedError)
    assert isinstance(beside, Painted)


async def test_an_engine_that_refuses_keeps_its_reason() -> None:
    engine = FakeEngine()
    engine.fail = lambda prompts: RejectedError("settings.width", "settings.width must be less")
    async with scheduling(engine) as scheduler:
        with pytest.raises(RejectedError) as refused:
            await scheduler.paint(picture("a"), caller="a")

    assert refused.value.field == "settings.width"


async def test_places_are_bounded_and_come_back() -> None:
    async with scheduling(FakeEngine(), max_waiting=2) as scheduler:
        with scheduler.admit(2), pytest.raises(BusyError) as refused, scheduler.admit(1):
            pytest.fail("a third place was given")
        with scheduler.admit(2):
            pass

    assert refused.value.retry_after_ms == 1000  # Nothing has been painted that could tell.


async def test_what_a_refused_caller_waits_follows_the_pace() -> None:
    scheduler = Scheduler(FakeEngine(max_batch=1), max_waiting=3)
    scheduler._pace.add(64 * 64, busy_s=0.5)

    with scheduler.admit(3), pytest.raises(BusyError) as refused, scheduler.admit(1):
        pytest.fail("a fourth place was given")

    assert refused.value.retry_after_ms == 1500


async def test_the_end_fails_what_waits_and_takes_nothing_more() -> None:
    engine = FakeEngine(max_batch=1)
    engine.gate.clear()
    async with scheduling(engine) as scheduler:
        running = asyncio.create_task(scheduler.paint(picture("running"), caller="a"))
        await engine.wait_until_stepping()
        waiting = asyncio.create_task(scheduler.paint(picture("waiting"), caller="b"))
        await asyncio.sleep(0)  # It asks.
        asyncio.get_running_loop().call_soon(engine.gate.set)

    outcomes = await gather(running, waiting)
    assert [type(outcome) for outcome in outcomes] == [StoppingError, StoppingError]
    with pytest.raises(StoppingError):
        await scheduler.paint(picture("late"), caller="a")


async def test_an_error_in_the_scheduler_itself_is_loud() -> None:
    def explode(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with scheduling(FakeEngine()) as scheduler:
            await scheduler.paint(picture("a"), caller="a", on_step=explode)
