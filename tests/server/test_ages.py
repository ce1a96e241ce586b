"""How old frames are on the screen, split by stage, whatever a browser tells."""

from __future__ import annotations

import math

import pytest
from images import TINY

from server.streaming.ages import MAX_ACKNOWLEDGED, MAX_HELD, MAX_SENT, WINDOW_MS, Ages, Stages
from server.streaming.frame import Frame


PAINTED = 1_000_000.0
NOW = PAINTED + 100.0
# What makes the server's time of the browser's.
OFFSET = 400_000.0


def sent(ages: Ages, sequence: int = 1, *, painted_ms: float = PAINTED) -> None:
    """Send a frame: published 2 ms after it was painted, encoded 5 ms later, sent 3 ms after that."""
    frame = Frame("left", sequence, "x", painted_ms, painted_ms + 2.0, TINY)
    ages.note_sent(sequence, frame, "original", painted_ms + 7.0, painted_ms + 10.0)


def told(
    ages: Ages,
    received: float,
    decoded: float | None,
    presented: float | None,
    *,
    offset: float | None = OFFSET,
    now_ms: float = NOW,
    sequence: int = 1,
) -> Stages | None:
    """Acknowledge, with the instants as milliseconds after the picture was painted."""
    base = PAINTED - OFFSET
    counts = ages.acknowledged(
        sequence,
        base + received,
        None if decoded is None else base + decoded,
        None if presented is None else base + presented,
        offset,
        8.0,
        now_ms,
    )
    return ages.stages(now_ms)[-1] if counts else None


def test_the_stages_are_the_time_from_the_picture_to_the_screen() -> None:
    ages = Ages()
    sent(ages)

    stages = told(ages, 30.0, 36.0, 50.0)

    assert stages == Stages(30.0, 50.0, 2.0, 5.0, 3.0, 20.0, 6.0, 14.0)
    assert ages.state(NOW) == {
        "age": {"p50": 50.0, "p99": 50.0},
        "received_age": {"p50": 30.0, "p99": 30.0},
        "stages": {
            "publish": 2.0, "encode": 5.0, "wait": 3.0, "network": 20.0, "decode": 6.0, "present": 14.0
        },
        "clock_error_ms": 4.0,
    }  # fmt: skip


@pytest.mark.parametrize("error", [-1e12, -25.0, 0.0, 25.0, 1e12, math.nan, math.inf])
@pytest.mark.parametrize(
    "instants", [(30, 36, 50), (50, 36, 30), (30, 1e15, 2e15), (30, -1e15, 50), (0, 0, 0)]
)
def test_whatever_is_told_no_stage_is_negative_and_the_sum_is_the_age(
    instants: tuple[float, float, float], error: float
) -> None:
    ages = Ages()
    sent(ages)

    stages = told(ages, *instants, offset=OFFSET + error)

    assert stages is not None
    if not math.isnan(stages.age_ms):
        assert min(stages[2:]) >= 0.0
        assert sum(stages[2:]) == pytest.approx(stages.age_ms, abs=1e-6)
        assert stages.age_ms <= NOW - PAINTED + 1e-6
    ages.state(NOW)


def test_a_wrong_clock_moves_the_browsers_time_as_a_whole_into_what_is_possible() -> None:
    ages = Ages()
    sent(ages)

    stages = told(ages, 30.0, 36.0, 50.0, offset=OFFSET - 25.0)

    # Received 5 ms before it was sent, says the clock: at once, then.
    assert stages is not None
    assert (stages.network, stages.decode, stages.present, stages.age_ms) == (0.0, 6.0, 14.0, 30.0)


def test_without_an_offset_only_durations_are_known() -> None:
    ages = Ages()
    sent(ages)

    told(ages, 30.0, 36.0, 50.0, offset=None)

    state = ages.state(NOW)
    assert state["age"] == state["received_age"] == {"p50": None, "p99": None}
    assert state["stages"]["network"] is None
    assert (state["stages"]["wait"], state["stages"]["decode"], state["stages"]["present"]) == (
        3.0,
        6.0,
        14.0,
    )


def test_one_that_tells_of_its_receipt_alone_has_an_age_at_receipt() -> None:
    ages = Ages()
    sent(ages)

    told(ages, 30.0, None, None)

    state = ages.state(NOW)
    assert state["received_age"] == {"p50": 30.0, "p99": 30.0}
    assert state["age"] == {"p50": None, "p99": None}
    assert (ages.acknowledged_frames, ages.presented_frames) == (1, 0)


def test_the_same_frame_in_a_better_tier_makes_it_no_older() -> None:
    ages = Ages()
    sent(ages)
    told(ages, 30.0, 36.0, 50.0)

    sent(ages)

    assert told(ages, 5000.0, 5001.0, 5002.0, now_ms=NOW + 5000.0) is None
    assert ages.state(NOW)["age"]["p99"] == 50.0


def test_a_held_frame_says_that_it_waited_to_be_presented() -> None:
    ages = Ages()
    sent(ages)

    stages = told(ages, 30.0, 36.0, 2000.0, now_ms=PAINTED + 2020.0)

    assert stages is not None
    assert (stages.network, stages.present) == (20.0, 1964.0)


def test_an_acknowledgement_of_what_is_unknown_counts_for_nothing() -> None:
    ages = Ages()
    sent(ages, 5)

    assert told(ages, 30.0, 36.0, 50.0, sequence=4) is None
    assert told(ages, 30.0, 36.0, 50.0, sequence=6) is None
    assert ages.acknowledged_frames == 0


def test_a_picture_from_the_future_is_as_old_as_its_publication() -> None:
    ages = Ages()
    ages.note_sent(1, Frame("left", 1, "x", PAINTED + 1e9, PAINTED, TINY), "original", 0.0, PAINTED)

    stages = told(ages, 30.0, 36.0, 50.0)

    assert stages is not None
    assert (stages.publish, stages.encode, stages.age_ms) == (0.0, 0.0, 50.0)


def test_what_is_long_past_is_forgotten_and_the_rest_is_bounded() -> None:
    ages = Ages()
    for sequence in range(1, 3 * MAX_ACKNOWLEDGED):
        sent(ages, sequence)
        told(ages, 30.0, 36.0, 50.0 if sequence < 2 * MAX_ACKNOWLEDGED else 60.0, sequence=sequence)
    assert ages.state(NOW)["age"] == {"p50": 60.0, "p99": 60.0}
    assert ages.state(NOW + WINDOW_MS + 1.0)["age"] == {"p50": None, "p99": None}

    # Never acknowledged: the oldest of too many is not known any more.
    start = 10_000
    for sequence in range(start, start + MAX_SENT + 1):
        sent(ages, sequence)
    assert told(ages, 30.0, 36.0, 50.0, sequence=start) is None
    assert told(ages, 30.0, 36.0, 50.0, sequence=start + 1) is not None


def test_percentiles_are_those_of_what_was_told() -> None:
    ages = Ages()
    for sequence in range(1, 101):
        sent(ages, sequence)
        told(ages, 20.0, 20.0, 20.0 + sequence / 2.0, sequence=sequence)

    assert ages.state(NOW)["age"] == {"p50": 45.5, "p99": 70.0}


def test_a_frame_that_was_acknowledged_on_receipt_is_told_of_once_more_when_it_is_shown() -> None:
    ages = Ages()
    sent(ages)
    sent(ages, 2)
    told(ages, 30.0, None, None)
    told(ages, 31.0, None, None, sequence=2)

    shown = told(ages, 30.0, 36.0, 90.0)

    assert shown is not None
    assert (shown.age_ms, shown.present) == (90.0, 54.0)
    assert told(ages, 30.0, 36.0, 90.0) is None
    assert ages.state(NOW)["age"]["p50"] == 90.0


def test_frames_that_are_never_shown_are_not_remembered_for_ever() -> None:
    ages = Ages()

    for sequence in range(1, 3 * MAX_HELD):
        sent(ages, sequence)
        told(ages, 30.0, None, None, sequence=sequence)

    assert told(ages, 30.0, 36.0, 90.0) is None
    assert told(ages, 30.0, 36.0, 90.0, sequence=3 * MAX_HELD - 1) is not None
