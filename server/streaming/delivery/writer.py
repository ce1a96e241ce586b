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
from server.streaming.delivery.alarm import Alarm
from server.streaming.delivery.choice import Choice
from server.streaming.delivery.held import HeldPayloads
from server.streaming.delivery.link import Link, Timer
from server.streaming.delivery.mailbox import MailboxClosed
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.delivery.wish import Asked, Wish
from server.streaming.frame import Frame
from server.streaming.payload import FRAGMENT_BYTES, Payload
from server.streaming.tiers.tier import ORIGINAL, Tier
from server.streaming.wire import CloseCode, control_bytes


# Frames that carry a ping before the peer acknowledges any: the round trip is measured by then.
PINGS_AHEAD = 3
# How long after the hello a large frame waits for what the screen says of itself: a phone would begin with
# megabytes that it cannot show, and a hidden page with such that nobody sees.
GREETING_S = 0.25


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
        self._clock = clock
        self._choice = Choice(subscriber, canvas)
        # Until when large frames wait for what the screen says of itself; 0 once they do not.
        self._greets_until = 0.0
        # Since when the frame that waits does so for an acknowledgement.
        self._shut_at = math.inf
        self._alarm = Alarm(call_at, self.pump, self.fail)
        # The message on its way, and how many of its bytes are written.
        self._payload: Payload | None = None
        self._at = 0
        # What may go between two parts of a message: the newest only, each answers all before it.
        self._interjection = b""
        # The frame that is being encoded for this subscriber, and the last one that could not be.
        self._wish = Wish(canvas, subscriber.form, self._take_encoded, self.fail)
        self._refused: Frame | None = None
        # What was sent last, and whether a better tier of it may follow when the canvas rests.
        self._sent: Frame | None = None
        self._sent_tier = ORIGINAL
        self._may_refine = False

    def start(self) -> None:
        """Write from now on."""
        self._mailbox.on_ready = functools.partial(self._canvas.rounds.enqueue, self)
        self._subscriber.on_screen = self._on_screen
        if self._subscriber.has_control:
            self._greets_until = self._clock() + GREETING_S
        self.pump()

    def stop(self) -> None:
        """Write nothing more, and let go of everything. Idempotent."""
        self._mailbox.on_ready = self._subscriber.on_screen = lambda: None
        self._stop(self.end or MailboxClosed("gone", reconnect=True, close_code=CloseCode.GOING_AWAY))

    def cut_off(self, reason: str = "") -> None:
        """End because the peer takes too little: `end` tells it so, and why it matters."""
        reason = reason or f"nothing was taken or acknowledged for {self._deadline_s:g} s"
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
        if self.is_blocked:
            self._interjection = data
        elif not self.end:
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
        mailbox = self._mailbox
        if not mailbox.is_visible:
            self._shut_at = math.inf  # no frame waits meanwhile
        if self.is_blocked:
            if mailbox.closed:
                # Whoever waits for the link must know that there is not much time.
                self.on_blocked()
            return
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
            if (mailbox.waiting is None and not self._may_refine) or not self._next_frame():
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
                # Copied: a transport that keeps a view would keep the whole message alive with it.
                return self._write(bytes(rest))
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
        request = self._wish.request
        if request is not None:
            if frame is None or request.is_started:
                return False
            # Nobody has begun with the older one: this one instead.
            if (older := self._wish.withdraw()) is not None:
                mailbox.put_back(older)
        now_s = self._clock()
        if frame is None:
            return self._may_refine and self._refine(now_s)
        tier, size_bytes, prepare_s = self._choice.next(frame, now_s)
        renditions, form = self._canvas.renditions, self._subscriber.form
        # What passes through is packed when it may leave only; the others may have been encoded for somebody.
        payload = renditions.ready(frame, tier, form) if prepare_s else None
        if payload is not None:
            size_bytes, prepare_s = payload.size_bytes, 0.0
        if self._greets_until and self._must_greet(size_bytes, now_s):
            return False
        opens_at = self._flow.opens_at(now_s, size_bytes=size_bytes, prepare_s=prepare_s)
        if opens_at > now_s:
            self._wait(opens_at, now_s)
            return False
        payload = payload or renditions.ready(frame, tier, form)
        mailbox.take_frame()
        self._shut_at = math.inf
        if payload is None:
            self._wish.ask(frame, tier, again=False)
            return False
        return self._begin(frame, tier, payload, now_s, again=False)

    def _must_greet(self, size_bytes: int, now_s: float) -> bool:
        """Tell whether a frame waits until the screen has told of itself, and come back when it need not."""
        if self._subscriber.has_told or self._flow.is_acknowledging or now_s >= self._greets_until:
            self._greets_until = 0.0
        elif size_bytes > FRAGMENT_BYTES:
            self._alarm.set(self._greets_until)
            return True
        return False

    def _wait(self, opens_at: float, now_s: float) -> None:
        """Come back when the waiting frame may leave, or its peer has been silent for too long."""
        if math.isinf(opens_at):
            self._shut_at = min(self._shut_at, now_s)
            left_s = self._deadline_s - self._flow.stalled_for_s(now_s, self._shut_at)
            if left_s <= 0.0:
                self.cut_off()
                return
            opens_at = now_s + left_s
        self._alarm.set(opens_at)

    def _on_screen(self) -> None:
        """Look again whether what rests there could be better, now that it is another screen."""
        self._may_refine = self._sent is not None and self._sent_tier is not ORIGINAL

    def _take_encoded(self, asked: Asked, payload: Payload | None) -> None:
        """Send what was encoded: it was begun for this subscriber, though a newer one may wait by now."""
        frame, tier, again = asked
        if payload is None:
            # Superseded in somebody else's favour; or nobody can encode it: asking twice tells.
            is_first = frame is not self._refused
            if again:
                self._may_refine = self._may_refine or is_first
            elif is_first or self._mailbox.has_frame:
                self._mailbox.put_back(frame)
            self._refused = frame
        elif (
            # Control that was posted meanwhile may fill the link: what was encoded is kept for a while.
            self.is_blocked
            or self._mailbox.closed
            or not self._mailbox.is_visible
            or (again and self._mailbox.has_frame)
        ):
            if again:
                # It is still there when the link has taken what fills it.
                self._may_refine = True
            else:
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
        subscriber.note_sent(frame, tier, payload, now_s, now_ms(), again=again)
        self._sent, self._sent_tier = frame, tier
        if not again:
            # Where it is, another screen than the one that it was chosen for may have told of itself since.
            self._may_refine = tier is not ORIGINAL
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
            self._alarm.set(rests_at)
            return False
        if self._flow.in_flight and now_s < (settled_at := self._flow.settled_at):
            # The acknowledgement pumps, or time does.
            if settled_at < float("inf"):
                self._alarm.set(settled_at)
            return False
        self._may_refine = False
        tier = self._choice.best(frame, now_s, shown=self._sent_tier)
        if tier is None:
            return False
        payload = self._canvas.renditions.ready(frame, tier, self._subscriber.form)
        if payload is None:
            self._wish.ask(frame, tier, again=True)
            return False
        return self._begin(frame, tier, payload, now_s, again=True)

    def _stop(self, end: MailboxClosed | None) -> None:
        self._alarm.cancel()
        self._wish.withdraw()
        self._payload = None
        self._interjection = b""
        self._held.release(self)
        if self.end is None:
            self.end = end
            self.on_blocked()
