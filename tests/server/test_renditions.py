"""Frames encoded and packed once, for however many subscribers."""

from __future__ import annotations

import asyncio
import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgpack
import pytest
from images import encoded, frame_of

from server.errors import InvalidError
from server.streaming import wire
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders
from server.streaming.tiers.renditions import Renditions
from server.streaming.wire import Form


ALL = frozenset({"jpeg", "png", "webp"})
JPEG = frozenset({"jpeg"})


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


class Encoder:
    """Encodes for real, counts, and can be held up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()
        self._convert = encoders.convert
        monkeypatch.setattr(encoders, "convert", self)

    def __call__(self, image: EncodedImage, format_: str, quality: int) -> EncodedImage:
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        self.begun.set()
        assert self.gate.wait(10), "the test never opened the gate"
        return self._convert(image, format_, quality)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Encoder:
    return Encoder(monkeypatch)


async def test_a_format_that_the_subscriber_takes_passes_through_untouched(
    executor: ThreadPoolExecutor, encoder: Encoder
) -> None:
    made = Renditions(executor)
    for format_ in ("jpeg", "webp", "png"):
        frame = frame_of(1, encoded(format_))
        made = Renditions(executor)

        message = msgpack.unpackb(await made.payload(frame, Form.MSGPACK, ALL))

        assert message["image"] == frame.image.data
        assert (message["format"], message["tier"]) == (format_, "original")
        assert await made.image(frame, format_) is frame.image
    assert encoder.calls == made.encoded == 0


async def test_a_frame_is_encoded_once_for_all_who_wait_for_it(
    executor: ThreadPoolExecutor, encoder: Encoder
) -> None:
    made = Renditions(executor)
    frame = frame_of(1, encoded("webp"))
    encoder.gate.clear()

    async with asyncio.TaskGroup() as tasks, asyncio.timeout(10):
        waiting = [tasks.create_task(made.payload(frame, Form.MSGPACK, JPEG)) for _ in range(20)]
        waiting += [tasks.create_task(made.payload(frame, Form.SEED_JSON, ALL)) for _ in range(20)]
        await asyncio.to_thread(encoder.begun.wait, 10)
        encoder.gate.set()
    later = await made.payload(frame, Form.MSGPACK, JPEG)

    assert encoder.calls == made.encoded == 1
    assert len({id(task.result()) for task in waiting[:20]} | {id(later)}) == 1
    assert len({id(task.result()) for task in waiting[20:]}) == 1
    message = msgpack.unpackb(later)
    assert (message["format"], message["tier"]) == ("jpeg", "jpeg")
    assert encoders.inspect(message["image"]).width == 32
    assert b64decode(json.loads(waiting[-1].result())["image"]) == message["image"]


async def test_packing_is_shared_and_forms_are_kept_apart(executor: ThreadPoolExecutor) -> None:
    made = Renditions(executor)
    frame = frame_of(1, encoded())

    packed = await made.payload(frame, Form.MSGPACK, ALL)
    text = await made.payload(frame, Form.JSON, ALL)
    seed = await made.payload(frame, Form.SEED_JSON, ALL)

    assert await made.payload(frame, Form.MSGPACK, JPEG) is packed
    assert isinstance(text, str)
    assert json.loads(text)["sequence"] == 1
    assert set(json.loads(seed)) == {"timestamp", "image", "image_id"}


async def test_encoding_never_runs_on_the_event_loop(executor: ThreadPoolExecutor, encoder: Encoder) -> None:
    await Renditions(executor).image(frame_of(1, encoded("png")), "webp")

    assert threading.current_thread().name not in encoder.threads


async def test_large_texts_are_written_in_a_thread_and_packing_is_not(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[tuple[Form, bool]] = []
    pack = wire.pack_frame

    def noting(frame: object, form: Form, tier: str) -> bytes | str:
        threads.append((form, threading.current_thread() is threading.main_thread()))
        return pack(frame, form, tier)  # type: ignore[arg-type] # passed on as it is

    monkeypatch.setattr("server.streaming.tiers.renditions.pack_frame", noting)
    made = Renditions(executor)
    large = frame_of(1, EncodedImage(b"x" * 100_000, "jpeg", 8, 8))

    for form in Form:
        await made.payload(large, form, ALL)
        await made.payload(frame_of(2), form, ALL)

    assert threads == [
        (Form.MSGPACK, True),
        (Form.MSGPACK, True),
        (Form.JSON, False),
        (Form.JSON, True),
        (Form.SEED_JSON, False),
        (Form.SEED_JSON, True),
    ]


async def test_a_waiter_that_is_cancelled_does_no_harm_to_the_others(
    executor: ThreadPoolExecutor, encoder: Encoder
) -> None:
    made = Renditions(executor)
    frame = frame_of(1, encoded("webp"))
    encoder.gate.clear()
    first = asyncio.create_task(made.payload(frame, Form.MSGPACK, JPEG))
    second = asyncio.create_task(made.payload(frame, Form.MSGPACK, JPEG))
    await asyncio.to_thread(encoder.begun.wait, 10)

    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    encoder.gate.set()

    assert msgpack.unpackb(await second)["format"] == "jpeg"
    assert encoder.calls == 1


async def test_a_picture_that_cannot_be_encoded_is_told_to_all_who_wait(
    executor: ThreadPoolExecutor,
) -> None:
    made = Renditions(executor)
    frame = frame_of(1, EncodedImage(b"no picture", "webp", 8, 8))

    results = await asyncio.gather(
        *(made.payload(frame, Form.MSGPACK, JPEG) for _ in range(3)), return_exceptions=True
    )

    assert [type(result) for result in results] == [InvalidError] * 3


async def test_a_failure_that_nobody_waits_for_any_more_is_not_complained_of(
    executor: ThreadPoolExecutor, encoder: Encoder
) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    made = Renditions(executor)
    encoder.gate.clear()
    waiting = asyncio.create_task(made.image(frame_of(1, EncodedImage(b"broken", "webp", 8, 8)), "jpeg"))
    await asyncio.to_thread(encoder.begun.wait, 10)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    encoder.gate.set()
    executor.shutdown(wait=True)
    await asyncio.sleep(0)  # lets the result of the thread arrive
    del made

    assert complaints == []


async def test_old_frames_are_forgotten(executor: ThreadPoolExecutor) -> None:
    made = Renditions(executor)

    for sequence in range(1, 50):
        for form in Form:
            await made.payload(frame_of(sequence, encoded("png")), form, JPEG)

    assert {sequence for sequence, _ in made._made} == {47, 48, 49}


async def test_a_straggler_still_gets_a_frame_that_was_forgotten(executor: ThreadPoolExecutor) -> None:
    made = Renditions(executor)
    await made.payload(frame_of(100), Form.MSGPACK, ALL)

    late = msgpack.unpackb(await made.payload(frame_of(1), Form.MSGPACK, ALL))

    assert late["sequence"] == 1
    assert {sequence for sequence, _ in made._made} == {100}
