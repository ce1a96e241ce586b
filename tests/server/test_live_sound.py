"""What sound does to a live picture: how its time runs, and what it is painted towards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from fakes import FakeClock
from images import image_file

from inference.requests import DEFAULT_STRENGTH as THEIR_DEFAULT_STRENGTH
from protos import psyche_inference_v1_pb2 as pb
from server.generation import inference_wire as wire
from server.generation.easel import Easel
from server.generation.finite import SEEDS
from server.generation.inference_client import InferenceClient
from server.generation.job import Job, Kind
from server.generation.lane import Lane
from server.generation.live import LivePainter
from server.generation.live_painting import LivePainting
from server.generation.picture import LiveFrame, Models, Picture, PictureOrder
from server.generation.store import ImageShelf
from server.generation.swaying import DEFAULT_STRENGTH, MAX_CHANGE_S, RETARGET_S, Sway
from server.sound.hearing import Features
from server.sound.mapping import Audio, Mapping, Modulation
from server.streaming.canvas import Canvas, CanvasConfig
from server.streaming.frame import EncodedImage
from server.streaming.processing import Processing
from server.streaming.wire import Form


FPS = 10.0
JPEG = image_file("jpeg", width=64)
ORDER = PictureOrder(prompt="sea", seed=100)
LOUD = Features(level=1.0)


def picture() -> Picture:
    metadata = pb.GenerationMetadata(model="turbo", steps=1, width=64, height=64)
    return wire.picture(pb.ImageResponse(image_data=JPEG, format="jpeg", metadata=metadata))


@dataclass
class Retarget:
    """A target that the service was told, with when that was."""

    told_s: float
    frame: int  # how many frames had been asked for
    command: Any


@dataclass
class Service:
    """Paints each frame as it is asked for; meanwhile the time between two frames passes."""

    clock: FakeClock
    on_frame: Callable[[int], None] = lambda frame: None
    # Of a target that waits for its model the frames come later.
    first_of: Callable[[int], int] = lambda revision: 0
    times_s: list[float] = field(default_factory=list)
    retargets: list[Retarget] = field(default_factory=list)
    opened: list[Any] = field(default_factory=list)

    async def is_serving(self, *, deadline_s: float) -> bool:
        return True

    async def models(self, *, deadline_s: float) -> Models:
        return wire.models(pb.ModelResponse())

    @asynccontextmanager
    async def paint(self, order: PictureOrder, revision: int) -> AsyncIterator[LivePainting]:
        painting = LivePainting(order, revision)
        async with asyncio.TaskGroup() as tasks:
            answering = tasks.create_task(self._answer(painting, revision))
            yield painting
            answering.cancel()

    async def _answer(self, painting: LivePainting, revision: int) -> None:
        revisions = [revision]
        while True:
            command = await painting.take_command()
            if command.HasField("open"):
                self.opened.append(command.open)
            elif command.HasField("retarget"):
                self.retargets.append(Retarget(self.clock(), len(self.times_s), command.retarget))
                revisions.append(command.retarget.revision)
            else:
                self.times_s.append(command.credit.time_s)
                frame = len(self.times_s)
                shown = max(known for known in revisions if self.first_of(known) <= frame)
                self.on_frame(frame)
                self.clock.advance(1.0 / FPS)
                await painting.offer(LiveFrame(shown, command.credit.time_s, picture()))


@dataclass
class Studio:
    """A canvas that hears, and the service that paints for it."""

    easel: Easel
    canvas: Canvas
    service: Service
    clock: FakeClock

    def submit(self, order: PictureOrder, **fields: Any) -> Job:
        job = Job(Kind.LIVE, order, canvas="left", **fields)
        self.easel.lane.submit(job, now=True)
        return job

    async def paint(self, frames: int, on_frame: Callable[[int], None] = lambda frame: None) -> None:
        """Paint so many frames of the waiting job; `on_frame` is told of each, from 1."""

        def count(frame: int) -> None:
            on_frame(frame)
            if frame == frames:
                self.easel.lane.stop("enough")

        self.service.on_frame = count
        self.easel.lane.take()
        async with asyncio.timeout(10):
            await LivePainter(self.easel).paint()

    def hear(self, features: Features = LOUD) -> None:
        self.canvas.hearing.hear("page", features)

    def map(self, *mappings: tuple[str, str, float, float]) -> None:
        audio = Audio(mappings=tuple(Mapping(*mapping, smoothing_s=0.0) for mapping in mappings))
        self.canvas.configure(audio=audio)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with ThreadPoolExecutor(1) as executor:
        clock = FakeClock()
        canvas = Canvas("left", CanvasConfig(fps=FPS), executor=executor, clock=clock)
        service = Service(clock)
        easel = Easel(
            lane=Lane(),
            client=cast(InferenceClient, service),
            results=ImageShelf(),
            uploads=ImageShelf(),
            media_root=tmp_path,
            executor=executor,
            notify=lambda job: None,
            canvas=canvas,
            clock=clock,
        )
        with canvas.subscribe(Form.MSGPACK):
            yield Studio(easel, canvas, service, clock)


def steps(times_s: list[float]) -> list[float]:
    return [round(later - earlier, 6) for earlier, later in pairwise(times_s)]


async def test_without_sound_time_runs_as_ever_and_no_target_is_told(studio: Studio) -> None:
    studio.map(
        ("level", "speed", 2.0, 4.0),
        ("level", "strength", 0.2, 0.9),
        ("level", "seed", 2.0, 4.0),
        ("level", "guidance", 2.0, 9.0),
    )
    studio.submit(replace(ORDER, guidance_scale=5.0, source=JPEG))

    await studio.paint(60, lambda frame: studio.hear(Features()) if frame > 30 else None)

    assert steps(studio.service.times_s) == [0.1] * 59
    assert studio.service.retargets == []


async def test_sound_makes_time_run_faster_without_a_jump_and_only_as_long_as_it_lasts(
    studio: Studio,
) -> None:
    studio.map(("level", "speed", 1.0, 4.0))
    studio.submit(ORDER)

    await studio.paint(40, lambda frame: studio.hear() if 10 <= frame < 20 else None)

    moved = steps(studio.service.times_s)
    fast = moved.count(0.4)
    assert moved == [0.1] * 9 + [0.4] * fast + [0.1] * (30 - fast)
    # Nine more messages, and the second after the last one.
    assert fast == pytest.approx(19, abs=1)
    assert studio.service.retargets == []


async def test_time_stands_still_at_no_speed_and_never_runs_backwards(studio: Studio) -> None:
    studio.map(("level", "speed", 1.0, 0.0), ("level", "seed", 0.0, 4.0))
    studio.submit(ORDER)

    await studio.paint(30, lambda frame: studio.hear() if frame < 20 else None)

    moved = steps(studio.service.times_s)
    assert moved[:18] == [0.0] * 18
    assert min(moved) >= 0.0
    assert moved[-1] == 0.1
    # What it has drifted by meanwhile shows once time goes on: nothing changes while it stands still.
    assert next(told.frame for told in studio.service.retargets) >= 28


async def test_strength_moves_around_what_was_asked_for_in_steps(studio: Studio) -> None:
    studio.map(("level", "strength", 0.0, 0.3))
    job = studio.submit(replace(ORDER, strength=0.5, source=JPEG))

    await studio.paint(40, lambda frame: studio.hear(Features(level=0.5)) if frame < 20 else None)

    moved = [round(told.command.request.settings.strength, 3) for told in studio.service.retargets]
    assert moved == [0.65, 0.5]
    assert job.order.strength == 0.5, "what was asked for stays"


async def test_a_source_without_a_strength_has_that_of_the_service(studio: Studio) -> None:
    studio.map(("level", "strength", 0.0, 1.0))
    studio.submit(replace(ORDER, source=JPEG))

    await studio.paint(8, lambda frame: studio.hear(Features(level=0.2)))

    (told,) = studio.service.retargets
    assert told.command.request.settings.strength == pytest.approx(0.8)
    assert DEFAULT_STRENGTH == THEIR_DEFAULT_STRENGTH


async def test_strength_and_guidance_that_an_order_has_not_are_not_moved(studio: Studio) -> None:
    studio.map(("level", "strength", 0.0, 1.0), ("level", "guidance", 0.0, 20.0))
    studio.submit(ORDER)

    await studio.paint(20, lambda frame: studio.hear())

    assert studio.service.retargets == []


async def test_guidance_moves_in_steps_and_stays_in_its_range(studio: Studio) -> None:
    studio.map(("level", "guidance", 0.0, 20.0))
    studio.submit(replace(ORDER, guidance_scale=15.0))

    def hear(frame: int) -> None:
        # A little around a quarter first, which is less than a step; then as loud as can be.
        studio.hear(Features(level=0.1 + 0.001 * (frame % 3) if frame < 20 else 1.0))

    await studio.paint(30, hear)

    assert [told.command.request.settings.guidance_scale for told in studio.service.retargets] == [17.0, 20.0]


async def test_targets_come_at_most_twice_a_second_each_after_the_change_to_the_one_before(
    studio: Studio,
) -> None:
    studio.map(("level", "guidance", 0.0, 20.0), ("level", "seed", 0.0, 4.0), ("level", "speed", 1.0, 3.0))
    studio.submit(replace(ORDER, guidance_scale=0.0))

    await studio.paint(100, lambda frame: studio.hear(Features(level=(frame % 10 + 1) / 10)))

    told = studio.service.retargets
    assert len(told) >= 10
    for earlier, later in pairwise(told):
        assert later.told_s - earlier.told_s >= RETARGET_S - 1e-6
        assert later.command.at_s >= earlier.command.at_s + earlier.command.transition_s - 1e-6


async def test_the_seed_drifts_on_and_stays_where_it_is_when_the_sound_ends(studio: Studio) -> None:
    studio.map(("level", "seed", 0.0, 1.0))
    studio.submit(ORDER)

    await studio.paint(70, lambda frame: studio.hear() if frame < 40 else None)

    told = studio.service.retargets
    assert [one.command.request.settings.seed for one in told] == [101, 102, 103, 104]
    assert {one.command.transition_s for one in told} == {1.0}, "until the next one is due"


async def test_a_fast_drift_takes_several_seeds_at_once(studio: Studio) -> None:
    studio.map(("level", "seed", 0.0, 4.0))
    studio.submit(ORDER)

    await studio.paint(41, lambda frame: studio.hear())

    seeds = [told.command.request.settings.seed for told in studio.service.retargets]
    assert 6 <= len(seeds) <= 8
    assert seeds[-1] - 100 == pytest.approx(16, abs=2)


def test_a_drifting_seed_stays_among_the_seeds() -> None:
    sway = Sway("job")
    sway.drift_on(Modulation(seed=4.0), 2.0)

    assert sway.moved(replace(ORDER, seed=SEEDS - 3), Modulation()).seed == 5
    assert sway.moved(replace(ORDER, seed=None), Modulation()).seed is None


def test_a_change_lasts_until_the_next_seed_is_due_but_never_long() -> None:
    sway = Sway("job")
    for rate, lasts_s in ((4.0, RETARGET_S), (1.0, 1.0), (0.01, MAX_CHANGE_S), (0.0, RETARGET_S)):
        sway.drift_on(Modulation(seed=rate), 0.0)
        assert sway.begin(0.0, 0.0, 1.0) == lasts_s
    # On the timeline, which runs faster; and as long as that once it runs as ever.
    assert sway.begin(0.0, 0.0, 4.0) == 4.0 * RETARGET_S
    assert sway.begin(0.0, 0.0, 8.0) == MAX_CHANGE_S
    sway.drift_on(Modulation(seed=0.1), 0.0)
    assert sway.begin(0.0, 0.0, 8.0) == MAX_CHANGE_S


async def test_a_new_job_changes_as_slowly_as_it_asks_and_is_moved_only_afterwards(studio: Studio) -> None:
    studio.map(("level", "guidance", 0.0, 10.0), ("level", "seed", 0.0, 4.0))
    studio.submit(ORDER)
    second = replace(ORDER, prompt="fire", seed=7, guidance_scale=5.0)

    def happen(frame: int) -> None:
        if frame == 10:
            studio.submit(second, transition_s=3.0)
        studio.hear(Features(level=0.2 if frame < 12 else 0.6))

    await studio.paint(60, happen)

    of_second = [told for told in studio.service.retargets if told.command.request.prompt == "fire"]
    first, later = of_second[0], of_second[1]
    assert first.command.transition_s == 3.0
    # As the sound has it at that moment, but no drift of the job before.
    assert first.command.request.settings.guidance_scale == pytest.approx(7.0)
    assert first.command.request.settings.seed == 7
    assert later.command.at_s >= first.command.at_s + 3.0 - 1e-6


@pytest.mark.parametrize("speed", [0.0, 0.001, 8.0])
async def test_a_change_that_somebody_asked_for_takes_as_long_however_fast_the_sound_has_time_run(
    studio: Studio, speed: float
) -> None:
    studio.map(("level", "speed", 1.0, speed))
    studio.submit(ORDER)

    def happen(frame: int) -> None:
        studio.hear()
        if frame == 10:
            studio.submit(replace(ORDER, prompt="fire"), transition_s=2.0)

    await studio.paint(50, happen)

    (told,) = studio.service.retargets
    times_s = studio.service.times_s
    assert steps(times_s)[:8] == [pytest.approx(0.1 * speed)] * 8
    # Two seconds are twenty frames, and the one after them may be a part of the way.
    assert times_s[told.frame + 19] - told.command.at_s == pytest.approx(2.0, abs=0.11)
    assert steps(times_s)[-5:] == [pytest.approx(0.1 * speed)] * 5


async def test_a_picture_that_is_shown_anew_holds_up_no_frame_that_is_being_painted(studio: Studio) -> None:
    studio.submit(ORDER)
    # Somebody drags a slider of the studio.
    await studio.paint(
        20, lambda frame: studio.canvas.configure(processing=Processing(brightness=1.0 + frame / 100))
    )

    # Nothing stands there to be shown anew before the first frame, and the last one is not waited for.
    assert studio.canvas.taken >= 19
    assert studio.canvas.counters()["sequence"] >= 2 * studio.canvas.taken - 1


async def test_a_picture_that_was_pushed_meanwhile_is_newer_than_the_frame(studio: Studio) -> None:
    studio.submit(ORDER)
    pushed = EncodedImage(JPEG, "jpeg", 64, 64)

    await studio.paint(5, lambda frame: void(studio.canvas.publish(pushed, timestamp_ms=0.0)))

    assert studio.canvas.taken == 5
    assert studio.canvas.newest is not None
    assert studio.canvas.newest.job is None


def void(_: object) -> None:
    """Return nothing."""


async def test_a_job_that_waits_for_its_model_is_not_moved_until_it_is_painted(studio: Studio) -> None:
    studio.map(("level", "seed", 0.0, 4.0))
    first = studio.submit(ORDER)
    shown: list[str | None] = []
    # The second job's frames come from the hundredth on; revisions of the first are kept that long.
    second: list[Job] = []

    def happen(frame: int) -> None:
        studio.hear()
        if frame == 2:
            second.append(studio.submit(replace(ORDER, prompt="fire")))
            told = len(studio.service.retargets)
            studio.service.first_of = lambda revision: 100 if revision > told + 1 else 0
        if studio.canvas.newest is not None:
            shown.append(studio.canvas.newest.job)

    await studio.paint(130, happen)

    assert set(shown) == {first.id, second[0].id}, "every frame is known to be of a job"
    of_second = [told for told in studio.service.retargets if told.command.request.prompt == "fire"]
    assert len(of_second) >= 3
    assert [told for told in of_second[1:] if told.frame < 100] == []


async def test_a_finite_job_is_painted_as_it_was_asked_for(studio: Studio) -> None:
    studio.map(("level", "strength", 0.0, 1.0))
    studio.hear()

    assert studio.canvas.modulation.strength == 1.0
    asked = replace(ORDER, source=JPEG, strength=0.4)
    assert studio.easel.complete(asked).strength == 0.4


def test_however_fast_time_runs_targets_come_no_faster() -> None:
    sway = Sway("job")
    assert sway.is_due(0.0, 0.0)
    sway.begin(0.0, 0.0, 1.0)

    # The timeline has run eight times as fast since.
    assert not sway.is_due(RETARGET_S - 0.01, 8.0 * RETARGET_S)
    assert sway.is_due(RETARGET_S, 8.0 * RETARGET_S)
    # And slower: the change is not over yet.
    assert not sway.is_due(RETARGET_S, 0.1 * RETARGET_S)
