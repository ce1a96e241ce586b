"""`torch.cuda` as far as graphs need it, on a CPU: what is recorded is run again at every replay.

Imported after `pytest.importorskip("torch")` only.

It does what is easily got wrong. A replay reads and writes the very tensors of the recording, whatever its
caller does with them. What is recorded is not run. Only kernels of the stream's own device are recorded.
Where a recording cannot be ended, its pool stays open and the thread stays on its stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(eq=False)
class FakeStream:
    """Where work is queued; on this machine it is done at once."""

    device: str
    waited_for: list[FakeStream] = field(default_factory=list)

    def wait_stream(self, other: FakeStream) -> None:
        self.waited_for.append(other)


class _Tape(TorchDispatchMode):  # type: ignore[misc]  # torch is never followed
    """Notes every operation with what it reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        made = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, made))
        return made


class FakeGraph:
    """One recording."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.is_reset = False

    def forget_results(self) -> None:
        """Leave in memory what was there before: a recorded kernel has not been run."""
        for _, args, kwargs, made in self.calls:
            read = {_place(tensor) for tensor in tree_leaves((args, kwargs)) if torch.is_tensor(tensor)}
            for tensor in tree_leaves(made):
                if torch.is_tensor(tensor) and _place(tensor) not in read:
                    tensor.fill_(torch.nan if tensor.is_floating_point() else 0)

    def replay(self) -> None:
        self.cuda.replays += 1
        for func, args, kwargs, made in self.calls:
            fresh = func(*args, **kwargs)
            for kept, new in zip(tree_leaves(made), tree_leaves(fresh), strict=True):
                if torch.is_tensor(kept) and _place(kept) != _place(new):
                    kept.copy_(new)

    def reset(self) -> None:
        self.is_reset = True
        self.calls.clear()


class _Recording:
    """The context of a recording, as torch's: `__exit__` restores nothing where the end fails."""

    def __init__(self, cuda: FakeCuda, graph: FakeGraph, pool: object, stream: FakeStream) -> None:
        self.cuda, self.graph, self.pool, self.stream = cuda, graph, pool, stream
        self.tape = _Tape()

    def __enter__(self) -> None:
        if id(self.pool) in self.cuda.open_pools:
            raise RuntimeError("beginAllocateToPool: already recording to mempool_id")
        self.before = self.cuda.current_stream()
        self.cuda.set_stream(self.stream)
        self.cuda.open_pools.add(id(self.pool))
        self.tape.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.tape.__exit__(*error)
        if self.cuda.cannot_end:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
        self.cuda.open_pools.discard(id(self.pool))
        if self.stream.device == self.cuda.kernels_on:
            self.graph.calls = self.tape.calls
            self.graph.forget_results()
        self.cuda.set_stream(self.before)


class FakeCuda:
    """A machine with two cards.

    Args:
        kernels_on: Where the network's tensors are, and so its kernels.
    """

    def __init__(self, kernels_on: str = "cuda:0") -> None:
        self.kernels_on = kernels_on
        self.current = "cuda:0"
        self.streams = {name: FakeStream(name) for name in ("cuda:0", "cuda:1")}
        self.open_pools: set[int] = set()
        self.pools: list[object] = []
        self.replays = 0
        self.cannot_end = False

    @contextmanager
    def stream(self, stream: FakeStream) -> Iterator[None]:
        before = self.current_stream(), self.streams[stream.device]
        self.set_stream(stream)
        try:
            yield
        finally:
            self.set_stream(before[1])
            self.set_stream(before[0])

    def set_stream(self, stream: FakeStream) -> None:
        self.current = stream.device
        self.streams[stream.device] = stream

    def current_stream(self, device: str | None = None) -> FakeStream:
        return self.streams[device or self.current]

    def Stream(self, device: str | None = None) -> FakeStream:
        return FakeStream(device or self.current)

    def CUDAGraph(self) -> FakeGraph:
        return FakeGraph(self)

    def graph_pool_handle(self) -> object:
        self.pools.append(object())
        return self.pools[-1]

    def graph(
        self, graph: FakeGraph, pool: object, stream: FakeStream, capture_error_mode: str
    ) -> _Recording:
        assert capture_error_mode == "thread_local"
        return _Recording(self, graph, pool, stream)


def _place(tensor: Any) -> int:
    return int(tensor.untyped_storage().data_ptr())
