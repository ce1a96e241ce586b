"""The wire protocol `psyche.v1` in bytes and text: nothing here knows a socket.

Three forms of one frame as a message: a msgpack map with raw image bytes, the same map as JSON with
base64, and the three-field JSON of the first clients; and two as a part of an endless HTTP answer. Each is
the same for every subscriber, so that it is made once and shared.
"""

from __future__ import annotations

import base64
import binascii
import enum
import functools
import json
import sys
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgpack

from server.errors import MessageTooBigError, ProtocolError
from server.streaming import multipart
from server.streaming.clock import iso_utc
from server.streaming.frame import Frame
from server.streaming.payload import Payload, message_bytes, plain_payload, websocket_payload


PROTOCOL = 1
MSGPACK_PROTOCOL = "psyche.v1.msgpack"
JSON_PROTOCOL = "psyche.v1.json"

# The largest message a client may send: all of them are small maps of numbers.
MAX_CLIENT_MESSAGE_BYTES = 16 * 1024
_LARGEST = sys.float_info.max
# Statuses are written as soon as they have changed, for all who are there; who comes later finds those that
# were written last. Bounded, however many canvases there are.
_MAX_SHARED = 64
_shared: OrderedDict[tuple[int, Form], tuple[Mapping[str, Any], bytes]] = OrderedDict()


class Form(enum.Enum):
    """How messages are written on a connection."""

    MSGPACK = "msgpack"
    JSON = "json"
    SEED_JSON = "seed-json"  # frames only, always JPEG, the form of the first clients
    MJPEG = "mjpeg"  # frames only, always JPEG, as the parts of an HTTP answer
    MJPEG_AHEAD = "mjpeg-ahead"  # the same, each part with the next one's headers behind it

    @functools.cached_property
    def is_text(self) -> bool:
        """Whether its messages are text messages."""
        return self in _TEXT_FORMS

    @property
    def is_multipart(self) -> bool:
        """Whether frames are parts of an HTTP answer, and no messages of a WebSocket."""
        return self in _MULTIPART_FORMS

    @property
    def has_control(self) -> bool:
        """Whether messages other than frames can be written in it."""
        return self in _SPEAKING_FORMS


_TEXT_FORMS = (Form.JSON, Form.SEED_JSON)
_MULTIPART_FORMS = (Form.MJPEG, Form.MJPEG_AHEAD)
_SPEAKING_FORMS = (Form.MSGPACK, Form.JSON)


class CloseCode(enum.IntEnum):
    """Why a connection ends."""

    GOING_AWAY = 1001
    PROTOCOL = 1002
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    FULL = 1013
    NO_SUCH_CANVAS = 4404
    TOO_SLOW = 4408


def frame_payload(frame: Frame, form: Form, tier: str) -> Payload:
    """Write a frame in a form, as it goes on the wire, copying its image once.

    Args:
        frame: The frame, its image already encoded as the tier says.
        form: How to write it.
        tier: The tier's name, for the message.
    """
    pieces = pack_frame(frame, form, tier)
    if form.is_multipart:
        payload = plain_payload(pieces)
    else:
        # The first clients do not acknowledge: there is nothing to measure a round trip for.
        tag = frame.sequence if form.has_control else None
        payload = websocket_payload(pieces, is_text=form.is_text, tag=tag)
    payload.encoded_ms = frame.stages.get("encoded", frame.published_ms)
    return payload


def pack_frame(frame: Frame, form: Form, tier: str) -> list[bytes]:
    """Write a frame in a form: the pieces of its message, the image one of them and not copied.

    Args:
        frame: The frame, its image already encoded as the tier says.
        form: How to write it.
        tier: The tier's name, for the message.
    """
    if form.is_multipart:
        return multipart.pieces(frame, is_ahead=form is Form.MJPEG_AHEAD)
    if form is Form.SEED_JSON:
        head = {"timestamp": iso_utc(frame.timestamp_ms), "image": ""}
        tail = json.dumps({"image_id": frame.image_id})
        return [_open(head), base64.b64encode(frame.image.data), b'", ' + tail[1:].encode()]
    fields = _frame_fields(frame, tier)
    if form is Form.JSON:
        return [_open({**fields, "image": ""}), base64.b64encode(frame.image.data), b'"}']
    return [_pack_head(fields, len(frame.image.data)), frame.image.data]


def control_bytes(message: Mapping[str, Any], form: Form) -> bytes:
    """Write a control message in a form as a whole WebSocket frame; nothing in a form that has none."""
    if not form.has_control:
        return b""
    if message["type"] == "pong":
        # Its question was text, too, whatever the form.
        return message_bytes("pong")
    return _shared_bytes(message, form) if message["type"] == "status" else _packed(message, form)


def _packed(message: Mapping[str, Any], form: Form) -> bytes:
    return message_bytes(pack_message(message, form))


def _shared_bytes(message: Mapping[str, Any], form: Form) -> bytes:
    """Write a message that is one object for all screens of a canvas: once for all of them."""
    key = (id(message), form)
    known = _shared.get(key)
    # It is kept with its bytes, so that no other one takes its identity.
    if known is None:
        known = _shared[key] = (message, _packed(message, form))
        while len(_shared) > _MAX_SHARED:
            _shared.popitem(last=False)
    return known[1]


def pack_message(message: Mapping[str, Any], form: Form) -> bytes | str:
    """Write a control message in a form."""
    if form is Form.MSGPACK:
        return bytes(msgpack.packb(message))
    return json.dumps(message)


def _frame_fields(frame: Frame, tier: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "type": "frame",
        "canvas": frame.canvas,
        "sequence": frame.sequence,
        "image_id": frame.image_id,
        "timestamp_ms": frame.timestamp_ms,
        "published_ms": frame.published_ms,
        "format": frame.image.format,
        "width": frame.image.width,
        "height": frame.image.height,
        "tier": tier,
        "job": frame.job,
        "final": frame.final,
        # What passes through untouched is encoded when it is published.
        "stages": {
            "painted": frame.timestamp_ms,
            "published": frame.published_ms,
            "encoded": frame.published_ms,
            **frame.stages,
        },
    }
    if frame.present_at_ms is not None:
        fields["present_at_ms"] = frame.present_at_ms
    return fields


def _open(fields: Mapping[str, Any]) -> bytes:
    """Write a JSON object up to the opening quote of its last value, an empty string."""
    return json.dumps(fields)[:-2].encode()


def _pack_head(fields: Mapping[str, Any], image_bytes: int) -> bytes:
    """Pack a map whose last entry is the image, up to the image itself."""
    packer = msgpack.Packer(autoreset=False)
    packer.pack_map_header(len(fields) + 1)
    for key, value in fields.items():
        packer.pack(key)
        packer.pack(value)
    packer.pack("image")
    # bin 32, whatever the size: one form to read.
    head: bytes = packer.bytes() + b"\xc6" + image_bytes.to_bytes(4, "big")
    return head


def parse_client_message(data: bytes | str, form: Form) -> dict[str, Any]:
    """Read a message from a client.

    Returns:
        A map with a string at `type`; its other fields are not checked yet.

    Raises:
        MessageTooBigError: If it is over `MAX_CLIENT_MESSAGE_BYTES`.
        ProtocolError: If it is no such map.
    """
    if len(data) > MAX_CLIENT_MESSAGE_BYTES:
        raise MessageTooBigError(len(data), MAX_CLIENT_MESSAGE_BYTES)
    if form.is_text != isinstance(data, str):
        raise ProtocolError(f"expected a {'text' if form.is_text else 'binary'} message")
    try:
        message = json.loads(data) if isinstance(data, str) else msgpack.unpackb(data)
    except (ValueError, RecursionError, msgpack.UnpackException, binascii.Error) as exc:
        raise ProtocolError(f"malformed {form.value} message: {exc or type(exc).__name__}") from exc
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ProtocolError("a message is a map with a string at 'type'")
    return message


def number_field(
    message: Mapping[str, Any], name: str, *, low: float = -_LARGEST, high: float = _LARGEST
) -> float | None:
    """Return a finite number of a client's message, or None where it is absent.

    Bounds are finite.

    Raises:
        ProtocolError: If it is anything else, or out of range.
    """
    value = message.get(name)
    if value is None:
        return None
    # What nearly all are; NaN and the infinite are in no range. Several of these for each frame and screen.
    if value.__class__ is float and low <= value <= high:
        return float(value)
    if not _is_finite(value):
        raise ProtocolError(f"{message['type']}.{name} must be a number, got {shown(value)}", field=name)
    if not low <= value <= high:
        raise ProtocolError(
            f"{message['type']}.{name} must be from {low} to {high}, got {shown(value)}", field=name
        )
    return float(value)


def _is_finite(value: object) -> bool:
    """Tell whether this is a number that a float64 holds; whole numbers of JSON may be any size."""
    # bool is an int in Python, and no number on the wire.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -_LARGEST <= value <= _LARGEST


def shown(value: object) -> str:
    """Write what a peer sent for an error message: short, whatever it is."""
    try:
        return f"{value!r:.60}"
    except RecursionError:
        # msgpack reads 1,024 levels; Python does not write as many.
        return f"a {type(value).__name__} nested too deep"
