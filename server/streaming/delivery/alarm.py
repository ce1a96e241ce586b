"""One call at an instant, for somebody who may want it earlier or not at all by then. Knows no event loop.

The rule that must not be broken: what the call raises goes to somebody. An event loop would only log it,
and whatever was to be done then would never be done.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from server.streaming.delivery.link import Timer


class Alarm:
    """A timer that moves to earlier instants only: who is woken too early sets it again."""

    __slots__ = ("_call_at", "_due_at", "_fail", "_ring", "_timer")

    def __init__(
        self,
        call_at: Callable[[float, Callable[[], None]], Timer],
        ring: Callable[[], None],
        fail: Callable[[Exception], None],
    ) -> None:
        """Make an alarm that is not set.

        Args:
            call_at: Has something called at an instant of its clock.
            ring: Called once for each time that it was set.
            fail: Takes what that raises.
        """
        self._call_at = call_at
        self._ring = ring
        self._fail = fail
        self._timer: Timer | None = None
        self._due_at = math.inf

    def set(self, due_at: float) -> None:
        """Ring at this instant or before it; at infinity: not at all."""
        if self._due_at <= due_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due_at = due_at
        self._timer = self._call_at(due_at, self._on_timer)

    def cancel(self) -> None:
        """Do not ring. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due_at = math.inf

    def _on_timer(self) -> None:
        self._timer = None
        self._due_at = math.inf
        try:
            self._ring()
        except Exception as exc:  # noqa: BLE001 - whatever it is, there is one who can tell of it
            self._fail(exc)
