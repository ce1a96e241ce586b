"""What a screen's messages mean."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import TINY

from server.errors import ProtocolError
from server.sound.hearing import MAX_MICROPHONES, Features
from server.sound.mapping import FEATURES
from server.sound.microphone import BURST, PER_S
from server.streaming.canvas import Canvas, CanvasConfig, Subscriber
from server.streaming.clock import now_ms
from server.streaming.delivery.mailbox import MAX_WAITING_MESSAGES
from server.streaming.wire import Form
from server.web.client_messages import handle_message


class Screen:
    """A subscriber, and a way to say something in its form."""

    def __init__(self, canvas: Canvas, subscriber: Subscriber) -> None:
        self.canvas = canvas
        self.subscriber = subscriber
        self.published = 0

    def says(self, message: dict[str, Any], *, now_s: float = 0.0) -> None:
        text = self.subscriber.form.is_text
        handle_message(
            self.canvas, self.subscriber, json.dumps(message) if text else msgpack.packb(message), now_s
        )

    def gets_frames(self, count: int) -> None:
        """Publish frames and take each as the writer does."""
        for _ in range(count):
            self.published += 1
            picture = replace(TINY, data=TINY.data + bytes([self.published]))
            frame = self.canvas.publish(picture, timestamp_ms=0.0)
            taken = self.subscriber.mailbox.take_frame()
            assert taken is frame
            self.subscriber.flow.sent(frame.sequence, 100, 0.0)


def make_canvas() -> Canvas:
    # Nothing is encoded here.
    return Canvas("left", CanvasConfig(), executor=Executor())


@pytest.fixture(params=[Form.MSGPACK, Form.JSON], ids=lambda form: form.value)
def screen(request: pytest.FixtureRequest) -> Iterator[Screen]:
    canvas = make_canvas()
    with canvas.subscribe(request.param) as subscriber:
        yield Screen(canvas, subscriber)


def test_an_acknowledgement_opens_the_window_and_is_noted(screen: Screen) -> None:
    screen.gets_frames(1)
    screen.says({"type": "ack", "sequence": 1, "skipped": 2, "offset_ms": -3.5, "rtt_ms": 1.25})
    screen.gets_frames(1)
    screen.says({"type": "ack", "sequence": 2, "skipped": 1})

    subscriber = screen.subscriber
    assert subscriber.flow.acknowledged == 2
    assert (subscriber.skipped, subscriber.offset_ms, subscriber.rtt_ms) == (3, -3.5, 1.25)
    assert subscriber.ignored == 0


def test_a_screen_tells_of_itself_and_may_do_so_again(screen: Screen) -> None:
    asked = []
    screen.canvas.on_demand = lambda: asked.append(screen.canvas.demand_fps)

    screen.says(
        {
            "type": "ready",
            "viewport": {"width": 1920, "height": 1080.5},
            "formats": ["webp", "avif"],
            "max_fps": 30,
            "visible": True,
        }
    )
    subscriber = screen.subscriber
    assert subscriber.viewport == (1920, 1080)
    assert subscriber.formats == {"jpeg", "webp"}
    assert subscriber.wants_fps == 30

    screen.says({"type": "ready", "visible": False})

    assert subscriber.wants_fps == 0.0
    assert subscriber.viewport == (1920, 1080)
    assert subscriber.formats == {"jpeg", "webp"}
    assert asked == [30.0, 0.0]


def test_the_time_is_told_with_the_instant_of_the_question(screen: Screen) -> None:
    screen.says({"type": "time", "client_sent_ms": 1_795_184_917_000.125})

    answer = screen.subscriber.mailbox.take_message()
    assert answer is not None
    assert answer["client_sent_ms"] == 1_795_184_917_000.125
    assert answer["server_time_ms"] == pytest.approx(now_ms(), abs=10_000)


def test_ping_is_answered_in_every_form_but_that_of_the_first_clients() -> None:
    canvas = make_canvas()
    for form in (Form.MSGPACK, Form.JSON):
        with canvas.subscribe(form) as subscriber:
            handle_message(canvas, subscriber, "ping", 0.0)
            assert subscriber.mailbox.take_message() == {"type": "pong"}
    with canvas.subscribe(Form.SEED_JSON) as subscriber:
        handle_message(canvas, subscriber, "ping", 0.0)
        handle_message(canvas, subscriber, b"whatever they like", 0.0)
        assert subscriber.mailbox.take_message() is None


SOUND = {"level": 0.5, "low": 0.25, "mid": 1, "high": 0.0, "onset": 0.125, "beat": 1.0}


def test_sound_is_heard_from_who_may_tell_of_it(screen: Screen) -> None:
    heard: list[tuple[object, Features]] = []
    screen.canvas.hearing.hear = lambda sender, features: not heard.append((sender, features))  # type: ignore[assignment,func-returns-value]

    screen.says({"type": "audio", **SOUND})
    assert (heard, screen.subscriber.microphone.ignored) == ([], 1)

    screen.subscriber.microphone.is_allowed = True
    screen.says({"type": "audio", **SOUND, "tempo_bpm": 128})
    screen.says({"type": "audio", "beat": 0.5, "pitch": 440})

    number = screen.subscriber.number
    assert heard == [
        (number, Features(0.5, 0.25, 1.0, 0.0, 0.125, 1.0)),
        (number, Features(beat=0.5)),
    ]
    assert screen.subscriber.state(0.0)["audio"] == {"allowed": True, "heard": 2, "ignored": 1}
    assert screen.subscriber.ignored == 1, "a field of a later version"
    assert screen.canvas.counters()["audio"]["ignored"] == 1


def test_more_sound_than_may_be_told_is_ignored_and_counted(screen: Screen) -> None:
    screen.subscriber.microphone.is_allowed = True
    for message in range(1000):
        screen.says({"type": "audio", **SOUND}, now_s=100.0 + message / 100.0)

    told = screen.subscriber.microphone
    assert told.heard + told.ignored == 1000
    assert told.heard == pytest.approx(10 * PER_S, abs=BURST + 1)
    assert screen.canvas.hearing.heard == told.heard


def test_a_microphone_beyond_those_that_are_listened_to_is_counted_as_ignored() -> None:
    canvas = make_canvas()
    with contextlib.ExitStack() as subscribers:
        for _ in range(MAX_MICROPHONES + 1):
            subscriber = subscribers.enter_context(canvas.subscribe(Form.JSON))
            subscriber.microphone.is_allowed = True
            Screen(canvas, subscriber).says({"type": "audio", **SOUND})

        assert subscriber.microphone.state() == {"allowed": True, "heard": 0, "ignored": 1}
        assert canvas.counters()["audio"] == {
            "heard": MAX_MICROPHONES,
            "ignored": 1,
            "microphones": MAX_MICROPHONES,
        }


def test_unknown_messages_and_fields_are_ignored_and_counted(screen: Screen) -> None:
    screen.says({"type": "dance", "how": "wildly"})
    screen.says({"type": "ready", "orientation": "portrait", "colour_space": "p3"})

    assert screen.subscriber.ignored == 3


def test_a_peer_that_asks_without_reading_is_sent_away_as_too_slow(screen: Screen) -> None:
    for _ in range(MAX_WAITING_MESSAGES):
        screen.says({"type": "time", "client_sent_ms": 1})

    with pytest.raises(ProtocolError) as told:
        screen.says({"type": "time", "client_sent_ms": 1})

    assert told.value.close_code == 4408
    assert ProtocolError.close_code == 1002


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"type": "ack"}, "sequence"),
    ({"type": "ack", "sequence": None}, "sequence"),
    ({"type": "ack", "sequence": 1.0}, "sequence"),
    ({"type": "ack", "sequence": True}, "sequence"),
    ({"type": "ack", "sequence": "1"}, "sequence"),
    ({"type": "ack", "sequence": 1, "skipped": -1}, "skipped"),
    ({"type": "ack", "sequence": 1, "skipped": 1e10}, "skipped"),
    ({"type": "ack", "sequence": 1, "rtt_ms": -0.1}, "rtt_ms"),
    ({"type": "ack", "sequence": 1, "rtt_ms": 1e9}, "rtt_ms"),
    ({"type": "ack", "sequence": 1, "offset_ms": "0"}, "offset_ms"),
    ({"type": "ack", "sequence": 1, "offset_ms": float("nan")}, "offset_ms"),
    ({"type": "ack", "sequence": 1, "received_ms": []}, "received_ms"),
    ({"type": "ack", "sequence": 1, "decoded_ms": True}, "decoded_ms"),
    ({"type": "ack", "sequence": 1, "presented_ms": float("inf")}, "presented_ms"),
    ({"type": "ready", "viewport": 5}, "viewport"),
    ({"type": "ready", "viewport": {"width": 5}}, "viewport"),
    ({"type": "ready", "viewport": {"width": -1, "height": 5}}, "viewport"),
    ({"type": "ready", "viewport": {"width": 1e6, "height": 5}}, "viewport"),
    ({"type": "ready", "viewport": {"width": float("nan"), "height": 5}}, "viewport"),
    ({"type": "ready", "formats": "jpeg"}, "formats"),
    ({"type": "ready", "formats": [1]}, "formats"),
    ({"type": "ready", "formats": ["jpeg"] * 17}, "formats"),
    ({"type": "ready", "max_fps": 0.009}, "max_fps"),
    ({"type": "ready", "max_fps": -30}, "max_fps"),
    ({"type": "ready", "max_fps": 1e4}, "max_fps"),
    ({"type": "ready", "visible": 1}, "visible"),
    ({"type": "ready", "visible": None}, "visible"),
    ({"type": "time"}, "client_sent_ms"),
    ({"type": "time", "client_sent_ms": "now"}, "client_sent_ms"),
    *(({"type": "audio", name: value}, name) for name in FEATURES for value in (-0.01, 1.01, 1e300)),
    ({"type": "audio", "level": True}, "level"),
    ({"type": "audio", "low": float("nan")}, "low"),
    ({"type": "audio", "mid": float("inf")}, "mid"),
    ({"type": "audio", "high": "1"}, "high"),
    ({"type": "audio", "beat": [1]}, "beat"),
    ({"type": "audio", "tempo_bpm": 19.9}, "tempo_bpm"),
    ({"type": "audio", "tempo_bpm": 300.1}, "tempo_bpm"),
    ({"type": "audio", "tempo_bpm": "fast"}, "tempo_bpm"),
]


@pytest.mark.parametrize(("message", "field"), WRONG, ids=str)
def test_a_wrong_field_is_named(screen: Screen, message: dict[str, Any], field: str) -> None:
    screen.gets_frames(1)

    with pytest.raises(ProtocolError, match=field) as told:
        screen.says(message)

    assert told.value.field == field
    assert told.value.close_code == 1002


def test_nothing_of_a_wrong_message_is_taken(screen: Screen) -> None:
    screen.gets_frames(1)
    with pytest.raises(ProtocolError):
        screen.says({"type": "ready", "viewport": {"width": 1, "height": 1}, "max_fps": "many"})
    with pytest.raises(ProtocolError):
        screen.says({"type": "ack", "sequence": 1, "skipped": 5, "rtt_ms": "short"})

    assert screen.subscriber.viewport is None
    assert screen.subscriber.skipped == 0
    assert not screen.subscriber.flow.is_acknowledging


@pytest.mark.parametrize("sequence", [-1, 3, 10**300])
def test_a_made_up_sequence_is_refused(sequence: int) -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.JSON) as subscriber:
        screen = Screen(canvas, subscriber)
        screen.gets_frames(2)

        with pytest.raises(ProtocolError, match="newest sent is 2"):
            screen.says({"type": "ack", "sequence": sequence})


@pytest.mark.parametrize(
    "start",
    [
        b"\x82\xa4type\xa5ready\xa8viewport",
        b"\x82\xa4type\xa5ready\xa7formats",
        b"\x82\xa4type\xa5ready\xa7visible",
        b"\x82\xa4type\xa3ack\xa8sequence",
        b"\x82\xa4type\xa4time\xaeclient_sent_ms",
    ],
)
def test_a_field_nested_as_deep_as_msgpack_reads_is_a_protocol_error(start: bytes) -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as subscriber, pytest.raises(ProtocolError):
        handle_message(canvas, subscriber, start + b"\x91" * 1015 + b"\xc0", 0.0)


def test_a_number_larger_than_any_float_is_a_protocol_error() -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.JSON) as subscriber, pytest.raises(ProtocolError):
        handle_message(canvas, subscriber, '{"type": "time", "client_sent_ms": 1' + "0" * 400 + "}", 0.0)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
names = st.sampled_from(
    ["sequence", "skipped", "rtt_ms", "offset_ms", "viewport", "formats", "max_fps", "visible",
     "client_sent_ms", "received_ms", "level", "beat", "tempo_bpm", "x"]
)  # fmt: skip
messages = st.builds(
    lambda type_, fields: {"type": type_, **fields},
    st.sampled_from(["ack", "ready", "time", "audio"]),
    st.dictionaries(names, anything, max_size=4),
)


@settings(max_examples=600, deadline=None)
@given(st.lists(messages, max_size=4))
def test_whatever_a_screen_says_only_protocol_errors_come_of_it(said: list[dict[str, Any]]) -> None:
    canvas = make_canvas()
    with canvas.subscribe(Form.MSGPACK) as subscriber:
        screen = Screen(canvas, subscriber)
        screen.gets_frames(2)
        try:
            for message in said:
                screen.says(message)
        except ProtocolError:
            pass
        # What was taken in can be told by `/state`, which is strict JSON.
        json.dumps(subscriber.state(0.0), allow_nan=False)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_whatever_bytes_or_text_come_only_protocol_errors_come_of_it(data: bytes | str) -> None:
    canvas = make_canvas()
    for form in (Form.MSGPACK, Form.JSON):
        with canvas.subscribe(form) as subscriber:
            try:
                handle_message(canvas, subscriber, data, 0.0)
            except ProtocolError:
                continue
