"""How much may be on its way to one subscriber."""

from __future__ import annotations

import pytest

from server.errors import ProtocolError
from server.streaming.flow.control import DEFAULT_LIMIT, Window


def acknowledging(limit: int = DEFAULT_LIMIT) -> Window:
    """Return a window of a peer that has acknowledged frame 1."""
    window = Window(limit)
    window.sent(1, 100, 0.0)
    window.acknowledge(1, 0.0)
    return window


def test_a_silent_peer_is_not_bounded_here() -> None:
    window = Window()

    for sequence in range(1, 100):
        assert window.is_open(0.0)
        window.sent(sequence, 1000, 0.0)

    assert (window.in_flight, window.in_flight_bytes) == (0, 0)
    assert (window.sent_frames, window.sent_bytes) == (99, 99_000)


def test_what_is_remembered_of_a_silent_peer_stays_small() -> None:
    window = Window()

    for sequence in range(1, 10_000):
        window.sent(sequence, 1000, 0.0)

    assert len(window._in_flight) == DEFAULT_LIMIT


def test_the_first_acknowledgement_makes_a_peer_bounded() -> None:
    window = Window()
    for sequence in range(1, 6):
        window.sent(sequence, 100, 0.0)

    released = window.acknowledge(3, 1.0)

    assert released == 0
    assert window.is_acknowledging
    assert window.in_flight == 2
    assert not window.is_open(1.0)


def test_a_full_window_is_shut_until_a_frame_is_acknowledged() -> None:
    window = acknowledging(limit=2)
    window.sent(2, 100, 0.0)
    window.sent(3, 200, 0.0)

    assert not window.is_open(0.0)
    assert (window.in_flight, window.in_flight_bytes) == (2, 300)

    assert window.acknowledge(2, 1.0) == 1
    assert window.is_open(1.0)
    assert (window.in_flight, window.in_flight_bytes) == (1, 200)


def test_an_acknowledgement_releases_all_lower_frames() -> None:
    window = acknowledging(limit=3)
    for sequence in (5, 9, 12):
        window.sent(sequence, 100, 0.0)

    assert window.acknowledge(11, 1.0) == 2
    assert window.in_flight == 1
    assert window.acknowledged == 11


def test_an_acknowledgement_that_comes_again_releases_nothing() -> None:
    window = acknowledging()
    window.sent(2, 100, 0.0)
    window.acknowledge(2, 0.0)

    assert window.acknowledge(1, 0.0) == 0
    assert window.acknowledge(2, 0.0) == 0
    assert window.acknowledged == 2


@pytest.mark.parametrize("sequence", [-1, 4, 2**63, 10**4000])
def test_a_made_up_acknowledgement_is_refused_and_changes_nothing(sequence: int) -> None:
    window = acknowledging()
    window.sent(3, 100, 0.0)

    with pytest.raises(ProtocolError, match="newest sent is 3"):
        window.acknowledge(sequence, 5.0)

    assert window.in_flight == 1
    assert window.acknowledged == 1


def test_before_the_first_frame_only_zero_can_be_acknowledged() -> None:
    assert Window().acknowledge(0, 0.0) == 0
    with pytest.raises(ProtocolError):
        Window().acknowledge(1, 0.0)


def test_the_wish_for_a_rate_holds_the_next_frame_back() -> None:
    window = Window()
    window.set_max_fps(10.0)
    window.sent(1, 100, 5.0)

    assert not window.is_open(5.05)
    assert window.opens_in_s(5.05) == pytest.approx(0.049)
    assert window.is_open(5.1)
    assert window.opens_in_s(5.1) is None


def test_a_frame_that_comes_a_millisecond_early_is_not_held_back() -> None:
    window = Window()
    window.set_max_fps(30.0)
    window.sent(1, 100, 5.0)

    assert window.is_open(5.0 + 1 / 30 - 0.0009)


def test_the_wish_can_be_taken_back() -> None:
    window = Window()
    window.set_max_fps(0.1)
    window.sent(1, 100, 5.0)

    window.set_max_fps(None)

    assert window.is_open(5.0)


def test_a_peer_is_stalled_from_when_its_window_is_full_or_it_has_last_acknowledged() -> None:
    window = acknowledging(limit=2)
    window.sent(2, 100, 10.0)
    assert window.stalled_for_s(15.0) == 0.0

    window.sent(3, 100, 20.0)
    assert window.stalled_for_s(25.0) == 5.0
    window.acknowledge(1, 26.0)
    assert window.stalled_for_s(28.0) == 2.0

    window.acknowledge(2, 30.0)
    assert window.stalled_for_s(100.0) == 0.0
    window.sent(4, 100, 100.0)
    assert window.stalled_for_s(101.0) == 1.0


def test_a_pause_without_frames_does_not_count_as_stalled() -> None:
    window = acknowledging(limit=2)

    window.sent(2, 100, 1000.0)
    window.sent(3, 100, 1000.5)

    assert window.stalled_for_s(1001.0) == 0.5


def test_a_silent_peer_is_never_told_stalled() -> None:
    window = Window()
    window.sent(1, 100, 0.0)

    assert window.stalled_for_s(1e6) == 0.0
