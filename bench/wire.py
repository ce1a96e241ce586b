"""Reading frames as far as measuring needs it: the head, without touching the image.

A bench that decoded every frame would measure itself.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgpack

from bench.errors import BenchError, reason


# Everything but the image, which comes last in msgpack and in the middle of the first clients' JSON.
HEAD_BYTES = 2048
_JSON_TIMESTAMP = re.compile(rb'"timestamp": ?"([^"]{1,40})"')
_JSON_SEQUENCE = re.compile(rb'"image_id": ?"[^"]*-(\d+)"\s*\}$')
_TAIL_BYTES = 128


@dataclass(frozen=True, slots=True)
class Head:
    """What is measured of a frame."""

    sequence: int
    published_ms: float  # on the server's clock


def read_msgpack(data: bytes) -> Head | dict[str, Any]:
    """Read the head of a frame, or the whole of another message.

    Raises:
        BenchError: If it is neither.
    """
    unpacker = msgpack.Unpacker()
    unpacker.feed(data[:HEAD_BYTES])
    fields: dict[str, Any] = {}
    try:
        for _ in range(unpacker.read_map_header()):
            name = unpacker.unpack()
            if name == "image":
                return Head(int(fields["sequence"]), float(fields["published_ms"]))
            fields[name] = unpacker.unpack()
            if name == "type" and fields["type"] != "frame":
                return dict(msgpack.unpackb(data))
    except (ValueError, KeyError, TypeError, msgpack.UnpackException) as exc:
        raise BenchError(f"a message of the server could not be read: {reason(exc)}") from exc
    raise BenchError("a frame of the server has no image")


_FRAME = b"\xa4type\xa5frame"
_SEQUENCE, _PUBLISHED, _TIER = b"\xa8sequence", b"\xacpublished_ms\xcb", b"\xa4tier"
# Sizes in bytes of msgpack's whole numbers above 127, by their first byte.
_WHOLE = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}


@dataclass(frozen=True, slots=True)
class Glance:
    """What can be seen of a frame without reading all of its head."""

    sequence: int
    published_ms: float  # on the server's clock
    tier: str


def glance(data: bytes, start: int = 0) -> Glance | None:
    """Find the numbers in the beginning of a frame: a tenth of the time that reading the head takes.

    A thousand screens in one process need that.

    Args:
        data: Holds the first bytes of a message, up to 1024 are enough.
        start: Where the message begins in it.

    Returns:
        None where the message is no frame, or its beginning is not all there.
    """
    if data.find(_FRAME, start, start + 16) < 0:
        return None
    sequence = data.find(_SEQUENCE, start)
    published = data.find(_PUBLISHED, start)
    tier = data.find(_TIER, start)
    if min(sequence, published, tier) < 0 or tier + 40 > len(data):
        return None
    at = sequence + len(_SEQUENCE)
    size = _WHOLE.get(data[at], 0)
    number = int.from_bytes(data[at + 1 : at + 1 + size], "big") if size else data[at]
    (published_ms,) = struct.unpack_from(">d", data, published + len(_PUBLISHED))
    at = tier + len(_TIER)
    # fixstr, or str 8 where the name is longer than 31 letters.
    at, length = (at + 1, data[at] & 0x1F) if data[at] < 0xC0 else (at + 2, data[at + 1])
    return Glance(number, published_ms, data[at : at + length].decode("ascii", "replace"))


def read_seed_json(data: bytes) -> Head:
    """Read the head of a frame in the first clients' JSON.

    Raises:
        BenchError: If it is no such frame.
    """
    timestamp, sequence = (
        _JSON_TIMESTAMP.search(data[:HEAD_BYTES]),
        _JSON_SEQUENCE.search(data[-_TAIL_BYTES:]),
    )
    if not timestamp or not sequence:
        raise BenchError(f"a message of the server is no JSON frame: {data[:80]!r}")
    instant = datetime.fromisoformat(timestamp[1].decode("ascii"))
    return Head(int(sequence[1]), instant.timestamp() * 1000.0)


def read_image(data: bytes, form: str) -> bytes:
    """Decode a frame wholly and return its image, to prove that the right bytes came.

    Args:
        data: A message that was read as a frame.
        form: "msgpack" or "json".
    """
    if form == "msgpack":
        return bytes(msgpack.unpackb(data)["image"])
    return base64.b64decode(json.loads(data)["image"], validate=True)
