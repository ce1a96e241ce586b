"""Which tier a subscriber gets: by its own viewport, formats and goodput, and nobody else's.

Pure: no event loop and no clock of its own. Down at once, since every frame that does not fit makes
the next ones old; up slowly, since a link that has just got faster may not stay so. The rule that must
not be broken: a link whose measured goodput only wavers keeps its tier, whatever pictures it carries.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from server.streaming.frame import Shape
from server.streaming.tiers.sizes import modelled_bytes_per_px
from server.streaming.tiers.tier import ORIGINAL, Tier
from server.streaming.tiers.trusted_rate import (
    FAILED_WITHIN_S,
    FALL_LOOKS,
    FALL_NOW,
    FORGIVEN_AFTER_S,
    MAX_RISE_AFTER_S,
    RISE_AFTER_S,
    TrustedRate,
)


# What the browser may enlarge: hardly seen, and a screen a little larger than a step does not pay for
# the next one.
MAX_ENLARGEMENT = 1.25
# Of the source's interval that a frame's transmission may take; the rest is for larger frames.
FALL_SHARE = 0.85
# The same, of a tier that is risen to: a fifth below, so that noise of a fifth does not bring it down.
RISE_SHARE = 0.7
# Screens look alive at ten frames per second: a faster source is conflated rather than coarsened.
LEAST_INTERVAL_S = 0.1
# What the picture of a canvas that rests may take, seconds.
REST_S = 2.0
# Of the source's interval that encoding WebP may take, four times as dear as JPEG; or PNG, where pictures
# are processed and encoded as that.
WEBP_SHARE = 0.5
# Pillow copies a picture pixel by pixel with the interpreter's lock held before it encodes WebP:
# some milliseconds for 1080p, which the event loop would feel beyond that.
WEBP_MAX_PX = 1920 * 1200
# A tier that saves less than this of the original is not worth encoding.
WORTHWHILE_SHARE = 0.9
# Kinds of pictures whose last tier is known, so that changes which the link is the reason of are told
# from those that the pictures are.
KNOWN_PICTURES = 8
# For a subscriber that takes neither the frame's format nor any tier that is configured.
FALLBACK = Tier(1.0, "jpeg", 85)


@dataclass(frozen=True, slots=True)
class _Look:
    """What one decision is made of."""

    image: Shape
    rate_bytes_s: float | None
    interval_s: float
    encode_s: Callable[[Tier], float | None]
    bytes_of: Callable[[Tier], int]

    def load(self, tier: Tier) -> float:
        """Return how many seconds a frame in a tier occupies the link."""
        if self.rate_bytes_s is None:
            return 0.0
        return self.bytes_of(tier) / self.rate_bytes_s if self.rate_bytes_s > 0.0 else math.inf

    def fits(self, tier: Tier, share: float) -> bool:
        """Tell whether a frame in a tier is through before the next one comes."""
        return self.load(tier) <= share * max(self.interval_s, LEAST_INTERVAL_S)


class TierChooser:
    """Chooses the tier of one subscriber's frames."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self.tiers = tuple(sorted(set(tiers), key=_worth, reverse=True))
        self._scales = sorted({tier.scale for tier in self.tiers})
        self.switches = 0  # changes of tier that the link was the reason of
        self._tier: Tier | None = None
        self._picture: tuple[str, int, int] | None = None
        self._screen: tuple[object, ...] = ()
        self._trusted = TrustedRate()
        self._tiers_of: dict[tuple[str, int, int], Tier] = {}  # the last one, by picture
        self._best: Tier | None = None  # the best that this screen could get of such a picture
        self._misfits = 0  # looks in a row
        self._rise_to: Tier | None = None  # the best that has fit at every look since
        self._rises_at = math.inf
        self._rise_after_s = RISE_AFTER_S
        self._risen_at = -math.inf
        self._changed_at = -math.inf

    def choose(
        self,
        image: Shape,
        *,
        now_s: float,
        viewport: tuple[int, int] | None,
        formats: frozenset[str],
        rate_bytes_s: float | None,
        interval_s: float,
        encode_s: Callable[[Tier], float | None],
        bytes_of: Callable[[Tier], int],
    ) -> Tier:
        """Choose the tier of the next frame.

        Args:
            image: What the frame is in full.
            now_s: Monotonic seconds.
            viewport: The screen's size in device pixels, or None where it is not known.
            formats: The formats that the screen takes; JPEG is taken to be one of them.
            rate_bytes_s: The goodput of its link, or None where it is not known.
            interval_s: The usual time between two frames, seconds.
            encode_s: Returns how long encoding a tier takes, seconds, or None where that is not known.
            bytes_of: Returns about how large the frame is in a tier.
        """
        look = _Look(image, rate_bytes_s, interval_s, encode_s, bytes_of)
        picture, screen = (image.format, image.width, image.height), (viewport, formats)
        self._trusted.look(rate_bytes_s, now_s)
        is_known = picture == self._picture and screen == self._screen
        is_best = is_known and self._tier is self._best is ORIGINAL
        if is_best and look.fits(ORIGINAL, FALL_SHARE) and _may_be_original(look, may_be_late=False):
            # By far the most frequent case, and there is nothing better.
            self._misfits = 0
            return ORIGINAL
        tiers = self._candidates(look, viewport, formats, may_be_late=False)
        self._best = tiers[0] if self._useful_scale(image, viewport) >= 1.0 else None
        if self._tier is None or screen != self._screen:
            # Another screen: nothing is known of what fits but the rate.
            self._screen = screen
            self._trusted = TrustedRate()
            self._trusted.look(rate_bytes_s, now_s)
            self._tiers_of.clear()
            self._picture = None
        if self._tier is None or not is_known:
            return self._begin(picture, tiers, replace(look, rate_bytes_s=self._trusted.bytes_s))
        if self._tier not in tiers:
            # Dear to encode all of a sudden, or no longer smaller than the original: the next that is.
            worth = _worth(self._tier)
            self._fall(next((tier for tier in tiers if _worth(tier) <= worth), tiers[-1]), now_s)
        self._look(look, tiers, now_s)
        return self._tier

    def best_tier(
        self,
        image: Shape,
        *,
        now_s: float,  # the same arguments as `choose`
        viewport: tuple[int, int] | None,
        formats: frozenset[str],
        rate_bytes_s: float | None,
        interval_s: float,
        encode_s: Callable[[Tier], float | None],
        bytes_of: Callable[[Tier], int],
    ) -> Tier:
        """Choose the tier of a picture that will stand: the best that the link carries in `REST_S`.

        Takes what `choose` does, and changes nothing.
        """
        look = _Look(image, rate_bytes_s, interval_s, encode_s, bytes_of)
        tiers = self._candidates(look, viewport, formats, may_be_late=True)
        return next((tier for tier in tiers if look.load(tier) <= REST_S), min(tiers, key=bytes_of))

    def _begin(self, picture: tuple[str, int, int], tiers: Sequence[Tier], look: _Look) -> Tier:
        """Begin with another kind of picture, by what the link may be trusted to carry."""
        if self._picture is not None and self._tier is not None:
            self._tiers_of[self._picture] = self._tier
        self._picture = picture
        self._tier = _first_fitting(tiers, look, FALL_SHARE)
        self._misfits = 0
        self._forget_rise()
        if self._tiers_of.pop(picture, self._tier) != self._tier:
            self._count_switch()
        self._tiers_of[picture] = self._tier
        while len(self._tiers_of) > KNOWN_PICTURES:
            del self._tiers_of[next(iter(self._tiers_of))]
        return self._tier

    def _look(self, look: _Look, tiers: Sequence[Tier], now_s: float) -> None:
        """Fall, rise or stay."""
        assert self._tier is not None
        if not look.fits(self._tier, FALL_SHARE):
            self._forget_rise()
            self._misfits += 1
            if self._misfits >= FALL_LOOKS or not look.fits(self._tier, FALL_NOW * FALL_SHARE):
                self._fall(_first_fitting(tiers, look, FALL_SHARE), now_s)
            return
        self._misfits = 0
        if self._risen_at == self._changed_at and now_s - self._risen_at >= FORGIVEN_AFTER_S:
            self._rise_after_s = RISE_AFTER_S
        best = _first_fitting(tiers, look, RISE_SHARE)
        if _worth(best) <= _worth(self._tier):
            self._forget_rise()
            return
        if self._rise_to is None:
            self._rises_at = now_s + self._rise_after_s
        if self._rise_to is None or _worth(best) < _worth(self._rise_to):
            self._rise_to = best
        if now_s >= self._rises_at:
            self._tier = self._rise_to
            self._risen_at = self._changed_at = now_s
            self._count_switch()
            self._forget_rise()

    def _fall(self, tier: Tier, now_s: float) -> None:
        self._misfits = 0
        if tier == self._tier:
            return
        if now_s - self._risen_at <= FAILED_WITHIN_S:
            self._rise_after_s = min(2.0 * self._rise_after_s, MAX_RISE_AFTER_S)
        self._tier = tier
        self._changed_at = now_s
        self._count_switch()

    def _count_switch(self) -> None:
        self.switches += 1
        # Those of other pictures are going to change as well, for the same reason.
        self._tiers_of.clear()

    def _forget_rise(self) -> None:
        self._rise_to = None
        self._rises_at = math.inf

    def _candidates(
        self, look: _Look, viewport: tuple[int, int] | None, formats: frozenset[str], *, may_be_late: bool
    ) -> list[Tier]:
        """Return the tiers that a screen may get, best first; never none."""
        image = look.image
        scale = self._useful_scale(image, viewport)
        is_taken = image.format in formats and _may_be_original(look, may_be_late=may_be_late)
        tiers = [
            tier
            for tier in self.tiers
            if tier is not ORIGINAL
            and tier.scale <= scale
            and (tier.format == "jpeg" or tier.format in formats)
            and (tier.format != "webp" or _may_be_encoded(look, tier, "webp", may_be_late=may_be_late))
        ]
        if not is_taken or ORIGINAL not in self.tiers:
            return tiers or [ORIGINAL if is_taken else FALLBACK]
        own_bytes = look.bytes_of(ORIGINAL)
        smaller = [tier for tier in tiers if look.bytes_of(tier) < WORTHWHILE_SHARE * own_bytes]
        # Where pixels are to be saved, the original is still the best of what weighs no more.
        needs_scaling = scale < 1.0 and tiers[:1] == smaller[:1]
        return smaller if needs_scaling and smaller else [ORIGINAL, *smaller]

    def _useful_scale(self, image: Shape, viewport: tuple[int, int] | None) -> float:
        """Return the smallest scale there is that a screen need not enlarge by more than it may."""
        if viewport is None or min(viewport) <= 0:
            return 1.0
        shown = min(viewport[0] / image.width, viewport[1] / image.height)
        # Rounding up the sides of a tier must not make the next one of it.
        return next((scale for scale in self._scales if scale * MAX_ENLARGEMENT + 1e-9 >= shown), 1.0)


@functools.cache
def _worth(tier: Tier) -> float:
    """Return a number that orders tiers: what they weigh, of one and the same picture."""
    return math.inf if tier is ORIGINAL else modelled_bytes_per_px(tier) * tier.scale**2


def _first_fitting(tiers: Sequence[Tier], look: _Look, share: float) -> Tier:
    """Return the best tier that fits, or the smallest one."""
    return next((tier for tier in tiers if look.fits(tier, share)), min(tiers, key=look.bytes_of))


def _may_be_original(look: _Look, *, may_be_late: bool) -> bool:
    """Tell whether the original is to be had: it may have to be encoded, as something dear."""
    if look.image.format == "jpeg" or look.encode_s(ORIGINAL) == 0.0:
        return True
    return _may_be_encoded(look, ORIGINAL, look.image.format, may_be_late=may_be_late)


def _may_be_encoded(look: _Look, tier: Tier, format_: str, *, may_be_late: bool) -> bool:
    """Tell whether there is time to encode something as WebP or PNG."""
    width, height = tier.size_of(look.image.width, look.image.height)
    if format_ == "webp" and width * height > WEBP_MAX_PX:
        return False
    encode_s = look.encode_s(tier)
    return may_be_late or (encode_s is not None and encode_s <= WEBP_SHARE * look.interval_s)
