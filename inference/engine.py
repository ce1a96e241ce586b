"""The interface between the scheduler and whatever paints.

An engine is one loaded model. This module knows no transport, no library and no thread. Its one
rule: all calls of all engines' `prepare`, `begin`, `step`, `preview`, `finish` and `close` come from
one thread, the engines' own, and `step` gets the runs of several callers at once.

The determinism contract: a picture is a pure function of its timeline and its time. The same
picture painted again is the same byte for byte if each of its steps ran in a batch of the same
bucket, whoever shared it and wherever in it it stood; in another bucket it may differ by rounding.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


Pixels = NDArray[np.uint8]
"""``(H, W, 3)`` uint8, RGB, C-contiguous."""

# A timeline whose targets change faster than their transitions end keeps this many; older ones
# have faded to almost nothing by then.
MAX_KEYFRAMES = 6


class EngineError(Exception):
    """Anything that an engine raises on purpose."""


class RejectedError(EngineError):
    """A request that this engine cannot follow, whatever the moment.

    Attributes:
        field: The offending field as `protos/psyche_inference_v1.proto` writes it,
            such as ``settings.width``.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class PaintingFailedError(EngineError):
    """The engine could not paint a picture that it had accepted."""


class OutOfMemoryError(EngineError):
    """The device has not enough memory for this step or this model.

    Raised by `Engine.step` before anything of its runs has changed: they may be tried again in a
    smaller batch.
    """


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """What to paint, checked and complete: no field is open any more."""

    prompt: str  # for a neural network the whole of it: context, templates and style included
    negative_prompt: str = ""
    model: str = ""
    style: str = ""  # empty: none
    width: int = 512  # pixels
    height: int = 512  # pixels
    steps: int = 1  # 1 to 100
    guidance_scale: float = 0.0  # 0 to 20
    seed: int = 0  # 0 to 2^31 - 1
    source: Pixels | None = field(default=None, compare=False)  # of any size; the engine fits it
    mask: Pixels | None = field(default=None, compare=False)  # white is painted, of any size
    strength: float = 0.6  # of the source's repainting, above 0 to 1
    is_live: bool = False  # a frame among many: speed counts more than the last bit of quality


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A target of a timeline: what is painted once the change to it is over."""

    request: PictureRequest
    at_s: float  # when the change begins, seconds of the timeline
    transition_s: float  # how long it takes, seconds; 0 is a cut
    revision: int = 0  # the caller's own number of this target


@dataclass(frozen=True, slots=True)
class Timeline:
    """Targets in the order in which they came; a picture is a pure function of this and a time."""

    keyframes: tuple[Keyframe, ...]

    @classmethod
    def still(cls, request: PictureRequest) -> Timeline:
        """Make the timeline of a picture that does not change its target."""
        return cls((Keyframe(request, 0.0, 0.0),))

    def then(self, keyframe: Keyframe) -> Timeline:
        """Add a target and forget those that it will have covered wholly when it begins."""
        kept = tuple(
            covered
            for index, covered in enumerate(self.keyframes)
            if not any(
                later.at_s + later.transition_s <= keyframe.at_s for later in self.keyframes[index + 1 :]
            )
        )
        return replace(self, keyframes=(*kept, keyframe)[-MAX_KEYFRAMES:])

    def targets(self, time_s: float) -> tuple[tuple[PictureRequest, float], ...]:
        """Tell what is painted at a time.

        Returns:
            Requests with their shares, oldest first; every share is above 0 and they sum to 1.
        """
        shares: list[tuple[PictureRequest, float]] = []
        for index, keyframe in enumerate(self.keyframes):
            share = 1.0 if index == 0 else _ease(time_s - keyframe.at_s, keyframe.transition_s)
            if share <= 0.0:
                continue
            shares = [(request, held * (1.0 - share)) for request, held in shares if share < 1.0]
            shares.append((keyframe.request, share))
        return tuple(shares)

    def current(self, time_s: float) -> Keyframe:
        """Return the newest target whose change has begun; before the first one, that one."""
        begun = [keyframe for keyframe in self.keyframes[1:] if keyframe.at_s <= time_s]
        return begun[-1] if begun else self.keyframes[0]


def _ease(elapsed_s: float, duration_s: float) -> float:
    """Return how far a change is, 0 to 1, slow at both ends (smoothstep)."""
    if elapsed_s < 0.0:
        return 0.0
    if elapsed_s >= duration_s:
        return 1.0
    part = elapsed_s / duration_s
    return part * part * (3.0 - 2.0 * part)


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What `GetImageModels` tells of a model; the fields mean what `ModelInfo` says."""

    name: str
    description: str
    engine: str
    is_neural: bool
    default_width: int = 512
    default_height: int = 512
    default_steps: int = 1
    default_guidance_scale: float = 0.0
    min_size: int = 64
    max_size: int = 4096
    max_steps: int = 100
    uses_negative_prompt: bool = True
    uses_guidance: bool = False
    paints_from_source: bool = True
    paints_from_mask: bool = False
    prompt_template: str = "{prompt}"  # what this model needs around every prompt
    license: str = ""


class Run(Protocol):
    """One picture while it is painted. Made by `Engine.begin`; dropping it cancels it."""

    @property
    def step(self) -> int:
        """Steps done, 0 to `total_steps`."""

    @property
    def total_steps(self) -> int:
        """Steps that the picture takes, 1 or more."""

    @property
    def stage_s(self) -> Mapping[str, float]:
        """Seconds spent so far by stage ("text", "source", "denoise", "decode", ...); this run's share."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What `begin` found could not be used, one sentence each, such as words beyond a limit."""


class Engine(Protocol):
    """One loaded model. `check`, `batch_key`, `rows` and the attributes are safe to use from any thread."""

    buckets: tuple[int, ...]
    """How many rows one step may carry, ascending: a step of fewer is padded to the next of them."""

    @property
    def model(self) -> ModelDescription:
        """What this engine paints with."""

    @property
    def device(self) -> str:
        """Where the pictures are painted: "cpu", "cuda:0", ..."""

    @property
    def dtype(self) -> str:
        """In which precision: "float32", "bfloat16", ...; empty where it means nothing."""

    @property
    def size_bytes(self) -> int:
        """The memory that the model takes while it is loaded; 0: next to none."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Counters for the metrics, each a name and a number that only grows, such as "text_cache_hits"."""

    def prepare(self) -> Iterator[str]:
        """Make a loaded model ready to paint, piece by piece: the copy to the device, warming up.

        Each `next` does one piece, so that other models' steps can run between two; what it yields is a
        word for the log. Paints nothing that anybody sees.

        Raises:
            OutOfMemoryError: If the device is too small.
        """

    def close(self) -> None:
        """Give the device's memory back. No run of this engine is used after this."""

    def check(self, request: PictureRequest) -> tuple[str, ...]:
        """Check what only this engine can judge. Quick.

        Returns:
            Warnings: what is asked for and will not be used, one sentence each.

        Raises:
            RejectedError: If it cannot be painted.
        """

    def batch_key(self, request: PictureRequest) -> Hashable:
        """Return what runs must have in common to share a step, such as the size."""

    def rows(self, request: PictureRequest) -> int:
        """Return how many rows of a step its picture takes: 1, or 2 where it is guided."""

    def begin(self, timeline: Timeline, time_s: float) -> Run:
        """Prepare the picture of a timeline at a time, without painting yet.

        The requests of a timeline are all of this engine's model.
        """

    def step(self, runs: Sequence[Run], bucket: int) -> None:
        """Advance each of the runs by one step, all in one call.

        Args:
            runs: Unfinished runs of one `batch_key`, each once; their rows fit into the bucket, or it is one
                run, whose rows then go one after the other. They may differ in everything else: prompt,
                seed, steps done and to do, source, strength.
            bucket: One of `buckets`.

        Raises:
            OutOfMemoryError: If memory ran out; the runs are as they were.
            PaintingFailedError: If it failed; all its runs are lost then.
        """

    def preview(self, run: Run) -> Pixels:
        """Return a small picture (at most 256 pixels a side) of a run as it stands."""

    def finish(self, run: Run) -> Pixels:
        """Return the whole picture of a run that has done all its steps."""
