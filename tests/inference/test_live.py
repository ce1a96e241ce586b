"""Live pictures, over a real channel."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from fakes import FakeEngine, until
from grpc import aio
from PIL import Image
from services import GatedLoader, NoisyEngine, RunningService, running_service

from inference import steering
from inference.models.entry import State
from inference.scheduler import Caller
from protos import psyche_inference_v1_pb2 as pb


def request(prompt: str = "a lighthouse", *, seed: int = 7, steps: int = 1) -> pb.ImageRequest:
    return pb.ImageRequest(
        prompt=prompt,
        settings=pb.ImageSettings(width=64, height=64, seed=seed, steps=steps),
        output=pb.OutputSettings(format="png"),
    )


def opening(asked: pb.ImageRequest | None = None, revision: int = 1) -> pb.PaintCommand:
    return pb.PaintCommand(open=pb.PaintOpen(request=asked or request(), revision=revision))


def credit(time_s: float = 0.0) -> pb.PaintCommand:
    return pb.PaintCommand(credit=pb.PaintCredit(time_s=time_s))


def retarget(
    asked: pb.ImageRequest, revision: int, *, at_s: float = 0.0, transition_s: float = 0.0
) -> pb.PaintCommand:
    command = pb.PaintRetarget(request=asked, revision=revision, at_s=at_s, transition_s=transition_s)
    return pb.PaintCommand(retarget=command)


CLOSE = pb.PaintCommand(close=pb.PaintClose())


class Live:
    """A caller's end of a live picture."""

    def __init__(self, call: aio.StreamStreamCall) -> None:
        self.call = call

    async def send(self, *commands: pb.PaintCommand) -> None:
        for command in commands:
            await self.call.write(command)

    async def receive(self) -> pb.PaintEvent:
        event = await self.call.read()
        assert isinstance(event, pb.PaintEvent), "the stream has ended"
        return event

    async def frame(self) -> pb.PaintFrame:
        event = await self.receive()
        assert event.HasField("frame"), event
        return event.frame

    async def rest(self) -> list[pb.PaintEvent]:
        """Read to the end, however it ends; `call` tells."""
        events = []
        with contextlib.suppress(aio.AioRpcError):
            while isinstance(event := await self.call.read(), pb.PaintEvent):
                events.append(event)
        return events


@asynccontextmanager
async def painting(engine: FakeEngine, folder: Path) -> AsyncIterator[tuple[Live, RunningService]]:
    async with running_service(engine, folder) as service:
        live = Live(service.stub.Paint())
        try:
            yield live, service
        finally:
            live.call.cancel()


def colour(frame: pb.PaintFrame) -> object:
    return Image.open(io.BytesIO(frame.image_data)).getpixel((0, 0))


async def test_credits_are_answered_in_order_one_frame_each(tmp_path: Path) -> None:
    async with painting(FakeEngine(), tmp_path) as (live, _):
        await live.send(opening(revision=5), *(credit(n / 10) for n in range(8)))
        frames = [await live.frame() for _ in range(8)]

    assert [frame.time_s for frame in frames] == [n / 10 for n in range(8)]
    assert [colour(frame) for frame in frames] == [(7, 12, n) for n in range(8)]
    assert {frame.revision for frame in frames} == {5}
    assert frames[0].format == "png"
    assert (frames[0].metadata.seed, frames[0].metadata.model) == (7, "fake")


async def test_without_credit_nothing_is_painted(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with painting(engine, tmp_path) as (live, _):
        await live.send(opening(), credit())
        await live.frame()
        await live.send(CLOSE)

        assert await live.rest() == []
    assert len(engine.batches) == 1


async def test_the_next_frame_is_painted_while_the_last_waits_to_be_sent(tmp_path: Path) -> None:
    engine = FakeEngine(max_batch=1)
    async with painting(engine, tmp_path) as (live, service):
        await live.send(opening(), *(credit(n) for n in range(3)))
        await live.frame()
        await until(lambda: len(engine.batches) == 3)  # Nobody reads, and painting goes on.

        assert service.core.live_sessions == 1


async def test_a_new_target_shows_from_its_time_on(tmp_path: Path) -> None:
    async with painting(FakeEngine(), tmp_path) as (live, _):
        await live.send(opening(), retarget(request("night", seed=9), 2, at_s=5.0), credit(4.0), credit(5.0))
        before, after = await live.frame(), await live.frame()

    assert (before.revision, before.metadata.seed, colour(before)) == (1, 7, (7, 12, 40))
    assert (after.revision, after.metadata.seed, colour(after)) == (2, 9, (9, 5, 50))


async def test_many_targets_in_a_row_keep_the_newest(tmp_path: Path) -> None:
    async with painting(FakeEngine(), tmp_path) as (live, _):
        await live.send(opening())
        for revision in range(2, 20):
            await live.send(retarget(request(seed=revision), revision, at_s=revision, transition_s=600.0))
        await live.send(credit(3.0), credit(100.0))
        old, new = await live.frame(), await live.frame()

    assert old.metadata.seed == old.revision < 19  # The oldest that is still remembered.
    assert (new.revision, new.metadata.seed) == (19, 19)


BAD_TARGETS = [
    (retarget(request(""), 2), "prompt"),
    (retarget(request(steps=1000), 2), "settings.steps"),
    (retarget(request(), 2, at_s=-1.0), "at_s"),
    (retarget(request(), 2, at_s=float("nan")), "at_s"),
    (retarget(request(), 2, transition_s=601.0), "transition_s"),
    (retarget(request(), 2, transition_s=float("nan")), "transition_s"),
]


@pytest.mark.parametrize(("bad", "field"), BAD_TARGETS)
async def test_a_bad_target_is_told_and_the_old_one_goes_on(
    tmp_path: Path, bad: pb.PaintCommand, field: str
) -> None:
    async with painting(FakeEngine(), tmp_path) as (live, _):
        await live.send(opening(), credit(0.1), bad, credit(0.2))
        first, refused, second = await live.frame(), await live.receive(), await live.frame()

    assert (refused.error.field, refused.error.revision) == (field, 2)
    assert refused.error.message.startswith(field)
    assert [(frame.revision, frame.time_s) for frame in (first, second)] == [(1, 0.1), (1, 0.2)]


async def test_many_bad_targets_wait_for_the_caller_to_read(tmp_path: Path) -> None:
    async with painting(FakeEngine(), tmp_path) as (live, _):
        await live.send(opening(), *(retarget(request(""), n) for n in range(50)), CLOSE)

        assert [event.error.revision for event in await live.rest()] == list(range(50))


@pytest.mark.parametrize("time_s", [-0.5, float("nan"), float("inf")])
async def test_a_bad_time_answers_its_credit_with_an_error(tmp_path: Path, time_s: float) -> None:
    async with painting(FakeEngine(), tmp_path) as (live, _):
        await live.send(opening(), credit(time_s), credit(1.0))
        refused, frame = await live.receive(), await live.frame()

    assert refused.error.field == "time_s"
    assert frame.time_s == 1.0


async def test_a_frame_that_fails_answers_its_credit_and_the_stream_goes_on(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with painting(engine, tmp_path) as (live, _):
        await live.send(
            opening(request("fails to finish")), retarget(request(), 2, at_s=1.0), credit(0.0), credit(1.0)
        )
        failed, frame = await live.receive(), await live.frame()

    assert (failed.error.revision, failed.error.field) == (1, "")
    assert failed.error.message == "it failed to finish"
    assert frame.revision == 2


async def test_progress_is_told_between_the_steps_of_a_frame(tmp_path: Path) -> None:
    async with painting(FakeEngine(max_batch=8), tmp_path) as (live, _):
        await live.send(opening(request(steps=3)), credit(1.0), credit(2.0), CLOSE)
        events = await live.rest()

    told = [
        (event.progress.revision, event.progress.step, event.progress.total_steps)
        if event.HasField("progress")
        else event.frame.time_s
        for event in events
    ]
    assert told == [(1, 1, 3), (1, 2, 3), 1.0, (1, 1, 3), (1, 2, 3), 2.0]


@pytest.mark.parametrize("is_command", [True, False])
async def test_closing_answers_what_is_owed_and_ends(tmp_path: Path, *, is_command: bool) -> None:
    engine = FakeEngine(max_batch=1)
    engine.gate.clear()
    async with painting(engine, tmp_path) as (live, _):
        await live.send(opening(), credit(1.0), credit(2.0))
        if is_command:
            await live.send(CLOSE)
        else:
            await live.call.done_writing()
        engine.gate.set()

        assert [event.frame.time_s for event in await live.rest()] == [1.0, 2.0]
        assert await live.call.code() is grpc.StatusCode.OK


async def test_nine_unanswered_credits_end_the_call(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with painting(engine, tmp_path) as (live, _):
        await live.send(opening(), *(credit(n) for n in range(9)))

        assert await live.call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await live.call.details() == "already 8 credits are unanswered, which is the limit"
        engine.gate.set()


async def test_a_credit_given_for_each_frame_is_never_one_too_many(tmp_path: Path) -> None:
    async with painting(FakeEngine(), tmp_path) as (live, _):
        await live.send(opening(), *(credit() for _ in range(8)))
        for _ in range(200):
            await live.frame()
            await live.send(credit())


@pytest.mark.parametrize(
    ("commands", "code", "details"),
    [
        ([credit()], "FAILED_PRECONDITION", "open must come first, got credit"),
        ([retarget(request(), 1)], "FAILED_PRECONDITION", "open must come first, got retarget"),
        ([opening(), opening()], "FAILED_PRECONDITION", "open must come once, got another"),
        ([opening(request(""))], "INVALID_ARGUMENT", "prompt must be 1 to 2000 characters, got none"),
    ],
)
async def test_commands_out_of_order_end_the_call(
    tmp_path: Path, commands: list[pb.PaintCommand], code: str, details: str
) -> None:
    async with painting(FakeEngine(), tmp_path) as (live, _):
        await live.send(*commands)

        assert (await live.call.code()).name == code
        assert await live.call.details() == details


async def test_a_bad_first_target_is_named_in_the_trailer(tmp_path: Path) -> None:
    async with painting(FakeEngine(), tmp_path) as (live, _):
        await live.send(opening(request(steps=1000)))

        assert ("psyche-field", "settings.steps") in tuple(await live.call.trailing_metadata())


async def test_unknown_commands_and_a_close_at_once_are_harmless(tmp_path: Path) -> None:
    async with painting(FakeEngine(), tmp_path) as (live, _):
        await live.send(pb.PaintCommand(), CLOSE)

        assert await live.rest() == []
        assert await live.call.code() is grpc.StatusCode.OK


async def test_a_caller_that_goes_drops_its_frames_and_no_others(tmp_path: Path) -> None:
    engine = FakeEngine(max_batch=1)
    engine.gate.clear()
    async with painting(engine, tmp_path) as (live, service):
        await live.send(opening(request("gone")), *(credit(n) for n in range(8)))
        await engine.wait_until_stepping()
        neighbour = Live(service.stub.Paint())
        await neighbour.send(opening(request("stays")), credit(1.0))
        live.call.cancel()
        scheduler = service.core.scheduler
        await until(lambda: service.core.live_sessions == scheduler.unfinished == 1)
        engine.gate.set()

        assert (await neighbour.frame()).time_s == 1.0
        neighbour.call.cancel()
    assert engine.finished in (["stays"], ["gone", "stays"])  # The step that ran ends.


async def test_a_stop_answers_what_is_owed_and_ends_live_pictures_at_once(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with running_service(engine, tmp_path, grace_period_s=60.0) as service:
        channel = aio.insecure_channel(service.address)
        live = Live(type(service.stub)(channel).Paint())
        await live.send(opening(), credit(1.0))
        await live.frame()
        engine.gate.clear()
        await live.send(credit(2.0))
        await engine.wait_until_stepping()
        asyncio.get_running_loop().call_later(0.01, engine.gate.set)

    assert (await live.frame()).time_s == 2.0
    assert await live.call.code() is grpc.StatusCode.UNAVAILABLE
    await channel.close()


@asynccontextmanager
async def switching(
    loader: GatedLoader, folder: Path, *, fallback_model: str = "", max_models: int = 2
) -> AsyncIterator[tuple[Live, RunningService]]:
    """A live picture where "fake" is ready and the loader's models are loaded on demand."""
    keep = loader.keep(ready=FakeEngine(), fallback_model=fallback_model, max_models=max_models)
    async with running_service(keep, folder) as service:
        live = Live(service.stub.Paint())
        try:
            yield live, service
        finally:
            live.call.cancel()
            loader.gate.set()


def of(model: str, prompt: str = "a lighthouse", *, steps: int = 1) -> pb.ImageRequest:
    asked = request(prompt, steps=steps)
    asked.model = model
    return asked


async def frames_until(live: Live, condition: Callable[[pb.PaintFrame], bool]) -> list[pb.PaintFrame]:
    """Give credits one by one until a frame is the one waited for."""
    frames = []
    async with asyncio.timeout(5):
        while not (frames and condition(frames[-1])):
            await live.send(credit())
            frames.append(await live.frame())
    return frames


def is_leased(service: RunningService, model: str) -> bool:
    return service.core.house._rooms.find(model).leases > 0


async def test_a_credit_shows_the_newest_target_when_it_is_taken_up(tmp_path: Path) -> None:
    engine = FakeEngine(max_batch=1)
    engine.gate.clear()
    async with painting(engine, tmp_path) as (live, service):
        await live.send(opening(), credit(1.0), credit(2.0))
        await engine.wait_until_stepping()
        await until(lambda: service.core.scheduler.unfinished == 2)
        await live.send(retarget(request("night", seed=9), 2), retarget(request(""), 3))
        # A credit that comes after it shows that it was followed.
        await live.send(credit(3.0))
        await until(lambda: service.core.scheduler.unfinished == 3)
        engine.gate.set()
        first, second = await live.frame(), await live.frame()

    assert (first.time_s, first.revision) == (1.0, 1)
    assert (second.time_s, second.revision, second.metadata.seed) == (2.0, 2, 9)


async def test_frames_are_live_and_tell_what_rate_can_be_had(tmp_path: Path) -> None:
    engine = FakeEngine()
    seen: list[bool] = []
    check = engine.check
    engine.check = lambda picture: seen.append(picture.is_live) or check(picture)  # type: ignore[method-assign,func-returns-value]
    async with painting(engine, tmp_path) as (live, _):
        await live.send(opening())
        await frames_until(live, lambda frame: frame.sustainable_fps > 0)

    assert seen == [True]


@pytest.mark.parametrize("weight", [0.0, 0.09, 10.5, -1.0, float("nan")])
async def test_a_weight_out_of_bounds_is_named(tmp_path: Path, weight: float) -> None:
    async with painting(FakeEngine(), tmp_path) as (live, _):
        await live.send(pb.PaintCommand(open=pb.PaintOpen(request=request(), weight=weight)))

        assert await live.call.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert ("psyche-field", "weight") in tuple(await live.call.trailing_metadata())
        assert (await live.call.details()).startswith("weight must be a number from 0.1 to 10, got")


@pytest.mark.parametrize(
    ("weights", "users", "expected"),
    [
        ((None, None), ("", ""), (1.0, 1.0, False)),  # Each picture has a share of its own,
        ((None, None), ("one", "one"), (1.0, 1.0, True)),  # those of one user have one together,
        ((0.1, 10.0), ("one", "one"), (0.1, 10.0, False)),  # and a weight is a picture's own.
    ],
)
async def test_pictures_have_the_shares_that_they_were_opened_with(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    weights: tuple[float | None, ...],
    users: tuple[str, ...],
    expected: tuple[float, float, bool],
) -> None:
    async with running_service(FakeEngine(), tmp_path) as service:
        callers: list[Caller] = []
        paint = service.core.scheduler.paint

        def note(take: object, time_s: float, *, caller: Caller, **others: object) -> object:
            callers.append(caller)
            return paint(take, time_s, caller=caller, **others)  # type: ignore[arg-type]

        monkeypatch.setattr(service.core.scheduler, "paint", note)
        lives = []
        for weight, user_id in zip(weights, users, strict=True):
            asked = request()
            asked.user_id = user_id
            lives.append(Live(service.stub.Paint()))
            await lives[-1].send(pb.PaintCommand(open=pb.PaintOpen(request=asked, weight=weight)), credit())
            await lives[-1].frame()
        for live in lives:
            live.call.cancel()

    first, second = callers
    assert (first.weight, second.weight, first is second) == pytest.approx(expected)


async def test_a_ready_model_takes_over_in_its_time_and_the_stream_goes_on(tmp_path: Path) -> None:
    async with running_service(FakeEngine(), tmp_path, FakeEngine("other")) as service:
        live = Live(service.stub.Paint())
        await live.send(opening(), credit(1.0))
        await live.frame()
        await live.send(retarget(of("other"), 2, at_s=5.0, transition_s=3.0))
        await live.send(credit(4.9), credit(5.0), credit(6.0))
        frames = [await live.frame() for _ in range(3)]
        await until(lambda: not is_leased(service, "fake"))
        live.call.cancel()

    assert [(frame.revision, frame.metadata.model) for frame in frames] == [
        (1, "fake"),
        (2, "other"),  # A cut, though a transition was asked for.
        (2, "other"),
    ]


async def test_progress_and_errors_tell_the_revision_that_has_begun(tmp_path: Path) -> None:
    other = FakeEngine("other")
    async with running_service(FakeEngine(), tmp_path, other) as service:
        live = Live(service.stub.Paint())
        await live.send(opening(of("fake", "fails to finish", steps=2)))
        await live.send(retarget(of("other", "fails to finish", steps=2), 2, at_s=5.0))
        await live.send(credit(4.0), credit(5.0))
        events = [await live.receive() for _ in range(4)]
        live.call.cancel()

    assert [event.progress.revision or event.error.revision for event in events] == [1, 1, 2, 2]


async def test_a_later_model_is_covered_by_a_newer_target_that_begins_before_it(tmp_path: Path) -> None:
    async with running_service(FakeEngine(), tmp_path, FakeEngine("other")) as service:
        live = Live(service.stub.Paint())
        await live.send(opening(), retarget(of("other"), 2, at_s=5.0), retarget(of("fake", "new"), 3, at_s=4))
        await live.send(credit(3.0), credit(4.0), credit(5.0))
        frames = [await live.frame() for _ in range(3)]

        assert [(frame.revision, frame.metadata.model) for frame in frames] == [
            (1, "fake"),
            (3, "fake"),
            (3, "fake"),
        ]
        assert not is_leased(service, "other")
        live.call.cancel()


async def test_the_old_target_goes_on_until_the_new_ones_model_is_loaded(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    loader.gate.clear()
    async with switching(loader, tmp_path) as (live, service):
        await live.send(opening(of("fake")), retarget(of("big"), 2))
        await until(lambda: service.core.house.state("big") is State.LOADING)
        before = await frames_until(live, lambda _: True)
        loader.gate.set()
        after = await frames_until(live, lambda frame: frame.revision == 2)

        assert [(frame.revision, frame.metadata.model) for frame in before] == [(1, "fake")]
        assert {frame.metadata.model for frame in after[:-1]} <= {"fake"}
        assert after[-1].metadata.model == "big"
        await live.send(CLOSE)
        await live.rest()
        await until(lambda: not is_leased(service, "big") and not is_leased(service, "fake"))


async def test_a_newer_target_drops_the_one_whose_model_is_being_loaded(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    loader.gate.clear()
    async with switching(loader, tmp_path) as (live, service):
        await live.send(opening(of("fake")), retarget(of("big"), 2), retarget(of("fake", "newer"), 3))
        await frames_until(live, lambda frame: frame.revision == 3)
        loader.gate.set()
        await until(lambda: service.core.house.state("big") is not State.LOADING)
        frames = [*(await frames_until(live, lambda _: True)), *(await frames_until(live, lambda _: True))]

        assert {(frame.revision, frame.metadata.model) for frame in frames} == {(3, "fake")}
        assert not is_leased(service, "big")


BAD_NEWER = [
    retarget(of("fake", ""), 3),  # It is refused at once,
    retarget(of("fake", "unpaintable"), 3),  # by the engine that is asked,
    retarget(of("broken"), 3),  # or when its model turns out to be broken.
]


@pytest.mark.parametrize("newer", BAD_NEWER, ids=["request", "engine", "model"])
async def test_a_newer_target_that_is_refused_leaves_the_one_that_waits(
    tmp_path: Path, newer: pb.PaintCommand
) -> None:
    loader = GatedLoader(FakeEngine("big"), FakeEngine("broken"))
    loader.broken["broken"] = "it is broken"
    loader.gate.clear()
    async with switching(loader, tmp_path) as (live, _):
        await live.send(opening(of("fake")), retarget(of("big"), 2), newer)
        loader.gate.set()
        refused = None
        async with asyncio.timeout(5):
            while True:
                await live.send(credit())
                while not (event := await live.receive()).HasField("frame"):
                    refused = event.error.revision
                if event.frame.metadata.model == "big" and refused:
                    break

    assert (refused, event.frame.revision) == (3, 2)


async def test_all_targets_of_a_model_that_is_being_loaded_are_followed_in_their_time(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    loader.gate.clear()
    async with switching(loader, tmp_path) as (live, _):
        await live.send(opening(of("fake")), retarget(of("big"), 2), retarget(of("big"), 3, at_s=50.0))
        loader.gate.set()
        await frames_until(live, lambda frame: frame.metadata.model == "big")
        await live.send(credit(49.0), credit(50.0))

        assert [(await live.frame()).revision for _ in range(2)] == [2, 3]


@pytest.mark.parametrize("fallback_model", ["fake", ""])
async def test_a_picture_lets_its_model_go_where_there_is_no_room_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fallback_model: str
) -> None:
    monkeypatch.setattr(steering, "RETRY_S", 0.001)
    loader = GatedLoader(FakeEngine("one"), FakeEngine("two"))
    switched = switching(loader, tmp_path, fallback_model=fallback_model, max_models=1)
    async with switched as (live, service):
        await live.send(opening(of("one")))
        await frames_until(live, lambda frame: frame.metadata.model == "one")
        await live.send(retarget(of("two"), 2))
        frames = await frames_until(live, lambda frame: frame.metadata.model == "two")

        assert (frames[-1].revision, list(frames[-1].metadata.warnings)) == (2, [])
        assert {frame.metadata.model for frame in frames} <= {"one", "two", fallback_model}
        assert service.core.house.state("one") is State.NOT_LOADED


async def test_where_nothing_stands_in_a_broken_model_leaves_what_was_painted_before(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("one"), FakeEngine("broken"))
    loader.broken["broken"] = "it is broken"
    async with switching(loader, tmp_path, max_models=2) as (live, _):
        await live.send(opening(of("one")), *(credit() for _ in range(4)), retarget(of("broken"), 2))
        events = [await live.receive() for _ in range(5)]
        after = await frames_until(live, lambda _: True)

    (refused,) = (event.error for event in events if event.HasField("error"))
    assert (refused.revision, refused.field) == (2, "model")
    assert (after[-1].revision, after[-1].metadata.model) == (1, "one")


async def test_the_reason_why_one_model_failed_is_not_told_with_another_target(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("one"), FakeEngine("big"))
    loader.broken["big"] = "it is broken"
    async with switching(loader, tmp_path, fallback_model="fake") as (live, _):
        await live.send(opening(of("one")))
        await frames_until(live, lambda frame: frame.metadata.model == "one")
        await live.send(retarget(of("big"), 2))
        told = await frames_until(
            live, lambda frame: any("it is broken" in warning for warning in frame.metadata.warnings)
        )
        await live.send(retarget(of("fake"), 3))
        after = await frames_until(live, lambda frame: frame.revision == 3)

    assert told[-1].metadata.model == after[-1].metadata.model == "fake"
    assert list(after[-1].metadata.warnings) == []


async def test_another_model_paints_until_the_opened_one_is_loaded(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    loader.gate.clear()
    warning = "big is being loaded; painted by fake until then"
    async with switching(loader, tmp_path, fallback_model="fake") as (live, _):
        await live.send(opening(of("big")))
        (first,) = await frames_until(live, lambda _: True)
        await live.send(retarget(of("big", "newer"), 2))
        newer = await frames_until(live, lambda frame: frame.revision == 2)
        loader.gate.set()
        after = await frames_until(live, lambda frame: frame.metadata.model == "big")

    assert (first.revision, first.metadata.model, list(first.metadata.warnings)) == (1, "fake", [warning])
    # A new target shows at once, by the model that stands in.
    assert (newer[-1].metadata.model, list(newer[-1].metadata.warnings)) == ("fake", [warning])
    assert newer[-1].metadata.prompt == "newer"
    assert (after[-1].revision, list(after[-1].metadata.warnings)) == (2, [])


async def test_without_another_model_an_open_waits_for_its_own(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    loader.gate.clear()
    async with switching(loader, tmp_path) as (live, service):
        await live.send(opening(of("big")), credit())
        await until(lambda: service.core.house.state("big") is State.LOADING)
        loader.gate.set()

        assert (await live.frame()).metadata.model == "big"


async def test_the_model_that_stands_in_stays_if_the_load_fails_and_says_why(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    loader.gate.clear()
    loader.broken["big"] = "it is broken"
    async with switching(loader, tmp_path, fallback_model="fake") as (live, _):
        await live.send(opening(of("big")))
        await frames_until(live, lambda _: True)
        loader.gate.set()
        frames = await frames_until(
            live, lambda frame: any("it is broken" in warning for warning in frame.metadata.warnings)
        )
        await live.send(retarget(of("big", "newer"), 2))
        again = await frames_until(live, lambda frame: frame.revision == 2)

    assert list(frames[-1].metadata.warnings) == [
        "model big could not be loaded, painted by fake: it is broken"
    ]
    assert (again[-1].metadata.model, again[-1].metadata.prompt) == ("fake", "newer")


async def test_without_a_fallback_a_load_that_fails_is_told_and_the_old_target_goes_on(
    tmp_path: Path,
) -> None:
    loader = GatedLoader(FakeEngine("big"))
    loader.broken["big"] = "it is broken"
    async with switching(loader, tmp_path) as (live, _):
        await live.send(opening(of("fake")), retarget(of("big"), 2))
        refused = await live.receive()
        await live.send(credit())
        frame = await live.frame()

    assert (refused.error.revision, refused.error.field) == (2, "model")
    assert refused.error.message == "model big could not be loaded: it is broken"
    assert (frame.revision, frame.metadata.model) == (1, "fake")


async def test_a_close_does_not_wait_for_a_model(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    loader.gate.clear()
    async with switching(loader, tmp_path) as (live, service):
        await live.send(opening(of("fake")), retarget(of("big"), 2))
        await until(lambda: service.core.house.state("big") is State.LOADING)
        await live.send(CLOSE)

        assert await live.rest() == []
        assert await live.call.code() is grpc.StatusCode.OK


async def test_a_frame_under_way_keeps_the_model_that_it_is_painted_with(tmp_path: Path) -> None:
    big = FakeEngine("big")
    loader = GatedLoader(big)
    async with switching(loader, tmp_path) as (live, service):
        await live.send(opening(of("big", steps=3)))
        big.gate.clear()
        await live.send(credit())
        await big.wait_until_stepping()
        await live.send(retarget(of("fake"), 2))
        await until(lambda: is_leased(service, "fake"))

        assert is_leased(service, "big")
        big.gate.set()
        while not (event := await live.receive()).HasField("frame"):
            pass
        assert event.frame.metadata.model == "big"
        await until(lambda: not is_leased(service, "big"))


async def test_a_live_picture_is_cancelled_by_the_id_that_it_was_opened_with(tmp_path: Path) -> None:
    asked = request()
    asked.request_id = "wall"
    async with painting(FakeEngine(), tmp_path) as (live, service):
        await live.send(opening(asked), credit())
        await live.frame()
        cancelled = await service.stub.CancelImage(pb.CancelRequest(request_id="wall"))

        assert cancelled.cancelled == 1
        assert await live.call.code() is grpc.StatusCode.CANCELLED
        assert service.core.live_sessions == 0


def writes() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task.get_name() == "write"}


async def wait_for_a_write(service: RunningService) -> None:
    """Wait for an answer that is not taken: it is still being written after a few other calls."""
    async with asyncio.timeout(5):
        before: set[asyncio.Task[object]] = set()
        while not (before and before == writes()):
            await until(lambda: bool(writes()))
            before = writes()
            for _ in range(3):
                await service.stub.GetImageModels(pb.ModelRequest())


@pytest.mark.parametrize(
    ("is_cancelled", "code"), [(True, "CANCELLED"), (False, "RESOURCE_EXHAUSTED")], ids=["id", "credits"]
)
async def test_a_caller_that_does_not_read_holds_nothing_once_its_call_failed_and_is_told_why(
    tmp_path: Path, *, is_cancelled: bool, code: str
) -> None:
    asked = request()
    asked.request_id = "wall"
    asked.output.format, asked.output.quality = "jpeg", 100
    async with painting(NoisyEngine(), tmp_path) as (live, service):
        await live.send(opening(asked), *(credit(n) for n in range(8)))
        await wait_for_a_write(service)
        if is_cancelled:
            assert (await service.stub.CancelImage(pb.CancelRequest(request_id="wall"))).cancelled == 1
        else:
            (session,) = service.core._sessions
            # No more than that: gRPC takes a write after the end for a failure of its own.
            await live.send(*(credit() for _ in range(9 - session._credits)))
        await until(lambda: service.core.live_sessions == 0)

        assert not is_leased(service, "fake")
        assert not live.call.done()
        frames = await asyncio.wait_for(live.rest(), 5)
        assert len(frames) < 8
        assert (await live.call.code()).name == code


async def test_a_caller_that_does_not_read_and_goes_leaves_nothing(tmp_path: Path) -> None:
    asked = request()
    asked.output.format, asked.output.quality = "jpeg", 100
    async with painting(NoisyEngine(), tmp_path) as (live, service):
        await live.send(opening(asked), *(credit(n) for n in range(8)))
        await wait_for_a_write(service)
        live.call.cancel()
        await until(lambda: service.core.live_sessions == 0 and not writes())
