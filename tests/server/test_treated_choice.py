"""Which tier a screen gets of a canvas that processes its pictures: its original is no longer for nothing."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import pytest
from images import frame_of

from server.streaming.canvas import Canvas
from server.streaming.config import CanvasConfig
from server.streaming.delivery.choice import LOOK_S, Choice
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.frame import EncodedImage, Frame
from server.streaming.processing import Crop, Processing, Treatment
from server.streaming.tiers.choosing import TierChooser
from server.streaming.tiers.sizes import TierSizes
from server.streaming.tiers.tier import DEFAULT_TIERS, ORIGINAL, Tier, parse_tiers
from server.streaming.wire import Form


LADDER = parse_tiers(DEFAULT_TIERS)
ALL = frozenset({"jpeg", "webp", "png"})
FOUR_K, FULL_HD, SMALL = (3840, 2160), (1920, 1080), (320, 240)
MIRRORED = Processing(mirror="horizontal")


def frame(size: tuple[int, int], format_: str | None = None, processing: Processing = MIRRORED) -> Frame:
    """Return a frame of a JPEG that weighs little, to be encoded as a format; as it is without one."""
    image = EncodedImage(bytes(size[0] * size[1] // 20), "jpeg", *size)
    treatment = Treatment(processing, format_, 90) if format_ else None
    return replace(frame_of(1, image), treatment=treatment)


class Screen:
    """One who looks at one picture."""

    def __init__(self, shown: Frame, **given: Any) -> None:
        self.frame = shown
        self.chooser = TierChooser(LADDER)
        self.sizes = TierSizes()
        self.now_s = 0.0
        self.given: dict[str, Any] = {
            "viewport": None, "formats": ALL, "rate_bytes_s": 1e9, "interval_s": 0.125, **given,
        }  # fmt: skip

    def look(self, *, best: bool = False) -> str:
        self.now_s += 0.2
        image, treatment = self.frame.image, self.frame.treatment
        choose = self.chooser.best_tier if best else self.chooser.choose
        return choose(
            self.frame.shape,
            now_s=self.now_s,
            encode_s=lambda tier: self.sizes.estimate(image, tier, treatment)[1],
            bytes_of=lambda tier: self.sizes.estimate(image, tier, treatment)[0],
            **self.given,
        ).name


def test_a_processed_original_weighs_what_it_is_encoded_as_and_not_what_it_came_as() -> None:
    # The file is light enough for the link, and passes through; processed it is several times as heavy.
    rate_bytes_s = 8e6

    assert Screen(frame(FOUR_K), rate_bytes_s=rate_bytes_s).look() == "original"
    assert Screen(frame(FOUR_K, "jpeg"), rate_bytes_s=rate_bytes_s).look() != "original"
    assert Screen(frame(FOUR_K, "jpeg")).look() == "original"


def test_a_screen_gets_what_it_needs_of_the_part_that_is_shown() -> None:
    corner = Processing(crop=Crop(0.0, 0.0, 0.5, 0.5))

    assert Screen(frame(FOUR_K, "jpeg"), viewport=FULL_HD).look() == "jpeg-50-85"
    assert Screen(frame(FOUR_K, "jpeg", corner), viewport=FULL_HD).look() == "original"
    turned = Processing(rotate=90)
    assert Screen(frame(FOUR_K, "jpeg", turned), viewport=(1080, 1920)).look() == "jpeg-50-85"


@pytest.mark.parametrize(
    ("size", "format_", "name"),
    [
        (SMALL, "webp", "original"),
        (SMALL, "png", "original"),
        (FULL_HD, "webp", "original"),
        # Above, the event loop would feel it.
        (FOUR_K, "webp", "jpeg-100-85"),
        # It would take longer than until the next picture.
        (FOUR_K, "png", "jpeg-100-85"),
    ],
)
def test_what_is_dear_to_encode_is_an_original_only_where_there_is_time(
    size: tuple[int, int], format_: str, name: str
) -> None:
    assert Screen(frame(size, format_)).look() == name


def test_an_original_that_turns_out_to_be_dear_is_given_up() -> None:
    screen = Screen(frame(FULL_HD, "webp"))
    assert [screen.look() for _ in range(3)] == ["original"] * 3

    for _ in range(10):
        screen.sizes.learn(screen.frame.image, ORIGINAL, 300_000, 0.2, screen.frame.treatment)

    assert screen.look() == "jpeg-100-85"
    assert screen.look(best=True) == "original", "a picture that stands may be late"


def test_a_format_that_a_screen_does_not_take_is_none_that_a_canvas_encodes_for_it() -> None:
    screen = Screen(frame(SMALL, "webp"), formats=frozenset({"jpeg"}))

    assert screen.look() == screen.look(best=True) == "jpeg-100-85"


def test_a_processing_that_comes_and_goes_has_the_tier_chosen_anew() -> None:
    canvas = Canvas("left", CanvasConfig(), executor=Executor(), tiers=LADDER)
    subscriber = Subscriber(Form.MSGPACK, LADDER)
    subscriber.chooser = chooser = Noting()  # type: ignore[assignment] # it says what the test wants
    choice = Choice(subscriber, canvas)

    assert choice.next(frame(SMALL), 1.0) == (ORIGINAL, 3840, 0.0)
    assert choice.next(frame(SMALL), 1.01)[0] is ORIGINAL
    assert chooser.looks == 1
    _, size_bytes, encode_s = choice.next(frame(SMALL, "jpeg"), 1.02)
    assert chooser.looks == 2
    assert size_bytes != 3840
    assert encode_s > 0.0
    # But not with every frame: the hue of a sound that is hardly there comes and goes.
    for number in range(10):
        choice.next(frame(SMALL, "jpeg" if number % 2 else None), 1.03 + number / 100)
    assert chooser.looks == 2
    choice.next(frame(SMALL), 1.02 + LOOK_S)
    assert chooser.looks == 3


def test_an_original_that_a_screen_does_not_take_is_never_sent_though_the_processing_comes_and_goes() -> None:
    canvas = Canvas("left", CanvasConfig(), executor=Executor(), tiers=LADDER)
    subscriber = Subscriber(Form.MSGPACK, LADDER)
    subscriber.formats = frozenset({"jpeg"})
    choice = Choice(subscriber, canvas)

    for number in range(20):
        shown = frame(SMALL, None if number % 2 else "webp")
        tier, _, _ = choice.next(shown, 1.0 + number / 100)
        assert (tier is ORIGINAL) <= (shown.shape.format == "jpeg")


class Noting:
    """Chooses the original, and counts how often it is asked."""

    def __init__(self) -> None:
        self.looks = 0

    def choose(self, *_: Any, **__: Any) -> Tier:
        self.looks += 1
        return ORIGINAL
