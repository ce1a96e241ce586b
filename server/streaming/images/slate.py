"""The slate: what a stream shows of a canvas that has shown nothing yet.

Whoever plays a stream of pictures takes silence for a fault, and says nothing of which.
"""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from server.streaming.frame import EncodedImage
from server.streaming.images import encoders


_BACKGROUND = (14, 15, 18)
_TITLE = (200, 203, 210)
_LINE = (120, 124, 133)
# Letters beyond this are not drawn: no slug has more.
_MAX_CHARS = 64
# Nothing is legible below; a canvas this small shows what fits.
_MIN_FONT_PX = 8
_QUALITY = 70
# Slates differ by canvas and by what is wrong; each is drawn in milliseconds, and looked at for long.
_KEPT = 16


@functools.lru_cache(maxsize=_KEPT)
def slate(width: int, height: int, title: str, line: str) -> EncodedImage:
    """Draw two lines of text in the middle of a dark JPEG; blocking.

    Args:
        width: Pixels.
        height: Pixels.
        title: What is spoken of, such as a slug. What is no printable ASCII is drawn as `?`.
        line: What there is to say of it.
    """
    picture = Image.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    for text, colour, above, share in ((title, _TITLE, -0.6, 0.09), (line, _LINE, 0.9, 0.055)):
        shown = _printable(text)
        font = _font(shown, width, height * share)
        draw.text((width / 2, height / 2 + above * height * 0.09), shown, fill=colour, font=font, anchor="mm")
    return encoders.encode(np.asarray(picture), "jpeg", _QUALITY)


def _printable(text: str) -> str:
    """Return text that draws as one line with the built-in font, whatever it was."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text[:_MAX_CHARS])


def _font(text: str, width: int, size_px: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the built-in font so large that a text fills nine tenths of the width at most."""
    # Its letters are a little over half as wide as they are high, on average.
    widest_px = 0.9 * width / (0.56 * max(1, len(text)))
    return ImageFont.load_default(size=max(_MIN_FONT_PX, min(size_px, widest_px)))
