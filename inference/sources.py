"""Image files that requests bring to pixels, with every limit checked before memory is taken.

Knows no request and no transport; runs in a thread, never on the event loop.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from inference.engine import Pixels, RejectedError


MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_SIDE_PX = 4096
# By content, whatever the caller says; Pillow's names.
FORMATS = ("JPEG", "PNG", "WEBP")


def decode(data: bytes, field: str, *, background: str) -> Pixels:
    """Decode an image file that came with a request.

    The orientation that a camera wrote down is applied; of an animation, the first image counts.

    Args:
        data: The whole file.
        field: The field it came in, for the errors.
        background: The colour that shows through where the image is transparent.

    Returns:
        ``(H, W, 3)`` uint8, RGB, C-contiguous.

    Raises:
        RejectedError: If it is not such a file, or over a limit.
    """
    if not 0 < len(data) <= MAX_FILE_BYTES:
        raise RejectedError(field, f"{field} must be a file of 1 to {MAX_FILE_BYTES} bytes, got {len(data)}")
    try:
        image = _open(data, field)
        return np.ascontiguousarray(_flatten(ImageOps.exif_transpose(image), background))
    except RejectedError:
        raise
    except UnidentifiedImageError as exc:  # Its message names one of our objects.
        raise RejectedError(
            field, f"{field} must be a whole JPEG, PNG or WebP file, got something else"
        ) from exc
    except Exception as exc:  # Hostile bytes make decoders raise almost anything.
        raise RejectedError(field, f"{field} must be a whole JPEG, PNG or WebP file: {exc}") from exc


def _open(data: bytes, field: str) -> Image.Image:
    """Read the header only, and judge the size by it."""
    image = None
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        size = "many more"  # Pillow's own limit is far above ours.
    if image is not None:
        if max(image.size) <= MAX_SIDE_PX:
            return image
        size = f"{image.width} x {image.height}"
    raise RejectedError(field, f"{field} must be at most {MAX_SIDE_PX} pixels a side, got {size}")


def _flatten(image: Image.Image, background: str) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips 16 bits to 8 instead of scaling them.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    picture = image.convert("RGBA")
    flat = Image.new("RGB", picture.size, background)
    flat.paste(picture, mask=picture.getchannel("A"))
    return flat
