"""Who is told what the scheduler does, such as the metrics."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Is told what happens, on the event loop; must be quick and must not raise."""

    def on_tick(self, model: str, rows: int, bucket: int, seconds: float, own_s: float) -> None:
        """Take note of a tick.

        Args:
            model: Whose pictures.
            rows: How many went through the step; 0 where there was none.
            bucket: How many it was padded to.
            seconds: How long it took in the engines' thread.
            own_s: How long the scheduler itself was at work for it, in both threads.
        """

    def on_painted(self, model: str, queued_s: float, painted_s: float) -> None:
        """Take note of a finished picture: seconds until it was taken up, and from then on."""

    def on_given_up(self, reason: str) -> None:
        """Take note of a picture that nobody gets: "cancelled", "deadline" or "failed"."""


class NullObserver:
    """Takes note of nothing."""

    def on_tick(self, model: str, rows: int, bucket: int, seconds: float, own_s: float) -> None:
        """Do nothing."""

    def on_painted(self, model: str, queued_s: float, painted_s: float) -> None:
        """Do nothing."""

    def on_given_up(self, reason: str) -> None:
        """Do nothing."""
