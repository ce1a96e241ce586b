"""What is painted, and how an engine alone paints it, batch after batch. Call it in the engines' thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inference.encode import encode
from inference.engine import Engine, PictureRequest, Pixels, Timeline


# As many as there are canvases, of usual lengths.
PROMPTS = (
    "a calm sea at sunset with drifting clouds",
    "aurora over snowy mountains at night, stars",
    "a misty forest at dawn",
    "a neon city at night in the rain",
    "a purple nebula in space with planets",
    "a meadow of red flowers at noon",
    "desert dunes in golden light",
    "a starry night sky with drifting clouds",
    "an abstract composition of blue and gold",
    "a cozy cabin in the woods, snow",
    "waves breaking on black rocks under a storm",
    "an old lighthouse in the fog, long exposure",
    "a field of lavender in the evening sun",
    "a frozen lake between pine trees, full moon",
    "a quiet harbour with fishing boats at first light",
    "rolling green hills after the rain, a rainbow",
)
# A painter without a network bakes a scene and shows its moments; they are this far apart.
_MOMENT_S = 1.0 / 30.0
# Fewer batches say nothing about their spread.
_LEAST_BATCHES = 3


@dataclass(frozen=True, slots=True)
class Length:
    """How long a measurement is: by the clock, or by what is painted."""

    seconds: float
    pictures: int | None = None

    def allows(self, pictures: int) -> bool:
        """Whether so many pictures at once are not more than the whole measurement may have."""
        return self.pictures is None or pictures <= self.pictures


@dataclass(frozen=True)
class Subject:
    """Live pictures of many callers, each its own prompt; every picture is a new one."""

    engine: Engine
    size: int  # pixels a side
    steps: int

    def request(self, caller: int, index: int) -> PictureRequest:
        """Return a caller's picture of a number."""
        model = self.engine.model
        # A network paints a new picture of new noise. The painter without one bakes each seed's scene.
        seed = (caller * 100_003 + index) % 2**31 if model.is_neural else caller
        return PictureRequest(
            PROMPTS[caller % len(PROMPTS)],
            model=model.name,
            width=self.size,
            height=self.size,
            steps=self.steps,
            seed=seed,
            is_live=True,
        )

    def moment(self, caller: int, index: int) -> tuple[Timeline, float]:
        """Return the timeline and the time of a caller's picture of a number."""
        return Timeline.still(self.request(caller, index)), index * _MOMENT_S


@dataclass(frozen=True, slots=True)
class Batch:
    """What one batch took."""

    seconds: float
    stage_s: dict[str, float]  # of all its pictures together
    pixels: tuple[Pixels, ...]


def paint(engine: Engine, moments: Sequence[tuple[Timeline, float]], bucket: int) -> Batch:
    """Paint pictures of equal size and steps together, from their beginning to their pixels."""
    started_at = time.perf_counter()
    runs = [engine.begin(timeline, time_s) for timeline, time_s in moments]
    while runs[0].step < runs[0].total_steps:
        engine.step(runs, bucket)
    pixels = tuple(engine.finish(run) for run in runs)
    seconds = time.perf_counter() - started_at
    stage_s: dict[str, float] = {}
    for run in runs:
        for stage, spent_s in run.stage_s.items():
            stage_s[stage] = stage_s.get(stage, 0.0) + spent_s
    return Batch(seconds, stage_s, pixels)


def batches(subject: Subject, bucket: int, length: Length) -> list[Batch]:
    """Paint full batches of a bucket, after one that is not measured.

    Raises:
        OutOfMemoryError: If the device is too small for it.
    """
    moments = _moments(subject, bucket)
    paint(subject.engine, next(moments), bucket)
    return [
        replace(paint(subject.engine, next(moments), bucket), pixels=())
        for _ in _until(length, bucket, _LEAST_BATCHES)
    ]


def one_by_one(subject: Subject, length: Length) -> float:
    """Paint one picture after the other, of every caller in turn; return pictures per second."""

    def work(index: int) -> None:
        paint(subject.engine, [subject.moment(index % len(PROMPTS), index)], subject.engine.buckets[0])

    return rate_of(work, length)


def rate_of(work: Callable[[int], object], length: Length) -> float:
    """Do some work again and again, each time with the next number; return how often in a second."""
    started_at = time.perf_counter()
    done = 0
    for index in _until(length, 1, 1):
        work(index)
        done += 1
    return done / (time.perf_counter() - started_at)


def stages(painted: Sequence[Batch]) -> dict[str, float]:
    """Return the stages of batches, seconds of a whole batch, means; "rest" is what no stage has told."""
    total: dict[str, float] = {}
    for batch in painted:
        rest_s = max(0.0, batch.seconds - sum(batch.stage_s.values()))
        for stage, seconds in (*batch.stage_s.items(), ("rest", rest_s)):
            total[stage] = total.get(stage, 0.0) + seconds
    return {stage: seconds / len(painted) for stage, seconds in total.items()}


def rare_stages(subject: Subject, tries: int) -> dict[str, float]:
    """Measure what a live picture has only at times; seconds of one picture, the least of a few tries.

    Returns:
        "text" of a prompt never seen, "source" of a picture never seen, "decode, full" of a still, as far
        as the engine tells them, and "JPEG", which is made outside of the engines' thread.
    """
    least: dict[str, float] = {}

    def note(stage: str, seconds: float | None) -> None:
        if seconds is not None:
            least[stage] = min(seconds, least.get(stage, seconds))

    noise = np.random.default_rng(0)
    for index in range(tries):
        request = subject.request(0, index)
        source = noise.integers(0, 256, (subject.size, subject.size, 3), np.uint8)
        fresh = replace(request, prompt=f"{request.prompt}, variation {index}", source=source)
        told = _still(subject, fresh)
        note("text", told.stage_s.get("text"))
        note("source", told.stage_s.get("source"))
        if subject.engine.model.is_neural:
            note("decode, full", _still(subject, replace(request, is_live=False)).stage_s.get("decode"))
        started_at = time.perf_counter()
        encode(told.pixels[0], "jpeg", 85)
        note("JPEG", time.perf_counter() - started_at)
    return least


def _still(subject: Subject, request: PictureRequest) -> Batch:
    engine = subject.engine
    return paint(engine, [(Timeline.still(request), 0.0)], engine.buckets[0])


def _moments(subject: Subject, bucket: int) -> Iterator[list[tuple[Timeline, float]]]:
    index = 0
    while True:
        yield [subject.moment(caller, index) for caller in range(bucket)]
        index += 1


def _until(length: Length, each: int, least: int) -> Iterator[int]:
    """Count until a measurement is over."""
    started_at = time.perf_counter()
    index = 0
    while (
        index < max(1, length.pictures // each)
        if length.pictures is not None
        else index < least or time.perf_counter() - started_at < length.seconds
    ):
        yield index
        index += 1
