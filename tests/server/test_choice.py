"""Which tier a subscriber gets of the next frame."""

from __future__ import annotations

from writing import Desk

from server.streaming.delivery.choice import LOOK_S, Choice
from server.streaming.tiers.tier import ORIGINAL, Tier


SMALL = Tier(0.5, "jpeg", 60)


def test_the_chooser_is_asked_now_and_then_and_whenever_the_screen_changes() -> None:
    desk = Desk()
    frame = desk.publish(1000)
    choice = Choice(desk.subscriber, desk.canvas)
    now_s = desk.clock()
    assert choice.next(frame, now_s) == (ORIGINAL, 1000, 0.0)

    desk.chooser.tier = SMALL
    assert choice.next(frame, now_s + LOOK_S / 2)[0] is ORIGINAL
    assert choice.next(frame, now_s + LOOK_S) == (SMALL, 300, desk.renditions.encode_s)

    desk.chooser.tier = ORIGINAL
    desk.subscriber.viewport = (10, 10)
    assert choice.next(frame, now_s + LOOK_S)[0] is ORIGINAL


def test_of_tiers_only_more_is_better() -> None:
    desk = Desk()
    frame = desk.publish(1000)
    choice = Choice(desk.subscriber, desk.canvas)
    desk.chooser.tier = SMALL
    choice.next(frame, desk.clock())

    desk.chooser.best = ORIGINAL
    assert choice.best(frame, desk.clock(), shown=SMALL) is ORIGINAL
    # What was shown last may be better already than what the next frame would get.
    assert choice.best(frame, desk.clock(), shown=ORIGINAL) is None
    desk.chooser.best = SMALL
    assert choice.best(frame, desk.clock(), shown=SMALL) is None
