"""How much may be on its way to one subscriber: pure policy, no clock and no event loop.

A subscriber that acknowledges has at most `limit` unacknowledged frames on its way. One that is
silent (an old client, a script) is bounded elsewhere: by its socket, which takes a frame only when
the one before has left (`TCP_NOTSENT_LOWAT`).
"""

from __future__ import annotations

from collections import deque

from server.errors import ProtocolError


# Two frames keep an ordinary link busy; facts with figures are in the README.
DEFAULT_LIMIT = 2


class Window:
    """The frames that are on their way to one subscriber.

    Attributes:
        acknowledged: The highest acknowledged sequence; 0 before the first.
        is_acknowledging: Whether the peer has ever acknowledged: it is silent before.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        self.acknowledged = 0
        self.is_acknowledging = False
        self.sent_frames = 0
        self.sent_bytes = 0
        self._in_flight: deque[tuple[int, int]] = deque()  # sequence, bytes
        # The peer's own wish for a rate, as the shortest time between frames, seconds.
        self._interval_s = 0.0
        self._last_sent_at = float("-inf")
        self._moved_at = float("-inf")

    @property
    def in_flight(self) -> int:
        """Frames sent and not acknowledged; 0 while the peer is silent."""
        return len(self._in_flight) if self.is_acknowledging else 0

    @property
    def in_flight_bytes(self) -> int:
        """Bytes sent and not acknowledged; 0 while the peer is silent."""
        return sum(size for _, size in self._in_flight) if self.is_acknowledging else 0

    def set_max_fps(self, max_fps: float | None) -> None:
        """Send no more often than this; None: as often as frames come."""
        self._interval_s = 1.0 / max_fps if max_fps else 0.0

    def is_open(self, now_s: float) -> bool:
        """Tell whether a frame may leave now (monotonic seconds)."""
        return self.in_flight < self.limit and self.opens_in_s(now_s) is None

    def opens_in_s(self, now_s: float) -> float | None:
        """Return how long the peer's wish for a rate holds the next frame back; None: not at all.

        A millisecond is forgiven: frames come at the wished rate itself, each a little early or late.
        """
        wait_s = self._last_sent_at + self._interval_s - 0.001 - now_s
        return wait_s if wait_s > 0.0 else None

    def sent(self, sequence: int, size_bytes: int, now_s: float) -> None:
        """Note a frame that was handed to the socket."""
        self.sent_frames += 1
        self.sent_bytes += size_bytes
        self._last_sent_at = now_s
        self._in_flight.append((sequence, size_bytes))
        if len(self._in_flight) <= self.limit:
            # From when the window is full, the peer is waited for.
            self._moved_at = now_s
        if not self.is_acknowledging:
            # Kept for the first acknowledgement's range check only; the peer may stay silent for ever.
            while len(self._in_flight) > self.limit:
                self._in_flight.popleft()

    def acknowledge(self, sequence: int, now_s: float) -> int:
        """Release a frame and all before it.

        Args:
            sequence: The newest frame that the peer has received.
            now_s: When, monotonic seconds.

        Returns:
            How many frames were released; 0 for one that was released before.

        Raises:
            ProtocolError: If no such frame was sent: a made-up number would switch the bound off.
        """
        newest = self._in_flight[-1][0] if self._in_flight else self.acknowledged
        if sequence > newest or sequence < 0:
            raise ProtocolError(f"acknowledged frame {sequence}, but the newest sent is {newest}")
        self.is_acknowledging = True
        released = 0
        while self._in_flight and self._in_flight[0][0] <= sequence:
            self._in_flight.popleft()
            released += 1
        self.acknowledged = max(self.acknowledged, sequence)
        self._moved_at = now_s
        return released

    def stalled_for_s(self, now_s: float) -> float:
        """Return for how long the window has been full without any acknowledgement."""
        return now_s - self._moved_at if self.in_flight >= self.limit else 0.0
