"""The one frame that is being encoded for a subscriber. Knows no link and no mailbox."""

from __future__ import annotations

from collections.abc import Callable

from server.streaming.canvas import Canvas
from server.streaming.frame import Frame
from server.streaming.payload import Payload
from server.streaming.tiers.line import Request
from server.streaming.tiers.tier import Tier
from server.streaming.wire import Form


Asked = tuple[Frame, Tier, bool]
"""A frame, what it is encoded as, and whether it was sent before in another tier."""


class Wish:
    """A frame that is asked for, one at a time.

    Attributes:
        request: What was asked for, None while nothing is.
    """

    __slots__ = ("_asked", "_canvas", "_fail", "_form", "_take", "request")

    def __init__(
        self,
        canvas: Canvas,
        form: Form,
        take: Callable[[Asked, Payload | None], None],
        fail: Callable[[Exception], None],
    ) -> None:
        """Make a wish for nothing.

        Args:
            canvas: Whose frames they are.
            form: Of their messages.
            take: Takes what was asked for and its message, None where there is none.
            fail: Takes what that raises: whoever encodes has others to tell.
        """
        self.request: Request | None = None
        self._canvas = canvas
        self._form = form
        self._take = take
        self._fail = fail
        self._asked: Asked | None = None

    def ask(self, frame: Frame, tier: Tier, *, again: bool) -> None:
        """Have a frame encoded; nothing else is asked for."""
        self._asked = (frame, tier, again)
        self.request = self._canvas.renditions.request(frame, tier, self._form, self._done)

    def withdraw(self) -> Frame | None:
        """Want it no longer; return the frame unless it was sent before. Idempotent."""
        request, asked = self.request, self._asked
        self.request = self._asked = None
        if request is not None:
            request.cancel()
        return asked[0] if asked is not None and not asked[2] else None

    def _done(self, payload: Payload | None) -> None:
        asked = self._asked
        self.request = self._asked = None
        if asked is None:
            return
        try:
            self._take(asked, payload)
        except Exception as exc:  # noqa: BLE001 - see above
            self._fail(exc)
