"""Live pictures of several models: how one takes over from another, and what paints meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from fakes import SOON_S, FakeEngine, until
from live_calls import CLOSE, Live, credit, frames_until, is_leased, of, opening, retarget, switching
from services import GatedLoader, running_service

from inference import steering
from inference.models.entry import State
from protos import psyche_inference_v1_pb2 as pb


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
        async with asyncio.timeout(SOON_S):
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
