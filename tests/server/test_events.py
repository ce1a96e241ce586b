"""What happens, told to whoever listens."""

from __future__ import annotations

import asyncio

import pytest

from server.generation.events import MAX_WAITING, Event, EventBus, Listener, ListenerTooSlow
from server.generation.job import Job, Kind
from server.generation.picture import PictureOrder


def make_job() -> Job:
    return Job(kind=Kind.ONCE, order=PictureOrder(prompt="a red fox"))


async def test_every_listener_is_told_what_happens_while_it_listens() -> None:
    bus = EventBus()
    job = make_job()
    bus.tell(Event(make_job()))
    with bus.listen() as one, bus.listen() as other:
        bus.tell(Event(job))

        assert (await one.next()).job is job
        assert (await other.next()).job is job
    bus.tell(Event(job))
    assert not one._events


async def test_events_come_in_order_and_the_progress_of_a_job_conflates() -> None:
    listener = Listener()
    first, second = make_job(), make_job()

    for job in (first, second, first, None, first, None):
        listener.tell(Event(job))

    assert [(await listener.next()).job for _ in range(3)] == [first, second, None]
    assert not listener._events


async def test_a_listener_is_woken() -> None:
    listener = Listener()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(listener.next())
        await asyncio.sleep(0)  # lets it begin to wait
        listener.tell(Event())

    assert waiting.result() == Event()


async def test_a_listener_that_is_cancelled_loses_nothing() -> None:
    listener = Listener()
    waiting = asyncio.create_task(listener.next())
    await asyncio.sleep(0)  # lets it begin to wait
    listener.tell(Event())
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting

    async with asyncio.timeout(5):
        assert await listener.next() == Event()


async def test_a_listener_that_falls_behind_is_told_so_and_holds_no_more() -> None:
    listener = Listener()
    jobs = [make_job() for _ in range(MAX_WAITING + 100)]

    for job in jobs:
        listener.tell(Event(job))

    assert len(listener._events) <= MAX_WAITING + 1
    for _ in range(2):
        with pytest.raises(ListenerTooSlow):
            await listener.next()


async def test_as_many_events_as_may_wait_are_all_told() -> None:
    listener = Listener()
    jobs = [make_job() for _ in range(MAX_WAITING)]
    for job in jobs:
        listener.tell(Event(job))

    assert [(await listener.next()).job for _ in jobs] == jobs


async def test_a_listener_is_told_what_it_wants_only_and_keeps_nothing_else() -> None:
    bus = EventBus()
    job = make_job()
    with bus.listen(lambda event: event.job is None) as listener:
        for number in range(MAX_WAITING + 1):
            bus.tell(Event(make_job() if number else job))
        bus.tell(Event())

        assert await listener.next() == Event()
        assert not listener._events


async def test_a_job_that_moves_takes_nothing_from_what_waits_of_it() -> None:
    listener = Listener()
    one, other = make_job(), make_job()
    listener.tell(Event(one))
    listener.tell(Event(one, is_move=True))
    listener.tell(Event(other, is_move=True))
    listener.tell(Event(other))

    assert [await listener.next() for _ in range(2)] == [Event(one), Event(other)]
