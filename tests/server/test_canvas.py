"""The canvas: publishing, subscribing, blanking, counting."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import pytest
from fakes import FakeClock
from images import TINY, encoded

from server.errors import ServerFullError
from server.streaming.canvas import Canvas, CanvasConfig, Subscriber
from server.streaming.frame import EncodedImage, Frame
from server.streaming.images import encoders
from server.streaming.wire import CloseCode, Form


def make_canvas(config: CanvasConfig | None = None, **options: Any) -> Canvas:
    # Nothing is encoded again here.
    return Canvas("left", config or CanvasConfig(), executor=Executor(), **options)


def image(number: int) -> EncodedImage:
    return replace(TINY, data=TINY.data + bytes([number]))


def taken(subscriber: Subscriber) -> Frame | None:
    """Take the frame as the writer of a silent peer does."""
    return subscriber.mailbox.take_frame()


def is_black(frame: Frame | None) -> bool:
    return frame is not None and not encoders.decode(frame.image.data).any()


def test_every_subscriber_is_offered_the_very_same_frame() -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as one, canvas.subscribe(Form.JSON) as other:
        frame = canvas.publish(TINY, timestamp_ms=5.0, job="job", final=True)

        assert taken(one) is frame
        assert taken(other) is frame
        assert canvas.newest is frame
    assert (frame.canvas, frame.sequence, frame.timestamp_ms) == ("left", 1, 5.0)
    assert (frame.job, frame.final, frame.image) == ("job", True, TINY)


def test_sequences_count_up_by_one_and_name_the_epoch() -> None:
    canvas = make_canvas()

    frames = [canvas.publish(image(number), timestamp_ms=0.0) for number in range(3)]

    assert [frame.sequence for frame in frames] == [1, 2, 3]
    assert [frame.image_id for frame in frames] == [f"{canvas.epoch}-{n}" for n in (1, 2, 3)]


def test_each_incarnation_has_an_epoch_of_its_own() -> None:
    assert make_canvas().epoch != make_canvas().epoch


def test_a_late_joiner_gets_the_newest_frame_at_once_and_no_older_one() -> None:
    canvas = make_canvas()
    canvas.publish(image(1), timestamp_ms=0.0)
    newest = canvas.publish(image(2), timestamp_ms=0.0)

    with canvas.subscribe(Form.MSGPACK) as subscriber:
        assert taken(subscriber) is newest
        assert taken(subscriber) is None


def test_a_subscriber_that_looks_away_ends_on_the_newest_frame() -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        for number in range(5):
            newest = canvas.publish(image(number), timestamp_ms=0.0)

        assert taken(subscriber) is newest
        assert subscriber.mailbox.replaced == 4


def test_stages_tell_when_it_was_painted_and_published() -> None:
    frame = make_canvas().publish(TINY, timestamp_ms=1.0)

    assert frame.stages == {"painted": 1.0, "published": frame.published_ms}


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


def test_comparing_large_pictures_costs_next_to_nothing() -> None:
    canvas = make_canvas()
    data = bytes(2_000_000)
    twins = [EncodedImage(bytes(bytearray(data)), "jpeg", 8, 8) for _ in range(5)]

    times = []
    for twin in twins:
        began = time.perf_counter()
        canvas.publish(twin, timestamp_ms=0.0)
        times.append(time.perf_counter() - began)

    # 0.1 ms on a quiet machine; the best of several, because those that test are busy.
    assert min(times[1:]) < 2e-3


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


def test_a_subscriber_is_gone_when_its_connection_is_whatever_ended_it() -> None:
    canvas = make_canvas()
    subscribed = canvas.subscribe(Form.MSGPACK)
    subscribed.__enter__()
    assert len(canvas.subscribers) == 1

    lost = ConnectionError()
    assert not subscribed.__exit__(ConnectionError, lost, None)

    assert len(canvas.subscribers) == 0


def test_more_subscribers_than_allowed_are_refused_and_a_place_that_is_left_is_free() -> None:
    canvas = make_canvas(max_subscribers=2)
    with canvas.subscribe(Form.MSGPACK):
        with (
            canvas.subscribe(Form.MSGPACK),
            pytest.raises(ServerFullError, match="2 subscribers of 'left'"),
            canvas.subscribe(Form.MSGPACK),
        ):
            pass
        assert len(canvas.subscribers) == 1
        with canvas.subscribe(Form.MSGPACK):
            assert len(canvas.subscribers) == 2


def test_a_subscriber_does_not_stay_when_telling_of_it_fails() -> None:
    canvas = make_canvas()

    def fail() -> None:
        raise RuntimeError("a bug")

    canvas.on_demand = fail
    with pytest.raises(RuntimeError, match="a bug"), canvas.subscribe(Form.MSGPACK):
        pass

    assert not canvas.subscribers


def test_demand_is_that_of_the_screen_that_wants_most() -> None:
    canvas = make_canvas()
    assert canvas.demand_fps == 0.0
    with canvas.subscribe(Form.MSGPACK) as slow, canvas.subscribe(Form.MSGPACK) as fast:
        assert canvas.demand_fps == float("inf")
        for subscriber, fps in ((slow, 5.0), (fast, 30.0)):
            subscriber.max_fps = fps
            canvas.demand_changed(subscriber)
        assert canvas.demand_fps == 30.0
        for subscriber, left_fps in ((fast, 5.0), (slow, 0.0)):
            subscriber.mailbox.set_visible(False)
            canvas.demand_changed(subscriber)
            assert canvas.demand_fps == left_fps


def test_the_producer_is_told_of_demand_that_changes_and_of_no_other() -> None:
    canvas = make_canvas()
    told: list[float] = []
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        canvas.on_demand = lambda: told.append(canvas.demand_fps)
        for fps in (20.0, 20.0, 20.5, 30.0, 29.0, 15.0):
            subscriber.max_fps = fps
            canvas.demand_changed(subscriber)

        assert told == [20.0, 30.0, 15.0]
        assert canvas.demand_fps == 15.0


def test_whether_a_canvas_is_watched_is_told_when_it_changes() -> None:
    canvas = make_canvas()
    told: list[bool] = []
    canvas.on_change = lambda: told.append(canvas.to_json()["watched"])
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        for is_visible in (False, False, True):
            subscriber.mailbox.set_visible(is_visible)
            canvas.demand_changed(subscriber)

    assert told == [True, False, True, False]


def test_a_screen_that_has_left_wants_nothing_however_late_its_last_word_comes() -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        pass

    canvas.demand_changed(subscriber)

    assert canvas.demand_fps == 0.0


def test_coming_and_going_is_told_when_it_is_done() -> None:
    canvas = make_canvas()
    demanded: list[float] = []
    changed: list[int] = []
    canvas.on_demand = lambda: demanded.append(canvas.demand_fps)
    canvas.on_change = lambda: changed.append(len(canvas.subscribers))

    with canvas.subscribe(Form.MSGPACK):
        pass

    assert demanded == [float("inf"), 0.0]
    assert changed == [1, 0]


def test_blanking_shows_black_and_unblanking_the_picture_from_before() -> None:
    canvas = make_canvas()
    shown = canvas.publish(encoded(), timestamp_ms=7.0, job="job")
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        canvas.configure(blank=True)
        assert is_black(taken(subscriber))

        canvas.configure(blank=False)
        back = taken(subscriber)

    assert back is not None
    assert back.image is shown.image
    assert (back.timestamp_ms, back.job, back.sequence) == (7.0, "job", 3)


def test_what_comes_while_blank_is_held_and_the_newest_of_it_is_shown_after() -> None:
    canvas = make_canvas()
    canvas.publish(encoded(), timestamp_ms=0.0)
    canvas.configure(blank=True)
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        assert is_black(taken(subscriber))

        returned = [canvas.publish(image(number), timestamp_ms=0.0) for number in range(3)]
        assert all(is_black(frame) for frame in returned)
        assert taken(subscriber) is None

        canvas.configure(blank=False)
        back = taken(subscriber)

    assert back is not None
    assert back.image == image(2)
    # The first one had been shown before, and the third is shown now.
    assert canvas.dropped == 2


def test_a_canvas_that_begins_blank_is_black_from_the_start() -> None:
    canvas = make_canvas(CanvasConfig(blank=True))
    assert is_black(canvas.newest)

    canvas.publish(image(1), timestamp_ms=0.0)
    canvas.publish(image(2), timestamp_ms=0.0)
    assert is_black(canvas.newest)
    canvas.configure(blank=False)

    assert canvas.newest is not None
    assert canvas.newest.image == image(2)
    assert canvas.dropped == 1


def test_blanking_twice_keeps_the_picture() -> None:
    canvas = make_canvas()
    shown = canvas.publish(encoded(), timestamp_ms=0.0)

    canvas.configure(blank=True)
    canvas.configure(blank=True)
    canvas.configure(blank=False)

    assert canvas.newest is not None
    assert canvas.newest.image is shown.image


def test_unblanking_a_canvas_that_has_never_shown_anything_leaves_it_black() -> None:
    canvas = make_canvas()
    canvas.configure(blank=True)
    canvas.configure(blank=False)

    assert is_black(canvas.newest)


def test_a_change_of_other_settings_publishes_nothing() -> None:
    canvas = make_canvas()
    frame = canvas.publish(TINY, timestamp_ms=0.0)

    canvas.configure(fps=10.0, width=640)

    assert canvas.newest is frame
    assert (canvas.config.fps, canvas.config.width, canvas.config.height) == (10.0, 640, 512)


def test_a_status_is_posted_once_to_those_who_are_there() -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        canvas.set_status({"type": "status", "state": "painting"})
        assert subscriber.mailbox.take_message() == {"type": "status", "state": "painting"}

        canvas.set_status({"type": "status", "state": "painting"})
        assert subscriber.mailbox.take_message() is None


def test_closing_sends_every_subscriber_away() -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as one, canvas.subscribe(Form.JSON) as other:
        canvas.close("deleted", reconnect=False, close_code=CloseCode.NO_SUCH_CANVAS)

        for subscriber in (one, other):
            assert subscriber.mailbox.closed is not None
            assert subscriber.mailbox.closed.reason == "deleted"


def test_a_canvas_describes_itself() -> None:
    canvas = make_canvas(CanvasConfig(width=640, fps=10.0), is_temporary=True)
    canvas.set_status({"type": "status", "state": "painting", "job": {"id": "job"}})

    assert canvas.to_json() == {
        "slug": "left",
        "width": 640,
        "height": 512,
        "fps": 10.0,
        "format": "jpeg",
        "quality": 90,
        "paused": False,
        "blank": False,
        "present_delay_ms": None,
        "transition": {"kind": "cut", "duration_s": 0.0},
        "processing": {},
        "audio": {},
        "state": "painting",
        "watched": False,
        "subscribers": 0,
        "job": "job",
        "temporary": True,
        "epoch": canvas.epoch,
    }


def test_counters_tell_the_traffic() -> None:
    now_s = [0.0]
    canvas = make_canvas(clock=lambda: now_s[0])
    with canvas.subscribe(Form.MSGPACK) as one, canvas.subscribe(Form.SEED_JSON) as other:
        for subscriber in (one, other):
            subscriber.max_fps = 30.0
            canvas.demand_changed(subscriber)
        for number in range(1, 11):
            now_s[0] = number * 0.5
            canvas.publish(image(number), timestamp_ms=float(number))
            taken(one)

        counters = canvas.counters()

    assert (counters["sequence"], counters["epoch"]) == (10, canvas.epoch)
    assert (counters["fps_in"], counters["demand_fps"]) == (2.0, 30.0)
    assert (counters["newest_ms"], counters["newest_bytes"]) == (10.0, len(TINY.data) + 1)
    first, second = counters["subscribers"]
    assert (first["number"], first["form"]) == (one.number, "msgpack")
    assert first["replaced"] == 0
    assert (second["form"], second["replaced"]) == ("seed-json", 9)


def test_a_thousand_subscribers_are_summed_up_without_a_row_for_each() -> None:
    canvas = make_canvas(max_subscribers=1000)
    with contextlib.ExitStack() as subscribed:
        for _ in range(1000):
            subscribed.enter_context(canvas.subscribe(Form.MSGPACK))
        for number in range(3):
            canvas.publish(image(number), timestamp_ms=0.0)

        counters = canvas.counters(lists_subscribers=False)

    assert "subscribers" not in counters
    assert counters["drops"]["replaced"] == 2000


def test_what_screens_did_not_show_stays_counted_when_they_have_left() -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as stays:
        with canvas.subscribe(Form.MSGPACK) as leaves:
            for number in range(4):
                canvas.publish(image(number), timestamp_ms=0.0)
            leaves.skipped = 2
            stays.mailbox.set_visible(False)
            canvas.publish(image(4), timestamp_ms=0.0)
            there = canvas.drops()

        assert canvas.drops() == there
        assert there["replaced"] >= 4 + 3
        assert (there["skipped"], there["hidden"]) == (2, 1)


@pytest.mark.parametrize("max_fps", [None, 1000.0])
def test_a_demand_for_whatever_there_is_is_told_as_none(max_fps: float | None) -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        subscriber.show(is_shown=True, viewport=None, max_fps=max_fps)
        canvas.demand_changed(subscriber)

        assert canvas.counters()["demand_fps"] is None


def test_the_first_clients_take_jpeg_only() -> None:
    assert Subscriber(Form.SEED_JSON).formats == {"jpeg"}
    assert Subscriber(Form.JSON).formats == {"jpeg", "png", "webp"}
