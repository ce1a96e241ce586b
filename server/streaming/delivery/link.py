"""What a writer needs of the world: somewhere to write, and to be called at an instant."""

from __future__ import annotations

from typing import Protocol


class Link(Protocol):
    """Where a writer writes: a connection's transport, or what stands for it in a test."""

    def write(self, data: bytes | memoryview) -> None:
        """Hand over bytes; never waits, and nothing happens on a connection that is gone."""

    def write_some(self, data: memoryview) -> int:
        """Hand over as much as the system takes at once while nothing is unsent; return how much."""

    def unsent_bytes(self) -> int:
        """Return how much of what was handed over the system has not taken yet."""


class Timer(Protocol):
    """What can be called off."""

    def cancel(self) -> None:
        """Do not call."""
