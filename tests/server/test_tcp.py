"""A connection's transport as a writer's link."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

from server.web.tcp import TransportLink


def link_on(sock: socket.socket, *, unsent_bytes: int, is_closing: bool = False) -> TransportLink:
    """Make a link on a socket whose transport still holds so many bytes."""
    transport: Any = SimpleNamespace(
        set_write_buffer_limits=lambda high, low: None,
        get_write_buffer_size=lambda: unsent_bytes,
        get_extra_info=lambda name: sock if name == "socket" else None,
        is_closing=lambda: is_closing,
    )
    return TransportLink(transport)


def test_nothing_overtakes_what_the_transport_still_holds() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)

        assert link_on(ours, unsent_bytes=1).write_some(memoryview(b"frame")) == 0
        assert link_on(ours, unsent_bytes=0, is_closing=True).write_some(memoryview(b"frame")) == 0
        assert link_on(ours, unsent_bytes=0).write_some(memoryview(b"frame")) == 5

        assert theirs.recv(100) == b"frame"
