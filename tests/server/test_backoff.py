"""The pauses between tries."""

from __future__ import annotations

import pytest

from server.generation.backoff import Backoff


def test_pauses_double_up_to_the_cap() -> None:
    backoff = Backoff(first_s=0.2, cap_s=1.0, draw=lambda: 1.0)

    pauses_s = [backoff.next_s() for _ in range(5)]

    assert pauses_s == [0.2, 0.4, 0.8, 1.0, 1.0]


def test_half_of_each_pause_is_drawn_at_random() -> None:
    shortest = Backoff(first_s=0.2, cap_s=10.0, draw=lambda: 0.0)
    middle = Backoff(first_s=0.2, cap_s=10.0, draw=lambda: 0.5)

    assert [shortest.next_s(), shortest.next_s()] == pytest.approx([0.1, 0.2])
    assert [middle.next_s(), middle.next_s()] == pytest.approx([0.15, 0.3])


def test_after_a_reset_the_first_pause_comes_again() -> None:
    backoff = Backoff(first_s=0.2, cap_s=10.0, draw=lambda: 1.0)
    backoff.next_s()
    backoff.next_s()

    backoff.reset()

    assert backoff.next_s() == 0.2


def test_thousands_of_tries_stay_at_the_cap() -> None:
    backoff = Backoff(first_s=0.2, cap_s=10.0)

    assert max(backoff.next_s() for _ in range(5_000)) <= 10.0


@pytest.mark.parametrize(("first_s", "cap_s"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0)])
def test_limits_out_of_order_are_refused(first_s: float, cap_s: float) -> None:
    with pytest.raises(ValueError, match="first_s"):
        Backoff(first_s=first_s, cap_s=cap_s)
