"""Paints the sample pictures that ship with the server.

Made again by ``python -m inference.procedural.samples OUT_DIR``.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image

from inference.engine import PictureRequest, Pixels, Timeline

from .engine import ProceduralEngine


# A sample is shipped in the package and shown in a browser: small enough for both.
_LIMIT_BYTES = 150_000
_QUALITY = 88

SAMPLES: dict[str, PictureRequest] = {
    "01-mountain-lake": PictureRequest("a quiet mountain lake at dawn with a cabin"),
    "02-sailboat": PictureRequest("a sailboat on the sea at sunset"),
    "03-city-night": PictureRequest("city skyline over the river at night"),
    "04-nebula": PictureRequest("saturn before a violet and orange nebula"),
    "05-poppies": PictureRequest("red poppies in a meadow, golden hour"),
    "06-winter-forest": PictureRequest("a fox in a snowy forest at dawn"),
    "07-silk": PictureRequest("liquid dreams of teal and coral"),
}
"""File stem to what is painted, the rest of the request being the same for all."""


def paint(request: PictureRequest, size: int) -> Pixels:
    """Paint one sample, ``size`` pixels a side, with fine detail."""
    engine = ProceduralEngine()
    sized = PictureRequest(request.prompt, width=size, height=size, steps=8, seed=request.seed)
    run = engine.begin(Timeline.still(sized), 12.0)
    while run.step < run.total_steps:
        engine.step([run], 1)
    return engine.finish(run)


def encode(pixels: Pixels) -> bytes:
    """Return a JPEG of at most `_LIMIT_BYTES`, giving up quality where it must."""
    for quality in range(_QUALITY, 40, -4):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() <= _LIMIT_BYTES:
            break
    return buffer.getvalue()


def main() -> None:
    """Write all samples into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the JPEG files go; made if it is missing")
    parser.add_argument("--size", type=int, default=800, help="pixels a side (800)")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for stem, request in SAMPLES.items():
        (arguments.folder / f"{stem}.jpg").write_bytes(encode(paint(request, arguments.size)))


if __name__ == "__main__":
    main()
