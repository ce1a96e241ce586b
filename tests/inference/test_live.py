"""Live pictures, over a real channel."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from fakes import SOON_S, FakeEngine, until
from live_calls import (
    CLOSE,
    Live,
    colour,
    credit,
    frames_until,
    is_leased,
    opening,
    painting,
    request,
    retarget,
)
from services import NoisyEngine, RunningService, outliving_channel, running_service

from inference.scheduler import Caller
from protos import psyche_inference_v1_pb2 as pb


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
        channel = outliving_channel(service.address)
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
    async with asyncio.timeout(SOON_S):
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
        frames = await asyncio.wait_for(live.rest(), SOON_S)
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
