"""Jobs that show pictures which are there already: a folder of the media root, or the samples.

A file that is JPEG, WebP or PNG goes to the screens as it is; others are loaded by Pillow and
encoded. No path ever comes from a client: a folder is chosen among those that are there, by name.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from itertools import count
from pathlib import Path

from PIL import Image

from server.errors import InvalidError, NotFoundError, PsycheError
from server.generation.easel import Easel
from server.generation.job import Job
from server.streaming.clock import now_ms
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders


SAMPLES = "samples"
SAMPLES_ROOT = Path(__file__).resolve().parent.parent / "media"

_PASSED_ON = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_LOADED = frozenset({".bmp", ".gif", ".tif", ".tiff"})
_FORMATS_LOADED = ("BMP", "GIF", "TIFF")
# Pictures of one folder that stay in memory while they are shown in turn; of larger folders each
# is read when it is due.
_CACHE_BYTES = 64 * 1024 * 1024
MAX_FILES = 10_000


def folders(media_root: Path) -> dict[str, Path]:
    """Return the folders that may be shown, by name: those in the media root, and the samples."""
    found = {SAMPLES: SAMPLES_ROOT / SAMPLES}
    # A media root that is not there, or that we may not read, holds nothing to show.
    with contextlib.suppress(OSError):
        entries = (entry for entry in sorted(media_root.iterdir()) if not entry.name.startswith("."))
        found |= {entry.name: entry for entry in entries if entry.is_dir()}
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
    files = sorted(
        path
        for path in there[folder].iterdir()
        # Some systems lay a hidden file of the same name beside each picture.
        if path.suffix.lower() in _PASSED_ON | _LOADED and not path.name.startswith(".")
    )
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
    job.total_steps = number or 0
    if number and job.started_ms is not None:
        job.ends_ms = job.started_ms + number * 1000.0 / easel.fps(job)
    shown: tuple[int, EncodedImage] | None = None
    due_s = easel.clock()
    # One is loaded while the one before is shown; so the last one is known as such.
    async with contextlib.aclosing(_load_in_turn(easel, job, files, number)) as pictures:
        async for picture in pictures:
            if shown:
                due_s = await _show_one(easel, job, shown, due_s, final=False)
            shown = picture
    if shown:
        await _show_one(easel, job, shown, due_s, final=True)


async def _show_one(
    easel: Easel, job: Job, picture: tuple[int, EncodedImage], due_s: float, *, final: bool
) -> float:
    """Show a picture when it is due and return when the next one is."""
    canvas, interval_s = easel.canvas, 1.0 / easel.fps(job)
    assert canvas is not None
    await easel.until_due(due_s)
    # Pictures that never end wait for a screen; those that end run to their end.
    while not job.is_finite and (canvas.config.paused or canvas.demand_fps <= 0.0):
        easel.lane.yield_to_waiting()
        await easel.lane.changed()
    place, image = picture
    job.step = place + 1
    canvas.publish(image, timestamp_ms=now_ms(), job=job.id, final=final)
    easel.notify(job)
    easel.lane.yield_to_waiting()
    return max(due_s, easel.clock() - interval_s) + interval_s


async def _load_in_turn(
    easel: Easel, job: Job, files: list[Path], number: int | None
) -> AsyncGenerator[tuple[int, EncodedImage], None]:
    """Load pictures with their places; one that cannot be loaded is told once and left out.

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
        yield place, image


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
        # Only these: others, such as PostScript, would be run as programs.
        with encoders.quietly(), Image.open(path, formats=_FORMATS_LOADED) as picture:
            if max(picture.size) > encoders.MAX_SIDE_PX:
                raise InvalidError(f"larger than {encoders.MAX_SIDE_PX} pixels a side")
            return encoders.encode(encoders.rgb(picture), "jpeg", 90)
    except (*encoders.BROKEN, Image.DecompressionBombError) as exc:
        raise InvalidError(f"not a readable picture: {exc}") from exc
