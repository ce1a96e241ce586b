"""Fetching parts of models into a cache: what is chosen, whether there is room, and what is told of it.

Everything here may take minutes and comes from the fetching thread, but for `stop` and `has_failed_lately`.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path

import structlog

from inference.errors import ModelLoadError
from inference.models.disk import DiskCache
from inference.models.entry import CatalogueEntry, InUse
from inference.models.hub import FetchError, Hub
from inference.models.parts import Part, choose, hub_ids
from inference.models.places import snapshots


# What a download leaves free on the disk, bytes: everything else on the machine needs some.
FREE_DISK_BYTES = 10**9

# How often a download is logged, seconds.
PROGRESS_INTERVAL_S = 10.0

# A part that can be done without and could not be fetched is not tried again before this, seconds: each
# try costs the timeouts of a hub that is not there.
PART_FAILURE_MEMORY_S = 600.0

# Stands for every place where the hub gave no answer.
_HUB = ""

HOW_TO_GET = 'inference/README.md, "Diffusion models", tells how to get them'


class Downloads:
    """Fetches from a hub into a cache.

    Args:
        hub: Where from.
        disk: Where to.
    """

    def __init__(self, hub: Hub, disk: DiskCache) -> None:
        self._hub = hub
        self._disk = disk
        self._failed_at: dict[str, float] = {}  # by hub id or `_HUB`, monotonic seconds
        self._is_stopping = False
        self._log = structlog.get_logger("inference")

    @property
    def folder(self) -> Path:
        """The cache."""
        return self._disk.folder

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._is_stopping

    def has_failed_lately(self, place: str) -> bool:
        """Tell whether it is too early to try a part that can be done without again. Safe from any thread."""
        failed_at = max(self._failed_at.get(what, -math.inf) for what in (place, _HUB))
        return time.monotonic() - failed_at < PART_FAILURE_MEMORY_S

    def fetch(self, entry: CatalogueEntry, part: Part, place: str, in_use: InUse) -> None:
        """Fetch a part from the hub.

        Raises:
            ModelLoadError: If it cannot be fetched, or there is no place for it.
        """
        name, is_fetched = entry.model.name, False
        try:
            self._fetch(entry, part, place, in_use)
            is_fetched = True
        except FetchError as exc:
            if exc.is_unreachable:
                self._failed_at[_HUB] = time.monotonic()
            raise ModelLoadError(name, f"{place} could not be fetched ({exc}); {HOW_TO_GET}") from exc
        except OSError as exc:
            raise ModelLoadError(name, f"{place} could not be fetched: {exc}") from exc
        finally:
            if not is_fetched:
                self._failed_at[place] = time.monotonic()

    def tidy(self, in_use: InUse) -> None:
        """Hold the downloads within what they may take, sparing what is in use."""
        self._disk.hold(lambda: self._spare(in_use))

    def stop(self) -> None:
        """Give up a download that runs, soon and for good, and delete nothing more. Safe from any thread."""
        self._is_stopping = True
        self._hub.stop()

    def _fetch(self, entry: CatalogueEntry, part: Part, place: str, in_use: InUse) -> None:
        name = entry.model.name
        sizes = self._hub.sizes(place)
        self._failed_at.pop(_HUB, None)
        files = choose(entry, part, sizes)
        if not any(file.endswith(".safetensors") for file in files):
            raise ModelLoadError(name, f"{place} has no weights in safetensors, which are needed")
        missing_bytes = sum(sizes[file] for file in files if not self._has(place, file, sizes[file]))
        self._make_room(entry, place, missing_bytes, in_use)
        self._log.info("download_begun", model=name, hub_id=place, size_bytes=missing_bytes)
        began_at = time.monotonic()
        self._disk.claim(place, files)
        try:
            self._hub.fetch(place, files, self.folder, self._report(place, missing_bytes))
        except FetchError:
            self._disk.forget_gone()
            raise
        seconds = round(time.monotonic() - began_at, 1)
        self._log.info("download_done", model=name, hub_id=place, size_bytes=missing_bytes, seconds=seconds)

    def _spare(self, in_use: InUse, *entries: CatalogueEntry) -> Collection[str] | None:
        spare = hub_ids([*entries, *in_use()])
        # Afterwards: whoever stops the service tells it here before it forgets what is in use.
        return None if self._is_stopping else spare

    def _make_room(self, entry: CatalogueEntry, place: str, missing_bytes: int, in_use: InUse) -> None:
        """Make room for a download under the limit, and see whether the disk has it.

        Raises:
            ModelLoadError: If there is none.
        """
        name, max_bytes = entry.model.name, self._disk.max_bytes
        taken_bytes = self._disk.make_room(place, missing_bytes, lambda: self._spare(in_use, entry))
        if max_bytes is not None and taken_bytes + missing_bytes > max_bytes:
            raise ModelLoadError(
                name,
                f"{place} takes {_gigabytes(missing_bytes)} more, and downloads may take "
                f"{_gigabytes(max_bytes)} together, of which {_gigabytes(taken_bytes)} are in use "
                "(--max-disk-cache)",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(self.folder).free
        if free_bytes < missing_bytes + FREE_DISK_BYTES:
            raise ModelLoadError(
                name,
                f"{place} takes {_gigabytes(missing_bytes)} more and {self.folder} has "
                f"{_gigabytes(free_bytes)} free, of which {FREE_DISK_BYTES / 10**9:g} GB must stay",
            )

    def _has(self, place: str, file: str, size_bytes: int) -> bool:
        for folder in snapshots(self.folder, place):
            path = folder / file
            if path.is_file() and path.stat().st_size == size_bytes:
                return True
        return False

    def _report(self, place: str, size_bytes: int) -> Callable[[int], None]:
        told_at = time.monotonic()

        def report(done_bytes: int) -> None:
            nonlocal told_at
            if time.monotonic() - told_at >= PROGRESS_INTERVAL_S:
                told_at = time.monotonic()
                self._log.info("downloading", hub_id=place, done_bytes=done_bytes, size_bytes=size_bytes)

        return report


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 10**9:.1f} GB"
