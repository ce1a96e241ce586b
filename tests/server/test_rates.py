"""Frames per second over a trailing window."""

from __future__ import annotations

import pytest

from server.streaming.rates import WINDOW_S, Rate


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
