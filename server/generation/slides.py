"""Jobs that show pictures which are there already: a folder of the media root, or the samples.

A file that is JPEG, WebP or PNG goes to the screens as it is; others are loaded by Pillow and
encoded. No path ever comes from a client: a folder is chosen among those that are there, by name.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from PIL import Image

from server.errors import InvalidError, NotFoundError
from server.generation.easel import Easel
from server.generation.job import Job
from server.generation.read_ahead import Pace, ReadAhead
from server.streaming.clock import now_ms
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders


SAMPLES = "samples"
SAMPLES_ROOT = Path(__file__).resolve().parent.parent / "media"

_PASSED_ON = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_LOADED = frozenset({".bmp", ".gif", ".tif", ".tiff"})
_FORMATS_LOADED = ("BMP", "GIF", "TIFF")
MAX_FILES = 10_000
# How often those who watch a job are told which picture it has come to, seconds: each telling goes
# to every screen of the canvas.
TOLD_EVERY_S = 0.25


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
    canvas = easel.canvas
    assert canvas is not None
    job.total_steps = number or 0
    if number and job.started_ms is not None:
        job.ends_ms = job.started_ms + number * 1000.0 / easel.fps(job)
    pictures = ReadAhead(
        easel.executor,
        load,
        files,
        number,
        on_failure=lambda path, error: job.warn([f"{path.name}: {error}"]),
    )
    last: EncodedImage | None = None
    told_s, counted = float("-inf"), 0
    with contextlib.closing(pictures):
        # The time runs from the first picture on, however long that takes to be loaded.
        picture = await pictures.take(lambda: -1)
        pace = Pace(easel.clock, lambda: 1.0 / easel.fps(job), picture[0] if picture else 0)
        while picture:
            place, image = picture
            canvas.dropped += pictures.dropped - counted
            counted = pictures.dropped
            await _wait_for_turn(easel, job, pace, place)
            job.step = place + 1
            canvas.publish(image, timestamp_ms=now_ms(), job=job.id, final=pictures.is_spent)
            last = None if pictures.is_spent else image
            if easel.clock() - told_s >= TOLD_EVERY_S:
                told_s = easel.clock()
                easel.notify(job)
            easel.lane.yield_to_waiting()
            picture = await pictures.take(lambda: pace.overdue)
    if last:
        # What should have come after it could not be loaded.
        canvas.publish(last, timestamp_ms=now_ms(), job=job.id, final=True)
    job.step = job.total_steps


async def _wait_for_turn(easel: Easel, job: Job, pace: Pace, place: int) -> None:
    """Wait until a place is due; pictures that never end wait for a screen, too."""
    canvas = easel.canvas
    assert canvas is not None
    await easel.until_due(pace.due_s(place))
    is_held = False
    # Pictures that end run to their end, whoever watches.
    while not job.is_finite and (canvas.config.paused or canvas.demand_fps <= 0.0):
        is_held = True
        easel.lane.yield_to_waiting()
        await easel.lane.changed()
    if is_held:
        pace.restart(place)
    else:
        pace.reach(place)


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
