"""The canvas: publishing, subscribing, blanking, counting."""

from __future__ import annotations

import contextlib
from dataclasses import asdict

import pytest
from canvases import image, make_canvas, taken
from images import TINY, encoded

from server.errors import ServerFullError
from server.sound.mapping import DEFAULT_AUDIO
from server.streaming.canvas import CanvasConfig, Subscriber
from server.streaming.frame import Frame
from server.streaming.images import encoders
from server.streaming.processing import IDENTITY
from server.streaming.wire import CloseCode, Form


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
        "processing": asdict(IDENTITY),
        "audio": asdict(DEFAULT_AUDIO),
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
