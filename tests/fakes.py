"""Test doubles that are simple enough to be right."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from inference.engine import (
    ModelDescription,
    PaintingFailedError,
    PictureRequest,
    Pixels,
    RejectedError,
    Run,
    Timeline,
)


# What happens soon takes no longer on a busy machine either, seconds: half of a test's own time.
SOON_S = 30.0
# A gate that is never opened is told before the test's time is over, seconds.
GATE_S = 50.0
# Rounds of waiting that only let the others have their turns; after them a thread may be at work.
TURNS = 100


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens soon, in a service that has no event to wait for."""
    turns = 0
    async with asyncio.timeout(SOON_S):
        while not condition():
            await asyncio.sleep(0 if turns < TURNS else 0.001)
            turns += 1


class FakeClock:
    """Stands still until it is moved on; call it for the seconds."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass(eq=False)
class FakeRun:
    """A run that counts its steps."""

    request: PictureRequest
    time_s: float
    total_steps: int
    step: int = 0
    stage_s: Mapping[str, float] = field(default_factory=lambda: {"denoise": 0.25})
    warnings: tuple[str, ...] = ()


def flat_pixels(request: PictureRequest, time_s: float) -> Pixels:
    """What `FakeEngine` paints: one colour, made of the seed, the prompt's length and the time."""
    colour = (request.seed % 256, len(request.prompt) % 256, int(time_s * 10) % 256)
    return np.full((request.height, request.width, 3), colour, np.uint8)


class FakeEngine:
    """One model that paints one flat colour a picture, deterministically and at once.

    Pictures of one size share a step. A prompt "long ..." is warned of once it is begun.

    Attributes:
        batches: The prompts of each `step` so far, one tuple a step.
        padded: The bucket of each `step` so far.
        finished: The prompts of the pictures finished so far.
        threads: The names of the threads it was called in.
        gate: Cleared, it holds every step until it is set again: a slow engine without sleeping.
        stepping: Set while the gate holds a step; a test waits for it before it interferes.
        fail: Asked at each step with the prompts of the batch; what it returns is raised, and the
            runs are as they were.
        spend: Called at each step with how many rows it has; a test moves its clock on here.
        closed: Whether `close` was called.
    """

    def __init__(
        self,
        name: str = "fake",
        *,
        max_batch: int = 4,
        max_size: int = 2048,
        max_steps: int = 100,
        size_bytes: int = 0,
        is_guided: bool = False,
        default_steps: int = 1,
    ) -> None:
        """Make an engine.

        Args:
            name: Of the model.
            max_batch: The largest bucket; the others are the powers of two below it.
            max_size: Pixels a side that a picture may have.
            max_steps: Steps that a picture may have.
            size_bytes: What the model says that it takes.
            is_guided: Whether it uses guidance: a picture with more than 1 takes two rows of a step.
            default_steps: Steps where a request names none.
        """
        self.buckets = tuple(sorted({max_batch, *(size for size in (1, 2, 4, 8, 16) if size < max_batch)}))
        self._model = ModelDescription(
            name,
            "Flat colours",
            "procedural",
            is_neural=False,
            max_size=max_size,
            max_steps=max_steps,
            default_steps=default_steps,
            uses_guidance=is_guided,
        )
        self._size_bytes = size_bytes
        self.batches: list[tuple[str, ...]] = []
        self.padded: list[int] = []
        self.finished: list[str] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.stepping = threading.Event()
        self.fail: Callable[[tuple[str, ...]], Exception | None] = lambda prompts: None
        self.spend: Callable[[int], None] = lambda rows: None
        self.closed = False

    async def wait_until_stepping(self) -> None:
        """Wait, without holding up the event loop, until a step is held by the gate."""
        assert await asyncio.to_thread(self.stepping.wait, SOON_S), "no step was begun"

    @property
    def model(self) -> ModelDescription:
        return self._model

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def dtype(self) -> str:
        return ""

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def counts(self) -> Mapping[str, int]:
        return {"pictures": len(self.finished)}

    def prepare(self) -> Iterator[str]:
        self.threads.add(threading.current_thread().name)
        yield "copied"
        yield "warmed up"

    def close(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.closed = True

    def check(self, request: PictureRequest) -> tuple[str, ...]:
        if request.prompt == "unpaintable":
            raise RejectedError("prompt", "prompt must be paintable, got 'unpaintable'")
        if request.guidance_scale and not self._model.uses_guidance:
            return ("guidance_scale was not used: flat colours need no guidance",)
        return ()

    def batch_key(self, request: PictureRequest) -> Hashable:
        return request.width, request.height

    def rows(self, request: PictureRequest) -> int:
        return 2 if self._model.uses_guidance and request.guidance_scale > 1.0 else 1

    def begin(self, timeline: Timeline, time_s: float) -> FakeRun:
        self.threads.add(threading.current_thread().name)
        assert not self.closed
        request = timeline.current(time_s).request
        if request.prompt == "fails to begin":
            raise PaintingFailedError("it failed to begin")
        run = FakeRun(request, time_s, request.steps)
        if request.prompt.startswith("long "):
            run.warnings = ("the end of the prompt was not used",)
        return run

    def step(self, runs: Sequence[Run], bucket: int) -> None:
        self.threads.add(threading.current_thread().name)
        batch = [run for run in runs if isinstance(run, FakeRun)]
        rows = sum(self.rows(run.request) for run in batch)
        assert len(batch) == len(runs) > 0
        assert bucket in self.buckets
        # The rows of one picture may go one after the other.
        assert rows <= bucket or len(batch) == 1
        assert len({id(run) for run in batch}) == len(batch)
        assert len({self.batch_key(run.request) for run in batch}) == 1
        assert all(run.step < run.total_steps for run in batch)
        while not self.gate.is_set():
            self.stepping.set()
            assert self.gate.wait(GATE_S), "the test never opened the gate"
        self.stepping.clear()
        prompts = tuple(run.request.prompt for run in batch)
        self.batches.append(prompts)
        self.padded.append(bucket)
        self.spend(rows)
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


class FakeObserver:
    """Keeps what the scheduler tells."""

    def __init__(self) -> None:
        self.ticks: list[tuple[str, int, int, float, float]] = []
        self.painted: list[tuple[str, float, float]] = []
        self.given_up: list[str] = []

    def on_tick(self, model: str, rows: int, bucket: int, seconds: float, own_s: float) -> None:
        self.ticks.append((model, rows, bucket, seconds, own_s))

    def on_painted(self, model: str, queued_s: float, painted_s: float) -> None:
        self.painted.append((model, queued_s, painted_s))

    def on_given_up(self, reason: str) -> None:
        self.given_up.append(reason)


async def still(engine: FakeEngine) -> int:
    """Wait until the engine has not painted at three looks in a row, and return how often it had."""
    painted, looks = -1, 0
    while looks < 3:
        await asyncio.sleep(0.1)
        looks = looks + 1 if painted == len(engine.batches) else 0
        painted = len(engine.batches)
    return painted
