"""Reading frames as the server writes them."""

from __future__ import annotations

import pytest

from bench.errors import BenchError
from bench.wire import Head, read_image, read_msgpack, read_seed_json
from server.streaming.frame import EncodedImage, Frame
from server.streaming.wire import Form, pack_frame, pack_message


IMAGE = bytes(range(256)) * 64
FRAME = Frame(
    canvas="left",
    sequence=42,
    image_id="0123456789ab-42",
    timestamp_ms=1_700_000_000_123.4,
    published_ms=1_700_000_000_124.5,
    image=EncodedImage(IMAGE, "jpeg", 64, 64),
    stages={"painted": 1.0},
)


def packed(form: Form) -> bytes:
    return b"".join(pack_frame(FRAME, form, "original"))


def test_the_head_of_a_msgpack_frame_is_read_without_its_image() -> None:
    # Cut in the middle of the image: what is not looked at may be missing.
    assert read_msgpack(packed(Form.MSGPACK)[:4096]) == Head(42, 1_700_000_000_124.5)


def test_the_head_of_a_json_frame_is_read_to_the_millisecond() -> None:
    assert read_seed_json(packed(Form.SEED_JSON)) == Head(42, 1_700_000_000_123.0)


@pytest.mark.parametrize(("form", "name"), [(Form.MSGPACK, "msgpack"), (Form.SEED_JSON, "json")])
def test_the_image_comes_out_as_it_went_in(form: Form, name: str) -> None:
    assert read_image(packed(form), name) == IMAGE


def test_another_message_is_read_whole() -> None:
    status = {"type": "status", "queue": ["x" * 5000]}
    message = pack_message(status, Form.MSGPACK)
    assert isinstance(message, bytes)
    assert read_msgpack(message) == status


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x81\xa4type", b"\x81\xa4type\xa5frame", b"pong"])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(BenchError):
        read_msgpack(data)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"timestamp": "2026-01-01T00:00:00.000Z", "image": ""}'])
def test_what_is_no_json_frame_is_refused(data: bytes) -> None:
    with pytest.raises(BenchError, match="no JSON frame"):
        read_seed_json(data)
