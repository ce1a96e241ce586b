"""What stuck peers keep alive: payloads that are half written to a socket that takes no more.

Everybody else has long had a newer frame, so that their bytes live for the stuck alone. The rule that
must not be broken: all of them together hold no more than a limit; past it, who has been stuck for
longest is cut off. A viewer that is slow and no more is not stuck: it takes a part of its frame now and
then, and nothing is cut off that has just done so, unless memory itself is at stake.
"""

from __future__ import annotations

import itertools
import time
from typing import Protocol

from server.streaming.clock import Clock
from server.streaming.payload import Payload


# Of payloads that are half written, on the whole server: 200 that are stuck, each with a frame of its own,
# take 256 KiB each at most, half of them the part of a message that their transports have copied.
MAX_HELD_BYTES = 24 * 1024 * 1024
# However many began to wait a moment ago: no more than this at any instant.
MAX_CROWDED_BYTES = 256 * 1024 * 1024
# Who has taken no part of a frame for so long is stuck, seconds: a lost packet, a cell that is changed and
# a suspended tab's last breath are over by then, and a part (128 KiB) takes no longer at 256 kbit/s.
PATIENCE_S = 5.0
CROWDED = "too many bytes wait for peers that take nothing"


class Stuck(Protocol):
    """Who holds a payload."""

    def cut_off(self, reason: str) -> None:
        """Let go of the payload at once and end the connection, telling why."""


class HeldPayloads:
    """The ledger of payloads that are half written. One for each server.

    Attributes:
        held_bytes: Of all of them; one that several hold counts once.
        cut_off: How many have lost their connection for it.
    """

    def __init__(
        self,
        limit_bytes: int = MAX_HELD_BYTES,
        *,
        crowded_bytes: int = MAX_CROWDED_BYTES,
        clock: Clock = time.monotonic,
    ) -> None:
        """Make an empty ledger.

        Args:
            limit_bytes: Past this those are cut off that have been stuck for `PATIENCE_S`.
            crowded_bytes: Past this, anybody: never more than this is held.
            clock: Monotonic seconds.
        """
        self.limit_bytes = limit_bytes
        self.crowded_bytes = crowded_bytes
        self.held_bytes = 0
        self.cut_off = 0
        self._clock = clock
        # With the instant since when; who has been stuck for longest first.
        self._holders: dict[Stuck, tuple[Payload, float]] = {}
        self._counts: dict[Payload, int] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def hold(self, holder: Stuck, payload: Payload) -> None:
        """Note that a holder is stuck with a payload; with the same one again: it has taken some of it."""
        now_s = self._clock()
        held = self._holders.get(holder)
        if held is None or held[0] is not payload:
            self.release(holder)
            count = self._counts.get(payload, 0)
            self._counts[payload] = count + 1
            if not count:
                self.held_bytes += payload.size_bytes
        else:
            # To the end of the line.
            del self._holders[holder]
        self._holders[holder] = (payload, now_s)
        while self.held_bytes > self.limit_bytes:
            stuck = self._worst(now_s)
            if stuck is None:
                break
            self.cut_off += 1
            stuck.cut_off(CROWDED)
            self.release(stuck)

    def release(self, holder: Stuck) -> None:
        """Note that a holder has written its payload, or is gone. Idempotent."""
        held = self._holders.pop(holder, None)
        if held is None:
            return
        payload = held[0]
        self._counts[payload] -= 1
        if not self._counts[payload]:
            del self._counts[payload]
            self.held_bytes -= payload.size_bytes

    def _worst(self, now_s: float) -> Stuck | None:
        """Return who is to be cut off first: most alone with its payload, then stuck for longest."""
        is_crowded = self.held_bytes > self.crowded_bytes
        until = now_s if is_crowded else now_s - PATIENCE_S
        stuck = itertools.takewhile(lambda item: item[1][1] <= until, self._holders.items())
        worst = min(stuck, key=lambda item: self._counts[item[1][0]], default=None)
        return None if worst is None else worst[0]
