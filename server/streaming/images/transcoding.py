"""From one image file to another of another size, format or quality, without holding up the event loop.

Everything here runs in threads beside it. What counts is how long the interpreter's lock is held at a
time: Pillow lets it go while it decodes, shrinks, and encodes into a file, and holds it from the first
to the last byte while it encodes into memory (35 ms for a 4K JPEG). So files of memory are encoded
into, and what cannot be done without the lock is done in strips.
"""

from __future__ import annotations

import functools
import io
import os
import tempfile
import time
from typing import IO

import numpy as np
from PIL import Image, ImageCms

from server.errors import InvalidError
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders


# Rows of a picture that are converted at a time: half a millisecond at 4K.
_STRIP_ROWS = 128
# Larger ICC profiles do not travel with what is made of a picture: small tiers are to stay small. Those
# of sRGB, Display P3 and Adobe RGB have 500 to 3,200 bytes.
MAX_PROFILE_BYTES = 4096
# What libjpeg shrinks by while it decodes.
_DRAFTS = (8, 4, 2)


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
            picture = _flattened(encoders.upright(image))
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
    """Encode a picture as `load` returns them, with its ICC profile or in sRGB.

    Args:
        picture: RGB.
        format_: One of `FORMATS`.
        quality: 1 to 100; PNG is lossless and takes no notice.
    """
    options = dict(encoders.options_of(format_, quality))
    profile = picture.info.get("icc_profile", b"")
    if len(profile) > MAX_PROFILE_BYTES:
        picture, profile = _in_srgb(picture, profile), b""
    # Said in any case: some of Pillow's writers take it from the picture otherwise.
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


def _rgb_profile(image: Image.Image) -> bytes | None:
    """Return an image's ICC profile if it still says the truth when the image has become RGB."""
    profile = image.info.get("icc_profile")
    # Bytes 16 to 20 name the colours that it speaks of.
    return profile if isinstance(profile, bytes) and profile[16:20] == b"RGB " else None


def _in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Return a picture in the colours that screens take one without a profile to have."""
    try:
        # The interpreter's lock is let go of meanwhile.
        converted = ImageCms.applyTransform(picture, _to_srgb(profile))
    except (ImageCms.PyCMSError, ImportError, *encoders.BROKEN):
        # What cannot be read says nothing of the colours, to browsers neither.
        return picture
    return picture if converted is None else converted


# Frames of one source bring the same profile again and again; reading one takes milliseconds.
@functools.lru_cache(maxsize=4)
def _to_srgb(profile: bytes) -> ImageCms.ImageCmsTransform:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "RGB", "RGB")


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
