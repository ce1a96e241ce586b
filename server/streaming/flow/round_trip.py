"""How long the way to a peer and back takes, measured by pings that do not wait behind our own frames.

Knows tags, instants and which frame a ping went behind; no sockets, no clock and no event loop. The one
rule: a pong that waited behind our own frames says nothing about the way. Taken for its length, it
would have the sender send earlier, so that the next one waits even longer.
"""

from __future__ import annotations

import math
from collections import deque


# So many samples, and none older than this beside a newer one, make the least: a longer way (another
# route, another radio cell) is believed after as many pongs at the latest.
SAMPLES = 6
SAMPLE_AGE_S = 10.0
# The first frames each carry a ping: the least of several samples is known before it matters.
FIRST_PINGS = 8
# Later about one a second; nearly each frame where each keeps the link busy for long: there it costs nothing.
PING_INTERVAL_S = 1.0
BUSY_PING_INTERVAL_S = 0.1
BUSY_TRANSMISSION_S = 0.05
# A link that carries a frame in less than the frames' own spacing is never predicted: there a pong only
# says that nothing has changed, and costs as much to read as an acknowledgement.
QUICK_TRANSMISSION_S = 0.005
QUICK_PING_INTERVAL_S = 4.0
# A pong that comes later than this after the frame before it did not wait behind that frame.
CLEAR_S = 0.003
# Without such a pong for so long, one frame waits until the link has certainly run dry.
PROOF_S = 5.0
# Pings without an answer that are remembered; a peer that answers none costs no more.
MAX_WAITING = 16
# A way that varies by more is not worth waiting ahead for.
MAX_JITTER_S = 0.03
# Share of a new sample in the smoothed values (RFC 6298's).
_SMOOTHING = 0.125


class RoundTrip:
    """The round trip of one connection.

    Attributes:
        least_s: Of the newest samples; None before the first pong. The way without any queue of ours.
        smoothed_s: Of all samples; None before the first.
        jitter_s: How far samples usually lie above the least.
        usual_s: What an answer usually takes without any queue of ours, seconds; 0 before the first pong.
    """

    __slots__ = (
        "_asked",
        "_behind",
        "_pings",
        "_proof_at",
        "_samples",
        "_waiting",
        "jitter_s",
        "least_s",
        "smoothed_s",
        "usual_s",
    )

    def __init__(self) -> None:
        self.least_s: float | None = None
        self.smoothed_s: float | None = None
        self.jitter_s = 0.0
        # Asked for several times for each frame, and changed by pongs alone.
        self.usual_s = 0.0
        self._pings = 0
        self._asked = -math.inf
        self._proof_at = math.inf
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)  # at, seconds
        # Tag, sent at, the sequence of the newest frame that was on its way then (-1: none).
        self._waiting: deque[tuple[int, float, int]] = deque(maxlen=MAX_WAITING)
        # The newest pong that cannot be judged before the frame ahead of it is acknowledged:
        # that frame's sequence, the pong's instant, its seconds.
        self._behind: tuple[int, float, float] | None = None

    @property
    def _clear_s(self) -> float:
        return CLEAR_S + 2.0 * self.jitter_s

    def wants_ping(self, now_s: float, transmission_s: float) -> bool:
        """Tell whether the next frame should carry a ping.

        Args:
            now_s: Monotonic seconds.
            transmission_s: How long a frame keeps the link busy; 0 where not known.
        """
        if self._pings < FIRST_PINGS or now_s > self._proof_at:
            return True
        since_s = now_s - self._asked
        if transmission_s >= BUSY_TRANSMISSION_S:
            return since_s >= BUSY_PING_INTERVAL_S
        # Where it is not known, it may be long.
        is_quick = 0.0 < transmission_s < QUICK_TRANSMISSION_S
        return since_s >= (QUICK_PING_INTERVAL_S if is_quick else PING_INTERVAL_S)

    def wants_proof(self, now_s: float) -> bool:
        """Tell whether a ping should go over an idle link: the others have all waited behind frames.

        Samples that have waited a little longer each time would lengthen the least, and this the
        time that the next one waits.
        """
        return now_s > self._proof_at

    def pinged(self, tag: int, now_s: float, behind: int) -> None:
        """Note a ping.

        Args:
            tag: What its pong will bring back.
            now_s: When it was handed over, monotonic seconds.
            behind: The sequence of the newest frame on its way, -1 for none.
        """
        self._pings += 1
        self._asked = now_s
        if now_s > self._proof_at:
            self._proof_at = now_s + PING_INTERVAL_S
        self._waiting.append((tag, now_s, behind))

    def pong(self, tag: int, now_s: float, acknowledged: int, arrived_at: float) -> None:
        """Take a pong; one that was not asked for is ignored.

        Args:
            tag: Of the ping.
            now_s: Monotonic seconds.
            acknowledged: The newest frame that the peer has acknowledged.
            arrived_at: When that acknowledgement would have come, had the peer not held it back.
        """
        waiting = self._waiting
        if not any(entry[0] == tag for entry in waiting):
            return
        while True:
            # Pongs come in the order of their pings: those before this one stay without an answer.
            found, sent_at, behind = waiting.popleft()
            if found == tag:
                break
        sample_s = max(0.0, now_s - sent_at)
        if behind < 0 or self.least_s is None or sample_s <= self.least_s:
            self._take(sample_s, now_s)
        elif behind > acknowledged:
            self._behind = (behind, now_s, sample_s)
        elif now_s - arrived_at > self._clear_s:
            self._take(sample_s, now_s)

    def acknowledged(self, sequence: int, arrived_at: float) -> None:
        """Judge the pong that waits for this acknowledgement.

        Args:
            sequence: The newest frame that the peer has acknowledged.
            arrived_at: When it would have come, had the peer not held it back, monotonic seconds.
        """
        if self._behind is not None and sequence >= self._behind[0]:
            _, at, sample_s = self._behind
            self._behind = None
            if at - arrived_at > self._clear_s:
                self._take(sample_s, at)

    def _take(self, sample_s: float, now_s: float) -> None:
        samples = self._samples
        samples.append((now_s, sample_s))
        self._proof_at = now_s + PROOF_S
        while now_s - samples[0][0] > SAMPLE_AGE_S:
            samples.popleft()
        self.least_s = least_s = min(seconds for _, seconds in samples)
        if self.smoothed_s is None:
            self.smoothed_s = sample_s
        else:
            self.smoothed_s += (sample_s - self.smoothed_s) * _SMOOTHING
            excess_s = min(sample_s - least_s, MAX_JITTER_S)
            self.jitter_s += (excess_s - self.jitter_s) * _SMOOTHING
        self.usual_s = least_s + self.jitter_s
