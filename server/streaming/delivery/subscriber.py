"""One connection receiving one canvas, as the canvas knows it."""

from __future__ import annotations

import itertools
from typing import Any

from server.streaming.clock import now_ms
from server.streaming.delivery.mailbox import Mailbox
from server.streaming.flow.control import Window
from server.streaming.rates import Rate
from server.streaming.wire import Form


class Subscriber:
    """One connection receiving one canvas.

    Attributes:
        mailbox: What waits for it.
        max_fps: The rate that it wishes for, None for any.
        formats: The image formats that it takes.
        viewport: Its size in device pixels, or None where it has not told.
    """

    _numbers = itertools.count(1)

    def __init__(self, form: Form) -> None:
        self.number = next(self._numbers)
        self.form = form
        self.mailbox = Mailbox(Window())
        self.max_fps: float | None = None
        self.formats = frozenset({"jpeg"}) if form is Form.SEED_JSON else frozenset({"jpeg", "png", "webp"})
        self.viewport: tuple[int, int] | None = None
        self.rtt_ms: float | None = None
        self.offset_ms: float | None = None
        self.skipped = 0  # superseded in the browser, as it tells
        self.ignored = 0  # messages and fields that we do not know
        self.out = Rate()
        self.connected_ms = now_ms()

    @property
    def wants_fps(self) -> float:
        """How many frames per second it can show; 0 while hidden."""
        if not self.mailbox.is_visible:
            return 0.0
        return self.max_fps or float("inf")

    def state(self, now_s: float) -> dict[str, Any]:
        """Describe it for `/state`."""
        window = self.mailbox.window
        return {
            "number": self.number,
            "form": self.form.value,
            "connected_ms": self.connected_ms,
            "visible": self.mailbox.is_visible,
            "viewport": self.viewport,
            "acknowledging": window.is_acknowledging,
            "in_flight": window.in_flight,
            "in_flight_bytes": window.in_flight_bytes,
            "fps_out": self.out.per_second(now_s),
            "sent_frames": window.sent_frames,
            "sent_bytes": window.sent_bytes,
            "replaced": self.mailbox.replaced,
            "skipped": self.skipped,
            "ignored": self.ignored,
            "rtt_ms": self.rtt_ms,
            "offset_ms": self.offset_ms,
        }
