"""A writer in a test: a link that takes as many bytes as it is told, timers on a clock that stands still.

The canvas is the real one, but for renditions that are ready at once or only when the test says so.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import msgpack
from fakes import FakeClock
from images import TINY

from server.streaming.canvas import Canvas, CanvasConfig
from server.streaming.delivery.held import HeldPayloads
from server.streaming.delivery.rounds import Rounds
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.delivery.writer import Writer
from server.streaming.frame import EncodedImage, Frame
from server.streaming.payload import Payload
from server.streaming.tiers.tier import ORIGINAL, Tier
from server.streaming.wire import Form, frame_payload


SMALL = Tier(0.5, "jpeg", 60)
FINE = Tier(1.0, "jpeg", 85)


class FakeLink:
    """Takes bytes, up to a limit that the test moves; what is beyond it stays unsent."""

    def __init__(self, takes_bytes: float = float("inf")) -> None:
        self.takes_bytes = takes_bytes
        self.sent = bytearray()
        self.unsent = bytearray()
        self.writes: list[int] = []

    def write(self, data: bytes | memoryview) -> None:
        assert not self.unsent, "written to a link that takes no more"
        self.writes.append(len(data))
        self.unsent += data
        self._flush()

    def write_some(self, data: memoryview) -> int:
        assert not self.unsent, "written to a link that takes no more"
        taken = data[: len(data) if self.takes_bytes == float("inf") else int(self.takes_bytes)]
        self.takes_bytes -= len(taken)
        self.sent += taken
        return len(taken)

    def unsent_bytes(self) -> int:
        return len(self.unsent)

    def take(self, size_bytes: float = float("inf")) -> bool:
        """Take so many bytes more, and tell whether nothing is left unsent."""
        self.takes_bytes += size_bytes
        self._flush()
        return not self.unsent

    def _flush(self) -> None:
        size = len(self.unsent) if self.takes_bytes == float("inf") else int(self.takes_bytes)
        taken = self.unsent[:size]
        del self.unsent[:size]
        self.takes_bytes -= len(taken)
        self.sent += taken


class FakeTimer:
    """A call that can be called off."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Timers:
    """Calls on a clock that stands still until `advance`."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.clock.now_s = 100.0
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, FakeTimer]] = []

    def call_at(self, due_at: float, call: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(call)
        heapq.heappush(self._due, (due_at, next(self._numbers), timer))
        return timer

    def __len__(self) -> int:
        return sum(timer.call is not None for _, _, timer in self._due)

    def advance(self, seconds: float) -> None:
        """Let the time pass, calling what falls due at its own instant."""
        until = self.clock.now_s + seconds
        while self._due and self._due[0][0] <= until:
            due_at, _, timer = heapq.heappop(self._due)
            if timer.call is not None:
                self.clock.now_s = max(self.clock.now_s, due_at)
                timer.call()
        self.clock.now_s = until


class FakeRequest:
    """A wish for an encoded frame that the test grants."""

    def __init__(
        self, frame: Frame, tier: Tier, form: Form, on_done: Callable[[Payload | None], None]
    ) -> None:
        self.frame, self.tier, self.form = frame, tier, form
        self.is_started = False
        self.is_cancelled = False
        self._on_done = on_done

    def cancel(self) -> None:
        self.is_cancelled = True

    def grant(self) -> None:
        """Deliver what was encoded."""
        assert not self.is_cancelled
        self._on_done(frame_payload(self.frame, self.form, self.tier.name))

    def refuse(self) -> None:
        """Tell that there is nothing."""
        assert not self.is_cancelled
        self._on_done(None)


class FakeRenditions:
    """The original is ready at once; every other tier is asked for."""

    def __init__(self) -> None:
        self.requests: list[FakeRequest] = []
        self.encode_s = 0.01

    def ready(self, frame: Frame, tier: Tier, form: Form) -> Payload | None:
        return frame_payload(frame, form, tier.name) if tier is ORIGINAL else None

    def request(
        self, frame: Frame, tier: Tier, form: Form, on_done: Callable[[Payload | None], None]
    ) -> FakeRequest:
        self.requests.append(FakeRequest(frame, tier, form, on_done))
        return self.requests[-1]

    def estimate(self, frame: Frame, tier: Tier) -> tuple[int, float]:
        if tier is ORIGINAL:
            return len(frame.image.data), 0.0
        return int(len(frame.image.data) * tier.scale * tier.quality / 100), self.encode_s

    @property
    def wanted(self) -> list[FakeRequest]:
        """The requests that were not withdrawn."""
        return [request for request in self.requests if not request.is_cancelled]


class FakeChooser:
    """Says what the test wants."""

    def __init__(self) -> None:
        self.tier: Tier = ORIGINAL
        self.best: Tier = ORIGINAL

    def choose(self, *_: Any, **__: Any) -> Tier:
        return self.tier

    def best_tier(self, *_: Any, **__: Any) -> Tier:
        return self.best


class Desk:
    """One subscriber of a canvas, its writer, and everything around them."""

    def __init__(
        self,
        form: Form = Form.MSGPACK,
        *,
        takes_bytes: float = float("inf"),
        deadline_s: float = 10.0,
        held: HeldPayloads | None = None,
        has_told: bool = True,
        link: FakeLink | None = None,
    ) -> None:
        self.timers = Timers()
        self.clock = self.timers.clock
        self.calls: list[Callable[[], None]] = []
        self.rounds = Rounds(self.calls.append, self.clock)
        self.canvas = Canvas(
            "left", CanvasConfig(), executor=Executor(), rounds=self.rounds, held=held, clock=self.clock
        )
        self.renditions = FakeRenditions()
        self.canvas.renditions = self.renditions  # type: ignore[assignment] # stands in for it
        self.subscriber = Subscriber(form)
        self.subscriber.has_told = has_told
        self.mailbox, self.flow = self.subscriber.mailbox, self.subscriber.flow
        self.chooser = FakeChooser()
        self.subscriber.chooser = self.chooser  # type: ignore[assignment] # stands in for it
        self.canvas.subscribers.add(self.subscriber)
        self.link = link or FakeLink(takes_bytes)
        self.blocked = 0
        self.writer = Writer(
            self.subscriber,
            self.canvas,
            self.link,
            deadline_s=deadline_s,
            call_at=self.timers.call_at,
            clock=self.clock,
        )
        self.writer.on_blocked = self._on_blocked
        self.writer.start()
        self._read = 0
        self._number = 0

    def publish(self, size_bytes: int = 100) -> Frame:
        """Publish a picture of so many bytes that differs from every other, and give everybody a turn."""
        self._number += 1
        data = self._number.to_bytes(4, "big") * (size_bytes // 4 + 1)
        frame = self.canvas.publish(replace(TINY, data=data[:size_bytes]), timestamp_ms=0.0)
        self.turn()
        return frame

    def offer(self, image: EncodedImage) -> Frame:
        """Publish a picture as it is."""
        frame = self.canvas.publish(image, timestamp_ms=0.0)
        self.turn()
        return frame

    def turn(self) -> None:
        """Let the event loop go round until nobody waits in line."""
        while self.calls:
            self.calls.pop(0)()

    def acknowledge(self, sequence: int) -> None:
        """Take an acknowledgement as the reader does."""
        self.flow.acknowledge(sequence, self.clock())
        self.writer.pump()

    def drain(self, size_bytes: float = float("inf")) -> None:
        """Have the link take more and, as the slow path does, tell the writer once nothing is left."""
        while self.link.take(size_bytes) and self.writer.is_blocked:
            size_bytes = 0 if size_bytes != float("inf") else size_bytes
            self.writer.drained()
            self.turn()

    def messages(self) -> list[Any]:
        """Return the messages that were sent whole since the last call: maps, and pings by their tag."""
        messages, self._read, _ = read_messages(bytes(self.link.sent), self._read)
        return messages

    def frames(self) -> list[int]:
        """Return the sequences of the frames that were sent whole since the last call."""
        return [
            message["sequence"]
            for message in self.messages()
            if isinstance(message, dict) and message["type"] == "frame"
        ]

    def _on_blocked(self) -> None:
        self.blocked += 1


def scaled() -> Desk:
    """Return a desk whose subscriber gets a smaller tier, and acknowledges."""
    desk = Desk()
    desk.publish()
    desk.acknowledge(1)
    assert desk.frames() == [1]
    desk.timers.advance(1.0)
    desk.subscriber.show(is_shown=True, viewport=(4, 4), max_fps=None)
    desk.chooser.tier = SMALL
    desk.chooser.best = SMALL
    return desk


def read_messages(data: bytes, at: int = 0) -> tuple[list[Any], int, int]:
    """Read what a WebSocket peer would.

    Returns:
        Messages as maps or text, and pings, pongs and closes as (opcode, payload), in order; where
        the first unfinished one starts; how many WebSocket frames there were.

    Raises:
        AssertionError: If something came between two parts of a message that may not.
    """
    messages: list[Any] = []
    kind, whole, start, parts = 0, b"", at, 0
    while True:
        if len(data) < at + 2:
            return messages, start, parts
        first, size = data[at], data[at + 1]
        head = 2
        if size == 126:
            size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
        elif size == 127:
            size, head = int.from_bytes(data[at + 2 : at + 10], "big"), 10
        if len(data) < at + head + size:
            return messages, start, parts
        body = data[at + head : at + head + size]
        at += head + size
        parts += 1
        opcode = first & 0x0F
        if opcode >= 8:
            messages.append((opcode, body))
        else:
            assert (opcode == 0) == bool(kind), "a message between two parts of another"
            kind, whole = kind or opcode, whole + body
            if first & 0x80:
                messages.append(msgpack.unpackb(whole) if kind == 2 else whole.decode())
                kind, whole = 0, b""
        if not kind:
            start = at
