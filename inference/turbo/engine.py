"""The neural engine: the `Engine` interface over a diffusers pipeline that was taken apart.

It says what a request cannot have, begins runs, takes their steps together and turns what they end in
into pixels. The determinism contract of `inference.engine` is kept by doing whatever depends on a
batch's shape (the UNet, the tiny autoencoder) at the tick's bucket and everything else row by row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
import torch

from inference.engine import (
    ModelDescription,
    OutOfMemoryError,
    PaintingFailedError,
    PictureRequest,
    Pixels,
    Run,
    Timeline,
)
from inference.errors import ModelLoadError

from .accepting import check, is_guided
from .autoencoder import Autoencoder
from .components import Components
from .denoise import Denoiser
from .device import Device
from .finishing import OVERFLOW, decode_finished
from .graphs import Acceleration, Recorder
from .memory import engine_errors, give_memory_back
from .moving import move, pieces
from .run import Beginner, TurboRun
from .schedule import Schedules
from .sources import Sources
from .text import TextEncoder


@dataclass(slots=True)
class _Parts:
    """Everything that holds memory; forgotten as one when the engine is closed."""

    components: Components
    text: TextEncoder
    autoencoder: Autoencoder
    sources: Sources
    recorder: Recorder
    beginner: Beginner
    denoiser: Denoiser


class TurboEngine:
    """One loaded SDXL or Stable Diffusion model.

    Args:
        model: What is told of it.
        components: The pipeline's, still on the CPU; `prepare` takes them to the device.
        device: Where it paints.
        acceleration: See `Recorder`.
        recorder: What runs the UNet instead. Tests give their own.
        clock: What stages are timed by, seconds. An accelerator is given its work and goes on by itself:
            "text", "noise" and "source" tell how long it took to give it, and what it does then is part of
            "denoise", which waits for it as "decode" does. A clock that waits for the device tells them
            apart.

    Raises:
        ModelLoadError: If the UNet or the scheduler is of a kind that this loop cannot follow.
    """

    def __init__(
        self,
        model: ModelDescription,
        components: Components,
        device: Device,
        *,
        acceleration: Acceleration = "none",
        recorder: Recorder | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._model = model
        self._clock = clock
        self._device = device
        self._scale = components.scale
        self._size_bytes = components.size_bytes
        self._counts: dict[str, int] = {}
        self.buckets: tuple[int, ...] = tuple(device.buckets)
        self._loaded: _Parts | None = self._assemble(
            components, recorder or Recorder(components.unet, acceleration, device.kind, device.name)
        )

    def _assemble(self, components: Components, recorder: Recorder) -> _Parts:
        channels = components.unet.config.in_channels
        if channels != 4:
            raise ModelLoadError(
                self._model.name, f"its UNet takes {channels} channels, accepted are those that take 4"
            )
        try:
            schedules = Schedules(components.scheduler_config)
        except ValueError as exc:
            raise ModelLoadError(self._model.name, str(exc)) from exc
        where, dtype = self._device.name, self._device.dtype
        text = TextEncoder(components, where)
        autoencoder = Autoencoder(components, where)
        sources = Sources(autoencoder, device=where, scale=self._scale)
        beginner = Beginner(
            text,
            autoencoder,
            sources,
            schedules,
            device=where,
            scale=self._scale,
            model=self._model,
            clock=self._clock,
        )
        denoiser = Denoiser(
            recorder, device=where, dtype=dtype, takes_size=components.family == "sdxl", scale=self._scale
        )
        return _Parts(components, text, autoencoder, sources, recorder, beginner, denoiser)

    @property
    def _parts(self) -> _Parts:
        if self._loaded is None:
            raise PaintingFailedError(f"model {self._model.name} has been unloaded")
        return self._loaded

    @property
    def model(self) -> ModelDescription:
        """What this engine paints with."""
        return self._model

    @property
    def device(self) -> str:
        """Where it paints, as torch names it."""
        return self._device.name

    @property
    def dtype(self) -> str:
        """In which precision, as torch names it."""
        return str(self._device.dtype).removeprefix("torch.")

    @property
    def size_bytes(self) -> int:
        """What the weights take."""
        return self._size_bytes

    @property
    def upscaler(self) -> Any:
        """What makes its pictures larger, an `upscaler.Upscaler`, or None where it has none."""
        return None if self._loaded is None else self._loaded.components.upscaler

    @property
    def counts(self) -> Mapping[str, int]:
        """How often prompts and sources were remembered, and how often not."""
        if (parts := self._loaded) is not None:
            self._counts = {
                "text_cache_hits": parts.text.hits,
                "text_cache_misses": parts.text.misses,
                "source_cache_hits": parts.autoencoder.hits + parts.sources.hits,
                "source_cache_misses": parts.autoencoder.misses,
            }
        return self._counts

    def prepare(self) -> Iterator[str]:
        """Copy the networks to the device, then run every bucket, each piece as small as it can be.

        No piece copies much more than `moving.MOST_BYTES` or runs the UNet more than once, but for those
        that record: torch wants one more run just before.

        Raises:
            OutOfMemoryError: If not even the smallest bucket has room.
        """
        for name, network in self._parts.components.parts():
            yield from self._copy(name, network)
        # On a CPU nothing is chosen or recorded at the first call, and a picture of the usual size may take
        # many seconds, a bucket of them a minute: one small one shows that everything works.
        recorder = self._parts.recorder
        is_quick = self._device.kind in ("cuda", "rocm") or recorder.acceleration != "none"
        timeline = Timeline.still(self._request_to_warm_up(is_usual=is_quick))
        self.begin(timeline, 0.0)
        yield "prompt"
        for bucket in self.buckets if is_quick else self.buckets[:1]:
            for left in reversed(range(recorder.uses_to_record)):
                try:
                    self.step([self.begin(timeline, 0.0)], bucket)
                except OutOfMemoryError:
                    if bucket == self.buckets[0]:
                        raise
                    self._limit_buckets(bucket)
                    return
                yield f"bucket {bucket}" + (f", {left} more" if left else "")

    def _copy(self, name: str, network: Any) -> Iterator[str]:
        groups = pieces(network)
        channels_last = self._device.kind == "cuda" and name == "unet"
        for number, group in enumerate(groups, start=1):
            with self._at_work(f"loading the {name} of {self._model.name}"):
                move(group, self._device.name, channels_last=channels_last)
            yield name if number == len(groups) else f"{name}, {number} of {len(groups)}"

    def _request_to_warm_up(self, *, is_usual: bool) -> PictureRequest:
        model = self._model
        return PictureRequest(
            prompt="",
            model=model.name,
            width=model.default_width if is_usual else model.min_size,
            height=model.default_height if is_usual else model.min_size,
            steps=1,
            is_live=True,
        )

    @contextmanager
    def _at_work(self, doing: str) -> Iterator[None]:
        """Work on the device and in the engine's errors; see `engine_errors`."""
        with self._device.as_current(), engine_errors(self._device.kind, doing):
            yield

    def _limit_buckets(self, bucket: int) -> None:
        self.buckets = tuple(smaller for smaller in self.buckets if smaller < bucket)
        structlog.get_logger("inference").warning(
            "buckets_limited", model=self._model.name, largest=self.buckets[-1], reason="out of memory"
        )

    def close(self) -> None:
        """Give the device's memory back; what is begun cannot be painted any more."""
        if self._loaded is None:
            return
        # The last counts outlive the parts.
        self._counts = dict(self.counts)
        self._loaded.recorder.close()
        self._loaded = None
        give_memory_back(self._device.kind)

    def check(self, request: PictureRequest) -> tuple[str, ...]:
        """Check what only this model can judge: sizes, steps, source and mask, guidance.

        Raises:
            RejectedError: If it cannot be painted.
        """
        return check(request, self._model, self._scale)

    def batch_key(self, request: PictureRequest) -> Hashable:
        """Return the size, the one thing that rows of a call must have in common."""
        return request.width, request.height

    def rows(self, request: PictureRequest) -> int:
        """Return 2 for a guided picture, else 1; always 1 on a device that takes one row at a time."""
        if self.buckets[-1] == 1:
            return 1
        return 2 if is_guided(request, self._model) else 1

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is never followed
    def begin(self, timeline: Timeline, time_s: float) -> TurboRun:
        """Encode what is not remembered and draw the first noise.

        Raises:
            OutOfMemoryError: If memory ran out.
            PaintingFailedError: If it failed.
        """
        with self._at_work("beginning a picture"):
            return self._parts.beginner.begin(timeline, time_s)

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is never followed
    def step(self, runs: Sequence[Run], bucket: int) -> None:
        """Take one step of each run; those whose last it is are decoded as well.

        A run whose numbers overflow counts as done, and `finish` raises for it alone. A bucket may be smaller
        than the rows of the runs, as 1 is for a guided picture: the UNet is called several times then.

        Raises:
            OutOfMemoryError: If memory ran out; the runs are as they were.
            PaintingFailedError: If it failed.
        """
        own = [_own(run) for run in runs]
        begun_at = self._clock()
        with self._at_work("painting"):
            stepped = self._parts.denoiser.step(own, bucket)
            denoised_s = self._clock() - begun_at
            decoded = decode_finished(self._parts.autoencoder, stepped, bucket, self._clock)
        # From here on nothing fails: a run has either taken its step wholly or not begun it.
        row_s = denoised_s / sum(run.rows for run in own)
        for made in stepped:
            run = made.run
            run.spend("denoise", row_s * run.rows)
            run.commit(made.latents, made.estimate)
            if not made.is_finite:
                run.failure = OVERFLOW
            elif (finished := decoded.get(id(run))) is not None:
                run.spend("decode", finished.seconds)
                run.pixels = finished.pixels
                run.failure = "" if finished.pixels is not None else OVERFLOW

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is never followed
    def preview(self, run: Run) -> Pixels:
        """Return the finished picture as the last step saw it, small.

        Raises:
            PaintingFailedError: If the run has failed, or has not taken a step.
            OutOfMemoryError: If memory ran out.
        """
        own = _own(run)
        if own.failure or own.estimate is None:
            raise PaintingFailedError(own.failure or "there is nothing to preview before the first step")
        begun_at = self._clock()
        with self._at_work("a preview"):
            pixels = self._parts.autoencoder.preview(own.estimate)
        own.spend("preview", self._clock() - begun_at)
        return pixels

    def finish(self, run: Run) -> Pixels:
        """Return the picture of a run that has done all its steps.

        Raises:
            PaintingFailedError: If it has failed or is not finished.
        """
        own = _own(run)
        if own.failure:
            raise PaintingFailedError(own.failure)
        if own.pixels is None:
            raise PaintingFailedError(f"step {own.step} of {own.total_steps} is not the last one")
        return own.pixels if own.kept is None else own.kept.area.put_back(own.pixels)


def _own(run: Run) -> TurboRun:
    assert isinstance(run, TurboRun)
    return run
