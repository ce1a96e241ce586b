"""What happens again and again, in the log as counts: one line per canvas and second at most.

Whatever a peer or a source can cause as often as it likes belongs here, so that nobody can flood the
log: a thousand connections a second are one line.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import NoReturn

import structlog

from server.streaming.clock import Clock


log = structlog.get_logger(__name__)

INTERVAL_S = 1.0
# Canvases of one second; what happens on others in that second is told together.
MAX_CANVASES = 128
OTHERS = "others"


class Tally:
    """Counts reasons by canvas."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        # Those that were told of within the last interval, and what has happened since.
        self._told_at: dict[str | None, float] = {}
        self._counts: dict[str | None, Counter[str]] = {}

    def count(self, reason: str, *, canvas: str | None = None, times: int = 1) -> None:
        """Note that something happened; told at once if nothing was told of that canvas lately.

        Args:
            reason: A word or two of ours, never anybody's text.
            canvas: Its slug, or None for what belongs to none.
            times: How often; nothing is noted for 0.
        """
        if times <= 0:
            return
        if canvas not in self._told_at and len(self._told_at) >= MAX_CANVASES:
            canvas = OTHERS
        counts = self._counts.setdefault(canvas, Counter())
        counts[reason] += times
        if canvas not in self._told_at:
            self._tell(canvas, self._clock())

    def flush(self) -> None:
        """Tell what is due; to be called about once a second."""
        now_s = self._clock()
        for canvas, told_at in tuple(self._told_at.items()):
            if now_s - told_at < INTERVAL_S:
                continue
            if canvas in self._counts:
                self._tell(canvas, now_s)
            else:
                del self._told_at[canvas]

    async def tell(self) -> NoReturn:
        """Tell what happened, for as long as the server runs."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            self.flush()

    def _tell(self, canvas: str | None, now_s: float) -> None:
        counts = self._counts.pop(canvas)
        self._told_at[canvas] = now_s
        about = {} if canvas is None else {"canvas": canvas}
        log.info("counted", **about, counts=dict(counts))
