"""What a house of models is made of in tests: loaders, weights and engines simple enough to be right."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from fakes import GATE_S, SOON_S

from inference.engine import Engine, ModelDescription
from inference.errors import ModelLoadError
from inference.models.entry import CatalogueEntry, InUse, State, Weights
from inference.models.house import ModelHouse, keeping_models


T = TypeVar("T")


def network(name: str, **keys: Any) -> CatalogueEntry:
    """Make an entry of a model that has weights."""
    model = ModelDescription(name, f"Model {name}", "sdxl", is_neural=True)
    return CatalogueEntry(model, "sdxl", f"owner/{name}", **keys)


PAINTER = CatalogueEntry(ModelDescription("painter", "Paints", "procedural", is_neural=False), "procedural")


@dataclass(eq=False)
class LoadedEngine:
    """An engine that can be prepared and closed, and notes in which threads that was."""

    model: ModelDescription
    size_bytes: int = 0
    pieces: tuple[str, ...] = ("copied", "warm")
    fail: Exception | None = None  # raised after the first piece
    prepared: list[str] = field(default_factory=list)
    closed: int = 0
    threads: set[str] = field(default_factory=set)
    buckets: tuple[int, ...] = (1,)
    device: str = "cpu"
    dtype: str = "float32"
    counts: Mapping[str, int] = field(default_factory=dict)

    def prepare(self) -> Iterator[str]:
        for piece in self.pieces:
            self.threads.add(threading.current_thread().name)
            self.prepared.append(piece)
            yield piece
            if self.fail is not None:
                raise self.fail

    def close(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.closed += 1


class FakeLoader:
    """Makes engines at once, or when its gate is opened.

    Attributes:
        loads: The models that were loaded, one name a try.
        failures: By model: what the next tries raise, one each.
        prepare_failures: By model: what preparing the next engines raises.
        sizes: By model: the memory that its engine takes, bytes.
        free: What `free_bytes` tells; a callable is asked.
        device: Of the engines that are made next.
        engines: Every engine that was made.
        gate: Cleared, it holds every load until it is set again.
    """

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.failures: dict[str, list[Exception]] = {}
        self.prepare_failures: dict[str, list[Exception]] = {}
        self.sizes: dict[str, int] = {}
        self.free: Callable[[], int | None] = lambda: None
        self.device = "cuda:0"
        self.engines: list[LoadedEngine] = []
        self.gate = threading.Event()
        self.gate.set()
        self._loading = threading.Semaphore(0)

    async def wait_until_loading(self) -> None:
        """Wait, without holding up the event loop, until one load more has begun."""
        assert await asyncio.to_thread(self._loading.acquire, timeout=SOON_S), "no load was begun"

    def load(self, entry: CatalogueEntry, weights: Weights) -> Engine:
        name = entry.model.name
        self.loads.append(name)
        self._loading.release()
        assert self.gate.wait(GATE_S), "the test never opened the gate"
        if failures := self.failures.get(name):
            raise failures.pop(0)
        engine = LoadedEngine(entry.model, self.sizes.get(name, 0), device=self.device)
        if failures := self.prepare_failures.get(name):
            engine.fail = failures.pop(0)
        self.engines.append(engine)
        return cast(Engine, engine)

    def free_bytes(self) -> int | None:
        return self.free()

    def engine(self, name: str) -> LoadedEngine:
        """Return the newest engine of a model."""
        return next(engine for engine in reversed(self.engines) if engine.model.name == name)


class FakeWeights:
    """Weights that are always there, but for those that are missing.

    Attributes:
        missing: By model: what `provide` raises.
        tidied: The models in use at each `tidy`.
        stopped: Whether `stop` was called.
        remote: The models that must be fetched.
        plain: The models that lack a part that they can do without; it must be fetched, too.
        parts: The models that were provided with all of their parts.
        fetched: Cleared, it holds whatever is fetched until it is set again, or `stop` is called.
        tidying: Cleared, it holds every `tidy` until it is set again.
    """

    def __init__(self, size_bytes: int = 0) -> None:
        self.remote: set[str] = set()
        self.plain: set[str] = set()
        self.parts: list[str] = []
        self.tidying = threading.Event()
        self.tidying.set()
        self.fetched = threading.Event()
        self.fetched.set()
        self.size_bytes = size_bytes
        self.missing: dict[str, Exception] = {}
        self.tidied: list[list[str]] = []
        self.in_use: list[str] = []
        self.stopped = False

    def find(self, entry: CatalogueEntry) -> Weights | None:
        if entry.model.name in self.missing or entry.model.name in self.remote:
            return None
        return Weights(size_bytes=self.size_bytes, lacks_parts=entry.model.name in self.plain)

    def provide(self, entry: CatalogueEntry, in_use: InUse, *, fetch: bool = True) -> Weights:
        name = entry.model.name
        self.in_use = [used.model.name for used in in_use()]
        if fetch and name in self.remote | self.plain:
            assert self.fetched.wait(GATE_S), "the test never let it be fetched"
            if self.stopped:
                raise ModelLoadError(name, "it was given up")
            self.remote.discard(name)
            self.plain.discard(name)
        if error := self.missing.get(name):
            raise error
        if name not in self.plain:
            self.parts.append(name)
        return Weights(size_bytes=self.size_bytes)

    def tidy(self, in_use: InUse) -> None:
        assert self.tidying.wait(GATE_S), "the test never let it tidy"
        self.tidied.append([entry.model.name for entry in in_use()])

    def stop(self) -> None:
        self.stopped = True
        self.fetched.set()


class Ticks:
    """Stands for the scheduler: a thread of the engines, and what ran in it."""

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self.calls = 0
        self.hold = asyncio.Event()  # cleared, it holds everything that is to run in the thread
        self.hold.set()
        self.held = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, work: Callable[[], T], /) -> T:
        self.calls += 1
        if self.error is not None:
            raise self.error
        self.held.set()
        await self.hold.wait()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


@dataclass
class OpenHouse:
    """A house with what it is made of."""

    house: ModelHouse
    loader: FakeLoader
    weights: FakeWeights
    ticks: Ticks
    states: list[tuple[str, State]]


@asynccontextmanager
async def open_house(
    *entries: CatalogueEntry,
    loader: FakeLoader | None = None,
    weights: FakeWeights | None = None,
    default_model: str = "",
    fallback_model: str = "",
    **settings: Any,
) -> AsyncIterator[OpenHouse]:
    """Keep models with fakes."""
    loader, weights = loader or FakeLoader(), weights or FakeWeights()
    thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
    ticks = Ticks(thread)
    loaders: Any = {"sdxl": loader, "procedural": FakeLoader()}
    try:
        async with keeping_models(
            entries,
            loaders,
            ticks,
            default_model=default_model,
            fallback_model=fallback_model,
            weights=weights,
            **settings,
        ) as house:
            states: list[tuple[str, State]] = []
            house.on_state = lambda name, state: states.append((name, state))
            yield OpenHouse(house, loader, weights, ticks, states)
    finally:
        thread.shutdown()
