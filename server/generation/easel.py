"""What a job works with: its canvas, its lane, the inference service and where results go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from server.generation.inference_client import InferenceClient
from server.generation.job import Job, Result
from server.generation.lane import Lane
from server.generation.picture import Picture, PictureOrder
from server.generation.store import ImageShelf
from server.streaming.canvas import Canvas
from server.streaming.clock import Clock
from server.streaming.frame import EncodedImage


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, in seconds."""

    picture_s: float = 600.0  # a finite picture, all its steps
    frame_s: float = 60.0  # one live frame; beyond, the stream is taken for dead
    load_s: float = 1800.0  # how long a model that is being loaded (or fetched) is waited for
    retry_s: float = 600.0  # how long a finite job waits for an inference service that is away


@dataclass(eq=False, slots=True)
class Easel:
    """Everything that the jobs of one lane share."""

    lane: Lane
    client: InferenceClient
    results: ImageShelf
    uploads: ImageShelf
    media_root: Path
    executor: Executor
    notify: Callable[[Job], None]  # a job has changed
    canvas: Canvas | None = None
    limits: Limits = field(default_factory=Limits)
    clock: Clock = time.monotonic
    is_inference_lost: bool = False  # the last call found the service away

    def set_inference_lost(self, is_lost: bool) -> None:
        """Note whether the inference service answers, and tell if that is new."""
        if is_lost != self.is_inference_lost:
            self.is_inference_lost = is_lost
            if self.lane.running:
                self.notify(self.lane.running)

    def complete(self, order: PictureOrder) -> PictureOrder:
        """Fill in from the canvas what the order leaves open."""
        if self.canvas is None:
            return order
        config = self.canvas.config
        return replace(
            order,
            width=order.width or config.width,
            height=order.height or config.height,
            format=order.format or config.format,
            quality=order.quality or config.quality,
        )

    def fps(self, job: Job) -> float:
        """Return how many frames per second to paint: the job's wish or the canvas's setting."""
        assert self.canvas is not None
        return job.fps or self.canvas.config.fps

    def show(self, job_id: str | None, picture: Picture, *, final: bool) -> None:
        """Publish a picture on the canvas, if there is one."""
        if self.canvas is None:
            return
        self.canvas.publish(
            EncodedImage(picture.image, picture.format, picture.width, picture.height),
            timestamp_ms=picture.finished_ms,
            job=job_id,
            final=final,
        )

    def keep(self, job: Job, picture: Picture) -> None:
        """Keep a picture as a result of a job."""
        image = EncodedImage(picture.image, picture.format, picture.width, picture.height)
        metadata: dict[str, Any] = asdict(picture.metadata)
        job.results.append(Result(self.results.put(image), image.format, image.width, image.height, metadata))
        job.warn(picture.metadata.warnings)

    async def until_due(self, due_s: float) -> None:
        """Wait for an instant of the clock.

        Cancellation:
            Loses nothing.
        """
        await asyncio.sleep(max(0.0, due_s - self.clock()))
