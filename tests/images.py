"""Image files and frames for tests: small, deterministic, made in memory."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from server.streaming.frame import EncodedImage, Frame


# Nobody decodes it where this is used.
TINY = EncodedImage(b"\xff\xd8not a picture\xff\xd9", "jpeg", 8, 8)


def gradient(width: int = 32, height: int = 24) -> NDArray[np.uint8]:
    """Return smooth pixels, ``(H, W, 3)``: red grows to the right, green downwards."""
    red = np.linspace(0, 255, width, dtype=np.uint8)[np.newaxis, :].repeat(height, 0)
    green = np.linspace(0, 255, height, dtype=np.uint8)[:, np.newaxis].repeat(width, 1)
    return np.stack([red, green, np.full_like(red, 128)], axis=2)


def saved(image: Image.Image, format_: str, **options: Any) -> bytes:
    """Return an image as a file."""
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def image_file(format_: str = "jpeg", *, width: int = 32, height: int = 24, **options: Any) -> bytes:
    """Return a file of a gradient."""
    return saved(Image.fromarray(gradient(width, height)), format_, **options)


def encoded(format_: str = "jpeg", *, width: int = 32, height: int = 24) -> EncodedImage:
    """Return a real image, as it comes from a source."""
    return EncodedImage(image_file(format_, width=width, height=height), format_, width, height)


def png_header(width: int, height: int) -> bytes:
    """Return a whole PNG file that says how large it is, and holds no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def frame_of(sequence: int, image: EncodedImage = TINY) -> Frame:
    """Return the frame of a canvas called `left`."""
    return Frame(
        canvas="left",
        sequence=sequence,
        image_id=f"epoch-{sequence}",
        timestamp_ms=1_795_184_917_348.5,
        published_ms=1_795_184_917_350.25,
        image=image,
        job="job",
    )
