"""How connections end: politely where the peer plays along, and soon where it does not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from aiohttp import web


# How long a peer may take to answer a close, seconds.
CLOSE_S = 2.0


async def close(request: web.Request, ws: web.WebSocketResponse, code: int, reason: str) -> None:
    """Close politely, but not for long."""
    # A close frame holds at most 123 bytes of reason, and no half letter.
    message = reason.encode()[:123].decode(errors="ignore").encode()
    try:
        async with asyncio.timeout(CLOSE_S):
            await ws.close(code=int(code), message=message)
    except ConnectionError:
        return
    except TimeoutError:
        transport = request.transport
        if transport is not None and not transport.get_write_buffer_size():
            # What the system has taken may still be read: a page that was suspended learns why.
            transport.close()
        else:
            abort(request)


def abort(request: web.Request) -> None:
    """End a connection whose peer reads nothing: what waits to be sent would keep it open."""
    if request.transport is not None:
        request.transport.abort()


@contextlib.contextmanager
def cut_off_after(request: web.Request, deadline_s: float) -> Iterator[None]:
    """Abort a connection whose peer does not let what is inside come to its end in time.

    Not `asyncio.timeout`: a drain that was cancelled cancels every later one of its connection,
    https://github.com/aio-libs/aiohttp/blob/v3.14.5/aiohttp/base_protocol.py
    """
    deadline = asyncio.get_running_loop().call_later(deadline_s, abort, request)
    try:
        yield
    finally:
        deadline.cancel()
