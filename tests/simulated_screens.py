"""Screens on simulated links: the server's real way of a frame, in simulated time and without an event loop.

Time stands still until it is advanced; what is due meanwhile is called in its order. A link carries bytes
at a rate, may stop taking any, and hands what it has carried to a browser that reads WebSocket frames, shows
the newest picture and acknowledges. All of it is deterministic.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

import msgpack

from server.streaming.canvas import Canvas
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.delivery.writer import Writer
from server.streaming.wire import Form
from server.web.client_messages import handle_message


class Alarm:
    """A call that is due at an instant and can be called off."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class SimulatedTime:
    """A clock and an event loop in one: call it for the seconds.

    From `begin` to `end` it is the running loop for whoever asks asyncio, as far as the server uses one.
    """

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._soon: deque[Callable[[], object]] = deque()
        self._due: list[tuple[float, int, Alarm]] = []
        self._numbers = itertools.count()

    def __call__(self) -> float:
        return self.now_s

    @property
    def alarms(self) -> int:
        """How many calls are due some time."""
        return sum(alarm.call is not None for *_, alarm in self._due)

    def begin(self) -> None:
        """Become the running loop, until `end`."""
        asyncio.events._set_running_loop(self)  # type: ignore[arg-type] # as far as it is used

    def end(self) -> None:
        asyncio.events._set_running_loop(None)

    def is_closed(self) -> bool:
        return False

    def call_soon(self, call: Callable[..., object], *args: Any) -> None:
        self._soon.append(lambda: call(*args))

    # Nothing here runs in a thread.
    call_soon_threadsafe = call_soon

    def call_at(self, due_at: float, call: Callable[[], None]) -> Alarm:
        alarm = Alarm(call)
        heapq.heappush(self._due, (due_at, next(self._numbers), alarm))
        return alarm

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Alarm:
        return self.call_at(self.now_s + delay_s, call)

    def settle(self) -> None:
        """Call what is due now."""
        self.advance(0.0)

    def advance(self, seconds: float) -> None:
        """Let time pass, calling what is due meanwhile.

        Raises:
            AssertionError: If things that are due at one instant never end.
        """
        until = self.now_s + seconds
        calls_at_once = 0
        while True:
            while self._soon:
                self._soon.popleft()()
                calls_at_once += 1
                assert calls_at_once < 20_000, "it goes round and round without time passing"
            if not self._due or self._due[0][0] > until:
                break
            due_at, _, alarm = heapq.heappop(self._due)
            if due_at > self.now_s:
                self.now_s, calls_at_once = due_at, 0
            if alarm.call is not None:
                alarm.call()
                calls_at_once += 1
                assert calls_at_once < 20_000, "it goes round and round without time passing"
        self.now_s = until


class ManualExecutor(Executor):
    """A pool whose work waits until it is told to be done, one piece at a time."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def submit(self, work: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        self.waiting.append(lambda: work(*args, **options))
        return Future()

    def do(self, index: int = 0) -> None:
        """Do one piece of what waits."""
        self.waiting.pop(index)()


@dataclass
class SimulatedLink:
    """What a writer writes to; implements its `Link`.

    Attributes:
        rate_bytes_s: What it carries.
        way_s: How long a byte is under way besides.
        socket_bytes: What it takes before it says that it takes no more; 0 while it is stalled.
    """

    time: SimulatedTime
    on_arrived: Callable[[bytes], None]
    on_drained: Callable[[], None] = lambda: None
    rate_bytes_s: float = 1e6
    way_s: float = 0.01
    socket_bytes: int = 64 * 1024
    is_stalled: bool = False
    most_unsent_bytes: int = 0
    written_bytes: int = 0
    _queue: deque[bytes] = field(default_factory=deque)
    _queued_bytes: int = 0
    _is_carrying: bool = False

    def write(self, data: bytes | memoryview) -> None:
        self._queue.append(bytes(data))
        self._queued_bytes += len(data)
        self.written_bytes += len(data)
        self.most_unsent_bytes = max(self.most_unsent_bytes, self.unsent_bytes())
        self._carry()

    def write_some(self, data: memoryview) -> int:
        room = 0 if self.is_stalled else max(0, self.socket_bytes - self._queued_bytes)
        taken = min(room, len(data))
        if taken:
            self.write(data[:taken])
        return taken

    def unsent_bytes(self) -> int:
        room = 0 if self.is_stalled else self.socket_bytes
        return max(0, self._queued_bytes - room)

    def stall(self, *, is_stalled: bool) -> None:
        """Carry nothing from now on, or go on."""
        was_blocked = self.unsent_bytes() > 0
        self.is_stalled = is_stalled
        self._carry()
        if was_blocked and not self.unsent_bytes():
            self.time.call_soon(self.on_drained)

    def _carry(self) -> None:
        if self._is_carrying or self.is_stalled or not self._queue:
            return
        self._is_carrying = True
        self.time.call_at(self.time() + len(self._queue[0]) / self.rate_bytes_s, self._carried)

    def _carried(self) -> None:
        self._is_carrying = False
        if self.is_stalled:
            return
        was_blocked = self.unsent_bytes() > 0
        data = self._queue.popleft()
        self._queued_bytes -= len(data)
        self.time.call_at(self.time() + self.way_s, lambda: self.on_arrived(data))
        if was_blocked and not self.unsent_bytes():
            self.time.call_soon(self.on_drained)
        self._carry()


class SimulatedScreen:
    """A connection and the browser at its end.

    Attributes:
        shown: The newest frame message that has arrived, or None.
        is_mute: Whether it acknowledges nothing, and answers no ping.
        held_s: How long it keeps a frame before it acknowledges.
    """

    def __init__(self, canvas: Canvas, time: SimulatedTime, *, deadline_s: float = 120.0) -> None:
        self.canvas = canvas
        self.time = time
        self.shown: dict[str, Any] | None = None
        self.byes: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.frames = 0
        self.is_mute = False
        self.is_silent = False
        self.held_s = 0.005
        self.unread: list[tuple[int, bytes]] = []
        self._buffer = b""
        self._message = b""
        self._subscription = canvas.subscribe(Form.MSGPACK)
        self.subscriber: Subscriber = self._subscription.__enter__()
        self.link = SimulatedLink(time, self._arrived, self._drained)
        self.writer = Writer(
            self.subscriber, canvas, self.link, deadline_s=deadline_s, call_at=time.call_at, clock=time
        )
        self.writer.start()

    @property
    def is_open(self) -> bool:
        return self.writer.end is None

    def tell(self, type_: str, **fields: Any) -> None:
        """Send a message to the server."""
        if not self.is_open:
            return
        data = msgpack.packb({"type": type_, **fields})
        handle_message(self.canvas, self.subscriber, data, self.time())
        self.writer.pump()

    def pong(self, tag: int) -> None:
        """Answer a ping."""
        if self.is_open:
            self.subscriber.flow.pong(tag, self.time())
            self.canvas.demand_changed(self.subscriber)
            self.writer.pump()

    def answer(self, *, is_mute: bool) -> None:
        """Acknowledge nothing from now on, or all that was not."""
        self.is_mute = is_mute
        if not is_mute:
            unread, self.unread = self.unread, []
            for opcode, data in unread:
                self._answer(opcode, data)

    def leave(self) -> None:
        """End the connection."""
        self.writer.stop()
        self._subscription.__exit__(None, None, None)

    def _drained(self) -> None:
        if self.is_open:
            self.writer.drained()

    def _arrived(self, data: bytes) -> None:
        self._buffer += data
        while (frame := self._take_frame()) is not None:
            opcode, is_last, payload = frame
            if opcode == 0x9:
                self._answer(opcode, payload)
                continue
            if opcode >= 0x8:
                continue
            # A message begins with its opcode, and goes on with none.
            assert (opcode == 0) == bool(self._message), "another message begins inside of one"
            self._message += payload
            if is_last:
                message, self._message = self._message, b""
                self._received(msgpack.unpackb(message))

    def _take_frame(self) -> tuple[int, bool, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, at = buffer[1] & 0x7F, 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(buffer[2 : 2 + size], "big"), 2 + size
        if len(buffer) < at + length:
            return None
        self._buffer = buffer[at + length :]
        return buffer[0] & 0x0F, bool(buffer[0] & 0x80), buffer[at : at + length]

    def _received(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "frame":
                self.frames += 1
                if self.shown is None or message["sequence"] >= self.shown["sequence"]:
                    self.shown = message
                self._answer(0x2, message["sequence"].to_bytes(8, "big"))
            case "bye":
                self.byes.append(message)
            case "status":
                self.statuses.append(message)

    def _answer(self, opcode: int, data: bytes) -> None:
        if self.is_mute:
            self.unread.append((opcode, data))
        elif opcode == 0x9:
            self.time.call_at(self.time() + self.link.way_s, lambda: self.pong(int.from_bytes(data, "big")))
        elif not self.is_silent:
            sequence = int.from_bytes(data, "big")
            self.time.call_at(
                self.time() + self.held_s + self.link.way_s, lambda: self.tell("ack", sequence=sequence)
            )
