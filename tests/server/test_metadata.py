"""What travels of a picture's file, and what does not."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import gradient, image_file, saved
from PIL import Image, ImageCms

from server.errors import InvalidError
from server.streaming.images import encoders, metadata, transcoding


SECRET = "52.5200 N 13.4050 E"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION = 0x0112


def telling_exif(orientation: int) -> Image.Exif:
    """Return EXIF that says where a picture was taken and which way is up."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[0x010E] = SECRET
    exif.get_ifd(0x8825)[1] = SECRET
    return exif


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """Put segments behind the first one of a JPEG file."""
    end = 4 + int.from_bytes(data[4:6], "big")
    return data[:end] + b"".join(segments) + data[end:]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def telling(format_: str, orientation: int = 6, **options: Any) -> bytes:
    """Return a file with everything in it that must not travel."""
    data = image_file(format_, exif=telling_exif(orientation), icc_profile=PROFILE, **options)
    secret = SECRET.encode()
    if format_ == "jpeg":
        data = with_segments(
            data,
            segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + secret),
            segment(0xE2, b"FPXR\x00" + secret),
            segment(0xED, b"Photoshop 3.0\x00" + secret),
            segment(0xFE, secret),
            segment(0xE0, b"JFXX\x00" + secret),
        )
        return data + image_file("jpeg", comment=secret)
    if format_ == "png":
        text = chunk(b"tEXt", b"Comment\x00" + secret) + chunk(b"iTXt", b"XML:com.adobe.xmp\x00" + secret)
        return data[:33] + text + chunk(b"tIME", secret[:7]) + data[33:] + secret
    return (
        image_file(format_, exif=telling_exif(orientation), icc_profile=PROFILE, xmp=secret, **options)
        + secret
    )


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def scan_of(jpeg: bytes) -> bytes:
    """Return what a JPEG file is decoded from, from its tables to its end."""
    return jpeg[jpeg.index(b"\xff\xdb") : jpeg.index(b"\xff\xd9", jpeg.index(b"\xff\xda")) + 2]


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("jpeg", {}),
    "progressive jpeg": ("jpeg", {"progressive": True}),
    "png": ("png", {}),
    "webp": ("webp", {}),
    "lossless webp": ("webp", {"lossless": True}),
}


@pytest.mark.parametrize(("format_", "options"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_pictures_travel_as_they_are_with_their_colours_and_orientation_and_nothing_else(
    format_: str, options: dict[str, Any], orientation: int
) -> None:
    data = telling(format_, orientation, **options)
    assert SECRET.encode() in data

    stripped = metadata.strip(data)

    before, after = opened(data), opened(stripped)
    assert np.array_equal(np.asarray(before), np.asarray(after))
    assert after.info["icc_profile"] == PROFILE
    # Browsers show WebP as it lies in the file, whatever is said of it.
    is_told = orientation > 1 and format_ != "webp"
    assert dict(after.getexif()) == ({ORIENTATION: orientation} if is_told else {})
    assert SECRET.encode() not in stripped
    assert b"GPS" not in stripped
    # What was stripped once has nothing more to lose, and costs no copy.
    assert metadata.strip(stripped) is stripped


@pytest.mark.parametrize("progressive", [False, True])
def test_the_image_data_of_jpeg_is_the_same_byte_for_byte(progressive: bool) -> None:
    data = telling("jpeg", progressive=progressive)

    assert scan_of(metadata.strip(data)) == scan_of(data)


@pytest.mark.parametrize(("format_", "options"), KINDS.values(), ids=KINDS)
def test_a_file_with_nothing_to_lose_is_the_same_object(format_: str, options: dict[str, Any]) -> None:
    for data in (image_file(format_, **options), image_file(format_, icc_profile=PROFILE, **options)):
        assert metadata.strip(data) is data


def test_comments_between_the_scans_of_a_progressive_file_go_and_its_tables_stay() -> None:
    data = image_file("jpeg", progressive=True)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    told = data[:second] + segment(0xFE, SECRET.encode() + b"\xff\xd9") + data[second:]

    assert metadata.strip(told) == data


def test_the_colours_of_adobe_are_kept() -> None:
    data = saved(Image.fromarray(gradient()).convert("CMYK"), "jpeg")
    assert b"Adobe" in data

    assert metadata.strip(data) is data


def test_a_thumbnail_of_jfif_goes_and_its_version_stays() -> None:
    data = image_file("jpeg")
    thumbnail = segment(0xE0, data[6:18] + b"\x01\x01\xaa\xbb\xcc")

    assert metadata.strip(data[:2] + thumbnail + data[20:]) == data


def test_the_second_picture_of_a_telephone_and_padding_go() -> None:
    picture = Image.fromarray(gradient())
    data = saved(picture, "MPO", save_all=True, append_images=[picture])

    stripped = metadata.strip(data)

    assert opened(stripped).format == "JPEG"
    assert stripped.count(b"\xff\xd8") == 1
    assert metadata.strip(image_file("jpeg") + b"\x00" * 100) == image_file("jpeg")


def test_the_flags_of_webp_say_what_is_in_it() -> None:
    data = telling("webp", 1)
    assert data[20] & 0x0C

    stripped = metadata.strip(data)

    assert stripped[20] & 0x0C == 0
    assert int.from_bytes(stripped[4:8], "little") == len(stripped) - 8


@pytest.mark.parametrize(("format_", "size"), [("jpeg", (24, 32)), ("png", (24, 32)), ("webp", (32, 24))])
def test_the_picture_has_the_size_in_which_browsers_show_it(format_: str, size: tuple[int, int]) -> None:
    image = encoders.inspect(telling(format_, 6))

    assert (image.width, image.height) == size
    assert transcoding.load(image.data).size == size
    assert encoders.decode(image.data).shape[1::-1] == size
    assert SECRET.encode() not in image.data


def test_an_orientation_of_png_behind_its_pixels_is_none() -> None:
    upright = image_file("png")
    exif = chunk(b"eXIf", telling_exif(6).tobytes().removeprefix(b"Exif\x00\x00"))

    assert metadata.strip(upright[:-12] + exif + upright[-12:]) == upright


def test_segments_that_no_decoder_needs_go_wherever_they_stand() -> None:
    data, secret = image_file("jpeg", progressive=True), SECRET.encode()
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)

    # Reserved for extensions of JPEG, for private use, for a picture's smaller versions; arithmetic JPG.
    for marker in (0xF0, 0xF7, 0xFD, 0x02, 0xBF, 0xDE, 0xDF, 0xC8):
        told = segment(marker, secret)
        assert metadata.strip(data[:2] + told + data[2:second] + told + data[second:]) == data


def test_bytes_between_segments_go_before_the_picture_and_within_it() -> None:
    data, secret = image_file("jpeg", progressive=True), SECRET.encode()
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    tables = data.rindex(b"\xff\xc4", 0, second)

    assert metadata.strip(data[:20] + secret + data[20:]) == data
    assert metadata.strip(data[:second] + secret + data[second:]) == data
    assert tables > data.index(b"\xff\xda")


def test_a_note_of_adobe_that_is_longer_than_usual_says_the_same_of_the_colours() -> None:
    data = saved(Image.fromarray(gradient()).convert("CMYK"), "jpeg")
    start = data.index(b"Adobe")
    longer = data[: start - 2] + struct.pack(">H", 16) + data[start : start + 12] + b"me" + data[start + 12 :]

    assert metadata.strip(longer) == data


def test_what_is_no_picture_is_returned_as_it_is() -> None:
    for data in (b"", b"GIF89a", b"RIFF\x00\x00\x00\x00WAVE", b"\xff"):
        assert metadata.strip(data) is data


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_is_cut_short_anywhere_is_refused(name: str) -> None:
    format_, options = KINDS[name]
    whole = metadata.strip(telling(format_, **options))

    for length in range(12, len(whole)):
        with pytest.raises(InvalidError, match="cut short or broken"):
            metadata.strip(whole[:length])


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_file_with_wrong_bytes_is_stripped_or_refused_and_nothing_else(
    name: str, data: st.DataObject
) -> None:
    format_, options = KINDS[name]
    broken = bytearray(telling(format_, **options))
    for _ in range(data.draw(st.integers(1, 8))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))

    try:
        stripped = metadata.strip(bytes(broken))
    except InvalidError:
        return
    assert len(stripped) <= len(broken) + 64


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from([b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\x00\x00\x00WEBP"]), rest=st.binary()
)
def test_any_bytes_are_stripped_or_refused_and_nothing_else(start: bytes, rest: bytes) -> None:
    with contextlib.suppress(InvalidError):
        metadata.strip(start + rest)


def test_a_file_that_is_all_segments_is_refused_soon_wherever_they_stand() -> None:
    data, many = image_file("jpeg"), segment(0xFE, b"") * 100_000

    for made in (b"\xff\xd8" + many, data[:20] + many + data[20:], data[:-2] + many + data[-2:]):
        with pytest.raises(InvalidError, match=f"more than {metadata.MAX_SEGMENTS} segments"):
            metadata.strip(made)


@pytest.mark.parametrize("padding", [b"\xff\x00", b"\xff", b"\x00"])
def test_more_than_a_little_between_segments_is_refused(padding: bytes) -> None:
    data = image_file("jpeg")
    most = metadata.MAX_GAP_BYTES // len(padding)

    assert metadata.strip(data[:2] + padding * most + data[2:]) == data
    for again in (
        data[:20] + padding * (most + 1) + data[20:],
        data[:2] + padding * most + data[2:20] + b"\0",
    ):
        with pytest.raises(InvalidError):
            metadata.strip(again + data[20:])


def test_a_picture_ends_where_it_ends_however_it_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    data = telling("jpeg", progressive=True)
    stripped = metadata.strip(data)

    for searched in range(1, 40):
        monkeypatch.setattr(metadata, "_SEARCHED_BYTES", searched)
        assert metadata.strip(data) == stripped


def test_a_file_of_more_scans_than_any_tool_writes_is_refused() -> None:
    data = image_file("jpeg", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    room = metadata.MAX_SCANS - data.count(b"\xff\xda")

    assert metadata.strip(data[:-2] + last * room + data[-2:]).count(b"\xff\xda") == metadata.MAX_SCANS
    with pytest.raises(InvalidError, match="more than 100 scans"):
        metadata.strip(data[:-2] + last * (room + 1) + data[-2:])


@pytest.mark.parametrize("format_", ["png", "webp"])
def test_a_file_of_more_chunks_than_any_tool_writes_is_refused(format_: str) -> None:
    data = image_file(format_)
    many = metadata.MAX_CHUNKS
    told = data[:33] + chunk(b"tIME", b"") * many + data[33:]
    if format_ == "webp":
        body = data[8:] + b"none\x00\x00\x00\x00" * many
        told = b"RIFF" + struct.pack("<I", len(body)) + body

    with pytest.raises(InvalidError, match="chunks"):
        metadata.strip(told)


def test_a_file_that_ends_without_a_picture_is_refused() -> None:
    data = image_file("jpeg")

    with pytest.raises(InvalidError):
        metadata.strip(data[:20] + b"\xff\xd9")


def test_what_looks_unchanged_by_its_length_only_is_stripped() -> None:
    data, exif = image_file("jpeg", width=400, height=400), telling_exif(6)
    told = saved(Image.open(io.BytesIO(data)), "jpeg", exif=exif)
    # As many bytes go as the smallest EXIF has more than this one.
    gone = segment(0xFE, b"x" * 30)

    stripped = metadata.strip(with_segments(told, gone))

    assert gone not in stripped
    assert SECRET.encode() not in stripped
