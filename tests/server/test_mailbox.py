"""What waits for one subscriber."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import frame_of

from server.errors import ProtocolError
from server.streaming.delivery.mailbox import MAX_WAITING_MESSAGES, Mailbox, MailboxClosed
from server.streaming.flow.control import DEFAULT_LIMIT, Window


def acknowledging() -> Mailbox:
    """Return the mailbox of a peer that acknowledges, with nothing on its way."""
    mailbox = Mailbox(Window())
    mailbox.acknowledge(0, 0.0)
    return mailbox


def send(mailbox: Mailbox, now_s: float = 0.0) -> int | None:
    """Take a frame as the writer does, and return its sequence."""
    frame = mailbox.take_frame(now_s)
    if frame is None:
        return None
    mailbox.window.sent(frame.sequence, 100, now_s)
    return frame.sequence


def test_newest_frame_replaces_the_one_not_taken() -> None:
    mailbox = Mailbox(Window())

    for sequence in (1, 2, 3):
        mailbox.offer(frame_of(sequence))

    assert send(mailbox) == 3
    assert send(mailbox) is None
    assert mailbox.replaced == 2


def test_a_frame_that_was_taken_is_not_counted_as_replaced() -> None:
    mailbox = Mailbox(Window())
    for sequence in (1, 2, 3):
        mailbox.offer(frame_of(sequence))
        send(mailbox)

    assert mailbox.replaced == 0


def test_no_frame_leaves_while_the_window_is_full_and_the_newest_leaves_after() -> None:
    mailbox = acknowledging()
    for sequence in range(1, DEFAULT_LIMIT + 1):
        mailbox.offer(frame_of(sequence))
        assert send(mailbox) == sequence

    mailbox.offer(frame_of(10))
    mailbox.offer(frame_of(11))
    assert send(mailbox) is None
    assert mailbox.has_frame

    mailbox.acknowledge(1, 1.0)
    assert send(mailbox, 1.0) == 11


def test_a_hidden_screen_gets_no_frame_and_the_newest_when_it_is_shown_again() -> None:
    mailbox = Mailbox(Window())
    mailbox.set_visible(False)
    mailbox.offer(frame_of(1))
    mailbox.offer(frame_of(2))
    assert send(mailbox) is None

    mailbox.set_visible(True)

    assert send(mailbox) == 2


def test_messages_are_taken_in_order_and_the_status_after_them() -> None:
    mailbox = Mailbox(Window())
    mailbox.post_status({"type": "status", "n": 1})
    mailbox.post({"type": "pong"})
    mailbox.post({"type": "time"})

    taken = [mailbox.take_message() for _ in range(4)]

    assert taken == [{"type": "pong"}, {"type": "time"}, {"type": "status", "n": 1}, None]


def test_a_newer_status_replaces_the_one_not_taken() -> None:
    mailbox = Mailbox(Window())
    mailbox.post_status({"n": 1})
    mailbox.post_status({"n": 2})

    assert mailbox.take_message() == {"n": 2}
    assert mailbox.take_message() is None


def test_messages_can_be_taken_while_no_frame_may_leave() -> None:
    mailbox = acknowledging()
    mailbox.window.sent(1, 100, 0.0)
    mailbox.window.sent(2, 100, 0.0)
    mailbox.offer(frame_of(3))
    mailbox.post({"type": "pong"})

    assert mailbox.take_message() == {"type": "pong"}
    assert send(mailbox) is None


def test_a_peer_that_does_not_read_its_answers_is_told_so_and_memory_stays_bounded() -> None:
    mailbox = Mailbox(Window())

    taken = [mailbox.post({"n": n}) for n in range(MAX_WAITING_MESSAGES + 3)]

    assert taken == [True] * MAX_WAITING_MESSAGES + [False] * 3
    assert mailbox.take_message() == {"n": 0}


def test_a_made_up_acknowledgement_is_refused() -> None:
    mailbox = Mailbox(Window())
    mailbox.offer(frame_of(1))
    send(mailbox)

    with pytest.raises(ProtocolError):
        mailbox.acknowledge(2, 0.0)


@pytest.mark.parametrize(
    "change",
    [
        lambda mailbox: mailbox.offer(frame_of(1)),
        lambda mailbox: mailbox.post({"type": "pong"}),
        lambda mailbox: mailbox.post_status({"type": "status"}),
        lambda mailbox: mailbox.set_visible(True),
        lambda mailbox: mailbox.acknowledge(0, 0.0),
    ],
    ids=["offer", "post", "post_status", "set_visible", "acknowledge"],
)
async def test_every_change_wakes_the_writer(change: Callable[[Mailbox], object]) -> None:
    mailbox = Mailbox(Window())
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(5):
        waiting = tasks.create_task(mailbox.wait(0.0))
        await asyncio.sleep(0)  # lets it begin to wait
        assert not waiting.done()

        change(mailbox)


async def test_a_change_before_the_wait_is_not_slept_through() -> None:
    mailbox = Mailbox(Window())
    assert mailbox.take_frame(0.0) is None
    mailbox.offer(frame_of(1))

    async with asyncio.timeout(5):
        await mailbox.wait(0.0)

    assert send(mailbox) == 1


async def test_a_rate_that_opens_between_looking_and_waiting_is_not_slept_through() -> None:
    mailbox = Mailbox(Window())
    mailbox.window.set_max_fps(10.0)
    mailbox.window.sent(1, 100, 0.0)
    mailbox.offer(frame_of(2))
    assert mailbox.take_frame(0.0989) is None

    async with asyncio.timeout(5):
        await mailbox.wait(0.0991)

    assert send(mailbox, 0.0991) == 2


async def test_the_wait_for_the_wished_rate_ends_by_itself() -> None:
    mailbox = Mailbox(Window())
    mailbox.window.set_max_fps(250.0)
    mailbox.window.sent(1, 100, 0.0)
    mailbox.offer(frame_of(2))

    async with asyncio.timeout(5):
        await mailbox.wait(0.0)  # 3 ms: the one test that needs the time to pass


async def test_a_closed_mailbox_lets_its_messages_go_and_then_tells_why() -> None:
    mailbox = Mailbox(Window())
    mailbox.offer(frame_of(1))
    mailbox.post({"type": "time"})

    mailbox.close("deleted", reconnect=False, close_code=4404)
    mailbox.close("server stops", reconnect=True, close_code=1001)
    mailbox.offer(frame_of(2))

    await mailbox.wait(0.0)
    assert mailbox.take_message() == {"type": "time"}
    assert send(mailbox) is None
    with pytest.raises(MailboxClosed) as told:
        await mailbox.wait(0.0)
    assert (told.value.reason, told.value.reconnect, told.value.close_code) == ("deleted", False, 4404)


async def test_closing_wakes_the_writer() -> None:
    mailbox = Mailbox(Window())
    waiting = asyncio.create_task(mailbox.wait(0.0))
    await asyncio.sleep(0)  # lets it begin to wait

    mailbox.close("server stops", reconnect=True, close_code=1001)

    async with asyncio.timeout(5):
        await waiting
    with pytest.raises(MailboxClosed, match="server stops"):
        await mailbox.wait(0.0)


steps = st.lists(
    st.one_of(
        st.sampled_from(["offer", "take", "hide", "show", "later"]),
        st.tuples(st.just("ack"), st.integers(-2, 30)),
        st.tuples(st.just("rate"), st.sampled_from([None, 1.0, 30.0])),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_whatever_happens_the_subscriber_ends_on_the_newest_frame(
    happenings: list[str | tuple[str, float | None]],
) -> None:
    mailbox = Mailbox(Window())
    newest, sent, now_s = 0, [0], 0.0

    for happening in happenings:
        match happening:
            case "offer":
                newest += 1
                mailbox.offer(frame_of(newest))
            case "take":
                before = mailbox.window.in_flight
                if taken := send(mailbox, now_s):
                    sent.append(taken)
                    assert before < DEFAULT_LIMIT
            case "hide" | "show":
                mailbox.set_visible(happening == "show")
            case "later":
                now_s += 0.4
            case ("rate", fps):
                mailbox.window.set_max_fps(fps)
            case ("ack", sequence):
                assert isinstance(sequence, int)
                if 0 <= sequence <= sent[-1]:
                    mailbox.acknowledge(sequence, now_s)
                else:
                    with pytest.raises(ProtocolError):
                        mailbox.acknowledge(sequence, now_s)
        assert mailbox.window.in_flight <= DEFAULT_LIMIT

    # The peer shows itself and reads what is on its way; then the newest can leave.
    mailbox.set_visible(True)
    mailbox.acknowledge(sent[-1], now_s)
    if taken := send(mailbox, now_s + 10.0):
        sent.append(taken)
    assert sent[-1] == newest
    assert sent == sorted(set(sent))
    assert mailbox.replaced == newest - (len(sent) - 1)
