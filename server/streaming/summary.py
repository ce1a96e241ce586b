"""How the screens of a canvas fare, all of them together: the usual one and the worst. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import median_high, median_low
from typing import Any


def summarise(subscribers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Describe a canvas's screens for `/state`; None for what none of them tells.

    Args:
        subscribers: Each as `/state` tells it: `Subscriber.state` with `Ages.state`.

    Returns:
        ``age`` in milliseconds: ``p50`` of the usual screen, ``p99`` of the worst; ``rtt_ms``,
        ``goodput_bytes_s`` and ``window_bytes``: ``usual`` and ``worst``; ``tiers``: screens by tier.
    """
    return {
        "age": {
            "p50": _usual(row["age"]["p50"] for row in subscribers),
            "p99": _worst(max, (row["age"]["p99"] for row in subscribers)),
        },
        "rtt_ms": _both(max, [row["rtt_ms"] for row in subscribers]),
        "goodput_bytes_s": _both(min, [row["goodput_bytes_s"] for row in subscribers]),
        "window_bytes": _both(max, [row["window_bytes"] for row in subscribers]),
        "tiers": dict(Counter(row["tier"] for row in subscribers if row["tier"])),
    }


def _both(worst: Callable[..., Any], values: Sequence[float | None]) -> dict[str, float | None]:
    # Of two screens, the better one is the usual.
    return {
        "usual": _usual(values, median_low if worst is max else median_high),
        "worst": _worst(worst, values),
    }


def _usual(
    values: Iterable[float | None], median: Callable[[list[float]], float] = median_low
) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _worst(worst: Callable[..., Any], values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return worst(known) if known else None
