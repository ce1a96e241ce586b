"""Tiny neural engines for tests: the real loop over networks with random weights, in float32 on the CPU.

Imported after `pytest.importorskip("torch")` only.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import torch

from inference.engine import ModelDescription, PictureRequest, Pixels, Timeline
from inference.turbo.components import Components
from inference.turbo.device import Device
from inference.turbo.engine import TurboEngine
from inference.turbo.graphs import Recorder
from inference.turbo.random_weights import build_tiny
from inference.turbo.run import TurboRun


# Two cores shared with whatever else is tested: more threads only wait for each other.
torch.set_num_threads(1)

CPU = Device("cpu", "cpu", "CPU", torch.float32, 0)


@cache
def tiny(family: str = "sdxl", autoencoder: str = "tiny", prediction_type: str = "epsilon") -> Components:
    """Build a pipeline once for all tests; none of them changes it."""
    with warnings.catch_warnings():
        # diffusers' schedulers convert tensors by `numpy.array`.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        return build_tiny(
            family,  # type: ignore[arg-type]  # a literal in every call
            autoencoder=autoencoder,  # type: ignore[arg-type]  # likewise
            prediction_type=prediction_type,
        )


def describe(*, uses_guidance: bool = False, **changes: Any) -> ModelDescription:
    """Describe the tiny model."""
    told: dict[str, Any] = {
        "name": "tiny",
        "description": "Random weights",
        "engine": "turbo",
        "is_neural": True,
        "default_width": 64,
        "default_height": 64,
        "max_size": 512,
        "uses_guidance": uses_guidance,
        "uses_negative_prompt": uses_guidance,
        "paints_from_mask": True,
    }
    return ModelDescription(**(told | changes))


def make_engine(
    components: Components | None = None,
    *,
    uses_guidance: bool = False,
    recorder: Recorder | None = None,
    device: Device = CPU,
) -> TurboEngine:
    """Make an engine that is ready to paint."""
    model = describe(uses_guidance=uses_guidance)
    return TurboEngine(model, components or tiny(), device, recorder=recorder)


def ask(prompt: str = "a cabin in the woods", **changes: Any) -> PictureRequest:
    """Ask for a small still."""
    asked: dict[str, Any] = {"width": 64, "height": 64, "strength": 1.0}
    return PictureRequest(prompt, **(asked | changes))


def picture(seed: int = 0, width: int = 64, height: int = 64) -> Pixels:
    """Return a smooth source, of waves."""
    rows, columns = np.mgrid[0:height, 0:width] / 64.0
    waves = [np.sin(6.0 * (rows * (1 + channel) + columns * (seed + 1))) for channel in range(3)]
    return np.ascontiguousarray((np.stack(waves, axis=-1) * 120 + 128).astype(np.uint8))


def half_mask(width: int = 64, height: int = 64) -> Pixels:
    """Return a mask that paints the right half."""
    mask = np.zeros((height, width, 3), np.uint8)
    mask[:, width // 2 :] = 255
    return mask


def paint_all(engine: TurboEngine, runs: Iterable[TurboRun], bucket: int | None = None) -> list[TurboRun]:
    """Take steps with all unfinished runs together until none is left."""
    runs = list(runs)
    while unfinished := [run for run in runs if run.step < run.total_steps]:
        rows = sum(2 if run.negative is not None else 1 for run in unfinished)
        fitting = bucket or next(size for size in engine.buckets if size >= min(rows, engine.buckets[-1]))
        engine.step(unfinished, fitting)
    return runs


def paint(
    engine: TurboEngine, request: PictureRequest | Timeline, time_s: float = 0.0, bucket: int | None = None
) -> Pixels:
    """Paint one picture alone."""
    timeline = request if isinstance(request, Timeline) else Timeline.still(request)
    (run,) = paint_all(engine, [engine.begin(timeline, time_s)], bucket)
    return engine.finish(run)
