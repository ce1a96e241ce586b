"""The UNet's forward pass, eagerly or replayed, one recording per batch bucket and size.

Whatever fails here, or does not apply, is painted eagerly and told once in the log; no picture fails by it.
Recordings belong to one thread: all calls come from the engines' own.
"""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import structlog
import torch

from .cuda_graphs import CudaGraphs
from .forward import Forward, Inputs, Shape, UNet, run
from .memory import give_memory_back, is_out_of_memory


Acceleration = Literal["auto", "none", "graphs", "compile"]

# Five buckets at three sizes. Each recording keeps its inputs and its output; what lies between is shared.
MAX_RECORDINGS = 15

# A recording costs about three forward passes: only a shape that comes again is worth it.
_RECORD_AT_USE = 3

# When a shape that ran out of memory is tried again, seconds: what took the memory may be gone by then, and
# a try costs a live frame or two.
RETRY_AFTER_S = 300.0

# How often Dynamo compiles the UNet's code in one process, all models and shapes together: as often as it
# ever does. By itself it stops at 8.
_COMPILATIONS = 256

Record = Callable[[UNet, Inputs], tuple[Forward, torch.Tensor]]
"""Makes a forward pass for inputs of exactly these shapes; returns it with its output for these very ones."""


@dataclass(frozen=True, slots=True)
class _Recording:
    """What is known of a shape."""

    forward: Forward | None  # None: it could not be recorded
    retry_at: float = math.inf  # when it is tried again, seconds of the clock


class Recorder:
    """Runs the UNet.

    Args:
        unet: What is run.
        acceleration: "auto" is "graphs" on CUDA, else "none".
        kind: The device's: "cuda", "rocm", "mps", "cpu".
        device: Its name, "cuda:1"; where there are graphs.
        record: Makes the recordings; None: what the acceleration says. Tests give their own.
        clock: Seconds that never go backwards.
    """

    def __init__(
        self,
        unet: UNet,
        acceleration: Acceleration,
        kind: str,
        device: str = "cuda",
        *,
        record: Record | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._unet = unet
        self._kind = kind
        self._acceleration = _resolve(acceleration, kind)
        self._record = record or _recording(self._acceleration, kind, device)
        self._clock = clock
        self._recordings: OrderedDict[Shape, _Recording] = OrderedDict()
        self._uses: Counter[Shape] = Counter()

    @property
    def acceleration(self) -> str:
        """What is used where it works: "none", "graphs" or "compile"."""
        return self._acceleration

    @property
    def uses_to_record(self) -> int:
        """How often a shape must be run until it is recorded; 1 where nothing is recorded.

        A graph replays the very kernels that ran before it was recorded. Compiled ones round otherwise: a
        shape is compiled at once, lest the same request give other bytes the third time.
        """
        return _RECORD_AT_USE if self._record is not None and self._acceleration != "compile" else 1

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        """Run the UNet on a batch.

        Raises:
            RuntimeError: If the UNet itself fails, eagerly; `torch.OutOfMemoryError` is one.
        """
        shape = inputs.shape
        if self._record is None:
            return run(self._unet, inputs)
        known = self._recordings.get(shape)
        if known is not None and known.retry_at > self._clock():
            self._recordings.move_to_end(shape)
            return run(self._unet, inputs) if known.forward is None else known.forward(inputs)
        if known is None and not self._is_due(shape):
            return run(self._unet, inputs)
        return self._try_to_record(self._record, inputs)

    def close(self) -> None:
        """Give the recordings' memory back. What Dynamo has compiled is every model's, and stays."""
        self._recordings.clear()

    def _is_due(self, shape: Shape) -> bool:
        self._uses[shape] += 1
        if self._uses[shape] < self.uses_to_record:
            # Of shapes that never come often, and there are many, only the newest are remembered.
            if len(self._uses) > 4 * MAX_RECORDINGS:
                self._uses.clear()
            return False
        del self._uses[shape]
        return True

    def _try_to_record(self, record: Record, inputs: Inputs) -> torch.Tensor:
        shape = inputs.shape
        self._recordings.pop(shape, None)
        if len(self._recordings) == MAX_RECORDINGS:
            self._recordings.popitem(last=False)
        try:
            forward, output = record(self._unet, inputs)
        # Whatever a driver, a compiler or the recording of a foreign module may raise: only the fast way is
        # lost, and the log says so.
        except Exception as exc:  # noqa: BLE001
            _tell_fallback(self._acceleration, shape, exc)
            retry_at = self._clock() + RETRY_AFTER_S if is_out_of_memory(exc) else math.inf
            self._recordings[shape] = _Recording(None, retry_at)
        else:
            self._recordings[shape] = _Recording(forward)
            return output
        give_memory_back(self._kind)
        return run(self._unet, inputs)


def _recording(acceleration: str, kind: str, device: str) -> Record | None:
    if acceleration == "graphs":
        return CudaGraphs(device).record
    if acceleration == "compile":
        return _Compiler(kind).record
    return None


def _resolve(acceleration: Acceleration, kind: str) -> str:
    if acceleration == "auto":
        return "graphs" if kind == "cuda" else "none"
    if acceleration == "graphs" and kind not in ("cuda", "rocm"):
        structlog.get_logger("inference").warning(
            "acceleration_fallback", acceleration=acceleration, reason=f"there are no CUDA graphs on {kind}"
        )
        return "none"
    return acceleration


def _tell_fallback(acceleration: str, shape: Shape, exc: Exception) -> None:
    rows, height, width = shape
    # The first line says what happened; a compiler's message may be pages.
    reason = next(iter(str(exc).splitlines()), "") or type(exc).__name__
    if is_out_of_memory(exc):
        reason = "out of memory"
    structlog.get_logger("inference").warning(
        "acceleration_fallback",
        acceleration=acceleration,
        rows=rows,
        width=width * 8,
        height=height * 8,
        reason=reason[:300],
    )


class _Compiler:
    """Compiles the UNet, each shape for itself; at most `MAX_RECORDINGS`, as each takes a minute or so.

    Dynamo keeps what it has compiled by the code, which is the same for every UNet of the process: a second
    model of the same kind finds it, and none can give its part back. Beyond its limit Dynamo would run
    eagerly without a word (https://github.com/NVIDIA/TensorRT-LLM/issues/6142); here it is told.
    """

    def __init__(self, kind: str) -> None:
        # CUDA graph trees live in the thread that first ran them, which is the only one that comes here.
        self._mode = "reduce-overhead" if kind in ("cuda", "rocm") else "default"
        self._shapes: set[Shape] = set()

    def record(self, unet: UNet, inputs: Inputs) -> tuple[Forward, torch.Tensor]:
        """Compile one shape.

        Raises:
            RuntimeError: If there are too many.
        """
        # Loaded by whoever compiles alone: it takes seconds.
        import torch._dynamo as dynamo

        if len(self._shapes | {inputs.shape}) > MAX_RECORDINGS:
            raise RuntimeError(f"no more than {MAX_RECORDINGS} shapes of a model are compiled")
        self._shapes.add(inputs.shape)
        compiled: Any = torch.compile(unet, dynamic=False, mode=self._mode, recompile_limit=_COMPILATIONS)

        # Cloned: the next replay overwrites it.
        def forward(fresh: Inputs) -> torch.Tensor:
            return run(compiled, fresh).clone()

        # The compiler is at work in the first call.
        with dynamo.config.patch(fail_on_recompile_limit_hit=True):
            return forward, forward(inputs)
