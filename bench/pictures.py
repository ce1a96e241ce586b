"""The frames that are pushed: JPEG files of realistic weight, the same in every run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.sizes import Size


PROMPT = "a forest and mountains above a calm sea at sunset, drifting clouds"
JPEG_QUALITY = 90
# Standard deviation of the grain, of 255. Painted skies are smoother than photographs and weigh less;
# with this grain a 4K frame weighs a third of a byte a pixel, as photographs of telephones do.
GRAIN = 8.0


def write_jpegs(jpegs: Sequence[bytes], folder: Path) -> None:
    """Write files that an alternative shows in this order."""
    for index, jpeg in enumerate(jpegs):
        (folder / f"{index}.jpg").write_bytes(jpeg)


def make_jpegs(size: Size, grain: float = GRAIN) -> tuple[bytes, ...]:
    """Paint a picture and encode it in four orientations: different bytes of about one weight.

    Args:
        size: The pictures' size.
        grain: Standard deviation of what is added to each pixel's brightness, of 255.
    """
    # Here, because the painter is large and a bench of a foreign server may not have it loaded yet.
    from inference.encode import encode
    from inference.engine import PictureRequest, Timeline
    from inference.procedural import ProceduralEngine

    engine = ProceduralEngine()
    run = engine.begin(Timeline.still(PictureRequest(PROMPT, width=size.width, height=size.height)), 1.0)
    engine.step([run], 1)
    noise = np.random.default_rng(1).normal(0.0, grain, (size.height, size.width, 1))
    pixels = np.clip(engine.finish(run) + noise, 0, 255).astype(np.uint8)
    orientations = (pixels, pixels[:, ::-1], pixels[::-1], pixels[::-1, ::-1])
    return tuple(encode(np.ascontiguousarray(turned), "jpeg", JPEG_QUALITY) for turned in orientations)
