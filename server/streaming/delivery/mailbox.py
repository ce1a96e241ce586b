"""What waits for one subscriber: a single frame, the newest, and the control messages before it.

Pure but for one event that wakes the writer. The rule that must not be broken: the newest frame is
never dropped, only replaced by a newer one; control messages are neither dropped nor put behind
more than the one frame that is already on its way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from server.streaming.flow.control import Window
from server.streaming.frame import Frame


Message = Mapping[str, Any]
"""A control message, before it is packed."""

# Control messages answer what the peer sent; one that sends without reading gets no more than this.
MAX_WAITING_MESSAGES = 64


class MailboxClosed(Exception):
    """Nothing more comes.

    Attributes:
        reason: The reason for the `bye` message.
        reconnect: Whether the peer should come back.
        close_code: The WebSocket close code.
    """

    def __init__(self, reason: str, *, reconnect: bool, close_code: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reconnect = reconnect
        self.close_code = close_code


class Mailbox:
    """Single-slot buffer of one subscriber.

    Attributes:
        replaced: Frames that a newer one replaced before they were taken.
        window: How much may be on its way to the subscriber.
        on_close: Called when it is closed, for whoever is busy sending then.
    """

    def __init__(self, window: Window) -> None:
        self.window = window
        self.replaced = 0
        self.on_close: Callable[[], None] = lambda: None
        self._frame: Frame | None = None
        self._messages: deque[Message] = deque()
        self._status: Message | None = None
        self._closed: MailboxClosed | None = None
        # Whether the screen is shown: a hidden one gets no frames, and keeps its newest for later.
        self._is_visible = True
        self._wake = asyncio.Event()

    @property
    def has_frame(self) -> bool:
        """Whether a frame waits to be taken."""
        return self._frame is not None

    @property
    def is_visible(self) -> bool:
        """Whether the subscriber shows frames now."""
        return self._is_visible

    def offer(self, frame: Frame) -> None:
        """Put the newest frame in, replacing one not taken."""
        if self._closed:
            return
        if self._frame is not None:
            self.replaced += 1
        self._frame = frame
        self._wake.set()

    def post(self, message: Message) -> bool:
        """Put a control message in.

        Returns:
            False if too many wait already: the peer does not read and must be closed.
        """
        if len(self._messages) >= MAX_WAITING_MESSAGES:
            return False
        self._messages.append(message)
        self._wake.set()
        return True

    def post_status(self, message: Message) -> None:
        """Put the canvas's newest status in, replacing one not taken."""
        self._status = message
        self._wake.set()

    def set_visible(self, is_visible: bool) -> None:
        """Hold frames back while the screen is hidden; let the newest go when it is shown again."""
        self._is_visible = is_visible
        self._wake.set()

    def acknowledge(self, sequence: int, now_s: float) -> int:
        """Release what the peer has received; see `Window.acknowledge`."""
        released = self.window.acknowledge(sequence, now_s)
        self._wake.set()
        return released

    def close(self, reason: str, *, reconnect: bool, close_code: int) -> None:
        """End the mailbox: what waits in it is lost, but for control messages. Idempotent."""
        if self._closed is None:
            self._closed = MailboxClosed(reason, reconnect=reconnect, close_code=close_code)
            self._frame = None
            self._wake.set()
            self.on_close()

    def take_message(self) -> Message | None:
        """Take the next control message, or None."""
        if self._messages:
            return self._messages.popleft()
        status, self._status = self._status, None
        return status

    def take_frame(self, now_s: float) -> Frame | None:
        """Take the frame if it may leave now, or None."""
        if not self._may_leave(now_s):
            return None
        frame, self._frame = self._frame, None
        return frame

    def _may_leave(self, now_s: float) -> bool:
        return self._frame is not None and self._is_visible and self.window.is_open(now_s)

    async def wait(self, now_s: float) -> None:
        """Wait until something may have become takeable.

        Args:
            now_s: The time, no earlier than the one for which the caller found nothing to take.

        Raises:
            MailboxClosed: If the mailbox is closed and all its messages are taken.

        Cancellation:
            Loses nothing: this takes nothing.
        """
        if self._messages or self._status is not None:
            return
        if self._closed:
            raise self._closed
        if self._may_leave(now_s):
            # The rate allows it since the caller looked: no event would ever tell.
            return
        self._wake.clear()
        pause_s = self.window.opens_in_s(now_s) if self.has_frame and self._is_visible else None
        try:
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
        except TimeoutError:
            return
