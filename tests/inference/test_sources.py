"""Images that requests bring: decoded, or refused by name."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inference.engine import RejectedError
from inference.sources import MAX_FILE_BYTES, decode


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def header_of_png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (header, data)
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_each_kind_of_file_becomes_rgb(kind: str, mode: str) -> None:
    pixels = decode(
        file_of(Image.new(mode, (24, 16), 200 if mode == "L" else (200, 200, 200)), kind),
        "f",
        background="white",
    )

    assert pixels.shape == (16, 24, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert np.abs(pixels.astype(int) - 200).max() <= 2


def test_the_orientation_of_a_camera_is_applied() -> None:
    image = Image.new("RGB", (16, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # Turned by a quarter.

    assert decode(file_of(image, "JPEG", exif=exif), "f", background="white").shape == (16, 8, 3)


@pytest.mark.parametrize(("background", "expected"), [("white", 255), ("black", 0)])
def test_what_is_transparent_shows_the_background(background: str, expected: int) -> None:
    data = file_of(Image.new("RGBA", (8, 8), (90, 90, 90, 0)))

    assert (decode(data, "f", background=background) == expected).all()


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    grey = Image.fromarray(np.full((8, 8), 0x8000, np.uint16))

    assert (decode(file_of(grey), "f", background="white") == 0x80).all()


@pytest.mark.parametrize("kind", ["CMYK", "P"])
def test_other_colour_models_are_converted(kind: str) -> None:
    data = file_of(Image.new("RGB", (8, 8)).convert(kind), "JPEG" if kind == "CMYK" else "PNG")

    assert (decode(data, "f", background="white") == 0).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "f must be a file of 1 to 33554432 bytes, got 0", id="empty"),
        pytest.param(
            bytes(MAX_FILE_BYTES + 1), "f must be a file of 1 to 33554432 bytes, got 33554433", id="too big"
        ),
        pytest.param(
            b"not an image",
            "f must be a whole JPEG, PNG or WebP file, got something else",
            id="something else",
        ),
        pytest.param(
            file_of(Image.new("RGB", (8, 8)), "GIF"), "f must be a whole JPEG, PNG or WebP", id="gif"
        ),
        pytest.param(
            file_of(Image.new("RGB", (64, 64)), "JPEG")[:-80], "f must be a whole JPEG, PNG", id="truncated"
        ),
        pytest.param(header_of_png(4097, 8), "f must be at most 4096 pixels a side, got 4097 x 8", id="wide"),
        pytest.param(header_of_png(8, 5000), "f must be at most 4096 pixels a side, got 8 x 5000", id="high"),
        pytest.param(header_of_png(10_000, 10_000), "f must be at most 4096 pixels a side", id="large"),
        pytest.param(header_of_png(60_000, 60_000), "f must be at most 4096 pixels a side", id="bomb"),
    ],
)
def test_what_is_no_such_image_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(RejectedError) as refused:
        decode(data, "f", background="white")

    assert refused.value.field == "f"
    assert str(refused.value).startswith(message)


WHOLE = [file_of(Image.effect_noise((16, 16), 50), kind) for kind in ("PNG", "JPEG", "WEBP")]


@given(st.sampled_from(WHOLE), st.integers(0, 200), st.binary(min_size=1, max_size=6))
def test_no_bytes_whatever_raise_anything_else(data: bytes, at: int, noise: bytes) -> None:
    try:
        pixels = decode(data[:at] + noise + data[at + len(noise) :], "f", background="white")
    except RejectedError:
        return
    assert pixels.ndim == 3
