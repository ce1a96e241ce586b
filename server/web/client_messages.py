"""What a screen's messages mean. Pure: no socket, no await."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.errors import ProtocolError
from server.streaming import wire
from server.streaming.canvas import Canvas
from server.streaming.clock import now_ms
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.frame import FORMATS
from server.streaming.wire import CloseCode, Form


MAX_VIEWPORT_PX = 32_768
# A day: nothing that was measured takes longer.
MAX_RTT_MS = 86_400_000.0
_FIELDS = {
    "ack": {
        "type",
        "sequence",
        "received_ms",
        "decoded_ms",
        "presented_ms",
        "skipped",
        "offset_ms",
        "rtt_ms",
    },
    "ready": {"type", "viewport", "formats", "max_fps", "visible"},
    "time": {"type", "client_sent_ms"},
}


def handle_message(canvas: Canvas, subscriber: Subscriber, data: bytes | str, now_s: float) -> None:
    """Do what a screen's message says.

    Raises:
        ProtocolError: If it breaks the contract; the connection must be closed then.
    """
    if subscriber.form is Form.SEED_JSON:
        # They send `ping` to keep proxies awake, and expect nothing.
        return
    if data == "ping":
        _answer(subscriber, {"type": "pong"})
        return
    message = wire.parse_client_message(data, subscriber.form)
    match message["type"]:
        case "ack":
            _acknowledge(subscriber, message, now_s)
        case "ready":
            _ready(canvas, subscriber, message)
        case "time":
            sent_ms = wire.number_field(message, "client_sent_ms")
            if sent_ms is None:
                raise ProtocolError("time.client_sent_ms is missing", field="client_sent_ms")
            _answer(subscriber, {"type": "time", "client_sent_ms": sent_ms, "server_time_ms": now_ms()})
        case _:
            subscriber.ignored += 1
            return
    subscriber.ignored += len(message.keys() - _FIELDS[message["type"]])


def _answer(subscriber: Subscriber, message: Mapping[str, Any]) -> None:
    if not subscriber.mailbox.post(message):
        error = ProtocolError("too many messages wait to be read")
        error.close_code = CloseCode.TOO_SLOW
        raise error


def _acknowledge(subscriber: Subscriber, message: Mapping[str, Any], now_s: float) -> None:
    sequence = message.get("sequence")
    if isinstance(sequence, bool) or not isinstance(sequence, int):
        raise ProtocolError(
            f"ack.sequence must be a whole number, got {wire.shown(sequence)}", field="sequence"
        )
    skipped = wire.number_field(message, "skipped", low=0, high=1e9)
    rtt_ms = wire.number_field(message, "rtt_ms", low=0, high=MAX_RTT_MS)
    offset_ms = wire.number_field(message, "offset_ms")
    for name in ("received_ms", "decoded_ms", "presented_ms"):
        wire.number_field(message, name)
    subscriber.mailbox.acknowledge(sequence, now_s)
    subscriber.skipped += int(skipped or 0)
    subscriber.rtt_ms = rtt_ms if rtt_ms is not None else subscriber.rtt_ms
    subscriber.offset_ms = offset_ms if offset_ms is not None else subscriber.offset_ms


def _ready(canvas: Canvas, subscriber: Subscriber, message: Mapping[str, Any]) -> None:
    """Take what a screen says of itself; all fields are judged before any is taken."""
    viewport = _viewport(message.get("viewport"))
    formats = _formats(message.get("formats"))
    max_fps = wire.number_field(message, "max_fps", low=0.01, high=1000)
    visible = message.get("visible", True)
    if not isinstance(visible, bool):
        raise ProtocolError(
            f"ready.visible must be true or false, got {wire.shown(visible)}", field="visible"
        )
    subscriber.viewport = viewport or subscriber.viewport
    subscriber.formats = formats or subscriber.formats
    subscriber.max_fps = max_fps
    subscriber.mailbox.window.set_max_fps(max_fps)
    subscriber.mailbox.set_visible(visible)
    canvas.on_demand()


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
