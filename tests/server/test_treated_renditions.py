"""Pictures that are processed: once for all who look, whatever they get, and nothing at all without need."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from fakes import until
from images import encoded, frame_of, gradient, saved
from PIL import Image, ImageCms
from rendering import Asked, message_of

from server.errors import InvalidError
from server.streaming.frame import EncodedImage, Frame
from server.streaming.images import effects, encoders, transcoding
from server.streaming.payload import Payload
from server.streaming.processing import Crop, Processing, Treatment
from server.streaming.tiers import renditions
from server.streaming.tiers.renditions import Renditions
from server.streaming.tiers.sizes import TierSizes
from server.streaming.tiers.tier import ORIGINAL, Tier
from server.streaming.wire import Form


FULL = Tier(1.0, "jpeg", 85)
HALF = Tier(0.5, "jpeg", 85)
QUARTER = Tier(0.25, "jpeg", 85)
BROKEN = EncodedImage(b"\xff\xd8 no picture \xff\xd9", "jpeg", 8, 8)
SIDEWAYS = Processing(rotate=90)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


class Watched:
    """A function that is called for real, counted, and held up where the test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
        self.calls: list[tuple[tuple[object, ...], dict[str, object]]] = []
        self.opened = threading.Event()
        self.opened.set()
        self._function: Callable[..., object] = getattr(module, name)
        monkeypatch.setattr(module, name, self)

    def __call__(self, *args: object, **named: object) -> object:
        self.calls.append((args, named))
        assert self.opened.wait(10), "the test never opened the gate"
        return self._function(*args, **named)

    def __len__(self) -> int:
        return len(self.calls)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    watched = Watched(monkeypatch, transcoding, "load")
    yield watched
    watched.opened.set()


@pytest.fixture
def processed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    watched = Watched(monkeypatch, effects, "process")
    yield watched
    watched.opened.set()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


@pytest.fixture
def made(executor: ThreadPoolExecutor) -> Renditions:
    return Renditions(executor)


def treated(
    sequence: int, image: EncodedImage, processing: Processing = SIDEWAYS, format_: str = "jpeg"
) -> Frame:
    return replace(frame_of(sequence, image), treatment=Treatment(processing, format_, 90))


def picture_of(payload: Payload | None) -> Image.Image:
    assert payload is not None
    return Image.open(io.BytesIO(message_of(payload)["image"]))


async def test_without_a_processing_nothing_is_decoded_and_the_bytes_are_the_same(
    made: Renditions, loads: Watched, processed: Watched
) -> None:
    for sequence, format_ in enumerate(("jpeg", "webp", "png"), 1):
        frame = frame_of(sequence, encoded(format_))

        payload = made.ready(frame, ORIGINAL, Form.MSGPACK)

        assert payload is not None
        assert message_of(payload)["image"] == frame.image.data
        assert await made.image(frame, format_) is frame.image
        assert made.estimate(frame, ORIGINAL) == (len(frame.image.data), 0.0)
    assert len(loads) == len(processed) == made.encoded == 0


async def test_a_picture_is_decoded_and_processed_once_for_all_tiers_and_single_pictures(
    made: Renditions, executor: ThreadPoolExecutor, loads: Watched, processed: Watched
) -> None:
    frame = treated(1, encoded(width=320, height=240))
    busy = threading.Event()
    for _ in range(4):
        executor.submit(busy.wait, 10)
    asked = [Asked(made, frame, tier) for tier in (QUARTER, HALF, FULL, ORIGINAL)]
    asked.append(Asked(made, frame, ORIGINAL, Form.JSON))
    asked.append(Asked(made, frame, HALF, Form.MJPEG))
    snapshots = [
        asyncio.create_task(made.image(frame, format_, width=width))
        for format_, width in (("jpeg", None), ("png", None), ("jpeg", 64))
    ]
    await asyncio.sleep(0)
    busy.set()

    messages = [await one.message() for one in asked[:5]]
    pictures = await asyncio.gather(*snapshots)
    await asked[5].answer()

    assert [(message["width"], message["height"]) for message in messages] == [
        (60, 80), (120, 160), (240, 320), (240, 320), (240, 320),
    ]  # fmt: skip
    assert [(picture.width, picture.height) for picture in pictures] == [(240, 320), (240, 320), (64, 85)]
    assert len(processed) == 1
    # Single pictures are made one after the other: the later ones of what screens got.
    assert loads.calls[0][0][0] == frame.image.data
    assert all(args[0] != frame.image.data for args, _ in loads.calls[1:])


async def test_screens_that_ask_one_after_the_other_share_one_processing_of_each_picture(
    made: Renditions, processed: Watched
) -> None:
    tiers = (QUARTER, HALF, FULL)
    for sequence in range(1, 6):
        frame = treated(sequence, encoded(width=64 + sequence, height=48))
        for tier in tiers:
            # Each asks only once the one before has got its picture.
            assert await Asked(made, frame, tier).answer() is not None
        assert made._sources[-1]._picture is None, "everybody has asked"

    # Of the first one nobody knew what would be asked for.
    assert len(processed) == 3 + 4


async def test_a_processed_picture_is_kept_for_nobody_who_does_not_come(
    made: Renditions, processed: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (treated(number, encoded(width=64 + number)) for number in (1, 2, 3))
    for tier in (HALF, FULL):
        await Asked(made, first, tier).answer()

    await Asked(made, second, HALF).answer()
    kept = made._sources[-1]
    assert kept._picture is not None
    await Asked(made, third, HALF).answer()
    assert kept._picture is None, "the next one is there"
    assert made._sources[-1]._picture is None, "of the one before it only half was asked for"

    monkeypatch.setattr(renditions, "_EXPECT_S", 0.0)
    for tier in (HALF, FULL):
        await Asked(made, third, tier).answer()
    await Asked(made, treated(4, encoded(width=80)), HALF).answer()
    await until(lambda: made._sources[-1]._picture is None)


async def test_nor_for_whoever_asked_for_a_single_picture(
    made: Renditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (treated(number, encoded(width=64 + number)) for number in (1, 2))
    await Asked(made, first, HALF).answer()

    monkeypatch.setattr(renditions, "_EXPECT_S", 0.0)
    await made.image(second, "png", width=16)

    assert made._sources[-1].shows(second)
    await until(lambda: made._sources[-1]._picture is None)


async def test_a_picture_that_is_not_processed_is_kept_for_nobody(made: Renditions, loads: Watched) -> None:
    first, second = (frame_of(number, encoded(width=64 + number)) for number in (1, 2))
    for tier in (HALF, FULL):
        await Asked(made, first, tier).answer()

    await Asked(made, second, HALF).answer()

    assert made._sources[-1]._picture is None
    assert [args[1] for args, _ in loads.calls] == [0.5, 1.0, 0.5], "no more is decoded than is needed"


async def test_the_original_is_the_processed_picture_in_full_as_its_canvas_encodes(made: Renditions) -> None:
    pixels = gradient(64, 48)
    frame = treated(1, EncodedImage(saved(Image.fromarray(pixels), "png"), "png", 64, 48), format_="png")
    assert made.ready(frame, ORIGINAL, Form.MSGPACK) is None

    message = await Asked(made, frame, ORIGINAL).message()

    assert (message["tier"], message["format"], message["width"], message["height"]) == (
        "original", "png", 48, 64,
    )  # fmt: skip
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(message["image"]))), np.rot90(pixels, -1))
    assert message["stages"]["encoded"] > message["stages"]["published"]
    assert "treatment" not in message
    # Whoever comes later gets the same, and so does who asks for a single picture.
    payload = made.ready(frame, ORIGINAL, Form.MSGPACK)
    assert payload is not None
    assert message_of(payload)["image"] == message["image"] == (await made.image(frame, "png")).data
    assert made.encoded == 1


async def test_a_single_picture_in_full_is_what_screens_get_afterwards(
    made: Renditions, processed: Watched
) -> None:
    frame = treated(1, encoded())

    picture = await made.image(frame, "jpeg")

    payload = made.ready(frame, ORIGINAL, Form.MSGPACK)
    assert payload is not None
    assert message_of(payload)["image"] == picture.data
    assert len(processed) == made.encoded == 1


async def test_one_picture_with_two_processings_is_two(made: Renditions, processed: Watched) -> None:
    image = encoded(width=64, height=48)
    plain, turned = frame_of(1, image), treated(2, image)
    small = treated(3, image, Processing(crop=Crop(0.0, 0.0, 0.25, 0.25)))

    sizes = {}
    for frame in (plain, turned, small):
        message = await Asked(made, frame, HALF).message()
        sizes[frame.sequence] = message["width"], message["height"]
        assert (await made.image(frame, "png")).width == frame.shape.width

    assert sizes == {1: (32, 24), 2: (24, 32), 3: (8, 6)}
    assert len(processed) == 4, "a larger one was wanted later"
    again = await Asked(made, treated(4, image), HALF).message()
    assert (again["sequence"], again["width"]) == (4, 24)
    assert len(processed) == 4, "twins share what was made"


async def test_only_what_is_needed_is_decoded_and_a_part_of_a_picture_needs_more_of_it(
    made: Renditions, loads: Watched
) -> None:
    image = encoded(width=640, height=480)
    part = treated(1, image, Processing(crop=Crop(0.25, 0.25, 0.5, 0.5)))

    message = await Asked(made, part, HALF).message()
    thumbnail = await made.image(
        treated(2, image, Processing(crop=Crop(0.0, 0.0, 0.25, 1.0))), "jpeg", width=80
    )

    assert (message["width"], message["height"]) == (160, 120)
    assert (thumbnail.width, thumbnail.height) == (80, 240)
    # Half of the part's sides are half of the picture's; all of the narrow part's pixels but half are needed.
    assert [args[1] for args, _ in loads.calls] == [0.5, 0.5]


async def test_a_broken_picture_is_not_shown_as_it_came_and_counted(made: Renditions) -> None:
    frame = treated(1, BROKEN)

    assert made.ready(frame, ORIGINAL, Form.MSGPACK) is None
    assert await Asked(made, frame, ORIGINAL).answer() is None
    assert await Asked(made, frame, ORIGINAL).answer() is None
    assert made.ready(frame, ORIGINAL, Form.MSGPACK) is None
    for format_ in ("jpeg", "png"):
        with pytest.raises(InvalidError):
            await made.image(frame, format_)
    assert made.undecodable == 1
    # Without a processing its original is for the screen to judge.
    assert made.ready(frame_of(2, BROKEN), ORIGINAL, Form.MSGPACK) is not None


async def test_processing_that_nobody_waits_for_any_more_is_given_up(
    made: Renditions, loads: Watched, processed: Watched
) -> None:
    loads.opened.clear()
    gone = Asked(made, treated(1, encoded()), HALF)
    await until(lambda: len(loads) == 1)

    gone.request.cancel()
    loads.opened.set()
    await until(lambda: made.cancelled == 1)

    assert len(processed) == 0
    assert gone.answers == []
    assert made._sources[0]._picture is None


async def test_what_another_tier_waits_for_is_processed_to_its_end(
    made: Renditions, loads: Watched, processed: Watched
) -> None:
    loads.opened.clear()
    frame = treated(1, encoded(width=64, height=48))
    gone, staying = Asked(made, frame, FULL), Asked(made, frame, HALF)
    await until(lambda: gone.request.is_started and staying.request.is_started)

    gone.request.cancel()
    loads.opened.set()

    assert (await staying.message())["width"] == 24
    assert len(loads) == len(processed) == 1


async def test_a_single_picture_that_nobody_waits_for_is_given_up_and_its_pixels_let_go_of(
    made: Renditions, loads: Watched, processed: Watched
) -> None:
    loads.opened.clear()
    frame = treated(1, encoded())
    asked = asyncio.create_task(made.image(frame, "png"))
    await until(lambda: len(loads) == 1)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    loads.opened.set()

    assert (await made.image(frame, "png", width=16)).width == 16
    assert len(processed) == 1
    assert made._sources[0]._picture is None


async def test_the_orientation_and_the_colours_of_a_photograph_are_as_without_processing(
    made: Renditions,
) -> None:
    exif = Image.Exif()
    exif[encoders.ORIENTATION] = 6
    data = saved(Image.fromarray(gradient(64, 48)), "jpeg", exif=exif, quality=95, icc_profile=PROFILE)
    image = encoders.inspect(data)
    assert (image.width, image.height) == (48, 64)

    plain = await Asked(made, frame_of(1, image), FULL).answer()
    flipped = await Asked(made, treated(2, image, Processing(mirror="horizontal")), FULL).answer()

    upright, mirrored = picture_of(plain), picture_of(flipped)
    assert mirrored.info["icc_profile"] == upright.info["icc_profile"]
    expected = np.asarray(upright.convert("RGB"), float)[:, ::-1]
    assert np.abs(np.asarray(mirrored.convert("RGB"), float) - expected).mean() < 2


def test_sizes_are_learned_of_what_is_shown_and_apart_for_each_processing() -> None:
    sizes, image = TierSizes(), EncodedImage(bytes(2_000_000), "jpeg", 3840, 2160)
    blurred = Treatment(Processing(blur=9.0), "jpeg", 90)
    cropped = Treatment(Processing(crop=Crop(0.0, 0.0, 0.5, 0.5)), "jpeg", 90)

    whole, part = (sizes.estimate(image, ORIGINAL, treatment) for treatment in (blurred, cropped))
    assert whole[0] == pytest.approx(4 * part[0], rel=0.01)
    assert whole[1] > part[1] > 0.0, "it is not free"
    for _ in range(3):
        sizes.learn(image, ORIGINAL, 300_000, 0.2, blurred)
        sizes.learn(image, HALF, 400_000, 0.05)

    assert sizes.estimate(image, ORIGINAL, blurred) == (300_000, pytest.approx(0.2))
    assert sizes.estimate(image, HALF) == (400_000, pytest.approx(0.05))
    assert sizes.estimate(image, ORIGINAL) == (2_000_000, 0.0)
    # Another hue weighs the same; another processing is another thing.
    turned = replace(blurred, processing=replace(blurred.processing, hue=90.0))
    assert sizes.estimate(image, ORIGINAL, turned) == (300_000, pytest.approx(0.2))
    assert sizes.estimate(image, ORIGINAL, cropped) == part
    sizes.learn(image, ORIGINAL, 77_000, 0.1, cropped)
    assert sizes.estimate(image, ORIGINAL, cropped) == (77_000, pytest.approx(0.1))


async def test_the_original_that_is_encoded_already_takes_no_time_any_more(made: Renditions) -> None:
    frame = treated(1, encoded(width=64, height=48))
    size_bytes, encode_s = made.estimate(frame, ORIGINAL)
    assert size_bytes != len(frame.image.data)
    assert encode_s > 0.0

    message = await Asked(made, frame, ORIGINAL).message()

    assert made.estimate(frame, ORIGINAL) == (len(message["image"]), 0.0)
    assert made.estimate(treated(2, encoded(width=64, height=48)), ORIGINAL)[1] > 0.0
