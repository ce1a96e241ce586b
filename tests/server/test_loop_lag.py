"""How late the event loop is."""

from __future__ import annotations

import asyncio

import pytest
from fakes import FakeClock

from server.loop_lag import LoopLag


def test_the_last_minute_is_told_in_milliseconds() -> None:
    clock = FakeClock()
    lag = LoopLag(clock)
    assert lag.state() == {"p50": None, "p99": None, "max": None}
    lag.note(1.0)
    clock.advance(61.0)
    for milliseconds in range(100):
        lag.note(milliseconds / 1000.0)
    lag.note(-1.0)

    assert lag.state() == {"p50": 49.0, "p99": 98.0, "max": 99.0}


async def test_what_holds_the_loop_up_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    lag = LoopLag(clock)
    late = iter([0.0, 0.3])

    async def sleep(seconds: float) -> None:
        try:
            clock.advance(seconds + next(late))
        except StopIteration:
            raise asyncio.CancelledError from None

    monkeypatch.setattr("asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await lag.watch()

    assert lag.state()["max"] == pytest.approx(300.0)
