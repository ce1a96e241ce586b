"""The writing side of one connection: a writer, and the one task that waits where it cannot.

While the link takes what is written, the writer writes by itself and this task sleeps. It wakes where
the socket is full, where the connection ends, and where either takes too long. Serves any connection:
WebSockets and endless HTTP answers alike.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from server.streaming.canvas import Canvas
from server.streaming.delivery.link import Link
from server.streaming.delivery.mailbox import MailboxClosed
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.delivery.writer import Writer
from server.web.endings import CLOSE_S


# Of `CLOSE_S`, how long a message may still take that is on its way when the mailbox closes: the rest is for
# the close frame, which may go between two parts of it.
LAST_MESSAGE_S = 1.0


class Outlet:
    """What one connection is sent, from its first message to its end.

    Attributes:
        writer: Pump it where something has changed that it is not told of: an acknowledgement.
    """

    def __init__(
        self,
        canvas: Canvas,
        subscriber: Subscriber,
        link: Link,
        *,
        drain: Callable[[], Awaitable[None]],
        abort: Callable[[], None],
        deadline_s: float,
    ) -> None:
        """Make an outlet; `run` serves it.

        Args:
            canvas: What is sent.
            subscriber: Who gets it.
            link: Where it is written.
            drain: Waits until the link has nothing unsent, and raises `ConnectionError` if it is gone.
            abort: Ends the connection at once, whatever waits to be sent.
            deadline_s: How long a message may wait for the link, seconds.
        """
        self._drain = drain
        self._abort = abort
        self._deadline_s = deadline_s
        self._mailbox = subscriber.mailbox
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._timers: list[asyncio.TimerHandle] = []
        self.writer = Writer(
            subscriber, canvas, link, deadline_s=deadline_s, call_at=self._loop.call_at, clock=time.monotonic
        )
        self.writer.on_blocked = self._on_blocked

    async def run(self) -> MailboxClosed:
        """Send whatever there is until the mailbox is closed or the peer takes too little.

        Returns:
            Why it ended; nothing is left unsent then.

        Raises:
            ConnectionError: If the peer is gone, or has been cut off because it took nothing.
        """
        writer = self.writer
        try:
            writer.start()
            while True:
                if writer.is_blocked:
                    await self._wait_for_link()
                if writer.error is not None:
                    raise writer.error
                if writer.end is not None:
                    return writer.end
                if not writer.is_blocked:
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            # First: stopping may set a timer.
            writer.stop()
            for timer in self._timers:
                timer.cancel()

    async def _wait_for_link(self) -> None:
        """Wait until everything is sent and have the writer go on, or end where that takes too long."""
        writer = self.writer
        since = writer.blocked_since
        # Not `asyncio.timeout`: a drain that was cancelled cancels every later one of its connection,
        # https://github.com/aio-libs/aiohttp/blob/v3.14.5/aiohttp/base_protocol.py
        deadline = self._loop.call_at(
            (self._loop.time() if since is None else since) + self._deadline_s, writer.cut_off
        )
        try:
            await self._drain()
        finally:
            deadline.cancel()
        writer.drained()

    def _on_blocked(self) -> None:
        self._wake.set()
        if self._timers or not self.writer.is_blocked:
            return
        if self.writer.end is not None:
            # Too slow. Perhaps a close frame gets through still.
            self._timers = [self._loop.call_later(CLOSE_S, self._abort)]
        elif self._mailbox.closed:
            self._timers = [
                self._loop.call_later(LAST_MESSAGE_S, self.writer.give_up_message),
                self._loop.call_later(CLOSE_S, self._abort),
            ]
