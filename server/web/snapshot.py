"""`GET /canvases/{slug}/snapshot`: the newest frame as one picture, in the format and width asked for."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from server.errors import ConflictError, InvalidError, NotFoundError
from server.streaming.canvas import Canvas
from server.streaming.frame import MEDIA_TYPES, Frame
from server.streaming.tiers.snapshots import rounded_width
from server.streaming.wire import Form
from server.web.keys import PARTS
from server.web.queries import width_of


# How long the first frame of a canvas that has a job is waited for, seconds: a picture that nobody
# has looked at yet is not painted before somebody does.
FIRST_FRAME_S = 5.0
# A look is one frame; what is painted for it need not be more.
_GLIMPSE_FPS = 1.0

routes = web.RouteTableDef()


@routes.get("/canvases/{slug}/snapshot")
async def snapshot(request: web.Request) -> web.Response:
    """Return the newest frame as it is shown, in a format that `Accept` takes, about as wide as `width`."""
    canvas = request.app[PARTS].registry.get(request.match_info["slug"])
    width = width_of(request)
    frame = canvas.newest or await _first_frame(canvas)
    if frame is None:
        raise NotFoundError(f"canvas {canvas.slug!r} has shown nothing yet")
    format_ = _acceptable(request.headers.get("Accept", "*/*"), frame.shape.format)
    # Whoever asks for more, or for much the same, gets the same picture under the same tag.
    shrunk_to = rounded_width(frame.shape, width)
    tag = f"{frame.image_id}-{format_}" + (f"-{shrunk_to}" if shrunk_to else "")
    headers = {
        "Cache-Control": "no-store",
        "ETag": f'"{tag}"',
        "X-Timestamp-Ms": str(frame.timestamp_ms),
        "X-Sequence": str(frame.sequence),
        "Vary": "Accept",
    }
    # Compared weakly, as is right for this header: who has the picture has it.
    if any(known.value in ("*", tag) for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    try:
        image = await canvas.renditions.image(frame, format_, width=shrunk_to)
    except InvalidError as exc:
        raise ConflictError(f"the newest frame cannot be shown as {format_}: {exc}") from exc
    return web.Response(body=image.data, content_type=MEDIA_TYPES[image.format], headers=headers)


async def _first_frame(canvas: Canvas) -> Frame | None:
    """Count as a screen until the canvas has painted something, or stops trying.

    Raises:
        ServerFullError: If there are as many subscribers as there may be.
    """
    looks_again = asyncio.Event()
    with canvas.subscribe(Form.MSGPACK) as glimpse:
        # Nothing is sent to it: that something waits for it is all there is to know.
        glimpse.mailbox.on_ready = looks_again.set
        glimpse.show(is_shown=True, viewport=None, max_fps=_GLIMPSE_FPS)
        canvas.demand_changed(glimpse)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_FRAME_S):
                while canvas.newest is None and canvas.status.get("job") and glimpse.mailbox.closed is None:
                    looks_again.clear()
                    await looks_again.wait()
    return canvas.newest


def _acceptable(accept: str, own: str) -> str:
    """Choose a format by an `Accept` header, the frame's own where it may be.

    Raises:
        InvalidError: If no image format that we make is accepted.
    """
    wanted: dict[str, float] = {}
    for part in accept.split(","):
        media_type, *parameters = (word.strip().lower() for word in part.split(";"))
        quality = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        try:
            wanted[media_type] = float(quality)
        except ValueError:
            wanted[media_type] = 0.0

    def weight(format_: str) -> float:
        media_type = MEDIA_TYPES[format_]
        return wanted.get(media_type, wanted.get("image/*", wanted.get("*/*", 0.0)))

    best = max(sorted(MEDIA_TYPES, key=lambda format_: format_ != own), key=weight)
    if weight(best) <= 0.0:
        raise InvalidError(f"Accept must allow one of {', '.join(MEDIA_TYPES.values())}", field="accept")
    return best
