"""Frames per second over a trailing window."""

from __future__ import annotations

import pytest

from server.streaming.rates import WINDOW_S, Pace, Rate


def counted(*, per_second: float, seconds: float) -> Rate:
    rate = Rate()
    for index in range(int(per_second * seconds)):
        rate.count(index / per_second)
    return rate


@pytest.mark.parametrize("per_second", [1.0, 4.0, 30.0, 60.0, 240.0])
def test_a_steady_rate_is_told(per_second: float) -> None:
    rate = counted(per_second=per_second, seconds=10.0)

    assert rate.per_second(10.0) == pytest.approx(per_second, rel=0.05)


def test_nothing_counted_is_no_rate() -> None:
    assert Rate().per_second(100.0) == 0.0


def test_a_burst_reads_as_what_it_was_over_the_window() -> None:
    rate = Rate()
    for _ in range(10):
        rate.count(0.0)

    assert rate.per_second(0.0) == 10 / WINDOW_S


def test_what_is_older_than_the_window_is_forgotten_but_for_the_total() -> None:
    rate = counted(per_second=4.0, seconds=2.0)

    assert rate.per_second(2.0 + WINDOW_S) == 0.0
    assert rate.total == 8


def test_memory_does_not_grow_with_what_was_counted() -> None:
    rate = counted(per_second=10_000.0, seconds=10.0)

    assert len(rate._times) <= 512
    assert rate.per_second(10.0) == pytest.approx(10_000.0, rel=0.01)


def test_what_is_forgotten_takes_no_memory_though_nobody_asks() -> None:
    rate = counted(per_second=4.0, seconds=1000.0)

    assert len(rate._times) <= 4 * WINDOW_S + 1


def test_a_pace_is_that_of_most_intervals_whatever_pauses_there_were() -> None:
    pace = Pace()
    now_s = 0.0
    for pause_s in (0.25, 0.25, 60.0, 0.25, 0.25, 3600.0, 0.25):
        pace.change(now_s)
        now_s += pause_s

    assert pace.interval_s == 0.25


def test_a_pace_follows_a_source_that_has_become_slower() -> None:
    pace = Pace()
    for number in range(100):
        pace.change(number / 30.0)
    for number in range(1, 6):
        pace.change(100 / 30.0 + number)

    assert pace.interval_s == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize(
    ("interval_s", "after_s"), [(1 / 60, 0.5), (1 / 30, 0.5), (0.25, 0.75), (0.5, 1.5), (60.0, 3.0)]
)
def test_a_source_rests_after_three_intervals_neither_too_soon_nor_too_late(
    interval_s: float, after_s: float
) -> None:
    pace = Pace()
    for number in range(20):
        pace.change(number * interval_s)

    assert pace.rests_at - 19 * interval_s == pytest.approx(after_s)


def test_one_picture_alone_rests_soon_and_none_never() -> None:
    pace = Pace()
    assert pace.rests_at == float("inf")

    pace.change(100.0)

    assert pace.interval_s is None
    assert pace.rests_at == 100.5
