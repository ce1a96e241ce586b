"""Jobs that show pictures which are there already: a folder of the media root, or the samples.

A file that is JPEG, WebP or PNG goes to the screens as it is; others are loaded by Pillow and
encoded. No path ever comes from a client: a folder is chosen among those that are there, by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from server.errors import InvalidError, NotFoundError, PsycheError
from server.generation.easel import Easel
from server.generation.job import Job
from server.streaming import encoders
from server.streaming.clock import now_ms
from server.streaming.frame import EncodedImage


SAMPLES = "samples"
SAMPLES_ROOT = Path(__file__).resolve().parent.parent / "media"

_PASSED_ON = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_LOADED = frozenset({".bmp", ".gif", ".tif", ".tiff"})
# Pictures of one folder that stay in memory while they are shown in turn; of larger folders each
# is read when it is due.
_CACHE_BYTES = 64 * 1024 * 1024
MAX_FILES = 10_000


def folders(media_root: Path) -> dict[str, Path]:
    """Return the folders that may be shown, by name: those in the media root, and the samples."""
    found = {SAMPLES: SAMPLES_ROOT / SAMPLES}
    if media_root.is_dir():
        found |= {
            entry.name: entry
            for entry in sorted(media_root.iterdir())
            if entry.is_dir() and not entry.name.startswith(".")
        }
    return found


def pictures_in(media_root: Path, folder: str) -> list[Path]:
    """Return the picture files of a folder, by name.

    Raises:
        NotFoundError: If there is no such folder.
        InvalidError: If it holds no pictures, or too many.
    """
    there = folders(media_root)
    if folder not in there:
        raise NotFoundError(f"there is no folder {folder!r}; there are {', '.join(there)}", field="folder")
    files = sorted(path for path in there[folder].iterdir() if path.suffix.lower() in _PASSED_ON | _LOADED)
    if not 0 < len(files) <= MAX_FILES:
        raise InvalidError(
            f"folder {folder!r} holds {len(files)} pictures; accepted are 1 to {MAX_FILES}", field="folder"
        )
    return files


async def show_folder(easel: Easel, job: Job) -> None:
    """Show the pictures of the job's folder, once or for as long as the job goes on.

    Raises:
        PsycheError: If none of them can be shown.
    """
    assert job.folder is not None
    loop = asyncio.get_running_loop()
    files = await loop.run_in_executor(easel.executor, pictures_in, easel.media_root, job.folder)
    await _show(easel, job, files, None if job.loop else len(files))


async def show_samples(easel: Easel, job: Job) -> None:
    """Show as many sample pictures as the job asks for, the same ones in turn."""
    loop = asyncio.get_running_loop()
    files = await loop.run_in_executor(easel.executor, pictures_in, easel.media_root, SAMPLES)
    await _show(easel, job, files, job.count)


async def _show(easel: Easel, job: Job, files: list[Path], number: int | None) -> None:
    """Show pictures at the job's rate; `number` None is without end."""
    assert easel.canvas is not None
    interval_s = 1.0 / easel.fps(job)
    job.total_steps = number or 0
    if number and job.started_ms is not None:
        job.ends_ms = job.started_ms + number * interval_s * 1000.0
    due_s = easel.clock()
    async for image in _load_in_turn(easel, job, files, number):
        await easel.until_due(due_s)
        await _until_watched(easel, job)
        due_s = max(due_s, easel.clock() - interval_s) + interval_s
        job.step += 1
        easel.canvas.publish(image, timestamp_ms=now_ms(), job=job.id, final=job.step == number)
        easel.lane.yield_to_waiting()


async def _until_watched(easel: Easel, job: Job) -> None:
    """Wait for a screen, if the pictures never end; those that end run to their end."""
    canvas = easel.canvas
    assert canvas is not None
    while canvas.config.paused or (not job.is_finite and canvas.demand_fps <= 0.0):
        await easel.lane.changed()


async def _load_in_turn(
    easel: Easel, job: Job, files: list[Path], number: int | None
) -> AsyncIterator[EncodedImage]:
    """Load pictures one after the other; one that cannot be loaded is told once and left out.

    Raises:
        PsycheError: If a whole round of them could not be loaded.
    """
    loop = asyncio.get_running_loop()
    cached: dict[Path, EncodedImage] = {}
    cached_bytes = 0
    failures = 0
    for place in count() if number is None else range(number):
        path = files[place % len(files)]
        image = cached.get(path)
        if image is None:
            try:
                image = await loop.run_in_executor(easel.executor, load, path)
            except (PsycheError, OSError) as exc:
                job.warn([f"{path.name}: {exc}"])
                failures += 1
                if failures >= len(files):
                    raise InvalidError(f"no picture of {job.folder!r} can be shown", field="folder") from exc
                continue
            if cached_bytes + len(image.data) <= _CACHE_BYTES:
                cached[path] = image
                cached_bytes += len(image.data)
        failures = 0
        yield image


def load(path: Path) -> EncodedImage:
    """Read a picture file; blocking.

    Raises:
        PsycheError: If it is not a picture that can be shown.
        OSError: If it cannot be read.
    """
    if path.stat().st_size > encoders.MAX_IMAGE_BYTES:
        raise InvalidError(f"larger than {encoders.MAX_IMAGE_BYTES} bytes")
    if path.suffix.lower() in _PASSED_ON:
        return encoders.inspect(path.read_bytes(), field="folder")
    try:
        with Image.open(path) as picture:
            if max(picture.size) > encoders.MAX_SIDE_PX:
                raise InvalidError(f"larger than {encoders.MAX_SIDE_PX} pixels a side")
            return encoders.encode(np.asarray(picture.convert("RGB")), "jpeg", 90)
    except (SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        raise InvalidError(f"not a readable picture: {exc}") from exc
