"""Which tier a screen gets of pictures of many sizes, and what a link is trusted to carry."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from server.streaming.frame import EncodedImage
from server.streaming.tiers.choosing import KNOWN_PICTURES, TierChooser
from server.streaming.tiers.sizes import TierSizes
from server.streaming.tiers.tier import DEFAULT_TIERS, Tier, parse_tiers
from server.streaming.tiers.trusted_rate import RISE_AFTER_S, TrustedRate


LADDER = parse_tiers(DEFAULT_TIERS)
LYING, STANDING = (1920, 1080), (1080, 1920)
LOOK_S = 0.25
MANY = (LYING, STANDING, (1600, 1200), (1200, 1600))


class Slides:
    """A screen that is shown pictures of some sizes in turn, four in a second."""

    def __init__(self, *sizes: tuple[int, int]) -> None:
        self.chooser = TierChooser(LADDER)
        self.now_s = 1000.0
        self.viewport = (1920, 1920)
        self._learned = TierSizes()
        self._sizes = itertools.cycle(sizes)

    def look(self, rate_bytes_s: float) -> Tier:
        size = next(self._sizes)
        image = EncodedImage(bytes(300_000), "jpeg", *size)
        self.now_s += LOOK_S
        return self.chooser.choose(
            image,
            now_s=self.now_s,
            viewport=self.viewport,
            formats=frozenset({"jpeg"}),
            rate_bytes_s=rate_bytes_s,
            interval_s=LOOK_S,
            encode_s=lambda tier: self._learned.estimate(image, tier)[1],
            bytes_of=lambda tier: self._learned.estimate(image, tier)[0],
        )

    def watch(self, seconds: float, rate: Callable[[float], float]) -> list[Tier]:
        return [self.look(rate(index * LOOK_S)) for index in range(round(seconds / LOOK_S))]


def changes(tiers: list[Tier]) -> int:
    return sum(before != after for before, after in itertools.pairwise(tiers))


@pytest.mark.parametrize("rate_bytes_s", [0.4e6, 0.7e6, 1.35e6, 1.41e6, 1.47e6])
@pytest.mark.parametrize(
    "sizes", [(LYING,), (LYING, STANDING), (LYING, STANDING, (1600, 1200), (1200, 1600))]
)
def test_pictures_of_many_sizes_do_not_make_a_tier_waver(
    sizes: tuple[tuple[int, int], ...], rate_bytes_s: float
) -> None:
    wavering = random.Random(1)
    slides = Slides(*sizes)

    tiers = slides.watch(300.0, lambda at: rate_bytes_s * wavering.uniform(0.9, 1.1))

    per_size = [tiers[index :: len(sizes)] for index in range(len(sizes))]
    assert max(map(changes, per_size)) <= 3
    assert slides.chooser.switches <= 3 * len(sizes)


def test_a_link_that_is_fast_for_seconds_only_is_not_risen_to() -> None:
    slides = Slides(LYING, STANDING)

    tiers = slides.watch(300.0, lambda at: 1e9 if at % 2.0 < 1.0 else 2e5)

    assert changes(tiers) <= 1
    assert slides.chooser.switches <= 1


def test_a_link_is_followed_down_at_once_and_up_after_a_while_whatever_the_pictures() -> None:
    slides = Slides(LYING, STANDING)
    assert slides.look(1e9).name == "original"

    down = slides.watch(2.0, lambda at: 3e5)
    assert down[0].name != "original"
    assert changes(down) <= 1
    waiting = slides.watch(RISE_AFTER_S - LOOK_S, lambda at: 1e9)
    assert set(waiting) == {down[-1]}
    assert slides.watch(1.0, lambda at: 1e9)[-1].name == "original"
    # Each change is one, however many sizes it is seen with.
    assert slides.chooser.switches == 2


def test_another_screen_is_chosen_for_at_once() -> None:
    slides = Slides(LYING, STANDING)
    slides.watch(2.0, lambda at: 2e5)

    slides.viewport = (1900, 1900)
    assert slides.look(1e9).name == "original"


def test_what_is_known_of_pictures_is_bounded() -> None:
    slides = Slides(*((400 + side, 300) for side in range(50)))

    slides.watch(50.0, lambda at: 1e6)

    assert len(slides.chooser._tiers_of) <= KNOWN_PICTURES


def trusted(*rates: float, step_s: float = 1.0) -> float | None:
    rate = TrustedRate()
    for index, measured in enumerate(rates):
        rate.look(measured, index * step_s)
    return rate.bytes_s


def test_nothing_is_trusted_before_anything_is_measured() -> None:
    assert trusted() is None
    assert trusted(100.0) == 100.0


def test_trust_falls_after_two_looks_or_at_once_by_half() -> None:
    assert trusted(100.0, 80.0) == 100.0
    assert trusted(100.0, 80.0, 100.0, 80.0) == 100.0
    assert trusted(100.0, 70.0, 80.0) == 80.0
    assert trusted(100.0, 40.0) == 40.0


def test_trust_rises_to_the_least_of_five_seconds() -> None:
    assert trusted(100.0, *[200.0] * 5) == 100.0
    assert trusted(100.0, 200.0, 150.0, *[200.0] * 4) == 150.0
    assert trusted(100.0, 200.0, 200.0, 105.0, *[200.0] * 5) == 100.0


def test_trust_that_was_a_mistake_rises_later_and_later_until_it_is_forgiven() -> None:
    rate, now_s, rises = TrustedRate(), 0.0, []
    rate.look(100.0, now_s)
    for _ in range(5):
        began_s = now_s
        while rate.bytes_s == 100.0:
            now_s += 1.0
            rate.look(1000.0, now_s)
        rises.append(now_s - began_s)
        now_s += 1.0
        rate.look(100.0, now_s)

    assert rises == [6.0, 11.0, 21.0, 41.0, 61.0]
    now_s += 200.0
    for _ in range(7):
        now_s += 1.0
        rate.look(1000.0, now_s)
    assert rate.bytes_s == 1000.0
