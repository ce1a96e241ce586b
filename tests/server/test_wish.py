"""The one frame that is being encoded for a subscriber."""

from __future__ import annotations

from writing import Desk

from server.streaming.delivery.wish import Asked, Wish
from server.streaming.payload import Payload
from server.streaming.tiers.tier import Tier
from server.streaming.wire import Form


SMALL = Tier(0.5, "jpeg", 60)


class Taker:
    """Notes what comes, and raises what it is told to."""

    def __init__(self) -> None:
        self.taken: list[tuple[Asked, Payload | None]] = []
        self.errors: list[Exception] = []
        self.error: Exception | None = None

    def take(self, asked: Asked, payload: Payload | None) -> None:
        self.taken.append((asked, payload))
        if self.error is not None:
            raise self.error


def wish() -> tuple[Desk, Taker, Wish]:
    desk, taker = Desk(), Taker()
    return desk, taker, Wish(desk.canvas, Form.MSGPACK, taker.take, taker.errors.append)


def test_what_was_asked_for_comes_once_with_what_it_was() -> None:
    desk, taker, one = wish()
    frame = desk.publish()
    one.ask(frame, SMALL, again=True)

    desk.renditions.requests[0].grant()

    ((asked, payload),) = taker.taken
    assert asked == (frame, SMALL, True)
    assert payload is not None
    assert one.request is None


def test_what_was_withdrawn_does_not_come_and_is_returned_unless_it_was_sent_before() -> None:
    desk, taker, one = wish()
    frame = desk.publish()

    for again in (False, True):
        one.ask(frame, SMALL, again=again)
        assert one.withdraw() is (None if again else frame)

    assert [request.is_cancelled for request in desk.renditions.requests] == [True, True]
    assert one.withdraw() is None
    assert taker.taken == []


def test_what_taking_it_raises_goes_to_whoever_can_tell() -> None:
    desk, taker, one = wish()
    taker.error = RuntimeError("a bug")
    one.ask(desk.publish(), SMALL, again=False)

    desk.renditions.requests[0].refuse()

    assert taker.errors == [taker.error]
