"""What health checkers see of the service's life."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fakes import SOON_S, FakeEngine, until
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from services import GatedLoader, running_service
from still_calls import read_or_error, request

from inference.health import NAMES, name_of
from inference.models.entry import State
from protos.psyche_inference_v1_pb2_grpc import ImageGenerationServiceStub


SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def test_the_service_is_checked_by_its_full_name() -> None:
    assert NAMES == ("", "psyche.inference.v1.ImageGenerationService")


@pytest.mark.parametrize("name", NAMES)
async def test_a_running_service_is_serving(tmp_path: Path, name: str) -> None:
    async with running_service(FakeEngine(), tmp_path) as service:
        checker = health_pb2_grpc.HealthStub(service.channel)
        response = await checker.Check(health_pb2.HealthCheckRequest(service=name))

    assert response.status == SERVING


@pytest.mark.parametrize("name", NAMES)
async def test_a_watcher_sees_the_stop_and_then_the_end(tmp_path: Path, name: str) -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as tasks:
        async with running_service(engine, tmp_path, grace_period_s=60.0) as service:
            # A channel of its own outlives the service's.
            channel = aio.insecure_channel(service.address)
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=name))
            first = await watch.read()
            # It holds the stop up: a connection that is closed may take with it what was not yet read.
            held = ImageGenerationServiceStub(channel).GenerateImage(request())
            await engine.wait_until_stepping()
            rest = tasks.create_task(_read_twice(watch))
            rest.add_done_callback(lambda _: engine.gate.set())
        second, last = rest.result()
        # How that ends is not looked at here; that goes with the connection, too.
        await held.code()
        await watch.code()
        await channel.close()

    assert (first.status, second.status) == (SERVING, NOT_SERVING)
    assert last is aio.EOF


async def _read_twice(watch: aio.UnaryStreamCall) -> tuple[Any, Any]:
    return await watch.read(), await watch.read()


@pytest.mark.parametrize("name", NAMES)
async def test_a_watcher_does_not_hold_the_stop_up(tmp_path: Path, name: str) -> None:
    async with asyncio.timeout(SOON_S):
        async with running_service(FakeEngine(), tmp_path, grace_period_s=60.0) as service:
            channel = aio.insecure_channel(service.address)
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=name))
            await watch.read()
        # It is done within the test's time, though nobody has read on or cancelled the call. What is left of
        # that ends as told, or with the connection.
        while isinstance(await read_or_error(watch), health_pb2.HealthCheckResponse):
            pass
        await watch.code()
        await channel.close()


async def test_a_model_is_serving_once_it_is_loaded(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    async with running_service(loader.keep(ready=FakeEngine()), tmp_path) as service, asyncio.timeout(SOON_S):
        stub = health_pb2_grpc.HealthStub(service.channel)
        ready = await stub.Check(health_pb2.HealthCheckRequest(service=name_of("fake")))
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=name_of("big")))
        first = await watch.read()
        service.core.house.preload("big")
        second = await watch.read()
        watch.cancel()

    assert (ready.status, first.status, second.status) == (SERVING, NOT_SERVING, SERVING)


async def test_a_model_that_cannot_be_loaded_is_not_serving_and_the_service_is(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    loader.broken["big"] = "it is broken"
    async with running_service(loader.keep(ready=FakeEngine()), tmp_path) as service:
        stub = health_pb2_grpc.HealthStub(service.channel)
        service.core.house.preload("big")
        await until(lambda: service.core.house.state("big") is State.FAILED)
        model, whole = [
            await stub.Check(health_pb2.HealthCheckRequest(service=name)) for name in (name_of("big"), "")
        ]

    assert (model.status, whole.status) == (NOT_SERVING, SERVING)


def test_a_model_is_checked_by_the_services_name_and_its_own() -> None:
    assert name_of("sdxl-turbo") == "psyche.inference.v1.ImageGenerationService/sdxl-turbo"
