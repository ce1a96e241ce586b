"""Waiting for mail, cancelled: nothing is lost."""

from __future__ import annotations

import asyncio

import pytest
from images import frame_of

from server.streaming.delivery.mailbox import Mailbox, MailboxClosed
from server.streaming.flow.control import Window


async def cancelled(mailbox: Mailbox) -> asyncio.Task[None]:
    """Return a task that waits for mail and has just been cancelled."""
    waiting = asyncio.create_task(mailbox.wait(0.0))
    await asyncio.sleep(0)  # lets it begin to wait
    assert not waiting.done()
    waiting.cancel()
    return waiting


async def test_a_frame_that_comes_with_the_cancellation_stays() -> None:
    mailbox = Mailbox(Window())
    waiting = await cancelled(mailbox)
    mailbox.offer(frame_of(1))

    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert mailbox.take_frame(0.0) == frame_of(1)


async def test_a_frame_that_woke_the_writer_before_it_was_cancelled_stays() -> None:
    mailbox = Mailbox(Window())
    waiting = asyncio.create_task(mailbox.wait(0.0))
    await asyncio.sleep(0)  # lets it begin to wait
    mailbox.offer(frame_of(1))
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting

    async with asyncio.timeout(5):
        await mailbox.wait(0.0)
    assert mailbox.take_frame(0.0) == frame_of(1)


async def test_messages_and_the_status_stay() -> None:
    mailbox = Mailbox(Window())
    waiting = await cancelled(mailbox)
    mailbox.post({"type": "pong"})
    mailbox.post_status({"type": "status"})

    with pytest.raises(asyncio.CancelledError):
        await waiting

    await mailbox.wait(0.0)
    assert [mailbox.take_message(), mailbox.take_message()] == [{"type": "pong"}, {"type": "status"}]


async def test_a_wait_for_the_wished_rate_can_be_cancelled() -> None:
    mailbox = Mailbox(Window())
    mailbox.window.set_max_fps(0.1)
    mailbox.window.sent(1, 100, 0.0)
    mailbox.offer(frame_of(2))
    waiting = await cancelled(mailbox)

    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert mailbox.take_frame(10.0) == frame_of(2)


async def test_an_end_is_told_to_whoever_waits_next() -> None:
    mailbox = Mailbox(Window())
    waiting = await cancelled(mailbox)
    mailbox.close("deleted", reconnect=False, close_code=4404)

    with pytest.raises(asyncio.CancelledError):
        await waiting

    with pytest.raises(MailboxClosed):
        await mailbox.wait(0.0)
