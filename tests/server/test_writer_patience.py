"""How long a writer waits, and for what: a screen's first word, its acknowledgements, its link."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import FakeClock
from writing import Desk, FakeLink

from server.streaming.delivery.held import HeldPayloads
from server.streaming.delivery.writer import GREETING_S
from server.streaming.payload import FRAGMENT_BYTES
from server.streaming.tiers.tier import Tier
from server.streaming.wire import Form


MB = 1_000_000
SMALL = Tier(0.5, "jpeg", 60)


def acknowledging(deadline_s: float = 10.0) -> Desk:
    """Return a desk whose peer acknowledges, and whose rate is known."""
    desk = Desk(deadline_s=deadline_s)
    for sequence in range(1, 6):
        desk.publish(50_000)
        desk.timers.advance(0.1)
        desk.acknowledge(sequence)
    desk.frames()
    return desk


def show(desk: Desk, *, is_shown: bool = True) -> None:
    desk.subscriber.show(is_shown=is_shown, viewport=None, max_fps=None)
    desk.turn()


# A frame that waits for an acknowledgement.


def test_an_acknowledgement_that_was_missing_while_nothing_waited_costs_nobody_the_connection() -> None:
    desk = acknowledging()
    desk.publish(50_000)
    desk.timers.advance(100.0)

    desk.publish(50_000)
    desk.timers.advance(9.9)
    assert desk.writer.end is None, "the frame has waited for less than the deadline"
    desk.acknowledge(6)

    assert desk.frames() == [6, 7]


def test_each_frame_that_waits_has_a_deadline_of_its_own() -> None:
    desk = acknowledging()
    desk.publish(50_000)
    desk.timers.advance(1.0)
    desk.publish(50_000)
    desk.acknowledge(6)
    assert desk.frames() == [6, 7]
    desk.timers.advance(100.0)

    desk.publish(50_000)
    desk.timers.advance(9.9)

    assert desk.writer.end is None


def test_who_is_hidden_with_an_acknowledgement_missing_has_the_whole_deadline_when_it_is_shown() -> None:
    desk = acknowledging()
    desk.publish(50_000)
    desk.timers.advance(1.0)
    desk.publish(50_000)
    desk.timers.advance(8.0)
    show(desk, is_shown=False)
    for _ in range(10):
        desk.publish(50_000)
        desk.timers.advance(10.0)

    show(desk)
    desk.timers.advance(9.9)
    assert desk.writer.end is None
    desk.timers.advance(0.2)

    assert desk.writer.end is not None
    assert desk.writer.end.close_code == 4408


def test_who_hides_while_its_link_is_full_has_the_whole_deadline_too() -> None:
    desk = acknowledging()
    desk.publish(50_000)
    desk.timers.advance(1.0)
    desk.publish(50_000)
    desk.link.takes_bytes = 0
    desk.mailbox.post({"type": "time"})
    desk.turn()
    assert desk.writer.is_blocked
    show(desk, is_shown=False)
    desk.timers.advance(100.0)
    show(desk)
    desk.drain()

    assert desk.writer.end is None


def test_a_peer_whose_first_acknowledgement_means_what_is_long_forgotten_is_cut_off_in_time() -> None:
    desk = Desk(deadline_s=10.0)
    for _ in range(12):
        desk.publish(1000)
        desk.timers.advance(0.016)
    desk.acknowledge(1)
    desk.publish(1000)

    desk.timers.advance(10.1)

    assert desk.writer.end is not None
    assert desk.writer.end.close_code == 4408


def test_a_peer_that_says_the_same_again_and_again_is_cut_off_in_time() -> None:
    desk = acknowledging()
    began_s = desk.clock()

    while desk.writer.end is None and desk.clock() < began_s + 100.0:
        desk.publish(50_000)
        desk.timers.advance(1.0)
        desk.flow.acknowledge(5, desk.clock())
        desk.writer.pump()

    assert desk.clock() - began_s <= 12.0


# A large frame that waits for the screen's first word.


@pytest.mark.parametrize("form", [Form.MSGPACK, Form.JSON])
def test_a_large_first_frame_waits_until_the_screen_has_told_of_itself(form: Form) -> None:
    desk = Desk(form, has_told=False)
    desk.publish(4 * MB)
    assert desk.flow.sent_frames == 0
    assert len(desk.timers) == 1

    desk.chooser.tier = SMALL
    desk.subscriber.show(is_shown=True, viewport=(400, 300), max_fps=None)
    desk.turn()

    assert [request.tier for request in desk.renditions.wanted] == [SMALL], "what a small screen gets"


def test_a_screen_that_tells_nothing_gets_its_large_frame_soon_all_the_same() -> None:
    desk = Desk(has_told=False)
    desk.publish(4 * MB)
    desk.timers.advance(GREETING_S / 2.0)
    desk.publish(4 * MB)
    assert desk.frames() == []

    desk.timers.advance(GREETING_S / 2.0)
    assert desk.frames() == [2], "the newest"
    desk.publish(4 * MB)
    assert desk.frames() == [3], "and the next ones at once"


def test_a_screen_whose_first_word_is_that_it_is_hidden_gets_nothing() -> None:
    desk = Desk(has_told=False)
    desk.publish(4 * MB)

    show(desk, is_shown=False)
    desk.timers.advance(10.0)

    assert desk.frames() == []


def test_an_acknowledgement_is_a_word_too() -> None:
    desk = Desk(has_told=False)
    desk.publish(1000)
    desk.publish(4 * MB)

    desk.acknowledge(1)

    assert desk.frames() == [1, 2]


@pytest.mark.parametrize(
    ("form", "size_bytes"),
    [(Form.MSGPACK, FRAGMENT_BYTES), (Form.SEED_JSON, 4 * MB), (Form.MJPEG, 4 * MB)],
    ids=["small", "the first clients", "multipart"],
)
def test_what_is_small_and_who_cannot_speak_waits_for_nothing(form: Form, size_bytes: int) -> None:
    desk = Desk(form, has_told=False)

    desk.publish(size_bytes)

    assert desk.flow.sent_frames == 1
    assert len(desk.timers) == 0


# What waits in a link that keeps what it was given.


class KeepingLink(FakeLink):
    """Keeps the very objects that it was given until it has taken them, as transports may."""

    def __init__(self, takes_bytes: float = float("inf")) -> None:
        super().__init__(takes_bytes)
        self.kept: list[bytes | memoryview] = []

    def write(self, data: bytes | memoryview) -> None:
        super().write(data)
        self.kept = [data] if self.unsent else []

    @property
    def kept_bytes(self) -> int:
        """Return how much memory it keeps alive."""
        return sum(len(data.obj) if isinstance(data, memoryview) else len(data) for data in self.kept)


@pytest.mark.parametrize("left_bytes", [1, 1000, FRAGMENT_BYTES + 1000, MB])
def test_no_more_than_a_part_is_kept_alive_by_a_message_that_is_off_the_ledger(left_bytes: int) -> None:
    link, held = KeepingLink(), HeldPayloads(clock=FakeClock())
    desk = Desk(held=held, link=link)
    link.takes_bytes = 2 * MB - left_bytes
    desk.publish(2 * MB)
    assert desk.writer.is_blocked

    while desk.writer.is_blocked:
        assert link.kept_bytes <= FRAGMENT_BYTES + held.held_bytes + 100
        desk.drain(50_000)


# What goes wrong where nobody would learn of it.


def raising(desk: Desk) -> RuntimeError:
    """Have the choice of tiers fail."""
    error = RuntimeError("a bug")

    def choose(*_: Any, **__: Any) -> Tier:
        raise error

    desk.chooser.choose = desk.chooser.best_tier = choose  # type: ignore[method-assign] # the bug
    return error


def test_a_bug_in_what_a_timer_begins_ends_the_writer_with_it() -> None:
    desk = Desk()
    desk.subscriber.show(is_shown=True, viewport=None, max_fps=1.0)
    desk.publish()
    desk.publish()
    error = raising(desk)

    desk.timers.advance(5.0)

    assert desk.writer.error is error
    assert desk.blocked == 1, "whoever closes it is told"


def test_a_bug_in_what_follows_encoding_ends_the_writer_with_it() -> None:
    desk = acknowledging()
    desk.chooser.tier = SMALL
    desk.subscriber.show(is_shown=True, viewport=(4, 4), max_fps=None)
    desk.publish()
    (request,) = desk.renditions.wanted
    request.is_started = True
    desk.publish()
    desk.timers.advance(1.0)
    error = raising(desk)

    request.grant()

    assert desk.writer.error is error
    assert desk.writer.end is not None
    assert desk.writer.end.close_code == 1011
