"""Frames encoded and packed once, for however many subscribers."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from fakes import until
from images import encoded, frame_of
from PIL import Image
from rendering import Asked, message_of

from server.errors import InvalidError
from server.streaming.frame import EncodedImage, Frame
from server.streaming.images import encoders, transcoding
from server.streaming.payload import Payload
from server.streaming.tiers import renditions as renditions_module
from server.streaming.tiers.renditions import Renditions
from server.streaming.tiers.tier import ORIGINAL, Tier
from server.streaming.wire import Form


FULL = Tier(1.0, "jpeg", 85)
HALF = Tier(0.5, "jpeg", 85)
HALF_WEBP = Tier(0.5, "webp", 75)
BROKEN = EncodedImage(b"\xff\xd8 no picture \xff\xd9", "jpeg", 8, 8)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def made(executor: ThreadPoolExecutor) -> Renditions:
    return Renditions(executor)


async def test_who_asks_in_turn_for_two_forms_of_two_frames_gets_each_its_own(made: Renditions) -> None:
    frames = [frame_of(sequence, encoded()) for sequence in (1, 2)]
    payloads = {
        (frame.sequence, form): made.ready(frame, ORIGINAL, form)
        for frame in frames
        for form in (Form.MSGPACK, Form.JSON)
    }

    for frame in frames:
        for form in (Form.MSGPACK, Form.JSON, Form.MSGPACK):
            payload = made.ready(frame, ORIGINAL, form)
            assert payload is not None
            assert payload is payloads[frame.sequence, form] is made.ready(frame, ORIGINAL, form)
            assert message_of(payload)["sequence"] == frame.sequence


class Gate:
    """Decoding for real, counted, and held up where the test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[bytes, float]] = []
        self.threads: set[str] = set()
        self.opened = threading.Event()
        self.opened.set()
        self._load = transcoding.load
        monkeypatch.setattr(transcoding, "load", self)

    def __call__(self, data: bytes, scale: float = 1.0) -> Image.Image:
        self.calls.append((data, scale))
        self.threads.add(threading.current_thread().name)
        assert self.opened.wait(10), "the test never opened the gate"
        return self._load(data, scale)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.opened.set()


async def test_the_original_passes_through_untouched_and_at_once(made: Renditions, gate: Gate) -> None:
    for sequence, format_ in enumerate(("jpeg", "webp", "png"), 1):
        frame = frame_of(sequence, encoded(format_))

        payload = made.ready(frame, ORIGINAL, Form.MSGPACK)

        assert payload is not None
        message = message_of(payload)
        assert message["image"] == frame.image.data
        assert (message["format"], message["tier"]) == (format_, "original")
        assert message["stages"]["encoded"] == frame.published_ms
        assert made.ready(frame, ORIGINAL, Form.MSGPACK) is payload
    assert gate.calls == []


async def test_a_tier_is_encoded_once_for_all_who_wait_for_it(made: Renditions, gate: Gate) -> None:
    frame = frame_of(1, encoded("webp"))
    assert made.ready(frame, HALF, Form.MSGPACK) is None
    gate.opened.clear()
    many = [Asked(made, frame, HALF) for _ in range(20)]
    texts = [Asked(made, frame, HALF, Form.SEED_JSON) for _ in range(20)]
    await until(lambda: bool(gate.calls))
    late = Asked(made, frame, HALF)
    gate.opened.set()

    message = await many[0].message()

    assert (message["format"], message["tier"]) == ("jpeg", "jpeg-50-85")
    assert (message["width"], message["height"]) == (16, 12)
    assert message["stages"]["encoded"] > message["stages"]["published"]
    assert encoders.inspect(message["image"]).width == 16
    await texts[0].answer()
    assert {id(asked.answers[0]) for asked in [*many, late]} == {id(made.ready(frame, HALF, Form.MSGPACK))}
    assert len({id(asked.answers[0]) for asked in texts}) == 1
    assert b64decode((await texts[0].message())["image"]) == message["image"]
    assert len(gate.calls) == made.encoded == 1
    assert threading.current_thread().name not in gate.threads


async def test_twins_share_what_was_encoded_and_each_has_its_own_sequence(
    made: Renditions, gate: Gate
) -> None:
    first = frame_of(1, encoded())
    twin = frame_of(2, first.image)
    gate.opened.clear()
    one, other = Asked(made, first, HALF), Asked(made, twin, HALF)
    gate.opened.set()

    assert [(await asked.message())["sequence"] for asked in (one, other)] == [1, 2]
    third = made.ready(frame_of(3, first.image), HALF, Form.MSGPACK)
    assert third is not None
    assert message_of(third)["sequence"] == 3
    assert made.encoded == 1


async def test_of_the_frames_that_wait_for_a_tier_the_newest_wins(made: Renditions, gate: Gate) -> None:
    gate.opened.clear()
    running = Asked(made, frame_of(1, encoded()), HALF)
    await until(lambda: running.request.is_started)
    older, newer = (Asked(made, frame_of(sequence, encoded()), HALF) for sequence in (2, 3))
    too_late = Asked(made, frame_of(2, encoded()), HALF)

    assert await older.answer() is None
    assert await too_late.answer() is None
    assert not newer.request.is_started
    gate.opened.set()

    assert (await running.message())["sequence"] == 1
    assert (await newer.message())["sequence"] == 3
    assert (made.encoded, made.cancelled, made.undecodable) == (2, 1, 0)


async def test_a_frame_that_waits_for_a_thread_gives_way_to_a_newer_one(
    made: Renditions, executor: ThreadPoolExecutor, gate: Gate
) -> None:
    busy = threading.Event()
    for _ in range(2):
        executor.submit(busy.wait, 10)
    older = Asked(made, frame_of(1, encoded()), HALF)
    newer = Asked(made, frame_of(2, encoded()), HALF)

    assert await older.answer() is None
    busy.set()

    assert (await newer.message())["sequence"] == 2
    assert len(gate.calls) == 1


async def test_work_that_nobody_waits_for_any_more_ends_at_the_next_step(
    made: Renditions, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = transcoding.write
    monkeypatch.setattr(transcoding, "write", lambda *of: written.append(of[1]) or write(*of))
    gate.opened.clear()
    gone, staying = Asked(made, frame_of(1, encoded()), HALF), Asked(made, frame_of(1, encoded()), FULL)
    await until(lambda: len(gate.calls) == 2)

    gone.request.cancel()
    gone.request.cancel()
    gate.opened.set()
    await staying.answer()
    await until(lambda: made.cancelled == 1)

    assert gone.answers == []
    assert written == ["jpeg"]


async def test_one_who_leaves_does_no_harm_to_the_others(made: Renditions, gate: Gate) -> None:
    frame = frame_of(1, encoded())
    gate.opened.clear()
    gone, staying = Asked(made, frame, HALF), Asked(made, frame, HALF)
    await until(lambda: bool(gate.calls))

    gone.request.cancel()
    gate.opened.set()

    assert (await staying.message())["sequence"] == 1
    assert gone.answers == []


async def test_the_tiers_of_a_frame_share_one_decoding_which_is_let_go_of(
    made: Renditions, executor: ThreadPoolExecutor, gate: Gate
) -> None:
    frame = frame_of(1, encoded(width=320, height=240))
    busy = threading.Event()
    for _ in range(2):
        executor.submit(busy.wait, 10)
    asked = [Asked(made, frame, tier) for tier in (HALF, HALF_WEBP, FULL)]
    busy.set()

    widths = [(await one.message())["width"] for one in asked]

    assert widths == [160, 160, 320]
    # At the largest scale that any of them needs, whichever came first.
    assert gate.calls == [(frame.image.data, 1.0)]
    assert made._sources[0]._picture is None


async def test_a_broken_picture_is_told_to_all_and_counted_once(made: Renditions) -> None:
    frame = frame_of(1, BROKEN)
    asked = [Asked(made, frame, tier) for tier in (HALF, HALF, FULL)]

    assert [await one.answer() for one in asked] == [None] * 3
    assert await Asked(made, frame, HALF_WEBP).answer() is None
    assert made.counters() == {"encoded": 0, "cancelled": 0, "undecodable": 1}
    assert made.ready(frame, ORIGINAL, Form.MSGPACK) is not None


async def test_a_bug_is_told_to_the_loop_and_keeps_nobody_waiting(
    made: Renditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))

    def fail(*of: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(transcoding, "write", fail)

    assert await Asked(made, frame_of(1, encoded()), HALF).answer() is None
    await until(lambda: bool(told))
    assert isinstance(told[0], RuntimeError)


async def test_large_texts_are_written_in_a_thread_and_all_else_at_once(
    made: Renditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    pack = renditions_module.frame_payload

    def noting(frame: Frame, form: Form, tier: str) -> Payload:
        threads.append(threading.current_thread())
        return pack(frame, form, tier)

    monkeypatch.setattr(renditions_module, "frame_payload", noting)
    large = frame_of(1, EncodedImage(b"x" * 100_000, "jpeg", 8, 8))

    for form in Form:
        assert made.ready(frame_of(2), ORIGINAL, form) is not None
        payload = made.ready(large, ORIGINAL, form) or await Asked(made, large, ORIGINAL, form).answer()
        assert payload is made.ready(large, ORIGINAL, form)
        assert form.is_text == (threads[-1] is not threading.main_thread())


async def test_old_frames_are_forgotten_and_a_straggler_is_served_all_the_same(made: Renditions) -> None:
    for sequence in range(1, 20):
        frame = frame_of(sequence, encoded())
        await Asked(made, frame, HALF).answer()
        for form in (Form.MSGPACK, Form.MJPEG):
            made.ready(frame, ORIGINAL, form)
    late = made.ready(frame_of(1, encoded()), ORIGINAL, Form.MSGPACK)

    assert late is not None
    assert message_of(late)["sequence"] == 1
    assert [source.sequence for source in made._sources] == [17, 18, 19]
    assert {image_id for _, image_id, _, _ in made._payloads} == {"epoch-17", "epoch-18", "epoch-19"}


async def test_estimates_are_learned_from_what_was_encoded(made: Renditions) -> None:
    frame = frame_of(1, encoded(width=320, height=240))
    guessed_bytes, guessed_s = made.estimate(frame, FULL)
    message = await Asked(made, frame, FULL).message()
    like_it = frame_of(2, replace(frame.image))

    assert guessed_bytes > 0
    assert guessed_s > 0.0
    assert made.estimate(frame, FULL) == (len(message["image"]), 0.0)
    size_bytes, encode_s = made.estimate(like_it, FULL)
    assert size_bytes == pytest.approx(len(message["image"]), rel=0.01)
    assert encode_s > 0.0
    assert made.estimate(frame, ORIGINAL) == (len(frame.image.data), 0.0)


async def test_single_pictures_are_made_once_per_format_and_width(made: Renditions, gate: Gate) -> None:
    frame = frame_of(1, encoded("jpeg", width=320, height=240))

    assert await made.image(frame, "jpeg") is frame.image
    assert await made.image(frame, "jpeg", width=1000) is frame.image
    first, second = await asyncio.gather(*(made.image(frame, "png", width=100) for _ in range(2)))

    assert first is second
    assert (first.format, first.width, first.height) == ("png", 112, 84)
    assert encoders.inspect(first.data).width == 112
    assert len(gate.calls) == 1
    assert made.encoded == 1


async def test_a_broken_single_picture_is_told_to_each_and_decoded_and_counted_once(
    made: Renditions, gate: Gate
) -> None:
    for _ in range(2):
        with pytest.raises(InvalidError):
            await made.image(frame_of(1, BROKEN), "png")

    assert len(gate.calls) == 1
    assert made.undecodable == 1
