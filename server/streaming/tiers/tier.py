"""Scale, format and quality: the few things that a frame is encoded as, whoever looks at it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass


# Beyond this many, screens of one canvas seldom agree on one, and each costs its own encoding.
MAX_TIERS = 24
# Below an eighth nothing can be recognised; libjpeg shrinks to an eighth while it decodes.
MIN_SCALE_PERCENT = 12.5
_NAME = re.compile(r"(jpeg|webp)-([0-9]{1,3}(?:\.[0-9]{1,2})?)-([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Tier:
    """One of the few things that a frame is encoded as."""

    scale: float  # of each side, 0.125 to 1
    format: str  # `jpeg` or `webp`; empty for the original
    quality: int  # 1 to 100; 0 for the original

    @property
    def name(self) -> str:
        """Its name on the wire: format, percent of each side, quality."""
        return "original" if self is ORIGINAL else f"{self.format}-{self.scale * 100:g}-{self.quality}"

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Return the size in pixels of a picture of this size in the tier.

        Rounded up, as libjpeg does where it shrinks while decoding.
        """
        if self.scale >= 1.0:
            return width, height
        return max(1, math.ceil(width * self.scale)), max(1, math.ceil(height * self.scale))


ORIGINAL = Tier(1.0, "", 0)
"""The file as it came from its source, passed through untouched; where a canvas processes its pictures, the
processed one in full, as the canvas has it encoded. Compared by identity."""

# Half of 4K is what a 1080p screen shows pixel by pixel, and a quarter is what a phone does; both are
# sizes that libjpeg decodes to directly. Each step saves a quarter to a half of the bytes.
DEFAULT_TIERS = (
    "original,jpeg-100-85,webp-100-75,jpeg-100-60,"
    "jpeg-50-85,webp-50-75,jpeg-50-60,jpeg-25-85,webp-25-75,jpeg-25-50"
)


def parse_tiers(text: str) -> tuple[Tier, ...]:
    """Read tiers as they are configured, such as `original,jpeg-100-85,webp-50-75`.

    Returns:
        Each once, in the order given; the order means nothing.

    Raises:
        ValueError: If one is no tier; says which, and what one is.
    """
    tiers: dict[Tier, None] = {}
    for word in filter(None, (word.strip().lower() for word in text.split(","))):
        tiers[_parse(word)] = None
    if not tiers:
        raise ValueError("names no tier: at least one of 'original' and FORMAT-PERCENT-QUALITY is needed")
    if len(tiers) > MAX_TIERS:
        raise ValueError(f"names {len(tiers)} tiers, at most {MAX_TIERS} are taken")
    return tuple(tiers)


def _parse(word: str) -> Tier:
    if word == "original":
        return ORIGINAL
    found = _NAME.fullmatch(word)
    if found:
        percent, quality = float(found[2]), int(found[3])
        if MIN_SCALE_PERCENT <= percent <= 100.0 and 1 <= quality <= 100:
            return Tier(percent / 100.0, found[1], quality)
    raise ValueError(
        f"{word!r:.60} is no tier: 'original', or jpeg or webp, percent of each side "
        f"({MIN_SCALE_PERCENT:g} to 100) and quality (1 to 100), such as jpeg-50-85"
    )
