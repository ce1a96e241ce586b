"""What a source outside pushes to one job: the newest picture waits, and no other. Pure.

Nothing here waits or decodes, so that whoever reads from a socket can hand over at any speed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from server.errors import PsycheError


@dataclass(frozen=True, slots=True)
class Pushed:
    """An image file as it came in, not yet judged."""

    data: bytes = field(repr=False)
    received_ms: float  # Unix


class Feed:
    """Single-slot buffer between a source and the job that shows its pictures.

    Attributes:
        accepted: Pictures that were shown.
        dropped: Pictures that a newer one replaced before they were judged.
        refused: Messages that were no picture.
        sequence: Of the newest frame that came of this, or None before the first.
        on_change: Called when there is something to take, or nothing more comes.
        on_demand: Called when screens begin to ask for frames, and when the last one ceases.
        on_refused: Called with the reason when a message was no picture.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.dropped = 0
        self.refused = 0
        self.sequence: int | None = None
        self.on_change: Callable[[], None] = lambda: None
        self.on_demand: Callable[[], None] = lambda: None
        self.on_refused: Callable[[PsycheError], None] = lambda error: None
        self._waiting: Pushed | None = None
        self._is_over = False
        self._has_demand = False

    @property
    def has_waiting(self) -> bool:
        """Whether a picture waits to be taken."""
        return self._waiting is not None

    @property
    def is_spent(self) -> bool:
        """Whether the source has gone and all that it left is taken."""
        return self._is_over and self._waiting is None

    def offer(self, data: bytes, received_ms: float) -> None:
        """Put the newest picture in, replacing one not taken."""
        if self._is_over:
            return
        self.dropped += self._waiting is not None
        self._waiting = Pushed(data, received_ms)
        self.on_change()

    def take(self) -> Pushed | None:
        """Take the picture that waits, or None."""
        taken, self._waiting = self._waiting, None
        return taken

    def end(self) -> None:
        """Take in nothing more; what waits can still be taken. Idempotent."""
        self._is_over = True
        self.on_change()

    def accept(self, sequence: int) -> None:
        """Note that a picture became the frame of this sequence."""
        self.accepted += 1
        self.sequence = sequence

    def refuse(self, error: PsycheError) -> None:
        """Note that a message was no picture."""
        self.refused += 1
        self.on_refused(error)

    def set_demand(self, demand_fps: float) -> None:
        """Note how many frames per second the screens ask for."""
        has_demand = demand_fps > 0.0
        if has_demand != self._has_demand:
            self._has_demand = has_demand
            self.on_demand()
