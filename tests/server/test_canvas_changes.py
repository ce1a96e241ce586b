"""What of a source is news to a screen: unchanged pictures, canvases that rest, instants to show frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from canvases import image, make_canvas, taken
from fakes import FakeClock
from images import TINY, encoded

from server.streaming.canvas import CanvasConfig
from server.streaming.frame import EncodedImage
from server.streaming.wire import Form


def test_a_picture_that_has_not_changed_is_a_frame_but_is_not_offered() -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        first = canvas.publish(image(1), timestamp_ms=0.0, job="job")
        assert taken(subscriber) is first

        # Another object with the same bytes, as a camera before a still scene sends it.
        twin = canvas.publish(
            replace(image(1), data=bytes(bytearray(image(1).data))), timestamp_ms=9.0, job="job"
        )

        assert taken(subscriber) is None
        assert (twin.sequence, canvas.newest) == (2, twin)
        assert twin.image is first.image, "the bytes are kept once"
        with canvas.subscribe(Form.MSGPACK) as newcomer:
            assert taken(newcomer) is twin
    assert canvas.counters()["unchanged"] == 1


def test_a_picture_that_waits_to_be_taken_is_not_replaced_by_its_twin() -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        first = canvas.publish(image(1), timestamp_ms=0.0)
        canvas.publish(image(1), timestamp_ms=0.0)

        assert taken(subscriber) is first
        assert subscriber.mailbox.replaced == 0


@pytest.mark.parametrize(
    ("other", "about"),
    [
        (image(2), {}),
        (replace(TINY, data=TINY.data + b"longer"), {}),
        (replace(image(1), width=9), {}),
        (replace(image(1), height=9), {}),
        (replace(image(1), format="png"), {}),
        (image(1), {"job": "another"}),
        (image(1), {"final": True}),
    ],
)
def test_whatever_a_screen_could_tell_is_a_change(other: EncodedImage, about: dict[str, Any]) -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        canvas.publish(image(1), timestamp_ms=0.0, job="job")
        taken(subscriber)

        changed = canvas.publish(other, **{"timestamp_ms": 0.0, "job": "job", **about})

        assert taken(subscriber) is changed
    assert canvas.unchanged == 0


def test_an_unchanged_picture_is_offered_again_as_a_slow_keep_alive() -> None:
    clock = FakeClock()
    canvas = make_canvas(clock=clock)
    offered = []
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        for _ in range(50):
            canvas.publish(TINY, timestamp_ms=0.0)
            frame = taken(subscriber)
            offered += [frame.sequence] if frame else []
            clock.advance(0.5)

    # 25 seconds: the first one, and one every ten seconds.
    assert offered == [1, 21, 41]
    assert canvas.unchanged == 47


def test_a_picture_that_comes_back_after_another_one_is_a_change() -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        for number in (1, 2, 1):
            frame = canvas.publish(image(number), timestamp_ms=0.0)
            assert taken(subscriber) is frame


def test_a_screen_may_be_told_when_to_show_a_frame() -> None:
    canvas = make_canvas(CanvasConfig(present_delay_ms=150))

    delayed = canvas.publish(image(1), timestamp_ms=0.0)
    asked = canvas.publish(image(2), timestamp_ms=0.0, present_at_ms=5.0)
    canvas.configure(present_delay_ms=None)
    at_once = canvas.publish(image(3), timestamp_ms=0.0)

    assert delayed.present_at_ms == delayed.published_ms + 150
    assert asked.present_at_ms == 5.0
    assert at_once.present_at_ms is None


def test_black_is_shown_at_once_however_long_pictures_are_delayed() -> None:
    canvas = make_canvas(CanvasConfig(present_delay_ms=150))
    canvas.publish(encoded(), timestamp_ms=0.0)

    canvas.configure(blank=True)
    assert canvas.newest is not None
    assert canvas.newest.present_at_ms is None

    canvas.configure(blank=False)
    assert canvas.newest.present_at_ms == canvas.newest.published_ms + 150


def test_the_interval_is_what_is_configured_until_it_is_measured() -> None:
    clock = FakeClock()
    canvas = make_canvas(CanvasConfig(fps=5.0), clock=clock)
    assert canvas.interval_s == 0.2

    for number in range(8):
        canvas.publish(image(number), timestamp_ms=0.0)
        # A twin is no picture of its own: nothing is sent for it.
        canvas.publish(image(number), timestamp_ms=0.0)
        clock.advance(0.1)

    assert canvas.interval_s == pytest.approx(0.1)


def test_a_canvas_rests_when_its_picture_stays_the_same() -> None:
    clock = FakeClock()
    canvas = make_canvas(clock=clock)
    assert not canvas.is_resting(clock())
    for number in range(5):
        canvas.publish(image(number), timestamp_ms=0.0)
        clock.advance(0.25)
        assert not canvas.is_resting(clock())

    for _ in range(3):
        canvas.publish(image(4), timestamp_ms=0.0)
        clock.advance(0.25)

    assert canvas.is_resting(clock())
    assert canvas.rests_at_s < clock()
