"""A link between one sender and one browser in simulated time: rate, way, jitter, pauses, slow start.

Deterministic: every event has its instant, and what is random comes from a seeded generator.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from server.streaming.flow.control import FlowControl


# How late a timer of an event loop fires.
TIMER_S = 0.001
PING_BYTES = 10
# What a socket takes ahead of the link: the only bound of a browser that has not acknowledged yet.
SOCKET_BYTES = 64 * 1024
# What TCP sends at first, and after a pause: ten segments.
INITIAL_WINDOW_BYTES = 14_600


@dataclass(frozen=True, slots=True)
class Received:
    """One frame at its receipt; monotonic seconds."""

    sequence: int
    size_bytes: int
    published_at: float
    sent_at: float
    received_at: float

    @property
    def age_s(self) -> float:
        """From publishing to receipt."""
        return self.received_at - self.published_at


@dataclass
class Path:
    """What lies between sender and browser; each may be changed while it runs, by `Simulation.at`."""

    rate_bytes_s: float
    rtt_s: float = 0.0
    jitter_s: float = 0.0  # each way takes up to this longer
    held_s: float = 0.0  # the browser acknowledges so long after receipt, and says so
    unsaid_s: float = 0.0  # the same, and does not say so
    has_slow_start: bool = False


@dataclass
class Simulation:
    """A sender that hands over the newest frame when its flow control says so."""

    path: Path
    fps: float
    size_bytes: int
    prepare_s: float = 0.0
    acknowledges_every: int = 1
    flow: FlowControl = field(default_factory=FlowControl)
    received: list[Received] = field(default_factory=list)
    most_in_flight: int = 0
    most_bytes: int = 0
    now_s: float = 0.0
    is_visible: bool = True

    def __post_init__(self) -> None:
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._sequence = 0
        self._newest: float | None = None
        self._random = random.Random(4)
        self._free_at = 0.0
        self._arrived_at = 0.0
        self._returned_at = 0.0
        self._congestion_bytes = INITIAL_WINDOW_BYTES
        self._timer_at = math.inf
        self._arrivals = 0
        self._preparing = False
        self._pauses: list[tuple[float, float]] = []
        self.at(0.0, self._publish)

    def at(self, at_s: float, action: Callable[[], None]) -> None:
        """Do something at an instant."""
        self._count += 1
        heapq.heappush(self._events, (at_s, self._count, action))

    def pause(self, from_s: float, to_s: float) -> None:
        """Let the link carry nothing for a while, as after a lost packet."""
        self._pauses.append((from_s, to_s))

    def run(self, until_s: float) -> Simulation:
        """Go on to an instant."""
        while self._events and self._events[0][0] <= until_s:
            self.now_s, _, action = heapq.heappop(self._events)
            action()
        self.now_s = until_s
        return self

    def _publish(self) -> None:
        self._sequence += 1
        self._newest = self.now_s
        self.at(self._sequence / self.fps, self._publish)
        self.pump()

    def pump(self) -> None:
        """Hand over the newest frame, or set a timer for when it may leave."""
        if self._newest is None or not self.is_visible or self._preparing:
            return
        opens_at = self.flow.opens_at(self.now_s, size_bytes=self.size_bytes, prepare_s=self.prepare_s)
        if not self.flow.is_acknowledging:
            opens_at = max(opens_at, self._free_at - SOCKET_BYTES / self.path.rate_bytes_s)
        if opens_at <= self.now_s:
            sequence, published_at = self._sequence, self._newest
            self._newest = None
            if self.prepare_s:
                self._preparing = True
                self.at(self.now_s + self.prepare_s, lambda: self._hand_over(sequence, published_at))
            else:
                self._hand_over(sequence, published_at)
        elif opens_at < math.inf and not self.now_s < self._timer_at <= opens_at + TIMER_S:
            self._timer_at = opens_at + TIMER_S
            self.at(self._timer_at, self.pump)

    def _hand_over(self, sequence: int, published_at: float) -> None:
        self._preparing = False
        flow, size, sent_at = self.flow, self.size_bytes, self.now_s
        if is_pinged := flow.wants_ping(sent_at):
            self.at(self._arrival(self._carry(PING_BYTES)), lambda: self._answer(sequence))
        flow.sent(sequence, size, sent_at, pinged=is_pinged)
        self.most_in_flight = max(self.most_in_flight, flow.in_flight)
        self.most_bytes = max(self.most_bytes, flow.in_flight_bytes)
        arrived_at = self._arrival(self._carry(size))
        self.at(
            arrived_at, lambda: self._receive(Received(sequence, size, published_at, sent_at, arrived_at))
        )
        self.pump()

    def _receive(self, frame: Received) -> None:
        self.received.append(frame)
        self._arrivals += 1
        if self._arrivals % self.acknowledges_every == 0:
            held_s = self.path.held_s
            kept_s = held_s + self.path.unsaid_s
            self.at(self.now_s + kept_s, lambda: self._answer_frame(frame.sequence, held_s))

    def _answer(self, tag: int) -> None:
        self.at(self._back(), lambda: self._pong(tag))

    def _answer_frame(self, sequence: int, held_s: float) -> None:
        self.at(self._back(), lambda: self._acknowledge(sequence, held_s))

    def _acknowledge(self, sequence: int, held_s: float) -> None:
        self.flow.acknowledge(sequence, self.now_s, held_s=held_s)
        self.pump()

    def _pong(self, tag: int) -> None:
        self.flow.pong(tag, self.now_s)
        self.pump()

    def _carry(self, size_bytes: int) -> float:
        """Return when the link has carried bytes that are handed over now."""
        path = self.path
        start_at = max(self.now_s, self._free_at)
        if path.has_slow_start and self.now_s - self._free_at > 0.2 + path.rtt_s:
            self._congestion_bytes = INITIAL_WINDOW_BYTES
        rest = float(size_bytes)
        at = start_at
        while path.has_slow_start and rest > self._congestion_bytes < path.rate_bytes_s * path.rtt_s:
            rest -= self._congestion_bytes
            at += path.rtt_s
            self._congestion_bytes *= 2
        at = self._transmitted_at(at, rest)
        self._free_at = at
        return at

    def _transmitted_at(self, at: float, rest: float) -> float:
        end_at = at + rest / self.path.rate_bytes_s
        for from_s, to_s in self._pauses:
            if at <= from_s < end_at:
                end_at += to_s - from_s
            elif from_s < at < to_s:
                end_at += to_s - at
        return end_at

    def _arrival(self, carried_at: float) -> float:
        self._arrived_at = max(self._arrived_at, carried_at + self._way())
        return self._arrived_at

    def _back(self) -> float:
        self._returned_at = max(self._returned_at, self.now_s + self._way())
        return self._returned_at

    def _way(self) -> float:
        return self.path.rtt_s / 2.0 + self._random.uniform(0.0, self.path.jitter_s)


def ages(frames: Sequence[Received], percent: float = 50.0) -> float:
    """Return a percentile of the ages at receipt, seconds."""
    ordered = sorted(frame.age_s for frame in frames)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100.0))]


def goodput(frames: Sequence[Received]) -> float:
    """Return the bytes per second between the first and the last receipt."""
    carried = sum(frame.size_bytes for frame in frames[1:])
    return carried / (frames[-1].received_at - frames[0].received_at)
