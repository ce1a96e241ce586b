"""Single pictures: one at a time on the whole server, shared, bounded, and given up when nobody waits."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fakes import until
from images import encoded, frame_of, image_file
from PIL import Image

from server.errors import InvalidError, ServerFullError
from server.streaming.canvas import CanvasConfig
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders, transcoding
from server.streaming.registry import Registry
from server.streaming.tiers import snapshots as snapshots_module
from server.streaming.tiers.renditions import Renditions
from server.streaming.tiers.snapshots import MAX_WAITING, Snapshots, rounded_width, snapshot_tier
from server.streaming.tiers.sources import Source
from server.streaming.tiers.tier import Tier


WIDE = encoded(width=1280, height=720)
BROKEN = EncodedImage(b"\xff\xd8 no picture \xff\xd9", "jpeg", 8, 8)


class Gate:
    """Decoding for real, counted, and held up where the test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.at_once = 0
        self.most_at_once = 0
        self.opened = threading.Event()
        self.opened.set()
        self._load = transcoding.load
        self._lock = threading.Lock()
        monkeypatch.setattr(transcoding, "load", self)

    def __call__(self, data: bytes, scale: float = 1.0) -> Image.Image:
        with self._lock:
            self.calls += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        assert self.opened.wait(10), "the test never opened the gate"
        try:
            return self._load(data, scale)
        finally:
            self.at_once -= 1


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.opened.set()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


@pytest.fixture
def snapshots(executor: ThreadPoolExecutor, gate: Gate) -> Snapshots:
    return Snapshots(executor)


def ask(snapshots: Snapshots, width: int, image: EncodedImage = WIDE) -> asyncio.Task[EncodedImage]:
    # Each time another source, as of a frame that is not among the newest: the image tells what is the same.
    source, tier = Source(image, 1), snapshot_tier(image, "jpeg", width)
    return asyncio.create_task(snapshots.image(source, tier, width, lambda *made: None))


@pytest.mark.parametrize(
    ("asked", "width"),
    [(None, None), (8, 16), (16, 16), (100, 112), (1264, 1264), (1265, None), (4096, None)],
)
def test_widths_are_rounded_up_so_that_many_share_few_pictures(asked: int | None, width: int | None) -> None:
    assert rounded_width(WIDE, asked) == width


async def test_a_picture_is_made_once_for_all_who_ask_and_kept(snapshots: Snapshots, gate: Gate) -> None:
    gate.opened.clear()
    asked = [ask(snapshots, 320) for _ in range(50)]
    await until(lambda: gate.calls == 1)
    asked += [ask(snapshots, 320) for _ in range(50)]
    gate.opened.set()

    made = await asyncio.gather(*asked)

    assert len({id(picture) for picture in made}) == 1
    assert (made[0].width, made[0].height) == (320, 180)
    assert await ask(snapshots, 320) is made[0]
    assert gate.calls == 1


async def test_pictures_of_all_canvases_are_made_one_after_the_other(
    executor: ThreadPoolExecutor, gate: Gate
) -> None:
    registry = Registry(default=CanvasConfig(), executor=executor)
    canvases = [registry.ensure(f"canvas-{number}", is_temporary=False) for number in range(4)]
    frames = [canvas.publish(WIDE, timestamp_ms=0.0) for canvas in canvases]

    await asyncio.gather(
        *(
            canvas.renditions.image(frame, "png", width=width)
            for canvas, frame in zip(canvases, frames, strict=True)
            for width in (160, 320)
        )
    )

    assert gate.most_at_once == 1


async def test_what_nobody_waits_for_any_more_is_not_begun(snapshots: Snapshots, gate: Gate) -> None:
    gate.opened.clear()
    before = asyncio.all_tasks()
    asked = [ask(snapshots, 16 * number) for number in range(1, 11)]
    await until(lambda: gate.calls == 1)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert asyncio.all_tasks() <= before

    gate.opened.set()
    assert (await ask(snapshots, 640)).width == 640
    assert gate.calls == 2


async def test_what_nobody_waits_for_any_more_is_given_up_at_the_next_step(
    snapshots: Snapshots, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = transcoding.write
    monkeypatch.setattr(transcoding, "write", lambda *of: written.append(of[0].width) or write(*of))
    gate.opened.clear()
    gone = ask(snapshots, 320)
    await until(lambda: gate.calls == 1)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    # Whoever asks for the same again must not be given what was given up.
    again = ask(snapshots, 320)
    gate.opened.set()

    assert (await again).width == 320
    assert written == [320]
    assert gate.calls == 2


async def test_who_asks_when_too_many_pictures_are_waited_for_is_told(
    snapshots: Snapshots, gate: Gate
) -> None:
    gate.opened.clear()
    first = ask(snapshots, 16)
    await until(lambda: gate.calls == 1)
    waiting = [ask(snapshots, 32 + 16 * number) for number in range(MAX_WAITING)]
    await until(lambda: len(snapshots._makings) == MAX_WAITING)

    with pytest.raises(ServerFullError, match=str(MAX_WAITING)):
        await ask(snapshots, 1200)
    # One more who waits for the same makes no more work.
    joined = ask(snapshots, 32)
    waiting.pop().cancel()
    await asyncio.sleep(0)
    late = ask(snapshots, 1200)
    gate.opened.set()

    made = await asyncio.gather(first, joined, late, *waiting)
    assert {picture.width for picture in made} >= {16, 32, 1200}


async def test_a_broken_picture_is_told_to_all_who_wait_and_stops_nobody_else(
    snapshots: Snapshots, gate: Gate
) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    gate.opened.clear()
    broken = [ask(snapshots, 320, BROKEN) for _ in range(2)]
    other = ask(snapshots, 320)
    await until(lambda: gate.calls == 1)
    gate.opened.set()

    for task in broken:
        with pytest.raises(InvalidError):
            await task
    assert (await other).width == 320
    assert complaints == []


async def test_kept_pictures_are_bounded_in_number_and_bytes(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [await ask(snapshots, 16 * number) for number in range(1, 41)]
    assert len(snapshots._kept) == snapshots_module.KEPT
    assert await ask(snapshots, 640) is made[-1]

    monkeypatch.setattr(snapshots_module, "KEPT_BYTES", len(WIDE.data) // 2)
    await ask(snapshots, 656)
    assert not snapshots._kept


async def test_with_a_kept_picture_nothing_is_kept_that_screens_got(executor: ThreadPoolExecutor) -> None:
    snapshots = Snapshots(executor)
    source = Source(WIDE, 1)
    source.encoded[Tier(0.5, "webp", 80)] = (replace(WIDE, data=bytes(1_000_000)), 0.0)
    tier = snapshot_tier(WIDE, "png", 320)

    await snapshots.image(source, tier, 320, lambda *_: None)
    gone = weakref.ref(source)
    del source
    # What the thread ran is let go of when it has come back from it.
    await until(lambda: gc.collect() >= 0 and gone() is None)

    ((image, made),) = snapshots._kept.values()
    assert image is WIDE, "so that no other one takes its identity"
    assert made.width == 320


async def test_pictures_of_frames_that_are_not_shown_any_more_are_not_kept(
    executor: ThreadPoolExecutor, snapshots: Snapshots
) -> None:
    renditions = Renditions(executor, snapshots)
    for sequence in range(1, 10):
        await renditions.image(frame_of(sequence, encoded(width=64, height=48)), "jpeg", width=32)

    assert len(snapshots._kept) == 3
    assert renditions.encoded == 9


async def test_a_picture_that_lies_on_its_side_is_not_squashed(snapshots: Snapshots) -> None:
    exif = Image.Exif()
    exif[encoders.ORIENTATION] = 6
    for format_, size in (("jpeg", (96, 128)), ("png", (96, 128)), ("webp", (128, 96))):
        image = encoders.inspect(image_file(format_, width=128, height=96, exif=exif))
        assert (image.width, image.height) == size

        made = await ask(snapshots, 48, image)

        assert (made.width, made.height) == (48, 48 * size[1] // size[0])


async def test_when_the_pool_is_shut_down_nobody_waits_for_ever(
    executor: ThreadPoolExecutor, snapshots: Snapshots
) -> None:
    executor.shutdown()
    asked = ask(snapshots, 320)

    await asyncio.wait({asked}, timeout=5)
    assert asked.cancelled()
