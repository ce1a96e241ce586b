"""The server's clock: wall time that never jumps.

Wire messages carry Unix milliseconds. An installation runs for weeks, and a clock that NTP steps
back would make frames look newer than they are; so wall time is read once and then advanced by the
monotonic clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


_ANCHOR_MS = time.time() * 1000.0 - time.monotonic() * 1000.0

Clock = Callable[[], float]
"""Gives seconds or milliseconds, as the parameter's name says; injected so that tests need no sleep."""


def now_ms() -> float:
    """Return the time in Unix milliseconds; it never goes back."""
    return _ANCHOR_MS + time.monotonic() * 1000.0


def iso_utc(unix_ms: float) -> str:
    """Write an instant as ISO-8601 UTC with milliseconds, the form of the first protocol."""
    instant = datetime.fromtimestamp(unix_ms / 1000.0, tz=UTC)
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"
