"""The scheduler's parts, one by one."""

from __future__ import annotations

import asyncio
import statistics
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes import FakeClock, FakeEngine, FakeObserver, until
from structlog.testing import capture_logs

from inference.cost import CostModel, CostTable
from inference.engine import OutOfMemoryError, PaintingFailedError, PictureRequest, RejectedError, Timeline
from inference.errors import BusyError, StoppingError
from inference.scheduler import Caller, Slot, Work, scheduling
from inference.scheduling.accounts import Accounts
from inference.scheduling.admission import MAX_RETRY_MS, MIN_RETRY_MS, UNKNOWN_RETRY_MS, Admission
from inference.scheduling.batch import choose
from inference.scheduling.errands import Errands
from inference.scheduling.failures import Failures
from inference.scheduling.fairness import FairQueue
from inference.scheduling.jobs import Job
from inference.scheduling.ticks import Advance, Tick, run_tick


def picture(engine: FakeEngine, prompt: str, *, steps: int = 1, size: int = 64) -> Work:
    return Work(engine, Timeline.still(PictureRequest(prompt, width=size, height=size, steps=steps)))


def job_of(work: Work | Slot, caller: Caller | None = None) -> Job:
    return Job(work, 0.0, caller or Caller(), asyncio.get_running_loop().create_future(), 0.0)


def queue_of(*jobs: Job) -> FairQueue[Job]:
    queue: FairQueue[Job] = FairQueue()
    for job in jobs:
        queue.add(job.caller, job)
    return queue


def tick_of(engine: FakeEngine, *jobs: Job, bucket: int = 4) -> Tick:
    return Tick(engine, CostModel(engine.buckets), bucket, [Advance(job) for job in jobs])


def prompts_of(tick: Tick | None) -> list[str]:
    assert tick is not None
    return [advance.job.look().timeline.keyframes[0].request.prompt for advance in tick.advances]


async def test_nothing_is_chosen_where_nothing_waits() -> None:
    assert choose(FairQueue(), CostTable(), 0.0) is None


async def test_a_step_is_of_one_engine_and_one_size_and_leaves_the_others_slots_alone() -> None:
    engine, other = FakeEngine(), FakeEngine("tiny")
    slots = [Slot(work) for work in (picture(engine, "large", size=128), picture(other, "other"))]
    jobs = [job_of(picture(engine, "first")), *map(job_of, slots), job_of(picture(engine, "second"))]

    tick = choose(queue_of(*jobs), CostTable(), 0.0)
    for slot in slots:
        slot.offer(picture(engine, "newer"))

    assert prompts_of(tick) == ["first", "second"]
    assert [slot.replaced for slot in slots] == [1, 1]


async def test_a_slot_of_a_chosen_picture_is_taken_up() -> None:
    engine = FakeEngine()
    slot = Slot(picture(engine, "first"))

    tick = choose(queue_of(job_of(slot)), CostTable(), 0.0)
    slot.offer(picture(engine, "newer"))

    assert prompts_of(tick) == ["first"]
    assert slot.replaced == 0


async def test_a_callers_oldest_picture_leads_and_its_others_of_the_size_may_share() -> None:
    engine, caller = FakeEngine(), Caller()
    works = [picture(engine, "small"), picture(engine, "large", size=128), picture(engine, "small too")]

    tick = choose(queue_of(*(job_of(work, caller) for work in works)), CostTable(), 0.0)

    assert prompts_of(tick) == ["small", "small too"]


async def test_what_was_given_up_since_is_not_begun_and_the_step_shrinks() -> None:
    engine = FakeEngine()
    jobs = [job_of(picture(engine, name)) for name in ("gone", "fails to begin", "stays")]
    jobs[0].painted.cancel()

    tick = tick_of(engine, *jobs)
    run_tick(tick, FakeClock())

    assert engine.batches == [("stays",)]
    assert (tick.rows, tick.bucket) == (1, 1)
    assert [type(advance.error) for advance in tick.advances] == [type(None), PaintingFailedError, type(None)]
    assert tick.advances[2].pixels is not None


async def test_the_time_of_a_tick_is_told_by_what_took_it() -> None:
    engine, clock = FakeEngine(), FakeClock()
    engine.spend = lambda rows: clock.advance(0.5)
    tick = tick_of(engine, job_of(picture(engine, "a")))
    run_tick(tick, clock)

    assert (tick.step_s, tick.engine_s, tick.ended_at - tick.begun_at) == (0.5, 0.5, 0.5)


async def test_a_step_without_memory_is_told_of_the_tick_and_the_smallest_of_the_picture() -> None:
    engine = FakeEngine()
    engine.fail = lambda prompts: OutOfMemoryError("full")
    several = tick_of(engine, job_of(picture(engine, "a")), job_of(picture(engine, "b")))
    alone = tick_of(engine, job_of(picture(engine, "c")))
    for tick in (several, alone):
        run_tick(tick, FakeClock())

    assert several.out_of_memory is not None
    assert not several.is_stepped
    assert [advance.error for advance in several.advances] == [None, None]
    assert alone.out_of_memory is None
    assert isinstance(alone.advances[0].error, OutOfMemoryError)


async def test_errands_are_run_in_order_and_those_that_nobody_waits_for_are_skipped() -> None:
    errands = Errands()
    done: list[int] = []
    with ThreadPoolExecutor(1) as thread:
        first, second, third = (
            errands.add(lambda number=number: done.append(number)) for number in (1, 2, 3)
        )
        first.cancel()
        await errands.run_next(thread, lambda caller: False)

        assert done == [2]
        assert second.done()
        assert len(errands) == 1
        errands.close()
        with pytest.raises(StoppingError):
            await third
        await errands.run_next(thread, lambda caller: False)


async def test_a_callers_errand_waits_for_its_turn_and_what_is_nobodys_passes_it() -> None:
    errands, caller = Errands(), Caller()
    with ThreadPoolExecutor(1) as thread:
        first, second = errands.add(lambda: "in turn", caller), errands.add(lambda: "nobody's")

        assert await errands.run_next(thread, lambda _: False) is None
        assert (first.done(), second.result()) == (False, "nobody's")
        assert await errands.run_next(thread, lambda _: False) is None
        assert await errands.run_next(thread, lambda due: due is caller) is caller
        assert first.result() == "in turn"


def test_who_is_not_in_the_queue_is_due_until_it_has_had_as_much_as_those_who_are() -> None:
    queue: FairQueue[str] = FairQueue()
    outside, inside = Caller(), Caller()
    queue.add(inside, "picture")
    queue.join(outside)

    assert queue.is_due(outside)
    queue.serve(outside, 1.0)
    assert not queue.is_due(outside)
    queue.charge(inside, 1.0)
    assert queue.is_due(outside)
    assert queue.drop(inside, "picture")
    queue.serve(outside, 1.0)
    assert queue.is_due(outside)


def test_who_comes_while_only_others_outside_the_queue_are_served_brings_no_credit() -> None:
    queue: FairQueue[str] = FairQueue()
    outside, late = Caller(), Caller()
    queue.join(outside)
    for _ in range(10):
        queue.serve(outside, 1.0)
    queue.add(late, "picture")

    assert late.virtual_s >= outside.virtual_s - 1.0


async def test_a_tick_is_shared_out_by_rows_and_its_overhead_counts_as_use() -> None:
    engine, clock, accounts = FakeEngine(), FakeClock(), Accounts()
    engine.spend = lambda rows: clock.advance(0.2)
    one, other = Caller(), Caller()
    jobs = [job_of(picture(engine, name), caller) for name, caller in (("a", one), ("b", one), ("c", other))]
    tick = tick_of(engine, *jobs)
    run_tick(tick, clock)

    charges = accounts.charge(tick, round_s=0.3)
    for advance in tick.advances:
        assert advance.pixels is not None
        accounts.add_picture(advance, tick, advance.pixels)

    assert charges == {one: pytest.approx(0.4 / 3), other: pytest.approx(0.2 / 3)}
    assert [job.busy_s for job in jobs] == pytest.approx([0.2 / 3] * 3)
    assert [job.round_s for job in jobs] == pytest.approx([0.1] * 3)
    assert accounts.megapixels_per_s("fake") == pytest.approx(3 * 64 * 64 / 1e6 / 0.2)


def test_as_many_are_let_in_as_there_are_places_and_the_rest_told_when_to_come_back() -> None:
    expected_s = iter((0.0, 2.5, 0.001, 1e6))
    admission = Admission(2, lambda: next(expected_s))
    told = []
    with admission.admit(1):
        for _ in range(4):
            with pytest.raises(BusyError) as busy, admission.admit(2):
                pass
            told.append(busy.value.retry_after_ms)
        with admission.admit(1):
            pass
    with admission.admit(2):
        pass

    assert told == [UNKNOWN_RETRY_MS, 2500, MIN_RETRY_MS, MAX_RETRY_MS]


def test_each_caller_gets_an_error_of_its_own_of_the_same_kind() -> None:
    failures = Failures()
    errors = [OutOfMemoryError("full"), PaintingFailedError("broken"), RejectedError("mask", "no mask")]
    with capture_logs():
        told = [failures.translate(error) for error in errors]
        foreign = failures.translate(KeyError("x"))

    assert [(type(error), str(error)) for error in told] == [(type(error), str(error)) for error in errors]
    assert all(new is not old for new, old in zip(told, errors, strict=True))
    assert str(foreign) == "the engine failed: KeyError: 'x'"


def test_a_broken_engine_does_not_flood_the_log_and_what_is_refused_is_not_in_it() -> None:
    failures = Failures()
    with capture_logs() as logs:
        for _ in range(100):
            failures.translate(PaintingFailedError("broken"))
            failures.translate(RejectedError("mask", "no mask"))

    assert [log["event"] for log in logs] == ["painting_failed"]


async def test_the_scheduler_itself_takes_less_than_a_millisecond_for_a_tick_of_sixteen_rows() -> None:
    engine, observer = FakeEngine(max_batch=16), FakeObserver()

    async def paint_on(slot: Slot, caller: Caller) -> None:
        while True:
            await scheduler.paint(slot, caller=caller)

    async with scheduling(observer=observer) as scheduler:
        tasks = [
            asyncio.create_task(paint_on(Slot(picture(engine, "a")), caller))
            for caller in [Caller() for _ in range(16)]
            for _ in range(2)
        ]
        await until(lambda: len(observer.ticks) >= 200)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    own_s = [own_s for _, rows, _, _, own_s in observer.ticks if rows == 16]
    assert len(own_s) > 150
    assert statistics.median(own_s) < 0.001
