"""Has a WebSocket's messages acted upon where they are read, before the event loop goes on.

aiohttp hands each message to the task that waits for it: a future, a call of the loop and a step of the
task, 6 us for each acknowledgement of 75 that a frame of 60 kB costs in all. What acts at once and never
waits needs none of that. Nor does a short message that comes alone, as nearly all acknowledgements do,
need to be parsed byte by byte. Everything else goes the usual way, and so does everything where aiohttp is
another one than this was written for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp._websocket.helpers import websocket_mask
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


_GOES_ON = (False, b"")


class Doorway:
    """What the bytes of one connection pass on their way to aiohttp's reader."""

    __slots__ = ("_inbox", "_is_between", "_reader", "_take")

    def __init__(self, inbox: Inbox, reader: WebSocketReader, take: Callable[[bytes], bool]) -> None:
        """Make the doorway of an inbox, which takes short binary messages by `take` and raises nothing."""
        self._inbox = inbox
        self._reader = reader
        self._take = take
        # Whether the reader has had whole messages only. Once it has not, all that follows is the reader's:
        # where messages begin is its business alone.
        self._is_between = True

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take what was read; tells what the reader does: whether that was the end, and what is left."""
        if self._is_between:
            # A whole masked binary message and nothing else; what waits for the task is not overtaken.
            if data and data[0] == 0x82 and not self._inbox._buffer:
                at = _body_at(data)
                if at:
                    body = bytearray(data[at:])
                    websocket_mask(data[at - 4 : at], body)
                    if self._take(bytes(body)):
                        return _GOES_ON
            self._is_between = _ends_between(data)
        return self._reader.feed_data(data)

    def feed_eof(self) -> None:
        """Tell the reader that nothing more comes."""
        self._reader.feed_eof()


def _body_at(data: bytes) -> int:
    """Return where the body of the one masked frame begins that these bytes are; 0 if they are not one."""
    size = len(data)
    if size < 8:
        return 0
    second = data[1]
    if second == 0xFE:
        return 8 if size - 8 == data[2] << 8 | data[3] else 0
    return 6 if size - 6 == second - 0x80 else 0


def _ends_between(data: bytes) -> bool:
    """Tell whether bytes are whole masked frames, none of them a part of a message."""
    at, size = 0, len(data)
    while size - at >= 6:
        length, head = data[at + 1] - 0x80, 6
        if length == 126:
            length, head = data[at + 2] << 8 | data[at + 3], 8
        if not data[at] & 0x80 or length < 0 or length == 127:
            return False
        at += head + length
    return at == size


def install(
    request: web.BaseRequest,
    ws: web.WebSocketResponse,
    take: Callable[[Any], bool],
    *,
    take_binary: Callable[[bytes], bool] = lambda data: False,
    max_message_bytes: int,
) -> bool:
    """Have a prepared WebSocket's messages offered to `take` as they are read.

    Args:
        request: Of the connection.
        ws: Prepared; nothing was received from it.
        take: See `Inbox`.
        take_binary: Is offered the data of binary messages that come alone, before `take` is; the same
            holds for it.
        max_message_bytes: The longest message.

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
    protocol.set_parser(Doorway(inbox, reader, take_binary))
    return True
