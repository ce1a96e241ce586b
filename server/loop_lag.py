"""How late the event loop is: what everything that runs on it waits for everything else."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import NoReturn

from server.streaming.clock import Clock


# Often enough for 5 ms at 60 frames per second to be met, and nothing beside what frames cost.
INTERVAL_S = 0.05
# Of so many looks: a minute's.
WINDOW_S = 60.0


class LoopLag:
    """Wakes regularly, and notes how late."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lags: deque[tuple[float, float]] = deque(maxlen=round(WINDOW_S / INTERVAL_S))

    async def watch(self) -> NoReturn:
        """Look, 20 times a second."""
        while True:
            due_at = self._clock() + INTERVAL_S
            await asyncio.sleep(INTERVAL_S)
            self.note(self._clock() - due_at)

    def note(self, lag_s: float) -> None:
        """Note how late a look was, seconds."""
        self._lags.append((self._clock(), max(0.0, lag_s)))

    def state(self) -> dict[str, float | None]:
        """Describe the last minute, milliseconds; None before the first look."""
        first_at = self._clock() - WINDOW_S
        lags = sorted(lag_s for noted_at, lag_s in self._lags if noted_at >= first_at)
        if not lags:
            return {"p50": None, "p99": None, "max": None}
        chosen = {"p50": lags[len(lags) // 2], "p99": lags[int(0.99 * len(lags))], "max": lags[-1]}
        return {name: round(1000.0 * lag_s, 3) for name, lag_s in chosen.items()}
