"""The feed between a source and its job, and the pace at which it is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest
from fakes import FakeClock
from images import image_file

from server.errors import InvalidError
from server.generation.easel import Easel
from server.generation.feed import Feed
from server.generation.inference_client import InferenceClient
from server.generation.ingest import CAUGHT_UP, INTERVAL_S, MAX_FPS, show_feed
from server.generation.job import Job, Kind
from server.generation.lane import Lane
from server.generation.picture import PictureOrder
from server.generation.store import ImageShelf
from server.streaming.canvas import Canvas, CanvasConfig


PICTURE = image_file()


def test_only_the_newest_picture_waits() -> None:
    feed = Feed()
    feed.offer(b"a", 1.0)
    feed.offer(b"b", 2.0)
    feed.offer(b"c", 3.0)

    taken = feed.take()

    assert taken is not None
    assert (taken.data, taken.received_ms) == (b"c", 3.0)
    assert feed.take() is None
    assert feed.dropped == 2


def test_after_its_end_a_feed_takes_nothing_in_and_gives_what_waits() -> None:
    feed = Feed()
    feed.offer(b"a", 1.0)
    feed.end()
    feed.offer(b"b", 2.0)

    assert not feed.is_spent
    taken = feed.take()
    assert taken is not None
    assert taken.data == b"a"
    assert feed.is_spent


def test_demand_is_told_when_it_begins_and_when_it_ends() -> None:
    feed, told = Feed(), []
    feed.on_demand = lambda: told.append("turned")
    for demand_fps in (0.0, 30.0, 60.0, 0.0, 0.0, float("inf")):
        feed.set_demand(demand_fps)

    assert len(told) == 3


class SourceEasel(Easel):
    """Waits by moving its clock on; whoever offers meanwhile does it in `while_waiting`."""

    waits: int = 0

    async def until_due(self, due_s: float) -> None:
        self.waits += 1
        assert isinstance(self.clock, FakeClock)
        self.clock.now_s = max(self.clock.now_s, due_s)
        await asyncio.sleep(0)


@pytest.fixture
def easel() -> Iterator[SourceEasel]:
    with ThreadPoolExecutor(1) as executor:
        lane = Lane()
        yield SourceEasel(
            lane=lane,
            client=cast(InferenceClient, None),  # nothing is painted
            results=ImageShelf(),
            uploads=ImageShelf(),
            media_root=Path(),
            executor=executor,
            notify=lambda job: None,
            canvas=Canvas("left", CanvasConfig(), executor=executor),
            clock=FakeClock(),
        )


async def test_a_source_is_shown_at_no_more_than_the_highest_rate(easel: SourceEasel) -> None:
    """A source of 240 FPS: every fourth picture is shown, the newest of its time."""
    feed, clock = Feed(), easel.clock
    assert isinstance(clock, FakeClock)
    assert easel.canvas is not None
    job = Job(kind=Kind.INGEST, order=PictureOrder(prompt=""), canvas="left", feed=feed)
    shown: list[float] = []
    showing = asyncio.create_task(show_feed(easel, job))
    started_s = clock.now_s
    for _ in range(240):
        feed.offer(PICTURE, 0.0)
        for _ in range(4):
            await asyncio.sleep(0)
        if feed.accepted > len(shown):
            shown.append(clock.now_s)
        clock.now_s += 1 / 240
    feed.end()
    await showing

    assert feed.accepted + feed.dropped == 240
    assert feed.accepted <= (clock.now_s - started_s) / INTERVAL_S + CAUGHT_UP + 1
    assert easel.canvas.newest is not None
    assert easel.canvas.newest.sequence == feed.sequence


async def test_after_a_pause_pictures_leave_as_they_come(easel: SourceEasel) -> None:
    feed, clock = Feed(), easel.clock
    assert isinstance(clock, FakeClock)
    job = Job(kind=Kind.INGEST, order=PictureOrder(prompt=""), canvas="left", feed=feed)
    showing = asyncio.create_task(show_feed(easel, job))

    async def push() -> float:
        """Push a picture and return how long it waited to be shown."""
        feed.offer(PICTURE, 0.0)
        before_s, accepted = clock.now_s, feed.accepted
        while feed.accepted == accepted:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
        return clock.now_s - before_s

    for _ in range(10):
        await push()
        clock.now_s += 1 / MAX_FPS
    # The first after the pause comes late in its own interval, the next ones in time.
    clock.now_s += 0.15
    await push()
    clock.now_s += 0.25 / MAX_FPS
    waits = []
    for _ in range(60):
        waits.append(await push())
        clock.now_s += 1 / MAX_FPS
    feed.end()
    await showing

    assert max(waits) == 0.0


async def test_a_message_that_is_no_picture_is_refused_with_its_reason(easel: SourceEasel) -> None:
    feed = Feed()
    told: list[Exception] = []
    feed.on_refused = told.append
    feed.offer(b"no picture", 0.0)
    feed.end()

    await show_feed(easel, Job(kind=Kind.INGEST, order=PictureOrder(prompt=""), canvas="left", feed=feed))

    assert feed.refused == 1
    assert isinstance(told[0], InvalidError)
    assert told[0].field == "image"


async def test_a_source_yields_to_jobs_that_waited_before_it_began(easel: SourceEasel) -> None:
    job = Job(kind=Kind.INGEST, order=PictureOrder(prompt=""), canvas="left", feed=Feed())
    easel.lane.submit(job, now=True)
    easel.lane.submit(Job(kind=Kind.ONCE, order=PictureOrder(prompt="x")), now=False)
    assert easel.lane.take() is job

    showing = asyncio.create_task(show_feed(easel, job))
    easel.lane.interruptible(showing.cancel)
    with pytest.raises(asyncio.CancelledError):
        await showing

    assert easel.lane.stop_reason == "superseded"
