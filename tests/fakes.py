"""Test doubles that are simple enough to be right."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from grpc import aio

from inference.core import Core, running_core
from inference.engine import (
    Engine,
    ModelDescription,
    PaintingFailedError,
    PictureRequest,
    Pixels,
    RejectedError,
    Run,
    Timeline,
)
from inference.listening import UnixAddress
from inference.serve import OPTIONS, running_server
from protos.psyche_inference_v1_pb2_grpc import ImageGenerationServiceStub


if TYPE_CHECKING:
    from protos.psyche_inference_v1_pb2_grpc import ImageGenerationServiceAsyncStub


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens soon, in a service that has no event to wait for."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - there is no event; each round lets others work.
            await asyncio.sleep(0)


@dataclass(eq=False)
class FakeRun:
    """A run that counts its steps."""

    request: PictureRequest
    time_s: float
    total_steps: int
    step: int = 0


def flat_pixels(request: PictureRequest, time_s: float) -> Pixels:
    """What `FakeEngine` paints: one colour, made of the seed, the prompt's length and the time."""
    colour = (request.seed % 256, len(request.prompt) % 256, int(time_s * 10) % 256)
    return np.full((request.height, request.width, 3), colour, np.uint8)


class FakeEngine:
    """Paints one flat colour a picture, deterministically and at once.

    Attributes:
        batches: The prompts of each `step` so far, one tuple a step.
        finished: The prompts of the pictures finished so far.
        threads: The names of the threads it was called in.
        gate: Cleared, it holds every step until it is set again: a slow engine without sleeping.
        stepping: Set while a step is held or runs; a test waits for it before it interferes.
        fail: Asked at each step with the prompts of the batch; what it returns is raised.
    """

    def __init__(self, *, max_batch: int = 4) -> None:
        self.max_batch = max_batch
        self.batches: list[tuple[str, ...]] = []
        self.finished: list[str] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.stepping = threading.Event()
        self.fail: Callable[[tuple[str, ...]], Exception | None] = lambda prompts: None

    async def wait_until_stepping(self) -> None:
        """Wait, without holding up the event loop, until a step is held by the gate."""
        assert await asyncio.to_thread(self.stepping.wait, 5), "no step was begun"

    @property
    def device(self) -> str:
        return "cpu"

    def models(self) -> tuple[ModelDescription, ...]:
        return (
            ModelDescription("fake", "Flat colours", "procedural", is_neural=False, max_size=2048),
            ModelDescription("tiny", "Small ones", "procedural", is_neural=False, max_size=512, max_steps=4),
        )

    def styles(self) -> dict[str, str]:
        return {"oil": "Oil on canvas"}

    def check(self, request: PictureRequest) -> tuple[str, ...]:
        if request.prompt == "unpaintable":
            raise RejectedError("prompt", "prompt must be paintable, got 'unpaintable'")
        if request.guidance_scale:
            return ("guidance_scale was not used: flat colours need no guidance",)
        return ()

    def begin(self, timeline: Timeline, time_s: float) -> Run:
        self.threads.add(threading.current_thread().name)
        request = timeline.current(time_s).request
        if request.prompt == "fails to begin":
            raise PaintingFailedError("it failed to begin")
        return FakeRun(request, time_s, request.steps)

    def step(self, runs: Sequence[Run]) -> None:
        self.threads.add(threading.current_thread().name)
        batch = [run for run in runs if isinstance(run, FakeRun)]
        assert len(batch) == len(runs) <= self.max_batch
        assert len({id(run) for run in batch}) == len(batch)
        assert all(run.step < run.total_steps for run in batch)
        self.stepping.set()
        assert self.gate.wait(10), "the test never opened the gate"
        self.stepping.clear()
        prompts = tuple(run.request.prompt for run in batch)
        self.batches.append(prompts)
        if error := self.fail(prompts):
            raise error
        for run in batch:
            run.step += 1

    def preview(self, run: Run) -> Pixels:
        assert isinstance(run, FakeRun)
        return np.full((32, 32, 3), run.step, np.uint8)

    def finish(self, run: Run) -> Pixels:
        assert isinstance(run, FakeRun)
        assert run.step == run.total_steps
        if run.request.prompt == "fails to finish":
            raise PaintingFailedError("it failed to finish")
        self.finished.append(run.request.prompt)
        return flat_pixels(run.request, run.time_s)


@dataclass(frozen=True)
class RunningService:
    """An inference service in this process, and a client of it."""

    stub: ImageGenerationServiceAsyncStub
    channel: aio.Channel
    core: Core
    address: str


@asynccontextmanager
async def running_service(
    engine: Engine, folder: Path, *, max_waiting: int = 64, grace_period_s: float = 5.0
) -> AsyncIterator[RunningService]:
    """Serve an engine over a real socket in a folder."""
    address = UnixAddress(folder / "inference.sock")
    async with (
        running_core(engine, max_waiting=max_waiting) as core,
        running_server(core, address, grace_period_s=grace_period_s),
        aio.insecure_channel(str(address), options=OPTIONS) as channel,
    ):
        yield RunningService(ImageGenerationServiceStub(channel), channel, core, str(address))
