"""How fast pictures are painted, as learned."""

from __future__ import annotations

import pytest

from inference.pace import Pace


def test_nothing_is_claimed_before_anything_was_painted() -> None:
    assert Pace().megapixels_per_s == 0.0


def test_the_mean_is_over_the_engines_time() -> None:
    pace = Pace()
    pace.add(1_000_000, busy_s=0.5)

    assert pace.megapixels_per_s == pytest.approx(2.0)


def test_a_change_is_followed() -> None:
    pace = Pace()
    for _ in range(500):
        pace.add(1_000_000, busy_s=1.0)
    for _ in range(200):
        pace.add(1_000_000, busy_s=0.1)

    assert pace.megapixels_per_s > 7
