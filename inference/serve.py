"""The service's life: find out what can paint, take the address, serve, stop gracefully.

It listens before any weights are loaded: the default model's load begins at the start, in the
background, and who asks meanwhile waits for it. A stop takes nothing new, tells the health checkers,
ends the live pictures and lets the other calls finish within the grace period. What then still runs in
a thread, such as the reading of a model, is waited for no longer than `END_PATIENCE_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import NoReturn

import structlog
from grpc import aio
from grpc_health.v1 import health, health_pb2_grpc  # type: ignore[import-untyped]  # It carries no types.

from inference.core import Core, running_core
from inference.encode import ENCODER
from inference.engines import Equipment, equip
from inference.errors import ConfigurationError, first_error
from inference.health import NAMES, HealthServicer
from inference.listening import Address, bound
from inference.logs import COUNTS_INTERVAL_S
from inference.metrics import Metrics, serving_metrics
from inference.models.catalogue import built_in, read_catalogue
from inference.models.entry import CatalogueEntry, State
from inference.models.house import ModelHouse, keeping_models
from inference.models.weights import WeightStore
from inference.scheduler import Scheduler
from inference.service import CountCall, ImageGenerationService
from inference.settings import Settings
from protos import psyche_inference_v1_pb2_grpc as pb_grpc


# A picture of 4096 x 4096 as PNG, or a source with its mask, fits; gRPC's own limit is 4 MiB.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

# Calls at once, health checks and live pictures included; more are refused before their messages
# are read. Far above what one engine serves, and there so that memory has a bound.
MAX_CALLS = 1024

# How long threads may take to end once all calls have, seconds: a step is done by then, and a model that
# is being read would only be thrown away.
END_PATIENCE_S = 1.0

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A second service at the same port must be an error, not half of the calls.
    ("grpc.so_reuseport", 0),
    # Clients ask every 20 s whether we are there; by default a call that is silent for a minute
    # would be ended with "too many pings".
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


@asynccontextmanager
async def running_server(
    core: Core,
    address: Address,
    *,
    grace_period_s: float,
    reflection: bool = False,
    count_call: CountCall | None = None,
) -> AsyncIterator[tuple[Address, ImageGenerationService]]:
    """Serve a core, and stop gracefully when the body ends.

    Args:
        core: What is served.
        address: Where.
        grace_period_s: What calls get to finish when the body ends, seconds.
        reflection: Whether the contract is told to whoever asks for it.
        count_call: Is told of each call that ended.

    Yields:
        The address as taken, and the servicer.

    Raises:
        ConfigurationError: If the address cannot be taken.

    Cancellation:
        Stops as gracefully.
    """
    server = aio.server(options=OPTIONS, maximum_concurrent_rpcs=MAX_CALLS)
    service, health = ImageGenerationService(core, count_call=count_call), HealthServicer()
    pb_grpc.add_ImageGenerationServiceServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if reflection:
        _tell_contract(server)
    with bound(address, server.add_insecure_port) as taken:
        async with health.following(core.house):
            await server.start()
            await health.start()
            try:
                yield taken, service
            finally:
                await health.enter_graceful_shutdown()
                core.stop()
                await server.stop(grace_period_s)


def _tell_contract(server: aio.Server) -> None:
    # It carries no types, and is imported where it is wanted.
    from grpc_reflection.v1alpha import reflection

    names = (NAMES[1], health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)


async def serve(settings: Settings) -> None:
    """Serve until a signal, or until standard input ends where that was asked for.

    Raises:
        ConfigurationError: If the settings do not allow a start.
    """
    log = structlog.get_logger("inference")
    entries = _read_entries(settings)
    weights = WeightStore(
        settings.model_dir,
        download=settings.download,
        max_disk_bytes=settings.max_disk_bytes,
        is_model_dir_given=settings.is_given("model_dir"),
    )
    equipment = await asyncio.to_thread(equip, settings, entries, weights)
    metrics = Metrics()
    async with (
        running_core(
            partial(_keep_models, settings, entries, weights, equipment),
            max_waiting=settings.max_waiting,
            encode_threads=settings.encode_threads,
            observer=metrics,
        ) as core,
        _ending_soon(core),
        serving_metrics(metrics, core, settings.metrics_port, free_bytes=equipment.free_bytes),
        running_server(
            core,
            settings.address,
            grace_period_s=settings.grace_period_s,
            reflection=settings.reflection,
            count_call=metrics.on_call,
        ) as (taken, service),
        _reporting(service),
    ):
        with _stop_request(supervised=settings.supervised) as stop:
            _tell_start(core, taken, equipment)
            core.house.preload(core.house.default_model)
            await stop.wait()
        log.info("stopping", unfinished=core.scheduler.unfinished, grace_period_s=settings.grace_period_s)
    log.info("stopped")


@asynccontextmanager
async def _ending_soon(core: Core) -> AsyncIterator[None]:
    """End the process soon after the body, though a thread should not: none can be stopped from outside.

    To be left when all but the core is closed. Nothing is lost: every call has ended, and what was
    downloaded of a model is found by the next download.
    """
    yield  # A body that fails ends as it always does, with its own status.
    loading = [status.entry.model.name for status in core.house.describe() if status.state is State.LOADING]
    # Not cancelled once the core is closed: the interpreter waits for threads, too.
    asyncio.get_running_loop().call_later(END_PATIENCE_S, _end_now, loading)


def _end_now(loading: Sequence[str]) -> None:
    structlog.get_logger("inference").warning("stopped_unfinished", loading=loading)
    logging.shutdown()
    os._exit(0)


def _read_entries(settings: Settings) -> tuple[CatalogueEntry, ...]:
    if settings.catalogue is None:
        return tuple(built_in().values())
    try:
        return tuple(read_catalogue(settings.catalogue).values())
    except ConfigurationError as exc:
        raise ConfigurationError(f"--catalogue {exc}") from exc


def _keep_models(
    settings: Settings,
    entries: Sequence[CatalogueEntry],
    weights: WeightStore,
    equipment: Equipment,
    scheduler: Scheduler,
) -> AbstractAsyncContextManager[ModelHouse]:
    return keeping_models(
        entries,
        equipment.loaders,
        scheduler.between_ticks,
        default_model=equipment.default_model,
        fallback_model=settings.fallback_model,
        weights=weights,
        max_models=settings.max_models,
        max_bytes=settings.max_model_bytes,
        idle_unload_s=settings.unload_after_s,
        cleanup_interval_s=settings.cleanup_interval,
    )


def _tell_start(core: Core, address: Address, equipment: Equipment) -> None:
    """Log what serves: where, on what device, and which models with the reason for the default one."""
    house, device = core.house, equipment.device
    structlog.get_logger("inference").info(
        "serving",
        address=str(address),
        models=list(house.models),
        default_model=house.default_model,
        because=equipment.reason,
        device=device.description if device else "cpu",
        dtype=device.dtype_name if device else "",
        encoder=ENCODER,
        pid=os.getpid(),
    )


@asynccontextmanager
async def _reporting(service: ImageGenerationService) -> AsyncIterator[None]:
    """Log what live callers get, now and then and at the end."""
    with first_error():
        async with asyncio.TaskGroup() as tasks:
            reporting = tasks.create_task(_report_forever(service), name="frame counts")
            try:
                yield
            finally:
                reporting.cancel()
                service.report_frames()


async def _report_forever(service: ImageGenerationService) -> NoReturn:
    while True:
        await asyncio.sleep(COUNTS_INTERVAL_S)
        service.report_frames()


@contextlib.contextmanager
def _stop_request(*, supervised: bool) -> Iterator[asyncio.Event]:
    """Yield an event that is set when somebody wants the service to stop.

    After the block a further signal ends the process at once, as it does by default.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    signals = [signal.SIGTERM, signal.SIGINT]
    previous = {number: signal.getsignal(number) for number in signals}
    for number in signals:
        # Not the loop's own handlers: Windows has none.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    if supervised:
        # Ctrl-C reaches the whole terminal: the parent decides, and tells by closing our input.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _watch_input(loop, stop)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            if not (supervised and number == signal.SIGINT):
                signal.signal(number, handler)


def _watch_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set the event when standard input ends.

    Resources:
        A daemon thread, because reading a file cannot be given up; it holds nothing.
    """

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):  # Closed from the start: ended as well.
            while os.read(sys.stdin.fileno(), 4096):
                pass
        with contextlib.suppress(RuntimeError):  # The loop has ended before the input.
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=read, name="supervisor watch", daemon=True).start()
