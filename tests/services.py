"""A real inference service, run in the test's own process."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fakes import GATE_S, FakeEngine
from grpc import aio
from houses import FakeWeights

from inference.core import Core, KeepModels, running_core
from inference.engine import Engine, Pixels, Run
from inference.errors import ModelLoadError
from inference.listening import UnixAddress
from inference.metrics import Metrics
from inference.models.entry import CatalogueEntry, Weights
from inference.models.house import ModelHouse, house_of, keeping_models
from inference.scheduler import Scheduler
from inference.serve import OPTIONS, running_server
from protos.psyche_inference_v1_pb2_grpc import ImageGenerationServiceStub


if TYPE_CHECKING:
    from protos.psyche_inference_v1_pb2_grpc import ImageGenerationServiceAsyncStub


def outliving_channel(address: str, *options: tuple[str, int]) -> aio.Channel:
    """Open a channel to a service that stops before it is closed.

    A caller that writes while the service closes the connection finds the pipe broken, and gRPC throws away
    the answer that lies there unread. So nothing is written but the call: no ping that measures the link, and
    no window is updated for what fits in the first one.
    """
    return aio.insecure_channel(address, options=[*OPTIONS, ("grpc.http2.bdp_probe", 0), *options])


@dataclass(frozen=True)
class RunningService:
    """An inference service in this process, and a client of it."""

    stub: ImageGenerationServiceAsyncStub
    channel: aio.Channel
    core: Core
    address: str
    metrics: Metrics


def _house_of(engines: tuple[Engine, ...], scheduler: Scheduler) -> AbstractAsyncContextManager[ModelHouse]:
    return house_of(*engines, between_ticks=scheduler.between_ticks)


@asynccontextmanager
async def running_service(
    engine: Engine | KeepModels,
    folder: Path,
    *others: Engine,
    max_waiting: int = 64,
    grace_period_s: float = 5.0,
    reflection: bool = False,
) -> AsyncIterator[RunningService]:
    """Serve loaded engines, the first of them by default, or a house, over a real socket in a folder."""
    address = UnixAddress(folder / "inference.sock")
    keep_models = engine if callable(engine) else partial(_house_of, (engine, *others))
    metrics = Metrics()
    async with (
        running_core(keep_models, max_waiting=max_waiting, observer=metrics) as core,
        running_server(
            core,
            address,
            grace_period_s=grace_period_s,
            reflection=reflection,
            count_call=metrics.on_call,
        ),
        aio.insecure_channel(str(address), options=OPTIONS) as channel,
    ):
        yield RunningService(ImageGenerationServiceStub(channel), channel, core, str(address), metrics)


class NoisyEngine(FakeEngine):
    """Paints noise: as JPEG of quality 100 not one is taken by gRPC before the caller reads."""

    noise = np.random.default_rng(0).integers(0, 256, (1536, 1536, 3), dtype=np.uint8)

    def finish(self, run: Run) -> Pixels:
        super().finish(run)
        return self.noise


class GatedLoader:
    """Loads engines that a test has made, when the test lets it.

    Attributes:
        gate: Cleared, it holds every load until it is set again.
        broken: Why a model cannot be loaded, by its name.
    """

    def __init__(self, *engines: FakeEngine) -> None:
        self.engines = {engine.model.name: engine for engine in engines}
        self.gate = threading.Event()
        self.gate.set()
        self.broken: dict[str, str] = {}

    def load(self, entry: CatalogueEntry, weights: Weights) -> Engine:
        assert self.gate.wait(GATE_S), "the test never opened the gate"
        name = entry.model.name
        if name in self.broken:
            raise ModelLoadError(name, self.broken[name])
        engine = self.engines[name]
        engine.closed = False  # It may have been unloaded.
        return engine

    def free_bytes(self) -> int | None:
        return None

    def keep(
        self,
        *,
        ready: FakeEngine,
        fallback_model: str = "",
        default_model: str = "",
        max_models: int = 2,
        room_wait_s: float = 0.0,
    ) -> KeepModels:
        """Make what keeps its models, beside one that is always ready."""
        entries = [
            CatalogueEntry(ready.model, "procedural"),
            *(CatalogueEntry(engine.model, "sdxl") for engine in self.engines.values()),
        ]
        own = GatedLoader(ready)

        def keep_models(scheduler: Scheduler) -> AbstractAsyncContextManager[ModelHouse]:
            return keeping_models(
                entries,
                {"procedural": own, "sdxl": self},
                scheduler.between_ticks,
                default_model=default_model,
                fallback_model=fallback_model,
                weights=FakeWeights(),
                max_models=max_models,
                room_wait_s=room_wait_s,
            )

        return keep_models
