"""Pictures decoded, shrunk and encoded again, in threads."""

from __future__ import annotations

import io

import numpy as np
import pytest
from images import encoded, gradient, image_file, saved
from PIL import Image, ImageCms, ImageOps

from server.errors import InvalidError
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders, transcoding
from server.streaming.tiers.sources import AbandonedError, Source
from server.streaming.tiers.tier import Tier


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PICTURE = Image.fromarray(gradient())
ORIENTATION = 0x0112

FILES = {
    "jpeg": image_file("jpeg"),
    "grey jpeg": saved(PICTURE.convert("L"), "jpeg"),
    "cmyk jpeg": saved(PICTURE.convert("CMYK"), "jpeg"),
    "webp": image_file("webp"),
    "png": image_file("png"),
    "png with alpha": saved(PICTURE.convert("RGBA"), "png"),
    "png with a palette": saved(PICTURE.convert("P"), "png"),
    "png of 16 bits": saved(Image.fromarray(np.full((24, 32), 30_000, np.uint16)), "png"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_picture_is_decoded_as_it_is_for_everybody_else(name: str) -> None:
    picture = transcoding.load(FILES[name])

    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture), encoders.decode(FILES[name]))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["jpeg", "webp", "png"])
def test_a_picture_is_turned_upright(format_: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = image_file(format_, exif=exif)

    turned = np.asarray(transcoding.load(data))

    assert np.array_equal(turned, encoders.decode(data))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))) if format_ != "webp" else None
    # Browsers show WebP as it lies in the file.
    assert np.array_equal(turned, np.asarray(upright or Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize(
    ("scale", "size"), [(1.0, (640, 480)), (0.6, (640, 480)), (0.5, (320, 240)), (0.2, (160, 120))]
)
def test_jpeg_is_shrunk_while_it_is_decoded_and_never_too_much(scale: float, size: tuple[int, int]) -> None:
    assert transcoding.load(image_file(width=640, height=480), scale).size == size


@pytest.mark.parametrize("format_", ["jpeg", "webp", "png"])
def test_a_profile_of_rgb_is_kept_and_any_other_is_not(format_: str) -> None:
    grey = saved(PICTURE.convert("L"), "png", icc_profile=PROFILE.replace(b"RGB ", b"GRAY", 1))

    for data, profile in ((image_file("png", icc_profile=PROFILE), PROFILE), (grey, None)):
        shrunk = transcoding.shrink(transcoding.load(data), 16, 12)
        written = transcoding.write(shrunk, format_, 80)

        assert encoders.inspect(written.data) == written
        assert (written.width, written.height) == (16, 12)
        assert Image.open(io.BytesIO(written.data)).info.get("icc_profile") == profile


def large_profile(swaps: bool) -> bytes:
    """Return an ICC profile that is too large to travel; of colours in which red and green are swapped."""
    data = bytearray(PROFILE)
    if swaps:
        for tag in range(int.from_bytes(data[128:132], "big")):
            at = 132 + 12 * tag
            name = bytes(data[at : at + 4])
            data[at : at + 4] = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}.get(name, name)
    data += bytes(8000)
    data[0:4] = len(data).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize("format_", ["jpeg", "webp", "png"])
def test_a_large_profile_becomes_srgb_so_that_small_tiers_stay_small(format_: str) -> None:
    red = Image.new("RGB", (32, 24), (230, 20, 20))
    shown = {}
    for swaps in (False, True):
        data = saved(red, "png", icc_profile=large_profile(swaps))
        written = transcoding.write(transcoding.load(data), format_, 90)
        made = Image.open(io.BytesIO(written.data))

        assert "icc_profile" not in made.info
        assert len(written.data) < 2000
        shown[swaps] = np.asarray(made.convert("RGB")).mean(axis=(0, 1))
    assert shown[False] == pytest.approx((230, 20, 20), abs=4)
    assert shown[True][1] > 200 > shown[True][0]


def test_a_large_profile_that_says_nothing_is_left_out() -> None:
    picture = Image.new("RGB", (8, 8), (230, 20, 20))
    picture.info = {"icc_profile": b"\x00" * 16 + b"RGB " + bytes(8000)}

    written = transcoding.write(picture, "png", 90)

    made = Image.open(io.BytesIO(written.data))
    assert made.getpixel((0, 0)) == (230, 20, 20)
    assert "icc_profile" not in made.info


def test_nothing_that_was_told_of_a_picture_gets_into_what_is_made_of_it() -> None:
    data = image_file("jpeg", comment=b"secret")

    assert b"secret" not in transcoding.write(transcoding.load(data), "jpeg", 90).data


def test_a_broken_file_is_told() -> None:
    with pytest.raises(InvalidError, match="cannot be decoded"):
        transcoding.load(image_file("png")[:-40])


def test_a_picture_that_lies_on_its_side_keeps_its_shape_in_every_tier() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    for format_ in ("jpeg", "webp", "png"):
        source = Source(encoders.inspect(image_file(format_, width=64, height=48, exif=exif)), 1)

        made, took_s, done_ms = source.encode(Tier(0.5, "jpeg", 85), lambda: None)

        assert (made.width, made.height) == ((32, 24) if format_ == "webp" else (24, 32))
        assert took_s > 0.0
        assert done_ms > 0.0


def test_encoding_can_be_given_up_before_each_step() -> None:
    for steps in range(3):
        left = [None] * steps

        def check(left: list[None] = left) -> None:
            if not left:
                raise AbandonedError
            left.pop()

        with pytest.raises(AbandonedError):
            Source(encoded(), 1).encode(Tier(0.5, "jpeg", 85), check)


def test_a_source_that_is_broken_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(EncodedImage(b"broken", "jpeg", 8, 8), 1)
    with pytest.raises(InvalidError):
        source.encode(Tier(0.5, "jpeg", 85), lambda: None)
    monkeypatch.setattr(transcoding, "load", None)

    with pytest.raises(InvalidError):
        source.encode(Tier(1.0, "jpeg", 85), lambda: None)

    assert source.is_broken
