"""How often somebody may show a wrong token before he has to wait. Pure.

Counted for each address that calls, so that whoever guesses does not keep the others out, and for all of
them together, since one may call from many addresses.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict

from server.errors import TooManyError
from server.streaming.clock import Clock


# Wrong tokens that may be shown at once, and then within each minute.
PER_PEER = 10
IN_ALL = 100
WINDOW_S = 60.0
# Addresses that are remembered; the one that was wrong longest ago is forgotten first.
MAX_PEERS = 1000


class _Bucket:
    """Holds as many tries as may be made at once, and fills up again within `WINDOW_S`."""

    def __init__(self, tries: int, now_s: float) -> None:
        self._size = tries
        self._left = float(tries)
        self._at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Return how long it takes until there is a try; 0 where there is one."""
        self._fill(now_s)
        return max(0.0, (1.0 - self._left) * WINDOW_S / self._size)

    def take(self, now_s: float) -> None:
        """Take a try, or what is left of one."""
        self._fill(now_s)
        self._left = max(0.0, self._left - 1.0)

    def _fill(self, now_s: float) -> None:
        self._left = min(float(self._size), self._left + (now_s - self._at_s) * self._size / WINDOW_S)
        self._at_s = now_s


class Guesses:
    """The wrong tokens of late."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._all = _Bucket(IN_ALL, clock())
        self._peers: OrderedDict[str, _Bucket] = OrderedDict()

    def check(self, peer: str) -> None:
        """Judge whether an address may show a token now.

        Raises:
            TooManyError: If it, or all of them together, have shown too many wrong ones.
        """
        now_s = self._clock()
        wait_s = self._all.wait_s(now_s)
        if peer in self._peers:
            wait_s = max(wait_s, self._peers[peer].wait_s(now_s))
        if wait_s > 0.0:
            raise TooManyError("too many wrong tokens", retry_after_s=math.ceil(wait_s))

    def note(self, peer: str) -> None:
        """Note a wrong token."""
        now_s = self._clock()
        self._all.take(now_s)
        bucket = self._peers.pop(peer, None) or _Bucket(PER_PEER, now_s)
        self._peers[peer] = bucket
        bucket.take(now_s)
        if len(self._peers) > MAX_PEERS:
            self._peers.popitem(last=False)
