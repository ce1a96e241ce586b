"""Where jobs are handed in; their doing is tested with the whole server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from server.errors import ConflictError, NotFoundError, ServerFullError, UnknownCanvasError
from server.generation.desk import OFF_CANVAS_LANES, Desk
from server.generation.easel import Easel
from server.generation.events import EventBus, Listener
from server.generation.inference_client import InferenceClient
from server.generation.job import Job, Kind, State
from server.generation.lane import Lane
from server.generation.picture import PictureOrder
from server.generation.store import ImageShelf, MemoryJobStore
from server.streaming.canvas import Canvas, CanvasConfig
from server.streaming.registry import Registry
from server.streaming.wire import Form


@dataclass
class Office:
    """A desk, and what it works with."""

    desk: Desk
    registry: Registry
    bus: EventBus


@pytest.fixture
def office() -> Office:
    """A desk with the canvases `left` and `right`, whose producers do not run."""
    registry = Registry(default=CanvasConfig(), executor=Executor())
    registry.ensure("left", is_temporary=False)
    bus = EventBus()

    def make_easel(lane: Lane, canvas: Canvas | None, notify: Callable[[Job], None]) -> Easel:
        return Easel(
            lane=lane,
            client=cast(InferenceClient, None),  # nothing is painted
            results=ImageShelf(),
            uploads=ImageShelf(),
            media_root=Path("nowhere"),
            executor=Executor(),
            notify=notify,
            canvas=canvas,
        )

    desk = Desk(registry=registry, store=MemoryJobStore(), bus=bus, make_easel=make_easel, max_waiting=2)
    registry.ensure("right", is_temporary=False)
    return Office(desk, registry, bus)


def make_job(canvas: str | None = "left", kind: Kind = Kind.ONCE, **options: Any) -> Job:
    return Job(kind=kind, order=PictureOrder(prompt="a red fox"), canvas=canvas, **options)


async def told(listener: Listener) -> list[Job | None]:
    """Return whose changes a listener was told of; None is the list of canvases."""
    found = []
    while listener._events:
        found.append((await listener.next()).job)
    return found


def test_a_job_goes_to_the_lane_of_its_canvas_and_is_kept(office: Office) -> None:
    job = office.desk.submit(make_job("right"))

    assert office.desk.lane("right").waiting == (job,)
    assert len(office.desk.lane("left")) == 0
    assert office.desk.get(job.id) is job
    assert office.desk.describe(job)["position"] == 1


def test_an_old_name_of_a_canvas_leads_to_its_lane_and_is_told_as_today(office: Office) -> None:
    job = office.desk.submit(make_job("left-canva"))

    assert job.canvas == "left"
    assert office.desk.lane("left-canva").waiting == (job,)


def test_a_job_for_now_goes_first_and_one_for_the_queue_last(office: Office) -> None:
    queued = office.desk.submit(make_job(), now=False)
    urgent = office.desk.submit(make_job(), now=True)

    assert office.desk.lane("left").waiting == (urgent, queued)
    assert office.desk.describe(queued)["position"] == 2


def test_jobs_without_a_canvas_share_their_lanes_evenly_and_keep_their_order(office: Office) -> None:
    jobs = [office.desk.submit(make_job(None)) for _ in range(2 * OFF_CANVAS_LANES)]

    positions = [office.desk.describe(job)["position"] for job in jobs]

    assert positions == [1] * OFF_CANVAS_LANES + [2] * OFF_CANVAS_LANES


def test_a_job_for_a_canvas_that_is_gone_is_refused_and_not_kept(office: Office) -> None:
    with pytest.raises(UnknownCanvasError):
        office.desk.submit(make_job("nowhere"))

    assert list(office.desk.store.newest_first()) == []


def test_a_full_queue_refuses_and_the_job_is_not_kept(office: Office) -> None:
    for _ in range(2):
        office.desk.submit(make_job(), now=False)

    with pytest.raises(ServerFullError):
        office.desk.submit(refused := make_job(), now=False)
    with pytest.raises(ServerFullError):
        office.desk.check_room(["right", "left"], now=False)
    office.desk.check_room(["right", None, "not-there-yet"], now=False)

    with pytest.raises(NotFoundError) as error:
        office.desk.get(refused.id)
    assert error.value.field == "id"


def test_cancelling_reaches_a_job_wherever_it_waits(office: Office) -> None:
    jobs = [office.desk.submit(make_job(canvas)) for canvas in ("left", "right", None)]

    for job in jobs:
        office.desk.cancel(job)
        office.desk.cancel(job)

    assert [(job.state, job.reason) for job in jobs] == [(State.CANCELLED, "cancelled")] * 3


def test_skipping_needs_a_running_job(office: Office) -> None:
    with pytest.raises(ConflictError, match="'left' has no running job"):
        office.desk.skip("left")
    with pytest.raises(UnknownCanvasError):
        office.desk.skip("nowhere")

    job = office.desk.submit(make_job())
    office.desk.lane("left").take()
    assert office.desk.skip("left") is job
    assert office.desk.lane("left").stop_reason == "skipped"


def test_clearing_leaves_other_canvases_alone(office: Office) -> None:
    left, right = office.desk.submit(make_job("left")), office.desk.submit(make_job("right"))

    assert office.desk.clear("left") == [left]

    assert left.reason == "cleared"
    assert right.state is State.QUEUED


def test_screens_are_told_the_status_of_their_canvas_only(office: Office) -> None:
    left, right = office.registry.get("left"), office.registry.get("right")
    with left.subscribe(Form.MSGPACK) as one, right.subscribe(Form.MSGPACK) as other:
        job = office.desk.submit(make_job("left", Kind.LIVE))
        office.desk.lane("left").take()

        status = one.mailbox.take_message()
        assert status is not None
        assert (status["type"], status["canvas"]) == ("status", "left")
        assert status["job"]["id"] == job.id
        assert status["queue"]["length"] == 0
        assert other.mailbox.take_message() is None
    assert left.to_json()["job"] == job.id


async def test_listeners_are_told_of_jobs_and_of_the_list_of_canvases(office: Office) -> None:
    with office.bus.listen() as listener:
        job = office.desk.submit(make_job())
        assert job in await told(listener)

        office.desk.lane("left").take()
        assert set(await told(listener)) == {job, None}

        office.registry.ensure("new", is_temporary=False)
        assert await told(listener) == [None]


def test_a_canvas_that_is_removed_takes_its_jobs_along(office: Office) -> None:
    running = office.desk.submit(make_job())
    lane = office.desk.lane("left")
    lane.take()
    waiting = office.desk.submit(make_job(), now=False)

    office.registry.remove("left")

    assert (waiting.state, waiting.reason) == (State.CANCELLED, "deleted")
    assert lane.stop_reason == "deleted"
    lane.finish(Job.succeed)
    assert running.reason == "deleted"
    with pytest.raises(UnknownCanvasError):
        office.desk.lane("left")
    assert office.desk.describe(running)["position"] is None


async def test_one_producer_runs_for_each_canvas_from_its_making_to_its_removal(office: Office) -> None:
    def producers() -> set[str]:
        return {
            task.get_name().removeprefix("producer:")
            for task in asyncio.all_tasks()
            if task.get_name().startswith("producer:") and not task.cancelling()
        }

    running = asyncio.create_task(office.desk.run())
    await asyncio.sleep(0)  # lets it start its producers
    always = {f"off-canvas:{number}" for number in range(OFF_CANVAS_LANES)}
    assert producers() == always | {"left", "right"}

    office.registry.ensure("new", is_temporary=True)
    assert producers() == always | {"left", "right", "new"}
    office.registry.remove("left")
    assert producers() == always | {"right", "new"}

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert producers() == set()
