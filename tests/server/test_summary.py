"""What is told of all screens of a canvas together."""

from __future__ import annotations

from typing import Any

from server.streaming.summary import summarise


def row(p50: float | None, p99: float | None, **fields: Any) -> dict[str, Any]:
    """Describe a screen as `/state` does."""
    told = {"rtt_ms": None, "goodput_bytes_s": None, "window_bytes": 0, "tier": None}
    return {"age": {"p50": p50, "p99": p99}, **told, **fields}


def test_the_usual_screen_and_the_worst_are_told() -> None:
    rows = [
        row(10.0, 20.0, rtt_ms=5.0, goodput_bytes_s=9_000_000, window_bytes=100, tier="original"),
        row(30.0, 90.0, rtt_ms=80.0, goodput_bytes_s=1_000_000, window_bytes=900, tier="jpeg-50-85"),
        row(12.0, 25.0, rtt_ms=7.0, goodput_bytes_s=8_000_000, window_bytes=200, tier="original"),
    ]

    assert summarise(rows) == {
        "age": {"p50": 12.0, "p99": 90.0},
        "rtt_ms": {"usual": 7.0, "worst": 80.0},
        "goodput_bytes_s": {"usual": 8_000_000, "worst": 1_000_000},
        "window_bytes": {"usual": 200, "worst": 900},
        "tiers": {"original": 2, "jpeg-50-85": 1},
    }


def test_what_no_screen_tells_is_not_made_up() -> None:
    nobody = {"usual": None, "worst": None}

    assert summarise([]) == {
        "age": {"p50": None, "p99": None},
        "rtt_ms": nobody,
        "goodput_bytes_s": nobody,
        "window_bytes": nobody,
        "tiers": {},
    }
    assert summarise([row(None, None)])["window_bytes"] == {"usual": 0, "worst": 0}
