"""Where the browser for the browser tests is."""

from __future__ import annotations

from bench.browser import chromium
from bench.errors import BenchError


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None; where PSYCHE_CHROMIUM names one, it is that or none."""
    try:
        return chromium.find_chromium()
    except BenchError:
        return None
