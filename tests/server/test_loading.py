"""Jobs whose model is not loaded yet: waited for, told, and not taken for an outage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from fakes import until
from images import image_file

from protos import psyche_inference_v1_pb2 as pb
from server.errors import InferenceCancelledError, InferenceFailedError, InferenceUnavailableError
from server.generation import finite, live, loading
from server.generation import inference_wire as wire
from server.generation.backoff import Backoff
from server.generation.easel import Easel, Limits
from server.generation.finite import paint_finite
from server.generation.inference_client import InferenceClient
from server.generation.job import Job, Kind, State
from server.generation.lane import Lane
from server.generation.live import LivePainter
from server.generation.live_painting import LivePainting
from server.generation.loading import find_loading
from server.generation.picture import LiveFrame, Models, Picture, PictureOrder, Progress
from server.generation.producer import Producer
from server.generation.store import ImageShelf
from server.streaming.canvas import Canvas, CanvasConfig
from server.streaming.wire import Form


JPEG = image_file("jpeg", width=64)


def picture(*warnings: str) -> Picture:
    metadata = pb.GenerationMetadata(model="turbo", steps=1, width=64, height=64, warnings=warnings)
    return wire.picture(pb.ImageResponse(image_data=JPEG, format="jpeg", metadata=metadata))


class LoadingService:
    """An inference service whose model is in the state that a test says.

    A finite picture comes once `finished` is set; a live one when the test offers it.
    """

    def __init__(self) -> None:
        self.state = pb.ModelInfo.STATE_LOADING
        self.is_away = False
        self.error: Exception | None = None
        self.finished = asyncio.Event()
        self.paintings: list[LivePainting] = []
        self.calls = 0
        self.counts: list[int] = []  # of the variations of each call
        self.breaks_after: int | None = None  # so many variations, once

    async def is_serving(self, *, deadline_s: float) -> bool:
        return not self.is_away

    async def models(self, *, deadline_s: float) -> Models:
        if self.is_away:
            raise InferenceUnavailableError("away")
        info = pb.ModelInfo(name="turbo", state=self.state)
        return wire.models(pb.ModelResponse(models=[info], default_model="turbo"))

    @asynccontextmanager
    async def paint(self, order: PictureOrder, revision: int) -> AsyncIterator[LivePainting]:
        self.paintings.append(LivePainting(order, revision))
        yield self.paintings[-1]

    async def generate_stream(
        self, order: PictureOrder, *, previews: bool, deadline_s: float
    ) -> AsyncGenerator[Progress | Picture, None]:
        self.calls += 1
        if self.error:
            raise self.error
        await self.finished.wait()
        yield Progress(0, 1, b"")
        yield picture()

    async def variations(
        self, order: PictureOrder, count: int, *, deadline_s: float
    ) -> AsyncGenerator[Picture, None]:
        await self.finished.wait()
        self.counts.append(count)
        for number in range(count):
            if number == self.breaks_after:
                self.breaks_after = None
                raise InferenceUnavailableError("lost")
            yield picture()


class Studio:
    """An easel, its inference service, and time that passes when a test says so."""

    def __init__(self, folder: Path, executor: ThreadPoolExecutor, canvas: Canvas | None) -> None:
        self.now_s = 1000.0
        self.service = LoadingService()
        self.told: list[str | None] = []
        self.lane = Lane()
        self.easel = Easel(
            lane=self.lane,
            client=cast(InferenceClient, self.service),
            results=ImageShelf(),
            uploads=ImageShelf(),
            media_root=folder,
            executor=executor,
            notify=lambda job: self.told.append(job.loading),
            canvas=canvas,
            limits=Limits(frame_s=60.0, load_s=1800.0, retry_s=600.0),
            clock=lambda: self.now_s,
        )

    def start(self, kind: Kind, **fields: object) -> Job:
        self.lane.submit(Job(kind, PictureOrder(prompt="sea"), **fields), now=True)  # type: ignore[arg-type]
        job = self.lane.take()
        assert job is not None
        return job

    async def pass_s(self, seconds: float, until_true: Callable[[], bool]) -> None:
        """Let time pass in the steps in which it is looked up."""
        for _ in range(int(seconds / 3.0)):
            self.now_s += 3.0
            # Each look takes a few turns of the loop.
            await asyncio.sleep(0.001)
            if until_true():
                return
        raise AssertionError(f"it did not happen within {seconds:g} s")

    async def frame(self, *warnings: str, revision: int = 1, sustainable_fps: float = 0.0) -> None:
        """Answer the credit of the newest painting."""
        painting = self.service.paintings[-1]
        while not (await painting.take_command()).HasField("credit"):
            pass
        await painting.offer(LiveFrame(revision, 0.0, picture(*warnings), sustainable_fps))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look up at once; the studio's clock says how much time has passed."""
    monkeypatch.setattr(live, "LOOK_UP_S", 0.0001)
    monkeypatch.setattr(loading, "LOOK_AFTER_S", 0.0001)


@pytest.fixture
async def studio(tmp_path: Path, at_once: None) -> AsyncIterator[Studio]:
    """A studio with a canvas that one screen watches."""
    with ThreadPoolExecutor(1) as executor:
        canvas = Canvas("left", CanvasConfig(fps=60.0), executor=executor)
        with canvas.subscribe(Form.MSGPACK):
            yield Studio(tmp_path, executor, canvas)


@asynccontextmanager
async def painting(studio: Studio) -> AsyncIterator[Job]:
    """Paint a live job as long as the body lasts."""
    job = studio.start(Kind.LIVE)
    task = asyncio.create_task(LivePainter(studio.easel).paint())
    try:
        await until(lambda: bool(studio.service.paintings))
        yield job
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_model_that_takes_long_to_load_is_no_outage(studio: Studio) -> None:
    async with painting(studio) as job:
        await studio.pass_s(9.0, lambda: job.loading == "turbo")
        with pytest.raises(AssertionError, match="1500 s"):
            await studio.pass_s(
                1500.0, lambda: studio.easel.is_inference_lost or len(studio.service.paintings) > 1
            )
        assert job.to_json()["loading"] == "turbo"

        await studio.frame()
        await until(lambda: studio.easel.canvas.published.total == 1)  # type: ignore[union-attr]

        assert job.loading is None
    assert studio.told.count("turbo") == 1


async def test_a_load_is_not_waited_for_for_ever(studio: Studio) -> None:
    async with painting(studio):
        await studio.pass_s(2100.0, lambda: len(studio.service.paintings) > 1)


@pytest.mark.parametrize("state", [pb.ModelInfo.STATE_READY, pb.ModelInfo.STATE_FAILED])
async def test_a_loaded_model_that_gives_no_frame_is_an_outage(
    studio: Studio, state: pb.ModelInfo.State.ValueType
) -> None:
    studio.service.state = state
    async with painting(studio) as job:
        await studio.pass_s(90.0, lambda: len(studio.service.paintings) > 1)

        assert job.loading is None


async def test_a_service_that_vanishes_during_a_load_is_an_outage(studio: Studio) -> None:
    async with painting(studio) as job:
        await studio.pass_s(9.0, lambda: job.loading == "turbo")
        studio.service.is_away = True

        await studio.pass_s(9.0, lambda: studio.easel.is_inference_lost)


async def test_a_warning_of_a_live_frame_goes_with_the_next(studio: Studio) -> None:
    async with painting(studio) as job:
        await studio.frame("turbo is being loaded; painted by procedural until then")
        await until(lambda: bool(job.all_warnings))
        assert job.to_json()["warnings"] == ["turbo is being loaded; painted by procedural until then"]
        studio.now_s += 1.0

        await studio.frame()
        await until(lambda: not job.all_warnings)

    assert len(studio.told) == 2


async def test_an_old_picture_that_goes_on_says_which_model_is_waited_for(studio: Studio) -> None:
    async with painting(studio) as first:
        await studio.frame()
        await until(lambda: studio.easel.canvas.published.total == 1)  # type: ignore[union-attr]
        second = Job(Kind.LIVE, PictureOrder(prompt="forest"))
        studio.lane.submit(second, now=True)
        studio.now_s += 3.0

        await studio.frame(revision=1)
        await until(lambda: second.loading == "turbo")
        assert first.state is State.CANCELLED
        studio.now_s += 3.0
        await studio.frame(revision=2)
        await until(lambda: second.loading is None)


async def test_no_more_is_asked_for_than_the_service_can_paint(studio: Studio) -> None:
    async with painting(studio) as job:
        await studio.frame(sustainable_fps=4.0)
        await until(lambda: job.sustainable_fps == 4.0)
        stream = studio.service.paintings[-1]

        studio.now_s += 1 / 60
        studio.lane.wake()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await stream.take_command()
        studio.now_s += 1 / 4
        studio.lane.wake()
        assert (await stream.take_command()).HasField("credit")


async def test_a_canvas_has_its_own_rate_again_once_the_service_can_paint_more(studio: Studio) -> None:
    async with painting(studio) as job:
        for told_fps, waited_s in (
            (2.0, 0.0),
            (2.0, 1 / 2.5),
            (100.0, 1 / 2.5),
            (100.0, 1 / 60),
            (0.0, 1 / 60),
        ):
            # What the last frame said decides when the next is asked for.
            studio.now_s += waited_s * 1.001
            studio.lane.wake()
            await studio.frame(sustainable_fps=told_fps)
            await until(lambda told_fps=told_fps: job.sustainable_fps == (told_fps or None))  # type: ignore[misc]

        studio.now_s += 1 / 60
        studio.lane.wake()
        await studio.frame()


async def test_an_estimate_near_zero_does_not_stop_the_picture(studio: Studio) -> None:
    async with painting(studio) as job:
        await studio.frame(sustainable_fps=0.01)
        await until(lambda: job.sustainable_fps == 0.01)
        studio.now_s += 1.0
        studio.lane.wake()

        await studio.frame()


@pytest.mark.parametrize("kind", [Kind.ONCE, Kind.VARIATIONS])
async def test_a_finite_job_tells_which_model_it_waits_for(studio: Studio, kind: Kind) -> None:
    job = studio.start(kind, count=1)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(paint_finite(studio.easel, job))
        await until(lambda: job.loading == "turbo")
        studio.service.finished.set()

    assert job.loading is None
    assert len(job.results) == 1


async def test_a_slow_canvas_holds_up_no_service_that_paints_variations(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown_at: list[float] = []
    is_due = asyncio.Semaphore(0)
    canvas = studio.easel.canvas
    assert canvas is not None
    easel_type, show = type(studio.easel), studio.easel.show

    async def until_due(_: Easel, due_s: float) -> None:
        await is_due.acquire()
        studio.now_s = max(studio.now_s, due_s)

    def note(_: Easel, job_id: str | None, shown: Picture, *, final: bool) -> None:
        shown_at.append(studio.now_s)
        show(job_id, shown, final=final)

    monkeypatch.setattr(easel_type, "until_due", until_due)
    monkeypatch.setattr(easel_type, "show", note)
    studio.service.finished.set()
    job = studio.start(Kind.VARIATIONS, count=3, fps=0.1)
    begun_at = studio.now_s
    async with asyncio.TaskGroup() as tasks:
        painted = tasks.create_task(paint_finite(studio.easel, job))
        await until(lambda: len(job.results) == 3)
        assert (job.step, canvas.published.total, painted.done()) == (3, 0, False)
        for _ in range(3):
            is_due.release()

    assert shown_at == [begun_at, begun_at + 10.0, begun_at + 20.0]
    newest = canvas.newest
    assert newest is not None
    assert newest.final


async def test_what_was_painted_before_an_outage_is_shown_meanwhile_and_not_painted_again(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finite, "Backoff", lambda cap_s: Backoff(first_s=0.001, cap_s=0.001))
    studio.service.finished.set()
    studio.service.breaks_after = 2
    canvas = studio.easel.canvas
    assert canvas is not None
    job = studio.start(Kind.VARIATIONS, count=3, fps=60.0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(paint_finite(studio.easel, job))
        # Time stands still, and with it the canvas's pace.
        await until(lambda: len(job.results) == 3)

    assert studio.service.counts == [3, 1]
    assert canvas.published.total == 3


async def test_a_call_that_ends_during_a_load_is_made_again(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finite, "Backoff", lambda cap_s: Backoff(first_s=0.001, cap_s=0.001))
    studio.service.error = InferenceUnavailableError("deadline exceeded")
    job = studio.start(Kind.ONCE)

    async with asyncio.TaskGroup() as tasks:
        painted = tasks.create_task(paint_finite(studio.easel, job))
        with pytest.raises(AssertionError, match="1200 s"):
            await studio.pass_s(1200.0, lambda: studio.easel.is_inference_lost)
        assert studio.service.calls > 10
        assert not painted.done()
        studio.service.error = None
        studio.service.finished.set()

    assert len(job.results) == 1


async def test_a_failure_leaves_the_watch_as_itself(studio: Studio) -> None:
    studio.service.error = InferenceFailedError("model turbo could not be loaded")
    job = studio.start(Kind.ONCE)

    with pytest.raises(InferenceFailedError, match="could not be loaded"):
        await paint_finite(studio.easel, job)


async def test_a_job_that_was_cancelled_at_the_service_is_cancelled(studio: Studio) -> None:
    studio.service.error = InferenceCancelledError("request r1 was cancelled")
    job = Job(Kind.ONCE, PictureOrder(prompt="sea"))
    studio.lane.submit(job, now=True)

    async with asyncio.TaskGroup() as tasks:
        producing = tasks.create_task(Producer(studio.easel).produce())
        await job.ended.wait()
        producing.cancel()

    assert (job.state, job.reason, job.error) == (State.CANCELLED, "cancelled", None)


async def test_while_the_service_is_away_nothing_is_said_to_load(studio: Studio) -> None:
    studio.service.is_away = True

    assert await find_loading(studio.easel, PictureOrder(prompt="sea")) is None
