"""Live pictures and the room that their models take: who gives it up, when, and how it goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from fakes import SOON_S, FakeEngine, until
from services import GatedLoader

from inference.calls import Call
from inference.core import Core, running_core
from inference.errors import ModelLoadError, StoppingError
from inference.live import REST_AFTER_S, LiveSession
from inference.models.entry import State
from protos import psyche_inference_v1_pb2 as pb


# As long as nobody would wait in a test: what takes it fails.
ROOM_WAIT_S = 600.0


@dataclass(eq=False)
class FakeAlarm:
    due_s: float
    callback: Callable[[], None]
    is_set: bool = True

    def cancel(self) -> None:
        self.is_set = False


@dataclass
class FakeTimer:
    """Stands still until it is moved on."""

    now_s: float = 0.0
    alarms: list[FakeAlarm] = field(default_factory=list)

    def __call__(self, delay_s: float, callback: Callable[[], None]) -> FakeAlarm:
        self.alarms.append(FakeAlarm(self.now_s + delay_s, callback))
        return self.alarms[-1]

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        for alarm in [alarm for alarm in self.alarms if alarm.is_set and alarm.due_s <= self.now_s]:
            alarm.cancel()
            alarm.callback()


def of(model: str, prompt: str = "a lighthouse", *, seed: int = 7) -> pb.ImageRequest:
    settings = pb.ImageSettings(width=64, height=64, seed=seed, steps=1)
    return pb.ImageRequest(prompt=prompt, model=model, settings=settings)


class Canvas:
    """A live picture without a transport, whose clock stands still."""

    def __init__(self, core: Core) -> None:
        self.timer = FakeTimer()
        self.session = LiveSession(
            core._pictures, self._take, Call("", 1, asyncio.timeout(None)), call_later=self.timer
        )
        self._commands: asyncio.Queue[pb.PaintCommand | None] = asyncio.Queue()
        self._events: asyncio.Queue[pb.PaintEvent] = asyncio.Queue()
        self.run = asyncio.create_task(self.session.run(self._follow()))

    async def _follow(self) -> AsyncIterator[pb.PaintCommand]:
        while (command := await self._commands.get()) is not None:
            yield command

    async def _take(self, event: pb.PaintEvent) -> None:
        self._events.put_nowait(event)

    def open(self, request: pb.ImageRequest) -> None:
        self._commands.put_nowait(pb.PaintCommand(open=pb.PaintOpen(request=request, revision=1)))

    def retarget(
        self, request: pb.ImageRequest, revision: int, *, at_s: float = 0.0, transition_s: float = 0.0
    ) -> None:
        retarget = pb.PaintRetarget(request=request, revision=revision, at_s=at_s, transition_s=transition_s)
        self._commands.put_nowait(pb.PaintCommand(retarget=retarget))

    def credit(self, time_s: float = 0.0) -> None:
        self._commands.put_nowait(pb.PaintCommand(credit=pb.PaintCredit(time_s=time_s)))

    def close(self) -> None:
        self._commands.put_nowait(None)

    async def event(self) -> pb.PaintEvent:
        async with asyncio.timeout(SOON_S):
            return await self._events.get()

    async def frame(self, time_s: float = 0.0) -> pb.PaintFrame:
        self.credit(time_s)
        event = await self.event()
        assert event.HasField("frame"), event
        return event.frame

    async def frames_until(self, model: str) -> list[pb.PaintFrame]:
        """Give credits one by one until a model paints."""
        frames = [await self.frame()]
        async with asyncio.timeout(SOON_S):
            while frames[-1].metadata.model != model:
                frames.append(await self.frame())
        return frames

    def rest(self) -> None:
        """Let nobody watch for as long as it takes."""
        self.timer.advance(REST_AFTER_S)


@dataclass
class Wall:
    """A service, and the canvases that it paints."""

    core: Core
    loader: GatedLoader
    canvases: list[Canvas] = field(default_factory=list)

    def canvas(self, model: str) -> Canvas:
        canvas = Canvas(self.core)
        self.canvases.append(canvas)
        canvas.open(of(model))
        return canvas

    def leases(self, model: str) -> int:
        return self.core.house._rooms.find(model).leases

    def state(self, model: str) -> State:
        return self.core.house.state(model)

    def is_crowded(self, model: str) -> bool:
        crowded = self.core.house._rooms.find(model).crowded
        return crowded is not None and crowded.done()

    async def still(self, model: str) -> str:
        async with asyncio.timeout(SOON_S):
            return (await self.core.generate(of(model))).metadata.model


@asynccontextmanager
async def open_wall(*, fallback_model: str = "", max_models: int = 1) -> AsyncIterator[Wall]:
    """A service with the models "a", "b" and "c", and "fake", which is always ready and takes no room.

    In the end nothing is leased.
    """
    loader = GatedLoader(FakeEngine("a"), FakeEngine("b"), FakeEngine("c"))
    keep = loader.keep(
        ready=FakeEngine(), fallback_model=fallback_model, max_models=max_models, room_wait_s=ROOM_WAIT_S
    )
    async with running_core(keep) as core:
        wall = Wall(core, loader)
        try:
            yield wall
        finally:
            loader.gate.set()
            for canvas in wall.canvases:
                canvas.run.cancel()
                with contextlib.suppress(asyncio.CancelledError, ModelLoadError, StoppingError):
                    await canvas.run
        assert {name: wall.leases(name) for name in core.house.models} == dict.fromkeys(core.house.models, 0)


async def test_a_picture_that_nobody_watches_makes_room_and_gets_its_model_back() -> None:
    async with open_wall() as wall:
        canvas = wall.canvas("a")
        await canvas.frame()
        canvas.rest()

        assert wall.leases("a") == 0
        assert wall.state("a") is State.READY
        assert await wall.still("b") == "b"
        assert wall.state("a") is State.NOT_LOADED
        frame = await canvas.frame()

        assert (frame.metadata.model, frame.revision, list(frame.metadata.warnings)) == ("a", 1, [])
        assert wall.leases("a") == 1


async def test_where_its_model_is_still_loaded_a_picture_goes_on_at_once() -> None:
    async with open_wall(fallback_model="fake") as wall:
        canvas = wall.canvas("a")
        await canvas.frames_until("a")
        canvas.rest()
        wall.loader.gate.clear()
        frame = await canvas.frame()

        assert (frame.metadata.model, list(frame.metadata.warnings)) == ("a", [])
        assert wall.leases("a") == 1


async def test_another_model_paints_until_the_one_that_was_unloaded_is_back() -> None:
    async with open_wall(fallback_model="fake") as wall:
        canvas = wall.canvas("a")
        await canvas.frames_until("a")
        canvas.retarget(of("a", "night", seed=9), 2, at_s=4.0, transition_s=10.0)
        before = await canvas.frame(5.0)
        canvas.rest()
        assert await wall.still("b") == "b"
        wall.loader.gate.clear()
        meanwhile = await canvas.frame(5.0)
        wall.loader.gate.set()
        await until(lambda: wall.leases("a") == 1)
        (target,) = canvas.session._steering.course._targets
        after = await canvas.frame(5.0)

        assert (meanwhile.metadata.model, meanwhile.revision) == ("fake", 2)
        assert list(meanwhile.metadata.warnings) == ["a is being loaded; painted by fake until then"]
        assert (after.metadata.model, after.revision, list(after.metadata.warnings)) == ("a", 2, [])
        assert after.image_data == before.image_data
        # Transitions under way go on as they were.
        assert [
            (frame.revision, frame.at_s, frame.transition_s) for frame in target.work.timeline.keyframes
        ] == [(1, 0.0, 0.0), (2, 4.0, 10.0)]


async def test_a_picture_that_is_watched_or_owed_a_frame_does_not_rest() -> None:
    async with open_wall() as wall:
        canvas = wall.canvas("a")
        await canvas.frame()
        canvas.timer.advance(0.9 * REST_AFTER_S)
        await canvas.frame()
        canvas.timer.advance(0.9 * REST_AFTER_S)
        assert wall.leases("a") == 1
        engine = wall.loader.engines["a"]
        engine.gate.clear()
        canvas.credit()
        await engine.wait_until_stepping()
        canvas.timer.advance(2.0 * REST_AFTER_S)

        assert wall.leases("a") == 2  # Its own, and the frame's.
        engine.gate.set()
        assert (await canvas.event()).frame.metadata.model == "a"


async def test_a_picture_that_was_opened_for_nobody_rests_as_well() -> None:
    async with open_wall() as wall:
        canvas = wall.canvas("a")
        await until(lambda: wall.leases("a") == 1 and bool(canvas.timer.alarms))
        canvas.rest()

        assert wall.leases("a") == 0
        assert (await canvas.frame()).metadata.model == "a"


@pytest.mark.parametrize("model", ["a", "b"])
async def test_a_new_target_of_a_resting_picture_is_judged_and_its_model_not_held(model: str) -> None:
    async with open_wall(max_models=2) as wall:
        canvas = wall.canvas("a")
        await canvas.frame()
        canvas.rest()
        canvas.retarget(of(model, "unpaintable"), 2)
        refused = (await canvas.event()).error
        canvas.retarget(of(model, "night", seed=9), 3)
        canvas.retarget(of(model, ""), 4)
        later = (await canvas.event()).error

        assert (refused.revision, refused.field, later.revision) == (2, "prompt", 4)
        await until(lambda: wall.leases(model) == 0 and wall.state(model) is State.READY)
        assert wall.leases("a") == 0
        frame = await canvas.frame()
        assert (frame.revision, frame.metadata.model, frame.metadata.seed) == (3, model, 9)


async def test_a_new_target_of_a_model_that_was_unloaded_is_painted_by_the_next_frame() -> None:
    async with open_wall(fallback_model="fake") as wall:
        canvas = wall.canvas("a")
        await canvas.frames_until("a")
        canvas.rest()
        await wall.still("b")
        wall.loader.gate.clear()
        canvas.retarget(of("a", "night"), 2)
        await until(lambda: wall.state("a") is State.LOADING)
        meanwhile = await canvas.frame()
        wall.loader.gate.set()
        frames = await canvas.frames_until("a")

        assert (meanwhile.metadata.model, meanwhile.revision) == ("fake", 2)
        assert frames[-1].revision == 2


async def test_a_broken_target_of_a_resting_picture_leaves_what_it_was() -> None:
    async with open_wall() as wall:
        canvas = wall.canvas("a")
        await canvas.frame()
        canvas.rest()
        wall.loader.broken["b"] = "it is broken"
        canvas.retarget(of("b"), 2)
        refused = (await canvas.event()).error

        assert (refused.revision, refused.field) == (2, "model")
        frame = await canvas.frame()
        assert (frame.revision, frame.metadata.model) == (1, "a")


async def test_a_model_that_does_not_come_back_ends_a_picture_that_nothing_else_can_paint() -> None:
    async with open_wall() as wall:
        canvas = wall.canvas("a")
        await canvas.frame()
        canvas.rest()
        await wall.still("b")
        wall.loader.broken["a"] = "it is broken"
        canvas.credit()

        with pytest.raises(ModelLoadError, match="model a could not be loaded: it is broken"):
            await asyncio.wait_for(canvas.run, SOON_S)


@pytest.mark.parametrize("is_stop", [True, False])
async def test_a_picture_that_ends_while_its_model_comes_back_waits_for_nothing(*, is_stop: bool) -> None:
    async with open_wall() as wall:
        canvas = wall.canvas("a")
        await canvas.frame()
        canvas.rest()
        await wall.still("b")
        wall.loader.gate.clear()
        canvas.credit()
        await until(lambda: wall.state("a") is State.LOADING)
        if is_stop:
            canvas.session.stop()
        else:
            canvas.close()

        with pytest.raises(StoppingError if is_stop else ModelLoadError):
            await asyncio.wait_for(canvas.run, SOON_S)


async def test_a_wall_that_nobody_watches_blocks_no_other_model() -> None:
    async with open_wall(max_models=2) as wall:
        unwatched = [wall.canvas(model) for model in ("a", "b")]
        for canvas in unwatched:
            await canvas.frame()
            canvas.rest()
        assert await wall.still("c") == "c"
        assert (wall.state("a"), wall.state("b")) == (State.NOT_LOADED, State.READY)  # The oldest went.


async def test_a_target_that_begins_later_outlasts_the_way_of_the_one_before_it() -> None:
    async with open_wall(fallback_model="fake", max_models=2) as wall:
        canvas = wall.canvas("a")
        await canvas.frames_until("a")
        await wall.still("b")
        canvas.retarget(of("b"), 2, at_s=5.0)
        await until(lambda: wall.leases("b") == 1)
        canvas.rest()
        assert await wall.still("c") == "c"
        assert wall.state("a") is State.NOT_LOADED
        assert (await canvas.frame(4.0)).revision == 1
        await until(lambda: wall.leases("a") == 1)
        frame = await canvas.frame(5.0)

        assert (frame.revision, frame.metadata.model) == (2, "b")


@pytest.mark.parametrize("fallback_model", ["fake", ""])
async def test_a_picture_that_changes_its_model_makes_the_room_for_it(fallback_model: str) -> None:
    async with open_wall(fallback_model=fallback_model) as wall:
        canvas = wall.canvas("a")
        await canvas.frames_until("a")
        canvas.retarget(of("b"), 2)
        frames = await canvas.frames_until("b")

        assert (frames[-1].revision, list(frames[-1].metadata.warnings)) == (2, [])
        assert {frame.metadata.model for frame in frames} <= {"a", "b", fallback_model}
        assert wall.state("a") is State.NOT_LOADED
        assert wall.core.house.counts["load_failures"] == 0


async def test_the_model_that_stands_in_shows_the_new_target_while_room_is_made() -> None:
    async with open_wall(fallback_model="fake") as wall:
        other, canvas = wall.canvas("a"), wall.canvas("a")
        await other.frames_until("a")
        await canvas.frames_until("a")
        canvas.retarget(of("b"), 2)
        await until(lambda: wall.leases("a") == 1)  # Only the other one's.
        meanwhile = await canvas.frame()

        assert (meanwhile.metadata.model, meanwhile.revision) == ("fake", 2)
        assert list(meanwhile.metadata.warnings) == ["b is being loaded; painted by fake until then"]
        other.rest()
        assert (await canvas.frames_until("b"))[-1].revision == 2


async def test_a_frame_under_way_ends_before_its_model_makes_room() -> None:
    async with open_wall() as wall:
        canvas = wall.canvas("a")
        await canvas.frame()
        engine = wall.loader.engines["a"]
        engine.gate.clear()
        canvas.credit()
        await engine.wait_until_stepping()
        canvas.retarget(of("b"), 2)
        await until(lambda: wall.is_crowded("b"))
        canvas.credit()
        engine.gate.set()
        under_way, after = await canvas.event(), await canvas.event()

        assert (under_way.frame.metadata.model, under_way.frame.revision) == ("a", 1)
        assert (after.frame.metadata.model, after.frame.revision) == ("b", 2)


async def test_a_picture_whose_model_waits_behind_a_load_without_room_makes_room_for_both() -> None:
    async with open_wall(fallback_model="fake") as wall:
        canvas = wall.canvas("a")
        await canvas.frames_until("a")
        still = asyncio.create_task(wall.still("b"))
        await until(lambda: wall.is_crowded("b"))
        canvas.retarget(of("c"), 2)

        assert await still == "b"
        assert (await canvas.frames_until("c"))[-1].revision == 2
