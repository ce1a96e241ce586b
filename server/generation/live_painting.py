"""A live painting as its producer holds it: commands go in at once, events come out one by one.

It knows no call: the inference client carries `take_command` to the service and hands what comes
back to `offer`. Its one rule: `retarget` and `credit` are synchronous, so that a producer
changes its mind without waiting for the network.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from protos import psyche_inference_v1_pb2 as pb
from server.errors import InferenceError
from server.generation import inference_wire as wire
from server.generation.picture import PaintEvent, PictureOrder


# Credits that may be unanswered, by the contract.
MAX_CREDITS = 8

# Targets that wait for a service that does not read: a timeline keeps about as many, and with a
# source image each may weigh megabytes.
MAX_UNSENT_TARGETS = 4

# Events that wait for the producer. Frames are bounded by their credits already; past this the
# stream is not read on, and its flow control slows the service's progress events.
MAX_UNREAD_EVENTS = 16


class LivePainting:
    """One live painting, made by `InferenceClient.paint` and valid inside its context.

    Held by one producer: one task at a time waits for the next event.

    Attributes:
        on_end: Called when the stream is over, for a producer that does not wait for an event then.
    """

    def __init__(self, order: PictureOrder, revision: int) -> None:
        """Begin with a target.

        Raises:
            InferenceRejectedError: If the order does not fit into a message.
        """
        self._unsent: deque[pb.PaintCommand] = deque([wire.open_command(order, revision)])
        self._unread: deque[PaintEvent] = deque()
        self._ended: InferenceError | None = None
        self.on_end: Callable[[], None] = lambda: None
        # Each is set when its side has something to look at anew.
        self._commanded = asyncio.Event()
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()

    @property
    def is_ended(self) -> bool:
        """Whether the stream is over; `next_event` raises the reason."""
        return self._ended is not None

    def retarget(self, order: PictureOrder, revision: int, at_s: float, transition_s: float) -> None:
        """Paint something else from a time of the timeline on; after the stream broke, nothing.

        A target that the service has no time to read gives way to newer ones.

        Args:
            order: The new target.
            revision: The caller's number of this target; frames painted for it carry it.
            at_s: When the change begins, seconds of the timeline; in the past is allowed.
            transition_s: How long it takes, 0 to 600 seconds; 0 is a cut.

        Raises:
            InferenceRejectedError: If the order does not fit into a message.
        """
        if self._ended:
            return
        command = wire.retarget_command(order, revision, at_s=at_s, transition_s=transition_s)
        waiting = [place for place, unsent in enumerate(self._unsent) if unsent.HasField("retarget")]
        if len(waiting) >= MAX_UNSENT_TARGETS:
            del self._unsent[waiting[0]]
        self._command(command)

    def credit(self, time_s: float) -> None:
        """Permit one frame, of a time of the timeline in seconds; after the stream broke, nothing.

        At most `MAX_CREDITS` may be unanswered.
        """
        if self._ended:
            return
        unsent = sum(command.HasField("credit") for command in self._unsent)
        assert unsent < MAX_CREDITS, f"{unsent} credits are unanswered already"
        self._command(wire.credit_command(time_s))

    async def next_event(self) -> PaintEvent:
        """Wait for the next frame, progress or refusal, and return it.

        Raises:
            InferenceError: If the stream broke, after everything that came before was returned.

        Cancellation:
            Loses nothing, and the painting goes on.
        """
        while not self._unread:
            if self._ended:
                raise self._ended
            self._arrived.clear()
            await self._arrived.wait()
        self._has_room.set()
        return self._unread.popleft()

    async def take_command(self) -> pb.PaintCommand:
        """Wait for the next command for the service, and remove it. For the inference client.

        Cancellation:
            Loses nothing.
        """
        while not self._unsent:
            self._commanded.clear()
            await self._commanded.wait()
        return self._unsent.popleft()

    async def offer(self, event: PaintEvent) -> None:
        """Hand over an event, waiting while too many are unread. For the inference client."""
        while len(self._unread) >= MAX_UNREAD_EVENTS:
            self._has_room.clear()
            await self._has_room.wait()
        self._unread.append(event)
        self._arrived.set()

    def end(self, error: InferenceError) -> None:
        """Tell that the stream is over; the first reason stays. For the inference client."""
        self._ended = self._ended or error
        self._unsent.clear()
        self._arrived.set()
        self.on_end()

    def _command(self, command: pb.PaintCommand) -> None:
        self._unsent.append(command)
        self._commanded.set()
