"""Waiting for a change of a lane: woken, timed out and cancelled."""

from __future__ import annotations

import asyncio

import pytest

from server.generation.job import Job, Kind
from server.generation.lane import Lane
from server.generation.picture import PictureOrder


def make_job() -> Job:
    return Job(kind=Kind.ONCE, order=PictureOrder(prompt="a red fox"))


async def test_a_new_job_and_a_stop_wake_who_waits() -> None:
    lane = Lane()
    async with asyncio.timeout(5):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lane.changed())
            await asyncio.sleep(0)  # lets it begin to wait
            lane.submit(make_job(), now=False)
        lane.take()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lane.changed())
            await asyncio.sleep(0)  # lets it begin to wait
            lane.stop("skipped")


async def test_a_change_before_the_wait_is_not_slept_through() -> None:
    lane = Lane()
    lane.submit(make_job(), now=False)

    async with asyncio.timeout(5):
        await lane.changed()


async def test_a_change_is_told_once() -> None:
    lane = Lane()
    lane.wake()
    await lane.changed()

    waiting = asyncio.create_task(lane.changed())
    await asyncio.sleep(0)  # lets it begin to wait

    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_the_wait_ends_when_its_time_is_over() -> None:
    async with asyncio.timeout(5):
        await Lane().changed(within_s=0.0)


async def test_a_change_that_comes_with_the_cancellation_is_left_to_the_next() -> None:
    lane = Lane()
    waiting = asyncio.create_task(lane.changed())
    await asyncio.sleep(0)  # lets it begin to wait
    lane.submit(make_job(), now=False)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting

    async with asyncio.timeout(5):
        await lane.changed()
    assert len(lane) == 1
