"""What a writer writes, when, and what it does where the link takes no more."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fakes import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st
from writing import Desk, read_messages

from server.streaming.delivery.held import CROWDED, PATIENCE_S, HeldPayloads
from server.streaming.delivery.mailbox import MAX_WAITING_MESSAGES, MailboxClosed
from server.streaming.payload import FRAGMENT_BYTES, pong_bytes
from server.streaming.wire import CloseCode, Form


MB = 1_000_000


def types_of(messages: list[Any]) -> list[Any]:
    """Return what the messages are: their types, and the opcodes of pings and the like."""
    return [message["type"] if isinstance(message, dict) else message[0] for message in messages]


def acknowledging(desk: Desk) -> Desk:
    """Make it a peer that acknowledges, with nothing on its way."""
    desk.publish()
    desk.acknowledge(1)
    assert desk.frames() == [1]
    return desk


def test_a_frame_is_written_when_it_is_published_and_its_turn_has_come() -> None:
    desk = Desk()

    desk.canvas.publish(desk.publish().image, timestamp_ms=0.0)

    assert desk.frames() == [1]
    assert len(desk.timers) == 0, "nothing waits: no timer"


def test_the_first_frames_carry_a_ping_with_their_number() -> None:
    desk = Desk()
    desk.publish()

    assert desk.messages()[0] == (9, b"\0\0\0\1")


def test_a_frame_without_a_ping_is_written_without_it() -> None:
    desk = acknowledging(Desk())
    for sequence in range(2, 40):
        desk.publish()
        desk.timers.advance(0.001)
        desk.acknowledge(sequence)

    messages = desk.messages()

    assert [m["sequence"] for m in messages if isinstance(m, dict)] == list(range(2, 40))
    assert 9 in types_of(messages)
    assert types_of(messages[-2:]) == ["frame", "frame"]


def test_control_goes_before_the_frame_that_waits() -> None:
    desk = Desk()
    desk.canvas.publish(desk.publish().image, timestamp_ms=0.0)
    desk.messages()
    desk.mailbox.offer(desk.canvas.newest)  # type: ignore[arg-type] # it was published
    desk.mailbox.post({"type": "time"})
    desk.mailbox.post_status({"type": "status"})

    desk.turn()

    assert [type_ for type_ in types_of(desk.messages()) if type_ != 9] == ["time", "status", "frame"]


def test_a_silent_peer_gets_the_newest_whenever_its_socket_has_taken_the_one_before() -> None:
    desk = Desk(takes_bytes=150_000)
    for _ in range(5):
        desk.publish(100_000)
    assert desk.writer.is_blocked
    assert desk.blocked == 1
    assert desk.frames() == [1]

    desk.drain()

    assert desk.frames() == [2, 5]
    assert desk.mailbox.replaced == 2


def test_no_more_than_a_part_waits_in_the_transport() -> None:
    desk = Desk(takes_bytes=0)

    desk.publish(MB)

    assert len(desk.link.unsent) <= FRAGMENT_BYTES + 16
    assert len(desk.link.writes) == 1


def test_a_large_frame_is_written_part_by_part_as_the_link_drains() -> None:
    desk = Desk(takes_bytes=0)
    desk.publish(MB)

    for _ in range(10):
        assert desk.frames() == []
        desk.drain(100_000)
    desk.drain()

    assert desk.frames() == [1]
    assert len(desk.link.writes) == math.ceil(MB / FRAGMENT_BYTES)
    assert not desk.writer.is_blocked
    assert desk.writer.blocked_since is None


def test_what_is_newest_is_decided_when_the_link_has_room() -> None:
    desk = Desk(takes_bytes=0)
    desk.publish(MB)
    desk.drain(500_000)
    for _ in range(3):
        desk.publish(100)

    desk.drain()

    assert desk.frames() == [1, 4]


def test_a_pong_goes_between_two_parts_and_a_message_waits_for_the_last() -> None:
    desk = Desk(takes_bytes=0)
    desk.publish(MB)
    desk.mailbox.post({"type": "time"})
    desk.writer.interject(pong_bytes(b"first"))
    desk.writer.interject(pong_bytes(b"second"))
    desk.drain(FRAGMENT_BYTES + 100)

    messages, _, parts = read_messages(bytes(desk.link.sent + desk.link.unsent))
    assert messages == [(9, b"\0\0\0\1"), (10, b"second")], "an answer to the newest ping answers all"
    assert parts == 4, "ping, first part, pong, second part"

    desk.drain()
    assert types_of(desk.messages()) == [9, 10, "frame", "time"]


def test_a_pong_is_written_at_once_where_there_is_room() -> None:
    desk = Desk()

    desk.writer.interject(pong_bytes(b"x"))

    assert desk.messages() == [(10, b"x")]


def test_an_acknowledgement_has_the_waiting_frame_written_before_it_returns() -> None:
    desk = acknowledging(Desk())
    while not desk.mailbox.has_frame:
        desk.publish()
    sent = desk.frames()

    desk.acknowledge(sent[-1])

    assert desk.frames() == [desk.mailbox.newest.sequence]  # type: ignore[union-attr] # one was offered


def test_the_wished_rate_is_kept_by_one_timer() -> None:
    desk = Desk()
    desk.subscriber.show(is_shown=True, viewport=None, max_fps=10.0)
    desk.turn()
    got = []
    for _ in range(100):
        desk.publish()
        assert len(desk.timers) <= 1
        desk.timers.advance(0.01)
        desk.turn()
        got += desk.frames()

    assert 9 <= len(got) <= 11
    desk.timers.advance(0.2)
    assert (got + desk.frames())[-1] == 100


@pytest.mark.parametrize(
    "hide",
    [
        {"is_shown": False, "viewport": None, "max_fps": None},
        {"is_shown": True, "viewport": (0, 100), "max_fps": None},
        {"is_shown": True, "viewport": (100, 0), "max_fps": None},
        {"is_shown": True, "viewport": (100, 100), "max_fps": 0.0},
    ],
    ids=["hidden", "no width", "no height", "paused"],
)
def test_who_shows_nothing_gets_nothing_but_answers_and_the_newest_at_once_when_it_does(hide: Any) -> None:
    desk = acknowledging(Desk())
    desk.subscriber.show(**hide)
    for _ in range(5):
        desk.publish(MB)
    desk.mailbox.post_status({"type": "status"})
    desk.mailbox.post({"type": "time"})
    desk.turn()
    assert types_of(desk.messages()) == ["time"]
    assert desk.subscriber.wants_fps == 0.0
    assert len(desk.timers) == 0

    desk.subscriber.show(is_shown=True, viewport=(100, 100), max_fps=None)
    desk.turn()

    messages = desk.messages()
    assert [type_ for type_ in types_of(messages) if type_ != 9] == ["status", "frame"]
    assert messages[-1]["sequence"] == 6
    assert (desk.mailbox.hidden, desk.mailbox.replaced) == (5, 0)


def test_who_stops_acknowledging_while_a_frame_waits_ends_too_slow() -> None:
    desk = acknowledging(Desk(deadline_s=10.0))
    for _ in range(30):
        desk.publish()
        desk.timers.advance(0.3)

    assert desk.writer.end is None
    desk.timers.advance(11.0)

    assert desk.writer.end is not None
    assert desk.writer.end.close_code == 4408
    assert desk.writer.end.reconnect
    assert desk.blocked == 1, "whoever closes it is told"
    assert len(desk.timers) == 0


def test_who_acknowledges_late_but_in_time_goes_on() -> None:
    desk = acknowledging(Desk(deadline_s=10.0))
    for _ in range(5):
        desk.publish()
        desk.publish()
        desk.timers.advance(9.0)
        desk.acknowledge(desk.frames()[-1])

    assert desk.writer.end is None


def test_a_hidden_peer_may_be_silent_for_ever() -> None:
    desk = acknowledging(Desk(deadline_s=1.0))
    desk.publish()
    desk.subscriber.show(is_shown=False, viewport=None, max_fps=None)
    desk.publish()
    desk.timers.advance(100.0)

    assert desk.writer.end is None


def test_the_end_is_a_bye_after_what_was_posted_before() -> None:
    desk = Desk()
    desk.publish()
    desk.messages()
    desk.mailbox.post({"type": "time"})
    desk.mailbox.close("deleted", reconnect=False, close_code=4404)
    desk.turn()

    assert desk.messages() == [{"type": "time"}, {"type": "bye", "reason": "deleted", "reconnect": False}]
    assert desk.writer.end == desk.mailbox.closed
    desk.publish()
    desk.writer.interject(b"x")
    assert desk.messages() == []


def test_an_end_in_the_middle_of_a_frame_waits_for_its_last_part() -> None:
    desk = Desk(takes_bytes=0)
    desk.publish(MB)
    desk.mailbox.close("server stops", reconnect=True, close_code=1001)
    desk.turn()
    assert desk.blocked == 2, "whoever waits for the link learns that there is little time"
    assert desk.writer.end is None

    desk.drain()

    assert types_of(desk.messages()) == [9, "frame", "bye"]
    assert desk.writer.end == desk.mailbox.closed


def test_an_end_that_takes_too_long_gives_the_rest_of_the_frame_up() -> None:
    desk = Desk(takes_bytes=0)
    desk.publish(MB)
    desk.mailbox.close("server stops", reconnect=True, close_code=1001)
    desk.turn()

    desk.writer.give_up_message()
    desk.drain()

    assert desk.writer.end == desk.mailbox.closed
    assert len(desk.link.writes) == 1
    assert len(desk.canvas.held) == 0


def test_stopping_lets_go_of_everything() -> None:
    desk = Desk(takes_bytes=0)
    desk.publish(MB)
    assert len(desk.canvas.held) == 1

    desk.writer.stop()
    desk.writer.stop()
    desk.publish(MB)
    desk.drain()

    assert len(desk.canvas.held) == 0
    assert len(desk.timers) == 0
    assert desk.link.writes == [FRAGMENT_BYTES + 16]


def test_what_stuck_peers_hold_is_on_the_ledger_until_the_last_part_is_written() -> None:
    desk = Desk(takes_bytes=0)
    desk.publish(3 * FRAGMENT_BYTES - 1000)
    assert desk.canvas.held.held_bytes > 2 * FRAGMENT_BYTES

    desk.drain(FRAGMENT_BYTES + 16)
    assert len(desk.canvas.held) == 1
    desk.drain(FRAGMENT_BYTES + 10)

    assert desk.writer.is_blocked, "the last part is in the transport"
    assert desk.canvas.held.held_bytes == 0


def test_past_the_ledgers_limit_the_longest_stuck_ends_too_slow() -> None:
    clock = FakeClock()
    held = HeldPayloads(limit_bytes=MB + MB // 2, clock=clock)
    desks = [Desk(takes_bytes=0, held=held) for _ in range(2)]

    for desk in desks:
        desk.publish(MB)
        clock.now_s += PATIENCE_S - 1.0
    assert [desk.writer.end for desk in desks] == [None, None], "nobody is stuck for long"
    clock.now_s += 2.0
    Desk(takes_bytes=0, held=held).publish(300_000)

    assert desks[0].writer.end == MailboxClosed(CROWDED, reconnect=True, close_code=CloseCode.TOO_SLOW)
    assert desks[1].writer.end is None


def test_a_frame_without_framing_is_written_as_it_is() -> None:
    desk = Desk(Form.MJPEG)
    desk.mailbox.post({"type": "time"})
    desk.mailbox.post_status({"type": "status"})
    frame = desk.publish()

    assert frame.image.data in bytes(desk.link.sent)
    assert desk.link.sent.startswith(b"Content-Type") or desk.link.sent.startswith(b"--")
    desk.mailbox.offer(frame)
    desk.turn()
    assert bytes(desk.link.sent).count(frame.image.data) == 2, "repeated on request"


def test_a_bug_in_a_turn_ends_the_writer_with_it() -> None:
    desk = Desk()
    error = RuntimeError("a bug")
    desk.writer.fail(error)

    assert desk.writer.error is error
    assert desk.writer.end is not None
    assert desk.writer.end.close_code == 1011


def test_a_mailbox_that_is_never_read_stays_bounded() -> None:
    desk = Desk(takes_bytes=0)
    desk.publish(MB)

    assert not all(desk.mailbox.post({"type": "time"}) for _ in range(MAX_WAITING_MESSAGES + 1))
    assert len(desk.link.writes) == 1


happenings = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from([100, 100_000, 500_000])),
        st.tuples(st.just("take"), st.sampled_from([1, 1000, 200_000, 2_000_000])),
        st.tuples(st.just("ack"), st.just(0)),
        st.tuples(st.just("time"), st.sampled_from([0.001, 0.05, 0.5])),
        st.tuples(st.sampled_from(["hide", "show", "pause", "post", "ping"]), st.just(0)),
    ),
    max_size=50,
)


@settings(max_examples=300, deadline=None)
@given(happenings, st.booleans())
def test_whatever_happens_every_visible_screen_ends_on_the_newest_frame(
    steps: list[tuple[str, int | float]], acknowledges: bool
) -> None:
    desk = Desk(takes_bytes=50_000, deadline_s=1e6)
    shown: list[int] = []
    posted = 0

    def read() -> None:
        shown.extend(desk.frames())

    def acknowledge() -> None:
        read()
        if shown and acknowledges:
            desk.acknowledge(shown[-1])

    for step, value in steps:
        match step:
            case "publish":
                desk.publish(int(value))
            case "take":
                desk.drain(value)
            case "ack":
                acknowledge()
            case "time":
                desk.timers.advance(value)
            case "hide" | "show":
                desk.subscriber.show(is_shown=step == "show", viewport=None, max_fps=None)
            case "pause":
                desk.subscriber.show(is_shown=True, viewport=None, max_fps=0.0)
            case "post":
                posted += desk.mailbox.post({"type": "time"})
            case "ping":
                desk.writer.interject(pong_bytes(b"x"))
        desk.turn()
        assert len(desk.link.unsent) <= FRAGMENT_BYTES + 16
        assert len(desk.timers) <= 1

    desk.subscriber.show(is_shown=True, viewport=None, max_fps=None)
    desk.turn()
    for _ in range(6):
        desk.drain()
        acknowledge()
        desk.timers.advance(20.0)
    read()
    newest = desk.canvas.newest
    assert (shown[-1] if shown else None) == (newest.sequence if newest else None)
    assert shown == sorted(set(shown))
    assert len(shown) + desk.mailbox.replaced + desk.mailbox.hidden >= len(set(shown))
    assert not desk.mailbox.has_frame
