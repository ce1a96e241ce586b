"""When the next frame may leave for one subscriber: the rules, one at a time."""

from __future__ import annotations

import math

import pytest

from server.errors import ProtocolError
from server.streaming.flow.control import (
    LEAD_S,
    LEAD_SHARE,
    LEAST_FRAMES,
    MAX_FRAMES,
    MAX_WINDOW_BYTES,
    OVERDUE_S,
    SILENT_FRAMES,
    FlowControl,
)


MB = 1_000_000


def acknowledging(rate_bytes_s: float = MB, rtt_s: float = 0.0, size_bytes: int = MB) -> FlowControl:
    """Return the flow of a peer that has acknowledged frame 1, handed over at 0, in due time."""
    flow = FlowControl()
    flow.sent(1, size_bytes, 0.0, pinged=True)
    flow.pong(1, rtt_s)
    flow.acknowledge(1, size_bytes / rate_bytes_s + rtt_s)
    return flow


def test_a_silent_peer_is_not_bounded_here() -> None:
    flow = FlowControl()

    for sequence in range(1, 100):
        assert flow.opens_at(0.0, size_bytes=1000) <= 0.0
        flow.sent(sequence, 1000, 0.0)

    assert (flow.in_flight, flow.in_flight_bytes) == (0, 0)
    assert (flow.sent_frames, flow.sent_bytes) == (99, 99_000)


def test_what_is_remembered_of_a_silent_peer_stays_small() -> None:
    flow = FlowControl()

    for sequence in range(1, 10_000):
        flow.sent(sequence, 1000, 0.0)

    assert len(flow._flying) == SILENT_FRAMES
    assert flow._bytes == SILENT_FRAMES * 1000


def test_the_first_acknowledgement_makes_a_peer_bounded() -> None:
    flow = FlowControl()
    for sequence in range(1, 6):
        flow.sent(sequence, 100, 0.0)

    released = flow.acknowledge(3, 1.0)

    assert released == 3
    assert flow.is_acknowledging
    assert (flow.in_flight, flow.in_flight_bytes) == (2, 200)
    assert flow.opens_at(1.0, size_bytes=100) == math.inf


def test_the_next_frame_may_leave_just_before_the_link_runs_dry() -> None:
    flow = acknowledging(rate_bytes_s=2 * MB, rtt_s=0.1)

    flow.sent(2, MB, 2.0)

    assert flow.opens_at(2.0, size_bytes=MB) == pytest.approx(2.5 - LEAD_S)


def test_a_frame_that_is_encoded_first_is_taken_earlier() -> None:
    flow = acknowledging(rate_bytes_s=2 * MB)

    flow.sent(2, MB, 2.0)

    assert flow.opens_at(2.0, size_bytes=MB, prepare_s=0.1) == pytest.approx(2.4 - LEAD_S)


def test_what_queues_behind_another_frame_is_counted_from_its_end() -> None:
    flow = acknowledging(rate_bytes_s=MB, rtt_s=0.5, size_bytes=100_000)
    flow.sent(2, 100_000, 2.0)
    flow.sent(3, 100_000, 2.01)

    assert flow.opens_at(2.02, size_bytes=100_000) == pytest.approx(2.2 - LEAD_S)

    # The first took a fifth longer than predicted, and so will the one behind it.
    flow.acknowledge(2, 2.62)
    assert flow.opens_at(2.62, size_bytes=100_000) == pytest.approx(2.24 - LEAD_S, abs=0.001)


def test_on_a_link_that_carries_a_frame_quickly_the_next_leaves_less_early() -> None:
    flow = acknowledging(rate_bytes_s=100 * MB, rtt_s=0.1)

    flow.sent(2, MB, 2.0)

    assert flow.opens_at(2.0, size_bytes=MB) == pytest.approx(2.01 - LEAD_SHARE * 0.01)


def test_the_window_is_whole_frames_where_they_are_heavy() -> None:
    flow = acknowledging(rate_bytes_s=3 * MB, rtt_s=0.25, size_bytes=500_000)

    # One leaves, one is on the link, and one that it has carried is not acknowledged yet.
    assert flow.window_bytes // 500_000 == 3


def test_when_nothing_is_on_its_way_a_frame_leaves_at_once() -> None:
    assert acknowledging().opens_at(5.0, size_bytes=MB) <= 5.0


def test_the_window_is_two_frames_where_the_way_is_short() -> None:
    flow = acknowledging(rate_bytes_s=2 * MB, rtt_s=0.02)

    assert flow.window_bytes == LEAST_FRAMES * MB

    flow.sent(2, MB, 10.0)
    flow.sent(3, MB, 10.5)
    assert flow.opens_at(10.6, size_bytes=MB) == math.inf


def test_the_window_follows_rate_and_round_trip() -> None:
    flow = acknowledging(rate_bytes_s=10 * MB, rtt_s=0.2, size_bytes=50_000)

    assert flow.window_bytes == pytest.approx(1.25 * 10 * MB * 0.2 + 50_000, rel=0.01)


def test_a_browser_that_keeps_frames_for_long_gets_a_wider_window() -> None:
    narrow, wide = (acknowledging(rate_bytes_s=10 * MB, rtt_s=0.1, size_bytes=50_000) for _ in range(2))

    for sequence in range(2, 30):
        for flow, held_s in ((narrow, 0.0), (wide, 0.3)):
            flow.sent(sequence, 50_000, sequence * 1.0)
            flow.acknowledge(sequence, sequence + 0.105 + held_s, held_s=held_s)

    assert wide.window_bytes - narrow.window_bytes == pytest.approx(1.25 * 10 * MB * 0.3, rel=0.02)
    assert wide.rate_bytes_s == pytest.approx(narrow.rate_bytes_s, rel=0.01)


@pytest.mark.parametrize("held_s", [-5.0, 1000.0, math.inf, math.nan])
def test_what_a_peer_says_about_holding_is_taken_within_limits(held_s: float) -> None:
    flow = acknowledging(rate_bytes_s=10 * MB, rtt_s=0.1, size_bytes=50_000)

    for sequence in range(2, 50):
        flow.sent(sequence, 50_000, sequence * 1.0)
        flow.acknowledge(sequence, sequence + 0.105, held_s=held_s)

    assert flow.window_bytes <= MAX_WINDOW_BYTES
    assert flow.opens_at(100.0, size_bytes=50_000) <= 100.0


def test_the_window_has_a_limit_however_long_and_fast_the_link_is() -> None:
    flow = acknowledging(rate_bytes_s=1000 * MB, rtt_s=1.0)

    assert flow.window_bytes == MAX_WINDOW_BYTES


def test_the_number_of_frames_on_their_way_has_a_limit() -> None:
    flow = acknowledging(rate_bytes_s=1000 * MB, rtt_s=1.0)

    for sequence in range(2, 2 + MAX_FRAMES):
        assert flow.opens_at(2.001, size_bytes=10) <= 2.001
        flow.sent(sequence, 10, 2.0)

    assert flow.opens_at(2.001, size_bytes=10) == math.inf


def test_an_overdue_acknowledgement_shuts_the_window_until_it_comes() -> None:
    flow = acknowledging(rate_bytes_s=MB, rtt_s=0.5, size_bytes=100_000)
    flow.sent(2, 100_000, 10.0)
    assert flow.opens_at(10.3, size_bytes=100_000) <= 10.3

    late = 10.0 + 0.1 + 0.5 + OVERDUE_S + 0.01
    assert flow.opens_at(late, size_bytes=100_000) == math.inf

    flow.acknowledge(2, late)
    assert flow.opens_at(late, size_bytes=100_000) <= late


def test_an_acknowledgement_releases_all_lower_frames() -> None:
    flow = acknowledging(size_bytes=100)
    for sequence in (5, 9, 12):
        flow.sent(sequence, 100, 2.0)

    assert flow.acknowledge(11, 3.0) == 2
    assert (flow.in_flight, flow.in_flight_bytes) == (1, 100)
    assert flow.acknowledged == 11


def test_an_acknowledgement_that_comes_again_releases_nothing() -> None:
    flow = acknowledging()
    flow.sent(2, 100, 1.0)
    flow.acknowledge(2, 2.0)

    assert flow.acknowledge(1, 2.0) == 0
    assert flow.acknowledge(2, 2.0) == 0
    assert flow.acknowledged == 2


@pytest.mark.parametrize("sequence", [-1, 4, 2**63, 10**4000])
def test_a_made_up_acknowledgement_is_refused_and_changes_nothing(sequence: int) -> None:
    flow = acknowledging()
    flow.sent(3, 100, 1.0)
    before = flow.state()

    with pytest.raises(ProtocolError, match="newest sent is 3"):
        flow.acknowledge(sequence, 5.0, held_s=1.0)

    assert flow.state() == before
    assert flow.acknowledged == 1


def test_before_the_first_frame_only_zero_can_be_acknowledged() -> None:
    assert FlowControl().acknowledge(0, 0.0) == 0
    with pytest.raises(ProtocolError):
        FlowControl().acknowledge(1, 0.0)


def test_until_a_rate_is_known_two_frames_may_be_on_their_way() -> None:
    flow = FlowControl()
    flow.acknowledge(0, 0.0)

    assert flow.opens_at(0.0, size_bytes=MB) <= 0.0
    flow.sent(1, MB, 0.0)
    assert flow.opens_at(0.0, size_bytes=MB) <= 0.0
    flow.sent(2, MB, 0.0)
    assert flow.opens_at(0.0, size_bytes=MB) == math.inf


def test_the_wish_for_a_rate_holds_the_next_frame_back() -> None:
    flow = FlowControl()
    flow.set_max_fps(10.0)
    flow.sent(1, 100, 5.0)

    assert flow.opens_at(5.05, size_bytes=100) == pytest.approx(5.099)


def test_a_frame_that_comes_a_millisecond_early_is_not_held_back() -> None:
    flow = FlowControl()
    flow.set_max_fps(30.0)
    flow.sent(1, 100, 5.0)

    now_s = 5.0 + 1 / 30 - 0.0009
    assert flow.opens_at(now_s, size_bytes=100) <= now_s


def test_the_wish_can_be_taken_back() -> None:
    flow = FlowControl()
    flow.set_max_fps(0.1)
    flow.sent(1, 100, 5.0)

    flow.set_max_fps(None)

    assert flow.opens_at(5.0, size_bytes=100) <= 5.0


def test_a_peer_is_stalled_from_when_a_frame_waits_for_it_or_it_has_last_acknowledged() -> None:
    flow = acknowledging(rate_bytes_s=MB, size_bytes=100_000)
    flow.sent(2, 100_000, 10.0)
    flow.sent(3, 100_000, 10.1)
    assert flow.opens_at(15.1, size_bytes=100_000) == math.inf

    assert flow.stalled_for_s(15.1, 10.1) == pytest.approx(5.0)
    assert flow.stalled_for_s(15.1, 15.0) == pytest.approx(0.1), "nothing was kept back before"
    flow.acknowledge(2, 16.0)
    assert flow.stalled_for_s(18.0, 10.1) == pytest.approx(2.0)

    flow.acknowledge(3, 20.0)
    assert flow.stalled_for_s(100.0, 10.1) == 0.0


def test_an_acknowledgement_that_comes_again_does_not_end_a_stall() -> None:
    flow = acknowledging(rate_bytes_s=MB, size_bytes=100_000)
    flow.sent(2, 100_000, 10.0)
    flow.sent(3, 100_000, 10.1)

    for at in (11.0, 15.0):
        flow.acknowledge(1, at)

    assert flow.stalled_for_s(16.0, 10.1) == pytest.approx(5.9)


def test_a_first_acknowledgement_of_what_is_long_forgotten_is_a_stall_like_any_other() -> None:
    flow = FlowControl()
    for sequence in range(1, 2 * SILENT_FRAMES):
        flow.sent(sequence, 1000, sequence * 0.016)

    assert flow.acknowledge(1, 1.0) == 0

    assert flow.opens_at(2.0, size_bytes=1000) == math.inf
    assert flow.stalled_for_s(9.0, 2.0) == pytest.approx(7.0)


def test_a_frame_that_was_sent_again_never_stalls_and_never_shuts_the_window() -> None:
    flow = acknowledging(rate_bytes_s=MB, size_bytes=100_000)

    flow.sent(1, 100_000, 10.0, again=True)

    assert flow.stalled_for_s(1000.0, 0.0) == 0.0
    assert flow.opens_at(1000.0, size_bytes=10_000) <= 1000.0


def test_an_acknowledgement_of_the_same_sequence_releases_the_frame_that_was_sent_again() -> None:
    flow = acknowledging(rate_bytes_s=MB, size_bytes=100_000)
    flow.sent(1, 100_000, 10.0, again=True)

    assert flow.acknowledge(1, 10.1) == 1
    assert flow.in_flight == 0


def test_a_second_word_of_the_first_sending_does_not_release_the_better_one() -> None:
    flow = acknowledging(rate_bytes_s=MB, rtt_s=0.1, size_bytes=100_000)
    flow.sent(1, 2 * MB, 10.0, again=True)

    # The better one takes two seconds: this was presented at its common instant, and says so.
    assert flow.acknowledge(1, 10.3, held_s=1.0) == 0

    assert flow.in_flight_bytes == 2 * MB
    assert flow.rate_bytes_s == pytest.approx(MB)
    assert flow.acknowledge(1, 12.1) == 1, "that of the better one"
    assert flow.in_flight == 0


def test_nothing_is_learnt_of_the_link_where_the_sending_that_is_meant_is_not_told() -> None:
    flow = acknowledging(rate_bytes_s=MB, rtt_s=0.1, size_bytes=100_000)
    for sequence in range(2, 12):
        at = sequence * 10.0
        flow.sent(sequence, 100_000, at)
        flow.acknowledge(sequence, at + 0.2)
        flow.sent(sequence, 2 * MB, at + 3.0, again=True)
        assert flow.acknowledge(sequence, at + 4.2) == 1

    assert flow.rate_bytes_s == pytest.approx(MB)


def test_the_next_frames_acknowledgement_releases_a_better_tier_before_it_and_says_how_fast_it_was() -> None:
    flow = acknowledging(rate_bytes_s=MB, rtt_s=0.1, size_bytes=100_000)
    flow.sent(1, 2 * MB, 10.0, again=True)
    flow.acknowledge(1, 10.05)
    flow.sent(2, 100_000, 11.0)

    assert flow.acknowledge(2, 12.2) == 2

    assert flow.in_flight == 0
    assert flow.rate_bytes_s == pytest.approx(MB)


def test_a_silent_peer_is_never_told_stalled() -> None:
    flow = FlowControl()
    flow.sent(1, 100, 0.0)

    assert flow.stalled_for_s(1e6, 0.0) == 0.0


def test_the_state_tells_bytes_milliseconds_and_bytes_per_second() -> None:
    flow = acknowledging(rate_bytes_s=2 * MB, rtt_s=0.08)
    flow.sent(2, MB, 10.0)

    assert flow.state() == {
        "window_bytes": 2 * MB,
        "in_flight": 1,
        "in_flight_bytes": MB,
        "rtt_ms": 80.0,
        "min_rtt_ms": 80.0,
        "goodput_bytes_s": 2 * MB,
    }


def test_the_state_of_a_new_connection_tells_what_is_not_known() -> None:
    state = FlowControl().state()

    assert (state["rtt_ms"], state["min_rtt_ms"], state["goodput_bytes_s"]) == (None, None, None)
    assert state["in_flight"] == 0


def test_frames_that_were_sent_again_are_waited_for_no_longer_than_they_take() -> None:
    flow = FlowControl()
    flow.sent(1, 100_000, 0.0)
    assert flow.settled_at == float("inf"), "a first sending is always acknowledged"
    flow.acknowledge(1, 0.5)

    flow.sent(1, 100_000, 10.0, again=True)

    assert 10.0 < flow.settled_at < 13.0
