"""What a canvas has done to its pictures: to which, at once when it is changed, never to the black ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from canvases import image, make_canvas, taken
from fakes import FakeClock

from server.sound.hearing import Features
from server.sound.mapping import Audio, Mapping
from server.streaming.canvas import Canvas
from server.streaming.clock import now_ms
from server.streaming.config import CanvasConfig
from server.streaming.frame import Frame
from server.streaming.processing import IDENTITY, Crop, Processing, ShownAs, Tint, Treatment
from server.streaming.transition import Transition
from server.streaming.wire import Form


BLURRED = Processing(blur=3.0)
TURNED = Processing(rotate=90, crop=Crop(0.5, 0.0, 0.5, 1.0))


def newest(canvas: Canvas) -> Frame:
    assert canvas.newest is not None
    return canvas.newest


@pytest.mark.parametrize(
    "processing",
    [IDENTITY, Processing(crop=Crop()), Processing(tint=Tint("#ff0000", 0.0)), Processing(hue=0.0)],
)
def test_what_changes_nothing_leaves_pictures_as_they_come(processing: Processing) -> None:
    canvas = make_canvas(CanvasConfig(processing=processing))

    frame = canvas.publish(picture := image(1), timestamp_ms=0.0)

    assert frame.treatment is None
    assert frame.image is frame.shape is picture


def test_a_frame_carries_what_is_done_to_its_picture_and_the_picture_as_it_came() -> None:
    canvas = make_canvas(CanvasConfig(processing=TURNED, format="webp", quality=70))

    frame = canvas.publish(picture := replace(image(1), width=100, height=60), timestamp_ms=0.0)

    assert frame.treatment == Treatment(TURNED, "webp", 70)
    assert frame.shape == ShownAs("webp", 60, 50)
    assert frame.image is picture


def test_another_processing_shows_the_newest_picture_anew_at_once() -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        first = canvas.publish(image(1), timestamp_ms=5.0, job="job", final=True)
        assert taken(subscriber) is first

        canvas.configure(processing=BLURRED)

        shown = taken(subscriber)
        assert shown is newest(canvas)
        assert (shown.sequence, shown.image, shown.job, shown.final) == (2, first.image, "job", True)
        assert shown.treatment is not None
        assert shown.treatment.processing == BLURRED
        # It is a picture of this moment: its age says how long it took to be shown.
        assert shown.timestamp_ms > first.timestamp_ms

        canvas.configure(processing=IDENTITY)
        back = taken(subscriber)
        assert back is not None
        assert (back.sequence, back.treatment, back.image) == (3, None, first.image)


def test_what_does_not_change_how_pictures_look_shows_nothing_anew() -> None:
    canvas = make_canvas(CanvasConfig(processing=BLURRED))
    frame = canvas.publish(image(1), timestamp_ms=0.0)

    canvas.configure(processing=Processing(blur=3.0, tint=None), fps=9.0)
    canvas.configure(transition=Transition("wipe", 1.0), audio=Audio(enabled=False))
    assert canvas.newest is frame

    canvas.configure(quality=20)
    assert newest(canvas).treatment == Treatment(BLURRED, "jpeg", 20)

    plain = make_canvas()
    frame = plain.publish(image(1), timestamp_ms=0.0)
    # What passes through is not encoded here.
    plain.configure(quality=20, format="png")
    assert plain.newest is frame


def test_a_canvas_that_has_shown_nothing_shows_nothing_when_it_is_changed() -> None:
    canvas = make_canvas()

    canvas.configure(processing=BLURRED)

    assert canvas.newest is None
    assert canvas.publish(image(1), timestamp_ms=0.0).treatment is not None


def test_a_paused_canvas_shows_another_processing_all_the_same() -> None:
    canvas = make_canvas(CanvasConfig(paused=True))
    canvas.publish(image(1), timestamp_ms=0.0)

    canvas.configure(processing=BLURRED)

    assert newest(canvas).treatment is not None


def test_the_same_picture_with_another_processing_is_a_change_and_with_the_same_is_none() -> None:
    canvas = make_canvas(CanvasConfig(processing=BLURRED))
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        first = canvas.publish(image(1), timestamp_ms=0.0)
        assert taken(subscriber) is first

        twin = canvas.publish(replace(image(1)), timestamp_ms=1.0)
        assert taken(subscriber) is None
        assert twin.treatment == first.treatment
        assert canvas.unchanged == 1

        canvas.configure(processing=IDENTITY)
        assert taken(subscriber) is canvas.newest
        canvas.publish(replace(image(1)), timestamp_ms=2.0)
        assert taken(subscriber) is None


def test_black_is_never_processed_and_what_is_unblanked_is_as_it_is_set_then() -> None:
    canvas = make_canvas(CanvasConfig(processing=BLURRED))
    picture = canvas.publish(image(1), timestamp_ms=0.0).image

    canvas.configure(blank=True)
    black = newest(canvas)
    assert black.treatment is None
    canvas.configure(processing=TURNED)
    assert canvas.newest is black, "a blank canvas shows nothing of it"

    canvas.configure(blank=False)
    assert newest(canvas).image is picture
    assert newest(canvas).treatment == Treatment(TURNED, "jpeg", 90)


def test_pictures_that_come_while_it_is_blank_are_processed_when_they_are_shown() -> None:
    canvas = make_canvas(CanvasConfig(blank=True))
    canvas.publish(later := image(2), timestamp_ms=0.0)

    sequence = newest(canvas).sequence
    canvas.configure(blank=False, processing=BLURRED)

    assert newest(canvas).image is later
    assert newest(canvas).treatment == Treatment(BLURRED, "jpeg", 90)
    assert newest(canvas).sequence == sequence + 1, "one change, one frame"


def test_the_black_that_is_left_of_a_blank_canvas_is_no_picture() -> None:
    canvas = make_canvas(CanvasConfig(blank=True))
    black = canvas.newest

    canvas.configure(blank=False, processing=BLURRED)
    canvas.configure(processing=TURNED)

    assert canvas.newest is black


def test_blanking_and_another_processing_at_once_show_black_only() -> None:
    canvas = make_canvas()
    canvas.publish(image(1), timestamp_ms=0.0)

    canvas.configure(blank=True, processing=BLURRED)

    assert newest(canvas).sequence == 2
    assert newest(canvas).treatment is None


def test_a_picture_shown_anew_keeps_to_the_delay_of_its_canvas() -> None:
    canvas = make_canvas(CanvasConfig(present_delay_ms=150))
    canvas.publish(image(1), timestamp_ms=0.0, present_at_ms=1.0)

    canvas.configure(processing=BLURRED)

    assert newest(canvas).present_at_ms == newest(canvas).published_ms + 150


def test_a_picture_shown_anew_keeps_the_instant_that_was_asked_for_while_it_is_ahead() -> None:
    canvas = make_canvas(CanvasConfig(present_delay_ms=150))
    ahead_ms = now_ms() + 60_000.0
    canvas.publish(image(1), timestamp_ms=0.0, present_at_ms=ahead_ms)

    canvas.configure(processing=BLURRED)
    assert newest(canvas).present_at_ms == ahead_ms

    canvas.configure(blank=True)
    assert newest(canvas).present_at_ms is None
    canvas.configure(blank=False)
    assert newest(canvas).present_at_ms == ahead_ms


def test_a_picture_that_came_while_it_was_blank_keeps_its_instant() -> None:
    canvas = make_canvas(CanvasConfig(blank=True))
    canvas.publish(image(1), timestamp_ms=0.0, present_at_ms=5.0)

    canvas.configure(blank=False)

    assert newest(canvas).present_at_ms == 5.0


def test_what_is_shown_anew_is_taken_from_no_source_and_says_nothing_of_its_pace() -> None:
    clock = FakeClock()
    canvas = make_canvas(clock=clock)
    for number in range(9):
        canvas.publish(image(number), timestamp_ms=0.0)
        for blur in (1.0, 2.0, 3.0):
            clock.advance(0.25)
            canvas.configure(processing=Processing(blur=blur))

    assert canvas.taken == 9
    assert canvas.interval_s == pytest.approx(0.75)
    # A picture that has just been made anew does not rest, though its source may.
    clock.advance(100.0)
    assert canvas.is_resting(clock())
    canvas.configure(processing=BLURRED, blank=False)
    assert canvas.is_resting(clock()), "it is blurred as it was"
    canvas.configure(processing=IDENTITY)
    assert not canvas.is_resting(clock())


def test_black_is_no_picture_however_often_the_canvas_is_blanked() -> None:
    canvas = make_canvas()
    for _ in range(3):
        canvas.configure(blank=True)
        black = canvas.newest
        canvas.configure(blank=False)
        assert canvas.newest is black
    canvas.configure(processing=BLURRED)
    assert canvas.newest is black


def test_the_configuration_is_described_as_it_is_now() -> None:
    canvas = make_canvas()
    assert canvas.to_json()["processing"]["blur"] == 0.0
    assert canvas.to_json()["processing"] is canvas.to_json()["processing"], "it is not made for each screen"

    canvas.configure(processing=BLURRED, fps=9.0)

    assert (canvas.to_json()["processing"]["blur"], canvas.to_json()["fps"]) == (3.0, 9.0)


LOUD = Features(level=1.0)


def listening(low: float, high: float, processing: Processing = IDENTITY) -> tuple[Canvas, FakeClock]:
    clock = FakeClock()
    audio = Audio(mappings=(Mapping("level", "palette", low, high, 0.0),))
    return make_canvas(CanvasConfig(audio=audio, processing=processing), clock=clock), clock


def hue_of(frame: Frame) -> float:
    return 0.0 if frame.treatment is None else frame.treatment.processing.hue


def test_the_palette_turns_the_hue_of_what_is_published_and_silence_does_not() -> None:
    canvas, clock = listening(0.0, 40.0)
    assert canvas.publish(image(1), timestamp_ms=0.0).treatment is None

    canvas.hearing.hear("microphone", LOUD)
    assert canvas.modulation.palette == pytest.approx(40.0)
    assert hue_of(canvas.publish(image(2), timestamp_ms=0.0)) == 40.0
    # The same picture in other colours is news.
    canvas.hearing.hear("microphone", Features(level=0.5))
    assert hue_of(canvas.publish(image(2), timestamp_ms=0.0)) == 20.0
    assert canvas.unchanged == 0

    clock.advance(60.0)
    assert canvas.publish(image(3), timestamp_ms=0.0).treatment is None


def test_the_palette_turns_what_the_processing_has_turned_already() -> None:
    canvas, _ = listening(0.0, 40.0, Processing(hue=170.0, blur=2.0))
    canvas.hearing.hear("microphone", LOUD)

    frame = canvas.publish(image(1), timestamp_ms=0.0)

    assert hue_of(frame) == -150.0
    assert frame.treatment is not None
    assert frame.treatment.processing.blur == 2.0


def test_a_palette_that_turns_by_less_than_a_degree_costs_nothing() -> None:
    canvas, _ = listening(0.0, 0.4)
    canvas.hearing.hear("microphone", LOUD)

    assert canvas.modulation.palette > 0.0
    assert canvas.publish(image(1), timestamp_ms=0.0).treatment is None


def test_black_is_not_turned_by_sound_either() -> None:
    canvas, _ = listening(40.0, 40.0)
    canvas.hearing.hear("microphone", LOUD)

    canvas.configure(blank=True)

    assert newest(canvas).treatment is None


def test_what_was_heard_until_a_setting_is_changed_counts_as_it_was_set() -> None:
    clock = FakeClock()
    slow = Audio(mappings=(Mapping("level", "palette", 0.0, 100.0, 0.5),))
    canvas = make_canvas(CanvasConfig(audio=slow), clock=clock)
    assert canvas.modulation.is_neutral
    canvas.hearing.hear("microphone", LOUD)
    clock.advance(0.5)

    # The same two are mapped with another smoothing: it goes on from where it is.
    canvas.configure(audio=Audio(mappings=(Mapping("level", "palette", 0.0, 100.0, 1000.0),)))

    assert canvas.modulation.palette == pytest.approx(63.2, abs=0.2)
