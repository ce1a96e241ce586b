"""The frame."""

from __future__ import annotations

import dataclasses

import pytest
from images import encoded, frame_of

from server.streaming.frame import FORMATS, MEDIA_TYPES, EncodedImage


def test_a_frame_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        frame_of(1).sequence = 2  # type: ignore[misc] # this is what is tested


def test_the_text_of_a_frame_tells_what_it_is_and_not_its_bytes() -> None:
    image = EncodedImage(b"secret bytes", "webp", 640, 480)

    assert str(frame_of(7, image)) == "left#7 webp 640x480 12 B"
    assert "secret" not in repr(frame_of(7, image))
    assert "secret" not in repr(image)


def test_every_format_has_a_media_type() -> None:
    assert set(MEDIA_TYPES) == set(FORMATS)
    assert encoded(FORMATS[0]).format == "jpeg"


def test_every_frame_tells_the_stages_that_its_subscribers_share() -> None:
    frame = frame_of(1)

    assert frame.stages == {"painted": frame.timestamp_ms, "published": frame.published_ms}
    encoded_later = dataclasses.replace(frame, stages={"encoded": 5.0})
    assert encoded_later.stages == {**frame.stages, "encoded": 5.0}


def test_a_frame_of_which_one_has_changed_says_when_it_was_painted() -> None:
    frame = dataclasses.replace(frame_of(1), timestamp_ms=7.0)

    assert frame.stages["painted"] == 7.0
