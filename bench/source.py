"""The source of frames: pre-encoded JPEG files, pushed at a rate as a camera or a painter would."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from bench.errors import BenchError, reason
from bench.target import Target


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of one canvas's pushes."""

    slug: str
    published: int  # frames
    dropped: int  # frames that were due while the one before was still on its way
    last_sequence: int


async def push_to_all(
    target: Target, slugs: Sequence[str], jpegs: Sequence[bytes], *, count: int, fps: float
) -> list[Pushed]:
    """Push to several canvases at once, their phases spread evenly.

    Raises:
        BenchError: If the server refuses a frame.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            pushes = [
                tasks.create_task(
                    _push(target, slug, jpegs, count=count, fps=fps, phase_s=index / fps / len(slugs)),
                    name=f"source:{slug}",
                )
                for index, slug in enumerate(slugs)
            ]
    except* BenchError as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in pushes]


async def _push(
    target: Target, slug: str, jpegs: Sequence[bytes], *, count: int, fps: float, phase_s: float
) -> Pushed:
    loop = asyncio.get_running_loop()
    start_at = loop.time() + phase_s
    published = dropped = sequence = 0
    for index in range(count):
        late_s = loop.time() - (start_at + index / fps)
        if late_s < 0.0:
            await asyncio.sleep(-late_s)
        elif late_s > 1.0 / fps:
            # A live source shows the next one instead of catching up.
            dropped += 1
            continue
        sequence = await push(target, slug, jpegs[index % len(jpegs)])
        published += 1
    return Pushed(slug, published, dropped, sequence)


async def push(target: Target, slug: str, jpeg: bytes) -> int:
    """Show a file on a canvas and return its sequence.

    Raises:
        BenchError: If the server refuses it or cannot be reached.
    """
    try:
        async with target.session.post(
            f"{target.url}/canvases/{slug}/frames",
            # As a file: aiohttp warns of large `bytes`.
            data=io.BytesIO(jpeg),
            headers={"Content-Type": "image/jpeg", "Content-Length": str(len(jpeg))},
        ) as response:
            answer = await response.json()
    except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
        raise BenchError(f"a frame for {slug!r} could not be pushed: {reason(exc)}") from exc
    if response.status != 201:
        raise BenchError(f"a frame for {slug!r} was refused with {response.status}: {answer}")
    return int(answer["frame"]["sequence"])


async def remove(target: Target, slug: str) -> None:
    """Remove a canvas that was made by pushing to it; one that is gone is fine."""
    try:
        async with target.session.delete(f"{target.url}/canvases/{slug}"):
            pass
    except (aiohttp.ClientError, TimeoutError) as exc:
        raise BenchError(f"canvas {slug!r} could not be removed: {reason(exc)}") from exc
