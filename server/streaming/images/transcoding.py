"""From one image file to another of another size, format or quality, without holding up the event loop.

Everything here runs in threads beside it. What counts is how long the interpreter's lock is held at a
time: Pillow lets it go while it decodes, shrinks, and encodes into a file, and holds it from the first
to the last byte while it encodes into memory (35 ms for a 4K JPEG). So files of memory are encoded
into, and what cannot be done without the lock is done in strips.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
from typing import IO

import numpy as np
from PIL import Image

from server.errors import InvalidError
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders


# Rows of a picture that are converted at a time: half a millisecond at 4K.
_STRIP_ROWS = 128
# What libjpeg shrinks by while it decodes.
_DRAFTS = (8, 4, 2)
# What makes a picture upright, by its EXIF orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load(data: bytes, scale: float = 1.0) -> Image.Image:
    """Decode a file that was inspected.

    Args:
        data: The file.
        scale: How much of each side is needed; the picture may come out larger, but not smaller.

    Returns:
        An RGB picture, upright, transparency on black; `info` holds its ICC profile, if it has one.

    Raises:
        InvalidError: If its content is broken.
    """
    try:
        with encoders.quietly(), Image.open(io.BytesIO(data), formats=encoders.FORMATS_READ) as image:
            factor = next((draft for draft in _DRAFTS if draft * scale <= 1.0), 1)
            if factor > 1 and image.format in ("JPEG", "MPO"):
                image.draft(None, (max(1, image.width // factor), max(1, image.height // factor)))
            # First, and outside of the next block: Pillow tells broken pixels once, and then shows black.
            image.load()
            profile = _rgb_profile(image)
            # What is closed here is the file; the pixels stay.
            picture = _flattened(_upright(image))
            picture.info = {"icc_profile": profile} if profile else {}
            return picture
    except encoders.BROKEN as exc:
        raise InvalidError(f"the image cannot be decoded: {exc}", field="body") from exc


def shrink(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Return a picture in a smaller size; one that has it already is returned as it is."""
    if picture.size == (width, height):
        return picture
    smaller = picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    smaller.info = picture.info
    return smaller


def write(picture: Image.Image, format_: str, quality: int) -> EncodedImage:
    """Encode a picture as `load` returns them, with its ICC profile.

    Args:
        picture: RGB.
        format_: One of `FORMATS`.
        quality: 1 to 100; PNG is lossless and takes no notice.
    """
    options = dict(encoders.options_of(format_, quality))
    if profile := picture.info.get("icc_profile"):
        options["icc_profile"] = profile
    with _memory_file() as file:
        picture.save(file, format_, **options)
        file.flush()
        size = file.tell()
        file.seek(0)
        # One read, which lets the lock go.
        data = file.read(size)
    return EncodedImage(data, format_, picture.width, picture.height)


def _memory_file() -> IO[bytes]:
    """Open a file that Pillow's encoders write to by themselves, kept in memory where the system can."""
    # Unbuffered, so that what Pillow writes past it and what is read back are the same.
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("psyche-encoder", os.MFD_CLOEXEC), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)  # whoever asks for it closes it


def _upright(image: Image.Image) -> Image.Image:
    """Return an image turned as its EXIF says; Pillow's own function copies one that is upright."""
    # An orientation that cannot be read is none; the picture itself may be whole.
    with contextlib.suppress(*encoders.BROKEN):
        turn = _TURNS.get(image.getexif().get(encoders.ORIENTATION, 1))
        if turn is not None:
            info = image.info
            image = image.transpose(turn)
            image.info = info
    return image


def _rgb_profile(image: Image.Image) -> bytes | None:
    """Return an image's ICC profile if it still says the truth when the image has become RGB."""
    profile = image.info.get("icc_profile")
    # Bytes 16 to 20 name the colours that it speaks of.
    return profile if isinstance(profile, bytes) and profile[16:20] == b"RGB " else None


def _flattened(picture: Image.Image) -> Image.Image:
    """Return a picture as RGB on black, converting it in strips."""
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    whole = Image.new("RGB", picture.size)
    for top in range(0, picture.height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, picture.height)
        strip = picture.crop((0, top, picture.width, bottom))
        strip.info = {key: value for key, value in picture.info.items() if key == "transparency"}
        whole.paste(_flat(strip), (0, top))
        # Whoever waits for the interpreter's lock gets it here, and not after five milliseconds.
        time.sleep(0)
    return whole


def _flat(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        # Pillow would clip 16 bits to 8, which makes nearly everything white.
        grey = (np.asarray(picture) >> 8).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")
