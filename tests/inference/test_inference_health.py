"""What health checkers see of the service's life."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fakes import FakeEngine, running_service
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inference.health import NAMES


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
async def test_a_watcher_sees_the_stop_and_does_not_hold_it_up(tmp_path: Path, name: str) -> None:
    async with asyncio.timeout(5):
        async with running_service(FakeEngine(), tmp_path, grace_period_s=60.0) as service:
            channel = aio.insecure_channel(service.address)
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=name))
            first = await watch.read()

        second, last = await watch.read(), await watch.read()
        await channel.close()

    assert (first.status, second.status) == (SERVING, NOT_SERVING)
    assert last is aio.EOF
