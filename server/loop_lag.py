"""How late the event loop is: what everything that runs on it waits for everything else."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from server.streaming.clock import Clock


# Three hundred looks a minute tell what one in a hundred waits; from an idle sleep each costs 0.2 ms.
INTERVAL_S = 0.2
# Of so many looks: a minute's.
WINDOW_S = 60.0


class Timer(Protocol):
    """What can be called off."""

    def cancel(self) -> None:
        """Do not call."""


CallLater = Callable[[float, Callable[[], None]], Timer]
"""Has something called after so many seconds."""


class LoopLag:
    """Wakes regularly, and notes how late."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lags: deque[tuple[float, float]] = deque(maxlen=round(WINDOW_S / INTERVAL_S))
        self._timer: Timer | None = None
        self._due_at = 0.0

    async def watch(self, call_later: CallLater | None = None) -> None:
        """Look, five times a second, until it is cancelled.

        By a timer that the loop calls itself: a task that sleeps takes a second turn of the loop for each.

        Args:
            call_later: Has something called after so many seconds; the running loop's, unless told.
        """
        loop = asyncio.get_running_loop()
        call_later = call_later or loop.call_later
        self._arm(call_later)
        try:
            await loop.create_future()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _arm(self, call_later: CallLater) -> None:
        self._due_at = self._clock() + INTERVAL_S
        self._timer = call_later(INTERVAL_S, functools.partial(self._look, call_later))

    def _look(self, call_later: CallLater) -> None:
        self.note(self._clock() - self._due_at)
        self._arm(call_later)

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
