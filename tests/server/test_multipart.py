"""JPEG files one after the other in one answer, in the two shapes that readers need."""

from __future__ import annotations

import pytest
from images import frame_of

from server.streaming import multipart


FRAME = frame_of(7)
IMAGE = FRAME.image.data

CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
)
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 "
    "Safari/605.1.15"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


def whole(*, is_ahead: bool, frames: int = 2) -> bytes:
    parts = multipart.pieces(FRAME, is_ahead=is_ahead) * frames
    return multipart.opening(is_ahead=is_ahead) + b"".join(parts)


def test_a_part_tells_of_its_picture_and_its_boundary_follows_at_once() -> None:
    head, image, tail = multipart.pieces(FRAME, is_ahead=False)

    assert head == (
        b"Content-Type: image/jpeg\r\n"
        b"Content-Length: %d\r\n"
        b"X-Sequence: 7\r\n"
        b"X-Timestamp: 1795184917.348500\r\n"
        b"\r\n"
    ) % len(IMAGE)
    assert image is IMAGE
    assert tail == b"\r\n--frame\r\n"


def test_for_blink_the_headers_of_the_next_part_follow_up_to_the_empty_line() -> None:
    image, tail = multipart.pieces(FRAME, is_ahead=True)

    assert image is IMAGE
    assert tail == b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n"


@pytest.mark.parametrize("is_ahead", [False, True])
def test_parts_follow_one_another_as_one_stream(is_ahead: bool) -> None:
    first, *parts = whole(is_ahead=is_ahead).split(b"--frame\r\n")

    assert first == b""
    for part in parts[:2]:
        headers, _, body = part.partition(b"\r\n\r\n")
        assert headers.startswith(b"Content-Type: image/jpeg")
        assert body == IMAGE + b"\r\n"


@pytest.mark.parametrize(
    ("user_agent", "is_ahead"),
    [(CHROME, True), (CHROME + " Edg/156.0.0.0", True), (SAFARI, False), (FIREFOX, False), ("", False)],
)
def test_only_browsers_that_are_built_on_blink_need_headers_ahead(user_agent: str, is_ahead: bool) -> None:
    assert multipart.is_ahead_for(user_agent) is is_ahead
