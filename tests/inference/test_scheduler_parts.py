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
from inference.errors import StoppingError
from inference.scheduler import Caller, Slot, Work, scheduling
from inference.scheduling.batch import choose
from inference.scheduling.errands import Errands
from inference.scheduling.failures import Failures
from inference.scheduling.fairness import FairQueue
from inference.scheduling.jobs import Job
from inference.scheduling.rates import ACTIVE_S, Rates
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


async def test_a_step_without_memory_for_several_is_told_of_the_tick_and_for_one_of_the_picture() -> None:
    engine = FakeEngine()
    engine.fail = lambda prompts: OutOfMemoryError("full")
    several = tick_of(engine, job_of(picture(engine, "a")), job_of(picture(engine, "b")))
    alone = tick_of(engine, job_of(picture(engine, "c")))
    for tick in (several, alone):
        run_tick(tick, FakeClock())

    assert several.out_of_memory is not None
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
        await errands.run_next(thread)

        assert done == [2]
        assert second.done()
        assert len(errands) == 1
        errands.close()
        with pytest.raises(StoppingError):
            await third
        await errands.run_next(thread)


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


def learned(a_s: float, b_s: float) -> CostModel:
    cost = CostModel((1, 2, 4))
    for bucket in (1, 2, 4):
        for _ in range(2):
            cost.add_step(bucket, a_s * bucket + b_s, 0.0)
    return cost


def test_a_caller_alone_has_what_its_steps_and_the_rest_of_a_picture_take() -> None:
    rates, cost, caller = Rates(), learned(0.0, 0.040), Caller()
    cost.add_picture(0.020)
    rates.add_picture(caller, cost, rows=1, steps=2, at_s=0.0)

    assert rates.sustainable_fps(caller, 0.0) == pytest.approx(1 / 0.100)


def test_callers_who_share_steps_share_their_cost_and_others_share_the_time() -> None:
    rates, cost, other_cost = Rates(), learned(0.0, 0.040), learned(0.0, 0.040)
    sharing = [Caller() for _ in range(4)]
    for caller in sharing:
        rates.add_picture(caller, cost, rows=1, steps=1, at_s=0.0)
    # Steps of four at 40 ms: everybody's picture is in each of them.
    assert rates.sustainable_fps(sharing[0], 0.0) == pytest.approx(25.0)

    apart = Caller(4.0)
    rates.add_picture(apart, other_cost, rows=1, steps=1, at_s=0.0)

    assert rates.sustainable_fps(sharing[0], 0.0) == pytest.approx(12.5)
    assert rates.sustainable_fps(apart, 0.0) == pytest.approx(12.5)


def test_who_waits_for_the_first_picture_has_its_share_and_who_is_gone_has_none() -> None:
    rates, cost = Rates(), learned(0.0, 0.040)
    painted, waiting = Caller(), Caller()
    rates.see(waiting, 0.0)
    rates.add_picture(painted, cost, rows=1, steps=1, at_s=1.0)

    assert rates.sustainable_fps(painted, 1.0) == pytest.approx(12.5)
    assert rates.sustainable_fps(waiting, 1.0) == 0.0
    assert rates.sustainable_fps(painted, ACTIVE_S + 0.5) == pytest.approx(25.0)
    assert rates.sustainable_fps(painted, ACTIVE_S + 1.5) == 0.0
    assert len(rates) == 0


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
