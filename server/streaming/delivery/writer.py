"""Writes what a subscriber is to get, as far as its link takes it: control first, then the newest frame.

Synchronous: whoever has changed something (an offer, an acknowledgement, a timer) pumps. Knows no socket
and no event loop. The rules that must not be broken: nothing is taken from the mailbox before it can be
written or encoded, so that the newest wins until then; nothing but what is legal comes between two parts.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable

from server.streaming.canvas import Canvas
from server.streaming.clock import Clock, now_ms
from server.streaming.delivery.choice import Choice
from server.streaming.delivery.held import HeldPayloads
from server.streaming.delivery.link import Link, Timer
from server.streaming.delivery.mailbox import MailboxClosed
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.frame import Frame
from server.streaming.payload import Payload
from server.streaming.tiers.line import Request
from server.streaming.tiers.tier import Tier
from server.streaming.wire import CloseCode, control_bytes


# Frames that carry a ping before the peer acknowledges any: the round trip is measured by then.
PINGS_AHEAD = 3


class Writer:
    """The way from one subscriber's mailbox to its link.

    Attributes:
        is_blocked: Whether the link takes no more; `drained` goes on.
        blocked_since: From when the message on its way waits for the link, monotonic seconds, or None.
        end: Why it has stopped, or None. Nothing is written after it.
        error: The bug that stopped it, or None.
        on_blocked: Called when the link takes no more, the mailbox closes meanwhile, or it stops.
        is_enqueued: Belongs to `Rounds`.
    """

    def __init__(
        self,
        subscriber: Subscriber,
        canvas: Canvas,
        link: Link,
        *,
        deadline_s: float,
        call_at: Callable[[float, Callable[[], None]], Timer],
        clock: Clock = time.monotonic,
    ) -> None:
        """Make a writer of a canvas for a subscriber; `start` lets it write to the link.

        Args:
            subscriber: Who gets the canvas.
            canvas: What it gets.
            link: Where to write.
            deadline_s: How long an acknowledging peer may leave a waiting frame shut out, seconds.
            call_at: Has something called at an instant of the clock.
            clock: Monotonic seconds.
        """
        self.is_blocked = False
        self.blocked_since: float | None = None
        self.end: MailboxClosed | None = None
        self.error: Exception | None = None
        self.on_blocked: Callable[[], None] = lambda: None
        self.is_enqueued = False
        self._subscriber = subscriber
        self._mailbox = subscriber.mailbox
        self._flow = subscriber.flow
        self._canvas = canvas
        self._held: HeldPayloads = canvas.held
        self._link = link
        self._deadline_s = deadline_s
        self._call_at = call_at
        self._clock = clock
        self._choice = Choice(subscriber, canvas)
        self._timer: Timer | None = None
        self._due_at = math.inf
        # The message on its way, and how many of its bytes are written.
        self._payload: Payload | None = None
        self._at = 0
        # What may go between two parts of a message: the newest only, each answers all before it.
        self._interjection = b""
        # The frame that is being encoded for this subscriber, and whether it was sent before.
        self._request: Request | None = None
        self._asked: tuple[Frame, Tier, bool] | None = None
        self._refused: Frame | None = None
        # What was sent last, and whether a better tier of it may follow when the canvas rests.
        self._sent: Frame | None = None
        self._may_refine = False

    def start(self) -> None:
        """Write from now on."""
        self._mailbox.on_ready = functools.partial(self._canvas.rounds.enqueue, self)
        self.pump()

    def stop(self) -> None:
        """Write nothing more, and let go of everything. Idempotent."""
        self._mailbox.on_ready = lambda: None
        self._stop(self.end or MailboxClosed("gone", reconnect=True, close_code=CloseCode.GOING_AWAY))

    def cut_off(self) -> None:
        """End because the peer takes too little: `end` tells it so."""
        is_crowded = self._held.held_bytes > self._held.limit_bytes
        reason = f"nothing was taken or acknowledged for {self._deadline_s:g} s"
        reason = "too many bytes wait for peers that take nothing" if is_crowded else reason
        self._stop(MailboxClosed(reason, reconnect=True, close_code=CloseCode.TOO_SLOW))

    def fail(self, error: Exception) -> None:
        """End because of a bug of ours."""
        self.error = error
        self._stop(MailboxClosed("internal error", reconnect=True, close_code=CloseCode.INTERNAL))

    def give_up_message(self) -> None:
        """End in the middle of a message, so that what may go between two parts can follow."""
        self._stop(self._mailbox.closed or self.end)

    def interject(self, data: bytes) -> None:
        """Write what may go between two parts of a message, now or as soon as the link takes it."""
        if self.end:
            return
        if self.is_blocked:
            self._interjection = data
        else:
            self._write(data)

    def drained(self) -> None:
        """Go on: the link has taken all that was handed over."""
        self.is_blocked = False
        if self._payload is None:
            self.blocked_since = None
        self.pump()

    def pump(self) -> None:
        """Write what can be written now, and see to it that the rest is not forgotten."""
        if self.end:
            return
        if self.is_blocked:
            if self._mailbox.closed:
                # Whoever waits for the link must know that there is not much time.
                self.on_blocked()
            return
        mailbox = self._mailbox
        while True:
            if self._interjection:
                data, self._interjection = self._interjection, b""
                if not self._write(data):
                    return
            if self._payload is not None and not self._write_parts():
                return
            if mailbox.has_message and not self._write_messages():
                return
            if mailbox.closed:
                self._stop(mailbox.closed)
                return
            if not (mailbox.has_frame or self._may_refine) or not self._next_frame():
                return

    def _write(self, data: bytes | memoryview) -> bool:
        """Write, and tell whether the link takes more."""
        self._link.write(data)
        if not self._link.unsent_bytes():
            return True
        self.is_blocked = True
        if self.blocked_since is None:
            self.blocked_since = self._clock()
        if self._payload is not None:
            self._held.hold(self, self._payload)
        self.on_blocked()
        return False

    def _write_parts(self) -> bool:
        """Write the message on its way, as far as the link takes it; tell whether that was all of it."""
        payload = self._payload
        assert payload is not None
        whole, at = payload.whole, self._at
        while True:
            at += self._link.write_some(whole[at:])
            if at == len(whole):
                self._done()
                return True
            # The rest of this part: the link tells when it has been taken.
            end = payload.end_after(at)
            rest, at = whole[at:end], end
            self._at = end
            if end == len(whole):
                self._done()
                return self._write(rest)
            if not self._write(rest):
                return False

    def _done(self) -> None:
        """Let go of a message whose last part is being written."""
        self._payload = None
        if self.blocked_since is not None:
            self._held.release(self)
            if not self.is_blocked:
                self.blocked_since = None

    def _write_messages(self) -> bool:
        while (message := self._mailbox.take_message()) is not None:
            data = control_bytes(message, self._subscriber.form)
            if data and not self._write(data):
                return False
        return True

    def _next_frame(self) -> bool:
        """Take the newest frame if it may leave; tell whether it has."""
        mailbox = self._mailbox
        frame = mailbox.waiting
        if self._request is not None:
            if frame is None or self._request.is_started:
                return False
            # Nobody has begun with the older one: this one instead.
            self._withdraw()
        now_s = self._clock()
        if frame is None:
            return self._may_refine and self._refine(now_s)
        tier, size_bytes, prepare_s = self._choice.next(frame, now_s)
        renditions, form = self._canvas.renditions, self._subscriber.form
        # What passes through is packed when it may leave only; the others may have been encoded for somebody.
        payload = renditions.ready(frame, tier, form) if prepare_s else None
        if payload is not None:
            size_bytes, prepare_s = payload.size_bytes, 0.0
        opens_at = self._flow.opens_at(now_s, size_bytes=size_bytes, prepare_s=prepare_s)
        if opens_at > now_s:
            self._wait(opens_at, now_s)
            return False
        payload = payload or renditions.ready(frame, tier, form)
        mailbox.take_frame()
        if payload is None:
            self._ask(frame, tier, again=False)
            return False
        return self._begin(frame, tier, payload, now_s, again=False)

    def _wait(self, opens_at: float, now_s: float) -> None:
        """Come back when the waiting frame may leave, or its peer has been silent for too long."""
        if math.isinf(opens_at):
            left_s = self._deadline_s - self._flow.stalled_for_s(now_s)
            if left_s <= 0.0:
                self.cut_off()
                return
            opens_at = now_s + left_s
        self._set_timer(opens_at)

    def _set_timer(self, due_at: float) -> None:
        # One that is due earlier may stay: it finds nothing to do and sets the next.
        if self._due_at <= due_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due_at = due_at
        self._timer = self._call_at(due_at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._due_at = math.inf
        self.pump()

    def _ask(self, frame: Frame, tier: Tier, *, again: bool) -> None:
        """Have a frame encoded."""
        self._asked = (frame, tier, again)
        self._request = self._canvas.renditions.request(frame, tier, self._subscriber.form, self._on_encoded)

    def _withdraw(self) -> None:
        """Want the frame that is being encoded no longer."""
        request, asked = self._request, self._asked
        self._request = self._asked = None
        if request is not None:
            request.cancel()
        if asked is not None and not asked[2]:
            self._mailbox.put_back(asked[0])

    def _on_encoded(self, payload: Payload | None) -> None:
        """Send what was encoded: it was begun for this subscriber, though a newer one may wait by now."""
        asked = self._asked
        self._request = self._asked = None
        if self.end or asked is None:
            return
        frame, tier, again = asked
        if payload is None:
            # Superseded in somebody else's favour; or nobody can encode it: asking twice tells.
            if not again and (self._mailbox.has_frame or frame is not self._refused):
                self._mailbox.put_back(frame)
            self._refused = frame
        elif (
            # Control that was posted meanwhile may fill the link: what was encoded is kept for a while.
            self.is_blocked
            or self._mailbox.closed
            or not self._mailbox.is_visible
            or (again and self._mailbox.has_frame)
        ):
            if not again:
                self._mailbox.put_back(frame)
        else:
            self._begin(frame, tier, payload, self._clock(), again=again)
        self.pump()

    def _begin(self, frame: Frame, tier: Tier, payload: Payload, now_s: float, *, again: bool) -> bool:
        """Write a frame's message; tell whether the link takes more."""
        subscriber, flow = self._subscriber, self._flow
        # A peer that stays silent needs no round trip.
        is_speaking = flow.is_acknowledging or flow.sent_frames < PINGS_AHEAD
        pinged = payload.ping_bytes > 0 and is_speaking and flow.wants_ping(now_s)
        flow.sent(frame.sequence, payload.size_bytes, now_s, pinged=pinged, again=again)
        subscriber.note_sent(frame, tier, payload, now_s, now_ms())
        self._sent = frame
        self._may_refine = not again and self._choice.may_be_bettered(tier)
        self._payload = payload
        self._at = 0 if pinged else payload.ping_bytes
        return self._write_parts()

    def _refine(self, now_s: float) -> bool:
        """Send what was sent last once more, in the best tier that its link carries, if the canvas rests."""
        frame = self._mailbox.newest
        if frame is None or frame is not self._sent or not self._mailbox.is_visible:
            return False
        rests_at = self._canvas.rests_at_s
        if now_s < rests_at:
            if not math.isinf(rests_at):
                self._set_timer(rests_at)
            return False
        if self._flow.in_flight:
            # The acknowledgement pumps.
            return False
        self._may_refine = False
        tier = self._choice.best(frame, now_s)
        if tier is None:
            return False
        payload = self._canvas.renditions.ready(frame, tier, self._subscriber.form)
        if payload is None:
            self._ask(frame, tier, again=True)
            return False
        return self._begin(frame, tier, payload, now_s, again=True)

    def _stop(self, end: MailboxClosed | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due_at = math.inf
        if self._request is not None:
            self._request.cancel()
        self._request = self._asked = self._payload = None
        self._interjection = b""
        self._held.release(self)
        if self.end is None:
            self.end = end
            self.on_blocked()
