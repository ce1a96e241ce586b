"""Folders of pictures: found, loaded, shown in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from fakes import FakeClock
from images import gradient, image_file, png_header, saved
from PIL import Image

from server.errors import InvalidError, NotFoundError, PsycheError
from server.generation import slides
from server.generation.easel import Easel
from server.generation.inference_client import InferenceClient
from server.generation.job import Job, Kind
from server.generation.lane import Lane
from server.generation.picture import PictureOrder
from server.generation.read_ahead import AHEAD
from server.generation.slides import SAMPLES, folders, load, pictures_in, show_folder, show_samples
from server.generation.store import ImageShelf
from server.streaming.canvas import Canvas, CanvasConfig
from server.streaming.frame import Frame
from server.streaming.images import encoders
from server.streaming.wire import Form


PICTURE = Image.fromarray(gradient())


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """A media root with a folder `trip` of three pictures, `a.png` to `c.png`."""
    root = tmp_path / "media"
    (root / "trip").mkdir(parents=True)
    for width, name in enumerate("abc", start=1):
        (root / "trip" / f"{name}.png").write_bytes(image_file("png", width=width))
    return root


class RecordingCanvas(Canvas):
    """A canvas that remembers what was published."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        super().__init__("left", CanvasConfig(fps=4.0), executor=executor)
        self.frames: list[Frame] = []
        self._published = asyncio.Event()

    def publish(self, *args: Any, **options: Any) -> Frame:
        self.frames.append(frame := super().publish(*args, **options))
        self._published.set()
        return frame

    async def until(self, count: int) -> None:
        """Wait until so many frames were published."""
        while len(self.frames) < count:
            self._published.clear()
            await self._published.wait()

    @property
    def widths(self) -> list[int]:
        return [frame.image.width for frame in self.frames]


class WatchedLane(Lane):
    """A lane that tells when somebody begins to wait for a change of it."""

    def __init__(self) -> None:
        super().__init__()
        self._waits = asyncio.Event()

    async def changed(self, within_s: float | None = None) -> None:
        self._waits.set()
        await super().changed(within_s)

    async def until_waited_for(self) -> None:
        """Wait until somebody waits; what made others wait before does not count."""
        self._waits.clear()
        self.wake()
        await self._waits.wait()


class SlideEasel(Easel):
    """Waits for what is due by moving its clock on."""

    async def until_due(self, due_s: float) -> None:
        assert isinstance(self.clock, FakeClock)
        self.clock.now_s = max(self.clock.now_s, due_s)
        await asyncio.sleep(0)


@pytest.fixture
def easel(media: Path) -> Iterator[Easel]:
    """What slides are shown with; its clock stands still but for the waiting."""
    with ThreadPoolExecutor(1) as executor:
        lane = WatchedLane()
        canvas = RecordingCanvas(executor)
        canvas.on_demand = lane.wake
        yield SlideEasel(
            lane=lane,
            client=cast(InferenceClient, None),  # nothing is painted
            results=ImageShelf(),
            uploads=ImageShelf(),
            media_root=media,
            executor=executor,
            notify=lambda job: None,
            canvas=canvas,
            clock=FakeClock(),
        )


def canvas_of(easel: Easel) -> RecordingCanvas:
    assert isinstance(easel.canvas, RecordingCanvas)
    return easel.canvas


def lane_of(easel: Easel) -> WatchedLane:
    assert isinstance(easel.lane, WatchedLane)
    return easel.lane


def started(easel: Easel, kind: Kind = Kind.PLAYLIST, **options: Any) -> Job:
    """Return a job that runs in the easel's lane."""
    job = Job(kind=kind, order=PictureOrder(prompt=""), canvas="left", **options)
    easel.lane.submit(job, now=False)
    assert easel.lane.take() is job
    return job


def test_folders_are_those_of_the_media_root_and_the_samples(media: Path) -> None:
    (media / "night").mkdir()
    (media / ".hidden").mkdir()
    (media / "file.png").write_bytes(b"")

    assert set(folders(media)) == {"trip", "night", SAMPLES}
    assert set(folders(media / "not there")) == {SAMPLES}


def test_pictures_of_a_folder_come_by_name(media: Path) -> None:
    trip = media / "trip"
    for name in ("B.JPG", "notes.txt", "._a.png", ".hidden.png", "d.gif"):
        (trip / name).write_bytes(b"")

    names = [path.name for path in pictures_in(media, "trip")]

    assert names == ["B.JPG", "a.png", "b.png", "c.png", "d.gif"]


@pytest.mark.parametrize(
    "folder",
    ["unknown", "", ".", "..", "../secret", "trip/../../secret", "/etc", "trip/", "TRIP", "trip\x00"],
)
def test_only_the_name_of_a_folder_that_is_there_is_taken(media: Path, folder: str) -> None:
    (media.parent / "secret").mkdir()
    (media.parent / "secret" / "a.png").write_bytes(image_file("png"))

    with pytest.raises(NotFoundError, match=r"there are .*trip") as told:
        pictures_in(media, folder)

    assert told.value.field == "folder"


def test_a_folder_without_pictures_or_with_too_many_is_refused(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (media / "empty").mkdir()
    with pytest.raises(InvalidError, match="holds 0 pictures"):
        pictures_in(media, "empty")

    monkeypatch.setattr(slides, "MAX_FILES", 2)
    with pytest.raises(InvalidError, match="holds 3 pictures; accepted are 1 to 2"):
        pictures_in(media, "trip")


@pytest.mark.parametrize(("suffix", "format_"), [("jpg", "jpeg"), ("png", "png"), ("webp", "webp")])
def test_formats_of_the_web_are_passed_on_as_they_are(tmp_path: Path, suffix: str, format_: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(data := image_file(format_))

    image = load(path)

    assert image.data == data
    assert (image.format, image.width, image.height) == (format_, 32, 24)


@pytest.mark.parametrize("format_", ["bmp", "gif", "tiff"])
def test_other_formats_are_encoded(tmp_path: Path, format_: str) -> None:
    path = tmp_path / f"a.{format_}"
    path.write_bytes(saved(PICTURE, format_))

    image = load(path)

    assert encoders.inspect(image.data) == image
    assert (image.format, image.width, image.height) == ("jpeg", 32, 24)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jpg", b"no picture"),
        ("a.png", b""),
        ("a.png", png_header(20_000, 20_000)),
        ("a.jpg", saved(PICTURE, "gif")),
        ("a.gif", b"no picture"),
        ("a.bmp", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"),
        ("a.bmp", image_file("png")),
        ("a.bmp", saved(PICTURE, "bmp")[:200]),
        ("a.tiff", saved(PICTURE, "tiff")[:200]),
        ("a.bmp", saved(Image.new("1", (4104, 8)), "bmp")),
    ],
)
def test_a_file_that_is_no_picture_is_a_clear_error(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)

    with pytest.raises((PsycheError, OSError)):
        load(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "MAX_IMAGE_BYTES", 10)
    path = tmp_path / "a.png"
    path.write_bytes(image_file("png"))

    with pytest.raises(InvalidError, match="larger than 10 bytes"):
        load(path)


async def test_a_folder_is_shown_once_from_the_first_picture_to_the_last(easel: Easel) -> None:
    job = started(easel, folder="trip", fps=8.0)

    await show_folder(easel, job)

    frames = canvas_of(easel).frames
    assert canvas_of(easel).widths == [1, 2, 3]
    assert [frame.final for frame in frames] == [False, False, True]
    assert {frame.job for frame in frames} == {job.id}
    assert (job.step, job.total_steps) == (3, 3)
    assert job.started_ms is not None
    assert job.ends_ms == job.started_ms + 3 / 8 * 1000.0


async def test_a_loop_begins_again_and_never_says_that_it_ends(easel: Easel) -> None:
    job = started(easel, folder="trip", loop=True)
    canvas = canvas_of(easel)
    with canvas.subscribe(Form.MSGPACK):
        showing = asyncio.create_task(show_folder(easel, job))
        async with asyncio.timeout(10):
            await canvas.until(7)
        showing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await showing

    assert canvas.widths[:7] == [1, 2, 3, 1, 2, 3, 1]
    assert not any(frame.final for frame in canvas.frames)
    assert (job.total_steps, job.ends_ms) == (0, None)


async def test_a_loop_waits_for_a_screen_and_one_that_ends_does_not(easel: Easel) -> None:
    job = started(easel, folder="trip", loop=True)
    showing = asyncio.create_task(show_folder(easel, job))
    async with asyncio.timeout(10):
        for _ in range(3):
            await lane_of(easel).until_waited_for()
        assert canvas_of(easel).frames == []

        with canvas_of(easel).subscribe(Form.MSGPACK):
            await canvas_of(easel).until(1)
    showing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await showing

    assert canvas_of(easel).widths[0] == 1


async def test_a_paused_canvas_holds_a_loop_back_and_lets_finite_pictures_end(easel: Easel) -> None:
    canvas = canvas_of(easel)
    canvas.configure(paused=True)
    await show_folder(easel, started(easel, folder="trip"))
    assert canvas.widths == [1, 2, 3]
    easel.lane.finish(Job.succeed)

    job = started(easel, folder="trip", loop=True)
    async with asyncio.timeout(10):
        with canvas.subscribe(Form.MSGPACK):
            showing = asyncio.create_task(show_folder(easel, job))
            for _ in range(3):
                await lane_of(easel).until_waited_for()
            assert canvas.widths == [1, 2, 3]

            canvas.configure(paused=False)
            await canvas.until(4)
        showing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await showing


async def test_a_loop_yields_to_a_job_that_waits_after_its_picture(easel: Easel) -> None:
    job = started(easel, folder="trip", loop=True)
    waiting = Job(kind=Kind.ONCE, order=PictureOrder(prompt="x"))
    easel.lane.submit(waiting, now=False)
    assert easel.lane.stop_reason == "superseded"
    easel.lane.stop_reason = None
    with canvas_of(easel).subscribe(Form.MSGPACK):
        showing = asyncio.create_task(show_folder(easel, job))
        easel.lane.interruptible(showing.cancel)
        with pytest.raises(asyncio.CancelledError):
            await showing

    assert easel.lane.stop_reason == "superseded"
    assert canvas_of(easel).widths == [1]


async def test_a_picture_that_cannot_be_shown_is_told_once_and_left_out(easel: Easel, media: Path) -> None:
    (media / "trip" / "b.png").write_bytes(b"broken")
    job = started(easel, folder="trip")

    await show_folder(easel, job)

    assert canvas_of(easel).widths == [1, 3]
    assert len(job.warnings) == 1
    assert job.warnings[0].startswith("b.png: ")
    assert job.step == 3


async def test_the_last_picture_that_can_be_shown_is_the_final_one(easel: Easel, media: Path) -> None:
    (media / "trip" / "c.png").write_bytes(b"broken")

    await show_folder(easel, started(easel, folder="trip"))

    frames = canvas_of(easel).frames
    assert {frame.image.width for frame in frames} == {1, 2}
    # It may have been shown before it was known that none comes after it.
    assert (frames[-1].image.width, frames[-1].final) == (2, True)
    assert not any(frame.final for frame in frames[:-1])


async def test_a_folder_of_which_nothing_can_be_shown_fails_the_job(easel: Easel, media: Path) -> None:
    for name in "abc":
        (media / "trip" / f"{name}.png").write_bytes(b"broken")

    for loop in (False, True):
        job = started(easel, folder="trip", loop=loop)
        with pytest.raises(InvalidError, match="no picture of 'trip'"):
            await show_folder(easel, job)
        assert len(job.warnings) == 3
        easel.lane.finish(lambda job: job.fail("x"))


async def test_pictures_of_a_small_folder_are_read_once(
    easel: Easel, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = load

    def counting(path: Path) -> Any:
        read.append(path.name)
        return original(path)

    monkeypatch.setattr(slides, "load", counting)
    monkeypatch.setattr(slides, "SAMPLES_ROOT", easel.media_root)
    (easel.media_root / "trip").rename(easel.media_root / SAMPLES)

    await show_samples(easel, started(easel, Kind.TEST, count=7))

    assert canvas_of(easel).widths == [1, 2, 3, 1, 2, 3, 1]
    assert read == ["a.png", "b.png", "c.png"]


async def test_sixty_pictures_a_second_keep_their_times_without_drift(
    easel: Easel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten seconds, each picture costing 3 ms after it is shown."""
    clock = cast(FakeClock, easel.clock)
    canvas = canvas_of(easel)
    shown_s: list[float] = []
    publish = canvas.publish

    def slowly(*args: Any, **options: Any) -> Frame:
        shown_s.append(clock.now_s)
        clock.advance(0.003)
        return publish(*args, **options)

    monkeypatch.setattr(canvas, "publish", slowly)
    monkeypatch.setattr(slides, "SAMPLES_ROOT", easel.media_root)
    (easel.media_root / "trip").rename(easel.media_root / SAMPLES)

    await show_samples(easel, started(easel, Kind.TEST, count=600, fps=60.0))

    assert len(shown_s) == 600
    late_s = [at - shown_s[0] - place / 60.0 for place, at in enumerate(shown_s)]
    assert max(map(abs, late_s)) < 0.001


async def test_pictures_that_cannot_be_loaded_in_time_are_left_out_and_the_end_comes_when_it_should(
    easel: Easel, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes 100 ms for each picture of 20 a second: two seconds stay two seconds."""
    clock = cast(FakeClock, easel.clock)
    for number in range(40):
        (media / "trip" / f"z{number:02}.png").write_bytes(image_file("png", width=10 + number))
    original = load

    def slowly(path: Path) -> Any:
        clock.advance(0.1)
        return original(path)

    monkeypatch.setattr(slides, "load", slowly)
    started_s = clock.now_s
    await show_folder(easel, started(easel, folder="trip", fps=20.0))

    canvas = canvas_of(easel)
    assert canvas.widths == sorted(canvas.widths)
    assert (canvas.frames[-1].image.width, canvas.frames[-1].final) == (49, True)
    # About 20; a machine that is slow to show them leaves out those that were loaded ahead meanwhile.
    assert 2 / (0.1 * AHEAD) - 1 <= len(canvas.frames) <= 30
    assert canvas.dropped == 43 - len(canvas.frames)
    # 43 places, and what is loaded ahead.
    assert clock.now_s - started_s <= 43 / 20 + 0.8
