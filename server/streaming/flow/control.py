"""When the next frame may leave for one subscriber: pure policy, no clock and no event loop.

A subscriber that acknowledges is told from a prediction: when the link has carried all that is on its
way, it runs dry, and just before that the newest frame is handed over. Earlier, and the frame would
wait in somebody's buffer while a newer one is painted; later, and the link would idle for a round trip.
A window of bytes bounds what may be on its way however wrong the prediction is.

One that is silent (an old client, a script) is bounded elsewhere: by its socket, which takes a frame
only when the one before has left (`TCP_NOTSENT_LOWAT`).
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from server.errors import ProtocolError
from server.streaming.flow.link import Flying, LinkRate, densest
from server.streaming.flow.round_trip import RoundTrip


# The next frame is handed over so long before the link runs dry: what timers and the event loop are
# late. On a link that carries a frame in little more, a share of that: the source may have a newer one.
LEAD_S = 0.008
LEAD_SHARE = 0.25
# Until a rate is known, and at least: one frame on the link and the next one right behind it.
LEAST_FRAMES = 2
# Of rate times round trip: room for what both vary.
HEADROOM = 1.25
# However long and fast the link is said to be: what is lost when it turns out to be neither.
MAX_WINDOW_BYTES = 32 * 1024 * 1024
MAX_FRAMES = 128
# Remembered of a peer that is silent, for the range check of its first acknowledgement.
SILENT_FRAMES = 8
# How long a peer may say that it kept a frame. A peer that is late because of our own queue must not
# thereby get a longer one (Selkies found its limit drifting away like this).
MAX_HELD_S = 1.0
# An acknowledgement that is late by this, or by half a transmission, shuts the window until it comes.
OVERDUE_S = 0.1
# Frames come at the wished rate itself, each a little early or late.
FORGIVEN_S = 0.001
# Share of a new value in the smoothed time that the peer keeps a frame.
_SMOOTHING = 0.25
_TAG_MASK = 0xFFFFFFFF


class FlowControl:
    """The frames that are on their way to one subscriber, and when the next may follow.

    Attributes:
        acknowledged: The highest acknowledged sequence; 0 before the first.
        is_acknowledging: Whether the peer has ever acknowledged: it is silent before.
        sent_frames: Ever.
        sent_bytes: Ever.
    """

    __slots__ = (
        "_arrived_at",
        "_bytes",
        "_carried_at",
        "_dry_at",
        "_flying",
        "_held_s",
        "_interval_s",
        "_last_bytes",
        "_last_sent_at",
        "_link",
        "_moved_at",
        "_trip",
        "acknowledged",
        "is_acknowledging",
        "sent_bytes",
        "sent_frames",
    )

    def __init__(self) -> None:
        self.acknowledged = 0
        self.is_acknowledging = False
        self.sent_frames = 0
        self.sent_bytes = 0
        self._trip = RoundTrip()
        self._link = LinkRate()
        self._flying: deque[Flying] = deque()
        self._bytes = 0
        self._held_s = 0.0
        self._last_bytes = 0
        # The shortest time between frames that the peer wishes for, seconds.
        self._interval_s = 0.0
        self._last_sent_at = -math.inf
        # When the last acknowledgement would have come, had the peer not held it back; less the
        # round trip: when the link had carried the newest acknowledged frame.
        self._arrived_at = -math.inf
        self._carried_at = -math.inf
        # When the link will have carried all that is on its way.
        self._dry_at = -math.inf
        # When an acknowledgement last released something.
        self._moved_at = -math.inf

    @property
    def in_flight(self) -> int:
        """Frames sent and not acknowledged; 0 while the peer is silent."""
        return len(self._flying) if self.is_acknowledging else 0

    @property
    def settled_at(self) -> float:
        """From when on nothing on its way is waited for, monotonic seconds; infinite where something is.

        Only frames that were sent again: an acknowledgement that came too soon for the second sending may
        have been of it all the same, and then there is no other.
        """
        if not all(again for *_, again in self._flying):
            return float("inf")
        rate = self._link.bytes_s
        transmission_s = self._bytes / rate if rate else 1.0
        return self._last_sent_at + self._trip.usual_s + 2.0 * transmission_s

    @property
    def in_flight_bytes(self) -> int:
        """Bytes sent and not acknowledged; 0 while the peer is silent."""
        return self._bytes if self.is_acknowledging else 0

    @property
    def min_rtt_s(self) -> float | None:
        """The round trip without any queue of ours, seconds; None before the first pong."""
        return self._trip.least_s

    @property
    def rtt_s(self) -> float | None:
        """The smoothed round trip of the pings, seconds; None before the first pong."""
        return self._trip.smoothed_s

    @property
    def rate_bytes_s(self) -> float | None:
        """What the link carries while it is busy; None before the first acknowledgement."""
        return self._link.bytes_s

    @property
    def window_bytes(self) -> int:
        """How many bytes may be on their way, for frames of the size of the last."""
        return self._window(self._last_bytes)

    def set_max_fps(self, max_fps: float | None) -> None:
        """Send no more often than this; None: as often as frames come."""
        self._interval_s = 1.0 / max_fps if max_fps else 0.0

    def opens_at(self, now_s: float, *, size_bytes: int, prepare_s: float = 0.0) -> float:
        """Return from when the next frame may be taken.

        Args:
            now_s: Monotonic seconds.
            size_bytes: About how large the next frame is.
            prepare_s: How long it takes from being taken to being handed to the socket (encoding).

        Returns:
            Monotonic seconds; not after now_s: at once. Infinity: only an acknowledgement opens it.
        """
        paced_at = self._last_sent_at + self._interval_s - FORGIVEN_S if self._interval_s else -math.inf
        if not self.is_acknowledging or not self._flying:
            return paced_at
        if len(self._flying) >= MAX_FRAMES or self._bytes + size_bytes > self._window(size_bytes):
            return math.inf
        if self._link.bytes_s is None:
            return paced_at if len(self._flying) < LEAST_FRAMES else math.inf
        if now_s > self._overdue_at():
            return math.inf
        lead_s = self._lead_s(size_bytes / self._link.bytes_s)
        if self._trip.wants_proof(now_s):
            lead_s = -lead_s
        return max(paced_at, self._dry_at - lead_s - prepare_s)

    def wants_ping(self, now_s: float) -> bool:
        """Tell whether the next frame should carry a ping in front of it (monotonic seconds)."""
        rate = self._link.bytes_s
        return self._trip.wants_ping(now_s, self._last_bytes / rate if rate else 0.0)

    def sent(
        self, sequence: int, size_bytes: int, now_s: float, *, pinged: bool = False, again: bool = False
    ) -> None:
        """Note a frame that was handed to the socket.

        Args:
            sequence: Not below that of the frame before.
            size_bytes: On the wire.
            now_s: Monotonic seconds.
            pinged: Whether a ping with its tag went in front of it.
            again: Whether this sequence was sent before, in another tier. A peer may take its time over
                such a frame: it never counts as stalled.
        """
        flying = self._flying
        if pinged:
            self._trip.pinged(sequence & _TAG_MASK, now_s, flying[-1][0] if flying else -1)
        self.sent_frames += 1
        self.sent_bytes += size_bytes
        self._last_sent_at = now_s
        self._last_bytes = size_bytes
        self._bytes += size_bytes
        flying.append((sequence, size_bytes, now_s, again))
        if not self.is_acknowledging:
            while len(flying) > SILENT_FRAMES:
                self._bytes -= flying.popleft()[1]
            return
        rate = self._link.bytes_s
        if rate is not None:
            dry_at = self._dry_at
            self._dry_at = (dry_at if dry_at > now_s else now_s) + size_bytes / rate

    def pong(self, tag: int, now_s: float) -> None:
        """Take a pong: the tag of the frame that its ping went before; others are ignored."""
        self._trip.pong(tag, now_s, self.acknowledged, self._arrived_at)

    def acknowledge(self, sequence: int, now_s: float, *, held_s: float = 0.0) -> int:
        """Release a frame and all before it.

        Args:
            sequence: The newest frame that the peer has received.
            now_s: When the acknowledgement came, monotonic seconds.
            held_s: How long the peer kept the frame before it acknowledged (decoding, waiting for
                the instant to present it); taken as 0 to `MAX_HELD_S`.

        Returns:
            How many frames were released; 0 for one that was released before.

        Raises:
            ProtocolError: If no such frame was sent: a made-up number would switch the bound off.
        """
        flying = self._flying
        newest = flying[-1][0] if flying else self.acknowledged
        if sequence > newest or sequence < 0:
            raise ProtocolError(f"acknowledged frame {sequence}, but the newest sent is {newest}")
        if not self.is_acknowledging:
            self.is_acknowledging = True
            self._moved_at = now_s
        acknowledged = self.acknowledged
        self.acknowledged = sequence if sequence > acknowledged else acknowledged
        if not flying or flying[0][0] > sequence:
            return 0
        if flying[0][3] and self._is_of_the_first(flying[0], sequence, now_s):
            return 0
        self._moved_at = now_s
        # NaN compares as false and becomes 0.
        held_s = (held_s if held_s < MAX_HELD_S else MAX_HELD_S) if held_s > 0.0 else 0.0
        self._held_s += (held_s - self._held_s) * _SMOOTHING
        arrived_at, sent_at = now_s - held_s, flying[0][2]
        self._arrived_at = arrived_at if arrived_at > sent_at else sent_at
        released = self._release(sequence)
        self._predict()
        self._trip.acknowledged(sequence, self._arrived_at)
        return released

    def stalled_for_s(self, now_s: float, shut_at: float) -> float:
        """Return for how long a frame that waits since `shut_at` has not left for want of an acknowledgement.

        Counted from the last that released something at the earliest: one that comes again proves nothing.
        0 while nothing is on its way but frames that were sent again.
        """
        if not self.is_acknowledging or all(again for *_, again in self._flying):
            return 0.0
        return max(0.0, now_s - max(shut_at, self._moved_at))

    def state(self) -> dict[str, Any]:
        """Return what is told of the flow: bytes, frames, milliseconds, bytes per second."""
        rate = self._link.bytes_s
        return {
            "window_bytes": self.window_bytes,
            "in_flight": self.in_flight,
            "in_flight_bytes": self.in_flight_bytes,
            "rtt_ms": _milliseconds(self._trip.smoothed_s),
            "min_rtt_ms": _milliseconds(self._trip.least_s),
            "goodput_bytes_s": None if rate is None else round(rate),
        }

    def _is_of_the_first(self, better: Flying, sequence: int, now_s: float) -> bool:
        """Tell whether an acknowledgement means a frame's first sending: it comes too soon for the second.

        A browser that keeps frames for their instant tells twice. Of the next frame's both are released.
        """
        rate = self._link.bytes_s
        transmission_s = better[1] / rate if rate else 0.0
        return sequence == better[0] and now_s < better[2] + self._trip.usual_s + transmission_s / 2.0

    def _release(self, sequence: int) -> int:
        """Take off what is acknowledged, and learn from it how fast the link is."""
        flying = self._flying
        carried_at = self._arrived_at - self._trip.usual_s
        sent_at = flying[0][2]
        is_behind = sent_at <= self._carried_at
        span_s = carried_at - (self._carried_at if is_behind else sent_at)
        first = flying.popleft()
        last, size, released = first, first[1], 1
        if flying and flying[0][0] <= sequence:
            taken = [first]
            while flying and flying[0][0] <= sequence:
                taken.append(flying.popleft())
            size = sum(size_bytes for _, size_bytes, _, _ in taken)
            self._bytes -= size
            last, released = taken[-1], len(taken)
            # The link may have idled between frames that are acknowledged together. Whatever was sent
            # last has taken at most the time since: the densest of those spans says the most.
            size, span_s = densest(taken, carried_at, size, span_s)
        else:
            self._bytes -= size
        # Whether a frame that was sent twice is meant for the second time is not told: no sample of that.
        if not last[3] or last[0] < sequence:
            self._link.carried(size, span_s, self._trip.jitter_s, is_behind=is_behind)
        before = self._carried_at
        self._carried_at = carried_at if carried_at > before else before
        return released

    def _predict(self) -> None:
        """Predict anew when the link runs dry, from what is still on its way."""
        rate = self._link.bytes_s
        if rate is None:
            return
        dry_at = self._carried_at
        for _, size_bytes, sent_at, _ in self._flying:
            dry_at = (dry_at if dry_at > sent_at else sent_at) + size_bytes / rate
        self._dry_at = dry_at

    def _overdue_at(self) -> float:
        """Return when the acknowledgement of the oldest frame has been missing for too long.

        Frames that were sent again are passed over: a peer that drops them as known never answers.
        """
        rate = self._link.bytes_s
        if rate is None:
            return math.inf
        carried_at = self._carried_at
        for _, size_bytes, sent_at, again in self._flying:
            transmission_s = size_bytes / rate
            carried_at = (carried_at if carried_at > sent_at else sent_at) + transmission_s
            if not again:
                due_at = carried_at + self._trip.usual_s + self._held_s
                return due_at + max(OVERDUE_S, transmission_s / 2.0)
        return math.inf

    def _lead_s(self, transmission_s: float) -> float:
        """Return how long before the link runs dry the next frame is handed over."""
        lead_s = LEAD_SHARE * transmission_s
        return min(lead_s, LEAD_S) + min(2.0 * lead_s, self._trip.jitter_s)

    def _window(self, size_bytes: int) -> int:
        """Return how many bytes may be on their way when the next frame has this size.

        When the next frame leaves, one is on the link, and those that it has carried within the last
        round trip are not acknowledged yet: whole frames, of which a bound in bytes alone would often
        be a part of one short. With small frames the bytes matter, with room for what varies.
        """
        frame = max(size_bytes, self._last_bytes, 1)
        rate = self._link.bytes_s
        if rate is None:
            return LEAST_FRAMES * frame
        way_s = self._trip.usual_s + self._held_s
        slack_s = 2.0 * LEAD_S + self._trip.jitter_s if way_s > LEAD_S else 0.0
        whole = (LEAST_FRAMES + int(rate * (way_s + slack_s) / frame)) * frame
        wide = max(whole, HEADROOM * rate * way_s + frame)
        return int(max(LEAST_FRAMES * frame, min(wide, MAX_WINDOW_BYTES)))


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000.0, 2)
