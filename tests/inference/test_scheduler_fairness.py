"""Whose turn it is: shares by weight, no saved-up credit, nobody kept waiting by a flood."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import pytest
from fakes import FakeClock, FakeEngine, until
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.engine import PictureRequest, Timeline
from inference.scheduler import Caller, Scheduler, Work, scheduling
from inference.scheduling.fairness import MAX_LEAD_S, FairQueue


def picture(engine: FakeEngine, prompt: str, *, steps: int = 1, size: int = 64) -> Work:
    return Work(engine, Timeline.still(PictureRequest(prompt, width=size, height=size, steps=steps)))


def timed(engine: FakeEngine, a_s: float, b_s: float) -> FakeClock:
    """Let the steps of an engine take ``a * rows + b`` seconds of the clock that is returned."""
    clock = FakeClock()
    engine.spend = lambda rows: clock.advance(a_s * rows + b_s)
    return clock


async def paint_on(scheduler: Scheduler, work: Work, caller: Caller) -> None:
    """Ask for one picture after the other, for ever."""
    while True:
        await scheduler.paint(work, caller=caller)


async def count_rows(
    scheduler: Scheduler,
    engine: FakeEngine,
    wanted: dict[str, tuple[Work, Caller]],
    *,
    ticks: int,
    credits: int,
) -> Counter[str]:
    """Keep so many pictures of each caller waiting, and count what is painted of each."""
    tasks = [
        asyncio.create_task(paint_on(scheduler, work, caller))
        for work, caller in wanted.values()
        for _ in range(credits)
    ]
    await until(lambda: len(engine.batches) >= ticks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return Counter(prompt for batch in engine.batches for prompt in batch)


@pytest.mark.parametrize(("max_batch", "credits", "ticks"), [(1, 2, 800), (4, 2, 400), (16, 4, 100)])
async def test_live_callers_share_by_weight(max_batch: int, credits: int, ticks: int) -> None:
    engine = FakeEngine(max_batch=max_batch)
    wanted = {f"light {n}": (picture(engine, f"light {n}"), Caller()) for n in range(16)}
    wanted["heavy"] = picture(engine, "heavy"), Caller(2.0)
    async with scheduling(clock=timed(engine, 0.001, 0.020)) as scheduler:
        rows = await count_rows(scheduler, engine, wanted, ticks=ticks, credits=credits)

    heavy = rows.pop("heavy")
    assert len(rows) == 16
    assert min(rows.values()) >= 0.9 * max(rows.values())
    assert heavy == pytest.approx(2.0 * sum(rows.values()) / 16, rel=0.1)


async def test_a_still_of_many_steps_shares_the_steps_of_live_callers_and_delays_nobody() -> None:
    engine = FakeEngine(max_batch=4)
    wanted = {f"live {n}": (picture(engine, f"live {n}"), Caller()) for n in range(8)}
    async with scheduling(clock=timed(engine, 0.001, 0.020)) as scheduler:
        still = asyncio.create_task(
            scheduler.paint(picture(engine, "still", steps=50), caller=scheduler.caller("somebody"))
        )
        rows = await count_rows(scheduler, engine, wanted, ticks=100, credits=2)
        await still

    # Nine shares of steps of four: in a hundred ticks it had about as many rows as each of the others.
    assert rows.pop("still") == pytest.approx(400 / 9, rel=0.1)
    assert min(rows.values()) >= 0.85 * max(rows.values())


async def test_two_sizes_take_turns() -> None:
    engine = FakeEngine(max_batch=4)
    wanted = {
        "small": (picture(engine, "small", size=64), Caller()),
        "large": (picture(engine, "large", size=128), Caller()),
    }
    async with scheduling(clock=timed(engine, 0.0, 0.020)) as scheduler:
        await count_rows(scheduler, engine, wanted, ticks=40, credits=1)

    assert all(before != after for before, after in pairwise(engine.batches[1:40]))


async def test_a_crowd_of_one_size_leaves_one_caller_of_another_its_share() -> None:
    engine = FakeEngine(max_batch=4)
    wanted = {f"small {n}": (picture(engine, f"small {n}"), Caller()) for n in range(3)}
    wanted["large"] = picture(engine, "large", size=128), Caller()
    async with scheduling(clock=timed(engine, 0.0, 0.020)) as scheduler:
        await count_rows(scheduler, engine, wanted, ticks=200, credits=3)

    # A quarter of the engine's time is a quarter of the ticks: the crowd shares the others.
    assert sum("large" in batch for batch in engine.batches) == pytest.approx(50, abs=3)


async def test_two_engines_share_one_thread_and_take_turns() -> None:
    fake, tiny = FakeEngine(), FakeEngine("tiny", max_size=512, max_steps=4)
    clock = timed(fake, 0.0, 0.020)
    tiny.spend = fake.spend
    async with scheduling(clock=clock) as scheduler:
        tasks = [
            asyncio.create_task(paint_on(scheduler, picture(engine, engine.model.name), Caller()))
            for engine in (fake, tiny)
        ]
        await until(lambda: len(fake.batches) >= 20)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert len(tiny.batches) == pytest.approx(len(fake.batches), abs=2)
    assert fake.threads == tiny.threads == {"engine_0"}


async def test_a_flood_of_one_user_does_not_delay_another() -> None:
    engine = FakeEngine(max_batch=1)
    async with scheduling(clock=timed(engine, 0.010, 0.0)) as scheduler:
        flooding = [
            asyncio.create_task(scheduler.paint(picture(engine, "flood"), caller=scheduler.caller("greedy")))
            for _ in range(40)
        ]
        await until(lambda: len(engine.finished) >= 10)
        painted_before = len(engine.finished)
        await scheduler.paint(picture(engine, "modest"), caller=scheduler.caller("modest"))
        await asyncio.gather(*flooding)

    # One step may have been under way, and one more chosen.
    assert engine.finished.index("modest") <= painted_before + 2


async def test_the_same_user_is_one_caller_and_nobody_is_somebody_else() -> None:
    async with scheduling() as scheduler:
        one = scheduler.caller("one")

        assert scheduler.caller("one") is one
        assert scheduler.caller("other") is not one
        assert scheduler.caller("") is not scheduler.caller("")


@pytest.mark.parametrize("weight", [0.0, 0.09, 10.1, -1.0, float("nan")])
def test_a_weight_out_of_bounds_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match=r"weight must be a number from 0.1 to 10.0, got"):
        Caller(weight)


def serve(queue: FairQueue[str], seconds: float) -> str:
    """Serve whoever comes next, for so long; its item stays."""
    item = queue.first()
    assert item is not None
    caller = next(caller for caller, items in queue._waiting.items() if item in items)
    queue.charge(caller, seconds)
    return item


def test_who_was_idle_brings_no_credit_along() -> None:
    queue: FairQueue[str] = FairQueue()
    busy, idle = Caller(), Caller()
    queue.add(busy, "busy")
    for _ in range(100):
        serve(queue, 1.0)

    queue.add(idle, "idle")
    served = [serve(queue, 1.0) for _ in range(10)]

    assert served.count("busy") == 5


def test_going_away_for_a_moment_forgives_nothing() -> None:
    queue: FairQueue[str] = FairQueue()
    leaving, staying = Caller(), Caller()
    queue.add(staying, "staying")
    queue.add(leaving, "leaving")
    assert serve(queue, 0.1) == "staying"
    assert serve(queue, 0.9) == "leaving"

    queue.drop(leaving, "leaving")
    queue.add(leaving, "leaving")

    assert [serve(queue, 0.1) for _ in range(8)] == ["staying"] * 8


def test_all_debts_end_when_nobody_waits() -> None:
    queue: FairQueue[str] = FairQueue()
    spender, other = Caller(), Caller()
    queue.add(other, "other")
    queue.add(spender, "spender")
    queue.charge(spender, 0.9)
    queue.drop(spender, "spender")
    queue.drop(other, "other")

    queue.add(spender, "spender")
    queue.add(other, "other")

    assert queue.first() == "spender"


def test_who_filled_rows_that_were_empty_is_not_kept_waiting_long_for_it() -> None:
    queue: FairQueue[str] = FairQueue()
    light, heavy = Caller(0.1), Caller(10.0)
    queue.add(heavy, "heavy")
    queue.add(light, "light")
    for _ in range(1000):
        queue.first()
        queue.charge(heavy, 0.010)
        queue.charge(light, 0.010)

    assert light.virtual_s - heavy.virtual_s <= MAX_LEAD_S + 0.1


def test_items_come_one_of_each_caller_then_seconds_and_what_is_not_wanted_keeps_its_place() -> None:
    queue: FairQueue[str] = FairQueue()
    a, b = Caller(), Caller()
    for item in ("a1", "a2", "x", "a3"):
        queue.add(a, item)
    queue.add(b, "b1")

    assert list(queue.in_turn(lambda item: item != "x", 0.010)) == ["a1", "b1", "a2", "a3"]
    assert list(queue) == ["a1", "a2", "x", "a3", "b1"]
    assert (len(queue), queue.callers) == (5, 2)


def test_a_heavier_callers_second_comes_before_a_lighter_ones() -> None:
    queue: FairQueue[str] = FairQueue()
    light, heavy = Caller(), Caller(4.0)
    for index in range(3):
        queue.add(light, f"light {index}")
        queue.add(heavy, f"heavy {index}")

    assert list(queue.in_turn(lambda _: True, 0.010))[:4] == ["light 0", "heavy 0", "heavy 1", "heavy 2"]


@settings(deadline=None)  # The machine may be busy.
@given(
    weights=st.lists(st.floats(0.1, 10.0), min_size=2, max_size=6),
    costs_s=st.lists(st.floats(0.001, 2.0), min_size=20, max_size=120),
    room=st.integers(1, 8),
)
def test_everybodys_share_of_time_is_within_a_tick_of_what_the_weights_say(
    weights: list[float], costs_s: list[float], room: int
) -> None:
    queue: FairQueue[tuple[Caller, int]] = FairQueue()
    callers = [Caller(weight) for weight in weights]
    for caller in callers:
        for index in range(room):
            queue.add(caller, (caller, index))
    had_s = dict.fromkeys(callers, 0.0)

    for cost_s in costs_s:
        assert queue.first() is not None
        items = queue.in_turn(lambda _: True, cost_s / room)
        served = Counter(next(items)[0] for _ in range(room))
        for caller, rows in served.items():
            queue.charge(caller, cost_s * rows / room)
            had_s[caller] += cost_s * rows / room

    tick_s, total_s = max(costs_s), sum(costs_s)
    for caller in callers:
        part = caller.weight / sum(weights)
        # Nobody is further ahead than a tick; who is heavy may be behind by each other's tick.
        assert had_s[caller] <= part * total_s + tick_s * 1.001
        assert had_s[caller] >= part * total_s - tick_s * max(1.0, len(callers) * part) * 1.001
