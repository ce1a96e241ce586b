"""`POST /canvases/{slug}/frames`: one picture, shown at once or at the moment that is asked for."""

from __future__ import annotations

from aiohttp import web

from server.errors import InvalidError
from server.streaming.clock import now_ms
from server.streaming.registry import check_slug
from server.streaming.wire import shown
from server.web.bodies import read_image
from server.web.keys import PARTS
from server.web.queries import number


# What a moment may be to be shown at, ms from now: a sender's clock is never quite ours, and a
# screen that held a picture back for longer would show the wrong one meanwhile.
EARLIEST_MS = -1_000.0
LATEST_MS = 10_000.0

routes = web.RouteTableDef()


@routes.post("/canvases/{slug}/frames")
async def post_frame(request: web.Request) -> web.Response:
    """Show this image: 201. It passes through to the screens as it is, but for the canvas's processing."""
    parts = request.app[PARTS]
    slug = check_slug(request.match_info["slug"])
    present_at_ms = _present_at(request)
    image = await read_image(request)
    canvas = parts.registry.ensure(slug, is_temporary=False)
    parts.desk.supersede(canvas.slug)
    frame = canvas.publish(image, timestamp_ms=now_ms(), final=True, present_at_ms=present_at_ms)
    return web.json_response({"frame": {"sequence": frame.sequence, "image_id": frame.image_id}}, status=201)


def _present_at(request: web.Request) -> float | None:
    """Return when the picture is to be shown, Unix milliseconds, or None for at once.

    Raises:
        InvalidError: If it is no moment from `EARLIEST_MS` to `LATEST_MS` from now.
    """
    present_at_ms = number(request, "present_at_ms")
    if present_at_ms is None:
        return None
    now = now_ms()
    # A moment that is no number is in no range, either.
    if not now + EARLIEST_MS <= present_at_ms <= now + LATEST_MS:
        raise InvalidError(
            f"present_at_ms must be Unix milliseconds from {now + EARLIEST_MS:.0f} (1 s ago) to "
            f"{now + LATEST_MS:.0f} (10 s ahead), got "
            f"{shown(request.query['present_at_ms'])}",
            field="present_at_ms",
        )
    return present_at_ms
