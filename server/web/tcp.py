"""What the system's sockets are asked for: to hide little, and to find peers that have vanished."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Any


# What a silent subscriber may leave unsent in the kernel; without it megabytes of old frames hide there.
NOTSENT_LOWAT_BYTES = 128 * 1024
# Where the system does not know the option, its whole buffer is bounded instead; Linux doubles the value.
SEND_BUFFER_BYTES = 128 * 1024
# A peer that vanished without a word is found by the kernel: idle s, s between probes, probes.
_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


# What is read at once from a peer, whose messages are small. asyncio's own 256 KiB are allocated and
# shrunk anew for each of them: 5 us of 75 for each frame of 60 kB that is acknowledged.
READ_BYTES = 16 * 1024


class TransportLink:
    """The transport of a connection, as a writer's link.

    TLS belongs to a proxy in front: where the transport encrypts itself, everything goes through it, and
    a message is written in many more pieces than one.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        # Writing is paused, and drains are waited for, as soon as anything is left unsent.
        transport.set_write_buffer_limits(high=0, low=0)
        if hasattr(transport, "max_size"):
            # asyncio's own attribute; other loops have none.
            transport.max_size = READ_BYTES
        self._transport = transport
        self.unsent_bytes = transport.get_write_buffer_size
        sock = transport.get_extra_info("socket")
        # What is encrypted on its way goes through the transport.
        is_plain = sock is not None and transport.get_extra_info("sslcontext") is None and os.name == "posix"
        self._fileno = sock.fileno() if is_plain else -1

    def write(self, data: bytes | memoryview) -> None:
        """Hand over bytes; nothing happens on a connection that is gone: its reader learns it."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def write_some(self, data: memoryview) -> int:
        """Hand over as much as the system takes at once while nothing is unsent; return how much.

        Past the transport: Python 3.11's copies all that the system does not take, and in parts that are
        small enough for that 2 MB cost twice the CPU.
        """
        # What the transport still holds goes first.
        if self._fileno < 0 or self._transport.is_closing() or self.unsent_bytes():
            return 0
        try:
            return os.write(self._fileno, data)
        except OSError:
            # Full, or gone: the transport finds the same, and tells.
            return 0


def bound(transport: asyncio.Transport | None) -> None:
    """Keep what hides in the kernel small, and have it find peers that vanished."""
    sock = _tcp_socket(transport)
    if sock is None:
        return
    if not _set_option(sock, "TCP_NOTSENT_LOWAT", NOTSENT_LOWAT_BYTES):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        _set_option(sock, name, value)


def unbound(transport: asyncio.Transport | None) -> None:
    """Lift the bound of the unsent once acknowledgements bound the peer: it costs CPU on large frames.

    A send buffer that was bounded instead stays so: the system would no longer size it by itself.
    """
    sock = _tcp_socket(transport)
    if sock is not None:
        # 0 is the system's own default.
        _set_option(sock, "TCP_NOTSENT_LOWAT", 0)


def _tcp_socket(transport: asyncio.Transport | None) -> Any:
    sock = transport.get_extra_info("socket") if transport is not None else None
    return sock if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6) else None


def _set_option(sock: Any, name: str, value: int) -> bool:
    """Set a TCP option where the system has it and the peer is still there; tell whether it has."""
    option = getattr(socket, name, None)
    if option is None:
        return False
    try:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    except OSError:
        return False
    return True
