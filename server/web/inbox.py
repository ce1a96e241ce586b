"""Has a WebSocket's messages acted upon where they are read, before the event loop goes on.

aiohttp hands each message to the task that waits for it: a future, a call of the loop and a step of the
task, 6 us for each acknowledgement of 75 that a frame of 60 kB costs in all. What acts at once and never
waits needs none of that. Everything else goes the usual way, and so does everything where aiohttp is
another one than this was written for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader


# Bytes of messages that may wait for the task before no more is read.
_LIMIT_BYTES = 64 * 1024


class Inbox(WebSocketDataQueue):
    """The queue of one connection's messages, but for those that are taken on the way.

    Attributes:
        take: Acts upon a message, and returns whether it has: of the others the task learns. Raises
            nothing, since nobody could take it.
    """

    take: Callable[[Any], bool] = staticmethod(lambda message: False)

    def feed_data(self, data: Any, size: int) -> None:
        """Act upon a message, or put it in line."""
        # What came after a message in line must not overtake it.
        if self._buffer or not self.take(data):
            super().feed_data(data, size)


def install(
    request: web.BaseRequest,
    ws: web.WebSocketResponse,
    take: Callable[[Any], bool],
    *,
    max_message_bytes: int,
) -> bool:
    """Have a prepared WebSocket's messages offered to `take` as they are read.

    Returns:
        False where that cannot be done: all of them go to the task.
    """
    protocol: Any = request.protocol
    any_ws: Any = ws
    try:
        queue, parser = any_ws._reader, any_ws._parser
        # Its first messages may be in line already. Half a message cannot be: a client must not send before
        # it has read our answer, RFC 6455, section 4.1.
        if queue._buffer or queue.is_eof() or protocol._payload_parser is not parser:
            return False
        inbox = Inbox(protocol, _LIMIT_BYTES, loop=asyncio.get_running_loop())
        inbox.take = take
        reader = WebSocketReader(inbox, max_message_bytes, compress=False, decode_text=True)
    except (AttributeError, TypeError):
        return False
    any_ws._reader, any_ws._parser = inbox, reader
    protocol._payload_parser = None
    protocol.set_parser(reader)
    return True
