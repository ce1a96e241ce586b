"""CUDA graphs of the UNet: the kernels of one call, launched as one.

A graph reads and writes the very memory that it was recorded with: what it is told is copied there, and
what it has made is copied out before the next replay. Belongs to the engines' thread.

Source:
    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

from typing import Any

import torch

from .forward import Forward, Inputs, UNet, run


class CudaGraphs:
    """Records graphs that share the memory of what lies between inputs and outputs.

    Args:
        device: Where the UNet is: a stream of another device, such as the thread's current one, would record
            nothing.
        cuda: `torch.cuda`; tests give their own.
    """

    def __init__(self, device: str, cuda: Any = torch.cuda) -> None:
        self._device = device
        self._cuda = cuda
        self._pool: Any = None
        self._stream: Any = None
        # Recordings that failed, emptied: where one could not be ended, the allocator still looks into it.
        self._broken: list[Any] = []

    def record(self, unet: UNet, inputs: Inputs) -> tuple[Forward, torch.Tensor]:
        """Record one graph, and replay it for what it is recorded with.

        Sharing one pool is safe in any order of replays: nothing of a graph outlives its replay but
        its output, which stays referenced here and is cloned before the next one.

        Returns:
            The replay, for inputs of exactly these shapes, and the output of the first one.

        Raises:
            RuntimeError: If it cannot be recorded, or what was recorded does nothing. The thread's stream
                is what it was.
        """
        static = Inputs(*(None if each is None else each.clone() for each in _fields(inputs)))
        graph, output = self._capture(unet, static)
        # Recorded on another device than the kernels ran on, a graph is empty, and only warned of.
        output.fill_(torch.nan)
        graph.replay()
        if bool(output.isnan().all()):
            raise RuntimeError("the recording paints nothing")

        def replay(fresh: Inputs) -> torch.Tensor:
            for kept, new in zip(static.tensors, fresh.tensors, strict=True):
                kept.copy_(new)
            graph.replay()
            return output.clone()

        return replay, output.clone()

    def _capture(self, unet: UNet, static: Inputs) -> tuple[Any, torch.Tensor]:
        cuda = self._cuda
        self._pool = self._pool or cuda.graph_pool_handle()
        # One for all, as they share a pool; torch's own default is of whichever device came first.
        self._stream = self._stream or cuda.Stream(self._device)
        graph = cuda.CUDAGraph()
        is_begun = False
        self._stream.wait_stream(cuda.current_stream(self._device))
        try:
            # Around the recording as well: where that cannot be ended, torch leaves the thread on its stream.
            with cuda.stream(self._stream):
                # Once: the shape has been run eagerly before, so that its kernels are loaded and chosen. What
                # is left belongs to the stream, such as cuBLAS's workspace.
                run(unet, static)
                is_begun = True
                # Only this thread may not do what a recording forbids: others ask for free memory meanwhile.
                with cuda.graph(
                    graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
                ):
                    output = run(unet, static)
        except Exception:
            if is_begun:
                graph.reset()
                self._broken.append(graph)
                # One that could not be ended leaves its pool open: no other one can begin there.
                self._pool = None
            raise
        cuda.current_stream(self._device).wait_stream(self._stream)
        return graph, output


def _fields(inputs: Inputs) -> tuple[torch.Tensor | None, ...]:
    return inputs.sample, inputs.timesteps, inputs.tokens, inputs.pooled, inputs.time_ids
