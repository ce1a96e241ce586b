"""How late the event loop is."""

from __future__ import annotations

import asyncio

import pytest
from fakes import FakeClock
from writing import Timers

from server.loop_lag import INTERVAL_S, LoopLag


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


async def test_what_holds_the_loop_up_is_noticed() -> None:
    timers = Timers()
    lag = LoopLag(timers.clock)
    watching = asyncio.ensure_future(
        lag.watch(lambda delay_s, call: timers.call_at(timers.clock() + delay_s, call))
    )
    await asyncio.sleep(0)
    timers.advance(INTERVAL_S)
    timers.clock.advance(INTERVAL_S + 0.3)

    timers.advance(0.0)

    assert lag.state()["max"] == pytest.approx(300.0)
    assert lag.state()["p50"] == pytest.approx(300.0)
    assert len(timers) == 1, "it goes on"
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert len(timers) == 0
