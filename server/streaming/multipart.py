"""MJPEG as `multipart/x-mixed-replace`: JPEG files one after the other in one answer that never ends.

Browsers built on Blink draw a part only once they have read the headers of the next one, up to the
empty line. Whatever follows the boundary must be there by then, so that they get the headers of
the next part behind each picture, and these can tell nothing of it yet. Everybody else is told the
size, the sequence and the time in each part's own headers. Either way the boundary follows the
picture at once: readers that look for it need not wait for the next one.
"""

from __future__ import annotations

from server.streaming.frame import Frame


# Letters only: some readers take the dashes of a boundary for those around it.
BOUNDARY = "frame"
CONTENT_TYPE = f"multipart/x-mixed-replace; boundary={BOUNDARY}"

_NEXT = f"\r\n--{BOUNDARY}\r\n".encode()
_TYPE = b"Content-Type: image/jpeg\r\n"


def is_ahead_for(user_agent: str) -> bool:
    """Tell whether a browser needs the headers of the next part behind each picture."""
    # Every browser that is built on Blink says so, whatever its own name is.
    return "Chrome/" in user_agent or "Chromium/" in user_agent


def opening(*, is_ahead: bool) -> bytes:
    """Return what comes before the first part's picture or, where they tell of it, its headers."""
    return _NEXT[2:] + (_TYPE + b"\r\n" if is_ahead else b"")


def pieces(frame: Frame, *, is_ahead: bool) -> list[bytes]:
    """Write a frame as a part, with what follows it.

    Args:
        frame: The frame, its image a JPEG.
        is_ahead: Whether the headers were there before, and those of the next part follow.
    """
    image = frame.image.data
    if is_ahead:
        return [image, _NEXT + _TYPE + b"\r\n"]
    head = (
        f"Content-Length: {len(image)}\r\n"
        f"X-Sequence: {frame.sequence}\r\n"
        # Seconds, as other servers of this kind say it.
        f"X-Timestamp: {frame.timestamp_ms / 1000.0:.6f}\r\n"
        "\r\n"
    )
    return [_TYPE + head.encode(), image, _NEXT]
