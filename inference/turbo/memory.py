"""What it looks like when torch has no more memory, and what is done then."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from inference.engine import OutOfMemoryError, PaintingFailedError


# How allocators say it that raise a plain RuntimeError: PyTorch's for the CPU, MPS, cuDNN and cuBLAS, oneDNN.
_PHRASES = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "alloc_failed",
    "could not create a memory object",
)


def is_out_of_memory(exc: BaseException) -> bool:
    """Tell whether an error means that a device or the machine has no more memory."""
    if isinstance(exc, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(exc, RuntimeError) and any(phrase in str(exc).lower() for phrase in _PHRASES)


def give_memory_back(kind: str) -> None:
    """Return what nobody holds any more to the device.

    Args:
        kind: Of the device: "cuda", "rocm", "mps", "cpu".
    """
    gc.collect()
    if kind in ("cuda", "rocm"):
        torch.cuda.empty_cache()
    elif kind == "mps":
        torch.mps.empty_cache()


@contextmanager
def engine_errors(kind: str, doing: str) -> Iterator[None]:
    """Raise what torch raises as an engine's errors.

    Args:
        kind: Of the device.
        doing: What is done, for the message: "painting".

    Raises:
        OutOfMemoryError: If there was too little memory; what nobody holds has been given back.
        PaintingFailedError: If anything else failed in torch.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as exc:
        if not is_out_of_memory(exc):
            raise PaintingFailedError(f"{doing} failed: {_first_line(exc)}") from exc
        # The tensors of the failed attempt hang on the frames that it has left.
        traceback.clear_frames(exc.__traceback__)
        give_memory_back(kind)
        raise OutOfMemoryError(f"the device has not enough memory for {doing}") from exc


def _first_line(exc: BaseException) -> str:
    return next(iter(str(exc).splitlines()), type(exc).__name__)[:300]
