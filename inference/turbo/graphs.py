"""The UNet's forward pass, eagerly or replayed, one recording per batch bucket and size.

Whatever fails here, or does not apply, is painted eagerly and told once in the log; no picture fails by it.
Recordings belong to one thread: all calls come from the engines' own.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import structlog
import torch

from .memory import give_memory_back, is_out_of_memory


Acceleration = Literal["auto", "none", "graphs", "compile"]

# Five buckets at three sizes. Each recording keeps its inputs and its output; what lies between is shared.
MAX_RECORDINGS = 15

# A recording costs about four forward passes: only a shape that comes again is worth it.
_RECORD_AT_USE = 3

# How often the UNet runs before it is recorded, so that libraries choose their kernels and allocate their
# workspaces outside of the recording. That is what PyTorch's own notes on CUDA graphs do.
_WARM_UPS = 3

# Dynamo's limit of recompilations.
_MAX_COMPILED = 8


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the UNet is told about a batch, on its device and in its precision."""

    sample: torch.Tensor  # (B, 4, H/8, W/8)
    timesteps: torch.Tensor  # (B,), float32
    tokens: torch.Tensor  # (B, 77, C)
    pooled: torch.Tensor | None = None  # (B, P), SDXL only
    time_ids: torch.Tensor | None = None  # (B, 6), float32, SDXL only

    @property
    def shape(self) -> Shape:
        """What a recording is made for: rows, height and width of the latents."""
        rows, _, height, width = self.sample.shape
        return rows, height, width


Shape = tuple[int, int, int]

UNet = Callable[..., object]
"""A diffusers UNet2DConditionModel, or something that is called like it."""

Forward = Callable[[Inputs], torch.Tensor]
"""Returns the UNet's output, (B, 4, H/8, W/8); the caller may keep it."""

Record = Callable[[UNet, Inputs], Forward]
"""Makes a forward pass for inputs of exactly these shapes."""


class Recorder:
    """Runs the UNet.

    Args:
        unet: What is run.
        acceleration: "auto" is "graphs" on CUDA, else "none".
        kind: The device's: "cuda", "rocm", "mps", "cpu".
        record: Makes the recordings; None: what the acceleration says. Tests give their own.
    """

    def __init__(
        self, unet: UNet, acceleration: Acceleration, kind: str, *, record: Record | None = None
    ) -> None:
        self._unet = unet
        self._kind = kind
        self._acceleration = _resolve(acceleration, kind)
        self._record = record or _recording(self._acceleration, kind)
        # None: this shape could not be recorded.
        self._recordings: OrderedDict[Shape, Forward | None] = OrderedDict()
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
        if self._record is None or not self._has_recording(shape, self._record, inputs):
            return run(self._unet, inputs)
        recording = self._recordings[shape]
        return run(self._unet, inputs) if recording is None else recording(inputs)

    def close(self) -> None:
        """Give the recordings' memory back."""
        self._recordings.clear()

    def _has_recording(self, shape: Shape, record: Record, inputs: Inputs) -> bool:
        if shape in self._recordings:
            self._recordings.move_to_end(shape)
            return True
        self._uses[shape] += 1
        if self._uses[shape] < self.uses_to_record:
            # Of shapes that never come often, and there are many, only the newest are remembered.
            if len(self._uses) > 4 * MAX_RECORDINGS:
                self._uses.clear()
            return False
        del self._uses[shape]
        if len(self._recordings) == MAX_RECORDINGS:
            self._recordings.popitem(last=False)
        self._recordings[shape] = self._try_to_record(record, inputs)
        return True

    def _try_to_record(self, record: Record, inputs: Inputs) -> Forward | None:
        try:
            recording = record(self._unet, inputs)
            recording(inputs)
        # Whatever a driver, a compiler or the recording of a foreign module may raise: only the fast way is
        # lost, and the log says so.
        except Exception as exc:  # noqa: BLE001
            _tell_fallback(self._acceleration, inputs.shape, exc)
        else:
            return recording
        give_memory_back(self._kind)
        return None


def run(unet: UNet, inputs: Inputs) -> torch.Tensor:
    """Run a UNet eagerly."""
    added = None
    if inputs.pooled is not None:
        added = {"text_embeds": inputs.pooled, "time_ids": inputs.time_ids}
    output = unet(
        inputs.sample,
        inputs.timesteps,
        encoder_hidden_states=inputs.tokens,
        added_cond_kwargs=added,
        return_dict=False,
    )
    return cast("tuple[torch.Tensor]", output)[0]


def _recording(acceleration: str, kind: str) -> Record | None:
    if acceleration == "graphs":
        return _Graphs().record
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


class _Graphs:
    """Records CUDA graphs that share the memory of what lies between inputs and outputs."""

    def __init__(self) -> None:
        self._pool: object | None = None

    def record(self, unet: UNet, inputs: Inputs) -> Forward:
        """Record one graph.

        Sharing one pool is safe in any order of replays: nothing of a graph outlives its replay but
        its output, which stays referenced here and is cloned before the next one.
        """
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        static = Inputs(
            sample=inputs.sample.clone(),
            timesteps=inputs.timesteps.clone(),
            tokens=inputs.tokens.clone(),
            pooled=None if inputs.pooled is None else inputs.pooled.clone(),
            time_ids=None if inputs.time_ids is None else inputs.time_ids.clone(),
        )
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                run(unet, static)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Only this thread may not do what a recording forbids: others ask for free memory meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            output = run(unet, static)

        def replay(fresh: Inputs) -> torch.Tensor:
            for kept, new in zip(_tensors(static), _tensors(fresh), strict=True):
                kept.copy_(new)
            graph.replay()
            return output.clone()

        return replay


class _Compiler:
    """Compiles the UNet, each shape for itself.

    Beyond `_MAX_COMPILED` shapes Dynamo would run eagerly without a word
    (https://github.com/NVIDIA/TensorRT-LLM/issues/6142), and forgets none: here it is told.
    """

    def __init__(self, kind: str) -> None:
        # CUDA graph trees live in the thread that first ran them, which is the only one that comes here.
        self._mode = "reduce-overhead" if kind in ("cuda", "rocm") else "default"
        self._shapes: set[Shape] = set()

    def record(self, unet: UNet, inputs: Inputs) -> Forward:
        """Compile one shape.

        Raises:
            RuntimeError: If there are too many.
        """
        if len(self._shapes | {inputs.shape}) > _MAX_COMPILED:
            raise RuntimeError(f"no more than {_MAX_COMPILED} shapes can be compiled")
        self._shapes.add(inputs.shape)
        compiled = torch.compile(unet, dynamic=False, mode=self._mode)
        # Cloned: the next replay overwrites it.
        return lambda fresh: run(compiled, fresh).clone()


def _tensors(inputs: Inputs) -> list[torch.Tensor]:
    found = (inputs.sample, inputs.timesteps, inputs.tokens, inputs.pooled, inputs.time_ids)
    return [tensor for tensor in found if tensor is not None]
