"""What is learned of a link: its rate, and the round trip without our own queue in it."""

from __future__ import annotations

import pytest

from server.streaming.flow.link import LEAST_SPAN_S, LinkRate, densest
from server.streaming.flow.round_trip import (
    BUSY_PING_INTERVAL_S,
    FIRST_PINGS,
    MAX_WAITING,
    PING_INTERVAL_S,
    PROOF_S,
    QUICK_PING_INTERVAL_S,
    SAMPLE_AGE_S,
    SAMPLES,
    RoundTrip,
)


NOBODY = -1


def measured(*samples: tuple[float, float]) -> RoundTrip:
    """Return the round trip after pongs of pings over an idle link: sent at, seconds."""
    trip = RoundTrip()
    for tag, (sent_at, seconds) in enumerate(samples):
        trip.pinged(tag, sent_at, NOBODY)
        trip.pong(tag, sent_at + seconds, 0, 0.0)
    return trip


def test_the_rate_is_bytes_over_the_time_that_the_link_took() -> None:
    link = LinkRate()

    link.carried(500_000, 0.25, 0.0, is_behind=False)

    assert link.bytes_s == 2_000_000


def test_one_pause_or_one_burst_does_not_move_the_rate() -> None:
    link = LinkRate()

    for span_s in (0.1, 0.1, 0.1, 2.0, 0.1, 0.1, 0.001, 0.1):
        link.carried(100_000, span_s, 0.0, is_behind=False)

    assert link.bytes_s == pytest.approx(1_000_000)


@pytest.mark.parametrize("span_s", [0.02, 0.5])
def test_two_samples_far_to_one_side_are_a_changed_link(span_s: float) -> None:
    link = LinkRate()
    for _ in range(5):
        link.carried(100_000, 0.1, 0.0, is_behind=False)

    link.carried(100_000, span_s, 0.0, is_behind=False)
    link.carried(100_000, span_s, 0.0, is_behind=False)

    assert link.bytes_s == pytest.approx(100_000 / span_s)


def test_a_link_that_starts_slowly_after_a_pause_is_as_fast_as_it_is_when_busy() -> None:
    link = LinkRate()

    for _ in range(4):
        link.carried(100_000, 0.3, 0.0, is_behind=False)
        link.carried(100_000, 0.1, 0.0, is_behind=True)

    assert link.bytes_s == pytest.approx(1_000_000)


def test_spans_below_the_noise_say_only_that_the_link_is_at_least_so_fast() -> None:
    link = LinkRate()

    link.carried(100_000, -0.01, 0.02, is_behind=False)
    assert link.bytes_s == pytest.approx(5_000_000)

    link = LinkRate()
    link.carried(100_000, -0.01, 0.0, is_behind=False)
    assert link.bytes_s == pytest.approx(100_000 / LEAST_SPAN_S)


def test_a_pause_between_frames_acknowledged_together_is_not_counted() -> None:
    first, second = (1, 100_000, 0.0, False), (2, 100_000, 5.0, False)

    # The link idled for most of the 5.1 s; the second frame took 0.1 s of them.
    assert densest([first, second], 5.1, 200_000, 5.1) == (100_000, pytest.approx(0.1))
    # Sent together they are one long transmission.
    assert densest([first, (2, 100_000, 0.01, False)], 0.2, 200_000, 0.2) == (200_000, 0.2)


def test_the_least_of_the_pongs_counts() -> None:
    trip = measured((0.0, 0.09), (1.0, 0.08), (2.0, 0.1))

    assert trip.least_s == pytest.approx(0.08)
    assert 0.08 < (trip.smoothed_s or 0.0) < 0.1
    assert trip.jitter_s > 0.0


def test_a_longer_way_is_believed_after_a_few_pongs() -> None:
    short, long = (0.0, 0.02), tuple((1.0 + index, 0.2) for index in range(SAMPLES))

    assert measured(short, *long[:-1]).least_s == pytest.approx(0.02)
    assert measured(short, *long).least_s == pytest.approx(0.2)


def test_a_sample_from_before_a_long_pause_does_not_count_beside_a_newer_one() -> None:
    assert measured((0.0, 0.02), (SAMPLE_AGE_S + 1.0, 0.2)).least_s == pytest.approx(0.2)


def test_a_pong_that_waited_behind_a_frame_says_nothing() -> None:
    trip = measured((0.0, 0.02))
    trip.pinged(7, 1.0, 6)

    # The acknowledgement of frame 6 came right before it.
    trip.pong(7, 1.3, 6, 1.299)

    assert trip.least_s == pytest.approx(0.02)


def test_a_pong_that_comes_well_after_the_frame_before_it_has_not_waited() -> None:
    trip = measured((0.0, 0.02), (0.1, 0.02))
    trip.pinged(7, 1.0, 6)

    trip.pong(7, 1.2, 6, 1.1)

    assert trip.smoothed_s == pytest.approx(0.02 + (0.2 - 0.02) * 0.125)


@pytest.mark.parametrize(("arrived_at", "counts"), [(1.1, True), (1.199, False)])
def test_a_pong_ahead_of_an_acknowledgement_is_judged_when_that_comes(
    arrived_at: float, counts: bool
) -> None:
    trip = measured((0.0, 0.02))
    trip.pinged(7, 1.0, 6)
    trip.pong(7, 1.2, 5, 0.9)
    assert trip.smoothed_s == pytest.approx(0.02)

    trip.acknowledged(6, arrived_at)

    assert (trip.smoothed_s != pytest.approx(0.02)) is counts


def test_a_shorter_way_is_believed_at_once_even_behind_a_frame() -> None:
    trip = measured((0.0, 0.2))
    trip.pinged(7, 1.0, 6)

    trip.pong(7, 1.05, 6, 1.05)

    assert trip.least_s == pytest.approx(0.05)


def test_unknown_tags_are_ignored() -> None:
    trip = measured((0.0, 0.02))

    trip.pong(99, 5.0, 0, 0.0)
    trip.pong(0, 5.0, 0, 0.0)

    assert trip.least_s == pytest.approx(0.02)


def test_pings_without_an_answer_are_forgotten() -> None:
    trip = RoundTrip()

    for tag in range(1000):
        trip.pinged(tag, float(tag), NOBODY)

    assert len(trip._waiting) == MAX_WAITING
    trip.pong(999, 999.5, 0, 0.0)
    assert len(trip._waiting) == 0


def test_the_first_frames_each_carry_a_ping_and_later_ones_about_one_a_second() -> None:
    trip = RoundTrip()
    for tag in range(FIRST_PINGS):
        assert trip.wants_ping(0.0, 0.0)
        trip.pinged(tag, 0.0, NOBODY)

    assert not trip.wants_ping(PING_INTERVAL_S - 0.01, 0.01)
    assert trip.wants_ping(PING_INTERVAL_S, 0.01)
    # A link that is nearly always idle has little to tell; one that is not known has.
    assert trip.wants_ping(PING_INTERVAL_S, 0.0)
    assert not trip.wants_ping(QUICK_PING_INTERVAL_S - 0.01, 0.001)
    assert trip.wants_ping(QUICK_PING_INTERVAL_S, 0.001)


def test_on_a_link_that_frames_keep_busy_nearly_each_carries_a_ping() -> None:
    trip = RoundTrip()
    for tag in range(FIRST_PINGS):
        trip.pinged(tag, 0.0, NOBODY)

    assert trip.wants_ping(BUSY_PING_INTERVAL_S, 0.2)
    assert not trip.wants_ping(BUSY_PING_INTERVAL_S / 2.0, 0.2)


def test_when_all_pongs_wait_behind_frames_one_is_wanted_over_an_idle_link() -> None:
    trip = measured((0.0, 0.02))
    assert not trip.wants_proof(PROOF_S)
    assert trip.wants_proof(PROOF_S + 0.1)

    # Asked once, then not again before a while: a peer may answer no pings any more.
    trip.pinged(7, PROOF_S + 0.1, 6)
    assert not trip.wants_proof(PROOF_S + 0.2)
    assert trip.wants_proof(PROOF_S + 0.2 + PING_INTERVAL_S)


def test_without_any_pong_no_frame_is_held_back_for_one() -> None:
    assert not RoundTrip().wants_proof(1e9)
