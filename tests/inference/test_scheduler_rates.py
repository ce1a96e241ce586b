"""What rate a caller is told that it can have: its fair share, and what the others leave of theirs."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import pairwise

import pytest
from fakes import FakeClock, FakeEngine

from inference.engine import PictureRequest, Timeline
from inference.scheduler import Caller, Work, scheduling
from inference.scheduling.rates import ACTIVE_WINDOWS, WINDOW_S, Rates


PICTURE_S = 0.010


def use(rates: Rates, caller: Caller, part: float, *, from_s: float = 0.0, seconds: float = 10.0) -> None:
    """Let a caller have a part of the engines' time, in pictures of `PICTURE_S`, for a while."""
    interval_s = PICTURE_S / part
    for index in range(round(seconds / interval_s)):
        at_s = from_s + (index + 1) * interval_s
        rates.add_use(caller, PICTURE_S, at_s)
        rates.add_picture(caller, PICTURE_S, at_s)


def paint_together(
    callers: Sequence[tuple[Caller, float]], rates: Rates, seconds: float, *, from_s: float = 0.0
) -> dict[Caller, float]:
    """Paint for callers who each wish a rate and ask for 1.25 times what they are told at most.

    Each asks for one picture at a time; they are painted one by one, the one who asked first first.

    Returns:
        The rate of each over the last half of the time.
    """
    spread_s = 1.0 / len(callers)
    asking = [(from_s + turn * spread_s, turn, caller, wish) for turn, (caller, wish) in enumerate(callers)]
    now_s = from_s
    painted = dict.fromkeys((caller for caller, _ in callers), 0)
    while now_s < from_s + seconds:
        asked_s, turn, caller, wish = heapq.heappop(asking)
        rates.see(caller, asked_s)
        now_s = max(now_s, asked_s) + PICTURE_S
        rates.add_use(caller, PICTURE_S, now_s)
        rates.add_picture(caller, PICTURE_S, now_s)
        painted[caller] += now_s > from_s + seconds / 2
        pace_fps = min(wish, max(1.0, 1.25 * rates.sustainable_fps(caller, now_s)))
        heapq.heappush(asking, (max(now_s, asked_s + 1.0 / pace_fps), turn, caller, wish))
    return {caller: count / (seconds / 2) for caller, count in painted.items()}


def test_a_caller_alone_can_have_everything_however_little_it_uses() -> None:
    rates, idle, busy = Rates(), Caller(), Caller()
    use(rates, idle, 0.01)

    assert rates.sustainable_fps(idle, 10.0) == pytest.approx(1 / PICTURE_S)
    use(rates, busy, 0.9, from_s=100.0)
    assert rates.sustainable_fps(busy, 110.0) == pytest.approx(1 / PICTURE_S)


def test_a_caller_can_have_what_those_who_ask_for_little_leave() -> None:
    rates, eager, others = Rates(), Caller(), [Caller() for _ in range(15)]
    for caller in others:
        use(rates, caller, 0.01)
    use(rates, eager, 0.08)

    assert rates.sustainable_fps(eager, 10.5) == pytest.approx(0.85 / PICTURE_S, rel=0.05)
    # And so could each of the others.
    assert rates.sustainable_fps(others[0], 10.5) == pytest.approx(0.79 / PICTURE_S, rel=0.05)


def test_who_uses_more_than_its_share_counts_with_its_share() -> None:
    rates, one, other, little = Rates(), Caller(), Caller(3.0), Caller()
    use(rates, other, 0.8)
    use(rates, little, 0.1)
    use(rates, one, 0.1)

    assert rates.sustainable_fps(one, 10.0) == pytest.approx(0.9 / 4 / PICTURE_S, rel=0.05)
    assert rates.sustainable_fps(other, 10.0) == pytest.approx(0.8 / PICTURE_S, rel=0.05)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (1.0, 3.0, 4.0)])
def test_where_all_want_all_that_they_can_get_each_can_have_its_part_by_weight(
    weights: tuple[float, ...],
) -> None:
    rates, callers = Rates(), [Caller(weight) for weight in weights]
    for caller in callers:
        use(rates, caller, caller.weight / sum(weights))

    told = [rates.sustainable_fps(caller, 10.0) for caller in callers]

    wanted = [weight / sum(weights) / PICTURE_S for weight in weights]
    assert told == pytest.approx(wanted, rel=0.05)


def test_a_canvas_that_wants_thirty_frames_beside_fifteen_of_one_has_them() -> None:
    eager = Caller()

    rates = paint_together([(eager, 30.0), *((Caller(), 1.0) for _ in range(15))], Rates(), 20.0)

    assert rates[eager] == pytest.approx(30.0, rel=0.05)


def test_somebodys_single_pictures_take_no_more_than_they_cost() -> None:
    rates, eager = Rates(), Caller()
    use(rates, eager, 0.3)
    # Ten a second, each of somebody new.
    for index in range(100):
        rates.add_use(Caller(), PICTURE_S, index / 10)

    assert rates.sustainable_fps(eager, 10.0) == pytest.approx(0.9 / PICTURE_S, rel=0.05)


def test_all_have_the_same_where_nobody_can_have_what_it_wants() -> None:
    callers = [(Caller(), 30.0) for _ in range(16)]

    rates = paint_together(callers, Rates(), 20.0)

    assert list(rates.values()) == pytest.approx([100.0 / 16] * 16, rel=0.1)


def test_a_canvas_that_was_held_back_has_its_rate_again_when_the_load_goes() -> None:
    rates, eager = Rates(), Caller()
    held = paint_together([(eager, 30.0), *((Caller(), 30.0) for _ in range(15))], rates, 10.0)
    free = paint_together([(eager, 30.0)], rates, 8.0, from_s=10.0)

    assert held[eager] < 8.0
    assert free[eager] == pytest.approx(30.0, rel=0.05)


def test_the_open_pictures_of_a_caller_share_what_it_can_have() -> None:
    rates, caller = Rates(), Caller()
    use(rates, caller, 0.5)

    with caller.opened(), caller.opened():
        two = rates.sustainable_fps(caller, 10.0)
    with caller.opened():
        one = rates.sustainable_fps(caller, 10.0)

    assert one == pytest.approx(1 / PICTURE_S)
    assert two == pytest.approx(one / 2)


def test_a_slow_first_picture_is_soon_no_measure_of_the_next() -> None:
    rates, caller = Rates(), Caller()
    rates.add_picture(caller, 5.0, 0.0)
    first = rates.sustainable_fps(caller, 0.0)
    rates.add_picture(caller, PICTURE_S, 1.0)

    assert first == pytest.approx(0.2)
    assert rates.sustainable_fps(caller, 1.0) == pytest.approx(1 / PICTURE_S)


def test_slow_pictures_are_measured_over_longer() -> None:
    rates, one, other = Rates(), Caller(), Caller()
    for turn, caller in enumerate((one, other) * 10):
        rates.add_use(caller, 5.0, 5.0 * turn)
        rates.add_picture(caller, 5.0, 5.0 * turn)

    assert rates.sustainable_fps(other, 95.0) == pytest.approx(0.1, rel=0.05)
    assert rates.sustainable_fps(one, 95.0) == pytest.approx(0.1, rel=0.15)


def test_who_is_gone_leaves_everything_and_is_forgotten() -> None:
    rates, stays, goes = Rates(), Caller(), Caller()
    use(rates, goes, 0.5)
    later_s = 10.0 + 1.1 * ACTIVE_WINDOWS * WINDOW_S
    rates.see(stays, later_s)

    assert len(rates) == 1
    assert rates.sustainable_fps(goes, later_s) == 0.0
    assert rates.sustainable_fps(stays, later_s) == 0.0


def test_whoever_asked_before_is_remembered_only_while_it_may_matter() -> None:
    rates = Rates()
    for index in range(1000):
        rates.add_use(Caller(), PICTURE_S, index / 10)

    assert len(rates) <= 10 * ACTIVE_WINDOWS * WINDOW_S + 1


async def test_the_scheduler_measures_what_each_caller_has() -> None:
    engine, clock = FakeEngine(max_batch=1), FakeClock()
    engine.spend = lambda rows: clock.advance(PICTURE_S)
    eager, modest = Caller(), Caller()
    work = Work(engine, Timeline.still(PictureRequest("a", width=64, height=64)))
    told = []
    async with scheduling(clock=clock) as scheduler:
        for _ in range(200):
            await scheduler.paint(work, caller=eager)
            await scheduler.paint(work, caller=modest)
            # Both have a tenth.
            clock.advance(8 * PICTURE_S)
            told.append(scheduler.sustainable_fps(eager))

    assert told[0] > told[-1] == pytest.approx(0.9 / PICTURE_S, rel=0.05)
    assert all(earlier >= later * 0.99 for earlier, later in pairwise(told))


async def test_other_work_of_a_caller_is_use_as_well() -> None:
    engine, clock = FakeEngine(max_batch=1), FakeClock()
    engine.spend = lambda rows: clock.advance(PICTURE_S)
    eager, enlarging = Caller(), Caller()
    work = Work(engine, Timeline.still(PictureRequest("a", width=64, height=64)))
    async with scheduling(clock=clock) as scheduler:
        for _ in range(300):
            await scheduler.paint(work, caller=eager)
            await scheduler.between_ticks(lambda: clock.advance(PICTURE_S), enlarging)

        assert scheduler.sustainable_fps(eager) == pytest.approx(0.5 / PICTURE_S, rel=0.05)
