"""Where jobs and images are kept: one interface, and the implementation in memory.

A database takes its place later; nobody above knows which one it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Protocol

from server.generation.job import Job, new_id
from server.streaming.frame import EncodedImage


# The newest jobs that are remembered; those that have not ended are never forgotten.
MAX_JOBS = 1000
# What results, previews and uploads may take in memory each; the oldest go first.
MAX_IMAGES_BYTES = 256 * 1024 * 1024
MAX_IMAGES = 4096


class JobStore(Protocol):
    """Jobs by id, newest last."""

    def add(self, job: Job) -> None:
        """Keep a job."""

    def get(self, job_id: str) -> Job | None:
        """Return a job, or None if it is not kept (any more)."""

    def newest_first(self) -> Iterator[Job]:
        """Go through the jobs that are kept."""


class MemoryJobStore:
    """The last jobs, in memory. Implements `JobStore`."""

    def __init__(self, max_jobs: int = MAX_JOBS) -> None:
        self.max_jobs = max_jobs
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Job) -> None:
        """Keep a job and forget the oldest ended ones beyond the limit."""
        self._jobs[job.id] = job
        surplus = len(self._jobs) - self.max_jobs
        if surplus > 0:
            # How many have not ended is bounded by the queues.
            ended = (kept.id for kept in tuple(self._jobs.values()) if kept.is_ended)
            for job_id, _ in zip(ended, range(surplus), strict=False):
                del self._jobs[job_id]

    def get(self, job_id: str) -> Job | None:
        """Return a job, or None if it is not kept (any more)."""
        return self._jobs.get(job_id)

    def newest_first(self) -> Iterator[Job]:
        """Go through the jobs that are kept."""
        return reversed(tuple(self._jobs.values()))


class ImageShelf:
    """Images by id, in memory, the newest within a bound of bytes and of number."""

    def __init__(self, max_bytes: int = MAX_IMAGES_BYTES, max_images: int = MAX_IMAGES) -> None:
        self.max_bytes = max_bytes
        self.max_images = max_images
        self.bytes = 0
        self._images: OrderedDict[str, EncodedImage] = OrderedDict()

    def put(self, image: EncodedImage, image_id: str | None = None) -> str:
        """Keep an image, under an id of the caller's or a new one, and return the id."""
        image_id = image_id or new_id()
        self.discard(image_id)
        self._images[image_id] = image
        self.bytes += len(image.data)
        while (self.bytes > self.max_bytes or len(self._images) > self.max_images) and len(self._images) > 1:
            self.discard(next(iter(self._images)))
        return image_id

    def get(self, image_id: str) -> EncodedImage | None:
        """Return an image, or None if it is not kept (any more)."""
        return self._images.get(image_id)

    def discard(self, image_id: str) -> None:
        """Forget an image."""
        image = self._images.pop(image_id, None)
        if image is not None:
            self.bytes -= len(image.data)
