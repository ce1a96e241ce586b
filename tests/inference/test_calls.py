"""Calls that are ended by their id or by their deadline, wherever they are."""

from __future__ import annotations

import asyncio

import pytest

from inference.calls import Calls
from inference.errors import CancelledByIdError, LateError


async def follow(calls: Calls, request_id: str, *, pictures: int = 1) -> None:
    async with calls.following(request_id, pictures=pictures):
        await asyncio.Event().wait()


async def test_every_call_of_an_id_is_ended_and_no_other() -> None:
    calls = Calls()
    names = ("a", "a", "b")
    tasks = [asyncio.ensure_future(follow(calls, name, pictures=3)) for name in names]
    await asyncio.sleep(0)  # They begin.

    assert calls.cancel("a") == 6
    assert calls.cancel("a") == 0  # They are ending already.
    for task in tasks[:2]:
        with pytest.raises(CancelledByIdError, match="request a was cancelled"):
            await task
    assert calls.cancel("a") == 0
    assert not tasks[2].done()

    tasks[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[2]


async def test_a_call_that_finished_cannot_be_cancelled() -> None:
    calls = Calls()
    async with calls.following("a"):
        pass

    assert calls.cancel("a") == 0


async def test_a_call_that_is_cancelled_in_its_last_moment_ends_as_cancelled() -> None:
    calls = Calls()
    with pytest.raises(CancelledByIdError):
        async with calls.following("a"):
            assert calls.cancel("a") == 1

    await asyncio.sleep(0)  # And nothing of it is left to cancel what comes next.


async def test_a_call_that_has_all_of_its_pictures_is_not_cancelled_any_more() -> None:
    calls = Calls()
    async with calls.following("a") as call:
        call.pictures -= 1
        assert calls.cancel("a") == 0


async def test_an_id_may_be_told_later() -> None:
    calls = Calls()

    async def follow_and_tell() -> None:
        async with calls.following() as call:
            call.request_id = "late"
            await asyncio.Event().wait()

    task = asyncio.ensure_future(follow_and_tell())
    await asyncio.sleep(0)  # It begins.

    assert calls.cancel("late") == 1
    with pytest.raises(CancelledByIdError):
        await task


async def test_a_call_past_its_deadline_is_late() -> None:
    with pytest.raises(LateError):
        async with Calls().following("a", deadline_at=asyncio.get_running_loop().time() - 1.0):
            await asyncio.Event().wait()


async def test_a_timeout_of_the_work_itself_stays_one() -> None:
    with pytest.raises(TimeoutError):
        async with Calls().following("a"):
            raise TimeoutError
