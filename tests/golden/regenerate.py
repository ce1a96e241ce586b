"""Write the golden wire files: `python tests/golden/regenerate.py`, after a change of the protocol.

`index.json` lists every file with the message that it holds; the Python and the JavaScript tests
read both. Bytes are given there in hexadecimal, under the field's name and `_hex`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgpack


HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from server.streaming.frame import EncodedImage, Frame  # noqa: E402 - after the path is set
from server.streaming.wire import Form, pack_frame  # noqa: E402


# Starts and ends as a JPEG does; nothing decodes it.
IMAGE = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")

FRAME = Frame(
    canvas="left",
    sequence=42,
    image_id="0123456789ab-42",
    timestamp_ms=1795184917348.5,
    published_ms=1795184917350.25,
    image=EncodedImage(IMAGE, "jpeg", 512, 512),
    job="2194CU8Kd69Wl-Wv",
    final=False,
    stages={"encoded": 1795184917352.75},
)
REST = Frame(
    canvas="right",
    sequence=1,
    image_id="0123456789ab-1",
    timestamp_ms=1795184917000.0,
    published_ms=1795184917001.0,
    image=EncodedImage(b"\x00" * 300, "webp", 3840, 2160),
    final=True,
    present_at_ms=1795184917201.0,
)
CANVAS = {
    "slug": "left",
    "width": 512,
    "height": 512,
    "fps": 4.0,
    "format": "jpeg",
    "quality": 90,
    "paused": False,
    "blank": False,
    "present_delay_ms": None,
    "transition": {"kind": "cross-fade", "duration_s": 0.5},
    "processing": {
        "crop": {"x": 0.25, "y": 0.0, "width": 0.5, "height": 1.0},
        "rotate": 90,
        "mirror": "horizontal",
        "brightness": 1.0,
        "contrast": 1.25,
        "saturation": 1.0,
        "hue": -30.0,
        "tint": {"color": "#ff8800", "amount": 0.25},
        "pixelate": 1,
        "blur": 0.0,
    },
    "audio": {
        "enabled": True,
        "mappings": [
            {"feature": "level", "parameter": "speed", "low": 1.0, "high": 4.0, "smoothing_s": 0.3},
            {"feature": "beat", "parameter": "palette", "low": 0.0, "high": 40.0, "smoothing_s": 0.25},
        ],
    },
    "state": "painting",
    "watched": True,
    "subscribers": 1,
    "job": "2194CU8Kd69Wl-Wv",
    "temporary": False,
    "epoch": "0123456789ab",
}
FROM_SERVER: dict[str, dict[str, Any]] = {
    "hello": {
        "type": "hello",
        "protocol": 1,
        "epoch": "0123456789ab",
        "canvas": CANVAS,
        "server_time_ms": 1795184917000.5,
        "limits": {"message_bytes": 16384, "send_deadline_s": 120.0, "audio_per_s": 20},
        "features": ["ack", "time", "status", "tiers", "present_at", "audio"],
        "subscriber": 7,
    },
    "status": {
        "type": "status",
        "canvas": "left",
        "state": "idle",
        "job": None,
        "queue": {"length": 0, "next": []},
        "transition": {"kind": "cut", "duration_s": 0.0},
    },
    "time": {"type": "time", "client_sent_ms": 1795184917000.125, "server_time_ms": 1795184917010.5},
    "bye": {"type": "bye", "reason": "deleted", "reconnect": False},
}
FROM_CLIENT: dict[str, dict[str, Any]] = {
    "ready": {
        "type": "ready",
        "viewport": {"width": 1920, "height": 1080},
        "formats": ["jpeg", "png", "webp"],
        "max_fps": 30,
        "visible": True,
    },
    "ack": {
        "type": "ack",
        "sequence": 42,
        "received_ms": 1795184917360.5,
        "decoded_ms": 1795184917365.5,
        "presented_ms": 1795184917372.5,
        "skipped": 1,
        "offset_ms": -3.5,
        "rtt_ms": 1.25,
    },
    "audio": {
        "type": "audio",
        "level": 0.5,
        "low": 0.75,
        "mid": 0.25,
        "high": 0.125,
        "onset": 0.0,
        "beat": 1.0,
        "tempo_bpm": 120.0,
    },
    "ask-time": {"type": "time", "client_sent_ms": 1795184917000.125},
}


def golden() -> dict[str, tuple[str, bytes, dict[str, Any]]]:
    """Return the golden files: name to (who sends it, bytes, message as the index writes it)."""
    files: dict[str, tuple[str, bytes, dict[str, Any]]] = {}
    for name, frame, tier in (("frame", FRAME, "jpeg-50-85"), ("frame-final", REST, "original")):
        data = b"".join(pack_frame(frame, Form.MSGPACK, tier))
        message = msgpack.unpackb(data)
        files[name] = ("server", data, _without_bytes(message))
    for sender, messages in (("server", FROM_SERVER), ("client", FROM_CLIENT)):
        for name, message in messages.items():
            files[name] = (sender, msgpack.packb(message), message)
    return files


def _without_bytes(message: dict[str, Any]) -> dict[str, Any]:
    return {
        (f"{key}_hex" if isinstance(value, bytes) else key): (
            value.hex() if isinstance(value, bytes) else value
        )
        for key, value in message.items()
    }


if __name__ == "__main__":
    index = []
    for name, (sender, data, message) in golden().items():
        (HERE / f"{name}.msgpack").write_bytes(data)
        index.append({"file": f"{name}.msgpack", "from": sender, "message": message})
    (HERE / "index.json").write_text(json.dumps(index, indent=2) + "\n")
