"""Loaded models, many callers."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable

import pytest
from fakes import GATE_S, SOON_S, FakeClock, FakeEngine, FakeObserver, flat_pixels, until

from inference.engine import PaintingFailedError, PictureRequest, Pixels, RejectedError, Timeline
from inference.errors import BusyError, StoppingError
from inference.scheduler import Caller, Painted, Scheduler, Slot, Work, scheduling


def picture(engine: FakeEngine, prompt: str, *, steps: int = 1, seed: int = 7, guidance: float = 0.0) -> Work:
    return Work(
        engine,
        Timeline.still(
            PictureRequest(prompt, width=64, height=64, steps=steps, seed=seed, guidance_scale=guidance)
        ),
    )


async def gather(*works: Awaitable[Painted]) -> list[Painted | BaseException]:
    return await asyncio.gather(*works, return_exceptions=True)


async def paint_together(
    scheduler: Scheduler, engine: FakeEngine, *wanted: tuple[Caller, Work]
) -> list[Painted | BaseException]:
    """Ask for pictures of callers while the engine is held, so that all wait when it goes on."""
    engine.gate.clear()
    first = asyncio.create_task(scheduler.paint(picture(engine, "first"), caller=Caller()))
    await engine.wait_until_stepping()
    rest = [asyncio.create_task(scheduler.paint(work, caller=caller)) for caller, work in wanted]
    await asyncio.sleep(0)  # Each asks before the engine goes on.
    engine.gate.set()
    await first
    return await gather(*rest)


async def test_a_picture_is_painted_by_its_timeline_and_time() -> None:
    engine = FakeEngine()
    work = picture(engine, "long red", seed=11)
    async with scheduling() as scheduler:
        painted = await scheduler.paint(work, 2.5, caller=Caller())

    assert (painted.pixels == flat_pixels(work.timeline.keyframes[0].request, 2.5)).all()
    assert painted.work is work
    assert painted.queued_s >= 0
    assert painted.painted_s > 0
    assert painted.stage_s == {"denoise": 0.25}
    assert painted.warnings == ("the end of the prompt was not used",)
    assert scheduler.megapixels_per_s("fake") > 0
    assert scheduler.megapixels_per_s("tiny") == 0


async def test_the_engines_are_called_in_one_thread_of_their_own() -> None:
    engine, other = FakeEngine(), FakeEngine("tiny")
    async with scheduling() as scheduler:
        works = [picture(painter, str(n), steps=3) for n in range(5) for painter in (engine, other)]
        await gather(*(scheduler.paint(work, caller=Caller()) for work in works))

    assert engine.threads == other.threads == {"engine_0"}


async def test_pictures_of_all_callers_share_one_step() -> None:
    engine = FakeEngine(max_batch=4)
    async with scheduling() as scheduler:
        await paint_together(scheduler, engine, *((Caller(), picture(engine, name)) for name in "abcd"))

    assert engine.batches == [("first",), ("a", "b", "c", "d")]


async def test_pictures_of_unlike_step_counts_share_steps_and_no_step_is_padded_beyond_need() -> None:
    engine = FakeEngine(max_batch=4)
    async with scheduling() as scheduler:
        works = [picture(engine, "a", steps=3), picture(engine, "b"), picture(engine, "c", steps=2)]
        await paint_together(scheduler, engine, *((Caller(), work) for work in works))

    assert [sorted(batch) for batch in engine.batches[1:]] == [["a", "b", "c"], ["a", "c"], ["a"]]
    assert engine.padded == [1, 4, 2, 1]


async def test_a_caller_with_many_pictures_does_not_delay_one_with_one() -> None:
    engine = FakeEngine(max_batch=1)
    one = Caller()
    greedy = [(one, picture(engine, f"greedy {n}")) for n in range(5)]
    async with scheduling() as scheduler:
        await paint_together(scheduler, engine, *greedy, (Caller(), picture(engine, "modest")))

    assert engine.finished.index("modest") == 2  # After the one painted before and the greedy one's first.


async def test_callers_beyond_one_batch_take_turns_step_by_step() -> None:
    engine, clock = FakeEngine(max_batch=2), FakeClock()
    engine.spend = lambda rows: clock.advance(0.020)
    async with scheduling(clock=clock) as scheduler:
        works = [picture(engine, name, steps=2) for name in "abc"]
        await paint_together(scheduler, engine, *((Caller(), work) for work in works))

    assert engine.batches[1:] == [("a", "b"), ("c", "a"), ("b", "c")]


async def test_one_callers_pictures_fill_the_room_that_others_leave_in_order() -> None:
    engine = FakeEngine(max_batch=4)
    one = Caller()
    many = [(one, picture(engine, f"a{n}")) for n in range(4)]
    async with scheduling() as scheduler:
        await paint_together(scheduler, engine, *many, (Caller(), picture(engine, "b")))

    assert engine.batches[1:] == [("a0", "b", "a1", "a2"), ("a3",)]


async def test_guided_pictures_take_two_rows_of_a_step() -> None:
    engine = FakeEngine(max_batch=4, is_guided=True)
    async with scheduling() as scheduler:
        works = [picture(engine, name, guidance=guidance) for name, guidance in (("a", 7.0), ("b", 0.0))]
        works += [picture(engine, "c", guidance=7.0), picture(engine, "d")]
        await paint_together(scheduler, engine, *((Caller(), work) for work in works))

    assert engine.batches[1:] == [("a", "b", "d"), ("c",)]
    assert engine.padded[1:] == [4, 2]


async def test_a_picture_that_fits_into_no_step_fails_alone() -> None:
    engine = FakeEngine(max_batch=1, is_guided=True)
    async with scheduling() as scheduler:
        failed, painted = await gather(
            scheduler.paint(picture(engine, "wide", guidance=7.0), caller=Caller()),
            scheduler.paint(picture(engine, "beside"), caller=Caller()),
        )

    assert isinstance(failed, PaintingFailedError)
    assert str(failed) == "the picture takes 2 rows of a step of at most 1"
    assert isinstance(painted, Painted)


async def test_steps_and_previews_are_told() -> None:
    told: list[tuple[int, int, Pixels | None]] = []
    async with scheduling() as scheduler:
        await scheduler.paint(
            picture(FakeEngine(), "a", steps=3),
            caller=Caller(),
            on_step=lambda *step: told.append(step),
            previews=True,
        )

    assert [(step, total) for step, total, _ in told] == [(1, 3), (2, 3), (3, 3)]
    assert [None if preview is None else preview.shape for _, _, preview in told] == [
        (32, 32, 3),
        (32, 32, 3),
        None,
    ]


async def test_the_newest_target_of_a_slot_is_painted_by_an_earlier_credit() -> None:
    engine = FakeEngine(max_batch=4)
    slot = Slot(picture(engine, "first"))
    async with scheduling() as scheduler:
        engine.gate.clear()
        running = asyncio.create_task(scheduler.paint(slot, 0.1, caller=Caller()))
        await engine.wait_until_stepping()
        waiting = asyncio.create_task(scheduler.paint(slot, 0.2, caller=Caller()))
        await asyncio.sleep(0)  # It asks.
        slot.offer(picture(engine, "never seen"))
        slot.offer(newest := picture(engine, "newest"))
        engine.gate.set()
        painted = await gather(running, waiting)

    assert [result.work.timeline for result in painted if isinstance(result, Painted)] == [
        picture(engine, "first").timeline,
        newest.timeline,
    ]
    assert engine.finished == ["first", "newest"]
    assert slot.replaced == 1


async def test_a_slot_that_moves_to_another_model_shares_no_step_with_the_old_one() -> None:
    engine, other = FakeEngine(), FakeEngine("tiny")
    slot = Slot(picture(engine, "old"))
    async with scheduling() as scheduler:
        engine.gate.clear()
        first = asyncio.create_task(scheduler.paint(picture(engine, "first"), caller=Caller()))
        await engine.wait_until_stepping()
        moved = asyncio.create_task(scheduler.paint(slot, caller=Caller()))
        beside = asyncio.create_task(scheduler.paint(picture(engine, "beside"), caller=Caller()))
        await asyncio.sleep(0)  # They ask.
        slot.offer(picture(other, "new"))
        engine.gate.set()
        await gather(first, moved, beside)

    assert engine.batches == [("first",), ("beside",)]
    assert other.batches == [("new",)]


async def test_what_is_painted_is_asked_for_once_and_on_the_event_loop() -> None:
    engine = FakeEngine()
    asked: list[str] = []

    def take() -> Work:
        asked.append(threading.current_thread().name)
        return picture(engine, "a", steps=3)

    async with scheduling() as scheduler:
        await scheduler.paint(take, caller=Caller())

    assert asked == ["MainThread"]


async def test_a_failing_step_fails_its_pictures_only_and_the_service_goes_on() -> None:
    engine = FakeEngine(max_batch=2)
    engine.fail = lambda prompts: ValueError("broken") if "poison" in prompts else None
    recorder = FakeObserver()
    async with scheduling(observer=recorder) as scheduler:
        works = [picture(engine, name) for name in ("poison", "beside", "later")]
        outcomes = await paint_together(scheduler, engine, *((Caller(), work) for work in works))
        after = await scheduler.paint(picture(engine, "after"), caller=Caller())

    for lost in outcomes[:2]:
        assert isinstance(lost, PaintingFailedError)
        assert str(lost) == "the engine failed: ValueError: broken"
    assert isinstance(outcomes[2], Painted)
    assert isinstance(after, Painted)
    assert recorder.given_up == ["failed", "failed"]


@pytest.mark.parametrize("prompt", ["fails to begin", "fails to finish"])
async def test_a_picture_that_fails_apart_from_its_batch_fails_alone(prompt: str) -> None:
    engine = FakeEngine(max_batch=2)
    async with scheduling() as scheduler:
        failed, beside = await paint_together(
            scheduler, engine, (Caller(), picture(engine, prompt)), (Caller(), picture(engine, "beside"))
        )

    assert isinstance(failed, PaintingFailedError)
    assert isinstance(beside, Painted)


async def test_an_engine_that_refuses_keeps_its_reason() -> None:
    engine = FakeEngine()
    engine.fail = lambda prompts: RejectedError("settings.width", "settings.width must be less")
    async with scheduling() as scheduler:
        with pytest.raises(RejectedError) as refused:
            await scheduler.paint(picture(engine, "a"), caller=Caller())

    assert refused.value.field == "settings.width"


async def test_places_are_bounded_and_come_back() -> None:
    async with scheduling(max_waiting=2) as scheduler:
        with scheduler.admit(2), pytest.raises(BusyError) as refused, scheduler.admit(1):
            pytest.fail("a third place was given")
        with scheduler.admit(2):
            pass

    assert refused.value.retry_after_ms == 1000  # Nothing has been painted that could tell.


async def test_what_a_refused_caller_waits_is_what_the_steps_under_way_still_take() -> None:
    engine, clock = FakeEngine(max_batch=1), FakeClock()
    engine.spend = lambda rows: clock.advance(0.5)
    async with scheduling(max_waiting=3, clock=clock) as scheduler:
        await scheduler.paint(picture(engine, "known", steps=2), caller=Caller())
        engine.gate.clear()
        with scheduler.admit(3):
            tasks = [
                asyncio.create_task(scheduler.paint(picture(engine, "waits", steps=2), caller=Caller()))
                for _ in range(3)
            ]
            await engine.wait_until_stepping()
            with pytest.raises(BusyError) as refused, scheduler.admit(1):
                pytest.fail("a fourth place was given")
            engine.gate.set()
            await gather(*tasks)

    assert refused.value.retry_after_ms == 3000


async def test_the_bucket_follows_what_steps_cost() -> None:
    dear, clock = FakeEngine(max_batch=8), FakeClock()
    dear.spend = lambda rows: clock.advance(1.0 * rows)
    async with scheduling(clock=clock) as scheduler:
        callers = [(Caller(), picture(dear, str(n), steps=20)) for n in range(8)]
        await paint_together(scheduler, dear, *callers)

    # Rows that cost the same in every step are taken one by one once that is known; now and then it
    # is tried again.
    assert dear.padded[10:].count(1) >= 0.9 * len(dear.padded[10:])
    assert max(dear.padded[10:]) == 2
    assert scheduler.step_times("fake")[1] == pytest.approx(1.0)


async def test_a_caller_is_told_what_rate_it_can_have_beside_the_others() -> None:
    engine, clock = FakeEngine(max_batch=4), FakeClock()
    engine.spend = lambda rows: clock.advance(0.010 + 0.010 * rows)
    one, other = Caller(), Caller(3.0)
    async with scheduling(clock=clock) as scheduler:
        assert scheduler.sustainable_fps(one) == 0.0
        for _ in range(4):
            await scheduler.paint(picture(engine, "alone"), caller=one)
        alone_fps = scheduler.sustainable_fps(one)
        for _ in range(100):
            await paint_together(
                scheduler, engine, (one, picture(engine, "one")), (other, picture(engine, "other"))
            )
        together = [scheduler.sustainable_fps(caller) for caller in (one, other)]
        clock.advance(10.0)
        gone_fps = scheduler.sustainable_fps(one)

    assert alone_fps == pytest.approx(1 / 0.020)
    # Who has more than its part at the moment leaves some to the other, by weight at least.
    assert together[0] < together[1]
    assert together[0] < alone_fps
    assert gone_fps == 0.0


async def test_a_step_that_fails_is_no_measure_of_what_steps_take() -> None:
    engine, clock = FakeEngine(max_batch=1), FakeClock()
    engine.fail = lambda prompts: PaintingFailedError("broken") if "bad" in prompts else None
    engine.spend = lambda rows: clock.advance(0.001 if engine.batches[-1] == ("bad",) else 0.050)
    async with scheduling(clock=clock) as scheduler:
        for _ in range(3):
            with pytest.raises(PaintingFailedError):
                await scheduler.paint(picture(engine, "bad"), caller=Caller())
        failed = scheduler.step_times("fake")
        await scheduler.paint(picture(engine, "good"), caller=Caller())

        assert failed == {}
        assert scheduler.step_times("fake") == {1: pytest.approx(0.050)}


async def test_ticks_and_pictures_are_observed() -> None:
    engine, clock, recorder = FakeEngine(max_batch=4), FakeClock(), FakeObserver()
    engine.spend = lambda rows: clock.advance(0.125)
    async with scheduling(observer=recorder, clock=clock) as scheduler:
        works = [picture(engine, name) for name in "abc"]
        await paint_together(scheduler, engine, *((Caller(), work) for work in works))

    assert recorder.ticks == [("fake", 1, 1, 0.125, 0.0), ("fake", 3, 4, 0.125, 0.0)]
    assert recorder.painted == [("fake", 0.0, 0.125), *[("fake", 0.125, 0.125)] * 3]


async def test_work_between_two_ticks_is_done_in_the_engines_thread_with_a_tick_between_two_pieces() -> None:
    engine = FakeEngine(max_batch=1)
    done: list[tuple[str, int]] = []

    def work() -> int:
        done.append((threading.current_thread().name, len(engine.batches)))
        return len(done)

    async with scheduling() as scheduler:
        engine.gate.clear()
        painting = asyncio.create_task(scheduler.paint(picture(engine, "a", steps=4), caller=Caller()))
        await engine.wait_until_stepping()
        works = [asyncio.create_task(scheduler.between_ticks(work)) for _ in range(3)]
        await asyncio.sleep(0)  # They ask.
        engine.gate.set()
        assert await asyncio.gather(*works) == [1, 2, 3]
        await painting
        assert await scheduler.between_ticks(lambda: "idle") == "idle"

    assert done == [("engine_0", 1), ("engine_0", 2), ("engine_0", 3)]


async def test_errors_of_work_between_ticks_come_back_and_harm_nobody() -> None:
    def fail() -> None:
        raise ZeroDivisionError("mine")

    engine = FakeEngine()
    async with scheduling() as scheduler:
        with pytest.raises(ZeroDivisionError, match="mine"):
            await scheduler.between_ticks(fail)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await scheduler.between_ticks(lambda: next(iter(())))
        await scheduler.paint(picture(engine, "a"), caller=Caller())

    with pytest.raises(StoppingError):
        await scheduler.between_ticks(fail)


async def test_an_engine_that_nobody_holds_any_more_is_forgotten() -> None:
    engine = FakeEngine()
    kept = Caller()
    async with scheduling() as scheduler:
        await scheduler.paint(picture(engine, "a"), caller=kept)
        assert scheduler.step_times("fake") != {}
        forgotten = weakref.ref(engine)
        del engine

        # What brought the picture here ends soon, in the engine's thread, too.
        await until(lambda: gc.collect() >= 0 and forgotten() is None)
        assert scheduler.step_times("fake") == {}
        assert scheduler.megapixels_per_s("fake") > 0


async def test_the_end_fails_what_waits_and_takes_nothing_more() -> None:
    engine = FakeEngine(max_batch=1)
    engine.gate.clear()
    async with scheduling() as scheduler:
        running = asyncio.create_task(scheduler.paint(picture(engine, "running"), caller=Caller()))
        await engine.wait_until_stepping()
        waiting = asyncio.create_task(scheduler.paint(picture(engine, "waiting"), caller=Caller()))
        errand = asyncio.create_task(scheduler.between_ticks(lambda: None))
        await asyncio.sleep(0)  # They ask.
        asyncio.get_running_loop().call_soon(engine.gate.set)

    outcomes = await asyncio.gather(running, waiting, errand, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoppingError] * 3
    with pytest.raises(StoppingError):
        await scheduler.paint(picture(engine, "late"), caller=Caller())


async def test_work_that_runs_at_the_end_keeps_nobody_waiting() -> None:
    begun, gate = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert gate.wait(GATE_S)

    async with scheduling() as scheduler:
        errand = asyncio.create_task(scheduler.between_ticks(work))
        assert await asyncio.to_thread(begun.wait, SOON_S)
        asyncio.get_running_loop().call_soon(gate.set)

    with pytest.raises(StoppingError):
        await errand


async def test_an_error_in_the_scheduler_itself_is_loud_and_leaves_nobody_waiting() -> None:
    def explode(*_: object) -> None:
        raise ZeroDivisionError

    engine = FakeEngine(max_batch=1)
    waiting: list[asyncio.Task[Painted]] = []

    async def paint_two() -> None:
        async with scheduling() as scheduler:
            waiting.append(
                asyncio.create_task(scheduler.paint(picture(engine, "b", steps=3), caller=Caller()))
            )
            await scheduler.paint(picture(engine, "a", steps=3), caller=Caller(), on_step=explode)

    with pytest.raises(ZeroDivisionError):
        await paint_two()

    assert isinstance(waiting[0].exception(), StoppingError)
