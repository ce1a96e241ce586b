"""What waits for one subscriber."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import frame_of

from server.streaming.delivery.mailbox import MAX_WAITING_MESSAGES, Mailbox, MailboxClosed


def sequence_of(mailbox: Mailbox) -> int | None:
    """Take the frame that waits, and return its sequence."""
    frame = mailbox.take_frame()
    return frame.sequence if frame else None


def test_newest_frame_replaces_the_one_not_taken() -> None:
    mailbox = Mailbox()

    for sequence in (1, 2, 3):
        mailbox.offer(frame_of(sequence))

    assert mailbox.waiting == frame_of(3)
    assert sequence_of(mailbox) == 3
    assert sequence_of(mailbox) is None
    assert mailbox.replaced == 2
    assert mailbox.newest == frame_of(3)


def test_a_frame_that_was_taken_is_not_counted_as_replaced() -> None:
    mailbox = Mailbox()
    for sequence in (1, 2, 3):
        mailbox.offer(frame_of(sequence))
        sequence_of(mailbox)

    assert mailbox.replaced == 0


def test_the_same_frame_may_be_offered_again() -> None:
    mailbox = Mailbox()
    frame = frame_of(1)
    mailbox.offer(frame)
    sequence_of(mailbox)

    mailbox.offer(frame)

    assert mailbox.take_frame() is frame


def test_a_hidden_screen_gets_no_frame_and_the_newest_when_it_is_shown_again() -> None:
    mailbox = Mailbox()
    mailbox.set_visible(False)
    mailbox.offer(frame_of(1))
    mailbox.offer(frame_of(2))
    assert mailbox.waiting is None
    assert sequence_of(mailbox) is None
    assert mailbox.has_frame

    mailbox.set_visible(True)

    assert sequence_of(mailbox) == 2
    assert (mailbox.hidden, mailbox.replaced) == (2, 0)


def test_a_frame_that_was_taken_and_not_sent_comes_back_unless_a_newer_one_is_there() -> None:
    mailbox = Mailbox()
    mailbox.offer(frame_of(1))
    first = mailbox.take_frame()
    assert first is not None
    mailbox.put_back(first)
    assert sequence_of(mailbox) == 1

    mailbox.offer(frame_of(2))
    mailbox.put_back(first)

    assert sequence_of(mailbox) == 2
    assert mailbox.replaced == 1


def test_messages_are_taken_in_order_and_the_status_after_them() -> None:
    mailbox = Mailbox()
    mailbox.post_status({"type": "status", "n": 1})
    mailbox.post({"type": "pong"})
    mailbox.post({"type": "time"})
    assert mailbox.has_message

    taken = [mailbox.take_message() for _ in range(4)]

    assert taken == [{"type": "pong"}, {"type": "time"}, {"type": "status", "n": 1}, None]
    assert not mailbox.has_message


def test_a_newer_status_replaces_the_one_not_taken() -> None:
    mailbox = Mailbox()
    mailbox.post_status({"n": 1})
    mailbox.post_status({"n": 2})

    assert mailbox.take_message() == {"n": 2}
    assert mailbox.take_message() is None


def test_the_status_waits_for_a_hidden_screen_and_other_messages_do_not() -> None:
    mailbox = Mailbox()
    mailbox.set_visible(False)
    mailbox.post_status({"n": 1})
    assert not mailbox.has_message
    mailbox.post({"type": "time"})
    assert mailbox.has_message
    assert [mailbox.take_message(), mailbox.take_message()] == [{"type": "time"}, None]

    mailbox.set_visible(True)

    assert mailbox.take_message() == {"n": 1}


def test_a_peer_that_does_not_read_its_answers_is_told_so_and_memory_stays_bounded() -> None:
    mailbox = Mailbox()

    taken = [mailbox.post({"n": n}) for n in range(MAX_WAITING_MESSAGES + 3)]

    assert taken == [True] * MAX_WAITING_MESSAGES + [False] * 3
    assert mailbox.take_message() == {"n": 0}


@pytest.mark.parametrize(
    "change",
    [
        lambda mailbox: mailbox.offer(frame_of(1)),
        lambda mailbox: mailbox.post({"type": "pong"}),
        lambda mailbox: mailbox.post_status({"type": "status"}),
        lambda mailbox: mailbox.set_visible(True),
        lambda mailbox: mailbox.close("deleted", reconnect=False, close_code=4404),
    ],
    ids=["offer", "post", "post_status", "set_visible", "close"],
)
def test_every_change_is_told_once_it_is_whole(change: Callable[[Mailbox], object]) -> None:
    mailbox = Mailbox()
    seen: list[bool] = []
    mailbox.on_ready = lambda: seen.append(
        mailbox.has_frame or mailbox.has_message or mailbox.closed is not None or mailbox.is_visible
    )

    change(mailbox)

    assert seen == [True]


def test_a_closed_mailbox_still_gives_its_messages_and_a_bye() -> None:
    mailbox = Mailbox()
    mailbox.offer(frame_of(1))
    mailbox.post_status({"type": "status"})
    mailbox.post({"type": "time"})

    mailbox.close("deleted", reconnect=False, close_code=4404)
    mailbox.close("server stops", reconnect=True, close_code=1001)
    mailbox.offer(frame_of(2))
    mailbox.put_back(frame_of(2))

    assert mailbox.closed == MailboxClosed("deleted", reconnect=False, close_code=4404)
    assert sequence_of(mailbox) is None
    assert [mailbox.take_message() for _ in range(3)] == [
        {"type": "time"},
        {"type": "bye", "reason": "deleted", "reconnect": False},
        None,
    ]
    assert mailbox.newest is None, "what nobody sends is not kept alive"


def test_a_full_mailbox_takes_the_bye() -> None:
    mailbox = Mailbox()
    while mailbox.post({"type": "time"}):
        pass

    mailbox.close("server stops", reconnect=True, close_code=1001)

    taken = []
    while (message := mailbox.take_message()) is not None:
        taken.append(message["type"])
    assert taken == ["time"] * (MAX_WAITING_MESSAGES - 1) + ["bye"]


steps = st.lists(st.sampled_from(["offer", "take", "return", "hide", "show"]), max_size=60)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_whatever_happens_the_newest_is_kept_and_every_frame_is_accounted_for(happenings: list[str]) -> None:
    mailbox = Mailbox()
    newest, taken = 0, []
    for happening in happenings:
        match happening:
            case "offer":
                newest += 1
                mailbox.offer(frame_of(newest))
            case "take":
                if sequence := sequence_of(mailbox):
                    taken.append(sequence)
            case "return":
                if taken:
                    mailbox.put_back(frame_of(taken.pop()))
            case _:
                mailbox.set_visible(happening == "show")

    mailbox.set_visible(True)
    if last := sequence_of(mailbox):
        taken.append(last)
    assert max(taken, default=0) == newest
    assert newest - len(taken) <= mailbox.replaced + mailbox.hidden
