"""`GET /ws/{slug}`: one connection receiving one canvas."""

from __future__ import annotations

import contextlib

import structlog
from aiohttp import web

from server.errors import ServerFullError, UnknownCanvasError
from server.streaming import wire
from server.streaming.canvas import Canvas
from server.streaming.wire import CloseCode, Form
from server.web.connection import Connection
from server.web.endings import close
from server.web.keys import PARTS, Parts
from server.web.queries import switch


log = structlog.get_logger(__name__)


async def canvas_socket(request: web.Request) -> web.StreamResponse:
    """Stream a canvas to a browser or a script.

    `?watch=1` is for who looks at what others have: it makes no canvas (4404 where there is none), and keeps
    none that only screens have named. Otherwise it is a screen like any other: what it shows is painted.
    """
    parts = request.app[PARTS]
    slug = request.match_info["slug"]
    only_watches = switch(request, "watch", default=False)
    # A bad slug is told as HTTP, before the upgrade, as a bad query is.
    with contextlib.suppress(UnknownCanvasError):
        parts.registry.get(slug)
    ws = web.WebSocketResponse(
        protocols=(wire.MSGPACK_PROTOCOL, wire.JSON_PROTOCOL),
        compress=False,
        max_msg_size=wire.MAX_CLIENT_MESSAGE_BYTES,
        # Pongs measure the round trip, so that they must come through; pings are answered in `Connection`.
        autoping=False,
    )
    payload_writer = await ws.prepare(request)
    try:
        canvas = parts.registry.get(slug) if only_watches else _find(parts, request, slug)
        with canvas.subscribe(_form(request, ws), keeps=not only_watches) as subscriber:
            parts.counters.connections += 1
            await Connection(parts, request, ws, payload_writer, canvas, subscriber).serve()
    except ServerFullError as exc:
        await close(request, ws, CloseCode.FULL, str(exc))
    except UnknownCanvasError as exc:
        await close(request, ws, CloseCode.NO_SUCH_CANVAS, str(exc))
    except Exception:
        # The outermost boundary of a connection; above, an HTTP answer would go into the stream.
        log.exception("connection failed", canvas=slug)
        await close(request, ws, CloseCode.INTERNAL, "internal error")
    return ws


def _form(request: web.Request, ws: web.WebSocketResponse) -> Form:
    if request.query.get("format") == "json":
        return Form.SEED_JSON
    return Form.JSON if ws.ws_protocol == wire.JSON_PROTOCOL else Form.MSGPACK


def _find(parts: Parts, request: web.Request, slug: str) -> Canvas:
    """Return the canvas that a screen names, making a temporary one if it may."""
    if parts.access.is_authorised(request):
        return parts.registry.ensure(slug, is_temporary=True)
    return parts.registry.get(slug)
