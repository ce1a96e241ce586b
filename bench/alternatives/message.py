"""One frame as a message of the wire, for the alternatives that send what the product's server sends."""

from __future__ import annotations

import msgpack


PROTOCOL = "psyche.v1.msgpack"


def pack(
    canvas: str, sequence: int, image: bytes, *, width: int, height: int, published_ms: float
) -> tuple[bytes, bytes]:
    """Write a frame of `psyche.v1.msgpack`.

    Returns:
        What comes before the image, and the image: joining them is the sender's one copy.
    """
    fields = {
        "type": "frame",
        "canvas": canvas,
        "sequence": sequence,
        "image_id": f"bench-{sequence}",
        "timestamp_ms": published_ms,
        "published_ms": published_ms,
        "format": "jpeg",
        "width": width,
        "height": height,
        "tier": "original",
        "job": None,
        "final": False,
        "stages": {"painted": published_ms, "published": published_ms, "encoded": published_ms},
    }
    packer = msgpack.Packer(autoreset=False)
    packer.pack_map_header(len(fields) + 1)
    for name, value in fields.items():
        packer.pack(name)
        packer.pack(value)
    packer.pack("image")
    return packer.bytes() + b"\xc6" + len(image).to_bytes(4, "big"), image


def websocket_header(size_bytes: int, opcode: int = 2) -> bytes:
    """Write the header of a whole, unmasked WebSocket message."""
    if size_bytes < 126:
        return bytes((0x80 | opcode, size_bytes))
    if size_bytes < 65536:
        return bytes((0x80 | opcode, 126)) + size_bytes.to_bytes(2, "big")
    return bytes((0x80 | opcode, 127)) + size_bytes.to_bytes(8, "big")
