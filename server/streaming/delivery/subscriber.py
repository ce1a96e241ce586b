"""One connection receiving one canvas, as the canvas knows it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from server.sound.microphone import Microphone
from server.streaming.ages import Ages
from server.streaming.clock import now_ms
from server.streaming.delivery.mailbox import Mailbox
from server.streaming.delivery.pace import PresentPace
from server.streaming.flow.control import FlowControl
from server.streaming.frame import Frame
from server.streaming.payload import Payload
from server.streaming.rates import Rate
from server.streaming.tiers.choosing import TierChooser
from server.streaming.tiers.tier import ORIGINAL, Tier
from server.streaming.wire import Form


# Of what its link carries: room for a link that gets faster, which only more frames would show.
HEADROOM = 1.25
# However slow its link: a screen that is shown gets something now and then.
LEAST_FPS = 0.5
# How often an acknowledgement has the demand looked at again, seconds.
LOOK_S = 0.25


class Subscriber:
    """One connection receiving one canvas.

    Attributes:
        keeps: Whether a temporary canvas stays for it.
        has_control: Whether it can be told anything but frames.
        mailbox: What waits for it.
        flow: How much may be on its way to it.
        chooser: Which tier its frames are in.
        ages: How old frames are when it shows them.
        microphone: What it tells of sound, and whether it may.
        max_fps: The rate that it wishes for, None for any, 0 for none.
        has_told: Whether its screen has told anything of itself.
        is_shown: Whether it says that its screen is visible.
        formats: The image formats that it takes.
        viewport: Its size in device pixels, or None where it has not told.
        tier: The name of the tier that was sent last, empty before the first frame.
        on_screen: Called when its viewport has changed, or its formats have.
    """

    _numbers = itertools.count(1)

    def __init__(self, form: Form, tiers: Sequence[Tier] = (ORIGINAL,), *, keeps: bool = True) -> None:
        self.number = next(self._numbers)
        self.keeps = keeps
        self.form = form
        # Asked for with each frame and acknowledgement, and of the form it is computed.
        self.has_control = form.has_control
        self.mailbox = Mailbox()
        self.flow = FlowControl()
        self.chooser = TierChooser(tiers)
        self.ages = Ages()
        self.microphone = Microphone()
        self.max_fps: float | None = None
        self.has_told = False
        self.is_shown = True
        only_jpeg = form.is_multipart or form is Form.SEED_JSON
        self.formats = frozenset({"jpeg"}) if only_jpeg else frozenset({"jpeg", "png", "webp"})
        self.viewport: tuple[int, int] | None = None
        self.rtt_ms: float | None = None
        self.offset_ms: float | None = None
        self.skipped = 0  # superseded in the browser, as it tells
        self.ignored = 0  # messages and fields that we do not know
        self.out = Rate()
        self.tier = ""
        self.on_screen: Callable[[], None] = _nobody
        self.connected_ms = now_ms()
        self._pace = PresentPace()
        self._sent_bytes = 0  # of the last frame
        self._known_sequence = -1  # of what was there already when it came or was shown again
        self._look_at = -math.inf

    @property
    def wants_fps(self) -> float:
        """How many frames per second it can show; 0 while it shows none, infinite while nothing limits it."""
        if not self.mailbox.is_visible:
            return 0.0
        wanted = min(self.max_fps or math.inf, self._pace.max_fps)
        rate_bytes_s = self.flow.rate_bytes_s
        if rate_bytes_s is not None and self._sent_bytes:
            wanted = min(wanted, max(LEAST_FPS, HEADROOM * rate_bytes_s / self._sent_bytes))
        return wanted

    def show(
        self,
        *,
        is_shown: bool,
        viewport: tuple[int, int] | None,
        max_fps: float | None,
        formats: frozenset[str] | None = None,
    ) -> None:
        """Take what a screen says of itself: a hidden, zero-size or paused one gets no frames.

        Args:
            is_shown: Whether it is visible.
            viewport: Its size in device pixels, None where it does not tell.
            max_fps: The rate that it wishes for, None for any, 0 for none.
            formats: The image formats that it takes, None for those of before.
        """
        formats = self.formats if formats is None else formats
        is_another = (viewport, formats) != (self.viewport, self.formats)
        self.has_told = True
        self.is_shown = is_shown
        self.viewport = viewport
        self.formats = formats
        self.max_fps = max_fps
        self._limit_rate()
        if is_another:
            self.on_screen()
        has_area = viewport is None or (viewport[0] > 0 and viewport[1] > 0)
        was_visible = self.mailbox.is_visible
        self.mailbox.set_visible(is_shown and has_area and max_fps != 0)
        if not was_visible and self.mailbox.newest is not None:
            self._known_sequence = self.mailbox.newest.sequence

    def greet(self, frame: Frame) -> None:
        """Offer what the canvas shows when the screen comes; how old that is is nobody's delay."""
        self._known_sequence = frame.sequence
        self.mailbox.offer(frame)

    def note_sent(
        self,
        frame: Frame,
        tier: Tier,
        payload: Payload,
        now_s: float,
        sent_ms: float,
        *,
        again: bool = False,
    ) -> None:
        """Note a frame that is handed to the socket.

        Args:
            frame: As the canvas published it.
            tier: What it was encoded as.
            payload: Its message.
            now_s: Monotonic seconds.
            sent_ms: The same instant, Unix.
            again: Whether it is one of before in a better tier: it says nothing of how many of those that
                follow the link can take.
        """
        self.tier = name = tier.name
        if not again:
            self._sent_bytes = payload.size_bytes
        self.out.count(now_s)
        if self.has_control and frame.sequence > self._known_sequence:
            self.ages.note_sent(frame.sequence, frame, name, payload.encoded_ms, sent_ms)

    def note_shown(self, now_s: float, *, presented: bool, skipped: int) -> bool:
        """Take what an acknowledgement tells of the screen.

        Returns:
            Whether it is time to look at `wants_fps` again: now and then, as goodput moves with each.
        """
        self.skipped += skipped
        has_changed = self._pace.note(now_s, presented=presented, skipped=skipped)
        if has_changed:
            self._limit_rate()
        elif now_s < self._look_at:
            return False
        self._look_at = now_s + LOOK_S
        return True

    def state(self, now_s: float) -> dict[str, Any]:
        """Describe it for `/state`."""
        flow, mailbox = self.flow, self.mailbox
        return {
            "number": self.number,
            "form": self.form.value,
            "connected_ms": self.connected_ms,
            "visible": mailbox.is_visible,
            "viewport": self.viewport,
            "acknowledging": flow.is_acknowledging,
            "tier": self.tier or None,
            "fps_out": self.out.per_second(now_s),
            "sent_frames": flow.sent_frames,
            "sent_bytes": flow.sent_bytes,
            "replaced": mailbox.replaced,
            "skipped": self.skipped,
            "ignored": self.ignored,
            "audio": self.microphone.state(),
            **flow.state(),
            # Of the browser's own measurement; that of the link's pings is `min_rtt_ms`.
            "rtt_ms": self.rtt_ms if self.rtt_ms is not None else flow.state()["rtt_ms"],
            "offset_ms": self.offset_ms,
            "drops": {
                "replaced": mailbox.replaced,
                "skipped": self.skipped,
                "hidden": mailbox.hidden,
            },
        }

    def _limit_rate(self) -> None:
        limit = min(self.max_fps or math.inf, self._pace.max_fps)
        self.flow.set_max_fps(None if math.isinf(limit) else limit)


def _nobody() -> None:
    """Nobody minds yet."""
