"""Images that come in and go out: pushed frames, uploads, snapshots."""

from __future__ import annotations

import asyncio
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeEngine
from PIL import Image
from screens import SOON_S, Site, image, running_site

from server.streaming.clock import now_ms
from server.streaming.frame import MEDIA_TYPES
from server.streaming.images import encoders
from server.streaming.images.encoders import MAX_IMAGE_BYTES


def huge_png() -> bytes:
    """Make a small file that claims to be 20,000 x 20,000 pixels and is well-formed otherwise."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(20_000 * 3 + 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def broken_png() -> bytes:
    """Make a file whose header and end are well, and whose pixels are not."""
    data = bytearray(image("png").data)
    start = data.index(b"IDAT") + 8
    data[start : start + 20] = bytes(20)
    return bytes(data)


def animated_webp() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    frames[0].save(out, "webp", save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


def photograph() -> bytes:
    """Make a JPEG of some kilobytes: cut in half, it ends amid its pixels."""
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    return encoders.encode(noise, "jpeg", 90).data


PHOTOGRAPH = photograph()
JPEG, PNG, WEBP = (image(format_).data for format_ in ("jpeg", "png", "webp"))

REFUSED = [
    (b"", "image/jpeg", 400, "invalid", "body"),
    (b"no image at all", "image/png", 415, "unsupported_media_type", "body"),
    (PHOTOGRAPH[: len(PHOTOGRAPH) // 2], "image/jpeg", 400, "invalid", "body"),
    (PNG[:-30], "image/png", 400, "invalid", "body"),
    (WEBP[:-30], "image/webp", 400, "invalid", "body"),
    (huge_png(), "image/png", 413, "too_big", "body"),
    (animated_webp(), "image/webp", 415, "unsupported_media_type", "body"),
    (
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "image/svg+xml",
        415,
        "unsupported_media_type",
        "content-type",
    ),
    (JPEG, "application/json", 415, "unsupported_media_type", "content-type"),
    (JPEG, "multipart/form-data", 415, "unsupported_media_type", "content-type"),
]
NAMES = ["empty", "garbage", "cut-jpeg", "cut-png", "cut-webp", "huge", "animated", "svg", "json", "form"]


@pytest.mark.parametrize("case", REFUSED, ids=NAMES)
async def test_what_is_no_whole_image_is_refused_with_its_reason(
    still_site: Site, case: tuple[bytes, str, int, str, str]
) -> None:
    data, content_type, status, code, field = case
    for path in ("/canvases/left/frames", "/images"):
        error = await still_site.refused(
            "POST", path, status=status, data=data, headers={"Content-Type": content_type}
        )
        assert (error["code"], error["field"]) == (code, field), path
    assert still_site.canvas("left").newest is None


async def test_an_oversized_image_is_refused_before_it_is_sent(still_site: Site) -> None:
    for path in ("/canvases/left/frames", "/images"):
        reader, writer = await asyncio.open_connection("127.0.0.1", still_site.url.port)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
            f"Content-Length: {MAX_IMAGE_BYTES + 1}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode())
        async with asyncio.timeout(SOON_S):
            answer = await reader.readuntil(b"}}")
            # The server reads what comes all the same, to let the sender see the answer.
            writer.write(bytes(MAX_IMAGE_BYTES + 1))
            assert await reader.read() == b""
        writer.close()

        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'"code": "too_big"' in answer


async def test_an_upload_that_breaks_off_is_no_error_of_ours(still_site: Site) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", still_site.url.port)
    head = (
        "POST /images HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\n"
    )
    writer.write(head.encode() + bytes(1000))
    await writer.drain()
    # The server reads it now; afterwards the connection is gone in the middle of the body.
    await still_site.call("GET", "/health")
    writer.transport.abort()

    await still_site.call("GET", "/health")


async def test_an_oversized_image_without_a_length_is_refused_once_it_is(still_site: Site) -> None:
    async def endless() -> Any:
        for _ in range(MAX_IMAGE_BYTES // 2**20 + 1):
            yield bytes(2**20)

    error = await still_site.refused(
        "POST", "/images", status=413, data=endless(), headers={"Content-Type": "image/jpeg"}
    )

    assert error["code"] == "too_big"


@pytest.mark.parametrize(("data", "format_"), [(JPEG, "jpeg"), (PNG, "png"), (WEBP, "webp")])
async def test_a_pushed_image_reaches_the_screens_untouched(
    still_site: Site, data: bytes, format_: str
) -> None:
    async with still_site.screen("pushed") as screen:
        await screen.receive()
        body = await still_site.call(
            "POST",
            "/canvases/pushed/frames",
            status=201,
            data=data,
            headers={"Content-Type": f"image/{format_}"},
        )
        frame = await screen.frame()

    assert frame["image"] == data
    assert body == {"frame": {"sequence": frame["sequence"], "image_id": frame["image_id"]}}
    assert (frame["format"], frame["width"], frame["height"]) == (format_, 64, 48)
    assert frame["job"] is None
    assert frame["final"] is True
    # It came encoded: it was so when it was published.
    assert frame["stages"] == {
        "painted": frame["timestamp_ms"],
        "published": frame["published_ms"],
        "encoded": frame["published_ms"],
    }
    assert still_site.canvas("pushed").is_temporary is False


async def test_a_pushed_image_supersedes_the_live_picture_and_stays(site: Site) -> None:
    async with site.screen("left") as screen:
        job = (await screen.frame())["job"]
        await site.call(
            "POST", "/canvases/left/frames", status=201, data=PNG, headers={"Content-Type": "image/png"}
        )
        assert (await screen.frame(format="png"))["image"] == PNG
        ended = await site.ended(job)
        await screen.next("status", state="idle")
        assert not [message for message in await screen.sync() if message["type"] == "frame"]

    assert (ended["state"], ended["reason"]) == ("cancelled", "superseded")


async def test_an_image_that_cannot_be_decoded_ends_no_connection(still_site: Site) -> None:
    headers = {"Content-Type": "image/png"}
    async with (
        still_site.screen("left", query="format=json") as old,
        still_site.screen("left") as picky,
        still_site.screen("left") as plain,
    ):
        await picky.send("ready", formats=["jpeg"])
        await picky.sync()
        broken = broken_png()
        # A post of it is refused; other sources pass on what looks whole.
        await still_site.refused("POST", "/canvases/left/frames", status=400, data=broken, headers=headers)
        still_site.canvas("left").publish(encoders.inspect(broken), timestamp_ms=now_ms())
        assert (await plain.frame())["image"] == broken
        error = await still_site.refused(
            "GET", "/canvases/left/snapshot", status=409, headers={"Accept": "image/jpeg"}
        )
        assert "jpeg" in error["message"]

        await still_site.call("POST", "/canvases/left/frames", status=201, data=PNG, headers=headers)

        assert (await old.receive())["image_id"].endswith("-2")
        assert (await picky.frame())["sequence"] == 2
        assert (await plain.frame())["sequence"] == 2


async def test_a_snapshot_is_the_newest_frame_as_it_is(still_site: Site) -> None:
    frame = still_site.canvas("left").publish(image(), timestamp_ms=now_ms())

    async with still_site.session.get(still_site.url / "canvases/left/snapshot") as response:
        assert response.status == 200
        assert response.content_type == "image/jpeg"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Sequence"] == str(frame.sequence)
        assert float(response.headers["X-Timestamp-Ms"]) == frame.timestamp_ms
        assert await response.read() == frame.image.data
        etag = response.headers["ETag"]
    await still_site.call("GET", "/canvases/left/snapshot", status=304, headers={"If-None-Match": etag})


ACCEPTED = [
    ("image/webp", "webp"),
    ("image/png, image/webp;q=0.5", "png"),
    ("image/jpeg", "jpeg"),
    ("image/avif,image/webp;q=0.9,*/*;q=0.1", "webp"),
    ("image/*", "png"),
    ("*/*", "png"),
    ("text/html,*/*;q=0.8", "png"),
    ("image/png;q=0, image/*", "jpeg"),
]


@pytest.mark.parametrize(("accept", "format_"), ACCEPTED)
async def test_a_snapshot_comes_in_the_format_that_is_accepted(
    still_site: Site, accept: str, format_: str
) -> None:
    await still_site.call(
        "POST", "/canvases/left/frames", status=201, data=PNG, headers={"Content-Type": "image/png"}
    )

    async with still_site.session.get(
        still_site.url / "canvases/left/snapshot", headers={"Accept": accept}
    ) as response:
        assert response.content_type == MEDIA_TYPES[format_]
        assert response.headers["Vary"] == "Accept"
        picture = Image.open(io.BytesIO(await response.read()))

    assert picture.format == format_.upper()
    assert np.allclose(np.asarray(picture.convert("RGB"))[5, 5], (200, 30, 60), atol=6)


async def test_a_snapshot_that_nobody_can_make_is_refused(still_site: Site) -> None:
    assert "nothing" in (await still_site.refused("GET", "/canvases/left/snapshot", status=404))["message"]
    await still_site.call(
        "POST", "/canvases/left/frames", status=201, data=PNG, headers={"Content-Type": "image/png"}
    )
    error = await still_site.refused(
        "GET", "/canvases/left/snapshot", status=400, headers={"Accept": "video/mp4"}
    )
    assert error["field"] == "accept"


class SourceEngine(FakeEngine):
    """Remembers what the pictures start from."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[tuple[int, int, int] | None] = []
        self.masks: list[tuple[int, int, int] | None] = []

    def begin(self, timeline: Any, time_s: float) -> Any:
        request = timeline.current(time_s).request
        for kept, told in ((self.sources, request.source), (self.masks, request.mask)):
            kept.append(None if told is None else tuple(np.asarray(told)[5, 5].tolist()))
        return super().begin(timeline, time_s)


async def test_an_uploaded_image_is_what_a_prompt_starts_from(tmp_path: Path) -> None:
    engine = SourceEngine()
    async with running_site(tmp_path, engine=engine, default_prompt="") as site:
        body = await site.call("POST", "/images", status=201, data=PNG, headers={"Content-Type": "image/png"})
        uploaded = body["image"]
        job = await site.paint("left", "over it", mode="once", source=uploaded["id"], strength=0.5)
        ended = await site.ended(job["id"])

    assert {**uploaded, "id": ""} == {"id": "", "width": 64, "height": 48, "format": "png"}
    assert ended["state"] == "succeeded"
    assert ended["parameters"]["strength"] == 0.5
    assert engine.sources == [(200, 30, 60)]


async def test_the_current_picture_can_be_what_a_prompt_starts_from(tmp_path: Path) -> None:
    engine = SourceEngine()
    async with running_site(tmp_path, engine=engine, default_prompt="") as site:
        error = await site.refused(
            "POST", "/canvases/left/prompt", status=409, json={"prompt": "x", "source": "current"}
        )
        assert error["field"] == "source"
        await site.call(
            "POST", "/canvases/left/frames", status=201, data=PNG, headers={"Content-Type": "image/png"}
        )
        job = await site.paint("left", "over it", mode="once", source="current")
        assert (await site.ended(job["id"]))["state"] == "succeeded"

    assert engine.sources == [(200, 30, 60)]


async def test_an_uploaded_mask_tells_where_a_prompt_paints(tmp_path: Path) -> None:
    engine = SourceEngine()
    async with running_site(tmp_path, engine=engine, default_prompt="") as site:
        body = await site.call("POST", "/images", status=201, data=PNG, headers={"Content-Type": "image/png"})
        uploaded = body["image"]["id"]
        job = await site.paint("left", "over it", mode="once", source=uploaded, mask=uploaded)
        ended = await site.ended(job["id"])

    assert ended["state"] == "succeeded"
    assert engine.sources == [(200, 30, 60)]
    assert engine.masks[0] is not None


async def test_a_mask_without_what_it_needs_is_refused(still_site: Site) -> None:
    for fields in ({"mask": "no-such-image"}, {"mask": "no-such-image", "source": "current"}):
        await still_site.call(
            "POST", "/canvases/left/frames", status=201, data=PNG, headers={"Content-Type": "image/png"}
        )
        error = await still_site.refused(
            "POST", "/canvases/left/prompt", status=400, json={"prompt": "x", **fields}
        )
        assert error["field"] == "mask"


async def test_a_source_that_is_not_there_is_refused_and_makes_no_canvas(still_site: Site) -> None:
    for source in ("no-such-image", "current"):
        status = 409 if source == "current" else 400
        error = await still_site.refused(
            "POST", "/canvases/new/prompt", status=status, json={"prompt": "x", "source": source}
        )
        assert error["field"] == "source"
    await still_site.refused("GET", "/canvases/new", status=404)


async def test_an_upload_with_broken_pixels_is_told_to_who_sends_it(still_site: Site) -> None:
    error = await still_site.refused(
        "POST", "/images", status=400, data=broken_png(), headers={"Content-Type": "image/png"}
    )
    assert error["field"] == "body"
