"""Pixels to image files: the one seam to the encoders.

Knows no request and no transport. JPEG goes through the PyPI distribution `turbojpeg` (its
wheels bundle libjpeg-turbo 3) and through Pillow where that is absent. PyTurboJPEG installs
another module under the same name: what a module offers tells them apart, not its name.
"""

from __future__ import annotations

import asyncio
import importlib
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, cast

from PIL import Image

from inference.engine import Pixels


Format = Literal["jpeg", "webp", "png"]
FORMATS: tuple[Format, ...] = ("jpeg", "webp", "png")

JpegEncoder = Callable[[Pixels, int], bytes]

# Up to here colour is stored at half the resolution (4:2:0): nobody sees it on a photograph, and
# it takes a quarter less bytes and time. Who asks for more wants sharp coloured edges: 4:4:4.
MAX_SUBSAMPLED_QUALITY = 90

# turbojpeg 0.0.2 holds the interpreter's lock while it works: 0.55 ms for 512 x 512, but 35 ms and
# more for 4096 x 4096, in which no other caller would be served. Pillow takes a quarter longer
# and lets the lock go (Python 3.11, x86-64).
MAX_LOCKING_PX = 1024 * 1024


def _encode_jpeg_with_pillow(pixels: Pixels, quality: int) -> bytes:
    file = io.BytesIO()
    subsampling = 2 if quality <= MAX_SUBSAMPLED_QUALITY else 0  # Pillow's numbers for 4:2:0 and 4:4:4
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return file.getvalue()


def find_jpeg_encoder() -> tuple[str, JpegEncoder]:
    """Choose what encodes JPEG here.

    Returns:
        Its name for the log, and the function.
    """
    pillow = ("pillow", _encode_jpeg_with_pillow)
    try:
        module = importlib.import_module("turbojpeg")
    except (ImportError, OSError):  # OSError: there, but its shared library is not.
        return pillow
    try:
        compress, rgb = module.compress, module.PF.RGB
        halved, whole = module.SAMP.Y420, module.SAMP.Y444
    except AttributeError:
        return pillow

    def encode_jpeg(pixels: Pixels, quality: int) -> bytes:
        height, width, _ = pixels.shape
        if height * width > MAX_LOCKING_PX:
            return _encode_jpeg_with_pillow(pixels, quality)
        sampling = halved if quality <= MAX_SUBSAMPLED_QUALITY else whole
        return cast(bytes, compress(pixels, quality, sampling, pixelformat=rgb))

    return ("turbojpeg", encode_jpeg)


ENCODER, _encode_jpeg = find_jpeg_encoder()


def encode(pixels: Pixels, format: Format, quality: int) -> bytes:
    """Encode a picture into a whole file.

    Args:
        pixels: ``(H, W, 3)`` uint8, RGB, C-contiguous.
        format: What file.
        quality: 1 to 100, for JPEG and WebP.
    """
    if format == "jpeg":
        return _encode_jpeg(pixels, quality)
    file = io.BytesIO()
    if format == "webp":
        # Method 0 takes 4 ms for 512 x 512 where the default 4 takes 16, for a tenth more bytes.
        Image.fromarray(pixels).save(file, "WEBP", quality=quality, method=0)
    else:
        # Level 1 takes a fifth of the default's 106 ms for 512 x 512.
        Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


class EncoderPool:
    """Threads that encode while the engine paints on.

    What waits for them is bounded by the pictures that may be under way.

    Resources:
        A context manager; leaving it lets what has begun end in the background.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encode")

    def __enter__(self) -> EncoderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def encode(self, pixels: Pixels, format: Format, quality: int) -> bytes:
        """Encode a picture away from the event loop; see `encode`.

        Cancellation:
            Gives the result up; the thread ends its work.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, encode, pixels, format, quality)
