"""How large a frame becomes in a tier, and how long that takes: learned from those that were encoded.

Until one was, a model: bytes and time go with the pixels. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.streaming.frame import EncodedImage
from server.streaming.processing import Treatment
from server.streaming.tiers.tier import ORIGINAL, Tier


# How much the newest measurement counts: scenes change within seconds, single pictures differ by some
# percent only.
NEWEST_SHARE = 0.3

# Bytes per pixel of a photograph-like picture with some grain, and seconds per megapixel; measured with
# 512, 1080p and 4K pictures (Pillow 13, libjpeg-turbo, one core of two that others use as well).
_JPEG_BYTES_PER_PX = {30: 0.05, 50: 0.085, 60: 0.11, 75: 0.18, 85: 0.3, 90: 0.34, 95: 0.5, 100: 1.1}
# Of a JPEG of the same quality: WebP spends it on finer detail, and looks better at the same weight.
_WEBP_SHARE = 0.85
_PNG_BYTES_PER_PX = 1.9
_ENCODE_S_PER_MPX = {"jpeg": 0.003, "webp": 0.02, "png": 0.04}
_DECODE_S_PER_MPX = {"jpeg": 0.006, "webp": 0.012, "png": 0.02}
# Colours alone; a blur takes up to ten times that, as is learned soon.
_PROCESS_S_PER_MPX = 0.004
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
    """What was learned of one canvas's tiers.

    Pictures that are processed are learned of apart: a blurred one weighs a tenth of what it came as.
    """

    def __init__(self) -> None:
        self._learned: dict[Tier, _Learned] = {}
        # Of those that are processed, as they were last; nothing is known of other treatments.
        self._treated: dict[Tier, _Learned] = {}
        self._kind: Treatment | None = None
        # Of one picture: every screen asks for the newest one, several times in a second.
        self._source: EncodedImage | None = None
        self._treatment: Treatment | None = None
        self._estimates: dict[Tier, tuple[int, float]] = {}

    def learn(
        self,
        source: EncodedImage,
        tier: Tier,
        size_bytes: int,
        encode_s: float,
        treatment: Treatment | None = None,
    ) -> None:
        """Take in what encoding a frame has given.

        Args:
            source: The frame's own image.
            tier: What it was encoded as.
            size_bytes: How large it became.
            encode_s: How long that took in the thread, seconds, decoding and processing included.
            treatment: What was done to it.
        """
        self._source = None
        width, height = tier.size_of(*_shown_size(source, treatment))
        newest = _Learned(
            size_bytes / (width * height),
            encode_s / (source.width * source.height),
            size_bytes / max(1, len(source.data)),
        )
        learned = self._learned_of(treatment)
        known = learned.get(tier)
        if known is None:
            learned[tier] = newest
            return
        known.bytes_per_px += NEWEST_SHARE * (newest.bytes_per_px - known.bytes_per_px)
        known.encode_s_per_px += NEWEST_SHARE * (newest.encode_s_per_px - known.encode_s_per_px)
        known.of_source += NEWEST_SHARE * (newest.of_source - known.of_source)

    def estimate(
        self, source: EncodedImage, tier: Tier, treatment: Treatment | None = None
    ) -> tuple[int, float]:
        """Return about how many bytes a frame has in a tier, and how many seconds encoding it takes."""
        if tier is ORIGINAL and treatment is None:
            return len(source.data), 0.0
        if source is not self._source or treatment != self._treatment:
            self._source, self._treatment = source, treatment
            self._estimates.clear()
        estimate = self._estimates.get(tier)
        if estimate is None:
            estimate = self._estimates[tier] = self._estimate(source, tier, treatment)
        return estimate

    def _learned_of(self, treatment: Treatment | None) -> dict[Tier, _Learned]:
        if treatment is None:
            return self._learned
        if (kind := treatment.kind) != self._kind:
            self._kind = kind
            self._treated.clear()
        return self._treated

    def _estimate(self, source: EncodedImage, tier: Tier, treatment: Treatment | None) -> tuple[int, float]:
        width, height = tier.size_of(*_shown_size(source, treatment))
        known = self._learned_of(treatment).get(tier)
        if known is None:
            return self._guess(source, tier, width * height, treatment)
        # By the source's bytes as well: a picture that is busier than the last ones is in every tier.
        by_pixels, by_source = known.bytes_per_px * width * height, known.of_source * len(source.data)
        size_bytes = (by_pixels * by_source) ** 0.5
        return max(_LEAST_BYTES, round(size_bytes)), known.encode_s_per_px * source.width * source.height

    def _guess(
        self, source: EncodedImage, tier: Tier, pixels: int, treatment: Treatment | None
    ) -> tuple[int, float]:
        if tier is ORIGINAL and treatment is not None:
            tier = Tier(1.0, treatment.format, treatment.quality)
        size_bytes = pixels * modelled_bytes_per_px(tier)
        source_pixels = source.width * source.height
        if treatment is None and source.format == "jpeg" and tier.format == "jpeg" and tier.scale >= 1.0:
            # Not larger than what it is made of, at qualities that anybody uses.
            size_bytes = min(size_bytes, float(len(source.data)))
        decode_s = _DECODE_S_PER_MPX[source.format] * source_pixels / 1e6
        if source.format == "jpeg" and tier.scale <= 0.5:
            decode_s *= _DRAFT_SHARE
        encode_s = decode_s + _ENCODE_S_PER_MPX[tier.format] * pixels / 1e6
        if treatment is not None:
            encode_s += _PROCESS_S_PER_MPX * pixels / 1e6
        return max(_LEAST_BYTES, round(size_bytes)), encode_s


def _shown_size(source: EncodedImage, treatment: Treatment | None) -> tuple[int, int]:
    """Return the size in pixels of a picture as it is shown in full."""
    if treatment is None:
        return source.width, source.height
    return treatment.processing.size_of(source.width, source.height)


def modelled_bytes_per_px(tier: Tier) -> float:
    """Return about how many bytes a pixel of a tier takes, of a photograph-like picture."""
    if tier.format == "png":
        return _PNG_BYTES_PER_PX
    known = sorted(_JPEG_BYTES_PER_PX.items())
    at = min(max(tier.quality, known[0][0]), known[-1][0])
    below = max((item for item in known if item[0] <= at), key=lambda item: item[0])
    above = min((item for item in known if item[0] >= at), key=lambda item: item[0])
    share = (at - below[0]) / (above[0] - below[0]) if above[0] > below[0] else 0.0
    per_px = below[1] + share * (above[1] - below[1])
    return per_px * (_WEBP_SHARE if tier.format == "webp" else 1.0)
