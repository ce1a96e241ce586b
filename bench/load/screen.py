"""One screen: a WebSocket of which as little is read as counting needs.

The beginning of each frame is read and its image thrown away, on Linux inside the kernel. What a
frame costs here must be a fraction of what it costs the server.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import socket
import struct
import sys
from datetime import datetime
from typing import Any

import msgpack

from bench.errors import BenchError
from bench.load.groups import MAX_AGES, Group, Mode, Tally
from bench.wire import glance
from server.streaming.clock import now_ms


# More than any head of a frame.
HEAD_BYTES = 1024
# In one piece; the buffer is shared by all screens.
DISCARD_BYTES = 4 * 1024 * 1024
# Linux throws TCP data away without copying it; elsewhere the flag means something else.
DISCARD = socket.MSG_TRUNC if sys.platform == "linux" else 0
# Pieces of one turn: a heavy frame must not keep the others waiting.
PIECES = 16
# What a slow or stuck screen's kernel takes beside what is read, bytes.
NARROW_BYTES = 32 * 1024
CONNECT_S = 10.0
STUCK_AFTER_FRAMES = 3
# A slow one reads that much of a second's worth at a time.
SIP_S = 0.1

_BUFFER = bytearray(DISCARD_BYTES)
_MASK = b"\x5a\xa5\x3c\xc3"
_ACK = struct.Struct(">20sI13sd12sd14sd44s")
_ACK_TAIL = b"\xa7skipped\x00\xa9offset_ms\xcb" + bytes(8) + b"\xa6rtt_ms\xcb?\xe0" + bytes(6)
_JSON_TIMESTAMP = re.compile(rb'"timestamp": ?"([^"]{1,40})"')


class Screen:
    """One connection.

    Attributes:
        is_reading: Whether it still reads.
        is_open: Whether the connection is there.
    """

    __slots__ = (
        "_is_final",
        "_left",
        "_message_bytes",
        "_newest",
        "_pending",
        "_seen",
        "fd",
        "frames",
        "group",
        "is_open",
        "is_reading",
        "sock",
        "tally",
    )

    def __init__(self, group: Group, tally: Tally, port: int, form: str, *, offers_deflate: bool) -> None:
        self.group = group
        self.tally = tally
        self.sock = _connect(group.port or port, is_narrow=group.mode in (Mode.DEAD, Mode.STUCK, Mode.SLOW))
        self.fd = self.sock.fileno()
        self.frames = 0
        self.is_open = True
        self.is_reading = group.mode is not Mode.DEAD
        self._pending = _shake_hands(self.sock, group.slug, form, offers_deflate=offers_deflate)
        self._left = 0  # bytes of the fragment that are still to come
        self._is_final = False  # of that fragment
        self._seen: tuple[int, float, str] | None = None  # of the message that is coming
        self._message_bytes = 0
        self._newest = 0  # sequence
        if form == "msgpack":
            self._say_ready()
        self.sock.setblocking(False)

    def read(self) -> int:
        """Take what came, and acknowledge.

        Returns:
            How many bytes that were.

        Raises:
            ConnectionError: If the server has ended the connection.
        """
        taken = 0
        limit = int(self.group.rate_bytes_s * SIP_S) if self.group.rate_bytes_s else 0
        for _ in range(PIECES):
            if self._left:
                asked = min(self._left, limit or DISCARD_BYTES)
                count = self.sock.recv_into(_BUFFER, asked, DISCARD)
                self._left -= count
                if not self._left and self._is_final:
                    self._complete()
            else:
                asked = HEAD_BYTES
                data = self.sock.recv(asked)
                count = len(data)
                self._take(self._pending + data)
            if not count:
                raise ConnectionResetError("the server closed the connection")
            taken += count
            # Once a message is whole, the others have their turn.
            if count < asked or (self._is_final and not self._left) or (limit and taken >= limit):
                break
        return taken

    def _take(self, data: bytes) -> None:
        """Read the fragments that begin in these bytes, up to the body of the last one."""
        at, size = 0, len(data)
        while size - at >= 2:
            opcode, length, body = data[at] & 15, data[at + 1] & 127, at + 2
            if length == 126:
                length, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, body = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            # Of a control frame everything, of a frame its head, of what continues only the header.
            needed = length if opcode >= 8 else min(length, 600) if opcode else 0
            if body + needed > size:
                break
            if opcode >= 8:
                self._control(opcode, data[body : body + length])
                at = body + length
                continue
            self._is_final = bool(data[at] & 0x80)
            if opcode:
                self._seen, self._message_bytes = self._look(data, at, body, length), 0
            self._message_bytes += length
            self._left = max(0, length - (size - body))
            at = min(body + length, size)
            if not self._left and self._is_final:
                self._complete()
        self._pending = data[at:]

    def _look(self, data: bytes, at: int, body: int, length: int) -> tuple[int, float, str] | None:
        """See sequence, time and tier of the message that begins here; None where it is no frame."""
        first = data[at]
        if first & 15 == 1:
            if first & 0x40:
                # Compressed: to read the time one would have to inflate every message wholly.
                return (0, 0.0, "") if length > HEAD_BYTES else None
            found = _JSON_TIMESTAMP.search(data, body)
            return (0, datetime.fromisoformat(found[1].decode()).timestamp() * 1000.0, "") if found else None
        seen = glance(data, body)
        return (seen.sequence, seen.published_ms, seen.tier) if seen else None

    def _complete(self) -> None:
        """Count the message that has come wholly, and acknowledge it."""
        if self._seen is None:
            return
        received_ms = now_ms()
        sequence, published_ms, tier = self._seen
        self._seen = None
        tally = self.tally
        tally.frames += 1
        tally.bytes += self._message_bytes
        self.frames += 1
        if published_ms and len(tally.ages_ms) < MAX_AGES:
            tally.ages_ms.append(received_ms - published_ms)
        if not sequence:
            return
        tally.tiers[tier] += 1
        if self._newest:
            tally.conflated += max(0, sequence - self._newest - 1)
        self._newest = sequence
        mode = self.group.mode
        if mode is not Mode.SILENT:
            self._send(2, acknowledgement(sequence, received_ms))
        if mode is Mode.STUCK and self.frames >= STUCK_AFTER_FRAMES:
            self.is_reading = False

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == 8:
            raise ConnectionResetError(f"the server closed with {int.from_bytes(payload[:2], 'big')}")
        if opcode == 9:
            self._send(10, payload)

    def _say_ready(self) -> None:
        width, height = self.group.viewport
        ready: dict[str, Any] = {"type": "ready", "viewport": {"width": width, "height": height}}
        self._send(2, msgpack.packb({**ready, "formats": ["jpeg", "webp", "png"], "visible": True}))

    def _send(self, opcode: int, payload: bytes) -> None:
        # A server that reads nothing loses it; acknowledgements are cumulative.
        with contextlib.suppress(BlockingIOError):
            self.sock.send(masked(opcode, payload))


def acknowledgement(sequence: int, received_ms: float) -> bytes:
    """Write the acknowledgement of a frame that was decoded and presented at once."""
    return _ACK.pack(
        b"\x88\xa4type\xa3ack\xa8sequence\xce",
        sequence,
        b"\xabreceived_ms\xcb",
        received_ms,
        b"\xaadecoded_ms\xcb",
        received_ms,
        b"\xacpresented_ms\xcb",
        received_ms,
        _ACK_TAIL,
    )


def masked(opcode: int, payload: bytes) -> bytes:
    """Write a client's WebSocket message, masked as the standard asks for."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    key = int.from_bytes((_MASK * (size // 4 + 1))[:size], "little")
    body = (int.from_bytes(payload, "little") ^ key).to_bytes(size, "little")
    return bytes((0x80 | opcode,)) + length + _MASK + body


def _connect(port: int, *, is_narrow: bool) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if is_narrow:
            # Before connecting: the window is agreed on there.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW_BYTES)
        sock.settimeout(CONNECT_S)
        sock.connect(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as exc:
        sock.close()
        raise BenchError(f"no screen could connect to port {port}: {exc}") from exc
    return sock


def _shake_hands(sock: socket.socket, slug: str, form: str, *, offers_deflate: bool) -> bytes:
    """Upgrade the connection; returns what came behind the answer.

    Raises:
        BenchError: If the server does not agree.
    """
    request = [
        f"GET /ws/{slug} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        *(["Sec-WebSocket-Protocol: psyche.v1.msgpack"] if form == "msgpack" else []),
        *(["Sec-WebSocket-Extensions: permessage-deflate"] if offers_deflate else []),
    ]
    answer = b""
    try:
        sock.sendall(("\r\n".join(request) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in answer:
            data = sock.recv(HEAD_BYTES)
            if not data:
                break
            answer += data
    except OSError as exc:
        raise BenchError(f"the server did not answer a screen: {exc}") from exc
    head, _, rest = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101"):
        raise BenchError(f"the server refused a screen of {slug!r}: {head[:100]!r}")
    return rest
