"""What a canvas hears, from however many microphones, and what that does to it at a moment. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from server.sound.mapping import Audio, Modulation


@dataclass(frozen=True, slots=True)
class Features:
    """What one microphone tells of a moment, each from 0 to 1."""

    level: float = 0.0
    low: float = 0.0
    mid: float = 0.0
    high: float = 0.0
    onset: float = 0.0
    beat: float = 0.0


class Hearing:
    """The sound at one canvas."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    def hear(self, sender: Hashable, features: Features) -> None:
        """Take what a microphone tells."""

    def modulation(self, audio: Audio) -> Modulation:
        """Return what the sound does at this moment; neutral without sound."""
        return Modulation()
