"""Where pictures that come from outside are judged: small ones at once, all others beside the loop."""

from __future__ import annotations

import threading

import pytest
from images import image_file

from server.errors import InvalidError
from server.generation.ingest import judge
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders


LARGE = image_file(width=1200, height=1200, quality=100, comment=b"x" * 60_000)


@pytest.mark.parametrize(
    ("data", "is_at_once"),
    [
        (image_file(), True),
        (LARGE[:-2] + bytes(encoders.QUICK_BYTES) + b"\xff\xd9", False),
        (image_file("png"), False),
        (image_file("webp"), False),
    ],
    ids=["small jpeg", "large jpeg", "png", "webp"],
)
async def test_only_what_is_judged_in_no_time_is_judged_on_the_loop(
    data: bytes, is_at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    inspect = encoders.inspect

    def noting(data: bytes, *, field: str) -> EncodedImage:
        threads.append(threading.current_thread())
        return inspect(data, field=field)

    monkeypatch.setattr(encoders, "inspect", noting)

    image = await judge(data)

    assert image.width in (32, 1200)
    assert (threads == [threading.main_thread()]) == is_at_once


@pytest.mark.parametrize("size_bytes", [1000, 2 * encoders.QUICK_BYTES])
async def test_a_broken_file_is_told_with_its_field_wherever_it_is_judged(size_bytes: int) -> None:
    with pytest.raises(InvalidError) as told:
        await judge(b"\xff\xd8" + bytes(size_bytes), field="image")

    assert told.value.field == "image"
