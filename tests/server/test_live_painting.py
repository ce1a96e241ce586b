"""A live painting without a connection: what its two sides may do, and when."""

from __future__ import annotations

import asyncio

import pytest

from server.errors import InferenceRejectedError, InferenceUnavailableError
from server.generation.live_painting import (
    MAX_CREDITS,
    MAX_UNREAD_EVENTS,
    MAX_UNSENT_TARGETS,
    LivePainting,
)
from server.generation.picture import PaintProgress, PictureOrder


async def sent(painting: LivePainting, count: int) -> list[str]:
    return [str((await painting.take_command()).WhichOneof("command")) for _ in range(count)]


async def test_commands_leave_in_the_order_they_came() -> None:
    painting = LivePainting(PictureOrder(prompt="sea"), 1)
    painting.credit(0.0)
    painting.retarget(PictureOrder(prompt="fire"), 2, 0.5, 2.0)
    painting.credit(0.25)

    assert await sent(painting, 4) == ["open", "credit", "retarget", "credit"]


async def test_of_targets_that_nobody_reads_the_newest_stay() -> None:
    painting = LivePainting(PictureOrder(prompt="sea"), 0)
    for revision in range(1, MAX_UNSENT_TARGETS + 3):
        painting.retarget(PictureOrder(prompt="sea"), revision, 0.0, 0.0)
        painting.credit(float(revision))

    commands = [await painting.take_command() for _ in range(1 + 2 * MAX_UNSENT_TARGETS + 2)]

    kept = [command.retarget.revision for command in commands if command.HasField("retarget")]
    assert kept == [3, 4, 5, 6]
    assert sum(command.HasField("credit") for command in commands) == MAX_UNSENT_TARGETS + 2


async def test_more_unsent_credits_than_the_contract_allows_are_a_bug() -> None:
    painting = LivePainting(PictureOrder(prompt="sea"), 0)
    for _ in range(MAX_CREDITS):
        painting.credit(0.0)

    with pytest.raises(AssertionError, match="8 credits"):
        painting.credit(0.0)


async def test_a_target_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    painting = LivePainting(PictureOrder(prompt="sea"), 0)

    with pytest.raises(InferenceRejectedError) as refusal:
        painting.retarget(PictureOrder(prompt="sea", seed=2**31), 1, 0.0, 0.0)

    painting.credit(0.0)
    assert refusal.value.field == "seed"
    assert await sent(painting, 2) == ["open", "credit"]


async def test_cancelled_waits_lose_nothing() -> None:
    painting = LivePainting(PictureOrder(prompt="sea"), 0)
    await painting.take_command()
    command = asyncio.ensure_future(painting.take_command())
    event = asyncio.ensure_future(painting.next_event())
    await asyncio.sleep(0)  # Both are waiting now.
    painting.credit(1.0)
    await painting.offer(PaintProgress(0, 1, 2))

    command.cancel()
    event.cancel()
    await asyncio.wait({command, event})

    assert (await painting.take_command()).credit.time_s == 1.0
    assert await painting.next_event() == PaintProgress(0, 1, 2)


async def test_what_came_before_the_end_is_still_told() -> None:
    painting = LivePainting(PictureOrder(prompt="sea"), 0)
    await painting.offer(PaintProgress(0, 1, 2))
    painting.end(InferenceUnavailableError("gone"))
    painting.end(InferenceUnavailableError("left"))

    assert await painting.next_event() == PaintProgress(0, 1, 2)
    for _ in range(2):
        with pytest.raises(InferenceUnavailableError, match="gone"):
            await painting.next_event()


async def test_the_end_wakes_who_waits_for_an_event() -> None:
    painting = LivePainting(PictureOrder(prompt="sea"), 0)
    waiting = asyncio.ensure_future(painting.next_event())
    await asyncio.sleep(0)  # It is waiting now.

    painting.end(InferenceUnavailableError("gone"))

    with pytest.raises(InferenceUnavailableError, match="gone"):
        await waiting


async def test_after_the_end_commands_do_nothing() -> None:
    painting = LivePainting(PictureOrder(prompt="sea"), 0)
    painting.end(InferenceUnavailableError("gone"))

    for _ in range(MAX_CREDITS + 1):
        painting.credit(0.0)
    painting.retarget(PictureOrder(prompt="fire"), 1, 0.0, 0.0)
    waiting = asyncio.ensure_future(painting.take_command())
    await asyncio.sleep(0)  # It would have a command by now.

    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait({waiting})


async def test_events_wait_for_room_while_the_producer_reads_none() -> None:
    painting = LivePainting(PictureOrder(prompt="sea"), 0)
    for step in range(MAX_UNREAD_EVENTS):
        await painting.offer(PaintProgress(0, step, 20))
    late = asyncio.ensure_future(painting.offer(PaintProgress(0, MAX_UNREAD_EVENTS, 20)))
    await asyncio.sleep(0)  # It would be in by now.
    assert not late.done()

    steps = [await painting.next_event() for _ in range(MAX_UNREAD_EVENTS)]
    await late
    steps.append(await painting.next_event())

    assert steps == [PaintProgress(0, step, 20) for step in range(MAX_UNREAD_EVENTS + 1)]
