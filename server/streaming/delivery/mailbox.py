"""What waits for one subscriber: a single frame, the newest, and the control messages before it.

Pure and synchronous: whoever empties it is told by a call. The rule that must not be broken: the
newest frame is never dropped, only replaced by a newer one; control messages are neither dropped nor
put behind more than the one frame that is already on its way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from server.streaming.frame import Frame


Message = Mapping[str, Any]
"""A control message, before it is packed."""

# Control messages answer what the peer sent; one that sends without reading gets no more than this.
MAX_WAITING_MESSAGES = 64


@dataclass(frozen=True, slots=True)
class MailboxClosed:
    """Why nothing more comes."""

    reason: str  # for the `bye` message and the close frame
    reconnect: bool  # whether the peer should come back
    close_code: int  # of the WebSocket


class Mailbox:
    """Single-slot buffer of one subscriber.

    Attributes:
        newest: The frame that was offered last, taken or not; None before the first.
        waiting: The frame that may be taken: None while the screen is hidden.
        has_message: Whether a control message may be taken.
        replaced: Frames that a newer one replaced before they were sent.
        hidden: Frames that were offered while the screen was not shown.
        is_visible: Whether the screen is shown: a hidden one gets no frames and no status, and keeps
            the newest of both for later.
        closed: Why nothing more comes, or None.
        on_ready: Called after every change that may let something leave.
    """

    __slots__ = (
        "_frame",
        "_messages",
        "_status",
        "closed",
        "has_message",
        "hidden",
        "is_visible",
        "newest",
        "on_ready",
        "replaced",
        "waiting",
    )

    def __init__(self) -> None:
        self.newest: Frame | None = None
        self.replaced = 0
        self.hidden = 0
        self.is_visible = True
        self.closed: MailboxClosed | None = None
        self.on_ready: Callable[[], None] = _nobody
        # Kept, not computed: a writer looks at both several times for each frame.
        self.waiting: Frame | None = None
        self.has_message = False
        self._frame: Frame | None = None
        self._messages: deque[Message] = deque()
        self._status: Message | None = None

    @property
    def has_frame(self) -> bool:
        """Whether a frame waits, though perhaps for a hidden screen."""
        return self._frame is not None

    def offer(self, frame: Frame) -> None:
        """Put the newest frame in, replacing one not taken."""
        if self.closed:
            return
        self.newest = frame
        if self.is_visible:
            if self._frame is not None:
                self.replaced += 1
            self.waiting = frame
        else:
            self.hidden += 1
        self._frame = frame
        self.on_ready()

    def post(self, message: Message) -> bool:
        """Put a control message in.

        Returns:
            False if too many wait already: the peer does not read and must be closed.
        """
        if len(self._messages) >= MAX_WAITING_MESSAGES:
            return False
        self._messages.append(message)
        self.has_message = True
        self.on_ready()
        return True

    def post_status(self, message: Message) -> None:
        """Put the canvas's newest status in, replacing one not taken; held while the screen is hidden."""
        self._status = message
        self._look()
        self.on_ready()

    def set_visible(self, is_visible: bool) -> None:
        """Hold frames back while the screen is hidden; let the newest go when it is shown again."""
        self.is_visible = is_visible
        self._look()
        self.on_ready()

    def close(self, reason: str, *, reconnect: bool, close_code: int) -> None:
        """End the mailbox: the frame in it is lost, control messages and a `bye` still leave. Idempotent."""
        if self.closed is None:
            self.closed = MailboxClosed(reason, reconnect, close_code)
            self.newest = self._frame = None
            # Not by `post`: a full mailbox loses the oldest of what its peer did not read anyway.
            while len(self._messages) >= MAX_WAITING_MESSAGES:
                self._messages.popleft()
            self._messages.append({"type": "bye", "reason": reason, "reconnect": reconnect})
            self._status = None
            self._look()
            self.on_ready()

    def take_message(self) -> Message | None:
        """Take the next control message, or None."""
        if not self.has_message:
            return None
        if self._messages:
            message: Message | None = self._messages.popleft()
        else:
            message, self._status = self._status, None
        self._look()
        return message

    def take_frame(self) -> Frame | None:
        """Take the frame that waits, or None."""
        frame = self.waiting
        if frame is not None:
            self.waiting = self._frame = None
        return frame

    def put_back(self, frame: Frame) -> None:
        """Return a frame that was taken and not sent; a newer one that waits replaces it."""
        if self.closed:
            return
        if self._frame is None:
            self._frame = frame
            self._look()
        else:
            self.replaced += 1

    def _look(self) -> None:
        """See what may be taken."""
        self.waiting = self._frame if self.is_visible else None
        self.has_message = bool(self._messages) or (self._status is not None and self.is_visible)


def _nobody() -> None:
    """Nobody empties the mailbox yet."""
