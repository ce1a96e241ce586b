"""Encoding, decoding and judging image files: the one seam to the imaging libraries.

JPEG goes through the PyPI distribution `turbojpeg`, whose wheels bundle libjpeg-turbo, and through
Pillow where it is absent. Another distribution, PyTurboJPEG, installs a different module under the
same name; it is told apart by what it offers and then left alone.

Nothing here may be called on the event loop but `inspect`, of files up to `QUICK_BYTES`.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from server.errors import InvalidError, TooBigError, UnsupportedMediaError
from server.streaming.frame import FORMATS, EncodedImage
from server.streaming.images import metadata


# 4K in any orientation, and what the inference service takes as a source.
MAX_SIDE_PX = 4096
MAX_IMAGE_BYTES = 32 * 1024 * 1024
# Up to here a JPEG is judged in a millisecond or two, whatever is in it.
QUICK_BYTES = 256 * 1024
FORMATS_READ = ("JPEG", "WEBP", "PNG")
# What Pillow raises for a file that is broken, as fuzzing it shows.
BROKEN = (OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError, EOFError, struct.error)
# The EXIF tag of how a photograph was held, and what makes the picture upright, by its value.
ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Phones write JPEG with a second picture behind it, which Pillow calls MPO; the first one is shown.
_OUR_NAMES = {"JPEG": "jpeg", "MPO": "jpeg", "WEBP": "webp", "PNG": "png"}


def _load_turbojpeg() -> Callable[[Any, int], bytes] | None:
    """Return a function (pixels, quality) -> JPEG of the distribution `turbojpeg`, or None."""
    try:
        import turbojpeg
    except (ImportError, OSError, RuntimeError, AttributeError):
        # PyTurboJPEG, for one, may fail to find its library.
        return None
    compress, samples = getattr(turbojpeg, "compress", None), getattr(turbojpeg, "SAMP", None)
    if compress is None or samples is None:
        return None
    half, full = getattr(samples, "Y420", None), getattr(samples, "Y444", None)
    if half is None or full is None:
        return None

    def encode(pixels: Any, quality: int) -> bytes:
        # Chroma at half resolution is invisible up to quality 90, and costs half the time.
        return bytes(compress(pixels, quality, half if quality <= 90 else full))

    return encode


# The module holds the interpreter's lock while it encodes: above a megapixel the event loop would
# stand still for milliseconds. Pillow, as fast within a few percent, lets it go.
TURBOJPEG_MAX_PX = 1024 * 1024

_turbojpeg_encode = _load_turbojpeg()
JPEG_ENCODER = "turbojpeg" if _turbojpeg_encode else "pillow"
"""Which library encodes JPEG here, for `/state`."""


def inspect(data: bytes, *, field: str = "body") -> EncodedImage:
    """Judge a file by its header, without decoding it: quick, whatever it claims to be.

    Returns:
        The image without what does not travel, see `metadata`; the same bytes where there is nothing.

    Raises:
        UnsupportedMediaError: If it is no JPEG, PNG or WebP file.
        TooBigError: If it is over `MAX_IMAGE_BYTES` or `MAX_SIDE_PX`.
        InvalidError: If it is cut short.
    """
    if not data:
        raise InvalidError("the image is empty; post the bytes of a JPEG, PNG or WebP file", field=field)
    if len(data) > MAX_IMAGE_BYTES:
        raise TooBigError(f"image of {len(data)} bytes exceeds the limit of {MAX_IMAGE_BYTES}", field=field)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and not _is_whole(data, "webp"):
        # Pillow would take it for no WebP file at all.
        raise InvalidError("the webp file is cut short", field=field)
    try:
        data = metadata.strip(data)
    except InvalidError as exc:
        raise InvalidError(str(exc), field=field) from exc
    try:
        with quietly(), Image.open(io.BytesIO(data), formats=FORMATS_READ) as image:
            format_, (width, height) = _OUR_NAMES[image.format or ""], _upright_size(image)
            is_animated = image.format != "MPO" and getattr(image, "n_frames", 1) > 1
    except Image.DecompressionBombError as exc:
        raise TooBigError(f"image exceeds {MAX_SIDE_PX} pixels a side: {exc}", field=field) from exc
    except BROKEN as exc:
        raise UnsupportedMediaError("not a readable JPEG, PNG or WebP file", field=field) from exc
    if max(width, height) > MAX_SIDE_PX:
        raise TooBigError(
            f"image of {width}x{height} pixels exceeds the limit of {MAX_SIDE_PX} a side", field=field
        )
    if is_animated:
        raise UnsupportedMediaError("animated images are not taken; post one frame", field=field)
    if not _is_whole(data, format_):
        raise InvalidError(f"the {format_} file is cut short", field=field)
    return EncodedImage(data, format_, width, height)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the size that screens show: photographs may lie on their side in the file."""
    width, height = image.size
    return (height, width) if _orientation(image) >= 5 else (width, height)


def _orientation(image: Image.Image) -> int:
    """Return how an opened image lies: 1 to 8, 1 for upright, as browsers take it to be."""
    # Browsers show WebP as it lies in the file. Of PNG, Pillow would decode the whole picture to look
    # for EXIF behind it, where it does not count either.
    if image.format == "WEBP" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except BROKEN:
        # One that cannot be read is none; the picture itself may be whole.
        return 1
    return orientation if orientation in _TURNS else 1


def upright(image: Image.Image) -> Image.Image:
    """Return an opened image turned as its EXIF says, and itself where it lies right."""
    turn = _TURNS.get(_orientation(image))
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.info = image.info
    return turned


def _is_whole(data: bytes, format_: str) -> bool:
    """Tell whether a file ends as its format says; it is passed on to screens without decoding."""
    if format_ == "jpeg":
        # Some cameras pad after the end marker.
        return b"\xff\xd9" in data[-1024:] or data.rstrip(b"\x00\xff\n").endswith(b"\xff\xd9")
    if format_ == "png":
        # The chunk holds nothing, so that its checksum is always the same.
        return b"IEND\xaeB\x60\x82" in data[-1024:]
    return len(data) >= 8 + int.from_bytes(data[4:8], "little")


def encode(pixels: np.ndarray[Any, np.dtype[np.uint8]], format_: str, quality: int) -> EncodedImage:
    """Encode pixels, ``(H, W, 3)`` uint8 RGB, as JPEG, WebP or PNG.

    Args:
        pixels: The image.
        format_: One of `FORMATS`.
        quality: 1 to 100; PNG is lossless and takes no notice.
    """
    height, width = pixels.shape[:2]
    if format_ == "jpeg" and _turbojpeg_encode and width * height <= TURBOJPEG_MAX_PX:
        return EncodedImage(_turbojpeg_encode(np.ascontiguousarray(pixels), quality), format_, width, height)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format_, **options_of(format_, quality))
    return EncodedImage(out.getvalue(), format_, width, height)


def options_of(format_: str, quality: int) -> dict[str, Any]:
    """Return how Pillow is to save a live frame.

    Raises:
        ValueError: If it is none of `FORMATS`.
    """
    options: dict[str, dict[str, Any]] = {
        # Chroma at half resolution is invisible up to quality 90, and costs half the time.
        "jpeg": {"quality": quality, "subsampling": "4:2:0" if quality <= 90 else "4:4:4"},
        # Method 0 and level 1: the fastest; a live frame is looked at for a quarter of a second.
        "webp": {"quality": quality, "method": 0},
        "png": {"compress_level": 1},
    }
    if format_ not in options:
        raise ValueError(f"format must be one of {FORMATS}, got {format_!r}")
    return options[format_]


def decode(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Decode a file that `inspect` has accepted.

    Returns:
        ``(H, W, 3)`` uint8 RGB, turned upright as its EXIF orientation says; transparency on black.

    Raises:
        InvalidError: If its content is broken.
    """
    try:
        with quietly(), Image.open(io.BytesIO(data), formats=FORMATS_READ) as image:
            return rgb(image)
    except BROKEN as exc:
        raise InvalidError(f"the image cannot be decoded: {exc}", field="body") from exc


def rgb(image: Image.Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return an opened image's pixels as `decode` does.

    Raises:
        Exception: Whatever Pillow raises for a broken file.
    """
    # First, and outside of the next block: Pillow tells broken pixels once, and then shows black.
    image.load()
    image = upright(image)
    if image.mode.startswith("I;16"):
        # Pillow would clip 16 bits to 8, which makes nearly everything white.
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[:, :, np.newaxis], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep Pillow from warning of odd and of huge files: those who sent them are told what matters.

    The filters belong to the process, so that threads may lift each other's; a warning is printed then.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def convert(image: EncodedImage, format_: str, quality: int) -> EncodedImage:
    """Encode an image in another format."""
    return encode(decode(image.data), format_, quality)


def fit(image: EncodedImage, width: int, height: int, quality: int) -> EncodedImage:
    """Shrink an image into a box, keeping its aspect ratio; one that fits is returned as it is."""
    if image.width <= width and image.height <= height:
        return image
    picture = Image.fromarray(decode(image.data))
    picture.thumbnail((width, height))
    return encode(np.asarray(picture), image.format, quality)


def black(width: int, height: int) -> EncodedImage:
    """Make a black JPEG, for a canvas that is blanked."""
    return encode(np.zeros((height, width, 3), np.uint8), "jpeg", 50)
