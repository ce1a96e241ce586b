"""One message as it goes on the wire: built once, shared by all who get it, written in slices.

A message is cut into WebSocket fragments, so that a ping, a pong or a close may go between any two of
them, and so that a peer that stops reading holds no more than one of them in its transport: Python
3.11's copies what the kernel does not take. Knows frames and bytes, no connection.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Sequence


Piece = bytes | memoryview

# Of a message, per part.
FRAGMENT_BYTES = 128 * 1024
TAG_BYTES = 4
_TAG_MASK = 0xFFFFFFFF

_FIN = 0x80
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class Payload:
    """The bytes of one message; immutable, compared by identity.

    Attributes:
        whole: What is written.
        ends: Where something else may be written: after so many bytes of it.
        size_bytes: Of all parts, without the ping.
        ping_bytes: Length of the ping at the very front, to be left out by slicing; 0 without one.
        encoded_ms: When the image in it was encoded, Unix; whoever packs an image tells.
    """

    __slots__ = ("encoded_ms", "ends", "ping_bytes", "size_bytes", "whole")

    def __init__(self, data: bytes, ends: Sequence[int], *, ping_bytes: int = 0) -> None:
        self.whole = memoryview(data)
        self.ends = tuple(ends)
        self.ping_bytes = ping_bytes
        self.encoded_ms = 0.0
        self.size_bytes = len(data) - ping_bytes

    @property
    def parts(self) -> tuple[memoryview, ...]:
        """What is between two places where something else may be written."""
        starts = (0, *self.ends[:-1])
        return tuple(self.whole[start:end] for start, end in zip(starts, self.ends, strict=True))

    def end_after(self, at: int) -> int:
        """Return the end of the part that a byte is in."""
        return self.ends[bisect.bisect_right(self.ends, at)]


def websocket_payload(pieces: Sequence[Piece], *, is_text: bool, tag: int | None) -> Payload:
    """Make a WebSocket message, copying its pieces once.

    Args:
        pieces: Of the message, in order.
        is_text: Whether it is a text message; its pieces are UTF-8 then.
        tag: What a pong to the ping in front brings back, its lower 32 bits; None for no ping.

    Source:
        RFC 6455, section 5.4: control frames may be put between the fragments of a message.
    """
    views = [memoryview(piece) for piece in pieces]
    left = sum(map(len, views))
    ping = control_frame(_PING, (tag & _TAG_MASK).to_bytes(TAG_BYTES, "big")) if tag is not None else b""
    opcode = _TEXT if is_text else _BINARY
    chunks: list[Piece] = [ping]
    ends: list[int] = []
    at = len(ping)
    while not ends or left:
        size = min(left, FRAGMENT_BYTES)
        left -= size
        header = _header(opcode if left else opcode | _FIN, size)
        chunks.append(header)
        chunks += _taken(views, size)
        at += len(header) + size
        ends.append(at)
        opcode = _CONTINUATION
    return Payload(b"".join(chunks), ends, ping_bytes=len(ping))


def plain_payload(pieces: Sequence[Piece]) -> Payload:
    """Make a message without any framing, copying its pieces once; its parts are no larger than others'."""
    data = b"".join(pieces)
    ends = [*range(FRAGMENT_BYTES, len(data), FRAGMENT_BYTES), len(data)]
    return Payload(data, ends)


def message_bytes(data: bytes | str) -> bytes:
    """Return a small message as a single WebSocket frame."""
    body = data.encode() if isinstance(data, str) else data
    return _header(_FIN | (_TEXT if isinstance(data, str) else _BINARY), len(body)) + body


def pong_bytes(data: bytes) -> bytes:
    """Return the answer to a ping, at most 125 bytes of data."""
    return control_frame(_PONG, data)


def close_bytes(code: int, reason: str) -> bytes:
    """Return a close frame: it holds at most 123 bytes of reason, and no half letter."""
    data = code.to_bytes(2, "big") + reason.encode()[:123].decode(errors="ignore").encode()
    return control_frame(_CLOSE, data)


def control_frame(opcode: int, data: bytes) -> bytes:
    """Return a WebSocket control frame, at most 125 bytes of data."""
    return bytes((_FIN | opcode, len(data))) + data


def _header(first_byte: int, size_bytes: int) -> bytes:
    if size_bytes < 126:
        return bytes((first_byte, size_bytes))
    if size_bytes < 65_536:
        return struct.pack(">BBH", first_byte, 126, size_bytes)
    return struct.pack(">BBQ", first_byte, 127, size_bytes)


def _taken(views: list[memoryview], size_bytes: int) -> list[memoryview]:
    """Take so many bytes from the front of the views."""
    taken = []
    while size_bytes:
        view = views[0]
        if len(view) > size_bytes:
            views[0] = view[size_bytes:]
            view = view[:size_bytes]
        else:
            views.pop(0)
        taken.append(view)
        size_bytes -= len(view)
    return taken
