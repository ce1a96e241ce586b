"""What holds of the flow control whatever happens, in whatever order."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import ProtocolError
from server.streaming.flow.control import LEAST_FRAMES, MAX_FRAMES, MAX_WINDOW_BYTES, FlowControl
from server.streaming.flow.link import SAMPLES as RATE_SAMPLES
from server.streaming.flow.round_trip import MAX_WAITING
from server.streaming.flow.round_trip import SAMPLES as TRIP_SAMPLES


MAX_SIZE = 8_000_000

STEPS = st.one_of(
    st.tuples(st.just("wait"), st.floats(0.0, 20.0)),
    st.tuples(st.just("send"), st.integers(1, MAX_SIZE), st.booleans()),
    # Of what is not acknowledged, in thousandths; what the peer says it has held.
    st.tuples(st.just("acknowledge"), st.integers(0, 1000), st.floats(allow_nan=True)),
    st.tuples(st.just("make up"), st.integers(1, 2**70) | st.integers(-(2**70), -1)),
    st.tuples(st.just("pong"), st.integers(0, 300)),
    st.tuples(st.just("wish"), st.none() | st.floats(0.01, 1000.0)),
)


class Connection:
    """A sender that obeys, and a peer that does what it likes."""

    def __init__(self) -> None:
        self.flow = FlowControl()
        self.now_s = 0.0
        self.sequence = 0

    def step(self, step: tuple[Any, ...]) -> None:
        """Do one thing."""
        match step:
            case "wait", seconds:
                self.now_s += seconds
            case "send", size, again:
                self.send(size, again)
            case "acknowledge", thousandths, held_s:
                low = self.flow.acknowledged
                sequence = low + (self.sequence - low) * thousandths // 1000
                self.flow.acknowledge(sequence, self.now_s, held_s=held_s)
            case "make up", number:
                self.make_up(number)
            case "pong", tag:
                self.flow.pong(tag, self.now_s)
            case "wish", max_fps:
                self.flow.set_max_fps(max_fps)

    def send(self, size: int, again: bool) -> None:
        """Send when it may be, as a writer does."""
        flow = self.flow
        if not flow.opens_at(self.now_s, size_bytes=size) <= self.now_s:
            return
        is_again = again and self.sequence > 0 and flow.in_flight == 0
        self.sequence += not is_again
        largest = max([size, *(entry[1] for entry in flow._flying)])
        pinged = flow.wants_ping(self.now_s)
        flow.sent(self.sequence, size, self.now_s, pinged=pinged, again=is_again)
        # Two frames, or what the link holds, and never beyond the limit for any link.
        assert flow.in_flight_bytes <= max(LEAST_FRAMES * largest, flow.window_bytes)
        assert flow.in_flight_bytes <= max(LEAST_FRAMES * largest, MAX_WINDOW_BYTES)

    def make_up(self, number: int) -> None:
        """Acknowledge what was never sent."""
        flow = self.flow
        before = (flow.state(), flow.acknowledged, flow.is_acknowledging, flow.stalled_for_s(self.now_s, 0.0))
        with pytest.raises(ProtocolError):
            flow.acknowledge(self.sequence + number if number > 0 else number, self.now_s)
        after = (flow.state(), flow.acknowledged, flow.is_acknowledging, flow.stalled_for_s(self.now_s, 0.0))
        assert after == before


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=120))
def test_the_flow_is_bounded_and_never_locks_up(steps: list[tuple[Any, ...]]) -> None:
    connection = Connection()
    flow = connection.flow
    for step in steps:
        connection.step(step)
        assert 0 <= flow.in_flight <= MAX_FRAMES
        assert flow.in_flight_bytes == (sum(e[1] for e in flow._flying) if flow.is_acknowledging else 0)
        assert flow.stalled_for_s(connection.now_s, connection.now_s - 1.0) >= 0.0
        assert len(flow._trip._waiting) <= MAX_WAITING
        assert len(flow._trip._samples) <= TRIP_SAMPLES
        assert len(flow._link._samples) <= RATE_SAMPLES

    # Whatever has happened: once everything is acknowledged the next frame may leave, now or soon. Not too
    # soon for a frame that was sent again: on a link that is told to carry a byte an hour, too.
    connection.now_s += 1e9
    flow.acknowledge(connection.sequence, connection.now_s)
    assert flow.in_flight == flow.in_flight_bytes == 0
    flow.set_max_fps(None)
    assert flow.opens_at(connection.now_s, size_bytes=MAX_SIZE) <= connection.now_s


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=80), st.integers(1, MAX_SIZE))
def test_the_instant_told_is_no_later_than_the_link_needs(steps: list[tuple[Any, ...]], size: int) -> None:
    connection = Connection()
    for step in steps:
        connection.step(step)
    flow, now_s = connection.flow, connection.now_s
    flow.set_max_fps(None)

    opens_at = flow.opens_at(now_s, size_bytes=size)

    assert not math.isnan(opens_at)
    if opens_at < math.inf and flow.in_flight and (rate := flow.rate_bytes_s):
        assert opens_at <= now_s + flow.in_flight_bytes / rate + 0.1


@given(st.floats(0.001, 2.0), st.floats(1e4, 1e9))
def test_a_wish_for_a_rate_is_kept_whatever_the_link_carries(interval_s: float, rate: float) -> None:
    flow = FlowControl()
    flow.set_max_fps(1.0 / interval_s)
    flow.sent(1, 10_000, 0.0)
    flow.acknowledge(1, 10_000 / rate)

    assert flow.opens_at(0.0, size_bytes=10_000) == pytest.approx(interval_s - 0.001, abs=1e-9)
