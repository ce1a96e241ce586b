"""What a screen's messages mean. Pure: no socket, no await."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.errors import ProtocolError
from server.sound.hearing import Features
from server.sound.mapping import FEATURES
from server.streaming import wire
from server.streaming.canvas import Canvas
from server.streaming.clock import now_ms
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.frame import FORMATS
from server.streaming.payload import TAG_BYTES
from server.streaming.wire import CloseCode


MAX_VIEWPORT_PX = 32_768
# A day: nothing that was measured takes longer.
MAX_RTT_MS = 86_400_000.0
# The slowest wish for frames but none at all.
LEAST_FPS = 0.01
# How long a browser may say that it kept a frame, seconds: nothing that it does takes longer.
MAX_HELD_S = 1.0
# Of music, beats per minute.
MIN_TEMPO_BPM, MAX_TEMPO_BPM = 20.0, 300.0
_ACK_FIELDS = {
    "type",
    "sequence",
    "received_ms",
    "decoded_ms",
    "presented_ms",
    "skipped",
    "offset_ms",
    "rtt_ms",
}
_FIELDS = {
    "ready": {"type", "viewport", "formats", "max_fps", "visible"},
    "time": {"type", "client_sent_ms"},
    "audio": {"type", *FEATURES, "tempo_bpm"},
}


def handle_message(canvas: Canvas, subscriber: Subscriber, data: bytes | str, now_s: float) -> None:
    """Do what a screen's message says.

    Raises:
        ProtocolError: If it breaks the contract; the connection must be closed then.
    """
    if not subscriber.has_control:
        # The first clients send `ping` to keep proxies awake, and expect nothing.
        return
    if data == "ping":
        _answer(subscriber, {"type": "pong"})
        return
    message = wire.parse_client_message(data, subscriber.form)
    kind = message["type"]
    if kind == "ack":
        # Thousands a second; all others come now and then.
        _acknowledge(canvas, subscriber, message, now_s)
        if not message.keys() <= _ACK_FIELDS:
            subscriber.ignored += len(message.keys() - _ACK_FIELDS)
        return
    match kind:
        case "ready":
            _ready(canvas, subscriber, message)
        case "time":
            sent_ms = wire.number_field(message, "client_sent_ms")
            if sent_ms is None:
                raise ProtocolError("time.client_sent_ms is missing", field="client_sent_ms")
            _answer(subscriber, {"type": "time", "client_sent_ms": sent_ms, "server_time_ms": now_ms()})
        case "audio":
            _hear(canvas, subscriber, message, now_s)
        case _:
            subscriber.ignored += 1
            return
    subscriber.ignored += len(message.keys() - _FIELDS[kind])


def handle_pong(canvas: Canvas, subscriber: Subscriber, data: bytes, now_s: float) -> None:
    """Take a pong; one that answers no ping of ours is ignored, as it may be sent by anybody at any time."""
    if len(data) == TAG_BYTES:
        subscriber.flow.pong(int.from_bytes(data, "big"), now_s)
        canvas.demand_changed(subscriber)


def _answer(subscriber: Subscriber, message: Mapping[str, Any]) -> None:
    if not subscriber.mailbox.post(message):
        error = ProtocolError("too many messages wait to be read")
        error.close_code = CloseCode.TOO_SLOW
        raise error


def _acknowledge(canvas: Canvas, subscriber: Subscriber, message: Mapping[str, Any], now_s: float) -> None:
    """Take an acknowledgement; all fields are judged before any is taken."""
    get = message.get
    sequence = get("sequence")
    # bool is an int in Python, and no number on the wire.
    if sequence.__class__ is not int:
        raise ProtocolError(
            f"ack.sequence must be a whole number, got {wire.shown(sequence)}", field="sequence"
        )
    received_ms, decoded_ms, presented_ms = get("received_ms"), get("decoded_ms"), get("presented_ms")
    skipped, offset_ms, rtt_ms = get("skipped"), get("offset_ms"), get("rtt_ms")
    if not (
        # What nearly all browsers send, thousands of times a second: six sound numbers, in order.
        received_ms.__class__
        is decoded_ms.__class__
        is presented_ms.__class__
        is offset_ms.__class__
        is rtt_ms.__class__
        is float
        and skipped.__class__ is int
        and 0 <= skipped <= 1e9
        and 0.0 <= rtt_ms <= MAX_RTT_MS
        # NaN and the infinite are not equal to themselves less themselves.
        and (total := received_ms + decoded_ms + presented_ms + offset_ms) - total == 0.0
        and received_ms <= decoded_ms <= presented_ms
    ):
        skipped = wire.number_field(message, "skipped", low=0, high=1e9)
        rtt_ms = wire.number_field(message, "rtt_ms", low=0, high=MAX_RTT_MS)
        offset_ms = wire.number_field(message, "offset_ms")
        received_ms = wire.number_field(message, "received_ms")
        decoded_ms = wire.number_field(message, "decoded_ms")
        presented_ms = wire.number_field(message, "presented_ms")
        held_s = _held_s(received_ms, decoded_ms, presented_ms)
    else:
        held_s = min((presented_ms - received_ms) / 1000.0, MAX_HELD_S)
    subscriber.flow.acknowledge(sequence, now_s, held_s=held_s)
    if rtt_ms is not None:
        subscriber.rtt_ms = rtt_ms
    if offset_ms is not None:
        subscriber.offset_ms = offset_ms
    if received_ms is not None:
        subscriber.ages.acknowledged(
            sequence, received_ms, decoded_ms, presented_ms, subscriber.offset_ms, subscriber.rtt_ms, now_ms()
        )
    if subscriber.note_shown(now_s, presented=presented_ms is not None, skipped=int(skipped or 0)):
        canvas.demand_changed(subscriber)


def _held_s(received_ms: float | None, decoded_ms: float | None, presented_ms: float | None) -> float:
    """Return how long a browser kept a frame before it told: 0 unless it says so and it makes sense."""
    if received_ms is None:
        return 0.0
    told_ms = decoded_ms if presented_ms is None else presented_ms
    if told_ms is None or told_ms < received_ms:
        return 0.0
    if decoded_ms is not None and not received_ms <= decoded_ms <= told_ms:
        return 0.0
    return min((told_ms - received_ms) / 1000.0, MAX_HELD_S)


def _ready(canvas: Canvas, subscriber: Subscriber, message: Mapping[str, Any]) -> None:
    """Take what a screen says of itself; all fields are judged before any is taken."""
    viewport = _viewport(message.get("viewport"))
    formats = _formats(message.get("formats"))
    max_fps = wire.number_field(message, "max_fps", low=0, high=1000)
    if max_fps is not None and 0 < max_fps < LEAST_FPS:
        raise ProtocolError(
            f"ready.max_fps must be 0 (paused) or from {LEAST_FPS} to 1000, got {max_fps}", field="max_fps"
        )
    visible = message.get("visible", True)
    if not isinstance(visible, bool):
        raise ProtocolError(
            f"ready.visible must be true or false, got {wire.shown(visible)}", field="visible"
        )
    viewport = viewport or subscriber.viewport
    subscriber.show(is_shown=visible, viewport=viewport, max_fps=max_fps, formats=formats)
    canvas.demand_changed(subscriber)


def _hear(canvas: Canvas, subscriber: Subscriber, message: Mapping[str, Any], now_s: float) -> None:
    """Take what a screen tells of sound; all fields are judged, be it listened to or not."""
    heard = [wire.number_field(message, name, low=0, high=1) or 0.0 for name in FEATURES]
    wire.number_field(message, "tempo_bpm", low=MIN_TEMPO_BPM, high=MAX_TEMPO_BPM)
    microphone = subscriber.microphone
    if microphone.may_speak(now_s):
        microphone.note(is_heard=canvas.hearing.hear(subscriber.number, Features(*heard)))
    else:
        canvas.hearing.ignored += 1
        microphone.note(is_heard=False)


def _viewport(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    sides: list[float] = []
    for name in ("width", "height") if isinstance(value, dict) else ():
        side = value.get(name)
        if isinstance(side, int | float) and not isinstance(side, bool) and 0 <= side <= MAX_VIEWPORT_PX:
            sides.append(side)
    if len(sides) != 2:
        raise ProtocolError(
            f"ready.viewport must be a map of width and height in pixels, got {wire.shown(value)}",
            field="viewport",
        )
    return int(sides[0]), int(sides[1])


def _formats(value: Any) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > 16 or not all(isinstance(name, str) for name in value):
        raise ProtocolError(
            f"ready.formats must be a list of names, got {wire.shown(value)}", field="formats"
        )
    # Every browser takes JPEG, and what we do not know we cannot send.
    return frozenset(FORMATS) & frozenset(value) | {"jpeg"}
