"""What stuck peers keep alive: payloads that are half written to a socket that takes no more.

Everybody else has long had a newer frame, so that their bytes live for the stuck alone. The rule that
must not be broken: all of them together hold no more than a limit; past it, who has been stuck for
longest is cut off.
"""

from __future__ import annotations

from typing import Protocol

from server.streaming.payload import Payload


# Of payloads that are half written, on the whole server.
MAX_HELD_BYTES = 64 * 1024 * 1024


class Stuck(Protocol):
    """Who holds a payload."""

    def cut_off(self) -> None:
        """Let go of the payload at once and end the connection."""


class HeldPayloads:
    """The ledger of payloads that are half written. One for each server.

    Attributes:
        held_bytes: Of all of them; one that several hold counts once.
        cut_off: How many have lost their connection for it.
    """

    def __init__(self, limit_bytes: int = MAX_HELD_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self.cut_off = 0
        self._holders: dict[Stuck, Payload] = {}  # who has been stuck for longest first
        self._counts: dict[Payload, int] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def hold(self, holder: Stuck, payload: Payload) -> None:
        """Note that a holder is stuck with a payload; who already is keeps its place."""
        if holder in self._holders:
            return
        self._holders[holder] = payload
        count = self._counts.get(payload, 0)
        self._counts[payload] = count + 1
        if not count:
            self.held_bytes += payload.size_bytes
        while self.held_bytes > self.limit_bytes and self._holders:
            longest = next(iter(self._holders))
            self.release(longest)
            self.cut_off += 1
            longest.cut_off()

    def release(self, holder: Stuck) -> None:
        """Note that a holder has written its payload, or is gone. Idempotent."""
        payload = self._holders.pop(holder, None)
        if payload is None:
            return
        self._counts[payload] -= 1
        if not self._counts[payload]:
            del self._counts[payload]
            self.held_bytes -= payload.size_bytes
