"""One call at an instant that moves to earlier ones."""

from __future__ import annotations

import math

import pytest
from writing import Timers

from server.streaming.delivery.alarm import Alarm


def never(error: Exception) -> None:
    pytest.fail(f"raised {error}")


def test_it_rings_once_at_the_earliest_instant_that_it_was_set_to() -> None:
    timers = Timers()
    rang_s: list[float] = []
    alarm = Alarm(timers.call_at, lambda: rang_s.append(timers.clock()), never)

    for due_at in (103.0, 102.0, 104.0):
        alarm.set(due_at)
    timers.advance(10.0)
    alarm.set(111.0)
    timers.advance(10.0)

    assert rang_s == [102.0, 111.0]


def test_one_that_is_called_off_does_not_ring_and_can_be_set_again() -> None:
    timers = Timers()
    rang_s: list[float] = []
    alarm = Alarm(timers.call_at, lambda: rang_s.append(timers.clock()), never)
    alarm.set(101.0)
    alarm.cancel()
    alarm.cancel()
    alarm.set(105.0)

    timers.advance(10.0)

    assert rang_s == [105.0]


def test_one_that_is_set_to_never_does_not_ring() -> None:
    timers = Timers()
    Alarm(timers.call_at, lambda: None, never).set(math.inf)

    assert len(timers) == 0


def test_what_its_call_raises_goes_to_whoever_can_tell() -> None:
    timers = Timers()
    errors: list[Exception] = []
    error = RuntimeError("a bug")

    def ring() -> None:
        raise error

    alarm = Alarm(timers.call_at, ring, errors.append)
    alarm.set(101.0)

    timers.advance(10.0)

    assert errors == [error]
