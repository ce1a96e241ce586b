"""Turns of the writers that have something to write: in the order of their calls, a little at a time.

A canvas with a thousand subscribers publishes a frame for all of them at once; writing it to them takes
the event loop longer than whoever else needs it may wait. The rule that must not be broken: a writer is
in line at most once, and none is passed over.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from server.streaming.clock import Clock


# How long writers write before whatever else the event loop has to do gets its turn, seconds.
SLICE_S = 0.002
# So much longer for each who waits, and at most that much: the acknowledgements of those who were served
# first cost half as much as serving them, and whoever is last in a line of a thousand waits for those too.
SLICE_PER_WAITING_S = 0.00002
MAX_SLICE_S = 0.02


class Turn(Protocol):
    """Who may wait in line."""

    is_enqueued: bool

    def pump(self) -> None:
        """Do what there is to do, without waiting."""

    def fail(self, error: Exception) -> None:
        """Take what its turn raised, and what nobody else can take."""


class Rounds:
    """The line of those who have something to do. One for each event loop.

    Args:
        call_soon: Has something called at the loop's next iteration; the running loop's, unless told.
        clock: Monotonic seconds.
    """

    def __init__(
        self, call_soon: Callable[[Callable[[], None]], object] | None = None, clock: Clock = time.monotonic
    ) -> None:
        self._call_soon = call_soon or _call_soon
        self._clock = clock
        self._line: deque[Turn] = deque()
        self._is_called = False

    def __len__(self) -> int:
        return len(self._line)

    def enqueue(self, writer: Turn) -> None:
        """Give a writer its turn soon; nothing happens if it is in line already."""
        if writer.is_enqueued:
            return
        writer.is_enqueued = True
        self._line.append(writer)
        if not self._is_called:
            self._is_called = True
            self._call_soon(self._run)

    def _run(self) -> None:
        line, clock = self._line, self._clock
        until = clock() + min(SLICE_S + SLICE_PER_WAITING_S * len(line), MAX_SLICE_S)
        try:
            while line:
                writer = line.popleft()
                writer.is_enqueued = False
                try:
                    writer.pump()
                except Exception as exc:  # noqa: BLE001 - a bug with one must not take the others' turns
                    writer.fail(exc)
                if clock() >= until:
                    break
        finally:
            self._is_called = bool(line)
            if line:
                self._call_soon(self._run)


def _call_soon(call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_soon(call)
