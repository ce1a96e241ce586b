"""The service's life: take the address, make the engine, serve, stop gracefully.

A stop takes nothing new, tells the health checkers, ends the live pictures and lets the other
calls finish within the grace period.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import NoReturn

import structlog
from grpc import aio
from grpc_health.v1 import health_pb2_grpc  # type: ignore[import-untyped]  # It carries no types.

from inference.core import Core, running_core
from inference.encode import ENCODER
from inference.engine import Engine
from inference.errors import first_error
from inference.health import HealthServicer
from inference.listening import Address, bound
from inference.logs import COUNTS_INTERVAL_S
from inference.service import ImageGenerationService
from inference.settings import Settings
from protos import psyche_inference_v1_pb2_grpc as pb_grpc


# A picture of 4096 x 4096 as PNG, or a source with its mask, fits; gRPC's own limit is 4 MiB.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

# Calls at once, health checks and live pictures included; more are refused before their messages
# are read. Far above what one engine serves, and there so that memory has a bound.
MAX_CALLS = 1024

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A second service at the same port must be an error, not half of the calls.
    ("grpc.so_reuseport", 0),
    # Clients ask every 20 s whether we are there; by default a call that is silent for a minute
    # would be ended with "too many pings".
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


def make_engine(settings: Settings) -> Engine:
    """Make the engine that the settings name."""
    # "auto" is the best that can run here; there is one so far.
    from inference.procedural import ProceduralEngine

    return ProceduralEngine()


@asynccontextmanager
async def running_server(
    core: Core, address: Address, *, grace_period_s: float
) -> AsyncIterator[tuple[Address, ImageGenerationService]]:
    """Serve a core, and stop gracefully when the body ends.

    Yields:
        The address as taken, and the servicer.

    Raises:
        ConfigurationError: If the address cannot be taken.

    Cancellation:
        Stops as gracefully.
    """
    server = aio.server(options=OPTIONS, maximum_concurrent_rpcs=MAX_CALLS)
    service, health = ImageGenerationService(core), HealthServicer()
    pb_grpc.add_ImageGenerationServiceServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    with bound(address, server.add_insecure_port) as taken:
        await server.start()
        await health.start()
        try:
            yield taken, service
        finally:
            await health.enter_graceful_shutdown()
            core.stop()
            await server.stop(grace_period_s)


async def serve(settings: Settings) -> None:
    """Serve until a signal, or until standard input ends where that was asked for.

    Raises:
        ConfigurationError: If the settings do not allow a start.
    """
    log = structlog.get_logger("inference")
    engine = await asyncio.to_thread(make_engine, settings)
    limits = {"max_waiting": settings.max_waiting, "encode_threads": settings.encode_threads}
    async with (
        running_core(engine, default_model=settings.model, **limits) as core,
        running_server(core, settings.address, grace_period_s=settings.grace_period_s) as (taken, service),
        _reporting(service),
    ):
        with _stop_request(supervised=settings.supervised) as stop:
            log.info(
                "serving",
                address=str(taken),
                models=[model.name for model in engine.models()],
                device=engine.device,
                encoder=ENCODER,
                pid=os.getpid(),
            )
            await stop.wait()
        log.info("stopping", unfinished=core.scheduler.unfinished, grace_period_s=settings.grace_period_s)
    log.info("stopped")


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
