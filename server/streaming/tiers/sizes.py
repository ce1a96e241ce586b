"""How large a frame becomes in a tier, and how long that takes: learned from those that were encoded.

Until one was, a model: bytes and time go with the pixels. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.streaming.frame import EncodedImage
from server.streaming.tiers.tier import ORIGINAL, Tier


# How much the newest measurement counts: scenes change within seconds, single pictures differ by some
# percent only.
NEWEST_SHARE = 0.3

# Bytes per pixel of a photograph-like picture with some grain, and seconds per megapixel; measured with
# 512, 1080p and 4K pictures (Pillow 13, libjpeg-turbo, one core of two that others use as well).
_JPEG_BYTES_PER_PX = {30: 0.05, 50: 0.085, 60: 0.11, 75: 0.18, 85: 0.3, 90: 0.34, 95: 0.5, 100: 1.1}
# Of a JPEG of the same quality: WebP spends it on finer detail, and looks better at the same weight.
_WEBP_SHARE = 0.85
_ENCODE_S_PER_MPX = {"jpeg": 0.003, "webp": 0.02}
_DECODE_S_PER_MPX = {"jpeg": 0.006, "webp": 0.012, "png": 0.02}
# Of the decoding time of JPEG, where it shrinks while decoding: reading the coefficients remains.
_DRAFT_SHARE = 0.6
# A picture of few pixels has a header and a palette of its own.
_LEAST_BYTES = 700


@dataclass(slots=True)
class _Learned:
    bytes_per_px: float
    encode_s_per_px: float  # of the source's pixels: decoding is part of it
    of_source: float  # bytes per byte of the source


class TierSizes:
    """What was learned of one canvas's tiers."""

    def __init__(self) -> None:
        self._learned: dict[Tier, _Learned] = {}
        # Of one picture: every screen asks for the newest one, several times in a second.
        self._source: EncodedImage | None = None
        self._estimates: dict[Tier, tuple[int, float]] = {}

    def learn(self, source: EncodedImage, tier: Tier, size_bytes: int, encode_s: float) -> None:
        """Take in what encoding a frame has given.

        Args:
            source: The frame's own image.
            tier: What it was encoded as.
            size_bytes: How large it became.
            encode_s: How long that took in the thread, seconds, decoding included.
        """
        self._source = None
        width, height = tier.size_of(source.width, source.height)
        newest = _Learned(
            size_bytes / (width * height),
            encode_s / (source.width * source.height),
            size_bytes / max(1, len(source.data)),
        )
        known = self._learned.get(tier)
        if known is None:
            self._learned[tier] = newest
            return
        known.bytes_per_px += NEWEST_SHARE * (newest.bytes_per_px - known.bytes_per_px)
        known.encode_s_per_px += NEWEST_SHARE * (newest.encode_s_per_px - known.encode_s_per_px)
        known.of_source += NEWEST_SHARE * (newest.of_source - known.of_source)

    def estimate(self, source: EncodedImage, tier: Tier) -> tuple[int, float]:
        """Return about how many bytes a frame has in a tier, and how many seconds encoding it takes."""
        if tier is ORIGINAL:
            return len(source.data), 0.0
        if source is not self._source:
            self._source = source
            self._estimates.clear()
        estimate = self._estimates.get(tier)
        if estimate is None:
            estimate = self._estimates[tier] = self._estimate(source, tier)
        return estimate

    def _estimate(self, source: EncodedImage, tier: Tier) -> tuple[int, float]:
        width, height = tier.size_of(source.width, source.height)
        known = self._learned.get(tier)
        if known is None:
            return self._guess(source, tier, width * height)
        # By the source's bytes as well: a picture that is busier than the last ones is in every tier.
        by_pixels, by_source = known.bytes_per_px * width * height, known.of_source * len(source.data)
        size_bytes = (by_pixels * by_source) ** 0.5
        return max(_LEAST_BYTES, round(size_bytes)), known.encode_s_per_px * source.width * source.height

    def _guess(self, source: EncodedImage, tier: Tier, pixels: int) -> tuple[int, float]:
        size_bytes = pixels * modelled_bytes_per_px(tier)
        source_pixels = source.width * source.height
        if source.format == "jpeg" and tier.format == "jpeg" and tier.scale >= 1.0:
            # Not larger than what it is made of, at qualities that anybody uses.
            size_bytes = min(size_bytes, float(len(source.data)))
        decode_s = _DECODE_S_PER_MPX[source.format] * source_pixels / 1e6
        if source.format == "jpeg" and tier.scale <= 0.5:
            decode_s *= _DRAFT_SHARE
        encode_s = decode_s + _ENCODE_S_PER_MPX[tier.format] * pixels / 1e6
        return max(_LEAST_BYTES, round(size_bytes)), encode_s


def modelled_bytes_per_px(tier: Tier) -> float:
    """Return about how many bytes a pixel of a tier takes, of a photograph-like picture."""
    known = sorted(_JPEG_BYTES_PER_PX.items())
    at = min(max(tier.quality, known[0][0]), known[-1][0])
    below = max((item for item in known if item[0] <= at), key=lambda item: item[0])
    above = min((item for item in known if item[0] >= at), key=lambda item: item[0])
    share = (at - below[0]) / (above[0] - below[0]) if above[0] > below[0] else 0.0
    per_px = below[1] + share * (above[1] - below[1])
    return per_px * (_WEBP_SHARE if tier.format == "webp" else 1.0)
