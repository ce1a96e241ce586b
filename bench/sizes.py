"""The picture sizes that benches speak of."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """A picture's size, under the name that people use for it."""

    name: str
    width: int  # pixels
    height: int  # pixels


NAMED = {
    size.name: size
    for size in (
        Size("512", 512, 512),
        Size("800", 800, 800),
        Size("1080p", 1920, 1080),
        Size("4k", 3840, 2160),
    )
}


def read_sizes(text: str) -> tuple[Size, ...]:
    """Read sizes with commas, for argparse.

    Raises:
        argparse.ArgumentTypeError: If one is unknown, or cannot be painted.
    """
    return tuple(_read(word.strip().lower()) for word in text.split(","))


def _read(word: str) -> Size:
    if word in NAMED:
        return NAMED[word]
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", word)
    if found:
        width, height = int(found[1]), int(found[2])
        # What the painter takes; the server's own limit on what is pushed is the same.
        if all(64 <= side <= 4096 and side % 8 == 0 for side in (width, height)):
            return Size(word, width, height)
    raise argparse.ArgumentTypeError(
        f"{word!r} is no size; accepted are {', '.join(NAMED)} and WIDTHxHEIGHT, "
        "each a multiple of 8 from 64 to 4096 pixels"
    )
