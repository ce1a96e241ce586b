"""What a writer does with a canvas that rests: what was sent last follows once more, as good as it can be."""

from __future__ import annotations

import pytest
from writing import FINE, SMALL, Desk, scaled

from server.streaming.payload import plain_payload
from server.streaming.tiers.tier import ORIGINAL, Tier


def test_a_canvas_that_rests_is_sent_once_more_in_the_best_tier() -> None:
    desk = scaled()
    desk.publish()
    desk.renditions.wanted[0].grant()
    desk.chooser.best = ORIGINAL
    desk.acknowledge(2)
    assert desk.frames() == [2]

    desk.timers.advance(20.0)
    (message,) = [message for message in desk.messages() if isinstance(message, dict)]

    assert (message["sequence"], message["tier"]) == (2, "original")
    desk.acknowledge(2)
    desk.timers.advance(20.0)
    assert desk.messages() == [], "once"
    assert len(desk.timers) == 0


def test_nothing_is_bettered_while_something_is_on_its_way() -> None:
    desk = scaled()
    desk.publish()
    desk.renditions.wanted[0].grant()
    desk.chooser.best = ORIGINAL
    desk.timers.advance(20.0)
    assert desk.frames() == [2]

    desk.acknowledge(2)

    assert desk.frames() == [2]


def test_a_better_tier_that_must_be_encoded_gives_way_to_a_newer_frame() -> None:
    desk = scaled()
    desk.publish()
    desk.renditions.wanted[0].grant()
    desk.chooser.best = FINE
    desk.acknowledge(2)
    desk.timers.advance(20.0)
    assert desk.frames() == [2]
    (better,) = desk.renditions.wanted[1:]
    assert (better.frame.sequence, better.tier) == (2, FINE)

    desk.publish()

    assert better.is_cancelled
    desk.renditions.wanted[-1].grant()
    assert desk.frames() == [3]


@pytest.mark.parametrize("best", [SMALL, Tier(0.25, "jpeg", 60)], ids=["the same", "a worse one"])
def test_what_is_no_better_is_not_sent_again(best: Tier) -> None:
    desk = scaled()
    desk.publish()
    desk.renditions.wanted[0].grant()
    desk.chooser.best = best
    desk.acknowledge(2)
    desk.frames()

    desk.timers.advance(20.0)

    assert desk.messages() == []
    assert len(desk.renditions.requests) == 1


def test_a_better_tier_that_is_encoded_while_the_link_is_full_is_sent_when_it_is_not() -> None:
    desk = scaled()
    desk.publish()
    desk.renditions.wanted[0].grant()
    desk.chooser.best = FINE
    desk.acknowledge(2)
    desk.timers.advance(20.0)
    assert desk.frames() == [2]
    desk.link.takes_bytes = 0
    desk.mailbox.post({"type": "time"})
    desk.turn()
    assert desk.writer.is_blocked
    desk.renditions.wanted[-1].grant()

    desk.drain()
    desk.renditions.wanted[-1].grant()

    tiers = [message.get("tier") for message in desk.messages() if isinstance(message, dict)]
    assert tiers == [None, FINE.name]


def resting() -> Desk:
    """Return a desk whose second frame rests in a small tier while a better one is being encoded."""
    desk = scaled()
    desk.publish()
    desk.renditions.wanted[0].grant()
    desk.chooser.best = FINE
    desk.acknowledge(2)
    desk.timers.advance(20.0)
    assert desk.frames() == [2]
    assert desk.renditions.wanted[-1].tier == FINE
    return desk


def tiers_of(desk: Desk) -> list[str]:
    return [message["tier"] for message in desk.messages() if isinstance(message, dict)]


def test_a_better_tier_that_is_encoded_while_the_screen_is_hidden_is_sent_when_it_is_shown() -> None:
    desk = resting()
    desk.mailbox.set_visible(False)
    desk.turn()
    desk.renditions.wanted[-1].grant()
    assert tiers_of(desk) == []

    desk.mailbox.set_visible(True)
    desk.turn()
    desk.renditions.wanted[-1].grant()

    assert tiers_of(desk) == [FINE.name]


def test_a_better_tier_that_there_is_not_is_asked_for_once_more_and_no_more() -> None:
    desk = resting()

    for _ in range(2):
        desk.renditions.wanted[-1].refuse()
        desk.timers.advance(20.0)

    assert [request.tier for request in desk.renditions.requests] == [SMALL, FINE, FINE]
    assert len(desk.timers) == 0


def test_a_screen_that_grows_while_a_better_tier_is_encoded_gets_that_and_then_its_best() -> None:
    desk = resting()
    desk.chooser.best = ORIGINAL
    desk.subscriber.show(is_shown=True, viewport=(8, 8), max_fps=None)
    desk.turn()
    desk.renditions.wanted[-1].grant()
    desk.timers.advance(1.0)
    desk.acknowledge(2)

    assert tiers_of(desk) == [FINE.name, "original"]


def test_a_better_tier_does_not_slow_the_source_down() -> None:
    desk = scaled()
    desk.publish(10_000)
    desk.renditions.wanted[0].grant()
    desk.chooser.best = ORIGINAL
    desk.timers.advance(0.1)
    desk.acknowledge(2)
    wanted_fps = desk.subscriber.wants_fps
    desk.subscriber.note_sent(
        desk.canvas.newest, ORIGINAL, plain_payload([bytes(10_000_000)]), desk.clock(), 0.0, again=True
    )

    assert desk.subscriber.wants_fps == wanted_fps


def test_a_screen_that_grows_gets_what_rests_there_in_a_better_tier() -> None:
    desk = scaled()
    desk.publish()
    desk.renditions.wanted[0].grant()
    desk.acknowledge(2)
    desk.timers.advance(20.0)
    assert desk.frames() == [2]
    desk.chooser.best = ORIGINAL

    desk.subscriber.show(is_shown=True, viewport=(8, 8), max_fps=None)
    desk.turn()

    (message,) = [message for message in desk.messages() if isinstance(message, dict)]
    assert (message["sequence"], message["tier"]) == (2, "original")
    # The same once more, or another wish for a rate, is no other screen.
    desk.acknowledge(2)
    desk.chooser.best = FINE
    desk.subscriber.show(is_shown=True, viewport=(8, 8), max_fps=5.0)
    desk.turn()
    desk.timers.advance(20.0)
    assert desk.messages() == []


def test_a_screen_that_takes_more_formats_is_another_screen() -> None:
    desk = scaled()
    desk.publish()
    desk.renditions.wanted[0].grant()
    desk.acknowledge(2)
    desk.timers.advance(20.0)
    desk.frames()
    desk.chooser.best = ORIGINAL
    formats = frozenset({"jpeg"})

    desk.subscriber.show(is_shown=True, viewport=(4, 4), max_fps=None, formats=formats)
    desk.turn()

    assert desk.frames() == [2]


def test_the_original_is_never_bettered_and_needs_no_timer() -> None:
    desk = Desk()
    desk.publish()
    desk.acknowledge(1)

    assert len(desk.timers) == 0
