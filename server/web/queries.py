"""What comes behind the question mark of an address, judged before anything is done."""

from __future__ import annotations

import math

from aiohttp import web

from server.errors import InvalidError, UnknownCanvasError
from server.streaming.canvas import Canvas
from server.streaming.registry import Registry
from server.streaming.wire import shown


# What a picture may be shrunk to, pixels: nobody sees less, and no frame is wider.
MIN_WIDTH_PX = 8
MAX_WIDTH_PX = 4096
# As a canvas's own.
MIN_FPS = 0.1
MAX_FPS = 60.0
# Numbers need no more characters; thousands of digits take long to read.
_MAX_CHARS = 32


def number(request: web.Request, name: str) -> float | None:
    """Return a number of the query; None where it is not given, nan where it is no number."""
    text = request.query.get(name)
    if text is None:
        return None
    try:
        # Digits of other scripts and underscores are digits to Python, and none of ours.
        return float(text) if text.isascii() and "_" not in text and len(text) <= _MAX_CHARS else math.nan
    except ValueError:
        return math.nan


def width_of(request: web.Request) -> int | None:
    """Return the width in pixels that is asked for, or None.

    Raises:
        InvalidError: If it is no whole number from `MIN_WIDTH_PX` to `MAX_WIDTH_PX`.
    """
    width = number(request, "width")
    if width is None:
        return None
    # What is no number at all is in no range, either.
    if not MIN_WIDTH_PX <= width <= MAX_WIDTH_PX or not width.is_integer():
        raise InvalidError(
            f"width must be a whole number from {MIN_WIDTH_PX} to {MAX_WIDTH_PX} pixels, "
            f"got {shown(request.query['width'])}",
            field="width",
        )
    return int(width)


def fps_of(request: web.Request) -> float | None:
    """Return the frames per second that are asked for, or None.

    Raises:
        InvalidError: If it is no number from `MIN_FPS` to `MAX_FPS`.
    """
    fps = number(request, "fps")
    if fps is not None and not MIN_FPS <= fps <= MAX_FPS:
        raise InvalidError(
            f"fps must be a number from {MIN_FPS} to {MAX_FPS}, got {shown(request.query['fps'])}",
            field="fps",
        )
    return fps


def subscriber_of(request: web.Request) -> int | None:
    """Return the number of the subscriber that is asked for, or None.

    Raises:
        InvalidError: If it is none.
    """
    text = request.query.get("subscriber")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_CHARS):
        raise InvalidError(f"subscriber must be a whole number, got {shown(text)}", field="subscriber")
    return int(text)


def switch(request: web.Request, name: str, *, default: bool) -> bool:
    """Return whether something is asked for: 0 or 1.

    Raises:
        InvalidError: If it is neither.
    """
    text = request.query.get(name)
    if text not in (None, "0", "1"):
        raise InvalidError(f"{name} must be 0 or 1, got {shown(text)}", field=name)
    return default if text is None else text == "1"


def canvas_of(request: web.Request, registry: Registry) -> Canvas | None:
    """Return the canvas that is asked for, or None.

    Raises:
        InvalidError: If its name is none.
        UnknownCanvasError: If there is no such canvas.
    """
    slug = request.query.get("canvas")
    if slug is None:
        return None
    try:
        return registry.get(slug)
    except (InvalidError, UnknownCanvasError) as exc:
        exc.field = "canvas"
        raise
