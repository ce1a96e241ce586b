"""An address on this machine for one parent and its child.

It knows neither of the two. Its one rule: where unix sockets exist, nobody but this user reaches
the address.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Sequence


# `sun_path` is 104 bytes on macOS and the BSDs, 108 on Linux, with the zero at its end.
_MAX_SOCKET_PATH_BYTES = 103

# gRPC reads an address as a URI, in which other signs have meanings.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/+-]+")


@contextlib.contextmanager
def private_address(parents: Sequence[str] | None = None) -> Iterator[str]:
    """Give an address for as long as the context is held.

    Args:
        parents: Folders that may hold the socket's own, the best first; by default the system's
            folders for temporary files.

    Yields:
        ``unix:/path`` in a new folder of mode 0700; where there are no unix sockets, or no
        path is short and plain enough for one, ``127.0.0.1:port`` with a port that is free now.
    """
    if parents is None:
        parents = (tempfile.gettempdir(), "/tmp")
    with contextlib.ExitStack() as stack:
        for parent in parents if hasattr(socket, "AF_UNIX") else ():
            try:
                folder = stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="psyche-", dir=parent, ignore_cleanup_errors=True)
                )
            except OSError:
                continue
            path = os.path.join(os.path.abspath(folder), "inference")
            if len(path) <= _MAX_SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(path):
                yield f"unix:{path}"
                return
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        yield f"127.0.0.1:{port}"
