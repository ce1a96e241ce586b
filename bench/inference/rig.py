"""What is measured: an engine with what is known about it, built as the options say.

Knows no torch: the neural engines are built by `networks`, which is imported only for them.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.errors import BenchError
from bench.inference.floors import Peak, Work
from bench.inference.options import Options
from inference.engine import Engine
from inference.procedural import ProceduralEngine


class PlainLoop(Protocol):
    """diffusers' own pipeline, called for one picture after the other."""

    def paint(self, index: int, *, keeps_text: bool) -> None:
        """Paint a picture.

        Args:
            index: Says which prompt and seed.
            keeps_text: Whether the prompt's embedding of an earlier call is passed in.
        """


@dataclass(frozen=True)
class Rig:
    """An engine and what its figures are read with."""

    engine: Engine
    words: str  # device, precision, versions, threads: one line
    facts: Mapping[str, Any] = field(default_factory=dict)  # the same for the JSON line
    works: Mapping[str, Work] = field(default_factory=dict)  # of a picture, by stage
    find_peak: Callable[[], Peak] | None = None  # called in the engines' thread
    make_plain_loop: Callable[[], PlainLoop] | None = None  # called in the engines' thread, after `prepare`
    peak_memory: Callable[[], int | None] = lambda: (
        None
    )  # bytes of the device taken at most since `find_peak`
    # Inside, an engine's stages wait for the device at their borders; None: they always do.
    exact_stages: Callable[[], AbstractContextManager[None]] | None = None


def build_rig(options: Options) -> Rig:
    """Build what is asked for; `Engine.prepare` is left to the engines' thread.

    Raises:
        BenchError: If it cannot be built here.
    """
    if options.engine == "procedural":
        return Rig(ProceduralEngine(), "NumPy on the CPU; device, precision and acceleration mean nothing")
    missing = [name for name in ("torch", "diffusers", "transformers") if not importlib.util.find_spec(name)]
    if missing:
        raise BenchError(
            f"--engine {options.engine} needs {', '.join(missing)}: install the extra 'diffusion' "
            "(make setup TORCH=1)"
        )
    # They tell of classes that are not used here, some at import already.
    for variable in ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY"):
        os.environ.setdefault(variable, "error")
    from bench.inference.networks import build_network_rig

    return build_network_rig(options)


def check_memory(engine: str, place: str, wanted_bytes: float, free_bytes: int | None) -> None:
    """Check that a model fits, before anything is built.

    Raises:
        BenchError: If it does not.
    """
    if free_bytes is not None and free_bytes < wanted_bytes:
        raise BenchError(
            f"--engine {engine} needs about {wanted_bytes / 1e9:.1f} GB of free memory on {place}; "
            f"{free_bytes / 1e9:.1f} GB are free"
        )
