"""Wall time that never jumps."""

from __future__ import annotations

import time

import pytest

from server.streaming.clock import iso_utc, now_ms


def test_now_is_the_time_in_unix_milliseconds() -> None:
    assert now_ms() == pytest.approx(time.time() * 1000.0, abs=1000.0)


def test_a_clock_that_is_set_back_does_not_set_ours_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before_ms = now_ms()

    monkeypatch.setattr("time.time", lambda: 0.0)

    assert now_ms() >= before_ms


@pytest.mark.parametrize(
    ("unix_ms", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_795_184_917_348.5, "2026-11-20T14:28:37.348Z"),
        (1_795_184_917_999.999, "2026-11-20T14:28:37.999Z"),
        (1_795_184_917_007.0, "2026-11-20T14:28:37.007Z"),
    ],
)
def test_instants_are_written_in_utc_with_three_decimals(unix_ms: float, text: str) -> None:
    assert iso_utc(unix_ms) == text
