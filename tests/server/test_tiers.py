"""Tiers by their names, how large they become, and which of them a screen gets."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.streaming.frame import EncodedImage
from server.streaming.tiers.choosing import FALLBACK, TierChooser
from server.streaming.tiers.sizes import TierSizes
from server.streaming.tiers.tier import DEFAULT_TIERS, MAX_TIERS, ORIGINAL, Tier, parse_tiers


LADDER = parse_tiers(DEFAULT_TIERS)
ALL = frozenset({"jpeg", "webp", "png"})
JPEG = frozenset({"jpeg"})
LOOK_S = 0.2
FOUR_K = (3840, 2160)
FULL_HD = (1920, 1080)


def image_of(
    size: tuple[int, int] = FOUR_K, format_: str = "jpeg", bytes_per_px: float = 0.33
) -> EncodedImage:
    return EncodedImage(bytes(round(size[0] * size[1] * bytes_per_px)), format_, *size)


class Screen:
    """One who looks, five times in a second, at frames of a source."""

    def __init__(self, tiers: tuple[Tier, ...] = LADDER, **given: Any) -> None:
        self.chooser = TierChooser(tiers)
        self.sizes = TierSizes()
        self.now_s = 1000.0
        self.image = image_of()
        self.given: dict[str, Any] = {
            "viewport": None,
            "formats": ALL,
            "rate_bytes_s": None,
            "interval_s": 0.125,
            **given,
        }

    def look(self, *, best: bool = False, **changes: Any) -> str:
        self.given |= changes
        self.now_s += LOOK_S
        choose = self.chooser.best_tier if best else self.chooser.choose
        return choose(
            self.image,
            now_s=self.now_s,
            encode_s=lambda tier: self.sizes.estimate(self.image, tier)[1],
            bytes_of=lambda tier: self.sizes.estimate(self.image, tier)[0],
            **self.given,
        ).name

    def watch(self, seconds: float, rate: Callable[[float], float]) -> list[str]:
        """Look for some time at a link whose goodput is a function of the seconds since."""
        began_s = self.now_s
        names = []
        while self.now_s - began_s < seconds:
            names.append(self.look(rate_bytes_s=rate(self.now_s - began_s)))
        return names


def switches(names: list[str]) -> int:
    return sum(before != after for before, after in itertools.pairwise(names))


@pytest.mark.parametrize("tier", LADDER, ids=lambda tier: tier.name)
def test_a_tier_is_read_from_its_name(tier: Tier) -> None:
    assert parse_tiers(tier.name) == (tier,)
    assert (parse_tiers(tier.name)[0] is ORIGINAL) == (tier.name == "original")


def test_tiers_are_read_once_each_however_they_are_written() -> None:
    assert parse_tiers(" JPEG-50-85 ,original,jpeg-50-85,, jpeg-12.5-40") == (
        Tier(0.5, "jpeg", 85),
        ORIGINAL,
        Tier(0.125, "jpeg", 40),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no tier"),
        ("png-100-5", "'png-100-5' is no tier.*jpeg or webp"),
        ("jpeg-200-85", "percent of each side"),
        ("jpeg-10-85", "12.5 to 100"),
        ("jpeg-50-0", "1 to 100"),
        ("jpeg-50-101", "1 to 100"),
        ("jpeg-50", "such as jpeg-50-85"),
        (",".join(f"jpeg-50-{quality}" for quality in range(1, MAX_TIERS + 2)), "at most 24"),
    ],
)
def test_what_is_no_tier_is_told_with_what_one_is(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_tiers(text)


def test_4k_is_halved_for_a_screen_of_1080p_and_quartered_for_a_telephone() -> None:
    assert Tier(0.5, "jpeg", 85).size_of(*FOUR_K) == FULL_HD
    assert Tier(0.25, "jpeg", 85).size_of(*FOUR_K) == (960, 540)
    assert Tier(0.5, "jpeg", 85).size_of(511, 1) == (256, 1)


def test_each_step_of_the_ladder_is_smaller_than_the_one_before() -> None:
    sizes, image = TierSizes(), image_of()

    weights = [sizes.estimate(image, tier)[0] for tier in TierChooser(LADDER).tiers]

    assert weights == sorted(weights, reverse=True)
    assert all(0.4 < after / before < 0.95 for before, after in itertools.pairwise(weights))


def test_sizes_follow_what_was_encoded_and_the_weight_of_the_picture() -> None:
    sizes, tier, image = TierSizes(), Tier(0.5, "jpeg", 85), image_of()
    sizes.learn(image, tier, 100_000, 0.05)
    assert sizes.estimate(image, tier) == (100_000, pytest.approx(0.05))

    for _ in range(20):
        sizes.learn(image, tier, 200_000, 0.02)

    size_bytes, encode_s = sizes.estimate(image, tier)
    assert size_bytes == pytest.approx(200_000, rel=0.01)
    assert encode_s == pytest.approx(0.02, rel=0.1)
    busier = image_of(bytes_per_px=0.66)
    assert 1.2 < sizes.estimate(busier, tier)[0] / size_bytes < 2.0
    assert sizes.estimate(image_of(FULL_HD), tier)[0] == pytest.approx(50_000, rel=0.01)


@pytest.mark.parametrize(
    ("viewport", "name"),
    [
        (None, "original"),
        ((3840, 2160), "original"),
        ((2500, 1400), "original"),
        ((2400, 1350), "jpeg-50-85"),
        ((1920, 1080), "jpeg-50-85"),
        ((1080, 1920), "jpeg-25-85"),
        ((390, 844), "jpeg-25-85"),
        ((0, 0), "original"),
    ],
)
def test_a_screen_gets_no_more_pixels_than_it_shows(viewport: tuple[int, int] | None, name: str) -> None:
    assert Screen(viewport=viewport).look(rate_bytes_s=1e9) == name
    assert Screen(viewport=viewport).look() == name


def test_a_frame_that_weighs_little_passes_through_whatever_the_screen() -> None:
    screen = Screen(viewport=FULL_HD, rate_bytes_s=1e9)
    screen.image = image_of(bytes_per_px=0.02)

    assert screen.look() == "original"


def test_a_format_that_is_not_taken_becomes_jpeg_and_never_webp() -> None:
    for rate_bytes_s in (None, 1e9, 1e6, 1e3):
        screen = Screen(formats=JPEG, rate_bytes_s=rate_bytes_s)
        screen.image = image_of(FULL_HD, "webp")

        assert screen.look().startswith("jpeg-")
        assert screen.look(best=True).startswith("jpeg-")
    screen = Screen((ORIGINAL,), formats=JPEG)
    screen.image = image_of(FULL_HD, "png")
    assert screen.look() == FALLBACK.name == "jpeg-100-85"


def test_the_original_alone_switches_adaptation_off() -> None:
    screen = Screen((ORIGINAL,), viewport=(300, 300), rate_bytes_s=1.0)

    assert {screen.look() for _ in range(10)} == {screen.look(best=True)} == {"original"}


def test_webp_is_for_links_that_need_it_and_times_that_allow_it() -> None:
    # 1080p, eight frames a second: a good JPEG is too heavy, and the next one is coarser.
    given = {"rate_bytes_s": 4e6}
    screen = Screen(**given)
    screen.image = image_of(FULL_HD)
    assert screen.look() == "webp-100-75"

    dear = Screen(**given)
    dear.image = screen.image
    for _ in range(20):
        dear.sizes.learn(dear.image, Tier(1.0, "webp", 75), 170_000, 0.08)
    assert dear.look() == "jpeg-100-60"
    large = Screen(rate_bytes_s=16e6)
    assert large.look() == "jpeg-100-60"  # 4K would hold up the event loop
    rich = Screen(rate_bytes_s=1e9)
    rich.image = screen.image
    assert rich.look() == "original"


def test_a_link_that_gets_slow_is_followed_at_once() -> None:
    screen = Screen(rate_bytes_s=1e9)
    assert screen.look() == "original"

    names = screen.watch(1.0, lambda at: 3e6)

    assert names[0] != "original"
    assert screen.sizes.estimate(screen.image, screen.chooser._tier)[0] <= 0.85 * 0.125 * 3e6  # type: ignore[arg-type] # chosen
    assert switches(names) <= 1


def test_a_single_slow_look_changes_nothing() -> None:
    screen = Screen(rate_bytes_s=30e6)
    assert screen.look() == "original"
    assert screen.look(rate_bytes_s=20e6) == "original"
    assert screen.look(rate_bytes_s=30e6) == "original"
    assert screen.look(rate_bytes_s=20e6) == "original"

    assert screen.look(rate_bytes_s=20e6) == "jpeg-100-60"


def test_a_link_that_gets_fast_is_followed_after_five_seconds() -> None:
    screen = Screen(rate_bytes_s=3e6)
    low = screen.look()

    names = screen.watch(4.8, lambda at: 1e9)
    assert set(names) == {low}

    assert screen.watch(1.0, lambda at: 1e9)[-1] == "original"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate_bytes_s", [1e6, 3e6, 8e6, 15e6, 24e6])
def test_a_link_that_wavers_by_a_fifth_keeps_its_tier(rate_bytes_s: float, seed: int) -> None:
    wavering = random.Random(seed)
    screen = Screen()

    names = screen.watch(120.0, lambda at: rate_bytes_s * wavering.uniform(0.8, 1.2))

    # It may have to find its place first.
    assert switches(names) <= 3
    assert switches(names[150:]) == 0


def test_a_link_that_comes_and_goes_is_risen_to_less_and_less_often() -> None:
    screen = Screen(rate_bytes_s=3e6)
    screen.look()

    # Fast for eight seconds, slow for four: each rise is a mistake three seconds later.
    names = screen.watch(600.0, lambda at: 1e9 if at % 12.0 < 8.0 else 3e6)

    assert switches(names) <= 6


@pytest.mark.parametrize("step", [-1, 1])
def test_a_link_that_changes_steadily_is_followed_without_going_back(step: int) -> None:
    screen = Screen()
    rates = [30e6 * 0.97**index for index in range(150)][::-step]

    names = screen.watch(300.0, lambda at: rates[min(int(at / 2.0), 149)])

    order = [tier.name for tier in screen.chooser.tiers]
    places = [order.index(name) for name in names]
    assert places == sorted(places, reverse=step > 0)
    assert abs(places[0] - places[-1]) >= 4


def test_frames_of_changing_sizes_keep_each_their_tier() -> None:
    screen = Screen(rate_bytes_s=10e6)
    small, large = image_of((512, 512)), image_of()
    chosen: dict[int, set[str]] = {512: set(), 3840: set()}

    for index in range(100):
        screen.image = (small, large)[index % 2]
        chosen[screen.image.width].add(screen.look())

    assert chosen[512] == {"original"}
    assert len(chosen[3840]) == 1
    assert screen.chooser.switches == 0


def test_a_canvas_that_rests_gets_the_best_that_is_there_in_two_seconds() -> None:
    screen = Screen(rate_bytes_s=1.5e6)
    low = screen.look()

    assert screen.look(best=True) == "original"
    assert screen.look(best=True, rate_bytes_s=1.3e6) == "jpeg-100-60"
    assert screen.look(best=True, viewport=FULL_HD) == "jpeg-50-85"
    assert screen.look(best=True, rate_bytes_s=100.0) == "jpeg-25-50"
    assert screen.look(viewport=None, rate_bytes_s=1.5e6) == low


def test_a_link_without_any_goodput_gets_the_smallest() -> None:
    screen = Screen(rate_bytes_s=0.0)

    smallest = min(LADDER, key=lambda tier: screen.sizes.estimate(screen.image, tier)[0])
    assert screen.look(formats=JPEG) == "jpeg-25-50"
    assert screen.look() == smallest.name


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, 0.0, 1e4, 1e6, 5e6, 1e8]),
            st.sampled_from([None, (0, 5), (300, 300), FULL_HD, FOUR_K]),
            st.sampled_from([JPEG, ALL, frozenset({"webp"}), frozenset[str]()]),
            st.sampled_from([(FOUR_K, "jpeg"), ((64, 64), "png"), (FULL_HD, "webp")]),
        )
    )
)
def test_whatever_happens_a_screen_gets_what_it_takes(looks: list[tuple[Any, ...]]) -> None:
    screen = Screen()
    for rate_bytes_s, viewport, formats, (size, format_) in looks:
        screen.image = image_of(size, format_)
        for best in (False, True):
            name = screen.look(best=best, rate_bytes_s=rate_bytes_s, viewport=viewport, formats=formats)

            assert format_ in formats if name == "original" else name.split("-")[0] in {"jpeg", *formats}
