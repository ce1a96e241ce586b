"""The wire protocol `psyche.v1` in bytes and text: nothing here knows a socket.

Three forms of one frame: a msgpack map with raw image bytes, the same map as JSON with base64, and
the three-field JSON of the first clients. Each is the same for every subscriber, so that it is made
once and shared.
"""

from __future__ import annotations

import base64
import binascii
import enum
import json
import math
import sys
from collections.abc import Mapping
from typing import Any

import msgpack

from server.errors import MessageTooBigError, ProtocolError
from server.streaming.clock import iso_utc
from server.streaming.frame import Frame


PROTOCOL = 1
MSGPACK_PROTOCOL = "psyche.v1.msgpack"
JSON_PROTOCOL = "psyche.v1.json"

# The largest message a client may send: all of them are small maps of numbers.
MAX_CLIENT_MESSAGE_BYTES = 16 * 1024


class Form(enum.Enum):
    """How messages are written on a connection."""

    MSGPACK = "msgpack"
    JSON = "json"
    SEED_JSON = "seed-json"  # frames only, always JPEG, the form of the first clients

    @property
    def is_text(self) -> bool:
        """Whether its messages are text messages."""
        return self is not Form.MSGPACK


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


def pack_frame(frame: Frame, form: Form, tier: str) -> bytes | str:
    """Write a frame in a form.

    Args:
        frame: The frame, its image already encoded as the tier says.
        form: How to write it.
        tier: The tier's name, for the message.
    """
    if form is Form.SEED_JSON:
        return json.dumps(
            {
                "timestamp": iso_utc(frame.timestamp_ms),
                "image": _base64(frame.image.data),
                "image_id": frame.image_id,
            }
        )
    fields = _frame_fields(frame, tier)
    if form is Form.JSON:
        return json.dumps({**fields, "image": _base64(frame.image.data)})
    return _pack_with_image(fields, frame.image.data)


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
    }
    if frame.stages:
        fields["stages"] = frame.stages
    return fields


def _pack_with_image(fields: Mapping[str, Any], image: bytes) -> bytes:
    """Pack a map whose last entry is the image, copying the image once only."""
    packer = msgpack.Packer(autoreset=False)
    packer.pack_map_header(len(fields) + 1)
    for key, value in fields.items():
        packer.pack(key)
        packer.pack(value)
    packer.pack("image")
    # bin 32, whatever the size: one form to read, and `Packer.pack` would copy the image twice.
    head: bytes = packer.bytes() + b"\xc6" + len(image).to_bytes(4, "big")
    return head + image


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


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
    message: Mapping[str, Any], name: str, *, low: float = -math.inf, high: float = math.inf
) -> float | None:
    """Return a finite number of a client's message, or None where it is absent.

    Raises:
        ProtocolError: If it is anything else, or out of range.
    """
    value = message.get(name)
    if value is None:
        return None
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
    return -sys.float_info.max <= value <= sys.float_info.max


def shown(value: object) -> str:
    """Write what a peer sent for an error message: short, whatever it is."""
    try:
        return f"{value!r:.60}"
    except RecursionError:
        # msgpack reads 1,024 levels; Python does not write as many.
        return f"a {type(value).__name__} nested too deep"
