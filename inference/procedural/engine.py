"""The procedural engine: the `Engine` interface over the painter.

It says what it is, a painter and not a neural network, and checks what only it can judge.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from inference.engine import (
    ModelDescription,
    OutOfMemoryError,
    PaintingFailedError,
    PictureRequest,
    Pixels,
    RejectedError,
    Run,
    Timeline,
)
from inference.styles import STYLES

from .compose import Composer, Targets, reveal
from .noise import digest


MODEL_NAME = "procedural"

_MIN_SIZE_PX = 64
_MAX_SIZE_PX = 4096
_MAX_STEPS = 100
_PREVIEW_SIZE_PX = 256
_NO_COUNTS: Mapping[str, int] = MappingProxyType({})

DESCRIPTION = ModelDescription(
    name=MODEL_NAME,
    description=(
        "A procedural painter, not a neural network: landscapes, cities, space and abstract "
        "fields from the words of the prompt (English and Russian). More steps paint finer; "
        "guidance_scale deepens the colours that the words name."
    ),
    engine="procedural",
    is_neural=False,
    min_size=_MIN_SIZE_PX,
    max_size=_MAX_SIZE_PX,
    max_steps=_MAX_STEPS,
    uses_negative_prompt=True,
    uses_guidance=True,
    paints_from_source=True,
    paints_from_mask=True,
)
"""What the painter is and what it can do."""

# A live scene takes 10 to 30 MiB at 800 x 800 and up to 215 MiB at 3840 x 2160, where a change between
# two prompts needs both at once: baking them anew for each frame would take seconds.
_CACHE_BYTES = 480 << 20


class ProceduralRun:
    """One picture while it is painted."""

    def __init__(self, targets: Targets, time_s: float, request: PictureRequest) -> None:
        self.targets = targets
        self.time_s = time_s
        self.width, self.height = request.width, request.height
        self.seed = digest("run", request.seed, request.prompt)
        self._step = 0
        self._total_steps = request.steps
        self.estimate: Pixels | None = None  # the small picture that previews come from
        self.painted: Pixels | None = None  # the whole picture, once all steps are done
        self.paint_s = 0.0

    @property
    def stage_s(self) -> Mapping[str, float]:
        """Seconds of painting; there is no other stage."""
        return {"paint": self.paint_s}

    @property
    def warnings(self) -> tuple[str, ...]:
        """None: the painter uses every word."""
        return ()

    @property
    def step(self) -> int:
        """Steps done."""
        return self._step

    @property
    def total_steps(self) -> int:
        """Steps that the picture takes."""
        return self._total_steps

    @property
    def progress(self) -> float:
        """How far the picture is, 0 to 1."""
        return self._step / self._total_steps

    @property
    def detail(self) -> int:
        """How finely the last step paints: 0 live, 1 from two steps on, 2 from four on."""
        return 0 if self._total_steps < 2 else 1 if self._total_steps < 4 else 2

    def advance(self) -> None:
        """Count one step."""
        self._step += 1


class ProceduralEngine:
    """Paints with NumPy, by the words of the prompt.

    Args:
        cache_bytes: What baked scenes may take in memory together.
    """

    # Pictures are painted one after the other whatever their number, and a step cannot be interrupted:
    # several in one would only keep the other callers waiting.
    buckets: tuple[int, ...] = (1,)

    def __init__(self, cache_bytes: int = _CACHE_BYTES) -> None:
        self._cache_bytes = cache_bytes
        self._composer = Composer(cache_bytes)

    @property
    def model(self) -> ModelDescription:
        """The painter."""
        return DESCRIPTION

    @property
    def device(self) -> str:
        """Always the processor."""
        return "cpu"

    @property
    def dtype(self) -> str:
        """None: a painter has no precision to choose."""
        return ""

    @property
    def size_bytes(self) -> int:
        """Next to none: scenes are baked when they are asked for."""
        return 0

    @property
    def counts(self) -> Mapping[str, int]:
        """None."""
        return _NO_COUNTS

    def prepare(self) -> Iterator[str]:
        """Do nothing: the painter is ready as it is."""
        return iter(())

    def close(self) -> None:
        """Forget the baked scenes."""
        self._composer = Composer(self._cache_bytes)

    def check(self, request: PictureRequest) -> tuple[str, ...]:
        """Check model, style, size, steps, strength and mask; the painter uses everything else.

        Raises:
            RejectedError: If it cannot be painted.
        """
        if request.model not in ("", MODEL_NAME):
            raise RejectedError("model", f"model must be {MODEL_NAME} here, got {request.model!r}")
        if request.style and request.style not in STYLES:
            raise RejectedError(
                "settings.style", f"unknown style {request.style!r}; accepted: {', '.join(STYLES)}"
            )
        for side, value in (("width", request.width), ("height", request.height)):
            if not _MIN_SIZE_PX <= value <= _MAX_SIZE_PX or value % 8:
                raise RejectedError(
                    f"settings.{side}",
                    f"{side} of {value} pixels; "
                    f"accepted: multiples of 8 from {_MIN_SIZE_PX} to {_MAX_SIZE_PX}",
                )
        if not 1 <= request.steps <= _MAX_STEPS:
            raise RejectedError("settings.steps", f"{request.steps} steps; accepted: 1 to {_MAX_STEPS}")
        if request.source is not None and not 0.0 < request.strength <= 1.0:
            raise RejectedError(
                "settings.strength", f"strength of {request.strength:g}; accepted: above 0 to 1"
            )
        if request.mask is not None and request.source is None:
            raise RejectedError("mask", "a mask needs a source to keep parts of")
        return ()

    def batch_key(self, request: PictureRequest) -> tuple[int, int]:
        """Return the size: what a step takes depends on it."""
        return request.width, request.height

    def rows(self, request: PictureRequest) -> int:
        """Return 1: guidance is a matter of colours here."""
        return 1

    def begin(self, timeline: Timeline, time_s: float) -> ProceduralRun:
        """Prepare a picture; nothing is painted yet."""
        return ProceduralRun(timeline.targets(time_s), time_s, timeline.current(time_s).request)

    def step(self, runs: Sequence[Run], bucket: int) -> None:
        """Advance each run by one step; the last step paints the whole picture.

        Raises:
            OutOfMemoryError: If there is not enough memory to paint one of them.
        """
        for run in runs:
            own = _own(run)
            begun_at = time.perf_counter()
            try:
                self._advance(own)
            except MemoryError as exc:
                raise OutOfMemoryError("there is not enough memory to paint this picture") from exc
            finally:
                own.paint_s += time.perf_counter() - begun_at

    def preview(self, run: Run) -> Pixels:
        """Return the run as it stands, at most 256 pixels a side."""
        own = _own(run)
        return reveal(self._estimate(own), own.progress, own.seed)

    def finish(self, run: Run) -> Pixels:
        """Return the whole picture of a run that has done all its steps."""
        own = _own(run)
        if own.painted is None:
            raise PaintingFailedError(f"step {own.step} of {own.total_steps} is not the last one")
        return own.painted

    def _advance(self, run: ProceduralRun) -> None:
        assert run.step < run.total_steps
        if run.step + 1 == run.total_steps:
            run.painted = self._composer.paint(run.targets, run.time_s, run.width, run.height, run.detail)
        else:
            self._estimate(run)
        # Last: a step that memory was too small for has not been done.
        run.advance()

    def _estimate(self, run: ProceduralRun) -> Pixels:
        if run.estimate is None:
            scale = min(1.0, _PREVIEW_SIZE_PX / max(run.width, run.height))
            width, height = max(8, round(run.width * scale)), max(8, round(run.height * scale))
            run.estimate = self._composer.paint(run.targets, run.time_s, width, height, 0)
        return run.estimate


def _own(run: Run) -> ProceduralRun:
    assert isinstance(run, ProceduralRun)
    return run
